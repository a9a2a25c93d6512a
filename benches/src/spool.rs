//! The spool beside its promises, and beside a bare loop of pwrite and fdatasync of the same bytes.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use candor_spool::{Spool, Urgency, Want};
use serde::Deserialize;
use serde_json::Value;

use crate::load::{Codec, beside, drafts, float, roomy, said, size, spent};

/// `[spool]` of budgets.toml.
#[derive(Clone, Copy, Deserialize)]
pub(crate) struct Budget {
    append_cpu_us: f64,
    written_per_taken: f64,
    through_per_taken: f64,
    open_ms: f64,
    open_peak_mib: f64,
}

const PRODUCERS: usize = 4;
const BATCH: usize = 100;
const BATCHES: usize = 500;
const RECORD: usize = 330;

/// Measures in `dir`, a backlog of so many MiB; whether every promise is kept.
pub(crate) fn measure(dir: &Path, backlog_mib: u64, budget: Budget) -> Result<bool> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    println!("durable append, records of 1 KiB, answered after the commit");
    for group in [1, 64, 1024] {
        let rate = runtime.block_on(appends(&dir.join(format!("group{group}")), group))?;
        let bare = bare_loop(&dir.join("bare"), group)?;
        said(&format!("  groups of {group}: records a second"), rate);
        said(&format!("  groups of {group}: bare loop of pwrite + fdatasync"), bare);
        said(&format!("  groups of {group}: ratio"), rate / bare);
    }
    println!("{:<52} {:>12} {:>10} {:>7}", "", "measured", "promised", "ratio");
    let produced = runtime.block_on(produce(&dir.join("produced"), budget))?;
    let opened = runtime.block_on(open_backlog(&dir.join("backlog"), backlog_mib, budget))?;
    Ok(produced && opened)
}

async fn appends(dir: &Path, group: usize) -> Result<f64> {
    let spool = Spool::open(dir, roomy(), Box::new(Codec))?;
    let rounds = if group == 1 { 300 } else { 60 };
    let made: Vec<_> = (0..rounds).map(|round| drafts(group, 1024, round * group)).collect();
    let from = Instant::now();
    for group in made {
        spool.append(group, Urgency::Now).await?;
    }
    let rate = float((rounds * group) as u64) / from.elapsed().as_secs_f64();
    spool.close().await?;
    Ok(rate)
}

/// The same bytes with nothing around them.
fn bare_loop(path: &Path, group: usize) -> Result<f64> {
    let file = File::create(path)?;
    let rounds = if group == 1 { 300 } else { 60 };
    let bytes = vec![0x5a; group * 1024];
    let from = Instant::now();
    for round in 0..rounds {
        file.write_all_at(&bytes, (round * bytes.len()) as u64)?;
        file.sync_data()?;
    }
    Ok(float((rounds * group) as u64) / from.elapsed().as_secs_f64())
}

/// Four producers with batches of a hundred: CPU, bytes written, fsyncs. First with nobody who takes
/// anything out, then with somebody who takes and acknowledges all the time.
async fn produce(dir: &Path, budget: Budget) -> Result<bool> {
    let kept = load(&dir.join("in"), false).await?;
    said("bytes of a record, decoded", float(kept.decoded) / float(kept.records));
    said("bytes decoded per byte in the store", float(kept.decoded) / float(kept.stored));
    said("fsyncs per thousand records", float(kept.fsyncs) * 1e3 / float(kept.records));
    said("bytes written per byte in the store", float(kept.written) / float(kept.stored));
    let cpu = beside("append, CPU us per record of 330 bytes", kept.cpu_us(), budget.append_cpu_us);
    let written = float(kept.written) / float(kept.decoded);
    let written = beside("bytes written per byte taken in", written, budget.written_per_taken);
    let through = load(&dir.join("through"), true).await?;
    said("in and out again, CPU us per record", through.cpu_us());
    let both = float(through.written) / float(through.decoded);
    let both =
        beside("in and out, bytes written per byte taken in", both, budget.through_per_taken);
    Ok(cpu && written && both)
}

/// What a load cost.
struct Load {
    records: u64,
    decoded: u64,
    stored: u64,
    written: u64,
    fsyncs: u64,
    cpu: Duration,
}

impl Load {
    fn cpu_us(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / float(self.records)
    }
}

async fn load(dir: &Path, is_drained: bool) -> Result<Load> {
    let spool = Spool::open(dir, roomy(), Box::new(Codec))?;
    let share = |n: usize| -> Vec<_> {
        (0..BATCHES / PRODUCERS).map(|b| drafts(BATCH, RECORD, (n * BATCHES + b) * BATCH)).collect()
    };
    let mut shares: Vec<Vec<_>> = (0..PRODUCERS).map(share).collect();
    let decoded = shares.iter().flatten().map(|batch| size(batch)).sum();
    let records = (PRODUCERS * (BATCHES / PRODUCERS) * BATCH) as u64;
    let empty = spool.ledger();
    let before = spent()?;
    let mut tasks = tokio::task::JoinSet::new();
    for share in shares.drain(..) {
        let spool = spool.clone();
        tasks.spawn(async move {
            for batch in share {
                spool.append(batch, Urgency::Now).await?;
            }
            Ok::<(), candor_spool::SpoolError>(())
        });
    }
    let mut changes = spool.changes();
    while is_drained && spool.ledger().uploaded < records {
        changes.wait_for(|ledger| ledger.pending > 0).await?;
        let Some(parcel) = spool.next(Want::all(256 * 1024)).await? else { continue };
        let rows: Vec<_> = parcel.rows.iter().map(|row| row.id).collect();
        spool.uploaded(&rows, 0).await?;
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    let ledger = spool.ledger();
    spool.close().await?;
    let after = spent()?;
    Ok(Load {
        records,
        decoded,
        stored: ledger.bytes.saturating_sub(empty.bytes).max(1),
        written: after.written - before.written,
        fsyncs: ledger.fsyncs - empty.fsyncs,
        cpu: after.cpu.saturating_sub(before.cpu),
    })
}

/// Fills a backlog, and opens it in a process of its own.
async fn open_backlog(dir: &Path, mib: u64, budget: Budget) -> Result<bool> {
    let spool = Spool::open(dir, roomy(), Box::new(Codec))?;
    let mut made = 0;
    while spool.ledger().bytes < mib << 20 {
        spool.append(drafts(4096, RECORD, made), Urgency::Now).await?;
        made += 4096;
    }
    spool.close().await?;
    let output = Command::new(std::env::current_exe()?).arg("open").arg(dir).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout)?;
    let number = |key: &str| told[key].as_f64().with_context(|| key.to_owned());
    println!("a backlog of {mib} MiB, {made} records");
    let time = beside("open and first batch, ms", number("ms")?, budget.open_ms);
    Ok(beside("open and first batch, peak RSS MiB", number("peak_mib")?, budget.open_peak_mib)
        && time)
}

/// Opens a store, takes its first batch, and prints what that cost: the other side of the above.
pub(crate) fn open(dir: &Path) -> Result<()> {
    candor_platform::tune_allocator();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let from = Instant::now();
    let ms = runtime.block_on(async {
        let spool = Spool::open(dir, roomy(), Box::new(Codec))?;
        let parcel = spool.next(Want::all(256 * 1024)).await?.context("the first batch")?;
        ensure!(!parcel.rows.is_empty(), "the first batch is empty");
        let ms = from.elapsed().as_secs_f64() * 1e3;
        spool.close().await?;
        Ok(ms)
    })?;
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("VmHWM")?;
    let peak: u64 = peak.split_whitespace().next().context("VmHWM")?.parse()?;
    println!("{}", serde_json::json!({ "ms": ms, "peak_mib": float(peak) / 1024.0 }));
    Ok(())
}

//! The uploader beside its promise: the CPU of this process, spool and TLS and zstd included, to
//! deliver a backlog to a local collector.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use candor_model::Level;
use candor_otlp::Resource;
use candor_spool::{Spool, Urgency};
use candor_tests::Collector;
use candor_upload::{Command, Compression, Destination, UploadSettings, Uploader};
use serde::Deserialize;
use tokio::sync::{mpsc, oneshot, watch};

use crate::load::{Codec, beside, drafts, float, roomy, said, spent};

/// `[upload]` of budgets.toml.
#[derive(Clone, Copy, Deserialize)]
pub(crate) struct Budget {
    cpu_us: f64,
}

const RECORDS: usize = 200_000;
const RECORD: usize = 330;

/// Measures in `dir`; whether the promise is kept.
pub(crate) fn measure(dir: &Path, budget: Budget) -> Result<bool> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let collector = Collector::start();
    runtime.block_on(async {
        let spool = Spool::open(&dir.join("upload"), roomy(), Box::new(Codec))?;
        for from in (0..RECORDS).step_by(4000) {
            spool.append(drafts(4000, RECORD, from), Urgency::Now).await?;
        }
        let (_settings, settings) = watch::channel(Arc::new(settings(&collector, &spool)?));
        let (commands, received) = mpsc::channel(1);
        let (_stop, stop) = watch::channel(None);
        let (uploader, _status) = Uploader::new(spool.clone());
        let (done, flushed) = oneshot::channel();
        commands.send(Command::Flush { done }).await?;
        let (before, from) = (spent()?, Instant::now());
        let flushed = tokio::select! {
            () = uploader.run(settings, received, stop) => None,
            flushed = flushed => flushed.ok(),
        };
        let (after, time) = (spent()?, from.elapsed());
        let flushed = flushed.context("the uploader ended")?;
        ensure!(flushed.drained, "{:?}", flushed.status.trouble);
        let records = float(RECORDS as u64);
        let sent = float(flushed.status.bytes_uploaded);
        println!("{RECORDS} records of {RECORD} bytes to a local collector over TLS, zstd");
        said("records a second", records / time.as_secs_f64());
        said("bytes on the wire per record", sent / records);
        println!("{:<52} {:>12} {:>10} {:>7}", "", "measured", "promised", "ratio");
        let cpu = after.cpu.saturating_sub(before.cpu).as_secs_f64() * 1e6 / records;
        Ok(beside("upload, CPU us per 330-byte record", cpu, budget.cpu_us))
    })
}

fn settings(collector: &Collector, spool: &Spool) -> Result<UploadSettings> {
    let pins = collector.pins();
    let pins = pins.iter().map(|pin| pin.parse()).collect::<Result<_, _>>()?;
    Ok(UploadSettings {
        enabled: true,
        ceiling: Level::Full,
        hold: None,
        destination: Some(Destination {
            endpoint: collector.endpoint().parse()?,
            pins,
            allow_single_pin: false,
            ca_file: Some(collector.ca_file().into()),
            client_cert: None,
            client_key: None,
            proxy: None,
            compression: Compression::Zstd,
        }),
        fallbacks: Vec::new(),
        interval: Duration::from_hours(1),
        is_sparing: false,
        resource: Resource::here(Some(spool.install_id().to_owned()), "0.0.0").encode().into(),
        max_bytes_per_day: None,
    })
}

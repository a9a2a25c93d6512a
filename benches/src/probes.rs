//! What looking at the host costs, beside its promises. Linux only.
//!
//! # Invariants
//! - CPU is this process's own and that of the programs that its probes run.
//! - The clocks that the probes are given go on by 10 s each round, so that what they do once a
//!   minute is done as often as in the agent.
//! - Rounds and the loop that only reads take turns, so that a busy machine burdens both alike.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};
use candor_model::{Level, UnixNanos};
use candor_probes::rounds::{BareReads, Rounds};
use candor_probes::{Host, Moment};
use nix::sys::resource::{UsageWho, getrusage};
use nix::time::{ClockId, clock_gettime};
use serde::Deserialize;

use crate::budgets::{crowd, processes, workspace};
use crate::process::cost;

/// Rounds of one turn, and turns.
const ROUNDS: u32 = 60;
const TURNS: u32 = 40;
/// How often an inventory is taken, and a report of level 3.
const INVENTORIES: u32 = 20;
const REPORTS: u32 = 5;
/// Rounds after which memory has settled.
const SETTLED: u64 = 1_000;
/// Rounds between two reports: a quarter of an hour.
const ROUNDS_PER_REPORT: u64 = 90;
const ROUNDS_PER_MINUTE: f64 = 6.0;
const REPORTS_PER_MINUTE: f64 = 1.0 / 15.0;

#[derive(Deserialize)]
struct Budgets {
    probes: Promised,
}

#[derive(Deserialize)]
struct Promised {
    round_ms: f64,
    round_over_floor: f64,
    inventory_ms: f64,
    full_ms_per_minute: f64,
    growth_kib: f64,
}

/// Measures and prints; whether every promise is kept.
pub(crate) fn measure(rounds: u64) -> Result<bool> {
    let text = fs::read_to_string(workspace("budgets.toml"))?;
    let promised = toml::from_str::<Budgets>(&text)?.probes;
    let crowd = crowd()?;
    let count = processes()?;
    let (round, floor) = round_and_floor()?;
    let inventory = inventory()?;
    let full = full_minute()?;
    let (growth, failures) = growth(rounds)?;
    drop(crowd);

    println!("probes on this host, {count} processes, {rounds} rounds for memory");
    println!("{:<44} {:>10} {:>10} {:>7}", "", "measured", "promised", "ratio");
    let rows = [
        ("sampling round at level 2, ms", round, Some(promised.round_ms)),
        ("loop that only reads, ms", floor, None),
        ("round beside the loop", round / floor, Some(promised.round_over_floor)),
        ("all of level 1 once, ms", inventory, Some(promised.inventory_ms)),
        ("level 3, ms a minute", full, Some(promised.full_ms_per_minute)),
        ("memory growth, KiB", growth, Some(promised.growth_kib)),
    ];
    for (name, measured, promised) in rows {
        let Some(promised) = promised else {
            println!("{name:<44} {measured:>10.3}");
            continue;
        };
        let verdict = if measured <= promised { "" } else { "  BROKEN" };
        let ratio = measured / promised;
        println!("{name:<44} {measured:>10.3} {promised:>10.2} {ratio:>7.2}{verdict}");
    }
    println!("rounds of single probes that failed: {failures}");
    Ok(rows.iter().all(|(_, measured, promised)| promised.is_none_or(|most| *measured <= most)))
}

/// Milliseconds of one round at level 2 and of one turn of the loop.
fn round_and_floor() -> Result<(f64, f64)> {
    let host = Host::live();
    let mut probes = Rounds::new(host.clone(), Level::Enhanced);
    let mut bare = BareReads::new(&host);
    let (mut clock, mut spent) = (Clock::default(), [0.0; 2]);
    for turn in 0..=TURNS {
        let before = cpu_ms()?;
        for _ in 0..ROUNDS {
            probes.sample(clock.next());
        }
        let between = cpu_ms()?;
        for _ in 0..ROUNDS {
            bare.read()?;
        }
        // The first turn opens files and fills caches.
        if turn > 0 {
            spent[0] += between - before;
            spent[1] += cpu_ms()? - between;
        }
    }
    let rounds = f64::from(ROUNDS * TURNS);
    Ok((spent[0] / rounds, spent[1] / rounds))
}

/// Milliseconds of everything at level 1, by probes that have seen nothing yet.
fn inventory() -> Result<f64> {
    let before = cpu_ms()?;
    for _ in 0..INVENTORIES {
        Rounds::new(Host::live(), Level::Basic).report(Clock::default().next());
    }
    Ok((cpu_ms()? - before) / f64::from(INVENTORIES))
}

/// Milliseconds of a minute at level 3.
fn full_minute() -> Result<f64> {
    let mut probes = Rounds::new(Host::live(), Level::Full);
    let mut clock = Clock::default();
    probes.report(clock.next());
    let before = cpu_ms()?;
    for _ in 0..ROUNDS {
        probes.sample(clock.next());
    }
    let between = cpu_ms()?;
    for _ in 0..REPORTS {
        probes.report(clock.next());
    }
    let round = (between - before) / f64::from(ROUNDS);
    let report = (cpu_ms()? - between) / f64::from(REPORTS);
    Ok(round * ROUNDS_PER_MINUTE + report * REPORTS_PER_MINUTE)
}

/// KiB by which memory grew after it had settled, and rounds of probes that failed meanwhile.
fn growth(rounds: u64) -> Result<(f64, usize)> {
    let mut probes = Rounds::new(Host::live(), Level::Enhanced);
    let mut clock = Clock::default();
    let mut run = |rounds: u64| {
        for round in 1..=rounds {
            probes.sample(clock.next());
            if round % ROUNDS_PER_REPORT == 0 {
                probes.report(clock.now());
            }
        }
    };
    let own = std::process::id();
    run(SETTLED);
    let before = cost(own)?.rss_anon_mib;
    run(rounds);
    let after = cost(own)?.rss_anon_mib;
    Ok(((after - before) * 1024.0, probes.failures()))
}

/// Clocks that go on together, 10 s a round.
#[derive(Default)]
struct Clock(u64);

impl Clock {
    fn next(&mut self) -> Moment {
        self.0 += 10;
        self.now()
    }

    fn now(&self) -> Moment {
        let boot = Duration::from_secs(1_000 + self.0);
        let wall = UnixNanos((1_800_000_000 + self.0) * 1_000_000_000);
        Moment { wall, boot, monotonic: boot }
    }
}

/// Milliseconds of CPU time of this process and of its children that have ended.
fn cpu_ms() -> Result<f64> {
    let own = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).context("the CPU clock")?;
    let children = getrusage(UsageWho::RUSAGE_CHILDREN).context("the children's use")?;
    let children = [children.user_time(), children.system_time()];
    let micros: i64 = children.iter().map(|time| time.tv_sec() * 1_000_000 + time.tv_usec()).sum();
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    Ok(Duration::from(own).as_secs_f64() * 1e3 + micros as f64 / 1e3)
}

//! What a process costs, as the kernel counts it. Linux only: elsewhere nothing is measured.

use std::fs;

use anyhow::{Context as _, Result};

/// Counters of one process at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    pub(crate) rss_mib: f64,
    pub(crate) rss_anon_mib: f64,
    pub(crate) cpu_ms: f64,
    pub(crate) wakeups: u64,
}

/// Reads `/proc/ID/status`, `/proc/ID/schedstat` of every task (nanoseconds on the processor, where
/// `stat` has only ticks of 10 ms) and the voluntary context switches of every task.
pub(crate) fn cost(id: u32) -> Result<Cost> {
    let status = read(&format!("/proc/{id}/status"))?;
    let mut cpu_ns = 0;
    let mut wakeups = 0;
    for task in fs::read_dir(format!("/proc/{id}/task"))? {
        let task = task?.path();
        let schedstat = read(&task.join("schedstat").to_string_lossy())?;
        cpu_ns += schedstat.split_whitespace().next().context("schedstat")?.parse::<u64>()?;
        wakeups +=
            field(&read(&task.join("status").to_string_lossy())?, "voluntary_ctxt_switches:")?;
    }
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    Ok(Cost {
        rss_mib: field(&status, "VmRSS:")? as f64 / 1024.0,
        rss_anon_mib: field(&status, "RssAnon:")? as f64 / 1024.0,
        cpu_ms: cpu_ns as f64 / 1e6,
        wakeups,
    })
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(path).with_context(|| path.to_owned())
}

fn field(text: &str, name: &str) -> Result<u64> {
    let line =
        text.lines().find_map(|line| line.strip_prefix(name)).with_context(|| name.to_owned())?;
    Ok(line.split_whitespace().next().context("a number")?.parse()?)
}

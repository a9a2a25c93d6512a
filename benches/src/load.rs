//! What the delivery benchmarks have in common: records of a size, the codec, and this process' cost.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use candor_model::events::agent::Change;
use candor_model::{Draft, Kind, Level, UnixNanos};
use candor_otlp::{Stamp, encode};
use candor_spool::{Framing, Settings};

/// The codec's functions, as the daemon hands them to its spool.
pub(crate) struct Codec;

impl Framing for Codec {
    fn seal(&self, kind: Kind, body: &[u8], seq: u64, out: &mut Vec<u8>) {
        candor_otlp::seal(kind, body, seq, out);
    }

    fn frame_len(&self, kind: Kind, bytes: &[u8]) -> Option<usize> {
        candor_otlp::frame_len(kind, bytes)
    }
}

/// Bounds that nothing in a benchmark reaches.
pub(crate) fn roomy() -> Settings {
    Settings {
        max_bytes: 8 << 30,
        min_free: 0,
        linger: Duration::from_secs(3),
        ..Settings::default()
    }
}

/// Drafts of about so many bytes each: real events with ids and numbers that do not repeat.
pub(crate) fn drafts(count: usize, bytes: usize, from: usize) -> Vec<Draft> {
    let boot: Arc<str> = "00000000-0000-4000-8000-000000000000".into();
    (from..from + count).map(|n| draft(n, bytes, &boot)).collect()
}

fn draft(n: usize, bytes: usize, boot: &Arc<str>) -> Draft {
    let made = |filler: usize| {
        let uid = format!("01890000-0000-7000-8000-{n:012x}");
        let noise = (n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let text = format!("{noise:016x}/usr/lib/systemd/");
        let from = text.chars().cycle().take(filler).collect();
        let event =
            Change { subject: "level", from: Some(from), to: None, layer: None, role: None };
        let stamp = Stamp { uid: &uid, observed: UnixNanos(noise >> 2), level: Level::Enhanced };
        encode(&event.into(), &stamp)
    };
    let bare = made(0).len();
    // Two bytes more than it seems: lengths take two bytes from 128 on.
    let body = made(bytes.saturating_sub(bare + 6).max(1));
    Draft { level: Level::Enhanced, kind: Kind::Log, boot: Arc::clone(boot), body }
}

/// What this process has cost so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spent {
    pub(crate) cpu: Duration,
    pub(crate) written: u64,
}

/// CPU of all threads, ended ones included, and bytes that were handed to a storage device.
pub(crate) fn spent() -> Result<Spent> {
    let io = fs::read_to_string("/proc/self/io").context("/proc/self/io")?;
    let written = io.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    Ok(Spent {
        cpu: candor_platform::usage().cpu,
        written: written.context("write_bytes")?.trim().parse()?,
    })
}

/// One measured number beside its promise; prints it, and says whether it is kept.
pub(crate) fn beside(name: &str, measured: f64, promised: f64) -> bool {
    let verdict = if measured <= promised { "" } else { "  BROKEN" };
    println!("{name:<52} {measured:>12.2} {promised:>10.2} {:>7.2}{verdict}", measured / promised);
    measured <= promised
}

/// One measured number without a promise.
pub(crate) fn said(name: &str, measured: f64) {
    println!("{name:<52} {measured:>12.2}");
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
pub(crate) fn float(number: u64) -> f64 {
    number as f64
}

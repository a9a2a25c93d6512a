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

/// Words of which the text of a record is made, as the log of a host has them.
const WORDS: [&str; 64] = [
    "Started",
    "Stopped",
    "Reached",
    "target",
    "service",
    "session",
    "user",
    "opened",
    "closed",
    "connection",
    "from",
    "port",
    "failed",
    "password",
    "accepted",
    "publickey",
    "kernel",
    "device",
    "eth0:",
    "link",
    "becomes",
    "ready",
    "usb",
    "new",
    "high-speed",
    "number",
    "using",
    "xhci_hcd",
    "mount",
    "filesystem",
    "ordered",
    "data",
    "mode",
    "quota",
    "none",
    "audit:",
    "type=1400",
    "apparmor=",
    "ALLOWED",
    "operation=",
    "profile=",
    "name=",
    "pid",
    "comm=",
    "requested_mask=",
    "systemd-resolved",
    "DHCPv4",
    "address",
    "lease",
    "renewed",
    "timeout",
    "retry",
    "exited",
    "code=",
    "status=",
    "oom-kill",
    "cgroup",
    "memory",
    "limit",
    "reached,",
    "unit",
    "entered",
    "state,",
    "restart",
];

/// Drafts of so many bytes each, but for a few: log records with a uid and a time of their own and a
/// text of words of a host's log, every fourth of them a number. They pack to about a third, where
/// our own reports pack better.
pub(crate) fn drafts(count: usize, bytes: usize, from: usize) -> Vec<Draft> {
    let boot: Arc<str> = "00000000-0000-4000-8000-000000000000".into();
    (from..from + count).map(|n| draft(n, bytes, &boot)).collect()
}

/// Bytes of the records, decoded and without what the spool adds.
pub(crate) fn size(drafts: &[Draft]) -> u64 {
    drafts.iter().map(|draft| draft.body.len() as u64).sum()
}

fn draft(n: usize, bytes: usize, boot: &Arc<str>) -> Draft {
    let mut noise = Noise(n as u64 + 1);
    let (high, low) = (noise.next(), noise.next());
    // A version 7 uid: the time in front grows, the rest does not repeat.
    let millis = 1_800_000_000_000 + n as u64 * 7;
    let uid = format!(
        "{:08x}-{:04x}-7{:03x}-{:04x}-{:012x}",
        millis >> 16,
        millis & 0xffff,
        high & 0xfff,
        high >> 16 & 0x3fff | 0x8000,
        low & 0xffff_ffff_ffff
    );
    let observed = UnixNanos(millis * 1_000_000 + high % 1_000_000);
    let made = |text: String| {
        let event =
            Change { subject: "level", from: Some(text), to: None, layer: None, role: None };
        encode(&event.into(), &Stamp { uid: &uid, observed, level: Level::Enhanced })
    };
    let bare = made(String::new()).len();
    // Two bytes more than it seems: lengths take two bytes from 128 on.
    let body = made(noise.text(bytes.saturating_sub(bare + 6).max(1)));
    Draft { level: Level::Enhanced, kind: Kind::Log, boot: Arc::clone(boot), body }
}

/// Numbers without a pattern, the same in each run.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A text of so many bytes.
    fn text(&mut self, bytes: usize) -> String {
        let mut text = String::with_capacity(bytes + 32);
        while text.len() < bytes {
            let draw = self.next();
            if draw.is_multiple_of(4) {
                text.push_str(&(draw >> 40).to_string());
            } else {
                let place = usize::try_from(draw >> 8 & 63).unwrap_or(0);
                text.push_str(WORDS[place]);
            }
            text.push(' ');
        }
        text.truncate(bytes);
        text
    }
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

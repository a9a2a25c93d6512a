//! A full store, looked at: every event is paged through, newest to oldest, and
//! neither the daemon nor the viewer grows with what is looked at. How fast that is, `cargo bench-candor view` says.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use candor_model::events::agent::Change;
use candor_model::{Draft, Kind, Level, UnixNanos};
use candor_otlp::{Stamp, encode};
use candor_spool::{Framing, Spool, Urgency};
use candor_tests::{Agent, Collector, Settings, Viewer};

struct Codec;

impl Framing for Codec {
    fn seal(&self, kind: Kind, body: &[u8], seq: u64, out: &mut Vec<u8>) {
        candor_otlp::seal(kind, body, seq, out);
    }
    fn frame_len(&self, kind: Kind, bytes: &[u8]) -> Option<usize> {
        candor_otlp::frame_len(kind, bytes)
    }
}

/// As many as an agent gathers in weeks without a network.
const MANY: u64 = 100_000;

/// A store that holds [`MANY`] events before the agent starts.
async fn fill(state: &Path) {
    let settings = candor_spool::Settings { max_bytes: 1 << 30, min_free: 0, ..Default::default() };
    let spool = Spool::open(state, settings, Box::new(Codec)).unwrap();
    let draft = |n: u64| {
        let uid = format!("01890000-0000-7000-8000-{n:012x}");
        let from = Some(format!("{:016x}", (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        let event = Change { subject: "level", from, to: None, layer: None, role: None };
        let stamp = Stamp { uid: &uid, observed: UnixNanos(1 << 60), level: Level::Enhanced };
        let body = encode(&event.into(), &stamp);
        Draft { level: Level::Enhanced, kind: Kind::Log, boot: "b".into(), body }
    };
    for from in (0..MANY).step_by(1000) {
        spool.append((from..from + 1000).map(draft).collect(), Urgency::Now).await.unwrap();
    }
    spool.close().await.unwrap();
}

/// Peak resident memory in KiB.
fn peak(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn a_hundred_thousand_events_are_paged_through_in_bounded_memory() {
    let collector = Collector::prepare();
    let settings = Settings::to(&collector, 2).table("spool", "max_bytes = \"1GiB\"");
    let mut agent = Agent::prepare(&settings);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(fill(&agent.path("var/lib/candor")));
    agent.run();
    let viewer = Viewer::start(&agent, &[]);
    let cookie = viewer.open(&viewer.key).unwrap();
    let page = |cursor: &str| {
        let (status, answer) = viewer.ask(&format!("/api/events?limit=500{cursor}"), &cookie);
        assert_eq!(status, 200, "{answer}");
        assert!(answer["events"].as_array().unwrap().len() <= 500);
        answer
    };
    let mut answer = page("");
    let before = (peak(agent.id()), peak(viewer.id()));
    let mut seen = BTreeSet::new();
    loop {
        let events = answer["events"].as_array().unwrap();
        seen.extend(events.iter().map(|event| event["seq"].as_u64().unwrap()));
        let Some(next) = answer["next"].as_u64() else { break };
        answer = page(&format!("&before={next}"));
    }
    // Others came meanwhile; of these none is missing.
    assert_eq!(seen.range(1..=MANY).count() as u64, MANY);
    let grown = (peak(agent.id()) - before.0, peak(viewer.id()) - before.1);
    assert!(grown.0 < 24 * 1024 && grown.1 < 24 * 1024, "KiB: {before:?}, grown by {grown:?}");
    let (status, oldest) = viewer.ask("/api/events/1", &cookie);
    assert_eq!((status, &oldest["name"]), (200, &"candor.agent.change".into()));
}

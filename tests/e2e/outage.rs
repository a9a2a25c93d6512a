//! An hour without a receiver, at the cap, by a clock that a test turns: which records went is exactly
//! what the rule says, and the collector names them.
//!
//! The real spool, uploader and collector; what the agent would collect is written by the test.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use candor_model::events::agent::{Change, Dropped, Gap, Health};
use candor_model::{Draft, DropReason, Kind, Level, Record, UnixNanos};
use candor_otlp::{Resource, Stamp};
use candor_platform::ManualClock;
use candor_spool::{Framing, Settings, Spool, Surroundings, Then, Urgency};
use candor_tests::Collector;
use candor_upload::{Command, Compression, Destination, Flushed, UploadSettings, Uploader};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot, watch};

use crate::delivery::sequence;

const CAP: u64 = 1 << 20;
const STEP: Duration = Duration::from_secs(10);
const STEPS: u32 = 360;

struct Codec;

impl Framing for Codec {
    fn seal(&self, kind: Kind, body: &[u8], seq: u64, out: &mut Vec<u8>) {
        candor_otlp::seal(kind, body, seq, out);
    }

    fn frame_len(&self, kind: Kind, bytes: &[u8]) -> Option<usize> {
        candor_otlp::frame_len(kind, bytes)
    }
}

/// The agent's store, and what it was given.
struct Host {
    spool: Spool,
    clock: ManualClock,
    /// Level and step of each number.
    given: BTreeMap<u64, (Level, u32)>,
    ids: Cell<u32>,
    /// Ranges that were told.
    told: RefCell<Vec<candor_spool::Gap>>,
}

impl Host {
    fn new(dir: &Path) -> Self {
        let clock = ManualClock::new(SystemTime::now() - STEP * (STEPS + 1));
        let bounds = Settings { max_bytes: CAP, min_free: 0, ..Settings::default() };
        let outside = Surroundings::with_clock(Box::new(clock.clone()));
        let spool = Spool::open_with(dir, bounds, Box::new(Codec), outside).unwrap();
        Self { spool, clock, given: BTreeMap::new(), ids: Cell::new(0), told: RefCell::default() }
    }

    fn draft(&self, level: Level, record: &Record) -> Draft {
        let id = self.ids.get() + 1;
        self.ids.set(id);
        let uid = format!("00000000-0000-7000-8000-{id:012x}");
        let body = candor_otlp::encode(record, &Stamp { uid: &uid, observed: UnixNanos(1), level });
        Draft { level, kind: Kind::Log, boot: "boot".into(), body }
    }

    /// Records of a level, of about so many bytes in the store: hexadecimal digits without a pattern
    /// pack to half their length.
    async fn keep(&mut self, step: u32, level: Level, bytes: usize) {
        let mut noise = self.given.len() as u64 + 1;
        let mut text = String::new();
        while text.len() < 2 * bytes {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            write!(text, "{:08x}", noise >> 32).unwrap();
        }
        let filler =
            Change { subject: "level", from: Some(text), to: None, layer: None, role: None };
        let draft = self.draft(level, &filler.into());
        self.given.insert(self.spool.ledger().next_seq, (level, step));
        self.spool.append(vec![draft], Urgency::Now).await.unwrap();
    }

    /// What is gone by now, number by number.
    async fn lost(&self) -> BTreeMap<u64, (Level, u32)> {
        let gaps = self.spool.gaps().await.unwrap();
        assert!(gaps.iter().all(|gap| gap.is_exact() && gap.reason == DropReason::SpoolFull));
        let numbers = gaps.iter().flat_map(|gap| gap.first..=gap.last);
        numbers.map(|seq| (seq, self.given[&seq])).collect()
    }

    /// The least valuable level's oldest goes first: whatever went at this step, nothing less
    /// valuable stayed behind, and of its own level nothing older.
    fn assert_rule(
        &self,
        before: &BTreeMap<u64, (Level, u32)>,
        after: &BTreeMap<u64, (Level, u32)>,
    ) {
        let went = after.iter().filter(|(seq, _)| !before.contains_key(seq));
        for (seq, (level, step)) in went {
            let stayed = self.given.iter().filter(|(seq, _)| !after.contains_key(seq));
            for (other, (of, at)) in stayed {
                assert!(
                    of < level || (of == level && other > seq) || (of > level && at == step),
                    "{seq} ({level}) went while {other} ({of}) stayed"
                );
            }
        }
    }
}

/// The uploader to a collector, until what waits is gone; ranges are told as the agent tells them.
async fn catch_up(host: &Host, collector: &Collector) -> Flushed {
    let (_settings, settings) = watch::channel(Arc::new(destination(collector, &host.spool)));
    let (commands, received) = mpsc::channel(1);
    let (_stop, stop) = watch::channel(None);
    let (ask, mut asked) = mpsc::channel::<oneshot::Sender<()>>(1);
    let (uploader, _status) = Uploader::new(host.spool.clone());
    let (done, flushed) = oneshot::channel();
    commands.send(Command::Flush { done }).await.unwrap();
    let telling = async {
        while let Some(done) = asked.recv().await {
            let gaps = host.spool.gaps().await.unwrap();
            let events = gaps.iter().map(|gap| {
                let (cause, count) = (gap.reason.word(), gap.count);
                Gap { cause, count, first: gap.first, last: gap.last }.into()
            });
            let drafts = events.map(|event| host.draft(Level::Security, &event)).collect();
            host.spool.append(drafts, Urgency::Now).await.unwrap();
            host.told.borrow_mut().extend(&gaps);
            host.spool.append_then(Vec::new(), Then::GapsTold(gaps)).await.unwrap();
            done.send(()).unwrap();
        }
    };
    tokio::select! {
        () = uploader.with_herald(ask).run(settings, received, stop) => unreachable!("it stopped"),
        () = telling => unreachable!("nobody asks any more"),
        flushed = flushed => flushed.unwrap(),
    }
}

fn destination(collector: &Collector, spool: &Spool) -> UploadSettings {
    let resource = Resource::here(Some(spool.install_id().to_owned()), "0.0.0").encode();
    UploadSettings {
        enabled: true,
        ceiling: Level::Full,
        hold: None,
        destination: Some(Destination {
            endpoint: collector.endpoint().parse().unwrap(),
            pins: collector.pins().iter().map(|pin| pin.parse().unwrap()).collect(),
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
        resource: resource.into(),
        max_bytes_per_day: None,
    }
}

#[test]
fn an_hour_without_a_receiver_loses_what_the_rule_says_and_the_collector_names_it() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let collector = Collector::start();
        let dir = tempfile::tempdir().unwrap();
        let mut host = Host::new(dir.path());
        let mut lost = BTreeMap::new();
        for step in 0..STEPS {
            host.clock.advance(STEP);
            host.keep(step, Level::Full, 2_000).await;
            host.keep(step, Level::Enhanced, 3_000).await;
            if step % 6 == 0 {
                host.keep(step, Level::Basic, 3_000).await;
            }
            if step % 60 == 0 {
                host.keep(step, Level::Security, 200).await;
            }
            let now = host.lost().await;
            host.assert_rule(&lost, &now);
            lost = now;
        }
        let levels = |of| lost.values().filter(|(level, _)| *level == of).count();
        assert!(levels(Level::Full) > 300 && levels(Level::Enhanced) > 50, "the cap was reached");
        assert_eq!(levels(Level::Basic) + levels(Level::Security), 0);

        let flushed = catch_up(&host, &collector).await;
        assert!(flushed.drained, "{flushed:?}");
        let ledger = host.spool.ledger();
        // The declarations themselves took the place of a few more, which were told at the end.
        let more: BTreeSet<u64> =
            host.told.borrow().iter().flat_map(|gap| gap.first..=gap.last).collect();
        assert!(lost.keys().all(|seq| more.contains(seq)));
        assert!(more.iter().all(|seq| host.given[seq].0 > Level::Basic));
        let lost = more;
        assert_eq!(ledger.dropped.get(DropReason::SpoolFull), lost.len() as u64);
        let arrived = sequence(&collector.records());
        let expected = (1..=ledger.generated).filter(|seq| !lost.contains(seq)).collect();
        assert_eq!(arrived, expected);

        // With the ledger's own words beside them, the declarations agree with it.
        let dropped = vec![Dropped { reason: "spool_full", count: lost.len() as u64 }];
        let health = Health { dropped_by_reason: dropped, ..Health::default() };
        let draft = host.draft(Level::Basic, &health.into());
        host.spool.append(vec![draft], Urgency::Now).await.unwrap();
        assert!(catch_up(&host, &collector).await.drained);
        let mut lines = collector.gaps();
        let sums = lines.pop().unwrap();
        let named: Vec<u64> = lines
            .iter()
            .inspect(|line| assert_eq!(line["cause"], "spool_full"))
            .flat_map(|line| line["first"].as_u64().unwrap()..=line["last"].as_u64().unwrap())
            .collect();
        assert_eq!(named, lost.iter().copied().collect::<Vec<_>>());
        let count = json!({ "spool_full": lost.len() });
        let expected: Value = json!({
            "install_id": host.spool.install_id(), "missing": lost.len(), "undeclared": 0,
            "declared": count, "ledger": count, "agrees": true,
        });
        assert_eq!(sums, expected);
    });
}

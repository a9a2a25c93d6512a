//! The spool against a naive queue in memory: the same operations, the same answers, the same
//! ledger, with a crash or a restart thrown in anywhere.

use std::collections::BTreeMap;

use candor_model::{Draft, DropReason, Kind, Level};
use candor_spool::{RowId, Spool, Urgency, Want};
use proptest::prelude::*;

use crate::kit::{assert_sound, frames, open, run, snapshot};

#[derive(Clone, Debug)]
enum Step {
    Append(Vec<(Level, Kind, u16)>, Urgency),
    Commit,
    /// Reads a parcel and acknowledges it, with so many rejects.
    Upload(usize, u64),
    /// Reads a parcel and settles its first row: splits it, and rejects what cannot be split.
    Refuse,
    DropFirst,
    LowerTo(Level),
    Raise(Level),
    Clear,
    Restart,
    Crash,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Waiting {
    level: Level,
    kind: Kind,
    body: Vec<u8>,
}

/// The naive queue.
#[derive(Debug, Default)]
struct Model {
    waiting: BTreeMap<u64, Waiting>,
    lingering: Vec<Waiting>,
    ceiling: Option<Level>,
    next: u64,
    uploaded: u64,
    withheld: u64,
    dropped: BTreeMap<DropReason, u64>,
}

impl Model {
    fn append(&mut self, drafts: Vec<Waiting>, urgency: Urgency) {
        let ceiling = self.ceiling.unwrap_or(Level::Full);
        let offered = drafts.len();
        let allowed: Vec<_> = drafts.into_iter().filter(|d| d.level <= ceiling).collect();
        self.withheld += (offered - allowed.len()) as u64;
        let security = allowed.iter().any(|draft| draft.level == Level::Security);
        self.lingering.extend(allowed);
        if urgency == Urgency::Now || security {
            self.commit();
        }
    }

    fn commit(&mut self) {
        let mut drafts = std::mem::take(&mut self.lingering);
        drafts.sort_by_key(|draft| (draft.level, draft.kind));
        for draft in drafts {
            self.next += 1;
            self.waiting.insert(self.next, draft);
        }
    }

    fn drop_where(&mut self, reason: DropReason, gone: impl Fn(u64, &Waiting) -> bool) -> u64 {
        let before = self.waiting.len();
        self.waiting.retain(|&seq, waiting| !gone(seq, waiting));
        let count = (before - self.waiting.len()) as u64;
        *self.dropped.entry(reason).or_default() += count;
        count
    }

    fn linger_out(&mut self, level: Option<Level>) {
        let before = self.lingering.len();
        self.lingering.retain(|draft| level.is_some_and(|level| draft.level <= level));
        self.withheld += (before - self.lingering.len()) as u64;
    }

    /// What a parcel holds is what waits, and nothing more valuable or older waits before it.
    fn check(&self, kind: Kind, frames: &[(u64, Vec<u8>)]) {
        for (seq, body) in frames {
            let waiting = &self.waiting[seq];
            assert_eq!((waiting.kind, &waiting.body), (kind, body));
        }
        let first = self.waiting.iter().min_by_key(|(seq, w)| (w.level > Level::Security, **seq));
        assert_eq!(first.map(|(seq, _)| *seq), frames.first().map(|frame| frame.0));
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let level = prop::sample::select(Level::ALL.to_vec());
    let kind = prop::sample::select(Kind::ALL.to_vec());
    let urgency = prop::sample::select(vec![Urgency::Now, Urgency::Linger]);
    let drafts = prop::collection::vec((level.clone(), kind, 0..3000_u16), 0..12);
    let step = prop_oneof![
        6 => (drafts, urgency).prop_map(|(drafts, urgency)| Step::Append(drafts, urgency)),
        1 => Just(Step::Commit),
        4 => (1..20_000_usize, 0..3_u64).prop_map(|(max, rejects)| Step::Upload(max, rejects)),
        2 => Just(Step::Refuse),
        1 => Just(Step::DropFirst),
        1 => level.clone().prop_map(Step::LowerTo),
        2 => level.prop_map(Step::Raise),
        1 => Just(Step::Clear),
        1 => Just(Step::Restart),
        1 => Just(Step::Crash),
    ];
    prop::collection::vec(step, 1..30)
}

/// The spool, the directory in which it is, and the model beside it.
struct Bench {
    dir: tempfile::TempDir,
    spool: Spool,
    model: Model,
    made: u32,
}

impl Bench {
    async fn step(&mut self, step: Step) {
        match step {
            Step::Append(drafts, urgency) => self.append(drafts, urgency).await,
            Step::Commit => {
                self.spool.commit().await.unwrap();
                self.model.commit();
            }
            Step::Upload(max, rejects) => self.upload(max, rejects).await,
            Step::Refuse => self.refuse().await,
            Step::DropFirst => {
                if let Some((row, seqs)) = self.first().await {
                    self.spool.drop_rows(&[row], DropReason::Deleted).await.unwrap();
                    self.model.drop_where(DropReason::Deleted, |seq, _| seqs.contains(&seq));
                }
            }
            Step::LowerTo(level) => {
                let withdrawn = self.spool.lower_to(level).await.unwrap();
                self.model.ceiling = Some(level);
                self.model.linger_out(Some(level));
                let gone = self.model.drop_where(DropReason::Withdrawn, |_, w| w.level > level);
                assert_eq!(withdrawn, gone);
            }
            Step::Raise(level) => {
                self.spool.set_ceiling(level).await.unwrap();
                self.model.ceiling = Some(level);
            }
            Step::Clear => {
                let cleared = self.spool.clear(DropReason::Disabled).await.unwrap();
                self.model.linger_out(None);
                assert_eq!(cleared, self.model.drop_where(DropReason::Disabled, |_, _| true));
            }
            Step::Restart => self.restart().await,
            Step::Crash => self.crash().await,
        }
    }

    async fn append(&mut self, drafts: Vec<(Level, Kind, u16)>, urgency: Urgency) {
        let mut own = Vec::new();
        for (level, kind, length) in drafts {
            self.made += 1;
            let mut body = self.made.to_be_bytes().to_vec();
            body.resize(4 + usize::from(length), 0x5a);
            own.push(Waiting { level, kind, body });
        }
        let boot: std::sync::Arc<str> = "boot".into();
        let drafts = own.iter().cloned().map(|w| Draft {
            level: w.level,
            kind: w.kind,
            boot: boot.clone(),
            body: w.body,
        });
        self.spool.append(drafts.collect(), urgency).await.unwrap();
        self.model.append(own, urgency);
    }

    async fn upload(&mut self, max: usize, rejects: u64) {
        let Some(parcel) = self.spool.next(Want::all(max)).await.unwrap() else {
            return assert!(self.model.waiting.is_empty());
        };
        let got = frames(&parcel);
        self.model.check(parcel.kind, &got);
        let rows: Vec<RowId> = parcel.rows.iter().map(|row| row.id).collect();
        self.spool.uploaded(&rows, rejects).await.unwrap();
        let rejects = rejects.min(got.len() as u64);
        self.model.uploaded += got.len() as u64 - rejects;
        *self.model.dropped.entry(DropReason::Rejected).or_default() += rejects;
        for (seq, _) in &got {
            self.model.waiting.remove(seq);
        }
    }

    async fn first(&self) -> Option<(RowId, Vec<u64>)> {
        let parcel = self.spool.next(Want::all(1)).await.unwrap()?;
        let seqs = frames(&parcel).iter().map(|frame| frame.0).collect();
        Some((parcel.rows[0].id, seqs))
    }

    async fn refuse(&mut self) {
        let Some((row, seqs)) = self.first().await else { return };
        let split = self.spool.split(row).await.unwrap();
        assert_eq!(split, seqs.len() > 1);
        if !split {
            self.spool.reject(row, "no").await.unwrap();
            self.model.drop_where(DropReason::Rejected, |seq, _| seqs.contains(&seq));
        }
    }

    async fn restart(&mut self) {
        let other = open(tempfile::tempdir().unwrap().path());
        std::mem::replace(&mut self.spool, other).close().await.unwrap();
        self.model.commit();
        self.model.ceiling = None;
        self.spool = open(self.dir.path());
    }

    async fn crash(&mut self) {
        // All that was told is done before the picture is taken.
        self.spool.meta("a barrier").await.unwrap();
        let copy = snapshot(self.dir.path());
        let lost = self.spool.ledger();
        assert_eq!(lost.lingering.events, self.model.lingering.len() as u64);
        self.spool = open(copy.path());
        self.dir = copy;
        self.model.lingering.clear();
        self.model.ceiling = None;
        // What is beside the ledger is stored with the next commit; a crash may forget it.
        self.model.withheld = self.spool.ledger().withheld;
    }

    async fn compare(&self) {
        let verdict = self.spool.verify().await.unwrap();
        assert!(verdict.is_sound(), "{verdict:?}");
        let ledger = assert_sound(&self.spool).await;
        let model = &self.model;
        assert_eq!(ledger.generated, model.next);
        assert_eq!(ledger.uploaded, model.uploaded);
        assert_eq!(ledger.pending, model.waiting.len() as u64);
        assert_eq!(ledger.lingering.events, model.lingering.len() as u64);
        assert_eq!(ledger.withheld, model.withheld);
        for (reason, dropped) in ledger.dropped.iter() {
            assert_eq!(dropped, model.dropped.get(&reason).copied().unwrap_or(0), "{reason:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn the_spool_does_what_a_naive_queue_does(steps in steps()) {
        run(async {
            let dir = tempfile::tempdir().unwrap();
            let spool = open(dir.path());
            let mut bench = Bench { dir, spool, model: Model::default(), made: 0 };
            for step in steps {
                bench.step(step).await;
                bench.compare().await;
            }
        });
    }
}

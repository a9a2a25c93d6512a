//! The run that everything is tried on, and what a store holds, so that two can be compared.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::temp;
use candor_model::{Draft, DropReason, Kind, Level};
use candor_platform::ManualClock;
use candor_spool::{
    Framing, Gap, Ledger, Settings, Spool, SpoolError, Surroundings, Then, Urgency, Want,
};

/// Frames of `length (4 bytes), number (8 bytes), body`.
struct Plain;

impl Framing for Plain {
    fn seal(&self, _: Kind, body: &[u8], seq: u64, out: &mut Vec<u8>) {
        out.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
        out.extend(seq.to_be_bytes());
        out.extend(body);
    }

    fn frame_len(&self, _: Kind, bytes: &[u8]) -> Option<usize> {
        let length = u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?) as usize + 12;
        (length <= bytes.len()).then_some(length)
    }

    fn unseal(&self, _: Kind, frame: &[u8], seq: u64) -> Option<Vec<u8>> {
        (frame.get(4..12)? == seq.to_be_bytes()).then(|| frame[12..].to_vec())
    }
}

/// Opens a store on a host on which no time passes.
pub(crate) fn open(dir: &Path) -> Result<Spool, candor_spool::OpenError> {
    let day = Duration::from_hours(24);
    let clock = ManualClock::new(SystemTime::UNIX_EPOCH + day * 20_000);
    let settings = Settings {
        max_bytes: 400 * 1024,
        min_free: 0,
        linger: Duration::from_hours(1),
        ..Settings::default()
    };
    let outside = Surroundings::with_clock(Box::new(clock));
    Spool::open_with(dir, settings, Box::new(Plain), outside)
}

pub(crate) fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

/// One thing that is done to the spool.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// So many drafts of a level, of so many bytes.
    Append(Level, u8, usize),
    Linger(Level, u8, usize),
    Commit,
    /// Acknowledges a parcel, but for so many.
    Upload(usize, u64),
    /// Splits the first row, or rejects it where it holds one record.
    Refuse,
    Replay,
    Tell,
    Meta(u8),
    LowerTo(Level),
    Clear,
}

/// The script: every change that a spool can make, and rows of every size.
pub(crate) const SCRIPT: &[Step] = {
    use Level::{Basic, Enhanced, Full, Security};
    use Step::{Append, Clear, Commit, Linger, LowerTo, Meta, Refuse, Replay, Tell, Upload};
    &[
        Append(Basic, 3, 300),
        Append(Full, 1, 9_000),
        Linger(Enhanced, 4, 700),
        Meta(1),
        Append(Security, 2, 100),
        Upload(2_000, 1),
        Linger(Full, 2, 70_000),
        Commit,
        Refuse,
        Refuse,
        Append(Enhanced, 30, 900),
        Refuse,
        Tell,
        Upload(60_000, 0),
        Append(Full, 6, 60_000),
        Append(Basic, 3, 60_000),
        Upload(30_000, 2),
        Replay,
        LowerTo(Enhanced),
        Append(Full, 2, 500),
        Append(Basic, 8, 5_000),
        Tell,
        Meta(2),
        Upload(1, 0),
        Clear,
        Append(Security, 5, 2_000),
        Upload(100_000, 0),
        Append(Enhanced, 5, 400),
    ]
};

/// How many drafts a step hands over.
pub(crate) fn handed_over(step: Step) -> u8 {
    match step {
        Step::Append(_, count, _) | Step::Linger(_, count, _) => count,
        _ => 0,
    }
}

/// The drafts of a step; each body tells its step and its place.
pub(crate) fn drafts(number: usize, level: Level, count: u8, length: usize) -> Vec<Draft> {
    let draft = |n: u8| {
        let kind = Kind::ALL[usize::from(n) / 2 % Kind::ALL.len()];
        let mut body = vec![u8::try_from(number).unwrap(), n];
        fill(&mut body, length);
        Draft { level, kind, boot: "boot".into(), body }
    };
    (0..count).map(draft).collect()
}

/// Lengthens a body by bytes that do not pack and that its first two tell.
fn fill(body: &mut Vec<u8>, length: usize) {
    let mut state = u64::from(body[0]) << 8 | u64::from(body[1]);
    while body.len() < length {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        body.extend(&state.to_le_bytes()[4..]);
    }
    body.truncate(length.max(2));
}

/// Does one step.
pub(crate) async fn step(spool: &Spool, number: usize, step: Step) -> Result<(), SpoolError> {
    match step {
        Step::Append(level, count, length) => {
            spool.append(drafts(number, level, count, length), Urgency::Now).await
        }
        Step::Linger(level, count, length) => {
            spool.append(drafts(number, level, count, length), Urgency::Linger).await
        }
        Step::Commit => spool.commit().await,
        Step::Upload(max, rejected) => {
            let Some(parcel) = spool.next(Want::all(max)).await? else { return Ok(()) };
            let rows: Vec<_> = parcel.rows.iter().map(|row| row.id).collect();
            spool.uploaded(&rows, rejected).await
        }
        Step::Refuse => {
            let Some(parcel) = spool.next(Want::all(1)).await? else { return Ok(()) };
            let row = parcel.rows[0].id;
            if spool.split(row).await? { Ok(()) } else { spool.reject(row, "400 no").await }
        }
        Step::Replay => {
            let letters = spool.dead_letters().await?;
            let Some(letter) = letters.first() else { return Ok(()) };
            spool.replay(letter.seq).await.map(drop)
        }
        Step::Tell => {
            let gaps = spool.gaps().await?;
            spool.append_then(Vec::new(), Then::GapsTold(gaps)).await
        }
        Step::Meta(value) => spool.set_meta("key", &value.to_string()).await,
        Step::LowerTo(level) => spool.lower_to(level).await.map(drop),
        Step::Clear => spool.clear(DropReason::Disabled).await.map(drop),
    }
}

/// What a store holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holding {
    pub(crate) generated: u64,
    pub(crate) uploaded: u64,
    pub(crate) dropped: Vec<u64>,
    pub(crate) waiting: BTreeMap<u64, Vec<u8>>,
    pub(crate) dead: Vec<u64>,
    pub(crate) gaps: Vec<Gap>,
    pub(crate) meta: Option<String>,
    pub(crate) install_id: String,
    pub(crate) damages: u64,
}

/// Opens a store, checks it in itself, and takes everything out of it.
pub(crate) async fn holding(dir: &Path) -> Holding {
    let spool = open(dir).unwrap();
    let holding = held(&spool).await;
    spool.close().await.unwrap();
    holding
}

/// The same of an open one.
pub(crate) async fn held(spool: &Spool) -> Holding {
    let verdict = spool.verify().await.unwrap();
    let ledger = spool.ledger();
    assert!(verdict.is_sound() && ledger.balances(), "{verdict:?} {ledger:?}");
    let gaps = spool.gaps().await.unwrap();
    let dead = spool.dead_letters().await.unwrap().iter().map(|letter| letter.seq).collect();
    let meta = spool.meta("key").await.unwrap();
    let waiting = drain(spool).await;
    assert_eq!(waiting.len() as u64, ledger.pending);
    let install_id = spool.install_id().to_owned();
    let Ledger { generated, uploaded, damages, .. } = ledger;
    let dropped = ledger.dropped.iter().map(|(_, count)| count).collect();
    Holding { generated, uploaded, dropped, waiting, dead, gaps, meta, install_id, damages }
}

/// Everything that waits, by number; each number once, each body as it was made.
pub(crate) async fn drain(spool: &Spool) -> BTreeMap<u64, Vec<u8>> {
    let mut all = BTreeMap::new();
    while let Some(parcel) = spool.next(Want::all(200_000)).await.unwrap() {
        for row in &parcel.rows {
            let stored = row.frames().unwrap();
            let mut rest = &stored[..];
            while let Some(length) = Plain.frame_len(parcel.kind, rest) {
                let seq = u64::from_be_bytes(rest[4..12].try_into().unwrap());
                let body = rest[12..length].to_vec();
                let mut made = body[..2].to_vec();
                fill(&mut made, body.len());
                assert!(body == made, "{seq} is bent");
                assert!(all.insert(seq, body).is_none(), "{seq} came twice");
                rest = &rest[length..];
            }
            assert!(rest.is_empty());
        }
        let rows: Vec<_> = parcel.rows.iter().map(|row| row.id).collect();
        spool.uploaded(&rows, 0).await.unwrap();
    }
    all
}

/// A copy of a state directory, but for the reserve.
pub(crate) fn copy(dir: &Path) -> tempfile::TempDir {
    let copy = temp();
    for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
        if entry.file_name() != "spool.reserve" {
            std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
        }
    }
    copy
}

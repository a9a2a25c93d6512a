//! What the suites share: a framing that a test can read, drafts, and a runtime.

use std::path::Path;
use std::time::{Duration, SystemTime};

use candor_model::{Draft, Kind, Level};
use candor_platform::ManualClock;
use candor_spool::{Framing, Ledger, Parcel, Settings, Spool, Surroundings, Urgency, Want};

/// Frames of `length (4 bytes, big endian), number (8 bytes), body`.
pub(crate) struct Plain;

impl Framing for Plain {
    fn seal(&self, _: Kind, body: &[u8], seq: u64, out: &mut Vec<u8>) {
        out.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
        out.extend(seq.to_be_bytes());
        out.extend(body);
    }

    fn frame_len(&self, _: Kind, bytes: &[u8]) -> Option<usize> {
        let length = u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?);
        let length = usize::try_from(length).ok()? + 12;
        (length <= bytes.len()).then_some(length)
    }

    fn unseal(&self, kind: Kind, frame: &[u8], seq: u64) -> Option<Vec<u8>> {
        let is_its = self.frame_len(kind, frame) == Some(frame.len());
        (is_its && frame[4..12] == seq.to_be_bytes()).then(|| frame[12..].to_vec())
    }
}

/// The frames of a parcel as (number, body), in order.
pub(crate) fn frames(parcel: &Parcel) -> Vec<(u64, Vec<u8>)> {
    let mut frames = Vec::new();
    for row in &parcel.rows {
        let stored = row.frames().unwrap();
        let mut rest = &stored[..];
        let first = frames.len();
        while let Some(length) = Plain.frame_len(parcel.kind, rest) {
            let seq = u64::from_be_bytes(rest[4..12].try_into().unwrap());
            frames.push((seq, rest[12..length].to_vec()));
            rest = &rest[length..];
        }
        assert!(rest.is_empty(), "a row ends with a whole frame");
        assert_eq!(frames.len() - first, row.records as usize);
        assert_eq!(frames[first].0, row.first_seq);
    }
    frames
}

pub(crate) fn draft(level: Level, body: impl Into<Vec<u8>>) -> Draft {
    Draft { level, kind: Kind::Log, boot: "boot-1".into(), body: body.into() }
}

/// A body of so many bytes that do not pack, the first of which is `tag`.
pub(crate) fn noise(tag: u8, length: usize) -> Vec<u8> {
    let mut state = u64::from(tag) + 1;
    let mut body = vec![tag];
    while body.len() < length {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        body.extend(&state.to_le_bytes()[4..]);
    }
    body.truncate(length);
    body
}

/// No time passes, nothing is due by itself, the disk is large.
pub(crate) fn settings() -> Settings {
    Settings { min_free: 0, linger: Duration::from_hours(1), ..Settings::default() }
}

pub(crate) fn clock() -> ManualClock {
    ManualClock::new(SystemTime::UNIX_EPOCH + Duration::from_hours(24 * 20_000))
}

pub(crate) fn open(dir: &Path) -> Spool {
    open_as(dir, settings())
}

pub(crate) fn open_as(dir: &Path, settings: Settings) -> Spool {
    open_at(dir, settings, &clock())
}

pub(crate) fn open_at(dir: &Path, settings: Settings, clock: &ManualClock) -> Spool {
    let outside = Surroundings::with_clock(Box::new(clock.clone()));
    Spool::open_with(dir, settings, Box::new(Plain), outside).unwrap()
}

pub(crate) fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

pub(crate) async fn now(spool: &Spool, drafts: Vec<Draft>) {
    spool.append(drafts, Urgency::Now).await.unwrap();
}

/// Takes everything that waits, as an uploader would; what it got, by number.
pub(crate) async fn drain(spool: &Spool) -> Vec<(u64, Vec<u8>)> {
    let mut all = Vec::new();
    while let Some(parcel) = spool.next(Want::all(100_000)).await.unwrap() {
        all.extend(frames(&parcel));
        let rows: Vec<_> = parcel.rows.iter().map(|row| row.id).collect();
        spool.uploaded(&rows, 0).await.unwrap();
    }
    all
}

/// A copy of a state directory as a crash at this moment would leave it.
pub(crate) fn snapshot(dir: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    copy
}

/// The identity holds, and the rows say the same.
pub(crate) async fn assert_sound(spool: &Spool) -> Ledger {
    let verdict = spool.verify().await.unwrap();
    let ledger = spool.ledger();
    assert!(verdict.is_sound(), "{verdict:?} {ledger:?}");
    assert!(ledger.balances(), "{ledger:?}");
    ledger
}

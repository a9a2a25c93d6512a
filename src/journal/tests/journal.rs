//! The journal on a real file system: what it gives back, what it lets go, and what it says of damage.
#![expect(clippy::unwrap_used, reason = "a test may fail by it")]

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use candor_journal::{
    Bounds, Ending, Entry, Fate, Hole, Journal, Look, Mark, Outcome, Reader, Request, Run, Verdict,
};
use candor_model::{Kind, Level};

const HOUR: u64 = 3600;

fn at(seconds: u64) -> SystemTime {
    // Close to the times that the file system gives.
    static BEGAN: OnceLock<u64> = OnceLock::new();
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    UNIX_EPOCH + Duration::from_secs(BEGAN.get_or_init(now) + seconds)
}

fn request(first: u64, time: SystemTime) -> Request {
    Request {
        time,
        endpoint: "https://t.example/v1/logs".into(),
        pin: "sha256/pin".into(),
        tls: "1.3".into(),
        kind: Kind::Log,
        encoding: "zstd".into(),
        runs: vec![Run { first, records: 3, level: Level::Basic, bytes: 500 }],
    }
}

fn answered(status: u16) -> Outcome {
    Outcome {
        time: at(1),
        ending: Ending::Answered { status },
        answer: "words".into(),
        rejected: 0,
    }
}

fn body(number: u64, length: usize) -> Vec<u8> {
    let mut seed = number;
    let mut next = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        seed.to_le_bytes()[7]
    };
    std::iter::repeat_with(&mut next).take(length).collect()
}

/// Requests of so many bytes, each a second after the other and answered with 200.
fn fill(journal: &Journal, numbers: std::ops::RangeInclusive<u64>, length: usize) {
    for number in numbers {
        let flight = journal.begin(&request(number * 10, at(number)), &body(number, length));
        journal.end(flight, answered(200));
    }
}

fn entries(reader: &Reader) -> (Vec<(Entry, Vec<u8>)>, Vec<Hole>) {
    let (mut entries, mut holes) = (Vec::new(), Vec::new());
    reader
        .newest_first(|look| {
            match look {
                Look::Entry(entry, body) => entries.push((*entry, body.to_vec())),
                Look::Hole(hole) => holes.push(hole),
            }
            ControlFlow::<()>::Continue(())
        })
        .unwrap();
    (entries, holes)
}

fn numbers(reader: &Reader) -> Vec<u64> {
    entries(reader).0.iter().map(|(entry, _)| entry.number).collect()
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(dir.join("journal")).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

fn verify(dir: &Path) -> Verdict {
    Reader::open(dir).unwrap().verify().unwrap()
}

#[test]
fn what_was_written_reads_back_with_its_exact_bytes_newest_first() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::new(dir.path(), Bounds::default());
    assert!(!dir.path().join("journal").exists(), "nothing is touched before the first request");
    fill(&journal, 1..=3, 1000);
    let flight = journal.begin(&request(40, at(4)), b"four");
    assert_eq!((journal.flying()[0].first, journal.flying_number()), (40, Some(4)));
    for reader in [journal.reader().unwrap(), Reader::open(dir.path()).unwrap()] {
        let (all, holes) = entries(&reader);
        assert_eq!(all.iter().map(|(entry, _)| entry.number).collect::<Vec<_>>(), [4, 3, 2, 1]);
        assert!(holes.is_empty());
        let (fourth, third) = (&all[0], &all[1]);
        assert_eq!((fourth.0.outcome.as_ref(), fourth.0.fate()), (None, Fate::Open));
        assert_eq!(fourth.1, b"four");
        assert_eq!(third.0.request, request(30, at(3)));
        assert_eq!(third.0.outcome, Some(answered(200)));
        assert_eq!((third.0.fate(), third.0.body_bytes), (Fate::Taken, 1000));
        assert_eq!(third.1, body(3, 1000));
        assert_eq!(reader.body(&third.0).unwrap(), Some(body(3, 1000)));
        assert_eq!(reader.find(2).unwrap().unwrap().request.runs[0].first, 20);
        assert_eq!(reader.find(5).unwrap(), None);
        let verdict = reader.verify().unwrap();
        assert!(verdict.is_sound(), "{verdict:?}");
        assert_eq!((verdict.entries, verdict.first, verdict.last), (4, Some(1), Some(4)));
    }
    journal.end(flight, answered(503));
    assert!(journal.flying().is_empty());
}

#[test]
fn the_fate_of_records_is_told_by_the_answer() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::new(dir.path(), Bounds::default());
    let alone = |status| (status, 1, 0);
    for (status, records, rejected) in
        [(200, 3, 0), (202, 3, 3), (200, 3, 1), (413, 3, 0), alone(400), alone(422), (503, 1, 0)]
    {
        let mut request = request(1, at(0));
        request.runs[0].records = records;
        let flight = journal.begin(&request, b"x");
        journal.end(flight, Outcome { rejected, ..answered(status) });
    }
    let flight = journal.begin(&request(1, at(0)), b"x");
    journal.end(flight, Outcome { ending: Ending::BrokenOff, ..answered(0) });
    let fates: Vec<Fate> =
        entries(&journal.reader().unwrap()).0.iter().map(|e| e.0.fate()).collect();
    let (open, taken, refused) = (Fate::Open, Fate::Taken, Fate::Refused);
    assert_eq!(fates, [open, open, refused, refused, open, taken, refused, taken]);
}

#[test]
fn a_segment_is_named_by_its_content() {
    let dir = tempfile::tempdir().unwrap();
    let bounds = Bounds { max_bytes: 80_000, ..Bounds::default() };
    let journal = Journal::new(dir.path(), bounds);
    fill(&journal, 1..=12, 3000);
    let before = journal.reader().unwrap().by_segment();
    assert!(before.len() >= 3, "{}", before.len());
    let parts: Vec<u64> = before.iter().flat_map(|(_, part)| numbers(part)).collect();
    assert_eq!(parts, (1..=12).rev().collect::<Vec<_>>());
    fill(&journal, 13..=13, 100);
    let after = journal.reader().unwrap().by_segment();
    let is_known = |of: &[(Mark, Reader)], mark: &Mark| of.iter().any(|(known, _)| known == mark);
    assert!(!is_known(&before, &after[0].0), "it has grown");
    assert!(before[1..].iter().all(|(mark, _)| is_known(&after, mark)));
    journal.clear().unwrap();
    fill(&journal, 1..=12, 3000);
    let anew = journal.reader().unwrap().by_segment();
    assert!(anew.iter().all(|(mark, _)| !is_known(&before, mark)), "the same numbers and lengths");
}

#[test]
fn a_restart_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..4 {
        let journal = Journal::new(dir.path(), Bounds::default());
        fill(&journal, round * 5 + 1..=round * 5 + 5, 100);
    }
    assert_eq!(numbers(&Reader::open(dir.path()).unwrap()), (1..=20).rev().collect::<Vec<_>>());
    assert!(verify(dir.path()).is_sound());
    assert_eq!(files(dir.path()).len(), 1);
}

#[test]
fn the_bytes_on_the_disk_stay_within_the_bound_and_what_is_left_verifies() {
    let dir = tempfile::tempdir().unwrap();
    let bounds = Bounds { max_bytes: 200_000, ..Bounds::default() };
    let journal = Journal::new(dir.path(), bounds);
    for number in 1..=300 {
        fill(&journal, number..=number, 900 + usize::try_from(number % 7).unwrap() * 500);
        let bytes: u64 = files(dir.path()).iter().map(|f| fs::metadata(f).unwrap().len()).sum();
        assert!(bytes <= bounds.max_bytes, "{bytes} bytes after {number}");
    }
    let verdict = verify(dir.path());
    assert!(verdict.is_sound(), "{verdict:?}");
    assert_eq!(verdict.last, Some(300));
    assert!(verdict.first.unwrap() > 100 && verdict.bytes > bounds.max_bytes / 2, "{verdict:?}");
}

#[test]
fn a_smaller_bound_counts_at_once_and_none_at_all_leaves_nothing() {
    let bytes = |dir: &Path| -> u64 {
        files(dir).iter().map(|file| fs::metadata(file).unwrap().len()).sum()
    };
    // A journal that is written, and one that was not yet since the start.
    for restarts in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let bounds = Bounds { max_bytes: 200_000, ..Bounds::default() };
        let mut journal = Journal::new(dir.path(), bounds);
        fill(&journal, 1..=60, 3000);
        if restarts {
            journal = Journal::new(dir.path(), bounds);
        }
        assert!(!journal.configure(bounds) && bytes(dir.path()) > 100_000);
        let smaller = Bounds { max_bytes: 90_000, ..bounds };
        assert!(journal.configure(smaller));
        journal.tidy(at(63));
        assert!((1..=smaller.max_bytes).contains(&bytes(dir.path())), "{restarts}");
        let verdict = verify(dir.path());
        assert!(verdict.is_sound() && verdict.last == Some(60), "{verdict:?}");
        fill(&journal, 61..=61, 1000);
        assert_eq!(numbers(&journal.reader().unwrap())[..2], [61, 60]);

        let flight = journal.begin(&request(62, at(62)), b"on its way");
        assert!(journal.configure(Bounds { max_bytes: 0, ..bounds }));
        journal.tidy(at(63));
        assert_eq!(files(dir.path()).len(), 0, "{restarts}");
        assert_eq!((journal.flying()[0].first, journal.flying_number()), (62, None));
        journal.end(flight, answered(200));
        let state = journal.state();
        assert_eq!((state.max_bytes, state.bytes, state.trouble), (0, None, None));
        fill(&journal, 63..=63, 1000);
        journal.sync();
        assert_eq!(files(dir.path()).len(), 0);
        assert!(journal.configure(bounds));
        fill(&journal, 1..=1, 1000);
        assert_eq!(numbers(&journal.reader().unwrap()), [1], "a new chain");
        assert!(verify(dir.path()).is_sound());
    }
}

#[test]
fn requests_that_are_all_too_large_do_not_make_it_grow() {
    let dir = tempfile::tempdir().unwrap();
    let bounds = Bounds { max_bytes: 5_000, ..Bounds::default() };
    let journal = Journal::new(dir.path(), bounds);
    fill(&journal, 1..=50, 6_000);
    let length: u64 = files(dir.path()).iter().map(|f| fs::metadata(f).unwrap().len()).sum();
    assert!(length <= bounds.max_bytes, "{length}");
    let state = journal.state();
    assert_eq!(state.holes, 50);
    assert!(state.trouble.is_some_and(|why| why.contains("journal.max_bytes")));
    fill(&journal, 51..=51, 100);
    assert_eq!(journal.state().trouble, None, "it is told");
    let (_, holes) = entries(&journal.reader().unwrap());
    assert_eq!((holes.len(), holes[0].first, holes[0].last), (1, 1, 50));
    assert!(verify(dir.path()).is_sound());
}

#[test]
fn nothing_is_kept_beyond_its_age() {
    let dir = tempfile::tempdir().unwrap();
    let bounds = Bounds { max_age: Duration::from_secs(8 * HOUR), ..Bounds::default() };
    let journal = Journal::new(dir.path(), bounds);
    for hour in 1..=40 {
        let flight = journal.begin(&request(hour, at(hour * HOUR)), b"x");
        journal.end(flight, answered(200));
        let oldest = entries(&journal.reader().unwrap()).0.pop().unwrap().0.request.time;
        assert!(oldest >= at(hour * HOUR) - bounds.max_age, "hour {hour}");
    }
    assert!(numbers(&journal.reader().unwrap()).len() >= 6);
    assert!(verify(dir.path()).is_sound());
    journal.tidy(at(100 * HOUR));
    assert!(numbers(&journal.reader().unwrap()).is_empty());
    fill(&journal, 41..=41, 10);
    assert_eq!(numbers(&journal.reader().unwrap()), [41], "numbers go on");
}

#[test]
fn what_is_too_old_goes_also_before_the_first_request_of_a_start() {
    let dir = tempfile::tempdir().unwrap();
    fill(&Journal::new(dir.path(), Bounds::default()), 1..=1, 10);
    let bounds = Bounds { max_age: Duration::from_secs(HOUR), ..Bounds::default() };
    let journal = Journal::new(dir.path(), bounds);
    journal.tidy(SystemTime::now());
    assert_eq!(numbers(&journal.reader().unwrap()), [1], "it was written just now");
    journal.tidy(SystemTime::now() + Duration::from_secs(2 * HOUR));
    assert_eq!(files(dir.path()).len(), 0);
}

#[test]
fn an_end_that_a_power_cut_left_is_repaired_and_said() {
    let dir = tempfile::tempdir().unwrap();
    fill(&Journal::new(dir.path(), Bounds::default()), 1..=2, 300);
    let file = files(dir.path()).remove(0);
    let one = {
        let other = tempfile::tempdir().unwrap();
        fill(&Journal::new(other.path(), Bounds::default()), 1..=1, 300);
        fs::read(files(other.path()).remove(0)).unwrap().len()
    };
    let whole = fs::read(&file).unwrap();
    for cut in (one + 1..whole.len()).step_by(7) {
        fs::write(&file, &whole[..cut]).unwrap();
        let before = verify(dir.path());
        assert!(before.is_sound(), "a power cut is no finding: {cut}: {before:?}");
        let journal = Journal::new(dir.path(), Bounds::default());
        fill(&journal, 3..=3, 300);
        let after = verify(dir.path());
        assert!(after.is_sound() && after.torn == 0, "{cut}: {after:?}");
        let left = numbers(&journal.reader().unwrap());
        assert!(left == [3, 2, 1] || left == [2, 1], "{cut}: {left:?}");
    }
}

/// Which entry the record at a place belongs to; the start of a segment to the one behind it.
fn owners(bytes: &[u8]) -> Vec<u64> {
    let mut owners = Vec::new();
    while owners.len() < bytes.len() {
        let head = &bytes[owners.len()..];
        let word = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().unwrap()) as usize;
        let number = u64::from_le_bytes(head[5..13].try_into().unwrap());
        owners.extend(std::iter::repeat_n(number, 25 + word(13) + word(17) + 32));
    }
    owners
}

/// Each byte; under the Windows runtime, where opening a file takes long, one of some.
const STRIDE: usize = if cfg!(windows) { 29 } else { 1 };

#[test]
fn every_changed_byte_is_named_by_its_entry() {
    let dir = tempfile::tempdir().unwrap();
    let bounds = Bounds { max_bytes: 20_000, ..Bounds::default() };
    let journal = Journal::new(dir.path(), bounds);
    fill(&journal, 1..=5, 300);
    // The last one is killed on its way.
    let _flight = journal.begin(&request(60, at(6)), &body(6, 300));
    assert!(files(dir.path()).len() > 2, "several segments");
    let mut flips = 0;
    for file in files(dir.path()) {
        let whole = fs::read(&file).unwrap();
        let owners = owners(&whole);
        for place in (0..whole.len()).step_by(STRIDE) {
            let mut bent = whole.clone();
            bent[place] ^= 1 << (place % 8);
            fs::write(&file, &bent).unwrap();
            let verdict = verify(dir.path());
            let name = file.file_name().unwrap().display();
            assert_eq!(verdict.changed, [owners[place]], "{name} byte {place}: {verdict:?}");
            assert!(verdict.findings()[0].contains(&format!("entry {} ", owners[place])));
            flips += 1;
            if flips % 5 > 0 {
                continue;
            }
            // Whoever wrote it sees it as well, and whoever looks is not shown what was changed.
            assert_eq!(journal.reader().unwrap().verify().unwrap().changed, [owners[place]]);
            let reader = Reader::open(dir.path()).unwrap();
            for (entry, _) in entries(&reader).0 {
                let shown = reader.body(&entry).ok().flatten();
                assert!(shown.is_none_or(|shown| shown == body(entry.number, 300)), "{place}");
            }
        }
        fs::write(&file, &whole).unwrap();
    }
    assert!(flips > 3000 / STRIDE && verify(dir.path()).is_sound());
}

#[test]
fn after_a_changed_byte_the_next_start_goes_on_and_the_finding_stays() {
    let dir = tempfile::tempdir().unwrap();
    fill(&Journal::new(dir.path(), Bounds::default()), 1..=3, 300);
    let file = files(dir.path()).remove(0);
    let whole = fs::read(&file).unwrap();
    for place in [30, 200, whole.len() / 2, whole.len() - 40, whole.len() - 1] {
        let mut bent = whole.clone();
        bent[place] ^= 4;
        fs::write(&file, &bent).unwrap();
        let named = verify(dir.path()).changed;
        assert_eq!(named.len(), 1, "{place}");
        fill(&Journal::new(dir.path(), Bounds::default()), 4..=5, 300);
        assert_eq!(
            fs::read(&file).unwrap()[..bent.len()],
            bent,
            "what was changed is left as it is"
        );
        assert_eq!(verify(dir.path()).changed, named, "{place}: {:?}", verify(dir.path()));
        for later in files(dir.path()).into_iter().skip(1) {
            fs::remove_file(later).unwrap();
        }
    }
}

#[test]
fn a_segment_that_was_taken_away_or_cut_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::new(dir.path(), Bounds { max_bytes: 40_000, ..Bounds::default() });
    fill(&journal, 1..=12, 700);
    let files = files(dir.path());
    let middle = fs::read(&files[1]).unwrap();
    fs::remove_file(&files[1]).unwrap();
    assert!(verify(dir.path()).findings()[0].contains("is missing"), "{:?}", verify(dir.path()));
    fs::write(&files[1], &middle[..middle.len() - 10]).unwrap();
    assert!(!verify(dir.path()).is_sound());
    fs::write(&files[1], &middle).unwrap();
    let last = files.last().unwrap();
    let whole = fs::read(last).unwrap();
    fs::write(last, &whole[..whole.len() - 10]).unwrap();
    assert!(verify(dir.path()).is_sound(), "without its writer it could be a power cut");
    let verdict = journal.reader().unwrap().verify().unwrap();
    assert!(!verdict.is_sound(), "its writer knows better");
}

#[test]
fn what_cannot_be_kept_is_a_hole_that_the_next_record_tells() {
    let dir = tempfile::tempdir().unwrap();
    let bounds = Bounds { max_bytes: 20_000, ..Bounds::default() };
    let journal = Journal::new(dir.path(), bounds);
    fill(&journal, 1..=2, 100);
    for number in 3..=5 {
        let flight = journal.begin(&request(number, at(number)), &body(number, 30_000));
        assert_eq!(journal.flying_number(), None);
        journal.end(flight, answered(200));
    }
    assert_eq!(journal.holes(), 3);
    fill(&journal, 6..=6, 100);
    let (all, holes) = entries(&journal.reader().unwrap());
    assert_eq!(all.iter().map(|(entry, _)| entry.number).collect::<Vec<_>>(), [6, 2, 1]);
    let told: Vec<_> = holes.iter().map(|hole| (hole.first, hole.last, hole.time)).collect();
    assert_eq!(told, [(3, 5, at(5))]);
    assert!(holes[0].reason.contains("journal.max_bytes"), "{holes:?}");
    let verdict = verify(dir.path());
    assert!(verdict.is_sound() && verdict.holes == 3, "{verdict:?}");
}

#[test]
fn a_directory_that_cannot_be_made_costs_holes_and_no_upload() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("journal"), b"in the way").unwrap();
    let journal = Journal::new(dir.path(), Bounds::default());
    fill(&journal, 1..=2, 100);
    assert_eq!(journal.holes(), 2);
    fs::remove_file(dir.path().join("journal")).unwrap();
    fill(&journal, 3..=3, 100);
    let (all, holes) = entries(&journal.reader().unwrap());
    assert_eq!((all.len(), holes.len(), all[0].0.number), (1, 1, 3));
    assert_eq!((holes[0].first, holes[0].last), (1, 2));
    assert!(verify(dir.path()).is_sound());
}

#[test]
fn a_journal_of_no_bytes_writes_none() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::new(dir.path(), Bounds { max_bytes: 0, ..Bounds::default() });
    let flight = journal.begin(&request(7, at(0)), b"x");
    assert_eq!(journal.flying()[0].first, 7, "what is on its way is known all the same");
    journal.end(flight, answered(200));
    journal.sync();
    assert_eq!((journal.holes(), journal.fsyncs()), (0, 0));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn cleared_is_cleared_and_a_new_chain_begins() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::new(dir.path(), Bounds::default());
    fill(&journal, 1..=3, 100);
    let flight = journal.begin(&request(4, at(4)), b"on its way");
    journal.clear().unwrap();
    journal.end(flight, answered(200));
    assert_eq!(files(dir.path()).len(), 0);
    fill(&journal, 1..=1, 100);
    assert_eq!(numbers(&journal.reader().unwrap()), [1]);
    assert!(verify(dir.path()).is_sound());
    drop(journal);
    Journal::clear_stopped(dir.path()).unwrap();
    assert_eq!(files(dir.path()).len(), 0);
    assert!(Reader::open(dir.path()).unwrap().is_empty());
}

#[test]
fn a_request_costs_one_fsync() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::new(dir.path(), Bounds::default());
    fill(&journal, 1..=1, 100);
    let before = journal.fsyncs();
    fill(&journal, 2..=101, 100);
    assert_eq!(journal.fsyncs() - before, 100);
}

#[cfg(unix)]
#[test]
fn the_journal_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    fill(&Journal::new(dir.path(), Bounds::default()), 1..=1, 10);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir.path().join("journal")), 0o700);
    assert_eq!(mode(&files(dir.path())[0]), 0o600);
}

//! Starts and stops of the host, in the system's record of logins.
//!
//! ```text
//! record  0 type i16 | 8 line [32] | 44 user [32] | 340 seconds i32 | …                384 bytes
//!         the same, but the time at 344 as seconds i64, on 64-bit systems
//!         whose 32-bit programs are of another time (arm64, riscv64, loong64)          400 bytes
//! type 2                     a start
//! type 1, user `shutdown`    a stop in order
//! type 1, user `runlevel`    all services are up
//! ```
//!
//! See utmp(5), and glibc's `bits/utmp.h` for the two forms.
//!
//! # Invariants
//! - Of a record only type, time and these two words are looked at.
//! - Order in the file decides what was in order, so that a clock that was wrong at a start does not.
//! - The first start in the file is not judged: what came before it is not known.
//!
//! A file of another form tells nothing.

use candor_model::UnixNanos;

use crate::Host;

/// The most that is read of the end of the file: some five thousand records.
const MAX_BYTES: u64 = 2 << 20;
/// The two forms of a record.
const SIZES: [u64; 2] = [384, 400];
const RUN_LEVEL: u16 = 1;
const START: u16 = 2;
/// Types go from 0 to 9.
const LAST_TYPE: u16 = 9;
const USER_AT: usize = 44;
/// How many days are looked at.
const DAYS: f64 = 90.0;
const SECONDS_PER_DAY: f64 = 86_400.0;
/// A start that took longer is a clock that was set meanwhile.
const LONGEST_START: f64 = 3600.0;

/// What the file tells of the last [`DAYS`] days.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Starts {
    pub(crate) observed_days: Option<f64>,
    pub(crate) count: Option<u64>,
    pub(crate) unclean: Option<u64>,
    pub(crate) days_since_unclean: Option<u64>,
    /// Seconds from the last start's record until all services were up.
    pub(crate) duration: Option<f64>,
}

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mark {
    Start,
    Stop,
    Up,
}

impl Starts {
    /// Reads the host's file; `None` when there is none, or none of starts.
    pub(crate) fn read(host: &Host, now: UnixNanos) -> Option<Self> {
        Self::of(&all(host)?, now)
    }

    /// From what happened when, oldest first.
    fn of(marks: &[(Mark, f64)], now: UnixNanos) -> Option<Self> {
        #[expect(clippy::cast_precision_loss, reason = "days need no nanoseconds")]
        let now = now.0 as f64 / 1e9;
        let age = |time: f64| (now - time) / SECONDS_PER_DAY;
        let is_recent = |time: f64| (0.0..=DAYS).contains(&age(time));
        let first = marks.iter().position(|(mark, _)| *mark == Mark::Start)?;
        let oldest = age(marks.first()?.1).clamp(0.0, DAYS);
        let mut told = Self {
            observed_days: Some(oldest),
            count: Some(0),
            unclean: Some(0),
            ..Self::default()
        };
        let mut before = marks.get(..first).and_then(last_of_order);
        let mut started = None;
        for (mark, time) in marks.iter().skip(first) {
            match mark {
                Mark::Start => {
                    let is_unclean = before == Some(Mark::Start);
                    if is_recent(*time) {
                        told.count = told.count.map(|count| count + 1);
                        told.note(is_unclean, age(*time));
                    }
                    (before, started) = (Some(Mark::Start), Some(*time));
                    told.duration = None;
                }
                Mark::Stop => before = Some(Mark::Stop),
                Mark::Up => {
                    let took = started.take().map(|start| time - start);
                    let took = took.filter(|took| (0.0..=LONGEST_START).contains(took));
                    told.duration = took.or(told.duration);
                }
            }
        }
        Some(told)
    }

    fn note(&mut self, is_unclean: bool, days: f64) {
        if is_unclean {
            self.unclean = self.unclean.map(|count| count + 1);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 90")]
            let days = days as u64;
            self.days_since_unclean = Some(days);
        }
    }
}

/// How many starts without an ordered stop before them stand in the host's file, however old they are.
pub(crate) fn unclean(host: &Host) -> Option<u32> {
    let marks = all(host)?;
    let order: Vec<_> =
        marks.iter().map(|(mark, _)| *mark).filter(|mark| *mark != Mark::Up).collect();
    let count = order.windows(2).filter(|two| *two == [Mark::Start, Mark::Start]).count();
    u32::try_from(count).ok()
}

/// What the host's file says, oldest first; `None` when it is no such file.
fn all(host: &Host) -> Option<Vec<(Mark, f64)>> {
    let path = host.path("var/log/wtmp");
    let len = path.metadata().ok()?.len();
    SIZES.into_iter().filter(|size| len > 0 && len.is_multiple_of(*size)).find_map(|size| {
        let bytes = host.tail(&path, MAX_BYTES / size * size, size)?;
        marks(&bytes, usize::try_from(size).ok()?)
    })
}

/// The last start or stop.
fn last_of_order(marks: &[(Mark, f64)]) -> Option<Mark> {
    marks.iter().rev().map(|(mark, _)| *mark).find(|mark| *mark != Mark::Up)
}

/// What the records say that matter; `None` when the bytes are no records of this size.
fn marks(bytes: &[u8], size: usize) -> Option<Vec<(Mark, f64)>> {
    let mut marks = Vec::new();
    for record in bytes.chunks_exact(size) {
        let kind = u16::from_ne_bytes([*record.first()?, *record.get(1)?]);
        if kind > LAST_TYPE {
            return None;
        }
        let mark = match (kind, user(record)?) {
            (START, _) => Mark::Start,
            (RUN_LEVEL, b"shutdown") => Mark::Stop,
            (RUN_LEVEL, b"runlevel") => Mark::Up,
            _ => continue,
        };
        marks.push((mark, time(record)?));
    }
    Some(marks)
}

fn user(record: &[u8]) -> Option<&[u8]> {
    record.get(USER_AT..USER_AT + 32)?.split(|byte| *byte == 0).next()
}

/// Seconds since 1970.
fn time(record: &[u8]) -> Option<f64> {
    if record.len() == 384 {
        return Some(f64::from(i32::from_ne_bytes(record.get(340..344)?.try_into().ok()?)));
    }
    let seconds = i64::from_ne_bytes(record.get(344..352)?.try_into().ok()?);
    i32::try_from(seconds).ok().map(f64::from)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Now is day 1000 after some moment; a record's time is given in hours before now.
    const NOW: i32 = 1_800_000_000;

    fn record(size: usize, kind: u16, user: &str, hours_ago: i32) -> Vec<u8> {
        let mut record = vec![0; size];
        record[..2].copy_from_slice(&kind.to_ne_bytes());
        record[USER_AT..USER_AT + user.len()].copy_from_slice(user.as_bytes());
        let seconds = NOW - hours_ago * 3600;
        if size == 384 {
            record[340..344].copy_from_slice(&seconds.to_ne_bytes());
        } else {
            record[344..352].copy_from_slice(&i64::from(seconds).to_ne_bytes());
        }
        record
    }

    fn host(bytes: &[u8]) -> (tempfile::TempDir, Host) {
        let root = tempfile::tempdir().unwrap();
        let host = Host::new(root.path());
        fs::create_dir_all(host.path("var/log")).unwrap();
        fs::write(host.path("var/log/wtmp"), bytes).unwrap();
        (root, host)
    }

    fn read(bytes: &[u8]) -> Option<Starts> {
        let (_root, host) = host(bytes);
        Starts::read(&host, UnixNanos(u64::try_from(NOW).unwrap() * 1_000_000_000))
    }

    #[test]
    fn a_start_after_a_start_was_unclean_and_its_days_are_whole() {
        for size in [384, 400] {
            let start = |hours| record(size, START, "reboot", hours);
            let stop = |hours| record(size, RUN_LEVEL, "shutdown", hours);
            let login = |hours| record(size, 7, "shutdown", hours);
            let up = record(size, RUN_LEVEL, "runlevel", 9);
            let file = [start(240), login(239), start(60), stop(30), start(10), up].concat();
            let expected = Starts {
                observed_days: Some(10.0),
                count: Some(3),
                unclean: Some(1),
                // 60 hours.
                days_since_unclean: Some(2),
                duration: Some(3600.0),
            };
            assert_eq!(read(&file), Some(expected), "{size}");
        }
    }

    #[test]
    fn every_unclean_start_in_the_file_is_counted_however_old() {
        for size in [384, 400] {
            let start = |hours| record(size, START, "reboot", hours);
            let stop = record(size, RUN_LEVEL, "shutdown", 5);
            let (up, login) = (record(size, RUN_LEVEL, "runlevel", 1), record(size, 7, "alice", 1));
            let count = |parts: &[&Vec<u8>]| {
                let (_root, host) =
                    host(&parts.iter().copied().flatten().copied().collect::<Vec<_>>());
                unclean(&host)
            };
            let (old, new) = (start(24 * 300), start(1));
            assert_eq!(count(&[&old, &up, &login, &stop, &new]), Some(0));
            assert_eq!(count(&[&old, &up, &login, &new, &new, &stop]), Some(2));
            assert_eq!(count(&[&stop, &new]), Some(0));
            assert_eq!(count(&[&login]), Some(0));
        }
    }

    #[test]
    fn what_lies_before_ninety_days_is_not_told() {
        let start = |hours| record(384, START, "reboot", hours);
        let told = read(&[start(24 * 200), start(24 * 100), start(24)].concat()).unwrap();
        assert_eq!((told.count, told.unclean), (Some(1), Some(1)));
        assert_eq!(told.observed_days, Some(90.0));
    }

    #[test]
    fn a_stop_before_the_first_start_is_in_order_and_an_unknown_past_is_not_judged() {
        let start = record(384, START, "reboot", 5);
        let stop = record(384, RUN_LEVEL, "shutdown", 6);
        assert_eq!(read(&[stop, start.clone()].concat()).unwrap().unclean, Some(0));
        let told = read(&start).unwrap();
        assert_eq!((told.unclean, told.days_since_unclean), (Some(0), None));
    }

    #[test]
    fn what_is_no_such_file_tells_nothing_and_does_not_panic() {
        let login = record(384, 7, "jane", 1);
        for bytes in [&b""[..], &[0; 383], &[255; 384], &[7; 400], &login] {
            assert_eq!(read(bytes), None);
        }
        let start = record(384, START, "reboot", 5);
        for cut in 0..start.len() {
            read(&start[..cut]);
        }
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, bytes};

        bytes(
            "starts::marks",
            Says::Derived("bytes as numbers"),
            &[vec![2; 384 * 3], vec![1; 400 * 2]],
            |bytes: &[u8]| {
                [384, 400].map(|size| {
                    let marks = marks(bytes, size)?;
                    Starts::of(&marks, UnixNanos(1_800_000_000_000_000_000)).map(|_| marks.len())
                })
            },
        );
    }
}

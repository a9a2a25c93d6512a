//! `candor.crash.summary`: programs that crashed, from the kernel's own lines and from what
//! systemd-coredump and Apport keep.
//!
//! # Invariants
//! - Of a dump only its name, size and labels are read, of an Apport report only the lines before the
//!   dump that are named in [`apport`]; never a command line, an environment or memory.
//! - A crash is told once: what a dump and a kernel line say of one process is one event.
//! - At the first look, crashes of the last [`FIRST_WINDOW`] are told: earlier ones were told before
//!   the agent was started anew, or happened before it was installed.
//! - At most [`MAX_TOLD`] crashes a report.
//!
//! Mini dumps do not leave: a dump holds memory contents, and nothing on the host could make a
//! smaller one whose content this agent could vouch for.
//!
//! Nothing here fails: what is not there, or may not be read, is absent.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use candor_model::events::crash::Summary;
use candor_model::{EventDef as _, Level, Record, UnixNanos};

use super::kmsg::Kmsg;
use crate::{Host, Moment, Probe, ProbeError, Rhythm};

mod apport;
mod dump;
mod line;

const FIRST_WINDOW: Duration = Duration::from_mins(15);
const MAX_TOLD: usize = 64;
/// Files and processes that are remembered, so that they are told once.
const MAX_REMEMBERED: usize = 1024;

/// One crash.
#[derive(Clone, Debug, Default, PartialEq)]
struct Crash {
    pid: Option<u32>,
    time: UnixNanos,
    summary: Summary,
}

/// The probe.
#[derive(Debug, Default)]
pub(super) struct Crashes {
    kmsg: Kmsg,
    /// Files that were looked at, by name and time.
    files: BTreeSet<String>,
    /// Processes whose crash was told already by the kernel's line, oldest first.
    told: Vec<u32>,
    has_looked: bool,
}

impl Probe for Crashes {
    fn name(&self) -> &'static str {
        "crashes"
    }

    fn level(&self) -> Level {
        Level::Basic
    }

    fn rhythm(&self) -> Rhythm {
        Rhythm::EachReport
    }

    fn report(&mut self, host: &Host, now: Moment) -> Result<Vec<Record>, ProbeError> {
        let since = now.wall.0.saturating_sub(u64::try_from(FIRST_WINDOW.as_nanos()).unwrap_or(0));
        let is_first = !std::mem::replace(&mut self.has_looked, true);
        let mut crashes = self.lines(host, now);
        for crash in self.files(host) {
            self.merge(&mut crashes, crash);
        }
        crashes.retain(|crash| !is_first || crash.time.0 >= since);
        crashes.sort_by_key(|crash| std::cmp::Reverse(crash.time));
        crashes.truncate(MAX_TOLD);
        self.told.extend(crashes.iter().filter_map(|crash| crash.pid));
        let excess = self.told.len().saturating_sub(MAX_REMEMBERED);
        self.told.drain(..excess);
        let told = crashes.into_iter().rev();
        Ok(told.map(|crash| crash.summary.into_event().at(crash.time).into()).collect())
    }

    fn reset(&mut self) {
        *self = Self::default();
    }
}

impl Crashes {
    fn lines(&mut self, host: &Host, now: Moment) -> Vec<Crash> {
        let entries = self.kmsg.read(host, now).into_iter().filter(|entry| entry.is_kernel);
        let crash = |entry: super::kmsg::Entry| {
            line::parse(&entry.message).map(|crash| Crash { time: entry.time, ..crash })
        };
        entries.filter_map(crash).collect()
    }

    /// Dumps and reports that were not there at the last look.
    fn files(&mut self, host: &Host) -> Vec<Crash> {
        // Dumps belong to root or to the user who crashed.
        let _raised = candor_platform::raise_to_read();
        let mut crashes = Vec::new();
        let mut present = BTreeSet::new();
        for (directory, read) in [
            (
                "var/lib/systemd/coredump",
                dump::read as fn(&Host, &std::path::Path, &str) -> Option<Crash>,
            ),
            ("var/crash", apport::read),
        ] {
            let directory = host.path(directory);
            for name in host.names(&directory).into_iter().take(MAX_REMEMBERED) {
                let path = directory.join(&name);
                let Some(modified) = modified(&path) else { continue };
                let key = format!("{name}\0{modified}");
                if !self.files.contains(&key) {
                    let crash = read(host, &path, &name);
                    crashes.extend(crash.map(|crash| Crash {
                        time: crash.time.max(floor(&crash, modified)),
                        ..crash
                    }));
                }
                present.insert(key);
            }
        }
        self.files = present;
        crashes
    }

    /// Adds what a dump says to the kernel's line of the same process, if there is one.
    fn merge(&self, crashes: &mut Vec<Crash>, dump: Crash) {
        let is_same = |crash: &&mut Crash| crash.pid.is_some() && crash.pid == dump.pid;
        if let Some(line) = crashes.iter_mut().find(is_same) {
            let (from_dump, from_line) = (dump.summary, std::mem::take(&mut line.summary));
            line.summary = Summary {
                program: from_dump.program.or(from_line.program),
                signal: from_dump.signal.or(from_line.signal),
                module: from_line.module,
                offset: from_line.offset,
                ..from_dump
            };
        } else if dump.pid.is_none_or(|pid| !self.told.contains(&pid)) {
            crashes.push(dump);
        }
    }
}

/// A file that does not tell its time was written when the program crashed.
fn floor(crash: &Crash, modified: u64) -> UnixNanos {
    if crash.time == UnixNanos::default() { UnixNanos(modified) } else { crash.time }
}

fn modified(path: &std::path::Path) -> Option<u64> {
    let modified =
        std::fs::symlink_metadata(path).ok().filter(std::fs::Metadata::is_file)?.modified().ok()?;
    u64::try_from(modified.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_nanos()).ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use candor_model::Value;

    use super::*;
    use crate::samples::at;

    fn host() -> (tempfile::TempDir, Host) {
        let root = tempfile::tempdir().unwrap();
        for directory in ["dev", "var/crash", "var/lib/systemd/coredump"] {
            fs::create_dir_all(root.path().join(directory)).unwrap();
        }
        let host = Host::new(root.path());
        (root, host)
    }

    fn told(records: &[Record]) -> Vec<Vec<(&'static str, Value)>> {
        let fields = |record: &Record| match record {
            Record::Event(event) => {
                event.fields().map(|(entry, value)| (entry.name, value.clone())).collect()
            }
            Record::Metric(_) | Record::Provided(_) => vec![],
        };
        records.iter().map(fields).collect()
    }

    fn dump_of(pid: u32, second: u64) -> String {
        let micros = at(second).wall.0 / 1000;
        format!("core.my\\x20prog.1000.0123456789abcdef0123456789abcdef.{pid}.{micros}.zst")
    }

    #[test]
    fn a_kernel_line_and_a_dump_of_one_process_are_one_crash() {
        let (_root, host) = host();
        let micros = at(95).monotonic.as_micros();
        let line = "my prog[4711]: segfault at 0 ip 00007f0000001234 sp 0 error 4 in libx.so.1[7f0000000000+2000]";
        fs::write(host.path("dev/kmsg"), format!("6,1,{micros},-;{line}\n")).unwrap();
        fs::write(host.path("var/lib/systemd/coredump").join(dump_of(4711, 95)), "12345").unwrap();
        let mut probe = Crashes::default();
        let records = probe.report(&host, at(100)).unwrap();
        let expected = vec![
            ("program", Value::from("my prog")),
            ("signal", Value::from("SIGSEGV")),
            ("module", Value::from("libx.so.1")),
            ("offset", Value::Int(0x1234)),
            ("dump_keeper", Value::from("systemd")),
            ("dump_size", Value::Int(5)),
        ];
        assert_eq!(told(&records), [expected]);
        let Record::Event(event) = &records[0] else { panic!("an event") };
        assert_eq!(event.time(), Some(at(95).wall));
        assert_eq!(probe.report(&host, at(1000)).unwrap(), [], "told once");
    }

    #[test]
    fn a_dump_that_comes_after_its_line_was_told_adds_no_second_crash() {
        let (_root, host) = host();
        let mut probe = Crashes::default();
        probe.report(&host, at(0)).unwrap();
        let micros = at(95).monotonic.as_micros();
        fs::write(
            host.path("dev/kmsg"),
            format!(
                "6,1,{micros},-;traps: x[12] trap divide error ip:10 sp:0 error:0 in x[10+8]\n"
            ),
        )
        .unwrap();
        assert_eq!(probe.report(&host, at(100)).unwrap().len(), 1);
        fs::write(host.path("var/lib/systemd/coredump").join(dump_of(12, 96)), "1").unwrap();
        assert_eq!(probe.report(&host, at(200)).unwrap(), []);
        fs::write(host.path("var/lib/systemd/coredump").join(dump_of(13, 97)), "1").unwrap();
        assert_eq!(probe.report(&host, at(300)).unwrap().len(), 1);
    }

    #[test]
    fn at_the_first_look_old_crashes_are_not_told_and_a_program_cannot_fake_one() {
        let (_root, host) = host();
        fs::write(host.path("var/lib/systemd/coredump").join(dump_of(4711, 0)), "1").unwrap();
        let now = 100 + FIRST_WINDOW.as_secs();
        let micros = at(now).monotonic.as_micros();
        fs::write(
            host.path("dev/kmsg"),
            format!("14,1,{micros},-;x[1]: segfault at 0 ip 1 sp 0 error 4 in x[0+2]\n"),
        )
        .unwrap();
        assert_eq!(Crashes::default().report(&host, at(now)).unwrap(), []);
    }
}

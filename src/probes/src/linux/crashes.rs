//! `candor.crash.summary`: programs that crashed, from the kernel's own lines and from what
//! systemd-coredump and Apport keep.
//!
//! # Invariants
//! - Of a dump only its name, size and labels are read, of an Apport report only the lines before the
//!   dump that are named in [`apport`]; never a command line, an environment or memory.
//! - A crash is told once: what a dump and a kernel line say of one process is one event.
//! - After a restart it goes on where it was ([`mark`]): nothing is lost and nothing told twice.
//!   Where there is no mark, nothing from before counts: a raise of the level, or an `enable`, does not
//!   reach back. A look that keeps no mark, such as a preview, tells the last [`LOOK_BACK`].
//! - At most [`MAX_TOLD`] crashes a report.
//!
//! Mini dumps do not leave: a dump holds memory contents, and nothing on the host could make a
//! smaller one whose content this agent could vouch for.
//!
//! Nothing here fails: what is not there, or may not be read, is absent.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::SystemTime;

use candor_model::events::crash::Summary;
use candor_model::{EventDef as _, Level, Record, UnixNanos};

use super::kmsg::Kmsg;
use crate::{Host, Moment, Probe, ProbeError, Rhythm, Settings};

mod apport;
mod dump;
mod line;
mod mark;

use mark::{Keeper, Mark};

/// In nanoseconds.
const LOOK_BACK: u64 = 15 * 60 * 1_000_000_000;
const MAX_TOLD: usize = 64;
/// Files and processes that are remembered, so that they are told once.
const MAX_REMEMBERED: usize = 1024;

/// Reads what a crash keeper left of one crash.
type Read = fn(&Host, &Path, &str) -> Option<Crash>;

/// Who keeps crashes, where.
const KEEPERS: [(&str, Read); 2] =
    [("var/lib/systemd/coredump", dump::read), ("var/crash", apport::read)];

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
    /// How far crashes were told; `None` before the first look.
    mark: Option<Mark>,
    keeper: Keeper,
}

impl Crashes {
    pub(super) fn new(settings: &Settings) -> Self {
        Self { keeper: Keeper::new(settings.crashes_file.clone()), ..Self::default() }
    }

    /// How far crashes were told before the agent started; `None` where nobody knows.
    fn recall(&self, boot: &str, now: Moment) -> Option<Mark> {
        let mark = self.keeper.recall()?;
        // The kernel counts its records anew from each boot; a clock that was ahead is not waited for.
        let next_record = if mark.boot == boot { mark.next_record } else { 0 };
        let until = mark.until.min(now.wall.0);
        Some(Mark { boot: boot.to_owned(), next_record, until, ..mark })
    }
}

fn boot(host: &Host) -> String {
    host.text(&host.proc("sys/kernel/random/boot_id")).unwrap_or_default()
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
        let is_first = self.mark.is_none();
        let boot = boot(host);
        let known = self.mark.take().or_else(|| self.recall(&boot, now));
        let is_known = known.is_some();
        let mut mark = known.unwrap_or(Mark { boot, ..Mark::default() });
        let mut crashes = self.lines(host, now, &mut mark);
        for crash in self.files(host, (is_first, now), &mut mark) {
            merge(&mut crashes, crash, &mark.told);
        }
        if !is_known {
            let since = now.wall.0.saturating_sub(LOOK_BACK);
            crashes.retain(|crash| !self.keeper.keeps() && crash.time.0 >= since);
        }
        crashes.sort_by_key(|crash| std::cmp::Reverse(crash.time));
        crashes.truncate(MAX_TOLD);
        mark.told.extend(crashes.iter().filter_map(|crash| crash.pid));
        let excess = mark.told.len().saturating_sub(MAX_REMEMBERED);
        mark.told.drain(..excess);
        if !is_known || !crashes.is_empty() {
            self.keeper.keep(&mark);
        }
        self.mark = Some(mark);
        let told = crashes.into_iter().rev();
        Ok(told.map(|crash| crash.summary.into_event().at(crash.time).into()).collect())
    }

    fn reset(&mut self) {
        self.keeper.forget();
        *self = Self { keeper: std::mem::take(&mut self.keeper), ..Self::default() };
    }
}

impl Crashes {
    fn lines(&mut self, host: &Host, now: Moment, mark: &mut Mark) -> Vec<Crash> {
        let known = mark.next_record;
        let entries = self.kmsg.read(host, now);
        let next = entries.iter().map(|entry| entry.record.saturating_add(1)).max();
        mark.next_record = mark.next_record.max(next.unwrap_or_default());
        let entries = entries.into_iter().filter(|entry| entry.is_kernel && entry.record >= known);
        let crash = |entry: super::kmsg::Entry| {
            line::parse(&entry.message).map(|crash| Crash { time: entry.time, ..crash })
        };
        entries.filter_map(crash).collect()
    }

    /// Dumps and reports that were not there at the last look; at the first one, those that were
    /// written after what is known was told.
    fn files(
        &mut self,
        host: &Host,
        (is_first, now): (bool, Moment),
        mark: &mut Mark,
    ) -> Vec<Crash> {
        // Dumps belong to root or to the user who crashed.
        let _raised = candor_platform::raise_to_read();
        let known = if is_first { mark.until } else { 0 };
        mark.until = mark.until.max(now.wall.0);
        let mut crashes = Vec::new();
        let mut present = BTreeSet::new();
        for (directory, read) in KEEPERS {
            let directory = host.path(directory);
            for name in host.names(&directory).into_iter().take(MAX_REMEMBERED) {
                let path = directory.join(&name);
                let Some(modified) = modified(&path) else { continue };
                let key = format!("{name}\0{modified}");
                if modified > known && !self.files.contains(&key) {
                    let crash = read(host, &path, &name);
                    crashes.extend(crash.map(|crash| Crash {
                        time: crash.time.max(floor(&crash, modified)),
                        ..crash
                    }));
                }
                mark.until = mark.until.max(modified);
                present.insert(key);
            }
        }
        self.files = present;
        crashes
    }
}

/// Adds what a dump says to the kernel's line of the same process, if there is one.
fn merge(crashes: &mut Vec<Crash>, dump: Crash, told: &[u32]) {
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
    } else if dump.pid.is_none_or(|pid| !told.contains(&pid)) {
        crashes.push(dump);
    }
}

/// A file that does not tell its time was written when the program crashed.
fn floor(crash: &Crash, modified: u64) -> UnixNanos {
    if crash.time == UnixNanos::default() { UnixNanos(modified) } else { crash.time }
}

fn modified(path: &Path) -> Option<u64> {
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

    fn keeping(dir: &Path) -> Crashes {
        let crashes_file = Some(dir.join("mark"));
        Crashes::new(&Settings { crashes_file, ..Settings::default() })
    }

    fn write_dump(host: &Host, pid: u32, second: u64) {
        let path = host.path("var/lib/systemd/coredump").join(dump_of(pid, second));
        fs::write(&path, "1").unwrap();
        set_modified(&path, second);
    }

    fn set_modified(path: &Path, second: u64) {
        let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_nanos(at(second).wall.0);
        fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    }

    fn write_line(host: &Host, record: u64, pid: u32, second: u64) {
        let micros = at(second).monotonic.as_micros();
        let line =
            format!("6,{record},{micros},-;x[{pid}]: segfault at 0 ip 1 sp 0 error 4 in x[0+2]\n");
        let before = fs::read_to_string(host.path("dev/kmsg")).unwrap_or_default();
        fs::write(host.path("dev/kmsg"), before + &line).unwrap();
    }

    #[test]
    fn a_restart_neither_loses_a_crash_nor_tells_one_twice() {
        let (root, host) = host();
        let mut probe = keeping(root.path());
        assert_eq!(probe.report(&host, at(0)).unwrap(), []);
        write_dump(&host, 1, 10);
        write_line(&host, 5, 2, 11);
        assert_eq!(probe.report(&host, at(100)).unwrap().len(), 2);
        // While nobody looked, and then the late dump of one that was told.
        write_dump(&host, 3, 5000);
        write_line(&host, 6, 4, 5001);
        write_dump(&host, 2, 5002);
        let mut probe = keeping(root.path());
        assert_eq!(probe.report(&host, at(9000)).unwrap().len(), 2);
        assert_eq!(keeping(root.path()).report(&host, at(9001)).unwrap(), []);
    }

    /// An Apport report names no process: only its time tells that it was told.
    #[test]
    fn a_report_that_was_told_before_a_restart_is_not_told_again() {
        let (root, host) = host();
        keeping(root.path()).report(&host, at(0)).unwrap();
        let write_report = |name: &str, second: u64| {
            let path = host.path("var/crash").join(name);
            fs::write(&path, "ProblemType: Crash\nExecutablePath: /usr/bin/x\nSignal: 6\n")
                .unwrap();
            set_modified(&path, second);
        };
        write_report("_usr_bin_x.0.crash", 10);
        assert_eq!(keeping(root.path()).report(&host, at(100)).unwrap().len(), 1);
        assert_eq!(keeping(root.path()).report(&host, at(200)).unwrap(), []);
        write_report("_usr_bin_y.0.crash", 301);
        assert_eq!(keeping(root.path()).report(&host, at(400)).unwrap().len(), 1);
    }

    #[test]
    fn the_kernel_counts_anew_from_each_boot() {
        let (root, host) = host();
        let boot = host.proc("sys/kernel/random/boot_id");
        fs::create_dir_all(boot.parent().unwrap()).unwrap();
        for (id, crashes) in [("first", 0), ("first", 0), ("second", 1), ("second", 0)] {
            fs::write(&boot, id).unwrap();
            if crashes == 1 {
                fs::remove_file(host.path("dev/kmsg")).unwrap();
            }
            if id == "first" {
                write_line(&host, 900, 1, 1);
            } else if crashes == 1 {
                write_line(&host, 3, 2, 1);
            }
            assert_eq!(keeping(root.path()).report(&host, at(50)).unwrap().len(), crashes, "{id}");
        }
    }

    #[test]
    fn a_raise_of_the_level_does_not_reach_back() {
        let (root, host) = host();
        let mut probe = keeping(root.path());
        probe.report(&host, at(0)).unwrap();
        probe.reset();
        write_dump(&host, 1, 10);
        write_line(&host, 5, 2, 11);
        assert_eq!(probe.report(&host, at(20)).unwrap(), []);
        write_line(&host, 6, 3, 21);
        assert_eq!(probe.report(&host, at(30)).unwrap().len(), 1);
    }

    #[test]
    fn at_the_first_look_old_crashes_are_not_told_and_a_program_cannot_fake_one() {
        let (_root, host) = host();
        fs::write(host.path("var/lib/systemd/coredump").join(dump_of(4711, 0)), "1").unwrap();
        let now = 100 + LOOK_BACK / 1_000_000_000;
        let micros = at(now).monotonic.as_micros();
        fs::write(
            host.path("dev/kmsg"),
            format!("14,1,{micros},-;x[1]: segfault at 0 ip 1 sp 0 error 4 in x[0+2]\n"),
        )
        .unwrap();
        assert_eq!(Crashes::default().report(&host, at(now)).unwrap(), []);
    }
}

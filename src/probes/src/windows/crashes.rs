//! `candor.crash.summary` on Windows: the reports that Windows Error Reporting keeps, and the dumps that it was
//! told to keep (`LocalDumps`).
//!
//! # Invariants
//! - Of a report only what [`wer`] names is read; of a dump only its name and size.
//! - A report is told once. At the first look only those of the last [`FIRST_WINDOW`] are: earlier ones were
//!   told before the agent was started anew, or happened before it was installed.
//! - At most [`MAX_TOLD`] crashes a report, [`MAX_REPORTS`] are looked at.
//!
//! Nothing here fails: what is not there, or may not be read, is absent.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use candor_model::events::crash::{DumpKeeper, Summary};
use candor_model::{EventDef as _, Level, Record, UnixNanos};

use super::wer;
use crate::{Host, Moment, Probe, ProbeError, Rhythm};

const FIRST_WINDOW: Duration = Duration::from_mins(15);
const MAX_TOLD: usize = 64;
const MAX_REPORTS: usize = 1024;
/// A report has some ten kilobytes; what matters stands in front.
const MAX_BYTES: u64 = 128 * 1024;
/// A dump is written within this time of its crash.
const DUMP_WITHIN: Duration = Duration::from_mins(2);

/// Where Windows keeps reports and dumps.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    pub(super) reports: Vec<PathBuf>,
    pub(super) dumps: Option<PathBuf>,
}

/// The probe.
#[derive(Debug)]
pub(super) struct Crashes {
    places: Places,
    told: BTreeSet<PathBuf>,
    has_looked: bool,
}

impl Crashes {
    pub(super) fn new(places: Places) -> Self {
        Self { places, told: BTreeSet::new(), has_looked: false }
    }

    /// Crashes of reports that were not there at the last look.
    fn new_ones(&mut self) -> Vec<(UnixNanos, Summary)> {
        let mut present = BTreeSet::new();
        let mut crashes = Vec::new();
        for report in self.places.reports.iter().flat_map(|place| directories(place)) {
            if !self.told.contains(&report) {
                // One that is still being written is looked at again.
                let Some(bytes) = head(&report.join("Report.wer")) else { continue };
                crashes.extend(wer::crash(&bytes));
            }
            present.insert(report);
        }
        self.told = present;
        crashes
    }
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
        if !host.is_live() {
            return Ok(Vec::new());
        }
        let window = u64::try_from(FIRST_WINDOW.as_nanos()).unwrap_or_default();
        let since = now.wall.0.saturating_sub(window);
        let is_first = !std::mem::replace(&mut self.has_looked, true);
        let mut crashes = self.new_ones();
        crashes.retain(|(time, _)| !is_first || time.0 >= since);
        crashes.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
        crashes.truncate(MAX_TOLD);
        let dumps = self.places.dumps.as_deref();
        let told = crashes.into_iter().rev().map(|(time, summary)| {
            let size = summary.program.as_deref().and_then(|name| dump_size(dumps?, name, time));
            let dump_keeper = size.map(|_| DumpKeeper::Wer);
            Summary { dump_keeper, dump_size: size, ..summary }.into_event().at(time).into()
        });
        Ok(told.collect())
    }

    fn reset(&mut self) {
        *self = Self::new(std::mem::take(&mut self.places));
    }
}

/// The directories in a place, one for each report.
fn directories(place: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(place).into_iter().flatten().flatten();
    let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    directories.map(|entry| entry.path()).take(MAX_REPORTS).collect()
}

fn head(path: &Path) -> Option<Vec<u8>> {
    use std::io::Read as _;

    let mut bytes = Vec::new();
    fs::File::open(path).ok()?.take(MAX_BYTES).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// The size of `PROGRAM.PID.dmp` that was written when the program crashed.
fn dump_size(dumps: &Path, program: &str, crashed: UnixNanos) -> Option<u64> {
    let crashed = SystemTime::UNIX_EPOCH + Duration::from_nanos(crashed.0);
    let is_its = |entry: &fs::DirEntry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name.strip_prefix(program).and_then(|rest| rest.strip_prefix('.'));
        let pid = pid.and_then(|rest| rest.strip_suffix(".dmp")).unwrap_or_default();
        !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit())
    };
    let entries = fs::read_dir(dumps).ok()?.flatten().filter(is_its).take(MAX_REPORTS);
    let mut sizes = entries.filter_map(|entry| {
        let metadata = entry.metadata().ok()?;
        let written = metadata.modified().ok()?;
        let gap = written.duration_since(crashed).or_else(|_| crashed.duration_since(written));
        (gap.ok()? <= DUMP_WITHIN).then_some(metadata.len())
    });
    sizes.next()
}

/// Where this Windows keeps them.
#[cfg(windows)]
pub(super) fn places() -> Places {
    const LOCAL_DUMPS: &str = r"SOFTWARE\Microsoft\Windows\Windows Error Reporting\LocalDumps";

    let kept = candor_platform::program_data().join(r"Microsoft\Windows\WER");
    let folder = windows_registry::LOCAL_MACHINE
        .open(LOCAL_DUMPS)
        .and_then(|key| key.get_string("DumpFolder"));
    // Without a folder for all, each user's dumps lie with the user: nobody else's business.
    let dumps = folder.ok().filter(|folder| !folder.contains('%')).map(PathBuf::from);
    Places { reports: vec![kept.join("ReportArchive"), kept.join("ReportQueue")], dumps }
}

#[cfg(test)]
mod tests {
    use candor_model::Value;

    use super::super::wer::tests::{NOTEPAD, TICKS, report};
    use super::*;

    fn keep(place: &Path, name: &str, ticks: u64) {
        let dir = place.join("ReportArchive").join(name);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("Report.wer"), report("APPCRASH", ticks, &NOTEPAD)).unwrap();
    }

    fn probe(place: &Path) -> Crashes {
        let reports = vec![place.join("ReportArchive"), place.join("missing")];
        Crashes::new(Places { reports, dumps: Some(place.join("dumps")) })
    }

    fn at(seconds: u64) -> Moment {
        Moment { wall: UnixNanos(seconds * 1_000_000_000), ..Moment::default() }
    }

    const CRASHED: u64 = 1_699_345_300;

    #[test]
    fn a_crash_is_told_once_and_an_old_one_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        keep(dir.path(), "AppCrash_old", TICKS - 36_000_000_000);
        keep(dir.path(), "AppCrash_new", TICKS);
        let mut probe = probe(dir.path());
        let told =
            |probe: &mut Crashes| probe.report(&Host::live(), at(CRASHED + 60)).unwrap().len();
        assert_eq!((told(&mut probe), told(&mut probe)), (1, 0));
        keep(dir.path(), "AppCrash_late", TICKS - 36_000_000_000);
        assert_eq!(told(&mut probe), 1, "it came after the first look");
    }

    #[test]
    fn a_report_that_is_still_written_is_looked_at_again() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("ReportArchive/AppCrash_a")).unwrap();
        let mut probe = probe(dir.path());
        assert_eq!(probe.report(&Host::live(), at(CRASHED)).unwrap(), []);
        keep(dir.path(), "AppCrash_a", TICKS);
        assert_eq!(probe.report(&Host::live(), at(CRASHED)).unwrap().len(), 1);
    }

    #[test]
    fn a_dump_of_that_program_and_time_tells_its_size() {
        let dir = tempfile::tempdir().unwrap();
        let dumps = dir.path().join("dumps");
        fs::create_dir_all(&dumps).unwrap();
        for (name, size) in
            [("notepad.exe.12.dmp", 5), ("notepad.exe.x.dmp", 9), ("other.exe.1.dmp", 7)]
        {
            fs::write(dumps.join(name), vec![0; size]).unwrap();
        }
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let nanos = |time: Duration| UnixNanos(u64::try_from(time.as_nanos()).unwrap());
        assert_eq!(dump_size(&dumps, "notepad.exe", nanos(now)), Some(5));
        assert_eq!(
            dump_size(&dumps, "notepad.exe", nanos(now.saturating_sub(Duration::from_hours(1)))),
            None
        );
        assert_eq!(dump_size(&dumps, "gone.exe", nanos(now)), None);
    }

    #[test]
    fn a_recorded_machine_has_no_crashes_of_this_one() {
        let dir = tempfile::tempdir().unwrap();
        keep(dir.path(), "AppCrash_new", TICKS);
        let records = probe(dir.path()).report(&Host::new(dir.path()), at(CRASHED)).unwrap();
        assert_eq!(records, []);
        let records = probe(dir.path()).report(&Host::live(), at(CRASHED)).unwrap();
        let Record::Event(event) = &records[0] else { unreachable!() };
        let program = event.fields().find(|(field, _)| field.name == "program").unwrap().1.clone();
        assert_eq!((program, event.time()), (Value::from("notepad.exe"), Some(at(CRASHED).wall)));
    }
}

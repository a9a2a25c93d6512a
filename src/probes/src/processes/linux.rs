//! Linux: `/proc/PID/stat` of each process, and the number of entries of `/proc/PID/fd` of those
//! that are told.
//!
//! # Invariants
//! - `cmdline`, `environ`, `exe` and `status` are never opened.
//! - The capacity is the sum of `/proc/stat`'s first line: what all CPUs counted, idle included.
//!
//! A file that is gone, or not as documented, leaves its process out.

use std::fs::{self, File};
use std::io::Read as _;
use std::time::Duration;

use candor_model::events::process::State;
use nix::unistd::{SysconfVar, sysconf};

use super::{Seen, Snapshot, clean};
use crate::cpu::uptime;
use crate::scan::{number, numbers, words};
use crate::{Host, Moment, ProbeError};

/// The most bytes of a `stat` file: 52 numbers and a name of at most 64.
const STAT_BYTES: usize = 2048;

/// Milliseconds in a tick: `USER_HZ` is 100 on every Linux that Rust builds for.
const TICK: u64 = 10;

/// Reads this OS.
#[derive(Debug, Default)]
pub(super) struct Reader;

impl Reader {
    /// All processes now.
    #[expect(clippy::unused_self, reason = "Windows' reader needs it")]
    pub(super) fn read(&mut self, host: &Host, _now: Moment) -> Result<Snapshot, ProbeError> {
        let path = host.proc("");
        let entries = fs::read_dir(&path).map_err(|source| ProbeError::Read { path, source })?;
        let mut snapshot = Snapshot { capacity: capacity(host), ..Snapshot::default() };
        let (uptime, page) = (uptime(host), page_bytes());
        let mut buffer = [0; STAT_BYTES];
        for entry in entries.flatten() {
            let name = entry.file_name();
            let pid = number(name.as_encoded_bytes()).and_then(|pid| u32::try_from(pid).ok());
            let Some(pid) = pid else { continue };
            snapshot.total += 1;
            let text = read(&entry.path().join("stat"), &mut buffer);
            let stat = text.and_then(parse);
            snapshot.processes.extend(stat.map(|stat| stat.seen(pid, uptime, page)));
        }
        Ok(snapshot)
    }

    /// The ids of all processes now.
    #[expect(clippy::unused_self, reason = "one signature with Windows")]
    pub(super) fn ids(&self, host: &Host) -> Result<Option<Vec<u32>>, ProbeError> {
        let path = host.proc("");
        let entries = fs::read_dir(&path).map_err(|source| ProbeError::Read { path, source })?;
        let id = |name: std::ffi::OsString| u32::try_from(number(name.as_encoded_bytes())?).ok();
        Ok(Some(entries.flatten().filter_map(|entry| id(entry.file_name())).collect()))
    }

    /// One process; `None` when it is gone.
    #[expect(clippy::unused_self, reason = "one signature with Windows")]
    pub(super) fn glimpse(&self, host: &Host, pid: u32) -> Option<Seen> {
        let mut buffer = [0; STAT_BYTES];
        let stat = parse(read(&host.proc(&format!("{pid}/stat")), &mut buffer)?)?;
        Some(stat.seen(pid, None, Some(1)))
    }

    /// Usable memory.
    #[expect(clippy::unused_self, reason = "one signature with Windows")]
    pub(super) fn memory(&self, host: &Host) -> Option<u64> {
        let table = host.content(&host.proc("meminfo"))?;
        let value = table.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
    }

    /// Open file descriptors; `None` where the agent may not look.
    ///
    /// Since Linux 6.2 the directory's size is their number; before, they are counted.
    #[expect(clippy::unused_self, reason = "one signature with Windows")]
    pub(super) fn handles(&self, host: &Host, pid: u32) -> Option<u64> {
        let path = host.proc(&format!("{pid}/fd"));
        // Another user's process shows its directory to nobody else.
        let _raised = candor_platform::raise_to_read();
        let entries = fs::read_dir(&path).ok()?;
        let told = if host.is_live() { path.metadata().ok()?.len() } else { 0 };
        if told > 0 { Some(told) } else { u64::try_from(entries.count()).ok() }
    }
}

/// What a `stat` file tells.
#[derive(Debug, PartialEq)]
struct Stat<'a> {
    name: &'a [u8],
    state: Option<State>,
    user_ticks: u64,
    cpu_ticks: u64,
    threads: Option<u64>,
    start_ticks: u64,
    pages: Option<u64>,
}

impl Stat<'_> {
    fn seen(&self, pid: u32, uptime: Option<Duration>, page: Option<u64>) -> Seen {
        let start = Duration::from_millis(self.start_ticks.saturating_mul(TICK));
        Seen {
            pid,
            started: self.start_ticks,
            name: clean(self.name),
            state: self.state,
            cpu: Some(Duration::from_millis(self.cpu_ticks.saturating_mul(TICK))),
            user: Some(Duration::from_millis(self.user_ticks.saturating_mul(TICK))),
            memory: self.pages.zip(page).and_then(|(pages, page)| pages.checked_mul(page)),
            threads: self.threads,
            handles: None,
            uptime: uptime.and_then(|uptime| uptime.checked_sub(start)),
        }
    }
}

fn read<'a>(path: &std::path::Path, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    let mut file = File::open(path).ok()?;
    let mut len = 0;
    loop {
        match file.read(buffer.get_mut(len..)?).ok()? {
            0 => return buffer.get(..len),
            more => len += more,
        }
    }
}

/// See proc(5), `/proc/pid/stat`. The name stands in parentheses and may hold any, so it ends at
/// the last one.
fn parse(text: &[u8]) -> Option<Stat<'_>> {
    let open = text.iter().position(|byte| *byte == b'(')?;
    let close = text.iter().rposition(|byte| *byte == b')')?;
    let mut fields = words(text.get(close + 1..)?);
    let state = fields.next().and_then(state);
    let mut after = fields.skip(10);
    let [user, system] = numbers(&mut after)?;
    let mut after = after.skip(4);
    let threads = after.next().and_then(number);
    let start_ticks = after.nth(1).and_then(number)?;
    let pages = after.nth(1).and_then(number);
    let name = text.get(open + 1..close)?;
    let cpu_ticks = user.checked_add(system)?;
    Some(Stat { name, state, user_ticks: user, cpu_ticks, threads, start_ticks, pages })
}

fn state(word: &[u8]) -> Option<State> {
    Some(match word {
        b"R" => State::Running,
        b"S" => State::Sleeping,
        b"D" => State::Uninterruptible,
        b"I" => State::Idle,
        b"T" | b"t" => State::Stopped,
        b"Z" | b"X" => State::Defunct,
        _ => return None,
    })
}

fn capacity(host: &Host) -> Option<Duration> {
    let text = host.content(&host.proc("stat"))?;
    let mut words = words(text.lines().next()?.as_bytes());
    let row: [u64; 8] = (words.next()? == b"cpu").then(|| numbers(&mut words))??;
    let ticks = row.iter().try_fold(0_u64, |sum, ticks| sum.checked_add(*ticks))?;
    Some(Duration::from_millis(ticks.checked_mul(TICK)?))
}

fn page_bytes() -> Option<u64> {
    sysconf(SysconfVar::PAGE_SIZE).ok().flatten().and_then(|bytes| u64::try_from(bytes).ok())
}

#[cfg(test)]
mod tests {
    use candor_model::{Record, Value};

    use super::*;
    use crate::Probe as _;
    use crate::processes::Processes;
    use crate::samples::at;

    /// proc(5) numbers its fields from 1: 14 and 15 are the times, 20 the threads, 22 the start,
    /// 24 the pages.
    const STAT: &str = "4711 (a) S (b) R 1 4711 4711 0 -1 4194560 100 0 3 0 150 50 7 8 20 0 3 0 \
        12345 268435456 1000 18446744073709551615 1 1 0 0 0 0 0 4096 0 0 0 0 17 1 0 0 0 0 0\n";

    #[test]
    fn a_name_with_parentheses_does_not_move_the_fields() {
        let stat = parse(STAT.as_bytes()).unwrap();
        assert_eq!(stat.name, b"a) S (b");
        assert_eq!(stat.state, Some(State::Running));
        assert_eq!((stat.user_ticks, stat.cpu_ticks, stat.threads), (150, 200, Some(3)));
        assert_eq!((stat.start_ticks, stat.pages), (12345, Some(1000)));
    }

    #[test]
    fn a_malformed_file_gives_no_process_and_does_not_panic() {
        for text in ["", "1", "1 (", "1 )(", "1 (a)", "1 (a) S", ")1 (a) S 1 2 3"] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
        for cut in 0..STAT.len() {
            parse(&STAT.as_bytes()[..cut]);
        }
        let odd = parse(b"1 (a) ? 1 1 1 0 -1 0 0 0 0 0 1 2 0 0 20 0 x 0 5 0 -1").unwrap();
        assert_eq!((odd.state, odd.threads, odd.pages), (None, None, None));
    }

    #[test]
    fn a_recorded_machine_gives_its_processes() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::new(root.path());
        for pid in ["4711", "12", "self", "sys"] {
            fs::create_dir_all(host.proc(pid)).unwrap();
        }
        fs::create_dir_all(host.proc("4711/fd")).unwrap();
        for fd in ["0", "1", "2"] {
            fs::write(host.proc("4711/fd").join(fd), "").unwrap();
        }
        fs::write(host.proc("4711/stat"), STAT).unwrap();
        fs::write(host.proc("stat"), "cpu  100 0 50 800 0 0 0 50 0 0\n").unwrap();
        fs::write(host.proc("uptime"), "1000.45 1.0\n").unwrap();
        let mut reader = Reader;
        let snapshot = reader.read(&host, at(0)).unwrap();
        assert_eq!((snapshot.total, snapshot.capacity), (2, Some(Duration::from_secs(10))));
        let [process] = &snapshot.processes[..] else { panic!("one process can be read") };
        // 200 ticks; 1000.45 s - 123.45 s.
        assert_eq!(process.cpu, Some(Duration::from_secs(2)));
        assert_eq!(process.uptime, Some(Duration::from_secs(877)));
        assert_eq!(process.memory, Some(1000 * page_bytes().unwrap()));
        assert_eq!(reader.handles(&host, 4711), Some(3));
        assert_eq!(reader.handles(&host, 12), None);
    }

    #[test]
    fn this_hosts_table_has_this_process_and_nothing_but_names() {
        let records = Processes::default().report(&Host::live(), at(0)).unwrap();
        let Record::Event(event) = &records[0] else { panic!("an event") };
        let (_, Value::List(rows)) = event.fields().last().unwrap() else { panic!("a list") };
        assert!(!rows.is_empty() && rows.len() <= 64);
        let text = format!("{rows:?}");
        let own = fs::read_to_string("/proc/self/cmdline").unwrap();
        let path = own.split('\0').next().unwrap();
        assert!(!text.contains(path), "no path in {text}");
        let count = fs::read_dir("/proc/self/fd").unwrap().count() as u64;
        let told = Reader.handles(&Host::live(), std::process::id()).unwrap();
        assert!(told.abs_diff(count) < 64, "other tests open files too: {told} {count}");
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, bytes};

        bytes(
            "processes/linux::parse",
            Says::Derived("times are added"),
            &[b"4711 (a b) S 0 1 1 0 -1 4194560 1 0 0 0 10 5 0 0 20 0 1 0 100 1000000 500 0\n"
                .to_vec()],
            |text: &[u8]| parse(text).map(|stat| format!("{stat:?}").len().min(1)),
        );
    }
}

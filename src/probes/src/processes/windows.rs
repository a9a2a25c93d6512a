//! Windows: what the crate `sysinfo` tells of the processes.
//!
//! # Invariants
//! - Only the name of the program's file is read: no command line, no user, no path.
//! - `sysinfo` tells neither threads nor a state here, so they are absent; so are the times of a
//!   process that it could not open.
//!
//! A host that lists no process at all is a failure.

use std::collections::BTreeMap;
use std::time::Duration;

use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System};

use super::{Seen, Snapshot, clean};
use crate::{Host, Moment, ProbeError};

/// Reads this OS.
#[derive(Debug, Default)]
pub(super) struct Reader;

impl Reader {
    /// All processes now. `sysinfo` would keep what it read; a table every quarter of an hour is
    /// not worth the memory.
    #[expect(clippy::unused_self, reason = "one signature with Linux")]
    pub(super) fn read(&mut self, _host: &Host, now: Moment) -> Result<Snapshot, ProbeError> {
        let failed = |source| ProbeError::System { what: "the processes", source };
        let mut system =
            System::new().map_err(|error| failed(std::io::Error::other(error.to_string())))?;
        let kind = ProcessRefreshKind::nothing().with_cpu().with_memory();
        system.refresh_processes_specifics(ProcessesToUpdate::All, true, kind);
        let processes: Vec<_> = system.processes().values().map(seen).collect();
        if processes.is_empty() {
            return Err(failed(std::io::ErrorKind::NotFound.into()));
        }
        let cpus =
            std::thread::available_parallelism().ok().and_then(|n| u32::try_from(n.get()).ok());
        let capacity = cpus.and_then(|cpus| now.monotonic.checked_mul(cpus));
        let total = u64::try_from(processes.len()).unwrap_or(u64::MAX);
        Ok(Snapshot { processes, total, capacity })
    }

    /// To list the ids alone costs as much as the table here: the reports are the only looks.
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "one signature with Linux")]
    pub(super) fn ids(&self, _host: &Host) -> Result<Option<Vec<u32>>, ProbeError> {
        Ok(None)
    }

    /// Never asked, since there are no ids.
    #[expect(clippy::unused_self, reason = "one signature with Linux")]
    pub(super) fn glimpse(&self, _host: &Host, _pid: u32) -> Option<Seen> {
        None
    }

    /// Not told here: `sysinfo` would keep it with all else.
    #[expect(clippy::unused_self, reason = "one signature with Linux")]
    pub(super) fn memory(&self, _host: &Host) -> Option<u64> {
        None
    }

    /// They are in the snapshot already.
    #[expect(clippy::unused_self, reason = "one signature with Linux")]
    pub(super) fn handles(&self, _host: &Host, _pid: u32) -> Option<u64> {
        None
    }
}

/// The name of the program's file of each process, by its id; empty where the system lists none. Id 0 is no
/// program: a socket that nobody holds any more has it.
pub(crate) fn program_names() -> BTreeMap<u64, String> {
    let Ok(mut system) = System::new() else { return BTreeMap::new() };
    let kind = ProcessRefreshKind::nothing();
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, kind);
    let name = |(pid, process): (&sysinfo::Pid, &sysinfo::Process)| {
        (u64::from(pid.as_u32()), clean(process.name().as_encoded_bytes()))
    };
    system.processes().iter().map(name).filter(|(pid, _)| *pid != 0).collect()
}

fn seen(process: &sysinfo::Process) -> Seen {
    let is_open = process.start_time() > 0;
    Seen {
        pid: process.pid().as_u32(),
        started: process.start_time(),
        name: clean(process.name().as_encoded_bytes()),
        state: None,
        cpu: is_open.then(|| Duration::from_millis(process.accumulated_cpu_time())),
        user: None,
        memory: Some(process.memory()),
        threads: None,
        handles: process.open_files().and_then(|handles| u64::try_from(handles).ok()),
        uptime: is_open.then(|| Duration::from_secs(process.run_time())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::at;

    #[test]
    fn what_nobody_runs_has_no_program() {
        let names = program_names();
        assert!(names.contains_key(&u64::from(std::process::id())), "{names:?}");
        assert!(!names.contains_key(&0), "{names:?}");
    }

    #[test]
    fn this_process_is_among_those_of_this_host_by_its_name_alone() {
        let snapshot = Reader.read(&Host::live(), at(0)).unwrap();
        let own = snapshot.processes.iter().find(|seen| seen.pid == std::process::id()).unwrap();
        assert!(
            own.name.to_lowercase().ends_with(".exe") && !own.name.contains('\\'),
            "{}",
            own.name
        );
        assert!(own.memory.unwrap() > 0);
    }
}

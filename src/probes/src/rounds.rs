//! What sampling costs, for the bench program: the rounds that the agent makes, and beside them the
//! least that they could cost, a loop that only reads the same files.
//!
//! # Invariants
//! - [`Rounds`] uses the probes of [`crate::all`] themselves; nothing is made cheaper for the bench.
//! - [`BareReads`] reads what a sample reads: every table whole, with its file kept open, and the list
//!   of processes. What is read once a minute only is not in it.
//!
//! A table that this host does not have is skipped by [`BareReads`]; on Windows it has none.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _};
use std::path::PathBuf;

use candor_model::Level;

use crate::{Host, Moment, Probe, Rhythm};

/// What one sample reads below the host's root.
const TABLES: [&str; 5] =
    ["proc/stat", "proc/meminfo", "proc/vmstat", "proc/diskstats", "proc/net/dev"];

/// The probes of a level, round by round, without the runner's thread.
pub struct Rounds {
    host: Host,
    probes: Vec<Box<dyn Probe>>,
    failures: usize,
}

impl Rounds {
    /// The probes that run at `level`, before their first round.
    #[must_use]
    pub fn new(host: Host, level: Level) -> Self {
        let mut probes = crate::all(&crate::Settings::default());
        probes.retain(|probe| probe.level() <= level);
        Self { host, probes, failures: 0 }
    }

    /// One sample of each that samples.
    pub fn sample(&mut self, now: Moment) {
        for probe in self.probes.iter_mut().filter(|probe| probe.rhythm() == Rhythm::Sampled) {
            self.failures += usize::from(probe.sample(&self.host, now).is_err());
        }
    }

    /// One report of each; gives the number of records.
    pub fn report(&mut self, now: Moment) -> usize {
        let mut records = 0;
        for probe in &mut self.probes {
            match probe.report(&self.host, now) {
                Ok(told) => records += told.len(),
                Err(_) => self.failures += 1,
            }
        }
        records
    }

    /// Rounds of single probes that failed so far.
    #[must_use]
    pub const fn failures(&self) -> usize {
        self.failures
    }
}

/// The loop that only reads.
pub struct BareReads {
    processes: PathBuf,
    files: Vec<File>,
    buffer: Vec<u8>,
}

impl BareReads {
    /// Opens the tables that this host has.
    #[must_use]
    pub fn new(host: &Host) -> Self {
        let files = TABLES.iter().filter_map(|table| File::open(host.path(table)).ok()).collect();
        Self { processes: host.proc(""), files, buffer: Vec::new() }
    }

    /// Reads each of them, and the list of processes; gives the number of bytes and names.
    ///
    /// # Errors
    /// A table or the list cannot be read.
    pub fn read(&mut self) -> io::Result<usize> {
        let mut bytes = 0;
        for file in &mut self.files {
            self.buffer.clear();
            file.rewind()?;
            bytes += file.read_to_end(&mut self.buffer)?;
        }
        Ok(bytes + fs::read_dir(&self.processes)?.count())
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::at;

    #[test]
    fn rounds_give_records_and_the_bare_loop_reads_every_table() {
        let mut rounds = Rounds::new(Host::live(), Level::Enhanced);
        let rhythms = rounds.probes.iter().map(|probe| probe.rhythm());
        assert_eq!(rhythms.filter(|rhythm| *rhythm == Rhythm::Sampled).count(), 9);
        rounds.sample(at(0));
        rounds.sample(at(10));
        assert!(rounds.report(at(20)) > 10);
        let mut bare = BareReads::new(&Host::live());
        assert_eq!(bare.files.len(), TABLES.len());
        assert!(bare.read().unwrap() > 1000);
    }
}

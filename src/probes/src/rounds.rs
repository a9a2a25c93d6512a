//! What sampling costs, for the bench program: the rounds that the agent makes, and beside them the
//! least that they could cost, a loop that only reads the same files.
//!
//! # Invariants
//! - [`Rounds`] uses the probes of [`crate::all`] themselves; nothing is made cheaper for the bench.
//! - [`BareReads`] reads every table that a sample reads, whole, with its file kept open.
//!
//! A table that this host does not have is skipped by [`BareReads`]; on Windows it has none.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};

use crate::{Host, Moment, Probe, ProbeError, Rhythm};

/// What one sample reads below the host's root.
const TABLES: [&str; 5] =
    ["proc/stat", "proc/meminfo", "proc/vmstat", "proc/diskstats", "proc/net/dev"];

/// Every sampled probe, round by round.
pub struct Rounds {
    host: Host,
    probes: Vec<Box<dyn Probe>>,
}

impl Rounds {
    /// The sampled probes of this build, before their first round.
    #[must_use]
    pub fn new(host: Host) -> Self {
        let mut probes = crate::all(&crate::Settings::default());
        probes.retain(|probe| probe.rhythm() == Rhythm::Sampled);
        Self { host, probes }
    }

    /// One sample of each.
    ///
    /// # Errors
    /// A probe fails; those after it are not sampled.
    pub fn sample(&mut self, now: Moment) -> Result<(), ProbeError> {
        self.probes.iter_mut().try_for_each(|probe| probe.sample(&self.host, now))
    }

    /// One report of each; gives the number of records.
    ///
    /// # Errors
    /// A probe fails; those after it do not report.
    pub fn report(&mut self, now: Moment) -> Result<usize, ProbeError> {
        let report =
            |sum, probe: &mut Box<dyn Probe>| Ok(sum + probe.report(&self.host, now)?.len());
        self.probes.iter_mut().try_fold(0, report)
    }
}

/// The loop that only reads.
pub struct BareReads {
    files: Vec<File>,
    buffer: Vec<u8>,
}

impl BareReads {
    /// Opens the tables that this host has.
    #[must_use]
    pub fn new(host: &Host) -> Self {
        let files = TABLES.iter().filter_map(|table| File::open(host.path(table)).ok()).collect();
        Self { files, buffer: Vec::new() }
    }

    /// Reads each of them; gives the number of bytes.
    ///
    /// # Errors
    /// A table cannot be read.
    pub fn read(&mut self) -> io::Result<usize> {
        let mut bytes = 0;
        for file in &mut self.files {
            self.buffer.clear();
            file.rewind()?;
            bytes += file.read_to_end(&mut self.buffer)?;
        }
        Ok(bytes)
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::at;

    #[test]
    fn rounds_give_records_and_the_bare_loop_reads_every_table() {
        let mut rounds = Rounds::new(Host::live());
        assert_eq!(rounds.probes.len(), 9);
        rounds.sample(at(0)).unwrap();
        rounds.sample(at(10)).unwrap();
        assert!(rounds.report(at(20)).unwrap() > 10);
        let mut bare = BareReads::new(&Host::live());
        assert_eq!(bare.files.len(), TABLES.len());
        assert!(bare.read().unwrap() > 1000);
    }
}

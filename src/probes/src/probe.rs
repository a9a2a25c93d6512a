//! What a probe is: the trait that every subject's file implements, the moment that it is given,
//! and what is known of it afterwards.
//!
//! # Invariants
//! - A probe keeps no clock of its own: the moment comes from its caller.
//! - A probe holds only its own aggregates, which [`Probe::reset`] forgets.
//!
//! A failure is a [`ProbeError`] that names what could not be read; the runner counts it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use candor_model::{Level, Record, UnixNanos};
use thiserror::Error;

use crate::{Absence, Change, Host, Whereabouts};

/// When a probe looks, by every clock that matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// Wall time: a label only.
    pub wall: UnixNanos,
    /// Since boot, counting suspend. Schedules use it.
    pub boot: Duration,
    /// Since boot, not counting suspend. Rates use it.
    pub monotonic: Duration,
}

/// When a probe runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rhythm {
    /// Looked at with each report; its records go on when they changed, and once a day.
    Inventory,
    /// [`Probe::sample`] each sample interval, [`Probe::report`] each report interval.
    Sampled,
    /// [`Probe::report`] each report interval.
    EachReport,
}

/// One subject that is looked at.
pub trait Probe: Send {
    /// One word, as `status` shows it: `drives`, `cpu`.
    fn name(&self) -> &'static str;

    /// The lowest level at which it may run at all.
    fn level(&self) -> Level;

    /// When it runs.
    fn rhythm(&self) -> Rhythm;

    /// Which changes of the host make it look at once; [`Rhythm::Inventory`] only.
    fn wakes_on(&self) -> &'static [Change] {
        &[]
    }

    /// How long one round may take before the probe is abandoned.
    fn deadline(&self) -> Duration {
        Duration::from_secs(5)
    }

    /// Where it notes what it is at, if it asks something that may hang and has a name.
    fn whereabouts(&self) -> Option<Whereabouts> {
        None
    }

    /// Takes one sample into the probe's own aggregates; [`Rhythm::Sampled`] only.
    ///
    /// # Errors
    /// The host's numbers cannot be read.
    fn sample(&mut self, _host: &Host, _now: Moment) -> Result<(), ProbeError> {
        Ok(())
    }

    /// The records since the last report; the window starts anew.
    ///
    /// # Errors
    /// The host's facts cannot be read.
    fn report(&mut self, host: &Host, now: Moment) -> Result<Vec<Record>, ProbeError>;

    /// Forgets all aggregates: the level was lowered, the agent was disabled, or a round was lost.
    fn reset(&mut self) {}
}

/// Why a probe could not tell.
#[derive(Debug, Error)]
pub enum ProbeError {
    /// A file that the probe cannot do without.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file that a recording could not be written to.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file that is not as its documentation says.
    #[error("cannot understand `{}`: {what}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What was expected.
        what: &'static str,
    },
    /// A system call, or a source that is no file.
    #[error("cannot ask the system for {what}")]
    System {
        /// What was asked for.
        what: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// What is known of a probe, for `status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeStatus {
    /// Its name.
    pub name: &'static str,
    /// The lowest level at which it runs.
    pub level: Level,
    /// When it last succeeded.
    pub last_success: Option<UnixNanos>,
    /// What went wrong in its last round, with its causes; `None` after a success.
    pub last_error: Option<String>,
    /// Rounds lost to an error, a panic or a deadline.
    pub failures: u64,
    /// Of those, rounds in which it overstayed its deadline.
    pub abandoned: u64,
    /// Whether it is still out from a round that it overstayed.
    pub is_away: bool,
    /// What the host did not tell in its last report, and why.
    pub absent: Vec<Absence>,
    /// When it runs next, by the boot clock; an instant in the past means at once.
    pub next: Option<Duration>,
    /// CPU time of its rounds since the agent started; zero where the system does not tell.
    pub cpu: Duration,
}

/// The event as a record, or nothing when the host told nothing at all.
pub(crate) fn record<E>(event: E) -> Vec<Record>
where
    E: Default + PartialEq + Into<Record>,
{
    if event == E::default() { Vec::new() } else { vec![event.into()] }
}

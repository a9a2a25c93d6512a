//! What the host runs on, and whether its link is paid for by volume. No probe: nothing of it leaves;
//! the upload asks when it is due, and saves battery and volume by the answer.
//!
//! # Invariants
//! - Asked once each time, with no standing connection: between two answers it costs nothing.
//! - Who is not running is not started by the question.
//!
//! What nobody tells is [`None`].

use crate::Host;

#[cfg(not(windows))]
#[path = "surroundings/linux.rs"]
mod os;
#[cfg(windows)]
#[path = "surroundings/windows.rs"]
mod os;

/// What is told at this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// Whether it runs on battery.
    pub is_on_battery: Option<bool>,
    /// Whether the link is metered, or is guessed to be.
    pub is_metered: Option<bool>,
}

impl Surroundings {
    /// Asks. It may take a few seconds where a service hangs: not for an async thread.
    #[must_use]
    pub fn of(host: &Host) -> Self {
        os::surroundings(host)
    }
}

//! What the uploader waits for, and what settings allow before anything is tried.
//!
//! # Invariants
//! - What only new settings can end has no timer: off, and a hold for want of something.
//! - Back-off and hold always have a trouble.
//!
//! Nothing here fails.

use std::collections::BTreeSet;

use tokio::time::Instant;

use crate::{Destination, Reason, State, Trouble, UploadSettings};

/// The fewest pins, unless one alone is allowed.
const FEWEST_PINS: usize = 2;

/// What the uploader is waiting for.
#[derive(Debug)]
pub(crate) enum Phase {
    /// The next interval, a security record, a command.
    Idle { next: Instant },
    /// Time to pass.
    BackOff { until: Instant, trouble: Trouble },
    /// Somebody to act; `None` where only new settings can help.
    Hold { probe: Option<Instant>, trouble: Trouble },
    /// The owner to enable it.
    Off,
}

impl Phase {
    /// What settings allow, before anything is tried.
    pub(crate) fn of(settings: &UploadSettings, first: Instant) -> Self {
        let held = |trouble| Self::Hold { probe: None, trouble };
        if !settings.enabled {
            return Self::Off;
        }
        if let Some(trouble) = &settings.hold {
            return held(trouble.clone());
        }
        let Some(destination) = &settings.destination else {
            return held(Trouble::new(Reason::NoEndpoint, "no endpoint is configured"));
        };
        if let Some(trouble) = too_few_pins(destination) {
            return held(trouble);
        }
        Self::Idle { next: first }
    }

    pub(crate) fn after(trouble: Trouble, until: Instant) -> Self {
        if trouble.reason.holds() {
            Self::Hold { probe: Some(until), trouble }
        } else {
            Self::BackOff { until, trouble }
        }
    }

    pub(crate) const fn due(&self) -> Option<Instant> {
        match self {
            Self::Idle { next } => Some(*next),
            Self::BackOff { until, .. } => Some(*until),
            Self::Hold { probe, .. } => *probe,
            Self::Off => None,
        }
    }

    /// Whether sending could be tried at all.
    pub(crate) const fn can_try(&self) -> bool {
        self.due().is_some()
    }

    pub(crate) const fn state(&self) -> State {
        match self {
            Self::Idle { .. } => State::Ok,
            Self::BackOff { .. } => State::BackOff,
            Self::Hold { .. } => State::Hold,
            Self::Off => State::Off,
        }
    }

    pub(crate) fn trouble(&self) -> Option<&Trouble> {
        match self {
            Self::BackOff { trouble, .. } | Self::Hold { trouble, .. } => Some(trouble),
            Self::Idle { .. } | Self::Off => None,
        }
    }
}

/// Whether a destination has fewer different pins than its owner must state.
pub(crate) fn too_few_pins(destination: &Destination) -> Option<Trouble> {
    let pins = destination.pins.iter().collect::<BTreeSet<_>>().len();
    let fewest = if destination.allow_single_pin { 1 } else { FEWEST_PINS };
    let detail = || format!("{pins} of at least {fewest} different CertificatePins");
    (pins < fewest).then(|| Trouble::new(Reason::TooFewPins, detail()))
}

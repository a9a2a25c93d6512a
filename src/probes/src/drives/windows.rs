//! The drives as Windows shows them: not told yet, so absent.
//!
//! # Invariants
//! - Nothing is said rather than something guessed.

use candor_model::events::device::Drive;

use crate::Host;

pub(super) fn drives(_host: &Host) -> Option<Vec<Drive>> {
    None
}

//! A plain record at the door: whether it passes as it is.
//!
//! # Invariants
//! - Where this says that a record passes, [`Door::admit`] would let it pass unchanged, in the same
//!   lane; where it does not, that decides. It counts nothing.

use candor_model::{Class, Level, Plain, Scalar};

use super::Door;

impl Door {
    /// The lane of a record that passes as it is; `None` where something of it is to be changed or
    /// withheld.
    #[must_use]
    pub fn leaves(&self, record: &Plain<'_>, allowed: Level) -> Option<Level> {
        if record.level > allowed || self.off.contains(record.name) {
            return None;
        }
        // A body is free text of the record's own level.
        let body_is_clean = record.body.is_none_or(|body| self.is_clean(body));
        let name_is_clean = record.is_declared || self.scrubber.leaves(record.name);
        if !body_is_clean || !name_is_clean {
            return None;
        }
        let mut lane = record.level;
        for field in &record.fields {
            let passes = field.level <= allowed
                && (record.is_declared || self.scrubber.leaves(field.key))
                && (field.class != Class::DiagnosticText || self.is_clean(field.value));
            if !passes {
                return None;
            }
            lane = lane.max(field.level);
        }
        Some(lane)
    }

    fn is_clean(&self, value: Scalar<'_>) -> bool {
        if let Scalar::Text(text) = value { self.scrubber.leaves(text) } else { true }
    }
}

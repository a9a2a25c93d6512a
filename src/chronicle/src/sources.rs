//! Where records are looked for: the spool, asked in small pieces, and the journal as it stood when the
//! question came.

use candor_journal::{Reader, Run};
use candor_model::Kind;
use candor_spool::{DeadLetter, Gap, Offline, Row};

use crate::ChronicleError;

/// Bytes of rows that are asked for at once: what the spool's thread is held for, and what is in memory.
pub(crate) const PIECE: usize = 64 * 1024;

/// What waits, and what the spool knows of the rest.
pub trait Waiting {
    /// Rows whose first number is below `before`, newest first; some, where there are any.
    ///
    /// # Errors
    /// [`ChronicleError::Waiting`].
    fn rows_before(&mut self, before: u64) -> Result<Vec<(Kind, Row)>, ChronicleError>;

    /// What endpoints refused for good.
    ///
    /// # Errors
    /// [`ChronicleError::Waiting`].
    fn dead_letters(&mut self) -> Result<Vec<DeadLetter>, ChronicleError>;

    /// Ranges of dropped numbers.
    ///
    /// # Errors
    /// [`ChronicleError::Waiting`].
    fn gaps(&mut self) -> Result<Vec<Gap>, ChronicleError>;
}

/// Everything that is looked at for one question.
pub struct Sources<'a> {
    /// The spool; `None` while its store is closed.
    pub waiting: Option<&'a mut dyn Waiting>,
    /// The journal.
    pub journal: &'a Reader,
    /// The records that are on their way now, and their entry's number.
    pub flying: (Vec<Run>, Option<u64>),
}

impl Waiting for Offline {
    fn rows_before(&mut self, before: u64) -> Result<Vec<(Kind, Row)>, ChronicleError> {
        self.page_before(before, PIECE).map_err(|error| ChronicleError::Waiting(Box::new(error)))
    }

    fn dead_letters(&mut self) -> Result<Vec<DeadLetter>, ChronicleError> {
        Self::dead_letters(self).map_err(|error| ChronicleError::Waiting(Box::new(error)))
    }

    fn gaps(&mut self) -> Result<Vec<Gap>, ChronicleError> {
        Ok(Self::gaps(self).to_vec())
    }
}

impl Sources<'_> {
    /// Rows below a number; none while the store is closed.
    pub(crate) fn rows_before(&mut self, before: u64) -> Result<Vec<(Kind, Row)>, ChronicleError> {
        self.waiting.as_mut().map_or(Ok(Vec::new()), |waiting| waiting.rows_before(before))
    }
}

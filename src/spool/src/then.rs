//! What becomes true with the records that say so: ranges told, a value to remember. Committed in
//! their transaction, so that a crash tells nothing twice and forgets nothing untold.
//!
//! # Invariants
//! - It happens with all of the drafts that it came with, or not at all.

use rusqlite::Connection;

use crate::books::Books;
use crate::damage::StoreError;
use crate::gaps::Gap;
use crate::schema;

/// What is true once the drafts that it comes with are committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Then {
    /// These ranges are told. What a range gained since [`gaps`](crate::Spool::gaps) stays.
    GapsTold(Vec<Gap>),
    /// A key has this value, as by [`set_meta`](crate::Spool::set_meta).
    Meta {
        /// The key.
        key: String,
        /// Its value from now on.
        value: String,
    },
}

/// Makes it true, in the caller's transaction.
pub(crate) fn apply(conn: &Connection, books: &mut Books, then: &Then) -> Result<(), StoreError> {
    match then {
        Then::GapsTold(told) => books.gaps.tell(told),
        Then::Meta { key, value } => schema::write_meta(conn, key, value)?,
    }
    Ok(())
}

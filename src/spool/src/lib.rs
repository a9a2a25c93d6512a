//! The durable queue and the ledger that is committed with it. Drafts come in from the pipeline,
//! get their numbers and their frames, and wait in a `SQLite` store until the uploader has an
//! answer about them. The spool knows neither events nor the network.
//!
//! ```text
//! DIR/spool.db        page 4096, auto_vacuum incremental, application_id "CAND", user_version 2
//! DIR/spool.db-wal    write-ahead log, synchronous FULL, folded in at 4 MiB and written anew in place
//! DIR/counters.mirror the counters and the id once more (mirror.rs)
//! DIR/spool.reserve   room to settle accounts on a full disk (reserve.rs)
//!
//! batch   the queue: one row is a run of records of one level, kind and boot
//!   id      sequence number of the first record; the others follow without a gap
//!   level   the lane, 0-3            kind   0 log, 1 metric, 2 span; + 4: the body is packed
//!   records how many, at least one   at     age clock at the commit, ms (timeline.rs)
//!   boot    boot id                  sum    CRC-32C over all other columns (row.rs)
//!   body    sealed OTLP frames, one after the other, at most 64 KiB unless one record is larger;
//!           packed as one zstd frame (packing.rs), or as they are (stores of user_version 1)
//!   index lane (level, id, records): a level's oldest, and what waits, without touching bodies
//! dead    as batch, never packed, and `answer`: what an endpoint refused for good; outside the ledger until it
//!         is replayed as a new record
//! gap     first, last, count, reason: dropped numbers that the receiver was not yet told of, each
//!         with its CRC-32C (gaps.rs)
//! ledger  word, number: the counters of books.rs with their own CRC-32C under `sum`
//! meta    key, value: install_id, and what others leave for the next start
//! ```
//!
//! # Invariants
//! - `generated = uploaded + dropped + pending` in every committed state, since rows and counters
//!   change in one transaction; records leave by one function that demands a reason.
//! - Sequence numbers start at 1 for an install id and have no gap and no repetition.
//! - A row whose checksum does not hold is never delivered.
//! - What was acknowledged by [`Spool::append`] with [`Urgency::Now`] survives a crash and a power
//!   cut; of what lingers at most [`Ledger::lingering`] is lost.
//! - After [`Spool::renew`] neither a record nor the former id is in the store, its log or its mirror.
//! - After [`Spool::lower_to`] no byte of a record above the level is in the directory.
//!
//! On failure: trouble of the disk is an error of the call and changes nothing; damage is repaired
//! without a human and counted `corrupt` (recovery.rs).

mod books;
mod command;
mod commit;
mod company;
mod damage;
mod dead;
mod error;
mod gaps;
mod handed;
mod identity;
mod lanes;
mod ledger;
mod linger;
mod look;
mod mirror;
mod offline;
mod order;
mod packing;
mod peek;
mod press;
mod queue;
mod recovery;
mod reserve;
mod rights;
mod row;
mod schema;
mod settings;
mod spool;
mod store;
mod then;
mod timeline;
mod writer;

pub use dead::DeadLetter;
pub use error::{OpenError, SpoolError};
pub use gaps::Gap;
pub use ledger::{Before, Dropped, Ledger, LossBound, Verdict};
pub use offline::{Audit, Offline, OfflineError, Repair};
pub use peek::{Peek, peek};
pub use rights::{Range, Settled};
pub use row::{Kept, Parcel, Row, RowError, RowId, Want};
pub use settings::{Framing, FreeBytes, Settings, Surroundings};
pub use spool::{Spool, Urgency};
pub use then::Then;

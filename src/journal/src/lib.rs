//! What left this host: every request with the exact bytes of its body, to whom it went, and what the
//! receiver answered, chained by hashes. The uploader writes it, the owner reads it.
//!
//! ```text
//! DIR/journal/0000000001.journal …      one segment after the other, the oldest goes first
//!
//! segment  start | record | record | …
//! record   head (25 bytes) | facts (JSON) | body | SHA-256 (32 bytes)
//! head     "CJR1" | kind u8 | number u64 | length of facts u32 | length of body u32 | CRC-32C of these
//!          (little endian)
//! kind     0 start of a segment   version, time, hash before it (hex); number: the next entry's
//!          1 request              to whom, and which records; the body as it goes over the wire
//!          2 outcome              what became of the request with the same number
//!          3 hole                 requests up to this number that could not be written down
//!          4 repair               an unfinished end, cut off after a power cut; number: the last whole entry's
//! hash     of the hash before, the head, the facts and the body
//! ```
//!
//! # Invariants
//! - A request is written down, and on the disk, before its first byte leaves; its outcome after the answer.
//!   A request without an outcome may have arrived.
//! - The uploader is never held up: what cannot be written is a hole, counted, and told by the next record.
//! - At most `max_bytes` on the disk, and nothing older than `max_age` once a request is made or asked for.
//! - A byte that is changed is named by the number of its entry. What the chain cannot show is that its
//!   oldest segments, or its newest records, were taken away as a whole.
//! - Nothing is read or written before the first request: an agent that is off touches no file.
//!
//! On failure: trouble of the disk is a hole; damage is a finding of [`Reader::verify`], never an error.

mod bounds;
mod entry;
mod error;
mod frame;
mod hash;
mod journal;
mod reader;
mod segment;
mod tail;
mod verify;
mod walk;

pub use bounds::Bounds;
pub use entry::{Ending, Entry, Fate, Hole, Outcome, Request, Run};
pub use error::JournalError;
pub use journal::{Flight, Journal, State};
pub use reader::{Look, Mark, Reader};
pub use verify::Verdict;

//! What a handle asks of the writer thread, each with the way back for the answer.
//!
//! # Invariants
//! - The queue is bounded: a handle waits for one of [`ROOM`] places before it asks, so a slow disk
//!   slows its callers down and nothing is refused or lost on the way.

use std::time::Instant;

use candor_model::{Draft, DropReason, Kind, Level};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::dead::DeadLetter;
use crate::error::SpoolError;
use crate::gaps::Gap;
use crate::ledger::Verdict;
use crate::rights::{Range, Settled};
use crate::row::{Parcel, Row, RowId, Want};
use crate::settings::Settings;
use crate::then::Then;

/// Commands that may wait at one time.
pub(crate) const ROOM: usize = 64;

/// The way back.
pub(crate) type Done<T> = oneshot::Sender<Result<T, SpoolError>>;

/// One thing to do.
#[derive(Debug)]
pub(crate) enum Command {
    /// Since when they linger.
    Linger(Vec<Draft>, Instant),
    Append(Vec<Draft>, Done<()>),
    AppendThen(Vec<Draft>, Then, Done<()>),
    Commit(Done<()>),
    LowerTo(Level, Done<u64>),
    SetCeiling(Level, Done<()>),
    Configure(Settings, Done<()>),
    Clear(DropReason, Done<u64>),
    Next(Want, Done<Option<Parcel>>),
    Uploaded(Vec<RowId>, u64, Done<()>),
    Split(RowId, Done<bool>),
    Reject(RowId, String, Done<()>),
    Drop(Vec<RowId>, DropReason, Done<u64>),
    Meta(String, Done<Option<String>>),
    SetMeta(String, String, Done<()>),
    DeadLetters(Done<Vec<DeadLetter>>),
    Replay(u64, Done<Option<u64>>),
    Gaps(Done<Vec<Gap>>),
    Renew(Done<u64>),
    Page(u64, usize, Done<Vec<(Kind, Row)>>),
    PageBefore(u64, usize, Done<Vec<(Kind, Row)>>),
    Settle(Vec<Range>, Vec<Range>, Done<Settled>),
    Verify(Done<Verdict>),
    Close(Done<()>),
}

/// A command and the place that it holds until it is done.
#[derive(Debug)]
pub(crate) struct Envelope {
    pub(crate) command: Command,
    pub(crate) _place: OwnedSemaphorePermit,
}

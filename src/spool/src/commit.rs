//! From drafts to rows: numbers, frames, room, and the insert, in one transaction.
//!
//! # Invariants
//! - Each draft gets exactly one number, whatever becomes of it; a row's numbers are consecutive.
//! - The most valuable level comes first, so that it never makes way for a less valuable one of
//!   the same commit.
//! - A draft that is too large, or that finds no room among records at least as valuable, is
//!   generated and dropped in the same transaction (`oversize`, `spool_full`): the gap in the
//!   numbers is explained by the ledger, and the loss is committed and not only remembered.
//! - The file does not grow beyond the cap, nor at all while the file system has less free than
//!   `min_free`, or than one MiB.

use candor_model::{Draft, DropReason, Level};
use rusqlite::Connection;

use crate::books::{Books, Fate, Span};
use crate::damage::StoreError;
use crate::dead;
use crate::lanes::{self, Which};
use crate::press::Press;
use crate::row::Stored;
use crate::schema::{PAGE, pragma};
use crate::settings::MIN_BYTES;
use crate::store::{HEADROOM, Store, allocated};
use crate::then::{self, Then};
use crate::timeline::millis;

/// A row is closed when the next frame would make it longer, unpacked.
const ROW_BYTES: usize = 64 * 1024;
/// A record whose body is longer is dropped (`oversize`).
pub(crate) const RECORD_BYTES: usize = 1024 * 1024;
/// What a frame adds to a body, at most, for the decision to close a row.
const FRAME_BYTES: usize = 64;
/// Pages that the fixed tables need, and a row beside its body.
const FIXED_PAGES: u64 = 16;
const ROW_PAGES: u64 = 3;

/// What goes into one transaction: drafts sorted by level, kind and boot, and what is true with them.
#[derive(Clone, Copy)]
pub(crate) struct Group<'a> {
    pub(crate) drafts: &'a [&'a Draft],
    pub(crate) thens: &'a [Then],
}

/// What a commit needs to know beside the drafts.
#[derive(Clone, Copy)]
struct Terms<'a> {
    press: &'a Press,
    now: i64,
    cap: u64,
}

/// Commits a group. With `frozen` the file does not grow.
pub(crate) fn commit(
    store: &mut Store,
    press: &Press,
    group: Group<'_>,
    frozen: bool,
) -> Result<(), StoreError> {
    let now = i64::try_from(store.now()).unwrap_or(i64::MAX);
    let terms = Terms { press, now, cap: cap(store, frozen)? };
    let forget = forget_before(store);
    store.write(|conn, books| {
        expire(conn, books, forget)?;
        let same =
            |a: &&Draft, b: &&Draft| (a.level, a.kind, &a.boot) == (b.level, b.kind, &b.boot);
        for run in group.drafts.chunk_by(same) {
            put(conn, books, run, terms)?;
        }
        group.thens.iter().try_for_each(|then| then::apply(conn, books, then))
    })
}

/// Makes a new record of a dead letter, with another number and the same id; the number. `None`
/// where there is no such letter, or the framing cannot open it.
pub(crate) fn replay(
    store: &mut Store,
    press: &Press,
    seq: u64,
) -> Result<Option<u64>, StoreError> {
    let Some((kind, row)) = dead::find(&store.conn, seq)? else { return Ok(None) };
    let Ok(frames) = row.frames() else { return Ok(None) };
    let Some(body) = press.framing.unseal(kind, &frames, seq) else { return Ok(None) };
    let draft = Draft { level: row.level, kind, boot: row.boot, body };
    let now = i64::try_from(store.now()).unwrap_or(i64::MAX);
    let terms = Terms { press, now, cap: cap(store, false)? };
    store.write(|conn, books| {
        let number = books.next_seq();
        dead::take(conn, seq)?;
        put(conn, books, &[&draft], terms)?;
        Ok(Some(number))
    })
}

/// Drops what is too old, in a transaction of its own, if there is any.
pub(crate) fn expire_now(store: &mut Store) -> Result<(), StoreError> {
    let forget = forget_before(store);
    match lanes::oldest(&store.conn)? {
        Some(at) if at < forget => store.write(|conn, books| expire(conn, books, forget)),
        _ => Ok(()),
    }
}

/// Rows from before this are too old.
fn forget_before(store: &Store) -> i64 {
    let before = store.now().checked_sub(millis(store.place.settings.max_age));
    before.map_or(i64::MIN, |at| i64::try_from(at).unwrap_or(i64::MAX))
}

fn expire(conn: &Connection, books: &mut Books, before: i64) -> Result<(), StoreError> {
    if lanes::oldest(conn)?.is_some_and(|at| at < before) {
        lanes::remove(conn, books, Which::Before(before), Fate::Dropped(DropReason::Expired))?;
    }
    Ok(())
}

/// What the store may allocate now.
fn cap(store: &Store, frozen: bool) -> Result<u64, StoreError> {
    let place = &store.place;
    let cap = place.settings.max_bytes.max(MIN_BYTES);
    let least = place.settings.min_free.max(HEADROOM);
    if !frozen && place.free().is_none_or(|free| free >= least) {
        return Ok(cap);
    }
    let pages = u64::try_from(pragma(&store.conn, "page_count")?).unwrap_or(0);
    Ok(cap.min(pages * PAGE))
}

/// Puts a run of drafts that may share rows.
fn put(
    conn: &Connection,
    books: &mut Books,
    run: &[&Draft],
    terms: Terms<'_>,
) -> Result<(), StoreError> {
    let mut open: Option<Stored> = None;
    let mut frames = Vec::new();
    for draft in run {
        let oversize = draft.body.len() > RECORD_BYTES;
        let full = frames.len() + draft.body.len() + FRAME_BYTES > ROW_BYTES;
        if oversize || full {
            close(conn, books, open.take(), (&frames, terms))?;
            frames.clear();
        }
        let seq = books.generate(draft.level, 1);
        if oversize {
            books.settle(Span::run(seq, 1), Fate::Dropped(DropReason::Oversize))?;
            continue;
        }
        let row = open.get_or_insert_with(|| begin(draft, seq, terms.now));
        terms.press.framing.seal(draft.kind, &draft.body, seq, &mut frames);
        row.records += 1;
    }
    close(conn, books, open, (&frames, terms))
}

fn begin(draft: &Draft, seq: u64, now: i64) -> Stored {
    Stored {
        id: i64::try_from(seq).unwrap_or(i64::MAX),
        level: i64::from(draft.level.number()),
        kind: draft.kind as i64,
        records: 0,
        at: now,
        boot: draft.boot.to_string(),
        sum: 0,
        body: Vec::new(),
    }
}

/// Inserts a row with its finished frames, or counts it out where there is no room for it.
fn close(
    conn: &Connection,
    books: &mut Books,
    row: Option<Stored>,
    (frames, terms): (&[u8], Terms<'_>),
) -> Result<(), StoreError> {
    let Some(mut row) = row else { return Ok(()) };
    terms.press.finish(&mut row, frames);
    if make_room(conn, books, &row, terms.cap)? {
        lanes::insert(conn, &row)?;
    } else {
        let number = |n: i64| u64::try_from(n).unwrap_or(0);
        let span = Span::run(number(row.id), number(row.records));
        books.settle(span, Fate::Dropped(DropReason::SpoolFull))?;
    }
    Ok(())
}

/// Evicts the least valuable level's oldest until the row fits; false when only more valuable
/// records are left, or when the row would not fit an empty store.
fn make_room(
    conn: &Connection,
    books: &mut Books,
    row: &Stored,
    cap: u64,
) -> Result<bool, StoreError> {
    let level = Level::from_number(row.level).unwrap_or(Level::Full);
    let bytes = u64::try_from(row.body.len()).unwrap_or(u64::MAX);
    let need = (bytes / (PAGE - 4) + ROW_PAGES) * PAGE;
    if need + FIXED_PAGES * PAGE > cap {
        return Ok(false);
    }
    while allocated(conn)? + need > cap {
        let Some(victim) = lanes::least_valuable(conn, level)? else { return Ok(false) };
        lanes::remove(conn, books, Which::One(victim), Fate::Dropped(DropReason::SpoolFull))?;
    }
    Ok(true)
}

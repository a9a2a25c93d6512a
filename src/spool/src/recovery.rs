//! Opening, whatever lies there: a store of ours, none, a damaged one, one that lost commits.
//!
//! ```text
//! the file               the mirror              what happens
//! ---------------------  ----------------------  ------------------------------------------------
//! none, or empty         none                    a new installation: new id, numbers from 1
//! none, or empty         there                   the id, the numbers and the ledger go on;
//!                                                what waited is `corrupt`
//! ours, whole            same, behind or absent  the store is the truth
//! ours, of a former id   done ahead              the medium lost a renewal of the ids: what waited
//!                                                was deleted by its owner and goes
//! ours, older            done ahead              the medium lost commits: their numbers are not
//!                                                given again, their records are `corrupt`
//! ours, counters bent    there                   the mirror's counters, made to agree with the rows
//! damaged or foreign     any                     set aside; rows that are whole are saved into a
//!                                                new store; the rest of what waited is `corrupt`
//! ```
//!
//! # Invariants
//! - It ends with a store that works, or with an error about the surroundings; never with a request
//!   to a human to delete something.
//! - A recovery that is cut off is taken up again at the next start: see `damage.rs`.
//! - The id is made once, and again when the owner has it renewed; it survives as long as either the
//!   store or the mirror does. What was deleted with a former id does not come back under a new one.

use std::path::Path;

use candor_model::Level;
use rusqlite::Connection;

use crate::books::Books;
use crate::damage::{self, SALVAGE, StoreError};
use crate::error::OpenError;
use crate::gaps::{Gaps, Holes};
use crate::identity::{Identity, proves};
use crate::lanes;
use crate::mirror::{Entry, Mirror, Reflection, Slot};
use crate::order::Order;
use crate::reserve::Reserve;
use crate::row::Stored;
use crate::schema::{self, Content, INSTALL_ID, INSTALL_KEY};
use crate::settings::MIN_BYTES;
use crate::store::{self, HEADROOM, Place, Store};
use crate::timeline::Timeline;

impl Store {
    /// Opens the store of a place, recovering it if need be. On a full disk the reserve goes first.
    pub(crate) fn open(place: Place) -> Result<Self, OpenError> {
        let cramped = place.free().is_some_and(|free| free < HEADROOM);
        if cramped {
            Reserve::find(&place.dir).give_up();
        }
        let path = place.store();
        let reflection = Reflection::read(&place.dir);
        let unfinished = place.dir.join(SALVAGE).exists();
        if !unfinished && damage::begins_like_ours(&path) {
            match existing(&place, &reflection) {
                Ok(Some((conn, entry))) => return Self::settle_in(conn, place, entry),
                Err(StoreError::Sqlite(error)) if damage::is_in_use(&error) => {
                    return Err(OpenError::InUse { path });
                }
                Err(error) if !error.is_damage() => {
                    return Err(OpenError::Store { path, source: error.into_sqlite() });
                }
                Ok(None) | Err(_) => {}
            }
        }
        Self::anew(place, reflection.latest())
    }

    /// Sets the store aside and goes on with a new one that holds what could be saved.
    pub(crate) fn rebuild(&mut self) -> Result<(), StoreError> {
        self.close_connection()?;
        let base = Entry::of(self.mirror.install_id().to_owned(), self.books.clone());
        let (conn, entry) = replace(&self.place, Some(base))?;
        self.conn = conn;
        self.detached = false;
        self.doubt = None;
        self.books = entry.books;
        self.mirror.write(Slot::Done, &self.books);
        self.log_is_new = false;
        self.checkpoint()?;
        damage::salvaged(&self.place.dir);
        Ok(())
    }

    fn anew(place: Place, base: Option<Entry>) -> Result<Self, OpenError> {
        let path = place.store();
        let refuse = |error: StoreError| match error {
            StoreError::SetAside(source) => OpenError::SetAside { path: path.clone(), source },
            other => OpenError::Store { path: path.clone(), source: other.into_sqlite() },
        };
        let (conn, entry) = replace(&place, base).map_err(refuse)?;
        let dir = place.dir.clone();
        let store = Self::settle_in(conn, place, entry)?;
        damage::salvaged(&dir);
        Ok(store)
    }

    /// The opened store with its mirror and its age clock, folded and forced.
    fn settle_in(conn: Connection, place: Place, entry: Entry) -> Result<Self, OpenError> {
        let clock = &place.outside.clock;
        let (wall, boot) = (clock.wall(), clock.boot());
        let timeline = Timeline::resume(entry.books.mark, wall, boot, place.settings.max_age);
        let mut mirror = Mirror::open(&place.dir, entry.install_id);
        mirror.write(Slot::Done, &entry.books);
        let path = place.store();
        let reserve = Reserve::find(&place.dir);
        let mut store = Self {
            conn,
            reserve,
            place,
            books: entry.books,
            mirror,
            timeline,
            fsyncs: 0,
            log_is_new: false,
            forced: boot,
            withheld: 0,
            refused: 0,
            order: Order::default(),
            detached: false,
            doubt: None,
            has_happened: false,
        };
        store
            .overwrite(true)
            .and_then(|()| store.checkpoint())
            .map_err(|error| OpenError::Store { path, source: error.into_sqlite() })?;
        store.reserve.renew(store.place.free(), HEADROOM);
        Ok(store)
    }
}

/// The store that is there, with counters that agree with its rows; `None` when it is empty and
/// the mirror may know better, and when it is not ours.
fn existing(
    place: &Place,
    reflection: &Reflection,
) -> Result<Option<(Connection, Entry)>, StoreError> {
    let conn = store::open(&place.store(), place.settings.max_bytes)?;
    let latest = reflection.clone().latest();
    match schema::inspect(&conn)? {
        Content::Foreign => Ok(None),
        Content::Empty => {
            let entry = begin(latest);
            found(&conn, &entry)?;
            Ok(Some((conn, entry)))
        }
        Content::Ours { books, install_id } => {
            schema::upgrade(&conn)?;
            if is_of_a_former_id(&conn, install_id.as_deref(), books.as_deref(), reflection)? {
                return start_over(conn, place, latest);
            }
            let mirrored = latest.as_ref().map(|entry| entry.install_id.clone());
            let proven = proven_id(&conn, install_id.as_deref())?;
            let Some(install_id) = proven.or(mirrored).or(install_id) else { return Ok(None) };
            let before = books.as_deref().cloned();
            let Some(books) = agree(&conn, books.map(|books| *books), reflection)? else {
                return Ok(None);
            };
            if before.as_ref() != Some(&books) {
                amend(&conn, &books)?;
            }
            Ok(Some((conn, Entry::of(install_id, books))))
        }
    }
}

/// The store's id, where the key beside it proves that neither has changed.
fn proven_id(conn: &Connection, id: Option<&str>) -> rusqlite::Result<Option<String>> {
    let key = schema::read_meta(conn, INSTALL_KEY)?;
    Ok(id.filter(|id| key.is_some_and(|key| proves(&key, id))).map(str::to_owned))
}

/// Whether the mirror saw a renewal of the ids that the medium has lost again.
fn is_of_a_former_id(
    conn: &Connection,
    id: Option<&str>,
    books: Option<&Books>,
    reflection: &Reflection,
) -> rusqlite::Result<bool> {
    let (Some(done), Some(books)) = (&reflection.done, books) else { return Ok(false) };
    let proven = proven_id(conn, id)?;
    let differs = proven.is_some_and(|id| id != done.install_id);
    Ok(differs && done.books.serial > books.serial && done.books.before != books.before)
}

/// An empty store in place of one whose records were deleted by their owner.
fn start_over(
    conn: Connection,
    place: &Place,
    latest: Option<Entry>,
) -> Result<Option<(Connection, Entry)>, StoreError> {
    drop(conn);
    damage::set_aside(&place.dir).map_err(StoreError::SetAside)?;
    damage::remove(&place.dir, SALVAGE).map_err(StoreError::SetAside)?;
    let conn = store::open(&place.store(), place.settings.max_bytes)?;
    let entry = begin(latest);
    found(&conn, &entry)?;
    Ok(Some((conn, entry)))
}

/// Counters that agree with the rows; `None` when only reading every row can tell.
fn agree(
    conn: &Connection,
    books: Option<Books>,
    reflection: &Reflection,
) -> Result<Option<Books>, StoreError> {
    let whole = books.is_some();
    let Some(mut books) = books.or_else(|| Some(reflection.clone().latest()?.books)) else {
        return Ok(None);
    };
    if !whole {
        books.gaps = schema::read_gaps(conn)?;
    }
    if let Some(done) = &reflection.done
        && done.books.serial > books.serial
    {
        tracing::error!("the store is older than its mirror: the medium lost commits");
        books.catch_up(&done.books);
    }
    let waiting = lanes::waiting(conn)?;
    if waiting != books.pending() {
        if whole {
            return Ok(None);
        }
        let holes = lanes::holes(conn, &books)?;
        books.reconcile(waiting, holes);
    }
    Ok(Some(books))
}

/// The counters to begin an empty store with.
fn begin(mirrored: Option<Entry>) -> Entry {
    let Some(mut entry) = mirrored else {
        return Entry::new(Books::default());
    };
    tracing::error!(records = entry.books.pending(), "the store is gone; its mirror goes on");
    entry.books.reconcile(0, Holes::new());
    entry.books.damages += 1;
    entry
}

/// Makes tables, counters and id in an empty file, in one transaction.
fn found(conn: &Connection, entry: &Entry) -> rusqlite::Result<()> {
    conn.execute_batch("BEGIN IMMEDIATE")?;
    schema::create(conn)?;
    schema::write_books(conn, None, &entry.books)?;
    write_id(conn, entry)?;
    conn.execute_batch("COMMIT")
}

fn write_id(conn: &Connection, entry: &Entry) -> rusqlite::Result<()> {
    if let Some(key) = &entry.key {
        schema::write_meta(conn, INSTALL_KEY, &key.to_string())?;
    }
    schema::write_meta(conn, INSTALL_ID, &entry.install_id)
}

/// Writes counters that were made to agree.
fn amend(conn: &Connection, books: &Books) -> rusqlite::Result<()> {
    conn.execute_batch("BEGIN IMMEDIATE")?;
    schema::write_books(conn, None, books)?;
    conn.execute_batch("COMMIT")
}

/// Renames the damaged store, makes a new one and saves into it what is whole.
fn replace(place: &Place, base: Option<Entry>) -> Result<(Connection, Entry), StoreError> {
    tracing::error!(dir = %place.dir.display(), "the store is damaged; saving what can be read");
    damage::set_aside(&place.dir).map_err(StoreError::SetAside)?;
    let path = place.store();
    let conn = store::open(&path, place.settings.max_bytes)?;
    conn.execute_batch("BEGIN IMMEDIATE")?;
    schema::create(&conn)?;
    // Whoever finds this half made finds the salvage beside it, and begins again.
    conn.execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE); BEGIN IMMEDIATE")?;
    let old = reopen_damaged(place, &path);
    let saved = old.as_ref().map_or(Ok(Saved::default()), |old| save_rows(old, &conn))?;
    let id = old.as_ref().and_then(|old| schema::read_meta(old, INSTALL_ID).ok()?);
    let books = old.as_ref().and_then(|old| schema::read_books(old).ok()?);
    let remembered = id.clone().zip(books).map(|(install_id, books)| Entry::of(install_id, books));
    let mut entry = later(remembered, base).unwrap_or_else(|| match id {
        Some(id) => Entry::of(id, saved.presumed()),
        None => Entry::new(saved.presumed()),
    });
    saved.claim_numbers(&mut entry.books);
    if entry.books.gaps == Gaps::default() {
        // The mirror does not know them.
        let gaps = old.as_ref().and_then(|old| schema::read_gaps(old).ok());
        entry.books.gaps = gaps.unwrap_or_default();
    }
    let holes = lanes::holes(&conn, &entry.books)?;
    entry.books.reconcile(saved.records(), holes);
    entry.books.damages += 1;
    entry.books.serial += 1;
    if let Some(old) = &old {
        save_meta(old, &conn);
    }
    schema::write_books(&conn, None, &entry.books)?;
    write_id(&conn, &entry)?;
    conn.execute_batch("COMMIT")?;
    tracing::error!(saved = saved.records(), "a new store goes on in place of the damaged one");
    Ok((conn, entry))
}

/// The damaged store, as far as it lets itself be opened.
fn reopen_damaged(place: &Place, fresh: &Path) -> Option<Connection> {
    let source = place.dir.join(SALVAGE);
    if !source.exists() {
        return None;
    }
    let most = place.settings.max_bytes.max(MIN_BYTES) * 2;
    let mended = damage::first_page(fresh).and_then(|page| damage::splint(&source, &page, most));
    if let Err(error) = mended {
        tracing::warn!(%error, "cannot mend the head of the damaged store");
    }
    schema::connect(&source).ok()
}

/// Whichever knows the later commit; the second of two equals.
fn later(a: Option<Entry>, b: Option<Entry>) -> Option<Entry> {
    [a, b].into_iter().flatten().max_by_key(|entry| entry.books.serial)
}

impl Entry {
    /// A new installation with these counters.
    fn new(books: Books) -> Self {
        let Identity { id, key } = Identity::new();
        Self { install_id: id, key: Some(key), books }
    }

    /// One whose key, if there is one, lies where it lay.
    const fn of(install_id: String, books: Books) -> Self {
        Self { install_id, key: None, books }
    }
}

/// Copies the keys that can be read; they are conveniences, not accounts.
fn save_meta(old: &Connection, new: &Connection) {
    let Ok(mut select) = old.prepare("SELECT key, value FROM meta") else { return };
    let pairs = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    for (key, value) in pairs.into_iter().flatten().map_while(Result::ok) {
        let (key, value): (String, String) = (key, value);
        if let Err(error) = schema::write_meta(new, &key, &value) {
            tracing::warn!(%error, key, "cannot save a key of the damaged store");
        }
    }
}

/// What was saved.
#[derive(Debug, Default)]
struct Saved {
    by_level: [u64; Level::ALL.len()],
    /// The number after the last one seen.
    end: u64,
}

impl Saved {
    fn records(&self) -> u64 {
        self.by_level.iter().sum()
    }

    /// Counters where neither store nor mirror remembers any: what was saved waits; the fate and
    /// the level of the other numbers are unknown, and they count as `basic`, and as `corrupt` as
    /// soon as the counters are reconciled with the rows.
    fn presumed(&self) -> Books {
        let mut books = Books { by_level: self.by_level, ..Books::default() };
        let unknown = self.end.saturating_sub(1).saturating_sub(self.records());
        books.generate(Level::Basic, unknown);
        books
    }

    /// Numbers that rows hold are given, even if the counters were too old to know.
    fn claim_numbers(&self, books: &mut Books) {
        let beyond = self.end.saturating_sub(books.next_seq());
        books.generate(Level::Basic, beyond);
    }
}

/// Copies every row that can be read and is whole: upwards until the first page that cannot be
/// read, then downwards until the last.
fn save_rows(old: &Connection, new: &Connection) -> Result<Saved, StoreError> {
    let mut saved = Saved { end: 1, ..Saved::default() };
    let mut last = 0;
    loop {
        match lanes::after(old, last) {
            Ok(Some(row)) => {
                last = row.id;
                save(new, &row, &mut saved)?;
            }
            Ok(None) => return Ok(saved),
            Err(_) => break,
        }
    }
    let mut next = i64::MAX;
    while let Ok(Some(row)) = lanes::before(old, next) {
        if row.id <= last {
            break;
        }
        next = row.id;
        save(new, &row, &mut saved)?;
    }
    Ok(saved)
}

fn save(new: &Connection, row: &Stored, saved: &mut Saved) -> Result<(), StoreError> {
    let Some((_, trusted)) = row.clone().trusted() else { return Ok(()) };
    lanes::insert(new, row)?;
    let records = u64::from(trusted.records);
    saved.by_level[usize::from(trusted.level.number())] += records;
    saved.end = saved.end.max(trusted.first_seq + records);
    Ok(())
}

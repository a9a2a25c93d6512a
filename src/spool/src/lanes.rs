//! The rows of the queue, as statements: put in, read in the order of sending, taken out.
//!
//! # Invariants
//! - [`remove`] is the one function that takes records out, and it demands a [`Fate`]; whatever it
//!   deletes it counts, in the caller's transaction.
//! - [`discard_damaged`] is its twin for rows whose own count cannot be believed: it counts by what
//!   is left.

use candor_model::{Kind, Level};
use rusqlite::{Connection, OptionalExtension as _, Row as Columns};

use crate::books::{Books, Fate, Span, Unbalanced};
use crate::damage::StoreError;
use crate::gaps::Holes;
use crate::ledger::Verdict;
use crate::order::Ahead;
use crate::row::{self, Row, RowId, Stored, Want};
use crate::schema;

/// Rows looked at in one call of [`next`]: what bounds its time when kinds alternate.
const MOST_ROWS: usize = 512;

const COLUMNS: &str = "id, level, kind, records, at, boot, sum, body";

/// Which rows to take out.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Which<'a> {
    /// One row.
    One(RowId),
    /// These, as far as they are still there.
    These(&'a [RowId]),
    /// Every lane above a level.
    Above(Level),
    /// Rows whose `at` is before this.
    Before(i64),
    /// Everything.
    All,
}

impl Which<'_> {
    /// A condition and each value that it is asked with.
    fn conditions(self) -> (&'static str, Vec<i64>) {
        match self {
            Self::One(id) => ("id = ?1", vec![id.0]),
            Self::These(ids) => ("id = ?1", ids.iter().map(|id| id.0).collect()),
            Self::Above(level) => ("level > ?1", vec![i64::from(level.number())]),
            Self::Before(at) => ("at < ?1", vec![at]),
            Self::All => ("level >= ?1", vec![i64::MIN]),
        }
    }
}

/// Puts a row in.
pub(crate) fn insert(conn: &Connection, row: &Stored) -> rusqlite::Result<()> {
    let sql = "INSERT INTO batch VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    conn.prepare_cached(sql)?
        .execute((row.id, row.level, row.kind, row.records, row.at, &row.boot, row.sum, &row.body))
        .map(drop)
}

/// Some of these rows: at least one, then as many as hold `bytes`.
pub(crate) fn slice(
    conn: &Connection,
    which: Which<'_>,
    bytes: i64,
) -> rusqlite::Result<Vec<RowId>> {
    let (condition, values) = which.conditions();
    let sql = format!("SELECT id, length(body) FROM batch WHERE {condition} ORDER BY id");
    let (mut slice, mut sum) = (Vec::new(), 0);
    for value in values {
        let mut select = conn.prepare_cached(&sql)?;
        let mut rows = select.query([value])?;
        while let Some(row) = rows.next()? {
            let length: i64 = row.get(1)?;
            if !slice.is_empty() && sum + length > bytes {
                return Ok(slice);
            }
            sum += length;
            slice.push(RowId(row.get(0)?));
        }
    }
    Ok(slice)
}

/// Takes rows out and counts their records; how many records that were. What was dropped is kept
/// as ranges; what of several rows an endpoint refused is known only to be among them.
pub(crate) fn remove(
    conn: &Connection,
    books: &mut Books,
    which: Which<'_>,
    fate: Fate,
) -> Result<u64, StoreError> {
    let (condition, values) = which.conditions();
    let select = format!("SELECT id, records FROM batch WHERE {condition} ORDER BY id");
    let delete = format!("DELETE FROM batch WHERE {condition}");
    let mut leaving = Leaving::default();
    for value in values {
        let mut select = conn.prepare_cached(&select)?;
        let mut rows = select.query([value])?;
        while let Some(row) = rows.next()? {
            let (id, records): (i64, i64) = (row.get(0)?, row.get(1)?);
            let id = u64::try_from(id).map_err(|_| Unbalanced)?;
            let records = u64::try_from(records).map_err(|_| Unbalanced)?;
            leaving.row(Span::run(id, records), fate, books)?;
        }
        conn.prepare_cached(&delete)?.execute([value])?;
    }
    leaving.end(fate, books)
}

/// Spans on their way out: runs of a drop are settled one by one, an upload as a whole.
#[derive(Default)]
struct Leaving {
    open: Option<Span>,
    settled: u64,
}

impl Leaving {
    fn row(&mut self, row: Span, fate: Fate, books: &mut Books) -> Result<(), Unbalanced> {
        let apart = |open: Span| matches!(fate, Fate::Dropped(_)) && open.last + 1 != row.first;
        if let Some(done) = self.open.take_if(|open| apart(*open)) {
            self.settled += done.records;
            books.settle(done, fate)?;
        }
        self.open = Some(self.open.map_or(row, |open| open.and(row)));
        Ok(())
    }

    fn end(self, fate: Fate, books: &mut Books) -> Result<u64, StoreError> {
        let Some(last) = self.open else { return Ok(self.settled) };
        books.settle(last, fate)?;
        Ok(self.settled + last.records)
    }
}

/// Takes damaged rows out; what is missing then is `corrupt`.
pub(crate) fn discard_damaged(
    conn: &Connection,
    books: &mut Books,
    rows: &[RowId],
) -> Result<(), StoreError> {
    for row in rows {
        conn.prepare_cached("DELETE FROM batch WHERE id = ?1")?.execute([row.0])?;
    }
    let left = waiting(conn)?;
    if left > books.pending() {
        return Err(StoreError::Unbalanced);
    }
    let holes = holes(conn, books)?;
    books.reconcile(left, holes);
    Ok(())
}

/// Name and count of every row, without its body.
pub(crate) fn spans(conn: &Connection) -> rusqlite::Result<Vec<(RowId, u64)>> {
    let mut select = conn.prepare("SELECT id, records FROM batch INDEXED BY lane ORDER BY id")?;
    let spans = select.query_map([], |row| {
        Ok((RowId(row.get(0)?), u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0)))
    })?;
    spans.collect()
}

/// The numbers between the rows, but for those that are known to be gone.
pub(crate) fn holes(conn: &Connection, books: &Books) -> rusqlite::Result<Holes> {
    let mut select = conn.prepare("SELECT id, records FROM batch ORDER BY id")?;
    let mut rows = select.query([])?;
    let mut holes = Holes::new();
    while let Some(row) = rows.next()? {
        let number = |column| row.get(column).map(|n: i64| u64::try_from(n).unwrap_or(0));
        holes.row(number(0)?, number(1)?, &books.gaps);
    }
    Ok(holes)
}

/// Reads every row and compares what is there with what the counters say.
pub(crate) fn verify(conn: &Connection, books: &Books) -> Result<Verdict, StoreError> {
    let mut verdict = Verdict {
        pending_by_ledger: books.pending(),
        balances: crate::peek::ledger(books).balances()
            && schema::read_books(conn)?.as_ref() == Some(books),
        gaps_agree: books.gaps_agree(),
        ..Verdict::default()
    };
    let (mut id, mut free) = (i64::MIN, 1);
    while let Some(row) = after(conn, id)? {
        id = row.id;
        let Some((_, row)) = row.trusted() else {
            verdict.damaged_rows += 1;
            continue;
        };
        let end = row.first_seq + u64::from(row.records);
        if row.first_seq < free || end > books.next_seq() {
            verdict.misnumbered_rows += 1;
        }
        free = end;
        verdict.pending_by_rows += u64::from(row.records);
    }
    Ok(verdict)
}

/// Records that wait, by the rows' own counts; read from the index alone.
pub(crate) fn waiting(conn: &Connection) -> Result<u64, StoreError> {
    let sql = "SELECT coalesce(sum(records), 0) FROM batch INDEXED BY lane";
    let sum: i64 = conn.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
    u64::try_from(sum).map_err(|_| StoreError::Unbalanced)
}

/// What [`next`] found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) kind: Option<Kind>,
    pub(crate) rows: Vec<Row>,
    /// Rows whose checksum does not hold; nothing was collected after the first of them.
    pub(crate) damaged: Vec<RowId>,
    bytes: usize,
    /// Rows looked at, those of another kind included.
    seen: usize,
}

/// The rows to send next: security first, then what goes `ahead`, then oldest first; one kind,
/// bounded bytes.
pub(crate) fn next(conn: &Connection, want: Want, ahead: &[Ahead]) -> rusqlite::Result<Found> {
    let mut found = Found::default();
    let security = format!("SELECT {COLUMNS} FROM batch WHERE level = 0 AND ?1 >= 0 ORDER BY id");
    let lane = format!(
        "SELECT {COLUMNS} FROM batch WHERE level = ?1 AND id > ?2 AND id <= ?3 ORDER BY id"
    );
    // By the primary key, never by a sort: a sort would hold bodies in memory.
    let others = format!("SELECT {COLUMNS} FROM batch WHERE +level BETWEEN 1 AND ?1 ORDER BY id");
    let up_to = i64::from(want.up_to.number());
    let mut room = collect(conn, (&security, &[up_to]), want.max_bytes, &mut found)?;
    let before = found.seen;
    for rows in ahead.iter().filter(|rows| rows.level <= up_to) {
        let values = [rows.level, rows.after, rows.last];
        room = room && collect(conn, (&lane, &values), want.max_bytes, &mut found)?;
    }
    // While the newest report waits, the backlog does, whatever kind the parcel turned out to be.
    if room && want.up_to > Level::Security && found.seen == before {
        collect(conn, (&others, &[up_to]), want.max_bytes, &mut found)?;
    }
    Ok(found)
}

/// The newest report of each lane but security: the rows of the lane's last commit.
pub(crate) fn newest(conn: &Connection) -> rusqlite::Result<Vec<Ahead>> {
    let last = "SELECT id, at FROM batch WHERE level = ?1 ORDER BY id DESC LIMIT 1";
    let before = "SELECT id FROM batch WHERE level = ?1 AND at < ?2 ORDER BY id DESC LIMIT 1";
    let mut lanes = Vec::new();
    for level in Level::ALL.into_iter().filter(|level| *level > Level::Security) {
        let level = i64::from(level.number());
        let found = conn.prepare_cached(last)?.query_row([level], |r| Ok((r.get(0)?, r.get(1)?)));
        let Some((last, at)) = found.optional()? else { continue };
        let at: i64 = at;
        let after = conn.prepare_cached(before)?.query_row([level, at], |r| r.get(0)).optional()?;
        lanes.push(Ahead { level, after: after.unwrap_or(0), last });
    }
    Ok(lanes)
}

/// Collects rows of one statement; whether there is room for more.
fn collect(
    conn: &Connection,
    (sql, values): (&str, &[i64]),
    max_bytes: usize,
    found: &mut Found,
) -> rusqlite::Result<bool> {
    let mut select = conn.prepare_cached(sql)?;
    let mut rows = select.query(rusqlite::params_from_iter(values))?;
    let mut seen = 0;
    while let Some(columns) = rows.next()? {
        seen += 1;
        found.seen += 1;
        let kind = row::signal(columns.get(2)?);
        if seen > MOST_ROWS {
            return Ok(false);
        }
        if found.kind.is_some() && kind != found.kind {
            continue;
        }
        let stored = stored(columns)?;
        let id = RowId(stored.id);
        let Some((kind, row)) = stored.trusted() else {
            found.damaged.push(id);
            return Ok(false);
        };
        if !found.rows.is_empty() && found.bytes + row.size() > max_bytes {
            return Ok(false);
        }
        found.bytes += row.size();
        found.kind = Some(kind);
        found.rows.push(row);
    }
    Ok(true)
}

/// One row as it lies there, for a split or a rejection.
pub(crate) fn find(conn: &Connection, id: RowId) -> rusqlite::Result<Option<Stored>> {
    let sql = format!("SELECT {COLUMNS} FROM batch WHERE id = ?1");
    conn.prepare_cached(&sql)?.query_row([id.0], stored).optional()
}

/// The first row after `id`, for a walk over the whole store in bounded memory.
pub(crate) fn after(conn: &Connection, id: i64) -> rusqlite::Result<Option<Stored>> {
    let sql = format!("SELECT {COLUMNS} FROM batch WHERE id > ?1 ORDER BY id LIMIT 1");
    conn.prepare_cached(&sql)?.query_row([id], stored).optional()
}

/// The last row before `id`, for the walk from the other end of a damaged store.
pub(crate) fn before(conn: &Connection, id: i64) -> rusqlite::Result<Option<Stored>> {
    let sql = format!("SELECT {COLUMNS} FROM batch WHERE id < ?1 ORDER BY id DESC LIMIT 1");
    conn.prepare_cached(&sql)?.query_row([id], stored).optional()
}

/// Id and `at` of the oldest row.
pub(crate) fn first(conn: &Connection) -> rusqlite::Result<Option<(i64, i64)>> {
    let sql = "SELECT id, at FROM batch ORDER BY id LIMIT 1";
    conn.prepare_cached(sql)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?))).optional()
}

/// `at` of the oldest row.
pub(crate) fn oldest(conn: &Connection) -> rusqlite::Result<Option<i64>> {
    Ok(first(conn)?.map(|(_, at)| at))
}

/// The oldest row of the least valuable lane, if that lane is not more valuable than `level`.
pub(crate) fn least_valuable(conn: &Connection, level: Level) -> rusqlite::Result<Option<RowId>> {
    let sql = "SELECT id FROM batch WHERE level >= ?1 ORDER BY level DESC, id LIMIT 1";
    let found =
        conn.prepare_cached(sql)?.query_row([level.number()], |row| row.get(0)).optional()?;
    Ok(found.map(RowId))
}

pub(crate) fn stored(row: &Columns<'_>) -> rusqlite::Result<Stored> {
    Ok(Stored {
        id: row.get(0)?,
        level: row.get(1)?,
        kind: row.get(2)?,
        records: row.get(3)?,
        at: row.get(4)?,
        boot: row.get(5)?,
        sum: row.get(6)?,
        body: row.get(7)?,
    })
}

//! The writer thread: takes every request that waits, writes them in one transaction, and answers
//! each when it is on disk.
//!
//! # Invariants
//! - A group is at most [`GROUP_ROWS`] rows beyond its first request: nobody waits for a group that
//!   never ends.
//! - The outcome is sent after COMMIT returned, never before.
//! - `last_seen`, version and system of a host change in the same transaction as its records.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, ErrorCode, Statement, TransactionBehavior, params};
use tokio::sync::mpsc;

use super::erase::{self, erase};
use super::{Batch, Deletion, StoreError, Task};
use crate::row::Row;

/// Rows after which a group is closed.
const GROUP_ROWS: usize = 16_384;

const INSERT_HOST: &str = "
INSERT INTO hosts (install_id, first_seen, last_seen, version, os)
VALUES (?1, ?2, ?2, ?3, ?4)
ON CONFLICT (install_id) DO UPDATE SET
    last_seen = max(last_seen, excluded.last_seen),
    version = coalesce(excluded.version, version),
    os = coalesce(excluded.os, os)
RETURNING id";
const INSERT_RECORD: &str = "
INSERT INTO records
    (host, uid, boot_id, seq, level, kind, name, time, received, trace_id, json)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
ON CONFLICT (host, uid) DO NOTHING";
/// A number that no record has, of a record that is there.
const INSERT_REPEAT: &str = "
INSERT OR IGNORE INTO repeats (host, seq)
SELECT ?1, ?2 WHERE NOT EXISTS (SELECT 1 FROM records WHERE host = ?1 AND seq = ?2)";
const INSERT_EXEMPLAR: &str = "INSERT INTO exemplars (trace_id, time, record) VALUES (?1, ?2, ?3)";

/// Writes until every handle is gone, then closes the file.
pub(super) fn run(mut db: Connection, mut tasks: mpsc::Receiver<Task>) {
    let mut next = tasks.blocking_recv();
    while let Some(task) = next {
        next = match task {
            Task::Append(first) => {
                let (group, after) = gather(first, &mut tasks);
                let outcome = write(&mut db, &group).map_err(StoreError::of_write);
                for batch in group {
                    // A sender that went away has its records stored all the same.
                    batch.done.send(outcome.clone()).ok();
                }
                after
            }
            Task::Erase(Deletion { install_id, done }) => {
                done.send(erase(&mut db, &install_id).map_err(StoreError::of_write)).ok();
                None
            }
        }
        .or_else(|| tasks.blocking_recv());
    }
    if let Err((_, error)) = db.close() {
        tracing::error!(cause = &error as &dyn std::error::Error, "cannot close the store");
    }
}

/// What can be written with the first, and what came after it and is something else.
fn gather(first: Batch, tasks: &mut mpsc::Receiver<Task>) -> (Vec<Batch>, Option<Task>) {
    let mut rows = first.rows.len();
    let mut group = vec![first];
    while rows < GROUP_ROWS {
        match tasks.try_recv() {
            Ok(Task::Append(batch)) => {
                rows += batch.rows.len();
                group.push(batch);
            }
            Ok(other) => return (group, Some(other)),
            Err(_) => break,
        }
    }
    (group, None)
}

fn write(db: &mut Connection, group: &[Batch]) -> rusqlite::Result<()> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut inserts = Inserts::new(&transaction)?;
    for batch in group {
        inserts.batch(&batch.rows)?;
    }
    drop(inserts);
    transaction.commit()
}

/// The statements of one transaction, and its time.
pub(crate) struct Inserts<'a> {
    db: &'a Connection,
    host: Statement<'a>,
    record: Statement<'a>,
    exemplar: Statement<'a>,
    repeat: Statement<'a>,
    received: i64,
}

impl<'a> Inserts<'a> {
    /// For a transaction that the caller has begun.
    pub(crate) fn new(db: &'a Connection) -> rusqlite::Result<Self> {
        let (host, record) = (db.prepare(INSERT_HOST)?, db.prepare(INSERT_RECORD)?);
        let exemplar = db.prepare(INSERT_EXEMPLAR)?;
        let repeat = db.prepare(INSERT_REPEAT)?;
        Ok(Self { db, host, record, exemplar, repeat, received: now() })
    }
}

impl Inserts<'_> {
    /// Rows of one host follow each other, so its line is touched once for each run of them. What was
    /// deleted at its owner's request does not come back, nor does the host's line for its sake.
    pub(crate) fn batch(&mut self, rows: &[Row]) -> rusqlite::Result<()> {
        for run in rows.chunk_by(|a, b| a.install_id == b.install_id) {
            let id = run.first().and_then(|row| row.install_id.as_deref()).unwrap_or_default();
            let erased = erase::ranges(self.db, id)?;
            let is_erased = |row: &Row| row.seq.is_some_and(|seq| erase::holds(&erased, seq));
            if run.iter().all(is_erased) {
                continue;
            }
            let host = self.host(run)?;
            for row in run.iter().filter(|row| !is_erased(row)) {
                self.row(host, row)?;
            }
        }
        Ok(())
    }

    fn row(&mut self, host: i64, row: &Row) -> rusqlite::Result<()> {
        let stored = self.record.execute(params![
            host,
            row.uid,
            row.boot_id,
            row.seq,
            row.level,
            row.kind as u8,
            row.name,
            row.time,
            self.received,
            row.trace_id,
            row.json,
        ])?;
        if stored == 0 {
            // It was there already, and so are its traces; perhaps under another number.
            return row.seq.map_or(Ok(()), |seq| self.repeat.execute((host, seq)).map(drop));
        }
        let record = self.db.last_insert_rowid();
        let mut traces = row.exemplars.iter();
        traces.try_for_each(|id| self.exemplar.execute((id, row.time, record)).map(drop))
    }

    /// The number of the host that sent these rows, whose line then says what they told.
    fn host(&mut self, run: &[Row]) -> rusqlite::Result<i64> {
        let install_id = run.first().and_then(|row| row.install_id.as_deref()).unwrap_or_default();
        let latest = |fact: fn(&Row) -> Option<&str>| run.iter().rev().find_map(fact);
        let version = latest(|row| row.host.version.as_deref());
        let os = latest(|row| row.host.os.as_deref());
        self.host.query_row(params![install_id, self.received, version, os], |row| row.get(0))
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

impl StoreError {
    pub(crate) fn of_write(source: rusqlite::Error) -> Self {
        match source.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            _ => Self::Write { source: Arc::new(source) },
        }
    }
}

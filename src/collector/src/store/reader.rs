//! Looking at the store: each question is one statement that streams, so that memory does not grow
//! with what the store holds.
//!
//! # Invariants
//! - The file is opened read-only; a server may write to it meanwhile.
//! - Records come ordered by install id, then sequence number, straight from an index.
//!
//! A caller's error from its callback ends the stream and comes back as it is.

use std::path::Path;
use std::sync::Arc;

use candor_model::{EventDef as _, Kind, events};
use rusqlite::{Connection, Row, Statement, ToSql, named_params};

use super::{StoreError, schema};

const COLUMNS: &str =
    "h.install_id, r.boot_id, r.seq, r.uid, r.level, r.kind, r.name, r.time, r.received, r.json";
/// `CROSS JOIN` keeps SQLite from turning the loops round, which would need a sort of everything.
const HOST_THEN_SEQ: &str = "ORDER BY h.install_id, r.seq";

/// Which records.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    /// Only this install id.
    pub(crate) host: Option<String>,
    /// Only this event, metric or span name.
    pub(crate) name: Option<String>,
}

/// One stored record, borrowed from the statement's row.
#[derive(Clone, Debug)]
pub(crate) struct Stored<'a> {
    pub(crate) install_id: Option<&'a str>,
    pub(crate) boot_id: Option<&'a str>,
    pub(crate) seq: Option<i64>,
    pub(crate) uid: &'a str,
    pub(crate) level: Option<i64>,
    pub(crate) kind: Option<Kind>,
    pub(crate) name: &'a str,
    /// Nanoseconds since 1970; 0 when not said.
    pub(crate) time: i64,
    /// Nanoseconds since 1970.
    pub(crate) received: i64,
    /// The codec's object.
    pub(crate) json: &'a str,
}

/// One host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    pub(crate) install_id: Option<String>,
    pub(crate) first_seen: i64,
    pub(crate) last_seen: i64,
    pub(crate) version: Option<String>,
    pub(crate) os: Option<String>,
    /// The effective level in its latest `candor.agent.settings`.
    pub(crate) level: Option<i64>,
    pub(crate) records: i64,
}

/// A store, opened to look at.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(super) db: Connection,
}

impl Reader {
    /// Opens an existing store.
    ///
    /// # Errors
    /// There is none, or it is not ours.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self { db: schema::open_to_read(path)? })
    }

    /// Every record that the filter lets through, by install id and sequence number.
    pub(crate) fn records<E: From<StoreError>>(
        &self,
        filter: &Filter,
        take: impl FnMut(&Stored<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut statement = self.db.prepare(&records_sql(filter)).map_err(read)?;
        let mut bound: Vec<(&str, &dyn ToSql)> = Vec::new();
        if let Some(host) = &filter.host {
            bound.push((":host", host));
        }
        if let Some(name) = &filter.name {
            bound.push((":name", name));
        }
        stream(&mut statement, &bound, take)
    }

    /// The records of one trace, and the metrics whose exemplars name it, in the order of time.
    pub(crate) fn trace<E: From<StoreError>>(
        &self,
        id: &str,
        take: impl FnMut(&Stored<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let sql = trace_sql(schema::has(&self.db, "exemplars").map_err(read)?);
        let mut statement = self.db.prepare(&sql).map_err(read)?;
        stream(&mut statement, named_params! { ":id": id }, take)
    }

    /// Every host by install id.
    pub(crate) fn hosts<E: From<StoreError>>(
        &self,
        mut take: impl FnMut(&Host) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut statement = self
            .db
            .prepare(
                "SELECT h.install_id, h.first_seen, h.last_seen, h.version, h.os,
                    (SELECT json_extract(r.json, '$.attributes.level') FROM records r
                     WHERE r.name = :settings AND r.host = h.id ORDER BY r.seq DESC LIMIT 1),
                    (SELECT count(*) FROM records r WHERE r.host = h.id)
             FROM hosts h ORDER BY h.install_id",
            )
            .map_err(read)?;
        let settings = events::agent::Settings::ENTRY.name;
        let mut rows = statement.query(named_params! { ":settings": settings }).map_err(read)?;
        while let Some(row) = rows.next().map_err(read)? {
            take(&Host::of(row).map_err(read)?)?;
        }
        Ok(())
    }
}

fn records_sql(filter: &Filter) -> String {
    let host = filter.host.as_ref().map(|_| "h.install_id = :host");
    let name = filter.name.as_ref().map(|_| "r.name = :name");
    let wanted: Vec<_> = ["r.host = h.id"].into_iter().chain(host).chain(name).collect();
    format!(
        "SELECT {COLUMNS} FROM hosts h CROSS JOIN records r WHERE {} {HOST_THEN_SEQ}",
        wanted.join(" AND ")
    )
}

/// Each half comes in order from its index, and SQLite merges them: a record is in one of them only,
/// since a metric has no trace id of its own.
fn trace_sql(has_exemplars: bool) -> String {
    let own = format!(
        "SELECT {COLUMNS}, r.id AS record FROM records r CROSS JOIN hosts h ON h.id = r.host
         WHERE r.trace_id = :id"
    );
    let named = COLUMNS.replace("r.time", "e.time");
    let named = format!(
        "SELECT {named}, e.record FROM exemplars e CROSS JOIN records r ON r.id = e.record
         CROSS JOIN hosts h ON h.id = r.host WHERE e.trace_id = :id"
    );
    let halves = if has_exemplars { format!("{own} UNION ALL {named}") } else { own };
    format!("{halves} ORDER BY time, record")
}

fn stream<E: From<StoreError>>(
    statement: &mut Statement<'_>,
    bound: &[(&str, &dyn ToSql)],
    mut take: impl FnMut(&Stored<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut rows = statement.query(bound).map_err(read)?;
    while let Some(row) = rows.next().map_err(read)? {
        take(&Stored::of(row).map_err(read)?)?;
    }
    Ok(())
}

impl<'a> Stored<'a> {
    fn of(row: &'a Row<'_>) -> rusqlite::Result<Self> {
        let text = |column| row.get_ref(column)?.as_str().map_err(rusqlite::Error::from);
        Ok(Self {
            install_id: Some(text(0)?).filter(|id| !id.is_empty()),
            boot_id: row.get_ref(1)?.as_str_or_null()?,
            seq: row.get(2)?,
            uid: text(3)?,
            level: row.get(4)?,
            kind: Kind::from_number(row.get(5)?),
            name: text(6)?,
            time: row.get(7)?,
            received: row.get(8)?,
            json: text(9)?,
        })
    }
}

impl Host {
    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            install_id: Some(row.get(0)?).filter(|id: &String| !id.is_empty()),
            first_seen: row.get(1)?,
            last_seen: row.get(2)?,
            version: row.get(3)?,
            os: row.get(4)?,
            level: row.get(5)?,
            records: row.get(6)?,
        })
    }
}

pub(super) fn read(source: rusqlite::Error) -> StoreError {
    StoreError::Read { source: Arc::new(source) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::gaps::numbers_sql;

    #[test]
    fn every_question_about_records_streams_without_a_sort() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.db");
        let db = schema::open_to_write(&path, None).unwrap();
        let some = || Some("x".to_owned());
        let filters = [(None, None), (some(), None), (None, some()), (some(), some())];
        let filters = filters.map(|(host, name)| records_sql(&Filter { host, name }));
        let numbers = [true, false].map(numbers_sql);
        for sql in filters.into_iter().chain([true, false].map(trace_sql)).chain(numbers) {
            let mut statement = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let mut rows = statement.raw_query();
            while let Some(row) = rows.next().unwrap() {
                let step: String = row.get(3).unwrap();
                assert!(!step.contains("TEMP B-TREE"), "{sql}: {step}");
                assert!(!step.contains("SCAN r"), "{sql}: {step}");
            }
        }
    }
}

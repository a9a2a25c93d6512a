//! What arrived, for people and for programs: the four questions of `query`, as a table or as NDJSON.
//!
//! # Invariants
//! - A record's JSON object is the codec's (`name`, `level`, `kind`, `time`, `attributes`; a metric
//!   also `unit` and `points`) with `install_id`, `boot_id`, `seq`, `uid` and `received` before it.
//! - Every time is RFC 3339 in UTC. What is not known is null, in a table `-`.
//! - Text from hosts is shown in tables without control characters: it cannot steer a terminal.
//!
//! On failure what was printed before stands.

use std::cell::RefCell;
use std::fmt::Display;
use std::io::{self, Write};

use candor_model::{Kind, UnixNanos};
use candor_otlp::json;
use serde_json::{Value as Json, json};

use crate::store::{Filter, Gap, Host, Reader, StoreError, Stored, Sums};

/// How answers are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Columns with a head.
    Table,
    /// One JSON object a line.
    Json,
}

/// Why a question was not answered to its end.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The output failed.
    #[error("cannot write the answer")]
    Write {
        /// The system's failure.
        #[source]
        source: io::Error,
    },
    /// No trace id.
    #[error("`{id}` is no trace id: give 32 hexadecimal digits")]
    TraceId {
        /// What was given.
        id: String,
    },
}

type Done = Result<(), QueryError>;

/// `query records`.
pub(crate) fn records(
    reader: &Reader,
    filter: &Filter,
    format: Format,
    out: &mut impl Write,
) -> Done {
    record_head(format, out)?;
    reader.records(filter, |record| record_line(record, format, out))?;
    flush(out)
}

/// `query trace`.
pub(crate) fn trace(reader: &Reader, id: &str, format: Format, out: &mut impl Write) -> Done {
    let id = id.to_ascii_lowercase();
    if id.len() != 32 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(QueryError::TraceId { id });
    }
    record_head(format, out)?;
    reader.trace(&id, |record| record_line(record, format, out))?;
    flush(out)
}

/// `query hosts`.
pub(crate) fn hosts(reader: &Reader, format: Format, out: &mut impl Write) -> Done {
    if format == Format::Table {
        line(out, format_args!("{HOST:36}  LEVEL  {VERSION:10}  {LAST_SEEN:30}  RECORDS  SYSTEM"))?;
    }
    reader.hosts(|host| match format {
        Format::Json => line(out, host_json(host)),
        Format::Table => line(
            out,
            format_args!(
                "{:36}  {:5}  {:10}  {:30}  {:7}  {}",
                shown(host.install_id.as_deref()),
                or_dash(host.level),
                shown(host.version.as_deref()),
                time(host.last_seen),
                host.records,
                shown(host.os.as_deref()),
            ),
        ),
    })?;
    flush(out)
}

/// `query gaps`: each run of missing numbers of a host, and then its sums.
pub(crate) fn gaps(reader: &Reader, format: Format, out: &mut impl Write) -> Done {
    if format == Format::Table {
        line(out, format_args!("{HOST:36}  {FIRST:>12}  {LAST:>12}  {COUNT:>12}  CAUSE"))?;
    }
    let out = RefCell::new(out);
    reader.gaps(
        |install_id, gap| gap_line(known(install_id), gap, format, &mut *out.borrow_mut()),
        |install_id, sums| sums_line(known(install_id), sums, format, &mut *out.borrow_mut()),
    )?;
    flush(*out.borrow_mut())
}

fn gap_line(install_id: Option<&str>, gap: &Gap, format: Format, out: &mut impl Write) -> Done {
    let count = gap.last - gap.first + 1;
    match format {
        Format::Json => line(
            out,
            json!({
                "install_id": install_id, "first": gap.first, "last": gap.last, "count": count,
                "cause": gap.cause,
            }),
        ),
        Format::Table => line(
            out,
            format_args!(
                "{:36}  {:>12}  {:>12}  {count:>12}  {}",
                shown(install_id),
                gap.first,
                gap.last,
                shown(gap.cause.as_deref()),
            ),
        ),
    }
}

fn sums_line(install_id: Option<&str>, sums: &Sums, format: Format, out: &mut impl Write) -> Done {
    let (missing, undeclared, agrees) = (sums.missing, sums.undeclared(), sums.agrees());
    match format {
        Format::Json => line(
            out,
            json!({
                "install_id": install_id, "missing": missing, "undeclared": undeclared,
                "declared": sums.declared, "ledger": sums.ledger, "agrees": agrees,
            }),
        ),
        Format::Table => {
            let verdict = match agrees {
                Some(true) => "what was declared agrees with the host's ledger",
                Some(false) => "what was declared does not agree with the host's ledger",
                None => "the host's ledger is not known yet",
            };
            let host = shown(install_id);
            line(
                out,
                format_args!("{host:36}  {missing} missing, {undeclared} undeclared; {verdict}"),
            )
        }
    }
}

fn known(install_id: &str) -> Option<&str> {
    Some(install_id).filter(|id| !id.is_empty())
}

const HOST: &str = "HOST";
const VERSION: &str = "VERSION";
const LAST_SEEN: &str = "LAST SEEN";
const FIRST: &str = "FIRST";
const LAST: &str = "LAST";
const COUNT: &str = "COUNT";

fn record_head(format: Format, out: &mut impl Write) -> Done {
    match format {
        Format::Json => Ok(()),
        Format::Table => {
            let (seq, kind, time) = ("SEQ", "KIND", "TIME");
            line(out, format_args!("{HOST:36}  {seq:>10}  LEVEL  {kind:6}  {time:30}  NAME"))
        }
    }
}

fn record_line(record: &Stored<'_>, format: Format, out: &mut impl Write) -> Done {
    match format {
        Format::Json => line(out, record_json(record)),
        Format::Table => line(
            out,
            format_args!(
                "{:36}  {:>10}  {:5}  {:6}  {:30}  {}",
                shown(record.install_id),
                or_dash(record.seq),
                or_dash(record.level),
                record.kind.map_or("-", Kind::name),
                time(record.time),
                shown(Some(record.name)),
            ),
        ),
    }
}

/// The stored object with the store's own keys before it.
fn record_json(record: &Stored<'_>) -> String {
    let own = json!({
        "install_id": record.install_id,
        "boot_id": record.boot_id,
        "seq": record.seq,
        "uid": record.uid,
        "received": json::time(nanos(record.received)),
    });
    let own = own.to_string();
    let own = own.strip_suffix('}').unwrap_or(&own);
    let codecs = record.json.strip_prefix('{').unwrap_or(record.json);
    format!("{own},{codecs}")
}

fn host_json(host: &Host) -> Json {
    json!({
        "install_id": host.install_id,
        "level": host.level,
        "version": host.version,
        "os": host.os,
        "first_seen": json::time(nanos(host.first_seen)),
        "last_seen": json::time(nanos(host.last_seen)),
        "records": host.records,
    })
}

fn nanos(stored: i64) -> UnixNanos {
    UnixNanos(u64::try_from(stored).unwrap_or(0))
}

fn time(stored: i64) -> String {
    json::time(nanos(stored)).as_str().unwrap_or("-").to_owned()
}

fn or_dash(number: Option<i64>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| number.to_string())
}

/// Text as a table may show it.
fn shown(text: Option<&str>) -> String {
    match text {
        None | Some("") => "-".to_owned(),
        Some(text) => text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect(),
    }
}

fn line(out: &mut impl Write, text: impl Display) -> Done {
    writeln!(out, "{text}").map_err(|source| QueryError::Write { source })
}

fn flush(out: &mut impl Write) -> Done {
    out.flush().map_err(|source| QueryError::Write { source })
}

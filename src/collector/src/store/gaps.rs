//! What is missing of each host's sequence, what the host said of it, and whether both agree with
//! the ledger that it sent.
//!
//! ```text
//! numbers that arrived --> holes --> cut by exact declarations --> by inexact ones --> undeclared
//!                                    (every number is gone)        (so many are gone)
//! ```
//!
//! # Invariants
//! - A number under which a record came that is here under another one is not missing.
//! - A number counts once: where declarations overlap, an exact one goes before one that gives only
//!   a count, and then the one that begins earlier.
//! - The same declaration twice (an agent that crashed between telling and noting) counts once.
//! - Memory grows with the declarations of one host, never with its records.
//!
//! A caller's error from its callback ends the stream and comes back as it is.

use std::collections::BTreeMap;

use candor_model::{EventDef as _, events};
use rusqlite::{OptionalExtension as _, Row};
use serde_json::Value as Json;

use super::reader::{Reader, read};
use super::{StoreError, erase, schema};

/// Numbers that are missing, all for one cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    /// The first missing number.
    pub(crate) first: i64,
    /// The last one.
    pub(crate) last: i64,
    /// What the agent declared; `None` when it said nothing of them.
    pub(crate) cause: Option<String>,
}

/// A range of numbers of which an agent said that so many are gone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Declared {
    first: i64,
    last: i64,
    /// How many of them are not yet found missing.
    left: i64,
    cause: String,
}

/// What one host lost, in sums.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    /// Numbers that did not arrive, up to the highest that did.
    pub(crate) missing: i64,
    /// Of those, the ones that the host declared.
    pub(crate) explained: i64,
    /// Records that the host declared as dropped, by cause.
    pub(crate) declared: BTreeMap<String, i64>,
    /// What its latest health event says of its drops, by cause; `None` when none arrived.
    pub(crate) ledger: Option<BTreeMap<String, i64>>,
    /// Whether a declaration came after that event, so that it may know more.
    pub(crate) is_newer: bool,
}

impl Sums {
    /// Missing numbers of which the host said nothing: late, or lost without a word.
    pub(crate) const fn undeclared(&self) -> i64 {
        self.missing - self.explained
    }

    /// Whether the declarations add up to the host's ledger; `None` while that cannot be known.
    pub(crate) fn agrees(&self) -> Option<bool> {
        let ledger = self.ledger.as_ref()?;
        let at_least = ledger
            .iter()
            .all(|(cause, dropped)| self.declared.get(cause).copied().unwrap_or(0) >= *dropped);
        match self.declared == *ledger {
            true => Some(true),
            false if at_least && self.is_newer => None,
            false => Some(false),
        }
    }

    /// Whether there is nothing to say.
    fn is_clean(&self) -> bool {
        let dropped = self.ledger.as_ref().is_some_and(|ledger| !ledger.is_empty());
        self.missing == 0 && self.declared.is_empty() && !dropped
    }
}

impl Reader {
    /// What is missing of each host's sequence, from number 1 to the highest that arrived, and then
    /// its sums; nothing of hosts that lost nothing.
    pub(crate) fn gaps<E: From<StoreError>>(
        &self,
        mut take: impl FnMut(&str, &Gap) -> Result<(), E>,
        mut sum: impl FnMut(&str, &Sums) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut hosts = self
            .db
            .prepare("SELECT id, install_id FROM hosts ORDER BY install_id")
            .map_err(read)?;
        let mut hosts = hosts.query([]).map_err(read)?;
        while let Some(host) = hosts.next().map_err(read)? {
            let id: i64 = host.get(0).map_err(read)?;
            let install_id: String = host.get(1).map_err(read)?;
            let mut declared = self.declared(id).map_err(read)?;
            let mut sums = self.ledger(id).map_err(read)?;
            for known in &declared {
                *sums.declared.entry(known.cause.clone()).or_default() += known.left;
            }
            // Of what was deleted at the host's request nothing is known any more.
            let erased = erase::ranges(&self.db, &install_id).map_err(read)?;
            let after = erased.last().map_or(0, |(_, last)| *last);
            if after > 0 {
                sums.ledger = None;
            }
            self.holes::<E>((id, after), |first, last| {
                for gap in explain(first, last, &mut declared) {
                    let count = gap.last - gap.first + 1;
                    sums.missing += count;
                    sums.explained += if gap.cause.is_some() { count } else { 0 };
                    take(&install_id, &gap)?;
                }
                Ok(())
            })?;
            if !sums.is_clean() {
                sum(&install_id, &sums)?;
            }
        }
        Ok(())
    }

    /// Each run of numbers of a host above `after` that did not arrive.
    fn holes<E: From<StoreError>>(
        &self,
        (host, after): (i64, i64),
        mut take: impl FnMut(i64, i64) -> Result<(), E>,
    ) -> Result<(), E> {
        let has_repeats = schema::has(&self.db, "repeats").map_err(read)?;
        let mut seqs = self.db.prepare(&numbers_sql(has_repeats)).map_err(read)?;
        let mut rows = seqs.query([host, after]).map_err(read)?;
        let mut expected = after + 1;
        while let Some(row) = rows.next().map_err(read)? {
            let seq: i64 = row.get(0).map_err(read)?;
            if seq > expected {
                take(expected, seq - 1)?;
            }
            expected = seq.saturating_add(1);
        }
        Ok(())
    }

    /// What a host declared, exact ranges first, each group by its first number.
    fn declared(&self, host: i64) -> rusqlite::Result<Vec<Declared>> {
        let mut statement = self.db.prepare(
            "SELECT DISTINCT json_extract(json, '$.attributes.first') AS first,
                    json_extract(json, '$.attributes.last') AS last,
                    json_extract(json, '$.attributes.count') AS count,
                    json_extract(json, '$.attributes.cause') AS cause
             FROM records WHERE host = ?1 AND name = ?2
               AND typeof(first) = 'integer' AND typeof(last) = 'integer'
               AND typeof(count) = 'integer' AND typeof(cause) = 'text'
               AND 0 < first AND first <= last AND 0 < count AND count <= last - first + 1
             ORDER BY count < last - first + 1, first, last, cause",
        )?;
        let declared = |row: &Row<'_>| {
            Ok(Declared {
                first: row.get(0)?,
                last: row.get(1)?,
                left: row.get(2)?,
                cause: row.get(3)?,
            })
        };
        statement.query_map((host, events::agent::Gap::ENTRY.name), declared)?.collect()
    }

    /// The host's ledger by its latest health event, as sums without anything else.
    fn ledger(&self, host: i64) -> rusqlite::Result<Sums> {
        let latest = "SELECT seq, json_extract(json, '$.attributes.dropped_by_reason')
             FROM records WHERE host = ?1 AND name = ?2 ORDER BY seq DESC LIMIT 1";
        let mut statement = self.db.prepare(latest)?;
        let health = statement
            .query_row((host, events::agent::Health::ENTRY.name), |row| {
                Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<String>>(1)?))
            })
            .optional()?;
        let mut statement =
            self.db.prepare("SELECT max(seq) FROM records WHERE host = ?1 AND name = ?2")?;
        let told: Option<i64> =
            statement.query_row((host, events::agent::Gap::ENTRY.name), |row| row.get(0))?;
        let Some((seq, reasons)) = health else { return Ok(Sums::default()) };
        let ledger = Some(by_reason(reasons.as_deref().unwrap_or("[]")));
        Ok(Sums { ledger, is_newer: told > seq, ..Sums::default() })
    }
}

/// Every number of a host that came, in order; an older store has no `repeats`.
pub(super) fn numbers_sql(has_repeats: bool) -> String {
    let repeats = " UNION SELECT seq FROM repeats WHERE host = ?1 AND seq > ?2";
    let repeats = if has_repeats { repeats } else { "" };
    format!("SELECT seq FROM records WHERE host = ?1 AND seq > ?2{repeats} ORDER BY seq")
}

/// `[{"reason": …, "count": …}, …]` as a map; what is no such thing is left out.
fn by_reason(json: &str) -> BTreeMap<String, i64> {
    let list: Vec<Json> = serde_json::from_str(json).unwrap_or_default();
    let pair = |entry: &Json| {
        let (reason, count) = (entry["reason"].as_str()?, entry["count"].as_i64()?);
        (count > 0).then(|| (reason.to_owned(), count))
    };
    list.iter().filter_map(pair).collect()
}

/// The missing numbers `first..=last`, cut where the declared cause changes. What is explained is
/// taken off its declaration.
fn explain(first: i64, last: i64, declared: &mut [Declared]) -> Vec<Gap> {
    let mut pieces = vec![Gap { first, last, cause: None }];
    for known in declared.iter_mut().filter(|known| known.last >= first && known.first <= last) {
        pieces = pieces.into_iter().flat_map(|piece| cut(piece, known)).collect();
    }
    pieces
}

/// What a declaration explains of one run of missing numbers, and what stays left and right of it.
fn cut(piece: Gap, known: &mut Declared) -> Vec<Gap> {
    let first = piece.first.max(known.first);
    let last = piece.last.min(known.last).min(first.saturating_add(known.left - 1));
    if piece.cause.is_some() || first > last {
        return vec![piece];
    }
    known.left -= last - first + 1;
    let part = |first: i64, last: i64, cause: Option<&str>| {
        (first <= last).then(|| Gap { first, last, cause: cause.map(str::to_owned) })
    };
    [
        part(piece.first, first - 1, None),
        part(first, last, Some(&known.cause)),
        part(last + 1, piece.last, None),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gap(first: i64, last: i64, cause: Option<&str>) -> Gap {
        Gap { first, last, cause: cause.map(str::to_owned) }
    }

    fn said(first: i64, last: i64, cause: &str) -> Declared {
        Declared { first, last, left: last - first + 1, cause: cause.to_owned() }
    }

    #[test]
    fn missing_numbers_are_cut_where_the_declared_cause_changes() {
        let declared = || [said(3, 4, "spool_full"), said(7, 20, "expired")];
        assert_eq!(
            explain(2, 9, &mut declared()),
            [
                gap(2, 2, None),
                gap(3, 4, Some("spool_full")),
                gap(5, 6, None),
                gap(7, 9, Some("expired"))
            ]
        );
        assert_eq!(explain(21, 22, &mut declared()), [gap(21, 22, None)]);
        assert_eq!(explain(8, 8, &mut declared()), [gap(8, 8, Some("expired"))]);
    }

    #[test]
    fn overlapping_declarations_never_count_a_number_twice() {
        let mut declared = [said(1, 5, "a"), said(2, 3, "b"), said(4, 8, "c")];
        assert_eq!(
            explain(1, 9, &mut declared),
            [gap(1, 5, Some("a")), gap(6, 8, Some("c")), gap(9, 9, None)]
        );
    }

    #[test]
    fn a_declaration_by_count_explains_no_more_than_its_count() {
        let mut declared = [said(4, 5, "a"), Declared { left: 2, ..said(1, 100, "b") }];
        assert_eq!(explain(3, 5, &mut declared), [gap(3, 3, Some("b")), gap(4, 5, Some("a"))]);
        assert_eq!(explain(9, 11, &mut declared), [gap(9, 9, Some("b")), gap(10, 11, None)]);
    }

    #[test]
    fn sums_agree_when_every_drop_of_the_ledger_was_declared_and_no_other() {
        let map = |pairs: &[(&str, i64)]| {
            pairs.iter().map(|(cause, n)| ((*cause).to_owned(), *n)).collect::<BTreeMap<_, _>>()
        };
        let sums = |declared: &[(&str, i64)], ledger: &[(&str, i64)], is_newer| Sums {
            declared: map(declared),
            ledger: Some(map(ledger)),
            is_newer,
            ..Sums::default()
        };
        let (one, two) = ([("expired", 1)], [("expired", 2)]);
        assert_eq!(sums(&two, &two, false).agrees(), Some(true));
        assert_eq!(sums(&[], &[], false).agrees(), Some(true));
        assert_eq!(sums(&one, &two, true).agrees(), Some(false), "a drop was not declared");
        assert_eq!(sums(&two, &one, false).agrees(), Some(false), "more than was dropped");
        assert_eq!(sums(&two, &one, true).agrees(), None, "the ledger is older");
        let unknown = Sums { ledger: None, ..sums(&one, &one, false) };
        assert_eq!(unknown.agrees(), None);
    }
}

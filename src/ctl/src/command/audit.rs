//! `audit`: derives the ledger again from the rows, and the journal's hashes from its bytes, and compares; the
//! daemon does it where one runs.

use candor_chronicle::{ChronicleError, audit_closed};
use candor_control::protocol::{AuditReport, JournalAudit};
use candor_journal::Reader;
use candor_spool::Offline;

use crate::command::spool::unusable;
use crate::context::Context;
use crate::failure::{FAILED, Failure, chain};
use crate::shown::Shown;
use crate::table::Table;

pub(crate) async fn run(context: &Context) -> Result<Shown, Failure> {
    let report = match Context::unless_no_daemon(context.client().audit().await)? {
        Some(report) => report,
        None => own(context)?,
    };
    let exit_code = if report.sound { 0 } else { FAILED };
    Ok(Shown::new(text(&report), &report).with_exit_code(exit_code))
}

/// Without a daemon: the store of the stopped agent, its mirror with it.
pub(crate) fn own(context: &Context) -> Result<AuditReport, Failure> {
    let store = Offline::open(&context.layout.state_dir()).map_err(|error| unusable(&error))?;
    let reader = Reader::open(&context.layout.state_dir());
    let max_bytes = context.snapshot().config.journal.max_bytes;
    let audited = reader.map_err(ChronicleError::Journal);
    let audited = audited.and_then(|reader| audit_closed(&store, &reader, max_bytes));
    audited.map_err(|error| Failure::new(FAILED, chain(&error)))
}

pub(crate) fn text(report: &AuditReport) -> String {
    let mut table = Table::default();
    let told = |count: u64| count.to_string();
    table.row(["generated", &told(report.generated), "by the counters"]);
    table.row(["uploaded", &told(report.uploaded), ""]);
    table.row(["dropped", &told(report.dropped), ""]);
    table.row(["pending", &told(report.pending), "by the counters"]);
    table.row(["", &told(report.pending_by_rows), "by the rows, each with its checksum"]);
    for gap in &report.gaps {
        let range = format!("{} of {}-{}: {}", gap.count, gap.first, gap.last, gap.reason);
        table.row(["gap", "", &range]);
    }
    let journal = &report.journal;
    table.row(["journal", &told(journal.entries), &range(journal)]);
    if journal.max_bytes == 0 {
        table.row(["", "", "none is kept: journal.max_bytes = 0"]);
    }
    if journal.holes > 0 {
        table.row(["", &told(journal.holes), "left and could not be written down"]);
    }
    if journal.torn_bytes > 0 {
        let cut = "bytes of an unfinished end, which the next start cuts off";
        table.row(["", &told(journal.torn_bytes), cut]);
    }
    let verdict = if report.sound {
        "everything agrees".to_owned()
    } else {
        format!("not sound: {}", report.findings.join("\nnot sound: "))
    };
    format!("{}{verdict}", table.text())
}

/// Which requests the journal holds.
fn range(journal: &JournalAudit) -> String {
    match (journal.first, journal.last) {
        (Some(first), Some(last)) => {
            format!(
                "requests that left ({first} to {last}), {} bytes, each with its hash",
                journal.bytes
            )
        }
        _ => "requests that left".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_disagrees_is_said() {
        let sound = AuditReport { sound: true, ..AuditReport::default() };
        assert!(text(&sound).ends_with("everything agrees"));
        let findings = vec!["2 rows are damaged".to_owned()];
        let bent = AuditReport { findings, ..AuditReport::default() };
        assert!(text(&bent).contains("not sound: 2 rows are damaged"));
    }
}

//! A record between the codec and the spool: encoded, but not yet part of the sequence.

use std::sync::Arc;

use crate::{Kind, Level};

/// One encoded record that has no sequence number yet. It becomes a record of the ledger, and gets
/// its number, when the row that holds it commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The lane it waits in.
    pub level: Level,
    /// The OTLP signal.
    pub kind: Kind,
    /// Boot id of the boot in which it was observed; for a local program's record followed by the
    /// program's own resource and scope (`candor_otlp::Origin`). Only records that share it share a row.
    pub boot: Arc<str>,
    /// The encoded `LogRecord`, `Metric` or `Span`, without `candor.seq`.
    pub body: Vec<u8>,
}

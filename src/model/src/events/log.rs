//! Level 3: what the kernel and the services logged as a warning or worse.
//!
//! # Invariants
//! - The message is the one free text, and of class diagnostic text, so that it is scrubbed.
//!
//! Plain data: nothing here can fail.

use crate::{choice, event};

choice! {
    /// How bad it is, as syslog has it.
    pub enum Severity {
        /// The system is unusable.
        Emergency = "emergency",
        /// Something must be done at once.
        Alert = "alert",
        /// Critical.
        Critical = "critical",
        /// An error.
        Error = "error",
        /// A warning.
        Warning = "warning",
    }
}

event! {
    /// A record of a log, warning or worse. Its time is the record's. Of each source only so many go on in a
    /// window; the others are counted. Off where policy says `LimitDiagnosticLogCollection`.
    pub struct Entry = "candor.log.record", Full, "to find the cause of a problem" {
        /// Who logged it: `kernel`, or the service's or program's name; on Windows the publisher's.
        source: Option<String>, Software;
        /// How bad it is.
        severity: Option<Severity>, Performance;
        /// What it says, scrubbed.
        message: Option<String>, DiagnosticText;
        /// Further records of this source in the window that were left out; on the last one that went on.
        suppressed: Option<u64>, Performance, unit = "{record}";
    }
}

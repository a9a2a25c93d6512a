//! Apport's reports, as Ubuntu keeps them in `var/crash`.
//!
//! ```text
//! ProblemType: Crash
//! Date: Tue Nov  7 08:20:59 2023
//! ExecutablePath: /usr/bin/gedit
//! Package: gedit 44.2-1ubuntu1
//! Signal: 11
//! CoreDump: base64
//!  H4sI…
//! ```
//!
//! # Invariants
//! - Only the four keys above are taken, from the lines before the dump; of the path the file name,
//!   and none of a program outside of the system's directories.
//!
//! A file without `ProblemType: Crash` is no crash.

use std::path::Path;

use candor_model::events::crash::{DumpKeeper, Summary};

use super::{Crash, dump};
use crate::Host;
use crate::filler::fact;

/// The lines that matter stand at the beginning.
const HEAD_BYTES: u64 = 64 * 1024;

pub(super) fn read(host: &Host, path: &Path, name: &str) -> Option<Crash> {
    name.strip_suffix(".crash")?;
    let summary = parse(&host.head(path, HEAD_BYTES)?)?;
    let size = std::fs::metadata(path).ok().map(|metadata| metadata.len());
    Some(Crash { summary: Summary { dump_size: size, ..summary }, ..Crash::default() })
}

fn parse(report: &str) -> Option<Summary> {
    let head = report.split("\nCoreDump:").next().unwrap_or_default();
    let value = |key: &str| {
        let mut pairs = head.lines().filter_map(|line| line.split_once(": "));
        pairs.find(|(name, _)| *name == key).map(|(_, value)| value.trim())
    };
    (value("ProblemType")? == "Crash").then(|| Summary {
        program: value("ExecutablePath").and_then(program),
        version: value("Package").and_then(|package| fact(package.split(' ').nth(1)?)),
        signal: value("Signal").and_then(dump::signal),
        dump_keeper: Some(DumpKeeper::Apport),
        ..Summary::default()
    })
}

fn program(path: &str) -> Option<String> {
    let is_system = !["/home/", "/root/"].iter().any(|home| path.starts_with(home));
    is_system.then(|| fact(path.rsplit('/').next()?)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "ProblemType: Crash\nDate: Tue Nov  7 08:20:59 2023\nExecutablePath: /usr/bin/gedit\n\
        Package: gedit 44.2-1ubuntu1\nProcCmdline: gedit --secret S3CR3T\nSignal: 6\nUserGroups: S3CR3T\n\
        CoreDump: base64\n S3CR3T\nPackage: other 1\n";

    #[test]
    fn four_keys_are_taken_and_nothing_of_the_user() {
        let summary = parse(REPORT).unwrap();
        assert_eq!(summary.program.as_deref(), Some("gedit"));
        assert_eq!(summary.version.as_deref(), Some("44.2-1ubuntu1"));
        assert_eq!(summary.signal.as_deref(), Some("SIGABRT"));
        assert!(!format!("{summary:?}").contains("S3CR3T"));
    }

    #[test]
    fn a_hang_is_no_crash_and_a_users_own_program_is_not_named() {
        assert_eq!(parse(&REPORT.replace("Crash", "Hang")), None);
        assert_eq!(parse(""), None);
        assert_eq!(parse(&REPORT.replace("/usr/bin/", "/home/alice/")).unwrap().program, None);
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, text};

        text(
            "linux/crashes/apport::parse",
            Says::Stands,
            &[
                "ProblemType: Crash\nExecutablePath: /usr/bin/gedit\nPackage: gedit 44.2-1ubuntu1\nSignal: 11\nCoreDump: base64\n H4sI\n",
            ],
            parse,
        );
    }
}

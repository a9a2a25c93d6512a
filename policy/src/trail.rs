//! The local audit trail: who changed what, when and why. It lies outside the spool and the ledger, so
//! that `disable` can be written down before everything else falls silent.
//!
//! ```text
//! {"time":"2026-01-02T03:04:05Z","subject":"level","from":"2","to":"1","layer":"operator","role":"administrator",
//!  "uid":0,"user":"root","pid":4711,"reason":"…"}                                   one JSON object a line
//! ```
//!
//! # Invariants
//! - A line is on the disk before the change that it names takes effect.
//! - Only subject, from, to, layer and role ever leave this host; who and why stay in the trail.
//!
//! A trail that cannot be written is said in the log and stops no change: the owner's word counts more.

use std::fs;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use candor_platform::FileError;
use serde::{Deserialize, Serialize};

use crate::reserve::with_room;

mod change;

pub use change::{Author, act, changes, changes_since, switched};

/// How much of the file's end is read for its latest lines.
const TAIL: u64 = 512 * 1024;

/// One change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When, RFC 3339.
    pub time: String,
    /// `level`, `upload`, `endpoint` or `pins`; `delete` for a deletion; `test` for a connection that its owner asked for while
    /// telemetry was off; `provider` for one that was switched on or off; `remote` for what remote settings lower and
    /// `remote_fetch` for what came of fetching them, which both stay on this host.
    pub subject: String,
    /// The value before.
    pub from: Option<String>,
    /// The value after.
    pub to: Option<String>,
    /// The layer through which it changed.
    pub layer: Option<String>,
    /// In which role.
    pub role: Option<String>,
    /// The peer's user id.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub uid: Option<u32>,
    /// The peer's user name.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub user: Option<String>,
    /// The peer's process id.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pid: Option<u32>,
    /// The reason given.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
}

/// The trail.
#[derive(Clone, Debug)]
pub struct Trail {
    path: PathBuf,
}

impl Trail {
    /// The trail in this file; the file need not exist.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Appends a change and waits until it is on the disk.
    ///
    /// # Errors
    /// When the line cannot be written.
    pub fn append(&self, entry: &Entry) -> Result<(), FileError> {
        let line = serde_json::to_string(entry).unwrap_or_default();
        let dir = self.path.parent().unwrap_or(&self.path);
        with_room(dir, || candor_platform::append_line(&self.path, &line, 0o600))
    }

    /// Every change, oldest first. A line that a power cut tore is passed over.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        let text = fs::read_to_string(&self.path).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The latest `count` changes, oldest first. The file is read from its end, 512 KiB at most, so that
    /// a long history costs no more than a short one.
    #[must_use]
    pub fn latest(&self, count: usize) -> Vec<Entry> {
        let bytes = tail(&self.path, TAIL).unwrap_or_default();
        let lines = bytes.split(|byte| *byte == b'\n');
        let mut latest: Vec<Entry> =
            lines.rev().filter_map(|line| serde_json::from_slice(line).ok()).take(count).collect();
        latest.reverse();
        latest
    }
}

/// The last `max` bytes of a file, or less.
fn tail(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    let mut file = fs::File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(max)))?;
    let mut bytes = Vec::new();
    file.take(max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The latest refusal of remote settings, unless a document was taken since: when, and why.
#[must_use]
pub fn refused_settings(entries: &[Entry]) -> Option<(&str, &str)> {
    let about = |entry: &&Entry| {
        let outcome = entry.to.as_deref();
        entry.subject == "remote_fetch" && matches!(outcome, Some("refused" | "accepted"))
    };
    let last = entries.iter().rev().find(about)?;
    let is_refused = last.to.as_deref() == Some("refused");
    is_refused.then(|| (last.time.as_str(), last.reason.as_deref().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trail_gives_back_what_was_written_and_passes_over_a_torn_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.log");
        let trail = Trail::at(&path);
        assert_eq!(trail.entries(), []);
        let entry = Entry {
            subject: "level".into(),
            to: Some("1".into()),
            uid: Some(0),
            ..Entry::default()
        };
        trail.append(&entry).unwrap();
        fs::write(&path, fs::read_to_string(&path).unwrap() + "{\"time\":\"20").unwrap();
        assert_eq!(trail.entries(), std::slice::from_ref(&entry));
        assert_eq!(trail.latest(9), [entry]);
    }

    #[test]
    fn a_refusal_of_remote_settings_is_told_until_a_document_is_taken() {
        let fetch = |to: &str, why: &str| Entry {
            time: "t".into(),
            subject: "remote_fetch".into(),
            to: Some(to.into()),
            reason: Some(why.into()),
            ..Entry::default()
        };
        let level =
            Entry { subject: "level".into(), to: Some("refused".into()), ..Entry::default() };
        let mut trail =
            vec![level, fetch("accepted", "version 1"), fetch("refused", "it is older")];
        trail.push(fetch("failed", "no way"));
        assert_eq!(refused_settings(&trail), Some(("t", "it is older")));
        trail.push(fetch("accepted", "version 2"));
        assert_eq!(refused_settings(&trail), None);
        assert_eq!(refused_settings(&trail[..1]), None);
    }
}

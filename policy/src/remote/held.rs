//! The copy of the last good document in the state directory: what it lowers holds from the start of
//! the agent on, before anything is fetched.
//!
//! ```text
//! remote.json      {"endpoint": "https://…", "etag": "…"}          one line: where it came from
//!                  {"document": "…", "signature": "…"}             as it was fetched
//! remote.versions  RW…KEY VERSION                                  one line for each key that signed
//! ```
//! # Invariants
//! - The copy is verified each time it is read: what lies on the disk is trusted no more than what
//!   comes over the network.
//! - Versions are kept apart from the copy and by key: a damaged copy does not reopen the way to an
//!   older document, and a key that the owner takes away leaves nothing behind that binds him.
//!
//! On failure: while a key that still counts has signed something, a copy that is missing, damaged
//! or not signed by such a key counts as level 0 and as a stop until a document is fetched again.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use candor_platform::{FileError, Layout, write_atomic};
use serde::{Deserialize, Serialize};

use super::{Opened, Origin, Refusal, Remote, Terms, accept, open};
use crate::keys::Words;
use crate::layer::{Layer, LayerKind, Reading, Weight};
use crate::minisign::MinisignKey;
use crate::source::file::{Reader, read_trusted};

/// Its short name as a place.
const SOURCE: &str = "remote settings";
/// Mode of both files.
const PRIVATE: u32 = 0o600;

/// The copy of an instance.
#[derive(Clone, Debug)]
pub struct Held {
    copy: PathBuf,
    versions: PathBuf,
}

/// What became of a document that was not refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It counts from now on.
    New(Box<Remote>),
    /// It is the one that counts already.
    Same(u64),
}

/// Why a document does not count.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    /// It is refused.
    #[error("the document {0}")]
    Refused(Refusal),
    /// It could not be kept, and what is not kept must not count: it would be gone after a restart.
    #[error("the document could not be kept")]
    Keep(#[source] FileError),
}

/// Where a copy came from.
#[derive(Serialize, Deserialize)]
struct Head {
    endpoint: String,
    etag: Option<String>,
}

/// What lies on the disk.
enum Copy {
    Absent,
    Good { head: Head, opened: Box<Opened> },
    Bad(Reading),
}

/// The highest version that each key has signed.
type Versions = Vec<(MinisignKey, u64)>;

impl Held {
    /// The copy under this layout; it need not exist.
    #[must_use]
    pub fn new(layout: &Layout) -> Self {
        let state = layout.state_dir();
        Self { copy: state.join("remote.json"), versions: state.join("remote.versions") }
    }

    /// The tag under which the endpoint knows the copy; `None` where it must send the document.
    #[must_use]
    pub fn etag(&self, origin: &Origin) -> Option<String> {
        match self.read(origin, Reader::Agent) {
            Copy::Good { head, .. } if head.endpoint == origin.endpoint.to_string() => head.etag,
            _ => None,
        }
    }

    /// Judges a fetched document and keeps it.
    ///
    /// # Errors
    /// See [`TakeError`]. What was held before stays.
    pub fn take(
        &self,
        signed: &[u8],
        etag: Option<&str>,
        (origin, install_id, now): (&Origin, &str, SystemTime),
    ) -> Result<Taken, TakeError> {
        let held = match self.read(origin, Reader::Agent) {
            Copy::Good { opened, .. } => Some(opened),
            Copy::Absent | Copy::Bad(_) => None,
        };
        let versions = self.versions(Reader::Agent).unwrap_or_default();
        let known = highest(&versions, &origin.keys);
        let taken = known.max(held.as_ref().map_or(0, |held| held.remote.version));
        let terms = Terms { keys: &origin.keys, install_id, taken, now };
        let opened = accept(signed, &terms).map_err(TakeError::Refused)?;
        let version = opened.remote.version;
        let is_same = match &held {
            Some(held) if held.remote.version == version && held.text != opened.text => {
                return Err(TakeError::Refused(Refusal::Older { version, taken }));
            }
            Some(held) => held.text == opened.text,
            None => false,
        };
        let from = Head { endpoint: origin.endpoint.to_string(), etag: etag.map(str::to_owned) };
        self.write(&from, signed, versions, &opened).map_err(TakeError::Keep)?;
        Ok(if is_same { Taken::Same(version) } else { Taken::New(Box::new(opened.remote)) })
    }

    /// The copy first: a crash between the two leaves a copy that says its version itself.
    fn write(
        &self,
        head: &Head,
        signed: &[u8],
        mut versions: Versions,
        opened: &Opened,
    ) -> Result<(), FileError> {
        let mut bytes = serde_json::to_vec(head).unwrap_or_default();
        bytes.push(b'\n');
        bytes.extend_from_slice(signed);
        write_atomic(&self.copy, &bytes, PRIVATE)?;
        versions.retain(|(key, _)| *key != opened.key);
        versions.push((opened.key.clone(), opened.remote.version));
        let mut text = String::new();
        for (key, version) in &versions {
            let _ = writeln!(text, "{key} {version}"); // writing to a String cannot fail
        }
        write_atomic(&self.versions, text.as_bytes(), PRIVATE)
    }

    /// The layer that policy resolves: always one that can only lower.
    pub(crate) fn layer(&self, origin: &Origin, reader: Reader, now: SystemTime) -> Layer {
        let place = origin.endpoint.to_string();
        let (reading, remote) = match self.read(origin, reader) {
            Copy::Good { opened, .. } => counted(opened.remote, now),
            Copy::Absent => (self.without_copy(origin, reader, Reading::Absent), None),
            Copy::Bad(reading) => (self.without_copy(origin, reader, reading), None),
        };
        let layer = Layer::new(LayerKind::Remote, &place, reading).called(SOURCE);
        Layer { weight: Weight::Ceiling, remote, ..layer }
    }

    /// What a copy that is no use means.
    fn without_copy(&self, origin: &Origin, reader: Reader, reading: Reading) -> Reading {
        if matches!(reading, Reading::NotReadableByYou(_)) {
            return reading;
        }
        let versions = match self.versions(reader) {
            Ok(versions) => versions,
            Err(reading) => return reading,
        };
        match (highest(&versions, &origin.keys), reading.trouble()) {
            // Nothing was ever taken under the keys that count now.
            (0, None) => Reading::Absent,
            (0, Some(_)) if !versions.is_empty() => Reading::Absent,
            (0, Some(why)) => Reading::Malformed(why.to_owned()),
            (version, why) => {
                let why = why.unwrap_or("it is gone");
                Reading::Malformed(format!("the copy of version {version}: {why}"))
            }
        }
    }

    fn read(&self, origin: &Origin, reader: Reader) -> Copy {
        let bytes = match read_trusted(&self.copy, reader) {
            Ok(None) => return Copy::Absent,
            Ok(Some(bytes)) => bytes,
            Err(reading) => return Copy::Bad(reading),
        };
        let bad = |why: String| Copy::Bad(Reading::Malformed(why));
        let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
            return bad("it is cut off".to_owned());
        };
        let (head, signed) = bytes.split_at(end);
        match (serde_json::from_slice(head), open(signed.trim_ascii_start(), &origin.keys)) {
            (Ok(head), Ok(opened)) => Copy::Good { head, opened: Box::new(opened) },
            (Err(error), _) => bad(error.to_string()),
            (_, Err(refusal)) => bad(format!("it {refusal}")),
        }
    }

    /// `Err` where the file is not understood.
    fn versions(&self, reader: Reader) -> Result<Versions, Reading> {
        let Some(bytes) = read_trusted(&self.versions, reader)? else { return Ok(Vec::new()) };
        let text = String::from_utf8_lossy(&bytes);
        let line = |line: &str| {
            let (key, version) = line.split_once(' ')?;
            Some((key.parse().ok()?, version.parse().ok()?))
        };
        let versions: Option<Versions> = text.lines().map(line).collect();
        versions.ok_or_else(|| Reading::Malformed(damaged(&self.versions)))
    }
}

fn damaged(path: &Path) -> String {
    format!("{} is damaged", path.display())
}

/// The highest version that any of these keys has signed.
fn highest(versions: &Versions, keys: &[MinisignKey]) -> u64 {
    let counted = versions.iter().filter(|(key, _)| keys.contains(key));
    counted.map(|(_, version)| *version).max().unwrap_or(0)
}

/// A good document as a reading; one past its end says nothing.
fn counted(remote: Remote, now: SystemTime) -> (Reading, Option<Arc<Remote>>) {
    if remote.is_expired(now) {
        return (Reading::of(Words::default()), None);
    }
    let words = Words { max_telemetry_allowed: remote.max_level, ..Words::default() };
    (Reading::of(words), Some(Arc::new(remote)))
}

#[cfg(test)]
mod tests {
    use minisign::KeyPair;
    use tempfile::TempDir;

    use super::super::tests::{now, pair, public, sign};
    use super::*;

    struct Host {
        _root: TempDir,
        held: Held,
        pair: KeyPair,
        origin: Origin,
    }

    impl Host {
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            let layout = Layout::new(Some(root.path()));
            std::fs::create_dir_all(layout.state_dir()).unwrap();
            let pair = pair();
            let endpoint = "https://settings.example.org".parse().unwrap();
            let origin = Origin { endpoint, keys: vec![public(&pair)] };
            Self { _root: root, held: Held::new(&layout), pair, origin }
        }

        fn document(version: u64, words: &str) -> String {
            format!(r#"{{"candor_settings": 1, "version": {version}, "audience": "all"{words}}}"#)
        }

        fn take(&self, version: u64, words: &str) -> Result<Taken, TakeError> {
            let signed = sign(&self.pair, &Self::document(version, words));
            self.held.take(&signed, Some("\"tag\""), (&self.origin, "me", now()))
        }

        fn layer(&self) -> Layer {
            self.held.layer(&self.origin, Reader::Agent, now())
        }

        fn counts_as_a_stop(&self) -> bool {
            self.layer().reading.trouble().is_some()
        }
    }

    #[test]
    fn what_was_taken_is_a_ceiling_after_a_restart() {
        let host = Host::new();
        assert_eq!(host.layer().reading, Reading::Absent);
        assert!(matches!(host.take(3, r#", "MaxTelemetryAllowed": 1"#), Ok(Taken::New(_))));
        let layer = host.layer();
        assert_eq!((layer.kind, layer.weight), (LayerKind::Remote, Weight::Ceiling));
        assert_eq!(layer.place, "https://settings.example.org");
        let words = layer.reading.words().unwrap();
        assert_eq!(words.max_telemetry_allowed.map(candor_model::Level::number), Some(1));
        assert_eq!(layer.remote.unwrap().version, 3);
        assert_eq!(host.held.etag(&host.origin).as_deref(), Some("\"tag\""));
    }

    #[test]
    fn an_older_version_is_refused_also_when_the_copy_is_gone() {
        let host = Host::new();
        host.take(3, "").unwrap();
        std::fs::remove_file(&host.held.copy).unwrap();
        let refused = host.take(2, "").unwrap_err();
        assert!(matches!(refused, TakeError::Refused(Refusal::Older { version: 2, taken: 3 })));
        assert!(matches!(host.take(3, ""), Ok(Taken::New(_))), "the same one may be fetched again");
    }

    #[test]
    fn an_older_version_is_refused_also_when_only_the_copy_knows() {
        let host = Host::new();
        host.take(3, "").unwrap();
        std::fs::remove_file(&host.held.versions).unwrap();
        assert!(host.take(2, "").is_err());
    }

    #[test]
    fn the_same_document_changes_nothing_and_another_of_the_same_version_is_refused() {
        let host = Host::new();
        host.take(3, r#", "stop": true"#).unwrap();
        assert!(matches!(host.take(3, r#", "stop": true"#), Ok(Taken::Same(3))));
        assert!(host.take(3, "").is_err());
        assert!(host.layer().remote.unwrap().stop, "the last good one stays");
    }

    #[test]
    fn a_refused_document_leaves_the_last_good_one_in_force() {
        let host = Host::new();
        host.take(3, r#", "stop": true"#).unwrap();
        for words in [r#", "AllowTelemetry": 3"#, r#", "expires": "2001-01-01T00:00:00Z""#] {
            assert!(host.take(4, words).is_err());
            assert!(host.layer().remote.unwrap().stop);
        }
    }

    #[test]
    fn a_damaged_or_missing_copy_counts_as_a_stop_until_a_document_is_taken() {
        type Damage = fn(&Held);
        let damages: [Damage; 5] = [
            |held| {
                std::fs::write(&held.copy, "{}\n{}").unwrap();
                std::fs::remove_file(&held.versions).unwrap();
            },
            |held| std::fs::write(&held.copy, "").unwrap(),
            |held| {
                let bytes = std::fs::read_to_string(&held.copy).unwrap();
                std::fs::write(&held.copy, bytes.replace("Max", "max")).unwrap();
            },
            |held| std::fs::remove_file(&held.copy).unwrap(),
            |held| {
                std::fs::write(&held.copy, "{").unwrap();
                std::fs::write(&held.versions, "\0\0").unwrap();
            },
        ];
        for (at, damage) in damages.iter().enumerate() {
            let host = Host::new();
            host.take(3, r#", "MaxTelemetryAllowed": 2"#).unwrap();
            damage(&host.held);
            assert!(host.counts_as_a_stop(), "{at}");
            assert_eq!(host.held.etag(&host.origin), None, "{at}: the document must be sent");
            host.take(3, r#", "MaxTelemetryAllowed": 2"#).unwrap();
            assert!(!host.counts_as_a_stop(), "{at}");
        }
    }

    #[test]
    fn a_copy_that_others_may_write_counts_as_a_stop() {
        let host = Host::new();
        host.take(3, "").unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::Permissions::from_mode(0o666);
            std::fs::set_permissions(&host.held.copy, mode).unwrap();
            assert!(host.counts_as_a_stop());
        }
    }

    #[test]
    fn a_key_that_the_owner_takes_away_leaves_nothing_that_binds_him() {
        let mut host = Host::new();
        host.take(u64::MAX, r#", "stop": true"#).unwrap();
        host.pair = pair();
        host.origin.keys = vec![public(&host.pair)];
        assert_eq!(host.layer().reading, Reading::Absent);
        assert!(matches!(host.take(1, ""), Ok(Taken::New(_))));
    }

    #[test]
    fn the_versions_of_each_key_are_kept_while_another_one_signs() {
        let mut host = Host::new();
        host.take(5, "").unwrap();
        let first = std::mem::replace(&mut host.pair, pair());
        host.origin.keys.push(public(&host.pair));
        assert!(host.take(4, "").is_err(), "a second key is no way back");
        host.take(6, "").unwrap();
        host.origin.keys.pop();
        assert!(host.counts_as_a_stop(), "what holds was signed by a key that counts no more");
        host.pair = first;
        assert!(host.take(4, "").is_err());
        host.take(5, "").unwrap();
        assert!(!host.counts_as_a_stop());
    }

    #[test]
    fn a_document_past_its_end_says_nothing() {
        let host = Host::new();
        host.take(3, r#", "stop": true, "expires": "2027-01-15T08:00:01Z""#).unwrap();
        assert!(host.layer().remote.is_some());
        let end = now() + std::time::Duration::from_secs(1);
        let layer = host.held.layer(&host.origin, Reader::Agent, end);
        assert_eq!((layer.reading, layer.remote), (Reading::of(Words::default()), None));
    }

    #[test]
    fn the_tag_is_not_shown_to_another_endpoint() {
        let mut host = Host::new();
        host.take(3, "").unwrap();
        host.origin.endpoint = "https://other.example.org".parse().unwrap();
        assert_eq!(host.held.etag(&host.origin), None);
    }
}

//! What is known of a store without opening it: for the status of a host that is off, where no file
//! may be touched.
//!
//! # Invariants
//! - Reads the mirror and nothing else; writes nothing.
//!
//! On failure there is nothing to tell: `None`.

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use crate::books::Books;
use crate::ledger::Ledger;
use crate::mirror::Reflection;

/// A store's id and its counters, as they were when it was last open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peek {
    /// The random id of the installation.
    pub install_id: String,
    /// The counters; what only an open store knows (bytes, ages) is zero.
    pub ledger: Ledger,
    /// A crash came between a commit and its reflection: the store may hold more than `ledger` says.
    pub is_behind: bool,
}

/// Looks at the store in a state directory; `None` where there never was one.
#[must_use]
pub fn peek(dir: &Path) -> Option<Peek> {
    let reflection = Reflection::read(dir);
    // An intent may belong to a commit that never came about.
    let done = reflection.done.as_ref().map(|entry| entry.books.serial);
    let is_behind = reflection.intent.as_ref().map(|entry| entry.books.serial) > done;
    let entry = reflection.done.or(reflection.intent)?;
    Some(Peek { install_id: entry.install_id, ledger: ledger(&entry.books), is_behind })
}

/// The ledger, as far as the counters tell it.
pub(crate) fn ledger(books: &Books) -> Ledger {
    let last_upload =
        (books.last_upload > 0).then(|| UNIX_EPOCH + Duration::from_millis(books.last_upload));
    Ledger {
        generated: books.generated(),
        uploaded: books.uploaded,
        dropped: books.dropped,
        pending: books.pending(),
        generated_by_level: books.by_level,
        withheld: books.withheld,
        refused: books.refused,
        next_seq: books.next_seq(),
        before: books.before,
        last_upload,
        damages: books.damages,
        gaps: books.gaps.list().len(),
        ..Ledger::default()
    }
}

#[cfg(test)]
mod tests {
    use candor_model::{Draft, DropReason, Kind, Level};

    use super::*;
    use crate::mirror::{Mirror, Slot};
    use crate::{Framing, Settings, Spool, Urgency};

    struct Plain;

    impl Framing for Plain {
        fn seal(&self, _: Kind, body: &[u8], _: u64, out: &mut Vec<u8>) {
            out.extend_from_slice(body);
        }

        fn frame_len(&self, _: Kind, bytes: &[u8]) -> Option<usize> {
            Some(bytes.len())
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_closed_store_tells_its_id_and_its_counters_and_an_absent_one_nothing() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(peek(dir.path()), None);
        let spool = Spool::open(dir.path(), Settings::default(), Box::new(Plain)).unwrap();
        let draft =
            Draft { level: Level::Basic, kind: Kind::Log, boot: "b".into(), body: vec![1, 2] };
        spool.append(vec![draft; 3], Urgency::Now).await.unwrap();
        spool.clear(DropReason::Disabled).await.unwrap();
        let (install_id, ledger) = (spool.install_id().to_owned(), spool.ledger());
        spool.close().await.unwrap();
        let seen = peek(dir.path()).unwrap();
        assert_eq!(seen.install_id, install_id);
        assert!(seen.ledger.balances());
        assert_eq!((seen.ledger.generated, seen.ledger.pending), (3, 0));
        assert_eq!(seen.ledger.dropped, ledger.dropped);
        assert_eq!(seen.ledger.generated_by_level, ledger.generated_by_level);
        assert!(!seen.is_behind);

        // Killed after the next commit was announced: whether it came about, only the store knows.
        let mut next = Reflection::read(dir.path()).done.unwrap().books;
        next.serial += 1;
        Mirror::open(dir.path(), install_id).write(Slot::Intent, &next);
        assert!(peek(dir.path()).unwrap().is_behind);
    }
}

//! The audit trail for a reader of the control API: its latest lines, newest first.
//!
//! # Invariants
//! - At most [`SHOWN`] changes; the file keeps them all.
//!
//! On failure: what cannot be read is not shown; the trail itself says so to root.

use candor_control::protocol::{Change, History};
use candor_policy::trail::{Entry, Trail};

/// As many as a person looks through.
const SHOWN: usize = 500;

/// The latest changes.
pub(crate) fn history(trail: &Trail) -> History {
    let mut changes: Vec<_> = trail.latest(SHOWN).into_iter().map(change).collect();
    changes.reverse();
    History { changes }
}

fn change(entry: Entry) -> Change {
    Change {
        time: entry.time,
        subject: entry.subject,
        from: entry.from,
        to: entry.to,
        layer: entry.layer,
        role: entry.role,
        uid: entry.uid,
        user: entry.user,
        pid: entry.pid,
        reason: entry.reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_change_comes_first_and_old_ones_stay_in_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.log");
        let line = |number: usize| {
            let to = Some(number.to_string());
            serde_json::to_string(&Entry { to, ..Entry::default() }).unwrap() + "\n"
        };
        std::fs::write(&path, (0..SHOWN + 7).map(line).collect::<String>()).unwrap();
        let changes = history(&Trail::at(&path)).changes;
        assert_eq!(changes.len(), SHOWN);
        assert_eq!(changes[0].to.as_deref(), Some("506"));
        assert_eq!(changes[SHOWN - 1].to.as_deref(), Some("7"));
    }
}

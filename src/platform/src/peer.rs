//! Who is at the other end of a control connection, and what he may therefore ask. The identity is
//! the system's word, taken when the connection came in; nothing that the client sends counts.
//!
//! # Invariants
//! - In doubt the role is the lowest: what cannot be told gives no right.
//! - No name service is asked: a directory server that is slow cannot stall the agent. Names come
//!   from `/etc/passwd` and `/etc/group`, group membership from the kernel.
//!
//! On failure: the fact is absent and the role [`Role::Anyone`].

use std::path::PathBuf;

#[cfg_attr(unix, path = "peer/unix.rs")]
#[cfg_attr(windows, path = "peer/windows.rs")]
pub(crate) mod imp;

/// What a local process may ask of the agent. Ordered: an administrator may do what a reader may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Any local process: status.
    Anyone,
    /// A member of the group `candor`: may read events.
    Reader,
    /// Root or the user who runs the agent; on Windows an elevated administrator. May change
    /// things.
    Administrator,
}

/// The process at the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its user id; Windows has none.
    pub uid: Option<u32>,
    /// Its user's name, or SID on Windows; `None` where the host does not tell.
    pub user: Option<String>,
    /// Its process id.
    pub pid: Option<u32>,
    /// What it may ask.
    pub role: Role,
}

impl Peer {
    /// This process itself, as another agent would see it.
    #[must_use]
    pub fn this_process() -> Self {
        imp::this_process()
    }
}

/// The executable that a process runs, as the system names it: a process that replaced itself is
/// named by what it runs now. `None` where the system does not tell, or not to us.
#[must_use]
pub fn executable_of(pid: u32) -> Option<PathBuf> {
    imp::executable_of(pid)
}

/// The groups of a process, its own first; empty where the system has none, or does not tell.
#[must_use]
pub fn groups_of(pid: u32) -> Vec<u32> {
    imp::groups_of_process(pid)
}

/// Whether this process may change things on this host: root, or an elevated administrator.
#[must_use]
pub fn is_administrator() -> bool {
    imp::is_administrator()
}

/// The role of a client that said something: the lower one, where both are told. `None` means that the
/// system did not let us look at the client's process.
#[cfg(any(windows, test))]
fn settled(by_pipe: Role, by_process: Option<Role>) -> Role {
    by_process.map_or(by_pipe, |by_process| by_process.min(by_pipe))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_knows_its_own_id() {
        let peer = Peer::this_process();
        assert_eq!(peer.pid, Some(std::process::id()));
        assert_eq!(peer.role, Role::Administrator);
        assert_eq!(peer.uid.is_some(), cfg!(unix));
    }

    #[test]
    fn a_higher_role_includes_the_lower_ones() {
        assert!(Role::Administrator > Role::Reader && Role::Reader > Role::Anyone);
    }

    #[test]
    fn a_process_that_may_not_be_looked_at_leaves_the_pipes_word() {
        use Role::{Administrator, Anyone};
        for (by_pipe, by_process, role) in [
            (Administrator, Some(Administrator), Administrator),
            (Administrator, Some(Anyone), Anyone),
            (Anyone, Some(Administrator), Anyone),
            (Administrator, None, Administrator),
            (Anyone, None, Anyone),
        ] {
            assert_eq!(settled(by_pipe, by_process), role, "{by_pipe:?} {by_process:?}");
        }
    }
}

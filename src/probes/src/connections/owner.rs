//! Which program a socket belongs to: the open files of all processes, looked through once.
//!
//! # Invariants
//! - Of a process only its name as the kernel keeps it; of its open files only the numbers of sockets.
//! - At most [`MAX_FILES`] open files are looked at.
//!
//! Another user's process tells nothing to an agent without rights: its sockets have no program.

use std::collections::{BTreeMap, BTreeSet};

use crate::Host;

const MAX_FILES: usize = 100_000;

/// The name of the program of each wanted socket that can be seen.
pub(super) fn of(host: &Host, wanted: &BTreeSet<u64>) -> BTreeMap<u64, String> {
    let mut owners = BTreeMap::new();
    if wanted.is_empty() {
        return owners;
    }
    let _raised = candor_platform::raise_to_read();
    let mut rest = MAX_FILES;
    for pid in host.names(&host.proc("")) {
        if !pid.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let files = host.proc(&format!("{pid}/fd"));
        let names = host.names(&files);
        rest = rest.saturating_sub(names.len() + 1);
        let sockets =
            names.iter().filter_map(|name| socket(host.link_name(&files.join(name))?.as_str()));
        let mut sockets = sockets.filter(|inode| wanted.contains(inode)).peekable();
        if sockets.peek().is_some()
            && let Some(program) = host.text(&host.proc(&format!("{pid}/comm")))
        {
            owners.extend(sockets.map(|inode| (inode, program.clone())));
        }
        if rest == 0 {
            break;
        }
    }
    owners
}

/// `socket:[12345]`
fn socket(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, text};

        text("connections/owner::socket", Says::Stands, &["socket:[4711]"], socket);
    }
}

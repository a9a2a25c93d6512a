//! Which programs run, by the names that the kernel keeps.
//!
//! # Invariants
//! - Known only where process 1 shows: where others' processes are hidden, a program that is not
//!   seen may run all the same.
//!
//! Nothing here fails.

use std::collections::BTreeSet;

use crate::Host;

/// The names of all processes; `None` where they are hidden.
pub(super) fn names(host: &Host) -> Option<BTreeSet<String>> {
    host.text(&host.proc("1/comm"))?;
    let pids = host.names(&host.proc(""));
    let pids = pids.iter().filter(|pid| pid.bytes().all(|byte| byte.is_ascii_digit()));
    Some(pids.filter_map(|pid| host.text(&host.proc(&format!("{pid}/comm")))).collect())
}

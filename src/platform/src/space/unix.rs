//! The size of a file system by `statvfs`; the Linux half of `space`.
//!
//! # Invariants
//! - Counts in fragments, the unit that `statvfs` counts in. On failure: the system's error.

use std::io;
use std::path::Path;

pub(super) fn space(path: &Path) -> io::Result<(u64, u64)> {
    let answer = nix::sys::statvfs::statvfs(path)?;
    let unit = answer.fragment_size();
    Ok((unit.saturating_mul(answer.blocks_available()), unit.saturating_mul(answer.blocks())))
}

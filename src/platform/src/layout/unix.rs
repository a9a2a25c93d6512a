//! The root of an installed system on Linux; the Linux half of `layout`.
//!
//! # Invariants
//! - It is `/`, whatever the environment says. Nothing here fails.

use std::path::PathBuf;

pub(super) fn default_root() -> PathBuf {
    PathBuf::from("/")
}

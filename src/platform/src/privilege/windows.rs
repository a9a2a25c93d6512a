//! A Windows service runs with the rights of its account, all of them awake; the other half of
//! `privilege`.
//!
//! # Invariants
//! - Does nothing, and cannot fail.

/// There is nothing to remember, and no value of it.
#[derive(Debug)]
pub(super) enum Rights {}

pub(super) fn lower() {}

pub(super) fn raise_to_read() -> Option<Rights> {
    None
}

pub(super) fn set(rights: &Rights) -> bool {
    match *rights {}
}

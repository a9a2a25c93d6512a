//! The peer of a named pipe; the Windows half of `peer`.
//!
//! # Invariants
//! - Administrator is only who is one twice: by the token of the client's process, and by the token
//!   that the pipe recorded ([`confirm`], possible once a byte was read). The first alone could be a
//!   later process with the same id.
//! - Where the agent itself runs without elevation, its own user counts as administrator.
//!
//! On failure: the lowest role.
#![expect(unsafe_code, reason = "a raw call of the named pipes")]

use std::os::windows::io::RawHandle;

use windows_sys::Win32::System::Pipes::GetNamedPipeClientProcessId;

use super::{Peer, Role};
use crate::security::{Token, own_sid};

pub(crate) fn is_administrator() -> bool {
    Token::own().is_ok_and(|token| token.is_administrator())
}

/// By the token of the client's process.
/// It runs as the user who would run the agent, so it is its own administrator.
pub(crate) fn this_process() -> Peer {
    let user = std::env::var("USERNAME").ok();
    Peer { uid: None, user, pid: Some(std::process::id()), role: Role::Administrator }
}

pub(crate) fn identify(pipe: RawHandle) -> Peer {
    let mut pid = 0;
    // SAFETY: the pipe is open and the output is ours.
    let told = unsafe { GetNamedPipeClientProcessId(pipe, &raw mut pid) } != 0;
    let pid = told.then_some(pid);
    let token = pid.and_then(|pid| Token::of_process(pid).ok());
    Peer {
        uid: None,
        user: token.as_ref().and_then(Token::sid),
        pid,
        role: token.as_ref().map_or(Role::Anyone, role),
    }
}

/// The same peer after a byte was read from the pipe: with the lower of both roles.
pub(crate) fn confirm(pipe: RawHandle, peer: Peer) -> Peer {
    let recorded = Token::of_pipe_client(pipe);
    let role = recorded.as_ref().map_or(Role::Anyone, role).min(peer.role);
    Peer { role, ..peer }
}

fn role(token: &Token) -> Role {
    let is_us = || !is_administrator() && token.sid().is_some_and(|sid| Some(sid) == own_sid());
    if token.is_administrator() || is_us() { Role::Administrator } else { Role::Anyone }
}

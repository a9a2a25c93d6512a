//! The peer of a named pipe; the Windows half of `peer`.
//!
//! # Invariants
//! - Administrator is only who is one by the token that the pipe recorded ([`confirm`], possible once a
//!   byte was read) and, where the system lets us ask, by the token of the client's process as well. The
//!   process alone could be a later one with the same id; and a service may not look into the processes
//!   of other users, so that then the pipe's word is the only one.
//! - Where the agent itself runs without elevation, its own user counts as administrator.
//!
//! On failure: the lowest role.
#![expect(unsafe_code, reason = "a raw call of the named pipes")]

use std::io::ErrorKind;
use std::os::windows::io::RawHandle;
use std::path::PathBuf;

use windows_sys::Win32::System::Pipes::GetNamedPipeClientProcessId;

use super::{Peer, Role, settled};
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

/// Not asked for here: who came through a pipe is known by his token.
pub(crate) const fn executable_of(_pid: u32) -> Option<PathBuf> {
    None
}

/// Windows has no group ids.
pub(crate) const fn groups_of_process(_pid: u32) -> Vec<u32> {
    Vec::new()
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
    let by_pipe = recorded.as_ref().map_or(Role::Anyone, role);
    let by_process = match peer.pid.map(Token::of_process) {
        Some(Ok(token)) => Some(role(&token).min(peer.role)),
        Some(Err(error)) if error.kind() == ErrorKind::PermissionDenied => None,
        Some(Err(_)) | None => Some(Role::Anyone),
    };
    let user = peer.user.or_else(|| recorded.ok().as_ref().and_then(Token::sid));
    Peer { role: settled(by_pipe, by_process), user, ..peer }
}

fn role(token: &Token) -> Role {
    let is_us = || !is_administrator() && token.sid().is_some_and(|sid| Some(sid) == own_sid());
    if token.is_administrator() || is_us() { Role::Administrator } else { Role::Anyone }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::windows::io::{AsRawHandle as _, FromRawHandle as _, OwnedHandle};
    use std::ptr::{null, null_mut};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use windows_sys::Win32::Security::{
        CreateRestrictedToken, CreateWellKnownSid, DISABLE_MAX_PRIVILEGE, SID_AND_ATTRIBUTES,
        TOKEN_ASSIGN_PRIMARY, TOKEN_DUPLICATE, TOKEN_QUERY, WinBuiltinAdministratorsSid,
    };
    use windows_sys::Win32::System::Threading::{
        CreateProcessAsUserW, GetCurrentProcess, GetExitCodeProcess, INFINITE, OpenProcessToken,
        PROCESS_INFORMATION, STARTUPINFOW, WaitForSingleObject,
    };

    use super::*;
    use crate::security::wide;
    use crate::{Endpoint, Layout, Listener, connect};

    const CHILD: &str = "peer::imp::tests::a_child_connects_where_its_parent_says";

    /// Our own program again, running one test, with a token in which the Administrators group
    /// only denies: what an administrator has who did not elevate.
    fn run_without_administrators(argument: &str) -> OwnedHandle {
        let program = std::env::current_exe().unwrap();
        let line = format!("\"{}\" --exact {CHILD} --skip {argument}", program.display());
        let mut line = wide(OsStr::new(&line));
        let startup = STARTUPINFOW {
            cb: u32::try_from(size_of::<STARTUPINFOW>()).unwrap(),
            ..STARTUPINFOW::default()
        };
        let mut child = PROCESS_INFORMATION::default();
        let token = restricted_token();
        // SAFETY: the line ends with a zero and may be written to; the structs are ours.
        let started = unsafe {
            CreateProcessAsUserW(
                token.as_raw_handle(),
                null(),
                line.as_mut_ptr(),
                null(),
                null(),
                0,
                0,
                null(),
                null(),
                &raw const startup,
                &raw mut child,
            )
        };
        assert_ne!(started, 0, "{}", std::io::Error::last_os_error());
        // SAFETY: both handles are ours from now on.
        unsafe {
            drop(OwnedHandle::from_raw_handle(child.hThread));
            OwnedHandle::from_raw_handle(child.hProcess)
        }
    }

    fn restricted_token() -> OwnedHandle {
        let mut group = [0_u64; 9];
        let mut size = 68;
        let (mut own, mut restricted) = (null_mut(), null_mut());
        // SAFETY: the buffer holds the longest SID there is; the outputs are ours.
        unsafe {
            let sid = group.as_mut_ptr().cast();
            let kind = WinBuiltinAdministratorsSid;
            assert_ne!(CreateWellKnownSid(kind, null_mut(), sid, &raw mut size), 0);
            let access = TOKEN_ASSIGN_PRIMARY | TOKEN_DUPLICATE | TOKEN_QUERY;
            assert_ne!(OpenProcessToken(GetCurrentProcess(), access, &raw mut own), 0);
            let own = OwnedHandle::from_raw_handle(own);
            let deny = SID_AND_ATTRIBUTES { Sid: sid, Attributes: 0 };
            let done = CreateRestrictedToken(
                own.as_raw_handle(),
                DISABLE_MAX_PRIVILEGE,
                1,
                &raw const deny,
                0,
                null(),
                0,
                null(),
                &raw mut restricted,
            );
            assert_ne!(done, 0, "{}", std::io::Error::last_os_error());
            OwnedHandle::from_raw_handle(restricted)
        }
    }

    fn exit_code(process: &OwnedHandle) -> u32 {
        let mut code = 1;
        // SAFETY: the process handle is ours and the output too.
        unsafe {
            WaitForSingleObject(process.as_raw_handle(), INFINITE);
            GetExitCodeProcess(process.as_raw_handle(), &raw mut code);
        }
        code
    }

    #[tokio::test]
    async fn who_did_not_elevate_is_no_administrator() {
        assert!(is_administrator(), "this test must run elevated");
        let dir = tempfile::tempdir().unwrap();
        let endpoint = Layout::new(Some(dir.path())).control();
        let Endpoint::Pipe(name) = &endpoint else { panic!("{endpoint}") };
        let mut listener = Listener::bind(&endpoint).unwrap();
        let child = run_without_administrators(name);
        let (mut stream, peer) = listener.accept().await.unwrap();
        assert_ne!(peer.pid, Some(std::process::id()));
        assert_eq!(peer.role, Role::Anyone, "by its process: {peer:?}");
        let peer = stream.confirm(peer).await.unwrap();
        assert_eq!(peer.role, Role::Anyone, "and by what the pipe recorded: {peer:?}");
        assert_eq!(peer.user, own_sid(), "the same user all the same");
        stream.write_all(b"y").await.unwrap();
        assert_eq!(exit_code(&child), 0);
    }

    /// Run by the test above with a pipe's name; alone it has nothing to do.
    #[tokio::test]
    async fn a_child_connects_where_its_parent_says() {
        let name = std::env::args().skip_while(|argument| argument != "--skip").nth(1);
        let Some(name) = name.filter(|name| name.starts_with(r"\\.\pipe\")) else { return };
        assert!(!is_administrator(), "the token was not restricted");
        let mut stream = connect(&Endpoint::Pipe(name)).await.unwrap();
        stream.write_all(b"x").await.unwrap();
        let mut answer = [0];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"y");
    }
}

//! The control endpoint as a named pipe; the Windows half of `endpoint`.
//!
//! # Invariants
//! - One instance always waits for the next client; the first of all is made as the first, so that
//!   nobody else's pipe of that name can stand behind ours. Remote clients are refused.
//! - A client opens with exactly the rights that the pipe's list grants, and lets the server
//!   identify but never act as him.
//! - A client says nothing to a pipe whose owner is neither the system, an administrator, the agent's
//!   service nor himself: while no agent runs anybody could make a pipe of that name.
//!
//! On failure: [`BindError`], or the system's error.
#![expect(unsafe_code, reason = "raw calls with security attributes and rights of our own")]

use std::fs::OpenOptions;
use std::future::poll_fn;
use std::io;
use std::os::windows::fs::OpenOptionsExt as _;
use std::os::windows::io::{AsRawHandle as _, IntoRawHandle as _};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::windows::named_pipe::{NamedPipeClient, NamedPipeServer, ServerOptions};
use windows_sys::Win32::Foundation::{ERROR_ACCESS_DENIED, ERROR_PIPE_BUSY};
use windows_sys::Win32::Storage::FileSystem::{FILE_FLAG_OVERLAPPED, SECURITY_IDENTIFICATION};

use super::{BindError, Endpoint, unsupported};
use crate::peer::imp as peer;
use crate::security::{Descriptor, is_trusted, own_sid, owner_of_pipe};
use crate::{Peer, is_administrator, sddl};

#[derive(Debug)]
pub(super) struct Listener {
    name: String,
    /// What the next client connects to; missing only after it could not be made.
    next: Option<NamedPipeServer>,
}

#[derive(Debug)]
pub(super) enum Stream {
    Server {
        pipe: NamedPipeServer,
        /// The first bytes, read ahead to learn who sent them.
        ahead: Vec<u8>,
    },
    Client(NamedPipeClient),
}

impl Listener {
    pub(super) fn bind(endpoint: &Endpoint) -> Result<Self, BindError> {
        let failed = |source| BindError::Bind { endpoint: endpoint.clone(), source };
        let Endpoint::Pipe(name) = endpoint else { return Err(failed(unsupported(endpoint))) };
        match instance(name, true) {
            Ok(pipe) => Ok(Self { name: name.clone(), next: Some(pipe) }),
            // So answers the system when the pipe exists and ours would not be the first.
            Err(error) if is_code(&error, ERROR_ACCESS_DENIED) => {
                Err(BindError::InUse { endpoint: endpoint.clone() })
            }
            Err(error) => Err(failed(error)),
        }
    }

    pub(super) async fn accept(&mut self) -> io::Result<(Stream, Peer)> {
        let mut pipe = match self.next.take() {
            Some(pipe) => pipe,
            None => instance(&self.name, false)?,
        };
        // Kept in its place while we wait, so that a cancelled call loses nothing.
        let waiting = self.next.insert(pipe);
        waiting.connect().await?;
        let following = instance(&self.name, false).ok();
        pipe = std::mem::replace(&mut self.next, following).ok_or(io::ErrorKind::BrokenPipe)?;
        let peer = peer::identify(pipe.as_raw_handle());
        Ok((Stream::Server { pipe, ahead: Vec::new() }, peer))
    }
}

#[expect(clippy::unused_async, reason = "the same signature as on Linux")]
pub(super) async fn connect(endpoint: &Endpoint) -> io::Result<Stream> {
    let Endpoint::Pipe(name) = endpoint else { return Err(unsupported(endpoint)) };
    let mut options = OpenOptions::new();
    options.access_mode(sddl::CONNECT).custom_flags(FILE_FLAG_OVERLAPPED);
    let pipe = options.security_qos_flags(SECURITY_IDENTIFICATION).open(name)?;
    let owner = owner_of_pipe(pipe.as_raw_handle())?;
    if !is_trusted(&owner) {
        let text = format!("{name} belongs to {owner}, who is not the agent");
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
    }
    // SAFETY: a pipe just opened for overlapped use, given away by its only owner.
    let pipe = unsafe { NamedPipeClient::from_raw_handle(pipe.into_raw_handle()) }?;
    Ok(Stream::Client(pipe))
}

/// Reads ahead, then asks the system who sent it.
pub(super) async fn confirm(stream: &mut Stream, peer: Peer) -> io::Result<Peer> {
    let Stream::Server { pipe, ahead } = stream else { return Ok(peer) };
    if ahead.is_empty() {
        let mut room = [0; 256];
        let mut first = ReadBuf::new(&mut room);
        poll_fn(|cx| Pin::new(&mut *pipe).poll_read(cx, &mut first)).await?;
        if first.filled().is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        ahead.extend_from_slice(first.filled());
    }
    Ok(peer::confirm(pipe.as_raw_handle(), peer))
}

/// Windows has no group ids.
pub(super) const fn groups(_stream: &Stream) -> Vec<u32> {
    Vec::new()
}

/// All instances are taken at this moment.
pub(super) fn is_full(error: &io::Error) -> bool {
    is_code(error, ERROR_PIPE_BUSY)
}

fn instance(name: &str, first: bool) -> io::Result<NamedPipeServer> {
    let descriptor = Descriptor::from_sddl(&sddl::pipe(own_sid().as_deref(), is_administrator()))?;
    let mut attributes = descriptor.attributes();
    let mut options = ServerOptions::new();
    options.first_pipe_instance(first).reject_remote_clients(true);
    // SAFETY: the attributes and the descriptor that they point to live until the call returns.
    unsafe { options.create_with_security_attributes_raw(name, (&raw mut attributes).cast()) }
}

fn is_code(error: &io::Error, code: u32) -> bool {
    error.raw_os_error().and_then(|raw| u32::try_from(raw).ok()) == Some(code)
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Server { ahead, .. } if !ahead.is_empty() => {
                let count = ahead.len().min(buf.remaining());
                buf.put_slice(&ahead[..count]);
                ahead.drain(..count);
                Poll::Ready(Ok(()))
            }
            Self::Server { pipe, .. } => Pin::new(pipe).poll_read(cx, buf),
            Self::Client(pipe) => Pin::new(pipe).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Server { pipe, .. } => Pin::new(pipe).poll_write(cx, bytes),
            Self::Client(pipe) => Pin::new(pipe).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Server { pipe, .. } => Pin::new(pipe).poll_flush(cx),
            Self::Client(pipe) => Pin::new(pipe).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Server { pipe, .. } => Pin::new(pipe).poll_shutdown(cx),
            Self::Client(pipe) => Pin::new(pipe).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ptr::null_mut;

    use windows_sys::Win32::Foundation::{ERROR_SUCCESS, LocalFree};
    use windows_sys::Win32::Security::Authorization::{
        ConvertSecurityDescriptorToStringSecurityDescriptorW, GetSecurityInfo, SDDL_REVISION_1,
        SE_KERNEL_OBJECT,
    };
    use windows_sys::Win32::Security::DACL_SECURITY_INFORMATION;

    use super::*;
    use crate::Layout;
    use crate::security::from_wide;

    /// The access list of an open pipe, as the system writes it.
    fn list_of(pipe: &NamedPipeServer) -> String {
        let (mut descriptor, mut text) = (null_mut(), null_mut());
        // SAFETY: an open pipe and an output of ours.
        let code = unsafe {
            GetSecurityInfo(
                pipe.as_raw_handle(),
                SE_KERNEL_OBJECT,
                DACL_SECURITY_INFORMATION,
                null_mut(),
                null_mut(),
                null_mut(),
                null_mut(),
                &raw mut descriptor,
            )
        };
        assert_eq!(code, ERROR_SUCCESS);
        // SAFETY: the descriptor that the call gave, and an output of ours.
        let done = unsafe {
            ConvertSecurityDescriptorToStringSecurityDescriptorW(
                descriptor,
                SDDL_REVISION_1,
                DACL_SECURITY_INFORMATION,
                &raw mut text,
                null_mut(),
            )
        };
        assert_ne!(done, 0);
        // SAFETY: the text ends with a zero; both were given to us to be freed, once.
        unsafe {
            let list = from_wide(text).to_string_lossy().into_owned();
            LocalFree(text.cast());
            LocalFree(descriptor);
            list
        }
    }

    #[tokio::test]
    async fn the_list_that_a_pipe_has_lets_users_connect_and_names_nobody_else() {
        let dir = tempfile::tempdir().unwrap();
        let listener = Listener::bind(&Layout::new(Some(dir.path())).control()).unwrap();
        let list = list_of(listener.next.as_ref().unwrap());
        let entries: Vec<Vec<&str>> = list
            .split('(')
            .skip(1)
            .map(|entry| entry.trim_end_matches(')').split(';').collect())
            .collect();
        let own = own_sid().unwrap();
        for entry in &entries {
            let (kind, right, whom) = (entry[0], entry[2], entry[5]);
            let is_known = ["SY", "BA", "AU", "LA", own.as_str()].contains(&whom);
            assert!(kind == "A" && is_known, "{list}");
            assert!(whom != "AU" || right == format!("{:#x}", sddl::CONNECT), "{list}");
        }
        let whom = |name: &str| entries.iter().filter(|entry| entry[5] == name).count();
        assert_eq!([whom("SY"), whom("BA"), whom("AU")], [1, 1, 1], "{list}");
    }
}

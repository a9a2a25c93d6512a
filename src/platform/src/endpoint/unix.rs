//! The control endpoint as a unix socket; the Linux half of `endpoint`.
//!
//! # Invariants
//! - A socket is removed only when nobody answers on it, and at the end only when it is still ours.
//! - A path longer than a socket address holds (107 bytes) is reached through its directory.
//!
//! On failure: [`BindError`], or the system's error.

use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{
    FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::os::unix::net::UnixListener as StdListener;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, UnixAddr, connect as raw_connect, socket,
};
use tokio::net::{UnixListener, UnixStream};

use super::{BindError, Endpoint, unsupported};
use crate::Peer;
use crate::peer::imp::{groups_of_peer, identify};

/// A connected socket.
pub(super) type Stream = UnixStream;

#[derive(Debug)]
pub(super) struct Listener {
    socket: UnixListener,
    path: PathBuf,
    /// Device and inode of our socket.
    identity: (u64, u64),
}

impl Listener {
    pub(super) fn bind(endpoint: &Endpoint) -> Result<Self, BindError> {
        let failed = |source| BindError::Bind { endpoint: endpoint.clone(), source };
        let Endpoint::Unix(path) = endpoint else { return Err(failed(unsupported(endpoint))) };
        make_dir(path).map_err(failed)?;
        match occupant(path).map_err(failed)? {
            Occupant::None => {}
            Occupant::Stale => std::fs::remove_file(path).map_err(failed)?,
            Occupant::Alive => return Err(BindError::InUse { endpoint: endpoint.clone() }),
            Occupant::Other => return Err(BindError::NotASocket { endpoint: endpoint.clone() }),
        }
        listen(path).map_err(failed)
    }

    pub(super) async fn accept(&mut self) -> io::Result<(Stream, Peer)> {
        let (stream, _) = self.socket.accept().await?;
        let peer = identify(&stream);
        Ok((stream, peer))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|identity| identity == self.identity) {
            // Best effort: a socket that stays is found stale by the next agent.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

pub(super) async fn connect(endpoint: &Endpoint) -> io::Result<Stream> {
    let Endpoint::Unix(path) = endpoint else { return Err(unsupported(endpoint)) };
    let reach = Reach::of(path)?;
    UnixStream::connect(reach.path()).await
}

/// The kernel told all when the connection came in.
#[expect(clippy::unused_async, reason = "the same signature as on Windows")]
pub(super) async fn confirm(_stream: &mut Stream, peer: Peer) -> io::Result<Peer> {
    Ok(peer)
}

pub(super) fn groups(stream: &Stream) -> Vec<u32> {
    groups_of_peer(stream)
}

/// The queue of a listener that is slow to accept is full.
pub(super) fn is_full(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

fn listen(path: &Path) -> io::Result<Listener> {
    let reach = Reach::of(path)?;
    let socket = StdListener::bind(reach.path())?;
    // Anyone local may connect; the role decides what he may ask.
    std::fs::set_permissions(path, Permissions::from_mode(0o666))?;
    socket.set_nonblocking(true)?;
    let identity = identity(path)?;
    Ok(Listener { socket: UnixListener::from_std(socket)?, path: path.to_owned(), identity })
}

/// Makes the socket's directory, for all to enter whatever the umask; an existing one stays as the
/// administrator made it.
fn make_dir(path: &Path) -> io::Result<()> {
    let Some(dir) = path.parent() else { return Ok(()) };
    if dir.is_dir() {
        return Ok(());
    }
    std::fs::create_dir_all(dir)?;
    std::fs::set_permissions(dir, Permissions::from_mode(0o755))
}

enum Occupant {
    None,
    Stale,
    Alive,
    Other,
}

/// What has the socket's name now.
fn occupant(path: &Path) -> io::Result<Occupant> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Occupant::None),
        Err(error) => return Err(error),
        Ok(facts) if !facts.file_type().is_socket() => return Ok(Occupant::Other),
        Ok(_) => {}
    }
    // Without waiting: a listener whose queue is full would block us, and is alive.
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let probe = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    let reach = Reach::of(path)?;
    match raw_connect(probe.as_raw_fd(), &UnixAddr::new(reach.path())?) {
        Err(Errno::ECONNREFUSED) => Ok(Occupant::Stale),
        Err(Errno::ENOENT) => Ok(Occupant::None),
        Ok(()) | Err(Errno::EAGAIN) => Ok(Occupant::Alive),
        Err(errno) => Err(errno.into()),
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    std::fs::symlink_metadata(path).map(|facts| (facts.dev(), facts.ino()))
}

/// A spelling of the path that fits into a socket address. Holds the directory open meanwhile.
struct Reach {
    path: PathBuf,
    _dir: Option<File>,
}

impl Reach {
    fn of(path: &Path) -> io::Result<Self> {
        let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        if path.as_os_str().len() < 108 {
            return Ok(Self { path: path.to_owned(), _dir: None });
        }
        let mut options = OpenOptions::new();
        let dir = options.read(true).custom_flags(libc::O_PATH | libc::O_DIRECTORY).open(dir)?;
        let short = PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd())).join(name);
        Ok(Self { path: short, _dir: Some(dir) })
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;

    use super::*;
    use crate::endpoint::connect;

    fn socket_in(dir: &Path) -> (PathBuf, Endpoint) {
        let path = dir.join("run/candor/agent.sock");
        (path.clone(), Endpoint::Unix(path))
    }

    #[tokio::test]
    async fn a_stale_socket_is_taken_over_and_a_living_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let (path, endpoint) = socket_in(dir.path());
        make_dir(&path).unwrap();
        drop(StdListener::bind(&path).unwrap());
        let first = super::super::Listener::bind(&endpoint).unwrap();
        let error = super::super::Listener::bind(&endpoint).unwrap_err();
        assert!(matches!(error, BindError::InUse { .. }), "{error:?}");
        assert!(path.exists());
        drop(first);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_file_with_the_sockets_name_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (path, endpoint) = socket_in(dir.path());
        make_dir(&path).unwrap();
        std::fs::write(&path, b"mine").unwrap();
        let error = super::super::Listener::bind(&endpoint).unwrap_err();
        assert!(matches!(error, BindError::NotASocket { .. }), "{error:?}");
        assert_eq!(std::fs::read(&path).unwrap(), b"mine");
    }

    #[tokio::test]
    async fn a_listener_whose_queue_is_full_counts_as_alive() {
        let dir = tempfile::tempdir().unwrap();
        let (path, _) = socket_in(dir.path());
        make_dir(&path).unwrap();
        let flags = SockFlag::SOCK_CLOEXEC;
        let full = socket(AddressFamily::Unix, SockType::Stream, flags, None).unwrap();
        nix::sys::socket::bind(full.as_raw_fd(), &UnixAddr::new(&path).unwrap()).unwrap();
        nix::sys::socket::listen(&full, nix::sys::socket::Backlog::new(0).unwrap()).unwrap();
        let mut waiting: Vec<OwnedFd> = Vec::new();
        loop {
            let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
            let one = socket(AddressFamily::Unix, SockType::Stream, flags, None).unwrap();
            match raw_connect(one.as_raw_fd(), &UnixAddr::new(&path).unwrap()) {
                Ok(()) => waiting.push(one),
                Err(errno) => break assert_eq!(errno, Errno::EAGAIN),
            }
        }
        assert!(matches!(occupant(&path).unwrap(), Occupant::Alive));
    }

    #[tokio::test]
    async fn a_listener_does_not_remove_the_socket_of_its_successor() {
        let dir = tempfile::tempdir().unwrap();
        let (path, endpoint) = socket_in(dir.path());
        let first = super::super::Listener::bind(&endpoint).unwrap();
        std::fs::remove_file(&path).unwrap();
        let _second = super::super::Listener::bind(&endpoint).unwrap();
        drop(first);
        connect(&endpoint).await.unwrap();
    }

    #[tokio::test]
    async fn a_path_too_long_for_a_socket_address_works_all_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let (path, endpoint) = socket_in(&dir.path().join("long".repeat(40)));
        assert!(path.as_os_str().len() > 150);
        let first = super::super::Listener::bind(&endpoint).unwrap();
        connect(&endpoint).await.unwrap();
        let error = super::super::Listener::bind(&endpoint).unwrap_err();
        assert!(matches!(error, BindError::InUse { .. }), "{error:?}");
        drop(first);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn everybody_may_enter_and_connect() {
        let dir = tempfile::tempdir().unwrap();
        let (path, endpoint) = socket_in(dir.path());
        let _listener = super::super::Listener::bind(&endpoint).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(&path), 0o666);
        assert_eq!(mode(path.parent().unwrap()), 0o755);
    }

    #[tokio::test]
    async fn a_pipe_is_no_endpoint_here() {
        let error = connect(&Endpoint::Pipe(r"\\.\pipe\candor".into())).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
    }
}

//! Other users of the host: real connections from threads that gave up root.
//!
//! # Invariants
//! - The kernel names the peer; the tests send nothing that could.
//! - A thread changes its own identity alone, by the raw system call, and ends after it.
//!
//! On failure: panics, it is a test. Without root nobody can become somebody else: skipped by name.
#![expect(unsafe_code, reason = "the C library would change every thread of the process")]

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use candor_platform::Endpoint;
use nix::libc;
use nix::unistd::geteuid;

use crate::agent::{Bench, with_server};

const STRANGER: u32 = 54_321;

fn can_change_user() -> bool {
    if !geteuid().is_root() {
        eprintln!("skipped: only root can become another user");
    }
    geteuid().is_root()
}

/// Opens the temporary root to others and gives the socket's path.
fn socket(bench: &Bench) -> PathBuf {
    let all = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(bench.layout.root(), all).unwrap();
    let Endpoint::Unix(path) = bench.layout.control() else { panic!("no socket") };
    path
}

/// Runs `work` on a thread that belongs to a stranger.
async fn as_stranger<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, result) = tokio::sync::oneshot::channel();
    let thread = std::thread::spawn(move || {
        // SAFETY: both calls take numbers (and an empty list) and change this thread alone.
        let changed = unsafe {
            libc::syscall(libc::SYS_setgroups, 0, std::ptr::null::<libc::gid_t>())
                | libc::syscall(libc::SYS_setresgid, STRANGER, STRANGER, STRANGER)
                | libc::syscall(libc::SYS_setresuid, STRANGER, STRANGER, STRANGER)
        };
        assert_eq!(changed, 0);
        let _ = done.send(work());
    });
    let result = result.await.unwrap();
    thread.join().unwrap();
    result
}

fn ask(path: &Path, line: &str, body: &str) -> String {
    let mut stream = UnixStream::connect(path).unwrap();
    let length = body.len();
    let text = format!("{line} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}");
    // One that is turned away may find the socket closed while it writes or reads.
    let _ = stream.write_all(text.as_bytes());
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

#[tokio::test]
async fn a_stranger_may_ask_how_the_agent_is_and_change_nothing() {
    if !can_change_user() {
        return;
    }
    with_server(async |bench| {
        let path = socket(bench);
        for route in ["status", "level", "explain"] {
            let path = path.clone();
            let line = format!("GET /v1/{route}");
            let answer = as_stranger(move || ask(&path, &line, "")).await;
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{route}: {answer}");
        }
        for route in ["level", "enable", "disable", "flush", "reload"] {
            let path = path.clone();
            let line = format!("POST /v1/{route}");
            // What the body says is not even looked at.
            let answer = as_stranger(move || ask(&path, &line, "{broken")).await;
            assert!(answer.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{route}: {answer}");
            assert!(answer.contains("\"code\":\"not_permitted\""), "{route}: {answer}");
            assert!(answer.contains("sudo"), "{route}: {answer}");
        }
        assert!(bench.agent.done.borrow().is_empty());
    })
    .await;
}

#[tokio::test]
async fn strangers_who_take_every_place_do_not_shut_an_administrator_out() {
    if !can_change_user() {
        return;
    }
    with_server(async |bench| {
        let path = socket(bench);
        let open = move || (0..60).map(|_| UnixStream::connect(&path).unwrap()).collect::<Vec<_>>();
        let crowd = as_stranger(open).await;
        let path = socket(bench);
        let turned_away = as_stranger(move || ask(&path, "GET /v1/status", "")).await;
        assert!(turned_away.starts_with("HTTP/1.1 503 "), "{turned_away}");
        assert!(bench.client.enable().await.unwrap().enabled);
        drop(crowd);
    })
    .await;
}

//! A local user without any right, with raw bytes on the control socket: refused by name, and of no
//! consequence to the agent, however malformed and however many.
//!
//! # Invariants
//! - The kernel names the peer: the requests come from a thread that gave up root by the raw system call,
//!   which changes this thread alone, and that ends after it.
#![expect(unsafe_code, reason = "the C library would change every thread of the process")]

use std::fs;

use candor_tests::{Agent, Settings, need};
use nix::libc;
use serde_json::Value;

const STRANGER: u32 = 65_534;
const MALFORMED: u32 = 10_000;
/// What the agent may keep of ten thousand requests, in KiB: nothing but what the allocator rounds up.
const MOST_KEPT: u64 = 1024;

/// Runs `work` as a user without rights.
fn as_stranger<T: Send>(agent: &Agent, work: impl FnOnce() -> T + Send) -> T {
    use std::os::unix::fs::PermissionsExt as _;
    let way = agent.root().parent().unwrap().to_owned();
    fs::set_permissions(way, fs::Permissions::from_mode(0o755)).unwrap();
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            // SAFETY: the calls take numbers and an empty list, and change this thread alone.
            let changed = unsafe {
                libc::syscall(libc::SYS_setgroups, 0, std::ptr::null::<libc::gid_t>())
                    | libc::syscall(libc::SYS_setresgid, STRANGER, STRANGER, STRANGER)
                    | libc::syscall(libc::SYS_setresuid, STRANGER, STRANGER, STRANGER)
            };
            assert_eq!(changed, 0);
            work()
        });
        thread.join().unwrap()
    })
}

fn may_run() -> bool {
    need("root, to become a user without rights", nix::unistd::geteuid().is_root())
}

#[test]
fn with_raw_http_a_stranger_reads_the_status_and_changes_nothing() {
    if !may_run() {
        return;
    }
    let agent = Agent::start(&Settings::level(2));
    let before = agent.status()["level"].clone();
    let answers: Vec<(u16, Value)> = as_stranger(&agent, || {
        let read = ["/v1/status", "/v1/level", "/v1/explain", "/v1/stats"];
        let read = read.map(|path| agent.ask("GET", path, ""));
        let change = [
            ("/v1/level", "{\"level\":3}"),
            ("/v1/enable", ""),
            ("/v1/disable", "{}"),
            ("/v1/flush", "{}"),
            ("/v1/reload", ""),
        ];
        read.into_iter().chain(change.map(|(path, body)| agent.ask("POST", path, body))).collect()
    });
    let codes: Vec<u16> = answers.iter().map(|(code, _)| *code).collect();
    assert_eq!(codes, [200, 200, 200, 200, 403, 403, 403, 403, 403], "{answers:?}");
    for (_, refused) in &answers[4..] {
        assert_eq!(refused["error"]["code"], "not_permitted", "{refused}");
        assert!(refused["error"]["remedy"].is_string(), "{refused}");
    }
    assert_eq!(agent.status()["level"], before);
    assert_eq!(agent.status()["upload"]["enabled"], true);
}

/// The same numbers in each run, so that what was found once is found again.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: usize) -> usize {
        // Marsaglia's xorshift.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % below as u64).unwrap()
    }
}

/// A request with something wrong with it.
fn malformed(numbers: &mut Numbers) -> Vec<u8> {
    const METHODS: [&str; 6] = ["GET", "POST", "PUT", "get", "", "G\u{1}T"];
    const PATHS: [&str; 6] =
        ["/v1/status", "/v1/level", "/v2", "*", "/../etc/passwd", "/v1/level?level=3"];
    const HEADERS: [&str; 7] = [
        "Content-Length: -1",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 18446744073709551616",
        "Transfer-Encoding: chunked",
        "Expect: 100-continue\r\nContent-Length: 9",
        ": nameless",
        "Upgrade: h2c",
    ];
    const BODIES: [&str; 6] =
        ["{\"level\":9}", "{\"level\":[[[[", "\u{feff}{}", "ffffffff\r\n", "{\"a\":1}", "\0\0"];
    let mut bytes = format!(
        "{} {} HTTP/1.{}\r\nHost: {}\r\n{}\r\n\r\n{}",
        METHODS[numbers.next(METHODS.len())],
        PATHS[numbers.next(PATHS.len())],
        numbers.next(3),
        "h".repeat(numbers.next(300)),
        HEADERS[numbers.next(HEADERS.len())],
        BODIES[numbers.next(BODIES.len())].repeat(1 + numbers.next(40)),
    )
    .into_bytes();
    match numbers.next(4) {
        0 => bytes.truncate(numbers.next(bytes.len())),
        1 => {
            for _ in 0..=numbers.next(8) {
                let at = numbers.next(bytes.len());
                bytes[at] = u8::try_from(numbers.next(256)).unwrap();
            }
        }
        2 if numbers.next(50) == 0 => bytes = vec![b'A'; 100_000],
        _ => {}
    }
    bytes
}

/// Resident memory, in KiB.
fn resident(agent: &Agent) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", agent.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn ten_thousand_malformed_requests_leave_the_agent_healthy_and_no_larger() {
    if !may_run() {
        return;
    }
    let agent = Agent::start(&Settings::level(0));
    let mut numbers = Numbers(0x0CA_4D04);
    let mut send = |count: u32| {
        as_stranger(&agent, || {
            for _ in 0..count {
                let request = malformed(&mut numbers);
                let answer = agent.raw(&request);
                let shown = String::from_utf8_lossy(&request);
                assert!(answer.is_ok(), "no end of it: {answer:?} to {shown}");
            }
        });
    };
    // Once everything is warm nothing more is kept.
    send(MALFORMED / 10);
    let before = resident(&agent);
    send(MALFORMED);
    let after = resident(&agent);
    assert!(after < before + MOST_KEPT, "{before} KiB -> {after} KiB");
    let status = agent.status();
    assert_eq!(
        (&status["level"]["effective"], &status["upload"]["enabled"]),
        (&0.into(), &true.into())
    );
    assert!(!agent.log().contains("panicked"), "{}", agent.log());
    assert!(!agent.path("var/lib/candor/operator.toml").exists());
}

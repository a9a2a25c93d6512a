//! Off is off, seen from outside: in a network of its own, with every packet captured, every write
//! counted and every wakeup.
//!
//! ```text
//! namespace of the agent  --veth--  namespace of the world: resolver, collector
//!    capture on all links
//! ```
//!
//! # Invariants
//! - Neighbours are fixed and IPv6 is off, so that what is captured is the agent's and not the kernel's.
//! - The same instruments are seen to show something before the silence.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::UdpSocket;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use candor_tests::{Agent, Settings, eventually, need, programs};
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, socket};
use serde_json::Value;

const NAME: &str = "telemetry.candor.test";
const AGENT: &str = "10.77.0.1";
const WORLD: &str = "10.77.0.2";
const PORT: u16 = 18_443;

/// How long silence is listened to.
fn watched() -> Duration {
    Duration::from_secs(if std::env::var_os("CANDOR_LONG").is_some() { 60 } else { 8 })
}

fn ip(line: &str) -> bool {
    let ended = Command::new("ip").args(line.split(' ')).stderr(Stdio::null()).status();
    ended.is_ok_and(|status| status.success())
}

/// Two networks and a wire between them; gone when this is dropped.
struct Net {
    agent: String,
    world: String,
    dir: tempfile::TempDir,
    stop: Arc<AtomicBool>,
    packets: Arc<AtomicU64>,
    queries: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

impl Net {
    /// `None` where this host does not let us.
    fn new(name: &str) -> Option<Self> {
        let [agent, world] =
            ["a", "w"].map(|side| format!("candor-{name}-{}-{side}", std::process::id()));
        let is_root = nix::unistd::geteuid().is_root();
        if !need("root and ip netns", is_root && ip(&format!("netns add {agent}"))) {
            return None;
        }
        assert!(ip(&format!("netns add {world}")));
        let mut net = Self {
            agent,
            world,
            dir: tempfile::tempdir().unwrap(),
            stop: Arc::default(),
            packets: Arc::default(),
            queries: Arc::default(),
            threads: Vec::new(),
        };
        net.wire();
        net.capture();
        net.resolve();
        Some(net)
    }

    fn wire(&self) {
        let (agent, world) = (&self.agent, &self.world);
        for name in [agent, world] {
            let quiet = "for f in /proc/sys/net/ipv6/conf/*/disable_ipv6; do echo 1 > $f; done";
            let ended =
                Command::new("ip").args(["netns", "exec", name, "sh", "-c", quiet]).status();
            assert!(ended.unwrap().success());
            assert!(ip(&format!("-n {name} link set lo up")));
        }
        assert!(ip(&format!("link add eth0 netns {agent} type veth peer name eth0 netns {world}")));
        for (name, mac, address) in
            [(agent, "02:00:00:00:00:01", AGENT), (world, "02:00:00:00:00:02", WORLD)]
        {
            assert!(ip(&format!("-n {name} link set eth0 address {mac}")));
            assert!(ip(&format!("-n {name} address add {address}/24 dev eth0")));
            assert!(ip(&format!("-n {name} link set eth0 up")));
        }
        for (name, mac, address) in
            [(agent, "02:00:00:00:00:02", WORLD), (world, "02:00:00:00:00:01", AGENT)]
        {
            assert!(ip(&format!(
                "-n {name} neigh replace {address} lladdr {mac} dev eth0 nud permanent"
            )));
        }
        fs::write(
            self.dir.path().join("resolv.conf"),
            format!("nameserver {WORLD}\noptions timeout:1 attempts:1\n"),
        )
        .unwrap();
    }

    /// A command that replaces itself by another one on the agent's side, with the resolver of the world.
    fn command(&self) -> Vec<String> {
        let resolver = self.dir.path().join("resolv.conf");
        let enter = format!("mount --bind {} /etc/resolv.conf && exec \"$@\"", resolver.display());
        ["ip", "netns", "exec", &self.agent, "sh", "-c", &enter, "sh"].map(str::to_owned).into()
    }

    /// A thread in one of the networks.
    fn inside(&mut self, name: &str, work: impl FnOnce(&AtomicBool) + Send + 'static) {
        let place = fs::File::open(Path::new("/run/netns").join(name)).unwrap();
        let stop = Arc::clone(&self.stop);
        self.threads.push(std::thread::spawn(move || {
            setns(&place, CloneFlags::CLONE_NEWNET).unwrap();
            work(&stop);
        }));
    }

    /// Counts every packet on every link of the agent's side, in both directions.
    fn capture(&mut self) {
        let (packets, ready) = (Arc::clone(&self.packets), Arc::new(AtomicBool::new(false)));
        let is_ready = Arc::clone(&ready);
        let name = self.agent.clone();
        self.inside(&name, move |stop| {
            let kind = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
            let tap =
                socket(AddressFamily::Packet, SockType::Raw, kind, SockProtocol::EthAll).unwrap();
            is_ready.store(true, Ordering::Release);
            let mut frame = [0; 2048];
            while !stop.load(Ordering::Acquire) {
                match recv(tap.as_raw_fd(), &mut frame, MsgFlags::empty()) {
                    Ok(_) => drop(packets.fetch_add(1, Ordering::AcqRel)),
                    Err(_) => std::thread::sleep(Duration::from_millis(5)),
                }
            }
        });
        eventually("the capture runs", || ready.load(Ordering::Acquire).then_some(()));
    }

    /// Answers every name with the address of the world, and counts who asks.
    fn resolve(&mut self) {
        let (queries, ready) = (Arc::clone(&self.queries), Arc::new(AtomicBool::new(false)));
        let is_ready = Arc::clone(&ready);
        let name = self.world.clone();
        self.inside(&name, move |stop| {
            let resolver = UdpSocket::bind((WORLD, 53)).unwrap();
            resolver.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
            is_ready.store(true, Ordering::Release);
            let mut query = [0; 512];
            while !stop.load(Ordering::Acquire) {
                let Ok((length, from)) = resolver.recv_from(&mut query) else { continue };
                queries.fetch_add(1, Ordering::AcqRel);
                resolver.send_to(&answer(&query[..length]), from).unwrap();
            }
        });
        eventually("the resolver runs", || ready.load(Ordering::Acquire).then_some(()));
    }

    fn packets(&self) -> u64 {
        self.packets.load(Ordering::Acquire)
    }

    fn queries(&self) -> u64 {
        self.queries.load(Ordering::Acquire)
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
        ip(&format!("netns del {}", self.agent));
        ip(&format!("netns del {}", self.world));
    }
}

/// A DNS answer: the one address for a question of type A, else none (RFC 1035, 4.1).
fn answer(query: &[u8]) -> Vec<u8> {
    let end = 12 + query[12..].iter().position(|byte| *byte == 0).unwrap() + 1 + 4;
    let is_address = query[end - 4..end - 2] == [0, 1];
    let mut answer = query[..end].to_vec();
    answer[2..4].copy_from_slice(&[0x81, 0x80]);
    answer[6..12].copy_from_slice(&[0, u8::from(is_address), 0, 0, 0, 0]);
    if is_address {
        answer.extend([0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 10, 77, 0, 2]);
    }
    answer
}

/// A collector in the world.
struct Receiver {
    process: Child,
    made: Value,
}

impl Receiver {
    fn start(net: &Net) -> Self {
        let dir = net.dir.path().join("collector");
        let made = Command::new(&programs().collector)
            .args(["init", "--json", "--name", NAME, "--dir"])
            .arg(&dir)
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        let mut process = Command::new("ip")
            .args(["netns", "exec", &net.world])
            .arg(&programs().collector)
            .args(["serve", "--listen", &format!("{WORLD}:{PORT}"), "--dir"])
            .arg(&dir)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains("listening"), "{line}");
        Self { process, made: serde_json::from_slice(&made.stdout).unwrap() }
    }

    fn settings(&self) -> Settings {
        let ca_file = self.made["ca_file"].as_str().unwrap();
        Settings::level(3)
            .with("EventsEndpoint", &format!("\"https://{NAME}:{PORT}\""))
            .with("CertificatePins", &self.made["pins"].to_string())
            .table("upload", &format!("ca_file = '{ca_file}'\ninterval = \"500ms\""))
            .table("sample", "interval = \"200ms\"")
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What an agent does that can be seen from outside.
#[derive(Debug, PartialEq)]
struct Seen {
    packets: u64,
    queries: u64,
    /// Every file under the root with its size and its time of change.
    files: BTreeMap<PathBuf, (u64, SystemTime)>,
}

fn look(net: &Net, agent: &Agent) -> Seen {
    let mut files = BTreeMap::new();
    walk(&agent.root(), &mut files);
    Seen { packets: net.packets(), queries: net.queries(), files }
}

fn walk(dir: &Path, found: &mut BTreeMap<PathBuf, (u64, SystemTime)>) {
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let meta = entry.metadata().unwrap();
        if meta.is_dir() {
            walk(&entry.path(), found);
        }
        found.insert(entry.path(), (meta.len(), meta.modified().unwrap()));
    }
}

/// What each thread did so far: how often it went back to sleep, and how many bytes it handed to any
/// write. What a thread did that has ended is not known any more, so that each is looked at by itself.
fn threads(agent: &Agent) -> BTreeMap<String, (u64, u64)> {
    let all = fs::read_dir(format!("/proc/{}/task", agent.id())).unwrap().map(Result::unwrap);
    let sum = |path: PathBuf, key: &str| {
        let text = fs::read_to_string(path).ok()?;
        let lines = text.lines().filter(|line| line.contains(key));
        Some(lines.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).sum())
    };
    let done = |entry: fs::DirEntry| {
        let slept = sum(entry.path().join("status"), "ctxt_switches")?;
        let written = sum(entry.path().join("io"), "wchar")?;
        Some((entry.file_name().into_string().unwrap(), (slept, written)))
    };
    all.filter_map(done).collect()
}

/// How often threads were woken since, and what they wrote.
fn since(before: &BTreeMap<String, (u64, u64)>, agent: &Agent) -> (u64, u64) {
    let now = threads(agent);
    let news = now.iter().map(|(thread, (slept, written))| {
        let (old_slept, old_written) = before.get(thread).copied().unwrap_or_default();
        (slept - old_slept, written - old_written)
    });
    news.fold((0, 0), |sum, new| (sum.0 + new.0, sum.1 + new.1))
}

fn assert_silent(net: &Net, agent: &Agent) {
    let (before, threads) = (look(net, agent), threads(agent));
    std::thread::sleep(watched());
    let (after, (woken, written)) = (look(net, agent), since(&threads, agent));
    assert_eq!(after, before, "{}", agent.log());
    assert_eq!(written, 0, "{threads:?}");
    assert!(woken <= 1 + watched().as_secs() / 60, "{woken} wakeups: {threads:?}");
}

#[test]
fn after_disable_there_is_no_packet_no_query_no_write_and_no_timer() {
    let Some(net) = Net::new("off") else { return };
    let receiver = Receiver::start(&net);
    let command = net.command();
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    let mut agent = Agent::prepare(&receiver.settings()).within(&command);
    agent.run();
    eventually("it uploads", || {
        (agent.status()["events"]["uploaded"].as_u64() > Some(100)).then_some(())
    });
    // The instruments show what there is to be seen.
    let (before, threads) = (look(&net, &agent), threads(&agent));
    assert!(before.packets > 10 && before.queries > 0, "{before:?}");
    eventually("more of it", || {
        let now = look(&net, &agent);
        let (woken, written) = since(&threads, &agent);
        let is_more = now.packets > before.packets && now.files != before.files;
        (is_more && woken > 5 && written > 0).then_some(())
    });

    assert_eq!(agent.ctl(&["disable"]).code, Some(0));
    std::thread::sleep(Duration::from_secs(2));
    assert_silent(&net, &agent);

    assert_eq!(agent.ctl(&["enable"]).code, Some(0));
    let silent = net.packets();
    eventually("it speaks again", || (net.packets() > silent).then_some(()));
}

#[test]
fn a_host_that_is_off_from_its_first_start_never_says_a_word() {
    let Some(net) = Net::new("never") else { return };
    let receiver = Receiver::start(&net);
    let command = net.command();
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    let mut agent =
        Agent::prepare(&receiver.settings().with("UploadEnabled", "0")).within(&command);
    agent.run();
    std::thread::sleep(Duration::from_secs(2));
    assert_silent(&net, &agent);
    assert_eq!((net.packets(), net.queries()), (0, 0), "since it was started");
    assert!(!agent.root().join("var/lib/candor/spool.db").exists());
}

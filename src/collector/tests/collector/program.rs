//! The real program: what `init` leaves behind, how `serve` starts, stops and dies.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use candor_model::Kind;
use serde_json::Value as Json;
use tempfile::TempDir;

use crate::client::{Client, logs, zstd};
use crate::server::{program, query};

fn run(args: &[&str], dir: &Path) -> Output {
    Command::new(program()).args(args).arg("--dir").arg(dir).output().unwrap()
}

struct Serving {
    child: Child,
    address: SocketAddr,
}

impl Serving {
    fn start(dir: &Path) -> Self {
        Self::start_with(&["serve"], dir)
    }

    fn start_with(command: &[&str], dir: &Path) -> Self {
        let mut child = Command::new(program())
            .args(command)
            .args(["--listen", "127.0.0.1:0", "--dir"])
            .arg(dir)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Json = serde_json::from_str(&line).unwrap();
        let address = ready["listening"].as_str().unwrap().strip_prefix("https://").unwrap();
        Self { address: address.parse().unwrap(), child }
    }

    #[cfg(unix)]
    fn log(&mut self) -> String {
        use std::io::Read as _;

        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        log
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn initialised() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    assert!(run(&["init"], dir.path()).status.success());
    dir
}

#[test]
fn init_prints_what_an_agent_needs_and_never_overwrites_a_key() {
    let dir = tempfile::tempdir().unwrap();
    let output = run(&["init", "--json", "--name", "telemetry.example.org"], dir.path());
    let said: Json = serde_json::from_slice(&output.stdout).unwrap();
    let ca_file = dir.path().join("ca.pem");
    assert_eq!(said["ca_file"], ca_file.to_str().unwrap());
    let toml = said["agent_toml"].as_str().unwrap();
    assert!(toml.contains("EventsEndpoint = \"https://telemetry.example.org:8443\""), "{toml}");
    for pin in said["pins"].as_array().unwrap() {
        assert!(toml.contains(pin.as_str().unwrap()), "{toml}");
    }

    let keys = ["server.key", "offline/ca.key", "offline/backup.key", "offline/settings.key"]
        .map(|key| dir.path().join(key));
    let before = keys.each_ref().map(|key| std::fs::read(key).unwrap());
    let again = run(&["init"], dir.path());
    assert_eq!(again.status.code(), Some(1));
    let words = String::from_utf8(again.stderr).unwrap();
    assert!(words.contains("exists: choose another --dir"), "{words}");
    assert_eq!(keys.each_ref().map(|key| std::fs::read(key).unwrap()), before);
}

#[cfg(unix)]
#[test]
fn keys_and_the_store_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;

    let dir = initialised();
    drop(Serving::start(dir.path()));
    for file in [
        "server.key",
        "offline/ca.key",
        "offline/backup.key",
        "offline/settings.key",
        "collector.db",
    ] {
        let mode = dir.path().join(file).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

/// OpenSSL reads the files for itself, where it is installed.
#[cfg(unix)]
#[test]
fn openssl_verifies_the_certificate_and_computes_the_same_pins() {
    use base64::Engine as _;
    use sha2::{Digest as _, Sha256};

    let Ok(version) = Command::new("openssl").arg("version").output() else {
        eprintln!("openssl is not installed: the unit tests of certificates.rs ask webpki instead");
        return;
    };
    assert!(version.status.success());
    let dir = tempfile::tempdir().unwrap();
    let output = run(&["init", "--json"], dir.path());
    let said: Json = serde_json::from_slice(&output.stdout).unwrap();
    let openssl = |args: &[&str]| {
        let output = Command::new("openssl").args(args).current_dir(dir.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    openssl(&[
        "verify",
        "-x509_strict",
        "-purpose",
        "sslserver",
        "-verify_hostname",
        "localhost",
        "-CAfile",
        "ca.pem",
        "server.pem",
    ]);
    openssl(&["verify", "-verify_ip", "::1", "-CAfile", "ca.pem", "server.pem"]);

    let pem = openssl(&["x509", "-in", "server.pem", "-noout", "-pubkey"]);
    std::fs::write(dir.path().join("public.pem"), pem).unwrap();
    let server = openssl(&["pkey", "-pubin", "-in", "public.pem", "-outform", "der"]);
    let backup = openssl(&["pkey", "-in", "offline/backup.key", "-pubout", "-outform", "der"]);
    let pins = [server, backup].map(|spki| {
        let digest = Sha256::digest(&spki);
        format!("sha256/{}", base64::engine::general_purpose::STANDARD.encode(digest))
    });
    assert_eq!(said["pins"], serde_json::json!(pins));
}

#[test]
fn what_cannot_be_done_says_what_to_change() {
    let dir = tempfile::tempdir().unwrap();
    for (args, code, word) in [
        (&["serve", "--listen", "127.0.0.1:0"][..], 1, "candor-collector init"),
        (&["query", "records"], 1, "candor-collector serve"),
        (&["init", "--name", "two words"], 1, "`two words`"),
        (&["serve", "--listen", "nowhere"], 2, "--listen"),
        (&["query", "trace"], 2, "<ID>"),
    ] {
        let output = run(args, dir.path());
        let words = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {words}");
        assert!(words.contains(word), "{args:?}: {words}");
    }
}

#[cfg(unix)]
#[test]
fn sigterm_stops_it_in_order_with_exit_code_0() {
    let dir = initialised();
    let mut serving = Serving::start(dir.path());
    let pid = serving.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert_eq!(serving.child.wait().unwrap().code(), Some(0));
    let log = serving.log();
    assert!(log.contains("stopped"), "{log}");
    assert!(!dir.path().join("collector.db-wal").exists());
}

/// What one sender had acknowledged before the collector was killed under it.
async fn send_until_it_dies(address: SocketAddr, dir: &Path, host: &str, from: u64) -> u64 {
    let Ok(mut client) = Client::connect(address, dir).await else { return from - 1 };
    let mut seq = from;
    loop {
        match client.post(Kind::Log, "zstd", &zstd(&logs(host, [seq]))).await {
            Ok(answer) if answer.status == 200 => seq += 1,
            _ => return seq - 1,
        }
    }
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_kill_9_and_nothing_is_there_twice() {
    const HOSTS: usize = 6;
    let dir = initialised();
    let mut acknowledged = [0; HOSTS];
    for round in 1..=5 {
        let mut serving = Serving::start(dir.path());
        let mut senders = tokio::task::JoinSet::new();
        for (host, known) in acknowledged.iter().enumerate() {
            let (address, dir) = (serving.address, dir.path().to_owned());
            // From the first again: what an agent does that never saw the answer.
            let from = if round % 2 == 0 { 1 } else { known + 1 };
            senders.spawn(async move {
                (host, send_until_it_dies(address, &dir, &format!("h{host}"), from).await)
            });
        }
        // Killed once one more host has had twenty answers, in the middle of the others' work.
        let mut probe = Client::connect(serving.address, dir.path()).await.unwrap();
        for seq in 1..=20 {
            let body = logs(&format!("probe-{round}"), [seq]);
            assert_eq!(probe.post(Kind::Log, "", &body).await.unwrap().status, 200);
        }
        serving.child.kill().unwrap();
        while let Some(sent) = senders.join_next().await {
            let (host, last) = sent.unwrap();
            let known = &mut acknowledged[host];
            *known = (*known).max(last);
        }
        serving.child.wait().unwrap();
    }
    assert!(acknowledged.iter().all(|count| *count > 0), "{acknowledged:?}");
    for (host, known) in acknowledged.iter().enumerate() {
        let records = query(dir.path(), &["records", "--json", "--host", &format!("h{host}")]);
        let seqs: Vec<_> = records.iter().map(|record| record["seq"].as_u64().unwrap()).collect();
        let expected: Vec<u64> = (1..=seqs.len() as u64).collect();
        assert_eq!(seqs, expected, "each once, none missing");
        assert!(seqs.len() as u64 >= *known, "host {host}");
    }
    for round in 1..=5 {
        let host = format!("probe-{round}");
        assert_eq!(query(dir.path(), &["records", "--json", "--host", &host]).len(), 20);
    }
}

/// Bombs from many connections at once against the real process, whose peak the kernel tells.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn memory_stays_bounded_under_bombs() {
    const BOUND_KIB: u64 = 320 << 10;
    let dir = initialised();
    let serving = Serving::start(dir.path());
    // A gigabyte of nothing, in 32 frames.
    let zeros = zstd(&vec![0; 32 << 20]).repeat(32);
    // Metrics of nothing but empty points: two bytes each on the wire.
    let points = vec![[0x0a, 0x00]; 480 << 10].concat();
    let mut row = vec![0x12];
    let mut gauge = vec![0x2a];
    prost::encode_length_delimiter(points.len(), &mut gauge).unwrap();
    gauge.extend_from_slice(&points);
    prost::encode_length_delimiter(gauge.len(), &mut row).unwrap();
    row.extend_from_slice(&gauge);
    let points = zstd(&crate::client::envelope(Kind::Metric, "h", &row.repeat(30)));
    let mut senders = tokio::task::JoinSet::new();
    for turn in 0..8 {
        let (address, dir) = (serving.address, dir.path().to_owned());
        let (kind, body) =
            if turn % 2 == 0 { (Kind::Log, zeros.clone()) } else { (Kind::Metric, points.clone()) };
        senders.spawn(async move {
            let mut client = Client::connect(address, &dir).await.unwrap();
            client.post(kind, "zstd", &body).await.unwrap().status
        });
    }
    while let Some(status) = senders.join_next().await {
        assert!(matches!(status.unwrap(), 413 | 503));
    }
    // The same from senders that leave before the answer, one after the other.
    for _ in 0..16 {
        let mut client = Client::connect(serving.address, dir.path()).await.unwrap();
        let path = crate::client::path(Kind::Metric);
        let head = crate::client::head(path, "application/x-protobuf", "zstd", points.len());
        client.send(&[&head[..], &points[..]].concat()).await.unwrap();
        client.leave().await;
    }
    let mut last = Client::connect(serving.address, dir.path()).await.unwrap();
    // As much work as theirs: when this is answered, what they left behind has had its peak.
    assert_eq!(last.post(Kind::Metric, "zstd", &points).await.unwrap().status, 413);
    assert_eq!(last.post(Kind::Log, "", &logs("h1", [1])).await.unwrap().status, 200);
    let status = std::fs::read_to_string(format!("/proc/{}/status", serving.child.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak < BOUND_KIB, "peak {peak} KiB");
}

/// The tests come from an address of their own on the loopback network.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_senders_address_is_neither_stored_nor_logged() {
    let dir = initialised();
    let mut serving = Serving::start(dir.path());
    let mut client = Client::connect(serving.address, dir.path()).await.unwrap();
    assert_eq!(client.post(Kind::Log, "", &logs("h1", [1])).await.unwrap().status, 200);
    assert_eq!(client.post(Kind::Log, "", b"<html>").await.unwrap().status, 400);
    client.send(b"nonsense\r\n\r\n").await.unwrap();
    client.answer().await.ok();
    serving.child.kill().unwrap();
    let log = serving.log();
    assert!(log.contains("listening") && !log.contains("127.66.55.44"), "{log}");
    for file in ["collector.db", "collector.db-wal"] {
        let bytes = std::fs::read(dir.path().join(file)).unwrap();
        for address in [&b"127.66.55.44"[..], &[127, 66, 55, 44], &[44, 55, 66, 127]] {
            assert!(!bytes.windows(address.len()).any(|window| window == address), "{file}");
        }
    }
}

#[tokio::test]
async fn what_settings_sign_writes_is_served_by_both_servers_and_to_nobody_twice() {
    let dir = initialised();
    let document = dir.path().join("document.json");
    std::fs::write(&document, "{\"candor_settings\": 1, \"version\": 1, \"audience\": \"all\"}")
        .unwrap();
    let key = dir.path().join("offline/settings.key");
    let (key, document) = (key.to_str().unwrap(), document.to_str().unwrap());
    let signed = run(&["settings", "sign", "--key", key, "--document", document], dir.path());
    assert!(signed.status.success(), "{signed:?}");
    let file = std::fs::read(dir.path().join("settings.json")).unwrap();
    for serve in [&["serve"] as &[&str], &["settings", "serve"]] {
        let serving = Serving::start_with(serve, dir.path());
        let mut client = Client::connect(serving.address, dir.path()).await.unwrap();
        let first = client.get("/v1/settings", "").await.unwrap();
        assert_eq!((first.status, &first.body), (200, &file));
        let tag = first.headers.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap();
        let known = client.get("/v1/settings", &format!("If-None-Match: {tag}\r\n")).await.unwrap();
        assert_eq!((known.status, known.body.len()), (304, 0));
        let taken = client.post(Kind::Log, "", &logs("a", 1..2)).await.unwrap().status;
        assert_eq!(taken, if serve.len() == 1 { 200 } else { 404 }, "records");
    }
}

//! Every row of the answer table, done to the real agent by a receiver that follows a script: nothing
//! is lost by it, status says what it is, and the last record arrives afterwards.

use std::collections::BTreeSet;
use std::sync::Arc;

use candor_tests::{Agent, Settings, eventually};
use rcgen::KeyPair;
use serde_json::Value;

use self::server::{Authority, Behaviour, Leaf, Reply, Request, Server, answer, bytes};
use crate::delivery::assert_balanced;

mod dead;
mod server;

const NOW: std::ops::Range<i32> = 2020..2080;

/// An agent, and a receiver that it trusts.
struct Scene {
    authority: Authority,
    key: KeyPair,
    server: Server,
    agent: Agent,
}

impl Scene {
    fn begin(interval: &str) -> Self {
        let authority = Authority::new();
        let key = KeyPair::generate().unwrap();
        let leaf =
            authority.leaf("127.0.0.1", NOW, KeyPair::try_from(&key.serialize_der()[..]).unwrap());
        let backup = authority.leaf("backup", NOW, KeyPair::generate().unwrap());
        let server = Server::start(&leaf);
        let pins = [leaf.pin().to_string(), backup.pin().to_string()];
        let agent = Agent::prepare(&Settings::level(1));
        agent.write("ca.pem", &authority.pem);
        let upload = format!(
            "ca_file = '{}'\ninterval = \"{interval}\"\ncompression = \"none\"",
            agent.path("ca.pem").display()
        );
        let settings = Settings::level(1)
            .with("EventsEndpoint", &format!("{:?}", server.endpoint()))
            .with("CertificatePins", &format!("{pins:?}"))
            .table("upload", &upload);
        agent.configure(&settings);
        Self { authority, key, server, agent }
    }

    fn key(&self) -> KeyPair {
        KeyPair::try_from(&self.key.serialize_der()[..]).unwrap()
    }

    fn leaf(&self, name: &str, years: std::ops::Range<i32>) -> Leaf {
        self.authority.leaf(name, years, self.key())
    }

    /// Waits until something is in the way and something waits behind it; nothing is lost by it.
    fn trouble(&self, row: &str, state: &str, reason: &str) -> Value {
        let (mut last, before) = (Value::Null, self.uploaded());
        let status = eventually(row, || {
            last = self.agent.status();
            let upload = &last["upload"];
            let is_so = upload["state"] == state && upload["reason"].as_str()?.starts_with(reason);
            (is_so && last["events"]["pending"].as_u64()? > 0).then(|| last.clone())
        });
        assert!(status["upload"]["remedy"].as_str().is_some_and(|text| !text.is_empty()), "{row}");
        assert_eq!(status["events"]["dropped"], 0, "{row}: {status}");
        assert_eq!(self.uploaded(), before, "{row}");
        assert_balanced(&status);
        status
    }

    fn uploaded(&self) -> u64 {
        self.agent.status()["events"]["uploaded"].as_u64().unwrap()
    }

    /// The receiver behaves: everything that was made so far arrives, but for these numbers.
    fn ends_well(&self, row: &str, but: &BTreeSet<u64>) {
        self.server.takes();
        self.agent.settle();
        let status = self.agent.status();
        assert_eq!(status["upload"]["state"], "ok", "{row}: {status}");
        assert_eq!(status["events"]["dropped"].as_u64(), Some(but.len() as u64), "{row}: {status}");
        let received = self.server.received();
        let arrived: BTreeSet<u64> = received.iter().filter_map(|record| record.seq).collect();
        let generated = status["events"]["generated"].as_u64().unwrap();
        let expected: BTreeSet<u64> = (1..=generated).filter(|seq| !but.contains(seq)).collect();
        assert_eq!(arrived, expected, "{row}");
    }

    /// Runs rows of one state: trouble, and a good end, each on a fresh start of the same agent.
    fn rows(mut self, rows: Vec<(&str, &str, &str, Behaviour)>) {
        for (row, state, reason, behaviour) in rows {
            self.server.behaves(behaviour);
            self.agent.run();
            let status = self.trouble(row, state, reason);
            assert!(status["upload"]["next_attempt"].is_string(), "{row}: {status}");
            self.ends_well(row, &BTreeSet::new());
            // A start makes new records and forgets the back-off.
            self.agent.kill();
        }
    }
}

fn says(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Behaviour {
    Behaviour::Speaks(Arc::new(script))
}

fn status(status: u16, headers: &'static str) -> Behaviour {
    says(move |_| answer(status, headers, b"words"))
}

#[test]
fn what_passes_backs_off_and_what_a_person_must_mend_holds() {
    Scene::begin("500ms").rows(vec![
        ("503", "backoff", "busy", status(503, "")),
        ("500", "backoff", "busy", status(500, "")),
        ("408", "backoff", "busy", status(408, "")),
        ("429 with Retry-After", "backoff", "busy", status(429, "Retry-After: 7\r\n")),
        ("401", "hold", "unauthorized", status(401, "")),
        ("403", "hold", "unauthorized", status(403, "")),
        ("404", "hold", "not_found", status(404, "")),
        ("405", "hold", "refused", status(405, "")),
        ("a redirect", "hold", "redirect", status(307, "Location: https://127.0.0.1:1/\r\n")),
    ]);
}

#[test]
fn a_broken_conversation_backs_off() {
    let huge = || format!("X: {}\r\n", "x".repeat(100_000));
    Scene::begin("500ms").rows(vec![
        ("closed at once", "backoff", "connection", Behaviour::Closes),
        ("no TLS", "backoff", "", Behaviour::Raw(b"HTTP/1.1 400 Bad Request\r\n\r\n")),
        // Alert, fatal, handshake_failure; and internal_error.
        ("a TLS alert", "backoff", "", Behaviour::Raw(b"\x15\x03\x03\x00\x02\x02\x28")),
        ("another TLS alert", "backoff", "", Behaviour::Raw(b"\x15\x03\x03\x00\x02\x02\x50")),
        ("no HTTP", "backoff", "not_http", says(|_| Reply::Close(b"SSH-2.0-x\r\n".to_vec()))),
        ("truncated head", "backoff", "", says(|_| Reply::Close(b"HTTP/1.1 200 O".to_vec()))),
        (
            "wrong length",
            "backoff",
            "",
            says(|_| Reply::Close(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nx".to_vec())),
        ),
        ("half-closed", "backoff", "connection", says(|_| Reply::HalfClose)),
        ("a huge head", "backoff", "", says(move |_| answer(200, &huge(), b""))),
        ("101", "backoff", "", says(|_| {
            Reply::Close(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n".to_vec())
        })),
    ]);
}

#[test]
fn a_success_in_a_strange_dress_is_a_success() {
    let mut scene = Scene::begin("500ms");
    // A gigabyte of zeros, by what its head says; nobody opens it.
    let bomb = || [&b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"[..], &[0; 4096]].concat();
    let rows: Vec<(&str, Behaviour)> = vec![
        ("slowly", says(|_| Reply::Slowly(bytes(200, "", b"")))),
        (
            "1xx first",
            says(|_| {
                let early = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n".to_vec();
                Reply::Keep([early, bytes(200, "", b"")].concat())
            }),
        ),
        ("a compressed bomb", says(move |_| answer(200, "Content-Encoding: gzip\r\n", &bomb()))),
        ("a page", says(|_| answer(200, "Content-Type: text/html\r\n", b"<html>hello</html>"))),
        ("204", status(204, "")),
    ];
    for (row, behaviour) in rows {
        scene.server.behaves(behaviour);
        scene.agent.run();
        eventually(row, || {
            let status = scene.agent.status();
            let is_done =
                status["upload"]["state"] == "ok" && status["upload"]["last_success"].is_string();
            (is_done
                && status["events"]["pending"] == 0
                && status["events"]["generated"].as_u64()? > 0)
                .then_some(())
        });
        scene.ends_well(row, &BTreeSet::new());
        scene.agent.kill();
    }
}

#[test]
fn a_certificate_that_is_wrong_holds_until_the_right_one_is_there() {
    let scene = Scene::begin("500ms");
    let foreign = Authority::new();
    let wrong = [
        ("expired, though pinned", "certificate", scene.leaf("127.0.0.1", 2001..2002)),
        ("not yet valid, though pinned", "certificate", scene.leaf("127.0.0.1", 2070..2080)),
        ("another name, though pinned", "certificate", scene.leaf("other.example.org", NOW)),
        (
            "another key",
            "pin",
            scene.authority.leaf("127.0.0.1", NOW, KeyPair::generate().unwrap()),
        ),
        (
            "another authority, though pinned",
            "certificate",
            foreign.leaf("127.0.0.1", NOW, scene.key()),
        ),
    ];
    let mut scene = scene;
    for (row, reason, leaf) in wrong {
        scene.server.shows(&leaf);
        scene.server.takes();
        let before = scene.server.received().len();
        scene.agent.run();
        scene.trouble(row, "hold", reason);
        assert_eq!(scene.server.received().len(), before, "{row}: bytes left");
        let right = scene.leaf("127.0.0.1", NOW);
        scene.server.shows(&right);
        // The hold probes by itself.
        eventually(row, || (scene.agent.status()["upload"]["state"] == "ok").then_some(()));
        scene.ends_well(row, &BTreeSet::new());
        scene.agent.kill();
    }
}

#[test]
fn the_one_record_that_is_refused_is_found_and_everything_else_arrives() {
    const POISON: &str = "candor.device.memory";
    for refusal in [400, 422, 413] {
        let mut scene = Scene::begin("1h");
        scene.server.answers(move |request| {
            let poisoned = request.records().iter().any(|record| record.name == POISON);
            if poisoned { answer(refusal, "", b"this one") } else { answer(200, "", b"") }
        });
        scene.agent.run();
        eventually("the first report", || {
            (scene.agent.status()["events"]["by_level"]["1"].as_u64()? > 4).then_some(())
        });
        scene.agent.settle();
        let status = scene.agent.status();
        assert_eq!(status["events"]["dropped_by_reason"]["rejected"], 1, "{refusal}: {status}");
        let generated = status["events"]["generated"].as_u64().unwrap();
        let arrived: BTreeSet<u64> =
            scene.server.received().iter().filter_map(|record| record.seq).collect();
        let refused: BTreeSet<u64> = (1..=generated).filter(|seq| !arrived.contains(seq)).collect();
        assert_eq!(refused.len(), 1, "{refusal}: {refused:?}");
        let told = scene.server.received().into_iter().find(|record| record.name == "candor.gap");
        let told = told.unwrap_or_else(|| panic!("{refusal}: the gap was not told"));
        let said = |key: &str| {
            told.attributes.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone())
        };
        assert_eq!(said("cause"), Some("rejected".into()), "{refusal}");
        scene.agent.kill();
    }
}

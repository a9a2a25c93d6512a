//! Who speaks as which provider: on the socket by what the system says of the process, over TCP by what it
//! shows. What no manifest admits is refused and counted, whatever it calls itself.

use std::fs;
use std::io::Write as _;

use candor_tests::{Agent, Collector, Program, Settings, export, need};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// A provider that tells one event, of its own name.
fn manifest(name: &str, peer: &str) -> String {
    format!(
        "name = \"{name}\"\ndoc = \"x\"\n{peer}\n[[event]]\nname = \"{name}\"\nlevel = 2\n\
         purpose = \"to test\"\ndoc = \"x\"\n"
    )
}

/// An agent that hears programs on both ways and knows these providers.
fn agent(collector: &Collector, manifests: &[(&str, &str)]) -> Agent {
    let table = "socket = true\notlp_http = \"127.0.0.1:0\"";
    let mut agent = Agent::prepare(&Settings::to(collector, 2).table("ingest", table));
    for (name, peer) in manifests {
        agent.write(&format!("etc/candor/providers.d/{name}.toml"), &manifest(name, peer));
    }
    agent.run();
    agent
}

/// Why an event was refused over OTLP; `None` where it was taken.
fn refused(program: &mut Program, headers: &[&str], name: &str) -> Option<String> {
    let request = export("logs", "any-name", &[json!({ "eventName": name })]).to_string();
    let headers = [&["content-type: application/json"], headers].concat();
    let reply = program.post("/v1/logs", &headers, request.as_bytes()).unwrap();
    assert_eq!(reply.status, 200, "{reply:?}");
    let partial = reply.json()["partialSuccess"].clone();
    (!partial.is_null()).then(|| {
        assert_eq!(partial["rejectedLogRecords"], "1");
        partial["errorMessage"].as_str().unwrap().to_owned()
    })
}

/// What became of an event of `agentctl emit`.
fn emitted(outcome: &candor_tests::Outcome) -> Value {
    let told = outcome.json();
    told["refused"][0]["reason"].clone()
}

#[test]
fn on_the_socket_a_program_is_known_by_its_user_its_group_and_its_executable() {
    let (uid, gid) = (nix::unistd::getuid().as_raw(), nix::unistd::getgid().as_raw());
    let own = fs::canonicalize(std::env::current_exe().unwrap()).unwrap().display().to_string();
    for (fact, other) in [
        (format!("uid = [{uid}]"), format!("uid = [{}]", uid + 1)),
        (format!("gid = [{gid}]"), format!("gid = [{}]", gid + 54_321)),
        (format!("executable = [{own:?}]"), "executable = [\"/bin/false\"]".to_owned()),
        (
            format!("uid = [{uid}], executable = [{own:?}]"),
            format!("uid = [{}], executable = [{own:?}]", uid + 1),
        ),
    ] {
        let collector = Collector::start();
        // The other one is asked first, and would take the event too.
        let (other, mine) = (format!("peer = {{ {other} }}"), format!("peer = {{ {fact} }}"));
        let agent = agent(&collector, &[("another", &other), ("mine", &mine)]);
        let mut program = Program::connect(&agent.root()).unwrap();
        assert_eq!(refused(&mut program, &[], "mine"), None, "{fact}");
        let words = refused(&mut program, &[], "another").unwrap();
        assert!(words.contains("unknown_event"), "it is `mine`, and nobody else: {words}");
        let mut stranger = Program::dial(&agent.heard_at()).unwrap();
        let words = refused(&mut stranger, &[], "mine").unwrap();
        assert!(words.contains("unknown_provider"), "over TCP nobody tells who it is: {words}");
    }
}

#[test]
fn another_user_is_another_program() {
    if !need("root, to become another user", nix::unistd::geteuid().is_root()) {
        return;
    }
    let collector = Collector::start();
    let agent = agent(
        &collector,
        &[("roots", "peer = { uid = [0] }"), ("nobodys", "peer = { uid = [65534] }")],
    );
    for (name, root, stranger) in [("roots", true, false), ("nobodys", false, true)] {
        let expected = |is_known: bool| if is_known { Value::Null } else { "unknown_event".into() };
        assert_eq!(emitted(&agent.ctl(&["emit", "--json", name])), expected(root), "{name}");
        let of_stranger = agent.ctl_as_stranger(&["emit", "--json", name]);
        assert_eq!(emitted(&of_stranger), expected(stranger), "{name}: {of_stranger:?}");
    }
}

#[test]
fn over_tcp_a_token_is_asked_where_the_manifest_has_one_and_no_other_opens() {
    let digest = Sha256::digest("open sesame");
    let digest = digest.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    let peer = format!("peer = \"any\"\ntoken_sha256 = \"{digest}\"");
    let collector = Collector::start();
    let agent = agent(&collector, &[("vault", &peer)]);
    let mut program = Program::dial(&agent.heard_at()).unwrap();
    for wrong in [
        &[][..],
        &["authorization: Bearer open"],
        &["authorization: Basic open sesame"],
        &["authorization: open sesame"],
    ] {
        let words = refused(&mut program, wrong, "vault").unwrap();
        assert!(words.contains("1 refused (unknown_provider)"), "{wrong:?}: {words}");
    }
    let right = ["authorization: Bearer open sesame"];
    assert_eq!(refused(&mut program, &right, "vault"), None);
    // One request's token is not the next one's.
    assert!(refused(&mut program, &[], "vault").is_some());
    agent.settle();
    assert_eq!(collector.records().iter().filter(|record| record["name"] == "vault").count(), 1);
    assert!(!agent.log().contains("sesame"), "{}", agent.log());
}

#[test]
fn a_switch_counts_for_the_very_next_record() {
    let collector = Collector::start();
    let agent = agent(&collector, &[("shop", "peer = \"any\"\nservice_name = [\"any-name\"]")]);
    let mut program = Program::connect(&agent.root()).unwrap();
    for _ in 0..5 {
        for (switch, is_on) in [("disable", false), ("enable", true)] {
            assert_eq!(agent.ctl(&["providers", switch, "shop"]).code, Some(0));
            assert_eq!(refused(&mut program, &[], "shop").is_none(), is_on, "{switch}");
        }
    }
    agent.settle();
    assert_eq!(collector.records().iter().filter(|record| record["name"] == "shop").count(), 5);
}

#[test]
fn a_compressed_request_is_taken_like_any_other() {
    let collector = Collector::start();
    let agent = agent(&collector, &[("shop", "peer = \"any\"\nservice_name = [\"shop\"]")]);
    let request = export("logs", "shop", &[json!({ "eventName": "shop" })]).to_string();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(request.as_bytes()).unwrap();
    let bodies = [
        ("gzip", gzip.finish().unwrap()),
        ("zstd", zstd::bulk::compress(request.as_bytes(), 3).unwrap()),
        ("identity", request.clone().into_bytes()),
    ];
    let mut socket = Program::connect(&agent.root()).unwrap();
    let mut loopback = Program::dial(&agent.heard_at()).unwrap();
    for program in [&mut socket, &mut loopback] {
        for (encoding, body) in &bodies {
            let encoding = format!("content-encoding: {encoding}");
            let headers = ["content-type: application/json", encoding.as_str()];
            let reply = program.post("/v1/logs", &headers, body).unwrap();
            assert_eq!((reply.status, reply.text().as_str()), (200, "{}"), "{encoding}");
        }
    }
    agent.settle();
    assert_eq!(collector.records().iter().filter(|record| record["name"] == "shop").count(), 6);
}

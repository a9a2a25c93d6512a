//! What an owner may ask of a collector: that it forgets, that it takes in a file by hand, and that it
//! signs for both.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use candor_model::{InstallKey, Kind};
use candor_otlp::{End, FileWriter, Form};
use serde_json::{Value as Json, json};

use crate::client::{Answer, Client, envelope, head, logs};
use crate::server::{Running, program, query};

fn key(name: &str) -> InstallKey {
    InstallKey::of(name.as_bytes())
}

fn request(install_id: &str, key: &InstallKey, nonce: &str) -> String {
    json!({
        "candor_deletion": 1, "install_id": install_id, "key": key.to_string(), "nonce": nonce,
    })
    .to_string()
}

async fn ask(client: &mut Client, body: &str) -> Answer {
    let head = head("/v1/deletion", "application/json", "", body.len());
    client.send(&[&head, body.as_bytes()].concat()).await.unwrap();
    client.answer().await.unwrap()
}

/// The receipt's document, whose signature is checked as an agent checks it: by the settings key alone.
fn verified(receipt: &str, dir: &Path) -> Json {
    let settings = fs::read_to_string(dir.join("settings.pub")).unwrap();
    let settings =
        minisign::PublicKeyBox::from_string(&settings).unwrap().into_public_key().unwrap();
    let receipt: Json = serde_json::from_str(receipt).unwrap();
    let delegation = document(&receipt["key"], &settings);
    let key = minisign::PublicKey::from_base64(delegation["key"].as_str().unwrap()).unwrap();
    document(&receipt, &key)
}

fn document(signed: &Json, key: &minisign::PublicKey) -> Json {
    let text = signed["document"].as_str().unwrap();
    let signature = signed["signature"].as_str().unwrap();
    let signature = minisign::SignatureBox::from_string(signature).unwrap();
    let bytes = std::io::Cursor::new(text.to_owned());
    minisign::verify(key, &signature, bytes, true, false, false).unwrap();
    serde_json::from_str(text).unwrap()
}

/// Whether the bytes stand in a file of the store.
fn is_stored(dir: &Path, needle: &str) -> bool {
    let stores = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut stores = stores.filter(|path| path.to_string_lossy().contains("collector.db"));
    stores.any(|path| {
        let bytes = fs::read(path).unwrap();
        bytes.windows(needle.len()).any(|window| window == needle.as_bytes())
    })
}

#[tokio::test]
async fn a_host_that_asks_is_forgotten_without_a_trace_and_gets_it_signed() {
    let server = Running::start().await;
    let dir = server.dir.path().to_owned();
    let mut client = server.client().await;
    let (mine, other) = (key("mine"), key("other"));
    for host in [mine.id(), other.id()] {
        client.post(Kind::Log, "", &logs(&host, (1..=400).chain(403..=405))).await.unwrap();
    }
    let trace = "cd".repeat(16);
    let metric = crate::wire::metric_of_trace([0xcd; 16]);
    client.post(Kind::Metric, "", &envelope(Kind::Metric, &mine.id(), &metric)).await.unwrap();
    assert!(is_stored(&dir, &mine.id()) && is_stored(&dir, &trace), "or this test finds nothing");
    let answer = ask(&mut client, &request(&mine.id(), &mine, "n1")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let receipt = verified(&answer.text(), &dir);
    assert_eq!(receipt["purpose"], "deletion");
    assert_eq!((&receipt["install_id"], &receipt["nonce"]), (&json!(mine.id()), &json!("n1")));
    assert_eq!(receipt["records"], 404, "with the metric, which has no number");
    assert_eq!(receipt["accepted"], json!([[1, 400], [403, 405]]));
    assert!(!is_stored(&dir, &mine.id()), "a byte of it is left in the store or its log");
    assert!(!is_stored(&dir, &trace), "a trace that its metric named is left");
    assert!(is_stored(&dir, &other.id()), "the other host's records are its own");
    assert_eq!(server.records().len(), 403);
    let hosts = query(&dir, &["hosts", "--json"]);
    assert_eq!(hosts.len(), 1);
}

#[tokio::test]
async fn what_was_deleted_does_not_come_back_and_what_is_new_is_stored() {
    let server = Running::start().await;
    let dir = server.dir.path().to_owned();
    let mut client = server.client().await;
    let mine = key("mine");
    client.post(Kind::Log, "", &logs(&mine.id(), [1, 2, 5])).await.unwrap();
    ask(&mut client, &request(&mine.id(), &mine, "n")).await;
    // A request whose answer was lost comes again, and so does half of it with what is new.
    let late = client.post(Kind::Log, "", &logs(&mine.id(), [1, 2, 5])).await.unwrap();
    assert_eq!(late.status, 200);
    assert!(!is_stored(&dir, &mine.id()) && query(&dir, &["hosts", "--json"]).is_empty());
    client.post(Kind::Log, "", &logs(&mine.id(), [2, 4, 5, 6, 9])).await.unwrap();
    let seqs: Vec<_> = server.records().iter().map(|record| record["seq"].clone()).collect();
    assert_eq!(seqs, [4, 6, 9], "4 was still on its way when the others were deleted");
    let gaps = query(&dir, &["gaps", "--json"]);
    assert_eq!((&gaps[0]["first"], &gaps[0]["last"]), (&json!(7), &json!(8)), "{gaps:?}");
    // Asked again, it names all that was ever deleted.
    let again = ask(&mut client, &request(&mine.id(), &mine, "n2")).await;
    let receipt = verified(&again.text(), &dir);
    assert_eq!(receipt["accepted"], json!([[1, 2], [4, 6], [9, 9]]));
    assert_eq!(receipt["records"], 6);
}

#[tokio::test]
async fn who_only_knows_the_id_deletes_nothing() {
    let server = Running::start().await;
    let mut client = server.client().await;
    let (mine, thief) = (key("mine"), key("thief"));
    client.post(Kind::Log, "", &logs(&mine.id(), [1])).await.unwrap();
    client.post(Kind::Log, "", &logs("h1", [1])).await.unwrap();
    for id in [mine.id(), "h1".to_owned()] {
        let answer = ask(&mut client, &request(&id, &thief, "n")).await;
        assert_eq!(answer.status, 403, "{}", answer.text());
    }
    for body in ["", "{}", "[]", &"x".repeat(4097), &request(&mine.id(), &mine, &"n".repeat(129))] {
        let mut client = server.client().await;
        let answer = ask(&mut client, body).await;
        assert_eq!(answer.status, 400, "{body:.40}: {}", answer.text());
    }
    assert_eq!(server.records().len(), 2);
}

#[tokio::test]
async fn without_a_receipt_key_nothing_is_deleted_and_a_new_one_is_made_with_the_settings_key() {
    let server = Running::start().await;
    let dir = server.dir.path().to_owned();
    let mut client = server.client().await;
    let mine = key("mine");
    client.post(Kind::Log, "", &logs(&mine.id(), [1])).await.unwrap();
    fs::remove_file(dir.join("receipt.key")).unwrap();
    let answer = ask(&mut client, &request(&mine.id(), &mine, "n")).await;
    assert_eq!(answer.status, 501, "{}", answer.text());
    assert_eq!(server.records().len(), 1);
    let settings_key = dir.join("offline/settings.key");
    let made = run(&["receipt-key", "--key", settings_key.to_str().unwrap()], &dir);
    assert!(made.status.success(), "{made:?}");
    let answer = ask(&mut client, &request(&mine.id(), &mine, "n")).await;
    assert_eq!(verified(&answer.text(), &dir)["records"], 1);
}

fn run(args: &[&str], dir: &Path) -> Output {
    Command::new(program()).args(args).arg("--dir").arg(dir).output().unwrap()
}

#[tokio::test]
async fn an_operator_deletes_a_host_while_the_server_runs() {
    let server = Running::start().await;
    let dir = server.dir.path().to_owned();
    let mut client = server.client().await;
    client.post(Kind::Log, "", &logs("foreign-host", [1, 2])).await.unwrap();
    let receipt = dir.join("receipt");
    let args = ["delete", "--host", "foreign-host", "--receipt", receipt.to_str().unwrap()];
    let done = run(&args, &dir);
    assert!(done.status.success(), "{done:?}");
    assert_eq!(verified(&fs::read_to_string(receipt).unwrap(), &dir)["records"], 2);
    assert!(!is_stored(&dir, "foreign-host") && server.records().is_empty());
}

/// A file as `agentctl export` writes it.
fn file(dir: &Path, host: &str, seqs: &[u64], form: Form) -> PathBuf {
    let mut writer = FileWriter::new(Vec::new(), form);
    for half in seqs.chunks(seqs.len().div_ceil(2)) {
        writer.request(Kind::Log, &logs(host, half.iter().copied())).unwrap();
    }
    let mut end = End::of(host, "2026-01-02T03:04:05Z".to_owned());
    end.records = seqs.len() as u64;
    end.ranges = vec![(seqs[0], seqs[seqs.len() - 1])];
    let path = dir.join(format!("{host}.export"));
    fs::File::create(&path).unwrap().write_all(&writer.finish(end).unwrap()).unwrap();
    path
}

#[test]
fn a_file_is_taken_in_once_however_often_it_comes_and_signed_for() {
    for form in [Form::Protobuf, Form::Json] {
        let dir = tempfile::tempdir().unwrap();
        assert!(run(&["init"], dir.path()).status.success());
        let path = file(dir.path(), "h1", &[3, 4, 5, 6], form);
        let mut nonces = Vec::new();
        for _ in 0..2 {
            let done = run(&["import", path.to_str().unwrap()], dir.path());
            assert!(done.status.success(), "{done:?}");
            let receipt = verified(&String::from_utf8(done.stdout).unwrap(), dir.path());
            assert_eq!(receipt["purpose"], "import");
            assert_eq!((&receipt["install_id"], &receipt["records"]), (&json!("h1"), &json!(4)));
            assert_eq!(
                (&receipt["accepted"], &receipt["rejected"]),
                (&json!([[3, 6]]), &json!([]))
            );
            nonces.push(receipt["nonce"].clone());
            assert_eq!(query(dir.path(), &["records", "--json"]).len(), 4);
        }
        assert_eq!(nonces[0], nonces[1], "the file's own name");
    }
}

#[test]
fn of_a_file_that_is_damaged_cut_or_says_something_else_nothing_is_stored() {
    let dir = tempfile::tempdir().unwrap();
    assert!(run(&["init"], dir.path()).status.success());
    let first = file(dir.path(), "h0", &[1], Form::Protobuf);
    assert!(run(&["import", first.to_str().unwrap()], dir.path()).status.success());
    let path = file(dir.path(), "h1", &[1, 2, 3, 4], Form::Protobuf);
    let whole = fs::read(&path).unwrap();
    let mut bent = whole.clone();
    bent[whole.len() / 3] ^= 1;
    let other = String::from_utf8_lossy(&whole).contains("\"records\":4");
    assert!(other, "the end is text");
    let told = |from: &str, to: &str| {
        let at = whole.windows(from.len()).rposition(|window| window == from.as_bytes()).unwrap();
        [&whole[..at], to.as_bytes(), &whole[at + from.len()..]].concat()
    };
    let cases = [
        ("cut", whole[..whole.len() - 1].to_vec()),
        ("cut at an entry", whole[..whole.len() / 2].to_vec()),
        ("flipped", bent),
        ("another count", told("\"records\":4", "\"records\":5")),
        ("other numbers", told("[1,4]", "[1,3]")),
        ("another host", told("\"h1\"", "\"h2\"")),
        ("empty", Vec::new()),
        ("no export", b"hello, world, hello, world".to_vec()),
    ];
    for (what, bytes) in cases {
        fs::write(&path, bytes).unwrap();
        let done = run(&["import", path.to_str().unwrap()], dir.path());
        assert_eq!(done.status.code(), Some(1), "{what}: {done:?}");
        assert!(done.stdout.is_empty(), "{what}: no receipt");
        let words = String::from_utf8(done.stderr).unwrap();
        assert!(words.starts_with("candor-collector: "), "{what}: {words}");
        assert_eq!(query(dir.path(), &["records", "--json"]).len(), 1, "{what}");
    }
    fs::write(&path, whole).unwrap();
    assert!(run(&["import", path.to_str().unwrap()], dir.path()).status.success());
    assert_eq!(query(dir.path(), &["records", "--json"]).len(), 5);
}

#[tokio::test]
async fn a_file_does_not_bring_back_what_was_deleted() {
    let server = Running::start().await;
    let dir = server.dir.path().to_owned();
    let mine = key("mine");
    let path = file(&dir, &mine.id(), &[1, 2, 3], Form::Protobuf);
    assert!(run(&["import", path.to_str().unwrap()], &dir).status.success());
    assert_eq!(server.records().len(), 3);
    ask(&mut server.client().await, &request(&mine.id(), &mine, "n")).await;
    let again = run(&["import", path.to_str().unwrap()], &dir);
    assert!(again.status.success(), "{again:?}");
    assert!(server.records().is_empty() && !is_stored(&dir, &mine.id()));
}

//! Hostile local programs: each is refused with the right answer, the agent stays within its memory, goes on
//! taking records from others, and its probes stay on time.

use std::fs;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use candor_tests::{Agent, Collector, Program, Reply, eventually, export};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{agent, order, provider};

/// Promised of the whole agent at full speed, in KiB; a debug build's own pages are not counted.
const MOST_ANON: u64 = 32 * 1024;

/// Not for so many seconds does no probe run, on the slowest of machines.
const SILENCE: u64 = 20;

/// Memory of its own, in KiB.
fn anon(agent: &Agent) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", agent.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// How many seconds ago a probe ran last; one is due each 200 ms.
fn silence(agent: &Agent) -> Option<u64> {
    let (status, told) = agent.ask("GET", "/v1/status", "");
    assert_eq!(status, 200, "{told}");
    let ran = |probe: &Value| probe["last_success"].as_str()?.parse::<Timestamp>().ok();
    let last = told["probes"].as_array()?.iter().filter_map(ran).max()?;
    Some(u64::try_from(Timestamp::now().as_second() - last.as_second()).unwrap_or(0))
}

/// Says that it is over when it is dropped: a panic is an end too.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The most memory that the agent had, and the longest that no probe ran, while `work` went on.
fn watched(agent: &Agent, work: impl FnOnce()) -> (u64, u64) {
    eventually("a probe has run", || silence(agent));
    let (is_over, most, longest) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let watch = |look: fn(&Agent) -> u64, most: &AtomicU64, pause| {
        while !is_over.load(Ordering::Relaxed) {
            most.fetch_max(look(agent), Ordering::Relaxed);
            thread::sleep(Duration::from_millis(pause));
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| watch(anon, &most, 2));
        scope.spawn(|| watch(|agent| silence(agent).unwrap_or(0), &longest, 200));
        let _over = Over(&is_over);
        work();
    });
    (most.into_inner(), longest.into_inner())
}

const PROTOBUF: &str = "content-type: application/x-protobuf";
const JSON: &str = "content-type: application/json";

fn post(agent: &Agent, headers: &[&str], body: &[u8]) -> Reply {
    Program::reach(&agent.root()).post("/v1/logs", headers, body).unwrap()
}

fn gzip<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for part in parts {
        encoder.write_all(part).unwrap();
    }
    encoder.finish().unwrap()
}

/// A protobuf field of the type that has a length.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length >= 0x80 {
        out.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
        length >>= 7;
    }
    out.push(u8::try_from(length).unwrap());
    out.extend_from_slice(bytes);
    out
}

/// A request of the shop with these messages as its log records.
fn request(records: &[Vec<u8>]) -> Vec<u8> {
    let name = [field(1, b"service.name"), field(2, &field(1, b"shop"))].concat();
    let scope: Vec<u8> = records.iter().flat_map(|record| field(2, record)).collect();
    field(1, &[field(1, &field(1, &name)), field(2, &scope)].concat())
}

/// Everything that one program alone can try, with the answer that it must get.
fn attempts() -> Vec<(&'static str, Vec<&'static str>, Vec<u8>, u16)> {
    let megabyte = vec![0; 1 << 20];
    let zeros = std::iter::repeat_n(megabyte.as_slice(), 1024);
    let zstd = zstd::bulk::compress(&vec![0; 256 << 20], 1).unwrap();
    let deep = "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"body\":".to_owned()
        + &"{\"arrayValue\":{\"values\":[".repeat(100_000);
    let names: Vec<u8> = (0..1_000_000).flat_map(attribute).take(3 << 20).collect();
    let not_text = field(12, b"\xff\xfe\xfd");
    let empty = vec![Vec::new(); 60_000];
    let text = field(2, &field(1, "x".repeat(60 << 10).as_bytes()));
    let resource = field(1, &field(1, &[field(1, b"service.name"), text].concat()));
    let scopes = field(2, &field(2, b"")).repeat(60_000);
    let scopes = field(1, &[resource, scopes].concat());
    vec![
        ("a gzip bomb", vec![PROTOBUF, "content-encoding: gzip"], gzip(zeros), 413),
        ("a zstd bomb", vec![PROTOBUF, "content-encoding: zstd"], zstd, 413),
        ("no gzip", vec![PROTOBUF, "content-encoding: gzip"], b"hello".to_vec(), 400),
        ("no protobuf", vec![PROTOBUF], vec![0xff; 100_000], 400),
        ("deep JSON", vec![JSON], deep.into_bytes(), 400),
        ("open brackets", vec![JSON], vec![b'['; 3 << 20], 400),
        ("no UTF-8", vec![PROTOBUF], request(&[not_text]), 400),
        ("no UTF-8 in JSON", vec![JSON], b"{\"resourceLogs\":\"\xff\"}".to_vec(), 400),
        ("a million attributes", vec![PROTOBUF], request(&[names]), 200),
        ("too many records", vec![PROTOBUF], request(&empty), 413),
        ("too many scopes", vec![PROTOBUF], scopes, 413),
        ("a web page", vec![JSON, "origin: https://evil.example"], b"{}".to_vec(), 403),
        ("a form", vec!["content-type: text/plain"], b"{}".to_vec(), 415),
        ("another encoding", vec![PROTOBUF, "content-encoding: br"], b"x".to_vec(), 415),
        ("a long body", vec![PROTOBUF], vec![0; 5 << 20], 413),
    ]
}

#[test]
fn every_hostile_request_gets_its_answer_and_the_agent_keeps_its_memory_and_its_time() {
    let collector = Collector::start();
    let agent = agent(&collector, 2);
    let attempts = attempts();
    let generated = || agent.status()["events"]["generated"].as_u64().unwrap();
    let before = generated();
    let (most, longest) = watched(&agent, || {
        for _ in 0..3 {
            for (what, headers, body, wanted) in &attempts {
                let reply = post(&agent, headers, body);
                assert_eq!(reply.status, *wanted, "{what}: {}", reply.text());
                if *wanted == 200 {
                    assert!(reply.text().contains("refused (size)"), "{what}: {}", reply.text());
                }
            }
        }
        endless(&agent);
        nameful(&agent);
    });
    assert!(most < MOST_ANON, "{most} KiB");
    assert!(longest < SILENCE, "no probe ran for {longest} s");
    eventually("the probes go on", || (generated() > before).then_some(()));
    still_heard(&agent);
    assert!(!agent.log().contains("panicked"), "{}", agent.log());
}

/// A body that says that it has a gigabyte, and one that never says where it ends.
fn endless(agent: &Agent) {
    let mut program = Program::reach(&agent.root());
    let head =
        |rest: &str| format!("POST /v1/logs HTTP/1.1\r\nhost: x\r\n{PROTOBUF}\r\n{rest}\r\n\r\n");
    program.write(head("content-length: 1073741824").as_bytes()).unwrap();
    // It may stop reading at any moment.
    for _ in 0..1024 {
        if program.write(&vec![0; 1 << 20]).is_err() {
            break;
        }
    }
    // Who sends on after the answer may lose it; if it comes, it is the right one.
    if let Ok(reply) = program.reply() {
        assert_eq!(reply.status, 413, "{reply:?}");
    }
    let mut program = Program::reach(&agent.root());
    program.write(head("transfer-encoding: chunked").as_bytes()).unwrap();
    let chunk = [b"100000\r\n".as_slice(), &vec![0; 1 << 20], b"\r\n"].concat();
    for _ in 0..6 {
        if program.write(&chunk).is_err() {
            break;
        }
    }
    let _ = program.write(b"0\r\n\r\n");
    if let Ok(reply) = program.reply() {
        assert_eq!(reply.status, 413, "{reply:?}");
    }
}

/// An attribute of a log record that nobody else has.
fn attribute(n: u32) -> Vec<u8> {
    // 1, as a whole number.
    field(6, &[field(1, format!("k{n}").as_bytes()), field(2, &[3 << 3, 1])].concat())
}

/// A million names that nobody declares, in records that are right but for them: none of them is kept.
fn nameful(agent: &Agent) {
    const RECORDS: u32 = 2_000;
    const NAMES: u32 = 125;
    for part in 0..4 {
        let record = |n: u32| {
            let first = (part * RECORDS + n) * NAMES;
            let names = (first..first + NAMES).flat_map(attribute);
            names.chain(field(12, b"shop.order")).collect()
        };
        let records: Vec<Vec<u8>> = (0..RECORDS).map(record).collect();
        let body = gzip([request(&records).as_slice()]);
        let reply = post(agent, &[PROTOBUF, "content-encoding: gzip"], &body);
        assert_eq!((reply.status, reply.text().as_str()), (200, ""), "{part}");
    }
    assert_eq!(provider(agent, "shop")["fields_refused"]["unknown_field"], 1_000_000);
}

/// Another program's record is taken.
fn still_heard(agent: &Agent) {
    let request = export("logs", "shop", &[order(1)]);
    let reply = eventually("another program is heard", || {
        let reply = Program::connect(&agent.root()).ok()?.post_json("/v1/logs", &request).ok()?;
        (reply.status == 200).then_some(reply)
    });
    assert_eq!(reply.text(), "{}");
}

#[test]
fn who_drips_or_fills_the_house_is_left_and_others_are_heard() {
    let collector = Collector::start();
    let agent = agent(&collector, 2);
    let mut slow = Vec::new();
    // Half of a head, half of a body, and nothing more.
    for n in 0..200 {
        let Ok(mut program) = Program::connect(&agent.root()) else { continue };
        let text = if n % 2 == 0 {
            "POST /v1/logs HTTP/1.1\r\nhost: x\r\n".to_owned()
        } else {
            format!(
                "POST /v1/logs HTTP/1.1\r\nhost: x\r\n{PROTOBUF}\r\ncontent-length: 1000\r\n\r\nxx"
            )
        };
        // Who found no room has his answer already.
        let _ = program.write(text.as_bytes());
        slow.push(program);
    }
    // Of those who wrote on after the answer some lost it.
    let replies = slow.iter_mut().skip(40).filter_map(|program| program.reply().ok());
    let replies: Vec<Reply> = replies.collect();
    let is_told_when =
        |reply: &Reply| reply.status == 429 && reply.header("retry-after") == Some("1");
    assert!(!replies.is_empty() && replies.iter().all(is_told_when), "{replies:?}");
    // While they hang on: those who drip are left after their time, and make room.
    still_heard(&agent);
    drop(slow);
    let values: Value = json!({});
    let reply = Program::reach(&agent.root()).post_json("/v1/nothing", &values).unwrap();
    assert_eq!(reply.status, 404, "{reply:?}");
    assert!(anon(&agent) < MOST_ANON);
}

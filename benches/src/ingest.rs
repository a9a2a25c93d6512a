//! Local programs' way in, and out again, beside its promises: the release agent takes OTLP over HTTP on
//! loopback from four connections, acknowledges each batch after its commit, and delivers everything over
//! TLS to a local collector.
//!
//! # Invariants
//! - The records are made like an application's: a few messages with ids, numbers, paths and durations
//!   that do not repeat; how well they compress is printed.
//! - CPU is the agent's process time over the whole run, until nothing waits any more. Each flush has every
//!   probe look at the host first, which is counted too; so there are few of them, after all was taken in.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use candor_model::Kind;
use candor_tests::{Profile, Programs};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::budgets::Started;
use crate::load::{beside, float, said};
use crate::process::cost;

/// `[ingest]` of budgets.toml.
#[derive(Clone, Copy, Deserialize)]
pub(crate) struct Budget {
    cpu_us: f64,
    rss_mib: f64,
    written_per_decoded: f64,
}

const CONNECTIONS: usize = 4;
const BATCH: usize = 100;
/// Batches that each connection has ready; it sends them again and again.
const READY: usize = 50;

const MANIFEST: &str = r#"
name = "bench"
doc = "The benchmark."
peer = "any"
service_name = ["bench"]
rate = { peer = 1000000.0, user = 1000000.0 }
[[event]]
name = "bench.request"
level = 2
purpose = "to measure"
doc = "A request."
[event.fields]
"http.request.method" = { type = "text", class = "software", format = "name", doc = "x" }
"http.response.status_code" = { type = "int", class = "software", doc = "x" }
"http.route" = { type = "text", class = "diagnostic text", doc = "x" }
"duration" = { type = "double", class = "performance", doc = "x" }
"bytes" = { type = "int", class = "performance", doc = "x" }
"body" = { type = "text", class = "diagnostic text", doc = "x" }
"#;

/// Measures in `dir` with so many records; whether every promise is kept.
pub(crate) fn measure(dir: &Path, records: usize, budget: Budget) -> Result<bool> {
    let programs = Programs::build(Profile::Release)?;
    let mut started = Started(Vec::new());
    let root = dir.join("root");
    prepare(&programs, dir, &root, &mut started)?;
    let (id, address) = start_agent(&programs, &root, &mut started)?;
    let batches: Vec<Vec<Vec<u8>>> = (0..CONNECTIONS).map(ready).collect::<Result<_>>()?;
    let bytes = batches.iter().flatten().map(Vec::len).sum::<usize>();
    let per_record = float((bytes / (CONNECTIONS * READY * BATCH)) as u64);
    send(address, &batches[0], READY)?;
    drained(&programs, &root)?;

    let rounds = records / (CONNECTIONS * BATCH);
    let (before, written, from) = (cost(id)?, written(id)?, Instant::now());
    let peak = watched(id, || -> Result<()> {
        thread::scope(|scope| {
            let sending: Vec<_> = batches
                .iter()
                .map(|batches| scope.spawn(move || send(address, batches, rounds)))
                .collect();
            sending.into_iter().try_for_each(|one| one.join().expect("a sender ends"))
        })?;
        said(
            "records a second taken in",
            float((rounds * CONNECTIONS * BATCH) as u64) / from.elapsed().as_secs_f64(),
        );
        drained(&programs, &root)
    })?;
    let (after, time) = (cost(id)?, from.elapsed());
    let records = float((rounds * CONNECTIONS * BATCH) as u64);
    let sent = status(&programs, &root)?["cost"]["bytes_uploaded"].as_f64().unwrap_or_default();
    println!(
        "{records} records of {per_record:.0} bytes, {BATCH} in a batch, {CONNECTIONS} connections, in and out again"
    );
    said("records a second, in and out", records / time.as_secs_f64());
    said("bytes on the wire per record", sent / records);
    let bytes_written = float(self::written(id)? - written);
    let decoded = per_record * records;
    said("bytes written per decoded byte, with the journal", bytes_written / decoded);
    println!("{:<52} {:>12} {:>10} {:>7}", "", "measured", "promised", "ratio");
    let cpu = (after.cpu_ms - before.cpu_ms) * 1000.0 / records;
    let without_journal = (bytes_written - sent).max(0.0) / decoded;
    let kept = [
        beside("in and out, CPU us per record", cpu, budget.cpu_us),
        beside("peak RSS, MiB", peak, budget.rss_mib),
        beside(
            "bytes written per decoded byte, journal left out",
            without_journal,
            budget.written_per_decoded,
        ),
    ];
    Ok(kept.iter().all(|kept| *kept))
}

/// The batches of one connection, as requests in protobuf.
fn ready(connection: usize) -> Result<Vec<Vec<u8>>> {
    let batch = |n: usize| {
        let first = (connection * READY + n) * BATCH;
        let records: Vec<Value> = (first..first + BATCH).map(record).collect();
        let resource = json!({"attributes": [text("service.name", "bench")]});
        let scope = json!({"scope": {"name": "bench"}, "logRecords": records});
        let request = json!({"resourceLogs": [{"resource": resource, "scopeLogs": [scope]}]});
        candor_otlp::from_json(Kind::Log, request.to_string().as_bytes(), 16 << 20)
            .context("a batch")
    };
    (0..READY).map(batch).collect()
}

fn text(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

/// A line of an application's log, with what it is about.
fn record(n: usize) -> Value {
    let noise = (n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let pick = |list: &'static [&'static str], shift: u32| {
        list[usize::try_from((noise >> shift) % list.len() as u64).unwrap_or_default()]
    };
    let route = pick(&["/cart", "/cart/items", "/orders", "/search", "/account/settings"], 7);
    let method = pick(&["GET", "POST", "PUT", "DELETE"], 13);
    let did = pick(
        &[
            "handled a request in the ordinary way",
            "waited for the stock service and went on",
            "found nothing in the cache and asked the store",
            "tried again after the payment gateway had timed out",
        ],
        17,
    );
    let body = format!("{did}: request {noise:016x}, attempt {}, shard {}", n % 3, noise % 64);
    let int = |key: &str, value: u64| json!({"key": key, "value": {"intValue": value.to_string()}});
    let duration = float(noise >> 40) / 1e5;
    json!({
        "eventName": "bench.request", "timeUnixNano": (1_795_161_600_000_000_000 + n as u64 * 1_000_003).to_string(),
        "severityNumber": 9, "traceId": format!("{:032x}", u128::from(noise) << 32 | n as u128),
        "spanId": format!("{noise:016x}"), "body": {"stringValue": body},
        "attributes": [
            text("http.request.method", method), text("http.route", route),
            int("http.response.status_code", [200, 200, 204, 404, 500][n % 5]), int("bytes", noise >> 50),
            {"key": "duration", "value": {"doubleValue": duration}},
        ],
    })
}

/// Sends batches in turn, each after the answer to the one before.
fn send(address: SocketAddr, batches: &[Vec<u8>], rounds: usize) -> Result<()> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    for batch in batches.iter().cycle().take(rounds) {
        let head = format!(
            "POST /v1/logs HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-protobuf\r\n\
             content-length: {}\r\n\r\n",
            batch.len()
        );
        let request = [head.as_bytes(), batch].concat();
        loop {
            stream.get_mut().write_all(&request)?;
            let (status, body) = answer(&mut stream)?;
            match status {
                200 => {
                    ensure!(body.is_empty(), "refused: {}", String::from_utf8_lossy(&body));
                    break;
                }
                // The spool is full until the collector has caught up.
                429 => thread::sleep(Duration::from_millis(50)),
                other => anyhow::bail!("{other}: {}", String::from_utf8_lossy(&body)),
            }
        }
    }
    Ok(())
}

fn answer(stream: &mut BufReader<TcpStream>) -> Result<(u16, Vec<u8>)> {
    let (mut status, mut length) = (None, 0);
    loop {
        let mut line = String::new();
        ensure!(stream.read_line(&mut line)? > 0, "the agent hung up");
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(rest) = line.strip_prefix("http/1.1 ") {
            status = rest.split(' ').next().and_then(|status| status.parse().ok());
        } else if let Some(rest) = line.strip_prefix("content-length: ") {
            length = rest.parse()?;
        } else if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok((status.context("a status")?, body))
}

/// Runs `work` and gives the most memory that the process had meanwhile.
fn watched(id: u32, work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let watching = scope.spawn(|| {
            let mut most = 0_f64;
            while !is_over.load(Ordering::Relaxed) {
                most = most.max(cost(id).map_or(0.0, |cost| cost.rss_mib));
                thread::sleep(Duration::from_millis(5));
            }
            most
        });
        let done = work();
        is_over.store(true, Ordering::Relaxed);
        let most = watching.join().expect("the watcher ends");
        done.map(|()| most)
    })
}

fn written(id: u32) -> Result<u64> {
    let io = fs::read_to_string(format!("/proc/{id}/io")).context("/proc/ID/io")?;
    let line = io.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    Ok(line.context("write_bytes")?.trim().parse()?)
}

/// A collector that listens, and an agent's root that points to it.
fn prepare(programs: &Programs, dir: &Path, root: &Path, started: &mut Started) -> Result<()> {
    let store = dir.join("collector");
    let made =
        Command::new(&programs.collector).args(["init", "--json", "--dir"]).arg(&store).output()?;
    let made: Value = serde_json::from_slice(&made.stdout).context("candor-collector init")?;
    let mut serve = Command::new(&programs.collector)
        .args(["serve", "--listen", "127.0.0.1:0", "--dir"])
        .arg(&store)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut line = String::new();
    BufReader::new(serve.stdout.take().context("its output")?).read_line(&mut line)?;
    started.0.push(serve);
    let listening: Value = serde_json::from_str(&line)?;
    let config = format!(
        "AllowTelemetry = 2\nEventsEndpoint = {}\nCertificatePins = {}\n\
         [upload]\nca_file = {}\ninterval = \"15m\"\nmax_bytes_per_day = \"100GiB\"\n\
         [spool]\nmax_bytes = \"1GiB\"\nmin_free = \"1MiB\"\n[ingest]\notlp_http = \"127.0.0.1:0\"\n",
        listening["listening"], made["pins"], made["ca_file"]
    );
    fs::create_dir_all(root.join("etc/candor/providers.d"))?;
    fs::write(root.join("etc/candor/agent.toml"), config)?;
    Ok(fs::write(root.join("etc/candor/providers.d/bench.toml"), MANIFEST)?)
}

/// Starts it; its process and where it hears programs.
fn start_agent(
    programs: &Programs,
    root: &Path,
    started: &mut Started,
) -> Result<(u32, SocketAddr)> {
    let log = root.join("agent.log");
    let agent = Command::new(&programs.agentd)
        .args(["run", "--root"])
        .arg(root)
        .stdout(Stdio::null())
        .stderr(fs::File::create(&log)?)
        .spawn()
        .context("agentd")?;
    let id = agent.id();
    started.0.push(agent);
    let end = Instant::now() + Duration::from_mins(1);
    loop {
        let text = fs::read_to_string(&log)?;
        let heard = text.lines().find_map(|line| line.split("address=").nth(1));
        if let Some(address) = heard.and_then(|rest| rest.split_whitespace().next()?.parse().ok()) {
            return Ok((id, address));
        }
        ensure!(Instant::now() < end, "agentd does not hear programs: {text}");
        thread::sleep(Duration::from_millis(10));
    }
}

fn ctl(programs: &Programs, root: &Path, arguments: &[&str]) -> Result<Vec<u8>> {
    let output =
        Command::new(&programs.agentctl).arg("--root").arg(root).args(arguments).output()?;
    ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(output.stdout)
}

fn status(programs: &Programs, root: &Path) -> Result<Value> {
    Ok(serde_json::from_slice(&ctl(programs, root, &["status", "--json"])?)?)
}

/// Uploads until next to nothing waits.
fn drained(programs: &Programs, root: &Path) -> Result<()> {
    while status(programs, root)?["events"]["pending"].as_u64().unwrap_or_default() >= 100 {
        ctl(programs, root, &["flush", "--wait"])?;
    }
    Ok(())
}

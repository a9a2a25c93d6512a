//! The viewer beside its promise: each view of a store of 100,000 events, beside a full journal, lost ranges and a
//! long history, within 200 ms, and memory that does not grow with what is looked at. Measured through the page's own
//! server, as a browser asks, with the release programs.

use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use anyhow::{Context as _, Result, ensure};
use candor_journal::{Bounds, Ending, Journal, Outcome, Request, Run};
use candor_model::{Draft, DropReason, Kind, Level};
use candor_otlp::{Part, Resource, request_body};
use candor_spool::{Row, Spool, Urgency, Want};
use candor_tests::{Agent, Collector, Profile, Programs, Settings, Viewer};
use serde_json::Value;

use crate::load::{Codec, beside, drafts, roomy, said};
use crate::process::cost;

const EVENTS: usize = 100_000;
const BATCH: usize = 1000;
const RECORD: usize = 330;
/// Requests that left before, which fill the journal, and records in each.
const REQUESTS: usize = 4000;
const IN_A_REQUEST: usize = 30;
/// Of so many requests the records were lost instead: as many ranges of dropped numbers.
const LOST: usize = 100;
/// Changes on the audit trail.
const CHANGES: usize = 5000;
const PROMISED_MS: f64 = 200.0;
const ROUNDS: usize = 15;
/// Where the harness looks for the programs.
const PROGRAMS: &str = "CANDOR_BIN_DIR";

/// Whether every promise is kept.
pub(crate) fn measure() -> Result<bool> {
    if std::env::var_os(PROGRAMS).is_some() {
        return here();
    }
    let programs = Programs::build(Profile::Release)?;
    let dir = programs.agentctl.parent().context("the programs' directory")?;
    let mut again = Command::new(std::env::current_exe()?);
    Ok(again.args(["view", "--check"]).env(PROGRAMS, dir).status()?.success())
}

fn here() -> Result<bool> {
    let collector = Collector::prepare();
    let settings = Settings::to(&collector, 2).table("spool", "max_bytes = \"512MiB\"");
    let mut agent = Agent::prepare(&settings);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(fill(&agent))?;
    agent.run();
    let viewer = Viewer::start(&agent, &[]);
    let cookie = viewer.open(&viewer.key).context("the key opens the page")?;
    let page = Page { viewer: &viewer, cookie: &cookie };
    page.ask("events?limit=50")?;
    let before = cost(agent.id())?.rss_mib;
    println!("{EVENTS} events in the store, the slowest of {ROUNDS} answers in ms");
    println!("{:<52} {:>12} {:>10} {:>7}", "", "measured", "promised", "ratio");
    let mut kept = page.views()?;
    let (pages, slowest) = page.walk()?;
    kept &= beside(&format!("  each of {pages} pages through all events"), slowest, PROMISED_MS);
    said("agentd: resident MiB before", before);
    said("agentd: resident MiB after", cost(agent.id())?.rss_mib);
    said("agentctl: resident MiB", cost(viewer.id())?.rss_mib);
    Ok(kept)
}

async fn fill(agent: &Agent) -> Result<()> {
    let state = agent.root().join("var/lib/candor");
    let spool = Spool::open(&state, roomy(), Box::new(Codec))?;
    leave(&spool, &Journal::new(&state, Bounds::default())).await?;
    for from in (0..EVENTS).step_by(BATCH) {
        spool.append(drafts(BATCH, RECORD, from), Urgency::Now).await?;
    }
    spool.close().await?;
    let change = r#"{"time":"2026-11-20T08:00:00Z","subject":"level","from":"1","to":"2","layer":"operator","role":"administrator"}"#;
    Ok(fs::write(state.join("audit.log"), format!("{change}\n").repeat(CHANGES))?)
}

/// Records that left, request by request, and here and there some that were lost.
async fn leave(spool: &Spool, journal: &Journal) -> Result<()> {
    let resource = Resource::here(Some("install".into()), "0.0.0").encode();
    for from in (0..REQUESTS).step_by(BATCH / IN_A_REQUEST) {
        let requests = (from..REQUESTS.min(from + BATCH / IN_A_REQUEST)).flat_map(|request| {
            // A boot of its own makes a row of its own.
            let boot = format!("boot {request}").into();
            let made = drafts(IN_A_REQUEST, RECORD, request * IN_A_REQUEST).into_iter();
            made.map(move |draft| Draft { boot: Arc::clone(&boot), ..draft })
        });
        spool.append(requests.collect(), Urgency::Now).await?;
        let want = Want { max_bytes: usize::MAX, up_to: Level::Full };
        while let Some(parcel) = spool.next(want).await? {
            let lost =
                |row: &Row| row.first_seq / IN_A_REQUEST as u64 % (REQUESTS / LOST) as u64 == 7;
            let (lost, sent): (Vec<Row>, Vec<Row>) = parcel.rows.into_iter().partition(lost);
            for row in &sent {
                note(journal, row, &resource)?;
            }
            let ids = |rows: &[Row]| rows.iter().map(|row| row.id).collect::<Vec<_>>();
            spool.uploaded(&ids(&sent), 0).await?;
            spool.drop_rows(&ids(&lost), DropReason::Corrupt).await?;
        }
    }
    Ok(())
}

/// A request in the journal, answered with 200.
fn note(journal: &Journal, row: &Row, resource: &[u8]) -> Result<()> {
    let frames = row.frames()?;
    let rows = [&*frames];
    let body = request_body(Kind::Log, resource, &[Part { boot: &row.boot, rows: &rows }]);
    let (first, records, level) = (row.first_seq, row.records, row.level);
    let request = Request {
        time: SystemTime::now(),
        endpoint: "https://telemetry.example.org/v1/logs".into(),
        pin: "sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".into(),
        tls: "1.3".into(),
        kind: Kind::Log,
        encoding: "zstd".into(),
        runs: vec![Run { first, records, level, bytes: frames.len() as u64 }],
    };
    let flight = journal.begin(&request, &zstd::bulk::compress(&body, 3)?);
    let ending = Ending::Answered { status: 200 };
    let outcome = Outcome { time: SystemTime::now(), ending, answer: String::new(), rejected: 0 };
    journal.end(flight, outcome);
    Ok(())
}

/// The page, as its browser asks.
struct Page<'a> {
    viewer: &'a Viewer,
    cookie: &'a str,
}

impl Page<'_> {
    /// One answer, and the milliseconds until it was there.
    fn ask(&self, question: &str) -> Result<(Value, f64)> {
        let from = Instant::now();
        let (status, answer) = self.viewer.ask(&format!("/api/{question}"), self.cookie);
        ensure!(status == 200, "{question}: {status}: {answer}");
        Ok((answer, from.elapsed().as_secs_f64() * 1e3))
    }

    /// The number of the oldest entry of the journal, and of the first record that it carried.
    fn oldest(&self) -> Result<(u64, u64)> {
        let (mut entry, mut cursor) = (0, String::new());
        loop {
            let (page, _) = self.ask(&format!("journal?limit=500{cursor}"))?;
            let last = page["entries"].as_array().and_then(|entries| entries.last());
            entry = last.and_then(|last| last["number"].as_u64()).unwrap_or(entry);
            match &page["next"] {
                Value::Null => break,
                next => cursor = format!("&before={next}"),
            }
        }
        ensure!(entry > 0, "the journal is empty");
        let mut cursor = String::new();
        loop {
            let (page, _) = self.ask(&format!("events?limit=1000&state=sent{cursor}"))?;
            match &page["next"] {
                Value::Null => {
                    let last = page["events"].as_array().and_then(|events| events.last());
                    let seq = last.and_then(|last| last["seq"].as_u64());
                    return Ok((entry, seq.context("nothing has left")?));
                }
                next => cursor = format!("&before={next}"),
            }
        }
    }

    fn views(&self) -> Result<bool> {
        let mut kept = true;
        let (entry, seq) = self.oldest()?;
        let (left, oldest) =
            (format!("events/{seq}"), format!("journal?limit=25&before={}", entry + 25));
        let newest = format!("events/{}", REQUESTS * IN_A_REQUEST + EVENTS);
        for (view, questions) in [
            ("overview", &["status", "explain", "stats"][..]),
            ("events, the newest", &["events?limit=50"]),
            ("events, the oldest", &["events?limit=50&before=51"]),
            ("events, by name and level", &["events?limit=50&name=candor.agent&level=2"]),
            ("events, 500 that wait", &["events?limit=500"]),
            ("events, 500 that left", &["events?limit=500&state=sent"]),
            ("events, lost ranges", &["events?limit=50&state=dropped"]),
            ("events, words that none has", &["events?limit=50&text=zebra"]),
            ("one event, the oldest that left", &[&left]),
            ("one event, the newest", &[&newest]),
            ("sent", &["volume?days=30", "journal?limit=25"]),
            ("sent, the oldest", &["volume?days=30", &oldest]),
            ("losses", &["stats"]),
            ("history", &["history"]),
        ] {
            let mut slowest = 0.0_f64;
            for _ in 0..ROUNDS {
                let mut together = 0.0;
                for question in questions {
                    together += self.ask(question)?.1;
                }
                slowest = slowest.max(together);
            }
            kept &= beside(&format!("  {view}"), slowest, PROMISED_MS);
        }
        Ok(kept)
    }

    /// From the newest to the oldest: how many pages, and the slowest in milliseconds.
    fn walk(&self) -> Result<(usize, f64)> {
        let (mut pages, mut seen, mut slowest) = (0, 0, 0.0_f64);
        let mut cursor = String::new();
        loop {
            let (answer, time) = self.ask(&format!("events?limit=500{cursor}"))?;
            (pages, slowest) = (pages + 1, slowest.max(time));
            seen += answer["events"].as_array().map_or(0, Vec::len);
            match &answer["next"] {
                Value::Null => break,
                next => cursor = format!("&before={next}"),
            }
        }
        ensure!(seen >= EVENTS, "only {seen} of {EVENTS} events were shown");
        Ok((pages, slowest))
    }
}

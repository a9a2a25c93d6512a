//! The viewer beside its promise: each view of a store of 100,000 events within 200 ms, and memory that does not
//! grow with what is looked at. Measured through the page's own server, as a browser asks, with the release programs.

use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use candor_spool::{Spool, Urgency};
use candor_tests::{Agent, Collector, Profile, Programs, Settings, Viewer};
use serde_json::Value;

use crate::load::{Codec, beside, drafts, roomy, said};
use crate::process::cost;

const EVENTS: usize = 100_000;
const BATCH: usize = 1000;
const RECORD: usize = 330;
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
    let spool = Spool::open(&agent.root().join("var/lib/candor"), roomy(), Box::new(Codec))?;
    for from in (0..EVENTS).step_by(BATCH) {
        spool.append(drafts(BATCH, RECORD, from), Urgency::Now).await?;
    }
    Ok(spool.close().await?)
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

    fn views(&self) -> Result<bool> {
        let mut kept = true;
        for (view, questions) in [
            ("overview", &["status", "explain", "stats"][..]),
            ("events, the newest", &["events?limit=50"]),
            ("events, the oldest", &["events?limit=50&before=51"]),
            ("events, by name and level", &["events?limit=50&name=candor.agent&level=2"]),
            ("events, words that none has", &["events?limit=50&text=zebra"]),
            ("one event, the oldest", &["events/1"]),
            ("one event, the newest", &["events/100000"]),
            ("sent", &["volume?days=30", "journal?limit=25"]),
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

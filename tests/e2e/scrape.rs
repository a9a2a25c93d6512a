//! Exporters on this host, scraped by the real agent: what is listed arrives, what is not does not.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use candor_tests::{Agent, Collector, Settings, eventually};
use serde_json::Value;

/// An exporter whose counter goes up by three with each scrape.
struct Exporter {
    port: u16,
    asked: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Exporter {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (asked, is_over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, over) = (Arc::clone(&asked), Arc::clone(&is_over));
        let serve = move || {
            for stream in listener.incoming() {
                if over.load(Ordering::Acquire) {
                    return;
                }
                let Ok(mut stream) = stream else { continue };
                let number = count.fetch_add(1, Ordering::AcqRel);
                let text = format!(
                    "# TYPE requests_total counter\n\
                     requests_total{{code=\"200\",user=\"canary-a@example.org\"}} {counted}\n\
                     requests_total{{code=\"200\",user=\"canary-b@example.org\"}} {counted}\n\
                     # TYPE queue gauge\nqueue{{code=\"canary-c@example.org\"}} 7\n\
                     # TYPE canary_secret gauge\ncanary_secret 1\n",
                    counted = 100 + 3 * number
                );
                let mut asked = [0; 4096];
                let _ = stream.read(&mut asked);
                let length = text.len();
                let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{text}");
            }
        };
        Self { port, asked, is_over, thread: Some(thread::spawn(serve)) }
    }

    fn asked(&self) -> u64 {
        self.asked.load(Ordering::Acquire)
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
        // The last connection lets it see that.
        let _ = std::net::TcpStream::connect(("127.0.0.1", self.port));
        let _ = self.thread.take().unwrap().join();
    }
}

fn settings(collector: &Collector, level: u8, port: u16) -> Settings {
    let lines = format!(
        "name = \"shop\"\nurl = \"http://127.0.0.1:{port}/metrics\"\ninterval = \"200ms\"\n\
         metrics = [\"requests_total\", \"queue\"]\nlabels = [\"code\"]\nlevel = 2"
    );
    Settings::to(collector, level).table("[scrape]", &lines)
}

fn named<'a>(records: &'a [Value], name: &str) -> Vec<&'a Value> {
    records.iter().filter(|record| record["name"] == name).collect()
}

#[test]
fn listed_metrics_arrive_as_what_was_added_and_nothing_else_does() {
    let (collector, exporter) = (Collector::start(), Exporter::start());
    let agent = Agent::start(&settings(&collector, 2, exporter.port));
    assert_eq!(exporter.asked(), 0, "it is off until it is enabled");
    assert_eq!(agent.ctl(&["providers", "enable", "prometheus"]).code, Some(0));
    let records = eventually("both metrics arrive", || {
        let records = collector.records();
        let has = |name| !named(&records, name).is_empty();
        (has("requests_total") && has("queue")).then_some(records)
    });
    let counted = named(&records, "requests_total")[0];
    assert_eq!(counted["kind"], "metric");
    let told = counted.to_string();
    assert!(told.contains("\"code\"") && !told.contains("user"), "{told}");
    let catalog = agent.ctl(&["catalog", "--json"]).stdout;
    assert!(catalog.contains("requests_total"), "{catalog}");
    assert_eq!(agent.ctl(&["providers", "disable", "prometheus"]).code, Some(0));
    agent.settle();
    for (place, text) in
        [("the collector", format!("{:?}", collector.records())), ("the agent", state_of(&agent))]
    {
        assert!(!text.contains("canary"), "{place} has a canary");
    }
}

/// Everything below the state directory, as text.
fn state_of(agent: &Agent) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(agent.path("var/lib/candor")).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap_or_default();
        text.push_str(&String::from_utf8_lossy(&bytes));
    }
    text
}

#[test]
fn below_its_level_and_while_off_no_exporter_is_asked() {
    let (collector, exporter) = (Collector::start(), Exporter::start());
    let agent = Agent::prepare(&settings(&collector, 1, exporter.port));
    assert_eq!(agent.ctl(&["providers", "enable", "prometheus"]).code, Some(0));
    let mut agent = agent;
    agent.run();
    agent.settle();
    assert_eq!(exporter.asked(), 0, "level 1");
    assert_eq!(agent.ctl(&["set-level", "2"]).code, Some(0));
    eventually("it is asked at level 2", || (exporter.asked() > 1).then_some(()));
    assert_eq!(agent.ctl(&["disable"]).code, Some(0));
    // What was under way may still have come; from a later look on it stands still.
    let stands = eventually("nobody asks any more", || {
        let before = exporter.asked();
        thread::sleep(std::time::Duration::from_secs(2));
        (exporter.asked() == before).then_some(before)
    });
    assert!(stands > 1);
}

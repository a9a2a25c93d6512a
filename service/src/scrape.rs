//! Scraping as the daemon runs it: which exporters are asked follows the configuration, the provider's
//! switch and the level; what they tell goes the way of every local program's records.
//!
//! # Invariants
//! - Nobody is asked while telemetry is off, while `prometheus` is switched off, below a table's level
//!   or while nobody is there to collect for; then no timer runs.
//! - One exporter is asked at a time; one that does not answer costs the others no more than its deadline.
//!
//! On failure: it is said in the log when it begins, and the exporter is asked again at its next time.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use candor_ingest::Agent as _;
use candor_model::{Kind, UnixNanos};
use candor_policy::{ScrapeConfig, Snapshot};
use candor_scrape::{Exporter, PROVIDER};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::board::Board;
use crate::failure::chain;
use crate::ingest::Front;
use crate::stop::Stop;

/// Asks the exporters until the stop.
pub(crate) async fn run(
    board: Rc<Board>,
    mut policy: watch::Receiver<Arc<Snapshot>>,
    mut stop: Stop,
) {
    let mut round =
        Round { front: Front::new(board), exporters: Vec::new(), silent: BTreeSet::new() };
    loop {
        let wanted = round.wanted(&policy.borrow_and_update());
        round.follow(&wanted);
        let asking = async {
            match round.next() {
                Some((at, due)) => {
                    sleep_until(due).await;
                    round.ask(at).await;
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stop.requested() => return,
            changed = policy.changed() => if changed.is_err() { return },
            () = asking => {}
        }
    }
}

/// The exporters, each with the time when it is asked next.
struct Round {
    front: Front,
    exporters: Vec<(Exporter, Instant)>,
    /// Those that failed the last time: said once.
    silent: BTreeSet<String>,
}

impl Round {
    /// The tables that count now.
    fn wanted(&self, snapshot: &Snapshot) -> Vec<ScrapeConfig> {
        let scrapes = &snapshot.config.scrapes;
        if scrapes.is_empty() || !snapshot.effective.upload_enabled {
            return Vec::new();
        }
        let terms = self.front.terms();
        let is_on =
            terms.registry.provider(PROVIDER).is_some_and(candor_providers::Provider::is_on);
        let level = snapshot.effective.level.effective;
        let counts = |scrape: &&ScrapeConfig| is_on && scrape.level <= level;
        scrapes.iter().filter(counts).cloned().collect()
    }

    /// Forgets exporters whose table is gone or changed, and begins with new ones at once.
    fn follow(&mut self, wanted: &[ScrapeConfig]) {
        self.exporters.retain(|(exporter, _)| wanted.contains(exporter.config()));
        for config in wanted {
            if !self.exporters.iter().any(|(exporter, _)| exporter.config() == config) {
                self.exporters.push((Exporter::new(config.clone()), Instant::now()));
            }
        }
    }

    /// Who is asked next, and when.
    fn next(&self) -> Option<(usize, Instant)> {
        let due = self.exporters.iter().enumerate().map(|(at, (_, due))| (at, *due));
        due.min_by_key(|(_, due)| *due)
    }

    async fn ask(&mut self, at: usize) {
        let Some((exporter, due)) = self.exporters.get_mut(at) else { return };
        // A host that slept, or an exporter that was slow, does not make up for what was missed.
        *due = Instant::now() + exporter.config().interval;
        let (Some(desk), terms) = (self.front.desk(), self.front.terms()) else { return };
        if !terms.has_receiver {
            return;
        }
        let now = self.front.wall().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = UnixNanos(u64::try_from(now.as_nanos()).unwrap_or(u64::MAX));
        let name = exporter.config().name.clone();
        let scraped = match exporter.scrape(now).await {
            Ok(scraped) => scraped,
            Err(error) => return self.fails(name, &error),
        };
        if scraped.malformed > 0 || scraped.left_out > 0 {
            let (malformed, left_out) = (scraped.malformed, scraped.left_out);
            tracing::debug!(exporter = name, malformed, left_out, "not all was taken");
        }
        let Some(request) = scraped.request else { return };
        match desk.bring(&terms, Kind::Metric, &request).await {
            Ok(_) => {
                self.silent.remove(&name);
            }
            Err(error) => self.fails(name, &error),
        }
    }

    fn fails(&mut self, name: String, error: &dyn std::error::Error) {
        if !self.silent.contains(&name) {
            tracing::warn!(exporter = name, error = chain(error), "nothing was scraped");
            self.silent.insert(name);
        }
    }
}

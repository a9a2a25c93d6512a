//! Exporters on this host: what they publish for Prometheus, as OTLP.
//!
//! ```text
//! exporter --HTTP on loopback--> text --exposition--> samples --series--> what changed --request--> OTLP
//! ```
//! The request goes the way of every local program's: recognised as the provider `prometheus`,
//! judged by a manifest that the `[[scrape]]` tables complete, scrubbed, committed.
//!
//! # Invariants
//! - Only metrics and labels that a `[[scrape]]` table lists leave this room.
//! - Counters and histograms leave as what was added since the scrape before; after a restart of the
//!   exporter, as what it has counted since. The first scrape of a series only says where it begins.
//! - A scrape is bounded in time and bytes, and what is remembered of an exporter in series.
//!
//! On failure: [`ScrapeError`]; the next scrape covers the time of the one that failed.

mod exposition;
mod fetch;
mod request;
mod series;

use candor_model::UnixNanos;
use candor_policy::ScrapeConfig;

pub use fetch::ScrapeError;

use series::Series;

/// The name of the provider as which scraped metrics enter.
pub const PROVIDER: &str = "prometheus";

/// One exporter with what is remembered of it.
#[derive(Debug)]
pub struct Exporter {
    config: ScrapeConfig,
    series: Series,
}

/// What a scrape gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scraped {
    /// An export request of metrics in protobuf; `None` where there is nothing to tell.
    pub request: Option<Vec<u8>>,
    /// Lines that could not be understood.
    pub malformed: usize,
    /// Series that were left out: too many to remember, or not to be told apart without their labels.
    pub left_out: usize,
}

impl Exporter {
    /// An exporter that was never scraped.
    #[must_use]
    pub fn new(config: ScrapeConfig) -> Self {
        Self { config, series: Series::default() }
    }

    /// Its table in the configuration.
    #[must_use]
    pub const fn config(&self) -> &ScrapeConfig {
        &self.config
    }

    /// Asks it once; `now` is the time of what it says.
    ///
    /// # Errors
    /// It does not answer as an exporter does.
    pub async fn scrape(&mut self, now: UnixNanos) -> Result<Scraped, ScrapeError> {
        let text = fetch::fetch(&self.config).await?;
        Ok(self.read(&text, now))
    }

    fn read(&mut self, text: &str, now: UnixNanos) -> Scraped {
        let told = self.series.read(text, &self.config, now);
        let request =
            (!told.metrics.is_empty()).then(|| request::encode(&self.config.name, &told.metrics));
        Scraped { request, malformed: told.malformed, left_out: told.left_out }
    }
}

//! `[[scrape]]`: exporters on this host whose metrics the agent fetches.
//!
//! # Invariants
//! - Only loopback is scraped, over plain HTTP; only metrics that are listed, and of their labels only
//!   those that are listed, ever enter.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use candor_model::Level;
use toml::de::DeValue;

use super::section::Section;
use super::{Config, SHORTEST_INTERVAL};
use crate::document::Entry;
use crate::finding::Findings;
use crate::keys::Raw;

/// One exporter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScrapeConfig {
    /// What its metrics' `service.name` is.
    pub name: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// What is asked for, such as `/metrics`.
    pub path: String,
    /// Time between two scrapes.
    pub interval: Duration,
    /// The metrics that enter; a `*` at the end stands for whatever follows.
    pub metrics: Vec<String>,
    /// The labels that they keep.
    pub labels: Vec<String>,
    /// The lowest level at which they may be sent.
    pub level: Level,
}

impl ScrapeConfig {
    /// The interval where none is stated.
    pub const INTERVAL: Duration = Duration::from_mins(1);
}

/// Reads the array of tables.
pub(super) fn read(config: &mut Config, entry: &Entry<'_>, findings: &mut Findings<'_>) {
    let Some(items) = entry.value.as_array() else {
        findings.error(&entry.value_span, "scrape", "is no list of tables: write [[scrape]]");
        return;
    };
    for item in items {
        let Some(table) = item.get_ref().as_table() else {
            findings.error(&item.span(), "scrape", "is no table: write [[scrape]]");
            continue;
        };
        let mut section = Section::new("scrape", table, findings);
        let scrape = exporter(&mut section);
        if let Some(missing) = missing(table) {
            section.lacks(missing, &item.span());
        }
        section.finish();
        config.scrapes.extend(scrape);
    }
}

/// The first key that must be there and is not.
fn missing(table: &toml::de::DeTable<'_>) -> Option<&'static str> {
    ["name", "url", "metrics"].into_iter().find(|key| table.get(*key).is_none())
}

fn exporter(section: &mut Section<'_, '_, '_>) -> Option<ScrapeConfig> {
    let name = section.take("name", name);
    let url = section.take("url", url);
    let interval = section.interval("interval", SHORTEST_INTERVAL);
    let metrics = section.take("metrics", |raw, _| match names(raw, true) {
        Ok(names) if names.is_empty() => Err("is empty: list the metrics that may enter".into()),
        other => other,
    });
    let labels = section.take("labels", |raw, _| names(raw, false));
    let level = section.take("level", |raw, _| match raw {
        Raw::Integer(number @ 1..=3) => {
            Level::from_number(*number).ok_or_else(|| "is no level: write 1, 2 or 3".into())
        }
        other => Err(format!("{other} is no level of a provider: write 1, 2 or 3")),
    });
    let (address, path) = url?;
    Some(ScrapeConfig {
        name: name?,
        address,
        path,
        interval: interval.unwrap_or(ScrapeConfig::INTERVAL),
        metrics: metrics?,
        labels: labels.unwrap_or_default(),
        level: level.unwrap_or(Level::Full),
    })
}

fn name(raw: &Raw, _: &DeValue<'_>) -> Result<String, String> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    match raw {
        Raw::Text(text) if (1..=64).contains(&text.len()) && text.bytes().all(fits) => {
            Ok(text.clone())
        }
        other => Err(format!("{other} is no name: write 1 to 64 letters, digits and . _ -")),
    }
}

/// `http://127.0.0.1:9100/metrics`.
fn url(raw: &Raw, _: &DeValue<'_>) -> Result<(SocketAddr, String), String> {
    let refuse = || {
        format!("{raw} is no URL on loopback: write one such as \"http://127.0.0.1:9100/metrics\"")
    };
    let Raw::Text(text) = raw else { return Err(refuse()) };
    let rest = text.strip_prefix("http://").ok_or_else(refuse)?;
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let is_path = path.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
    let address = match host.strip_prefix("localhost:") {
        Some(port) => {
            port.parse().ok().map(|port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))
        }
        None => host.parse::<SocketAddr>().ok(),
    };
    let address = address.filter(|address| address.ip().is_loopback() && is_path);
    let path = if path.is_empty() { "/metrics" } else { path };
    address.map(|address| (address, path.to_owned())).ok_or_else(refuse)
}

/// Names as Prometheus has them; of metrics also what names begin with.
fn names(raw: &Raw, may_begin: bool) -> Result<Vec<String>, String> {
    let Raw::List(names) = raw else {
        return Err(format!("{raw} is no list of names: write one such as [\"up\"]"));
    };
    let is_name = |name: &str| {
        !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':')
    };
    let odd = |name: &&String| {
        let plain = if may_begin { name.strip_suffix('*').unwrap_or(name) } else { name };
        !is_name(plain) || name.starts_with('_')
    };
    match names.iter().find(odd) {
        Some(name) => {
            Err(format!("\"{name}\" is no name that can enter: write letters, digits, _ and :"))
        }
        None => Ok(names.clone()),
    }
}

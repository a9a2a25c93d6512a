//! What the `[[scrape]]` tables add to the manifest `prometheus`: each listed metric is an event, each
//! listed label a field of it.
//!
//! # Invariants
//! - The values of labels are texts of another program: class *diagnostic text*.
//! - Two tables that list the same metric declare it once, with the labels of both and the higher level.

use std::collections::BTreeMap;

use candor_model::{Class, Kind};
use candor_policy::ScrapeConfig;

use crate::{Event, Field, FieldKind, Manifest};

/// Largest metric of an exporter.
const MAX_BYTES: usize = 256 << 10;

/// Declares what is scraped.
pub(crate) fn declare(manifest: &mut Manifest, scrapes: &[ScrapeConfig]) {
    for scrape in scrapes {
        for metric in &scrape.metrics {
            let known = manifest.events.iter_mut().find(|event| event.name == *metric);
            if let Some(event) = known {
                event.level = event.level.max(scrape.level);
                event.fields.extend(fields(scrape));
            } else {
                manifest.events.push(event(metric, scrape));
            }
        }
    }
}

fn event(metric: &str, scrape: &ScrapeConfig) -> Event {
    Event {
        name: metric.to_owned(),
        kind: Kind::Metric,
        level: scrape.level,
        purpose: "what the administrator wants to see of this exporter".to_owned(),
        doc: format!("A metric of the exporter {}.", scrape.name),
        sample: 1.0,
        max_bytes: MAX_BYTES,
        fields: fields(scrape),
    }
}

fn fields(scrape: &ScrapeConfig) -> BTreeMap<String, Field> {
    let field = |label: &String| {
        let field = Field {
            kind: FieldKind::Text,
            class: Class::DiagnosticText,
            doc: "A label.".to_owned(),
            level: None,
            format: None,
            words: Vec::new(),
            sensitive: false,
            parse: None,
        };
        (label.clone(), field)
    };
    scrape.labels.iter().map(field).collect()
}

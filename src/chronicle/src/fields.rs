//! Each field of a record with what was published of it: by the catalog of what the agent tells itself, by its
//! manifest of what a local program tells.
//!
//! # Invariants
//! - A program's record is never explained by the catalog, whatever it calls itself.
//! - Of several manifests that could be meant, the first that declares the record counts, on or off: what waits
//!   was told while one was on.

use candor_control::protocol::FieldDetail;
use candor_model::{CATALOG, Class, EventEntry, FieldEntry, Kind, Level, MetricEntry};
use candor_otlp::{DecodedRecord, json, keys};
use candor_providers::{Event, Manifest, Registry};
use serde_json::Value;

/// The attribute by which a program calls itself.
const SERVICE: &str = "service.name";
/// The field of a log record's body.
const BODY: &str = "body";

/// Where a record is described.
pub(crate) enum Description<'a> {
    /// In the catalog, as an event.
    Event(&'static EventEntry),
    /// In the catalog, as a metric.
    Metric(&'static MetricEntry),
    /// In a program's manifest; one that takes any event does not say which.
    Program(&'a Manifest, Option<&'a Event>),
    /// Nowhere (any more).
    Nowhere,
}

/// What was published of a field.
struct Words {
    level: Level,
    class: Option<Class>,
    purpose: String,
    text: String,
}

impl<'a> Description<'a> {
    pub(crate) fn of(record: &DecodedRecord, providers: &'a Registry) -> Self {
        let said = |wanted: &str| {
            let mut pairs = record.resource.iter();
            pairs.find_map(|(key, value)| (key == wanted).then(|| json::value(value)))
        };
        // Only a program's resource names the installation beside itself.
        if said(keys::AGENT_ID).is_some() {
            let service = said(SERVICE);
            let service = service.as_ref().and_then(Value::as_str);
            let declared = providers.declared(service, record.kind, &record.name);
            return declared
                .map_or(Self::Nowhere, |(manifest, event)| Self::Program(manifest, event));
        }
        let found = if record.kind == Kind::Metric {
            CATALOG.metrics.iter().find(|entry| entry.name == record.name).map(|e| Self::Metric(e))
        } else {
            CATALOG.events.iter().find(|entry| entry.name == record.name).map(|e| Self::Event(e))
        };
        found.unwrap_or(Self::Nowhere)
    }

    /// The program's provider; `None` of the agent's own records.
    pub(crate) fn provider(&self) -> Option<String> {
        match self {
            Self::Program(manifest, _) => Some(manifest.name.clone()),
            Self::Event(_) | Self::Metric(_) | Self::Nowhere => None,
        }
    }

    /// Each field of a record.
    pub(crate) fn fields(&self, record: &DecodedRecord) -> Vec<FieldDetail> {
        match record.kind {
            Kind::Metric => self.metric_fields(record),
            Kind::Log | Kind::Span => self.event_fields(record),
        }
    }

    fn event_fields(&self, record: &DecodedRecord) -> Vec<FieldDetail> {
        let body = record.log.as_ref().and_then(|log| log.body.as_ref());
        let pairs = record.attributes.iter().map(|(name, value)| (name.as_str(), value));
        let pairs = pairs.chain(body.map(|body| (BODY, body)));
        pairs.map(|(name, value)| self.detail(name, json::value(value))).collect()
    }

    /// The value of a metric first, then the attributes of its points with the values that they have.
    fn metric_fields(&self, record: &DecodedRecord) -> Vec<FieldDetail> {
        let points = json::to_json(record).remove("points").unwrap_or_default();
        let values = points.as_array().into_iter().flatten().map(|p| p["value"].clone()).collect();
        let mut fields = vec![detail(&record.name, values, self.value())];
        for (name, value) in record.points.iter().flat_map(|point| &point.attributes) {
            let value = json::value(value);
            if let Some(field) = fields[1..].iter_mut().find(|field| field.name == *name) {
                if let Value::Array(values) = &mut field.value
                    && !values.contains(&value)
                {
                    values.push(value);
                }
                continue;
            }
            fields.push(self.detail(name, Value::Array(vec![value])));
        }
        fields
    }

    fn detail(&self, name: &str, value: Value) -> FieldDetail {
        detail(name, value, self.words(name))
    }

    /// What is said of a metric's value.
    fn value(&self) -> Option<Words> {
        match self {
            Self::Metric(entry) => Some(Words {
                level: entry.level,
                class: Some(entry.class),
                purpose: entry.purpose.to_owned(),
                text: entry.doc.trim().to_owned(),
            }),
            Self::Program(_, Some(event)) => Some(Words {
                level: event.level,
                class: None,
                purpose: event.purpose.clone(),
                text: event.doc.clone(),
            }),
            Self::Program(manifest, None) => Some(any(manifest)),
            Self::Event(_) | Self::Nowhere => None,
        }
    }

    fn words(&self, name: &str) -> Option<Words> {
        let of = |fields: &[FieldEntry], owner: Level, purpose: &str| {
            let field = fields.iter().find(|field| field.name == name)?;
            Some(Words {
                level: field.level.max(owner),
                class: Some(field.class),
                purpose: purpose.to_owned(),
                text: field.doc.trim().to_owned(),
            })
        };
        match self {
            Self::Event(entry) => of(entry.fields, entry.level, entry.purpose),
            Self::Metric(entry) => of(entry.attributes, entry.level, entry.purpose),
            Self::Program(_, Some(event)) => {
                let field = event.fields.get(name)?;
                Some(Words {
                    level: field.level.unwrap_or(event.level),
                    class: Some(field.class),
                    purpose: event.purpose.clone(),
                    text: field.doc.clone(),
                })
            }
            Self::Program(manifest, None) => Some(any(manifest)),
            Self::Nowhere => None,
        }
    }
}

/// What a manifest says that takes any field: it is text, scrubbed, at level 3.
fn any(manifest: &Manifest) -> Words {
    let (level, class) = (Level::Full, Some(Class::DiagnosticText));
    Words { level, class, purpose: manifest.doc.clone(), text: String::new() }
}

fn detail(name: &str, value: Value, words: Option<Words>) -> FieldDetail {
    let field = FieldDetail { name: name.to_owned(), value, ..FieldDetail::default() };
    let Some(words) = words else { return field };
    FieldDetail {
        level: Some(words.level.number()),
        class: words.class.map(|class| class.name().to_owned()),
        purpose: Some(words.purpose),
        text: Some(words.text).filter(|text| !text.is_empty()),
        ..field
    }
}

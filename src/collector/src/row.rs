//! A decoded record in the shape in which it is stored. Made by [`crate::export`] from what
//! candor-otlp read, written by [`crate::store`].
//!
//! # Invariants
//! - Every row has an id. A record that brings `log.record.uid` keeps it. A foreign record gets
//!   `sha256:` and 32 hexadecimal digits: the first half of the SHA-256 over its kind, its resource,
//!   its boot id and its whole content, and how often the same content stood before it in the same
//!   request. A request that is sent again therefore adds nothing, equal records within one request
//!   are all kept, and two requests that hold one and the same record (same time to the nanosecond,
//!   same content, same sender) count as one being sent twice.
//! - `json` is the object that `query records` prints, but for what the store adds to it.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use candor_model::{Kind, Value};
use candor_otlp::{DecodedPoint, DecodedRecord, PointValue, ResourceAttributes, json, keys};
use sha2::{Digest as _, Sha256};

/// One record, ready to be stored.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    /// Install id; `None` of a sender that does not say `service.instance.id`.
    pub(crate) install_id: Option<String>,
    /// Boot id, if said.
    pub(crate) boot_id: Option<String>,
    /// Sequence number, if said.
    pub(crate) seq: Option<i64>,
    /// The id by which it is stored once.
    pub(crate) uid: String,
    /// Level, if said.
    pub(crate) level: Option<u8>,
    /// Signal.
    pub(crate) kind: Kind,
    /// Event, metric or span name.
    pub(crate) name: String,
    /// Nanoseconds since 1970; 0 when not said.
    pub(crate) time: i64,
    /// Trace that it belongs to.
    pub(crate) trace_id: Option<String>,
    /// Traces that its exemplars were measured in, each once.
    pub(crate) exemplars: Vec<String>,
    /// The codec's JSON object of the record.
    pub(crate) json: String,
    /// What its resource tells about the host.
    pub(crate) host: Arc<HostFacts>,
}

/// What is known of a host beside its records; the latest that was said counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HostFacts {
    /// `service.version`.
    pub(crate) version: Option<String>,
    /// `os.name` and `os.version`, else `os.type`.
    pub(crate) os: Option<String>,
}

/// Values that one record may hold: attributes, list items, points, buckets, exemplars. A value of two
/// bytes on the wire is about a kilobyte as JSON in the making, so this bounds a record at some 64 MB.
const MAX_VALUES: usize = 65_536;

/// Hexadecimal digits of a trace id.
const TRACE_DIGITS: usize = 32;

/// A record with more values than are taken.
#[derive(Debug, thiserror::Error)]
#[error("a record holds more than {MAX_VALUES} values")]
pub(crate) struct TooManyValues;

/// Makes the rows of one request; knows which contents it has seen.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    done: Vec<Row>,
    sender: Option<Sender>,
    seen: HashMap<[u8; 32], u64>,
    bytes: usize,
}

/// What is worked out once for all records under one resource.
#[derive(Clone, Debug)]
struct Sender {
    resource: ResourceAttributes,
    digest: [u8; 32],
    host: Arc<HostFacts>,
}

impl Rows {
    /// Adds the row of one record.
    ///
    /// # Errors
    /// It unfolds into more than its size on the wire lets expect.
    pub(crate) fn push(&mut self, mut record: DecodedRecord) -> Result<(), TooManyValues> {
        if values(&record) > MAX_VALUES {
            return Err(TooManyValues);
        }
        let sender = self.sender(&record.resource)?;
        let json = serde_json::Value::Object(json::to_json(&record)).to_string();
        let uid = record.uid.take().filter(|uid| !uid.is_empty());
        let uid = uid.unwrap_or_else(|| self.derived_uid(&record, &sender.digest, &json));
        let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let exemplars = traces(&record.points);
        self.bytes += size_of::<Row>() + json.len() + uid.len() + record.name.len();
        self.bytes += exemplars.len() * (size_of::<String>() + TRACE_DIGITS);
        self.bytes += length(&record.install_id) + length(&record.boot_id);
        self.done.push(Row {
            seq: record.seq.and_then(|seq| i64::try_from(seq).ok()),
            uid,
            level: record.level.map(candor_model::Level::number),
            kind: record.kind,
            time: i64::try_from(record.time.0).unwrap_or(0),
            json,
            host: sender.host,
            install_id: record.install_id,
            boot_id: record.boot_id,
            name: record.name,
            trace_id: record.trace_id,
            exemplars,
        });
        Ok(())
    }

    /// Bytes that the rows take up, about.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The rows in the order of the request.
    pub(crate) fn into_vec(self) -> Vec<Row> {
        self.done
    }

    /// The records under one resource share it, so that comparing addresses is enough.
    fn sender(&mut self, resource: &ResourceAttributes) -> Result<Sender, TooManyValues> {
        if let Some(sender) = self.sender.as_ref().filter(|s| Arc::ptr_eq(&s.resource, resource)) {
            return Ok(sender.clone());
        }
        if attributes(resource) > MAX_VALUES {
            return Err(TooManyValues);
        }
        let sender = Sender {
            resource: Arc::clone(resource),
            digest: Sha256::digest(json::attributes(resource).to_string()).into(),
            host: Arc::new(HostFacts::of(resource)),
        };
        Ok(self.sender.insert(sender).clone())
    }

    fn derived_uid(&mut self, record: &DecodedRecord, sender: &[u8; 32], json: &str) -> String {
        let boot = record.boot_id.as_deref().unwrap_or_default();
        let mut digest = Sha256::new_with_prefix(sender);
        for part in [record.kind.name(), boot, json] {
            // With its length, so that no two lists of parts have the same bytes.
            digest.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            digest.update(part);
        }
        let before = self.seen.entry(digest.clone().finalize().into()).or_default();
        digest.update(before.to_be_bytes());
        *before += 1;
        let mut uid = String::from("sha256:");
        for byte in &digest.finalize()[..16] {
            let _ = write!(uid, "{byte:02x}"); // writing to a String cannot fail
        }
        uid
    }
}

impl HostFacts {
    fn of(resource: &[(String, Value)]) -> Self {
        let text = |key: &str| {
            resource.iter().rev().find_map(|(name, value)| match value {
                Value::Text(text) if name == key => Some(text.as_ref()),
                _ => None,
            })
        };
        if text(keys::AGENT_ID).is_some() {
            // A local program's: what it says of itself is not true of the host.
            return Self::default();
        }
        let os = match (text("os.name"), text("os.version")) {
            (Some(name), Some(version)) => Some(format!("{name} {version}")),
            (Some(name), None) => Some(name.to_owned()),
            (None, _) => text("os.type").map(str::to_owned),
        };
        Self { version: text("service.version").map(str::to_owned), os }
    }
}

/// The traces that these points' exemplars name, as `query trace` can ask for them.
fn traces(points: &[DecodedPoint]) -> Vec<String> {
    let exemplars = points.iter().flat_map(|point| &point.exemplars);
    let named = exemplars.filter_map(|exemplar| exemplar.trace_id.as_ref());
    let mut traces: Vec<String> = named.filter(|id| id.len() == TRACE_DIGITS).cloned().collect();
    traces.sort_unstable();
    traces.dedup();
    traces
}

fn values(record: &DecodedRecord) -> usize {
    let own = attributes(&record.attributes);
    let points: usize = record.points.iter().map(|p| attributes(&p.attributes) + point(p)).sum();
    let exemplars = record.points.iter().flat_map(|point| &point.exemplars);
    let exemplars: usize = exemplars.map(|exemplar| 1 + attributes(&exemplar.attributes)).sum();
    let body = record.log.as_ref().and_then(|log| log.body.as_ref()).map_or(0, value);
    let events = record.span.iter().flat_map(|span| &span.events);
    let events: usize = events.map(|event| 1 + attributes(&event.attributes)).sum();
    own + points + exemplars + body + events
}

fn attributes(pairs: &[(String, Value)]) -> usize {
    pairs.iter().map(|(_, held)| value(held)).sum()
}

fn value(held: &Value) -> usize {
    1 + match held {
        Value::List(items) => items.iter().map(value).sum(),
        Value::Map(pairs) => pairs.iter().map(|(_, held)| value(held)).sum(),
        _ => 0,
    }
}

fn point(point: &DecodedPoint) -> usize {
    1 + match &point.value {
        Some(PointValue::Exponential(histogram, negative)) => {
            histogram.buckets.len() + negative.as_ref().map_or(0, |buckets| buckets.counts.len())
        }
        Some(PointValue::Explicit { bounds, counts, .. }) => bounds.len() + counts.len(),
        Some(PointValue::Summary { quantiles, .. }) => quantiles.len(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use candor_otlp::{Part, decode_request, request_body};
    use opentelemetry_proto::tonic::logs::v1::LogRecord;
    use opentelemetry_proto::tonic::metrics::v1::{
        Exemplar, Gauge, Metric, NumberDataPoint, metric::Data,
    };
    use prost::Message as _;

    use super::*;

    /// A request that holds these messages, each as the one repeated field of its scope.
    fn request(kind: Kind, messages: &[Vec<u8>]) -> Vec<DecodedRecord> {
        let rows: Vec<Vec<u8>> = messages
            .iter()
            .map(|message| {
                let mut row = vec![2 << 3 | 2];
                prost::encode_length_delimiter(message.len(), &mut row).unwrap();
                row.extend_from_slice(message);
                row
            })
            .collect();
        let rows: Vec<&[u8]> = rows.iter().map(Vec::as_slice).collect();
        let body = request_body(kind, &[], &[Part { boot: "b", rows: &rows }]);
        decode_request(kind, &body).unwrap()
    }

    fn log(time: u64) -> Vec<u8> {
        LogRecord { time_unix_nano: time, ..LogRecord::default() }.encode_to_vec()
    }

    fn uids(messages: &[Vec<u8>]) -> Vec<String> {
        let mut rows = Rows::default();
        for record in request(Kind::Log, messages) {
            rows.push(record).unwrap();
        }
        rows.into_vec().into_iter().map(|row| row.uid).collect()
    }

    #[test]
    fn a_foreign_record_that_is_sent_again_has_the_same_id() {
        assert_eq!(uids(&[log(1), log(2)]), uids(&[log(1), log(2)]));
        assert_eq!(uids(&[log(1)])[0], uids(&[log(2), log(1)])[1]);
    }

    #[test]
    fn equal_foreign_records_in_one_request_are_told_apart() {
        let uids = uids(&[log(1), log(1), log(2)]);
        assert_ne!(uids[0], uids[1]);
        assert_ne!(uids[0], uids[2]);
        assert!(uids.iter().all(|uid| uid.len() == "sha256:".len() + 32), "{uids:?}");
    }

    #[test]
    fn another_senders_equal_record_has_another_id() {
        let mut records = request(Kind::Log, &[log(1), log(1)]);
        records[1].resource = [("host.name".to_owned(), Value::from("other"))].into();
        let mut one = Rows::default();
        let mut two = Rows::default();
        two.push(records.remove(1)).unwrap();
        one.push(records.remove(0)).unwrap();
        assert_ne!(one.into_vec()[0].uid, two.into_vec()[0].uid);
    }

    #[test]
    fn a_local_programs_resource_says_nothing_about_its_host() {
        let pair = |key: &str, text: &'static str| (key.to_owned(), Value::from(text));
        let own = [pair("service.version", "1.2"), pair("os.type", "linux")];
        assert_eq!(HostFacts::of(&own).version.as_deref(), Some("1.2"));
        let program = [own.to_vec(), vec![pair("candor.install_id", "me")]].concat();
        assert_eq!(HostFacts::of(&program), HostFacts::default());
    }

    #[test]
    fn a_record_that_unfolds_into_too_many_values_is_refused() {
        let metric = |points| {
            let data_points = vec![NumberDataPoint::default(); points];
            Metric { data: Some(Data::Gauge(Gauge { data_points })), ..Metric::default() }
                .encode_to_vec()
        };
        let push = |points| {
            let record = request(Kind::Metric, &[metric(points)]).remove(0);
            Rows::default().push(record)
        };
        assert!(push(MAX_VALUES).is_ok());
        assert!(push(MAX_VALUES + 1).is_err());
        let with_exemplars = |count| {
            let exemplars = vec![Exemplar::default(); count];
            let data_points = vec![NumberDataPoint { exemplars, ..NumberDataPoint::default() }];
            let metric =
                Metric { data: Some(Data::Gauge(Gauge { data_points })), ..Metric::default() };
            Rows::default().push(request(Kind::Metric, &[metric.encode_to_vec()]).remove(0))
        };
        assert!(with_exemplars(MAX_VALUES - 1).is_ok());
        assert!(with_exemplars(MAX_VALUES).is_err());
    }
}

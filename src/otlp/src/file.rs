//! The file that carries records by hand: what `agentctl export` writes and `candor-collector import`
//! reads, in either of two forms.
//!
//! ```text
//! protobuf   entry, entry, …   each: length (4 bytes, big endian), then one message, as the OpenTelemetry
//!                              Collector's file exporter frames its messages with `format: proto`
//!            message Entry { oneof { ExportLogsServiceRequest logs = 2; ExportMetricsServiceRequest
//!            metrics = 3; ExportTraceServiceRequest traces = 4; string end = 15; } }
//! json       one JSON object a line: an Export…ServiceRequest in OTLP's JSON, as the Collector's
//!            file exporter writes and its `otlpjsonfile` receiver reads
//!            the last line is {"candorExport": end}, which that receiver passes over
//! end        {"version": 1, "install_id", "time", "records", "ranges": [[1, 90]], "sha256"}
//! ```
//!
//! # Invariants
//! - `sha256` covers every byte before the entry that holds it, and nothing may follow that entry: a file
//!   that was cut, changed or joined with another is refused.
//! - A reader holds one entry at a time, of at most [`MAX_ENTRY`] bytes.
//!
//! On failure: [`FileError`] says at which entry.

use std::fmt::Write as _;
use std::io::{self, BufRead, Read as _, Write};

use candor_model::Kind;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::frame::push_length;

/// The most bytes that one entry may have.
pub const MAX_ENTRY: usize = 16 << 20;

/// The field of `end` in the protobuf form.
const END: u8 = 15 << 3 | 2;
/// How each kind's line begins in the JSON form.
const HEADS: [(Kind, &str); 3] = [
    (Kind::Log, "{\"resourceLogs\""),
    (Kind::Metric, "{\"resourceMetrics\""),
    (Kind::Span, "{\"resourceSpans\""),
];

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Length-delimited protobuf.
    Protobuf,
    /// JSON lines.
    Json,
}

/// What the end of a file says of all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct End {
    version: u8,
    /// Whose records they are.
    pub install_id: String,
    /// When it was written, RFC 3339.
    pub time: String,
    /// How many records there are.
    pub records: u64,
    /// Their numbers, from the first to the last of each run.
    pub ranges: Vec<(u64, u64)>,
    sha256: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EndLine {
    #[serde(rename = "candorExport")]
    end: End,
}

/// Why a file is not taken.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file could not be read.
    #[error("cannot read it")]
    Read(#[source] io::Error),
    /// It ends before its end.
    #[error("it is cut off in entry {0}: copy it again")]
    Truncated(u64),
    /// Something that no export wrote.
    #[error("entry {entry} is none of an export: {what}")]
    Malformed {
        /// Its place, from 1.
        entry: u64,
        /// What is wrong with it.
        what: String,
    },
    /// Its content is not what was written.
    #[error("it was changed on the way (its digest is another): copy it again")]
    Changed,
    /// Something stands behind its end.
    #[error("something stands behind its end: import each export by itself")]
    Longer,
}

impl End {
    /// What there is to say of the records; the rest is the writer's.
    #[must_use]
    pub fn of(install_id: &str, time: String) -> Self {
        Self { install_id: install_id.to_owned(), time, ..Self::default() }
    }

    /// The SHA-256 of all that stands before, in hexadecimal digits: the file's name for itself.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.sha256
    }
}

/// Writes a file.
#[derive(Debug)]
pub struct FileWriter<W> {
    out: W,
    form: Form,
    digest: Sha256,
}

impl<W: Write> FileWriter<W> {
    /// Writes to `out`, which should be buffered.
    pub fn new(out: W, form: Form) -> Self {
        Self { out, form, digest: Sha256::new() }
    }

    /// Adds the body of one export request.
    ///
    /// # Errors
    /// The output fails, or the body is no such request (JSON), or larger than [`MAX_ENTRY`].
    pub fn request(&mut self, kind: Kind, body: &[u8]) -> io::Result<()> {
        let entry = match self.form {
            Form::Protobuf => delimited(tag(kind), body),
            Form::Json => json_line(kind, body).map_err(io::Error::other)?,
        };
        if entry.len() > MAX_ENTRY {
            return Err(io::Error::other("a request is larger than an entry of the file may be"));
        }
        self.digest.update(&entry);
        self.out.write_all(&entry)
    }

    /// Writes the end and gives the output back.
    ///
    /// # Errors
    /// The output fails.
    pub fn finish(mut self, end: End) -> io::Result<W> {
        let end = End { version: 1, sha256: hex(&self.digest.finalize()), ..end };
        let entry = match self.form {
            Form::Protobuf => delimited(END, &serde_json::to_vec(&end)?),
            Form::Json => line(&EndLine { end })?,
        };
        self.out.write_all(&entry)?;
        self.out.flush()?;
        Ok(self.out)
    }
}

/// One entry of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileEntry {
    /// The body of an export request, as protobuf.
    Request(Kind, Vec<u8>),
    /// The end; the file is whole and as it was written.
    End(End),
}

/// Reads a file of either form.
#[derive(Debug)]
pub struct FileReader<R> {
    source: R,
    digest: Sha256,
    entry: u64,
}

impl<R: BufRead> FileReader<R> {
    /// Reads from `source`.
    pub fn new(source: R) -> Self {
        Self { source, digest: Sha256::new(), entry: 0 }
    }

    /// The next entry. Nothing counts before the [`FileEntry::End`] came: only then is it known that what
    /// was read before is what was written.
    ///
    /// # Errors
    /// See [`FileError`].
    pub fn entry(&mut self) -> Result<FileEntry, FileError> {
        self.entry += 1;
        // A length begins with a zero: entries are smaller than 16 MiB.
        match self.source.fill_buf().map_err(FileError::Read)?.first() {
            None => Err(FileError::Truncated(self.entry)),
            Some(b'{') => self.json(),
            Some(_) => self.protobuf(),
        }
    }

    fn protobuf(&mut self) -> Result<FileEntry, FileError> {
        let mut head = [0; 4];
        self.fill(&mut head)?;
        let length = usize::try_from(u32::from_be_bytes(head)).unwrap_or(usize::MAX);
        if length == 0 || length > MAX_ENTRY {
            return Err(self.malformed(format!("its length is {length}")));
        }
        let mut message = vec![0; length];
        self.fill(&mut message)?;
        let (field, mut content) = (message[0], &message[1..]);
        let told = prost::decode_length_delimiter(&mut content);
        if told.ok() != Some(content.len()) {
            return Err(self.malformed("its field does not fill it".to_owned()));
        }
        if field == END {
            let end = serde_json::from_slice(content);
            return self.end(end.map_err(|error| self.malformed(error.to_string()))?);
        }
        let kind = Kind::ALL.into_iter().find(|kind| tag(*kind) == field);
        let kind = kind.ok_or_else(|| self.malformed(format!("it begins with {field}")))?;
        let content = content.to_vec();
        self.digest.update(head);
        self.digest.update(&message);
        Ok(FileEntry::Request(kind, content))
    }

    fn json(&mut self) -> Result<FileEntry, FileError> {
        let mut text = Vec::new();
        let most = u64::try_from(MAX_ENTRY).unwrap_or(u64::MAX);
        let read = self.source.by_ref().take(most).read_until(b'\n', &mut text);
        read.map_err(FileError::Read)?;
        if text.last() != Some(&b'\n') {
            return Err(FileError::Truncated(self.entry));
        }
        let head = HEADS.iter().find(|(_, head)| text.starts_with(head.as_bytes()));
        let Some((kind, _)) = head else {
            let end: Result<EndLine, _> = serde_json::from_slice(&text);
            return self.end(end.map_err(|error| self.malformed(error.to_string()))?.end);
        };
        let body = protobuf(*kind, &text).map_err(|error| self.malformed(error.to_string()))?;
        self.digest.update(&text);
        Ok(FileEntry::Request(*kind, body))
    }

    fn end(&mut self, end: End) -> Result<FileEntry, FileError> {
        if end.version != 1 {
            return Err(self.malformed(format!("form {} is not known here", end.version)));
        }
        if hex(&std::mem::take(&mut self.digest).finalize()) != end.sha256 {
            return Err(FileError::Changed);
        }
        match self.source.fill_buf().map_err(FileError::Read)? {
            [] => Ok(FileEntry::End(end)),
            _ => Err(FileError::Longer),
        }
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), FileError> {
        self.source.read_exact(bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => FileError::Truncated(self.entry),
            _ => FileError::Read(error),
        })
    }

    const fn malformed(&self, what: String) -> FileError {
        FileError::Malformed { entry: self.entry, what }
    }
}

/// The field of a kind in the protobuf form.
const fn tag(kind: Kind) -> u8 {
    let field = match kind {
        Kind::Log => 2,
        Kind::Metric => 3,
        Kind::Span => 4,
    };
    field << 3 | 2
}

fn delimited(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = 1 + prost::length_delimiter_len(content.len()) + content.len();
    let mut entry = Vec::with_capacity(4 + length);
    entry.extend(u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    entry.push(tag);
    push_length(content.len(), &mut entry);
    entry.extend_from_slice(content);
    entry
}

fn json_line(kind: Kind, body: &[u8]) -> io::Result<Vec<u8>> {
    fn of<M>(body: &[u8]) -> io::Result<Vec<u8>>
    where
        M: Message + Default + Serialize + DeserializeOwned + PartialEq,
    {
        let message = M::decode(body).map_err(io::Error::other)?;
        let line = line(&message)?;
        // JSON has no infinite number and none that is not a number.
        if serde_json::from_slice::<M>(&line).is_ok_and(|read| read == message) {
            return Ok(line);
        }
        Err(io::Error::other("a value has no form in JSON; write --format protobuf"))
    }
    match kind {
        Kind::Log => of::<ExportLogsServiceRequest>(body),
        Kind::Metric => of::<ExportMetricsServiceRequest>(body),
        Kind::Span => of::<ExportTraceServiceRequest>(body),
    }
}

fn line(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(line)
}

fn protobuf(kind: Kind, line: &[u8]) -> serde_json::Result<Vec<u8>> {
    fn of<M: Message + DeserializeOwned>(line: &[u8]) -> serde_json::Result<Vec<u8>> {
        serde_json::from_slice::<M>(line).map(|message| message.encode_to_vec())
    }
    match kind {
        Kind::Log => of::<ExportLogsServiceRequest>(line),
        Kind::Metric => of::<ExportMetricsServiceRequest>(line),
        Kind::Span => of::<ExportTraceServiceRequest>(line),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // writing to a String cannot fail
        text
    })
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, any_value};
    use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
    use opentelemetry_proto::tonic::metrics::v1::{
        ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Metric, NumberDataPoint,
        ResourceMetrics, ScopeMetrics, exponential_histogram_data_point::Buckets, metric::Data,
        number_data_point,
    };
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};

    use super::*;
    use crate::encode::{int, text};

    fn log(double: f64) -> Vec<u8> {
        let value = |value| Some(AnyValue { value: Some(value) });
        let list = ArrayValue {
            values: vec![AnyValue { value: Some(any_value::Value::DoubleValue(double)) }],
        };
        let mut odd = text("odd", "ö \" \n");
        odd.value = value(any_value::Value::ArrayValue(list));
        let record = LogRecord {
            time_unix_nano: u64::MAX / 3,
            event_name: "candor.test".to_owned(),
            attributes: vec![text("t", "ö \" \n"), int("big", i64::MIN), odd],
            trace_id: vec![0xab; 16],
            ..LogRecord::default()
        };
        let scope_logs = vec![ScopeLogs { log_records: vec![record], ..ScopeLogs::default() }];
        let logs = ResourceLogs { scope_logs, ..ResourceLogs::default() };
        ExportLogsServiceRequest { resource_logs: vec![logs] }.encode_to_vec()
    }

    fn metrics() -> Vec<u8> {
        let number = NumberDataPoint {
            value: Some(number_data_point::Value::AsInt(i64::MAX)),
            ..NumberDataPoint::default()
        };
        let histogram = ExponentialHistogramDataPoint {
            count: 3,
            sum: Some(0.1),
            scale: -3,
            positive: Some(Buckets { offset: -2, bucket_counts: vec![u64::MAX, 0, 1] }),
            ..ExponentialHistogramDataPoint::default()
        };
        let histogram =
            ExponentialHistogram { data_points: vec![histogram], aggregation_temporality: 1 };
        let data = [
            Data::Gauge(Gauge { data_points: vec![number] }),
            Data::ExponentialHistogram(histogram),
        ];
        let metric = |data| Metric {
            name: "system.test".to_owned(),
            metadata: vec![int("candor.seq", 7)],
            data: Some(data),
            ..Metric::default()
        };
        let metrics = data.map(metric).into();
        let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
        let metrics = ResourceMetrics { scope_metrics, ..ResourceMetrics::default() };
        ExportMetricsServiceRequest { resource_metrics: vec![metrics] }.encode_to_vec()
    }

    fn spans() -> Vec<u8> {
        let span = Span { span_id: vec![1; 8], kind: 2, ..Span::default() };
        let scope_spans = vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }];
        let spans = ResourceSpans { scope_spans, ..ResourceSpans::default() };
        ExportTraceServiceRequest { resource_spans: vec![spans] }.encode_to_vec()
    }

    fn requests() -> [(Kind, Vec<u8>); 3] {
        [(Kind::Log, log(0.1)), (Kind::Metric, metrics()), (Kind::Span, spans())]
    }

    fn end() -> End {
        let (install_id, time) = ("me".to_owned(), "2026-01-02T03:04:05Z".to_owned());
        End { install_id, time, records: 4, ranges: vec![(1, 4)], ..End::default() }
    }

    fn file(form: Form) -> Vec<u8> {
        let mut writer = FileWriter::new(Vec::new(), form);
        for (kind, body) in requests() {
            writer.request(kind, &body).unwrap();
        }
        writer.finish(end()).unwrap()
    }

    type Requests = Vec<(Kind, Vec<u8>)>;

    fn read(bytes: &[u8]) -> Result<(Requests, End), FileError> {
        let (mut reader, mut requests) = (FileReader::new(bytes), Vec::new());
        loop {
            match reader.entry()? {
                FileEntry::Request(kind, body) => requests.push((kind, body)),
                FileEntry::End(end) => return Ok((requests, end)),
            }
        }
    }

    #[test]
    fn what_was_written_reads_back_byte_for_byte_in_both_forms() {
        for form in [Form::Protobuf, Form::Json] {
            let (read, told) = read(&file(form)).unwrap();
            assert_eq!(read, requests(), "{form:?}");
            assert_eq!((told.install_id.as_str(), told.records), ("me", 4));
            assert_eq!(told.ranges, [(1, 4)]);
        }
    }

    #[test]
    fn a_line_of_json_is_what_the_collectors_file_receiver_reads() {
        let file = String::from_utf8(file(Form::Json)).unwrap();
        let line: serde_json::Value = serde_json::from_str(file.lines().next().unwrap()).unwrap();
        let record = &line["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0];
        assert_eq!(record["eventName"], "candor.test");
        assert_eq!(record["timeUnixNano"], (u64::MAX / 3).to_string());
        assert_eq!(record["traceId"], "ab".repeat(16));
        assert_eq!(record["attributes"][1]["value"]["intValue"], i64::MIN.to_string());
        let last = file.lines().last().unwrap();
        assert!(last.starts_with("{\"candorExport\":{\"version\":1,"), "{last}");
    }

    #[test]
    fn a_file_that_was_cut_anywhere_is_refused() {
        for form in [Form::Protobuf, Form::Json] {
            let whole = file(form);
            for cut in 0..whole.len() {
                assert!(read(&whole[..cut]).is_err(), "{form:?} {cut}");
            }
        }
    }

    #[test]
    fn a_file_of_which_any_byte_was_changed_is_refused() {
        for form in [Form::Protobuf, Form::Json] {
            let whole = file(form);
            let told = read(&whole).unwrap();
            for place in 0..whole.len() {
                let mut bent = whole.clone();
                bent[place] ^= 0x01;
                // Only what the end says of the whole is beyond the digest's reach.
                assert!(read(&bent).map_or(true, |read| read.0 == told.0), "{form:?} {place}");
            }
        }
    }

    #[test]
    fn two_files_in_one_are_refused() {
        for form in [Form::Protobuf, Form::Json] {
            let twice = [file(form), file(form)].concat();
            assert!(matches!(read(&twice), Err(FileError::Longer)));
        }
    }

    #[test]
    fn what_json_cannot_say_is_not_written_as_something_else() {
        let mut json = FileWriter::new(Vec::new(), Form::Json);
        assert!(json.request(Kind::Log, &log(f64::NAN)).is_err());
        let mut protobuf = FileWriter::new(Vec::new(), Form::Protobuf);
        assert!(protobuf.request(Kind::Log, &log(f64::NAN)).is_ok());
    }

    #[test]
    fn hostile_lengths_take_no_memory() {
        for head in [[0, 0, 0, 0], [0xff; 4], [1, 0, 0, 1]] {
            assert!(matches!(read(&head), Err(FileError::Malformed { entry: 1, .. })), "{head:?}");
        }
        assert!(matches!(read(&[0, 0xff, 0, 0]), Err(FileError::Truncated(1))));
    }
}

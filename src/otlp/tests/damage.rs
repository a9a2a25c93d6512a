//! What programs, receivers and files of others may send, damaged: every decoder of this room.
#![expect(clippy::unwrap_used, reason = "a sample that cannot be made fails the test")]

use candor_fuzz::{Says, bytes, text};
use candor_model::{Kind, Plain};
use candor_otlp::{
    FileReader, Origin, decode_at, decode_body, decode_frame, decode_request, decode_response,
    encode_status, frame_len, from_json, groups, incoming, name_of, places, plain, seal, unseal,
};

const LOGS: &str = r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},
"scopeLogs":[{"scope":{"name":"http","version":"1.2"},"logRecords":[{"timeUnixNano":"1800000000000000000","severityNumber":13,
"body":{"stringValue":"slow"},"eventName":"shop.order","traceId":"0123456789abcdef0123456789abcdef","spanId":"0123456789abcdef",
"attributes":[{"key":"n","value":{"intValue":"-3"}},{"key":"l","value":{"arrayValue":{"values":[{"doubleValue":1.5},{"boolValue":true}]}}},
{"key":"m","value":{"kvlistValue":{"values":[{"key":"b","value":{"bytesValue":"aGk="}}]}}}]}]}]}]}"#;
const METRICS: &str = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"http.server.request.duration","unit":"s",
"histogram":{"aggregationTemporality":1,"dataPoints":[{"startTimeUnixNano":"1","timeUnixNano":"2","count":"3","sum":4.5,
"bucketCounts":["1","2"],"explicitBounds":[0.1],"exemplars":[{"timeUnixNano":"8","asDouble":0.2}]}]}},{"name":"a.b","sum":
{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[{"timeUnixNano":"2","asInt":"7","attributes":[{"key":"k","value":{"stringValue":"v"}}]}]}}]}]}]}"#;
const SPANS: &str = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"0123456789abcdef0123456789abcdef","spanId":"0123456789abcdef",
"name":"GET /","kind":2,"startTimeUnixNano":"1","endTimeUnixNano":"2","status":{"code":2,"message":"no"},
"events":[{"timeUnixNano":"9","name":"exception","attributes":[{"key":"e","value":{"stringValue":"f"}}]}],
"links":[{"traceId":"0123456789abcdef0123456789abcdef","spanId":"0123456789abcdef"}]}]}]}]}"#;

const SAMPLES: [(Kind, &str); 3] =
    [(Kind::Log, LOGS), (Kind::Metric, METRICS), (Kind::Span, SPANS)];
const LIMIT: usize = 1 << 20;

fn requests() -> Vec<Vec<u8>> {
    let bytes = |(kind, text): (Kind, &str)| from_json(kind, text.as_bytes(), LIMIT).unwrap();
    SAMPLES.into_iter().map(bytes).collect()
}

fn records() -> Vec<Vec<u8>> {
    let of = |(_, request): (Kind, &Vec<u8>)| {
        let place = &places(request).unwrap()[0];
        request[place.record.clone()].to_vec()
    };
    Kind::ALL.into_iter().zip(&requests()).map(of).collect()
}

#[test]
fn requests_neither_break_a_decoder_nor_make_it_grow() {
    bytes("decode::decode_request", Says::Derived("protobuf"), &requests(), |request: &[u8]| {
        Kind::ALL.map(|kind| decode_request(kind, request).ok())
    });
    bytes("decode/place::decode_at", Says::Derived("protobuf"), &requests(), |request: &[u8]| {
        let found = places(request).ok()?;
        let whole = found.iter().filter(|place| decode_at(Kind::Log, request, place).is_ok());
        Some(whole.count()).filter(|count| *count > 0)
    });
    bytes("decode/place::places", Says::Derived("protobuf"), &requests(), |request: &[u8]| {
        let found = places(request).ok()?;
        assert!(found.iter().all(|place| place.record.end <= request.len()), "beyond its end");
        Some(found.len()).filter(|count| *count > 0)
    });
    bytes("incoming::groups", Says::Derived("protobuf"), &requests(), |request: &[u8]| {
        groups(request).map(|groups| groups.len()).ok().filter(|groups| *groups > 0)
    });
}

#[test]
fn records_neither_break_a_decoder_nor_make_it_grow() {
    bytes("incoming::incoming", Says::Derived("protobuf"), &records(), |record: &[u8]| {
        let taken = Kind::ALL.map(|kind| incoming(kind, record).ok());
        taken.map(|record| record.map(|record| record.name.len()).filter(|length| *length > 0))
    });
    bytes("incoming/plain::plain", Says::Derived("protobuf"), &records(), |record: &[u8]| {
        let mut taken = Plain::default();
        plain(record, &mut taken).then(|| {
            let whole = incoming(Kind::Log, record).unwrap();
            assert_eq!(*whole.name, *taken.name, "the two ways differ");
            Some(taken.name.len()).filter(|length| *length > 0)
        })
    });
    bytes("decode::decode_body", Says::Derived("protobuf"), &records(), |record: &[u8]| {
        Kind::ALL.map(|kind| decode_body(kind, record).is_ok())
    });
    bytes(
        "decode/place::name_of",
        Says::Derived("text of a field"),
        &records(),
        |record: &[u8]| Kind::ALL.map(|kind| name_of(kind, record).map(str::to_owned)),
    );
}

#[test]
fn rows_neither_break_a_decoder_nor_make_it_grow() {
    let mut rows = Vec::new();
    for (kind, record) in Kind::ALL.into_iter().zip(records()) {
        let mut row = Vec::new();
        seal(kind, &record, 7, &mut row);
        rows.push(row);
    }
    bytes("decode::decode_frame", Says::Derived("protobuf"), &rows, |row: &[u8]| {
        Kind::ALL.map(|kind| decode_frame(kind, row).is_ok())
    });
    bytes("frame::frame_len", Says::Derived("bytes"), &rows, |row: &[u8]| {
        let length = frame_len(Kind::Log, row);
        assert!(length.is_none_or(|length| length <= row.len()), "beyond its end");
    });
    bytes("frame::unseal", Says::Derived("bytes"), &rows, |row: &[u8]| {
        Kind::ALL.map(|kind| unseal(kind, row, 7).map(<[u8]>::len))
    });
}

#[test]
fn json_neither_breaks_the_transcoder_nor_makes_it_grow() {
    let samples = SAMPLES.map(|(_, text)| text.as_bytes().to_vec());
    bytes("transcode::from_json", Says::Derived("protobuf"), &samples, |text: &[u8]| {
        let made = Kind::ALL.map(|kind| from_json(kind, text, LIMIT).ok());
        made.map(|request| {
            assert!(request.as_ref().is_none_or(|request| request.len() <= LIMIT));
            request.map(|request| request.len()).filter(|length| *length > 0)
        })
    });
}

#[test]
fn answers_files_and_labels_neither_break_a_decoder_nor_make_it_grow() {
    let answers = [encode_status(3, "no"), vec![10, 6, 8, 3, 18, 2, 110, 111]];
    bytes("response::decode_response", Says::Derived("protobuf"), &answers, |answer: &[u8]| {
        let told = Kind::ALL.map(|kind| decode_response(kind, answer).ok());
        told.map(|told| told.map(|told| told.rejected).filter(|rejected| *rejected > 0))
    });
    let frames = requests().into_iter().map(|request| {
        let length = u32::try_from(request.len()).unwrap().to_be_bytes();
        [&length[..], &request].concat()
    });
    let files: Vec<Vec<u8>> = frames.chain([LOGS.replace('\n', "").into_bytes()]).collect();
    bytes("file::entry", Says::Derived("entries"), &files, |file: &[u8]| {
        let mut reader = FileReader::new(file);
        // Each entry takes bytes from the file, so that it ends.
        while reader.entry().is_ok() {}
    });
    text("origin::read", Says::Stands, &["b1", "b1\naGk=\naGk="], |label| {
        Origin::read(label).boot.to_owned()
    });
}

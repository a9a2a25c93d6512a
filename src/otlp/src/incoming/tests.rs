//! What programs send, as generated code writes it, there and back; and what nobody should send.

use candor_model::{Level, Record};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, any_value,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram,
    HistogramDataPoint, Metric, NumberDataPoint, Sum, Summary, SummaryDataPoint,
    exponential_histogram_data_point::Buckets, metric::Data, number_data_point,
    summary_data_point::ValueAtQuantile,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{Span, Status, span};
use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::encode::{int, text};
use crate::{Stamp, encode};

const STAMP: Stamp<'_> = Stamp { uid: "u-1", observed: UnixNanos(77), level: Level::Enhanced };

fn stamp() -> [KeyValue; 2] {
    [text(keys::UID, "u-1"), int(keys::LEVEL, 2)]
}

/// Taken apart and put together again, with nothing taken away.
fn through<M: Message + Default>(kind: Kind, message: &M) -> M {
    let record = incoming(kind, &message.encode_to_vec()).unwrap();
    let bytes = encode(&Record::Provided(Box::new(record)), &STAMP);
    M::decode(bytes.as_slice()).unwrap()
}

fn log() -> LogRecord {
    LogRecord {
        time_unix_nano: 5,
        observed_time_unix_nano: 6,
        severity_number: 13,
        severity_text: "WARN".to_owned(),
        body: Some(AnyValue { value: Some(any_value::Value::StringValue("slow".to_owned())) }),
        attributes: vec![text("a", "b"), int("n", -3)],
        flags: 1,
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        event_name: "shop.order".to_owned(),
        ..LogRecord::default()
    }
}

fn exemplar() -> Exemplar {
    Exemplar {
        time_unix_nano: 8,
        span_id: vec![2; 8],
        trace_id: vec![1; 16],
        filtered_attributes: vec![text("who", "me")],
        ..Exemplar::default()
    }
}

#[test]
fn a_log_record_comes_out_as_it_went_in_with_our_stamp() {
    let mut expected = log();
    expected.attributes.extend(stamp());
    assert_eq!(through(Kind::Log, &log()), expected);
    let unobserved = LogRecord { observed_time_unix_nano: 0, ..log() };
    assert_eq!(through(Kind::Log, &unobserved).observed_time_unix_nano, 77);
    let record = incoming(Kind::Log, &log().encode_to_vec()).unwrap();
    assert_eq!((record.trace_id, record.units()), (Some([1; 16]), 1));
}

#[test]
fn a_span_loses_its_trace_state_and_nothing_else() {
    let event = |name: &str| span::Event {
        time_unix_nano: 9,
        name: name.to_owned(),
        attributes: vec![text("e", "f")],
        ..span::Event::default()
    };
    let link = |state: &str| span::Link {
        trace_id: vec![3; 16],
        span_id: vec![4; 8],
        trace_state: state.to_owned(),
        flags: 1,
        attributes: vec![text("who", "me")],
        dropped_attributes_count: 2,
    };
    let span = Span {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        parent_span_id: vec![5; 8],
        trace_state: "vendor=text".to_owned(),
        name: "GET /".to_owned(),
        kind: 2,
        start_time_unix_nano: 1,
        end_time_unix_nano: 2,
        attributes: vec![text("a", "b")],
        events: vec![event("one"), event("two")],
        links: vec![link("vendor=text"), link("")],
        status: Some(Status { message: "no".to_owned(), code: 2 }),
        flags: 1,
        ..Span::default()
    };
    let mut expected = Span {
        trace_state: String::new(),
        links: vec![link(""), link("")],
        status: Some(Status { message: String::new(), code: 2 }),
        ..span.clone()
    };
    expected.attributes.push(text("otel.status_description", "no"));
    expected.attributes.extend(stamp());
    assert_eq!(through(Kind::Span, &span), expected);
    let record = incoming(Kind::Span, &span.encode_to_vec()).unwrap();
    assert_eq!(record.uid.unwrap(), format!("{}-{}", "01".repeat(16), "02".repeat(8)));
    assert_eq!(record.unread, 2, "its own trace state and that of a link");
    let links: Vec<bool> = record.parts.iter().map(|part| part.is_link).collect();
    assert_eq!((links, record.sets.len()), (vec![false, false, true, true], 5));
}

/// Every kind of data, with everything that its points may hold.
fn every_data() -> Vec<Data> {
    let attributes = vec![text("mode", "x")];
    let number = NumberDataPoint {
        attributes: attributes.clone(),
        start_time_unix_nano: 1,
        time_unix_nano: 2,
        exemplars: vec![exemplar()],
        flags: 1,
        value: Some(number_data_point::Value::AsInt(-4)),
    };
    let double =
        NumberDataPoint { value: Some(number_data_point::Value::AsDouble(0.5)), ..number.clone() };
    let histogram = HistogramDataPoint {
        attributes: attributes.clone(),
        start_time_unix_nano: 1,
        time_unix_nano: 2,
        count: 3,
        sum: Some(1.5),
        bucket_counts: vec![1, 2],
        explicit_bounds: vec![0.5],
        exemplars: vec![exemplar()],
        flags: 1,
        min: Some(0.1),
        max: Some(1.0),
    };
    let buckets = |counts: &[u64]| Some(Buckets { offset: -2, bucket_counts: counts.to_vec() });
    let exponential = ExponentialHistogramDataPoint {
        attributes: attributes.clone(),
        start_time_unix_nano: 1,
        time_unix_nano: 2,
        count: 3,
        sum: Some(1.5),
        scale: -1,
        zero_count: 1,
        positive: buckets(&[1, 300]),
        negative: buckets(&[1]),
        flags: 1,
        exemplars: vec![exemplar()],
        min: Some(0.1),
        max: Some(1.0),
        zero_threshold: 0.01,
    };
    let summary = SummaryDataPoint {
        attributes,
        start_time_unix_nano: 1,
        time_unix_nano: 2,
        count: 3,
        sum: 1.5,
        quantile_values: vec![ValueAtQuantile { quantile: 0.5, value: 1.0 }],
        flags: 1,
    };
    vec![
        Data::Gauge(Gauge { data_points: vec![number.clone(), double] }),
        Data::Sum(Sum {
            data_points: vec![number],
            aggregation_temporality: 2,
            is_monotonic: true,
        }),
        Data::Histogram(Histogram { data_points: vec![histogram], aggregation_temporality: 1 }),
        Data::ExponentialHistogram(ExponentialHistogram {
            data_points: vec![exponential],
            aggregation_temporality: 1,
        }),
        Data::Summary(Summary { data_points: vec![summary] }),
    ]
}

/// What of the exemplars does not pass.
fn without_filtered(data: Data) -> Data {
    let mut data = data;
    let clean = |exemplars: &mut Vec<Exemplar>| {
        for exemplar in exemplars {
            exemplar.filtered_attributes.clear();
        }
    };
    match &mut data {
        Data::Gauge(gauge) => gauge.data_points.iter_mut().for_each(|p| clean(&mut p.exemplars)),
        Data::Sum(sum) => sum.data_points.iter_mut().for_each(|p| clean(&mut p.exemplars)),
        Data::Histogram(all) => all.data_points.iter_mut().for_each(|p| clean(&mut p.exemplars)),
        Data::ExponentialHistogram(all) => {
            all.data_points.iter_mut().for_each(|p| clean(&mut p.exemplars));
        }
        Data::Summary(_) => {}
    }
    data
}

#[test]
fn every_kind_of_metric_keeps_its_numbers_and_its_exemplars_trace() {
    for data in every_data() {
        let metric = Metric {
            name: "shop.orders".to_owned(),
            description: "free text".to_owned(),
            unit: "{order}".to_owned(),
            metadata: vec![text("a", "b")],
            data: Some(data.clone()),
        };
        let expected = Metric {
            description: String::new(),
            metadata: stamp().into(),
            data: Some(without_filtered(data)),
            ..metric.clone()
        };
        assert_eq!(through(Kind::Metric, &metric), expected);
        let points = expected.data.map(|data| match data {
            Data::Gauge(gauge) => gauge.data_points.len(),
            Data::Summary(_) => 0,
            _ => 1,
        });
        let record = incoming(Kind::Metric, &metric.encode_to_vec()).unwrap();
        let metadata = 1;
        assert_eq!(Some(record.unread as usize), points.map(|exemplars| exemplars + metadata));
    }
}

#[test]
fn an_event_without_a_message_is_one_all_the_same() {
    let fields = [("n", 3), (keys::SEQ, 7)].map(|(key, n)| Given::new(key.into(), Value::Int(n)));
    let ids = (Some([1; 16]), Some([2; 8]));
    let event = event("shop.order".to_owned(), fields.into(), UnixNanos(5), ids);
    let bytes = encode(&Record::Provided(Box::new(event)), &STAMP);
    let log = LogRecord::decode(bytes.as_slice()).unwrap();
    assert_eq!((log.time_unix_nano, log.severity_number), (5, 9));
    assert_eq!((log.trace_id, log.span_id), (vec![1; 16], vec![2; 8]));
    assert_eq!(log.attributes, [&[int("n", 3)][..], &stamp()].concat());
}

#[test]
fn what_is_ours_is_never_taken_from_a_program_but_for_an_id_of_its_own() {
    let id = "01890000-0000-7000-8000-000000000001";
    let mut log = log();
    log.attributes =
        vec![int(keys::SEQ, 7), int(keys::LEVEL, 0), text(keys::BOOT_ID, "x"), text(keys::UID, id)];
    let record = incoming(Kind::Log, &log.encode_to_vec()).unwrap();
    assert_eq!((record.sets[0].len(), record.uid.as_deref()), (0, Some(id)));
    for odd in ["short", "an id with spaces in it", &"x".repeat(65)] {
        log.attributes = vec![text(keys::UID, odd)];
        assert_eq!(incoming(Kind::Log, &log.encode_to_vec()).unwrap().uid, None, "{odd}");
    }
}

#[test]
fn no_text_hides_in_what_passes_as_it_is() {
    let canary = b"canary-of-someone";
    let mut record = log().encode_to_vec();
    // Ids of another length, and fields that nobody knows.
    for number in [4_u8, 9, 10, 13, 14, 15] {
        crate::wire::push_bytes(number, canary, &mut record);
    }
    let parsed = incoming(Kind::Log, &record).unwrap();
    let bytes = encode(&Record::Provided(Box::new(parsed)), &STAMP);
    assert!(!bytes.windows(canary.len()).any(|window| window == canary));
    for number in [1_u8, 2, 7, 8, 11] {
        let mut record = log().encode_to_vec();
        crate::wire::push_bytes(number, canary, &mut record);
        assert!(incoming(Kind::Log, &record).is_err(), "a text where a number stands: {number}");
    }
}

#[test]
fn a_record_beyond_a_bound_is_unfit_and_says_which() {
    let attributes = |count: usize| LogRecord {
        attributes: (0..count).map(|n| int(&format!("k{n}"), 1)).collect(),
        ..LogRecord::default()
    };
    assert!(incoming(Kind::Log, &attributes(128).encode_to_vec()).is_ok());
    let mut deep = AnyValue { value: Some(any_value::Value::BoolValue(true)) };
    for _ in 0..20 {
        deep = AnyValue {
            value: Some(any_value::Value::ArrayValue(ArrayValue { values: vec![deep] })),
        };
    }
    let long = |n: usize| LogRecord { event_name: "x".repeat(n), ..LogRecord::default() };
    let gauge = Gauge { data_points: vec![NumberDataPoint::default(); 1_001] };
    let metric = Metric { data: Some(Data::Gauge(gauge)), ..Metric::default() };
    let wide = LogRecord {
        body: Some(AnyValue {
            value: Some(any_value::Value::ArrayValue(ArrayValue {
                values: vec![AnyValue { value: Some(any_value::Value::BoolValue(true)) }; 9_000],
            })),
        }),
        ..LogRecord::default()
    };
    for (kind, bytes, said) in [
        (Kind::Log, attributes(129).encode_to_vec(), "128 attributes"),
        (
            Kind::Log,
            LogRecord { body: Some(deep), ..LogRecord::default() }.encode_to_vec(),
            "8 deep",
        ),
        (Kind::Log, long(257).encode_to_vec(), "256 bytes"),
        (Kind::Log, vec![0; MAX_RECORD + 1], "64 KiB"),
        (Kind::Metric, metric.encode_to_vec(), "1000 points"),
        (Kind::Log, wide.encode_to_vec(), "8192 values"),
    ] {
        let error = incoming(kind, &bytes).unwrap_err();
        assert!(matches!(error, Unfit::TooLarge { .. }), "{error:?}");
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[test]
fn a_text_that_is_no_utf8_fails_the_request() {
    let mut record = Vec::new();
    crate::wire::push_bytes(12, b"\xff\xfe", &mut record);
    let error = incoming(Kind::Log, &record).unwrap_err();
    assert_eq!(error.to_string(), "the name is no UTF-8; OTLP's texts are");
}

fn request(records: &[LogRecord]) -> Vec<u8> {
    let scope = InstrumentationScope {
        name: "http".to_owned(),
        version: "1".to_owned(),
        ..InstrumentationScope::default()
    };
    let scope_logs = vec![
        ScopeLogs { scope: Some(scope), log_records: records.to_vec(), ..ScopeLogs::default() },
        ScopeLogs::default(),
    ];
    let resource =
        Resource { attributes: vec![text("service.name", "shop")], ..Resource::default() };
    let group = ResourceLogs { resource: Some(resource), scope_logs, ..ResourceLogs::default() };
    ExportLogsServiceRequest { resource_logs: vec![group, ResourceLogs::default()] }.encode_to_vec()
}

#[test]
fn a_request_is_grouped_by_resource_and_scope_and_empty_groups_are_left_out() {
    let bytes = request(&[log(), log()]);
    let groups = groups(&bytes).unwrap();
    let [group] = groups.as_slice() else { panic!("one group") };
    assert_eq!(*group.resource, [("service.name", Value::from("shop"))]);
    assert_eq!((group.scope, group.scope_version, group.records.len()), ("http", "1", 2));
    assert_eq!(group.records[1], log().encode_to_vec());
}

#[test]
fn the_scopes_of_a_resource_share_it() {
    let scope = ScopeLogs { log_records: vec![log()], ..ScopeLogs::default() };
    let resource =
        Resource { attributes: vec![text("service.name", "shop")], ..Resource::default() };
    let scope_logs = vec![scope; 3];
    let group = ResourceLogs { resource: Some(resource), scope_logs, ..ResourceLogs::default() };
    let bytes =
        ExportLogsServiceRequest { resource_logs: vec![group.clone(), group] }.encode_to_vec();
    let groups = groups(&bytes).unwrap();
    let is_shared = |pair: &[Group<'_>]| Rc::ptr_eq(&pair[0].resource, &pair[1].resource);
    let shared: Vec<bool> = groups.windows(2).map(is_shared).collect();
    assert_eq!(shared, [true, true, false, true, true]);
}

#[test]
fn what_the_long_way_counts_is_no_plain_record() {
    let is_plain = |record: &[u8]| plain(record, &mut candor_model::Plain::new());
    let bytes = log().encode_to_vec();
    assert!(is_plain(&bytes));
    let with = |number: u8, part: &[u8], times: usize| {
        let mut bytes = bytes.clone();
        for _ in 0..times {
            crate::wire::push_bytes(number, part, &mut bytes);
        }
        bytes
    };
    let reserved = text("candor.level", "x").encode_to_vec();
    assert!(is_plain(&with(6, &reserved, 126)));
    assert!(!is_plain(&with(6, &reserved, 127)), "reserved keys");
    assert!(!is_plain(&with(6, &[], 127)), "no values");
    assert!(!is_plain(&with(5, &[], 1)), "a second body");
    let twice = [text("a", "b").encode_to_vec(), vec![0x12, 0]].concat();
    assert!(!is_plain(&with(6, &twice, 1)), "a second value");
}

#[test]
fn more_records_than_one_request_may_hold_are_refused_before_they_are_read() {
    let mut scope = Vec::new();
    for _ in 0..=MAX_RECORDS {
        crate::wire::push_bytes(2, &[], &mut scope);
    }
    let (mut group, mut bytes) = (Vec::new(), Vec::new());
    crate::wire::push_bytes(2, &scope, &mut group);
    crate::wire::push_bytes(1, &group, &mut bytes);
    assert!(matches!(groups(&bytes), Err(DecodeError::TooManyRecords)));
}

/// Valid messages with a few bytes changed, cut off, or repeated.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let mut seeds = vec![log().encode_to_vec(), request(&[log()])];
    seeds.extend(
        every_data()
            .into_iter()
            .map(|data| Metric { data: Some(data), ..Metric::default() }.encode_to_vec()),
    );
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8);
    (prop::sample::select(seeds), changes, any::<prop::sample::Index>()).prop_map(
        |(mut bytes, changes, cut)| {
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes.truncate(cut.index(bytes.len() + 1).max(bytes.len() / 2));
            bytes
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_taken_apart_without_trouble_and_what_comes_out_is_valid(
        bytes in prop_oneof![prop::collection::vec(any::<u8>(), 0..300), mutated()]
    ) {
        if let Ok(groups) = groups(&bytes) {
            prop_assert!(groups.iter().map(|group| group.records.len()).sum::<usize>() <= bytes.len());
        }
        for kind in Kind::ALL {
            let Ok(record) = incoming(kind, &bytes) else { continue };
            let encoded = encode(&Record::Provided(Box::new(record)), &STAMP);
            let read = crate::decode_body(kind, &encoded);
            prop_assert!(read.is_ok(), "{kind:?} {:?}", read.err());
            prop_assert!(encoded.len() <= 20 * bytes.len() + 256);
        }
    }
}

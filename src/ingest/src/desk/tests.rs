//! The short way of a plain record beside the long one.

use std::sync::LazyLock;

use candor_otlp::plain;
use candor_policy::{ProviderFile, ProviderFiles};
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, KeyValueList, any_value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use proptest::prelude::*;
use prost::Message as _;

use super::*;

const MANIFEST: &str = r#"
name = "shop"
doc = "x"
peer = "any"
service_name = ["shop"]
hide_ids = true
sensitive = ["pin"]
opt_out = { attributes = { "telemetry" = ["no"] } }
[[event]]
name = "shop.order"
level = 1
purpose = "x"
doc = "x"
max_bytes = 600
[event.fields]
"ok" = { type = "bool", class = "software", doc = "x" }
"count" = { type = "int", class = "performance", level = 2, doc = "x" }
"duration" = { type = "double", class = "performance", doc = "x" }
"route" = { type = "text", class = "software", format = "name", doc = "x" }
"telemetry" = { type = "text", class = "software", format = "name", doc = "x" }
"mode" = { type = "text", class = "software", words = ["fast", "slow"], doc = "x" }
"said" = { type = "text", class = "diagnostic text", level = 3, doc = "x" }
"hidden" = { type = "text", class = "diagnostic text", sensitive = true, doc = "x" }
"more" = { type = "map", class = "diagnostic text", doc = "x" }
"body" = { type = "text", class = "diagnostic text", doc = "x" }
[[event]]
name = "shop.part"
level = 1
sample = 0.5
purpose = "x"
doc = "x"
"#;

static REGISTRY: LazyLock<Registry> = LazyLock::new(|| {
    let local = vec![ProviderFile {
        file: "providers.d/shop.toml".to_owned(),
        text: Ok(MANIFEST.to_owned()),
    }];
    let switches = [("application".to_owned(), true), ("shop".to_owned(), true)].into();
    let files = ProviderFiles { shipped: None, local, switches: Ok(switches) };
    let registry = Registry::new(&files, &[], None);
    assert_eq!(registry.broken(), []);
    registry
});

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "",
            "fast",
            "slow",
            "no",
            "/cart",
            "to a@example.org",
            "token=abc",
            "10.0.0.1",
            "0f8fad5b-d9cb-469f-a165-70867728950e",
            "bob was here",
            "9e3779b97f4a7c15",
        ])
        .prop_map(str::to_owned),
        "[a-z /.:=@-]{0,30}",
        any::<String>(),
    ]
}

fn value() -> impl Strategy<Value = AnyValue> {
    use any_value::Value::{
        BoolValue, BytesValue, DoubleValue, IntValue, KvlistValue, StringValue,
    };
    let value = prop_oneof![
        4 => text().prop_map(StringValue),
        1 => any::<bool>().prop_map(BoolValue),
        2 => any::<i64>().prop_map(IntValue),
        2 => any::<f64>().prop_map(DoubleValue),
        1 => Just(BytesValue(vec![1])),
        1 => text().prop_map(|text| {
            let value = Some(AnyValue { value: Some(StringValue(text)) });
            let pair = KeyValue { key: "apiKey".to_owned(), value, ..KeyValue::default() };
            KvlistValue(KeyValueList { values: vec![pair] })
        }),
    ];
    prop::option::weighted(0.95, value).prop_map(|value| AnyValue { value })
}

fn attribute() -> impl Strategy<Value = KeyValue> {
    let key = prop::sample::select(vec![
        "ok",
        "count",
        "duration",
        "route",
        "mode",
        "said",
        "hidden",
        "more",
        "body",
        "telemetry",
        "other",
        "_private",
        "user.pin",
        "candor.level",
        "log.record.uid",
        "a@b.example",
        "user.token",
        "bob",
    ]);
    (key, prop::option::weighted(0.95, value())).prop_map(|(key, value)| KeyValue {
        key: key.to_owned(),
        value,
        ..KeyValue::default()
    })
}

/// Fields that the manifest would take as they are, now and then.
fn ordinary() -> impl Strategy<Value = KeyValue> {
    use any_value::Value::{BoolValue, DoubleValue, IntValue, StringValue};
    let pair = |key: &str, value| KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    };
    prop_oneof![
        any::<bool>().prop_map(move |truth| pair("ok", BoolValue(truth))),
        any::<i64>().prop_map(move |number| pair("count", IntValue(number))),
        (-1e9..1e9).prop_map(move |number| pair("duration", DoubleValue(number))),
        "[a-z/]{1,20}".prop_map(move |text| pair("route", StringValue(text))),
        "[a-z ]{0,40}".prop_map(move |text| pair("said", StringValue(text))),
        "no|yes".prop_map(move |text| pair("telemetry", StringValue(text))),
    ]
}

fn log() -> impl Strategy<Value = LogRecord> {
    let name = prop::sample::select(vec!["shop.order", "shop.order", "shop.part", "", "bob"]);
    let severity = prop::sample::select(vec!["", "INFO", "no word"]);
    let attributes = prop_oneof![
        prop::collection::vec(attribute(), 0..5),
        prop::collection::vec(ordinary(), 0..9),
    ];
    let trace = prop::sample::select(vec![0, 16, 3]);
    let numbers = (any::<u64>(), any::<u64>(), 0..25_i32);
    let body = prop_oneof![Just(None), value().prop_map(Some)];
    (name, severity, body, attributes, trace, numbers).prop_map(
        |(name, severity, body, attributes, trace, (time, observed, number))| LogRecord {
            time_unix_nano: time,
            observed_time_unix_nano: observed,
            severity_number: number,
            severity_text: severity.to_owned(),
            body,
            attributes,
            trace_id: vec![7; trace],
            event_name: name.to_owned(),
            ..LogRecord::default()
        },
    )
}

const STAMP: (&str, UnixNanos) = ("0198b7b0-0000-7000-8000-000000000001", UnixNanos(5));

type Judged = Option<(Level, Vec<u8>)>;

fn short(provider: &Provider, door: &Door, bytes: &[u8], allowed: Level) -> Judged {
    let mut record = Plain::new();
    if !plain(bytes, &mut record) || !provider.leaves(&mut record, bytes.len()) {
        return None;
    }
    let level = door.leaves(&record, allowed)?;
    let stamp = Stamp { uid: record.uid.unwrap_or(STAMP.0), observed: STAMP.1, level };
    Some((level, encode_plain(&record, &stamp)))
}

fn long(provider: &Provider, door: &mut Door, bytes: &[u8], allowed: Level) -> Judged {
    let mut record = incoming(Kind::Log, bytes).ok()?;
    admit(provider, &mut record, bytes.len()).ok()?;
    let given = record.uid.take();
    let admitted = door.admit(Record::Provided(Box::new(record)), allowed)?;
    let level = admitted.level();
    let stamp = Stamp { uid: given.as_deref().unwrap_or(STAMP.0), observed: STAMP.1, level };
    Some((level, encode(admitted.record(), &stamp)))
}

#[test]
fn an_ordinary_record_takes_the_short_way() {
    let provider = REGISTRY.provider("shop").unwrap();
    let text =
        |text: &str| Some(AnyValue { value: Some(any_value::Value::StringValue(text.to_owned())) });
    let route =
        KeyValue { key: "route".to_owned(), value: text("cart/items"), ..KeyValue::default() };
    let body = text("handled a request in the ordinary way: attempt 2");
    let log = LogRecord {
        event_name: "shop.order".to_owned(),
        body,
        attributes: vec![route],
        ..LogRecord::default()
    };
    let mut door = Door::new(Scrubber::new(vec!["bob".to_owned()]));
    let bytes = log.encode_to_vec();
    let taken = short(provider, &door, &bytes, Level::Basic);
    assert!(taken.is_some());
    assert_eq!(taken, long(provider, &mut door, &bytes, Level::Basic));
    assert_eq!(short(provider, &door, &bytes, Level::Security), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn what_takes_the_short_way_is_what_the_long_way_gives(
        log in log(),
        damage in prop::option::weighted(0.1, (any::<usize>(), any::<u8>())),
        allowed in prop::sample::select(Level::ALL.to_vec()),
    ) {
        let mut bytes = log.encode_to_vec();
        if let (Some((at, byte)), false) = (damage, bytes.is_empty()) {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        for name in ["shop", "application"] {
            let provider = REGISTRY.provider(name).unwrap();
            let mut door = Door::new(Scrubber::new(vec!["bob".to_owned()]));
            if let Some(taken) = short(provider, &door, &bytes, allowed) {
                prop_assert_eq!(Some(taken), long(provider, &mut door, &bytes, allowed), "{}", name);
                prop_assert_eq!(door.scrubbed().total(), 0);
            }
        }
    }
}

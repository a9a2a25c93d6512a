//! What a sender should send: every signal, every encoding, in pieces, twice, while the server stops.

use candor_model::Kind;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, Gauge, Metric, NumberDataPoint, exemplar, metric::Data, number_data_point,
};
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::json;

use crate::client::{envelope, gzip, head, logs, path, zstd};
use crate::server::{Running, query};

const TRACE: [u8; 16] = [0xab; 16];

fn row(message: &impl prost::Message) -> Vec<u8> {
    let mut row = vec![2 << 3 | 2];
    message.encode_length_delimited(&mut row).unwrap();
    row
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn span() -> Span {
    Span {
        name: "GET /".to_owned(),
        trace_id: TRACE.to_vec(),
        span_id: vec![1; 8],
        start_time_unix_nano: 1_700_000_000_000_000_000,
        end_time_unix_nano: 1_700_000_000_000_000_500,
        ..Span::default()
    }
}

/// A metric's row whose exemplar names a trace.
pub(crate) fn metric_of_trace(trace: [u8; 16]) -> Vec<u8> {
    let exemplars = vec![Exemplar { trace_id: trace.to_vec(), ..Exemplar::default() }];
    let data_points = vec![NumberDataPoint { exemplars, ..NumberDataPoint::default() }];
    row(&Metric { data: Some(Data::Gauge(Gauge { data_points })), ..Metric::default() })
}

fn metric() -> Metric {
    let point = NumberDataPoint {
        time_unix_nano: 1_700_000_000_000_000_000,
        attributes: vec![text("state", "used")],
        value: Some(number_data_point::Value::AsInt(7)),
        ..NumberDataPoint::default()
    };
    Metric {
        name: "system.memory.usage".to_owned(),
        unit: "By".to_owned(),
        data: Some(Data::Gauge(Gauge { data_points: vec![point] })),
        ..Metric::default()
    }
}

#[tokio::test]
async fn every_encoding_is_accepted_and_answered_with_the_otlp_response() {
    let server = Running::start().await;
    let mut client = server.client().await;
    let plain = |seq| logs("h1", [seq]);
    for (encoding, body) in [
        ("", plain(1)),
        ("identity", plain(2)),
        ("gzip", gzip(&plain(3))),
        ("zstd", zstd(&plain(4))),
        ("ZSTD", zstd(&plain(5))),
        ("gzip", [gzip(&plain(6)[..40]), gzip(&plain(6)[40..])].concat()),
    ] {
        let answer = client.post(Kind::Log, encoding, &body).await.unwrap();
        assert_eq!((answer.status, answer.body.len()), (200, 0), "{encoding}: {}", answer.text());
        assert!(answer.headers.contains("content-type: application/x-protobuf"), "{answer:?}");
    }
    let seqs: Vec<_> = server.records().iter().map(|record| record["seq"].clone()).collect();
    assert_eq!(seqs, [1, 2, 3, 4, 5, 6]);
}

#[tokio::test]
async fn a_record_comes_out_as_it_went_in() {
    let server = Running::start().await;
    let mut client = server.client().await;
    assert_eq!(client.post(Kind::Log, "", &logs("h1", [1])).await.unwrap().status, 200);
    let [record] = &server.records()[..] else { panic!("one record") };
    let expected = json!({
        "install_id": "h1", "boot_id": "boot-1", "seq": 1, "uid": "h1-1", "level": 0,
        "kind": "log", "name": "candor.agent.settings", "time": "2023-11-14T22:13:20.000000001Z",
        "attributes": record["attributes"], "received": record["received"],
    });
    assert_eq!(record, &expected);
    assert_eq!(record["attributes"]["level"], 2);
    assert!(record["received"].as_str().unwrap().ends_with('Z'), "{record}");
}

#[tokio::test]
async fn a_metric_keeps_its_unit_and_points_and_a_trace_is_found_by_its_id() {
    let server = Running::start().await;
    let mut client = server.client().await;
    let log = LogRecord { trace_id: TRACE.to_vec(), time_unix_nano: 5, ..LogRecord::default() };
    for (kind, row) in
        [(Kind::Metric, row(&metric())), (Kind::Span, row(&span())), (Kind::Log, row(&log))]
    {
        let answer = client.post(kind, "", &envelope(kind, "h1", &row)).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let metrics = query(server.dir.path(), &["records", "--json", "--name", "system.memory.usage"]);
    let [metric] = &metrics[..] else { panic!("one metric") };
    assert_eq!((&metric["kind"], &metric["unit"]), (&json!("metric"), &json!("By")));
    assert_eq!(metric["points"][0]["value"], 7);
    assert_eq!(metric["points"][0]["attributes"], json!({ "state": "used" }));

    let trace = query(server.dir.path(), &["trace", "--json", &"AB".repeat(16)]);
    let kinds: Vec<_> = trace.iter().map(|record| record["kind"].clone()).collect();
    assert_eq!(kinds, ["log", "span"], "in the order of time");
}

#[tokio::test]
async fn a_metric_is_found_by_the_trace_of_its_exemplar_once_and_like_the_other_records() {
    let server = Running::start().await;
    let mut client = server.client().await;
    let measured = |trace: &[u8]| Exemplar {
        trace_id: trace.to_vec(),
        span_id: vec![1; 8],
        time_unix_nano: 4,
        filtered_attributes: vec![text("who", "me")],
        value: Some(exemplar::Value::AsInt(7)),
    };
    let point = |time, traces: &[&[u8]]| NumberDataPoint {
        time_unix_nano: time,
        exemplars: traces.iter().copied().map(measured).collect(),
        ..NumberDataPoint::default()
    };
    // Named twice in one point and again in another; one of another trace; one of none, and a broken one.
    let points = [
        point(5, &[&TRACE, &TRACE, &[1; 16]]),
        point(6, &[&TRACE, &[], &[0xab; 15]]),
        point(4, &[]),
    ];
    let data = Data::Gauge(Gauge { data_points: points.into() });
    let named = Metric { name: "m".to_owned(), data: Some(data), ..Metric::default() };
    let log =
        |time| LogRecord { trace_id: TRACE.to_vec(), time_unix_nano: time, ..LogRecord::default() };
    let logs = [row(&log(5)), row(&log(7))].concat();
    for _ in 0..2 {
        for (kind, rows) in
            [(Kind::Metric, row(&named)), (Kind::Metric, row(&metric())), (Kind::Log, logs.clone())]
        {
            let answer = client.post(kind, "", &envelope(kind, "h1", &rows)).await.unwrap();
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
    }
    let found = |trace: &str| query(server.dir.path(), &["trace", "--json", trace]);
    let trace = found(&"ab".repeat(16));
    let kinds: Vec<_> = trace.iter().map(|record| record["kind"].clone()).collect();
    assert_eq!(kinds, ["log", "metric", "log"], "in the order of time");
    let point = &trace[1]["points"][0];
    assert_eq!(point["exemplars"].as_array().unwrap().len(), 3);
    let first = json!({
        "time": "1970-01-01T00:00:00.000000004Z", "value": 7, "trace_id": "ab".repeat(16),
        "span_id": "01".repeat(8), "attributes": { "who": "me" },
    });
    assert_eq!(point["exemplars"][0], first);
    assert_eq!(trace[1]["points"][2].get("exemplars"), None);
    assert_eq!(found(&"01".repeat(16)).len(), 1);
    assert_eq!(found(&"02".repeat(16)).len(), 0);
}

#[tokio::test]
async fn what_is_sent_twice_is_stored_once() {
    let server = Running::start().await;
    let mut client = server.client().await;
    let foreign = [LogRecord::default(), LogRecord::default()].map(|log| row(&log)).concat();
    for _ in 0..2 {
        for body in [logs("h1", 1..=3), logs("h1", 2..=4), envelope(Kind::Log, "f", &foreign)] {
            assert_eq!(client.post(Kind::Log, "", &body).await.unwrap().status, 200);
        }
    }
    let records = server.records();
    let of = |host| records.iter().filter(|record| record["install_id"] == host).count();
    assert_eq!((of("h1"), of("f")), (4, 2), "two equal records of one request are two");
}

#[tokio::test]
async fn one_host_cannot_take_anothers_ids() {
    let server = Running::start().await;
    let mut client = server.client().await;
    let mut thief = logs("h1", [1]);
    // The same length, so that the bytes around it stay right: the resource says another host.
    let place = thief.windows(2).position(|window| window == b"h1").unwrap();
    thief[place..place + 2].copy_from_slice(b"h2");
    for body in [thief, logs("h1", [1])] {
        assert_eq!(client.post(Kind::Log, "", &body).await.unwrap().status, 200);
    }
    let owners: Vec<_> =
        server.records().iter().map(|record| record["install_id"].clone()).collect();
    assert_eq!(owners, ["h1", "h2"]);
}

#[tokio::test]
async fn hosts_and_gaps_say_what_arrived_and_what_did_not() {
    let server = Running::start().await;
    let mut client = server.client().await;
    for body in [logs("h2", [3, 4, 9]), logs("h1", 1..=2)] {
        assert_eq!(client.post(Kind::Log, "", &body).await.unwrap().status, 200);
    }
    let hosts = query(server.dir.path(), &["hosts", "--json"]);
    let facts: Vec<_> = hosts
        .iter()
        .map(|host| json!([host["install_id"], host["level"], host["version"], host["os"]]))
        .collect();
    assert_eq!(
        facts,
        [
            json!(["h1", 2, "9.9.9", "Debian GNU/Linux 12"]),
            json!(["h2", 2, "9.9.9", "Debian GNU/Linux 12"])
        ]
    );
    let gaps = query(server.dir.path(), &["gaps", "--json"]);
    let gap = |first, last, count| json!({ "install_id": "h2", "first": first, "last": last, "count": count, "cause": null });
    let sums = json!({
        "install_id": "h2", "missing": 6, "undeclared": 6, "declared": {}, "ledger": null,
        "agrees": null,
    });
    assert_eq!(gaps, [gap(1, 2, 2), gap(5, 8, 4), sums]);
}

#[tokio::test]
async fn records_come_by_host_and_number_however_they_arrived() {
    let server = Running::start().await;
    let mut client = server.client().await;
    for body in [logs("h2", [2]), logs("h1", [10]), logs("h2", [1]), logs("h1", [9])] {
        assert_eq!(client.post(Kind::Log, "", &body).await.unwrap().status, 200);
    }
    let order: Vec<_> =
        server.records().iter().map(|record| record["uid"].as_str().unwrap().to_owned()).collect();
    assert_eq!(order, ["h1-9", "h1-10", "h2-1", "h2-2"]);
    let one = query(server.dir.path(), &["records", "--json", "--host", "h2"]);
    assert_eq!(one.len(), 2);
    let none = ["records", "--json", "--host", "h2", "--name", "candor.device"];
    assert!(query(server.dir.path(), &none).is_empty());
}

#[tokio::test]
async fn a_request_in_single_bytes_is_a_request() {
    let server = Running::start().await;
    let mut client = server.client().await;
    let body = zstd(&logs("h1", [1]));
    let head = head(path(Kind::Log), "application/x-protobuf; charset=x", "zstd", body.len());
    for byte in [head, body].concat() {
        client.send(&[byte]).await.unwrap();
    }
    assert_eq!(client.answer().await.unwrap().status, 200);
    assert_eq!(server.records().len(), 1);
}

#[tokio::test]
async fn many_hosts_at_once_are_all_stored() {
    let server = Running::start().await;
    let mut tasks = tokio::task::JoinSet::new();
    for host in 0..24 {
        let mut client = server.client().await;
        tasks.spawn(async move {
            for seq in 1..=4 {
                let body = zstd(&logs(&format!("h{host}"), [seq]));
                assert_eq!(client.post(Kind::Log, "zstd", &body).await.unwrap().status, 200);
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    assert_eq!(server.records().len(), 24 * 4);
    assert!(query(server.dir.path(), &["gaps", "--json"]).is_empty());
}

#[tokio::test]
async fn a_stopping_server_finishes_what_is_under_way_and_closes_the_store() {
    let server = Running::start().await;
    let (mut busy, mut idle) = (server.client().await, server.client().await);
    // Answered once, so that both connections are known to be at HTTP.
    for (client, seq) in [(&mut busy, 1), (&mut idle, 2)] {
        assert_eq!(client.post(Kind::Log, "", &logs("h1", [seq])).await.unwrap().status, 200);
    }
    let body = logs("h1", [3]);
    // `Expect` makes the server say that it has begun to read the request.
    let expect = format!(
        "POST /v1/logs HTTP/1.1\r\nHost: l\r\nContent-Type: application/x-protobuf\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    busy.send(expect.as_bytes()).await.unwrap();
    assert_eq!(busy.answer().await.unwrap().status, 100);
    server.stop.send(()).unwrap();
    assert!(idle.answer().await.is_err(), "the idle connection is closed, so the stop has begun");
    busy.send(&body).await.unwrap();
    assert_eq!(busy.answer().await.unwrap().status, 200);
    server.task.await.unwrap();

    assert!(!server.dir.path().join("collector.db-wal").exists(), "the store was closed in order");
    assert_eq!(query(server.dir.path(), &["records", "--json"]).len(), 3);
}

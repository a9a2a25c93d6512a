//! Local programs speak OTLP to a real agent: what their manifest admits is at the collector, what it does
//! not is counted and said, and what was acknowledged is never lost.

use candor_tests::{Agent, Collector, Program, Settings, eventually, export, text};
use serde_json::{Value, json};

use crate::delivery::assert_balanced;

mod callers;
#[cfg(target_os = "linux")]
mod hostile;
mod kills;
mod pressure;

/// A shop that tells its orders at level 2, and their detail at level 3.
pub(crate) const SHOP: &str = r#"
name = "shop"
doc = "A shop."
peer = "any"
service_name = ["shop"]
rate = { peer = 1000000.0, user = 1000000.0 }

[[event]]
name = "shop.order"
level = 2
purpose = "to test"
doc = "An order."
[event.fields]
n = { type = "int", class = "software", doc = "Its number." }
note = { type = "text", class = "diagnostic text", doc = "What was said." }
body = { type = "text", class = "diagnostic text", doc = "What was said." }

[[event]]
name = "shop.detail"
level = 3
purpose = "to test"
doc = "A detail."

[[event]]
name = "shop.orders"
kind = "metric"
level = 2
purpose = "to test"
doc = "Orders."
[event.fields]
mode = { type = "text", class = "software", words = ["fast", "slow"], doc = "How." }

[[event]]
name = "shop.handle"
kind = "span"
level = 2
purpose = "to test"
doc = "Handling of an order."
"#;

/// An agent at a level that hears the shop on its socket.
pub(crate) fn agent(collector: &Collector, level: u8) -> Agent {
    let agent = prepared(collector, level);
    let mut agent = agent;
    agent.run();
    agent
}

/// The same, not yet running.
pub(crate) fn prepared(collector: &Collector, level: u8) -> Agent {
    let settings = Settings::to(collector, level).table("ingest", "socket = true");
    let agent = Agent::prepare(&settings);
    agent.write("etc/candor/providers.d/shop.toml", SHOP);
    agent
}

/// An order with an id of its own.
pub(crate) fn order(n: u64) -> Value {
    json!({
        "eventName": "shop.order", "timeUnixNano": "5", "severityNumber": 9,
        "attributes": [
            {"key": "n", "value": {"intValue": n.to_string()}},
            text("log.record.uid", &uid(n)),
        ],
    })
}

/// The id of an order.
pub(crate) fn uid(n: u64) -> String {
    format!("01890000-0000-7000-8000-{n:012x}")
}

fn named<'a>(records: &'a [Value], name: &str) -> Vec<&'a Value> {
    records.iter().filter(|record| record["name"] == name).collect()
}

/// What the agent counts of a provider.
fn provider(agent: &Agent, name: &str) -> Value {
    let told = agent.ctl(&["providers", "--json"]).json();
    let providers = told["providers"].as_array().unwrap();
    providers.iter().find(|provider| provider["name"] == name).cloned().unwrap()
}

const TRACE: &str = "5b8efff798038103d269b633813fc60c";

#[test]
fn logs_metrics_and_spans_of_a_program_arrive_with_its_resource_its_boot_and_their_trace() {
    let collector = Collector::start();
    let agent = agent(&collector, 2);
    let mut program = Program::reach(&agent.root());
    let mut log = order(1);
    log["traceId"] = TRACE.into();
    log["spanId"] = "eee19b7ec3c1b174".into();
    log["body"] = json!({"stringValue": "mail to eve@example.org"});
    let span = json!({
        "name": "shop.handle", "traceId": TRACE, "spanId": "eee19b7ec3c1b174", "kind": 2,
        "startTimeUnixNano": "5", "endTimeUnixNano": "7", "status": {"code": 2},
    });
    let exemplar = json!({"timeUnixNano": "6", "asInt": "1", "traceId": TRACE});
    let point = json!({
        "timeUnixNano": "6", "asInt": "3", "attributes": [text("mode", "fast")], "exemplars": [exemplar],
    });
    let sum = json!({"aggregationTemporality": 1, "isMonotonic": true, "dataPoints": [point]});
    let metric = json!({"name": "shop.orders", "unit": "{order}", "sum": sum});
    for (signal, record) in [("logs", log), ("traces", span), ("metrics", metric)] {
        let reply = program
            .post_json(&format!("/v1/{signal}"), &export(signal, "shop", &[record]))
            .unwrap();
        assert_eq!((reply.status, reply.text().as_str()), (200, "{}"), "{signal}");
    }
    agent.settle();

    let records = collector.records();
    let status = agent.status();
    assert_balanced(&status);
    for name in ["shop.order", "shop.handle", "shop.orders"] {
        let [record] = named(&records, name)[..] else { panic!("one {name}: {records:?}") };
        assert_eq!(record["level"], 2);
        assert_eq!(record["install_id"], status["install_id"], "{record}");
        assert_eq!(record["boot_id"], status["boot_id"], "{record}");
    }
    let log = named(&records, "shop.order")[0];
    assert_eq!(log["uid"], uid(1));
    assert_eq!(log["attributes"]["n"], 1);
    assert!(log.to_string().contains("mail to <email>") && !log.to_string().contains("eve@"));
    let trace = collector.trace(TRACE);
    let names: Vec<&str> = trace.iter().map(|record| record["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["shop.order", "shop.handle", "shop.orders"]);
    assert_eq!(trace[2]["points"][0]["exemplars"][0]["trace_id"], TRACE, "{}", trace[2]);
    assert_eq!(provider(&agent, "shop")["accepted"], 3);
}

#[test]
fn a_record_that_a_program_sends_again_is_at_the_collector_once_and_no_number_is_missing() {
    let collector = Collector::start();
    let agent = agent(&collector, 2);
    let mut program = Program::reach(&agent.root());
    // As exporters do that got no answer: the agent has committed it, and commits it under another number.
    for _ in 0..2 {
        let reply = program.post_json("/v1/logs", &export("logs", "shop", &[order(1)])).unwrap();
        assert_eq!((reply.status, reply.text().as_str()), (200, "{}"));
    }
    let reply = program.post_json("/v1/logs", &export("logs", "shop", &[order(2)])).unwrap();
    assert_eq!(reply.status, 200);
    agent.settle();
    let records = collector.records();
    assert_eq!(named(&records, "shop.order").len(), 2);
    let uploaded = agent.status()["events"]["uploaded"].as_u64().unwrap();
    assert_eq!(uploaded, records.len() as u64 + 1);
    assert_eq!(collector.gaps(), Vec::<Value>::new());
}

#[test]
fn what_the_manifest_or_the_level_does_not_admit_is_refused_by_count_and_reason() {
    let collector = Collector::start();
    let agent = agent(&collector, 2);
    let mut program = Program::reach(&agent.root());
    let mut extra = order(1);
    extra["attributes"].as_array_mut().unwrap().push(text("customer", "canary-of-eve"));
    let detail = json!({"eventName": "shop.detail"});
    let unknown = json!({"eventName": "shop.secret", "body": {"stringValue": "canary-of-eve"}});
    let request = export("logs", "shop", &[extra, detail, unknown.clone(), unknown]);
    let reply = program.post_json("/v1/logs", &request).unwrap();
    assert_eq!(reply.status, 200);
    let partial = &reply.json()["partialSuccess"];
    assert_eq!(partial["rejectedLogRecords"], "3");
    let words = partial["errorMessage"].as_str().unwrap();
    assert!(words.contains("2 refused (unknown_event)"), "{words}");
    assert!(words.contains("1 refused (level)"), "{words}");

    let stranger = export("logs", "nobody-knows-me", &[order(7)]);
    let reply = program.post_json("/v1/logs", &stranger).unwrap();
    let words = reply.json()["partialSuccess"]["errorMessage"].to_string();
    assert!(reply.status == 200 && words.contains("unknown_provider"), "{words}");

    let shop = provider(&agent, "shop");
    assert_eq!(
        (&shop["refused"]["unknown_event"], &shop["refused"]["level"]),
        (&2.into(), &1.into())
    );
    assert_eq!(shop["fields_refused"]["unknown_field"], 1);
    agent.settle();
    let records = collector.records();
    assert_eq!(named(&records, "shop.order").len(), 1);
    assert!(!records.iter().any(|record| record.to_string().contains("canary-of-eve")));
    assert!(named(&records, "shop.detail").is_empty() && named(&records, "shop.secret").is_empty());
}

#[test]
fn points_that_the_level_leaves_alike_are_counted_out() {
    let collector = Collector::start();
    let mut agent = prepared(&collector, 2);
    let words = "words = [\"fast\", \"slow\"]";
    assert!(SHOP.contains(words));
    let shop = SHOP.replace(words, &format!("{words}, level = 3"));
    agent.write("etc/candor/providers.d/shop.toml", &shop);
    agent.run();
    let mut program = Program::connect(&agent.root()).unwrap();
    let point =
        |mode: &str| json!({"timeUnixNano": "6", "asInt": "3", "attributes": [text("mode", mode)]});
    let mut tell = |points: &[Value]| {
        let sum = json!({"aggregationTemporality": 1, "isMonotonic": true, "dataPoints": points});
        let metric = json!({"name": "shop.orders", "sum": sum});
        program.post_json("/v1/metrics", &export("metrics", "shop", &[metric])).unwrap()
    };
    let partial = tell(&[point("fast"), point("slow")]).json()["partialSuccess"].clone();
    assert_eq!(partial["rejectedDataPoints"], "2");
    let words = partial["errorMessage"].as_str().unwrap();
    assert!(words.starts_with("2 refused (level): "), "{words}");
    assert_eq!(tell(&[point("fast")]).text(), "{}");
    agent.settle();
    let records = collector.records();
    let [record] = named(&records, "shop.orders")[..] else { panic!("one: {records:?}") };
    assert_eq!(record["points"][0]["attributes"], json!({}));
}

#[test]
fn an_acknowledged_record_survives_a_kill_that_follows_at_once() {
    let collector = Collector::start();
    let mut agent = prepared(&collector, 2);
    for round in 0..3 {
        agent.run();
        let mut program = Program::reach(&agent.root());
        let reply =
            program.post_json("/v1/logs", &export("logs", "shop", &[order(round)])).unwrap();
        assert_eq!(reply.status, 200);
        agent.kill();
    }
    agent.run();
    agent.settle();
    let mut uids: Vec<String> = named(&collector.records(), "shop.order")
        .iter()
        .map(|record| record["uid"].as_str().unwrap().to_owned())
        .collect();
    uids.sort();
    assert_eq!(uids, [uid(0), uid(1), uid(2)]);
}

#[test]
fn while_off_a_program_is_told_that_nothing_is_kept_and_nothing_is() {
    let collector = Collector::start();
    let agent = agent(&collector, 2);
    assert_eq!(agent.ctl(&["disable"]).code, Some(0));
    let mut program = Program::reach(&agent.root());
    let reply =
        program.post_json("/v1/logs", &export("logs", "shop", &[order(1), order(2)])).unwrap();
    let partial = &reply.json()["partialSuccess"];
    assert_eq!((reply.status, &partial["rejectedLogRecords"]), (200, &"2".into()));
    assert_eq!(partial["errorMessage"], "telemetry is off on this host: nothing was kept");
    assert_eq!(agent.status()["events"]["pending"], 0);
    assert_eq!(agent.ctl(&["enable"]).code, Some(0));
    agent.settle();
    assert!(named(&collector.records(), "shop.order").is_empty());
    let reply = program.post_json("/v1/logs", &export("logs", "shop", &[order(3)])).unwrap();
    assert_eq!((reply.status, reply.text().as_str()), (200, "{}"));
    agent.settle();
    assert_eq!(named(&collector.records(), "shop.order").len(), 1);
}

#[test]
fn the_ways_in_follow_the_configuration_and_are_shut_without_it() {
    let collector = Collector::start();
    let settings = Settings::to(&collector, 2);
    let agent = Agent::start(&settings);
    assert!(Program::connect(&agent.root()).is_err(), "off until it is configured");
    agent.configure(&settings.clone().table("ingest", "socket = true"));
    eventually("the socket is there", || Program::connect(&agent.root()).ok());
    agent.configure(&settings);
    eventually("the socket is gone", || Program::connect(&agent.root()).err());
    let beyond = settings.table("ingest", "otlp_http = \"0.0.0.0:4318\"");
    agent.configure(&beyond);
    let checked = agent.ctl(&["check"]);
    assert_eq!(checked.code, Some(78), "{checked:?}");
}

#[test]
fn whoever_hears_that_the_agent_is_ready_finds_the_ways_in_open() {
    let table = "socket = true\notlp_http = \"127.0.0.1:0\"";
    let mut agent = Agent::prepare(&Settings::level(2).table("ingest", table));
    agent.run();
    Program::connect(&agent.root()).expect("status answers, so the socket does");
    let at = |words: &str| agent.log().find(words);
    let ready = eventually("the service manager is told", || at(" ready"));
    let heard = at("local programs are heard");
    assert!(heard.is_some_and(|heard| heard < ready), "{}", agent.log());
}

#[test]
fn a_port_that_somebody_else_has_is_named_until_another_is_configured() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let collector = Collector::start();
    let settings = Settings::to(&collector, 2);
    let at =
        |address: &str| settings.clone().table("ingest", &format!("otlp_http = \"{address}\""));
    let agent = Agent::start(&at(&address));
    let trouble = || agent.ctl(&["providers", "--json"]).json()["ingest_trouble"].clone();
    eventually("the port is named", || trouble().as_str()?.contains(&address).then_some(()));
    let told = agent.ctl(&["providers"]);
    assert!(told.stdout.contains(&format!("heard on {address}: choose another")), "{told:?}");
    agent.configure(&at("127.0.0.1:0"));
    eventually("another port is had", || trouble().is_null().then_some(()));
    agent.configure(&at(&address));
    eventually("the port is named again", || trouble().as_str().map(drop));
    agent.configure(&settings);
    eventually("nothing is asked for", || trouble().is_null().then_some(()));
}

#[test]
fn an_event_on_the_control_endpoint_is_judged_and_kept_as_one_over_otlp() {
    let collector = Collector::start();
    let agent = agent(&collector, 2);
    let order = json!({"event": "shop.order", "attributes": {"n": 7, "customer": "canary-of-eve"},
                       "trace_id": TRACE});
    let request = json!({"records": [order, {"event": "shop.detail"}, {"event": "shop.secret"}]});
    let (status, answer) = agent.ask("POST", "/v1/emit", &request.to_string());
    assert_eq!((status, &answer["accepted"]), (200, &1.into()), "{answer}");
    let reasons: Vec<_> =
        answer["refused"].as_array().unwrap().iter().map(|one| &one["reason"]).collect();
    assert_eq!(reasons, ["level", "unknown_event"]);
    agent.settle();
    let records = collector.records();
    let [record] = named(&records, "shop.order")[..] else { panic!("one: {records:?}") };
    assert_eq!(record["attributes"]["n"], 7);
    assert!(!record.to_string().contains("canary-of-eve"));
    assert_eq!(collector.trace(TRACE).len(), 1);
    assert_eq!(agent.ctl(&["disable"]).code, Some(0));
    let (status, answer) = agent.ask("POST", "/v1/emit", &request.to_string());
    assert_eq!(
        (status, &answer["accepted"], &answer["refused"][2]["reason"]),
        (200, &0.into(), &"off".into())
    );
}

//! Every call there and back, and every way in which one is refused.
//!
//! # Invariants
//! - What a caller reads is what the service said, by the service's own types.
//!
//! On failure: panics, it is a test.

use std::time::Duration;

use candor_control::protocol::{
    Code, DisableRequest, EventsRequest, FlushRequest, JournalRequest, LevelRequest,
};
use candor_control::{Client, ClientError};
use candor_model::Level;
use candor_platform::Layout;

use crate::agent::with_server;

fn level(level: Level) -> LevelRequest {
    LevelRequest {
        level,
        hold_for: Some(Duration::from_hours(1)),
        reason: Some("a \"look\"".into()),
    }
}

#[tokio::test]
async fn every_call_goes_there_and_back() {
    with_server(async |bench| {
        let client = Client::connect(&bench.layout).await.unwrap();
        assert_eq!(client.status().await.unwrap().version, "0.1.0");
        assert_eq!(client.level().await.unwrap().name, "enhanced");
        assert_eq!(client.explain().await.unwrap().layers, []);
        assert_eq!(client.set_level(&level(Level::Basic)).await.unwrap().withdrawn, 7);
        assert!(client.enable().await.unwrap().enabled);
        let kept = DisableRequest { keep_pending: true };
        assert_eq!(client.disable(kept).await.unwrap().dropped, 3);
        assert_eq!(client.flush(FlushRequest::default()).await.unwrap().state, "ok");
        client.reload().await.unwrap();
        let done = bench.agent.done.borrow();
        let expected =
            ["level 1 Some(\"a \\\"look\\\"\")", "enable", "disable true", "flush false", "reload"];
        assert_eq!(*done, expected);
    })
    .await;
}

#[tokio::test]
async fn what_is_shown_goes_there_and_back_and_policy_can_forbid_it() {
    with_server(async |bench| {
        let request = EventsRequest { before: Some(9), ..EventsRequest::default() };
        assert_eq!(bench.client.events(&request).await.unwrap().next, Some(9));
        let event = bench.client.event(17).await.unwrap();
        assert_eq!((event.event.seq, event.event.state.as_str()), (17, "sent"));
        assert_eq!(event.event.content["attributes"]["a"], 1);
        let page = JournalRequest { before: Some(5), limit: Some(1) };
        assert_eq!(bench.client.journal(page).await.unwrap().next, Some(5));
        assert_eq!(bench.client.journal_body(300).await.unwrap(), 300_u64.to_le_bytes()[..]);
        let fetched = bench.client.fetch("/v1/journal/300/body").await.unwrap();
        assert_eq!(fetched.content_type, "application/octet-stream");
        bench.agent.locked.set(true);
        let error = bench.client.events(&request).await.unwrap_err();
        assert_eq!(error.exit_code(), 3);
        let answer = bench.request("GET /v1/events", "").await;
        assert!(
            answer.starts_with("HTTP/1.1 403") && answer.contains("refused_by_policy"),
            "{answer}"
        );
    })
    .await;
}

#[tokio::test]
async fn an_answer_is_fetched_as_it_came_and_a_fetch_changes_nothing() {
    with_server(async |bench| {
        let fetched = bench.client.fetch("/v1/status").await.unwrap();
        assert_eq!(fetched.content_type, "application/json");
        assert!(fetched.bytes.starts_with(b"{\"version\":\"0.1.0\""));
        let codes = [("/v1/weather", Code::NotFound), ("/v1/enable", Code::BadRequest)];
        for (path, code) in codes {
            let error = bench.client.fetch(path).await.unwrap_err();
            assert!(matches!(error, ClientError::Refused(refusal) if refusal.code == code));
        }
        assert!(bench.agent.done.borrow().is_empty());
    })
    .await;
}

#[tokio::test]
async fn without_a_daemon_the_client_says_so() {
    let root = tempfile::tempdir().unwrap();
    let layout = Layout::new(Some(root.path()));
    let error = Client::new(&layout).status().await.unwrap_err();
    assert!(error.is_no_daemon(), "{error:?}");
    assert_eq!(error.exit_code(), 69);
    assert!(Client::connect(&layout).await.is_err());
}

#[tokio::test]
async fn a_refusal_by_policy_and_a_failure_arrive_with_remedy_and_exit_code() {
    with_server(async |bench| {
        bench.agent.locked.set(true);
        let error = bench.client.set_level(&level(Level::Full)).await.unwrap_err();
        assert_eq!(error.exit_code(), 3);
        let ClientError::Refused(refusal) = error else { panic!("{error:?}") };
        assert_eq!(refusal.code, Code::RefusedByPolicy);
        assert_eq!(refusal.message, "policy.d/10-org.toml sets level 1");
        assert_eq!(refusal.remedy.as_deref(), Some("ask who wrote the policy"));
        let error = bench.client.stats().await.unwrap_err();
        assert_eq!((error.exit_code(), error.to_string()), (1, "the ledger cannot be read".into()));
    })
    .await;
}

#[tokio::test]
async fn a_wrong_request_is_told_what_is_wrong() {
    with_server(async |bench| {
        for (line, body, status, words) in [
            ("GET /v1/weather", "", "404 Not Found", "there is no /v1/weather"),
            ("GET /", "", "404 Not Found", "not_found"),
            ("DELETE /v1/level", "", "405 Method Not Allowed", "use GET, POST"),
            ("POST /v1/status", "{}", "405 Method Not Allowed", "use GET"),
            ("POST /v1/level", "{", "400 Bad Request", "line 1 column 1"),
            ("POST /v1/level", "[1]", "400 Bad Request", "no JSON object"),
            ("POST /v1/level", r#"{"level":9}"#, "400 Bad Request", "`level`"),
            ("POST /v1/flush", r#"{"wait":"yes"}"#, "400 Bad Request", "`wait`"),
            ("POST /v1/reload", r#"{"now":true}"#, "400 Bad Request", "`now`"),
        ] {
            let answer = bench.request(line, body).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{line}: {answer}");
            assert!(answer.contains(words), "{line} {body}: {answer}");
            assert!(answer.contains("\r\ncontent-length: "), "{answer}");
        }
        let answer = bench.request("DELETE /v1/level", "").await;
        assert!(answer.contains("\r\nallow: GET, POST\r\n"), "{answer}");
        assert_eq!(*bench.agent.done.borrow(), Vec::<String>::new(), "nothing was carried out");
    })
    .await;
}

#[tokio::test]
async fn a_query_and_an_absolute_address_are_no_hindrance() {
    with_server(async |bench| {
        for target in ["/v1/status?pretty", "http://localhost/v1/status"] {
            let answer = bench.request(&format!("GET {target}"), "").await;
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{target}: {answer}");
            assert!(answer.contains("content-type: application/json"), "{answer}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_body_of_64_kib_is_read_and_a_larger_one_is_not() {
    with_server(async |bench| {
        let fits = format!("{{\"wait\":false}}{}", " ".repeat(64 * 1024 - 14));
        assert_eq!(fits.len(), 64 * 1024);
        let answer = bench.request("POST /v1/flush", &fits).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let answer = bench.request("POST /v1/flush", &(fits + " ")).await;
        assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
        let head = "POST /v1/flush HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
        let chunk = format!("8000\r\n{}\r\n", " ".repeat(0x8000));
        let answer = bench.raw(format!("{head}{chunk}{chunk}{chunk}").as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
        assert_eq!(*bench.agent.done.borrow(), ["flush false"]);
    })
    .await;
}

//! The answer table, row by row.

use std::collections::BTreeSet;
use std::time::Duration;

use candor_model::{Kind, Level};
use candor_otlp::{PartialSuccess, encode_response};
use candor_upload::{Compression, State};

use crate::bench::{Bench, Pki, timing};
use crate::pki::{NOW, backup};
use crate::server::{Reply, Seen, Server, answer, config, ok};

#[tokio::test]
async fn everything_that_waits_arrives_exactly_once() {
    let (bench, server) = Bench::with_server(|_| ok()).await;
    for level in Level::ALL {
        for kind in Kind::ALL {
            let names: Vec<_> = (0..40).map(|n| format!("{}.{n}", kind.name())).collect();
            bench.keep(kind, level, &names).await;
        }
    }
    assert!(bench.flush().await.drained);
    let records: Vec<_> = server.seen().iter().flat_map(super::server::Seen::records).collect();
    let sequence: BTreeSet<_> = records.iter().map(|record| record.seq.unwrap()).collect();
    assert_eq!((records.len(), sequence.len()), (480, 480));
    let ledger = bench.ledger().await;
    assert_eq!((ledger.generated, ledger.uploaded, ledger.pending), (480, 480, 0));
    let requests = server.seen().len();
    assert!(bench.flush().await.drained);
    assert_eq!(server.seen().len(), requests, "what was acknowledged went again");
}

#[tokio::test]
async fn a_request_says_what_it_is_and_a_drain_keeps_one_connection() {
    let (bench, server) = Bench::with_server(|_| ok()).await;
    for kind in Kind::ALL {
        bench.keep(kind, Level::Basic, &["a".repeat(100), "b".into()]).await;
    }
    let flushed = bench.flush().await;
    server.closed().await;
    assert_eq!(server.broken(), 0, "the connection was broken off");
    let seen = server.seen();
    let mut lines: Vec<_> = seen.iter().map(|seen| seen.line.as_str()).collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "POST /otlp/v1/logs HTTP/1.1",
            "POST /otlp/v1/metrics HTTP/1.1",
            "POST /otlp/v1/traces HTTP/1.1",
        ]
    );
    for seen in &seen {
        assert_eq!(seen.connection, 0);
        assert_eq!(seen.header("host"), Some(format!("localhost:{}", server.port).as_str()));
        assert_eq!(seen.header("content-type"), Some("application/x-protobuf"));
        assert_eq!(seen.header("content-encoding"), Some("zstd"));
        assert!(seen.header("user-agent").unwrap().starts_with("candor/"));
        let record = &seen.records()[0];
        assert_eq!(record.install_id.as_deref(), Some("install"));
        assert_eq!(record.boot_id.as_deref(), Some("boot"));
    }
    let bytes: usize = seen.iter().map(|seen| seen.wire).sum();
    assert!(flushed.status.bytes_uploaded > u64::try_from(bytes).unwrap());
    assert_eq!(flushed.status.session.unwrap().tls, "1.3");
}

#[tokio::test]
async fn every_compression_arrives_readable() {
    for (compression, encoding) in [
        (Compression::Zstd, Some("zstd")),
        (Compression::Gzip, Some("gzip")),
        (Compression::None, None),
    ] {
        let (bench, server) = Bench::with_server(|_| ok()).await;
        bench.redirect(|to| to.compression = compression);
        bench.keep(Kind::Log, Level::Basic, &["a".repeat(5000), "b".into()]).await;
        assert!(bench.flush().await.drained);
        let seen = &server.seen()[0];
        assert_eq!(seen.header("content-encoding"), encoding);
        assert_eq!(seen.names()[1], "b");
        assert_eq!(seen.wire < 1000, encoding.is_some());
    }
}

/// What a server answers that reads the first zstd frame of a body and finds no whole message in it.
fn reads_one_frame(refusal: u16) -> impl Fn(&Seen) -> Reply + Send + Sync + 'static {
    move |seen| if seen.is_one_frame { ok() } else { answer(refusal, "", b"truncated message") }
}

#[tokio::test]
async fn a_receiver_that_reads_one_frame_only_gets_everything_in_one_frame() {
    for refusal in [400, 415, 422, 500] {
        let (bench, server) = Bench::with_server(reads_one_frame(refusal)).await;
        bench.events(3).await;
        bench.keep(Kind::Log, Level::Basic, &["alone".into()]).await;
        assert!(bench.flush().await.drained);
        assert_eq!(server.seen().len(), 2, "asked once, and once again in one frame");
        bench.events(2).await;
        assert!(bench.flush().await.drained);
        assert_eq!(server.seen().len(), 3, "what was learnt holds");
        let ledger = bench.ledger().await;
        assert_eq!((ledger.uploaded, ledger.dropped.total(), ledger.dead_letters), (6, 0, 0));
    }
}

#[tokio::test]
async fn a_record_that_is_refused_in_both_forms_is_refused_and_no_other() {
    let bad = |seen: &Seen| seen.names().iter().any(|name| name == "bad");
    let (bench, server) =
        Bench::with_server(move |seen| if bad(seen) { answer(400, "", b"no") } else { ok() }).await;
    bench.keep(Kind::Log, Level::Basic, &["bad".into(), "good".into()]).await;
    assert!(bench.flush().await.drained);
    let ledger = bench.ledger().await;
    assert_eq!((ledger.uploaded, ledger.dropped.total(), ledger.dead_letters), (1, 1, 1));
    // The next drain begins with rows as they lie.
    bench.events(1).await;
    assert!(bench.flush().await.drained);
    assert!(!server.seen().last().unwrap().is_one_frame);
}

#[tokio::test]
async fn a_backlog_goes_in_bounded_requests() {
    let (bench, server) = Bench::with_server(|_| ok()).await;
    for n in 0..40 {
        bench.keep(Kind::Log, Level::Basic, &[format!("{n}{}", "x".repeat(30_000))]).await;
    }
    assert!(bench.flush().await.drained);
    assert!(server.seen().len() > 1);
    assert!(server.seen().iter().all(|seen| seen.body.len() < 600_000));
    assert_eq!(bench.ledger().await.uploaded, 40);
}

/// What a server does, and where the uploader then stands. Nothing is lost, and everything goes
/// when the server has come to its senses.
async fn stands(
    what: &str,
    behaviour: impl Fn() -> Reply + Send + Sync + 'static,
    expected: (State, &str),
) {
    let (bench, server) = Bench::with_server(move |_| behaviour()).await;
    bench.events(3).await;
    let flushed = bench.flush().await;
    let found = (flushed.status.state, flushed.status.reason().unwrap_or("none"));
    assert_eq!(found, expected, "{what}: {:?}", flushed.status.detail());
    assert!(!flushed.drained && !flushed.status.remedy().unwrap().is_empty());
    assert!(flushed.status.next_attempt.is_some());
    let ledger = bench.ledger().await;
    assert_eq!((ledger.generated, ledger.pending, ledger.uploaded), (3, 3, 0), "{what}");
    server.now(|_| ok());
    let flushed = bench.flush().await;
    assert!(flushed.drained && flushed.status.state == State::Ok, "{what}");
    assert_eq!(bench.ledger().await.uploaded, 3, "{what}");
}

#[tokio::test]
async fn a_busy_or_broken_receiver_is_tried_again_later() {
    for status in [408, 429, 500, 501, 502, 503, 504, 599] {
        let what = status.to_string();
        stands(&what, move || answer(status, "", b"later"), (State::BackOff, "busy")).await;
    }
}

#[tokio::test]
async fn retry_after_is_obeyed() {
    let (bench, _server) = Bench::with_server(|_| answer(429, "Retry-After: 1000\r\n", b"")).await;
    bench.events(1).await;
    let status = bench.flush().await.status;
    let wait = status.next_attempt.unwrap().duration_since(status.last_attempt.unwrap()).unwrap();
    assert!(wait >= Duration::from_secs(999) && wait <= Duration::from_secs(1101), "{wait:?}");
}

#[tokio::test]
async fn what_a_person_must_mend_holds() {
    for (status, reason) in [
        (401, "unauthorized"),
        (403, "unauthorized"),
        (407, "unauthorized"),
        (404, "not_found"),
        (402, "refused"),
        (405, "refused"),
        (415, "refused"),
        (451, "refused"),
        (300, "redirect"),
        (304, "redirect"),
    ] {
        stands(&status.to_string(), move || answer(status, "", b"no"), (State::Hold, reason)).await;
    }
}

#[tokio::test]
async fn a_redirect_is_never_followed() {
    let pki = Pki::new();
    let elsewhere = Server::start(&pki.leaf, |_| ok()).await;
    let location = format!("Location: https://localhost:{}/v1/logs\r\n", elsewhere.port);
    for status in [301, 302, 303, 307, 308] {
        let location = location.clone();
        let reply = move || answer(status, &location, b"");
        stands(&status.to_string(), reply, (State::Hold, "redirect")).await;
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn what_is_not_http_is_tried_again_later() {
    let header =
        format!("HTTP/1.1 200 OK\r\nX: {}\r\nContent-Length: 0\r\n\r\n", "x".repeat(70_000));
    for (what, bytes) in [
        ("words", b"220 mail.example.org ESMTP ready, and what are you?\r\n\r\n".to_vec()),
        ("noise", vec![0xa5; 4000]),
        ("a switch of protocols", b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n".to_vec()),
        ("a bad length", b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n".to_vec()),
        ("a header without end", header.into_bytes()),
    ] {
        let reply = move || Reply::Close(bytes.clone());
        stands(what, reply, (State::BackOff, "not_http")).await;
    }
}

#[tokio::test]
async fn an_interim_answer_is_not_the_answer() {
    let early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n".to_vec();
    let last = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";
    let bytes = [early.as_slice(), last].concat();
    stands("1xx", move || Reply::Keep(bytes.clone()), (State::BackOff, "busy")).await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_none() {
    for (what, bytes) in [
        ("no byte", ""),
        ("half a head", "HTTP/1.1 200 OK\r\nContent-"),
        ("half a body", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"),
        ("half a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\nhalf"),
    ] {
        let reply = move || Reply::Close(bytes.as_bytes().to_vec());
        stands(what, reply, (State::BackOff, "connection")).await;
    }
}

#[tokio::test]
async fn a_receiver_that_never_answers_is_left() {
    let short = Duration::from_millis(50);
    for reply in
        [|| Reply::Hang, || Reply::Keep(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1".into())]
    {
        let pki = Pki::new();
        let server = Server::start(&pki.leaf, move |_| reply()).await;
        let timing = candor_upload::Timing { request: short, ..timing() };
        let pins = vec![pki.leaf.pin, backup()];
        let bench = Bench::build(server.port, &pki.root, pins, timing, |_| {});
        bench.events(3).await;
        let status = bench.flush().await.status;
        assert_eq!((status.state, status.reason()), (State::BackOff, Some("timeout")));
        assert_eq!(bench.ledger().await.pending, 3);
        server.closed().await;
    }
}

#[tokio::test]
async fn nobody_there_is_tried_again_later() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let pki = Pki::new();
    let bench = Bench::to(port, &pki.root, vec![pki.leaf.pin, backup()]);
    bench.events(3).await;
    let status = bench.flush().await.status;
    assert_eq!((status.state, status.reason()), (State::BackOff, Some("connection")));
    assert!(status.detail().unwrap().contains(&format!("127.0.0.1:{port}")), "{status:?}");
    assert_eq!(bench.ledger().await.pending, 3);
}

#[tokio::test]
async fn an_ipv6_address_is_an_endpoint() {
    let listener = match tokio::net::TcpListener::bind("[::1]:0").await {
        Ok(listener) => listener,
        // A host without IPv6 has nothing to try.
        Err(error) if error.kind() == std::io::ErrorKind::AddrNotAvailable => return,
        Err(error) => panic!("{error}"),
    };
    let port = listener.local_addr().unwrap().port();
    let pki = Pki::new();
    let leaf = pki.intermediate.leaf(&["::1"], NOW);
    let server = Server::on(listener, config(&leaf, rustls::ALL_VERSIONS, None), |_| ok());
    let pins = vec![leaf.pin, backup()];
    let bench = Bench::build(port, &pki.root, pins, timing(), |settings| {
        settings.destination.as_mut().unwrap().endpoint.host = "::1".into();
    });
    bench.events(1).await;
    assert!(bench.flush().await.drained);
    assert_eq!(server.seen()[0].header("host"), Some(format!("[::1]:{port}").as_str()));
}

#[tokio::test]
async fn success_with_a_body_that_cannot_be_read_is_acknowledged_and_counted() {
    let page = b"<html>thank you</html>".to_vec();
    let huge = vec![0; 70_000];
    let small = answer(200, "Content-Encoding: gzip\r\n", b"\x1f\x8b");
    let Reply::Keep(compressed) = small else { panic!() };
    let mut messages = Vec::new();
    for body in [page, huge] {
        let (bench, _server) = Bench::with_server(move |_| answer(200, "", &body)).await;
        bench.events(3).await;
        let flushed = bench.flush().await;
        assert!(flushed.drained);
        assert_eq!((bench.ledger().await.uploaded, flushed.status.unreadable_answers), (3, 1));
        messages.push(flushed.status.message.unwrap());
    }
    assert!(messages[0].contains("<html>") && messages[1].contains("64 KiB"), "{messages:?}");
    let (bench, _server) = Bench::with_server(move |_| Reply::Keep(compressed.clone())).await;
    bench.events(3).await;
    assert_eq!(bench.flush().await.status.unreadable_answers, 1);
    assert_eq!(bench.ledger().await.uploaded, 3);
}

#[tokio::test]
async fn what_a_receiver_rejects_is_never_counted_as_uploaded() {
    let partial = PartialSuccess { rejected: 2, error_message: "two are too old".into() };
    let body = encode_response(Kind::Log, &partial);
    let (bench, _server) = Bench::with_server(move |_| answer(200, "", &body)).await;
    bench.events(5).await;
    let flushed = bench.flush().await;
    assert!(flushed.drained);
    let ledger = bench.ledger().await;
    assert_eq!((ledger.uploaded, ledger.dropped.total(), ledger.pending), (3, 2, 0));
    assert_eq!(flushed.status.message.as_deref(), Some("two are too old"));
    assert_eq!(flushed.status.rejected, 2);
}

#[tokio::test]
async fn the_one_record_that_is_refused_is_found_and_set_aside() {
    for status in [400, 413, 422] {
        let (bench, server) = Bench::with_server(move |seen| {
            if seen.names().contains(&"bad".into()) { answer(status, "", b"bad one") } else { ok() }
        })
        .await;
        for n in 0..10 {
            let mut names: Vec<_> = (0..10).map(|m| format!("event.{n}.{m}")).collect();
            if n == 6 {
                names[3] = "bad".into();
            }
            bench.keep(Kind::Log, Level::Basic, &names).await;
        }
        let flushed = bench.flush().await;
        assert!(flushed.drained, "{status}: {:?}", flushed.status);
        let ledger = bench.ledger().await;
        assert_eq!((ledger.uploaded, ledger.dropped.total(), ledger.pending), (99, 1, 0));
        assert_eq!(flushed.status.message.unwrap(), format!("HTTP {status}: bad one"));
        assert!(server.seen().len() < 60, "{}", server.seen().len());
    }
}

#[tokio::test]
async fn a_size_limit_is_learnt_and_remembered() {
    let (bench, server) = Bench::with_server(|seen| {
        if seen.body.len() > 20_000 { answer(413, "", b"too large") } else { ok() }
    })
    .await;
    for _ in 0..2 {
        for n in 0..30 {
            bench.keep(Kind::Log, Level::Basic, &[format!("{n}{}", "x".repeat(4000))]).await;
        }
        assert!(bench.flush().await.drained);
    }
    assert_eq!(bench.ledger().await.uploaded, 60);
    let refused = server.seen().iter().filter(|seen| seen.body.len() > 20_000).count();
    assert!(refused <= 4, "asked {refused} times");
}

#[tokio::test]
async fn a_kept_connection_that_the_server_closed_is_no_failure() {
    let (bench, server) = Bench::with_server(|_| {
        Reply::Close(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".into())
    })
    .await;
    for kind in Kind::ALL {
        bench.keep(kind, Level::Basic, &["a".into()]).await;
    }
    assert!(bench.flush().await.drained);
    assert_eq!((server.seen().len(), server.connections()), (3, 3));
    // The same without a word of warning.
    server.now(|_| Reply::Close(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".into()));
    for kind in Kind::ALL {
        bench.keep(kind, Level::Basic, &["a".into()]).await;
    }
    assert!(bench.flush().await.drained);
    assert_eq!(bench.ledger().await.uploaded, 6);
}

#[tokio::test]
async fn a_kept_connection_that_breaks_under_the_next_request_is_no_failure() {
    let answered = std::sync::Mutex::new(BTreeSet::new());
    let (bench, server) = Bench::with_server(move |seen| {
        let is_first = answered.lock().unwrap().insert(seen.connection);
        if is_first { ok() } else { Reply::Close(Vec::new()) }
    })
    .await;
    for kind in Kind::ALL {
        bench.keep(kind, Level::Basic, &["a".into()]).await;
    }
    assert!(bench.flush().await.drained);
    assert_eq!((server.seen().len(), server.connections()), (5, 3));
    assert_eq!(bench.ledger().await.uploaded, 3);
}

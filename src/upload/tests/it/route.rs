//! Several endpoints, and the manners of a catch-up.

use std::time::{Duration, SystemTime};

use candor_model::{DropReason, Kind, Level};
use candor_spool::{Then, Want};
use candor_upload::{Endpoint, State, Timing};

use crate::bench::{Bench, HOUR, Pki, answered, draft, timing};
use crate::pki::backup;
use crate::server::{Reply, Seen, Server, answer, ok};

/// Two servers with one certificate, and an uploader that prefers the first.
async fn two(first: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> (Bench, Server, Server) {
    let pki = Pki::new();
    let preferred = Server::start(&pki.leaf, first).await;
    let other = Server::start(&pki.leaf, |_| ok()).await;
    let pins = vec![pki.leaf.pin, backup()];
    let fallback = Endpoint { host: "localhost".into(), port: other.port, path: "/b".into() };
    let bench = Bench::build(preferred.port, &pki.root, pins, timing(), |settings| {
        settings.fallbacks = vec![fallback];
    });
    (bench, preferred, other)
}

fn port_of(endpoint: Option<&str>) -> u16 {
    endpoint.unwrap().parse::<Endpoint>().unwrap().port
}

#[tokio::test]
async fn while_the_preferred_endpoint_is_out_another_one_serves_and_status_says_which() {
    for out in [503, 500, 599] {
        let (mut bench, preferred, other) = two(move |_| answer(out, "", b"")).await;
        bench.events(2).await;
        let flushed = bench.flush().await;
        assert!(flushed.drained, "{flushed:?}");
        assert_eq!(port_of(flushed.status.endpoint.as_deref()), other.port);
        assert_eq!(flushed.status.state, State::Ok);
        // A 500 may mean the form of the body: the other form is tried first.
        let asked = if out == 500 { 2 } else { 1 };
        assert_eq!((preferred.seen().len(), other.seen().len()), (asked, 1));
        assert!(other.seen()[0].line.starts_with("POST /b/v1/logs "), "{:?}", other.seen());
        // It goes on there until the next interval...
        bench.events(1).await;
        assert!(bench.flush().await.drained);
        assert_eq!((preferred.seen().len(), other.seen().len()), (asked, 2));
        // ...which begins with the preferred one again.
        preferred.now(|_| ok());
        bench.events(1).await;
        bench.set(|settings| settings.interval = Duration::from_millis(50));
        let back = preferred.port;
        bench.until(|status| port_of(status.endpoint.as_deref()) == back).await;
        preferred.requests(asked + 1).await;
        assert_eq!(other.seen().len(), 2);
    }
}

#[tokio::test]
async fn nobody_at_the_preferred_address_is_an_outage_too() {
    let (bench, _preferred, other) = two(|_| ok()).await;
    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    bench.redirect(|to| to.endpoint.port = dead);
    bench.events(1).await;
    assert!(bench.flush().await.drained);
    assert_eq!(other.seen().len(), 1);
}

#[tokio::test]
async fn what_the_preferred_endpoint_says_of_its_own_counts_and_nobody_else_is_asked() {
    for (status, state) in [
        (429, State::BackOff),
        (408, State::BackOff),
        (401, State::Hold),
        (404, State::Hold),
        (307, State::Hold),
    ] {
        let (bench, preferred, other) = two(move |_| answer(status, "", b"")).await;
        bench.events(2).await;
        let flushed = bench.flush().await;
        assert_eq!((flushed.drained, flushed.status.state), (false, state), "{status}");
        assert_eq!((preferred.seen().len(), other.connections()), (1, 0), "{status}");
        assert_eq!(bench.ledger().await.pending, 2);
    }
}

#[tokio::test]
async fn where_every_endpoint_is_out_the_preferred_ones_trouble_is_shown() {
    let (bench, preferred, other) = two(|_| answer(503, "", b"")).await;
    other.now(|_| answer(403, "", b""));
    bench.events(2).await;
    let flushed = bench.flush().await;
    assert_eq!((flushed.drained, flushed.status.state), (false, State::BackOff));
    assert_eq!(flushed.status.reason(), Some("busy"));
    assert_eq!(port_of(flushed.status.endpoint.as_deref()), preferred.port);
    assert_eq!((preferred.seen().len(), other.seen().len()), (1, 1));
    assert_eq!(bench.ledger().await.pending, 2);
}

#[tokio::test]
async fn a_fallback_that_breaks_down_lets_the_preferred_one_in_again() {
    let (bench, preferred, other) = two(|_| answer(500, "", b"")).await;
    bench.events(1).await;
    assert!(bench.flush().await.drained);
    preferred.now(|_| ok());
    other.now(|_| answer(500, "", b""));
    bench.events(1).await;
    let flushed = bench.flush().await;
    assert!(flushed.drained);
    assert_eq!(port_of(flushed.status.endpoint.as_deref()), preferred.port);
}

#[tokio::test]
async fn lost_ranges_are_told_after_the_first_success_and_before_the_rest() {
    let (mut bench, server) = Bench::with_server(|_| ok()).await;
    bench.events(1).await;
    let lost = bench.spool.next(Want::all(1)).await.unwrap().unwrap();
    bench.spool.drop_rows(&[lost.rows[0].id], DropReason::Expired).await.unwrap();
    for kind in [Kind::Log, Kind::Metric, Kind::Span] {
        bench.keep(kind, Level::Enhanced, &["old".into()]).await;
    }
    let asked = bench.ask().await;
    let told = bench.gaps.recv().await.unwrap();
    assert_eq!(server.seen().len(), 1, "somebody listens");
    bench.keep(Kind::Log, Level::Security, &["gap".into()]).await;
    let gaps = bench.spool.gaps().await.unwrap();
    bench.spool.append_then(Vec::new(), Then::GapsTold(gaps)).await.unwrap();
    told.send(()).unwrap();
    assert!(answered(asked).await.drained);
    let names: Vec<_> = server.seen().iter().flat_map(Seen::names).collect();
    assert_eq!(names, ["old", "gap", "old", "old"]);
    // Nothing more is lost: nobody is asked.
    bench.events(1).await;
    assert!(bench.flush().await.drained);
    assert!(bench.gaps.try_recv().is_err());
}

#[tokio::test]
async fn what_a_drain_itself_loses_is_told_at_its_end_and_not_for_ever() {
    let (mut bench, server) = Bench::with_server(|seen| {
        // It takes ordinary records but one, and no declaration of it.
        let refused = seen.names().iter().any(|name| name == "event.1" || name == "gap");
        if refused { answer(400, "", b"") } else { ok() }
    })
    .await;
    bench.events(3).await;
    let asked = bench.ask().await;
    let told = bench.gaps.recv().await.unwrap();
    bench.keep(Kind::Log, Level::Security, &["gap".into()]).await;
    let gaps = bench.spool.gaps().await.unwrap();
    bench.spool.append_then(Vec::new(), Then::GapsTold(gaps)).await.unwrap();
    told.send(()).unwrap();
    assert!(answered(asked).await.drained);
    assert!(bench.gaps.try_recv().is_err(), "asked again in the same drain");
    let ledger = bench.ledger().await;
    assert_eq!((ledger.uploaded, ledger.dropped.total(), ledger.gaps), (2, 2, 1));
    assert!(server.seen().len() < 20);
}

#[tokio::test]
async fn after_an_outage_the_backlog_waits_for_its_jitter_and_security_does_not() {
    let pki = Pki::new();
    let server = Server::start(&pki.leaf, |_| answer(503, "", b"")).await;
    // Two hours later: what waits is older than the interval.
    let timing = Timing { wall: || SystemTime::now() + 2 * HOUR, ..timing() };
    let pins = vec![pki.leaf.pin, backup()];
    let mut bench = Bench::build(server.port, &pki.root, pins, timing, |_| {});
    for kind in [Kind::Log, Kind::Metric, Kind::Span] {
        bench.keep(kind, Level::Enhanced, &["old".into()]).await;
    }
    assert!(!bench.flush().await.drained);
    server.now(|_| ok());
    let status = bench.until(|status| status.state == State::Ok && status.requests == 1).await;
    assert_eq!(status.trouble, None);
    let resting = |status: &candor_upload::UploadStatus| {
        status.next_attempt.is_some_and(|next| next > SystemTime::now() + 2 * HOUR + HOUR / 90)
    };
    bench.until(resting).await;
    assert_eq!(bench.ledger().await.pending, 2, "one request, and then the jitter");
    bench
        .spool
        .append(vec![draft(Kind::Log, Level::Security, "now")], candor_spool::Urgency::Now)
        .await
        .unwrap();
    bench.until(|status| status.requests == 2).await;
    assert_eq!(server.seen().last().unwrap().names(), ["now"]);
    assert_eq!(bench.ledger().await.pending, 2);
    assert!(bench.flush().await.drained, "a flush waits for no jitter");
}

#[tokio::test]
async fn a_size_limit_outlives_a_restart() {
    const LIMIT: usize = 30_000;
    let (mut bench, server) =
        Bench::with_server(
            |seen| if seen.body.len() > LIMIT { answer(413, "", b"") } else { ok() },
        )
        .await;
    let long = |n: usize| vec![format!("{n:x>9000}")];
    for n in 0..12 {
        bench.keep(Kind::Log, Level::Enhanced, &long(n)).await;
    }
    assert!(bench.flush().await.drained);
    assert!(server.seen()[0].body.len() > LIMIT);
    bench.stop.send(Some(Duration::ZERO)).unwrap();
    bench.stopped().await;
    let before = server.seen().len();
    for n in 0..12 {
        bench.keep(Kind::Log, Level::Enhanced, &long(n)).await;
    }
    bench.restart();
    assert!(bench.flush().await.drained);
    assert!(server.seen()[before..].iter().all(|seen| seen.body.len() <= LIMIT));
    // Another endpoint has taught nothing.
    bench.redirect(|to| to.endpoint.path = "/elsewhere".into());
    for n in 0..12 {
        bench.keep(Kind::Log, Level::Enhanced, &long(n)).await;
    }
    let before = server.seen().len();
    assert!(bench.flush().await.drained);
    assert!(server.seen()[before].body.len() > LIMIT);
}

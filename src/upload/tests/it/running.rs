//! What starts an upload, what ends it, and what breaks it off.

use std::time::Duration;

use candor_model::{Kind, Level};
use candor_upload::{Reason, State, Trouble};

use crate::bench::{Bench, HOUR, Pki, answered, timing};
use crate::pki::backup;
use crate::server::{Reply, Server, answer, ok};

const SHORT: Duration = Duration::from_millis(20);

#[tokio::test]
async fn the_interval_brings_what_waits() {
    let pki = Pki::new();
    let server = Server::start(&pki.leaf, |_| ok()).await;
    let pins = vec![pki.leaf.pin, backup()];
    let mut bench = Bench::build(server.port, &pki.root, pins, timing(), |settings| {
        settings.interval = SHORT;
    });
    bench.events(1).await;
    bench.until(|status| status.requests == 1).await;
    bench.events(1).await;
    bench.until(|status| status.requests == 2).await;
    assert_eq!(bench.ledger().await.uploaded, 2);
    // No socket waits between the intervals.
    server.closed().await;
}

#[tokio::test]
async fn security_goes_at_once_and_the_rest_waits() {
    let (mut bench, server) = Bench::with_server(|_| ok()).await;
    bench.events(1).await;
    assert!(bench.flush().await.drained);
    bench.events(5).await;
    bench.keep(Kind::Log, Level::Security, &["alarm".into()]).await;
    bench.until(|status| status.requests == 2).await;
    assert_eq!(server.seen()[1].names(), ["alarm"]);
    assert_eq!(bench.ledger().await.pending, 5);
}

#[tokio::test]
async fn disabling_breaks_an_upload_off_and_nothing_moves_any_more() {
    let (mut bench, server) = Bench::with_server(|_| Reply::Hang).await;
    bench.events(3).await;
    let asked = bench.ask().await;
    server.requests(1).await;
    bench.set(|settings| settings.enabled = false);
    let flushed = answered(asked).await;
    assert_eq!((flushed.drained, flushed.status.state), (false, State::Off));
    assert_eq!(flushed.status.last_success, None);
    server.closed().await;
    let status = bench.until(|status| status.state == State::Off).await;
    assert_eq!((status.next_attempt, status.reason()), (None, None));
    let flushed = bench.flush().await;
    assert_eq!((flushed.drained, flushed.status.state), (false, State::Off));
    assert_eq!((server.connections(), bench.ledger().await.pending), (1, 3));

    server.now(|_| ok());
    bench.set(|settings| settings.enabled = true);
    bench.until(|status| status.requests == 1).await;
    assert_eq!(bench.ledger().await.uploaded, 3);
}

#[tokio::test]
async fn without_endpoint_or_with_a_policy_nobody_understands_it_holds() {
    let (mut bench, server) = Bench::with_server(|_| ok()).await;
    bench.events(1).await;
    let good = bench.settings.borrow().clone();
    bench.set(|settings| settings.destination = None);
    let status = bench.flush().await.status;
    assert_eq!((status.state, status.reason()), (State::Hold, Some("no_endpoint")));
    bench.set(|settings| {
        settings.destination.clone_from(&good.destination);
        settings.hold =
            Some(Trouble::new(Reason::Policy, "policy.d/10-org.toml:3: AllowTelemetry"));
    });
    let status = bench.flush().await.status;
    assert_eq!((status.state, status.reason()), (State::Hold, Some("policy")));
    assert!(status.detail().unwrap().contains("10-org.toml:3"));
    assert_eq!(status.next_attempt, None);
    assert_eq!(server.connections(), 0);
    bench.set(|settings| settings.hold = None);
    bench.until(|status| status.requests == 1).await;
}

#[tokio::test]
async fn new_settings_end_a_hold_and_a_back_off_at_once() {
    for status in [401, 503] {
        let (mut bench, server) = Bench::with_server(move |_| answer(status, "", b"")).await;
        bench.events(1).await;
        assert!(bench.flush().await.status.trouble.is_some());
        server.now(|_| ok());
        bench.set(|_| {});
        bench.until(|status| status.requests == 1 && status.state == State::Ok).await;
    }
}

#[tokio::test]
async fn new_pins_break_off_what_was_begun_under_the_old_ones() {
    let (bench, server) = Bench::with_server(|_| Reply::Hang).await;
    bench.events(1).await;
    let asked = bench.ask().await;
    server.requests(1).await;
    bench.redirect(|to| to.pins = vec![backup(), backup()]);
    let flushed = answered(asked).await;
    assert_eq!((flushed.drained, flushed.status.reason()), (false, Some("pin")));
    server.closed().await;
    assert_eq!((server.seen().len(), bench.ledger().await.pending), (1, 1));
}

#[tokio::test]
async fn a_lowered_ceiling_breaks_off_what_was_begun_and_what_is_above_it_stays() {
    let (bench, server) = Bench::with_server(|_| Reply::Hang).await;
    bench.events(2).await;
    bench.keep(Kind::Log, Level::Basic, &["basic".into()]).await;
    let asked = bench.ask().await;
    server.requests(1).await;
    server.now(|_| ok());
    bench.set(|settings| settings.ceiling = Level::Basic);
    assert!(answered(asked).await.drained);
    server.closed().await;
    assert_eq!(server.seen().last().unwrap().names(), ["basic"]);
    let ledger = bench.ledger().await;
    assert_eq!((server.seen().len(), ledger.uploaded, ledger.pending), (2, 1, 2));
}

#[tokio::test]
async fn a_hold_is_probed_by_itself_and_ends_when_the_cause_does() {
    let pki = Pki::new();
    let server = Server::start(&pki.leaf, |_| answer(403, "", b"")).await;
    let pins = vec![pki.leaf.pin, backup()];
    let mut bench = Bench::build(server.port, &pki.root, pins, timing(), |settings| {
        settings.interval = SHORT;
    });
    for _ in 0..5 {
        bench.events(2).await;
    }
    server.requests(3).await;
    assert!(server.seen()[1..].iter().all(|probe| probe.names().len() <= 2), "probes are small");
    assert_eq!(bench.ledger().await.pending, 10);
    server.now(|_| ok());
    bench.until(|status| status.state == State::Ok).await;
    bench.flush().await;
    assert_eq!(bench.ledger().await.uploaded, 10);
}

#[tokio::test]
async fn the_day_limit_holds_until_midnight_and_a_flush_overrides_it() {
    let pki = Pki::new();
    let server = Server::start(&pki.leaf, |_| ok()).await;
    let pins = vec![pki.leaf.pin, backup()];
    let mut bench = Bench::build(server.port, &pki.root, pins, timing(), |settings| {
        settings.interval = SHORT;
        settings.max_bytes_per_day = Some(10);
    });
    bench.events(1).await;
    bench.until(|status| status.requests == 1).await;
    bench.events(1).await;
    let status = bench.until(|status| status.reason() == Some("day_limit")).await;
    assert_eq!(status.state, State::Hold);
    let next = status.next_attempt.unwrap().duration_since(std::time::UNIX_EPOCH).unwrap();
    let second = next.as_secs() % 86_400;
    assert!(second <= 2 || second >= 86_398, "{second} s after midnight");
    assert_eq!(bench.ledger().await.pending, 1);
    assert!(bench.flush().await.drained);
    assert_eq!(bench.ledger().await.pending, 0);
}

#[tokio::test]
async fn an_uploader_in_place_of_another_counts_on() {
    let (mut bench, _server) = Bench::with_server(|_| ok()).await;
    bench.events(1).await;
    let first = bench.flush().await.status;
    bench.stop.send(Some(Duration::ZERO)).unwrap();
    bench.stopped().await;
    bench.restart();
    assert_eq!(bench.status.borrow().bytes_uploaded, first.bytes_uploaded);
    bench.events(1).await;
    let second = bench.flush().await.status;
    assert_eq!((first.requests, second.requests), (1, 2));
    assert!(second.bytes_uploaded > first.bytes_uploaded);
}

#[tokio::test]
async fn the_days_bytes_outlive_a_restart() {
    let (mut bench, server) = Bench::with_server(|_| ok()).await;
    bench.set(|settings| settings.max_bytes_per_day = Some(10));
    bench.events(1).await;
    assert!(bench.flush().await.drained);
    bench.stop.send(Some(Duration::ZERO)).unwrap();
    bench.stopped().await;
    bench.events(1).await;
    bench.set(|settings| settings.interval = SHORT);
    bench.restart();
    let status = bench.until(|status| status.trouble.is_some()).await;
    assert_eq!(status.reason(), Some("day_limit"));
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_stop_sends_once_more_what_lingers() {
    let (mut bench, _server) = Bench::with_server(|_| ok()).await;
    let draft = crate::bench::draft(Kind::Log, Level::Basic, "last words");
    bench.spool.append(vec![draft], candor_spool::Urgency::Linger).await.unwrap();
    bench.stop.send(Some(HOUR)).unwrap();
    bench.stopped().await;
    assert_eq!((bench.ledger().await.uploaded, bench.ledger().await.pending), (1, 0));
}

#[tokio::test]
async fn a_stop_keeps_to_its_budget() {
    let (mut bench, server) = Bench::with_server(|_| Reply::Hang).await;
    bench.events(1).await;
    let asked = bench.ask().await;
    server.requests(1).await;
    bench.stop.send(Some(SHORT)).unwrap();
    bench.stopped().await;
    assert!(!answered(asked).await.drained);
    assert_eq!(bench.ledger().await.pending, 1);
    server.closed().await;
}

#[tokio::test]
async fn a_stop_in_a_back_off_does_not_try_again() {
    let (mut bench, server) = Bench::with_server(|_| answer(503, "", b"")).await;
    bench.events(1).await;
    bench.flush().await;
    bench.stop.send(Some(HOUR)).unwrap();
    bench.stopped().await;
    assert_eq!((server.seen().len(), bench.ledger().await.pending), (1, 1));
}

#[tokio::test]
async fn what_is_withdrawn_while_it_is_under_way_is_no_trouble() {
    let (bench, server) = Bench::with_server(|_| Reply::Hang).await;
    bench.events(2).await;
    let asked = bench.ask().await;
    server.requests(1).await;
    assert_eq!(bench.spool.lower_to(Level::Security).await.unwrap(), 2);
    server.now(|_| ok());
    // Ends the request that hangs; the same upload goes on under new settings.
    bench.redirect(|to| to.endpoint.path = "/other".into());
    answered(asked).await;
    assert!(bench.flush().await.drained);
    let ledger = bench.ledger().await;
    assert_eq!((ledger.pending, ledger.uploaded, ledger.dropped.total()), (0, 0, 2));
}

#[tokio::test]
async fn two_flushes_are_both_answered() {
    let (bench, server) = Bench::with_server(|_| ok()).await;
    bench.events(3).await;
    let (one, two) = (bench.ask().await, bench.ask().await);
    assert!(answered(one).await.drained && answered(two).await.drained);
    assert_eq!(server.seen().len(), 1);
}

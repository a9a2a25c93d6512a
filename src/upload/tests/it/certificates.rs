//! Who is accepted and who is not: pins on the verified path, and everything that ordinary
//! verification refuses.

use std::time::{Duration, SystemTime};

use candor_model::Pin;
use candor_upload::{Reason, State, Timing, Trouble, UploadStatus, pins};

use crate::bench::{Bench, Pki, destination, timing};
use crate::pki::{Authority, Leaf, NOW, backup};
use crate::server::{Server, config, ok};

/// An upload to a server with this leaf; how many requests it saw, and how the uploader stands.
async fn upload(
    leaf: &Leaf,
    root: &Authority,
    pins: Vec<Pin>,
    timing: Timing,
) -> (usize, UploadStatus) {
    let server = Server::start(leaf, |_| ok()).await;
    let bench = Bench::build(server.port, root, pins, timing, |_| {});
    bench.events(2).await;
    let flushed = bench.flush().await;
    assert_eq!(flushed.drained, bench.ledger().await.pending == 0);
    assert_eq!(bench.ledger().await.dropped.total(), 0);
    (server.seen().len(), flushed.status)
}

/// The trouble with a server that is refused without having got a byte.
async fn refused(leaf: &Leaf, root: &Authority, pins: Vec<Pin>) -> Trouble {
    let (requests, status) = upload(leaf, root, pins, timing()).await;
    assert_eq!((requests, status.state), (0, State::Hold), "{status:?}");
    assert_eq!(status.session, None);
    status.trouble.unwrap()
}

#[tokio::test]
async fn a_pin_of_leaf_intermediate_or_root_is_accepted() {
    let pki = Pki::new();
    for pin in [pki.leaf.pin, pki.intermediate.pin, pki.root.pin] {
        let (requests, status) = upload(&pki.leaf, &pki.root, vec![backup(), pin], timing()).await;
        assert_eq!((requests, status.state), (1, State::Ok), "{status:?}");
        assert_eq!(status.session.unwrap().pin, pin);
    }
}

#[tokio::test]
async fn a_pin_of_another_key_is_refused_and_the_pins_that_would_match_are_named() {
    let pki = Pki::new();
    let trouble = refused(&pki.leaf, &pki.root, vec![backup(), backup()]).await;
    assert_eq!(trouble.reason, Reason::Pin);
    for pin in [pki.leaf.pin, pki.intermediate.pin, pki.root.pin] {
        assert!(trouble.detail.contains(&pin.to_string()), "{trouble}");
    }
}

#[tokio::test]
async fn presenting_the_pinned_intermediate_beside_another_trusted_chain_is_refused() {
    let mut pinned = Pki::new();
    let other = Authority::root("another trusted root");
    pinned.root.pem.push_str(&other.pem);
    let impostor = other.leaf(&["localhost"], NOW).beside(&pinned.intermediate);
    let pins = vec![pinned.intermediate.pin, pinned.leaf.pin];
    let trouble = refused(&impostor, &pinned.root, pins).await;
    assert_eq!(trouble.reason, Reason::Pin);
    assert!(trouble.detail.contains(&impostor.pin.to_string()), "{trouble}");
    assert!(!trouble.detail.contains(&pinned.intermediate.pin.to_string()), "{trouble}");
}

#[tokio::test]
async fn a_path_without_a_pin_does_not_hide_another_one_that_has_it() {
    let mut pki = Pki::new();
    let second = Authority::root("a second trusted root");
    pki.root.pem.push_str(&second.pem);
    let crossed = second.cross_sign(&pki.intermediate);
    pki.leaf.chain.push(crossed);
    for pin in [pki.root.pin, second.pin] {
        let (requests, status) = upload(&pki.leaf, &pki.root, vec![backup(), pin], timing()).await;
        assert_eq!((requests, status.state), (1, State::Ok), "{status:?}");
        assert_eq!(status.session.unwrap().pin, pin);
    }
}

#[tokio::test]
async fn a_foreign_authority_is_refused_whatever_the_pins() {
    let (pki, foreign) = (Pki::new(), Authority::root("a foreign root"));
    let trouble = refused(&pki.leaf, &foreign, vec![pki.leaf.pin, pki.root.pin]).await;
    assert_eq!(trouble.reason, Reason::Certificate);
    assert!(trouble.remedy.contains("ca_file"), "{trouble:?}");
}

#[tokio::test]
async fn another_hosts_certificate_is_refused_and_its_name_is_named() {
    let pki = Pki::new();
    let leaf = pki.intermediate.leaf(&["other.example.org"], NOW);
    let trouble = refused(&leaf, &pki.root, vec![leaf.pin, pki.root.pin]).await;
    assert_eq!(trouble.reason, Reason::Certificate);
    assert!(trouble.detail.contains("other.example.org"), "{trouble}");
}

#[tokio::test]
async fn an_expired_or_early_certificate_is_refused_though_its_pin_matches() {
    let pki = Pki::new();
    for (years, word) in [(2001..2002, "expired"), (2070..2071, "only from")] {
        let leaf = pki.intermediate.leaf(&["localhost"], years);
        let trouble = refused(&leaf, &pki.root, vec![leaf.pin, pki.root.pin]).await;
        assert_eq!(trouble.reason, Reason::Certificate, "{trouble}");
        assert!(trouble.detail.contains(word), "{trouble}");
    }
}

fn long_ago() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_hours(24)
}

#[tokio::test]
async fn a_clock_that_cannot_be_right_is_named_where_the_pin_matches() {
    let pki = Pki::new();
    let timing = Timing { wall: long_ago, ..timing() };
    for (pins, reason) in [
        (vec![pki.leaf.pin, backup()], Reason::Clock),
        (vec![backup(), backup()], Reason::Certificate),
    ] {
        let (requests, status) = upload(&pki.leaf, &pki.root, pins, timing).await;
        assert_eq!((requests, status.state), (0, State::Hold));
        assert_eq!(status.trouble.unwrap().reason, reason);
    }
}

#[tokio::test]
async fn tls_1_2_is_spoken_and_said() {
    let pki = Pki::new();
    let old = config(&pki.leaf, &[&rustls::version::TLS12], None);
    let server = Server::with(old, |_| ok()).await;
    let bench = Bench::to(server.port, &pki.root, vec![pki.leaf.pin, backup()]);
    bench.events(1).await;
    let flushed = bench.flush().await;
    assert!(flushed.drained);
    assert_eq!(flushed.status.session.unwrap().tls, "1.2");
}

#[tokio::test]
async fn a_server_that_demands_a_certificate_gets_the_one_that_lies_there_now() {
    let pki = Pki::new();
    let clients = Authority::root("the clients");
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let server = Server::with(config(&pki.leaf, &[version], Some(&clients)), |_| ok()).await;
        let bench = Bench::to(server.port, &pki.root, vec![pki.leaf.pin, backup()]);
        bench.events(1).await;
        let status = bench.flush().await.status;
        assert_eq!(status.reason(), Some("certificate"), "{status:?}");
        assert!(status.remedy().unwrap().contains("client_cert"), "{status:?}");

        let (cert, key) =
            (bench.dir.path().join("client.pem"), bench.dir.path().join("client.key"));
        let put = |leaf: &Leaf| {
            std::fs::write(&cert, &leaf.pem).unwrap();
            std::fs::write(&key, leaf.key.serialize_pem()).unwrap();
        };
        put(&clients.leaf(&["agent"], 2001..2002));
        bench.redirect(|to| {
            (to.client_cert, to.client_key) = (Some(cert.clone()), Some(key.clone()));
        });
        let status = bench.flush().await.status;
        assert_eq!((status.state, status.reason()), (State::Hold, Some("certificate")));
        assert_eq!(server.seen().len(), 0);

        // Renewed in place: the next connection shows the new one, without any word to the agent.
        put(&clients.leaf(&["agent"], NOW));
        assert!(bench.flush().await.drained);
        assert_eq!(bench.ledger().await.uploaded, 1);
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_used_holds_and_is_named() {
    let (bench, server) = Bench::with_server(|_| ok()).await;
    bench.events(1).await;
    let (missing, empty) =
        (bench.dir.path().join("missing.pem"), bench.dir.path().join("empty.pem"));
    std::fs::write(&empty, "nothing here").unwrap();
    let good = bench.settings.borrow().destination.clone().unwrap();
    for path in [&missing, &empty] {
        for is_root in [true, false] {
            let file = Some(path.clone());
            bench.redirect(|to| {
                if is_root {
                    to.ca_file = file;
                } else {
                    (to.client_cert, to.client_key) = (file.clone(), file);
                }
            });
            let status = bench.flush().await.status;
            assert_eq!((status.state, status.reason()), (State::Hold, Some("certificate")));
            assert!(status.detail().unwrap().contains(path.to_str().unwrap()), "{status:?}");
            bench.redirect(|to| *to = good.clone());
        }
    }
    bench.redirect(|to| to.client_cert = Some(empty.clone()));
    let status = bench.flush().await.status;
    assert!(status.detail().unwrap().contains("client_key"), "{status:?}");
    bench.redirect(|to| *to = good.clone());
    assert!(bench.flush().await.drained);
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn too_few_pins_hold_before_anything_is_looked_up() {
    let pki = Pki::new();
    for pins in [vec![], vec![pki.leaf.pin], vec![pki.leaf.pin, pki.leaf.pin]] {
        let server = Server::start(&pki.leaf, |_| ok()).await;
        let bench = Bench::to(server.port, &pki.root, pins.clone());
        bench.events(1).await;
        let status = bench.flush().await.status;
        assert_eq!((status.state, status.reason()), (State::Hold, Some("too_few_pins")));
        assert_eq!(server.connections(), 0);
        bench.redirect(|to| to.allow_single_pin = true);
        assert_eq!(bench.flush().await.drained, !pins.is_empty());
    }
}

#[tokio::test]
async fn a_test_of_pins_tells_what_would_match_and_sends_no_request() {
    let pki = Pki::new();
    let server = Server::start(&pki.leaf, |_| ok()).await;
    let dir = tempfile::tempdir().unwrap();
    let ca_file = dir.path().join("ca.pem");
    std::fs::write(&ca_file, &pki.root.pem).unwrap();
    let mut to = destination(server.port, ca_file, vec![]);

    let report = pins::test(&to, &timing()).await;
    assert_eq!(report.verified, [pki.leaf.pin, pki.intermediate.pin, pki.root.pin]);
    assert_eq!(report.trouble.unwrap().reason, Reason::Pin);
    let presented: Vec<_> = report.presented.iter().map(|shown| shown.pin).collect();
    assert_eq!(presented, [pki.leaf.pin, pki.intermediate.pin]);
    assert_eq!(report.presented[1].subject.as_deref(), Some("an intermediate"));

    to.pins = vec![pki.intermediate.pin];
    let report = pins::test(&to, &timing()).await;
    assert_eq!(report.session.unwrap().pin, pki.intermediate.pin);
    assert_eq!(report.trouble, None);

    to.endpoint.port = 1;
    assert_eq!(pins::test(&to, &timing()).await.trouble.unwrap().reason, Reason::Connection);
    assert_eq!(server.seen().len(), 0);
}

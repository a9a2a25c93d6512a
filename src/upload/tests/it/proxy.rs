//! The proxy: the only way out where one is set, with the pins intact.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use candor_upload::{State, Timing};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::bench::{Bench, timing};
use crate::pki::{Authority, NOW, backup};
use crate::server::{Server, ok};

/// A proxy that answers every `CONNECT` so; after a 200 it leads to `target`.
async fn proxy(answer: &'static str, target: u16) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&asked);
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(client.read_u8().await.unwrap());
            }
            let head = String::from_utf8(head).unwrap();
            notes.lock().unwrap().push(head.lines().next().unwrap().to_owned());
            client.write_all(answer.as_bytes()).await.unwrap();
            if answer.is_empty() {
                let _gone = client.read_u8().await;
            } else if answer.contains(" 200 ") {
                let mut server = TcpStream::connect(("127.0.0.1", target)).await.unwrap();
                tokio::spawn(async move {
                    let _ended = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                });
            }
        }
    });
    (port, asked)
}

/// An uploader to a name that no resolver knows, by this proxy.
fn bench(root: &Authority, pins: Vec<candor_model::Pin>, proxy: u16) -> Bench {
    let timing = Timing { handshake: Duration::from_millis(500), ..timing() };
    Bench::build(4318, root, pins, timing, |settings| {
        let to = settings.destination.as_mut().unwrap();
        to.endpoint.host = "endpoint.invalid".into();
        to.proxy = Some(("127.0.0.1".into(), proxy));
    })
}

#[tokio::test]
async fn a_proxy_leads_to_the_endpoint_and_the_pins_hold_behind_it() {
    let root = Authority::root("a root");
    let leaf = root.leaf(&["endpoint.invalid"], NOW);
    let server = Server::start(&leaf, |_| ok()).await;
    let (port, asked) = proxy("HTTP/1.1 200 Connection established\r\n\r\n", server.port).await;

    let good = bench(&root, vec![leaf.pin, backup()], port);
    good.events(2).await;
    assert!(good.flush().await.drained);
    assert_eq!(server.seen()[0].header("host"), Some("endpoint.invalid:4318"));
    assert_eq!(asked.lock().unwrap()[0], "CONNECT endpoint.invalid:4318 HTTP/1.1");

    let wrong = bench(&root, vec![backup(), backup()], port);
    wrong.events(2).await;
    let status = wrong.flush().await.status;
    assert_eq!((status.state, status.reason()), (State::Hold, Some("pin")));
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_proxy_that_fails_holds_and_is_never_gone_around() {
    let root = Authority::root("a root");
    let leaf = root.leaf(&["endpoint.invalid"], NOW);
    let server = Server::start(&leaf, |_| ok()).await;
    for (answer, word) in [
        ("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "credentials"),
        ("HTTP/1.1 403 Forbidden\r\n\r\n", "403"),
        ("HTTP/1.1 503 Unavailable\r\n\r\n", "503"),
        ("HTTP/1.1 301 Moved\r\nLocation: http://elsewhere/\r\n\r\n", "301"),
        ("SSH-2.0-OpenSSH_9.2\r\n\r\n", "not HTTP"),
        ("", "in time"),
    ] {
        let (port, _) = proxy(answer, server.port).await;
        let bench = bench(&root, vec![leaf.pin, backup()], port);
        bench.events(2).await;
        let status = bench.flush().await.status;
        assert_eq!((status.state, status.reason()), (State::Hold, Some("proxy")), "{status:?}");
        assert!(status.detail().unwrap().contains(word), "{status:?}");
        assert_eq!(bench.ledger().await.pending, 2);
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_dead_proxy_holds() {
    let root = Authority::root("a root");
    let leaf = root.leaf(&["localhost"], NOW);
    let server = Server::start(&leaf, |_| ok()).await;
    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let bench = Bench::build(server.port, &root, vec![leaf.pin, backup()], timing(), |settings| {
        settings.destination.as_mut().unwrap().proxy = Some(("127.0.0.1".into(), dead));
    });
    bench.events(2).await;
    let status = bench.flush().await.status;
    assert_eq!((status.state, status.reason()), (State::Hold, Some("proxy")), "{status:?}");
    assert_eq!(server.connections(), 0);
    bench.redirect(|to| to.proxy = None);
    assert!(bench.flush().await.drained);
}

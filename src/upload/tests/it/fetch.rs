//! Fetching a document: what is asked, what comes of each answer, and that it goes the pinned way.

use candor_model::Pin;
use candor_upload::{Destination, Fetched, Reason, Trouble, fetch};
use tempfile::NamedTempFile;

use crate::bench::{self, Pki, timing};
use crate::pki::{Authority, backup};
use crate::server::{Reply, Server, answer, ok};

const PATH: &str = "/v1/settings";

/// A destination, and the file with its root.
fn destination(port: u16, root: &Authority, pins: Vec<Pin>) -> (NamedTempFile, Destination) {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &root.pem).unwrap();
    let destination = bench::destination(port, file.path().to_owned(), pins);
    (file, destination)
}

/// What a fetch from a server with this answer brings.
async fn fetched(reply: fn() -> Reply) -> Result<Fetched, Trouble> {
    let pki = Pki::new();
    let server = Server::start(&pki.leaf, move |_| reply()).await;
    let (_file, destination) = destination(server.port, &pki.root, vec![pki.leaf.pin, backup()]);
    fetch(&destination, (PATH, None), &timing()).await
}

#[tokio::test]
async fn a_document_comes_with_its_tag_and_nothing_of_the_host_is_said() {
    let pki = Pki::new();
    let server = Server::start(&pki.leaf, |_| answer(200, "ETag: \"7\"\r\n", b"{}")).await;
    let (_file, destination) = destination(server.port, &pki.root, vec![pki.leaf.pin, backup()]);
    let document = Fetched::Document { body: b"{}".to_vec(), etag: Some("\"7\"".into()) };
    assert_eq!(fetch(&destination, (PATH, None), &timing()).await, Ok(document));
    server.now(|_| answer(304, "", b""));
    assert_eq!(fetch(&destination, (PATH, Some("\"7\"")), &timing()).await, Ok(Fetched::Unchanged));

    let seen = server.seen();
    assert_eq!(seen[0].line, "GET /otlp/v1/settings HTTP/1.1");
    assert_eq!(
        (seen[0].header("if-none-match"), seen[1].header("if-none-match")),
        (None, Some("\"7\""))
    );
    assert_eq!((seen[0].wire, server.broken()), (0, 0));
}

#[tokio::test]
async fn each_answer_is_a_document_or_a_reason() {
    assert_eq!(fetched(|| answer(404, "", b"")).await, Ok(Fetched::Nothing));
    let large = fetched(|| answer(200, "", &vec![b' '; 64 * 1024 + 1])).await;
    assert!(matches!(large, Ok(Fetched::Unread(why)) if why.contains("64 KiB")), "{large:?}");
    let whole = fetched(|| answer(200, "", &vec![b' '; 64 * 1024])).await;
    assert!(matches!(whole, Ok(Fetched::Document { body, .. }) if body.len() == 64 * 1024));
    let packed = fetched(|| answer(200, "Content-Encoding: gzip\r\n", b"x")).await;
    assert!(matches!(packed, Ok(Fetched::Unread(_))), "{packed:?}");
    for (reply, reason) in [
        (
            (|| answer(302, "Location: https://localhost/\r\n", b"")) as fn() -> Reply,
            Reason::Redirect,
        ),
        (|| answer(204, "", b""), Reason::Refused),
        (|| answer(401, "", b""), Reason::Unauthorized),
        (|| answer(503, "", b""), Reason::Busy),
        (|| Reply::Close(Vec::new()), Reason::Connection),
        (|| Reply::Close(b"220 mail\r\n".to_vec()), Reason::NotHttp),
    ] {
        assert_eq!(fetched(reply).await.unwrap_err().reason, reason);
    }
}

#[tokio::test]
async fn without_a_pinned_key_nothing_is_asked() {
    let pki = Pki::new();
    let server = Server::start(&pki.leaf, |_| ok()).await;
    for (pins, reason) in [
        (vec![backup(), backup()], Reason::Pin),
        (vec![pki.leaf.pin], Reason::TooFewPins),
        (vec![], Reason::TooFewPins),
    ] {
        let (_file, destination) = destination(server.port, &pki.root, pins);
        let refused = fetch(&destination, (PATH, None), &timing()).await.unwrap_err();
        assert_eq!(refused.reason, reason);
    }
    assert_eq!((server.seen().len(), server.connections()), (0, 1));
}

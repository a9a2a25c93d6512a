//! What a sender should not send, and a store that cannot take what it sends.

use std::net::SocketAddr;
use std::time::Duration;

use candor_model::Kind;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::client::{Answer, Client, gzip, head, logs, zstd};
use crate::server::Running;

const PROTOBUF: &str = "application/x-protobuf";

async fn post(client: &mut Client, path: &str, media: &str, body: &[u8]) -> Answer {
    client.send(&head(path, media, "", body.len())).await.unwrap();
    client.send(body).await.unwrap();
    client.answer().await.unwrap()
}

/// That the server still does its work, and what it has stored beside this one record.
async fn stored_beside_a_good_one(server: &Running) -> usize {
    let mut client = server.client().await;
    assert_eq!(client.post(Kind::Log, "", &logs("good", [1])).await.unwrap().status, 200);
    server.records().len() - 1
}

#[tokio::test]
async fn other_content_types_and_encodings_are_refused_with_the_reason() {
    let server = Running::start().await;
    for (media, encoding, word) in [
        ("application/json", "", "application/x-protobuf"),
        ("", "", "application/x-protobuf"),
        (PROTOBUF, "br", "zstd, gzip or none"),
        (PROTOBUF, "gzip, zstd", "zstd, gzip or none"),
    ] {
        let mut client = server.client().await;
        client.send(&head("/v1/logs", media, encoding, 2)).await.unwrap();
        client.send(b"{}").await.unwrap();
        let answer = client.answer().await.unwrap();
        assert_eq!(answer.status, 415, "{media} {encoding}");
        assert!(answer.headers.contains("content-type: text/plain"), "{answer:?}");
        assert!(answer.text().contains(word), "{}", answer.text());
    }
    assert_eq!(stored_beside_a_good_one(&server).await, 0);
}

#[tokio::test]
async fn what_is_no_protobuf_is_a_bad_request_and_stores_nothing() {
    let server = Running::start().await;
    let good = logs("h1", 1..=3);
    let mut bad = vec![
        ("", b"<html>no</html>".to_vec()),
        ("", good[..good.len() - 1].to_vec()),
        ("gzip", good.clone()),
        ("zstd", good.clone()),
        ("gzip", gzip(&good)[..60].to_vec()),
        ("zstd", zstd(&good)[..60].to_vec()),
        ("gzip", gzip(b"garbage")),
    ];
    // A zstd frame that asks for a window of 128 MiB: magic, descriptor, window, an empty last block.
    bad.push(("zstd", vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 17 << 3, 0x01, 0x00, 0x00]));
    for (encoding, body) in bad {
        let answer = server.client().await.post(Kind::Log, encoding, &body).await.unwrap();
        assert_eq!(answer.status, 400, "{encoding}: {}", answer.text());
        // google.rpc.Status: field 1 is the code 3, field 2 the message.
        assert_eq!(answer.body[..3], [0x08, 3, 0x12], "{}", answer.text());
    }
    assert_eq!(stored_beside_a_good_one(&server).await, 0);
}

#[tokio::test]
async fn a_request_of_which_one_record_is_bad_stores_none_of_it() {
    let server = Running::start().await;
    let good = logs("h1", [1]);
    // A second resource group whose record is no record: field 1 as a number.
    let bad = [0x0a, 0x06, 0x12, 0x04, 0x12, 0x02, 0x0d, 0x01];
    let answer =
        server.client().await.post(Kind::Log, "", &[&good[..], &bad[..]].concat()).await.unwrap();
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert_eq!(stored_beside_a_good_one(&server).await, 0);
}

#[tokio::test]
async fn bombs_are_refused_as_too_large() {
    let server = Running::start().await;
    let zeros = vec![0; 33 << 20];
    for (encoding, body) in [("gzip", gzip(&zeros)), ("zstd", zstd(&zeros))] {
        assert!(body.len() < 64 << 10, "small on the wire");
        let answer = server.client().await.post(Kind::Log, encoding, &body).await.unwrap();
        assert_eq!(answer.status, 413, "{}", answer.text());
        assert!(answer.text().contains("33554432 bytes after decompression"), "{}", answer.text());
    }
    assert_eq!(stored_beside_a_good_one(&server).await, 0);
}

#[tokio::test]
async fn a_body_that_is_too_long_gets_its_answer_even_while_it_is_still_sent() {
    let server = Running::start().await;
    let body = vec![0; (8 << 20) + 1];
    let answer = post(&mut server.client().await, "/v1/logs", PROTOBUF, &body).await;
    assert_eq!(answer.status, 413, "{}", answer.text());

    let mut client = server.client().await;
    let head = "POST /v1/logs HTTP/1.1\r\nHost: l\r\nContent-Type: application/x-protobuf\r\nTransfer-Encoding: chunked\r\n\r\n";
    client.send(head.as_bytes()).await.unwrap();
    for _ in 0..9 {
        client.send(b"100000\r\n").await.unwrap();
        client.send(&body[..1 << 20]).await.unwrap();
        client.send(b"\r\n").await.unwrap();
    }
    client.send(b"0\r\n\r\n").await.unwrap();
    assert_eq!(client.answer().await.unwrap().status, 413);
    assert_eq!(stored_beside_a_good_one(&server).await, 0);
}

#[tokio::test]
async fn other_paths_and_methods_are_said_to_be_none() {
    let server = Running::start().await;
    let mut client = server.client().await;
    assert_eq!(post(&mut client, "/v1/other", PROTOBUF, b"").await.status, 404);
    client.send(b"GET /v1/logs HTTP/1.1\r\nHost: l\r\n\r\n").await.unwrap();
    assert_eq!(client.answer().await.unwrap().status, 405);
}

#[tokio::test]
async fn a_sender_that_leaves_in_the_middle_costs_nothing() {
    let server = Running::start().await;
    let body = logs("h1", 1..=9);
    for cut in [0, 1, body.len() / 2, body.len() - 1] {
        let mut client = server.client().await;
        client.send(&head("/v1/logs", PROTOBUF, "", body.len())).await.unwrap();
        client.send(&body[..cut]).await.unwrap();
    }
    assert_eq!(stored_beside_a_good_one(&server).await, 0);
}

#[tokio::test]
async fn who_speaks_no_tls_is_disconnected_and_others_are_served() {
    let server = Running::start().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"POST /v1/logs HTTP/1.1\r\nHost: l\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    // An alert and the end, or a reset: in no case HTTP.
    stream.read_to_end(&mut answer).await.ok();
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    assert_eq!(stored_beside_a_good_one(&server).await, 0);
}

/// A server with room for one connection, which somebody takes and then says nothing.
async fn with_one_place() -> Running {
    Running::with(|settings| {
        settings.limits.connections = 1;
        settings.limits.handshake = Duration::from_secs(2);
        settings.limits.headers = Duration::from_secs(2);
    })
    .await
}

/// The deadline is only for the failing case, which would otherwise wait for ever.
async fn is_served(server: &Running) {
    let outcome = tokio::time::timeout(Duration::from_secs(20), stored_beside_a_good_one(server));
    assert_eq!(outcome.await, Ok(0), "the silent one still has the only place");
}

#[tokio::test]
async fn who_connects_and_begins_no_handshake_makes_room_for_others() {
    let server = with_one_place().await;
    let _silent = TcpStream::connect(server.address).await.unwrap();
    is_served(&server).await;
}

#[tokio::test]
async fn who_shakes_hands_and_asks_nothing_makes_room_for_others() {
    let server = with_one_place().await;
    let _idle = server.client().await;
    is_served(&server).await;
}

#[tokio::test]
async fn a_body_that_does_not_come_is_answered_in_time() {
    let server =
        Running::with(|settings| settings.limits.body_time = Duration::from_millis(100)).await;
    let mut client = server.client().await;
    client.send(&head("/v1/logs", PROTOBUF, "", 100)).await.unwrap();
    client.send(b"half").await.unwrap();
    let answer = client.answer().await.unwrap();
    assert_eq!(answer.status, 408, "{}", answer.text());
}

#[tokio::test]
async fn bodies_beyond_the_common_budget_are_asked_to_come_again() {
    let server = Running::with(|settings| settings.limits.bodies = 64 << 10).await;
    let mut holder = server.client().await;
    holder.send(&head("/v1/logs", PROTOBUF, "", 100 << 10)).await.unwrap();
    holder.send(&vec![0; 100 << 10]).await.unwrap();
    let answer = holder.answer().await.unwrap();
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(answer.headers.contains("retry-after: 1"), "{answer:?}");
    assert_eq!(stored_beside_a_good_one(&server).await, 0, "what it held is free again");
}

#[tokio::test]
async fn a_full_store_says_come_again_and_keeps_what_it_has() {
    let server = Running::with(|settings| settings.max_store_bytes = Some(192 << 10)).await;
    let mut client = server.client().await;
    let mut acknowledged = 0;
    let refused = loop {
        let first = acknowledged + 1;
        let answer = client.post(Kind::Log, "", &logs("h1", first..first + 50)).await.unwrap();
        if answer.status != 200 {
            break answer;
        }
        acknowledged += 50;
        assert!(acknowledged < 5_000, "it never fills");
    };
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(refused.headers.contains("retry-after: 60"), "{refused:?}");
    assert!(acknowledged > 0);
    assert_eq!(
        server.records().len() as u64,
        acknowledged,
        "all that was answered, no half request"
    );
    let dir = server.stop().await;
    assert!(dir.path().join("collector.db").metadata().unwrap().len() <= 192 << 10);
}

#[tokio::test]
async fn a_client_that_trusts_another_authority_does_not_connect() {
    let (server, other) = (Running::start().await, Running::start().await);
    assert!(Client::connect(server.address, other.dir.path()).await.is_err());
    let nobody: SocketAddr = server.address;
    assert!(Client::connect(nobody, server.dir.path()).await.is_ok());
}

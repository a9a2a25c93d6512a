//! Clients that take their time, and an agent that does: each is given up at its deadline.
//!
//! # Invariants
//! - Time is tokio's paused clock, which moves only when nothing else can happen. That holds for
//!   sockets, whose bytes are there at once; a pipe's come from another thread, so these tests are
//!   for sockets alone.
//!
//! On failure: panics, it is a test.

use std::time::Duration;

use candor_control::protocol::FlushRequest;
use tokio::io::AsyncWriteExt as _;
use tokio::time::Instant;

use crate::agent::{is_answered, read_all, with_server};

const WAIT: FlushRequest = FlushRequest { wait: true, stop_probes: false };
/// Connections that the server holds at once.
const PLACES: usize = 32;

#[tokio::test(start_paused = true)]
async fn clients_that_say_nothing_lose_their_place_after_the_time_for_a_head() {
    with_server(async |bench| {
        let mut silent = Vec::new();
        for _ in 0..PLACES {
            silent.push(bench.open().await);
        }
        let before = Instant::now();
        is_answered(bench).await;
        let waited = before.elapsed();
        assert_eq!(waited.as_secs(), 5);
        for mut stream in silent {
            let (answer, _) = read_all(&mut stream).await;
            assert!(!answer.contains("200 OK"), "{answer}");
        }
        is_answered(bench).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_head_and_a_body_that_drip_end_in_time() {
    with_server(async |bench| {
        for (start, limit) in [
            ("GET /v1/status HTTP/1.1\r\nHost: ", 5),
            ("POST /v1/level HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n ", 30),
        ] {
            let mut stream = bench.open().await;
            stream.write_all(start.as_bytes()).await.unwrap();
            let before = Instant::now();
            while stream.write_all(b"x").await.is_ok() && before.elapsed().as_secs() < 99 {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            let lasted = before.elapsed();
            assert_eq!(lasted.as_secs(), limit, "{start}: {lasted:?}");
        }
        is_answered(bench).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_does_not_answer_is_given_up_at_the_deadline() {
    with_server(async |bench| {
        let before = Instant::now();
        let error = bench.client.flush(WAIT).await.unwrap_err();
        assert!(error.to_string().contains("no answer within 120 s"), "{error}");
        assert_eq!(before.elapsed().as_secs(), 120);
        assert!(bench.agent.done.borrow().is_empty());
        is_answered(bench).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_reads_does_not_keep_its_place() {
    with_server(async |bench| {
        bench.agent.long.set(512 * 1024);
        let mut deaf = Vec::new();
        for _ in 0..PLACES {
            let mut stream = bench.open().await;
            stream.write_all(b"GET /v1/explain HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
            deaf.push(stream);
        }
        let before = Instant::now();
        is_answered(bench).await;
        assert_eq!(before.elapsed().as_secs(), 10);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn stopping_lets_an_answer_finish_and_ends_all_others() {
    with_server(async |bench| {
        let mut silent = bench.open().await;
        is_answered(bench).await;
        let flush = bench.client.flush(WAIT);
        let rest = async {
            bench.agent.flushing.notified().await;
            bench.stop.notify_one();
            assert_eq!(read_all(&mut silent).await.0, "");
            bench.agent.flushed.notify_one();
        };
        let (flushed, ()) = tokio::join!(flush, rest);
        assert!(flushed.unwrap().complete);
        assert!(bench.client.status().await.unwrap_err().is_no_daemon());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn stopping_does_not_wait_for_an_answer_that_does_not_come() {
    with_server(async |bench| {
        let before = Instant::now();
        let flush = bench.client.flush(WAIT);
        let rest = async {
            bench.agent.flushing.notified().await;
            bench.stop.notify_one();
        };
        let (flushed, ()) = tokio::join!(flush, rest);
        assert_eq!(flushed.unwrap_err().exit_code(), 69);
        assert_eq!(before.elapsed().as_secs(), 1);
    })
    .await;
}

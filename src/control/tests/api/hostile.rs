//! Clients that are slow, gone, greedy or mad: the server answers the next one all the same.
//!
//! # Invariants
//! - Each test ends with an ordinary call that is answered.
//!
//! On failure: panics, it is a test.

use std::time::Duration;

use candor_control::protocol::FlushRequest;
use tokio::io::AsyncWriteExt as _;
use tokio::time::Instant;

use crate::agent::{Bench, read_all, with_server};

const WAIT: FlushRequest = FlushRequest { wait: true, stop_probes: false };

async fn is_answered(bench: &Bench) {
    assert_eq!(bench.client.status().await.unwrap().version, "0.1.0");
}

/// A small generator (xorshift): the same bytes in every run.
struct Bytes(u64);

impl Bytes {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    /// Noise, or a request with some of its bytes changed, cut off somewhere.
    fn request(&mut self) -> Vec<u8> {
        const REQUESTS: [&[u8]; 3] = [
            b"POST /v1/level HTTP/1.1\r\nHost: x\r\nContent-Length: 13\r\n\r\n{\"level\":1.5}",
            b"GET /v1/status HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n",
            b"POST /v1/flush HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{ }\r\n0\r\n\r\n",
        ];
        if self.below(4) == 0 {
            return (0..self.below(300)).map(|_| self.next().to_be_bytes()[3]).collect();
        }
        let mut bytes = REQUESTS[self.below(3)].to_vec();
        for _ in 0..=self.below(4) {
            let place = self.below(bytes.len());
            bytes[place] = self.next().to_be_bytes()[3];
        }
        let length = bytes.len();
        bytes.truncate(length - self.below(2) * self.below(length));
        bytes
    }
}

#[tokio::test(start_paused = true)]
async fn after_thousands_of_malformed_requests_it_still_answers() {
    with_server(async |bench| {
        let mut bytes = Bytes(0x9e37_79b9_7f4a_7c15);
        for round in 0..3000 {
            let mut stream = bench.open().await;
            let _ = stream.write_all(&bytes.request()).await;
            if round % 3 == 0 {
                // One that closes its side and reads, one that reads on, one that goes away.
                let _ = stream.shutdown().await;
            }
            if round % 3 < 2 {
                let _ = read_all(&mut stream).await;
            }
        }
        is_answered(bench).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn clients_that_say_nothing_lose_their_place_after_the_time_for_a_head() {
    with_server(async |bench| {
        let mut silent = Vec::new();
        for _ in 0..40 {
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
async fn a_client_that_goes_away_does_not_end_what_it_asked_for() {
    with_server(async |bench| {
        let body = r#"{"wait":true}"#;
        let mut stream = bench.open().await;
        let head = "POST /v1/flush HTTP/1.1\r\nHost: x\r\nContent-Length: 13\r\n\r\n";
        stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        bench.agent.flushing.notified().await;
        drop(stream);
        is_answered(bench).await;
        bench.agent.flushed.notify_one();
        while bench.agent.done.borrow().is_empty() {
            is_answered(bench).await;
        }
        assert_eq!(*bench.agent.done.borrow(), ["flush true"]);
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
        bench.agent.long.set(4 * 1024 * 1024);
        let mut deaf = Vec::new();
        for _ in 0..32 {
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

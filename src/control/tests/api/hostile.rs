//! Clients that are gone or mad: the server answers the next one all the same.
//!
//! # Invariants
//! - Each test ends with an ordinary call that is answered.
//!
//! On failure: panics, it is a test.

use tokio::io::AsyncWriteExt as _;

use crate::agent::{is_answered, read_all, with_server};

/// A pipe takes its time to be ready for the next client.
const ROUNDS: usize = if cfg!(windows) { 300 } else { 3000 };

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

// A socket's clock is paused, so that a head that never ends is given up at once.
#[cfg_attr(unix, tokio::test(start_paused = true))]
#[cfg_attr(windows, tokio::test)]
async fn after_thousands_of_malformed_requests_it_still_answers() {
    with_server(async |bench| {
        let mut bytes = Bytes(0x9e37_79b9_7f4a_7c15);
        for round in 0..ROUNDS {
            let mut stream = bench.open().await;
            let _ = stream.write_all(&bytes.request()).await;
            if round % 3 == 0 {
                // One that closes its side and reads, one that reads on, one that goes away.
                let _ = stream.shutdown().await;
            }
            // A pipe has no sides to close, and its clock runs: there all go away.
            if round % 3 < 2 && cfg!(unix) {
                let _ = read_all(&mut stream).await;
            }
        }
        is_answered(bench).await;
    })
    .await;
}

#[tokio::test]
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

//! The client: a bounded queue and the thread that empties it.
//!
//! # Invariants
//! - At most [`QUEUE`] events wait; a batch has at most [`BATCH`].
//! - `emitted = confirmed + refused + dropped + waiting`, whatever happens.
//! - Dropping the client gives what waits one more try and [`FAREWELL`] of time.

use std::collections::VecDeque;
use std::env;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::http::{Answer, post, rejected};
use crate::json::{Queued, request};
use crate::{Event, OptOut};

/// Most events that wait.
const QUEUE: usize = 1_000;
/// Most events of one request.
const BATCH: usize = 100;
/// How long a lone event waits for company.
const LINGER: Duration = Duration::from_millis(200);
/// Pauses after a failure: this, and then twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// How long a client that is dropped may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// Where the agent listens for programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A unix socket: the agent knows who speaks.
    Socket(PathBuf),
    /// A port on loopback.
    Loopback(u16),
}

impl Default for Endpoint {
    /// The agent's socket, under `CANDOR_ROOT` where that is set; on Windows the port 4318.
    fn default() -> Self {
        if cfg!(windows) {
            return Self::Loopback(4318);
        }
        let root = env::var_os("CANDOR_ROOT").filter(|root| !root.is_empty());
        let root = root.unwrap_or_else(|| "/".into());
        Self::Socket(Path::new(&root).join("run/candor/otlp.sock"))
    }
}

/// What became of the events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// They are on the agent's disk.
    pub confirmed: u64,
    /// The agent refused them for good.
    pub refused: u64,
    /// There was no room in the queue, or no time at the end.
    pub dropped: u64,
    /// They wait.
    pub waiting: u64,
}

/// A client that is being set up.
#[derive(Clone, Debug)]
pub struct Builder {
    service: String,
    endpoint: Endpoint,
    opt_out: OptOut,
}

impl Builder {
    /// Another way to the agent than its socket.
    #[must_use]
    pub fn endpoint(mut self, endpoint: Endpoint) -> Self {
        self.endpoint = endpoint;
        self
    }

    /// How the program's user says no.
    #[must_use]
    pub fn opt_out(mut self, opt_out: OptOut) -> Self {
        self.opt_out = opt_out;
        self
    }

    /// The client. Where the user opted out, or no thread can be had, it does nothing.
    #[must_use]
    pub fn start(self) -> Client {
        let shared = Arc::new(Shared::default());
        let silenced = self.opt_out.found();
        let mut thread = None;
        if silenced.is_none() {
            let (service, endpoint, shared) = (self.service, self.endpoint, Arc::clone(&shared));
            let sender = Sender { service, endpoint, shared, pause: FIRST_PAUSE };
            thread = std::thread::Builder::new()
                .name("candor-client".to_owned())
                .spawn(move || sender.run())
                .ok();
        }
        Client { shared, thread, silenced }
    }
}

/// The program's end.
#[derive(Debug)]
pub struct Client {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    silenced: Option<String>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Something was put in, taken out or confirmed, or the client ends.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Queued>,
    in_flight: usize,
    counts: Counts,
    next: u64,
    is_hurried: bool,
    is_ending: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock; if it did, the counts would still be whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, time: Duration) -> MutexGuard<'a, State> {
        let waited = self.changed.wait_timeout(state, time);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl State {
    fn waiting(&self) -> usize {
        self.queue.len() + self.in_flight
    }
}

impl Client {
    /// A client of a program that calls itself so; its provider's manifest knows it by this name.
    #[must_use]
    pub fn builder(service: impl Into<String>) -> Builder {
        Builder { service: service.into(), endpoint: Endpoint::default(), opt_out: OptOut::new() }
    }

    /// Why this client does nothing, where the user opted out.
    #[must_use]
    pub fn silenced(&self) -> Option<&str> {
        self.silenced.as_deref()
    }

    /// Puts an event into the queue; `false` where there is no room, or the user opted out. Never waits.
    #[expect(clippy::must_use_candidate, reason = "a program may not care")]
    pub fn emit(&self, event: Event) -> bool {
        if self.thread.is_none() {
            return false;
        }
        let mut state = self.shared.lock();
        if state.waiting() >= QUEUE {
            state.counts.dropped += 1;
            return false;
        }
        put(&mut state, event);
        self.shared.changed.notify_all();
        true
    }

    /// The same, but where there is no room it waits for it so long.
    #[expect(clippy::must_use_candidate, reason = "a program may not care")]
    pub fn emit_within(&self, event: Event, time: Duration) -> bool {
        if self.thread.is_none() {
            return false;
        }
        let end = Instant::now() + time;
        let mut state = self.shared.lock();
        while state.waiting() >= QUEUE {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                state.counts.dropped += 1;
                return false;
            }
            state = self.shared.wait(state, left);
        }
        put(&mut state, event);
        self.shared.changed.notify_all();
        true
    }

    /// Waits until nothing waits any more, so long at most; `false` where something still does.
    #[expect(clippy::must_use_candidate, reason = "a program may not care")]
    pub fn flush(&self, time: Duration) -> bool {
        let end = Instant::now() + time;
        let mut state = self.shared.lock();
        state.is_hurried = true;
        self.shared.changed.notify_all();
        while state.waiting() > 0 {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.shared.wait(state, left);
        }
        state.is_hurried = false;
        state.waiting() == 0
    }

    /// What became of the events.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let state = self.shared.lock();
        Counts { waiting: state.waiting() as u64, ..state.counts }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        let end = Instant::now() + FAREWELL;
        let mut state = self.shared.lock();
        state.is_ending = true;
        self.shared.changed.notify_all();
        while state.waiting() > 0 {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                // It is left to itself: a program that ends does not wait for a slow agent.
                return;
            }
            state = self.shared.wait(state, left);
        }
        drop(state);
        let _ = thread.join();
    }
}

fn put(state: &mut State, event: Event) {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let uid = format!("{:x}-{:x}-{:x}", since.as_nanos(), std::process::id(), state.next);
    state.next += 1;
    state.queue.push_back(Queued { event, uid });
}

/// The thread's half.
struct Sender {
    service: String,
    endpoint: Endpoint,
    shared: Arc<Shared>,
    pause: Duration,
}

impl Sender {
    fn run(mut self) {
        while let Some(batch) = self.next() {
            let answer = post(&self.endpoint, &request(&self.service, &batch));
            let wait = self.settle(batch, answer.ok().as_ref());
            self.rest(wait);
        }
    }

    /// The next batch; `None` at the end.
    fn next(&self) -> Option<Vec<Queued>> {
        let mut state = self.shared.lock();
        while state.queue.is_empty() {
            if state.is_ending {
                return None;
            }
            state = self.shared.wait(state, Duration::from_hours(1));
        }
        let end = Instant::now() + LINGER;
        while state.queue.len() < BATCH && !state.is_hurried && !state.is_ending {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.shared.wait(state, left);
        }
        let count = state.queue.len().min(BATCH);
        let batch: Vec<Queued> = state.queue.drain(..count).collect();
        state.in_flight = count;
        Some(batch)
    }

    /// Counts a batch, or puts it back; says how long to wait before the next.
    fn settle(&mut self, batch: Vec<Queued>, answer: Option<&Answer>) -> Duration {
        let mut state = self.shared.lock();
        state.in_flight = 0;
        let count = batch.len() as u64;
        let wait = match answer {
            Some(Answer { status: 200..=299, body, .. }) => {
                let refused = rejected(body).min(count);
                state.counts.refused += refused;
                state.counts.confirmed += count - refused;
                self.pause = FIRST_PAUSE;
                Duration::ZERO
            }
            // What the agent will not understand the next time either.
            Some(Answer { status: 400 | 404 | 413 | 415 | 422, .. }) => {
                state.counts.refused += count;
                Duration::ZERO
            }
            other => {
                if state.is_ending {
                    state.counts.dropped += count;
                } else {
                    for queued in batch.into_iter().rev() {
                        state.queue.push_front(queued);
                    }
                }
                let asked = other.and_then(|answer| answer.retry_after);
                let wait = asked.unwrap_or(self.pause).min(LONGEST_PAUSE);
                self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                wait
            }
        };
        self.shared.changed.notify_all();
        wait
    }

    /// Waits, but not for a client that ends.
    fn rest(&self, time: Duration) {
        let end = Instant::now() + time;
        let mut state = self.shared.lock();
        while !state.is_ending {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = self.shared.wait(state, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// An agent that gives these answers, one a request, and hands back what it was asked.
    fn agent(answers: Vec<&'static str>) -> (Endpoint, JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let serve = move || {
            answers
                .iter()
                .map(|answer| {
                    let (mut stream, _) = listener.accept().unwrap();
                    let asked = request_of(&mut stream);
                    stream.write_all(answer.as_bytes()).unwrap();
                    asked
                })
                .collect()
        };
        (Endpoint::Loopback(port), thread::spawn(serve))
    }

    fn request_of(stream: &mut std::net::TcpStream) -> String {
        let mut bytes = Vec::new();
        let mut part = [0; 4096];
        loop {
            let length = stream.read(&mut part).unwrap();
            bytes.extend_from_slice(&part[..length]);
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let line = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
                if body.len() >= line.unwrap().parse().unwrap() {
                    return body.to_owned();
                }
            }
            assert!(length > 0, "the request ends early: {text}");
        }
    }

    fn client(endpoint: Endpoint) -> Client {
        Client::builder("shop").endpoint(endpoint).start()
    }

    const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    const PATIENCE: Duration = Duration::from_mins(1);

    #[test]
    fn an_event_that_came_too_fast_is_sent_again_with_the_same_id() {
        if OptOut::new().found().is_some() {
            return;
        }
        let slow = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n";
        let (endpoint, agent) = agent(vec![slow, OK]);
        let client = client(endpoint);
        assert!(client.emit(Event::new("shop.order")));
        assert!(client.flush(PATIENCE));
        assert_eq!(client.counts(), Counts { confirmed: 1, ..Counts::default() });
        let asked = agent.join().unwrap();
        assert_eq!(asked[0], asked[1]);
        assert!(
            asked[0].contains("shop.order") && asked[0].contains("log.record.uid"),
            "{asked:?}"
        );
    }

    #[test]
    fn what_the_agent_refuses_is_counted_and_not_sent_again() {
        if OptOut::new().found().is_some() {
            return;
        }
        let some = "HTTP/1.1 200 OK\r\nContent-Length: 48\r\n\r\n{\"partialSuccess\":{\"rejectedLogRecords\":\"1\"}}";
        let none = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
        let (endpoint, agent) = agent(vec![some, none]);
        let client = client(endpoint);
        for refused in 1..=2 {
            client.emit(Event::new("shop.order"));
            assert!(client.flush(PATIENCE));
            assert_eq!(client.counts(), Counts { refused, ..Counts::default() });
        }
        agent.join().unwrap();
    }

    #[test]
    fn without_an_agent_the_queue_fills_and_the_program_goes_on() {
        if OptOut::new().found().is_some() {
            return;
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let client = client(Endpoint::Loopback(port));
        let taken = (0..QUEUE + 5).filter(|_| client.emit(Event::new("shop.order"))).count();
        assert_eq!(taken, QUEUE);
        assert!(!client.emit_within(Event::new("shop.order"), Duration::from_millis(1)));
        assert!(!client.flush(Duration::from_millis(1)));
        let counts = client.counts();
        assert_eq!((counts.waiting, counts.dropped, counts.confirmed), (QUEUE as u64, 6, 0));
    }

    #[test]
    fn a_user_who_opted_out_is_left_alone() {
        // A flag that this test's own program has: its path.
        let own = std::env::args().next().unwrap();
        let client = Client::builder("shop").opt_out(OptOut::new().flag(&own)).start();
        assert!(client.silenced().is_some() && client.thread.is_none());
        assert!(!client.emit(Event::new("shop.order")) && client.flush(PATIENCE));
        assert_eq!(client.counts(), Counts::default());
    }
}

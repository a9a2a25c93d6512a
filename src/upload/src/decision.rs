//! What to do next: a pure function from (answer, now, state). `uploader` asks and obeys; nothing
//! here waits, sends, logs or reads a clock.
//!
//! ```text
//! 2xx                              acknowledge (partial success: some of it as rejected)
//! 408 429 5xx, lost, not HTTP      back off: full jitter, 1 s to 5 min, Retry-After honoured
//! 400 413 422                      split, down to one record; that one is dead-lettered
//! other 4xx, 3xx, proxy, TLS       hold: nothing sent, nothing dropped, probed seldom
//! ```
//!
//! # Invariants
//! - No number of attempts ever drops a record; only a refusal of one record alone does.
//! - A delay is never shorter than the server asked, and never longer than [`LONGEST_REQUESTED`].

use std::time::{Duration, SystemTime};

use candor_otlp::PartialSuccess;
use jiff::fmt::rfc2822;

use crate::answer::{Answer, Said};
use crate::verifier::Refusal;
use crate::{Reason, Trouble};

/// The shortest back-off.
pub const SHORTEST: Duration = Duration::from_secs(1);
/// The longest back-off that we choose ourselves.
pub const LONGEST: Duration = Duration::from_mins(5);
/// The longest back-off that a server can ask for. A day: more would be a way to silence an agent.
pub const LONGEST_REQUESTED: Duration = Duration::from_hours(24);
/// The most between two probes of a hold.
pub const PROBE: Duration = Duration::from_mins(15);

/// No clock of a host that runs this code stands before this moment: 2026-11-01T00:00:00Z, when
/// it was written (20758 days after 1970-01-01).
const WRITTEN: Duration = Duration::from_hours(20_758 * 24);
/// Nor so long after it.
const FAR_FUTURE: Duration = Duration::from_hours(25 * 365 * 24);

/// The moment of a decision.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Wall time, for `Retry-After` dates and to doubt the clock.
    pub wall: SystemTime,
    /// 64 random bits.
    pub random: u64,
}

/// What the uploader knows beside the answer.
#[derive(Clone, Copy, Debug)]
pub struct State {
    /// Attempts in a row that ended in a back-off.
    pub failures: u32,
    /// Records in the request that was answered.
    pub records: u64,
    /// The upload interval: a hold is probed no more seldom than this, nor than [`PROBE`].
    pub interval: Duration,
    /// Wall time of the last success, which the clock cannot be before.
    pub last_success: Option<SystemTime>,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The receiver has the records.
    Acknowledge {
        /// How many of them it refused for good. Never more than were sent.
        rejected: u64,
        /// Its words, a warning or the reason of the refusal.
        message: Option<String>,
        /// The answer's body could not be read; counted.
        unreadable: bool,
    },
    /// Keep everything and try again later.
    BackOff {
        /// How long from now.
        wait: Duration,
        /// Why.
        trouble: Trouble,
    },
    /// Send less at once, to find the record that the receiver refuses.
    Split {
        /// The request was too large (413): remember a smaller limit.
        too_large: bool,
    },
    /// The one record of the request is refused for good.
    DeadLetter {
        /// The receiver's answer.
        answer: String,
    },
    /// Keep everything and wait for a person; probe seldom.
    Hold {
        /// How long from now to the next probe.
        probe_after: Duration,
        /// Why, and what to do.
        trouble: Trouble,
    },
}

/// Decides.
#[must_use]
pub fn decide(answer: &Answer, now: Now, state: &State) -> Decision {
    match answer {
        Answer::Http { status, retry_after, said } => {
            by_status(*status, said, now, state).with_retry_after(retry_after.as_deref(), now)
        }
        Answer::Lost(what) => back_off(Trouble::new(Reason::Connection, what), now, state),
        Answer::TimedOut(what) => back_off(Trouble::new(Reason::Timeout, what), now, state),
        Answer::NotHttp(what) => back_off(Trouble::new(Reason::NotHttp, what), now, state),
        Answer::Certificate(refusal) => hold(refused(refusal, now, state), now, state),
        Answer::ClientCertificate(what) => {
            let remedy = "set upload.client_cert and upload.client_key to a certificate that the \
                          endpoint trusts, and renew it if it has expired";
            hold(Trouble::new(Reason::Certificate, what).with_remedy(remedy), now, state)
        }
        Answer::Proxy(what) => hold(Trouble::new(Reason::Proxy, what), now, state),
        Answer::Unready(what) => {
            let remedy = "mend the file that is named, or correct its path in agent.toml";
            hold(Trouble::new(Reason::Certificate, what).with_remedy(remedy), now, state)
        }
    }
}

fn by_status(status: u16, said: &Said, now: Now, state: &State) -> Decision {
    let detail = || match said {
        Said::Words(words) if !words.is_empty() => format!("HTTP {status}: {words}"),
        _ => format!("HTTP {status}"),
    };
    match status {
        200..=299 => acknowledge(said, state),
        // 1xx as a final answer, or a number that HTTP does not have.
        0..=199 | 600.. => back_off(Trouble::new(Reason::NotHttp, detail()), now, state),
        408 | 429 | 500..=599 => back_off(Trouble::new(Reason::Busy, detail()), now, state),
        400 | 413 | 422 if state.records > 1 => Decision::Split { too_large: status == 413 },
        400 | 413 | 422 => Decision::DeadLetter { answer: detail() },
        300..=399 => hold(Trouble::new(Reason::Redirect, detail()), now, state),
        401 | 403 | 407 => hold(Trouble::new(Reason::Unauthorized, detail()), now, state),
        404 => hold(Trouble::new(Reason::NotFound, detail()), now, state),
        _ => hold(Trouble::new(Reason::Refused, detail()), now, state),
    }
}

fn acknowledge(said: &Said, state: &State) -> Decision {
    match said {
        Said::Response(PartialSuccess { rejected, error_message }) => Decision::Acknowledge {
            // Of metrics the receiver counts points; a metric that lost one counts as rejected.
            rejected: (*rejected).min(state.records),
            message: (!error_message.is_empty())
                .then(|| crate::answer::words(error_message.as_bytes())),
            unreadable: false,
        },
        Said::Unreadable(why) | Said::Words(why) => {
            Decision::Acknowledge { rejected: 0, message: Some(why.clone()), unreadable: true }
        }
    }
}

fn back_off(trouble: Trouble, now: Now, state: &State) -> Decision {
    Decision::BackOff { wait: back_off_for(state.failures, now.random), trouble }
}

/// How long to back off after so many failures in a row: full jitter between [`SHORTEST`] and a
/// bound that doubles each time, up to [`LONGEST`].
#[must_use]
pub fn back_off_for(failures: u32, random: u64) -> Duration {
    let bound = SHORTEST.saturating_mul(2_u32.saturating_pow(failures.saturating_add(1)));
    between(SHORTEST, bound.min(LONGEST), random)
}

fn hold(trouble: Trouble, now: Now, state: &State) -> Decision {
    Decision::Hold { probe_after: probe_after(state.interval, now.random), trouble }
}

/// When a hold is probed: from half to all of the interval, at most [`PROBE`].
#[must_use]
pub fn probe_after(interval: Duration, random: u64) -> Duration {
    let most = interval.min(PROBE);
    between(most / 2, most, random)
}

/// Uniform in `[low, high]` by a given random number.
#[must_use]
pub fn between(low: Duration, high: Duration, random: u64) -> Duration {
    let span = u64::try_from(high.saturating_sub(low).as_micros()).unwrap_or(u64::MAX);
    low + Duration::from_micros(random % span.saturating_add(1).max(1))
}

impl Decision {
    /// A back-off lasts as long as the server asked; a tenth more, up to a minute, so that a fleet
    /// that was told the same does not come back as one.
    fn with_retry_after(self, header: Option<&str>, now: Now) -> Self {
        match (self, header.and_then(|header| retry_after(header, now.wall))) {
            (Self::BackOff { wait, trouble }, Some(asked)) => {
                let asked = asked.min(LONGEST_REQUESTED);
                let spread = (asked / 10).min(Duration::from_mins(1));
                Self::BackOff {
                    wait: wait.max(between(asked, asked + spread, now.random)),
                    trouble,
                }
            }
            (decision, _) => decision,
        }
    }
}

/// The delay that a `Retry-After` header asks for: seconds, or an HTTP date (RFC 9110, 10.2.3).
fn retry_after(header: &str, wall: SystemTime) -> Option<Duration> {
    let header = header.trim();
    if !header.is_empty() && header.bytes().all(|b| b.is_ascii_digit()) {
        // More digits than a u64 has is a very long time, not nonsense.
        return Some(Duration::from_secs(header.parse().unwrap_or(u64::MAX)));
    }
    let date = rfc2822::DateTimeParser::new().parse_timestamp(header).ok()?;
    let date = u64::try_from(date.as_second()).ok()?;
    let date = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(date))?;
    Some(date.duration_since(wall).unwrap_or_default())
}

fn refused(refusal: &Refusal, now: Now, state: &State) -> Trouble {
    let certificate =
        |remedy| Trouble::new(Reason::Certificate, refusal.to_string()).with_remedy(remedy);
    match refusal {
        Refusal::Pin { .. } => Trouble::new(Reason::Pin, refusal.to_string()),
        Refusal::Expired { pinned: true, .. } | Refusal::NotYetValid { pinned: true, .. }
            if !is_plausible(now.wall, state.last_success) =>
        {
            Trouble::new(Reason::Clock, format!("{refusal}, and this host's clock cannot be right"))
        }
        Refusal::UnknownIssuer => certificate(
            "set upload.ca_file to the certificate of the authority that signs the endpoint's, or \
             add it to the system's roots",
        ),
        Refusal::Expired { .. } => certificate("renew the endpoint's certificate"),
        Refusal::NotYetValid { .. } => {
            certificate("check this host's clock and the endpoint's certificate")
        }
        Refusal::WrongName { .. } => certificate(
            "write EventsEndpoint with a name that stands in the certificate, or renew the \
             certificate with this name",
        ),
        Refusal::Other(_) => certificate("run `agentctl pins test` and renew the certificate"),
    }
}

/// Whether a clock can be right: not before this code was written or a success was seen (but for a
/// day of drift), and not decades later.
fn is_plausible(wall: SystemTime, last_success: Option<SystemTime>) -> bool {
    const DRIFT: Duration = Duration::from_hours(24);
    let written = SystemTime::UNIX_EPOCH + WRITTEN;
    let earliest = last_success.and_then(|seen| seen.checked_sub(DRIFT)).unwrap_or(written);
    wall >= written.max(earliest) && wall <= written + FAR_FUTURE
}

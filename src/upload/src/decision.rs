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
#[derive(Clone, Copy, Debug, Default)]
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

/// Whether an answer says that its endpoint is out, so that another one may serve: nobody was there,
/// or who was there cannot serve anybody. A refusal, a hold or "slow down" is an answer.
#[must_use]
pub const fn is_outage(answer: &Answer) -> bool {
    matches!(
        answer,
        Answer::Lost(_)
            | Answer::TimedOut(_)
            | Answer::NotHttp(_)
            | Answer::Http { status: 500..=599, .. }
    )
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
pub(crate) fn is_plausible(wall: SystemTime, last_success: Option<SystemTime>) -> bool {
    const DRIFT: Duration = Duration::from_hours(24);
    let written = SystemTime::UNIX_EPOCH + WRITTEN;
    let earliest = last_success.and_then(|seen| seen.checked_sub(DRIFT)).unwrap_or(written);
    wall >= written.max(earliest) && wall <= written + FAR_FUTURE
}

#[cfg(test)]
mod tests {
    use candor_model::Pin;

    use super::*;

    const NOW: Now = Now { wall: SystemTime::UNIX_EPOCH, random: 0 };

    fn now(seconds: u64, random: u64) -> Now {
        Now { wall: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds), random }
    }

    fn state(records: u64) -> State {
        State { records, interval: Duration::from_mins(30), ..State::default() }
    }

    fn http(status: u16) -> Answer {
        Answer::Http { status, retry_after: None, said: Said::Words("words".into()) }
    }

    fn retry(status: u16, header: &str) -> Answer {
        let retry_after = Some(header.to_owned());
        Answer::Http { status, retry_after, said: Said::Words(String::new()) }
    }

    /// The row of the answer table that a decision stands in.
    fn row(answer: &Answer, records: u64) -> (&'static str, Option<Reason>) {
        match decide(answer, NOW, &state(records)) {
            Decision::Acknowledge { .. } => ("acknowledge", None),
            Decision::BackOff { trouble, .. } => {
                assert!(!trouble.reason.holds() && !trouble.remedy.is_empty());
                ("back off", Some(trouble.reason))
            }
            Decision::Split { too_large } => (if too_large { "shrink" } else { "split" }, None),
            Decision::DeadLetter { .. } => ("dead letter", None),
            Decision::Hold { trouble, .. } => {
                assert!(trouble.reason.holds() && !trouble.remedy.is_empty());
                ("hold", Some(trouble.reason))
            }
        }
    }

    #[test]
    fn every_status_stands_in_its_row_of_the_answer_table() {
        for status in 0..=999 {
            let expected = match status {
                200..=299 => ("acknowledge", None),
                408 | 429 | 500..=599 => ("back off", Some(Reason::Busy)),
                0..=199 | 600.. => ("back off", Some(Reason::NotHttp)),
                400 | 422 => ("split", None),
                413 => ("shrink", None),
                300..=399 => ("hold", Some(Reason::Redirect)),
                401 | 403 | 407 => ("hold", Some(Reason::Unauthorized)),
                404 => ("hold", Some(Reason::NotFound)),
                _ => ("hold", Some(Reason::Refused)),
            };
            assert_eq!(row(&http(status), 2), expected, "{status}");
        }
    }

    #[test]
    fn one_refused_record_alone_is_dead_lettered_with_the_receivers_words() {
        for status in [400, 413, 422] {
            let answer = format!("HTTP {status}: words");
            assert_eq!(decide(&http(status), NOW, &state(1)), Decision::DeadLetter { answer });
        }
    }

    #[test]
    fn what_is_no_answer_stands_in_its_row() {
        let what = || "something".to_owned();
        for (answer, expected) in [
            (Answer::Lost(what()), ("back off", Some(Reason::Connection))),
            (Answer::TimedOut(what()), ("back off", Some(Reason::Timeout))),
            (Answer::NotHttp(what()), ("back off", Some(Reason::NotHttp))),
            (Answer::Proxy(what()), ("hold", Some(Reason::Proxy))),
            (Answer::ClientCertificate(what()), ("hold", Some(Reason::Certificate))),
            (Answer::Unready(what()), ("hold", Some(Reason::Certificate))),
        ] {
            assert_eq!(row(&answer, 2), expected, "{answer:?}");
        }
    }

    #[test]
    fn an_outage_is_nobody_there_or_nobody_who_can_serve() {
        let what = || "something".to_owned();
        for answer in [Answer::Lost(what()), Answer::TimedOut(what()), Answer::NotHttp(what())] {
            assert!(is_outage(&answer), "{answer:?}");
        }
        assert!(!is_outage(&Answer::Proxy(what())), "the proxy is the same for every endpoint");
        assert!(!is_outage(&Answer::Unready(what())));
        for status in 0..=999 {
            assert_eq!(is_outage(&http(status)), (500..600).contains(&status), "{status}");
        }
    }

    #[test]
    fn a_partial_success_is_rejected_and_never_more_than_was_sent() {
        let said = Said::Response(PartialSuccess { rejected: 9, error_message: "old".into() });
        let answer = Answer::Http { status: 200, retry_after: None, said };
        let message = Some("old".to_owned());
        assert_eq!(
            decide(&answer, NOW, &state(4)),
            Decision::Acknowledge { rejected: 4, message, unreadable: false }
        );
    }

    #[test]
    fn success_with_an_unreadable_body_is_acknowledged_and_counted() {
        let said = Said::Unreadable("html".into());
        let answer = Answer::Http { status: 200, retry_after: None, said };
        assert!(matches!(
            decide(&answer, NOW, &state(4)),
            Decision::Acknowledge { rejected: 0, unreadable: true, .. }
        ));
    }

    fn wait(answer: &Answer, now: Now, failures: u32) -> Duration {
        match decide(answer, now, &State { failures, ..state(2) }) {
            Decision::BackOff { wait, .. } => wait,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn back_off_doubles_with_full_jitter_from_one_second_to_five_minutes() {
        let second = |n| Duration::from_secs(n);
        let most = |failures| {
            (0..2000).map(|n| wait(&http(503), now(0, n * 1_000_003), failures)).max().unwrap()
        };
        for failures in [0, 1, 7, 8, 9, 31, 32, u32::MAX] {
            assert_eq!(wait(&http(503), now(0, 0), failures), SHORTEST);
            assert!(most(failures) <= LONGEST);
        }
        assert!(most(0) <= second(2) && most(0) > second(1));
        assert!(most(3) <= second(16) && most(3) > second(14));
        assert!(most(u32::MAX) > second(290));
    }

    #[test]
    fn retry_after_is_honoured_in_seconds_and_as_a_date() {
        let date = "Fri, 20 Nov 2026 08:00:00 GMT";
        let at = 1_795_161_600;
        let second = |n| Duration::from_secs(n);
        assert_eq!(wait(&retry(429, "120"), now(0, 0), 0), second(120));
        assert_eq!(wait(&retry(503, date), now(at - 90, 0), 0), second(90));
        assert_eq!(wait(&retry(503, date), now(at + 90, 0), 0), SHORTEST);
        for random in 0..5000 {
            let waited = wait(&retry(429, "120"), now(0, random * 7919), 0);
            assert!(waited >= second(120) && waited <= second(132));
        }
    }

    #[test]
    fn a_retry_after_that_is_nonsense_or_endless_does_not_silence_us() {
        for nonsense in ["", "soon", "-5", "1.5", "Fri, 99 Nov"] {
            assert_eq!(wait(&retry(503, nonsense), NOW, 0), SHORTEST, "{nonsense}");
        }
        for endless in ["99999999999", "99999999999999999999999999"] {
            assert_eq!(wait(&retry(503, endless), NOW, 0), LONGEST_REQUESTED, "{endless}");
        }
    }

    #[test]
    fn a_hold_is_probed_seldom_and_no_more_seldom_than_the_interval() {
        let minutes = Duration::from_mins;
        for random in [0, 1, u64::MAX / 2, u64::MAX] {
            let after = probe_after(minutes(240), random);
            assert!(after >= PROBE / 2 && after <= PROBE);
            let after = probe_after(minutes(4), random);
            assert!(after >= minutes(2) && after <= minutes(4));
        }
        assert_eq!(probe_after(Duration::ZERO, 7), Duration::ZERO);
    }

    fn reason(refusal: Refusal, wall: u64, last_success: Option<u64>) -> Reason {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let state = State { last_success: last_success.map(at), ..state(2) };
        match decide(&Answer::Certificate(refusal), now(wall, 0), &state) {
            Decision::Hold { trouble, .. } => trouble.reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_clock_that_cannot_be_right_is_named_only_where_the_pin_matches() {
        let time = SystemTime::UNIX_EPOCH;
        let early = |pinned| Refusal::NotYetValid { not_before: time, pinned };
        let late = |pinned| Refusal::Expired { not_after: time, pinned };
        let (written, years) = (WRITTEN.as_secs(), 365 * 24 * 3600);
        assert_eq!(reason(early(true), 0, None), Reason::Clock);
        assert_eq!(reason(early(true), written - 1, None), Reason::Clock);
        assert_eq!(reason(early(true), written + 1, None), Reason::Certificate);
        assert_eq!(reason(early(true), written + 1, Some(written + years)), Reason::Clock);
        assert_eq!(reason(early(false), 0, None), Reason::Certificate);
        assert_eq!(reason(late(true), written + years, None), Reason::Certificate);
        assert_eq!(reason(late(true), written + 30 * years, None), Reason::Clock);
        assert_eq!(reason(late(false), written + 30 * years, None), Reason::Certificate);
    }

    #[test]
    fn every_refusal_of_a_certificate_holds_with_its_own_remedy() {
        let time = SystemTime::UNIX_EPOCH + WRITTEN;
        let refusals = [
            Refusal::Pin { seen: vec![Pin::from_bytes([1; 32])] },
            Refusal::UnknownIssuer,
            Refusal::Expired { not_after: time, pinned: true },
            Refusal::NotYetValid { not_before: time, pinned: false },
            Refusal::WrongName { expected: "a".into(), presented: vec!["b".into()] },
            Refusal::Other("BadDer".into()),
        ];
        let remedies: std::collections::BTreeSet<_> = refusals
            .map(|refusal| {
                match decide(&Answer::Certificate(refusal), now(2_000_000_000, 0), &state(2)) {
                    Decision::Hold { trouble, .. } => trouble.remedy,
                    other => panic!("{other:?}"),
                }
            })
            .into();
        assert_eq!(remedies.len(), 6);
    }
}

//! What is written into the journal about a request: before its first byte leaves, and what became of it.
//! `courier` calls it around each attempt.
//!
//! # Invariants
//! - No request leaves before the journal has it, or has counted that it could not take it.
//! - Every attempt has an outcome: one that is dropped on its way was broken off.
//! - The runtime's thread does not wait for the disk.

use std::time::SystemTime;

use candor_journal::{Ending, Flight, Journal, Outcome, Request, Run};
use candor_spool::Row;

use crate::answer::{Answer, Said};
use crate::body::encoding;
use crate::http::Post;
use crate::{Endpoint, Session};

/// Which records the rows hold, in their order.
pub(crate) fn runs(rows: &[Row]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for row in rows {
        let bytes = row.size() as u64;
        match runs.last_mut() {
            Some(run) if run.level == row.level && run.last() + 1 == row.first_seq => {
                run.records += row.records;
                run.bytes += bytes;
            }
            _ => {
                let (first, records, level) = (row.first_seq, row.records, row.level);
                runs.push(Run { first, records, level, bytes });
            }
        }
    }
    runs
}

/// A request that is in the journal and on its way.
pub(crate) struct Noted {
    journal: Journal,
    flight: Option<Flight>,
    wall: fn() -> SystemTime,
}

/// Writes a request down, and waits until the disk has it.
pub(crate) async fn note(
    journal: &Journal,
    post: &Post,
    (endpoint, session): (&Endpoint, Session),
    wall: fn() -> SystemTime,
) -> Noted {
    let request = Request {
        time: wall(),
        endpoint: format!("https://{}{}", endpoint.authority(), endpoint.path_for(post.kind)),
        pin: session.pin.to_string(),
        tls: session.tls.to_owned(),
        kind: post.kind,
        encoding: encoding(post.compression).unwrap_or("identity").to_owned(),
        runs: post.runs.clone(),
    };
    let (writer, body) = (journal.clone(), post.body.clone());
    let begun = tokio::task::spawn_blocking(move || {
        let flight = Some(writer.begin(&request, &body));
        // Made here, so that it has an outcome also where nobody waits for it any more.
        Noted { journal: writer, flight, wall }
    });
    // It fails only where the runtime ends: then nothing leaves any more.
    begun.await.unwrap_or_else(|_| Noted { journal: journal.clone(), flight: None, wall })
}

impl Noted {
    /// Writes down what became of it.
    pub(crate) async fn end(mut self, answer: &Answer) {
        let Some(flight) = self.flight.take() else { return };
        let (journal, outcome) = (self.journal.clone(), outcome(answer, (self.wall)()));
        let ended = tokio::task::spawn_blocking(move || journal.end(flight, outcome)).await;
        debug_assert!(ended.is_ok(), "the journal does not panic");
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        if let Some(flight) = self.flight.take() {
            let answer = "broken off by this agent; it may have arrived".to_owned();
            let outcome =
                Outcome { time: (self.wall)(), ending: Ending::BrokenOff, answer, rejected: 0 };
            self.journal.end(flight, outcome);
        }
    }
}

fn outcome(answer: &Answer, time: SystemTime) -> Outcome {
    let (ending, words, rejected) = match answer {
        Answer::Http { status, said, .. } => {
            let (words, rejected) = match said {
                Said::Response(partial) => (&partial.error_message, partial.rejected),
                Said::Unreadable(words) | Said::Words(words) => (words, 0),
            };
            (Ending::Answered { status: *status }, crate::answer::words(words.as_bytes()), rejected)
        }
        Answer::TimedOut(what) => (Ending::TimedOut, what.clone(), 0),
        Answer::NotHttp(what) => (Ending::NotHttp, what.clone(), 0),
        Answer::Lost(what)
        | Answer::ClientCertificate(what)
        | Answer::Proxy(what)
        | Answer::Unready(what) => (Ending::Lost, what.clone(), 0),
        Answer::Certificate(refusal) => (Ending::Lost, refusal.to_string(), 0),
    };
    Outcome { time, ending, answer: words, rejected }
}

#[cfg(test)]
mod tests {
    use candor_otlp::PartialSuccess;

    use super::*;

    #[test]
    fn an_outcome_has_the_receivers_words_and_what_it_refused() {
        let partial = PartialSuccess { rejected: 2, error_message: "too\x1b old".into() };
        let said = Said::Response(partial);
        let answer = Answer::Http { status: 200, retry_after: None, said };
        let told = outcome(&answer, SystemTime::UNIX_EPOCH);
        assert_eq!(
            (told.ending.status(), told.answer.as_str(), told.rejected),
            (Some(200), "too old", 2)
        );
        let told = outcome(&Answer::Lost("it broke".into()), SystemTime::UNIX_EPOCH);
        assert_eq!((told.ending, told.answer.as_str()), (Ending::Lost, "it broke"));
    }
}

//! Carries requests to one destination and brings the answers: opens a link when one is needed,
//! keeps it from one request to the next, lets it go with itself.
//!
//! # Invariants
//! - Every attempt is in the journal before its first byte leaves, and its outcome after it.
//! - One link at a time; a link that broke is never used again.
//! - A request is repeated at once only where a kept link turned out to be closed: the server had
//!   ended an idle connection, which is no failure. Everything else is an answer.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use candor_journal::Journal;

use crate::answer::Answer;
use crate::http::{Link, Post};
use crate::logbook::note;
use crate::tls::Session;
use crate::{Destination, Endpoint, Timing};

/// The way to one destination.
pub(crate) struct Courier<'a> {
    destination: &'a Destination,
    timing: &'a Timing,
    sent: &'a Arc<AtomicU64>,
    journal: Option<&'a Journal>,
    link: Option<Link>,
}

impl<'a> Courier<'a> {
    pub(crate) const fn new(
        destination: &'a Destination,
        timing: &'a Timing,
        sent: &'a Arc<AtomicU64>,
    ) -> Self {
        Self { destination, timing, sent, journal: None, link: None }
    }

    /// The same, with a journal that every attempt is written into.
    pub(crate) fn with_journal(self, journal: Option<&'a Journal>) -> Self {
        Self { journal, ..self }
    }

    /// Where it goes.
    pub(crate) const fn endpoint(&self) -> &Endpoint {
        &self.destination.endpoint
    }

    /// What the last handshake agreed on.
    pub(crate) fn session(&self) -> Option<Session> {
        self.link.as_ref().map(|link| link.session)
    }

    /// Posts and waits for the answer.
    pub(crate) async fn send(&mut self, post: &Post) -> Answer {
        if let Some(link) = &mut self.link
            && !link.is_open().await
        {
            self.link = None;
        }
        let kept = self.link.is_some();
        let answer = self.attempt(post).await;
        if kept && matches!(answer, Answer::Lost(_)) {
            return self.attempt(post).await;
        }
        answer
    }

    /// Takes leave of the server.
    pub(crate) async fn close(self) {
        if let Some(link) = self.link {
            link.close().await;
        }
    }

    async fn attempt(&mut self, post: &Post) -> Answer {
        let mut link = match self.link.take() {
            Some(link) => link,
            None => match Link::open(self.destination, self.timing, self.sent).await {
                Ok(link) => link,
                Err(answer) => return answer,
            },
        };
        let whereto = (&self.destination.endpoint, link.session);
        let noted = match self.journal {
            Some(journal) => Some(note(journal, post, whereto, self.timing.wall).await),
            None => None,
        };
        let answer = link.post(self.destination, post, self.timing).await;
        if let Some(noted) = noted {
            noted.end(&answer).await;
        }
        if matches!(answer, Answer::Http { .. }) {
            self.link = Some(link);
        }
        answer
    }
}

//! The connections that are open, and how many there may be. Held by `serve`.
//!
//! There are few, so each wakeup polls them all; that takes no allocation, no task and no lock.
//!
//! # Invariants
//! - Places are kept for administrators: others cannot fill the house.
//! - Dropping the crowd drops every connection.
//!
//! On failure: nothing here fails.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Connections at once.
pub(super) const PLACES: usize = 32;
/// Of these, for clients who are no administrators.
pub(super) const PLACES_FOR_OTHERS: usize = 24;

type Talk<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// The open connections.
#[derive(Default)]
pub(super) struct Crowd<'a> {
    members: Vec<Member<'a>>,
}

struct Member<'a> {
    administrator: bool,
    talk: Talk<'a>,
}

impl<'a> Crowd<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether not even an administrator finds a place.
    pub(super) fn is_full(&self) -> bool {
        self.members.len() >= PLACES
    }

    pub(super) fn has_room_for(&self, administrator: bool) -> bool {
        let others = self.members.iter().filter(|member| !member.administrator).count();
        !self.is_full() && (administrator || others < PLACES_FOR_OTHERS)
    }

    pub(super) fn enter(&mut self, administrator: bool, talk: Talk<'a>) {
        self.members.push(Member { administrator, talk });
    }

    /// Lets all talk until at least one has ended. Safe to cancel.
    pub(super) async fn one_leaves(&mut self) {
        poll_fn(|cx| {
            let before = self.members.len();
            self.poll_all(cx);
            if self.members.len() < before { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Lets all talk until none is left.
    pub(super) async fn all_leave(&mut self) {
        poll_fn(|cx| {
            self.poll_all(cx);
            if self.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    fn poll_all(&mut self, cx: &mut Context<'_>) {
        self.members.retain_mut(|member| member.talk.as_mut().poll(cx).is_pending());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_leave_places_for_administrators() {
        let mut crowd = Crowd::default();
        for _ in 0..PLACES_FOR_OTHERS {
            assert!(crowd.has_room_for(false));
            crowd.enter(false, Box::pin(std::future::pending()));
        }
        assert!(!crowd.has_room_for(false));
        for _ in PLACES_FOR_OTHERS..PLACES {
            assert!(crowd.has_room_for(true));
            crowd.enter(true, Box::pin(std::future::pending()));
        }
        assert!(crowd.is_full() && !crowd.has_room_for(true));
    }

    #[tokio::test]
    async fn who_has_ended_makes_room() {
        let mut crowd = Crowd::default();
        crowd.enter(true, Box::pin(std::future::pending()));
        crowd.enter(true, Box::pin(std::future::ready(())));
        crowd.one_leaves().await;
        assert_eq!(crowd.members.len(), 1);
    }
}

//! Owns every task: starts it, starts it again after a panic, and gives up when that happens too often.
//!
//! # Invariants
//! - No task runs that no supervisor owns; dropping the supervisor ends them all.
//! - A task that panics costs itself one round; a task that keeps panicking stops the agent, so that the
//!   service manager sees it, rather than leaving a daemon that looks alive and does nothing.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::task::{Id, JoinSet};
use tokio::time::Instant;

/// Panics that one task may have within [`WINDOW`].
const BUDGET: usize = 5;
/// How long a panic counts.
const WINDOW: Duration = Duration::from_mins(10);

type Task = Pin<Box<dyn Future<Output = ()>>>;

struct Owned {
    name: &'static str,
    start: Box<dyn FnMut() -> Task>,
    id: Id,
    panics: VecDeque<Instant>,
}

/// A task used up its restarts.
#[derive(Debug, thiserror::Error)]
#[error(
    "the task `{name}` panicked {BUDGET} times within ten minutes; its last words are in the log"
)]
pub struct GaveUp {
    name: &'static str,
}

/// Tasks on the one runtime thread.
#[derive(Default)]
pub(crate) struct Supervisor {
    running: JoinSet<()>,
    owned: Vec<Owned>,
}

impl Supervisor {
    /// Starts a task; `start` makes it anew after a panic.
    pub(crate) fn own<F>(&mut self, name: &'static str, mut start: impl FnMut() -> F + 'static)
    where
        F: Future<Output = ()> + 'static,
    {
        let mut start: Box<dyn FnMut() -> Task> = Box::new(move || Box::pin(start()));
        let id = self.running.spawn_local(start()).id();
        self.owned.push(Owned { name, start, id, panics: VecDeque::new() });
    }

    /// Watches until every task has ended by itself.
    ///
    /// # Errors
    /// [`GaveUp`] when a task used up its restarts.
    pub(crate) async fn watch(&mut self) -> Result<(), GaveUp> {
        while let Some(ended) = self.running.join_next_with_id().await {
            match ended {
                Ok((id, ())) => self.owned.retain(|owned| owned.id != id),
                Err(error) if error.is_panic() => self.restart(error.id())?,
                Err(_) => {}
            }
        }
        Ok(())
    }

    fn restart(&mut self, id: Id) -> Result<(), GaveUp> {
        let Some(owned) = self.owned.iter_mut().find(|owned| owned.id == id) else { return Ok(()) };
        let now = Instant::now();
        owned.panics.push_back(now);
        while owned.panics.front().is_some_and(|at| now.duration_since(*at) > WINDOW) {
            owned.panics.pop_front();
        }
        if owned.panics.len() >= BUDGET {
            return Err(GaveUp { name: owned.name });
        }
        tracing::error!(task = owned.name, "panicked; starting it again");
        owned.id = self.running.spawn_local((owned.start)()).id();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use tokio::task::LocalSet;

    use super::*;

    fn run(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        LocalSet::new().block_on(&runtime, test);
    }

    #[test]
    fn a_task_that_panics_is_started_again() {
        run(async {
            let rounds = Rc::new(Cell::new(0));
            let seen = Rc::clone(&rounds);
            let mut supervisor = Supervisor::default();
            supervisor.own("test", move || {
                let rounds = Rc::clone(&rounds);
                async move {
                    rounds.set(rounds.get() + 1);
                    assert!(rounds.get() == 3, "not yet");
                }
            });
            supervisor.watch().await.unwrap();
            assert_eq!(seen.get(), 3);
        });
    }

    #[test]
    fn a_task_that_keeps_panicking_is_given_up() {
        run(async {
            let mut supervisor = Supervisor::default();
            supervisor.own("test", || async { panic!("always") });
            assert_eq!(supervisor.watch().await.unwrap_err().name, "test");
        });
    }
}

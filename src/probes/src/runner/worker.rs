//! The thread on which probes run, and the bench where jobs wait and outcomes lie until the
//! runner collects them.
//!
//! # Invariants
//! - One worker at a time may take jobs: the one with the current number. A worker that overstayed
//!   finds its number gone, lays down what it has as late, and ends.
//! - Every probe that was handed in comes back through the bench exactly once, or is still running.
//! - No lock is held while a probe runs.
//!
//! A worker that cannot be started fails its jobs; the next round tries again.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{any::Any, fmt, io, thread};

use candor_model::Record;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::cpu_clock::thread_cpu;
use crate::schedule::Work;
use crate::{Host, Moment, Probe, ProbeError};

/// Enough for the probes: they read files line by line.
const STACK_BYTES: usize = 512 * 1024;

/// One probe's work in one round.
pub(super) struct Job {
    pub(super) index: usize,
    pub(super) round: u64,
    pub(super) probe: Box<dyn Probe>,
    pub(super) work: Work,
    pub(super) host: Arc<Host>,
    pub(super) now: Moment,
    pub(super) deadline: Duration,
}

/// What a job came to.
pub(super) struct Done {
    pub(super) index: usize,
    pub(super) round: u64,
    pub(super) probe: Box<dyn Probe>,
    pub(super) outcome: Result<Vec<Record>, Loss>,
    pub(super) cpu: Duration,
    pub(super) is_late: bool,
    /// Whether its outcome is that of a report.
    pub(super) has_reported: bool,
}

/// Why a round of a probe was lost.
#[derive(Debug)]
pub(super) enum Loss {
    Failed(ProbeError),
    Panicked(String),
    Overstayed(Duration),
}

impl Loss {
    /// The message with its causes, for `status`.
    pub(super) fn chain(&self) -> String {
        let error = match self {
            Self::Failed(error) => error,
            Self::Panicked(message) => return format!("panicked: {message}"),
            Self::Overstayed(deadline) => return format!("no answer within {deadline:?}"),
        };
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(error);
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        text
    }
}

/// Where jobs wait and outcomes lie.
#[derive(Default)]
pub(super) struct Bench {
    state: Mutex<State>,
    work: Condvar,
    idle: Notify,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Job>,
    running: Option<Running>,
    done: Vec<Done>,
    /// The worker that may take jobs.
    worker: u64,
    is_staffed: bool,
    is_closed: bool,
}

/// What the current worker is at.
#[derive(Clone, Copy)]
struct Running {
    index: usize,
    round: u64,
    deadline: Duration,
    until: Instant,
}

impl Bench {
    /// Hands in jobs and waits until each is done or overstayed. Gives back those of `round` that
    /// overstayed, with their deadlines.
    pub(super) async fn finish(
        self: &Arc<Self>,
        jobs: Vec<Job>,
        round: u64,
    ) -> Vec<(usize, Duration)> {
        self.state().waiting.extend(jobs);
        self.staff();
        let mut lost = Vec::new();
        while let Some(patience) = self.patience() {
            if timeout(patience, self.idle.notified()).await.is_err()
                && let Some(running) = self.abandon_overdue()
                && running.round == round
            {
                lost.push((running.index, running.deadline));
            }
        }
        lost
    }

    /// Takes what is done. What still waits was left over by a round that was dropped; it comes
    /// back as late.
    pub(super) fn collect(&self) -> Vec<Done> {
        let mut state = self.state();
        let mut done = std::mem::take(&mut state.done);
        done.extend(state.waiting.drain(..).map(|job| job.undone(Ok(Vec::new()), true)));
        done
    }

    /// Ends the worker as soon as it is free.
    pub(super) fn close(&self) {
        self.state().is_closed = true;
        self.work.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long to wait before looking for a probe that overstays; `None` when all is done.
    fn patience(&self) -> Option<Duration> {
        let state = self.state();
        match (state.running, state.waiting.front()) {
            (Some(running), _) => Some(running.until.saturating_duration_since(Instant::now())),
            (None, Some(job)) => Some(job.deadline),
            (None, None) => None,
        }
    }

    /// Leaves the worker behind when its job has overstayed, and lets another take the rest.
    fn abandon_overdue(self: &Arc<Self>) -> Option<Running> {
        let mut state = self.state();
        let running = state.running.take_if(|running| running.until <= Instant::now())?;
        state.worker += 1;
        state.is_staffed = false;
        let is_rest = !state.waiting.is_empty();
        drop(state);
        if is_rest {
            self.staff();
        }
        Some(running)
    }

    /// Sees to it that a worker is there and awake.
    fn staff(self: &Arc<Self>) {
        let mut state = self.state();
        if state.is_staffed {
            self.work.notify_all();
            return;
        }
        let (bench, number) = (Arc::clone(self), state.worker);
        let worker = thread::Builder::new().name("probes".to_owned()).stack_size(STACK_BYTES);
        match worker.spawn(move || bench.serve(number)) {
            Ok(_) => state.is_staffed = true,
            Err(error) => state.refuse_all(&error),
        }
    }

    /// The worker's life: take a job, do it, lay it down.
    fn serve(&self, number: u64) {
        while let Some(job) = self.take(number) {
            let done = job.run();
            let mut state = self.state();
            if state.worker != number {
                state.done.push(Done { is_late: true, ..done });
                return;
            }
            state.done.push(done);
            state.running = None;
            if state.waiting.is_empty() {
                self.idle.notify_one();
            }
        }
    }

    fn take(&self, number: u64) -> Option<Job> {
        let mut state = self.state();
        loop {
            if state.is_closed || state.worker != number {
                return None;
            }
            if let Some(job) = state.waiting.pop_front() {
                let Job { index, round, deadline, .. } = job;
                let until = Instant::now() + deadline;
                state.running = Some(Running { index, round, deadline, until });
                return Some(job);
            }
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl fmt::Debug for Bench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bench").finish_non_exhaustive()
    }
}

impl State {
    fn refuse_all(&mut self, error: &io::Error) {
        for job in self.waiting.drain(..) {
            let source = io::Error::new(error.kind(), error.to_string());
            let loss = Loss::Failed(ProbeError::System { what: "a thread for the probes", source });
            self.done.push(job.undone(Err(loss), false));
        }
    }
}

impl Job {
    fn run(mut self) -> Done {
        let begun = thread_cpu();
        let outcome = catch_unwind(AssertUnwindSafe(|| self.work()));
        let outcome = match outcome {
            Ok(outcome) => outcome.map_err(Loss::Failed),
            Err(panic) => Err(self.recover(panic.as_ref())),
        };
        let cpu = begun.zip(thread_cpu()).map(|(begun, end)| end.saturating_sub(begun));
        Done { cpu: cpu.unwrap_or_default(), ..self.undone(outcome, false) }
    }

    /// After a failed sample the window stays open until the next report.
    fn work(&mut self) -> Result<Vec<Record>, ProbeError> {
        let Self { probe, work, host, now, .. } = self;
        if work.sample {
            probe.sample(host, *now)?;
        }
        if work.report { probe.report(host, *now) } else { Ok(Vec::new()) }
    }

    /// What a panic left half done is forgotten.
    fn recover(&mut self, panic: &(dyn Any + Send)) -> Loss {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        // A probe that panics even here has lost nothing more than the round.
        let _ = catch_unwind(AssertUnwindSafe(|| self.probe.reset()));
        Loss::Panicked(text.unwrap_or_default())
    }

    fn undone(self, outcome: Result<Vec<Record>, Loss>, is_late: bool) -> Done {
        let Self { index, round, probe, work, .. } = self;
        let (cpu, has_reported) = (Duration::ZERO, work.report);
        Done { index, round, probe, outcome, cpu, is_late, has_reported }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use candor_model::Level;

    use super::*;
    use crate::Rhythm;

    struct Acting<F>(F);

    impl<F: FnMut() -> Result<Vec<Record>, ProbeError> + Send> Probe for Acting<F> {
        fn name(&self) -> &'static str {
            "acting"
        }
        fn level(&self) -> Level {
            Level::Basic
        }
        fn rhythm(&self) -> Rhythm {
            Rhythm::EachReport
        }
        fn report(&mut self, _: &Host, _: Moment) -> Result<Vec<Record>, ProbeError> {
            (self.0)()
        }
    }

    fn job(
        index: usize,
        deadline: Duration,
        act: impl FnMut() -> Result<Vec<Record>, ProbeError> + Send + 'static,
    ) -> Job {
        let work = Work { sample: false, report: true };
        let (host, now) = (Arc::new(Host::live()), Moment::default());
        Job { index, round: 1, probe: Box::new(Acting(act)), work, host, now, deadline }
    }

    #[tokio::test]
    async fn a_worker_that_comes_back_late_does_not_disturb_its_successor() {
        let bench = Arc::new(Bench::default());
        let (release, wait) = channel::<()>();
        let late = job(0, Duration::from_millis(20), move || {
            let _ = wait.recv();
            Ok(vec![])
        });
        let (view, mut release) = (Arc::clone(&bench), Some(release));
        let successor = job(1, Duration::from_mins(10), move || {
            release.take();
            while view.state().done.is_empty() {
                thread::yield_now();
            }
            let is_mine = view.state().running.is_some_and(|running| running.index == 1);
            let path = "/".into();
            is_mine.then(Vec::new).ok_or(ProbeError::Format { path, what: "disturbed" })
        });
        let lost = bench.finish(vec![late, successor], 1).await;
        assert_eq!(lost, [(0, Duration::from_millis(20))]);
        let done = bench.collect();
        let seen: Vec<_> =
            done.iter().map(|done| (done.index, done.is_late, done.outcome.is_ok())).collect();
        assert_eq!(seen, [(0, true, true), (1, false, true)]);
        bench.close();
    }
}

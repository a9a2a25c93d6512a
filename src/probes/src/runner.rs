//! Runs the probes that are due, on a thread of its own that can be left behind. The service asks
//! for a [`Runner::round`] whenever [`Runner::next_due`] says so and hands the records on.
//!
//! ```text
//! round -> jobs -> worker thread: sample, report -> outcomes -> records
//!                  overstays? a new worker takes over the other jobs
//! ```
//!
//! The thread is not one of the async runtime's: a runtime waits for its threads when it stops, and
//! a thread that hangs in the kernel must not keep the agent from stopping.
//!
//! # Invariants
//! - A probe that hangs, panics or fails makes no other probe lose a round. The others wait for a
//!   hanging one at most until its deadline.
//! - What a probe brings back too late is thrown away, since the level may have changed meanwhile.
//! - An inventory record that is equal to the last one goes on once a day only.
//! - All probes of a round share one wake-up of the worker and one of the caller.
//!
//! Every lost round is counted and shown in [`ProbeStatus`]; nothing here fails as a whole.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use candor_model::{Level, Record};

use crate::absence;
use crate::schedule::{DAY, Work};
use crate::{
    Change, Changes, Host, Intervals, Moment, Probe, ProbeStatus, Rhythm, Schedule, Whereabouts,
};

mod cpu_clock;
mod worker;

use worker::{Bench, Job, Loss};

/// All probes, their timetable and their worker.
#[derive(Debug)]
pub struct Runner {
    host: Arc<Host>,
    schedule: Schedule,
    slots: Vec<Slot>,
    bench: Arc<Bench>,
    level: Option<Level>,
    round: u64,
}

/// A probe's place; `probe` is empty while the worker has it.
struct Slot {
    probe: Option<Box<dyn Probe>>,
    rhythm: Rhythm,
    deadline: Duration,
    whereabouts: Option<Whereabouts>,
    wakes_on: &'static [Change],
    sent: Option<Sent>,
    status: ProbeStatus,
}

/// The inventory that went on last, and when by the boot clock.
struct Sent {
    records: Vec<Record>,
    at: Duration,
}

impl Runner {
    /// A runner over `probes`; its thread starts with the first round and ends with the runner.
    #[must_use]
    pub fn new(host: Host, probes: Vec<Box<dyn Probe>>, intervals: Intervals) -> Self {
        let schedule = Schedule::new(&probes, intervals);
        let slots = probes.into_iter().map(Slot::new).collect();
        let (host, bench) = (Arc::new(host), Arc::new(Bench::default()));
        Self { host, schedule, slots, bench, level: None, round: 0 }
    }

    /// Takes over changed intervals.
    pub fn set_intervals(&mut self, intervals: Intervals, now: Moment) {
        self.schedule.set_intervals(intervals, now.boot);
    }

    /// Makes those probes due that look at what changed.
    pub fn note(&mut self, changes: Changes) {
        for (index, slot) in self.slots.iter().enumerate() {
            if slot.wakes_on.iter().any(|change| changes.has(*change)) {
                self.schedule.hasten(index);
            }
        }
    }

    /// When [`Runner::round`] is wanted next, by the boot clock; an instant in the past means at
    /// once, `None` that the level allows nothing.
    #[must_use]
    pub fn next_due(&self, level: Level) -> Option<Duration> {
        self.schedule.next_due(level)
    }

    /// Runs what is due at `now` and gives back its records.
    ///
    /// A level other than the last round's takes effect first: what is above it is forgotten, and
    /// after a raise inventory goes on anew, since it may say more now. A dropped future loses the
    /// round's records and nothing else.
    pub async fn round(&mut self, now: Moment, level: Level) -> Vec<Record> {
        self.change_level(level);
        let due = self.schedule.due(now.boot, level);
        self.run(now, due).await
    }

    /// Samples with every probe that samples and is allowed, due or not.
    pub async fn sample_now(&mut self, now: Moment, level: Level) {
        self.change_level(level);
        let sampling = self.allowed(level).filter(|(_, slot)| slot.rhythm == Rhythm::Sampled);
        let work = Work { sample: true, report: false };
        let due = sampling.map(|(index, _)| (index, work)).collect();
        self.run(now, due).await;
    }

    /// Reports with every probe that is allowed, due or not: for a preview, and for the last words
    /// before the agent stops. Inventory that did not change stays unsaid.
    pub async fn report_now(&mut self, now: Moment, level: Level) -> Vec<Record> {
        self.change_level(level);
        let work = Work { sample: false, report: true };
        let due = self.allowed(level).map(|(index, _)| (index, work)).collect();
        self.run(now, due).await
    }

    /// Forgets every aggregate and what went on, as after a start: collection was switched off.
    pub fn forget(&mut self) {
        (0..self.slots.len()).for_each(|index| self.forget_one(index));
        self.level = None;
    }

    /// What is known of each probe that `level` allows.
    #[must_use]
    pub fn statuses(&self, level: Level) -> Vec<ProbeStatus> {
        self.allowed(level).map(|(index, slot)| slot.shown(self.schedule.next_of(index))).collect()
    }

    fn allowed(&self, level: Level) -> impl Iterator<Item = (usize, &Slot)> {
        self.slots.iter().enumerate().filter(move |(_, slot)| slot.status.level <= level)
    }

    fn change_level(&mut self, level: Level) {
        let before = self.level.replace(level);
        let raised = before.is_some_and(|before| before < level);
        for index in 0..self.slots.len() {
            if before != Some(level) && self.slots[index].status.level > level {
                self.forget_one(index);
            } else if raised && self.slots[index].rhythm == Rhythm::Inventory {
                self.slots[index].sent = None;
                self.schedule.forget(index);
            }
        }
    }

    fn forget_one(&mut self, index: usize) {
        let slot = &mut self.slots[index];
        slot.sent = None;
        if let Some(probe) = &mut slot.probe {
            probe.reset();
        }
        self.schedule.forget(index);
    }

    async fn run(&mut self, now: Moment, due: Vec<(usize, Work)>) -> Vec<Record> {
        self.round += 1;
        self.collect(now);
        let jobs: Vec<_> = due.into_iter().filter_map(|(i, work)| self.job(now, i, work)).collect();
        if jobs.is_empty() {
            return Vec::new();
        }
        let bench = Arc::clone(&self.bench);
        for (index, deadline) in bench.finish(jobs, self.round).await {
            self.slots[index].lose(&Loss::Overstayed(deadline));
        }
        self.collect(now)
    }

    /// Makes the job of one probe; a probe that is still away loses this round too.
    fn job(&mut self, now: Moment, index: usize, work: Work) -> Option<Job> {
        let slot = &mut self.slots[index];
        let (host, deadline, round) = (Arc::clone(&self.host), slot.deadline, self.round);
        let Some(probe) = slot.probe.take() else {
            slot.lose(&Loss::Overstayed(deadline));
            return None;
        };
        Some(Job { index, round, probe, work, host, now, deadline })
    }

    /// Puts the probes that came back in their places and gives back this round's records.
    fn collect(&mut self, now: Moment) -> Vec<Record> {
        let mut records = Vec::new();
        for mut done in self.bench.collect() {
            let slot = &mut self.slots[done.index];
            slot.status.cpu += done.cpu;
            if done.is_late || done.round != self.round {
                done.probe.reset();
                self.schedule.forget(done.index);
            } else {
                records.append(&mut slot.settle(now, done.has_reported, done.outcome));
            }
            slot.probe = Some(done.probe);
        }
        records
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.bench.close();
    }
}

impl Slot {
    fn new(probe: Box<dyn Probe>) -> Self {
        let status = ProbeStatus {
            name: probe.name(),
            level: probe.level(),
            last_success: None,
            last_error: None,
            failures: 0,
            abandoned: 0,
            is_away: false,
            absent: Vec::new(),
            next: None,
            cpu: Duration::ZERO,
        };
        let (rhythm, deadline) = (probe.rhythm(), probe.deadline());
        let (whereabouts, wakes_on) = (probe.whereabouts(), probe.wakes_on());
        Self { probe: Some(probe), rhythm, deadline, whereabouts, wakes_on, sent: None, status }
    }

    fn shown(&self, next: Option<Duration>) -> ProbeStatus {
        ProbeStatus { is_away: self.probe.is_none(), next, ..self.status.clone() }
    }

    fn lose(&mut self, loss: &Loss) {
        self.status.failures += 1;
        let mut error = loss.chain();
        if matches!(loss, Loss::Overstayed(_)) {
            self.status.abandoned += 1;
            let place = self.whereabouts.as_ref().and_then(Whereabouts::place);
            error.extend(place.map(|place| format!(" from `{place}`")));
        }
        tracing::debug!(probe = self.status.name, error, "a probe lost a round");
        self.status.last_error = Some(error);
    }

    fn settle(
        &mut self,
        now: Moment,
        has_reported: bool,
        outcome: Result<Vec<Record>, Loss>,
    ) -> Vec<Record> {
        match outcome {
            Ok(records) => {
                if has_reported {
                    self.status.absent = absence::of(self.status.name, &records);
                }
                self.status.last_success = Some(now.wall);
                self.status.last_error = None;
                self.unsaid(now, records)
            }
            Err(loss) => {
                self.lose(&loss);
                Vec::new()
            }
        }
    }

    /// Inventory as it is, or nothing where it is what went on less than a day ago.
    fn unsaid(&mut self, now: Moment, records: Vec<Record>) -> Vec<Record> {
        if self.rhythm != Rhythm::Inventory {
            return records;
        }
        let is_said = |sent: &Sent| sent.records == records && now.boot < sent.at + DAY;
        if self.sent.as_ref().is_some_and(is_said) {
            return Vec::new();
        }
        self.sent = Some(Sent { records: records.clone(), at: now.boot });
        records
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("status", &self.status).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::mpsc::{Receiver, Sender, channel};

    use candor_model::UnixNanos;
    use candor_model::events::device::Machine;

    use super::*;
    use crate::ProbeError;

    type Act = Box<dyn FnMut(Moment) -> Result<Vec<Record>, ProbeError> + Send>;

    struct Fake {
        name: &'static str,
        level: Level,
        rhythm: Rhythm,
        deadline: Duration,
        act: Act,
        resets: Arc<AtomicU32>,
    }

    impl Probe for Fake {
        fn name(&self) -> &'static str {
            self.name
        }
        fn level(&self) -> Level {
            self.level
        }
        fn rhythm(&self) -> Rhythm {
            self.rhythm
        }
        fn wakes_on(&self) -> &'static [Change] {
            &[Change::Network]
        }
        fn deadline(&self) -> Duration {
            self.deadline
        }
        fn report(&mut self, _: &Host, now: Moment) -> Result<Vec<Record>, ProbeError> {
            (self.act)(now)
        }
        fn reset(&mut self) {
            self.resets.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn fake(name: &'static str, act: Act) -> Fake {
        let deadline = Duration::from_mins(10);
        let resets = Arc::default();
        Fake { name, level: Level::Basic, rhythm: Rhythm::EachReport, deadline, act, resets }
    }

    fn told(model: &str) -> Vec<Record> {
        vec![Machine { model: Some(model.to_owned()), ..Machine::default() }.into()]
    }

    fn healthy() -> Fake {
        fake("healthy", Box::new(|_| Ok(told("healthy"))))
    }

    fn runner(probes: Vec<Fake>) -> Runner {
        let probes = probes.into_iter().map(|probe| Box::new(probe) as Box<dyn Probe>).collect();
        let second = Duration::from_secs(1);
        Runner::new(Host::live(), probes, Intervals { sample: second, report: second })
    }

    fn at(seconds: u64) -> Moment {
        let time = Duration::from_secs(seconds);
        Moment { wall: UnixNanos(seconds * 1_000_000_000), boot: time, monotonic: time }
    }

    fn status(runner: &Runner, name: &str) -> ProbeStatus {
        runner.statuses(Level::Full).into_iter().find(|status| status.name == name).unwrap()
    }

    #[tokio::test]
    async fn a_panic_costs_one_round_and_one_counter() {
        let mut rounds = 0;
        let act = move |_| {
            rounds += 1;
            assert!(rounds > 1, "the first round");
            Ok(told("again"))
        };
        let mut runner = runner(vec![fake("panicky", Box::new(act)), healthy()]);
        assert_eq!(runner.round(at(1), Level::Basic).await, told("healthy"));
        let shown = status(&runner, "panicky");
        assert_eq!((shown.failures, shown.abandoned, shown.is_away), (1, 0, false));
        assert_eq!(shown.last_error.as_deref(), Some("panicked: the first round"));
        let both = [told("again"), told("healthy")].concat();
        assert_eq!(runner.round(at(2), Level::Basic).await, both);
        let shown = status(&runner, "panicky");
        assert_eq!((shown.failures, shown.last_error), (1, None));
        assert_eq!(shown.last_success, Some(at(2).wall));
    }

    #[tokio::test]
    async fn an_error_is_shown_with_its_causes() {
        let act = |_| {
            let source = io::Error::new(io::ErrorKind::PermissionDenied, "not for you");
            Err(ProbeError::Read { path: "/proc/secret".into(), source })
        };
        let mut runner = runner(vec![fake("curious", Box::new(act))]);
        assert_eq!(runner.round(at(1), Level::Basic).await, []);
        let shown = status(&runner, "curious");
        assert_eq!(shown.last_error.as_deref(), Some("cannot read `/proc/secret`: not for you"));
        assert_eq!((shown.failures, shown.last_success), (1, None));
    }

    #[tokio::test]
    async fn inventory_is_looked_at_as_soon_as_it_may_have_changed_and_nothing_else_is() {
        let mut looks = 0;
        let look = move |_| {
            looks += 1;
            Ok(told(if looks < 3 { "same" } else { "other" }))
        };
        let inventory = Fake { rhythm: Rhythm::Inventory, ..fake("links", Box::new(look)) };
        let mut runner = runner(vec![inventory, healthy()]);
        let network = Changes::of(&[Change::Network]);
        assert_eq!(
            runner.round(at(1), Level::Basic).await,
            [told("same"), told("healthy")].concat()
        );
        runner.note(Changes::of(&[Change::Hardware]));
        assert_eq!(runner.next_due(Level::Basic), Some(at(2).boot));
        for said in [vec![], told("other")] {
            runner.note(network);
            assert_eq!(runner.next_due(Level::Basic), Some(Duration::ZERO));
            assert_eq!(runner.round(at(1), Level::Basic).await, said);
        }
    }

    /// A probe that hangs until it is released, and says when it is about to.
    fn hanging() -> (Fake, Sender<()>, Arc<AtomicU32>) {
        let (release, wait): (Sender<()>, Receiver<()>) = channel();
        let act = move |_| {
            let _ = wait.recv();
            Ok(told("too late"))
        };
        let probe = Fake { deadline: Duration::from_millis(20), ..fake("stuck", Box::new(act)) };
        let resets = Arc::clone(&probe.resets);
        (probe, release, resets)
    }

    #[tokio::test]
    async fn a_probe_that_hangs_is_left_behind_and_the_others_lose_nothing() {
        let (stuck, release, resets) = hanging();
        let mut runner = runner(vec![stuck, healthy()]);
        assert_eq!(runner.round(at(1), Level::Basic).await, told("healthy"));
        let shown = status(&runner, "stuck");
        assert_eq!((shown.failures, shown.abandoned, shown.is_away), (1, 1, true));
        assert_eq!(shown.last_error.as_deref(), Some("no answer within 20ms"));

        assert_eq!(runner.round(at(2), Level::Basic).await, told("healthy"));
        assert_eq!(status(&runner, "stuck").abandoned, 2, "skipped and counted");
        assert_eq!(resets.load(Ordering::SeqCst), 0);

        drop(release);
        let mut time = 3;
        while status(&runner, "stuck").is_away {
            let records = runner.round(at(time), Level::Basic).await;
            assert!(!records.contains(&told("too late")[0]) || resets.load(Ordering::SeqCst) == 1);
            time += 1;
        }
        assert_eq!(resets.load(Ordering::SeqCst), 1, "what it brought back is forgotten");
        let last = runner.round(at(time), Level::Basic).await;
        assert_eq!(last, [told("too late"), told("healthy")].concat(), "it takes part again");
    }

    #[tokio::test]
    async fn a_round_that_is_dropped_loses_its_own_records_only() {
        let (mut stuck, release, _) = hanging();
        stuck.deadline = Duration::from_mins(10);
        let mut runner = runner(vec![stuck, healthy()]);
        {
            let round = runner.round(at(1), Level::Basic);
            let nothing = std::future::ready(());
            tokio::pin!(round);
            tokio::select! { biased; _ = &mut round => unreachable!(), () = nothing => {} }
        }
        release.send(()).unwrap();
        drop(release);
        let mut time = 2;
        while status(&runner, "stuck").last_success.is_none() {
            runner.round(at(time), Level::Basic).await;
            time += 1;
        }
        let both = [told("too late"), told("healthy")].concat();
        assert_eq!(runner.round(at(time), Level::Basic).await, both);
    }

    #[tokio::test]
    async fn inventory_goes_on_when_it_changed_and_once_a_day() {
        let act =
            |now: Moment| Ok(told(if now.boot < Duration::from_secs(5) { "old" } else { "new" }));
        let inventory = Fake { rhythm: Rhythm::Inventory, ..fake("inventory", Box::new(act)) };
        let mut runner = runner(vec![inventory]);
        assert_eq!(runner.round(at(1), Level::Basic).await, told("old"));
        assert_eq!(runner.round(at(2), Level::Basic).await, []);
        assert_eq!(status(&runner, "inventory").last_success, Some(at(2).wall));
        assert_eq!(runner.round(at(6), Level::Basic).await, told("new"));
        let day = DAY.as_secs();
        assert_eq!(runner.round(at(6 + day - 1), Level::Basic).await, []);
        assert_eq!(runner.round(at(6 + day), Level::Basic).await, told("new"));
    }

    #[tokio::test]
    async fn lowering_forgets_what_is_above_and_raising_says_inventory_anew() {
        let inventory = Fake { rhythm: Rhythm::Inventory, ..healthy() };
        let above = Fake { level: Level::Full, ..fake("above", Box::new(|_| Ok(told("above")))) };
        let resets = Arc::clone(&above.resets);
        let mut runner = runner(vec![inventory, above]);
        assert_eq!(
            runner.round(at(1), Level::Full).await,
            [told("healthy"), told("above")].concat()
        );
        assert_eq!(resets.load(Ordering::SeqCst), 0);
        assert_eq!(runner.round(at(2), Level::Basic).await, []);
        assert_eq!(resets.load(Ordering::SeqCst), 1);
        assert_eq!(runner.statuses(Level::Basic).len(), 1);
        assert_eq!(
            runner.round(at(2), Level::Full).await,
            [told("healthy"), told("above")].concat()
        );
    }

    #[tokio::test]
    async fn after_being_switched_off_everything_starts_anew() {
        let inventory = Fake { rhythm: Rhythm::Inventory, ..healthy() };
        let mut runner = runner(vec![inventory]);
        assert_eq!(runner.round(at(1), Level::Basic).await, told("healthy"));
        runner.forget();
        assert_eq!(runner.next_due(Level::Basic), Some(Duration::ZERO));
        assert_eq!(runner.report_now(at(1), Level::Basic).await, told("healthy"));
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_probe_is_charged_for_its_own_cpu_time() {
        let act = |_| {
            let begun = cpu_clock::thread_cpu();
            while cpu_clock::thread_cpu() <= begun.map(|cpu| cpu + Duration::from_millis(2)) {}
            Ok(vec![])
        };
        let mut runner = runner(vec![fake("busy", Box::new(act)), healthy()]);
        runner.round(at(1), Level::Basic).await;
        let (busy, other) = (status(&runner, "busy").cpu, status(&runner, "healthy").cpu);
        assert!(busy >= Duration::from_millis(2) && other < busy, "{busy:?} {other:?}");
    }
}

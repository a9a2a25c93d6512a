//! A power cut after each change of the disk: what was answered is there, what was under way
//! happened as a whole or not at all, and nothing counts as damage.

use crate::disk::{Disk, Fate};
use crate::script::{Holding, SCRIPT, copy, holding, open, run, step};
use crate::vfs::{Op, Watch};
use crate::{choice, temp};

/// A recorded run: the changes, and what the store held after so many of them.
struct Run {
    trace: Vec<Op>,
    marks: Vec<(usize, Holding)>,
}

fn record() -> Run {
    let dir = temp();
    let watch = Watch::over(dir.path());
    let mut copies = Vec::new();
    run(async {
        let spool = open(dir.path()).unwrap();
        copies.push((watch.len(), copy(dir.path())));
        for (number, doing) in SCRIPT.iter().enumerate() {
            step(&spool, number, *doing).await.unwrap();
            // A barrier: housekeeping between two commands belongs to the first.
            spool.meta("a barrier").await.unwrap();
            copies.push((watch.len(), copy(dir.path())));
        }
        spool.close().await.unwrap();
        copies.push((watch.len(), copy(dir.path())));
    });
    let trace = watch.take();
    drop(watch);
    let marks = copies.into_iter().map(|(at, copy)| (at, run(holding(copy.path())))).collect();
    Run { trace, marks }
}

impl Run {
    /// What the store may hold after so many changes: what was answered last, or what was next.
    fn allowed(&self, changes: usize) -> Option<(&Holding, &Holding)> {
        let next = self.marks.partition_point(|(at, _)| *at <= changes);
        let answered = &self.marks.get(next.checked_sub(1)?)?.1;
        Some((answered, self.marks.get(next).map_or(answered, |(_, held)| held)))
    }

    fn check(&self, changes: usize, disk: &Disk, fate: Fate) {
        let dir = temp();
        disk.leave(dir.path(), fate);
        let found = run(holding(dir.path()));
        let Some((answered, next)) = self.allowed(changes) else {
            assert_eq!((found.generated, found.damages), (0, 0), "{changes} {fate:?}");
            return;
        };
        assert!(
            found == *answered || found == *next,
            "after {changes} of {} changes, {fate:?}:\n{}\nanswered\n{}\nnext\n{}",
            self.trace.len(),
            brief(&found),
            brief(answered),
            brief(next)
        );
    }
}

/// Without the bodies.
fn brief(held: &Holding) -> String {
    let waiting: Vec<_> = held.waiting.iter().map(|(seq, body)| (seq, body.len())).collect();
    let Holding { generated, uploaded, dropped, dead, gaps, meta, damages, .. } = held;
    format!("{generated} {uploaded} {dropped:?} {waiting:?} {dead:?} {gaps:?} {meta:?} {damages}")
}

#[test]
fn a_power_cut_after_any_change_of_the_disk_loses_nothing_that_was_answered() {
    let recorded = record();
    assert!(recorded.trace.len() > 400, "{}", recorded.trace.len());
    let mut disk = Disk::default();
    let mut chosen = choice(recorded.trace.len(), 60).peekable();
    for (n, op) in recorded.trace.iter().enumerate() {
        disk.apply(op);
        if chosen.next_if_eq(&n).is_none() {
            continue;
        }
        let seed = u64::try_from(n).unwrap() * 31;
        for fate in
            [Fate::Lost, Fate::LostButMirror, Fate::Kept, Fate::Mixed(seed), Fate::Mixed(seed + 1)]
        {
            recorded.check(n + 1, &disk, fate);
        }
    }
}

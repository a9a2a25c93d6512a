//! What `status` says that a power cut would cost, and what it costs then, at every change of the disk.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use candor_model::Level;
use candor_spool::{Spool, Urgency};

use crate::disk::{Disk, Fate};
use crate::script::{Step, drafts, handed_over, holding, open, run, step};
use crate::vfs::{Op, Watch, Word};
use crate::{choice, temp};

/// Drafts linger while keys are written, rows leave, and other drafts are committed at once.
const SCRIPT: &[Step] = {
    use Level::{Basic, Enhanced, Full, Security};
    use Step::{Append, Commit, Linger, Meta};
    &[
        Meta(1),
        Linger(Enhanced, 4, 700),
        Meta(2),
        Linger(Full, 3, 500),
        Meta(3),
        Append(Basic, 2, 300),
        Meta(4),
        Linger(Basic, 5, 9_000),
        Meta(5),
        Commit,
        Linger(Full, 2, 70_000),
        Meta(6),
        // With these the group is full, and commits by itself.
        Linger(Full, 2, 70_000),
        Meta(7),
        Linger(Basic, 1, 100),
        Meta(8),
        // Security waits for nobody, and takes the others with it.
        Linger(Security, 1, 100),
        Meta(9),
        Linger(Enhanced, 9, 2_000),
        Meta(10),
    ]
};

/// The drafts that were handed over, by the first two bytes of their bodies, and when.
type Given = Arc<Mutex<Vec<([u8; 2], Instant)>>>;

/// Runs the script; each change of the disk, with what the ledger said of its loss bound just before.
fn record() -> (Vec<Op>, Given) {
    let dir = temp();
    let watch = Watch::over(dir.path());
    let given = Given::default();
    run(async {
        let spool = open(dir.path()).unwrap();
        watch.ask(asked(&spool, &given));
        for (number, doing) in SCRIPT.iter().enumerate() {
            step(&spool, number, *doing).await.unwrap();
            let now = Instant::now();
            let name = |n: u8| ([u8::try_from(number).unwrap(), n], now);
            given.lock().unwrap().extend((0..handed_over(*doing)).map(name));
        }
        spool.close().await.unwrap();
    });
    (watch.take(), given)
}

fn asked(spool: &Spool, given: &Given) -> Box<dyn Fn() -> Word + Send> {
    let (spool, given) = (spool.clone(), Arc::clone(given));
    Box::new(move || {
        let (at, given) = (Instant::now(), given.lock().unwrap().len());
        Word { at, given, bound: spool.ledger().lingering }
    })
}

/// What was handed over and is lost, if power fails after a change.
fn lost(disk: &Disk, fate: Fate, given: &[([u8; 2], Instant)]) -> Vec<Instant> {
    let dir = temp();
    disk.leave(dir.path(), fate);
    let found = run(holding(dir.path()));
    let there: BTreeSet<[u8; 2]> = found.waiting.values().map(|body| [body[0], body[1]]).collect();
    given.iter().filter(|(name, _)| !there.contains(name)).map(|(_, at)| *at).collect()
}

#[test]
fn a_power_cut_costs_no_more_events_and_no_more_seconds_than_was_said_just_before() {
    let (trace, given) = record();
    let given = given.lock().unwrap();
    let mut disk = Disk::default();
    let mut chosen = choice(trace.len(), 60).peekable();
    let mut exact = 0;
    for (n, op) in trace.iter().enumerate() {
        disk.apply(op);
        let (Some(_), Some(word)) = (chosen.next_if_eq(&n), op.word) else { continue };
        let seed = u64::try_from(n).unwrap() * 37;
        for fate in [Fate::Lost, Fate::LostButMirror, Fate::Kept, Fate::Mixed(seed)] {
            let lost = lost(&disk, fate, &given[..word.given]);
            let what = format!("after change {n}, {fate:?}: {} lost, {word:?}", lost.len());
            assert!(lost.len() as u64 <= word.bound.events, "{what}");
            let oldest = lost.iter().map(|since| word.at.duration_since(*since)).max();
            assert!(oldest.unwrap_or_default() <= word.bound.oldest, "{what}");
            exact += u32::from(!lost.is_empty() && lost.len() as u64 == word.bound.events);
        }
    }
    assert!(exact >= 10, "the bound is what is lost, not only more: {exact}");
}

#[test]
fn what_is_handed_over_while_the_disk_does_not_answer_is_in_the_loss_bound() {
    let dir = temp();
    let watch = Watch::over(dir.path());
    run(async {
        let spool = open(dir.path()).unwrap();
        let (gate, waiting) = (watch.hold(), spool.clone());
        let urgent = waiting.append(drafts(0, Level::Basic, 1, 10), Urgency::Now);
        let mut urgent = std::pin::pin!(urgent);
        tokio::select! {
            biased;
            done = &mut urgent => unreachable!("{done:?}: the sync is held"),
            () = std::future::ready(()) => {}
        }
        gate.is_reached();
        let since = Instant::now();
        for number in 1..4 {
            spool.append(drafts(number, Level::Full, 2, 10), Urgency::Linger).await.unwrap();
            let (age, bound) = (since.elapsed(), spool.ledger().lingering);
            // The one that is being committed is not answered yet, and so in the bound as well.
            assert_eq!(bound.events, 1 + 2 * u64::try_from(number).unwrap());
            assert!(bound.oldest >= age, "{bound:?} {age:?}");
        }
        gate.open();
        urgent.await.unwrap();
        spool.commit().await.unwrap();
        assert_eq!(spool.ledger().lingering.events, 0);
        assert_eq!(spool.ledger().pending, 7);
        spool.close().await.unwrap();
    });
}

//! What the journal holds is what a recording server received, byte for byte, whatever happened on the way.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use candor_journal::{Ending, Entry, Fate, Journal, Look};
use candor_model::{Kind, Level};
use candor_upload::State;

use crate::bench::Bench;
use crate::server::{Reply, Seen, answer, ok};

/// Entries with their bodies, oldest first.
fn entries(journal: &Journal) -> Vec<(Entry, Vec<u8>)> {
    let mut entries = Vec::new();
    let reader = journal.reader().unwrap();
    reader
        .newest_first(|look| {
            if let Look::Entry(entry, body) = look {
                entries.push((*entry, body.to_vec()));
            }
            ControlFlow::<()>::Continue(())
        })
        .unwrap();
    entries.reverse();
    entries
}

/// A name that no compression makes short.
fn noise(seed: usize, length: usize) -> String {
    let mut state = seed as u64 + 1;
    let mut letter = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'a' + u8::try_from(state >> 60).unwrap())
    };
    std::iter::repeat_with(&mut letter).take(length).collect()
}

fn sequence(seen: &Seen) -> Vec<u64> {
    seen.records().iter().map(|record| record.seq.unwrap()).collect()
}

fn of_runs(entry: &Entry) -> Vec<u64> {
    entry.request.runs.iter().flat_map(|run| run.first..=run.last()).collect()
}

/// 413 for what is large, 400 for what is poisoned, now and then 503, and a broken connection.
fn moody(replies: &Arc<Mutex<Vec<u16>>>) -> impl Fn(&Seen) -> Reply + Send + Sync + 'static {
    let (count, replies) = (AtomicUsize::new(0), Arc::clone(replies));
    move |seen| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        let is_poisoned = seen.names().iter().any(|name| name.starts_with("poison"));
        let status = match () {
            () if seen.body.len() > 6000 => 413,
            () if number % 41 == 5 => 503,
            () if number % 43 == 7 => 0,
            () if is_poisoned => 400,
            () => 200,
        };
        replies.lock().unwrap().push(status);
        if status == 0 { Reply::Close(Vec::new()) } else { answer(status, "", b"") }
    }
}

#[tokio::test]
async fn hundreds_of_requests_stand_in_the_journal_as_they_were_received() {
    if std::env::var_os("CANDOR_LONG").is_none() {
        eprintln!("skipped: minutes of back-off; CANDOR_LONG=1 runs it");
        return;
    }
    let replies = Arc::default();
    let (bench, server) = Bench::with_server(moody(&replies)).await;
    for row in 0..1000 {
        let mut names = vec![noise(row, 2500)];
        if row % 100 == 50 {
            names = vec!["before".into(), format!("poison {row}"), "after".into()];
        }
        let kind = if row % 3 == 0 { Kind::Metric } else { Kind::Log };
        bench.keep(kind, Level::Enhanced, &names).await;
    }
    let (mut cut, mut flushes) = (0, 0);
    while !bench.flush().await.drained {
        // What broke is tried again at once; some of that is cut in the middle.
        cut += usize::from(flushes % 3 == 0);
        server.cuts(usize::from(flushes % 3 == 0));
        flushes += 1;
        assert!(flushes < 300, "{:?}", bench.status.borrow());
    }
    let (entries, seen) = (entries(&bench.journal), server.seen());
    assert!(seen.len() >= 300 && cut >= 1, "{} requests, {cut} cut", seen.len());
    let statuses = replies.lock().unwrap().clone();
    let mut received = seen.iter().zip(statuses).peekable();
    let mut unseen = 0;
    for (entry, body) in &entries {
        let outcome = entry.outcome.as_ref().unwrap();
        let ending = |status| match status {
            0 => Ending::Lost,
            status => Ending::Answered { status },
        };
        // What was cut went again with the same bytes: it is known by its outcome.
        let is_this =
            |&(seen, status): &(&Seen, u16)| seen.sent == *body && ending(status) == outcome.ending;
        if !received.peek().is_some_and(is_this) {
            assert_eq!(outcome.ending, Ending::Lost, "{entry:?}");
            unseen += 1;
            continue;
        }
        let (seen, _) = received.next().unwrap();
        assert_eq!(of_runs(entry), sequence(seen), "entry {}", entry.number);
        let path = seen.line.split(' ').nth(1).unwrap();
        assert_eq!(entry.request.endpoint, format!("https://localhost:{}{path}", server.port));
        assert_eq!((entry.request.tls.as_str(), entry.request.encoding.as_str()), ("1.3", "zstd"));
    }
    assert!(received.next().is_none(), "the server received what the journal does not have");
    assert!(unseen >= cut, "{unseen} were not received whole, {cut} were cut");
    let refused = entries.iter().filter(|(entry, _)| entry.fate() == Fate::Refused).count();
    assert_eq!(refused, 10, "each poisoned record alone");
    let verdict = bench.journal.reader().unwrap().verify().unwrap();
    assert!(verdict.is_sound() && verdict.holes == 0, "{verdict:?}");
    assert_eq!(verdict.entries, entries.len() as u64);
}

#[tokio::test]
async fn what_is_broken_off_has_an_outcome_and_a_disabled_uploader_writes_no_more() {
    let (mut bench, server) = Bench::with_server(|_| Reply::Hang).await;
    bench.events(3).await;
    let _asked = bench.ask().await;
    server.requests(1).await;
    assert_eq!((bench.journal.flying()[0].first, bench.journal.flying_number()), (1, Some(1)));
    bench.set(|settings| settings.enabled = false);
    bench.until(|status| status.state == State::Off).await;
    assert!(bench.journal.flying().is_empty());
    let (entry, body) = entries(&bench.journal).remove(0);
    assert_eq!(entry.outcome.unwrap().ending, Ending::BrokenOff);
    assert_eq!(body, server.seen()[0].sent);
}

#[tokio::test]
async fn a_request_is_in_the_journal_before_it_leaves() {
    let place: Arc<Mutex<Option<Journal>>> = Arc::default();
    let told = Arc::clone(&place);
    let (bench, server) = Bench::with_server(move |seen| {
        let journal = told.lock().unwrap().clone().unwrap();
        let (entry, body) = entries(&journal).pop().unwrap();
        let is_there = body == seen.sent && entry.outcome.is_none();
        if is_there { ok() } else { answer(503, "", b"") }
    })
    .await;
    *place.lock().unwrap() = Some(bench.journal.clone());
    bench.events(5).await;
    assert!(bench.flush().await.drained);
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_journal_that_cannot_be_written_holds_up_nothing() {
    let (bench, server) = Bench::with_server(|_| ok()).await;
    let dir = bench.dir.path().join("state").join("journal");
    std::fs::write(&dir, b"in the way").unwrap();
    bench.events(5).await;
    assert!(bench.flush().await.drained);
    assert_eq!((server.seen().len(), bench.journal.holes()), (1, 1));
    std::fs::remove_file(&dir).unwrap();
    bench.events(5).await;
    assert!(bench.flush().await.drained);
    assert_eq!((entries(&bench.journal).len(), server.seen().len()), (1, 2));
    let verdict = bench.journal.reader().unwrap().verify().unwrap();
    assert!(verdict.is_sound() && verdict.holes == 1, "{verdict:?}");
}

#[tokio::test]
async fn the_end_of_the_uploader_puts_the_last_outcome_on_the_disk() {
    let (mut bench, _server) = Bench::with_server(|_| ok()).await;
    bench.events(1).await;
    assert!(bench.flush().await.drained);
    let before = bench.journal.fsyncs();
    bench.stop.send_replace(Some(Duration::from_secs(30)));
    bench.stopped().await;
    assert!(bench.journal.fsyncs() > before);
}

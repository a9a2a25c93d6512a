//! What the journal holds is what a recording server received, byte for byte, whatever happened on the way.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use candor_journal::{Ending, Entry, Fate, Journal, Look};
use candor_model::{Draft, Kind, Level};
use candor_spool::Urgency;
use candor_upload::State;
use tokio::sync::mpsc;

use crate::bench::{Bench, draft};
use crate::server::{Reply, Seen, Server, answer, ok};

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

/// What the server did with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Did {
    Answered(u16),
    /// It closed the connection, without a word or in the middle of its answer.
    Left,
}

/// 413 for what is large, 400 for what is poisoned; now and then 503, and an answer that never comes or breaks off.
fn moody(did: &Arc<Mutex<Vec<Did>>>) -> impl Fn(&Seen) -> Reply + Send + Sync + 'static {
    let (count, all) = (AtomicUsize::new(0), Arc::clone(did));
    move |seen| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        let is_poisoned = seen.names().iter().any(|name| name.starts_with("poison"));
        let did = match () {
            () if seen.body.len() > 4000 => Did::Answered(413),
            () if number % 41 == 5 => Did::Answered(503),
            () if number % 43 == 7 => Did::Left,
            () if is_poisoned => Did::Answered(400),
            () => Did::Answered(200),
        };
        all.lock().unwrap().push(did);
        match did {
            Did::Answered(status) => answer(status, "Retry-After: 0\r\n", b""),
            Did::Left if number.is_multiple_of(2) => Reply::Close(Vec::new()),
            Did::Left => Reply::Close(b"HTTP/1.1 200 Words\r\nContent-Le".to_vec()),
        }
    }
}

/// Rows of one record each, of which no two fit into a request, and now and then one that holds a poisoned record.
fn rows() -> Vec<Draft> {
    let row = |row: usize| {
        let kind = if row.is_multiple_of(3) { Kind::Metric } else { Kind::Log };
        let names = match row % 100 {
            50 => vec!["before".to_owned(), format!("poison {row}"), "after".to_owned()],
            _ => vec![noise(row, 2100)],
        };
        // A boot of its own makes a row of its own.
        let boot: Arc<str> = format!("boot {row}").into();
        let of = move |name: String| Draft {
            boot: Arc::clone(&boot),
            ..draft(kind, Level::Enhanced, &name)
        };
        names.into_iter().map(of)
    };
    (0..1000).flat_map(row).collect()
}

/// Sends everything; whatever went wrong goes again at once.
async fn drain(bench: &mut Bench, server: &Server) {
    // Somebody who tells lost ranges: there are none to tell.
    let (_, nobody) = mpsc::channel(1);
    let mut asked = std::mem::replace(&mut bench.gaps, nobody);
    let telling = tokio::spawn(async move {
        while let Some(done) = asked.recv().await {
            let _gone = done.send(());
        }
    });
    for turn in 0.. {
        // Some of it is cut in the middle of its body.
        server.cuts(usize::from(turn % 3 == 0));
        if bench.flush().await.drained {
            break;
        }
        assert!(turn < 300, "{:?}", bench.status.borrow());
    }
    telling.abort();
}

/// An entry is the request that was received: its bytes, its records, to whom it went and what came back.
fn compare((entry, body): &(Entry, Vec<u8>), seen: &Seen, did: Option<Did>, port: u16) {
    let number = entry.number;
    let ending = match did {
        Some(Did::Answered(status)) => Ending::Answered { status },
        Some(Did::Left) | None => Ending::Lost,
    };
    assert_eq!(entry.outcome.as_ref().unwrap().ending, ending, "entry {number}");
    let path = seen.line.split(' ').nth(1).unwrap();
    assert_eq!(entry.request.endpoint, format!("https://localhost:{port}{path}"));
    assert_eq!((entry.request.tls.as_str(), entry.request.encoding.as_str()), ("1.3", "zstd"));
    if seen.is_cut {
        assert!(body.starts_with(&seen.sent) && body.len() / 2 == seen.wire, "entry {number}");
        return;
    }
    assert!(*body == seen.sent, "the body of entry {number} is not what was received");
    assert_eq!(of_runs(entry), sequence(seen), "entry {number}");
}

#[tokio::test]
async fn a_thousand_requests_stand_in_the_journal_byte_for_byte_as_they_were_received() {
    let did = Arc::default();
    let (mut bench, server) = Bench::with_server(moody(&did)).await;
    bench.spool.append(rows(), Urgency::Now).await.unwrap();
    let records = bench.ledger().await.generated;
    drain(&mut bench, &server).await;

    let (entries, seen) = (entries(&bench.journal), server.seen());
    assert!(seen.len() >= 1000, "only {} requests", seen.len());
    let numbers: Vec<u64> = entries.iter().map(|(entry, _)| entry.number).collect();
    assert_eq!(numbers, (1..=seen.len() as u64).collect::<Vec<_>>(), "each once, in order");
    let did = did.lock().unwrap().clone();
    let mut answers = did.iter().copied();
    for (entry, seen) in entries.iter().zip(&seen) {
        let did = if seen.is_cut { None } else { answers.next() };
        compare(entry, seen, did, server.port);
    }

    // There were splits and retries among them, and everything came through once.
    let count = |what: Did| did.iter().filter(|did| **did == what).count();
    let cut = seen.iter().filter(|seen| seen.is_cut).count();
    let split = |(entry, _): &&(Entry, Vec<u8>)| {
        entry.request.records() > 1
            && entry
                .outcome
                .as_ref()
                .is_some_and(|told| matches!(told.ending, Ending::Answered { status: 400 | 413 }))
    };
    let splits = entries.iter().filter(split).count();
    assert!(count(Did::Answered(413)) >= 3 && splits >= 13, "{splits} splits");
    assert!(count(Did::Answered(503)) >= 10 && count(Did::Left) >= 10 && cut >= 5, "{cut} cut");
    let again = seen.windows(2).filter(|pair| pair[1].sent.starts_with(&pair[0].sent)).count();
    assert!(again >= 20, "{again} went again as they were");
    let of = |fate| {
        let with = entries.iter().filter(move |(entry, _)| entry.fate() == fate);
        with.map(|(entry, _)| entry.request.records()).sum::<u64>()
    };
    assert_eq!((of(Fate::Refused), of(Fate::Taken)), (10, records - 10));
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

//! kill -9 of a process that writes: the test binary runs itself as the victim.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use candor_model::Level;
use candor_spool::Want;

use crate::kit::{assert_sound, draft, drain, frames, now, open, run};

const VICTIM: &str = "CANDOR_SPOOL_VICTIM";

/// Appends for ever, and says each number of records that it was promised.
#[test]
fn a_victim_writes_until_it_is_killed() {
    // Without the variable this is an ordinary test run, and there is nothing to do.
    let Ok(dir) = std::env::var(VICTIM) else { return };
    run(async {
        let spool = open(Path::new(&dir));
        for n in 0_u32.. {
            let level = Level::ALL[n as usize % 4];
            let drafts = (0..n % 20).map(|_| draft(level, vec![7; 900])).collect();
            now(&spool, drafts).await;
            if n % 3 == 0 {
                let Some(parcel) = spool.next(Want::all(20_000)).await.unwrap() else { continue };
                let rows: Vec<_> = parcel.rows.iter().map(|row| row.id).collect();
                let records = frames(&parcel).len();
                spool.uploaded(&rows, 0).await.unwrap();
                say(&format!("uploaded {records}"));
            }
            say(&format!("appended {}", n % 20));
        }
    });
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "> {line}").unwrap();
    out.flush().unwrap();
}

/// Runs a victim, kills it after so many promises; what it was promised (appended, uploaded).
fn kill_after(dir: &Path, promises: usize) -> (u64, u64) {
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::a_victim_writes_until_it_is_killed", "--nocapture"])
        .env(VICTIM, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines();
    let (mut appended, mut uploaded) = (0, 0);
    let mut count = |line: &str| {
        let Some((_, promise)) = line.split_once("> ") else { return false };
        let (word, number) = promise.split_once(' ').unwrap();
        let number: u64 = number.parse().unwrap();
        *(if word == "appended" { &mut appended } else { &mut uploaded }) += number;
        true
    };
    let mut heard = 0;
    while heard < promises {
        heard += usize::from(count(&lines.next().unwrap().unwrap()));
    }
    victim.kill().unwrap();
    victim.wait().unwrap();
    // What it still said before it died was promised as well; the last line may be cut.
    for line in lines.map_while(Result::ok) {
        if line.ends_with(|c: char| c.is_ascii_digit()) && line.contains("> ") {
            count(&line);
        }
    }
    (appended, uploaded)
}

#[test]
fn five_kills_in_a_row_lose_no_promised_record_and_the_ledger_holds() {
    let dir = tempfile::tempdir().unwrap();
    let (mut appended, mut uploaded) = (0, 0);
    for round in 0..5 {
        let (more, sent) = kill_after(dir.path(), 20 + round * 37);
        run(async {
            let spool = open(dir.path());
            let ledger = assert_sound(&spool).await;
            // A promise may have been cut off on its way out: at most one of each kind.
            assert!(ledger.generated >= appended + more, "{ledger:?}");
            assert!(ledger.generated <= appended + more + 19, "{ledger:?}");
            assert!(ledger.uploaded >= uploaded + sent, "{ledger:?}");
            assert_eq!((ledger.dropped.total(), ledger.damages), (0, 0));
            (appended, uploaded) = (ledger.generated, ledger.uploaded);
            spool.close().await.unwrap();
        });
    }
    run(async {
        let spool = open(dir.path());
        let pending = spool.ledger().pending;
        let got = drain(&spool).await;
        assert_eq!(got.len() as u64, pending);
        assert!(got.iter().all(|(_, body)| body == &[7; 900]));
    });
}

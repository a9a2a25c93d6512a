//! `spool`: the store of a stopped agent, and the dead letters of a running or a stopped one.
//!
//! # Invariants
//! - `verify` and `export` change no byte; a store that a daemon has open is refused.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use candor_control::protocol::{DeadRecord, DeadRecords, ReplayRequest, Replayed};
use candor_model::Kind;
use candor_spool::{Framing, Offline, OfflineError, Settings};
use serde_json::{Value, json};

use crate::cli::{DeadAction, SpoolAction};
use crate::command::audit;
use crate::context::Context;
use crate::failure::{FAILED, Failure, chain};
use crate::shown::Shown;
use crate::table::Table;

pub(crate) async fn run(context: &Context, action: SpoolAction) -> Result<Shown, Failure> {
    match action {
        SpoolAction::Verify => {
            let report = audit::own(context)?;
            let exit_code = if report.sound { 0 } else { FAILED };
            Ok(Shown::new(audit::text(&report), &report).with_exit_code(exit_code))
        }
        SpoolAction::Export { out } => export(context, &out),
        SpoolAction::Repair => repair(context),
        SpoolAction::Dead { action: DeadAction::List } => Ok(list(&dead(context).await?)),
        SpoolAction::Dead { action: DeadAction::Show { seq } } => {
            let letters = dead(context).await?;
            let found = letters.into_iter().find(|letter| letter.seq == seq);
            found.map(|letter| show(&letter)).ok_or_else(|| absent(seq))
        }
        SpoolAction::Dead { action: DeadAction::Replay { seq } } => replay(context, seq).await,
    }
}

/// Why the store of a stopped agent cannot be used.
pub(crate) fn unusable(error: &OfflineError) -> Failure {
    Failure::new(FAILED, chain(error))
}

fn absent(seq: u64) -> Failure {
    let text = format!("there is no dead letter {seq}; `agentctl spool dead list` shows them");
    Failure::new(FAILED, text)
}

/// A failure of an export: of the store, or of the file that it goes to.
enum Trouble {
    Store(OfflineError),
    Output(std::io::Error),
}

impl From<OfflineError> for Trouble {
    fn from(error: OfflineError) -> Self {
        Self::Store(error)
    }
}

fn export(context: &Context, out: &Path) -> Result<Shown, Failure> {
    let store = Offline::open(&context.layout.state_dir()).map_err(|error| unusable(&error))?;
    let file = File::create(out)
        .map_err(|error| Failure::system(&format!("write {}", out.display()), error))?;
    let (mut file, mut records) = (BufWriter::new(file), 0_u64);
    let written = store.rows(|kind, row| {
        // Only rows that can be read come here.
        let Ok(frames) = row.frames() else { return Ok(()) };
        let mut rest = &frames[..];
        while let Some(length) = candor_otlp::frame_len(kind, rest) {
            let record = content(kind, &rest[..length]);
            writeln!(file, "{record}").map_err(Trouble::Output)?;
            records += 1;
            rest = &rest[length..];
        }
        Ok(())
    });
    let written = written.and_then(|rows| file.flush().map(|()| rows).map_err(Trouble::Output));
    let damaged_rows = written.map_err(|trouble| match trouble {
        Trouble::Store(error) => unusable(&error),
        Trouble::Output(error) => Failure::system(&format!("write {}", out.display()), error),
    })?;
    let text =
        format!("{records} records in {}; {damaged_rows} damaged rows left out", out.display());
    Ok(Shown::new(text, &json!({ "records": records, "damaged_rows": damaged_rows })))
}

fn repair(context: &Context) -> Result<Shown, Failure> {
    let repair = Offline::repair(&context.layout.state_dir(), bounds(context))
        .map_err(|error| unusable(&error))?;
    let facts = json!({
        "pending_before": repair.pending_before,
        "lost": repair.lost,
        "rebuilt": repair.was_rebuilt,
        "pending": repair.audit.ledger.pending,
        "sound": repair.audit.is_sound(),
        "findings": repair.audit.findings(),
    });
    let made = if repair.was_rebuilt { "a new store was made of what could be read; " } else { "" };
    let text = format!(
        "{made}{} records wait, {} were damaged and count as corrupt",
        repair.audit.ledger.pending, repair.lost
    );
    let exit_code = if repair.audit.is_sound() { 0 } else { FAILED };
    Ok(Shown::new(text, &facts).with_exit_code(exit_code))
}

/// The bounds that the stopped agent was configured with.
fn bounds(context: &Context) -> Settings {
    let config = context.snapshot().config;
    let (max_bytes, max_age) = (config.spool.max_bytes, config.spool.max_age);
    Settings { max_bytes, max_age, min_free: 0, ..Settings::default() }
}

/// The daemon's dead letters, or those of the stopped agent.
async fn dead(context: &Context) -> Result<Vec<DeadRecord>, Failure> {
    if let Some(told) = Context::unless_no_daemon(context.client().dead_letters().await)? {
        return Ok(told.dead);
    }
    let store = Offline::open(&context.layout.state_dir()).map_err(|error| unusable(&error))?;
    Ok(store
        .dead_letters()
        .map_err(|error| unusable(&error))?
        .into_iter()
        .map(candor_chronicle::dead)
        .collect())
}

/// A frame in words; null where it cannot be read.
fn content(kind: Kind, frame: &[u8]) -> Value {
    let decoded = candor_otlp::decode_frame(kind, frame);
    decoded
        .map_or(Value::Null, |record| Value::Object(candor_otlp::json::to_json_with_ids(&record)))
}

fn list(letters: &[DeadRecord]) -> Shown {
    if letters.is_empty() {
        return Shown::new("no endpoint refused a record for good", &DeadRecords::default());
    }
    let mut table = Table::default();
    table.row(["seq", "level", "kind", "time", "name", "answer"]);
    for letter in letters {
        let name = letter.record["name"].as_str().unwrap_or("-");
        let answer: String = letter.answer.chars().take(60).collect();
        let (seq, level) = (letter.seq.to_string(), letter.level.to_string());
        table.row([&seq, &level, &letter.kind, &letter.time, name, answer.trim()]);
    }
    Shown::new(table.text(), &json!({ "dead": letters }))
}

fn show(letter: &DeadRecord) -> Shown {
    let text = format!(
        "{} {} of level {}, {} bytes, committed {}\nanswer: {}\n{:#}",
        letter.kind,
        letter.seq,
        letter.level,
        letter.bytes,
        letter.time,
        letter.answer,
        letter.record
    );
    Shown::new(text, letter)
}

async fn replay(context: &Context, seq: u64) -> Result<Shown, Failure> {
    let request = ReplayRequest { seq };
    let told = Context::unless_no_daemon(context.client().replay(request).await)?;
    let replayed = if let Some(replayed) = told {
        replayed
    } else {
        let dir = context.layout.state_dir();
        let made = Offline::replay(&dir, bounds(context), Box::new(Codec), seq);
        let new_seq = made.map_err(|error| unusable(&error))?.ok_or_else(|| absent(seq))?;
        Replayed { seq, new_seq }
    };
    Ok(Shown::new(format!("{seq} waits again, as record {}", replayed.new_seq), &replayed))
}

/// The codec's functions, for a replay without a daemon.
pub(crate) struct Codec;

impl Framing for Codec {
    fn seal(&self, kind: Kind, body: &[u8], seq: u64, out: &mut Vec<u8>) {
        candor_otlp::seal(kind, body, seq, out);
    }

    fn frame_len(&self, kind: Kind, bytes: &[u8]) -> Option<usize> {
        candor_otlp::frame_len(kind, bytes)
    }

    fn unseal(&self, kind: Kind, frame: &[u8], seq: u64) -> Option<Vec<u8>> {
        candor_otlp::unseal(kind, frame, seq).map(<[u8]>::to_vec)
    }
}

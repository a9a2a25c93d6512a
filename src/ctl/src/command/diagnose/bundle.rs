//! The bundle for support: one JSON file that its owner can read whole before giving it away.
//!
//! ```text
//! { "candor_bundle": 1,
//!   "manifest": { "made", "version",
//!                 "parts":    [ { "name", "about", "bytes", "sha256" } ],
//!                 "left_out": [ { "name", "why" } ] },
//!   "parts": { NAME: … } }
//! ```
//! `bytes` and `sha256` are of a part as JSON without white space.
//!
//! # Invariants
//! - An allow-list: only [`PARTS`], each being what a command of `agentctl` shows to this user, and the end of the
//!   agent's own log are in it. No other file of the host, no key, no secret and nothing of the spool or the journal is
//!   read for it.
//! - Every text in it is scrubbed as free text is before it leaves, and who changed something is taken out. The keys
//!   of objects stay as they are.
//! - It is its owner's alone, appears whole or not at all, and goes nowhere.
//!
//! A part that cannot be had is left out, and the manifest says why.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use candor_pipeline::{cleaner, rfc3339};
use candor_platform::NewFile;
use candor_probes::Host;
use serde::Serialize;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::cli::{CheckOptions, ExplainOptions, StatusOptions};
use crate::command::{audit, check, explain, preview, providers, stats, status};
use crate::context::Context;
use crate::failure::{FAILED, Failure, chain};
use crate::shown::Shown;
use crate::table::Table;

/// What may be in a bundle, and what it is.
const PARTS: [(&str, &str); 9] = [
    ("about", "program, version, operating system, architecture"),
    ("check", "what is wrong with the configuration, by file and line; not its text"),
    ("explain", "every layer of the level, and why it holds"),
    ("status", "level, upload, ledger, spool, probes, cost"),
    ("stats", "the ledger, each reason"),
    ("audit", "the ledger derived anew, and the journal's hashes"),
    ("providers", "local programs, their counts"),
    ("history", "changes of level, upload, endpoint, pins; not who made them"),
    ("preview", "what the agent would send now at the level that holds"),
];

/// The agent's own log is a part where it keeps files.
const LOG: (&str, &str) = ("log", "the last lines of the agent's own log");

/// What is never in a bundle.
const NEVER: [(&str, &str); 4] = [
    ("agent.toml, policy", "their text may hold credentials: check and explain say what matters"),
    ("keys, certificates, secrets", "who has them could speak for this host"),
    ("spool, journal", "what was collected is shown by events and carried by export"),
    ("core dumps", "they hold memory"),
];

const MOST_LOG_LINES: usize = 500;
const MOST_LOG_BYTES: u64 = 256 << 10;
/// Whose doing a change was.
const WHO: [&str; 3] = ["uid", "user", "pid"];

/// A part that is in it.
#[derive(Debug, Serialize)]
struct Part {
    name: &'static str,
    about: &'static str,
    bytes: usize,
    sha256: String,
}

/// Something that is not in it.
#[derive(Debug, Serialize)]
struct LeftOut {
    name: &'static str,
    why: String,
}

/// What a bundle says of itself.
#[derive(Debug, Serialize)]
struct Manifest {
    made: String,
    version: &'static str,
    parts: Vec<Part>,
    left_out: Vec<LeftOut>,
}

/// Gathers the parts, shows the manifest, and writes the file.
pub(super) async fn write(
    context: &Context,
    host: &Host,
    (out, is_trial): (&Path, bool),
) -> Result<Shown, Failure> {
    let (parts, left_out) = gather(context, host).await;
    let clean = cleaner_of([&Host::live(), host]);
    let mut bundle = Map::new();
    let mut manifest = Manifest {
        made: rfc3339(SystemTime::now()),
        version: env!("CARGO_PKG_VERSION"),
        parts: Vec::new(),
        left_out,
    };
    for ((name, about), mut value) in parts {
        scrub(&mut value, &clean);
        let text = value.to_string();
        let digest = Sha256::digest(&text);
        let sha256 = digest.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        manifest.parts.push(Part { name, about, bytes: text.len(), sha256 });
        bundle.insert(name.to_owned(), value);
    }
    for left in &mut manifest.left_out {
        left.why = clean(&left.why);
    }
    eprint!("{}", shown(&manifest));
    let whole = json!({ "candor_bundle": 1, "manifest": manifest, "parts": bundle });
    if is_trial {
        return Ok(Shown::new(
            "nothing was written\n",
            &json!({ "out": null, "manifest": manifest }),
        ));
    }
    save(out, &whole)?;
    let text = format!("{}: look through it before you give it away\n", out.display());
    Ok(Shown::new(text, &json!({ "out": out, "manifest": manifest })))
}

/// Cleans of the names of both: with `--host-root` only some parts tell of that machine.
fn cleaner_of(hosts: [&Host; 2]) -> impl Fn(&str) -> String + use<> {
    let [here, there] = hosts.map(cleaner);
    move |text| there(&here(text))
}

fn save(out: &Path, whole: &Value) -> Result<(), Failure> {
    let failed = |error: candor_platform::FileError| Failure::new(FAILED, chain(&error));
    let mut file = NewFile::begin(out).map_err(failed)?;
    let text = format!("{whole:#}\n");
    let written = |error: io::Error| Failure::system(&format!("write {}", out.display()), error);
    file.write_all(text.as_bytes()).map_err(written)?;
    file.finish().map_err(failed)
}

type Named = ((&'static str, &'static str), Value);

/// Every part that can be had, and why the others cannot.
async fn gather(context: &Context, host: &Host) -> (Vec<Named>, Vec<LeftOut>) {
    let (mut parts, mut left_out) = (Vec::new(), Vec::new());
    for part in PARTS {
        match get(context, host, part.0).await {
            Ok(value) => parts.push((part, value)),
            Err(failure) => left_out.push(LeftOut { name: part.0, why: failure.text().to_owned() }),
        }
    }
    match log(context) {
        Some(lines) => parts.push((LOG, lines)),
        None => left_out.push(LeftOut {
            name: LOG.0,
            why: "no file of it is readable by you; `journalctl -u candor` has it where the agent logs there".to_owned(),
        }),
    }
    let never = NEVER.into_iter().map(|(name, why)| LeftOut { name, why: why.to_owned() });
    left_out.extend(never);
    (parts, left_out)
}

/// What a command shows, as its JSON.
async fn get(context: &Context, host: &Host, part: &str) -> Result<Value, Failure> {
    let one = |shown: Shown| shown.json.into_iter().next().unwrap_or_default();
    Ok(match part {
        "about" => about(),
        "check" => one(check::run(context, &CheckOptions { file: None })),
        "explain" => one(explain::run(context, &ExplainOptions { history: false }).await?),
        "status" => one(status::run(context, &StatusOptions { watch: false }).await?),
        "stats" => one(stats::run(context).await?),
        "audit" => one(audit::run(context).await?),
        "providers" => one(providers::run(context, None).await?),
        "history" => history(context).await?,
        _ => Value::Array(preview::as_it_holds(context, host.clone()).await?),
    })
}

fn about() -> Value {
    json!({
        "program": "agentctl",
        "version": env!("CARGO_PKG_VERSION"),
        "os": std::env::consts::OS,
        "architecture": std::env::consts::ARCH,
    })
}

async fn history(context: &Context) -> Result<Value, Failure> {
    let history = context.client().history().await?;
    Ok(without_who(serde_json::to_value(history).unwrap_or_default()))
}

fn without_who(mut history: Value) -> Value {
    for change in history["changes"].as_array_mut().into_iter().flatten() {
        if let Some(change) = change.as_object_mut() {
            change.retain(|key, _| !WHO.contains(&key.as_str()));
        }
    }
    history
}

/// The end of the newest file of the agent's log.
fn log(context: &Context) -> Option<Value> {
    let told = context.snapshot().config.log.dir.clone();
    let dir = Host::new(told.unwrap_or_else(|| context.layout.log_dir()));
    let text = dir.tail(&newest(&dir.root)?, MOST_LOG_BYTES, 1)?;
    Some(json!(last_lines(&text)))
}

/// The last lines of the end of a file. What was cut off has half a line first, whose secrets are not known as such.
fn last_lines(end: &[u8]) -> Vec<String> {
    let is_cut = u64::try_from(end.len()).is_ok_and(|len| len >= MOST_LOG_BYTES);
    let text = String::from_utf8_lossy(end);
    let lines: Vec<_> = text.lines().skip(usize::from(is_cut)).map(str::to_owned).collect();
    let first = lines.len().saturating_sub(MOST_LOG_LINES);
    lines.into_iter().skip(first).collect()
}

/// Its files are named after their days. A link is not followed.
fn newest(dir: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(dir).ok()?.flatten();
    let files = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
    let names = files.filter_map(|entry| entry.file_name().into_string().ok());
    let logs =
        names.filter(|name| name.starts_with("agentd") && name.strip_suffix(".log").is_some());
    Some(dir.join(logs.max()?))
}

/// Cleans every text, in whatever list or object.
fn scrub(value: &mut Value, clean: &impl Fn(&str) -> String) {
    match value {
        Value::String(text) => *text = clean(text),
        Value::Array(items) => items.iter_mut().for_each(|item| scrub(item, clean)),
        Value::Object(pairs) => pairs.values_mut().for_each(|value| scrub(value, clean)),
        _ => {}
    }
}

fn shown(manifest: &Manifest) -> String {
    let mut table = Table::default();
    for part in &manifest.parts {
        table.row([part.name.to_owned(), format!("{} bytes", part.bytes), part.about.to_owned()]);
    }
    let mut text = format!("in the bundle:\n{}left out:\n", table.text());
    let mut table = Table::default();
    for left in &manifest.left_out {
        table.row([left.name, left.why.as_str()]);
    }
    let _ = write!(text, "{}", table.text());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_cleaned_and_nothing_else_changes() {
        let mut value = json!({ "a": ["x", { "b": "x" }], "n": 1, "x": null });
        scrub(&mut value, &|text| text.replace('x', "y"));
        assert_eq!(value, json!({ "a": ["y", { "b": "y" }], "n": 1, "x": null }));
    }

    #[test]
    fn a_change_is_told_without_who_made_it() {
        let change =
            json!({ "to": "3", "role": "administrator", "uid": 0, "user": "ana", "pid": 7 });
        let told = without_who(json!({ "changes": [change] }));
        assert_eq!(told, json!({ "changes": [{ "to": "3", "role": "administrator" }] }));
    }

    #[test]
    fn the_newest_log_is_that_of_the_last_day() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(newest(dir.path()), None);
        for name in ["agentd.2026-01-02.log", "agentd.2025-12-31.log", "other.2027-01-01.log"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        fs::create_dir(dir.path().join("agentd.2027-01-01.log")).unwrap();
        #[cfg(unix)]
        {
            let link = dir.path().join("agentd.2028-01-01.log");
            std::os::unix::fs::symlink("/etc/passwd", link).unwrap();
        }
        assert_eq!(newest(dir.path()), Some(dir.path().join("agentd.2026-01-02.log")));
    }

    #[test]
    fn of_a_log_that_is_cut_no_half_line_is_told() {
        assert_eq!(last_lines(b"a\nb\n"), ["a", "b"]);
        let mut end = vec![b'x'; usize::try_from(MOST_LOG_BYTES).unwrap() - 3];
        end.extend(b"\nb\n");
        assert_eq!(last_lines(&end), ["b"]);
        let many = last_lines(&b"line\n".repeat(MOST_LOG_LINES + 1));
        assert_eq!(many.len(), MOST_LOG_LINES);
    }

    #[test]
    fn the_names_of_this_host_and_of_the_other_are_cleaned() {
        let hosts = ["lion-1234", "tiger-5678"].map(|name| {
            let root = tempfile::tempdir().unwrap();
            fs::create_dir(root.path().join("etc")).unwrap();
            fs::write(root.path().join("etc/hostname"), name).unwrap();
            root
        });
        let [here, there] = hosts.each_ref().map(|root| Host::new(root.path()));
        let told = cleaner_of([&here, &there])("from lion-1234 to tiger-5678");
        assert!(!told.contains("lion") && !told.contains("tiger"), "{told}");
    }
}

//! `delete`: what is kept here, what a receiver holds of this host, and what a receipt of that proves.
//!
//! # Invariants
//! - Every deletion is on the audit trail before it happens; whoever may not write there may not delete.
//! - `--remote` is the one way, beside `test`, to connect while telemetry is off.
//! - With both, the receiver is asked first: the proof goes with what is deleted here.
//!
//! On failure: what was not deleted is said; asking again is safe.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use candor_control::protocol::{Claim, Deleted};
use candor_model::InstallKey;
use candor_pipeline::rfc3339;
use candor_platform::{create_private_dir, random_bytes, write_atomic};
use candor_policy::Snapshot;
use candor_policy::receipt::{self, BadReceipt, Purpose, Receipt, Verified};
use candor_policy::trail::{Author, Trail, act};
use candor_spool::Offline;
use candor_upload::{DeletionRequest, Destination, Timing, ask_deletion};
use serde_json::{Value, json};

use crate::cli::DeleteOptions;
use crate::command::purge::erase;
use crate::command::spool::unusable;
use crate::context::Context;
use crate::failure::{FAILED, Failure, NOT_PERMITTED, REFUSED, chain};
use crate::progress::lasting;
use crate::shown::Shown;

pub(crate) async fn run(context: &Context, options: &DeleteOptions) -> Result<Shown, Failure> {
    if let Some(path) = &options.verify {
        return verify(context, path);
    }
    let snapshot = context.readable_snapshot()?;
    if snapshot.effective.words.disable_device_delete == Some(true) {
        let text = "DisableDeviceDelete = 1 forbids deletions from this host; nothing was deleted";
        return Err(Failure::new(REFUSED, text));
    }
    let mut done = Done::default();
    if options.remote {
        remote(context, &snapshot, &mut done).await?;
    }
    if options.local {
        local(context, &snapshot, &mut done).await?;
    }
    Ok(Shown::new(done.text.join("\n"), &Value::Object(done.facts)))
}

/// What was done so far.
#[derive(Default)]
struct Done {
    text: Vec<String>,
    facts: serde_json::Map<String, Value>,
}

async fn local(context: &Context, snapshot: &Snapshot, done: &mut Done) -> Result<(), Failure> {
    let told = Context::unless_no_daemon(context.client().delete().await)?;
    let deleted = if let Some(deleted) = told {
        deleted
    } else {
        note(context, "local")?;
        erase(context, snapshot).await?
    };
    let Deleted { deleted: records, install_id } = &deleted;
    let id =
        install_id.as_deref().map_or_else(String::new, |id| format!("; this host is now {id}"));
    done.text.push(format!("deleted here: {records} waiting records and all that was kept{id}"));
    if records > &0 && snapshot.effective.upload_enabled {
        done.text.push("what was being uploaded at that moment may have arrived".to_owned());
    }
    done.facts.insert("local".to_owned(), json!(deleted));
    Ok(())
}

async fn remote(context: &Context, snapshot: &Snapshot, done: &mut Done) -> Result<(), Failure> {
    let destination = Destination::of(&snapshot.effective, &snapshot.config.upload);
    let destination = destination.ok_or_else(|| {
        Failure::new(FAILED, "no EventsEndpoint is set, so nobody can be asked to delete")
    })?;
    let Claim { install_id, key } = claim(context).await?;
    let key: InstallKey =
        key.and_then(|key| key.parse().ok()).ok_or_else(|| keyless(&install_id))?;
    note(context, &format!("remote {}", destination.endpoint))?;
    let nonce = nonce()?;
    let request = DeletionRequest { install_id: &install_id, key: &key, nonce: &nonce };
    let timing = Timing::default();
    let work = ask_deletion(&destination, &request, &timing);
    let answer = lasting(context, work, async || "asking the endpoint to delete".to_owned()).await;
    let bytes = answer.map_err(|trouble| {
        let text = format!("{trouble}; to do: {}; nothing was deleted here", trouble.remedy);
        Failure::new(FAILED, text)
    })?;
    let keys = snapshot.effective.words.settings_keys.clone().unwrap_or_default();
    let judged = judge(&bytes, &keys, (&install_id, &nonce));
    let verified = match judged {
        Ok(receipt) => Some(receipt),
        Err(_) if keys.is_empty() => None,
        Err(bad) => {
            let text = format!("the endpoint answered, but its receipt proves nothing: {bad}");
            return Err(Failure::new(FAILED, text));
        }
    };
    let kept = keep(context, &bytes)?;
    done.text.push(match &verified {
        Some(receipt) => format!("deleted at {}: {}", destination.endpoint, says(receipt)),
        None => format!(
            "{} says that it deleted; its receipt is not verified, since SettingsKeys names no key",
            destination.endpoint
        ),
    });
    done.text.push(format!("the receipt is kept in {}", kept.display()));
    if snapshot.effective.upload_enabled {
        done.text.push(
            "telemetry is on: what this host tells from now on arrives there again; `agentctl disable` ends that"
                .to_owned(),
        );
    }
    done.facts.insert(
        "remote".to_owned(),
        json!({
            "endpoint": destination.endpoint.to_string(),
            "install_id": install_id,
            "verified": verified.is_some(),
            "records": verified.as_ref().map(|receipt| receipt.records),
            "receipt": kept,
        }),
    );
    Ok(())
}

/// Whose records are meant, and the proof; the daemon's word where one runs.
async fn claim(context: &Context) -> Result<Claim, Failure> {
    if let Some(claim) = Context::unless_no_daemon(context.client().claim().await)? {
        return Ok(claim);
    }
    let store = Offline::open(&context.layout.state_dir()).map_err(|error| unusable(&error))?;
    let key = store.install_key().map_err(|error| unusable(&error))?;
    let install_id = store.install_id().to_owned();
    Ok(Claim { install_id, key: key.map(|key| key.to_string()) })
}

fn keyless(install_id: &str) -> Failure {
    Failure::new(
        FAILED,
        format!(
            "the id {install_id} was made by an earlier version, without a key that would prove it; ask \
             whoever runs the endpoint (`candor-collector delete --host {install_id}`), and \
             `agentctl delete --local` makes an id with a key"
        ),
    )
}

/// Writes the deletion down before it happens.
fn note(context: &Context, what: &str) -> Result<(), Failure> {
    let author = Author::this_process(Some("agentctl delete".to_owned()));
    let entry = act("delete", what, &author, SystemTime::now());
    let state_dir = context.layout.state_dir();
    let made = if state_dir.is_dir() { Ok(()) } else { create_private_dir(&state_dir) };
    let noted = made.and_then(|()| Trail::at(&context.layout.audit_trail()).append(&entry));
    noted.map_err(|error| {
        let message = format!(
            "a deletion is an administrator's to ask for, and is written down first: {}",
            chain(&error)
        );
        Failure::new(NOT_PERMITTED, message)
    })
}

fn nonce() -> Result<String, Failure> {
    let random: [u8; 16] =
        random_bytes().map_err(|error| Failure::system("make a nonce", error))?;
    Ok(format!("{:032x}", u128::from_be_bytes(random)))
}

fn judge(
    bytes: &[u8],
    keys: &[candor_policy::MinisignKey],
    (install_id, nonce): (&str, &str),
) -> Result<Receipt, BadReceipt> {
    let receipt = receipt::open(bytes, keys)?.of(Purpose::Deletion, install_id)?;
    if receipt.nonce == nonce { Ok(receipt) } else { Err(BadReceipt::OtherRequest) }
}

/// Keeps a receipt beside the store, where no deletion takes it.
fn keep(context: &Context, bytes: &[u8]) -> Result<PathBuf, Failure> {
    let time: String =
        rfc3339(SystemTime::now()).chars().filter(char::is_ascii_alphanumeric).collect();
    let path = context.layout.state_dir().join(format!("receipt-{time}.json"));
    write_atomic(&path, bytes, 0o600).map_err(|error| {
        let text = format!(
            "the endpoint has deleted, but its receipt is not kept; ask again: {}",
            chain(&error)
        );
        Failure::new(FAILED, text)
    })?;
    Ok(path)
}

fn verify(context: &Context, path: &Path) -> Result<Shown, Failure> {
    let bytes = fs::read(path)
        .map_err(|error| Failure::system(&format!("read {}", path.display()), error))?;
    let keys = context.readable_snapshot()?.effective.words.settings_keys.unwrap_or_default();
    let Verified { receipt, trusted } = receipt::open(&bytes, &keys)
        .map_err(|bad| Failure::new(FAILED, format!("{} proves nothing: {bad}", path.display())))?;
    let text = format!("{}\nby the key {trusted} of SettingsKeys", says(&receipt));
    Ok(Shown::new(
        text,
        &json!({ "valid": true, "receipt": receipt, "trusted_key": trusted.to_string() }),
    ))
}

/// What a receipt says, in a sentence.
fn says(receipt: &Receipt) -> String {
    let numbers = |ranges: &[receipt::Range]| {
        let shown = ranges.iter().map(|(first, last)| format!("{first}-{last}"));
        shown.collect::<Vec<_>>().join(", ")
    };
    let Receipt { install_id, time, records, accepted, rejected, .. } = receipt;
    match receipt.purpose {
        Purpose::Deletion if *records == 0 => {
            format!("at {time} the receiver held no record of the installation {install_id}")
        }
        Purpose::Deletion => format!(
            "at {time} the receiver deleted all {records} records of the installation {install_id}: {}",
            numbers(accepted)
        ),
        Purpose::Import => format!(
            "at {time} the receiver took in records {} of the installation {install_id}; it refused {}",
            numbers(accepted),
            if rejected.is_empty() { "none".to_owned() } else { numbers(rejected) }
        ),
    }
}

//! `status`: one screen.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _};
use std::time::Duration;

use candor_control::protocol::{Status, UploadStatus};

use crate::cli::StatusOptions;
use crate::command::level::end;
use crate::context::Context;
use crate::failure::Failure;
use crate::paint::{Paint, Tone};
use crate::shown::{Shown, print};
use crate::table::Table;

const REFRESH: Duration = Duration::from_secs(1);
/// The reasons for a drop that are the owner's own doing.
const OWNERS: [&str; 3] = ["withdrawn", "disabled", "deleted"];

pub(crate) async fn run(context: &Context, options: &StatusOptions) -> Result<Shown, Failure> {
    loop {
        let status = context.client().status().await?;
        let shown = Shown::new(text(&status, Paint::of_stdout()), &status);
        if !options.watch {
            return Ok(shown);
        }
        if io::stdout().is_terminal() && !context.json() {
            // Home, and clear to the end: the screen does not flicker.
            print!("\x1b[H\x1b[J");
        }
        print(&shown, context.json());
        tokio::time::sleep(REFRESH).await;
    }
}

fn text(status: &Status, paint: Paint) -> String {
    let mut table = Table::default();
    let level = &status.level;
    let stands = format!("{} ({})", level.effective, level.name);
    let tone = if level.effective < level.requested { Tone::Warning } else { Tone::Good };
    table.row([
        "level",
        &format!("{}: {} ({})", paint.text(tone, &stands), level.reason, level.source),
    ]);
    if let Some(end) = end(level) {
        table.row(["", &end]);
    }
    if level.requested != level.effective {
        table.row([
            "",
            &format!(
                "{} was asked for; `agentctl explain` says why it does not hold",
                level.requested
            ),
        ]);
    }
    if let Some(error) = &status.config_error {
        let said = paint.text(Tone::Bad, "agent.toml is not used, the last good one runs on");
        table.row(["config", &format!("{said}: {error}")]);
    }
    upload(status, &mut table, paint);
    ledger(status, &mut table, paint);
    journal(status, &mut table, paint);
    let cost = &status.cost;
    let rss = cost
        .rss_bytes
        .map_or_else(|| "memory unknown".to_owned(), |rss| format!("{} resident", bytes(rss)));
    let sent = bytes(cost.bytes_uploaded);
    table.row([
        "cost",
        &format!(
            "{rss}, {} ms CPU, {sent} sent, {} fsyncs since the start",
            cost.cpu_ms, cost.fsyncs
        ),
    ]);
    let up = Duration::from_secs(status.uptime_seconds);
    let id = status.install_id.as_deref().unwrap_or("no install id yet");
    table.row(["agent", &format!("{}, up {up:?}, {id}", status.version)]);
    let mut text = table.text();
    text.push_str(&probes(status));
    text
}

fn upload(status: &Status, table: &mut Table, paint: Paint) {
    let upload = &status.upload;
    let endpoint = upload.endpoint.as_deref().unwrap_or("no endpoint");
    let tone = match upload.state.as_str() {
        "ok" => Tone::Good,
        "backoff" => Tone::Warning,
        "off" => Tone::Faint,
        _ => Tone::Bad,
    };
    table.row(["upload", &format!("{} to {endpoint}", paint.text(tone, &upload.state))]);
    if let Some(reason) = &upload.reason {
        table.row(["", &format!("because {reason}")]);
    }
    if let Some(remedy) = &upload.remedy {
        table.row(["", &format!("to do: {remedy}")]);
    }
    if let Some(reason) = upload.schedule_reason.as_ref().filter(|_| spares(upload)) {
        table.row(["", reason]);
    }
    let when = |time: &Option<String>| time.clone().unwrap_or_else(|| "never".to_owned());
    table.row([
        "",
        &format!(
            "last success {}, next attempt {}",
            when(&upload.last_success),
            when(&upload.next_attempt)
        ),
    ]);
}

/// Whether the host's battery or link holds ordinary records back.
fn spares(upload: &UploadStatus) -> bool {
    matches!(upload.schedule.as_deref(), Some("battery" | "metered"))
}

fn ledger(status: &Status, table: &mut Table, paint: Paint) {
    let events = &status.events;
    table.row([
        "ledger",
        &format!(
            "{} generated = {} uploaded + {} dropped + {} pending",
            events.generated, events.uploaded, events.dropped, events.pending
        ),
    ]);
    for (reason, count) in events.dropped_by_reason.iter().filter(|(_, count)| **count > 0) {
        // What the owner took back is his own doing; anything else is a loss.
        let tone = if OWNERS.contains(&reason.as_str()) { Tone::Faint } else { Tone::Warning };
        table.row(["", &paint.text(tone, &format!("{count} {reason}"))]);
    }
    let spool = &status.spool;
    table.row([
        "spool",
        &format!(
            "{} of {}, oldest {} s",
            bytes(spool.bytes),
            bytes(spool.max_bytes),
            spool.oldest_seconds
        ),
    ]);
    let bound = &spool.loss_bound;
    table.row([
        "",
        &format!("if power fails now: at most {} events of {:.1} s", bound.events, bound.seconds),
    ]);
}

/// What left is kept on this host, or why it is not.
fn journal(status: &Status, table: &mut Table, paint: Paint) {
    let journal = &status.journal;
    let kept = match (journal.max_bytes, journal.bytes) {
        (0, _) => "of what left is not kept: journal.max_bytes = 0".to_owned(),
        (most, None) => format!("of what left: at most {}", bytes(most)),
        (most, Some(kept)) => format!("of what left: {} of {}", bytes(kept), bytes(most)),
    };
    table.row(["journal", &kept]);
    if let Some(trouble) = &journal.trouble {
        let said = paint.text(Tone::Warning, "what leaves cannot be written into it");
        table.row(["", &format!("{said}: {trouble}")]);
    }
    if journal.holes > 0 {
        let holes = journal.holes;
        table.row(["", &format!("{holes} requests left and are not in it, since the start")]);
    }
}

fn probes(status: &Status) -> String {
    let mut table = Table::default();
    for probe in &status.probes {
        let outcome = match (&probe.last_error, &probe.last_success) {
            (Some(error), _) => format!("failed: {error}"),
            (None, Some(at)) => format!("ok at {at}"),
            (None, None) => "not yet".to_owned(),
        };
        table.row([
            format!("  {}", probe.name),
            format!("level {}", probe.level),
            format!("{:.1} ms", probe.cpu_ms),
            probe.next_run.as_ref().map_or_else(String::new, |at| format!("next {at}")),
            outcome,
        ]);
    }
    let mut text = String::new();
    if !status.probes.is_empty() {
        let _ = write!(text, "probes\n{}", table.text());
    }
    text + &absent(status)
}

/// What this host does not tell, by the reason.
fn absent(status: &Status) -> String {
    let mut by_reason: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for probe in &status.probes {
        for absence in &probe.absent {
            by_reason.entry((&probe.name, &absence.reason)).or_default().push(&absence.field);
        }
    }
    if by_reason.is_empty() {
        return String::new();
    }
    let mut table = Table::default();
    for ((probe, reason), fields) in by_reason {
        table.row([format!("  {probe}"), format!("{}: {reason}", fields.join(", "))]);
    }
    format!("not told by this host\n{}", table.text())
}

/// A size for people, in powers of 1024.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["B", "KiB", "MiB", "GiB"];
    let mut unit = 0;
    #[expect(clippy::cast_precision_loss, reason = "rounded for a person")]
    let mut size = bytes as f64;
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{size:.1} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use candor_control::protocol::{Absence, ProbeStatus};

    use super::*;

    #[test]
    fn sizes_are_readable() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(64 << 20), "64.0 MiB");
    }

    #[test]
    fn a_hold_is_shown_with_its_remedy_and_the_loss_bound_with_its_numbers() {
        let mut status = Status::default();
        status.upload.state = "hold".into();
        status.upload.reason = Some("pin".into());
        status.upload.remedy = Some("set CertificatePins".into());
        status.spool.loss_bound.events = 7;
        let text = text(&status, Paint::PLAIN);
        assert!(
            text.contains("because pin") && text.contains("to do: set CertificatePins"),
            "{text}"
        );
        assert!(text.contains("at most 7 events"), "{text}");
    }

    #[test]
    fn what_the_host_does_not_tell_is_shown_once_for_each_reason() {
        let absence = |field: &str| Absence { field: field.into(), reason: "no tables".into() };
        let absent = vec![absence("model"), absence("chassis")];
        let probe = ProbeStatus { name: "machine".into(), absent, ..ProbeStatus::default() };
        let status = Status { probes: vec![probe], ..Status::default() };
        let text = text(&status, Paint::PLAIN);
        assert!(text.contains("not told by this host"), "{text}");
        assert!(text.contains("model, chassis: no tables"), "{text}");
    }

    #[test]
    fn a_level_for_a_time_says_when_it_ends_and_a_bad_configuration_that_it_is_not_used() {
        let mut status = Status::default();
        status.level.until = Some("2026-11-20T08:00:00Z".into());
        status.level.afterwards = Some(1);
        status.config_error = Some("agent.toml:3: write a number".into());
        let text = text(&status, Paint::PLAIN);
        assert!(text.contains("until 2026-11-20T08:00:00Z, then 1"), "{text}");
        assert!(text.contains("not used") && text.contains("agent.toml:3"), "{text}");
    }
}

//! Makes `status` and `stats` from the board. Reads only; asking costs the host nothing but the answer.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use candor_control::protocol::{
    Absence, CostStatus, EventCounts, JournalStatus, LevelStatus, LossBound, ProbeStatus,
    ReasonCount, SinceRenewal, SpoolStatus, Stats, Status, UploadStatus,
};
use candor_journal::Journal;
use candor_model::{DropReason, Level};
use candor_pipeline::rfc3339;
use candor_platform::{Clock, usage};
use candor_policy::{Effective, Snapshot};
use candor_spool::{Before, Ledger};
use candor_upload::{Reason, State};

use crate::board::Board;
use crate::own::Percent;

/// What to do about an engine that cannot start.
pub(crate) const MEND: &str = "mend what the reason names; it is tried again every minute, and at once \
                               by `agentctl enable` or `agentctl reload`";

/// `GET /v1/status`.
pub(crate) fn status(board: &Board, journal: &Journal) -> Status {
    let snapshot = board.snapshot();
    let ledger = board.ledger();
    let view = board.view();
    let install_id =
        view.as_ref().map_or_else(|| board.rest().install_id, |view| Some(view.install_id()));
    Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        install_id,
        boot_id: view.as_ref().map(crate::engine::View::boot_id),
        uptime_seconds: (board.clock.boot().saturating_sub(board.started)).as_secs(),
        level: level(&snapshot),
        upload: upload(board, &snapshot.effective),
        events: events(board, &ledger),
        spool: spool(&ledger, board.clock.wall()),
        journal: journal_status(journal.state()),
        probes: view
            .iter()
            .flat_map(crate::engine::View::probes)
            .map(|told| probe(told, &*board.clock))
            .collect(),
        cost: cost(board, &ledger),
        config_error: snapshot.config_error.as_ref().map(ToString::to_string),
    }
}

/// `GET /v1/stats`.
pub(crate) fn stats(board: &Board) -> Stats {
    let ledger = board.ledger();
    let reason = |reason: DropReason| ReasonCount {
        reason: reason.word().to_owned(),
        count: ledger.dropped.get(reason),
        meaning: reason.meaning().to_owned(),
        remedy: reason.remedy().to_owned(),
    };
    Stats { events: events(board, &ledger), reasons: DropReason::ALL.map(reason).into() }
}

/// `GET /v1/level`.
pub(crate) fn level(snapshot: &Snapshot) -> LevelStatus {
    let decision = &snapshot.effective.level;
    LevelStatus {
        requested: decision.requested.number(),
        effective: decision.effective.number(),
        name: decision.effective.name().to_owned(),
        source: decision.source.clone(),
        reason: decision.reason.clone(),
        until: snapshot.raise.as_ref().map(|until| until.wall.to_string()),
        afterwards: snapshot.after_raise().map(|decision| decision.effective.number()),
    }
}

/// How the upload is.
pub(crate) fn upload(board: &Board, effective: &Effective) -> UploadStatus {
    let endpoint = effective.events_endpoint.as_ref().map(ToString::to_string);
    let Some(view) = board.view() else { return without_engine(board, effective, endpoint) };
    let upload = view.upload();
    UploadStatus {
        enabled: effective.upload_enabled,
        state: upload.state.word().to_owned(),
        reason: upload
            .trouble
            .as_ref()
            .map(|trouble| format!("{}: {}", trouble.reason.word(), trouble.detail)),
        remedy: upload.remedy().map(str::to_owned),
        // The one that serves, which may be a fallback.
        endpoint: upload.endpoint.clone().or(endpoint),
        last_success: upload.last_success.map(rfc3339),
        last_attempt: upload.last_attempt.map(rfc3339),
        next_attempt: upload.next_attempt.map(rfc3339),
        schedule: Some(upload.schedule.word().to_owned()),
        schedule_reason: Some(upload.schedule.reason().to_owned()),
    }
}

/// Telemetry is off, or on and cannot start.
fn without_engine(board: &Board, effective: &Effective, endpoint: Option<String>) -> UploadStatus {
    let (state, reason, remedy) = match board.trouble() {
        Some(why) => (State::Hold, format!("{}: {why}", Reason::Store.word()), MEND),
        None => (
            State::Off,
            effective.upload_reason.clone(),
            "`agentctl enable` turns telemetry on, where policy allows it",
        ),
    };
    UploadStatus {
        enabled: effective.upload_enabled,
        state: state.word().to_owned(),
        reason: Some(reason),
        remedy: Some(remedy.to_owned()),
        endpoint,
        last_success: board.rest().ledger.last_upload.map(rfc3339),
        ..UploadStatus::default()
    }
}

fn events(board: &Board, ledger: &Ledger) -> EventCounts {
    let at_the_gate = board.view().map_or(0, |view| view.withheld());
    let percent = Percent::of(ledger.uploaded, &ledger.dropped);
    let by_level = Level::ALL.map(|level| {
        (level.number().to_string(), ledger.generated_by_level[usize::from(level.number())])
    });
    EventCounts {
        generated: ledger.generated,
        uploaded: ledger.uploaded,
        dropped: ledger.dropped.total(),
        pending: ledger.pending,
        percent_uploaded: percent.uploaded,
        percent_dropped: percent.dropped,
        dropped_by_reason: ledger
            .dropped
            .iter()
            .map(|(reason, count)| (reason.word().to_owned(), count))
            .collect(),
        by_level: by_level.into(),
        withheld_by_level: ledger.withheld + at_the_gate,
        refused: ledger.refused,
        since_renewal: (ledger.before != Before::default()).then(|| since_renewal(ledger)),
    }
}

/// What a receiver is told, which knows this installation by its present id only.
fn since_renewal(ledger: &Ledger) -> SinceRenewal {
    let told = ledger.since_renewal();
    let percent = Percent::of(told.uploaded, &told.dropped);
    let by_reason = told.dropped.iter().map(|(reason, count)| (reason.word().to_owned(), count));
    SinceRenewal {
        generated: told.generated,
        uploaded: told.uploaded,
        dropped: told.dropped.total(),
        percent_uploaded: percent.uploaded,
        percent_dropped: percent.dropped,
        dropped_by_reason: by_reason.collect(),
    }
}

fn spool(ledger: &Ledger, now: SystemTime) -> SpoolStatus {
    let age = ledger.oldest.and_then(|oldest| now.duration_since(oldest).ok());
    SpoolStatus {
        bytes: ledger.bytes,
        max_bytes: ledger.max_bytes,
        oldest_seconds: age.unwrap_or_default().as_secs(),
        loss_bound: LossBound {
            events: ledger.lingering.events,
            seconds: ledger.lingering.oldest.as_secs_f64(),
        },
    }
}

fn journal_status(state: candor_journal::State) -> JournalStatus {
    let candor_journal::State { max_bytes, bytes, holes, trouble } = state;
    JournalStatus { max_bytes, bytes, holes, trouble }
}

fn probe(probe: candor_probes::ProbeStatus, clock: &dyn Clock) -> ProbeStatus {
    let next = probe.next.map(|next| next.saturating_sub(clock.boot()));
    ProbeStatus {
        absent: probe.absent.iter().map(absence).collect(),
        next_run: next.and_then(|next| clock.wall().checked_add(next)).map(rfc3339),
        name: probe.name.to_owned(),
        level: probe.level.number(),
        last_success: probe.last_success.map(|at| rfc3339(UNIX_EPOCH + Duration::from_nanos(at.0))),
        last_error: probe.last_error,
        cpu_ms: probe.cpu.as_secs_f64() * 1e3,
    }
}

fn absence(absence: &candor_probes::Absence) -> Absence {
    Absence { field: absence.field.to_owned(), reason: absence.reason.to_owned() }
}

fn cost(board: &Board, ledger: &Ledger) -> CostStatus {
    let usage = usage();
    CostStatus {
        rss_bytes: usage.rss_bytes,
        cpu_ms: u64::try_from(usage.cpu.as_millis()).unwrap_or(u64::MAX),
        wakeups: usage.wakeups,
        bytes_uploaded: board.view().map_or(0, |view| view.upload().bytes_uploaded),
        fsyncs: board.view().map_or(ledger.fsyncs, |view| view.fsyncs()),
    }
}

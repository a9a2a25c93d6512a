//! One record in full: its content, its bytes, who told it, and each field with what was published of it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use candor_control::protocol::{Event, EventDetail};
use candor_journal::{Entry, Fate, Look};
use candor_model::{DropReason, Kind};
use candor_otlp::{DecodedRecord, Origin, decode_frame, frame_len, json};
use candor_providers::Registry;
use serde_json::Value;
use std::ops::ControlFlow;

use crate::body::Body;
use crate::event::{Known, content, dropped};
use crate::fields::Description;
use crate::page::Held;
use crate::{ChronicleError, Sources};

/// The record with a number; `None` where nothing is known of it (any more). `providers` explain what local
/// programs told.
///
/// # Errors
/// [`ChronicleError`].
pub fn event(
    mut sources: Sources<'_>,
    seq: u64,
    providers: &Registry,
) -> Result<Option<EventDetail>, ChronicleError> {
    if let Some(found) = waiting(&mut sources, seq, providers)? {
        return Ok(Some(found));
    }
    if let Some(found) = sent(&sources, seq, providers)? {
        return Ok(Some(found));
    }
    let Some(waiting) = sources.waiting.as_mut() else { return Ok(None) };
    if let Some(letter) = waiting.dead_letters()?.into_iter().find(|letter| letter.seq == seq) {
        let known = Known {
            seq,
            kind: Some(letter.kind),
            level: Some(letter.level),
            state: "rejected",
            reason: Some(DropReason::Rejected.word().to_owned()),
            answer: Some(letter.answer),
            request: None,
        };
        return Ok(Some(framed(known, (letter.kind, &letter.bytes), &letter.boot, providers)));
    }
    let gaps = waiting.gaps()?;
    let gap = gaps.iter().find(|gap| (gap.first..=gap.last).contains(&seq));
    Ok(gap.map(|gap| EventDetail { event: dropped(gap), ..EventDetail::default() }))
}

fn waiting(
    sources: &mut Sources<'_>,
    seq: u64,
    providers: &Registry,
) -> Result<Option<EventDetail>, ChronicleError> {
    // The row that begins at or below the number, if it reaches so far.
    let rows = sources.rows_before(seq.saturating_add(1))?;
    let Some((kind, row)) = rows.into_iter().next() else { return Ok(None) };
    let held = Held::new(kind, row);
    let Some(frame) = held.frame(seq) else { return Ok(None) };
    let (flying, number) = &sources.flying;
    let is_flying = flying.iter().any(|run| (run.first..=run.last()).contains(&seq));
    let known = Known {
        seq,
        kind: Some(kind),
        level: Some(held.row.level),
        state: if is_flying { "in_flight" } else { "pending" },
        request: number.filter(|_| is_flying),
        ..Known::default()
    };
    Ok(Some(framed(known, (kind, frame), &held.row.boot, providers)))
}

/// A record that lies in a frame, beside the text that says where it comes from.
fn framed(
    known: Known,
    (kind, frame): (Kind, &[u8]),
    label: &str,
    providers: &Registry,
) -> EventDetail {
    let origin = Origin::read(label);
    let mut record = decode_frame(kind, frame).ok();
    let resource = origin.source.as_ref().and_then(|source| source.attributes().ok());
    if let Some((record, resource)) = record.as_mut().zip(resource) {
        record.resource = resource;
    }
    let message = frame_len(kind, frame).and_then(|_| message(frame));
    let mut detail = detail(known, (record.as_ref(), message), providers);
    detail.boot_id = Some(origin.boot.to_owned());
    detail
}

/// The message inside a frame: what follows the key and the length.
fn message(frame: &[u8]) -> Option<&[u8]> {
    let rest = frame.get(1..)?;
    let length = rest.iter().position(|byte| byte & 0x80 == 0)? + 1;
    rest.get(length..)
}

fn sent(
    sources: &Sources<'_>,
    seq: u64,
    providers: &Registry,
) -> Result<Option<EventDetail>, ChronicleError> {
    let mut refused: Option<Entry> = None;
    let taken = sources.journal.newest_first(|look| {
        let Look::Entry(entry, _) = look else { return ControlFlow::Continue(()) };
        let mut runs = entry.request.runs.iter();
        if !runs.any(|run| (run.first..=run.last()).contains(&seq)) {
            return ControlFlow::Continue(());
        }
        match entry.fate() {
            Fate::Taken => return ControlFlow::Break(entry),
            Fate::Refused if refused.is_none() => refused = Some(*entry),
            Fate::Refused | Fate::Open => {}
        }
        ControlFlow::Continue(())
    })?;
    let Some(entry) = taken.map(|entry| *entry).or(refused) else { return Ok(None) };
    let known = Known::sent(seq, &entry);
    let body = Body::read(sources.journal, &entry);
    let found = body.as_ref().and_then(|body| {
        let (record, place) = body.record(&entry, seq)?;
        Some((record, body.bytes.get(place.record.clone())?))
    });
    let Some((record, bytes)) = found else {
        return Ok(Some(detail(known, (None, None), providers)));
    };
    let mut detail = detail(known, (Some(&record), Some(bytes)), providers);
    detail.boot_id = record.boot_id;
    Ok(Some(detail))
}

fn detail(
    known: Known,
    (record, message): (Option<&DecodedRecord>, Option<&[u8]>),
    providers: &Registry,
) -> EventDetail {
    let description = record.map(|record| Description::of(record, providers));
    let resource = record.filter(|record| !record.resource.is_empty());
    let fields = description.as_ref().zip(record).map(|(told, record)| told.fields(record));
    EventDetail {
        fields: fields.unwrap_or_default(),
        bytes: message.map(|message| STANDARD.encode(message)),
        resource: resource.map_or(Value::Null, |record| json::attributes(&record.resource)),
        provider: description.and_then(|told| told.provider()),
        event: Event { content: record.map(content).unwrap_or_default(), ..known.event(record) },
        ..EventDetail::default()
    }
}

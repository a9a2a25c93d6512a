//! The resolution: layers in, one effective policy out. Pure.
//!
//! ```text
//! strongest layer that states AllowTelemetry ──> decided ──> lowered by every ceiling ──> effective
//! ```
//!
//! # Invariants
//! - The strongest layer that states a value decides it, in both directions.
//! - A layer that is not understood states level 0 at its rank; one malformed drop-in makes the
//!   whole management policy such a layer, whatever the others say.
//! - Ceilings only lower, from whatever layer.
//! - Between drop-ins the later wins, key by key.

use candor_model::{Level, Pin};

use crate::effective::{Effective, LevelDecision, Refusal};
use crate::explanation::{ExplainedLayer, Explanation};
use crate::keys::{Key, Words};
use crate::layer::{Layer, LayerKind, PRECEDENCE, Reading, Weight};

/// Name of the built-in default as a place.
const DEFAULT_PLACE: &str = "built-in default";

/// Resolves all layers. Their order matters only between places of one layer: the later wins.
#[must_use]
pub fn resolve(layers: &[Layer]) -> Effective {
    let level = decide_level(layers);
    let words = merge(layers);
    let (upload_enabled, upload_reason) = decide_upload(layers);
    let hold = hold(layers);
    let mut certificate_pins: Vec<Pin> = Vec::new();
    for pin in words.certificate_pins.iter().flatten() {
        if !certificate_pins.contains(pin) {
            certificate_pins.push(*pin);
        }
    }
    Effective {
        upload_enabled,
        upload_reason,
        lock_level: lock(layers, |words| words.lock_level).is_some(),
        lock_upload: lock(layers, |words| words.lock_upload).is_some(),
        events_endpoint: words.events_endpoint.clone(),
        certificate_pins,
        telemetry_proxy: words.telemetry_proxy.clone(),
        allow_device_name: words.allow_device_name == Some(true) && hold.is_none(),
        remarks: remarks(layers),
        not_readable: not_readable(layers),
        explanation: explain(layers, &level),
        words,
        hold,
        level,
    }
}

/// The level that would hold if the operator stated `level` now.
///
/// # Errors
/// A [`Refusal`] where it would differ from `level`, or where policy locks the level.
pub fn would_be(layers: &[Layer], level: Level) -> Result<LevelDecision, Refusal> {
    if let Some(lock) = lock(layers, |words| words.lock_level) {
        let effective = decide_level(layers).effective;
        return Err(refusal(&key_reason(Key::LockLevel, 1), &lock.source, effective));
    }
    let asked = with_operator(layers, |words| {
        words.allow_telemetry = Some(level);
        words.allow_telemetry_until = None;
    });
    let decision = decide_level(&asked);
    if decision.effective == level {
        return Ok(decision);
    }
    Err(refusal(&decision.reason, &decision.source, decision.effective))
}

/// Whether upload would be `enabled` if the operator stated it now.
///
/// # Errors
/// A [`Refusal`] where policy says otherwise, locks it, or is not understood and upload is to be
/// enabled.
pub fn would_upload(layers: &[Layer], enabled: bool) -> Result<(), Refusal> {
    let effective = decide_level(layers).effective;
    if let Some(lock) = lock(layers, |words| words.lock_upload) {
        return Err(refusal(&key_reason(Key::LockUpload, 1), &lock.source, effective));
    }
    let trouble = fault(layers, LayerKind::Policy).filter(|_| enabled);
    if let Some((layer, why)) = trouble {
        return Err(refusal(&not_understood(why), &layer.source, effective));
    }
    let asked = with_operator(layers, |words| words.upload_enabled = Some(enabled));
    let holds = deciding(&asked, |words| words.upload_enabled);
    match holds {
        Some((layer, value)) if value != enabled => Err(refusal(
            &key_reason(Key::UploadEnabled, u8::from(value)),
            &layer.source,
            effective,
        )),
        _ => Ok(()),
    }
}

fn refusal(reason: &str, source: &str, effective: Level) -> Refusal {
    Refusal { reason: reason.to_owned(), source_place: source.to_owned(), effective }
}

fn key_reason(key: Key, value: u8) -> String {
    format!("{} = {value}", key.name())
}

fn not_understood(why: &str) -> String {
    format!("not understood, counts as level 0: {why}")
}

/// The layers with the operator's setting as it would be. A setting that is not understood is
/// taken as replaced: writing it is what the operator asks for.
fn with_operator(layers: &[Layer], change: impl Fn(&mut Words)) -> Vec<Layer> {
    let mut asked = layers.to_vec();
    if !asked.iter().any(|layer| layer.kind == LayerKind::Operator) {
        asked.push(Layer::new(LayerKind::Operator, LayerKind::Operator.word(), Reading::Absent));
    }
    for layer in asked.iter_mut().filter(|layer| layer.kind == LayerKind::Operator) {
        let mut words = layer.reading.words().cloned().unwrap_or_default();
        change(&mut words);
        layer.reading = Reading::of(words);
    }
    asked
}

/// The places of one layer that count fully, the last first: the later wins.
fn places(layers: &[Layer], kind: LayerKind) -> impl Iterator<Item = &Layer> {
    layers.iter().rev().filter(move |l| l.kind == kind && l.weight == Weight::Full)
}

/// The place that decides a word, and the word.
fn deciding<T>(layers: &[Layer], word: impl Fn(&Words) -> Option<T>) -> Option<(&Layer, T)> {
    PRECEDENCE.into_iter().filter(|kind| *kind != LayerKind::Remote).find_map(|kind| {
        places(layers, kind).find_map(|layer| Some((layer, word(layer.reading.words()?)?)))
    })
}

/// The policy place that locks. Elsewhere a lock does not count; the latest drop-in that states the
/// key decides, and it may unlock.
fn lock(layers: &[Layer], word: impl Fn(&Words) -> Option<bool>) -> Option<&Layer> {
    let mut stated = places(layers, LayerKind::Policy)
        .filter_map(|layer| Some((layer, word(layer.reading.words()?)?)));
    stated.next().and_then(|(layer, locked)| locked.then_some(layer))
}

/// The first place of a layer that is not understood, and why.
fn fault(layers: &[Layer], kind: LayerKind) -> Option<(&Layer, &str)> {
    let mut of_kind = layers.iter().filter(|l| l.kind == kind && l.weight == Weight::Full);
    of_kind.find_map(|layer| Some((layer, layer.reading.trouble()?)))
}

/// A level with the place that says so.
struct Statement<'a> {
    layer: &'a Layer,
    level: Level,
    reason: String,
}

/// What a layer states about the level: 0 where it is not understood.
fn statement(layers: &[Layer], kind: LayerKind) -> Option<Statement<'_>> {
    if let Some((layer, why)) = fault(layers, kind) {
        return Some(Statement { layer, level: Level::Security, reason: not_understood(why) });
    }
    places(layers, kind).find_map(|layer| {
        let level = layer.reading.words()?.allow_telemetry?;
        let reason = key_reason(Key::AllowTelemetry, level.number());
        Some(Statement { layer, level, reason })
    })
}

/// The ceiling of a layer.
fn ceiling(layers: &[Layer], kind: LayerKind) -> Option<Statement<'_>> {
    places(layers, kind)
        .find_map(|layer| {
            let level = layer.reading.words()?.max_telemetry_allowed?;
            let reason = key_reason(Key::MaxTelemetryAllowed, level.number());
            Some(Statement { layer, level, reason })
        })
        .into_iter()
        .chain(layers.iter().filter(|l| l.kind == kind).filter_map(ceiling_place))
        .min_by_key(|ceiling| ceiling.level)
}

/// The ceiling of a place that only lowers.
fn ceiling_place(layer: &Layer) -> Option<Statement<'_>> {
    if layer.weight != Weight::Ceiling {
        return None;
    }
    if let Some(why) = layer.reading.trouble() {
        let reason = not_understood(why);
        return Some(Statement { layer, level: Level::Security, reason });
    }
    let words = layer.reading.words()?;
    let stated = [
        (Key::MaxTelemetryAllowed, words.max_telemetry_allowed),
        (Key::AllowTelemetry, words.allow_telemetry),
    ];
    let lowest = stated.into_iter().filter_map(|(key, level)| Some((level?, key)));
    let (level, key) = lowest.min_by_key(|(level, _)| *level)?;
    Some(Statement { layer, level, reason: key_reason(key, level.number()) })
}

fn decide_level(layers: &[Layer]) -> LevelDecision {
    let by_rank = || PRECEDENCE.into_iter().filter(|kind| *kind != LayerKind::Remote);
    let decided = by_rank().find_map(|kind| statement(layers, kind));
    let lowest = PRECEDENCE
        .into_iter()
        .filter_map(|kind| ceiling(layers, kind))
        .min_by_key(|ceiling| ceiling.level);
    let level = decided.as_ref().map_or(Level::DEFAULT, |decided| decided.level);
    let local = by_rank().skip(1).find_map(|kind| statement(layers, kind));
    let requested = local.map_or(level, |local| local.level);
    match lowest.filter(|ceiling| ceiling.level < level).or(decided) {
        Some(winner) => LevelDecision {
            requested,
            effective: winner.level,
            source: winner.layer.source.clone(),
            layer: winner.layer.kind,
            reason: winner.reason,
        },
        None => LevelDecision {
            requested,
            effective: level,
            source: LayerKind::Default.word().to_owned(),
            layer: LayerKind::Default,
            reason: "no layer states AllowTelemetry".to_owned(),
        },
    }
}

fn decide_upload(layers: &[Layer]) -> (bool, String) {
    match deciding(layers, |words| words.upload_enabled) {
        Some((layer, enabled)) => {
            let reason = key_reason(Key::UploadEnabled, u8::from(enabled));
            (enabled, format!("{reason} ({})", layer.source))
        }
        None => (true, "no layer states UploadEnabled".to_owned()),
    }
}

fn hold(layers: &[Layer]) -> Option<String> {
    [LayerKind::Policy, LayerKind::Operator].into_iter().find_map(|kind| {
        let (layer, why) = fault(layers, kind)?;
        Some(format!("{}: {why}", layer.source))
    })
}

/// Every word by precedence.
fn merge(layers: &[Layer]) -> Words {
    PRECEDENCE
        .into_iter()
        .filter(|kind| *kind != LayerKind::Remote)
        .flat_map(|kind| places(layers, kind))
        .filter_map(Layer::full_words)
        .fold(Words::default(), Words::over)
}

fn remarks(layers: &[Layer]) -> Vec<String> {
    let mut all = Vec::new();
    for layer in layers {
        if let Reading::Read { remarks, .. } = &layer.reading {
            all.extend(remarks.iter().map(|remark| format!("{}: {remark}", layer.source)));
        }
    }
    all
}

fn not_readable(layers: &[Layer]) -> Vec<String> {
    let is_hidden = |layer: &&Layer| matches!(layer.reading, Reading::NotReadableByYou(_));
    layers.iter().filter(is_hidden).map(|layer| layer.place.clone()).collect()
}

fn explain(layers: &[Layer], decision: &LevelDecision) -> Explanation {
    let mut explained: Vec<ExplainedLayer> = Vec::with_capacity(layers.len() + 1);
    for kind in PRECEDENCE {
        let of_kind = layers.iter().filter(|layer| layer.kind == kind);
        explained.extend(of_kind.map(|layer| explain_place(layer, decision)));
    }
    let default_decides = decision.layer == LayerKind::Default;
    explained.push(ExplainedLayer {
        layer: LayerKind::Default.word().to_owned(),
        place: DEFAULT_PLACE.to_owned(),
        value: Some(Level::DEFAULT.number()),
        verdict: if default_decides { "decides".to_owned() } else { overridden(decision) },
    });
    Explanation {
        requested: decision.requested.number(),
        effective: decision.effective.number(),
        layers: explained,
        winner: decision.layer.word().to_owned(),
        reason: decision.reason.clone(),
    }
}

fn explain_place(layer: &Layer, decision: &LevelDecision) -> ExplainedLayer {
    let words = layer.reading.words();
    ExplainedLayer {
        layer: layer.kind.word().to_owned(),
        place: layer.place.clone(),
        value: words.and_then(|words| words.allow_telemetry).map(Level::number),
        verdict: verdict(layer, decision),
    }
}

fn verdict(layer: &Layer, decision: &LevelDecision) -> String {
    let is_winner = layer.kind == decision.layer && layer.source == decision.source;
    let (words, remarks) = match &layer.reading {
        Reading::Absent => return "absent".to_owned(),
        Reading::Malformed(why) => return not_understood(why),
        Reading::Unreadable(why) => return format!("not readable, counts as level 0: {why}"),
        Reading::NotReadableByYou(why) => return format!("not readable by you: {why}"),
        Reading::Read { words, remarks } => (words, remarks),
    };
    let mut verdict = match layer.weight {
        Weight::Nothing => "ignored: windows_setting = \"ignore\"".to_owned(),
        _ if is_winner => format!("decides: {}", decision.reason),
        Weight::Ceiling => "is a ceiling that is not reached".to_owned(),
        Weight::Full if words.allow_telemetry.is_some() => overridden(decision),
        Weight::Full => "states no level".to_owned(),
    };
    if let (Some(ceiling), false) = (words.max_telemetry_allowed, is_winner) {
        verdict += &format!("; ceiling {}", ceiling.number());
    }
    for remark in remarks {
        verdict += &format!("; {remark}");
    }
    verdict
}

fn overridden(decision: &LevelDecision) -> String {
    format!("overridden by {} ({})", decision.source, decision.reason)
}

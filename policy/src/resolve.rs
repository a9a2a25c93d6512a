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

use std::sync::Arc;

use candor_model::{Level, Pin};

use crate::effective::{Effective, LevelDecision, Lowering, Refusal, StatedBy};
use crate::explanation::{ExplainedLayer, Explanation};
use crate::keys::{Key, Words};
use crate::layer::{Layer, LayerKind, PRECEDENCE, Reading, Weight};
use crate::remote::Remote;

/// Name of the built-in default as a place.
const DEFAULT_PLACE: &str = "built-in default";

/// Own pins that a host must have before a next pin set counts.
const FEWEST_PINS: usize = 2;

/// Resolves all layers. Their order matters only between places of one layer: the later wins.
#[must_use]
pub fn resolve(layers: &[Layer]) -> Effective {
    let level = decide_level(layers);
    let words = merge(layers);
    let (upload_enabled, upload_reason) = decide_upload(layers);
    let hold = hold(layers);
    Effective {
        upload_enabled,
        upload_reason,
        lock_level: lock(layers, |words| words.lock_level).is_some(),
        lock_upload: lock(layers, |words| words.lock_upload).is_some(),
        events_endpoint: words.events_endpoint.clone(),
        certificate_pins: pins(layers, &words),
        telemetry_proxy: words.telemetry_proxy.clone(),
        allow_device_name: words.allow_device_name == Some(true) && hold.is_none(),
        remarks: remarks(layers),
        not_readable: not_readable(layers),
        explanation: explain(layers, &level),
        lowering: lowering(layers),
        stated_by: StatedBy {
            upload: decider(layers, |words| words.upload_enabled.map(drop)),
            endpoint: decider(layers, |words| words.events_endpoint.as_ref().map(drop)),
            pins: decider(layers, |words| words.certificate_pins.as_ref().map(drop)),
        },
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
        Some((layer, value)) if value != enabled => {
            Err(refusal(&key_reason(Key::UploadEnabled, u8::from(value)), &layer.source, effective))
        }
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
pub(crate) fn deciding<T>(
    layers: &[Layer],
    word: impl Fn(&Words) -> Option<T>,
) -> Option<(&Layer, T)> {
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

/// The layer that states a word.
fn decider(layers: &[Layer], stated: fn(&Words) -> Option<()>) -> LayerKind {
    deciding(layers, stated).map_or(LayerKind::Default, |(layer, ())| layer.kind)
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
pub(crate) fn merge(layers: &[Layer]) -> Words {
    PRECEDENCE
        .into_iter()
        .filter(|kind| *kind != LayerKind::Remote)
        .flat_map(|kind| places(layers, kind))
        .filter_map(Layer::full_words)
        .fold(Words::default(), Words::over)
}

/// The host's own pins, each once, and after them a next pin set. That stands beside them, never in
/// their place: a host that its owner gave too few pins gets no way out from afar.
fn pins(layers: &[Layer], words: &Words) -> Vec<Pin> {
    let mut pins: Vec<Pin> = Vec::new();
    add_new(&mut pins, words.certificate_pins.iter().flatten());
    if pins.len() >= FEWEST_PINS {
        add_new(&mut pins, remote(layers).flat_map(|(_, remote)| &remote.next_pins));
    }
    pins
}

fn add_new<'a>(pins: &mut Vec<Pin>, more: impl Iterator<Item = &'a Pin>) {
    for pin in more {
        if !pins.contains(pin) {
            pins.push(*pin);
        }
    }
}

/// The remote settings that count, with their place.
fn remote(layers: &[Layer]) -> impl Iterator<Item = (&Layer, &Remote)> {
    let of_kind = layers.iter().filter(|layer| layer.kind == LayerKind::Remote);
    of_kind.filter_map(|layer| Some((layer, layer.remote.as_deref()?)))
}

/// What remote settings lower beside the level. Where they are not understood, that is everything.
fn lowering(layers: &[Layer]) -> Lowering {
    let mut of_kind = layers.iter().filter(|layer| layer.kind == LayerKind::Remote);
    let trouble = of_kind.find_map(|layer| Some((layer, layer.reading.trouble()?)));
    if let Some((layer, why)) = trouble {
        let stop = format!(
            "{} ({}) are not understood, which counts as a stop: {why}",
            layer.source, layer.place
        );
        return Lowering {
            summary: Some(format!("stop: {why}")),
            stop: Some(stop),
            ..Lowering::default()
        };
    }
    let Some((layer, remote)) = remote(layers).next() else { return Lowering::default() };
    let stop =
        || format!("{} ({}), version {}, say stop", layer.source, layer.place, remote.version);
    Lowering {
        stop: remote.stop.then(stop),
        min_sample_interval: remote.min_sample_interval,
        min_upload_interval: remote.min_upload_interval,
        off: Arc::new(remote.off.clone()),
        summary: Some(remote.summary()),
    }
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
    if layer.kind == LayerKind::Remote {
        return remote_verdict(layer, is_winner);
    }
    let (words, remarks) = match &layer.reading {
        Reading::Absent => return "absent".to_owned(),
        Reading::Malformed(why) => return not_understood(why),
        Reading::Unreadable(why) => return format!("not readable, counts as level 0: {why}"),
        Reading::NotReadableByYou(why) => return format!("not readable by you: {why}"),
        Reading::Read { words, remarks } => (words, remarks),
    };
    let verdict = match layer.weight {
        Weight::Nothing => "ignored: windows_setting = \"ignore\"".to_owned(),
        _ if is_winner => format!("decides: {}", decision.reason),
        Weight::Ceiling => "is a ceiling that is not reached".to_owned(),
        Weight::Full if words.allow_telemetry.is_some() => overridden(decision),
        Weight::Full => "states no level".to_owned(),
    };
    let ceiling = words.max_telemetry_allowed.filter(|_| !is_winner);
    let ceiling = ceiling.map(|ceiling| format!("ceiling {}", ceiling.number()));
    let parts = std::iter::once(verdict).chain(ceiling).chain(remarks.iter().cloned());
    parts.collect::<Vec<_>>().join("; ")
}

fn remote_verdict(layer: &Layer, is_winner: bool) -> String {
    let decides = if is_winner { "decides: " } else { "" };
    match (&layer.remote, layer.weight, layer.reading.trouble()) {
        (_, Weight::Nothing, _) => {
            key_reason(Key::DisableOneSettingsDownloads, 1) + ": nothing is fetched"
        }
        (_, _, Some(why)) if matches!(layer.reading, Reading::NotReadableByYou(_)) => {
            format!("not readable by you: {why}")
        }
        (_, _, Some(why)) => format!("not understood, counts as a stop: {why}"),
        (Some(remote), ..) => format!("{decides}{}", remote.summary()),
        (None, ..) if layer.reading == Reading::Absent => "nothing was fetched yet".to_owned(),
        (None, ..) => "has expired".to_owned(),
    }
}

fn overridden(decision: &LevelDecision) -> String {
    format!("overridden by {} ({})", decision.source, decision.reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(allow: Option<u8>, max: Option<u8>) -> Words {
        let level = |number: u8| Level::from_number(i64::from(number)).unwrap();
        Words {
            allow_telemetry: allow.map(level),
            max_telemetry_allowed: max.map(level),
            ..Words::default()
        }
    }

    fn layer(kind: LayerKind, place: &str, stated: Words) -> Layer {
        Layer::new(kind, place, Reading::of(stated))
    }

    fn allow(kind: LayerKind, place: &str, level: u8) -> Layer {
        layer(kind, place, words(Some(level), None))
    }

    fn effective(layers: &[Layer]) -> u8 {
        resolve(layers).level.effective.number()
    }

    /// What one place can be in the table: absent, silent, each level, malformed, unreadable.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum State {
        Absent,
        Silent,
        Level(u8),
        Malformed,
        Unreadable,
    }

    const STATES: [State; 8] = [
        State::Absent,
        State::Silent,
        State::Level(0),
        State::Level(1),
        State::Level(2),
        State::Level(3),
        State::Malformed,
        State::Unreadable,
    ];

    fn reading(state: State, ceiling: Option<u8>) -> Reading {
        match state {
            State::Absent => Reading::Absent,
            State::Silent => Reading::of(words(None, ceiling)),
            State::Level(level) => Reading::of(words(Some(level), ceiling)),
            State::Malformed => Reading::Malformed("line 1, column 1: x".into()),
            State::Unreadable => Reading::Unreadable("it is a directory".into()),
        }
    }

    /// The contract in a few lines of its own: effective level and whether upload holds.
    fn reference(states: [State; 4], ceiling: Option<(usize, u8)>) -> (u8, bool) {
        let broken = |state| matches!(state, State::Malformed | State::Unreadable);
        let mut level = 2;
        for state in states.into_iter().rev() {
            match state {
                State::Level(number) => level = number,
                state if broken(state) => level = 0,
                _ => {}
            }
        }
        if let Some((at, ceiling)) = ceiling {
            let counts = matches!(states[at], State::Silent | State::Level(_));
            level = if counts { level.min(ceiling) } else { level };
        }
        (level, broken(states[0]) || broken(states[1]))
    }

    #[test]
    fn every_combination_of_layers_and_ceilings_resolves_as_the_contract_says() {
        let kinds = [
            LayerKind::Policy,
            LayerKind::Operator,
            LayerKind::WindowsSetting,
            LayerKind::Configuration,
        ];
        let ceilings: Vec<Option<(usize, u8)>> = std::iter::once(None)
            .chain((0..4).flat_map(|at| (0..4).map(move |level| Some((at, level)))))
            .collect();
        let mut combinations = 0;
        for number in 0..STATES.len().pow(4) {
            let states =
                [0, 1, 2, 3].map(|at| STATES[number / STATES.len().pow(at) % STATES.len()]);
            for ceiling in &ceilings {
                let layers: Vec<Layer> = kinds
                    .iter()
                    .enumerate()
                    .map(|(at, kind)| {
                        let ceiling = ceiling.filter(|ceiling| ceiling.0 == at).map(|c| c.1);
                        Layer::new(*kind, kind.word(), reading(states[at], ceiling))
                    })
                    .collect();
                let resolved = resolve(&layers);
                let got = (resolved.level.effective.number(), resolved.hold.is_some());
                assert_eq!(got, reference(states, *ceiling), "{states:?} {ceiling:?}");
                assert_eq!(resolved.explanation.effective, got.0);
                combinations += 1;
            }
        }
        assert_eq!(combinations, 8 * 8 * 8 * 8 * 17);
    }

    #[test]
    fn the_decision_names_its_place_and_what_was_asked_for() {
        let layers = [
            allow(LayerKind::Policy, "policy.d/10-org.toml", 1),
            allow(LayerKind::Operator, "operator.toml", 3),
        ];
        let level = resolve(&layers).level;
        assert_eq!((level.requested, level.effective), (Level::Full, Level::Basic));
        assert_eq!(level.source, "policy.d/10-org.toml");
        assert_eq!(level.reason, "AllowTelemetry = 1");
        assert_eq!(level.layer, LayerKind::Policy);
        let level = resolve(&[]).level;
        assert_eq!((level.requested, level.effective), (Level::Enhanced, Level::Enhanced));
        assert_eq!((level.source.as_str(), level.layer), ("default", LayerKind::Default));
    }

    #[test]
    fn between_drop_ins_the_later_wins_key_by_key() {
        let layers = [
            layer(LayerKind::Policy, "policy.d/10.toml", words(Some(3), Some(1))),
            layer(LayerKind::Policy, "policy.d/20.toml", words(None, Some(2))),
        ];
        let level = resolve(&layers).level;
        assert_eq!(
            (level.effective, level.reason.as_str()),
            (Level::Enhanced, "MaxTelemetryAllowed = 2")
        );
        assert_eq!(level.source, "policy.d/20.toml");
    }

    #[test]
    fn one_malformed_drop_in_makes_the_whole_policy_level_0_whatever_comes_later() {
        let bad = Reading::Malformed("line 3, column 1: AllowTelemetry: x".into());
        for at in 0..3 {
            let mut layers: Vec<Layer> = ["10", "20", "30"]
                .map(|name| allow(LayerKind::Policy, &format!("policy.d/{name}.toml"), 3))
                .into();
            layers[at].reading = bad.clone();
            let effective = resolve(&layers);
            assert_eq!(effective.level.effective, Level::Security);
            assert_eq!(effective.level.source, layers[at].source);
            assert!(effective.level.reason.contains("line 3, column 1"));
            assert!(effective.hold.unwrap().starts_with(&layers[at].source));
        }
    }

    #[test]
    fn upload_holds_for_policy_and_operator_alone() {
        for (kind, holds) in [
            (LayerKind::Policy, true),
            (LayerKind::Operator, true),
            (LayerKind::WindowsSetting, false),
            (LayerKind::Configuration, false),
        ] {
            let layers = [Layer::new(kind, "x", Reading::Unreadable("y".into()))];
            assert_eq!(resolve(&layers).hold.is_some(), holds, "{kind:?}");
        }
    }

    #[test]
    fn other_words_follow_the_same_precedence_key_by_key() {
        let url = |host: &str| format!("https://{host}").parse::<crate::Url>().ok();
        let pin = |byte| Pin::from_bytes([byte; 32]);
        let policy = Words {
            upload_enabled: Some(true),
            events_endpoint: url("policy"),
            ..Words::default()
        };
        let operator = Words {
            upload_enabled: Some(false),
            events_endpoint: url("operator"),
            crash_endpoint: url("operator"),
            ..Words::default()
        };
        let configuration = Words {
            certificate_pins: Some(vec![pin(1), pin(2), pin(1)]),
            crash_endpoint: url("configuration"),
            allow_device_name: Some(true),
            ..Words::default()
        };
        let layers = [
            layer(LayerKind::Operator, "operator.toml", operator),
            layer(LayerKind::Configuration, "agent.toml", configuration),
            layer(LayerKind::Policy, "policy.d/10.toml", policy),
        ];
        let effective = resolve(&layers);
        assert!(effective.upload_enabled);
        assert_eq!(effective.upload_reason, "UploadEnabled = 1 (policy.d/10.toml)");
        assert_eq!(effective.events_endpoint, url("policy"));
        assert_eq!(effective.words.crash_endpoint, url("operator"));
        assert_eq!(effective.certificate_pins, [pin(1), pin(2)]);
        assert!(effective.allow_device_name);
    }

    #[test]
    fn the_host_name_stays_here_while_policy_is_not_understood() {
        let configuration = Words { allow_device_name: Some(true), ..Words::default() };
        let layers = [
            Layer::new(LayerKind::Policy, "p", Reading::Malformed("x".into())),
            layer(LayerKind::Configuration, "agent.toml", configuration),
        ];
        assert!(!resolve(&layers).allow_device_name);
    }

    #[test]
    fn a_lock_counts_only_in_policy_and_a_later_drop_in_may_unlock() {
        let locked = |locked| Words { lock_level: Some(locked), ..Words::default() };
        let mut layers = vec![layer(LayerKind::Configuration, "agent.toml", locked(true))];
        assert!(!resolve(&layers).lock_level);
        layers.push(layer(LayerKind::Policy, "policy.d/10.toml", locked(true)));
        assert!(resolve(&layers).lock_level);
        assert_eq!(would_be(&layers, Level::Enhanced).unwrap_err().reason, "LockLevel = 1");
        layers.push(layer(LayerKind::Policy, "policy.d/20.toml", locked(false)));
        assert!(!resolve(&layers).lock_level);
        assert!(would_be(&layers, Level::Basic).is_ok());
    }

    #[test]
    fn a_windows_setting_as_ceiling_only_lowers_and_ignored_does_nothing() {
        let weighed = |weight, reading| {
            vec![Layer { weight, ..Layer::new(LayerKind::WindowsSetting, "HKLM", reading) }]
        };
        for (level, expected) in [(0, 0), (1, 1), (2, 2), (3, 2)] {
            let reading = Reading::of(words(Some(level), None));
            assert_eq!(effective(&weighed(Weight::Ceiling, reading.clone())), expected);
            assert_eq!(effective(&weighed(Weight::Nothing, reading)), 2);
        }
        let broken = Reading::Malformed("x".into());
        assert_eq!(effective(&weighed(Weight::Ceiling, broken.clone())), 0);
        assert_eq!(effective(&weighed(Weight::Nothing, broken)), 2);
    }

    #[test]
    fn a_level_that_would_not_hold_is_refused_with_its_reason() {
        let policy = [allow(LayerKind::Policy, "policy.d/10.toml", 1)];
        let refused = would_be(&policy, Level::Full).unwrap_err();
        assert_eq!(refused.to_string(), "AllowTelemetry = 1 (policy.d/10.toml)");
        assert_eq!(refused.effective, Level::Basic);
        assert!(would_be(&policy, Level::Basic).is_ok());
        assert!(would_be(&policy, Level::Security).is_err(), "policy decides in both directions");
        let ceiling = [layer(LayerKind::Configuration, "agent.toml", words(None, Some(2)))];
        assert_eq!(would_be(&ceiling, Level::Full).unwrap_err().reason, "MaxTelemetryAllowed = 2");
        assert_eq!(would_be(&ceiling, Level::Basic).unwrap().source, "operator");
        let broken = [Layer::new(LayerKind::Policy, "p", Reading::Malformed("x".into()))];
        assert!(would_be(&broken, Level::Basic).is_err());
        assert!(would_be(&broken, Level::Security).is_ok());
    }

    #[test]
    fn the_operators_own_ceiling_counts_when_he_sets_a_level() {
        let own = [layer(LayerKind::Operator, "operator.toml", words(Some(1), Some(1)))];
        assert!(would_be(&own, Level::Full).is_err());
    }

    #[test]
    fn upload_is_refused_where_policy_says_otherwise_locks_it_or_is_not_understood() {
        let says = |enabled| Words { upload_enabled: Some(enabled), ..Words::default() };
        let off = [layer(LayerKind::Policy, "p", says(false))];
        assert_eq!(would_upload(&off, true).unwrap_err().reason, "UploadEnabled = 0");
        assert!(would_upload(&off, false).is_ok());
        let on = [layer(LayerKind::Policy, "p", says(true))];
        assert!(would_upload(&on, false).is_err());
        let locked = Words { lock_upload: Some(true), ..Words::default() };
        let locked = [layer(LayerKind::Policy, "p", locked)];
        assert_eq!(would_upload(&locked, false).unwrap_err().reason, "LockUpload = 1");
        let broken = [Layer::new(LayerKind::Policy, "p", Reading::Malformed("x".into()))];
        assert!(would_upload(&broken, true).is_err());
        assert!(would_upload(&broken, false).is_ok());
        assert!(would_upload(&[layer(LayerKind::Configuration, "c", says(false))], true).is_ok());
    }

    #[test]
    fn the_explanation_tells_every_place_its_value_and_its_verdict() {
        let operator = Reading::Read {
            words: Box::new(words(Some(3), Some(2))),
            remarks: vec!["line 2, column 1: Foo: is an unknown key".into()],
        };
        let layers = [
            allow(LayerKind::Configuration, "agent.toml", 2),
            Layer::new(LayerKind::Operator, "operator.toml", operator),
            layer(LayerKind::Policy, "policy.d/10.toml", words(Some(3), None)),
            layer(LayerKind::Policy, "policy.d/20.toml", words(Some(1), None)),
        ];
        let explanation = resolve(&layers).explanation;
        assert_eq!((explanation.requested, explanation.effective), (3, 1));
        assert_eq!(
            (explanation.winner.as_str(), explanation.reason.as_str()),
            ("policy", "AllowTelemetry = 1")
        );
        let told: Vec<(&str, &str, Option<u8>, &str)> = explanation
            .layers
            .iter()
            .map(|l| (l.layer.as_str(), l.place.as_str(), l.value, l.verdict.as_str()))
            .collect();
        let by_policy = "overridden by policy.d/20.toml (AllowTelemetry = 1)";
        assert_eq!(
            told,
            [
                ("policy", "policy.d/10.toml", Some(3), by_policy),
                ("policy", "policy.d/20.toml", Some(1), "decides: AllowTelemetry = 1"),
                (
                    "operator",
                    "operator.toml",
                    Some(3),
                    "overridden by policy.d/20.toml (AllowTelemetry = 1); ceiling 2; \
                     line 2, column 1: Foo: is an unknown key"
                ),
                ("configuration", "agent.toml", Some(2), by_policy),
                ("default", "built-in default", Some(2), by_policy),
            ]
        );
        assert_eq!(
            resolve(&layers).remarks,
            ["operator.toml: line 2, column 1: Foo: is an unknown key"]
        );
    }

    /// The layer of a document that counts.
    fn remote_layer(change: impl Fn(&mut Remote)) -> Layer {
        let mut remote = Remote {
            version: 7,
            expires: None,
            audience: crate::remote::Audience::All,
            max_level: None,
            stop: false,
            min_sample_interval: None,
            min_upload_interval: None,
            off: std::collections::BTreeSet::new(),
            next_pins: Vec::new(),
        };
        change(&mut remote);
        let stated = Words { max_telemetry_allowed: remote.max_level, ..Words::default() };
        let layer = layer(LayerKind::Remote, "https://s.example", stated).called("remote settings");
        Layer { weight: Weight::Ceiling, remote: Some(Arc::new(remote)), ..layer }
    }

    fn remote_line(effective: &Effective) -> (&str, &str) {
        let line = effective.explanation.layers.iter().find(|line| line.layer == "remote").unwrap();
        (&line.place, &line.verdict)
    }

    #[test]
    fn remote_settings_lower_and_never_raise_whatever_stands_beside_them() {
        for (max, stated, expected) in [(1, 3, 1), (3, 1, 1), (2, 2, 2), (0, 3, 0)] {
            let remote = remote_layer(|remote| remote.max_level = Level::from_number(max));
            let layers = [allow(LayerKind::Policy, "policy.d/10.toml", stated), remote];
            let effective = resolve(&layers);
            assert_eq!(effective.level.effective.number(), expected);
            let decides = effective.level.layer == LayerKind::Remote;
            assert_eq!(decides, expected < stated);
            let (place, verdict) = remote_line(&effective);
            assert_eq!(place, "https://s.example");
            let said = format!("version 7: MaxTelemetryAllowed = {max}");
            assert_eq!(verdict, if decides { format!("decides: {said}") } else { said });
        }
        let absent = Layer::new(LayerKind::Remote, "https://s.example", Reading::Absent);
        assert_eq!(remote_line(&resolve(&[absent])).1, "nothing was fetched yet");
    }

    #[test]
    fn remote_settings_that_are_not_understood_count_as_level_0_and_as_a_stop() {
        let broken =
            Layer::new(LayerKind::Remote, "https://s.example", Reading::Malformed("x".into()));
        let broken = Layer { weight: Weight::Ceiling, ..broken };
        let effective = resolve(&[allow(LayerKind::Policy, "p", 3), broken]);
        assert_eq!(effective.level.effective, Level::Security);
        assert!(effective.lowering.stop.as_ref().unwrap().ends_with(": x"));
        assert_eq!(remote_line(&effective).1, "not understood, counts as a stop: x");
        assert!(effective.hold.is_none(), "what the owner said is understood");
    }

    #[test]
    fn remote_settings_that_the_owner_switched_off_do_nothing() {
        let remote = remote_layer(|remote| {
            remote.stop = true;
            remote.max_level = Some(Level::Security);
        });
        let off =
            Layer { weight: Weight::Nothing, reading: Reading::Absent, remote: None, ..remote };
        let effective = resolve(&[off]);
        assert_eq!(effective.level.effective, Level::DEFAULT);
        assert_eq!(effective.lowering, Lowering::default());
        let verdict = remote_line(&effective).1;
        assert_eq!(verdict, "DisableOneSettingsDownloads = 1: nothing is fetched");
    }

    #[test]
    fn what_remote_settings_lower_is_told_and_changes_no_word() {
        let minute = std::time::Duration::from_mins(1);
        let remote = remote_layer(|remote| {
            remote.stop = true;
            remote.min_sample_interval = Some(minute);
            remote.min_upload_interval = Some(minute * 2);
            remote.off.insert("system.cpu.time".to_owned());
        });
        let effective = resolve(&[remote]);
        let Lowering { stop, min_sample_interval, min_upload_interval, off, summary } =
            &effective.lowering;
        assert!(stop.as_ref().unwrap().contains("version 7"));
        assert_eq!((*min_sample_interval, *min_upload_interval), (Some(minute), Some(minute * 2)));
        assert!(off.contains("system.cpu.time") && summary.is_some());
        assert_eq!(effective.words, Words::default());
        assert!(effective.upload_enabled, "the settings that end the stop must be fetched");
    }

    #[test]
    fn a_next_pin_set_stands_beside_two_pins_of_the_owner_and_beside_nothing_less() {
        let pin = |byte| Pin::from_bytes([byte; 32]);
        let own = |pins: &[u8]| {
            let certificate_pins = Some(pins.iter().copied().map(pin).collect());
            layer(
                LayerKind::Configuration,
                "agent.toml",
                Words { certificate_pins, ..Words::default() },
            )
        };
        let next = || remote_layer(|remote| remote.next_pins = vec![pin(2), pin(8), pin(9)]);
        let pins = |own| resolve(&[own, next()]).certificate_pins;
        assert_eq!(pins(own(&[1, 2])), [pin(1), pin(2), pin(8), pin(9)]);
        assert_eq!(pins(own(&[1, 1])), [pin(1)]);
        assert_eq!(pins(own(&[])), []);
    }

    #[test]
    fn what_the_caller_may_not_read_is_named_and_never_guessed_higher_than_0() {
        let hidden = Reading::NotReadableByYou("the file is not readable by you".into());
        let effective = resolve(&[Layer::new(LayerKind::Operator, "operator.toml", hidden)]);
        assert_eq!(effective.not_readable, ["operator.toml"]);
        assert_eq!(effective.level.effective, Level::Security);
        assert!(effective.explanation.layers[0].verdict.starts_with("not readable by you"));
    }
}

//! The operator's setting: what `set-level`, `enable` and `disable` write.
//!
//! On Linux, and wherever a root is named, it is `operator.toml` in the state directory; on
//! Windows without a root it is a registry key. The daemon writes it, and root's `agentctl` where
//! no daemon runs; whether it may be written is decided before, by [`crate::would_be`].
//!
//! # Invariants
//! - A write replaces the file whole or leaves it; values and comments that it does not mean stay.
//! - A setting that is not understood is not overwritten unless the caller says so.
//! - Upload is never left on by a write of the level, nor the level raised by a write of upload.

use candor_model::{Level, Pin};
use candor_platform::{FileError, Layout};

#[cfg_attr(not(windows), path = "operator/file.rs")]
#[cfg_attr(windows, path = "operator/windows.rs")]
mod store;
mod text;

use crate::address::Url;
use crate::keys::{Key, Words};
use crate::layer::Reading;
use crate::raise::{Until, raise_of};

use store::Store;

/// Why the setting could not be written.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// What stands there is not understood.
    #[error("{place} is not understood ({why}): repair it, or remove it")]
    NotUnderstood {
        /// The file or registry key.
        place: String,
        /// What is wrong with it.
        why: String,
    },
    /// The state directory or the file could not be written.
    #[error("cannot write the operator's setting")]
    Write {
        /// What failed, with the path.
        #[source]
        source: FileError,
    },
    /// The registry refused.
    #[error("cannot write {place}")]
    Registry {
        /// The registry key.
        place: String,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
}

/// A level to be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LevelSetting {
    /// The level.
    pub level: Level,
    /// When it falls back to what it was; `None` = it stays.
    pub until: Option<Until>,
    /// Why, for people.
    pub reason: Option<String>,
}

/// What an installer was told; each `None` leaves what stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FirstSettings {
    /// The level.
    pub level: Option<Level>,
    /// Where data goes.
    pub endpoint: Option<Url>,
    /// The pins that hold; two at least, or none is stated.
    pub pins: Vec<Pin>,
}

/// A key with its new value; `None` removes it.
type Change = (Key, Option<Value>);

/// A value to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Number(u8),
    Text(String),
    List(Vec<String>),
}

/// The operator's setting of one instance.
#[derive(Clone, Debug)]
pub struct Operator {
    store: Store,
    replaces: bool,
}

impl Operator {
    /// The setting of an instance.
    #[must_use]
    pub fn new(layout: &Layout) -> Self {
        Self { store: Store::new(layout), replaces: false }
    }

    /// The same, but a setting that is not understood is replaced.
    #[must_use]
    pub fn replacing(self) -> Self {
        Self { replaces: true, ..self }
    }

    /// Keeps room for the next write, so that a full disk cannot stand in the owner's way. Does
    /// nothing where the setting is in the registry or the disk has no room to give.
    pub fn hold_room(&self) {
        self.store.hold_room();
    }

    /// What it states now, an ended raise not yet taken into account.
    #[must_use]
    pub fn read(&self) -> Reading {
        self.store.read()
    }

    /// States a level. A setting for a time remembers what it falls back to: the level that stood
    /// before the first of several.
    ///
    /// # Errors
    /// See [`OperatorError`]; nothing is changed then.
    pub fn set_level(&self, setting: &LevelSetting) -> Result<(), OperatorError> {
        let words = self.words()?;
        let before = if raise_of(&words).is_some() {
            words.allow_telemetry_before
        } else {
            words.allow_telemetry
        };
        let (wall, boot) = match &setting.until {
            Some(until) => {
                (Some(until.wall.to_string()), until.boot.as_ref().map(ToString::to_string))
            }
            None => (None, None),
        };
        let before = before.filter(|_| setting.until.is_some());
        self.write(&[
            (Key::AllowTelemetry, Some(Value::Number(setting.level.number()))),
            (Key::AllowTelemetryUntil, wall.map(Value::Text)),
            (Key::AllowTelemetryUntilBoot, boot.map(Value::Text)),
            (Key::AllowTelemetryBefore, before.map(|level| Value::Number(level.number()))),
            (Key::AllowTelemetryReason, setting.reason.clone().map(Value::Text)),
        ])
    }

    /// Turns upload on or off. `keep_pending` says, with off, that what waits is kept.
    ///
    /// # Errors
    /// See [`OperatorError`]; nothing is changed then.
    pub fn set_upload(&self, enabled: bool, keep_pending: bool) -> Result<(), OperatorError> {
        self.words()?;
        let keep = (!enabled && keep_pending).then_some(Value::Number(1));
        self.write(&[
            (Key::UploadEnabled, Some(Value::Number(u8::from(enabled)))),
            (Key::KeepPending, keep),
        ])
    }

    /// States what an installer was told. A level for a time ends with it.
    ///
    /// # Errors
    /// See [`OperatorError`].
    pub fn set_first(&self, settings: &FirstSettings) -> Result<(), OperatorError> {
        self.words()?;
        let mut changes = Vec::new();
        if let Some(level) = settings.level {
            changes.push((Key::AllowTelemetry, Some(Value::Number(level.number()))));
            let of_a_raise =
                [Key::AllowTelemetryUntil, Key::AllowTelemetryUntilBoot, Key::AllowTelemetryBefore];
            changes.extend(of_a_raise.map(|key| (key, None)));
        }
        if let Some(endpoint) = &settings.endpoint {
            changes.push((Key::EventsEndpoint, Some(Value::Text(endpoint.to_string()))));
        }
        if !settings.pins.is_empty() {
            let pins = settings.pins.iter().map(ToString::to_string).collect();
            changes.push((Key::CertificatePins, Some(Value::List(pins))));
        }
        if changes.is_empty() { Ok(()) } else { self.write(&changes) }
    }

    fn words(&self) -> Result<Words, OperatorError> {
        match self.store.read() {
            Reading::Read { words, .. } => Ok(*words),
            Reading::Absent => Ok(Words::default()),
            Reading::Malformed(_) | Reading::Unreadable(_) | Reading::NotReadableByYou(_)
                if self.replaces =>
            {
                Ok(Words::default())
            }
            Reading::Malformed(why) | Reading::Unreadable(why) | Reading::NotReadableByYou(why) => {
                Err(OperatorError::NotUnderstood { place: self.store.place(), why })
            }
        }
    }

    fn write(&self, changes: &[Change]) -> Result<(), OperatorError> {
        self.store.write(changes)
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use super::*;
    use crate::source::now;

    fn setup() -> (tempfile::TempDir, Operator, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(Some(dir.path()));
        (dir, Operator::new(&layout), layout.operator_file())
    }

    fn level(level: Level) -> LevelSetting {
        LevelSetting { level, until: None, reason: None }
    }

    fn words(operator: &Operator) -> Words {
        operator.read().words().cloned().unwrap()
    }

    #[test]
    fn a_level_and_upload_are_written_beside_each_other() {
        let (_dir, operator, _) = setup();
        assert_eq!(operator.read(), Reading::Absent);
        operator.set_level(&level(Level::Basic)).unwrap();
        operator.set_upload(false, true).unwrap();
        let stated = words(&operator);
        assert_eq!(stated.allow_telemetry, Some(Level::Basic));
        assert_eq!((stated.upload_enabled, stated.keep_pending), (Some(false), Some(true)));
        operator.set_upload(true, true).unwrap();
        let stated = words(&operator);
        assert_eq!((stated.upload_enabled, stated.keep_pending), (Some(true), None));
        assert_eq!(stated.allow_telemetry, Some(Level::Basic));
    }

    #[test]
    fn other_values_comments_and_unknown_keys_stay() {
        let (_dir, operator, file) = setup();
        operator.set_level(&level(Level::Basic)).unwrap();
        let text =
            "# mine\nMaxTelemetryAllowed = 2\nFuture = [\n 1,\n]\nallowtelemetry = 1\n[t]\nx = 1\n";
        std::fs::write(&file, text).unwrap();
        operator.set_level(&level(Level::Full)).unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(
            text,
            "AllowTelemetry = 3\n# mine\nMaxTelemetryAllowed = 2\nFuture = [\n 1,\n]\n[t]\nx = 1\n"
        );
    }

    #[test]
    fn a_raise_remembers_what_it_falls_back_to_also_when_it_is_prolonged() {
        let (_dir, operator, _) = setup();
        operator.set_level(&level(Level::Basic)).unwrap();
        for _ in 0..2 {
            let until = Some(Until::after(&now(), Duration::from_mins(1)));
            let reason = Some("to find \"it\"\n".to_owned());
            operator.set_level(&LevelSetting { level: Level::Full, until, reason }).unwrap();
        }
        let stated = words(&operator);
        assert_eq!(stated.allow_telemetry_before, Some(Level::Basic));
        assert_eq!(stated.allow_telemetry_reason.as_deref(), Some("to find \"it\"\n"));
        operator.set_level(&level(Level::Enhanced)).unwrap();
        let expected = Words { allow_telemetry: Some(Level::Enhanced), ..Words::default() };
        assert_eq!(words(&operator), expected);
    }

    #[test]
    fn a_file_that_is_not_understood_is_kept_unless_it_is_to_be_replaced() {
        let (_dir, operator, file) = setup();
        operator.set_level(&level(Level::Basic)).unwrap();
        std::fs::write(&file, "AllowTelemetry = ").unwrap();
        let error = operator.set_level(&level(Level::Full)).unwrap_err();
        assert!(matches!(error, OperatorError::NotUnderstood { .. }), "{error}");
        assert!(matches!(
            operator.set_upload(true, false),
            Err(OperatorError::NotUnderstood { .. })
        ));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "AllowTelemetry = ");
        operator.clone().replacing().set_level(&level(Level::Full)).unwrap();
        assert_eq!(words(&operator).allow_telemetry, Some(Level::Full));
    }

    #[test]
    fn what_an_installer_was_told_stands_beside_the_rest_and_ends_a_raise() {
        let (_dir, operator, _) = setup();
        let until = Some(Until::after(&now(), Duration::from_mins(1)));
        operator.set_upload(false, false).unwrap();
        operator.set_level(&LevelSetting { level: Level::Full, until, reason: None }).unwrap();
        operator.set_first(&FirstSettings::default()).unwrap();
        assert_eq!(words(&operator).allow_telemetry, Some(Level::Full), "nothing was told");
        let pin = |byte| Pin::from_bytes([byte; 32]);
        let told = FirstSettings {
            level: Some(Level::Basic),
            endpoint: Some("https://telemetry.example.org".parse().unwrap()),
            pins: vec![pin(1), pin(2)],
        };
        operator.set_first(&told).unwrap();
        let stated = words(&operator);
        assert_eq!((stated.allow_telemetry, stated.upload_enabled), (told.level, Some(false)));
        assert!(raise_of(&stated).is_none());
        assert_eq!(stated.events_endpoint, told.endpoint);
        assert_eq!(stated.certificate_pins, Some(told.pins));
    }
}

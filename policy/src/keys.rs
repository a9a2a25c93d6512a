//! The policy keys: one table, from which the TOML reader, the registry reader, the documentation
//! and the administrative template are driven.
//!
//! It stands at the very start of policy's flow: text or registry value → [`Raw`] → [`Words`].
//!
//! # Invariants
//! - A key is spelled once, as a row of the table below; its name is the row's name.
//! - What is no value of a key's type is refused with what to write instead; nothing is guessed,
//!   rounded or clamped.

use std::fmt;

use candor_model::Level;
use candor_model::Pin;
use candor_model::events::agent::Layer as LayerKind;

use crate::address::{HostPort, Url};
use crate::minisign::MinisignKey;
use crate::raise::{BootDeadline, WallDeadline};

/// A value as a source has it, before its key gives it a meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Raw {
    /// A TOML integer, a `REG_DWORD`, or a `REG_SZ` of one digit.
    Integer(i64),
    /// A TOML string or a `REG_SZ`.
    Text(String),
    /// A TOML array of strings or a `REG_MULTI_SZ`.
    List(Vec<String>),
    /// Anything else, by the name of its type.
    Other(String),
}

impl fmt::Display for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(number) => write!(f, "{number}"),
            Self::Text(text) => write!(f, "\"{text}\""),
            Self::List(_) => f.write_str("a list"),
            Self::Other(kind) => f.write_str(kind),
        }
    }
}

/// In which layers a key counts. Elsewhere it is reported and has no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Every layer.
    Anywhere,
    /// Management policy only.
    Policy,
    /// Management policy and `agent.toml`.
    PolicyOrConfiguration,
    /// The operator's setting only: what `agentctl` itself writes beside the words.
    Operator,
}

impl Scope {
    /// Whether a key of this scope counts in a layer.
    #[must_use]
    pub fn admits(self, layer: LayerKind) -> bool {
        match self {
            Self::Anywhere => true,
            Self::Policy => layer == LayerKind::Policy,
            Self::PolicyOrConfiguration => {
                matches!(layer, LayerKind::Policy | LayerKind::Configuration)
            }
            Self::Operator => layer == LayerKind::Operator,
        }
    }

    /// Where it counts, for a report.
    #[must_use]
    pub const fn place(self) -> &'static str {
        match self {
            Self::Anywhere => "every layer",
            Self::Policy => "management policy",
            Self::PolicyOrConfiguration => "management policy and agent.toml",
            Self::Operator => "the operator's setting",
        }
    }
}

/// The type of a key's value.
pub trait Word: Sized {
    /// What to write, for messages and documentation.
    const TYPE: &'static str;

    /// Whether it is a small number, so that a `REG_SZ` of one digit counts as well.
    const IS_NUMBER: bool = false;

    /// Gives a raw value its meaning.
    ///
    /// # Errors
    /// What is wrong and what to write instead.
    fn from_raw(raw: &Raw) -> Result<Self, String>;

    /// The stricter of two that one place states; `None` where neither is.
    #[must_use]
    fn stricter(self, other: Self) -> Option<Self>;
}

macro_rules! key_table {
    ($( $(#[doc = $doc:literal])+ $Key:ident, $field:ident: $ty:ty, $scope:ident; )+) => {
        /// A policy key.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Key { $( $(#[doc = $doc])+ $Key, )+ }

        impl Key {
            /// Every key, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$Key),+];

            /// The spelling, the same in the registry, in TOML, in ADMX and in documents.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $( Self::$Key => stringify!($Key), )+ }
            }

            /// What it means, as published.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $( Self::$Key => concat!($($doc),+).trim_ascii(), )+ }
            }

            /// What to write, as published.
            #[must_use]
            pub const fn type_name(self) -> &'static str {
                match self { $( Self::$Key => <$ty as Word>::TYPE, )+ }
            }

            /// Whether its value is a small number.
            #[must_use]
            pub const fn is_number(self) -> bool {
                match self { $( Self::$Key => <$ty as Word>::IS_NUMBER, )+ }
            }

            /// In which layers it counts.
            #[must_use]
            pub const fn scope(self) -> Scope {
                match self { $( Self::$Key => Scope::$scope, )+ }
            }
        }

        /// What one place states, or what several state together. A key that is `None` is not
        /// stated.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Words { $( $(#[doc = $doc])+ pub $field: Option<$ty>, )+ }

        impl Words {
            /// States a key.
            ///
            /// # Errors
            /// What is wrong with the value and what to write instead. A second, different value
            /// in the same place gives the stricter one, or is an error where neither is.
            pub fn state(&mut self, key: Key, raw: &Raw) -> Result<(), String> {
                match key { $( Key::$Key => state(&mut self.$field, raw), )+ }
            }

            /// Whether it states a key.
            #[must_use]
            pub fn states(&self, key: Key) -> bool {
                match key { $( Key::$Key => self.$field.is_some(), )+ }
            }

            /// These words, and those of `weaker` where these say nothing.
            #[must_use]
            pub fn over(self, weaker: &Self) -> Self {
                Self { $( $field: self.$field.or_else(|| weaker.$field.clone()), )+ }
            }
        }
    };
}

key_table! {
    /// The level: 0 security, 1 basic, 2 enhanced, 3 full.
    AllowTelemetry, allow_telemetry: Level, Anywhere;
    /// A ceiling for the level, from whatever layer.
    MaxTelemetryAllowed, max_telemetry_allowed: Level, Anywhere;
    /// 0 = nothing is collected and nothing leaves, not even a DNS query.
    UploadEnabled, upload_enabled: bool, Anywhere;
    /// Where data goes.
    EventsEndpoint, events_endpoint: Url, Anywhere;
    /// Where remote settings come from.
    SettingsEndpoint, settings_endpoint: Url, Anywhere;
    /// Where dumps go; in this version none leaves.
    CrashEndpoint, crash_endpoint: Url, Anywhere;
    /// Pins of the servers' keys, two at least.
    CertificatePins, certificate_pins: Vec<Pin>, Anywhere;
    /// The only way out; if the proxy fails the data stays here.
    TelemetryProxy, telemetry_proxy: HostPort, Anywhere;
    /// 1 = the host name is sent in clear.
    AllowDeviceNameInTelemetry, allow_device_name: bool, Anywhere;
    /// 1 = no logs at level 3.
    LimitDiagnosticLogCollection, limit_diagnostic_log_collection: bool, Anywhere;
    /// 1 = mini dumps only; in this version no dump leaves.
    LimitDumpCollection, limit_dump_collection: bool, Anywhere;
    /// 1 = no viewer of what is sent.
    DisableDiagnosticDataViewer, disable_diagnostic_data_viewer: bool, Anywhere;
    /// 1 = no deletion asked for from this host.
    DisableDeviceDelete, disable_device_delete: bool, Anywhere;
    /// 1 = no remote settings.
    DisableOneSettingsDownloads, disable_one_settings_downloads: bool, Anywhere;
    /// 1 = every fetch of remote settings and each effect is audited.
    EnableOneSettingsAuditing, enable_one_settings_auditing: bool, Anywhere;
    /// 1 = the operator cannot enable or disable upload.
    LockUpload, lock_upload: bool, Policy;
    /// 1 = the operator cannot change the level.
    LockLevel, lock_level: bool, Policy;
    /// Who may sign remote settings and receipts; empty = no remote settings.
    SettingsKeys, settings_keys: Vec<MinisignKey>, PolicyOrConfiguration;
    /// When a raise ends, on the wall clock.
    AllowTelemetryUntil, allow_telemetry_until: WallDeadline, Operator;
    /// When a raise ends, on the boot clock of the boot in which it was made.
    AllowTelemetryUntilBoot, allow_telemetry_until_boot: BootDeadline, Operator;
    /// The level to which an ended raise falls back; not stated = the weaker layers decide.
    AllowTelemetryBefore, allow_telemetry_before: Level, Operator;
    /// The operator's reason for the level.
    AllowTelemetryReason, allow_telemetry_reason: String, Operator;
    /// 1 = what waits is kept while upload is disabled.
    KeepPending, keep_pending: bool, Operator;
}

impl Key {
    /// The key of a name. Letter case does not matter, as in the registry: `allowtelemetry = 0`
    /// must never pass as an unknown key.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|key| key.name().eq_ignore_ascii_case(name))
    }
}

fn state<T: Word + Clone + PartialEq>(field: &mut Option<T>, raw: &Raw) -> Result<(), String> {
    let new = T::from_raw(raw)?;
    *field = Some(match field.take() {
        Some(old) if old != new => {
            old.stricter(new).ok_or("is stated twice, differently: keep one")?
        }
        _ => new,
    });
    Ok(())
}

fn wrong<T: Word>(raw: &Raw) -> String {
    format!("{raw} is not {}", T::TYPE)
}

impl Word for Level {
    const TYPE: &'static str = "a number from 0 to 3";
    const IS_NUMBER: bool = true;

    fn from_raw(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::Integer(number) => Self::from_number(*number).ok_or_else(|| wrong::<Self>(raw)),
            _ => Err(wrong::<Self>(raw)),
        }
    }

    fn stricter(self, other: Self) -> Option<Self> {
        Some(self.min(other))
    }
}

impl Word for bool {
    const TYPE: &'static str = "the number 0 or 1";
    const IS_NUMBER: bool = true;

    fn from_raw(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::Integer(0) => Ok(false),
            Raw::Integer(1) => Ok(true),
            _ => Err(wrong::<Self>(raw)),
        }
    }

    // Which of 0 and 1 is the stricter differs from key to key: it is not guessed.
    fn stricter(self, _other: Self) -> Option<Self> {
        None
    }
}

macro_rules! text_words {
    ($($ty:ty: $what:literal;)+) => { $(
        impl Word for $ty {
            const TYPE: &'static str = $what;

            fn from_raw(raw: &Raw) -> Result<Self, String> {
                match raw {
                    Raw::Text(text) => text.parse::<Self>().map_err(|error| error.to_string()),
                    _ => Err(wrong::<Self>(raw)),
                }
            }

            fn stricter(self, _other: Self) -> Option<Self> {
                None
            }
        }
    )+ };
}

text_words! {
    Url: "an https URL such as \"https://telemetry.example.org\"";
    HostPort: "a \"host:port\"";
    WallDeadline: "a time such as \"2026-11-20T08:00:00Z\"";
    BootDeadline: "\"BOOT-ID SECONDS\"";
    String: "a text";
}

macro_rules! list_words {
    ($($ty:ty: $what:literal;)+) => { $(
        impl Word for Vec<$ty> {
            const TYPE: &'static str = $what;

            fn from_raw(raw: &Raw) -> Result<Self, String> {
                match raw {
                    Raw::List(items) => items
                        .iter()
                        .map(|item| item.parse::<$ty>().map_err(|error| error.to_string()))
                        .collect(),
                    _ => Err(wrong::<Self>(raw)),
                }
            }

            fn stricter(self, _other: Self) -> Option<Self> {
                None
            }
        }
    )+ };
}

list_words! {
    Pin: "a list of pins such as [\"sha256/BASE64\", \"sha256/BASE64\"]";
    MinisignKey: "a list of minisign public keys such as [\"RW…\"]";
}

#[cfg(test)]
mod tests {
    use super::*;

    fn integer(number: i64) -> Raw {
        Raw::Integer(number)
    }

    #[test]
    fn a_key_is_found_by_its_name_in_any_letter_case_and_by_nothing_else() {
        assert_eq!(Key::from_name("AllowTelemetry"), Some(Key::AllowTelemetry));
        assert_eq!(Key::from_name("allowtelemetry"), Some(Key::AllowTelemetry));
        assert_eq!(Key::from_name("AllowTelemetry2"), None);
        for key in Key::ALL {
            assert_eq!(Key::from_name(key.name()), Some(*key));
            assert!(!key.meaning().is_empty() && !key.type_name().is_empty());
        }
    }

    #[test]
    fn a_level_is_an_integer_from_0_to_3_and_nothing_else() {
        for (raw, ok) in [
            (integer(0), true),
            (integer(3), true),
            (integer(4), false),
            (integer(-1), false),
            (Raw::Text("2".into()), false),
            (Raw::Other("a boolean".into()), false),
        ] {
            assert_eq!(Words::default().state(Key::AllowTelemetry, &raw).is_ok(), ok, "{raw}");
        }
    }

    #[test]
    fn a_switch_is_0_or_1_and_nothing_else() {
        for (raw, ok) in [(integer(0), true), (integer(1), true), (integer(2), false)] {
            assert_eq!(Words::default().state(Key::UploadEnabled, &raw).is_ok(), ok, "{raw}");
        }
    }

    #[test]
    fn two_levels_in_one_place_give_the_lower_and_two_switches_are_an_error() {
        let mut words = Words::default();
        words.state(Key::AllowTelemetry, &integer(3)).unwrap();
        words.state(Key::AllowTelemetry, &integer(1)).unwrap();
        words.state(Key::AllowTelemetry, &integer(2)).unwrap();
        assert_eq!(words.allow_telemetry, Some(Level::Basic));
        words.state(Key::UploadEnabled, &integer(1)).unwrap();
        words.state(Key::UploadEnabled, &integer(1)).unwrap();
        assert!(words.state(Key::UploadEnabled, &integer(0)).is_err());
    }

    #[test]
    fn the_stronger_words_win_key_by_key() {
        let mut strong = Words::default();
        strong.state(Key::AllowTelemetry, &integer(1)).unwrap();
        let mut weak = Words::default();
        weak.state(Key::AllowTelemetry, &integer(3)).unwrap();
        weak.state(Key::LockLevel, &integer(1)).unwrap();
        let both = strong.over(&weak);
        assert_eq!((both.allow_telemetry, both.lock_level), (Some(Level::Basic), Some(true)));
    }

    #[test]
    fn locks_count_only_in_policy_and_settings_keys_not_in_the_operators_setting() {
        assert!(Key::LockLevel.scope().admits(LayerKind::Policy));
        assert!(!Key::LockLevel.scope().admits(LayerKind::Configuration));
        assert!(Key::SettingsKeys.scope().admits(LayerKind::Configuration));
        assert!(!Key::SettingsKeys.scope().admits(LayerKind::Operator));
        assert!(!Key::AllowTelemetryUntil.scope().admits(LayerKind::Policy));
    }
}

//! What Defender's values in the registry mean. Only numbers, bytes and text to facts: the same everywhere.
//!
//! # Invariants
//! - Policy decides before the host's own setting; a value that is missing makes no protection.

use candor_model::UnixNanos;
use candor_model::events::security::{Antimalware, AntimalwareProduct};

use super::filetime;
use crate::bytes::number;
use crate::filler::fact;

const NANOS_A_DAY: u64 = 86_400_000_000_000;

/// The values, as far as they exist.
#[derive(Clone, Debug, Default)]
pub(super) struct Values {
    /// Whether the service `WinDefend` runs.
    pub(super) runs: Option<bool>,
    /// `DisableAntiSpyware`, of policy and of its own.
    pub(super) disabled: [Option<u32>; 2],
    /// `DisableRealtimeMonitoring`, of policy and of its own.
    pub(super) real_time_off: [Option<u32>; 2],
    /// `PassiveMode`: another product protects.
    pub(super) passive: Option<u32>,
    /// `AVSignatureVersion`.
    pub(super) version: Option<String>,
    /// `AVSignatureApplied` or `SignaturesLastUpdated`: a time in eight bytes.
    pub(super) signed: Option<Vec<u8>>,
}

impl Values {
    /// The event at this moment.
    pub(super) fn tell(self, now: UnixNanos) -> Antimalware {
        let is_set =
            |values: [Option<u32>; 2]| values[0].or(values[1]).is_some_and(|value| value != 0);
        let enabled = self.runs.map(|runs| runs && !is_set(self.disabled));
        let watches = !is_set(self.real_time_off) && self.passive.unwrap_or_default() == 0;
        let ticks = self.signed.as_deref().and_then(|bytes| number::<8>(bytes, 0));
        let made = ticks.and_then(filetime::unix);
        Antimalware {
            product: Some(AntimalwareProduct::Defender),
            enabled,
            real_time: enabled.map(|enabled| enabled && watches),
            signature_version: self.version.as_deref().and_then(fact),
            signature_date: made.and_then(|made| {
                let nanos = i128::from(made.0);
                Some(jiff::Timestamp::from_nanosecond(nanos).ok()?.to_string())
            }),
            signature_age: made.and_then(|made| Some(now.0.checked_sub(made.0)? / NANOS_A_DAY)),
        }
    }
}

/// `WSC_SECURITY_PROVIDER_HEALTH_GOOD`.
const GOOD: i32 = 0;

/// Another product than Defender, where the Security Center finds the host well protected and Defender does
/// not protect it. Which one it is the Security Center tells only to programs that Microsoft signed.
pub(super) fn other(defender: Option<&Antimalware>, health: Option<i32>) -> Option<Antimalware> {
    let protects = defender.is_some_and(|defender| defender.real_time != Some(false));
    (health == Some(GOOD) && !protects).then(|| Antimalware {
        product: Some(AntimalwareProduct::Other),
        enabled: Some(true),
        ..Antimalware::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> Values {
        Values {
            runs: Some(true),
            version: Some("1.401.1234.0".to_owned()),
            signed: Some(133_438_189_000_000_000u64.to_le_bytes().to_vec()),
            ..Values::default()
        }
    }

    const SIGNED: u64 = 1_699_345_300_000_000_000;

    #[test]
    fn a_defender_that_runs_tells_its_signatures() {
        let expected = Antimalware {
            product: Some(AntimalwareProduct::Defender),
            enabled: Some(true),
            real_time: Some(true),
            signature_version: Some("1.401.1234.0".to_owned()),
            signature_date: Some("2023-11-07T08:21:40Z".to_owned()),
            signature_age: Some(3),
        };
        assert_eq!(values().tell(UnixNanos(SIGNED + 3 * NANOS_A_DAY + 5)), expected);
    }

    #[test]
    fn policy_turns_it_off_and_on_whatever_it_says_itself() {
        let told = |values: Values| {
            let told = values.tell(UnixNanos(SIGNED));
            (told.enabled, told.real_time)
        };
        let (on, off, blind) =
            ((Some(true), Some(true)), (Some(false), Some(false)), (Some(true), Some(false)));
        assert_eq!(told(Values { disabled: [Some(1), Some(0)], ..values() }), off);
        assert_eq!(told(Values { disabled: [Some(0), Some(1)], ..values() }), on);
        assert_eq!(told(Values { real_time_off: [None, Some(1)], ..values() }), blind);
        assert_eq!(told(Values { passive: Some(1), ..values() }), blind);
        assert_eq!(told(Values { runs: Some(false), ..values() }), off);
        assert_eq!(told(Values { runs: None, ..values() }), (None, None));
    }

    #[test]
    fn another_product_is_told_where_the_host_is_well_protected_and_not_by_defender() {
        let on = values().tell(UnixNanos(SIGNED));
        let passive = Values { passive: Some(1), ..values() }.tell(UnixNanos(SIGNED));
        let told = |defender: Option<&Antimalware>, health| {
            other(defender, health).and_then(|other| other.product)
        };
        let other = Some(AntimalwareProduct::Other);
        assert_eq!(told(Some(&passive), Some(GOOD)), other);
        assert_eq!(told(None, Some(GOOD)), other);
        assert_eq!(told(Some(&on), Some(GOOD)), None);
        for health in [None, Some(1), Some(2), Some(3)] {
            assert_eq!(told(Some(&passive), health), None, "{health:?}");
        }
    }

    #[test]
    fn signatures_of_the_future_have_no_age_and_odd_bytes_no_date() {
        assert_eq!(values().tell(UnixNanos(SIGNED - 1)).signature_age, None);
        let odd = Values { signed: Some(vec![1, 2]), ..values() };
        assert_eq!(odd.tell(UnixNanos(SIGNED)).signature_date, None);
    }
}

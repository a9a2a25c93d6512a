//! What the values in a Windows registry mean for the posture. Only numbers and text to facts: the
//! same everywhere.
//!
//! # Invariants
//! - A value that is missing or unknown makes its fact absent.

/// The first build of Windows 11, whose registry still says 10.
const WINDOWS_11: u32 = 22_000;

/// What is said of one profile of the firewall: by policy, and by the host's own setting.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Profile {
    pub(super) policy: Option<u32>,
    pub(super) own: Option<u32>,
}

/// The name that Windows shows, from `ProductName` and the build.
pub(super) fn name(product: &str, build: Option<u32>) -> String {
    match (product.strip_prefix("Windows 10"), build) {
        (Some(edition), Some(WINDOWS_11..)) => format!("Windows 11{edition}"),
        _ => product.to_owned(),
    }
}

/// On when every profile is; policy decides before the host's own setting.
pub(super) fn firewall(profiles: &[Profile], is_service_disabled: bool) -> Option<bool> {
    if is_service_disabled {
        return Some(false);
    }
    let mut all_on = Some(true);
    for profile in profiles {
        match profile.policy.or(profile.own) {
            Some(0) => return Some(false),
            Some(1) => {}
            _ => all_on = None,
        }
    }
    all_on.filter(|_| !profiles.is_empty())
}

/// A time as Windows Update writes it, in UTC: `2024-01-10 03:12:44`, as RFC 3339.
pub(super) fn time(text: &str) -> Option<String> {
    let time: jiff::civil::DateTime = text.trim().parse().ok()?;
    Some(time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().to_string())
}

/// A switch that is 0 or 1.
pub(super) fn switch(value: u32) -> Option<bool> {
    match value {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ON: Profile = Profile { policy: None, own: Some(1) };
    const OFF: Profile = Profile { policy: None, own: Some(0) };
    const UNTOLD: Profile = Profile { policy: None, own: None };

    #[test]
    fn a_firewall_is_on_when_every_profile_is() {
        assert_eq!(firewall(&[ON, ON, ON], false), Some(true));
        assert_eq!(firewall(&[ON, OFF, ON], false), Some(false));
        assert_eq!(firewall(&[UNTOLD, ON, OFF], false), Some(false));
        assert_eq!(firewall(&[ON, UNTOLD, ON], false), None);
        assert_eq!(firewall(&[ON, ON, ON], true), Some(false));
        assert_eq!(firewall(&[], false), None);
    }

    #[test]
    fn policy_decides_before_the_own_setting() {
        let forced = Profile { policy: Some(1), own: Some(0) };
        assert_eq!(firewall(&[forced], false), Some(true));
        assert_eq!(firewall(&[Profile { policy: Some(0), own: Some(1) }], false), Some(false));
    }

    #[test]
    fn the_time_of_an_update_is_in_utc() {
        assert_eq!(time("2024-01-10 03:12:44").as_deref(), Some("2024-01-10T03:12:44Z"));
        for odd in ["", "2024-13-10 03:12:44", "yesterday", "10.01.2024 03:12"] {
            assert_eq!(time(odd), None, "{odd}");
        }
    }

    #[test]
    fn windows_11_is_named_by_its_build() {
        assert_eq!(name("Windows 10 Pro", Some(22_631)), "Windows 11 Pro");
        assert_eq!(name("Windows 10 Pro", Some(19_045)), "Windows 10 Pro");
        assert_eq!(
            name("Windows Server 2022 Standard", Some(20_348)),
            "Windows Server 2022 Standard"
        );
        assert_eq!((switch(1), switch(0), switch(7)), (Some(true), Some(false), None));
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, text};

        text(
            "posture/registry::time",
            Says::Derived("the same moment in another form"),
            &["2024-01-10 03:12:44"],
            time,
        );
        text(
            "posture/registry::name",
            Says::Derived("from 10 to 11 by the build"),
            &["Windows 10 Pro"],
            |product| name(product, Some(22_000)),
        );
    }
}

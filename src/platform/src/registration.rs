//! What a registration of the agent as a Windows service holds beyond what the service crate sets: the few
//! privileges that it keeps, its directories and its registry key with the rights of its account, its event
//! source. `agentctl service install` calls it, and the MSI through that.
//!
//! # Invariants
//! - The service keeps [`PRIVILEGES`] and nothing else of what its account or its host would give it.
//! - Configuration can be changed by administrators alone; state and logs are the service's.
//!
//! On failure: the system's error; each part can be set again.

#[cfg(windows)]
#[path = "registration/windows.rs"]
mod imp;

#[cfg(windows)]
pub use imp::{
    furnish_directories, furnish_event_source, furnish_settings_key, has_delayed_start,
    has_event_source, preshutdown_timeout, remove_event_source, remove_settings,
    require_privileges, required_privileges,
};

/// All that the service may do beyond an ordinary user: pass through directories, as everybody may, and
/// learn from the pipe who is at its other end.
pub const PRIVILEGES: [&str; 2] = ["SeChangeNotifyPrivilege", "SeImpersonatePrivilege"];

/// The list as the service control manager wants it: each name with its zero, and one more at the end.
#[cfg(any(windows, test))]
fn multi_string(items: &[&str]) -> Vec<u16> {
    let mut units: Vec<u16> = Vec::new();
    for item in items {
        units.extend(item.encode_utf16());
        units.push(0);
    }
    units.push(0);
    units
}

/// The names in such a list, as far as it is whole.
#[cfg(any(windows, test))]
fn items(units: &[u16]) -> Vec<String> {
    let end = units.windows(2).position(|pair| pair == [0, 0]).unwrap_or(units.len());
    let names = units[..end].split(|unit| *unit == 0).filter(|name| !name.is_empty());
    names.map(String::from_utf16_lossy).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_privileges_ends_twice_and_reads_back() {
        let units = multi_string(&PRIVILEGES);
        assert!(units.ends_with(&[0, 0]));
        assert_eq!(units.iter().filter(|unit| **unit == 0).count(), 3);
        assert_eq!(items(&units), PRIVILEGES);
    }

    #[test]
    fn an_empty_or_torn_list_is_read_as_far_as_it_goes() {
        assert_eq!(items(&multi_string(&[])), Vec::<String>::new());
        assert_eq!(items(&[]), Vec::<String>::new());
        let units = multi_string(&["a", "bc"]);
        assert_eq!(items(&units[..units.len() - 2]), ["a", "bc"]);
    }

    #[test]
    fn the_service_can_neither_debug_nor_load_drivers_nor_own_files() {
        for dangerous in
            ["SeDebug", "SeLoadDriver", "SeTakeOwnership", "SeTcb", "SeBackup", "SeRestore"]
        {
            assert!(!PRIVILEGES.iter().any(|name| name.starts_with(dangerous)), "{dangerous}");
        }
    }
}

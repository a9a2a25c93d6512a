//! The name of a network adapter of Windows by its locally unique id, as Windows' own tools write it:
//! `ethernet_32769`, `wireless_32768`.
//!
//! ```text
//! bits 63..48 IANA's type | 47..24 number | 23..0 reserved
//! ```
//!
//! # Invariants
//! - A type without a name of its own is `iftypeN`, as there.

/// The name; `None` for an id of nothing.
pub(super) fn name(luid: u64) -> Option<String> {
    let (kind, number) = (luid >> 48, (luid >> 24) & 0x00FF_FFFF);
    let kind = match kind {
        0 => return None,
        6 => "ethernet".to_owned(),
        23 => "ppp".to_owned(),
        24 => "loopback".to_owned(),
        71 => "wireless".to_owned(),
        131 => "tunnel".to_owned(),
        other => format!("iftype{other}"),
    };
    Some(format!("{kind}_{number}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_written_as_windows_tools_do() {
        assert_eq!(name(6 << 48 | 32_769 << 24).as_deref(), Some("ethernet_32769"));
        assert_eq!(name(71 << 48 | 1 << 24).as_deref(), Some("wireless_1"));
        assert_eq!(name(243 << 48 | 0xFF_FFFF).as_deref(), Some("iftype243_0"), "reserved bits");
        assert_eq!(name(0), None);
    }
}

//! Replaces what identifies a machine in a text that was copied from it.
//!
//! # Invariants
//! - The same length and form, so that what reads it reads the same.
//! - Hexadecimal digits of MAC addresses, UUIDs and of names made of a MAC address become zeros.
//!
//! Nothing here fails.

/// The text without addresses and ids, and without `host_name`.
pub(super) fn disguise(text: &str, host_name: Option<&str>) -> String {
    let mut clean = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        clean.push_str(&line_of(line));
    }
    match host_name {
        Some(name) => clean.replace(name, &"x".repeat(name.len())),
        None => clean,
    }
}

fn line_of(line: &str) -> String {
    // The serial number of an Arm board, in `proc/cpuinfo`.
    if let Some(value) = line.strip_prefix("Serial") {
        return format!("Serial{}", zeros(value));
    }
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == ':' || c == '-';
    let mut clean = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(start) = rest.find(is_part) {
        clean.push_str(&rest[..start]);
        let word = &rest[start..];
        let end = word.find(|c| !is_part(c)).unwrap_or(word.len());
        clean.push_str(&word_of(&word[..end]));
        rest = &word[end..];
    }
    clean + rest
}

fn word_of(word: &str) -> String {
    let is_hex = |part: &str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let parts: Vec<&str> = word.split([':', '-']).collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    let all_hex = parts.iter().all(|part| is_hex(part));
    let is_uuid = lengths.windows(5).any(|five| five == [8, 4, 4, 4, 12]);
    let is_mac = lengths.len() >= 6 && lengths.windows(6).any(|six| six == [2; 6]);
    if (is_mac && all_hex) || is_uuid {
        return zeros(word);
    }
    match word.strip_prefix("enx").or_else(|| word.strip_prefix("wlx")) {
        Some(address) if address.len() == 12 && is_hex(address) => {
            format!("{}{}", &word[..3], zeros(address))
        }
        _ => word.to_owned(),
    }
}

fn zeros(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_hexdigit() { '0' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_ids_and_names_are_replaced_and_the_rest_stays() {
        for (text, clean) in [
            ("02:ca:fe:ca:fe:01\n", "00:00:00:00:00:00\n"),
            ("INTERFACE=enx02cafecafe01", "INTERFACE=enx000000000000"),
            (
                "CRYPT-LUKS2-0f1e2d3c4b5a69788796a5b4c3d2e1f0-root",
                "CRYPT-LUKS2-0f1e2d3c4b5a69788796a5b4c3d2e1f0-root",
            ),
            ("f8b3781a-1e82-4818-a1c3-63d806ec15bb/x", "00000000-0000-0000-0000-000000000000/x"),
            ("Serial\t\t: 10000000abcdef01\n", "Serial\t\t: 0000000000000000\n"),
            ("0000:00:1f.2/ata1", "0000:00:1f.2/ata1"),
            (
                "model name\t: AMD EPYC 7543 32-Core Processor",
                "model name\t: AMD EPYC 7543 32-Core Processor",
            ),
            ("web-7 is up", "xxxxx is up"),
        ] {
            assert_eq!(disguise(text, Some("web-7")), clean);
        }
    }
}

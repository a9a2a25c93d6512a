//! Replaces what identifies a machine in a text that was copied from it.
//!
//! # Invariants
//! - The same length and form, so that what reads it reads the same.
//! - MAC addresses, UUIDs and names made of a MAC address become numbers in the order in which they were met:
//!   what was one stays one, what were two stay two. A kernel's addresses and a board's serial number become zeros.
//! - The host's name is replaced whole or up to its first dot, in whatever case, and as LVM writes it, with double
//!   dashes; only where it is a word by itself.
//!
//! Nothing here fails.

use std::collections::BTreeMap;

/// Names that installers give: they identify nobody, and are words of what is recorded.
const NOBODY: [&str; 7] =
    ["debian", "ubuntu", "fedora", "alpine", "raspberrypi", "archlinux", "localhost"];

/// Shorter names are words of any text.
const SHORTEST_NAME: usize = 3;

/// What was replaced so far.
#[derive(Debug, Default)]
pub(super) struct Disguise {
    /// Every spelling of the host's name, in lower case, the longest first.
    host_names: Vec<String>,
    numbers: BTreeMap<String, usize>,
    volumes: BTreeMap<String, usize>,
}

impl Disguise {
    /// The host's names, as its files tell them, are replaced wherever they stand.
    pub(super) fn new(host_names: impl IntoIterator<Item = String>) -> Self {
        let names = host_names.into_iter().map(|name| name.to_ascii_lowercase());
        let mut host_names: Vec<_> = names.flat_map(|name| spellings(&name)).collect();
        host_names.sort_by_key(|name| (std::cmp::Reverse(name.len()), name.clone()));
        host_names.dedup();
        Self { host_names, ..Self::default() }
    }

    /// The text without addresses and ids, and without the host's name.
    pub(super) fn clean(&mut self, text: &str) -> String {
        let mut clean = String::with_capacity(text.len());
        for line in text.split_inclusive('\n') {
            clean.push_str(&self.line(line));
        }
        self.host_names.iter().fold(clean, |text, name| without_name(&text, name))
    }

    /// The number of a volume in place of the name that somebody gave it, or that its maker did.
    pub(super) fn volume(&mut self, name: &str) -> String {
        let next = self.volumes.len() + 1;
        let number = *self.volumes.entry(name.to_owned()).or_insert(next);
        format!("volume-{number}")
    }

    fn line(&mut self, line: &str) -> String {
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
            clean.push_str(&self.word(&word[..end]));
            rest = &word[end..];
        }
        clean + rest
    }

    fn word(&mut self, word: &str) -> String {
        let parts: Vec<&str> = word.split([':', '-']).collect();
        let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
        let all_hex = parts.iter().all(|part| is_hex(part));
        let is_uuid = lengths.windows(5).any(|five| five == [8, 4, 4, 4, 12]);
        let is_mac = lengths.len() >= 6 && lengths.windows(6).any(|six| six == [2; 6]);
        if (is_mac && all_hex) || is_uuid {
            return self.numbered(word);
        }
        if word.strip_prefix("0x").is_some_and(|digits| digits.len() >= 12 && is_hex(digits)) {
            return format!("0x{}", zeros(&word[2..]));
        }
        match word.strip_prefix("enx").or_else(|| word.strip_prefix("wlx")) {
            Some(address) if address.len() == 12 && is_hex(address) => {
                format!("{}{}", &word[..3], self.numbered(address))
            }
            _ => word.to_owned(),
        }
    }

    /// The number of this id, in its own form.
    fn numbered(&mut self, id: &str) -> String {
        let digits: String = id.chars().filter(char::is_ascii_hexdigit).collect();
        let next = self.numbers.len() + 1;
        let number = *self.numbers.entry(digits.to_ascii_lowercase()).or_insert(next);
        let number = format!("{number:0>width$x}", width = digits.len());
        let mut number = number.chars();
        let digit = |c: char| if c.is_ascii_hexdigit() { number.next().unwrap_or('0') } else { c };
        id.chars().map(digit).collect()
    }
}

fn spellings(name: &str) -> Vec<String> {
    let short = name.split('.').next().unwrap_or_default();
    let names = [name, short].into_iter();
    let names = names.filter(|name| name.len() >= SHORTEST_NAME && !NOBODY.contains(name));
    names.flat_map(|name| [name.to_owned(), name.replace('-', "--")]).collect()
}

/// The text without a name, given in lower case, where it is no part of a longer word.
fn without_name(text: &str, name: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let mut clean = String::with_capacity(text.len());
    let mut rest = 0;
    for (start, _) in lower.match_indices(name) {
        let end = start + name.len();
        let before = lower[..start].ends_with(|c: char| c.is_ascii_alphanumeric());
        if !before && !lower[end..].starts_with(|c: char| c.is_ascii_alphanumeric()) {
            clean.push_str(&text[rest..start]);
            clean.push_str(&"x".repeat(name.len()));
            rest = end;
        }
    }
    clean + &text[rest..]
}

fn is_hex(part: &str) -> bool {
    part.bytes().all(|byte| byte.is_ascii_hexdigit())
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
            ("02:ca:fe:ca:fe:01\n", "00:00:00:00:00:01\n"),
            ("INTERFACE=enx02cafecafe01", "INTERFACE=enx000000000001"),
            ("f8b3781a-1e82-4818-a1c3-63d806ec15bb/x", "00000000-0000-0000-0000-000000000001/x"),
            ("Serial\t\t: 10000000abcdef01\n", "Serial\t\t: 0000000000000000\n"),
            ("ext4 1 0 - Live 0xffffffffc0a1b000\n", "ext4 1 0 - Live 0x0000000000000000\n"),
            ("0000:00:1f.2/ata1", "0000:00:1f.2/ata1"),
            (
                "model name\t: AMD EPYC 7543 32-Core Processor",
                "model name\t: AMD EPYC 7543 32-Core Processor",
            ),
            ("web-7 is up", "xxxxx is up"),
        ] {
            assert_eq!(Disguise::new(Some("web-7".to_owned())).clean(text), clean);
        }
    }

    #[test]
    fn a_hosts_name_is_replaced_in_every_spelling_and_only_as_a_word() {
        let clean = |name: &str, text| Disguise::new([name.to_owned()]).clean(text);
        for (text, told) in [
            ("web-7.example.org", "xxxxxxxxxxxxxxxxx"),
            ("WEB-7 and Web-7.local", "xxxxx and xxxxx.local"),
            ("web--7--vg-root", "xxxxxx--vg-root"),
            ("web-77 cobweb-7 web7", "web-77 cobweb-7 web7"),
        ] {
            assert_eq!(clean("Web-7.example.org", text), told);
        }
        assert_eq!(clean("debian", "ID=debian"), "ID=debian");
        assert_eq!(clean("db", "db.ko"), "db.ko");
    }

    #[test]
    fn a_volume_is_told_by_its_number() {
        let mut disguise = Disguise::default();
        let told = ["vg-root", "3600508b4", "vg-root"].map(|name| disguise.volume(name));
        assert_eq!(told, ["volume-1", "volume-2", "volume-1"]);
    }

    #[test]
    fn what_was_one_stays_one_and_two_stay_two() {
        let mut disguise = Disguise::default();
        let text = "enx02cafecafe01 enx02cafecafe02 02:CA:FE:CA:FE:01";
        let clean = "enx000000000001 enx000000000002 00:00:00:00:00:01";
        assert_eq!(disguise.clean(text), clean);
        assert_eq!(disguise.clean("enx02cafecafe02"), "enx000000000002");
    }
}

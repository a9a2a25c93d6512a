//! Finds IPv4, IPv6 and MAC addresses.

use std::net::Ipv6Addr;
use std::ops::Range;

/// IPv6 addresses that stand alone, and IPv4 addresses anywhere.
pub(super) fn ips(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for run in super::runs(text, |c| c.is_ascii_hexdigit() || matches!(c, ':' | '.')) {
        match v6(text, run.clone()) {
            Some(range) => found.push(range),
            None => found.extend(v4(text, run)),
        }
    }
    found
}

/// The run without what punctuation around it added, when it is an IPv6 address. It must not
/// touch a letter: `core::fmt` holds `e::f`.
fn v6(text: &str, run: Range<usize>) -> Option<Range<usize>> {
    let touches = |c: char| c.is_alphanumeric() || c == '_';
    if text[..run.start].ends_with(touches) || text[run.end..].starts_with(touches) {
        return None;
    }
    let (start, end) = (run.start, run.end);
    let trimmed = text[run.clone()].trim_end_matches('.').len();
    [start..end, start..start + trimmed, start..end - 1, start + 1..end, start + 1..end - 1]
        .into_iter()
        .filter(|range| range.start < range.end)
        .find(|range| {
            let candidate = &text[range.clone()];
            candidate.parse::<Ipv6Addr>().is_ok() && candidate.contains(|c| c != ':')
        })
}

/// Four numbers up to 255 with dots between them, and no fifth.
fn v4(text: &str, run: Range<usize>) -> Vec<Range<usize>> {
    super::runs(&text[run.clone()], |c| c.is_ascii_digit() || c == '.')
        .into_iter()
        .filter_map(|part| {
            let part = run.start + part.start..run.start + part.end;
            let dotted = &text[part.clone()];
            let start = part.start + (dotted.len() - dotted.trim_start_matches('.').len());
            let dotted = dotted.trim_matches('.');
            is_v4(dotted).then_some(start..start + dotted.len())
        })
        .collect()
}

fn is_v4(dotted: &str) -> bool {
    let mut numbers = 0;
    dotted.split('.').all(|number| {
        numbers += 1;
        number.len() <= 3 && number.parse::<u8>().is_ok()
    }) && numbers == 4
}

/// MAC addresses in each of their spellings.
pub(super) fn macs(text: &str) -> Vec<Range<usize>> {
    super::merged(paired(text), joined(text))
}

/// `02cafecafe01`, also behind the beginning of an adapter's name (`enx02cafecafe01`) and between dots, as
/// in the name of a VLAN (`enx02cafecafe01.100`), and `02ca.fe00.ca01`.
fn joined(text: &str) -> Vec<Range<usize>> {
    let words = super::runs(text, |letter| letter.is_ascii_alphanumeric() || letter == '.');
    let found = words.into_iter().flat_map(|word| {
        let dots = text[word.clone()].bytes().take_while(|byte| *byte == b'.').count();
        let whole = text[word.clone()].trim_matches('.').len();
        let whole = bare(text, word.start + dots..word.start + dots + whole);
        if is_dotted(&text[whole.clone()]) {
            return vec![whole];
        }
        let parts = super::runs(&text[word.clone()], |letter| letter != '.').into_iter();
        let parts = parts.map(|part| bare(text, word.start + part.start..word.start + part.end));
        parts.filter(|part| is_joined(&text[part.clone()])).collect()
    });
    found.collect()
}

/// A word without the beginning of an adapter's name.
fn bare(text: &str, word: Range<usize>) -> Range<usize> {
    let is_named = ["enx", "wlx", "wwx"].iter().any(|kind| text[word.clone()].starts_with(kind));
    word.start + if is_named { 3 } else { 0 }..word.end
}

/// Three groups of four digits with dots between them.
fn is_dotted(word: &str) -> bool {
    let is_four = |group: &str| group.len() == 4;
    word.len() == 14 && word.split('.').all(is_four) && is_joined(&word.replace('.', ""))
}

/// Twelve hexadecimal digits. Decimal ones alone are a number of something else.
fn is_joined(word: &str) -> bool {
    let digits = word.as_bytes();
    digits.len() == 12
        && digits.iter().all(u8::is_ascii_hexdigit)
        && !digits.iter().all(u8::is_ascii_digit)
}

/// Six pairs of hexadecimal digits with `:` or `-` between them; longer rows of pairs, as other
/// links' addresses have them, are found piece by piece.
fn paired(text: &str) -> Vec<Range<usize>> {
    const LENGTH: usize = 17;
    let mut found: Vec<Range<usize>> = Vec::new();
    for (at, first) in text.char_indices() {
        let is_free = found.last().is_none_or(|last| at >= last.end);
        let end = at + LENGTH;
        if is_free
            && first.is_ascii_hexdigit()
            && !text[..at].ends_with(char::is_alphanumeric)
            && text.get(at..end).is_some_and(is_mac)
            && !text[end..].starts_with(char::is_alphanumeric)
        {
            found.push(at..end);
        }
    }
    found
}

fn is_mac(word: &str) -> bool {
    let bytes = word.as_bytes();
    let separator = bytes.get(2).copied().unwrap_or_default();
    matches!(separator, b':' | b'-')
        && bytes.iter().enumerate().all(|(index, byte)| match index % 3 {
            2 => *byte == separator,
            _ => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(find: fn(&str) -> Vec<Range<usize>>, text: &str) -> Vec<&str> {
        find(text).into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn addresses_of_both_families_are_found_with_ports_and_punctuation_around() {
        assert_eq!(found(ips, "from 10.0.0.1:8080, 192.168.1.254."), ["10.0.0.1", "192.168.1.254"]);
        assert_eq!(found(ips, "[::1]:80 fe80::1%eth0"), ["::1", "fe80::1"]);
        assert_eq!(found(ips, "peer: 2001:db8::7: refused"), ["2001:db8::7"]);
        assert_eq!(
            found(ips, "::ffff:10.0.0.1 ip010.001.000.007x"),
            ["::ffff:10.0.0.1", "010.001.000.007"]
        );
        assert_eq!(
            found(ips, "face10.0.0.1 2001:db8:0:0:0:0:0:1"),
            ["10.0.0.1", "2001:db8:0:0:0:0:0:1"]
        );
    }

    #[test]
    fn versions_times_and_paths_of_code_are_left() {
        assert_eq!(found(ips, "1.2.3 1.2.3.4.5 256.1.1.1 12:34:56 core::fmt :: a.b.c.d"), [""; 0]);
    }

    #[test]
    fn mac_addresses_are_found() {
        let text = "aa:bb:cc:dd:ee:ff, hwaddr:00:11:22:33:44:5F. 00-11-22-33-44-55";
        assert_eq!(
            found(macs, text),
            ["aa:bb:cc:dd:ee:ff", "00:11:22:33:44:5F", "00-11-22-33-44-55"]
        );
        assert_eq!(found(macs, "eth0-aa:bb:cc:dd:ee:ff-up"), ["aa:bb:cc:dd:ee:ff"]);
        let long = "aa:bb:cc:dd:ee:ff:00:11:22:33:44:55";
        assert_eq!(found(macs, long), ["aa:bb:cc:dd:ee:ff", "00:11:22:33:44:55"]);
        assert_eq!(found(macs, "aa:bb:cc:dd:ee 12:34:56 zz:bb:cc:dd:ee:ff"), [""; 0]);
    }

    #[test]
    fn mac_addresses_without_separators_are_found_and_numbers_and_hashes_are_left() {
        let text = "renamed enx02cafecafe01 from eth0, 02CA.FECA.FE01. (02cafecafe01)";
        assert_eq!(found(macs, text), ["02cafecafe01", "02CA.FECA.FE01", "02cafecafe01"]);
        let text = "enx02cafecafe01.100 eth0.02cafecafe01, .02cafecafe01 .02ca.fe00.ca01 a.wlx02cafecafe01.";
        let bare = "02cafecafe01";
        assert_eq!(found(macs, text), [bare, bare, bare, "02ca.fe00.ca01", bare]);
        let others = "123456789012 1234.5678.9012 02cafecafe012 2cafecafe01 abcd.efgh.ijkl enx.x";
        assert_eq!(found(macs, others), [""; 0]);
    }
}

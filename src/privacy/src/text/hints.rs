//! A glance at a text: which findings it could hold at all, so that most texts are scanned by no
//! finder.
//!
//! # Invariants
//! - A hint is a necessary condition: where a finder finds something, the glance said that it may.
//!   That it says so of more texts costs time and nothing else.

use super::Finding;
use crate::map;

/// The fewest digits of a card number, and the separators of a MAC address.
const CARD_DIGITS: usize = 13;
const MAC_SEPARATORS: usize = 5;
/// The hexadecimal digits of a MAC address.
const MAC_DIGITS: usize = 12;

/// What a byte may be part of.
const SIGNS: [(&[u8], u16); 9] = [
    (b"@%", AT),
    (b"/\\", SLASH),
    (b".", DOT),
    (b":", COLON),
    (b"=", EQUALS),
    (b"-", DASH),
    (b"0123456789", DIGIT),
    (b"bB", SCHEME),
    (b"J", WEB_TOKEN),
];
const AT: u16 = 1;
const SLASH: u16 = 1 << 1;
const DOT: u16 = 1 << 2;
const COLON: u16 = 1 << 3;
const EQUALS: u16 = 1 << 4;
const DASH: u16 = 1 << 5;
const DIGIT: u16 = 1 << 6;
const SCHEME: u16 = 1 << 7;
const WEB_TOKEN: u16 = 1 << 8;

/// [`SIGNS`] by byte.
static BY_BYTE: [u16; 256] = by_byte();

const fn by_byte() -> [u16; 256] {
    let (mut table, mut sign) = ([0; 256], 0);
    while sign < SIGNS.len() {
        let (bytes, bit) = SIGNS[sign];
        let mut at = 0;
        while at < bytes.len() {
            table[bytes[at] as usize] = bit;
            at += 1;
        }
        sign += 1;
    }
    table
}

/// What was seen in a text at a glance.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hints(u16);

impl Hints {
    /// Looks at each byte of a text once.
    pub(super) fn of(text: &str) -> Self {
        Self(text.bytes().fold(0, |seen, byte| seen | BY_BYTE[usize::from(byte)]))
    }

    /// Whether the text could hold a finding of this kind. Names of accounts are the scrubber's to know.
    pub(super) fn may_hold(self, finding: Finding, text: &str) -> bool {
        let bytes = text.as_bytes();
        match finding {
            Finding::PrivateKey => self.has(DASH) && bytes.windows(5).any(|five| five == b"-----"),
            Finding::Token => {
                (self.has(SCHEME | WEB_TOKEN) && may_be_token(bytes))
                    || (self.has(EQUALS | COLON) && may_be_assigned(bytes))
                    || (self.has(DASH) && may_be_argument(bytes))
            }
            Finding::Email => self.has(AT),
            Finding::Home => self.has(SLASH) && bytes.windows(2).any(begins_home),
            Finding::Address => {
                (self.has(DOT) && has(bytes, 3, b'.')) || (self.has(COLON) && has(bytes, 2, b':'))
            }
            Finding::Mac => {
                (self.has(COLON) && has(bytes, MAC_SEPARATORS, b':'))
                    || (self.has(DASH) && has(bytes, MAC_SEPARATORS, b'-'))
                    || any_run(bytes, MAC_DIGITS, is_joined, may_be_mac)
            }
            Finding::Card => {
                self.has(DIGIT) && any_run(bytes, CARD_DIGITS, is_grouped, may_be_card)
            }
            Finding::Account => true,
        }
    }

    /// Whether one of the signs was seen.
    const fn has(self, signs: u16) -> bool {
        self.0 & signs != 0
    }
}

fn has(bytes: &[u8], number: usize, wanted: u8) -> bool {
    bytes.iter().filter(|byte| **byte == wanted).nth(number - 1).is_some()
}

fn begins_home(two: &[u8]) -> bool {
    matches!(two[0], b'/' | b'\\')
        && matches!(two[1].to_ascii_lowercase(), b'h' | b'u' | b'd' | b'r')
}

/// Whether a run of bytes that belong together, at least `least` long, is one that counts. A run so
/// long stands on one of every `least` bytes, so only those are looked at.
fn any_run(
    bytes: &[u8],
    least: usize,
    belongs: impl Fn(u8) -> bool,
    counts: impl Fn(&[u8]) -> bool,
) -> bool {
    let mut from = 0;
    while let Some(byte) = bytes.get(from + least - 1) {
        let at = from + least - 1;
        if belongs(*byte) {
            let start = bytes[..at].iter().rposition(|b| !belongs(*b)).map_or(0, |n| n + 1);
            let end = bytes[at..].iter().position(|b| !belongs(*b)).map_or(bytes.len(), |n| at + n);
            if end - start >= least && counts(&bytes[start..end]) {
                return true;
            }
            from = end;
        } else {
            from = at + 1;
        }
    }
    false
}

/// Whether digits in a row, or in groups with one blank or dash between them, are as many as a card has.
fn may_be_card(run: &[u8]) -> bool {
    let (mut digits, mut is_parted) = (0, false);
    run.iter().any(|byte| {
        match byte {
            b'0'..=b'9' => (digits, is_parted) = (digits + 1, false),
            _ if is_parted => (digits, is_parted) = (0, false),
            _ => is_parted = true,
        }
        digits >= CARD_DIGITS
    })
}

/// A web token begins with `eyJ`; a credential follows `bearer` or `basic`.
fn may_be_token(bytes: &[u8]) -> bool {
    bytes.windows(3).any(|three| match three[0] {
        b'e' => three == b"eyJ",
        b'b' | b'B' => matches!(
            [three[1].to_ascii_lowercase(), three[2].to_ascii_lowercase()],
            [b'e', b'a'] | [b'a', b's']
        ),
        _ => false,
    })
}

/// Whether a sign stands behind a key that may be sensitive, as `secret::assigned` reads it.
fn may_be_assigned(bytes: &[u8]) -> bool {
    let signs = bytes.iter().enumerate().filter(|(_, byte)| matches!(byte, b'=' | b':'));
    signs.into_iter().any(|(at, _)| map::may_be_sensitive(key_before(&bytes[..at])))
}

/// Whether a long option may be sensitive.
fn may_be_argument(bytes: &[u8]) -> bool {
    // Only where a key begins: the rest of a row of dashes would be looked at from each of them.
    let begins = |at: usize| at == 0 || !is_key(bytes[at - 1]);
    let pairs = bytes.windows(2).enumerate();
    let options = pairs.filter(|(at, two)| *two == b"--" && begins(*at));
    options.into_iter().any(|(at, _)| {
        let end = bytes[at..].iter().position(|b| !is_key(*b)).map_or(bytes.len(), |n| at + n);
        map::may_be_sensitive(&bytes[at..end])
    })
}

/// Whether hexadecimal digits, dots among them or not, are as many as an address has, or those between
/// two dots are.
fn may_be_mac(run: &[u8]) -> bool {
    run.iter().filter(|byte| byte.is_ascii_hexdigit()).count() == MAC_DIGITS
        || run.split(|byte| *byte == b'.').any(|part| part.len() == MAC_DIGITS)
}

const fn is_joined(byte: u8) -> bool {
    byte.is_ascii_hexdigit() || byte == b'.'
}

const fn is_grouped(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b' ' | b'-')
}

/// The key in front of a sign: there may be blanks, and before them quotes, in between.
fn key_before(before: &[u8]) -> &[u8] {
    let end = before.iter().rposition(|b| *b != b' ').map_or(0, |at| at + 1);
    let end = before[..end].iter().rposition(|b| !matches!(b, b'"' | b'\'')).map_or(0, |at| at + 1);
    let start = before[..end].iter().rposition(|b| !is_key(*b)).map_or(0, |at| at + 1);
    &before[start..end]
}

const fn is_key(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Finding, Scrubber};
    use super::*;

    #[test]
    fn a_line_of_an_ordinary_log_gives_no_hint() {
        let line = "waited for the stock service: request 9e3779b97f4a7c15, attempt 2, shard 5";
        let hints = Hints::of(line);
        let hinted = |f: &Finding| *f != Finding::Account && hints.may_hold(*f, line);
        assert_eq!(Finding::ALL.iter().find(|finding| hinted(finding)), None);
    }

    #[test]
    fn a_long_number_is_seen_wherever_it_stands() {
        for before in 0..40 {
            for after in [0, 1, 20] {
                let around =
                    |number: &str| format!("{}{number}{}", "x".repeat(before), "-x".repeat(after));
                let hints = |text: &str, finding| Hints::of(text).may_hold(finding, text);
                assert!(hints(&around(" 02cafecafe01"), Finding::Mac), "{before}, {after}");
                assert!(hints(&around("4111-1111-1111 1"), Finding::Card), "{before}, {after}");
            }
        }
    }

    /// Pieces of what finders look for.
    #[rustfmt::skip]
    const PIECES: [&str; 54] = [
        "@", ".", ":", "::", "/", "\\", "=", "-", "_", " ", "\"", "'", "\n", "0", "aa", "ff",
        "/home/", "/ROOT", "\\Users\\", "/documents and settings/", "10.0.0.1", "fe80::1", "4111",
        "11111111", "-----BEGIN ", "PRIVATE KEY", "-----", "Bearer", "BASIC", "eyJ", "token", "apiKey",
        "API_KEY", "passwords", "connectionString", "connection", "string", "secret", "subscription",
        "%40", "enx", "eth0.", ".100", "02cafecafe01", "02ca.fe", ".ca01", "--api-key ", "--",
        "\u{e4}", "\u{212a}", "=x", ": y", "x.y", "wlx",
    ];

    /// Such pieces, among others.
    fn text() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            prop::sample::select(&PIECES).prop_map(str::to_owned),
            "[a-zA-Z0-9]{1,9}",
            any::<String>(),
        ];
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_500))]

        #[test]
        fn where_a_finder_finds_something_there_was_a_hint(text in text()) {
            for finding in Finding::ALL {
                if !Scrubber::default().find(finding, &text).is_empty() {
                    let hints = Hints::of(&text);
                    prop_assert!(hints.may_hold(finding, &text), "{finding:?} in {text:?}");
                }
            }
        }
    }
}

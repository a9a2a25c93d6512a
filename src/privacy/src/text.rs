//! Free text that a program wrote, cleaned of what identifies a person or opens a door.
//!
//! Each kind has a finder: a plain function that scans the text once and gives byte ranges. No
//! pattern is compiled, so that an agent that meets no such text pays nothing for it; and a glance
//! (`text/hints.rs`) says which finders need not look at all.
//!
//! # Invariants
//! - When in doubt a finder takes more: a hidden harmless word is cheaper than a leaked name.
//! - Text is scrubbed whole and only then cut, so that no half of a secret is left at the cut.
//! - Placeholders cannot be taken for a finding by a later finder.

use std::borrow::Cow;
use std::ops::Range;

mod account;
mod address;
mod card;
mod hints;
mod home;
mod mail;
mod secret;

use account::Accounts;
use hints::Hints;

/// Text is cut here, at a character boundary.
pub const MAX_TEXT_BYTES: usize = 1024;

/// A kind of thing that is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Finding {
    /// A private key block.
    PrivateKey,
    /// A bearer or basic credential, a JSON web token, or a value whose key says that it is secret.
    Token,
    /// An e-mail address, or `user@host`.
    Email,
    /// A path in a home directory.
    Home,
    /// An IPv4 or IPv6 address.
    Address,
    /// A MAC address.
    Mac,
    /// A payment card number with a valid check digit.
    Card,
    /// The name of a local account.
    Account,
}

impl Finding {
    /// Every kind, in the order in which text is searched for them.
    pub const ALL: [Self; 8] = [
        Self::PrivateKey,
        Self::Token,
        Self::Email,
        Self::Home,
        Self::Address,
        Self::Mac,
        Self::Card,
        Self::Account,
    ];

    /// The word in counts.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::PrivateKey => "private_key",
            Self::Token => "token",
            Self::Email => "email",
            Self::Home => "home",
            Self::Address => "address",
            Self::Mac => "mac",
            Self::Card => "card",
            Self::Account => "account",
        }
    }

    /// What stands in its place.
    #[must_use]
    pub const fn placeholder(self) -> &'static str {
        match self {
            Self::PrivateKey => "<private-key>",
            Self::Token => "<token>",
            Self::Email => "<email>",
            Self::Home => "<home>",
            Self::Address => "<address>",
            Self::Mac => "<mac>",
            Self::Card => "<card>",
            Self::Account => "<account>",
        }
    }
}

/// How many of each kind were replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts([u64; Finding::ALL.len()]);

impl Counts {
    /// The count of one kind.
    #[must_use]
    pub const fn of(&self, finding: Finding) -> u64 {
        self.0[finding as usize]
    }

    /// All kinds together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

/// Replaces what it finds in free text.
#[derive(Clone, Debug, Default)]
pub struct Scrubber {
    accounts: Accounts,
}

impl Scrubber {
    /// A scrubber that also knows the names of this host's accounts of people. Names shorter than
    /// two characters are left out, since they would be found in every text.
    #[must_use]
    pub fn new(accounts: Vec<String>) -> Self {
        Self { accounts: Accounts::new(accounts) }
    }

    /// The text without what identifies, and cut to [`MAX_TEXT_BYTES`].
    #[must_use]
    pub fn clean<'a>(&self, text: &'a str, counts: &mut Counts) -> Cow<'a, str> {
        let mut clean = Cow::Borrowed(text);
        let mut hints = Hints::of(text);
        for finding in Finding::ALL {
            if !self.may_hold(finding, hints, &clean) {
                continue;
            }
            let found = self.find(finding, &clean);
            counts.0[finding as usize] += found.len() as u64;
            if !found.is_empty() {
                clean = Cow::Owned(replace(&clean, &found, finding.placeholder()));
                hints = Hints::of(&clean);
            }
        }
        match clean {
            Cow::Borrowed(text) => Cow::Borrowed(cut(text, MAX_TEXT_BYTES)),
            Cow::Owned(mut text) => {
                text.truncate(cut(&text, MAX_TEXT_BYTES).len());
                Cow::Owned(text)
            }
        }
    }

    /// Whether a text would come out as it is: for who would rather not clean what is clean.
    #[must_use]
    pub fn leaves(&self, text: &str) -> bool {
        let hints = Hints::of(text);
        let is_found =
            |finding| self.may_hold(finding, hints, text) && !self.find(finding, text).is_empty();
        text.len() <= MAX_TEXT_BYTES && !Finding::ALL.into_iter().any(is_found)
    }

    fn may_hold(&self, finding: Finding, hints: Hints, text: &str) -> bool {
        match finding {
            Finding::Account => !self.accounts.is_empty(),
            _ => hints.may_hold(finding, text),
        }
    }

    fn find(&self, finding: Finding, text: &str) -> Vec<Range<usize>> {
        match finding {
            Finding::PrivateKey => secret::private_keys(text),
            Finding::Token => merged(secret::tokens(text), secret::assigned(text)),
            Finding::Email => mail::addresses(text),
            Finding::Home => home::paths(text),
            Finding::Address => address::ips(text),
            Finding::Mac => address::macs(text),
            Finding::Card => card::numbers(text),
            Finding::Account => self.accounts.find(text),
        }
    }
}

/// The longest beginning of `text` with at most `max_bytes` bytes that ends between characters.
#[must_use]
pub fn cut(text: &str, max_bytes: usize) -> &str {
    &text[..text.floor_char_boundary(max_bytes)]
}

/// Both, ascending; what overlaps becomes one.
fn merged(mut ranges: Vec<Range<usize>>, more: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.extend(more);
    ranges.sort_by_key(|range| range.start);
    let mut merged: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match merged.last_mut().filter(|last| range.start < last.end) {
            Some(last) => last.end = last.end.max(range.end),
            None => merged.push(range),
        }
    }
    merged
}

/// `ranges` are ascending, do not overlap and lie between characters.
fn replace(text: &str, ranges: &[Range<usize>], placeholder: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut from = 0;
    for range in ranges {
        clean.push_str(&text[from..range.start]);
        clean.push_str(placeholder);
        from = range.end;
    }
    clean.push_str(&text[from..]);
    clean
}

/// Maximal runs of characters that `belongs` accepts.
fn runs(text: &str, belongs: impl Fn(char) -> bool) -> Vec<Range<usize>> {
    let mut runs = Vec::new();
    let mut start = None;
    for (index, letter) in text.char_indices() {
        match (belongs(letter), start) {
            (true, None) => start = Some(index),
            (false, Some(from)) => {
                runs.push(from..index);
                start = None;
            }
            _ => {}
        }
    }
    runs.extend(start.map(|from| from..text.len()));
    runs
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn clean(text: &str) -> String {
        Scrubber::new(vec!["alice".to_owned(), "a".to_owned()])
            .clean(text, &mut Counts::default())
            .into_owned()
    }

    #[test]
    fn a_line_with_everything_keeps_only_what_a_helper_needs() {
        let text = "sshd: alice from 10.1.2.3 (aa:bb:cc:dd:ee:ff) read /home/alice/tax.pdf, \
                    mailed a@example.org 'Bearer abc.def' card 4111 1111 1111 1111";
        let mut counts = Counts::default();
        let scrubber = Scrubber::new(vec!["alice".to_owned()]);
        assert_eq!(
            scrubber.clean(text, &mut counts),
            "sshd: <account> from <address> (<mac>) read <home> \
             mailed <email> 'Bearer <token>' card <card>"
        );
        let each: Vec<_> = Finding::ALL.into_iter().map(|finding| counts.of(finding)).collect();
        assert_eq!(each, [0, 1, 1, 1, 1, 1, 1, 1]);
    }

    #[test]
    fn harmless_text_is_not_copied_and_long_text_is_cut_between_characters() {
        let mut counts = Counts::default();
        let scrubber = Scrubber::default();
        assert!(matches!(scrubber.clean("disk sda: I/O error", &mut counts), Cow::Borrowed(_)));
        let long = format!("x{}", "\u{e4}".repeat(1000));
        let cut = scrubber.clean(&long, &mut counts);
        assert_eq!((cut.len(), counts.total()), (1023, 0));
        assert!(scrubber.leaves("disk sda: I/O error") && !scrubber.leaves(&long));
        assert!(!scrubber.leaves("to a@example.org"));
        // A secret across the limit leaves no half of itself.
        let secret = format!("{}4111111111111111 {}", "x ".repeat(508), "x".repeat(50));
        let cut = scrubber.clean(&secret, &mut counts);
        assert!(!cut.contains("4111"));
        assert_eq!(cut.len(), MAX_TEXT_BYTES);
    }

    /// With a finder of quadratic time it would not end within a minute.
    #[test]
    fn a_long_text_of_what_finders_look_for_takes_no_longer_than_another() {
        #[rustfmt::skip]
        let pieces = [
            "-", "--", "--a ", "--key ", "--key <", "-----BEGIN ", "-----BEGIN PRIVATE KEY", "%40",
            "%40x.service", "@", "a@", "key=<", "key=\"<", "key:", "key\"", "key=\"", "=", ":", "\"", "'",
            " ", " =", "\"=", "/", "\\", "/root ", "/root\t", "/root /", "\"/root ", "/home/ ", "/home/",
            ".", "1-", "1 ", "1.", "a:", "::", "aa:", "02ca.", "02cafecafe01.", "enx", "eyJ", "eyJ.",
            "Bearer ", "bearer=", "alice", "ab", "aB", "0", "\u{e4}", "<",
        ];
        for piece in pieces {
            let text = piece.repeat((64 << 10) / piece.len());
            assert!(clean(&text).len() <= MAX_TEXT_BYTES, "{piece}");
        }
    }

    #[test]
    fn of_two_account_names_the_longer_is_replaced_whole() {
        let scrubber = Scrubber::new(vec!["bob".to_owned(), "bob.lee".to_owned(), "b".to_owned()]);
        let clean = scrubber.clean("bob.lee, bob and b", &mut Counts::default()).into_owned();
        assert_eq!(clean, "<account>, <account> and b");
    }

    /// What is planted and the part of it that must not be seen afterwards.
    fn canary() -> impl Strategy<Value = (String, String)> {
        let word = "[b-z]{6,9}";
        prop_oneof![
            (word, word).prop_map(|(a, b)| (format!("{a}.x@{b}.example"), a)),
            (any::<[u8; 4]>()).prop_map(|[a, b, c, d]| {
                let ip = format!("{a}.{b}.{c}.{d}");
                (ip.clone(), ip)
            }),
            (any::<u128>()).prop_map(|bits| {
                let ip = std::net::Ipv6Addr::from(bits | 1 << 127).to_string();
                (ip.clone(), ip)
            }),
            (word, word).prop_map(|(a, b)| (format!("/home/{a}/{b}.txt"), b)),
            (word, word).prop_map(|(a, b)| (format!("C:\\Users\\{a} x\\{b}"), a)),
            any::<[u8; 6]>().prop_map(|b| {
                let mac = b.map(|byte| format!("{byte:02x}")).join(":");
                (mac.clone(), mac)
            }),
            Just(("alice".to_owned(), "alice".to_owned())),
            Just(("ALICE".to_owned(), "ALICE".to_owned())),
            "[0-9]{12,18}".prop_map(|digits| {
                let card = with_check_digit(digits);
                (card.clone(), card)
            }),
            "[A-Za-z0-9_-]{16,40}".prop_map(|token| (format!("Bearer {token}"), token)),
            "[A-Za-z0-9+/]{30}".prop_map(|key| (
                format!("-----BEGIN PRIVATE KEY-----\n{key}\n-----END PRIVATE KEY-----"),
                key
            )),
        ]
    }

    fn with_check_digit(digits: String) -> String {
        (0..10)
            .map(|digit| format!("{digits}{digit}"))
            .find(|card| !card::numbers(card).is_empty())
            .unwrap_or(digits)
    }

    proptest! {
        #[test]
        fn no_planted_canary_survives(
            before in "[a-z ]{0,20}",
            left in "[ \\(\\[<\"',;=|\\n]",
            (planted, secret) in canary(),
            right in "[ \\)\\]>\"',;|\\n]",
            after in "[a-z ]{0,20}",
        ) {
            let text = format!("{before}{left}{planted}{right}{after}");
            let clean = clean(&text);
            prop_assert!(!clean.contains(&secret), "{text:?} became {clean:?}");
        }

        #[test]
        fn any_text_is_cleaned_without_trouble_and_stays_clean(text in any::<String>()) {
            let once = clean(&text);
            prop_assert!(once.len() <= MAX_TEXT_BYTES);
            prop_assert_eq!(&clean(&once), &once);
        }

        #[test]
        fn text_made_of_what_finders_look_for_is_cleaned_without_trouble(
            pieces in prop::collection::vec(
                prop::sample::select(vec![
                    "@", ".", ":", "::", "/", "\\", "/home/", "C:\\Users\\", "/root", "1", "10.0.0.1",
                    "4111", " ", "-", "-----BEGIN ", "PRIVATE KEY", "-----", "-----END ", "Bearer",
                    "eyJ", "\u{e4}", "\"", "'", "a", "ff", "alice", "\n", "=",
                ]),
                0..30,
            )
        ) {
            let text = pieces.concat();
            let clean = clean(&text);
            prop_assert!(clean.len() <= MAX_TEXT_BYTES);
        }
    }
}

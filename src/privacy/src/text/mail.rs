//! Finds e-mail addresses and `user@host`, but not names of systemd units such as
//! `getty@tty1.service`.

use std::ops::Range;

/// Suffixes of unit names; none of them is a top-level domain.
const UNITS: [&str; 11] = [
    ".service",
    ".socket",
    ".timer",
    ".mount",
    ".automount",
    ".target",
    ".slice",
    ".scope",
    ".device",
    ".path",
    ".swap",
];

/// The sign, and as it stands in a URL.
const SIGNS: [&str; 2] = ["@", "%40"];

pub(super) fn addresses(text: &str) -> Vec<Range<usize>> {
    super::merged(around(text, SIGNS[0]), around(text, SIGNS[1]))
}

fn around(text: &str, sign: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for (at, _) in text.match_indices(sign) {
        let after_last = found.last().map_or(0, |last| last.end);
        if at < after_last {
            continue;
        }
        // The domain first: in `%40%40…` a look back from each sign would reach the start of the text.
        let domain = &text[at + sign.len()..];
        let domain = &domain[..domain.find(|c| !is_domain(c)).unwrap_or(domain.len())];
        let domain = domain.trim_end_matches(['.', '-']);
        if domain.is_empty() || UNITS.iter().any(|unit| domain.ends_with(unit)) {
            continue;
        }
        let before = &text[after_last..at];
        let start = before.trim_end_matches(is_local).len() + after_last;
        if start < at {
            found.push(start..at + sign.len() + domain.len());
        }
    }
    found
}

/// Letters of all languages, since local parts may have them.
fn is_local(letter: char) -> bool {
    letter.is_alphanumeric() || "!#$%&*+-/?^_`{|}~.".contains(letter)
}

fn is_domain(letter: char) -> bool {
    letter.is_alphanumeric() || matches!(letter, '.' | '-' | '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<&str> {
        addresses(text).into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn addresses_are_found_with_all_their_letters() {
        assert_eq!(found("to=<a.b+c@example.org>."), ["a.b+c@example.org"]);
        assert_eq!(found("mailto:jürgen@müller.example, x@y."), ["jürgen@müller.example", "x@y"]);
        assert_eq!(found("a@b@c"), ["a@b"]);
        assert_eq!(found("?to=a.b%40example.org&x=%40"), ["a.b%40example.org"]);
    }

    #[test]
    fn unit_names_and_lone_signs_are_left() {
        assert_eq!(found("getty@tty1.service user@1000.slice @ home a@ @b"), [""; 0]);
    }
}

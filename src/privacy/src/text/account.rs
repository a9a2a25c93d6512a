//! Finds names of local accounts where they stand as words, without regard to ASCII case.

use std::ops::Range;

/// Names of accounts, and what they begin with.
#[derive(Clone, Debug, Default)]
pub(super) struct Accounts {
    /// Longest first.
    names: Vec<String>,
    /// Their first bytes in both cases, a bit each.
    firsts: [u64; 4],
}

impl Accounts {
    /// Names shorter than two characters are left out, since they would be found in every text.
    pub(super) fn new(mut names: Vec<String>) -> Self {
        names.retain(|name| name.chars().count() > 1);
        // Of two names where one begins the other, the longer must be tried first.
        names.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        names.dedup();
        let mut firsts = [0; 4];
        for first in names.iter().filter_map(|name| name.bytes().next()) {
            for byte in [first.to_ascii_lowercase(), first.to_ascii_uppercase()] {
                firsts[usize::from(byte >> 6)] |= 1 << (byte & 63);
            }
        }
        Self { names, firsts }
    }

    /// Whether none is known.
    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Where names stand as words.
    pub(super) fn find(&self, text: &str) -> Vec<Range<usize>> {
        let mut found: Vec<Range<usize>> = Vec::new();
        for (at, byte) in text.bytes().enumerate() {
            let is_free = found.last().is_none_or(|last| at >= last.end);
            let may_begin = self.firsts[usize::from(byte >> 6)] >> (byte & 63) & 1 == 1;
            if !may_begin || !is_free || text[..at].ends_with(is_word) {
                continue;
            }
            if let Some(name) = self.names.iter().find(|name| is_here(&text[at..], name)) {
                found.push(at..at + name.len());
            }
        }
        found
    }
}

fn is_here(text: &str, name: &str) -> bool {
    text.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name))
        && !text[name.len()..].starts_with(is_word)
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found<'a>(text: &'a str, accounts: &[&str]) -> Vec<&'a str> {
        let accounts: Vec<_> = accounts.iter().map(|&name| name.to_owned()).collect();
        Accounts::new(accounts).find(text).into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn names_are_found_as_words_in_any_case() {
        let accounts = ["alice.b", "jürgen", "alice"];
        assert_eq!(found("user=Alice uid", &accounts), ["Alice"]);
        assert_eq!(found("(alice.b) alice_x jürgen", &accounts), ["alice.b", "alice", "jürgen"]);
    }

    #[test]
    fn a_name_inside_a_word_is_left() {
        assert_eq!(found("malice alices", &["alice"]), [""; 0]);
    }
}

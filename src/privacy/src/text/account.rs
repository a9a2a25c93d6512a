//! Finds names of local accounts where they stand as words, without regard to ASCII case.

use std::ops::Range;

/// `accounts` are sorted longest first.
pub(super) fn names(text: &str, accounts: &[String]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let (mut free_from, mut is_inside) = (0, false);
    for (at, letter) in text.char_indices() {
        let was_inside = std::mem::replace(&mut is_inside, is_word(letter));
        if at < free_from || was_inside {
            continue;
        }
        let Some(name) = accounts.iter().find(|name| is_here(&text[at..], name)) else { continue };
        free_from = at + name.len();
        found.push(at..free_from);
    }
    found
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
        names(text, &accounts).into_iter().map(|range| &text[range]).collect()
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

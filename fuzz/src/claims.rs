//! Whether what a parser says stands in what it was given.
//!
//! # Invariants
//! - A number within a word (`cache_l2`, `Amd64`) is a name and no claim.
//! - The check errs on the parser's side: a number that stands anywhere in the text is taken for said.
//!
//! Nothing here fails.

use std::collections::BTreeSet;

use crate::MOST_OUT;

/// How what comes out follows from what went in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    /// Every number stands in the text.
    Stands,
    /// Every number stands in the text, or is one of the text times one of these.
    Times(&'static [u64]),
    /// Numbers follow by a rule: of nothing none does.
    Derived(&'static str),
}

/// What is wrong with what was said of an input.
pub(crate) fn fault(said: &str, input: &[u8], says: Says) -> Option<String> {
    let (base, each) = MOST_OUT;
    if said.len() > base + each * input.len() {
        return Some(format!("{} bytes come out of {}", said.len(), input.len()));
    }
    let factors = match says {
        _ if input.is_empty() => &[],
        Says::Stands => &[][..],
        Says::Times(factors) => factors,
        Says::Derived(_) => return None,
    };
    let said_numbers = numbers(said);
    if said_numbers.is_empty() {
        return None;
    }
    let stated = stated(input);
    let invented = said_numbers.into_iter().find(|number| !follows(number, &stated, factors));
    invented.map(|number| format!("it says {number}, which nobody told it: {said}"))
}

fn follows(number: &str, stated: &BTreeSet<String>, factors: &[u64]) -> bool {
    let stands = |number: &str| stated.iter().any(|known| known.contains(number));
    let is_multiple = |factor: &u64| {
        let number: Option<u64> = number.parse().ok();
        number.is_some_and(|n| n.is_multiple_of(*factor) && stands(&(n / factor).to_string()))
    };
    stands(number) || factors.iter().any(is_multiple)
}

/// The digits of the text; hexadecimal ones also as the number that they are.
fn stated(input: &[u8]) -> BTreeSet<String> {
    let runs = input.split(|byte| !byte.is_ascii_digit()).filter(|run| !run.is_empty());
    let decimal = runs.map(|run| String::from_utf8_lossy(run).into_owned());
    let runs = input.split(|byte| !byte.is_ascii_hexdigit()).filter(|run| run.len() <= 16);
    let hexadecimal = runs.filter_map(|run| {
        let number = u64::from_str_radix(std::str::from_utf8(run).ok()?, 16).ok()?;
        Some(number.to_string())
    });
    decimal.chain(hexadecimal).collect()
}

/// The numbers that stand by themselves.
fn numbers(said: &str) -> BTreeSet<String> {
    let plain = without_escapes(said);
    let words = plain.split(|c: char| !c.is_alphanumeric() && c != '_');
    let is_number = |word: &&str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
    words.filter(is_number).map(str::to_owned).collect()
}

/// `\u{202e}` is a character, and `\0` one too.
fn without_escapes(said: &str) -> String {
    let mut plain = String::with_capacity(said.len());
    let mut rest = said;
    while let Some((before, after)) = rest.split_once('\\') {
        plain.push_str(before);
        plain.push(' ');
        let code = after.strip_prefix("u{").and_then(|code| code.split_once('}'));
        rest = code.map_or_else(|| after.get(1..).unwrap_or_default(), |(_, after)| after);
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_must_stand_in_the_text_or_be_a_multiple_by_the_rule() {
        let kib = Says::Times(&[1024]);
        assert_eq!(fault("Some(4096)", b"MemFree: 4 kB", kib), None);
        assert!(fault("Some(4097)", b"MemFree: 4 kB", kib).is_some());
        assert!(fault("Some(4096)", b"MemFree: 4 kB", Says::Stands).is_some());
        assert_eq!(fault("Some(255)", b"ip ff", Says::Stands), None);
        assert!(fault("Some(0)", b"ip ff", Says::Stands).is_some(), "a zero is a claim");
        assert!(fault("Some(0)", b"", Says::Derived("sums")).is_some());
        assert_eq!(fault("Some(99)", b"1 98", Says::Derived("sums")), None);
    }

    #[test]
    fn names_and_escapes_are_no_claims() {
        assert_eq!(numbers(r#"Amd64 { l2: None, x: "\u{202}a\0b" }"#), BTreeSet::new());
        assert_eq!(numbers("[1.5, x7, 8]"), ["1", "5", "8"].map(str::to_owned).into());
    }
}

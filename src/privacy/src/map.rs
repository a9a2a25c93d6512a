//! Rules for maps whose keys a provider chose: hide what a key says is secret, drop what is
//! private by its leading underscore.
//!
//! # Invariants
//! - A sensitive key hides its whole value, whatever the value's type.
//! - The rules reach into nested maps and lists.

use std::borrow::Cow;

use candor_model::Value;

/// What stands in place of a hidden value.
pub const HIDDEN: &str = "***";

/// Words, or words in a row, that make a key sensitive.
const SENSITIVE: [&[&str]; 8] = [
    &["subscription"],
    &["token"],
    &["api", "key"],
    &["password"],
    &["secret"],
    &["key"],
    &["connection", "string"],
    // The two compounds written as one word, where case no longer tells the words apart.
    &["apikey"],
];
/// See the last entry of [`SENSITIVE`].
const COMPOUND: &str = "connectionstring";

/// Applies the rules in place and gives the number of values hidden.
pub fn scrub_map(pairs: &mut Vec<(Cow<'static, str>, Value)>) -> u64 {
    pairs.retain(|(key, _)| !key.starts_with('_'));
    pairs.iter_mut().map(|(key, value)| scrub_pair(key, value)).sum()
}

fn scrub_pair(key: &str, value: &mut Value) -> u64 {
    if is_sensitive(key) {
        *value = Value::from(HIDDEN);
        return 1;
    }
    scrub_value(value)
}

fn scrub_value(value: &mut Value) -> u64 {
    match value {
        Value::Map(pairs) => scrub_map(pairs),
        Value::List(items) => items.iter_mut().map(scrub_value).sum(),
        _ => 0,
    }
}

/// Whether a key is or contains a sensitive word. Words are split at everything that is no letter
/// and at changes of case (`apiKey`, `APIKey`); a plural counts as its singular.
#[must_use]
pub fn is_sensitive(key: &str) -> bool {
    if key.is_ascii() && !may_be_sensitive(key.as_bytes()) {
        return false;
    }
    let words = words(key);
    let is = |word: &String, wanted: &str| {
        word == wanted || word.strip_suffix('s').is_some_and(|singular| singular == wanted)
    };
    words.iter().any(|word| is(word, COMPOUND))
        || SENSITIVE.iter().any(|wanted| {
            words
                .windows(wanted.len())
                .any(|row| row.iter().zip(*wanted).all(|(word, wanted)| is(word, wanted)))
        })
}

/// Letters that every sensitive key of ASCII has in a row.
const STEMS: [&[u8]; 6] =
    [b"key", b"token", b"secret", b"password", b"subscription", b"connection"];

/// Whether [`is_sensitive`] can be true of an ASCII key: told without taking it apart.
pub(crate) fn may_be_sensitive(key: &[u8]) -> bool {
    let begins = |rest: &[u8], stem: &[u8]| {
        rest.get(..stem.len()).is_some_and(|head| head.eq_ignore_ascii_case(stem))
    };
    (0..key.len()).any(|at| STEMS.iter().any(|stem| begins(&key[at..], stem)))
}

fn words(key: &str) -> Vec<String> {
    let chars: Vec<char> = key.chars().collect();
    let mut words = vec![String::new()];
    for (index, &letter) in chars.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|i| chars.get(i));
        let after = chars.get(index + 1);
        // `aB` and, at the end of an acronym, `ABc` before the B.
        let starts = letter.is_uppercase()
            && (before.is_some_and(|c| c.is_lowercase())
                || (before.is_some_and(|c| c.is_uppercase())
                    && after.is_some_and(|c| c.is_lowercase())));
        if starts || !letter.is_alphabetic() {
            words.push(String::new());
        }
        if let (true, Some(word)) = (letter.is_alphabetic(), words.last_mut()) {
            word.extend(letter.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_sensitive_when_it_is_or_contains_a_word_of_the_list() {
        for key in [
            "subscription",
            "subscriptionId",
            "token",
            "access_token",
            "X-Auth-Token",
            "api_key",
            "apiKey",
            "APIKey",
            "apikey",
            "API_KEY",
            "password",
            "db.password",
            "passwords",
            "client-secret",
            "key",
            "key1",
            "storageKey",
            "connection_string",
            "ConnectionString",
            "connectionstring",
            "Secrets",
        ] {
            assert!(is_sensitive(key), "{key}");
        }
    }

    #[test]
    fn a_word_inside_another_word_is_not_sensitive() {
        for key in [
            "monkey",
            "keyboard",
            "tokenizer",
            "secretary",
            "connection",
            "string",
            "string_connection",
            "passwordless",
            "turkeys",
            "",
            "api",
        ] {
            assert!(!is_sensitive(key), "{key}");
        }
    }

    #[test]
    fn hidden_values_and_private_keys_are_gone_at_every_depth() {
        let inner = Value::Map(vec![
            ("password".into(), Value::from("p")),
            ("_trace".into(), Value::Int(1)),
            ("region".into(), Value::from("r")),
        ]);
        let mut pairs = vec![
            ("_hidden".into(), Value::Int(1)),
            ("api_key".into(), Value::List(vec![Value::Int(1)])),
            ("list".into(), Value::List(vec![inner])),
        ];
        assert_eq!(scrub_map(&mut pairs), 2);
        let inner = Value::Map(vec![
            ("password".into(), Value::from(HIDDEN)),
            ("region".into(), Value::from("r")),
        ]);
        assert_eq!(
            pairs,
            [("api_key".into(), Value::from(HIDDEN)), ("list".into(), Value::List(vec![inner])),]
        );
    }
}

//! Finds private key blocks, bearer and basic credentials, JSON web tokens, and values whose key says
//! that they are secret.

use std::ops::Range;

use crate::map::is_sensitive;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";

/// From `-----BEGIN … PRIVATE KEY` to the end of its `-----END` line, or to the end of the text
/// when the block was cut.
pub(super) fn private_keys(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut from = 0;
    while let Some(start) = text[from..].find(BEGIN).map(|at| from + at) {
        let label_at = start + BEGIN.len();
        let label = &text[label_at..];
        let label = &label[..label.find("-----").unwrap_or(label.len())];
        if !label.contains("PRIVATE KEY") {
            from = label_at;
            continue;
        }
        let body = label_at + label.len();
        let end = text[body..].find(END).map_or(text.len(), |at| {
            let end_label = body + at + END.len();
            text[end_label..].find("-----").map_or(text.len(), |dashes| end_label + dashes + 5)
        });
        found.push(start..end);
        from = end;
    }
    found
}

/// What follows `Bearer` or `Basic`, and anything that looks like a JSON web token.
pub(super) fn tokens(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut after_scheme = false;
    for word in super::runs(text, is_token_char) {
        let run = &text[word.clone()];
        // `token=eyJ…`: the padding sign belongs to tokens, but also parts key and value.
        let value_at = run.trim_end_matches('=').rfind('=').map_or(0, |at| at + 1);
        let value = &run[value_at..];
        let is_scheme =
            |run: &str| ["bearer", "basic"].iter().any(|scheme| run.eq_ignore_ascii_case(scheme));
        if after_scheme && !is_scheme(run) {
            found.push(word.clone());
        } else if is_web_token(value) {
            found.push(word.start + value_at..word.end);
        }
        after_scheme = is_scheme(value.trim_end_matches('='));
    }
    found
}

/// Values of keys that [`is_sensitive`] knows: `password=x`, `"secret": "x y"`, and `--api-key x` as programs
/// are called. A quoted value ends at its quote, another one at the next separator.
pub(super) fn assigned(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for key in super::runs(text, is_key_char) {
        if found.last().is_some_and(|last| key.start < last.end) {
            continue;
        }
        let value = || value_at(text, key.end).or_else(|| argument_of(text, &key));
        found.extend(is_sensitive(&text[key.clone()]).then(value).flatten());
    }
    found
}

fn is_key_char(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.')
}

/// Where the value stands whose key ends at `end`.
fn value_at(text: &str, end: usize) -> Option<Range<usize>> {
    let rest = text[end..].trim_start_matches(['"', '\'']).trim_start_matches(' ');
    let value = rest.strip_prefix('=').or_else(|| rest.strip_prefix(':'))?.trim_start_matches(' ');
    let quote = value.chars().next().filter(|first| matches!(first, '"' | '\''));
    let value = quote.map_or(value, |_| &value[1..]);
    // What an earlier finder has put in place is no value.
    if value.starts_with('<') {
        return None;
    }
    let ends = |letter: char| match quote {
        Some(quote) => letter == quote,
        None => {
            letter.is_whitespace()
                || matches!(letter, ',' | ';' | '&' | ')' | '}' | ']' | '"' | '\'')
        }
    };
    let length = value.find(ends).unwrap_or(value.len());
    let start = text.len() - value.len();
    (length > 0).then_some(start..start + length)
}

/// The word after a long option.
fn argument_of(text: &str, key: &Range<usize>) -> Option<Range<usize>> {
    let word = text[key.start..].strip_prefix("--").and(text[key.end..].strip_prefix(' '))?;
    let word = word.split(char::is_whitespace).next()?;
    let is_value = !word.is_empty() && !word.starts_with(['-', '<']);
    is_value.then(|| key.end + 1..key.end + 1 + word.len())
}

/// The characters of RFC 6750's `b64token`.
fn is_token_char(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '-' | '.' | '_' | '~' | '+' | '/' | '=')
}

fn is_web_token(run: &str) -> bool {
    run.starts_with("eyJ") && run.len() >= 20 && run.contains('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(find: fn(&str) -> Vec<Range<usize>>, text: &str) -> Vec<&str> {
        find(text).into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn a_private_key_is_found_whole_or_cut_and_a_certificate_is_left() {
        let key = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----";
        let text = format!("a {key} b {key} c");
        assert_eq!(found(private_keys, &text), [key, key]);
        let cut = "-----BEGIN PRIVATE KEY-----\nMIIE";
        assert_eq!(found(private_keys, &format!("x {cut}")), [cut]);
        assert_eq!(found(private_keys, "-----BEGIN EC PRIVATE KEY"), ["-----BEGIN EC PRIVATE KEY"]);
        let certificate = "-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----";
        assert_eq!(found(private_keys, certificate), [""; 0]);
        assert_eq!(found(private_keys, &format!("{certificate}\n{key}")), [key]);
    }

    #[test]
    fn values_are_found_by_their_keys() {
        assert_eq!(found(assigned, "login --password=hunter2 --user=x"), ["hunter2"]);
        assert_eq!(found(assigned, "{\"api_key\": \"a b\", 'secret' : 'c'}"), ["a b", "c"]);
        assert_eq!(found(assigned, "DB_PASSWORD: p;token=t&x=1 key=k,"), ["p", "t", "k"]);
        assert_eq!(found(assigned, "secret=password=x y"), ["password=x"]);
        assert_eq!(found(assigned, "run --api-key k7 --secret --token <x> token y"), ["k7"]);
        assert_eq!(
            found(assigned, "monkey=1 keyboard: 2 token <x> password= , key=<token>"),
            [""; 0]
        );
    }

    #[test]
    fn credentials_are_found_after_their_scheme_and_web_tokens_anywhere() {
        assert_eq!(found(tokens, "Authorization: Bearer abc.DEF-1 x"), ["abc.DEF-1"]);
        assert_eq!(found(tokens, "bearer: abc"), ["abc"]);
        assert_eq!(found(tokens, "auth=BASIC dXNlcjpwYXNz=="), ["dXNlcjpwYXNz=="]);
        assert_eq!(found(tokens, "bearer bearer abc"), ["abc"]);
        let token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIi.c2ln";
        assert_eq!(found(tokens, &format!("id_token={token}, next")), [token]);
        assert_eq!(found(tokens, "the bears are basically fine"), [""; 0]);
    }
}

//! Finds private key blocks, bearer and basic credentials, and JSON web tokens.

use std::ops::Range;

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

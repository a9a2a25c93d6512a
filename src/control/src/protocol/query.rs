//! The query of a path: `?name=candor.device&limit=5`, read and written.
//!
//! # Invariants
//! - What is written reads back; what cannot be read is refused with the part that is wrong.
//!
//! On failure: a [`Refusal`] of code `bad_request`.

use std::fmt::Write as _;
use std::str::FromStr;

use super::Refusal;

/// Keys and values, in order.
pub(crate) fn pairs(query: &str) -> Result<Vec<(String, String)>, Refusal> {
    let part = |part: &str| {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        Ok((decode(key)?, decode(value)?))
    };
    query.split('&').filter(|part| !part.is_empty()).map(part).collect()
}

/// A whole number.
pub(crate) fn number<T: FromStr>(key: &str, value: &str) -> Result<T, Refusal> {
    value.parse().map_err(|_| {
        Refusal::bad_request(format!("`{key}` must be a whole number and is `{value}`"))
    })
}

/// A key that nobody knows.
pub(crate) fn unknown(key: &str) -> Refusal {
    Refusal::bad_request(format!("there is no `{key}` to ask with"))
}

/// Those that are there, with the question mark; empty where none is.
pub(crate) fn text(pairs: &[(&str, Option<String>)]) -> String {
    let mut text = String::new();
    for (key, value) in pairs {
        let Some(value) = value else { continue };
        text.push(if text.is_empty() { '?' } else { '&' });
        text.push_str(key);
        text.push('=');
        encode(value, &mut text);
    }
    text
}

fn encode(value: &str, out: &mut String) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~:,".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a `String` does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

/// `%20` and `+` are spaces, as in a form.
fn decode(text: &str) -> Result<String, Refusal> {
    let wrong = |what: &str| Refusal::bad_request(format!("the query has {what} in `{text}`"));
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                let (high, low) = (digit(rest.next()), digit(rest.next()));
                let pair = high.zip(low).map(|(high, low)| high * 16 + low);
                let byte = pair.and_then(|pair| u8::try_from(pair).ok());
                byte.ok_or_else(|| wrong("a `%` without two hexadecimal digits"))?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).map_err(|_| wrong("bytes that are not UTF-8"))
}

//! What came of one attempt to send: the server's answer, or why there is none. Between `http`,
//! which gets it, and `decision`, which judges it.
//!
//! # Invariants
//! - Everything that can happen to an attempt is a value here; nothing is an error.
//! - What a server said is kept short and printable before it reaches a log or the ledger.

use candor_model::Kind;
use candor_otlp::{PartialSuccess, decode_response};

use crate::verifier::Refusal;

/// How much of a server's words is kept, in characters.
const WORDS: usize = 200;

/// What came of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// An HTTP answer.
    Http {
        /// The status code.
        status: u16,
        /// The `Retry-After` header as it stood there.
        retry_after: Option<String>,
        /// What the body says.
        said: Said,
    },
    /// No connection, or it broke before the answer was complete: what happened.
    Lost(String),
    /// A time limit passed: which.
    TimedOut(String),
    /// Bytes that are not HTTP.
    NotHttp(String),
    /// The server's certificate was refused; no byte was sent.
    Certificate(Refusal),
    /// The server refused our certificate, or the lack of one.
    ClientCertificate(String),
    /// The proxy did not open the way.
    Proxy(String),
    /// A file of ours that is needed to connect cannot be used: which and why.
    Unready(String),
}

/// What an answer's body says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// An OTLP response.
    Response(PartialSuccess),
    /// Something else after success: why it cannot be read.
    Unreadable(String),
    /// The first words of an answer that is no success; may be empty.
    Words(String),
}

/// An answer's body as `http` read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// All of it.
    Whole(Vec<u8>),
    /// Larger than we read, or compressed unasked: why it was not read.
    Unread(&'static str),
}

/// Puts together what is known of a complete HTTP answer.
pub(crate) fn classify(
    kind: Kind,
    status: u16,
    retry_after: Option<String>,
    body: &Body,
) -> Answer {
    let said = match body {
        Body::Whole(bytes) if is_success(status) => match decode_response(kind, bytes) {
            Ok(response) => Said::Response(response),
            Err(_) => Said::Unreadable(format!("no OTLP response: {}", words(bytes))),
        },
        Body::Whole(bytes) => Said::Words(words(bytes)),
        Body::Unread(why) if is_success(status) => Said::Unreadable((*why).to_owned()),
        Body::Unread(why) => Said::Words((*why).to_owned()),
    };
    Answer::Http { status, retry_after, said }
}

fn is_success(status: u16) -> bool {
    (200..300).contains(&status)
}

/// The printable beginning of what a server said, on one line.
pub(crate) fn words(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes.get(..WORDS * 4).unwrap_or(bytes));
    let printable = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let line: String = printable.filter(|c| *c != char::REPLACEMENT_CHARACTER).collect();
    line.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(WORDS).collect()
}

#[cfg(test)]
mod tests {
    use candor_otlp::encode_response;

    use super::*;

    fn said(status: u16, body: &Body) -> Said {
        match classify(Kind::Log, status, None, body) {
            Answer::Http { said, .. } => said,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_empty_body_is_full_success() {
        assert_eq!(said(200, &Body::Whole(vec![])), Said::Response(PartialSuccess::default()));
    }

    #[test]
    fn a_partial_success_is_read() {
        let partial = PartialSuccess { rejected: 3, error_message: "too old".into() };
        let body = Body::Whole(encode_response(Kind::Log, &partial));
        assert_eq!(said(202, &body), Said::Response(partial));
    }

    #[test]
    fn a_success_that_cannot_be_read_says_why() {
        let page = Body::Whole(b"<html>welcome</html>".to_vec());
        assert!(matches!(said(200, &page), Said::Unreadable(why) if why.contains("<html>")));
        assert_eq!(said(200, &Body::Unread("too large")), Said::Unreadable("too large".into()));
    }

    #[test]
    fn a_servers_words_are_short_and_printable() {
        let mut body = b"\x1b[31mno\r\n\0such \xff thing ".to_vec();
        body.extend([b'x'; 10_000]);
        let Said::Words(words) = said(400, &Body::Whole(body)) else { panic!() };
        assert!(words.starts_with("[31mno such thing xxx"), "{words}");
        assert_eq!(words.chars().count(), WORDS);
    }
}

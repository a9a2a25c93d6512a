//! What a certificate says to a person: its subject and its time. For `pins` only; nothing here
//! decides whether a certificate is accepted.
//!
//! ```text
//! Certificate { TBSCertificate { [0] version?, serial, algorithm, issuer,
//!               Validity { notBefore, notAfter }, subject, spki, … }, … }
//! Name        = SEQUENCE of SET of SEQUENCE { OID, text }
//! ```
//!
//! # Invariants
//! - Damaged bytes give `None`, never a panic and never a guess.

/// `2.5.4.3`, the common name.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
/// `2.5.4.10`, the organisation.
const ORGANISATION: &[u8] = &[0x55, 0x04, 0x0a];

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const VERSION: u8 = 0xa0;
const OBJECT_ID: u8 = 0x06;

/// What can be read of a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Read {
    /// Common name of the subject, else its organisation.
    pub(crate) subject: Option<String>,
    /// Until when it is valid, as `YYYY-MM-DD`.
    pub(crate) not_after: Option<String>,
}

/// Reads a certificate's subject and end.
pub(crate) fn read(der: &[u8]) -> Read {
    fields(der).map_or_else(Read::default, |(validity, subject)| Read {
        subject: name(subject),
        not_after: end(validity),
    })
}

fn fields(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (certificate, _) = expect(SEQUENCE, der)?;
    let (mut rest, _) = expect(SEQUENCE, certificate)?;
    if rest.first() == Some(&VERSION) {
        rest = element(rest)?.2;
    }
    // Serial number, algorithm, issuer.
    for _ in 0..3 {
        rest = element(rest)?.2;
    }
    let (validity, rest) = expect(SEQUENCE, rest)?;
    let (subject, _) = expect(SEQUENCE, rest)?;
    Some((validity, subject))
}

fn name(mut subject: &[u8]) -> Option<String> {
    let mut organisation = None;
    while let Some((set, rest)) = expect(SET, subject) {
        subject = rest;
        let (attribute, _) = expect(SEQUENCE, set)?;
        let (kind, value) = expect(OBJECT_ID, attribute)?;
        let (_, text, _) = element(value)?;
        let text = std::str::from_utf8(text).ok().filter(|text| !text.contains(char::is_control));
        match kind {
            COMMON_NAME if text.is_some() => return text.map(Into::into),
            ORGANISATION => organisation = text.map(Into::into),
            _ => {}
        }
    }
    organisation
}

/// `notAfter` as a date: `UTCTime` has two digits of a year (RFC 5280, 4.1.2.5), the other four.
fn end(validity: &[u8]) -> Option<String> {
    let (_, _, rest) = element(validity)?;
    let (tag, text, _) = element(rest)?;
    let text = std::str::from_utf8(text).ok().filter(|text| text.is_ascii())?;
    let (year, rest) = match tag {
        0x17 => {
            let (year, rest) = text.split_at_checked(2)?;
            (format!("{}{year}", if year < "50" { "20" } else { "19" }), rest)
        }
        0x18 => text.split_at_checked(4).map(|(year, rest)| (year.to_owned(), rest))?,
        _ => return None,
    };
    Some(format!("{year}-{}-{}", rest.get(..2)?, rest.get(2..4)?))
}

/// The content of an element with this tag, and what follows it.
fn expect(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    element(der).filter(|(found, _, _)| *found == tag).map(|(_, content, rest)| (content, rest))
}

/// Tag, content and rest.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, mut rest) = rest.split_first()?;
    let mut length = usize::from(*first);
    if length > 0x7f {
        let (digits, after) = rest.split_at_checked(length & 0x7f)?;
        // A certificate is far smaller than what three bytes can say.
        length = match digits {
            [a] => usize::from(*a),
            [a, b] => usize::from(*a) << 8 | usize::from(*b),
            [a, b, c] => usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c),
            _ => return None,
        };
        rest = after;
    }
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(name: &str, year: i32) -> Vec<u8> {
        let mut params = rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::OrganizationName, "Example Org");
        if !name.is_empty() {
            params.distinguished_name.push(rcgen::DnType::CommonName, name);
        }
        params.not_after = rcgen::date_time_ymd(year, 3, 9);
        let key = rcgen::KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn subject_and_end_are_read() {
        let read = |name, year| super::read(&certificate(name, year));
        let expected = |subject: &str, end: &str| Read {
            subject: Some(subject.into()),
            not_after: Some(end.into()),
        };
        assert_eq!(read("Candor test CA", 2031), expected("Candor test CA", "2031-03-09"));
        assert_eq!(read("Bücher", 2099), expected("Bücher", "2099-03-09"));
        assert_eq!(read("", 1999), expected("Example Org", "1999-03-09"));
    }

    #[test]
    fn damaged_bytes_give_nothing_and_never_panic() {
        let whole = certificate("A name", 2031);
        for end in 0..whole.len() {
            read(&whole[..end]);
        }
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0xff;
            read(&damaged);
        }
        assert_eq!(read(&[]), Read::default());
        assert_eq!(read(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), Read::default());
    }
}

//! Formats of text fields: what fits them holds no free text, so that no person's name, address or
//! id can hide in it.
//!
//! # Invariants
//! - No format but [`Format::Guid`] lets a GUID through, in any spelling; none lets an `@` through.

/// A shape that a text field's value must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// A GUID: `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`.
    Guid,
    /// A name of a kind of thing: ASCII letters, digits, spaces and `. _ - + / :`, 128 bytes at most,
    /// without a GUID in it.
    Name,
    /// A version: a number in front, then letters, digits, `.`, `-`, `+`; 64 bytes at most.
    Version,
    /// A time as RFC 3339 has it.
    Time,
}

/// Longest name.
const MAX_NAME: usize = 128;
/// Longest version.
const MAX_VERSION: usize = 64;

impl Format {
    /// Whether a text fits.
    #[must_use]
    pub fn fits(self, text: &str) -> bool {
        match self {
            Self::Guid => is_guid(text),
            Self::Name => is_name(text),
            Self::Version => is_version(text),
            Self::Time => is_time(text),
        }
    }
}

/// Whether a text is a GUID and nothing else.
pub(crate) fn is_guid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').take(6).collect();
    groups.len() == 5
        && groups.iter().zip([8, 4, 4, 4, 12]).all(|(group, length)| {
            group.len() == length && group.bytes().all(|b| b.is_ascii_hexdigit())
        })
}

/// Whether 32 hexadecimal digits stand somewhere in a text, with or without dashes between them.
pub(crate) fn has_guid(text: &str) -> bool {
    let mut run = 0;
    for byte in text.bytes() {
        match byte {
            b'-' => {}
            _ if byte.is_ascii_hexdigit() => run += 1,
            _ => run = 0,
        }
        if run == 32 {
            return true;
        }
    }
    false
}

/// The text with `<id>` in place of each run of 32 hexadecimal digits, dashes between them or not;
/// `None` where there is none.
pub(crate) fn hide_guids(text: &str) -> Option<String> {
    if !has_guid(text) {
        return None;
    }
    let mut clean = String::with_capacity(text.len());
    let mut run = String::new();
    for letter in text.chars().chain(['\0']) {
        if letter == '-' || letter.is_ascii_hexdigit() {
            run.push(letter);
            continue;
        }
        clean.push_str(if has_guid(&run) { "<id>" } else { &run });
        run.clear();
        if letter != '\0' {
            clean.push(letter);
        }
    }
    Some(clean)
}

fn is_name(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b" ._-+/:".contains(&b);
    (1..=MAX_NAME).contains(&text.len())
        && text.bytes().all(fits)
        && !has_guid(text)
        && !is_path(text)
        && !text.split([' ', '/']).any(is_address)
}

/// A path from the root, or through the directories in which people's own lie.
fn is_path(text: &str) -> bool {
    let is_home = |part: &str| ["home", "users"].iter().any(|home| part.eq_ignore_ascii_case(home));
    text.split(' ').any(|word| word.starts_with('/') || word.contains(":/"))
        || (text.contains('/') && text.split('/').any(is_home))
}

/// An IP address, with or without a port.
fn is_address(text: &str) -> bool {
    // Every address has one of them: most words need not be read as one.
    if !text.contains(['.', ':']) {
        return false;
    }
    text.parse::<std::net::IpAddr>().is_ok() || text.parse::<std::net::SocketAddr>().is_ok()
}

fn is_version(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b".-+".contains(&b);
    let number = text.strip_prefix('v').unwrap_or(text);
    text.len() <= MAX_VERSION
        && number.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(fits)
        && !has_guid(text)
}

/// `2026-01-02T03:04:05[.678](Z|+01:00)`: the shape only; nothing is computed with it here.
fn is_time(text: &str) -> bool {
    const SHAPE: &[u8] = b"0000-00-00T00:00:00";
    let Some((head, tail)) = text.split_at_checked(SHAPE.len()) else { return false };
    let same = |(byte, shape): (u8, &u8)| match shape {
        b'0' => byte.is_ascii_digit(),
        b'T' => matches!(byte, b'T' | b't' | b' '),
        other => byte == *other,
    };
    let rest =
        tail.strip_prefix('.').map_or(tail, |t| t.trim_start_matches(|c: char| c.is_ascii_digit()));
    let zone = |sign: &[u8]| matches!(sign, [b'+' | b'-', a, b, b':', c, d] if [a, b, c, d].iter().all(|d| d.is_ascii_digit()));
    head.bytes().zip(SHAPE).all(same)
        && tail.len() <= 16
        && (matches!(rest, "Z" | "z") || zone(rest.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUID: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";

    #[test]
    fn what_a_format_means_fits_it() {
        for (format, texts) in [
            (Format::Guid, &[GUID, "0F8FAD5B-D9CB-469F-A165-70867728950E"][..]),
            (
                Format::Name,
                &["vm create", "Microsoft.Compute/virtualMachines", "westeurope", "gpt-4.1"],
            ),
            (Format::Version, &["1", "1.2.3", "v2.0.0-rc.1+build.5"]),
            (Format::Time, &["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.678901+01:00"]),
        ] {
            for text in texts {
                assert!(format.fits(text), "{format:?} {text}");
            }
        }
    }

    #[test]
    fn no_persons_name_fits_a_format() {
        let plain = GUID.replace('-', "");
        for text in [
            "alice@example.org",
            "alice_example.org#EXT#@tenant.onmicrosoft.com",
            "é",
            "",
            "a\nb",
            "C:\\Users\\alice",
            "x=1",
            &format!("sub {GUID}"),
            &plain,
            &format!("/subscriptions/{GUID}/x"),
            "/home/alice/x",
            "home/alice",
            "C:/Users/alice",
            "list 10.0.0.1",
            "10.0.0.1:80",
            "fe80::1",
            &"x".repeat(129),
        ] {
            for format in [Format::Name, Format::Version, Format::Time, Format::Guid] {
                assert!(!format.fits(text), "{format:?} {text}");
            }
        }
    }

    #[test]
    fn guids_in_a_text_are_hidden_and_the_rest_stays() {
        let text = format!("no access to /subscriptions/{GUID}/x-{} (bad)", GUID.replace('-', ""));
        assert_eq!(hide_guids(&text).unwrap(), "no access to /subscriptions/<id>/x<id> (bad)");
        assert_eq!(hide_guids("deadbeef"), None);
    }

    #[test]
    fn a_guid_is_found_in_any_spelling() {
        assert!(
            has_guid(GUID) && has_guid(&GUID.replace('-', "")) && has_guid(&format!("x/{GUID}/y"))
        );
        assert!(!has_guid("0f8fad5b-d9cb-469f-a165-7086772895") && !has_guid("deadbeef dead beef"));
    }
}

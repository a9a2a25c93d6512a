//! A record of Windows' event log, from the XML in which the log shows it.
//!
//! ```text
//! <Event …><System><Provider Name='disk'/><EventID Qualifiers='32772'>7</EventID><Level>2</Level>…
//!   <TimeCreated SystemTime='2026-11-01T10:00:00.1234567Z'/><EventRecordID>815</EventRecordID>…</System>
//! <EventData><Data Name='a'>…</Data><Data>…</Data></EventData></Event>
//! ```
//!
//! # Invariants
//! - Of the head only these elements are looked at: computer, user and process stand in others.
//! - At most [`MAX_VALUES`] values of the data.
//!
//! A record of another form is absent.

use candor_model::UnixNanos;

const MAX_VALUES: usize = 32;

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Who wrote it, by a name that is in no language.
    pub(crate) provider: String,
    pub(crate) id: u32,
    /// 1 critical, 2 error, 3 warning, 4 information; 0 where nobody said.
    pub(crate) level: u8,
    pub(crate) time: UnixNanos,
    /// Its number in its channel.
    pub(crate) number: u64,
    /// The values that its message is made of.
    pub(crate) values: Vec<String>,
}

impl Entry {
    /// The record that this text shows.
    pub(crate) fn parse(xml: &str) -> Option<Self> {
        let (head, rest) = xml.split_once("</System>")?;
        let time: jiff::Timestamp = attribute(head, "TimeCreated", "SystemTime")?.parse().ok()?;
        Some(Self {
            provider: attribute(head, "Provider", "Name")?,
            id: content(head, "EventID")?.parse().ok()?,
            level: content(head, "Level").and_then(|level| level.parse().ok()).unwrap_or_default(),
            time: UnixNanos(u64::try_from(time.as_nanosecond()).ok()?),
            number: content(head, "EventRecordID")?.parse().ok()?,
            values: values(rest),
        })
    }
}

/// The start tag of an element, without its brackets, and what follows it.
fn tag<'a>(xml: &'a str, name: &str) -> Option<(&'a str, &'a str)> {
    let mut from = xml;
    loop {
        let (_, rest) = from.split_once('<')?;
        let (tag, after) = rest.split_once('>')?;
        let is_it = tag
            .strip_prefix(name)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '/', '\t', '\r', '\n']));
        if is_it {
            return Some((tag, after));
        }
        from = rest;
    }
}

fn attribute(xml: &str, element: &str, name: &str) -> Option<String> {
    let (tag, _) = tag(xml, element)?;
    let (_, rest) = tag.split_once(&format!(" {name}="))?;
    let quote = rest.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let (value, _) = rest.get(1..)?.split_once(quote)?;
    Some(plain(value))
}

fn content<'a>(xml: &'a str, element: &str) -> Option<&'a str> {
    let (tag, after) = tag(xml, element)?;
    if tag.ends_with('/') { None } else { after.split('<').next().map(str::trim) }
}

/// The values of the data, in their order; empty ones are left out.
fn values(xml: &str) -> Vec<String> {
    let mut values = Vec::new();
    let mut rest = xml;
    while let Some((tag, after)) = tag(rest, "Data") {
        let value =
            if tag.ends_with('/') { "" } else { after.split('<').next().unwrap_or_default() };
        if !value.trim().is_empty() && values.len() < MAX_VALUES {
            values.push(plain(value.trim()));
        }
        rest = after;
    }
    values
}

/// Text without XML's own writing of signs.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        plain.push_str(before);
        let known = after.split_once(';').and_then(|(name, after)| Some((sign(name)?, after)));
        if let Some((sign, after)) = known {
            plain.push(sign);
            rest = after;
        } else {
            plain.push('&');
            rest = after;
        }
    }
    plain + rest
}

fn sign(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let digits = name.strip_prefix('#')?;
            let number = match digits.strip_prefix(['x', 'X']) {
                Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16),
                None => digits.parse(),
            };
            char::from_u32(number.ok()?)
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A record as Windows renders it.
    pub(crate) fn xml(provider: &str, id: u32, level: u8, time: &str, number: u64) -> String {
        format!(
            "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>\
             <Provider Name='{provider}' Guid='{{331c3b3a-2005-44c2-ac5e-77220c37d6b4}}'/>\
             <EventID Qualifiers='16384'>{id}</EventID><Version>8</Version><Level>{level}</Level><Task>63</Task>\
             <Opcode>0</Opcode><Keywords>0x8000400000000002</Keywords><TimeCreated SystemTime='{time}'/>\
             <EventRecordID>{number}</EventRecordID><Correlation/><Execution ProcessID='4' ThreadID='8'/>\
             <Channel>System</Channel><Computer>JANES-PC</Computer><Security UserID='S-1-5-18'/></System>\
             <EventData><Data Name='BugcheckCode'>0</Data><Data Name='Empty'/><Data></Data>\
             <Data>A &amp; B &lt;c&gt; &#x41;&#66; &odd;</Data><Binary>0000</Binary></EventData></Event>"
        )
    }

    #[test]
    fn a_record_tells_who_what_and_when_and_nothing_of_the_machine() {
        let text =
            xml("Microsoft-Windows-Kernel-Power", 41, 1, "2023-11-07T08:21:40.0000000Z", 815);
        let expected = Entry {
            provider: "Microsoft-Windows-Kernel-Power".to_owned(),
            id: 41,
            level: 1,
            time: UnixNanos(1_699_345_300_000_000_000),
            number: 815,
            values: vec!["0".to_owned(), "A & B <c> AB &odd;".to_owned()],
        };
        let entry = Entry::parse(&text).unwrap();
        assert_eq!(entry, expected);
        assert!(!format!("{entry:?}").contains("JANES-PC"));
    }

    #[test]
    fn a_record_without_a_level_or_data_is_told_and_one_without_a_number_is_not() {
        let text = xml("disk", 7, 2, "2023-11-07T08:21:40Z", 1);
        let bare = text.replace("<Level>2</Level>", "");
        let bare = format!("{}</Event>", bare.split("<EventData>").next().unwrap());
        let entry = Entry::parse(&bare).unwrap();
        assert_eq!((entry.level, entry.values.len()), (0, 0));
        for element in ["EventID", "EventRecordID", "TimeCreated", "Provider"] {
            assert_eq!(Entry::parse(&text.replace(element, "Other")), None, "{element}");
        }
    }

    #[test]
    fn torn_records_do_no_harm() {
        let text = xml("disk", 7, 2, "2023-11-07T08:21:40Z", 1);
        for cut in 0..text.len() {
            let _ = Entry::parse(&text[..cut]);
        }
        for odd in ["&", "&;", "&#;", "&#xD800;", "a&b", "&amp"] {
            assert_eq!(plain(odd), odd);
        }
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, text};

        let sample = xml("disk", 7, 2, "2023-11-07T08:21:40.1234567Z", 815);
        text(
            "windows/entry::parse",
            Says::Derived("a time is nanoseconds since 1970, a sign may stand as its number"),
            &[&sample],
            Entry::parse,
        );
    }
}

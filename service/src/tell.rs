//! What the receiver is told of that no probe sees: changes, made from lines of the audit trail, and
//! ranges of records that were lost.
//!
//! # Invariants
//! - Who made a change and why are not in the event; of an endpoint only the host is, of pins only
//!   their number.

use candor_model::events::agent::{Change, Gap, Layer, Role};
use candor_model::{EventDef as _, Record, UnixNanos};
use candor_policy::trail::Entry;

/// The event of a range of numbers that were dropped.
pub(crate) fn gap_event(lost: &candor_spool::Gap) -> Record {
    Gap { cause: lost.reason.word(), count: lost.count, first: lost.first, last: lost.last }.into()
}

/// The events of the lines that were not told yet.
pub(crate) fn untold(entries: &[Entry], told: usize) -> Vec<Record> {
    // A trail that is shorter than what was told of it is a new one.
    let told = if told > entries.len() { 0 } else { told };
    entries.iter().skip(told).filter_map(event).collect()
}

/// The event of a line; `None` for a line of a subject that this version does not know.
fn event(entry: &Entry) -> Option<Record> {
    let subject = ["level", "upload", "endpoint", "pins"]
        .into_iter()
        .find(|subject| *subject == entry.subject)?;
    // Addresses and keys stay here: the event says that they changed and how many pins there are.
    let told = |value: &Option<String>| match subject {
        "endpoint" => value.as_deref().and_then(host_of),
        "pins" => value.as_deref().map(|pins| pins.split_whitespace().count().to_string()),
        _ => value.clone(),
    };
    let change = Change {
        subject,
        from: told(&entry.from),
        to: told(&entry.to),
        layer: entry.layer.as_deref().and_then(Layer::from_word),
        role: entry.role.as_deref().and_then(Role::from_word),
    };
    let event = change.into_event();
    Some(Record::Event(match time_of(entry) {
        Some(time) => event.at(time),
        None => event,
    }))
}

/// When a change was made, which may be long before it is told.
fn time_of(entry: &Entry) -> Option<UnixNanos> {
    let time: jiff::Timestamp = entry.time.parse().ok()?;
    u64::try_from(time.as_nanosecond()).ok().map(UnixNanos)
}

/// The host name of a URL, without user, port and path.
fn host_of(url: &str) -> Option<String> {
    let url: candor_upload::Endpoint = url.parse().ok()?;
    Some(url.host)
}

#[cfg(test)]
mod tests {
    use candor_model::Value;

    use super::*;

    fn attributes(record: &Record) -> Vec<(&'static str, String)> {
        let Record::Event(event) = record else { unreachable!() };
        let text = |value: &Value| match value {
            Value::Text(text) => text.to_string(),
            other => format!("{other:?}"),
        };
        event.fields().map(|(field, value)| (field.name, text(value))).collect()
    }

    #[test]
    fn a_change_tells_role_and_layer_and_neither_who_nor_why() {
        let entry = Entry {
            time: "2026-01-02T03:04:05Z".into(),
            subject: "upload".into(),
            from: Some("on".into()),
            to: Some("off".into()),
            layer: Some("operator".into()),
            role: Some("administrator".into()),
            uid: Some(1000),
            user: Some("jo".into()),
            pid: Some(7),
            reason: Some("holiday".into()),
        };
        let record = event(&entry).unwrap();
        let expected = [
            ("subject", "upload"),
            ("from", "on"),
            ("to", "off"),
            ("layer", "operator"),
            ("role", "administrator"),
        ];
        assert_eq!(attributes(&record), expected.map(|(name, value)| (name, value.to_owned())));
        let Record::Event(event) = record else { unreachable!() };
        assert_eq!(event.time(), Some(UnixNanos(1_767_323_045_000_000_000)));
    }

    #[test]
    fn a_line_is_told_once_and_a_new_trail_from_its_beginning() {
        let entry =
            |to: &str| Entry { subject: "level".into(), to: Some(to.into()), ..Entry::default() };
        let trail = [entry("1"), entry("2"), entry("3")];
        let told = |told: usize| untold(&trail, told).len();
        assert_eq!([told(0), told(2), told(3), told(4)], [3, 1, 0, 3]);
        assert!(attributes(&untold(&trail, 2)[0]).contains(&("to", "3".to_owned())));
    }

    #[test]
    fn of_an_endpoint_the_host_is_told_and_of_pins_their_number() {
        let entry = |subject: &str, from: &str, to: &str| Entry {
            subject: subject.into(),
            from: Some(from.into()),
            to: Some(to.into()),
            ..Entry::default()
        };
        let told = attributes(
            &event(&entry("endpoint", "https://a.example/secret", "https://b.example:1/")).unwrap(),
        );
        assert_eq!(&told[1..], [("from", "a.example".to_owned()), ("to", "b.example".to_owned())]);
        let told = attributes(&event(&entry("pins", "", "sha256/x sha256/y")).unwrap());
        assert_eq!(&told[1..], [("from", "0".to_owned()), ("to", "2".to_owned())]);
        assert_eq!(event(&entry("weather", "sun", "rain")), None);
    }
}

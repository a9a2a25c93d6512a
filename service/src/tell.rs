//! Changes: what differs between two snapshots, the line that the audit trail keeps of it, and the
//! event that leaves of it.
//!
//! # Invariants
//! - The event is made from the trail's line, so that both tell the same; who and why are not in it.

use std::time::SystemTime;

use candor_model::events::agent::{Change, Layer, Role};
use candor_model::{EventDef as _, Record, UnixNanos};
use candor_pipeline::rfc3339;
use candor_platform::Peer;
use candor_policy::Effective;
use candor_policy::trail::Entry;

/// Who asked for a change, and why.
#[derive(Clone, Debug, Default)]
pub(crate) struct By {
    pub(crate) uid: Option<u32>,
    pub(crate) user: Option<String>,
    pub(crate) pid: Option<u32>,
    pub(crate) reason: Option<String>,
}

impl By {
    /// This peer, for this reason.
    pub(crate) fn peer(peer: &Peer, reason: Option<String>) -> Self {
        Self { uid: peer.uid, user: peer.user.clone(), pid: peer.pid, reason }
    }
}

/// What changed from `old` to `new`, as lines for the trail.
pub(crate) fn changes(
    old: &Effective,
    new: &Effective,
    by: Option<&By>,
    now: SystemTime,
) -> Vec<Entry> {
    let pairs = facts(old).into_iter().zip(facts(new));
    let differs = pairs.filter_map(|((subject, from), (_, to))| {
        (from != to).then(|| entry(subject, from, to, by, new, now))
    });
    differs.collect()
}

/// What changed since the trail's last lines were written: policy or configuration were changed while
/// no daemon ran. A subject without a line was never changed and is not known to have been.
pub(crate) fn changes_since(trail: &[Entry], new: &Effective, now: SystemTime) -> Vec<Entry> {
    let last = |subject: &str| trail.iter().rev().find(|entry| entry.subject == subject);
    let facts = facts(new).into_iter();
    let differs = facts.filter_map(|(subject, to)| {
        let from = last(subject)?.to.clone();
        (from != to).then(|| entry(subject, from, to, None, new, now))
    });
    differs.collect()
}

/// What is watched for changes, as it is now.
fn facts(effective: &Effective) -> [(&'static str, Option<String>); 4] {
    let pins =
        effective.certificate_pins.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    [
        ("level", Some(effective.level.effective.number().to_string())),
        ("upload", Some(if effective.upload_enabled { "on" } else { "off" }.to_owned())),
        ("endpoint", effective.events_endpoint.as_ref().map(ToString::to_string)),
        ("pins", Some(pins)),
    ]
}

fn entry(
    subject: &str,
    from: Option<String>,
    to: Option<String>,
    by: Option<&By>,
    new: &Effective,
    now: SystemTime,
) -> Entry {
    let layer = if by.is_some() { Layer::Operator } else { new.level.layer };
    let role = match (by, layer) {
        (Some(_), _) => Role::Administrator,
        (None, Layer::Policy) => Role::Management,
        (None, Layer::Operator | Layer::WindowsSetting | Layer::Configuration) => {
            Role::Administrator
        }
        (None, Layer::Remote | Layer::Default) => Role::Agent,
    };
    let by = by.cloned().unwrap_or_default();
    Entry {
        time: rfc3339(now),
        subject: subject.to_owned(),
        from,
        to,
        layer: Some(layer.word().to_owned()),
        role: Some(role.word().to_owned()),
        uid: by.uid,
        user: by.user,
        pid: by.pid,
        reason: by.reason,
    }
}

/// The event of a line; `None` for a line of a subject that this version does not know.
pub(crate) fn event(entry: &Entry) -> Option<Record> {
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
    use candor_policy::resolve;

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
        let old = resolve(&[]);
        let mut new = old.clone();
        new.upload_enabled = false;
        let by = By {
            uid: Some(1000),
            user: Some("jo".into()),
            pid: Some(7),
            reason: Some("holiday".into()),
        };
        let entries = changes(&old, &new, Some(&by), SystemTime::UNIX_EPOCH);
        assert_eq!(entries.len(), 1);
        assert_eq!(
            (entries[0].user.as_deref(), entries[0].reason.as_deref()),
            (Some("jo"), Some("holiday"))
        );
        let told = attributes(&event(&entries[0]).unwrap());
        let expected = [
            ("subject", "upload"),
            ("from", "on"),
            ("to", "off"),
            ("layer", "operator"),
            ("role", "administrator"),
        ];
        assert_eq!(told, expected.map(|(name, value)| (name, value.to_owned())));
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

    #[test]
    fn a_change_that_was_made_while_no_daemon_ran_is_found_at_the_start() {
        let now = SystemTime::UNIX_EPOCH;
        let effective = resolve(&[]);
        assert_eq!(changes_since(&[], &effective, now), []);
        let was = |level: &str| Entry {
            subject: "level".into(),
            to: Some(level.into()),
            ..Entry::default()
        };
        assert_eq!(changes_since(&[was("2")], &effective, now), []);
        let found = changes_since(&[was("2"), was("3")], &effective, now);
        assert_eq!((found[0].from.as_deref(), found[0].to.as_deref()), (Some("3"), Some("2")));
    }
}

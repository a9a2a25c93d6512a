//! What differs between two policies, as lines for the trail.
//!
//! # Invariants
//! - Whoever changes something, the daemon or `agentctl` without one, writes the same lines.

use std::time::{SystemTime, UNIX_EPOCH};

use candor_model::events::agent::{Layer, Role};

use super::Entry;
use crate::Effective;

/// Who asked for a change, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Author {
    /// User id; `None` on Windows.
    pub uid: Option<u32>,
    /// User name.
    pub user: Option<String>,
    /// Process id.
    pub pid: Option<u32>,
    /// The reason given.
    pub reason: Option<String>,
}

impl Author {
    /// This process, for a change that it makes itself.
    #[must_use]
    pub fn this_process(reason: Option<String>) -> Self {
        let peer = candor_platform::Peer::this_process();
        Self { uid: peer.uid, user: peer.user, pid: peer.pid, reason }
    }
}

/// What changed from `old` to `new`, through the layer that decides now. What the operator's setting
/// decides is the author's doing.
#[must_use]
pub fn changes(
    old: &Effective,
    new: &Effective,
    author: Option<&Author>,
    now: SystemTime,
) -> Vec<Entry> {
    let pairs = facts(old).into_iter().zip(facts(new));
    let differs = pairs.filter_map(|((subject, from), (_, to))| {
        (from != to).then(|| entry((subject, from, to), author, new, now))
    });
    differs.collect()
}

/// What changed since the trail's last lines were written: policy or configuration were changed while
/// no daemon ran. A subject without a line was never changed, as far as is known.
#[must_use]
pub fn changes_since(trail: &[Entry], new: &Effective, now: SystemTime) -> Vec<Entry> {
    let last = |subject: &str| trail.iter().rev().find(|entry| entry.subject == subject);
    let differs = facts(new).into_iter().filter_map(|(subject, to)| {
        let from = last(subject)?.to.clone();
        (from != to).then(|| entry((subject, from, to), None, new, now))
    });
    differs.collect()
}

/// Something that an owner did without changing a setting, such as a connection while telemetry is
/// off. It stays on this host.
#[must_use]
pub fn act(subject: &str, what: &str, author: &Author, now: SystemTime) -> Entry {
    let author = author.clone();
    Entry {
        time: rfc3339(now),
        subject: subject.to_owned(),
        from: None,
        to: Some(what.to_owned()),
        layer: Some(Layer::Operator.word().to_owned()),
        role: Some(Role::Administrator.word().to_owned()),
        uid: author.uid,
        user: author.user,
        pid: author.pid,
        reason: author.reason,
    }
}

/// A provider was switched. It stays on this host.
#[must_use]
pub fn switched(name: &str, is_on: bool, author: &Author, now: SystemTime) -> Entry {
    let word = |is_on| Some(format!("{name} {}", if is_on { "on" } else { "off" }));
    Entry { from: word(!is_on), to: word(is_on), ..act("provider", name, author, now) }
}

/// What remote settings lower, as a subject.
const REMOTE: &str = "remote";

type Fact = (&'static str, Option<String>);

/// What is watched for changes, as it is now.
fn facts(effective: &Effective) -> [Fact; 5] {
    let pins = effective.certificate_pins.iter().map(ToString::to_string).collect::<Vec<_>>();
    [
        ("level", Some(effective.level.effective.number().to_string())),
        ("upload", Some(if effective.upload_enabled { "on" } else { "off" }.to_owned())),
        ("endpoint", effective.events_endpoint.as_ref().map(ToString::to_string)),
        ("pins", Some(pins.join(" "))),
        (REMOTE, effective.lowering.summary.clone()),
    ]
}

fn entry(
    (subject, from, to): (&str, Option<String>, Option<String>),
    author: Option<&Author>,
    new: &Effective,
    now: SystemTime,
) -> Entry {
    let layer = match subject {
        "upload" => new.stated_by.upload,
        "endpoint" => new.stated_by.endpoint,
        "pins" => new.stated_by.pins,
        REMOTE => Layer::Remote,
        _ => new.level.layer,
    };
    // What came about at the same time through another layer was not the author's doing.
    let author = author.filter(|_| layer == Layer::Operator);
    let role = match (author, layer) {
        (None, Layer::Policy) => Role::Management,
        (None, Layer::Remote | Layer::Default) => Role::Agent,
        _ => Role::Administrator,
    };
    let author = author.cloned().unwrap_or_default();
    Entry {
        time: rfc3339(now),
        subject: subject.to_owned(),
        from,
        to,
        layer: Some(layer.word().to_owned()),
        role: Some(role.word().to_owned()),
        uid: author.uid,
        user: author.user,
        pid: author.pid,
        reason: author.reason,
    }
}

pub(super) fn rfc3339(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let millis = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolve;

    #[test]
    fn only_what_differs_is_written_with_who_and_why() {
        let old = resolve(&[]);
        let mut new = old.clone();
        assert_eq!(changes(&old, &new, None, UNIX_EPOCH), []);
        new.upload_enabled = false;
        new.stated_by.upload = Layer::Operator;
        let author = Author {
            uid: Some(1000),
            user: Some("jo".into()),
            pid: Some(7),
            reason: Some("holiday".into()),
        };
        let written = changes(&old, &new, Some(&author), UNIX_EPOCH);
        assert_eq!(written.len(), 1);
        let entry = &written[0];
        assert_eq!(
            (entry.subject.as_str(), entry.from.as_deref(), entry.to.as_deref()),
            ("upload", Some("on"), Some("off"))
        );
        assert_eq!(
            (entry.layer.as_deref(), entry.role.as_deref()),
            (Some("operator"), Some("administrator"))
        );
        assert_eq!((entry.user.as_deref(), entry.reason.as_deref()), (Some("jo"), Some("holiday")));
        assert_eq!(entry.time, "1970-01-01T00:00:00Z");
    }

    #[test]
    fn what_remote_settings_lower_is_theirs_whoever_asked_for_a_reload() {
        let old = resolve(&[]);
        let mut new = old.clone();
        new.lowering.summary = Some("version 7: stop".into());
        let author = Author { uid: Some(0), user: Some("root".into()), ..Author::default() };
        for author in [None, Some(&author)] {
            let written = changes(&old, &new, author, UNIX_EPOCH);
            let [entry] = written.as_slice() else { unreachable!("one line: {written:?}") };
            assert_eq!((entry.subject.as_str(), entry.from.as_deref()), ("remote", None));
            assert_eq!(entry.to.as_deref(), Some("version 7: stop"));
            assert_eq!(
                (entry.layer.as_deref(), entry.role.as_deref()),
                (Some("remote"), Some("agent"))
            );
            assert_eq!((entry.uid, entry.user.as_deref()), (None, None));
        }
    }

    #[test]
    fn a_change_names_the_layer_that_made_it_and_not_that_of_the_level() {
        use crate::keys::Words;
        use crate::layer::Reading;

        let level = Words { allow_telemetry: Some(candor_model::Level::Basic), ..Words::default() };
        let off = Words { upload_enabled: Some(false), ..Words::default() };
        let operator = crate::Layer::new(Layer::Operator, "operator.toml", Reading::of(level));
        let policy = crate::Layer::new(Layer::Policy, "10.toml", Reading::of(off));
        let (old, new) = (resolve(&[]), resolve(&[policy, operator]));
        let author = Author { uid: Some(1000), ..Author::default() };
        let written = changes(&old, &new, Some(&author), UNIX_EPOCH);
        let told = |entry: &Entry| {
            (entry.subject.clone(), entry.layer.clone(), entry.role.clone(), entry.uid)
        };
        let line = |subject: &str, layer: &str, role: &str, uid| {
            (subject.to_owned(), Some(layer.to_owned()), Some(role.to_owned()), uid)
        };
        assert_eq!(
            written.iter().map(told).collect::<Vec<_>>(),
            [
                line("level", "operator", "administrator", Some(1000)),
                line("upload", "policy", "management", None),
            ]
        );
    }

    #[test]
    fn a_change_that_was_made_while_no_daemon_ran_is_found_at_the_start() {
        let effective = resolve(&[]);
        assert_eq!(changes_since(&[], &effective, UNIX_EPOCH), []);
        let was = |level: &str| Entry {
            subject: "level".into(),
            to: Some(level.into()),
            ..Entry::default()
        };
        assert_eq!(changes_since(&[was("2")], &effective, UNIX_EPOCH), []);
        let found = changes_since(&[was("2"), was("3")], &effective, UNIX_EPOCH);
        assert_eq!((found[0].from.as_deref(), found[0].to.as_deref()), (Some("3"), Some("2")));
        assert_eq!(found[0].role.as_deref(), Some("agent"));
    }
}

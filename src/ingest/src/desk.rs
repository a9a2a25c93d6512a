//! Where a local program's records are judged and kept, while telemetry is on: recognised by the
//! registry, admitted by the manifest, passed through the door, encoded, committed.
//!
//! # Invariants
//! - Nothing is kept that did not go through a manifest and then the door, at the level of this moment.
//! - [`Desk::keep`] returns after the commit, or with an error and nothing kept.
//! - A record keeps the id that its program gave it; a span's is made of its trace and its own id.
//!   So what a program sends again after a failure arrives once.
//! - Judging yields now and then, however its records are grouped and whoever sent them: a large request does
//!   not hold up the agent.
//!
//! On failure: [`Refusal`]; a record that does not fit is counted and costs only itself.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use candor_model::{Draft, Given, Kind, Level, Plain, Provided, Record, UnixNanos, Value};
use candor_otlp::{
    Group, HostIds, Program, Source, Stamp, Unfit, encode, encode_plain, groups, incoming,
};
use candor_platform::Clock;
use candor_privacy::{Counts, Door, Scrubber};
use candor_providers::{Caller, Incoming, Origin, Provider, Reason, Registry};
use candor_spool::{Spool, Urgency};
use uuid::Uuid;

use crate::refusal::Refusal;
use crate::settings::Limits;
use crate::taken::{Judged, Taken};
use crate::uids::Uids;

/// After so many bytes others get their turn.
const AT_ONCE: usize = 64 * 1024;
/// What a record or a group costs beside its bytes, as if it were bytes.
const EACH: usize = 256;
/// What of a program's resource is kept: who it is, and which SDK speaks.
const RESOURCE: [&str; 7] = [
    "service.name",
    "service.namespace",
    "service.version",
    "service.instance.id",
    "telemetry.sdk.name",
    "telemetry.sdk.language",
    "telemetry.sdk.version",
];
/// Longest value of it.
const MAX_RESOURCE_TEXT: usize = 256;
/// What holds at this moment.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The effective level.
    pub level: Level,
    /// Whether there is somebody to keep records for.
    pub has_receiver: bool,
    /// The local programs that are known.
    pub registry: Arc<Registry>,
}

/// The agent as ingest sees it.
pub trait Agent: 'static {
    /// Where records are kept; `None` while telemetry is off.
    fn desk(&self) -> Option<Rc<Desk>>;

    /// What holds at this moment.
    fn terms(&self) -> Terms;

    /// Why programs cannot be heard where the settings say; `None` where they are, or where they say
    /// nowhere. Told after each time that the places were opened or shut.
    fn set_trouble(&self, trouble: Option<String>);
}

/// What a desk is made of.
pub struct DeskSettings {
    /// The store.
    pub spool: Spool,
    /// The id of this boot, as it is sent.
    pub boot: Arc<str>,
    /// What cleans text.
    pub scrubber: Scrubber,
    /// What tells the time.
    pub clock: Arc<dyn Clock>,
}

/// See the file's text.
pub struct Desk {
    spool: Spool,
    boot: Arc<str>,
    clock: Arc<dyn Clock>,
    uids: RefCell<Uids>,
    door: RefCell<Door>,
}

/// One request that is being judged.
struct Work<'a> {
    kind: Kind,
    caller: &'a Caller,
    terms: &'a Terms,
    /// When it came: its records were all observed then.
    came: UnixNanos,
    judged: Judged,
    /// What was judged since others had their turn.
    since: usize,
}

impl Work<'_> {
    /// Counts what is judged next, and lets others have their turn when it is due.
    async fn count(&mut self, bytes: usize) {
        self.since += bytes + EACH;
        if self.since >= AT_ONCE {
            self.since = 0;
            tokio::task::yield_now().await;
        }
    }
}

impl Desk {
    /// A desk of an open store.
    #[must_use]
    pub fn new(settings: DeskSettings) -> Self {
        let DeskSettings { spool, boot, scrubber, clock } = settings;
        let door = RefCell::new(Door::new(scrubber));
        Self { spool, boot, clock, uids: RefCell::default(), door }
    }

    /// Records that the level withheld since this desk was made, by their own level.
    #[must_use]
    pub fn withheld(&self) -> [u64; Level::ALL.len()] {
        self.door.borrow().withheld()
    }

    /// What was replaced in free text since this desk was made.
    #[must_use]
    pub fn scrubbed(&self) -> Counts {
        self.door.borrow().scrubbed()
    }

    /// Judges an export request in protobuf; nothing is kept yet.
    pub(crate) async fn judge(
        &self,
        caller: &Caller,
        terms: &Terms,
        (kind, request): (Kind, &[u8]),
        limit: usize,
    ) -> Result<Judged, Refusal> {
        let groups = groups(request)?;
        if groups.iter().map(|group| group.records.len()).sum::<usize>() > limit {
            return Err(Refusal::TooMany { limit });
        }
        let came = self.wall();
        let mut work = Work { kind, caller, terms, came, judged: Judged::default(), since: 0 };
        for group in groups {
            work.count(0).await;
            let service_name = service_name(&group);
            let origin =
                Origin { service_name, scope: (!group.scope.is_empty()).then_some(group.scope) };
            match terms.registry.recognise(caller, &origin) {
                Ok(provider) => self.group(&mut work, provider, &group).await?,
                Err(reason) => {
                    for record in &group.records {
                        work.count(record.len()).await;
                        terms.registry.strangers().refuse(reason);
                        work.judged.taken.refuse(reason, units(kind, record)?);
                    }
                }
            }
        }
        Ok(work.judged)
    }

    async fn group(
        &self,
        work: &mut Work<'_>,
        provider: &Provider,
        group: &Group<'_>,
    ) -> Result<(), Refusal> {
        let label = self.label(&group.resource, (group.scope, group.scope_version));
        let wanted = u32::try_from(group.records.len()).unwrap_or(u32::MAX);
        let granted = provider.grant(work.caller, wanted, self.now());
        let granted_records = usize::try_from(granted.records).unwrap_or(usize::MAX);
        let (records, early) = group.records.split_at(granted_records.min(group.records.len()));
        for record in early {
            work.count(record.len()).await;
            let taken = &mut work.judged.taken;
            taken.refuse(Reason::Rate, units(work.kind, record)?);
            taken.wait_for(granted.retry_after, &provider.manifest().name);
        }
        let mut plain = Plain::new();
        for bytes in records {
            work.count(bytes.len()).await;
            match self.draft_as_is(work, provider, (bytes, &mut plain), &label) {
                Some(draft) => work.judged.keep(draft, 1),
                None => self.record(work, provider, bytes, &label)?,
            }
        }
        Ok(())
    }

    fn record(
        &self,
        work: &mut Work<'_>,
        provider: &Provider,
        bytes: &[u8],
        label: &Arc<str>,
    ) -> Result<(), Refusal> {
        let mut record = match incoming(work.kind, bytes) {
            Ok(record) => record,
            Err(Unfit::Malformed(error)) => return Err(error.into()),
            Err(unfit @ Unfit::TooLarge { .. }) => {
                provider.counts().refuse(Reason::Size);
                work.judged.taken.too_large(&unfit.to_string(), 1);
                return Ok(());
            }
        };
        let units = record.units();
        if let Err(reason) = admit(provider, &mut record, bytes.len()) {
            work.judged.taken.refuse(reason, units);
        } else if let Some((draft, kept)) = self.draft(record, (work.terms.level, work.came), label)
        {
            work.judged.keep(draft, kept);
            provider.counts().take_fields(Reason::Level, units - kept);
            work.judged.taken.refuse(Reason::Level, units - kept);
        } else {
            provider.counts().refuse(Reason::Level);
            work.judged.taken.refuse(Reason::Level, units);
        }
        Ok(())
    }

    /// What the clock says that rates go by.
    pub(crate) fn now(&self) -> Duration {
        self.clock.monotonic()
    }

    /// What time it is.
    pub(crate) fn wall(&self) -> UnixNanos {
        let since = self.clock.wall().duration_since(UNIX_EPOCH).unwrap_or_default();
        UnixNanos(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }

    /// The draft of an admitted record, with how many of its units are in it: points that the level leaves
    /// alike go. `None` when it lets nothing of it pass.
    pub(crate) fn draft(
        &self,
        mut record: Provided,
        (level, came): (Level, UnixNanos),
        label: &Arc<str>,
    ) -> Option<(Draft, u64)> {
        let (given, units) = (record.uid.take(), record.units());
        let admitted = self.door.borrow_mut().admit(Record::Provided(Box::new(record)), level)?;
        let terms = (admitted.level(), came);
        let body = self.stamped(given.as_deref(), terms, |stamp| encode(admitted.record(), stamp));
        let (level, kind) = (admitted.level(), admitted.record().kind());
        let kept = match admitted.record() {
            Record::Provided(record) => record.units(),
            _ => units,
        };
        let is_empty = kept == 0 && units > 0;
        (!is_empty).then(|| (Draft { level, kind, boot: Arc::clone(label), body }, kept))
    }

    /// The draft of a log record that passes as it is; `None` where it is to be judged the long way.
    fn draft_as_is<'a>(
        &self,
        work: &Work<'_>,
        provider: &Provider,
        (bytes, plain): (&'a [u8], &mut Plain<'a>),
        label: &Arc<str>,
    ) -> Option<Draft> {
        let is_plain = work.kind == Kind::Log && candor_otlp::plain(bytes, plain);
        if !is_plain || !provider.leaves(plain, bytes.len()) {
            return None;
        }
        let level = self.door.borrow().leaves(plain, work.terms.level)?;
        provider.accept();
        let body = self.stamped(plain.uid, (level, work.came), |stamp| encode_plain(plain, stamp));
        Some(Draft { level, kind: Kind::Log, boot: Arc::clone(label), body })
    }

    /// What `encode` makes with our stamp, with an id of ours where the program gave none.
    fn stamped(
        &self,
        given: Option<&str>,
        (level, observed): (Level, UnixNanos),
        encode: impl FnOnce(&Stamp<'_>) -> Vec<u8>,
    ) -> Vec<u8> {
        let mut text = Uuid::encode_buffer();
        let uid = match given {
            Some(uid) => uid,
            None => self.uids.borrow_mut().next(observed).hyphenated().encode_lower(&mut text),
        };
        encode(&Stamp { uid, observed, level })
    }

    /// The text by which this program's records of this boot share rows.
    pub(crate) fn label(&self, said: &[(&str, Value)], (scope, version): (&str, &str)) -> Arc<str> {
        let kept = said.iter().filter(|(key, _)| RESOURCE.contains(key));
        let resource: Vec<_> = kept.filter_map(|(key, value)| self.said(key, value)).collect();
        let (scope, version) = (self.clean(scope), self.clean(version));
        let program = Program { resource: &resource, scope: &scope, scope_version: &version };
        let host = HostIds { install_id: self.spool.install_id(), boot: &self.boot };
        Source::of(&program, host).label(&self.boot).into()
    }

    fn said(&self, key: &str, value: &Value) -> Option<(String, String)> {
        let Value::Text(text) = value else { return None };
        Some((key.to_owned(), self.clean(text)))
    }

    /// A name that a program chose, scrubbed like any text of it.
    fn clean(&self, text: &str) -> String {
        let text = candor_privacy::cut(text, MAX_RESOURCE_TEXT);
        self.door.borrow_mut().clean(text).into_owned()
    }

    /// Commits what passed.
    pub(crate) async fn keep(&self, drafts: Vec<Draft>, limits: &Limits) -> Result<(), Refusal> {
        if drafts.is_empty() {
            return Ok(());
        }
        let ledger = self.spool.ledger();
        if ledger.bytes.saturating_mul(100) >= ledger.max_bytes.saturating_mul(limits.full_percent)
        {
            return Err(Refusal::Full);
        }
        self.spool.append(drafts, Urgency::Now).await.map_err(Refusal::Store)
    }
}

/// Has the manifest judge a record, in place.
pub(crate) fn admit(
    provider: &Provider,
    record: &mut Provided,
    bytes: usize,
) -> Result<(), Reason> {
    let mut body = record.body.take().map(|body| body.value);
    let accepted = provider.admit(&mut Incoming {
        kind: record.kind,
        name: &record.name,
        trace_id: record.trace_id,
        bytes,
        sets: &mut record.sets,
        body: &mut body,
    })?;
    if record.unread > 0 {
        provider.counts().take_fields(Reason::UnknownField, u64::from(record.unread));
    }
    record.level = accepted.level;
    record.is_declared = accepted.is_declared;
    // Free text, of the event's own level.
    record.body =
        body.map(|value| Given { level: accepted.level, ..Given::new("body".into(), value) });
    Ok(())
}

/// How much a request holds, for an answer that takes nothing of it.
pub(crate) fn nothing_of(kind: Kind, request: &[u8], why: &'static str) -> Result<Taken, Refusal> {
    let mut taken = Taken::closed(why);
    for group in groups(request)? {
        for record in &group.records {
            taken.refuse(Reason::UnknownProvider, units(kind, record)?);
        }
    }
    Ok(taken)
}

fn service_name<'a>(group: &'a Group<'_>) -> Option<&'a str> {
    group.resource.iter().rev().find_map(|(key, value)| match value {
        Value::Text(text) if *key == "service.name" => Some(text.as_ref()),
        _ => None,
    })
}

/// How many of what OTLP counts a record is.
fn units(kind: Kind, record: &[u8]) -> Result<u64, Refusal> {
    if kind != Kind::Metric {
        return Ok(1);
    }
    match incoming(kind, record) {
        Ok(metric) => Ok(metric.units()),
        Err(Unfit::TooLarge { .. }) => Ok(1),
        Err(Unfit::Malformed(error)) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;

//! Events that come on the control endpoint, one by one: `agentctl emit` and whoever speaks as it does.
//!
//! # Invariants
//! - The same manifests, door and commit as for OTLP; an event that is called accepted is on the disk.
//! - The provider is the one whose manifest declares the event and admits the caller.
//!
//! On failure: [`NotKept`], and none of the events was kept.

use std::time::Duration;

use candor_model::{Given, Kind, Provided, Value};
use candor_providers::{Caller, Provider, Reason};

use crate::desk::{Desk, Terms, admit};
use crate::settings::Limits;

/// Name of the scope of what was emitted.
const SCOPE: &str = "emit";

/// What became of emitted events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Emitted {
    /// Of each event why it was refused; `None` is one that was kept.
    pub verdicts: Vec<Option<Reason>>,
    /// After what time those that came too fast may come again.
    pub retry_after: Option<Duration>,
}

/// Events that passed could not be kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{words}")]
pub struct NotKept {
    /// Why.
    words: String,
    /// When to come again, where that helps.
    pub retry_after: Option<Duration>,
}

impl Desk {
    /// Judges and keeps events; `service` is what the program calls itself, if it says so.
    ///
    /// # Errors
    /// [`NotKept`].
    pub async fn emit(
        &self,
        caller: &Caller,
        terms: &Terms,
        (service, events): (Option<&str>, Vec<Provided>),
    ) -> Result<Emitted, NotKept> {
        let (mut emitted, mut drafts) = (Emitted::default(), Vec::new());
        for mut event in events {
            let judged = self.recognise(caller, terms, &mut event, &mut emitted.retry_after);
            let verdict = match judged {
                Ok(provider) => {
                    let name = service.unwrap_or(&provider.manifest().name).to_owned();
                    let label = self.label(&[("service.name", Value::from(name))], (SCOPE, ""));
                    let draft = self.draft(event, (terms.level, self.wall()), &label);
                    if draft.is_none() {
                        provider.counts().refuse(Reason::Level);
                    }
                    let is_withheld = draft.is_none();
                    drafts.extend(draft.map(|(draft, _)| draft));
                    is_withheld.then_some(Reason::Level)
                }
                Err(reason) => Some(reason),
            };
            emitted.verdicts.push(verdict);
        }
        self.keep(drafts, &Limits::default()).await.map_err(|refusal| NotKept {
            words: refusal.words(),
            retry_after: refusal.retry_after(),
        })?;
        Ok(emitted)
    }

    fn recognise<'a>(
        &self,
        caller: &Caller,
        terms: &'a Terms,
        event: &mut Provided,
        retry_after: &mut Option<Duration>,
    ) -> Result<&'a Provider, Reason> {
        let provider =
            terms.registry.recognise_event(caller, &event.name).inspect_err(|reason| {
                terms.registry.strangers().refuse(*reason);
            })?;
        let granted = provider.grant(caller, 1, self.now());
        if granted.records == 0 {
            *retry_after = (*retry_after).max(granted.retry_after);
            return Err(Reason::Rate);
        }
        let bytes = event.name.len() + event.sets.iter().flatten().map(size).sum::<usize>();
        admit(provider, event, bytes)?;
        debug_assert_eq!(event.kind, Kind::Log, "only events are emitted");
        Ok(provider)
    }
}

/// About how many bytes a field takes.
fn size(given: &Given) -> usize {
    fn of(value: &Value) -> usize {
        match value {
            Value::Text(text) => text.len() + 4,
            Value::List(items) => items.iter().map(of).sum::<usize>() + 4,
            Value::Map(pairs) => {
                pairs.iter().map(|(key, value)| key.len() + of(value) + 8).sum::<usize>() + 4
            }
            Value::Bool(_) | Value::Int(_) | Value::Double(_) => 10,
        }
    }
    given.key.len() + of(&given.value) + 8
}

//! The viewer's questions, answered by the daemon over the control endpoint; what needs no daemon (catalog,
//! preview) by the same code that the commands of that name run.
//!
//! # Invariants
//! - The daemon decides what this user may see; nothing is read behind its back.
//! - One preview at a time, and none older than [`FRESH`] is shown.
//!
//! On failure: the daemon's own words, or that it does not answer.

use std::rc::Rc;
use std::time::Duration;

use candor_control::ClientError;
use candor_control::protocol::Code;
use candor_model::Level;
use candor_pipeline::catalog::{Format, render};
use candor_view::{Answer, Question, Refused, Source};
use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::command::preview;
use crate::context::Context;

/// How long a preview stands: a look around the host costs more than a look at the page.
const FRESH: Duration = Duration::from_secs(5);

/// The source of the page.
pub(super) struct Daemon {
    context: Context,
    preview: Mutex<Option<(Instant, Rc<[u8]>)>>,
}

impl Daemon {
    pub(super) fn new(context: Context) -> Self {
        Self { context, preview: Mutex::default() }
    }

    /// What the daemon says, as it says it.
    async fn fetch(&self, path: &str) -> Result<Answer, Refused> {
        let fetched = self.context.client().fetch(path).await.map_err(|error| refused(&error))?;
        Ok(Answer { content_type: fetched.content_type, bytes: fetched.bytes.into() })
    }

    /// What each level would tell now: everything at level 3; each record and field has its own level.
    async fn preview(&self) -> Result<Answer, Refused> {
        // What policy keeps from the viewer is not made here either.
        self.fetch("/v1/events?limit=1").await.or_else(unless_closed)?;
        let mut kept = self.preview.lock().await;
        if let Some((made, bytes)) = &*kept
            && made.elapsed() < FRESH
        {
            return Ok(Answer::json(bytes.to_vec()));
        }
        let made = preview::at_full(&self.context).await;
        let records =
            made.map_err(|failure| Refused::new(500, "failed", failure.text().to_owned()))?;
        let text = json!({ "level": Level::Full.number(), "records": records }).to_string();
        *kept = Some((Instant::now(), text.as_bytes().into()));
        Ok(Answer::json(text))
    }
}

impl Source for Daemon {
    async fn ask(&self, question: Question) -> Result<Answer, Refused> {
        match question {
            Question::Beat => Ok(Answer::json("{}")),
            Question::Status => self.fetch("/v1/status").await,
            Question::Explain => self.fetch("/v1/explain").await,
            Question::Stats => self.fetch("/v1/stats").await,
            Question::History => self.fetch("/v1/history").await,
            Question::Events(query) => self.fetch(&format!("/v1/events?{query}")).await,
            Question::Event(seq) => self.fetch(&format!("/v1/events/{seq}")).await,
            Question::Journal(query) => self.fetch(&format!("/v1/journal?{query}")).await,
            Question::Body(number) => self.fetch(&format!("/v1/journal/{number}/body")).await,
            Question::Volume(query) => self.fetch(&format!("/v1/volume?{query}")).await,
            Question::Catalog => Ok(Answer::json(render(Level::Full, Format::Json))),
            Question::Preview => self.preview().await,
        }
    }
}

/// Trouble with the daemon keeps nobody from a preview; policy and rights do.
fn unless_closed(refused: Refused) -> Result<Answer, Refused> {
    let is_closed = refused.is_final || refused.code == "not_permitted";
    if is_closed { Err(refused) } else { Ok(Answer::json("{}")) }
}

fn refused(error: &ClientError) -> Refused {
    let ClientError::Refused(refusal) = error else {
        let refused = Refused::new(503, "no_daemon", error.to_string());
        let remedy = "start the agent; this page goes on by itself when it answers".to_owned();
        return Refused { remedy: Some(remedy), ..refused };
    };
    let code = serde_json::to_value(refusal.code).unwrap_or_default();
    let code = code.as_str().unwrap_or("failed");
    Refused {
        remedy: refusal.remedy.clone(),
        is_final: refusal.code == Code::RefusedByPolicy,
        ..Refused::new(refusal.code.status(), code, refusal.message.clone())
    }
}

//! What goes over the control endpoint: requests, answers, errors. Shared by server, client and
//! everybody who reads `agentctl --json`.
//!
//! # Invariants
//! - The JSON of [`Status`] and [`Explanation`] is the contract's, name by name.
//! - Readers pass over fields they do not know (a newer daemon); requests with unknown fields are
//!   refused (a mistyped one must not be ignored).
//! - A fact that is not known is null.
//!
//! On failure: [`Refusal`].

mod answer;
mod emit;
mod events;
mod history;
mod provider;
mod query;
mod refusal;
mod request;
mod rights;
mod status;
mod store;

pub use answer::{
    ExplainedLayer, Explanation, FlushDone, LevelChanged, ReasonCount, RefusedSettings, Reloaded,
    Stats, UploadChanged,
};
pub use emit::{EmitRecord, EmitRefusal, EmitRequest, Emitted};
pub(crate) use events::days;
pub use events::{
    DayVolume, Event, EventDetail, EventPage, EventsRequest, FieldDetail, JournalEntry,
    JournalHole, JournalPage, JournalRequest, LevelVolume, STATES, Volume,
};
pub use history::{Change, History};
pub use provider::{ProviderChanged, ProviderStatus, Providers};
pub(crate) use refusal::ErrorBody;
pub use refusal::{Code, Refusal};
pub(crate) use request::parse_nothing;
pub use request::{DisableRequest, FlushRequest, LevelRequest, ProviderRequest, ReplayRequest};
pub use rights::{
    Claim, Deleted, ExportPage, ExportRequest, ExportRow, MAX_PAGE, ReceiptRequest, ReceiptTaken,
};
pub use status::{
    Absence, CostStatus, EventCounts, JournalStatus, LevelStatus, LossBound, ProbeStatus,
    SinceRenewal, SpoolStatus, Status, UploadStatus,
};
pub use store::{AuditReport, DeadRecord, DeadRecords, GapRange, JournalAudit, Replayed};

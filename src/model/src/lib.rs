//! The vocabulary of Candor: levels, events, metrics, values, and the catalog made from their
//! definitions. Plain data: no I/O, no clock, no async; this crate knows no other room.
//!
//! # Invariants
//! - An [`Event`] or [`Metric`] exists only by its catalog entry; a field without an entry cannot
//!   be expressed, so it cannot be serialised.
//! - A name (event, metric, drop reason, policy word) is spelled once, here or in `policy/keys`.

mod catalog;
mod draft;
mod event;
pub mod events;
mod given;
mod install;
mod level;
mod metric;
pub mod metrics;
mod pin;
mod plain;
mod provided;
mod reason;
mod record;
mod value;

pub use catalog::{CATALOG, Catalog, Class, EventEntry, FieldEntry, FieldType};
pub use draft::Draft;
pub use event::{Event, EventDef};
pub use given::Given;
pub use install::{BadInstallKey, InstallKey};
pub use level::{Level, UnknownLevel};
pub use metric::{ExponentialHistogram, Instrument, Metric, MetricEntry, Number, Point};
pub use pin::{BadPin, Pin};
pub use plain::{Plain, PlainField, Scalar};
pub use provided::{Part, Provided};
pub use reason::DropReason;
pub use record::{Kind, Record, UnixNanos};
pub use value::{Field, Value};

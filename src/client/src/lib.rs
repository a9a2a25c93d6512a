//! Lets a program tell its events through the Candor agent on its host. The standard library and
//! nothing else.
//!
//! ```text
//! emit ─> bounded queue ─> one thread ─> OTLP/HTTP on the agent's socket or loopback port
//!                                  <─ 200: on the agent's disk · 429, 503: wait and try again
//! ```
//! ```no_run
//! use candor_client::{Client, Event, OptOut};
//! use std::time::Duration;
//!
//! let opt_out = OptOut::new().environment("SHOP_TELEMETRY", &["no", "0"]).flag("--no-telemetry");
//! let client = Client::builder("shop").opt_out(opt_out).start();
//! client.emit(Event::new("shop.order").with("items", 3).with("express", true));
//! client.flush(Duration::from_secs(2));
//! ```
//!
//! # Invariants
//! - [`Client::emit`] never waits and never panics: where the queue is full the event is dropped and
//!   counted.
//! - An event that the agent did not confirm is sent again until it does, refuses it for good, or the
//!   client is dropped; each has an id of its own, so that it arrives once.
//! - Where the program's user opted out, or `DO_NOT_TRACK` is set, there is no thread, no socket and no
//!   event.
//!
//! On failure: nothing is said on the program's outputs; [`Client::counts`] tells.

mod client;
mod event;
mod http;
mod json;
mod opt_out;

pub use client::{Builder, Client, Counts, Endpoint};
pub use event::{Event, Value};
pub use opt_out::OptOut;

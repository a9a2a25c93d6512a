//! The local API: how a program on this host asks the agent, and asks it to change something.
//! HTTP/1.1 with JSON over the control endpoint, so that `curl --unix-socket` is a client too.
//!
//! [`protocol`] is what goes over the wire, [`serve`] answers it by a [`Service`] that the agent
//! implements, [`Client`] asks.
//!
//! # Invariants
//! - What a caller may ask is decided by the peer that the system names, route by route, in one
//!   table; nothing that a client sends can widen it.
//! - A client that is slow, hostile or gone costs a bounded amount of memory and time, and never
//!   stalls the agent.
//!
//! On failure: a [`protocol::Refusal`] with a code, a message and a remedy.

pub mod protocol;

mod client;
mod route;
mod server;

pub use client::{Client, ClientError, Fetched};
pub use route::routes;
pub use server::{Service, serve};

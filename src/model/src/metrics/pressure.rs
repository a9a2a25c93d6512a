//! How long work stood still because something was short: Linux' pressure-stall information. The
//! probe `pressure` fills it. OpenTelemetry publishes no name for it, so it is ours.
//!
//! Plain data: nothing here can fail.

use crate::FieldType::Choice;
use crate::metric;

/// What work can wait for.
pub const RESOURCES: &[&str] = &["cpu", "memory", "io", "irq"];
/// How much of the work waits.
pub const KINDS: &[&str] = &["some", "full"];

metric! {
    /// Time in which work stood still because a resource was short. Divided by the length of the
    /// window it is the fraction of time that was lost. Linux only.
    pub STALL_TIME = "candor.pressure.stall_time", Enhanced, Counter, "s", "to see which resource makes a host slow" {
        /// What was short.
        "resource": Choice(RESOURCES);
        /// Whether some of the work stood still, or all of it.
        "kind": Choice(KINDS);
    }
}

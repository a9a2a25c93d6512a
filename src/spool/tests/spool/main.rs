//! The spool from outside: its promises on a healthy disk, at its bounds, on a damaged one, under
//! kill -9, and against a naive model.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bounds;
mod catch_up;
mod crash;
mod damage;
mod earlier;
mod gaps;
mod kit;
mod model;
mod offline;
mod promises;
mod rights;

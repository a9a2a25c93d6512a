//! The control endpoint with real sockets and both real ends: only the agent behind it is a
//! stand-in. On Windows the same tests run over a named pipe.
//!
//! # Invariants
//! - No test waits: where time matters it is tokio's paused clock.
//!
//! On failure: the test panics with what was answered.

#[cfg(test)]
mod agent;
#[cfg(test)]
mod calls;
#[cfg(test)]
mod hostile;
#[cfg(unix)]
#[cfg(test)]
mod peers;
#[cfg(unix)]
#[cfg(test)]
mod slow;

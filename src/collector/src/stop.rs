//! When the operator asks `serve` to stop: SIGTERM or ctrl-c; on Windows also the console's closing.
//!
//! # Invariants
//! - The handlers are in place when [`requested`] returns: a signal after that is never lost.
//!
//! The one OS `cfg` of this crate: tokio names its signals differently on each system, and a file
//! per system for one line each would hide more than it shows.

use std::future::Future;
use std::io;

/// Installs the handlers; the future ends with the first request to stop.
///
/// # Errors
/// The system refuses a handler.
#[cfg(unix)]
pub(crate) fn requested() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Installs the handlers; the future ends with the first request to stop.
///
/// # Errors
/// The system refuses a handler.
#[cfg(windows)]
pub(crate) fn requested() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::windows::{ctrl_c, ctrl_close, ctrl_shutdown};

    let (mut interrupt, mut close, mut shutdown) = (ctrl_c()?, ctrl_close()?, ctrl_shutdown()?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = close.recv() => {}
            _ = shutdown.recv() => {}
        }
    })
}

//! The foreground: runs until SIGTERM or ctrl-c, reads its configuration again on SIGHUP. systemd starts
//! it like this, too, and is told how it goes.

use tokio::runtime::Builder;
use tokio::sync::mpsc;
use tokio::task::LocalSet;
use tracing::level_filters::LevelFilter;

use candor_platform::Word;
use candor_policy::LogLevel;

use crate::agent::Prepared;
use crate::failure::Failure;
use crate::host::systemd::Watcher;
use crate::logging;
use crate::options::Run;

/// Runs the agent in the foreground.
///
/// # Errors
/// See [`Failure`].
pub fn run(run: &Run) -> Result<(), Failure> {
    let prepared = Prepared::read(run)?;
    let config = prepared.config();
    let _log = logging::start(filter(config.log.level), config.log.dir.as_deref());
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Failure::System { what: "the runtime", source })?;
    LocalSet::new().block_on(&runtime, async {
        let (ended, reload) =
            signals().map_err(|source| Failure::System { what: "signal handlers", source })?;
        let watcher = Watcher::of_this_process();
        let ready = || {
            watcher.tell(Word::Ready);
            tracing::info!("ready");
        };
        let ended = async {
            ended.await;
            watcher.tell(Word::Stopping);
        };
        tokio::select! {
            outcome = prepared.run(ready, ended, reload) => outcome,
            () = watcher.live() => Ok(()),
        }
    })
}

pub(super) fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

/// When to end, and when to reload.
#[cfg(unix)]
fn signals() -> std::io::Result<(impl Future<Output = ()>, mpsc::Receiver<()>)> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut hangup = signal(SignalKind::hangup())?;
    let (sender, reload) = mpsc::channel(1);
    let ended = async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => return tracing::info!("stopping on SIGTERM"),
                _ = interrupt.recv() => return tracing::info!("stopping on ctrl-c"),
                // A reload that is still waiting stands for this one, too.
                _ = hangup.recv() => drop(sender.try_send(())),
            }
        }
    };
    Ok((ended, reload))
}

/// When to end; nothing asks for a reload but the control endpoint.
#[cfg(windows)]
fn signals() -> std::io::Result<(impl Future<Output = ()>, mpsc::Receiver<()>)> {
    let mut interrupt = tokio::signal::windows::ctrl_c()?;
    let ended = async move {
        interrupt.recv().await;
        tracing::info!("stopping on ctrl-c");
    };
    Ok((ended, mpsc::channel(1).1))
}

//! The agent's own log: journald when it started us, else stderr; rolling files when `log.dir` is set.
//!
//! # Invariants
//! - The log never holds an event's content, only what the agent does.
//! - A log that cannot be opened is said on stderr and stops nothing.

use std::path::Path;

use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::WorkerGuard;
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry, fmt};

/// Daily files that are kept.
const KEPT_FILES: usize = 7;

type BoxedLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// Keeps the file writer alive; what is buffered is written when it is dropped.
#[derive(Debug, Default)]
pub(crate) struct LogGuard(
    #[expect(dead_code, reason = "held only so that it is dropped last")] Option<WorkerGuard>,
);

/// Sets up the log for this process.
#[must_use]
pub(crate) fn start(level: LevelFilter, dir: Option<&Path>) -> LogGuard {
    let (layer, guard) = match dir.and_then(to_files) {
        Some((layer, guard)) => (layer, LogGuard(Some(guard))),
        None => (to_journal().unwrap_or_else(to_stderr), LogGuard::default()),
    };
    // A second agent in one process, as tests have it, keeps the first one's log.
    let _ = tracing_subscriber::registry().with(layer.with_filter(level)).try_init();
    guard
}

fn to_files(dir: &Path) -> Option<(BoxedLayer, WorkerGuard)> {
    let open = || {
        std::fs::create_dir_all(dir).map_err(|error| error.to_string())?;
        RollingFileAppender::builder()
            .rotation(Rotation::DAILY)
            .filename_prefix("agentd")
            .filename_suffix("log")
            .max_log_files(KEPT_FILES)
            .build(dir)
            .map_err(|error| error.to_string())
    };
    match open() {
        Ok(appender) => {
            let (writer, guard) = tracing_appender::non_blocking(appender);
            Some((
                fmt::layer().with_ansi(false).with_target(false).with_writer(writer).boxed(),
                guard,
            ))
        }
        Err(error) => {
            eprintln!("agentd: log.dir {}: {error}; logging to stderr", dir.display());
            None
        }
    }
}

fn to_stderr() -> BoxedLayer {
    fmt::layer().with_ansi(false).with_target(false).with_writer(std::io::stderr).boxed()
}

/// systemd says by `JOURNAL_STREAM` that stderr goes to the journal.
#[cfg(target_os = "linux")]
fn to_journal() -> Option<BoxedLayer> {
    std::env::var_os("JOURNAL_STREAM")?;
    tracing_journald::layer().ok().map(Layer::boxed)
}

#[cfg(not(target_os = "linux"))]
fn to_journal() -> Option<BoxedLayer> {
    None
}

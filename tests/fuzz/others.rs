//! Functions with text or bytes among their parameters that take nothing apart, and what they are.
//!
//! # Invariants
//! - A line whose function is gone fails the test.

/// Room, function (`*`: all whose path begins so), what it is.
pub(crate) const OTHERS: &[(&str, &str, &str)] = &[
    ("src/probes", "absence::reason", "our own names of an event and a field"),
    ("src/probes", "changes/linux::tells", "compares a file's name with a list"),
    ("src/probes", "connections/windows::rows", "asks the system; what it answers goes to sockets"),
    ("src/probes", "host::*", "makes paths"),
    ("src/probes", "linux/antimalware::runs", "looks a name up"),
    ("src/probes", "linux/crashes::recall", "compares ids of boots"),
    ("src/probes", "logs::of_windows", "joins words; windows/entry takes the record apart"),
    ("src/probes", "posture/windows::*", "asks the registry"),
    ("src/probes", "recorder/archive::*", "writes"),
    ("src/probes", "recorder/recording::relative", "makes a path"),
    ("src/probes", "samples::*", "for tests"),
    ("src/probes", "windows/antimalware::*", "asks the registry"),
    ("src/probes", "windows/channel::records", "asks the event log"),
    (
        "src/probes",
        "windows/components::*",
        "asks the registry; what it answers goes to windows/runtime",
    ),
    ("src/platform", "device::*", "asks a driver; what it answers goes to the probes' decoders"),
    ("src/platform", "endpoint*", "carries bytes of the control endpoint"),
    ("src/platform", "event_log*", "writes"),
    ("src/platform", "event_query::*", "asks the event log; what it answers goes to windows/entry"),
    ("src/platform", "file::*", "writes"),
    ("src/platform", "layout::*", "makes paths"),
    ("src/platform", "notify/unix::named", "asks for variables of the environment"),
    ("src/platform", "peer/unix::is_member", "compares names"),
    ("src/platform", "peer/unix::open", "opens a file"),
    ("src/platform", "registration*", "asks and tells the service manager and the registry"),
    ("src/platform", "sddl::*", "writes"),
    ("src/otlp", "file::request", "writes"),
    ("src/otlp", "file::delimited", "writes"),
    ("src/otlp", "file::json_line", "writes"),
    ("src/otlp", "json::value", "writes"),
    ("src/otlp", "request::*", "writes"),
    ("src/otlp", "resource::here", "writes"),
    ("src/otlp", "response::encode_status", "writes"),
    ("src/otlp", "transcode::*", "called by serde for each part of what from_json reads"),
    ("src/otlp", "wire::step", "the step of an iterator over fields"),
    ("src/ingest", "desk::*", "judges what candor-otlp took apart"),
    ("src/ingest", "emit::*", "judges what serde_json took apart"),
    ("src/ingest", "own::bring", "hands on to candor-otlp"),
    ("src/scrape", "lib::read", "hands on to exposition"),
    ("src/scrape", "request::text", "writes"),
    ("src/scrape", "series::*", "judges what exposition took apart"),
];

/// Paths that a probe looks for and does not read.
pub(crate) const PATHS: &[(&str, &str)] = &[];

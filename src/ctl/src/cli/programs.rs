//! The options of the commands about local programs: `emit` and `providers`.

use clap::{Args, Subcommand};

use super::duration;

/// Options of `emit`.
#[derive(Debug, Args)]
pub struct EmitOptions {
    /// The event; `-` reads events from standard input, one JSON object a line: `event`, `attributes`, and where
    /// there are any `time`, `trace_id`, `span_id`.
    pub event: String,
    /// Its fields as key=value; `-` reads them from standard input, one JSON object for each event.
    #[arg(value_name = "KEY=VALUE")]
    pub fields: Vec<String>,
    /// What the program calls itself; else as its provider is called.
    #[arg(long, value_name = "NAME")]
    pub service: Option<String>,
    /// The trace that it belongs to, 32 hexadecimal digits.
    #[arg(long, value_name = "ID")]
    pub trace_id: Option<String>,
    /// The span that it belongs to, 16 hexadecimal digits.
    #[arg(long, value_name = "ID")]
    pub span_id: Option<String>,
    /// How long to try again what comes too fast.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub wait: std::time::Duration,
}

/// Options of `providers`.
#[derive(Debug, Args)]
pub struct ProvidersOptions {
    /// What to do in place of showing them.
    #[command(subcommand)]
    pub action: Option<ProvidersAction>,
}

/// The commands of `providers`.
#[derive(Debug, Subcommand)]
pub enum ProvidersAction {
    /// Let a provider speak; it counts within a second.
    Enable {
        /// Its name.
        name: String,
    },
    /// Let it be silent; it counts within a second. What already waits is not taken back.
    Disable {
        /// Its name.
        name: String,
    },
}

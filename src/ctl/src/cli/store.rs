//! The options of the commands about what is kept here: `spool`, `delete` and `export`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// Options of `spool`.
#[derive(Debug, Args)]
pub struct SpoolOptions {
    /// What to do.
    #[command(subcommand)]
    pub action: SpoolAction,
}

/// The commands of `spool`.
#[derive(Debug, Subcommand)]
pub enum SpoolAction {
    /// Read every row of a stopped agent's store and compare; nothing is changed.
    Verify,
    /// Write what waits in a stopped agent's store as NDJSON; nothing is taken out.
    Export {
        /// To this file.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Take out what is damaged in a stopped agent's store, as the next start would do.
    Repair,
    /// Records that an endpoint refused for good.
    Dead {
        /// What to do.
        #[command(subcommand)]
        action: DeadAction,
    },
}

/// The commands of `spool dead`.
#[derive(Debug, Subcommand)]
pub enum DeadAction {
    /// All of them, with the endpoint's answer.
    List,
    /// One with its content.
    Show {
        /// Its sequence number.
        seq: u64,
    },
    /// Make a new record of one, to be sent again.
    Replay {
        /// Its sequence number.
        seq: u64,
    },
}

/// Options of `delete`.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub struct DeleteOptions {
    /// Delete what is kept on this host, and make new ids.
    #[arg(long)]
    pub local: bool,
    /// Ask the endpoint to delete, and keep its signed receipt.
    #[arg(long)]
    pub remote: bool,
    /// Say what a receipt proves; one that was forged or changed is refused (exit 1).
    #[arg(long, value_name = "RECEIPT", conflicts_with_all = ["local", "remote"])]
    pub verify: Option<PathBuf>,
}

/// Options of `export`.
#[derive(Debug, Args)]
pub struct ExportOptions {
    /// To this file, which only its owner may read.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// In this form.
    #[arg(long, value_enum, default_value_t = ExportFormat::Protobuf)]
    pub format: ExportFormat,
}

/// The forms of `export`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// Length-delimited OTLP protobuf; a collector imports it.
    Protobuf,
    /// OTLP in JSON lines, which other OpenTelemetry tools read too; a collector imports it.
    Json,
    /// A sheet for reading; a collector does not import it.
    Csv,
}

//! The command line. Help, completions and man pages are all made from these definitions.

use std::path::PathBuf;

use candor_model::{Level, Pin};
use candor_policy::Url;
use clap::{Args, Parser, Subcommand, ValueEnum};

mod programs;
mod store;

pub use programs::{EmitOptions, ProvidersAction, ProvidersOptions};
pub use store::{
    DeadAction, DeleteOptions, ExportFormat, ExportOptions, SpoolAction, SpoolOptions,
};

/// See and steer the Candor agent on this host.
///
/// Exit codes: 0 done, 1 failed, 2 usage, 3 refused by policy, 4 not permitted, 69 the daemon does not
/// answer, 78 bad configuration.
#[derive(Debug, Parser)]
#[command(name = "agentctl", version)]
pub struct Cli {
    /// Flags of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags that work before and after the command.
#[derive(Clone, Debug, Args)]
pub struct Global {
    /// The agent whose files hang under this directory; else under CANDOR_ROOT, else /.
    #[arg(long, global = true, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Print the same facts as JSON.
    #[arg(long, global = true)]
    pub json: bool,
    /// Read this file in place of etc/candor/agent.toml, where a command works without the daemon.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Level and reason, upload and remedy, ledger, spool, probes, cost: one screen.
    Status(StatusOptions),
    /// Which level holds, and why.
    Level,
    /// Set the level: 0-3 or security, basic, enhanced, full.
    ///
    /// Lowering deletes what waits above the new level within two seconds. Where policy would not let the
    /// level hold, nothing is written (exit 3).
    SetLevel(SetLevelOptions),
    /// Every layer with its place, its value and its verdict; which one decides, and why.
    Explain(ExplainOptions),
    /// Turn telemetry on.
    Enable,
    /// Turn telemetry off: nothing is collected and nothing leaves, not even a DNS query.
    Disable(DisableOptions),
    /// Upload now.
    Flush(FlushOptions),
    /// The ledger: each reason for a drop, what it means and what to do.
    Stats,
    /// Derive the ledger again from the store, and each hash of what left; exit 1 if anything disagrees.
    Audit,
    /// The store: the dead letters, and what to do with the store of an agent that does not run.
    Spool(SpoolOptions),
    /// What would be sent at a level, made by the sender's own code; nothing is sent.
    Preview(PreviewOptions),
    /// Every record and what became of it: waiting, on its way, sent, refused, dropped, taken back; newest first.
    ///
    /// Asks the daemon; without one it reads what the stopped agent left. What was sent is read from the
    /// journal of what left, as far as that reaches back.
    Events(EventsOptions),
    /// Open a page that shows it all: what is known, what waits, what left, byte by byte. It only reads.
    ///
    /// The page is served on loopback by this command, for this user alone, until ctrl-c or until nobody has
    /// looked for a while. The browser opens a private file that posts a key, which works once.
    View(ViewOptions),
    /// Every event and field that can ever leave.
    Catalog(CatalogOptions),
    /// Tell a program's event through the agent.
    ///
    /// A provider that is on must declare the event. Works while `[ingest]` is off. `DO_NOT_TRACK`, and the opt-out
    /// that the provider's manifest names (an environment variable, a key of the program's configuration, a flag
    /// of the program that runs this command), silence it: that is no failure.
    Emit(EmitOptions),
    /// The local programs that may speak through the agent, their state and their counts.
    ///
    /// A shipped provider is off until it is enabled; one that was added in etc/candor/providers.d is on
    /// until it is disabled.
    Providers(ProvidersOptions),
    /// Delete what is kept here, ask the endpoint to delete what it holds of this host, or check its receipt.
    ///
    /// --local deletes what waits, the journal of what left and what was learnt of this host, and makes new
    /// ids; settings, the audit trail and receipts stay. --remote asks the endpoint, also while telemetry is
    /// off, and keeps its signed receipt. Both are written on the audit trail first.
    Delete(DeleteOptions),
    /// Write what waits to a file, to be carried to a collector by hand.
    ///
    /// What was written waits on, until `import-receipt` has the receipt that `candor-collector import` gave
    /// for the file; written twice, it is stored once.
    Export(ExportOptions),
    /// Settle what was carried by hand, by the collector's receipt.
    ImportReceipt {
        /// The receipt.
        file: PathBuf,
    },
    /// Help with finding a fault: a bundle for support.
    ///
    /// The bundle is one JSON file of what this program shows you anyway (status, explain, stats, audit, providers, the
    /// changes made and what the agent would send), every text in it scrubbed. It has no configuration text, no key, no
    /// secret and nothing of what was collected; its manifest says what is in it and what was left out and why. It is
    /// shown before the file is written, and the file goes nowhere: give it away yourself.
    Diagnose(DiagnoseOptions),
    /// Check a configuration: file, line, what to change.
    Check(CheckOptions),
    /// Certificate pins.
    Pins(PinsOptions),
    /// Try a delivery end to end: policy, store, clock, DNS, TCP, TLS, pin, endpoint; PASS or FAIL with a remedy each.
    ///
    /// Works without the daemon. It connects also while telemetry is off, since you ask for it; that is
    /// written on the audit trail.
    Test,
    /// Have the agent read its configuration again.
    Reload,
    /// The agent as a service of this host: systemd's unit, its user, directories and rights.
    Service(ServiceOptions),
    /// Print a completion script for a shell.
    Completion {
        /// For this shell.
        shell: clap_complete::Shell,
    },
}

/// Options of `status`.
#[derive(Debug, Args)]
pub struct StatusOptions {
    /// Show it again every second, until ctrl-c.
    #[arg(long)]
    pub watch: bool,
}

/// Options of `set-level`.
#[derive(Debug, Args)]
pub struct SetLevelOptions {
    /// 0-3, security, basic, enhanced or full.
    pub level: Level,
    /// Fall back by itself after this time, such as 30s, 90m or 24h.
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    pub hold_for: Option<std::time::Duration>,
    /// Why; kept in the local audit trail, never sent.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

/// Options of `explain`.
#[derive(Debug, Args)]
pub struct ExplainOptions {
    /// Show the audit trail: every change of level, upload, endpoint and pins.
    #[arg(long)]
    pub history: bool,
}

/// Options of `disable`.
#[derive(Debug, Args)]
pub struct DisableOptions {
    /// Keep what waits for the next `enable` in place of deleting it.
    #[arg(long)]
    pub keep_pending: bool,
}

/// Options of `flush`.
#[derive(Debug, Args)]
pub struct FlushOptions {
    /// Wait until everything that waits is decided.
    #[arg(long)]
    pub wait: bool,
    /// Take a last report and collect nothing more until the agent is started or enabled again.
    #[arg(long)]
    pub stop_probes: bool,
}

/// Options of `events`.
#[derive(Debug, Args)]
pub struct EventsOptions {
    /// Only in these states.
    #[arg(long, value_name = "STATE", value_delimiter = ',', value_parser = candor_control::protocol::STATES)]
    pub state: Vec<String>,
    /// Only of this level.
    #[arg(long)]
    pub level: Option<Level>,
    /// Only those whose name begins like this.
    #[arg(long, value_name = "PREFIX")]
    pub name: Option<String>,
    /// Not before this time: RFC 3339, or so long ago, such as 90m or 24h.
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Before this time, likewise.
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Only those that hold each of these words, whatever their case.
    #[arg(long, value_name = "WORDS")]
    pub text: Option<String>,
    /// At most so many.
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    pub limit: usize,
    /// Then go on with new ones as they come, oldest first, until ctrl-c.
    #[arg(long)]
    pub follow: bool,
    /// One record in full, field by field with the catalog's words, and its bytes.
    #[arg(long, value_name = "NUMBER", conflicts_with_all = ["follow", "limit", "state", "level", "name", "since", "until", "text"])]
    pub seq: Option<u64>,
}

/// Options of `preview`.
#[derive(Debug, Args)]
pub struct PreviewOptions {
    /// At this level; else at the one that holds.
    #[arg(long)]
    pub level: Option<Level>,
    /// What the second level tells of this host beside what the first one tells: records and fields, with values.
    #[arg(long, num_args = 2, value_names = ["LOWER", "HIGHER"], conflicts_with_all = ["level", "format"])]
    pub diff: Option<Vec<Level>>,
    /// In this form; --json stands for json.
    #[arg(long, value_enum, default_value_t = PreviewFormat::Table)]
    pub format: PreviewFormat,
    /// Read DIR/proc, DIR/sys, DIR/etc … in place of the host's.
    #[arg(long, value_name = "DIR")]
    pub host_root: Option<PathBuf>,
}

/// The forms of `preview`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PreviewFormat {
    /// A line for each record.
    Table,
    /// One JSON object a line.
    Json,
    /// The request bodies byte for byte: one JSON object a request, the body in Base64.
    Otlp,
}

/// Options of `view`.
#[derive(Debug, Args)]
pub struct ViewOptions {
    /// Start no browser: print the file that opens the page.
    #[arg(long)]
    pub no_open: bool,
    /// End when nobody has looked for this long.
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = duration)]
    pub gone_after: std::time::Duration,
}

/// Options of `catalog`.
#[derive(Debug, Args)]
pub struct CatalogOptions {
    /// Only what may leave at this level.
    #[arg(long, default_value = "full")]
    pub level: Level,
    /// In this form; --json stands for json.
    #[arg(long, value_enum, default_value_t = CatalogFormat::Table)]
    pub format: CatalogFormat,
    /// What to do in place of showing it.
    #[command(subcommand)]
    pub action: Option<CatalogAction>,
}

/// The commands of `catalog`.
#[derive(Debug, Subcommand)]
pub enum CatalogAction {
    /// What this version can send that another could not, and the other way round.
    Diff {
        /// The other version's catalog, as its `agentctl catalog --format json` printed it.
        old: PathBuf,
    },
}

/// The forms of `catalog`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CatalogFormat {
    /// Columns.
    Table,
    /// One JSON object.
    Json,
    /// Markdown.
    Markdown,
}

/// Options of `diagnose`.
#[derive(Debug, Args)]
#[command(subcommand_negates_reqs = true, args_conflicts_with_subcommands = true)]
pub struct DiagnoseOptions {
    /// The bundle's file; one that is there is replaced.
    #[arg(long, value_name = "FILE", required = true)]
    pub out: Option<PathBuf>,
    /// Show the manifest and write nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// What the agent would send of the machine whose files stand below DIR in place of this one.
    #[arg(long, value_name = "DIR")]
    pub host_root: Option<PathBuf>,
    /// Something else than a bundle.
    #[command(subcommand)]
    pub action: Option<DiagnoseAction>,
}

/// The commands of `diagnose`.
#[derive(Debug, Subcommand)]
pub enum DiagnoseAction {
    /// Copy what the probes read of this machine into a directory, for a test with --host-root.
    ///
    /// Only files of a fixed list are copied, and in them addresses, ids, serial numbers and the host's name are
    /// replaced. Look through the directory before you give it away.
    RecordHost {
        /// The directory, which must not exist yet.
        dir: PathBuf,
        /// Write one readable text file in place of the directory: the form of tests/hosts.
        #[arg(long)]
        archive: bool,
        /// Record the machine whose files stand below DIR in place of this one.
        #[arg(long, value_name = "DIR")]
        host_root: Option<PathBuf>,
    },
}

/// Options of `check`.
#[derive(Debug, Args)]
pub struct CheckOptions {
    /// A configuration or policy file; else all of them.
    pub file: Option<PathBuf>,
}

/// Options of `pins`.
#[derive(Debug, Args)]
pub struct PinsOptions {
    /// What to do.
    #[command(subcommand)]
    pub action: PinsAction,
}

/// The commands of `pins`.
#[derive(Debug, Subcommand)]
pub enum PinsAction {
    /// The pins that hold, and where they come from.
    Show,
    /// The pins of the certificates and public keys in a PEM file.
    Compute {
        /// The file.
        pem: PathBuf,
    },
    /// Connect as the uploader would, without sending: names the certificate that failed, and the pin that would match.
    Test {
        /// Another endpoint than the configured one.
        url: Option<String>,
    },
}

/// Options of `service`.
#[derive(Debug, Args)]
pub struct ServiceOptions {
    /// What to do.
    #[command(subcommand)]
    pub action: ServiceAction,
}

/// Options of `service install`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct InstallOptions {
    /// The level: 0-3 or its name.
    #[arg(long, value_parser = unless_empty::<Level>)]
    pub level: Option<Given<Level>>,
    /// Where data goes.
    #[arg(long, value_name = "URL", value_parser = unless_empty::<Url>)]
    pub endpoint: Option<Given<Url>>,
    /// The pins of the endpoint's keys, separated by commas or semicolons.
    #[arg(long, value_name = "PIN,PIN", value_parser = pins)]
    pub pins: Option<Given<Vec<Pin>>>,
}

/// A value that may be empty, as an installer hands over a property that nobody set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given<T>(pub Option<T>);

/// The commands of `service`.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum ServiceAction {
    /// Make unit, user and directories where they are missing; enable and start the service.
    ///
    /// On Windows: register the service and what belongs to it; `start` starts it. What is given is stated as the
    /// operator's setting; an empty value is as none.
    Install(InstallOptions),
    /// Stop the service and remove its unit; configuration and state stay.
    Uninstall {
        /// Take away what the agent kept and what the operator set, too. The configuration stays.
        #[arg(long)]
        purge: bool,
    },
    /// Start the service.
    Start,
    /// Stop the service in order: last report, last upload, store.
    Stop,
    /// Say what is wrong with program, unit, user, directories and rights (exit 1).
    Doctor {
        /// Mend it.
        #[arg(long)]
        fix: bool,
    },
}

fn unless_empty<T>(text: &str) -> Result<Given<T>, String>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    let value = Some(text).filter(|text| !text.is_empty());
    let parsed = value.map(|text| text.parse().map_err(|error: T::Err| error.to_string()));
    parsed.transpose().map(Given)
}

fn pins(text: &str) -> Result<Given<Vec<Pin>>, String> {
    let items = text.split([',', ';']).map(str::trim).filter(|item| !item.is_empty());
    let pin = |item: &str| item.parse::<Pin>().map_err(|error| error.to_string());
    let pins: Vec<Pin> = items.map(pin).collect::<Result<_, _>>()?;
    match pins.len() {
        0 => Ok(Given(None)),
        1 => Err("one pin is none to change keys with: give two at least".to_owned()),
        _ => Ok(Given(Some(pins))),
    }
}

pub(crate) fn duration(text: &str) -> Result<std::time::Duration, String> {
    let time = candor_policy::parse_duration(text)?;
    if time.as_secs() == 0 { Err("write at least 1s".to_owned()) } else { Ok(time) }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_flags_work_before_and_after_the_command() {
        for line in ["agentctl --json --root /x status", "agentctl status --json --root /x"] {
            let cli = Cli::try_parse_from(line.split(' ')).unwrap();
            assert!(cli.global.json && cli.global.root.is_some(), "{line}");
        }
    }

    #[test]
    fn every_command_says_what_it_does() {
        for command in Cli::command().get_subcommands() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
        }
    }

    #[test]
    fn an_installer_may_hand_over_what_nobody_set() {
        let action = |line: &str| match Cli::try_parse_from(line.split(' ')).unwrap().command {
            Command::Service(ServiceOptions { action: ServiceAction::Install(options) }) => options,
            other => unreachable!("{other:?}"),
        };
        let empty = action("agentctl service install --level= --endpoint= --pins=");
        assert_eq!(empty.level, Some(Given(None)));
        assert_eq!((empty.endpoint, empty.pins), (Some(Given(None)), Some(Given(None))));
        let pin = |byte| Pin::from_bytes([byte; 32]);
        let line = format!("agentctl service install --level 1 --pins {};{}", pin(1), pin(2));
        let told = action(&line);
        assert_eq!(told.level, Some(Given(Some(Level::Basic))));
        assert_eq!(told.pins, Some(Given(Some(vec![pin(1), pin(2)]))));
        for bad in
            ["--level=4", "--endpoint=http://x", "--pins=sha256/x", &format!("--pins={}", pin(1))]
        {
            let line = ["agentctl", "service", "install", bad];
            assert!(Cli::try_parse_from(line).is_err(), "{bad}");
        }
    }
}

//! The command line: what can be asked of the collector, and which module answers.
//!
//! # Invariants
//! - Standard output carries answers only (the ready line, rows, JSON); logs go to standard error.
//! - A reader that closes the pipe early (`query … | head`) is no failure.
//!
//! On failure the chain of causes goes to `main`, which prints it once.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use candor_platform::{Manager, Word};
use clap::{Args, Parser, Subcommand};

use crate::init::Initialised;
use crate::query::{self, Format};
use crate::serve::{ServeError, Server, Settings};
use crate::{deletion, import, receipts, settings, stop};

/// Where `agent.toml` points to and `serve` listens unless told otherwise.
pub(crate) const DEFAULT_PORT: u16 = 8443;

/// The receiving end of Candor: OTLP over TLS into an embedded store.
#[derive(Debug, Parser)]
#[command(name = "candor-collector", version, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct Place {
    /// Directory that holds the collector's keys and its store
    #[arg(long, global = true, value_name = "DIR", default_value = "/var/lib/candor-collector")]
    dir: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make an authority, a server certificate and a backup key; print the pins and an agent.toml
    Init(InitArgs),
    /// Receive OTLP/HTTP over TLS until SIGTERM or ctrl-c
    Serve(ServeArgs),
    /// Sign remote settings for the agents, or serve nothing but them
    #[command(subcommand)]
    Settings(SettingsCommand),
    /// Look at what arrived, also while `serve` runs
    #[command(subcommand)]
    Query(QueryCommand),
    /// Take in a file that `agentctl export` wrote, and sign a receipt for it
    Import(ImportArgs),
    /// Delete everything of a host, and sign a receipt for it, also while `serve` runs
    Delete(DeleteArgs),
    /// Make the key that signs receipts; `init` makes the first one
    ReceiptKey {
        /// The secret key that signs settings, which vouches for the new key
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
    },
}

#[derive(Debug, Args)]
struct InitArgs {
    /// A host name or address by which agents reach this collector, beside localhost and the
    /// loopback addresses; repeat for more, the first one stands in the agent.toml
    #[arg(long = "name", value_name = "HOST")]
    names: Vec<String>,
    /// Print one JSON object: the CA file, the pins and the agent.toml
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct ServeArgs {
    /// Address and port to listen on; port 0 takes a free one, which the ready line names
    #[arg(long, value_name = "ADDRESS:PORT", default_value_t = SocketAddr::from(([127, 0, 0, 1], DEFAULT_PORT)))]
    listen: SocketAddr,
    /// The store, if not collector.db in --dir
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
    /// Answer 503 once the store has this many bytes; without it the disk is the limit
    #[arg(long, value_name = "BYTES")]
    max_store_bytes: Option<u64>,
}

#[derive(Debug, Args)]
struct ImportArgs {
    /// The file
    file: PathBuf,
    /// Where the receipt goes, if not to standard output; `agentctl import-receipt` takes it
    #[arg(long, value_name = "FILE")]
    receipt: Option<PathBuf>,
    /// The store, if not collector.db in --dir
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct DeleteArgs {
    /// The host's install id
    #[arg(long, value_name = "ID")]
    host: String,
    /// Where the receipt goes, if not to standard output
    #[arg(long, value_name = "FILE")]
    receipt: Option<PathBuf>,
    /// The store, if not collector.db in --dir
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum SettingsCommand {
    /// Sign a document; `serve` gives it to the agents from then on
    Sign {
        /// The secret key of minisign that signs; `init` makes one in offline/settings.key
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// The document, in JSON
        #[arg(long, value_name = "FILE")]
        document: PathBuf,
        /// Where the signed document goes, if not settings.json in --dir
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Serve the signed document in --dir over TLS, and take no records
    Serve {
        /// Address and port to listen on; port 0 takes a free one, which the ready line names
        #[arg(long, value_name = "ADDRESS:PORT", default_value_t = SocketAddr::from(([127, 0, 0, 1], DEFAULT_PORT)))]
        listen: SocketAddr,
    },
}

#[derive(Debug, Args)]
struct QueryArgs {
    /// The store, if not collector.db in --dir
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
    /// One JSON object a line instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum QueryCommand {
    /// Every record, ordered by host and sequence number
    Records {
        /// Only this host (its install id)
        #[arg(long, value_name = "ID")]
        host: Option<String>,
        /// Only this event or metric
        #[arg(long, value_name = "EVENT")]
        name: Option<String>,
        #[command(flatten)]
        args: QueryArgs,
    },
    /// Each host with its level, version and the time it was last heard
    Hosts {
        #[command(flatten)]
        args: QueryArgs,
    },
    /// Sequence numbers that are missing, as ranges
    Gaps {
        #[command(flatten)]
        args: QueryArgs,
    },
    /// One trace: its spans, logs and events, and the metrics whose exemplars name it, in the order of time
    Trace {
        /// The trace id: 32 hexadecimal digits
        id: String,
        #[command(flatten)]
        args: QueryArgs,
    },
}

impl Cli {
    /// Does what was asked.
    ///
    /// # Errors
    /// The failure of the command, with its causes.
    pub fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Init(args) => init(&self.place.dir, &args),
            Command::Serve(args) => {
                let settings = Settings {
                    store: args.store,
                    max_store_bytes: args.max_store_bytes,
                    ..Settings::new(self.place.dir, args.listen)
                };
                serve(Server::bind(settings))
            }
            Command::Settings(command) => command.run(self.place.dir),
            Command::Query(command) => command.run(&self.place.dir),
            Command::Import(args) => args.run(&self.place.dir),
            Command::Delete(args) => args.run(&self.place.dir),
            Command::ReceiptKey { key } => Ok(receipts::make(&self.place.dir, &key)?),
        }
    }
}

fn init(dir: &Path, args: &InitArgs) -> anyhow::Result<()> {
    let initialised = Initialised::make(dir, &args.names)?;
    let mut out = io::stdout().lock();
    let written = if args.json {
        writeln!(out, "{}", initialised.json())
    } else {
        write!(out, "{}", initialised.text())
    };
    written.context("cannot write to standard output")
}

fn serve(binding: impl Future<Output = Result<Server, ServeError>>) -> anyhow::Result<()> {
    candor_platform::tune_allocator();
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_max_level(tracing_subscriber::filter::LevelFilter::INFO)
        .with_ansi(false)
        .init();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(async {
        // Before the ready line: whoever reads it may send a signal at once.
        let stop = stop::requested().context("cannot listen for signals")?;
        let server = binding.await?;
        let address = server.local_addr();
        let mut out = io::stdout().lock();
        writeln!(out, "{{\"listening\":\"https://{address}\"}}")
            .and_then(|()| out.flush())
            .context("cannot write the ready line to standard output")?;
        drop(out);
        conduct(server, stop).await;
        Ok(())
    })
}

/// Serves until `stop`; a service manager that started us hears how it goes.
async fn conduct(server: Server, stop: impl Future<Output = ()>) {
    let Some(manager) = Manager::of_this_process() else { return server.run(stop).await };
    manager.tell(Word::Ready);
    let stop = async {
        stop.await;
        manager.tell(Word::Stopping);
    };
    tokio::select! {
        () = server.run(stop) => {}
        () = manager.live() => {}
    }
}

impl ImportArgs {
    fn run(self, dir: &Path) -> anyhow::Result<()> {
        let store = self.store.unwrap_or_else(|| dir.join(crate::store::FILE_NAME));
        let imported = import::import(dir, &store, &self.file)?;
        hand_over(&imported.receipt, self.receipt.as_deref())?;
        eprintln!(
            "{} records of host {}: {} stored or known already, {} refused",
            imported.records,
            imported.install_id,
            imported.records - imported.rejected,
            imported.rejected
        );
        Ok(())
    }
}

impl DeleteArgs {
    fn run(self, dir: &Path) -> anyhow::Result<()> {
        let store = self.store.unwrap_or_else(|| dir.join(crate::store::FILE_NAME));
        let receipt = deletion::delete(dir, &store, &self.host)?;
        hand_over(&receipt, self.receipt.as_deref())
    }
}

/// Writes a receipt to its file, or to standard output.
fn hand_over(receipt: &str, file: Option<&Path>) -> anyhow::Result<()> {
    match file {
        Some(path) => candor_platform::write_atomic(path, receipt.as_bytes(), 0o644)
            .context("it is done, but the receipt is not written: do it again"),
        None => writeln!(io::stdout().lock(), "{receipt}")
            .context("it is done, but the receipt is not written: do it again"),
    }
}

impl SettingsCommand {
    fn run(self, dir: PathBuf) -> anyhow::Result<()> {
        match self {
            Self::Sign { key, document, out } => {
                let out = out.unwrap_or_else(|| dir.join(settings::FILE_NAME));
                Ok(settings::sign(&key, &document, &out)?)
            }
            Self::Serve { listen } => {
                let settings = Settings::new(dir, listen);
                serve(async move { Server::bind_settings(&settings).await })
            }
        }
    }
}

impl QueryCommand {
    fn run(self, dir: &Path) -> anyhow::Result<()> {
        let args = self.args();
        let path = args.store.clone().unwrap_or_else(|| dir.join(crate::store::FILE_NAME));
        let format = if args.json { Format::Json } else { Format::Table };
        let reader = crate::store::Reader::open(&path)?;
        let mut out = io::BufWriter::new(io::stdout().lock());
        let done = match self {
            Self::Records { host, name, .. } => {
                let filter = crate::store::Filter { host, name };
                query::records(&reader, &filter, format, &mut out)
            }
            Self::Hosts { .. } => query::hosts(&reader, format, &mut out),
            Self::Gaps { .. } => query::gaps(&reader, format, &mut out),
            Self::Trace { id, .. } => query::trace(&reader, &id, format, &mut out),
        };
        match done {
            Err(query::QueryError::Write { source })
                if source.kind() == io::ErrorKind::BrokenPipe =>
            {
                Ok(())
            }
            other => other.map_err(Into::into),
        }
    }

    const fn args(&self) -> &QueryArgs {
        match self {
            Self::Records { args, .. }
            | Self::Hosts { args }
            | Self::Gaps { args }
            | Self::Trace { args, .. } => args,
        }
    }
}

//! One file a command; this one only finds it.

mod audit;
mod catalog;
mod check;
mod completion;
mod csv;
mod delete;
mod diagnose;
mod emit;
mod events;
mod explain;
mod export;
mod flush;
mod level;
mod pins;
mod preview;
mod providers;
mod purge;
mod reload;
mod service;
mod spool;
mod stats;
mod status;
mod test;
mod upload;
mod view;

use crate::cli::{Cli, Command};
use crate::context::Context;
use crate::failure::Failure;
use crate::shown::Shown;

/// Carries out a command.
pub(crate) async fn run(cli: Cli) -> Result<Shown, Failure> {
    let context = Context::new(cli.global);
    match cli.command {
        Command::Status(options) => status::run(&context, &options).await,
        Command::Level => level::show(&context).await,
        Command::SetLevel(options) => level::set(&context, options).await,
        Command::Explain(options) => explain::run(&context, &options).await,
        Command::Enable => upload::enable(&context).await,
        Command::Disable(options) => upload::disable(&context, &options).await,
        Command::Flush(options) => flush::run(&context, &options).await,
        Command::Stats => stats::run(&context).await,
        Command::Audit => audit::run(&context).await,
        Command::Spool(options) => spool::run(&context, options.action).await,
        Command::Preview(options) => preview::run(&context, &options).await,
        Command::Events(options) => events::run(&context, &options).await,
        Command::View(options) => view::run(&context, &options).await,
        Command::Catalog(options) => catalog::run(&context, &options).await,
        Command::Emit(options) => emit::run(&context, &options).await,
        Command::Providers(options) => providers::run(&context, options.action).await,
        Command::Delete(options) => delete::run(&context, &options).await,
        Command::Export(options) => export::export(&context, &options).await,
        Command::ImportReceipt { file } => export::import_receipt(&context, &file).await,
        Command::Diagnose(options) => diagnose::run(&context, &options).await,
        Command::Check(options) => Ok(check::run(&context, &options)),
        Command::Pins(options) => pins::run(&context, options.action).await,
        Command::Test => test::run(&context).await,
        Command::Reload => reload::run(&context).await,
        Command::Service(options) => service::run(&context, &options),
        Command::Completion { shell } => Ok(completion::run(shell)),
    }
}

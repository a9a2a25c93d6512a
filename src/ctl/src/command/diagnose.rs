//! `diagnose`: what helps to find a fault: a bundle for support, and a recording of this machine for a test.

use std::path::Path;

use candor_probes::{Host, record_archive, record_host};

use crate::cli::{DiagnoseAction, DiagnoseOptions};
use crate::context::Context;
use crate::failure::{FAILED, Failure, USAGE, chain};
use crate::shown::Shown;

mod bundle;

pub(crate) async fn run(context: &Context, options: &DiagnoseOptions) -> Result<Shown, Failure> {
    let host =
        |root: &Option<std::path::PathBuf>| root.as_deref().map_or_else(Host::live, Host::new);
    match (&options.action, &options.out) {
        (Some(DiagnoseAction::RecordHost { dir, archive, host_root }), _) => {
            record(dir, *archive, &host(host_root))
        }
        (None, Some(out)) => {
            bundle::write(context, &host(&options.host_root), (out, options.dry_run)).await
        }
        (None, None) => Err(Failure::new(USAGE, "name the bundle's file: diagnose --out FILE")),
    }
}

fn record(path: &Path, is_archive: bool, host: &Host) -> Result<Shown, Failure> {
    let record = if is_archive { record_archive } else { record_host };
    let files = record(host, path).map_err(|error| Failure::new(FAILED, chain(&error)))?;
    let text = format!(
        "{files} files in {}; look through them before you give them away\n",
        path.display()
    );
    Ok(Shown::new(text, &serde_json::json!({ "dir": path, "files": files })))
}

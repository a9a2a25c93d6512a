//! `diagnose`: what helps to find a fault. So far: a recording of this machine for a test.

use std::path::Path;

use candor_probes::{Host, record_archive, record_host};

use crate::cli::DiagnoseAction;
use crate::failure::{FAILED, Failure, chain};
use crate::shown::Shown;

pub(crate) fn run(action: &DiagnoseAction) -> Result<Shown, Failure> {
    match action {
        DiagnoseAction::RecordHost { dir, archive, host_root } => {
            record(dir, *archive, &host_root.as_deref().map_or_else(Host::live, Host::new))
        }
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

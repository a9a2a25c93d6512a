//! What a test needs beyond a Rust toolchain and a C compiler.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Whether a test may run. Where something is missing it says `skipped` and why; under
/// `CANDOR_NEEDS=mandatory`, as in `.ci/run`, that is a failure.
///
/// # Panics
/// When the need is mandatory and not met.
#[must_use]
pub fn need(what: &str, is_met: bool) -> bool {
    let mandatory = env::var_os("CANDOR_NEEDS").is_some_and(|value| value == "mandatory");
    assert!(is_met || !mandatory, "this test is mandatory here and needs {what}");
    if !is_met {
        println!("skipped: needs {what}");
    }
    is_met
}

/// The Python that `.ci/packages` prepares, where it has these modules (`one, other`).
#[must_use]
pub fn python(modules: &str) -> Option<PathBuf> {
    let python = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/venv/bin/python"));
    let has = Command::new(&python)
        .args(["-c", &format!("import {modules}")])
        .stderr(Stdio::null())
        .status();
    has.is_ok_and(|status| status.success()).then_some(python)
}

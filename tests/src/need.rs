//! What a test needs beyond a Rust toolchain and a C compiler.

use std::env;

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

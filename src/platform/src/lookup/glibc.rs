//! Name lookups with glibc, which reads its limits from the environment at the first one; the Linux
//! half of `lookup`.
//!
//! # Invariants
//! - The environment is changed before the first thread, and never again.
//!
//! On failure: none.
#![expect(unsafe_code, reason = "glibc takes these limits from the environment only")]

use std::env;
use std::ffi::{OsStr, OsString};

const VARIABLE: &str = "RES_OPTIONS";
const LIMITS: &str = "timeout:1 attempts:1";

pub(super) fn bound_name_lookups() {
    let value = with_limits(env::var_os(VARIABLE).as_deref());
    // SAFETY: `main` calls this before it starts a thread, so nobody else reads the environment.
    unsafe { env::set_var(VARIABLE, value) };
}

/// Ours after what is there: the last word counts.
fn with_limits(present: Option<&OsStr>) -> OsString {
    let mut value = present.unwrap_or_default().to_owned();
    if !value.is_empty() {
        value.push(" ");
    }
    value.push(LIMITS);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_stand_after_what_the_environment_says() {
        assert_eq!(with_limits(None), "timeout:1 attempts:1");
        let present = OsStr::new("ndots:2 attempts:5");
        assert_eq!(with_limits(Some(present)), "ndots:2 attempts:5 timeout:1 attempts:1");
    }
}

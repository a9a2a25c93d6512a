//! `cargo try` as a newcomer runs it: the release programs, and what its JSON form must say.

use std::env;

use candor_tests::{cargo, need};
use serde_json::Value;

#[test]
fn cargo_try_uploads_every_level_and_accounts_for_it() {
    // The release build takes minutes: it is done where .ci/run has made it anyway.
    let wanted = env::var_os("CANDOR_NEEDS").is_some();
    if !need("CANDOR_NEEDS to be set, since it builds the release programs", wanted) {
        return;
    }
    let output = cargo()
        .args(["try", "--for", "10", "--json"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    let status: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    let events = &status["events"];
    let count = |key: &str| events[key].as_u64().unwrap();
    assert!(count("uploaded") > 0 && count("dropped") == 0 && count("pending") == 0, "{events}");
    assert_eq!(count("generated"), count("uploaded") + count("dropped") + count("pending"));
    for level in ["0", "1", "2", "3"] {
        assert!(
            events["by_level"][level].as_u64().unwrap() > 0,
            "nothing of level {level}: {events}"
        );
    }
}

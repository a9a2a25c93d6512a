//! Bad input gets a clear error that says what to change, and nothing is lost.

use candor_tests::{Agent, Collector, Settings};

#[test]
fn a_malformed_configuration_is_refused_with_file_line_and_key() {
    for (text, line, key) in [
        ("AllowTelemetry = 7\n", ":1", "AllowTelemetry"),
        ("AllowTelemetry = 1\n[upload]\nintervall = \"1s\"\n", ":3", "intervall"),
        ("[upload]\ninterval = \"soon\"\n", ":2", "interval"),
        ("EventsEndpoint = \"http://example.org\"\n", ":1", "https"),
        ("CertificatePins = [\"sha256/AAAA\"]\n", ":1", "pin"),
        ("AllowTelemetry = \n", ":1", ""),
    ] {
        let agent = Agent::prepare(&Settings::level(1));
        agent.write("etc/candor/agent.toml", text);
        let checked = agent.ctl(&["check"]);
        let said = format!("{}{}", checked.stdout, checked.stderr);
        assert_eq!(checked.code, Some(78), "{text}: {checked:?}");
        assert!(
            said.contains(&format!("agent.toml{line}")) && said.contains(key),
            "{text}: {said}"
        );
        let started = agent.run_to_end();
        assert_eq!(started.code, Some(78), "{text}: {started:?}");
        assert!(started.stderr.contains("agent.toml"), "{started:?}");
    }
}

#[test]
fn a_good_configuration_passes_the_check() {
    let collector = Collector::prepare();
    let agent = Agent::prepare(&Settings::to(&collector, 2));
    let checked = agent.ctl(&["check"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
}

#[test]
fn a_second_agent_on_the_same_root_is_refused() {
    let agent = Agent::start(&Settings::level(1));
    let second = agent.run_to_end();
    assert_eq!(second.code, Some(1), "{second:?}");
    assert!(
        second.stderr.contains("another agentd") && second.stderr.contains(&agent.id().to_string()),
        "{second:?}"
    );
    assert_eq!(agent.status()["level"]["effective"], 1, "the first one suffered");
}

#[test]
fn without_a_daemon_status_says_so_and_explain_reads_for_itself() {
    let agent = Agent::prepare(&Settings::level(1));
    let status = agent.ctl(&["status"]);
    assert_eq!(status.code, Some(69), "{status:?}");
    assert!(status.stderr.contains("agentd"), "{status:?}");
    let explained = agent.ctl(&["explain", "--json"]);
    assert_eq!(explained.code, Some(0), "{explained:?}");
    assert_eq!(explained.json()["effective"], 1);
}

#[test]
fn usage_errors_exit_2_and_suggest() {
    let agent = Agent::prepare(&Settings::level(1));
    let outcome = agent.ctl(&["statsu"]);
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    assert!(outcome.stderr.contains("status"), "{outcome:?}");
    assert_eq!(agent.ctl(&["set-level", "4"]).code, Some(2));
}

#[test]
fn without_a_daemon_set_level_writes_the_setting() {
    let mut agent = Agent::prepare(&Settings::level(3));
    let outcome = agent.ctl(&["set-level", "basic", "--reason", "a quiet host"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    agent.run();
    assert_eq!(agent.status()["level"]["effective"], 1);
    assert_eq!(agent.status()["level"]["name"], "basic");
}

/// A daemon that hangs cannot confirm: the caller is told so within seconds, with the exit code for it.
#[cfg(unix)]
#[test]
fn a_daemon_that_hangs_is_told_apart_from_one_that_obeys() {
    let agent = Agent::start(&Settings::level(2));
    agent.signal(nix::sys::signal::Signal::SIGSTOP);
    let from = std::time::Instant::now();
    let outcome = agent.ctl(&["set-level", "1"]);
    let waited = from.elapsed();
    agent.signal(nix::sys::signal::Signal::SIGCONT);
    assert_eq!(outcome.code, Some(69), "{outcome:?}");
    // Two seconds are promised; any other call would wait for more than thirty.
    assert!(waited.as_secs() < 20, "it waited for {waited:?}");
}

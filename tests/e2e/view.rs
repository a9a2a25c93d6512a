//! `agentctl view` without a browser: who may open it, what it refuses, that it changes nothing, and how it ends.

use std::fs;
use std::process::Command;

use candor_tests::{Agent, Settings, Viewer, need};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};

fn opened(viewer: &Viewer) -> String {
    viewer.open(&viewer.key).expect("the key opens the page")
}

#[test]
fn the_key_works_once_and_foreign_requests_are_refused() {
    let agent = Agent::start(&Settings::level(1));
    let viewer = Viewer::start(&agent, &[]);
    assert_eq!(viewer.ask("/api/status", "").0, 403, "without a key nothing is said");
    assert!(viewer.open("0000").is_none());
    let cookie = opened(&viewer);
    assert!(!viewer.file.exists(), "the file is gone after its use");
    let (status, answer) = viewer.ask("/api/status", &cookie);
    assert_eq!((status, &answer["level"]["effective"]), (200, &1.into()));
    assert!(viewer.open(&viewer.key).is_none(), "a second use of the key");

    let own = format!("Host: {}\r\nCookie: {cookie}\r\n", viewer.address);
    for foreign in [
        format!("Host: rebound.example\r\nCookie: {cookie}\r\n"),
        format!("{own}Origin: http://evil.example\r\n"),
        format!("{own}Sec-Fetch-Site: cross-site\r\n"),
    ] {
        let answer = viewer.send("GET /api/status", &foreign, "");
        assert!(answer.starts_with("HTTP/1.1 403") && !answer.contains("effective"), "{answer}");
    }
}

#[test]
fn nothing_can_be_changed_through_it() {
    let agent = Agent::start(&Settings::level(1));
    let viewer = Viewer::start(&agent, &[]);
    let cookie = opened(&viewer);
    let trail = agent.path("var/lib/candor/audit.log");
    let before = (agent.status()["level"].clone(), fs::read(&trail).unwrap_or_default());
    let own = format!("Host: {}\r\nCookie: {cookie}\r\n", viewer.address);
    for path in ["level", "enable", "disable", "flush", "reload", "replay", "status"] {
        for prefix in ["/api", "/v1", "/api/..", "/api/../v1"] {
            for method in ["GET", "POST", "PUT", "DELETE"] {
                let line = format!("{method} {prefix}/{path}");
                let answer = viewer.send(&line, &own, "{\"level\":3}");
                let is_question = line == "GET /api/status";
                let refused =
                    answer.starts_with("HTTP/1.1 404") || answer.starts_with("HTTP/1.1 405");
                assert!(refused || is_question, "{line}: {answer}");
            }
        }
    }
    assert_eq!((agent.status()["level"].clone(), fs::read(&trail).unwrap_or_default()), before);
}

#[test]
fn who_may_not_read_is_told_so_and_policy_closes_it() {
    let agent = Agent::start(&Settings::level(1));
    if need("root, to become a user without rights", geteuid().is_root()) {
        let refused = agent.ctl_as_stranger(&["view", "--no-open", "--gone-after", "1s"]);
        assert_eq!(refused.code, Some(4), "{refused:?}");
        assert!(refused.stderr.contains("candor"), "{refused:?}");
    }
    let viewer = Viewer::start(&agent, &[]);
    let cookie = opened(&viewer);
    agent.write("etc/candor/policy.d/1.toml", "DisableDiagnosticDataViewer = 1\n");
    assert_eq!(agent.ctl(&["reload"]).code, Some(0));
    let (status, answer) = viewer.ask("/api/events", &cookie);
    assert!(status >= 400, "{answer}");
    assert_eq!(answer["error"]["code"], "refused_by_policy");
    assert!(answer.to_string().contains("DisableDiagnosticDataViewer"), "{answer}");
    let end = viewer.end();
    assert_eq!(end.code, Some(3), "{end:?}");
    let refused = agent.ctl(&["view", "--no-open", "--gone-after", "1s"]);
    assert_eq!(refused.code, Some(3), "{refused:?}");
    assert!(refused.stderr.contains("DisableDiagnosticDataViewer"), "{refused:?}");
}

#[test]
fn without_an_agent_it_says_so_and_with_nobody_looking_it_ends() {
    let mut agent = Agent::prepare(&Settings::level(1));
    assert_eq!(agent.ctl(&["view", "--no-open", "--gone-after", "1s"]).code, Some(69));
    agent.run();
    let end = agent.ctl(&["view", "--json", "--no-open", "--gone-after", "1s"]);
    assert_eq!(end.code, Some(0), "{end:?}");
    assert_eq!(end.lines()[1]["ended"], "gone");

    let viewer = Viewer::start(&agent, &[]);
    let (id, file) = (i32::try_from(viewer.id()).unwrap(), viewer.file.clone());
    kill(Pid::from_raw(id), Signal::SIGINT).unwrap();
    let end = viewer.end();
    assert_eq!(end.code, Some(0), "{end:?}");
    assert!(end.stdout.contains("stopped") && !file.exists(), "{end:?}");
}

#[test]
fn a_page_outlives_a_restart_of_the_agent() {
    let mut agent = Agent::start(&Settings::level(1));
    let viewer = Viewer::start(&agent, &[]);
    let cookie = opened(&viewer);
    agent.stop();
    let (status, answer) = viewer.ask("/api/status", &cookie);
    assert_eq!((status, &answer["error"]["code"]), (503, &"no_daemon".into()));
    agent.run();
    assert_eq!(viewer.ask("/api/status", &cookie).0, 200);
}

/// The key alone does not do: the connection must be the user's own.
#[cfg(target_os = "linux")]
#[test]
fn another_user_is_not_heard_even_with_the_key() {
    use std::os::unix::process::CommandExt as _;
    if !need("root, to become another user", geteuid().is_root()) {
        return;
    }
    let agent = Agent::start(&Settings::level(1));
    let viewer = Viewer::start(&agent, &[]);
    let (host, port) = (viewer.address.ip(), viewer.address.port());
    let head =
        format!("GET / HTTP/1.1\\r\\nHost: {host}:{port}\\r\\nConnection: close\\r\\n\\r\\n");
    let script = format!("exec 3<>/dev/tcp/{host}/{port}; printf '{head}' >&3; cat <&3");
    let said = |uid: u32| {
        let mut command = Command::new("bash");
        command.args(["-c", &script]).uid(uid).gid(uid);
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    assert!(said(0).contains("This page opens with a key"));
    assert_eq!(said(65534), "");
}

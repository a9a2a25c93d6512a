//! Colour and progress are for a person at a terminal, and only where `NO_COLOR` allows it.

use std::fs::File;
use std::io::Read as _;
use std::process::{Command, Stdio};

use candor_tests::{Agent, Collector, Settings, programs};
use nix::pty::openpty;

/// What a person would see.
fn at_a_terminal(agent: &Agent, arguments: &[&str], no_color: Option<&str>) -> String {
    let terminal = openpty(None, None).unwrap();
    let mut command = Command::new(&programs().agentctl);
    command.arg("--root").arg(agent.root()).args(arguments);
    command
        .env_remove("NO_COLOR")
        .envs(no_color.map(|value| ("NO_COLOR", value)))
        .env("TERM", "xterm");
    let out = File::from(terminal.slave);
    command.stdin(Stdio::null()).stdout(out.try_clone().unwrap()).stderr(out);
    let mut process = command.spawn().unwrap();
    // Our own copies of the terminal's other end go, so that the reading ends.
    drop(command);
    let (mut seen, mut terminal) = (Vec::new(), File::from(terminal.master));
    // Linux says by an error that nobody holds the other end any more.
    let _ = terminal.read_to_end(&mut seen);
    process.wait().unwrap();
    String::from_utf8_lossy(&seen).into_owned()
}

#[test]
fn colour_stands_on_a_terminal_alone_and_not_with_no_color() {
    let collector = Collector::start();
    let agent = Agent::start(&Settings::to(&collector, 1));
    agent.settle();
    let coloured = at_a_terminal(&agent, &["status"], None);
    assert!(coloured.contains("\x1b[32mok\x1b[0m"), "{coloured:?}");
    assert!(
        at_a_terminal(&agent, &["status"], Some("")).contains('\x1b'),
        "an empty NO_COLOR says nothing"
    );
    assert!(!at_a_terminal(&agent, &["status"], Some("1")).contains('\x1b'));
    assert!(!at_a_terminal(&agent, &["status", "--json"], None).contains('\x1b'));
    assert!(!agent.ctl(&["status"]).stdout.contains('\x1b'));
}

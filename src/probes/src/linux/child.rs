//! Runs one of the system's own programs and reads what it prints, within a deadline.
//!
//! # Invariants
//! - Only programs in the system's directories, by absolute path, with an environment of their own.
//! - At most [`MAX_BYTES`] are read; the caller never waits past the deadline.
//! - A child that overstays is killed; one that hangs in the kernel is left to die by itself.
//!
//! A program that is not installed is what the host does not tell; one that fails or overstays is a
//! [`ProbeError`].

use std::io::{self, Read};
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::{Host, ProbeError};

/// The most that a program may print.
const MAX_BYTES: usize = 4 << 20;

/// Where programs are looked for.
const DIRECTORIES: [&str; 4] = ["usr/bin", "usr/sbin", "bin", "sbin"];

/// Between two looks at a child that has closed its output and not ended yet.
const SOON: Duration = Duration::from_millis(2);

/// What a program printed and how it ended.
#[derive(Debug, Default)]
pub(crate) struct Output {
    pub(crate) text: Vec<u8>,
    pub(crate) code: Option<i32>,
}

/// The path of a program, where the host is the one that the agent runs on and has it.
pub(crate) fn find(host: &Host, program: &str) -> Option<PathBuf> {
    let mut paths = DIRECTORIES.iter().map(|directory| host.path(directory).join(program));
    host.is_live().then(|| paths.find(|path| path.exists())).flatten()
}

/// Runs a program to its end.
///
/// # Errors
/// It cannot be started, prints too much, or does not end within `deadline`.
pub(crate) fn run(
    program: &PathBuf,
    arguments: &[&str],
    deadline: Duration,
) -> Result<Output, ProbeError> {
    let failed = |source| ProbeError::Read { path: program.clone(), source };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .env("LC_ALL", "C")
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut kept = Kept(command.spawn().map_err(failed)?);
    let until = Instant::now() + deadline;
    let mut text = Vec::new();
    if let Some(mut output) = kept.0.stdout.take() {
        read(&mut output, &mut text, until).map_err(failed)?;
    }
    let code = kept.end(until).map_err(failed)?;
    Ok(Output { text, code })
}

fn read(output: &mut ChildStdout, text: &mut Vec<u8>, until: Instant) -> io::Result<()> {
    let mut buffer = [0; 16 * 1024];
    loop {
        let rest = until.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(rest).unwrap_or(PollTimeout::MAX);
        let mut wait = [PollFd::new(output.as_fd(), PollFlags::POLLIN)];
        match poll(&mut wait, timeout) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Ok(_) => {}
            Err(nix::errno::Errno::EINTR) => continue,
            Err(error) => return Err(error.into()),
        }
        match output.read(&mut buffer)? {
            0 => return Ok(()),
            more => text.extend_from_slice(buffer.get(..more).unwrap_or_default()),
        }
        if text.len() > MAX_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
    }
}

/// A child that does not outlive the interest in it.
struct Kept(Child);

impl Kept {
    fn end(&mut self, until: Instant) -> io::Result<Option<i32>> {
        loop {
            if let Some(status) = self.0.try_wait()? {
                return Ok(status.code());
            }
            if Instant::now() >= until {
                return Err(io::ErrorKind::TimedOut.into());
            }
            std::thread::sleep(SOON);
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // Of one that has ended, neither does anything. A killed child ends at once unless the
        // kernel holds it; then nobody waits for it.
        let _gone = self.0.kill();
        for _ in 0..50 {
            if !matches!(self.0.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(SOON);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, deadline: Duration) -> Result<Output, ProbeError> {
        let shell = find(&Host::live(), "sh").unwrap();
        run(&shell, &["-c", script], deadline)
    }

    #[test]
    fn what_a_program_prints_is_read_with_how_it_ends() {
        let output = shell("printf '%s' \"$LC_ALL$HOME\"; exit 8", Duration::from_mins(1)).unwrap();
        assert_eq!((output.text.as_slice(), output.code), (&b"C"[..], Some(8)));
    }

    #[test]
    fn a_program_that_overstays_is_killed_whether_it_holds_its_output_or_not() {
        for script in ["sleep 600", "exec >&-; sleep 600"] {
            let begun = Instant::now();
            let error = shell(script, Duration::from_millis(50)).unwrap_err();
            assert!(error.to_string().contains("sh"), "{error}");
            assert!(begun.elapsed() < Duration::from_mins(1));
        }
    }

    #[test]
    fn a_program_that_prints_without_end_is_cut_off() {
        let error = shell(
            "while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done",
            Duration::from_mins(5),
        );
        let ProbeError::Read { source, .. } = error.unwrap_err() else { panic!("a read error") };
        assert_eq!(source.kind(), io::ErrorKind::FileTooLarge);
    }

    #[test]
    fn of_a_recorded_machine_no_program_is_run() {
        assert_eq!(find(&Host::new("/usr/.."), "sh"), None);
        assert_eq!(find(&Host::live(), "no-such-program"), None);
    }
}

//! The dumps of systemd-coredump: their names, labels and sizes.
//!
//! ```text
//! core.NAME.UID.BOOTID.PID.MICROSECONDS[.zst|.lz4|.xz]     special characters of NAME as \xNN
//! user.coredump.signal                                     an extended attribute: the number
//! ```
//!
//! # Invariants
//! - The file is never opened.
//!
//! A file with another name is no dump.

use std::path::Path;

use candor_model::UnixNanos;
use candor_model::events::crash::{DumpKeeper, Summary};
use nix::sys::signal::Signal;

use super::Crash;
use crate::Host;

const SIGNAL: &str = "user.coredump.signal";
const PACKED: [&str; 4] = [".zst", ".lz4", ".xz", ".zstd"];

pub(super) fn read(_host: &Host, path: &Path, name: &str) -> Option<Crash> {
    let crash = parse(name)?;
    let mut number = [0; 8];
    let len = rustix::fs::getxattr(path, SIGNAL, &mut number).ok();
    let number = len.and_then(|len| std::str::from_utf8(number.get(..len)?).ok());
    let size = std::fs::metadata(path).ok().map(|metadata| metadata.len());
    let summary = Summary {
        signal: number.and_then(|number| signal(number.trim())),
        dump_size: size,
        ..crash.summary
    };
    Some(Crash { summary, ..crash })
}

/// `11` as `SIGSEGV`.
pub(super) fn signal(number: &str) -> Option<String> {
    Signal::try_from(number.parse::<i32>().ok()?).ok().map(|signal| signal.as_str().to_owned())
}

fn parse(name: &str) -> Option<Crash> {
    let plain = PACKED.iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name);
    let mut parts = plain.rsplitn(5, '.');
    let (micros, pid) = (parts.next()?.parse::<u64>().ok()?, parts.next()?.parse().ok()?);
    let (boot, _uid, rest) = (parts.next()?, parts.next()?, parts.next()?);
    let is_boot = boot.len() == 32 && boot.bytes().all(|byte| byte.is_ascii_hexdigit());
    let program = unescape(rest.strip_prefix("core.")?);
    let summary = Summary {
        program: (!program.is_empty()).then_some(program),
        dump_keeper: Some(DumpKeeper::Systemd),
        ..Summary::default()
    };
    is_boot.then_some(Crash { pid: Some(pid), time: UnixNanos(micros.checked_mul(1000)?), summary })
}

/// `\x20` as a space; control characters stay as they are written.
fn unescape(name: &str) -> String {
    let mut parts = name.split("\\x");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part.get(..2).and_then(|code| u8::from_str_radix(code, 16).ok());
        match code.filter(|code| (b' '..0x7F).contains(code)).zip(part.get(2..)) {
            Some((code, rest)) => plain.extend([char::from(code).to_string().as_str(), rest]),
            None => plain.extend(["\\x", part]),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_program_process_and_time_and_no_user() {
        let boot = "0123456789abcdef0123456789abcdef";
        let crash =
            parse(&format!("core.a\\x2eb\\x20c.1000.{boot}.4711.1699345259000000.zst")).unwrap();
        assert_eq!((crash.pid, crash.time), (Some(4711), UnixNanos(1_699_345_259_000_000_000)));
        assert_eq!(crash.summary.program.as_deref(), Some("a.b c"));
        for odd in [
            "core",
            "core.a.1.2.3",
            "x.a.1000.b.1.2",
            &format!("core.a.1000.{boot}.4711.soon"),
            &format!("core.a.1000.{boot}.-1.5"),
        ] {
            assert_eq!(parse(odd), None, "{odd}");
        }
        assert_eq!(unescape("a\\x0ab\\xzz\\x"), "a\\x0ab\\xzz\\x");
    }

    #[test]
    fn a_signal_is_named_where_there_is_one_of_its_number() {
        assert_eq!(signal("11").as_deref(), Some("SIGSEGV"));
        assert_eq!(signal("6").as_deref(), Some("SIGABRT"));
        assert_eq!((signal("0"), signal("999"), signal("x")), (None, None, None));
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, text};

        text(
            "linux/crashes/dump::parse",
            Says::Derived("escapes are characters, the time is in nanoseconds"),
            &["core.my\\x20prog.1000.0123456789abcdef0123456789abcdef.4711.1800000095000000.zst"],
            parse,
        );
        text("linux/crashes/dump::signal", Says::Stands, &["11"], signal);
    }
}

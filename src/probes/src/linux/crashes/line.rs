//! The kernel's line about a program that it sent a fatal signal to.
//!
//! ```text
//! nginx[4711]: segfault at 0 ip 00007f12 sp 00007ffd error 4 in libc.so.6[26f22,7f10+195000] likely on CPU 3 …
//! traps: nginx[4711] trap invalid opcode ip:7f12 sp:7ffd error:0 in libc.so.6[7f10+195000]
//! ```
//! Since Linux 6.11 the brackets begin with the offset in the file.
//!
//! # Invariants
//! - Addresses of data and of the stack are not taken over: only where in which module the program was.
//!
//! Another line is no crash.

use candor_model::events::crash::Summary;

use super::Crash;

/// What the kernel calls it, and the signal that it sends (`arch/x86/kernel/traps.c`).
const TRAPS: [(&str, &str); 6] = [
    ("general protection", "SIGSEGV"),
    ("invalid opcode", "SIGILL"),
    ("divide error", "SIGFPE"),
    ("int3", "SIGTRAP"),
    ("stack segment", "SIGBUS"),
    ("alignment check", "SIGBUS"),
];

pub(super) fn parse(line: &str) -> Option<Crash> {
    let (who, rest, signal, ip) = if let Some(line) = line.strip_prefix("traps: ") {
        let (who, rest) = line.split_once("] ")?;
        let (_, signal) = TRAPS.into_iter().find(|(trap, _)| rest.contains(trap))?;
        (who, rest, signal, after(rest, "ip:")?)
    } else {
        let (who, rest) = line.split_once("]: segfault at ")?;
        (who, rest, "SIGSEGV", after(rest, "ip ")?)
    };
    let (program, pid) = who.rsplit_once('[')?;
    let place = rest.split_once(" in ").and_then(|(_, place)| place_in(place, ip));
    let summary = Summary {
        program: (!program.is_empty()).then(|| program.to_owned()),
        signal: Some(signal.to_owned()),
        module: place.as_ref().map(|(module, _)| module.clone()),
        offset: place.map(|(_, offset)| offset),
        ..Summary::default()
    };
    Some(Crash { pid: Some(pid.parse().ok()?), summary, ..Crash::default() })
}

/// The hexadecimal number after a word.
fn after(text: &str, word: &str) -> Option<u64> {
    hex(text.split_once(word)?.1.split(' ').next()?)
}

fn hex(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok()
}

/// `libc.so.6[26f22,7f10+195000]` or `libc.so.6[7f10+195000]`: the module and where in it.
fn place_in(place: &str, ip: u64) -> Option<(String, u64)> {
    let (module, mapping) = place.split_once('[')?;
    let mapping = mapping.split_once(']')?.0;
    let (base, size) = mapping.split_once('+')?;
    hex(size)?;
    let offset = match base.split_once(',') {
        Some((offset, _)) => hex(offset)?,
        None => ip.checked_sub(hex(base)?)?,
    };
    let is_name = !module.is_empty() && !module.contains('/');
    is_name.then(|| (module.to_owned(), offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Told = (Option<u32>, String, String, Option<String>, Option<u64>);

    fn told(line: &str) -> Option<Told> {
        let Crash { pid, summary, .. } = parse(line)?;
        Some((pid, summary.program?, summary.signal?, summary.module, summary.offset))
    }

    #[test]
    fn both_forms_and_both_kinds_of_offset_are_read() {
        let old = "testp[19288]: segfault at 0 ip 0000000000401271 sp 00007fff2ce4d210 error 4 in testp[400000+98000]";
        let expected = |pid, program: &str, signal: &str, module: &str, offset| {
            Some((
                Some(pid),
                program.to_owned(),
                signal.to_owned(),
                Some(module.to_owned()),
                Some(offset),
            ))
        };
        assert_eq!(told(old), expected(19288, "testp", "SIGSEGV", "testp", 0x1271));
        let new = "a [b][7]: segfault at ff ip 7f12 sp 1 error 6 in libc.so.6[26f22,7f10+195000] likely on CPU 3 (core 1, socket 0)";
        assert_eq!(told(new), expected(7, "a [b]", "SIGSEGV", "libc.so.6", 0x26f22));
        let trap = "traps: x[12] trap divide error ip:1f sp:0 error:0 in x[10+8]";
        assert_eq!(told(trap), expected(12, "x", "SIGFPE", "x", 0xf));
        let fault = "traps: x[12] general protection fault ip:1f sp:0 error:0 in x[10+8]";
        assert_eq!(told(fault), expected(12, "x", "SIGSEGV", "x", 0xf));
    }

    #[test]
    fn without_a_module_the_place_is_absent_and_other_lines_are_no_crash() {
        let nowhere =
            told("x[1]: segfault at 0 ip 0000000000000000 sp 1 error 14 in x[400000+1000]")
                .unwrap();
        assert_eq!((nowhere.3, nowhere.4), (None, None), "the instruction lies before the module");
        let anonymous = told("x[1]: segfault at 0 ip 5 sp 1 error 14").unwrap();
        assert_eq!((anonymous.3, anonymous.4), (None, None));
        for line in [
            "",
            "x[1]: page allocation failure",
            "x]: segfault at 0 ip 1",
            "traps: x[1] trap ip:1",
            "x[1]: segfault at 0 ip zz",
        ] {
            assert_eq!(parse(line), None, "{line}");
        }
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, text};

        text(
            "linux/crashes/line::parse",
            Says::Derived("an offset is a difference"),
            &[
                "my prog[4711]: segfault at 0 ip 00007f0000001234 sp 0 error 4 in libx.so.1[7f0000000000+2000]",
                "traps: x[12] trap divide error ip:10 sp:0 error:0 in x[10+8]",
            ],
            parse,
        );
    }
}

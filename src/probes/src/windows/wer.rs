//! A report of Windows Error Reporting as text: `Report.wer`, UTF-16 with a mark at its beginning.
//!
//! ```text
//! EventType=APPCRASH
//! EventTime=133438189000000000
//! Sig[0].Value=notepad.exe          program    APPCRASH: 0 program, 1 version, 3 module, 6 code, 7 offset
//! Sig[3].Value=ntdll.dll            module     BEX, BEX64: the same, but 6 offset, 7 code
//! Sig[6].Value=c0000005             exception  MoAppCrash: 1 program, 2 version, 4 module, 7 code, 8 offset
//! ```
//! The names of the signatures are in the system's language; their numbers are not.
//!
//! # Invariants
//! - Only these lines are looked at: paths, users, memory and the list of loaded modules stand in others.
//! - A module or program is a file's name; a text with a path in it is absent.

use candor_model::UnixNanos;
use candor_model::events::crash::Summary;

use super::filetime;
use crate::filler::fact;

/// Where a kind of crash keeps its facts: program, version, module, exception code, offset.
type Places = [usize; 5];

const KINDS: [(&str, Places); 4] = [
    ("APPCRASH", [0, 1, 3, 6, 7]),
    ("BEX", [0, 1, 3, 7, 6]),
    ("BEX64", [0, 1, 3, 7, 6]),
    ("MoAppCrash", [1, 2, 4, 7, 8]),
];

/// The crash that a report tells of and when it was; `None` for reports of anything else.
pub(super) fn crash(bytes: &[u8]) -> Option<(UnixNanos, Summary)> {
    let text = text(bytes)?;
    let kind = value(&text, "EventType")?;
    let (_, places) = KINDS.into_iter().find(|(name, _)| *name == kind)?;
    let time = filetime::unix(value(&text, "EventTime")?.parse().ok()?)?;
    let [program, version, module, code, offset] =
        places.map(|number| value(&text, &format!("Sig[{number}].Value")));
    let summary = Summary {
        program: program.and_then(file_name),
        version: version.filter(|version| *version != "0.0.0.0").and_then(fact),
        signal: code.and_then(hexadecimal).map(|code| format!("0x{code:08X}")),
        module: module.and_then(file_name),
        offset: offset.and_then(hexadecimal),
        ..Summary::default()
    };
    summary.program.is_some().then_some((time, summary))
}

/// UTF-16 with its mark; anything else is no report.
fn text(bytes: &[u8]) -> Option<String> {
    let (units, _) = bytes.strip_prefix(&[0xFF, 0xFE])?.as_chunks::<2>();
    let units = units.iter().map(|unit| u16::from_le_bytes(*unit));
    Some(char::decode_utf16(units).map(|unit| unit.unwrap_or('\u{FFFD}')).collect())
}

fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let mut pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs.find(|(name, _)| *name == key).map(|(_, value)| value.trim())
}

fn file_name(text: &str) -> Option<String> {
    let is_path = text.contains(['\\', '/', ':']);
    // Where the fault lay in no module, Windows says so in a word of its own.
    let is_none = text == "unknown" || text.starts_with("StackHash");
    if is_path || is_none { None } else { fact(text) }
}

fn hexadecimal(text: &str) -> Option<u64> {
    u64::from_str_radix(text.trim_start_matches("0x"), 16).ok()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::windows) fn report(kind: &str, ticks: u64, signatures: &[&str]) -> Vec<u8> {
        let mut text = format!(
            "Version=1\r\nEventType={kind}\r\nEventTime={ticks}\r\nReportType=2\r\n\
             UI[2]=C:\\Users\\jane\\secret.exe\r\nAppPath=C:\\Users\\jane\\secret.exe\r\n"
        );
        for (number, value) in signatures.iter().enumerate() {
            let lines = ["Name=Anwendungsname", &format!("Value={value}")];
            text.extend(lines.map(|line| format!("Sig[{number}].{line}\r\n")));
        }
        let units = text.encode_utf16().flat_map(u16::to_le_bytes);
        [0xFF, 0xFE].into_iter().chain(units).collect()
    }

    pub(in crate::windows) const NOTEPAD: [&str; 8] = [
        "notepad.exe",
        "10.0.19041.1",
        "3eb8f3c5",
        "ntdll.dll",
        "10.0.19041.1110",
        "e7a22463",
        "c0000005",
        "0000000000020c6b",
    ];
    pub(in crate::windows) const TICKS: u64 = 133_438_189_000_000_000;

    #[test]
    fn a_crash_tells_program_exception_and_place() {
        let (time, summary) = crash(&report("APPCRASH", TICKS, &NOTEPAD)).unwrap();
        let text = |text: &str| Some(text.to_owned());
        let expected = Summary {
            program: text("notepad.exe"),
            version: text("10.0.19041.1"),
            signal: text("0xC0000005"),
            module: text("ntdll.dll"),
            offset: Some(0x20c6b),
            ..Summary::default()
        };
        assert_eq!((time, summary), (UnixNanos(1_699_345_300_000_000_000), expected));
    }

    #[test]
    fn each_kind_has_its_own_order() {
        let mut overrun = NOTEPAD;
        overrun.swap(6, 7);
        let (_, summary) = crash(&report("BEX64", TICKS, &overrun)).unwrap();
        assert_eq!(
            (summary.signal.as_deref(), summary.offset),
            (Some("0xC0000005"), Some(0x20c6b))
        );
        let store: Vec<_> = ["Some.Package_1.0_x64__abc"].into_iter().chain(NOTEPAD).collect();
        let (_, summary) = crash(&report("MoAppCrash", TICKS, &store)).unwrap();
        assert_eq!(summary.program.as_deref(), Some("notepad.exe"));
        for other in ["AppHangB1", "WindowsUpdateFailure3", "BlueScreen", "CLR20r3"] {
            assert_eq!(crash(&report(other, TICKS, &NOTEPAD)), None, "{other}");
        }
    }

    #[test]
    fn a_path_or_an_unknown_module_is_absent() {
        let mut odd = NOTEPAD;
        odd[3] = r"C:\Users\jane\x.dll";
        assert_eq!(crash(&report("APPCRASH", TICKS, &odd)).unwrap().1.module, None);
        odd[3] = "StackHash_1234";
        assert_eq!(crash(&report("APPCRASH", TICKS, &odd)).unwrap().1.module, None);
        odd[0] = r"\\server\share\x.exe";
        assert_eq!(crash(&report("APPCRASH", TICKS, &odd)), None);
    }

    #[test]
    fn torn_reports_and_other_encodings_do_no_harm() {
        let whole = report("APPCRASH", TICKS, &NOTEPAD);
        for cut in 0..whole.len() {
            let _ = crash(&whole[..cut]);
        }
        assert_eq!(crash(b"EventType=APPCRASH"), None);
        assert_eq!(crash(&[0xFF, 0xFE, 0x00, 0xD8, 0x3D]), None);
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, bytes};

        bytes(
            "windows/wer::crash",
            Says::Derived("ticks of 1601 are nanoseconds of 1970"),
            &[report("APPCRASH", TICKS, &NOTEPAD)],
            crash,
        );
    }
}

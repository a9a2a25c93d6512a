//! A recording as one text: what is in it can be read before it is given away, and kept in a repository
//! whose other systems know no links and no colons in names.
//!
//! ```text
//! # a remark
//! [sys/class/dmi/id]          the directory of the names that follow
//! sys_vendor = LENOVO         a file: this line
//! os-release |                a file: the lines that follow, each behind a bar
//! |NAME="Ubuntu"
//! lsm "lockdown,yama"         a file: exactly this, as JSON writes a text
//! DMI hex 112800ff            a file: these bytes
//! sda -> /sys/devices/x/sda   a link to a place of this tree
//! tpm0 /                      a directory
//! status @ 1726000000         an empty file, changed at that second since 1970
//! ```
//!
//! # Invariants
//! - Nothing is lost: content that a line would not keep to the byte is written as JSON or in hexadecimal digits.
//!
//! Nothing here fails.

use std::collections::BTreeMap;

use super::recording::{Entry, Recording};

/// The whole text.
pub(super) fn text(recording: &Recording) -> String {
    let split = |place| str::rsplit_once(place, '/').unwrap_or((".", place));
    let told =
        recording.entries.iter().filter(|(place, entry)| !is_implied(recording, place, entry));
    let told: BTreeMap<_, _> = told.map(|(place, entry)| (split(place), entry)).collect();
    let mut text = String::new();
    let mut open = "";
    for ((directory, name), entry) in told {
        if directory != open {
            text.extend(["[", directory, "]\n"]);
            open = directory;
        }
        text.extend([name, " ", &line(entry), "\n"]);
    }
    text
}

/// A directory in which something lies needs no line of its own.
fn is_implied(recording: &Recording, place: &str, entry: &Entry) -> bool {
    let below = format!("{place}/");
    let next = recording.entries.range(below.clone()..).next();
    *entry == Entry::Directory && next.is_some_and(|(place, _)| place.starts_with(&below))
}

fn line(entry: &Entry) -> String {
    match entry {
        Entry::File(content) => file(content),
        Entry::Changed(seconds) => format!("@ {seconds}"),
        Entry::Link(to) => format!("-> /{to}"),
        Entry::Directory => "/".to_owned(),
    }
}

fn file(content: &[u8]) -> String {
    let Ok(content) = std::str::from_utf8(content) else {
        let digits: Vec<_> = content.iter().map(|byte| format!("{byte:02x}")).collect();
        return format!("hex {}", digits.concat());
    };
    match content.strip_suffix('\n').filter(|body| body.chars().all(is_kept)) {
        Some(line) if !line.is_empty() && line.trim() == line && !line.contains('\n') => {
            format!("= {line}")
        }
        Some(lines) if lines.contains('\n') => {
            format!("|\n|{}", lines.replace('\n', "\n|"))
        }
        _ => serde_json::Value::from(content).to_string(),
    }
}

/// Whether a text file keeps it through editors and checkouts.
fn is_kept(c: char) -> bool {
    !c.is_control() || c == '\t' || c == '\n'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_entry_has_its_line_and_odd_content_is_kept_to_the_byte() {
        let mut recording = Recording::default();
        let mut add = |place: &str, entry| recording.add(place.to_owned(), entry);
        let file = |content: &[u8]| Entry::File(content.to_vec());
        add("etc/os-release", file(b"NAME=\"x\"\nID=x\n"));
        add("sys/a/empty", file(b""));
        add("sys/a/line", file(b"one line\n"));
        add("sys/a/no-newline", file(b"1"));
        add("sys/a/nul", file(b"a\0"));
        add("sys/a/padded", file(b"model   \n"));
        add("sys/a/raw", file(&[0xFF, 0]));
        add("sys/b", Entry::Link("sys/a".to_owned()));
        add("sys/tpm0", Entry::Directory);
        add("sys/a", Entry::Directory);
        add("top", Entry::Changed(5));
        let expected = r#"[.]
top @ 5
[etc]
os-release |
|NAME="x"
|ID=x
[sys]
b -> /sys/a
tpm0 /
[sys/a]
empty ""
line = one line
no-newline "1"
nul "a\u0000"
padded "model   \n"
raw hex ff00
"#;
        assert_eq!(text(&recording), expected);
    }
}

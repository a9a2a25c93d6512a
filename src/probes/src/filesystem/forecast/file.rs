//! The histories as a file.
//!
//! ```text
//! candor forecast 1
//! DEVICE or - <tab> MOUNT POINT <tab> SPACING <tab> TIME:USED TIME:USED …
//! ```
//!
//! # Invariants
//! - What is read is bounded like what is written, and in order of time.
//!
//! A line that is not like this is left out; a file of another first line has no lines.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::{CLOSEST, History, MAX_LOOKS, WIDEST};
use crate::filesystem::MAX_FILESYSTEMS;

const HEAD: &str = "candor forecast 1";
/// Each look has at most 31 bytes.
const MAX_BYTES: u64 = 1 << 17;

/// The file, where there is one.
pub(super) fn content(path: &Path) -> Option<String> {
    let mut text = String::new();
    File::open(path).ok()?.take(MAX_BYTES).read_to_string(&mut text).ok()?;
    Some(text)
}

/// As text.
pub(super) fn render(histories: &[History]) -> String {
    let mut text = format!("{HEAD}\n");
    for History { key: (device, mount_point), spacing, looks } in histories {
        let device = device.as_deref().unwrap_or("-");
        // Writing to a string does not fail.
        let _ = write!(text, "{device}\t{mount_point}\t{spacing}\t");
        let looks: Vec<_> = looks.iter().map(|(time, used)| format!("{time}:{used}")).collect();
        text.push_str(&looks.join(" "));
        text.push('\n');
    }
    text
}

/// From text.
pub(super) fn parse(text: &str) -> Vec<History> {
    let mut lines = text.lines();
    if lines.next() != Some(HEAD) {
        return Vec::new();
    }
    lines.filter_map(history).take(MAX_FILESYSTEMS).collect()
}

fn history(line: &str) -> Option<History> {
    let mut parts = line.split('\t');
    let device = parts.next().filter(|device| *device != "-").map(str::to_owned);
    let mount_point = parts.next()?.to_owned();
    let spacing = parts.next()?.parse().ok().filter(|s| (CLOSEST..=WIDEST).contains(s))?;
    let look = |text: &str| {
        let (time, used) = text.split_once(':')?;
        Some((time.parse().ok()?, used.parse().ok()?))
    };
    let looks: Vec<(u64, u64)> =
        parts.next()?.split_whitespace().map(look).collect::<Option<_>>()?;
    let is_right = looks.len() <= MAX_LOOKS && looks.is_sorted_by_key(|(time, _)| *time);
    is_right.then_some(History { key: (device, mount_point), spacing, looks })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let histories = [
            History {
                key: (Some("/dev/vda1".to_owned()), "/".to_owned()),
                spacing: CLOSEST,
                looks: vec![(1, 2), (3, 4)],
            },
            History { key: (None, "/mnt/*".to_owned()), spacing: WIDEST, looks: vec![] },
        ];
        assert_eq!(parse(&render(&histories)), histories);
    }

    #[test]
    fn a_malformed_file_has_no_history_and_does_not_panic() {
        for text in [
            "",
            "candor forecast 2\n-\t/\t3600\t1:2\n",
            "candor forecast 1\n-\n-\t/\n-\t/\t1\t1:2\n-\t/\t3600\t1:2 x\n-\t/\t3600\t5:1 4:1\n",
        ] {
            assert_eq!(parse(text), [], "{text}");
        }
        let many = format!("{HEAD}\n{}", "-\t/\t3600\t1:1\n".repeat(1000));
        assert_eq!(parse(&many).len(), MAX_FILESYSTEMS);
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, text};

        text(
            "filesystem/forecast/file::parse",
            Says::Stands,
            &["candor forecast 1\n/dev/sda2\t/\t3600\t100:5 3700:6\n-\t/srv\t3600\t100:5\n"],
            parse,
        );
    }
}

//! Up to where crashes were told, kept over a restart: neither lost nor told twice.
//!
//! ```text
//! candor crashes 1
//! BOOT ID
//! sequence number of the kernel's next record, then nanoseconds since 1970 of the newest file
//! processes whose crash was told, oldest first
//! ```
//!
//! # Invariants
//! - It names no program, no user and no file.
//! - It is written when something was told, and at the first look; a quiet host writes nothing.
//! - Without it nothing from before counts: the level was just raised, or the agent was off.
//!
//! A file of another form is as good as none.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

const HEAD: &str = "candor crashes 1";
/// Processes that are kept: a dump may be written long after the kernel's line.
const MAX_KEPT: usize = 64;

/// The mark.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Mark {
    /// The boot that `next_record` belongs to.
    pub(super) boot: String,
    /// The kernel's next record: those before it were read.
    pub(super) next_record: u64,
    /// When the newest file was written, or the host was looked at.
    pub(super) until: u64,
    /// Processes whose crash was told, oldest first.
    pub(super) told: Vec<u32>,
}

/// Where it is kept, if anywhere.
#[derive(Clone, Debug, Default)]
pub(super) struct Keeper(Option<PathBuf>);

impl Keeper {
    pub(super) const fn new(path: Option<PathBuf>) -> Self {
        Self(path)
    }

    pub(super) const fn keeps(&self) -> bool {
        self.0.is_some()
    }

    pub(super) fn recall(&self) -> Option<Mark> {
        parse(&fs::read_to_string(self.0.as_ref()?).ok()?)
    }

    pub(super) fn keep(&self, mark: &Mark) {
        let Some(path) = &self.0 else { return };
        if let Err(error) = candor_platform::write_atomic(path, render(mark).as_bytes(), 0o600) {
            tracing::debug!(%error, "how far crashes were told was not kept");
        }
    }

    pub(super) fn forget(&self) {
        // What is not there is forgotten already.
        let _gone = self.0.as_deref().map(Path::to_owned).map(fs::remove_file);
    }
}

fn render(mark: &Mark) -> String {
    let Mark { boot, next_record, until, told } = mark;
    let mut text = format!("{HEAD}\n{boot}\n{next_record} {until}\n");
    for pid in told.iter().skip(told.len().saturating_sub(MAX_KEPT)) {
        // Writing to a string does not fail.
        let _ = write!(text, "{pid} ");
    }
    text.push('\n');
    text
}

fn parse(text: &str) -> Option<Mark> {
    let mut lines = text.lines();
    lines.next().filter(|head| *head == HEAD)?;
    let boot = lines.next()?.to_owned();
    let (record, until) = lines.next()?.split_once(' ')?;
    let told = lines.next()?.split_whitespace().take(MAX_KEPT).map(str::parse);
    Some(Mark {
        boot,
        next_record: record.parse().ok()?,
        until: until.parse().ok()?,
        told: told.collect::<Result<_, _>>().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_recalled_and_another_form_is_none() {
        let mark = Mark { boot: "b".into(), next_record: 7, until: 9, told: (0..100).collect() };
        let kept = Mark { told: (36..100).collect(), ..mark.clone() };
        assert_eq!(parse(&render(&mark)), Some(kept));
        assert_eq!(parse(&render(&Mark::default())), Some(Mark::default()));
        for text in ["", "candor crashes 2\nb\n1 2\n\n", "candor crashes 1\nb\n1\n\n"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, text};

        text(
            "linux/crashes/mark::parse",
            Says::Stands,
            &["candor crashes 1\n0f1e\n17 1800000000\n4711 12 \n"],
            parse,
        );
    }
}

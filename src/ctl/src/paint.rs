//! Colour, where a person looks: on a terminal, unless `NO_COLOR` says no (<https://no-color.org>).
//! Used by the commands that judge: `status`, `test`, `pins test`.
//!
//! # Invariants
//! - A colour never carries a fact alone: without it the same words stand there.
//! - What goes into a pipe or a file has no escape sequence.
//!
//! On failure: nothing here fails.

use std::env;
use std::ffi::OsStr;
use std::io::{self, IsTerminal as _};

/// What a colour says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// As it should be.
    Good,
    /// Worth a look.
    Warning,
    /// Somebody must act.
    Bad,
    /// Of less weight.
    Faint,
}

/// Whether to colour.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint(bool);

impl Paint {
    /// For this process's output.
    pub(crate) fn of_stdout() -> Self {
        let is_set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
        // A terminal that understands the sequences says so by TERM; Windows' own by WT_SESSION.
        let term = env::var_os("TERM");
        let understands =
            term.map_or_else(|| is_set("WT_SESSION"), |term| term != *OsStr::new("dumb"));
        Self(understands && !is_set("NO_COLOR") && io::stdout().is_terminal())
    }

    /// Never.
    #[cfg(test)]
    pub(crate) const PLAIN: Self = Self(false);

    /// The text in a tone.
    pub(crate) fn text(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Good => 32,
            Tone::Warning => 33,
            Tone::Bad => 31,
            Tone::Faint => 2,
        };
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// How many columns a text takes, sequences of [`Paint::text`] apart.
pub(crate) fn width(text: &str) -> usize {
    let mut is_sequence = false;
    let shown = text.chars().filter(|letter| match letter {
        '\x1b' => {
            is_sequence = true;
            false
        }
        'm' if is_sequence => {
            is_sequence = false;
            false
        }
        _ => !is_sequence,
    });
    shown.count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colour_takes_no_room_and_plain_has_none() {
        let painted = Paint(true).text(Tone::Bad, "hold me");
        assert_eq!(painted, "\x1b[31mhold me\x1b[0m");
        assert_eq!(width(&painted), 7);
        assert_eq!(Paint::PLAIN.text(Tone::Bad, "hold"), "hold");
    }
}

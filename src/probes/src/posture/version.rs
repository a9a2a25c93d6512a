//! The operating system's name, version and patch level, from the text of `os-release`.
//!
//! # Invariants
//! - Only bytes to text: the same on every system.
//! - A line that is no assignment is passed over, as `os-release(5)` says.

use crate::filler::fact;

/// What `os-release` says.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Release {
    pub(super) name: Option<String>,
    pub(super) version: Option<String>,
    pub(super) build: Option<String>,
    id: String,
    long_version: String,
}

impl Release {
    pub(super) fn parse(text: &str) -> Self {
        let value = |key: &str| {
            let mut lines = text.lines().filter_map(|line| line.trim().split_once('='));
            lines.find(|(name, _)| *name == key).map(|(_, value)| unquote(value))
        };
        let told = |key: &str| fact(&value(key)?);
        Self {
            name: told("NAME"),
            version: told("VERSION_ID"),
            build: told("BUILD_ID").or_else(|| told("IMAGE_VERSION")),
            id: value("ID").unwrap_or_default(),
            long_version: value("VERSION").unwrap_or_default(),
        }
    }

    /// The point release where `VERSION_ID` leaves it out: Debian keeps it in `debian_version`,
    /// Ubuntu in the long version. Elsewhere the version itself tells it.
    pub(super) fn patch_level(&self, debian: impl FnOnce() -> Option<String>) -> Option<String> {
        let level = match self.id.as_str() {
            "debian" | "raspbian" => debian()?,
            "ubuntu" => self.long_version.split_whitespace().next()?.to_owned(),
            _ => return None,
        };
        let is_level = level.contains('.') && level.starts_with(|c: char| c.is_ascii_digit());
        is_level.then_some(level).as_deref().and_then(fact)
    }
}

/// A value as the shell would read it.
fn unquote(value: &str) -> String {
    let value = value.trim();
    let quoted = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    match (quoted('"'), quoted('\'')) {
        (Some(inner), _) => {
            let mut escaped = false;
            let keep = |c: &char| {
                escaped = *c == '\\' && !escaped;
                !escaped
            };
            inner.chars().filter(keep).collect()
        }
        (None, Some(inner)) => inner.to_owned(),
        (None, None) => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debian_and_ubuntu_tell_their_point_release() {
        let debian = Release::parse("NAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nID=debian\n");
        assert_eq!(debian.version.as_deref(), Some("12"));
        assert_eq!(debian.patch_level(|| Some("12.11".into())).as_deref(), Some("12.11"));
        assert_eq!(debian.patch_level(|| Some("trixie/sid".into())), None);
        let text = "NAME=Ubuntu\nID=ubuntu\nVERSION_ID=\"22.04\"\nVERSION=\"22.04.3 LTS (Jammy)\"";
        assert_eq!(Release::parse(text).patch_level(|| None).as_deref(), Some("22.04.3"));
    }

    #[test]
    fn values_are_read_as_a_shell_reads_them() {
        let text = "# NAME=no\nNAME=\"An \\\"odd\\\" one\"\n  ID='x'\nnonsense\nVERSION_ID=\n";
        let release = Release::parse(text);
        assert_eq!(release.name.as_deref(), Some("An \"odd\" one"));
        assert_eq!((release.version, release.id.as_str()), (None, "x"));
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, text};

        text(
            "posture/version::parse",
            Says::Stands,
            &[
                "NAME=\"Debian GNU/Linux\"\nVERSION_ID='12'\nID=ubuntu\nVERSION=\"22.04.3 LTS\"\nBUILD_ID=20\n",
            ],
            |text| {
                let release = Release::parse(text);
                (release.patch_level(|| None), release)
            },
        );
    }
}

//! The short name of a device, kept in place. The level 2 probes follow devices by it.
//!
//! # Invariants
//! - No path can pass for a name, and a name does nothing to a terminal.
//! - Copying or comparing one allocates nothing.
//!
//! What is no name is [`None`], and its device is not followed.

/// The most bytes of a [`Name`]: the kernel's limits are 31 for a disk and 15 for an adapter.
const NAME_BYTES: usize = 47;

/// A short name of a device, kept without allocation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Name {
    bytes: [u8; NAME_BYTES],
    len: u8,
}

impl Name {
    /// The name; `None` when it is empty, longer than 47 bytes, no UTF-8, or holds a slash or a
    /// control character, so that no path can pass for a name.
    pub(crate) fn new(name: &[u8]) -> Option<Self> {
        let text = str::from_utf8(name).ok()?;
        let is_plain = !text.is_empty() && !text.chars().any(|c| c == '/' || c.is_control());
        let len = u8::try_from(name.len()).ok()?;
        let mut bytes = [0; NAME_BYTES];
        bytes.get_mut(..name.len())?.copy_from_slice(name);
        is_plain.then_some(Self { bytes, len })
    }

    /// The text.
    pub(crate) fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..usize::from(self.len)).unwrap_or_default();
        str::from_utf8(bytes).unwrap_or_default()
    }
}

impl std::fmt::Debug for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_an_overlong_text_or_a_control_character_is_no_name() {
        assert_eq!(Name::new(b"nvme0n1").unwrap().as_str(), "nvme0n1");
        for name in [&b""[..], b"a/b", b"a\nb", b"\xff", &[b'a'; 48]] {
            assert_eq!(Name::new(name), None, "{name:?}");
        }
        assert!(Name::new(&[b'a'; 47]).is_some());
    }

    #[test]
    fn damage_neither_breaks_it_nor_makes_it_invent() {
        use candor_fuzz::{Says, bytes};

        bytes("name::new", Says::Stands, &[b"nvme0n1".to_vec()], Name::new);
    }
}

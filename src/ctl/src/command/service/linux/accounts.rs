//! Users and groups by name, from the host's own files: system users stand nowhere else.
//!
//! # Invariants
//! - No name service is asked.
//!
//! A line that is not understood is passed over.

use std::path::Path;

/// A user's id and his group's.
pub(super) fn user(root: &Path, name: &str) -> Option<(u32, u32)> {
    entry(&root.join("etc/passwd"), name, |mut fields| {
        Some((fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?))
    })
}

/// A group's id.
pub(super) fn group(root: &Path, name: &str) -> Option<u32> {
    entry(&root.join("etc/group"), name, |mut fields| fields.nth(1)?.parse().ok())
}

/// What `read` makes of the fields after the name.
fn entry<T>(
    file: &Path,
    name: &str,
    read: impl Fn(std::str::Split<'_, char>) -> Option<T>,
) -> Option<T> {
    let text = std::fs::read(file).ok()?;
    String::from_utf8_lossy(&text).lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| read(fields)).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_whole_and_damage_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("etc")).unwrap();
        let passwd = "candorous:x:1:1::/:\ncandor:x:many\ncandor:x:990:991::/var/lib/candor:/x\n";
        std::fs::write(dir.path().join("etc/passwd"), passwd).unwrap();
        std::fs::write(dir.path().join("etc/group"), "candor:x:991:ana\n").unwrap();
        assert_eq!(user(dir.path(), "candor"), Some((990, 991)));
        assert_eq!(user(dir.path(), "ana"), None);
        assert_eq!(group(dir.path(), "candor"), Some(991));
        assert_eq!(group(dir.path(), "candor-operators"), None);
    }
}

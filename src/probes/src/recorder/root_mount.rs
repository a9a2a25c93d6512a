//! What `/` lies on: its line of `mountinfo` without what an administrator chose, and the link to its device.
//!
//! Where `/` lies on no device, nothing is recorded.

use super::Copy;

/// Adds the mount of `/` to a recording.
pub(super) fn record(copy: &mut Copy<'_>) {
    let mounts = ["1", "self"].map(|process| format!("proc/{process}/mountinfo"));
    let found =
        mounts.iter().find_map(|path| Some((path, copy.host.content(&copy.host.path(path))?)));
    let Some((path, mounts)) = found else { return };
    let Some((number, line)) = mounts.lines().rev().find_map(root) else { return };
    copy.text(path, &line);
    let device = format!("sys/dev/block/{number}");
    if let Some(place) = copy.leads_to(&copy.host.path(&device)) {
        copy.link(&device, &place);
    }
}

/// The device's number and the line, if it is that of `/`. Only a device of this machine is named.
fn root(line: &str) -> Option<(String, String)> {
    let (place, kind) = line.split_once(" - ")?;
    let mut words = place.split(' ').skip(2);
    let (number, point) = (words.next()?, words.nth(1)?);
    let mut words = kind.split(' ');
    let (kind, source) = (words.next()?, words.next()?);
    let source = if source.starts_with("/dev/") { source } else { "none" };
    let line = format!("1 0 {number} / / rw - {kind} {source} rw\n");
    (point == "/").then(|| (number.to_owned(), line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_device_of_the_root_is_told() {
        let line = "60 1 0:22 /@alice / rw,x=1 shared:1 - nfs server:/export rw,addr=192.0.2.1";
        let (number, line) = root(line).unwrap();
        assert_eq!((&*number, &*line), ("0:22", "1 0 0:22 / / rw - nfs none rw\n"));
        let (_, line) = root("60 1 252:1 / / rw - ext4 /dev/mapper/vg-root rw").unwrap();
        assert_eq!(line, "1 0 252:1 / / rw - ext4 /dev/mapper/vg-root rw\n");
        assert_eq!(root("61 60 8:1 / /home rw - ext4 /dev/sda1 rw"), None);
    }
}

//! What `/` lies on: its line of `mountinfo` without what an administrator chose, and the link to its device.
//!
//! Where `/` lies on no device, nothing is recorded.

use super::{Copy, Disguise, Entry};

/// Adds the mount of `/` to a recording.
pub(super) fn record(copy: &mut Copy<'_>) {
    let mounts = ["1", "self"].map(|process| format!("proc/{process}/mountinfo"));
    let found =
        mounts.iter().find_map(|path| Some((path, copy.host.content(&copy.host.path(path))?)));
    let Some((path, mounts)) = found else { return };
    let disguise = &mut copy.disguise;
    let found = mounts.lines().rev().find_map(|line| root(line, disguise));
    let Some((number, line)) = found else { return };
    copy.add(path, Entry::File(line.into_bytes()));
    let device = format!("sys/dev/block/{number}");
    if let Some(place) = copy.leads_to(&copy.host.path(&device)) {
        copy.link(&device, &place);
    }
}

/// The device's number and the line, if it is that of `/`.
fn root(line: &str, disguise: &mut Disguise) -> Option<(String, String)> {
    let (place, kind) = line.split_once(" - ")?;
    let mut words = place.split(' ').skip(2);
    let (number, point) = (words.next()?, words.nth(1)?);
    let mut words = kind.split(' ');
    let (kind, source) = (words.next()?, words.next()?);
    (point == "/").then(|| {
        let source = device(number, source, disguise);
        (number.to_owned(), format!("1 0 {number} / / rw - {kind} {source} rw\n"))
    })
}

/// The device by a name that tells nothing of its maker or its owner. It matters only where the number leads to
/// none, as that of a file system over several devices.
fn device(number: &str, source: &str, disguise: &mut Disguise) -> String {
    let Some(name) = source.strip_prefix("/dev/") else { return "none".to_owned() };
    match name.strip_prefix("mapper/") {
        _ if !number.starts_with("0:") => "/dev/root".to_owned(),
        Some(name) => format!("/dev/mapper/{}", disguise.volume(name)),
        None if !name.contains('/') => source.to_owned(),
        None => "none".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_device_of_the_root_is_told() {
        let mut disguise = Disguise::default();
        let line = "60 1 0:22 /@alice / rw,x=1 shared:1 - nfs server:/export rw,addr=192.0.2.1";
        let (number, line) = root(line, &mut disguise).unwrap();
        assert_eq!((&*number, &*line), ("0:22", "1 0 0:22 / / rw - nfs none rw\n"));
        assert_eq!(root("61 60 8:1 / /home rw - ext4 /dev/sda1 rw", &mut disguise), None);
    }

    #[test]
    fn a_device_is_named_only_where_its_number_leads_nowhere_and_by_no_name_of_its_own() {
        for (number, source, told) in [
            ("252:1", "/dev/mapper/vg-root", "/dev/root"),
            ("8:2", "/dev/disk/by-id/wwn-0x5000c500a1b2c3d4-part2", "/dev/root"),
            ("0:25", "/dev/mapper/vg-root", "/dev/mapper/volume-1"),
            ("0:25", "/dev/sda2", "/dev/sda2"),
            ("0:25", "/dev/disk/by-uuid/0f1e2d3c", "none"),
            ("0:22", "server:/export", "none"),
        ] {
            assert_eq!(device(number, source, &mut Disguise::default()), told, "{number} {source}");
        }
    }
}

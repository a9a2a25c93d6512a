//! A host whose storage is layered: `/` on a logical volume on a mirror of two encrypted partitions; a
//! second mirror that lost a disk; a ZFS pool on two whole disks with a volume in it; containers on overlay
//! mounts, and a bind mount over a part of `/`. Four drives and nothing else are drives.

use candor_model::Event;
use candor_model::events::device::{Drive, DriveBus, DriveKind, Storage};
use candor_model::events::quality::Alerts;
use candor_model::events::security::Posture;

use crate::events;
use crate::tree::Tree;

pub(crate) fn tree() -> Tree {
    let tree = Tree::new();
    for (number, name) in [(1, "sda"), (2, "sdb"), (3, "sdc"), (4, "sdd")] {
        let place = format!(
            "pci0000:00/0000:00:17.0/ata{number}/host{number}/target{number}:0:0/{number}:0:0:0/block/{name}"
        );
        tree.block(
            &place,
            &[
                ("size", "7814037168"),
                ("removable", "0"),
                ("queue/rotational", "1"),
                ("queue/logical_block_size", "512"),
                ("queue/physical_block_size", "4096"),
                ("device/vendor", "ATA     "),
                ("device/model", "WDC WD40EFRX-68N32N0"),
            ],
        );
        for part in 1..=2 {
            let part = format!("{name}{part}");
            tree.files(
                &format!("sys/devices/{place}/{part}"),
                &[("partition", "1"), ("size", "9")],
            );
            tree.link(&format!("sys/class/block/{part}"), &format!("sys/devices/{place}/{part}"));
        }
    }
    let layer = |name: &str, files: &[(&str, &str)], below: &[&str]| {
        let place = format!("virtual/block/{name}");
        tree.block(&place, &[&[("size", "7000000")], files].concat());
        for one in below {
            tree.link(
                &format!("sys/devices/{place}/slaves/{one}"),
                &format!("sys/class/block/{one}"),
            );
        }
    };
    layer("dm-0", &[("dm/name", "crypt-a"), ("dm/uuid", "CRYPT-LUKS2-a-crypt-a")], &["sda2"]);
    layer("dm-1", &[("dm/name", "crypt-b"), ("dm/uuid", "CRYPT-LUKS2-b-crypt-b")], &["sdb2"]);
    layer("md0", &[("md/level", "raid1"), ("md/degraded", "0")], &["dm-0", "dm-1"]);
    layer("md1", &[("md/level", "raid1"), ("md/degraded", "1")], &["sda1"]);
    layer("dm-2", &[("dm/name", "vg-root"), ("dm/uuid", "LVM-x")], &["md0"]);
    layer("zd0", &[("queue/rotational", "0")], &[]);
    layer("loop7", &[("loop/backing_file", "/x")], &[]);
    tree.link("sys/dev/block/252:2", "sys/devices/virtual/block/dm-2");
    tree.file(
        "proc/1/mountinfo",
        "21 1 252:2 / / rw,relatime shared:1 - ext4 /dev/mapper/vg-root rw\n\
         30 21 252:2 /srv/data /data rw,relatime shared:1 - ext4 /dev/mapper/vg-root rw\n\
         31 21 0:50 / /tank rw shared:2 - zfs tank rw,xattr\n\
         40 21 0:61 / /var/lib/docker/overlay2/a/merged rw - overlay overlay rw,lowerdir=/x\n",
    );
    tree.file("sys/fs/ext4/dm-2/errors_count", "2");
    tree
}

pub(crate) fn expected() -> Vec<Event> {
    let posture = Posture { root_encrypted: Some(true), ..Posture::default() };
    let drive = Drive {
        kind: Some(DriveKind::Hdd),
        bus: Some(DriveBus::Ata),
        size: Some(7_814_037_168 * 512),
        sector_size: Some(512),
        physical_sector_size: Some(4096),
        model_family: Some("WDC WD40EFRX".into()),
    };
    let storage = Storage { count: Some(4), drives: Some(vec![drive; 4]) };
    let alerts =
        Alerts { filesystem_errors: Some(2), arrays_degraded: Some(1), ..Alerts::default() };
    events![posture, storage, alerts]
}

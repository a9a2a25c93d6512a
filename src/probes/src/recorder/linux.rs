//! What is recorded of a Linux machine: how the files of the [allow-list](allowed) are copied.
//!
//! # Invariants
//! - Of a file that says more than the inventory needs, only the lines that it needs are copied.
//! - Parts of a path that the allow-list spells stay as they are, whatever the host is called.
//!
//! A file that cannot be read is left out.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::UNIX_EPOCH;

use super::disguise::Disguise;
use super::recording::{Entry, Recording};
use crate::{Host, ProbeError, smbios};

mod allowed;
mod root_mount;

use allowed::{BLOCK, CHANGED, FILES, NET, PARTS, PCI, PRESENT, WIRELESS};

/// The uevent of a device says more; this is what kind of device it is.
const DEVTYPE: &str = "DEVTYPE=";

#[expect(clippy::unnecessary_wraps, reason = "Windows has nothing to record, and says so")]
pub(super) fn record(host: &Host) -> Result<Recording, ProbeError> {
    let names = [host.proc("sys/kernel/hostname"), host.etc("hostname")];
    let mut copy = Copy {
        host,
        spelt: allowed::spelt(),
        disguise: Disguise::new(names.iter().filter_map(|file| host.text(file))),
        recording: Recording::default(),
    };
    for pattern in FILES {
        each(host, pattern, &mut |path| copy.file(path));
    }
    for pattern in PRESENT {
        each(host, pattern, &mut |path| copy.present(path));
    }
    for path in CHANGED {
        copy.changed(path);
    }
    for (path, is_wanted) in PARTS {
        each(host, path, &mut |path| copy.lines(path, *is_wanted));
    }
    copy.classes();
    copy.firmware();
    root_mount::record(&mut copy);
    Ok(copy.recording)
}

/// Every path that a pattern stands for: `*` is any part of a name.
fn each(host: &Host, pattern: &str, with: &mut impl FnMut(&str)) {
    let Some(star) = pattern.find('*') else { return with(pattern) };
    let start = pattern[..star].rfind('/').map_or(0, |slash| slash + 1);
    let end = pattern[star..].find('/').map_or(pattern.len(), |slash| star + slash);
    let (before, after) = (&pattern[start..star], &pattern[star + 1..end]);
    for name in host.names(&host.path(&pattern[..start])) {
        let rest = name.strip_prefix(before);
        if rest.is_some_and(|rest| rest.ends_with(after)) {
            each(host, &format!("{}{name}{}", &pattern[..start], &pattern[end..]), with);
        }
    }
}

struct Copy<'a> {
    host: &'a Host,
    spelt: BTreeSet<&'static str>,
    disguise: Disguise,
    recording: Recording,
}

impl Copy<'_> {
    fn add(&mut self, path: &str, entry: Entry) {
        let place = self.place(path);
        self.recording.add(place, entry);
    }

    /// Where it stands in the recording. What the list itself spells out is nobody's: a variable of UEFI has a
    /// UUID in its name.
    fn place(&mut self, path: &str) -> String {
        let disguise = &mut self.disguise;
        let parts = path.split('/').map(|part| {
            let counted = format!("{}*", part.trim_end_matches(|c: char| c.is_ascii_digit()));
            let is_spelt = [part, &counted].iter().any(|part| self.spelt.contains(part));
            if is_spelt { part.to_owned() } else { disguise.clean(part) }
        });
        parts.collect::<Vec<_>>().join("/")
    }

    fn text(&mut self, path: &str, text: &str) {
        let text = self.disguise.clean(text);
        self.add(path, Entry::File(text.into_bytes()));
    }

    /// A file as it is. A variable of UEFI is no text; what else is none is damaged, and may have names in it.
    fn file(&mut self, path: &str) {
        let Some(content) = self.host.bytes(&self.host.path(path)) else { return };
        match String::from_utf8(content) {
            Ok(text) => self.text(path, &text),
            Err(binary) if path.contains("/SecureBoot-") => {
                self.add(path, Entry::File(binary.into_bytes()));
            }
            Err(text) => self.text(path, &String::from_utf8_lossy(text.as_bytes())),
        }
    }

    /// That it is there, and nothing of it.
    fn present(&mut self, path: &str) {
        let Ok(found) = self.host.path(path).symlink_metadata() else { return };
        let entry = if found.is_file() { Entry::File(Vec::new()) } else { Entry::Directory };
        self.add(path, entry);
    }

    /// When it was changed.
    fn changed(&mut self, path: &str) {
        let changed = self.host.path(path).metadata().and_then(|found| found.modified());
        if let Some(since) = changed.ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok()) {
            self.add(path, Entry::Changed(since.as_secs()));
        }
    }

    /// Some lines of a file; that it is there, if it has none of them.
    fn lines(&mut self, path: &str, is_wanted: fn(&str) -> bool) {
        let Some(content) = self.host.content(&self.host.path(path)) else { return };
        let wanted: String =
            content.split_inclusive('\n').filter(|line| is_wanted(line.trim_end())).collect();
        self.text(path, &wanted);
    }

    fn classes(&mut self) {
        for class in ["block", "class/block"] {
            self.links(class, BLOCK);
        }
        self.links("class/net", NET);
        self.links("class/scsi_host", &["proc_name"]);
        self.links("bus/pci/devices", PCI);
    }

    /// Each entry of a class that has one of the files: its directory where it hangs, and the link to it.
    fn links(&mut self, class: &str, files: &[&str]) {
        for name in self.host.names(&self.host.sys(class)) {
            let entry = self.host.sys(class).join(&name);
            let has_file = files.iter().any(|file| entry.join(file).exists());
            let Some(place) = self.leads_to(&entry).filter(|_| has_file) else { continue };
            for file in files {
                self.file(&format!("{place}/{file}"));
            }
            self.lines(&format!("{place}/uevent"), |line| line.starts_with(DEVTYPE));
            self.behind(&place);
            self.below(&place);
            self.link(&format!("sys/{class}/{name}"), &place);
        }
    }

    /// The driver and the bus of the device behind an adapter.
    fn behind(&mut self, place: &str) {
        let device = self.host.path(place).join("device");
        let Some(at) = self.leads_to(&device).filter(|_| place.contains("/net/")) else { return };
        for link in ["driver", "subsystem"] {
            if let Some(to) = self.leads_to(&device.join(link)) {
                self.add(&to, Entry::Directory);
                self.link(&format!("{at}/{link}"), &to);
            }
        }
        self.lines(&format!("{at}/uevent"), |line| line.starts_with("DRIVER="));
        self.add(&at, Entry::Directory);
        for mark in WIRELESS {
            self.present(&format!("{place}/{mark}"));
        }
        self.link(&format!("{place}/device"), &at);
    }

    /// What a layer of storage lies on, its number and what kind of layer it is; the rest of its id is left.
    fn below(&mut self, place: &str) {
        let slaves = self.host.path(place).join("slaves");
        for name in self.host.names(&slaves) {
            if let Some(to) = self.leads_to(&slaves.join(&name)) {
                self.link(&format!("{place}/slaves/{name}"), &to);
            }
        }
        let [name, identity] = ["name", "uuid"].map(|file| format!("{place}/dm/{file}"));
        if let Some(text) = self.host.text(&self.host.path(&name)) {
            let volume = self.disguise.volume(&text);
            self.add(&name, Entry::File(format!("{volume}\n").into_bytes()));
        }
        let text = self.host.text(&self.host.path(&identity));
        if let Some((kind, _)) = text.as_deref().and_then(|text| text.split_once('-')) {
            self.text(&identity, &format!("{kind}-\n"));
        }
    }

    /// Memory modules and chassis; no string of the table.
    fn firmware(&mut self) {
        const TABLE: &str = "sys/firmware/dmi/tables/DMI";
        let table = {
            // The table is root's; what is taken from it is not.
            let _raised = candor_platform::raise_to_read();
            self.host.bytes(&self.host.path(TABLE))
        };
        if let Some(table) = table {
            self.add(TABLE, Entry::File(smbios::without_strings(&table)));
        }
    }

    fn leads_to(&self, path: &Path) -> Option<String> {
        self.host.leads_to(path).map(|place| place.to_string_lossy().into_owned())
    }

    fn link(&mut self, path: &str, to: &str) {
        if path != to {
            let to = self.place(to);
            self.add(path, Entry::Link(to));
        }
    }
}

//! The disk as a power cut leaves it: what was synced is there; of what was not, each write is
//! there, is not, or is torn.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::vfs::{Change, Op};

/// What becomes of changes that were not synced.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fate {
    /// All are lost, the mirror with them.
    Lost,
    /// All are lost but the mirror, which the page cache happened to write out.
    LostButMirror,
    /// All are there: a killed process.
    Kept,
    /// Each has its own fate, by this seed.
    Mixed(u64),
}

/// A file: what the platter has for certain, and what may have come to it.
#[derive(Clone, Debug, Default)]
struct File {
    synced: Option<Vec<u8>>,
    unsynced: Vec<Change>,
}

/// The disk after some changes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    files: BTreeMap<String, File>,
    mirror: Option<Arc<[u8]>>,
    /// The mirror when a file was last synced.
    old_mirror: Option<Arc<[u8]>>,
}

impl Disk {
    pub(crate) fn apply(&mut self, op: &Op) {
        self.mirror.clone_from(&op.mirror);
        let is_new = self.files.get(&op.file).is_none_or(|file| file.synced.is_none());
        if matches!(op.change, Change::Sync) && is_new {
            self.sync_directory();
        }
        let file = self.files.entry(op.file.clone()).or_default();
        if matches!(op.change, Change::Sync) {
            let mut bytes = file.synced.take().unwrap_or_default();
            for change in file.unsynced.drain(..) {
                land(&mut bytes, &change, usize::MAX);
            }
            file.synced = Some(bytes);
            self.old_mirror.clone_from(&op.mirror);
        } else {
            file.unsynced.push(op.change.clone());
        }
    }

    /// The first sync of a file that was made syncs its directory as well; so do removals then
    /// stand.
    fn sync_directory(&mut self) {
        for file in self.files.values_mut() {
            let removed = |change: &Change| matches!(change, Change::Delete);
            if let Some(place) = file.unsynced.iter().rposition(removed) {
                file.unsynced.drain(..=place);
                file.synced = None;
            }
        }
    }

    /// Writes the disk into a directory.
    pub(crate) fn leave(&self, dir: &Path, fate: Fate) {
        let mut dice = Dice(match fate {
            Fate::Mixed(seed) => seed,
            _ => 0,
        });
        for (name, file) in &self.files {
            if let Some(bytes) = file.left(fate, &mut dice) {
                std::fs::write(dir.join(name), bytes).unwrap();
            }
        }
        let mirror = match fate {
            Fate::Lost => self.old_mirror.clone(),
            Fate::LostButMirror | Fate::Kept => self.mirror.clone(),
            Fate::Mixed(_) => self.torn_mirror(&mut dice),
        };
        if let Some(mirror) = mirror {
            std::fs::write(dir.join("counters.mirror"), mirror).unwrap();
        }
    }

    /// Sectors of the new mirror among those of the old one.
    fn torn_mirror(&self, dice: &mut Dice) -> Option<Arc<[u8]>> {
        let mut bytes = self.mirror.as_ref()?.to_vec();
        for (sector, old) in self.old_mirror.as_ref()?.chunks(512).enumerate() {
            if dice.roll(3) == 0 {
                bytes[sector * 512..][..old.len()].copy_from_slice(old);
            }
        }
        Some(bytes.into())
    }
}

impl File {
    fn left(&self, fate: Fate, dice: &mut Dice) -> Option<Vec<u8>> {
        let mut bytes = self.synced.clone();
        for change in &self.unsynced {
            let most = match fate {
                Fate::Lost | Fate::LostButMirror => continue,
                Fate::Kept => usize::MAX,
                Fate::Mixed(_) => match dice.roll(4) {
                    0 => continue,
                    1 => 512 * dice.roll(8),
                    2 => 4096,
                    _ => usize::MAX,
                },
            };
            if matches!(change, Change::Delete) {
                bytes = None;
            } else {
                land(bytes.get_or_insert_default(), change, most);
            }
        }
        bytes
    }
}

/// Brings a change to a file, or no more than the first `most` bytes of it.
fn land(file: &mut Vec<u8>, change: &Change, most: usize) {
    match change {
        Change::Write { place, bytes } => {
            let bytes = &bytes[..bytes.len().min(most)];
            let end = place + bytes.len();
            if file.len() < end {
                file.resize(end, 0);
            }
            file[*place..end].copy_from_slice(bytes);
        }
        Change::Truncate(size) => file.resize(*size, 0),
        Change::Delete => file.clear(),
        Change::Sync => {}
    }
}

/// Numbers that are the same for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % sides as u64).unwrap()
    }
}

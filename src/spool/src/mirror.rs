//! A small copy of the counters and of the install id outside the database, so that a lost
//! database takes neither the numbers nor the ledger nor the id with it.
//!
//! ```text
//! counters.mirror, 2048 bytes, two slots of 1024, each text padded with line feeds:
//!   candor-mirror 1
//!   install_id 6f1c…            uuid v4
//!   serial 42                   the commit that these counters belong to
//!   next_seq 1001 …             one line for each word of `Books::list`; `before_…` only where the
//!                               ids were renewed, so that earlier versions read the others
//!   sum 2774341239              CRC-32C of the words and numbers
//!   end 1b2c3d4e                CRC-32C of all bytes above, so the id is covered as well
//! slot 0: intent, written before COMMIT.   slot 1: done, written after it.
//! ```
//!
//! A slot is one write of the page cache and no fsync: a killed process loses nothing of it, and an
//! fsync for each commit would double the cost of all commits to guard against a power cut that
//! also destroys the database. It is forced to the disk at each checkpoint, at close, and at most
//! every ten minutes of activity; so that double fault loses at most ten minutes of counters.
//!
//! # Invariants
//! - One slot is whole at every moment: the two are never written together.
//! - `intent` is never behind the store and `done` never ahead of it. An intent ahead of the store
//!   is a commit that a crash cut off; a done ahead of the store is a commit that the medium lost.
//!
//! On failure the store goes on without a mirror, says so once, and tries again at each commit.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use candor_model::InstallKey;

use crate::books::Books;

/// The file's name in the state directory.
pub(crate) const FILE: &str = "counters.mirror";

const SLOT: usize = 1024;
const HEAD: &str = "candor-mirror 1";

/// Which slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// Before the commit.
    Intent,
    /// After it.
    Done,
}

/// What one slot holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) install_id: String,
    /// The secret of a new id, on its way into the store; never in the mirror.
    pub(crate) key: Option<InstallKey>,
    pub(crate) books: Books,
}

/// What both slots hold; `None` where one is absent or damaged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reflection {
    pub(crate) intent: Option<Entry>,
    pub(crate) done: Option<Entry>,
}

impl Reflection {
    /// Reads the mirror of a state directory.
    pub(crate) fn read(dir: &Path) -> Self {
        let mut bytes = Vec::with_capacity(2 * SLOT);
        let most = 2 * SLOT as u64;
        let read = File::open(dir.join(FILE)).and_then(|f| f.take(most).read_to_end(&mut bytes));
        if read.is_err() {
            return Self::default();
        }
        let (intent, done) = bytes.split_at(bytes.len().min(SLOT));
        Self { intent: parse(intent), done: parse(done) }
    }

    /// The later of the two: what to go on from when the store is gone.
    pub(crate) fn latest(self) -> Option<Entry> {
        match (self.intent, self.done) {
            (Some(a), Some(b)) => Some(if a.books.serial > b.books.serial { a } else { b }),
            (a, b) => a.or(b),
        }
    }
}

/// The open mirror.
#[derive(Debug)]
pub(crate) struct Mirror {
    path: PathBuf,
    file: Option<File>,
    install_id: String,
    /// The trouble was told.
    told: bool,
}

impl Mirror {
    /// The mirror of a state directory; the file is opened, or made, with the first write.
    pub(crate) fn open(dir: &Path, install_id: String) -> Self {
        Self { path: dir.join(FILE), file: None, install_id, told: false }
    }

    pub(crate) fn install_id(&self) -> &str {
        &self.install_id
    }

    /// The id is another from now on.
    pub(crate) fn rename(&mut self, install_id: String) {
        self.install_id = install_id;
    }

    /// Writes one slot, without fsync.
    pub(crate) fn write(&mut self, slot: Slot, books: &Books) {
        let bytes = render(&self.install_id, books);
        let place = if slot == Slot::Intent { 0 } else { SLOT as u64 };
        self.attempt("write", |file| {
            file.seek(SeekFrom::Start(place))?;
            file.write_all(&bytes)
        });
    }

    /// Forces both slots to the disk; whether an fsync happened.
    pub(crate) fn force(&mut self) -> bool {
        self.attempt("force", |file| file.sync_data());
        self.file.is_some()
    }

    fn attempt(&mut self, verb: &str, work: impl FnOnce(&mut File) -> io::Result<()>) {
        match self.opened().and_then(work) {
            Ok(()) => self.told = false,
            Err(error) => {
                self.file = None;
                if !std::mem::replace(&mut self.told, true) {
                    let path = self.path.display();
                    tracing::warn!(%path, %error, "cannot {verb} the mirror of the counters");
                }
            }
        }
    }

    fn opened(&mut self) -> io::Result<&mut File> {
        if self.file.is_none() {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false);
            self.file = Some(options.open(&self.path)?);
        }
        self.file.as_mut().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

fn render(install_id: &str, books: &Books) -> Vec<u8> {
    let mut text = format!("{HEAD}\ninstall_id {install_id}\n");
    for (word, number) in books.list() {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{word} {number}");
    }
    let end = crc32c::crc32c(text.as_bytes());
    let _ = writeln!(text, "end {end:08x}");
    let mut bytes = text.into_bytes();
    bytes.resize(SLOT, b'\n');
    bytes
}

fn parse(slot: &[u8]) -> Option<Entry> {
    let text = std::str::from_utf8(slot).ok()?;
    let (covered, tail) = text.split_at(text.find("\nend ")? + 1);
    let end = u32::from_str_radix(tail.lines().next()?.strip_prefix("end ")?, 16).ok()?;
    if end != crc32c::crc32c(covered.as_bytes()) {
        return None;
    }
    let mut lines = covered.lines();
    if lines.next()? != HEAD {
        return None;
    }
    let install_id = lines.next()?.strip_prefix("install_id ")?.to_owned();
    let list: Vec<(&str, u64)> = lines
        .map(|line| line.split_once(' ').and_then(|(w, n)| Some((w, n.parse().ok()?))))
        .collect::<Option<_>>()?;
    let books = Books::read(|word| list.iter().find(|(w, _)| *w == word).map(|&(_, n)| n))?;
    Some(Entry { install_id, key: None, books })
}

#[cfg(test)]
mod tests {
    use candor_model::Level;

    use super::*;

    fn books(serial: u64) -> Books {
        let mut books = Books { serial, ..Books::default() };
        books.generate(Level::Enhanced, serial * 10);
        books
    }

    #[test]
    fn the_longest_entry_fits_its_slot() {
        let mut books = Books { serial: u64::MAX, uploaded: u64::MAX, ..Books::default() };
        books.by_level = [u64::MAX / 8; 4];
        books.dropped.0 = [u64::MAX / 8; 8];
        books.withheld = u64::MAX;
        books.refused = u64::MAX;
        books.damages = u64::MAX;
        books.last_upload = u64::MAX;
        books.mark = crate::timeline::Mark { at: u64::MAX, wall: u64::MAX };
        let text = render("00000000-0000-4000-8000-000000000000", &books);
        assert_eq!(text.len(), SLOT);
        assert_eq!(text.last(), Some(&b'\n'));
    }

    #[test]
    fn an_entry_after_a_renewal_fits_and_reads_back() {
        let mut books = books(9);
        books.uploaded = 1_000_000_000_000;
        books.by_level = [1_000_000_000_000; 4];
        books.dropped.0 = [300_000_000_000; 8];
        books.renew();
        books.generate(Level::Basic, 7);
        let found = parse(&render("00000000-0000-8000-8000-000000000000", &books)).unwrap();
        assert_eq!(found.books, books);
        assert_eq!(found.books.next_seq(), 8);
    }

    #[test]
    fn the_later_slot_is_the_one_to_go_on_from() {
        let dir = tempfile::tempdir().unwrap();
        let mut mirror = Mirror::open(dir.path(), "id".into());
        mirror.write(Slot::Intent, &books(1));
        mirror.write(Slot::Done, &books(1));
        mirror.write(Slot::Intent, &books(2));
        let found = Reflection::read(dir.path());
        assert_eq!(found.done.as_ref().unwrap().books, books(1));
        let latest = Entry { install_id: "id".into(), key: None, books: books(2) };
        assert_eq!(found.latest().unwrap(), latest);
    }

    #[test]
    fn a_flip_of_any_byte_costs_at_most_the_slot_in_which_it_lies() {
        let dir = tempfile::tempdir().unwrap();
        let mut mirror = Mirror::open(dir.path(), "6f1c".into());
        mirror.write(Slot::Intent, &books(2));
        mirror.write(Slot::Done, &books(2));
        let path = dir.path().join(FILE);
        let whole = std::fs::read(&path).unwrap();
        for place in 0..whole.len() {
            let mut bent = whole.clone();
            bent[place] ^= 0x01;
            std::fs::write(&path, &bent).unwrap();
            let latest = Reflection::read(dir.path()).latest().expect("the other slot");
            assert_eq!((latest.install_id.as_str(), latest.books), ("6f1c", books(2)), "{place}");
        }
    }

    #[test]
    fn an_absent_or_foreign_file_reflects_nothing() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Reflection::read(dir.path()), Reflection::default());
        std::fs::write(dir.path().join(FILE), [0xff; 5000]).unwrap();
        assert_eq!(Reflection::read(dir.path()).latest(), None);
        std::fs::write(dir.path().join(FILE), b"short").unwrap();
        assert_eq!(Reflection::read(dir.path()).latest(), None);
    }
}

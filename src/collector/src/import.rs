//! Takes in a file that `agentctl export` wrote, for hosts without a network, and signs what it took.
//!
//! ```text
//! file -> entries -> the codec -> rows -> one transaction -> (end right? receipt signed?) -> COMMIT
//! ```
//!
//! # Invariants
//! - All of a file or nothing: the transaction commits after the end proved the file whole, and after the
//!   receipt was signed.
//! - A record that is there already, from another import or an upload, is stored once and counts as taken.
//! - A record that cannot be stored is named as refused, and keeps none of the others out.
//!
//! On failure the store is as it was.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use candor_model::Kind;
use candor_otlp::{DecodeError, DecodedRecord, End, FileEntry, FileError, FileReader, decode_each};
use rusqlite::TransactionBehavior;

use crate::receipts::{Purpose, ReceiptError, Said, Signer};
use crate::row::Rows;
use crate::store::{self, Inserts, Range, StoreError, runs};

/// Why a file was not taken in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImportError {
    /// It cannot be opened.
    #[error("cannot open {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The system's failure.
        #[source]
        source: io::Error,
    },
    /// It is not what an export wrote.
    #[error("{} is not taken in, and nothing of it is stored", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: FileError,
    },
    /// An entry that is no OTLP.
    #[error("{} holds something that is no record; nothing of it is stored", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// The codec's words.
        #[source]
        source: DecodeError,
    },
    /// Its end says something else than its records.
    #[error("the end of {} says something else than its records ({what}): export again", path.display())]
    Contradiction {
        /// The file.
        path: PathBuf,
        /// What differs.
        what: &'static str,
    },
    /// The store.
    #[error("the store does not take it, and nothing of it is stored")]
    Store(#[source] StoreError),
    /// The receipt.
    #[error("no receipt can be signed for it, so nothing of it is stored")]
    Receipt(#[source] ReceiptError),
}

/// What was taken in.
#[derive(Debug)]
pub(crate) struct Imported {
    /// The signed receipt.
    pub(crate) receipt: String,
    /// Records in the file.
    pub(crate) records: u64,
    /// Records that were refused.
    pub(crate) rejected: u64,
    /// Whose they are.
    pub(crate) install_id: String,
}

/// What was read so far.
#[derive(Default)]
struct Tally {
    install_id: Option<String>,
    is_mixed: bool,
    accepted: Vec<i64>,
    rejected: Vec<i64>,
}

/// Takes a file in.
///
/// # Errors
/// See [`ImportError`]; then nothing was stored.
pub(crate) fn import(dir: &Path, store: &Path, path: &Path) -> Result<Imported, ImportError> {
    let signer = Signer::load(dir).map_err(ImportError::Receipt)?;
    let file =
        File::open(path).map_err(|source| ImportError::Open { path: path.to_owned(), source })?;
    let mut db = store::open_or_make(store).map_err(ImportError::Store)?;
    let failed = |source| ImportError::Store(StoreError::of_write(source));
    let transaction =
        db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    let (end, tally) = fill(&transaction, BufReader::new(file), path)?;
    let imported = tally.conclude(&end, &signer, path)?;
    transaction.commit().map_err(failed)?;
    Ok(imported)
}

/// Stores every record of the file in the open transaction.
fn fill(
    db: &rusqlite::Connection,
    file: BufReader<File>,
    path: &Path,
) -> Result<(End, Tally), ImportError> {
    let failed = |source| ImportError::Store(StoreError::of_write(source));
    let (mut reader, mut tally) = (FileReader::new(file), Tally::default());
    let mut inserts = Inserts::new(db).map_err(failed)?;
    loop {
        let entry = reader.entry();
        match entry.map_err(|source| ImportError::File { path: path.to_owned(), source })? {
            FileEntry::Request(kind, body) => {
                let rows = tally.take(kind, &body);
                let rows =
                    rows.map_err(|source| ImportError::Record { path: path.to_owned(), source })?;
                inserts.batch(&rows.into_vec()).map_err(failed)?;
            }
            FileEntry::End(end) => return Ok((end, tally)),
        }
    }
}

impl Tally {
    fn take(&mut self, kind: Kind, body: &[u8]) -> Result<Rows, DecodeError> {
        let mut rows = Rows::default();
        decode_each(kind, body, |record: DecodedRecord| {
            let seq = record.seq.and_then(|seq| i64::try_from(seq).ok());
            match (&self.install_id, &record.install_id) {
                (None, Some(id)) => self.install_id = Some(id.clone()),
                (Some(known), Some(id)) if known == id => {}
                _ => self.is_mixed = true,
            }
            let (Ok(()), Some(seq)) = (rows.push(record), seq) else {
                self.rejected.extend(seq);
                self.is_mixed |= seq.is_none();
                return Ok::<_, DecodeError>(());
            };
            self.accepted.push(seq);
            Ok(())
        })?;
        Ok(rows)
    }

    /// The receipt, if the end says the same.
    fn conclude(self, end: &End, signer: &Signer, path: &Path) -> Result<Imported, ImportError> {
        let contradicts = |what| Err(ImportError::Contradiction { path: path.to_owned(), what });
        let install_id = self.install_id.unwrap_or_else(|| end.install_id.clone());
        if self.is_mixed || install_id != end.install_id {
            return contradicts("whose they are");
        }
        let all = runs([&self.accepted[..], &self.rejected[..]].concat());
        let count = |numbers: &[i64]| u64::try_from(numbers.len()).unwrap_or(u64::MAX);
        let records = count(&self.accepted) + count(&self.rejected);
        if records != end.records || all != signed(&end.ranges) {
            return contradicts("which they are");
        }
        let rejected = count(&self.rejected);
        let (accepted, refused) = (runs(self.accepted), runs(self.rejected));
        let said = Said {
            purpose: Purpose::Import,
            install_id: &install_id,
            nonce: end.digest(),
            numberless: 0,
            accepted: &accepted,
            rejected: &refused,
        };
        let receipt = signer.sign(&said).map_err(ImportError::Receipt)?;
        Ok(Imported { receipt, records, rejected, install_id })
    }
}

fn signed(ranges: &[(u64, u64)]) -> Vec<Range> {
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    ranges.iter().map(|(first, last)| (number(*first), number(*last))).collect()
}

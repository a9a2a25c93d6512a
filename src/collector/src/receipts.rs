//! Signs receipts: what the collector did for the owner of a host, in a form that proves it later.
//!
//! ```text
//! DIR/receipt.key    signs receipts; `serve`, `import` and `delete` use it
//! DIR/receipt.json   its public half, signed by the key that signs settings: goes along with each receipt
//! {"document": "…", "signature": "…", "key": <receipt.json>}                              a receipt
//! ```
//!
//! # Invariants
//! - The key that agents trust (`SettingsKeys`) is needed once, to vouch for the receipt key; it may then
//!   lie far away from this host. The receipt key signs nothing that agents would take as settings.
//! - What is signed names itself as a receipt and its purpose.
//!
//! On failure there is no receipt, and nothing is done for which one would be due.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use candor_model::UnixNanos;
use candor_platform::FileError;
use minisign::{KeyPair, PError, SecretKey, SecretKeyBox};
use serde_json::{Value, json};

use crate::store::Range;

const KEY: &str = "receipt.key";
const VOUCHED: &str = "receipt.json";
/// Agents take no larger receipt.
pub(crate) const MAX_BYTES: usize = 48 * 1024;

/// Why there is no receipt.
#[derive(Debug, thiserror::Error)]
pub enum ReceiptError {
    /// No receipt key.
    #[error("there is no receipt key in {}: make one with `candor-collector receipt-key --key offline/settings.key`", dir.display())]
    Missing {
        /// The directory.
        dir: PathBuf,
    },
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's failure.
        #[source]
        source: io::Error,
    },
    /// The key file is none.
    #[error("{} is no minisign secret key that can be used", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: PError,
    },
    /// The signature could not be made.
    #[error("cannot sign")]
    Sign(#[source] PError),
    /// A file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The platform's failure.
        #[source]
        source: FileError,
    },
    /// Larger than agents take.
    #[error(
        "the records are in too many runs of numbers for one receipt ({0} bytes): upload or import what is older first"
    )]
    Oversized(usize),
}

/// What a receipt is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Deletion,
    Import,
}

/// What a receipt says.
#[derive(Clone, Debug)]
pub(crate) struct Said<'a> {
    pub(crate) purpose: Purpose,
    pub(crate) install_id: &'a str,
    /// From the request, or the file's digest.
    pub(crate) nonce: &'a str,
    /// Records without a number among the accepted ones.
    pub(crate) numberless: u64,
    pub(crate) accepted: &'a [Range],
    pub(crate) rejected: &'a [Range],
}

/// The receipt key.
pub(crate) struct Signer {
    secret: SecretKey,
    vouched: Value,
}

impl Signer {
    /// The key in the collector's directory.
    ///
    /// # Errors
    /// There is none, or it cannot be used.
    pub(crate) fn load(dir: &Path) -> Result<Self, ReceiptError> {
        let (key, vouched) = (dir.join(KEY), dir.join(VOUCHED));
        if !key.exists() || !vouched.exists() {
            return Err(ReceiptError::Missing { dir: dir.to_owned() });
        }
        let secret = secret_key(&key)?;
        let text = read(&vouched)?;
        let vouched = serde_json::from_str(&text)
            .map_err(|error| ReceiptError::Read { path: vouched, source: error.into() })?;
        Ok(Self { secret, vouched })
    }

    /// A signed receipt.
    ///
    /// # Errors
    /// The signature cannot be made, or the receipt is larger than agents take.
    pub(crate) fn sign(&self, said: &Said<'_>) -> Result<String, ReceiptError> {
        let width = |ranges: &[Range]| -> i64 { ranges.iter().map(|(a, b)| b - a + 1).sum() };
        let numbers = width(said.accepted) + width(said.rejected);
        let document = json!({
            "candor_receipt": 1,
            "purpose": match said.purpose {
                Purpose::Deletion => "deletion",
                Purpose::Import => "import",
            },
            "install_id": said.install_id,
            "time": now(),
            "nonce": said.nonce,
            "records": u64::try_from(numbers).unwrap_or(0) + said.numberless,
            "accepted": said.accepted,
            "rejected": said.rejected,
        });
        let mut receipt = signed(&self.secret, &document.to_string(), "candor receipt")?;
        receipt["key"] = self.vouched.clone();
        let text = receipt.to_string();
        if text.len() > MAX_BYTES { Err(ReceiptError::Oversized(text.len())) } else { Ok(text) }
    }
}

/// Makes a receipt key, vouched for by the key that signs settings.
///
/// # Errors
/// A key cannot be read or made, or a file not be written.
pub fn make(dir: &Path, settings_key: &Path) -> Result<(), ReceiptError> {
    for (path, bytes, mode) in files(dir, &secret_key(settings_key)?)? {
        candor_platform::write_atomic(&path, bytes.as_bytes(), mode)
            .map_err(|source| ReceiptError::Write { path, source })?;
    }
    Ok(())
}

/// The two files of a new receipt key: where, what, with which mode.
pub(crate) fn files(
    dir: &Path,
    settings_key: &SecretKey,
) -> Result<[(PathBuf, String, u32); 2], ReceiptError> {
    let pair = KeyPair::generate_unencrypted_keypair().map_err(ReceiptError::Sign)?;
    let secret = pair.sk.to_box(Some("Candor receipts, secret key")).map_err(ReceiptError::Sign)?;
    let document = json!({ "candor_receipt_key": 1, "key": pair.pk.to_base64() }).to_string();
    let vouched = signed(settings_key, &document, "candor receipt key")?;
    Ok([
        (dir.join(KEY), secret.into_string(), 0o600),
        (dir.join(VOUCHED), vouched.to_string() + "\n", 0o644),
    ])
}

fn signed(key: &SecretKey, document: &str, comment: &str) -> Result<Value, ReceiptError> {
    let signature = minisign::sign(None, key, document.as_bytes(), Some(comment), None);
    let signature = signature.map_err(ReceiptError::Sign)?.into_string();
    Ok(json!({ "document": document, "signature": signature }))
}

fn read(path: &Path) -> Result<String, ReceiptError> {
    std::fs::read_to_string(path)
        .map_err(|source| ReceiptError::Read { path: path.to_owned(), source })
}

/// A key with a password asks for it on the terminal.
fn secret_key(path: &Path) -> Result<SecretKey, ReceiptError> {
    let sealed = SecretKeyBox::from(read(path)?);
    let plain = sealed.clone().into_unencrypted_secret_key();
    plain
        .or_else(|_| sealed.into_secret_key(None))
        .map_err(|source| ReceiptError::Key { path: path.to_owned(), source })
}

fn now() -> Value {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    candor_otlp::json::time(UnixNanos(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)))
}

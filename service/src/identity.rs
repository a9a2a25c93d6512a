//! Who this installation is: the secret behind keyed ids, the id of this boot, and the store that
//! holds the random install id.
//!
//! # Invariants
//! - The secret never leaves the host; it is made once and only `agentctl delete` renews it.
//! - The boot id that leaves is a keyed hash: joinable with itself, useless beside other data.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use candor_model::Kind;
use candor_pipeline::{keyed_boot, keyed_ids};
use candor_platform::{boot_id, random_bytes, total_bytes, write_atomic};
use candor_policy::{Config, UploadConfig};
use candor_probes::Pseudonym;
use candor_spool::{Framing, Settings, Spool};

use crate::failure::Failure;

/// The keyed ids of this installation and the id of this boot.
pub(crate) struct Identity {
    pub(crate) ids: Pseudonym,
    pub(crate) boot: Arc<str>,
}

impl Identity {
    /// Reads the secret from its file, or makes it.
    ///
    /// # Errors
    /// When a new secret cannot be made.
    pub(crate) fn load(secret_file: &Path) -> Result<Self, Failure> {
        let ids = keyed_ids(secret(secret_file)?);
        // Where the system names no boot, each start of the agent counts as one.
        let boot = boot_id().map_or_else(|| random::<16>().map(|id| hex(&id)), Ok)?;
        Ok(Self { boot: keyed_boot(&ids, &boot), ids })
    }
}

/// Opens the store of this installation, or makes it.
///
/// # Errors
/// When it cannot be opened; a damaged one is set aside and is no error.
pub(crate) fn open_spool(state_dir: &Path, config: &Config) -> Result<Spool, Failure> {
    Spool::open(state_dir, spool_settings(state_dir, config), Box::new(OtlpFraming))
        .map_err(Failure::Spool)
}

/// The bounds of the store, as configured.
pub(crate) fn spool_settings(state_dir: &Path, config: &Config) -> Settings {
    Settings {
        max_bytes: config.spool.max_bytes,
        max_age: config.spool.max_age,
        // Twice: what was reported just after an upload waits a whole interval for the next.
        backlog_after: config.upload.interval.unwrap_or(UploadConfig::INTERVAL) * 2,
        min_free: config.spool.min_free.unwrap_or_else(|| default_min_free(state_dir)),
        ..Settings::default()
    }
}

/// The lesser of 128 MiB and 5 % of the file system.
fn default_min_free(state_dir: &Path) -> u64 {
    let five_percent = total_bytes(state_dir).map_or(u64::MAX, |total| total / 20);
    five_percent.min(128 << 20)
}

/// The codec's three functions, for the spool.
struct OtlpFraming;

impl Framing for OtlpFraming {
    fn seal(&self, kind: Kind, body: &[u8], seq: u64, out: &mut Vec<u8>) {
        candor_otlp::seal(kind, body, seq, out);
    }

    fn frame_len(&self, kind: Kind, bytes: &[u8]) -> Option<usize> {
        candor_otlp::frame_len(kind, bytes)
    }

    fn unseal(&self, kind: Kind, frame: &[u8], seq: u64) -> Option<Vec<u8>> {
        candor_otlp::unseal(kind, frame, seq).map(<[u8]>::to_vec)
    }
}

fn secret(path: &Path) -> Result<[u8; 32], Failure> {
    if let Some(secret) = fs::read(path).ok().and_then(|bytes| bytes.try_into().ok()) {
        return Ok(secret);
    }
    let secret = random()?;
    write_atomic(path, &secret, 0o600).map_err(Failure::Files)?;
    Ok(secret)
}

fn random<const N: usize>() -> Result<[u8; N], Failure> {
    random_bytes().map_err(|source| Failure::System { what: "random ids", source })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_is_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        let made = secret(&path).unwrap();
        assert_eq!(secret(&path).unwrap(), made);
    }

    #[test]
    fn a_secret_of_the_wrong_length_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        fs::write(&path, [1; 31]).unwrap();
        assert_eq!(secret(&path).unwrap().len(), 32);
        assert_eq!(fs::read(&path).unwrap().len(), 32);
    }
}

//! `init`: writes what [`crate::certificates`] made, and says what agents need to know of it.
//!
//! ```text
//! DIR/ca.pem  server.pem  server.key  settings.pub  receipt.key  receipt.json
//!                                                   agent.toml is only printed
//! DIR/offline/ca.key  backup.key  settings.key      to be moved away; `serve` never reads it
//! ```
//!
//! # Invariants
//! - A file that exists is never overwritten: keys that agents have pinned are not replaced by
//!   accident.
//! - Keys are readable by their owner alone, from the first byte on.
//!
//! On failure some files may be written; the message names the one that failed, and a second run
//! names those that stand in its way.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use candor_model::{Pin, UnixNanos};
use candor_platform::FileError;
use serde_json::json;

use crate::certificates::{CertificateError, Identity};
use crate::cli::DEFAULT_PORT;

/// The authority's certificate, for the agents.
pub(crate) const AUTHORITY: &str = "ca.pem";
/// The server's certificate.
pub(crate) const SERVER_CERTIFICATE: &str = "server.pem";
/// The server's key.
pub(crate) const SERVER_KEY: &str = "server.key";
const OFFLINE: &str = "offline";
const AUTHORITY_KEY: &str = "ca.key";
const BACKUP_KEY: &str = "backup.key";
const SETTINGS_KEY: &str = "settings.key";
const SETTINGS_PUBLIC: &str = "settings.pub";

/// Mode of a key.
const PRIVATE: u32 = 0o600;
/// Mode of a certificate.
const PUBLIC: u32 = 0o644;

/// Why a directory was not initialised.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// Something of an earlier `init` is there.
    #[error("{} exists: choose another --dir, or move that file away if no agent trusts it any more", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The directory's path has no text form, which `agent.toml` needs.
    #[error("the path {} is not Unicode: choose another --dir", path.display())]
    Path {
        /// The path.
        path: PathBuf,
    },
    /// The directory's absolute path is unknown.
    #[error("cannot find the absolute path of {}", path.display())]
    Absolute {
        /// The path.
        path: PathBuf,
        /// The system's failure.
        #[source]
        source: std::io::Error,
    },
    /// No identity.
    #[error("cannot make certificates")]
    Certificates(#[source] CertificateError),
    /// No key for receipts.
    #[error("cannot make the key that signs receipts")]
    ReceiptKey(#[source] crate::receipts::ReceiptError),
    /// No key for remote settings.
    #[error("cannot make the key that signs settings")]
    SettingsKey(#[source] minisign::PError),
    /// A file or directory could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The path.
        path: PathBuf,
        /// The platform's failure.
        #[source]
        source: FileError,
    },
}

/// An initialised directory, and what to say of it.
#[derive(Debug)]
pub struct Initialised {
    /// The directory.
    pub dir: PathBuf,
    /// The authority's certificate, as an absolute path.
    pub ca_file: String,
    /// Pin of the server key, then of the backup key.
    pub pins: [Pin; 2],
    /// The public key of the one that signs remote settings: for `SettingsKeys`.
    pub settings_key: String,
    /// A complete `agent.toml` for an agent that reaches this collector.
    pub agent_toml: String,
    authority_expires: SystemTime,
    server_expires: SystemTime,
}

impl Initialised {
    /// Makes keys and certificates for this host's local names and `names`, and writes them.
    ///
    /// # Errors
    /// A file of an earlier `init` is in the way, a name is none, or a file cannot be written.
    pub fn make(dir: &Path, names: &[String]) -> Result<Self, InitError> {
        let dir = std::path::absolute(dir)
            .map_err(|source| InitError::Absolute { path: dir.to_owned(), source })?;
        let ca_file = dir.join(AUTHORITY);
        let Some(ca_file) = ca_file.to_str().map(str::to_owned) else {
            return Err(InitError::Path { path: dir });
        };
        let identity = Identity::make(names, SystemTime::now()).map_err(InitError::Certificates)?;
        let signer = Signer::make().map_err(InitError::SettingsKey)?;
        let receipts = crate::receipts::files(&dir, &signer.secret);
        let receipts = receipts.map_err(InitError::ReceiptKey)?;
        write_all(&dir, &identity, &signer, &receipts)?;
        let host = names.first().map_or("localhost", String::as_str);
        let agent_toml = agent_toml(host, &ca_file, &identity.pins, &signer.public);
        Ok(Self {
            dir,
            ca_file,
            pins: identity.pins,
            settings_key: signer.public,
            agent_toml,
            authority_expires: identity.authority_expires,
            server_expires: identity.server_expires,
        })
    }

    /// `{"ca_file","pins","settings_key","agent_toml"}`.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let pins: Vec<_> = self.pins.iter().map(Pin::to_string).collect();
        json!({
            "ca_file": self.ca_file,
            "pins": pins,
            "settings_key": self.settings_key,
            "agent_toml": self.agent_toml,
        })
    }

    /// The same for a person.
    #[must_use]
    pub fn text(&self) -> String {
        let Self { dir, pins: [server, backup], agent_toml, .. } = self;
        let offline = dir.join(OFFLINE);
        let mut text = String::new();
        let _ = write!(
            // writing to a String cannot fail
            text,
            "\
Made in {dir}:
  {AUTHORITY}      the authority, valid until {authority_day}; agents get it as ca_file
  {SERVER_CERTIFICATE}  the server's certificate, valid until {server_day}; {SERVER_KEY} beside it
  receipt.key signs receipts for owners; receipt.json is its public half with the settings key's signature
Made in {offline}, to be moved to a safe place away from this host (serve never reads it):
  {AUTHORITY_KEY}      signs the next server certificate
  {BACKUP_KEY}  takes the place of {SERVER_KEY} if that is lost or stolen; agents trust it already
  {SETTINGS_KEY}  signs remote settings (minisign); {SETTINGS_PUBLIC} is its public half

Pins:
  {server}  the server's key
  {backup}  the backup key

Start:       candor-collector serve --dir {dir} --listen 0.0.0.0:{DEFAULT_PORT}
agent.toml for every agent:

{agent_toml}",
            dir = dir.display(),
            offline = offline.display(),
            authority_day = day(self.authority_expires),
            server_day = day(self.server_expires),
        );
        text
    }
}

/// The key that signs remote settings, in the files' form of minisign.
struct Signer {
    secret: minisign::SecretKey,
    secret_file: String,
    public_file: String,
    public: String,
}

impl Signer {
    /// Without a password: it lies beside the authority's key, to be moved away with it.
    fn make() -> Result<Self, minisign::PError> {
        let pair = minisign::KeyPair::generate_unencrypted_keypair()?;
        Ok(Self {
            secret_file: pair.sk.to_box(Some("Candor remote settings, secret key"))?.into_string(),
            public_file: pair.pk.to_box()?.into_string(),
            public: pair.pk.to_base64(),
            secret: pair.sk,
        })
    }
}

/// Writes every file, keys first; checks before the first that none is there.
fn write_all(
    dir: &Path,
    identity: &Identity,
    signer: &Signer,
    receipts: &[(PathBuf, String, u32)],
) -> Result<(), InitError> {
    let offline = dir.join(OFFLINE);
    let files = [
        (offline.join(AUTHORITY_KEY), &identity.authority_key, PRIVATE),
        (offline.join(BACKUP_KEY), &identity.backup_key, PRIVATE),
        (offline.join(SETTINGS_KEY), &signer.secret_file, PRIVATE),
        (dir.join(SERVER_KEY), &identity.server_key, PRIVATE),
        (dir.join(SERVER_CERTIFICATE), &identity.server, PUBLIC),
        (dir.join(AUTHORITY), &identity.authority, PUBLIC),
        (dir.join(SETTINGS_PUBLIC), &signer.public_file, PUBLIC),
    ];
    let receipts = receipts.iter().map(|(path, text, mode)| (path.clone(), text, *mode));
    let files: Vec<_> = files.into_iter().chain(receipts).collect();
    if let Some((path, ..)) = files.iter().find(|(path, ..)| path.symlink_metadata().is_ok()) {
        return Err(InitError::Exists { path: path.clone() });
    }
    for path in [dir, &offline] {
        if !path.is_dir() {
            candor_platform::create_private_dir(path)
                .map_err(|source| InitError::Write { path: path.to_owned(), source })?;
        }
    }
    for (path, text, mode) in files {
        candor_platform::write_atomic(&path, text.as_bytes(), mode)
            .map_err(|source| InitError::Write { path, source })?;
    }
    Ok(())
}

fn agent_toml(host: &str, ca_file: &str, pins: &[Pin; 2], settings_key: &str) -> String {
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    // JSON's escapes are all TOML's too.
    let ca_file = json!(ca_file);
    let [server, backup] = pins;
    format!(
        "\
# Say the port if the collector listens on another one.
EventsEndpoint = \"https://{host}:{DEFAULT_PORT}\"
CertificatePins = [
    \"{server}\",
    \"{backup}\",
]
# Whose receipts count: for `agentctl delete --remote` and `agentctl import-receipt`.
SettingsKeys = [\"{settings_key}\"]
# Settings from afar, which can only lower; without this line there are none.
# SettingsEndpoint = \"https://{host}:{DEFAULT_PORT}\"

[upload]
# Where this host keeps a copy of the collector's {AUTHORITY}.
ca_file = {ca_file}
"
    )
}

/// The day in UTC, as `2027-11-20`.
fn day(time: SystemTime) -> String {
    let nanos = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
    let time = candor_otlp::json::time(UnixNanos(u64::try_from(nanos).unwrap_or(u64::MAX)));
    time.as_str().unwrap_or_default().chars().take(10).collect()
}

//! Makes what a fresh collector identifies itself with: an authority of its own, a server
//! certificate signed by it, and a backup key that waits for the day the server key must go.
//! First step of `init`; everything here is in memory, `init` writes it.
//!
//! # Invariants
//! - Keys are ECDSA P-256 and come from ring's system random source; none leaves this module but as
//!   PEM for a file.
//! - The server certificate can only be a server (`serverAuth`, `digitalSignature`, no CA); the
//!   authority can only sign end entities (path length 0).
//! - The first pin is the server key's, the second the backup key's: SHA-256 of the SPKI in DER.
//!
//! On failure nothing was made; a bad name is said by name.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use candor_model::Pin;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, PublicKeyData as _, date_time_ymd,
};
use rustls_pki_types::ServerName;
use sha2::{Digest as _, Sha256};

/// How long the authority is valid: ten years of 365.25 days, rounded down.
pub const AUTHORITY_DAYS: u32 = 3652;
/// How long the server certificate is valid.
pub const SERVER_DAYS: u32 = 365;

/// Names that every server certificate has, for a collector on the same host.
const LOCAL_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
/// A host whose clock is behind by less than this still accepts a certificate made just now.
const BACKDATED: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// Everything that `init` writes, as PEM, and the pins that agents need.
#[derive(Debug)]
pub struct Identity {
    /// Certificate of the authority: the agents' `ca_file`.
    pub authority: String,
    /// Key of the authority; belongs offline.
    pub authority_key: String,
    /// Certificate of the server.
    pub server: String,
    /// Key of the server.
    pub server_key: String,
    /// Key that replaces the server's; belongs offline.
    pub backup_key: String,
    /// Pin of the server key, then of the backup key.
    pub pins: [Pin; 2],
    /// End of the authority's validity.
    pub authority_expires: SystemTime,
    /// End of the server certificate's validity.
    pub server_expires: SystemTime,
}

/// Why no identity could be made.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A `--name` that cannot stand in a certificate.
    #[error(
        "`{name}` is neither a host name nor an IP address: give --name a name that agents connect to"
    )]
    Name {
        /// The name as given.
        name: String,
    },
    /// Key generation or signing failed.
    #[error("cannot make the {what}")]
    Make {
        /// What was being made.
        what: &'static str,
        /// The cause.
        #[source]
        source: rcgen::Error,
    },
}

impl Identity {
    /// A fresh identity for this host's local names and for `names`, valid from an hour before `now`.
    ///
    /// # Errors
    /// A name that is neither a host name nor an address, or a failing random source.
    pub fn make(names: &[String], now: SystemTime) -> Result<Self, CertificateError> {
        let names = all_names(names)?;
        let authority_expires = now + DAY * AUTHORITY_DAYS;
        let server_expires = now + DAY * SERVER_DAYS;

        let authority = authority(now, authority_expires)?;
        let server_key = key("server key")?;
        let backup_key = key("backup key")?;
        let server = server_params(names, now, server_expires)?
            .signed_by(&server_key, &authority)
            .map_err(|source| CertificateError::Make { what: "server certificate", source })?;

        Ok(Self {
            authority: authority.pem(),
            authority_key: authority.key().serialize_pem(),
            server: server.pem(),
            server_key: server_key.serialize_pem(),
            backup_key: backup_key.serialize_pem(),
            pins: [pin(&server_key), pin(&backup_key)],
            authority_expires,
            server_expires,
        })
    }
}

/// The pin of a key: SHA-256 of its SPKI in DER.
fn pin(key: &KeyPair) -> Pin {
    Pin::from_bytes(Sha256::digest(key.subject_public_key_info()).into())
}

fn key(what: &'static str) -> Result<KeyPair, CertificateError> {
    KeyPair::generate().map_err(|source| CertificateError::Make { what, source })
}

/// The local names and the given ones, each once, each checked.
fn all_names(given: &[String]) -> Result<Vec<String>, CertificateError> {
    let mut names: Vec<String> = LOCAL_NAMES.iter().map(|&name| name.to_owned()).collect();
    for name in given {
        ServerName::try_from(name.as_str())
            .map_err(|_| CertificateError::Name { name: name.clone() })?;
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    Ok(names)
}

fn authority(
    now: SystemTime,
    expires: SystemTime,
) -> Result<CertifiedIssuer<'static, KeyPair>, CertificateError> {
    let key = key("authority key")?;
    // Part of the key's digest in the name, so that two collectors' authorities are told apart.
    let [a, b, c, d, ..] = *pin(&key).as_bytes();
    let name = format!("Candor collector CA {a:02x}{b:02x}{c:02x}{d:02x}");
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name(&name);
    set_validity(&mut params, now, expires);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    CertifiedIssuer::self_signed(params, key)
        .map_err(|source| CertificateError::Make { what: "authority certificate", source })
}

fn server_params(
    names: Vec<String>,
    now: SystemTime,
    expires: SystemTime,
) -> Result<CertificateParams, CertificateError> {
    let mut params = CertificateParams::new(names)
        .map_err(|source| CertificateError::Make { what: "server certificate", source })?;
    params.distinguished_name = common_name("Candor collector");
    set_validity(&mut params, now, expires);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn common_name(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

/// rcgen's dates are the crate `time`'s, reached here through `date_time_ymd` alone.
fn set_validity(params: &mut CertificateParams, now: SystemTime, expires: SystemTime) {
    let epoch = date_time_ymd(1970, 1, 1);
    let since = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default();
    params.not_before = epoch + since(now.checked_sub(BACKDATED).unwrap_or(now));
    params.not_after = epoch + since(expires);
}

#[cfg(test)]
mod tests {
    use rustls_pki_types::pem::PemObject as _;
    use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
    use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

    use super::*;

    fn verify(identity: &Identity, name: &str, now: SystemTime) -> Result<(), webpki::Error> {
        let authority = CertificateDer::from_pem_slice(identity.authority.as_bytes()).unwrap();
        let server = CertificateDer::from_pem_slice(identity.server.as_bytes()).unwrap();
        let anchor = anchor_from_trusted_cert(&authority).unwrap();
        let server = EndEntityCert::try_from(&server).unwrap();
        server.verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            &[anchor],
            &[],
            UnixTime::since_unix_epoch(now.duration_since(UNIX_EPOCH).unwrap()),
            KeyUsage::server_auth(),
            None,
            None,
        )?;
        server.verify_is_valid_for_subject_name(&ServerName::try_from(name.to_owned()).unwrap())
    }

    #[test]
    fn the_server_certificate_verifies_for_each_name_and_for_no_other() {
        let now = SystemTime::now();
        let names = ["telemetry.example.org".to_owned(), "192.0.2.7".to_owned()];
        let identity = Identity::make(&names, now).unwrap();
        for name in ["localhost", "127.0.0.1", "::1", "telemetry.example.org", "192.0.2.7"] {
            verify(&identity, name, now).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        assert!(verify(&identity, "example.org", now).is_err());
        assert!(verify(&identity, "192.0.2.8", now).is_err());
    }

    #[test]
    fn the_server_certificate_ends_after_its_year_and_begins_an_hour_ago() {
        let now = SystemTime::now();
        let identity = Identity::make(&[], now).unwrap();
        let minute = Duration::from_mins(1);
        let valid = |at| verify(&identity, "localhost", at).is_ok();
        assert!(valid(now - BACKDATED + minute) && !valid(now - BACKDATED - minute));
        assert!(valid(identity.server_expires - minute));
        assert!(!valid(identity.server_expires + minute));
    }

    #[test]
    fn the_pins_are_those_of_the_keys_as_webpki_and_rcgen_read_them_back() {
        let identity = Identity::make(&[], SystemTime::now()).unwrap();
        let der = CertificateDer::from_pem_slice(identity.server.as_bytes()).unwrap();
        let spki = EndEntityCert::try_from(&der).unwrap().subject_public_key_info();
        assert_eq!(identity.pins[0].as_bytes()[..], Sha256::digest(&spki)[..]);
        let backup = KeyPair::from_pem(&identity.backup_key).unwrap();
        let digest = Sha256::digest(backup.subject_public_key_info());
        assert_eq!(identity.pins[1].as_bytes()[..], digest[..]);
        assert_ne!(identity.pins[0], identity.pins[1]);
    }

    #[test]
    fn each_key_reads_back_as_pkcs8() {
        let identity = Identity::make(&[], SystemTime::now()).unwrap();
        for key in [&identity.authority_key, &identity.server_key, &identity.backup_key] {
            assert!(PrivateKeyDer::from_pem_slice(key.as_bytes()).is_ok());
        }
    }

    #[test]
    fn a_name_that_is_none_is_refused_by_name() {
        for name in ["", "two words", "https://example.org", "*.example.org", "a..b"] {
            let error = Identity::make(&[name.to_owned()], SystemTime::now()).unwrap_err();
            assert!(error.to_string().contains(&format!("`{name}`")), "{error}");
        }
    }
}

//! Pins for a person: computed from a file, and tried against a server. For `agentctl pins
//! compute` and `pins test`; the uploader itself never needs this.
//!
//! # Invariants
//! - A test shakes hands exactly as the uploader does and sends no request: what it reports is what
//!   the uploader would meet.
//! - A test needs no pin to be right: it then tells which pin would match.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use candor_model::Pin;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::{PemObject as _, SectionKind};

use crate::decision::{Decision, Now, State, decide};
use crate::dial::dial;
use crate::tls::{Session, secure};
use crate::verifier::{Finding, pin_of, pin_of_anchor};
use crate::{Destination, Timing, Trouble, certificate};

/// The pin of one certificate or public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Computed {
    /// Common name of a certificate's subject, else its organisation; `None` for a bare key.
    pub subject: Option<String>,
    /// Until when a certificate is valid, `YYYY-MM-DD`.
    pub not_after: Option<String>,
    /// Its pin.
    pub pin: Pin,
}

/// Why no pin can be computed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ComputeError {
    /// The text is damaged PEM.
    #[error("the PEM text is damaged: {0}; write the file again")]
    Pem(String),
    /// A certificate in it cannot be read.
    #[error("certificate {position} cannot be read: {what}; write the file again")]
    Certificate {
        /// Which one, from 1.
        position: usize,
        /// What is wrong.
        what: String,
    },
    /// Neither a certificate nor a public key.
    #[error("no certificate and no public key: name a PEM file with `BEGIN CERTIFICATE`")]
    Nothing,
}

/// The pins of all certificates and public keys in a PEM text, in their order.
///
/// # Errors
/// When the text is damaged or has none.
pub fn compute(pem: &[u8]) -> Result<Vec<Computed>, ComputeError> {
    let mut found = Vec::new();
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(pem) {
        match section.map_err(|error| ComputeError::Pem(error.to_string()))? {
            (SectionKind::Certificate, der) => {
                let position = found.len() + 1;
                let computed = of_certificate(&der)
                    .map_err(|what| ComputeError::Certificate { position, what })?;
                found.push(computed);
            }
            (SectionKind::PublicKey, spki) => {
                found.push(Computed { subject: None, not_after: None, pin: pin_of(&spki) });
            }
            _ => {}
        }
    }
    if found.is_empty() { Err(ComputeError::Nothing) } else { Ok(found) }
}

fn of_certificate(der: &[u8]) -> Result<Computed, String> {
    let certificate = CertificateDer::from(der);
    // Not that it is trusted: this reads the key of any certificate, version 1 included.
    let anchor = webpki::anchor_from_trusted_cert(&certificate).map_err(|e| format!("{e:?}"))?;
    let read = certificate::read(der);
    let (subject, not_after) = (read.subject, read.not_after);
    Ok(Computed { subject, not_after, pin: pin_of_anchor(&anchor) })
}

/// What a test of a destination found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Whom it asked.
    pub endpoint: String,
    /// The chain as the server presented it, leaf first. What stands here proves nothing.
    pub presented: Vec<Computed>,
    /// The keys on verified paths, leaf first: a pin for any of them would match.
    pub verified: Vec<Pin>,
    /// What the handshake agreed on, where a pin matched.
    pub session: Option<Session>,
    /// Why the uploader would not send, and what to do.
    pub trouble: Option<Trouble>,
    /// The file that roots were read from; `None` = the platform's.
    pub ca_file: Option<PathBuf>,
}

/// Connects to a destination as the uploader would, and says what it met. No request is sent.
pub async fn test(destination: &Destination, timing: &Timing) -> Report {
    let sent = Arc::new(AtomicU64::new(0));
    let (outcome, finding) = match dial(destination, timing, &sent).await {
        Err(answer) => (Err(answer), Finding::default()),
        Ok(wire) => {
            let handshake = secure(destination, wire, timing).await;
            (handshake.outcome.map(|(_, session)| session), handshake.finding)
        }
    };
    let presented = finding.presented.iter().filter_map(|der| of_certificate(der).ok());
    let trouble = outcome.as_ref().err().and_then(|answer| {
        let now = Now { wall: (timing.wall)(), random: 0 };
        match decide(answer, now, &State::default()) {
            Decision::Hold { trouble, .. } | Decision::BackOff { trouble, .. } => Some(trouble),
            _ => None,
        }
    });
    Report {
        endpoint: destination.endpoint.to_string(),
        presented: presented.collect(),
        verified: finding.verified,
        session: outcome.ok(),
        trouble,
        ca_file: destination.ca_file.clone(),
    }
}

#[cfg(test)]
mod tests {
    use rcgen::PublicKeyData as _;

    use super::*;

    fn certificate(name: &str) -> (rcgen::KeyPair, String) {
        let mut params = rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let key = rcgen::KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        (key, pem)
    }

    #[test]
    fn a_pin_is_the_hash_of_the_public_key() {
        let ((first, a), (second, b)) = (certificate("One"), certificate("Two"));
        let pem = format!("# two of them\n{a}\n{b}\n{}", first.public_key_pem());
        let pins: Vec<_> = compute(pem.as_bytes()).unwrap();
        let expected = |key: &rcgen::KeyPair| pin_of(&key.subject_public_key_info());
        assert_eq!(pins.len(), 3);
        assert_eq!((pins[0].pin, pins[1].pin), (expected(&first), expected(&second)));
        assert_eq!(pins[0].subject.as_deref(), Some("One"));
        assert_eq!((pins[2].pin, &pins[2].subject), (expected(&first), &None));
    }

    #[test]
    fn a_file_without_a_key_says_so() {
        assert_eq!(compute(b""), Err(ComputeError::Nothing));
        assert_eq!(compute(b"hello"), Err(ComputeError::Nothing));
        let (key, _) = certificate("One");
        assert_eq!(compute(key.serialize_pem().as_bytes()), Err(ComputeError::Nothing));
        let damaged = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
        assert!(matches!(
            compute(damaged.as_bytes()),
            Err(ComputeError::Certificate { position: 1, .. })
        ));
    }
}

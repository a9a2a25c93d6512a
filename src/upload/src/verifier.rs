//! Who is at the other end: ordinary verification first, then a pinned key on the path that this
//! verification built. `tls` hands one verifier to each connection and reads its finding after.
//!
//! ```text
//! presented:  leaf  intermediates…  (whatever the server likes to send)
//! verified :  leaf -> intermediate -> … -> anchor      only these keys are compared with the pins
//! ```
//! Searching the chain as presented could be bypassed: a server with any trusted certificate may
//! present the pinned intermediate beside it, without being under it.
//!
//! # Invariants
//! - No pin on a verified path, no connection: with no pins at all nothing is accepted.
//! - A path without a pinned key does not end the search: another one may have it.
//! - The clock is never forgiven. A certificate outside its time is refused; whether it would have
//!   been ours is only noted, to tell a wrong clock from a wrong certificate.

use std::cell::RefCell;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use candor_model::Pin;
use jiff::Timestamp;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::{CertificateError, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use sha2::{Digest as _, Sha256};
use webpki::{EndEntityCert, KeyUsage, VerifiedPath};

/// How many certificates outside their time are looked past to see whether the pin would match.
const PAST_TIMES: usize = 4;

/// Why a server's certificate was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It verified, but no pinned key is on a verified path.
    Pin {
        /// The keys of the verified paths, leaf first.
        seen: Vec<Pin>,
    },
    /// No trusted root above it.
    UnknownIssuer,
    /// A certificate of the path has expired.
    Expired {
        /// When.
        not_after: SystemTime,
        /// The path would verify within its time, and a pin is on it.
        pinned: bool,
    },
    /// A certificate of the path is not valid yet.
    NotYetValid {
        /// From when.
        not_before: SystemTime,
        /// The path would verify within its time, and a pin is on it.
        pinned: bool,
    },
    /// It is another host's.
    WrongName {
        /// The name that was asked for.
        expected: String,
        /// The names that stand in it.
        presented: Vec<String>,
    },
    /// Anything else that verification says.
    Other(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pin { seen } => {
                f.write_str("no pinned key on the server's verified path; its keys are")?;
                seen.iter().try_for_each(|pin| write!(f, " {pin}"))
            }
            Self::UnknownIssuer => {
                f.write_str("the server's certificate was not issued by a trusted authority")
            }
            Self::Expired { not_after, .. } => {
                write!(f, "the server's certificate expired at {}", shown(*not_after))
            }
            Self::NotYetValid { not_before, .. } => {
                write!(f, "the server's certificate is valid only from {}", shown(*not_before))
            }
            Self::WrongName { expected, presented } => {
                write!(
                    f,
                    "the server's certificate is for {}, not for {expected}",
                    presented.join(", ")
                )
            }
            Self::Other(what) => write!(f, "the server's certificate was refused: {what}"),
        }
    }
}

pub(crate) fn shown(time: SystemTime) -> String {
    Timestamp::try_from(time).map_or_else(|_| "an unknown time".into(), |t| t.to_string())
}

/// What a verifier saw in its handshake.
#[derive(Clone, Debug, Default)]
pub(crate) struct Finding {
    /// The chain as the server presented it, leaf first.
    pub(crate) presented: Vec<CertificateDer<'static>>,
    /// The keys of every path that verified, leaf first, without repetition.
    pub(crate) verified: Vec<Pin>,
    /// The pin that matched.
    pub(crate) matched: Option<Pin>,
    /// Why it was refused.
    pub(crate) refusal: Option<Refusal>,
}

/// Verifies one server for one connection.
pub(crate) struct Verifier {
    anchors: Vec<TrustAnchor<'static>>,
    pins: Vec<Pin>,
    algorithms: WebPkiSupportedAlgorithms,
    finding: Mutex<Finding>,
}

impl Verifier {
    pub(crate) fn new(
        anchors: Vec<TrustAnchor<'static>>,
        pins: Vec<Pin>,
        algorithms: WebPkiSupportedAlgorithms,
    ) -> Self {
        Self { anchors, pins, algorithms, finding: Mutex::default() }
    }

    /// What was seen. Empty before the handshake.
    pub(crate) fn finding(&self) -> Finding {
        self.finding.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn judge(&self, chain: &Chain<'_>, now: UnixTime) -> (Search, Option<Refusal>) {
        let leaf = match EndEntityCert::try_from(chain.leaf) {
            Ok(leaf) => leaf,
            Err(error) => return (Search::default(), Some(Refusal::Other(spoken(&error)))),
        };
        let (search, outcome) = self.search(&leaf, chain, now);
        let outcome = match outcome {
            // A path verified; whether it has a pin is asked after the name.
            Err(_) if !search.seen.is_empty() => Ok(()),
            outcome => outcome,
        };
        let named = outcome.and_then(|()| leaf.verify_is_valid_for_subject_name(chain.name));
        let refusal = match named {
            Ok(()) if search.matched.is_some() => None,
            Ok(()) => Some(Refusal::Pin { seen: search.seen.clone() }),
            Err(error) => {
                let pinned = || self.would_match(&leaf, chain, &error);
                Some(Refusal::of(error.clone(), chain.name, pinned))
            }
        };
        (search, refusal)
    }

    /// Looks for a verified path with a pinned key; what it saw on the way is told as well.
    fn search(
        &self,
        leaf: &EndEntityCert<'_>,
        chain: &Chain<'_>,
        now: UnixTime,
    ) -> (Search, Result<(), webpki::Error>) {
        let search = RefCell::new(Search::default());
        let has_pin = |path: &VerifiedPath<'_>| {
            let mut search = search.borrow_mut();
            for key in keys(path) {
                search.matched = search.matched.or_else(|| self.pins.contains(&key).then_some(key));
                if !search.seen.contains(&key) {
                    search.seen.push(key);
                }
            }
            search.matched.map(drop).ok_or(webpki::Error::UnknownIssuer)
        };
        let outcome = leaf.verify_for_usage(
            self.algorithms.all,
            &self.anchors,
            chain.intermediates,
            now,
            KeyUsage::server_auth(),
            None,
            Some(&has_pin),
        );
        let outcome = outcome.map(drop);
        (search.into_inner(), outcome)
    }

    /// Whether the chain would be ours at a time at which it is valid.
    fn would_match(
        &self,
        leaf: &EndEntityCert<'_>,
        chain: &Chain<'_>,
        error: &webpki::Error,
    ) -> bool {
        let mut error = error.clone();
        for _ in 0..PAST_TIMES {
            let time = match error {
                webpki::Error::CertExpired { not_after, .. } => not_after,
                webpki::Error::CertNotValidYet { not_before, .. } => not_before,
                _ => return false,
            };
            match self.search(leaf, chain, time) {
                (search, _) if search.matched.is_some() => {
                    return leaf.verify_is_valid_for_subject_name(chain.name).is_ok();
                }
                (_, Ok(())) => return false,
                (_, Err(next)) => error = next,
            }
        }
        false
    }
}

/// What the server presented.
struct Chain<'a> {
    leaf: &'a CertificateDer<'a>,
    intermediates: &'a [CertificateDer<'a>],
    name: &'a ServerName<'a>,
}

#[derive(Default)]
struct Search {
    seen: Vec<Pin>,
    matched: Option<Pin>,
}

impl Refusal {
    fn of(error: webpki::Error, name: &ServerName<'_>, pinned: impl FnOnce() -> bool) -> Self {
        match error {
            webpki::Error::UnknownIssuer => Self::UnknownIssuer,
            webpki::Error::CertExpired { not_after, .. } => {
                Self::Expired { not_after: wall(not_after), pinned: pinned() }
            }
            webpki::Error::CertNotValidYet { not_before, .. } => {
                Self::NotYetValid { not_before: wall(not_before), pinned: pinned() }
            }
            webpki::Error::CertNotValidForName(context) => Self::WrongName {
                expected: name.to_str().into_owned(),
                presented: context.presented,
            },
            other => Self::Other(spoken(&other)),
        }
    }
}

fn spoken(error: &webpki::Error) -> String {
    format!("{error:?}")
}

fn wall(time: UnixTime) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(time.as_secs())
}

/// The keys of a verified path, leaf first, anchor last.
fn keys<'p>(path: &'p VerifiedPath<'p>) -> impl Iterator<Item = Pin> + 'p {
    let leaf = path.end_entity().subject_public_key_info();
    let between = path.intermediate_certificates().map(webpki::Cert::subject_public_key_info);
    std::iter::once(leaf)
        .chain(between)
        .map(|spki| pin_of(&spki))
        .chain(std::iter::once(pin_of_anchor(path.anchor())))
}

/// The pin of a complete `SubjectPublicKeyInfo` in DER.
pub(crate) fn pin_of(spki: &[u8]) -> Pin {
    Pin::from_bytes(Sha256::digest(spki).into())
}

/// The pin of an anchor, which holds the value of the SPKI without its `SEQUENCE`.
pub(crate) fn pin_of_anchor(anchor: &TrustAnchor<'_>) -> Pin {
    let value: &[u8] = anchor.subject_public_key_info.as_ref();
    let mut spki = Vec::with_capacity(value.len() + 6);
    spki.push(0x30);
    let length = value.len().to_be_bytes();
    let length: Vec<u8> = length.into_iter().skip_while(|byte| *byte == 0).collect();
    if value.len() > 0x7f {
        spki.push(0x80 | u8::try_from(length.len()).unwrap_or(0));
    }
    spki.extend(length);
    spki.extend_from_slice(value);
    pin_of(&spki)
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let chain = Chain { leaf: end_entity, intermediates, name: server_name };
        let (search, refusal) = self.judge(&chain, now);
        let presented = std::iter::once(end_entity).chain(intermediates);
        let finding = Finding {
            presented: presented.map(|cert| cert.clone().into_owned()).collect(),
            verified: search.seen,
            matched: search.matched.filter(|_| refusal.is_none()),
            refusal: refusal.clone(),
        };
        *self.finding.lock().unwrap_or_else(PoisonError::into_inner) = finding;
        refusal.map_or_else(|| Ok(ServerCertVerified::assertion()), |refusal| Err(alert(&refusal)))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// The error that makes rustls send the alert that fits.
fn alert(refusal: &Refusal) -> rustls::Error {
    let error = match refusal {
        Refusal::Pin { .. } => CertificateError::ApplicationVerificationFailure,
        Refusal::UnknownIssuer => CertificateError::UnknownIssuer,
        Refusal::Expired { .. } => CertificateError::Expired,
        Refusal::NotYetValid { .. } => CertificateError::NotValidYet,
        Refusal::WrongName { .. } => CertificateError::NotValidForName,
        Refusal::Other(_) => CertificateError::BadEncoding,
    };
    rustls::Error::InvalidCertificate(error)
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("pins", &self.pins).finish_non_exhaustive()
    }
}

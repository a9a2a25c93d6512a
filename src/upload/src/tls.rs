//! TLS with pins over a connection that `dial` opened: configuration read afresh, handshake, and
//! what was agreed. `http` speaks over what comes out.
//!
//! # Invariants
//! - A connection exists only after its [`Verifier`] found a pinned key on a verified path.
//! - Every connection is a full handshake: no session is resumed past the pins, no early data.
//! - Roots, client certificate and key are read for each connection, so that renewed files count
//!   at the next one. A file that cannot be used holds; it is never left out.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use candor_model::Pin;
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::time_provider::TimeProvider;
use rustls::{AlertDescription, ClientConfig, ProtocolVersion};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, TrustAnchor, UnixTime};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::answer::Answer;
use crate::dial::Wire;
use crate::verifier::{Finding, Verifier};
use crate::{Destination, Timing};

/// What a handshake agreed on; the journal keeps it beside each payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// The pinned key on the verified path.
    pub pin: Pin,
    /// `1.2` or `1.3`.
    pub tls: &'static str,
}

/// An encrypted connection and what was agreed.
pub(crate) type Secured = (TlsStream<Wire>, Session);

/// A handshake: what came of it, and what the verifier saw.
pub(crate) struct Handshake {
    pub(crate) outcome: Result<Secured, Answer>,
    pub(crate) finding: Finding,
}

/// Shakes hands with a destination over an open connection.
pub(crate) async fn secure(destination: &Destination, wire: Wire, timing: &Timing) -> Handshake {
    let unready =
        |what| Handshake { outcome: Err(Answer::Unready(what)), finding: Finding::default() };
    let (config, verifier) = match configure(destination, timing.wall) {
        Ok(made) => made,
        Err(what) => return unready(what),
    };
    let Ok(name) = ServerName::try_from(destination.endpoint.host.clone()) else {
        return unready(format!("`{}` is no host name", destination.endpoint.host));
    };
    let handshake = TlsConnector::from(Arc::new(config)).connect(name, wire);
    let ended = timeout(timing.handshake, handshake).await;
    let finding = verifier.finding();
    let outcome = match ended {
        Err(_) => Err(Answer::TimedOut("the TLS handshake".into())),
        Ok(Ok(stream)) => agreed(stream, &finding),
        Ok(Err(error)) => {
            Err(finding.refusal.clone().map_or_else(|| failed(&error), Answer::Certificate))
        }
    };
    Handshake { outcome, finding }
}

fn agreed(stream: TlsStream<Wire>, finding: &Finding) -> Result<Secured, Answer> {
    let tls = match stream.get_ref().1.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => "1.3",
        _ => "1.2",
    };
    // No connection without a match, whatever the layers below say.
    let pin = finding.matched.ok_or_else(|| Answer::Lost("the server was not verified".into()))?;
    Ok((stream, Session { pin, tls }))
}

/// What a failed handshake, or a failed transfer over TLS, was.
pub(crate) fn failed(error: &(dyn std::error::Error + 'static)) -> Answer {
    match tls_error(error) {
        Some(rustls::Error::AlertReceived(alert)) if is_about_our_certificate(*alert) => {
            Answer::ClientCertificate(format!("the server refused our certificate: {alert:?}"))
        }
        Some(rustls::Error::InvalidMessage(_)) => {
            Answer::NotHttp("the server's bytes are not TLS".into())
        }
        Some(tls) => Answer::Lost(format!("TLS failed: {tls}")),
        None => Answer::Lost(chain(error)),
    }
}

/// The TLS error in an error's chain of causes, also inside of an `io::Error`.
fn tls_error<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        next = inner.map(|e| e as &(dyn std::error::Error + 'static)).or_else(|| error.source());
    }
    None
}

/// An error with its causes, on one line.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let mut said: Vec<String> = causes.map(ToString::to_string).collect();
    said.dedup();
    said.join(": ")
}

const fn is_about_our_certificate(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::CertificateRequired
    )
}

/// The configuration of one connection, and the verifier inside of it.
fn configure(
    destination: &Destination,
    wall: fn() -> SystemTime,
) -> Result<(ClientConfig, Arc<Verifier>), String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let algorithms = provider.signature_verification_algorithms;
    let anchors = anchors(destination.ca_file.as_deref())?;
    let verifier = Arc::new(Verifier::new(anchors, destination.pins.clone(), algorithms));
    let mut config = with_client_certificate(destination, builder(provider, wall)?, &verifier)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = Resumption::disabled();
    Ok((config, verifier))
}

type Builder = rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>;

fn builder(provider: Arc<CryptoProvider>, wall: fn() -> SystemTime) -> Result<Builder, String> {
    ClientConfig::builder_with_details(provider, Arc::new(Wall(wall)))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| format!("TLS cannot be set up: {error}"))
}

fn with_client_certificate(
    destination: &Destination,
    builder: Builder,
    verifier: &Arc<Verifier>,
) -> Result<ClientConfig, String> {
    let verifier: Arc<Verifier> = Arc::clone(verifier);
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    let (cert, key) = match (&destination.client_cert, &destination.client_key) {
        (None, None) => return Ok(builder.with_no_client_auth()),
        (Some(cert), Some(key)) => (cert, key),
        (Some(_), None) => return Err("upload.client_cert needs upload.client_key".into()),
        (None, Some(_)) => return Err("upload.client_key needs upload.client_cert".into()),
    };
    let chain = certificates(cert, "upload.client_cert")?;
    let private = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| format!("upload.client_key {} cannot be read: {error}", key.display()))?;
    builder.with_client_auth_cert(chain, private).map_err(|error| {
        format!("{} and {} do not go together: {error}", cert.display(), key.display())
    })
}

fn anchors(ca_file: Option<&Path>) -> Result<Vec<TrustAnchor<'static>>, String> {
    let certificates = match ca_file {
        Some(path) => certificates(path, "upload.ca_file")?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    // A platform's store may hold certificates that webpki cannot read; the others count.
    let anchors: Vec<_> = certificates
        .iter()
        .filter_map(|cert| webpki::anchor_from_trusted_cert(cert).ok())
        .map(|anchor| anchor.to_owned())
        .collect();
    match (anchors.is_empty(), ca_file) {
        (false, _) => Ok(anchors),
        (true, Some(path)) => {
            Err(format!("upload.ca_file {} holds no usable root", path.display()))
        }
        (true, None) => Err("this system has no trusted roots: set upload.ca_file".into()),
    }
}

fn certificates(path: &Path, key: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    match certificates {
        Ok(found) if found.is_empty() => {
            Err(format!("{key} {} holds no certificate", path.display()))
        }
        Ok(found) => Ok(found),
        Err(error) => Err(format!("{key} {} cannot be read: {error}", path.display())),
    }
}

/// The wall clock as TLS asks for it.
#[derive(Debug)]
struct Wall(fn() -> SystemTime);

impl TimeProvider for Wall {
    fn current_time(&self) -> Option<UnixTime> {
        let since = (self.0)().duration_since(SystemTime::UNIX_EPOCH).ok()?;
        Some(UnixTime::since_unix_epoch(since))
    }
}

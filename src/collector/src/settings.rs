//! Remote settings for the agents: signs a document, and serves what was signed.
//!
//! ```text
//! sign:   key + document -> {"document": "…", "signature": "…"} -> DIR/settings.json
//! serve:  GET /v1/settings -> that file with its ETag; 304 to who has it; 404 while there is none
//! ```
//! # Invariants
//! - Serving needs no key: the key that signs stays where it is safe, and the file is copied here.
//! - The file is read at each request, so that a new one counts at once, and is never changed.
//! - What agents would refuse for its form is not signed.
//!
//! On failure of reading the file the answer is 503, and the agents keep what they hold.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::get;
use candor_platform::FileError;
use minisign::{PError, SecretKey, SecretKeyBox};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// The signed document in the collector's directory.
pub const FILE_NAME: &str = "settings.json";
/// Agents read no more than this, the signature included.
const MAX_BYTES: usize = 64 * 1024;
/// Anybody may read it: it is signed, not secret.
const PUBLIC: u32 = 0o644;

/// Why a document was not signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's failure.
        #[source]
        source: io::Error,
    },
    /// The key file is none, or its password is wrong.
    #[error("{} is no minisign secret key that can be used", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: PError,
    },
    /// Agents would refuse the document.
    #[error("{}: {problem}", path.display())]
    Document {
        /// The file.
        path: PathBuf,
        /// What to change.
        problem: String,
    },
    /// The signature could not be made.
    #[error("cannot sign")]
    Sign(#[source] PError),
    /// The signed document cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The platform's failure.
        #[source]
        source: FileError,
    },
}

/// Signs the document in a file and writes it, with its signature, to `out`.
///
/// # Errors
/// See [`SignError`]; then `out` is as it was.
pub fn sign(key: &Path, document: &Path, out: &Path) -> Result<(), SignError> {
    let text = read(document)?;
    let wrong = |problem| SignError::Document { path: document.to_owned(), problem };
    check(&text).map_err(wrong)?;
    let key = secret_key(key)?;
    let signature =
        minisign::sign(None, &key, text.as_bytes(), None, Some("candor remote settings"))
            .map_err(SignError::Sign)?;
    let signed = json!({ "document": text, "signature": signature.into_string() }).to_string();
    if signed.len() > MAX_BYTES {
        let length = signed.len();
        return Err(wrong(format!(
            "is {length} bytes with its signature, and agents read {MAX_BYTES}: make it smaller"
        )));
    }
    candor_platform::write_atomic(out, signed.as_bytes(), PUBLIC)
        .map_err(|source| SignError::Write { path: out.to_owned(), source })
}

fn read(path: &Path) -> Result<String, SignError> {
    std::fs::read_to_string(path)
        .map_err(|source| SignError::Read { path: path.to_owned(), source })
}

/// A key with a password asks for it on the terminal.
fn secret_key(path: &Path) -> Result<SecretKey, SignError> {
    let sealed = SecretKeyBox::from(read(path)?);
    let plain = sealed.clone().into_unencrypted_secret_key();
    plain
        .or_else(|_| sealed.into_secret_key(None))
        .map_err(|source| SignError::Key { path: path.to_owned(), source })
}

/// What every document must have; what it lowers is for the agents to judge.
fn check(text: &str) -> Result<(), String> {
    let document: Value =
        serde_json::from_str(text).map_err(|error| format!("is no JSON: {error}"))?;
    if document["candor_settings"] != 1 {
        return Err("must state \"candor_settings\": 1".to_owned());
    }
    if document["version"].as_u64().is_none_or(|version| version == 0) {
        return Err("must state \"version\", a number that counts up from 1".to_owned());
    }
    match &document["audience"] {
        Value::String(word) if word == "all" => Ok(()),
        Value::Array(ids) if ids.iter().all(Value::is_string) => Ok(()),
        _ => Err("must state \"audience\": \"all\" or a list of install ids".to_owned()),
    }
}

/// `GET /v1/settings` from the file in `dir`.
pub(crate) fn routes(dir: &Path) -> Router {
    let path: Arc<Path> = dir.join(FILE_NAME).into();
    Router::new().route(
        "/v1/settings",
        get(move |headers: HeaderMap| async move {
            let file = tokio::task::spawn_blocking(move || std::fs::read(path)).await;
            answer(file.unwrap_or_else(|error| Err(io::Error::other(error))), &headers)
        }),
    )
}

fn answer(file: io::Result<Vec<u8>>, asked: &HeaderMap) -> Response {
    match file {
        Ok(bytes) => document(bytes, asked),
        Err(error) if error.kind() == io::ErrorKind::NotFound => bare(StatusCode::NOT_FOUND),
        Err(error) => {
            tracing::error!(%error, "the signed settings cannot be read");
            bare(StatusCode::SERVICE_UNAVAILABLE)
        }
    }
}

fn document(bytes: Vec<u8>, asked: &HeaderMap) -> Response {
    let tag = etag(&bytes);
    let is_known = asked.get(header::IF_NONE_MATCH).is_some_and(|known| known == tag.as_str());
    let mut response =
        if is_known { bare(StatusCode::NOT_MODIFIED) } else { Response::new(Body::from(bytes)) };
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::try_from(tag) {
        headers.insert(header::ETAG, tag);
    }
    if !is_known {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    response
}

/// The first half of the bytes' SHA-256.
fn etag(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    let half = digest.first_chunk().map_or(0, |half| u128::from_be_bytes(*half));
    format!("\"{half:032x}\"")
}

fn bare(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use minisign::{KeyPair, PublicKey, SignatureBox};
    use tempfile::TempDir;

    use super::*;

    struct Desk(TempDir, KeyPair);

    impl Desk {
        fn new() -> Self {
            let (dir, pair) =
                (tempfile::tempdir().unwrap(), KeyPair::generate_unencrypted_keypair().unwrap());
            std::fs::write(dir.path().join("key"), pair.sk.to_box(None).unwrap().to_string())
                .unwrap();
            Self(dir, pair)
        }

        fn sign(&self, document: &str) -> Result<Value, SignError> {
            let path = |name| self.0.path().join(name);
            std::fs::write(path("document"), document).unwrap();
            sign(&path("key"), &path("document"), &path("out"))?;
            Ok(serde_json::from_slice(&std::fs::read(path("out")).unwrap()).unwrap())
        }
    }

    const DOCUMENT: &str =
        "{\"candor_settings\": 1, \"version\": 3,\n \"audience\": \"all\", \"stop\": true}\n";

    #[test]
    fn what_is_signed_verifies_as_minisign_does_over_the_exact_text() {
        let desk = Desk::new();
        let signed = desk.sign(DOCUMENT).unwrap();
        assert_eq!(signed["document"], DOCUMENT);
        let signature = SignatureBox::from_string(signed["signature"].as_str().unwrap()).unwrap();
        let key = PublicKey::from_base64(&desk.1.pk.to_base64()).unwrap();
        let verify = |text: &str| {
            minisign::verify(&key, &signature, io::Cursor::new(text.to_owned()), true, false, false)
        };
        assert!(verify(DOCUMENT).is_ok());
        assert!(verify(DOCUMENT.trim_end()).is_err());
    }

    #[test]
    fn what_agents_would_refuse_for_its_form_is_not_signed() {
        let desk = Desk::new();
        let large = format!(
            "{{\"candor_settings\": 1, \"version\": 3, \"audience\": \"all\", \"off\": [\"{}\"]}}",
            "x".repeat(MAX_BYTES)
        );
        for document in [
            "",
            "[]",
            "{\"candor_settings\": 1, \"audience\": \"all\"}",
            "{\"candor_settings\": 1, \"version\": 0, \"audience\": \"all\"}",
            "{\"candor_settings\": 1, \"version\": 3}",
            "{\"candor_settings\": 1, \"version\": 3, \"audience\": \"some\"}",
            "{\"version\": 3, \"audience\": \"all\"}",
            &large,
        ] {
            assert!(
                matches!(desk.sign(document), Err(SignError::Document { .. })),
                "{document:.80}"
            );
        }
        assert!(!desk.0.path().join("out").exists());
    }

    #[test]
    fn a_file_that_is_no_key_says_so() {
        let desk = Desk::new();
        std::fs::write(desk.0.path().join("key"), "hello\n").unwrap();
        assert!(matches!(desk.sign(DOCUMENT), Err(SignError::Key { .. })));
    }

    fn asked(file: io::Result<Vec<u8>>, tag: Option<&str>) -> Response {
        let mut headers = HeaderMap::new();
        if let Some(tag) = tag {
            headers.insert(header::IF_NONE_MATCH, HeaderValue::from_str(tag).unwrap());
        }
        answer(file, &headers)
    }

    #[test]
    fn who_has_the_document_is_told_so_and_who_has_another_gets_it() {
        let first = asked(Ok(b"one".to_vec()), None);
        let tag = first.headers()[header::ETAG].to_str().unwrap().to_owned();
        assert_eq!(first.status(), StatusCode::OK);
        assert_eq!(asked(Ok(b"one".to_vec()), Some(&tag)).status(), StatusCode::NOT_MODIFIED);
        assert_eq!(asked(Ok(b"two".to_vec()), Some(&tag)).status(), StatusCode::OK);
    }

    #[test]
    fn without_a_document_the_answer_is_404_and_with_one_that_cannot_be_read_503() {
        let missing = Err(io::ErrorKind::NotFound.into());
        assert_eq!(asked(missing, None).status(), StatusCode::NOT_FOUND);
        let locked = Err(io::ErrorKind::PermissionDenied.into());
        assert_eq!(asked(locked, None).status(), StatusCode::SERVICE_UNAVAILABLE);
    }
}

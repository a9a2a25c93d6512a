//! Certificates made on the spot: authorities, intermediates, leaves, each with its pin.

use candor_model::Pin;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData as _, date_time_ymd,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sha2::{Digest as _, Sha256};

/// The pin of a key.
pub(crate) fn pin(key: &KeyPair) -> Pin {
    Pin::from_bytes(Sha256::digest(key.subject_public_key_info()).into())
}

/// A pin of a key that nobody here holds: a backup.
pub(crate) fn backup() -> Pin {
    pin(&KeyPair::generate().unwrap())
}

/// Who signs, and the certificates above it that a server presents.
pub(crate) struct Authority {
    params: CertificateParams,
    key: KeyPair,
    pub(crate) der: CertificateDer<'static>,
    pub(crate) pem: String,
    pub(crate) pin: Pin,
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// A certificate that is shown, and the key that proves it.
pub(crate) struct Leaf {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) pem: String,
    pub(crate) key: KeyPair,
    pub(crate) pin: Pin,
}

impl Leaf {
    pub(crate) fn private(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.serialize_der()).into()
    }

    /// The same leaf, presented with one more certificate.
    pub(crate) fn beside(mut self, other: &Authority) -> Self {
        self.chain.push(other.der.clone());
        self
    }
}

/// When a certificate is valid, in years.
pub(crate) type Years = std::ops::Range<i32>;

/// Valid now.
pub(crate) const NOW: Years = 2020..2080;

impl Authority {
    pub(crate) fn root(name: &str) -> Self {
        let (params, key) = (authority_params(name), KeyPair::generate().unwrap());
        let certificate = params.self_signed(&key).unwrap();
        let (der, pem, pin) = (certificate.der().clone(), certificate.pem(), pin(&key));
        Self { params, key, der, pem, pin }
    }

    pub(crate) fn intermediate(&self, name: &str) -> Self {
        let (params, key) = (authority_params(name), KeyPair::generate().unwrap());
        let certificate = params.signed_by(&key, &self.issuer()).unwrap();
        let (der, pem, pin) = (certificate.der().clone(), certificate.pem(), pin(&key));
        Self { params, key, der, pem, pin }
    }

    /// Another certificate for another authority's name and key, by this one.
    pub(crate) fn cross_sign(&self, other: &Self) -> CertificateDer<'static> {
        other.params.signed_by(&other.key, &self.issuer()).unwrap().der().clone()
    }

    fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.params, &self.key)
    }

    pub(crate) fn leaf(&self, names: &[&str], years: Years) -> Leaf {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, "the server");
        params.not_before = date_time_ymd(years.start, 1, 1);
        params.not_after = date_time_ymd(years.end, 1, 1);
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer()).unwrap();
        let chain = vec![certificate.der().clone(), self.der.clone()];
        let pem = format!("{}{}", certificate.pem(), self.pem);
        Leaf { chain, pem, pin: pin(&key), key }
    }
}

//! From policy and configuration to a destination: the one translation, for the daemon and for
//! `agentctl pins test` alike.

use candor_policy::{Compression as Configured, Effective, UploadConfig};

use crate::{Compression, Destination, Endpoint};

impl Destination {
    /// Where the events go; `None` where no endpoint is stated.
    #[must_use]
    pub fn of(effective: &Effective, upload: &UploadConfig) -> Option<Self> {
        let endpoint = effective.events_endpoint.as_ref()?.to_string().parse().ok()?;
        Some(Self::to(endpoint, effective, upload))
    }

    /// Where else, in order of preference (`upload.fallback_endpoints`).
    #[must_use]
    pub fn fallbacks_of(upload: &UploadConfig) -> Vec<Endpoint> {
        upload.fallback_endpoints.iter().filter_map(|url| url.to_string().parse().ok()).collect()
    }

    /// Another endpoint with the same pins, proxy and certificates.
    #[must_use]
    pub fn to(endpoint: Endpoint, effective: &Effective, upload: &UploadConfig) -> Self {
        let proxy = effective.telemetry_proxy.as_ref();
        Self {
            endpoint,
            pins: effective.certificate_pins.clone(),
            allow_single_pin: upload.allow_single_pin,
            ca_file: upload.ca_file.clone(),
            client_cert: upload.client_cert.clone(),
            client_key: upload.client_key.clone(),
            proxy: proxy.map(|proxy| (proxy.host().to_owned(), proxy.port())),
            compression: match upload.compression {
                Configured::Zstd => Compression::Zstd,
                Configured::Gzip => Compression::Gzip,
                Configured::None => Compression::None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use candor_policy::resolve;

    use super::*;

    #[test]
    fn without_an_endpoint_there_is_no_destination() {
        let mut effective = resolve(&[]);
        let upload = UploadConfig::default();
        assert_eq!(Destination::of(&effective, &upload), None);
        effective.events_endpoint = Some("https://t.example.org:8443/otlp".parse().unwrap());
        effective.telemetry_proxy = Some("proxy.example.org:3128".parse().unwrap());
        let destination = Destination::of(&effective, &upload).unwrap();
        assert_eq!(destination.endpoint.to_string(), "https://t.example.org:8443/otlp");
        assert_eq!(destination.proxy, Some(("proxy.example.org".to_owned(), 3128)));
    }
}

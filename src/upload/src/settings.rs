//! What the uploader is told from outside: where to, with which pins, how often. Made by
//! `service` from the resolved policy and `agent.toml`, and watched by `uploader`.
//!
//! # Invariants
//! - An [`Endpoint`] is `https` by construction: plain HTTP cannot be expressed.
//! - Nothing here is read from the environment.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use candor_model::{Kind, Level, Pin};

use crate::Trouble;

/// The port where none is stated.
const HTTPS_PORT: u16 = 443;

/// The base address to which `/v1/logs`, `/v1/metrics` and `/v1/traces` are added. Always HTTPS.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// Name or address, an IPv6 address without its brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The path before `/v1/…`: empty, or starting and not ending with `/`.
    pub path: String,
}

impl Endpoint {
    /// `host` or `host:port`, brackets around IPv6: the `Host` header.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = bracketed(&self.host);
        if self.port == HTTPS_PORT { host } else { format!("{host}:{}", self.port) }
    }

    /// `host:port` with the port always there: the target of `CONNECT`.
    #[must_use]
    pub fn host_and_port(&self) -> String {
        format!("{}:{}", bracketed(&self.host), self.port)
    }

    /// The path to which records of a kind are posted.
    #[must_use]
    pub fn path_for(&self, kind: Kind) -> String {
        let signal = match kind {
            Kind::Log => "logs",
            Kind::Metric => "metrics",
            Kind::Span => "traces",
        };
        format!("{}/v1/{signal}", self.path)
    }
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}{}", self.authority(), self.path)
    }
}

/// A text that is no endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no endpoint: {what}")]
pub struct BadEndpoint {
    /// The text.
    pub text: String,
    /// What is wrong with it, and how to write it.
    pub what: &'static str,
}

impl FromStr for Endpoint {
    type Err = BadEndpoint;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).map_err(|what| BadEndpoint { text: text.to_owned(), what })
    }
}

fn parse(text: &str) -> Result<Endpoint, &'static str> {
    let rest = text
        .get(..8)
        .filter(|scheme| scheme.eq_ignore_ascii_case("https://"))
        .and_then(|_| text.get(8..))
        .ok_or("write https://HOST[:PORT][/PATH]; only https is spoken")?;
    if !rest.is_ascii() || rest.contains(|c: char| c.is_ascii_whitespace() || c.is_ascii_control())
    {
        return Err("write it in ASCII without spaces (a name in its xn-- form)");
    }
    if rest.contains(['?', '#', '@']) {
        return Err("leave out user, query and fragment");
    }
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (host, port) = split_authority(authority)?;
    if host.is_empty() {
        return Err("name a host");
    }
    Ok(Endpoint {
        host: host.to_ascii_lowercase(),
        port,
        path: path.trim_end_matches('/').to_owned(),
    })
}

fn split_authority(authority: &str) -> Result<(&str, u16), &'static str> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or("close the bracket of the address")?;
            host.parse::<std::net::Ipv6Addr>().map_err(|_| "brackets hold an IPv6 address")?;
            (host, port)
        }
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let port = match port.strip_prefix(':') {
        Some(port) => port.parse().ok().filter(|port| *port != 0),
        None if port.is_empty() => Some(HTTPS_PORT),
        None => None,
    };
    Ok((host, port.ok_or("the port is a number from 1 to 65535")?))
}

/// How a request's body is compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Zstandard.
    #[default]
    Zstd,
    /// Gzip, for receivers that know no Zstandard.
    Gzip,
    /// As it is.
    None,
}

/// One receiver and how it is recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Where.
    pub endpoint: Endpoint,
    /// The pinned keys, merged over all layers.
    pub pins: Vec<Pin>,
    /// One pin is enough (`upload.allow_single_pin`).
    pub allow_single_pin: bool,
    /// Trusted roots as PEM; else the platform's. Read again for each connection.
    pub ca_file: Option<PathBuf>,
    /// Our certificate chain as PEM, with `client_key`. Read again for each connection.
    pub client_cert: Option<PathBuf>,
    /// The private key of `client_cert` as PEM.
    pub client_key: Option<PathBuf>,
    /// The only way out, when there is one: host and port.
    pub proxy: Option<(String, u16)>,
    /// How bodies are compressed.
    pub compression: Compression,
}

/// Everything that decides whether, where and how often the uploader sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadSettings {
    /// False: nothing leaves, not even a DNS query, and no timer runs.
    pub enabled: bool,
    /// Nothing above it leaves; a request that was begun under a higher one is broken off.
    pub ceiling: Level,
    /// Held by somebody else, say a policy that cannot be understood.
    pub hold: Option<Trouble>,
    /// Where to; `None` holds with `no_endpoint`.
    pub destination: Option<Destination>,
    /// Where else while the destination is out, in this order, under the same conditions.
    pub fallbacks: Vec<Endpoint>,
    /// Between two uploads of ordinary records.
    pub interval: Duration,
    /// What the host runs on and its link decide about ordinary records; false where the owner set
    /// an interval.
    pub is_sparing: bool,
    /// The encoded OTLP resource that heads every request.
    pub resource: Arc<[u8]>,
    /// Bytes that may be sent from midnight to midnight UTC; `None` = no limit.
    pub max_bytes_per_day: Option<u64>,
}

/// The engineering: time limits and the two sources of the outer world that a test replaces.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// For the name lookup, and for each address.
    pub connect: Duration,
    /// For the proxy's answer to `CONNECT`, and for the TLS handshake.
    pub handshake: Duration,
    /// From the first byte of a request to the last of its answer.
    pub request: Duration,
    /// Wall time: labels, the day limit, the validity of certificates.
    pub wall: fn() -> SystemTime,
    /// 64 random bits for jitter.
    pub random: fn() -> u64,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            handshake: Duration::from_secs(10),
            request: Duration::from_secs(30),
            wall: SystemTime::now,
            random: random_bits,
        }
    }
}

/// From the operating system, by the TLS provider. Jitter is all it serves: where the system has
/// none to give, zero is as good.
fn random_bits() -> u64 {
    let mut bytes = [0; 8];
    let filled = rustls::crypto::ring::default_provider().secure_random.fill(&mut bytes);
    filled.map_or(0, |()| u64::from_ne_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_reads_back_from_its_text() {
        for (text, host, port, path) in [
            ("https://t.example.org", "t.example.org", 443, ""),
            ("HTTPS://T.example.org:4318/", "t.example.org", 4318, ""),
            ("https://127.0.0.1:1/otlp/", "127.0.0.1", 1, "/otlp"),
            ("https://[::1]:8443/a/b", "::1", 8443, "/a/b"),
            ("https://[2001:db8::1]", "2001:db8::1", 443, ""),
        ] {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!((endpoint.host.as_str(), endpoint.port), (host, port), "{text}");
            assert_eq!(endpoint.path, path, "{text}");
            assert_eq!(endpoint.to_string().parse(), Ok(endpoint), "{text}");
        }
    }

    #[test]
    fn what_is_no_https_endpoint_is_refused() {
        for text in [
            "",
            "http://t.example.org",
            "t.example.org",
            "https://",
            "https://:443",
            "https://host:0",
            "https://host:x",
            "https://user@host",
            "https://host/?a",
            "https://[::1",
            "https://[localhost]",
            "https://::1",
            "https://bücher.example",
            "https://host name",
        ] {
            assert!(text.parse::<Endpoint>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_path_prefix_and_the_brackets_are_kept() {
        let endpoint: Endpoint = "https://[::1]:4318/otlp".parse().unwrap();
        assert_eq!(endpoint.path_for(Kind::Span), "/otlp/v1/traces");
        assert_eq!(endpoint.authority(), "[::1]:4318");
        let endpoint: Endpoint = "https://example.org".parse().unwrap();
        assert_eq!(endpoint.authority(), "example.org");
        assert_eq!(endpoint.host_and_port(), "example.org:443");
    }

    #[test]
    fn random_bits_differ() {
        assert_ne!(random_bits(), random_bits());
    }
}

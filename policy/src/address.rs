//! Addresses in policy: an endpoint's https URL and a proxy's `host:port`.
//!
//! They are parsed when a layer is read, so that everything behind works with checked parts.
//!
//! # Invariants
//! - A [`Url`] is https, has a host, and carries no user, password, query or fragment: nothing
//!   secret can stand in an endpoint, and the path can be extended by `/v1/logs`.
//! - A host is ASCII and lower case; an IPv6 address stands in brackets in text only.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// An https URL: where data, settings or dumps go.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Url {
    host: String,
    port: Option<u16>,
    path: String,
}

impl Url {
    /// Name or address of the host; an IPv6 address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, 443 where the URL states none.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(443)
    }

    /// The path without a slash at its end: empty, or `/` and more.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

/// A text that is no endpoint.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{url}` {problem}")]
pub struct BadUrl {
    url: String,
    problem: &'static str,
}

impl FromStr for Url {
    type Err = BadUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_url(text).map_err(|problem| BadUrl { url: text.to_owned(), problem })
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}", Bracketed(&self.host))?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        f.write_str(&self.path)
    }
}

fn parse_url(text: &str) -> Result<Url, &'static str> {
    let rest = match text.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => rest,
        _ => return Err("is no https URL: write https://HOST"),
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if authority.contains('@') {
        return Err("carries a user: write https://HOST without user and password");
    }
    if path.contains(['?', '#']) {
        return Err("carries a query or a fragment: write the path only");
    }
    if !path.bytes().all(|byte| byte.is_ascii_graphic() && !b"\\\"<>^`{|}".contains(&byte)) {
        return Err("has a character in its path that no URL may have: percent-encode it");
    }
    let (host, port) = split_port(authority)?;
    Ok(Url { host: parse_host(host)?, port, path: path.trim_end_matches('/').to_owned() })
}

/// A host and a port: the proxy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    host: String,
    port: u16,
}

impl HostPort {
    /// Name or address of the host; an IPv6 address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

/// A text that is no `host:port`.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` {problem}")]
pub struct BadHostPort {
    text: String,
    problem: &'static str,
}

impl FromStr for HostPort {
    type Err = BadHostPort;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (host, port) = split_port(text)?;
            let port = port.ok_or("has no port: write HOST:PORT")?;
            Ok(Self { host: parse_host(host)?, port })
        };
        parse().map_err(|problem| BadHostPort { text: text.to_owned(), problem })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", Bracketed(&self.host), self.port)
    }
}

/// A host as it stands before a port.
struct Bracketed<'a>(&'a str);

impl fmt::Display for Bracketed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.contains(':') { write!(f, "[{}]", self.0) } else { f.write_str(self.0) }
    }
}

fn split_port(authority: &str) -> Result<(&str, Option<u16>), &'static str> {
    let colon = authority.rfind(':').filter(|at| !authority[*at..].contains(']'));
    let Some(at) = colon else { return Ok((authority, None)) };
    let digits = &authority[at + 1..];
    // `parse` alone would take "+443".
    let port = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<u16>().ok());
    match port.flatten() {
        Some(port) if port > 0 => Ok((&authority[..at], Some(port))),
        _ => Err("has no port from 1 to 65535 behind its colon"),
    }
}

fn parse_host(text: &str) -> Result<String, &'static str> {
    if let Some(address) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let address = address.parse::<Ipv6Addr>();
        return address.map(|a| a.to_string()).map_err(|_| "has no IPv6 address in its brackets");
    }
    if text.is_empty() {
        return Err("has no host");
    }
    if text.len() > 253 || !text.bytes().all(is_host_byte) {
        return Err("has a host with characters that no host name has: write its ASCII form");
    }
    Ok(text.to_ascii_lowercase())
}

const fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_has_host_port_and_path() {
        let url: Url = "https://Telemetry.example.org:8443/otlp/".parse().unwrap();
        assert_eq!((url.host(), url.port(), url.path()), ("telemetry.example.org", 8443, "/otlp"));
        assert_eq!(url.to_string(), "https://telemetry.example.org:8443/otlp");
        let url: Url = "https://[::1]".parse().unwrap();
        assert_eq!((url.host(), url.port(), url.path()), ("::1", 443, ""));
        assert_eq!(url.to_string().parse(), Ok(url));
    }

    #[test]
    fn what_is_no_endpoint_is_refused() {
        for text in [
            "",
            "telemetry.example.org",
            "http://telemetry.example.org",
            "https://",
            "https:///path",
            "https://:443",
            "https://host:0",
            "https://host:65536",
            "https://host:+443",
            "https://host:",
            "https://user:word@host",
            "https://host/?key=1",
            "https://host#part",
            "https://ho st",
            "https://höst",
            "https://host/a b",
            "https://[::1",
            "https://[zz]",
        ] {
            assert!(text.parse::<Url>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_proxy_needs_a_port() {
        let proxy: HostPort = "[fe80::1]:3128".parse().unwrap();
        assert_eq!((proxy.host(), proxy.port()), ("fe80::1", 3128));
        assert_eq!(proxy.to_string(), "[fe80::1]:3128");
        assert_eq!("proxy:3128".parse::<HostPort>().unwrap().host(), "proxy");
        for text in ["proxy", "proxy:", ":3128", "http://proxy:3128", "proxy:0"] {
            assert!(text.parse::<HostPort>().is_err(), "{text}");
        }
    }
}

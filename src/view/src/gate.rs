//! Who may speak to the page at all: decided from the head of a request, before anything is looked up.
//!
//! # Invariants
//! - The `Host` is this address: a foreign name that resolves to loopback (DNS rebinding) is refused.
//! - A request that another page caused (`Origin`, `Sec-Fetch-Site`) is refused. Only the key may come from
//!   elsewhere, since the file that posts it has no origin.
//! - Nothing here depends on a secret: what is right about the head is no permission yet.
//!
//! On failure: a [`Denial`], which says what was foreign.

use hyper::header::{COOKIE, HOST, HeaderMap, HeaderValue, ORIGIN};
use hyper::{Method, Request};

/// Where a form posts the key.
pub(crate) const OPEN: &str = "/open";

/// What was foreign about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Denial {
    #[error("the request is for another host")]
    Host,
    #[error("the request comes from another page")]
    Origin,
}

/// Lets a request pass whose head is right for the page at this port.
pub(crate) fn check<B>(request: &Request<B>, port: u16) -> Result<(), Denial> {
    let headers = request.headers();
    let own = [format!("127.0.0.1:{port}"), format!("localhost:{port}")];
    let host = single(headers, HOST.as_str()).ok_or(Denial::Host)?;
    if !own.iter().any(|own| own == host) {
        return Err(Denial::Host);
    }
    let brings_key = request.method() == Method::POST && request.uri().path() == OPEN;
    let origin_is_right = match headers.get(ORIGIN).map(|value| value.to_str()) {
        None => true,
        // A file has the origin `null`, and a page without a referrer gives none away either.
        Some(Ok("null")) => brings_key,
        Some(Ok(origin)) => origin.strip_prefix("http://") == Some(host),
        Some(Err(_)) => false,
    };
    let site_is_right = match headers.get("sec-fetch-site").map(HeaderValue::as_bytes) {
        None | Some(b"same-origin" | b"none") => true,
        Some(_) => brings_key,
    };
    if origin_is_right && site_is_right { Ok(()) } else { Err(Denial::Origin) }
}

/// The value of a header that stands there once.
fn single<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// The cookie's name. Cookies do not tell ports apart, so the name does: two viewers live side by side.
pub(crate) fn cookie_name(port: u16) -> String {
    format!("candor-viewer-{port}")
}

/// What the browser brings as its session.
pub(crate) fn session(headers: &HeaderMap, port: u16) -> Option<&str> {
    let name = cookie_name(port);
    let lines = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut cookies = lines.flat_map(|line| line.split(';'));
    cookies.find_map(|cookie| cookie.trim().strip_prefix(&name)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(method: &str, path: &str, headers: &[(&str, &str)]) -> Result<(), Denial> {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        check(&request.body(()).unwrap(), 8080)
    }

    #[test]
    fn only_this_host_is_meant() {
        for host in ["127.0.0.1:8080", "localhost:8080"] {
            assert_eq!(checked("GET", "/", &[("host", host)]), Ok(()));
        }
        for host in [
            "127.0.0.1",
            "127.0.0.1:8081",
            "rebound.example:8080",
            "127.0.0.1:8080.example",
            "[::1]:8080",
            "",
        ] {
            assert_eq!(checked("GET", "/", &[("host", host)]), Err(Denial::Host), "{host}");
        }
        assert_eq!(checked("GET", "/", &[]), Err(Denial::Host));
        let two = [("host", "127.0.0.1:8080"), ("host", "rebound.example")];
        assert_eq!(checked("GET", "/", &two), Err(Denial::Host));
    }

    #[test]
    fn another_page_is_refused_and_only_the_key_may_come_from_a_file() {
        let host = ("host", "127.0.0.1:8080");
        let with = |method, path, name, value| checked(method, path, &[host, (name, value)]);
        assert_eq!(with("GET", "/api/status", "origin", "http://127.0.0.1:8080"), Ok(()));
        for origin in
            ["http://evil.example", "null", "http://127.0.0.1:9", "https://127.0.0.1:8080"]
        {
            let denied = with("GET", "/api/status", "origin", origin);
            assert_eq!(denied, Err(Denial::Origin), "{origin}");
        }
        assert_eq!(with("GET", "/", "sec-fetch-site", "none"), Ok(()));
        assert_eq!(with("GET", "/", "sec-fetch-site", "cross-site"), Err(Denial::Origin));
        assert_eq!(with("GET", "/", "sec-fetch-site", "same-site"), Err(Denial::Origin));
        assert_eq!(with("POST", OPEN, "origin", "null"), Ok(()));
        assert_eq!(with("POST", OPEN, "sec-fetch-site", "cross-site"), Ok(()));
        assert_eq!(with("POST", OPEN, "origin", "http://evil.example"), Err(Denial::Origin));
        assert_eq!(with("GET", OPEN, "origin", "null"), Err(Denial::Origin));
    }

    #[test]
    fn the_session_is_found_among_other_cookies() {
        let mut headers = HeaderMap::new();
        assert_eq!(session(&headers, 80), None);
        headers.append(COOKIE, "a=b; candor-viewer-8=x; candor-viewer-80=yes; c".parse().unwrap());
        assert_eq!(session(&headers, 80), Some("yes"));
        assert_eq!(session(&headers, 81), None);
    }
}

//! The routes: path, method, the role that each needs and how long it may take, in one table that
//! server and client share.
//!
//! # Invariants
//! - Every [`Call`] stands in the table once; a path is spelled nowhere else.
//! - A route without a role cannot be written down.
//!
//! On failure: [`Missing`] says whether the path or the method is wrong.

use std::time::Duration;

use candor_platform::Role;
use hyper::Method;

/// What a client can ask for, in the order of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Status,
    Level,
    Explain,
    Stats,
    SetLevel,
    Enable,
    Disable,
    Flush,
    Reload,
    Audit,
    DeadLetters,
    Replay,
    History,
    Providers,
    SwitchProvider,
    Events,
    Event,
    Journal,
    JournalBody,
    Volume,
    Emit,
    Delete,
    Claim,
    Export,
    Receipt,
}

/// One line of the table.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) call: Call,
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    /// The lowest role that may ask.
    pub(crate) role: Role,
    /// From the end of the head to the answer.
    pub(crate) deadline: Duration,
}

/// Why no route matches.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    Path,
    /// The path exists, with these methods.
    Method(Vec<&'static str>),
}

/// Every route as method, path and the lowest role that may ask: what `docs/control-api.yaml` is compared
/// with.
pub fn routes() -> impl Iterator<Item = (&'static str, &'static str, Role)> {
    ROUTES.iter().map(|route| (route.method.as_str(), route.path, route.role))
}

pub(crate) const ORDINARY: Duration = Duration::from_secs(30);
/// A flush that waits lasts as long as the upload does.
const FLUSH: Duration = Duration::from_mins(2);

/// Everything that waits is overwritten.
const DELETION: Duration = Duration::from_mins(2);

static ROUTES: [Route; 25] = [
    get(Call::Status, "/v1/status", Role::Anyone),
    get(Call::Level, "/v1/level", Role::Anyone),
    get(Call::Explain, "/v1/explain", Role::Anyone),
    get(Call::Stats, "/v1/stats", Role::Anyone),
    post(Call::SetLevel, "/v1/level", ORDINARY),
    post(Call::Enable, "/v1/enable", ORDINARY),
    post(Call::Disable, "/v1/disable", ORDINARY),
    post(Call::Flush, "/v1/flush", FLUSH),
    post(Call::Reload, "/v1/reload", ORDINARY),
    // An audit reads the whole store: not for anyone to ask for again and again.
    get(Call::Audit, "/v1/audit", Role::Reader),
    get(Call::DeadLetters, "/v1/dead", Role::Reader),
    post(Call::Replay, "/v1/replay", ORDINARY),
    // It names users, and the reasons that they gave.
    get(Call::History, "/v1/history", Role::Reader),
    get(Call::Providers, "/v1/providers", Role::Anyone),
    post(Call::SwitchProvider, "/v1/providers", ORDINARY),
    // Content: what this host tells, and told.
    get(Call::Events, "/v1/events", Role::Reader),
    get(Call::Event, "/v1/events/{seq}", Role::Reader),
    get(Call::Journal, "/v1/journal", Role::Reader),
    get(Call::JournalBody, "/v1/journal/{number}/body", Role::Reader),
    get(Call::Volume, "/v1/volume", Role::Reader),
    // It adds what a manifest admits of this very caller, and changes nothing.
    Route {
        call: Call::Emit,
        method: Method::POST,
        path: "/v1/emit",
        role: Role::Anyone,
        deadline: ORDINARY,
    },
    post(Call::Delete, "/v1/delete", DELETION),
    // The two change nothing, and hand out what nobody but an administrator may have.
    post(Call::Claim, "/v1/claim", ORDINARY),
    post(Call::Export, "/v1/export", ORDINARY),
    post(Call::Receipt, "/v1/receipt", ORDINARY),
];

const fn get(call: Call, path: &'static str, role: Role) -> Route {
    Route { call, method: Method::GET, path, role, deadline: ORDINARY }
}

/// What changes something is for administrators, all of it.
const fn post(call: Call, path: &'static str, deadline: Duration) -> Route {
    Route { call, method: Method::POST, path, role: Role::Administrator, deadline }
}

/// The route of a request.
pub(crate) fn find(method: &Method, path: &str) -> Result<&'static Route, Missing> {
    let mut others = Vec::new();
    for route in ROUTES.iter().filter(|route| matches(route.path, path)) {
        if route.method == method {
            return Ok(route);
        }
        others.push(route.method.as_str());
    }
    Err(if others.is_empty() { Missing::Path } else { Missing::Method(others) })
}

/// Whether a path is one of a route's: a part in braces stands for any number.
fn matches(route: &str, path: &str) -> bool {
    let mut wanted = route.split('/');
    let mut parts = path.split('/');
    loop {
        match (wanted.next(), parts.next()) {
            (None, None) => return true,
            (Some(wanted), Some(part)) if wanted == part => {}
            (Some(wanted), Some(part)) if wanted.starts_with('{') && number_in(part).is_some() => {}
            _ => return false,
        }
    }
}

fn number_in(part: &str) -> Option<u64> {
    part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok())?
}

/// The number that a path holds, of those that hold one.
pub(crate) fn number(path: &str) -> Option<u64> {
    path.split('/').find_map(number_in)
}

/// The path of a route with its number put in.
pub(crate) fn path_with(call: Call, number: u64) -> String {
    let filled = |part: &str| {
        if part.starts_with('{') { number.to_string() } else { part.to_owned() }
    };
    let parts = of(call).path.split('/').map(filled);
    parts.collect::<Vec<_>>().join("/")
}

/// The route of a call.
pub(crate) fn of(call: Call) -> &'static Route {
    // The table has one line for each call, in the order of the calls.
    &ROUTES[call as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_finds_its_own_route() {
        for route in &ROUTES {
            assert_eq!(of(route.call).call, route.call);
            let path = path_with(route.call, 7);
            assert_eq!(find(&route.method, &path).unwrap().call, route.call);
        }
    }

    #[test]
    fn a_number_in_a_path_is_found_and_put_in() {
        let path = path_with(Call::JournalBody, 17);
        assert_eq!(path, "/v1/journal/17/body");
        assert_eq!(number(&path), Some(17));
        assert_eq!(find(&Method::GET, &path).unwrap().call, Call::JournalBody);
        for path in
            ["/v1/events/", "/v1/events/-1", "/v1/events/1/2", "/v1/events/99999999999999999999"]
        {
            assert_eq!(find(&Method::GET, path).unwrap_err(), Missing::Path, "{path}");
        }
    }

    #[test]
    fn what_changes_something_is_for_administrators_alone() {
        for route in ROUTES.iter().filter(|route| route.call != Call::Emit) {
            assert_eq!(route.method == Method::POST, route.role == Role::Administrator);
        }
    }

    #[test]
    fn a_wrong_method_and_a_wrong_path_are_told_apart() {
        let missing = find(&Method::DELETE, "/v1/level").unwrap_err();
        assert_eq!(missing, Missing::Method(vec!["GET", "POST"]));
        for path in ["/", "/v1", "/v1/status/", "/v1/statu", "/V1/status", "*"] {
            assert_eq!(find(&Method::GET, path).unwrap_err(), Missing::Path, "{path}");
        }
    }
}

//! Why nothing is sent right now, and what a person can do about it: the words of `agentctl status`.
//! Made by `decision` from an answer and by `uploader` from its settings; shown, never parsed.
//!
//! # Invariants
//! - Every reason has a remedy; a reason's word is spelled here and nowhere else.
//! - A reason either holds or backs off, never both: [`Reason::holds`].

use std::fmt;

/// The kind of trouble. Its [`word`](Reason::word) is `upload.reason` in `status --json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The server's verified path has no pinned key.
    Pin,
    /// The server's certificate, or ours, did not verify.
    Certificate,
    /// The certificate's time does not fit, its pin does, and the local clock is implausible.
    Clock,
    /// 401, 403 or 407.
    Unauthorized,
    /// 404: nothing listens at that path.
    NotFound,
    /// Another 4xx that no repetition mends.
    Refused,
    /// 3xx; redirects are never followed.
    Redirect,
    /// The configured proxy did not open the way.
    Proxy,
    /// A policy that cannot be read or understood.
    Policy,
    /// No endpoint is configured.
    NoEndpoint,
    /// Fewer than two pins, and one alone is not allowed.
    TooFewPins,
    /// The day's bytes are spent.
    DayLimit,
    /// The spool's store does not answer.
    Store,
    /// Name lookup, connection or transfer failed.
    Connection,
    /// Somebody did not answer in time.
    Timeout,
    /// 408, 429 or 5xx.
    Busy,
    /// What came back is not HTTP.
    NotHttp,
}

impl Reason {
    /// The word in JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pin => "pin",
            Self::Certificate => "certificate",
            Self::Clock => "clock",
            Self::Unauthorized => "unauthorized",
            Self::NotFound => "not_found",
            Self::Refused => "refused",
            Self::Redirect => "redirect",
            Self::Proxy => "proxy",
            Self::Policy => "policy",
            Self::NoEndpoint => "no_endpoint",
            Self::TooFewPins => "too_few_pins",
            Self::DayLimit => "day_limit",
            Self::Store => "store",
            Self::Connection => "connection",
            Self::Timeout => "timeout",
            Self::Busy => "busy",
            Self::NotHttp => "not_http",
        }
    }

    /// Whether it holds (a person must act) or backs off (time may mend it).
    #[must_use]
    pub const fn holds(self) -> bool {
        !matches!(self, Self::Store | Self::Connection | Self::Timeout | Self::Busy | Self::NotHttp)
    }

    /// What to do, where nothing more exact is known.
    const fn remedy(self) -> &'static str {
        match self {
            Self::Pin => {
                "if the server's key was changed on purpose, add its pin to CertificatePins; \
                 `agentctl pins test` shows which one; otherwise somebody stands between"
            }
            Self::Certificate => {
                "run `agentctl pins test`; it names the certificate that failed and why"
            }
            Self::Clock => "set this host's clock: its time cannot be right",
            Self::Unauthorized => {
                "let the endpoint accept this host: check upload.client_cert and the endpoint's \
                 access rules"
            }
            Self::NotFound => {
                "correct EventsEndpoint: it is the base to which /v1/logs, /v1/metrics and \
                 /v1/traces are added"
            }
            Self::Refused => "check EventsEndpoint and the receiver's configuration and log",
            Self::Redirect => {
                "set EventsEndpoint to the address that answers itself; redirects are not followed"
            }
            Self::Proxy => {
                "mend the proxy or correct TelemetryProxy; without it nothing leaves this host"
            }
            Self::Policy => "correct the policy; `agentctl explain` names the file and the key",
            Self::NoEndpoint => "set EventsEndpoint in agent.toml or by policy",
            Self::TooFewPins => {
                "state at least two CertificatePins, one of them of a backup key, or set \
                 upload.allow_single_pin"
            }
            Self::DayLimit => {
                "nothing: it goes on at midnight UTC; `agentctl flush` sends now, \
                 upload.max_bytes_per_day raises the limit"
            }
            Self::Store => "check the disk under the state directory",
            Self::Connection => {
                "nothing at first: it is tried again; if it lasts, check the network, the name \
                 and the port of EventsEndpoint"
            }
            Self::Timeout => {
                "nothing at first: it is tried again; if it lasts, check the network and the \
                 endpoint"
            }
            Self::Busy => "nothing: it is tried again; if it lasts, look at the receiver",
            Self::NotHttp => {
                "nothing at first: it is tried again; if it lasts, check that EventsEndpoint's \
                 port is the one that speaks HTTPS"
            }
        }
    }
}

/// One trouble: its kind, what happened, what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The kind.
    pub reason: Reason,
    /// What happened, with its object (address, status, pin, file).
    pub detail: String,
    /// What to do, in a sentence for a person.
    pub remedy: String,
}

impl Trouble {
    /// A trouble with its reason's usual remedy.
    #[must_use]
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into(), remedy: reason.remedy().to_owned() }
    }

    /// The same with a more exact remedy.
    #[must_use]
    pub fn with_remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: remedy.into(), ..self }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason.word(), self.detail)
    }
}

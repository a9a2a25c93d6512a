//! A whole delivery tried step by step, for a person: name, connection, handshake, pin, and an empty
//! request that the endpoint must accept. For `agentctl test`; the uploader itself never needs this.
//!
//! # Invariants
//! - Each step is the uploader's own: what fails here fails there.
//! - The one request holds no record.
//! - A step whose ground is missing is not tried.
//!
//! On failure: the step says so, with a remedy.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::SystemTime;

use candor_model::Kind;
use hyper::body::Bytes;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use crate::answer::Answer;
use crate::decision::{Decision, Now, State, decide, is_plausible};
use crate::http::{Link, Post};
use crate::phase::too_few_pins;
use crate::pins::{Report, test};
use crate::{Compression, Destination, Reason, Timing, Trouble};

/// What came of a step: what was found, or what is in the way.
pub type Step = Result<String, Trouble>;

/// What a trial found; `None` where a step was not tried.
#[derive(Debug, Default)]
pub struct Trial {
    /// The name of the endpoint, or of the proxy where there is one, has addresses.
    pub dns: Option<Step>,
    /// One of them answers.
    pub tcp: Option<Step>,
    /// The server's certificate verifies.
    pub tls: Option<Step>,
    /// A pinned key is on the verified path.
    pub pin: Option<Step>,
    /// The endpoint accepts a request without a record.
    pub endpoint: Option<Step>,
    /// What the server presented and which pins would match, where it was asked.
    pub report: Option<Report>,
}

/// Tries a destination step by step; `began` is called with the name of each.
pub async fn trial(
    destination: &Destination,
    timing: &Timing,
    mut began: impl FnMut(&'static str),
) -> Trial {
    let mut trial = Trial::default();
    began("dns");
    let (step, is_known) = split(dns(destination, timing).await);
    trial.dns = Some(step);
    if !is_known {
        return trial;
    }
    began("tcp");
    let (step, is_reached) = split(tcp(destination, timing).await);
    trial.tcp = Some(step);
    if !is_reached {
        return trial;
    }
    began("tls");
    let report = test(destination, timing).await;
    let (tls, pin) = judge(destination, &report);
    let is_trusted = pin.as_ref().is_some_and(Result::is_ok);
    (trial.tls, trial.pin, trial.report) = (Some(tls), pin, Some(report));
    if is_trusted {
        began("endpoint");
        trial.endpoint = Some(accepts(destination, timing).await);
    }
    trial
}

/// Whether this host's clock can be right.
///
/// # Errors
/// When it cannot.
pub fn clock(now: SystemTime) -> Step {
    let shown = crate::verifier::shown(now);
    if is_plausible(now, None) {
        Ok(shown)
    } else {
        Err(Trouble::new(Reason::Clock, format!("{shown} cannot be right")))
    }
}

fn split(step: Step) -> (Step, bool) {
    let is_good = step.is_ok();
    (step, is_good)
}

/// Whom a connection is opened to: the proxy, where there is one.
fn next_host(destination: &Destination) -> (&str, u16) {
    match &destination.proxy {
        Some((host, port)) => (host, *port),
        None => (&destination.endpoint.host, destination.endpoint.port),
    }
}

async fn dns(destination: &Destination, timing: &Timing) -> Step {
    let (host, port) = next_host(destination);
    let failed = |what: String| {
        let remedy = "check the name in EventsEndpoint or TelemetryProxy, and this host's resolver";
        Trouble::new(Reason::Connection, format!("looking up {host}: {what}")).with_remedy(remedy)
    };
    let looked_up = timeout(timing.connect, lookup_host((host, port))).await;
    let addresses: Vec<String> = looked_up
        .map_err(|_| failed("no answer in time".into()))?
        .map_err(|error| failed(error.to_string()))?
        .map(|address| address.ip().to_string())
        .collect();
    if addresses.is_empty() {
        return Err(failed("the name has no address".into()));
    }
    Ok(format!("{host}: {}", addresses.join(", ")))
}

async fn tcp(destination: &Destination, timing: &Timing) -> Step {
    let (host, port) = next_host(destination);
    let failed = |error: io::Error| {
        let remedy = "check the port, the way there (firewall, route), and that somebody listens";
        let detail = format!("connecting to {host}:{port}: {error}");
        Trouble::new(Reason::Connection, detail).with_remedy(remedy)
    };
    let reached = timeout(timing.connect, TcpStream::connect((host, port))).await;
    let stream = reached.map_err(|_| failed(io::ErrorKind::TimedOut.into()))?.map_err(failed)?;
    let whom = if destination.proxy.is_some() { "the proxy " } else { "" };
    Ok(stream.peer_addr().map_or_else(|_| host.to_owned(), |peer| format!("{whom}{peer}")))
}

/// What a handshake says about the certificate, and about its pin.
fn judge(destination: &Destination, report: &Report) -> (Step, Option<Step>) {
    let verified = "the certificate verifies".to_owned();
    if let Some(session) = &report.session {
        let tls = format!("TLS {}, {verified}", session.tls);
        let pin = match too_few_pins(destination) {
            Some(trouble) => Err(trouble),
            None => Ok(format!("{} is on the verified path", session.pin)),
        };
        return (Ok(tls), Some(pin));
    }
    match report.trouble.clone() {
        Some(trouble) if trouble.reason == Reason::Pin => (Ok(verified), Some(Err(trouble))),
        Some(trouble) => (Err(trouble), None),
        None => (Err(Trouble::new(Reason::Connection, "the handshake came to nothing")), None),
    }
}

/// Posts a request without a record, as the uploader posts one with some.
async fn accepts(destination: &Destination, timing: &Timing) -> Step {
    let sent = Arc::new(AtomicU64::new(0));
    let (body, runs) = (Bytes::new(), Vec::new());
    let post = Post { kind: Kind::Log, body, compression: Compression::None, runs };
    let answer = match Link::open(destination, timing, &sent).await {
        Err(answer) => answer,
        Ok(mut link) => {
            let answer = link.post(destination, &post, timing).await;
            link.close().await;
            answer
        }
    };
    outcome(destination, &answer, timing)
}

fn outcome(destination: &Destination, answer: &Answer, timing: &Timing) -> Step {
    let now = Now { wall: (timing.wall)(), random: 0 };
    match decide(answer, now, &State::default()) {
        Decision::Acknowledge { unreadable: false, .. } => {
            Ok(format!("{} accepted an empty request", destination.endpoint))
        }
        Decision::Acknowledge { message, .. } => {
            let said = message.unwrap_or_default();
            let remedy = "check that EventsEndpoint is an OTLP receiver; what is sent there counts as \
                          delivered";
            Err(Trouble::new(Reason::Refused, format!("it answers, but not as OTLP: {said}"))
                .with_remedy(remedy))
        }
        Decision::Hold { trouble, .. } | Decision::BackOff { trouble, .. } => Err(trouble),
        Decision::DeadLetter { answer } => {
            Err(Trouble::new(Reason::Refused, format!("an empty request was refused: {answer}")))
        }
        Decision::Split { .. } => {
            Err(Trouble::new(Reason::Refused, "an empty request was called too large"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_clock_before_this_code_was_written_cannot_be_right() {
        let trouble = clock(SystemTime::UNIX_EPOCH + Duration::from_secs(1)).unwrap_err();
        assert_eq!(trouble.reason, Reason::Clock);
        assert!(!trouble.remedy.is_empty());
    }
}

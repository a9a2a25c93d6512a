//! From a request to an answer: route, right, body, service, JSON.
//!
//! # Invariants
//! - The role is checked before the body is read.
//! - Every answer is JSON with a length, refusals included.
//!
//! On failure: the refusal is the answer.

use candor_platform::{Peer, Role};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::{Request, Response, StatusCode};
use serde::Serialize;
use tokio::time::timeout;

use super::Service;
use crate::protocol::{
    Code, DisableRequest, EmitRequest, ErrorBody, EventsRequest, ExportRequest, FlushRequest,
    JournalRequest, LevelRequest, ProviderRequest, ReceiptRequest, Refusal, ReplayRequest, days,
    parse_nothing,
};
use crate::route::{self, Call, Missing, Route};

/// The largest body.
const MAX_BODY: usize = 64 * 1024;

/// What was not done, with the status where it is not the one of the code.
struct Denial {
    refusal: Refusal,
    status: StatusCode,
    allow: Option<String>,
}

impl From<Refusal> for Denial {
    fn from(refusal: Refusal) -> Self {
        let status = StatusCode::from_u16(refusal.code.status());
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { refusal, status, allow: None }
    }
}

impl Denial {
    fn new(status: StatusCode, refusal: Refusal) -> Self {
        Self { refusal, status, allow: None }
    }
}

/// Answers one request.
pub(super) async fn answer(
    service: &impl Service,
    peer: &Peer,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    match carry_out(service, peer, request).await {
        Ok(Said::Json(body)) => response(StatusCode::OK, body),
        Ok(Said::Bytes(body)) => as_bytes(response(StatusCode::OK, body)),
        Err(denial) => denied(denial),
    }
}

async fn carry_out(
    service: &impl Service,
    peer: &Peer,
    request: Request<Incoming>,
) -> Result<Said, Denial> {
    let path = request.uri().path();
    let route = route::find(request.method(), path).map_err(|missing| no_route(path, missing))?;
    permit(route, peer)?;
    let number = route::number(path).unwrap_or_default();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let work = async {
        let body = read(request.into_body()).await?;
        match content(service, peer, (route.call, number), &query).await {
            Some(said) => said,
            None => call(service, peer, route.call, &body).await.map(Said::Json),
        }
    };
    timeout(route.deadline, work).await.unwrap_or_else(|_| Err(too_slow(route)))
}

/// An answer's body.
enum Said {
    Json(Vec<u8>),
    Bytes(Vec<u8>),
}

/// The routes that show content, which policy can forbid; `None` for the others.
async fn content(
    service: &impl Service,
    peer: &Peer,
    (call, number): (Call, u64),
    query: &str,
) -> Option<Result<Said, Denial>> {
    let work = async {
        match call {
            Call::Events => {
                let page = service.events(peer, EventsRequest::parse(query)?).await?;
                json(&page).map(Said::Json)
            }
            Call::Event => json(&service.event(peer, number).await?).map(Said::Json),
            Call::Journal => {
                let page = service.journal(peer, JournalRequest::parse(query)?).await?;
                json(&page).map(Said::Json)
            }
            Call::JournalBody => Ok(Said::Bytes(service.journal_body(peer, number).await?)),
            _ => json(&service.volume(peer, days(query)?).await?).map(Said::Json),
        }
    };
    let shows = [Call::Events, Call::Event, Call::Journal, Call::JournalBody, Call::Volume];
    if !shows.contains(&call) {
        return None;
    }
    Some(work.await.map_err(|denial: Denial| match denial.refusal.code {
        // Nothing was to be changed: it is not the request that conflicts, it may not be seen.
        Code::RefusedByPolicy => Denial { status: StatusCode::FORBIDDEN, ..denial },
        _ => denial,
    }))
}

/// Calls the service's method of the route.
async fn call(
    service: &impl Service,
    peer: &Peer,
    call: Call,
    body: &[u8],
) -> Result<Vec<u8>, Denial> {
    match call {
        Call::Status => json(&service.status(peer).await?),
        Call::Level => json(&service.level(peer).await?),
        Call::Explain => json(&service.explain(peer).await?),
        Call::Stats => json(&service.stats(peer).await?),
        Call::SetLevel => json(&service.set_level(peer, LevelRequest::parse(body)?).await?),
        Call::Enable => {
            parse_nothing(body)?;
            json(&service.enable(peer).await?)
        }
        Call::Disable => json(&service.disable(peer, DisableRequest::parse(body)?).await?),
        Call::Flush => json(&service.flush(peer, FlushRequest::parse(body)?).await?),
        Call::Reload => {
            parse_nothing(body)?;
            json(&service.reload(peer).await?)
        }
        Call::Audit => json(&service.audit(peer).await?),
        Call::DeadLetters => json(&service.dead_letters(peer).await?),
        Call::History => json(&service.history(peer).await?),
        Call::Delete => {
            parse_nothing(body)?;
            json(&service.delete(peer).await?)
        }
        Call::Claim => {
            parse_nothing(body)?;
            json(&service.claim(peer).await?)
        }
        Call::Export => json(&service.export(peer, ExportRequest::parse(body)?).await?),
        Call::Receipt => json(&service.receipt(peer, ReceiptRequest::parse(body)?).await?),
        Call::Replay => json(&service.replay(peer, ReplayRequest::parse(body)?).await?),
        Call::Providers => json(&service.providers(peer).await?),
        Call::SwitchProvider => {
            json(&service.switch_provider(peer, ProviderRequest::parse(body)?).await?)
        }
        Call::Emit => json(&service.emit(peer, EmitRequest::parse(body)?).await?),
        // `content` has answered the others.
        _ => json(&()),
    }
}

async fn read(body: Incoming) -> Result<Bytes, Denial> {
    if body.size_hint().lower() > MAX_BODY as u64 {
        return Err(too_large());
    }
    match Limited::new(body, MAX_BODY).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(error) => Err(Refusal::bad_request(format!("the body ends early: {error}")).into()),
    }
}

fn permit(route: &Route, peer: &Peer) -> Result<(), Denial> {
    if peer.role >= route.role {
        return Ok(());
    }
    let (who, remedy) = match (route.role, cfg!(windows)) {
        (Role::Administrator, true) => ("an elevated administrator", "run it as administrator"),
        (Role::Administrator, false) => ("root or the user who runs agentd", "run it with sudo"),
        _ => ("a member of the group candor", "ask an administrator to add you to it"),
    };
    let text = format!("only {who} may ask for {} {}", route.method, route.path);
    Err(Refusal::new(Code::NotPermitted, text).remedy(remedy).into())
}

fn no_route(path: &str, missing: Missing) -> Denial {
    match missing {
        Missing::Path => {
            let path: String = path.chars().take(200).collect();
            Refusal::new(Code::NotFound, format!("there is no {path}")).into()
        }
        Missing::Method(methods) => {
            let allow = methods.join(", ");
            let text = format!("the method is wrong for {path}: use {allow}");
            let refusal = Refusal::bad_request(text);
            let status = StatusCode::METHOD_NOT_ALLOWED;
            Denial { refusal, status, allow: Some(allow) }
        }
    }
}

fn too_large() -> Denial {
    let text = format!("the body is larger than {MAX_BODY} bytes");
    Denial::new(StatusCode::PAYLOAD_TOO_LARGE, Refusal::bad_request(text))
}

fn too_slow(route: &Route) -> Denial {
    let text = format!("no answer within {} s", route.deadline.as_secs());
    let refusal = Refusal::failed(text).remedy("look at `agentctl status` for what holds it up");
    Denial::new(StatusCode::GATEWAY_TIMEOUT, refusal)
}

fn json(answer: &impl Serialize) -> Result<Vec<u8>, Denial> {
    let mut body = serde_json::to_vec(answer)
        .map_err(|error| Refusal::failed(format!("the answer cannot be written: {error}")))?;
    body.push(b'\n');
    Ok(body)
}

fn denied(denial: Denial) -> Response<Full<Bytes>> {
    let body = json(&ErrorBody { error: denial.refusal }).unwrap_or_default();
    let mut response = response(denial.status, body);
    if let Some(value) = denial.allow.and_then(|allow| HeaderValue::try_from(allow).ok()) {
        response.headers_mut().insert(ALLOW, value);
    }
    response
}

fn as_bytes(mut response: Response<Full<Bytes>>) -> Response<Full<Bytes>> {
    let bytes = HeaderValue::from_static("application/octet-stream");
    response.headers_mut().insert(CONTENT_TYPE, bytes);
    response
}

fn response(status: StatusCode, body: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

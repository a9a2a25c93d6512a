//! One request and its answer.
//!
//! # Invariants
//! - Every answer carries the same strict headers, refusals included.
//! - What is not GET (or HEAD) changes nothing but the lock: the key is posted, and that is all.
//!
//! On failure: `{"error":{"code","message","remedy"}}`, as on the control endpoint.

use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY,
    SET_COOKIE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::json;
use tokio::time::timeout;

use crate::files::{self, DOOR, HTML, OPENING};
use crate::gate::{self, OPEN};
use crate::server::State;
use crate::{Answer, Question, Refused, Source};

/// Scripts, styles and answers from here, forms to here, and nothing else: no frame around it, no markup
/// out of text.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";
/// A form with a key is shorter.
const MAX_BODY: usize = 1024;
const READING: Duration = Duration::from_secs(10);

pub(crate) type Reply = Response<Full<Bytes>>;

/// Answers one request.
pub(crate) async fn answer(state: &State<impl Source>, request: Request<Incoming>) -> Reply {
    let mut reply = match judge(state, request).await {
        Ok(reply) => reply,
        Err(refused) => refusal(&refused),
    };
    let headers = reply.headers_mut();
    let strict = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in strict {
        headers.insert(name, HeaderValue::from_static(value));
    }
    reply
}

async fn judge(state: &State<impl Source>, request: Request<Incoming>) -> Result<Reply, Refused> {
    gate::check(&request, state.port)
        .map_err(|denial| Refused::new(403, "foreign", denial.to_string()))?;
    let path = request.uri().path().to_owned();
    match *request.method() {
        Method::POST if path == OPEN => return open(state, request.into_body()).await,
        Method::GET | Method::HEAD => {}
        _ => return Err(Refused::new(405, "bad_request", "this page only reads")),
    }
    let session = gate::session(request.headers(), state.port).unwrap_or_default();
    let file = files::find(&path);
    if !state.lock.borrow().is_session(session) {
        return match file {
            Some(file) if file.is_public => Ok(reply(200, file.content_type, file.text)),
            _ if path == "/" => Ok(reply(403, HTML, DOOR)),
            _ => Err(Refused::new(403, "no_session", "open the page with its key first")),
        };
    }
    state.seen();
    if let Some(file) = file {
        return Ok(reply(200, file.content_type, file.text));
    }
    let query = request.uri().query().unwrap_or_default();
    let question = Question::parse(&path, query)
        .ok_or_else(|| Refused::new(404, "not_found", "there is no such page"))?;
    ask(state, question).await
}

async fn ask(state: &State<impl Source>, question: Question) -> Result<Reply, Refused> {
    if question == Question::Beat {
        return Ok(reply(200, "application/json", "{}"));
    }
    let answer = state.source.ask(question).await.inspect_err(|refused| {
        if refused.is_final {
            state.end(refused.message.clone());
        }
    })?;
    let Answer { content_type, bytes } = answer;
    Ok(reply(200, &content_type, bytes))
}

/// The key is posted: it becomes a session, once.
async fn open(state: &State<impl Source>, body: Incoming) -> Result<Reply, Refused> {
    let broken = || Refused::new(400, "bad_request", "the form is not the key's");
    let body = timeout(READING, Limited::new(body, MAX_BODY).collect()).await;
    let body = body.map_err(|_| broken())?.map_err(|_| broken())?.to_bytes();
    let form = std::str::from_utf8(&body).map_err(|_| broken())?;
    let key = form.split('&').find_map(|pair| pair.strip_prefix("key=")).ok_or_else(broken)?;
    let Some(cookie) = state.open(key.trim_matches('+')) else {
        return Ok(reply(403, HTML, DOOR));
    };
    let mut reply = reply(200, HTML, OPENING);
    let cookie = HeaderValue::try_from(cookie).map_err(|_| broken())?;
    reply.headers_mut().insert(SET_COOKIE, cookie);
    Ok(reply)
}

fn refusal(refused: &Refused) -> Reply {
    let Refused { status, code, message, remedy, .. } = refused;
    let body = json!({ "error": { "code": code, "message": message, "remedy": remedy } });
    reply(*status, "application/json", body.to_string())
}

fn reply(status: u16, content_type: &str, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Full::new(body.into()));
    *reply.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let content_type = HeaderValue::from_str(content_type)
        .unwrap_or(HeaderValue::from_static("application/octet-stream"));
    reply.headers_mut().insert(CONTENT_TYPE, content_type);
    reply
}

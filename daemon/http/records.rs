//! A port on which a switch posts its records, one a request, and hears when they are kept.
//!
//! The one invariant: 200 is said only after what was posted is on disk; whatever else is said leaves the record with the
//! switch. Size, time and number of requests have bounds, and a port with a password tells nobody more than 401.

use super::connection::Bounded;
use super::{Limits, Pass, common_headers, problem};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use std::future::Future;
use std::sync::mpsc::{SyncSender, TrySendError};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// What became of a posted record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is on disk.
    Kept,
    /// It is no record, and why.
    Refused(String),
    /// It could not be written in time: post it again.
    Later,
}

/// A posted record, and where to say what became of it.
#[derive(Debug)]
pub struct Posted {
    /// The request's body.
    pub body: Vec<u8>,
    /// Hears the verdict.
    pub answer: oneshot::Sender<Verdict>,
}

/// Where records are posted, and by whom.
#[derive(Clone)]
pub struct Inbox {
    /// The path, with its slash.
    pub path: Box<str>,
    /// The longest record, in octets.
    pub longest: usize,
    /// Who may post; `None`: anybody.
    pub pass: Option<Pass>,
    /// To the thread that reads them.
    pub records: SyncSender<Posted>,
}

/// Takes records on `listener` until `shutdown` is ready.
///
/// # Errors
/// Those of the listener.
pub async fn serve(
    listener: TcpListener,
    inbox: Inbox,
    limits: Limits,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let longest = inbox.longest;
    let router = Router::new().fallback(post).layer(DefaultBodyLimit::max(longest)).layer(map_response(common_headers)).with_state(inbox);
    let limits = Limits { request_bytes: limits.request_bytes.saturating_add(longest), ..limits };
    axum::serve(Bounded::new(listener, None, limits), router).with_graceful_shutdown(shutdown).await
}

async fn post(
    State(inbox): State<Inbox>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Response {
    if inbox.pass.is_some_and(|pass| !pass.is_shown(&headers)) {
        return Pass::refused("user and password are missing or wrong", "Basic realm=\"taktd\"");
    }
    if uri.path() != &*inbox.path {
        return problem(StatusCode::NOT_FOUND, &format!("records are posted to {}", inbox.path));
    }
    if method != Method::POST {
        return problem(StatusCode::METHOD_NOT_ALLOWED, "records are posted");
    }
    let body = match body {
        Ok(body) => body,
        Err(rejection) => return rejection.into_response(),
    };
    let (answer, verdict) = oneshot::channel();
    match inbox.records.try_send(Posted { body: body.to_vec(), answer }) {
        Ok(()) => {}
        Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => return later(),
    }
    match verdict.await {
        Ok(Verdict::Kept) => (StatusCode::OK, axum::Json(serde_json::json!({ "kept": true }))).into_response(),
        Ok(Verdict::Refused(why)) => problem(StatusCode::BAD_REQUEST, &why),
        Ok(Verdict::Later) | Err(_) => later(),
    }
}

fn later() -> Response {
    problem(StatusCode::SERVICE_UNAVAILABLE, "it could not be written in time; post it again")
}

//! A port on which a switch posts its records, one a request, and hears when they are kept.
//!
//! The one invariant: 200 is said only after what was posted is on disk; whatever else is said leaves the record with the
//! switch. Size, time and number of requests have bounds, and a port with a password tells nobody more than 401.

use super::connection::Bounded;
use super::{Limits, common_headers, problem};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
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
    /// SHA-256 of the one value that the header Authorization may have; `None`: anybody may post.
    pub authorization: Option<[u8; 32]>,
    /// To the thread that reads them.
    pub records: SyncSender<Posted>,
}

impl Inbox {
    /// What [`Inbox::authorization`] is for a user and password (RFC 7617).
    #[must_use]
    pub fn basic(user: &str, password: &str) -> [u8; 32] {
        let value = format!("Basic {}", base64(format!("{user}:{password}").as_bytes()));
        Sha256::digest(value).into()
    }
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
    axum::serve(Bounded::new(listener, limits), router).with_graceful_shutdown(shutdown).await
}

async fn post(
    State(inbox): State<Inbox>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Response {
    if let Some(expected) = inbox.authorization {
        // Digests are compared: how far a guess is right does not show in the time it takes.
        let given = headers.get(header::AUTHORIZATION).map(|value| <[u8; 32]>::from(Sha256::digest(value.as_bytes())));
        if given != Some(expected) {
            let mut response = problem(StatusCode::UNAUTHORIZED, "user and password are missing or wrong");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"taktd\""));
            return response;
        }
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

/// RFC 4648 §4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = usize::try_from(bits >> (18 - 6 * place) & 63).unwrap_or(0);
            text.push(if place <= chunk.len() { char::from(DIGITS.get(digit).copied().unwrap_or(b'=')) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_rfc_4648() {
        for (text, expected) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(text.as_bytes()), expected);
        }
        assert_eq!(Inbox::basic("a", "b"), <[u8; 32]>::from(Sha256::digest("Basic YTpi")));
    }
}

//! What can be asked over HTTP: the metrics page, health, and the running calls. Nothing can be changed.
//!
//! The one invariant: a request reads a finished value and leaves; it can neither hold up metering nor grow memory. A
//! connection carries one request, of bounded size and time, and only so many are open at once (see `connection.rs`).
//! The default address is the loopback one; who listens elsewhere asks for a token, over TLS (see `guard.rs`).

mod calls;
mod connection;
mod guard;
mod health;
mod page;
pub mod records;
mod view;

pub use connection::Limits;
pub use guard::{Guard, Pass};
pub use view::{RunningCall, State, View};

use crate::metrics::Metrics;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::{Router, routing};
use std::future::Future;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// What the answers are made of: the list of metrics, and the latest view that the meter has published.
#[derive(Clone, Debug)]
pub struct HttpState {
    /// The list behind `/metrics`.
    pub metrics: Metrics,
    /// The latest view. When its sender is gone, the meter is, and `/healthz` says so.
    pub view: watch::Receiver<Arc<View>>,
}

/// Answers on `listener` until `shutdown` is ready; then answers what has begun, and returns.
///
/// # Errors
/// Those of the listener; a connection's own errors end only that connection.
pub async fn serve(
    listener: TcpListener,
    state: HttpState,
    guard: Guard,
    limits: Limits,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let listener = connection::Bounded::new(listener, guard.tls.as_ref(), limits);
    axum::serve(listener, router(state, guard.pass)).with_graceful_shutdown(shutdown).await
}

/// One line a resource.
fn router(state: HttpState, pass: Option<Pass>) -> Router {
    Router::new()
        .route("/metrics", routing::get(page::metrics))
        .route("/healthz", routing::get(health::healthz))
        .route("/readyz", routing::get(health::readyz))
        .route("/v1/calls", routing::get(calls::running))
        .fallback(not_found)
        .method_not_allowed_fallback(not_allowed)
        .layer(from_fn_with_state((state.clone(), pass), guard::ask))
        .layer(map_response(common_headers))
        .with_state(state)
}

/// Every answer closes its connection, is never cached, and is what it says it is.
async fn common_headers(mut response: Response) -> Response {
    const ALWAYS: [(HeaderName, HeaderValue); 3] = [
        (header::CONNECTION, HeaderValue::from_static("close")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    response.headers_mut().extend(ALWAYS);
    response
}

async fn not_found(uri: Uri) -> Response {
    let what = format!("nothing is at {}; there are /metrics, /healthz, /readyz and /v1/calls", uri.path());
    problem(StatusCode::NOT_FOUND, &what)
}

async fn not_allowed(method: Method, request: Request) -> Response {
    let what = format!("{method} is not allowed on {}; everything here is read with GET", request.uri().path());
    problem(StatusCode::METHOD_NOT_ALLOWED, &what)
}

/// An error as JSON.
fn problem(status: StatusCode, what: &str) -> Response {
    (status, axum::Json(serde_json::json!({ "error": what }))).into_response()
}

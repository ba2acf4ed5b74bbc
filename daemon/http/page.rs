//! `/metrics`: the whole list, in the Prometheus text format.

use super::HttpState;
use crate::metrics::CONTENT_TYPE;
use axum::extract::State;
use axum::http::{HeaderName, header};

/// The page.
pub(super) async fn metrics(State(state): State<HttpState>) -> ([(HeaderName, &'static str); 1], String) {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], state.metrics.encode())
}

//! `/healthz`: is the daemon alive at all; `/readyz`: are calls metered and do they reach the ledger.

use super::HttpState;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;

/// Both answers have this shape.
#[derive(Debug, Serialize)]
pub(super) struct Health {
    ok: bool,
    reasons: Vec<String>,
}

/// 200 as long as the meter lives; 503 when it is gone and only the page is left.
pub(super) async fn healthz(State(state): State<HttpState>) -> (StatusCode, Json<Health>) {
    let reasons = match state.view.has_changed() {
        Ok(_) => Vec::new(),
        Err(_) => vec!["the meter has stopped".to_owned()],
    };
    answer(reasons)
}

/// 200 when calls are metered and reach the ledger; 503 with the reasons while they do not.
pub(super) async fn readyz(State(state): State<HttpState>) -> (StatusCode, Json<Health>) {
    if state.view.has_changed().is_err() {
        return answer(vec!["the meter has stopped".to_owned()]);
    }
    let view = state.view.borrow().clone();
    match (view.ready, view.reasons.is_empty()) {
        (true, _) => answer(Vec::new()),
        (false, false) => answer(view.reasons.clone()),
        (false, true) => answer(vec!["not ready".to_owned()]),
    }
}

fn answer(reasons: Vec<String>) -> (StatusCode, Json<Health>) {
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Health { ok: reasons.is_empty(), reasons }))
}

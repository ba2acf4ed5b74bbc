//! `/v1/calls`: the running calls, a JSON array in the order in which they began. Names as in a result (design.md §9).

use super::{HttpState, RunningCall, State, View};
use crate::calls::BilledFrom;
use crate::logging::mask;
use crate::meter::{Outcome, Party};
use crate::units::{Seconds, Timestamp};
use axum::Json;
use axum::extract;
use serde::Serialize;

/// The resource.
pub(super) async fn running(extract::State(state): extract::State<HttpState>) -> Json<Vec<CallJson>> {
    let view = state.view.borrow().clone();
    Json(render(&view, view.published.elapsed_micros()))
}

/// A running call as JSON has it. Times are RFC 3339 with offset, seconds whole, amounts decimal strings.
#[derive(Debug, Serialize)]
pub(super) struct CallJson {
    call_id: String,
    direction: &'static str,
    hotline: Option<String>,
    service: String,
    caller: String,
    called: String,
    contract: Option<String>,
    plan: Option<String>,
    agent: Option<String>,
    severity: Option<String>,
    state: &'static str,
    as_of: String,
    started_at: String,
    connected_at: Option<String>,
    billed_from: Option<&'static str>,
    wait_s: i64,
    talk_s: i64,
    billed_s: u64,
    increments: u64,
    next_increment_at: Option<String>,
    outcome: Option<&'static str>,
    reason: Option<String>,
    net: Option<String>,
    currency: Option<String>,
    allowance: Option<String>,
    allowance_left_s: Option<u64>,
    allowance_runs_out_at: Option<String>,
}

/// All running calls when `passed` microseconds have gone by since the view was made.
fn render(view: &View, passed: i64) -> Vec<CallJson> {
    view.running.iter().map(|call| one(view, call, passed)).collect()
}

fn one(view: &View, call: &RunningCall, passed: i64) -> CallJson {
    let text = |value: &Option<Box<str>>| value.as_deref().map(str::to_owned);
    let time = |at: Timestamp| at.rfc3339(call.zone);
    let (wait_micros, talk_micros) = call.clocks_after(view.now, passed);
    CallJson {
        call_id: call.call_id.to_string(),
        direction: call.direction.as_str(),
        hotline: text(&call.hotline),
        service: call.service.to_string(),
        caller: party(&call.caller, view.mask_digits),
        called: party(&call.called, view.mask_digits),
        contract: text(&call.contract),
        plan: text(&call.plan),
        agent: text(&call.agent),
        severity: text(&call.severity),
        state: match call.state {
            State::Waiting => "waiting",
            State::Talking => "talking",
        },
        as_of: time(view.now),
        started_at: time(call.started_at),
        connected_at: call.connected_at.map(time),
        billed_from: call.billed_from.map(|from| match from {
            BilledFrom::Agent => "agent",
            BilledFrom::Answer => "answer",
        }),
        wait_s: wait_micros / 1_000_000,
        talk_s: talk_micros / 1_000_000,
        billed_s: call.billed.get(),
        increments: call.increments,
        next_increment_at: call.next_increment_at.map(time),
        outcome: call.outcome.map(outcome),
        reason: text(&call.reason),
        net: call.net.map(|net| net.to_fixed()),
        currency: call.net.map(|net| net.currency().code().to_owned()),
        allowance: text(&call.allowance),
        allowance_left_s: call.allowance_left.map(Seconds::get),
        allowance_runs_out_at: call.allowance_runs_out_at.map(time),
    }
}

/// A number is masked as configured; an extension is the company's own, and is shown.
fn party(party: &Party, mask_digits: u8) -> String {
    match party {
        Party::Number(number) => mask(&number.to_string(), mask_digits),
        Party::Raw(raw) => {
            let text = raw.as_str().to_owned();
            if text.len() > EXTENSION_DIGITS { mask(&text, mask_digits) } else { text }
        }
    }
}

/// Digits as received that are longer than this are taken for somebody's number, not for an extension.
const EXTENSION_DIGITS: usize = 6;

const fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Missed => "missed",
        Outcome::Unmatched => "unmatched",
        Outcome::Ambiguous => "ambiguous",
        Outcome::Uncovered => "uncovered",
        Outcome::Unauthorised => "unauthorised",
        Outcome::Held => "held",
        Outcome::Charged => "charged",
        Outcome::Included => "included",
    }
}

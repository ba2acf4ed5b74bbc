//! What really happened, as totals and as one line a call, for whoever wants to check what a reader made of the capture.
//!
//! The one invariant: nothing here is read off the wire; totals are sums of whole milliseconds.

use super::calls::Call;
use super::numbers::{self, PBX_DESKS};
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fmt::Write as _;

/// Sums over calls.
#[derive(Default)]
struct Sum {
    calls: u64,
    answered: u64,
    talk_ms: i64,
    /// The sum of each call's talk in whole seconds, rounded down: what a meter counts.
    talk_whole_s: i64,
}

impl Sum {
    fn add(&mut self, call: &Call) {
        self.calls += 1;
        self.answered += u64::from(call.connected_at.is_some());
        self.talk_ms += call.talk_ms;
        self.talk_whole_s += call.talk_ms / 1000;
    }

    fn json(&self) -> Value {
        json!({"calls": self.calls, "answered": self.answered, "talk_ms": self.talk_ms, "talk_whole_s": self.talk_whole_s})
    }
}

/// Totals in the making.
#[derive(Default)]
pub struct Truth {
    all: Sum,
    kinds: BTreeMap<&'static str, Sum>,
    hotlines: BTreeMap<String, Sum>,
    inbound: Sum,
    outbound: Sum,
    lost_bye: Sum,
    with_contract: Sum,
    withheld: u64,
    answered_by_pbx: u64,
    missed: u64,
    unanswered_callbacks: u64,
    hold_ms: i64,
    dialogs: usize,
    running: BinaryHeap<Reverse<i64>>,
    peak: usize,
    contracts: u64,
}

/// The first line of the table of calls.
pub const COLUMNS: &str = "n,kind,direction,hotline,caller,withheld,contract,invited_at,answered_at,connected_at,ended_at,talk_ms,hold_ms,lost_bye,alive_ms,call_ids\n";

impl Truth {
    pub fn new(contracts: u64) -> Self {
        Self { contracts, ..Self::default() }
    }

    pub fn add(&mut self, call: &Call) {
        self.all.add(call);
        self.kinds.entry(call.kind.name()).or_default().add(call);
        match &call.hotline {
            Some(hotline) => {
                self.inbound.add(call);
                self.hotlines.entry(hotline.clone()).or_default().add(call);
                self.missed += u64::from(call.connected_at.is_none());
            }
            None => {
                self.outbound.add(call);
                self.unanswered_callbacks += u64::from(call.connected_at.is_none());
            }
        }
        if call.lost_bye {
            self.lost_bye.add(call);
        }
        if self.contract(call).is_some() {
            self.with_contract.add(call);
        }
        self.withheld += u64::from(call.withheld);
        self.answered_by_pbx += u64::from(call.answered_at.is_some());
        self.hold_ms += call.hold_ms;
        self.dialogs += call.call_ids.len();
        while self.running.peek().is_some_and(|Reverse(end)| *end <= call.invited_at) {
            self.running.pop();
        }
        self.running.push(Reverse(call.ended_at));
        self.peak = self.peak.max(self.running.len());
    }

    /// Whose call it is; nobody's, if the caller withheld the number.
    fn contract(&self, call: &Call) -> Option<String> {
        (!call.withheld).then(|| call.caller.owner(self.contracts)).flatten().map(numbers::contract_id)
    }

    /// One line of the table of calls; times in seconds since 1970.
    pub fn line(&self, number: u64, call: &Call, out: &mut String) {
        let direction = if call.hotline.is_some() { "in" } else { "out" };
        let seconds = |at: Option<i64>| at.map_or(String::new(), |at| format!("{}.{:06}", at / 1_000_000, at % 1_000_000));
        let fields = [
            number.to_string(),
            call.kind.name().to_owned(),
            direction.to_owned(),
            call.hotline.clone().unwrap_or_default(),
            call.caller.number(),
            u8::from(call.withheld).to_string(),
            self.contract(call).unwrap_or_default(),
            seconds(Some(call.invited_at)),
            seconds(call.answered_at),
            seconds(call.connected_at),
            seconds(Some(call.ended_at)),
            call.talk_ms.to_string(),
            call.hold_ms.to_string(),
            u8::from(call.lost_bye).to_string(),
            call.alive_ms.to_string(),
            call.call_ids.join(" "),
        ];
        out.clear();
        let _ = writeln!(out, "{}", fields.join(","));
    }

    /// The totals, without those of the files.
    pub fn json(&self) -> Value {
        let table = |sums: Vec<(&str, &Sum)>| sums.into_iter().map(|(name, sum)| (name.to_owned(), sum.json())).collect::<Value>();
        let seen = Sum {
            calls: self.all.calls - self.lost_bye.calls,
            answered: self.all.answered - self.lost_bye.answered,
            talk_ms: self.all.talk_ms - self.lost_bye.talk_ms,
            talk_whole_s: self.all.talk_whole_s - self.lost_bye.talk_whole_s,
        };
        json!({
            "calls": self.all.calls,
            "kinds": table(self.kinds.iter().map(|(kind, sum)| (*kind, sum)).collect()),
            "hotlines": table(self.hotlines.iter().map(|(number, sum)| (number.as_str(), sum)).collect()),
            "directions": {"in": self.inbound.json(), "out": self.outbound.json()},
            "answered_by_person": self.all.answered,
            "answered_by_pbx": self.answered_by_pbx,
            "missed": self.missed,
            "unanswered_callbacks": self.unanswered_callbacks,
            "talk_ms": self.all.talk_ms,
            "talk_whole_s": self.all.talk_whole_s,
            "of_that_hold_ms": self.hold_ms,
            "lost_bye": self.lost_bye.json(),
            "without_lost_bye": seen.json(),
            "with_contract": self.with_contract.json(),
            "withheld": self.withheld,
            "dialogs": self.dialogs,
            "peak_calls_at_once": self.peak,
            "notes": "Talk runs from a desk's 200 (callback: the customer's) to the first BYE; in a blind transfer it stands still from \
                the 202 to the second desk's 200. A call of lost_bye ended when both ends were gone: no packet tells that time.",
        })
    }
}

/// A configuration that meters the capture: the hotlines, the desks and the trunk.
pub fn config_toml(tariff: &str, contracts: &str, ledger: &str, desks: u64) -> String {
    let mut toml = format!(
        "# Made by make-load, for the capture beside it.\n\
         [catalogue]\ncountry = \"DE\"\narea_code = \"89\"\ntariffs = [{tariff:?}]\ncontracts = [{contracts:?}]\n\n\
         [ledger]\nurl = \"sqlite:{ledger}\"\n\n\
         [identity]\ntrusted_peers = [\"{}/32\"]\n\n\
         [[source]]\nkind = \"hep\"\nlisten = \"udp://127.0.0.1:9060\"\n",
        numbers::PROVIDER
    );
    let direct = format!("{}*", numbers::DIRECT);
    for (number, name, service) in [
        (numbers::SUPPORT, "Support", "support"),
        (numbers::GROUP, "Group", "support"),
        (&direct, "Direct", "support"),
        (numbers::EMERGENCY, "Emergency", "emergency"),
    ] {
        let _ = write!(toml, "\n[[hotline]]\nnumber = \"{number}\"\nname = \"{name}\"\nservice = \"{service}\"\nmax_call = \"4h\"\n");
    }
    for hundred in 0..desks.div_ceil(100) {
        let _ = write!(toml, "\n[[agent]]\nnumber = \"{}*\"\nlevel = 1\n", 2 + hundred);
    }
    toml
}

/// Whether the PBX received a message sent to this address (and not sent it).
pub fn is_pbx(ip: [u8; 4]) -> bool {
    ip == PBX_DESKS.ip || ip == numbers::PBX_TRUNK.ip
}

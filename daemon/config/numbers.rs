//! The company's own numbers in `taktd.toml`: dial plan, hotlines, agents, whom to believe about the caller.

use super::problem::Problem;
use super::reader::{Table, Value};
use crate::calls::{Agent, AgentPattern, BillFrom, Directory, Hotline, IdentityHeader, IdentityRules, OnHold, WithheldNumbers};
use crate::units::{DialPlan, NumberPattern, Seconds};
use std::net::IpAddr;

/// How numbers are dialled here, from `[catalogue]`.
pub(super) fn dial_plan(table: &Table<'_>) -> Option<DialPlan> {
    let area_code = table.optional("area_code").map_or(Some(""), |value| value.text());
    let country = table.required("country", "\"DE\"")?;
    match DialPlan::new(country.text()?, area_code?) {
        Ok(plan) => Some(plan),
        Err(unknown) => {
            country.wrong(format!("this country is not known; write one of {}", unknown.known));
            None
        }
    }
}

/// A name that tariffs must know, with the problem it is if none does.
pub(super) type Named = (Box<str>, Problem);

/// Hotlines, agents and identity; and the services and the severities that hotlines name.
pub(super) fn directory(root: &Table<'_>, plan: Option<&DialPlan>) -> (Option<Directory>, Vec<Named>, Vec<Named>) {
    let mut hotlines: Vec<Hotline> = Vec::new();
    let (mut services, mut severities) = (Vec::new(), Vec::new());
    for table in root.tables("hotline") {
        if let Some(value) = table.optional("service")
            && let Some(text) = value.as_text()
        {
            services.push((text.into(), value.problem("")));
        }
        if let Some((value, text)) = table.optional("severity").and_then(|value| Some((value.clone(), value.as_text()?))) {
            severities.push((text.into(), value.problem("")));
        }
        let place = table.optional("number");
        if let Some(hotline) = hotline(&table, plan) {
            if hotlines.iter().any(|known| known.number == hotline.number) {
                place.inspect(|value| value.wrong(format!("{} stands above already; a number is one hotline's", hotline.number)));
            } else if let Some(taken) = hotline.queues.iter().find(|name| hotlines.iter().any(|known| known.queues.contains(name))) {
                table.wrong(format!("the queue \"{taken}\" serves another hotline above; a queue is one hotline's"));
            } else {
                hotlines.push(hotline);
            }
        }
        table.finish();
    }
    let agents = agents(root, plan);
    let identity = identity(root);
    let directory = || Some(Directory { dial_plan: plan?.clone(), hotlines, agents, identity: identity? });
    (directory(), services, severities)
}

fn hotline(table: &Table<'_>, plan: Option<&DialPlan>) -> Option<Hotline> {
    let number = table.required("number", "\"+49 89 555010\"").and_then(|value| pattern(&value, plan?));
    let name = table.required("name", "\"Support\"").and_then(|value| value.text());
    let service = table.required("service", "\"support\"").and_then(|value| value.text());
    let severity = table.optional("severity").map(|value| value.text());
    let moments = [("agent", BillFrom::Agent), ("answer", BillFrom::Answer)];
    let bill_from = table.optional("bill_from").map_or(Some(BillFrom::Agent), |value| value.word(&moments));
    let max_call = table.optional("max_call").map_or(Some(Seconds::new(4 * 3_600)), |value| value.seconds());
    let hold = table.optional("hold").map_or(Some(OnHold::Talk), |value| value.word(&[("talk", OnHold::Talk), ("wait", OnHold::Wait)]));
    let queues = table.optional("queues").map_or(Some(Vec::new()), |value| value.texts());
    Some(Hotline {
        number: number?,
        name: name?.into(),
        service: service?.into(),
        severity: severity.map_or(Some(None), |text| text.map(|text| Some(text.into())))?,
        bill_from: bill_from?,
        max_call: max_call?,
        hold: hold?,
        queues: queues?.into_iter().map(|(text, _)| text.into()).collect(),
    })
}

fn pattern(value: &Value<'_>, plan: &DialPlan) -> Option<NumberPattern> {
    value.parsed("a number such as \"+49 89 555010\", or \"+49 89 5550*\" for all that begin so", |text| plan.pattern(text))
}

fn agents(root: &Table<'_>, plan: Option<&DialPlan>) -> Vec<Agent> {
    let mut agents: Vec<Agent> = Vec::new();
    for table in root.tables("agent") {
        let place = table.required("number", "\"201\"");
        let number = place.as_ref().and_then(|value| agent_pattern(value, plan));
        let level = match table.optional("level") {
            Some(value) => value.integer(1..=9).map(|level| u8::try_from(level).ok()),
            None => Some(None),
        };
        table.finish();
        let (Some(place), Some(number), Some(level)) = (place, number, level) else { continue };
        if agents.iter().any(|known| known.number == number) {
            place.wrong("this agent stands above already; take one away");
        } else {
            agents.push(Agent { number, level });
        }
    }
    // The first that fits counts, so the special stands before the general: extensions, then long blocks, then short ones.
    agents.sort_by_key(|agent| match &agent.number {
        AgentPattern::Extension(_) => 0,
        AgentPattern::Block(digits) => 100_usize.saturating_sub(digits.len()),
        AgentPattern::Outside(_) => 100,
    });
    agents
}

fn agent_pattern(value: &Value<'_>, plan: Option<&DialPlan>) -> Option<AgentPattern> {
    let text = value.text()?.trim();
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(block) = text.strip_suffix('*') {
        if digits(block) && block.len() < 6 {
            return Some(AgentPattern::Block(block.into()));
        }
        value.wrong("a block of extensions is one to five digits and a star; write for example \"20*\"");
        return None;
    }
    let extension = text.len() <= 6 && digits(text) && !text.starts_with('0');
    let name = text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.len() <= 32
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    if extension || name {
        return Some(AgentPattern::Extension(text.into()));
    }
    let outside = plan?.normalize(text.as_bytes()).map(AgentPattern::Outside);
    if outside.is_none() {
        value.wrong(format!("\"{text}\" is no agent; write an extension \"201\", a block \"20*\", or a number \"+49 171 3920011\""));
    }
    outside
}

fn identity(root: &Table<'_>) -> Option<IdentityRules> {
    let mut rules = IdentityRules {
        headers: vec![IdentityHeader::PAsserted, IdentityHeader::RemoteParty, IdentityHeader::From],
        trusted_peers: Vec::new(),
        withheld: WithheldNumbers::Ignore,
        contract_header: None,
        leg_headers: Vec::new(),
    };
    let Some(table) = root.table("identity") else { return Some(rules) };
    if let Some(value) = table.optional("headers") {
        rules.headers = headers(&value);
    }
    if let Some(value) = table.optional("trusted_peers") {
        rules.trusted_peers = value.list().unwrap_or_default().iter().filter_map(network).collect();
    }
    let words = [("ignore", WithheldNumbers::Ignore), ("use", WithheldNumbers::Use)];
    let withheld = table.optional("withheld").map_or(Some(rules.withheld), |value| value.word(&words));
    rules.contract_header = table.optional("contract_header").and_then(|value| header(&value));
    if let Some(value) = table.optional("leg_headers") {
        rules.leg_headers = value.list().unwrap_or_default().iter().filter_map(header).collect();
    }
    table.finish();
    Some(IdentityRules { withheld: withheld?, ..rules })
}

fn headers(value: &Value<'_>) -> Vec<IdentityHeader> {
    let words = [
        ("p-asserted-identity", IdentityHeader::PAsserted),
        ("remote-party-id", IdentityHeader::RemoteParty),
        ("from", IdentityHeader::From),
    ];
    let mut headers = Vec::new();
    for item in value.list().unwrap_or_default() {
        let places = [("p-asserted-identity", 0usize), ("remote-party-id", 1), ("from", 2)];
        let Some((_, header)) = item.word(&places).and_then(|place| words.get(place)) else { continue };
        if headers.contains(header) {
            item.wrong("this header stands here twice; take one away");
        } else {
            headers.push(header.clone());
        }
    }
    if headers.is_empty() {
        value.wrong("it names no header, so no caller would be known; write for example [\"p-asserted-identity\", \"from\"]");
    }
    headers
}

/// The name of a SIP header (a token, RFC 3261 §25.1), in lower case.
fn header(value: &Value<'_>) -> Option<Box<str>> {
    value.parsed("the name of a header such as \"X-Contract\"", |text| {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte);
        (text.len() <= 64 && text.bytes().all(token)).then(|| text.to_ascii_lowercase().into())
    })
}

/// An address, or a network `192.0.2.0/24` without bits beyond its length.
fn network(value: &Value<'_>) -> Option<(IpAddr, u8)> {
    let text = value.text()?;
    let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
    let Ok(address) = address.trim().parse::<IpAddr>() else {
        value.wrong(format!("\"{text}\" is no address; write for example \"192.0.2.10\" or \"192.0.2.0/24\""));
        return None;
    };
    let (bits, value_bits) = match address {
        IpAddr::V4(address) => (32u8, u128::from(address.to_bits())),
        IpAddr::V6(address) => (128, address.to_bits()),
    };
    let length = length.map_or(Some(bits), |length| length.parse().ok().filter(|length| *length <= bits));
    let Some(length) = length else {
        value.wrong(format!("the length after the slash is 0 to {bits}; write for example \"{address}/{bits}\""));
        return None;
    };
    let beyond = u32::from(bits - length);
    let kept = value_bits.checked_shr(beyond).unwrap_or(0).checked_shl(beyond).unwrap_or(0);
    if kept != value_bits {
        value.wrong(format!(
            "{address} has bits beyond the first {length}; write \"{address}/{bits}\" for this address, or the network's own"
        ));
        return None;
    }
    Some((address, length))
}

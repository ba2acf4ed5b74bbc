//! Lines of a box in, calls out: through the model of channels, whole, and with a restart before each line.

mod bounds;

use super::*;
use crate::calls::{
    Agent, AgentPattern, BillFrom, Call, Channels, Directory, End, Hotline, IdentityRules, Mark, OnHold, Stage, Update, WithheldNumbers,
};
use crate::units::codec::{Reader, Writer};
use crate::units::{DialPlan, Word};

fn directory() -> Directory {
    let dial_plan = DialPlan::new("DE", "89").expect("known");
    let hotline = Hotline {
        number: dial_plan.pattern("555010").expect("a number"),
        name: "Support".into(),
        service: "support".into(),
        severity: None,
        bill_from: BillFrom::Agent,
        max_call: Seconds::new(4 * 3_600),
        hold: OnHold::Talk,
        queues: Vec::new(),
    };
    let agent = |number: &str| Agent { number: AgentPattern::Block(number.into()), level: Some(1) };
    let identity = IdentityRules {
        headers: vec![],
        trusted_peers: vec![],
        withheld: WithheldNumbers::Ignore,
        contract_header: None,
        leg_headers: vec![],
    };
    Directory { hotlines: vec![hotline], agents: vec![agent("1"), agent("40")], identity, dial_plan }
}

const ZONE: Tz = Tz::Europe__Berlin;

/// A box, and what is made of its lines.
struct Desk {
    monitor: Monitor,
    channels: Channels,
    out: Vec<Update>,
    orphans: usize,
}

impl Desk {
    fn new() -> Self {
        Self { monitor: Monitor::resume(ZONE, []), channels: Channels::new(&directory()), out: Vec::new(), orphans: 0 }
    }

    fn hear(&mut self, line: &str) {
        let heard = self.monitor.hear(line.as_bytes(), None).unwrap_or_else(|error| panic!("{line}: {error}"));
        self.orphans += usize::from(heard.orphan);
        for event in &heard.events {
            self.channels.apply(event, &mut self.out);
        }
    }

    /// Everything is written and read back, as at a restart.
    fn restart(&mut self) {
        let mut bytes = Writer::new();
        self.channels.write(&mut bytes);
        self.channels = Channels::read(&directory(), &mut Reader::new(&bytes.finish())).expect("reads");
        self.monitor = Monitor::resume(ZONE, self.channels.open());
    }

    fn concluded(&self) -> Vec<String> {
        let concluded = self.out.iter().filter(|update| update.stage == Stage::Concluded);
        concluded.map(|update| shown(&update.call)).collect()
    }
}

fn clock(at: Timestamp) -> String {
    at.utc().with_timezone(&ZONE).format("%H:%M:%S").to_string()
}

fn shown(call: &Call) -> String {
    let talks = call.talks.iter().map(|talk| format!("{}:{}-{}", talk.agent, clock(talk.from), talk.to.map(clock).unwrap_or_default()));
    let mut text = format!("{} {} > {}", call.direction.as_str(), call.caller_raw.as_str(), call.called_raw.as_str());
    text += &format!(" {} [{}]", call.hotline.as_deref().unwrap_or("-"), talks.collect::<Vec<_>>().join(" "));
    text += &format!(" {}-{}", clock(call.started_at), call.ended_at.map(clock).unwrap_or_default());
    text += &call.missed.map(|missed| format!(" {}", missed.word())).unwrap_or_default();
    if call.end != End::Observed {
        text += &format!(" {}", call.end.word());
    }
    text + &call.marks.iter().map(|mark| format!(" {}", mark.word())).collect::<String>()
}

/// The day of most tests stands in one place; a line may begin with another.
fn lines(script: &str) -> impl Iterator<Item = String> {
    let lines = script.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(|line| if line.as_bytes().get(2) == Some(&b'.') { line.to_owned() } else { format!("10.03.26 {line}") })
}

#[track_caller]
fn check(script: &str, expected: &[&str]) {
    for restarts in [false, true] {
        let mut desk = Desk::new();
        for line in lines(script) {
            if restarts {
                desk.restart();
            }
            desk.hear(&line);
        }
        assert_eq!(desk.concluded(), expected, "restarts: {restarts}\n{script}");
        // Read again from the beginning: the same, and no other.
        let before = desk.concluded().len();
        desk.restart();
        lines(script).for_each(|line| desk.hear(&line));
        let again = desk.concluded();
        assert!(again[before..].iter().all(|call| expected.contains(&call.as_str())), "again: {again:#?}");
    }
}

const RING: &str = "10:00:00;RING;0;030231250;555010;SIP0;\n";

#[test]
fn a_call_is_wait_until_it_is_answered_and_talk_until_its_end() {
    check(
        &format!("{RING} 10:00:09;CONNECT;0;10;030231250;\n 10:02:09;DISCONNECT;0;120;"),
        &["in 030231250 > 555010 Support [10:10:00:09-10:02:09] 10:00:00-10:02:09"],
    );
}

#[test]
fn a_call_that_nobody_answers_is_missed() {
    check(&format!("{RING} 10:00:30;DISCONNECT;0;0;"), &["in 030231250 > 555010 Support [] 10:00:00-10:00:30 no answer"]);
}

#[test]
fn an_answering_machine_is_a_mailbox_also_where_an_agent_is_named_like_it() {
    check(
        &format!("{RING} 10:00:20;CONNECT;0;40;030231250;\n 10:01:00;DISCONNECT;0;40;"),
        &["in 030231250 > 555010 Support [] 10:00:00-10:01:00 no answer"],
    );
    // Somebody picks the call up from it.
    check(
        &format!("{RING} 10:00:20;CONNECT;0;40;030231250;\n 10:00:25;CONNECT;0;11;030231250;\n 10:01:00;DISCONNECT;0;40;"),
        &["in 030231250 > 555010 Support [11:10:00:25-10:01:00] 10:00:00-10:01:00"],
    );
}

#[test]
fn a_phone_that_is_no_agents_is_a_stranger() {
    check(
        &format!("{RING} 10:00:09;CONNECT;0;20;030231250;\n 10:02:09;DISCONNECT;0;120;"),
        &["in 030231250 > 555010 Support [] 10:00:00-10:02:09 no answer"],
    );
}

#[test]
fn a_call_that_is_handed_on_is_talk_with_both() {
    check(
        &format!("{RING} 10:00:09;CONNECT;0;10;030231250;\n 10:01:00;CONNECT;0;11;030231250;\n 10:02:09;DISCONNECT;0;120;"),
        &["in 030231250 > 555010 Support [10:10:00:09-10:01:00 11:10:01:00-10:02:09] 10:00:00-10:02:09 transfer"],
    );
}

#[test]
fn a_withheld_number_is_empty() {
    check(
        "10:00:00;RING;0;;555010;SIP0;\n 10:00:09;CONNECT;0;10;;\n 10:02:09;DISCONNECT;0;120;",
        &["in  > 555010 Support [10:10:00:09-10:02:09] 10:00:00-10:02:09"],
    );
}

#[test]
fn an_agent_who_dials_out_calls_back() {
    check(
        "10:00:00;CALL;1;10;555010;*31#030231250#;SIP1;\n 10:00:09;CONNECT;1;10;030231250#;\n 10:02:09;DISCONNECT;1;120;",
        &["out 10 > 030231250 Support [10:10:00:09-10:02:09] 10:00:00-10:02:09"],
    );
    check("10:00:00;CALL;1;10;555099;030231250;SIP1;\n 10:00:40;DISCONNECT;1;0;", &["out 10 > 030231250 - [] 10:00:00-10:00:40 no answer"]);
    // A phone of the house that is no agent's; a call inside the house; a number that is no hotline.
    for script in [
        "10:00:00;CALL;1;20;555010;030231250;SIP1;\n 10:00:09;CONNECT;1;20;030231250;\n 10:02:09;DISCONNECT;1;120;",
        "10:00:00;CALL;1;10;555010;**610;SIP1;\n 10:00:09;CONNECT;1;10;**610;\n 10:02:09;DISCONNECT;1;120;",
        "10:00:00;RING;0;030231250;555777;SIP0;\n 10:00:09;CONNECT;0;10;030231250;\n 10:02:09;DISCONNECT;0;120;",
    ] {
        check(script, &[]);
    }
}

#[test]
fn a_number_of_a_connection_is_used_again() {
    check(
        &format!(
            "{RING} 10:00:09;CONNECT;0;10;030231250;\n 10:00:30;RING;1;089777;555010;SIP1;\n 10:02:09;DISCONNECT;0;120;
             10:02:10;RING;0;040111;555010;SIP0;\n 10:02:15;CONNECT;1;11;089777;\n 10:02:20;CONNECT;0;10;040111;
             10:03:20;DISCONNECT;0;60;\n 10:03:15;DISCONNECT;1;60;"
        ),
        &[
            "in 030231250 > 555010 Support [10:10:00:09-10:02:09] 10:00:00-10:02:09",
            "in 040111 > 555010 Support [10:10:02:20-10:03:20] 10:02:10-10:03:20",
            "in 089777 > 555010 Support [11:10:02:15-10:03:15] 10:00:30-10:03:15",
        ],
    );
}

/// Nobody listened from `from` on, until the lines behind it came.
#[track_caller]
fn after_a_gap(before: &str, heard: &str, behind: &str, expected: &[&str], orphans: usize) {
    let mut desk = Desk::new();
    lines(before).for_each(|line| desk.hear(&line));
    let heard = ZONE_DAY.parse::<NaiveDateTime>().expect("a day").date().and_time(heard.parse().expect("a time"));
    desk.monitor.doubt(instants(ZONE, heard).first().copied());
    lines(behind).for_each(|line| desk.hear(&line));
    assert_eq!((desk.concluded(), desk.orphans), (expected.iter().map(|text| (*text).to_owned()).collect(), orphans), "{before}{behind}");
}

const ZONE_DAY: &str = "2026-03-10T00:00:00";

#[test]
fn what_was_open_while_nobody_listened_goes_on_only_where_the_rest_fits_it() {
    let talk = format!("{RING} 10:00:09;CONNECT;0;10;030231250;");
    // As long as the box says it was connected: the same call.
    after_a_gap(
        &talk,
        "10:01:00",
        "10:30:09;DISCONNECT;0;1800;",
        &["in 030231250 > 555010 Support [10:10:00:09-10:30:09] 10:00:00-10:30:09"],
        0,
    );
    let lost = "in 030231250 > 555010 Support [10:10:00:09-10:01:00] 10:00:00-10:01:00 estimated lost-party";
    // Another length, or another call with its number: it ended unseen, at the last that was heard.
    after_a_gap(&talk, "10:01:00", "10:30:09;DISCONNECT;0;600;", &[lost], 1);
    after_a_gap(
        &talk,
        "10:01:00",
        "10:30:00;RING;0;040111;555010;SIP0;\n 10:30:20;DISCONNECT;0;0;",
        &[lost, "in 040111 > 555010 Support [] 10:30:00-10:30:20 no answer"],
        0,
    );
    after_a_gap(&talk, "10:01:00", "10:30:00;CONNECT;0;10;040111;\n 10:30:20;DISCONNECT;0;20;", &[lost], 1);
    // One that rang: answered, or given up, by whoever rang.
    after_a_gap(
        RING,
        "10:00:05",
        "10:00:09;CONNECT;0;10;030231250;\n 10:02:09;DISCONNECT;0;120;",
        &["in 030231250 > 555010 Support [10:10:00:09-10:02:09] 10:00:00-10:02:09"],
        0,
    );
    after_a_gap(RING, "10:00:05", "10:00:30;DISCONNECT;0;0;", &["in 030231250 > 555010 Support [] 10:00:00-10:00:30 no answer"], 0);
    // It was answered unheard: by whom nobody knows, so there is no talk.
    let unheard = "in 030231250 > 555010 Support [] 10:00:00-10:00:05 failed estimated lost-party";
    after_a_gap(RING, "10:00:05", "10:02:09;DISCONNECT;0;120;", &[unheard], 1);
    // Of a call that began unheard nobody knows which number was dialed.
    after_a_gap("", "10:00:05", "10:00:09;CONNECT;0;10;030231250;\n 10:02:09;DISCONNECT;0;120;", &[], 1);
}

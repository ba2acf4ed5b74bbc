//! Channel events as small scripts: what happens to channels in, calls out.
//!
//! A line is `TIME CHANNEL WHAT …`, a channel is a letter. `begins NAME NUMBER EXTEN` makes the first of a conversation,
//! `begins NAME of CHANNEL` one that the switch dials for it; `TIME now` lets time pass, `final` ends all. Every script is also
//! run with a snapshot written and read back before each line: nothing may change.

mod bounds;

use super::*;
use crate::calls::script::{directory, shown, time};
use crate::units::Word;
use crate::units::codec::{Reader, Writer};

#[derive(Default)]
struct Cast {
    names: BTreeMap<String, ChannelFacts>,
}

impl Cast {
    fn event(&mut self, line: &str) -> Option<ChannelEvent> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [at, who, what, rest @ ..] = words.as_slice() else { panic!("{line}") };
        let facts = self.names.entry((*who).to_owned()).or_default();
        let text = |place: usize| -> Box<str> { rest.get(place).copied().unwrap_or_default().into() };
        (facts.app, facts.data) = Default::default();
        let change = match *what {
            "begins" => {
                *facts = ChannelFacts { uniqueid: (*who).into(), linkedid: (*who).into(), name: text(0), ..ChannelFacts::default() };
                if rest.get(1) == Some(&"of") {
                    (facts.linkedid, facts.exten) = (text(2), "s".into());
                } else {
                    (facts.number, facts.exten) = (text(1), text(2));
                }
                Change::Begins
            }
            "answers" => Change::Answers,
            "rings" => Change::Rings,
            "runs" => {
                (facts.app, facts.data) = (text(0), text(1));
                Change::EntersApplication(Application::parse(rest[0]))
            }
            "leaves-app" => Change::LeavesApplication(Application::parse(rest[0])),
            "at" => {
                facts.exten = text(0);
                Change::Shows
            }
            "dialed-as" => Change::DialedAs(text(0)),
            "of-queue" => Change::RungByQueue,
            "enters" => Change::EntersBridge(text(0)),
            "leaves" => Change::LeavesBridge(text(0)),
            "transfers" => Change::Transfers { bridges: vec![text(0)], transferee: "".into() },
            "holds" => Change::Holds,
            "resumes" => Change::Resumes,
            "hangs-up" => Change::HangsUp {
                cause: rest.first().map_or(16, |cause| cause.parse().expect("a cause")),
                by_itself: rest.contains(&"itself"),
                dial: rest.iter().find_map(|word| DialStatus::parse(word)),
            },
            "ends" => Change::ConversationEnds,
            "now" => return None,
            _ => panic!("{line}"),
        };
        Some(ChannelEvent { at: time(at), channel: facts.clone(), change })
    }
}

fn told(script: &str, resumed: bool) -> Vec<Update> {
    let mut channels = Channels::new(&directory());
    let (mut out, mut cast) = (Vec::new(), Cast::default());
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if resumed {
            let mut bytes = Writer::new();
            channels.write(&mut bytes);
            channels = Channels::read(&directory(), &mut Reader::new(&bytes.finish())).expect("reads");
        }
        match line {
            "final" => channels.finish(&mut out),
            _ if line.ends_with(" now") => channels.expire(time(line.split(' ').next().expect("a time")), &mut out),
            _ => channels.apply(&cast.event(line).expect("an event"), &mut out),
        }
    }
    out
}

fn shown_call(call: &Call) -> String {
    let talks = call.talks.iter().map(|talk| {
        let to = talk.to.map_or_else(|| "...".to_owned(), shown);
        format!("{}:{}-{to}", talk.agent, shown(talk.from))
    });
    let mut text = format!("{} {} > {}", call.direction.as_str(), call.caller_raw.as_str(), call.called_raw.as_str());
    text += &format!(" {}", call.hotline.as_deref().unwrap_or("-"));
    text += &format!(" [{}]", talks.collect::<Vec<_>>().join(" "));
    text += &format!(" {}-{}", shown(call.started_at), call.ended_at.map_or_else(|| "...".to_owned(), shown));
    if let Some(missed) = call.missed {
        text += &format!(" {}", missed.word());
    }
    if call.end != End::Observed {
        text += &format!(" {}", call.end.word());
    }
    for mark in &call.marks {
        text += &format!(" {}", mark.word());
    }
    text
}

/// The calls that conclude, in their order.
#[track_caller]
fn check(script: &str, expected: &[&str]) {
    for resumed in [false, true] {
        let updates = told(script, resumed);
        let concluded = updates.iter().filter(|update| update.stage == Stage::Concluded);
        let calls: Vec<String> = concluded.map(|update| shown_call(&update.call)).collect();
        assert_eq!(calls, expected, "resumed: {resumed}\n{script}");
        // What was told when it connected is how it began.
        for connected in updates.iter().filter(|update| update.stage == Stage::Connected) {
            assert!(connected.call.ended_at.is_none() && connected.call.talks.len() == 1, "{connected:?}");
        }
    }
}

const CALL: &str = "0 A begins PJSIP/trunk-1 +4930111 555010\n0 A answers\n1 A runs Queue support,t\n2 B begins PJSIP/201-2 of A\n";

#[test]
fn a_bridge_with_an_agent_is_talk() {
    let talk = "4 B answers\n4 B enters x\n4.001 A enters x\n9 A leaves x\n9 A hangs-up 16 itself\n9 B leaves x\n9 B hangs-up\n";
    check(&format!("{CALL}{talk}9 A ends"), &["in +4930111 > 555010 Support [201:4.001-9] 0-9"]);
    // No event but the hang-ups: the bridge is left with them. No end of the linked id: all channels are gone.
    let bare = "4 B enters x\n4.001 A enters x\n9 A hangs-up\n10 B hangs-up\n";
    check(&format!("{CALL}{bare}"), &["in +4930111 > 555010 Support [201:4.001-9] 0-9"]);
    // The agent's phone never says that it hung up.
    check(&format!("{CALL}4 B enters x\n4 A enters x\n9 A hangs-up\n41 A ends"), &["in +4930111 > 555010 Support [201:4-9] 0-9"]);
}

#[test]
fn two_calls_at_once_are_two() {
    let other = "1 C begins PJSIP/trunk-3 +4930111 555010\n3 D begins PJSIP/202-4 of C\n";
    let both = "4 A enters x\n4 B enters x\n5 C enters y\n5 D enters y\n8 C hangs-up\n8 D hangs-up\n9 A hangs-up\n9 B hangs-up\n";
    check(&format!("{CALL}{other}{both}"), &["in +4930111 > 555010 Support [202:5-8] 1-8", "in +4930111 > 555010 Support [201:4-9] 0-9"]);
}

#[test]
fn nobody_who_is_no_agent_talks() {
    let mailbox = "7 A runs VoiceMail 201\n12 A hangs-up 16 itself NOANSWER\n12 B hangs-up\n";
    check(&format!("{CALL}6 A leaves-app Queue\n{mailbox}"), &["in +4930111 > 555010 Support [] 0-12 no answer"]);
    let stranger = "5 C begins PJSIP/trunk-9 of A\n5 A runs Dial PJSIP/+4999@trunk,20\n6 C enters x\n6 A enters x\n9 A hangs-up 16 itself\n9 C hangs-up\n9 B hangs-up";
    check(&format!("{CALL}{stranger}"), &["in +4930111 > 555010 Support [] 0-9 abandoned in queue"]);
    let on_call = stranger.replace("+4999", "+491711");
    check(&format!("{CALL}{on_call}"), &["in +4930111 > 555010 Support [+491711:6-9] 0-9"]);
    // Whoever a queue rings answers for the house.
    let member = "2 C begins PJSIP/desk-9 of A\n2 C of-queue\n6 C enters x\n6 A enters x\n9 A hangs-up\n9 C hangs-up\n9 B hangs-up";
    check(&format!("{CALL}{member}"), &["in +4930111 > 555010 Support [desk:6-9] 0-9"]);
}

#[test]
fn why_nobody_talked() {
    for (end, reason) in [
        ("9 A hangs-up 16 itself\n", "abandoned in queue"),
        ("9 A leaves-app Queue\n9 A hangs-up 16 itself\n", "abandoned in queue"),
        ("9 A leaves-app Queue\n12 A hangs-up 16\n", "no answer"),
    ] {
        let script = format!("{CALL}{end}12 B hangs-up\n");
        let ended = if end.contains("12") { 12 } else { 9 };
        check(&script, &[&format!("in +4930111 > 555010 Support [] 0-{ended} {reason}")]);
    }
    let ringing = "0 A begins PJSIP/trunk-1 +4930111 555010\n0 A runs Dial PJSIP/201,20\n0 B begins PJSIP/201-2 of A\n";
    for (end, reason) in [
        ("127 itself CANCEL", "cancelled"),
        ("17 BUSY", "busy"),
        ("21 BUSY", "declined"),
        ("16 NOANSWER", "no answer"),
        ("20 CHANUNAVAIL", "failed"),
        ("17", "busy"),
        ("21", "declined"),
        ("0 itself", "cancelled"),
        ("0", "failed"),
    ] {
        check(&format!("{ringing}5 B hangs-up\n5 A hangs-up {end}"), &[&format!("in +4930111 > 555010 Support [] 0-5 {reason}")]);
    }
}

#[test]
fn consultation_is_talk_unless_hold_is_wait() {
    // The switch's own attended transfer: the agent leaves the caller alone, and a local channel stands in for the far end.
    let consult = "4 B enters x\n4 A enters x\n6 L begins Local/203@in-1;1 of A\n6 M begins Local/203@in-1;2 of A\n6 L enters y\n\
                   6 B leaves x\n6.001 B enters y\n6 C begins PJSIP/203-3 of A\n7 C enters z\n7 M enters z\n";
    let done = "8 B leaves y\n8 L leaves y\n8 L enters x\n8 B transfers x\n8 B hangs-up\n";
    let end = "11 A hangs-up\n11 L hangs-up\n11 M hangs-up\n11 C hangs-up\n";
    check(&format!("{CALL}{consult}{done}{end}"), &["in +4930111 > 555010 Support [201:4-8 203:8-11] 0-11 transfer"]);
    let back = "8 B leaves y\n8 B enters x\n8 C hangs-up\n8 L hangs-up\n8 M hangs-up\n11 A hangs-up\n11 B hangs-up\n";
    check(&format!("{CALL}{consult}{back}"), &["in +4930111 > 555010 Support [201:4-11] 0-11"]);
    let gone = "9 A hangs-up\n9 L hangs-up\n9 M hangs-up\n9 B hangs-up\n9 C hangs-up\n";
    check(&format!("{CALL}{consult}{gone}"), &["in +4930111 > 555010 Support [201:4-9] 0-9"]);
    let agent_gone = "8 B hangs-up\n9 A hangs-up\n9 L hangs-up\n9 M hangs-up\n9 C hangs-up\n";
    check(&format!("{CALL}{consult}{agent_gone}"), &["in +4930111 > 555010 Support [201:4-8] 0-9"]);
    let wait = CALL.replace("555010", "555011");
    check(&format!("{wait}{consult}{done}{end}"), &["in +4930111 > 555011 Hold [201:4-6 203:8-11] 0-11 transfer"]);
}

#[test]
fn hold_is_talk_or_wait_as_the_hotline_says() {
    let held = "4 B enters x\n4 A enters x\n5 B holds\n7 B resumes\n7.5 B resumes\n9 A hangs-up\n9 B hangs-up\n";
    check(&format!("{CALL}{held}"), &["in +4930111 > 555010 Support [201:4-9] 0-9"]);
    let wait = CALL.replace("555010", "555011");
    check(&format!("{wait}{held}"), &["in +4930111 > 555011 Hold [201:4-5 201:7-9] 0-9"]);
}

#[test]
fn talk_from_the_switchs_answer() {
    let answer = CALL.replace("555010", "555012");
    let talk = "4 B enters x\n4 A enters x\n9 A hangs-up\n9 B hangs-up\n";
    check(&format!("{answer}{talk}"), &["in +4930111 > 555012 Answer [201:0-9] 0-9"]);
    check(&format!("{answer}9 A hangs-up 16 itself\n9 B hangs-up\n"), &["in +4930111 > 555012 Answer [:0-9] 0-9"]);
}

#[test]
fn what_rings_in_a_bridge_is_no_talk() {
    // Early media: the bridge stands while the phone still rings, and talk begins with the answer.
    let early = "2 B rings\n3 B enters x\n3 A enters x\n";
    let talk = "7 B answers\n9 A hangs-up\n9 B hangs-up\n";
    check(&format!("{CALL}{early}{talk}"), &["in +4930111 > 555010 Support [201:7-9] 0-9"]);
    check(&format!("{CALL}{early}9 A hangs-up 16 itself\n9 B hangs-up\n"), &["in +4930111 > 555010 Support [] 0-9 abandoned in queue"]);
    // Of a call to the outside the customer is who answered, whatever was heard from the trunk that was tried first.
    let out = "0 A begins PJSIP/201-1 201 0301234567\n0 B begins PJSIP/trunk-2 of A\n0 B dialed-as 0301234567\n0 B rings\n1 B enters x\n1 A enters x\n";
    let again =
        "2 B hangs-up\n2 A leaves x\n2 C begins PJSIP/trunk-3 of A\n2 C dialed-as 0301234567\n2 C rings\n3 C enters y\n3 A enters y\n";
    let answered = "5 C answers\n9 C hangs-up\n9 A hangs-up\n";
    check(&format!("{out}{again}{answered}"), &["out 201 > 0301234567 - [201:5-9] 0-9"]);
    check(&format!("{out}4 A hangs-up 0 itself\n4 B hangs-up\n"), &["out 201 > 0301234567 - [] 0-4 cancelled"]);
}

#[test]
fn a_bridge_that_merges_leaves_no_gap() {
    let swap =
        "4 B enters x\n4 A enters x\n6 B leaves x\n6.002 A leaves x\n6.010 A enters y\n6.011 B enters y\n9 A hangs-up\n9 B hangs-up\n";
    check(&format!("{CALL}{swap}"), &["in +4930111 > 555010 Support [201:4-9] 0-9"]);
    // A park of some length is one.
    let park = "4 B enters x\n4 A enters x\n6 B leaves x\n6 B hangs-up\n6 A leaves x\n6 A enters lot\n8 C begins PJSIP/202-3 of A\n8 A leaves lot\n8 A enters y\n8 C enters y\n9 A hangs-up\n9 C hangs-up\n";
    check(&format!("{CALL}{park}"), &["in +4930111 > 555010 Support [201:4-6 202:8-9] 0-9 transfer"]);
}

#[test]
fn an_agent_who_calls_outside() {
    let call = "0 A begins PJSIP/201-1 201 0301234567\n0 A runs Dial PJSIP/+49301234567@trunk,30\n0 B begins PJSIP/trunk-2 of A\n";
    let talk = "3 B answers\n3 B enters x\n3 A enters x\n9 B hangs-up\n9 A hangs-up\n";
    check(&format!("{call}{talk}"), &["out 201 > +49301234567 - [201:3-9] 0-9"]);
    check(&format!("{call}4 A hangs-up 127 itself CANCEL\n4 B hangs-up\n"), &["out 201 > +49301234567 - [] 0-4 cancelled"]);
    // Passed on: the customer stays, the agent who called does not.
    let passed = "3 B enters x\n3 A enters x\n5 A transfers x\n5 A leaves x\n5 A hangs-up\n5 B leaves x\n6 C begins PJSIP/202-3 of A\n7 C enters y\n7 B enters y\n9 B hangs-up\n9 C hangs-up\n";
    check(&format!("{call}{passed}"), &["out 201 > +49301234567 - [201:3-5 202:7-9] 0-9 transfer"]);
    // Inside the house, and to the on-call agent, it is none.
    check("0 A begins PJSIP/201-1 201 202\n0 B begins PJSIP/202-2 of A\n1 A enters x\n1 B enters x\n2 A hangs-up\n2 B hangs-up", &[]);
    check("0 A begins PJSIP/201-1 201 +491711\n0 A runs Dial PJSIP/+491711@trunk\n2 A hangs-up", &[]);
    // Set up by the switch, the agent first: through the phone's own channel, or through a local one.
    let click = "0 A begins PJSIP/201-1 201 s\n2 A answers\n2 A runs Dial PJSIP/+49301234567@trunk,30\n2 B begins PJSIP/trunk-2 of A\n";
    check(&format!("{click}{talk}"), &["out 201 > +49301234567 - [201:3-9] 0-9 click-to-call"]);
    let local = "0 A begins Local/201@in-1;1 201 201\n0 L begins Local/201@in-1;2 of A\n0 C begins PJSIP/201-5 of A\n2 C enters y\n2 L enters y\n\
                 2 A runs Dial PJSIP/+49301234567@trunk,30\n2 B begins PJSIP/trunk-2 of A\n3 B answers\n3 B enters x\n3 A enters x\n\
                 9 B hangs-up\n9 A hangs-up\n9 L hangs-up\n9 C hangs-up\n";
    check(local, &["out 201 > +49301234567 - [201:3-9] 0-9 click-to-call"]);
}

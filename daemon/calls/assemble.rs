//! All that a switch wrote about one calling channel becomes one call, or a reason why it is none.
//!
//! The invariant: the result is a function of the set of rows and lines. Talk is the union of the answered times with an
//! agent, never a sum of `billsec`; where the rows cannot say when an agent answered, the call says so (`billed_from`).

use super::cdr::{CdrRow, QueueEvent, QueueLine};
use super::channel::{Channel, targets};
use super::{Agent, BillFrom, BilledFrom, Call, Correlation, Directory, End, Hotline, Mark, Talk, Withheld};
use crate::units::{CallId, Direction, E164, RawNumber, Timestamp};

/// What one calling channel came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A call to a hotline, or a callback.
    Call(Box<Call>),
    /// Between phones of the house.
    Internal,
    /// To a number that is no hotline.
    NoHotline,
    /// A piece of a call that another channel began.
    Part,
}

/// The rows of one calling channel, with what else is known about its conversation.
#[derive(Clone, Copy)]
pub(super) struct Party<'a> {
    pub(super) directory: &'a Directory,
    /// The name of the call, should it be one.
    pub(super) id: &'a CallId,
    /// Its rows, in order; at least one.
    pub(super) rows: &'a [&'a CdrRow],
    /// All rows of the conversation, these included.
    pub(super) conversation: &'a [CdrRow],
    /// Its lines of the queue log, in order.
    pub(super) lines: &'a [&'a QueueLine],
}

impl<'a> Party<'a> {
    /// The call, or why there is none.
    pub(super) fn call(&self) -> Found {
        let Some(first) = self.rows.first() else { return Found::Part };
        let channel = Channel::parse(&first.channel);
        if self.was_called() {
            return Found::Part;
        }
        if channel.local.is_some() {
            // A call set up for an agent through a local channel (click to call): its first half dials the customer.
            let originated = first.channel.ends_with(";1") && &*first.lastapp == "Dial";
            return match self.agent(channel.device).filter(|_| originated) {
                Some(agent) => self.outbound(first, channel.device, agent),
                None => Found::Part,
            };
        }
        match self.agent(channel.device) {
            Some(agent) => self.outbound(first, channel.device, agent),
            None if is_own_extension(channel.device, &first.src) => Found::Internal,
            None => self.inbound(first),
        }
    }

    pub(super) fn agent(&self, name: &str) -> Option<&'a Agent> {
        self.directory.agent(&RawNumber::from_bytes(name.as_bytes()))
    }

    fn number(&self, text: &str) -> Option<E164> {
        self.directory.dial_plan.normalize(text.as_bytes())
    }

    /// A channel that the switch itself dialed leads a row of its own once a transfer makes it the oldest of a bridge.
    fn was_called(&self) -> bool {
        let Some(first) = self.rows.first() else { return true };
        let earlier = |other: &&CdrRow| other.started_at <= first.started_at && !is_outgoing_line(other);
        let others = self.conversation.iter().filter(|other| other.uniqueid != first.uniqueid);
        is_outgoing_line(first) || others.filter(earlier).any(|other| other.dstchannel == first.channel)
    }

    fn outbound(&self, first: &CdrRow, extension: &str, agent: &Agent) -> Found {
        let called_device = Channel::parse(&first.dstchannel).device;
        if is_extension(&first.dst) {
            return Found::Internal;
        }
        // What left the house through the trunk: the dialplan has taken its prefixes off.
        let dialed = targets(&first.lastdata).filter(|target| &*first.lastapp == "Dial" && target.device == called_device);
        let dialed = dialed.filter_map(|target| target.number).find(|number| self.number(number).is_some());
        let dialed = dialed.unwrap_or(&first.dst);
        let Some(called) = self.number(dialed) else { return Found::Internal };
        if self.agent(dialed).is_some() || called_device == &*first.dst || self.directory.hotline(called).is_some() {
            return Found::Internal;
        }
        let mut talks = Vec::new();
        for span in self.rows.iter().filter(|row| !row.dstchannel.is_empty()).filter_map(|row| row.answered()) {
            talks.push(Talk { agent: extension.into(), level: agent.level, from: span.from(), to: Some(span.to()) });
        }
        let hotline = self.number(&first.src).and_then(|number| self.directory.hotline(number));
        let mut call = self.blank(first, Direction::Out, hotline);
        call.service = "callback".into();
        call.caller_raw = RawNumber::from_bytes(extension.as_bytes());
        call.called_raw = RawNumber::from_bytes(dialed.as_bytes());
        call.called = Some(called);
        // The customer was passed on: the channel that was called leads the rows that follow.
        for row in self.conversation.iter().filter(|row| self.rows.iter().all(|own| own.uniqueid != row.uniqueid)) {
            if self.rows.iter().any(|own| !own.dstchannel.is_empty() && own.dstchannel == row.channel)
                && let (Some(talker), Some(span)) = (self.talker(row), row.answered())
            {
                talks.push(talker.talk(span));
                call.mark(Mark::Transfer);
            }
        }
        self.finish(call, talks, BilledFrom::Agent, hotline)
    }

    fn inbound(&self, first: &CdrRow) -> Found {
        let (hotline, dialed) = self.hotline(first);
        let transferred = self.transferred();
        if hotline.is_none() && !(transferred && self.rewritten(first)) {
            return Found::NoHotline;
        }
        let mut call = self.blank(first, Direction::In, hotline);
        match hotline {
            Some(hotline) => {
                call.service = hotline.service.clone();
                call.severity = call.severity.or_else(|| hotline.severity.clone());
            }
            None => call.mark(Mark::HotlineUnseen),
        }
        // An outgoing dialplan may have set the number shown over that of the caller.
        let own = |row: &&&CdrRow| self.number(&row.src).is_some_and(|number| self.directory.hotline(number).is_some());
        let caller = self.rows.iter().find(|row| !own(row)).map_or(&first.src, |row| &row.src);
        call.caller_raw = RawNumber::from_bytes(caller.as_bytes());
        call.caller = self.number(caller);
        call.called_raw = RawNumber::from_bytes(dialed.as_bytes());
        // Where a transfer wrote its target over the number dialed, nobody knows that number.
        call.called = self.number(&dialed).filter(|_| hotline.is_some());
        if transferred {
            call.mark(Mark::Transfer);
        }
        if self.forwarded() {
            call.mark(Mark::Forward);
        }
        let (talks, billed_from) = self.talks();
        self.finish(call, talks, billed_from, hotline)
    }

    fn blank(&self, first: &CdrRow, direction: Direction, hotline: Option<&Hotline>) -> Call {
        let text = |of: fn(&CdrRow) -> &str| self.rows.iter().map(|row| of(row)).find(|text| !text.is_empty()).map(Into::into);
        Call {
            id: self.id.clone(),
            direction,
            hotline: hotline.map(|hotline| hotline.name.clone()),
            service: "".into(),
            caller_raw: RawNumber::from_bytes(b""),
            caller: None,
            withheld: Withheld::Unknown,
            called_raw: RawNumber::from_bytes(b""),
            called: None,
            contract: text(|row| &row.contract),
            started_at: first.started_at,
            answered_at: self.rows.iter().filter_map(|row| row.answered_at).min(),
            talks: Vec::new(),
            ended_at: self.rows.iter().map(|row| row.ended_at).max(),
            end: End::Observed,
            billed_from: BilledFrom::Agent,
            missed: None,
            severity: text(|row| &row.severity),
            ticket: text(|row| &row.ticket),
            correlation: Correlation::Explicit,
            marks: Vec::new(),
        }
    }

    fn finish(&self, mut call: Call, mut talks: Vec<Talk>, mut billed_from: BilledFrom, hotline: Option<&Hotline>) -> Found {
        talks.sort_by(|a, b| (a.from, a.to, &a.agent).cmp(&(b.from, b.to, &b.agent)));
        if hotline.is_some_and(|hotline| hotline.bill_from == BillFrom::Answer) {
            billed_from = BilledFrom::Answer;
        }
        if billed_from == BilledFrom::Answer {
            since_answer(&mut talks, call.answered_at);
        }
        if talks.is_empty() {
            call.missed = Some(self.missed());
            call.billed_from = BilledFrom::Agent;
        } else {
            call.billed_from = billed_from;
        }
        call.ended_at = talks.iter().filter_map(|talk| talk.to).chain(call.ended_at).max();
        call.talks = talks;
        Found::Call(Box::new(call))
    }

    /// The hotline, and the number that was dialed as far as it can be known.
    ///
    /// A blind transfer writes its target over `dst` of every row. The queue's name survives it: it decides where `dst`
    /// names no hotline, or one that this queue does not serve.
    fn hotline(&self, first: &CdrRow) -> (Option<&'a Hotline>, Box<str>) {
        let dialed = self.rows.iter().find_map(|row| Some((self.directory.hotline(self.number(&row.dst)?)?, &row.dst)));
        let queue = self.lines.first().map(|line| &*line.queue).or_else(|| {
            let row = self.rows.iter().find(|row| &*row.lastapp == "Queue")?;
            row.lastdata.split([',', '|']).next()
        });
        let serves = |hotline: &&Hotline| queue.is_some_and(|queue| hotline.queues.iter().any(|name| &**name == queue));
        let mut served = self.directory.hotlines.iter().filter(serves);
        let by_queue = served.next().filter(|_| served.next().is_none());
        match (dialed, by_queue) {
            (Some((hotline, dst)), by_queue) => match by_queue.filter(|_| self.transferred() && !serves(&hotline)) {
                Some(by_queue) => (Some(by_queue), number_of(by_queue)),
                None => (Some(hotline), dst.clone()),
            },
            (None, Some(hotline)) => (Some(hotline), number_of(hotline)),
            (None, None) => (None, first.dst.clone()),
        }
    }

    /// Whether `dst` is where the call was passed on to, and not what the caller dialed.
    fn rewritten(&self, first: &CdrRow) -> bool {
        let dst = &*first.dst;
        let inside = is_extension(dst) || self.agent(dst).is_some() || self.number(dst).is_none();
        let later = self.rows.iter().skip(1).flat_map(|row| targets(&row.lastdata));
        inside || later.into_iter().any(|target| target.device == dst || target.number == Some(dst))
    }

    /// Whether an agent passed the caller on: the queue log says so, or one answered part follows another.
    fn transferred(&self) -> bool {
        let logged = self.lines.iter().any(|line| matches!(line.event, QueueEvent::Transferred { .. }));
        let mut with: Vec<&str> =
            self.rows.iter().filter(|row| row.answered().is_some() && !row.dstchannel.is_empty()).map(|row| &*row.dstchannel).collect();
        with.dedup();
        logged || with.len() > 1
    }

    /// Whether a phone sent the call elsewhere (302): a local channel stands in for a destination that Dial does not name.
    fn forwarded(&self) -> bool {
        self.rows.iter().filter(|row| &*row.lastapp == "Dial").any(|row| {
            let channel = Channel::parse(&row.dstchannel);
            channel.local.is_some() && !targets(&row.lastdata).any(|target| target.number == Some(channel.device))
        })
    }
}

/// Talk counts from the switch's answer, without a gap until the last agent was gone.
fn since_answer(talks: &mut [Talk], answered_at: Option<Timestamp>) {
    if let (Some(first), Some(answered_at)) = (talks.first_mut(), answered_at) {
        first.from = first.from.min(answered_at);
    }
    let mut next = talks.iter().skip(1).map(|talk| talk.from).collect::<Vec<_>>().into_iter();
    for talk in talks {
        talk.to = talk.to.max(next.next());
    }
}

fn number_of(hotline: &Hotline) -> Box<str> {
    match hotline.number {
        crate::units::NumberPattern::Exact(number) => number.to_string().into(),
        // Which number of the block it was, is lost.
        crate::units::NumberPattern::Prefix(_) => "".into(),
    }
}

/// What Asterisk notes as application of a channel that was dialed and never ran a dialplan.
fn is_outgoing_line(row: &CdrRow) -> bool {
    &*row.lastdata == "(Outgoing Line)" && row.lastapp.starts_with("App")
}

/// Up to four digits that begin with neither 0 nor +: dialed inside the house.
fn is_extension(text: &str) -> bool {
    (1..=4).contains(&text.len()) && !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A phone of the house that is no agent: its channel bears the number it calls from.
fn is_own_extension(device: &str, src: &str) -> bool {
    device == src && src.len() <= 6 && !src.is_empty()
}

#[cfg(test)]
mod tests {
    use super::super::Records;
    use super::*;
    use crate::calls::{AgentPattern, Disposition, IdentityRules, OnHold, Precision, WithheldNumbers};
    use crate::units::{DialPlan, Seconds};

    fn directory(bill_from: BillFrom) -> Directory {
        let dial_plan = DialPlan::new("DE", "89").expect("known");
        let hotline = |number: &str, name: &str, queues: &[&str]| Hotline {
            number: dial_plan.pattern(number).expect("a number"),
            name: name.into(),
            service: "support".into(),
            severity: Some("C".into()),
            bill_from,
            max_call: Seconds::new(14_400),
            hold: OnHold::Talk,
            queues: queues.iter().map(|queue| (*queue).into()).collect(),
        };
        Directory {
            hotlines: vec![hotline("555010", "A", &["600"]), hotline("555011", "B", &["601"]), hotline("555012", "C", &[])],
            agents: vec![
                Agent { number: AgentPattern::Block("20".into()), level: Some(1) },
                Agent { number: AgentPattern::Outside(dial_plan.normalize(b"+491711").expect("a number")), level: Some(3) },
            ],
            identity: IdentityRules {
                headers: Vec::new(),
                trusted_peers: Vec::new(),
                withheld: WithheldNumbers::Ignore,
                contract_header: None,
                leg_headers: Vec::new(),
            },
            dial_plan,
        }
    }

    /// `src > dst, channel > dstchannel, lastapp lastdata, start answer end disposition[, uniqueid linkedid]`
    fn row(text: &str) -> CdrRow {
        let parts: Vec<&str> = text.split(", ").collect();
        let pair = |index: usize| parts.get(index).and_then(|part| part.split_once(" > ")).expect("a pair");
        let (app, data) = parts.get(2).and_then(|part| part.split_once(' ')).expect("an application");
        let mut words = parts.get(3).expect("times").splitn(4, ' ');
        let mut second = || words.next().expect("a time").parse::<u32>().ok();
        let (start, answer, end) = (second().expect("start"), second(), second().expect("end"));
        let mut ids = parts.get(4).copied().unwrap_or("1.1 ").split(' ');
        CdrRow {
            started_at: Timestamp::from_parts(start, 0),
            sequence: None,
            ended_at: Timestamp::from_parts(end, 0),
            answered_at: answer.map(|answer| Timestamp::from_parts(answer, 0)),
            duration: Seconds::new(u64::from(end - start)),
            billsec: Seconds::new(u64::from(end - answer.unwrap_or(end))),
            precision: Precision::Seconds,
            disposition: Disposition::parse(words.next().expect("disposition")).expect("known"),
            uniqueid: ids.next().unwrap_or("").into(),
            linkedid: ids.next().unwrap_or("").into(),
            channel: pair(1).0.into(),
            dstchannel: pair(1).1.into(),
            src: pair(0).0.into(),
            dst: pair(0).1.into(),
            clid: "".into(),
            accountcode: "".into(),
            lastapp: app.into(),
            lastdata: data.replace(';', ",").into(),
            userfield: "".into(),
            sip_call_id: "".into(),
            contract: "".into(),
            severity: "".into(),
            ticket: "".into(),
        }
    }

    fn line(at: u32, event: QueueEvent) -> QueueLine {
        let at = Timestamp::from_parts(at, 0);
        QueueLine { at, event, uniqueid: "1.1".into(), queue: "600".into(), agent: "Ann Agent".into() }
    }

    fn connected(from: u32, talk: u64) -> Vec<QueueLine> {
        let at = from.saturating_add(u32::try_from(talk).unwrap_or(0));
        vec![line(from, QueueEvent::Connected), line(at, QueueEvent::Completed { talk: Seconds::new(talk) })]
    }

    #[test]
    fn who_answers_without_being_an_agent_is_counted() {
        let mut records = Records::new(&directory(BillFrom::Agent));
        records.apply(row("0301 > 555012, SIP/trunk-0a > SIP/300-0b, Dial SIP/300;20, 100 103 160 ANSWERED"));
        assert!(records.flush().iter().all(|call| call.missed == Some(crate::calls::MissedReason::NoAnswer)));
        assert_eq!(records.counts().strangers, 1);
    }

    /// One line for each call: hotline, who, agents with their times, why missed, marks.
    fn check_with(bill_from: BillFrom, rows: &[&str], lines: &[QueueLine], expected: &[&str]) {
        let mut records = Records::new(&directory(bill_from));
        lines.iter().cloned().for_each(|line| records.apply_queue_line(line));
        rows.iter().for_each(|text| records.apply(row(text)));
        let found: Vec<String> = records
            .flush()
            .iter()
            .map(|call| {
                let customer = if call.direction == Direction::Out { call.called } else { call.caller };
                let mut text = format!("{} {}", call.hotline.as_deref().unwrap_or("-"), customer.map_or(0, E164::get));
                for talk in &call.talks {
                    let second = |at: Timestamp| at.micros() / 1_000_000;
                    text += &format!(" {}:{}-{}", talk.agent, second(talk.from), talk.to.map_or(0, second));
                }
                if call.billed_from == BilledFrom::Answer {
                    text += " from answer";
                }
                call.missed.iter().for_each(|reason| text += &format!(" {reason:?}"));
                call.marks.iter().for_each(|mark| text += &format!(" {mark:?}"));
                text
            })
            .collect();
        assert_eq!(found, expected, "{rows:#?}");
    }

    fn check(rows: &[&str], lines: &[QueueLine], expected: &[&str]) {
        check_with(BillFrom::Agent, rows, lines, expected);
    }

    #[test]
    fn a_queue_needs_its_log_to_say_when_an_agent_answered() {
        let queue = "0301 > 555010, SIP/trunk-0a > SIP/201-0b, Queue 600;t, 100 100 160 ANSWERED";
        check(&[queue], &connected(130, 30), &["A 49301 201:130-160"]);
        check(&[queue], &[], &["A 49301 201:100-160 from answer"]);
        check_with(BillFrom::Answer, &[queue], &connected(130, 30), &["A 49301 201:100-160 from answer"]);
        // A member that is not listed is an agent of the queue all the same.
        check(
            &["0301 > 555010, SIP/trunk-0a > SIP/ann-0b, Queue 600;t, 100 100 160 ANSWERED"],
            &connected(130, 30),
            &["A 49301 ann:130-160"],
        );
        // FreePBX rings its members through local channels.
        check(
            &["0301 > 555010, SIP/trunk-0a > Local/201@from-queue-00000001;1, Queue 600;t, 100 100 160 ANSWERED"],
            &connected(130, 30),
            &["A 49301 201:130-160"],
        );
    }

    #[test]
    fn those_who_waited_in_vain_were_missed() {
        let entered = |event| vec![line(105, QueueEvent::Entered), line(120, event)];
        let given_up = "0301 > 555010, SIP/trunk-0a > , Queue 600;t, 100 100 120 ANSWERED";
        check(&[given_up], &entered(QueueEvent::Abandoned), &["A 49301 Abandoned"]);
        check(&[given_up], &[], &["A 49301 Abandoned"]);
        check(&["0301 > 555010, SIP/trunk-0a > SIP/201-0b, Queue 600;t, 100 100 120 NO ANSWER"], &[], &["A 49301 Abandoned"]);
        check(&["0301 > 555010, SIP/trunk-0a > , Playback bye, 100 100 120 ANSWERED"], &entered(QueueEvent::Left), &["A 49301 NoAnswer"]);
        for (row, reason) in [
            ("0301 > 555012, SIP/trunk-0a > SIP/201-0b, Dial SIP/201;20, 100 - 105 NO ANSWER", "Canceled"),
            ("0301 > 555012, SIP/trunk-0a > SIP/201-0b, Dial SIP/201;20, 100 - 120 NO ANSWER", "NoAnswer"),
            ("0301 > 555012, SIP/trunk-0a > SIP/201-0b, Dial SIP/201;20, 100 - 105 CANCEL", "Canceled"),
            ("0301 > 555012, SIP/trunk-0a > SIP/201-0b, Dial SIP/201;20, 100 - 100 BUSY", "Busy"),
            ("0301 > 555012, SIP/trunk-0a > , Congestion 3, 100 - 100 FAILED", "Failed"),
            ("0301 > 555012, SIP/trunk-0a > , VoiceMail 201, 100 100 130 ANSWERED", "NoAnswer"),
            // A menu answered, the agent did not: billsec is 38 and means nothing.
            ("0301 > 555012, SIP/trunk-0a > SIP/201-0b, Dial SIP/201;20;t, 100 102 140 NO ANSWER", "NoAnswer"),
        ] {
            check(&[row], &[], &[&format!("C 49301 {reason}")]);
        }
    }

    #[test]
    fn dial_says_when_an_agent_answered_unless_the_switch_did_before() {
        let dial = |answer: &str| format!("0301 > 555012, SIP/trunk-0a > SIP/201-0b, Dial SIP/201;20, 100 {answer} 160 ANSWERED");
        check(&[&dial("103")], &[], &["C 49301 201:103-160"]);
        check(&[&dial("100")], &[], &["C 49301 201:100-160 from answer"]);
        check_with(BillFrom::Answer, &[&dial("103")], &[], &["C 49301 201:103-160 from answer"]);
        // The on-call mobile behind the trunk is an agent, any other mobile is none.
        let mobile = |number: &str| format!("0301 > 555012, SIP/trunk-0a > SIP/trunk-0b, Dial SIP/{number}@trunk;20, 100 103 160 ANSWERED");
        check(&[&mobile("+491711")], &[], &["C 49301 +491711:103-160"]);
        check(&[&mobile("+491722")], &[], &["C 49301 NoAnswer"]);
    }

    #[test]
    fn several_answered_rows_are_a_union() {
        check(
            &[
                "0301 > 555012, SIP/trunk-0a > SIP/201-0b, Dial SIP/201;20, 100 - 106 NO ANSWER",
                "0301 > 555012, SIP/trunk-0a > SIP/202-0c, Dial SIP/202;20, 106 108 160 ANSWERED",
                "0301 > 555012, SIP/trunk-0a > SIP/203-0d, Dial SIP/202;20, 120 120 150 ANSWERED",
            ],
            &[],
            &["C 49301 202:108-160 203:120-150 Transfer"],
        );
    }

    #[test]
    fn a_blind_transfer_rewrites_the_number_and_the_queue_keeps_the_hotline() {
        let rows = |dst: &str, queue: &str| {
            [
                format!("0301 > {dst}, SIP/trunk-0a > SIP/201-0b, Queue {queue};t, 100 100 130 ANSWERED"),
                format!("0301 > {dst}, SIP/trunk-0a > SIP/203-0c, Dial SIP/203;20, 130 130 160 ANSWERED"),
            ]
        };
        let log = [line(110, QueueEvent::Connected), line(130, QueueEvent::Transferred { talk: Seconds::new(20) })];
        for (dst, queue, log, expected) in [
            ("203", "600", &log[..], "A 49301 201:110-130 203:130-160 Transfer"),
            ("203", "601", &[], "B 49301 201:100-130 203:130-160 from answer Transfer"),
            // Passed on to another hotline: the one that was dialed stays.
            ("555012", "601", &[], "B 49301 201:100-130 203:130-160 from answer Transfer"),
            ("203", "699", &[], "- 49301 201:100-130 203:130-160 from answer Transfer HotlineUnseen"),
        ] {
            let rows = rows(dst, queue);
            check(&[&rows[0], &rows[1]], log, &[expected]);
        }
        // A number that is no hotline, and stands as dialed.
        let [first, second] = rows("555099", "699");
        check(&[&first, &second], &[], &[]);
        // One row, its number as dialed: the queue has no say.
        check(&["0301 > 555012, SIP/trunk-0a > SIP/201-0b, Queue 601;t, 100 100 130 ANSWERED"], &[], &["C 49301 201:100-130 from answer"]);
    }

    #[test]
    fn callbacks_are_of_the_customer_who_was_called() {
        check(&["555010 > 00301, SIP/201-0a > SIP/trunk-0b, Dial SIP/0301@trunk;30, 100 105 160 ANSWERED"], &[], &["A 49301 201:105-160"]);
        check(&["201 > 0301, SIP/201-0a > SIP/trunk-0b, Dial SIP/trunk/0301;30, 100 - 110 NO ANSWER"], &[], &["- 49301 Canceled"]);
        // The customer is passed on to a colleague: the channel that was called leads a row.
        check(
            &[
                "555010 > 0301, SIP/201-0a > SIP/trunk-0b, Dial SIP/0301@trunk;30, 100 105 160 ANSWERED, 1.1 1.1",
                "0301 > 202, SIP/trunk-0b > SIP/202-0c, Dial SIP/202;30, 160 160 190 ANSWERED, 1.2 1.1",
            ],
            &[],
            &["A 49301 201:105-160 202:160-190 Transfer"],
        );
        check(
            &[
                "201 > 201, Local/201@from-internal-00000001;2 > SIP/201-0a, Dial SIP/201;20, 100 103 160 ANSWERED, 1.2 1.1",
                "555010 > 0301, Local/201@from-internal-00000001;1 > SIP/trunk-0b, Dial SIP/0301@trunk;30, 103 109 160 ANSWERED, 1.1 1.1",
            ],
            &[],
            &["A 49301 201:109-160"],
        );
        for internal in [
            "201 > 202, SIP/201-0a > SIP/202-0b, Dial SIP/202;30, 100 105 160 ANSWERED",
            "201 > 300, SIP/201-0a > SIP/300-0b, Dial SIP/300;30, 100 105 160 ANSWERED",
            "201 > 555010, SIP/201-0a > SIP/202-0b, Queue 600;t, 100 100 160 ANSWERED",
            "201 > +491711, SIP/201-0a > SIP/trunk-0b, Dial SIP/+491711@trunk;30, 100 105 160 ANSWERED",
            "201 > *97, SIP/201-0a > , VoiceMailMain 201, 100 100 160 ANSWERED",
            "300 > 555010, SIP/300-0a > SIP/202-0b, Queue 600;t, 100 100 160 ANSWERED",
            // The channel of an agent who was called, after a transfer made it lead: no callback to the caller.
            "201 > 0301, SIP/201-0a > SIP/trunk-0b, AppQueue (Outgoing Line), 100 100 160 ANSWERED",
        ] {
            check(&[internal], &[], &[]);
        }
    }

    #[test]
    fn a_phone_that_redirects_doubles_nothing() {
        for (number, agent) in [("+491711", "C 49301 +491711:103-160 Forward"), ("+491722", "C 49301 NoAnswer Forward")] {
            let forwarded = format!("0301 > 555012, SIP/trunk-0a > Local/{number}@out-00000000;1, Dial SIP/201;20, 100 103 160 ANSWERED");
            let inner = format!(
                "555010 > {number}, Local/{number}@out-00000000;2 > SIP/trunk-0c, Dial SIP/{number}@trunk;30, 100 103 160 ANSWERED, 1.2"
            );
            let rang = "0301 > 555012, SIP/trunk-0a > SIP/201-0b, Dial SIP/201;20, 100 - 100 NO ANSWER";
            check(&[rang, &forwarded, &inner], &[], &[agent]);
        }
    }

    #[test]
    fn rows_without_unique_ids_find_each_other_by_channel() {
        check(
            &[
                "0301 > 555012, SIP/trunk-0a > SIP/201-0b, Dial SIP/201;6, 100 - 106 NO ANSWER,  ",
                "0301 > 555012, SIP/trunk-0a > SIP/202-0c, Dial SIP/202;20, 106 108 160 ANSWERED,  ",
                // The switch was started anew, and counts its channels from the beginning.
                "0302 > 555012, SIP/trunk-0a > SIP/201-0b, Dial SIP/201;6, 500 503 520 ANSWERED,  ",
            ],
            &[],
            &["C 49301 202:108-160", "C 49302 201:503-520"],
        );
    }
}

//! Scenarios of SIPp, put together step by step: what one party sends, and what it waits for.

use std::fmt::Write;

/// What one party does, as SIPp's XML. Texts in square brackets are SIPp's own words.
pub struct Script {
    xml: String,
    /// The INVITE came through a proxy: answers carry its Via and the caller's.
    behind_proxy: bool,
}

const VIA: &str = "Via: SIP/2.0/[transport] [local_ip]:[local_port];rport;branch=[branch]\nMax-Forwards: 70\n";

/// With UPDATE allowed, a switch says by it who is connected, not by a re-INVITE; SIPp answers that by itself.
const ALLOW: &str = "Allow: INVITE, ACK, BYE, CANCEL, UPDATE, OPTIONS, REFER, NOTIFY, INFO\n";

fn sdp(direction: &str) -> String {
    format!(
        "Content-Type: application/sdp\nContent-Length: [len]\n\nv=0\no=- 1 1 IN IP4 [local_ip]\ns=-\nc=IN IP4 [local_ip]\nt=0 0\nm=audio 20000 RTP/AVP 8\na={direction}\n"
    )
}

impl Script {
    /// A party that calls `[service]` as the user `[user]`.
    pub fn caller() -> Self {
        Self { xml: String::new(), behind_proxy: false }
    }

    /// A party that is called through a proxy, up to its INVITE; it takes what it needs of it.
    pub fn called() -> Self {
        Self { xml: String::new(), behind_proxy: true }.called_again()
    }

    /// A party that is called by a switch itself.
    pub fn rung_by_switch() -> Self {
        Self { xml: String::new(), behind_proxy: false }.called_again()
    }

    /// The INVITE comes once more.
    pub fn called_again(self) -> Self {
        self.line(
            "<recv request=\"INVITE\" rrs=\"true\"><action>\
             <ereg regexp=\".*\" search_in=\"hdr\" header=\"From:\" assign_to=\"remote\"/>\
             <ereg regexp=\".*\" search_in=\"hdr\" header=\"To:\" assign_to=\"local\"/>\
             <ereg regexp=\"[0-9]+\" search_in=\"hdr\" header=\"CSeq:\" assign_to=\"cseq\"/>\
             <ereg regexp=\".*\" search_in=\"hdr\" header=\"Via:\" assign_to=\"proxy\"/>\
             <ereg regexp=\".*\" search_in=\"hdr\" header=\"Via:\" occurrence=\"2\" assign_to=\"first\"/>\
             </action></recv><Reference variables=\"remote,local,cseq,proxy,first\"/>",
        )
    }

    fn line(mut self, line: &str) -> Self {
        self.xml += line;
        self.xml.push('\n');
        self
    }

    fn send(self, attributes: &str, message: &str) -> Self {
        self.line(&format!("<send{attributes}><![CDATA[\n{message}\n]]></send>"))
    }

    /// Waits so many milliseconds.
    pub fn pause(self, milliseconds: u64) -> Self {
        self.line(&format!("<pause milliseconds=\"{milliseconds}\"/>"))
    }

    // ---- the calling side ----

    /// Its INVITE, with what follows in further headers.
    pub fn invite(self, cseq: u32, more: &str) -> Self {
        let message = format!(
            "INVITE sip:[service]@[remote_ip]:[remote_port] SIP/2.0\n{VIA}From: <sip:[user]@[local_ip]:[local_port]>;tag=[pid]c[call_number]\n\
             To: <sip:[service]@[remote_ip]>\nCall-ID: [call_id]\nCSeq: {cseq} INVITE\nContact: <sip:[user]@[local_ip]:[local_port]>\n\
             P-Asserted-Identity: <sip:[user]@[local_ip]>\n{ALLOW}{more}{}",
            sdp("sendrecv")
        );
        self.send(" retrans=\"500\"", &message).line("<recv response=\"100\" optional=\"true\"/>")
    }

    /// The answer, acknowledged.
    pub fn answered(self, cseq: u32) -> Self {
        self.line("<recv response=\"180\" optional=\"true\"/><recv response=\"200\" rrs=\"true\"/>").request("ACK", cseq)
    }

    /// Rings for so long and then gives up.
    pub fn cancels(self, after_milliseconds: u64) -> Self {
        let cancel = "CANCEL sip:[service]@[remote_ip]:[remote_port] SIP/2.0\n[last_Via:]\nMax-Forwards: 70\n\
             From: <sip:[user]@[local_ip]:[local_port]>;tag=[pid]c[call_number]\nTo: <sip:[service]@[remote_ip]>\nCall-ID: [call_id]\n\
             CSeq: 1 CANCEL\nContent-Length: 0\n";
        self.line("<recv response=\"180\"/>")
            .pause(after_milliseconds)
            .send(" retrans=\"500\"", cancel)
            // The proxy answers the two in any order.
            .line("<recv response=\"200\" optional=\"true\"/><recv response=\"487\"/>")
            .refused_ack()
    }

    /// Takes a refusal.
    pub fn refused(self, status: u16) -> Self {
        self.line(&format!("<recv response=\"180\" optional=\"true\"/><recv response=\"{status}\" auth=\"{}\"/>", status == 401))
            .refused_ack()
    }

    fn refused_ack(self) -> Self {
        let ack = "ACK sip:[service]@[remote_ip]:[remote_port] SIP/2.0\n[last_Via:]\nMax-Forwards: 70\n\
             From: <sip:[user]@[local_ip]:[local_port]>;tag=[pid]c[call_number]\nTo: <sip:[service]@[remote_ip]>[peer_tag_param]\n\
             Call-ID: [call_id]\nCSeq: 1 ACK\nContent-Length: 0\n";
        self.send("", ack)
    }

    fn request(self, method: &str, cseq: u32) -> Self {
        let attributes = if method == "ACK" { "" } else { " retrans=\"500\"" };
        self.send(attributes, &format!("{}Content-Length: 0\n", in_dialog(method, cseq)))
    }

    /// Holds or takes back by a re-INVITE, as the media direction says.
    pub fn reinvites(self, cseq: u32, direction: &str) -> Self {
        let message = in_dialog("INVITE", cseq) + "Contact: <sip:[user]@[local_ip]:[local_port]>\n" + &sdp(direction);
        self.send(" retrans=\"500\"", &message)
            .line("<recv response=\"100\" optional=\"true\"/><recv response=\"200\"/>")
            .request("ACK", cseq)
    }

    /// Hangs up.
    pub fn bye(self) -> Self {
        self.request("BYE", 9).line("<recv response=\"200\"/>")
    }

    // ---- the called side ----

    fn reply(self, attributes: &str, status: &str, cseq: &str, more: &str) -> Self {
        let to = if cseq.contains("INVITE") { "[last_To:];tag=[pid]d[call_number]" } else { "[last_To:]" };
        // A CANCEL has one Via, of its hop; what is said of the INVITE goes the whole way back.
        let via = if self.behind_proxy && cseq.contains("INVITE") { "Via:[$proxy]\nVia:[$first]" } else { "[last_Via:]" };
        self.send(attributes, &format!("SIP/2.0 {status}\n{via}\n[last_From:]\n{to}\n[last_Call-ID:]\n{cseq}\n{more}"))
    }

    /// Rings for so long.
    pub fn rings(self, milliseconds: u64) -> Self {
        self.ringing().pause(milliseconds)
    }

    fn ringing(self) -> Self {
        self.reply("", "180 Ringing", "CSeq: [$cseq] INVITE", "Contact: <sip:[local_ip]:[local_port]>\nContent-Length: 0\n")
    }

    /// Lifts.
    pub fn lifts(self) -> Self {
        let more = "[last_Record-Route:]\nContact: <sip:[local_ip]:[local_port]>\n".to_owned() + ALLOW + &sdp("sendrecv");
        self.reply(" retrans=\"500\"", "200 OK", "CSeq: [$cseq] INVITE", &more).line("<recv request=\"ACK\"/>")
    }

    /// Refuses with a status line, and what headers that takes.
    pub fn refuses(self, status: &str, more: &str) -> Self {
        self.reply("", status, "CSeq: [$cseq] INVITE", &format!("{more}Content-Length: 0\n")).line("<recv request=\"ACK\"/>")
    }

    /// Rings until the caller gives up.
    pub fn until_cancelled(self) -> Self {
        self.ringing()
            .line("<recv request=\"CANCEL\"/>")
            .reply("", "200 OK", "CSeq: [$cseq] CANCEL", "Content-Length: 0\n")
            .refuses("487 Request Terminated", "")
    }

    /// Waits for the other's BYE.
    pub fn hears_bye(self) -> Self {
        self.line("<recv request=\"BYE\"/>").reply("", "200 OK", "[last_CSeq:]", "Content-Length: 0\n")
    }

    /// Agrees to a re-INVITE.
    pub fn agrees(self) -> Self {
        let sdp = "Contact: <sip:[local_ip]:[local_port]>\n".to_owned() + &sdp("sendrecv");
        self.line("<recv request=\"INVITE\"/>").reply(" retrans=\"500\"", "200 OK", "[last_CSeq:]", &sdp).line("<recv request=\"ACK\"/>")
    }

    /// Holds or takes back by a re-INVITE, as the media direction says.
    pub fn holds(self, cseq: u32, direction: &str) -> Self {
        let message = from_called("INVITE", cseq) + "Contact: <sip:[local_ip]:[local_port]>\n" + &sdp(direction);
        self.send(" retrans=\"500\"", &message)
            .line("<recv response=\"100\" optional=\"true\"/><recv response=\"200\"/>")
            .send("", &(from_called("ACK", cseq) + "Content-Length: 0\n"))
    }

    /// Passes the caller on.
    pub fn refers(self, to: &str) -> Self {
        let message = from_called("REFER", 80)
            + &format!(
                "Refer-To: <sip:{to}@[remote_ip]>\nReferred-By: <sip:[user]@[local_ip]>\nContact: <sip:[local_ip]:[local_port]>\nContent-Length: 0\n"
            );
        self.send(" retrans=\"500\"", &message).line("<recv response=\"202\"/>")
    }

    /// Hangs up, whether that is answered or not.
    pub fn hangs_up(self, answered: bool) -> Self {
        let script = self.send(" retrans=\"500\"", &(from_called("BYE", 90) + "Content-Length: 0\n"));
        if answered { script.line("<recv response=\"200\"/>") } else { script.line("<recv response=\"408\"/>") }
    }

    /// The whole scenario.
    pub fn xml(&self, name: &str) -> String {
        let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        let _ = writeln!(xml, "<scenario name=\"{name}\">\n{}</scenario>", self.xml);
        xml
    }
}

fn in_dialog(method: &str, cseq: u32) -> String {
    format!(
        "{method} [next_url] SIP/2.0\n{VIA}From: <sip:[user]@[local_ip]:[local_port]>;tag=[pid]c[call_number]\n\
         To: <sip:[service]@[remote_ip]>[peer_tag_param]\nCall-ID: [call_id]\n[routes]\nCSeq: {cseq} {method}\n"
    )
}

fn from_called(method: &str, cseq: u32) -> String {
    format!(
        "{method} [next_url] SIP/2.0\n{VIA}From:[$local];tag=[pid]d[call_number]\nTo:[$remote]\nCall-ID: [call_id]\n[routes]\nCSeq: {cseq} {method}\n"
    )
}

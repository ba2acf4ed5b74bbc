//! Names of Asterisk's channels and arguments of its Dial application: who is at the other end.
//!
//! A channel's name is `TECH/resource-hex`; of a local channel `Local/number@context-hex;half`. The resource of a desk's
//! channel is the desk, that of a trunk's is the trunk, and the number stands in the arguments of Dial alone.

/// A channel's name, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Channel<'a> {
    /// The device; of a local channel, the number that it dials.
    pub(super) device: &'a str,
    /// Of a local channel: the name both halves share.
    pub(super) local: Option<&'a str>,
}

impl<'a> Channel<'a> {
    pub(super) fn parse(name: &'a str) -> Self {
        let (tech, rest) = name.split_once('/').unwrap_or(("", name));
        if tech.eq_ignore_ascii_case("Local") {
            let shared = name.rsplit_once(';').map_or(name, |(shared, _)| shared);
            let number = rest.split_once('@').map_or(rest, |(number, _)| number);
            return Self { device: number, local: Some(shared) };
        }
        let device = match rest.rsplit_once('-') {
            Some((device, serial)) if !serial.is_empty() && serial.bytes().all(|byte| byte.is_ascii_hexdigit()) => device,
            _ => rest,
        };
        Self { device, local: None }
    }
}

/// One destination of Dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target<'a> {
    /// The device or trunk.
    pub(super) device: &'a str,
    /// The number dialed through it, if it is a trunk.
    pub(super) number: Option<&'a str>,
}

/// The destinations in Dial's arguments: `PJSIP/201&PJSIP/+4917…@trunk,20,tT`, `SIP/trunk/0171…`.
pub(super) fn targets(lastdata: &str) -> impl Iterator<Item = Target<'_>> {
    let all = lastdata.split([',', '|']).next().unwrap_or("");
    all.split('&').filter_map(|target| {
        let (_, rest) = target.split_once('/')?;
        Some(match (rest.split_once('/'), rest.split_once('@')) {
            (Some((device, uri)), _) => {
                let uri = uri.strip_prefix("sips:").or_else(|| uri.strip_prefix("sip:")).unwrap_or(uri);
                Target { device, number: Some(uri.split_once('@').map_or(uri, |(number, _)| number)) }
            }
            (None, Some((number, device))) => Target { device, number: Some(number) },
            (None, None) => Target { device: rest, number: None },
        })
    })
}

/// The second argument of Dial: how long it rings, in seconds; `None` if it rings without end.
pub(super) fn ring_seconds(lastdata: &str) -> Option<u64> {
    lastdata.split([',', '|']).nth(1)?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        for (name, device, local) in [
            ("PJSIP/trunk-notimer-00000008", "trunk-notimer", None),
            ("SIP/201-0000001a", "201", None),
            ("PJSIP/alice", "alice", None),
            ("Local/+4917@from-agents-00000001;2", "+4917", Some("Local/+4917@from-agents-00000001")),
            ("", "", None),
        ] {
            assert_eq!(Channel::parse(name), Channel { device, local }, "{name}");
        }
    }

    #[test]
    fn dial_arguments_name_devices_and_numbers() {
        for (lastdata, expected) in [
            ("PJSIP/201&PJSIP/202,20,tT", vec![("201", None), ("202", None)]),
            ("PJSIP/+4917@trunk,20", vec![("trunk", Some("+4917"))]),
            ("SIP/trunk/0171", vec![("trunk", Some("0171"))]),
            ("PJSIP/trunk/sip:0171@192.0.2.1", vec![("trunk", Some("0171"))]),
            ("", vec![]),
        ] {
            let found: Vec<_> = targets(lastdata).map(|target| (target.device, target.number)).collect();
            assert_eq!(found, expected, "{lastdata}");
        }
        assert_eq!(ring_seconds("PJSIP/201,20,tT"), Some(20));
        assert_eq!(ring_seconds("PJSIP/201"), None);
    }
}

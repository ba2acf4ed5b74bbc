//! The legs of calls: who sends an INVITE to whom, and what it says about itself.
//!
//! The one invariant: legs of one call share nothing on the wire but numbers and times, as with a PBX between them.

use super::calls::Call;
use super::dialog::{Dialog, Opening, Side};
use super::numbers::{self, PBX_DESKS, PBX_TRUNK, PROVIDER};
use super::random::Random;
use super::scene::{MS, Scene};

/// A desk is asked whether it is there.
pub fn keep_alive(scene: &mut Scene, at: i64, desks: u64) {
    let desk = scene.random.below(desks);
    let extension = numbers::extension(desk);
    let opening = Opening {
        caller: PBX_DESKS,
        callee: numbers::desk(desk),
        call_id: scene.random.uuid(),
        from: &extension,
        to: &extension,
        target: &extension,
        display: None,
        asserted: None,
        anonymous: false,
        timer: false,
        agents: ["lab-pbx", "lab-desk"],
    };
    let dialog = Dialog::new(opening, &mut scene.random);
    dialog.ping(scene, at);
}

/// The provider's leg of a call to a hotline.
pub fn trunk_in(random: &mut Random, call: &Call) -> Dialog {
    let caller = call.caller.number();
    let hotline = call.hotline.as_deref().unwrap_or(numbers::SUPPORT);
    let shown = numbers::spell(&caller, random);
    let called = numbers::spell(hotline, random);
    let call_id = if random.chance(0.7) { format!("{}@{PROVIDER}", random.hex(24)) } else { random.uuid() };
    let opening = Opening {
        caller: PROVIDER,
        callee: PBX_TRUNK,
        call_id,
        from: &shown,
        to: &called,
        target: &called,
        display: Some(&shown),
        asserted: Some(&caller),
        anonymous: call.withheld,
        timer: true,
        agents: ["lab-provider", "lab-pbx"],
    };
    Dialog::new(opening, random)
}

/// The leg of a desk that is to answer a call.
pub fn to_desk(random: &mut Random, call: &mut Call, desk: u64) -> Dialog {
    let extension = numbers::extension(desk);
    let from = if call.withheld { "anonymous".to_owned() } else { call.caller.number() };
    let opening = Opening {
        caller: PBX_DESKS,
        callee: numbers::desk(desk),
        call_id: random.uuid(),
        from: &from,
        to: &extension,
        target: &extension,
        display: None,
        asserted: None,
        anonymous: false,
        timer: false,
        agents: ["lab-pbx", "lab-desk"],
    };
    let dialog = Dialog::new(opening, random);
    call.call_ids.push(dialog.call_id.clone());
    dialog
}

/// A leg begins to ring.
pub fn ring(scene: &mut Scene, dialog: &Dialog, at: i64, after: i64) {
    dialog.invite(scene, at);
    if scene.random.chance(0.5) {
        dialog.provisional(scene, at + 10 * MS, "100 Trying");
    }
    dialog.provisional(scene, at + after, "180 Ringing");
}

/// A side hangs up.
pub fn bye(scene: &mut Scene, dialog: &mut Dialog, at: i64, by: Side, extra: &str) {
    let after = scene.random.micros(0.004, 0.014);
    dialog.request(scene, at, by, "BYE", extra, (after, "200 OK"));
}

/// The leg of a desk that calls out.
pub fn from_desk(random: &mut Random, desk: u64, dialled: &str) -> Dialog {
    let (extension, display) = (numbers::extension(desk), format!("Desk {desk}"));
    let opening = Opening {
        caller: numbers::desk(desk),
        callee: PBX_DESKS,
        call_id: random.uuid(),
        from: &extension,
        to: dialled,
        target: dialled,
        display: Some(&display),
        asserted: None,
        anonymous: false,
        timer: false,
        agents: ["lab-desk", "lab-pbx"],
    };
    Dialog::new(opening, random)
}

/// The provider's leg to a customer, who is shown the hotline's number.
pub fn to_customer(random: &mut Random, customer: &str) -> Dialog {
    let opening = Opening {
        caller: PBX_TRUNK,
        callee: PROVIDER,
        call_id: random.uuid(),
        from: numbers::SUPPORT,
        to: customer,
        target: customer,
        display: Some("Support"),
        asserted: Some(numbers::SUPPORT),
        anonymous: false,
        timer: false,
        agents: ["lab-pbx", "lab-provider"],
    };
    Dialog::new(opening, random)
}

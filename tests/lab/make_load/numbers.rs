//! Who calls, whom they call, and whose contract each number is. Numbers are from ranges kept for fiction, addresses from
//! documentation ranges.
//!
//! The one invariant: [`owner`] and [`contracts_csv`] say the same.

use super::random::Random;
use super::wire::Peer;
use std::fmt::Write as _;

/// The provider's trunk, and the PBX towards it and towards its desks.
pub const PROVIDER: Peer = Peer { ip: [192, 0, 2, 10], port: 5060 };
pub const PBX_TRUNK: Peer = Peer { ip: [198, 51, 100, 5], port: 5060 };
pub const PBX_DESKS: Peer = Peer { ip: [10, 20, 0, 5], port: 5060 };

pub const SUPPORT: &str = "+4989555010";
pub const GROUP: &str = "+4989555030";
pub const EMERGENCY: &str = "+4989555099";
/// Direct numbers are these and one digit.
pub const DIRECT: &str = "+498955502";

/// Mobile callers: this and five digits.
const MOBILE: &str = "+49171392";
const MOBILES: u64 = 100_000;
/// Companies: each of these and three digits; ten numbers are a trunk.
const TOWNS: [&str; 5] = ["+493023125", "+498999998", "+492214710", "+496990009", "+494066969"];
const TRUNKS: u64 = 100;
/// The share of calls from mobiles.
const MOBILE_SHARE: f64 = 0.6;

/// A caller's number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// A mobile, by its last five digits.
    Mobile(u64),
    /// A town, and the last three digits.
    Town(usize, u64),
}

impl Caller {
    pub fn draw(random: &mut Random) -> Self {
        if random.chance(MOBILE_SHARE) {
            Self::Mobile(random.below(MOBILES))
        } else {
            Self::Town(random.below(TOWNS.len() as u64) as usize, random.below(TRUNKS * 10))
        }
    }

    /// As E.164.
    pub fn number(self) -> String {
        match self {
            Self::Mobile(number) => format!("{MOBILE}{number:05}"),
            Self::Town(town, number) => format!("{}{number:03}", TOWNS[town]),
        }
    }

    /// Whose number it is, of so many contracts. One mobile in twelve and one trunk in ten have no contract; of every
    /// fourth trunk one number is listed by another contract, which beats the trunk's prefix.
    pub fn owner(self, contracts: u64) -> Option<u64> {
        match self {
            Self::Mobile(number) => (number % 12 != 11).then_some(number * contracts / MOBILES),
            Self::Town(town, number) => {
                let trunk = number / 10;
                let owner = trunk_owner(town, trunk, contracts);
                if trunk % 4 == 0 && number % 10 == 5 { Some((owner + 1) % contracts) } else { (trunk % 10 != 9).then_some(owner) }
            }
        }
    }
}

fn trunk_owner(town: usize, trunk: u64, contracts: u64) -> u64 {
    (town as u64 * TRUNKS + trunk) * contracts / (TOWNS.len() as u64 * TRUNKS)
}

/// The name of a contract.
pub fn contract_id(contract: u64) -> String {
    format!("K{contract:05}")
}

/// The desk with this number, its extension and its address.
pub fn extension(desk: u64) -> String {
    (200 + desk).to_string()
}

pub fn desk(desk: u64) -> Peer {
    Peer { ip: [10, 20, 1, (desk % 250 + 1) as u8], port: 5060 }
}

/// A number as a provider or a caller may write it.
pub fn spell(number: &str, random: &mut Random) -> String {
    match random.below(10) {
        0..6 => number.to_owned(),
        6..8 => national(number),
        8 => format!("00{}", &number[1..]),
        _ => number[1..].to_owned(),
    }
}

/// As it is dialled within the country.
pub fn national(number: &str) -> String {
    format!("0{}", &number[3..])
}

/// The contracts that own the callers' numbers.
pub fn contracts_csv(contracts: u64) -> String {
    let mut numbers = vec![Vec::new(); contracts as usize];
    let exact = (0..MOBILES).map(Caller::Mobile);
    for caller in exact.chain((0..TOWNS.len()).flat_map(|town| (0..TRUNKS).map(move |trunk| Caller::Town(town, trunk * 10 + 5)))) {
        let listed = match caller {
            Caller::Mobile(_) => true,
            Caller::Town(_, number) => (number / 10) % 4 == 0,
        };
        if let Some(owner) = caller.owner(contracts).filter(|_| listed) {
            numbers[owner as usize].push(caller.number());
        }
    }
    for town in 0..TOWNS.len() {
        for trunk in (0..TRUNKS).filter(|trunk| trunk % 10 != 9) {
            numbers[trunk_owner(town, trunk, contracts) as usize].push(format!("{}{trunk:02}*", TOWNS[town]));
        }
    }
    let mut csv = "contract_id,customer,plans,starts_on,cancelled_on,ends_on,activated_on,stations,numbers,authorised,partner\n".to_owned();
    for (contract, numbers) in (0..).zip(&numbers) {
        let id = contract_id(contract);
        let starts_on = format!("2025-{:02}-{:02}", contract % 12 + 1, contract % 28 + 1);
        // Every third contract was activated, and has its minutes from that day on.
        let activated_on = if contract % 3 == 0 { starts_on.as_str() } else { "" };
        let _ = writeln!(csv, "{id},Customer {contract},support-level-1,{starts_on},,,{activated_on},,{},,", numbers.join("|"));
    }
    csv
}

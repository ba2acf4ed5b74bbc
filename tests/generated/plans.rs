//! Random plans: fees, allowances, rates, and what goes with them.

use super::dice::Dice;
use super::tariffs::quoted;
use std::fmt::Write as _;

type Services = [(&'static str, Vec<String>)];

/// Writes one version of a plan after its head.
pub fn plan(dice: &Dice<'_>, services: &Services, place: usize, head: &str) -> String {
    let mut text = head.to_owned();
    let fee = dice.pick(&["\"none\"", "{ amount = 39.00, per = \"month\" }", "{ amount = 333.33, per = \"year\" }"]);
    let fee = if dice.once_in(6) { "{ amount = 249.00, per = \"year-and-station\" }" } else { fee };
    let _ = writeln!(text, "fee = {fee}\ncallers = \"{}\"", dice.pick(&["any", "any", "any", "authorised"]));
    for number in 0..dice.below(4) {
        allowance(&mut text, dice, services, place, number);
    }
    let all: Vec<usize> = (0..services.len()).collect();
    let sold: Vec<usize> = if dice.once_in(3) { dice.some(&all) } else { all };
    for service in &sold {
        // A plan may sell by what it includes what its own rates leave out.
        rates(&mut text, dice, &services[*service], !head.contains("includes"));
    }
    surcharges(&mut text, dice, services);
    caps(&mut text, dice, services);
    if dice.once_in(6) {
        text += "[plan.decision]\n";
        if dice.once_in(3) {
            let _ = writeln!(text, "services = [\"support\"]");
        }
        if !dice.once_in(3) {
            let _ = writeln!(
                text,
                "default = \"{}\"\nafter = \"{}\"",
                dice.pick(&["customer", "provider"]),
                dice.pick(&["14 days", "1 month"])
            );
        }
    }
    text
}

fn allowance(text: &mut String, dice: &Dice<'_>, services: &Services, place: usize, number: usize) {
    let all: Vec<usize> = (0..services.len()).collect();
    let served = if dice.once_in(2) { dice.some(&all) } else { vec![0] };
    let names: Vec<&str> = served.iter().map(|place| services[*place].0).collect();
    let activation = dice.once_in(5);
    let (kind, per) = (dice.pick(&["time", "time", "time", "incidents", "callbacks"]), dice.pick(&["month", "month", "contract-year"]));
    let is_time = kind == "time";
    // What is granted once is the tariff's: each plan's has a name of its own. A name means the same in all versions of a plan.
    let id = if activation { format!("act-{place}-{number}-{kind}") } else { format!("a{number}-{kind}-{per}") };
    let _ = writeln!(text, "[[plan.allowance]]\nid = \"{id}\"\nservices = [{}]", quoted(&names));
    let (time, count) = (dice.pick(&["10m", "15m", "1h", "2h"]), 1 + dice.below(3));
    let _ = match is_time {
        true => writeln!(text, "time = \"{time}\"\nincrement = \"{}\"", dice.pick(&["1m", "30s", "5m", "7s"])),
        false => writeln!(text, "{kind} = {count}"),
    };
    let _ = match activation {
        true => writeln!(text, "per = \"activation\"\nlapses = \"{}\"", dice.pick(&["never", "14 days", "1 month"])),
        false => writeln!(text, "per = \"{per}\""),
    };
    if dice.once_in(5) {
        *text += "per_station = true\n";
    }
    if !activation && dice.once_in(4) {
        // No more can be left than was granted.
        let most = match (is_time, time, count) {
            (true, "10m" | "15m", _) => dice.pick(&["\"5m\"", "\"10m\"", "\"20s\""]),
            (true, _, _) => dice.pick(&["\"5m\"", "\"30m\"", "\"20s\""]),
            (false, _, 1) => "1",
            (false, _, _) => dice.pick(&["1", "2"]),
        };
        let _ = writeln!(text, "carry_over = {{ at_most = {most}, lapses = \"{}\" }}", dice.pick(&["1 month", "10 days", "2 months"]));
    }
    if dice.once_in(4) {
        let some = if is_time { dice.pick(&["\"20%\"", "\"90s\"", "\"6m\""]) } else { dice.pick(&["1", "\"50%\""]) };
        let _ = writeln!(text, "tolerance = {some}");
    }
    if dice.once_in(3) {
        let bands: Vec<&str> = services[served[dice.below(served.len())]].1.iter().map(String::as_str).collect();
        let _ = writeln!(text, "bands = [{}]", quoted(&dice.some(&bands)));
    }
    *text += &filter(dice, 4);
}

/// Perhaps severities, perhaps levels.
fn filter(dice: &Dice<'_>, times: usize) -> String {
    let mut text = String::new();
    if dice.once_in(times) {
        let _ = writeln!(text, "severities = [{}]", quoted(&dice.some(&["A", "B", "C"])));
    }
    if dice.once_in(times + 2) {
        let _ = writeln!(text, "levels = [{}]", dice.pick(&["1", "2", "3", "2, 3"]));
    }
    text
}

/// What a service costs: perhaps special prices first, then one for all that is left.
fn rates(text: &mut String, dice: &Dice<'_>, (service, bands): &(&'static str, Vec<String>), alone: bool) {
    let incidents = dice.once_in(4);
    let bands: Vec<&str> = bands.iter().map(String::as_str).collect();
    let mut rate = |filter: &str| {
        let (price, timed) = price(dice, incidents);
        let _ = write!(text, "[[plan.rate]]\nservice = \"{service}\"\n{filter}{price}{}", conditions(dice, &price, timed));
    };
    let [severity, level, direction] = [dice.once_in(4), dice.once_in(5), dice.once_in(5)];
    if severity {
        rate(&format!("severities = [\"{}\"]\n", dice.pick(&["A", "B", "C"])));
    }
    if level {
        rate(&format!("levels = [{}]\n", dice.pick(&["1", "3"])));
    }
    if direction {
        rate(&format!("direction = \"{}\"\n", dice.pick(&["in", "out"])));
    }
    if bands.len() > 1 && dice.once_in(2) {
        let (special, others) = (dice.below(bands.len()), dice.once_in(4));
        rate(&format!("bands = [\"{}\"]\n", bands[special]));
        // What a rate for some calls prices in every band cannot be declared uncovered in one.
        if others && alone && !(severity || level || direction) {
            let rest: Vec<&str> = bands.iter().enumerate().filter(|(place, _)| *place != special).map(|(_, band)| *band).collect();
            let _ = writeln!(text, "[[plan.uncovered]]\nservice = \"{service}\"\nbands = [{}]", quoted(&rest));
            return;
        }
    }
    rate("");
}

/// A price, and whether it is one of time.
fn price(dice: &Dice<'_>, incidents: bool) -> (String, bool) {
    let amount = |dice: &Dice<'_>| dice.pick(&["0.50", "1.00", "0.0595", "30.00", "0", "12.345"]);
    if incidents && !dice.once_in(5) {
        return (format!("incident = {}\n", dice.pick(&["85.00", "169.00", "0", "0.005"])), false);
    }
    match dice.below(8) {
        0 => ("flat = true\n".to_owned(), false),
        1 => {
            let (quantity, increment) = dice.pick(&[("1h", "15m"), ("10m", "1m"), ("7m", "5m")]);
            let per = dice.pick(&["\"month\"", "\"contract-year\"", "\"activation\", lapses = \"never\""]);
            (
                format!("top_up = {{ quantity = \"{quantity}\", price = {}, increment = \"{increment}\", per = {per} }}\n", amount(dice)),
                true,
            )
        }
        _ => {
            // Increments of which a quarter of an hour is a multiple.
            let increment = |dice: &Dice<'_>| dice.pick(&[60_i64, 300, 30, 900, 180, 10]);
            let first = increment(dice);
            let mut steps = vec![format!("{{ from = \"0s\", increment = \"{first}s\", price = {} }}", amount(dice))];
            let mut from = first * dice.between(1, 5);
            for _ in 0..dice.below(3) {
                let length = increment(dice);
                steps.push(format!("{{ from = \"{from}s\", increment = \"{length}s\", price = {} }}", amount(dice)));
                from += length * dice.between(1, 5);
            }
            (format!("steps = [{}]\n", steps.join(", ")), true)
        }
    }
}

fn conditions(dice: &Dice<'_>, price: &str, timed: bool) -> String {
    let mut text = String::new();
    if !price.starts_with("flat") && dice.once_in(5) {
        let _ = writeln!(text, "free_under = \"{}\"", dice.pick(&["30s", "2m"]));
    }
    if timed && dice.once_in(4) {
        let _ = writeln!(text, "connect = {}", dice.pick(&["1.20", "0.005", "0"]));
    }
    if timed && dice.once_in(4) {
        let _ = writeln!(text, "minimum = {}", dice.pick(&["2.00", "5.00", "0.001"]));
    }
    if price.starts_with("steps") && dice.once_in(2) {
        let mode = dice.pick(&["up", "half", "down"]);
        let _ = match dice.pick(&["increment", "call", "incident", "day", "month"]) {
            "increment" => writeln!(text, "round = {{ per = \"increment\", mode = \"{mode}\" }}"),
            per => writeln!(text, "round = {{ per = \"{per}\", to = \"{}\", mode = \"{mode}\" }}", dice.pick(&["15m", "30m"])),
        };
    }
    text
}

/// Perhaps one of a severity, and perhaps one of all that is left.
fn surcharges(text: &mut String, dice: &Dice<'_>, services: &Services) {
    for special in [true, false] {
        if !dice.once_in(3) {
            continue;
        }
        let (service, bands) = &services[dice.below(services.len())];
        let bands: Vec<&str> = bands.iter().map(String::as_str).collect();
        let percent = dice.pick(&["50", "100", "12.5"]);
        let _ = writeln!(text, "[[plan.surcharge]]\nbands = [{}]\npercent = {percent}", quoted(&dice.some(&bands)));
        if dice.once_in(2) {
            let _ = writeln!(text, "services = [\"{service}\"]");
        }
        if special {
            let _ = writeln!(text, "severities = [\"{}\"]", dice.pick(&["A", "C"]));
        }
    }
}

fn caps(text: &mut String, dice: &Dice<'_>, services: &Services) {
    let pers = ["month", "call", "incident"];
    let first = dice.below(3);
    for place in 0..dice.below(3) {
        let (amount, per) = (dice.pick(&["5.00", "31.00", "8.50", "5.005"]), pers[(first + place) % 3]);
        let _ = writeln!(text, "[[plan.cap]]\namount = {amount}\nper = \"{per}\"");
        if dice.once_in(3) {
            let _ = writeln!(text, "services = [\"{}\"]", services[dice.below(services.len())].0);
        }
    }
}

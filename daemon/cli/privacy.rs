//! `taktd privacy`: what is held about one caller, listed, kept for a dispute, or erased on request.

use super::office::{Office, instant, who};
use super::{Common, Failure, Result, table};
use crate::clock;
use crate::ledger::{Act, Ledger, NumberKey, Swept, Token, Wish};
use crate::meter::RecordKey;
use crate::pipeline::books::Books;
use crate::pipeline::requests::Request;
use crate::pipeline::schedule::forget_before;
use crate::units::{CallId, E164, RawNumber, Timestamp};
use clap::{Args, Subcommand};
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::process::ExitCode;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  taktd privacy list 089123456\n  taktd privacy erase +4989123456 --reason \"asked by letter, 2026-11-20\"\nA number may be written as on your telephone. Exports and backups made before hold what they held."
)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show all that the ledger has about a number: calls, texts that name it, what was asked about it.
    List {
        /// The number.
        number: String,
    },
    /// Keep a number beyond `privacy.keep`, for a dispute.
    Hold {
        /// The number.
        number: String,
        /// Until this day; without it, until it is released.
        #[arg(long, value_name = "T")]
        until: Option<String>,
        /// Why; journaled with who.
        #[arg(long)]
        reason: String,
    },
    /// Let a number go that was held.
    Release {
        /// The number.
        number: String,
        /// Why; journaled with who.
        #[arg(long)]
        reason: String,
    },
    /// Erase a number: its calls and what they cost stay, and nobody sees any more whose they were.
    Erase {
        /// The number.
        number: String,
        /// Why; journaled with who.
        #[arg(long)]
        reason: String,
    },
    /// Erase what is older than `privacy.keep`; a daemon does so by itself every night.
    Keep,
}

pub fn run(common: &Common, arguments: &Arguments) -> Result {
    let office = Office::load(common)?;
    match &arguments.command {
        Command::List { number } => list(common, &office, &Person::find(&office, number)?),
        Command::Hold { number, until, reason } => {
            let until = until.as_deref().map_or(Ok(Timestamp::MAX), |text| instant(text, office.in_force.zone()))?;
            ask(common, &office, number, Act::Hold { until }, reason)
        }
        Command::Release { number, reason } => ask(common, &office, number, Act::Release, reason),
        Command::Erase { number, reason } => ask(common, &office, number, Act::Erase, reason),
        Command::Keep => keep(common, &office),
    }
}

/// A caller: the number, and the tokens of all its spellings.
struct Person {
    number: E164,
    tokens: BTreeSet<Token>,
    spellings: Vec<(String, Timestamp)>,
    ledger: Ledger,
}

impl Person {
    fn find(office: &Office, text: &str) -> Result<Self> {
        let dial_plan = &office.config.directory.dial_plan;
        let number = dial_plan.normalize(text.as_bytes()).ok_or_else(|| {
            Failure::Usage(format!("\"{text}\" is no number; +49 89 123456 would be right, or as it is dialled from here"))
        })?;
        let ledger = office.reader()?;
        let file = office.key_file()?;
        let missing = || anyhow::anyhow!("{}: the key of the ledger's numbers is missing; restore it from the backup", file.display());
        let key: NumberKey = office.known_key()?.ok_or_else(missing)?;
        let mut person = Self { number, tokens: BTreeSet::from([key.token(&number.to_string())]), spellings: Vec::new(), ledger };
        person.ledger.each_number(|token, spelled, day| {
            if dial_plan.normalize(spelled.as_bytes()) == Some(number) {
                person.tokens.insert(token);
                person.spellings.push((spelled.to_owned(), day));
            }
        })?;
        Ok(person)
    }

    fn is_this(&self, number: Option<E164>, raw: &str) -> bool {
        number == Some(self.number) || Token::parse(raw).is_some_and(|token| self.tokens.contains(&token))
    }

    fn is_raw(&self, raw: &RawNumber) -> bool {
        self.is_this(None, raw.as_str()) || self.spellings.iter().any(|(spelled, _)| spelled == raw.as_str())
    }
}

fn list(common: &Common, office: &Office, person: &Person) -> Result {
    let mut out = io::stdout().lock();
    let mut ids: Vec<CallId> = Vec::new();
    person.ledger.calls(Timestamp::default(), Timestamp::MAX, |stored| {
        let call = &stored.call;
        let talked = call.talks.iter().any(|talk| person.is_raw(&RawNumber::from_bytes(talk.agent.as_bytes())));
        let (caller, called) = (person.is_this(call.caller, ""), person.is_this(call.called, ""));
        if talked || caller || called || person.is_raw(&call.caller_raw) || person.is_raw(&call.called_raw) {
            ids.push(stored.call.id);
        }
        Ok(())
    })?;
    let tokens: Vec<Token> = person.tokens.iter().copied().collect();
    let wishes = person.ledger.wishes_about(&tokens)?;
    let mut texts = Vec::new();
    for token in &tokens {
        texts.extend(person.ledger.texts_with(*token)?);
    }
    let in_force = office.in_force.contracts().rows().iter();
    let contracts: Vec<String> = in_force
        .filter(|row| row.numbers.iter().chain(&row.authorised).any(|pattern| pattern.matches(person.number)))
        .map(|row| format!("{} ({}, line {})", row.id, row.place.0, row.place.1))
        .collect();
    if common.json {
        let spellings: Vec<_> = person
            .spellings
            .iter()
            .map(|(text, day)| serde_json::json!({ "text": text, "last_used": day.utc().date_naive().to_string() }))
            .collect();
        let asked: Vec<_> = wishes
            .iter()
            .map(|wish| serde_json::json!({ "act": wish.act.word(), "who": wish.who, "reason": wish.reason, "at": wish.at.to_string() }))
            .collect();
        let texts: Vec<_> = texts.iter().map(|(name, now)| serde_json::json!({ "name": name, "in_force": now })).collect();
        let value = serde_json::json!({
            "number": person.number.to_string(), "spellings": spellings, "contracts": contracts, "texts": texts, "asked": asked,
            "calls": ids.len(),
        });
        writeln!(out, "{value}")?;
    } else {
        writeln!(out, "{}", person.number)?;
        match person.spellings.as_slice() {
            [] => writeln!(out, "  not in the ledger: it never called, or was forgotten; its calls are known by a token")?,
            spellings => {
                for (text, day) in spellings {
                    writeln!(out, "  stands as \"{text}\", last used on {}", day.utc().date_naive())?;
                }
            }
        }
        contracts.iter().try_for_each(|contract| writeln!(out, "  belongs to the contract {contract}"))?;
        for (name, now) in &texts {
            writeln!(out, "  was taken out of {name}, {}", if *now { "which is in force" } else { "as it was earlier" })?;
        }
        for wish in &wishes {
            writeln!(out, "  {} at {} by {}: {}", wish.act.word(), wish.at, wish.who, wish.reason)?;
        }
        writeln!(out, "calls: {}", ids.len())?;
        if !ids.is_empty() {
            writeln!(out, "{}", table::head())?;
        }
    }
    for id in ids {
        match person.ledger.record(&RecordKey::Call(id.clone()))? {
            Some(record) if common.json => super::office::json_line(&mut out, &record)?,
            Some(record) => writeln!(out, "{}", table::row(&record))?,
            None if common.json => writeln!(out, "{}", serde_json::json!({ "call_id": id.as_str(), "outcome": null }))?,
            None => writeln!(out, "{id} still runs")?,
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn ask(common: &Common, office: &Office, number: &str, act: Act, reason: &str) -> Result {
    if reason.trim().is_empty() {
        return Err(Failure::Usage("--reason: is empty; it is journaled with who asked".into()));
    }
    let person = Person::find(office, number)?;
    let (number, spellings) = (person.number, person.spellings.len());
    let mut texts: Vec<String> = person.spellings.iter().map(|(text, _)| text.clone()).collect();
    texts.push(number.get().to_string());
    let tokens: Vec<Token> = person.tokens.iter().copied().collect();
    drop(person);
    office.carry_out(&Request::Privacy(Wish { tokens, act, who: who().into(), reason: reason.into(), at: clock::now() }))?;
    let contracts = office.in_force.contracts().rows().iter();
    let named: Vec<String> = contracts
        .filter(|row| row.numbers.iter().chain(&row.authorised).any(|pattern| pattern.matches(number)))
        .map(|row| format!("{}, line {}", row.place.0, row.place.1))
        .collect();
    let open = if act == Act::Erase { office.reader()?.states_with(&texts)? } else { Vec::new() };
    let mut out = io::stdout().lock();
    if common.json {
        let value = serde_json::json!({ "act": act.word(), "number": number.to_string(), "spellings": spellings, "named_in": named, "open_in": open });
        writeln!(out, "{value}")?;
        return Ok(ExitCode::SUCCESS);
    }
    match act {
        Act::Hold { until: Timestamp::MAX } => writeln!(out, "{number} is held until it is released")?,
        Act::Hold { until } => writeln!(out, "{number} is held until {until}")?,
        Act::Release => writeln!(out, "{number} is kept no longer than others")?,
        Act::Erase => {
            writeln!(out, "{number} is erased, in {spellings} spellings; exports and backups made before are not changed")?;
            named.iter().try_for_each(|place| writeln!(out, "it still stands in {place}: take it out there"))?;
            if !open.is_empty() {
                let open = open.join(", ");
                writeln!(
                    out,
                    "it still stands in what sources have not concluded ({open}), and goes when they have: a day after the call"
                )?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn keep(common: &Common, office: &Office) -> Result {
    let before = forget_before(office.config.privacy.keep, office.in_force.zone(), clock::now());
    let done = Books::open(office.writer()?, office.in_force.clone())?.forget(before)?;
    let mut out = io::stdout().lock();
    if common.json {
        let value = serde_json::json!({ "forgotten": done.numbers, "before": before.to_string(), "wiped": done.swept != Swept::Later });
        writeln!(out, "{value}")?;
    } else {
        writeln!(out, "numbers forgotten: {}, of which the latest call was before {before}", done.numbers)?;
    }
    Ok(ExitCode::SUCCESS)
}

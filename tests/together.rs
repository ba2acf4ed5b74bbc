//! All sources of a recording together (design.md §3: one call, however many sources report it): in any order of arrival they
//! give the ledger of the best one alone, and `reconcile` has nothing to say of them.
//!
//! `cargo test --test all together -- --nocapture` prints the table.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use taktd::calls::{Call, Channels, Mark, Role, Speaker, Stage, Talk, Update, Witness};
use taktd::config;
use taktd::export::{Format, Selection, Settings, export};
use taktd::ledger::result::Digits;
use taktd::ledger::{Ledger, LedgerError, NumberKey, StoredCall};
use taktd::pipeline::books::Books;
use taktd::pipeline::catalogue::InForce;
use taktd::pipeline::event_files::EventConfig;
use taktd::pipeline::reconcile::{Finding, reconcile};
use taktd::pipeline::record_files::FileConfig;
use taktd::pipeline::replay::{Ending, Recording, replay};
use taktd::pipeline::roles::Roles;
use taktd::sources::asterisk_ami::event::{Said, read};
use taktd::sources::asterisk_ami::message::{Framed, Framer};
use taktd::sources::{asterisk_cdr, asterisk_cel};
use taktd::units::{CallId, KeyedState, Seconds, Timestamp, Word};
use tempfile::TempDir;

/// A file of a recording, as a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    /// `sip.pcap`.
    Sip,
    /// `sip-any.pcap`.
    Any,
    /// `hep.pcap`.
    Hep,
    /// `cel.csv`.
    Events,
    /// `ami.log.gz`.
    Manager,
    /// `cdr-wide.csv` and `queue_log`.
    Wide,
    /// `Master.csv` and `queue_log`.
    Master,
}

impl Source {
    /// Its files.
    const fn name(self) -> &'static str {
        match self {
            Sip => "sip",
            Any => "sip-any",
            Hep => "hep",
            Events => "cel",
            Manager => "ami",
            Wide => "cdr-wide",
            Master => "Master",
        }
    }

    /// What kind of witness it is.
    const fn kind(self) -> &'static str {
        match self {
            Sip | Any | Hep => "signalling",
            Events => "cel",
            Manager => "ami",
            Wide | Master => "cdr",
        }
    }
}

use Source::{Any, Events, Hep, Manager, Master, Sip, Wide};

/// What stands in `cdr-wide.csv`; its local text is left out, for its epochs are finer.
const WIDE: &str = "start_u answer_u end_u - - - duration_f billsec_f disposition clid src dst dcontext channel dstchannel lastapp lastdata \
                    uniqueid linkedid sequence accountcode peeraccount userfield sip_call_id";

/// What is in force: the example, whose numbers are those of the recordings.
fn in_force() -> Arc<InForce> {
    let (config, catalogue) = config::load(Path::new("config/taktd.toml")).expect("the example is right");
    let documents = catalogue.documents.into_iter().map(|(name, text)| {
        let kind = if name.ends_with(".csv") { "contracts" } else { "tariff" };
        (kind, name.into(), text)
    });
    Arc::new(InForce::new(catalogue.tariffs, catalogue.contracts, config.directory, documents.collect()))
}

/// What is in force, and the folder of a ledger that knows it: to read them anew each time would be most of the work.
static BEGUN: LazyLock<(Arc<InForce>, TempDir)> = LazyLock::new(|| {
    let (in_force, folder) = (in_force(), TempDir::new().expect("a folder"));
    drop(Books::open(ledger(folder.path()), Arc::clone(&in_force)).expect("open"));
    (in_force, folder)
});

/// A ledger that sources are read into.
struct Room {
    folder: TempDir,
    books: Books,
    in_force: Arc<InForce>,
}

impl Room {
    fn new() -> Self {
        let (in_force, begun) = &*BEGUN;
        let folder = TempDir::new().expect("a folder");
        for name in ["ledger.db", "ledger.key"] {
            std::fs::copy(begun.path().join(name), folder.path().join(name)).expect("copied");
        }
        let books = Books::open(ledger(folder.path()), Arc::clone(in_force)).expect("open");
        Self { folder, books, in_force: Arc::clone(in_force) }
    }

    fn take(&mut self, recording: &Path, source: Source) {
        let place = |name: &str| recording.join(name);
        let rows = |name: &str, layout| {
            let config =
                asterisk_cdr::Config { path: place(name), zone: chrono_tz::Europe::Berlin, layout, queue_log: Some(place("queue_log")) };
            Box::new(FileConfig::AsteriskCdr(config))
        };
        let named = || {
            let names: Vec<&str> = WIDE.split_whitespace().collect();
            asterisk_cdr::layout::Layout::Columns(asterisk_cdr::layout::Columns::parse(&names).expect("complete"))
        };
        let recording = match source {
            Sip => Recording::Capture(place("sip.pcap")),
            Any => Recording::Capture(place("sip-any.pcap")),
            Hep => Recording::Capture(place("hep.pcap")),
            Master => Recording::Records(0, rows("Master.csv", asterisk_cdr::layout::Layout::Auto)),
            Wide => Recording::Records(1, rows("cdr-wide.csv", named())),
            Events => {
                let config = asterisk_cel::Config { path: place("cel.csv"), layout: asterisk_cel::layout::Layout::Auto };
                Recording::Events(2, Box::new(EventConfig::AsteriskCel(config)))
            }
            Manager => return self.hear(&place("ami.log.gz")),
        };
        let (_, done) = replay(&mut self.books, &[recording], Ending::Open, &Roles::default(), 100_000, KeyedState::new(7), &mut |_| {});
        done.expect("it reads");
    }

    /// The manager interface has no file to be read from: what it said goes the way that it goes live.
    fn hear(&mut self, path: &Path) {
        let mut bytes = Vec::new();
        flate2::read::GzDecoder::new(std::fs::File::open(path).expect("there")).read_to_end(&mut bytes).expect("unpacks");
        let by = Speaker { role: Role::Meter, witness: Witness::AsteriskAmi };
        let mut channels = Channels::new(self.in_force.directory());
        let (mut framer, mut updates, mut latest) = (Framer::default(), Vec::new(), Timestamp::default());
        for chunk in bytes.chunks(4_000) {
            framer.push(chunk);
            while let Some(framed) = framer.next() {
                let Framed::Message(message) = framed else { panic!("{framed:?}") };
                let Said::Events(events) = read(&message) else { continue };
                for event in &events {
                    latest = latest.max(event.at);
                    channels.apply(event, &mut updates);
                }
            }
        }
        channels.expire(latest, &mut updates);
        updates.extend(channels.ended().into_iter().map(|call| Update { stage: Stage::Concluded, call }));
        self.books.take(vec![(by, updates)], &[], Some(latest)).expect("taken");
    }

    fn outcome(self) -> Outcome {
        let Self { folder, books, in_force } = self;
        let (from, to) = (Timestamp::default(), Timestamp::MAX);
        let mut found = Vec::new();
        let sum = reconcile::<LedgerError>(books.ledger(), (from, to), Seconds::new(2), |stored, finding| {
            let what = match finding {
                Finding::Only(by) => format!("only {}", by.witness.word()),
                Finding::Differ(one, other, what) => {
                    let what: Vec<String> = what.iter().map(ToString::to_string).collect();
                    format!("{} and {}: {}", one.witness.word(), other.witness.word(), what.join(", "))
                }
            };
            let Call { started_at, caller_raw, called_raw, .. } = &stored.call;
            found.push(format!("{} {} to {}: {what}", started_at.rfc3339(in_force.zone()), caller_raw.as_str(), called_raw.as_str()));
            Ok(())
        });
        let seen_by_several = sum.expect("read").map_or(0, |sum| sum.several);
        let mut calls = Vec::new();
        let each = |stored: StoredCall| {
            calls.push(stored.call);
            Ok(())
        };
        books.ledger().calls(from, to, each).expect("read");
        drop(books);
        let settings = Settings {
            directory: folder.path().join("export"),
            formats: vec![Format::Csv, Format::Jsonl],
            digits: Digits::All,
            zone: in_force.zone(),
        };
        std::fs::create_dir(&settings.directory).expect("a folder");
        let report = export(&mut ledger(folder.path()), Selection::Period { from, to }, &settings).expect("written");
        let mut exported: String = report.files[..2].iter().map(|path| std::fs::read_to_string(path).expect("there")).collect();
        // A call keeps the name that it was first journaled under, which is that of whoever came first (design.md §3).
        for (place, call) in calls.iter_mut().enumerate() {
            exported = exported.replace(call.id.as_str(), &format!("call {place}"));
            call.id = CallId::new(&format!("call {place}")).expect("a name");
        }
        Outcome { calls, exported, found, seen_by_several }
    }
}

/// The ledger in a folder.
fn ledger(folder: &Path) -> Ledger {
    let key = NumberKey::from_file(&folder.join("ledger.key")).expect("a key");
    // A child that another test is starting shares our open files, and so our lock, until it runs its own program.
    let open = || match Ledger::open(&folder.join("ledger.db"), &key) {
        Err(LedgerError::Busy { .. }) => {
            std::thread::sleep(std::time::Duration::from_millis(10));
            None
        }
        opened => Some(opened.expect("a ledger")),
    };
    (0..500).find_map(|_| open()).expect("nobody else has it")
}

/// What came of it, with calls named by their place.
struct Outcome {
    calls: Vec<Call>,
    exported: String,
    found: Vec<String>,
    seen_by_several: u64,
}

/// What the sources of a recording come to, read in this order.
fn outcome(recording: &Path, order: &[Source]) -> Outcome {
    let mut room = Room::new();
    order.iter().for_each(|source| room.take(recording, *source));
    room.outcome()
}

/// What is read together, the best first: of a recording, by so many orders of arrival (`None`: by all there are).
struct Table {
    recording: &'static str,
    sources: &'static [Source],
    orders: Option<usize>,
}

/// The times in `Master.csv` of the clock's nights contradict any zone, and are refused (`trap_7`).
const TABLES: &[Table] = &[
    Table { recording: "asterisk-16", sources: &[Sip, Events, Manager, Master], orders: None },
    Table { recording: "asterisk-16", sources: &[Hep, Events, Manager, Wide], orders: Some(4) },
    Table { recording: "asterisk-16", sources: &[Any, Events, Manager, Wide, Master], orders: Some(4) },
    Table { recording: "asterisk-16", sources: &[Events, Manager, Wide, Master], orders: Some(4) },
    Table { recording: "asterisk-16", sources: &[Sip, Any, Hep, Events, Manager, Wide, Master], orders: Some(4) },
    Table { recording: "asterisk-22", sources: &[Hep, Events, Manager, Wide], orders: Some(8) },
    Table { recording: "asterisk-22", sources: &[Sip, Events, Manager, Wide, Master], orders: Some(4) },
    Table { recording: "asterisk-22", sources: &[Events, Wide, Master], orders: None },
    Table { recording: "asterisk-22", sources: &[Sip, Hep, Events, Manager, Wide, Master], orders: Some(4) },
    Table { recording: "asterisk-16-clock/back", sources: &[Sip, Events, Manager, Wide], orders: Some(4) },
    Table { recording: "asterisk-16-clock/back", sources: &[Sip, Hep, Events, Manager, Wide], orders: Some(4) },
    Table { recording: "asterisk-16-clock/forth", sources: &[Hep, Events, Manager, Wide], orders: Some(4) },
    Table { recording: "asterisk-16-clock/forth", sources: &[Sip, Hep, Events, Manager, Wide], orders: Some(4) },
    Table { recording: "kamailio", sources: &[Sip, Hep], orders: None },
    Table { recording: "kamailio/all", sources: &[Sip, Hep], orders: None },
];

/// Of this recording HEP lacks what shows that a party had vanished.
const LESS_TOLD: &str = "kamailio";

impl Table {
    /// Why it cannot be the ledger of the best one alone to the byte.
    fn exception(&self) -> Option<&'static str> {
        let signalling = self.sources.iter().filter(|source| [Sip, Any, Hep].contains(source)).count();
        if self.recording == LESS_TOLD {
            return Some("as below, and of K18, of which the proxy leaves out the repeated BYE, who saw no party vanish is believed");
        }
        (signalling > 1).then_some("two that saw the same SIP: instants are those of either's clock")
    }

    /// As they stand, the other way round, each first in turn, and as seeded dice fall; or all there are.
    fn orders(&self) -> Vec<Vec<Source>> {
        let Some(most) = self.orders else { return permutations(self.sources) };
        let mut orders = vec![self.sources.to_vec(), self.sources.iter().rev().copied().collect()];
        let mut dice = 7_u64;
        while orders.len() < most {
            let mut order = self.sources.to_vec();
            order.rotate_left(orders.len() % self.sources.len());
            for place in (1..order.len()).rev() {
                dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                order.swap(place, usize::try_from(dice >> 33).expect("31 bits") % (place + 1));
            }
            if !orders.contains(&order) {
                orders.push(order);
            }
        }
        orders
    }

    /// Reads them in all those orders; a line, and what is wrong.
    fn read(&self) -> (String, Vec<String>) {
        let Self { recording, sources, .. } = self;
        let folder = Path::new("tests/recordings").join(recording);
        let (best, orders) = (outcome(&folder, &sources[..1]), self.orders());
        let (mut wrong, mut worst) = (Vec::new(), 0);
        let mut first: Option<Outcome> = None;
        for order in &orders {
            let told = outcome(&folder, order);
            let differing: Vec<_> = told.calls.iter().zip(&best.calls).filter(|(told, best)| told != best).collect();
            let off =
                told.calls.iter().zip(&best.calls).map(|(told, best)| apart(told, best, *recording == LESS_TOLD)).max().unwrap_or_default();
            worst = worst.max(off);
            let same = |one: &Outcome| one.calls == told.calls && one.exported == told.exported;
            let plain = |exported: &str| match *recording == LESS_TOLD {
                true => timeless(exported).replace("\"lost-party\"", "").replace("lost-party", ""),
                false => timeless(exported),
            };
            let but_for_clocks = self.exception().is_some()
                && told.calls.len() == best.calls.len()
                && off <= MOST_MICROS
                && plain(&told.exported) == plain(&best.exported);
            if !(same(&best) || but_for_clocks) {
                let export = if differing.is_empty() { differences(&told.exported, &best.exported) } else { String::new() };
                wrong.push(format!("{recording} {order:?}: not the ledger of {:?} alone: {differing:?} {export}", sources[0]));
            }
            if !(same(first.as_ref().unwrap_or(&told)) || but_for_clocks) {
                wrong.push(format!("{recording}: {order:?} gives another ledger than {:?}", orders[0]));
            }
            // Of one kind of source there is nothing to be held against each other.
            let kinds: BTreeSet<&str> = sources.iter().map(|source| source.kind()).collect();
            let expected = if kinds.len() == 1 { 0 } else { told.calls.len() };
            if !told.found.is_empty() || told.seen_by_several != u64::try_from(expected).expect("few") {
                wrong.push(format!("{recording} {order:?}: {} calls seen by several, {:#?}", told.seen_by_several, told.found));
            }
            first.get_or_insert(told);
        }
        let names: Vec<&str> = sources.iter().map(|source| source.name()).collect();
        let (calls, names) = (best.calls.len(), names.join(" + "));
        let note = self.exception().map(|why| format!("; {why} (at most {worst} us)")).unwrap_or_default();
        (format!("{recording:<24} {names:<66} {:>3} orders, {calls:>2} calls{note}", orders.len()), wrong)
    }
}

/// Two that see one message read their clocks so much apart at most.
const MOST_MICROS: i64 = 10_000;

/// The most by which instants of two calls differ; the greatest there is, if anything else does.
fn apart(one: &Call, other: &Call, but_for_vanished: bool) -> i64 {
    let instants = |call: &Call| {
        let talks = call.talks.iter().flat_map(|talk| [Some(talk.from), talk.to]);
        [Some(call.started_at), call.answered_at, call.ended_at].into_iter().chain(talks).collect::<Vec<_>>()
    };
    let (mine, theirs) = (instants(one), instants(other));
    let blank = |call: &Call| Call {
        started_at: Timestamp::default(),
        answered_at: None,
        ended_at: None,
        talks: call.talks.iter().map(|talk| Talk { from: Timestamp::default(), to: None, ..talk.clone() }).collect(),
        marks: call.marks.iter().copied().filter(|mark| !(but_for_vanished && *mark == Mark::LostParty)).collect(),
        ..call.clone()
    };
    if blank(one) != blank(other) || mine.len() != theirs.len() {
        return i64::MAX;
    }
    let off = mine.iter().zip(&theirs).map(|(mine, theirs)| match (mine, theirs) {
        (Some(mine), Some(theirs)) => mine.since(*theirs).abs(),
        (None, None) => 0,
        (Some(_), None) | (None, Some(_)) => i64::MAX,
    });
    off.max().unwrap_or_default()
}

/// An export without the fractions of its instants.
fn timeless(exported: &str) -> String {
    let mut parts = exported.split('.');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        // `T21:12:43`
        let instant = text.len() >= 9 && text.is_char_boundary(text.len() - 9) && {
            let end = &text.as_bytes()[text.len() - 9..];
            (end[0], end[3], end[6]) == (b'T', b':', b':')
        };
        let digits = part.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(part.len());
        text += if instant { &part[digits..] } else { part };
    }
    text
}

/// The first lines of two exports that differ.
fn differences(one: &str, other: &str) -> String {
    let differ = one.lines().zip(other.lines()).find(|(one, other)| one != other);
    differ.map_or_else(|| "one has more lines".to_owned(), |(one, other)| format!("{one}\n{other}"))
}

fn permutations(all: &[Source]) -> Vec<Vec<Source>> {
    let [first, rest @ ..] = all else { return vec![Vec::new()] };
    let put = |order: Vec<Source>| {
        (0..=order.len()).map(move |place| {
            let mut order = order.clone();
            order.insert(place, *first);
            order
        })
    };
    permutations(rest).into_iter().flat_map(put).collect()
}

fn check(tables: &[Table]) {
    let (lines, wrong): (Vec<String>, Vec<Vec<String>>) = tables.iter().map(Table::read).unzip();
    println!("{}", lines.join("\n"));
    assert!(wrong.iter().all(Vec::is_empty), "{}\n{}", wrong.concat().join("\n"), lines.join("\n"));
}

#[test]
fn asterisk_16_in_any_order_is_the_ledger_of_the_best_source_alone() {
    check(&TABLES[..5]);
}

#[test]
fn asterisk_22_in_any_order_is_the_ledger_of_the_best_source_alone() {
    check(&TABLES[5..9]);
}

#[test]
fn clock_changes_and_a_proxy_in_any_order_are_the_ledger_of_the_best_source_alone() {
    check(&TABLES[9..]);
}

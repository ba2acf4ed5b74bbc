//! Another tariff in the place of one that is in force: for asking what would have been.

use super::catalogue::{Loaded, read_file};
use super::contract_rules::Plans;
use super::problem::{Problem, Problems, suggestion};
use super::tariff;
use crate::contracts::Contract;
use crate::tariff::Tariff;
use std::cell::RefCell;
use std::path::Path;

/// The tariffs with another among them.
#[derive(Clone, Debug)]
pub struct Exchanged {
    /// All of them, the other one in the place of the one it replaces, else last.
    pub tariffs: Vec<Tariff>,
    /// Where the other one stands.
    pub place: usize,
    /// The one it replaces: that of the same name.
    pub replaced: Option<Tariff>,
}

impl Exchanged {
    /// Reads a tariff file, and puts it in the place of the tariff of its name.
    ///
    /// # Errors
    /// All mistakes of the file; a plan of it that another tariff has.
    pub fn read(tariffs: &[Tariff], path: &Path) -> Result<Self, Problems> {
        let file = path.display().to_string();
        let text = read_file(path).map_err(|why| vec![Problem::of_file(&file, "", why)])?;
        let read = tariff::read(&file, &text);
        let Some(other) = read.tariff else { return Err(read.problems.into()) };
        let place = tariffs.iter().position(|tariff| tariff.name == other.name);
        let mut loaded = Loaded { tariffs: tariffs.to_vec(), ..Loaded::default() };
        let replaced = place.map(|place| loaded.tariffs.remove(place));
        loaded.tariff(other, path, &text);
        if !loaded.problems.is_empty() {
            return Err(loaded.problems.into());
        }
        let place = place.unwrap_or(tariffs.len());
        let mut tariffs = loaded.tariffs;
        tariffs.get_mut(place..).unwrap_or_default().rotate_right(1);
        Ok(Self { tariffs, place, replaced })
    }

    /// The other tariff.
    #[must_use]
    pub fn other(&self) -> Option<&Tariff> {
        self.tariffs.get(self.place)
    }

    /// Whether a plan is one of the other tariff, or of the one it replaces.
    #[must_use]
    pub fn concerns(&self, plan: &str) -> bool {
        let mut both = self.other().into_iter().chain(&self.replaced).flat_map(|tariff| &tariff.plans);
        both.any(|version| *version.id == *plan)
    }

    /// The rules of plans that contracts break, in words: by contract, in order. A plan that is none is one of them.
    #[must_use]
    pub fn breaches<'c>(&self, contracts: impl IntoIterator<Item = &'c Contract>) -> Vec<(Box<str>, String)> {
        let plans = Plans::new(&self.tariffs);
        let mut found: Vec<(Box<str>, String)> = Vec::new();
        for contract in contracts {
            let said = RefCell::new(Vec::new());
            for unknown in contract.plans.iter().filter(|plan| !plans.knows(plan)) {
                said.borrow_mut().push(format!("no plan is named \"{unknown}\"; {}", suggestion(unknown, plans.ids())));
            }
            let wrong = |_, message: String| said.borrow_mut().push(message);
            plans.check(contract.clone(), Some(contract.stations), &wrong, &|_, _| ());
            found.extend(said.into_inner().into_iter().map(|message| (contract.id.clone(), message)));
        }
        found.dedup();
        found
    }
}

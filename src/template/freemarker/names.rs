//! The names of a template as numbers, and what they are to the row.

use rustc_hash::FxHashMap;

use super::tree::{At, Name};

/// All names of a template and its files.
#[derive(Debug, Default)]
pub(super) struct Names {
    names: Vec<String>,
    numbers: FxHashMap<String, u32>,
    /// Names that a macro or assignment gives a value, by number.
    assigned: Vec<bool>,
}

/// A name that may be a column.
#[derive(Debug)]
pub(super) struct Use {
    pub name: Name,
    pub at: At,
    /// It is tested or has a default: it may be missing.
    pub tested: bool,
    /// No assignment came before.
    pub first: bool,
}

impl Names {
    pub(super) fn number(&mut self, name: &str) -> Name {
        if let Some(&number) = self.numbers.get(name) {
            return Name(number);
        }
        let number = u32::try_from(self.names.len()).expect("a template has fewer than 2³² names");
        self.names.push(name.to_owned());
        self.assigned.push(false);
        self.numbers.insert(name.to_owned(), number);
        Name(number)
    }

    pub(super) fn find(&self, name: &str) -> Option<Name> {
        self.numbers.get(name).copied().map(Name)
    }

    pub(super) fn text(&self, name: Name) -> &str {
        &self.names[name.0 as usize]
    }

    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    pub(super) fn assign(&mut self, name: Name) {
        self.assigned[name.0 as usize] = true;
    }

    pub(super) fn is_assigned(&self, name: Name) -> bool {
        self.assigned[name.0 as usize]
    }
}

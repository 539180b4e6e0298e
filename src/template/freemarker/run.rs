//! One rendering: variables, settings, and what it may use up.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::super::locale::Locale;
use super::super::zone::Zone;
use super::moment::MomentKind;
use super::names::Names;
use super::number_format::NumberFormat;
use super::parser::stack_now;
use super::tree::{At, Block, Name, Program};
use super::value::{Hash, List, Text, Value};

/// Steps of a rendering: expressions, elements, and eight bytes of made text each. A letter takes
/// some hundreds.
const STEPS: u64 = 2_000_000;
/// The largest output, in bytes, whatever a campaign allows.
pub(super) const LARGEST: usize = 20_000_000;
/// The stack that a rendering may use.
const STACK_BYTES: usize = 512 * 1024;

/// Why a rendering ends early.
#[derive(Debug)]
pub(super) struct Trouble {
    pub what: What,
    pub at: Option<At>,
}

/// What is wrong.
#[derive(Debug)]
pub(super) enum What {
    /// This has no value.
    Missing(String),
    Problem(String),
    /// The rendering has used up what it may: nothing recovers from that.
    Spent(&'static str),
}

pub(super) type Res<T> = Result<T, Box<Trouble>>;

/// A problem whose place the caller knows.
pub(super) fn problem<T>(problem: impl Into<String>) -> Res<T> {
    Err(Box::new(Trouble { what: What::Problem(problem.into()), at: None }))
}

/// Adds the place to a fault that has none.
pub(super) fn placed<T>(result: Res<T>, at: At) -> Res<T> {
    result.map_err(|mut trouble| {
        trouble.at.get_or_insert(at);
        trouble
    })
}

/// How a block ends.
#[derive(Debug)]
pub(super) enum Flow<'a> {
    Next,
    Break,
    Continue,
    Return(Value<'a>),
}

/// Variables of a macro, loop, or nested content; and what is around it.
pub(super) struct Scope<'s, 'a> {
    pub parent: Option<&'s Self>,
    pub variables: RefCell<Vec<(Name, Value<'a>)>>,
    pub kind: ScopeKind<'s, 'a>,
}

/// What a scope belongs to.
pub(super) enum ScopeKind<'s, 'a> {
    Plain,
    /// With the content that `#nested` prints.
    Macro(Option<Nested<'s, 'a>>),
    /// A loop with its variable.
    Loop {
        name: Name,
        index: Cell<usize>,
        has_next: Cell<bool>,
    },
    /// `#list` for `#items`, with what it lists.
    Listed(RefCell<Option<Vec<(Value<'a>, Value<'a>)>>>),
}

/// The content of a call.
#[derive(Clone, Copy)]
pub(super) struct Nested<'s, 'a> {
    pub body: &'a Block,
    pub variables: &'a [Name],
    pub scope: &'s Scope<'s, 'a>,
    pub space: usize,
}

impl<'s, 'a> Scope<'s, 'a> {
    pub(super) fn new(parent: Option<&'s Self>, kind: ScopeKind<'s, 'a>) -> Self {
        Self { parent, variables: RefCell::new(Vec::new()), kind }
    }

    /// The scope and those around it, the innermost first.
    pub(super) fn chain<'r>(&'r self) -> impl Iterator<Item = &'r Scope<'s, 'a>>
    where
        's: 'r,
    {
        let mut next: Option<&'r Scope<'s, 'a>> = Some(self);
        std::iter::from_fn(move || {
            let scope = next?;
            next = scope.parent;
            Some(scope)
        })
    }

    pub(super) fn get(&self, name: Name) -> Option<Value<'a>> {
        self.chain().find_map(|scope| {
            let variables = scope.variables.borrow();
            variables.iter().rev().find(|(own, _)| *own == name).map(|(_, value)| value.clone())
        })
    }

    pub(super) fn set(&self, name: Name, value: Value<'a>) {
        let mut variables = self.variables.borrow_mut();
        match variables.iter_mut().find(|(own, _)| *own == name) {
            Some((_, own)) => *own = value,
            None => variables.push((name, value)),
        }
    }
}

/// Variables by the numbers of their names.
pub(super) type Variables<'a> = Vec<Option<Value<'a>>>;

/// What `#setting` sets.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub locale: Locale,
    pub number: Arc<NumberFormat>,
    /// The texts of true and false, where they may be printed.
    pub boolean: Option<(String, String)>,
    pub date: String,
    pub time: String,
    pub datetime: String,
    pub zone: Zone,
    /// The largest output, in bytes.
    pub largest: usize,
    /// How `number` is written in the template: it is read again for another locale.
    pub number_format: String,
}

impl Settings {
    pub(super) fn moment_format(&self, kind: MomentKind) -> &str {
        match kind {
            MomentKind::Date => &self.date,
            MomentKind::Time => &self.time,
            MomentKind::DateTime => &self.datetime,
        }
    }
}

/// The columns of a row by their names; none for values that can't be used.
pub(super) type Row<'a> = &'a dyn Fn(&str) -> Option<Value<'a>>;

/// A rendering.
pub(super) struct Run<'a> {
    pub program: &'a Program,
    pub names: &'a Names,
    /// The columns of the row.
    pub row: Row<'a>,
    pub columns: Variables<'a>,
    pub globals: Variables<'a>,
    pub spaces: Vec<Variables<'a>>,
    /// The namespaces of imported files, by their numbers.
    pub imported: FxHashMap<usize, usize>,
    /// The namespace that assignments go to.
    pub space: usize,
    pub settings: Settings,
    pub out: String,
    /// What `.error` says, the innermost last.
    pub errors: Vec<String>,
    pub strict: bool,
    /// Patterns, by how they are written.
    pub patterns: FxHashMap<String, regex::Regex>,
    /// Number formats of the locale, by how they are written.
    pub number_formats: FxHashMap<String, Arc<NumberFormat>>,
    steps: u64,
    stack: usize,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        program: &'a Program,
        names: &'a Names,
        settings: Settings,
        strict: bool,
        row: Row<'a>,
    ) -> Self {
        let none = || vec![None; names.len()];
        Self {
            program,
            names,
            row,
            columns: none(),
            globals: Vec::new(),
            spaces: vec![none()],
            imported: FxHashMap::default(),
            space: 0,
            settings,
            out: String::new(),
            errors: Vec::new(),
            strict,
            patterns: FxHashMap::default(),
            number_formats: FxHashMap::default(),
            steps: STEPS,
            stack: stack_now(),
        }
    }

    /// Takes `count` steps.
    pub(super) fn steps(&mut self, count: usize) -> Res<()> {
        match self.steps.checked_sub(count as u64) {
            Some(left) => {
                self.steps = left;
                Ok(())
            }
            None => spent("the template takes too long for one letter"),
        }
    }

    /// A step that others may be nested in.
    pub(super) fn enter(&mut self) -> Res<()> {
        if self.stack.abs_diff(stack_now()) > STACK_BYTES {
            return spent("this goes too deep: macros or functions may call themselves forever");
        }
        if self.out.len() > self.settings.largest {
            return spent("the letter is too large");
        }
        self.steps(1)
    }

    /// A made text.
    pub(super) fn text(&mut self, text: impl Into<Rc<str>>) -> Res<Value<'a>> {
        let text = text.into();
        self.steps(text.len() / 8)?;
        Ok(Value::Text(Text::Made(text)))
    }

    pub(super) fn list(&mut self, items: Vec<Value<'a>>) -> Res<Value<'a>> {
        self.steps(items.len() * 4)?;
        match List::new(items) {
            Some(list) => Ok(Value::List(list)),
            None => problem("lists are nested too deeply"),
        }
    }

    pub(super) fn hash(&mut self, entries: impl Iterator<Item = (Text<'a>, Value<'a>)>) -> Res<Value<'a>> {
        let mut hash = Hash::default();
        for (key, value) in entries {
            self.steps(16)?;
            if !hash.insert(key, value) {
                return problem("hashes are nested too deeply");
            }
        }
        Ok(Value::Hash(Rc::new(hash)))
    }

    /// A column of the row.
    pub(super) fn column(&mut self, name: Name) -> Res<Value<'a>> {
        let number = name.0 as usize;
        if let Some(value) = &self.columns[number] {
            return Ok(value.clone());
        }
        let value = self.looked_up(self.names.text(name))?;
        if let Value::List(_) | Value::Hash(_) = value {
            self.steps(100)?;
        }
        self.columns[number] = Some(value.clone());
        Ok(value)
    }

    /// What the row has under `name`.
    pub(super) fn looked_up(&self, name: &str) -> Res<Value<'a>> {
        match (self.row)(name) {
            Some(value) => Ok(value),
            None => problem(format!("`{name}` is nested too deeply, or has a number of too many digits")),
        }
    }

    /// A variable, in the order in which FreeMarker looks for it.
    pub(super) fn variable(&mut self, name: Name, scope: &Scope<'_, 'a>) -> Res<Value<'a>> {
        let number = name.0 as usize;
        if let Some(value) = scope.get(name) {
            return Ok(value);
        }
        let space = &self.spaces[self.space];
        if let Some(Some(value)) = space.get(number) {
            return Ok(value.clone());
        }
        if let Some(Some(value)) = self.globals.get(number) {
            return Ok(value.clone());
        }
        self.column(name)
    }

    pub(super) fn assign(&mut self, space: usize, name: Name, value: Value<'a>) {
        self.spaces[space][name.0 as usize] = Some(value);
    }

    pub(super) fn assign_global(&mut self, name: Name, value: Value<'a>) {
        if self.globals.is_empty() {
            self.globals = vec![None; self.names.len()];
        }
        self.globals[name.0 as usize] = Some(value);
    }
}

fn spent<T>(what: &'static str) -> Res<T> {
    Err(Box::new(Trouble { what: What::Spent(what), at: None }))
}

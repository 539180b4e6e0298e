//! What expressions give.

use std::hash::{Hash as _, Hasher};
use std::ops::Deref;
use std::rc::Rc;

use rustc_hash::{FxHashMap, FxHasher};

use super::built_in::BuiltIn;
use super::escape::Format;
use super::moment::Moment;
use super::number::Decimal;
use super::tree::RangeKind;

/// Lists in lists, at most: what drops them calls itself for each.
pub(super) const DEEPEST: u32 = 100;

/// A value. `'a` is the rendering: the row, and the template.
#[derive(Debug, Clone)]
pub(super) enum Value<'a> {
    /// No value.
    Nothing,
    Text(Text<'a>),
    Number(Decimal),
    Bool(bool),
    Moment(Moment),
    /// Text of an output format: it is not escaped again.
    Markup(Rc<Markup>),
    List(Rc<List<'a>>),
    Range(Range),
    Hash(Rc<Hash<'a>>),
    /// A macro or function, and the namespace that it belongs to.
    Macro {
        number: usize,
        space: usize,
    },
    /// A built-in that waits for its arguments.
    Method(Rc<Method<'a>>),
    Space(Space),
    Matches(Rc<Matches<'a>>),
    Match(Rc<Match<'a>>),
}

/// A text of the row or of the template, or a made one.
#[derive(Debug, Clone)]
pub(super) enum Text<'a> {
    Borrowed(&'a str),
    Made(Rc<str>),
}

/// Escaped text.
#[derive(Debug)]
pub(super) struct Markup {
    pub format: Format,
    pub markup: String,
    /// What was escaped, where that is known.
    pub plain: Option<String>,
}

/// A sequence.
#[derive(Debug)]
pub(super) struct List<'a> {
    pub items: Vec<Value<'a>>,
    depth: u32,
}

/// A hash, in the order of its keys' first appearance.
#[derive(Debug, Default)]
pub(super) struct Hash<'a> {
    pub entries: Vec<(Text<'a>, Value<'a>)>,
    /// Positions by the keys' hashes, in large ones.
    index: FxHashMap<u64, Vec<usize>>,
    depth: u32,
}

/// Numbers in a row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range {
    pub start: i64,
    /// How many; none without an end.
    pub length: Option<u64>,
    pub down: bool,
    pub kind: RangeKind,
}

/// `x?contains`, to be called.
#[derive(Debug)]
pub(super) struct Method<'a> {
    pub built_in: BuiltIn,
    pub target: Value<'a>,
    pub format: Format,
}

/// Variables as a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Space {
    All,
    Globals,
    Data,
    Locals,
    Namespace(usize),
}

/// What `?matches` gives: a truth value, and the places that match.
#[derive(Debug)]
pub(super) struct Matches<'a> {
    pub whole: bool,
    pub groups: Rc<List<'a>>,
    pub places: Rc<List<'a>>,
}

/// A place that matches.
#[derive(Debug)]
pub(super) struct Match<'a> {
    pub text: Text<'a>,
    pub groups: Rc<List<'a>>,
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Made(text) => text,
        }
    }
}

impl<'a> Value<'a> {
    pub(super) fn made(text: impl Into<Rc<str>>) -> Self {
        Self::Text(Text::Made(text.into()))
    }

    /// How deep lists and hashes are in it.
    fn depth(&self) -> u32 {
        match self {
            Self::List(list) => list.depth,
            Self::Hash(hash) => hash.depth,
            Self::Method(method) => method.target.depth() + 1,
            Self::Nothing
            | Self::Text(_)
            | Self::Number(_)
            | Self::Bool(_)
            | Self::Moment(_)
            | Self::Markup(_) => 0,
            Self::Range(_) | Self::Macro { .. } | Self::Space(_) | Self::Matches(_) | Self::Match(_) => 0,
        }
    }

    /// What kind of value it is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Text(_) | Self::Match(_) => "a string",
            Self::Number(_) => "a number",
            Self::Bool(_) => "a boolean",
            Self::Moment(_) => "a date",
            Self::Markup(_) => "markup",
            Self::List(_) | Self::Range(_) | Self::Matches(_) => "a sequence",
            Self::Hash(_) | Self::Space(_) => "a hash",
            Self::Macro { .. } => "a macro or function",
            Self::Method(_) => "a method",
        }
    }
}

impl<'a> List<'a> {
    /// `None` for lists that are nested too deeply.
    pub(super) fn new(items: Vec<Value<'a>>) -> Option<Rc<Self>> {
        let depth = 1 + items.iter().map(Value::depth).max().unwrap_or(0);
        (depth <= DEEPEST).then(|| Rc::new(Self { items, depth }))
    }
}

impl<'a> Hash<'a> {
    /// Where more entries are found by their hashes.
    const SMALL: usize = 8;

    pub(super) fn get(&self, key: &str) -> Option<&Value<'a>> {
        self.position(key).map(|at| &self.entries[at].1)
    }

    /// False for hashes that are nested too deeply.
    pub(super) fn insert(&mut self, key: Text<'a>, value: Value<'a>) -> bool {
        self.depth = self.depth.max(1 + value.depth());
        match self.position(&key) {
            Some(at) => self.entries[at].1 = value,
            None => {
                self.entries.push((key, value));
                let count = self.entries.len();
                if count > Self::SMALL {
                    let first = if count == Self::SMALL + 1 { 0 } else { count - 1 };
                    for at in first..count {
                        self.index.entry(hash(&self.entries[at].0)).or_default().push(at);
                    }
                }
            }
        }
        self.depth <= DEEPEST
    }

    fn position(&self, key: &str) -> Option<usize> {
        if self.entries.len() <= Self::SMALL {
            return self.entries.iter().position(|(own, _)| **own == *key);
        }
        self.index.get(&hash(key))?.iter().copied().find(|at| *self.entries[*at].0 == *key)
    }
}

fn hash(key: &str) -> u64 {
    let mut hasher = FxHasher::default();
    key.hash(&mut hasher);
    hasher.finish()
}

impl Range {
    pub(super) fn at(&self, index: u64) -> i64 {
        let index = i64::try_from(index).unwrap_or(i64::MAX);
        if self.down { self.start.saturating_sub(index) } else { self.start.saturating_add(index) }
    }
}

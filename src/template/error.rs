//! What is wrong with a template at start-up, and what keeps it from being rendered for one row.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::kit::nearest::nearest;

/// A template, an attachment or a header of the campaign that can't be used. Known before the first
/// row is read.
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
pub struct TemplateError {
    /// The file: a template, a partial, an attachment, or the campaign file for a value in it.
    pub path: PathBuf,
    /// Line and column, from 1, where they are known.
    pub place: Option<(usize, usize)>,
    /// What is wrong, a lowercase fragment.
    pub problem: String,
    /// What to do.
    pub hint: Option<String>,
    /// The cause outside the file.
    #[source]
    pub source: Option<io::Error>,
}

impl TemplateError {
    /// The file, with line and column where they are known.
    pub fn at(&self) -> String {
        let path = self.path.display();
        self.place.map_or_else(|| path.to_string(), |(line, column)| format!("{path}:{line}:{column}"))
    }

    pub(crate) fn new(path: &Path, place: Option<(usize, usize)>, problem: impl Into<String>) -> Self {
        Self { path: path.to_owned(), place, problem: problem.into(), hint: None, source: None }
    }

    pub(crate) fn read(path: &Path, what: &str, source: io::Error) -> Self {
        Self { source: Some(source), ..Self::new(path, None, format!("can't read the {what}")) }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// "did you mean", where there is something near.
    pub(crate) fn nearest(self, name: &str, known: impl Iterator<Item = impl AsRef<str>>) -> Self {
        match nearest(name, known) {
            Some(near) => self.hint(format!("did you mean `{}`?", near.as_ref())),
            None => self,
        }
    }
}

/// A place in a template.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file as the campaign names it, or `template.subject` and the like.
    pub template: String,
    /// From 1; 0 where it is not known.
    pub line: usize,
    /// From 1; 0 where it is not known.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.template),
            _ => write!(f, "{}:{}:{}", self.template, self.line, self.column),
        }
    }
}

/// Why a template can't be rendered for one row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A template prints a name that is missing, null or empty in this row.
    #[error("`{name}` has no value ({place})")]
    NoValue {
        /// The name as the template has it.
        name: String,
        /// Where it is printed.
        place: Place,
    },
    /// A template can't do what it says with a value.
    #[error("{problem} ({place})")]
    Value {
        /// A lowercase fragment.
        problem: String,
        /// Where that is.
        place: Place,
    },
}

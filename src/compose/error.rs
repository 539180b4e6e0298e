//! What is wrong with a template at start-up, and what keeps one row from being composed.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// A template, an attachment or a header of the campaign that can't be used. Known before anything is read.
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
pub struct TemplateError {
    /// The file: a template, a partial, an attachment, or the campaign file for what stands in it.
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
    pub(super) fn new(path: &Path, place: Option<(usize, usize)>, problem: impl Into<String>) -> Self {
        Self { path: path.to_owned(), place, problem: problem.into(), hint: None, source: None }
    }

    pub(super) fn read(path: &Path, what: &str, source: io::Error) -> Self {
        Self { source: Some(source), ..Self::new(path, None, format!("can't read the {what}")) }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// "did you mean", where there is something near.
    pub(super) fn nearest(self, name: &str, known: impl Iterator<Item = impl AsRef<str>>) -> Self {
        let near = known
            .map(|known| (strsim::jaro_winkler(&name.to_lowercase(), &known.as_ref().to_lowercase()), known))
            .filter(|(likeness, _)| *likeness > 0.7)
            .max_by(|a, b| a.0.total_cmp(&b.0));
        match near {
            Some((_, near)) => self.hint(format!("did you mean `{}`?", near.as_ref())),
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

/// Why one row has no message; the others go on. Its text is the row's `detail`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderFailure {
    /// A template prints a name that is missing, null or empty in this row.
    #[error("`{name}` has no value ({place})")]
    NoValue {
        /// The name as the template has it.
        name: String,
        /// Where it is printed.
        place: Place,
    },
    /// A template can't do with a value what it says.
    #[error("{problem} ({place})")]
    Value {
        /// A lowercase fragment.
        problem: String,
        /// Where it stands.
        place: Place,
    },
    /// A file named by an attachment column.
    #[error("attachment `{file}` of column `{column}` {problem}")]
    Attachment {
        /// The column.
        column: String,
        /// The path as the row has it.
        file: String,
        /// A lowercase fragment.
        problem: String,
    },
    /// Larger than `template.largest`, the signatures counted.
    #[error("the message has {bytes} bytes, at most {largest} are allowed")]
    TooLarge {
        /// As it would be sent.
        bytes: u64,
        /// `template.largest`.
        largest: u64,
    },
    /// The recipient's id does not fit into an unsubscribe token.
    #[error(
        "the recipient's id has {bytes} bytes, at most {} fit into an unsubscribe token",
        super::token::LONGEST
    )]
    LongId {
        /// Its length.
        bytes: usize,
    },
    /// A text that contains what separates the parts of the message.
    #[error("a part holds the boundary between the parts")]
    Boundary,
}

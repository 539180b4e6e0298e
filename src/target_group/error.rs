//! What is wrong with a target group, and where.

use std::error::Error;
use std::fmt;

/// A target group that can't be used. Nothing is sent from it: its files are read to the end before
/// the first message is composed.
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
pub struct TargetGroupError {
    /// The file, as results show it; none if the campaign's own keys are at fault.
    pub file: Option<Box<str>>,
    /// The line, from 1, if known.
    pub line: Option<u64>,
    /// The name of the column at fault, if any.
    pub column: Option<Box<str>>,
    /// What is wrong, a lowercase fragment.
    pub problem: String,
    /// What the user can do, if anything.
    pub hint: Option<String>,
    /// The cause.
    #[source]
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

impl TargetGroupError {
    /// The file, with line and column where they are known.
    pub fn at(&self) -> Option<String> {
        let mut place = self.file.clone().map(String::from).unwrap_or_default();
        if let Some(line) = self.line {
            place.push_str(&format!(":{line}"));
        }
        if let Some(column) = &self.column {
            let comma = if place.is_empty() { "" } else { ", " };
            place.push_str(&format!("{comma}column `{column}`"));
        }
        (!place.is_empty()).then_some(place)
    }

    pub(super) fn new(problem: impl Into<String>) -> Self {
        Self { file: None, line: None, column: None, problem: problem.into(), hint: None, source: None }
    }

    /// The object at `url` can't be read.
    pub(crate) fn of_object(url: &str, problem: &str, hint: impl Into<String>) -> Self {
        Self::new(problem).in_file(url).hint(hint)
    }

    pub(super) fn in_file(mut self, shown: &str) -> Self {
        self.file.get_or_insert_with(|| shown.into());
        self
    }

    pub(super) fn at_line(mut self, line: u64) -> Self {
        self.line = Some(line);
        self
    }

    pub(super) fn at_column(mut self, name: &str) -> Self {
        self.column = Some(name.into());
        self
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn caused_by(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

/// Names in backticks, separated by commas, at most twenty.
pub(super) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const MOST: usize = 20;
    let mut names = names.into_iter();
    let mut text = names.by_ref().take(MOST).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let more = names.count();
    if more > 0 {
        fmt::Write::write_fmt(&mut text, format_args!(" and {more} more")).expect("a String takes any text");
    }
    text
}

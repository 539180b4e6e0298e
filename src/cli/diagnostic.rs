//! The one form in which errors reach people: what, where, and what to do.

use std::error::Error;
use std::fmt;

use serde_json::{Value, json};

use super::exit::Exit;
use crate::job::chain;
use crate::kit::outside_text;

/// An error as it is printed:
///
/// ```text
/// error: invalid address `bob@@example.com`
///   --> recipients.csv:1042, column `email`
/// hint: fix the row
/// ```
#[derive(Debug)]
pub(super) struct Diagnostic {
    message: String,
    place: Option<String>,
    /// A line of the file there: its number, the column and the text.
    line: Option<(usize, usize, Box<str>)>,
    hint: Option<String>,
    exit: Exit,
    /// What is known of the run that it is about, for `--json`.
    run: Option<Box<Value>>,
}

impl Diagnostic {
    /// An error with its message; it ends the program with [`Exit::Usage`] by default.
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), place: None, line: None, hint: None, exit: Exit::Usage, run: None }
    }

    /// `context`, then the error and its causes.
    pub(super) fn of(context: &str, error: &dyn Error) -> Self {
        Self::new(format!("{context}: {}", chain(error)))
    }

    /// Where it is.
    pub(super) fn at(mut self, place: impl fmt::Display) -> Self {
        self.place = Some(place.to_string());
        self
    }

    /// Where it is, where that is known.
    pub(super) fn maybe_at(mut self, place: Option<impl fmt::Display>) -> Self {
        self.place = place.map(|place| place.to_string()).or(self.place);
        self
    }

    /// The line of the file at its place, where that is known. Columns count characters from 1.
    pub(super) fn maybe_line(mut self, place: Option<(usize, usize)>, text: Option<Box<str>>) -> Self {
        self.line = place.zip(text).map(|((line, column), text)| (line, column, text));
        self
    }

    /// What to do.
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What to do, where that is known.
    pub(super) fn maybe_hint(mut self, hint: Option<impl Into<String>>) -> Self {
        self.hint = hint.map(Into::into).or(self.hint);
        self
    }

    /// How the program ends.
    pub(super) fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// What is known of the run that it is about, as its command prints it with `--json`.
    pub(super) fn of_run(mut self, run: Value) -> Self {
        self.run = Some(Box::new(run));
        self
    }

    /// What is known of the run that it is about.
    pub(super) fn run(&self) -> Option<&Value> {
        self.run.as_deref()
    }

    /// The error for programs.
    pub(super) fn json(&self) -> Value {
        let line = self.line.as_ref();
        let line = line.map(|(line, column, text)| json!({"number": line, "column": column, "text": text}));
        json!({"message": self.message, "place": self.place, "line": line, "hint": self.hint})
    }

    /// How the program ends.
    pub(super) fn code(&self) -> Exit {
        self.exit
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        if let Some(place) = &self.place {
            let place = place.strip_prefix("./").unwrap_or(place);
            write!(f, "\n  --> {}", outside_text::line(place))?;
        }
        if let Some((number, column, text)) = &self.line {
            let number = number.to_string();
            let margin = " ".repeat(number.len());
            // Tabs stay tabs, so that the mark is below what it points at.
            let before = text.chars().take(column.saturating_sub(1));
            let before: String = before.map(|c| if c == '\t' { c } else { ' ' }).collect();
            write!(f, "\n {margin} |\n {number} | {text}\n {margin} | {before}^")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\nhint: {hint}")?;
        }
        Ok(())
    }
}

//! Reads a template and the files that it includes, imports and extends.

use minijinja::machinery::ast::{Expr, Stmt};
use minijinja::machinery::parse;
use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, Error, UndefinedBehavior};
use minijinja_contrib::pycompat::unknown_method_callback;

use super::super::engine::{Part, Settings, Source};
use super::super::error::{Place, TemplateError};
use super::{depth, filters, print, statements};
use crate::kit::text::line_and_column;

/// The name of the template itself; no file that is included can have it.
pub(super) const MAIN: &str = "main:template";

/// What one rendering may cost: instructions, and 64 bytes of made text each. A letter takes some
/// hundreds.
const FUEL: u64 = 1_000_000;
/// How deeply macros and included files may be nested, in the crate's units: an include is ten.
const DEEPEST: usize = 100;

/// A template and its files.
pub(super) struct Library {
    /// The template itself is the first.
    pub files: Vec<File>,
}

/// A file of templates.
pub(super) struct File {
    /// What templates call it.
    pub name: String,
    pub source: Source,
}

impl Library {
    /// Reads `source` and all that it includes.
    pub(super) fn read(settings: &Settings, source: Source) -> Result<Self, TemplateError> {
        let mut library = Self { files: vec![File { name: MAIN.to_owned(), source }] };
        let mut number = 0;
        while number < library.files.len() {
            for wanted in library.wanted(number)? {
                library.add(settings, number, &wanted)?;
            }
            number += 1;
        }
        Ok(library)
    }

    /// Adds the file that another wants, unless it was read before.
    fn add(&mut self, settings: &Settings, number: usize, wanted: &Wanted) -> Result<(), TemplateError> {
        for name in &wanted.names {
            if self.files.iter().any(|file| file.name == *name) {
                return Ok(());
            }
            if let Some(source) = settings.included(name)? {
                self.files.push(File { name: name.clone(), source });
                return Ok(());
            }
        }
        if wanted.may_be_missing {
            return Ok(());
        }
        let folder = settings.partials.clone().unwrap_or_default();
        let problem = format!("file `{}` not found", wanted.names.join("`, `"));
        Err(self
            .error(number, wanted.byte, problem)
            .hint(format!("files are included from {}", folder.display())))
    }

    /// The files that a file names.
    fn wanted(&self, number: usize) -> Result<Vec<Wanted>, TemplateError> {
        let text = &self.files[number].source.text;
        if let Some(byte) = depth::too_long(text) {
            let problem =
                format!("more than {} operators in one tag, or `elif` in one condition", depth::LONGEST);
            return Err(self.error(number, byte, problem));
        }
        let parsed = self.parse(number)?;
        let mut all = Vec::new();
        statements::each_statement(&parsed, &mut |statement| {
            let (name, may_be_missing, what) = match statement {
                Stmt::Include(include) => (&include.name, include.ignore_missing, "an included"),
                Stmt::Import(import) => (&import.expr, false, "an imported"),
                Stmt::FromImport(import) => (&import.expr, false, "an imported"),
                Stmt::Extends(extends) => (&extends.name, false, "an extended"),
                _ => return Ok(()),
            };
            let byte = name.span().start_offset as usize;
            let Some(names) = names_of(name) else {
                let problem = format!("the name of {what} file can't be computed");
                return Err(self.error(number, byte, problem).hint(
                    "write one `{% include %}` for each case into `{% if %}`: so each can be checked before the run",
                ));
            };
            all.push(Wanted { names, byte, may_be_missing });
            Ok(())
        })?;
        Ok(all)
    }

    /// The tree of a file.
    pub(super) fn parse(&self, number: usize) -> Result<Stmt<'_>, TemplateError> {
        let File { name, source } = &self.files[number];
        parse(&source.text, name, SyntaxConfig::default()).map_err(|error| self.syntax(number, &error))
    }

    fn syntax(&self, number: usize, error: &Error) -> TemplateError {
        let (problem, byte) = (print::problem_of(error), error.range().map(|range| range.start));
        match (byte, error.line()) {
            (Some(byte), _) => self.error(number, byte, problem),
            (None, line) => {
                let path = &self.files[number].source.origin.path;
                TemplateError::new(path, line.map(|line| (line, 1)), problem)
            }
        }
        .hint("see https://jinja.palletsprojects.com/en/stable/templates/")
    }

    /// What is wrong at a place of a file.
    pub(super) fn error(&self, number: usize, byte: usize, problem: impl Into<String>) -> TemplateError {
        let source = &self.files[number].source;
        TemplateError::new(&source.origin.path, Some(place_in(&source.text, byte)), problem)
    }

    /// A place of a file.
    pub(super) fn place(&self, number: usize, byte: usize) -> Place {
        let source = &self.files[number].source;
        let (line, column) = place_in(&source.text, byte);
        Place { template: source.origin.shown.clone(), line, column }
    }

    /// The number of a file, by the name that templates use.
    pub(super) fn number(&self, name: &str) -> Option<usize> {
        self.files.iter().position(|file| file.name == name)
    }

    /// What renders the files.
    pub(super) fn environment(
        &self,
        strict: bool,
        part: Part,
    ) -> Result<Environment<'static>, TemplateError> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(match strict {
            // A name may be tested (`{% if x %}`) though it has no value.
            true => UndefinedBehavior::SemiStrict,
            false => UndefinedBehavior::Chainable,
        });
        environment.set_auto_escape_callback(move |_| match part {
            Part::Text => AutoEscape::None,
            Part::Html => AutoEscape::Html,
        });
        environment.set_formatter(move |out, state, value| print::print(out, state, value, strict));
        environment.set_unknown_method_callback(unknown_method_callback);
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(DEEPEST);
        // It prints the whole row.
        environment.remove_global("debug");
        // With it, a loop could make lists in lists, or lists of lists, whose cost the crate does
        // not count.
        environment.remove_global("namespace");
        filters::add(&mut environment, strict);
        for (number, File { name, source }) in self.files.iter().enumerate() {
            let added = environment.add_template_owned(name.clone(), source.text.clone());
            added.map_err(|error| self.syntax(number, &error))?;
        }
        Ok(environment)
    }
}

/// A file that another names.
struct Wanted {
    /// The first of these that exists.
    names: Vec<String>,
    byte: usize,
    may_be_missing: bool,
}

/// The names that the template itself gives.
pub(super) fn names_of(name: &Expr<'_>) -> Option<Vec<String>> {
    let value = name.as_const()?;
    match value.as_str() {
        Some(text) => Some(vec![text.to_owned()]),
        None => value.try_iter().ok()?.map(|item| item.as_str().map(str::to_owned)).collect(),
    }
}

fn place_in(text: &str, byte: usize) -> (usize, usize) {
    line_and_column(text, text.floor_char_boundary(byte))
}

//! Jinja (<https://jinja.palletsprojects.com/>): templates that end in `.j2` or `.jinja`.
//!
//! The crate `minijinja` parses and renders. It looks filters and names up when a row needs them,
//! so [`walk`] checks both before the first row. A rendering has so much fuel (`FUEL`): every
//! instruction and every 64 bytes that are made cost one.

mod depth;
mod filters;
mod library;
mod names;
mod print;
mod render;
mod statements;
mod values;
mod walk;

use std::fmt;
use std::io;

use minijinja::Environment;

use self::library::{Library, MAIN};
use super::engine::{Engine, Origin, Output, Part, Settings, Source, Template};
use super::error::{Fault, TemplateError};
use super::local;
use super::uses::Uses;
use super::values::Values;
use crate::campaign::Language;

/// The engine.
pub(super) struct JinjaEngine {
    settings: Settings,
}

impl JinjaEngine {
    pub(super) fn new(settings: Settings) -> Self {
        Self { settings }
    }
}

impl Engine for JinjaEngine {
    fn compile(&self, source: Source, part: Part) -> Result<Box<dyn Template>, TemplateError> {
        let library = Library::read(&self.settings, source)?;
        let uses = walk::uses_of(&library)?;
        let environment = library.environment(self.settings.strict, part)?;
        let names = uses.printed.iter().chain(&uses.tested).chain(&uses.built_in);
        let mut names: Vec<String> = names.map(|(name, _)| name.clone()).collect();
        names.sort();
        names.dedup();
        let origins = library.files.iter().map(|file| file.source.origin.clone()).collect();
        Ok(Box::new(Compiled { environment, library, uses, names, origins, largest: self.settings.largest }))
    }
}

struct Compiled {
    environment: Environment<'static>,
    library: Library,
    uses: Uses,
    /// The columns and built-in names that the templates use.
    names: Vec<String>,
    origins: Vec<Origin>,
    /// The most bytes of a rendering.
    largest: usize,
}

impl Template for Compiled {
    fn uses(&self) -> &Uses {
        &self.uses
    }

    fn language(&self) -> Language {
        Language::Jinja
    }

    fn origins(&self) -> &[Origin] {
        &self.origins
    }

    fn render(&self, values: &Values<'_>, out: &mut dyn Output) -> Result<(), Fault> {
        local::begin(values.local());
        let template = self.environment.get_template(MAIN).expect("it is added when it is read");
        let mut written = Written { text: Vec::new(), largest: self.largest };
        template
            .render_captured_to(values::of_row(&self.names, values), &mut written)
            .map_err(|error| render::fault(&error, &self.library))?;
        out.value(str::from_utf8(&written.text).expect("the crate writes whole texts"));
        Ok(())
    }
}

/// Where a rendering is written, which ends when it is too large.
struct Written {
    text: Vec<u8>,
    /// The most bytes of it.
    largest: usize,
}

impl io::Write for Written {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        if self.text.len() + text.len() > self.largest {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.text.extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Compiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compiled").field("origins", &self.origins).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

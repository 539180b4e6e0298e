//! Jinja (<https://jinja.palletsprojects.com/>): templates that end in `.j2` or `.jinja`.
//!
//! The crate `minijinja` parses and renders. It looks filters and names up when a row needs them, so
//! [`walk`] checks both before the first row. A rendering has so much fuel (`FUEL`): every
//! instruction and every 64 bytes that are made cost one.

mod depth;
mod filters;
mod library;
mod names;
mod print;
mod render;
mod values;
mod walk;

use std::fmt;

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
        let text = template.render(values::of_row(&self.names, values));
        let text = text.map_err(|error| render::fault(&error, &self.library))?;
        if text.len() > self.largest {
            return Err(render::too_large(&self.library));
        }
        out.value(&text);
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

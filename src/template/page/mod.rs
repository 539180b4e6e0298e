//! HTML that is made once, before its language compiles it: MJML becomes HTML. The expressions of
//! the template's language are put aside meanwhile ([`mask`]), and faults are placed in the files
//! as they are written.

mod expressions;
mod mask;
mod mjml;

use super::engine::{Engine, Origin, Output, Part, Settings, Source, Template};
use super::error::{Fault, Place, TemplateError};
use super::uses::Uses;
use super::values::Values;
use crate::campaign::{Language, is_mjml};
use mask::{Map, Masked};

/// What is made of a template's file before it is compiled.
#[derive(Debug, Clone)]
pub(super) struct PageEngine {
    pub settings: Settings,
}

impl PageEngine {
    /// Whether `source` is made into another text first.
    pub(super) fn changes(&self, source: &Source) -> bool {
        is_mjml(&source.origin.path)
    }

    /// Makes the page, and lets `engine` compile it.
    pub(super) fn compile(
        &self,
        source: Source,
        part: Part,
        language: Language,
        engine: &dyn Engine,
    ) -> Result<Box<dyn Template>, TemplateError> {
        let origin = source.origin.clone();
        if part == Part::Text {
            return Err(TemplateError::new(&origin.path, None, "MJML makes HTML, not text")
                .hint("name it in `html` of `[template]`"));
        }
        let (page, masked) = mjml::html(&source, language, &self.settings)?;
        let (text, map) = masked.restore(&page);
        let made = Made { masked, map, text: text.clone() };
        let inner = engine
            .compile(Source { origin: origin.clone(), text }, part)
            .map_err(|error| made.error(error))?;
        let uses = made.uses(inner.uses());
        let included = inner.origins().iter().filter(|other| other.path != origin.path);
        let origins = made.masked.files.iter().chain(included).cloned().collect();
        Ok(Box::new(Page { inner, made, uses, origins }))
    }
}

/// The text that was made, and where it is from.
#[derive(Debug)]
struct Made {
    masked: Masked,
    map: Map,
    text: String,
}

impl Made {
    /// A place of the text that was made, in the files that it was made from.
    fn place(&self, (line, column): (usize, usize)) -> (&Origin, (usize, usize)) {
        let mut lines = self.text.split_inclusive('\n');
        let before: usize = lines.by_ref().take(line.saturating_sub(1)).map(str::len).sum();
        let within = lines.next().unwrap_or_default();
        let at = within.char_indices().nth(column.saturating_sub(1)).map_or(within.len(), |(at, _)| at);
        self.masked.place(self.map.source(before + at))
    }

    fn error(&self, error: TemplateError) -> TemplateError {
        match error.place {
            Some(place) if error.path == self.masked.files[0].path => {
                let (origin, place) = self.place(place);
                TemplateError { path: origin.path.clone(), place: Some(place), ..error }
            }
            Some(_) | None => error,
        }
    }

    fn moved(&self, place: &Place) -> Place {
        if place.line == 0 || place.template != self.masked.files[0].shown {
            return place.clone();
        }
        let (origin, (line, column)) = self.place((place.line, place.column));
        Place { template: origin.shown.clone(), line, column }
    }

    fn uses(&self, uses: &Uses) -> Uses {
        let moved = |names: &std::collections::BTreeSet<(String, Place)>| {
            names.iter().map(|(name, place)| (name.clone(), self.moved(place))).collect()
        };
        Uses {
            printed: moved(&uses.printed),
            tested: moved(&uses.tested),
            built_in: moved(&uses.built_in),
            whole_row: uses.whole_row,
        }
    }

    fn fault(&self, fault: Fault) -> Fault {
        match fault {
            Fault::NoValue { name, place } => Fault::NoValue { name, place: self.moved(&place) },
            Fault::Value { problem, place } => Fault::Value { problem, place: self.moved(&place) },
        }
    }
}

/// A template whose text was made of other files.
#[derive(Debug)]
struct Page {
    inner: Box<dyn Template>,
    made: Made,
    uses: Uses,
    origins: Vec<Origin>,
}

impl Template for Page {
    fn uses(&self) -> &Uses {
        &self.uses
    }

    fn language(&self) -> Language {
        self.inner.language()
    }

    fn origins(&self) -> &[Origin] {
        &self.origins
    }

    fn texts(&self) -> &[String] {
        self.inner.texts()
    }

    fn render(&self, values: &Values<'_>, out: &mut dyn Output) -> Result<(), Fault> {
        self.inner.render(values, out).map_err(|fault| self.made.fault(fault))
    }
}

#[cfg(test)]
mod tests;

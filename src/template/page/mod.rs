//! HTML that is made once, before its language compiles it: MJML becomes HTML, and styles go into
//! the elements that they are for. The expressions of the template's language are put aside
//! meanwhile ([`mask`]), and faults are placed in the files as they are written.

mod css;
mod expressions;
mod mask;
mod measure;
mod mjml;

use std::time::Instant;

use super::css_in_each::CssInEach;
use super::engine::{Engine, Origin, Output, Part, Settings, Source, Template, render_to_string};
use super::error::{Fault, Place, TemplateError};
use super::uses::Uses;
use super::values::Values;
use crate::campaign::{Language, is_mjml};
use css::{Inliner, NotOnce};
use mask::{Map, Masked};

/// What is made of a template's file before it is compiled.
#[derive(Debug, Clone)]
pub(super) struct PageEngine {
    pub settings: Settings,
    /// `[template] inline-css`.
    pub inline_css: bool,
}

impl PageEngine {
    /// Whether `source` is made into another text first.
    pub(super) fn changes(&self, source: &Source, part: Part) -> bool {
        is_mjml(&source.origin.path) || (self.inline_css && part == Part::Html)
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
        let (mut page, masked) = if is_mjml(&origin.path) {
            mjml::html(&source, language, &self.settings, self.inline_css)?
        } else {
            let mut masked = Masked::default();
            let (page, _) = masked.add(origin.clone(), &source.text, language)?;
            (page, masked)
        };
        let mut each = None;
        if self.inline_css {
            let inliner = Inliner::new();
            match inliner.once(&page, &masked, language) {
                Ok(inlined) => page = inlined,
                Err(why) => each = Some(in_each(inliner, &page, &masked, why)?),
            }
        }
        let (text, map) = masked.restore(&page);
        let made = Made { masked, map, text: text.clone() };
        let inner = engine
            .compile(Source { origin: origin.clone(), text }, part)
            .map_err(|error| made.error(error))?;
        let uses = made.uses(inner.uses());
        let included = inner.origins().iter().filter(|other| other.path != origin.path);
        let origins = made.masked.files.iter().chain(included).cloned().collect();
        Ok(Box::new(Page { inner, made, uses, origins, each }))
    }
}

/// Tries what each message will need, and how long it takes.
fn in_each(
    inliner: Inliner,
    page: &str,
    masked: &Masked,
    why: NotOnce,
) -> Result<(Inliner, CssInEach), TemplateError> {
    let start = Instant::now();
    inliner.inline(page).map_err(|error| {
        masked.error((0, 0), format!("its styles can't be put into its elements: {error}"))
    })?;
    let takes = start.elapsed();
    let aside = why.at.map(|number| &masked.asides[number]);
    let (origin, (line, column)) = masked.place(aside.map_or((0, 0), |aside| (aside.file, aside.at.start)));
    let place = Place { template: origin.shown.clone(), line, column };
    Ok((inliner, CssInEach { place, why: why.why, takes }))
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
    /// Set where styles go into the elements of each message.
    each: Option<(Inliner, CssInEach)>,
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
        if self.each.is_some() { &[] } else { self.inner.texts() }
    }

    fn css_in_each(&self) -> Option<&CssInEach> {
        self.each.as_ref().map(|(_, each)| each)
    }

    fn render(&self, values: &Values<'_>, out: &mut dyn Output) -> Result<(), Fault> {
        let Some((inliner, each)) = &self.each else {
            return self.inner.render(values, out).map_err(|fault| self.made.fault(fault));
        };
        let html = render_to_string(&*self.inner, values).map_err(|fault| self.made.fault(fault))?;
        let inlined = inliner.inline(&html).map_err(|error| Fault::Value {
            problem: format!("its styles can't be put into its elements: {error}"),
            place: each.place.clone(),
        })?;
        out.value(&inlined);
        Ok(())
    }
}

#[cfg(test)]
mod tests;

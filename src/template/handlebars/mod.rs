//! Handlebars (<https://handlebarsjs.com/guide/>): templates that end in `.hbs`, the subject and
//! header fields.
//!
//! The crate `handlebars` parses and renders. It prints nothing for a name without a value and
//! looks helpers up when a row needs them, so [`check`] rewrites what is printed and checks every
//! call before the first row. [`fast`] renders what most templates are made of without the crate.
//!
//! What a template can cost is bounded: its [`depth`] before it is parsed, its size with all
//! partials when it is compiled ([`walk`]), and the steps and bytes of each rendering ([`budget`]).

mod budget;
mod check;
mod compare;
mod depth;
mod fast;
mod helpers;
mod library;
mod problem;
mod render;
mod syntax;
mod walk;

use std::fmt;

use self::fast::Fast;
use self::library::{Library, MAIN};
use super::engine::{Engine, Origin, Output, Part, Settings, Source, Template};
use super::error::{Fault, TemplateError};
use super::local;
use super::uses::Uses;
use super::values::Values;
use crate::campaign::Language;

/// The engine.
pub(super) struct HandlebarsEngine {
    settings: Settings,
    /// Whether templates are rendered by [`fast`] where that can be done.
    fast: bool,
}

impl HandlebarsEngine {
    pub(super) fn new(settings: Settings) -> Self {
        Self { settings, fast: true }
    }
}

/// The engine of a campaign that leaves everything to the crate `handlebars`: what [`fast`] is
/// compared with.
#[cfg(test)]
pub(crate) fn without_fast(campaign: &crate::campaign::Campaign) -> Box<dyn Engine> {
    Box::new(HandlebarsEngine { settings: Settings::of(campaign), fast: false })
}

impl Engine for HandlebarsEngine {
    fn compile(&self, source: Source, part: Part) -> Result<Box<dyn Template>, TemplateError> {
        let bytes = source.text.len();
        let library = Library::read(&self.settings, part, source)?;
        let uses = walk::uses_of(&library)?;
        let partials = library.known.iter().filter(|(name, _)| *name != MAIN);
        let written = std::iter::once(&library.known[MAIN]).chain(partials.map(|(_, written)| written));
        let origins = written.map(|written| written.origin.clone()).collect();
        let (fast, texts) = match if self.fast { Fast::of(&library) } else { None } {
            Some((fast, texts)) => (Some(fast), texts),
            None => (None, Vec::new()),
        };
        // Room for most renderings, so that they grow without moving.
        let room = bytes * 3 / 2;
        Ok(Box::new(Compiled { library, uses, origins, room, fast, texts }))
    }
}

struct Compiled {
    library: Library,
    uses: Uses,
    origins: Vec<Origin>,
    /// Bytes of a usual rendering.
    room: usize,
    fast: Option<Fast>,
    /// The texts of `fast`.
    texts: Vec<String>,
}

impl Template for Compiled {
    fn uses(&self) -> &Uses {
        &self.uses
    }

    fn language(&self) -> Language {
        Language::Handlebars
    }

    fn origins(&self) -> &[Origin] {
        &self.origins
    }

    fn texts(&self) -> &[String] {
        &self.texts
    }

    fn render(&self, values: &Values<'_>, out: &mut dyn Output) -> Result<(), Fault> {
        local::begin(values.local());
        if let Some(fast) = &self.fast {
            budget::start(self.library.settings.largest);
            let mut bounded = Bounded { texts: &self.texts, left: Some(self.library.settings.largest), out };
            if fast.render(&self.library.registry, values, &mut bounded).is_ok() && bounded.left.is_some() {
                return Ok(());
            }
            out.restart();
        }
        out.value(&render::render(&self.library, values.all(), self.room)?);
        Ok(())
    }
}

/// Passes on what fits.
struct Bounded<'a> {
    texts: &'a [String],
    /// The bytes that still fit; nothing once there were more.
    left: Option<usize>,
    out: &'a mut dyn Output,
}

impl Bounded<'_> {
    fn fits(&mut self, bytes: usize) -> bool {
        self.left = self.left.and_then(|left| left.checked_sub(bytes));
        self.left.is_some()
    }
}

impl Output for Bounded<'_> {
    fn text(&mut self, number: usize) {
        if self.fits(self.texts[number].len()) {
            self.out.text(number);
        }
    }

    fn value(&mut self, text: &str) {
        if self.fits(text.len()) {
            self.out.value(text);
        }
    }

    fn restart(&mut self) {
        self.out.restart();
    }
}

impl fmt::Debug for Compiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compiled").field("origins", &self.origins).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

//! Reads and compiles a template and the partials that it includes.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use handlebars::{Handlebars, Template};

use super::super::engine::{Origin, Part, Settings, Source};
use super::super::error::TemplateError;
use super::{check, depth, helpers, syntax};
use crate::kit::text::line_and_column;

/// The name under which the template itself is registered; no file of a partial can have it.
pub(super) const MAIN: &str = "main:template";

/// A template and its partials, compiled.
pub(super) struct Library {
    pub part: Part,
    pub settings: Settings,
    /// What is rendered: as [`check`] has rewritten it, under the names that templates use.
    pub registry: Handlebars<'static>,
    /// As they were written, under the same names.
    pub known: BTreeMap<String, Written>,
}

/// A template as it was written.
pub(super) struct Written {
    pub origin: Origin,
    pub template: Template,
}

impl Library {
    /// Compiles `source` and all that it includes.
    pub(super) fn read(settings: &Settings, part: Part, source: Source) -> Result<Self, TemplateError> {
        let mut registry = Handlebars::new();
        helpers::register(&mut registry, settings.strict);
        if part == Part::Text {
            registry.register_escape_fn(handlebars::no_escape);
        }
        let mut library = Self { part, settings: settings.clone(), registry, known: BTreeMap::new() };
        let mut included = library.add(MAIN, source)?;
        while let Some(partial) = included.pop() {
            if !library.known.contains_key(&partial)
                && let Some(file) = library.file_of(&partial)
            {
                included.extend(library.add(&partial, Source::read(&file, &settings.root, "partial")?)?);
            }
        }
        Ok(library)
    }

    /// Adds a template under `name`. The names of the partials that it includes.
    fn add(&mut self, name: &str, source: Source) -> Result<Vec<String>, TemplateError> {
        let Source { origin, text } = source;
        if let Some(at) = depth::too_deep(&text) {
            let place = line_and_column(&text, at);
            return Err(TemplateError::new(&origin.path, Some(place), depth::problem()));
        }
        let template = syntax::compile(&text, &origin.shown).map_err(|(place, problem)| {
            TemplateError::new(&origin.path, place, problem).hint("see https://handlebarsjs.com/guide/")
        })?;
        let mut rewritten = template.clone();
        let partials = check::rewrite(&mut rewritten, &origin.path, self.settings.strict)?;
        self.registry.register_template(name, rewritten);
        self.known.insert(name.to_owned(), Written { origin, template });
        Ok(partials)
    }

    fn file_of(&self, partial: &str) -> Option<PathBuf> {
        let folder = self.settings.partials.as_ref()?;
        let files = self.endings().map(|ending| folder.join(format!("{partial}{ending}")));
        files.into_iter().find(|file| file.is_file())
    }

    /// The endings of a partial's file, the preferred one first.
    fn endings(&self) -> [&'static str; 2] {
        match self.part {
            Part::Text => [".txt.hbs", ".hbs"],
            Part::Html => [".html.hbs", ".hbs"],
        }
    }

    /// The names of all partials that could be included.
    pub(super) fn available(&self) -> Vec<String> {
        let Some(entries) = self.settings.partials.as_ref().and_then(|folder| fs::read_dir(folder).ok())
        else {
            return Vec::new();
        };
        let files = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<String> = files
            .filter_map(|file| {
                self.endings().iter().find_map(|end| file.strip_suffix(end)).map(str::to_owned)
            })
            .collect();
        names.sort();
        names
    }
}

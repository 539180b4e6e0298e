//! FreeMarker 2.3.31 (<https://freemarker.apache.org/docs/>): templates that end in `.ftl`.
//!
//! A template is scanned into text and tags (`scan`), white space is stripped (`strip`), and the
//! rest is parsed to a tree (`elements`, `parser`) in which names are numbers. A rendering (`run`)
//! evaluates (`eval`, `built_ins`) and executes (`exec`) the tree. What FreeMarker prints is what
//! this prints; the differences are in `docs/freemarker.md`:
//!
//! - Included files are read before the first row, so their names can't be computed.
//! - There is no clock (`.now`), no Java (`?new`, `?api`), and no template in data (`?interpret`).
//! - A rendering may take so many steps and so much stack, whatever the row has in it.

mod built_in;
mod built_ins;
mod collate;
mod data;
mod elements;
mod escape;
mod escapes;
mod eval;
mod exec;
mod lex;
mod load;
mod moment;
mod names;
mod number;
mod number_format;
mod parser;
mod pattern;
mod render;
mod run;
mod scan;
mod setting;
mod show;
mod stream;
mod strip;
mod tree;
mod value;

use std::fmt;
use std::path::Path;

use self::elements::Begin;
use self::escape::Format;
use self::load::{FaultKind, Loaded, load};
use self::run::{LARGEST, Settings as RunSettings, Trouble, What};
use self::tree::At;
use self::value::{Text, Value};
use super::engine::{Engine, Origin, Output, Part, Settings, Source, Template};
use super::error::{Fault, Place, TemplateError};
use super::uses::{BUILT_IN, Uses};
use super::values::{Found, Values};
use crate::campaign::Language;
use crate::kit::text::line_and_column;

/// The engine.
pub(super) struct FreeMarkerEngine {
    settings: Settings,
}

impl FreeMarkerEngine {
    pub(super) fn new(settings: Settings) -> Self {
        Self { settings }
    }

    /// The name that other files are included from: the path in the folder of templates.
    fn name_of(&self, path: &Path) -> String {
        let inside = self.settings.partials.as_deref().and_then(|folder| path.strip_prefix(folder).ok());
        inside.map(|path| path.display().to_string()).unwrap_or_default()
    }
}

impl Engine for FreeMarkerEngine {
    fn compile(&self, source: Source, part: Part) -> Result<Box<dyn Template>, TemplateError> {
        let begin = match part {
            Part::Text => Begin { format: Format::Plain, must_escape: false },
            Part::Html => Begin { format: Format::Html, must_escape: true },
        };
        let room = source.text.len() * 3 / 2;
        let name = self.name_of(&source.origin.path);
        let mut origins = vec![source.origin];
        let loaded = load(&name, source.text, begin, |name| match self.settings.included(name)? {
            Some(source) => {
                origins.push(source.origin);
                Ok(Some(source.text))
            }
            None => Ok(None),
        });
        let loaded = loaded.map_err(|(texts, fault)| {
            let file = fault.at.file as usize;
            let place = texts.get(file).and_then(Option::as_deref).map(|text| place_in(text, fault.at));
            let path: &Path = origin_of(&texts, &origins, file).map_or(Path::new(""), |origin| &origin.path);
            match fault.what {
                FaultKind::Problem(problem) => TemplateError::new(path, place, problem),
                FaultKind::Absent(name) => {
                    let folder = self.settings.partials.clone().unwrap_or_default();
                    TemplateError::new(path, place, format!("included file `{name}` not found"))
                        .hint(format!("files are included from {}", folder.display()))
                }
                FaultKind::Unreadable(error) => error,
            }
        })?;
        let uses = uses_of(&loaded, &origins);
        Ok(Box::new(Compiled {
            loaded,
            uses,
            origins,
            room,
            strict: self.settings.strict,
            settings: RunSettings { largest: self.settings.largest.min(LARGEST), ..RunSettings::default() },
        }))
    }
}

struct Compiled {
    loaded: Loaded,
    uses: Uses,
    origins: Vec<Origin>,
    /// Bytes of a usual rendering.
    room: usize,
    strict: bool,
    settings: RunSettings,
}

impl Template for Compiled {
    fn uses(&self) -> &Uses {
        &self.uses
    }

    fn language(&self) -> Language {
        Language::Freemarker
    }

    fn origins(&self) -> &[Origin] {
        &self.origins
    }

    fn render(&self, values: &Values<'_>, out: &mut dyn Output) -> Result<(), Fault> {
        let row = |name: &str| match values.get(name) {
            Found::Nothing => Some(Value::Nothing),
            Found::Text(text) => Some(Value::Text(Text::Borrowed(text))),
            Found::Json(json) => data::borrowed(json),
        };
        let settings = self.settings.at(values.local());
        let text = render::render(&self.loaded, settings, self.strict, self.room, &row);
        match text {
            Ok(text) => {
                out.value(&text);
                Ok(())
            }
            Err(trouble) => Err(self.fault(*trouble)),
        }
    }
}

impl Compiled {
    fn fault(&self, trouble: Trouble) -> Fault {
        let place = match trouble.at {
            Some(at) => place_of(&self.loaded, &self.origins, at),
            None => Place { template: self.origins[0].shown.clone(), line: 0, column: 0 },
        };
        match trouble.what {
            What::Missing(name) => Fault::NoValue { name, place },
            What::Problem(problem) => Fault::Value { problem, place },
            What::Spent(what) => Fault::Value { problem: what.to_owned(), place },
        }
    }
}

impl fmt::Debug for Compiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compiled").field("origins", &self.origins).finish_non_exhaustive()
    }
}

/// The columns that a template and its files use.
fn uses_of(loaded: &Loaded, origins: &[Origin]) -> Uses {
    let mut uses = Uses { whole_row: loaded.whole_row, ..Uses::default() };
    for &(name, at, tested) in &loaded.uses {
        let name = loaded.names.text(name).to_owned();
        let place = place_of(loaded, origins, at);
        let set = match BUILT_IN.contains(&name.as_str()) {
            true => &mut uses.built_in,
            false if tested => &mut uses.tested,
            false => &mut uses.printed,
        };
        set.insert((name, place));
    }
    uses
}

fn place_of(loaded: &Loaded, origins: &[Origin], at: At) -> Place {
    let file = at.file as usize;
    let text = loaded.texts.get(file).and_then(Option::as_deref);
    let (line, column) = text.map_or((0, 0), |text| place_in(text, at));
    let origin = origin_of(&loaded.texts, origins, file);
    let template = origin.map_or_else(String::new, |origin| origin.shown.clone());
    Place { template, line, column }
}

/// Where a file was read from: only those that exist have an origin.
fn origin_of<'o>(texts: &[Option<String>], origins: &'o [Origin], file: usize) -> Option<&'o Origin> {
    origins.get(texts.iter().take(file).flatten().count())
}

fn place_in(text: &str, at: At) -> (usize, usize) {
    let mut byte = (at.byte as usize).min(text.len());
    while !text.is_char_boundary(byte) {
        byte -= 1;
    }
    line_and_column(text, byte)
}

#[cfg(test)]
mod tests;

//! Templates that are values in the campaign file, such as the subject. Their errors point into
//! that file.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::kit::text::line_and_column;
use crate::template::{Engine, Part, Source, Template, TemplateError};

/// The templates of a campaign file, by their keys.
#[derive(Debug)]
pub(super) struct InCampaign {
    /// The campaign file.
    pub path: PathBuf,
    text: Option<String>,
    /// Where the templates begin in the file: line and column, from 1.
    begin: BTreeMap<String, (usize, usize)>,
}

impl InCampaign {
    /// The campaign file `path`, which is read again to find the values in it.
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), text: fs::read_to_string(path).ok(), begin: BTreeMap::new() }
    }

    /// Compiles the template that the file has under `key`.
    pub(super) fn compile(
        &mut self,
        engine: &dyn Engine,
        key: &str,
        template: &str,
    ) -> Result<Box<dyn Template>, TemplateError> {
        if let Some(file) = &self.text
            && let Some(at) = offset_of_value(file, key, template)
        {
            self.begin.insert(key.to_owned(), line_and_column(file, at));
        }
        engine.compile(Source::value(&self.path, key, template), Part::Text).map_err(|error| {
            if error.path != self.path {
                return error;
            }
            let place = error.place.and_then(|place| self.place(key, place));
            TemplateError { place, problem: format!("{} (in `{key}`)", error.problem), ..error }
        })
    }

    /// The place in the file of a place in the template under `key`; both from 1.
    pub(super) fn place(&self, key: &str, (line, column): (usize, usize)) -> Option<(usize, usize)> {
        let (first_line, first_column) = self.begin.get(key)?;
        Some((first_line + line - 1, if line == 1 { first_column + column - 1 } else { column }))
    }
}

/// Where the value of `key` begins in a TOML text: on the key's own line, or else anywhere.
fn offset_of_value(file: &str, key: &str, value: &str) -> Option<usize> {
    let key = key.rsplit('.').next().unwrap_or(key);
    let mut start = 0;
    for line in file.split_inclusive('\n') {
        let after_key = line.trim_start().trim_start_matches(['"', '\'']).strip_prefix(key);
        if let Some(after_key) = after_key
            && let Some(at) = after_key.find(value)
        {
            return Some(start + line.len() - after_key.len() + at);
        }
        start += line.len();
    }
    file.find(value)
}

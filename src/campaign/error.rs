//! Errors of a campaign file, with their place.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::toml_error;
use crate::kit::text::line_and_column;

/// A campaign file that can't be used.
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
pub struct CampaignError {
    /// The campaign file.
    pub path: PathBuf,
    /// Line and column, from 1, where they are known.
    pub place: Option<(usize, usize)>,
    /// The line of the file that it is about, where it is known.
    pub line: Option<Box<str>>,
    /// What is wrong, a lowercase fragment.
    pub problem: String,
    /// What to do, where there is something to say.
    pub hint: Option<String>,
    /// The cause, if the file could not be read.
    #[source]
    pub source: Option<io::Error>,
}

impl CampaignError {
    /// The file, with line and column where they are known.
    pub fn at(&self) -> String {
        let path = self.path.display();
        self.place.map_or_else(|| path.to_string(), |(line, column)| format!("{path}:{line}:{column}"))
    }

    pub(super) fn read(path: &Path, source: io::Error) -> Self {
        let hint = (source.kind() == io::ErrorKind::NotFound)
            .then(|| "`mailrun init DIR` creates a ready-to-run campaign folder".to_owned());
        Self {
            path: path.to_owned(),
            place: None,
            line: None,
            problem: "can't read the campaign file".into(),
            hint,
            source: Some(source),
        }
    }

    pub(super) fn toml(path: &Path, text: &str, error: &toml::de::Error) -> Self {
        let place = error.span().map(|span| line_and_column(text, span.start));
        let line = line_at(text, place);
        let (problem, hint) = toml_error::in_our_words(error.message(), line.as_deref());
        Self { path: path.to_owned(), place, line, problem, hint, source: None }
    }

    /// An error in the value that `--set` gave `key`.
    pub(super) fn toml_in_setting(path: &Path, key: &str, value: &str, error: &toml::de::Error) -> Self {
        let line = format!("{key} = {value}");
        let (problem, hint) = toml_error::in_our_words(error.message(), Some(&line));
        let path = path.to_owned();
        Self { path, place: None, line: None, problem, hint, source: None }.in_setting(key)
    }

    /// The same error in a value that `--set` gave `key`: it has no place in the file.
    pub(super) fn in_setting(self, key: &str) -> Self {
        let quoted = || format!("a text is written in quotes, as in `--set '{key}=\"2026\"'`");
        let hint = self.hint.or_else(|| self.problem.contains("text in quotes").then(quoted));
        let problem = format!("`--set {key}`: {}", self.problem);
        Self { place: None, line: None, problem, hint, ..self }
    }

    /// A key that can't be set on the command line.
    pub(super) fn set(path: &Path, key: &str, problem: &str) -> Self {
        let (path, problem) = (path.to_owned(), problem.to_owned());
        Self { path, place: None, line: None, problem, hint: None, source: None }.in_setting(key)
    }

    /// A variable of the environment that the file asks for and that has no value; `at` is the
    /// place of the text that does.
    pub(super) fn unset(path: &Path, text: &str, at: usize, name: &str) -> Self {
        let place = (at <= text.len()).then(|| line_and_column(text, at));
        Self {
            path: path.to_owned(),
            place,
            line: line_at(text, place),
            problem: format!("the variable `{name}` is not set"),
            hint: Some(format!("export `{name}`; for the characters themselves write `$${{{name}}}`")),
            source: None,
        }
    }

    /// An error at the quoted text `part` in the value of `key`.
    pub(super) fn at_part(
        path: &Path,
        key: &str,
        part: Option<&str>,
        problem: String,
        hint: Option<String>,
    ) -> Self {
        // Without the text there is no place, and the problem is the same.
        let text = fs::read_to_string(path).unwrap_or_default();
        let place = place_of_part(&text, key, part);
        let line = line_at(&text, place);
        Self { path: path.to_owned(), place, line, problem, hint, source: None }
    }

    pub(super) fn check(path: &Path, text: &str, mistake: Mistake) -> Self {
        let Mistake { key, problem, hint } = mistake;
        let place = place_of_key(text, key);
        Self {
            path: path.to_owned(),
            place,
            line: line_at(text, place),
            problem,
            hint: (!hint.is_empty()).then(|| hint.to_owned()),
            source: None,
        }
    }
}

/// A value that parses and still can't be used.
#[derive(Debug)]
pub(super) struct Mistake {
    /// The key to point at, such as `delivery.relay.port`.
    pub(super) key: &'static str,
    problem: String,
    /// What to do; empty if there is nothing to say.
    hint: &'static str,
}

impl Mistake {
    pub(super) fn new(key: &'static str, problem: impl Into<String>, hint: &'static str) -> Self {
        Self { key, problem: problem.into(), hint }
    }
}

/// The line of `text` at a place.
fn line_at(text: &str, place: Option<(usize, usize)>) -> Option<Box<str>> {
    let (line, _) = place?;
    text.lines().nth(line - 1).map(Box::from)
}

/// The place of the quoted text `part` in the value of `key`; that of the key where there is none.
fn place_of_part(text: &str, key: &str, part: Option<&str>) -> Option<(usize, usize)> {
    let start = place_of_key(text, key);
    let Some(part) = part else { return start };
    let quoted = [format!("\"{part}\""), format!("'{part}'")];
    let column = |line: &str| {
        let at = quoted.iter().find_map(|quoted| line.find(quoted))?;
        Some(line[..at].chars().count() + 1)
    };
    let lines = || text.lines().enumerate().map(|(number, line)| (number + 1, line));
    let own = start.into_iter().flat_map(|(first, _)| {
        let below = lines().skip(first);
        lines().skip(first - 1).take(1).chain(below.take_while(|(_, line)| !line.trim().starts_with('[')))
    });
    // Keys may be written in other ways, as in tables within a line.
    let found = own.chain(lines()).find_map(|(number, line)| Some((number, column(line)?)));
    found.or(start)
}

/// Line and column of the key `table.key` in a TOML text, or of its table's header.
fn place_of_key(text: &str, key: &str) -> Option<(usize, usize)> {
    let (table, key) = key.rsplit_once('.').unwrap_or(("", key));
    let mut inside = table.is_empty();
    let mut table_line = None;
    for (number, line) in text.lines().enumerate() {
        let trimmed = line.trim();
        if trimmed.starts_with('[') {
            inside = trimmed.trim_matches(['[', ']']) == table;
            if inside {
                table_line = Some((number + 1, 1));
            }
        } else if inside && trimmed.split('=').next().is_some_and(|name| name.trim() == key) {
            return Some((number + 1, line.len() - line.trim_start().len() + 1));
        }
    }
    table_line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_value_has_its_place() {
        let text = "[results]\nmode = \"0640\"\ncolumns = [\"a\",\n  'nope', # \"a\"\n]\n[template]\n\
                    text = { by = \"lang\", de = \"de.hbs\" }\n[[relay]]\ntls = \"required\"\n\
                    [[relay]]\ntls = \"none\"\n";
        let check = |key, part, place| assert_eq!(place_of_part(text, key, part), place, "{key}, {part:?}");
        check("results.columns", Some("a"), Some((3, 12)));
        check("results.columns", Some("nope"), Some((4, 3)));
        check("results.columns", Some("other"), Some((3, 1)));
        check("results.columns", None, Some((3, 1)));
        check("template.text", Some("de.hbs"), Some((7, 28)));
        check("template.html", Some("de.hbs"), Some((7, 28)));
        check("relay.tls", Some("none"), Some((11, 7)));
        check("stop.min-rows", None, None);
    }
}

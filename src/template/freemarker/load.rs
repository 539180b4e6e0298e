//! Reads a template and the files that it includes and imports.

use super::elements::{Begin, parse};
use super::names::Names;
use super::parser::{Shared, Wanted};
use super::tree::{At, Name, Program};

/// A template and its files, parsed.
#[derive(Debug)]
pub(super) struct Loaded {
    pub program: Program,
    pub names: Names,
    /// The texts of the files, by their numbers; none for those that don't exist.
    pub texts: Vec<Option<String>>,
    pub uses: Vec<(Name, At, bool)>,
    pub whole_row: bool,
}

/// Why a template can't be used.
#[derive(Debug)]
pub(super) struct Fault<E> {
    pub at: At,
    pub what: FaultKind<E>,
}

/// What is wrong.
#[derive(Debug)]
pub(super) enum FaultKind<E> {
    Problem(String),
    /// No such file.
    Absent(String),
    /// A file that exists can't be read.
    Unreadable(E),
}

/// Parses `text`, which is called `name`. `read` gives the files by their names; none where a file
/// does not exist.
pub(super) fn load<E>(
    name: &str,
    text: String,
    begin: Begin,
    mut read: impl FnMut(&str) -> Result<Option<String>, E>,
) -> Result<Loaded, (Vec<Option<String>>, Fault<E>)> {
    let mut shared = Shared::default();
    shared.files.push(Wanted { name: name.to_owned(), verbatim: false, needed: None });
    let mut texts = vec![Some(text)];
    let mut units = Vec::new();
    while units.len() < shared.files.len() {
        let number = units.len();
        if number > 0 {
            let wanted = &shared.files[number];
            let at = wanted.needed.unwrap_or(At { file: 0, byte: 0 });
            let fail = |texts, what| Err((texts, Fault { at, what }));
            match candidates(&wanted.name).find_map(|name| read(&name).transpose()).transpose() {
                Ok(Some(text)) => texts.push(Some(text)),
                Ok(None) => {
                    // It may be asked for by another file, too, which is not parsed yet.
                    texts.push(None);
                    units.push(None);
                    continue;
                }
                Err(error) => return fail(texts, FaultKind::Unreadable(error)),
            }
        }
        let text = texts[number].as_deref().unwrap_or_default();
        match parse(text, number, begin, &mut shared) {
            Ok(unit) => units.push(Some(unit)),
            Err((byte, problem)) => {
                let at = At { file: number as u32, byte: u32::try_from(byte).unwrap_or(u32::MAX) };
                return Err((texts, Fault { at, what: FaultKind::Problem(problem) }));
            }
        }
    }
    let absent =
        units.iter().zip(&shared.files).find(|(unit, wanted)| unit.is_none() && wanted.needed.is_some());
    if let Some((_, Wanted { name, needed: Some(at), .. })) = absent {
        let fault = Fault { at: *at, what: FaultKind::Absent(name.clone()) };
        return Err((texts, fault));
    }
    let Shared { names, macros, uses, whole_row, .. } = shared;
    let uses = uses.into_iter().filter(|used| !names.is_assigned(used.name) || used.first);
    let uses = uses.map(|used| (used.name, used.at, used.tested)).collect();
    Ok(Loaded { program: Program { units, macros }, names, texts, uses, whole_row })
}

/// The names that a file may have: `a/*/b` is `a/b` or `b`.
fn candidates(name: &str) -> impl Iterator<Item = String> {
    let (folder, rest) = match name.strip_prefix("*/") {
        Some(rest) => ("", Some(rest)),
        None => name.split_once("/*/").map_or((name, None), |(folder, rest)| (folder, Some(rest))),
    };
    let mut folder = Some(folder.to_owned());
    let rest = rest.map(str::to_owned);
    std::iter::from_fn(move || {
        let here = folder.take()?;
        let Some(rest) = &rest else { return Some(here) };
        folder = match here.rsplit_once('/') {
            Some((parent, _)) => Some(parent.to_owned()),
            None => (!here.is_empty()).then(String::new),
        };
        Some(if here.is_empty() { rest.clone() } else { format!("{here}/{rest}") })
    })
}

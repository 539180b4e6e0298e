//! What the errors of a rendering mean.

use std::error::Error as _;

use minijinja::{Error, ErrorKind};

use super::super::error::{Fault, Place};
use super::library::Library;
use super::print::problem_of;

/// The fault of a row. An error in an included file comes inside that of the include.
pub(super) fn fault(error: &Error, library: &Library) -> Fault {
    // Nothing else keeps a text from being written.
    if error.kind() == ErrorKind::WriteFailure {
        return too_large(library);
    }
    let mut inner = error;
    let mut next = error.source().and_then(|source| source.downcast_ref::<Error>());
    while let Some(deeper) = next {
        if deeper.line().is_some() {
            inner = deeper;
        }
        next = deeper.source().and_then(|source| source.downcast_ref::<Error>());
    }
    let number = inner.name().and_then(|name| library.number(name)).unwrap_or(0);
    let source = &library.files[number].source;
    let range = inner.range().filter(|range| source.text.get(range.clone()).is_some());
    let place = match &range {
        Some(range) => library.place(number, range.start),
        None => Place {
            template: source.origin.shown.clone(),
            line: inner.line().unwrap_or(0),
            column: usize::from(inner.line().is_some()),
        },
    };
    match inner.kind() {
        ErrorKind::UndefinedError => {
            // "`customer.name` is undefined", or the expression as it is written.
            let said = inner.detail().and_then(|detail| detail.split('`').nth(1));
            let written = || range.map_or("", |range| &source.text[range]);
            let written = said.unwrap_or_else(written).split('|').next().unwrap_or_default().trim();
            Fault::NoValue { name: written.to_owned(), place }
        }
        _ => Fault::Value { problem: problem_of(inner), place },
    }
}

/// The fault of a row whose text is larger than a message may be.
fn too_large(library: &Library) -> Fault {
    let place = Place { template: library.files[0].source.origin.shown.clone(), line: 0, column: 0 };
    Fault::Value { problem: "the text is larger than `template.largest` allows".to_owned(), place }
}

//! What `{{ x }}` writes.

use minijinja::value::ValueKind;
use minijinja::{AutoEscape, Error, ErrorKind, Output, State, Value};

/// Writes a value, escaped where the part is HTML. In a strict template, the crate refuses names
/// without a value before.
pub(super) fn print(
    out: &mut Output<'_>,
    state: &State<'_, '_>,
    value: &Value,
    strict: bool,
) -> Result<(), Error> {
    if strict {
        match value.kind() {
            ValueKind::None => return Err(ErrorKind::UndefinedError.into()),
            ValueKind::Seq | ValueKind::Iterable => {
                return Err(problem("this is a list: use `{% for %}` or `|join(\", \")`"));
            }
            ValueKind::Map => return Err(problem("this is a group of values: name one of them")),
            _ => {}
        }
    } else if value.is_none() {
        return Ok(());
    }
    let escaped = match state.auto_escape() {
        AutoEscape::None => false,
        AutoEscape::Html => !value.is_safe(),
        _ => return Err(problem("only HTML can be escaped")),
    };
    match (value.as_str(), escaped) {
        (Some(text), true) => Ok(out.write_str(&html(text))?),
        (Some(text), false) => Ok(out.write_str(text)?),
        (None, true) => Ok(out.write_str(&html(&value.to_string()))?),
        (None, false) => Ok(out.write_str(&value.to_string())?),
    }
}

/// A fault that has no place yet.
pub(super) fn problem(problem: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, problem.into())
}

/// What is wrong, a lowercase fragment.
pub(super) fn problem_of(error: &Error) -> String {
    if error.kind() == ErrorKind::OutOfFuel {
        return "the template takes too long for one letter".to_owned();
    }
    match error.detail() {
        Some(detail) => detail.to_owned(),
        None => error.kind().to_string(),
    }
}

/// `text` so that it means itself in HTML.
pub(super) fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    let mut rest = text;
    while let Some(at) = rest.find(['<', '>', '&', '"', '\'']) {
        out.push_str(&rest[..at]);
        out.push_str(match rest.as_bytes()[at] {
            b'<' => "&lt;",
            b'>' => "&gt;",
            b'&' => "&amp;",
            b'"' => "&quot;",
            _ => "&#39;",
        });
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
    out
}

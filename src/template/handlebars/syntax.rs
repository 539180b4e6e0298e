//! What is wrong with the syntax of a template, and where.

use handlebars::{Template, TemplateErrorReason};

use crate::kit::text::line_and_column;

/// Compiles `text`, which errors call `shown`. Otherwise the place of the mistake, from 1, and the
/// mistake.
pub(super) fn compile(text: &str, shown: &str) -> Result<Template, (Option<(usize, usize)>, String)> {
    Template::compile_with_name(text, shown.to_owned()).map_err(|error| {
        let place = error.pos();
        match error.reason() {
            TemplateErrorReason::MismatchingClosedHelper(open, close)
            | TemplateErrorReason::MismatchingClosedDecorator(open, close) => {
                (place, format!("block `{open}` is closed as `{close}`"))
            }
            TemplateErrorReason::InvalidParam(parameter) => {
                (place, format!("`{parameter}` can't be an argument"))
            }
            TemplateErrorReason::InvalidSyntax(_) => match unclosed(text) {
                Some((place, problem)) => (Some(place), problem),
                None => (place, "this is not a Handlebars expression".to_owned()),
            },
            other => (place, other.to_string()),
        }
    })
}

/// The first tag without its end, or block without its closing tag: what most syntax errors come
/// from, and what the parser only notices at the end of the file.
fn unclosed(text: &str) -> Option<((usize, usize), String)> {
    let place = |at: usize| line_and_column(text, at);
    let mut open: Vec<(usize, &str)> = Vec::new();
    let mut at = 0;
    while let Some(found) = text[at..].find("{{") {
        let start = at + found;
        if text[..start].ends_with('\\') {
            at = start + 2;
            continue;
        }
        let end_mark = if text[start..].starts_with("{{!--") { "--}}" } else { "}}" };
        let Some(length) = text[start..].find(end_mark) else {
            return Some((place(start), "this `{{` has no `}}`".to_owned()));
        };
        let tag = text[start + 2..start + length].trim_start_matches(['{', '~']).trim_start();
        let word = |rest: &'static str| tag.strip_prefix(rest).map(first_word);
        if let Some(name) = word("#") {
            open.push((start, name));
        } else if let Some(name) = word("/") {
            match open.pop() {
                Some((_, opened)) if opened == name => {}
                Some((opened_at, opened)) => {
                    let (line, _) = place(opened_at);
                    let problem = format!("`{{{{/{name}}}}}` closes `{{{{#{opened}}}}}` of line {line}");
                    return Some((place(start), problem));
                }
                None => return Some((place(start), format!("`{{{{/{name}}}}}` closes nothing"))),
            }
        }
        at = start + length + end_mark.len();
    }
    let (start, name) = open.first()?;
    Some((place(*start), format!("`{{{{#{name}}}}}` is never closed")))
}

/// The first word of `rest`; `#> layout` and `#*inline` keep their name without the sign.
fn first_word(rest: &str) -> &str {
    let rest = rest.trim_start_matches(['>', '*']).trim_start();
    rest.split(|c: char| c.is_whitespace() || c == '~' || c == '}').next().unwrap_or(rest)
}

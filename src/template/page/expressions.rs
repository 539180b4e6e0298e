//! Where the expressions of a template language are in a text. Finds their ends as the languages
//! do: strings, brackets and raw blocks are skipped. What has no end is no expression here; the
//! language itself says what is wrong with it.

use std::ops::Range;

use crate::campaign::Language;

/// An expression in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Expression {
    pub at: Range<usize>,
    pub kind: Kind,
}

/// What an expression does to the text around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Prints a value, escaped.
    Print,
    /// Prints a value as it is, which may hold elements.
    Raw,
    /// Decides what is printed, or prints nothing.
    Statement,
    /// Brings in another file.
    Include,
}

/// The expressions of `text`, in order.
pub(super) fn find(text: &str, language: Language) -> Vec<Expression> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = next(&text[at..], language).map(|found| at + found) {
        let rest = &text[start..];
        let expression = match language {
            Language::Handlebars => handlebars(rest),
            Language::Jinja => jinja(rest),
            Language::Freemarker => freemarker(rest),
        };
        match expression {
            Some((length, kind)) => {
                found.push(Expression { at: start..start + length, kind });
                at = start + length;
            }
            // One character on: what begins expressions is ASCII.
            None => at = start + 1,
        }
    }
    found
}

/// Where the next expression may begin.
fn next(text: &str, language: Language) -> Option<usize> {
    let marks: &[&str] = match language {
        Language::Handlebars => &["{{"],
        Language::Jinja => &["{{", "{%", "{#"],
        Language::Freemarker => &["${", "<#", "</#", "<@", "</@"],
    };
    marks.iter().filter_map(|mark| text.find(mark)).min()
}

/// The length to the end of `end`, counted from the start of `text`.
fn through(text: &str, end: &str) -> Option<usize> {
    text.find(end).map(|at| at + end.len())
}

fn handlebars(text: &str) -> Option<(usize, Kind)> {
    if text.starts_with("{{{{") {
        let close = text.find("{{{{/")?;
        return Some((close + through(&text[close..], "}}}}")?, Kind::Statement));
    }
    if text.starts_with("{{!--") || text.starts_with("{{~!--") {
        let end = ["--}}", "--~}}"].into_iter().filter_map(|end| through(text, end)).min()?;
        return Some((end, Kind::Statement));
    }
    if text.starts_with("{{{") {
        return Some((close(text, 3, "}}}", Escapes::No)?, Kind::Raw));
    }
    let inner = text[2..].trim_start_matches('~').trim_start();
    if inner.starts_with('!') {
        return Some((through(text, "}}")?, Kind::Statement));
    }
    let kind = match inner.as_bytes().first()? {
        b'>' => Kind::Include,
        b'#' if inner[1..].trim_start().starts_with('>') => Kind::Include,
        b'#' | b'/' | b'^' => Kind::Statement,
        b'&' => Kind::Raw,
        _ if inner.strip_prefix("else").is_some_and(|rest| rest.starts_with(['}', '~', ' '])) => {
            Kind::Statement
        }
        _ => Kind::Print,
    };
    Some((close(text, 2, "}}", Escapes::No)?, kind))
}

fn jinja(text: &str) -> Option<(usize, Kind)> {
    if text.starts_with("{#") {
        return Some((through(text, "#}")?, Kind::Statement));
    }
    if text.starts_with("{{") {
        let length = close(text, 2, "}}", Escapes::Backslash)?;
        let is_raw = text[..length].contains("safe");
        return Some((length, if is_raw { Kind::Raw } else { Kind::Print }));
    }
    let length = close(text, 2, "%}", Escapes::Backslash)?;
    let name = |text: &str| {
        let text = text[2..].trim_start_matches(['-', '+']).trim_start();
        text.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default().to_owned()
    };
    match name(text).as_str() {
        "raw" => {
            let mut at = length;
            loop {
                at += text[at..].find("{%")?;
                let end = at + close(&text[at..], 2, "%}", Escapes::Backslash)?;
                if name(&text[at..]) == "endraw" {
                    return Some((end, Kind::Statement));
                }
                at = end;
            }
        }
        "include" | "import" | "from" | "extends" => Some((length, Kind::Include)),
        _ => Some((length, Kind::Statement)),
    }
}

fn freemarker(text: &str) -> Option<(usize, Kind)> {
    if text.starts_with("<#--") {
        return Some((through(text, "-->")?, Kind::Statement));
    }
    if text.starts_with("<#noparse>") {
        return Some((through(text, "</#noparse>")?, Kind::Statement));
    }
    if text.starts_with("${") {
        let length = close(text, 2, "}", Escapes::Backslash)?;
        let is_raw = text[..length].contains("?no_esc");
        return Some((length, if is_raw { Kind::Raw } else { Kind::Print }));
    }
    let length = close(text, 2, ">", Escapes::Backslash)?;
    let includes = ["<#include", "<#import", "<@"].iter().any(|start| text.starts_with(start));
    Some((length, if includes { Kind::Include } else { Kind::Statement }))
}

/// Whether a backslash in a string keeps its quote from ending it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Escapes {
    No,
    Backslash,
}

/// The length of `text` to the end of `end`, which is looked for from `from` on and which strings
/// and brackets may hold too.
fn close(text: &str, from: usize, end: &str, escapes: Escapes) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (from, 0_usize);
    while at < bytes.len() {
        match bytes[at] {
            _ if depth == 0 && bytes[at..].starts_with(end.as_bytes()) => {
                return Some(at + end.len());
            }
            quote @ (b'"' | b'\'') => {
                at += 1;
                while *bytes.get(at)? != quote {
                    at += if escapes == Escapes::Backslash && bytes[at] == b'\\' { 2 } else { 1 };
                }
            }
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(language: Language, text: &str, expected: &[(&str, Kind)]) {
        let found = find(text, language);
        let found: Vec<_> = found.iter().map(|it| (&text[it.at.clone()], it.kind)).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn expressions_end_where_their_language_ends_them() {
        use Kind::{Include, Print, Raw, Statement};
        check(
            Language::Handlebars,
            "a {{b}} {{{c}}} {{&d}} {{#if (eq a \"}}\")}}x{{else}}y{{/if}} {{! it's }} {{!-- }} --}} {{> p}} {{elsewhere}} {{{{raw}}}} {{x}} {{{{/raw}}}} {{",
            &[
                ("{{b}}", Print),
                ("{{{c}}}", Raw),
                ("{{&d}}", Raw),
                ("{{#if (eq a \"}}\")}}", Statement),
                ("{{else}}", Statement),
                ("{{/if}}", Statement),
                ("{{! it's }}", Statement),
                ("{{!-- }} --}}", Statement),
                ("{{> p}}", Include),
                ("{{elsewhere}}", Print),
                ("{{{{raw}}}} {{x}} {{{{/raw}}}}", Statement),
            ],
        );
        check(
            Language::Jinja,
            "{{ a[\"}}\"] }}{{ b|safe }}{%- if x == '%}' %}{# {{ #}{% raw %}{{ x }}{% endraw %}{% include 'x' %}{ {",
            &[
                ("{{ a[\"}}\"] }}", Print),
                ("{{ b|safe }}", Raw),
                ("{%- if x == '%}' %}", Statement),
                ("{# {{ #}", Statement),
                ("{% raw %}{{ x }}{% endraw %}", Statement),
                ("{% include 'x' %}", Include),
            ],
        );
        check(
            Language::Freemarker,
            "<#if (a > b) && c == \"\\\">\">${a[\"}\"]!{\"x\": 1}}</#if><#-- > --><@m x/><#noparse>${x}</#noparse>${b?no_esc}<b>",
            &[
                ("<#if (a > b) && c == \"\\\">\">", Statement),
                ("${a[\"}\"]!{\"x\": 1}}", Print),
                ("</#if>", Statement),
                ("<#-- > -->", Statement),
                ("<@m x/>", Include),
                ("<#noparse>${x}</#noparse>", Statement),
                ("${b?no_esc}", Raw),
            ],
        );
    }
}

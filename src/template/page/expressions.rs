//! Where the expressions of a template language are in a text. Finds their ends as the languages
//! do: strings, brackets and raw blocks are skipped. What has no end is no expression here; the
//! language itself says what is wrong with it.

use std::ops::Range;

use crate::campaign::Language;

/// The expressions of `text`, in order.
pub(super) fn find(text: &str, language: Language) -> Vec<Range<usize>> {
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
            Some(length) => {
                found.push(start..start + length);
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

fn handlebars(text: &str) -> Option<usize> {
    if text.starts_with("{{{{") {
        let close = text.find("{{{{/")?;
        return Some(close + through(&text[close..], "}}}}")?);
    }
    if text.starts_with("{{!--") || text.starts_with("{{~!--") {
        return ["--}}", "--~}}"].into_iter().filter_map(|end| through(text, end)).min();
    }
    if text.starts_with("{{{") {
        return close(text, 3, "}}}", Escapes::No);
    }
    let inner = text[2..].trim_start_matches('~').trim_start();
    if inner.starts_with('!') {
        return through(text, "}}");
    }
    close(text, 2, "}}", Escapes::No)
}

fn jinja(text: &str) -> Option<usize> {
    if text.starts_with("{#") {
        return through(text, "#}");
    }
    if text.starts_with("{{") {
        return close(text, 2, "}}", Escapes::Backslash);
    }
    let length = close(text, 2, "%}", Escapes::Backslash)?;
    let name = |text: &str| {
        let text = text[2..].trim_start_matches(['-', '+']).trim_start();
        text.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default().to_owned()
    };
    if name(text) != "raw" {
        return Some(length);
    }
    let mut at = length;
    loop {
        at += text[at..].find("{%")?;
        let end = at + close(&text[at..], 2, "%}", Escapes::Backslash)?;
        if name(&text[at..]) == "endraw" {
            return Some(end);
        }
        at = end;
    }
}

fn freemarker(text: &str) -> Option<usize> {
    if text.starts_with("<#--") {
        return through(text, "-->");
    }
    if text.starts_with("<#noparse>") {
        return through(text, "</#noparse>");
    }
    if text.starts_with("${") {
        return close(text, 2, "}", Escapes::Backslash);
    }
    close(text, 2, ">", Escapes::Backslash)
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
    fn check(language: Language, text: &str, expected: &[&str]) {
        let found = find(text, language);
        let found: Vec<_> = found.iter().map(|it| &text[it.clone()]).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn expressions_end_where_their_language_ends_them() {
        check(
            Language::Handlebars,
            "a {{b}} {{{c}}} {{&d}} {{#if (eq a \"}}\")}}x{{else}}y{{/if}} {{! it's }} {{!-- }} --}} {{> p}} {{elsewhere}} {{{{raw}}}} {{x}} {{{{/raw}}}} {{",
            &[
                "{{b}}",
                "{{{c}}}",
                "{{&d}}",
                "{{#if (eq a \"}}\")}}",
                "{{else}}",
                "{{/if}}",
                "{{! it's }}",
                "{{!-- }} --}}",
                "{{> p}}",
                "{{elsewhere}}",
                "{{{{raw}}}} {{x}} {{{{/raw}}}}",
            ],
        );
        check(
            Language::Jinja,
            "{{ a[\"}}\"] }}{{ b|safe }}{%- if x == '%}' %}{# {{ #}{% raw %}{{ x }}{% endraw %}{% include 'x' %}{ {",
            &[
                "{{ a[\"}}\"] }}",
                "{{ b|safe }}",
                "{%- if x == '%}' %}",
                "{# {{ #}",
                "{% raw %}{{ x }}{% endraw %}",
                "{% include 'x' %}",
            ],
        );
        check(
            Language::Freemarker,
            "<#if (a > b) && c == \"\\\">\">${a[\"}\"]!{\"x\": 1}}</#if><#-- > --><@m x/><#noparse>${x}</#noparse>${b?no_esc}<b>",
            &[
                "<#if (a > b) && c == \"\\\">\">",
                "${a[\"}\"]!{\"x\": 1}}",
                "</#if>",
                "<#-- > -->",
                "<@m x/>",
                "<#noparse>${x}</#noparse>",
                "${b?no_esc}",
            ],
        );
    }
}

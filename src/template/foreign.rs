//! Expressions of another language in a template: they would be sent as they are written.

use std::fmt;
use std::sync::LazyLock;

use memchr::memmem;
use regex::Regex;

use super::engine::{Origin, Template};
use super::error::Place;
use crate::campaign::Language;
use crate::kit::text::line_and_column;

/// An expression of another language.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Foreign {
    pub place: Place,
    /// As it is written.
    pub written: String,
    /// Whose it is.
    pub of: &'static str,
    /// The language of the template.
    pub language: Language,
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is {}", self.written, self.of)
    }
}

/// The directives of FreeMarker.
const DIRECTIVES: &str = "if|else|elseif|list|items|sep|assign|global|local|include|import|macro|nested|return|\
     function|setting|ftl|switch|case|default|break|continue|attempt|recover|compress|escape|noescape|noparse|\
     outputformat|autoesc|noautoesc|stop";

/// What is found where: the name of a group in [`pattern_for`], and whose expressions it has.
const GROUPS: [(&str, &str); 5] = [
    ("freemarker", "FreeMarker"),
    ("jinja", "Jinja"),
    ("braces", "Handlebars or Jinja"),
    ("mailchimp", "Mailchimp"),
    ("salesforce", "Salesforce"),
];

static HANDLEBARS: LazyLock<Regex> = LazyLock::new(|| pattern_for(Language::Handlebars));
static FREEMARKER: LazyLock<Regex> = LazyLock::new(|| pattern_for(Language::Freemarker));
static JINJA: LazyLock<Regex> = LazyLock::new(|| pattern_for(Language::Jinja));

/// What does not belong into a template of `own`. The first alternative is what `own` does not
/// print or prints as is: comments and raw blocks.
fn pattern_for(own: Language) -> Regex {
    let freemarker = format!(
        r"(?<freemarker>\$\{{[A-Za-z_.@][^{{}}\n]*\}}|[<\[]/?#(?:{DIRECTIVES})(?-u:\b)[^>\]\n]*[>\]]|</?@[A-Za-z_][A-Za-z0-9_.]*(?:[ \t\r\n][^>\n]*)?/?>)"
    );
    let jinja = r"(?<jinja>\{%[-+]?[ \t\r\n]*[a-z][A-Za-z0-9_]*[^{}\n]*%\}|\{#[^{}\n]*#\})";
    let braces = r"(?<braces>\{\{\{?[#/>^&]?[ \t\r\n]*[A-Za-z_@][^{}\n]*\}\})";
    let services = r"(?<mailchimp>\*\|[A-Z][A-Z0-9_:]*\|\*)|(?<salesforce>%%[A-Za-z_][A-Za-z0-9_ ]*%%)";
    let (skipped, foreign) = match own {
        Language::Handlebars => (
            r"\{\{!--[\s\S]*?--\}\}|\{\{![\s\S]*?\}\}|\{\{\{\{raw\}\}\}\}[\s\S]*?\{\{\{\{/raw\}\}\}\}",
            format!("{freemarker}|{jinja}"),
        ),
        Language::Freemarker => {
            (r"[<\[]#--[\s\S]*?--[>\]]|<#noparse>[\s\S]*?</#noparse>", format!("{jinja}|{braces}"))
        }
        Language::Jinja => (
            r"\{#[\s\S]*?#\}|\{%[-+]?[ \t\r\n]*raw[ \t\r\n]*[-+]?%\}[\s\S]*?\{%[-+]?[ \t\r\n]*endraw[ \t\r\n]*[-+]?%\}",
            freemarker,
        ),
    };
    Regex::new(&format!("{skipped}|{foreign}|{services}")).expect("it is a constant that is tested")
}

/// What each expression of FreeMarker has in it.
const MARKS_OF_FREEMARKER: &[&str] = &["${", "<#", "</#", "[#", "[/#", "<@", "</@"];
/// The same for Jinja's statements and comments.
const MARKS_OF_JINJA: &[&str] = &["{%", "#}"];
/// The same for what Handlebars and Jinja have in common.
const MARKS_OF_BRACES: &[&str] = &["{{"];
/// The same for the merge tags of services.
const MARKS_OF_SERVICES: &[&str] = &["*|", "%%"];

/// Whether a closer look can find anything. Most templates need none, and what it looks with takes
/// milliseconds to make.
fn may_have(text: &str, own: Language) -> bool {
    let marks = match own {
        Language::Handlebars => [MARKS_OF_FREEMARKER, MARKS_OF_JINJA, MARKS_OF_SERVICES],
        Language::Freemarker => [MARKS_OF_JINJA, MARKS_OF_BRACES, MARKS_OF_SERVICES],
        Language::Jinja => [MARKS_OF_FREEMARKER, MARKS_OF_SERVICES, &[]],
    };
    marks.into_iter().flatten().any(|mark| memmem::find(text.as_bytes(), mark.as_bytes()).is_some())
}

/// What does not belong into a template and its files, in the order of the files.
pub(crate) fn foreign_in(template: &dyn Template) -> Vec<Foreign> {
    let language = template.language();
    template.origins().iter().flat_map(|origin| in_text(origin, language)).collect()
}

fn in_text(origin: &Origin, language: Language) -> Vec<Foreign> {
    if !may_have(&origin.text, language) {
        return Vec::new();
    }
    let pattern = match language {
        Language::Handlebars => &*HANDLEBARS,
        Language::Freemarker => &*FREEMARKER,
        Language::Jinja => &*JINJA,
    };
    let found = pattern.captures_iter(&origin.text).filter_map(|found| {
        let (written, of) = GROUPS.iter().find_map(|&(group, of)| Some((found.name(group)?, of)))?;
        let (line, column) = line_and_column(&origin.text, written.start());
        let place = Place { template: origin.shown.clone(), line, column };
        Some(Foreign { place, written: written.as_str().to_owned(), of, language })
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::engine::Source;
    use super::*;

    fn found(own: Language, text: &str) -> Vec<(String, String)> {
        let origin = Source::value(Path::new("c/t"), "t", text).origin;
        in_text(&origin, own).iter().map(|it| (it.to_string(), it.place.to_string())).collect()
    }

    fn finds(own: Language, text: &str, written: &str, of: &str, place: &str) {
        assert_eq!(found(own, text), [(format!("`{written}` is {of}"), place.to_owned())], "{text}");
    }

    #[test]
    fn expressions_of_other_languages_are_found() {
        use Language::{Freemarker, Handlebars, Jinja};
        for own in [Handlebars, Jinja] {
            finds(own, "Dear\n ${first_name},", "${first_name}", "FreeMarker", "t:2:2");
            finds(
                own,
                "${due?date?string(\"dd.MM.yyyy\")}",
                "${due?date?string(\"dd.MM.yyyy\")}",
                "FreeMarker",
                "t:1:1",
            );
            finds(own, "a <#if vip> b", "<#if vip>", "FreeMarker", "t:1:3");
            finds(own, "[/#list]", "[/#list]", "FreeMarker", "t:1:1");
            finds(own, "<@dear name/>", "<@dear name/>", "FreeMarker", "t:1:1");
        }
        for own in [Handlebars, Freemarker] {
            finds(own, "a\n{%- if vip %} b", "{%- if vip %}", "Jinja", "t:2:1");
            finds(own, "{# a note #}", "{# a note #}", "Jinja", "t:1:1");
        }
        for written in ["{{name}}", "{{ name }}", "{{#if name}}", "{{/if}}", "{{> footer}}"] {
            finds(Freemarker, written, written, "Handlebars or Jinja", "t:1:1");
        }
        for own in [Handlebars, Freemarker, Jinja] {
            finds(own, "Hi *|FNAME|*", "*|FNAME|*", "Mailchimp", "t:1:4");
            finds(own, "Hi %%First Name%%", "%%First Name%%", "Salesforce", "t:1:4");
        }
    }

    #[test]
    fn what_is_written_so_on_purpose_is_not() {
        use Language::{Freemarker, Handlebars, Jinja};
        let check = |own, text: &str| assert_eq!(found(own, text), [], "{text}");
        check(
            Handlebars,
            "{{#if a}}${{price}} {{! ${x} }}{{!-- {% if %} --}}{{{{raw}}}}${x}{{{{/raw}}}}{{/if}}",
        );
        check(
            Freemarker,
            "<#if a>${b}</#if><#-- {{x}} --><#noparse>{% if %}</#noparse><#assign m={\"a\":{\"b\":1}}>",
        );
        check(Jinja, "{% if a %}${{ b }}{# ${x} #}{% raw %}${x}{% endraw %}{% endif %}");
        for own in [Handlebars, Jinja] {
            check(
                own,
                "<style>@media x{#a{b:c}} .x{color:#fff}</style> 100 % <a@b.example> <#> $ {x} ${} 5%% a *|* b",
            );
        }
        check(Freemarker, "<style>@media x{a{b:c}}</style>{ { x } } 5%% {}");
    }
}

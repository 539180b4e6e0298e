//! What a template has of another language: recipients would read it.

use super::finding::{Finding, Id};
use crate::campaign::Language;
use crate::template::Foreign;

/// Places that are named.
const NAMED: usize = 3;

/// What there is to say of the expressions that `found` in templates.
pub(crate) fn check(found: &[Foreign]) -> Option<Finding> {
    let first = found.first()?;
    let shown: Vec<String> = found.iter().take(NAMED).map(|it| format!("{it} ({})", it.place)).collect();
    let more = match found.len() - shown.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let language = first.language.name();
    let ending = match first.of {
        "FreeMarker" => ", or let the file's name end in `.ftl`",
        "Jinja" => ", or let the file's name end in `.j2`",
        _ => "",
    };
    let own = match first.language {
        Language::Handlebars => "`{{name}}`",
        Language::Freemarker => "`${name}`",
        Language::Jinja => "`{{ name }}`",
    };
    let fix = format!("this template is in {language}: write values as {own}{ending}");
    Some(Finding::new(Id::OtherLanguage, format!("{}{more}", shown.join(", "))).fix(fix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::Place;

    #[test]
    fn places_and_the_way_out_are_named() {
        assert_eq!(check(&[]), None);
        let found = |written: &str, line| Foreign {
            place: Place { template: "t.html.hbs".to_owned(), line, column: 1 },
            written: written.to_owned(),
            of: "FreeMarker",
            language: Language::Handlebars,
        };
        let finding =
            check(&[found("${name}", 1), found("<#if x>", 2), found("</#if>", 3), found("${y}", 4)]).unwrap();
        assert_eq!(
            finding.seen,
            "`${name}` is FreeMarker (t.html.hbs:1:1), `<#if x>` is FreeMarker (t.html.hbs:2:1), `</#if>` is FreeMarker \
             (t.html.hbs:3:1) and 1 more"
        );
        let fix = "this template is in Handlebars: write values as `{{name}}`, or let the file's name end in `.ftl`";
        assert_eq!(finding.fix.as_deref(), Some(fix));
    }
}

//! What is wrong with a template is known before the first row, with its place.

use std::path::Path;

use super::*;

fn error(text: &str) -> TemplateError {
    let settings = Settings { strict: true, root: "c".into(), partials: None };
    let source = Source::value(Path::new("c/t.hbs"), "t.hbs", text);
    HandlebarsEngine::new(settings).compile(source, Part::Text).expect_err(text)
}

fn refused(text: &str, place: (usize, usize), problem: &str) {
    let error = error(text);
    assert_eq!((error.place, error.to_string()), (Some(place), problem.to_owned()), "{text}");
}

#[test]
fn syntax_errors_have_their_place() {
    refused("a\n  {{#if x}}b\n{{name}}\n", (2, 3), "`{{#if}}` is never closed");
    refused("{{#if x}}\n{{#each y}}\n{{/if}}", (3, 1), "`{{/if}}` closes `{{#each}}` of line 2");
    refused("ab {{name\nx", (1, 4), "this `{{` has no `}}`");
    refused("{{/if}}", (1, 1), "`{{/if}}` closes nothing");
    refused("\n {{a b=}}", (2, 8), "this is not a Handlebars expression");
}

#[test]
fn unknown_helpers_are_named_with_the_nearest() {
    refused("x {{uper name}}", (1, 3), "helper `uper` is not known");
    assert_eq!(error("{{uper name}}").hint.as_deref(), Some("did you mean `upper`?"));
    refused("{{#items}}{{/items}}", (1, 1), "helper `items` is not known");
    assert!(error("{{#items}}{{/items}}").hint.unwrap().contains("{{#each items}}"));
    refused("{{#if a}}\n {{default (uper x) 1}}{{/if}}", (2, 2), "helper `uper` is not known");
    refused("{{log x}}", (1, 1), "helper `log` is not known");
    refused("{{#if a}}{{else if (uper b)}}{{/if}}", (1, 1), "helper `uper` is not known");
}

#[test]
fn calls_are_checked() {
    refused("{{upper a b}}", (1, 1), "`upper` takes 1 arguments, not 2");
    refused("{{default a}}", (1, 1), "`default` takes at least 2 arguments, not 1");
    refused("{{date d zoom=\"+01:00\"}}", (1, 1), "`date` has no option `zoom`");
    refused("{{date d \"%Q\"}}", (1, 1), "`%Q` is not a date pattern");
    refused("{{date d zone=\"CET\"}}", (1, 1), "`CET` is not a time zone offset such as +02:00");
    refused("{{number n locale=\"xx\"}}", (1, 1), "locale `xx` is not known");
    refused("{{if a}}", (1, 1), "`if` is written `{{#if …}}…{{/if}}`");
    refused("{{#upper a}}{{/upper}}", (1, 1), "`upper` is written `{{upper …}}`");
    refused("{{> (lookup this \"x\")}}", (1, 1), "the name of a partial can't be computed");
    refused("{{* foo}}", (1, 1), "decorator `foo` is not known");
}

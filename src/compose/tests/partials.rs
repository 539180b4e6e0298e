//! Partials, layouts and what is wrong with them.

use super::*;

#[test]
fn partials_are_chosen_by_kind_and_keep_their_places() {
    let dir = Dir::both("{{> header}}{{> sig name=\"N\"}}", "{{> header}}{{> sig name=\"N\"}}")
        .with("header.txt.hbs", "TEXT {{x}}\n")
        .with("header.html.hbs", "<h1>{{x}}</h1>")
        .with("sig.hbs", "-- {{name}} {{y}}");
    let message = dir.composer().compose(&row(json!({"x": "<", "y": "Y"})), DATE).unwrap();
    let raw = whole(&message);
    let parsed = MessageParser::new().parse(&raw).unwrap();
    assert_eq!(parsed.body_text(0).unwrap().trim_end(), "TEXT <\r\n-- N Y");
    assert_eq!(parsed.body_html(0).unwrap().trim_end(), "<h1>&lt;</h1>-- N Y");
    assert_eq!(dir.fails(json!({"x": "1"})), "`y` has no value (sig.hbs:1:13)");
    assert_eq!(dir.fails(json!({"y": "1"})), "`x` has no value (header.txt.hbs:1:6)");
    let columns = dir.composer().columns().unwrap();
    assert_eq!(columns.into_iter().collect::<Vec<_>>(), ["x", "y"]);
}

#[test]
fn layouts_inline_partials_and_folders() {
    let dir =
        Dir::text("{{#> parts/layout}}{{#*inline \"nav\"}}<{{x}}>{{/inline}}Body {{y}}{{/parts/layout}}")
            .with("parts/layout.hbs", "{{> nav}} [{{> @partial-block}}] {{#> absent}}fallback{{/absent}}");
    assert_eq!(dir.says(json!({"x": 1, "y": 2})), "<1> [Body 2] fallback\r\n");
    assert_eq!(dir.composer().columns().unwrap().len(), 2);
}

#[test]
fn what_is_wrong_with_partials_is_known_at_start_up() {
    let refused = |dir: Dir, file: &str, place: (usize, usize), problem: &str| {
        let error = dir.refused();
        assert!(error.path.ends_with(file), "{error:?}");
        assert_eq!((error.place, error.to_string()), (Some(place), problem.to_owned()));
        error.hint
    };
    let dir = Dir::text("\n {{> haeder}}").with("header.hbs", "x");
    let hint = refused(dir, "t.txt.hbs", (2, 2), "partial `haeder` not found");
    assert_eq!(hint.as_deref(), Some("did you mean `header`?"));
    let dir = Dir::text("{{> a}}").with("a.hbs", "x{{> b}}").with("b.hbs", "{{#if x}}\n{{> a}}{{/if}}");
    refused(dir, "b.hbs", (2, 1), "partial `a` includes itself");
    let dir = Dir::text("{{> a}}").with("a.hbs", "x\n{{uper x}}");
    refused(dir, "a.hbs", (2, 1), "helper `uper` is not known");
    let dir = Dir::text("{{> a}}").with("a.hbs", "{{> @partial-block}}");
    refused(dir, "a.hbs", (1, 1), "`{{> @partial-block}}` is not inside a partial with a block");
    let dir = Dir::text("{{> a}}").with("a.hbs", b"ab\nc\xff");
    refused(dir, "a.hbs", (2, 2), "the partial is not UTF-8");
}

//! What is wrong with a template is known before the first row, with its place. What a template can
//! cost is bounded.

use std::path::Path;

use super::super::engine::render_to_string;
use super::super::values::Columns;
use super::depth::DEEPEST;
use super::*;
use crate::mail::Address;
use crate::plan::Row;

/// The largest message of these tests.
const LARGEST: usize = 1_000_000;

fn error(text: &str) -> TemplateError {
    let settings = Settings { strict: true, root: "c".into(), partials: None, largest: LARGEST };
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
    refused(
        "{{date d zone=\"Europe/Pars\"}}",
        (1, 1),
        "`Europe/Pars` is not a time zone such as `Europe/Berlin` or `+02:00`; did you mean `Europe/Paris`?",
    );
    refused("{{number n locale=\"xx\"}}", (1, 1), "locale `xx` is not known");
    refused("{{if a}}", (1, 1), "`if` is written `{{#if …}}…{{/if}}`");
    refused("{{#upper a}}{{/upper}}", (1, 1), "`upper` is written `{{upper …}}`");
    refused("{{> (lookup this \"x\")}}", (1, 1), "the name of a partial can't be computed");
    refused("{{* foo}}", (1, 1), "decorator `foo` is not known");
}

/// A folder with these partials, and what becomes of `text` there.
fn with_partials(partials: &[(&str, &str)], text: &str) -> Result<Box<dyn Template>, TemplateError> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in partials {
        std::fs::write(folder.path().join(format!("{name}.hbs")), text).unwrap();
    }
    let partials = Some(folder.path().to_owned());
    let settings = Settings { strict: true, root: "c".into(), partials, largest: LARGEST };
    HandlebarsEngine::new(settings).compile(Source::value(Path::new("c/t.hbs"), "t.hbs", text), Part::Text)
}

fn nested(depth: usize, inner: &str) -> String {
    "{{#if x}}".repeat(depth) + inner + &"{{/if}}".repeat(depth)
}

/// What `text` gives for this row.
fn rendered(text: &str, row: serde_json::Value) -> Result<String, Fault> {
    let template = with_partials(&[("part", "{{x}}"), ("frame", "<{{> @partial-block}}>")], text).unwrap();
    let serde_json::Value::Object(row) = row else { panic!("a row is an object") };
    let columns = Columns { email: "email".to_owned(), id: None, name: None };
    let row = Row {
        index: 0,
        file: 0,
        row: 1,
        email: "a@example.com".to_owned(),
        address: Address::parse("a@example.com").unwrap(),
        id: None,
        name: None,
        values: row,
        messages: None,
    };
    let defaults = serde_json::Map::new();
    render_to_string(&*template, &Values::new(&row, &columns, &defaults, Vec::new()))
}

fn fails(text: &str, row: &serde_json::Value, problem: &str) {
    let started = std::time::Instant::now();
    let fault = rendered(text, row.clone()).expect_err(text).to_string();
    assert_eq!(fault, problem, "{text}");
    assert!(started.elapsed().as_secs() < 30, "{text}: {:?}", started.elapsed());
}

#[test]
fn what_is_too_deep_is_refused_before_it_is_parsed() {
    for deep in [20_000, DEEPEST + 1] {
        let problem = "blocks, partials and parentheses are nested more than 100 deep";
        refused(&nested(deep, ""), (1, 9 * DEEPEST + 1), problem);
        refused(&format!("{{{{upper {}x{}}}}}", "(upper ".repeat(deep), ")".repeat(deep)), (1, 1), problem);
        let chain = format!("{{{{#if x}}}}{}{{{{/if}}}}", "\n{{else if x}}".repeat(deep));
        refused(&chain, (DEEPEST + 1, 1), problem);
    }
    // The deepest template is rendered by both ways on the small stack of a test.
    let most = nested(DEEPEST, "{{x}}");
    assert_eq!(rendered(&most, serde_json::json!({"x": "a"})).unwrap(), "a");
    let called = format!("{{{{#each y}}}}{}{{{{/each}}}}", nested(DEEPEST - 1, "{{x}}"));
    let row = serde_json::json!({"y": [{"x": "a"}, {"x": "b"}]});
    assert_eq!(rendered(&called, row).unwrap(), "ab");
}

#[test]
fn partials_can_neither_be_nested_nor_multiply_without_end() {
    let include = |number: usize| format!("p{number}");
    let names: Vec<String> = (0..1_000).map(include).collect();
    let chain: Vec<String> = (1..=1_000).map(|next| format!("{{{{> p{next}}}}}")).collect();
    let mut partials: Vec<(&str, &str)> =
        names.iter().zip(&chain).map(|(name, text)| (name.as_str(), text.as_str())).collect();
    partials.push(("p1000", "end"));
    let error = with_partials(&partials, "{{> p0}}").expect_err("a long chain");
    assert_eq!(error.to_string(), "blocks, partials and parentheses are nested more than 100 deep");
    // 2 to the power of 40 includes.
    let doubled: Vec<String> = chain.iter().map(|text| text.repeat(2)).collect();
    let mut partials: Vec<(&str, &str)> =
        names.iter().zip(&doubled).take(40).map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let end = "x".repeat(1_000);
    partials.push(("p40", &end));
    let error = with_partials(&partials, "{{> p0}}").expect_err("a doubling chain");
    assert_eq!(error.to_string(), "with its partials the template is larger than a message may be");
}

#[test]
fn a_rendering_ends_after_so_many_steps() {
    let row = serde_json::json!({"a": vec![serde_json::json!({"x": "a"}); 2_000], "y": "b"});
    let all = |inner: &str| {
        let each = "{{#each @root.a}}";
        format!("\n {}{inner}{}", each.repeat(3), "{{/each}}".repeat(3))
    };
    let problem = "the lists of this row are too long: more than 1,000,000 steps";
    for (text, place) in
        [(all(""), "2:36"), (format!("{{{{#> frame}}}}{}{{{{/frame}}}}", all("{{x}}")), "2:53")]
    {
        fails(&text, &row, &format!("{problem} (t.hbs:{place})"));
    }
    assert_eq!(
        rendered("{{#each a}}{{x}}{{else}}{{y}}{{/each}}{{y}}", row).unwrap(),
        "a".repeat(2_000) + "b"
    );
}

#[test]
fn a_rendering_ends_after_so_many_bytes() {
    let text = "x".repeat(LARGEST / 10);
    let row = serde_json::json!({"a": vec![0; 100], "x": text});
    let problem = "the text is larger than `template.largest` allows";
    fails(&"{{x}}\n".repeat(11), &row, &format!("{problem} (t.hbs:10:1)"));
    fails("{{#each a}}{{@root.x}}{{/each}}", &row, &format!("{problem} (t.hbs:1:12)"));
    fails("{{#> frame}}{{#each a}}{{@root.x}}{{/each}}{{/frame}}", &row, &format!("{problem} (t.hbs:1:24)"));
    fails(&format!("{{{{#each a}}}}{text}{{{{/each}}}}"), &row, &format!("{problem} (t.hbs:1:12)"));
    let most = rendered(&"{{x}}".repeat(10), row).unwrap();
    assert_eq!(most.len(), LARGEST);
}

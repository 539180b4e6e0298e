//! What is rendered fast is what the crate renders, over random templates and rows.

use std::fs;

use proptest::prelude::*;
use serde_json::{Map, json};

use super::super::super::engine::Engine;
use super::super::super::engine::{Settings, Source, render_to_string};
use super::super::super::values::Columns;
use super::super::HandlebarsEngine;
use super::*;
use crate::mail::Address;
use crate::plan::Row;

/// Names of a row: columns with and without values, numbers, lists, groups, defaults, nothing at
/// all.
const NAMES: [&str; 12] =
    ["a", "b", "n", "t", "l", "o", "nothing", "d", "z", "email", "message_id", "unknown"];

const TEXTS: [&str; 10] =
    ["", " ", "Ann", "Grüße", "<b> & \"c\"='d'`e`", "日本語", "x\r\ny", "{{a}}", "\0", "0"];

fn template() -> impl Strategy<Value = String> {
    let name = || prop::sample::select(NAMES.to_vec());
    let leaf = prop_oneof![
        prop::sample::select(vec!["text", "a line\n", " \t\n", "\n", "Grüße {", "<p>\"&\"</p>\n"])
            .prop_map(str::to_owned),
        name().prop_map(|name| format!("{{{{{name}}}}}")),
        name().prop_map(|name| format!("{{{{{{{name}}}}}}}")),
        name().prop_map(|name| format!("{{{{~{name}~}}}}")),
        name().prop_map(|name| format!("{{{{{name}}}}}\n")),
        name().prop_map(|name| format!("{{{{o.{name}}}}}")),
        name().prop_map(|name| format!("{{{{upper {name}}}}} {{{{default {name} \"else\"}}}}")),
        name().prop_map(|name| format!("{{{{#each l}}}}{{{{this}}}}{{{{../{name}}}}}{{{{/each}}}}")),
        Just("{{! a comment }}".to_owned()),
        Just("{{!-- another --}}\n".to_owned()),
        Just("{{> sign}}".to_owned()),
        Just("  {{> sign}}\n".to_owned()),
        Just("{{> sign b=a}}".to_owned()),
        Just("{{#*inline \"x\"}}y{{/inline}}{{> x}}".to_owned()),
        Just("\\{{a}} ".to_owned()),
    ];
    leaf.prop_recursive(4, 24, 5, move |inner| {
        let inner = prop::collection::vec(inner, 1..5).prop_map(|pieces| pieces.concat());
        prop_oneof![
            inner.clone(),
            (name(), inner.clone(), inner.clone(), prop::sample::select(vec!["", " includeZero=true"]))
                .prop_map(|(name, yes, no, option)| {
                    format!("{{{{#if {name}{option}}}}}{yes}{{{{else}}}}{no}{{{{/if}}}}")
                }),
            (name(), name(), inner.clone(), inner.clone()).prop_map(|(one, two, yes, no)| {
                format!("{{{{#if {one}}}}}\n{yes}\n{{{{else if {two}}}}}\n{no}\n{{{{/if}}}}\n")
            }),
            (name(), inner.clone())
                .prop_map(|(name, inner)| { format!("{{{{#unless {name}}}}}{inner}{{{{/unless}}}}") }),
            (name(), inner).prop_map(|(name, inner)| format!("{{{{#with {name}}}}}{inner}{{{{/with}}}}")),
        ]
    })
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        prop::sample::select(TEXTS.to_vec()).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        (-1_i64..3).prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        Just(json!([])),
        Just(json!(["x", "<y>", null])),
        Just(json!({"a": "inner", "b": null})),
        Just(Value::Null),
    ]
}

fn row(values: Value) -> Row {
    let Value::Object(values) = values else { panic!("a row is an object") };
    Row {
        index: 0,
        file: 0,
        row: 1,
        email: "a@example.com".into(),
        address: Address::parse("a@example.com").unwrap(),
        id: None,
        name: None,
        values,
        messages: None,
    }
}

fn settings(folder: &std::path::Path, strict: bool) -> Settings {
    let partials = Some(folder.to_owned());
    Settings { strict, root: folder.to_owned(), partials, largest: 1_000_000 }
}

/// Renders `text` with and without the steps; the errors as texts.
fn both(text: &str, part: Part, strict: bool, row: &Row) -> [Result<String, String>; 2] {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("sign.hbs"), "Yours\n{{#if b}}{{b}}\n{{/if}}\n").unwrap();
    let settings = settings(folder.path(), strict);
    let columns = Columns { email: "email".into(), id: None, name: None };
    let defaults: Map<String, Value> = [("d", json!("by <default>")), ("z", json!(0)), ("blank", json!(" "))]
        .map(|(name, value)| (name.to_owned(), value))
        .into_iter()
        .collect();
    let values = || Values::new(row, &columns, &defaults, vec![("message_id", Some("1@example.com"))]);
    [true, false].map(|fast| {
        let engine = HandlebarsEngine { settings: settings.clone(), fast };
        let source = Source::value(&folder.path().join("t.hbs"), "t.hbs", text);
        let template = engine.compile(source, part).map_err(|error| error.to_string())?;
        render_to_string(&*template, &values()).map_err(|error| error.to_string())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn its_bytes_are_those_of_the_crate(
        text in template(),
        html in any::<bool>(),
        strict in any::<bool>(),
        a in value(), b in value(), n in value(), t in value(),
    ) {
        let part = if html { Part::Html } else { Part::Text };
        let row = row(json!({
            "a": a, "b": b, "n": n, "t": t, "l": ["x", 1, "<z>"], "o": {"a": "in o", "n": 0}, "nothing": null,
        }));
        let [fast, plain] = both(&text, part, strict, &row);
        prop_assert_eq!(fast, plain, "{}", text);
    }
}

#[test]
fn what_templates_are_mostly_made_of_is_rendered_fast() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("sign.hbs"), "Yours\n{{#if b}}{{b}}\n{{/if}}\n").unwrap();
    let settings = settings(folder.path(), true);
    let text = "Dear {{a}},\n{{#if b}}\nYour {{b}} is ready.\n{{/if}}\n{{! why }}{{> sign}}\n";
    let source = Source::value(&folder.path().join("t.hbs"), "t.hbs", text);
    let library = Library::read(&settings, Part::Text, source).unwrap();
    let (fast, _) = Fast::of(&library).expect("no element changes what comes after it");
    assert!(!format!("{:?}", fast.steps).contains("Other"), "{:?}", fast.steps);
}

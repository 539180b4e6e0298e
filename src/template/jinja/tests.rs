//! What is wrong with a template is known before the first row, with its place. What a template can
//! cost is bounded, and HTML is escaped.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Map, Value as Json, json};

use super::super::engine::render_to_string;
use super::super::values::Columns;
use super::names::{FILTERS, FUNCTIONS, TESTS};
use super::*;
use crate::mail::Address;
use crate::plan::Row;

/// The largest message of these tests.
const LARGEST: usize = 1_000_000;

/// A template beside these files.
fn compiled(
    files: &[(&str, &str)],
    text: &str,
    part: Part,
    strict: bool,
) -> Result<Box<dyn Template>, TemplateError> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let partials = Some(folder.path().to_owned());
    let settings = Settings { strict, root: folder.path().to_owned(), partials, largest: LARGEST };
    JinjaEngine::new(settings).compile(Source::value(Path::new("c/t.j2"), "t.j2", text), part)
}

fn render(template: &dyn Template, row: &Json) -> Result<String, Fault> {
    let Json::Object(row) = row.clone() else { panic!("a row is an object") };
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
    let defaults = Map::new();
    render_to_string(template, &Values::new(&row, &columns, &defaults, Vec::new()))
}

fn html(text: &str, row: &Json) -> String {
    render(&*compiled(&[], text, Part::Html, true).unwrap(), row)
        .unwrap_or_else(|fault| panic!("{text}: {fault}"))
}

fn refused(text: &str, place: (usize, usize), problem: &str) {
    let error = compiled(&[], text, Part::Text, true).expect_err(text);
    assert_eq!((error.place, error.to_string()), (Some(place), problem.to_owned()), "{text}");
}

fn fails(text: &str, row: &Json, problem: &str) {
    let template = compiled(&[("part.j2", "\n {{ y.z }}")], text, Part::Text, true).unwrap();
    assert_eq!(render(&*template, row).expect_err(text).to_string(), problem, "{text}");
}

#[test]
fn errors_have_their_place() {
    refused("a\n  {% if x %}b\n", (2, 13), "unexpected end of input, expected end of block");
    refused("ab {{ name\nx", (2, 1), "unexpected identifier, expected end of variable block");
    refused("x {{ name|uper }}", (1, 11), "filter `uper` is not known");
    refused("{% if x is defind %}{% endif %}", (1, 12), "test `defind` is not known");
    refused("\n{{ rnge(3) }}", (2, 4), "function `rnge` is not known");
    refused("{{ d|date('%Q') }}", (1, 6), "`%Q` is not a date pattern");
    refused("{{ d|date(zoom='x') }}", (1, 6), "`date` has no option `zoom`");
    refused("{{ n|number(locale='xx') }}", (1, 6), "locale `xx` is not known");
    refused("{{ n|currency }}", (1, 6), "`currency` takes 1 to 1 arguments in its parentheses");
    refused("{{ a + (b + a) }}", (1, 4), "a value is added to itself");
    refused("{% include name %}", (1, 12), "the name of an included file can't be computed");
    refused("{% include 'none.j2' %}", (1, 12), "file `none.j2` not found");
    let error = compiled(&[], "{% include '../../../../../../etc/passwd' %}", Part::Text, true).unwrap_err();
    assert_eq!(error.to_string(), "this file is outside of the templates' folder");
    let error = compiled(&[], "{{ x|uper }}", Part::Text, true).unwrap_err();
    assert_eq!(error.hint.as_deref(), Some("did you mean `upper`?"));
    let error = compiled(&[("part.j2", "{{ x|uper }}")], "\n{% include 'part.j2' %}", Part::Text, true);
    assert!(error.unwrap_err().at().ends_with("part.j2:1:6"));
}

#[test]
fn all_known_names_are_known_to_the_crate() {
    let mut environment = Environment::new();
    filters::add(&mut environment, true);
    let mut state = environment.empty_state();
    for filter in FILTERS {
        let known = state.apply_filter(filter, &[]);
        assert!(!known.is_err_and(|error| error.kind() == minijinja::ErrorKind::UnknownFilter), "{filter}");
    }
    for test in TESTS {
        let known = state.perform_test(test, &[]);
        assert!(!known.is_err_and(|error| error.kind() == minijinja::ErrorKind::UnknownTest), "{test}");
    }
    for function in FUNCTIONS {
        assert!(environment.globals().any(|(name, _)| name == *function), "{function}");
    }
}

#[test]
fn html_is_escaped() {
    let row = json!({ "x": "<b>'\"&/", "list": ["<", "&"], "group": { "<": "<" } });
    let check = |text: &str, expected: &str| assert_eq!(html(text, &row), expected, "{text}");
    check("{{ x }}", "&lt;b&gt;&#39;&quot;&amp;/");
    check("{{ x ~ '<' }}{{ x + '<' }}", "&lt;b&gt;&#39;&quot;&amp;/&lt;&lt;b&gt;&#39;&quot;&amp;/&lt;");
    check("{% set y %}<i>{{ list[0] }}</i>{% endset %}{{ y }}{{ y ~ '<' }}", "<i>&lt;</i><i>&lt;</i>&lt;");
    check("{% for k, v in group.items() %}{{ k }}{{ v }}{% endfor %}", "&lt;&lt;");
    check("{% macro m(a) %}<p>{{ a }}{% endmacro %}{{ m(list[0]) }}", "<p>&lt;");
    check("{{ list|join('<') }}{{ list|first }}{{ x|upper }}", "&lt;&lt;&amp;&lt;&lt;B&gt;&#39;&quot;&amp;/");
    check("{{ '<b>'|safe }}{{ '<'|e }}{{ '<'|e|e }}", "<b>&lt;&lt;");
    check("{{ '%s'|format(x) }}{{ ('<i>%s'|safe)|format('<') }}", "&lt;b&gt;&#39;&quot;&amp;/<i>&lt;");
    check("{{ ('<p>'|safe).replace('p', '<') }}", "&lt;&lt;&gt;");
    check("{{ x|replace('b', '<')|trim|indent(2)|title }}", "&lt;&lt;&gt;&#39;&quot;&amp;/");
    check(
        "{{ '{}'.format('<') }}{{ ['<']|map('upper')|join }}{{ ['<']|map('upper')|first }}",
        "&lt;&lt;&lt;",
    );
    let text = compiled(&[], "{{ x }}", Part::Text, true).unwrap();
    assert_eq!(render(&*text, &row).unwrap(), "<b>'\"&/");
}

#[test]
fn what_has_no_value_is_not_printed() {
    let row = json!({ "a": null, "b": "  ", "c": { "d": null, "e": "" }, "list": [1, null], "n": 2 });
    for (name, text) in [
        ("a", "x\n {{ a }}"),
        ("b", "x\n {{ b }}"),
        ("x", "x\n {{ x }}"),
        ("c.d", "x\n {{ c.d }}"),
        ("c.e", "x\n {{ c.e }}"),
        ("c.f", "x\n {{ c.f }}"),
        ("a", "x\n {{ a|upper }}"),
        ("a", "x\n {{ a|date('%Y') }}"),
        ("a", "x\n {{ 'x' ~ a }}"),
        ("a.b", "x\n {{ a.b }}"),
        ("a", "x\n {{ n if n == 1 else a }}"),
        ("list[1]", "x\n {{ list[1] }}"),
        ("none", "x\n {{ none }}"),
    ] {
        let template = compiled(&[], text, Part::Text, true).unwrap();
        match render(&*template, &row) {
            Err(Fault::NoValue { name: given, place }) => {
                assert!(given == name || name == "a.b" && given == "a", "{text}: {given}");
                assert_eq!((place.template.as_str(), place.line), ("t.j2", 2), "{text}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }
    fails("{{ list }}", &row, "this is a list: use `{% for %}` or `|join(\", \")` (t.j2:1:4)");
    fails("{{ c }}", &row, "this is a group of values: name one of them (t.j2:1:4)");
    fails("a{% include 'part.j2' %}", &row, "`y` has no value (part.j2:2:5)");
    let fine = "{% if a %}x{% endif %}{{ a|default('b') }}{{ a or 'c' }}{{ '' if a is none }}\
         {% if a is not none and a is defined %}x{% endif %}";
    assert_eq!(html(fine, &row), "bc");
    let lenient = compiled(&[], "[{{ a }}{{ c.d.e }}{{ none }}{{ a|date }}]", Part::Text, false).unwrap();
    assert_eq!(render(&*lenient, &row).unwrap(), "[]");
}

#[test]
fn columns_are_those_that_no_template_sets() {
    let files = [
        ("row.j2", "{{ item.name }}{{ shop }}"),
        ("lib.j2", "{% macro dear(who) %}{{ who }}{{ title }}{% endmacro %}"),
        ("base.j2", "{{ head }}{% block body %}{% endblock %}"),
    ];
    let check = |text: &str, printed: &[&str], tested: &[&str]| {
        let template = compiled(&files, text, Part::Text, true).unwrap();
        let names = |set: &std::collections::BTreeSet<(String, super::super::error::Place)>| {
            set.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(names(&template.uses().printed), printed, "{text}");
        assert_eq!(names(&template.uses().tested), tested, "{text}");
        assert!(!template.uses().whole_row);
    };
    check("{{ a }}{% if b %}{{ c.d }}{% endif %}", &["a", "c"], &["b"]);
    check(
        "{% for item in items %}{% include 'row.j2' %}{{ loop.index }}{% endfor %}",
        &["items", "shop"],
        &[],
    );
    check("{% set x = a %}{{ x }}", &[], &["a"]);
    check("{% if a %}{% set x = 1 %}{% endif %}{{ x }}", &[], &["a", "x"]);
    check("{% if a %}{% set x = 1 %}{% else %}{% set x = 2 %}{% endif %}{{ x }}", &[], &["a"]);
    check("{% from 'lib.j2' import dear %}{{ dear(name) }}", &["title"], &["name"]);
    check("{% import 'lib.j2' as lib %}{{ lib.dear(name) }}", &["title"], &["name"]);
    check("{% extends 'base.j2' %}{% block body %}{{ a|default(b) }}{% endblock %}", &["b", "head"], &["a"]);
    check("{% with x = a %}{{ x }}{% endwith %}{{ x }}", &["x"], &["a"]);
    check("{{ range(3)|join }}{{ a is defined }}{{ unsubscribe_url }}", &[], &["a"]);
}

#[test]
fn helpers_of_all_languages_are_filters() {
    let row = json!({ "d": "2026-05-31", "n": 1234.5, "s": "a/b c" });
    let text = "{{ d|date('%d.%m.%Y') }} {{ d|date(format='%Y') }} {{ n|number(decimals=2, locale='de') }} \
         {{ n|currency('€', locale='de') }} {{ s|url }} {{ s|urlencode }} {{ s|title }}";
    assert_eq!(html(text, &row), "31.05.2026 2026 1.234,50 1.234,50\u{a0}€ a%2Fb%20c a/b%20c A/b C");
    fails("{{ n|date }}", &row, "`1234.5` is not a date (t.j2:1:6)");
    fails("{{ [1]|number }}", &row, "`number` needs one value, and this holds several (t.j2:1:8)");
}

#[test]
fn hostile_templates_end() {
    let deep = |open: &str, close: &str| format!("{}x{}", open.repeat(20_000), close.repeat(20_000));
    let templates = [
        "{% for a in range(100000) %}{% for b in range(100000) %}x{% endfor %}{% endfor %}".to_owned(),
        "{% set ns = namespace(s='xxxxxxxx') %}{% for a in range(100) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}".to_owned(),
        "{% set ns = namespace(s=[1]) %}{% for a in range(100) %}{% set ns.s = ns.s + ns.s[0:] %}{% endfor %}".to_owned(),
        "{% set ns = namespace(s=1) %}{% for a in range(100000) %}{% set ns.s = [ns.s] %}{% endfor %}{{ ns.s|string }}".to_owned(),
        "{% set s = [s] %}".repeat(20_000),
        format!("{{% set s = [1] %}}{{% set t = [1] %}}{}{{{{ s }}}}", "{% set s = s + t %}{% set t = t + s %}".repeat(50)),
        "{% macro m(s, t) %}{{ m(s + t, t + s) }}{% endmacro %}{{ m([1], [2]) }}".to_owned(),
        "{% macro m(s) %}{{ m([s]) }}{{ s|string }}{% endmacro %}{{ m([1]) }}".to_owned(),
        "{{ 'x' * 2000000000 }}".to_owned(),
        "{{ '%2000000000d'|format(1) }}{{ '{:2000000000}'.format(1) }}".to_owned(),
        "{% set s = 'x' * 100000 %}{% for a in range(1000) %}{{ s }}{% endfor %}".to_owned(),
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}".to_owned(),
        "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}".to_owned(),
        "{% include 'self.j2' %}".to_owned(),
        "{% include 'twice.j2' %}".to_owned(),
        "{% extends 'child.j2' %}".to_owned(),
        "{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}".to_owned(),
        "{{ ('x' * 1000000)|replace('x', 'y' * 1000) }}".to_owned(),
        "{{ (range(100000)|list * 1000)|sort|first }}".to_owned(),
        "{{ 10 ** 1000000 }}".to_owned(),
        "{{ [[1]] * 100000 * 100000 }}".to_owned(),
        deep("{% if true %}", "{% endif %}"),
        deep("{% for x in [1] %}", "{% endfor %}"),
        deep("{% if true %}a{% elif true %}", ""),
        format!("{{% if true %}}{}{{% endif %}}", "{% elif x %}".repeat(20_000)),
        format!("{{{{{}}}}}", deep("(", ")")),
        format!("{{{{{}}}}}", deep("[", "]")),
        format!("{{{{{}}}}}", deep("not ", "")),
        format!("{{{{{}}}}}", deep("-", "")),
        format!("{{{{ x{} }}}}", "+1".repeat(20_000)),
        format!("{{{{ x{} }}}}", "|trim".repeat(20_000)),
        format!("{{{{ x{} }}}}", "[0]".repeat(20_000)),
        format!("{{{{ x{} }}}}", ".a".repeat(20_000)),
        format!("{{{{ range{} }}}}", "()".repeat(20_000)),
        format!("{{{{ x{} }}}}", " if x else x".repeat(20_000)),
        format!("{{{{ x{} }}}}", " < x".repeat(20_000)),
        format!("{}{{{{ missing", "\n".repeat(100_000)),
        format!("{}{{{{ missing.a.b }}}}", "\n".repeat(100_000)),
    ];
    let files = [
        ("self.j2", "{% include 'self.j2' %}"),
        ("twice.j2", "{% include 'other.j2' %}{% include 'other.j2' %}"),
        ("other.j2", "{% include 'twice.j2' %}{% include 'twice.j2' %}"),
        ("child.j2", "{% extends 'child.j2' %}"),
    ];
    for text in templates {
        let start = Instant::now();
        let given = compiled(&files, &text, Part::Html, true)
            .map_err(|error| error.to_string())
            .and_then(|template| render(&*template, &json!({ "x": "a" })).map_err(|fault| fault.to_string()));
        let short = &text[..80.min(text.len())];
        assert!(given.is_err(), "{short}");
        // A second of an optimised program; tests are not, and run beside each other.
        assert!(start.elapsed() < Duration::from_secs(20), "{short}: {:?}", start.elapsed());
    }
}

#[test]
fn long_templates_are_no_hostile_ones() {
    let one = "{% if x == 'a' and x != 'b' %}{{ x|default('y')|upper }}\n{% elif x %}b{% endif %}";
    let long = one.repeat(500);
    assert_eq!(html(&long, &json!({ "x": "a" })).len(), 2 * 500);
    let list = format!("{{% set l = [{}] %}}{{{{ l|length }}}}", "{'a': (1, 2)}, ".repeat(2_000));
    assert_eq!(html(&list, &json!({})), "2000");
}

#[test]
fn a_rendering_ends_after_so_many_bytes() {
    let row = json!({ "x": "x".repeat(LARGEST / 10) });
    fails(&"{{ x }}".repeat(11), &row, "the text is larger than `template.largest` allows (t.j2)");
    let most = compiled(&[], &"{{ x }}".repeat(10), Part::Text, true).unwrap();
    assert_eq!(render(&*most, &row).unwrap().len(), LARGEST);
}

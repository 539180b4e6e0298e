//! Letters in Jinja, alone and beside the other languages.

use super::*;

fn letter(subject: &str, html: &str) -> Dir {
    Dir::new(subject, "html = \"t.html.j2\"\ntext = \"t.txt.hbs\"")
        .with("t.txt.hbs", "Dear {{name}}")
        .with("t.html.j2", html)
}

#[test]
fn a_letter_mixes_languages_and_includes_files() {
    let html = "{% include 'parts/head.j2' %}{% import 'lib.j2' as lib %}<p>{{ lib.dear(name) }}</p>\n\
         {% for item in items -%}\n{{ item.name }}: {{ item.price|number(decimals=2, locale='de') }}<br>\n{% endfor %}";
    let dir = letter("Hi {{ name|upper }}!", html)
        .with("parts/head.j2", "<h1>{{ points|number(locale='de') }}</h1>")
        .with("lib.j2", "{% macro dear(who) %}Dear {{ who }}{% endmacro %}");
    let values = json!({ "name": "<Ann>", "points": 1234.5, "items": [{ "name": "a&b", "price": 2.5 }] });
    let message = dir.composer().compose(&row(values), DATE).unwrap();
    let raw = whole(&message);
    let parsed = MessageParser::new().parse(&raw).unwrap();
    assert_eq!(parsed.subject(), Some("Hi <ANN>!"));
    assert_eq!(parsed.body_text(0).unwrap().trim_end(), "Dear <Ann>");
    let expected = "<h1>1.234,5</h1><p>Dear &lt;Ann&gt;</p>\r\na&amp;b: 2,50<br>";
    assert_eq!(parsed.body_html(0).unwrap().trim_end(), expected);
    let columns = dir.composer().columns().unwrap();
    assert_eq!(columns.into_iter().collect::<Vec<_>>(), ["items", "name", "points"]);
}

#[test]
fn a_subject_in_jinja_stays_one_line() {
    let dir = letter("Hi {{ name }}", "x");
    let message = dir.composer().compose(&row(json!({ "name": "a\r\nBcc: b@example.com" })), DATE).unwrap();
    let raw = whole(&message);
    let parsed = MessageParser::new().parse(&raw).unwrap();
    assert_eq!(parsed.subject(), Some("Hi a Bcc: b@example.com"));
    assert!(parsed.bcc().is_none());
}

#[test]
fn a_value_that_is_missing_fails_its_row_with_its_place() {
    let dir = letter("x", "<p>\n  {{ first_name }}</p>");
    for values in [json!({ "name": "N" }), json!({ "name": "N", "first_name": "  " })] {
        assert_eq!(dir.fails(values), "`first_name` has no value (t.html.j2:2:6)");
    }
    let dir = letter("x", "{{ first_name|default('friend') }}{% if last_name %}{{ last_name }}{% endif %}");
    assert!(dir.says(json!({ "name": "N" })).contains("friend"));
    let dir = letter("x", "{{ first_name }}").more("[template.defaults]\nfirst_name = \"friend\"");
    assert!(dir.says(json!({ "name": "N" })).contains("friend"));
    let dir = letter("x", "[{{ first_name }}]").more("strict = false");
    assert!(dir.says(json!({ "name": "N" })).contains("[]"));
    let dir = letter("x", "{% include 'none.j2' ignore missing %}{% include 'part.j2' %}")
        .with("part.j2", "\n{{ 1 / 0 }}");
    assert_eq!(dir.fails(json!({ "name": "N" })), "unable to calculate 1 / 0 (part.j2:2:4)");
}

#[test]
fn columns_that_do_not_exist_are_found_with_the_nearest() {
    let columns = |html: &str| {
        let dir = letter("x", html);
        dir.composer()
            .check_columns(&["name", "first_name"])
            .map_err(|error| (error.at(), error.to_string(), error.hint))
    };
    let (at, problem, hint) = columns("a\n{{ frist_name }}").unwrap_err();
    assert!(at.ends_with("t.html.j2:2:4"), "{at}");
    assert_eq!(problem, "`frist_name` is printed, and there is no such column");
    assert_eq!(hint.as_deref(), Some("did you mean `first_name`?"));
    for fine in [
        "{{ frist_name|default('') }}",
        "{% set frist_name = 'x' %}{{ frist_name }}",
        "{% for frist_name in [1] %}{{ frist_name }}{% endfor %}",
        "{% macro m(frist_name) %}{{ frist_name }}{% endmacro %}{{ m('x') }}",
    ] {
        assert!(columns(fine).is_ok(), "{fine}");
    }
}

#[test]
fn the_campaign_may_say_the_language() {
    let dir = Dir::new("Hi {{ name|upper }}", "engine = \"jinja\"\ntext = \"letter.txt\"")
        .with("letter.txt", "{{ name|upper }}");
    assert_eq!(dir.says(json!({ "name": "Ann" })), "ANN\r\n");
    let dir =
        Dir::new("Hi {{ name|upper }}", "text = \"letter.jinja\"").with("letter.jinja", "{{ name|lower }}");
    assert_eq!(dir.says(json!({ "name": "Ann" })), "ann\r\n");
}

#[test]
fn the_unsubscribe_link_is_printed() {
    let dir = letter("x", "<a href=\"{{ unsubscribe_url }}\">x</a>")
        .more("[unsubscribe]\nhttps = \"https://mail.example.com/u/{{token}}\"");
    assert!(dir.says(json!({ "name": "N" })).contains("https://mail.example.com/u/"));
}

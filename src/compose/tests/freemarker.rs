//! Letters in FreeMarker, alone and beside Handlebars.

use super::*;

fn letter(subject: &str, html: &str) -> Dir {
    Dir::new(subject, "html = \"t.html.ftl\"\ntext = \"t.txt.hbs\"")
        .with("t.txt.hbs", "Dear {{name}}")
        .with("t.html.ftl", html)
}

#[test]
fn a_letter_mixes_languages_and_includes_files() {
    let html = "<#include 'parts/head.ftl'><#import 'lib.ftl' as lib><p><@lib.dear/></p>\n\
         <#list items as item>\n${item.name}: ${item.price?string('0.00')}<br>\n</#list>\n";
    let dir = letter("Hi ${name}!", html)
        .with("parts/head.ftl", "<#setting locale='de_DE'><h1>${points}</h1>")
        .with("lib.ftl", "<#macro dear>Dear ${name}</#macro>");
    let values = json!({ "name": "<Ann>", "points": 1234.5, "items": [{ "name": "a&b", "price": 2.5 }] });
    let message = dir.composer().compose(&row(values), DATE).unwrap();
    let raw = whole(&message);
    let parsed = MessageParser::new().parse(&raw).unwrap();
    assert_eq!(parsed.subject(), Some("Hi <Ann>!"));
    assert_eq!(parsed.body_text(0).unwrap().trim_end(), "Dear <Ann>");
    let expected = "<h1>1.234,5</h1><p>Dear &lt;Ann&gt;</p>\r\na&amp;b: 2,50<br>";
    assert_eq!(parsed.body_html(0).unwrap().trim_end(), expected);
    let columns = dir.composer().columns().unwrap();
    assert_eq!(columns.into_iter().collect::<Vec<_>>(), ["items", "name", "points"]);
}

#[test]
fn a_value_that_is_missing_fails_its_row_with_its_place() {
    let dir = letter("x", "<p>\n  ${first_name}</p>");
    assert_eq!(dir.fails(json!({ "name": "N" })), "`first_name` has no value (t.html.ftl:2:3)");
    assert_eq!(
        dir.fails(json!({ "name": "N", "first_name": "  " })),
        "`first_name` has no value (t.html.ftl:2:3)"
    );
    let dir = letter("x", "${first_name!'friend'}<#if last_name??>${last_name}</#if>");
    assert!(dir.says(json!({ "name": "N" })).contains("friend"));
    let dir = letter("x", "[${first_name}]").more("strict = false");
    assert!(dir.says(json!({ "name": "N" })).contains("[]"));
    let dir = letter("x", "<#include 'none.ftl' ignore_missing=true><#include 'part.ftl'>")
        .with("part.ftl", "\n${1 / 0}");
    assert_eq!(dir.fails(json!({ "name": "N" })), "this divides by zero (part.ftl:2:5)");
}

#[test]
fn columns_that_do_not_exist_are_found_with_the_nearest() {
    let columns = |html: &str| {
        let dir = letter("x", html);
        dir.composer().check_columns(&["name", "first_name"]).map_err(|error| (error.to_string(), error.hint))
    };
    let (problem, hint) = columns("${frist_name}").unwrap_err();
    assert_eq!(problem, "`frist_name` is printed, and there is no such column");
    assert_eq!(hint.as_deref(), Some("did you mean `first_name`?"));
    for fine in [
        "${frist_name!''}",
        "<#assign frist_name='x'>${frist_name}",
        "<#list 1..2 as frist_name>${frist_name}${frist_name_index}</#list>",
        "<#macro m frist_name>${frist_name}</#macro><@m 'x'/>",
        "<#attempt>${frist_name}<#recover></#attempt>",
        "${[1]?map(frist_name -> frist_name)?size}",
    ] {
        assert!(columns(fine).is_ok(), "{fine}");
    }
}

#[test]
fn the_campaign_may_say_the_language() {
    let dir = Dir::new("Hi ${name}", "engine = \"freemarker\"\ntext = \"letter.txt\"")
        .with("letter.txt", "${name?upper_case}");
    assert_eq!(dir.says(json!({ "name": "Ann" })), "ANN\r\n");
    let dir = Dir::new("Hi {{name}}", "text = \"letter.txt\"").with("letter.txt", "{{name}} ${name}");
    assert_eq!(dir.says(json!({ "name": "Ann" })), "Ann ${name}\r\n");
    let dir = Dir::new("Hi {{name}}", "engine = \"handlebars\"\ntext = \"letter.ftl\"")
        .with("letter.ftl", "${name}");
    assert_eq!(dir.says(json!({ "name": "Ann" })), "Ann\r\n");
}

#[test]
fn the_unsubscribe_link_is_printed() {
    let dir = letter("x", "<a href=\"${unsubscribe_url}\">x</a>")
        .more("[unsubscribe]\nhttps = \"https://mail.example.com/u/{{token}}\"");
    assert!(dir.says(json!({ "name": "N" })).contains("https://mail.example.com/u/"));
}

use serde_json::json;

use super::*;
use crate::campaign::Campaign;
use crate::mail::Address;
use crate::plan::Row;
use crate::template::{Columns, engine_for};

/// Compiles `text` as the HTML template `name`, whose folder also has these files.
fn compile(
    name: &str,
    text: &str,
    inline_css: bool,
    files: &[(&str, &str)],
) -> Result<Box<dyn Template>, TemplateError> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let campaign = format!(
        "[campaign]\nid = \"x\"\n[sender]\nfrom = \"a@example.com\"\n[target-group]\nfiles = [\"a.csv\"]\n\
         [template]\nsubject = \"x\"\nhtml = \"{name}\"\ninline-css = {inline_css}\n[delivery]\nroute = \"sandbox\"\n"
    );
    let campaign = Campaign::parse(&campaign, &folder.path().join("campaign.toml")).unwrap();
    let source = Source::value(&folder.path().join(name), name, text);
    engine_for(&campaign).compile(source, Part::Html)
}

/// What it prints for one row.
fn printed(template: &dyn Template) -> Result<String, Fault> {
    let row = Row {
        index: 0,
        file: 0,
        row: 1,
        email: "a@example.com".into(),
        address: Address::parse("a@example.com").unwrap(),
        id: None,
        name: None,
        values: json!({"name": "Ann & Bo", "vip": true, "rows": ["1", "2"], "url": "x.example/?a=1&b=2", "kind": "x"})
            .as_object()
            .unwrap()
            .clone(),
        messages: None,
    };
    let columns = Columns { email: "email".into(), id: None, name: None };
    let defaults = serde_json::Map::new();
    render_to_string(template, &Values::new(&row, &columns, &defaults, Vec::new()))
}

fn refused(name: &str, text: &str) -> (Option<(usize, usize)>, String, Option<String>) {
    let error = compile(name, text, true, &[]).map(drop).unwrap_err();
    (error.place, error.problem, error.hint)
}

fn mjml(body: &str) -> String {
    format!(
        "<mjml>\n<mj-head><mj-title>{{{{name}}}}</mj-title></mj-head>\n<mj-body><mj-section><mj-column>\n{body}\n</mj-column></mj-section></mj-body></mjml>"
    )
}

#[test]
fn mjml_is_html_with_the_expressions_of_any_language() {
    let letter = |hello: &str, link: &str, vip: &str, rows: [&str; 2]| {
        format!(
            "<mjml><mj-body><mj-section><mj-column><mj-text>{hello}</mj-text>{vip}\
             <mj-table>{}<tr><td>x</td></tr>{}</mj-table><mj-button href=\"https://{link}\">Go</mj-button>\
             </mj-column></mj-section></mj-body></mjml>",
            rows[0], rows[1]
        )
    };
    let cases = [
        (
            "a.mjml",
            letter(
                "Hello {{name}}",
                "{{url}}",
                "{{#if vip}}<mj-text>Club</mj-text>{{/if}}",
                ["{{#each rows}}", "{{/each}}"],
            ),
        ),
        (
            "a.mjml.ftl",
            letter(
                "Hello ${name}",
                "${url}",
                "<#if vip && 1 < 2><mj-text>Club</mj-text></#if>",
                ["<#list rows as r>", "</#list>"],
            ),
        ),
        (
            "a.j2.mjml",
            letter(
                "Hello {{ name }}",
                "{{ url }}",
                "{% if vip %}<mj-text>Club</mj-text>{% endif %}",
                ["{% for r in rows %}", "{% endfor %}"],
            ),
        ),
    ];
    for (name, text) in cases {
        let template = compile(name, &text, false, &[]).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let html = printed(&*template).unwrap();
        assert!(html.contains(">Hello Ann &amp; Bo</div>") && html.contains(">Club</div>"), "{name}: {html}");
        assert_eq!(html.matches("<tr><td>x</td></tr>").count(), 2, "{name}: {html}");
        assert!(!html.contains("mj-text") && !html.contains("mailrunx"), "{name}: {html}");
        assert!(!html.contains("fonts.googleapis.com"), "nothing is loaded that the template does not name");
        assert_eq!(&*template.origins()[0].text, text, "a run's id is made of the file as it is");
    }
}

#[test]
fn faults_are_placed_in_the_mjml() {
    let hint = |text: &str| Some(text.to_owned());
    let (place, problem, near) = refused("a.mjml", &mjml("<mj-tex>x</mj-tex>"));
    assert_eq!((place, near), (Some((4, 1)), hint("did you mean `mj-text`?")), "{problem}");
    let (place, problem, _) = refused("a.mjml", &mjml("<mj-text>ü {{#if a}}</mj-text>"));
    assert!(place.is_some_and(|(line, _)| line == 4), "{place:?} {problem}");
    let (place, problem, _) = refused("a.mjml", &mjml("<mj-text>ü {{nohelper a b}}</mj-text>"));
    assert_eq!(place, Some((4, 12)), "{problem}");
    let (place, problem, _) = refused("a.mjml", &mjml("<mj-text width=\"{{name}}\">x</mj-text>"));
    assert_eq!(
        (place, problem.as_str()),
        (Some((4, 17)), "`{{name}}` has no place in the HTML that MJML makes")
    );
    let (place, problem, _) =
        refused("a.mjml", "<mjml>\n<mj-head>{{name}}</mj-head><mj-body></mj-body></mjml>");
    assert_eq!(place, Some((2, 10)), "{problem}");
    let (place, problem, _) = refused("a.mjml", &mjml("<mj-include path=\"none.mjml\"/>"));
    assert_eq!((place, problem.as_str()), (Some((4, 2)), "the included file `none.mjml` is not found"));
    let (_, problem, _) = refused("a.mjml", "hello");
    assert!(problem.contains("markup"), "{problem}");
    let (_, problem, _) = refused("a.mjml", &mjml(&"<mj-raw><div>".repeat(300)));
    assert_eq!(problem, "more than 200 elements in one another");
    let inline = mjml("x").replace("</mj-head>", "<mj-style inline=\"inline\">p{}</mj-style></mj-head>");
    let error = compile("a.mjml", &inline, false, &[]).map(drop).unwrap_err();
    assert_eq!(
        (error.place.map(|(line, _)| line), error.hint),
        (Some(2), hint("set `inline-css = true` in `[template]`"))
    );
    let template = compile("a.mjml", &mjml("<mj-text>{{name}}\n ü {{none}}</mj-text>"), false, &[]).unwrap();
    let places: Vec<_> =
        template.uses().printed.iter().map(|(name, place)| (name.as_str(), place.to_string())).collect();
    assert_eq!(
        places,
        [("name", "a.mjml:2:20".to_owned()), ("name", "a.mjml:4:10".into()), ("none", "a.mjml:5:4".into())]
    );
    assert_eq!(printed(&*template).unwrap_err().to_string(), "`none` has no value (a.mjml:5:4)");
}

#[test]
fn an_included_file_has_its_own_places_and_counts_for_the_run() {
    let files = [("head.mjml", "<mj-text>Dear\n{{none}}</mj-text>")];
    let template = compile("a.mjml", &mjml("<mj-include path=\"./head.mjml\"/>"), false, &files).unwrap();
    let shown: Vec<_> = template.origins().iter().map(|origin| origin.shown.as_str()).collect();
    assert_eq!(shown, ["a.mjml", "head.mjml"]);
    assert_eq!(printed(&*template).unwrap_err().to_string(), "`none` has no value (head.mjml:2:1)");
}

fn page(style: &str, body: &str) -> String {
    format!("<!DOCTYPE html><html><head><style>{style}</style></head><body>{body}</body></html>")
}

/// The reason why it is not done once, if it is not, and the HTML of a row.
fn inlined(style: &str, body: &str) -> (Option<String>, String) {
    let files = [("foot.hbs", "<p>foot</p>")];
    let template =
        compile("a.hbs", &page(style, body), true, &files).unwrap_or_else(|error| panic!("{error:?}"));
    (template.css_in_each().map(|each| each.why.clone()), printed(&*template).unwrap())
}

#[test]
fn styles_go_into_elements_once_where_expressions_leave_them_alone() {
    let (each, html) = inlined(
        "td { color: red } @media print { td { color: blue } } td:hover { color: green }",
        "<table>{{#each rows}}<tr><td style='padding:1px'>{{this}}</td></tr>{{/each}}</table><a href=\"https://{{url}}\">ü</a>",
    );
    assert_eq!(each, None);
    assert_eq!(html.matches("<tr><td style=\"color: red;padding: 1px\">").count(), 2, "{html}");
    assert!(html.contains("<table><tr>") && html.contains("</tr></table>"), "nothing is added: {html}");
    assert!(html.contains("@media print") && html.contains("td:hover"), "{html}");
    assert!(html.contains("?a&#x3D;1&amp;b") || html.contains("?a=1&amp;b"), "{html}");
}

#[test]
fn else_they_go_into_the_elements_of_each_message() {
    let check = |style: &str, body: &str, why: &str, has: &str| {
        let (each, html) = inlined(style, body);
        assert_eq!(each.as_deref(), Some(why), "{body}");
        assert!(html.contains(has), "{body}: {html}");
    };
    let red = "<p style=\"color: red;\">";
    check(
        ".x{color:red}",
        "<p class={{kind}}>x</p>",
        "`{{kind}}` is in a class or an id",
        "<p class=\"x\" style=\"color: red;\">",
    );
    check("p{color:{{#if vip}}red{{/if}}}", "<p>x</p>", "`{{#if vip}}` is in a `<style>`", red);
    check("p{color:red}", "<p>{{{name}}}</p>", "`{{{name}}}` may bring elements", red);
    check("p{color:red}", "{{> foot}}", "`{{> foot}}` brings elements", "<p style=\"color: red;\">foot");
    check(
        ".x{color:red}",
        "<p {{#if vip}}class=x{{/if}}>x</p>",
        "`{{#if vip}}` is among the attributes of an element",
        "style=\"color: red;\"",
    );
    check(
        "p+p{color:red}",
        "{{#each rows}}<p>x</p>{{/each}}",
        "`{{#each rows}}` decides which elements there are, and a selector counts them",
        "<p>x</p><p style=\"color: red;\">x</p>",
    );
    let two = "{{#if vip}}<div>{{else}}<div class=y>{{/if}}<p>x</p></div>";
    check(
        "p{color:red}",
        two,
        "after `{{/if}}`, elements are left open or closed out of order",
        "<div><p style=\"color: red;\">x</p></div></body>",
    );
    check(
        "p{color:red}",
        "<p>&#123;&#123;name}}</p>",
        "a text looks like an expression without its character references",
        red,
    );
}

/// A character reference before an expression is text, and stays text: else a value would be
/// printed unescaped, or not at all.
#[test]
fn character_references_never_become_a_part_of_an_expression() {
    let why = "a text looks like an expression without its character references";
    for (body, has) in [
        ("<p>&#123;{{name}}&#125;</p>", "{Ann &amp; Bo}"),
        ("<p>&lbrace;{{name}}&rbrace;</p>", "{Ann &amp; Bo}"),
        ("<p>&#123;{{name}}}</p>", "{Ann &amp; Bo}"),
        ("<p>&#92;{{name}}</p>", "\\Ann &amp; Bo"),
        ("<p title=\"&#123;{{name}}&#125;\">x</p>", "title=\"{Ann &amp; Bo}\""),
        ("<p>&#123;&#123;name}}</p><p>{{name}}</p>", "{{name}}</p>"),
        ("<p>&#123;&lcub;#if x}}</p>", "{{#if x}}</p>"),
    ] {
        let (each, html) = inlined("p{color:red}", body);
        assert_eq!(each.as_deref(), Some(why), "{body}");
        assert!(html.contains(has) && !html.contains("Ann & Bo"), "{body}: {html}");
    }
    for (name, body) in [
        ("a.j2", "<p>&#123;{{ name }}&#125;</p>"),
        ("a.j2", "<p>&#123;% if x %}</p>"),
        ("a.ftl", "<p>&#36;{name}</p>"),
        ("a.ftl", "<p>&#35;{name}</p>"),
        ("a.ftl", "<p>&#91;=name]</p>"),
    ] {
        let template = compile(name, &page("p{color:red}", body), true, &[]).unwrap();
        assert_eq!(template.css_in_each().map(|each| each.why.as_str()), Some(why), "{body}");
        let html = printed(&*template).unwrap();
        assert!(!html.contains("Ann & Bo") && html.contains("<p style=\"color: red;\">"), "{body}: {html}");
    }
    let (each, html) = inlined("p{color:red}", "<p>&lt;b&gt; &amp; &#65;&nbsp;{{name}}</p>");
    assert_eq!(each, None, "{html}");
    assert!(html.contains("&lt;b&gt; &amp; A&nbsp;Ann &amp; Bo"), "{html}");
}

/// Whatever is done once gives what doing it in each message gives.
#[test]
fn once_is_the_same_as_in_each_message() {
    let style = "p, td { color: red } .x { margin: 0 } #y { padding: 0 } div > p { border: 0 }";
    for body in [
        "<p class=x>{{name}}</p>",
        "{{#if vip}}<div><p id=y>a</p></div>{{else}}<p>b</p>{{/if}}",
        "<table><tbody>{{#each rows}}<tr><td>{{this}}</td></tr>{{/each}}</tbody></table>",
        "<div>{{#if vip}}<p class=\"x z\">a</p>{{/if}}{{! c }}<br><img src=\"{{url}}\" alt=\"{{name}}\"></div>",
    ] {
        let (each, once) = inlined(style, body);
        assert_eq!(each, None, "{body}");
        let plain = compile("a.hbs", &page(style, body), false, &[]).unwrap();
        let in_each = Inliner::new().inline(&printed(&*plain).unwrap()).unwrap();
        // A character reference is no difference, nor are ends of lines before the end.
        let flat = |html: &str| html.replace(['\n', '\r'], "").replace("&#x3D;", "=");
        assert_eq!(flat(&once), flat(&in_each), "{body}");
    }
}

/// Each would take minutes, or more memory than there is, on a somewhat larger page.
#[test]
fn hostile_styles_and_pages_end_as_an_error() {
    let refused = |style: &str, body: &str, why: &str| {
        let error = Inliner::new().inline(&page(style, body)).unwrap_err().to_string();
        assert!(error.ends_with(why), "{error}");
    };
    let text = "<p>x</p>".repeat(1_000);
    let work = "bytes of styles are too much work";
    let many: String = (0..2_000).map(|number| format!("*{{a{number}:xxxxxxxxxxx}}")).collect();
    refused(&many, &text, work);
    refused(&"p:nth-last-of-type(3){a:b}".repeat(100), &text, work);
    refused(&"*~*~*{a:b}".repeat(100), &text, work);
    let brackets = "more than 200 brackets in one another in a style";
    for style in ["@media x{", "p{", "((", "p[a"] {
        refused(&style.repeat(5_000), "<p>x</p>", brackets);
    }
    let selectors = "more than 3 selectors in one another, as in `:not(:is(…))`";
    for style in [":not(", ":NOT(a,b:is(", ":\\6eot(", "p:n\\6f t(", ":has(> :where(", ":not(/*)*/:not("] {
        refused(&style.repeat(10), "<p>x</p>", selectors);
        refused(&style.repeat(5_000), "<p>x</p>", selectors);
    }
    refused("p{a:b}", &"<div>".repeat(201), "more than 200 elements in one another");
    // However nested tags look, they don't take the stack.
    for one in ["<div>", "<div/>", "</x><b>", "<!-- --!><p><i>", "<style></stylex></style><u>", "<p><b></p>"]
    {
        refused("p{a:b}", &one.repeat(100_000), "more than 200 elements in one another");
    }
    refused("p{a:b}", &format!("<svg><title>{}", "<b>".repeat(100_000)), "of its own for what is in it");
    let attributes: String = (0..501).map(|number| format!("a{number} ")).collect();
    refused("p{a:b}", &format!("<p {attributes}>x"), "more than 500 attributes");
    // What is within the bounds ends.
    for style in [":not(:not(:not(p))){a:b}".repeat(99), "@media x{".repeat(200)] {
        Inliner::new().inline(&page(&style, "<div><p>x</p></div>")).unwrap();
    }
    // Each ancestor is tried, again for each part of a selector.
    let deep = format!("{}{}{}", "<div>".repeat(190), "<p>x</p>".repeat(1_000), "</div>".repeat(190));
    for style in ["* * * * * * q{a:b}", "*>* *>* *>* *>* q p{a:b}", "* > * p{a:b}"] {
        Inliner::new().inline(&page(&style.repeat(100), &deep)).unwrap();
    }
    // A template is refused at once, and a row fails where its values make the page too large.
    let template = compile("a.hbs", &page(&many, &text), true, &[]).map(drop);
    assert!(template.unwrap_err().problem.contains(work));
    let row = page("p{a:b}", "{{{name}}}{{#each rows}}{{#each ../rows}}<p>x</p>{{/each}}{{/each}}");
    assert!(printed(&*compile("a.hbs", &row, true, &[]).unwrap()).is_ok());
}

/// Expressions in styles and their escaping stay as the language has them, and nothing is fetched.
#[test]
fn expressions_in_styles_are_kept_and_links_are_not_followed() {
    let (each, html) = inlined("p{margin:0}", "<p style=\"color:{{kind}}\" title=\"{{name}}\">{{name}}</p>");
    assert_eq!(each.as_deref(), Some("`{{kind}}` is in a style"));
    assert!(html.contains("color: x") && html.contains("margin: 0"), "{html}");
    assert!(html.contains(">Ann &amp; Bo</p>") && html.contains("title=\"Ann &amp; Bo\""), "{html}");
    let link = "<link rel=\"stylesheet\" href=\"file:///etc/hostname\"><link rel=\"stylesheet\" href=\"http://127.0.0.1:9/a.css\">";
    let (each, html) = inlined("@import 'http://127.0.0.1:9/b.css'; p{margin:0}", &format!("{link}<p>x</p>"));
    assert_eq!(each, None);
    assert!(html.contains("http://127.0.0.1:9/a.css") && html.contains("<p style=\"margin: 0;\">"), "{html}");
}

use serde_json::json;

use super::*;
use crate::campaign::Campaign;
use crate::mail::Address;
use crate::plan::Row;
use crate::template::{Columns, engine_for, render_to_string};

/// Compiles `text` as the HTML template `name`, whose folder also has these files.
fn compile(name: &str, text: &str, files: &[(&str, &str)]) -> Result<Box<dyn Template>, TemplateError> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let campaign = format!(
        "[campaign]\nid = \"x\"\n[sender]\nfrom = \"a@example.com\"\n[target-group]\nfiles = [\"a.csv\"]\n\
         [template]\nsubject = \"x\"\nhtml = \"{name}\"\n[delivery]\nroute = \"sandbox\"\n"
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
    let error = compile(name, text, &[]).map(drop).unwrap_err();
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
        let template = compile(name, &text, &[]).unwrap_or_else(|error| panic!("{name}: {error:?}"));
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
    let error = compile("a.mjml", &inline, &[]).map(drop).unwrap_err();
    assert_eq!(
        (error.place.map(|(line, _)| line), error.hint),
        (Some(2), hint("leave out `inline`, or write the styles into the elements"))
    );
    let template = compile("a.mjml", &mjml("<mj-text>{{name}}\n ü {{none}}</mj-text>"), &[]).unwrap();
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
    let template = compile("a.mjml", &mjml("<mj-include path=\"./head.mjml\"/>"), &files).unwrap();
    let shown: Vec<_> = template.origins().iter().map(|origin| origin.shown.as_str()).collect();
    assert_eq!(shown, ["a.mjml", "head.mjml"]);
    assert_eq!(printed(&*template).unwrap_err().to_string(), "`none` has no value (head.mjml:2:1)");
}

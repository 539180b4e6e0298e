//! What templates print, test and refuse.

use super::*;

#[test]
fn html_is_escaped_text_is_not_and_three_braces_are_raw() {
    let dir = Dir::both("{{x}} {{{x}}}", "<p>{{x}}</p>{{{x}}}");
    let message = dir.composer().compose(&row(json!({"x": "<b>&\"'"})), DATE).unwrap();
    let raw = whole(&message);
    let parsed = MessageParser::new().parse(&raw).unwrap();
    assert_eq!(parsed.body_text(0).unwrap().trim_end(), "<b>&\"' <b>&\"'");
    assert_eq!(parsed.body_html(0).unwrap().trim_end(), "<p>&lt;b&gt;&amp;&quot;&#x27;</p><b>&\"'");
}

#[test]
fn printing_a_name_without_a_value_fails_the_row() {
    let dir = Dir::text("Hi\nDear {{name}},\n");
    for values in [json!({}), json!({"name": null}), json!({"name": ""}), json!({"name": " \t"})] {
        assert_eq!(dir.fails(values), "`name` has no value (t.txt.hbs:2:6)");
    }
    assert_eq!(dir.says(json!({"name": "Ann"})), "Hi\r\nDear Ann,\r\n");
    assert_eq!(dir.says(json!({"name": 0})), "Hi\r\nDear 0,\r\n");
    assert_eq!(dir.says(json!({"name": false})), "Hi\r\nDear false,\r\n");
}

#[test]
fn every_place_that_prints_is_watched() {
    let fails = |text: &str, values: Value, error: &str| {
        assert_eq!(Dir::text(text).fails(values), error, "{text}");
    };
    let items = json!({"items": [{"a": "x", "b": "y"}, {"a": "z", "b": ""}], "empty": "", "title": ""});
    fails("{{{empty}}}", items.clone(), "`empty` has no value (t.txt.hbs:1:1)");
    fails("{{&empty}}", items.clone(), "`empty` has no value (t.txt.hbs:1:1)");
    fails("{{#each items}}\n{{a}}\n{{b}}{{/each}}", items.clone(), "`b` has no value (t.txt.hbs:3:1)");
    fails("{{#each items}}{{this.b}}{{/each}}", items.clone(), "`this.b` has no value (t.txt.hbs:1:16)");
    fails("{{#each items}}{{../empty}}{{/each}}", items.clone(), "`../empty` has no value (t.txt.hbs:1:16)");
    fails("{{#each items as |i|}}{{i.b}}{{/each}}", items.clone(), "`i.b` has no value (t.txt.hbs:1:23)");
    fails("{{items.0.c}}", items.clone(), "`items.0.c` has no value (t.txt.hbs:1:1)");
    fails(
        "{{#if items}}{{#with items.[1]}}{{b}}{{/with}}{{/if}}",
        items.clone(),
        "`b` has no value (t.txt.hbs:1:33)",
    );
    fails("{{lookup items.0 \"c\"}}", items.clone(), "`lookup items.0 c` has no value (t.txt.hbs:1:1)");
    fails("{{upper empty}}", items.clone(), "`empty` has no value (t.txt.hbs:1:1)");
    fails("{{date (lower empty)}}", items.clone(), "`empty` has no value (t.txt.hbs:1:1)");
    fails("{{date none zone=\"Z\"}}", items.clone(), "`none` has no value (t.txt.hbs:1:1)");
    fails("{{default empty title}}", items.clone(), "`title` has no value (t.txt.hbs:1:1)");
    // The name of a helper by itself is a column.
    fails("{{title}}", items.clone(), "`title` has no value (t.txt.hbs:1:1)");
    fails(
        "{{items}}",
        items.clone(),
        "`items` is a list: use `{{#each items}}` or `{{join items}}` (t.txt.hbs:1:1)",
    );
    fails("{{items.0}}", items, "`items.0` is a group of values: name one of them (t.txt.hbs:1:1)");
    fails("{{d}} {{date d \"%Y\"}}", json!({"d": "soon"}), "`soon` is not a date (t.txt.hbs:1:7)");
    fails(
        "{{#each s}}{{x.y}}{{/each}}",
        json!({"s": [[1]]}),
        "cannot access array/vector with string index, x (t.txt.hbs:1:12)",
    );
}

#[test]
fn testing_a_name_is_fine() {
    let says = |text: &str, said: &str| {
        let values = json!({"empty": "", "null": null, "blank": "  ", "list": [], "n": "12", "z": "07"});
        assert_eq!(Dir::text(text).says(values), format!("{said}\r\n"), "{text}");
    };
    says("{{#if empty}}a{{else}}b{{/if}}{{#if null}}a{{/if}}{{#if none}}a{{/if}}", "b");
    says("{{#if blank}}a{{else}}b{{/if}}", "b");
    says("{{#unless none}}a{{/unless}}", "a");
    says("{{#each list}}{{x}}{{else}}nothing{{/each}}{{#each none}}{{x}}{{/each}}", "nothing");
    says("{{#with none}}{{x}}{{else}}without{{/with}}", "without");
    says("{{#if (upper none)}}a{{else if (default none n)}}b{{/if}}", "b");
    says("{{default none empty \"friend\"}}{{default empty \"\"}}", "friend");
    says("{{default (date none \"%Y\") \"soon\"}}", "soon");
    says("{{upper (default none \"x\")}}", "X");
    says("{{#if (and n (not none))}}a{{/if}}{{#if (or none empty)}}b{{/if}}", "a");
    // Columns of a CSV file are text.
    says("{{#if (gt n 9)}}a{{/if}}{{#if (lt n \"9\")}}b{{/if}}{{#if (eq n 12)}}c{{/if}}", "ac");
    says(
        "{{#eq z \"7\"}}same{{else}}different{{/eq}}{{#if (eq none empty)}} both empty{{/if}}",
        "different both empty",
    );
    says("{{#if (gt none 1)}}a{{/if}}{{#if (lte none 1)}}b{{/if}}c", "c");
}

#[test]
fn defaults_stand_in_for_missing_null_and_empty() {
    let dir = Dir::text("Dear {{first_name}}, {{until}}{{#if first_name}}!{{/if}}")
        .more("[template.defaults]\nfirst_name = \"there\"\nuntil = 2026-05-31\n");
    for values in [json!({}), json!({"first_name": null}), json!({"first_name": " "})] {
        assert_eq!(dir.says(values), "Dear there, 2026-05-31!\r\n");
    }
    assert_eq!(dir.says(json!({"first_name": "Ann"})), "Dear Ann, 2026-05-31!\r\n");
}

#[test]
fn without_strictness_a_gap_is_a_gap() {
    let dir = Dir::new("Hi", "text = \"t.hbs\"\nstrict = false").with(
        "t.hbs",
        "Dear {{name}}{{upper name}}{{default name last}}{{lookup name \"x\"}}, {{date when \"%Y\"}}{{title}}",
    );
    assert_eq!(dir.says(json!({"title": "Dr"})), "Dear , Dr\r\n");
    assert_eq!(dir.fails(json!({"when": "soon"})), "`soon` is not a date (t.hbs:1:70)");
    assert!(dir.composer().check_columns(&[]).is_ok());
}

#[test]
fn helpers() {
    let says = |text: &str, said: &str| {
        let values = json!({
            "name": "mary-ann O'NEIL", "n": "1234.5", "day": "2026-05-31", "at": "2026-05-31T22:30:00Z",
            "tags": ["a", "", "b"], "q": "a b&c/ü",
        });
        let dir = Dir::both(text, "x");
        let message = dir.composer().compose(&row(values), DATE).unwrap();
        let raw = whole(&message);
        let parsed = MessageParser::new().parse(&raw).unwrap();
        assert_eq!(parsed.body_text(0).unwrap().trim_end(), said, "{text}");
    };
    says("{{upper name}} {{lower name}} {{title name}}", "MARY-ANN O'NEIL mary-ann o'neil Mary-Ann O'Neil");
    says(
        "{{date day \"%d.%m.%Y\"}} {{date at \"%H:%M\" zone=\"+02:00\"}} {{date day}}",
        "31.05.2026 00:30 2026-05-31",
    );
    says(
        "{{number n}} {{number n decimals=2 locale=\"de\"}} {{number n thousands=\"\"}}",
        "1,234.5 1.234,50 1234.5",
    );
    says(
        "{{currency n \"€\" locale=\"de\"}} {{currency n \"$\"}} {{currency n \"CHF\" locale=\"ch\"}}",
        "1.234,50\u{a0}€ $1,234.50 CHF\u{a0}1’234.50",
    );
    says("{{join tags}} {{join tags \" / \"}}", "a, b a / b");
    says("https://e.example/?q={{url q}}", "https://e.example/?q=a%20b%26c%2F%C3%BC");
    says("{{#each tags}}{{@index}}{{#if @last}}.{{/if}}{{/each}}", "012.");
    says("{{{{raw}}}}{{x}}{{{{/raw}}}}", "{{x}}");
}

//! What is known before a row is read.

use super::*;

#[test]
fn errors_in_the_campaign_file_point_into_it() {
    let error = Dir::new("Hi {{#if x}}", "text = \"t.hbs\"").with("t.hbs", "x").refused();
    assert!(error.path.ends_with("campaign.toml"));
    assert_eq!(error.place, Some((11, 15)));
    assert_eq!(error.to_string(), "`{{#if}}` is never closed (in `template.subject`)");

    let error = Dir::text("x").more("[sender.headers]\nX-A = \"a {{uper b}}\"\n").refused();
    assert_eq!((error.place, error.hint.as_deref()), (Some((14, 10)), Some("did you mean `upper`?")));

    let missing = Dir::new("Hi", "text = \"none.hbs\"").refused();
    assert!(missing.path.ends_with("none.hbs") && missing.source.is_some(), "{missing:?}");
}

#[test]
fn columns_are_compared_with_what_is_printed() {
    let dir = Dir::new(
        "{{frist_name}}",
        "text = \"t.hbs\"\nattachment-columns = [\"invoice\"]\nattachment-folder = \".\"\n",
    )
    .with(
        "t.hbs",
        "{{#if vip}}{{default nick last_name}}{{/if}}\n{{upper city}}{{#each items}}{{x}}{{/each}}",
    )
    .more("[template.defaults]\ncity = \"town\"\n");
    let composer = dir.composer();
    let expected = ["city", "frist_name", "invoice", "items", "last_name", "nick", "vip"];
    assert_eq!(composer.columns().unwrap().into_iter().collect::<Vec<_>>(), expected);
    assert_eq!(composer.printed().map(|(name, _)| name).collect::<Vec<_>>(), ["frist_name"]);
    let doubtful: Vec<_> = composer.doubtful(&["vip", "nick", "items"]).map(|(name, _)| name).collect();
    assert_eq!(doubtful, ["last_name"]);

    let error = composer.check_columns(&["first_name", "last_name", "invoice"]).unwrap_err();
    assert_eq!(
        (error.to_string().as_str(), error.hint.as_deref()),
        (
            "`frist_name` is printed, and there is no such column (in `template.subject`)",
            Some("did you mean `first_name`?")
        )
    );
    let error = composer.check_columns(&["frist_name", "invioce"]).unwrap_err();
    assert_eq!(error.hint.as_deref(), Some("did you mean `invioce`?"));
    assert!(composer.check_columns(&["frist_name", "invoice"]).is_ok());

    // A default with a typing mistake is what was meant, and no column is.
    let dir = Dir::text("{{month}}").more("[template.defaults]\nmonht = \"May\"\n");
    let error = dir.composer().check_columns(&["points"]).unwrap_err();
    assert_eq!(error.hint.as_deref(), Some("did you mean `monht`?"));

    let html = Dir::both("x", "a\n {{upper nmae}}").composer();
    let error = html.check_columns(&["name"]).unwrap_err();
    assert!(error.path.ends_with("t.html.hbs"));
    assert_eq!((error.place, error.hint.as_deref()), (Some((2, 2)), Some("did you mean `name`?")));
}

#[test]
fn scopes_tell_columns_from_fields() {
    let columns = |text: &str| {
        let composer = Dir::text(text).with("p.hbs", "{{in_partial}}{{../up}}").composer();
        composer.columns().map(|columns| columns.into_iter().collect::<Vec<_>>().join(" "))
    };
    assert_eq!(columns("{{a.b}}{{[c d]}}{{this.e}}{{./f}}{{@root.g}}").unwrap(), "a c d e f g");
    assert_eq!(columns("{{#each a}}{{b}}{{../c}}{{@root.d}}{{@index}}{{this}}{{/each}}").unwrap(), "a c d");
    assert_eq!(
        columns("{{#each a as |x i|}}{{x.y}}{{i}}{{#with x}}{{z}}{{../../c}}{{/with}}{{/each}}").unwrap(),
        "a c"
    );
    assert_eq!(columns("{{#if a}}{{b}}{{else if c}}{{d}}{{else}}{{e}}{{/if}}").unwrap(), "a b c d e");
    assert_eq!(columns("{{#with a}}{{b}}{{else}}{{c}}{{/with}}").unwrap(), "a c");
    assert_eq!(columns("{{> p}}").unwrap(), "in_partial up");
    assert_eq!(columns("{{> p a}}").unwrap(), "a up");
    assert_eq!(columns("{{> p in_partial=b}}").unwrap(), "b up");
    assert_eq!(columns("{{#each a}}{{> p this}}{{/each}}").unwrap(), "a");
    assert_eq!(columns("{{lookup this \"a\"}}"), None);
    assert_eq!(columns("{{#each this}}{{@key}}{{/each}}"), None);
}

#[test]
fn built_in_names() {
    let dir = Dir::text("{{unsubscribe_url}} {{message_id}}")
        .more("[unsubscribe]\nhttps = \"https://e.example/u/{{token}}\"\n");
    let said = dir.says(json!({}));
    let said = said.replace("=\r\n", "").replace("=3D", "=");
    let (url, id) = said.trim_end().split_once(' ').unwrap();
    let token =
        token::decode(&facts().token_secret, url.strip_prefix("https://e.example/u/").unwrap()).unwrap();
    assert_eq!(
        (token.campaign.as_str(), token.run.as_str(), token.recipient.as_str()),
        ("spring", "2026-05-28", "c-42")
    );
    assert!(id.starts_with("2026-05-28.7.") && id.ends_with("@mail.example.com"), "{id}");
    assert_eq!(dir.composer().columns(), Some(BTreeSet::new()));
    let error = dir.composer().check_columns(&["message_id"]).unwrap_err();
    assert_eq!(error.to_string(), "`message_id` is a built-in name and a column too");

    let error = Dir::text("\n{{unsubscribe_url}}").refused();
    assert_eq!((error.place, error.to_string()), (Some((2, 1)), "there is no `unsubscribe_url`".into()));
}

#[test]
fn headers_of_the_campaign_are_checked() {
    let refused =
        |headers: &str| Dir::text("x").more(&format!("[sender.headers]\n{headers}\n")).refused().problem;
    assert_eq!(refused("Bcc = \"x\""), "the field `Bcc` can't be set here");
    assert_eq!(refused("\"X Y\" = \"x\""), "`X Y` is not a valid header field name");
    assert_eq!(refused("X-A = \"x\"\nx-a = \"y\""), "the field `X-A` is given twice");
}

#[test]
fn images_need_html_and_files_that_are_there() {
    let inline = "[[template.inline]]\nid = \"logo\"\nfile = \"logo.png\"\n";
    let error = Dir::text("x").more(inline).with("logo.png", "x").refused();
    assert_eq!(error.to_string(), "inline images without an HTML template");
    let error = Dir::both("x", "x").more(inline).refused();
    assert!(error.path.ends_with("logo.png") && error.source.is_some());
    let error = Dir::both("x", "x").more(&inline.replace("\"logo\"", "\"a>b\"")).refused();
    assert_eq!(error.to_string(), "`a>b` is not a valid Content-ID");
}

#[test]
fn attachments_that_are_too_large_for_any_message_are_refused() {
    let dir = Dir::new("Hi", "text = \"t.hbs\"\nattachments = [\"a.bin\"]\nlargest = \"5 kB\"");
    let error = dir.with("t.hbs", "x").with("a.bin", vec![0; 4_000]).refused();
    assert!(error.to_string().starts_with("the attachments alone have 5"), "{error}");
}

/// A campaign with one text for all.
fn for_all(subject: &str, text: &str, more: &str) -> Dir {
    let template = format!("text = \"t.txt.hbs\"\npersonalised = false\n{more}");
    let dir = Dir::new(subject, &template).with("t.txt.hbs", text);
    let toml = dir.toml.replace("id = \"spring\"", "id = \"spring\"\nkind = \"alarm\"");
    Dir { toml: String::new(), ..dir }.more(&toml)
}

#[test]
fn one_text_for_all_is_the_same_for_every_row_and_names_nobody() {
    let composer = for_all("Outage", "It is {{message_id}}\n", "").composer();
    let mut other = row(json!({"full_name": "Bob"}));
    (other.index, other.name) = (8, Some("Bob".into()));
    other.address = Address::parse("bob@example.net").unwrap();
    let rows = [row(json!({})), other];
    let messages = rows.map(|row| whole(&composer.compose(&row, DATE).unwrap()));
    assert_eq!(messages[0], messages[1]);
    assert_eq!(messages[0], whole(&composer.compose_for_all(DATE).unwrap()));
    let text = String::from_utf8(messages[0].clone()).unwrap();
    assert!(text.contains("\r\nTo: Undisclosed recipients:;\r\n"), "{text}");
    for anybody in ["Jose", "Bob", "bob", "example.org", "example.net", "c-42"] {
        assert!(!text.contains(anybody), "{anybody} in {text}");
    }
    assert!(text.contains("It is 2026-05-28.all."), "{text}");
    assert_eq!(composer.columns(), Some(BTreeSet::new()));
}

#[test]
fn the_group_in_to_has_a_name_of_its_own() {
    let to = |name: &str| {
        let composer = for_all("Outage", "x", &format!("to = '{name}'")).composer();
        let message = composer.compose_for_all(DATE).unwrap();
        let to =
            header_text(&message).split("\r\n").find(|line| line.starts_with("To: ")).unwrap().to_owned();
        let whole = whole(&message);
        let parsed = MessageParser::new().parse(&whole).unwrap();
        assert!(parsed.to().unwrap().iter().next().is_none(), "nobody is in the group");
        to
    };
    assert_eq!(to("All customers"), "To: All customers:;");
    assert_eq!(to("Customers (all, \"EU\")"), "To: \"Customers (all, \\\"EU\\\")\":;");
    assert_eq!(to("Überall"), "To: =?utf-8?B?w5xiZXJhbGw=?=:;");
}

#[test]
fn one_text_for_all_uses_no_column() {
    let check = |dir: Dir, file: &str, place: Option<(usize, usize)>, problem: &str| {
        let error = dir.refused();
        assert!(error.path.ends_with(file), "{error:?}");
        assert_eq!(error.place, place, "{error}");
        assert!(error.problem.starts_with(problem) && error.hint.is_some(), "{error:?}");
    };
    check(
        for_all("x", "a\nDear {{first}}", ""),
        "t.txt.hbs",
        Some((2, 6)),
        "`first` differs from row to row",
    );
    check(for_all("x", "{{#if vip}}y{{/if}}", ""), "t.txt.hbs", Some((1, 1)), "`vip` differs");
    check(for_all("x", "{{unsubscribe_url}}", ""), "t.txt.hbs", Some((1, 1)), "`unsubscribe_url` differs");
    check(
        for_all("x", "{{lookup this \"a\"}}", ""),
        "campaign.toml",
        None,
        "a template looks at the whole row",
    );
    check(for_all("Hi {{n}}", "x", ""), "campaign.toml", Some((12, 15)), "`n` differs");
    let header = "[sender.headers]\nX-Segment = \"{{segment}}\"\n";
    check(for_all("x", "x", header), "campaign.toml", Some((16, 14)), "`segment` differs");
    check(for_all("x", "{{n}}", "[template.defaults]\nn = 1\n"), "t.txt.hbs", Some((1, 1)), "`n` differs");
}

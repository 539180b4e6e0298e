use std::fs;
use std::path::Path;

use mail_parser::{MessageParser, MimeHeaders};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::campaign::Campaign;
use crate::mail::Address;

const DATE: Timestamp = Timestamp(1_780_000_000_000_000);

/// A campaign in a folder of its own.
struct Dir {
    folder: tempfile::TempDir,
    toml: String,
}

impl Dir {
    /// A campaign with text and HTML templates; `template` is what follows in `[template]`, and further tables.
    fn new(subject: &str, template: &str) -> Self {
        let toml = format!(
            "[campaign]\nid = \"spring\"\n[sender]\nfrom = \"Example News <news@mail.example.com>\"\n\
             [target-group]\nfiles = [\"a.csv\"]\nname = \"full_name\"\n[delivery]\nroute = \"sandbox\"\n\
             [template]\nsubject = '{subject}'\n{template}\n"
        );
        let dir = Self { folder: tempfile::tempdir().unwrap(), toml };
        dir.file("campaign.toml", &dir.toml);
        dir
    }

    /// Text and HTML, both as given.
    fn both(text: &str, html: &str) -> Self {
        Self::new("Hello", "text = \"t.txt.hbs\"\nhtml = \"t.html.hbs\"")
            .with("t.txt.hbs", text)
            .with("t.html.hbs", html)
    }

    /// A text alone.
    fn text(text: &str) -> Self {
        Self::new("Hello", "text = \"t.txt.hbs\"").with("t.txt.hbs", text)
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn with(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        self.file(name, content);
        self
    }

    fn more(mut self, toml: &str) -> Self {
        self.toml.push_str(toml);
        self.file("campaign.toml", &self.toml);
        self
    }

    fn campaign(&self) -> Campaign {
        Campaign::parse(&self.toml, &self.folder.path().join("campaign.toml")).unwrap()
    }

    fn composer(&self) -> Composer {
        Composer::new(&self.campaign(), facts()).unwrap()
    }

    fn refused(&self) -> TemplateError {
        Composer::new(&self.campaign(), facts()).expect_err("a campaign that can't be composed")
    }

    fn says(&self, values: Value) -> String {
        let message = self.composer().compose(&row(values), DATE).unwrap();
        String::from_utf8(message.body.concat()).unwrap()
    }

    fn fails(&self, values: Value) -> String {
        self.composer().compose(&row(values), DATE).expect_err("a row that can't be composed").to_string()
    }
}

fn facts() -> RunFacts {
    RunFacts { run_id: "2026-05-28".into(), token_secret: b"0123456789abcdef".to_vec() }
}

fn row(values: Value) -> Row {
    let Value::Object(values) = values else { panic!("a row is an object") };
    Row {
        index: 7,
        file: 0,
        row: 8,
        email: "Jose@Example.org".into(),
        address: Address::parse("Jose@example.org").unwrap(),
        id: Some("c-42".into()),
        name: None,
        values,
    }
}

fn whole(message: &Message) -> Vec<u8> {
    [&message.header[..], b"\r\n", &message.body.concat()].concat()
}

fn header_text(message: &Message) -> &str {
    std::str::from_utf8(&message.header).unwrap()
}

fn assert_lines_fit(message: &Message) {
    for line in whole(message).split(|&byte| byte == b'\n') {
        assert!(line.len() <= 999, "a line of {} bytes", line.len());
        if let Some((last, rest)) = line.split_last() {
            assert!(*last == b'\r' && !rest.contains(&b'\r'), "a bare line end");
        }
        assert!(!line.contains(&0));
    }
}

// Values and strictness.

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

// Partials.

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
    let hint = refused(dir, "t.txt.hbs", (2, 2), "partial `haeder` is not there");
    assert_eq!(hint.as_deref(), Some("did you mean `header`?"));
    let dir = Dir::text("{{> a}}").with("a.hbs", "x{{> b}}").with("b.hbs", "{{#if x}}\n{{> a}}{{/if}}");
    refused(dir, "b.hbs", (2, 1), "partial `a` includes itself");
    let dir = Dir::text("{{> a}}").with("a.hbs", "x\n{{uper x}}");
    refused(dir, "a.hbs", (2, 1), "helper `uper` is not known");
    let dir = Dir::text("{{> a}}").with("a.hbs", "{{> @partial-block}}");
    refused(dir, "a.hbs", (1, 1), "`{{> @partial-block}}` stands in no partial with a block");
    let dir = Dir::text("{{> a}}").with("a.hbs", b"ab\nc\xff");
    refused(dir, "a.hbs", (2, 2), "the partial is not UTF-8");
}

// What is known before the run.

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
    let dir = Dir::new("{{frist_name}}", "text = \"t.hbs\"\nattachment-columns = [\"invoice\"]\n")
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
    assert_eq!(refused("\"X Y\" = \"x\""), "`X Y` can't be the name of a header field");
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
    assert_eq!(error.to_string(), "`a>b` can't be the id of an image");
}

// The message.

#[test]
fn the_header_of_a_message() {
    let dir = Dir::new("Hello {{full_name}}", "text = \"t.hbs\"")
        .with("t.hbs", "x")
        .more("[unsubscribe]\nhttps = \"https://e.example/{{token}}\"\nmailto = \"u@e.example\"\n")
        .more(
            "[sender.headers]\nX-Order = \"{{order}}\"\nX-Empty = \"{{#if none}}x{{/if}}\"\nX-Same = \"y\"\n",
        );
    let mut row = row(json!({"order": "17", "full_name": "José"}));
    row.name = Some("José, \"Pepe\"".into());
    let message = dir.composer().compose(&row, DATE).unwrap();
    let header = header_text(&message);
    let (before, after) = header.split_once("List-Unsubscribe: <https://e.example/").unwrap();
    assert_eq!(
        before,
        "From: \"Example News\" <news@mail.example.com>\r\n\
         MIME-Version: 1.0\r\n\
         Feedback-ID: spring:news:mailrun:mail.example.com\r\n\
         List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n\
         To: =?utf-8?Q?Jos=C3=A9=2C_=22Pepe=22?= <Jose@example.org>\r\n\
         Subject: =?utf-8?Q?Hello_Jos=C3=A9?=\r\n\
         Date: Thu, 28 May 2026 20:26:40 +0000\r\n\
         Message-ID: <2026-05-28.7."
            .to_owned()
            + &message.message_id["2026-05-28.7.".len()..]
            + ">\r\n"
    );
    let (links, after) = after.split_once("\r\nX-Order: 17\r\nX-Same: y\r\n").unwrap();
    assert!(links.contains(">,\r\n <mailto:u@e.example?subject="), "{links}");
    assert_eq!(after, "Content-Type: text/plain; charset=\"utf-8\"\r\nContent-Transfer-Encoding: 7bit\r\n");
    assert!(!message.eight_bit && !message.needs_smtputf8);
}

#[test]
fn alarms_lists_and_replies_have_their_fields() {
    let dir = Dir::text("x");
    let toml = dir.toml.replace(
        "id = \"spring\"\n",
        "id = \"spring\"\nkind = \"alarm\"\nlist-id = \"l.example\"\nfeedback-id = \"a:b:c:d\"\n",
    );
    let toml = toml.replace("[target-group]", "reply-to = \"care@example.com\"\n[target-group]");
    let campaign = Campaign::parse(&toml, &dir.folder.path().join("campaign.toml")).unwrap();
    let message = Composer::new(&campaign, facts()).unwrap().compose(&row(json!({})), DATE).unwrap();
    for field in [
        "Reply-To: <care@example.com>\r\n",
        "List-Id: <l.example>\r\n",
        "Feedback-ID: a:b:c:d\r\n",
        "Auto-Submitted: auto-generated\r\n",
    ] {
        assert!(header_text(&message).contains(field), "{field}");
    }
    assert!(!header_text(&message).contains("List-Unsubscribe"));
}

#[test]
fn international_addresses() {
    let compose = |address: &str| {
        let mut row = row(json!({}));
        row.address = Address::parse(address).unwrap();
        Dir::text("x").composer().compose(&row, DATE).unwrap()
    };
    let domain = compose("a@müller.example");
    assert!(header_text(&domain).contains("To: <a@xn--mller-kva.example>\r\n"));
    assert!(!domain.needs_smtputf8 && !domain.eight_bit);
    let local = compose("josé@example.com");
    assert!(header_text(&local).contains("To: <josé@example.com>\r\n"));
    assert!(local.needs_smtputf8 && local.eight_bit);
}

#[test]
fn html_alone_gets_a_text_part_with_its_links() {
    let dir = Dir::new("Hi", "html = \"t.hbs\"").with(
        "t.hbs",
        "<html><body><h1>Hi {{x}}</h1><p>Read <a href=\"https://e.example/{{x}}\">more</a>.</p>",
    );
    let message = dir.composer().compose(&row(json!({"x": "Ann"})), DATE).unwrap();
    let raw = whole(&message);
    let parsed = MessageParser::new().parse(&raw).unwrap();
    let text = parsed.body_text(0).unwrap();
    assert!(
        text.contains("Hi Ann") && text.contains("more") && text.contains("https://e.example/Ann"),
        "{text}"
    );
    assert!(!text.contains('<'), "{text}");
    assert_eq!(dir.fails(json!({})), "`x` has no value (t.hbs:1:20)");
}

#[test]
fn images_and_attachments_stand_where_clients_look_for_them() {
    let dir = Dir::new(
        "Hi",
        "text = \"t.txt.hbs\"\nhtml = \"t.html.hbs\"\nattachments = [\"Terms & Ü.pdf\"]\nattachment-columns = [\"own\"]\n",
    )
    .with("t.txt.hbs", "text {{x}}")
    .with("t.html.hbs", "<img src=\"cid:logo\">")
    .with("Terms & Ü.pdf", vec![7; 10_000])
    .with("logo.png", b"png")
    .with("own/a.txt", b"mine\n")
    .more("[[template.inline]]\nid = \"logo\"\nfile = \"logo.png\"\n");
    let composer = dir.composer();
    let message = composer.compose(&row(json!({"x": 1, "own": "own/a.txt"})), DATE).unwrap();
    let raw = whole(&message);
    let parsed = MessageParser::new().parse(&raw).unwrap();
    let types: Vec<String> = parsed
        .parts
        .iter()
        .map(|part| {
            let kind = part.content_type().unwrap();
            format!("{}/{}", kind.ctype(), kind.subtype().unwrap_or_default())
        })
        .collect();
    let expected = [
        "multipart/mixed",
        "multipart/related",
        "multipart/alternative",
        "text/plain",
        "text/html",
        "image/png",
        "application/pdf",
        "text/plain",
    ];
    assert_eq!(types, expected);
    assert_eq!(parsed.parts[5].content_id(), Some("logo"));
    assert_eq!(parsed.parts[6].attachment_name(), Some("Terms & Ü.pdf"));
    assert_eq!(parsed.parts[6].contents(), vec![7; 10_000]);
    assert_eq!(
        (parsed.parts[7].attachment_name(), parsed.parts[7].contents()),
        (Some("a.txt"), &b"mine\n"[..])
    );
    assert_lines_fit(&message);

    let without = composer.compose(&row(json!({"x": 1, "own": ""})), DATE).unwrap();
    assert_eq!(
        without.body[1].as_ptr(),
        message.body[1].as_ptr(),
        "common files are one segment of all messages"
    );
    let fails =
        |own: &str| composer.compose(&row(json!({"x": 1, "own": own})), DATE).unwrap_err().to_string();
    assert_eq!(fails("../x"), "attachment `../x` of column `own` leads out of the campaign's folder");
    assert_eq!(
        fails("/etc/passwd"),
        "attachment `/etc/passwd` of column `own` leads out of the campaign's folder"
    );
    assert_eq!(fails("own/b.txt"), "attachment `own/b.txt` of column `own` is not there");
    assert_eq!(composer.files().len(), 4);
}

#[test]
fn a_message_that_is_too_large_fails_its_row() {
    let dir = Dir::new("Hi", "text = \"t.hbs\"\nlargest = \"5 kB\"").with("t.hbs", "{{x}}");
    let message = dir.composer().compose(&row(json!({"x": "a".repeat(70)})), DATE).unwrap();
    let overhead = message.header.len() + 2;
    let lines = |count: usize| "x".repeat(70) + &"\ny".repeat(count);
    let fits = (5_000 - overhead - 72) / 3;
    assert!(dir.composer().compose(&row(json!({"x": lines(fits)})), DATE).is_ok());
    let error = dir.fails(json!({"x": lines(fits + 1)}));
    assert!(error.ends_with("bytes, at most 5000 are allowed"), "{error}");
}

#[test]
fn the_size_leaves_room_for_the_signatures() {
    let dir = Dir::new("Hi", "text = \"t.hbs\"\nlargest = \"2 kB\"").with("t.hbs", "{{x}}");
    let signed = format!("{}[[dkim]]\ndomain = \"example.com\"\nselector = \"s\"\nkey = \"k\"\n", dir.toml);
    let campaign = Campaign::parse(&signed, &dir.folder.path().join("campaign.toml")).unwrap();
    let values = json!({"x": "y\n".repeat(400) + "y"});
    assert!(dir.composer().compose(&row(values.clone()), DATE).is_ok());
    let failure = Composer::new(&campaign, facts()).unwrap().compose(&row(values), DATE).unwrap_err();
    assert!(matches!(failure, RenderFailure::TooLarge { largest: 2_000, .. }), "{failure}");
}

#[test]
fn a_body_that_is_the_same_for_all_is_made_once() {
    let dir = Dir::new("Hi {{x}}", "text = \"t.hbs\"").with("t.hbs", "the same\n");
    let composer = dir.composer();
    let compose = |x: &str| composer.compose(&row(json!({"x": x})), DATE).unwrap();
    let (one, two) = (compose("one"), compose("two"));
    assert_eq!(
        one.body.iter().map(|s| s.as_ptr()).collect::<Vec<_>>(),
        two.body.iter().map(|s| s.as_ptr()).collect::<Vec<_>>()
    );
    assert_ne!(one.header, two.header);
    assert_eq!(one.body.concat(), b"the same\r\n");
    assert!(
        header_text(&one)
            .ends_with("Content-Type: text/plain; charset=\"utf-8\"\r\nContent-Transfer-Encoding: 7bit\r\n")
    );
}

#[test]
fn a_template_that_fails_for_every_row_is_refused() {
    let error = Dir::text("a\n{{@index}}").refused();
    assert!(error.path.ends_with("t.txt.hbs"), "{error:?}");
    assert_eq!((error.place, error.to_string()), (Some((2, 1)), "`@index` has no value".into()));
}

#[test]
fn the_same_row_gives_the_same_bytes() {
    let make = || {
        let dir = Dir::both("{{x}} {{unsubscribe_url}}", "<p>{{x}}</p>")
            .more("[unsubscribe]\nhttps = \"https://e.example/{{token}}\"\n");
        whole(&dir.composer().compose(&row(json!({"x": "Grüße"})), DATE).unwrap())
    };
    assert_eq!(make(), make());
}

#[test]
fn message_ids_tell_rows_runs_and_campaigns_apart() {
    let id = |campaign: &str, run: &str, index: u32| {
        let dir = Dir::text("x");
        let toml = dir.toml.replace("\"spring\"", &format!("\"{campaign}\""));
        let campaign = Campaign::parse(&toml, &dir.folder.path().join("campaign.toml")).unwrap();
        let facts = RunFacts { run_id: run.into(), token_secret: vec![1] };
        let row = Row { index, ..row(json!({})) };
        Composer::new(&campaign, facts).unwrap().compose(&row, DATE).unwrap().message_id
    };
    let ids: BTreeSet<String> =
        [id("a", "r", 1), id("a", "r", 2), id("b", "r", 1), id("a", "r 1", 1), id("a", "r-1", 1)].into();
    assert_eq!(ids.len(), 5);
    let odd = id("a", "..ä\r\n>@", 1);
    assert!(odd.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.@".contains(&b)), "{odd}");
    assert_eq!(odd.matches('@').count(), 1);
}

#[test]
fn a_long_recipient_id_fails_its_row_where_it_is_needed() {
    let mut row = row(json!({}));
    row.id = Some("x".repeat(300));
    assert!(Dir::text("x").composer().compose(&row, DATE).is_ok());
    let dir = Dir::text("x").more("[unsubscribe]\nmailto = \"u@e.example\"\n");
    let failure = dir.composer().compose(&row, DATE).unwrap_err();
    assert_eq!(failure, RenderFailure::LongId { bytes: 300 });
}

#[test]
fn own_columns_are_there_even_when_the_plan_left_them_out() {
    let dir = Dir::text("{{email}} {{full_name}}");
    let mut row = row(json!({}));
    row.name = Some("Ann".into());
    let message = dir.composer().compose(&row, DATE).unwrap();
    assert_eq!(message.body.concat(), b"Jose@Example.org Ann\r\n");
}

#[test]
fn a_composer_is_shared_by_threads_and_tells_no_secret() {
    fn shared<T: Send + Sync>() {}
    shared::<Composer>();
    let debug = format!("{:?} {:?}", facts(), Dir::text("x").composer());
    assert!(!debug.contains("0123456789abcdef") && !debug.contains("48, 49"), "{debug}");
}

// Whatever a row says.

fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("\r\nBcc: evil@example.com\r\n".to_owned()),
        Just("\r\n\r\n<script>".to_owned()),
        Just("\r\n.\r\n".to_owned()),
        Just("=?utf-8?B?QQ==?=".to_owned()),
        Just("\"<a@b.example>,;:\\".to_owned()),
        Just("👩‍👩‍👧 Grüße 中文".to_owned()),
        Just("x".repeat(2_000)),
        Just("é".repeat(700)),
        "[ -~]{0,80}",
        "\\PC{0,30}",
        any::<String>(),
    ];
    prop::collection::vec(piece, 1..4).prop_map(|pieces| pieces.concat())
}

/// What is left of a value in a header, white space aside.
fn bare(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect()
}

/// A field's value as a client would show it.
fn decoded(value: &str) -> String {
    let message = format!("Subject: {value}\r\n\r\n");
    MessageParser::new().parse(message.as_bytes()).unwrap().subject().unwrap_or_default().to_owned()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn nothing_in_a_row_changes_the_shape_of_its_message(
        name in hostile(), subject in hostile(), value in hostile(), custom in hostile(),
    ) {
        let values = json!({"s": format!("s{subject}"), "v": format!("v{value}"), "c": format!("c{custom}")});
        let mut row = row(values);
        row.name = Some(format!("n{name}"));
        let composer = HOSTILE.with(|dir| dir.composer());
        let message = composer.compose(&row, DATE).unwrap();
        assert_lines_fit(&message);

        let raw = whole(&message);
        let parsed = MessageParser::new().parse(&raw).unwrap();
        let names: Vec<&str> = parsed.headers().iter().map(|header| header.name()).collect();
        let expected = [
            "From", "MIME-Version", "Feedback-ID", "List-Unsubscribe-Post", "To", "Subject", "Date", "Message-ID",
            "List-Unsubscribe", "X-Custom", "Content-Type",
        ];
        prop_assert_eq!(names, expected);
        let to = parsed.to().unwrap().as_list().unwrap();
        prop_assert_eq!(to.len(), 1);
        prop_assert_eq!(to[0].address(), Some("Jose@example.org"));
        prop_assert_eq!(bare(to[0].name().unwrap()), bare(row.name.as_deref().unwrap()));
        prop_assert_eq!(bare(parsed.subject().unwrap()), bare(&format!("s{subject}")));
        prop_assert_eq!(bare(&decoded(parsed.header("X-Custom").unwrap().as_text().unwrap())), bare(&format!("c{custom}")));
        prop_assert_eq!(parsed.parts.len(), 3);
        let text = mime::normalize(&format!("v{value}"));
        prop_assert_eq!(parsed.body_text(0).unwrap(), text.as_str());
        let html = parsed.body_html(0).unwrap();
        prop_assert!(html.starts_with("<p>v") && html.ends_with("</p>\r\n"));
        prop_assert!(!html[3..html.len() - 6].contains(['<', '>', '"', '\'']), "{}", html);
    }
}

thread_local! {
    static HOSTILE: Dir = Dir::new("{{s}}", "text = \"t.txt.hbs\"\nhtml = \"t.html.hbs\"")
        .with("t.txt.hbs", "{{v}}")
        .with("t.html.hbs", "<p>{{v}}</p>")
        .more("[unsubscribe]\nhttps = \"https://e.example/{{token}}\"\n")
        .more("[sender.headers]\nX-Custom = \"{{c}}\"\n");
}

#[test]
fn a_path_outside_the_campaign_is_shown_whole() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("t.hbs"), "{{x}}").unwrap();
    let path = outside.path().join("t.hbs");
    let dir = Dir::new("Hi", &format!("text = \"{}\"", path.display()));
    assert!(dir.fails(json!({})).contains(&format!("({}:1:1)", Path::new(&path).display())));
}

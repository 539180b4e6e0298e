//! The message: header, parts, sizes.

use super::*;

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
        "text = \"t.txt.hbs\"\nhtml = \"t.html.hbs\"\nattachments = [\"Terms & Ü.pdf\"]\nattachment-columns = [\"own\"]\nattachment-folder = \"own\"\n",
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
    assert_eq!(
        fails("../x"),
        "attachment `../x` of column `own` is outside the folder that `attachment-folder` names"
    );
    assert_eq!(
        fails("/etc/passwd"),
        "attachment `/etc/passwd` of column `own` is outside the folder that `attachment-folder` names"
    );
    let not_found = "not found in the folder that `attachment-folder` names";
    assert_eq!(fails("own/b.txt"), format!("attachment `own/b.txt` of column `own` {not_found}"));
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
    assert!(error.ends_with("bytes; at most 5000 are allowed"), "{error}");
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
        let facts = RunFacts {
            run_id: run.into(),
            token_secret: vec![1],
            document_secret: Vec::new(),
            is_test: false,
        };
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

//! Whatever a row says, the shape of its message stays.

use super::*;

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

/// What is left of a value in a header, white space aside, and what turns round the text behind it.
fn bare(text: &str) -> String {
    let is_override = |c: &char| matches!(c, '\u{202d}' | '\u{202e}');
    text.chars().filter(|c| !c.is_whitespace() && !c.is_control() && !is_override(c)).collect()
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
        let text = line_ends::normalize(&format!("v{value}"));
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

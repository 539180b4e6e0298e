//! Messages made of lines that were encoded ahead are, byte for byte, those that Handlebars and `mail-builder` give.

use super::*;

/// Pieces of templates; a template is some of them, one after the other.
const PIECES: [&str; 22] = [
    "A line of text.\n",
    "Eine Zeile mit Grüßen, und = und  Leerzeichen \n",
    "\n",
    " \t\n",
    "A line that is so long that it does not fit into the seventy-five characters of a short line.\n",
    "One line and\nanother and\na third one, so that they are worth being kept apart from what follows them.\n",
    "{{a}}",
    "{{{b}}}",
    "{{b}}\n",
    "Dear {{a}},\n",
    "{{#if a}}There is {{a}}.\n{{else}}There is none.\n{{/if}}",
    "{{#if n}}{{n}}{{else if t}}{{t}}{{/if}}",
    "{{#if n includeZero=true}}zero\nor more{{/if}}",
    "{{#unless b}}no b\n{{/unless}}",
    "{{#each l}}{{this}}, {{/each}}\n",
    "{{upper a}} and {{default b \"nothing\"}}",
    "{{~a~}}  \n",
    "{{! a comment }}\n{{!-- another --}}",
    "{{> sign}}\n",
    "  {{> sign}}\n",
    "{{email}} {{d}} {{message_id}}",
    "a tail without an end",
];

const VALUES: [&str; 12] = [
    "",
    " ",
    "Ann",
    "Grüße",
    "<b> & \"c\"='d'",
    "日本語の文章がここにあります",
    "x\r\ny",
    "x\ry\r",
    "\0",
    "= ",
    "--=_x",
    "a\n\n",
];

fn dir(text: &str, html: &str, strict: bool) -> Dir {
    Dir::new(
        "{{#if a}}{{a}}: {{/if}}news",
        &format!("text = \"t.txt.hbs\"\nhtml = \"t.html.hbs\"\nstrict = {strict}"),
    )
    .more("\n[template.defaults]\nd = \"by default\"\nz = 0\n")
    .with("sign.hbs", "Yours\n{{#if b}}{{b}}\n{{/if}}\n")
    .with("t.txt.hbs", text)
    .with("t.html.hbs", html)
}

/// The message as lines encoded ahead give it is the one that Handlebars and `mail-builder` give, or fails as theirs.
fn check(composer: &Composer, row: &Row) {
    let (fast, slow) = (composer.compose(row, DATE), composer.compose_shown(row, DATE));
    match (fast, slow) {
        (Ok(fast), Ok((slow, _))) => {
            let show = |message: &Message| String::from_utf8_lossy(&whole(message)).into_owned();
            assert_eq!(show(&fast), show(&slow));
        }
        (Err(fast), Err(slow)) => assert_eq!(fast.to_string(), slow.to_string()),
        (fast, slow) => panic!("{fast:?} and {slow:?}"),
    }
    let names = composer.names(row).unwrap();
    let values = composer.values(row, &names);
    let subject = composer.subject.render(&composer.text, &values).map_err(|error| error.to_string());
    let rendered = render(&composer.text, SUBJECT, values.context()).map_err(|error| error.to_string());
    assert_eq!(subject, rendered);
}

fn values(a: &str, b: &str, t: bool, n: i64) -> Value {
    json!({"a": a, "b": b, "t": t, "n": n, "l": [a, b, n], "o": {"a": a}, "nothing": null})
}

#[test]
fn each_piece_with_each_value() {
    for piece in PIECES {
        let text = format!(
            "{piece}\nfrom here on it is the same, for long enough to be kept\nas whole lines\n{piece}"
        );
        for strict in [true, false] {
            let dir = dir(&text, &format!("<p>\n{text}</p>"), strict);
            let composer = dir.composer();
            for value in VALUES {
                for other in ["", "B"] {
                    check(&composer, &row(values(value, other, value == "Ann", 0)));
                }
            }
        }
    }
}

#[test]
fn what_templates_are_mostly_made_of_takes_the_short_way() {
    let text = "Dear {{a}},\n\nWhat we have to say is the same for everybody,\nand takes more than one line.\n\
        {{#if b}}\nYour {{b}} is ready.\n{{/if}}\n{{> sign}}\n";
    let dir = dir(text, &text.replace('\n', "<br>\n"), true);
    let composer = dir.composer();
    for (a, b) in [("Ann", "book"), ("Jürgen", "<b>"), ("Ann", "")] {
        let row = row(values(a, b, true, 1));
        let names = composer.names(&row).unwrap();
        let ahead = composer.ahead.as_ref().unwrap();
        let made = composer.body_ahead(ahead, Vec::new(), &composer.values(&row, &names)).unwrap();
        assert!(made.is_ok(), "{a} {b}");
        check(&composer, &row);
    }
}

#[test]
fn a_row_that_holds_the_boundary_is_refused() {
    let dir = dir("{{a}}\n", "<p>{{a}}</p>\n", true);
    let composer = dir.composer();
    let content_type = composer.compose(&row(values("x", "y", true, 1)), DATE).unwrap().header;
    let content_type = String::from_utf8(content_type.to_vec()).unwrap();
    let boundary = content_type.split("boundary=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let row = row(values(&format!("--{boundary}"), "y", true, 1));
    assert!(matches!(composer.compose(&row, DATE), Err(RenderFailure::Boundary)));
    check(&composer, &row);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_pieces(
        pieces in prop::collection::vec(prop::sample::select(PIECES.to_vec()), 1..9),
        a in prop::sample::select(VALUES.to_vec()),
        b in prop::sample::select(VALUES.to_vec()),
        t in any::<bool>(),
        n in -1_i64..2,
        strict in any::<bool>(),
    ) {
        let text = pieces.concat();
        let dir = dir(&text, &format!("<p>{text}"), strict);
        check(&dir.composer(), &row(values(a, b, t, n)));
    }
}

//! Messages made of lines that were encoded ahead are, byte for byte, what the crate `handlebars`
//! and `mail-builder` give.

use super::*;
use crate::template::{render_to_string, without_fast};

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

/// Two composers of one campaign: the usual one, and one that has neither fast rendering nor fixed
/// texts.
struct Pair {
    usual: Composer,
    plain: Composer,
}

impl Pair {
    fn new(dir: &Dir) -> Self {
        let campaign = dir.campaign();
        let plain = Composer::with_engine(&campaign, &facts(), None, &*without_fast(&campaign)).unwrap();
        Self { usual: dir.composer(), plain }
    }

    /// The message of `row` is the one that `handlebars` and `mail-builder` give, or fails as
    /// theirs.
    fn check(&self, row: &Row) {
        let usual = self.usual.compose(row, DATE).map(|message| whole(&message));
        let by_crates = by_crates(&self.plain, row);
        match (usual, by_crates) {
            (Ok(usual), Ok(by_crates)) => {
                assert_eq!(String::from_utf8_lossy(&usual), String::from_utf8_lossy(&by_crates));
            }
            (Err(usual), Err(by_crates)) => assert_eq!(usual, by_crates),
            (usual, by_crates) => panic!("{usual:?} and {by_crates:?}"),
        }
    }
}

/// The message with texts rendered by `handlebars` and parts written by `mail-builder`.
fn by_crates(composer: &Composer, row: &Row) -> Result<Vec<u8>, RenderFailure> {
    let names = composer.names(row)?;
    let values = composer.values(row, &names).unwrap();
    let (out, _) = composer.header(row, DATE, &names, &values)?;
    let rendered: Result<Vec<Leaf<'_>>, Fault> = composer
        .parts
        .templates()
        .into_iter()
        .map(|template| Ok(Leaf::whole(&render_to_string(template, &values)?)))
        .collect();
    let mut leaves = rendered?.into_iter();
    let texts = Texts { text: leaves.next().unwrap(), html: leaves.next() };
    let (header, body) = composer.layout.write(out, &texts, &[])?;
    Ok([&header[..], b"\r\n", &body.concat()].concat())
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
            let pair = Pair::new(&dir(&text, &format!("<p>\n{text}</p>"), strict));
            for value in VALUES {
                for other in ["", "B"] {
                    pair.check(&row(values(value, other, value == "Ann", 0)));
                }
            }
        }
    }
}

#[test]
fn most_lines_are_encoded_ahead() {
    let text = "Dear {{a}},\n\nWhat we have to say is the same for everybody,\nand takes more than one line.\n\
        {{#if b}}\nYour {{b}} is ready.\n{{/if}}\n{{> sign}}\n";
    let pair = Pair::new(&dir(text, &text.replace('\n', "<br>\n"), true));
    for (a, b) in [("Ann", "book"), ("Jürgen", "<b>"), ("Ann", "")] {
        let row = row(values(a, b, true, 1));
        let names = pair.usual.names(&row).unwrap();
        let texts = pair.usual.parts.render(&pair.usual.values(&row, &names).unwrap()).unwrap();
        assert!(matches!(texts.text, Leaf::Lines(..)), "{a} {b}");
        assert!(matches!(texts.html, Some(Leaf::Lines(..))), "{a} {b}");
        pair.check(&row);
    }
}

#[test]
fn a_row_that_holds_the_boundary_is_refused() {
    let pair = Pair::new(&dir("{{a}}\n", "<p>{{a}}</p>\n", true));
    let content_type = pair.usual.compose(&row(values("x", "y", true, 1)), DATE).unwrap().header;
    let content_type = String::from_utf8(content_type.to_vec()).unwrap();
    let boundary = content_type.split("boundary=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let row = row(values(&format!("--{boundary}"), "y", true, 1));
    assert!(matches!(pair.usual.compose(&row, DATE), Err(RenderFailure::Boundary)));
    pair.check(&row);
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
        Pair::new(&dir(&text, &format!("<p>{text}"), strict)).check(&row(values(a, b, t, n)));
    }

    /// What `compose_shown` shows is what is in the message.
    #[test]
    fn what_is_shown_is_what_is_sent(
        pieces in prop::collection::vec(prop::sample::select(PIECES.to_vec()), 1..9),
        a in prop::sample::select(VALUES.to_vec()),
        b in prop::sample::select(VALUES.to_vec()),
    ) {
        let text = pieces.concat();
        let pair = Pair::new(&dir(&text, &format!("<p>{text}"), false));
        let row = row(values(a, b, true, 1));
        let Ok((message, shown)) = pair.usual.compose_shown(&row, DATE) else { return Ok(()) };
        prop_assert_eq!(whole(&message), whole(&pair.usual.compose(&row, DATE).unwrap()));
        let plain = &pair.plain;
        let names = plain.names(&row).unwrap();
        let values = plain.values(&row, &names).unwrap();
        let texts = plain.parts.templates().into_iter().map(|template| {
            line_ends::normalize(&render_to_string(template, &values).unwrap())
        });
        let texts: Vec<String> = texts.collect();
        prop_assert_eq!(&*shown.text, &texts[0]);
        prop_assert_eq!(shown.html.as_deref(), Some(texts[1].as_str()));
    }
}

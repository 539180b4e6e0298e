//! Addresses against a corpus of hard cases, and at random.

use std::fs;
use std::path::PathBuf;

use mailrun::mail::{Address, Mailbox};
use proptest::prelude::*;

/// One case of `isemail/tests.xml`.
struct Case {
    id: String,
    address: String,
    category: String,
}

/// The text of `<name>…</name>`; that file has no attributes or comments inside its cases.
fn element(xml: &str, name: &str) -> String {
    let inside = |xml: &str| {
        Some(xml.split_once(&format!("<{name}>"))?.1.split_once(&format!("</{name}>"))?.0.to_owned())
    };
    unescape(&inside(xml).unwrap_or_default())
}

fn unescape(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        let (entity, after) = after.split_once(';').expect("an entity ends with a semicolon");
        plain.push_str(before);
        plain.push(match entity {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            number => {
                let digits = number.strip_prefix("#x").expect("a number in hexadecimal");
                char::from_u32(u32::from_str_radix(digits, 16).unwrap()).unwrap()
            }
        });
        rest = after;
    }
    plain.push_str(rest);
    // The corpus writes control characters as their symbols.
    plain
        .chars()
        .map(|c| if ('\u{2400}'..'\u{2420}').contains(&c) { char::from(c as u8) } else { c })
        .collect()
}

fn cases() -> Option<Vec<Case>> {
    let Some(folder) = std::env::var_os("MAILRUN_CORPORA").map(PathBuf::from) else {
        eprintln!("not run: MAILRUN_CORPORA is not set");
        return None;
    };
    let xml = fs::read_to_string(folder.join("isemail/tests.xml")).unwrap();
    let cases = xml.split("<test id=\"").skip(1).map(|case| Case {
        id: case.split('"').next().unwrap().to_owned(),
        address: element(case, "address"),
        category: element(case, "category"),
    });
    Some(cases.collect())
}

#[test]
fn the_hard_cases() {
    let Some(cases) = cases() else { return };
    assert_eq!(cases.len(), 164);
    for Case { id, address, category } in cases {
        let parsed = Address::parse(&address);
        let sendable = match category.as_str() {
            // A domain of one label is none that mail on the internet goes to.
            "ISEMAIL_VALID_CATEGORY" | "ISEMAIL_DNSWARN" => address != "test@io",
            // Of what is legal around an address, blanks are taken off; comments and folded lines
            // are refused.
            "ISEMAIL_CFWS" => address.trim_matches(' ') == "test@iana.org",
            // Wrong, or legal but never sent to: quoted strings, address literals, what is too long
            // or out of use.
            "ISEMAIL_ERR" | "ISEMAIL_RFC5321" | "ISEMAIL_RFC5322" | "ISEMAIL_DEPREC" => false,
            other => panic!("unknown category {other}"),
        };
        assert_eq!(parsed.is_ok(), sendable, "{id} {address:?} {category}: {parsed:?}");
        match parsed {
            Ok(parsed) => {
                assert_eq!(parsed.to_string().to_lowercase(), address.trim_matches(' ').to_lowercase())
            }
            Err(why) => {
                let reason = why.to_string();
                assert!(!reason.is_empty() && !reason.contains(char::is_control), "{id} {reason:?}");
            }
        }
    }
}

/// Texts that come near an address.
fn near() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec![
        "bob",
        "@",
        ".",
        "example",
        "com",
        "müller",
        "xn--mller-kva",
        "xn--",
        "日本",
        "-",
        " ",
        "\"",
        "\\",
        "<",
        ">",
        "(",
        ")",
        "[",
        "]",
        "\r\n",
        "\t",
        "\u{200b}",
        "\u{a0}",
        "ß",
        "İ",
        "。",
        "٣",
        "\u{301}",
        "A",
        "1",
        "%",
        "+",
    ]);
    prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

fn comes_back(text: &str) {
    if let Ok(address) = Address::parse(text) {
        assert_eq!(Address::parse(&address.to_string()), Ok(address.clone()), "{text:?}");
        assert!(!address.to_string().contains(|c: char| c.is_control() || c.is_whitespace()), "{text:?}");
        assert!(address.domain().as_str().is_ascii(), "{text:?}");
        assert!(address.to_string().len() <= 254, "{text:?}");
    }
    if let Ok(mailbox) = Mailbox::parse(text) {
        assert_eq!(Mailbox::parse(&mailbox.to_string()), Ok(mailbox.clone()), "{text:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn any_text_parses_the_same_again(text in ".*") {
        comes_back(&text);
    }

    #[test]
    fn what_comes_near_parses_the_same_again(text in near(), local in "[a-zé.+]{1,8}", label in "\\PC{1,8}") {
        comes_back(&text);
        comes_back(&format!("{local}@{label}.example"));
        comes_back(&format!("{text}@example.com"));
        comes_back(&format!("{text} <{local}@example.com>"));
    }
}

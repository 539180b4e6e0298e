//! Letters in several languages and variants.

use super::*;

const BY: &str = "html = { by = 'lang', de = 'de.html.hbs', fr = 'fr.html.j2' }\n";

fn several(subject: &str, more: &str) -> Dir {
    let mut dir = Dir::new("x", BY)
        .with("de.html.hbs", "Hallo {{name}}")
        .with("fr.html.j2", "Bonjour {{ name }}, {{ 1234.5|number }}")
        .with("en.html.hbs", "Hello {{name}} {{city}}");
    dir.toml = dir.toml.replace("subject = 'x'", &format!("subject = {subject}"));
    dir.more(more)
}

fn subject_of(composer: &Composer, values: Value) -> String {
    let message = composer.compose(&row(values), DATE).unwrap();
    let raw = whole(&message);
    MessageParser::new().parse(&raw).unwrap().subject().unwrap().to_owned()
}

#[test]
fn a_row_gets_the_letter_of_its_language() {
    let subject = "{ by = 'lang', de = 'Rechnung für {{name}}', default = 'Invoice' }";
    let dir = several(subject, "locale-column = 'lang'");
    let composer = dir.composer();
    assert_eq!(subject_of(&composer, json!({ "name": "Ann", "lang": "de" })), "Rechnung für Ann");
    assert_eq!(subject_of(&composer, json!({ "name": "Ann", "lang": " fr " })), "Invoice");
    assert!(dir.says(json!({ "name": "Ann", "lang": "de" })).contains("Hallo Ann"));
    let (_, french) = composer.compose_shown(&row(json!({ "name": "Ann", "lang": "fr" })), DATE).unwrap();
    assert_eq!(french.html.as_deref().map(str::trim_end), Some("Bonjour Ann, 1\u{202f}234,5"));
    for (values, said) in [(json!({ "name": "Ann", "lang": "it" }), "it"), (json!({ "name": "Ann" }), "")] {
        let problem = format!("there is no letter for `{said}` (column `lang`), and no default");
        assert_eq!(dir.fails(values), problem);
    }
    assert_eq!(composer.columns().unwrap().into_iter().collect::<Vec<_>>(), ["lang", "name"]);
    let error = composer.check_columns(&["name"]).unwrap_err();
    assert_eq!(error.to_string(), "column `lang` of `template.locale-column` not found");
}

#[test]
fn a_default_is_for_all_others() {
    let dir = Dir::new("Hi", "text = { by = 'lang', de = 'de.hbs', default = 'en.hbs' }")
        .with("de.hbs", "Hallo")
        .with("en.hbs", "Hello {{name}}");
    for (lang, said) in [
        (json!("de"), "Hallo"),
        (json!("it"), "Hello Ann"),
        (json!(7), "Hello Ann"),
        (json!(null), "Hello Ann"),
    ] {
        assert_eq!(dir.says(json!({ "name": "Ann", "lang": lang })).trim_end(), said);
    }
}

#[test]
fn what_no_row_could_get_is_refused() {
    let refused = |subject: &str, more: &str| {
        let dir = several(subject, more);
        Campaign::parse(&dir.toml, &dir.folder.path().join("campaign.toml")).unwrap_err().to_string()
    };
    assert_eq!(
        refused("{ by = 'lang', it = 'Fattura' }", ""),
        "one of `subject`, `text` and `html` has nothing for `de`"
    );
    assert_eq!(
        refused("{ by = 'language', de = 'Rechnung', default = 'x' }", ""),
        "letters are chosen by column `lang` and by column `language`"
    );
    assert!(refused("{ de = 'Rechnung' }", "").contains("`by`"));
    assert!(refused("{ by = 'lang' }", "").contains("nothing to choose from"));
    assert!(refused("'x'", "[variants]\na = { share = 0 }").contains("no share"));
    assert!(refused("'x'", "[variants]\n'a b' = { share = 1 }").contains("can't be the name"));
    assert!(refused("'x'", "[variants]\na = { shares = 1 }").contains("shares"));
}

#[test]
fn variants_are_for_their_shares() {
    let variants =
        "[variants]\na = { share = 50 }\nb = { share = 50, subject = 'B {{name}}', html = 'en.html.hbs' }\n";
    let dir = several("'A'", variants);
    let (campaign, composer) = (dir.campaign(), dir.composer());
    assert_eq!(composer.columns().unwrap().into_iter().collect::<Vec<_>>(), ["city", "lang", "name"]);
    let mut seen = BTreeSet::new();
    for number in 0..40 {
        let mut row = row(json!({ "name": "Ann", "lang": "de", "city": "Bern" }));
        row.address = Address::parse(&format!("r{number}@example.org")).unwrap();
        let variant = campaign.variant_of(&row.address.to_string()).unwrap();
        let (_, rendered) = composer.compose_shown(&row, DATE).unwrap();
        let html = rendered.html.as_deref().map(str::trim_end);
        match variant {
            "a" => assert_eq!((rendered.subject.as_str(), html), ("A", Some("Hallo Ann"))),
            _ => assert_eq!((rendered.subject.as_str(), html), ("B Ann", Some("Hello Ann Bern"))),
        }
        seen.insert(variant.to_owned());
    }
    assert_eq!(seen.len(), 2);
    let copy: Campaign = serde_json::from_str(&serde_json::to_string(&campaign).unwrap()).unwrap();
    assert_eq!(copy.variant_of("r1@example.org"), campaign.variant_of("r1@example.org"));
    assert_eq!(copy.letter_languages(), campaign.letter_languages());
}

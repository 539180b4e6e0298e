//! Languages and variants, from the list to the results.

use std::collections::BTreeMap;

use mailrun::sandbox::Options;
use serde_json::Value;

use crate::kit::{Dir, Relay, campaign, list};

#[test]
fn variants_are_in_the_results_and_the_summary() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    list(&dir, "one", 60);
    let variants = "[variants]\na = { share = 50 }\nb = { share = 50, subject = \"another\" }\n";
    let file = campaign(&dir, "one", relay.port(), "", variants);
    let sent = dir.run(&["send", &file, "--json"]).ended(0).stdout();
    let mut counted: BTreeMap<String, u64> = BTreeMap::new();
    for row in dir.results("one") {
        *counted.entry(row.variant.expect("every row has a variant").into_owned()).or_default() += 1;
    }
    assert_eq!(counted.keys().collect::<Vec<_>>(), ["a", "b"]);
    let report: Value = serde_json::from_str(&sent).unwrap();
    let variants = report["summary"]["variants"].as_array().unwrap_or_else(|| panic!("{report:#}"));
    for (variant, (name, rows)) in variants.iter().zip(&counted) {
        assert_eq!(
            (variant["variant"].as_str(), variant["rows"].as_u64()),
            (Some(name.as_str()), Some(*rows))
        );
        assert_eq!(variant["dispositions"]["accepted"].as_u64(), Some(*rows));
    }
    let text = dir.run(&["results", &file]).ended(0).stdout();
    let line =
        text.lines().find(|line| line.trim_start().starts_with("a ")).unwrap_or_else(|| panic!("{text}"));
    assert!(line.contains(&format!("{} accepted", counted["a"])), "{line}");
}

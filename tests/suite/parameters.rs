//! One campaign file for many runs: `--list`, `--set`, and variables of the environment.

use std::fs;

use mailrun::sandbox::Options;

use crate::kit::{Dir, Relay, campaign, list};

#[test]
fn a_run_takes_its_list_and_its_values_from_the_command_line_and_records_them() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    list(&dir, "one", 3);
    fs::rename(dir.path().join("one.csv"), dir.path().join("other.csv")).unwrap();
    let file = campaign(&dir, "one", relay.port(), "", "");
    let text = fs::read_to_string(dir.path().join(&file)).unwrap();
    dir.write(&file, text.replace("id = \"one\"", "id = \"one\"\nlist-id = \"${REGION}.example.com\""));
    dir.run(&["send", &file, "--list", "other.csv"])
        .ended(2)
        .says("the variable `REGION` is not set")
        .says(&format!("{file}:3:"));
    let send = |set: &str| {
        let args = ["send", &file, "--list", "other.csv", "--set", set];
        crate::kit::Ran(dir.command(&args).env("REGION", "de").output().unwrap())
    };
    send("campaign.editoin=may").ended(2).says("`--set campaign.editoin`").says("did you mean `edition`?");
    send("campaign.edition=2026-05").ended(0);
    let manifest = fs::read_to_string(dir.run_of("one").join("manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    let whole = dir.path().join("other.csv");
    assert_eq!(
        manifest["parameters"],
        serde_json::json!({
            "list": [whole], "set": {"campaign.edition": "2026-05"}, "env": {"REGION": "de"},
        })
    );
    assert_eq!(manifest["campaign"]["campaign"]["list-id"], "de.example.com");
    assert_eq!(dir.dispositions("one"), [("accepted".to_owned(), 3)]);
    // A retry knows them, without the variable.
    dir.run(&["retry", "one", "--disposition", "bounced"]).says("no rows with these dispositions");
}

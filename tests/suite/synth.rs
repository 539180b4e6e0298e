//! `mailrun synth`: made-up lists are what screening finds them to be.

use serde_json::Value;

use crate::kit::{Dir, campaign};

fn json(dir: &Dir, args: &[&str]) -> Value {
    serde_json::from_str(&dir.run(args).ended(0).stdout()).unwrap()
}

#[test]
fn screening_finds_exactly_what_was_made_up() {
    let dir = Dir::new();
    let shares = ["--duplicates", "3%", "--invalid", "2.5%", "--non-ascii", "4%", "--smtputf8", "1%"];
    for (file, rows) in [("x.csv", "20k"), ("x.parquet", "20_000"), ("x.csv", "1")] {
        let args = [&["synth", file, "--rows", rows, "--json", "--force"], shares.as_slice()].concat();
        let written = json(&dir, &args);
        let config = campaign(&dir, "x", 1, "", "");
        let text = std::fs::read_to_string(dir.path().join(&config)).unwrap();
        dir.write(&config, text.replace("x.csv", file).replace("{{n}}", "{{city}}"));
        dir.write("letter.hbs", "Hello {{first_name}}\n");
        let plan = json(&dir, &["plan", &config, "--json"]);
        let found = &plan["screening"];
        for (what, name) in
            [("rows", "rows"), ("duplicates", "duplicate"), ("invalid", "invalid"), ("smtputf8", "smtputf8")]
        {
            assert_eq!(written[what], found[name], "{file}: {what}\n{written}\n{plan}");
        }
        if rows != "1" {
            assert_eq!((&written["duplicates"], &written["invalid"]), (&600.into(), &500.into()));
            assert_eq!((&written["non_ascii"], &written["smtputf8"]), (&1_000.into(), &200.into()));
        }
    }
}

#[test]
fn what_cant_be_made_says_so() {
    let dir = Dir::new();
    dir.run(&["synth", "x.csv", "--rows", "10"]).ended(0).says("x.csv: 10 rows");
    dir.run(&["synth", "x.csv", "--rows", "10"]).ended(2).says("`x.csv` exists").says("--force");
    dir.run(&["synth", "x.txt"]).ended(2).says("--format");
    dir.run(&["synth", "x.txt", "--format", "csv", "-q"]).ended(0);
    dir.run(&["synth", "y.csv", "--rows", "many"]).ended(2).says("`many` is not a number of rows");
    dir.run(&["synth", "y.csv", "--invalid", "60%", "--duplicates", "60%"])
        .ended(2)
        .says("1220 of 1000 rows");
    dir.run(&["synth", "y.csv", "--domain-mix", "a=1"]).ended(2).says("not a fully qualified");
    assert!(!dir.path().join("y.csv").exists());
}

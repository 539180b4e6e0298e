//! What the exit code says about lists of which little or nothing can be sent.

use mailrun::sandbox::Options;
use serde_json::Value;

use crate::kit::{Dir, Relay, campaign, list};

#[test]
fn a_list_of_which_nothing_can_be_sent_is_no_success() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    let of = |id: &str, stop: &str, rows: &str| {
        dir.write(&format!("{id}.csv"), format!("email,n\n{rows}"));
        campaign(&dir, id, relay.port(), "", stop)
    };
    for (id, rows) in [("empty", ""), ("invalid", "nobody,1\nnothing,2\n")] {
        let file = of(id, "[stop]\nmax-invalid-percent = 100", rows);
        for _ in 0..2 {
            dir.run(&["send", &file]).ended(1);
        }
        let status = dir.run(&["status", id]).ended(0).stdout();
        let body = if id == "empty" { "\n\n  0 rows\n" } else { "\n\n  invalid  2\n" };
        assert!(status.ends_with(body), "{status:?}");
        let plan = dir.run(&["plan", &file]).ended(0).stdout();
        assert!(plan.ends_with("\n  nobody to send to\n") && !plan.contains("top domains"), "{plan}");
        dir.run(&["retry", id, "--disposition", "deferred"]).ended(2);
    }
    let file = of("few", "[stop]\nmin-rows = 3", "ann@a.example,1\nbob@a.example,2\n");
    dir.run(&["send", &file]).ended(2).says("2 rows pass screening").says("min-rows");
    dir.run(&["check", &file, "--offline"]).ended(3);
    dir.run(&["suppress", "add", "ann@a.example"]).ended(0);
    let file = of("suppressed", "", "ann@a.example,1\n");
    dir.run(&["send", &file]).ended(1);
    assert_eq!(relay.stop().connections, 0);
}

#[test]
fn a_list_with_too_many_invalid_rows_is_refused_before_anything_is_sent() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    let rows = "ann@a.example,1\nbob@a.example,2\nnobody,3\ncat@a.example,4\n";
    dir.write("one.csv", format!("email,n\n{rows}"));
    let file = campaign(&dir, "one", relay.port(), "", "");
    for _ in 0..2 {
        dir.run(&["send", &file])
            .ended(2)
            .says("1 of 4 rows is invalid (25.0 %)")
            .says("max-invalid-percent");
    }
    assert_eq!(relay.stats().connections, 0);
    // `plan` says so beforehand, and why.
    let plan = dir.run(&["plan", &file]).ended(0).stdout();
    for part in ["`mailrun send` refuses this", "(too-many-invalid)", "why rows are invalid", "no `@`"] {
        assert!(plan.contains(part), "`{part}` is not in {plan}");
    }
    let json: Value = serde_json::from_str(&dir.run(&["plan", &file, "--json"]).ended(0).stdout()).unwrap();
    assert_eq!(json["refusals"][0]["id"], "too-many-invalid", "{json}");
    assert_eq!(json["invalid"]["causes"][0]["rows"], 1, "{json}");
    // The same run goes on once the campaign says that it may.
    campaign(&dir, "one", relay.port(), "", "[stop]\nmax-invalid-percent = 25");
    let plan = dir.run(&["plan", &file]).ended(0).stdout();
    assert!(plan.contains("why rows are invalid") && !plan.contains("refuses"), "{plan}");
    dir.run(&["send", &file]).ended(0);
    assert_eq!(dir.results("one").len(), 4);
}

#[test]
#[cfg(target_os = "linux")]
fn a_run_whose_summary_can_not_be_written_ends_as_it_did() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    let file = campaign(&dir, "one", relay.port(), "", "");
    dir.write("one.csv", "email,n\nann@a.example,1\nrcpt-550@a.example,2\n");
    // The second start finds the run finished.
    for json in [false, true, false, true] {
        let args: &[&str] = if json { &["send", &file, "--json"] } else { &["send", &file] };
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = dir.command(args).stdout(full).output().unwrap();
        crate::kit::Ran(output).ended(1).says("can't write to stdout");
    }
    assert_eq!(relay.stop().accepted, 1);
}

#[test]
fn fail_above_says_how_many_may_be_missing() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    let file = campaign(&dir, "one", relay.port(), "", "");
    let rows: String = (0..9).map(|n| format!("r{n}@a.example,{n}\n")).collect();
    dir.write("one.csv", format!("email,n\n{rows}rcpt-550@a.example,9\n"));
    dir.run(&["send", &file, "--fail-above", "10%"]).ended(0);
    dir.run(&["send", &file]).ended(1);
    dir.run(&["send", &file, "--fail-above", "9.9%"]).ended(1);
    dir.run(&["send", &file, "--fail-above", "10"]).ended(0);
    for bad in ["two", "101%", "-1%", "nan"] {
        dir.run(&["send", &file, &format!("--fail-above={bad}")]).ended(2).says("--fail-above");
    }
    // Nobody at all is never enough.
    list(&dir, "none", 0);
    let none = campaign(&dir, "none", relay.port(), "", "");
    dir.run(&["send", &none, "--fail-above", "100%"]).ended(1);
}

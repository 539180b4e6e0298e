//! `[report]`: mail to the owner about runs, and about what came back.

use std::fs;

use mailrun::sandbox::{Options, record};

use crate::kit::{Dir, Relay, campaign, list};

const REPORT: &str =
    "[report]\nto = [\"ops@owner.example\", \"boss@owner.example\"]\n[stop]\nmax-invalid-percent = 100\n";

/// Who got mail, in order.
fn recipients(dir: &Dir) -> Vec<String> {
    let taken = record::read(&dir.path().join("taken.jsonl")).unwrap();
    let mut recipients: Vec<String> = taken.into_iter().map(|entry| entry.recipient).collect();
    recipients.sort();
    recipients
}

fn relay(dir: &Dir) -> Relay {
    Relay::start(Options { record: Some(dir.path().join("taken.jsonl")), ..Options::default() })
}

fn owners_of(recipients: &[String]) -> Vec<&str> {
    recipients.iter().map(String::as_str).filter(|name| name.ends_with("@owner.example")).collect()
}

#[test]
fn a_finished_run_is_reported_once_with_those_who_were_not_reached() {
    let dir = Dir::new();
    let relay = relay(&dir);
    let file = campaign(&dir, "news", relay.port(), "", REPORT);
    dir.write(
        "news.csv",
        "email,n\nann@a.example,1\nrcpt-550-5.1.1@a.example,2\n=cmd@a.example,3\nno address,4\n",
    );
    // The suppressed one would be a formula.
    dir.run(&["suppress", "add", "=cmd@a.example"]).ended(0);
    dir.run(&["send", &file]).ended(1).says("the report was sent: report-run-news/");
    assert_eq!(owners_of(&recipients(&dir)), ["boss@owner.example", "ops@owner.example"]);
    let run = dir.run_of("news");
    let run = run.file_name().unwrap().to_str().unwrap();
    let folder = dir.path().join(format!("state/owner-mails/news/run-{run}"));
    let csv = fs::read_to_string(folder.join("not-reached.csv")).unwrap();
    for expected in [
        "email,disposition,class,status,reason,file,row\n",
        "rcpt-550-5.1.1@a.example,bounced,bad_mailbox,5.1.1,",
        "\n'=cmd@a.example,suppressed,",
        "\nno address,invalid,",
    ] {
        assert!(csv.contains(expected), "{expected} is not in\n{csv}");
    }
    assert!(!csv.contains("ann@"), "{csv}");
    let body = fs::read_to_string(folder.join("list.csv")).unwrap();
    assert!(body.contains("1 accepted, 3 not reached") && body.contains("bad_mailbox"), "{body}");

    // The same command again sends nothing.
    dir.run(&["send", &file]).ended(1);
    assert_eq!(owners_of(&recipients(&dir)).len(), 2);
    // Tests and rehearsals tell nobody.
    dir.run(&["send", &file, "--to", "me@else.example"]).ended(0);
    dir.run(&["send", &file, "--sandbox"]).ended(0);
    assert_eq!(owners_of(&recipients(&dir)).len(), 2);
    relay.stop();
}

#[test]
fn a_report_that_is_refused_changes_no_exit_code_and_is_sent_once_it_can_be() {
    let dir = Dir::new();
    let relay = relay(&dir);
    let to = |name: &str| format!("[report]\nto = \"{name}@owner.example\"\n");
    let file = campaign(&dir, "news", relay.port(), "", &to("rcpt-550-5.1.1"));
    list(&dir, "news", 2);
    dir.run(&["send", &file]).ended(0).says("the report was not accepted; `mailrun results report-run-news/");
    assert_eq!(owners_of(&recipients(&dir)).len(), 0);
    campaign(&dir, "news", relay.port(), "", &to("ops"));
    dir.run(&["send", &file]).ended(0).says("the report was sent");
    assert_eq!(recipients(&dir), ["ops@owner.example", "r0@news.example", "r1@news.example"]);
    relay.stop();
}

#[test]
fn what_came_back_is_told_once_a_day() {
    let dir = Dir::new();
    let relay = relay(&dir);
    let file = campaign(&dir, "news", relay.port(), "", "[report]\nto = \"ops@owner.example\"\n");
    list(&dir, "news", 1);
    dir.run(&["feedback", "summary", "--mail", &file]).ended(0).says("nothing came back for news yesterday");
    let without = campaign(&dir, "other", relay.port(), "", "");
    dir.run(&["feedback", "summary", "--mail", &without])
        .ended(2)
        .says("`[report] to` of the campaign names nobody");
    relay.stop();
}

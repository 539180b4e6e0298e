//! What is printed where: quiet, as JSON, while a run resumes.

use mailrun::sandbox::Options;
use serde_json::Value;

use crate::kit::{Dir, Ran, Relay, campaign, list, program};

fn json_lines(ran: &Ran) -> Vec<Value> {
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    ran.stderr().lines().map(parse).collect()
}

#[test]
fn quiet_shows_warnings_and_errors_and_nothing_else() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    list(&dir, "one", 3);
    let file = campaign(&dir, "one", relay.port(), "", "");
    dir.write("dns/zone", "mail.example.com. 300 IN MX 10 localhost.\n");
    let loud =
        dir.run(&["send", &file, "--no-progress"]).ended(0).says("3 of 3 rows to send").says("warning: ");
    assert!(loud.stdout().contains("accepted"));
    let quiet = dir.run(&["send", &file, "-q", "--again"]).ended(0).says("warning: ");
    assert!(quiet.stderr().lines().all(|line| line.starts_with("warning: ")), "{}", quiet.stderr());
    assert_eq!(quiet.stdout(), "");
    let again = dir.run(&["send", &file, "-q"]).ended(0);
    assert_eq!((again.stdout(), again.stderr()), (String::new(), String::new()));
    // What was asked for is printed.
    assert!(dir.run(&["send", &file, "-q", "--json"]).ended(0).stdout().contains("\"accepted\": 3"));
    dir.run(&["send", "missing.toml", "-q"]).ended(2).says("error: ");
}

#[test]
fn a_relay_that_is_dead_is_not_silent_when_quiet() {
    let dir = Dir::new();
    list(&dir, "one", 1);
    let retry = "[delivery.retry]\nfirst = \"20ms\"\ngive-up-after = \"100ms\"";
    let file = campaign(&dir, "one", 1, "", retry);
    let ran = dir.run(&["send", &file, "-q"]).ended(1);
    assert!(ran.stderr().contains("WARN"), "{}", ran.stderr());
}

#[test]
fn with_json_every_line_on_stderr_is_json() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    list(&dir, "one", 3);
    let file = campaign(&dir, "one", relay.port(), "", "");
    dir.write("dns/zone", "mail.example.com. 300 IN MX 10 localhost.\n");
    let lines = json_lines(&dir.run(&["send", &file, "--log-format", "json", "-vv"]).ended(0));
    let says = |level: &str, text: &str| {
        lines
            .iter()
            .any(|line| line["level"] == level && line["message"].as_str().is_some_and(|m| m.contains(text)))
    };
    assert!(says("INFO", "3 of 3 rows to send") && says("WARN", "DMARC"), "{lines:?}");
    assert!(lines.iter().all(|line| line["timestamp"].as_str().is_some_and(|at| at.ends_with('Z'))));
    for args in [["send", "missing.toml"], ["status", "nothing"], ["send", "--no-such-option"]] {
        let lines = json_lines(&dir.run(&[args.as_slice(), &["--log-format", "json"]].concat()).ended(2));
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert_eq!(lines[0]["level"], "ERROR");
    }
}

#[test]
fn a_refused_start_is_json_on_stderr_too() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    list(&dir, "one", 3);
    let file = campaign(&dir, "one", relay.port(), "", "[stop]\nmin-rows = 5");
    let lines = json_lines(&dir.run(&["send", &file, "--log-format", "json"]).ended(2));
    let errors: Vec<_> = lines.iter().filter(|line| line["level"] == "ERROR").collect();
    assert_eq!(errors.len(), 1, "{lines:?}");
    assert!(errors[0]["message"].as_str().unwrap().contains("`[stop] min-rows` is 5"), "{lines:?}");
}

#[test]
fn the_summary_says_why_rows_were_not_sent_and_what_failed_last() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    let refused: String = (0..12).map(|n| format!("rcpt-550+{n}@a.example,{n}\n")).collect();
    dir.write("one.csv", format!("email,n\nann@a.example,1\nno address,2\n{refused}"));
    let file = campaign(&dir, "one", relay.port(), "", "");
    let shown = dir.run(&["send", &file]).ended(1).stdout();
    let (_, below) = shown.split_once("\n  reasons\n").unwrap_or_else(|| panic!("{shown}"));
    let (reasons, failed) =
        below.split_once("\n  failed last (10 of 12)\n").unwrap_or_else(|| panic!("{shown}"));
    assert!(reasons.contains("invalid") && reasons.contains("one.csv, row 2"), "{shown}");
    let failed: Vec<_> = failed.lines().take_while(|line| !line.is_empty()).collect();
    assert_eq!(failed.len(), 10, "{shown}");
    assert!(failed.iter().all(|line| line.contains("one.csv, row ") && line.contains("550")), "{shown}");
}

#[test]
fn a_run_that_resumes_says_how_far_it_is() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    list(&dir, "one", 3);
    let file = campaign(&dir, "one", relay.port(), "", "");
    dir.run(&["send", &file, "--not-after", "2001-01-01T00:00:00Z"]).ended(4);
    dir.run(&["send", &file, "--yes"]).ended(0).says("resuming: 0 of 3 done");
}

#[test]
fn a_run_with_nobody_to_send_to_says_why_also_when_quiet() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    let file = campaign(&dir, "one", relay.port(), "", "[stop]\nmax-invalid-percent = 100");
    dir.write("one.csv", "email,n\n");
    let quiet = || dir.run(&["send", &file, "-q", "--no-check"]).ended(1).stderr();
    assert_eq!(quiet(), "warning: nothing was sent: the list has no rows\n");
    assert_eq!(quiet(), "warning: nothing was sent: the list has no rows\n", "also when it is asked again");
    let audit = dir.run(&["capacity", "audit", "one"]).ended(0).stdout();
    assert_eq!(audit, "default: nothing was attempted\n");
    dir.write("one.csv", "email,n\nbob@@a.example,1\nann@a.example,2\n");
    dir.run(&["suppress", "add", "ann@a.example"]).ended(0);
    assert_eq!(
        quiet(),
        "warning: nothing was sent: of 2 rows none can be sent to: 1 invalid, 1 suppressed\n"
    );
}

#[test]
fn commands_that_are_printed_can_be_pasted_into_a_shell() {
    let dir = Dir::new();
    for folder in ["odd name", "it's $HOME"] {
        let said = dir.run(&["init", folder]).ended(0).stderr();
        let commands: Vec<&str> =
            said.lines().map(str::trim).filter(|line| line.starts_with("mailrun ")).collect();
        assert_eq!(commands.len(), 3, "{said}");
        for command in commands {
            let (_, arguments) = command.split_once(' ').unwrap();
            let ran = std::process::Command::new("/bin/sh")
                .args(["-c", &format!("\"$0\" {arguments}"), program().to_str().unwrap()])
                .current_dir(dir.path())
                .env("MAILRUN_STATE", dir.path().join("state"))
                .output()
                .unwrap();
            let stderr = String::from_utf8_lossy(&ran.stderr);
            assert!(ran.status.success(), "{command}: {stderr}");
        }
    }
}

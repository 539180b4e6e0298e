//! An entry of the suppression list is for all mail or for one list: who leaves a newsletter still
//! gets alarms.

use std::fs;

use mailrun::sandbox::Options;
use serde_json::{Value, json};

use crate::feedback::column;
use crate::kit::{Dir, Relay, campaign, list};

const NEWS: &str = "News <News.Example.com>";
const LINK: &str = "[unsubscribe]\nhttps = \"https://mail.example.com/u/{{token}}\"\n";

/// A campaign to `r0@news.example`, `r1@news.example` …, with these keys under `[campaign]`.
fn write(dir: &Dir, id: &str, port: u16, keys: &str, rows: usize) {
    campaign(dir, id, port, "", LINK);
    list(dir, "news", rows);
    let name = format!("{id}.toml");
    let text = fs::read_to_string(dir.path().join(&name)).unwrap();
    let text = text.replace(&format!("id = \"{id}\""), &format!("id = \"{id}\"\n{keys}"));
    dir.write(&name, text.replace(&format!("{id}.csv"), "news.csv"));
}

/// The newsletter and the alarms of one sender.
fn write_both(dir: &Dir, port: u16, rows: usize) {
    write(dir, "news", port, &format!("list-id = \"{NEWS}\"\nedition = \"1\""), rows);
    write(dir, "alarm", port, "kind = \"alarm\"", rows);
}

fn token(dir: &Dir, row: usize) -> String {
    let message = dir.run(&["render", "news.toml", "--row", &row.to_string()]).ended(0).stdout();
    let (_, after) = message.split_once("https://mail.example.com/u/").expect("the message has the link");
    after.split_once('>').unwrap().0.to_owned()
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Address, reason and list of each entry.
fn entries(dir: &Dir) -> Vec<(String, String, Option<String>)> {
    let word = |entry: &Value, name: &str| entry[name].as_str().map(str::to_owned);
    let listed = lines(&dir.run(&["suppress", "list", "--json"]).ended(0).stdout());
    let of = |entry: &Value| {
        (word(entry, "email").unwrap(), word(entry, "reason").unwrap(), word(entry, "list_id"))
    };
    listed.iter().map(of).collect()
}

fn entry(email: &str, reason: &str, list_id: Option<&str>) -> (String, String, Option<String>) {
    (email.to_owned(), reason.to_owned(), list_id.map(str::to_owned))
}

/// Why the rows of a campaign's run were suppressed.
fn suppressed(dir: &Dir, id: &str) -> Vec<(String, String)> {
    let rows = dir.results(id).into_iter().filter(|row| row.disposition.to_string() == "suppressed");
    rows.map(|row| (row.email.unwrap().into_owned(), row.detail.unwrap().into_owned())).collect()
}

#[test]
fn who_leaves_a_newsletter_by_its_link_still_gets_alarms() {
    let relay = Relay::start(Options::default());
    let dir = Dir::new();
    write_both(&dir, relay.port(), 4);
    dir.run(&["send", "news.toml"]).ended(0);
    let tokens: Vec<String> = (1..=3).map(|row| token(&dir, row)).collect();
    let ran = dir.run(&["suppress", "add", "--token", &tokens[0]]).ended(0);
    ran.says("recipient `r0@news.example`, for list news.example.com");
    // The state knows the run's list also when its directory is gone.
    fs::remove_dir_all(dir.path().join("runs")).unwrap();
    dir.write("left.csv", format!("token\n{}\n", tokens[1]));
    dir.run(&["suppress", "import", "left.csv", "--tokens"]).ended(0);
    let mail = format!("From: r2@news.example\nTo: leave@mail.example.com\nSubject: {}\n\n", tokens[2]);
    dir.write("leave.eml", mail);
    let read = lines(&dir.run(&["feedback", "read", "leave.eml", "--json"]).ended(0).stdout());
    let event = &read[0]["events"][0];
    assert_eq!(
        (&event["effect"], &event["recipient"]["list_id"]),
        (&json!("suppressed"), &json!("news.example.com"))
    );
    let left =
        [0, 1, 2].map(|n| entry(&format!("r{n}@news.example"), "unsubscribe", Some("news.example.com")));
    assert_eq!(entries(&dir), left);

    dir.run(&["send", "news.toml", "--edition", "2"]).ended(0);
    dir.run(&["send", "alarm.toml"]).ended(0);
    relay.stop();
    let got = [("accepted".to_owned(), 1), ("suppressed".to_owned(), 3)];
    assert_eq!(dir.dispositions("news"), got);
    let why = &suppressed(&dir, "news")[0].1;
    assert!(why.starts_with("unsubscribe, for list news.example.com, from news/"), "{why}");
    assert_eq!(dir.dispositions("alarm"), [("accepted".to_owned(), 4)]);

    dir.run(&["feedback", "tables"]).ended(0);
    let day = fs::read_dir(dir.path().join("state/feedback")).unwrap().find_map(|day| {
        let day = day.unwrap().path();
        day.is_dir().then_some(day)
    });
    let table = day.unwrap().join("part-00000.parquet");
    assert_eq!(column(&table, "list_id"), ["news.example.com"]);

    dir.run(&["feedback", "undo", "--import", "1"]).ended(0);
    assert_eq!(entries(&dir), left[..2]);
}

/// Of a run that has begun, and of one that is screened: either entry blocks, and both are named.
#[test]
fn a_run_in_progress_hears_of_its_own_list_alone() {
    let relay = Relay::start(Options::default());
    let dir = Dir::new();
    write_both(&dir, relay.port(), 4);
    let begin_only = ["--not-after", "2001-01-01T00:00:00Z"];
    for file in ["news.toml", "alarm.toml"] {
        dir.run(&[&["send", file], begin_only.as_slice()].concat()).ended(4);
    }
    let add = |words: &[&str]| {
        dir.run(&[&["suppress", "add"], words].concat()).ended(0);
    };
    add(&["r0@news.example", "--list-id", "NEWS.example.com", "--for", "90d"]);
    add(&["r1@news.example", "--list-id", "other.example.com"]);
    add(&["r2@news.example", "--list-id", "news.example.com", "--for", "never"]);
    add(&["r2@news.example", "--reason", "complaint"]);
    // `plan` and `check` count as `send` does.
    let asked = |command: &str| -> Value {
        serde_json::from_str(&dir.run(&[command, "news.toml", "--json"]).stdout()).unwrap()
    };
    assert_eq!(asked("plan")["screening"]["suppressed"], 2);
    for file in ["news.toml", "alarm.toml"] {
        dir.run(&["send", file]).ended(0);
    }
    relay.stop();
    let of_news = suppressed(&dir, "news");
    let emails: Vec<&str> = of_news.iter().map(|(email, _)| email.as_str()).collect();
    assert_eq!(emails, ["r0@news.example", "r2@news.example"]);
    let both = "complaint, from command line, for ever; manual, for list news.example.com, from command line, for ever";
    assert!(of_news[1].1.ends_with(both), "{of_news:?}");
    let of_alarm = suppressed(&dir, "alarm");
    assert_eq!(of_alarm.len(), 1);
    assert!(of_alarm[0].1.ends_with("complaint, from command line, for ever"), "{of_alarm:?}");
    assert_eq!(asked("check")["suppressed"], 2);
}

#[test]
fn each_command_knows_lists() {
    let dir = Dir::new();
    let run = |words: &[&str], code: i32| dir.run(&[&["suppress"], words].concat()).ended(code);
    run(&["add", "ann@x.example", "--reason", "complaint"], 0);
    run(&["add", "ann@x.example", "bob@x.example", "--list-id", "news.example.com"], 0);
    run(&["add", "ann@x.example", "--list-id", "two words"], 2).says("no id of a list");
    let all = [
        entry("ann@x.example", "complaint", None),
        entry("ann@x.example", "manual", Some("news.example.com")),
        entry("bob@x.example", "manual", Some("news.example.com")),
    ];
    assert_eq!(entries(&dir), all);
    let of_list = run(&["list", "--list-id", "news.example.com"], 0).stdout();
    assert_eq!(of_list.matches("command line, for list news.example.com\n").count(), 2, "{of_list}");

    let said = run(&["check", "ann@x.example", "cleo@x.example"], 1).stdout();
    assert!(
        said.contains("ann@x.example: complaint, from command line, for ever; manual, for list"),
        "{said}"
    );
    assert!(said.contains("cleo@x.example: not on the list"), "{said}");
    run(&["check", "bob@x.example", "--list-id", "other.example.com"], 0);
    run(&["check", "bob@x.example", "--list-id", "news.example.com"], 1);
    let json: Value = serde_json::from_str(&run(&["check", "ann@x.example", "--json"], 1).stdout()).unwrap();
    assert_eq!(
        (&json["blocked"], &json["addresses"][0]["entries"][1]["list_id"]),
        (&json!(1), &json!("news.example.com"))
    );

    // Out and in again.
    for file in ["all.csv", "all.parquet"] {
        run(&["export", file], 0);
        let other = Dir::new();
        other.write(file, fs::read(dir.path().join(file)).unwrap());
        other.run(&["suppress", "import", file]).ended(0);
        assert_eq!(entries(&other), all, "{file}");
    }
    dir.write(
        "more.csv",
        "email,list_id\ndan@x.example,\neve@x.example,<Alarms.example.com>\nfay@x.example,a b\n",
    );
    run(&["import", "more.csv", "--list-id", "news.example.com"], 1).says("row 3: `a b` is no id of a list");
    let more = [
        entry("dan@x.example", "manual", Some("news.example.com")),
        entry("eve@x.example", "manual", Some("alarms.example.com")),
    ];
    assert_eq!(entries(&dir)[3..], more);

    // What is left is said, with the command that removes it.
    let still = "`mailrun suppress remove --list-id news.example.com ann@x.example`";
    run(&["remove", "ann@x.example"], 0).says(still);
    run(&["remove", "bob@x.example"], 1).says("`bob@x.example` was not on the list");
    run(&["remove", "ann@x.example", "bob@x.example", "--list-id", "news.example.com"], 0).says("2 removed");
    assert_eq!(entries(&dir), more);
}

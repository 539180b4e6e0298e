//! `[seed] addresses`: mailboxes of one's own that get a copy in each run, and are no rows of the
//! list.

use std::fs;
use std::path::{Path, PathBuf};

use mailrun::mail::Disposition;
use mailrun::results::{Column, ResultFiles, ResultRow};
use mailrun::sandbox::{Keep, Options, record};
use serde_json::Value;

use crate::kit::{Dir, Relay, campaign};

const LIST: &str = "email,n,id\nann@a.example,1,10\nbob@a.example,2,11\n";

/// A campaign with ids, with unsubscribe links and with these seeds.
fn news(dir: &Dir, port: u16, seeds: &str, more: &str) -> String {
    let seed = format!("[seed]\naddresses = [{seeds}]\n{more}");
    let unsubscribe = "[unsubscribe]\nhttps = \"https://mail.example.com/u/{{token}}\"\n";
    let file = campaign(dir, "news", port, "", &format!("{unsubscribe}{seed}"));
    let text = fs::read_to_string(dir.path().join(&file)).unwrap();
    dir.write(&file, text.replace("files = [\"news.csv\"]", "files = [\"news.csv\"]\nid = \"id\""));
    dir.write("letter.hbs", "Hello {{email}}, {{n}}\n");
    dir.write("news.csv", LIST);
    file
}

fn rows(run: &Path) -> Vec<ResultRow<'static>> {
    let files = ResultFiles::open(&run.join("results")).unwrap();
    files.rows(&Column::ALL).map(|row| row.unwrap()).collect()
}

/// Address, whether it is a seed, and disposition of each row.
fn short(rows: &[ResultRow<'_>]) -> Vec<(String, bool, Disposition)> {
    let one = |row: &ResultRow<'_>| (row.email.as_deref().unwrap().to_owned(), row.is_seed, row.disposition);
    rows.iter().map(one).collect()
}

fn as_row(email: &str, is_seed: bool, disposition: Disposition) -> (String, bool, Disposition) {
    (email.into(), is_seed, disposition)
}

fn json(ran: &crate::kit::Ran) -> Value {
    serde_json::from_str(&ran.stdout()).unwrap()
}

#[test]
fn each_run_has_copies_for_seed_addresses_that_its_results_mark() {
    let dir = Dir::new();
    let taken = dir.path().join("taken.jsonl");
    let relay = Relay::start(Options { record: Some(taken.clone()), ..Options::default() });
    let more = "[results]\ncolumns = [\"n\"]\n";
    let file = news(&dir, relay.port(), "\"box@seed.example\", \"rcpt-550-5.1.1@seed.example\"", more);
    dir.write("news.csv", format!("{LIST}nobody,3,12\n"));
    let stop = "[stop]\nmax-invalid-percent = 100\n";
    let text = fs::read_to_string(dir.path().join(&file)).unwrap();
    dir.write(&file, text + stop);

    // A run that is begun and resumed has its copies once. A seed that bounces fails nobody.
    dir.run(&["send", &file, "--not-after", "2001-01-01T00:00:00Z"])
        .ended(4)
        .says("2 of 3 rows to send and 2 seed addresses");
    let ran = dir.run(&["send", &file, "--json"]).ended(0);
    let summary = &json(&ran)["summary"];
    assert_eq!((&summary["rows"], &summary["dispositions"]["accepted"]), (&3.into(), &2.into()));
    assert_eq!(summary["dispositions"]["bounced"], 0);
    assert_eq!(summary["seeds"], serde_json::json!({ "accepted": 1, "bounced": 1 }));
    assert_eq!(summary["attempts"], 4);

    let found = dir.results("news");
    assert_eq!(
        short(&found),
        [
            as_row("ann@a.example", false, Disposition::Accepted),
            as_row("bob@a.example", false, Disposition::Accepted),
            as_row("nobody", false, Disposition::Invalid),
            as_row("box@seed.example", true, Disposition::Accepted),
            as_row("rcpt-550-5.1.1@seed.example", true, Disposition::Bounced),
        ]
    );
    let seed = &found[3];
    assert_eq!(
        (seed.source_file.as_ref(), seed.row, seed.domain.as_deref()),
        ("[seed]", 1, Some("seed.example"))
    );
    assert_eq!((seed.recipient_id.as_deref(), seed.attempts_at.len(), seed.is_test), (None, 1, false));
    let mut to: Vec<String> =
        record::read(&taken).unwrap().into_iter().map(|entry| entry.recipient).collect();
    to.sort();
    assert_eq!(to, ["ann@a.example", "bob@a.example", "box@seed.example"]);

    // They count against the capacity, and their bounces suppress nobody.
    let audit = dir.run(&["capacity", "audit", dir.run_of("news").to_str().unwrap(), "--json"]).ended(0);
    assert_eq!(json(&audit)["accounts"][0]["attempts"], 4);
    assert_eq!(dir.run(&["suppress", "list"]).ended(0).stdout().matches('@').count(), 0);
    let status = json(&dir.run(&["status", "news", "--json"]).ended(0));
    assert_eq!(status["counts"], serde_json::json!({ "accepted": 2, "invalid": 1 }));
    let history = dir.run(&["status", "news", "--recipient", "box@seed.example"]).ended(0).stdout();
    assert!(history.contains("[seed], row 1"), "{history}");
    dir.run(&["results", "news"]).ended(0);
    assert_eq!(short(&dir.results("news")), short(&found));
    dir.run(&["send", &file]).ended(0).says("nothing is sent again");
}

#[test]
fn seeds_belong_to_no_edition_and_to_no_suppression_list() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    // One is a recipient as well, and one left long ago.
    let file = news(&dir, relay.port(), "\"ann@a.example\", \"box@seed.example\"", "");
    dir.run(&["suppress", "add", "box@seed.example"]).ended(0);
    let run_of = |ran: &crate::kit::Ran| -> PathBuf {
        let name = json(ran)["run"].as_str().unwrap().to_owned();
        dir.path().join("runs").join(name)
    };
    let seeds = [
        as_row("ann@a.example", true, Disposition::Accepted),
        as_row("box@seed.example", true, Disposition::Accepted),
    ];
    let ran = dir.run(&["send", &file, "--json"]).ended(0);
    let first = run_of(&ran);
    assert_eq!(short(&rows(&first))[2..], seeds);
    let list = format!("{LIST}box@seed.example,3,12\nrcpt-550-5.7.1@a.example,4,13\n");
    dir.write("news.csv", list);
    // The next run of the edition: its list is looked up as always, and the seeds get their copies.
    let ran = dir.run(&["send", &file, "--json"]).ended(1);
    let found = short(&rows(&run_of(&ran)));
    assert_eq!(
        found[..4],
        [
            as_row("ann@a.example", false, Disposition::AlreadySent),
            as_row("bob@a.example", false, Disposition::AlreadySent),
            as_row("box@seed.example", false, Disposition::Suppressed),
            as_row("rcpt-550-5.7.1@a.example", false, Disposition::Bounced),
        ]
    );
    assert_eq!(found[4..], seeds);
    // So has a retry, of whose rows they are none.
    let again = run_of(&ran).file_name().unwrap().to_str().unwrap().to_owned();
    let ran = dir.run(&["retry", &again, "--disposition", "bounced", "--json"]).ended(1);
    let retried = short(&rows(&run_of(&ran)));
    assert_eq!(retried[0], as_row("rcpt-550-5.7.1@a.example", false, Disposition::Bounced));
    assert_eq!(retried[1..], seeds);
    // Without anybody to send to there is nothing to copy.
    dir.run(&["send", &file, "--edition", "2", "--list", "news.csv"]).ended(1);
    dir.write("none.csv", "email,n,id\n");
    let ran = dir.run(&["send", &file, "--edition", "3", "--list", "none.csv", "--json"]).ended(1);
    assert_eq!(rows(&run_of(&ran)).len(), 0);
}

#[test]
fn the_copy_is_the_first_rows_message_and_its_link_unsubscribes_nobody() {
    let dir = Dir::new();
    let kept = tempfile::tempdir().unwrap();
    let relay = Relay::start(Options { keep: Keep::Eml(kept.path().to_owned()), ..Options::default() });
    let file = news(&dir, relay.port(), "\"box@seed.example\"", "");
    dir.run(&["send", &file]).ended(0);
    relay.stop();
    let read = |entry: std::io::Result<fs::DirEntry>| fs::read_to_string(entry.unwrap().path()).unwrap();
    let messages: Vec<String> = fs::read_dir(kept.path()).unwrap().map(read).collect();
    assert_eq!(messages.len(), 3);
    let copy = messages.iter().find(|message| message.contains("box@seed.example")).unwrap();
    assert!(copy.contains("Hello box@seed.example, 1") && copy.contains("Subject: Number 1"), "{copy}");
    assert!(!copy.contains("ann@a.example"), "{copy}");
    let (_, link) = copy.split_once("https://mail.example.com/u/").unwrap();
    let token = link.split_once('>').unwrap().0;
    dir.run(&["suppress", "add", "--token", token]).ended(2).says("the token is that of a test message");
}

#[test]
fn tests_have_no_seeds_and_rehearsals_rehearse_them() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    let file = news(&dir, relay.port(), "\"box@seed.example\"", "");
    dir.run(&["send", &file, "--to", "me@b.example"]).ended(0);
    assert_eq!(relay.stop().accepted, 1);
    let ran = dir.run(&["send", &file, "--sandbox", "--unpaced", "--json"]).ended(0);
    assert_eq!(json(&ran)["summary"]["seeds"], serde_json::json!({ "accepted": 1 }));
}

#[test]
fn seeds_that_can_not_be_are_refused() {
    let dir = Dir::new();
    let refused = |seeds: &str, problem: &str| {
        let file = news(&dir, 9, seeds, "");
        dir.run(&["plan", &file]).ended(2).says(problem).says("news.toml:");
    };
    refused("\"box@@seed.example\"", "`box@@seed.example`: ");
    refused("\"box@seed.example\", \"box@seed.example\"", "`box@seed.example` is named twice");
    let file = news(&dir, 9, "\"box@seed.example\"", "");
    let text = fs::read_to_string(dir.path().join(&file)).unwrap();
    let with = "[template]\nattachment-columns = [\"n\"]\nattachment-folder = \"bills\"";
    dir.write(&file, text.replace("[template]", with));
    dir.run(&["plan", &file]).ended(2).says("the files of a row are for its recipient alone");
}

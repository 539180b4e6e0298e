//! Who unsubscribes gets nothing more: tokens from the links of messages become entries of the
//! suppression list.

use std::fs;
use std::path::PathBuf;

use mailrun::sandbox::{Keep, Options};

use crate::kit::{Dir, Relay, campaign, list};

const HTTPS: &str = "[unsubscribe]\nhttps = \"https://mail.example.com/u/{{token}}\"\n";

/// A folder with a campaign for three recipients whose ids are 10, 11 and 12.
fn dir(port: u16, unsubscribe: &str) -> Dir {
    let dir = Dir::new();
    campaign(&dir, "news", port, "", unsubscribe);
    list(&dir, "news", 3);
    let text = fs::read_to_string(dir.path().join("news.toml")).unwrap();
    dir.write("news.toml", text.replace("files = [\"news.csv\"]", "files = [\"news.csv\"]\nid = \"id\""));
    dir.write("news.csv", "email,n,id\nann@x.example,1,10\nbob@x.example,2,11\ncleo@x.example,3,12\n");
    dir
}

/// The token in the message of a row, from 1.
fn token(dir: &Dir, row: &str) -> String {
    let message = dir.run(&["render", "news.toml", "--row", row]).ended(0).stdout();
    token_in(&message)
}

fn token_in(message: &str) -> String {
    let (_, after) = message.split_once("https://mail.example.com/u/").expect("the message has the link");
    after.split_once('>').unwrap().0.to_owned()
}

fn suppressed(dir: &Dir) -> Vec<serde_json::Value> {
    let lines = dir.run(&["suppress", "list", "--json"]).ended(0).stdout();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn the_token_of_a_link_takes_its_recipient_off_the_next_run() {
    let relay = Relay::start(Options::default());
    let dir = dir(relay.port(), HTTPS);
    dir.run(&["send", "news.toml", "--edition", "1"]).ended(0);
    let run = dir.run_of("news").file_name().unwrap().to_str().unwrap().to_owned();
    let text = fs::read_to_string(dir.path().join("news.toml")).unwrap();
    dir.write("news.toml", text.replace("id = \"news\"", "id = \"news\"\nedition = \"1\""));
    let token = token(&dir, "2");

    let ran = dir.run(&["suppress", "add", "--token", &token]).ended(0);
    let ran = ran.says("1 added, 0 renewed, 0 already permanent");
    let said = format!("bob@x.example: run news/{run}, row 2 of its plan, recipient `11`");
    ran.says(&said);
    let entries = suppressed(&dir);
    assert_eq!(entries.len(), 1, "{entries:?}");
    assert_eq!(entries[0]["email"], "bob@x.example");
    assert_eq!((entries[0]["reason"].as_str(), entries[0]["expires"].as_str()), (Some("unsubscribe"), None));
    assert_eq!(entries[0]["source"], format!("news/{run}"), "the run that it got the message from");

    fs::remove_dir_all(dir.path().join("runs")).unwrap();
    dir.run(&["send", "news.toml", "--edition", "2"]).ended(0);
    let got: Vec<(String, usize)> = dir.dispositions("news");
    assert_eq!(got, [("accepted".to_owned(), 2), ("suppressed".to_owned(), 1)]);
    relay.stop();
}

#[test]
fn tokens_of_a_file_are_imported_and_those_that_say_nothing_are_named() {
    let dir = dir(9, HTTPS);
    let (ann, cleo) = (token(&dir, "1"), token(&dir, "3"));
    dir.write("left.csv", format!("token,source\n{ann},\nAAAA{cleo},\n{cleo},form\n"));
    let ran = dir.run(&["suppress", "import", "left.csv", "--tokens"]).ended(1);
    let ran = ran.says("left.csv, row 2: the token was not made with this secret, or was altered");
    ran.says("3 rows read: 2 added, 0 renewed, 0 already permanent, 1 refused");
    let entries = suppressed(&dir);
    let emails: Vec<_> = entries.iter().map(|entry| entry["email"].as_str().unwrap()).collect();
    assert_eq!(emails, ["ann@x.example", "cleo@x.example"]);
    assert_eq!(
        (entries[0]["reason"].as_str(), entries[1]["source"].as_str()),
        (Some("unsubscribe"), Some("form"))
    );
    assert!(entries[0]["source"].as_str().unwrap().starts_with("news/"));
}

#[test]
fn a_token_is_read_with_the_secret_that_its_campaign_names() {
    let secret = format!("{HTTPS}secret-file = \"secret\"\n");
    let dir = dir(9, &secret);
    dir.write("secret", "0123456789abcdef0123456789abcdef");
    let token = token(&dir, "1");
    let ran = dir.run(&["suppress", "add", "--token", &token]).ended(2);
    ran.says("the token was not made with this secret, or was altered").says("`--campaign FILE`");
    assert!(suppressed(&dir).is_empty());
    dir.run(&["suppress", "add", "--token", &token, "--campaign", "news.toml"]).ended(0);
    assert_eq!(suppressed(&dir)[0]["email"], "ann@x.example");
}

#[test]
fn the_link_of_a_test_message_unsubscribes_nobody() {
    let kept = tempfile::tempdir().unwrap();
    let relay = Relay::start(Options { keep: Keep::Eml(kept.path().to_owned()), ..Options::default() });
    let dir = dir(relay.port(), HTTPS);
    dir.run(&["send", "news.toml", "--to", "me@x.example"]).ended(0);
    relay.stop();
    let mut files: Vec<PathBuf> =
        fs::read_dir(kept.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    let message = fs::read_to_string(files.remove(0)).unwrap();
    let ran = dir.run(&["suppress", "add", "--token", &token_in(&message)]).ended(2);
    ran.says("the token is that of a test message of run `news/test-");
    assert!(suppressed(&dir).is_empty());
}

#[test]
fn a_newsletter_without_the_header_is_refused_unless_it_says_so() {
    let relay = Relay::start(Options::default());
    let dir = dir(relay.port(), "");
    let text = fs::read_to_string(dir.path().join("news.toml")).unwrap();
    dir.write("news.toml", text.replace("without-unsubscribe = true\n", ""));
    let report = dir.run(&["check", "news.toml"]).ended(3).stdout();
    assert!(report.contains("refused  `kind = \"news\"` without `[unsubscribe]`"), "{report}");
    let ran = dir.run(&["send", "news.toml"]).ended(3);
    ran.says("(list-unsubscribe-missing)").says("without-unsubscribe");
    let ran = dir.run(&["send", "news.toml", "--no-check"]).ended(3);
    ran.says("a newsletter must be easy to leave").says("without-unsubscribe");
    dir.run(&["send", "news.toml", "--sandbox"]).ended(0);
    assert_eq!(relay.stats().accepted, 0, "a rehearsal aside, nothing was sent");

    dir.write("news.toml", text);
    let report = dir.run(&["check", "news.toml"]).stdout();
    assert!(report.contains("note     `kind = \"news\"` without `[unsubscribe]`"), "{report}");
    dir.run(&["send", "news.toml"]).ended(0);
    assert_eq!(relay.stop().accepted, 3);
}

#[test]
fn tokens_come_one_a_line_and_a_campaign_may_be_its_folder() {
    let dir = dir(25, &format!("{HTTPS}secret-file = \"own.key\"\n"));
    dir.write("own.key", "a secret of the campaign's own, which is long enough");
    let (one, other) = (token(&dir, "1"), token(&dir, "2"));
    fs::create_dir(dir.path().join("folder")).unwrap();
    let text = fs::read_to_string(dir.path().join("news.toml")).unwrap();
    dir.write("folder/campaign.toml", text);
    dir.write("folder/own.key", "a secret of the campaign's own, which is long enough");
    dir.write("folder/letter.hbs", "Hello\n");

    dir.run(&["suppress", "add", "--token", &one, "--campaign", "folder"]).ended(0).says("1 added");
    dir.write("tokens.txt", format!("{one}\n{other}\nmade-up\n"));
    let import = ["suppress", "import", "--tokens", "--campaign", "folder", "tokens.txt"];
    dir.run(&import).ended(1).says("3 rows read: 1 added, 0 renewed, 1 already permanent, 1 refused");
    assert_eq!(suppressed(&dir).len(), 2);
}

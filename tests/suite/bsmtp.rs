//! Batch SMTP: files of ready messages as a target group, and a folder that mail is written to.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use mailrun::sandbox::{Keep, Options, record};

use crate::kit::{Dir, Relay, campaign, list};

/// A campaign of the ready messages in `spool`; `more` is added at its end.
fn ready(dir: &Dir, port: u16, relay: &str, more: &str) -> &'static str {
    let text = format!(
        "[campaign]\nid = \"ready\"\nkind = \"update\"\nwithout-unsubscribe = true\n\
         [sender]\nfrom = \"Billing <billing@mail.example.com>\"\n\
         [target-group]\nfiles = [\"spool/*.bsmtp\"]\n[delivery]\nroute = \"relay\"\n\
         [delivery.relay]\nhost = \"127.0.0.1\"\nport = {port}\ntls = \"none\"\n{relay}\n{more}\n"
    );
    dir.write("ready.toml", text);
    "ready.toml"
}

/// A transaction; `id` is in the Message-ID and in the text.
fn message(recipients: &[&str], id: &str) -> String {
    let to: String = recipients.iter().map(|to| format!("RCPT TO:<{to}>\r\n")).collect();
    format!(
        "MAIL FROM:<billing@mail.example.com>\r\n{to}DATA\r\nFrom: Billing <billing@mail.example.com>\r\n\
         To: you@b.example\r\nBcc: hidden@b.example\r\nSubject: Invoice {id}\r\nX-Kept:  as   it is\r\n\
         Date: Mon, 30 Nov 2026 10:00:00 +0000\r\nMessage-ID: <{id}@mail.example.com>\r\n\r\n\
         ..dot\r\nText of {id}\r\n.\r\n"
    )
}

fn kept(folder: &Path) -> Vec<String> {
    let read = |entry: Result<fs::DirEntry, _>| fs::read_to_string(entry.unwrap().path()).unwrap();
    fs::read_dir(folder).unwrap().map(read).collect()
}

#[test]
fn every_recipient_is_a_row_and_a_faulty_transaction_spoils_no_other() {
    let dir = Dir::new();
    let folder = dir.path().join("kept");
    let relay = Relay::start(Options { keep: Keep::Eml(folder.clone()), ..Options::default() });
    dir.write("keys/dkim.pem", include_str!("../../fixtures/welcome/keys/test-only-rsa.pem"));
    let faulty = "MAIL FROM:<a@b.example>\r\nRCPT TO:<long@b.example>\r\nDATA\r\n".to_owned()
        + &"x".repeat(1_200)
        + "\r\n.\r\nMAIL oops\r\nRCPT TO:<syntax@b.example>\r\nDATA\r\nHi\r\n.\r\n";
    let first = message(&["a@b.example", "not an address", "c@b.example"], "one");
    dir.write(
        "spool/1.bsmtp",
        format!("EHLO sap\r\n{first}{faulty}{}QUIT\r\n", message(&["d@b.example"], "two")),
    );
    let cut = message(&["cut@b.example"], "cut").replace("\r\n.\r\n", "\r\n");
    dir.write(
        "spool/2.bsmtp",
        format!("HELO sap\n{}", format!("{}{cut}", message(&["a@b.example"], "three")).replace("\r\n", "\n")),
    );
    let dkim = "[stop]\nmax-invalid-percent = 100\n[[dkim]]\ndomain = \"mail.example.com\"\nselector = \"s\"\nkey = \"keys/dkim.pem\"\n";
    let file = ready(&dir, relay.port(), "", dkim);
    dir.run(&["plan", file]).ended(0);
    let shown = dir.run(&["render", file]).ended(0).stdout();
    assert!(shown.contains("Subject: Invoice one") && !shown.contains("hidden@"), "{shown}");
    dir.run(&["send", file, "--no-check"]).ended(0);
    relay.stop();

    let messages = kept(&folder);
    assert_eq!(messages.len(), 4);
    for message in &messages {
        assert!(message.contains("DKIM-Signature:") && !message.contains("hidden@"), "{message}");
        assert!(
            message.contains("X-Kept:  as   it is\r\n") && message.contains("\r\n\r\n.dot\r\n"),
            "{message}"
        );
    }
    assert_eq!(dir.dispositions("ready"), [("accepted".to_owned(), 4), ("invalid".to_owned(), 4)]);
    for id in ["two@mail.example.com", "<two@mail.example.com>"] {
        let searched = dir.run(&["search", "--message-id", id]).ended(0).stdout();
        assert!(searched.contains("d@b.example") && !searched.contains("a@b.example"), "{searched}");
        let traced = dir.run(&["trace", "--message-id", id]).ended(0).stdout();
        assert!(traced.contains("d@b.example") && !traced.contains("a@b.example"), "{traced}");
    }
    let details: BTreeMap<String, String> = (dir.results("ready").into_iter())
        .filter(|row| row.disposition.to_string() == "invalid")
        .map(|row| {
            (
                row.email.map(|email| email.to_string()).unwrap_or_default(),
                row.detail.map(|detail| detail.to_string()).unwrap_or_default(),
            )
        })
        .collect();
    assert!(details["long@b.example"].contains("line 21 has 1,200 octets"), "{details:?}");
    assert!(details["syntax@b.example"].contains("not followed by `FROM:`"), "{details:?}");
    assert!(details["cut@b.example"].contains("the file ends before the dot"), "{details:?}");
    assert!(details["not an address"].contains("no `@`"), "{details:?}");
}

/// The file changes while the run sends its messages, and is back when the run goes on after a
/// kill: it sends what it has frozen, each row once.
#[test]
fn killed_and_resumed_a_run_sends_the_bytes_that_it_has_frozen() {
    const ROWS: usize = 60;
    let dir = Dir::new();
    let (taken, folder) = (dir.path().join("taken.jsonl"), dir.path().join("kept"));
    let keep = Keep::Eml(folder.clone());
    let relay = Relay::start(Options { record: Some(taken.clone()), keep, ..Options::default() });
    let all: String = (0..ROWS).map(|n| message(&[&format!("r{n}@b.example")], &format!("n{n}"))).collect();
    let all = format!("HELO sap\r\n{all}QUIT\r\n");
    let spooled = dir.write("spool/1.bsmtp", &all);
    let file = ready(&dir, relay.port(), "connections = 1", "[journal]\ndurability = \"power-loss\"\n");
    let seen = || fs::read_to_string(&taken).unwrap_or_default().lines().count();
    let mut is_forged = false;
    let killed = dir.killed_once(&["send", file, "--no-check"], || {
        if seen() > 3 && !is_forged {
            fs::write(&spooled, all.replace("Text of", "Forged ")).unwrap();
            is_forged = true;
        }
        seen() > 9
    });
    assert!(killed && is_forged, "the kill came too late");
    fs::write(&spooled, &all).unwrap();
    dir.run(&["send", file, "--no-check"]).says("resuming: ");
    relay.stop();
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for entry in record::read(&taken).unwrap() {
        *times.entry(entry.recipient).or_default() += 1;
    }
    assert!(times.values().all(|times| *times == 1), "{times:?}");
    assert!(kept(&folder).iter().all(|message| message.contains("Text of")));
    let results = dir.results("ready");
    let open = results.iter().filter(|row| row.disposition.to_string() == "in_doubt").count();
    assert_eq!(results.len(), ROWS);
    assert!(times.len() + open >= ROWS && open <= 1, "{} taken, {open} in doubt", times.len());
}

/// A campaign that writes to the folder `out`.
fn to_folder(dir: &Dir, rows: usize, messages: usize) -> String {
    let file = campaign(dir, "out", 9, "", "");
    list(dir, "out", rows);
    fs::create_dir_all(dir.path().join("out")).unwrap();
    let text = fs::read_to_string(dir.path().join(&file)).unwrap();
    let (before, _) = text.split_once("[delivery]").unwrap();
    let delivery =
        format!("[delivery]\nroute = \"bsmtp\"\n[delivery.bsmtp]\nfolder = \"out\"\nmessages = {messages}\n");
    dir.write(&file, format!("{before}{delivery}"));
    file
}

/// The recipients in all files of the folder, each of which must be whole.
fn written(dir: &Dir) -> BTreeMap<String, usize> {
    let mut recipients = BTreeMap::new();
    for entry in fs::read_dir(dir.path().join("out")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "bsmtp") {
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.starts_with("HELO ") && text.ends_with("\r\n.\r\nQUIT\r\n"), "{text}");
            for line in text.lines().filter_map(|line| line.strip_prefix("RCPT TO:<")) {
                *recipients.entry(line.trim_end_matches('>').to_owned()).or_default() += 1;
            }
        }
    }
    recipients
}

#[test]
fn messages_are_written_to_files_that_are_a_target_group_again() {
    let dir = Dir::new();
    let file = to_folder(&dir, 25, 10);
    dir.run(&["send", &file, "--no-check"]).ended(0);
    assert_eq!(dir.dispositions("out"), [("accepted".to_owned(), 25)]);
    let recipients = written(&dir);
    assert!(recipients.len() == 25 && recipients.values().all(|times| *times == 1), "{recipients:?}");
    let results = dir.results("out");
    assert!(results.iter().all(|row| row.reply.as_ref().is_some_and(|reply| reply.contains(".bsmtp"))));

    let file = ready(&dir, 9, "", "");
    let text = fs::read_to_string(dir.path().join(file)).unwrap().replace("spool/", "out/");
    dir.write(file, text);
    let plan: serde_json::Value =
        serde_json::from_str(&dir.run(&["plan", file, "--json"]).ended(0).stdout()).unwrap();
    assert_eq!(plan["screening"]["accepted"], 25, "{plan}");
    fs::remove_dir_all(dir.path().join("out")).unwrap();
    let file = to_folder(&dir, 26, 10);
    fs::remove_dir(dir.path().join("out")).unwrap();
    dir.run(&["send", &file, "--no-check", "--again"]).says("can't write to the folder");
}

/// A kill leaves no half file, and no recipient in two files.
#[test]
fn killed_while_it_writes_a_folder_has_whole_files_and_nobody_twice() {
    const ROWS: usize = 400;
    let dir = Dir::new();
    let file = to_folder(&dir, ROWS, 4);
    let files = || fs::read_dir(dir.path().join("out")).unwrap().count();
    assert!(dir.killed_once(&["send", &file, "--no-check"], || files() > 5), "the kill came too late");
    let before = written(&dir);
    dir.run(&["send", &file, "--no-check"]).says("resuming: ");
    let after = written(&dir);
    assert!(before.len() < after.len() && after.values().all(|times| *times == 1), "{after:?}");
    let results = dir.results("out");
    let of =
        |disposition: &str| results.iter().filter(|row| row.disposition.to_string() == disposition).count();
    let (accepted, in_doubt) = (of("accepted"), of("in_doubt"));
    assert!(accepted + in_doubt == ROWS && in_doubt <= 4, "{accepted} accepted, {in_doubt} in doubt");
    assert!(after.len() >= accepted, "{} written", after.len());
    let left = fs::read_dir(dir.path().join("out")).unwrap();
    assert!(
        left.map(|entry| entry.unwrap().file_name()).all(|name| name.to_str().unwrap().ends_with(".bsmtp"))
    );
}

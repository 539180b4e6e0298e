//! Documents leave in an encrypted ZIP, and the password follows in a mail of its own once the
//! documents were accepted: whatever fails and whenever the program is killed.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use mailrun::mail::Disposition;
use mailrun::sandbox::{Keep, Options};
use serde_json::Value;

use crate::kit::{Dir, Relay, campaign, list};
use crate::scanners::{Answer, Clamd};
#[cfg(feature = "yara")]
use crate::shown;

const ROWS: usize = 30;
/// Kills of one campaign.
const KILLS: usize = 14;

/// A campaign whose rows all have one document.
fn secured(dir: &Dir, relay: &Relay, more: &str) -> String {
    let clamd = Clamd::start(|_, _| Answer::Ok);
    let secure = "[secure-documents]\nattachments = [\"terms.txt\"]\nsecret-file = \"secret\"\n\
        subject = \"Your password\"\ntext = \"password.hbs\"\n";
    let file =
        campaign(dir, "one", relay.port(), "connections = 2", &format!("{}{secure}{more}", clamd.table("")));
    dir.write("secret", "a secret of some length\n");
    dir.write("terms.txt", "the terms and conditions");
    dir.write("password.hbs", "The password is <{{password}}>.\n");
    list(dir, "one", ROWS);
    file
}

/// By recipient: mails with documents, and the passwords.
fn arrived(kept: &Path) -> HashMap<String, (usize, Vec<String>)> {
    let mut arrived: HashMap<String, (usize, Vec<String>)> = HashMap::new();
    for entry in fs::read_dir(kept).into_iter().flatten() {
        let path = entry.unwrap().path();
        // Others are still being written.
        if path.extension().is_none_or(|extension| extension != "eml") {
            continue;
        }
        let message = fs::read_to_string(path).unwrap();
        let Some((_, to)) = message.split_once("\r\nTo: ") else { continue };
        let own = arrived.entry(to.lines().next().unwrap().trim_matches(['<', '>']).to_owned()).or_default();
        match message.split_once("The password is <") {
            Some((_, password)) => own.1.push(password.split('>').next().unwrap().to_owned()),
            None => {
                assert!(message.contains("documents.zip") && !message.contains("terms"), "{message}");
                own.0 += 1;
            }
        }
    }
    arrived
}

#[test]
fn documents_leave_encrypted_and_the_password_follows() {
    let dir = Dir::new();
    let kept = dir.path().join("kept");
    let relay = Relay::start(Options { keep: Keep::Eml(kept.clone()), ..Options::default() });
    let file = secured(&dir, &relay, "");
    dir.run(&["send", &file, "--no-check"]).ended(0);
    let arrived = arrived(&kept);
    assert_eq!(arrived.len(), ROWS);
    for (to, (documents, passwords)) in &arrived {
        assert_eq!((*documents, passwords.len()), (1, 1), "{to}");
        assert_eq!(passwords[0].len(), 16);
        assert!(dir.files_with(&passwords[0]).iter().all(|file| file.starts_with(&kept)), "kept nowhere");
    }
    for row in dir.results("one") {
        assert_eq!(row.password_disposition, Some(Disposition::Accepted));
        assert!(row.password_reply.unwrap().starts_with("250"));
        assert_eq!(row.password_attempts_at.len(), 1);
    }
    let events = dir.run(&["events", "one", "--kind", "accepted"]).ended(0).stdout();
    let events: Vec<Value> = events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let own = |to: &str| -> Vec<&Value> { events.iter().filter(|event| event["recipient"] == to).collect() };
    for to in arrived.keys() {
        let of_password: Vec<&Value> = own(to).into_iter().map(|event| &event["is_password"]).collect();
        assert_eq!(of_password, [&Value::from(false), &Value::from(true)], "{to}");
        let rows: Vec<&Value> = own(to).into_iter().map(|event| &event["row"]).collect();
        assert_eq!(rows[0], rows[1], "{to}");
    }
    let ids: Vec<&str> =
        own("r1@one.example").into_iter().map(|event| event["message_id"].as_str().unwrap()).collect();
    for id in &ids {
        let traced = dir.run(&["trace", "--message-id", id]).ended(0).stdout();
        assert!(ids.iter().all(|id| traced.contains(*id)), "{traced}");
        assert!(traced.contains("password: accepted: 250"), "{traced}");
    }
    let status = dir.run(&["status", "one", "--recipient", "r1@one.example"]).ended(0).stdout();
    assert!(status.contains("password: accepted: 250") && !status.contains("r2@"), "{status}");
    dir.run(&["purge", "--recipient", "r1@one.example", "--yes"]).ended(0);
    let purged = dir.results("one");
    assert_eq!(purged.len(), ROWS);
    assert!(purged.iter().all(|row| row.password_disposition == Some(Disposition::Accepted)));
}

/// `scripts/crash-rounds` asks for more kills.
#[test]
fn killed_at_any_moment_no_password_is_without_its_documents_and_none_comes_twice() {
    let asked = std::env::var("MAILRUN_CRASH_ROUNDS");
    let kills = asked.map_or(KILLS, |kills| kills.parse().expect("a whole number"));
    (0..kills.div_ceil(KILLS)).for_each(|_| kill_a_campaign());
}

fn kill_a_campaign() {
    let dir = Dir::new();
    let kept = dir.path().join("kept");
    let relay = Relay::start(Options { keep: Keep::Eml(kept.clone()), ..Options::default() });
    let file = secured(&dir, &relay, "[capacity]\nper-hour = 100000000\n");
    let check = || {
        for (to, (documents, passwords)) in arrived(&kept) {
            assert!(documents <= 1 && passwords.len() <= documents, "{to}: {documents}, {passwords:?}");
        }
    };
    let files = || fs::read_dir(&kept).into_iter().flatten().count();
    let run_has = |name: &str| {
        fs::read_dir(dir.path().join("runs/one"))
            .into_iter()
            .flatten()
            .any(|run| run.unwrap().path().join(name).exists())
    };
    let mut killed = 0;
    for kill in 0..KILLS {
        let before = files();
        // What its run gets, and then one message more than the last time, or two, or three.
        let moment = || match kill {
            0 => run_has("manifest.json"),
            1 => run_has("journal.db"),
            _ => files() > before + kill % 3,
        };
        killed += usize::from(dir.killed_once(&["send", &file, "--no-check", "--no-progress"], moment));
        check();
    }
    assert!(killed > 7, "{killed} kills came in time");
    let ended = dir.run(&["send", &file, "--no-check", "--no-progress"]);
    assert!([0, 1].contains(&ended.code()), "{}", ended.stderr());
    check();
    let arrived = arrived(&kept);
    for row in dir.results("one") {
        let nothing = (0, Vec::new());
        let (documents, passwords) = arrived.get(row.email.as_deref().unwrap()).unwrap_or(&nothing);
        let is_sent = |disposition| disposition == Some(Disposition::Accepted);
        assert!(*documents == 1 || !is_sent(Some(row.disposition)), "{row:?}");
        assert!(passwords.len() == 1 || !is_sent(row.password_disposition), "{row:?}");
        assert_eq!(row.password_disposition.is_some(), is_sent(Some(row.disposition)), "{row:?}");
    }
}

#[test]
fn a_password_that_failed_is_retried_without_its_documents() {
    let dir = Dir::new();
    let kept = dir.path().join("kept");
    let relay = Relay::start(Options { keep: Keep::Eml(kept.clone()), ..Options::default() });
    // The second scan of what has a password in it finds something.
    let file = secured(&dir, &relay, "");
    let found = Clamd::start(|content, _| match content.starts_with(b"The password") {
        true => Answer::Found("Own.Test"),
        false => Answer::Ok,
    });
    let path = dir.path().join(&file);
    let before = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{before}\n{}name = \"second\"\n", found.table(""))).unwrap();
    dir.run(&["send", &file, "--no-check"]).ended(1);
    assert!(arrived(&kept).values().all(|(documents, passwords)| *documents == 1 && passwords.is_empty()));
    let infected = Some(Disposition::Infected);
    assert!(dir.results("one").iter().all(|row| row.password_disposition == infected));
    fs::write(&path, before).unwrap();
    dir.run(&["retry", "one", "--disposition", "infected"]).ended(0);
    let arrived = arrived(&kept);
    assert!(
        arrived.values().all(|(documents, passwords)| *documents == 1 && passwords.len() == 1),
        "{arrived:?}"
    );
}

#[test]
fn documents_without_a_scanner_or_a_printed_password_are_refused() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    let file = secured(&dir, &relay, "");
    dir.write("password.hbs", "Ask us for it.\n");
    let ran = dir.run(&["send", &file, "--no-check"]).ended(2);
    assert!(ran.stderr().contains("the password is not printed"), "{}", ran.stderr());
    let path = dir.path().join(&file);
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once("[[scanner]]").unwrap();
    let (_, after) = rest.split_once("[secure-documents]").unwrap();
    fs::write(&path, format!("{before}[secure-documents]{after}")).unwrap();
    let ran = dir.run(&["send", &file, "--no-check"]).ended(2);
    assert!(ran.stderr().contains("[[scanner]]"), "{}", ran.stderr());
    assert_eq!(relay.stop().accepted, 0);
}

/// The invoices of `fixtures/invoices`, as it is cloned: in two languages, signed, each with its
/// password.
#[test]
#[cfg(feature = "yara")]
fn the_invoices_leave_in_two_languages_signed_and_encrypted() {
    let dir = Dir::new();
    shown::copy(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/invoices"),
        &dir.path().join("invoices"),
    );
    let ran = dir.run(&["send", "invoices/campaign.toml", "--sandbox-keep", "kept"]).ended(0);
    assert!(!ran.stderr().contains("error"), "{}", ran.stderr());
    let read = |entry: Result<fs::DirEntry, _>| fs::read_to_string(entry.unwrap().path()).unwrap();
    let mails: Vec<String> = fs::read_dir(dir.path().join("kept")).unwrap().map(read).collect();
    assert_eq!(mails.len(), 16);
    assert!(mails.iter().all(|mail| mail.contains("multipart/signed") && mail.contains("smime.p7s")));
    assert!(mails.iter().all(|mail| !mail.contains(".pdf")), "names are hidden");
    let with = |text: &str| mails.iter().filter(|mail| mail.contains(text)).count();
    assert_eq!(with("rechnung-facture.zip"), 8);
    assert_eq!([with("Subject: Ihre Rechnung R-2026-0"), with("Subject: Votre facture R-2026-0")], [4, 4]);
    let passwords = [with("Subject: Das Passwort zu R-2026-0"), with("Subject: Le mot de passe de R-2026-0")];
    assert_eq!(passwords, [4, 4]);
    for text in ["Mittwoch, 13. Mai 2026", "1.284,50", "mercredi 13 mai 2026"] {
        assert_eq!(with(text), 1, "{text}");
    }
}

#[test]
fn a_run_is_not_resumed_with_another_secret() {
    let dir = Dir::new();
    let kept = dir.path().join("kept");
    let relay = Relay::start(Options { keep: Keep::Eml(kept.clone()), ..Options::default() });
    let file = secured(&dir, &relay, "[capacity]\nper-hour = 36000\n");
    let moment = || arrived(&kept).values().any(|(_, passwords)| !passwords.is_empty());
    assert!(dir.killed_once(&["send", &file, "--no-check", "--no-progress"], moment), "it was too late");
    dir.write("secret", "another secret of some length\n");
    let ran = dir.run(&["send", &file, "--no-check"]);
    assert!(![0, 1].contains(&ran.code()), "{}", ran.stderr());
    assert!(ran.stderr().contains("different content") && !ran.stderr().contains("another secret"));
    assert!(arrived(&kept).len() < ROWS, "nothing was sent");
    dir.write("secret", "short\n");
    dir.run(&["send", &file, "--no-check"]).ended(2).says("needs at least 16");
}

#[test]
fn one_text_for_all_has_no_passwords() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    let file = secured(&dir, &relay, "");
    let ran = dir
        .run(&[
            "send",
            &file,
            "--no-check",
            "--set",
            "campaign.kind=update",
            "--set",
            "template.personalised=false",
        ])
        .ended(2);
    assert!(ran.stderr().contains("each recipient of secure documents has a password"), "{}", ran.stderr());
    assert_eq!(relay.stop().accepted, 0);
}

//! Documents leave in an encrypted ZIP, and the password follows in a mail of its own once the
//! documents were accepted: whatever fails and whenever the program is killed.

use std::collections::HashMap;
use std::fs;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use aws_lc_rs::{hmac, pbkdf2};
use base64::prelude::{BASE64_STANDARD, Engine};
use mailrun::mail::Disposition;
use mailrun::sandbox::{Keep, Options};
use memchr::memmem;
use serde_json::Value;

use crate::kit::{Dir, Relay, campaign, list};
use crate::report::{noon, today};
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

/// The ZIP of this name that a message carries.
fn zip_of(message: &str, name: &str) -> Vec<u8> {
    let (_, part) = message.split_once(name).expect("the message has the ZIP");
    let (_, content) = part.split_once("\r\n\r\n").unwrap();
    let base64: String = content.lines().take_while(|line| !line.starts_with("--")).collect();
    BASE64_STANDARD.decode(base64).unwrap()
}

/// Whether the only entry of `zip` is encrypted as WinZip does it (AE-2, AES-256) under `password`:
/// its bytes are authentic under the key that follows from that.
fn opens(zip: &[u8], password: &str) -> bool {
    let short = |at: usize| usize::from(u16::from_le_bytes([zip[at], zip[at + 1]]));
    let long = |at: usize| u32::from_le_bytes(zip[at..at + 4].try_into().unwrap()) as usize;
    assert_eq!((&zip[..4], short(6) & 1, short(8)), (&b"PK\x03\x04"[..], 1, 99), "encrypted, with AES");
    let extra = 30 + short(26);
    // AE-2, strength 3.
    assert_eq!(zip[extra..extra + 9], [0x01, 0x99, 7, 0, 2, 0, b'A', b'E', 3]);
    let (start, packed) = (extra + short(28), long(18));
    let (salt, rest) = zip[start..start + packed].split_at(16);
    let (verifier, rest) = rest.split_at(2);
    let (content, tag) = rest.split_at(rest.len() - 10);
    let mut keys = [0; 66];
    let rounds = NonZeroU32::new(1_000).unwrap();
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA1, rounds, salt, password.as_bytes(), &mut keys);
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &keys[32..64]);
    keys[64..] == *verifier && hmac::sign(&key, content).as_ref()[..10] == *tag
}

/// By recipient: the ZIPs of mails with documents, and the passwords. Each ZIP opens with each
/// password of its recipient.
fn arrived(kept: &Path) -> HashMap<String, (usize, Vec<String>)> {
    let arrived = mails(kept).into_iter().map(|(to, (zips, passwords))| {
        for (zip, password) in zips.iter().flat_map(|zip| passwords.iter().map(move |own| (zip, own))) {
            assert!(opens(zip, password), "the password of {to} does not open its documents");
        }
        (to, (zips.len(), passwords))
    });
    arrived.collect()
}

/// By recipient: ZIPs and passwords.
fn mails(kept: &Path) -> HashMap<String, (Vec<Vec<u8>>, Vec<String>)> {
    let mut arrived: HashMap<String, (Vec<Vec<u8>>, Vec<String>)> = HashMap::new();
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
                let zip = zip_of(&message, "documents.zip");
                assert!(!opens(&zip, "another"), "any password opens it");
                assert!(memmem::find(&zip, b"terms").is_none(), "names are hidden");
                own.0.push(zip);
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
    // Documents and passwords are messages of their own.
    let (zone, messages) = (noon(), format!("{} messages, 0 of them not delivered", 2 * ROWS));
    let day = ["report", "--day", &today(&zone), &format!("--zone={zone}"), "--output", "days"];
    dir.run(&day).ended(0).says(&messages);
}

/// `scripts/crash-rounds` asks for more kills.
#[test]
fn killed_at_any_moment_no_password_is_without_its_documents_and_none_comes_twice() {
    let asked = std::env::var("MAILRUN_CRASH_ROUNDS");
    let kills = asked.map_or(KILLS, |kills| kills.parse().expect("a whole number"));
    (0..kills.div_ceil(KILLS)).for_each(|_| kill_a_campaign());
}

/// Holds the scanner's answers about one kind of mail, so that a run can't end before it is killed.
#[derive(Default)]
struct Gate {
    state: Mutex<Held>,
    changed: Condvar,
}

#[derive(Default)]
struct Held {
    /// How the texts begin that are held; nothing is where it is empty.
    texts: &'static str,
    /// How many of them may still pass.
    left: usize,
    /// Whether one waits.
    waits: bool,
    /// The number of the kill.
    kill: usize,
}

impl Gate {
    /// Called by the scanner: waits where the text is held.
    fn pass(&self, content: &[u8]) {
        let mut state = self.state.lock().unwrap();
        if state.texts.is_empty() || !content.starts_with(state.texts.as_bytes()) {
            return;
        }
        if state.left > 0 {
            state.left -= 1;
            return;
        }
        state.waits = true;
        let kill = state.kill;
        drop(self.changed.wait_while(state, |state| state.kill == kill).unwrap());
    }

    /// Holds those that begin with `texts`, from the one after `left` on; lets go what is held now.
    fn hold(&self, texts: &'static str, left: usize) {
        let mut state = self.state.lock().unwrap();
        *state = Held { texts, left, waits: false, kill: state.kill + 1 };
        self.changed.notify_all();
    }

    fn is_held(&self) -> bool {
        self.state.lock().unwrap().waits
    }
}

fn kill_a_campaign() {
    let dir = Dir::new();
    let kept = dir.path().join("kept");
    let relay = Relay::start(Options { keep: Keep::Eml(kept.clone()), ..Options::default() });
    let gate = Arc::new(Gate::default());
    let of_scanner = Arc::clone(&gate);
    let scanner = Clamd::start(move |content, _| {
        of_scanner.pass(content);
        Answer::Ok
    });
    let more = format!("{}name = \"second\"\n[capacity]\nper-hour = 100000000\n", scanner.table(""));
    let file = secured(&dir, &relay, &more);
    let check = || {
        for (to, (documents, passwords)) in arrived(&kept) {
            assert!(documents <= 1 && passwords.len() <= documents, "{to}: {documents}, {passwords:?}");
        }
    };
    let run_has = |name: &str| {
        fs::read_dir(dir.path().join("runs/one"))
            .into_iter()
            .flatten()
            .any(|run| run.unwrap().path().join(name).exists())
    };
    for kill in 0..KILLS {
        // First while documents leave, then while passwords do. Each kill leaves at most two more
        // rows in doubt, so there is always one that can be held.
        let texts = if kill < KILLS / 2 { "Hello" } else { "The password" };
        gate.hold(texts, if kill < 2 { 0 } else { 1 + kill % 2 });
        // What its run gets, and then some messages more.
        let moment = || match kill {
            0 => run_has("manifest.json"),
            1 => run_has("journal.db"),
            _ => gate.is_held(),
        };
        assert!(dir.killed_once(&["send", &file, "--no-check", "--no-progress"], moment), "kill {kill}");
        check();
    }
    gate.hold("", 0);
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
    let run = dir.run_of("one");
    let retry = |dispositions| dir.run(&["retry", run.to_str().unwrap(), "--disposition", dispositions]);
    retry("infected").ended(0);
    let arrived = arrived(&kept);
    let once = |arrived: &HashMap<String, (usize, Vec<String>)>| {
        arrived.values().all(|(documents, passwords)| *documents == 1 && passwords.len() == 1)
    };
    assert!(once(&arrived), "{arrived:?}");
    // Another retry does not tell them again.
    retry("infected,deferred").ended(2).says("whose passwords another retry tells");
    assert!(once(&self::arrived(&kept)));
}

/// Kills a campaign whose documents have left, and whose passwords wait for a second scanner. That
/// gives no answer about them while the value holds true.
fn kill_once_passwords_wait(dir: &Dir, file: &str, kept: &Path) -> Arc<AtomicBool> {
    let is_down = Arc::new(AtomicBool::new(true));
    let down = Arc::clone(&is_down);
    let scanner = Clamd::start(move |content, _| {
        let is_asked = content.starts_with(b"The password") && down.load(Ordering::SeqCst);
        if is_asked { Answer::Close } else { Answer::Ok }
    });
    let path = dir.path().join(file);
    let before = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{before}\n{}name = \"second\"\n", scanner.table(""))).unwrap();
    let moment = || mails(kept).values().filter(|(zips, _)| zips.len() == 1).count() == ROWS;
    assert!(dir.killed_once(&["send", file, "--no-check", "--no-progress"], moment));
    is_down
}

#[test]
fn a_run_does_not_tell_the_passwords_that_its_retry_told() {
    let dir = Dir::new();
    let kept = dir.path().join("kept");
    let relay = Relay::start(Options { keep: Keep::Eml(kept.clone()), ..Options::default() });
    let file = secured(&dir, &relay, "");
    let is_down = kill_once_passwords_wait(&dir, &file, &kept);
    is_down.store(false, Ordering::SeqCst);
    let run = dir.run_of("one");
    dir.run(&["retry", run.to_str().unwrap(), "--disposition", "not_attempted"]).ended(0);
    let told = arrived(&kept);
    // Of some the kill left in doubt whether their documents were accepted.
    assert!(told.values().filter(|(_, passwords)| passwords.len() == 1).count() > 20, "{told:?}");
    dir.run(&["send", &file, "--no-check"]);
    assert_eq!(arrived(&kept), told, "the run itself tells none again");
    assert!(told.values().all(|(documents, passwords)| *documents == 1 && passwords.len() <= 1));
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

/// Each way of looking before sending finds what `send` would fail on.
#[test]
fn a_password_that_cannot_be_told_is_found_before_anything_is_sent() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    let file = secured(&dir, &relay, "");
    let path = dir.path().join(&file);
    let whole = fs::read_to_string(&path).unwrap();
    dir.write("password.hbs", "The password of {{account}} is <{{password}}>.\n");
    dir.write("one.csv", "email,n,account\nr1@one.example,1,7\nr2@one.example,2,\n");
    let says = "the mail with the password: `account` has no value";
    let checked = dir.run(&["check", &file, "--offline"]).ended(0).stdout();
    assert!(checked.contains(says) && checked.contains("one.csv, row 2"), "{checked}");
    dir.run(&["send", &file, "--dry-run"]).ended(1).says(says).says("row 2");
    dir.run(&["render", &file]).ended(0);
    dir.run(&["render", &file, "--row", "2"]).ended(2).says(says);
    dir.run(&["render", &file, "--row", "2", "--text"]).ended(2).says(says);
    // The subject too, at its place in the campaign file.
    dir.write("password.hbs", "The password is <{{password}}>.\n");
    fs::write(&path, whole.replace("Your password", "Account {{account}}")).unwrap();
    let checked = dir.run(&["check", &file, "--offline"]).ended(0).stdout();
    assert!(checked.contains("the mail with the password") && checked.contains("secure-documents.subject"));
    // What a template says of the password itself is quoted nowhere.
    fs::write(&path, whole).unwrap();
    dir.write("password.hbs", "The password is <{{password}}>{{number password}}.\n");
    let ran = dir.run(&["send", &file, "--dry-run"]).ended(1).says("xxxxxxxxxxxxxxxx");
    assert!(ran.stderr().contains("the mail with the password"), "{}", ran.stderr());
    assert_eq!(relay.stop().accepted, 0);
}

/// A list entry made between documents and password keeps the password back, and says so wherever
/// an operator looks; once it is removed, a retry tells it.
#[test]
fn a_password_suppressed_after_its_documents_is_shown_and_told_once_the_entry_is_gone() {
    let dir = Dir::new();
    let kept = dir.path().join("kept");
    let relay = Relay::start(Options { keep: Keep::Eml(kept.clone()), ..Options::default() });
    let file = secured(&dir, &relay, "");
    let is_down = kill_once_passwords_wait(&dir, &file, &kept);
    let waiting = dir.run(&["status", "one", "--json"]).ended(0).stdout();
    let waiting: Value = serde_json::from_str(&waiting).unwrap();
    let of = |counts: &Value, words: &[&str]| -> u64 {
        words.iter().map(|word| counts[*word].as_u64().unwrap_or(0)).sum()
    };
    let (accepted, due) = (&waiting["counts"]["accepted"], &waiting["passwords"]);
    assert!(of(due, &["waiting", "to_retry"]) > 0, "{waiting}");
    assert_eq!(accepted.as_u64(), Some(of(due, &["waiting", "to_retry"])), "{waiting}");
    let told = dir.run(&["status"]).ended(0).stdout();
    assert!(told.contains("; passwords: ") && told.contains(" waiting"), "{told}");
    is_down.store(false, Ordering::SeqCst);
    dir.run(&["suppress", "add", "r1@one.example", "--reason", "manual"]).ended(0);
    let told = dir.run(&["send", &file, "--no-check"]).ended(1).stdout();
    let way_on = "1 recipient has documents and no password: mailrun status ";
    assert!(told.contains(way_on) && told.contains("1 suppressed"), "{told}");
    let results = dir.results("one");
    let suppressed: Vec<_> =
        results.iter().filter(|row| row.password_disposition == Some(Disposition::Suppressed)).collect();
    assert_eq!((suppressed.len(), suppressed[0].email.as_deref()), (1, Some("r1@one.example")));
    for asked in [&["status", "one"][..], &["status"], &["status", "one", "--check"]] {
        let told = dir.run(asked).stdout();
        assert!(told.contains("passwords") && told.contains("1 suppressed"), "{told}");
    }
    dir.run(&["suppress", "remove", "r1@one.example"]).ended(0);
    let run = dir.run_of("one");
    dir.run(&["retry", run.to_str().unwrap(), "--disposition", "suppressed"]).ended(0);
    let (documents, passwords) = &arrived(&kept)["r1@one.example"];
    assert_eq!((*documents, passwords.len()), (1, 1));
}

/// Passwords take capacity by their own sizes.
#[test]
fn an_audit_counts_passwords_by_their_sizes() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    let file = secured(&dir, &relay, "[capacity]\nper-hour = 12000\nsize-basis = \"4 kB\"\n");
    dir.write("password.hbs", format!("The password is <{{{{password}}}}>.\n{}", "Keep it.\n".repeat(1_500)));
    list(&dir, "one", 3);
    dir.run(&["send", &file, "--no-check"]).ended(0);
    let results = dir.results("one");
    let cost = |bytes: Option<u32>| u64::from(bytes.unwrap()).div_ceil(4_000);
    assert!(results.iter().all(|row| cost(row.bytes) == 1 && cost(row.password_bytes) >= 4), "{results:?}");
    let all: u64 = results.iter().map(|row| cost(row.bytes) + cost(row.password_bytes)).sum();
    let audit = dir.run(&["capacity", "audit", "one", "--json"]).ended(0).stdout();
    let audit: Value = serde_json::from_str(&audit).unwrap();
    assert_eq!(audit["accounts"][0]["hour"]["count"].as_u64(), Some(all), "{audit}");
}

/// Documents are bounded as they are, before the work of packing and encrypting them.
#[test]
fn documents_larger_than_a_message_are_refused_before_they_are_packed() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    let file = secured(&dir, &relay, "");
    let path = dir.path().join(&file);
    let text = fs::read_to_string(&path).unwrap();
    let template = "[template]\nlargest = \"10 kB\"\nattachment-folder = \"own\"";
    let text = text.replace("[template]", template);
    let columns = "[secure-documents]\nattachment-columns = [\"a\", \"b\"]";
    fs::write(&path, text.replace("[secure-documents]", columns)).unwrap();
    fs::create_dir(dir.path().join("own")).unwrap();
    // All of them pack well.
    dir.write("own/a.txt", "a".repeat(6_000));
    dir.write("own/b.txt", "b".repeat(6_000));
    dir.write("one.csv", "email,n,a,b\nr1@one.example,1,a.txt,b.txt\nr2@one.example,2,a.txt,\n");
    dir.run(&["send", &file, "--dry-run"]).ended(1).says("one.csv, row 1").says("more than 10000 bytes");
    dir.write("terms.txt", "t".repeat(5_000));
    dir.run(&["send", &file, "--dry-run"])
        .ended(1)
        .says("one.csv, row 2")
        .says("its documents have 11000 bytes");
    dir.write("terms.txt", "t".repeat(11_000));
    dir.run(&["send", &file, "--dry-run"]).ended(2).says("the attachments alone have more than 10.0 kB");
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
    for mail in mails.iter().filter(|mail| mail.contains("rechnung-facture.zip")) {
        let zip = zip_of(mail, "rechnung-facture.zip");
        assert!(!opens(&zip, "another") && memmem::find(&zip, b".pdf").is_none(), "names are hidden");
    }
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
    let file = secured(&dir, &relay, "");
    kill_once_passwords_wait(&dir, &file, &kept).store(false, Ordering::SeqCst);
    dir.write("secret", "another secret of some length\n");
    let ran = dir.run(&["send", &file, "--no-check"]);
    assert!(![0, 1].contains(&ran.code()), "{}", ran.stderr());
    assert!(ran.stderr().contains("different content") && !ran.stderr().contains("another secret"));
    assert!(arrived(&kept).values().all(|(_, passwords)| passwords.is_empty()), "nothing was sent");
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

//! The main job as a user sees it: commands in, exit codes, messages and results out.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use mailrun::mail::Disposition;
use mailrun::sandbox::{Credentials, Keep, Options, record};

use crate::kit::{Dir, Ran, Relay, campaign, list};

fn recipients(dir: &Dir, id: &str, emails: &[&str]) {
    let rows: String = emails.iter().enumerate().map(|(n, email)| format!("{email},{n}\n")).collect();
    dir.write(&format!("{id}.csv"), format!("email,n\n{rows}"));
}

#[test]
fn every_row_ends_as_its_recipient_says() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    let expected = [
        ("ann@a.example", Disposition::Accepted),
        ("rcpt-550-5.1.1@a.example", Disposition::Bounced),
        ("rcpt-451-twice@a.example", Disposition::Accepted),
        ("rcpt-451-always@a.example", Disposition::Deferred),
        ("data-554@a.example", Disposition::Bounced),
        ("drop-after-dot@a.example", Disposition::InDoubt),
        ("421-once@a.example", Disposition::Accepted),
        ("ANN@a.example", Disposition::Duplicate),
        ("nobody", Disposition::Invalid),
        ("greylist@a.example", Disposition::Accepted),
    ];
    recipients(&dir, "one", &expected.map(|(email, _)| email));
    let retry = "[delivery.retry]\nfirst = \"20ms\"\nlongest = \"50ms\"\ngive-up-after = \"2s\"";
    let file = campaign(&dir, "one", relay.port(), "connections = 2", retry);
    dir.run(&["send", &file]).ended(1);
    let results = dir.results("one");
    assert_eq!(results.len(), expected.len());
    for (row, (email, disposition)) in results.iter().zip(expected) {
        assert_eq!(row.email.as_deref(), Some(email));
        assert_eq!(row.disposition, disposition, "{email}: {:?} {:?}", row.reply, row.detail);
    }
    let stats = relay.stop();
    assert_eq!(stats.client_errors, 0);
    // The hard bounce is suppressed from now on, the refusal of the content is not.
    let listed = dir.run(&["suppress", "list"]).ended(0).stdout();
    assert!(listed.contains("rcpt-550-5.1.1@a.example") && !listed.contains("data-554"), "{listed}");
}

#[test]
fn a_finished_run_is_sent_again_only_on_request() {
    let dir = Dir::new();
    let taken = dir.path().join("taken.jsonl");
    let relay = Relay::start(Options { record: Some(taken.clone()), ..Options::default() });
    list(&dir, "one", 5);
    let file = campaign(&dir, "one", relay.port(), "", "");
    dir.run(&["send", &file]).ended(0);
    dir.run(&["send", &file]).ended(0).says("nothing is sent again");
    assert_eq!(record::read(&taken).unwrap().len(), 5);
    dir.run(&["send", &file, "--run-id", "once-more"]).ended(0).says("5 already_sent");
    assert_eq!(record::read(&taken).unwrap().len(), 5);
    dir.run(&["send", &file, "--again"]).ended(0);
    assert_eq!(record::read(&taken).unwrap().len(), 10);
}

#[test]
fn of_ten_starts_at_once_one_sends() {
    let dir = Dir::new();
    let taken = dir.path().join("taken.jsonl");
    let relay = Relay::start(Options { record: Some(taken.clone()), ..Options::default() });
    let slow: Vec<String> = (0..4).map(|n| format!("slow-5s+{n}@a.example")).collect();
    recipients(&dir, "one", &slow.iter().map(String::as_str).collect::<Vec<_>>());
    let file = campaign(&dir, "one", relay.port(), "connections = 4", "");
    let mut started: Vec<_> = (0..10).map(|_| dir.start(&["send", &file])).collect();
    let mut codes = BTreeMap::new();
    for child in &mut started {
        *codes.entry(child.wait().unwrap().code()).or_insert(0) += 1;
    }
    assert_eq!(codes, BTreeMap::from([(Some(0), 1), (Some(75), 9)]));
    assert_eq!(record::read(&taken).unwrap().len(), 4);
}

#[test]
fn a_signal_drains_and_the_same_command_goes_on() {
    for signal in ["TERM", "HUP"] {
        drains(signal);
    }
}

fn drains(signal: &str) {
    let dir = Dir::new();
    let taken = dir.path().join("taken.jsonl");
    let relay = Relay::start(Options { record: Some(taken.clone()), ..Options::default() });
    let slow: Vec<String> = (0..40).map(|n| format!("slow-100ms+{n}@a.example")).collect();
    recipients(&dir, "one", &slow.iter().map(String::as_str).collect::<Vec<_>>());
    let file = campaign(&dir, "one", relay.port(), "connections = 2", "");
    let mut child = dir.start(&["send", &file]);
    // Once something was accepted, the run is in its middle.
    while record::read(&taken).unwrap_or_default().len() < 3 {
        std::thread::yield_now();
    }
    let killed =
        Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    assert_eq!(child.wait().unwrap().code(), Some(4));
    let dispositions: BTreeMap<_, _> = dir.dispositions("one").into_iter().collect();
    assert!(dispositions["not_attempted"] > 0 && dispositions["accepted"] > 0, "{dispositions:?}");
    assert_eq!(dispositions.len(), 2, "a drain leaves nothing in doubt: {dispositions:?}");
    dir.run(&["send", &file]).ended(0);
    assert_eq!(dir.dispositions("one"), [("accepted".to_owned(), 40)]);
    assert_eq!(record::read(&taken).unwrap().len(), 40);
}

#[test]
fn a_run_goes_on_when_nobody_reads_its_log_any_more() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    recipients(&dir, "one", &["a@a.example", "rcpt-451-once@a.example", "b@a.example"]);
    let file = campaign(&dir, "one", relay.port(), "", "[delivery.retry]\nfirst = \"20ms\"");
    let mut command = dir.command(&["send", &file, "-vvv"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(dir.dispositions("one"), [("accepted".to_owned(), 3)]);

    let log = dir.run(&["send", &file, "-vvv", "--again"]).ended(0).stderr();
    assert!(log.contains("DEBUG") && !log.contains('\x1b'), "colours without a terminal: {log}");
    assert_eq!(relay.stop().accepted, 6);
}

#[test]
fn an_edited_campaign_is_refused_while_its_run_is_not_finished() {
    let dir = Dir::new();
    // Nobody listens: the first start is ended by its time.
    list(&dir, "one", 3);
    let file = campaign(&dir, "one", 1, "", "[delivery.timeouts]\nconnect = \"1s\"");
    let mut child = dir.start(&["send", &file]);
    let run = dir.path().join("runs/one");
    while !fs::read_dir(&run).ok().and_then(|mut runs| runs.next()).is_some_and(|run| {
        let path = run.unwrap().path();
        fs::read_to_string(path.join("manifest.json")).unwrap_or_default().contains("\"started\"")
    }) {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    dir.write("letter.hbs", "Another text {{n}}\n");
    dir.run(&["send", &file])
        .ended(2)
        .says("is unfinished and was started with different content")
        .says("--new-run");
}

#[test]
fn retry_sends_only_what_was_asked_for() {
    let dir = Dir::new();
    let taken = dir.path().join("taken.jsonl");
    let relay = Relay::start(Options { record: Some(taken.clone()), ..Options::default() });
    recipients(&dir, "one", &["ann@a.example", "rcpt-550-5.7.1-once@a.example", "bob@a.example"]);
    let file = campaign(&dir, "one", relay.port(), "", "");
    dir.run(&["send", &file]).ended(1);
    dir.run(&["retry", "one", "--disposition", "accepted"]).ended(2);
    dir.run(&["retry", "one", "--disposition", "bounced"]).ended(0).says("resending 1 row of run");
    let recipients: Vec<String> =
        record::read(&taken).unwrap().into_iter().map(|entry| entry.recipient).collect();
    assert_eq!(recipients.len(), 3);
    assert_eq!(recipients[2], "rcpt-550-5.7.1-once@a.example");
}

#[test]
fn what_is_wrong_is_told_before_anything_is_sent() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    list(&dir, "one", 2);
    let file = campaign(&dir, "one", relay.port(), "", "");
    let check = |name: &str, content: &str, says: &str| {
        let before = fs::read(dir.path().join(name)).unwrap();
        dir.write(name, content);
        dir.run(&["send", &file]).ended(2).says(says);
        dir.write(name, before);
    };
    check("one.csv", "emial,n\na@a.example,1\n", "`emial`");
    check("one.csv", "\u{89}PNG\r\n\u{1a}\n\0\0", "one.csv");
    check("letter.hbs", "Hello {{nn}}\n", "letter.hbs:1:");
    check("letter.hbs", "Hello {{#if n}}\n", "letter.hbs:1:");
    check(&file, "[campaign]\nidd = 1\n", "did you mean `id`?");
    dir.run(&["send", &file, "--unpaced"]).ended(2).says("--sandbox");
    assert_eq!(relay.stop().connections, 0);
}

#[test]
fn a_damaged_run_directory_is_reported_and_nothing_is_sent() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    list(&dir, "one", 20);
    let file = campaign(&dir, "one", relay.port(), "", "");
    dir.run(&["send", &file]).ended(0);
    let run = dir.run_of("one");
    // As if it had been cut off in its middle.
    let manifest = fs::read_to_string(run.join("manifest.json")).unwrap().replace("finished", "running");
    fs::write(run.join("manifest.json"), &manifest).unwrap();
    let connections = relay_connections(&relay);
    for name in ["plan.arrow", "journal.db", "manifest.json"] {
        let whole = fs::read(run.join(name)).unwrap();
        fs::write(run.join(name), &whole[..whole.len() / 2]).unwrap();
        dir.run(&["send", &file]).ended(2).says(name);
        fs::write(run.join(name), &whole).unwrap();
    }
    let journal = fs::read(run.join("journal.db")).unwrap();
    fs::remove_file(run.join("journal.db")).unwrap();
    dir.run(&["send", &file]).ended(2).says("journal.db");
    fs::write(run.join("journal.db"), journal).unwrap();
    fs::write(dir.path().join("state/state.db"), "this is no database, and long enough to be looked at")
        .unwrap();
    dir.run(&["send", &file]).ended(2).says("state.db");
    assert_eq!(relay_connections(&relay), connections);
}

fn relay_connections(relay: &Relay) -> u64 {
    relay.stats().connections
}

#[test]
fn a_refused_login_ends_the_run_and_the_password_is_shown_nowhere() {
    let dir = Dir::new();
    let auth = Some(Credentials { user: "news".into(), password: "right".into() });
    let relay = Relay::start(Options { auth, ..Options::default() });
    dir.write("ca.pem", relay.certificate_pem());
    dir.write("password", "wr0ng-secret\n");
    list(&dir, "one", 3);
    let settings = "tls = \"required\"\nca-file = \"ca.pem\"\nusername = \"news\"\npassword-file = \"password\"\nconnections = 1";
    let file = campaign(&dir, "one", relay.port(), settings, "");
    let text = fs::read_to_string(dir.path().join(&file)).unwrap().replace("tls = \"none\"\n", "");
    dir.write(&file, text.replace("127.0.0.1", "localhost"));
    let ran = dir.run(&["send", &file, "-vvv"]).ended(4).says("535");
    // As it is, and as AUTH PLAIN and AUTH LOGIN carry it (RFC 4616, base64 of `NUL user NUL
    // password`).
    for form in ["wr0ng-secret", "AG5ld3MAd3Iwbmctc2VjcmV0", "d3Iwbmctc2VjcmV0"] {
        assert!(!ran.stderr().contains(form) && !ran.stdout().contains(form), "{form}");
        fs::remove_file(dir.path().join("password")).ok();
        assert_eq!(dir.files_with(form), Vec::<PathBuf>::new(), "{form}");
    }
    dir.write("password", "right\n");
    dir.run(&["send", &file]).ended(0);
    let tls = dir.results("one")[0].tls.clone().unwrap_or_default();
    assert!(tls.starts_with("TLSv1.3"), "{tls}");
}

#[test]
fn a_relay_that_repeats_the_login_gives_no_password_away() {
    for right in [false, true] {
        let dir = Dir::new();
        let password = if right { "s3cret-word" } else { "another" };
        let auth = Some(Credentials { user: "news".into(), password: password.into() });
        let relay = Relay::start(Options { auth, repeats_login: true, ..Options::default() });
        dir.write("ca.pem", relay.certificate_pem());
        dir.write("password", "s3cret-word\n");
        recipients(
            &dir,
            "one",
            &["rcpt-550@a.example", "data-554@a.example", "rcpt-421@a.example", "ann@a.example"],
        );
        let settings =
            "ca-file = \"ca.pem\"\nusername = \"news\"\npassword-file = \"password\"\nconnections = 1";
        let more = "[delivery.retry]\ngive-up-after = \"1s\"\n[stop]\nbounce-percent = 0";
        let file = campaign(&dir, "one", relay.port(), settings, more);
        let text = fs::read_to_string(dir.path().join(&file)).unwrap().replace("tls = \"none\"\n", "");
        dir.write(&file, text.replace("127.0.0.1", "localhost"));
        let ran = dir.run(&["send", &file, "-vvv"]).ended(if right { 1 } else { 4 }).says("[secret]");
        fs::remove_file(dir.path().join("password")).unwrap();
        // As it is, and in base64 as AUTH PLAIN and AUTH LOGIN carry it.
        for form in ["s3cret-word", "AG5ld3MAczNjcmV0LXdvcmQ", "czNjcmV0LXdvcmQ"] {
            assert!(!ran.stderr().contains(form) && !ran.stdout().contains(form), "{form}");
            assert_eq!(dir.files_with(form), Vec::<PathBuf>::new(), "{form}");
        }
        if right {
            let replies: Vec<_> =
                dir.results("one").into_iter().filter_map(|row| row.reply.map(String::from)).collect();
            assert!(replies.iter().any(|reply| reply.contains("[secret]")), "{replies:?}");
        }
    }
}

#[test]
fn no_tls_no_mail() {
    let dir = Dir::new();
    let relay = Relay::start(Options { tls: mailrun::sandbox::Tls::Off, ..Options::default() });
    list(&dir, "one", 3);
    let file = campaign(&dir, "one", relay.port(), "connections = 1", "");
    let text =
        fs::read_to_string(dir.path().join(&file)).unwrap().replace("tls = \"none\"", "tls = \"required\"");
    dir.write(&file, text);
    dir.run(&["send", &file]).ended(4).says("STARTTLS");
    assert_eq!(relay.stop().accepted, 0);
}

#[test]
fn the_suppression_list_keeps_its_addresses_from_mail() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    recipients(&dir, "one", &["ann@a.example", "Bob@a.example"]);
    let file = campaign(&dir, "one", relay.port(), "", "");
    dir.run(&["suppress", "add", "bob@A.example", "--reason", "unsubscribe"]).ended(0);
    dir.run(&["suppress", "export", "list.parquet"]).ended(0);
    dir.run(&["suppress", "remove", "bob@a.example"]).ended(0);
    dir.run(&["suppress", "import", "list.parquet"]).ended(0).says("1 added");
    dir.run(&["send", &file]).ended(0);
    assert_eq!(dir.dispositions("one"), [("accepted".to_owned(), 1), ("suppressed".to_owned(), 1)]);
}

#[test]
fn a_test_message_goes_to_somebody_else_and_to_nobody_else() {
    let dir = Dir::new();
    let kept = dir.path().join("kept");
    let relay = Relay::start(Options { keep: Keep::Eml(kept.clone()), ..Options::default() });
    list(&dir, "one", 5);
    let file = campaign(&dir, "one", relay.port(), "", "");
    dir.run(&["send", &file, "--to", "me@b.example", "--row", "3"]).ended(0);
    let messages: Vec<String> = fs::read_dir(&kept)
        .unwrap()
        .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    assert_eq!(messages.len(), 1);
    assert!(messages[0].contains("Delivered-To: me@b.example") && messages[0].contains("Subject: Number 2"));
}

#[test]
fn status_and_audit_tell_what_happened() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    recipients(&dir, "one", &["ann@a.example", "rcpt-550@a.example"]);
    let file = campaign(&dir, "one", relay.port(), "", "");
    dir.run(&["send", &file]).ended(1);
    let status = dir.run(&["status", "one", "--json"]).ended(0).stdout();
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["counts"]["accepted"], 1);
    let history = dir.run(&["status", "one", "--recipient", "ann@a.example", "--json"]).ended(0).stdout();
    let history: serde_json::Value = serde_json::from_str(&history).unwrap();
    let codes: Vec<&str> = history["SAPnotification"]["status"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["statusCode"].as_str().unwrap())
        .collect();
    assert_eq!(codes, ["CAAS_RECEIVED", "CAAS_SENT", "CH_RECEIVED", "CH_SENT"]);
    assert_eq!(history["SAPnotification"]["status"][3]["recipient"], "email:ann@a.example");
    let nobody = dir.run(&["status", "one", "--recipient", "nobody@a.example", "--json"]).ended(0).stdout();
    assert_eq!(nobody.trim(), r#"{"SAPnotification":{}}"#);
    dir.run(&["capacity"]).ended(0);
    let audit = dir.run(&["capacity", "audit", "one", "--json"]).ended(0).stdout();
    let audit: serde_json::Value = serde_json::from_str(&audit).unwrap();
    let account = &audit["accounts"][0];
    assert_eq!((account["attempts"].as_u64(), account["holds"].as_bool()), (Some(2), Some(true)));
}

#[test]
fn runs_that_name_different_limits_for_an_account_are_told() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    let file = |id: &str, per_hour: u64| {
        list(&dir, id, 2);
        campaign(
            &dir,
            id,
            relay.port(),
            "",
            &format!("[capacity]\naccount = \"shared\"\nper-hour = {per_hour}"),
        )
    };
    let (narrow, wide) = (file("narrow", 7_200_000), file("wide", 9_600_000));
    let ran = dir.run(&["send", &narrow]).ended(0);
    assert!(!ran.stderr().contains("has other limits"), "{}", ran.stderr());
    assert!(!dir.run(&["capacity"]).ended(0).stdout().contains("warning"));
    let once = |ran: Ran| {
        let stderr = ran.stderr();
        assert!(stderr.contains("is held to 7,200,000 an hour, 750,000 in five minutes"), "{stderr}");
        assert!(!stderr.contains("has other limits"), "it was said before: {stderr}");
    };
    once(dir.run(&["send", &wide]).ended(0));
    let shown = dir.run(&["capacity"]).ended(0).stdout();
    for part in
        ["warning", "narrow 7,200,000 (750,000)", "wide 9,600,000 (1,000,000)", "shared: 7,200,000 an hour"]
    {
        assert!(shown.contains(part), "`{part}` is not in {shown}");
    }
    // It may be a run of the same campaign, with other limits.
    file("narrow", 9_600_000);
    once(dir.run(&["send", &narrow, "--edition", "second"]).ended(0));
}

#[test]
fn a_return_path_tells_whose_bounce_came_back() {
    let dir = Dir::new();
    let taken = dir.path().join("taken.jsonl");
    let relay = Relay::start(Options { record: Some(taken.clone()), ..Options::default() });
    let file = campaign(&dir, "one", relay.port(), "", "");
    let text = fs::read_to_string(dir.path().join(&file)).unwrap();
    dir.write(&file, text.replace("[sender]\n", "[sender]\nverp = true\n"));
    recipients(&dir, "one", &["ann@a.example", "bob@a.example"]);
    dir.run(&["send", &file]).ended(0);
    for entry in record::read(&taken).unwrap() {
        let told = dir.run(&["status", "one", "--return-path", &entry.return_path]).ended(0).stdout();
        assert!(told.starts_with(&entry.recipient), "{told}");
    }
    // Somebody else's token names nobody.
    let forged = "news+aaaaaaaaaaaaaaaaaaaaaaaa@mail.example.com";
    dir.run(&["status", "one", "--return-path", forged]).ended(2).says("not a return path of run");
}

//! `mailrun check` and what belongs to it, as a user sees them: findings, exit codes, keys,
//! records, approval.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::thread;

use mailrun::sandbox::Options;
use serde_json::Value;

use crate::kit::{Dir, Relay, campaign, list};

fn welcome() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/welcome")
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}:\n{text}"))
}

/// The findings of a report: group, level, id.
fn findings(report: &Value) -> Vec<(String, String, String)> {
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
    let all = report["findings"].as_array().unwrap().iter();
    all.map(|f| (text(f, "group"), text(f, "level"), text(f, "id"))).collect()
}

fn ids(report: &Value, group: &str, level: &str) -> Vec<String> {
    findings(report).into_iter().filter(|(g, l, _)| g == group && l == level).map(|(_, _, id)| id).collect()
}

/// A copy of the welcome campaign with changes: what is replaced by what in its campaign file.
fn copy_of_welcome(dir: &Dir, name: &str, changes: &[(&str, &str)]) -> String {
    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            if entry.file_name() == "runs" {
                continue;
            }
            if entry.path().is_dir() {
                copy(&entry.path(), &to.join(entry.file_name()));
            } else {
                fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
            }
        }
    }
    let to = dir.path().join(name);
    copy(&welcome(), &to);
    let file = to.join("campaign.toml");
    let mut text = fs::read_to_string(&file).unwrap();
    for (from, by) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, by);
    }
    fs::write(&file, text).unwrap();
    format!("{name}/campaign.toml")
}

#[test]
fn the_welcome_campaign_shows_what_good_looks_like() {
    let dir = Dir::new();
    let zone = welcome().join("zone");
    let file = copy_of_welcome(
        &dir,
        "w",
        &[("route = \"sandbox\"", "route = \"relay\"\n[delivery.relay]\nhost = \"192.0.2.26\"")],
    );
    let ran = dir.run(&["check", &file, "--dns-zone", zone.to_str().unwrap(), "--json"]).ended(0);
    let report = json(&ran.stdout());
    assert_eq!(ids(&report, "sender", "warning"), [""; 0], "{report:#}");
    let good = ids(&report, "sender", "ok");
    for id in [
        "from-domain",
        "dkim",
        "return-path",
        "spf-pass",
        "dmarc",
        "dmarc-dkim-aligned",
        "dmarc-spf-aligned",
        "message-verifies",
    ] {
        assert!(good.iter().any(|found| found == id), "{id}: {good:?}");
    }
    assert_eq!(ids(&report, "sender", "note"), [""; 0]);
    // The list holds two rows that can't be rendered, as the comment in its campaign file says.
    assert_eq!(ids(&report, "list", "warning"), ["render-failed"]);
    assert_eq!(report["rendering"]["failed"], 2);
    let failure = &report["rendering"]["failures"][0];
    assert_eq!(
        (failure["column"].as_str(), failure["row"].as_u64()),
        (Some("member_since"), Some(85)),
        "{failure}"
    );
    assert_eq!(report["refused"], false);
    dir.run(&["check", &file, "--dns-zone", zone.to_str().unwrap(), "--strict"]).ended(3);
    let text = dir.run(&["check", &file, "--dns-zone", zone.to_str().unwrap()]).ended(0).stdout();
    assert!(text.contains("nothing refused") && text.contains("recipients/counter.csv, row 85"), "{text}");
}

#[test]
fn expressions_of_another_language_are_found() {
    let dir = Dir::new();
    let file = copy_of_welcome(&dir, "w", &[("welcome{{else}}", "welcome ${first_name}{{else}}")]);
    fs::write(dir.path().join("w/templates/partials/note.txt.hbs"), "a\n{% if vip %}b").unwrap();
    let text = dir.path().join("w/templates/welcome.txt.hbs");
    let more = fs::read_to_string(&text).unwrap() + "{{> note}}";
    fs::write(&text, more).unwrap();
    let report = json(&dir.run(&["check", &file, "--offline", "--json"]).ended(0).stdout());
    let all = report["findings"].as_array().unwrap();
    let finding = all.iter().find(|finding| finding["id"] == "other-language").unwrap();
    assert_eq!((finding["level"].as_str(), finding["group"].as_str()), (Some("warning"), Some("content")));
    let seen = finding["seen"].as_str().unwrap();
    assert!(seen.contains("`${first_name}` is FreeMarker (template.subject:1:"), "{seen}");
    assert!(seen.contains("`{% if vip %}` is Jinja (templates/partials/note.txt.hbs:2:1)"), "{seen}");
}

#[test]
fn a_certified_sender_is_checked_against_the_criteria() {
    let dir = Dir::new();
    let zone = welcome().join("zone");
    let relay = "route = \"relay\"\n[delivery.relay]\nhost = \"192.0.2.26\"";
    let file =
        copy_of_welcome(&dir, "w", &[("route = \"sandbox\"", relay), ("[sender]", "[sender]\ncsa = true")]);
    let report = json(&dir.run(&["check", &file, "--dns-zone", zone.to_str().unwrap(), "--json"]).stdout());
    assert!(ids(&report, "sender", "ok").iter().any(|id| id == "csa"), "{report:#}");
    assert_eq!(ids(&report, "content", "warning"), ["csa-imprint"]);
    let message = dir.run(&["render", &file, "--row", "1"]).ended(0).stdout();
    assert!(message.contains("\nX-CSA-Complaints: csa-complaints@eco.de\r\n"), "{message}");
    let signed = message.replace("\r\n\t", " ").replace("\r\n ", " ");
    let signatures: Vec<&str> = signed.lines().filter(|line| line.starts_with("DKIM-Signature:")).collect();
    assert!(
        !signatures.is_empty() && signatures.iter().all(|line| line.contains("X-CSA-Complaints")),
        "{signatures:?}"
    );
}

#[test]
fn a_domain_without_records_is_refused_and_in_a_rehearsal_noted() {
    let dir = Dir::new();
    let file = copy_of_welcome(
        &dir,
        "w",
        &[("route = \"sandbox\"", "route = \"relay\"\n[delivery.relay]\nhost = \"192.0.2.26\"")],
    );
    let report = json(&dir.run(&["check", &file, "--json"]).ended(3).stdout());
    let refused = ids(&report, "sender", "refused");
    assert_eq!(
        refused,
        ["from-domain-missing", "dkim-missing", "dkim-missing", "message-fails", "message-fails"]
    );
    let report = json(&dir.run(&["check", &file, "--json", "--sandbox"]).ended(0).stdout());
    assert_eq!(ids(&report, "sender", "refused"), [""; 0]);
    assert!(ids(&report, "sender", "note").len() >= 5, "{report:#}");
    let report = json(&dir.run(&["check", &file, "--json", "--offline"]).ended(3).stdout());
    assert!(!report["findings"].as_array().unwrap().is_empty(), "a zone answers offline too");
    let mut offline = dir.command(&["check", &file, "--json", "--offline"]);
    let offline = offline.env_remove("MAILRUN_DNS_ZONE").output().unwrap();
    let report = json(&String::from_utf8(offline.stdout).unwrap());
    assert_eq!(ids(&report, "sender", "note"), ["offline"]);
}

#[test]
fn send_refuses_what_check_refuses_and_sends_nothing() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    list(&dir, "one", 3);
    let file = campaign(&dir, "one", relay.port(), "", "");
    fs::write(dir.path().join("dns/zone"), "com. 300 IN TXT \"nothing else\"\n").unwrap();
    dir.run(&["send", &file]).ended(3).says("from-domain-missing");
    assert_eq!(relay.stats().accepted, 0);
    // The relay may take the mail all the same: whoever knows better says so.
    dir.run(&["send", &file, "--no-check"]).ended(0);
    assert_eq!(relay.stop().accepted, 3);
}

#[test]
fn a_deadline_that_can_not_be_met_is_refused_before_anything_is_sent() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    list(&dir, "one", 30);
    let file = campaign(&dir, "one", relay.port(), "", "[capacity]\nper-hour = 12");
    let soon = "2026-01-01T00:00:00Z";
    let far = "2199-01-01T00:00:00Z";
    dir.run(&["send", &file, "--deadline", soon]).ended(3).says("deadline-missed");
    let report = json(&dir.run(&["check", &file, "--json", "--deadline", soon]).ended(3).stdout());
    assert_eq!(ids(&report, "delivery", "refused"), ["deadline-missed"]);
    let report = json(&dir.run(&["check", &file, "--json", "--deadline", far]).ended(0).stdout());
    assert_eq!(ids(&report, "delivery", "ok"), ["deadline-met"]);
    assert_eq!(relay.stop().accepted, 0);
}

#[test]
fn a_run_that_its_deadline_stops_says_so() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    dir.write("one.csv", "email,n\nrcpt-451@a.example,1\n");
    let file = campaign(&dir, "one", relay.port(), "", "");
    let soon = (chrono::Utc::now() + chrono::TimeDelta::seconds(5)).to_rfc3339();
    dir.run(&["send", &file, "--no-check", "--deadline", &soon])
        .ended(4)
        .says("stopped: reached the time given with --deadline");
}

#[test]
fn the_first_line_of_send_says_what_a_large_message_counts_as() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    list(&dir, "one", 2);
    let file = campaign(&dir, "one", relay.port(), "", "[capacity]\nsize-basis = \"1 kB\"");
    dir.write("letter.hbs", "Hello {{n}}\n".repeat(400));
    let said = dir.run(&["send", &file]).ended(0).stderr();
    let line = said.lines().find(|line| line.contains("to send, about")).unwrap();
    let (_, each) = line.split_once(" at 150,000 an hour; a message counts as ").unwrap();
    assert!(each.ends_with(" of 1.0 kB") && !each.starts_with("1.0"), "{line}");
}

#[test]
fn a_finish_time_counts_whatever_holds_rows_back_and_names_the_tightest() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    list(&dir, "one", 2_000);
    let soon = (chrono::Utc::now() + chrono::TimeDelta::minutes(2)).to_rfc3339();
    let today = chrono::Utc::now().format("%F");
    let young =
        format!("address = \"127.0.0.1\"\nwarm-up = {{ from = \"{today}\", per-day = [100, 100, 100] }}");
    for (more, limit, least) in [
        ("[[egress]]\naddress = \"127.0.0.1\"\nrate = \"1/s\"", "egress_rate", 1_999),
        (&format!("[[egress]]\n{young}"), "warm_up", 2 * 86_400 - 60),
        (
            "[[shaping]]\nname = \"own\"\nmx-suffixes = [\"127.0.0.1\"]\nmessages-per-second = 2",
            "the relay 127.0.0.1",
            999,
        ),
        (
            "[[relay]]\nname = \"slow\"\nhost = \"127.0.0.3\"\n[[route]]\ndomains = [\"one.example\"]\n\
             relay = \"slow\"\n[[shaping]]\nname = \"own\"\nmx-suffixes = [\"127.0.0.3\"]\nmessages-per-second = 4",
            "the relay slow",
            499,
        ),
    ] {
        let file = campaign(&dir, "one", relay.port(), "", more);
        let plan = json(&dir.run(&["plan", &file, "--json"]).ended(0).stdout());
        let estimate = &plan["estimate"];
        let by = &estimate["limited_by"];
        assert_eq!(by.get("name").unwrap_or(&by["what"]), limit, "{more}");
        let moment =
            |key: &str| chrono::DateTime::parse_from_rfc3339(estimate[key].as_str().unwrap()).unwrap();
        let seconds = (moment("finish") - moment("start")).num_seconds();
        // A rate begins each day with a message, so a midnight between saves the time of one.
        assert!((least - 1..least + 2 * 86_400).contains(&seconds), "{more}: {seconds} s");
        let shown = dir.run(&["plan", &file]).ended(0).stdout();
        assert!(shown.contains("limited by"), "{shown}");
        let slots = estimate["slots"].as_array().unwrap();
        let messages: Vec<u64> = slots.iter().map(|slot| slot["messages"].as_u64().unwrap()).collect();
        assert_eq!(messages.iter().sum::<u64>(), 2_000, "{more}");
        // Without a rate all of them leave in the first one.
        assert!(messages.len() > 1 && messages[0] < 1_500, "{more}: {messages:?}");
        assert!(shown.contains(&format!("{}  ", slots[0]["slot"].as_str().unwrap())), "{shown}");
        let run_id = format!("n{least}");
        let send = ["send", &file, "--no-check", "--deadline", &soon, "--run-id", &run_id];
        let sent = dir.run(&send).ended(3).says("deadline-missed");
        let said = sent.stderr().lines().find(|line| line.contains("to send, about")).unwrap().to_owned();
        let (_, limit) = shown.rsplit_once("limited by ").unwrap();
        assert!(said.ends_with(&format!(" limited by {}", limit.lines().next().unwrap())), "{said}");
    }
    assert_eq!(relay.stop().accepted, 0);
}

/// A SpamAssassin daemon that calls every message spam.
fn spamd() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (mut asked, mut buffer) = (Vec::new(), [0; 4_096]);
            while !asked.windows(8).any(|bytes| bytes == b"Number 0") {
                match stream.read(&mut buffer).unwrap() {
                    0 => break,
                    read => asked.extend_from_slice(&buffer[..read]),
                }
            }
            let _ = stream.write_all(b"SPAMD/1.1 0 EX_OK\r\nSpam: True ; 1000.0 / 5.0\r\n\r\nGTUBE\r\n");
        }
    });
    address
}

#[test]
fn what_check_refuses_of_the_content_send_refuses_too() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    list(&dir, "one", 3);
    let file = campaign(&dir, "one", relay.port(), "", &format!("[check]\nspamd = \"{}\"", spamd()));
    let report = json(&dir.run(&["check", &file, "--json"]).ended(3).stdout());
    assert_eq!(ids(&report, "content", "refused"), ["spam-score-high"]);
    dir.run(&["send", &file]).ended(3).says("spam-score-high");
    assert_eq!(relay.stop().accepted, 0);
}

/// A ClamAV daemon that finds a virus in each content that has the word `infected`.
fn clamd() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut command = [0; 10];
            stream.read_exact(&mut command).unwrap();
            assert_eq!(&command, b"zINSTREAM\0");
            let mut content = Vec::new();
            loop {
                let mut length = [0; 4];
                stream.read_exact(&mut length).unwrap();
                let mut chunk = vec![0; u32::from_be_bytes(length) as usize];
                if chunk.is_empty() {
                    break;
                }
                stream.read_exact(&mut chunk).unwrap();
                content.extend(chunk);
            }
            let found = content.windows(8).any(|bytes| bytes == b"infected");
            let answer: &[u8] = if found { b"stream: Test-Virus FOUND\0" } else { b"stream: OK\0" };
            stream.write_all(answer).unwrap();
        }
    });
    address
}

#[test]
fn an_attachment_with_a_virus_is_refused_by_check_and_by_send() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    list(&dir, "one", 3);
    let file = campaign(&dir, "one", relay.port(), "", &format!("[check]\nclamd = \"{}\"", clamd()));
    let text = fs::read_to_string(dir.path().join(&file)).unwrap();
    dir.write(&file, text.replace("[template]\n", "[template]\nattachments = [\"terms.bin\"]\n"));
    dir.write("terms.bin", "these terms are infected");
    let report = json(&dir.run(&["check", &file, "--json"]).ended(3).stdout());
    assert_eq!(ids(&report, "content", "refused"), ["virus"]);
    dir.run(&["send", &file]).ended(3).says("(virus)").says("Test-Virus");
    assert_eq!(relay.stats().accepted, 0);
    dir.write("terms.bin", "these terms are clean");
    dir.run(&["send", &file]).ended(0);
    assert_eq!(relay.stop().accepted, 3);
}

#[test]
fn an_spf_record_that_forbids_all_mail_is_never_advised() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    list(&dir, "one", 1);
    let file = campaign(&dir, "one", relay.port(), "", "");
    let shown = dir.run(&["dns", &file, "--offline"]).ended(0).stdout();
    assert!(!shown.contains("v=spf1 -all") && shown.contains("; spf: no address is known"), "{shown}");
    let shown = json(&dir.run(&["dns", &file, "--offline", "--json"]).ended(0).stdout());
    assert!(shown["unknown"]["spf"].as_str().unwrap().contains("[[egress]] address"), "{shown}");
    for (zone, id) in [
        ("mail.example.com. 300 IN TXT \"nothing else\"", "spf-missing"),
        ("mail.example.com. 300 IN TXT \"v=spf1 +all\"", "spf-all"),
        ("mail.example.com. 300 IN TXT \"v=spf1 ?all\"", "spf-open"),
        (
            "mail.example.com. 300 IN TXT \"v=spf1 -all\"\nmail.example.com. 300 IN TXT \"v=spf1 ~all\"",
            "spf-several",
        ),
        ("com. 300 IN TXT \"nothing else\"", "from-domain-missing"),
    ] {
        fs::write(dir.path().join("dns/zone"), format!("{zone}\n")).unwrap();
        let report = json(&dir.run(&["check", &file, "--json"]).stdout());
        let all = report["findings"].as_array().unwrap();
        assert!(all.iter().any(|finding| finding["id"] == id), "{id}: {report:#}");
        for advised in all.iter().filter_map(|finding| finding["fix"].as_str()) {
            let words: Vec<&str> = advised.split_whitespace().collect();
            assert!(!words.join(" ").contains("v=spf1 -all"), "{id}: {advised}");
        }
    }
}

#[test]
fn an_approval_is_the_same_everywhere_and_holds_what_is_sent() {
    let relay = Relay::start(Options::default());
    let make = |dir: &Dir| {
        list(dir, "one", 40);
        campaign(
            dir,
            "one",
            relay.port(),
            "",
            "[unsubscribe]\nhttps = \"https://mail.example.com/u/{{token}}\"",
        )
    };
    let approval = |dir: &Dir, file: &str| {
        let report = json(&dir.run(&["check", file, "--json"]).ended(0).stdout());
        report["approval"].as_str().unwrap().to_owned()
    };
    // Two machines: folders, state directories and secrets of their own, and another suppression
    // list.
    let (here, there) = (Dir::new(), Dir::new());
    let (file, same) = (make(&here), make(&there));
    there.run(&["suppress", "add", "r3@one.example"]).ended(0);
    let hash = approval(&here, &file);
    assert_eq!((hash.len(), &hash), (64, &approval(&there, &same)));

    here.write("letter.hbs", "Hello again {{n}}\n");
    here.run(&["send", &file, "--approved", &hash]).ended(3).says("`letter.hbs`");
    here.write("letter.hbs", "Hello {{n}}\n");
    list(&here, "one", 41);
    here.run(&["send", &file, "--approved", &hash]).ended(3).says("the list");
    list(&here, "one", 40);
    here.run(&["send", &file, "--approved", &hash, "--limit", "39"]).ended(3).says("--limit");
    here.run(&["send", &file, "--approved", &hash[..63]]).ended(2).says("64 hexadecimal digits");
    here.run(&["send", &file, "--approved", &"0".repeat(64)]).ended(3).says("differs from what was approved");
    assert_eq!(relay.stats().accepted, 0);
    // How mail is carried does not reach a recipient.
    let text = fs::read_to_string(here.path().join(&file)).unwrap();
    here.write(&file, text + "[capacity]\nper-hour = 1_000_000\n");
    here.run(&["send", &file, "--approved", &hash]).ended(0);
    assert_eq!(relay.stats().accepted, 40);
    there.run(&["send", &same, "--approved", &hash]).ended(0);
    assert_eq!(relay.stop().accepted, 79, "the suppressed address gets nothing");
}

#[test]
fn a_key_is_made_published_and_found_right() {
    let dir = Dir::new();
    let made = dir
        .run(&["dkim", "generate", "--domain", "mail.example.com", "--selector", "s1", "--kind", "ed25519"])
        .ended(0);
    let made = made.stdout();
    assert!(made.contains("s1._domainkey.mail.example.com. IN TXT \"v=DKIM1; k=ed25519; p="), "{made}");
    dir.run(&["dkim", "generate", "--domain", "mail.example.com", "--selector", "s1", "--kind", "ed25519"])
        .ended(2)
        .says("never overwritten");
    dir.run(&["dkim", "generate", "--domain", "mail.example.com", "--selector", "s 1"])
        .ended(2)
        .says("selector");
    list(&dir, "one", 3);
    let table = made.split_once("[[dkim]]").unwrap().1;
    let file = campaign(&dir, "one", 1, "", &format!("[[dkim]]{table}"));
    let text = fs::read_to_string(dir.path().join(&file)).unwrap();
    dir.write(&file, text.replace("127.0.0.1", "smtp.example.net"));

    let records = json(&dir.run(&["dns", &file, "--json"]).ended(0).stdout());
    let of = |records: &Value, purpose: &str| {
        let found = records["records"].as_array().unwrap().iter().find(|record| record["purpose"] == purpose);
        found.unwrap_or_else(|| panic!("{purpose}: {records:#}")).clone()
    };
    assert_eq!(of(&records, "dkim")["published"]["is"], "absent");
    assert_eq!(of(&records, "spf")["published"]["is"], "fitting");
    let line = of(&records, "dkim")["line"].as_str().unwrap().to_owned();
    assert!(made.contains(&line), "{line}\n{made}");
    let zone = dir.path().join("dns/zone");
    let published = fs::read_to_string(&zone).unwrap() + &line + "\n";
    fs::write(&zone, published).unwrap();
    let records = json(&dir.run(&["dns", &file, "--json"]).ended(0).stdout());
    assert_eq!(of(&records, "dkim")["published"]["is"], "same");
    let report = json(&dir.run(&["check", &file, "--json"]).ended(0).stdout());
    let good = ids(&report, "sender", "ok");
    assert!(good.contains(&"dkim".to_owned()) && good.contains(&"message-verifies".to_owned()), "{good:?}");
    let text = dir.run(&["dns", &file, "--cname-to", "dns.example.net"]).ended(0).stdout();
    assert!(
        text.contains(
            "s1._domainkey.mail.example.com. IN CNAME s1._domainkey.mail.example.com.dns.example.net."
        ),
        "{text}"
    );
}

#[test]
fn with_a_registry_only_its_senders_send() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    list(&dir, "one", 2);
    let file = campaign(&dir, "one", relay.port(), "", "");
    dir.write("senders.toml", "[[sender]]\ndomain = \"other.example.com\"\n");
    dir.run(&["send", &file]).ended(3).says("`news@mail.example.com` is not registered");
    dir.run(&["check", &file]).ended(3).says("is not registered");
    dir.write(
        "senders.toml",
        "[[sender]]\ndomain = \"mail.example.com\"\nreturn-path = \"bounces@mail.example.com\"\ncapacity-account = \"news\"\n",
    );
    let verified = json(&dir.run(&["sender", "verify", "--json"]).ended(0).stdout());
    assert_eq!(verified["senders"][0]["right"], true, "{verified:#}");
    assert!(verified["senders"][0]["last_right"].is_string());
    dir.run(&["send", &file]).ended(0);
    assert_eq!(relay.stop().accepted, 2);
    let manifest = fs::read_to_string(dir.run_of("one").join("manifest.json")).unwrap();
    assert!(manifest.contains("bounces@mail.example.com") && manifest.contains("\"news\""), "{manifest}");
    // What was right once is remembered.
    fs::write(dir.path().join("dns/zone"), "com. 300 IN TXT \"x\"\n").unwrap();
    let wrong = json(&dir.run(&["sender", "verify", "--json"]).ended(3).stdout());
    assert_eq!(wrong["senders"][0]["right"], false);
    assert_eq!(wrong["senders"][0]["last_right"], verified["senders"][0]["last_right"]);
}

/// A campaign whose rows choose their files from `folder`, with a key, and its list `rows`.
fn with_files(dir: &Dir, folder: &str, rows: &str) {
    dir.write("t.hbs", "Hello");
    dir.write("list.csv", format!("email,file\n{rows}"));
    dir.write("files/a.txt", "for you");
    dir.write("secret.key", "the secret of the tokens");
    dir.write(
        "campaign.toml",
        format!(
            "[campaign]\nid = \"files\"\nkind = \"update\"\n[sender]\nfrom = \"news@mail.example.com\"\n\
             [target-group]\nfiles = [\"list.csv\"]\n[template]\nsubject = \"Hello\"\ntext = \"t.hbs\"\n\
             attachment-columns = [\"file\"]\n{folder}\n[unsubscribe]\nhttps = \"https://example.com/{{{{token}}}}\"\n\
             secret-file = \"secret.key\"\n[delivery]\nroute = \"sandbox\"\n"
        ),
    );
}

#[test]
fn a_row_names_files_of_the_attachment_folder_and_no_others() {
    let dir = Dir::new();
    let rows =
        "a@a.example,a.txt\nb@a.example,../secret.key\nc@a.example,hard\nd@a.example,link\ne@a.example,\n";
    with_files(&dir, "attachment-folder = \"files\"", rows);
    fs::hard_link(dir.path().join("secret.key"), dir.path().join("files/hard")).unwrap();
    std::os::unix::fs::symlink("../secret.key", dir.path().join("files/link")).unwrap();
    dir.run(&["send", "campaign.toml"]).ended(1);
    let ends: Vec<_> = dir
        .results("files")
        .iter()
        .map(|row| (row.disposition, row.detail.clone().map(String::from)))
        .collect();
    let failed = |what: &str| (mailrun::mail::Disposition::RenderFailed, Some(what.to_owned()));
    let accepted = (mailrun::mail::Disposition::Accepted, None);
    assert_eq!(
        ends,
        [
            accepted.clone(),
            failed(
                "attachment `../secret.key` of column `file` is outside the folder that `attachment-folder` names"
            ),
            failed(
                "attachment `hard` of column `file` has another name elsewhere (a hard link), so it may be any file of this machine"
            ),
            failed("attachment `link` of column `file` is a link, which is never followed"),
            accepted,
        ]
    );
}

#[test]
fn an_attachment_folder_that_holds_anything_else_is_refused() {
    for (folder, held) in [
        (".", "`attachment-folder` `.` holds the campaign file: `campaign.toml`"),
        ("state", "holds the state directory"),
        ("runs", "holds the runs: `runs`"),
        ("runs/files", "is inside the runs: `runs`"),
    ] {
        let dir = Dir::new();
        fs::create_dir_all(dir.path().join("runs/files")).unwrap();
        fs::create_dir_all(dir.path().join("state")).unwrap();
        with_files(&dir, &format!("attachment-folder = \"{folder}\""), "a@a.example,secret.key\n");
        let report = json(&dir.run(&["check", "campaign.toml", "--offline", "--json"]).ended(3).stdout());
        assert_eq!(ids(&report, "content", "refused"), ["attachment-folder"], "{folder}");
        // `plan` says so too.
        let plan = dir.run(&["plan", "campaign.toml"]).ended(0).stdout();
        assert!(plan.contains("`mailrun send` refuses this\n") && plan.contains(held), "{folder}: {plan}");
        for args in [&["send", "campaign.toml"][..], &["send", "campaign.toml", "--no-check"]] {
            let error = dir.run(args).ended(3).stderr();
            assert!(error.contains(held) && error.contains("attachment-folder"), "{folder}: {error}");
        }
    }
}

#[test]
fn attachment_columns_without_their_folder_are_refused() {
    let dir = Dir::new();
    with_files(&dir, "", "a@a.example,a.txt\n");
    for command in ["check", "send", "plan"] {
        let error = dir.run(&[command, "campaign.toml"]).ended(2).stderr();
        assert!(error.contains("campaign.toml:") && error.contains("set `attachment-folder"), "{error}");
    }
}

#[test]
fn the_domains_of_links_are_looked_up_in_block_lists() {
    let dir = Dir::new();
    let file = campaign(&dir, "one", 9, "", "[reputation]\ndnsbl = [\"names.example\", \"dead.example\"]\n");
    dir.write("one.csv", "email,n\nann@a.example,1\n");
    dir.write("letter.hbs", "Look: https://www.bad.example/{{n}} and https://good.example/\n");
    dir.write("zone", "test.names.example. IN A 127.0.1.2\nbad.example.names.example. IN A 127.0.1.2\n");
    let report = json(&dir.run(&["check", &file, "--dns-zone", "zone", "--json"]).stdout());
    assert!(ids(&report, "sender", "note").contains(&"dnsbl-unusable".to_owned()), "{report:#}");
    assert!(ids(&report, "sender", "warning").contains(&"dnsbl-listed".to_owned()), "{report:#}");
    let text = dir.run(&["check", &file, "--dns-zone", "zone"]).stdout();
    assert!(text.contains("`bad.example` is on the block list `names.example`"), "{text}");
    assert!(!text.contains("good.example"), "{text}");
}

/// Styles go into elements, and `check` says where that takes time for each message.
#[test]
fn inline_css_puts_styles_into_elements_and_says_what_it_costs() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    let file = campaign(&dir, "one", relay.port(), "", "");
    let path = dir.path().join(&file);
    let text = std::fs::read_to_string(&path).unwrap();
    let text = text.replace("text = \"letter.hbs\"", "html = \"letter.html.hbs\"\ninline-css = true");
    std::fs::write(&path, text).unwrap();
    list(&dir, "one", 1);
    let page = |body: &str| {
        format!("<html><head><style>.a {{ color: red }}</style></head><body>{body}</body></html>")
    };
    dir.write("letter.html.hbs", page("<p class=\"a\">Hello {{n}}</p>"));
    let checked = dir.run(&["check", &file, "--offline"]).ended(0).stdout();
    assert!(!checked.contains("css-in-each"), "{checked}");
    let html = dir.path().join("page.html");
    dir.run(&["render", &file, "--html", html.to_str().unwrap()]).ended(0);
    let once = std::fs::read_to_string(&html).unwrap();
    assert!(once.contains("style=\"color: red;\">Hello 0</p>"), "{once}");
    dir.write("letter.html.hbs", page("<p class=\"{{#if n}}a{{/if}}\">&#123;{{n}}&#125;</p>"));
    let checked = dir.run(&["check", &file, "--offline"]).ended(0).stdout();
    assert!(checked.contains("css-in-each") && checked.contains("ms for each message"), "{checked}");
    dir.write("letter.html.hbs", page(&"<div>".repeat(100_000)));
    dir.run(&["check", &file, "--offline"]).ended(2).says("more than 200 elements in one another");
}

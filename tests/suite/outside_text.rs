//! Text that others wrote moves no cursor, turns no line around and hides nothing, wherever it is
//! shown: on a terminal, in a log, in JSON, in results, in CSV.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::thread;

use mailrun::sandbox::Options;
use serde_json::Value;

use crate::kit::{Dir, Ran, Relay, campaign, list, program};

/// A red text, turned around, with a mark that nobody sees, and how it is shown.
const EVIL: &str = "\u{1b}[31mexe.\u{202e}gpj\u{200b}";
const SHOWN: &str = "\\u{1b}[31mexe.\\u{202e}gpj\\u{200b}";

/// What was printed has nothing that a terminal obeys or does not show.
#[track_caller]
fn safe(text: &str) {
    let bad = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    assert!(!text.contains(bad), "{:?}", text.replace('\n', " ⏎ "));
}

#[track_caller]
fn both_safe(ran: Ran) -> Ran {
    safe(&ran.stdout());
    safe(&ran.stderr());
    ran
}

/// As [`EVIL`], but with the one character that terminals take for escape and `[`: a row with an
/// escape itself is invalid.
const EVIL_VALUE: &str = "\u{9b}31mexe.\u{202e}gpj\u{200b}";

/// Gives the campaign `one` a list that may hold any other character.
fn rows(dir: &Dir, rows: &[(&str, &str)]) {
    let line = |(email, n): &(&str, &str)| format!("{}\n", serde_json::json!({ "email": email, "n": n }));
    let escaped = rows.iter().map(line).collect::<String>();
    dir.write("one.jsonl", escaped);
    let text = fs::read_to_string(dir.path().join("one.toml")).unwrap();
    dir.write("one.toml", text.replace("one.csv", "one.jsonl"));
}

/// A relay whose every text is [`EVIL`]; it takes no recipient.
fn evil_relay() -> u16 {
    fn serve(stream: TcpStream) -> std::io::Result<()> {
        let mut out = stream.try_clone()?;
        write!(out, "220 relay.example {EVIL}\r\n")?;
        for line in BufReader::new(stream).lines() {
            match line?.get(..4) {
                Some("EHLO") => write!(out, "250 relay.example {EVIL}\r\n")?,
                Some("RCPT") => write!(out, "550 5.1.1 no {EVIL}\r\n")?,
                Some("QUIT") => return write!(out, "221 bye\r\n"),
                _ => write!(out, "250 2.0.0 {EVIL}\r\n")?,
            }
        }
        Ok(())
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || _ = serve(stream));
        }
    });
    port
}

#[test]
fn replies_in_results_status_and_log() {
    let dir = Dir::new();
    list(&dir, "one", 2);
    let file = campaign(&dir, "one", evil_relay(), "", "");
    both_safe(dir.run(&["send", &file, "-vvv"]).ended(1));
    let results = dir.results("one");
    assert_eq!(results[0].reply.as_deref(), Some(format!("no {SHOWN}").as_str()));
    let status = both_safe(dir.run(&["status", "one", "--all-recipients"]).ended(0)).stdout();
    assert!(status.contains(SHOWN), "{status}");
    both_safe(dir.run(&["status", "one", "--all-recipients", "--json"]).ended(0));
    let json = both_safe(dir.run(&["send", &file, "--log-format", "json", "-vvv", "--new-run", "--again"]));
    let lines = json.stderr();
    assert!(lines.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{lines}");
}

#[test]
fn records_and_names_from_dns() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    list(&dir, "one", 2);
    let file = campaign(&dir, "one", relay.port(), "", "");
    let zone = format!(
        "mail.example.com. 300 IN MX 10 localhost.\n\
         mail.example.com. 300 IN TXT \"v=spf1 {EVIL} -all\"\n\
         _dmarc.mail.example.com. 300 IN TXT \"v=DMARC1; p={EVIL}\"\n"
    );
    dir.write("dns/zone", &zone);
    let text = both_safe(dir.run(&["check", &file])).stdout();
    assert!(text.contains("\\u{1b}[31m"), "{text}");
    let json: Value =
        serde_json::from_str(&both_safe(dir.run(&["check", &file, "--json"])).stdout()).unwrap();
    assert!(json["findings"].to_string().contains("\\u001b[31m"), "{json:#}");
    both_safe(dir.run(&["send", &file, "--yes"]));
    let name = format!("{EVIL}.example");
    for args in [vec!["mx", &name, "--dns-zone", "dns"], vec!["dns", &file]] {
        both_safe(dir.run(&args));
        both_safe(dir.run(&[&args[..], &["--json"]].concat()));
    }
}

#[test]
fn addresses_and_values_of_rows() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    let stop = "[stop]\nmax-invalid-percent = 100\nbounce-percent = 0\n";
    let file = campaign(&dir, "one", relay.port(), "", stop);
    let bob = format!("bob@{EVIL_VALUE}.example");
    rows(&dir, &[("ann@one.example", EVIL_VALUE), (&bob, "1"), ("cid@one.example", "")]);
    both_safe(dir.run(&["send", &file]).ended(1));
    let row = dir.results("one").into_iter().nth(1).unwrap();
    assert_eq!(row.email.as_deref(), Some(bob.as_str()), "as given");
    safe(row.detail.as_deref().unwrap());
    for more in [[].as_slice(), &["--json"]] {
        both_safe(dir.run(&[&["status", "one", "--all-recipients"], more].concat()).ended(0));
        both_safe(dir.run(&[&["plan", &file], more].concat()).ended(0));
        both_safe(dir.run(&[&["check", &file], more].concat()));
    }
}

#[test]
fn names_of_files() {
    let dir = Dir::new();
    both_safe(dir.run(&["send", &format!("{EVIL}.toml")]).ended(2));
    let bad = format!("{EVIL}\nhint: lie.csv");
    dir.write(&bad, "email\nann@\u{202e}example.com\n");
    let ran = both_safe(dir.run(&["suppress", "import", &bad]).ended(1));
    assert!(!ran.stderr().lines().any(|line| line.starts_with("hint: lie")), "{}", ran.stderr());
}

#[test]
fn mails_that_come_back() {
    let dir = Dir::new();
    let bounce = format!(
        "From: MAILER-DAEMON@mx.example\nSubject: failure notice\n\n\
         I'm afraid I wasn't able to deliver your message to the following addresses.\n\n\
         <bob@x.example>:\nRemote host said: 550 5.1.1 {EVIL}\n"
    );
    let name = format!("{EVIL}.eml");
    dir.write(&name, bounce);
    let ran = both_safe(dir.run(&["feedback", "read", &name]).ended(0));
    assert!(ran.stdout().contains(SHOWN), "{}", ran.stdout());
    let json = both_safe(dir.run(&["feedback", "read", &name, "--json"]).ended(0)).stdout();
    assert!(json.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{json}");
}

#[test]
fn what_a_hook_prints() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    list(&dir, "one", 1);
    dir.write("say", EVIL);
    let hook = "[hooks]\non-finish = [\"/bin/sh\", \"-c\", \"cat say >&2; exit 1\"]";
    let file = campaign(&dir, "one", relay.port(), "", hook);
    both_safe(dir.run(&["send", &file]).ended(0).says(SHOWN));
}

#[test]
fn cells_of_csv_are_no_formulas_and_read_back_as_they_were() {
    let dir = Dir::new();
    let formulas = ["=1+1@one.example", "+a@one.example", "-b@one.example", "'=c@one.example"];
    for address in formulas {
        dir.run(&["suppress", "add", "--", address]).ended(0);
    }
    dir.write("more.csv", "email,source\nann@one.example,@SUM(A1)\n");
    dir.run(&["suppress", "import", "more.csv"]).ended(0);
    dir.run(&["suppress", "export", "all.csv"]).ended(0);
    let csv = fs::read_to_string(dir.path().join("all.csv")).unwrap();
    for cell in ["'=1+1@one.example,", "'+a@", "'-b@", "''=c@", ",'@SUM(A1),"] {
        assert!(csv.contains(cell), "{csv}");
    }
    let listed = |dir: &Dir| {
        let text = dir.run(&["suppress", "list", "--json"]).ended(0).stdout();
        let entries = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let mut all: Vec<_> = entries.map(|e| (e["email"].to_string(), e["source"].to_string())).collect();
        all.sort();
        all
    };
    let other = Dir::new();
    other.write("all.csv", csv);
    other.run(&["suppress", "import", "all.csv"]).ended(0);
    assert_eq!(listed(&other), listed(&dir));
}

#[test]
fn a_message_is_printed_as_it_is_but_not_on_a_terminal() {
    let dir = Dir::new();
    let file = campaign(&dir, "one", 25, "", "");
    list(&dir, "one", 1);
    dir.write("letter.hbs", "Hello \u{1b}[31mred\n");
    let piped = dir.run(&["render", &file]).ended(0).stdout();
    assert!(piped.contains("\u{1b}[31mred"), "{piped:?}");
    let command = format!("{} render {file}", program().display());
    let script = Command::new("script")
        .args(["-qec", &command, "/dev/null"])
        .current_dir(dir.path())
        .env("MAILRUN_STATE", dir.path().join("state"))
        .output();
    let Ok(shown) = script else {
        eprintln!("not run: there is no `script` to make a terminal with");
        return;
    };
    let shown = String::from_utf8_lossy(&shown.stdout).replace("\r\n", "\n");
    assert!(shown.contains("\\u{1b}[31mred"), "{shown:?}");
    safe(&shown);
}

//! Opens and clicks: links of messages that were sent, followed by people and by programs.

use std::collections::BTreeMap;
use std::fs;

use mail_parser::MessageParser;
use mailrun::sandbox::{Keep, Options};
use serde_json::Value;

use crate::feedback::{column, summary, suppressed};
use crate::json::Schemas;
use crate::kit::{Dir, Relay, campaign};
use crate::serve::{Answer, Serve};

const PERSON: &str =
    "user-agent: Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Thunderbird/115.5.0\r\n";
const TRACKING: &str = "[tracking]\nurl = \"https://click.example.com/c\"\nclicks = true\nopens = true\nconsent-column = \"agreed\"\n";
const HTML: &str = "<html><body><p>Hello {{n}}</p><a href=\"https://shop.example/a?x=1&amp;n={{n}}\">a</a>\
    <a href=\"https://shop.example/b\">b</a><a href=\"{{unsubscribe_url}}\">leave</a>\
    <a href=\"https://shop.example/privacy\" data-no-track>p</a></body></html>\n";
/// Visits count at once: these messages were accepted a moment ago.
const SETTINGS: &str = "[recipients]\nlisten = [\"127.0.0.1:0\"]\npeople-after = \"0s\"\n";

/// The tracked links of a message: paths on the listener.
#[derive(Debug, Default, Clone)]
struct Links {
    clicks: Vec<String>,
    image: Option<String>,
    leave: String,
    html: String,
}

fn dir() -> Dir {
    dir_with(TRACKING)
}

fn dir_with(tracking: &str) -> Dir {
    let dir = Dir::new();
    letter(&dir, 9, tracking);
    dir
}

fn letter(dir: &Dir, port: u16, tracking: &str) {
    let unsubscribe = "[unsubscribe]\nhttps = \"https://mail.example.com/u/{{token}}\"\n";
    let file = campaign(dir, "news", port, "", &format!("{unsubscribe}{tracking}"));
    let text = fs::read_to_string(dir.path().join(&file)).unwrap();
    dir.write(&file, text.replace("text = \"letter.hbs\"", "html = \"letter.hbs\""));
    dir.write("letter.hbs", HTML);
    dir.write("news.csv", "email,n,agreed\nann@x.example,1,yes\nbob@x.example,2,no\ncleo@x.example,3,yes\n");
}

/// Sends the campaign; the links of each recipient.
fn sent(dir: &Dir, tracking: &str) -> BTreeMap<String, Links> {
    let folder = dir.path().join("taken");
    let relay = Relay::start(Options { keep: Keep::Eml(folder.clone()), ..Options::default() });
    letter(dir, relay.port(), tracking);
    dir.run(&["send", "news.toml", "--no-check"]).ended(0);
    relay.stop();
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let message = fs::read(entry.unwrap().path()).unwrap();
        let parsed = MessageParser::default().parse(&message).unwrap();
        let to = parsed.to().unwrap().first().unwrap().address().unwrap().to_owned();
        all.insert(to, links(&parsed.body_html(0).unwrap()));
    }
    all
}

fn links(html: &str) -> Links {
    let path = |part: &str| format!("/c/{}", part.split('"').next().unwrap());
    let tracked: Vec<String> = html.split("https://click.example.com/c/").skip(1).map(path).collect();
    let (images, clicks) = tracked.into_iter().partition::<Vec<_>, _>(|path| path.ends_with(".gif"));
    let leave = html.split("https://mail.example.com").nth(1).unwrap().split('"').next().unwrap();
    Links { clicks, image: images.into_iter().next(), leave: leave.to_owned(), html: html.to_owned() }
}

fn get(serve: &Serve, target: &str, head: &str) -> Answer {
    serve.ask("GET", target, head, "")
}

fn location(answer: &Answer) -> Option<&str> {
    answer.head.lines().find_map(|line| line.strip_prefix("location: "))
}

/// Kind, recipient, label and target of what was tracked.
fn tracked(dir: &Dir) -> Vec<[String; 4]> {
    let out = dir.run(&["events", "news", "--kind", "opened,clicked"]).ended(0).stdout();
    let mut schemas = Schemas::load();
    let event = |line: &str| {
        let event: Value = serde_json::from_str(line).unwrap();
        schemas.check("event", &event);
        ["kind", "recipient", "machine", "detail"]
            .map(|key| event[key].as_str().unwrap_or_default().to_owned())
    };
    out.lines().map(event).collect()
}

#[test]
fn who_agreed_is_tracked_from_the_message_to_the_results() {
    let dir = dir();
    let all = sent(&dir, TRACKING);
    let (ann, bob, cleo) = (&all["ann@x.example"], &all["bob@x.example"], &all["cleo@x.example"]);
    assert_eq!((ann.clicks.len(), ann.image.is_some()), (2, true), "{}", ann.html);
    assert!(ann.html.contains("https://shop.example/privacy"), "{}", ann.html);
    assert_eq!((bob.clicks.len(), &bob.image), (0, &None), "who did not agree is not tracked");
    assert!(bob.html.contains("https://shop.example/a?x=1&amp;n=2"), "{}", bob.html);

    let serve = Serve::of(&dir, SETTINGS);
    let answer = get(&serve, &ann.clicks[0], PERSON);
    assert_eq!((answer.status, location(&answer)), (302, Some("https://shop.example/a?x=1&n=1")));
    for field in ["cache-control: no-store", "referrer-policy: no-referrer", "x-robots-tag: noindex"] {
        assert!(answer.head.contains(field), "{}", answer.head);
    }
    assert!(!answer.head.contains("set-cookie"), "{}", answer.head);
    let image = get(&serve, ann.image.as_ref().unwrap(), PERSON);
    assert_eq!(image.status, 200);
    assert!(image.head.contains("content-type: image/gif") && image.head.contains("content-length: 43"));
    let google = "user-agent: Mozilla/5.0 (via ggpht.com GoogleImageProxy)\r\n";
    assert_eq!(get(&serve, cleo.image.as_ref().unwrap(), google).status, 200);
    assert_eq!(serve.ask("HEAD", &cleo.clicks[1], PERSON, "").status, 302);
    let ahead = format!("{PERSON}sec-purpose: prefetch\r\n");
    assert_eq!(get(&serve, &cleo.clicks[1], &ahead).status, 302);
    assert_eq!(get(&serve, &cleo.clicks[1], "user-agent: curl/8.0\r\n").status, 302);
    assert_eq!(serve.ask("POST", &ann.clicks[0], PERSON, "").status, 405);
    assert_eq!(serve.end().matches("warning").count(), 0);

    let row = |kind: &str, who: &str, machine: &str, to: &str| [kind, who, machine, to].map(str::to_owned);
    let b = "https://shop.example/b";
    let expected = [
        row("clicked", "ann@x.example", "", "https://shop.example/a?x=1&n=1"),
        row("opened", "ann@x.example", "", ""),
        row("opened", "cleo@x.example", "image_proxy", ""),
        row("clicked", "cleo@x.example", "head", b),
        row("clicked", "cleo@x.example", "prefetch", b),
        row("clicked", "cleo@x.example", "scanner", b),
    ];
    assert_eq!(tracked(&dir), expected);
    let counts = summary(&dir);
    assert_eq!((&counts["kinds"]["click"], &counts["kinds"]["open"]), (&1.into(), &1.into()), "{counts}");
    assert_eq!((&counts["machines"]["scanner"], &counts["events"]), (&1.into(), &6.into()), "{counts}");
    let results = dir.run(&["results", "news", "--with-feedback", "--json"]).ended(0).stdout();
    let joined = &serde_json::from_str::<Value>(&results).unwrap()["with_feedback"];
    assert_eq!((&joined["opened"], &joined["clicked"]), (&1.into(), &1.into()), "{joined}");
    // Whoever reads the files of the state learns nothing of the visitors.
    assert_eq!(dir.files_with("Thunderbird"), Vec::<std::path::PathBuf>::new());
    assert_eq!(suppressed(&dir), []);
}

#[test]
fn nothing_is_followed_that_is_not_sealed() {
    let dir = dir();
    let all = sent(&dir, TRACKING);
    let foreign = dir_with(TRACKING);
    let of_another = sent(&foreign, TRACKING);
    let ann = &all["ann@x.example"];
    let serve = Serve::of(&dir, SETTINGS);
    let good = ann.clicks[0].strip_prefix("/c/").unwrap();
    let mut forged: Vec<String> = Vec::new();
    for at in 0..good.len() {
        let mut bytes = good.as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        forged.push(format!("/c/{}", String::from_utf8(bytes).unwrap()));
    }
    // The last character may hold bits that are no part of the token.
    forged.pop();
    forged.push(of_another["ann@x.example"].clicks[0].clone());
    for bare in [
        "/c/",
        "/c/https://evil.example/",
        "/c/?url=https://evil.example/",
        "//evil.example/",
        "/c/%0d%0alocation:%20x",
    ] {
        forged.push(bare.to_owned());
    }
    forged.push(format!("/c/{good}x"));
    forged.push(format!("/c/{}", &good[..good.len() / 2]));
    for target in &forged {
        let answer = get(&serve, target, PERSON);
        assert!(matches!(answer.status, 400 | 404), "{target}: {}", answer.status);
        assert_eq!(location(&answer), None, "{target}");
        assert!(!answer.body.contains("evil"), "{}", answer.body);
    }
    // An image is an image, whoever asks for it, and leads nowhere.
    for target in [
        ann.clicks[0].clone() + ".gif",
        "/c/x.gif".to_owned(),
        of_another["ann@x.example"].image.clone().unwrap(),
    ] {
        let answer = get(&serve, &target, PERSON);
        assert_eq!((answer.status, location(&answer)), (200, None), "{target}");
        assert!(answer.head.contains("content-type: image/gif"), "{}", answer.head);
    }
    // A tracked link unsubscribes nobody, and an unsubscribe link leads nowhere.
    let form = "content-type: application/x-www-form-urlencoded\r\n";
    assert_eq!(serve.ask("POST", &ann.clicks[0], form, "List-Unsubscribe=One-Click").status, 405);
    assert_eq!(location(&get(&serve, &ann.leave, PERSON)), None);
    serve.end();
    assert_eq!(tracked(&dir), Vec::<[String; 4]>::new());
    assert_eq!(suppressed(&dir), []);
}

#[test]
fn scanners_that_open_everything_unsubscribe_nobody() {
    let dir = dir();
    let all = sent(&dir, TRACKING);
    let serve = Serve::of(&dir, SETTINGS);
    let ann = &all["ann@x.example"];
    // One after the other on one connection, as fast as it can.
    let asked = |target: &String| format!("GET {target} HTTP/1.1\r\nhost: x\r\n{PERSON}\r\n");
    let all: String = ann.clicks.iter().chain([&ann.leave]).map(asked).collect();
    let last = format!("GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{PERSON}\r\n");
    let answer = serve.say(format!("{}{last}", all.repeat(20)).as_bytes());
    let found = [answer.head, answer.body].concat().to_lowercase();
    assert_eq!((found.matches("http/1.1 302 ").count(), found.matches("http/1.1 200 ").count()), (40, 21));
    serve.end();
    assert_eq!(suppressed(&dir), []);
    // Which visits are labelled depends on how fast the disk is: see the tests of `job::visits`.
    let kept = tracked(&dir);
    assert!(!kept.is_empty() && kept.iter().all(|[kind, ..]| kind == "clicked"), "{kept:?}");
    dir.run(&["results", "news", "--with-feedback"]).ended(0);
    let file = dir.run_of("news").join("with-feedback.parquet");
    assert_eq!(column(&file, "outcome"), ["accepted"; 3]);
}

#[test]
fn what_comes_within_seconds_of_the_acceptance_is_a_machine() {
    let dir = dir();
    let all = sent(&dir, TRACKING);
    let serve = Serve::of(&dir, &SETTINGS.replace("0s", "1h"));
    get(&serve, &all["ann@x.example"].clicks[0], PERSON);
    serve.end();
    assert_eq!(tracked(&dir)[0][2], "too_soon");
}

#[test]
fn what_was_answered_survives_a_kill() {
    let dir = dir();
    let all = sent(&dir, TRACKING);
    let mut expected = 0;
    for links in [&all["ann@x.example"], &all["cleo@x.example"]] {
        for target in links.clicks[..1].iter().chain(&links.image) {
            let serve = Serve::of(&dir, SETTINGS);
            assert!(matches!(get(&serve, target, PERSON).status, 200 | 302));
            // The drop kills it.
            drop(serve);
            expected += 1;
            assert_eq!(tracked(&dir).len(), expected);
        }
    }
}

#[test]
fn without_rows_in_links_nobody_is_known() {
    let tracking = TRACKING.replace("consent-column = \"agreed\"", "level = \"aggregate\"");
    let dir = dir_with(&tracking);
    let all = sent(&dir, &tracking);
    let (ann, bob) = (&all["ann@x.example"], &all["bob@x.example"]);
    assert_eq!(ann.image, bob.image);
    assert_eq!(ann.clicks[1], bob.clicks[1]);
    let serve = Serve::of(&dir, SETTINGS);
    for _ in 0..3 {
        get(&serve, ann.image.as_ref().unwrap(), PERSON);
    }
    serve.end();
    let all = tracked(&dir);
    assert_eq!(all.len(), 3, "each may be another person");
    assert!(all.iter().all(|[_, recipient, ..]| recipient.is_empty()), "{all:?}");
}

#[test]
fn without_rows_no_query_is_recorded() {
    let tracking = TRACKING.replace("consent-column = \"agreed\"", "level = \"aggregate\"");
    let dir = dir_with(&tracking);
    let all = sent(&dir, &tracking);
    let serve = Serve::of(&dir, SETTINGS);
    let answer = get(&serve, &all["ann@x.example"].clicks[0], PERSON);
    assert_eq!(location(&answer), Some("https://shop.example/a?x=1&n=1"), "it leads where it should");
    serve.end();
    let [[kind, recipient, _, target]] = &tracked(&dir)[..] else { panic!("one visit") };
    assert_eq!([kind, recipient, target], ["clicked", "", "https://shop.example/a"]);
}

#[test]
fn what_is_sent_once_more_to_somebody_else_counts_for_nobody() {
    let dir = dir();
    let tracking = format!("{TRACKING}[keep]\nrecover = \"45d\"\n");
    sent(&dir, &tracking);
    let folder = dir.path().join("again");
    let relay = Relay::start(Options { keep: Keep::Eml(folder.clone()), ..Options::default() });
    letter(&dir, relay.port(), &tracking);
    dir.run(&["resend", "news", "0", "--to", "me@example.com"]).ended(0);
    relay.stop();
    let file = fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    let message = fs::read(file).unwrap();
    let parsed = MessageParser::default().parse(&message).unwrap();
    let own = links(&parsed.body_html(0).unwrap());
    let serve = Serve::of(&dir, SETTINGS);
    assert_eq!(location(&get(&serve, &own.clicks[1], PERSON)), Some("https://shop.example/b"));
    assert_eq!(get(&serve, own.image.as_ref().unwrap(), PERSON).status, 200);
    serve.end();
    assert_eq!(summary(&dir)["events"], 0);
}

#[test]
fn links_of_test_messages_lead_on_and_count_for_nobody() {
    let dir = dir();
    let folder = dir.path().join("test");
    let relay = Relay::start(Options { keep: Keep::Eml(folder.clone()), ..Options::default() });
    letter(&dir, relay.port(), TRACKING);
    dir.run(&["send", "news.toml", "--no-check", "--to", "me@example.com", "--row", "1"]).ended(0);
    relay.stop();
    let file = fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    let message = fs::read(file).unwrap();
    let parsed = MessageParser::default().parse(&message).unwrap();
    let own = links(&parsed.body_html(0).unwrap());
    let serve = Serve::of(&dir, SETTINGS);
    let answer = get(&serve, &own.clicks[1], PERSON);
    assert_eq!((answer.status, location(&answer)), (302, Some("https://shop.example/b")));
    assert_eq!(get(&serve, own.image.as_ref().unwrap(), PERSON).status, 200);
    serve.end();
    assert_eq!(summary(&dir)["events"], 0);
}

#[test]
fn the_record_of_the_tracking_host_is_printed() {
    let dir = dir();
    let records = dir.run(&["dns", "news.toml", "--offline"]).ended(0).stdout();
    assert!(records.contains("\nclick.example.com. IN CNAME serve.example.net.\n"), "{records}");
}

#[test]
fn tracking_without_consent_or_in_signed_messages_is_refused() {
    for (tracking, said) in [
        (TRACKING.replace("consent-column = \"agreed\"\n", ""), "nothing says which recipients agreed"),
        (TRACKING.replace("agreed", "agred"), "column `agred` of `tracking.consent-column` not found"),
        (format!("{TRACKING}[smime]\ncertificate = \"c.pem\"\nkey = \"k.pem\"\n"), "would sign links"),
    ] {
        let dir = dir_with(&tracking);
        dir.run(&["send", "news.toml", "--no-check"]).ended(2).says(said);
    }
}

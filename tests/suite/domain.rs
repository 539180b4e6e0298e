//! `mailrun domain`: who sends in the name of a domain, by the reports that were read.

use std::fs;

use serde_json::Value;

use crate::kit::Dir;

const DAY: u64 = 86_400;

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

/// A record of a report: address, count, whether it is aligned by DKIM and SPF, the signature's
/// selector, the domain of SPF.
fn record(source: &str, count: u64, dkim: bool, spf: bool, selector: &str, spf_domain: &str) -> String {
    let result = |right| if right { "pass" } else { "fail" };
    let (dkim, spf) = (result(dkim), result(spf));
    let signature = if selector.is_empty() {
        String::new()
    } else {
        format!(
            "<dkim><domain>x.example</domain><selector>{selector}</selector><result>{dkim}</result></dkim>"
        )
    };
    format!(
        "<record><row><source_ip>{source}</source_ip><count>{count}</count><policy_evaluated><disposition>none\
         </disposition><dkim>{dkim}</dkim><spf>{spf}</spf></policy_evaluated></row><identifiers><header_from>\
         x.example</header_from></identifiers><auth_results>{signature}<spf><domain>{spf_domain}</domain><result>\
         {spf}</result></spf></auth_results></record>"
    )
}

pub(crate) fn report(org: &str, id: &str, begin: u64, p: &str, records: &[String]) -> String {
    format!(
        "<?xml version=\"1.0\"?><feedback><report_metadata><org_name>{org}</org_name><report_id>{id}</report_id>\
         <date_range><begin>{begin}</begin><end>{}</end></date_range></report_metadata><policy_published><domain>\
         x.example</domain><p>{p}</p></policy_published>{}</feedback>",
        begin + DAY,
        records.concat()
    )
}

/// Forty days of reports that saw the policy `p`: own mail, some passed on, some made up.
fn read_reports(dir: &Dir, p: &str) {
    let first = now() / DAY * DAY - 41 * DAY;
    for day in 0..41 {
        let records = [
            record("192.0.2.1", 900, true, true, "s1", "x.example"),
            record("198.51.100.1", 20, true, false, "s1", "x.example"),
            record("198.51.100.66", 80, false, false, "", "x.example"),
        ];
        let text = report("Receiver", &day.to_string(), first + day * DAY, p, &records);
        dir.write(&format!("reports/{day}.xml"), text);
    }
    dir.run(&["feedback", "read", "reports"]).ended(0);
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_report_tells_who_sends_and_counts_each_report_once() {
    let dir = Dir::new();
    dir.run(&["domain", "report", "x.example"]).ended(0).says("no DMARC reports on x.example were read");
    let day = 1_704_067_200; // A Monday.
    let records = [
        record("192.0.2.1", 90, true, true, "s1", "x.example"),
        record("192.0.2.2", 10, false, true, "", "x.example"),
        record("203.0.113.5", 30, true, false, "esp", "bounces.letters.example"),
        record("198.51.100.66", 7, false, false, "", "x.example"),
    ];
    dir.write("one.xml", report("Receiver", "1", day, "none", &records));
    dir.run(&["feedback", "read", "one.xml"]).ended(0);
    // In another mail, with another way to write lines: the same report.
    let mail = format!(
        "Subject: Report\r\nContent-Type: text/xml\r\n\r\n{}\r\n",
        report("Receiver", "1", day, "none", &records)
    );
    dir.write("again.eml", mail);
    dir.run(&["feedback", "read", "again.eml"]).ended(0);
    // A dry run keeps nothing.
    dir.write("dry.xml", report("Receiver", "2", day, "none", &records));
    dir.run(&["feedback", "read", "--dry-run", "dry.xml"]).ended(0);
    let ask = |more: &[&str]| {
        json(&dir.run(&[&["domain", "report", "x.example", "--json"], more].concat()).ended(0).stdout())
    };
    let view = ask(&[]);
    assert_eq!(
        (&view["reports"], &view["messages"], &view["dmarc_pass"]),
        (&1.into(), &137.into(), &130.into())
    );
    assert_eq!(view["classes"]["ours"]["messages"], 100);
    assert_eq!(view["classes"]["unknown"]["messages"], 30);
    assert_eq!(view["classes"]["hostile"]["messages"], 7);
    assert_eq!(
        (&view["weeks"][0]["start"], &view["weeks"][0]["dkim_aligned"]),
        (&"2024-01-01T00:00:00.000Z".into(), &120.into())
    );

    // Once it has a name, it is known.
    dir.write("senders.toml", "[[platform]]\nname = \"Letters\"\naddresses = [\"203.0.113.0/24\"]\n");
    let text = dir.run(&["domain", "report", "x.example"]).ended(0).stdout();
    let lines: Vec<String> =
        text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for expected in [
        "x.example: 137 mails in 1 report from 2024-01-01 to 2024-01-02",
        "platform 30 100.0 % 0.0 % 100.0 %",
        "platform 30 100.0 % 203.0.113.5 Letters bounces.letters.example x.example (esp)",
        "hostile 7 0.0 % 198.51.100.66 - x.example -",
    ] {
        assert!(lines.iter().any(|line| line == expected), "{expected} is not in\n{text}");
    }
    assert_eq!(ask(&["--until", "2023-12-31T00:00:00Z"])["reports"], 0);
    assert_eq!(ask(&["--since", "2024-01-01T00:00:00Z"])["reports"], 1);

    // What is taken back counts no longer.
    dir.run(&["feedback", "undo", "--import", "1"]).ended(0);
    assert_eq!(ask(&[])["messages"], 0);
}

#[test]
fn sources_get_their_names_where_they_are_asked_for() {
    let dir = Dir::new();
    let records = [record("192.0.2.1", 9, true, true, "s1", "x.example")];
    dir.write("one.xml", report("Receiver", "1", now() - DAY, "none", &records));
    dir.run(&["feedback", "read", "one.xml"]).ended(0);
    dir.write("zone", "1.2.0.192.in-addr.arpa. IN PTR out1.x.example.\n");
    let text = |more: &[&str]| {
        dir.run(&[&["domain", "report", "x.example", "--dns-zone", "zone"], more].concat()).ended(0).stdout()
    };
    assert!(!text(&[]).contains("out1"));
    assert!(text(&["--ptr"]).contains("192.0.2.1 out1.x.example"), "{}", text(&["--ptr"]));
}

#[test]
fn the_page_asks_nobody_and_runs_nothing_that_others_wrote() {
    let dir = Dir::new();
    let evil = "&lt;script&gt;alert(1)&lt;/script&gt;&#x202e;";
    let records = [
        record("192.0.2.1", 9, true, true, evil, evil),
        record("198.51.100.66", 3, false, false, "", "x.example"),
    ];
    dir.write("one.xml", report(evil, evil, now() - DAY, "none", &records));
    dir.run(&["feedback", "read", "one.xml"]).ended(0);
    assert_eq!(dir.run(&["domain", "report", "x.example", "--html", "pages/x.html"]).ended(0).stdout(), "");
    let page = fs::read_to_string(dir.path().join("pages/x.html")).unwrap();
    for expected in [
        "<title>x.example</title>",
        "Who sends in the name of the domain",
        "class=\"bar good\"",
        "class=\"bar bad\"",
        "&lt;script&gt;alert(1)&lt;/script&gt;\\u{202e}",
        "Content-Security-Policy",
    ] {
        assert!(page.contains(expected), "{expected} is not in {page}");
    }
    for bad in ["http:", "https:", "<script", "\u{202e}"] {
        assert!(!page.contains(bad), "{bad} is in {page}");
    }
    let text = dir.run(&["domain", "report", "x.example"]).ended(0).stdout();
    assert!(text.contains("\\u{202e}") && !text.contains('\u{202e}'), "{text}");
}

#[test]
fn a_policy_is_tightened_by_what_reports_show() {
    let dir = Dir::new();
    let ask = |policy: &str, more: &[&str]| {
        dir.write("zone", format!("_dmarc.x.example. IN TXT \"{policy}\"\n"));
        let policy = ["domain", "policy", "x.example", "--dns-zone", "zone"];
        dir.run(&[&policy, more].concat()).ended(0).stdout()
    };
    let none = "v=DMARC1; p=none; rua=mailto:dmarc@x.example";
    let early = json(&ask(none, &["--json"]));
    assert_eq!((&early["stage"], &early["ready"]), (&"monitoring".into(), &false.into()));
    read_reports(&dir, "none");
    let due = json(&ask(none, &["--json"]));
    assert_eq!((&due["next"], &due["ready"]), (&"quarantine_test".into(), &true.into()), "{due:#}");
    let record = "v=DMARC1; p=quarantine; sp=reject; np=reject; t=y; rua=mailto:dmarc@x.example";
    assert_eq!(due["record"], record);
    let text = ask(none, &[]);
    assert!(text.contains("The next step is quarantine test, which is due.\n"), "{text}");
    assert!(text.contains(&format!("  _dmarc.x.example. IN TXT \"{record}\"\n")), "{text}");
    assert!(ask(none, &["--pct"]).contains("t=y; pct=0;"));
    // The step has just begun: reports have not seen it yet.
    let begun = ask(record, &[]);
    assert!(
        begun.contains("missing  0 of 7 days") && begun.contains("The record is right for today."),
        "{begun}"
    );
    // A platform that has sent nothing yet.
    dir.write("senders.toml", "[[platform]]\nname = \"Letters\"\nselectors = [\"esp\"]\n");
    assert!(ask(none, &[]).contains("missing  no mail of Letters in the reports"), "{}", ask(none, &[]));
    let several = "v=DMARC1; p=none\"\n_dmarc.x.example. IN TXT \"v=DMARC1; p=reject";
    assert!(ask(several, &[]).contains("2 records at _dmarc.x.example are none: keep one"));
}

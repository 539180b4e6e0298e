//! Straight to the recipients' servers: DNS from a zone file, the MX hosts on loopback addresses.

use std::collections::BTreeMap;

use mailrun::mail::{Class, Disposition};
use mailrun::sandbox::{Options, Tls, record};

use crate::kit::{Dir, Relay};

/// Domains for every situation; the hosts are addresses of this machine.
const ZONE: &str = r#"
$ORIGIN example.
one       IN MX 10 mx1.hosting
two       IN MX 10 mx1.hosting
shared    IN MX 5  mx1.hosting
mx1.hosting IN A 127.0.0.1
own       IN A 127.0.0.1
backup    IN MX 10 dead.hosting
backup    IN MX 20 mx1.hosting
dead.hosting IN A 127.0.0.99
gone      IN MX 10 nowhere.hosting
null      IN MX 0 .
broken    IN TXT "mailrun-fault=servfail"
partner   IN MX 10 dead.hosting
xn--fsq IN MX 10 mx1.hosting
"#;

fn campaign(dir: &Dir, id: &str, port: u16, mx: &str, more: &str) -> String {
    dir.write("letter.hbs", "Hello {{n}}\n");
    dir.write("zone", ZONE);
    let text = format!(
        "[campaign]\nid = \"{id}\"\nwithout-unsubscribe = true\n[sender]\nfrom = \"News <news@mail.example.com>\"\n\
         [target-group]\nfiles = [\"{id}.csv\"]\n[template]\nsubject = \"Number {{{{n}}}}\"\ntext = \"letter.hbs\"\n\
         [delivery]\nroute = \"mx\"\n[delivery.mx]\nport = {port}\nmta-sts = false\nprivate-addresses = true\n{mx}\n\
         [delivery.retry]\nfirst = \"20ms\"\nlongest = \"50ms\"\ngive-up-after = \"1s\"\n\
         [stop]\nbounce-percent = 0\n{more}\n"
    );
    let name = format!("{id}.toml");
    dir.write(&name, text);
    name
}

fn list(dir: &Dir, id: &str, recipients: &[&str]) {
    let rows: String = recipients.iter().enumerate().map(|(n, email)| format!("{email},{n}\n")).collect();
    dir.write(&format!("{id}.csv"), format!("email,n\n{rows}"));
}

#[test]
fn each_domain_s_mail_goes_to_its_hosts_and_each_row_tells_how_it_ended() {
    let dir = Dir::new();
    let taken = dir.path().join("taken.jsonl");
    let relay = Relay::start(Options { record: Some(taken.clone()), ..Options::default() });
    let file = campaign(&dir, "night", relay.port(), "", "");
    let recipients = [
        "a@one.example",
        "b@two.example",
        "c@shared.example",
        "d@own.example",
        "e@backup.example",
        "f@gone.example",
        "g@null.example",
        "h@nosuch.example",
        "i@例.example",
        "rcpt-550@one.example",
    ];
    list(&dir, "night", &recipients);
    dir.run(&["send", &file, "--dns-zone", "zone", "--no-check"]).ended(1);
    let results = dir.results("night");
    let of = |email: &str| results.iter().find(|row| row.email.as_deref() == Some(email)).unwrap();
    for email in ["a@one.example", "b@two.example", "c@shared.example", "e@backup.example", "i@例.example"] {
        let row = of(email);
        assert_eq!(row.disposition, Disposition::Accepted, "{email}: {:?}", row.detail);
        assert_eq!(row.remote_host.as_deref(), Some("mx1.hosting.example"), "{email}");
    }
    assert_eq!(of("d@own.example").remote_host.as_deref(), Some("own.example"), "its address, without an MX");
    let bounced = |email: &str, says: &str| {
        let row = of(email);
        assert_eq!((row.disposition, row.class), (Disposition::Bounced, Some(Class::BadDomain)), "{email}");
        assert_eq!(row.attempts, 0, "{email}: no connection was made");
        assert!(row.detail.as_deref().unwrap().contains(says), "{email}: {:?}", row.detail);
    };
    bounced("f@gone.example", "nowhere.hosting.example");
    bounced("g@null.example", "null MX");
    bounced("h@nosuch.example", "does not exist");
    assert_eq!(of("rcpt-550@one.example").disposition, Disposition::Bounced);
    assert_eq!(record::read(&taken).unwrap().len(), 6);
    // A domain that does not exist, or takes no mail, is not tried by the next campaign; one that
    // is set up wrong is.
    let listed = dir.run(&["suppress", "list"]).ended(0).stdout();
    for (email, on_it) in [("g@null.example", true), ("h@nosuch.example", true), ("f@gone.example", false)] {
        assert_eq!(listed.contains(email), on_it, "{email} in {listed}");
    }
}

#[test]
fn a_domain_that_dns_can_not_tell_of_is_deferred_and_the_others_go_on() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    let file = campaign(&dir, "night", relay.port(), "", "");
    list(&dir, "night", &["a@one.example", "b@broken.example"]);
    dir.run(&["send", &file, "--dns-zone", "zone", "--no-check"]).ended(1);
    let results = dir.results("night");
    assert_eq!(results[0].disposition, Disposition::Accepted);
    assert_eq!((results[1].disposition, results[1].class), (Disposition::Deferred, Some(Class::Network)));
    assert!(results[1].detail.as_deref().unwrap().contains("SERVFAIL"), "{:?}", results[1].detail);
}

#[test]
fn where_tls_is_required_nothing_goes_in_clear() {
    let dir = Dir::new();
    let (clear, secure) = (
        Relay::start(Options { tls: Tls::Off, ..Options::default() }),
        Relay::start(Options { tls: Tls::Offered, ..Options::default() }),
    );
    for (id, port, ends) in [("clear", clear.port(), 1), ("secure", secure.port(), 0)] {
        let file = campaign(&dir, id, port, "tls = \"required\"", "");
        list(&dir, id, &["a@one.example"]);
        dir.run(&["send", &file, "--dns-zone", "zone", "--no-check"]).ended(ends);
    }
    let row = &dir.results("clear")[0];
    assert_eq!(
        (row.disposition, row.class),
        (Disposition::Bounced, Some(Class::TlsRequired)),
        "{:?}",
        row.detail
    );
    assert!(dir.results("secure")[0].tls.is_some());
    assert_eq!(clear.stop().accepted, 0);
}

#[test]
fn a_route_takes_its_domains_to_their_relay_and_an_egress_address_is_named() {
    let dir = Dir::new();
    let (hosts, partner) = (Relay::start(Options::default()), Relay::start(Options::default()));
    let more = format!(
        "[[relay]]\nname = \"partner\"\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\n\
         [[route]]\ndomains = [\"partner.example\"]\nrelay = \"partner\"\n\
         [[egress]]\naddress = \"127.0.0.7\"\nehlo = \"mta7.mail.example.com\"\nrate = \"1000/s\"\n\
         [[egress]]\naddress = \"127.0.0.8\"\nsenders = [\"other.example\"]\n",
        partner.port()
    );
    let file = campaign(&dir, "night", hosts.port(), "", &more);
    list(&dir, "night", &["a@one.example", "b@partner.example", "c@two.example"]);
    dir.run(&["send", &file, "--dns-zone", "zone", "--no-check"]).ended(0);
    let results = dir.results("night");
    assert!(
        results.iter().all(|row| row.local_ip.map(|ip| ip.to_string()).as_deref() == Some("127.0.0.7")),
        "{results:?}"
    );
    assert_eq!((hosts.stop().accepted, partner.stop().accepted), (2, 1));
}

#[test]
fn relays_share_the_mail_and_stand_in_for_each_other() {
    let dir = Dir::new();
    // Slow beside the agreement, so that one connection alone can't take it all.
    let slow = || Options { delay: Some(std::time::Duration::from_millis(20)), ..Options::default() };
    let (one, other) = (Relay::start(slow()), Relay::start(slow()));
    let relay = |name, port| {
        format!(
            "[[relay]]\nname = \"{name}\"\nhost = \"127.0.0.1\"\nport = {port}\ntls = \"none\"\nconnections = 2\n"
        )
    };
    dir.write("letter.hbs", "Hello {{n}}\n");
    let campaign = |id: &str, relays: &str| {
        let text = format!(
            "[campaign]\nid = \"{id}\"\nkind = \"update\"\n[sender]\nfrom = \"news@mail.example.com\"\n[target-group]\nfiles = [\"{id}.csv\"]\n\
             [template]\nsubject = \"x\"\ntext = \"letter.hbs\"\n[capacity]\nper-hour = 3_600_000\n\
             [delivery]\nroute = \"relay\"\n{relays}"
        );
        dir.write(&format!("{id}.toml"), text);
        let rows: String = (0..200).map(|n| format!("r{n}@a.example,{n}\n")).collect();
        dir.write(&format!("{id}.csv"), format!("email,n\n{rows}"));
        dir.run(&["send", &format!("{id}.toml"), "--no-check"]).ended(0);
    };
    campaign("both", &[relay("one", one.port()), relay("other", other.port())].concat());
    assert!(one.stats().accepted > 0 && other.stats().accepted > 0);
    // Port 9 of this machine refuses.
    campaign("left", &[relay("dead", 9), relay("other", other.port())].concat());
    assert_eq!(one.stop().accepted + other.stop().accepted, 400);
}

#[test]
fn a_warm_up_keeps_its_cap_over_runs() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    let more = "[[egress]]\naddress = \"127.0.0.1\"\nwarm-up = { from = 2020-01-01, per-day = [1] }\n\
                [[egress]]\naddress = \"127.0.0.2\"\nwarm-up = { from = 2099-01-01, per-day = [1] }\n";
    // The first address has come through its warm-up, the second has not begun.
    let file = campaign(&dir, "done", relay.port(), "", more);
    list(&dir, "done", &["a@one.example", "b@one.example"]);
    dir.run(&["send", &file, "--dns-zone", "zone", "--no-check"]).ended(0);
    assert!(
        dir.results("done")
            .iter()
            .all(|row| row.local_ip.map(|ip| ip.to_string()).as_deref() == Some("127.0.0.1"))
    );

    let begun = more.rfind("[[egress]]").unwrap();
    let file = campaign(&dir, "early", relay.port(), "", &more[begun..]);
    list(&dir, "early", &["a@one.example"]);
    dir.run(&["send", &file, "--dns-zone", "zone", "--no-check"]).ended(4).says("warm-up");
    let mut counts = BTreeMap::new();
    for row in dir.results("early") {
        *counts.entry(row.disposition.to_string()).or_insert(0) += 1;
    }
    assert_eq!(counts, BTreeMap::from([("not_attempted".to_owned(), 1)]));
}

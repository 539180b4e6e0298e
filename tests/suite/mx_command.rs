//! `mailrun mx`: the way of a domain's mail, from zone files.

use serde_json::Value;

use crate::kit::Dir;

const ZONE: &str = "\
shop.example.   IN MX 10 aspmx.l.google.com.
shop.example.   IN MX 20 alt1.aspmx.l.google.com.
aspmx.l.google.com.      IN A 192.0.2.25
alt1.aspmx.l.google.com. IN AAAA 2001:db8::25
own.example.    IN A 192.0.2.26
dead.example.   IN MX 10 gone.dead.example.
none.example.   IN MX 0 .
broken.example. IN TXT \"mailrun-fault=servfail\"
";

/// A folder with the zone and a campaign that trusts a certificate of its own: machines without any
/// are fine too.
fn dir() -> Dir {
    let dir = Dir::new();
    dir.write("zone", ZONE);
    let certified = rcgen::generate_simple_self_signed(vec!["ca.example".to_owned()]).unwrap();
    dir.write("ca.pem", certified.cert.pem());
    dir.write(
        "c.toml",
        "[campaign]\nid = \"x\"\n[sender]\nfrom = \"a@example.com\"\n[target-group]\nfiles = [\"a.csv\"]\n\
         [template]\nsubject = \"x\"\ntext = \"x\"\n[delivery]\nroute = \"mx\"\n[delivery.mx]\nca-file = \"ca.pem\"\n\
         [[shaping]]\nname = \"google\"\nconnections = 7\n",
    );
    dir
}

#[test]
fn the_way_of_a_domains_mail_is_told() {
    let dir = dir();
    let ran = dir
        .run(&["mx", "shop.example", "own.example", "--campaign", "c.toml", "--dns-zone", "zone"])
        .ended(0);
    let expected = "\
shop.example
  site      aspmx.l.google.com
       10  aspmx.l.google.com       192.0.2.25
       20  alt1.aspmx.l.google.com  2001:db8::25
  provider  google
  limits    7 connections, 50 messages each, 100/s, 100 new connections/min, 5 connections over all its sites
  TLS       required
own.example
  site      own.example (no MX record: the domain itself)
        0  own.example  192.0.2.26
  provider  none
  limits    10 connections, 100 messages each, 100/s, 100 new connections/min
  TLS       opportunistic
";
    assert_eq!(ran.stdout(), expected);
}

#[test]
fn domains_without_a_way_say_why() {
    let dir = dir();
    let domains = ["none.example", "gone.example", "broken.example", "dead.example"];
    let args = [&["mx", "--json", "--campaign", "c.toml", "--dns-zone", "zone"], domains.as_slice()].concat();
    let answer: Value = serde_json::from_str(&dir.run(&args).ended(1).stdout()).unwrap();
    let values = answer["domains"].as_array().unwrap();
    let told: Vec<_> = values[..3].iter().map(|value| (&value["class"], &value["permanent"])).collect();
    let (bad_domain, network) = (Value::from("bad_domain"), Value::from("network"));
    let (yes, no) = (Value::from(true), Value::from(false));
    assert_eq!(told, [(&bad_domain, &yes), (&bad_domain, &yes), (&network, &no)]);
    assert!(values[0]["problem"].as_str().unwrap().contains("null MX"), "{}", values[0]);
    let host = &values[3]["hosts"][0];
    assert!(host["problem"].as_str().unwrap().contains("`gone.dead.example` does not exist"), "{host}");
}

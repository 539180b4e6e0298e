use super::*;
use crate::campaign::MxTls;

fn domain(text: &str) -> Domain {
    Domain::parse(text).unwrap()
}

fn provider<'a>(shaping: &'a Shaping, name: &str, hosts: &[&str]) -> &'a str {
    shaping.of(&domain(name), hosts).provider.as_deref().unwrap_or("-")
}

fn entry(text: &str) -> ShapingEntry {
    toml::from_str(text).unwrap()
}

#[test]
fn providers_are_found_by_all_their_hosts_or_by_the_domain() {
    let shaping = Shaping::default();
    let check = |name: &str, hosts: &[&str], expected: &str| {
        assert_eq!(provider(&shaping, name, hosts), expected, "{name} {hosts:?}");
    };
    check("gmail.com", &["gmail-smtp-in.l.google.com", "alt1.gmail-smtp-in.l.google.com"], "google");
    check("shop.example", &["aspmx.l.google.com", "aspmx2.googlemail.com"], "google");
    check("shop.example", &["aspmx.l.google.com", "mx.shop.example"], "-");
    check("shop.example", &["aspmx.l.notgoogle.com"], "-");
    check("hotmail.com", &["hotmail-com.olc.protection.outlook.com"], "outlook");
    check("shop.example", &["shop-example.mail.protection.outlook.com"], "microsoft365");
    check("shop.example", &["shop-example.x-v1.mx.microsoft"], "microsoft365");
    check("yahoo.com", &["mta5.am0.yahoodns.net", "mta6.am0.yahoodns.net"], "yahoo");
    check("icloud.com", &["mx01.mail.icloud.com", "mx02.mail.icloud.com"], "apple");
    check("orange.fr", &["smtp-in.orange.fr"], "orange");
    check("comcast.net", &["mx1.comcast.net"], "comcast");
    check("shop.example", &["mx1.comcast.net"], "-");
    check("shop.example", &["eu-smtp-inbound-1.mimecast.com", "eu-smtp-inbound-2.mimecast.com"], "mimecast");
    check("gmx.de", &["mx00.emig.gmx.net", "mx01.emig.gmx.net"], "gmx");
    check("web.de", &["mx-ha02.web.de"], "gmx");
    check("example.com", &["mx.example.com"], "-");
    check("example.com", &[], "-");
}

/// The program's own table, written out again.
#[test]
fn the_limits_are_those_of_the_table() {
    let shaping = Shaping::default();
    let check = |name: &str, host: &str, per_connection: u64, connections: usize, tls: TlsDemand| {
        let found = shaping.of(&domain(name), &[host]);
        let limits = (found.messages_per_connection, found.connections, found.tls);
        assert_eq!(limits, (per_connection, connections, tls), "{name}");
    };
    use TlsDemand::{Opportunistic, Required};
    check("gmail.com", "gmail-smtp-in.l.google.com", 50, 5, Required);
    check("yahoo.com", "mta5.am0.yahoodns.net", 20, 10, Opportunistic);
    check("hotmail.com", "hotmail-com.olc.protection.outlook.com", 50, 5, Opportunistic);
    check("a.example", "a-example.mail.protection.outlook.com", 50, 5, Opportunistic);
    check("icloud.com", "mx01.mail.icloud.com", 5, 10, Opportunistic);
    check("comcast.net", "mx1.comcast.net", 1_000, 25, Required);
    check("orange.fr", "smtp-in.orange.fr", 100, 2, Required);
    check("a.example", "eu-smtp-inbound-1.mimecast.com", 100, 10, Opportunistic);
    check("web.de", "mx-ha02.web.de", 20, 4, Required);
    check("a.example", "mx.a.example", 100, 10, Opportunistic);
    let other = shaping.of(&domain("a.example"), &["mx.a.example"]);
    assert_eq!((other.messages_per_second, other.new_connections_per_minute), (Some(100.0), Some(100)));
    let google = shaping.of(&domain("gmail.com"), &["gmail-smtp-in.l.google.com"]);
    assert_eq!((google.provider_connections, google.messages_per_second), (Some(5), Some(100.0)));
}

#[test]
fn a_campaign_overrides_entries_by_their_name() {
    let google = entry("name = \"google\"\nconnections = 40\ntls = \"verified\"");
    let default = entry("name = \"default\"\nmessages-per-second = 7.5");
    let shaping = Shaping::new(&[google, default]).unwrap();
    let found = shaping.of(&domain("gmail.com"), &["gmail-smtp-in.l.google.com"]);
    assert_eq!((found.connections, found.messages_per_connection), (40, 50));
    assert_eq!((found.tls, found.messages_per_second), (TlsDemand::RequiredVerified, Some(7.5)));
    assert_eq!(found.provider.as_deref(), Some("google"));
    let other = shaping.of(&domain("a.example"), &["mx.a.example"]);
    assert_eq!((other.connections, other.messages_per_second), (10, Some(7.5)));
    assert_eq!(other.provider, None);
}

#[test]
fn a_campaign_adds_entries_which_go_first() {
    let own = entry(
        "name = \"ours\"\nmx-suffixes = [\"L.Google.com.\"]\ndomains = [\"Müller.example\"]\nconnections = 1",
    );
    let shaping = Shaping::new(&[own]).unwrap();
    assert_eq!(provider(&shaping, "gmail.com", &["gmail-smtp-in.l.google.com"]), "ours");
    assert_eq!(provider(&shaping, "gmail.com", &["l.google.com"]), "ours");
    assert_eq!(provider(&shaping, "xn--mller-kva.example", &["mx.elsewhere.example"]), "ours");
    assert_eq!(provider(&shaping, "gmail.com", &["smtp.google.com"]), "google");
}

#[test]
fn a_relay_has_the_limits_of_the_campaigns_entries_only() {
    let own = entry(
        "name = \"relay\"\nmx-suffixes = [\"smtp.example.net\"]\nmessages-per-second = 40\ntls = \"required\"",
    );
    let shaping = Shaping::new(&[own]).unwrap();
    assert_eq!(shaping.of_relay("SMTP.example.net").unwrap().messages_per_second, Some(40.0));
    assert_eq!(shaping.of_relay("smtp.google.com"), None);
    assert_eq!(Shaping::default().of_relay("smtp.example.net"), None);
}

#[test]
fn entries_that_can_not_be_meant_are_refused() {
    let nobody = Shaping::new(&[entry("name = \"gogle\"\nconnections = 1")]).unwrap_err();
    assert_eq!(nobody, ShapingError::FitsNobody("gogle".into()));
    assert!(nobody.hint().unwrap().contains("google"));
    let twice = [entry("name = \"google\""), entry("name = \"google\"")];
    assert_eq!(Shaping::new(&twice).unwrap_err(), ShapingError::Twice("google".into()));
    assert_eq!(entry("name = \"x\"\ntls = \"required\"").tls, Some(MxTls::Required));
}

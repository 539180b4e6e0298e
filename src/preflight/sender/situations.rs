//! Zones in, findings out: one line per situation, through a resolver that answers from a zone
//! file.
//!
//! With `MAILRUN_NSD=/usr/sbin/nsd`, a real name server on loopback serves the same zones
//! (`scripts/interop`).

use super::super::finding::{Findings, Level};
use super::*;
use crate::campaign::Dkim;
use crate::dkim::Signer;
use crate::kit::der::{BIT_STRING, INTEGER, SEQUENCE, wrap};

/// A sender with everything it needs. `{rsa}` is replaced with the record of its key.
const GOOD: &str = "\
news.example.com. IN MX 10 mx.example.com.
news.example.com. IN TXT \"v=spf1 ip4:192.0.2.1 -all\"
mx.example.com. IN A 192.0.2.25
mail.example.com. IN A 192.0.2.1
1.2.0.192.in-addr.arpa. IN PTR mail.example.com.
s1._domainkey.news.example.com. IN TXT {rsa}
_dmarc.news.example.com. IN TXT \"v=DMARC1; p=reject; rua=mailto:dmarc@example.com\"
_dmarc.example.com. IN TXT \"v=DMARC1; p=reject; rua=mailto:dmarc@example.com\"
_mta-sts.news.example.com. IN TXT \"v=STSv1; id=1\"
_smtp._tls.news.example.com. IN TXT \"v=TLSRPTv1; rua=mailto:tls@example.com\"
default._bimi.news.example.com. IN TXT \"v=BIMI1; l=https://example.com/l.svg\"
com. IN TXT \"a top-level domain\"
";

/// The sender of a situation.
#[derive(Clone)]
struct Who {
    from: &'static str,
    return_path: &'static str,
    signing: &'static [&'static str],
    egress: &'static str,
    ehlo: &'static str,
    relay: Option<&'static str>,
}

const USUAL: Who = Who {
    from: "news.example.com",
    return_path: "news.example.com",
    signing: &["news.example.com"],
    egress: "192.0.2.1",
    ehlo: "mail.example.com",
    relay: None,
};

fn key_file() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/welcome/keys/test-only-rsa.pem")
}

fn signer(domains: &[&str]) -> Signer {
    let key = |domain: &&str| Dkim {
        domain: domain.parse().unwrap(),
        selector: "s1".into(),
        key: key_file(),
        expires_after: None,
        use_from: None,
        use_until: None,
        headers: Vec::new(),
    };
    Signer::load(&domains.iter().map(key).collect::<Vec<_>>()).unwrap()
}

/// The record of the key as in a zone file: `"…" "…"`.
fn rsa_record() -> String {
    let signer = signer(&["news.example.com"]);
    let record = signer.keys().next().unwrap().public_key_record();
    let (_, strings) =
        zone_line("x", &record).split_once("TXT ").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    strings
}

async fn look(zone: &str, who: &Who) -> Findings {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("zone");
    let zone = zone.replace("{rsa}", &rsa_record());
    std::fs::write(&path, format!("$TTL 300\n{zone}")).unwrap();
    let served = std::env::var_os("MAILRUN_NSD").map(|program| Served::start(&program, folder.path(), &zone));
    let resolver = match &served {
        Some(served) => Resolver::servers(&[served.address]).unwrap(),
        None => Resolver::zone(&path).unwrap_or_else(|error| panic!("{error}:\n{zone}")),
    };
    let (from, return_path) = (who.from.parse().unwrap(), who.return_path.parse().unwrap());
    let signer = signer(who.signing);
    let egress: Vec<Egress> = who
        .egress
        .split_whitespace()
        .map(|ip| Egress {
            address: ip.parse().unwrap(),
            ehlo: (!who.ehlo.is_empty()).then(|| who.ehlo.to_owned()),
        })
        .collect();
    let sender = Sender {
        from: &from,
        return_path: &return_path,
        signer: &signer,
        egress: &egress,
        relays: who.relay.into_iter().collect(),
        message: None,
    };
    let mut findings = Findings::default();
    findings.extend(check(&sender, &resolver).await);
    findings
}

/// A real name server, the NSD that `MAILRUN_NSD` names, with all of DNS in one root zone.
struct Served {
    nsd: std::process::Child,
    address: std::net::SocketAddr,
}

impl Served {
    fn start(program: &std::ffi::OsStr, folder: &std::path::Path, zone: &str) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let root = ". IN SOA ns. hostmaster. 1 3600 600 86400 300\n. IN NS ns.\nns. IN A 127.0.0.1\n";
        std::fs::write(folder.join("root"), format!("$ORIGIN .\n$TTL 300\n{root}{zone}")).unwrap();
        let folder = folder.display();
        let config = format!(
            "server:\n  ip-address: 127.0.0.1@{port}\n  username: \"\"\n  chroot: \"\"\n  zonesdir: \"{folder}\"\n  pidfile: \"\"\n  \
             xfrdfile: \"{folder}/xfrd\"\n  zonelistfile: \"{folder}/list\"\n  logfile: \"{folder}/log\"\n  xfrdir: \"{folder}\"\n\
             remote-control:\n  control-enable: no\nzone:\n  name: \".\"\n  zonefile: root\n"
        );
        let file = format!("{folder}/nsd.conf");
        std::fs::write(&file, config).unwrap();
        let mut nsd = std::process::Command::new(program).args(["-d", "-c", &file]).spawn().unwrap();
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
        // It is ready once it answers a query for the root's NS.
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(address).unwrap();
        socket.set_read_timeout(Some(std::time::Duration::from_millis(100))).unwrap();
        let question = [0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1];
        while socket.send(&question).and_then(|_| socket.recv(&mut [0; 512])).is_err() {
            if let Some(ended) = nsd.try_wait().unwrap() {
                let log = std::fs::read_to_string(format!("{folder}/log")).unwrap_or_default();
                panic!("{} ended with {ended}:\n{log}\n{zone}", program.display());
            }
        }
        Self { nsd, address }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // TERM, so that it ends its children too.
        let ended = std::process::Command::new("kill").arg(self.nsd.id().to_string()).status();
        assert!(ended.is_ok_and(|status| status.success()), "there is a `kill`");
        let _ = self.nsd.wait();
    }
}

fn shown(findings: &Findings) -> Vec<String> {
    let found = findings.iter().filter(|finding| finding.level != Level::Ok);
    found.map(|finding| format!("{} {}", finding.level, finding.id)).collect()
}

/// One situation: the good zone, with the lines that start with the first text replaced with the
/// second, and the expected findings besides `ok`.
async fn situation(what: &str, replaced: &[(&str, &str)], who: Who, expected: &[&str]) {
    let mut zone = GOOD.to_owned();
    for (begin, line) in replaced {
        let mut lines: Vec<&str> = zone.lines().collect();
        if let Some(at) = lines.iter().position(|old| !begin.is_empty() && old.starts_with(begin)) {
            lines[at] = line;
        } else {
            assert!(begin.is_empty(), "{what}: no line begins with `{begin}`");
            lines.push(line);
        }
        zone = lines.join("\n") + "\n";
    }
    let findings = look(&zone, &who).await;
    assert_eq!(shown(&findings), expected, "{what}:\n{findings}");
    for finding in findings.iter().filter(|finding| finding.level > Level::Note) {
        assert!(
            !finding.why.is_empty() && finding.fix.is_some(),
            "{what}: {finding:?} says why and what fixes it"
        );
    }
}

const MX: &str = "news.example.com. IN MX";
const SPF: &str = "news.example.com. IN TXT";
const KEY: &str = "s1._domainkey";
const DMARC: &str = "_dmarc.news";
const ORG: &str = "_dmarc.example.com";
const PTR: &str = "1.2.0.192";
const HOST: &str = "mail.example.com. IN A";

fn spf(record: &str) -> String {
    zone_line("news.example.com", record)
}

fn dmarc(record: &str) -> String {
    format!("_dmarc.news.example.com. IN TXT \"{record}\"")
}

fn key(record: &str) -> String {
    format!("s1._domainkey.news.example.com. IN TXT \"{record}\"")
}

#[tokio::test]
async fn a_good_sender_has_only_ok_findings() {
    situation("the good zone", &[], USUAL, &[]).await;
    let none = &[("_mta-sts", ""), ("_smtp._tls", ""), ("default._bimi", "")];
    situation("nothing that is only noted", none, USUAL, &["note not-published"]).await;
}

#[tokio::test]
async fn domains() {
    let gone: Vec<(&str, &str)> = [MX, SPF, KEY, DMARC, ORG, "_mta-sts", "_smtp._tls", "default._bimi"]
        .iter()
        .map(|line| (*line, ""))
        .collect();
    let nothing = [
        "refused from-domain-missing",
        "refused dkim-missing",
        "warning spf-missing",
        "warning dmarc-missing",
        "note not-published",
    ];
    situation("the From domain does not exist", &gone, USUAL, &nothing).await;
    let null = [(MX, "news.example.com. IN MX 0 .")];
    situation("a null MX", &null, USUAL, &["warning from-null-mx", "warning return-path-null-mx"]).await;
    situation(
        "neither MX nor address",
        &[(MX, "")],
        USUAL,
        &["warning from-no-mx", "warning return-path-no-mx"],
    )
    .await;
    situation("an address instead of an MX", &[(MX, "news.example.com. IN A 192.0.2.80")], USUAL, &[]).await;
    let other = Who { return_path: "bounces.example.com", ..USUAL };
    let found = ["warning return-path-no-mx", "warning spf-missing", "note not-published"];
    situation("the return path's domain does not exist", &[], other, &found).await;
}

#[tokio::test]
async fn dkim_keys() {
    let cut = rsa_record().replace("\" \"", "");
    let p = cut.trim_matches('"').split("p=").nth(1).unwrap().to_owned();
    let p = p.as_str();
    let check = async |what: &str, record: String, expected: &[&str]| {
        situation(what, &[(KEY, &in_strings(&record))], USUAL, expected).await;
    };
    situation("no record", &[(KEY, "")], USUAL, &["refused dkim-missing"]).await;
    situation("something else there", &[(KEY, &key("v=spf1 -all"))], USUAL, &["refused dkim-missing"]).await;
    situation("a revoked key", &[(KEY, &key("v=DKIM1; k=rsa; p="))], USUAL, &["refused dkim-revoked"]).await;
    situation("torn base64", &[(KEY, &key("v=DKIM1; k=rsa; p=MIIB%%"))], USUAL, &["refused dkim-broken"])
        .await;
    situation(
        "v= in second place",
        &[(KEY, &key("k=rsa; v=DKIM1; p=AQID"))],
        USUAL,
        &["refused dkim-broken"],
    )
    .await;
    situation("p= missing", &[(KEY, &key("v=DKIM1; k=rsa"))], USUAL, &["refused dkim-broken"]).await;
    let other = "v=DKIM1; k=ed25519; p=1cAlKlPTekW5vS6aO9jZ00aUF9TZXB7ht3hKrDerO/4=";
    situation("a key of another kind", &[(KEY, &key(other))], USUAL, &["refused dkim-wrong-kind"]).await;
    let another = p.replacen("AQ8A", "AQ8B", 1);
    check("another key", format!("v=DKIM1; k=rsa; p={another}"), &["refused dkim-wrong-key"]).await;
    check(
        "512 bits",
        format!("v=DKIM1; k=rsa; p={}", small_key(512)),
        &["refused dkim-key-too-short", "refused dkim-wrong-key"],
    )
    .await;
    check(
        "1,024 bits",
        format!("v=DKIM1; k=rsa; p={}", small_key(1_024)),
        &["warning dkim-key-short", "refused dkim-wrong-key"],
    )
    .await;
    check("testing", format!("v=DKIM1; k=rsa; t=y; p={p}"), &["warning dkim-testing"]).await;
    check("strict", format!("v=DKIM1; k=rsa; t=s; p={p}"), &[]).await;
    check("SHA-1 only", format!("v=DKIM1; k=rsa; h=sha1; p={p}"), &["refused dkim-hash"]).await;
    check("not for e-mail", format!("v=DKIM1; k=rsa; s=tlsrpt; p={p}"), &["refused dkim-service"]).await;
    check("k= left out", format!("v=DKIM1; p={p}"), &[]).await;
    let second = in_strings(&format!("v=DKIM1; k=rsa; p={}", small_key(2_048)));
    situation("two records", &[("", &second)], USUAL, &["warning dkim-several"]).await;
    let moved = format!(
        "s1._domainkey.news.example.com. IN CNAME s1.esp.example.\n{}",
        in_strings(&format!("v=DKIM1; p={p}")).replace("s1._domainkey.news.example.com.", "s1.esp.example.")
    );
    situation("the key behind a CNAME", &[(KEY, &moved)], USUAL, &[]).await;
    situation("unsigned", &[], Who { signing: &[], ..USUAL }, &["warning dkim-none"]).await;
}

fn in_strings(record: &str) -> String {
    zone_line("s1._domainkey.news.example.com", record)
}

/// A SubjectPublicKeyInfo with a modulus of this many bits.
fn small_key(bits: usize) -> String {
    use base64::prelude::{BASE64_STANDARD, Engine};
    let modulus = [vec![0, 0x80 | 1], vec![7; bits / 8 - 1]].concat();
    let key = wrap(SEQUENCE, &[wrap(INTEGER, &modulus), wrap(INTEGER, &[1, 0, 1])].concat());
    let algorithm =
        [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
    let bits = wrap(BIT_STRING, &[vec![0], key].concat());
    BASE64_STANDARD.encode(wrap(SEQUENCE, &[algorithm.to_vec(), bits].concat()))
}

#[tokio::test]
async fn spf_records() {
    let check = async |what: &str, record: &str, more: &str, expected: &[&str]| {
        situation(what, &[(SPF, &spf(record)), ("", more)], USUAL, expected).await;
    };
    situation("no record", &[(SPF, "")], USUAL, &["warning spf-missing"]).await;
    situation("two records", &[("", &spf("v=spf1 a -all"))], USUAL, &["warning spf-several"]).await;
    check("another address", "v=spf1 ip4:192.0.2.9 -all", "", &["warning spf-fail"]).await;
    check("softfail", "v=spf1 ip4:192.0.2.9 ~all", "", &["warning spf-softfail"]).await;
    check("no end", "v=spf1 ip4:192.0.2.9", "", &["note spf-open", "warning spf-neutral"]).await;
    check("?all", "v=spf1 ip4:192.0.2.1 ?all", "", &["note spf-open"]).await;
    check("anybody", "v=spf1 +all", "", &["warning spf-all"]).await;
    check("ptr", "v=spf1 ptr -all", "", &["warning spf-ptr", "warning spf-fail"]).await;
    check(
        "an include",
        "v=spf1 include:p.example.com -all",
        "p.example.com. IN TXT \"v=spf1 ip4:192.0.2.0/24 -all\"",
        &[],
    )
    .await;
    check(
        "a redirect",
        "v=spf1 redirect=p.example.com",
        "p.example.com. IN TXT \"v=spf1 ip4:192.0.2.0/24 -all\"",
        &[],
    )
    .await;
    let included: String =
        (0..12).map(|n| format!("p{n}.example.com. IN TXT \"v=spf1 ip4:198.51.100.{n} -all\"\n")).collect();
    let includes =
        |count: usize| (0..count).map(|n| format!(" include:p{n}.example.com")).collect::<String>();
    let many = format!("v=spf1{} ip4:192.0.2.1 -all", includes(11));
    check("eleven lookups", &many, &included, &["warning spf-lookups", "warning spf-permerror"]).await;
    let ten = format!("v=spf1{} ip4:192.0.2.1 -all", includes(10));
    check("ten lookups", &ten, &included, &["note spf-lookups-many"]).await;
    check(
        "three void lookups",
        "v=spf1 ip4:192.0.2.1 a:x.example.com a:y.example.com a:z.example.com -all",
        "",
        &["warning spf-void"],
    )
    .await;
    check("two void lookups", "v=spf1 ip4:192.0.2.1 a:x.example.com a:y.example.com -all", "", &[]).await;
    check(
        "a mistyped mechanism",
        "v=spf1 ipv4:192.0.2.1 -all",
        "",
        &["warning spf-unreadable", "warning spf-fail"],
    )
    .await;
    check("no address", "v=spf1 ip4:192.0.2.999 -all", "", &["warning spf-unreadable", "warning spf-fail"])
        .await;
    let relay = Who { egress: "", relay: Some("mail.example.com"), ..USUAL };
    situation("the relay's address is named", &[], relay.clone(), &[]).await;
    situation(
        "the relay's address is not named",
        &[(SPF, &spf("v=spf1 ip4:192.0.2.9 -all"))],
        relay,
        &["warning spf-fail"],
    )
    .await;
}

#[tokio::test]
async fn dmarc_policies() {
    let check = async |what: &str, record: &str, expected: &[&str]| {
        situation(what, &[(DMARC, &dmarc(record))], USUAL, expected).await;
    };
    let rua = "rua=mailto:dmarc@example.com";
    situation("no record", &[(DMARC, ""), (ORG, "")], USUAL, &["warning dmarc-missing"]).await;
    situation("two records", &[("", &dmarc("v=DMARC1; p=none"))], USUAL, &["warning dmarc-several"]).await;
    let above = format!("_dmarc.example.com. IN TXT \"v=DMARC1; p=reject; sp=quarantine; {rua}\"");
    situation("the organization's record", &[(DMARC, ""), (ORG, &above)], USUAL, &[]).await;
    check("p=none", &format!("v=DMARC1; p=none; {rua}"), &["note dmarc-policy-none"]).await;
    check("only tested", &format!("v=DMARC1; p=reject; t=y; {rua}"), &["note dmarc-testing"]).await;
    check(
        "legacy tags",
        &format!("v=DMARC1; p=reject; pct=50; rf=afrf; ri=3600; {rua}"),
        &["warning dmarc-legacy-tags"],
    )
    .await;
    check(
        "a mistyped policy",
        &format!("v=DMARC1; p=rejct; {rua}"),
        &["note dmarc-policy-none", "warning dmarc-unreadable"],
    )
    .await;
    check("no reports", "v=DMARC1; p=reject", &["note dmarc-no-reports"]).await;
    check(
        "reports to no address",
        "v=DMARC1; p=reject; rua=https://example.com",
        &["warning dmarc-rua-unreadable"],
    )
    .await;
    check(
        "reports to others",
        "v=DMARC1; p=reject; rua=mailto:a@reports.example.net",
        &["warning dmarc-rua-unauthorised"],
    )
    .await;
    let agreed = "news.example.com._report._dmarc.reports.example.net. IN TXT \"v=DMARC1\"";
    let others = dmarc("v=DMARC1; p=reject; rua=mailto:a@reports.example.net");
    situation("reports to others who agreed", &[(DMARC, &others), ("", agreed)], USUAL, &[]).await;
    let bank = "_dmarc.com. IN TXT \"v=DMARC1; p=reject; psd=y; rua=mailto:a@nic.com\"";
    situation(
        "the public suffix's record",
        &[(DMARC, ""), (ORG, bank)],
        USUAL,
        &["warning dmarc-rua-unauthorised", "note dmarc-rfcs-differ"],
    )
    .await;
    let np = format!("_dmarc.example.com. IN TXT \"v=DMARC1; p=none; np=reject; {rua}\"");
    situation("np= is for others", &[(DMARC, ""), (ORG, &np)], USUAL, &["note dmarc-policy-none"]).await;
}

#[tokio::test]
async fn dmarc_alignment() {
    let organization = "_dmarc.example.com. IN TXT \"v=DMARC1; p=reject; rua=mailto:d@example.com\"";
    let bounces = "bounces.example.com. IN MX 10 mx.example.com.\nbounces.example.com. IN TXT \"v=spf1 ip4:192.0.2.1 -all\"\n\
        _mta-sts.bounces.example.com. IN TXT \"v=STSv1; id=1\"\n_smtp._tls.bounces.example.com. IN TXT \"v=TLSRPTv1; rua=mailto:t@example.com\"";
    let relaxed = Who { return_path: "bounces.example.com", ..USUAL };
    situation("relaxed alignment", &[(DMARC, ""), (ORG, organization), ("", bounces)], relaxed.clone(), &[])
        .await;
    let strict = organization.replace("p=reject", "p=reject; aspf=s");
    situation(
        "strict SPF alignment",
        &[(DMARC, ""), (ORG, &strict), ("", bounces)],
        relaxed,
        &["note dmarc-spf-unaligned"],
    )
    .await;
    let key = format!("s1._domainkey.example.com. IN TXT {}", rsa_record());
    let above = Who { signing: &["example.com"], ..USUAL };
    situation(
        "signed by the organization",
        &[(DMARC, ""), (ORG, organization), ("", &key)],
        above.clone(),
        &[],
    )
    .await;
    let strict = organization.replace("p=reject", "p=reject; adkim=s");
    situation(
        "strict DKIM alignment",
        &[(DMARC, ""), (ORG, &strict), ("", &key)],
        above,
        &["warning dmarc-dkim-unaligned"],
    )
    .await;
    let foreign = format!(
        "s1._domainkey.esp.example.net. IN TXT {}\n{}",
        rsa_record(),
        bounces.replace("bounces.example.com", "esp.example.net")
    );
    let other = Who { signing: &["esp.example.net"], return_path: "esp.example.net", ..USUAL };
    let nothing = ["warning dmarc-dkim-unaligned", "warning dmarc-spf-unaligned", "refused dmarc-unaligned"];
    situation("nothing aligns", &[("", &foreign)], other, &nothing).await;
}

#[tokio::test]
async fn addresses() {
    situation("no PTR", &[(PTR, "")], USUAL, &["warning ptr-missing"]).await;
    let away = [(PTR, "1.2.0.192.in-addr.arpa. IN PTR other.example.com.")];
    situation("a PTR that leads nowhere", &away, USUAL, &["warning ptr-not-forward"]).await;
    let moved = [(HOST, "mail.example.com. IN A 192.0.2.2")];
    situation(
        "a forward record for another address",
        &moved,
        USUAL,
        &["warning ptr-not-forward", "warning ehlo-not-forward"],
    )
    .await;
    situation(
        "another EHLO name",
        &[],
        Who { ehlo: "mx.example.com", ..USUAL },
        &["warning ehlo-not-forward"],
    )
    .await;
    let six = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. IN PTR mail.example.com.\nmail.example.com. IN AAAA 2001:db8::1";
    let both = Who { egress: "192.0.2.1 2001:db8::1", ..USUAL };
    let named = spf("v=spf1 ip4:192.0.2.1 ip6:2001:db8::1 -all");
    situation("IPv6 too", &[("", six), (SPF, &named)], both.clone(), &[]).await;
    situation("IPv6 that SPF does not name", &[("", six)], both, &["warning spf-fail"]).await;
}

#[tokio::test]
async fn each_dns_failure_has_its_own_finding() {
    if std::env::var_os("MAILRUN_NSD").is_some() {
        println!("not run: a real server does not fail on demand");
        return;
    }
    let fault = |what: &str| format!("s1._domainkey.news.example.com. IN TXT \"mailrun-fault={what}\"");
    situation("SERVFAIL for the key", &[(KEY, &fault("servfail"))], USUAL, &["warning dns-servfail"]).await;
    situation("refused for the key", &[(KEY, &fault("refused"))], USUAL, &["warning dns-refused"]).await;
    let spf = format!("{SPF} \"mailrun-fault=servfail\"");
    // The whole name fails, and with it From, return path and SPF.
    situation("SERVFAIL for the domain", &[(SPF, &spf)], USUAL, &["warning dns-servfail"; 4][..]).await;
}

#[tokio::test]
async fn no_dns_at_all_is_a_warning_of_its_own() {
    // The socket is closed again, so nobody listens there.
    let address = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let resolver = Resolver::servers(&[address]).unwrap();
    let (domain, signer) = ("news.example.com".parse().unwrap(), signer(&["news.example.com"]));
    let sender = Sender {
        from: &domain,
        return_path: &domain,
        signer: &signer,
        egress: &[],
        relays: Vec::new(),
        message: None,
    };
    let mut findings = Findings::default();
    findings.extend(check(&sender, &resolver).await);
    assert_eq!(shown(&findings), ["warning no-dns"]);
    assert!(findings.refuse(true) && !findings.refuse(false), "it refuses only with --strict");
}

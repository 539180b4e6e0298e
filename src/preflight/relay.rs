//! The relay: whether it answers, whether its TLS works, and how long its certificate is valid.
//!
//! Connects, says EHLO and QUIT. Never logs in and never sends mail.

use super::finding::{Finding, Id};
use crate::kit::der::element;
use crate::kit::text::counted;
use crate::mail::Timestamp;
use crate::smtp::{Concern, ConnectError, Target, probe};

/// A certificate that expires sooner is a warning.
const WARN_DAYS: i64 = 14;

/// Checks the relay at `target`; its own name, where it has one, tells it from others of one host.
/// `now` is compared with the end of its certificate.
pub(crate) async fn check(name: Option<&str>, target: &Target, now: Timestamp) -> Vec<Finding> {
    let host = &target.host;
    let relay = match name {
        Some(name) => format!("the relay `{name}` at `{host}`"),
        None => format!("the relay `{host}`"),
    };
    match probe(target).await {
        Err(error) => vec![failed(&relay, &error)],
        Ok(probe) => {
            let how = probe.tls.as_deref().unwrap_or("without TLS");
            let seen = format!("{relay} ({}) answers, {how}", probe.remote_ip);
            let mut findings = vec![Finding::new(Id::Relay, seen)];
            if probe.tls.is_none() && !probe.remote_ip.is_loopback() {
                let seen = format!("mail goes to {relay} without TLS");
                findings
                    .push(Finding::new(Id::RelayInClear, seen).fix("[delivery.relay]\ntls = \"required\""));
            }
            if let Some(end) = probe.certificate.as_deref().and_then(not_after) {
                findings.push(expiry(host, end, now));
            }
            findings
        }
    }
}

fn failed(relay: &str, error: &ConnectError) -> Finding {
    let seen = format!("{relay}: {error}");
    let (id, fix) = match error.concern() {
        Concern::Tls => {
            (Id::RelayTls, "write `host` as in the relay's certificate, or name its authority in `ca-file`")
        }
        Concern::Site | Concern::Auth | Concern::Protocol | Concern::Machine => {
            (Id::RelayUnreachable, "check `host`, `port` and `tls` in [delivery.relay]")
        }
    };
    Finding::new(id, seen).fix(fix)
}

fn expiry(host: &str, end: Timestamp, now: Timestamp) -> Finding {
    let days = (end.seconds() - now.seconds()).div_euclid(86_400);
    if days >= WARN_DAYS {
        return Finding::new(
            Id::RelayCertificate,
            format!("the certificate of `{host}` is valid until {end}"),
        );
    }
    let seen = match days {
        ..0 => format!("the certificate of `{host}` expired at {end}"),
        0 => format!("the certificate of `{host}` expires at {end}: in less than a day"),
        days => {
            let days = counted(days.unsigned_abs(), "day", "days");
            format!("the certificate of `{host}` expires at {end}: in {days}")
        }
    };
    Finding::new(Id::RelayCertificateEnds, seen).fix("have the relay's certificate renewed")
}

/// The end of a certificate (RFC 5280 §4.1.2.5): just enough DER to find it.
fn not_after(certificate: &[u8]) -> Option<Timestamp> {
    let (_, certificate, _) = element(certificate)?;
    let (_, mut fields, _) = element(certificate)?;
    // [0] version where it is given, serial number, algorithm, issuer; then the validity.
    if fields.first() == Some(&0xa0) {
        fields = element(fields)?.2;
    }
    for _ in 0..3 {
        fields = element(fields)?.2;
    }
    let (_, validity, _) = element(fields)?;
    let (_, _, rest) = element(validity)?;
    let (tag, text, _) = element(rest)?;
    let text = std::str::from_utf8(text).ok()?;
    let text = match tag {
        // UTCTime: years from 50 on are of the last century.
        0x17 => format!("{}{text}", if text.get(..2)? >= "50" { "19" } else { "20" }),
        0x18 => text.to_owned(),
        _ => return None,
    };
    let end = chrono::NaiveDateTime::parse_from_str(&text, "%Y%m%d%H%M%SZ").ok()?;
    Some(Timestamp(end.and_utc().timestamp_micros()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::finding::Level;
    use super::*;
    use crate::campaign::{RelayTls, Timeouts};
    use crate::sandbox::{Options, Sandbox};
    use crate::smtp::Security;

    fn certificate(until: (i32, u8, u8)) -> Vec<u8> {
        let mut params = rcgen::CertificateParams::new(vec!["relay.example".into()]).unwrap();
        params.not_after = rcgen::date_time_ymd(until.0, until.1, until.2);
        let key = rcgen::KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn the_end_of_a_certificate() {
        let check = |until, expected: &str| {
            assert!(not_after(&certificate(until)).unwrap().to_string().starts_with(expected), "{expected}");
        };
        check((2027, 3, 9), "2027-03-09");
        check((2049, 12, 31), "2049-12-31");
        check((2060, 1, 2), "2060-01-02");
        let whole = certificate((2027, 3, 9));
        for cut in 0..whole.len().min(200) {
            let _ = not_after(&whole[..cut]);
        }
        assert_eq!(not_after(b"nonsense"), None);
    }

    #[test]
    fn a_certificate_that_ends_soon_is_a_warning() {
        let now = Timestamp(1_780_056_000_000_000);
        let check = |days: u64, level| {
            let end = now + Duration::from_secs(days * 86_400 + 60);
            assert_eq!(expiry("h", end, now).level, level, "{days} days");
        };
        check(15, Level::Ok);
        check(14, Level::Ok);
        check(13, Level::Warning);
        assert_eq!(expiry("h", now - Duration::from_secs(1), now).level, Level::Warning);
    }

    async fn look(addresses: Vec<std::net::SocketAddr>, tls: RelayTls) -> Vec<(Level, &'static str)> {
        let target = Target {
            host: "localhost".into(),
            addresses,
            local_ip: None,
            ehlo: "client.example".parse().unwrap(),
            security: Security::new(tls, None).unwrap_or(Security::None),
            credentials: None,
            timeouts: Timeouts::default(),
            extensions: crate::smtp::Extensions::default(),
            secrets: crate::smtp::Secrets::default(),
        };
        let found = check(Some("partner"), &target, Timestamp::wall()).await;
        assert!(found[0].seen.starts_with("the relay `partner` at `localhost`"), "{}", found[0].seen);
        found.iter().map(|f| (f.level, f.id.as_str())).collect()
    }

    #[tokio::test]
    async fn a_relay_that_answers_and_one_that_does_not() {
        let sandbox = Sandbox::start(Options::default()).await.unwrap();
        let here = vec![sandbox.addr()];
        assert_eq!(look(here.clone(), RelayTls::None).await, [(Level::Ok, "relay")]);
        let found = look(here.clone(), RelayTls::Opportunistic).await;
        assert_eq!(found[0], (Level::Ok, "relay"));
        assert!(found[1].1.starts_with("relay-certificate"), "{found:?}");
        sandbox.stop().await;
        assert_eq!(look(here, RelayTls::None).await, [(Level::Warning, "relay-unreachable")]);
        assert_eq!(look(Vec::new(), RelayTls::None).await, [(Level::Warning, "relay-unreachable")]);
    }
}

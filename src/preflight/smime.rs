//! The certificate that signs the content: what mail programs will look at when they verify.

use std::time::Duration;

use super::finding::{Finding, Id};
use crate::campaign::Campaign;
use crate::dkim::Signer;
use crate::mail::Timestamp;
use crate::smime::{self, Certificate, ChainEnd};

/// A certificate that ends earlier is worth a warning: a new one takes days.
const SOON: Duration = Duration::from_secs(30 * 86_400);

/// Looks at the certificate of `signer`; nothing where it has none.
pub(crate) fn check(campaign: &Campaign, signer: &Signer, now: Timestamp) -> Vec<Finding> {
    let Some(smime) = signer.smime() else { return Vec::new() };
    let own = smime.certificate();
    let mut findings: Vec<Finding> = [address(campaign, own), usage(own)].into_iter().flatten().collect();
    findings.extend(dates(smime, now));
    findings.extend(chain(smime));
    if findings.is_empty() {
        let (subject, until) = (&own.subject, own.not_after.to_utc().date_naive());
        findings.push(Finding::new(Id::Smime, format!("the certificate of `{subject}` signs until {until}")));
    }
    findings
}

/// RFC 8550 §3: the address of the certificate is that of From, letter case aside.
fn address(campaign: &Campaign, own: &Certificate) -> Option<Finding> {
    let from = campaign.sender.from.address.to_string();
    if own.addresses.iter().any(|address| address.eq_ignore_ascii_case(&from)) {
        return None;
    }
    let seen = match own.addresses.as_slice() {
        [] => format!("the certificate of `{}` has no address, and From is `{from}`", own.subject),
        addresses => format!("the certificate is for `{}`, and From is `{from}`", addresses.join("`, `")),
    };
    Some(Finding::new(Id::SmimeAddress, seen).fix("use the certificate of the address in `[sender] from`"))
}

/// RFC 8550 §4.4.2 and §4.4.4.
fn usage(own: &Certificate) -> Option<Finding> {
    let seen = match (own.is_authority, own.may_sign, own.is_for_mail) {
        (false, true, true) => return None,
        (true, ..) => "it is that of an authority",
        (_, false, _) => "its key usage has neither `digitalSignature` nor `nonRepudiation`",
        (.., false) => "its extended key usage has no `emailProtection`",
    };
    let seen = format!("the certificate of `{}` is not for signing mail: {seen}", own.subject);
    Some(Finding::new(Id::SmimeUsage, seen).fix("order an S/MIME certificate from an authority"))
}

fn dates(smime: &smime::Signer, now: Timestamp) -> Option<Finding> {
    let certificates = || std::iter::once(smime.certificate()).chain(smime.intermediates());
    let day = |at: Timestamp| at.to_utc().date_naive();
    if let Some(bad) = certificates().find(|certificate| !certificate.is_valid_at(now)) {
        let span = format!("valid from {} to {}", day(bad.not_before), day(bad.not_after));
        let seen = format!("the certificate of `{}` is {span}, not now", bad.subject);
        return Some(Finding::new(Id::SmimeDates, seen).worse_if(true).fix("use one that is valid"));
    }
    let soon = certificates().find(|certificate| certificate.not_after < now + SOON)?;
    let seen = format!("the certificate of `{}` ends on {}", soon.subject, day(soon.not_after));
    let fix = "order the next one, and let it take over with `use-from` and `use-until`";
    Some(Finding::new(Id::SmimeDates, seen).fix(fix))
}

fn chain(smime: &smime::Signer) -> Option<Finding> {
    let (own, strays) = (smime.certificate(), smime.strays());
    let not_authority = smime.intermediates().iter().find(|certificate| !certificate.is_authority);
    let (seen, forged) = match (smime.chain_end(), not_authority) {
        (_, Some(certificate)) => (format!("`{}` in the chain is no authority", certificate.subject), true),
        (ChainEnd::Forged(issuer), None) => {
            (format!("the certificate of `{issuer}` in the files did not sign the one below it"), true)
        }
        (ChainEnd::SelfSigned, None) => (
            format!("the certificate of `{}` is signed by itself: nobody vouches for it", own.subject),
            false,
        ),
        (ChainEnd::Issuer(issuer), None) if smime.intermediates().is_empty() => {
            (format!("the certificate of `{issuer}`, which issued it, is not in the files"), false)
        }
        (ChainEnd::Root(_) | ChainEnd::Issuer(_), None) if strays > 0 => (
            format!("{strays} of the certificates in the files do not belong to the chain, and are not sent"),
            false,
        ),
        (ChainEnd::Root(_) | ChainEnd::Issuer(_), None) => return None,
    };
    let fix = "name the file with the authority's intermediate certificates in `chain`";
    Some(Finding::new(Id::SmimeChain, seen).worse_if(forged).fix(fix))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::finding::Level;
    use super::*;

    const FROM: &str = "Example News <news@mail.example.com>";

    fn campaign(from: &str, files: &str) -> Campaign {
        let text = format!(
            "[campaign]\nid = \"x\"\n[sender]\nfrom = \"{from}\"\n[target-group]\nfiles = [\"a.csv\"]\n\
             [template]\nsubject = \"x\"\ntext = \"a.hbs\"\n[delivery]\nroute = \"mx\"\n[smime]\n{files}"
        );
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/smime/test-keys/campaign.toml");
        Campaign::parse(&text, &folder).unwrap()
    }

    #[track_caller]
    fn sees(from: &str, files: &str, on: &str, expected: &[(Id, Level, &str)]) {
        let campaign = campaign(from, files);
        let smime = smime::Signer::load(&campaign.smime.0[0], None).unwrap();
        let signer = Signer::load(&[]).unwrap().over(Some(smime));
        let now = format!("{on}T12:00:00Z").parse::<chrono::DateTime<chrono::Utc>>().unwrap();
        let found = check(&campaign, &signer, Timestamp(now.timestamp_micros()));
        let seen: Vec<_> = found.iter().map(|finding| (finding.id, finding.level)).collect();
        let ids: Vec<_> = expected.iter().map(|(id, level, _)| (*id, *level)).collect();
        assert_eq!(seen, ids, "{found:?}");
        for (finding, (_, level, text)) in found.iter().zip(expected) {
            assert!(finding.seen.contains(text), "{finding:?}");
            assert!(*level == Level::Ok || finding.fix.is_some() && !finding.why.is_empty(), "{finding:?}");
        }
    }

    const RSA: &str = "certificate = \"rsa.pem\"\nkey = \"rsa.key\"\n";

    #[test]
    fn a_certificate_with_everything_it_needs() {
        let good = [(Id::Smime, Level::Ok, "`CN=Example News` signs until 2120-01-01")];
        sees(FROM, &format!("{RSA}chain = \"chain.pem\""), "2026-11-29", &good);
        sees(FROM, &format!("{RSA}chain = \"intermediate.pem\""), "2026-11-29", &good);
        let ec = "certificate = \"ec.pem\"\nkey = \"ec.key\"\nchain = \"chain.pem\"";
        sees(FROM, ec, "2026-11-29", &good);
    }

    #[test]
    fn what_mail_programs_will_mind() {
        let chain = format!("{RSA}chain = \"chain.pem\"");
        let address =
            [(Id::SmimeAddress, Level::Refused, "is for `News@mail.example.com`, and From is `b@x.example`")];
        sees("b@x.example", &chain, "2026-11-29", &address);
        sees(FROM, &chain, "2119-12-20", &[(Id::SmimeDates, Level::Warning, "ends on 2120-01-01")]);
        sees(
            FROM,
            &chain,
            "2019-12-20",
            &[(Id::SmimeDates, Level::Refused, "valid from 2020-01-01 to 2120-01-01, not now")],
        );
        let gap = [(
            Id::SmimeChain,
            Level::Warning,
            "`CN=Test intermediate`, which issued it, is not in the files",
        )];
        sees(FROM, RSA, "2026-11-29", &gap);
        let strays = [(Id::SmimeChain, Level::Warning, "1 of the certificates in the files")];
        sees(FROM, &format!("{chain}\n").replace("chain.pem", "with-stray.pem"), "2026-11-29", &strays);
        let server = "certificate = \"server.pem\"\nkey = \"server.key\"\nchain = \"root.pem\"";
        let all = [
            (Id::SmimeAddress, Level::Refused, "has no address"),
            (Id::SmimeUsage, Level::Refused, "its key usage has neither"),
            (Id::SmimeDates, Level::Refused, "not now"),
        ];
        sees(FROM, server, "2026-11-29", &all);
        let forged = server.replace("root", "other-root");
        let last =
            [&all[..], &[(Id::SmimeChain, Level::Refused, "`CN=Test root` in the files did not sign")]]
                .concat();
        sees(FROM, &forged, "2026-11-29", &last);
        let own = "certificate = \"self.pem\"\nkey = \"self.key\"";
        sees(FROM, own, "2026-11-29", &[(Id::SmimeChain, Level::Warning, "signed by itself")]);
    }
}

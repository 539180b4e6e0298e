//! The criteria of the Certified Senders Alliance (certified-senders.org) that a program can see,
//! for senders with `[sender] csa = true`. The imprint is looked for in the messages themselves.

use super::finding::{Finding, Id};
use crate::campaign::{Campaign, Kind, RouteKind};
use crate::dkim::Signer;

/// The shortest RSA key that the criteria allow.
const LEAST_BITS: usize = 1_024;

/// Findings that show that SPF is not right.
const SPF_WRONG: [Id; 13] = [
    Id::SpfMissing,
    Id::SpfSeveral,
    Id::SpfAll,
    Id::SpfOpen,
    Id::SpfUnreadable,
    Id::SpfLookups,
    Id::SpfVoid,
    Id::SpfFail,
    Id::SpfSoftfail,
    Id::SpfNeutral,
    Id::SpfNone,
    Id::SpfPermerror,
    Id::SpfTemperror,
];

/// What breaks a criterion, one finding each. `looked_up` are the findings about the sender's
/// records; `None` where DNS was not asked.
pub(crate) fn check(campaign: &Campaign, signer: &Signer, looked_up: Option<&[Finding]>) -> Vec<Finding> {
    if !campaign.sender.csa {
        return Vec::new();
    }
    let mut findings = Vec::new();
    if signer.keys().next().is_none() {
        findings.push(
            Finding::new(
                Id::CsaComplaints,
                "X-CSA-Complaints must be signed, and the campaign has no DKIM key",
            )
            .fix("[[dkim]] with a key; the field is then signed"),
        );
    }
    let one_click = campaign.unsubscribe.as_ref().is_some_and(|unsubscribe| unsubscribe.https.is_some());
    if campaign.identity.kind == Kind::News && !one_click {
        findings.push(
            Finding::new(
                Id::CsaListUnsubscribe,
                "a newsletter must have List-Unsubscribe with One-Click (RFC 8058)",
            )
            .fix("[unsubscribe]\nhttps = \"https://…/{{token}}\""),
        );
    }
    if !signer.keys().any(|key| key.rsa_bits().is_some_and(|bits| bits >= LEAST_BITS)) {
        findings.push(
            Finding::new(
                Id::CsaDkim,
                "messages must have a DKIM signature by an RSA key of at least 1,024 bits",
            )
            .fix("mailrun dkim generate --domain DOMAIN --selector SELECTOR"),
        );
    }
    if let Some(looked_up) = looked_up {
        findings.extend(spf(looked_up));
        findings.extend(reverse_dns(campaign, looked_up));
    }
    if findings.is_empty() {
        findings.push(Finding::new(Id::Csa, "the CSA criteria that DNS and the header show are met"));
    }
    findings
}

/// SPF must be published for the return path, name the sending addresses and shut others out.
fn spf(looked_up: &[Finding]) -> Option<Finding> {
    let wrong = looked_up.iter().find(|finding| SPF_WRONG.contains(&finding.id));
    let is_published = looked_up.iter().any(|finding| matches!(finding.id, Id::Spf | Id::SpfPass));
    if wrong.is_none() && is_published {
        return None;
    }
    let seen = wrong.map_or("it could not be looked up", |wrong| wrong.seen.as_str());
    let finding = Finding::new(Id::CsaSpf, format!("SPF must be right: {seen}"));
    Some(match wrong.and_then(|wrong| wrong.fix.clone()) {
        Some(fix) => finding.fix(fix),
        None => finding,
    })
}

/// Every address that mail leaves from must have a name that resolves back to it. Those of a relay
/// are its own business.
fn reverse_dns(campaign: &Campaign, looked_up: &[Finding]) -> Option<Finding> {
    match campaign.delivery.route {
        RouteKind::Mx => {}
        RouteKind::Relay | RouteKind::Sandbox | RouteKind::Bsmtp => return None,
    }
    let wrong = looked_up.iter().find(|finding| matches!(finding.id, Id::PtrMissing | Id::PtrNotForward));
    let addresses = campaign.egress().count();
    let right = looked_up.iter().filter(|finding| finding.id == Id::Ptr).count();
    match wrong {
        Some(wrong) => {
            let finding = Finding::new(Id::CsaPtr, format!("reverse DNS must be right: {}", wrong.seen));
            Some(finding.fix(wrong.fix.clone().unwrap_or_default()))
        }
        None if addresses > 0 && right >= addresses => None,
        None if addresses > 0 => {
            Some(Finding::new(Id::CsaPtr, "reverse DNS must be right, and it could not be looked up"))
        }
        None => Some(
            Finding::new(
                Id::CsaPtr,
                "reverse DNS must be right, and the addresses that mail leaves from are not known",
            )
            .fix("[[egress]] with each `address` that mail leaves from"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Level;
    use super::*;

    fn campaign(more: &str) -> Campaign {
        let text = format!(
            "[campaign]\nid = \"x\"\n[sender]\nfrom = \"a@example.com\"\ncsa = true\n[target-group]\nfiles = [\"a.csv\"]\n\
             [template]\nsubject = \"x\"\ntext = \"a.hbs\"\n[delivery]\nroute = \"mx\"\n{more}\n"
        );
        Campaign::parse(&text, Path::new("campaign.toml")).unwrap()
    }

    fn ids(campaign: &Campaign, signer: &Signer, looked_up: Option<&[Finding]>) -> Vec<&'static str> {
        check(campaign, signer, looked_up).iter().map(|finding| finding.id.as_str()).collect()
    }

    const GOOD: &str =
        "[unsubscribe]\nhttps = \"https://e.example/{{token}}\"\n[[egress]]\naddress = \"192.0.2.1\"";

    #[test]
    fn each_criterion_that_is_broken_is_a_finding_of_its_own() {
        let nobody = Signer::load(&[]).unwrap();
        let bare = campaign("");
        let without_keys = ["csa-complaints", "csa-list-unsubscribe", "csa-dkim"];
        assert_eq!(ids(&bare, &nobody, None), without_keys);
        assert_eq!(ids(&bare, &nobody, Some(&[])), [&without_keys[..], &["csa-spf", "csa-ptr"]].concat());
        let found =
            [Finding::new(Id::SpfFail, "SPF fails for 192.0.2.1"), Finding::new(Id::PtrMissing, "no PTR")];
        let broken = check(&campaign(GOOD), &nobody, Some(&found));
        assert!(broken.iter().any(|finding| finding.seen == "SPF must be right: SPF fails for 192.0.2.1"));
        assert!(
            broken.iter().all(|finding| finding.level == Level::Warning && finding.why.contains("Certified"))
        );
        let failed = check(&campaign(GOOD), &nobody, Some(&[Finding::new(Id::Spf, "published")]));
        assert!(
            failed
                .iter()
                .any(|finding| finding.seen.contains("could not be looked up") && finding.fix.is_none()),
            "{failed:?}"
        );
        let mut without = campaign("");
        without.sender.csa = false;
        assert!(ids(&without, &nobody, Some(&[])).is_empty());
    }

    #[test]
    fn a_sender_that_meets_them_all_has_one_finding_that_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("s1.pem");
        std::fs::copy(
            Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/welcome/keys/test-only-rsa.pem"),
            &key,
        )
        .unwrap();
        let mut good = campaign(&format!(
            "{GOOD}\n[[dkim]]\ndomain = \"example.com\"\nselector = \"s1\"\nkey = {key:?}"
        ));
        let signer = Signer::load(&good.dkim).unwrap();
        let right = [Finding::new(Id::Spf, "published"), Finding::new(Id::Ptr, "and back")];
        assert_eq!(ids(&good, &signer, Some(&right)), ["csa"]);
        good.delivery.route = RouteKind::Relay;
        assert_eq!(
            ids(&good, &signer, Some(&right[..1])),
            ["csa"],
            "a relay's addresses are its own business"
        );
    }
}

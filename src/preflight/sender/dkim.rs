//! The DKIM records in DNS, compared with the keys that sign (RFC 6376 §3.6, RFC 8301, RFC 8463).

use base64::prelude::{BASE64_STANDARD, Engine};

use super::super::finding::{Finding, Id, Level};
use super::records::{tags, txt, unanswered, zone_line};
use crate::dkim::{Key, Signer, published_rsa_bits};
use crate::route::Resolver;

/// Verifiers reject shorter RSA keys (RFC 8301 §3.2).
const LEAST_BITS: usize = 1_024;
/// The recommended length (RFC 8301 §3.2; Google requires it).
const ADVISED_BITS: usize = 2_048;

/// A DKIM record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PublishedKey {
    /// `k=` in lower case; `rsa` by default.
    pub kind: String,
    /// `p=`, decoded. Never empty.
    pub key: Vec<u8>,
    /// `t=y`: the domain is testing DKIM.
    pub testing: bool,
    /// `t=s`: `i=` must be `d=` itself.
    pub strict: bool,
    /// `h=` does not allow SHA-256.
    pub without_sha256: bool,
    /// `s=` does not allow e-mail.
    pub without_email: bool,
}

/// Why a TXT record is not a usable key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RecordProblem {
    /// It is about something else.
    #[error("it is not a DKIM record")]
    Foreign,
    /// It is malformed.
    #[error("it can't be parsed: {0}")]
    Broken(String),
    /// `p=` is empty: the key is revoked.
    #[error("the key is revoked: `p=` is empty")]
    Revoked,
}

impl std::str::FromStr for PublishedKey {
    type Err = RecordProblem;

    fn from_str(record: &str) -> Result<Self, RecordProblem> {
        let broken = |what: &str| RecordProblem::Broken(what.to_owned());
        let tags = tags(record).ok_or_else(|| broken("a part is not `name=value`"))?;
        if tags.is_empty() {
            return Err(RecordProblem::Foreign);
        }
        let of = |name: &str| tags.iter().find(|(tag, _)| *tag == name).map(|(_, value)| *value);
        match tags.iter().position(|(name, _)| *name == "v") {
            Some(0) if tags[0].1 == "DKIM1" => {}
            Some(0) => return Err(RecordProblem::Foreign),
            Some(_) => return Err(broken("`v=` is not the first part")),
            None if of("p").is_none() => return Err(RecordProblem::Foreign),
            None => {}
        }
        let mut names: Vec<&str> = tags.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|two| two[0] == two[1]) {
            return Err(broken(&format!("`{}=` appears twice", twice[0])));
        }
        let p: String = of("p").ok_or_else(|| broken("`p=` is missing"))?.split_whitespace().collect();
        if p.is_empty() {
            return Err(RecordProblem::Revoked);
        }
        let key =
            BASE64_STANDARD.decode(&p).map_err(|error| broken(&format!("`p=` is not base64 ({error})")))?;
        let lists = |tag: &str, wanted: &[&str]| {
            of(tag).is_none_or(|list| list.split(':').any(|one| wanted.contains(&one.trim())))
        };
        let flag = |wanted: &str| of("t").is_some_and(|list| list.split(':').any(|one| one.trim() == wanted));
        Ok(Self {
            kind: of("k").unwrap_or("rsa").to_ascii_lowercase(),
            key,
            testing: flag("y"),
            strict: flag("s"),
            without_sha256: !lists("h", &["sha256"]),
            without_email: !lists("s", &["*", "email"]),
        })
    }
}

pub(super) async fn check(signer: &Signer, resolver: &Resolver) -> Vec<Finding> {
    let mut findings = Vec::new();
    for key in signer.keys() {
        match txt(resolver, &key.record_name()).await {
            Ok(records) => findings.extend(compare(key, &records)),
            Err(error) => findings.push(unanswered(&error)),
        }
    }
    if signer.keys().next().is_none() {
        findings.push(Finding::new(Id::DkimNone, "the campaign has no DKIM key").fix(
            "run `mailrun dkim generate`: it creates a key and shows its record and its [[dkim]] table",
        ));
    }
    findings
}

/// Compares the published records with the private key.
fn compare(key: &Key, records: &[String]) -> Vec<Finding> {
    let name = key.record_name();
    let record = || zone_line(&name, &key.public_key_record());
    let finding = |id, seen: String| Finding::new(id, seen).fix(record());
    let parsed: Vec<Result<PublishedKey, RecordProblem>> = records
        .iter()
        .map(|record| record.parse())
        .filter(|parsed| *parsed != Err(RecordProblem::Foreign))
        .collect();
    let published = match parsed.as_slice() {
        [] => return vec![finding(Id::DkimMissing, format!("there is no DKIM record at `{name}`"))],
        [Ok(published)] => published,
        [Err(RecordProblem::Revoked)] => {
            return vec![finding(Id::DkimRevoked, format!("the key at `{name}` is revoked: `p=` is empty"))];
        }
        [Err(problem)] => {
            return vec![finding(Id::DkimBroken, format!("the record at `{name}`: {problem}"))];
        }
        several => {
            let held = several.iter().flatten().any(|published| key.is_public_half(&published.key));
            let none = if held { "" } else { ", none with the key that signs" };
            let seen = format!("there are {} DKIM records at `{name}`{none}", several.len());
            let finding = Finding::new(Id::DkimSeveral, seen).worse_if(!held);
            return vec![finding.fix(format!("keep only: {}", record()))];
        }
    };
    let mut findings = Vec::new();
    let kind = if key.rsa_bits().is_some() { "rsa" } else { "ed25519" };
    if published.kind != kind {
        let seen = format!("the record at `{name}` says `k={}`, but the key is {kind}", published.kind);
        return vec![finding(Id::DkimWrongKind, seen)];
    }
    if kind == "rsa"
        && let Some(bits) = published_rsa_bits(&published.key)
        && bits < ADVISED_BITS
    {
        let id = if bits < LEAST_BITS { Id::DkimKeyTooShort } else { Id::DkimKeyShort };
        findings.push(finding(id, format!("the RSA key at `{name}` has {bits} bits")));
    }
    if !key.is_public_half(&published.key) {
        findings.push(finding(
            Id::DkimWrongKey,
            format!("the record at `{name}` holds a different key than the one that signs"),
        ));
        return findings;
    }
    if published.without_sha256 {
        findings.push(finding(Id::DkimHash, format!("the record at `{name}` does not allow SHA-256 (`h=`)")));
    }
    if published.without_email {
        findings
            .push(finding(Id::DkimService, format!("the record at `{name}` does not allow e-mail (`s=`)")));
    }
    if published.testing {
        findings.push(finding(
            Id::DkimTesting,
            format!("the record at `{name}` says `t=y`: the domain is testing DKIM"),
        ));
    }
    if published.strict {
        let seen = format!("the record at `{name}` says `t=s`, which the signatures satisfy: `i=` is `d=`");
        findings.push(Finding::new(Id::DkimStrict, seen));
    }
    if findings.iter().all(|finding| finding.level == Level::Ok) {
        let size = key.rsa_bits().map_or("Ed25519".into(), |bits| format!("RSA, {bits} bits"));
        let seen = format!("the record at `{name}` holds the key that signs ({size})");
        findings.insert(0, Finding::new(Id::Dkim, seen));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_as_verifiers_read_them() {
        let read = |record: &str| record.parse::<PublishedKey>();
        let plain = read("v=DKIM1; k=rsa; p=AQID").unwrap();
        assert_eq!((plain.kind.as_str(), plain.key.as_slice()), ("rsa", &[1, 2, 3][..]));
        assert_eq!(read("p=AQ ID").unwrap().key, [1, 2, 3], "RFC 6376 §3.6.1: white space in p=");
        let flags = read("v=DKIM1;t=s : y;h=sha1;s=tlsrpt;p=AQID;").unwrap();
        assert!(flags.testing && flags.strict && flags.without_sha256 && flags.without_email);
        let open = read("v=DKIM1; h=sha1:sha256; s=*; p=AQID").unwrap();
        assert!(!open.testing && !open.strict && !open.without_sha256 && !open.without_email);
        assert_eq!(read("v=DKIM1; p="), Err(RecordProblem::Revoked));
        for foreign in ["v=spf1 -all", "google-site-verification=x", "", "v=DKIM2; p=AQID"] {
            assert_eq!(read(foreign), Err(RecordProblem::Foreign), "{foreign}");
        }
        for broken in [
            "v=DKIM1; k=rsa",
            "v=DKIM1; p=%%%",
            "k=rsa; v=DKIM1; p=AQID",
            "v=DKIM1; p=AQID; p=AQID",
            "v=DKIM1; x",
        ] {
            assert!(matches!(read(broken), Err(RecordProblem::Broken(_))), "{broken}");
        }
    }
}

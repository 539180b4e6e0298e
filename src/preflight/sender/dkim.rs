//! The public halves of the DKIM keys, as DNS has them (RFC 6376 §3.6, RFC 8301, RFC 8463).

use base64::prelude::{BASE64_STANDARD, Engine};

use super::super::finding::{Finding, Group};
use super::{tags, txt, unanswered, zone_line};
use crate::dkim::{Key, Signer, published_rsa_bits};
use crate::route::Resolver;

/// Verifiers take no shorter RSA key (RFC 8301 §3.2).
const LEAST_BITS: usize = 1_024;
/// What is advised (RFC 8301 §3.2; Google asks for it).
const ADVISED_BITS: usize = 2_048;

/// A DKIM record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedKey {
    /// `k=`: `rsa` where it is not given.
    pub kind: String,
    /// `p=`, decoded. Never empty.
    pub key: Vec<u8>,
    /// `t=y`: the domain tests DKIM.
    pub testing: bool,
    /// `t=s`: `i=` must be `d=` itself.
    pub strict: bool,
    /// `h=` leaves SHA-256 out.
    pub without_sha256: bool,
    /// `s=` leaves e-mail out.
    pub without_email: bool,
}

/// Why a record is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordProblem {
    /// It is about something else.
    #[error("it is no DKIM record")]
    Foreign,
    /// It can't be read.
    #[error("it can't be read: {0}")]
    Broken(String),
    /// `p=` is empty: the key is withdrawn.
    #[error("the key is revoked: `p=` is empty")]
    Revoked,
}

impl std::str::FromStr for PublishedKey {
    type Err = RecordProblem;

    fn from_str(record: &str) -> Result<Self, RecordProblem> {
        let broken = |what: &str| RecordProblem::Broken(what.to_owned());
        let tags = tags(record).ok_or_else(|| broken("a part is no `name=value`"))?;
        if tags.is_empty() {
            return Err(RecordProblem::Foreign);
        }
        let of = |name: &str| tags.iter().find(|(tag, _)| *tag == name).map(|(_, value)| *value);
        match tags.iter().position(|(name, _)| *name == "v") {
            Some(0) if tags[0].1 == "DKIM1" => {}
            Some(0) => return Err(RecordProblem::Foreign),
            Some(_) => return Err(broken("`v=` is not its first part")),
            None if of("p").is_none() => return Err(RecordProblem::Foreign),
            None => {}
        }
        let mut names: Vec<&str> = tags.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|two| two[0] == two[1]) {
            return Err(broken(&format!("`{}=` is there twice", twice[0])));
        }
        let p: String = of("p").ok_or_else(|| broken("`p=` is missing"))?.split_whitespace().collect();
        if p.is_empty() {
            return Err(RecordProblem::Revoked);
        }
        let key =
            BASE64_STANDARD.decode(&p).map_err(|error| broken(&format!("`p=` is no base64 ({error})")))?;
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
        findings.push(
            Finding::warning(Group::Sender, "dkim-none", "messages are not signed here")
                .why("Google, Yahoo and Microsoft refuse bulk mail without DKIM; it is fine where the relay signs for the From domain")
                .mend("`mailrun dkim generate` makes a key and shows its record and its [[dkim]] table"),
        );
    }
    findings
}

/// What is published against the private key.
fn compare(key: &Key, records: &[String]) -> Vec<Finding> {
    let name = key.record_name();
    let mend = || zone_line(&name, &key.public_key_record());
    let why = "receivers can't verify the signature: with DMARC they refuse every message (RFC 6376 §6.1.2)";
    let refused = |id, seen: String| Finding::refused(Group::Sender, id, seen).why(why).mend(mend());
    let parsed: Vec<Result<PublishedKey, RecordProblem>> = records
        .iter()
        .map(|record| record.parse())
        .filter(|parsed| *parsed != Err(RecordProblem::Foreign))
        .collect();
    let published = match parsed.as_slice() {
        [] => return vec![refused("dkim-missing", format!("`{name}` holds no DKIM record"))],
        [Ok(published)] => published,
        [Err(RecordProblem::Revoked)] => {
            return vec![refused("dkim-revoked", format!("the key at `{name}` is revoked: `p=` is empty"))];
        }
        [Err(problem)] => {
            return vec![refused("dkim-broken", format!("the record at `{name}`: {problem}"))];
        }
        several => {
            let seen = format!("`{name}` holds {} DKIM records", several.len());
            let holds = several.iter().flatten().any(|published| key.is_public_half(&published.key));
            let why = "verifiers may take any one of them (RFC 6376 §3.6.2.2)";
            let finding = if holds {
                Finding::warning(Group::Sender, "dkim-several", seen)
            } else {
                Finding::refused(Group::Sender, "dkim-several", seen + ", and none is that of the key")
            };
            return vec![finding.why(why).mend(format!("keep only: {}", mend()))];
        }
    };
    let mut findings = Vec::new();
    let kind = if key.rsa_bits().is_some() { "rsa" } else { "ed25519" };
    if published.kind != kind {
        let seen = format!("`{name}` says `k={}`, and the key signs with {kind}", published.kind);
        return vec![refused("dkim-wrong-kind", seen)];
    }
    if kind == "rsa"
        && let Some(bits) = published_rsa_bits(&published.key)
        && bits < ADVISED_BITS
    {
        let why = "RFC 8301 §3.2: verifiers take no RSA key under 1,024 bits; 2,048 are advised";
        let seen = format!("the RSA key at `{name}` has {bits} bits");
        let finding = if bits < LEAST_BITS {
            Finding::refused(Group::Sender, "dkim-key-too-short", seen)
        } else {
            Finding::warning(Group::Sender, "dkim-key-short", seen)
        };
        findings.push(finding.why(why).mend(mend()));
    }
    if !key.is_public_half(&published.key) {
        findings
            .push(refused("dkim-wrong-key", format!("`{name}` holds another key than the one that signs")));
        return findings;
    }
    if published.without_sha256 {
        findings.push(refused("dkim-hash", format!("`{name}` allows no SHA-256 (`h=`)")));
    }
    if published.without_email {
        findings.push(refused("dkim-service", format!("the key at `{name}` is not for e-mail (`s=`)")));
    }
    if published.testing {
        findings.push(
            Finding::warning(
                Group::Sender,
                "dkim-testing",
                format!("`{name}` says `t=y`: the domain tests DKIM"),
            )
            .why("verifiers may treat the mail as if it were not signed (RFC 6376 §3.6.1)")
            .mend(mend()),
        );
    }
    if published.strict {
        let seen = format!(
            "`{name}` says `t=s`; the signatures have no other `i=` than `d=`, which is what it asks for"
        );
        findings.push(Finding::ok(Group::Sender, "dkim-strict", seen));
    }
    if findings.iter().all(|finding| finding.level == super::super::finding::Level::Ok) {
        let size = key.rsa_bits().map_or("Ed25519".into(), |bits| format!("RSA, {bits} bits"));
        let seen = format!("`{name}` holds the key that signs ({size})");
        findings.insert(0, Finding::ok(Group::Sender, "dkim", seen));
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

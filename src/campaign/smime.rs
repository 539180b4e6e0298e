//! `[smime]`: the certificate that signs the content (RFC 8551).

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use chrono::NaiveDate;
use serde::de::{self, MapAccess, SeqAccess};
use serde::{Deserialize, Deserializer, Serialize};

use super::error::Mistake;

/// What the signature itself, its own header and the boundaries have at most, in bytes.
const SIGNATURE_BYTES: u64 = 2_048;

/// `[smime]`: the certificates, of which one signs on a day.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(transparent)]
pub struct SmimeCertificates(pub Vec<Smime>);

/// A table of `[smime]`, or one of several.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Smime {
    /// The certificate: PEM, which may hold chain and key too, or PKCS#12.
    pub certificate: PathBuf,
    /// The PEM file with its private key; by default it is in the file of the certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// A PEM file with the certificates between it and the root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<PathBuf>,
    /// The environment variable with the password of the PKCS#12 file or the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_env: Option<String>,
    /// The file with that password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// The first day (UTC) on which it signs; no limit by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub use_from: Option<NaiveDate>,
    /// The first day (UTC) on which it no longer signs; no limit by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub use_until: Option<NaiveDate>,
}

impl SmimeCertificates {
    /// Without any, messages get no S/MIME signature.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The one that signs on this day (UTC).
    pub fn on(&self, day: NaiveDate) -> Option<&Smime> {
        self.0.iter().find(|smime| smime.is_used_on(day))
    }

    /// More than a signature adds to a message: certificates are as long in it as in their files.
    pub fn most_bytes(&self) -> u64 {
        self.0.iter().map(Smime::most_bytes).max().unwrap_or(0)
    }

    pub(super) fn resolve_paths(&mut self, folder: &Path) {
        for smime in &mut self.0 {
            smime.certificate = folder.join(&smime.certificate);
            for path in [&mut smime.key, &mut smime.chain, &mut smime.password_file].into_iter().flatten() {
                *path = folder.join(&*path);
            }
        }
    }

    pub(super) fn check(&self) -> Result<(), Mistake> {
        for (at, smime) in self.0.iter().enumerate() {
            smime.check()?;
            // Two signatures of one part are two parts: none would be read by most programs.
            if let Some(other) = self.0[..at].iter().find(|other| other.overlaps(smime)) {
                let problem = format!(
                    "`{}` and `{}` would sign on the same day",
                    other.certificate.display(),
                    smime.certificate.display()
                );
                let hint = "one certificate signs a message: give the old one `use-until` and the new one `use-from`";
                return Err(Mistake::new("smime.certificate", problem, hint));
            }
        }
        Ok(())
    }
}

impl Smime {
    fn is_used_on(&self, day: NaiveDate) -> bool {
        self.use_from.is_none_or(|from| from <= day) && self.use_until.is_none_or(|until| day < until)
    }

    fn overlaps(&self, other: &Self) -> bool {
        let before = |one: &Self, next: &Self| matches!((one.use_until, next.use_from), (Some(until), Some(from)) if until <= from);
        !before(self, other) && !before(other, self)
    }

    fn most_bytes(&self) -> u64 {
        let files = [Some(&self.certificate), self.chain.as_ref()].into_iter().flatten();
        let length = |path: &PathBuf| fs::metadata(path).map_or(0, |found| found.len());
        // PKCS#12 is not in base64 yet.
        SIGNATURE_BYTES + files.map(length).sum::<u64>() * 3 / 2
    }

    fn check(&self) -> Result<(), Mistake> {
        if self.password_env.is_some() && self.password_file.is_some() {
            return Err(Mistake::new(
                "smime.password-file",
                "there are two passwords",
                "keep one of `password-env` and `password-file`",
            ));
        }
        if let (Some(from), Some(until)) = (self.use_from, self.use_until)
            && until <= from
        {
            return Err(Mistake::new(
                "smime.use-until",
                format!("it ends on {until}, before it begins on {from}"),
                "`use-until` is the first day on which it no longer signs",
            ));
        }
        Ok(())
    }
}

/// One table, or several.
impl<'de> Deserialize<'de> for SmimeCertificates {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrSeveral;

        impl<'de> de::Visitor<'de> for OneOrSeveral {
            type Value = Vec<Smime>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table with `certificate`")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                Smime::deserialize(de::value::MapAccessDeserializer::new(map)).map(|one| vec![one])
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                Vec::deserialize(de::value::SeqAccessDeserializer::new(seq))
            }
        }

        deserializer.deserialize_any(OneOrSeveral).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Campaign;
    use super::super::testing::SMALLEST;
    use super::*;

    fn campaign(more: &str) -> Result<Campaign, super::super::CampaignError> {
        Campaign::parse(&format!("{SMALLEST}\n{more}"), Path::new("c/campaign.toml"))
    }

    #[test]
    fn one_certificate_or_several_that_follow_one_another() {
        let one = campaign("[smime]\ncertificate = \"a.p12\"\npassword-file = \"pw\"\n").unwrap();
        let smime = &one.smime.0[0];
        assert_eq!(smime.certificate, Path::new("c/a.p12"));
        assert_eq!(smime.password_file.as_deref(), Some(Path::new("c/pw")));
        let two = campaign(
            "[[smime]]\ncertificate = \"old.pem\"\nuse-until = \"2027-01-01\"\n\
             [[smime]]\ncertificate = \"new.pem\"\nuse-from = \"2027-01-01\"\n",
        );
        let two = two.unwrap().smime;
        let on = |day: &str| two.on(day.parse().unwrap()).unwrap().certificate.clone();
        assert_eq!(on("2026-12-31"), Path::new("c/old.pem"));
        assert_eq!(on("2027-01-01"), Path::new("c/new.pem"));
        let written = toml::to_string(&campaign("[smime]\ncertificate = \"a.pem\"\n").unwrap()).unwrap();
        Campaign::parse(&written, Path::new("c/campaign.toml")).unwrap();
    }

    #[test]
    fn mistakes_name_their_place() {
        let line = SMALLEST.lines().count() + 2;
        let check = |more: &str, at: usize, problem: &str| {
            let error = campaign(more).unwrap_err();
            assert!(error.problem.contains(problem), "{error}");
            assert_eq!(error.place.map(|(line, _)| line), Some(line + at), "{more}");
            error.hint
        };
        let hint = check("[smime]\ncertificat = \"a\"\n", 1, "unknown key `certificat`");
        assert_eq!(hint.as_deref(), Some("did you mean `certificate`?"));
        check("[smime]\ncertificate = 1\n", 1, "path string");
        check(
            "[smime]\ncertificate = \"a\"\npassword-env = \"A\"\npassword-file = \"b\"\n",
            3,
            "there are two passwords",
        );
        check(
            "[smime]\ncertificate = \"a\"\nuse-from = \"2027-01-02\"\nuse-until = \"2027-01-02\"\n",
            3,
            "it ends",
        );
        check(
            "[[smime]]\ncertificate = \"a\"\n[[smime]]\ncertificate = \"b\"\nuse-from = \"2027-01-01\"\n",
            1,
            "would sign on the same day",
        );
    }
}

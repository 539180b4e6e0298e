//! A DMARC policy record (RFC 9989 §4.7), with the tags that RFC 7489 had and RFC 9989 has not.

use std::fmt;

use super::super::records::tags;

/// A DMARC policy record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Record {
    /// `p=`; `None` where it is missing or unknown, which counts as `none` (RFC 9989 §4.7).
    pub p: Option<Policy>,
    /// `sp=`: for subdomains.
    pub sp: Option<Policy>,
    /// `np=`: for subdomains that do not exist.
    pub np: Option<Policy>,
    /// `psd=`.
    pub psd: Psd,
    /// `adkim=s`.
    pub strict_dkim: bool,
    /// `aspf=s`.
    pub strict_spf: bool,
    /// `t=y`: the policy is only being tested.
    pub testing: bool,
    /// The URIs of `rua=`.
    pub rua: Vec<String>,
    /// Tags of RFC 7489 that RFC 9989 dropped, as written.
    pub legacy: Vec<String>,
    /// Invalid parts, as written.
    pub unreadable: Vec<String>,
}

/// What a domain asks for where authentication fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Policy {
    /// Nothing.
    #[default]
    None,
    /// Treat the message as suspicious.
    Quarantine,
    /// Refuse the message.
    Reject,
}

/// Whether a domain declares itself a public suffix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Psd {
    /// `psd=y`.
    Yes,
    /// `psd=n`: it is an organizational domain.
    No,
    /// `psd=u`, or nothing.
    #[default]
    Unknown,
}

impl Policy {
    fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "none" => Some(Self::None),
            "quarantine" => Some(Self::Quarantine),
            "reject" => Some(Self::Reject),
            _ => None,
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::None => "none",
            Self::Quarantine => "quarantine",
            Self::Reject => "reject",
        })
    }
}

impl Record {
    /// Parses a TXT record; `None` if it is not a DMARC record. Ignores unknown tags (RFC 9989
    /// §4.7).
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let tags = match tags(text) {
            Some(tags) => tags,
            // A part without `=` invalidates only itself.
            None => text
                .split(';')
                .filter_map(|part| part.split_once('='))
                .map(|(n, v)| (n.trim(), v.trim()))
                .collect(),
        };
        // RFC 9989 §4.7: `v` comes first, and its value is exactly this.
        if tags.first() != Some(&("v", "DMARC1")) {
            return None;
        }
        let mut record = Self::default();
        for part in text.split(';').map(str::trim).filter(|part| !part.is_empty() && !part.contains('=')) {
            record.unreadable.push(part.to_owned());
        }
        for (name, value) in &tags[1..] {
            record.take(&name.to_ascii_lowercase(), value);
        }
        Some(record)
    }

    fn take(&mut self, name: &str, value: &str) {
        let written = || format!("{name}={value}");
        let mut policy = |slot: fn(&mut Self) -> &mut Option<Policy>| {
            let policy = Policy::parse(value);
            if policy.is_none() {
                self.unreadable.push(written());
            }
            *slot(self) = policy;
        };
        match name {
            "p" => policy(|record| &mut record.p),
            "sp" => policy(|record| &mut record.sp),
            "np" => policy(|record| &mut record.np),
            "psd" => match value.to_ascii_lowercase().as_str() {
                "y" => self.psd = Psd::Yes,
                "n" => self.psd = Psd::No,
                "u" => self.psd = Psd::Unknown,
                _ => self.unreadable.push(written()),
            },
            "adkim" | "aspf" => {
                let strict = match value.to_ascii_lowercase().as_str() {
                    "s" => true,
                    "r" => false,
                    _ => return self.unreadable.push(written()),
                };
                *(if name == "adkim" { &mut self.strict_dkim } else { &mut self.strict_spf }) = strict;
            }
            "t" => match value.to_ascii_lowercase().as_str() {
                "y" => self.testing = true,
                "n" => self.testing = false,
                _ => self.unreadable.push(written()),
            },
            "rua" => self.rua = value.split(',').map(|uri| uri.trim().to_owned()).collect(),
            "pct" | "rf" | "ri" => self.legacy.push(written()),
            _ => {}
        }
    }

    /// The policy for the domain itself.
    pub(crate) fn own_policy(&self) -> Policy {
        self.p.unwrap_or_default()
    }

    /// The policy for a subdomain without its own record (RFC 9989 §4.7): `np` if it does not
    /// exist, which falls back to `sp`, and `sp` to `p`.
    pub(crate) fn policy_below(&self, exists: bool) -> Policy {
        let own = self.sp.or(self.p);
        if exists { own } else { self.np.or(own) }.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Record {
        Record::parse(text).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn what_is_a_record() {
        for text in
            ["v=DMARC1", "v=DMARC1;", "v = DMARC1 ; p = reject", "v=DMARC1; p=none; sp=reject; unknown=1"]
        {
            assert!(Record::parse(text).is_some(), "{text}");
        }
        for text in
            ["", "v=DMARC2; p=none", "v=dmarc1; p=none", "p=none; v=DMARC1", "v=spf1 -all", "v=DMARC1p=none"]
        {
            assert!(Record::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn tags() {
        let record = read(
            "v=DMARC1; p=Reject; adkim=s; aspf=r; t=y; psd=n; pct=50; ri=86400; rua=mailto:a@example.com, mailto:b@example.net!10m",
        );
        assert_eq!(record.own_policy(), Policy::Reject);
        assert!(record.strict_dkim && !record.strict_spf && record.testing);
        assert_eq!(record.psd, Psd::No);
        assert_eq!(record.rua, ["mailto:a@example.com", "mailto:b@example.net!10m"]);
        assert_eq!(record.legacy, ["pct=50", "ri=86400"]);
        assert_eq!(
            read("v=DMARC1; p=rejct; nonsense; adkim=x").unreadable,
            ["nonsense", "p=rejct", "adkim=x"]
        );
    }

    #[test]
    fn the_policy_for_subdomains_falls_back() {
        let check = |text: &str, existing: Policy, missing: Policy| {
            let record = read(text);
            assert_eq!(
                (record.policy_below(true), record.policy_below(false)),
                (existing, missing),
                "{text}"
            );
        };
        use Policy::{None, Quarantine, Reject};
        check("v=DMARC1; p=reject", Reject, Reject);
        check("v=DMARC1; p=reject; sp=quarantine", Quarantine, Quarantine);
        check("v=DMARC1; p=none; np=reject", None, Reject);
        check("v=DMARC1; p=none; sp=quarantine; np=reject", Quarantine, Reject);
        check("v=DMARC1", None, None);
    }
}

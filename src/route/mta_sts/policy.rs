//! An MTA-STS policy: its text and which hosts it allows (RFC 8461 §3.2, §4.1).

use std::time::Duration;

use crate::kit::outside_text;

/// The longest time that a policy may be kept (RFC 8461 §3.2).
const LONGEST_AGE: u64 = 31_557_600;

/// The demands of a domain on those who send it mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// How strictly it applies.
    pub mode: Mode,
    /// How long it may be kept.
    pub max_age: Duration,
    /// Names of its MX hosts, in lower case; `*.` stands for one label.
    pub mx: Vec<String>,
}

/// How strictly a policy applies (RFC 8461 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Mail goes to the policy's hosts only, over TLS with a valid certificate.
    Enforce,
    /// Mail is sent in any case; violations are reported.
    Testing,
    /// There is no policy any more.
    None,
}

/// Why a text is no policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// The text is not UTF-8.
    #[error("the policy is not text")]
    NotText,
    /// A line is not `key: value`.
    #[error("`{0}` does not have the form `key: value`")]
    Line(String),
    /// A key is missing.
    #[error("the policy has no `{0}`")]
    Missing(&'static str),
    /// A value is not one that its key can have.
    #[error("`{value}` can't be the policy's `{key}`")]
    Value {
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
    },
}

impl Policy {
    /// Parses a policy.
    pub fn parse(text: &[u8]) -> Result<Self, PolicyError> {
        let text = std::str::from_utf8(text).map_err(|_| PolicyError::NotText)?;
        let (mut version, mut mode, mut max_age, mut mx) = (None, None, None, Vec::new());
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (key, value) = line.split_once(':').ok_or_else(|| PolicyError::Line(shown(line)))?;
            let value = value.trim();
            match key.trim_end() {
                // RFC 8461 §3.2: if a key appears twice, the first counts; unknown keys are
                // ignored.
                "version" => version = version.or(Some(value)),
                "mode" => mode = mode.or(Some(value)),
                "max_age" => max_age = max_age.or(Some(value)),
                "mx" => mx.push(value.trim_end_matches('.').to_ascii_lowercase()),
                _ => {}
            }
        }
        let bad = |key, value: &str| PolicyError::Value { key, value: shown(value) };
        let version = version.ok_or(PolicyError::Missing("version"))?;
        if version != "STSv1" {
            return Err(bad("version", version));
        }
        let mode = match mode.ok_or(PolicyError::Missing("mode"))? {
            "enforce" => Mode::Enforce,
            "testing" => Mode::Testing,
            "none" => Mode::None,
            other => return Err(bad("mode", other)),
        };
        let max_age = max_age.ok_or(PolicyError::Missing("max_age"))?;
        let digits = (1..=10).contains(&max_age.len()) && max_age.bytes().all(|byte| byte.is_ascii_digit());
        let seconds =
            max_age.parse::<u64>().ok().filter(|_| digits).ok_or_else(|| bad("max_age", max_age))?;
        if mx.is_empty() && mode != Mode::None {
            return Err(PolicyError::Missing("mx"));
        }
        if let Some(pattern) = mx.iter().find(|pattern| !is_pattern(pattern)) {
            return Err(bad("mx", pattern));
        }
        Ok(Self { mode, max_age: Duration::from_secs(seconds.min(LONGEST_AGE)), mx })
    }

    /// The text of the policy, as it could be published.
    pub fn text(&self) -> String {
        let mode = match self.mode {
            Mode::Enforce => "enforce",
            Mode::Testing => "testing",
            Mode::None => "none",
        };
        let mx: String = self.mx.iter().map(|pattern| format!("mx: {pattern}\n")).collect();
        format!("version: STSv1\nmode: {mode}\nmax_age: {}\n{mx}", self.max_age.as_secs())
    }

    /// True when the policy allows `host` (in lower case, without the final dot).
    pub fn allows(&self, host: &str) -> bool {
        self.mx.iter().any(|pattern| match pattern.strip_prefix("*.") {
            Some(parent) => {
                host.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest == parent)
            }
            None => host == pattern,
        })
    }
}

/// RFC 8461 §3.2: a domain name, or one whose leftmost label is `*`.
fn is_pattern(pattern: &str) -> bool {
    let name = pattern.strip_prefix("*.").unwrap_or(pattern);
    !name.is_empty()
        && name.split('.').all(|label| {
            !label.is_empty()
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        })
}

/// As much of a stranger's text as an error needs.
fn shown(text: &str) -> String {
    outside_text::line(&text.chars().take(80).collect::<String>()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLISHED: &str =
        "version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.Example.net\r\nmax_age: 604800\r\n";

    #[test]
    fn a_policy_as_published() {
        let policy = Policy::parse(PUBLISHED.as_bytes()).unwrap();
        assert_eq!(policy.mode, Mode::Enforce);
        assert_eq!(policy.max_age, Duration::from_secs(604_800));
        assert_eq!(policy.mx, ["mail.example.com", "*.example.net"]);
        assert_eq!(Policy::parse(policy.text().as_bytes()).unwrap(), policy);
        // Blank lines, unknown keys, no blank after the colon, a second mode.
        let odd = "version:STSv1\n\nmode:testing\nmode: none\ncomment: x: y\nmx:a.example\nmax_age:99999999";
        let policy = Policy::parse(odd.as_bytes()).unwrap();
        assert_eq!((policy.mode, policy.max_age.as_secs()), (Mode::Testing, LONGEST_AGE));
        assert!(Policy::parse(b"version: STSv1\nmode: none\nmax_age: 86400").unwrap().mx.is_empty());
    }

    #[test]
    fn a_star_stands_for_one_label() {
        let policy = Policy::parse(PUBLISHED.as_bytes()).unwrap();
        for host in ["mail.example.com", "a.example.net", "mail.example.net"] {
            assert!(policy.allows(host), "{host}");
        }
        for host in
            ["example.com", "x.mail.example.com", "example.net", "a.b.example.net", ".example.net", "", "net"]
        {
            assert!(!policy.allows(host), "{host}");
        }
    }

    #[test]
    fn texts_that_are_no_policy() {
        let check = |text: &str, error: &str| {
            assert_eq!(Policy::parse(text.as_bytes()).unwrap_err().to_string(), error, "{text:?}");
        };
        check("", "the policy has no `version`");
        check("<html>", "`<html>` does not have the form `key: value`");
        check("version: STSv2\nmode: none\nmax_age: 1", "`STSv2` can't be the policy's `version`");
        check("version: STSv1\nmax_age: 1", "the policy has no `mode`");
        check("version: STSv1\nmode: Enforce\nmax_age: 1", "`Enforce` can't be the policy's `mode`");
        check("version: STSv1\nmode: enforce\nmx: a.example", "the policy has no `max_age`");
        check(
            "version: STSv1\nmode: enforce\nmx: a.example\nmax_age: -1",
            "`-1` can't be the policy's `max_age`",
        );
        check("version: STSv1\nmode: enforce\nmax_age: 1", "the policy has no `mx`");
        for mx in ["*.*.example", "a.*.example", "*", "", "a b", "a..example"] {
            check(
                &format!("version: STSv1\nmode: enforce\nmax_age: 1\nmx: {mx}"),
                &format!("`{mx}` can't be the policy's `mx`"),
            );
        }
        assert_eq!(Policy::parse(b"\xff").unwrap_err(), PolicyError::NotText);
    }
}

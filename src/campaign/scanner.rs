//! `[[scanner]]`: programs and rules that judge what leaves, before it leaves.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::Mistake;
use super::units::Span;

/// An entry of `[[scanner]]`. With several, each of them has to find nothing.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Scanner {
    /// Which kind of scanner it is.
    pub kind: ScannerKind,
    /// What it is called in results and messages; its kind where there is no name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// For `clamd`: `host:port`, or the path of the daemon's socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// For `icap`: `icap://host:port/service`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// For `yara`: the files with its rules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<PathBuf>,
    /// What it looks at.
    #[serde(default = "everything", skip_serializing_if = "is_everything")]
    pub scan: Vec<Scanned>,
    /// How long it may take to judge one part of a message.
    #[serde(default = "usual", skip_serializing_if = "is_usual")]
    pub timeout: Span,
}

/// Which kind of scanner an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScannerKind {
    /// ClamAV's daemon.
    Clamd,
    /// A server that speaks ICAP (RFC 3507).
    Icap,
    /// YARA rules, in this process.
    Yara,
}

/// A part of messages that a scanner can look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scanned {
    /// The texts of the message, plain and HTML.
    Body,
    /// Attachments and inline images.
    Attachments,
}

impl ScannerKind {
    /// The word of the campaign file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Clamd => "clamd",
            Self::Icap => "icap",
            Self::Yara => "yara",
        }
    }
}

impl Scanner {
    /// What it is called.
    pub fn shown(&self) -> &str {
        self.name.as_deref().unwrap_or(self.kind.as_str())
    }

    pub(super) fn resolve_paths(&mut self, folder: &Path) {
        for path in &mut self.rules {
            *path = folder.join(&*path);
        }
    }

    fn check(&self) -> Result<(), Mistake> {
        let (kind, shown) = (self.kind.as_str(), self.shown());
        let keys = [
            (
                "address",
                self.address.is_some(),
                ScannerKind::Clamd,
                "add one, such as address = \"/run/clamav/clamd.ctl\"",
            ),
            (
                "url",
                self.url.is_some(),
                ScannerKind::Icap,
                "add one, such as url = \"icap://127.0.0.1:1344/virus_scan\"",
            ),
            ("rules", !self.rules.is_empty(), ScannerKind::Yara, "add one, such as rules = [\"rules.yar\"]"),
        ];
        for (key, is_there, belongs_to, hint) in keys {
            if is_there && belongs_to != self.kind {
                let problem = format!("scanner `{shown}` is of kind `{kind}`, which has no `{key}`");
                return Err(Mistake::new("scanner", problem, "leave it out"));
            }
            if !is_there && belongs_to == self.kind {
                let problem = format!("scanner `{shown}` has no `{key}`");
                return Err(Mistake::new("scanner", problem, hint));
            }
        }
        if let Some(url) = &self.url
            && split_url(url).is_none()
        {
            let problem = format!("`{url}` is not the address of an ICAP service");
            return Err(Mistake::new("scanner", problem, "write icap://host:1344/service"));
        }
        if self.scan.is_empty() {
            let problem = format!("scanner `{shown}` looks at nothing");
            return Err(Mistake::new("scanner", problem, "name \"body\", \"attachments\" or both in `scan`"));
        }
        if self.timeout.0 == Duration::ZERO {
            let problem = format!("scanner `{shown}` needs some time");
            return Err(Mistake::new("scanner", problem, "write `timeout = \"60s\"`, or leave it out"));
        }
        Ok(())
    }
}

/// Checks all entries.
pub(super) fn check(scanners: &[Scanner]) -> Result<(), Mistake> {
    for (at, scanner) in scanners.iter().enumerate() {
        scanner.check()?;
        if scanners[..at].iter().any(|other| other.shown() == scanner.shown()) {
            let problem = format!("two scanners are called `{}`", scanner.shown());
            return Err(Mistake::new("scanner", problem, "give each a `name` of its own"));
        }
    }
    Ok(())
}

/// The parts of `icap://host:port/service`: `host:port`, and the service.
pub(crate) fn split_url(url: &str) -> Option<(String, &str)> {
    let (authority, service) = url.strip_prefix("icap://")?.split_once('/')?;
    let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    if authority.is_empty() || service.is_empty() || !is_plain(authority) || !is_plain(service) {
        return None;
    }
    // RFC 3507 §4.2: the port of ICAP.
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let authority = if has_port { authority.to_owned() } else { format!("{authority}:1344") };
    Some((authority, service))
}

const USUAL: Span = Span::seconds(60);

fn usual() -> Span {
    USUAL
}

fn is_usual(timeout: &Span) -> bool {
    *timeout == USUAL
}

fn everything() -> Vec<Scanned> {
    vec![Scanned::Body, Scanned::Attachments]
}

fn is_everything(scan: &[Scanned]) -> bool {
    *scan == everything()
}

#[cfg(test)]
mod tests {
    use super::super::testing::SMALLEST;
    use super::super::{Campaign, CampaignError};
    use super::*;

    fn parse(tables: &str) -> Result<Campaign, CampaignError> {
        Campaign::parse(&format!("{SMALLEST}{tables}"), Path::new("c/campaign.toml"))
    }

    #[test]
    fn each_kind_has_its_own_key() {
        let campaign = parse(
            "[[scanner]]\nkind = \"clamd\"\naddress = \"/run/clamd\"\nscan = [\"attachments\"]\n\
             [[scanner]]\nkind = \"icap\"\nurl = \"icap://h/s\"\ntimeout = \"5s\"\n\
             [[scanner]]\nkind = \"yara\"\nrules = [\"a.yar\"]\n",
        );
        let scanners = campaign.unwrap().scanner;
        assert_eq!(scanners[0].scan, [Scanned::Attachments]);
        assert_eq!((scanners[1].shown(), scanners[1].timeout), ("icap", Span::seconds(5)));
        assert_eq!(scanners[2].rules, [Path::new("c/a.yar")]);
        assert_eq!(scanners[2].scan, everything());
        let written = toml::to_string(&scanners[0]).unwrap();
        assert_eq!(written, "kind = \"clamd\"\naddress = \"/run/clamd\"\nscan = [\"attachments\"]\n");
    }

    #[test]
    fn what_can_not_be_meant_is_refused() {
        let check = |table: &str, says: &str| {
            let error = parse(&format!("[[scanner]]\n{table}\n")).unwrap_err();
            assert!(error.problem.contains(says), "{table}: {error}");
            assert!(error.hint.is_some());
        };
        check("kind = \"clamd\"", "has no `address`");
        check("kind = \"yara\"", "has no `rules`");
        check("kind = \"icap\"\nurl = \"http://h/s\"", "ICAP service");
        check("kind = \"icap\"\nurl = \"icap://h\"", "ICAP service");
        check("kind = \"clamd\"\naddress = \"a:1\"\nrules = [\"x\"]", "has no `rules`");
        check("kind = \"clamd\"\naddress = \"a:1\"\nscan = []", "looks at nothing");
        check("kind = \"clamd\"\naddress = \"a:1\"\ntimeout = \"0s\"", "needs some time");
        let twice = "kind = \"clamd\"\naddress = \"a:1\"\n[[scanner]]\nkind = \"clamd\"\naddress = \"b:1\"";
        check(twice, "two scanners are called `clamd`");
    }

    #[test]
    fn the_port_of_icap_may_be_left_out() {
        assert_eq!(split_url("icap://h/a/b"), Some(("h:1344".to_owned(), "a/b")));
        assert_eq!(split_url("icap://h:99/s"), Some(("h:99".to_owned(), "s")));
        assert_eq!(split_url("icap://h:1/ s\r\n"), None);
    }
}

//! `[[webhook]]` of `serve.toml`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::DateTime;
use hyper::Uri;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::error::WebhookError;
use crate::campaign::Span;
use crate::events::{Event, Kind};
use crate::kit::text::line_and_column;
use crate::mail::Timestamp;

/// The longest name.
const NAME_BYTES: usize = 64;
/// The most events of a request.
const MOST: usize = 1_000;
/// How long a request may take where nothing is said.
const TIMEOUT: Duration = Duration::from_secs(15);
/// The longest time that can be set.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(60);

/// One `[[webhook]]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Table {
    #[serde(deserialize_with = "name")]
    name: String,
    #[serde(deserialize_with = "target")]
    url: Target,
    secret_file: PathBuf,
    previous_secret_file: Option<PathBuf>,
    #[serde(default, deserialize_with = "kinds")]
    kinds: Vec<Kind>,
    #[serde(default)]
    campaigns: Vec<String>,
    #[serde(default = "one", deserialize_with = "batch")]
    batch: usize,
    #[serde(default, deserialize_with = "after")]
    after: Option<Timestamp>,
    #[serde(default, deserialize_with = "time")]
    timeout: Option<Duration>,
    #[serde(default)]
    allow_private: bool,
}

/// Where events go, and which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Webhook {
    /// Names it in commands and files.
    pub name: String,
    /// Where events go.
    pub target: Target,
    /// The files of its secrets, the newest first.
    pub secrets: Vec<PathBuf>,
    /// Only these kinds; none: all.
    pub kinds: Vec<Kind>,
    /// Only events of these campaigns; none: of all.
    pub campaigns: Vec<String>,
    /// The most events of a request; with 1, each request is one event.
    pub batch: usize,
    /// Only events from this time on.
    pub after: Option<Timestamp>,
    /// How long a request may take.
    pub timeout: Duration,
    /// Addresses that only their own network can reach are allowed.
    pub allow_private: bool,
}

/// The parts of a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// As it was written.
    pub text: String,
    /// `https`.
    pub is_tls: bool,
    /// The host, without the brackets of an IPv6 address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The value of the field `Host`.
    pub authority: String,
    /// The path, with the query.
    pub path: String,
}

impl Webhook {
    /// Whether events of this campaign are asked for.
    pub(crate) fn has_campaign(&self, campaign: &str) -> bool {
        self.campaigns.is_empty() || self.campaigns.iter().any(|own| own == campaign)
    }

    /// Whether this event of such a campaign is asked for.
    pub(crate) fn has(&self, event: &Event) -> bool {
        (self.kinds.is_empty() || self.kinds.contains(&event.kind))
            && self.after.is_none_or(|after| event.at >= after)
    }
}

/// What a file of `mailrun serve` says of webhooks. The rest of it is read by `serve`.
#[derive(Debug, Deserialize)]
struct File {
    #[serde(default)]
    webhook: Vec<Table>,
}

/// Reads the webhooks of a file, at least one. Paths in it are relative to its folder.
pub(crate) fn read(path: &Path) -> Result<Vec<Webhook>, WebhookError> {
    let webhooks = read_any(path)?;
    if webhooks.is_empty() {
        let problem = "it has no `[[webhook]]`".to_owned();
        return Err(WebhookError::Wrong { path: path.to_owned(), at: None, problem });
    }
    Ok(webhooks)
}

/// The same of a file that may have none.
pub(crate) fn read_any(path: &Path) -> Result<Vec<Webhook>, WebhookError> {
    let wrong = |at, problem| WebhookError::Wrong { path: path.to_owned(), at, problem };
    let text =
        fs::read_to_string(path).map_err(|source| WebhookError::Read { path: path.to_owned(), source })?;
    let File { webhook } = toml::from_str(&text).map_err(|error| {
        let at = error.span().map(|span| line_and_column(&text, span.start));
        wrong(at, error.message().to_owned())
    })?;
    checked(webhook, path.parent().unwrap_or(Path::new(""))).map_err(|problem| wrong(None, problem))
}

/// The webhooks of a file in `folder`. Or what is wrong with them.
pub(crate) fn checked(tables: Vec<Table>, folder: &Path) -> Result<Vec<Webhook>, String> {
    let mut webhooks: Vec<Webhook> = Vec::new();
    for table in tables {
        let Table { name, url, secret_file, previous_secret_file, kinds, campaigns, batch, .. } = table;
        if webhooks.iter().any(|other| other.name == name) {
            return Err(format!("two webhooks have the name `{name}`"));
        }
        if !url.is_tls && !table.allow_private {
            return Err(format!(
                "the webhook `{name}` has no `https` URL: events name recipients, so plain HTTP is for private \
                 addresses only, with `allow-private = true`"
            ));
        }
        webhooks.push(Webhook {
            name,
            target: url,
            secrets: [Some(secret_file), previous_secret_file]
                .into_iter()
                .flatten()
                .map(|file| folder.join(file))
                .collect(),
            kinds,
            campaigns,
            batch,
            after: table.after,
            timeout: table.timeout.unwrap_or(TIMEOUT),
            allow_private: table.allow_private,
        });
    }
    Ok(webhooks)
}

fn one() -> usize {
    1
}

fn name<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let name = String::deserialize(from)?;
    let is_fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if name.is_empty() || name.len() > NAME_BYTES || !name.chars().all(is_fine) {
        let why = "a webhook's name has up to 64 letters, digits, `-` and `_`";
        return Err(D::Error::custom(format!("the name `{name}` can't be used: {why}")));
    }
    Ok(name)
}

fn kinds<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Kind>, D::Error> {
    let texts = Vec::<String>::deserialize(from)?;
    texts.iter().map(|text| text.parse().map_err(D::Error::custom)).collect()
}

fn batch<'de, D: Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
    let batch = i64::deserialize(from)?;
    let size = usize::try_from(batch).ok().filter(|batch| (1..=MOST).contains(batch));
    size.ok_or_else(|| D::Error::custom(format!("`batch` is {batch}: give a number from 1 to {MOST}")))
}

fn after<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
    let text = String::deserialize(from)?;
    let at = DateTime::parse_from_rfc3339(&text).map_err(|_| {
        D::Error::custom(format!("`{text}` is no time: write it as in `2026-12-31T18:00:00+01:00`"))
    })?;
    Ok(Some(Timestamp(at.timestamp_micros())))
}

fn time<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    let Span(time) = Span::deserialize(from)?;
    if time.is_zero() || time > LONGEST_TIMEOUT {
        return Err(D::Error::custom("`timeout` is more than nothing and at most `60s`"));
    }
    Ok(Some(time))
}

fn target<'de, D: Deserializer<'de>>(from: D) -> Result<Target, D::Error> {
    let text = String::deserialize(from)?;
    parse(&text).map_err(|why| D::Error::custom(format!("`{text}` is no URL of a webhook: {why}")))
}

fn parse(text: &str) -> Result<Target, String> {
    let uri: Uri = text.parse().map_err(|error| format!("{error}"))?;
    let is_tls = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        _ => return Err("it begins with `https://`".to_owned()),
    };
    let authority = uri.authority().ok_or("it names no host")?;
    if authority.as_str().contains('@') {
        return Err("a password in it would be written to logs; the receiver checks the signature".to_owned());
    }
    let host = authority.host().trim_matches(['[', ']']).to_owned();
    if host.is_empty() {
        return Err("it names no host".to_owned());
    }
    Ok(Target {
        text: text.to_owned(),
        is_tls,
        host,
        port: authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 }),
        authority: authority.to_string(),
        path: match uri.path_and_query().map_or("/", |path| path.as_str()) {
            path if path.starts_with('/') => path.to_owned(),
            query => format!("/{query}"),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(more: &str) -> Result<Webhook, String> {
        let text = format!("name = \"crm\"\nsecret-file = \"crm.secret\"\n{more}");
        let table: Table = toml::from_str(&text).map_err(|error| error.message().to_owned())?;
        checked(vec![table], Path::new("/state")).map(|mut webhooks| webhooks.remove(0))
    }

    #[test]
    fn what_is_not_said_has_its_default() {
        let webhook = read("url = \"https://crm.example/hook?from=mailrun\"").unwrap();
        assert_eq!((webhook.batch, webhook.timeout, webhook.allow_private), (1, TIMEOUT, false));
        assert_eq!(webhook.secrets, [PathBuf::from("/state/crm.secret")]);
        let Target { host, port, path, authority, .. } = webhook.target;
        assert_eq!((host.as_str(), port, path.as_str()), ("crm.example", 443, "/hook?from=mailrun"));
        assert_eq!(authority, "crm.example");
        let query = read("url = \"https://crm.example?from=mailrun\"").unwrap();
        assert_eq!(query.target.path, "/?from=mailrun");
        let six = read("url = \"https://[2001:db8::1]:8443\"\nkinds = [\"bounced\"]\nbatch = 1000").unwrap();
        assert_eq!((six.target.host.as_str(), six.target.port), ("2001:db8::1", 8443));
        assert_eq!(six.target.path, "/");
    }

    #[test]
    fn mistakes_are_refused() {
        for (text, said) in [
            ("url = \"ftp://x.example\"", "begins with `https://`"),
            ("url = \"https://me:secret@x.example\"", "a password in it"),
            ("url = \"http://x.example\"", "no `https` URL"),
            ("url = \"https://x.example\"\nbatch = 0", "from 1 to 1000"),
            ("url = \"https://x.example\"\nbatch = 1001", "from 1 to 1000"),
            ("url = \"https://x.example\"\nkinds = [\"bounce\"]", "unknown kind `bounce`"),
            ("url = \"https://x.example\"\ntimeout = \"2min\"", "at most `60s`"),
            ("url = \"https://x.example\"\nafter = \"monday\"", "is no time"),
            ("url = \"https://x.example\"\nsecret = \"whsec_\"", "unknown field"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
        let table = |name| {
            format!("[[webhook]]\nname = \"{name}\"\nurl = \"https://x.example\"\nsecret-file = \"s\"\n")
        };
        #[derive(Deserialize)]
        struct File {
            webhook: Vec<Table>,
        }
        let two: File = toml::from_str(&(table("a") + &table("a"))).unwrap();
        assert!(checked(two.webhook, Path::new("")).unwrap_err().contains("two webhooks"));
        assert!(toml::from_str::<File>(&table("../a")).is_err());
    }
}

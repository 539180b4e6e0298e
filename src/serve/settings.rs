//! `serve.toml` in the state directory: where to listen, and with which certificates.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::accounts::{Account, AccountTable, accounts};
use super::proxy::Proxy;
use crate::campaign::Span;
use crate::job::{JobError, Workspace};
use crate::kit::socket::Place;
use crate::webhook;

/// The file in the state directory.
const FILE: &str = "serve.toml";
/// Nobody opens a message sooner after its acceptance, and programs that look at it do.
const PEOPLE_AFTER: Duration = Duration::from_secs(5);

/// The settings can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    /// The file can't be read.
    #[error("can't read the settings of serve")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is not TOML, or says what is not known.
    #[error("the settings of serve are wrong: {problem}")]
    Wrong {
        /// The file.
        path: PathBuf,
        /// Line and column, from 1.
        at: Option<(usize, usize)>,
        /// What is wrong.
        problem: String,
    },
    /// A place that others reach would be answered in clear.
    #[error(
        "`{place}` is no loopback address, and there is no certificate: others could read and change what is sent"
    )]
    Clear {
        /// The file.
        path: PathBuf,
        /// Where to listen.
        place: Place,
    },
}

impl SettingsError {
    /// The file, with the line where that is known.
    pub(crate) fn place(&self) -> String {
        match self {
            Self::Read { path, .. } | Self::Clear { path, .. } | Self::Wrong { path, at: None, .. } => {
                path.display().to_string()
            }
            Self::Wrong { path, at: Some((line, column)), .. } => {
                format!("{}:{line}:{column}", path.display())
            }
        }
    }

    /// What to do.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::Read { .. } => {
                "write it, such as `[recipients]` with `listen = [\"127.0.0.1:8080\"]`, or name another with `--config FILE`"
            }
            Self::Wrong { .. } => "docs/serve.md lists what it may say",
            Self::Clear { .. } => {
                "set `certificate` and `key`; where a proxy before it speaks TLS, listen on 127.0.0.1 or a Unix socket, or set `plain = true` (in `[api]` and `[page]`: `trusted-proxies`)"
            }
        }
    }
}

/// The file.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct File {
    recipients: Option<RecipientsTable>,
    api: Option<AccountsTable>,
    page: Option<AccountsTable>,
    submission: Option<SubmissionTable>,
    #[serde(default)]
    account: Vec<AccountTable>,
    #[serde(default)]
    webhook: Vec<webhook::Table>,
}

/// `[recipients]`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct RecipientsTable {
    listen: Vec<Place>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    #[serde(default)]
    plain: bool,
    #[serde(default)]
    campaigns: Vec<PathBuf>,
    people_after: Option<Span>,
}

/// `[api]`, and `[page]`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct AccountsTable {
    listen: Vec<Place>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    #[serde(default)]
    trusted_proxies: Vec<Proxy>,
}

/// `[submission]`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct SubmissionTable {
    #[serde(default)]
    listen: Vec<Place>,
    #[serde(default)]
    listen_tls: Vec<Place>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    spool: PathBuf,
}

/// What is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    /// What recipients reach.
    pub recipients: Option<Face>,
    /// Campaigns whose `[unsubscribe]` names a secret of its own: files or folders.
    pub campaigns: Vec<PathBuf>,
    /// Opens and clicks that come sooner after the message's acceptance are no person's.
    pub people_after: Duration,
    /// What programs ask.
    pub api: Option<AccountsFace>,
    /// What people look at.
    pub page: Option<AccountsFace>,
    /// What programs hand over.
    pub submission: Option<SubmissionSettings>,
}

/// Where programs hand over mails, and who may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SubmissionSettings {
    /// Where STARTTLS is offered, if there is a certificate.
    pub listen: Vec<Place>,
    /// Where TLS begins with the first byte (RFC 8314).
    pub listen_tls: Vec<Place>,
    /// With TLS.
    pub tls: Option<TlsFiles>,
    /// Who may.
    pub accounts: Vec<Account>,
    /// Where mails wait for a campaign.
    pub spool: PathBuf,
}

/// What accounts reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AccountsFace {
    /// Where.
    pub face: Face,
    /// Who may ask.
    pub accounts: Vec<Account>,
    /// Who says for whom they ask.
    pub proxies: Vec<Proxy>,
}

/// Places that are answered in the same way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Face {
    /// Where to listen.
    pub listen: Vec<Place>,
    /// With TLS.
    pub tls: Option<TlsFiles>,
}

/// PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    /// The certificate, and those that lead to its root.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl Settings {
    /// The file that is read where no other is named.
    pub(crate) fn default_file(workspace: &Workspace) -> Result<PathBuf, JobError> {
        Ok(workspace.state_dir()?.join(FILE))
    }

    /// Reads a file. Paths in it are relative to its folder.
    pub(crate) fn read(path: &Path) -> Result<Self, SettingsError> {
        let text = fs::read_to_string(path)
            .map_err(|source| SettingsError::Read { path: path.to_owned(), source })?;
        Self::parse(&text, path)
    }

    fn parse(text: &str, path: &Path) -> Result<Self, SettingsError> {
        let wrong = |at, problem: String| SettingsError::Wrong { path: path.to_owned(), at, problem };
        let File { recipients, api, page, submission, account, webhook } =
            toml::from_str(text).map_err(|error| {
                let at = error.span().map(|span| line_and_column(text, span.start));
                wrong(at, error.message().to_owned())
            })?;
        let problem = |text: &str| wrong(None, text.to_owned());
        let has_accounts = api.is_some() || page.is_some() || submission.is_some();
        // Events are delivered without listening anywhere.
        if recipients.is_none() && !has_accounts && webhook.is_empty() {
            return Err(problem(
                "it has none of `[recipients]`, `[api]`, `[page]`, `[submission]` and `[[webhook]]`",
            ));
        }
        if !has_accounts && !account.is_empty() {
            return Err(problem(
                "`[[account]]` says who may use `[api]`, `[page]` or `[submission]`, and all are missing",
            ));
        }
        let accounts = accounts(account).map_err(|problem| wrong(None, problem))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        webhook::checked(webhook, folder).map_err(|problem| wrong(None, problem))?;
        let people_after = recipients.as_ref().and_then(|table| table.people_after);
        let people_after = people_after.map_or(PEOPLE_AFTER, |span| span.0);
        let (recipients, campaigns) = match recipients {
            Some(RecipientsTable { listen, certificate, key, plain, campaigns, people_after: _ }) => {
                let files = (certificate, key);
                let campaigns = campaigns.into_iter().map(|campaign| folder.join(campaign)).collect();
                (Some(face("recipients", listen, files, plain, path)?), campaigns)
            }
            None => (None, Vec::new()),
        };
        let of_accounts = |name: &str, table: Option<AccountsTable>| {
            let Some(AccountsTable { listen, certificate, key, trusted_proxies }) = table else {
                return Ok(None);
            };
            if accounts.is_empty() {
                return Err(problem(&format!("`[{name}]` has no `[[account]]`: nobody could use it")));
            }
            // Behind a proxy that speaks TLS: who comes another way is refused.
            let plain = !trusted_proxies.is_empty();
            let face = face(name, listen, (certificate, key), plain, path)?;
            Ok(Some(AccountsFace { face, accounts: accounts.clone(), proxies: trusted_proxies }))
        };
        let (api, page) = (of_accounts("api", api)?, of_accounts("page", page)?);
        let submission = match submission {
            Some(table) => Some(submission_settings(table, accounts, path)?),
            None => None,
        };
        Ok(Self { recipients, campaigns, people_after, api, page, submission })
    }
}

fn submission_settings(
    table: SubmissionTable,
    accounts: Vec<Account>,
    path: &Path,
) -> Result<SubmissionSettings, SettingsError> {
    let SubmissionTable { listen, listen_tls, certificate, key, spool } = table;
    let wrong =
        |problem: &str| SettingsError::Wrong { path: path.to_owned(), at: None, problem: problem.into() };
    let accounts: Vec<Account> = accounts.into_iter().filter(|account| account.submit.is_some()).collect();
    if accounts.is_empty() {
        return Err(wrong(
            "`[submission]` has no `[[account]]` with `submit`: nobody could hand over a mail",
        ));
    }
    let all = [listen.clone(), listen_tls.clone()].concat();
    let Face { tls, .. } = face("submission", all, (certificate, key), false, path)?;
    if tls.is_none() && !listen_tls.is_empty() {
        return Err(wrong("`listen-tls` in `[submission]` needs `certificate` and `key`"));
    }
    let spool = path.parent().unwrap_or(Path::new("")).join(spool);
    Ok(SubmissionSettings { listen, listen_tls, tls, accounts, spool })
}

/// The places of a table, and how they are answered.
fn face(
    table: &str,
    listen: Vec<Place>,
    files: (Option<PathBuf>, Option<PathBuf>),
    plain: bool,
    path: &Path,
) -> Result<Face, SettingsError> {
    let wrong = |problem: String| SettingsError::Wrong { path: path.to_owned(), at: None, problem };
    let folder = path.parent().unwrap_or(Path::new(""));
    if listen.is_empty() {
        return Err(wrong(format!("`listen` in `[{table}]` names no address")));
    }
    let tls = match files {
        (Some(certificate), Some(key)) => {
            Some(TlsFiles { certificate: folder.join(certificate), key: folder.join(key) })
        }
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => {
            return Err(wrong("`certificate` and `key` belong together".to_owned()));
        }
    };
    let is_open = |place: &&Place| matches!(place, Place::Tcp(addr) if !addr.ip().is_loopback());
    if tls.is_none()
        && !plain
        && let Some(place) = listen.iter().find(is_open)
    {
        return Err(SettingsError::Clear { path: path.to_owned(), place: place.clone() });
    }
    Ok(Face { listen, tls })
}

/// Where a byte of a text is: line and column, from 1.
fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(at)];
    let line = before.rsplit('\n').next().unwrap_or_default();
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Settings, SettingsError> {
        Settings::parse(text, Path::new("/state/serve.toml"))
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let read = parse(
            "[recipients]\nlisten = [\"0.0.0.0:443\", \"/run/u.sock\"]\ncertificate = \"tls/full.pem\"\nkey = \"/etc/key.pem\"\ncampaigns = [\"../spring\"]",
        )
        .unwrap();
        let tls = TlsFiles { certificate: "/state/tls/full.pem".into(), key: "/etc/key.pem".into() };
        assert_eq!(read.recipients.as_ref().unwrap().tls, Some(tls));
        assert_eq!(read.campaigns, [PathBuf::from("/state/../spring")]);
        assert_eq!(read.recipients.unwrap().listen.len(), 2);
    }

    #[test]
    fn in_clear_only_where_nobody_else_listens() {
        for fine in ["127.0.0.1:80", "[::1]:80", "/run/u.sock"] {
            assert!(parse(&format!("[recipients]\nlisten = [\"{fine}\"]")).is_ok(), "{fine}");
        }
        let open = "[recipients]\nlisten = [\"10.0.0.1:80\"]";
        assert!(matches!(parse(open), Err(SettingsError::Clear { .. })));
        assert!(parse(&format!("{open}\nplain = true")).is_ok());
    }

    #[test]
    fn mistakes_have_their_place() {
        for (text, place, said) in [
            ("[recipients]\nlisten = [\"x\"]", "/state/serve.toml:2:10", "neither an address"),
            (
                "",
                "/state/serve.toml",
                "none of `[recipients]`, `[api]`, `[page]`, `[submission]` and `[[webhook]]`",
            ),
            ("[recipients]\nlisten = []", "/state/serve.toml", "names no address"),
            ("[recipients]\nlisten = [\"/u\"]\nkey = \"k\"", "/state/serve.toml", "belong together"),
            ("[recipients]\nlisten = [\"/u\"]\nports = 1", "/state/serve.toml:3:1", "unknown field"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.to_string().contains(said), "{error}");
            assert_eq!(error.place(), place);
        }
    }
}

//! `senders.toml`: who may be in `From`, shared by campaigns.
//!
//! Each sender has its own keys, return path, egress pool and capacity account, so that several
//! senders keep their reputations apart. A campaign must not contradict its sender. What it does
//! not say itself, its sender or its account may say for it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::accounts::{self, Account, Defaults};
use super::error::Mistake;
use super::platforms::{self, Platform};
use super::units::optional_text;
use super::{Campaign, CampaignError, Dkim, MxTls, RelayTls, RouteKind, SmimeCertificates};
use crate::kit::text::command;
use crate::mail::{Address, Domain, Mailbox};

/// The account of a campaign that names no account.
const DEFAULT_ACCOUNT: &str = "default";

/// The registry of senders.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Senders {
    /// Only addresses that `mailrun sender verify --address` has verified may be used.
    #[serde(default)]
    pub require_verified: bool,
    /// `[[sender]]`, in order.
    #[serde(default, rename = "sender")]
    pub senders: Vec<RegisteredSender>,
    /// `[[account]]`, in order.
    #[serde(default, rename = "account", skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<Account>,
    /// `[[platform]]`, in order: who else sends in the name of the domains.
    #[serde(default, rename = "platform", skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<Platform>,
    /// The file.
    #[serde(skip)]
    pub path: PathBuf,
}

/// `[[sender]]`: an address, or all of a domain.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RegisteredSender {
    /// Every address of this domain may be used.
    #[serde(default, with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub domain: Option<Domain>,
    /// Only this address; it takes precedence over its domain.
    #[serde(default, with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
    /// `MAIL FROM` of its campaigns.
    #[serde(default, with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub return_path: Option<Address>,
    /// The egress pool of its campaigns: they leave only from its addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub egress_pool: Option<String>,
    /// The capacity account of its campaigns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity_account: Option<String>,
    /// The least transport security of its campaigns, on every way that their mail takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<MxTls>,
    /// `Reply-To` of campaigns without one.
    #[serde(default, with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<Mailbox>,
    /// The archive of campaigns without one: an address that gets a copy of every message.
    #[serde(default, with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub archive_bcc: Option<Address>,
    /// `List-Id` of campaigns without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list_id: Option<String>,
    /// More header fields of its campaigns, name to value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// `[sender.smime]`: the certificate of campaigns without one, as in a campaign file.
    #[serde(default, skip_serializing_if = "SmimeCertificates::is_empty")]
    pub smime: SmimeCertificates,
    /// `[[sender.dkim]]`: its keys, as in a campaign file; relative paths start from the registry's
    /// folder.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dkim: Vec<Dkim>,
}

/// The key of the relay without a name.
const RELAY_TLS: &str = "delivery.relay.tls";

/// Why a campaign may not send with its settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotRegistered {
    /// No sender has its From.
    #[error("From `{from}` is not registered")]
    From {
        /// The address.
        from: String,
    },
    /// It contradicts its sender.
    #[error("`{key}` is `{found}`, but the sender of `{from}` is registered with `{registered}`")]
    Other {
        /// The key of the campaign file.
        key: &'static str,
        /// The From address.
        from: String,
        /// The campaign's value.
        found: String,
        /// The registry's value.
        registered: String,
    },
    /// Its sender has an egress pool, and the campaign has no address of it.
    #[error("no `[[egress]]` of the pool `{pool}`, from which all mail of `{from}` must leave")]
    NoPool {
        /// The From address.
        from: String,
        /// The registry's pool.
        pool: String,
    },
    /// Its archive can't get copies.
    #[error("the archive `{archive}` of `{from}` gets no copies with route `mx`")]
    Archive {
        /// The From address.
        from: String,
        /// The registry's archive.
        archive: Address,
    },
    /// Nobody has shown that mail to the address arrives.
    #[error("the address `{from}` is not verified{}", if *is_pending { " yet" } else { "" })]
    Unverified {
        /// The From address.
        from: String,
        /// Whether a mail with a token was sent to it.
        is_pending: bool,
    },
}

impl NotRegistered {
    /// The key of the campaign file that contradicts the registry, and its value.
    pub(crate) fn contradiction(&self) -> Option<(&'static str, &str)> {
        match self {
            Self::Other { key, found, .. } => Some((key, found)),
            Self::From { .. } | Self::NoPool { .. } | Self::Archive { .. } | Self::Unverified { .. } => None,
        }
    }

    /// What to do.
    pub fn hint(&self) -> String {
        match self {
            Self::From { from } => {
                let domain = from.rsplit_once('@').map_or(from.as_str(), |(_, domain)| domain);
                format!("add it to the registry: [[sender]] with domain = \"{domain}\"")
            }
            Self::Other { key: "relay.tls" | RELAY_TLS, .. } => {
                "set it to \"required\" or \"implicit\": both verify the relay's certificate".into()
            }
            Self::Other { key, .. } => format!("leave `{key}` out of the campaign file: the registry has it"),
            Self::NoPool { pool, .. } => {
                format!(
                    "add the addresses of the pool to the campaign file: [[egress]] with pool = \"{pool}\""
                )
            }
            Self::Archive { .. } => {
                "use route `relay`: recipients' servers take no mail for the archive".into()
            }
            Self::Unverified { from, is_pending: true } => {
                let verify = command(["sender", "verify", "--address", from, "--token", "TOKEN"]);
                format!("hand the token of the mail to `{verify}`")
            }
            Self::Unverified { from, is_pending: false } => {
                let verify = command(["sender", "verify", "--address", from, "--campaign", "FILE"]);
                format!("`{verify}` sends a mail with a token to it")
            }
        }
    }
}

impl Senders {
    /// Reads and checks the registry at `path`.
    pub fn load(path: &Path) -> Result<Self, CampaignError> {
        let text = fs::read_to_string(path).map_err(|source| CampaignError::read(path, source))?;
        let mut senders: Self =
            toml::from_str(&text).map_err(|error| CampaignError::toml(path, &text, &error))?;
        senders.path = path.to_owned();
        let folder = path.parent().unwrap_or(Path::new("."));
        for sender in &mut senders.senders {
            if sender.domain.is_some() == sender.address.is_some() {
                let problem = "a sender has either `domain` or `address`";
                let mistake = Mistake::new("sender.domain", problem, "name one of them");
                return Err(CampaignError::check(path, &text, mistake));
            }
            for dkim in &mut sender.dkim {
                dkim.key = folder.join(&dkim.key);
            }
            sender.smime.resolve_paths(folder);
            sender.smime.check().map_err(|mistake| CampaignError::check(path, &text, mistake))?;
        }
        let registered: Vec<_> = senders.senders.iter().filter_map(RegisteredSender::in_account).collect();
        let checked = check_each(&senders.senders)
            .and_then(|()| accounts::check(&senders.accounts, &registered))
            .and_then(|()| platforms::check(&mut senders.platforms));
        checked.map_err(|mistake| CampaignError::check(path, &text, mistake))?;
        Ok(senders)
    }

    /// The sender that may use `from`: by address, or else by domain.
    pub fn find(&self, from: &Address) -> Option<&RegisteredSender> {
        let by_address = self.senders.iter().find(|sender| sender.address.as_ref() == Some(from));
        by_address
            .or_else(|| self.senders.iter().find(|sender| sender.domain.as_ref() == Some(from.domain())))
    }

    /// Fills in what the sender of `campaign` is registered with.
    ///
    /// # Errors
    /// Its From is not registered, or it contradicts its sender.
    pub fn apply(&self, campaign: &mut Campaign) -> Result<(), NotRegistered> {
        // A file that only names platforms registers nobody.
        if self.senders.is_empty() && !self.platforms.is_empty() {
            return Ok(());
        }
        let address = campaign.sender.from.address.clone();
        let from = address.to_string();
        let sender = self.find(&address).ok_or_else(|| NotRegistered::From { from: from.clone() })?;
        let other = |key, found: String, registered: String| {
            Err(NotRegistered::Other { key, from: from.clone(), found, registered })
        };
        match (&campaign.sender.return_path, &sender.return_path) {
            (Some(found), Some(registered)) if found != registered => {
                return other("sender.return-path", found.to_string(), registered.to_string());
            }
            (None, Some(registered)) => campaign.sender.return_path = Some(registered.clone()),
            (Some(_), Some(_)) | (_, None) => {}
        }
        match (campaign.capacity.account.as_str(), &sender.capacity_account) {
            (_, None) => {}
            (DEFAULT_ACCOUNT, Some(registered)) => campaign.capacity.account.clone_from(registered),
            (found, Some(registered)) if found != registered => {
                return other("capacity.account", found.to_owned(), registered.clone());
            }
            (_, Some(_)) => {}
        }
        if let Some(pool) = &sender.egress_pool
            && campaign.delivery.route != RouteKind::Sandbox
        {
            campaign.egress.retain(|egress| egress.pool.as_ref() == Some(pool));
            if campaign.egress().next().is_none() {
                return Err(NotRegistered::NoPool { from, pool: pool.clone() });
            }
        }
        if campaign.dkim.is_empty() {
            campaign.dkim.clone_from(&sender.dkim);
        }
        if campaign.smime.is_empty() {
            campaign.smime.clone_from(&sender.smime);
        }
        if let Some(tls) = sender.tls
            && let Some((key, relay)) = weaker_relay(campaign, tls)
        {
            return other(key, relay.to_owned(), word(tls).to_owned());
        }
        campaign.delivery.mx.tls = campaign.delivery.mx.tls.max(sender.tls.unwrap_or_default());
        sender.defaults().fill(campaign);
        if let Some(account) = self.accounts.iter().find(|account| account.name == campaign.capacity.account)
        {
            account.defaults().fill(campaign);
        }
        if let Some(archive) = &campaign.sender.archive_bcc
            && campaign.delivery.route == RouteKind::Mx
        {
            return Err(NotRegistered::Archive { from, archive: archive.clone() });
        }
        let name = |dkim: &Dkim| format!("{}._domainkey.{}", dkim.selector, dkim.domain);
        let registered: Vec<String> = sender.dkim.iter().map(name).collect();
        let foreign = campaign.dkim.iter().map(name).find(|found| !registered.contains(found));
        match foreign {
            Some(found) if !registered.is_empty() => other("dkim", found, registered.join(", ")),
            Some(_) | None => Ok(()),
        }
    }
}

impl RegisteredSender {
    /// Its capacity account with its domain, or that of its address.
    fn in_account(&self) -> Option<(&str, &str)> {
        let domain = self.domain.as_ref().or_else(|| self.address.as_ref().map(Address::domain))?;
        Some((self.capacity_account.as_deref()?, domain.as_str()))
    }

    fn defaults(&self) -> Defaults<'_> {
        Defaults {
            reply_to: self.reply_to.as_ref(),
            archive_bcc: self.archive_bcc.as_ref(),
            list_id: self.list_id.as_ref(),
            headers: &self.headers,
        }
    }

    /// As it is compared: letter case makes no difference.
    fn name(&self) -> String {
        match (&self.address, &self.domain) {
            (Some(address), _) => address.to_string().to_lowercase(),
            (None, Some(domain)) => domain.to_string(),
            (None, None) => String::new(),
        }
    }
}

fn check_each(senders: &[RegisteredSender]) -> Result<(), Mistake> {
    for (at, sender) in senders.iter().enumerate() {
        accounts::check_archive(sender.archive_bcc.as_ref(), "sender.archive-bcc")?;
        let name = sender.name();
        if let Some(first) = senders[..at].iter().position(|other| other.name() == name) {
            let problem = format!("`{name}` is registered twice: `[[sender]]` {} and {}", first + 1, at + 1);
            let key = if sender.address.is_some() { "sender.address" } else { "sender.domain" };
            return Err(Mistake::new(key, problem, "keep one of them"));
        }
    }
    Ok(())
}

/// The `tls` of a relay that gives less than `least`, after its key.
fn weaker_relay(campaign: &Campaign, least: MxTls) -> Option<(&'static str, &'static str)> {
    let named = campaign.relay.iter().map(|relay| ("relay.tls", relay));
    let relays = named.chain(campaign.delivery.relay.iter().map(|relay| (RELAY_TLS, relay)));
    let weak = |relay: &super::Relay| match (relay.tls, least) {
        (RelayTls::Opportunistic, MxTls::Required | MxTls::Verified) => Some("opportunistic"),
        (RelayTls::None, MxTls::Required | MxTls::Verified) => Some("none"),
        (RelayTls::Required | RelayTls::Implicit, _) | (_, MxTls::Opportunistic) => None,
    };
    let mut weak = relays.filter_map(|(key, relay)| Some((key, weak(relay)?)));
    weak.next().filter(|_| campaign.delivery.route != RouteKind::Sandbox)
}

const fn word(tls: MxTls) -> &'static str {
    match tls {
        MxTls::Opportunistic => "opportunistic",
        MxTls::Required => "required",
        MxTls::Verified => "verified",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGISTRY: &str = r#"
[[sender]]
domain = "news.example.com"
return-path = "bounces@news.example.com"
capacity-account = "news"
[[sender.dkim]]
domain = "news.example.com"
selector = "s1"
key = "keys/s1.pem"
[[sender]]
address = "vip@news.example.com"
capacity-account = "vip"
"#;

    fn campaign(from: &str, sender: &str, more: &str) -> Campaign {
        let text = format!(
            "[campaign]\nid = \"x\"\n[sender]\nfrom = \"{from}\"\n{sender}\n[target-group]\nfiles = [\"a.csv\"]\n\
             [template]\nsubject = \"x\"\ntext = \"a.hbs\"\n[delivery]\nroute = \"sandbox\"\n{more}\n"
        );
        Campaign::parse(&text, Path::new("c/campaign.toml")).unwrap()
    }

    fn apply(campaign: &mut Campaign) -> Result<(), NotRegistered> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("senders.toml");
        fs::write(&path, REGISTRY).unwrap();
        let applied = Senders::load(&path).unwrap().apply(campaign);
        if let Some(dkim) = campaign.dkim.first() {
            assert!(dkim.key.ends_with("keys/s1.pem"), "{dkim:?}");
        }
        applied
    }

    #[test]
    fn a_campaign_gets_what_its_sender_is_registered_with() {
        let mut plain = campaign("News <a@news.example.com>", "", "");
        apply(&mut plain).unwrap();
        assert_eq!(plain.sender.return_path().to_string(), "bounces@news.example.com");
        assert_eq!((plain.capacity.account.as_str(), plain.dkim.len()), ("news", 1));
        let mut vip = campaign("vip@news.example.com", "", "");
        apply(&mut vip).unwrap();
        assert_eq!(
            (vip.capacity.account.as_str(), vip.dkim.len()),
            ("vip", 0),
            "the address takes precedence over its domain"
        );
    }

    #[test]
    fn a_pool_leaves_its_own_addresses_and_nothing_else() {
        let registry = REGISTRY.replace("capacity-account = \"vip\"", "egress-pool = \"slow\"");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("senders.toml");
        fs::write(&path, registry).unwrap();
        let registry = Senders::load(&path).unwrap();
        let pools =
            "[[egress]]\naddress = \"192.0.2.1\"\npool = \"slow\"\n[[egress]]\naddress = \"192.0.2.2\"\n";
        for route in [RouteKind::Mx, RouteKind::Relay] {
            let mut vip = campaign("vip@news.example.com", "", pools);
            vip.delivery.route = route;
            registry.apply(&mut vip).unwrap();
            let addresses: Vec<_> = vip.egress().map(|egress| egress.address.to_string()).collect();
            assert_eq!(addresses, ["192.0.2.1"]);
            let mut without = campaign("vip@news.example.com", "", "");
            without.delivery.route = route;
            let error = registry.apply(&mut without).unwrap_err();
            assert!(error.to_string().contains("no `[[egress]]` of the pool `slow`"), "{error}");
            assert!(error.hint().contains("pool = \"slow\""), "{}", error.hint());
        }
        // The embedded receiver is on this machine, whatever addresses the real mail leaves from.
        registry.apply(&mut campaign("vip@news.example.com", "", "")).unwrap();
    }

    #[test]
    fn what_is_not_registered_is_refused() {
        let refused = |from: &str, sender: &str, more: &str, what: &str| {
            let error = apply(&mut campaign(from, sender, more)).unwrap_err();
            assert!(error.to_string().contains(what) && !error.hint().is_empty(), "{error}");
        };
        refused("a@example.com", "", "", "From `a@example.com` is not registered");
        refused("a@sub.news.example.com", "", "", "is not registered");
        refused(
            "a@news.example.com",
            "return-path = \"b@example.com\"",
            "",
            "`sender.return-path` is `b@example.com`",
        );
        refused("a@news.example.com", "", "[capacity]\naccount = \"other\"", "`capacity.account` is `other`");
        let key = "[[dkim]]\ndomain = \"news.example.com\"\nselector = \"s9\"\nkey = \"keys/s1.pem\"";
        refused("a@news.example.com", "", key, "s9._domainkey.news.example.com");
    }

    fn registry(text: &str) -> Result<Senders, CampaignError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("senders.toml");
        fs::write(&path, text).unwrap();
        Senders::load(&path)
    }

    #[test]
    fn a_sender_that_demands_tls_has_it_on_every_way() {
        let senders = registry("[[sender]]\ndomain = \"example.com\"\ntls = \"verified\"\n").unwrap();
        let mut by_mx = campaign("a@example.com", "", "");
        by_mx.delivery.route = RouteKind::Mx;
        senders.apply(&mut by_mx).unwrap();
        assert_eq!(by_mx.delivery.mx.tls, MxTls::Verified);
        for (tls, is_refused) in
            [("required", false), ("implicit", false), ("opportunistic", true), ("none", true)]
        {
            let relay = format!("[delivery.relay]\nhost = \"h\"\ntls = \"{tls}\"");
            let mut by_relay = campaign("a@example.com", "", &relay);
            by_relay.delivery.route = RouteKind::Relay;
            let applied = senders.apply(&mut by_relay);
            assert_eq!(applied.is_err(), is_refused, "{tls}: {applied:?}");
            if let Err(error) = applied {
                assert!(error.to_string().contains(&format!("`delivery.relay.tls` is `{tls}`")), "{error}");
            }
        }
    }

    #[test]
    fn senders_and_accounts_say_what_a_campaign_does_not() {
        let senders = registry(
            "[[sender]]\ndomain = \"example.com\"\ncapacity-account = \"news\"\nreply-to = \"care@example.com\"\n\
             [sender.headers]\nX-Team = \"sender\"\n\
             [[account]]\nname = \"news\"\nreply-to = \"all@example.com\"\narchive-bcc = \"archive@example.com\"\n\
             list-id = \"news.example.com\"\n[account.headers]\nX-Team = \"account\"\nX-Account = \"news\"\n",
        )
        .unwrap();
        let mut plain = campaign("a@example.com", "", "[sender.headers]\nx-account = \"own\"");
        senders.apply(&mut plain).unwrap();
        assert_eq!(plain.sender.reply_to.as_ref().unwrap().address.to_string(), "care@example.com");
        assert_eq!(plain.sender.archive_bcc.as_ref().unwrap().to_string(), "archive@example.com");
        assert_eq!(plain.identity.list_id.as_deref(), Some("news.example.com"));
        let headers: Vec<_> =
            plain.sender.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        assert_eq!(headers, ["X-Team: sender", "x-account: own"]);
        let mut by_mx = campaign("a@example.com", "", "");
        by_mx.delivery.route = RouteKind::Mx;
        let error = senders.apply(&mut by_mx).unwrap_err();
        assert!(error.to_string().contains("the archive `archive@example.com`"), "{error}");
    }

    #[test]
    fn what_is_registered_twice_or_too_often_is_named() {
        let refused = |text: &str, problem: &str, line: usize| {
            let error = registry(text).unwrap_err();
            assert_eq!(error.problem, problem);
            assert_eq!(error.place.map(|(line, _)| line), Some(line), "{text}");
        };
        let domain = |name: &str| format!("[[sender]]\ndomain = \"{name}\"\ncapacity-account = \"a\"\n");
        let twice = [domain("b.example"), domain("x.example"), domain("B.example")].concat();
        refused(&twice, "`b.example` is registered twice: `[[sender]]` 1 and 3", 2);
        let address = |name: &str| format!("[[sender]]\naddress = \"{name}\"\n");
        let twice = [address("a@b.example"), address("A@b.example")].concat();
        refused(&twice, "`a@b.example` is registered twice: `[[sender]]` 1 and 2", 2);
        let archive = format!("{}archive-bcc = \"josé@b.example\"\n", domain("b.example"));
        refused(&archive, "with `josé@b.example`, no message could go to a server without SMTPUTF8", 4);
        let account = "[[account]]\nname = \"a\"\ndomains = 1\n";
        refused(&[account, account].concat(), "`[[account]]` 1 and 2 are both named `a`", 2);
        let quota = [account, &domain("b.example"), &domain("c.example")].concat();
        refused(
            &quota,
            "the account `a` may have 1 sender domain, and has more: `b.example`, `c.example`",
            3,
        );
        let fits = [account, &domain("b.example"), &address("x@b.example")].concat();
        registry(&fits).unwrap();
    }

    #[test]
    fn a_registry_with_a_mistake_names_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("senders.toml");
        fs::write(&path, "[[sender]]\ndomian = \"example.com\"\n").unwrap();
        let error = Senders::load(&path).unwrap_err();
        assert_eq!(error.hint.as_deref(), Some("did you mean `domain`?"));
        fs::write(&path, "[[sender]]\negress-pool = \"a\"\n").unwrap();
        assert!(Senders::load(&path).unwrap_err().problem.contains("either"));
    }
}

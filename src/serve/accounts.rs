//! `[[account]]` of `serve.toml`: who may use the API and the page, and see which runs.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU64;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, Params, PasswordHasher, PasswordVerifier};
use ring::rand::{SecureRandom, SystemRandom};
use serde::Deserialize;

use crate::campaign::Network;
use crate::mail::{Address, Domain};
use crate::run_dir::Manifest;

/// What a hash may cost to check: memory in KiB,
const MOST_MEMORY: u32 = 256 * 1024;
/// passes over it,
const MOST_PASSES: u32 = 16;
/// and lanes.
const MOST_LANES: u32 = 16;
/// The random bytes of a new hash (RFC 9106 §3.1).
const SALT_BYTES: usize = 16;
/// The longest password.
const PASSWORD_BYTES: usize = 1_024;
/// The longest name of an account.
const NAME_BYTES: usize = 64;
/// Stands for all campaigns.
const ALL: &str = "*";

/// `[[account]]`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct AccountTable {
    name: String,
    password_hash: Option<Hash>,
    #[serde(default)]
    campaigns: Vec<String>,
    #[serde(default)]
    senders: Vec<String>,
    #[serde(default)]
    allow: Vec<Network>,
    #[serde(default)]
    suppress: bool,
    submit: Option<Submit>,
}

/// `submit` of an account: it may hand over mails from its `senders`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Submit {
    /// So many recipients an hour.
    pub recipients_per_hour: Option<NonZeroU64>,
}

/// Who may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    /// Its name, in Basic authentication and in paths.
    pub name: String,
    /// What its password is checked against; without it, its addresses alone say who it is.
    pub password: Option<Hash>,
    /// Where it may ask from; anywhere where there is none.
    allow: Vec<Network>,
    /// The ids of the campaigns whose runs it sees,
    campaigns: Vec<String>,
    /// and the addresses and domains of `From` whose runs it sees.
    senders: Vec<String>,
    /// It may hand over mails.
    pub(super) submit: Option<Submit>,
    /// Whether it sees the suppression list, which all campaigns share, and changes it.
    pub suppress: bool,
}

/// The hash of a password, as a PHC string.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct Hash(String);

/// Shows no hash.
impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hash(…)")
    }
}

/// No hash can be made of a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadPassword {
    /// It is empty.
    #[error("the password is empty")]
    Empty,
    /// It is too long.
    #[error("the password is longer than {PASSWORD_BYTES} bytes")]
    Long,
    /// Basic authentication can't carry it (RFC 7617 §2).
    #[error("the password has a control character")]
    Control,
    /// There are no random bytes, or no memory.
    #[error("no hash can be made: {0}")]
    Failed(String),
}

impl Hash {
    /// The hash of a password (argon2id), with a new salt.
    pub(crate) fn of(password: &str) -> Result<String, BadPassword> {
        if password.is_empty() {
            return Err(BadPassword::Empty);
        }
        if password.len() > PASSWORD_BYTES {
            return Err(BadPassword::Long);
        }
        if password.chars().any(char::is_control) {
            return Err(BadPassword::Control);
        }
        let mut salt = [0; SALT_BYTES];
        let random = SystemRandom::new().fill(&mut salt);
        random.map_err(|_| BadPassword::Failed("the system gives no random bytes".to_owned()))?;
        let hash = Argon2::default().hash_password_with_salt(password.as_bytes(), &salt);
        hash.map(|hash| hash.to_string()).map_err(|error| BadPassword::Failed(error.to_string()))
    }

    /// A hash that no password has, as costly as `like`, or else as one that [`Self::of`] makes.
    pub(super) fn of_nobody(like: Option<&Self>) -> Self {
        let like = like.and_then(|like| Params::try_from(&PasswordHash::new(&like.0).ok()?).ok());
        let params = like.unwrap_or(Params::DEFAULT);
        let (salt, hash) = ("A".repeat(22), "A".repeat(43));
        let (m, t, p) = (params.m_cost(), params.t_cost(), params.p_cost());
        Self(format!("$argon2id$v=19$m={m},t={t},p={p}${salt}${hash}"))
    }

    /// Whether this is the hash of a password. Takes long, and memory.
    pub(super) fn is_of(&self, password: &[u8]) -> bool {
        password.len() <= PASSWORD_BYTES
            && PasswordHash::new(&self.0)
                .is_ok_and(|hash| Argon2::default().verify_password(password, &hash).is_ok())
    }

    /// What is wrong with it. Says nothing of its text, which may be a password by mistake.
    fn problem(&self) -> Option<&'static str> {
        let Ok(hash) = PasswordHash::new(&self.0) else {
            return Some("is no PHC string: `mailrun serve password` prints one");
        };
        let is_argon2 = hash.algorithm.as_str().starts_with("argon2");
        if !is_argon2 || hash.salt.is_none() || hash.hash.is_none() {
            return Some("is no hash by argon2: `mailrun serve password` prints one");
        }
        match Params::try_from(&hash) {
            Ok(params) => {
                let is_bounded = params.m_cost() <= MOST_MEMORY
                    && params.t_cost() <= MOST_PASSES
                    && params.p_cost() <= MOST_LANES;
                (!is_bounded).then_some("costs too much to check: at most m=262144,t=16,p=16")
            }
            Err(_) => Some("has parameters that argon2 does not know"),
        }
    }
}

impl Account {
    /// Whether it may ask from an address. Nobody knows the address of who comes through a proxy
    /// that does not say it.
    pub(super) fn may_ask_from(&self, address: Option<IpAddr>) -> bool {
        self.allow.is_empty()
            || address.is_some_and(|address| self.allow.iter().any(|network| network.contains(address)))
    }

    /// Whether it sees the runs of a campaign whoever sends them.
    pub(super) fn sees_campaign(&self, id: &str) -> bool {
        self.campaigns.iter().any(|own| own == ALL || own == id)
    }

    /// Whether it sees a run.
    pub(super) fn sees(&self, manifest: &Manifest) -> bool {
        self.sees_mail(&manifest.campaign_id, &manifest.campaign.sender.from.address)
    }

    /// Whether it sees what a campaign sends with this `From`.
    pub(super) fn sees_mail(&self, campaign: &str, from: &Address) -> bool {
        self.sees_campaign(campaign) || self.sends_from(from)
    }

    /// Whether it may see what counts all mail of a domain, whoever sends it.
    pub(super) fn sees_domain(&self, domain: &Domain) -> bool {
        self.campaigns.iter().any(|own| own == ALL) || self.senders.iter().any(|own| own == domain.as_str())
    }

    /// Whether an address is one of its own, or of a domain of its own.
    pub(super) fn sends_from(&self, from: &Address) -> bool {
        let (address, domain) = (from.to_string().to_lowercase(), from.domain().as_str());
        self.senders.iter().any(|own| *own == address || own == domain)
    }
}

/// The accounts of the file, checked.
pub(super) fn accounts(tables: Vec<AccountTable>) -> Result<Vec<Account>, String> {
    let mut accounts: Vec<Account> = Vec::new();
    for table in tables {
        let account = account(table)?;
        if accounts.iter().any(|other| other.name == account.name) {
            return Err(format!("two accounts have the name `{}`", account.name));
        }
        accounts.push(account);
    }
    Ok(accounts)
}

fn account(table: AccountTable) -> Result<Account, String> {
    let AccountTable { name, password_hash, campaigns, senders, allow, submit, suppress } = table;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > NAME_BYTES || name.starts_with('.') || !name.chars().all(fits) {
        return Err(format!(
            "`{name}` can't name an account: use up to {NAME_BYTES} letters, digits, `-`, `_` and `.`"
        ));
    }
    let of = |problem: &str| format!("account `{name}`: {problem}");
    if let Some(problem) = password_hash.as_ref().and_then(Hash::problem) {
        return Err(of(&format!("`password-hash` {problem}")));
    }
    if password_hash.is_none() && allow.is_empty() {
        return Err(of("it has neither `password-hash` nor `allow`: anybody could use it"));
    }
    // A page of somebody else could make a browser there send forms in its name.
    if password_hash.is_none() && suppress {
        return Err(of("with `suppress` it needs a `password-hash`"));
    }
    if campaigns.is_empty() && senders.is_empty() {
        return Err(of("it has neither `campaigns` nor `senders`: it would see no run"));
    }
    if submit.is_some() && (senders.is_empty() || password_hash.is_none()) {
        return Err(of("`submit` needs `senders`, which it may send from, and a `password-hash`"));
    }
    let senders = senders.into_iter().map(|text| {
        if text.contains('@') {
            let address = Address::parse(&text).map_err(|error| of(&error.to_string()))?;
            return Ok(address.to_string().to_lowercase());
        }
        let domain = Domain::parse(&text).map_err(|error| of(&error.to_string()))?;
        Ok(domain.as_str().to_owned())
    });
    let senders = senders.collect::<Result<Vec<_>, String>>()?;
    Ok(Account { name, password: password_hash, allow, campaigns, senders, submit, suppress })
}

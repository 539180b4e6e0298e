//! Who asks: every request has to be an account's.
//!
//! Whether a name, a password or an address is wrong, the answer is the same, and takes as long. A
//! hash that is checked takes memory and a processor, so few are checked at once; a password that
//! was right is known by a keyed hash, whose key nobody has, and costs nothing the next time.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::prelude::{BASE64_STANDARD, Engine};
use percent_encoding::percent_decode_str;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::accounts::{Account, Hash};
use super::problem::Problem;
use super::proxy::{Client, Peer, Proxy};

/// Hashes that are checked at once.
const AT_ONCE: usize = 2;
/// Requests that wait for theirs; more are answered that too many ask.
const WAITING: usize = 32;
/// What comes before the name of an account in a path.
const OF_ACCOUNT: &str = "/in365-api/";

/// The system gives no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random bytes")]
pub(crate) struct NoRandom;

/// A key that nobody else knows.
pub(super) fn random_key() -> Result<[u8; 32], NoRandom> {
    let mut key = [0; 32];
    SystemRandom::new().fill(&mut key).map_err(|_| NoRandom)?;
    Ok(key)
}

/// Lets accounts in.
pub(super) struct Gate {
    accounts: Vec<Known>,
    proxies: Vec<Proxy>,
    /// Checked where nobody is known by a name, so that this takes as long.
    nobody: Arc<Hash>,
    key: [u8; 32],
    waiting: Arc<Semaphore>,
    checking: Arc<Semaphore>,
}

struct Known {
    account: Arc<Account>,
    hash: Option<Arc<Hash>>,
    /// The keyed hash of the password that was right.
    right: Mutex<Option<blake3::Hash>>,
}

impl Gate {
    /// Lets `accounts` in. `key` is random, and nobody else knows it.
    pub(super) fn new(accounts: Vec<Account>, proxies: Vec<Proxy>, key: [u8; 32]) -> Self {
        let like = accounts.iter().find_map(|account| account.password.as_ref());
        let nobody = Arc::new(Hash::of_nobody(like));
        let known = accounts.into_iter().map(|account| Known {
            hash: account.password.clone().map(Arc::new),
            account: Arc::new(account),
            right: Mutex::new(None),
        });
        Self {
            accounts: known.collect(),
            proxies,
            nobody,
            key,
            waiting: Arc::new(Semaphore::new(WAITING)),
            checking: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// Finds out who asks, for what comes next.
    pub(super) async fn enter(&self, mut request: Request) -> Result<Request, Problem> {
        let peer = request.extensions().get::<Peer>().copied().ok_or(Problem::Failed)?;
        let account = self.account(peer, request.uri().path(), request.headers()).await?;
        request.extensions_mut().insert(account);
        Ok(request)
    }

    /// The account that asks.
    async fn account(&self, peer: Peer, path: &str, headers: &HeaderMap) -> Result<Arc<Account>, Problem> {
        let client = Client::of(peer, &self.proxies, headers);
        let client = client.map_err(|bad| Problem::Bad(bad.to_string()))?;
        if !client.is_private {
            return Err(Problem::Clear);
        }
        let may_ask = |known: &&Known| known.account.may_ask_from(client.address);
        let Some((name, password)) = credentials(headers)? else {
            let mut known = self.accounts.iter().filter(|known| known.hash.is_none()).filter(may_ask);
            let own = path.strip_prefix(OF_ACCOUNT).map(|path| path.split('/').next().unwrap_or(path));
            return match own.map(|own| percent_decode_str(own).decode_utf8_lossy()) {
                Some(name) => known.find(|known| known.account.name == name),
                None => known.next().filter(|_| known.next().is_none()),
            }
            .map(|known| Arc::clone(&known.account))
            .ok_or(Problem::Unknown);
        };
        self.login(&name, password, client.address).await
    }

    /// The account of a name and a password, where it may ask from this address.
    pub(super) async fn login(
        &self,
        name: &str,
        password: Vec<u8>,
        from: Option<IpAddr>,
    ) -> Result<Arc<Account>, Problem> {
        let mut known = self.accounts.iter().filter(|known| known.account.may_ask_from(from));
        match known.find(|known| known.account.name == name).map(|known| (known, &known.hash)) {
            // Its addresses say who it is.
            Some((known, None)) => Ok(Arc::clone(&known.account)),
            Some((known, Some(hash))) => {
                let own = self.keyed(name, &password);
                let right = || known.right.lock().unwrap_or_else(PoisonError::into_inner);
                // The comparison of two hashes takes the same time wherever they differ.
                let is_known = *right() == Some(own);
                if !is_known {
                    self.check(Arc::clone(hash), password).await?;
                    *right() = Some(own);
                }
                Ok(Arc::clone(&known.account))
            }
            None => {
                self.check(Arc::clone(&self.nobody), password).await?;
                Err(Problem::Unknown)
            }
        }
    }

    /// Checks a password in its turn.
    async fn check(&self, hash: Arc<Hash>, password: Vec<u8>) -> Result<(), Problem> {
        let waiting = Arc::clone(&self.waiting).try_acquire_owned().map_err(|_| Problem::Busy)?;
        let checking = Arc::clone(&self.checking).acquire_owned().await.map_err(|_| Problem::Busy)?;
        let check = move || {
            // Whoever asked may be gone: its turn is over when the work is.
            let _turn = (waiting, checking);
            hash.is_of(&password)
        };
        let is_right = spawn_blocking(check).await.unwrap_or(false);
        if is_right { Ok(()) } else { Err(Problem::Unknown) }
    }

    fn keyed(&self, name: &str, password: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        // A name holds no NUL.
        hasher.update(name.as_bytes()).update(&[0]).update(password);
        hasher.finalize()
    }
}

/// Name and password of Basic authentication (RFC 7617 §2); none where none is given.
fn credentials(headers: &HeaderMap) -> Result<Option<(String, Vec<u8>)>, Problem> {
    let mut fields = headers.get_all(AUTHORIZATION).iter();
    let Some(field) = fields.next() else { return Ok(None) };
    if fields.next().is_some() {
        return Err(Problem::Unknown);
    }
    let read = || {
        let (scheme, encoded) = field.to_str().ok()?.split_once(' ')?;
        let is_basic = scheme.eq_ignore_ascii_case("basic");
        let decoded = BASE64_STANDARD.decode(encoded.trim()).ok().filter(|_| is_basic)?;
        let colon = decoded.iter().position(|byte| *byte == b':')?;
        Some((String::from_utf8(decoded[..colon].to_vec()).ok()?, decoded[colon + 1..].to_vec()))
    };
    read().map(Some).ok_or(Problem::Unknown)
}

//! DNS lookups: one resolver for routing and for the checks before sending.
//!
//! hickory's resolver caches answers for their TTL, and negative answers for as long as the zone
//! says (RFC 2308). It asks the system's name servers, those of the campaign, or zone files only
//! ([`Resolver::zone`]): then nothing leaves the machine. It never reads `/etc/hosts` and never
//! adds a search domain: mail goes to names as they are written.

mod error;
mod responder;
mod unfold;
mod zone;

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ProtocolConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::system_conf::read_system_conf;
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::Semaphore;

use crate::campaign::IpFamily;

pub use error::{DnsError, DnsFailure, ResolverError};
use responder::Responder;
use zone::Zones;

/// Responses in the cache, about one kilobyte each.
const CACHED_RESPONSES: u64 = 16_384;
/// Lookups in progress at once: each may hold a socket.
const LOOKUPS_AT_ONCE: usize = 256;
/// The timeout of one attempt. A lookup that nobody answers fails after `1 + ATTEMPTS` of them.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Attempts after the first one.
const ATTEMPTS: usize = 1;

/// Looks names up. Clones share one cache.
#[derive(Clone)]
pub struct Resolver {
    hickory: TokioResolver,
    servers: Arc<[SocketAddr]>,
    places: Arc<Semaphore>,
    /// Stops with the last clone.
    _responder: Option<Arc<Responder>>,
}

/// The MX records of a name (RFC 5321 §5.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MxRecords {
    /// In the order of the answer. Never empty.
    pub records: Vec<MxRecord>,
    /// When the answer expires, by its TTL.
    pub valid_until: Instant,
}

/// One MX record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MxRecord {
    /// The lowest is tried first.
    pub preference: u16,
    /// The host's name in lower case, without the final dot; empty for the root, `.`, of a null MX
    /// (RFC 7505).
    pub host: String,
}

impl Resolver {
    /// Asks the name servers of this system.
    pub fn system() -> Result<Self, ResolverError> {
        let (config, _) = read_system_conf().map_err(|error| ResolverError::System(Box::new(error)))?;
        let servers = config
            .name_servers()
            .iter()
            .flat_map(|server| {
                let udp = server.connections.iter().find(|c| c.protocol == ProtocolConfig::Udp);
                udp.map(|connection| SocketAddr::new(server.ip, connection.port))
            })
            .collect::<Vec<_>>();
        Self::build(&servers, TIMEOUT, ATTEMPTS)
    }

    /// Asks these name servers.
    pub fn servers(servers: &[SocketAddr]) -> Result<Self, ResolverError> {
        Self::build(servers, TIMEOUT, ATTEMPTS)
    }

    /// Answers from a zone file, or from all files of a folder, and asks nobody else. Names that
    /// they don't have do not exist. (`localhost`, addresses of 127.0.0.0/8 and names below
    /// `invalid` are answered before that, see RFC 6761.)
    pub fn zone(path: &Path) -> Result<Self, ResolverError> {
        Self::zone_within(path, TIMEOUT)
    }

    fn zone_within(path: &Path, timeout: Duration) -> Result<Self, ResolverError> {
        let responder = Responder::start(Zones::load(path)?).map_err(ResolverError::Responder)?;
        let resolver = Self::build(&[responder.address()], timeout, 0)?;
        Ok(Self { _responder: Some(Arc::new(responder)), ..resolver })
    }

    fn build(servers: &[SocketAddr], timeout: Duration, attempts: usize) -> Result<Self, ResolverError> {
        let configs = servers.iter().map(|server| {
            let on_port = |mut connection: ConnectionConfig| {
                connection.port = server.port();
                connection
            };
            let connections = vec![on_port(ConnectionConfig::udp()), on_port(ConnectionConfig::tcp())];
            NameServerConfig::new(server.ip(), true, connections)
        });
        let mut options = ResolverOpts::default();
        options.timeout = timeout;
        options.attempts = attempts;
        options.cache_size = CACHED_RESPONSES;
        options.use_hosts_file = ResolveHosts::Never;
        options.max_active_requests = LOOKUPS_AT_ONCE;
        let hickory = TokioResolver::builder_with_config(
            ResolverConfig::from_name_servers(configs.collect()),
            TokioRuntimeProvider::default(),
        )
        .with_options(options)
        .with_tls_config(no_tls())
        .build()
        .map_err(|error| ResolverError::Setup(Box::new(error)))?;
        let places = Arc::new(Semaphore::new(LOOKUPS_AT_ONCE));
        Ok(Self { hickory, servers: servers.into(), places, _responder: None })
    }

    /// The hickory resolver with the same cache, for libraries that do lookups of their own:
    /// `mail_auth::MessageAuthenticator(resolver.hickory().clone())`. Keep this resolver for as
    /// long.
    pub fn hickory(&self) -> &TokioResolver {
        &self.hickory
    }

    /// The MX records of `name`, after following CNAMEs.
    pub async fn mx(&self, name: &str) -> Result<MxRecords, DnsError> {
        let lookup = self.lookup(name, RecordType::MX).await?;
        let records = values(&lookup, |data| match data {
            RData::MX(mx) => Some(MxRecord { preference: mx.preference, host: plain(&mx.exchange) }),
            _ => None,
        });
        some(name, RecordType::MX, records)
            .map(|records| MxRecords { records, valid_until: lookup.valid_until() })
    }

    /// The addresses of `host`, IPv4 first. With both families, one is enough: the other may be
    /// missing or fail.
    pub async fn addresses(&self, host: &str, family: IpFamily) -> Result<Vec<IpAddr>, DnsError> {
        match family {
            IpFamily::Ipv4 => self.addresses_of(host, RecordType::A).await,
            IpFamily::Ipv6 => self.addresses_of(host, RecordType::AAAA).await,
            IpFamily::Any => {
                let (v4, v6) = tokio::join!(
                    self.addresses_of(host, RecordType::A),
                    self.addresses_of(host, RecordType::AAAA)
                );
                match (v4, v6) {
                    (Ok(mut v4), Ok(v6)) => {
                        v4.extend(v6);
                        Ok(v4)
                    }
                    (Ok(found), Err(_)) | (Err(_), Ok(found)) => Ok(found),
                    // A transient failure is the better reason to give.
                    (Err(v4), Err(v6)) if v4.is_permanent() && !v6.is_permanent() => Err(v6),
                    (Err(v4), Err(_)) => Err(v4),
                }
            }
        }
    }

    async fn addresses_of(&self, host: &str, record: RecordType) -> Result<Vec<IpAddr>, DnsError> {
        let lookup = self.lookup(host, record).await?;
        some(host, record, values(&lookup, RData::ip_addr))
    }

    /// The TXT records of `name`, each with its strings joined (RFC 7208 §3.3). Octets that are not
    /// UTF-8 are replaced.
    pub async fn txt(&self, name: &str) -> Result<Vec<String>, DnsError> {
        let lookup = self.lookup(name, RecordType::TXT).await?;
        let texts = values(&lookup, |data| match data {
            RData::TXT(txt) => Some(String::from_utf8_lossy(&txt.txt_data.concat()).into_owned()),
            _ => None,
        });
        some(name, RecordType::TXT, texts)
    }

    /// The names of `ip` in reverse DNS, in lower case, without the final dot.
    pub async fn ptr(&self, ip: IpAddr) -> Result<Vec<String>, DnsError> {
        let name = Name::from(ip).to_ascii();
        let lookup = self.lookup(&name, RecordType::PTR).await?;
        let names = values(&lookup, |data| match data {
            RData::PTR(ptr) => Some(plain(&ptr.0)),
            _ => None,
        });
        some(&name, RecordType::PTR, names)
    }

    /// Whether `name` exists with any records, or has names below it (RFC 8020).
    pub async fn exists(&self, name: &str) -> Result<bool, DnsError> {
        match self.lookup(name, RecordType::A).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_no_record() => Ok(true),
            Err(error) if error.is_no_such_name() => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn lookup(&self, name: &str, record: RecordType) -> Result<Lookup, DnsError> {
        let question = absolute(name).map_err(|why| DnsError {
            name: name.to_owned(),
            record: record.into(),
            failure: DnsFailure::Malformed(why),
        })?;
        let _place = self.places.acquire().await.expect("the semaphore is never closed");
        self.hickory.lookup(question, record).await.map_err(|error| DnsError::of(name, record, &error))
    }
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolver").field("servers", &self.servers).finish_non_exhaustive()
    }
}

/// DNS over TLS is not used: without this, every start would load the system's certificates for it.
fn no_tls() -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has cipher suites for TLS 1.2 and 1.3")
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth()
}

/// The name to ask for: A-labels (RFC 5891 §4.4), absolute.
fn absolute(name: &str) -> Result<Name, String> {
    let ascii = if name.is_ascii() {
        name.to_owned()
    } else {
        idna::domain_to_ascii(name).map_err(|_| "not an internationalised domain name".to_owned())?
    };
    let mut absolute = Name::from_ascii(ascii).map_err(|error| error.to_string())?;
    absolute.set_fqdn(true);
    Ok(absolute)
}

/// In lower case, without the final dot.
fn plain(name: &Name) -> String {
    let mut text = name.to_lowercase().to_ascii();
    if text.ends_with('.') {
        text.pop();
    }
    text
}

/// The records of the answer that were asked for, without the CNAMEs that led to them.
fn values<T>(lookup: &Lookup, of: impl Fn(&RData) -> Option<T>) -> Vec<T> {
    lookup.answers().iter().filter_map(|record| of(&record.data)).collect()
}

fn some<T>(name: &str, record: RecordType, found: Vec<T>) -> Result<Vec<T>, DnsError> {
    if found.is_empty() {
        return Err(DnsError { name: name.to_owned(), record: record.into(), failure: DnsFailure::NoRecord });
    }
    Ok(found)
}

#[cfg(test)]
mod tests;

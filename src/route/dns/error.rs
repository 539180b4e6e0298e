//! Why a lookup gave nothing, sorted by what the caller can do about it.

use hickory_resolver::net::{DnsError as Answered, NetError, NoRecords};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::RecordType;

/// A lookup that gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.describe())]
pub struct DnsError {
    /// The name that was looked up.
    pub name: String,
    /// The type of its records, such as `MX`.
    pub record: &'static str,
    /// What happened.
    pub failure: DnsFailure,
}

/// What came instead of records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DnsFailure {
    /// NXDOMAIN: neither this name nor any below it exists (RFC 8020).
    NoSuchName,
    /// NODATA: the name exists, without records of this type (RFC 2308 §2.2).
    NoRecord,
    /// The name server failed: SERVFAIL or a similar error code.
    ServFail,
    /// The name server refuses to answer.
    Refused,
    /// No answer in time.
    Timeout,
    /// The name is malformed, or the answer makes no sense.
    Malformed(String),
    /// The name server can't be reached.
    Unreachable(String),
}

impl DnsError {
    pub(super) fn of(name: &str, record: RecordType, error: &NetError) -> Self {
        Self { name: name.to_owned(), record: record.into(), failure: DnsFailure::of(error) }
    }

    /// True when asking again will not help: the name or the record does not exist, or the name is
    /// malformed.
    pub fn is_permanent(&self) -> bool {
        match self.failure {
            DnsFailure::NoSuchName | DnsFailure::NoRecord => true,
            DnsFailure::ServFail
            | DnsFailure::Refused
            | DnsFailure::Timeout
            | DnsFailure::Malformed(_)
            | DnsFailure::Unreachable(_) => false,
        }
    }

    /// True for NXDOMAIN.
    pub fn is_no_such_name(&self) -> bool {
        self.failure == DnsFailure::NoSuchName
    }

    /// True for NODATA.
    pub fn is_no_record(&self) -> bool {
        self.failure == DnsFailure::NoRecord
    }

    fn describe(&self) -> String {
        let Self { name, record, failure } = self;
        match failure {
            DnsFailure::NoSuchName => format!("`{name}` does not exist in DNS"),
            DnsFailure::NoRecord => format!("`{name}` has no {record} record"),
            DnsFailure::ServFail => format!("the name server failed on {record} of `{name}` (SERVFAIL)"),
            DnsFailure::Refused => format!("the name server refused {record} of `{name}`"),
            DnsFailure::Timeout => format!("no answer in time for {record} of `{name}`"),
            DnsFailure::Malformed(why) => format!("bad lookup or answer for {record} of `{name}`: {why}"),
            DnsFailure::Unreachable(why) => {
                format!("no name server could be reached for {record} of `{name}`: {why}")
            }
        }
    }
}

impl DnsFailure {
    fn of(error: &NetError) -> Self {
        match error {
            NetError::Dns(Answered::NoRecordsFound(NoRecords { response_code, .. })) => {
                match *response_code {
                    ResponseCode::NXDomain => Self::NoSuchName,
                    ResponseCode::NoError => Self::NoRecord,
                    code => Self::of_code(code),
                }
            }
            NetError::Dns(Answered::ResponseCode(code)) => Self::of_code(*code),
            NetError::Timeout | NetError::Busy => Self::Timeout,
            NetError::Io(_) | NetError::NoConnections => Self::Unreachable(error.to_string()),
            // The library's enums grow; anything else is an answer that can't be used.
            _ => Self::Malformed(error.to_string()),
        }
    }

    fn of_code(code: ResponseCode) -> Self {
        match code {
            ResponseCode::Refused => Self::Refused,
            // FORMERR and NOTIMP concern our question and are no more the domain's fault than
            // SERVFAIL.
            _ => Self::ServFail,
        }
    }
}

/// Why a resolver can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum ResolverError {
    /// `/etc/resolv.conf` or its equivalent.
    #[error("failed to read the system's DNS settings")]
    System(#[source] Box<NetError>),
    /// The resolver itself.
    #[error("failed to set up DNS lookups")]
    Setup(#[source] Box<NetError>),
    /// A zone file or its folder.
    #[error("failed to read the zone file `{path}`: {problem}")]
    Zone {
        /// The file or folder.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The responder for zone files.
    #[error("failed to answer DNS lookups from zone files")]
    Responder(#[source] std::io::Error),
}

impl ResolverError {
    /// What to do.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::System(_) => {
                Some("name the servers in the campaign file: `[delivery] resolver = [\"192.0.2.53\"]`")
            }
            Self::Zone { .. } => Some(
                "write it as a master file (RFC 1035 §5), such as `example.com. 300 IN MX 10 mx.example.com.`",
            ),
            Self::Setup(_) | Self::Responder(_) => None,
        }
    }
}

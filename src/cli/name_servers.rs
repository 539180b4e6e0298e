//! Where names are looked up.

use std::path::PathBuf;

use clap::Args;

use crate::campaign::NameServer;
use crate::job::NameServers;

/// Where names are looked up.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct DnsOptions {
    /// Answer DNS lookups from this zone file, or from the zone files in this folder, and ask no
    /// name server
    #[arg(long, value_name = "PATH", env = "MAILRUN_DNS_ZONE")]
    dns_zone: Option<PathBuf>,
    /// Ask this name server (IP address, port optional) instead of the campaign's or the system's;
    /// repeatable
    // Not in conflict with --dns-zone, which may come from the environment: the option wins.
    #[arg(long, value_name = "ADDRESS")]
    dns_server: Vec<NameServer>,
}

impl From<DnsOptions> for NameServers {
    fn from(options: DnsOptions) -> Self {
        Self { zone: options.dns_zone, servers: options.dns_server }
    }
}

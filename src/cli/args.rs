//! What was typed.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::campaign::NameServer;
use crate::mail::{Address, Disposition, Domain};
use crate::synth::{DomainMix, RowCount, Share};

const EXIT_CODES: &str = "\
Exit codes:
  0   finished, every planned recipient accepted
  1   finished, some recipients were not accepted
  2   the command, the campaign file or the input is wrong; nothing was sent
  3   a preflight check refused; nothing was sent
  4   interrupted or stopped early; the same command resumes
  75  another process is running this campaign; nothing was sent";

/// Runs e-mail campaigns as batch jobs: renders, DKIM-signs and delivers at the agreed capacity, and knows exactly
/// what it sent.
#[derive(Debug, Parser)]
#[command(name = "mailrun", version, after_help = EXIT_CODES, max_term_width = 110)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Options of every command.
    #[command(flatten)]
    pub common: Common,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// Where the capacity ledger and the suppression list are
    #[arg(long, global = true, value_name = "DIR", env = "MAILRUN_STATE", help_heading = "Common options")]
    pub state: Option<PathBuf>,
    /// Where the run directories are
    #[arg(long, global = true, value_name = "DIR", env = "MAILRUN_RUNS", help_heading = "Common options")]
    pub runs: Option<PathBuf>,
    /// How the log on stderr is written
    #[arg(long, global = true, value_enum, default_value_t, help_heading = "Common options")]
    pub log_format: LogFormat,
    /// Only warnings and errors
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = "Common options")]
    pub quiet: bool,
    /// More of the log; twice for all of it
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = "Common options")]
    pub verbose: u8,
    /// No progress on stderr
    #[arg(long, global = true, help_heading = "Common options")]
    pub no_progress: bool,
}

/// Where names are looked up.
#[derive(Debug, Clone, Default, Args)]
pub struct DnsOptions {
    /// Answer DNS lookups from this zone file, or from the zone files of this folder, and ask no name server
    #[arg(long, value_name = "PATH", env = "MAILRUN_DNS_ZONE")]
    pub dns_zone: Option<PathBuf>,
    /// Ask this name server (IP address, with a port or without) instead of the campaign's or the system's; several are fine
    // Not in conflict with --dns-zone, which may come from the environment: what is typed goes before it.
    #[arg(long, value_name = "ADDRESS")]
    pub dns_server: Vec<NameServer>,
}

/// The form of the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a campaign folder that runs as it stands
    Init(Init),
    /// Look everything through before sending: domains, keys, every row, the finish time; sends nothing
    Check(Box<Check>),
    /// Print every DNS record that a campaign's sender needs, beside what is published
    Dns(Records),
    /// Make DKIM keys
    Dkim(DkimArgs),
    /// Look after the registry of senders
    Sender(SenderArgs),
    /// Screen the list: counts, slots, finish time; sends nothing
    Plan(Plan),
    /// Print the exact message of one row, or write those of all rows
    Render(Render),
    /// Send the campaign; resumes by itself
    Send(Box<Send>),
    /// Make a new run of those rows of a run that ended in some way
    Retry(Box<Retry>),
    /// Tell where a run stands
    Status(Status),
    /// Write the result files again from plan and journal, also while the run goes on
    Results(Results),
    /// Tell where the mail of domains goes with route `mx`, and how; sends nothing
    Mx(MxArgs),
    /// Show what each account used of its agreed capacity
    Capacity(CapacityArgs),
    /// Keep the list of addresses that are not sent to
    Suppress(Suppress),
    /// Run the embedded SMTP receiver alone, for load tests
    Sandbox(Sandbox),
    /// Make up a target group of any size, for load tests
    Synth(Synth),
    /// Print shell completions
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write the manual pages into a folder, for packages
    #[command(hide = true)]
    Man {
        /// The folder
        dir: PathBuf,
    },
}

/// `mailrun init`.
#[derive(Debug, Args)]
pub struct Init {
    /// The folder to make; it must not exist, or be empty
    pub dir: PathBuf,
}

/// What selects rows of a campaign.
#[derive(Debug, Clone, Args)]
pub struct Selection {
    /// The campaign file
    pub campaign: PathBuf,
    /// Only the first N rows that pass screening
    #[arg(long, value_name = "N")]
    pub limit: Option<u32>,
}

/// `mailrun check`.
#[derive(Debug, Args)]
pub struct Check {
    /// Which rows.
    #[command(flatten)]
    pub selection: Selection,
    /// Where DNS is asked.
    #[command(flatten)]
    pub dns: DnsOptions,
    /// Check for a rehearsal: what is wrong with the sender's domains is only noted
    #[arg(long)]
    pub sandbox: bool,
    /// Refuse on warnings too, with exit code 3
    #[arg(long)]
    pub strict: bool,
    /// Refuse when the last message would leave after this time (RFC 3339, or HH:MM today)
    #[arg(long, value_name = "TIME")]
    pub deadline: Option<String>,
    /// Write the manifest of what was checked to this file; by default `approval.json` beside the campaign's runs
    #[arg(long, value_name = "FILE")]
    pub manifest: Option<PathBuf>,
    /// Ask no network: neither the relay nor DNS, unless --dns-zone or --dns-server is given
    #[arg(long)]
    pub offline: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `mailrun dns`.
#[derive(Debug, Args)]
pub struct Records {
    /// The campaign file
    pub campaign: PathBuf,
    /// Where DNS is asked.
    #[command(flatten)]
    pub dns: DnsOptions,
    /// Let the sender's zone point into this one with CNAMEs, so that its owner can change keys and policies
    #[arg(long, value_name = "ZONE")]
    pub cname_to: Option<Domain>,
    /// Don't ask what is published today
    #[arg(long)]
    pub offline: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `mailrun dkim`.
#[derive(Debug, Args)]
pub struct DkimArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: DkimCommand,
}

/// What can be done with keys.
#[derive(Debug, Subcommand)]
pub enum DkimCommand {
    /// Make a key, and print its record and its table for the campaign file
    Generate {
        /// Whom it signs for: `d=`
        #[arg(long)]
        domain: Domain,
        /// The name that it is published under: `s=`
        #[arg(long)]
        selector: String,
        /// RSA (2,048 bits) is verified everywhere; Ed25519 goes beside it
        #[arg(long, value_enum, default_value_t)]
        kind: KeyType,
        /// Where it is written, readable by its owner only; `keys/<selector>.pem` by default
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

/// The kinds of DKIM keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum KeyType {
    /// RSA, 2,048 bits.
    #[default]
    Rsa,
    /// Ed25519.
    Ed25519,
}

/// `mailrun sender`.
#[derive(Debug, Args)]
pub struct SenderArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: SenderCommand,
}

/// What can be done with the registry of senders.
#[derive(Debug, Subcommand)]
pub enum SenderCommand {
    /// Check the domains and keys of every registered sender, and note when they were last right
    Verify {
        /// The registry; `senders.toml` here or in the state directory by default
        #[arg(long, value_name = "FILE")]
        senders: Option<PathBuf>,
        /// Where DNS is asked.
        #[command(flatten)]
        dns: DnsOptions,
        /// Count warnings as wrong too
        #[arg(long)]
        strict: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// `mailrun plan`.
#[derive(Debug, Args)]
pub struct Plan {
    /// Which rows.
    #[command(flatten)]
    pub selection: Selection,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `mailrun render`.
#[derive(Debug, Args)]
pub struct Render {
    /// The campaign file
    pub campaign: PathBuf,
    /// The N-th row that passes screening, from 1
    #[arg(long, value_name = "N", conflicts_with_all = ["email", "all"])]
    pub row: Option<u32>,
    /// The row with this address
    #[arg(long, value_name = "ADDRESS", conflicts_with = "all")]
    pub email: Option<Address>,
    /// Every row; needs --out
    #[arg(long, requires = "out")]
    pub all: bool,
    /// Write `<row>.eml` files into this folder instead of printing
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// `mailrun send`.
#[derive(Debug, Args)]
pub struct Send {
    /// Which rows.
    #[command(flatten)]
    pub selection: Selection,
    /// How to send them.
    #[command(flatten)]
    pub sending: Sending,
    /// Name a deliberate new run; by default the run id is derived from the content
    #[arg(long, value_name = "ID")]
    pub run_id: Option<String>,
    /// Start anew although an unfinished run with another content is there
    #[arg(long)]
    pub new_run: bool,
    /// Send one row to this address instead: a test message
    #[arg(long, value_name = "ADDRESS")]
    pub to: Option<Address>,
    /// With --to: the N-th row that passes screening, from 1
    #[arg(long, value_name = "N", requires = "to")]
    pub row: Option<u32>,
    /// Everything but SMTP: screen, compose and sign every row, send nothing
    #[arg(long, conflicts_with = "to")]
    pub dry_run: bool,
    /// Send only what `mailrun check` gave this hash: refuse when anything that reaches a recipient differs
    #[arg(long, value_name = "HASH", conflicts_with = "to")]
    pub approved: Option<String>,
    /// Don't look at the sender's domains and a sample of the messages first
    #[arg(long, conflicts_with = "approved")]
    pub no_check: bool,
}

/// How to send.
#[derive(Debug, Clone, Args)]
pub struct Sending {
    /// Rehearse: deliver to the embedded receiver, nothing leaves the machine
    #[arg(long)]
    pub sandbox: bool,
    /// With the sandbox: keep the messages as .eml files in this folder
    #[arg(long, value_name = "DIR")]
    pub sandbox_keep: Option<PathBuf>,
    /// With the sandbox: keep a record of every message taken over in this file
    #[arg(long, value_name = "FILE")]
    pub sandbox_record: Option<PathBuf>,
    /// As fast as it goes; only towards the sandbox
    #[arg(long)]
    pub unpaced: bool,
    /// Don't start before this time (RFC 3339, or HH:MM today)
    #[arg(long, value_name = "TIME")]
    pub not_before: Option<String>,
    /// Start no message after this time; what is left is `not_attempted`
    #[arg(long, value_name = "TIME")]
    pub not_after: Option<String>,
    /// As --not-after, and don't start when the last message would leave after this time
    #[arg(long, value_name = "TIME", conflicts_with = "not_after")]
    pub deadline: Option<String>,
    /// What to do with rows that a killed run left in doubt
    #[arg(long, value_enum, default_value_t)]
    pub in_doubt: InDoubt,
    /// Where names are looked up.
    #[command(flatten)]
    pub dns: DnsOptions,
    /// Print the summary as JSON
    #[arg(long)]
    pub json: bool,
}

/// What to do with rows in doubt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum InDoubt {
    /// Leave them: they are `in_doubt` in the results.
    #[default]
    Keep,
    /// Send them again: some recipients may get the message twice.
    Resend,
}

/// `mailrun retry`.
#[derive(Debug, Args)]
pub struct Retry {
    /// The run: its id, the start of it, its campaign's id, or its directory
    pub run: String,
    /// Which rows
    #[arg(long, value_name = "D,…", value_delimiter = ',', required = true)]
    pub disposition: Vec<Disposition>,
    /// How to send them.
    #[command(flatten)]
    pub sending: Sending,
}

/// `mailrun status`.
#[derive(Debug, Args)]
pub struct Status {
    /// The run: its id, the start of it, its campaign's id, or its directory
    pub run: String,
    /// One recipient's whole history
    #[arg(long, value_name = "ADDRESS")]
    pub recipient: Option<Address>,
    /// The same, of the recipient whose return path (with `verp = true`) a bounce came back to
    #[arg(long, value_name = "ADDRESS", conflicts_with = "recipient")]
    pub return_path: Option<Address>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `mailrun results`.
#[derive(Debug, Args)]
pub struct Results {
    /// The run: its id, the start of it, its campaign's id, or its directory
    pub run: String,
    /// Print the summary as JSON
    #[arg(long)]
    pub json: bool,
}

/// `mailrun mx`.
#[derive(Debug, Args)]
#[command(after_help = "Exit code 1 when a domain has no way for its mail.")]
pub struct MxArgs {
    /// The domains
    #[arg(required = true, value_parser = Domain::parse, value_name = "DOMAIN")]
    pub domains: Vec<Domain>,
    /// Take name servers, `[delivery.mx]` and `[[shaping]]` from this campaign file
    #[arg(long, value_name = "CAMPAIGN")]
    pub campaign: Option<PathBuf>,
    /// Where names are looked up.
    #[command(flatten)]
    pub dns: DnsOptions,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `mailrun capacity`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct CapacityArgs {
    /// What to do; shows the slots of the last hour by default.
    #[command(subcommand)]
    pub command: Option<CapacityCommand>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What can be done with the ledger.
#[derive(Debug, Subcommand)]
pub enum CapacityCommand {
    /// Prove from result files alone that no window was exceeded
    Audit {
        /// The runs: ids, starts of ids, campaign ids, or directories
        #[arg(required = true, id = "audited", value_name = "RUN")]
        runs: Vec<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// `mailrun suppress`.
#[derive(Debug, Args)]
pub struct Suppress {
    /// What to do.
    #[command(subcommand)]
    pub command: SuppressCommand,
}

/// What can be done with the suppression list.
#[derive(Debug, Subcommand)]
pub enum SuppressCommand {
    /// Add addresses
    Add {
        /// The addresses
        #[arg(required = true)]
        addresses: Vec<Address>,
        /// Why; `unsubscribe` and `complaint` never expire
        #[arg(long, default_value = "manual")]
        reason: String,
        /// For how long, such as 45d; `never` expires never
        #[arg(long, value_name = "SPAN")]
        r#for: Option<String>,
    },
    /// Take addresses off the list
    Remove {
        /// The addresses
        #[arg(required = true)]
        addresses: Vec<Address>,
    },
    /// List the live entries
    List {
        /// Only entries with this reason
        #[arg(long)]
        reason: Option<String>,
        /// Also those that have expired
        #[arg(long)]
        expired: bool,
        /// Print JSON lines
        #[arg(long)]
        json: bool,
    },
    /// Add the addresses of CSV or Parquet files
    Import {
        /// The files; columns `email`, and where they exist `reason`, `source`, `added`, `expires`
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// The column with the address
        #[arg(long, default_value = "email")]
        column: String,
        /// The reason where the file has none
        #[arg(long, default_value = "manual")]
        reason: String,
    },
    /// Write the list to a CSV or Parquet file
    Export {
        /// The file; its extension decides the format
        file: PathBuf,
    },
}

/// `mailrun sandbox`.
#[derive(Debug, Args)]
pub struct Sandbox {
    /// Where to listen; loopback only
    #[arg(long, default_value = "127.0.0.1:2525")]
    pub listen: SocketAddr,
    /// Keep the messages as .eml files in this folder
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
    /// Keep a record of every message taken over in this file
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// Demand this user and password (USER:PASSWORD)
    #[arg(long, value_name = "USER:PASSWORD")]
    pub auth: Option<String>,
    /// Write the certificate, made at start, to this file
    #[arg(long, value_name = "FILE")]
    pub certificate: Option<PathBuf>,
    /// End after this many seconds
    #[arg(long, value_name = "SECONDS")]
    pub seconds: Option<u64>,
}

/// `mailrun synth`.
#[derive(Debug, Args)]
#[command(after_help = "\
The same arguments give the same bytes on every machine. Shares are exact: `mailrun plan` finds just those duplicates and invalid rows.
Unless --domain-mix names others, all addresses are in domains that are reserved and reach nobody (RFC 2606).")]
pub struct Synth {
    /// The file; its extension, .csv or .parquet, decides the format
    pub file: PathBuf,
    /// How many rows: 1_000_000, 500k, 10M
    #[arg(long, value_name = "N", default_value = "1000")]
    pub rows: RowCount,
    /// Another seed gives another list
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// How many made-up domains; the n-th has an n-th of the addresses that the first one has
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub domains: u32,
    /// Domains with their weights, such as `example.com=40,example.net=20,*=40`; `*` are the made-up ones
    #[arg(long, value_name = "MIX")]
    pub domain_mix: Option<DomainMix>,
    /// How many columns: customer_id, email, full_name, first_name, city, language, token, segment, text_9 …
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub columns: usize,
    /// Rows with the address of an earlier one
    #[arg(long, value_name = "SHARE", default_value = "1%")]
    pub duplicates: Share,
    /// Rows with an address that can't be sent to
    #[arg(long, value_name = "SHARE", default_value = "0.5%")]
    pub invalid: Share,
    /// Rows with names beyond ASCII, and some domains
    #[arg(long, value_name = "SHARE", default_value = "2%")]
    pub non_ascii: Share,
    /// Rows with local parts beyond ASCII, which not every server takes; they come on top of --non-ascii
    #[arg(long, value_name = "SHARE", default_value = "0%")]
    pub smtputf8: Share,
    /// The format, whatever the extension says
    #[arg(long, value_enum)]
    pub format: Option<ListFormat>,
    /// Replace the file where it exists
    #[arg(long)]
    pub force: bool,
    /// Print what was written as JSON
    #[arg(long)]
    pub json: bool,
}

/// The formats of lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    /// Comma-separated, UTF-8, with a header.
    Csv,
    /// Parquet, every column text.
    Parquet,
}

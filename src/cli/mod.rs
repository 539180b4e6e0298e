//! Arguments, commands, diagnostics, progress, exit codes.
//!
//! stdout carries what was asked for, stderr the progress and the log. A command is a file with its
//! own `Args`: it turns what was typed into what [`job`](crate::job) does, and prints what comes of
//! it. Errors become `Diagnostic`s, the end of a command an [`Exit`].

mod capacity;
mod causes;
mod check;
mod common;
mod completions;
mod confirm;
mod console;
mod daily;
mod diagnostic;
mod dkim;
mod dns;
mod domain;
mod errors;
mod events;
mod exit;
mod feedback;
mod feedback_import;
mod feedback_listen;
mod feedback_read;
mod health;
mod init;
mod json;
mod log;
mod man;
mod metrics;
mod moment;
mod mx;
mod name_servers;
mod output;
mod owner_mail;
mod plan;
mod purge;
mod reading;
mod recipient;
mod render;
mod report;
mod resend;
mod results;
mod retry;
mod run;
mod runs;
mod runtime;
mod sandbox;
mod search;
mod send;
mod sender;
mod sending;
mod serve;
mod signals;
mod status;
mod summary;
mod suppress;
mod synth;
mod table;
mod terminal;
mod trace;
mod webhooks;

use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::kit::{open_files, outside_text};
use common::Common;
use diagnostic::Diagnostic;

pub use exit::Exit;

const EXIT_CODES: &str = "\
Exit codes:
  0   finished, every planned recipient accepted, or all but what --fail-above allows
  1   finished, some recipients were not accepted, or nobody was there to send to
  2   the command, the campaign file or the input is wrong; nothing was sent
  3   a preflight check refused; nothing was sent
  4   interrupted or stopped early; the same command resumes
  75  another process is running this campaign; nothing was sent. Of `feedback`: mails were not kept";

/// Runs e-mail campaigns as batch jobs: renders, DKIM-signs and delivers at the agreed capacity,
/// and knows exactly what it sent.
#[derive(Debug, Parser)]
#[command(name = "mailrun", version, after_help = EXIT_CODES, max_term_width = 110)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    command: Command,
    /// Options of every command.
    #[command(flatten)]
    common: Common,
    /// Whether the answer is wanted as JSON, errors too.
    #[arg(skip)]
    json: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
enum Command {
    /// Create a ready-to-run campaign folder
    Init(init::Args),
    /// Check everything before sending: domains, keys, every row, the finish time; sends nothing
    Check(Box<check::Args>),
    /// Print every DNS record that a campaign's sender needs, next to what is published
    Dns(dns::Args),
    /// Generate DKIM keys
    Dkim(dkim::Args),
    /// Check the registry of senders, and verify addresses
    Sender(sender::Args),
    /// Screen the list: counts, slots, finish time; sends nothing
    Plan(plan::Args),
    /// Print the exact message of one row, or write the messages of all rows
    Render(render::Args),
    /// Send the campaign; resumes automatically
    Send(Box<send::Args>),
    /// Resend the rows of a run that ended with the given dispositions
    Retry(Box<retry::Args>),
    /// Send one message of a run once more, as it was: to its recipient or to another address
    Resend(Box<resend::Args>),
    /// Find messages in all runs: what became of them, and how they begin
    Trace(trace::Args),
    /// Search the runs of the last 45 days and what came back: by Message-ID, recipient, time
    Search(search::Args),
    /// Remove runs whose time is over, or the data of one person
    Purge(purge::Args),
    /// Show how far a run is, or list all runs
    Status(status::Args),
    /// Print what happened to the recipients of a run, an event a line, also while it is sending
    Events(events::Args),
    /// Take over a run directory that was copied or moved
    Run(run::Args),
    /// Write the result files again from plan and journal, even while the run is sending
    Results(results::Args),
    /// Write a page about a run for people, with charts
    Report(report::Args),
    /// Show how mail for a domain would be routed; sends nothing
    Mx(mx::Args),
    /// Show how much of its agreed capacity each account has used, audit it, or apply newly agreed
    /// limits
    Capacity(capacity::Args),
    /// Manage the suppression list: addresses that get no mail
    Suppress(suppress::Args),
    /// Read what comes back: bounces, complaints, unsubscribes, auto-replies
    Feedback(feedback::Args),
    /// Answer recipients who follow unsubscribe links, and programs that ask about runs, until it
    /// is stopped
    Serve(serve::Args),
    /// Deliver events to other programs by HTTP
    Webhooks(webhooks::Args),
    /// Show who sends in the name of a domain, and what its DMARC policy needs
    Domain(domain::Args),
    /// Run the embedded SMTP receiver alone, for load tests
    Sandbox(sandbox::Args),
    /// Generate a target group of any size, for load tests
    Synth(synth::Args),
    /// Print shell completions
    Completions(completions::Args),
    /// Write the manual pages to a folder, for packages
    #[command(hide = true)]
    Man(man::Args),
}

/// The command line, for completions and man pages.
pub fn command() -> clap::Command {
    // With the texts that are made at run time.
    Cli::command().mut_subcommand("sandbox", |command| command.after_help(sandbox::behaviours()))
}

/// What was typed; ends the program on `--help`, `--version` and what can't be understood.
pub fn parse() -> Cli {
    let matches = command().try_get_matches();
    let matches = matches.unwrap_or_else(|error| end(&with_usage(error, std::env::args())));
    let json = json::is_wanted(&matches);
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| end(&error));
    Cli { json, ..cli }
}

/// Ends the program with what clap says: help, the version, or an error, as JSON where the answer
/// or the log is.
fn end(error: &clap::Error) -> ! {
    let args: Vec<String> = std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect();
    let format = if logs_json(&args) { log::LogFormat::Json } else { log::LogFormat::Text };
    if error.use_stderr() && json::is_among(&args) {
        json::print_error(&json::of_clap(error));
    }
    let text = error.render().to_string();
    // clap's own form has colours, and repeats what was typed as it is.
    if error.use_stderr() && (format == log::LogFormat::Json || outside_text::lines(&text) != text) {
        log::start(format, false, 0);
        log::error(text.trim_end());
        std::process::exit(Exit::Usage.code().into());
    }
    error.exit()
}

/// Whether `--log-format json` is there, in arguments that can't be understood.
fn logs_json(args: &[String]) -> bool {
    let is_pair = |pair: &[String]| pair[0] == "--log-format" && pair[1] == "json";
    args.windows(2).any(is_pair) || args.iter().any(|arg| arg == "--log-format=json")
}

/// Shows the usage of the command in an error. clap would list options whose variables are set as
/// if they were required.
fn with_usage(mut error: clap::Error, args: impl Iterator<Item = String>) -> clap::Error {
    if error.get(ContextKind::Usage).is_some() {
        let mut command = command();
        command.build();
        for name in args.skip(1) {
            if let Some(below) = command.find_subcommand(&name) {
                command = below.clone();
            }
        }
        error.insert(ContextKind::Usage, ContextValue::StyledStr(command.render_usage()));
    }
    error
}

/// Carries out what was typed.
pub fn run(cli: Cli) -> Exit {
    open_files::raise_limit();
    log::start(cli.common.log_format, cli.common.quiet, cli.common.verbose);
    let json = cli.json;
    match enough_files().and_then(|()| carry_out(cli)) {
        Ok(exit) => exit,
        Err(diagnostic) => {
            log::error(&diagnostic.to_string());
            if json {
                json::print_error(&diagnostic);
            }
            diagnostic.code()
        }
    }
}

/// With fewer, reading the campaign or starting the runtime fails on the way.
fn enough_files() -> Result<(), Diagnostic> {
    const LEAST: u64 = 24;
    match open_files::limit() {
        Some(limit) if limit < LEAST => Err(Diagnostic::new(format!(
            "this process may have {limit} files open and needs {LEAST} at least; raise `ulimit -n`"
        ))),
        _ => Ok(()),
    }
}

fn carry_out(cli: Cli) -> Result<Exit, Diagnostic> {
    let common = &cli.common;
    match cli.command {
        Command::Init(args) => init::run(&args),
        Command::Check(args) => check::run(common, &args),
        Command::Dns(args) => dns::run(common, &args),
        Command::Dkim(args) => dkim::run(&args),
        Command::Sender(args) => sender::run(common, &args),
        Command::Plan(args) => plan::run(common, &args),
        Command::Render(args) => render::run(common, &args),
        Command::Send(args) => send::run(common, &args),
        Command::Retry(args) => retry::run(common, &args),
        Command::Resend(args) => resend::run(common, &args),
        Command::Trace(args) => trace::run(common, &args),
        Command::Search(args) => search::run(common, &args),
        Command::Purge(args) => purge::run(common, &args),
        Command::Status(args) => status::run(common, &args),
        Command::Events(args) => events::run(common, &args),
        Command::Run(args) => run::run(common, &args),
        Command::Results(args) => results::run(common, &args),
        Command::Report(args) => report::run(common, &args),
        Command::Mx(args) => mx::run(common, &args),
        Command::Capacity(args) => capacity::run(common, &args),
        Command::Suppress(args) => suppress::run(common, &args),
        Command::Feedback(args) => feedback::run(common, &args),
        Command::Serve(args) => serve::run(common, &args),
        Command::Webhooks(args) => webhooks::run(common, &args),
        Command::Domain(args) => domain::run(common, &args),
        Command::Sandbox(args) => sandbox::run(common, args),
        Command::Synth(args) => synth::run(common, args),
        Command::Man(args) => man::run(&args, command()),
        Command::Completions(args) => completions::run(&args, command()),
    }
}

//! `mailrun sandbox`: the embedded receiver alone, for load tests and rehearsals of other programs.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use super::common::Common;
use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::output::out;
use super::runtime::runtime;
use super::{json, log, signals};
use crate::kit::text::{counted, grouped};
use crate::sandbox::{BEHAVIOUR_SUFFIXES, BEHAVIOURS, Credentials, Keep, Options, Sandbox, Stats};

/// How often the totals are printed.
const TOTALS_EVERY: Duration = Duration::from_secs(5);

/// The table of behaviours, for `--help`.
pub(super) fn behaviours() -> String {
    let rows = BEHAVIOURS.iter().chain(BEHAVIOUR_SUFFIXES);
    let lines = rows.map(|(local_part, what)| format!("  {local_part:<28}  {what}\n")).collect::<String>();
    format!("The recipient's local part decides what happens; any other is accepted:\n{lines}")
}

/// `mailrun sandbox`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Address to listen on; loopback only
    #[arg(long, default_value = "127.0.0.1:2525")]
    listen: SocketAddr,
    /// Keep the messages as .eml files in this folder
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Record every accepted message in this file
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Require this user name and password
    #[arg(long, value_name = "USER:PASSWORD", value_parser = parse_auth)]
    auth: Option<Credentials>,
    /// Write the certificate, generated at start, to this file
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// Stop after this many seconds
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u64>,
    /// Print JSON lines: where it listens, and the totals at the end
    #[arg(long)]
    json: bool,
}

pub(super) fn run(common: &Common, args: Args) -> Result<Exit, Diagnostic> {
    let options = Options {
        listen: args.listen,
        keep: args.keep.map_or(Keep::Count, Keep::Eml),
        record: args.record,
        auth: args.auth,
        ..Options::default()
    };
    let runtime = runtime()?;
    runtime.block_on(async {
        let sandbox = Sandbox::start(options).await.map_err(|error| {
            Diagnostic::of("can't start the sandbox", &error).hint("choose another address with `--listen`")
        })?;
        if let Some(path) = args.certificate {
            std::fs::write(&path, sandbox.certificate_pem())
                .map_err(|error| Diagnostic::of("can't write the certificate", &error).at(path.display()))?;
        }
        let addr = sandbox.addr();
        out(&if args.json {
            json::line(json!({"listening": addr.to_string()})) + "\n"
        } else {
            format!("listening on {addr}\n")
        })?;
        let end = async {
            match args.seconds {
                Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
                None => std::future::pending().await,
            }
        };
        let totals = async {
            let mut before = Stats::default();
            loop {
                tokio::time::sleep(TOTALS_EVERY).await;
                let now = sandbox.stats();
                if !common.quiet && now != before {
                    log::print(&describe(&now));
                }
                before = now;
            }
        };
        tokio::select! {
            () = end => {}
            () = totals => {}
            stopped = signals::first() => stopped?,
        }
        let stats = sandbox.stop().await;
        out(&if args.json {
            json::line(json!({
                "accepted": stats.accepted, "recipients": stats.recipients, "refused": stats.rejected,
                "connections": stats.connections, "bytes": stats.bytes,
            })) + "\n"
        } else {
            describe(&stats) + "\n"
        })?;
        Ok(Exit::Ok)
    })
}

fn parse_auth(text: &str) -> Result<Credentials, String> {
    let (user, password) = text.split_once(':').ok_or("use USER:PASSWORD, with a colon between them")?;
    Ok(Credentials { user: user.into(), password: password.into() })
}

fn describe(stats: &Stats) -> String {
    format!(
        "{} accepted for {}, {} refused, {}, {}",
        counted(stats.accepted, "message", "messages"),
        counted(stats.recipients, "recipient", "recipients"),
        grouped(stats.rejected),
        counted(stats.connections, "connection", "connections"),
        counted(stats.bytes, "byte", "bytes")
    )
}

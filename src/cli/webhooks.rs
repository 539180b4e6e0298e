//! `mailrun webhooks`: events, delivered to other programs.

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::watch;

use super::common::Common;
use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::name_servers::DnsOptions;
use super::output::out;
use super::runtime::runtime;
use super::signals;
use crate::job::{Delivered, JobError, NameServers, Receiver, Workspace};
use crate::kit::text::counted;
use crate::serve::{ServeError, Settings};
use crate::webhook::{self, Halt, Patience, Webhook, WebhookError};

/// The longest wait that `deliver` sits out.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// `mailrun webhooks`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What to do.
    #[command(subcommand)]
    command: Command,
    /// Settings [default: `serve.toml` in the state directory]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// What can be done with webhooks.
#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Deliver all events that receivers have not got yet, and end
    Deliver {
        /// Only these webhooks
        names: Vec<String>,
        /// Give a webhook up after so many failures in a row; the next call goes on there
        #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
        failures: u32,
        #[command(flatten)]
        dns: DnsOptions,
    },
    /// Let a webhook deliver again that its receiver has ended with 410
    Enable {
        /// The webhook
        name: String,
    },
}

pub(super) fn run(common: &Common, args: &Args) -> Result<Exit, Diagnostic> {
    let workspace = common.workspace();
    let file = match &args.config {
        Some(file) => file.clone(),
        None => Settings::default_file(&workspace).map_err(ServeError::from)?,
    };
    let webhooks = webhook::read(&file)?;
    let named = |name: &String| -> Result<Webhook, Diagnostic> {
        let found = webhooks.iter().find(|webhook| webhook.name == *name);
        let unknown = || WebhookError::Unknown { name: name.clone(), path: file.clone() };
        Ok(found.ok_or_else(unknown)?.clone())
    };
    match &args.command {
        Command::Deliver { names, failures, dns } => {
            let chosen = match names.is_empty() {
                true => webhooks.clone(),
                false => names.iter().map(named).collect::<Result<_, _>>()?,
            };
            deliver(&workspace, &chosen, *failures, &dns.clone().into())
        }
        Command::Enable { name } => {
            let name = named(name)?.name;
            let was_disabled =
                webhook::enable(&workspace.state_dir()?, &name).map_err(WebhookError::Place)?;
            out(&match was_disabled {
                true => format!("the webhook `{name}` delivers again\n"),
                false => format!("the webhook `{name}` is not disabled\n"),
            })?;
            Ok(Exit::Ok)
        }
    }
}

fn deliver(
    workspace: &Workspace,
    webhooks: &[Webhook],
    failures: u32,
    dns: &NameServers,
) -> Result<Exit, Diagnostic> {
    // Secrets first: nothing is delivered with wrong settings.
    let receivers = webhooks.iter().map(|webhook| Receiver::open(webhook, dns));
    let receivers = receivers.collect::<Result<Vec<_>, _>>()?;
    let runtime = runtime()?;
    let mut signals = runtime.block_on(async { signals::listen_while("finishing requests in transfer") })?;
    let (stop, stopping) = watch::channel(false);
    runtime.spawn(async move {
        // The first asks for an end in order, the second for one at once.
        signals.recv().await;
        stop.send_replace(true);
        if signals.recv().await.is_some() {
            std::process::exit(Exit::Interrupted.code().into());
        }
        std::future::pending::<()>().await;
    });
    let patience = Patience { failures: Some(failures), wait: Some(LONGEST_WAIT) };
    let ended = std::thread::scope(|scope| {
        let deliver = |mut receiver: Receiver| {
            let (handle, stopping) = (runtime.handle(), &stopping);
            move || workspace.deliver(&mut receiver, patience, handle, stopping)
        };
        let threads: Vec<_> = receivers.into_iter().map(|receiver| scope.spawn(deliver(receiver))).collect();
        threads.into_iter().map(|thread| thread.join()).collect::<Vec<_>>()
    });
    let mut exit = Exit::Ok;
    for (webhook, ended) in webhooks.iter().zip(ended) {
        let ended = ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        let (own, text) = said(&webhook.name, &ended);
        out(&format!("{}: {text}\n", webhook.name))?;
        if own != Exit::Ok {
            exit = own;
        }
    }
    Ok(exit)
}

/// How a delivery ended: for scripts, and for people.
fn said(name: &str, ended: &Delivered) -> (Exit, String) {
    let enable = format!("`mailrun webhooks enable {name}` delivers again");
    match ended {
        Delivered::Busy => (Exit::Busy, "another process delivers".to_owned()),
        Delivered::Disabled(disabled) => {
            (Exit::SomeNotAccepted, format!("disabled since {}: {}; {enable}", disabled.at, disabled.why))
        }
        Delivered::Events(events, halt) => {
            let events = counted(*events, "event", "events");
            match halt {
                None => (Exit::Ok, format!("{events} delivered")),
                Some(Halt::Stopped) => {
                    (Exit::Interrupted, format!("{events} delivered; stopped, the next call goes on"))
                }
                Some(Halt::Disabled(why)) => {
                    (Exit::SomeNotAccepted, format!("{events} delivered; disabled: {why}; {enable}"))
                }
                Some(Halt::GaveUp(why)) => (
                    Exit::SomeNotAccepted,
                    format!("{events} delivered; given up: {why}; the next call goes on"),
                ),
                Some(Halt::Place(error)) => (Exit::Usage, error.to_string()),
            }
        }
    }
}

impl From<WebhookError> for Diagnostic {
    fn from(error: WebhookError) -> Self {
        JobError::from(error).into()
    }
}

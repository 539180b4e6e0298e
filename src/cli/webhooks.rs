//! `mailrun webhooks`: events, delivered to other programs.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::common::Common;
use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::name_servers::DnsOptions;
use super::output::out;
use super::runtime::runtime;
use super::table::table;
use super::{json, moment, signals};
use crate::events::BadCursor;
use crate::job::{Delivered, JobError, MOST_WAITING, NameServers, Receiver, ReplayFrom, Standing, Workspace};
use crate::kit::text::{counted, grouped};
use crate::serve::{ServeError, Settings};
use crate::webhook::{self, Disabled, Halt, Patience, Webhook, WebhookError};

/// The longest wait that `deliver` sits out.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// `mailrun webhooks`.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Args {
    /// What to do; lists the webhooks by default.
    #[command(subcommand)]
    command: Option<Command>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Settings [default: `serve.toml` in the state directory]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// How webhooks are reached, and what is printed.
#[derive(Debug, clap::Args)]
struct How {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    dns: DnsOptions,
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
        how: How,
    },
    /// Send one made-up event, and say what the receiver answered
    Test {
        /// The webhook
        name: String,
        #[command(flatten)]
        how: How,
    },
    /// Deliver events again, with the same ids
    Replay {
        /// The webhook
        name: String,
        /// Those behind this one: the `cursor` of an event; or those from this time on, as RFC 3339
        #[arg(long, value_name = "CURSOR|TIME", value_parser = replay_from)]
        after: ReplayFrom,
        /// End after so many failures in a row
        #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
        failures: u32,
        #[command(flatten)]
        how: How,
    },
    /// Let a webhook deliver again that its receiver has ended with 410
    Enable {
        /// The webhook
        name: String,
    },
}

fn replay_from(text: &str) -> Result<ReplayFrom, String> {
    match text.contains('/') {
        true => text.parse().map(ReplayFrom::Cursor).map_err(|error: BadCursor| error.to_string()),
        false => moment::parse_or_day(text).map(ReplayFrom::Time),
    }
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
    let Some(command) = &args.command else { return list(&workspace, &webhooks, args.json) };
    match command {
        Command::Deliver { names, failures, how } => {
            let chosen = match names.is_empty() {
                true => webhooks.clone(),
                false => names.iter().map(named).collect::<Result<_, _>>()?,
            };
            let ended = deliver(&chosen, &how.dns.clone().into(), |receiver, runtime, stop| {
                workspace.deliver(receiver, patience(*failures), runtime, stop)
            })?;
            report(&chosen, &ended, how.json)
        }
        Command::Replay { name, after, failures, how } => {
            let chosen = [named(name)?];
            let ended = deliver(&chosen, &how.dns.clone().into(), |receiver, runtime, stop| {
                workspace.replay(receiver, after, patience(*failures), runtime, stop)
            })?;
            report(&chosen, &ended, how.json)
        }
        Command::Test { name, how } => test(&named(name)?, &how.dns.clone().into(), how.json),
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

fn patience(failures: u32) -> Patience {
    Patience { failures: Some(failures), wait: Some(LONGEST_WAIT) }
}

/// One event that is made up.
fn test(webhook: &Webhook, dns: &NameServers, as_json: bool) -> Result<Exit, Diagnostic> {
    let receiver = Receiver::open(webhook, dns)?;
    let runtime = runtime()?;
    let began = Instant::now();
    let answered = receiver.test(runtime.handle());
    let seconds = began.elapsed().as_secs_f64();
    let is_taken = answered.as_ref().is_ok_and(|answer| (200..300).contains(&answer.status));
    let exit = if is_taken { Exit::Ok } else { Exit::SomeNotAccepted };
    let (status, text) = match &answered {
        Ok(answer) => (Some(answer.status), answer.text.as_str()),
        Err(why) => (None, why.as_str()),
    };
    if as_json {
        let answer = json!({
            "webhook": webhook.name, "status": status, "text": text, "seconds": seconds,
        });
        return json::print(exit, answer);
    }
    let what = status.map_or("no answer".to_owned(), |status| format!("answered {status}"));
    let more = if text.is_empty() { String::new() } else { format!(": {text}") };
    out(&format!("{}: {what} after {seconds:.2} s{more}\n", webhook.name))?;
    Ok(exit)
}

fn list(workspace: &Workspace, webhooks: &[Webhook], as_json: bool) -> Result<Exit, Diagnostic> {
    let mut rows =
        vec![["webhook", "state", "delivered", "waiting", "last delivered"].map(str::to_owned).to_vec()];
    let (mut problems, mut listed) = (String::new(), Vec::new());
    for webhook in webhooks {
        let Standing { progress, disabled, waiting } = workspace.webhook_standing(webhook)?;
        let state = match (&disabled, &progress.failure) {
            (Some(_), _) => "disabled",
            (None, Some(_)) => "failing",
            (None, None) => "ready",
        };
        let problem = match (&disabled, &progress.failure) {
            (Some(Disabled { at, why }), _) => Some(format!("since {at}: {why}")),
            (None, Some(failure)) => Some(format!(
                "{} in a row, the last at {}: {}",
                counted(u64::from(failure.times), "failure", "failures"),
                failure.at,
                failure.why
            )),
            (None, None) => None,
        };
        let name = &webhook.name;
        problems.extend(problem.map(|problem| format!("{name}: {problem}\n")));
        let more = if waiting >= MOST_WAITING { "+" } else { "" };
        rows.push(vec![
            name.clone(),
            state.to_owned(),
            grouped(progress.delivered),
            format!("{}{more}", grouped(waiting)),
            progress.last_delivered.clone().unwrap_or_else(|| "never".to_owned()),
        ]);
        listed.push(json!({
            "name": name, "url": webhook.target.text, "state": state, "delivered": progress.delivered,
            "last_delivered": progress.last_delivered, "waiting": waiting,
            "waiting_is_at_least": waiting >= MOST_WAITING, "not_before": progress.not_before,
            "failure": progress.failure.map(|failure| {
                json!({ "at": failure.at, "why": failure.why, "times": failure.times })
            }),
            "disabled": disabled.map(|disabled| json!({ "at": disabled.at, "why": disabled.why })),
        }));
    }
    if as_json {
        return json::print(Exit::Ok, json!({ "webhooks": listed }));
    }
    out(&(table(&rows) + &problems))?;
    Ok(Exit::Ok)
}

/// Works for all webhooks at once, each on a thread of its own, until all have ended.
fn deliver(
    webhooks: &[Webhook],
    dns: &NameServers,
    work: impl Fn(&mut Receiver, &Handle, &watch::Receiver<bool>) -> Result<Delivered, JobError> + Sync,
) -> Result<Vec<Delivered>, Diagnostic> {
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
    let ended = std::thread::scope(|scope| {
        let (work, handle, stopping) = (&work, runtime.handle(), &stopping);
        let threads: Vec<_> = receivers
            .into_iter()
            .map(|mut receiver| scope.spawn(move || work(&mut receiver, handle, stopping)))
            .collect();
        threads.into_iter().map(|thread| thread.join()).collect::<Vec<_>>()
    });
    let ended = ended.into_iter();
    Ok(ended
        .map(|ended| ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        .collect::<Result<_, _>>()?)
}

fn report(webhooks: &[Webhook], ended: &[Delivered], as_json: bool) -> Result<Exit, Diagnostic> {
    let mut exit = Exit::Ok;
    let (mut text, mut listed) = (String::new(), Vec::new());
    for (webhook, ended) in webhooks.iter().zip(ended) {
        let (own, said) = said(&webhook.name, ended);
        text.push_str(&format!("{}: {said}\n", webhook.name));
        let (word, why) = word(ended);
        let delivered = if let Delivered::Events(events, _) = ended { *events } else { 0 };
        listed.push(json!({ "name": webhook.name, "delivered": delivered, "ended": word, "why": why }));
        exit = worse(exit, own);
    }
    if as_json {
        return json::print(exit, json!({ "webhooks": listed }));
    }
    out(&text)?;
    Ok(exit)
}

/// The exit code of two webhooks: what needs somebody comes before what the next call does.
fn worse(one: Exit, other: Exit) -> Exit {
    let weight = |exit: &Exit| match exit {
        Exit::Ok => 0,
        Exit::Busy => 1,
        Exit::Interrupted => 2,
        Exit::SomeNotAccepted => 3,
        Exit::Usage | Exit::Refused => 4,
    };
    std::cmp::max_by_key(one, other, weight)
}

/// How a delivery ended, in a word, and why.
fn word(ended: &Delivered) -> (&'static str, Option<String>) {
    match ended {
        Delivered::Busy => ("busy", None),
        Delivered::Disabled(disabled) => ("disabled", Some(disabled.why.clone())),
        Delivered::Events(_, None) => ("done", None),
        Delivered::Events(_, Some(Halt::Stopped)) => ("stopped", None),
        Delivered::Events(_, Some(Halt::Disabled(why))) => ("disabled", Some(why.clone())),
        Delivered::Events(_, Some(Halt::GaveUp(why))) => ("gave_up", Some(why.clone())),
        Delivered::Events(_, Some(Halt::Place(error))) => ("gave_up", Some(error.to_string())),
    }
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

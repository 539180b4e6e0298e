//! `mailrun serve`: what runs beside the runs and answers over HTTP.

use std::io::{self, BufRead, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::common::Common;
use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::output::out;
use super::runtime::runtime;
use super::signals;
use crate::job::{NameServers, Receiver, chain};
use crate::kit::socket::Place;
use crate::serve::{BadPassword, Hash, Serve, ServeError, Settings};
use crate::webhook;

/// The bytes of stdin that may be a password.
const MOST_BYTES: u64 = 4_096;
/// How long the end waits for work that blocks.
const END_TIME: Duration = Duration::from_secs(10);

/// `mailrun serve`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Settings [default: `serve.toml` in the state directory]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

/// What is done instead.
#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Print the hash of a password for `[[account]]`: of the first line of stdin
    Password,
}

pub(super) fn run(common: &Common, args: &Args) -> Result<Exit, Diagnostic> {
    if let Some(Command::Password) = args.command {
        return password();
    }
    let workspace = Arc::new(common.workspace());
    let file = match &args.config {
        Some(file) => file.clone(),
        None => Settings::default_file(&workspace).map_err(ServeError::from)?,
    };
    let settings = Settings::read(&file).map_err(ServeError::from)?;
    let webhooks = webhook::read_any(&file)?;
    let receivers = webhooks.iter().map(|webhook| Receiver::open(webhook, &NameServers::default()));
    let receivers = receivers.collect::<Result<Vec<_>, _>>()?;
    let runtime = runtime()?;
    let serve = runtime.block_on(Serve::bind(&workspace, &settings))?;
    let mut signals = runtime.block_on(async { signals::listen_while("finishing requests in transfer") })?;
    let (stop, stopping) = watch::channel(false);
    let ending = stop.clone();
    runtime.spawn(async move {
        // The first asks for an end in order, the second for one at once.
        signals.recv().await;
        stop.send_replace(true);
        if signals.recv().await.is_some() {
            std::process::exit(Exit::Ok.code().into());
        }
    });
    for (who, places, scheme) in serve.places() {
        let places: Vec<String> = places.iter().map(|place| shown(place, scheme)).collect();
        out(&format!("{who} answered at {}\n", places.join(", ")))?;
    }
    let delivered: Vec<&str> = webhooks.iter().map(|webhook| webhook.name.as_str()).collect();
    if !delivered.is_empty() {
        out(&format!("events are delivered to {}\n", delivered.join(", ")))?;
    }
    let served = std::thread::scope(|scope| {
        for mut receiver in receivers {
            let (workspace, handle, mut stop) = (&workspace, runtime.handle(), stopping.clone());
            scope.spawn(move || workspace.keep_delivering(&mut receiver, handle, &mut stop));
        }
        let served = serve.run(&runtime, stopping);
        // Also where nothing could be served.
        ending.send_replace(true);
        served
    });
    // Dropped, it would wait for work that blocks, however long that takes.
    runtime.shutdown_timeout(END_TIME);
    served?;
    Ok(Exit::Ok)
}

/// Prints the hash of a password, which is nowhere but in memory.
fn password() -> Result<Exit, Diagnostic> {
    let mut line = String::new();
    // A line is far shorter; what is longer is refused as a password.
    let read = io::stdin().lock().take(MOST_BYTES).read_line(&mut line);
    read.map_err(|error| Diagnostic::of("can't read the password from stdin", &error))?;
    let hash = Hash::of(line.trim_end_matches(['\r', '\n']))?;
    out(&format!("{hash}\n"))?;
    Ok(Exit::Ok)
}

fn shown(place: &Place, scheme: &str) -> String {
    match place {
        Place::Tcp(addr) => format!("{scheme}://{addr}"),
        Place::Unix(path) => path.display().to_string(),
    }
}

impl From<ServeError> for Diagnostic {
    fn from(error: ServeError) -> Self {
        match error {
            ServeError::Job(error) => Self::from(*error),
            ServeError::Settings(ref wrong) => Self::new(chain(wrong)).at(wrong.place()).hint(wrong.hint()),
            ServeError::Certificate(ref wrong) => Self::new(chain(wrong))
                .at(wrong.path.display())
                .hint("give PEM files: the certificate with those that lead to its root, and its key"),
            ServeError::Bind(ref wrong) => Self::of("nothing can be served", wrong)
                .hint("choose an address of this machine and a port that no other program uses"),
            ServeError::Spool { .. } => Self::new(chain(&error))
                .hint("name a folder that mailrun may write to as `spool` in `[submission]`"),
            ServeError::Random(_) | ServeError::Thread(_) => Self::of("nothing can be served", &error),
        }
    }
}

impl From<BadPassword> for Diagnostic {
    fn from(error: BadPassword) -> Self {
        Self::new(error.to_string())
            .hint("write it as the first line, such as `mailrun serve password < FILE`")
    }
}

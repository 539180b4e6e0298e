//! `mailrun feedback listen`: what a relay delivers.

use std::io::{self, BufWriter, Write};

use serde_json::json;
use tokio::sync::watch;

use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::feedback_read::{as_json, as_text};
use super::output::{ended_pipe, out};
use super::runtime::runtime;
use super::{json, log, signals};
use crate::feedback::Effect;
use crate::job::{FeedbackListen, ReadMail, Workspace};
use crate::kit::socket::Place;
use crate::kit::text::{counted, grouped};
use crate::listener::{Listener, Stop};
use crate::mail::Address;
use crate::run::Shutdown;

/// `mailrun feedback listen`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where to listen: an address such as 127.0.0.1:2424, or the path of a Unix socket; can be
    /// repeated [default: `addresses` in feedback.toml]
    #[arg(long, value_name = "ADDRESS")]
    listen: Vec<Place>,
    /// Accept mail to this address too, besides return paths of known runs; can be repeated
    #[arg(long, value_name = "EMAIL")]
    recipient: Vec<Address>,
    /// Print a JSON object for each mail
    #[arg(long)]
    json: bool,
}

pub(super) fn run(workspace: &Workspace, args: &Args) -> Result<Exit, Diagnostic> {
    let settings = workspace.feedback_listen_settings()?;
    let places = if args.listen.is_empty() { &settings.addresses } else { &args.listen };
    if places.is_empty() {
        let file = workspace.feedback_settings_file()?;
        return Err(Diagnostic::new("no address to listen on")
            .at(file.display())
            .hint("use `--listen 127.0.0.1:2424`, or set `addresses` in `[feedback.listen]` of this file"));
    }
    let recipients: Vec<Address> = settings.recipients.iter().chain(&args.recipient).cloned().collect();
    let runtime = runtime()?;
    let listener = runtime
        .block_on(Listener::bind(places))
        .map_err(|error| Diagnostic::of("feedback can't be received", &error))?;
    let places: Vec<String> = listener.places().iter().map(ToString::to_string).collect();
    let listen = FeedbackListen::new(workspace, &recipients, &format!("listen {}", places.join(" ")))?;
    let (stop, stopping) = watch::channel(Stop::No);
    let stop_by_signal = stop.clone();
    let mut signals = runtime.block_on(async { signals::listen_while("finishing mails in transfer") })?;
    runtime.spawn(async move {
        while let Some((shutdown, _)) = signals.recv().await {
            stop_by_signal.send_replace(match shutdown {
                Shutdown::Drain => Stop::Drain,
                Shutdown::Now => Stop::Now,
            });
        }
    });
    out(&match args.json {
        true => json::line(json!({ "listening": places })) + "\n",
        false => format!("listening on {}\n", places.join(", ")),
    })?;
    let (mut kept, mut suppressed, mut output) = (0, 0, Ok(()));
    listen.run(&runtime, listener, stopping, |mail| {
        kept += 1;
        suppressed += mail.effects.iter().filter(|effect| **effect == Effect::Suppressed).count() as u64;
        if output.is_ok() {
            output = show(&mail, args.json);
            if output.is_err() {
                // Nobody reads on; what comes now is kept by the next listener.
                stop.send_replace(Stop::Drain);
            }
        }
    });
    if let Err(error) = output {
        return ended_pipe(error);
    }
    log::print(&format!("{} kept, {} suppressed", counted(kept, "mail", "mails"), grouped(suppressed)));
    Ok(Exit::Ok)
}

fn show(mail: &ReadMail, as_json_lines: bool) -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    if as_json_lines { as_json(&mut out, mail) } else { as_text(&mut out, mail) }?;
    out.flush()
}

//! `mailrun trace`: finds messages in all runs, with what became of them and how they begin.

use super::common::Common;
use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::moment;
use super::output::out;
use crate::job::{Trace, Traced};
use crate::kit::outside_text;
use crate::kit::text::counted;
use crate::mail::{Address, Timestamp};

/// Characters of its text that a message is shown with.
const CHARACTERS: usize = 1_000;

/// `mailrun trace`.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true)
    .args(["message_id", "recipient", "sender", "since", "until"]))]
pub(super) struct Args {
    /// The message with this Message-ID
    #[arg(long, value_name = "ID")]
    message_id: Option<String>,
    /// Messages to this recipient
    #[arg(long, value_name = "ADDRESS")]
    recipient: Option<Address>,
    /// Messages from this sender
    #[arg(long, value_name = "ADDRESS")]
    sender: Option<Address>,
    /// Messages that something happened to at this time or later: RFC 3339 or HH:MM
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    since: Option<Timestamp>,
    /// Messages that something happened to before this time: RFC 3339 or HH:MM
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    until: Option<Timestamp>,
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
}

pub(super) fn run(common: &Common, args: &Args) -> Result<Exit, Diagnostic> {
    let workspace = common.workspace();
    let bare = |id: &String| id.trim().trim_start_matches('<').trim_end_matches('>').to_owned();
    let trace = Trace {
        message_id: args.message_id.as_ref().map(bare),
        recipient: args.recipient.clone(),
        sender: args.sender.clone(),
        since: args.since,
        until: args.until,
    };
    let (mut found, mut text) = (0, String::new());
    workspace.trace(&trace, &mut |traced| {
        if found < args.limit {
            text.push_str(&shown(&traced));
        }
        found += 1;
        found <= args.limit
    })?;
    if found == 0 {
        return Err(Diagnostic::new("no message is found").hint(
            "runs tell of their recipients for `[results] status-retention`, or for `[keep] recover` where that is set",
        ));
    }
    if found > args.limit {
        let only = counted(args.limit as u64, "message is", "messages are");
        text.push_str(&format!("there are more; {only} shown (`--limit`)\n"));
    }
    out(&text)?;
    Ok(Exit::Ok)
}

fn shown(traced: &Traced) -> String {
    let history = &traced.history;
    let recipient = outside_text::line(history.recipient.as_deref().unwrap_or("(no address)"));
    let row = traced.row.map_or(String::new(), |row| format!(", row {row}"));
    let mut text = format!("{}{row}  {} to {recipient}  {}\n", traced.run, traced.sender, history.place);
    for step in &history.steps {
        text.push_str(&format!("  {}  {:<13}  {}\n", step.at, step.code, outside_text::line(&step.text)));
    }
    match &traced.letter {
        Ok(letter) => {
            text.push_str(&format!("\n  Subject: {}\n\n", outside_text::line(&letter.subject)));
            let mut characters = letter.text.chars();
            let beginning: String = characters.by_ref().take(CHARACTERS).collect();
            for line in beginning.lines() {
                text.push_str(&format!("  {}\n", outside_text::line(line)));
            }
            if characters.next().is_some() {
                text.push_str("  …\n");
            }
        }
        Err(why) => text.push_str(&format!("\n  its text is not shown: {}\n", outside_text::line(why))),
    }
    text.push('\n');
    text
}

//! `mailrun search`: finds messages of the last 45 days in results, journals and feedback.

use serde_json::{Value, json};

use super::common::Common;
use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::output::out;
use super::{json, log, moment};
use crate::job::{Found, Search, Searched};
use crate::kit::outside_text;
use crate::kit::text::counted;
use crate::mail::{Address, Class, Timestamp};

/// `mailrun search`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The message with this Message-ID
    #[arg(long, value_name = "ID")]
    message_id: Option<String>,
    /// Messages to this recipient: an address or a part of one, such as `@example.com`
    #[arg(long, value_name = "ADDRESS")]
    recipient: Option<String>,
    /// Messages from this sender
    #[arg(long, value_name = "ADDRESS")]
    sender: Option<Address>,
    /// Messages that ended for this reason, or came back for it: a class of the results
    #[arg(long, value_name = "CLASS")]
    class: Option<Class>,
    /// Messages of the campaign with this id
    #[arg(long, value_name = "ID")]
    campaign: Option<String>,
    /// Messages that something happened to at this time or later: a day in UTC, RFC 3339 or HH:MM
    /// [default: 45 days ago]
    #[arg(long, value_name = "TIME", value_parser = moment::parse_or_day)]
    since: Option<Timestamp>,
    /// Messages that something happened to before this time: a day in UTC, RFC 3339 or HH:MM
    #[arg(long, value_name = "TIME", value_parser = moment::parse_or_day)]
    until: Option<Timestamp>,
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    /// Print what is found as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(common: &Common, args: &Args) -> Result<Exit, Diagnostic> {
    let search = Search {
        message_id: args.message_id.clone(),
        sender: args.sender.clone(),
        recipient: args.recipient.clone(),
        class: args.class,
        campaign: args.campaign.clone(),
        since: args.since,
        until: args.until,
    };
    let Searched { found, has_more, left_out } =
        common.workspace().search(&search, args.limit as usize, None)?;
    for (run, why) in &left_out {
        log::warn(&format!("warning: run `{run}` could not be searched: {why}"));
    }
    // Whoever asks for what is not there has to see whether all was looked at.
    let exit = if left_out.is_empty() { Exit::Ok } else { Exit::SomeNotAccepted };
    if args.json {
        let found: Vec<Value> = found.iter().map(Found::json).collect();
        let left_out = left_out.iter().map(|(run, why)| json!({ "run": run, "why": why }));
        let left_out: Vec<Value> = left_out.collect();
        return json::print(exit, json!({"found": found, "has_more": has_more, "left_out": left_out}));
    }
    let mut text: String = found.iter().map(shown).collect();
    if found.is_empty() {
        text.push_str("nothing is found\n");
    }
    if has_more {
        let only = counted(u64::from(args.limit), "message is", "messages are");
        text.push_str(&format!("there are more; {only} shown (`--limit`)\n"));
    }
    out(&text)?;
    Ok(exit)
}

fn shown(found: &Found) -> String {
    let line = |text: Option<&String>, absent: &str| match text {
        Some(text) => outside_text::line(text).into_owned(),
        None => absent.to_owned(),
    };
    let mut text = line(found.run.as_ref(), "no run that is known");
    if let Some(row) = found.row {
        text.push_str(&format!(", row {row}"));
    }
    if let Some(sender) = &found.sender {
        text.push_str(&format!("  {}", outside_text::line(sender)));
    }
    text.push_str(&format!(" to {}", line(found.recipient.as_ref(), "(no address)")));
    if let Some((file, row)) = &found.place {
        text.push_str(&format!("  {}, row {row}", outside_text::line(file)));
    }
    text.push('\n');
    let mut add = |at: Option<Timestamp>, word: &str, more: &[Option<String>]| {
        let at = at.map_or_else(|| "–".to_owned(), |at| at.to_string());
        let more: Vec<String> =
            more.iter().flatten().map(|text| outside_text::line(text).into_owned()).collect();
        text.push_str(&format!("  {at:<24}  {word:<13}  {}\n", more.join("  ")));
    };
    let class = |class: Option<Class>| class.map(|class| class.as_str().to_owned());
    if let Some((first, last)) = found.sent {
        add(Some(first), "sent", std::slice::from_ref(&found.message_id));
        if last != first {
            add(Some(last), "sent again", &[]);
        }
    }
    match found.disposition {
        Some(disposition) => {
            let at = found.sent.map(|(_, last)| last);
            add(at, disposition.as_str(), &[class(found.class), found.reply.clone()]);
        }
        None if found.sender.is_some() => add(None, "open", &[]),
        None => add(None, "removed", &[Some("the run is gone, what came back is known".to_owned())]),
    }
    for back in &found.came_back {
        add(Some(back.at), back.kind, &[class(back.class), back.text.clone()]);
    }
    text.push('\n');
    text
}

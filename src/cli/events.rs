//! `mailrun events`: what happened to the recipients of a run, an object a line.

use std::io::{self, Write};

use serde_json::json;

use super::common::Common;
use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::json;
use super::output::ended_pipe;
use crate::events::{Cursor, Kind};

/// `mailrun events`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Run: its id, the start of it, its directory, or for the latest run of a campaign its id,
    /// file or folder
    run: String,
    /// Go on until no process works on the run
    #[arg(long)]
    follow: bool,
    /// Only the events behind this one: the `cursor` of an event
    #[arg(long, value_name = "CURSOR")]
    after: Option<Cursor>,
    /// Only these kinds, separated by commas
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    kind: Vec<Kind>,
}

pub(super) fn run(common: &Common, args: &Args) -> Result<Exit, Diagnostic> {
    let workspace = common.workspace();
    let run = workspace.find_run(&args.run)?;
    let own = run.dir().run_id();
    let mut cursor = match &args.after {
        Some(cursor) if cursor.run == own => cursor.clone(),
        Some(cursor) => {
            let text = format!("the cursor `{cursor}` is not one of run `{}`", run.dir().name());
            return Err(Diagnostic::new(text).hint(format!("`mailrun events {}`", cursor.run)));
        }
        None => Cursor::start(own),
    };
    let mut failed = None;
    let mut stdout = io::stdout().lock();
    workspace.events(&run, &mut cursor, args.follow, &mut |page| {
        let mut text = String::new();
        for (event, cursor) in page {
            if args.kind.is_empty() || args.kind.contains(&event.kind) {
                let mut answer = event.json();
                json::extend(&mut answer, json!({ "cursor": cursor.to_string() }));
                text.push_str(&json::line(answer));
                text.push('\n');
            }
        }
        match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            Ok(()) => true,
            Err(error) => {
                failed = Some(error);
                false
            }
        }
    })?;
    failed.map_or(Ok(Exit::Ok), ended_pipe)
}

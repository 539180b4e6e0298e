//! `mailrun run`: run directories.

use std::path::PathBuf;

use serde_json::json;

use super::common::Common;
use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::{json, log};

/// `mailrun run`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Take over a run that was copied, moved, or made with another state directory: nobody whom
    /// its journal or this state knows gets the message again
    Adopt {
        /// Run directory
        dir: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(common: &Common, args: &Args) -> Result<Exit, Diagnostic> {
    match &args.command {
        Command::Adopt { dir, json } => {
            let manifest = common.workspace().adopt(dir)?;
            if *json {
                let run = format!("{}/{}", manifest.campaign_id, manifest.run_id);
                return json::print(Exit::Ok, json!({"run": run, "directory": dir, "state": manifest.state}));
            }
            log::print(&format!(
                "adopted run {}/{}; `mailrun send` resumes it if it is unfinished. What another process sent after \
                 a copy was made is not known here, unless it used this state directory",
                manifest.campaign_id, manifest.run_id
            ));
            Ok(Exit::Ok)
        }
    }
}

//! Options of every command.

use std::path::{self, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::console::Console;
use super::log::LogFormat;
use crate::campaign::{Parameters, STDIN, is_object_url};
use crate::job::{Places, Workspace};
use crate::pacing::Clock;

const HEADING: &str = "Common options";

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub(super) struct Common {
    /// State directory: capacity ledger and suppression list
    #[arg(long, global = true, value_name = "DIR", env = "MAILRUN_STATE", help_heading = HEADING)]
    pub state: Option<PathBuf>,
    /// Folder of the run directories
    #[arg(long, global = true, value_name = "DIR", env = "MAILRUN_RUNS", help_heading = HEADING)]
    pub runs: Option<PathBuf>,
    /// Set a key of the campaign file for this run, as in template.defaults.month=May
    #[arg(long, global = true, value_name = "KEY=VALUE", value_parser = setting, help_heading = HEADING)]
    pub set: Vec<(String, String)>,
    /// Use this file or object (`s3://…`) as target group, instead of the campaign's; `-` is stdin;
    /// can be repeated
    #[arg(long, global = true, value_name = "FILE", help_heading = HEADING)]
    pub list: Vec<PathBuf>,
    /// Format of the log on stderr
    #[arg(long, global = true, value_enum, default_value_t, help_heading = HEADING)]
    pub log_format: LogFormat,
    /// Print only warnings and errors
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = HEADING)]
    pub quiet: bool,
    /// Log more; twice logs everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = HEADING)]
    pub verbose: u8,
    /// Show no progress on stderr
    #[arg(long, global = true, help_heading = HEADING)]
    pub no_progress: bool,
}

impl Common {
    /// Where state and runs are; notices and progress go to stderr.
    pub(super) fn workspace(&self) -> Workspace {
        let places = Places { state: self.state.clone(), runs: self.runs.clone() };
        Workspace::new(places, Clock::system(), Arc::new(self.console())).with(self.parameters())
    }

    /// What is said in place of the campaign file.
    pub(super) fn parameters(&self) -> Parameters {
        let is_path = |file: &PathBuf| file.as_os_str() != STDIN && !file.to_str().is_some_and(is_object_url);
        let absolute = |file: &PathBuf| match !is_path(file) {
            true => file.clone(),
            false => path::absolute(file).unwrap_or_else(|_| file.clone()),
        };
        Parameters {
            list: self.list.iter().map(|file| absolute(file).to_string_lossy().into_owned()).collect(),
            set: self.set.iter().cloned().collect(),
            ..Parameters::default()
        }
    }

    /// What is printed to stderr.
    pub(super) fn console(&self) -> Console {
        Console::new(self.quiet, self.no_progress, self.log_format)
    }
}

/// `KEY=VALUE`.
fn setting(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if key.split('.').all(|name| !name.is_empty()) => {
            Ok((key.trim().to_owned(), value.to_owned()))
        }
        _ => {
            Err("write a key of the campaign file, `=` and its value, as in `campaign.edition=2026-11`"
                .into())
        }
    }
}

//! Options of every command.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::console::Console;
use super::log::LogFormat;
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
        Workspace::new(places, Clock::system(), Arc::new(self.console()))
    }

    /// What is printed to stderr.
    pub(super) fn console(&self) -> Console {
        Console::new(self.quiet, self.no_progress)
    }
}

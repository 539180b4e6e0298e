//! Arguments, commands, diagnostics, progress, exit codes.
//!
//! stdout carries what was asked for, stderr the progress and the log. A command is a file; it turns the library's
//! errors into `Diagnostic`s and its own end into an [`Exit`].

mod args;
mod capacity;
mod check;
mod diagnostic;
mod dkim;
mod dns;
mod drive;
mod dry;
mod errors;
mod exit;
mod gate;
mod init;
mod job;
mod log;
mod man;
mod moment;
mod mx;
mod paths;
mod plan;
mod progress;
mod recipient;
mod records;
mod render;
mod results;
mod retry;
mod sandbox;
mod send;
mod senders;
mod signals;
mod status;
mod summary;
mod suppress;
mod synth;
mod text;
mod ways;

use std::io::{self, Write};

use clap::{CommandFactory, FromArgMatches};
use tokio::runtime::{Builder, Runtime};

use args::Command;
use diagnostic::Diagnostic;

pub use args::Cli;
pub use exit::Exit;

/// What was typed; ends the program on `--help`, `--version` and what can't be understood.
pub fn parse() -> Cli {
    let matches = full_command().get_matches();
    Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

/// The command line with the texts that are made at run time.
fn full_command() -> clap::Command {
    Cli::command().mut_subcommand("sandbox", |command| command.after_help(sandbox::behaviours()))
}

/// Carries out what was typed.
pub fn run(cli: Cli) -> Exit {
    log::start(&cli.common);
    match command(cli) {
        Ok(exit) => exit,
        Err(diagnostic) => {
            log::print(&diagnostic.to_string());
            diagnostic.code()
        }
    }
}

fn command(cli: Cli) -> Result<Exit, Diagnostic> {
    let common = &cli.common;
    match cli.command {
        Command::Init(args) => init::run(&args),
        Command::Check(args) => check::run(common, &args),
        Command::Dns(args) => records::run(common, &args),
        Command::Dkim(args) => dkim::run(args.command),
        Command::Sender(args) => senders::run(common, args.command),
        Command::Plan(args) => plan::run(common, &args),
        Command::Render(args) => render::run(common, &args),
        Command::Send(args) => send::run(common, *args),
        Command::Retry(args) => retry::run(common, *args),
        Command::Status(args) => status::run(common, &args),
        Command::Results(args) => results::run(common, &args),
        Command::Mx(args) => mx::run(common, args),
        Command::Capacity(args) => capacity::run(common, args),
        Command::Suppress(args) => suppress::run(common, args.command),
        Command::Sandbox(args) => sandbox::run(args, common.quiet),
        Command::Synth(args) => synth::run(common, args),
        Command::Man { dir } => man::run(&dir),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut full_command(), "mailrun", &mut script);
            out(&String::from_utf8_lossy(&script))?;
            Ok(Exit::Ok)
        }
    }
}

/// A runtime for sockets and timers.
fn runtime() -> Result<Runtime, Diagnostic> {
    Builder::new_multi_thread()
        .worker_threads(std::thread::available_parallelism().map_or(2, usize::from).min(8))
        .enable_all()
        .build()
        .map_err(|error| Diagnostic::of("can't start the runtime", &error))
}

/// Prints what was asked for.
fn out(text: &str) -> Result<(), Diagnostic> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
        .or_else(|error| broken_pipe_is_fine(error).map(drop))
}

/// `mailrun … | head` ends well.
fn broken_pipe_is_fine(error: io::Error) -> Result<Exit, Diagnostic> {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Ok(Exit::Ok);
    }
    Err(Diagnostic::of("can't write to stdout", &error))
}

//! The hooks of a campaign: programs that are told how a run ended.
//!
//! A hook runs when everything is on disk and the run is free. It gets one JSON object on stdin,
//! and the environment that this process has. Whether it fails or hangs changes neither the run nor
//! the exit code: it is a warning.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::process::CommandExt;
use std::path::{self, Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Map, Value, json};

use super::conclude::Outcome;
use super::error::chain;
use super::open::Job;
use super::standing::standing;
use crate::kit::outside_text;
use crate::kit::text::duration;
use crate::mail::Timestamp;
use crate::results::Summary;
use crate::run_dir::{Manifest, RunDir};

/// The version of what programs read: the answers of `--json`, and what hooks get.
pub(crate) const SCHEMA_VERSION: u32 = 1;
/// How often a hook is asked whether it has ended.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How much of the end of its output is looked at.
const TAIL: u64 = 4_096;

/// How a run ended, for its hook.
pub(crate) struct Ended<'a> {
    /// The run.
    pub dir: &'a RunDir,
    /// Its manifest.
    pub manifest: &'a Manifest,
    /// What is in its result files, if they were written.
    pub results: Option<&'a Summary>,
    /// How it ended in a word.
    pub outcome: Outcome,
    /// The error that ended it, if one did.
    pub error: Option<Value>,
    /// The exit code of the command.
    pub exit_code: u8,
}

/// Why a hook did not do its work.
#[derive(Debug, thiserror::Error)]
enum HookError {
    #[error("can't be run")]
    Run(#[source] io::Error),
    #[error("ended with {status}{}", .said.as_ref().map_or(String::new(), |said| format!(": {said}")))]
    Failed { status: ExitStatus, said: Option<String> },
    #[error("took longer than {} and was killed", duration(*.0))]
    Timeout(Duration),
}

impl Job<'_> {
    /// Runs the hook for the end of a run, if the campaign has one. Tests and rehearsals have none.
    pub(crate) fn run_hook(&self, ended: &Ended<'_>) {
        let hooks = &self.campaign().hooks;
        let (name, command) = match ended.outcome {
            Outcome::AllAccepted | Outcome::SomeNotAccepted => ("on-finish", &hooks.on_finish),
            Outcome::Interrupted => ("on-stop", &hooks.on_stop),
        };
        let Some((program, arguments)) = command.split_first() else { return };
        if self.is_rehearsal() || ended.manifest.options.to.is_some() {
            return;
        }
        let folder = self.campaign().folder();
        let folder = path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        let input = self.input(name, ended).to_string();
        if let Err(error) = run(program, arguments, &folder, input, hooks.timeout.0) {
            self.workspace.warn(format!("the hook {name} (`{program}`) {}", chain(&error)));
        }
    }

    /// What a hook reads.
    fn input(&self, hook: &str, ended: &Ended<'_>) -> Value {
        let manifest = ended.manifest;
        let moment = |at: Option<Timestamp>| at.map(|at| at.to_string());
        let counts: Map<String, Value> = match ended.results {
            Some(summary) => {
                summary.dispositions.iter().map(|(word, rows)| (word.to_string(), json!(rows))).collect()
            }
            // What can't be read is reported by the command.
            None => standing(self.workspace, ended.dir, manifest, false)
                .unwrap_or_default()
                .rows
                .into_iter()
                .map(|(word, rows)| (word, json!(rows)))
                .collect(),
        };
        let absolute = |path: PathBuf| path::absolute(&path).unwrap_or(path);
        json!({
            "schema_version": SCHEMA_VERSION,
            "hook": hook,
            "campaign": manifest.campaign_id,
            "edition": manifest.campaign.identity.edition,
            "run": ended.dir.name(),
            "directory": absolute(ended.dir.path().to_owned()),
            "outcome": match ended.outcome {
                Outcome::AllAccepted => "all_accepted",
                Outcome::SomeNotAccepted => "some_not_accepted",
                Outcome::Interrupted => "interrupted",
            },
            "exit_code": ended.exit_code,
            "state": manifest.state,
            "error": &ended.error,
            "rows": manifest.screening.rows,
            "planned": manifest.screening.accepted,
            "counts": counts,
            "started": moment(manifest.started),
            "finished": moment(manifest.finished),
            "results": ended.results.map(|_| absolute(ended.dir.results())),
        })
    }
}

/// Runs a program in `folder`, with `input` on its stdin, for at most `timeout`.
fn run(
    program: &str,
    arguments: &[String],
    folder: &Path,
    input: String,
    timeout: Duration,
) -> Result<(), HookError> {
    // A bare name is looked up in PATH; a path starts from the campaign's folder.
    let program = if program.contains('/') { folder.join(program) } else { program.into() };
    let said = tempfile::tempfile().ok();
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(output(said.as_ref()))
        .stderr(output(said.as_ref()))
        // A group of its own, so that what it started is killed with it.
        .process_group(0)
        .spawn()
        .map_err(HookError::Run)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A hook that does not read keeps only this thread waiting, until it ends.
        let feed = move || _ = stdin.write_all(input.as_bytes()).and_then(|()| stdin.write_all(b"\n"));
        thread::Builder::new().name("hook".into()).spawn(feed).map_err(HookError::Run)?;
    }
    match ended_within(&mut child, timeout).map_err(HookError::Run)? {
        None => {
            kill(&mut child);
            Err(HookError::Timeout(timeout))
        }
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(HookError::Failed { status, said: said.and_then(|file| last_line(file).ok()?) }),
    }
}

/// Where a hook writes to: stdout and stderr of this process have a form of their own.
fn output(file: Option<&File>) -> Stdio {
    file.and_then(|file| file.try_clone().ok()).map_or_else(Stdio::null, Stdio::from)
}

fn ended_within(child: &mut Child, timeout: Duration) -> io::Result<Option<ExitStatus>> {
    let begun = Instant::now();
    loop {
        match child.try_wait()? {
            Some(status) => return Ok(Some(status)),
            None if begun.elapsed() >= timeout => return Ok(None),
            None => thread::sleep(LOOK_EVERY),
        }
    }
}

/// Kills a hook and what it started.
fn kill(child: &mut Child) {
    // It leads its group, and was not waited for: the number is still its own.
    let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
    let _ = child.wait();
}

/// The last line of what a hook printed, safe to show.
fn last_line(mut file: File) -> io::Result<Option<String>> {
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut text = Vec::new();
    file.take(TAIL).read_to_end(&mut text)?;
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().rev().map(str::trim).find(|line| !line.is_empty());
    Ok(line.map(|line| outside_text::line(line).chars().take(300).collect()))
}

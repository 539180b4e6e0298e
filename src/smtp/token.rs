//! Access tokens that a command prints. It runs when a token is needed; the token is kept until
//! shortly before it expires, and all connections share it. The command's error output is
//! discarded: it might contain the token.

use std::fmt;
use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;
use tokio::sync::Mutex;

use super::password::Password;

/// How long a token of unknown lifetime is kept: they usually live for an hour.
const USUAL_LIFE: Duration = Duration::from_secs(45 * 60);
/// How long before its end a token is renewed, so that none expires on its way.
const EARLY: Duration = Duration::from_secs(60);
/// The longest output that can be a token.
const LONGEST: u64 = 64 * 1_024;

/// Where access tokens come from.
#[derive(Clone)]
pub struct TokenSource(Arc<Inner>);

struct Inner {
    /// The program and its arguments; no shell runs them.
    command: Vec<String>,
    timeout: Duration,
    kept: Mutex<Option<Kept>>,
}

struct Kept {
    token: Password,
    until: Instant,
}

/// Why the command gave no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The command can't be started.
    #[error("token command `{program}` can't be run: {problem}")]
    Run {
        /// The program.
        program: String,
        /// The system's text.
        problem: String,
    },
    /// The command failed.
    #[error("token command `{program}` ended with {status}: run it by hand to see why")]
    Failed {
        /// The program.
        program: String,
        /// Its status.
        status: String,
    },
    /// The command took too long.
    #[error("token command `{program}` took longer than {}s", .timeout.as_secs_f64())]
    Timeout {
        /// The program.
        program: String,
        /// The time it had.
        timeout: Duration,
    },
    /// What it printed is no token.
    #[error("token command `{program}` printed no token: {problem}")]
    NoToken {
        /// The program.
        program: String,
        /// What was expected.
        problem: &'static str,
    },
}

/// What endpoints of OAuth answer (RFC 6749 §5.1).
#[derive(Deserialize)]
struct Answer {
    access_token: String,
    /// Seconds.
    expires_in: Option<u64>,
}

impl TokenSource {
    /// Tokens from `command`, a program and its arguments, which has `timeout` to print one.
    pub fn new(command: Vec<String>, timeout: Duration) -> Self {
        Self(Arc::new(Inner { command, timeout, kept: Mutex::new(None) }))
    }

    /// A token, and whether it had been used before. Only one caller at a time runs the command.
    pub(super) async fn token(&self) -> Result<(Password, bool), TokenError> {
        let mut kept = self.0.kept.lock().await;
        if let Some(kept) = kept.as_ref().filter(|kept| Instant::now() < kept.until) {
            return Ok((kept.token.clone(), true));
        }
        let inner = Arc::clone(&self.0);
        let printed = tokio::task::spawn_blocking(move || run(&inner.command, inner.timeout));
        let printed = printed.await.expect("running a command does not panic")?;
        let (token, life) = read(self.program(), &printed)?;
        *kept = Some(Kept { token: token.clone(), until: Instant::now() + life.saturating_sub(EARLY) });
        Ok((token, false))
    }

    /// The server has refused the token: the next caller gets a new one.
    pub(super) async fn forget(&self, refused: &Password) {
        let mut kept = self.0.kept.lock().await;
        if kept.as_ref().is_some_and(|kept| kept.token == *refused) {
            *kept = None;
        }
    }

    fn program(&self) -> &str {
        self.0.command.first().map_or("", String::as_str)
    }
}

/// The program only: its arguments may hold what nobody should see.
impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenSource({} …)", self.program())
    }
}

/// What the command prints. Blocks.
fn run(command: &[String], timeout: Duration) -> Result<String, TokenError> {
    let (program, arguments) = command.split_first().expect("a campaign with an empty command is refused");
    let failed =
        |problem: std::io::Error| TokenError::Run { program: program.clone(), problem: problem.to_string() };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    let output = child.stdout.take().expect("it was asked for");
    let (done_in, done) = mpsc::sync_channel(1);
    // The thread ends with the command's output, or when nobody waits for it.
    thread::spawn(move || {
        let mut text = String::new();
        let read = output.take(LONGEST).read_to_string(&mut text).map(|_| text);
        let _ = done_in.send(read);
    });
    let begun = Instant::now();
    let text = done.recv_timeout(timeout);
    let status = loop {
        match child.try_wait().map_err(failed)? {
            Some(status) => break status,
            None if text.is_err() || begun.elapsed() >= timeout => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(TokenError::Timeout { program: program.clone(), timeout });
            }
            None => thread::sleep(Duration::from_millis(5)),
        }
    };
    if !status.success() {
        return Err(TokenError::Failed { program: program.clone(), status: status.to_string() });
    }
    match text {
        Ok(read) => read.map_err(failed),
        Err(_) => Err(TokenError::Timeout { program: program.clone(), timeout }),
    }
}

/// The token in the output, alone or in the JSON of an OAuth endpoint, and its lifetime.
fn read(program: &str, printed: &str) -> Result<(Password, Duration), TokenError> {
    let bad = |problem| TokenError::NoToken { program: program.to_owned(), problem };
    let printed = printed.trim();
    let (token, life) = if printed.starts_with('{') {
        let answer: Answer =
            serde_json::from_str(printed).map_err(|_| bad("it is JSON without an `access_token`"))?;
        (answer.access_token, answer.expires_in.map_or(USUAL_LIFE, Duration::from_secs))
    } else {
        (printed.to_owned(), USUAL_LIFE)
    };
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(bad("one word is expected, or JSON with `access_token` and `expires_in`"));
    }
    Ok((Password::new(token), life))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(script: &str, timeout: u64) -> TokenSource {
        let command = ["sh", "-c", script].map(str::to_owned).to_vec();
        TokenSource::new(command, Duration::from_secs(timeout))
    }

    /// A command that records each run.
    fn counting(folder: &tempfile::TempDir, print: &str) -> TokenSource {
        let runs = folder.path().join("runs");
        source(&format!("echo run >> '{}'; {print}", runs.display()), 60)
    }

    fn runs(folder: &tempfile::TempDir) -> usize {
        std::fs::read_to_string(folder.path().join("runs")).unwrap_or_default().lines().count()
    }

    #[tokio::test]
    async fn the_command_runs_once_for_all_and_again_when_its_token_was_refused() {
        let folder = tempfile::tempdir().unwrap();
        let tokens = counting(&folder, "echo ya29.t0ken");
        let token = Password::new("ya29.t0ken");
        let (first, second) = tokio::join!(tokens.token(), tokens.token());
        assert_eq!((first.unwrap(), second.unwrap()), ((token.clone(), false), (token.clone(), true)));
        assert_eq!(runs(&folder), 1);
        tokens.forget(&Password::new("another")).await;
        assert!(tokens.token().await.unwrap().1);
        tokens.forget(&token).await;
        assert!(!tokens.token().await.unwrap().1);
        assert_eq!(runs(&folder), 2);
    }

    #[tokio::test]
    async fn a_token_is_kept_as_long_as_it_lives() {
        for (seconds, kept) in [(3_600, true), (61, true), (60, false), (0, false)] {
            let folder = tempfile::tempdir().unwrap();
            let tokens =
                counting(&folder, &format!("echo '{{\"access_token\":\"t0ken\",\"expires_in\":{seconds}}}'"));
            tokens.token().await.unwrap();
            assert_eq!(tokens.token().await.unwrap().1, kept, "{seconds} s");
        }
    }

    #[tokio::test]
    async fn what_is_no_token_is_reported_without_showing_it() {
        let fails = async |script: &str, timeout: u64, says: &str| {
            let error = source(script, timeout).token().await.unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
        };
        fails("echo s3cret >&2; exit 3", 60, "`sh` ended with exit status: 3").await;
        fails("echo s3cret two", 60, "one word is expected").await;
        fails("true", 60, "one word is expected").await;
        fails("echo '{\"error\":\"s3cret\"}'", 60, "without an `access_token`").await;
        fails("exec sleep 1000", 0, "took longer than").await;
        let missing = TokenSource::new(vec!["/does/not/exist".into()], Duration::from_secs(1));
        assert!(missing.token().await.unwrap_err().to_string().contains("`/does/not/exist` can't be run"));
        let source = source("echo s3cret", 60);
        source.token().await.unwrap();
        assert!(!format!("{source:?}").contains("s3cret"));
    }
}

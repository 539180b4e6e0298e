//! A folder to work in, and the program as a user starts it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;

use mailrun::results::{Column, ResultFiles, ResultRow};
use mailrun::sandbox::{Options, Sandbox};
use tokio::runtime::Runtime;

/// The program: the one that these tests were built with, or the one that `MAILRUN_BIN` names.
pub(crate) fn program() -> PathBuf {
    std::env::var_os("MAILRUN_BIN").map_or_else(|| env!("CARGO_BIN_EXE_mailrun").into(), PathBuf::from)
}

/// A folder that goes when the test ends, with a state directory of its own.
pub(crate) struct Dir {
    folder: tempfile::TempDir,
}

/// What DNS says to a program that a test starts: the sender of its campaigns, and nothing else.
const ZONE: &str = "\
$TTL 300
mail.example.com. IN MX 10 localhost.
mail.example.com. IN TXT \"v=spf1 ip4:127.0.0.1 -all\"
_dmarc.example.com. IN TXT \"v=DMARC1; p=reject\"
";

impl Dir {
    pub(crate) fn new() -> Self {
        let dir = Self { folder: tempfile::tempdir().unwrap() };
        dir.write("dns/zone", ZONE);
        dir
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// `mailrun` with these arguments, in this folder.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(program());
        command
            .args(args)
            .current_dir(self.path())
            .env_clear()
            .env("HOME", self.path())
            .env("MAILRUN_STATE", self.path().join("state"))
            .env("MAILRUN_DNS_ZONE", self.path().join("dns"))
            .stdin(Stdio::null());
        command
    }

    /// Runs `mailrun` to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        Ran(self.command(args).output().unwrap())
    }

    pub(crate) fn start(&self, args: &[&str]) -> Child {
        self.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// Starts a command and kills it once `moment` has come, if it goes on until then. Whether the
    /// kill came in time.
    pub(crate) fn killed_once(&self, args: &[&str], mut moment: impl FnMut() -> bool) -> bool {
        let mut child = self.start(args);
        while !moment() && child.try_wait().unwrap().is_none() {
            thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap().code().is_none()
    }

    /// The one run of a campaign.
    pub(crate) fn run_of(&self, campaign: &str) -> PathBuf {
        let mut runs: Vec<PathBuf> = fs::read_dir(self.path().join("runs").join(campaign))
            .map(|entries| entries.map(|entry| entry.unwrap().path()).collect())
            .unwrap_or_default();
        assert_eq!(runs.len(), 1, "{runs:?}");
        runs.remove(0)
    }

    /// The results of the one run of a campaign.
    pub(crate) fn results(&self, campaign: &str) -> Vec<ResultRow<'static>> {
        let files = ResultFiles::open(&self.run_of(campaign).join("results")).unwrap();
        files.rows(&Column::ALL).map(|row| row.unwrap()).collect()
    }

    /// The files of this folder, those of runs and state among them, whose bytes hold `text`.
    pub(crate) fn files_with(&self, text: &str) -> Vec<PathBuf> {
        let mut folders = vec![self.path().to_owned()];
        let mut found = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if fs::read(&path).unwrap().windows(text.len()).any(|bytes| bytes == text.as_bytes()) {
                    found.push(path);
                }
            }
        }
        found
    }

    /// Each disposition of the one run of a campaign with its number of rows, in words.
    pub(crate) fn dispositions(&self, campaign: &str) -> Vec<(String, usize)> {
        let mut counts = std::collections::BTreeMap::new();
        for row in self.results(campaign) {
            *counts.entry(row.disposition.to_string()).or_insert(0) += 1;
        }
        counts.into_iter().collect()
    }
}

/// What a finished program left behind.
pub(crate) struct Ran(pub Output);

impl Ran {
    pub(crate) fn code(&self) -> i32 {
        self.0.status.code().unwrap_or(-1)
    }

    pub(crate) fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.0.stdout).into_owned()
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.0.stderr).into_owned()
    }

    /// It ended with this code.
    #[track_caller]
    pub(crate) fn ended(self, code: i32) -> Self {
        assert_eq!(self.code(), code, "stdout:\n{}\nstderr:\n{}", self.stdout(), self.stderr());
        self
    }

    /// stderr says this.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.stderr().contains(text), "`{text}` is not in stderr:\n{}", self.stderr());
        self
    }
}

/// A relay that takes mail, in this process.
pub(crate) struct Relay {
    runtime: Runtime,
    sandbox: Option<Sandbox>,
}

impl Relay {
    pub(crate) fn start(options: Options) -> Self {
        let runtime = Runtime::new().unwrap();
        let sandbox = runtime.block_on(Sandbox::start(options)).unwrap();
        Self { runtime, sandbox: Some(sandbox) }
    }

    pub(crate) fn port(&self) -> u16 {
        self.sandbox.as_ref().unwrap().addr().port()
    }

    pub(crate) fn certificate_pem(&self) -> &str {
        self.sandbox.as_ref().unwrap().certificate_pem()
    }

    pub(crate) fn stats(&self) -> mailrun::sandbox::Stats {
        self.sandbox.as_ref().unwrap().stats()
    }

    pub(crate) fn stop(mut self) -> mailrun::sandbox::Stats {
        self.runtime.block_on(self.sandbox.take().unwrap().stop())
    }
}

/// A small campaign of plain text to a relay on this machine; `more` is added at its end. Its
/// newsletter has no unsubscribe link, and says so.
pub(crate) fn campaign(dir: &Dir, id: &str, port: u16, relay: &str, more: &str) -> String {
    dir.write("letter.hbs", "Hello {{n}}\n");
    let text = format!(
        "[campaign]\nid = \"{id}\"\nwithout-unsubscribe = true\n[sender]\nfrom = \"News <news@mail.example.com>\"\n\
         [target-group]\nfiles = [\"{id}.csv\"]\n[template]\nsubject = \"Number {{{{n}}}}\"\ntext = \"letter.hbs\"\n\
         [delivery]\nroute = \"relay\"\n[delivery.relay]\nhost = \"127.0.0.1\"\nport = {port}\ntls = \"none\"\n{relay}\n{more}\n"
    );
    let name = format!("{id}.toml");
    dir.write(&name, text);
    name
}

/// A list of `rows` recipients in one domain.
pub(crate) fn list(dir: &Dir, id: &str, rows: usize) {
    let rows: String = (0..rows).map(|n| format!("r{n}@{id}.example,{n}\n")).collect();
    dir.write(&format!("{id}.csv"), format!("email,n\n{rows}"));
}

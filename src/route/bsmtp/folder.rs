//! The folder with the files, and the thread that writes them.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::kit::file::{Draft, UNFINISHED};

/// A file that has a message waits at most this long for another.
const LONGEST_WAIT: Duration = Duration::from_millis(200);
/// The files are for another program, often of another user in the same group.
const MODE: u32 = 0o640;

/// How files are written.
#[derive(Debug, Clone)]
pub struct BatchFolderSettings {
    /// The folder; it exists.
    pub folder: PathBuf,
    /// What the names of this run's files start with; no other process uses it.
    pub prefix: String,
    /// The name in `HELO`.
    pub helo: String,
    /// The most messages of a file.
    pub messages: usize,
    /// A file of so many bytes gets no further message.
    pub file_size: u64,
}

/// A folder that messages are written to.
#[derive(Debug)]
pub struct BatchFolder {
    messages: SyncSender<Waiting>,
    /// Sessions that are open: so many messages can wait at most.
    pub(super) sessions: Arc<AtomicUsize>,
}

/// A message that waits for its file.
#[derive(Debug)]
struct Waiting {
    /// From `MAIL FROM` to the final dot.
    transaction: Vec<u8>,
    done: oneshot::Sender<Result<String, io::Error>>,
}

impl BatchFolder {
    /// Starts the thread that writes; it ends with the last handle. What a killed process has left
    /// unfinished is removed.
    ///
    /// # Errors
    /// The folder can't be read.
    pub fn open(settings: BatchFolderSettings) -> io::Result<Arc<Self>> {
        for entry in fs::read_dir(&settings.folder)? {
            let name = entry?.file_name();
            let is_left = |name: &str| name.starts_with(&settings.prefix) && name.ends_with(UNFINISHED);
            if name.to_str().is_some_and(is_left) {
                fs::remove_file(settings.folder.join(name))?;
            }
        }
        let (messages, waiting) = sync_channel(2 * settings.messages + 16);
        let sessions = Arc::new(AtomicUsize::new(0));
        let open = Arc::clone(&sessions);
        thread::Builder::new().name("bsmtp".into()).spawn(move || write_all(&settings, &waiting, &open))?;
        Ok(Arc::new(Self { messages, sessions }))
    }

    /// Writes a transaction, from `MAIL FROM` to the final dot. Returns the name of its file once
    /// that is there for good.
    pub(super) async fn write(&self, transaction: Vec<u8>) -> io::Result<String> {
        let (done, written) = oneshot::channel();
        let gone = || io::Error::other("the thread that writes has ended");
        // Each session has a place in the channel, so this does not block.
        self.messages.try_send(Waiting { transaction, done }).map_err(|_| gone())?;
        written.await.map_err(|_| gone())?
    }
}

fn write_all(settings: &BatchFolderSettings, waiting: &Receiver<Waiting>, sessions: &AtomicUsize) {
    let begun = chrono::Utc::now().format("%Y%m%d%H%M%S%6f");
    let mut number = 0_u64;
    while let Ok(first) = waiting.recv() {
        number += 1;
        let name = format!("{}{begun}-{number:06}.bsmtp", settings.prefix);
        let mut taken = Vec::new();
        match write_file(settings, &name, first, waiting, sessions, &mut taken) {
            Ok(()) => {
                for done in taken {
                    // Nobody waits any more where the run has ended: its journal says in doubt.
                    let _ = done.send(Ok(name.clone()));
                }
            }
            Err(error) => {
                for done in taken {
                    let _ = done.send(Err(io::Error::new(error.kind(), error.to_string())));
                }
            }
        }
    }
}

/// Writes one file and publishes it; `taken` gets those who wait for that.
fn write_file(
    settings: &BatchFolderSettings,
    name: &str,
    first: Waiting,
    waiting: &Receiver<Waiting>,
    sessions: &AtomicUsize,
    taken: &mut Vec<oneshot::Sender<Result<String, io::Error>>>,
) -> io::Result<()> {
    let deadline = Instant::now() + LONGEST_WAIT;
    let Waiting { transaction, done } = first;
    taken.push(done);
    let mut draft = Draft::unique(&settings.folder.join(name), MODE)?;
    draft.write_all(format!("HELO {}\r\n", settings.helo).as_bytes())?;
    draft.write_all(&transaction)?;
    let mut bytes = transaction.len() as u64;
    while taken.len() < settings.messages
        && bytes < settings.file_size
        && taken.len() < sessions.load(Ordering::Relaxed)
    {
        let left = deadline.saturating_duration_since(Instant::now());
        let Ok(Waiting { transaction, done }) = waiting.recv_timeout(left) else { break };
        taken.push(done);
        draft.write_all(&transaction)?;
        bytes += transaction.len() as u64;
    }
    draft.write_all(b"QUIT\r\n")?;
    draft.publish_new()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(settings: impl FnOnce(&mut BatchFolderSettings)) -> (tempfile::TempDir, Arc<BatchFolder>) {
        let dir = tempfile::tempdir().unwrap();
        let mut all = BatchFolderSettings {
            folder: dir.path().to_owned(),
            prefix: "x-".into(),
            helo: "host.example".into(),
            messages: 2,
            file_size: 1_000_000,
        };
        settings(&mut all);
        fs::write(dir.path().join("x-1.bsmtp.abc.new"), "half").unwrap();
        fs::write(dir.path().join("y-1.bsmtp.abc.new"), "of another run").unwrap();
        let folder = BatchFolder::open(all).unwrap();
        (dir, folder)
    }

    fn files(dir: &tempfile::TempDir) -> Vec<(String, String)> {
        let mut files: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| {
                (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(path).unwrap())
            })
            .collect();
        files.sort();
        files
    }

    #[tokio::test]
    async fn messages_share_a_file_that_appears_whole_before_they_are_accepted() {
        let (dir, folder) = folder(|_| {});
        folder.sessions.store(3, Ordering::Relaxed);
        let write = |text: &str| folder.write(format!("MAIL FROM:<>\r\n{text}\r\n.\r\n").into_bytes());
        let (one, two, three) = tokio::join!(write("1"), write("2"), write("3"));
        let (one, two, three) = (one.unwrap(), two.unwrap(), three.unwrap());
        assert!(one == two && two != three, "{one} {two} {three}");
        let files = files(&dir);
        assert_eq!(files.len(), 3, "{files:?}");
        let (_, text) = files.iter().find(|(name, _)| *name == one).unwrap();
        assert_eq!(text, "HELO host.example\r\nMAIL FROM:<>\r\n1\r\n.\r\nMAIL FROM:<>\r\n2\r\n.\r\nQUIT\r\n");
        assert!(files.iter().any(|(name, _)| name == "y-1.bsmtp.abc.new"));
    }

    #[tokio::test]
    async fn a_file_of_enough_bytes_gets_no_further_message() {
        let (dir, folder) = folder(|settings| settings.file_size = 10);
        folder.sessions.store(2, Ordering::Relaxed);
        let write = |text: &str| folder.write(text.repeat(5).into_bytes());
        let (one, two) = tokio::join!(write("one"), write("two"));
        assert_ne!(one.unwrap(), two.unwrap());
        assert_eq!(files(&dir).len(), 3);
    }

    #[tokio::test]
    async fn where_nothing_can_be_written_nothing_is_accepted() {
        let (dir, folder) = folder(|_| {});
        drop(dir);
        assert!(folder.write(b"x".to_vec()).await.is_err());
    }
}

//! The server's side of a session within this process (RFC 5321).

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use super::folder::BatchFolder;
use crate::smtp::batch::looks_like_command;

/// The most bytes of a command, and of a line of text.
const LINE_BYTES: u64 = 64 * 1024;
/// The most bytes of a message; campaigns have a lower limit of their own.
const MESSAGE_BYTES: usize = 256 * 1024 * 1024;

/// Lines from the client, replies to it.
struct Dialogue {
    stream: BufReader<UnixStream>,
    line: Vec<u8>,
}

impl Dialogue {
    /// Reads a line with its end; false at the end of the session.
    async fn read(&mut self) -> io::Result<bool> {
        self.line.clear();
        let read = (&mut self.stream).take(LINE_BYTES).read_until(b'\n', &mut self.line).await?;
        match self.line.ends_with(b"\n") {
            true => Ok(true),
            false if read == 0 => Ok(false),
            false => Err(io::Error::new(io::ErrorKind::InvalidData, "a line without its end")),
        }
    }

    async fn reply(&mut self, text: &str) -> io::Result<()> {
        self.stream.write_all(format!("{text}\r\n").as_bytes()).await
    }
}

impl BatchFolder {
    /// Serves a session over `stream` until it ends.
    pub async fn serve(self: Arc<Self>, stream: UnixStream) {
        self.sessions.fetch_add(1, Ordering::Relaxed);
        let served = serve(stream, &self).await;
        self.sessions.fetch_sub(1, Ordering::Relaxed);
        if let Err(error) = served {
            tracing::debug!("a session with the batch SMTP folder broke: {error}");
        }
    }
}

/// Serves one session until QUIT or its end.
async fn serve(stream: UnixStream, folder: &BatchFolder) -> io::Result<()> {
    let mut dialogue = Dialogue { stream: BufReader::new(stream), line: Vec::new() };
    dialogue.reply("220 batch SMTP folder ESMTP").await?;
    let (mut sender, mut recipients): (Option<String>, Vec<String>) = (None, Vec::new());
    while dialogue.read().await? {
        let line = String::from_utf8_lossy(&dialogue.line).trim_end().to_owned();
        let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
        let reply = match verb.as_str() {
            "EHLO" => format!(
                "250-folder\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE {MESSAGE_BYTES}"
            ),
            "HELO" | "NOOP" => "250 ok".to_owned(),
            "RSET" => {
                (sender, recipients) = (None, Vec::new());
                "250 ok".to_owned()
            }
            "QUIT" => {
                dialogue.reply("221 bye").await?;
                return Ok(());
            }
            "MAIL" if sender.is_none() => match path(&line) {
                Some(address) => {
                    sender = Some(address.to_owned());
                    "250 ok".to_owned()
                }
                None => "501 no address".to_owned(),
            },
            "RCPT" if sender.is_some() => match path(&line) {
                Some(address) => {
                    recipients.push(address.to_owned());
                    "250 ok".to_owned()
                }
                None => "501 no address".to_owned(),
            },
            "DATA" if !recipients.is_empty() => {
                let from = sender.take().unwrap_or_default();
                let to = std::mem::take(&mut recipients);
                dialogue.reply("354 go on").await?;
                let Some(transaction) = transaction(&mut dialogue, &from, &to).await? else { return Ok(()) };
                if transaction.len() > MESSAGE_BYTES {
                    "552 the message is too large".to_owned()
                } else {
                    match folder.write(transaction).await {
                        Ok(name) => format!("250 written to {name}"),
                        Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                            format!("452 can't write the file: {error}")
                        }
                        Err(error) => format!("451 can't write the file: {error}"),
                    }
                }
            }
            "MAIL" | "RCPT" | "DATA" => "503 out of sequence".to_owned(),
            _ => "500 not known here".to_owned(),
        };
        dialogue.reply(&reply).await?;
    }
    Ok(())
}

/// The address in angle brackets. Parameters are left out: `exim4 -bS` takes none.
fn path(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once('<')?;
    rest.split_once('>').map(|(address, _)| address)
}

/// The transaction with its text up to the final dot, as it goes into a file. Beyond the largest
/// size, the rest is skipped.
async fn transaction(dialogue: &mut Dialogue, from: &str, to: &[String]) -> io::Result<Option<Vec<u8>>> {
    let mut out = format!("MAIL FROM:<{from}>\r\n").into_bytes();
    for to in to {
        out.extend_from_slice(format!("RCPT TO:<{to}>\r\n").as_bytes());
    }
    out.extend_from_slice(b"DATA\r\n");
    while dialogue.read().await? {
        if out.len() <= MESSAGE_BYTES {
            if looks_like_command(&dialogue.line) {
                out.push(b'.');
            }
            out.extend_from_slice(&dialogue.line);
        }
        if dialogue.line == b".\r\n" {
            return Ok(Some(out));
        }
    }
    Ok(None)
}

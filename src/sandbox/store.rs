//! Keeps accepted messages: files, counts, the record. All of it happens before the reply.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::kit::file::Draft;
use crate::mail::Timestamp;

use super::options::{Keep, Options};
use super::record::{Entry, Record};

/// The most domains that [`Keep::Count`] counts separately; the rest is only in the totals.
const COUNTED_DOMAINS: usize = 100_000;

/// An accepted message with its envelope.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Accepted {
    pub return_path: String,
    pub recipients: Vec<String>,
    /// The name that the client gave in EHLO.
    pub client: Arc<str>,
    pub peer: IpAddr,
    /// As in `Received … with` (RFC 3848, RFC 6531 §4.3).
    pub protocol: &'static str,
    pub connection: u64,
    pub message_id: String,
    pub bytes: u64,
    /// The whole message, if messages are kept.
    pub content: Vec<u8>,
    /// Whether a reply follows.
    pub replied: bool,
}

/// Keeps the messages of one sandbox.
#[derive(Debug)]
pub(super) struct Store {
    keep: Keep,
    host_name: String,
    record: Option<Record>,
    /// The number of the next queue id. It starts with the clock in microseconds, so a restarted
    /// sandbox does not overwrite files of the previous one.
    next: AtomicI64,
    domains: Mutex<HashMap<Box<str>, u64>>,
}

impl Store {
    /// Creates the folder and opens the record.
    pub(super) fn open(options: &Options) -> io::Result<Self> {
        if let Keep::Eml(folder) = &options.keep {
            fs::create_dir_all(folder)?;
        }
        Ok(Self {
            keep: options.keep.clone(),
            host_name: options.host_name.clone(),
            record: options.record.as_deref().map(Record::open).transpose()?,
            next: AtomicI64::new(Timestamp::now().0),
            domains: Mutex::default(),
        })
    }

    /// Keeps a message and returns its queue id. If it fails, the message is not accepted.
    pub(super) async fn keep(self: &Arc<Self>, message: Accepted) -> io::Result<String> {
        let queue_id = format!("{:X}", self.next.fetch_add(1, Ordering::Relaxed));
        match &self.keep {
            Keep::Discard => self.note(&queue_id, &message)?,
            Keep::Count => {
                self.note(&queue_id, &message)?;
                self.count(&message);
            }
            Keep::Eml(folder) => {
                let (store, folder, id) = (Arc::clone(self), folder.clone(), queue_id.clone());
                tokio::task::spawn_blocking(move || {
                    let file = write_eml(&folder, &id, &store.host_name, &message)?;
                    // A message that is not in the record was not accepted, so its file must go.
                    store.note(&id, &message).inspect_err(|_| drop(fs::remove_file(file)))
                })
                .await
                .map_err(io::Error::other)??;
            }
        }
        Ok(queue_id)
    }

    /// Adds the message to the record: a short `write` to the page cache, cheaper here than waking
    /// a thread.
    fn note(&self, queue_id: &str, message: &Accepted) -> io::Result<()> {
        let Some(record) = &self.record else { return Ok(()) };
        let at_us = Timestamp::now().0;
        let entry = |recipient: &String| Entry {
            at_us,
            queue_id: queue_id.to_owned(),
            connection: message.connection,
            return_path: message.return_path.clone(),
            recipient: recipient.clone(),
            message_id: message.message_id.clone(),
            bytes: message.bytes,
            replied: message.replied,
        };
        record.add(&message.recipients.iter().map(entry).collect::<Vec<_>>())
    }

    fn count(&self, message: &Accepted) {
        let mut domains = self.domains.lock().unwrap_or_else(PoisonError::into_inner);
        for recipient in &message.recipients {
            let domain = recipient.rsplit_once('@').map_or("", |(_, domain)| domain).to_ascii_lowercase();
            if let Some(count) = domains.get_mut(domain.as_str()) {
                *count += 1;
            } else if domains.len() < COUNTED_DOMAINS {
                domains.insert(domain.into(), 1);
            }
        }
    }

    /// Messages per recipient domain, most frequent first.
    pub(super) fn domains(&self) -> Vec<(String, u64)> {
        let domains = self.domains.lock().unwrap_or_else(PoisonError::into_inner);
        let mut list: Vec<_> = domains.iter().map(|(domain, count)| (domain.to_string(), *count)).collect();
        list.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        list
    }
}

/// Writes `<queue id>.eml`: trace fields, then the message as received. The file gets its name once
/// it is complete.
fn write_eml(folder: &Path, queue_id: &str, host_name: &str, message: &Accepted) -> io::Result<PathBuf> {
    let path = folder.join(format!("{queue_id}.eml"));
    let mut draft = Draft::create(&path)?;
    draft.write_all(trace(queue_id, host_name, message).as_bytes())?;
    draft.write_all(&message.content)?;
    draft.publish_unsynced()?;
    Ok(path)
}

/// `Return-Path`, `Delivered-To` for each recipient and `Received` (RFC 5321 §4.4).
fn trace(queue_id: &str, host_name: &str, message: &Accepted) -> String {
    let mut fields = format!("Return-Path: <{}>\r\n", message.return_path);
    for recipient in &message.recipients {
        write!(fields, "Delivered-To: {recipient}\r\n").expect("writing to a String can't fail");
    }
    let Accepted { client, peer, protocol, .. } = message;
    let recipient = match message.recipients.as_slice() {
        [one] => format!("\r\n\tfor <{one}>"),
        _ => String::new(),
    };
    let date = Timestamp::now().to_utc().to_rfc2822();
    write!(
        fields,
        "Received: from {client} ([{peer}])\r\n\tby {host_name} with {protocol} id {queue_id}{recipient};\r\n\t{date}\r\n"
    )
    .expect("writing to a String can't fail");
    fields
}

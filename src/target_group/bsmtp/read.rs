//! One file of batch SMTP as rows.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::{ArrayRef, new_null_array};

use super::command::{Command, command};
use super::transactions::{Recipient, Transaction, Transactions};
use crate::campaign::{TargetGroupSource, ready_column};
use crate::target_group::assemble::{self, Columns};
use crate::target_group::batch::{BATCH_BYTES, BATCH_ROWS, Batch, Place, Unreadable};
use crate::target_group::convert::Faults;
use crate::target_group::error::TargetGroupError;
use crate::target_group::schema::{Given, Unified};
use crate::target_group::source::Source;

/// The largest message where the campaign says nothing: as for templates.
const LARGEST: u64 = 20_000_000;

/// A file of batch SMTP.
#[derive(Debug)]
pub(in crate::target_group) struct BsmtpFile {
    largest: u64,
}

/// Whether a text that starts with `head` is batch SMTP.
pub(in crate::target_group) fn looks_like(head: &[u8]) -> bool {
    let first = head.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).find(|line| !line.is_empty());
    first
        .is_some_and(|line| matches!(command(line, line.len() as u64), Command::Hello | Command::Mail(Ok(_))))
}

impl BsmtpFile {
    pub(in crate::target_group) fn new(spec: &TargetGroupSource) -> Self {
        Self { largest: spec.largest.map_or(LARGEST, |largest| largest.0) }
    }

    pub(in crate::target_group) fn columns(&self) -> Vec<(String, Given)> {
        let names = [ready_column::EMAIL, ready_column::ID, ready_column::SENDER, ready_column::MESSAGE];
        names.into_iter().map(|name| (name.to_owned(), Given::Text)).collect()
    }

    /// Its rows; `number` is its place in the target group.
    pub(in crate::target_group) fn read<'a>(
        &self,
        source: Source,
        number: usize,
        unified: &'a Unified,
    ) -> BsmtpReader<'a> {
        let file = u32::try_from(number).expect("a target group has fewer than 2^32 files");
        let transactions = Transactions::new(source, file, self.largest);
        BsmtpReader { transactions, number, unified, row: 0, left: VecDeque::new(), present: None }
    }
}

/// The rows of one file of batch SMTP.
pub(in crate::target_group) struct BsmtpReader<'a> {
    transactions: Transactions<Source>,
    number: usize,
    unified: &'a Unified,
    row: u64,
    /// Recipients of the present message that are in no batch yet.
    left: VecDeque<Recipient>,
    present: Option<Message>,
}

/// What the rows of one message have in common.
struct Message {
    sender: String,
    /// Its place and its id, or why there is none.
    stored: Result<(String, String), String>,
}

/// Rows of a file of batch SMTP.
pub(in crate::target_group) struct RawBsmtp<'a> {
    number: usize,
    unified: &'a Unified,
    /// Recipient, id, sender, message.
    rows: [StringBuilder; 4],
    places: Vec<Place>,
    unreadable: Vec<Unreadable>,
}

impl<'a> BsmtpReader<'a> {
    /// The next rows; none at the end.
    pub(in crate::target_group) fn next(&mut self) -> Result<Option<RawBsmtp<'a>>, TargetGroupError> {
        let (number, unified) = (self.number, self.unified);
        let rows = std::array::from_fn(|_| StringBuilder::new());
        let mut batch = RawBsmtp { number, unified, rows, places: Vec::new(), unreadable: Vec::new() };
        let mut bytes = 0;
        while batch.places.len() + batch.unreadable.len() < BATCH_ROWS && bytes < BATCH_BYTES {
            if let (Some(recipient), Some(message)) = (self.left.pop_front(), &self.present) {
                self.row += 1;
                bytes += recipient.address.as_ref().map_or(0, String::len) + message.bytes();
                batch.add(self.row, recipient, message);
                continue;
            }
            let read = self.transactions.next().map_err(|error: io::Error| {
                TargetGroupError::new(format!("can't read on after row {}", self.row)).caused_by(error)
            })?;
            let Some(Transaction { line, sender, recipients, message }) = read else { break };
            self.left = recipients.into();
            if self.left.is_empty() {
                // Its fault has a row all the same.
                self.left.push_back(Recipient { address: None, line, fault: None });
            }
            let stored = message.map(|(stored, id)| (stored.to_string(), id));
            self.present = Some(Message { sender, stored });
        }
        Ok(Some(batch).filter(|batch| !batch.places.is_empty() || !batch.unreadable.is_empty()))
    }
}

impl Message {
    fn bytes(&self) -> usize {
        self.sender.len()
            + self.stored.as_ref().map_or_else(String::len, |(place, id)| place.len() + id.len())
    }
}

impl RawBsmtp<'_> {
    fn add(&mut self, row: u64, recipient: Recipient, message: &Message) {
        let Recipient { address, line, fault } = recipient;
        let place = Place { row, line: Some(line) };
        let id = message.stored.as_ref().ok().map(|(_, id)| id.clone());
        let message_fault = message.stored.as_ref().err();
        match (&message.stored, fault) {
            (Ok((stored, id)), None) => {
                let [recipients, ids, senders, messages] = &mut self.rows;
                recipients.append_value(address.unwrap_or_default());
                ids.append_value(id);
                senders.append_value(&message.sender);
                messages.append_value(stored);
                self.places.push(place);
            }
            (_, fault) => {
                let reason = fault.or_else(|| message_fault.cloned()).unwrap_or_default();
                self.unreadable.push(Unreadable { place, email: address, id, reason });
            }
        }
    }

    /// The rows as columns.
    pub(in crate::target_group) fn read(self) -> Result<Batch, TargetGroupError> {
        let Self { number, unified, rows, places, unreadable } = self;
        let [emails, ids, senders, messages] = rows.map(|mut column| Arc::new(column.finish()) as ArrayRef);
        let array = |name: &str| match name {
            ready_column::EMAIL => Some(&emails),
            ready_column::ID => Some(&ids),
            ready_column::SENDER => Some(&senders),
            ready_column::MESSAGE => Some(&messages),
            _ => None,
        };
        let arrays = unified.schema.fields().iter().map(|field| match array(field.name()) {
            Some(array) => Arc::clone(array),
            None => new_null_array(field.data_type(), places.len()),
        });
        let arrays = arrays.collect();
        assemble::batch(unified, number, Columns { arrays, places, faults: Faults::new(), unreadable })
    }
}

//! The outgoing stream: the bytes queued, how far they are written, and the replies expected for
//! them.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes, BytesMut};

use crate::smtp::Command;
use crate::smtp::codec::{command, stuff};

/// The outgoing stream. Positions in it are bytes counted from the session's beginning.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    /// The bytes to write, in order.
    chunks: VecDeque<Bytes>,
    /// Queued commands that are not yet in `chunks`.
    commands: BytesMut,
    /// Commands without their reply, oldest first.
    expected: VecDeque<Expected>,
    /// The end of the queued bytes.
    queued: u64,
    /// The end of the bytes handed to the socket.
    written: u64,
    /// The end of the last command that has its reply.
    answered: u64,
}

/// A command without its reply.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected {
    /// The command.
    pub command: Command,
    /// The position in the stream where it ends, content included.
    pub end: u64,
}

impl Outgoing {
    /// Queues a command.
    pub(super) fn command(&mut self, command: Command, write: impl FnOnce(&mut BytesMut)) {
        let before = self.commands.len();
        write(&mut self.commands);
        self.queued += (self.commands.len() - before) as u64;
        self.expected.push_back(Expected { command, end: self.queued });
    }

    /// Queues a command that is one word.
    pub(super) fn word(&mut self, command: Command, line: &'static [u8]) {
        self.command(command, |out| out.extend_from_slice(line));
    }

    /// Queues the content after DATA, with the dot.
    pub(super) fn content(&mut self, segments: Vec<Bytes>) {
        self.seal();
        self.queued += stuff(segments, &mut self.chunks) as u64;
        self.expected.push_back(Expected { command: Command::EndOfMessage, end: self.queued });
    }

    /// Queues BDAT with the content.
    pub(super) fn last_chunk(&mut self, segments: Vec<Bytes>) {
        // Counted here, not taken from the message: with one byte too few or too many the server
        // would read content as commands.
        let bytes: usize = segments.iter().map(Bytes::len).sum();
        let before = self.commands.len();
        command::bdat_last(&mut self.commands, bytes);
        self.queued += (self.commands.len() - before) as u64;
        self.seal();
        self.chunks.extend(segments.into_iter().filter(|segment| !segment.is_empty()));
        self.queued += bytes as u64;
        self.expected.push_back(Expected { command: Command::EndOfMessage, end: self.queued });
    }

    /// Makes queued commands visible to [`Outgoing::slices`].
    pub(super) fn seal(&mut self) {
        if !self.commands.is_empty() {
            self.chunks.push_back(self.commands.split().freeze());
        }
    }

    /// Fills `slices` with the next bytes to write; returns the number of slices filled.
    pub(super) fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut filled = 0;
        for (slice, chunk) in slices.iter_mut().zip(&self.chunks) {
            *slice = IoSlice::new(chunk);
            filled += 1;
        }
        filled
    }

    /// The first `bytes` bytes of the slices were handed to the socket.
    pub(super) fn wrote(&mut self, mut bytes: usize) {
        self.written += bytes as u64;
        while let Some(front) = self.chunks.front_mut() {
            if bytes < front.len() {
                front.advance(bytes);
                return;
            }
            bytes -= front.len();
            self.chunks.pop_front();
        }
        debug_assert_eq!(bytes, 0, "more was written than there was to write");
    }

    /// Discards the bytes that have not been written.
    pub(super) fn cut(&mut self) {
        self.chunks.clear();
        self.commands.clear();
        self.queued = self.written;
    }

    /// Expects no more replies.
    pub(super) fn expect_nothing(&mut self) {
        self.expected.clear();
    }

    /// True when nothing is left to write.
    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// The oldest command without its reply.
    pub(super) fn oldest(&self) -> Option<Expected> {
        self.expected.front().copied()
    }

    /// The oldest command has its reply.
    pub(super) fn answered(&mut self) {
        if let Some(expected) = self.expected.pop_front() {
            self.answered = expected.end;
        }
    }

    /// The position at which the next command will begin.
    pub(super) fn end(&self) -> u64 {
        self.queued
    }

    /// True when all bytes before `place` were handed to the socket.
    pub(super) fn has_written(&self, place: u64) -> bool {
        self.written >= place
    }

    /// True when every byte that was written has its reply.
    pub(super) fn is_quiet(&self) -> bool {
        self.written == self.answered
    }

    /// Bytes queued or written that have no reply yet.
    pub(super) fn unanswered_bytes(&self) -> u64 {
        self.queued.saturating_sub(self.answered)
    }
}

//! Composes the messages of a block of rows, hashes and measures them.

use std::ops::Range;

use bytes::Bytes;

use super::look::{Looking, look};
use super::mark::{LONGEST_LINE, Mark};
use super::tally::Tally;
use crate::compose::Composer;
use crate::mail::{Address, Message, Timestamp};
use crate::plan::{Plan, PlanError};

/// Segments that all messages share: they are hashed and measured once.
pub(super) struct Shared(Vec<SharedSegment>);

struct SharedSegment {
    bytes: Bytes,
    hash: blake3::Hash,
    longest_line: usize,
}

impl Shared {
    /// Composes the first row that can be composed twice: segments in the same memory are shared.
    pub(super) fn of(plan: &Plan, composer: &Composer) -> Result<Self, PlanError> {
        const ROWS_TRIED: u32 = 16;
        for index in 0..plan.len().min(ROWS_TRIED) {
            let row = plan.row(index)?;
            let twice = (composer.compose(&row, DATE), composer.compose(&row, DATE));
            if let (Ok(one), Ok(two)) = twice {
                let both =
                    std::iter::zip(one.body, two.body).filter(|(one, two)| one.as_ptr() == two.as_ptr());
                return Ok(Self(both.map(|(bytes, _)| SharedSegment::of(bytes)).collect()));
            }
        }
        Ok(Self(Vec::new()))
    }

    fn get(&self, segment: &Bytes) -> Option<&SharedSegment> {
        let same = |shared: &&SharedSegment| {
            shared.bytes.as_ptr() == segment.as_ptr() && shared.bytes.len() == segment.len()
        };
        self.0.iter().find(same)
    }
}

impl SharedSegment {
    fn of(bytes: Bytes) -> Self {
        Self { hash: blake3::hash(&bytes), longest_line: longest_line(&bytes), bytes }
    }
}

/// The date of every message.
const DATE: Timestamp = Timestamp(0);

/// Composes and measures the rows of a block; `number` is its place among the blocks.
pub(super) fn measure(
    mut tally: Tally,
    plan: &Plan,
    composer: &Composer,
    looking: &Looking,
    shared: &Shared,
    (number, block): (u32, Range<u32>),
) -> Result<Tally, PlanError> {
    let mut hasher = blake3::Hasher::new();
    for index in block {
        let row = plan.row(index)?;
        add_recipient(&mut hasher, &row.address);
        let both = composer
            .compose_shown(&row, DATE)
            .and_then(|(own, rendered)| Ok((own, rendered, composer.compose_second(&row, DATE)?)));
        match both {
            Ok((message, rendered, second)) => {
                let longest_line = look_at_bytes(&message, shared, &mut hasher);
                let bytes = message.header.len() + 2 + message.body.iter().map(Bytes::len).sum::<usize>();
                tally.message(index, bytes as u64 + looking.signatures, &rendered.subject);
                if longest_line > LONGEST_LINE {
                    tally.mark(Mark::LongLine, index, || format!("{longest_line} octets"));
                }
                for (mark, example) in look(&rendered, looking) {
                    tally.mark(mark, index, || example);
                }
                if let Some(second) = &second {
                    look_at_bytes(second, shared, &mut hasher);
                }
            }
            Err(failure) => {
                hasher.update(b"no message");
                tally.fail(index, &failure);
            }
        }
    }
    tally.blocks.push((number, hasher.finalize()));
    Ok(tally)
}

fn add_recipient(hasher: &mut blake3::Hasher, address: &Address) {
    let recipient = address.to_string();
    hasher.update(&(recipient.len() as u64).to_le_bytes()).update(recipient.as_bytes());
}

/// The message that all rows get: it is composed and measured once.
pub(super) struct OneText {
    hash: blake3::Hash,
    bytes: u64,
    subject: String,
    marks: Vec<(Mark, String)>,
}

impl OneText {
    /// `None` if it can't be composed or the plan is empty: then every row is measured on its own.
    pub(super) fn look(
        plan: &Plan,
        composer: &Composer,
        looking: &Looking,
    ) -> Result<Option<Self>, PlanError> {
        if plan.is_empty() {
            return Ok(None);
        }
        let Ok((message, rendered)) = composer.compose_shown(&plan.row(0)?, DATE) else { return Ok(None) };
        let mut hasher = blake3::Hasher::new();
        let longest_line = look_at_bytes(&message, &Shared(Vec::new()), &mut hasher);
        let bytes = message.header.len() + 2 + message.body.iter().map(Bytes::len).sum::<usize>();
        let mut marks = look(&rendered, looking);
        if longest_line > LONGEST_LINE {
            marks.push((Mark::LongLine, format!("{longest_line} octets")));
        }
        Ok(Some(Self {
            hash: hasher.finalize(),
            bytes: bytes as u64 + looking.signatures,
            subject: rendered.subject,
            marks,
        }))
    }

    /// Counts it for every row of a block.
    pub(super) fn measure(
        &self,
        mut tally: Tally,
        plan: &Plan,
        block: (u32, Range<u32>),
    ) -> Result<Tally, PlanError> {
        let (number, rows) = block;
        let mut hasher = blake3::Hasher::new();
        for index in rows {
            add_recipient(&mut hasher, &plan.address(index));
            hasher.update(self.hash.as_bytes());
            tally.message(index, self.bytes, &self.subject);
            for (mark, example) in &self.marks {
                tally.mark(*mark, index, || example.clone());
            }
        }
        tally.blocks.push((number, hasher.finalize()));
        Ok(tally)
    }
}

/// Adds a message to the hash and returns the length of its longest line.
fn look_at_bytes(message: &Message, shared: &Shared, hasher: &mut blake3::Hasher) -> usize {
    hasher.update(blake3::hash(&message.header).as_bytes());
    let mut longest = longest_line(&message.header);
    for segment in &message.body {
        let (hash, line) = match shared.get(segment) {
            Some(shared) => (shared.hash, shared.longest_line),
            None => (blake3::hash(segment), longest_line(segment)),
        };
        hasher.update(hash.as_bytes());
        longest = longest.max(line);
    }
    longest
}

pub(super) fn longest_line(bytes: &[u8]) -> usize {
    let mut longest = 0;
    let mut start = 0;
    for end in memchr::memchr_iter(b'\n', bytes).chain([bytes.len()]) {
        let line = &bytes[start.min(end)..end];
        longest = longest.max(line.strip_suffix(b"\r").unwrap_or(line).len());
        start = end + 1;
    }
    longest
}

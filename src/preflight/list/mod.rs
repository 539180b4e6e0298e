//! The whole list, dry: every row of the plan is rendered, built and measured on all cores. Nothing is signed and
//! nothing is sent.
//!
//! The messages are made with a run and a secret that are the same everywhere, and with a fixed date: so one hash over
//! all of them stands for what recipients will get, on any machine (see [`super::approval`]). Their sizes are those of a
//! real run.

mod html;
mod mark;
mod screened;
mod tally;

use std::ops::Range;
use std::time::{Duration, Instant};

use bytes::Bytes;
use memchr::memmem;
use rayon::prelude::*;

use self::html::Found;
use self::mark::{CLIPPED_BYTES, LONGEST_LINE, LONGEST_SUBJECT, Mark};
use self::tally::Tally;
use super::finding::{Finding, Group};
use super::grouped;
use crate::campaign::{Campaign, Kind};
use crate::compose::{Composer, Rendered, RunFacts, TemplateError};
use crate::mail::{Address, Message, Timestamp};
use crate::plan::{Plan, PlanError};

pub use screened::screening;
pub use tally::FailedRow;

/// Rows that one core takes at once, and whose messages have one hash.
const BLOCK_ROWS: u32 = 256;
/// The length of a run's id decides the length of its tokens.
const RUN_ID: &str = "000000000000";
/// Long enough for an example, short enough for a line.
const EXAMPLE_CHARACTERS: usize = 120;
/// Places named in a finding.
const REASONS_NAMED: usize = 5;

/// What a dry run looks for, besides the campaign's templates.
#[derive(Debug, Clone)]
pub struct Looking {
    kind: Kind,
    /// The address for unsubscribing by mail.
    mailto: Option<String>,
    /// Bytes that signatures will add.
    signatures: u64,
}

/// What a dry run found.
#[derive(Debug)]
pub struct DryRun {
    tally: Tally,
    /// Over all messages, in the order of the plan.
    pub hash: blake3::Hash,
    /// How long it took.
    pub took: Duration,
    kind: Kind,
}

/// Sizes in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Sizes {
    /// The median.
    pub p50: u64,
    /// Nine of ten are not larger.
    pub p90: u64,
    /// 99 of 100 are not larger.
    pub p99: u64,
    /// The largest.
    pub largest: u64,
    /// All together.
    pub total: u64,
}

impl Looking {
    /// For this campaign.
    pub fn new(campaign: &Campaign) -> Self {
        let mailto = campaign.unsubscribe.as_ref().and_then(|unsubscribe| unsubscribe.mailto.as_ref());
        Self {
            kind: campaign.identity.kind,
            mailto: mailto.map(ToString::to_string),
            signatures: (campaign.dkim.len() * crate::dkim::SIGNATURE_BYTES) as u64,
        }
    }
}

/// The composer of a dry run: the same messages on every machine.
pub fn composer(campaign: &Campaign) -> Result<Composer, TemplateError> {
    let run = RunFacts { run_id: RUN_ID.into(), token_secret: b"the same on every machine".to_vec() };
    Composer::new(campaign, run)
}

/// Makes and measures the messages of `rows`, on all cores. `progress` gets the number of rows of each finished block.
///
/// # Errors
/// When the plan can't be read. A row whose message can't be made is counted, and the others go on.
pub fn dry_run(
    plan: &Plan,
    composer: &Composer,
    looking: &Looking,
    rows: &[Range<u32>],
    progress: impl Fn(u64) + Sync,
) -> Result<DryRun, PlanError> {
    let start = Instant::now();
    let blocks = blocks(rows);
    let shared = Shared::of(plan, composer)?;
    let one_text =
        composer.is_one_text().then(|| OneText::look(plan, composer, looking)).transpose()?.flatten();
    let measure = |tally: Tally, (number, block): (usize, &Range<u32>)| {
        let rows = u64::from(block.end - block.start);
        let block = (number as u32, block.clone());
        let measured = match &one_text {
            Some(one_text) => one_text.measure(tally, plan, block),
            None => measure(tally, plan, composer, looking, &shared, block),
        };
        progress(rows);
        measured
    };
    let mut tally = blocks
        .par_iter()
        .enumerate()
        .try_fold(Tally::default, measure)
        .try_reduce(Tally::default, |a, b| Ok(a.merge(b)))?;
    tally.blocks.sort_by_key(|(number, _)| *number);
    let mut hasher = blake3::Hasher::new();
    for (_, hash) in &tally.blocks {
        hasher.update(hash.as_bytes());
    }
    Ok(DryRun { tally, hash: hasher.finalize(), took: start.elapsed(), kind: looking.kind })
}

/// `rows` in blocks that do not depend on the number of cores.
fn blocks(rows: &[Range<u32>]) -> Vec<Range<u32>> {
    let mut blocks = Vec::new();
    for range in rows {
        let mut start = range.start;
        while start < range.end {
            let end = range.end.min(start.saturating_add(BLOCK_ROWS));
            blocks.push(start..end);
            start = end;
        }
    }
    blocks
}

/// Evenly spread blocks of a plan of `len` rows, `most` rows in all, the first ones among them: a sample.
pub fn sample(len: u32, most: u32) -> Vec<Range<u32>> {
    if len <= most {
        return std::iter::once(0..len).collect();
    }
    let blocks = (most / BLOCK_ROWS).max(1);
    let step = len / blocks;
    (0..blocks).map(|number| number * step..(number * step + BLOCK_ROWS).min(len)).collect()
}

/// Segments that all messages share: hashed and measured once.
struct Shared(Vec<SharedSegment>);

struct SharedSegment {
    bytes: Bytes,
    hash: blake3::Hash,
    longest_line: usize,
}

impl Shared {
    /// Found by composing the first row that can be composed twice: what lies in the same memory is shared.
    fn of(plan: &Plan, composer: &Composer) -> Result<Self, PlanError> {
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

/// Every message is dated so.
const DATE: Timestamp = Timestamp(0);

fn measure(
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
        match composer.compose_shown(&row, DATE) {
            Ok((message, rendered)) => {
                let longest_line = look_at_bytes(&message, shared, &mut hasher);
                let bytes = message.header.len() + 2 + message.body.iter().map(Bytes::len).sum::<usize>();
                tally.message(index, bytes as u64 + looking.signatures, &rendered.subject);
                if longest_line > LONGEST_LINE {
                    tally.mark(Mark::LongLine, index, || format!("{longest_line} octets"));
                }
                for (mark, example) in look_at_text(&rendered, looking) {
                    tally.mark(mark, index, || example);
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

/// The message that all rows get: composed and looked at once.
struct OneText {
    hash: blake3::Hash,
    bytes: u64,
    subject: String,
    marks: Vec<(Mark, String)>,
}

impl OneText {
    /// `None` where it can't be composed, or there is nobody to compose it for: then every row says so for itself.
    fn look(plan: &Plan, composer: &Composer, looking: &Looking) -> Result<Option<Self>, PlanError> {
        if plan.is_empty() {
            return Ok(None);
        }
        let Ok((message, rendered)) = composer.compose_shown(&plan.row(0)?, DATE) else { return Ok(None) };
        let mut hasher = blake3::Hasher::new();
        let longest_line = look_at_bytes(&message, &Shared(Vec::new()), &mut hasher);
        let bytes = message.header.len() + 2 + message.body.iter().map(Bytes::len).sum::<usize>();
        let mut marks = look_at_text(&rendered, looking);
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

    /// Counts it for the rows of a block.
    fn measure(&self, mut tally: Tally, plan: &Plan, block: (u32, Range<u32>)) -> Result<Tally, PlanError> {
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

/// Adds a message to the hash; the length of its longest line.
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

fn longest_line(bytes: &[u8]) -> usize {
    let mut longest = 0;
    let mut start = 0;
    for end in memchr::memchr_iter(b'\n', bytes).chain([bytes.len()]) {
        let line = &bytes[start.min(end)..end];
        longest = longest.max(line.strip_suffix(b"\r").unwrap_or(line).len());
        start = end + 1;
    }
    longest
}

/// What a recipient would see.
fn look_at_text(rendered: &Rendered<'_>, looking: &Looking) -> Vec<(Mark, String)> {
    let mut seen = RowMarks::default();
    match rendered.subject.chars().count() {
        0 => seen.add(Mark::EmptySubject, String::new),
        1..=LONGEST_SUBJECT => {}
        _ => seen.add(Mark::LongSubject, || quoted(&rendered.subject)),
    }
    let mut unsubscribe = looking.kind == Kind::Alarm || leads_off(&rendered.text, rendered, looking);
    if rendered.text.trim().is_empty() {
        seen.add(Mark::EmptyText, String::new);
    }
    if let Some(at) = memmem::find(rendered.text.as_bytes(), b"http://") {
        seen.add(Mark::HttpLink, || quoted(first_word(&rendered.text[at..])));
    }
    for text in [Some(&rendered.text), rendered.html.as_ref()].into_iter().flatten() {
        if let Some(at) = memmem::find(text.as_bytes(), b"{{") {
            seen.add(Mark::Unfilled, || quoted(first_line(&text[at..])));
        }
    }
    if rendered.subject.contains("{{") {
        seen.add(Mark::Unfilled, || quoted(&rendered.subject));
    }
    if let Some(html) = &rendered.html {
        if html.len() > CLIPPED_BYTES {
            seen.add(Mark::Clipped, || format!("{} bytes", html.len()));
        }
        html::scan(html, |found| match found {
            Found::Link(to) => {
                look_at_link(&to, &mut seen);
                unsubscribe = unsubscribe || leads_off(&to, rendered, looking);
            }
            Found::Image { src, has_alt } => {
                if !has_alt {
                    seen.add(Mark::NoAlt, || quoted(&src));
                }
                look_at_link(&src, &mut seen);
            }
            Found::Active(name) => seen.add(Mark::Active, || format!("`<{name}>`")),
        });
    }
    if !unsubscribe {
        seen.add(Mark::NoUnsubscribeLink, String::new);
    }
    seen.0
}

/// The marks of one row, each once.
#[derive(Default)]
struct RowMarks(Vec<(Mark, String)>);

impl RowMarks {
    fn add(&mut self, mark: Mark, example: impl FnOnce() -> String) {
        if !self.0.iter().any(|(seen, _)| *seen == mark) {
            self.0.push((mark, example()));
        }
    }
}

fn look_at_link(to: &str, seen: &mut RowMarks) {
    let lower = |prefix: &str| to.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    if to.is_empty() {
        seen.add(Mark::EmptyLink, || "`href=\"\"`".into());
    } else if to.contains("{{") {
        // Already seen in the text.
    } else if lower("http://") {
        seen.add(Mark::HttpLink, || quoted(to));
    } else if !has_scheme(to) && !to.starts_with('#') {
        seen.add(Mark::RelativeLink, || quoted(to));
    }
}

/// RFC 3986 §3.1.
fn has_scheme(uri: &str) -> bool {
    uri.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
    })
}

/// True when `text` holds a way off the list: the recipient's own link, or something that is called so.
fn leads_off(text: &str, rendered: &Rendered<'_>, looking: &Looking) -> bool {
    let holds = |needle: &str| memmem::find(text.as_bytes(), needle.as_bytes()).is_some();
    rendered.unsubscribe_url.as_deref().is_some_and(holds)
        || looking.mailto.as_deref().is_some_and(holds)
        || ["unsubscribe", "Unsubscribe", "opt-out", "optout", "opt_out"].into_iter().any(holds)
}

fn quoted(text: &str) -> String {
    let mut short: String = text.chars().take(EXAMPLE_CHARACTERS).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("`{short}`")
}

fn first_word(text: &str) -> &str {
    text.split(|c: char| c.is_whitespace() || matches!(c, '>' | '"' | ')')).next().unwrap_or(text)
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or(text)
}

impl DryRun {
    /// Rows looked at.
    pub fn rows(&self) -> u64 {
        self.tally.rows
    }

    /// Rows whose message can't be made.
    pub fn failed(&self) -> u64 {
        self.tally.failed
    }

    /// The first of them, in the order of the plan.
    pub fn failures(&self) -> &[FailedRow] {
        &self.tally.failures
    }

    /// Rows a second.
    pub fn rate(&self) -> f64 {
        self.tally.rows as f64 / self.took.as_secs_f64().max(1e-6)
    }

    /// The sizes of the messages, signatures counted; `None` without any.
    pub fn sizes(&self) -> Option<Sizes> {
        let (largest, _) = self.tally.largest?;
        // The histogram is exact to three digits; no percentile is above the largest.
        let at = |percentile| self.tally.sizes.value_at_percentile(percentile).min(largest);
        Some(Sizes { p50: at(50.0), p90: at(90.0), p99: at(99.0), largest, total: self.tally.bytes })
    }

    /// What the rows showed. `place` names a row of the plan for people.
    pub fn findings(&self, place: impl Fn(u32) -> String) -> Vec<Finding> {
        let mut findings = vec![self.rendering(&place)];
        findings.extend(self.size_findings(&place));
        for (mark, seen) in &self.tally.marks {
            let rows = rows_of(seen.rows, self.tally.rows - self.tally.failed);
            findings.push(mark.finding(&rows, &seen.example, &place(seen.first), self.kind));
        }
        findings
    }

    fn rendering(&self, place: &impl Fn(u32) -> String) -> Finding {
        let Tally { rows, failed, .. } = self.tally;
        if failed == 0 {
            return Finding::ok(Group::List, "render", format!("all {} rows can be rendered", grouped(rows)));
        }
        let mut reasons: Vec<_> = self.tally.reasons.iter().collect();
        reasons.sort_by_key(|(_, (count, first))| (std::cmp::Reverse(*count), *first));
        let named: Vec<String> = reasons
            .iter()
            .take(REASONS_NAMED)
            .map(|(reason, (count, first))| {
                format!("{}: {reason} (first: {})", grouped(*count), place(*first))
            })
            .collect();
        let more = reasons.len().saturating_sub(REASONS_NAMED);
        let more = if more > 0 { format!("; and {more} other reasons") } else { String::new() };
        let seen = format!(
            "{} of {} rows can't be rendered: {}{more}",
            grouped(failed),
            grouped(rows),
            named.join("; ")
        );
        let mend = match self.tally.failures.first().and_then(|failure| failure.column.as_deref()) {
            Some(column) => format!("[template.defaults]\n{column} = \"…\""),
            None => "correct the template or the rows".into(),
        };
        if failed == rows {
            let finding = Finding::refused(Group::List, "render-none", seen);
            return finding.why("no recipient would get anything").mend(mend);
        }
        Finding::warning(Group::List, "render-failed", seen)
            .why("they get no message and are recorded as `render_failed`; the others are sent")
            .mend(mend)
    }

    fn size_findings(&self, place: &impl Fn(u32) -> String) -> Option<Finding> {
        let sizes = self.sizes()?;
        let (_, row) = self.tally.largest?;
        let (longest, ..) = self.tally.longest_subject.as_ref()?;
        Some(Finding::ok(
            Group::List,
            "sizes",
            format!(
                "messages of {} in the middle, {} at p99, the largest {} ({}); subjects of up to {longest} characters",
                size(sizes.p50),
                size(sizes.p99),
                size(sizes.largest),
                place(row)
            ),
        ))
    }
}

fn rows_of(rows: u64, all: u64) -> String {
    if rows == all { "all messages".into() } else { format!("{} messages", grouped(rows)) }
}

fn size(bytes: u64) -> String {
    crate::campaign::ByteSize(bytes).to_string()
}

#[cfg(test)]
mod tests;

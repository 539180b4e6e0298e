//! A dry run of the list: renders, builds and measures the message of every row, on all cores.
//!
//! Never signs and never sends. Run id, secret and date are the same on every machine, so one hash
//! over all messages identifies what recipients will get (see [`super::approval`]). The sizes are
//! those of a real run.

mod html;
mod limits;
mod look;
mod mark;
mod styles;
mod measure;
mod screened;
mod summary;
mod tally;

use std::ops::Range;
use std::time::Instant;

use rayon::prelude::*;

use self::measure::{OneText, Shared, measure};
use self::tally::Tally;
use crate::campaign::Campaign;
use crate::compose::{Composer, RunFacts};
use crate::plan::{Plan, PlanError};
use crate::template::TemplateError;

pub(crate) use self::limits::beyond_limits;
pub(crate) use self::look::Looking;
pub(crate) use self::screened::screening;
pub(crate) use self::summary::DryRun;
pub(crate) use self::tally::FailedRow;

/// Rows that one core measures at once, and whose messages have one hash.
const BLOCK_ROWS: u32 = 256;
/// The length of a run's id decides the length of its tokens.
const RUN_ID: &str = "000000000000";

/// The composer of a dry run: it gives the same messages on every machine.
///
/// # Errors
/// A template or a file that it needs can't be used.
pub(crate) fn composer(campaign: &Campaign) -> Result<Composer, TemplateError> {
    let token_secret = b"the same on every machine".to_vec();
    let document_secret = token_secret.clone();
    let run = RunFacts { run_id: RUN_ID.into(), token_secret, document_secret, is_test: false };
    Composer::new(campaign, run)
}

/// Composes and measures the messages of `rows`, on all cores. `progress` gets the number of rows
/// of each finished block.
///
/// # Errors
/// The plan can't be read. A row that can't be rendered is no error: it is counted.
pub(crate) fn dry_run(
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
    Ok(DryRun::new(tally, hasher.finalize(), start.elapsed(), looking.kind))
}

/// Cuts `rows` into blocks that do not depend on the number of cores.
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

/// A sample of a plan of `len` rows: evenly spread blocks with about `most` rows in all, the first
/// rows among them. The whole plan if it has no more than `most`.
pub(crate) fn sample(len: u32, most: u32) -> Vec<Range<u32>> {
    if len <= most {
        return std::iter::once(0..len).collect();
    }
    let blocks = (most / BLOCK_ROWS).max(1);
    let step = len / blocks;
    (0..blocks).map(|number| number * step..(number * step + BLOCK_ROWS).min(len)).collect()
}

#[cfg(test)]
mod tests;

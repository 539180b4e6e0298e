//! The first phase: reads, screens and freezes the whole target group, in batches and constant
//! memory.
//!
//! Each thread works on a batch of its own, from its records to the plan's columns. Three steps are
//! done by one thread at a time, the last two in the order of the input: cutting the next batch off
//! its file, screening, writing. So the result depends on the input alone and, whichever step is
//! slow, the other cores keep working.

use std::sync::{Mutex, PoisonError};
use std::thread;

use super::turns::Turns;
use crate::edition::Past;
use crate::plan::{Freeze, Frozen, Layout, PlanError, TopDomains};
use crate::screen::{Columns, Counts, Limits, Parser, ScreenError, ScreenedBatch, Screener};
use crate::suppression::{Checker, EntryId};
use crate::target_group::{RawBatch, RawBatches, TargetGroup, TargetGroupError};

/// The most threads: each holds a batch, and more would only wait for their turns.
const MOST_THREADS: usize = 8;

/// Why there is no plan. No part of one is left behind.
#[derive(Debug, thiserror::Error)]
pub enum PlanningError {
    /// The target group can't be read.
    #[error(transparent)]
    TargetGroup(#[from] TargetGroupError),
    /// The rows can't be screened.
    #[error(transparent)]
    Screen(#[from] ScreenError),
    /// The plan can't be written.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

/// The result of screening the target group.
#[derive(Debug)]
pub struct Screening {
    /// The files with the accepted rows and with the rest.
    pub frozen: Frozen,
    /// Rows per reason.
    pub counts: Counts,
    /// The number of rows in each file.
    pub rows_by_file: Vec<u64>,
    /// The entries of the suppression list that blocked a row.
    pub blocked: Vec<EntryId>,
    /// The last change of the suppression list that screening saw.
    pub suppression_change: u64,
    /// How many rows are of somebody who got the edition with other templates or another sender.
    pub other_letters: u64,
    /// The runs that they got it from.
    pub other_runs: Vec<String>,
    /// The destination domains of the accepted rows, counted.
    pub domains: TopDomains,
}

/// When no more rows are read: whichever comes first.
#[derive(Debug, Clone, Copy)]
pub struct Enough {
    /// So many rows are accepted.
    pub accepted: u64,
    /// So many rows were read.
    pub rows: u64,
}

impl Enough {
    /// So many rows are accepted, however many are read.
    pub fn accepted(rows: u64) -> Self {
        Self { accepted: rows, rows: u64::MAX }
    }
}

/// Reads, screens and freezes `group`; stops early once there is enough. `progress`
/// gets the number of rows screened so far. `checker` comes with what earlier runs have sent.
pub fn freeze(
    group: &TargetGroup,
    freeze: Freeze,
    limits: Limits,
    stop_after: Option<Enough>,
    checker: (Checker, Past),
    progress: impl FnMut(u64) + Send,
) -> Result<Screening, PlanningError> {
    // One more than there are cores, to work while another waits for its turn or for the disk.
    let threads = 1 + thread::available_parallelism().map_or(2, usize::from).min(MOST_THREADS - 1);
    freeze_on(threads, group, freeze, limits, stop_after, checker, progress)
}

fn freeze_on(
    threads: usize,
    group: &TargetGroup,
    freeze: Freeze,
    limits: Limits,
    stop_after: Option<Enough>,
    (checker, past): (Checker, Past),
    progress: impl FnMut(u64) + Send,
) -> Result<Screening, PlanningError> {
    let columns = Columns { email: group.email_column(), id: group.id_column(), name: group.name_column() };
    let files = group.files().iter().map(|file| file.shown.clone()).collect();
    let screener = Screener::new(&group.schema(), columns, limits, files, checker)?.with_past(past);
    let line = Line {
        parser: screener.parser(),
        layout: freeze.layout().clone(),
        stop_after,
        reading: Mutex::new((0, group.raw_batches())),
        screening: Turns::new((screener, progress)),
        writing: Turns::new((freeze, TopDomains::default())),
        failed: Mutex::new(None),
    };
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| line.work());
        }
    });
    if let Some(error) = line.failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    let (screener, _) = line.screening.into_inner();
    let (freeze, domains) = line.writing.into_inner();
    let (other_letters, other_runs) = screener.other_letters();
    Ok(Screening {
        other_letters,
        other_runs,
        frozen: freeze.finish()?,
        counts: screener.counts(),
        rows_by_file: screener.rows_by_file(),
        blocked: screener.blocked().to_vec(),
        suppression_change: screener.suppression_change(),
        domains,
    })
}

/// What the threads share.
struct Line<'a, P> {
    parser: Parser,
    layout: Layout,
    stop_after: Option<Enough>,
    /// The next batch's number, and where it comes from.
    reading: Mutex<(u64, RawBatches<'a>)>,
    screening: Turns<(Screener, P)>,
    writing: Turns<(Freeze, TopDomains)>,
    /// The first error.
    failed: Mutex<Option<PlanningError>>,
}

impl<P: FnMut(u64)> Line<'_, P> {
    /// Takes batch after batch from its file to the plan, until none is left or something fails.
    fn work(&self) {
        let _alarm = Alarm(self);
        while let Some((number, batch)) = self.next_batch() {
            match self.pass_on(number, batch) {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                    return self.close();
                }
            }
        }
    }

    fn next_batch(&self) -> Option<(u64, Result<RawBatch<'_>, TargetGroupError>)> {
        let (next, batches) = &mut *self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let batch = batches.next()?;
        *next += 1;
        Some((*next - 1, batch))
    }

    /// One batch through all steps; false when no more are wanted.
    fn pass_on(
        &self,
        number: u64,
        batch: Result<RawBatch<'_>, TargetGroupError>,
    ) -> Result<bool, PlanningError> {
        let parsed = batch
            .and_then(RawBatch::read)
            .map_err(PlanningError::from)
            .and_then(|batch| Ok(self.parser.parse(batch)?));
        let Some(mut turn) = self.screening.wait(number) else { return Ok(false) };
        // Only now is it certain that nothing failed before this batch.
        let screened = parsed.and_then(|parsed| Ok(turn.0.accept(parsed)?)).inspect_err(|_| turn.close())?;
        let rows = turn.0.counts();
        (turn.1)(rows.rows);
        if self.stop_after.is_some_and(|enough| rows.accepted >= enough.accepted || rows.rows >= enough.rows)
        {
            turn.close();
        }
        drop(turn);

        let ScreenedBatch { accepted, screened } = screened;
        let encoded = self.layout.encode(&accepted).and_then(|encoded| {
            let cells = self.layout.encode_screened(&accepted, &screened)?;
            Ok((encoded, cells))
        });
        let Some(mut turn) = self.writing.wait(number) else { return Ok(false) };
        let (freeze, domains) = &mut *turn;
        let written =
            encoded.and_then(|(encoded, cells)| freeze.write_encoded(&encoded, &screened, cells.as_ref()));
        accepted.domains().for_each(|domain| domains.add(domain));
        written.inspect_err(|_| turn.close())?;
        Ok(true)
    }

    fn close(&self) {
        self.screening.close();
        self.writing.close();
    }
}

/// When a thread panics, releases the others, so that the panic is seen.
struct Alarm<'a, 'b, P: FnMut(u64)>(&'a Line<'b, P>);

impl<P: FnMut(u64)> Drop for Alarm<'_, '_, P> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.close();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;
    use std::path::Path;

    use super::*;
    use crate::campaign;
    use crate::plan::PlanFiles;
    use crate::screen::testing::suppression;

    /// Rows of a CSV file: good ones, duplicates of rows far before, bad addresses and malformed
    /// rows.
    fn csv(first: usize, rows: usize) -> String {
        let mut text = "email,name\n".to_owned();
        for n in first..first + rows {
            match n % 100 {
                7 => writeln!(text, "{}@d{}.example,again", n / 2, n / 2 % 50),
                13 => writeln!(text, "{n} at d.example,bad"),
                29 => writeln!(text, "{n}@torn.example,a,b"),
                _ => writeln!(text, "{n}@d{}.example,Name {n}", n % 50),
            }
            .unwrap();
        }
        text
    }

    fn frozen(
        folder: &Path,
        files: &[&str],
        threads: usize,
        stop_after: Option<Enough>,
        meanwhile: impl FnOnce(),
    ) -> Result<Screening, PlanningError> {
        let files: Vec<_> = files.iter().map(|name| folder.join(name)).collect();
        let spec: campaign::TargetGroupSource = toml::from_str(&format!("files = {files:?}")).unwrap();
        let group = crate::target_group::open(&spec).unwrap();
        meanwhile();
        let runs = tempfile::tempdir().unwrap();
        let files = PlanFiles::in_folder(runs.path());
        let freeze = Freeze::aside(&files, Layout::new(&group.schema(), None)).unwrap();
        let checker = suppression(&["11@d11.example", "20011@d11.example"]);
        let mut before = 0;
        freeze_on(
            threads,
            &group,
            freeze,
            Limits::default(),
            stop_after,
            (checker, Past::default()),
            |rows| {
                assert!(rows > before, "the rows only grow");
                before = rows;
            },
        )
    }

    #[test]
    fn the_plan_is_the_same_whatever_the_number_of_threads() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.csv"), csv(0, 30_000)).unwrap();
        std::fs::write(folder.path().join("b.csv"), csv(25_000, 20_000)).unwrap();
        let seen = |threads, stop_after| {
            let screening = frozen(folder.path(), &["a.csv", "b.csv"], threads, stop_after, || {}).unwrap();
            let domains = screening.domains.exact(50).unwrap();
            (screening.frozen, screening.counts, screening.rows_by_file, screening.blocked.len(), domains)
        };
        for stop_after in
            [None, Some(Enough::accepted(10_000)), Some(Enough { accepted: 50_000, rows: 10_000 })]
        {
            let expected = seen(1, stop_after);
            assert_eq!(expected.1.rows, if stop_after.is_none() { 50_000 } else { 16_384 });
            assert_eq!(expected.4.iter().map(|(_, rows)| rows).sum::<u64>(), expected.1.accepted);
            for threads in [2, 5] {
                assert_eq!(seen(threads, stop_after), expected, "{threads} threads");
            }
        }
    }

    #[test]
    fn what_goes_wrong_ends_it_with_the_first_error() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.csv", "b.csv", "c.csv"] {
            std::fs::write(folder.path().join(name), csv(0, 10_000)).unwrap();
        }
        for threads in [1, 4] {
            let change = || {
                for name in ["b.csv", "c.csv"] {
                    std::fs::write(folder.path().join(name), csv(0, 9_000 - threads)).unwrap();
                }
            };
            let error =
                frozen(folder.path(), &["a.csv", "b.csv", "c.csv"], threads, None, change).unwrap_err();
            let text = error.to_string();
            assert!(text.ends_with("/b.csv` changed while it was read"), "{threads} threads: {text}");
        }
    }
}

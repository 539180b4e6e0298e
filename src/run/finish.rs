//! The last phase: merges plan and journal into the result files.

use arrow_schema::{DataType, Field};

use crate::campaign::RouteKind;
use crate::journal::{JournalError, Reader};
use crate::plan::{self, Plan, PlanError, ScreenedCells, ScreenedRows};
use crate::results::{InputRow, Known, Options, Results, ResultsError, ScreeningOutcome, Summary};
use crate::run_dir::{Manifest, RunDir};

/// Why there are no results.
#[derive(Debug, thiserror::Error)]
pub enum FinishError {
    /// The plan can't be read.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The journal can't be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The results can't be written.
    #[error(transparent)]
    Results(#[from] ResultsError),
}

/// Writes the result files of a run from its files on disk. `running`: a process works on it, so
/// rows in flight are not in doubt yet. `not_attempted` is the detail of rows whose turn did not
/// come.
pub fn write_results(
    run: &RunDir,
    journal: &Reader,
    manifest: &Manifest,
    running: bool,
    not_attempted: &str,
) -> Result<Summary, FinishError> {
    let plan = manifest.open_plan(&run.plan())?;
    let screened = ScreenedRows::open(&run.screened())?;
    let states = journal.states()?;
    let options = Options {
        compression: manifest.campaign.results.compression,
        mode: manifest.campaign.results.mode,
        running,
        not_attempted: not_attempted.to_owned(),
        delivered_to: delivered_to(manifest),
        seeds: manifest.seed_rows(),
        ids: plan.id_type().unwrap_or(DataType::Utf8),
        passwords: manifest.passwords.iter().map(|of| of.row).collect(),
        passed: passed(&plan, &manifest.campaign.results.columns),
        variant_of: (!manifest.campaign.variants.is_empty()).then(|| manifest.campaign.clone()),
        ..Options::default()
    };
    let mut screened_cells =
        (!options.passed.is_empty()).then(|| ScreenedCells::open(&run.screened())).transpose()?;
    let passes = !options.passed.is_empty();
    let known = Known { states: &states, details: journal.details() };
    let mut results = Results::create(&run.results(), known, options)?;
    let (shown, seeds) = (|file: usize| manifest.shown(file), manifest.seed_rows());
    for row in plan::input_order(&plan, screened) {
        match row? {
            plan::InputRow::Planned(index) => {
                let (file, row) = plan.place(index);
                let row = InputRow {
                    file: shown(file as usize),
                    row,
                    email: Some(plan.email(index)),
                    domain: Some(plan.domain(index)),
                    id: plan.id(index),
                    screening: ScreeningOutcome::Planned { index },
                };
                let passes = passes && !seeds.contains(&index);
                results.push_passing(&row, passes.then(|| plan.cells(index)))?;
            }
            plan::InputRow::Screened(screened) => {
                let email = screened.email.as_deref();
                let address = email.and_then(|email| crate::mail::Address::parse(email).ok());
                let cells = match &mut screened_cells {
                    Some(cells) => cells.next_row()?,
                    None => None,
                };
                let row = InputRow {
                    file: shown(screened.file),
                    row: screened.place.row,
                    email,
                    domain: address.as_ref().map(|address| address.domain().as_str()),
                    id: screened.id.as_deref(),
                    screening: ScreeningOutcome::Screened {
                        disposition: screened.disposition,
                        detail: Some(&screened.detail),
                    },
                };
                results.push_passing(&row, cells)?;
            }
        }
    }
    Ok(results.finish()?)
}

/// The columns that are passed through: those that the plan keeps, which a campaign file that was
/// changed later may not name.
fn passed(plan: &Plan, columns: &[String]) -> Vec<Field> {
    let fields = plan.fields();
    let named = columns.iter().filter_map(|name| fields.iter().find(|field| field.name() == name));
    named.map(|field| Field::clone(field)).collect()
}

/// Where the messages of a test or a rehearsal went; nothing for real mail.
fn delivered_to(manifest: &Manifest) -> Vec<String> {
    match (&manifest.options.to, manifest.campaign.delivery.route) {
        (Some(to), _) => to.split(',').map(str::to_owned).collect(),
        (None, RouteKind::Sandbox) => vec!["sandbox".to_owned()],
        (None, RouteKind::Relay | RouteKind::Mx | RouteKind::Bsmtp) => Vec::new(),
    }
}

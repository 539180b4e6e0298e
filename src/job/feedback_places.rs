//! Where in the input the rows are that came back: the log knows their number in the plan, the
//! result files their file and row.

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap};

use super::error::JobError;
use super::workspace::Workspace;
use crate::feedback::Logged;
use crate::plan::Plan;
use crate::run_dir::{Manifest, StoredRun};
use crate::state;

/// The file of a row as shown, and the row's number in it.
pub(super) type InputPlace = (String, u64);

/// A run of a campaign, as the log names it.
type Name = (String, String);

/// The runs of a workspace, whose plans say where rows are.
pub(super) struct InputPlaces<'w> {
    workspace: &'w Workspace,
    runs: OnceCell<HashMap<Name, (StoredRun, Manifest)>>,
}

impl<'w> InputPlaces<'w> {
    /// Reads nothing before it is asked.
    pub(super) fn new(workspace: &'w Workspace) -> Self {
        Self { workspace, runs: OnceCell::new() }
    }

    /// The place of each event's row; none where no row was found, and where the run is gone.
    pub(super) fn of(&self, events: &[Logged]) -> Result<Vec<Option<InputPlace>>, JobError> {
        let mut places = vec![None; events.len()];
        let mut by_run: BTreeMap<Name, Vec<usize>> = BTreeMap::new();
        for (at, logged) in events.iter().enumerate() {
            let record = &logged.record;
            if let (Some(campaign), Some(run), Some(_)) = (&record.campaign, &record.run, record.row) {
                by_run.entry((campaign.clone(), run.clone())).or_default().push(at);
            }
        }
        if by_run.is_empty() {
            return Ok(places);
        }
        let runs = self.runs()?;
        // One plan at a time is open.
        for (name, at) in by_run {
            let Some((run, manifest)) = runs.get(&name) else { continue };
            match manifest.open_plan(&run.dir().plan()) {
                Ok(plan) => at.into_iter().for_each(|at| places[at] = place(manifest, &plan, &events[at])),
                Err(error) => {
                    self.workspace.warn(format!("rows of `{}` have no place: {error}", run.dir().name()));
                }
            }
        }
        Ok(places)
    }

    /// The place of each event's row, for events of one run.
    pub(super) fn of_run(
        run: &StoredRun,
        manifest: &Manifest,
        events: &[Logged],
    ) -> Result<Vec<Option<InputPlace>>, JobError> {
        let plan = manifest.open_plan(&run.dir().plan())?;
        Ok(events.iter().map(|logged| place(manifest, &plan, logged)).collect())
    }

    fn runs(&self) -> Result<&HashMap<Name, (StoredRun, Manifest)>, JobError> {
        if let Some(runs) = self.runs.get() {
            return Ok(runs);
        }
        let mut runs = HashMap::new();
        for folder in self.workspace.known_runs()? {
            let store = state::runs(&folder);
            for dir in store.list()? {
                let run = StoredRun::new(store.clone(), dir);
                match run.manifest() {
                    Ok(manifest) => {
                        let name = (manifest.campaign_id.clone(), manifest.run_id.to_string());
                        runs.insert(name, (run, manifest));
                    }
                    Err(error) => self.workspace.warn(format!("feedback on `{}`: {error}", run.dir().name())),
                }
            }
        }
        Ok(self.runs.get_or_init(|| runs))
    }
}

fn place(manifest: &Manifest, plan: &Plan, logged: &Logged) -> Option<InputPlace> {
    let index = logged.record.row.filter(|index| *index < plan.len())?;
    let (file, row) = plan.place(index);
    Some((manifest.shown(file as usize).to_owned(), row))
}

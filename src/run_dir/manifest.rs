//! `manifest.json`: what a run consists of and how far it is. Replaced atomically, and checked when
//! it is read.
//!
//! It holds no secrets: the campaign says where they are, never what they are.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::content::Content;
use super::inputs::{Input, RunOptions};
use super::run_id::RunId;
use super::stop_reason::{self, StopReason};
use crate::campaign::{Campaign, Parameters, STDIN};
use crate::kit::file::Draft;
use crate::mail::Timestamp;
use crate::plan::{FileFacts, Plan, PlanError, SEED_SOURCE};
use crate::screen::Counts;

/// The newest format that this version knows.
pub(super) const FORMAT: u32 = 1;

/// What a run consists of and how far it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Manifest {
    /// The format of this file.
    pub format: u32,
    /// The version of the mailrun that planned the run.
    pub mailrun: String,
    /// The campaign's id.
    pub campaign_id: String,
    /// The run's id.
    pub run_id: RunId,
    /// How far the run is.
    pub state: RunState,
    /// When the run directory was created.
    #[serde(with = "moment")]
    pub created: Timestamp,
    /// When the plan was frozen.
    #[serde(default, with = "optional_moment", skip_serializing_if = "Option::is_none")]
    pub planned: Option<Timestamp>,
    /// When sending began.
    #[serde(default, with = "optional_moment", skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    /// When the last row got its disposition.
    #[serde(default, with = "optional_moment", skip_serializing_if = "Option::is_none")]
    pub finished: Option<Timestamp>,
    /// The state that the run belongs to: it knows whom the run has mailed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_id: Option<String>,
    /// When another state, or another place of the same state, took the run over.
    #[serde(default, with = "optional_moment", skip_serializing_if = "Option::is_none")]
    pub adopted: Option<Timestamp>,
    /// Why the last start was refused; `None` once the run was started after all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refused>,
    /// The options that choose rows or recipients.
    pub options: RunOptions,
    /// The target group's files, in order.
    pub inputs: Vec<Input>,
    /// Templates, partials, attachments and images.
    pub contents: Vec<Content>,
    /// How many rows passed screening, and why the rest did not.
    pub screening: Counts,
    /// The last change of the suppression list that screening saw.
    pub suppression_change: u64,
    /// `plan.arrow`, once it is frozen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<FileFacts>,
    /// `screened.arrow`, once it is frozen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub screened: Option<FileFacts>,
    /// How many rows at the plan's end are copies for seed addresses.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub seeds: u32,
    /// The rows whose documents another run has sent: this one sends their passwords.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passwords: Vec<PasswordOf>,
    /// Rows whose documents were accepted, and whose password was not, or is not known to be.
    #[serde(default, skip_serializing_if = "is_none_failed")]
    pub passwords_failed: u64,
    /// The mails with passwords by disposition, as in the results.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub password_outcomes: BTreeMap<String, u64>,
    /// Rows by disposition, as in the results; empty until there are results.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outcomes: BTreeMap<String, u64>,
    /// The campaign file.
    pub campaign_file: PathBuf,
    /// What was said in place of the campaign file; the resolved campaign has it.
    #[serde(default, skip_serializing_if = "Parameters::is_empty")]
    pub parameters: Parameters,
    /// The resolved campaign.
    pub campaign: Campaign,
}

/// A row whose documents another run has sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswordOf {
    /// The row of this run's plan.
    pub row: u32,
    /// The run that sent its documents.
    pub run_id: String,
    /// The row of that run's plan.
    pub number: u32,
}

/// A start that was refused: no message left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// When.
    #[serde(with = "moment")]
    pub at: Timestamp,
    /// What refused it, and why: a lowercase fragment.
    pub why: String,
    /// What the refusal advised to do.
    #[serde(default)]
    pub hint: Option<String>,
}

/// How far a run is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum RunState {
    /// The directory exists; the plan may not.
    Planned,
    /// Sending has started. If no process holds the lease, it was killed.
    Running,
    /// Stopped before the end; the same command resumes.
    Interrupted {
        /// Why.
        #[serde(flatten, with = "stop_reason::written")]
        reason: StopReason,
    },
    /// Every row has its disposition.
    Finished,
}

fn is_none_failed(failed: &u64) -> bool {
    *failed == 0
}

impl Manifest {
    /// The manifest of a new run.
    pub fn new(
        campaign: &Campaign,
        run_id: RunId,
        inputs: Vec<Input>,
        contents: Vec<Content>,
        options: RunOptions,
        now: Timestamp,
    ) -> Self {
        Self {
            format: FORMAT,
            mailrun: env!("CARGO_PKG_VERSION").to_owned(),
            campaign_id: campaign.identity.id.clone(),
            run_id,
            state: RunState::Planned,
            created: now,
            planned: None,
            started: None,
            finished: None,
            state_id: None,
            adopted: None,
            refused: None,
            options,
            inputs,
            contents,
            screening: Counts::default(),
            suppression_change: 0,
            plan: None,
            screened: None,
            seeds: 0,
            passwords: Vec::new(),
            passwords_failed: 0,
            password_outcomes: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            campaign_file: campaign.path.clone(),
            parameters: campaign.parameters.clone(),
            campaign: campaign.clone(),
        }
    }

    /// Names the copy in `kept` of the list that came from stdin, in place of what is deleted, so
    /// that the run can be resumed and resent from it.
    pub fn came_from_stdin(&mut self, deleted: &Path, kept: &Path) {
        self.inputs
            .iter_mut()
            .filter(|input| input.path == deleted)
            .for_each(|input| input.path = kept.into());
        let name = kept.to_string_lossy();
        let lists = self.parameters.list.iter_mut().chain(&mut self.campaign.target_group.files);
        lists.filter(|list| *list == STDIN).for_each(|list| *list = name.clone().into_owned());
    }

    /// The rows of the plan that are copies for seed addresses: the last ones.
    pub fn seed_rows(&self) -> Range<u32> {
        let rows = self.plan.as_ref().map_or(0, |facts| u32::try_from(facts.rows).unwrap_or(u32::MAX));
        rows.saturating_sub(self.seeds)..rows
    }

    /// The rows whose documents another run has sent: its id, and their numbers there.
    pub fn documents_elsewhere(&self) -> HashMap<u32, (String, u32)> {
        self.passwords.iter().map(|of| (of.row, (of.run_id.clone(), of.number))).collect()
    }

    /// The state in a word or two; `is_running` where a process has the run.
    pub fn state_word(&self, is_running: bool) -> &'static str {
        if self.refused.is_some() && !is_running {
            return "refused";
        }
        match self.state {
            RunState::Planned | RunState::Running | RunState::Interrupted { .. } if is_running => "running",
            RunState::Planned => "planned",
            RunState::Running => "cut off",
            RunState::Interrupted { .. } => "interrupted",
            RunState::Finished => "finished",
        }
    }

    /// The name of a file of the plan's rows.
    pub fn shown(&self, file: usize) -> &str {
        match self.inputs.get(file) {
            Some(input) => &input.shown,
            None if file == self.inputs.len() && self.seeds > 0 => SEED_SOURCE,
            None => "",
        }
    }

    /// Reads the manifest at `path`; `None` if there is none.
    pub fn read_if_there(path: &Path) -> Result<Option<Self>, PlanError> {
        if path.exists() { Self::read(path).map(Some) } else { Ok(None) }
    }

    /// Reads the manifest at `path`.
    ///
    /// # Errors
    /// [`PlanError::Newer`] before anything else is checked, [`PlanError::Damaged`] when it is not
    /// a manifest.
    pub fn read(path: &Path) -> Result<Self, PlanError> {
        Self::parse(path, &fs::read(path).map_err(PlanError::io("read", path))?)
    }

    /// Parses a manifest; `path` is for errors.
    fn parse(path: &Path, text: &[u8]) -> Result<Self, PlanError> {
        let damaged = |error: serde_json::Error| PlanError::damaged(path, error.to_string());
        let head: Head = serde_json::from_slice(text).map_err(damaged)?;
        if head.format > FORMAT {
            return Err(PlanError::Newer {
                path: path.to_owned(),
                found: format!("{} (mailrun {})", head.format, head.mailrun),
                known: FORMAT,
            });
        }
        let mut manifest: Self = serde_json::from_slice(text).map_err(damaged)?;
        // The campaign does not serialise its own paths.
        manifest.campaign.path.clone_from(&manifest.campaign_file);
        Ok(manifest)
    }

    /// Opens the run's plan at `path`. Another plan than this manifest's is an error.
    pub fn open_plan(&self, path: &Path) -> Result<Plan, PlanError> {
        let plan = Plan::open(path)?;
        match &self.plan {
            Some(facts) if facts.hash != plan.hash() => {
                Err(PlanError::damaged(path, "it is not the plan that the manifest was written for"))
            }
            Some(_) | None => Ok(plan),
        }
    }

    /// Replaces the manifest at `path`: readers see either the old one or the new one.
    pub fn write(&self, path: &Path) -> Result<(), PlanError> {
        let mut draft = Draft::create(path).map_err(PlanError::io("create", path))?;
        self.write_to(&mut draft, path)?;
        draft.publish().map_err(PlanError::io("write", path))
    }

    fn write_to(&self, mut writer: impl Write, path: &Path) -> Result<(), PlanError> {
        let mut text = serde_json::to_vec_pretty(self).expect("a manifest's maps have names for keys");
        text.push(b'\n');
        writer.write_all(&text).and_then(|()| writer.flush()).map_err(PlanError::io("write", path))
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// The fields that every format has.
#[derive(Deserialize)]
struct Head {
    format: u32,
    #[serde(default)]
    mailrun: String,
}

/// A moment as RFC 3339 with microseconds.
mod moment {
    use chrono::{DateTime, SecondsFormat, Utc};
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::mail::Timestamp;

    pub(super) fn text(moment: Timestamp) -> String {
        moment.to_utc().to_rfc3339_opts(SecondsFormat::Micros, true)
    }

    pub(super) fn serialize<S: Serializer>(moment: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&text(*moment))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(deserializer)?;
        let moment = text.parse::<DateTime<Utc>>();
        moment
            .map(|moment| Timestamp(moment.timestamp_micros()))
            .map_err(|error| serde::de::Error::custom(format_args!("`{text}`: {error}")))
    }
}

mod optional_moment {
    use serde::{Deserializer, Serializer};

    use super::moment;
    use crate::mail::Timestamp;

    pub(super) fn serialize<S: Serializer>(
        moment: &Option<Timestamp>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match moment {
            Some(moment) => serializer.serialize_str(&moment::text(*moment)),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        moment::deserialize(deserializer).map(Some)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::fuzzing::fuzz;
    use crate::kit::file::tests::{SmallDisk, names};
    use crate::plan::testing::{frozen, plan_files};
    use crate::screen::testing::batch;

    pub(crate) fn input(shown: &str, hash: &str) -> Input {
        let (path, shown, hash) = (shown.into(), shown.into(), hash.into());
        Input { path, shown, bytes: 1, hash, object: None, partition: BTreeMap::new(), rows: None }
    }

    pub(crate) fn content(role: &str, name: &str, hash: &str) -> Content {
        Content { role: role.into(), name: name.into(), bytes: 1, hash: hash.into() }
    }

    pub(crate) fn manifest(created: Timestamp) -> Manifest {
        let text = r#"
[campaign]
id = "spring"
[sender]
from = "Über News <news@example.com>"
reply-to = "care@example.com"
[target-group]
files = ["a.csv"]
types = { age = "integer" }
[template]
subject = "Hello"
text = "a.hbs"
defaults = { first_name = "there", n = 5, since = 2026-05-31 }
[unsubscribe]
mailto = "u@example.com"
[delivery]
route = "relay"
[delivery.relay]
host = "smtp.example.net"
"#;
        let campaign = Campaign::parse(text, Path::new("/srv/spring/campaign.toml")).unwrap();
        let options = RunOptions { limit: Some(5), ..RunOptions::default() };
        let inputs = vec![input("a.csv", "99")];
        let contents = vec![content("text", "a.hbs", "77")];
        Manifest::new(&campaign, "run-1".parse().unwrap(), inputs, contents, options, created)
    }

    const NOW: Timestamp = Timestamp(1_780_000_123_456_789);

    #[test]
    fn it_reads_back_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("manifest.json");
        let mut manifest = manifest(NOW);
        for state in [
            RunState::Planned,
            RunState::Running,
            RunState::Interrupted { reason: StopReason::Signal { signal: "SIGINT".into() } },
            RunState::Finished,
        ] {
            manifest.state = state;
            manifest.started = Some(NOW);
            manifest.outcomes.insert("accepted".into(), 3);
            manifest.write(&path).unwrap();
            let back = Manifest::read(&path).unwrap();
            // A campaign's folder is that of its file: it is not serialised.
            let written = |manifest: &Manifest| serde_json::to_value(manifest).unwrap();
            assert_eq!(written(&back), written(&manifest));
        }
        assert_eq!(names(folder.path()), ["manifest.json"]);
        assert!(fs::read_to_string(&path).unwrap().contains("2026-05-28T20:28:43.456789Z"));
    }

    #[test]
    fn a_newer_one_names_both_versions() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("manifest.json");
        fs::write(&path, r#"{ "format": 7, "mailrun": "9.1.0", "other": {} }"#).unwrap();
        let error = Manifest::read(&path).unwrap_err();
        assert!(matches!(error, PlanError::Newer { .. }));
        let text = error.to_string();
        for part in ["format 7 (mailrun 9.1.0)", env!("CARGO_PKG_VERSION"), "up to 1", "manifest.json"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(error.hint().is_some());
    }

    #[test]
    fn fuzz_what_is_no_manifest_is_refused() {
        let path = Path::new("runs/spring/run-1/manifest.json");
        let mut finished = manifest(NOW);
        finished.state = RunState::Interrupted { reason: StopReason::Signal { signal: "SIGINT".into() } };
        finished.started = Some(NOW);
        finished.outcomes.insert("accepted".into(), 3);
        let seeds = [manifest(NOW), finished].map(|manifest| serde_json::to_vec(&manifest).unwrap());
        fuzz("manifest recovery", &seeds, |text| match Manifest::parse(path, text) {
            Ok(manifest) => {
                // What was read is the same after writing and reading it again.
                let written = serde_json::to_vec(&manifest).unwrap();
                let again = Manifest::parse(path, &written).unwrap();
                assert_eq!(serde_json::to_vec(&again).unwrap(), written);
            }
            Err(PlanError::Damaged { .. } | PlanError::Newer { .. }) => {}
            Err(other) => panic!("{other}"),
        });
    }

    #[test]
    fn a_damaged_one_is_refused_with_its_path_and_a_hint() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("manifest.json");
        manifest(NOW).write(&path).unwrap();
        let whole = fs::read(&path).unwrap();
        for damaged in [&whole[..0], &whole[..whole.len() / 2], b"{}", b"[1]", &[0; 100]] {
            fs::write(&path, damaged).unwrap();
            let error = Manifest::read(&path).unwrap_err();
            assert!(matches!(error, PlanError::Damaged { .. }), "{error:?}");
            assert!(error.to_string().contains("manifest.json") && error.hint().is_some(), "{error}");
        }
        fs::remove_file(&path).unwrap();
        assert!(matches!(Manifest::read(&path), Err(PlanError::Io { .. })));
    }

    #[test]
    fn a_plan_that_belongs_to_another_manifest_is_refused() {
        let (_folder, files) = plan_files();
        let mut manifest = manifest(NOW);
        manifest.plan = Some(frozen(&files, vec![batch(0, &["a@b.example"])]).plan);
        assert_eq!(manifest.open_plan(&files.plan).unwrap().len(), 1);

        let (_folder, other) = plan_files();
        frozen(&other, vec![batch(0, &["c@b.example"])]);
        fs::copy(&other.plan, &files.plan).unwrap();
        let error = manifest.open_plan(&files.plan).unwrap_err();
        assert!(matches!(error, PlanError::Damaged { .. }), "{error}");
    }

    #[test]
    fn a_full_disk_leaves_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("manifest.json");
        manifest(NOW).write(&path).unwrap();
        let before = fs::read(&path).unwrap();
        let draft = Draft::create(&path).unwrap();
        let error = manifest(NOW).write_to(SmallDisk { inner: draft, room: 100 }, &path).unwrap_err();
        assert!(error.to_string().contains("manifest.json"), "{error}");
        assert!(error.hint().is_some_and(|hint| hint.contains("disk")), "{error:?}");
        assert_eq!(fs::read(&path).unwrap(), before);
        assert_eq!(names(folder.path()), ["manifest.json"]);
    }
}

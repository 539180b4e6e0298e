//! Removes what is kept of one person.
//!
//! Each run is written again without them beside the old one, and takes its place from one moment
//! to the next. The state database changes in one transaction. Killed in between, the same command
//! does the rest.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::conclude::not_attempted;
use super::error::JobError;
use super::purge::failed;
use super::purge_error::PurgeError;
use super::workspace::Workspace;
use super::{feedback_tables, with_feedback};
use crate::campaign::Durability;
use crate::journal::RunKey;
use crate::kit::file::create_private_folders;
use crate::mail::Address;
use crate::plan::{self, PURGED, Person, RowsOfPerson};
use crate::run;
use crate::run_dir::{Manifest, RunDir, RunState, StoredRun};
use crate::suppression::{AddressKey, Scope};

/// So much of a file is looked through at once.
const PART_BYTES: usize = 1 << 20;
/// More than an address has (RFC 5321 §4.5.3.1.3: 254), in letters of any case.
const ADDRESS_BYTES: usize = 1_024;

/// What is kept of a person.
pub(crate) struct OfPerson {
    person: Person,
    /// Runs, and how many rows of each are the person's.
    pub runs: Vec<(StoredRun, u64)>,
    /// Records of what came back.
    pub feedback: u64,
    /// Folders of mails to the owner that name the person.
    pub owner_mails: Vec<PathBuf>,
    /// For what mail the suppression list has an entry.
    pub suppressed: Vec<Scope>,
}

impl Workspace {
    /// What is kept of the person with this address.
    ///
    /// # Errors
    /// [`PurgeError::Unfinished`] where a run that is not over has rows of them.
    pub(crate) fn of_person(&self, address: &Address) -> Result<OfPerson, JobError> {
        let person = Person::new(address);
        let mut runs = Vec::new();
        for run in self.all_runs()? {
            let Some(manifest) = self.readable(&run) else { continue };
            if manifest.plan.is_none() {
                continue;
            }
            let plan = manifest.open_plan(&run.dir().plan())?;
            let rows = RowsOfPerson::find(&plan, &run.dir().plan_files(), &person)?;
            if rows.is_empty() && !is_redirected_to(&manifest, &person) {
                continue;
            }
            if manifest.state != RunState::Finished {
                return Err(PurgeError::Unfinished { run: run.dir().name() }.into());
            }
            runs.push((run, rows.len()));
        }
        let mut owner_mails = Vec::new();
        for mail in self.owner_mails()? {
            if names(&mail, &person)? {
                owner_mails.push(mail);
            }
        }
        let (feedback, suppressed) =
            (self.state()?.feedback()?.naming(person.key())?, self.suppressed(&person)?);
        Ok(OfPerson { person, runs, feedback, owner_mails, suppressed })
    }

    /// Removes it. The entries of the suppression list stay unless `suppression` is set: without
    /// them the person gets mail again.
    pub(crate) fn remove_person(&self, of: &OfPerson, suppression: bool) -> Result<(), JobError> {
        let _locked = self.begin_purge()?;
        self.remove_owner_mails(&of.owner_mails)?;
        for (run, _) in &of.runs {
            self.rewrite_without(run, &of.person)?;
        }
        if suppression {
            let list = self.suppressions()?;
            for scope in &of.suppressed {
                list.remove(of.person.key(), scope)?;
            }
        }
        self.state()?.feedback()?.forget(of.person.key())?;
        if self.state_dir()?.join(feedback_tables::FOLDER).exists() {
            self.write_feedback_tables()?;
        }
        Ok(())
    }

    fn suppressed(&self, person: &Person) -> Result<Vec<Scope>, JobError> {
        let entries = self.suppressions()?.of_address(person.key().as_str())?;
        Ok(entries.into_iter().map(|entry| entry.scope).collect())
    }

    fn rewrite_without(&self, run: &StoredRun, person: &Person) -> Result<(), JobError> {
        let lease = run.lease()?;
        let mut manifest = run.manifest()?;
        if manifest.state != RunState::Finished {
            return Err(PurgeError::Unfinished { run: run.dir().name() }.into());
        }
        let (old, new) = (run.dir(), lease.begin_version()?);
        link_rest(old, &new)?;
        let rows = RowsOfPerson::find(&manifest.open_plan(&old.plan())?, &old.plan_files(), person)?.planned;
        let [plan, screened] = plan::without_person(&old.plan_files(), person, &new.plan_files())?;
        let key = RunKey {
            run_id: manifest.run_id.to_string(),
            plan_rows: u32::try_from(plan.rows).expect("a plan has fewer than 2^32 rows"),
            plan_hash: plan.hash.clone(),
            has_passwords: manifest.campaign.secure_documents.is_some(),
        };
        (manifest.plan, manifest.screened) = (Some(plan), Some(screened));
        if let Some(to) = &mut manifest.options.to {
            let parts = to.split(',').map(|one| if person.is(one) { PURGED } else { one });
            *to = parts.collect::<Vec<_>>().join(",");
        }
        let state = self.state()?;
        {
            let mut journal = state.create_journal(&new, &key, Durability::ProcessCrash)?;
            let is_meant = |row: u32| rows.binary_search(&key.row_of_plan(row)).is_ok();
            let before = state.read_journal(old)?;
            before.copy_without(&mut journal, &is_meant, &|text| person.is_named(text))?;
        }
        manifest.write(&new.manifest())?;
        let journal = state.read_journal(&new)?;
        run::write_results(&new, &journal, &manifest, false, &not_attempted(&manifest, false))?;
        drop(journal);
        for path in left_in(new.path(), person)? {
            let path = old.path().join(path.strip_prefix(new.path()).unwrap_or(&path));
            self.warn(format!("`{}` still names the person: it is not a row of theirs", path.display()));
        }
        Ok(lease.replace(&new, &manifest)?)
    }
}

/// Whether the messages of a test or a resend went to the person.
fn is_redirected_to(manifest: &Manifest, person: &Person) -> bool {
    manifest.options.to.iter().flat_map(|to| to.split(',')).any(|to| person.is(to))
}

/// Links the files of a run that a new version has in common with it. What can be made again and
/// holds rows is left out: the list that came from stdin, which a finished run needs no more, and
/// the results joined with what came back.
fn link_rest(old: &RunDir, new: &RunDir) -> Result<(), JobError> {
    let own = [old.manifest(), old.plan(), old.screened(), old.results(), old.stdin()];
    let own = [own.as_slice(), &[old.path().join(with_feedback::FILE), old.path().join("lock")]].concat();
    let is_own = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        own.iter().any(|own| own == path) || name.starts_with("journal.db") || name.ends_with(".new")
    };
    link(old.path(), new.path(), &is_own).map_err(failed("link the files of", old.path()))
}

fn link(from: &Path, to: &Path, is_left_out: &dyn Fn(&Path) -> bool) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if is_left_out(&path) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            create_private_folders(&target)?;
            link(&path, &target, is_left_out)?;
        } else {
            fs::hard_link(&path, &target)?;
        }
    }
    Ok(())
}

/// Whether a file in a folder names the person.
fn names(folder: &Path, person: &Person) -> Result<bool, JobError> {
    Ok(!left_in(folder, person)?.is_empty())
}

/// The files in a folder, and in those below, that name the person.
fn left_in(folder: &Path, person: &Person) -> Result<Vec<PathBuf>, JobError> {
    let mut found = Vec::new();
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    for entry in entries.map_err(failed("list", folder))? {
        let path = entry.path();
        let kind = entry.file_type().map_err(failed("look at", &path))?;
        if kind.is_dir() {
            found.extend(left_in(&path, person)?);
        } else if kind.is_file() {
            let is_named = |text: &str| person.is_named(text);
            let file = File::open(&path).map_err(failed("read", &path))?;
            if is_in(file, PART_BYTES, &is_named).map_err(failed("read", &path))? {
                found.push(path);
            }
        }
    }
    Ok(found)
}

/// Whether a part of `content` is one that `is_named` looks for. It is read in parts of so many
/// bytes, which end with a line or a NUL: no address goes over these. Where a part has neither, the
/// next one begins with the end of it.
fn is_in(mut content: impl Read, part_bytes: usize, is_named: &dyn Fn(&str) -> bool) -> io::Result<bool> {
    let mut part = Vec::new();
    loop {
        let before = part.len();
        let read = content.by_ref().take(part_bytes as u64).read_to_end(&mut part)?;
        let is_end = |byte: &u8| matches!(byte, b'\n' | b'\0');
        let end = part[before..].iter().rposition(is_end).map(|at| before + at + 1);
        let whole = if read == 0 { part.len() } else { end.unwrap_or(part.len()) };
        if is_named(&String::from_utf8_lossy(&part[..whole])) {
            return Ok(true);
        }
        if read == 0 {
            return Ok(false);
        }
        part.drain(..end.unwrap_or(part.len().saturating_sub(ADDRESS_BYTES)));
    }
}

impl OfPerson {
    /// The address as the suppression list compares it.
    pub(crate) fn key(&self) -> &AddressKey {
        self.person.key()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_wherever_the_parts_of_a_file_end() {
        let person = Person::new(&Address::parse("ann@x.example").unwrap());
        let is_named = |text: &str| person.is_named(text);
        for (content, found) in [
            ("one\nto Ann@X.example,\ntwo\n", true),
            ("one to ann@x.example", true),
            ("joann@x.example\nann@x.example.org\nann@x.exam\nple\n", false),
            ("", false),
        ] {
            for part_bytes in 1..content.len() + 2 {
                let is_found = is_in(content.as_bytes(), part_bytes, &is_named).unwrap();
                // A part without an end of a line may begin within another address.
                if found || content.split('\n').all(|line| line.len() < part_bytes) {
                    assert_eq!(is_found, found, "{content:?} in parts of {part_bytes}");
                }
            }
        }
    }
}

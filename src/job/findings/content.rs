//! What the scanners that the campaign names say of a message and of every file that messages
//! carry.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::sender::{sample_items, sample_message};
use crate::campaign::Scanned;
use crate::job::error::JobError;
use crate::job::open::Job;
use crate::plan::Plan;
use crate::preflight::{Finding, content};
use crate::scan::Item;

/// Files that messages carry which are scanned.
const MOST_FILES: usize = 1_000;

/// Asks the scanners that the campaign names. Blocks while they answer.
pub(crate) fn content_findings(job: &Job<'_>, plan: &Plan) -> Result<Vec<Finding>, JobError> {
    let checks = &job.campaign().checks;
    let scanners = !job.campaign().scanner.is_empty();
    if checks.spamd.is_none() && checks.clamd.is_none() && !scanners {
        return Ok(Vec::new());
    }
    let Some((index, message)) = sample_message(job, plan, &job.signer()?)? else { return Ok(Vec::new()) };
    let lists: Vec<&str> = job.target_group()?.files().iter().map(|file| file.shown.as_str()).collect();
    let place = |index: u32| {
        let (file, row) = plan.place(index);
        format!("{}, row {row}", lists[file as usize])
    };
    let sample = content::Sample { row: place(index), message };
    let template = &job.campaign().template;
    let mut paths: BTreeSet<PathBuf> = template.attachments.iter().cloned().collect();
    paths.extend(template.inline.iter().map(|inline| inline.file.clone()));
    // What a row names comes from the attachment folder, as when the message is made.
    let mut named_by_rows = BTreeMap::new();
    if !template.attachment_columns.is_empty() && (checks.clamd.is_some() || scanners) {
        for index in 0..plan.len() {
            let row = plan.row(index)?;
            let named =
                template.attachment_columns.iter().filter_map(|column| row.values.get(column)?.as_str());
            let named = named.map(str::trim).filter(|file| !file.is_empty());
            for file in named {
                named_by_rows.entry(file.to_owned()).or_insert(index);
            }
            if paths.len() + named_by_rows.len() >= MOST_FILES {
                break;
            }
        }
    }
    let shown = |path: &Path| {
        let below = path.strip_prefix(job.campaign().folder()).unwrap_or(path);
        format!("`{}`, which every message carries", below.display())
    };
    // A file that can't be read is a finding of the list already.
    let mut files: Vec<_> =
        paths.iter().filter_map(|path| Some((shown(path), fs::read(path).ok()?))).collect();
    files.extend(named_by_rows.into_iter().filter_map(|(named, first)| {
        let content = job.templates().row_files()?.read(&named).ok()?;
        Some((format!("the attachment `{named}` of {}", place(first)), content))
    }));
    let mut findings = content::check(checks, &sample, &files);
    if scanners {
        let mut items = sample_items(job, plan)?;
        // Its files are scanned below, each under its path.
        items.retain(|item| item.kind == Scanned::Body);
        items.extend(files.into_iter().map(|(name, content)| Item::new(name, Scanned::Attachments, content)));
        findings.extend(content::check_items(job.scanners(), &items));
    }
    Ok(findings)
}

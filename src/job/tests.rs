//! A whole job, from the campaign file to its conclusion, at a time that the test sets.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::*;
use crate::journal::InDoubt;
use crate::mail::{Address, Disposition, Timestamp};
use crate::pacing::{Clock, Reading};
use crate::suppression::{NewEntry, Reason, Term};

/// Hears nothing.
pub(super) struct Silent;

impl Observer for Silent {
    fn notice(&self, _: &Notice<'_>) {}

    fn progress(&self, _: Stage<'_>) {}
}

const CAMPAIGN: &str = r#"
[campaign]
id = "spring"
[sender]
from = "News <news@example.com>"
[target-group]
files = ["list.csv"]
[template]
subject = "Hello"
text = "text.hbs"
[delivery]
route = "sandbox"
"#;

/// The clock set to `text`, RFC 3339.
fn clock(text: &str) -> Clock {
    let at = chrono::DateTime::parse_from_rfc3339(text).unwrap();
    Clock::simulated(Reading::simulated(Timestamp(at.timestamp_micros())))
}

fn workspace(folder: &Path, clock: Clock) -> Workspace {
    let places = Places { state: Some(folder.join("state")), runs: Some(folder.join("runs")) };
    Workspace::new(places, clock, Arc::new(Silent))
}

fn write_campaign(folder: &Path) {
    fs::write(folder.join("campaign.toml"), CAMPAIGN).unwrap();
    fs::write(folder.join("list.csv"), "email\nann@a.example\nrcpt-550-5.1.1@b.example\n").unwrap();
    fs::write(folder.join("text.hbs"), "Hello {{email}}\n").unwrap();
}

/// Sends what is selected to the embedded receiver, which keeps the messages in `<folder>/mail`.
async fn send(workspace: &Workspace, folder: &Path, selection: &Selection) -> Conclusion {
    let campaign = workspace.load(&folder.join("campaign.toml")).unwrap();
    let job = Job::open(workspace, campaign).unwrap();
    let mut run = job.freeze_or_resume(selection).unwrap();
    let options = SendOptions {
        in_doubt: InDoubt::Keep,
        unpaced: true,
        not_after: None,
        name_servers: NameServers::default(),
        sandbox_keep: Some(folder.join("mail")),
        sandbox_record: None,
    };
    let (_signals, demands) = mpsc::channel(1);
    let end = job.send(&mut run, &options, demands).await.unwrap();
    job.conclude(run, &end).unwrap()
}

#[tokio::test]
async fn manifest_and_messages_have_the_time_of_the_workspace() {
    let folder = tempfile::tempdir().unwrap();
    write_campaign(folder.path());
    let workspace = workspace(folder.path(), clock("2026-03-01T09:30:00Z"));
    let conclusion = send(&workspace, folder.path(), &Selection::List(List::default())).await;
    let now = workspace.clock().wall();
    let manifest = &conclusion.manifest;
    assert_eq!(manifest.created, now);
    assert_eq!([manifest.planned, manifest.started, manifest.finished], [Some(now); 3]);
    let mail: Vec<_> = fs::read_dir(folder.path().join("mail")).unwrap().collect();
    assert_eq!(mail.len(), 1);
    for file in mail {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        assert!(text.contains("\nDate: Sun, 1 Mar 2026 09:30:00 +0000"), "{text}");
    }
}

fn suppress(workspace: &Workspace, email: &str) {
    let address = Address::parse(email).unwrap();
    let (email, source) = (email.to_owned(), "test".to_owned());
    let entry = NewEntry { address, email, reason: Reason::Manual, source, term: Term::Default };
    workspace.suppressions().unwrap().add(entry, workspace.clock().wall()).unwrap();
}

/// What a retry reads of the suppression list is what has changed since its rows were screened, not
/// all of it.
#[tokio::test]
async fn a_retry_sees_what_was_suppressed_since_its_rows_were_screened() {
    let folder = tempfile::tempdir().unwrap();
    write_campaign(folder.path());
    let workspace = workspace(folder.path(), Clock::system());
    suppress(&workspace, "eve@c.example");
    let first = send(&workspace, folder.path(), &Selection::List(List::default())).await;
    assert_eq!(first.manifest.outcomes["bounced"], 1);
    suppress(&workspace, "rcpt-550-5.1.1@b.example");
    let retry = RetrySelection::of(&workspace, "spring", [Disposition::Bounced]).unwrap();
    let again = send(&workspace, folder.path(), &Selection::Retry(Box::new(retry))).await;
    assert_eq!(again.manifest.suppression_change, first.manifest.suppression_change);
    assert!(again.manifest.suppression_change > 0);
    assert_eq!(again.manifest.outcomes["suppressed"], 1);
}

#[test]
fn an_exported_list_can_be_imported() {
    let folder = tempfile::tempdir().unwrap();
    let full = workspace(&folder.path().join("full"), clock("2026-03-01T09:30:00Z"));
    suppress(&full, "ann@a.example");
    suppress(&full, "bob@b.example");
    for name in ["list.csv", "list.parquet"] {
        let file = folder.path().join(name);
        assert_eq!(full.export_suppressions(&file).unwrap(), 2);
        let empty = workspace(&folder.path().join(format!("{name}.d")), clock("2026-03-02T09:30:00Z"));
        let refused = |file: &str, row: u64, problem: &str| panic!("{file}, row {row}: {problem}");
        let imported =
            empty.import_suppressions(&[file], "email", None, &Reason::Complaint, refused).unwrap();
        assert_eq!((imported.rows, imported.refused, imported.counts.new), (2, 0, 2));
        let (old, new) = (full.suppressions().unwrap(), empty.suppressions().unwrap());
        let entry = new.get("ann@a.example").unwrap().unwrap();
        assert_eq!((entry.reason, entry.source.as_str()), (Reason::Manual, "test"));
        assert_eq!(entry.expires, old.get("ann@a.example").unwrap().unwrap().expires);
    }
    let error = full.export_suppressions(&folder.path().join("list.txt")).unwrap_err();
    assert!(error.to_string().contains("extension"), "{error}");
}

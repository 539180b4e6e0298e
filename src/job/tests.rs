//! A whole job, from the campaign file to its conclusion, at a time that the test sets.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::*;
use crate::journal::InDoubt;
use crate::mail::Timestamp;
use crate::pacing::{Clock, Reading};

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
    fs::write(folder.join("list.csv"), "email\nann@a.example\nbob@b.example\n").unwrap();
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
    assert_eq!(mail.len(), 2);
    for file in mail {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        assert!(text.contains("\nDate: Sun, 1 Mar 2026 09:30:00 +0000"), "{text}");
    }
}

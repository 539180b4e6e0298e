//! A whole job, from the campaign file to its conclusion, at a time that the test sets.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::*;
use crate::journal::InDoubt;
use crate::kit::seal::Sealer;
use crate::mail::{Address, Disposition, Timestamp};
use crate::pacing::{Clock, Reading};
use crate::suppression::{NewEntry, Reason, Scope, Term};

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
pub(super) fn clock(text: &str) -> Clock {
    let at = chrono::DateTime::parse_from_rfc3339(text).unwrap();
    Clock::simulated(Reading::simulated(Timestamp(at.timestamp_micros())))
}

pub(super) fn workspace(folder: &Path, clock: Clock) -> Workspace {
    let places = Places { state: Some(folder.join("state")), runs: Some(folder.join("runs")) };
    Workspace::new(places, clock, Arc::new(Silent))
}

pub(super) fn write_campaign(folder: &Path) {
    fs::write(folder.join("campaign.toml"), CAMPAIGN).unwrap();
    fs::write(folder.join("list.csv"), "email\nann@a.example\nrcpt-550-5.1.1@b.example\n").unwrap();
    fs::write(folder.join("text.hbs"), "Hello {{email}}\n").unwrap();
}

/// Sends what is selected to the embedded receiver, which keeps the messages in `<folder>/mail`.
pub(super) async fn send(workspace: &Workspace, folder: &Path, selection: &Selection) -> Conclusion {
    let campaign = workspace.load(&folder.join("campaign.toml")).unwrap();
    let job = Job::open(workspace, campaign).unwrap();
    let mut run = job.freeze_or_resume(selection).unwrap();
    let options = SendOptions {
        in_doubt: InDoubt::Keep,
        unpaced: true,
        not_after: None,
        deadline: None,
        name_servers: NameServers::default(),
        sandbox_keep: Some(folder.join("mail")),
        sandbox_record: None,
    };
    let (_signals, demands) = mpsc::channel(1);
    let end = job.send(&mut run, &options, demands).await.unwrap();
    job.conclude(run, &end, Percent::default()).unwrap()
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
    let (reason, scope, term) = (Reason::Manual, Scope::All, Term::Default);
    let entry = NewEntry { address, scope, email, reason, source, term };
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

/// A run of some rows of another run is no run of the list, whatever name it is called by.
#[tokio::test]
async fn a_retry_is_not_resumed_as_a_run_of_the_list() {
    let folder = tempfile::tempdir().unwrap();
    write_campaign(folder.path());
    let workspace = workspace(folder.path(), Clock::system());
    send(&workspace, folder.path(), &Selection::List(List::default())).await;
    let retry = RetrySelection::of(&workspace, "spring", [Disposition::Bounced]).unwrap();
    let again = send(&workspace, folder.path(), &Selection::Retry(Box::new(retry))).await;
    let list = List { run_id: Some(again.manifest.run_id), ..List::default() };
    let job = Job::open(&workspace, workspace.load(&folder.path().join("campaign.toml")).unwrap()).unwrap();
    let Err(error) = job.freeze_or_resume(&Selection::List(list)) else { panic!("it was resumed") };
    assert!(chain(&error).contains("what it resends"), "{}", chain(&error));
}

/// Tokens of mailrun 0.1 hold the recipient's id, or the address where there are no ids.
#[tokio::test]
async fn a_token_of_the_first_version_finds_its_recipient_in_its_run() {
    let folder = tempfile::tempdir().unwrap();
    write_campaign(folder.path());
    let campaign = CAMPAIGN.replace("files = [\"list.csv\"]", "files = [\"list.csv\"]\nid = \"number\"");
    assert_ne!(campaign, CAMPAIGN);
    fs::write(folder.path().join("campaign.toml"), campaign).unwrap();
    fs::write(folder.path().join("list.csv"), "email,number\nann@a.example,7\nbob@a.example,8\n").unwrap();
    let workspace = workspace(folder.path(), Clock::system());
    let run = send(&workspace, folder.path(), &Selection::List(List::default())).await.dir;
    let sealer = Sealer::new(&fs::read(folder.path().join("state/token.key")).unwrap(), "token");
    let read = |run: &str, recipient: &str| {
        let token = sealer.seal(format!("spring\0{run}\0{recipient}").into_bytes());
        let read = Unsubscribes::open(&workspace, &[]).unwrap().read(&token);
        read.map(|unsubscribed| unsubscribed.address.to_string()).map_err(|refused| refused.to_string())
    };
    assert_eq!(read(run.run_id(), "8").as_deref(), Ok("bob@a.example"));
    let no_such = format!("run `{}` has no recipient `9`", run.name());
    assert_eq!(read(run.run_id(), "9"), Err(no_such));
    let gone = "the token holds only the id `8`, and run `spring/gone` is not found".to_owned();
    assert_eq!(read("gone", "8"), Err(gone));
    assert_eq!(read("gone", "cleo@a.example").as_deref(), Ok("cleo@a.example"), "the group had no ids");
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
            empty.import_suppressions(&[file], "email", None, (&Reason::Complaint, None), refused).unwrap();
        assert_eq!((imported.rows, imported.refused, imported.counts.new), (2, 0, 2));
        let (old, new) = (full.suppressions().unwrap(), empty.suppressions().unwrap());
        let entry = new.get("ann@a.example", &Scope::All).unwrap().unwrap();
        assert_eq!((entry.reason, entry.source.as_str()), (Reason::Manual, "test"));
        assert_eq!(entry.expires, old.get("ann@a.example", &Scope::All).unwrap().unwrap().expires);
    }
    let error = full.export_suppressions(&folder.path().join("list.txt")).unwrap_err();
    assert!(error.to_string().contains("extension"), "{error}");
}

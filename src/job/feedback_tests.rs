//! Whom mails concern that came back to a run, and what they do.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::tests::{clock, send, workspace, write_campaign};
use super::*;
use crate::compose::ReturnPaths;
use crate::feedback::{By, Found, Recipient, Source};
use crate::mail::{Address, Timestamp};
use crate::pacing::Reading;
use crate::suppression::Scope;

const DAY: Duration = Duration::from_secs(86_400);

/// A run that was sent to Ann, whom the embedded receiver accepts, and to somebody whom it refuses.
struct Sent {
    folder: tempfile::TempDir,
    workspace: Workspace,
    run: String,
    secret: Vec<u8>,
}

impl Sent {
    async fn new(verp: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_campaign(folder.path());
        let file = folder.path().join("campaign.toml");
        let sender = format!("[sender]\nverp = {verp}\nreturn-path = \"bounces@example.com\"\n");
        let text = fs::read_to_string(&file).unwrap().replace("[sender]\n", &sender);
        fs::write(file, text).unwrap();
        let workspace = workspace(folder.path(), clock("2026-03-01T09:30:00Z"));
        let run = send(&workspace, folder.path(), &Selection::List(List::default())).await.manifest.run_id;
        let secret = fs::read(folder.path().join("state/token.key")).unwrap();
        Self { folder, workspace, run: run.to_string(), secret }
    }

    fn path(&self, row: u32) -> Address {
        let base = Address::parse("bounces@example.com").unwrap();
        ReturnPaths::new(&base, true, &self.run, &self.secret).unwrap().of(row)
    }

    fn message_id(&self) -> String {
        let mail = fs::read_dir(self.folder.path().join("mail")).unwrap().next().unwrap().unwrap();
        let text = fs::read_to_string(mail.path()).unwrap();
        let (_, id) = text.split_once("Message-ID: <").unwrap();
        id.split_once('>').unwrap().0.to_owned()
    }

    fn recipients(&self, mail: &str) -> Vec<Option<Recipient>> {
        let mut read = FeedbackRead::new(&self.workspace, "test", true).unwrap();
        let source = Source { path: "mail".into(), number: None };
        assert!(read.read(&source, Found { bytes: mail.as_bytes(), is_cut: false }).unwrap().is_empty());
        read.finish().unwrap().remove(0).recipients
    }

    /// How the one event of a mail was attributed, and whether that is trusted.
    fn by(&self, mail: &str) -> Option<(By, bool)> {
        let recipient = self.recipients(mail).remove(0)?;
        assert_eq!((recipient.run.as_str(), recipient.row), (self.run.as_str(), Some(0)), "{mail}");
        assert_eq!(recipient.address.to_string(), "ann@a.example");
        Some((recipient.by, recipient.trusted))
    }
}

fn bounce(to: &str, address: &str, original: &str) -> String {
    format!(
        "From: MAILER-DAEMON@mx.example\nTo: {to}\nSubject: failure notice\n\n\
         I'm afraid I wasn't able to deliver your message to the following addresses.\n\n\
         <{address}>:\nRemote host said: 550 5.1.1 User unknown\n\n\
         --- Below this line is a copy of the message.\n\n{original}\n"
    )
}

#[tokio::test]
async fn the_surest_way_to_a_row_counts() {
    let sent = Sent::new(true).await;
    let (path, id) = (sent.path(0), sent.message_id());
    let header = format!("Message-ID: <{id}>\nTo: ann@a.example");
    let returned = format!("Return-Path: <{path}>\n{header}");
    assert_eq!(
        sent.by(&bounce(&path.to_string(), "forwarded@z.example", &header)),
        Some((By::Envelope, true))
    );
    let delivered = format!("Delivered-To: {path}\n{}", bounce("postmaster@x.example", "ann@a.example", ""));
    assert_eq!(sent.by(&delivered), Some((By::Envelope, true)));
    assert_eq!(sent.by(&bounce("x@x.example", "else@z.example", &returned)), Some((By::Returned, true)));
    // Anybody can make up the rest.
    assert_eq!(sent.by(&bounce("x@x.example", "else@z.example", &header)), Some((By::MessageId, false)));
    assert_eq!(sent.by(&bounce("x@x.example", "Ann@A.example", "")), Some((By::Address, false)));
    assert_eq!(sent.by(&bounce("x@x.example", "else@z.example", "")), None);
    let forged = format!("bounces+{}@example.com", "a".repeat(31));
    assert_eq!(sent.by(&bounce(&forged, "else@z.example", "")), None);
    let two = format!("{}, {}", sent.path(0), sent.path(1));
    assert_eq!(sent.by(&bounce(&two, "ann@a.example", "")), Some((By::Envelope, true)), "the one it names");
}

#[tokio::test]
async fn without_verp_ids_and_addresses_are_all_there_is() {
    let sent = Sent::new(false).await;
    let header = format!("Message-ID: <{}>", sent.message_id());
    assert_eq!(
        sent.by(&bounce("bounces@example.com", "else@z.example", &header)),
        Some((By::MessageId, true))
    );
    let plain = bounce("bounces@example.com", "ann@a.example", "");
    assert_eq!(sent.by(&plain), Some((By::Address, true)));
    let later = sent.workspace.clock().wall() + DAY * 31;
    sent.workspace.clock().set(Reading::simulated(later));
    assert_eq!(sent.by(&plain), None, "it was no recipient lately");
}

#[tokio::test]
async fn whether_a_row_was_handed_over_is_known() {
    let sent = Sent::new(true).await;
    let handed_over = |row: u32| {
        let found = sent.recipients(&bounce(&sent.path(row).to_string(), "x@x.example", "")).remove(0);
        found.unwrap().handed_over
    };
    assert!(handed_over(0).is_some());
    assert_eq!(handed_over(1), None, "the receiver refused it");
}

#[tokio::test]
async fn who_sends_the_token_of_a_link_unsubscribes() {
    let folder = tempfile::tempdir().unwrap();
    write_campaign(folder.path());
    let file = folder.path().join("campaign.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{text}[unsubscribe]\nmailto = \"leave@example.com\"\n")).unwrap();
    let workspace = workspace(folder.path(), clock("2026-03-01T09:30:00Z"));
    send(&workspace, folder.path(), &Selection::List(List::default())).await;
    let mail = fs::read_dir(folder.path().join("mail")).unwrap().next().unwrap().unwrap();
    let text = fs::read_to_string(mail.path()).unwrap();
    let (_, token) = text.split_once("?subject=").unwrap();
    let token = token.split_once('>').unwrap().0;
    let read = |mail: &str| {
        let mut read = FeedbackRead::new(&workspace, "test", true).unwrap();
        let source = Source { path: Path::new("mail").to_owned(), number: None };
        read.read(&source, Found { bytes: mail.as_bytes(), is_cut: false }).unwrap();
        let mail = read.finish().unwrap().remove(0);
        (mail.feedback.kind.as_str(), mail.recipients[0].as_ref().map(|found| (found.by, found.row)))
    };
    let by_link = Some((By::Link, Some(0)));
    assert_eq!(read(&format!("From: x@y.example\nSubject: {token}\n\n")), ("unsubscribe", by_link));
    fs::remove_dir_all(folder.path().join("runs")).unwrap();
    assert_eq!(read(&format!("From: x@y.example\nSubject: {token}\n\n")), ("unsubscribe", by_link));
    assert_eq!(read(&format!("From: x@y.example\nSubject: {token}x\n\n")), ("other", None));
}

#[tokio::test]
async fn bounces_count_for_thirty_days_and_of_messages_that_were_handed_over() {
    let sent = Sent::new(true).await;
    let effect = |row: u32, text: &str| {
        let mail = format!("X-Text: {text}\n{}", bounce(&sent.path(row).to_string(), "x@x.example", ""));
        let mut read = FeedbackRead::new(&sent.workspace, "test", false).unwrap();
        let source = Source { path: "mail".into(), number: None };
        read.read(&source, Found { bytes: mail.as_bytes(), is_cut: false }).unwrap();
        read.finish().unwrap().remove(0).effects[0].as_str()
    };
    let list = sent.workspace.suppressions().unwrap();
    let is_listed = |email: &str| {
        let entry = list.get(email, &Scope::All).unwrap();
        entry.map(|entry| (entry.reason.to_string(), entry.source))
    };
    let refused = is_listed("rcpt-550-5.1.1@b.example");
    sent.workspace.clock().set(Reading::simulated(Timestamp::wall() + 31 * DAY));
    assert_eq!(effect(0, "late"), "expired");
    assert_eq!(is_listed("ann@a.example"), None);
    sent.workspace.clock().set(Reading::simulated(Timestamp::wall() + 29 * DAY));
    assert_eq!(effect(1, "refused"), "not_handed_over");
    assert_eq!(is_listed("rcpt-550-5.1.1@b.example"), refused);
    assert_eq!(effect(0, "in time"), "suppressed");
    let source = format!("feedback on spring/{}", sent.run);
    assert_eq!(is_listed("ann@a.example"), Some(("bad_mailbox".to_owned(), source)));
}

//! A `state.db` of an earlier format, as such a version wrote it, in the hands of this one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;

use crate::feedback::{Effect, FeedbackLog, Policy, Undo, Undone};
use crate::mail::Timestamp;
use crate::pacing::Clock;
use crate::state::State;
use crate::state::sqlite::StateFile;
use crate::suppression::testing::{address, list_entry, list_scope};
use crate::suppression::{Added, AddressKey, Checker, Entries, Filter, Scope, Suppressions, Term, Watch};

const FORMAT_1: &str = include_str!("format-1.sql");
/// When its mails were read.
const READ: Timestamp = Timestamp(1_795_979_482_772_306);

/// A state database of format 1.
fn earlier() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    Connection::open(&path).unwrap().execute_batch(FORMAT_1).unwrap();
    (folder, path)
}

fn state(path: &Path) -> StateFile {
    StateFile::new(path, Clock::system())
}

fn list(path: &Path) -> Arc<dyn Suppressions> {
    state(path).suppressions().unwrap()
}

fn feedback(path: &Path) -> Arc<dyn FeedbackLog> {
    state(path).feedback().unwrap()
}

fn formats(path: &Path) -> (i64, i64) {
    let db = Connection::open(path).unwrap();
    let version =
        |table: &str| db.query_row(&format!("SELECT version FROM {table}"), [], |row| row.get(0)).unwrap();
    (version("suppression_meta"), version("feedback_meta"))
}

fn entries(list: &dyn Suppressions) -> Vec<String> {
    let shown = |entry: crate::suppression::Entry| format!("{}: {entry}", entry.email);
    Entries::new(list, Filter::default()).map(|entry| shown(entry.unwrap())).collect()
}

#[test]
fn the_entries_of_an_earlier_format_are_for_all_mail() {
    let (_folder, path) = earlier();
    let list = list(&path);
    let feedback_of = "from feedback on news/63w6fv8ctdz7";
    assert_eq!(
        entries(&*list),
        [
            format!("ann@x.example: bad_mailbox, {feedback_of}, until 2027-02-27T19:11:22.344Z"),
            format!("bob@x.example: complaint, {feedback_of}, for ever"),
            format!("cleo@x.example: unsubscribe, {feedback_of}, for ever"),
            "gone@x.example: complaint, from command line, for ever".to_owned(),
            "manual@x.example: manual, from command line, until 2027-02-27T19:11:22.298Z".to_owned(),
        ]
    );
    let checker = Checker::open(list.clone(), Some("news.example".parse().unwrap()), READ).unwrap();
    assert_eq!((checker.len(), checker.change()), (5, 6), "the numbers of its changes go on");

    // It takes what the earlier format had no place for; a run in progress hears of it.
    let watch = Watch::open(list.clone(), Some("news.example".parse().unwrap()), 6, READ).unwrap();
    let id = list.get("ann@x.example", &Scope::All).unwrap().unwrap().id;
    let left = list_entry("Ann@x.example", "news.example", "unsubscribe", Term::Default);
    assert_eq!(list.add(left, READ).unwrap(), Added::New);
    watch.refresh(READ).unwrap();
    let why = watch.check(&address("ann@x.example"), READ).unwrap();
    assert_eq!(why.as_deref(), Some("unsubscribe, for list news.example, from test, for ever"));
    assert_eq!(list.get("ann@x.example", &Scope::All).unwrap().unwrap().id, id);
    assert_eq!(list.of_address("ann@x.example").unwrap().len(), 2);
    assert!(list.remove(&AddressKey::from(&address("gone@x.example")), &Scope::All).unwrap());

    // Opened again, it is as it was left.
    assert_eq!(self::list(&path).of_address("ann@x.example").unwrap().len(), 2);
    assert_eq!(formats(&path), (2, 1), "the log is completed when it is opened");
}

#[test]
fn what_feedback_of_an_earlier_format_did_can_be_undone() {
    let (_folder, path) = earlier();
    let log = feedback(&path);
    assert_eq!(formats(&path), (2, 3));
    let logged = log.page(0, 10).unwrap();
    assert_eq!(logged.len(), 3);
    assert!(logged.iter().all(|one| one.effect == Effect::Suppressed && one.record.scope == Scope::All));
    let list = list(&path);
    let undo = |mail: &str| log.undo(&Undo::Mail(mail.into()), &Policy::default(), READ).unwrap();
    assert_eq!(undo("7b2aec34"), Undone { events: 1, entries: 1 });
    let entry = list.get("ann@x.example", &Scope::All).unwrap().unwrap();
    assert_eq!(entry.to_string(), "manual, from command line, until 2027-02-27T19:11:22.344Z");
    assert_eq!(undo("leave.1@x.example"), Undone { events: 1, entries: 1 });
    assert_eq!(list.of_address("cleo@x.example").unwrap(), []);
    // What is for a list now leaves what was for all mail then.
    let news = list_scope("news.example");
    let complaint =
        crate::feedback::Record { mail: "new".into(), scope: news.clone(), ..logged[1].record.clone() };
    let mut import = crate::feedback::Import { id: None, source: "test".into() };
    let effects = log.append(&mut import, &[complaint], &Policy::default(), READ).unwrap();
    assert_eq!((effects[0], import.id), (Effect::Suppressed, Some(2)));
    assert_eq!(undo("5c3810b5"), Undone { events: 1, entries: 1 });
    let scopes: Vec<Scope> =
        list.of_address("bob@x.example").unwrap().into_iter().map(|entry| entry.scope).collect();
    assert_eq!(scopes, [news]);
}

#[test]
fn the_log_of_each_earlier_format_gets_what_it_lacks() {
    let (_folder, path) = earlier();
    let complete = "ALTER TABLE feedback ADD COLUMN list_id TEXT; UPDATE feedback_meta SET version = 2";
    rusqlite::Connection::open(&path).unwrap().execute_batch(complete).unwrap();
    let log = feedback(&path);
    let logged = log.page(0, 10).unwrap();
    assert_eq!(logged.len(), 3);
    let machine = Some(crate::feedback::Machine::Head);
    let mut import = crate::feedback::Import { id: None, source: "test".into() };
    let action = crate::feedback::Action::Nothing(Effect::None);
    let record = crate::feedback::Record { mail: "new".into(), machine, action, ..logged[1].record.clone() };
    log.append(&mut import, &[record], &Policy::default(), READ).unwrap();
    assert_eq!(log.page(0, 10).unwrap()[3].record.machine, machine);
    assert_eq!(formats(&path).1, 3);
}

#[test]
fn many_that_open_an_earlier_format_at_once_all_get_the_same() {
    let (_folder, path) = earlier();
    std::thread::scope(|scope| {
        for number in 0..8 {
            let path = &path;
            scope.spawn(move || {
                let entry =
                    list_entry(&format!("{number}@x.example"), "news.example", "manual", Term::Default);
                list(path).add(entry, READ).unwrap();
                assert_eq!(feedback(path).page(0, 10).unwrap().len(), 3);
            });
        }
    });
    assert_eq!(entries(&*list(&path)).len(), 13);
    assert_eq!(formats(&path), (2, 3));
}

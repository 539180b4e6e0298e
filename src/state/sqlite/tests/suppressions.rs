use std::fs;

use crate::kit::store::StoreError;
use crate::state::sqlite::file;
use crate::state::sqlite::suppressions::{ROWS_PER_TRANSACTION, SqliteList};
use crate::suppression::testing::{DAY, NOW, entry};
use crate::suppression::{Checker, Suppressions, Term};

fn list() -> (tempfile::TempDir, SqliteList) {
    let folder = tempfile::tempdir().unwrap();
    let list = SqliteList::open(&folder.path().join("state.db")).unwrap();
    (folder, list)
}

fn import(list: &SqliteList, entries: usize, term: Term) {
    let mut entries = (0..entries).map(|n| entry(&format!("{n}@many.example"), "manual", term));
    list.import(&mut entries, NOW).unwrap();
}

#[test]
fn a_purge_of_more_than_one_portion_is_complete() {
    let (_folder, list) = list();
    let many = 2 * ROWS_PER_TRANSACTION + 1;
    import(&list, many, Term::For(DAY));
    assert_eq!(list.purge(NOW + DAY).unwrap(), many as u64);
}

#[test]
fn a_newer_list_is_refused_with_both_formats() {
    let (folder, _list) = list();
    let path = folder.path().join("state.db");
    file::open(&path).unwrap().execute("UPDATE suppression_meta SET version = 7", []).unwrap();
    let error = SqliteList::open(&path).unwrap_err();
    assert!(error.to_string().contains("format 7 of the suppression list"), "{error}");
}

#[test]
fn a_damaged_page_is_an_error_that_names_the_file() {
    let (folder, list) = list();
    import(&list, 3_000, Term::Default);
    let path = folder.path().join("state.db");
    drop(list);
    let mut bytes = fs::read(&path).unwrap();
    assert!(bytes.len() > 100_000);
    bytes[20_000..].iter_mut().for_each(|byte| *byte = 0xa5);
    fs::write(&path, &bytes).unwrap();
    let opened = SqliteList::open(&path);
    let error = opened.and_then(|list| Checker::open(std::sync::Arc::new(list), None, NOW)).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
    assert!(error.to_string().contains("state.db") && error.hint().is_some());
}

use std::sync::Arc;
use std::time::Duration;

use super::Fresh;
use crate::mail::{Domain, Timestamp};
use crate::suppression::testing::{DAY, NOW, address, entry, list_entry, list_scope};
use crate::suppression::{
    Added, AddressKey, Change, Checker, Entries, EntryId, Filter, ImportCounts, NewEntry, Reason, Scope,
    Suppressions, Term, Watch,
};

fn list(fresh: &Fresh) -> Arc<dyn Suppressions> {
    fresh.open().suppressions().unwrap()
}

fn key(email: &str) -> AddressKey {
    AddressKey::from(&address(email))
}

fn import(list: &dyn Suppressions, entries: impl IntoIterator<Item = NewEntry>) -> ImportCounts {
    list.import(&mut entries.into_iter(), NOW).unwrap()
}

fn emails(list: &dyn Suppressions, filter: Filter) -> Vec<String> {
    Entries::new(list, filter).map(|entry| entry.unwrap().email).collect()
}

fn live_keys(list: &dyn Suppressions, now: Timestamp) -> (Vec<String>, u64) {
    let mut keys = Vec::new();
    let change = list.live_keys(None, now, &mut |key| keys.push(key.to_owned())).unwrap();
    keys.sort();
    (keys, change)
}

pub(super) fn what_is_added_is_found_whatever_its_case_and_can_be_removed(fresh: &Fresh) {
    let list = list(fresh);
    assert_eq!(list.add(entry("Bob@Example.com", "bad_mailbox", Term::Default), NOW).unwrap(), Added::New);
    let found = list.get(key("bOB@example.COM").as_str(), &Scope::All).unwrap().unwrap();
    assert_eq!((found.email.as_str(), found.key.as_str()), ("Bob@Example.com", "bob@example.com"));
    assert_eq!((found.reason.clone(), found.source.as_str()), (Reason::BadMailbox, "test"));
    assert_eq!((found.added, found.expires), (NOW, Some(NOW + 45 * DAY)));
    assert_eq!(found.lifetime, Some(45 * DAY));
    assert!(found.is_live(NOW + 44 * DAY) && !found.is_live(NOW + 45 * DAY));
    assert!(list.remove(&key("BOB@example.com"), &Scope::All).unwrap());
    assert!(!list.remove(&key("bob@example.com"), &Scope::All).unwrap());
    assert_eq!(list.get("bob@example.com", &Scope::All).unwrap(), None);
}

pub(super) fn adding_again_never_weakens(fresh: &Fresh) {
    let list = list(fresh);
    let mut number = 0;
    let mut check =
        |first: (&str, Term), again: (&str, Term), added: Added, reason: &str, days: Option<u32>| {
            number += 1;
            let email = format!("{number}@b.example");
            list.add(entry(&email, first.0, first.1), NOW).unwrap();
            let later = NOW + DAY;
            assert_eq!(list.add(entry(&email, again.0, again.1), later).unwrap(), added);
            let found = list.get(&email, &Scope::All).unwrap().unwrap();
            assert_eq!((found.reason.as_str(), found.expires), (reason, days.map(|days| NOW + days * DAY)));
        };
    let timed = |days: u32| Term::For(days * DAY);
    check(("manual", timed(45)), ("bad_mailbox", timed(45)), Added::Renewed, "bad_mailbox", Some(46));
    check(("manual", timed(90)), ("bad_mailbox", timed(45)), Added::Renewed, "bad_mailbox", Some(90));
    check(("manual", timed(45)), ("unsubscribe", timed(1)), Added::Renewed, "unsubscribe", None);
    check(("complaint", Term::Default), ("manual", timed(45)), Added::Kept, "complaint", None);
    check(("manual", Term::Permanent), ("unsubscribe", Term::Default), Added::Kept, "manual", None);
}

pub(super) fn an_attempt_restarts_the_time(fresh: &Fresh) {
    let list = list(fresh);
    let id = |email: &str| list.get(email, &Scope::All).unwrap().unwrap().id;
    let expires = |email: &str| list.get(email, &Scope::All).unwrap().unwrap().expires;
    let (timed, for_ever) = ("timed@b.example", "for-ever@b.example");
    list.add(entry(timed, "manual", Term::For(10 * DAY)), NOW).unwrap();
    list.add(entry(for_ever, "manual", Term::Permanent), NOW).unwrap();
    let ids: Vec<EntryId> = [timed, for_ever].map(id).into();
    assert_eq!(list.restart_time(&ids, NOW + 4 * DAY).unwrap(), 1);
    assert_eq!(expires(timed), Some(NOW + 14 * DAY));
    assert_eq!(expires(for_ever), None);
    // A clock that went back does not shorten it, and an entry that has ended stays ended.
    list.restart_time(&ids, NOW).unwrap();
    assert_eq!(expires(timed), Some(NOW + 14 * DAY));
    assert_eq!(list.restart_time(&ids, NOW + 14 * DAY).unwrap(), 0);
    assert_eq!(expires(timed), Some(NOW + 14 * DAY));
    // A renewed entry keeps its id; one that was removed leaves it to nobody.
    list.add(entry(timed, "manual", Term::For(10 * DAY)), NOW).unwrap();
    assert_eq!(id(timed), ids[0]);
    list.remove(&key(for_ever), &Scope::All).unwrap();
    list.add(entry(for_ever, "manual", Term::Permanent), NOW).unwrap();
    assert!(!ids.contains(&id(for_ever)));
}

pub(super) fn entries_are_listed_in_pages_and_filtered(fresh: &Fresh) {
    let list = &*list(fresh);
    let many = (0..2_500).map(|n| entry(&format!("{n:04}@many.example"), "manual", Term::For(DAY)));
    assert_eq!(import(list, many), ImportCounts { new: 2_500, renewed: 0, kept: 0 });
    let others = [
        entry("x@one.example", "unsubscribe", Term::Default),
        entry("0007@many.example", "manual", Term::Default),
    ];
    assert_eq!(import(list, others), ImportCounts { new: 1, renewed: 1, kept: 0 });

    let all = emails(list, Filter::default());
    assert_eq!(all.len(), 2_501);
    assert!(all.is_sorted(), "not in the order of addresses");
    let by_reason = Filter { reason: Some(Reason::Unsubscribe), ..Filter::default() };
    assert_eq!(emails(list, by_reason), ["x@one.example"]);
    let by_domain = Filter { domain: Some(Domain::parse("one.example").unwrap()), ..Filter::default() };
    assert_eq!(emails(list, by_domain), ["x@one.example"]);
    let live = Filter { live_at: Some(NOW + 2 * DAY), ..Filter::default() };
    assert_eq!(emails(list, live), ["0007@many.example", "x@one.example"]);
    assert_eq!(emails(list, Filter { source: Some("other".into()), ..Filter::default() }).len(), 0);
    assert_eq!(list.count_live(NOW + 2 * DAY).unwrap(), 2);
}

pub(super) fn ended_entries_are_purged(fresh: &Fresh) {
    let list = &*list(fresh);
    import(list, (0..20).map(|n| entry(&format!("{n}@many.example"), "manual", Term::For(DAY))));
    import(list, [entry("x@one.example", "unsubscribe", Term::Default)]);
    assert_eq!(list.purge(NOW + DAY - Duration::from_micros(1)).unwrap(), 0);
    assert_eq!(list.purge(NOW + DAY).unwrap(), 20);
    assert_eq!(list.purge(NOW + DAY).unwrap(), 0);
    assert_eq!(emails(list, Filter::default()), ["x@one.example"]);
}

pub(super) fn all_see_what_one_changes(fresh: &Fresh) {
    let (one, other) = (list(fresh), list(fresh));
    one.add(entry("bob@b.example", "manual", Term::Default), NOW).unwrap();
    assert!(other.get("bob@b.example", &Scope::All).unwrap().is_some());
    let checker = Checker::open(Arc::clone(&other), None, NOW).unwrap();
    assert_eq!(checker.len(), 1);
    let watch = Watch::open(other, None, checker.change(), NOW).unwrap();
    let suppressed = |email: &str| {
        watch.refresh(NOW).unwrap();
        watch.check(&address(email), NOW).unwrap()
    };
    one.add(entry("eve@b.example", "unsubscribe", Term::Default), NOW).unwrap();
    assert_eq!(suppressed("eve@b.example").as_deref(), Some("unsubscribe, from test, for ever"));
    assert_eq!(suppressed("bob@b.example"), None, "the plan was screened against it");
    drop(one);
    assert!(list(fresh).get("eve@b.example", &Scope::All).unwrap().is_some(), "it outlasts who added it");
}

pub(super) fn the_keys_are_those_of_the_live_entries(fresh: &Fresh) {
    let list = &*list(fresh);
    assert_eq!(live_keys(list, NOW), (vec![], 0));
    import(
        list,
        [
            entry("Ann@b.example", "manual", Term::For(DAY)),
            entry("bob@b.example", "complaint", Term::Default),
        ],
    );
    let (keys, change) = live_keys(list, NOW);
    assert_eq!(keys, ["ann@b.example", "bob@b.example"]);
    assert_eq!(live_keys(list, NOW + DAY), (vec!["bob@b.example".to_owned()], change));
}

pub(super) fn changes_are_reported_in_their_order_and_removals_show_in_their_number(fresh: &Fresh) {
    let list = &*list(fresh);
    let changes = |seen: u64| {
        let mut found = Vec::new();
        let last = list
            .changes(None, seen, &mut |change| {
                assert_eq!((change.reason, change.source), ("manual", "test"));
                found.push((change.key.to_owned(), change.expires));
            })
            .unwrap();
        (found, last)
    };
    import(list, [entry("ann@b.example", "manual", Term::For(DAY))]);
    import(list, [entry("bob@b.example", "manual", Term::Permanent)]);
    let (found, seen) = changes(0);
    let (ann, bob) = ("ann@b.example".to_owned(), "bob@b.example".to_owned());
    assert_eq!(found, [(ann.clone(), Some(NOW + DAY)), (bob.clone(), None)]);
    assert_eq!(changes(seen), (vec![], seen), "nothing has changed");

    // A renewed entry comes again; a permanent one that is added again has not changed.
    import(
        list,
        [
            entry("bob@b.example", "manual", Term::Permanent),
            entry("ann@b.example", "manual", Term::For(2 * DAY)),
        ],
    );
    let (found, renewed) = changes(seen);
    assert_eq!(found, [(ann, Some(NOW + 2 * DAY))]);
    assert!(renewed > seen);
    assert_eq!((list.count_changes(None, 0).unwrap(), list.count_changes(None, seen).unwrap()), (2, 1));

    assert!(list.remove(&key("bob@b.example"), &Scope::All).unwrap());
    let (found, removed) = changes(renewed);
    assert_eq!(found, []);
    assert!(removed > renewed, "something has changed");
    assert_eq!(list.count_changes(None, 0).unwrap(), 1);
    assert!(!list.remove(&key("bob@b.example"), &Scope::All).unwrap());
    assert_eq!(changes(removed), (vec![], removed), "nothing was removed");
    list.purge(NOW + 2 * DAY).unwrap();
    let (_, purged) = changes(removed);
    assert!(purged > removed);
    assert_eq!(list.count_changes(None, 0).unwrap(), 0);
}

pub(super) fn threads_that_import_the_same_entries_add_each_once(fresh: &Fresh) {
    let added: u64 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let list = list(fresh);
                let entries =
                    (0..200).map(|n| entry(&format!("{n}@many.example"), "manual", Term::Permanent));
                scope.spawn(move || import(&*list, entries).new)
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(added, 200);
    assert_eq!(list(fresh).count_live(NOW).unwrap(), 200);
}

pub(super) fn entries_for_all_mail_and_for_lists_are_apart(fresh: &Fresh) {
    let list = &*list(fresh);
    let (news, other) = (list_scope("news.example"), list_scope("other.example"));
    import(list, [entry("Ann@b.example", "bad_mailbox", Term::For(DAY))]);
    let added = list.add(list_entry("ann@B.example", "News.example", "unsubscribe", Term::Default), NOW);
    assert_eq!(added.unwrap(), Added::New);
    let again = list_entry("ann@b.example", "news.example", "manual", Term::Default);
    assert_eq!(list.add(again, NOW).unwrap(), Added::Kept, "it is there for ever");
    // Keys that begin alike are other addresses.
    import(
        list,
        [entry("ann@b.example.org", "manual", Term::Default), entry("an@b.example", "manual", Term::Default)],
    );

    let get = |scope: &Scope| list.get("ann@b.example", scope).unwrap();
    let (all, of_news) = (get(&Scope::All).unwrap(), get(&news).unwrap());
    assert_eq!(
        (all.scope.clone(), all.key.as_str(), all.expires),
        (Scope::All, "ann@b.example", Some(NOW + DAY))
    );
    assert_eq!(
        (of_news.scope.clone(), of_news.key.as_str(), of_news.expires),
        (news.clone(), "ann@b.example", None)
    );
    assert_ne!(all.id, of_news.id);
    assert_eq!(get(&other), None);
    assert_eq!(list.of_address("ann@b.example").unwrap(), [all.clone(), of_news.clone()]);

    // Either blocks mail of the list; each ends by itself.
    let blocking = |list_id: Option<&str>, now| {
        let list_id = list_id.map(|id| id.parse().unwrap());
        let entries = list.blocking("ann@b.example", list_id.as_ref(), now).unwrap();
        entries.into_iter().map(|entry| entry.id).collect::<Vec<_>>()
    };
    assert_eq!(blocking(Some("news.example"), NOW), [all.id, of_news.id]);
    assert_eq!(blocking(Some("other.example"), NOW), [all.id]);
    assert_eq!(blocking(None, NOW), [all.id]);
    assert_eq!(blocking(Some("news.example"), NOW + DAY), [of_news.id]);
    assert_eq!(blocking(None, NOW + DAY), []);

    // Listed in the order of addresses, and by scope or domain.
    let places = |filter: Filter| -> Vec<(String, Scope)> {
        let entries = Entries::new(list, filter).map(|entry| entry.unwrap());
        entries.map(|entry| (entry.key.as_str().to_owned(), entry.scope)).collect()
    };
    let of = |email: &str, scope: &Scope| (email.to_owned(), scope.clone());
    let both = [of("ann@b.example", &Scope::All), of("ann@b.example", &news)];
    let every = [
        of("an@b.example", &Scope::All),
        both[0].clone(),
        both[1].clone(),
        of("ann@b.example.org", &Scope::All),
    ];
    assert_eq!(places(Filter::default()), every);
    assert_eq!(places(Filter { scope: Some(news.clone()), ..Filter::default() }), both[1..]);
    let of_domain = Filter { domain: Some(Domain::parse("b.example").unwrap()), ..Filter::default() };
    assert_eq!(places(of_domain), every[..3]);
    let page = list.page(&Filter::default(), &news.place("ann@b.example"), 1).unwrap();
    assert_eq!(page[0].key.as_str(), "ann@b.example.org", "the next page begins after the place");

    // An attempt restarts the one that it meets.
    assert_eq!(list.restart_time(&[of_news.id], NOW + DAY / 2).unwrap(), 0);
    assert_eq!(list.restart_time(&[all.id, of_news.id], NOW + DAY / 2).unwrap(), 1);
    assert_eq!(get(&Scope::All).unwrap().expires, Some(NOW + DAY + DAY / 2));

    assert!(!list.remove(&key("ann@b.example"), &other).unwrap());
    assert!(list.remove(&key("ann@b.example"), &Scope::All).unwrap());
    assert_eq!((get(&Scope::All), get(&news).map(|entry| entry.id)), (None, Some(of_news.id)));
    assert!(list.remove(&key("ann@b.example"), &news).unwrap());
    assert_eq!(list.of_address("ann@b.example").unwrap(), []);
}

pub(super) fn keys_and_changes_are_those_for_the_mail_of_one_list(fresh: &Fresh) {
    let list = &*list(fresh);
    import(
        list,
        [
            entry("ann@b.example", "manual", Term::For(DAY)),
            list_entry("ann@b.example", "news.example", "unsubscribe", Term::Default),
            list_entry("bob@b.example", "news.example", "unsubscribe", Term::Default),
            list_entry("cleo@b.example", "other.example", "unsubscribe", Term::Default),
        ],
    );
    let of_list = |id: Option<&str>| {
        let (list_id, mut keys, mut changes) = (id.map(|id| id.parse().unwrap()), Vec::new(), Vec::new());
        list.live_keys(list_id.as_ref(), NOW, &mut |key| keys.push(key.to_owned())).unwrap();
        let mut each = |change: Change<'_>| changes.push((change.key.to_owned(), change.is_of_list));
        list.changes(list_id.as_ref(), 0, &mut each).unwrap();
        keys.sort();
        changes.sort();
        assert_eq!(list.count_changes(list_id.as_ref(), 0).unwrap(), changes.len() as u64);
        (keys, changes)
    };
    let (ann, bob, cleo) = ("ann@b.example", "bob@b.example", "cleo@b.example");
    let texts = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
    let changes = |changes: &[(&str, bool)]| {
        changes.iter().map(|(key, is_of_list)| ((*key).to_owned(), *is_of_list)).collect::<Vec<_>>()
    };
    assert_eq!(of_list(None), (texts(&[ann]), changes(&[(ann, false)])));
    let of_news = changes(&[(ann, false), (ann, true), (bob, true)]);
    assert_eq!(of_list(Some("news.example")), (texts(&[ann, ann, bob]), of_news));
    assert_eq!(of_list(Some("other.example")), (texts(&[ann, cleo]), changes(&[(ann, false), (cleo, true)])));
    assert_eq!(list.count_live(NOW).unwrap(), 4);
}

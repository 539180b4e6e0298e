use std::sync::Arc;

use super::Fresh;
use crate::feedback::{Action, Effect, FeedbackLog, Import, Kind, Machine, Policy, Record, Undo, Undone};
use crate::mail::{Class, Timestamp};
use crate::state::State;
use crate::suppression::testing::{DAY, NOW, address, entry, list_entry, list_scope};
use crate::suppression::{AddressKey, Scope, Suppressions, Term};

/// A log, and the suppression list that it changes.
struct Both {
    log: Arc<dyn FeedbackLog>,
    list: Arc<dyn Suppressions>,
}

impl Both {
    fn open(fresh: &Fresh) -> Self {
        let state: Arc<dyn State> = fresh.open();
        Self { log: state.feedback().unwrap(), list: state.suppressions().unwrap() }
    }

    fn append(&self, records: &[Record], now: Timestamp) -> Vec<Effect> {
        let mut import = Import { id: None, source: "test".into() };
        self.log.append(&mut import, records, &Policy::default(), now).unwrap()
    }

    fn one(&self, record: Record) -> Effect {
        let now = record.at;
        let effects = self.append(&[record], now);
        assert_eq!(effects.len(), 1);
        effects[0]
    }

    fn undo(&self, mail: &str) -> Undone {
        self.log.undo(&Undo::Mail(mail.into()), &Policy::default(), NOW + 9 * DAY).unwrap()
    }

    /// Reason and end of the entry of an address, as days from now on; none is never.
    fn entry(&self, email: &str) -> Option<(String, Option<i64>)> {
        self.entry_for(email, &Scope::All)
    }

    fn entry_for(&self, email: &str, scope: &Scope) -> Option<(String, Option<i64>)> {
        let found = self.list.get(email, scope).unwrap()?;
        let days = found.expires.map(|at| (at.0 - NOW.0) / 86_400_000_000);
        Some((found.reason.to_string(), days))
    }
}

pub(super) fn record(mail: &str, email: &str, action: Action) -> Record {
    let kind = match action {
        Action::Hard | Action::Soft => Kind::Bounce,
        Action::Complaint => Kind::Complaint,
        Action::Unsubscribe => Kind::Unsubscribe,
        Action::TakeBack => Kind::NotSpam,
        Action::Nothing(_) => Kind::AutoReply,
    };
    Record {
        mail: mail.into(),
        event: 0,
        message_id: Some(format!("{mail}@x.example")),
        at: NOW,
        machine: matches!(action, Action::Nothing(_)).then_some(Machine::Scanner),
        kind,
        class: Some(Class::BadMailbox),
        status: Some("5.1.1".into()),
        hard: action == Action::Hard,
        named: Some(email.into()),
        text: Some("no such user".into()),
        address: Some(address(email)),
        campaign: Some("spring".into()),
        run: Some(format!("run-of-{mail}")),
        row: Some(7),
        by: Some(crate::feedback::By::Envelope),
        trusted: true,
        action,
        scope: Scope::All,
    }
}

fn bounce(days: Option<i64>) -> Option<(String, Option<i64>)> {
    Some(("bad_mailbox".to_owned(), days))
}

pub(super) fn a_person_is_forgotten_and_their_mail_still_counts_once(fresh: &Fresh) {
    let both = Both::open(fresh);
    let named =
        Record { text: Some("ANN@x.example moved".into()), ..record("m2", "bob@x.example", Action::Soft) };
    both.append(&[record("m1", "Ann@x.example", Action::Hard)], NOW);
    both.append(&[named, record("m3", "joann@x.example", Action::Soft)], NOW);
    let key = AddressKey::from(&address("ann@x.example"));
    assert_eq!(both.log.naming(&key).unwrap(), 2);
    let before = both.log.page(0, 9).unwrap();
    both.log.forget(&key).unwrap();
    let after = both.log.page(0, 9).unwrap();
    assert_eq!(after[2], before[2]);
    let record = &after[0].record;
    assert_eq!(
        (&record.address, &record.named, &record.text, &after[0].before),
        (&None, &None, &None, &None)
    );
    assert_eq!((record.kind, &record.run, record.row), (Kind::Bounce, &Some("run-of-m1".into()), Some(7)));
    let kept = &after[1].record;
    assert_eq!((&kept.text, &kept.address), (&None, &Some(address("bob@x.example"))));
    assert_eq!((both.log.naming(&key).unwrap(), both.log.of_address(key.as_str()).unwrap()), (0, vec![]));
    // The entry is the list's, and the mail was read.
    assert!(both.entry("ann@x.example").is_some());
    let again = self::record("m1", "ann@x.example", Action::Hard);
    both.append(&[again], NOW + DAY);
    assert_eq!(both.log.naming(&key).unwrap(), 0);
}

pub(super) fn what_is_kept_is_read_again(fresh: &Fresh) {
    let both = Both::open(fresh);
    let own = [
        record("m1", "Ann@x.example", Action::Hard),
        Record {
            event: 1,
            kind: Kind::Click,
            address: None,
            by: None,
            ..record("m1", "bob@x.example", Action::Nothing(Effect::NotOurs))
        },
        Record {
            scope: list_scope("news.example"),
            ..record("m2", "cleo@x.example", Action::Nothing(Effect::Expired))
        },
    ];
    assert_eq!(both.append(&own, NOW), [Effect::Suppressed, Effect::NotOurs, Effect::Expired]);
    let log = Both::open(fresh).log;
    let kept = log.page(0, 10).unwrap();
    assert_eq!(kept.iter().map(|logged| logged.record.clone()).collect::<Vec<_>>(), own);
    assert!(kept.iter().all(|logged| logged.read == NOW && logged.undone.is_none() && logged.import == 1));
    assert_eq!(log.page(kept[0].id, 1).unwrap()[0], kept[1]);
    assert_eq!(log.of_address("ann@x.example").unwrap(), kept[..1]);
    assert_eq!(log.of_run("spring", "run-of-m2", 0).unwrap(), kept[2..]);
    assert_eq!(log.of_run("spring", "run-of-m2", kept[2].id).unwrap(), kept[3..]);
    assert_eq!(log.page_of_run("spring", "run-of-m2", kept[1].id, 1).unwrap(), kept[2..3]);
    assert_eq!(log.of_run("autumn", "run-of-m2", 0).unwrap(), []);
    // Without opens and clicks.
    assert_eq!(log.replies_of_run("spring", "run-of-m1").unwrap(), kept[..1]);
    assert_eq!(log.page_of_replies(0, 2).unwrap(), [kept[0].clone(), kept[2].clone()]);
    assert_eq!(log.page_of_replies(0, 1).unwrap(), kept[..1]);
    assert!(log.has_of_run("spring", "run-of-m2", 0).unwrap());
    assert!(!log.has_of_run("spring", "run-of-m2", kept[2].id).unwrap());
    assert!(!log.has_of_run("autumn", "run-of-m2", 0).unwrap());
    let source = both.list.get("ann@x.example", &Scope::All).unwrap().unwrap().source;
    assert_eq!(source, "feedback on spring/run-of-m1");
}

pub(super) fn a_mail_that_is_read_twice_counts_once(fresh: &Fresh) {
    let both = Both::open(fresh);
    let hard = record("m1", "ann@x.example", Action::Hard);
    assert_eq!(both.append(&[hard.clone(), hard.clone()], NOW), [Effect::Suppressed, Effect::ReadBefore]);
    assert_eq!(Both::open(fresh).one(Record { at: NOW + 9 * DAY, ..hard }), Effect::ReadBefore);
    assert_eq!(both.entry("ann@x.example"), bounce(Some(45)));
    assert_eq!(both.log.page(0, 10).unwrap().len(), 1);
}

pub(super) fn soft_bounces_count_within_their_time(fresh: &Fresh) {
    let both = Both::open(fresh);
    let soft = |mail: &str, email: &str, days: u32| {
        both.one(Record { at: NOW + days * DAY, ..record(mail, email, Action::Soft) })
    };
    assert_eq!(soft("a1", "ann@x.example", 0), Effect::Counted);
    assert_eq!(soft("a2", "ann@x.example", 3), Effect::Counted);
    assert_eq!(soft("b1", "bob@x.example", 3), Effect::Counted);
    assert_eq!(both.entry("ann@x.example"), None);
    assert_eq!(soft("a3", "ann@x.example", 6), Effect::Suppressed);
    assert_eq!(both.entry("ann@x.example"), Some(("soft_bounces".into(), Some(51))));
    // The first of these is too long ago.
    assert_eq!(soft("b2", "bob@x.example", 18), Effect::Counted);
    assert_eq!(soft("b3", "bob@x.example", 19), Effect::Counted);
    // One message that bounces again and again counts once.
    for mail in ["c1", "c2", "c3"] {
        let again = Record { run: Some("run".into()), ..record(mail, "cleo@x.example", Action::Soft) };
        assert_eq!(both.one(again), Effect::Counted);
    }
    // Without the second there were only two.
    assert_eq!(both.undo("a2"), Undone { events: 1, entries: 1 });
    assert_eq!(both.entry("ann@x.example"), None);
}

pub(super) fn what_is_undone_leaves_the_list_as_it_would_be(fresh: &Fresh) {
    let both = Both::open(fresh);
    // Of two bounces the other one holds, whichever is taken back.
    for (email, gone, left) in [("ann@x.example", "a1", 50), ("bob@x.example", "b2", 45)] {
        let mails = [&email[..1], &email[..1]].map(str::to_owned);
        both.one(record(&format!("{}1", mails[0]), email, Action::Hard));
        both.one(Record { at: NOW + 5 * DAY, ..record(&format!("{}2", mails[1]), email, Action::Hard) });
        both.undo(gone);
        assert_eq!(both.entry(email), bounce(Some(left)), "{email}");
    }
    both.undo("a2");
    assert_eq!(both.entry("ann@x.example"), None);
    assert_eq!(both.undo("a2"), Undone::default(), "it is undone already");
    assert_eq!(both.one(record("a2", "ann@x.example", Action::Hard)), Effect::ReadBefore, "and stays so");

    // What was there before comes back, also behind a complaint.
    both.list.add(entry("dan@x.example", "manual", Term::For(90 * DAY)), NOW).unwrap();
    both.one(record("d1", "dan@x.example", Action::Complaint));
    assert_eq!(both.entry("dan@x.example"), Some(("complaint".into(), None)));
    assert_eq!(both.one(record("d2", "dan@x.example", Action::Hard)), Effect::AlreadySuppressed);
    both.undo("d1@x.example");
    assert_eq!(both.entry("dan@x.example"), bounce(Some(90)), "the bounce is left");
    both.undo("d2");
    assert_eq!(both.entry("dan@x.example"), Some(("manual".into(), Some(90))));

    // What others did in the meantime stays.
    both.one(record("e1", "eve@x.example", Action::Hard));
    both.list.add(entry("eve@x.example", "manual", Term::Permanent), NOW).unwrap();
    both.undo("e1");
    assert_eq!(both.entry("eve@x.example"), Some(("manual".into(), None)));
    both.one(record("f1", "fay@x.example", Action::Hard));
    both.one(record("f2", "fay@x.example", Action::Hard));
    both.list.remove(&AddressKey::from(&address("fay@x.example")), &Scope::All).unwrap();
    assert_eq!(both.undo("f1"), Undone { events: 1, entries: 0 });
    assert_eq!(both.entry("fay@x.example"), None);
}

pub(super) fn an_import_is_undone_as_a_whole(fresh: &Fresh) {
    let both = Both::open(fresh);
    let mut import = Import { id: None, source: "box".into() };
    for (mail, email) in [("m1", "ann@x.example"), ("m2", "bob@x.example")] {
        let records = [record(mail, email, Action::Hard)];
        both.log.append(&mut import, &records, &Policy::default(), NOW).unwrap();
    }
    both.one(record("m3", "cleo@x.example", Action::Hard));
    let undone = both.log.undo(&Undo::Import(import.id.unwrap()), &Policy::default(), NOW).unwrap();
    assert_eq!(undone, Undone { events: 2, entries: 2 });
    let sources: Vec<String> = both.log.imports().unwrap().into_values().collect();
    assert_eq!(sources, ["box", "test"]);
    let left = ["ann", "bob", "cleo"].map(|name| both.entry(&format!("{name}@x.example")).is_some());
    assert_eq!(left, [false, false, true]);
}

pub(super) fn a_complaint_can_be_taken_back(fresh: &Fresh) {
    let both = Both::open(fresh);
    both.one(record("m1", "ann@x.example", Action::Complaint));
    assert_eq!(both.one(record("m2", "ann@x.example", Action::TakeBack)), Effect::TakenBack);
    assert_eq!(both.entry("ann@x.example"), None);
    assert_eq!(both.log.page(0, 1).unwrap()[0].undone, Some((NOW, 2)));
    // Undoing that brings the complaint back.
    both.undo("m2");
    assert_eq!(both.entry("ann@x.example"), Some(("complaint".into(), None)));
    // An unsubscribe is not taken back by it.
    both.one(record("m3", "bob@x.example", Action::Unsubscribe));
    assert_eq!(both.one(record("m4", "bob@x.example", Action::TakeBack)), Effect::None);
    assert_eq!(both.entry("bob@x.example"), Some(("unsubscribe".into(), None)));
}

pub(super) fn what_is_for_a_list_is_kept_and_undone_apart(fresh: &Fresh) {
    let both = Both::open(fresh);
    let (news, other) = (list_scope("news.example"), list_scope("other.example"));
    let of = |scope: &Scope, mail: &str, email: &str, action: Action| {
        both.one(Record { scope: scope.clone(), ..record(mail, email, action) })
    };
    let for_ever = |reason: &str| Some((reason.to_owned(), None));

    // An unsubscribe from a list beside a bounce: an entry each.
    both.one(record("a1", "ann@x.example", Action::Hard));
    assert_eq!(of(&news, "a2", "ann@x.example", Action::Unsubscribe), Effect::Suppressed);
    assert_eq!(of(&news, "a3", "ann@x.example", Action::Unsubscribe), Effect::AlreadySuppressed);
    assert_eq!(of(&other, "a4", "ann@x.example", Action::Unsubscribe), Effect::Suppressed);
    let entries = || [&Scope::All, &news, &other].map(|scope| both.entry_for("ann@x.example", scope));
    let left = || for_ever("unsubscribe");
    assert_eq!(entries(), [bounce(Some(45)), left(), left()]);
    assert_eq!(both.undo("a1"), Undone { events: 1, entries: 1 });
    assert_eq!(entries(), [None, left(), left()]);
    assert_eq!(both.undo("a2"), Undone { events: 1, entries: 0 }, "the other unsubscribe holds");
    assert_eq!(entries(), [None, left(), left()]);
    both.undo("a3");
    assert_eq!(entries(), [None, None, left()]);

    // What was there before comes back, for its own mail.
    both.list.add(list_entry("bob@x.example", "news.example", "manual", Term::For(90 * DAY)), NOW).unwrap();
    of(&news, "b1", "bob@x.example", Action::Unsubscribe);
    both.undo("b1");
    assert_eq!(both.entry_for("bob@x.example", &news), Some(("manual".into(), Some(90))));
    assert_eq!(both.entry("bob@x.example"), None);

    // A complaint about one list is taken back for that list alone; for all mail, everywhere.
    for (mail, scope) in [("c1", &news), ("c2", &other), ("c3", &Scope::All)] {
        of(scope, mail, "cleo@x.example", Action::Complaint);
    }
    let entries = || [&Scope::All, &news, &other].map(|scope| both.entry_for("cleo@x.example", scope));
    let complained = || for_ever("complaint");
    assert_eq!(of(&news, "c4", "cleo@x.example", Action::TakeBack), Effect::TakenBack);
    assert_eq!(entries(), [complained(), None, complained()]);
    assert_eq!(of(&news, "c5", "cleo@x.example", Action::TakeBack), Effect::None);
    assert_eq!(of(&Scope::All, "c6", "cleo@x.example", Action::TakeBack), Effect::TakenBack);
    assert_eq!(entries(), [None, None, None]);
    assert_eq!(both.undo("c6"), Undone { events: 1, entries: 2 });
    assert_eq!(entries(), [complained(), None, complained()]);
    both.undo("c4");
    assert_eq!(entries(), [complained(), complained(), complained()]);
}

pub(super) fn threads_that_read_the_same_mails_count_each_once(fresh: &Fresh) {
    let suppressed: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let both = Both::open(fresh);
                let records =
                    (0..50).map(|n| record(&format!("m{n}"), &format!("{n}@x.example"), Action::Hard));
                let records: Vec<Record> = records.collect();
                scope.spawn(move || {
                    let effects = records.chunks(7).flat_map(|some| both.append(some, NOW));
                    effects.filter(|effect| *effect == Effect::Suppressed).count()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(suppressed, 50);
    assert_eq!(Both::open(fresh).log.page(0, 100).unwrap().len(), 50);
}

//! The archive's copies that are sent again.

use super::*;

/// An archive that answers 451 up to `until`.
fn greylists(world: &mut World, until: Timestamp) {
    world.archive = Some(Box::new(move |_, now| match now < until {
        true => reply(451, "4.7.1 Greylisted"),
        false => reply(250, "2.0.0 Ok"),
    }));
}

/// The copies' outcomes: row, archive's code, and whether it was the last.
fn copies(world: &World) -> Vec<(u32, Option<u16>, bool)> {
    let of = |outcome: &Outcome| match outcome.verdict {
        Verdict::Copy { ended } => {
            Some((outcome.row, outcome.archive.as_ref().map(|reply| reply.code), ended))
        }
        Verdict::Final(_) | Verdict::Retry { .. } | Verdict::Withdrawn => None,
    };
    world.outcomes.iter().filter_map(of).collect()
}

#[test]
fn a_copy_that_is_refused_for_now_is_sent_again_and_the_recipient_is_not() {
    let mut world = World::new(Setting { rows: 5, ..Setting::default() }, |_| (MS, accepted()));
    greylists(&mut world, START + Duration::from_secs(60));
    world.run().assert_all(5, Disposition::Accepted);
    assert_eq!(world.sent.len(), 5, "each recipient was mailed once");
    let named = world.outcomes.iter().filter(|outcome| outcome.copied_by == Some(outcome.row)).count();
    assert_eq!(named, 5);
    let mut ended: Vec<_> = copies(&world).into_iter().filter(|(.., ended)| *ended).collect();
    ended.sort_unstable();
    assert_eq!(ended, [0, 1, 2, 3, 4].map(|row| (row, Some(250), true)));
    assert_eq!(world.copies.len(), 10, "after about 30 s and about 90 s");
}

#[test]
fn an_archive_that_never_takes_a_copy_ends_it_with_its_last_reply_and_slows_nothing_down() {
    let mut world = World::new(Setting { rows: 300, ..Setting::default() }, |_| (MS, accepted()));
    greylists(&mut world, Timestamp(i64::MAX));
    world.run().assert_all(300, Disposition::Accepted);
    let last = world.sent.iter().map(|sent| sent.at).max().unwrap();
    assert!(last.since(START) < Duration::from_secs(2), "the recipients had theirs by {last}");
    let ended = copies(&world).into_iter().filter(|(_, code, ended)| *ended && *code == Some(451)).count();
    assert_eq!(ended, 300);
    let took = world.now.since(START);
    assert!(took > Duration::from_secs(3 * 3_600) && took < Duration::from_secs(5 * 3_600), "{took:?}");
    let lane = world.dispatcher.lanes().iter().next().unwrap();
    assert_eq!(lane.per_second(), None, "no rate was learnt from the archive");
}

#[test]
fn recipients_of_one_message_share_its_copy() {
    let setting = Setting { rows: 6, together: Some(3), ..Setting::default() };
    // The first recipient of each message is refused for good.
    let mut world = World::new(setting, |sent| {
        (MS, if sent.row % 3 == 0 { refused(550, "5.1.1 No such user") } else { accepted() })
    });
    greylists(&mut world, START + Duration::from_secs(10));
    world.run();
    let by: BTreeMap<u32, Option<u32>> =
        world.outcomes.iter().filter(|o| o.archive.is_some()).map(|o| (o.row, o.copied_by)).collect();
    let expected = [(0, None), (1, Some(1)), (2, Some(1)), (3, None), (4, Some(4)), (5, Some(4))];
    // The copies' own outcomes name nobody.
    let of_rows = world.outcomes.iter().filter(|o| matches!(o.verdict, Verdict::Final(_)));
    let of_rows: BTreeMap<u32, Option<u32>> = of_rows.map(|o| (o.row, o.copied_by)).collect();
    assert_eq!(of_rows, BTreeMap::from(expected), "{by:?}");
    let mut ended = copies(&world);
    ended.sort_unstable();
    assert_eq!(ended, [(1, Some(250), true), (4, Some(250), true)]);
}

#[test]
fn a_copy_takes_its_place_in_the_agreed_capacity() {
    let capacity = Capacity { per_hour: 1_200, burst_percent: 0, ..Capacity::default() };
    let setting = Setting { rows: 100, capacity: Some(capacity), ..Setting::default() };
    let mut world = World::new(setting, |_| (MS, accepted()));
    greylists(&mut world, START + Duration::from_secs(200));
    world.run();
    let mut all: Vec<Timestamp> = world.sent.iter().map(|sent| sent.at).collect();
    all.extend(world.copies.iter().map(|(_, at)| *at));
    all.sort_unstable();
    assert!(all.len() > 150);
    for (first, at) in all.iter().enumerate() {
        let window = all[first..].iter().take_while(|other| other.since(*at) < Duration::from_secs(300));
        assert!(window.count() <= 100, "1,200 an hour are 100 in five minutes");
    }
}

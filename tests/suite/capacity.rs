//! The limits of a capacity account, and how newly agreed limits replace them.

use mailrun::sandbox::Options;

use crate::kit::{Dir, Relay, campaign, list};

#[test]
fn a_raised_capacity_is_said_to_wait_until_it_is_set() {
    let relay = Relay::start(Options::default());
    let dir = Dir::new();
    let send = |id: &str, per_hour: u64| {
        list(&dir, id, 1);
        let file = campaign(&dir, id, relay.port(), "", &format!("[capacity]\nper-hour = {per_hour}\n"));
        dir.run(&["send", &file]).ended(0).stderr()
    };
    let held = "the account `default` is held to 36,000 an hour, 3,750 in five minutes, until 2";
    assert!(!send("a", 36_000).contains("is held to"));
    let said = send("b", 72_000);
    assert!(said.contains(held), "{said}");
    assert!(said.contains("`mailrun capacity set default --per-hour 72000 --burst-percent 25`"), "{said}");
    let planned = dir.run(&["plan", "b.toml", "--edition", "next"]).ended(0).stdout();
    assert!(planned.contains(held), "{planned}");
    let planned =
        serde_json::from_str::<serde_json::Value>(&dir.run(&["plan", "b.toml", "--json"]).ended(0).stdout())
            .unwrap();
    assert_eq!(planned["estimate"]["held"]["per_hour"], 36_000);
    // Two minutes by its own capacity, and nearly four by what the account is held to.
    list(&dir, "many", 2_400);
    let file = campaign(&dir, "many", relay.port(), "", "[capacity]\nper-hour = 72000\n");
    let soon = (chrono::Utc::now() + chrono::TimeDelta::seconds(180)).to_rfc3339();
    let refused = dir.run(&["send", &file, "--deadline", &soon]).ended(3).stderr();
    assert!(refused.contains("36,000 per hour, to which the account `default` is held until 2"), "{refused}");
    assert!(
        refused.contains("`mailrun capacity set default --per-hour 72000 --burst-percent 25`"),
        "{refused}"
    );
    assert!(!send("c", 36_000).contains("is held to"), "its own limits are the strictest");

    let ran = dir.run(&["capacity", "set", "default", "--per-hour", "72000"]).ended(0);
    ran.says("the account `default` has 72,000 an hour, 7,500 in five minutes, from now on");
    assert!(!send("d", 72_000).contains("is held to"));
    let shown = dir.run(&["capacity"]).ended(0).stdout();
    assert!(shown.contains("default: 72,000 an hour, 7,500 in five minutes; last hour 4 used"), "{shown}");
    dir.run(&["capacity", "set", "default", "--per-hour", "72000"]).ended(0).says("has these limits already");
    dir.run(&["capacity", "set", "other", "--per-hour", "72000"])
        .ended(0)
        .says("was not used within the last hour");
    relay.stop();
}

//! Whoever got enough mail lately gets no more, whatever campaign sends it.

use std::fs;

use mailrun::sandbox::{Options, record};

use crate::kit::{Dir, Ran, Relay, campaign};

const TWO: &str = "max-per = \"2/7d\"";

/// Several campaigns to the same people, one state directory, and a relay that keeps a record.
struct Scene {
    dir: Dir,
    relay: Relay,
}

impl Scene {
    fn new() -> Self {
        let dir = Dir::new();
        let taken = dir.path().join("taken.jsonl");
        let relay = Relay::start(Options { record: Some(taken), ..Options::default() });
        Self { dir, relay }
    }

    /// A campaign with more keys in `[campaign]`, to these recipients.
    fn campaign(&self, id: &str, keys: &str, recipients: &[&str]) -> String {
        let name = campaign(&self.dir, id, self.relay.port(), "", "");
        let path = self.dir.path().join(&name);
        let text = fs::read_to_string(&path).unwrap();
        let keys = format!("id = \"{id}\"\n{keys}");
        fs::write(&path, text.replace(&format!("id = \"{id}\""), &keys)).unwrap();
        let rows: String = recipients.iter().map(|one| format!("{one}@one.example,1\n")).collect();
        self.dir.write(&format!("{id}.csv"), format!("email,n\n{rows}"));
        name
    }

    /// Sends such a campaign.
    fn send(&self, id: &str, keys: &str, recipients: &[&str]) -> Ran {
        self.dir.run(&["send", &self.campaign(id, keys, recipients)])
    }

    /// How many mails a recipient got.
    fn got(&self, recipient: &str) -> usize {
        let taken = record::read(&self.dir.path().join("taken.jsonl")).unwrap_or_default();
        taken.iter().filter(|entry| entry.recipient == format!("{recipient}@one.example")).count()
    }

    /// The dispositions of the one run of a campaign, in words.
    fn ended(&self, campaign: &str) -> Vec<String> {
        self.dir.results(campaign).iter().map(|row| row.disposition.to_string()).collect()
    }
}

#[test]
fn mails_of_other_campaigns_count_until_there_are_enough() {
    let scene = Scene::new();
    scene.send("first", TWO, &["ann", "bob"]).ended(0);
    scene.send("second", "", &["Ann"]).ended(0);
    let third = scene.campaign("third", TWO, &["ANN", "bob", "carl"]);
    let plan = scene.dir.run(&["plan", &third, "--json"]).ended(0).stdout();
    let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    assert_eq!((&plan["screening"]["capped"], &plan["screening"]["accepted"]), (&1.into(), &2.into()));
    scene.dir.run(&["send", &third]).ended(0).says("1 capped, 2 of 3 rows to send");
    assert_eq!(scene.ended("third"), ["capped", "accepted", "accepted"]);
    let why = scene.dir.results("third")[0].detail.clone().unwrap();
    assert_eq!(why, "got 2 mails within 7d: `max-per` allows no more");
    let status = scene.dir.run(&["status", "third", "--json"]).ended(0).stdout();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&status).unwrap()["counts"]["capped"], 1);

    // Nobody is left: that is no success.
    scene.send("fourth", TWO, &["ann", "bob"]).ended(1).says("of 2 rows none can be sent to: 2 capped");
    scene.send("fifth", "max-per = \"3/7d\"", &["ann", "bob"]).ended(0);
    assert_eq!(["ann", "bob", "carl"].map(|one| scene.got(one)), [2, 3, 1]);
    // Once enough time is over, those who were left out get it.
    let time = "campaign.max-per=\"2/1ms\"";
    scene.dir.run(&["send", &third, "--set", time]).ended(0).says("2 already_sent, 1 of 3 rows to send");
    scene.dir.run(&["retry", "third", "--disposition", "capped"]).ended(2).says("--run-id");
}

#[test]
fn editions_of_one_campaign_count_and_again_is_no_way_around() {
    let scene = Scene::new();
    let file = scene.campaign("one", TWO, &["ann"]);
    scene.dir.run(&["send", &file]).ended(0);
    scene.dir.run(&["send", &file, "--edition", "second"]).ended(0);
    scene.dir.run(&["send", &file, "--edition", "third"]).ended(1).says("1 capped");
    scene.dir.run(&["send", &file, "--edition", "second", "--again"]).ended(1).says("1 capped");
    assert_eq!(scene.got("ann"), 2);
}

#[test]
fn alarms_are_exempt_and_count_for_nothing() {
    let scene = Scene::new();
    let alarm = format!("kind = \"alarm\"\n{TWO}");
    for id in ["a", "b", "c"] {
        scene.send(id, &alarm, &["ann"]).ended(0);
    }
    for (id, code) in [("d", 0), ("e", 0), ("f", 1)] {
        scene.send(id, TWO, &["ann"]).ended(code);
    }
    assert_eq!(scene.got("ann"), 5);
    scene.send("g", &alarm, &["ann"]).ended(0);
    assert_eq!(scene.got("ann"), 6);
}

#[test]
fn with_the_scope_of_a_list_only_its_mails_count() {
    let scene = Scene::new();
    let of = |list: &str| format!("max-per = \"1/7d\"\nmax-per-scope = \"list\"\nlist-id = \"{list}\"");
    scene.send("a", "", &["ann"]).ended(0);
    scene.send("b", &of("x.example.com"), &["ann"]).ended(0);
    scene.send("c", &of("y.example.com"), &["ann"]).ended(0);
    scene.send("d", &of("x.example.com"), &["ann", "bob"]).ended(0);
    assert_eq!(scene.ended("d"), ["capped", "accepted"]);
    let why = scene.dir.results("d")[0].detail.clone().unwrap();
    assert_eq!(why, "got 1 mail of list x.example.com within 7d: `max-per` allows no more");
}

#[test]
fn rehearsals_and_tests_count_for_nothing_and_rows_in_doubt_do() {
    let scene = Scene::new();
    let one = "max-per = \"1/7d\"";
    let file = scene.campaign("a", one, &["ann", "drop-after-dot+ben", "rcpt-550+cid"]);
    scene.dir.run(&["send", &file, "--sandbox", "--unpaced", "--limit", "1"]).ended(0);
    scene.dir.run(&["send", &file, "--to", "ann@one.example"]).ended(0);
    assert_eq!(scene.got("ann"), 1);
    scene.dir.run(&["send", &file]).ended(1);
    assert_eq!(scene.got("ann"), 2);
    // Refused for good, nobody got mail.
    let recipients = ["ann", "drop-after-dot+ben", "rcpt-550+cid"];
    scene.dir.run(&["suppress", "remove", "rcpt-550+cid@one.example"]);
    let file = scene.campaign("b", one, &recipients);
    // A rehearsal leaves nobody out.
    scene.dir.run(&["send", &file, "--sandbox", "--unpaced", "--limit", "1"]).ended(0);
    scene.dir.run(&["send", &file]).ended(1);
    assert_eq!(scene.ended("b"), ["capped", "capped", "bounced"]);
}

/// A process that is killed after two of four recipients: those whom it did not reach are free.
#[test]
fn of_a_killed_run_those_count_who_got_it() {
    let scene = Scene::new();
    let recipients = ["ann", "bob", "rcpt-451-once+cid", "rcpt-451-once+dan"];
    let file = scene.campaign("a", "", &recipients);
    let path = scene.dir.path().join(&file);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text + "[delivery.retry]\nfirst = \"60s\"\n").unwrap();
    let mut child = scene.dir.start(&["send", &file]);
    while scene.got("ann") + scene.got("bob") < 2 || scene.relay.stats().deferred < 2 {
        assert!(child.try_wait().unwrap().is_none());
        std::thread::yield_now();
    }
    let one = "max-per = \"1/7d\"";
    scene.send("b", one, &recipients).ended(1).says("4 capped");
    child.kill().unwrap();
    child.wait().unwrap();
    scene.send("c", one, &recipients).ended(0).says("2 capped, 2 of 4 rows to send");
}

//! Registered senders: what they demand of campaigns, and how their addresses are verified.

use std::fs;

use mailrun::sandbox::{Keep, Options};

use crate::kit::{Dir, Relay, campaign, list};

const ADDRESS: &str = "news@mail.example.com";

/// The only message in a folder.
fn only_message(folder: &std::path::Path) -> String {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    fs::read_to_string(files.remove(0)).unwrap()
}

#[test]
fn an_address_must_be_verified_where_the_registry_says_so() {
    let kept = tempfile::tempdir().unwrap();
    let relay = Relay::start(Options { keep: Keep::Eml(kept.path().to_owned()), ..Options::default() });
    let dir = Dir::new();
    let file = campaign(&dir, "c", relay.port(), "", "");
    list(&dir, "c", 1);
    dir.write("senders.toml", "require-verified = true\n[[sender]]\ndomain = \"mail.example.com\"\n");
    let ran = dir.run(&["send", &file, "--no-check"]).ended(3);
    let ran = ran.says(&format!("the address `{ADDRESS}` is not verified"));
    ran.says(&format!("mailrun sender verify --address {ADDRESS} --campaign FILE"));
    dir.run(&["check", &file]).ended(3);

    dir.run(&["sender", "verify", "--address", ADDRESS]).ended(2).says("--campaign FILE");
    let stranger = ["sender", "verify", "--address", "x@example.net", "--campaign", &file];
    dir.run(&stranger).ended(3).says("From `x@example.net` is not registered");
    let ran = dir.run(&["sender", "verify", "--address", ADDRESS, "--campaign", &file]).ended(0);
    ran.says(&format!("a mail with a token was sent to {ADDRESS}: it is pending"));
    // It is no campaign's run: only its own id names it.
    let runs = dir.run(&["status"]).ended(0).stdout();
    assert!(!runs.contains("sender-verification"), "{runs}");
    let well = dir.run(&["status", "--check"]).stdout();
    assert!(!well.contains("sender-verification"), "{well}");
    dir.run(&["status", "sender-verification"]).ended(2);
    let apart = dir.path().join("state/verifications/runs/verifications/sender-verification");
    let id = std::fs::read_dir(apart).unwrap().next().unwrap().unwrap().file_name();
    dir.run(&["results", &format!("sender-verification/{}", id.to_str().unwrap())]).ended(0);
    dir.run(&["send", &file, "--no-check"]).ended(3).says("is not verified yet");
    let message = only_message(kept.path()).replace("=\r\n", "").replace("=3D", "=");
    assert!(message.contains(&format!("To: {ADDRESS}")), "{message}");
    let (_, after) =
        message.split_once(&format!("--address {ADDRESS} --token ")).expect("the mail has the token");
    let token = after.split_whitespace().next().unwrap();

    let other = format!("{token}A");
    dir.run(&["sender", "verify", "--address", ADDRESS, "--token", &other]).ended(2).says("was altered");
    let ran =
        dir.run(&["sender", "verify", "--address", "Other@mail.example.com", "--token", token]).ended(2);
    ran.says(&format!("the token was sent to `{ADDRESS}`"));
    dir.run(&["sender", "verify", "--address", ADDRESS, "--token", token]).ended(0).says("is verified");
    let report = dir.run(&["sender", "verify", "--json"]).stdout();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(
        report["addresses"][0],
        serde_json::json!({"address": ADDRESS, "state": "verified"}),
        "{report:#}"
    );
    dir.run(&["send", &file, "--no-check"]).ended(0);
    assert_eq!(relay.stop().accepted, 2, "the mail with the token and the campaign's");
}

#[test]
fn a_sender_that_demands_tls_sends_nothing_in_clear() {
    let dir = Dir::new();
    let file = campaign(&dir, "c", 9, "", "");
    list(&dir, "c", 1);
    dir.write("senders.toml", "[[sender]]\ndomain = \"mail.example.com\"\ntls = \"required\"\n");
    let ran = dir.run(&["send", &file, "--no-check"]).ended(3);
    let ran =
        ran.says("`delivery.relay.tls` is `none`, but the sender").says("is registered with `required`");
    ran.says("  --> c.toml:16:7\n").says("16 | tls = \"none\"").says("hint: set it to \"required\" or");
    dir.write(
        "senders.toml",
        "[[sender]]\ndomain = \"mail.example.com\"\n[[sender]]\ndomain = \"MAIL.example.com\"\n",
    );
    let ran = dir.run(&["send", &file, "--no-check"]).ended(2);
    ran.says("`mail.example.com` is registered twice: `[[sender]]` 1 and 2");
}

#[test]
fn the_registry_beside_a_campaign_counts_wherever_its_address_is_verified_from() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    let file = campaign(&dir, "c", relay.port(), "", "");
    let text = fs::read_to_string(dir.path().join(file)).unwrap();
    dir.write("news/campaign.toml", &text);
    let registry = "[[sender]]\ndomain = \"mail.example.com\"\n";
    dir.write("news/senders.toml", registry);
    for campaign in ["news", "news/campaign.toml"] {
        dir.run(&["sender", "verify", "--address", ADDRESS, "--campaign", campaign]).ended(0);
    }
    // So does the one that the campaign names.
    dir.write("registries/ours.toml", registry.replace("mail.", "other."));
    dir.write(
        "news/campaign.toml",
        text.replace("[sender]", "[sender]\nregistry = \"../registries/ours.toml\""),
    );
    let named = dir.run(&["sender", "verify", "--address", ADDRESS, "--campaign", "news"]).ended(3);
    named.says("is not registered").says("ours.toml");
    assert_eq!(relay.stop().accepted, 2);
}

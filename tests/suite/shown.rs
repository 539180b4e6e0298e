//! What is shown to users is true: the campaign files that the project carries load, and the README names every key
//! with its default.

use std::fs;
use std::path::Path;

use mailrun::campaign::{Campaign, Capacity, Checks, Journal, Mx, Results, Retry, Stop, Timeouts};

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The TOML block of the README that shows the whole campaign file.
fn shown_campaign() -> String {
    let readme = read("README.md");
    let (_, section) = readme.split_once("\n## The campaign file\n").expect("the README has that section");
    let (_, block) = section.split_once("\n```toml\n").expect("it holds a TOML block");
    block.split_once("\n```").expect("which ends").0.to_owned()
}

fn load(text: &str) -> Campaign {
    Campaign::parse(text, Path::new("campaign.toml"))
        .unwrap_or_else(|error| panic!("{error} at {:?}", error.place))
}

#[test]
fn the_campaign_files_that_the_project_carries_load() {
    for path in ["fixtures/welcome/campaign.toml", "src/cli/init/campaign.toml"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        let campaign = Campaign::load(&path).unwrap_or_else(|error| panic!("{error} at {:?}", error.place));
        let template = &campaign.template;
        let files = template.text.iter().chain(&template.html).chain(&template.attachments);
        let files = files.chain(template.inline.iter().map(|inline| &inline.file));
        for file in files.chain(campaign.dkim.iter().map(|dkim| &dkim.key)) {
            assert!(file.is_file(), "{} is missing", file.display());
        }
    }
}

#[test]
fn the_keys_that_init_shows_as_comments_are_keys() {
    let mut whole = String::new();
    for line in read("src/cli/init/campaign.toml").lines() {
        let bare = line.strip_prefix("# ").unwrap_or(line);
        let is_toml =
            bare.starts_with('[') || bare.split_once('=').is_some_and(|(key, _)| is_key(key.trim()));
        if is_toml {
            whole.push_str(bare);
            whole.push('\n');
        }
    }
    let campaign = load(&whole);
    assert_eq!(campaign.dkim.len(), 1, "{whole}");
    assert!(campaign.delivery.relay.is_some());
    assert_eq!(campaign.delivery.retry, Retry::default());
    assert_eq!(campaign.capacity, Capacity::default());
    assert_eq!(campaign.stop, Stop::default());
}

#[test]
fn the_readme_shows_the_defaults() {
    let shown = load(&shown_campaign());
    let smallest = load(
        "[campaign]\nid = \"x\"\n[sender]\nfrom = \"a@example.com\"\n[target-group]\nfiles = [\"a.csv\"]\n\
         [template]\nsubject = \"x\"\ntext = \"x\"\n[delivery]\nroute = \"relay\"\n[delivery.relay]\nhost = \"x\"\n",
    );
    assert_eq!(shown.identity.kind, smallest.identity.kind);
    assert_eq!(shown.sender.verp, smallest.sender.verp);
    assert_eq!(shown.target_group.email, smallest.target_group.email);
    assert_eq!(shown.target_group.duplicates, smallest.target_group.duplicates);
    assert_eq!(shown.template.strict, smallest.template.strict);
    assert_eq!(shown.template.personalised, smallest.template.personalised);
    assert_eq!(shown.template.largest, smallest.template.largest);
    assert_eq!(shown.capacity, Capacity::default());
    assert_eq!(shown.delivery.drain_seconds, smallest.delivery.drain_seconds);
    let mx = shown.delivery.mx;
    assert_eq!((mx.port, mx.tls, mx.mta_sts, mx.ip), {
        let mx = Mx::default();
        (mx.port, mx.tls, mx.mta_sts, mx.ip)
    });
    assert_eq!(shown.delivery.retry, Retry::default());
    assert_eq!(shown.delivery.timeouts, Timeouts::default());
    assert_eq!(shown.stop, Stop::default());
    assert_eq!(shown.checks.spam_threshold, Checks::default().spam_threshold);
    assert_eq!(shown.journal, Journal::default());
    assert_eq!(shown.results.compression, Results::default().compression);
    let (shown, smallest) = (shown.delivery.relay.unwrap(), smallest.delivery.relay.unwrap());
    assert_eq!(shown.port(), smallest.port());
    assert_eq!(shown.tls, smallest.tls);
    assert_eq!(shown.connections, smallest.connections);
    assert_eq!(shown.pipeline_depth, smallest.pipeline_depth);
    assert_eq!(shown.recipients_per_message, smallest.recipients_per_message);
    assert_eq!(shown.messages_per_connection, smallest.messages_per_connection);
}

#[test]
fn the_readme_shows_every_key() {
    let shown = shown_campaign();
    for table in [
        "[campaign]",
        "[sender]",
        "[target-group]",
        "[template]",
        "[unsubscribe]",
        "[[dkim]]",
        "[capacity]",
        "[delivery]",
        "[delivery.dsn]",
        "[delivery.relay]",
        "[[route]]",
        "[[egress]]",
        "[delivery.mx]",
        "[delivery.retry]",
        "[delivery.timeouts]",
        "[[shaping]]",
        "[[reply]]",
        "[stop]",
        "[check]",
        "[journal]",
        "[results]",
    ] {
        for key in known_keys(&shown, table) {
            let name = table.trim_matches(['[', ']']);
            let is_shown =
                assigned(&shown, table).contains(&key) || shown.contains(&format!("\n[{name}.{key}]"));
            assert!(is_shown, "`{key}` of {table} is not in the README");
        }
    }
}

/// The keys that a table takes, as the error for an unknown one lists them.
fn known_keys(campaign: &str, table: &str) -> Vec<String> {
    let header = campaign.lines().find(|line| line.starts_with(table)).expect("the README shows every table");
    let spoiled = campaign.replacen(header, &format!("{table}\nno-such-key = 1"), 1);
    let error = Campaign::parse(&spoiled, Path::new("campaign.toml")).expect_err("an unknown key is refused");
    let (_, expected) = error.problem.split_once("expected").expect("the error lists the keys");
    let keys: Vec<_> = expected.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    assert!(!keys.is_empty(), "{error}");
    keys
}

/// The keys assigned under a table's header, also those behind `# `.
fn assigned(campaign: &str, table: &str) -> Vec<String> {
    let lines = campaign.lines().skip_while(|line| !line.starts_with(table)).skip(1);
    lines
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.trim_start_matches("# ").split_once('='))
        .map(|(key, _)| key.trim().to_owned())
        .collect()
}

fn is_key(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || matches!(c, '-' | '_'))
}

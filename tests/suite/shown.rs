//! What is shown to users is true: the campaign files that the project carries load, the pages name
//! every key with its default, their commands parse, their links lead somewhere, and the README's
//! picture is what the demo prints.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser;
use clap::error::ErrorKind;
use mailrun::campaign::{Campaign, Capacity, RetryPolicy, Senders, Stop};
use mailrun::cli::Cli;
use mailrun::mail::{Class, Disposition};
use mailrun::results::Column;
use mailrun::sandbox::{BEHAVIOUR_SUFFIXES, BEHAVIOURS};
use regex::Regex;
use toml::{Table, Value};

use crate::kit::Dir;

const README_BYTES: usize = 8 * 1_024;
const PAGE_BYTES: usize = 15 * 1_024;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A page for users: its path below the repository's root and its text.
struct Page {
    path: PathBuf,
    text: String,
}

impl Page {
    /// The blocks fenced as ```` ```language ````.
    fn blocks(&self, language: &str) -> Vec<&str> {
        let fence = format!("```{language}");
        let mut found = Vec::new();
        let mut rest = self.text.as_str();
        while let Some(at) = rest.find("```") {
            let (opening, body) = rest[at..].split_once('\n').expect("a fence has an end");
            let (block, after) =
                body.split_once("```").unwrap_or_else(|| panic!("{}: an open block", self.name()));
            if opening.trim_end() == fence {
                found.push(block);
            }
            rest = after;
        }
        found
    }

    /// The text without its fenced blocks.
    fn prose(&self) -> String {
        self.text.split("```").step_by(2).collect()
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// The anchors of its headings, as GitHub makes them.
    fn anchors(&self) -> BTreeSet<String> {
        let prose = self.prose();
        let headings = prose.lines().filter(|line| line.starts_with('#'));
        headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect()
    }
}

fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

/// The README, the other pages of the repository's root, that of the packages, and every page of
/// `docs/`.
fn pages() -> Vec<Page> {
    let others = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "packaging/INSTALL.md"];
    let mut paths: Vec<PathBuf> = others.map(PathBuf::from).into();
    for entry in fs::read_dir(root().join("docs")).unwrap() {
        let name = entry.unwrap().file_name();
        if Path::new(&name).extension().is_some_and(|extension| extension == "md") {
            paths.push(Path::new("docs").join(name));
        }
    }
    paths.sort();
    let page = |path: PathBuf| Page { text: fs::read_to_string(root().join(&path)).unwrap(), path };
    paths.into_iter().map(page).collect()
}

#[test]
fn no_page_is_too_long_to_read() {
    for page in pages() {
        let most = match page.name().as_str() {
            "README.md" => README_BYTES,
            "CHANGELOG.md" => continue,
            _ => PAGE_BYTES,
        };
        assert!(page.text.len() <= most, "{} has {} bytes, more than {most}", page.name(), page.text.len());
    }
}

#[test]
fn every_link_between_pages_leads_somewhere() {
    let pages = pages();
    let mut dead = Vec::new();
    for page in &pages {
        let folder = page.path.parent().unwrap();
        for target in links(&page.prose()) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (path, fragment) = target.split_once('#').unwrap_or((&target, ""));
            let path = if path.is_empty() { page.path.clone() } else { normal(&folder.join(path)) };
            let goes = root().join(&path).exists()
                && (fragment.is_empty()
                    || pages.iter().any(|other| other.path == path && other.anchors().contains(fragment)));
            if !goes {
                dead.push(format!("{}: {target}", page.name()));
            }
        }
    }
    assert!(dead.is_empty(), "links that lead nowhere:\n{}", dead.join("\n"));
}

/// The targets of `[text](target)` and `![text](target)`.
fn links(prose: &str) -> Vec<String> {
    let targets = prose.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    targets.map(|(target, _)| target.to_owned()).collect()
}

/// The path without its `..`.
fn normal(path: &Path) -> PathBuf {
    let mut kept = PathBuf::new();
    for part in path {
        if part == ".." {
            kept.pop();
        } else {
            kept.push(part);
        }
    }
    kept
}

/// A path in backticks, such as `src/lib.rs`, is that of a file or a folder.
#[test]
fn every_path_that_is_named_exists() {
    let folders =
        ["src/", "tests/", "docs/", "scripts/", "benches/", "packaging/", "fixtures/", "bench-results/"];
    let mut missing = Vec::new();
    for page in pages() {
        for code in page.prose().split('`').skip(1).step_by(2) {
            let path = code.split(' ').next().unwrap_or_default();
            let is_path =
                folders.iter().any(|folder| path.starts_with(folder)) && !path.contains(['*', '<', '"']);
            if is_path && !root().join(path).exists() {
                missing.push(format!("{}: `{code}`", page.name()));
            }
        }
    }
    assert!(missing.is_empty(), "paths that do not exist:\n{}", missing.join("\n"));
}

#[test]
fn the_map_of_the_architecture_is_that_of_the_library() {
    let lib = read("src/lib.rs");
    // Modules inside the crate have no page that the table could link to.
    let rows = lib.lines().filter_map(|line| line.strip_prefix("//! | [`").or(line.strip_prefix("//! | `")));
    let modules: Vec<&str> = rows.filter_map(|row| Some(row.split_once('`')?.0)).collect();
    let shown: Vec<String> =
        table_of("docs/architecture.md", "module").into_iter().map(|(module, _)| module).collect();
    assert_eq!(shown, modules);
}

#[test]
fn the_index_lists_every_page() {
    let index = read("docs/README.md");
    for page in pages().iter().filter(|page| page.path.starts_with("docs")) {
        let name = page.path.file_name().unwrap().to_str().unwrap();
        assert!(name == "README.md" || index.contains(&format!("]({name})")), "docs/README.md lacks {name}");
    }
}

#[test]
fn every_command_shown_parses() {
    let mut wrong = Vec::new();
    let mut shown = 0;
    for page in pages() {
        let whole =
            ["sh", "text", "cron", "ini", "console"].into_iter().flat_map(|language| page.blocks(language));
        for line in whole.flat_map(joined) {
            for words in commands(&line) {
                shown += 1;
                if let Err(error) = Cli::try_parse_from(&words) {
                    wrong.push(format!("{}: {line}\n  {}", page.name(), error.kind()));
                }
            }
        }
        for code in page.prose().split('`').skip(1).step_by(2).filter(|code| code.starts_with("mailrun ")) {
            for words in commands(code) {
                shown += 1;
                if let Err(error) = Cli::try_parse_from(&words)
                    && !is_only_a_name(error.kind())
                {
                    wrong.push(format!("{}: `{code}`\n  {}", page.name(), error.kind()));
                }
            }
        }
    }
    assert!(shown > 50, "only {shown} commands were found");
    assert!(wrong.is_empty(), "commands that the program does not take:\n{}", wrong.join("\n"));
}

/// What systemd starts is a command, and each timer has its service.
#[test]
fn every_command_of_a_unit_parses() {
    let folder = root().join("packaging/systemd");
    let names = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    for name in names {
        let unit = fs::read_to_string(folder.join(&name)).unwrap();
        if let Some(timed) = name.strip_suffix(".timer") {
            assert!(folder.join(format!("{timed}.service")).is_file(), "{name} starts nothing");
            continue;
        }
        let lines = unit.lines().filter(|line| line.starts_with("ExecStart="));
        let started: Vec<_> = lines.flat_map(commands).collect();
        assert_eq!(started.len(), 1, "{name}");
        let parsed = Cli::try_parse_from(&started[0]);
        assert!(parsed.is_ok(), "{name}: {}", parsed.unwrap_err());
    }
}

/// In running text a command may be named without its arguments.
fn is_only_a_name(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::MissingRequiredArgument
            | ErrorKind::MissingSubcommand
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
            | ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
    )
}

/// The lines of a block, those that end in a backslash joined with the next.
fn joined(block: &str) -> Vec<String> {
    let block = block.replace("\\\n", " ");
    block.lines().map(str::to_owned).collect()
}

/// The calls of `mailrun` in a line of shell: their words, without redirections and comments.
fn commands(line: &str) -> Vec<Vec<String>> {
    let words = shell_words(line);
    let mut calls = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let starts = at == 0 || is_before_a_command(&words[at - 1]);
        let is_program = word == "mailrun" || word.ends_with("/bin/mailrun");
        if starts && is_program {
            let ends =
                |word: &String| matches!(word.as_str(), "&&" | "||" | "|" | ";" | "&") || word.contains('>');
            let rest = words[at + 1..].iter().take_while(|word| !ends(word)).cloned();
            calls.push([vec!["mailrun".to_owned()], rest.collect()].concat());
        }
    }
    calls
}

/// What can stand in front of a program's name: a prompt, an operator, a variable, a user of a
/// crontab, `ExecStart=`.
fn is_before_a_command(word: &str) -> bool {
    matches!(word, "$" | "&&" | "||" | "|" | ";" | "then" | "do" | "if" | "exec" | "news")
        || word.ends_with('=')
        || word.contains('=') && !word.starts_with('-')
}

fn shell_words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    let line = line.replace("ExecStart=", "ExecStart= ");
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, '#') if words.last().is_some_and(String::is_empty) => break,
            (None, c) if c.is_whitespace() => words.push(String::new()),
            (None | Some(_), c) => words.last_mut().expect("one at least").push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[test]
fn the_campaign_files_that_the_project_carries_load() {
    for path in ["fixtures/welcome/campaign.toml", "src/cli/init/campaign.toml"] {
        let path = root().join(path);
        let campaign = Campaign::load(&path).unwrap_or_else(|error| panic!("{error} at {:?}", error.place));
        let template = &campaign.template;
        let files = template
            .text
            .iter()
            .chain(&template.html)
            .flat_map(|choice| choice.all())
            .chain(&template.attachments);
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
    assert_eq!(campaign.delivery.retry, RetryPolicy::default());
    assert_eq!(campaign.capacity, Capacity::default());
    assert_eq!(campaign.stop, Stop::default());
}

fn is_key(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || matches!(c, '-' | '_'))
}

fn load(text: &str) -> Campaign {
    parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn parse(text: &str) -> Result<Campaign, String> {
    Campaign::parse(text, Path::new("campaign.toml")).map_err(|error| error.to_string())
}

/// A campaign file with one entry of every table, and nothing in any of them but what must be
/// there.
const ONE_OF_EACH: &str = r#"
[campaign]
id = "x"
[sender]
from = "a@example.com"
[target-group]
files = ["a.csv"]
[template]
subject = "x"
text = "x"
[unsubscribe]
mailto = "u@example.com"
[secure-documents]
attachments = ["x"]
secret-file = "x"
subject = "x"
text = "x"
[smime]
certificate = "c"
[[dkim]]
domain = "example.com"
selector = "s"
key = "k"
[capacity]
[delivery]
route = "relay"
[delivery.bsmtp]
folder = "out"
[delivery.dsn]
notify = ["never"]
[delivery.relay]
host = "x"
[delivery.mx]
[delivery.retry]
[delivery.timeouts]
[[relay]]
name = "r"
host = "y"
[[route]]
domains = ["example.net"]
relay = "r"
[[egress]]
address = "192.0.2.1"
[[shaping]]
name = "google"
[[reply]]
name = "x"
class = "policy"
[stop]
[check]
[[scanner]]
kind = "clamd"
address = "a:1"
[hooks]
[report]
[reputation]
[keep]
[seed]
[journal]
[results]
"#;

/// The table of keys below one heading of the campaign file's pages: heading, then key to default.
type Section = (String, BTreeMap<String, String>);

/// The sections of the campaign file's pages. A heading may name two tables that take the same
/// keys.
fn sections() -> Vec<Section> {
    let pages = ["docs/campaign-file.md", "docs/campaign-file-delivery.md"].map(read);
    let mut found = Vec::new();
    for section in pages.iter().flat_map(|page| page.split("\n## ").skip(1)) {
        let (heading, body) = section.split_once('\n').expect("a heading has a line of its own");
        let rows = body.lines().filter_map(|line| line.strip_prefix("| `"));
        let keys: BTreeMap<String, String> = rows
            .map(|row| {
                let row = row.replace("\\|", "/");
                let mut cells = row.split(" | ").map(str::trim);
                let key = cells.next().unwrap_or_default().trim_end_matches('`').to_owned();
                (key, cells.next().unwrap_or_default().to_owned())
            })
            .collect();
        for table in heading.split(" and ") {
            found.push((table.to_owned(), keys.clone()));
        }
    }
    found
}

#[test]
fn the_tables_of_the_campaign_file_show_every_key() {
    let sections = sections();
    let names: Vec<&str> = sections.iter().map(|(heading, _)| heading.trim_matches(['[', ']'])).collect();
    for key in known_keys("", ONE_OF_EACH) {
        assert!(names.contains(&key.as_str()), "docs/campaign-file*.md have no section `{key}`");
    }
    for (heading, keys) in &sections {
        let name = heading.trim_matches(['[', ']']);
        if !ONE_OF_EACH.contains(&format!("\n{heading}\n")) {
            assert!(keys.is_empty(), "{heading} is a free table");
            continue;
        }
        let known: BTreeSet<String> = known_keys(heading, ONE_OF_EACH).into_iter().collect();
        for key in &known {
            let has_section = names.contains(&format!("{name}.{key}").as_str());
            assert!(
                keys.contains_key(key) || has_section,
                "`{key}` of {heading} is not in docs/campaign-file*.md"
            );
        }
        for key in keys.keys() {
            assert!(
                known.contains(key),
                "docs/campaign-file*.md show `{key}`, and {heading} has no such key"
            );
        }
    }
}

/// Where a default is written as TOML, a file that says so is the same campaign as one that does
/// not.
#[test]
fn the_tables_of_the_campaign_file_show_the_defaults() {
    let smallest: Table = ONE_OF_EACH.parse().unwrap();
    let mut spelled_out = smallest.clone();
    let mut defaults = 0;
    for (heading, keys) in sections() {
        for (key, default) in keys {
            let Some(literal) = default.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')) else {
                continue;
            };
            let Ok(value) = format!("value = {literal}").parse::<Table>() else { continue };
            let table = table_at(&mut spelled_out, heading.trim_matches(['[', ']']));
            assert!(
                table.insert(key.clone(), value["value"].clone()).is_none(),
                "{heading}: {key} is required"
            );
            defaults += 1;
        }
    }
    assert!(defaults > 40, "only {defaults} defaults were found");
    let as_value = |table: &Table| Table::try_from(load(&toml::to_string(table).unwrap())).unwrap();
    assert_eq!(as_value(&spelled_out), as_value(&smallest));
}

/// The table, or the first entry of the tables, at a dotted path.
fn table_at<'a>(root: &'a mut Table, path: &str) -> &'a mut Table {
    let mut table = root;
    for name in path.split('.') {
        table = match table.get_mut(name) {
            Some(Value::Table(inner)) => inner,
            Some(Value::Array(entries)) => entries[0].as_table_mut().unwrap(),
            other => panic!("{path}: {other:?}"),
        };
    }
    table
}

/// The keys that a table takes, as the error for an unknown one lists them; with an empty header,
/// the tables.
fn known_keys(header: &str, campaign: &str) -> Vec<String> {
    let spoiled = if header.is_empty() {
        format!("no-such-key = 1\n{campaign}")
    } else {
        campaign.replacen(&format!("\n{header}\n"), &format!("\n{header}\nno-such-key = 1\n"), 1)
    };
    let error = parse(&spoiled).expect_err("an unknown key is refused");
    let (_, expected) = error.split_once("expected").expect("the error lists the keys");
    let keys: Vec<_> = expected.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    assert!(!keys.is_empty(), "{error}");
    keys
}

/// Every TOML block is a part of a campaign file, or a registry of senders.
#[test]
fn the_toml_that_is_shown_loads() {
    let mut shown = 0;
    for page in pages() {
        for block in page.blocks("toml") {
            shown += 1;
            if block.contains("[[sender]]") || block.contains("[[platform]]") {
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("senders.toml");
                fs::write(&path, block).unwrap();
                Senders::load(&path).unwrap_or_else(|error| panic!("{}: {error}\n{block}", page.name()));
                continue;
            }
            if ["[feedback]", "[feedback.", "[[feedback."].iter().any(|table| block.contains(table)) {
                let dir = Dir::new();
                dir.write("state/feedback.toml", block);
                // Nothing to take back: the settings were read before.
                dir.run(&["feedback", "undo", "--import", "1"]).ended(1);
                continue;
            }
            if ["[recipients]", "[api]", "[page]", "[submission]"].iter().any(|table| block.contains(table)) {
                let dir = Dir::new();
                // All that comes before the last setting is read.
                dir.write("serve.toml", format!("{block}\nunknown = 1\n"));
                dir.run(&["serve", "--config", "serve.toml"]).ended(2).says("unknown field `unknown`");
                continue;
            }
            if block.contains("[[webhook]]") {
                let dir = Dir::new();
                dir.write("serve.toml", block);
                // Its secret is read once the settings are.
                let args = ["webhooks", "deliver", "--config", "serve.toml"];
                dir.run(&args).ended(2).says("can't read the secret");
                continue;
            }
            let mut whole: Table =
                "[campaign]\nid = \"x\"\nkind = \"update\"\n[sender]\nfrom = \"a@mail.example.com\"\n[target-group]\n\
                 files = [\"a.csv\"]\n[template]\nsubject = \"x\"\ntext = \"x\"\n[delivery]\nroute = \"relay\"\n\
                 [delivery.relay]\nhost = \"x\"\n"
                    .parse()
                    .unwrap();
            let part: Table =
                block.parse().unwrap_or_else(|error| panic!("{}: {error}\n{block}", page.name()));
            if block.contains(".bsmtp\"") {
                // Ready messages need no template.
                whole.remove("template");
            }
            merge(&mut whole, part);
            parse(&toml::to_string(&whole).unwrap())
                .unwrap_or_else(|error| panic!("{}: {error}\n{block}", page.name()));
        }
    }
    assert!(shown > 5, "only {shown} blocks were found");
}

fn merge(into: &mut Table, from: Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Table(inner)), Value::Table(value)) => merge(inner, value),
            (_, value) => drop(into.insert(key, value)),
        }
    }
}

/// The first cells of the rows below a table's header, without their backticks, and the second
/// ones.
fn table_of(page: &str, header: &str) -> Vec<(String, String)> {
    let text = read(page);
    let (_, table) =
        text.split_once(&format!("\n| {header} |")).unwrap_or_else(|| panic!("{page}: no `{header}`"));
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let mut cells = row.trim_matches('|').split(" | ").map(str::trim);
        let first = cells.next().unwrap_or_default().replace('`', "");
        (first, cells.next().unwrap_or_default().to_owned())
    })
    .collect()
}

#[test]
fn the_tables_of_the_results_are_complete() {
    let firsts = |header| table_of("docs/results.md", header).into_iter().map(|(first, _)| first);
    let dispositions: Vec<String> = firsts("disposition").collect();
    assert_eq!(dispositions, Disposition::ALL.map(|disposition| disposition.to_string()));
    let classes: Vec<String> = firsts("class").collect();
    assert_eq!(classes, Class::ALL.map(|class| class.as_str().to_owned()));
    let columns: Vec<String> =
        firsts("column").flat_map(|row| row.split(", ").map(str::to_owned).collect::<Vec<_>>()).collect();
    assert_eq!(columns, Column::ALL.map(|column| column.name().to_owned()));
}

#[test]
fn the_exit_codes_and_the_sandbox_are_those_of_the_help() {
    let dir = Dir::new();
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let help = words(&dir.run(&["--help"]).ended(0).stdout());
    let codes = table_of("docs/operations.md", "exit code");
    assert_eq!(codes.len(), 6);
    for (code, meaning) in codes {
        let meaning = meaning.trim_end_matches('|').trim();
        assert!(help.contains(&format!("{code} {meaning}")), "{code} {meaning}\nis not in\n{help}");
    }
    let help = words(&dir.run(&["sandbox", "--help"]).ended(0).stdout());
    let behaviours = table_of("docs/sandbox.md", "local part");
    assert_eq!(behaviours.len(), BEHAVIOURS.len() + BEHAVIOUR_SUFFIXES.len());
    for (name, _) in behaviours {
        assert!(help.contains(&name), "{name}\nis not in\n{help}");
    }
}

#[test]
fn the_gate_runs_every_interop_check() {
    let main = read("scripts/interop.d/main.py");
    let (_, checks) = main.split_once("CHECKS = {").unwrap();
    let checks = checks.split_once("\n}").unwrap().0.lines().filter_map(|line| line.split('"').nth(1));
    let gate = read(".ci/run");
    let run: BTreeSet<&str> = gate
        .lines()
        .filter(|line| line.starts_with("scripts/interop") || line.starts_with("others=("))
        .flat_map(|line| line.split([' ', '(', ')']))
        .collect();
    let missing: Vec<&str> = checks.filter(|name| !run.contains(name)).collect();
    assert!(missing.is_empty(), "{missing:?} are in scripts/interop and not in .ci/run");
}

#[test]
fn the_limits_of_providers_are_those_of_the_program() {
    let text = read("docs/delivery.md");
    let own: Table = read("src/route/shaping/shaping.toml").parse().unwrap();
    let entries = own["shaping"].as_array().unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| `") && line.matches('|').count() == 5);
    let shown: Vec<Vec<&str>> =
        rows.map(|row| row.split('|').map(|cell| cell.trim().trim_matches('`')).collect()).collect();
    assert_eq!(shown.len(), entries.len());
    for (cells, entry) in shown.iter().zip(entries) {
        let number = |key: &str| entry.get(key).map(ToString::to_string).unwrap_or_default();
        assert_eq!(format!("\"{}\"", cells[1]), number("name"));
        assert_eq!(cells[2], number("connections"), "{cells:?}");
        assert_eq!(cells[3], number("messages-per-connection"), "{cells:?}");
        let requires = entry.get("tls").and_then(Value::as_str) == Some("required");
        assert_eq!(cells[4].contains("TLS required"), requires, "{cells:?}");
        let most = number("provider-connections");
        assert_eq!(cells[4].contains("over all its sites"), !most.is_empty(), "{cells:?}");
        assert!(most.is_empty() || cells[4].contains(&format!("{most} connections over")), "{cells:?}");
    }
}

/// Each call that the table of helpers shows, in a template that is rendered.
#[test]
fn the_helpers_that_are_shown_render() {
    let page = Page { path: "docs/templates.md".into(), text: read("docs/templates.md") };
    let rows = page.text.lines().filter(|line| line.starts_with("| `"));
    let mut template = page.blocks("handlebars").concat();
    for code in rows.flat_map(|row| row.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>())
    {
        match code.strip_prefix("{{#") {
            Some(block) if !block.contains(' ') => {
                let name = block.trim_end_matches('}');
                template.push_str(&format!("{{{{#{name} tags}}}}x{{{{/{name}}}}}\n"));
            }
            Some(_) => template.push_str(&format!("{code}x{{{{/if}}}}\n")),
            None if code.starts_with("{{{{") => template.push_str("{{{{raw}}}}{{x}}{{{{/raw}}}}\n"),
            None if code.starts_with("{{") => {
                template.push_str(&format!("{}\n", code.replace("date x", "date day")))
            }
            None => {}
        }
    }
    assert!(template.contains("{{currency") && template.contains("{{unsubscribe_url}}"), "{template}");
    let dir = Dir::new();
    dir.write(
        "letter.hbs",
        template.replace("list 0", "this.\"x\"").replace("lookup this.\"x\"", "lookup this \"x\""),
    );
    dir.write("footer.hbs", "--\n");
    dir.write(
        "a.csv",
        "email,x,day,tags,premium,points,picks\nann@example.com,1250,2026-05-31,a,yes,1200,\n",
    );
    dir.write(
        "campaign.toml",
        "[campaign]\nid = \"x\"\n[sender]\nfrom = \"a@mail.example.com\"\n[target-group]\nfiles = [\"a.csv\"]\n\
         [target-group.types]\npoints = \"integer\"\n[template]\nsubject = \"x\"\ntext = \"letter.hbs\"\n\
         [template.defaults]\nfirst_name = \"you\"\n[unsubscribe]\nhttps = \"https://example.com/{{token}}\"\n\
         [delivery]\nroute = \"sandbox\"\n",
    );
    let message = dir.run(&["render", "campaign.toml", "--row", "1"]).ended(0).stdout();
    assert!(message.contains("1,200 points") && message.contains("31 May 2026"), "{message}");
}

/// The picture of the README, drawn by `scripts/picture`, shows what the demo prints. What differs
/// from run to run (its id, times and rates) and the progress bar are left out.
#[test]
fn the_picture_shows_what_the_demo_prints() {
    let picture = read("docs/demo.svg");
    let shown: Vec<String> = picture.lines().filter(|line| line.starts_with("<text")).map(plain).collect();
    let (command, shown) = shown.split_first().expect("the picture holds text");
    let command = command.strip_prefix("$ mailrun ").expect("the first line is the command");

    let dir = Dir::new();
    copy(&root().join("fixtures/welcome"), &dir.path().join("fixtures/welcome"));
    let ran = dir.run(&command.split(' ').collect::<Vec<_>>()).ended(1);
    let printed = ran.stderr() + &ran.stdout();
    let steady =
        |lines: Vec<&str>| -> Vec<String> { lines.into_iter().filter_map(without_what_varies).collect() };
    let shown = steady(shown.iter().map(String::as_str).collect());
    let printed = steady(printed.lines().collect());
    assert_eq!(shown, printed, "`scripts/picture` draws it again");
}

/// A line without its markup.
fn plain(line: &str) -> String {
    let texts = line.split('<').filter_map(|part| part.split_once('>')).map(|(_, text)| text);
    texts
        .collect::<String>()
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#x27;", "'")
        .replace("&amp;", "&")
}

/// A line of the demo without what differs from run to run; none for empty lines and progress.
fn without_what_varies(line: &str) -> Option<String> {
    let is_progress = line.starts_with("sending:") || line.contains('%') && line.contains("/s");
    if line.trim().is_empty() || is_progress {
        return None;
    }
    let first = line.split_whitespace().next().unwrap_or_default();
    if matches!(first, "rate" | "latency") {
        return Some(first.to_owned());
    }
    let line = Regex::new("welcome/[a-z0-9]{12}").unwrap().replace(line, "welcome/ID");
    let line = Regex::new(" (about|20[0-9]{2}-[0-9]{2}-).*").unwrap().replace(&line, "");
    Some(line.into_owned())
}

/// Copies a folder, without its runs.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            if entry.file_name() != "runs" {
                copy(&entry.path(), &target);
            }
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

//! What `--json` prints is what `docs/json.schema.json` says: for each command, whether it ends
//! well or not, and for the first call as for every later one.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::slice;
use std::thread;
use std::time::{Duration, Instant};

use boon::{Compiler, SchemaIndex};
use mailrun::sandbox::Options;
use serde_json::{Value, json};

use crate::kit::{Dir, Ran, Relay, campaign, list};

const PLACE: &str = "https://mailrun.example/json.schema.json";

/// The schemas of `docs/json.schema.json`.
pub(crate) struct Schemas {
    compiled: boon::Schemas,
    compiler: Compiler,
}

impl Schemas {
    pub(crate) fn load() -> Self {
        let mut compiler = Compiler::new();
        compiler.enable_format_assertions();
        compiler.add_resource(PLACE, text()).unwrap();
        Self { compiled: boon::Schemas::new(), compiler }
    }

    fn of(&mut self, name: &str) -> SchemaIndex {
        self.compiler.compile(&format!("{PLACE}#/$defs/{name}"), &mut self.compiled).unwrap()
    }

    #[track_caller]
    pub(crate) fn check(&mut self, name: &str, document: &Value) {
        let schema = self.of(name);
        if let Err(error) = self.compiled.validate(document, schema) {
            panic!("not a `{name}`: {error:#}\n{document:#}");
        }
    }
}

fn text() -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/json.schema.json");
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

/// The commands that have `--json`, each with its words.
fn commands() -> Vec<Vec<String>> {
    fn below(command: &clap::Command, path: &[String], found: &mut Vec<Vec<String>>) {
        for command in command.get_subcommands() {
            let path = [path, &[command.get_name().to_owned()]].concat();
            if command.get_arguments().any(|arg| arg.get_id() == "json") {
                found.push(path.clone());
            }
            below(command, &path, found);
        }
    }
    let mut found = Vec::new();
    below(&mailrun::cli::command(), &[], &mut found);
    found
}

/// A folder in which commands run with `--json`, and the schemas of those that ran.
struct Scene {
    dir: Dir,
    schemas: RefCell<Schemas>,
    seen: RefCell<BTreeSet<String>>,
}

impl Scene {
    fn new() -> Self {
        Self { dir: Dir::new(), schemas: RefCell::new(Schemas::load()), seen: RefCell::default() }
    }

    /// What a command prints with `--json`, which its schema describes.
    #[track_caller]
    fn ask(&self, code: i32, words: &[&str], arguments: &[&str]) -> Value {
        let answers = self.ask_for_lines(code, words, arguments);
        assert_eq!(answers.len(), 1, "{answers:?}");
        answers.into_iter().next().unwrap()
    }

    /// The same of a command that prints more than one object.
    #[track_caller]
    fn ask_for_lines(&self, code: i32, words: &[&str], arguments: &[&str]) -> Vec<Value> {
        let ran = self.dir.run(&[words, &["--json"], arguments].concat()).ended(code);
        let name = words.join("_");
        let stdout = ran.stdout();
        let answers = serde_json::Deserializer::from_str(&stdout).into_iter::<Value>();
        let answers: Vec<Value> =
            answers.map(|answer| answer.unwrap_or_else(|error| panic!("{error}: {stdout}"))).collect();
        for answer in &answers {
            self.schemas.borrow_mut().check(&name, answer);
            assert!(answer.get("exit_code").is_none_or(|exit| *exit == code), "{answer:#}");
        }
        self.seen.borrow_mut().insert(name);
        answers
    }
}

fn lines(ran: &Ran) -> Vec<Value> {
    ran.stdout().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn codes(notification: &Value) -> Vec<&str> {
    let status = notification["SAPnotification"]["status"].as_array().unwrap();
    status.iter().map(|step| step["statusCode"].as_str().unwrap()).collect()
}

#[test]
fn the_status_of_recipients_is_that_of_notification_services() {
    let mut schemas = Schemas::load();
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    let retry =
        "[results]\nstatus-retention = \"1h\"\n[delivery.retry]\nfirst = \"20ms\"\nlongest = \"20ms\"\n";
    // Long enough for a busy machine; the row that is given up has a run of its own.
    let file = campaign(&dir, "one", relay.port(), "", &format!("{retry}give-up-after = \"1h\""));
    let late = campaign(&dir, "late", relay.port(), "", &format!("{retry}give-up-after = \"50ms\""));
    dir.write("late.csv", "email,n\nrcpt-451@a.example,1\n");
    dir.run(&["send", &late]).ended(1);
    let rows = "ann@a.example,1\nrcpt-550-5.1.1@a.example,2\nrcpt-451-once@a.example,3\n\
                bob@@a.example,4\nann@a.example,5\n6\n";
    dir.write("one.csv", format!("email,n\n{rows}"));
    dir.run(&["send", &file, "--set", "stop.max-invalid-percent=90"]).ended(1);

    let ask = |args: &[&str]| lines(&dir.run(&[&["status"], args, &["--json"]].concat()).ended(0));
    let all = ask(&["one", "--all-recipients"]);
    assert_eq!(all.len(), 6);
    let given_up = ask(&["late", "--all-recipients"]).remove(0);
    schemas.check("notification", &given_up);
    all.iter().for_each(|line| schemas.check("notification", line));
    assert_eq!(codes(&all[0]), ["CAAS_RECEIVED", "CAAS_SENT", "CH_RECEIVED", "CH_SENT"]);
    assert_eq!(codes(&all[1]), ["CAAS_RECEIVED", "CAAS_SENT", "CH_BOUNCED"]);
    let retried = ["CAAS_RECEIVED", "CAAS_SENT", "CH_RETRY", "CAAS_SENT", "CH_RECEIVED", "CH_SENT"];
    assert_eq!(codes(&all[2]), retried);
    assert_eq!(codes(&given_up).last(), Some(&"CH_DEFERRED"));
    for not_sent in &all[3..] {
        assert_eq!(codes(not_sent), ["CAAS_RECEIVED", "CAAS_FAILED"]);
    }
    let text = |line: &Value, step: usize| line["SAPnotification"]["status"][step]["statusText"].to_string();
    assert!(text(&all[1], 2).contains("bounced: 550 5.1.1"), "{}", all[1]);
    assert!(text(&all[2], 2).contains("retry at 2"), "{}", all[2]);
    let last = codes(&given_up).len() - 1;
    assert!(text(&given_up, last).contains("deferred: 451"), "{given_up}");
    assert_eq!(all[3]["SAPnotification"]["status"][0]["recipient"], "email:bob@@a.example");

    // Each can be asked for by its address and by the id that is printed.
    for (address, rows) in [
        ("ann@a.example", [0, 4].as_slice()),
        ("email:rcpt-451-once@a.example", &[2]),
        ("email:bob@@a.example", &[3]),
    ] {
        let expected: Vec<Value> = rows.iter().map(|row| all[*row].clone()).collect();
        assert_eq!(ask(&["one", "--recipient", address]), expected, "{address}");
    }
    for line in &all {
        let id = line["SAPnotification"]["notificationId"].as_str().unwrap();
        assert_eq!(ask(&["--notification", id]), slice::from_ref(line));
        assert_eq!(ask(&["one", "--notification", id]), slice::from_ref(line));
    }
    dir.run(&["status", "--notification", "one.1"]).ended(2).says("no run has a notification `one.1`");
    let text = dir.run(&["status", "one", "--recipient", "bob@@a.example"]).ended(0).stdout();
    assert!(text.contains("CAAS_FAILED") && text.contains("bad address"), "{text}");

    // Nobody, and everybody once the time is over.
    let nothing = json!({"SAPnotification": {}});
    schemas.check("notification", &nothing);
    assert_eq!(ask(&["one", "--recipient", "nobody@a.example"]), slice::from_ref(&nothing));
    let manifest = dir.run_of("one").join("manifest.json");
    let mut kept: Value = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
    kept["finished"] = json!("2001-01-01T00:00:00Z");
    fs::write(&manifest, kept.to_string()).unwrap();
    assert_eq!(ask(&["one", "--recipient", "ann@a.example"]), slice::from_ref(&nothing));
    assert_eq!(ask(&["one", "--all-recipients"]), slice::from_ref(&nothing));
}

/// Ends a run before its first message.
const BEGIN_ONLY: [&str; 2] = ["--not-after", "2001-01-01T00:00:00Z"];

#[test]
fn every_command_with_json_prints_what_its_schema_says() {
    let scene = Scene::new();
    let dir = &scene.dir;
    let relay = Relay::start(Options::default());
    let hook = "[hooks]\non-finish = [\"/bin/sh\", \"-c\", \"cat > finish.json\"]\n\
                on-stop = [\"/bin/sh\", \"-c\", \"cat > stop.json\"]\n[stop]\nmax-invalid-percent = 50";
    let one = &*campaign(dir, "one", relay.port(), "", hook);
    dir.write(
        "one.csv",
        "email,n\nann@a.example,1\nrcpt-550-5.1.1@a.example,2\nbob@a.example,3\nbob@@a.example,4\n",
    );
    dir.write("senders.toml", "[[sender]]\ndomain = \"mail.example.com\"\n");

    assert_eq!(scene.ask(0, &["plan"], &[one])["files"][0]["rows"], 4);
    let check = scene.ask(0, &["check"], &[one]);
    assert_eq!(
        (&check["files"], &check["rendering"]["rows"]),
        (&scene.ask(0, &["plan"], &[one])["files"], &3.into())
    );
    scene.ask(0, &["dns"], &[one]);
    scene.ask(0, &["dns"], &[one, "--offline"]);
    scene.ask(1, &["mx"], &["--campaign", one, "mail.example.com", "gone.example"]);
    scene.ask(0, &["send"], &[one, "--dry-run"]);
    scene.ask(0, &["render"], &[one, "--all", "--out", "rendered"]);

    // A run that stops early, resumes, and is asked again.
    let stopped = scene.ask(4, &["send"], &[&[one], BEGIN_ONLY.as_slice()].concat());
    assert_eq!(stopped["state"]["stop"]["cause"], "not_after");
    scene.ask(0, &["status"], &["one"]);
    let first = scene.ask(1, &["send"], &[one]);
    assert_eq!(first["summary"]["dispositions"]["accepted"], 2);
    assert_eq!(scene.ask(1, &["send"], &[one]), first, "a later call prints the same");
    for told in ["finish.json", "stop.json"] {
        let told = serde_json::from_slice(&fs::read(dir.path().join(told)).unwrap()).unwrap();
        scene.schemas.borrow_mut().check("hook", &told);
    }
    let again = scene.ask(0, &["results"], &["one"]);
    assert_eq!(scene.ask(0, &["results"], &["one", "--with-feedback"])["with_feedback"]["complained"], 0);
    assert_eq!((&again["summary"], &again["run"]), (&first["summary"], &first["run"]));
    dir.run(&["suppress", "remove", "rcpt-550-5.1.1@a.example"]).ended(0);
    scene.ask(1, &["retry"], &["one", "--disposition", "bounced", "--metrics-file", "m.prom"]);
    scene.ask(2, &["resend"], &["one", "ann@a.example"]);
    scene.ask(0, &["purge"], &["--older-than", "1ms"]);
    scene.ask(0, &["purge"], &["--recipient", "ann@a.example"]);
    scene.ask(0, &["send"], &[one, "--to", "me@a.example"]);

    // A run that is refused.
    let two = &*campaign(dir, "two", relay.port(), "", "");
    list(dir, "two", 2);
    let refused = scene.ask(3, &["send"], &[two, "--deadline", "2001-01-01T00:00:00Z"]);
    assert!(refused["error"]["message"].as_str().unwrap().contains("deadline"), "{refused:#}");
    assert_eq!((&refused["summary"], &refused["planned"]), (&Value::Null, &2.into()));

    assert_eq!(scene.ask(0, &["status"], &[])["runs"].as_array().unwrap().len(), 3);
    scene.ask(3, &["status"], &["--check"]);
    scene.ask(0, &["status"], &["one", "--recipient", "ann@a.example"]);
    scene.ask(0, &["search"], &["--recipient", "ann@a.example"]);
    scene.ask(0, &["capacity"], &[]);
    scene.ask(0, &["capacity", "set"], &["default", "--per-hour", "1200"]);
    scene.ask(0, &["capacity", "audit"], &["one"]);
    scene.ask(0, &["suppress", "add"], &["ann@x.example"]);
    scene.ask(1, &["suppress", "check"], &["ann@x.example", "bob@x.example"]);
    scene.ask(1, &["suppress", "remove"], &["ann@x.example", "bob@x.example"]);
    dir.write("more.csv", "email,reason\ndan@x.example,complaint\nnot one,manual\n");
    scene.ask(1, &["suppress", "import"], &["more.csv"]);
    assert!(scene.ask_for_lines(0, &["suppress", "list"], &[]).len() > 1);
    scene.ask(0, &["suppress", "export"], &["out.csv"]);
    scene.ask(0, &["dkim", "generate"], &["--domain", "mail.example.com", "--selector", "s"]);
    scene.ask(0, &["sender", "verify"], &[]);
    scene.ask(0, &["sender", "verify"], &["--address", "news@mail.example.com", "--campaign", one]);
    let bounce = "To: news@mail.example.com\n\n<bob@x.example>:\n550 5.1.1 User unknown\n";
    dir.write("one.eml", bounce);
    dir.write("two.eml", format!("From: ann@x.example\n{bounce}"));
    assert_eq!(scene.ask_for_lines(0, &["feedback", "read"], &["one.eml", "two.eml"]).len(), 2);
    scene.ask(0, &["feedback", "summary"], &["--domain", "x.example"]);
    let event = r#"{"event":"bounce","email":"x@x.example","timestamp":1,"sg_event_id":"a"}"#;
    dir.write("events.jsonl", event);
    scene.ask(0, &["feedback", "import"], &["events.jsonl"]);
    scene.ask(0, &["feedback", "tables"], &[]);
    scene.ask(2, &["feedback", "listen"], &[]);
    scene.ask(0, &["feedback", "undo"], &["--import", "1"]);
    let row = "<row><source_ip>192.0.2.1</source_ip><count>3</count></row>";
    let report = crate::domain::report("A", "1", 1_704_067_200, "none", &[format!("<record>{row}</record>")]);
    dir.write("report.xml", report);
    let tls = "{\"policies\": [{\"policy\": {\"policy-domain\": \"x.example\"}}]}";
    dir.write("tls.json", tls);
    scene.ask_for_lines(0, &["feedback", "read"], &["report.xml", "tls.json"]);
    scene.ask(0, &["domain", "report"], &["x.example"]);
    scene.ask(0, &["domain", "report"], &["nobody.example"]);
    scene.ask(0, &["domain", "policy"], &["mail.example.com"]);
    let receiver = crate::webhooks::Receiver::glad();
    receiver.settings(dir, "");
    let settings = ["--config", "serve.toml"];
    scene.ask(0, &["webhooks", "test"], &[&["crm"], &settings[..]].concat());
    let delivered = scene.ask(0, &["webhooks", "deliver"], &settings);
    assert_eq!(delivered["webhooks"][0]["ended"], "done");
    let replay = ["crm", "--after", "2001-01-01"];
    let again = scene.ask(0, &["webhooks", "replay"], &[&replay, &settings[..]].concat());
    assert_eq!(again["webhooks"][0]["ended"], "done");
    let listed = scene.ask(0, &["webhooks"], &settings);
    assert_eq!(
        (&listed["webhooks"][0]["state"], &listed["webhooks"][0]["waiting"]),
        (&json!("ready"), &json!(0))
    );
    scene.ask(0, &["synth"], &["made.csv", "--rows", "10"]);
    assert_eq!(scene.ask_for_lines(0, &["sandbox"], &["--listen", "127.0.0.1:0", "--seconds", "0"]).len(), 2);
    fs::rename(dir.run_of("two"), dir.path().join("runs/two/moved")).unwrap();
    scene.ask(0, &["run", "adopt"], &["runs/two/moved"]);

    let with_json: BTreeSet<String> = commands().iter().map(|words| words.join("_")).collect();
    assert_eq!(*scene.seen.borrow(), with_json, "a command with --json is missing here");
}

#[test]
fn errors_are_json_too_also_those_of_the_command_line() {
    let scene = Scene::new();
    for words in commands() {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let error = scene.ask(2, &words, &["--no-such-option"]);
        let message = error["error"]["message"].as_str().unwrap();
        assert!(message.contains("'--no-such-option'"), "{words:?}: {error:#}");
    }
    let file = campaign(&scene.dir, "c", 9, "", "");
    let text = fs::read_to_string(scene.dir.path().join(&file)).unwrap();
    scene.dir.write(&file, text.replace("id = \"c\"", "id = \"c\"\nkind = news"));
    let error = &scene.ask(2, &["plan"], &[&file])["error"];
    assert_eq!(error["place"], "c.toml:3:8");
    assert_eq!(error["line"], json!({"number": 3, "column": 8, "text": "kind = news"}));
    assert_eq!(error["hint"], "write kind = \"news\"");
    // stderr says it for people; without --json stdout stays empty.
    let ran = scene.dir.run(&["plan", &file, "--json"]).ended(2).says("error: the text `news` needs quotes");
    assert!(!ran.stdout().is_empty());
    assert_eq!(scene.dir.run(&["plan", &file]).ended(2).stdout(), "");
    assert_eq!(scene.dir.run(&["plan", &file, "--no-such-option"]).ended(2).stdout(), "");
}

#[test]
fn a_run_that_is_being_sent_says_how_far_it_is() {
    let scene = Scene::new();
    let relay = Relay::start(Options::default());
    let retry = "[delivery.retry]\nfirst = \"1h\"\ngive-up-after = \"1d\"";
    let file = campaign(&scene.dir, "one", relay.port(), "", retry);
    scene.dir.write("one.csv", "email,n\nann@a.example,1\nrcpt-451@a.example,2\n");
    // The second process resumes the run, and counts what the first one sent.
    for _ in 0..2 {
        let mut sending = scene.dir.start(&["send", &file]);
        let until = Instant::now() + Duration::from_secs(60);
        let progress = loop {
            if scene.dir.run(&["status", "one"]).code() == 0 {
                let status = scene.ask(0, &["status"], &["one"]);
                let progress = &status["progress"];
                if progress["process"] == sending.id() && progress["waiting_for_retry"] == 1 {
                    assert_eq!(status["counts"], json!({"accepted": 1, "to_retry": 1}));
                    break progress.clone();
                }
            }
            assert!(Instant::now() < until, "the run does not get there");
            thread::sleep(Duration::from_millis(50));
        };
        assert_eq!((&progress["done"], &progress["counts"]["accepted"]), (&1.into(), &1.into()));
        sending.kill().unwrap();
        sending.wait().unwrap();
    }
}

#[test]
fn schemas_name_every_key_and_in_snake_case() {
    fn look(schema: &Value, place: &str) {
        match schema {
            Value::Object(object) => {
                if let Some(properties) = object.get("properties") {
                    assert_eq!(object["additionalProperties"], false, "{place}");
                    for key in properties.as_object().unwrap().keys() {
                        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
                        let is_snake =
                            key.chars().all(fits) && !key.starts_with(|c: char| c.is_ascii_digit());
                        // The form of other services is theirs.
                        assert!(is_snake || place.contains("notification"), "{place}: {key}");
                    }
                }
                object.iter().for_each(|(key, value)| look(value, &format!("{place}/{key}")));
            }
            Value::Array(values) => values.iter().for_each(|value| look(value, place)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let text = text();
    look(&text["$defs"], "$defs");
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/json.md")).unwrap();
    for words in commands() {
        assert!(text["$defs"].get(words.join("_")).is_some(), "no schema for {words:?}");
        let shown = format!("`{}`", words.join(" "));
        assert!(page.contains(&shown), "{shown} is not in docs/json.md");
    }
}

//! What `--json` prints is what `docs/json.schema.json` says.

use std::fs;
use std::path::Path;
use std::slice;

use boon::{Compiler, SchemaIndex};
use mailrun::sandbox::Options;
use serde_json::{Value, json};

use crate::kit::{Dir, Ran, Relay, campaign};

const PLACE: &str = "https://mailrun.example/json.schema.json";

/// The schemas of `docs/json.schema.json`. Here nothing may be printed that they do not name.
struct Schemas {
    compiled: boon::Schemas,
    compiler: Compiler,
}

impl Schemas {
    fn load() -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/json.schema.json");
        let mut text: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        make_strict(&mut text);
        let mut compiler = Compiler::new();
        compiler.enable_format_assertions();
        compiler.add_resource(PLACE, text).unwrap();
        Self { compiled: boon::Schemas::new(), compiler }
    }

    fn of(&mut self, name: &str) -> SchemaIndex {
        self.compiler.compile(&format!("{PLACE}#/$defs/{name}"), &mut self.compiled).unwrap()
    }

    #[track_caller]
    fn check(&mut self, name: &str, document: &Value) {
        let schema = self.of(name);
        if let Err(error) = self.compiled.validate(document, schema) {
            panic!("not a `{name}`: {error:#}\n{document:#}");
        }
    }
}

/// Objects whose keys are named have no others.
fn make_strict(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            object.values_mut().for_each(make_strict);
            if object.contains_key("properties") && object.get("type").is_some() {
                object.entry("additionalProperties").or_insert(json!(false));
            }
        }
        Value::Array(values) => values.iter_mut().for_each(make_strict),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
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
    let retry = "[results]\nstatus-retention = \"1h\"\n[delivery.retry]\nfirst = \"20ms\"\nlongest = \"20ms\"\n\
                 give-up-after = \"200ms\"";
    let file = campaign(&dir, "one", relay.port(), "", retry);
    let rows = "ann@a.example,1\nrcpt-550-5.1.1@a.example,2\nrcpt-451-once@a.example,3\nrcpt-451@a.example,4\n\
                bob@@a.example,5\nann@a.example,6\n7\n";
    dir.write("one.csv", format!("email,n\n{rows}"));
    dir.run(&["send", &file, "--set", "stop.max-invalid-percent=90"]).ended(1);

    let ask = |args: &[&str]| lines(&dir.run(&[&["status"], args, &["--json"]].concat()).ended(0));
    let all = ask(&["one", "--all-recipients"]);
    assert_eq!(all.len(), 7);
    all.iter().for_each(|line| schemas.check("notification", line));
    assert_eq!(codes(&all[0]), ["CAAS_RECEIVED", "CAAS_SENT", "CH_RECEIVED", "CH_SENT"]);
    assert_eq!(codes(&all[1]), ["CAAS_RECEIVED", "CAAS_SENT", "CH_BOUNCED"]);
    let retried = ["CAAS_RECEIVED", "CAAS_SENT", "CH_RETRY", "CAAS_SENT", "CH_RECEIVED", "CH_SENT"];
    assert_eq!(codes(&all[2]), retried);
    assert_eq!(codes(&all[3]).last(), Some(&"CH_DEFERRED"));
    for not_sent in &all[4..] {
        assert_eq!(codes(not_sent), ["CAAS_RECEIVED", "CAAS_FAILED"]);
    }
    let text = |line: &Value, step: usize| line["SAPnotification"]["status"][step]["statusText"].to_string();
    assert!(text(&all[1], 2).contains("bounced: 550 5.1.1"), "{}", all[1]);
    assert!(text(&all[2], 2).contains("retry at 2"), "{}", all[2]);
    let last = codes(&all[3]).len() - 1;
    assert!(text(&all[3], last).contains("deferred: 451"), "{}", all[3]);
    assert_eq!(all[4]["SAPnotification"]["status"][0]["recipient"], "email:bob@@a.example");

    // Each can be asked for by its address and by the id that is printed.
    for (address, rows) in [
        ("ann@a.example", [0, 5].as_slice()),
        ("email:rcpt-451@a.example", &[3]),
        ("email:bob@@a.example", &[4]),
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
    assert!(text.contains("CAAS_FAILED") && text.contains("invalid address"), "{text}");

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

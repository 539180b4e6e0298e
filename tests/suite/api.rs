//! The API of `mailrun serve`: accounts see their own runs, and nobody else sees any.

use std::io::Write;
use std::process::Stdio;

use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
use base64::prelude::{BASE64_STANDARD, Engine};
use mailrun::sandbox::Options;
use serde_json::{Value, json};

use crate::json::Schemas;
use crate::kit::{Dir, Relay, campaign};
use crate::serve::{Answer, Serve};

/// A hash that is cheap to check.
pub(crate) fn hash(password: &str) -> String {
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(8, 1, 1, None).unwrap());
    argon2.hash_password_with_salt(password.as_bytes(), b"0123456789abcdef").unwrap().to_string()
}

/// Three accounts: `ann` sees campaign `one`, `bob` campaign `two`, `ops` what the domain sends.
fn accounts() -> String {
    let account = |name: &str, sees: &str| {
        let hash = hash(&format!("{name}:secret"));
        format!("[[account]]\nname = \"{name}\"\npassword-hash = \"{hash}\"\n{sees}\n")
    };
    account("ann", "campaigns = [\"one\"]")
        + &account("bob", "campaigns = [\"two\"]")
        + &account("ops", "senders = [\"mail.example.com\"]")
}

fn settings(api: &str) -> String {
    format!("[api]\nlisten = [\"127.0.0.1:0\"]\n{api}\n{}", accounts())
}

/// Two campaigns that were sent, each to two recipients.
fn sent() -> Dir {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    for id in ["one", "two"] {
        let file = campaign(&dir, id, relay.port(), "", "");
        // Who bounced is on the suppression list from then on.
        let domain = if id == "one" { "a.example" } else { "b.example" };
        dir.write(&format!("{id}.csv"), format!("email,n\nann@a.example,1\nrcpt-550-5.1.1@{domain},2\n"));
        dir.run(&["send", &file]).ended(1);
    }
    dir
}

fn run_id(dir: &Dir, campaign: &str) -> String {
    dir.run_of(campaign).file_name().unwrap().to_str().unwrap().to_owned()
}

fn basic(name: &str, password: &str) -> String {
    format!("authorization: Basic {}\r\n", BASE64_STANDARD.encode(format!("{name}:{password}")))
}

/// Asks as an account with its own password.
fn ask(serve: &Serve, name: &str, target: &str) -> Answer {
    serve.ask("GET", target, &basic(name, &format!("{name}:secret")), "")
}

#[track_caller]
fn json(answer: &Answer) -> Value {
    serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
}

/// An answer that says what is wrong, in the form of `docs/json.md`.
#[track_caller]
fn refused(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert!(answer.head.contains("content-type: application/json"), "{answer:?}");
    Schemas::load().check("error", &json(answer)["error"]);
}

#[test]
fn accounts_see_their_own_runs_and_nobody_else_sees_any() {
    let dir = sent();
    let (one, two) = (run_id(&dir, "one"), run_id(&dir, "two"));
    let serve = Serve::of(&dir, &settings(""));
    let routes = [
        "/v1/runs".to_owned(),
        "/v1/openapi.json".to_owned(),
        format!("/v1/events?run={one}"),
        format!("/v1/events?after={one}/0.0.0.0"),
        format!("/v1/runs/{one}"),
        format!("/v1/runs/one%2F{one}"),
        format!("/v1/runs/{one}/rows"),
        "/v1/search?recipient=ann@a.example".to_owned(),
        "/v1/usage".to_owned(),
        "/metrics".to_owned(),
        format!("/in365-api/ann/notifications/id/{one}.0"),
        format!("/in365-api/ann/notifications/id/{one}?recipient=email:ann@a.example"),
        "/v1".to_owned(),
        "/".to_owned(),
        "/v1/none".to_owned(),
    ];
    for route in &routes {
        let nobody = serve.ask("GET", route, "", "");
        refused(&nobody, 401);
        assert!(nobody.head.contains("www-authenticate: basic realm=\"mailrun\""), "{nobody:?}");
        // Whatever is wrong, the answer is the same.
        for head in [
            basic("ann", "wrong"),
            basic("nobody", "ann:secret"),
            basic("ann", ""),
            basic("", ""),
            basic("bob", "ann:secret"),
            "authorization: Basic !!!\r\n".to_owned(),
            "authorization: Bearer abc\r\n".to_owned(),
            basic("ann", "ann:secret") + &basic("ann", "ann:secret"),
        ] {
            let answer = serve.ask("GET", route, &head, "");
            assert_eq!((answer.status, &answer.body), (401, &nobody.body), "{route} {head}");
        }
        let other = ask(&serve, "bob", route);
        match route.as_str() {
            "/v1/runs" | "/v1/search?recipient=ann@a.example" | "/v1/usage" | "/metrics" => {
                assert!(!other.body.contains(&one), "{other:?}")
            }
            "/v1/openapi.json" => assert_eq!(other.status, 200),
            _ => refused(&other, 404),
        }
    }

    // Twice: the second time without checking the hash.
    for _ in 0..2 {
        for (name, seen) in [("ann", vec![&one]), ("bob", vec![&two]), ("ops", vec![&two, &one])] {
            let runs = json(&ask(&serve, name, "/v1/runs"));
            let runs = runs["runs"].as_array().unwrap();
            let ids: Vec<&str> = runs.iter().map(|run| run["run"].as_str().unwrap()[4..].trim()).collect();
            assert_eq!(ids, seen, "{name}");
        }
    }
    let run = json(&ask(&serve, "ann", &format!("/v1/runs/{one}")));
    let printed: Value =
        serde_json::from_str(&dir.run(&["status", "one", "--json"]).ended(0).stdout()).unwrap();
    for key in ["schema_version", "run", "state", "rows", "counts", "running", "finished", "progress"] {
        assert_eq!(run[key], printed[key], "{key}");
    }
    assert_eq!(run["counts"], json!({"accepted": 1, "bounced": 1}));
    assert!(run.get("next").is_none(), "commands are for this machine: {run}");
    assert_eq!(serve.ask("GET", "/health", "", "").body, "ok\n");
    assert!(!serve.end().contains("warning"));
}

#[test]
fn the_status_of_a_notification_is_that_of_the_service() {
    let dir = sent();
    let one = run_id(&dir, "one");
    let serve = Serve::of(&dir, &settings(""));
    let get = |target: &str| json(&ask(&serve, "ann", &format!("/in365-api/ann/notifications/id/{target}")));
    let printed = dir.run(&["status", "--notification", &format!("{one}.1"), "--json"]).ended(0).stdout();
    let printed: Value = serde_json::from_str(&printed).unwrap();
    let mut answer = get(&format!("{one}.1"));
    let time = answer["SAPnotification"]["status"][0]["timestamp"].as_str().unwrap().to_owned();
    assert!(time.len() == 23 && time.as_bytes()[10] == b' ' && !time.contains('Z'), "{time}");
    // But for the form of its times it is what the command prints.
    for status in answer["SAPnotification"]["status"].as_array_mut().unwrap() {
        let time = format!("{}Z", status["timestamp"].as_str().unwrap().replace(' ', "T"));
        status["timestamp"] = time.into();
    }
    assert_eq!(answer, printed);
    Schemas::load().check("notification", &answer);

    let recipients = |answer: &Value| -> Vec<String> {
        let status = answer["SAPnotification"]["status"].as_array().cloned().unwrap_or_default();
        let mut names: Vec<String> =
            status.iter().map(|step| step["recipient"].as_str().unwrap().to_owned()).collect();
        names.dedup();
        names
    };
    let (ann, refused_one) = ("email:ann@a.example", "email:rcpt-550-5.1.1@a.example");
    assert_eq!(recipients(&get(&format!("{one}.0?recipient={ann}"))), [ann]);
    assert_eq!(get(&format!("{one}.0?recipient={refused_one}")), json!({"SAPnotification": {}}));
    assert_eq!(recipients(&get(&format!("{one}.0?recipient={refused_one}&recipient={ann}"))), [ann]);
    // Of a whole run, those that are named; repeated as the specification shows it, too.
    for between in ["&", "?"] {
        let both = format!("{one}?recipient={ann}{between}recipient={}", refused_one.replace('@', "%40"));
        assert_eq!(recipients(&get(&both)), [ann, refused_one], "{both}");
        assert_eq!(get(&both)["SAPnotification"]["notificationId"], one);
    }
    for (target, status) in [
        (one.clone(), 400),
        (format!("{one}.0?recipients=a"), 400),
        (format!("{one}.0?recipient=%ff"), 400),
        (format!("{one}?{}", "recipient=a&".repeat(200)), 400),
        ("none.0".to_owned(), 404),
        (format!("{}.0", run_id(&dir, "two")), 404),
    ] {
        refused(&ask(&serve, "ann", &format!("/in365-api/ann/notifications/id/{target}")), status);
    }
    // Another account's path says nothing, also to one that sees the run.
    refused(&ask(&serve, "ops", &format!("/in365-api/ann/notifications/id/{one}.0")), 404);
    assert_eq!(ask(&serve, "ops", &format!("/in365-api/ops/notifications/id/{one}.0")).status, 200);

    let manifest = dir.run_of("one").join("manifest.json");
    let mut kept: Value = serde_json::from_slice(&std::fs::read(&manifest).unwrap()).unwrap();
    kept["finished"] = json!("2001-01-01T00:00:00Z");
    std::fs::write(&manifest, kept.to_string()).unwrap();
    assert_eq!(get(&format!("{one}.0")), json!({"SAPnotification": {}}));
    serve.end();
}

#[test]
fn tricks_with_paths_heads_and_queries_find_nothing() {
    let dir = sent();
    let one = run_id(&dir, "one");
    let serve = Serve::of(&dir, &settings(""));
    let folder = dir.run_of("one").display().to_string();
    for id in [
        "..%2F..%2Fetc%2Fpasswd",
        "../../etc/passwd",
        "%00",
        "%0d%0aset-cookie:%20a=b",
        "%ff",
        ".",
        "..",
        "one",
        "one.toml",
        &one[..6],
        &format!("{one}%2F"),
        &format!("two%2F{one}"),
        &folder.replace('/', "%2F"),
        &format!("runs%2Fone%2F{one}"),
        "<script>",
        &"x".repeat(4_000),
    ] {
        for target in
            [format!("/v1/runs/{id}"), format!("/in365-api/ann/notifications/id/{id}?recipient=a@b.c")]
        {
            let answer = ask(&serve, "ann", &target);
            assert!(matches!(answer.status, 400 | 404), "{target}: {answer:?}");
            assert!(!answer.head.contains("set-cookie") && !answer.body.contains("<script>"), "{answer:?}");
            assert!(!answer.body.contains(&folder), "{answer:?}");
        }
    }
    for target in ["//v1/runs", "/v1//runs", "/v1/runs/", "/V1/runs", "/v1/./runs", "http://x/v1/none"] {
        refused(&ask(&serve, "ann", target), 404);
    }
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"] {
        refused(&serve.ask(method, "/v1/runs", &basic("ann", "ann:secret"), "x"), 405);
        refused(&serve.ask(method, "/v1/runs", "", "x"), 401);
    }
    for bytes in [
        format!("GET /v1/runs?{} HTTP/1.1\r\nhost: a\r\n\r\n", "x".repeat(200_000)),
        format!("GET /v1/runs HTTP/1.1\r\nhost: a\r\n{}\r\n", "a: b\r\n".repeat(1_000)),
        format!("GET /v1/runs HTTP/1.1\r\nhost: a\r\nauthorization: Basic {}\r\n\r\n", "QQ".repeat(50_000)),
        "GET /v1/runs HTTP/1.1\r\nhost: a\r\nauthorization: Basic\r\n x\0\r\n\r\n".to_owned(),
    ] {
        let answer = serve.say(bytes.as_bytes());
        assert!(!matches!(answer.status, 200..400), "{answer:?}");
    }
    let long = "p".repeat(8_000);
    refused(&serve.ask("GET", "/v1/runs", &basic("ann", &long), ""), 401);
    refused(&ask(&serve, "ann", "/in365-api/ann/notifications/id/x?recipient"), 404);
    assert_eq!(ask(&serve, "ann", "/v1/runs").status, 200, "others are still served");
    serve.end();
}

#[test]
fn addresses_say_who_may_ask_and_only_trusted_proxies_for_whom() {
    let dir = sent();
    let one = run_id(&dir, "one");
    let from = |address: &str| format!("x-forwarded-for: {address}\r\n");
    let bound =
        "[[account]]\nname = \"app\"\nallow = [\"192.0.2.7\", \"2001:db8::/32\"]\ncampaigns = [\"*\"]\n";
    let serve = Serve::of(
        &dir,
        &settings("trusted-proxies = [\"127.0.0.1\"]").replacen(
            "[[account]]",
            &format!("{bound}[[account]]"),
            1,
        ),
    );
    let notification = format!("/in365-api/app/notifications/id/{one}.0");
    for target in ["/v1/runs", &notification] {
        for address in ["192.0.2.7", "203.0.113.1, 192.0.2.7", "2001:db8::5", "[2001:db8::5]:443"] {
            assert_eq!(serve.ask("GET", target, &from(address), "").status, 200, "{address}");
            assert_eq!(serve.ask("GET", target, &(from(address) + &basic("app", "")), "").status, 200);
        }
        // A client can write what it likes: the last address is what the proxy saw.
        for address in ["192.0.2.8", "192.0.2.7, 192.0.2.8", "127.0.0.1"] {
            refused(&serve.ask("GET", target, &from(address), ""), 401);
        }
        refused(&serve.ask("GET", target, "", ""), 401);
        refused(&serve.ask("GET", target, &from("nonsense"), ""), 400);
        let http = from("192.0.2.7") + "x-forwarded-proto: http\r\n";
        refused(&serve.ask("GET", target, &http, ""), 403);
    }
    // A password is good from anywhere where no addresses are named.
    assert_eq!(
        serve.ask("GET", "/v1/runs", &(from("192.0.2.8") + &basic("ann", "ann:secret")), "").status,
        200
    );
    serve.end();

    // Without trust nobody is believed.
    let serve = Serve::of(&dir, &settings("").replacen("[[account]]", &format!("{bound}[[account]]"), 1));
    refused(&serve.ask("GET", "/v1/runs", &from("192.0.2.7"), ""), 401);
    serve.end();
}

#[test]
fn a_password_is_kept_as_a_hash_only() {
    let dir = Dir::new();
    let print = |input: &str| {
        let mut command = dir.command(&["serve", "password"]);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let ended = child.wait_with_output().unwrap();
        (
            ended.status.code(),
            String::from_utf8(ended.stdout).unwrap(),
            String::from_utf8(ended.stderr).unwrap(),
        )
    };
    let (code, printed, _) = print("ann:secret\nanother line\n");
    assert_eq!(code, Some(0));
    let printed = printed.trim_end();
    assert!(printed.starts_with("$argon2id$v=19$m=") && !printed.contains("secret"), "{printed}");
    let file = settings("").replacen(&hash("ann:secret"), printed, 1);
    let serve = Serve::of(&dir, &file);
    assert_eq!(ask(&serve, "ann", "/v1/runs").status, 200);
    refused(&serve.ask("GET", "/v1/runs", &basic("ann", "another line"), ""), 401);
    serve.end();
    for bad in ["", "\n", "a\tb\n", &"x".repeat(2_000)] {
        assert_eq!(print(bad).0, Some(2), "{bad:.5}");
    }

    for (text, said) in [
        (settings("").replacen(&hash("ann:secret"), "hunter2hunter2", 1), "is no PHC string"),
        (settings("").replace("name = \"bob\"", "name = \"ann\""), "two accounts have the name `ann`"),
        (settings("").replace("campaigns = [\"one\"]", ""), "it would see no run"),
        (settings("").replace("name = \"bob\"", "name = \"b/b\""), "can't name an account"),
        (settings("").replace("m=8,", "m=4000000,"), "costs too much"),
        (settings("").replace("127.0.0.1:0", "0.0.0.0:0"), "is no loopback address"),
        (format!("[[account]]\nname = \"x\"\ncampaigns = [\"*\"]\n{}", settings("")), "anybody could use it"),
        ("[api]\nlisten = [\"127.0.0.1:0\"]\n".to_owned(), "nobody could use it"),
        (accounts(), "none of `[recipients]`, `[api]`, `[page]`, `[submission]` and `[[webhook]]`"),
    ] {
        dir.write("serve.toml", text);
        let ran = dir.run(&["serve", "--config", "serve.toml"]).ended(2).says(said);
        assert!(!ran.stderr().contains("hunter2"), "{}", ran.stderr());
    }
}

#[test]
fn events_come_in_pages_and_none_is_missing() {
    let dir = sent();
    let one = run_id(&dir, "one");
    let printed = dir.run(&["events", "one"]).ended(0).stdout();
    let printed = printed.lines().map(|line| {
        let mut event: Value = serde_json::from_str(line).unwrap();
        event.as_object_mut().unwrap().remove("schema_version");
        event
    });
    let printed: Vec<Value> = printed.collect();
    assert!(printed.len() >= 6, "{printed:?}");
    let serve = Serve::of(&dir, &settings(""));
    for limit in [1, 2, 5, 100] {
        let (mut found, mut asked) = (Vec::new(), format!("run={one}"));
        loop {
            let page = json(&ask(&serve, "ann", &format!("/v1/events?{asked}&limit={limit}")));
            let events = page["events"].as_array().unwrap();
            assert!(events.len() <= limit);
            found.extend(events.iter().cloned());
            asked = format!("after={}", page["after"].as_str().unwrap());
            if page["has_more"] == false {
                break;
            }
        }
        assert_eq!(found, printed, "{limit}");
        assert_eq!(json(&ask(&serve, "ann", &format!("/v1/events?{asked}")))["events"], json!([]));
    }
    let two = run_id(&dir, "two");
    for (query, status) in [
        (String::new(), 400),
        ("after=nonsense".to_owned(), 400),
        (format!("run={one}&limit=0"), 400),
        (format!("run={one}&limit=1001"), 400),
        (format!("run={one}&from=1"), 400),
        (format!("run={one}&after={two}/0.0.0.0"), 400),
        (format!("after={two}/0.0.0.0"), 404),
        (format!("run={two}"), 404),
        ("run=../one".to_owned(), 404),
    ] {
        refused(&ask(&serve, "ann", &format!("/v1/events?{query}")), status);
    }
    serve.end();
}

/// The description that is served, and its schemas.
struct Described {
    document: Value,
    compiled: boon::Schemas,
    compiler: boon::Compiler,
}

impl Described {
    fn new(serve: &Serve) -> Self {
        let document = json(&ask(serve, "ann", "/v1/openapi.json"));
        let mut compiler = boon::Compiler::new();
        compiler.enable_format_assertions();
        compiler.set_default_draft(boon::Draft::V2020_12);
        compiler.add_resource("https://mailrun.example/openapi.json", document.clone()).unwrap();
        Self { document, compiled: boon::Schemas::new(), compiler }
    }

    /// Checks an answer against what is said of `path`.
    #[track_caller]
    fn check(&mut self, path: &str, answer: &Answer) {
        let answers = &self.document["paths"][path]["get"]["responses"][answer.status.to_string()];
        let schema = answers["content"]["application/json"]["schema"]["$ref"].as_str();
        let schema = schema.unwrap_or_else(|| panic!("{path} says nothing of {answer:?}"));
        let place = format!("https://mailrun.example/openapi.json{schema}");
        let schema = self.compiler.compile(&place, &mut self.compiled).unwrap();
        if let Err(error) = self.compiled.validate(&json(answer), schema) {
            panic!("not as {path} is described: {error:#}\n{answer:?}");
        }
    }
}

#[test]
fn answers_are_as_they_are_described() {
    let dir = sent();
    let one = run_id(&dir, "one");
    let serve = Serve::of(&dir, &settings(""));
    let mut described = Described::new(&serve);
    assert_eq!(described.document["openapi"], "3.1.0");
    let mut paths: Vec<String> = described.document["paths"].as_object().unwrap().keys().cloned().collect();
    for (path, target) in [
        ("/v1/runs", "/v1/runs".to_owned()),
        ("/v1/runs/{id}", format!("/v1/runs/{one}")),
        ("/v1/runs/{id}/rows", format!("/v1/runs/{one}/rows")),
        ("/v1/events", format!("/v1/events?run={one}")),
        ("/v1/search", "/v1/search".to_owned()),
        ("/v1/usage", "/v1/usage".to_owned()),
        ("/in365-api/{account}/notifications/id/{id}", format!("/in365-api/ann/notifications/id/{one}.1")),
    ] {
        paths.retain(|other| other != path);
        described.check(path, &ask(&serve, "ann", &target));
        described.check(path, &serve.ask("GET", &target, "", ""));
        if !["/v1/runs", "/v1/usage"].contains(&path) {
            described.check(path, &ask(&serve, "bob", &target));
        }
    }
    assert_eq!(paths, ["/v1/openapi.json", "/metrics"], "a path has no answer here");
    for bad in
        ["search?class=none", "search?sender=none", "search?since=today", "search?limit=0", "search?x=1"]
    {
        described.check("/v1/search", &ask(&serve, "ann", &format!("/v1/{bad}")));
        refused(&ask(&serve, "ann", &format!("/v1/{bad}")), 400);
    }
    for bad in ["disposition=none", "class=none", "after=-1", "after=99999999999", "limit=1001"] {
        refused(&ask(&serve, "ann", &format!("/v1/runs/{one}/rows?{bad}")), 400);
    }
    let notification = "/in365-api/{account}/notifications/id/{id}";
    described.check(notification, &ask(&serve, "ann", &format!("/in365-api/ann/notifications/id/{one}")));
    described.check(notification, &ask(&serve, "ann", &format!("/in365-api/ann/notifications/id/{one}.99")));
    serve.end();
}

#[test]
fn rows_come_page_after_page_and_can_be_chosen() {
    let dir = sent();
    let one = run_id(&dir, "one");
    let serve = Serve::of(&dir, &settings(""));
    let get = |query: &str| json(&ask(&serve, "ann", &format!("/v1/runs/{one}/rows{query}")));
    let emails = |page: &Value| -> Vec<String> {
        let rows = page["rows"].as_array().unwrap().iter();
        rows.map(|row| row["email"].as_str().unwrap().to_owned()).collect()
    };
    let (ann, bounced) = ("ann@a.example", "rcpt-550-5.1.1@a.example");
    let all = get("");
    assert_eq!((emails(&all), &all["has_more"]), (vec![ann.to_owned(), bounced.to_owned()], &false.into()));
    let first = get("?limit=1");
    assert_eq!((emails(&first), &first["has_more"]), (vec![ann.to_owned()], &true.into()));
    let second = get(&format!("?limit=1&after={}", first["after"].as_str().unwrap()));
    assert_eq!((emails(&second), &second["has_more"]), (vec![bounced.to_owned()], &false.into()));
    assert_eq!(emails(&get(&format!("?after={}", second["after"].as_str().unwrap()))), [] as [String; 0]);
    assert_eq!(emails(&get("?disposition=bounced")), [bounced]);
    assert_eq!(emails(&get("?class=bad_mailbox")), [bounced]);
    assert_eq!(emails(&get("?disposition=accepted&class=bad_mailbox")), [] as [String; 0]);
    assert_eq!(all["rows"][1]["smtp_code"], 550);

    // Without results, only events tell.
    let manifest = dir.run_of("one").join("manifest.json");
    let text = std::fs::read_to_string(&manifest).unwrap();
    let mut kept: Value = serde_json::from_str(&text).unwrap();
    kept["state"] = json!({"is": "running"});
    std::fs::write(&manifest, kept.to_string()).unwrap();
    let mut described = Described::new(&serve);
    let early = ask(&serve, "ann", &format!("/v1/runs/{one}/rows"));
    refused(&early, 409);
    described.check("/v1/runs/{id}/rows", &early);
    serve.end();
}

#[test]
fn search_usage_and_metrics_tell_of_the_runs_of_the_account() {
    let dir = sent();
    let serve = Serve::of(&dir, &settings(""));
    let mut described = Described::new(&serve);
    let mut runs = |name: &str, query: &str| -> Vec<String> {
        let answer = ask(&serve, name, &format!("/v1/search?{query}"));
        described.check("/v1/search", &answer);
        let answer = json(&answer);
        assert_eq!(answer["left_out"], json!([]));
        let found = answer["found"].as_array().unwrap().iter();
        found.map(|one| one["run"].as_str().unwrap()[..3].to_owned()).collect()
    };
    assert_eq!(runs("ann", "recipient=ann@a.example"), ["one"]);
    assert_eq!(runs("ops", "recipient=ann@a.example"), ["two", "one"]);
    assert_eq!(runs("ops", "recipient=@A.EXAMPLE&class=bad_mailbox"), ["one"]);
    assert_eq!(runs("ops", "sender=news@mail.example.com&campaign=two"), ["two", "two"]);
    assert_eq!(runs("ops", "since=2999-01-01T00:00:00Z"), [] as [String; 0]);
    let id = dir.results("two")[0].message_id.clone().unwrap();
    assert_eq!(runs("bob", &format!("message-id={id}")), ["two"]);
    assert_eq!(runs("ann", &format!("message-id={id}")), [] as [String; 0]);

    let usage = json(&ask(&serve, "ops", "/v1/usage"));
    // Another month may have begun between the runs.
    let sum = |usage: &Value, path: &str| -> u64 {
        let months = usage["months"].as_array().unwrap().iter();
        months.map(|month| month.pointer(path).and_then(Value::as_u64).unwrap_or(0)).sum()
    };
    assert_eq!((&usage["account"], sum(&usage, "/runs"), sum(&usage, "/rows")), (&"ops".into(), 2, 4));
    assert_eq!((sum(&usage, "/counts/accepted"), sum(&usage, "/counts/bounced")), (2, 2));
    assert_eq!(sum(&json(&ask(&serve, "ann", "/v1/usage")), "/runs"), 1);

    let metrics = ask(&serve, "ann", "/metrics");
    assert!(metrics.head.contains("content-type: text/plain; version=0.0.4"), "{metrics:?}");
    for line in [
        "mailrun_runs{campaign=\"one\",state=\"finished\"} 1",
        "mailrun_runs{campaign=\"one\",state=\"running\"} 0",
        "mailrun_run_rows{campaign=\"one\",disposition=\"bounced\"} 1",
        "mailrun_runs_unreadable 0",
    ] {
        assert!(metrics.body.lines().any(|other| other == line), "`{line}`: {metrics:?}");
    }
    assert!(!metrics.body.contains("two"), "{metrics:?}");
    serve.end();
}

//! The pages of `mailrun serve`: accounts see their own runs, as they change.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine};

use crate::api::hash;
use crate::feedback::suppressed;
use crate::kit::{Dir, campaign};
use crate::serve::{Answer, Serve};

/// What nobody may get into a page as it is.
const SCRIPT: &str = "<script>alert(1)</script>";

/// A relay that refuses `refused@…` with a hostile reply, and answers `held@…` once it may.
struct HostileRelay {
    port: u16,
    go: mpsc::Sender<()>,
}

impl HostileRelay {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (go, wait) = mpsc::channel();
        let wait = Arc::new(Mutex::new(wait));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let wait = Arc::clone(&wait);
                thread::spawn(move || converse(stream, &wait));
            }
        });
        Self { port, go }
    }
}

/// Says what a relay says, until the other end is gone.
fn converse(stream: TcpStream, wait: &Mutex<mpsc::Receiver<()>>) {
    let mut out = stream.try_clone().unwrap();
    let mut lines = BufReader::new(stream).split(b'\n').map_while(Result::ok);
    let mut say = |text: &str| out.write_all(format!("{text}\r\n").as_bytes()).is_ok();
    say("220 relay.example");
    while let Some(line) = lines.next() {
        let line = String::from_utf8_lossy(&line).into_owned();
        let refused = format!("550 5.7.1 {SCRIPT} \u{1b}[31m\u{202e}no");
        let answer = match line.get(..4).unwrap_or_default().to_uppercase().as_str() {
            "RCPT" if line.contains("refused") => refused,
            "RCPT" if line.contains("held") => {
                // Where nobody says it any longer, the test is over.
                if wait.lock().unwrap().recv().is_err() {
                    return;
                }
                "250 ok".to_owned()
            }
            "DATA" => {
                say("354 go on");
                while lines.next().is_some_and(|line| line.trim_ascii() != b".") {}
                "250 ok".to_owned()
            }
            "QUIT" => "221 bye".to_owned(),
            _ => "250 ok".to_owned(),
        };
        if !say(&answer) {
            return;
        }
    }
}

/// `ann` sees campaign `one`, `bob` campaign `two`, `ops` all of them and the suppression list.
fn settings() -> String {
    let account = |name: &str, more: &str| {
        let hash = hash(&format!("{name}:secret"));
        format!("[[account]]\nname = \"{name}\"\npassword-hash = \"{hash}\"\n{more}\n")
    };
    "[page]\nlisten = [\"127.0.0.1:0\"]\n".to_owned()
        + &account("ann", "campaigns = [\"one\"]")
        + &account("bob", "campaigns = [\"two\"]")
        + &account("ops", "campaigns = [\"*\"]\nsuppress = true")
}

/// Campaign `one` was sent: to somebody, and to somebody with a hostile reply.
fn sent(port: u16) -> (Dir, String) {
    let dir = Dir::new();
    let file = campaign(&dir, "one", port, "", "");
    dir.write("one.csv", "email,n\nann@a.example,1\nrefused@a.example,2\n");
    dir.run(&["send", &file]).ended(1);
    let run = dir.run_of("one").file_name().unwrap().to_str().unwrap().to_owned();
    (dir, run)
}

fn basic(name: &str) -> String {
    format!("authorization: Basic {}\r\n", BASE64_STANDARD.encode(format!("{name}:{name}:secret")))
}

fn get(serve: &Serve, name: &str, target: &str) -> Answer {
    serve.ask("GET", target, &basic(name), "")
}

/// The page with whatever is added up behind it.
#[track_caller]
fn page(serve: &Serve, name: &str, target: &str) -> String {
    let answer = get(serve, name, target);
    assert_eq!(answer.status, 200, "{target}: {answer:?}");
    for field in [
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; \
         frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        "cache-control: no-store",
        "x-content-type-options: nosniff",
        "referrer-policy: same-origin",
    ] {
        assert!(answer.head.contains(field), "{field}: {}", answer.head);
    }
    assert!(!answer.head.contains("set-cookie"), "{}", answer.head);
    assert!(!answer.body.contains("style=") && !answer.body.contains("<style"), "{}", answer.body);
    for outside in ["http:", "https:", " src=\"//", "href=\"//"] {
        assert!(!answer.body.contains(outside), "{outside}: {}", answer.body);
    }
    answer.body
}

#[test]
fn every_page_needs_an_account_and_shows_its_own_runs_only() {
    let relay = HostileRelay::start();
    let (dir, run) = sent(relay.port);
    let serve = Serve::of(&dir, &settings());
    let own = [format!("/runs/one/{run}"), format!("/runs/one/{run}/events")];
    let routes = [
        "/",
        "/events",
        "/capacity",
        "/senders",
        "/previews",
        "/suppression",
        "/live.css",
        "/live.js",
        "/none",
    ];
    for route in routes.map(str::to_owned).iter().chain(&own) {
        for head in [String::new(), "authorization: Basic YW5uOng=\r\n".to_owned()] {
            let answer = serve.ask("GET", route, &head, "");
            assert_eq!(answer.status, 401, "{route}: {answer:?}");
            assert!(answer.head.contains("www-authenticate: basic"), "{answer:?}");
            assert!(!answer.body.contains(&run), "{answer:?}");
        }
        assert_eq!(serve.ask("POST", route, "", "x").status, 401, "{route}");
    }
    for route in &own {
        assert_eq!(get(&serve, "bob", route).status, 404, "{route}");
    }
    for target in [
        format!("/runs/two/{run}"),
        format!("/runs/one%2F{run}/x"),
        "/runs/one/..".to_owned(),
        format!("/runs/one/{}", &run[..6]),
        "/runs/..%2F..%2Fetc/passwd".to_owned(),
        "/runs/%00/%ff".to_owned(),
    ] {
        assert_eq!(get(&serve, "ann", &target).status, 404, "{target}");
    }
    assert!(page(&serve, "ann", "/").contains(&format!("href=\"/runs/one/{run}\"")));
    assert!(!page(&serve, "bob", "/").contains(&run));
    let shown = page(&serve, "ann", &own[0]);
    for text in ["2 of 2 rows have their outcome: 1 accepted, 1 bounced", "<h2>Lanes</h2>", "finished"] {
        assert!(shown.contains(text), "{text}: {shown}");
    }
    for (asset, kind) in [("/live.css", "text/css"), ("/live.js", "text/javascript")] {
        let first = get(&serve, "ann", asset);
        assert!(first.status == 200 && first.head.contains(kind), "{first:?}");
        let (_, tag) = first.head.split_once("etag: ").unwrap();
        let known = format!("{}if-none-match: {}\r\n", basic("ann"), tag.lines().next().unwrap());
        assert_eq!(serve.ask("GET", asset, &known, "").status, 304);
    }
    assert!(!serve.end().contains("warning"));
}

#[test]
fn what_others_wrote_is_text() {
    let relay = HostileRelay::start();
    let (dir, run) = sent(relay.port);
    let serve = Serve::of(&dir, &settings());
    let shown = page(&serve, "ann", &format!("/runs/one/{run}"));
    assert!(shown.contains("&lt;script&gt;alert(1)&lt;/script&gt; \\u{1b}[31m\\u{202e}no"), "{shown}");
    for bad in [SCRIPT, "\u{1b}", "\u{202e}"] {
        assert!(!shown.contains(bad), "{bad:?}: {shown}");
    }
    let none = get(&serve, "ann", "/%3Cscript%3Ealert(1)%3C/script%3E");
    assert!(none.status == 404 && !none.body.contains(SCRIPT), "{none:?}");
    serve.end();
}

/// A stream of server-sent events.
struct Events(BufReader<TcpStream>);

impl Events {
    fn open(serve: &Serve, name: &str, target: &str) -> Self {
        let mut stream = TcpStream::connect(&serve.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let asked = format!("GET {target} HTTP/1.1\r\nhost: a\r\n{}\r\n", basic(name));
        stream.write_all(asked.as_bytes()).unwrap();
        Self(BufReader::new(stream))
    }

    /// Reads until a line holds `text`; the lines until then.
    fn until(&mut self, text: &str) -> String {
        let mut read = String::new();
        loop {
            let mut line = String::new();
            let length = self.0.read_line(&mut line).unwrap();
            assert!(length > 0, "the stream ended before `{text}`: {read}");
            read.push_str(&line);
            if line.contains(text) {
                return read;
            }
        }
    }
}

#[test]
fn an_outcome_reaches_those_who_look_while_the_run_goes_on() {
    let relay = HostileRelay::start();
    let dir = Dir::new();
    let file = campaign(&dir, "one", relay.port, "", "");
    dir.write("one.csv", "email,n\nheld1@a.example,1\nheld2@a.example,2\n");
    let mut send = dir.start(&["send", &file]);
    relay.go.send(()).unwrap();
    let folder = dir.path().join("runs/one");
    let run = loop {
        let found = std::fs::read_dir(&folder).ok().and_then(|mut runs| runs.next()?.ok());
        match found.filter(|run| run.path().join("status.json").exists()) {
            Some(run) => break run.file_name().into_string().unwrap(),
            None => thread::yield_now(),
        }
    };
    let serve = Serve::of(&dir, &settings());
    let mut events = Events::open(&serve, "ann", &format!("/runs/one/{run}/events"));
    let head = events.until("event: part").to_lowercase();
    assert!(head.contains("content-type: text/event-stream"), "{head}");
    let first = events.until("1 of 2 rows have their outcome: 1 accepted");
    assert!(first.contains("class=\"state\">running"), "{first}");
    relay.go.send(()).unwrap();
    let second = events.until("2 of 2 rows have their outcome: 2 accepted");
    send.wait().unwrap();
    if !second.contains("class=\"state\">finished") {
        events.until("class=\"state\">finished");
    }
    // The overview too; and whoever looks does not hold up the end.
    let mut runs = Events::open(&serve, "ann", "/events");
    runs.until("finished");
    serve.end();
    let mut rest = Vec::new();
    drop(runs.0.read_to_end(&mut rest));
}

/// The token in the first form of a page.
fn token(page: &str) -> String {
    let (_, rest) = page.split_once("name=\"token\" value=\"").expect("the page has a form");
    rest.split_once('"').unwrap().0.to_owned()
}

#[test]
fn only_our_own_pages_change_the_suppression_list() {
    let relay = HostileRelay::start();
    let (dir, _) = sent(relay.port);
    let serve = Serve::of(&dir, &settings());
    let post = |name: &str, head: &str, body: &str| {
        let head = format!("{}content-type: application/x-www-form-urlencoded\r\n{head}", basic(name));
        serve.ask("POST", "/suppression", &head, body)
    };
    // Who may not change the list does not see it.
    assert_eq!(get(&serve, "ann", "/suppression").status, 404);
    assert!(!page(&serve, "ann", "/").contains("/suppression"));
    let token = token(&page(&serve, "ops", "/suppression"));
    let before = suppressed(&dir);
    let add = format!("token={token}&do=add&address=bob%40x.example&reason=manual&list=&confirmed=yes");
    for (name, head, body, status) in [
        ("ann", "", add.as_str(), 404),
        ("ops", "", &add.replace(&token, ""), 403),
        ("ops", "", &add.replace(&token, &"0".repeat(64)), 403),
        ("ops", "sec-fetch-site: cross-site\r\n", &add, 403),
        ("ops", "sec-fetch-site: same-site\r\n", &add, 403),
        ("ops", "origin: https://evil.example\r\n", &add, 403),
        ("ops", "origin: null\r\n", &add, 403),
        ("ops", "", &add.replace("bob%40x.example", "%3Cscript%3E"), 400),
        ("ops", "", &add.replace("do=add", "do=all"), 400),
        // Not yet confirmed.
        ("ops", "", &add.replace("&confirmed=yes", ""), 200),
    ] {
        let answer = post(name, head, body);
        assert_eq!(answer.status, status, "{name} {head} {body}: {answer:?}");
        assert!(!answer.body.contains("<script>"), "{answer:?}");
    }
    let wrong_kind = serve.ask("POST", "/suppression", &basic("ops"), &add);
    assert_eq!(wrong_kind.status, 400, "{wrong_kind:?}");
    assert_eq!(suppressed(&dir), before);

    let asked = post("ops", "sec-fetch-site: same-origin\r\n", &add.replace("&confirmed=yes", ""));
    assert!(asked.body.contains("bob@x.example") && asked.body.contains("Add it"), "{asked:?}");
    let added = post("ops", "origin: https://mail.example.com\r\n", &add);
    assert_eq!(added.status, 303, "{added:?}");
    assert!(suppressed(&dir).contains(&("bob@x.example".to_owned(), "manual".to_owned())));
    for query in ["bob%40x.example", "x.example", "%40x.example", ""] {
        let found = page(&serve, "ops", &format!("/suppression?q={query}"));
        assert!(found.contains("bob@x.example") && found.contains("page, by ops"), "{query}: {found}");
    }
    assert!(page(&serve, "ops", "/suppression?q=%3Cscript%3E%40x").contains("role=\"alert\""));
    let remove = add.replace("do=add", "do=remove");
    assert_eq!(post("ops", "", &remove).status, 303);
    assert_eq!(suppressed(&dir), before);
    serve.end();
}

#[test]
fn a_message_is_shown_in_a_sandbox_and_to_who_sees_its_campaign() {
    let relay = HostileRelay::start();
    let (dir, _) = sent(relay.port);
    let text = std::fs::read_to_string(dir.path().join("one.toml")).unwrap();
    dir.write(
        "letter-html.hbs",
        "<p>{{n}}</p><script>alert(1)</script><img src=\"https://x.example/1.png\">",
    );
    let text = text.replace(
        "without-unsubscribe = true\n",
        "\n[unsubscribe]\nhttps = \"https://mail.example.com/u/{{token}}\"\n",
    );
    assert!(text.contains("[unsubscribe]"), "{text}");
    dir.write(
        "one.toml",
        text.replace("text = \"letter.hbs\"", "text = \"letter.hbs\"\nhtml = \"letter-html.hbs\""),
    );
    dir.write("one.csv", format!("email,n\nann@a.example,{SCRIPT}\n"));
    let serve = Serve::of(&dir, &settings());
    assert!(page(&serve, "ann", "/previews").contains("/previews/one"));
    // The message's own head holds an address elsewhere, as text.
    let shown = get(&serve, "ann", "/previews/one?row=1");
    assert_eq!(shown.status, 200, "{shown:?}");
    let shown = shown.body;
    for text in
        ["sandbox=\"\"", "src=\"/previews/one/html?row=1\"", "ann@a.example", "&lt;script&gt;alert(1)"]
    {
        assert!(shown.contains(text), "{text}: {shown}");
    }
    assert!(!shown.contains(SCRIPT), "{shown}");
    let html = get(&serve, "ann", "/previews/one/html?row=1");
    assert_eq!(html.status, 200);
    for field in ["content-security-policy: sandbox; default-src 'none'", "nosniff", "frame-ancestors 'self'"]
    {
        assert!(html.head.contains(field), "{}", html.head);
    }
    for target in ["/previews/one", "/previews/one/html", "/previews/none", "/previews/..%2Fone"] {
        assert_eq!(get(&serve, "bob", target).status, 404, "{target}");
    }
    for row in ["0", "x", "1001", "-1"] {
        assert_eq!(get(&serve, "ann", &format!("/previews/one?row={row}")).status, 400, "{row}");
    }
    // Whoever looks at a message can't unsubscribe its recipient.
    let (_, link) = shown.split_once("https://mail.example.com/u/").unwrap();
    let token = link.split_once("&gt;").unwrap().0;
    dir.run(&["suppress", "add", "--token", token]).ended(2).says("the token is that of a test message");
    assert_eq!(get(&serve, "ann", "/previews/one?row=2").status, 404);
    // The file may have become another campaign's.
    dir.write("one.toml", text.replace("id = \"one\"", "id = \"secret\""));
    assert_eq!(get(&serve, "ann", "/previews/one").status, 404);
    let log = serve.end();
    assert!(!log.contains("a request was not answered"), "{log}");
}

#[test]
fn capacity_and_senders_are_those_of_the_runs_that_are_seen() {
    let relay = HostileRelay::start();
    let (dir, _) = sent(relay.port);
    let serve = Serve::of(&dir, &settings());
    let capacity = page(&serve, "ann", "/capacity");
    assert!(capacity.contains("used in the last hour") && capacity.contains("one"), "{capacity}");
    assert!(page(&serve, "bob", "/capacity").contains("Nothing was sent"));
    let senders = page(&serve, "ann", "/senders");
    assert!(senders.contains("news@mail.example.com"), "{senders}");
    // Others send from the domain, too.
    assert!(!senders.contains("DMARC") && !senders.contains("Reputation"), "{senders}");
    let senders = page(&serve, "ops", "/senders");
    assert!(senders.contains("No DMARC report") && senders.contains("Reputation"), "{senders}");
    assert!(!page(&serve, "bob", "/senders").contains("mail.example.com"));
    Events::open(&serve, "ann", "/capacity/events").until("used in the last hour");
    serve.end();
}

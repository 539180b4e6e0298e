//! Lists at `s3://…`, in a store that these tests play.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use mailrun::sandbox::Options;
use serde_json::Value;

use crate::kit::{Dir, Ran, Relay, campaign};

const KEY_ID: &str = "AKIAEXAMPLE1234";
const SECRET: &str = "a/secret+that+nobody+may+see";

/// A store with one bucket, `lists`.
struct Store {
    port: u16,
    objects: Arc<Mutex<BTreeMap<String, String>>>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Store {
    fn start(objects: &[(&str, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let objects = objects.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect();
        let store = Self { port, objects: Arc::new(Mutex::new(objects)), requests: Arc::default() };
        let (objects, requests) = (Arc::clone(&store.objects), Arc::clone(&store.requests));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (objects, requests) = (Arc::clone(&objects), Arc::clone(&requests));
                std::thread::spawn(move || serve(stream, &objects.lock().unwrap().clone(), &requests));
            }
        });
        store
    }

    /// Runs `mailrun` with this store and its credentials.
    fn run(&self, dir: &Dir, args: &[&str]) -> Ran {
        self.run_at(dir, args, &format!("http://127.0.0.1:{}", self.port))
    }

    fn run_at(&self, dir: &Dir, args: &[&str], endpoint: &str) -> Ran {
        let mut command = dir.command(args);
        command.env("AWS_ACCESS_KEY_ID", KEY_ID).env("AWS_SECRET_ACCESS_KEY", SECRET);
        Ran(command.env("AWS_ENDPOINT_URL", endpoint).env("RUST_LOG", "debug").output().unwrap())
    }
}

fn serve(mut stream: TcpStream, objects: &BTreeMap<String, String>, requests: &Mutex<Vec<String>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read_exact(&mut byte).is_err() {
            return;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    requests.lock().unwrap().push(head.clone());
    let header = |name: &str| {
        let lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
    };
    let words: Vec<&str> = head.split(' ').collect();
    let (method, target) = (words[0], words[1]);
    let error = |status: &str, code: &str| {
        // As S3 does, it repeats what it was sent.
        let body = format!("<Error><Code>{code}</Code><AWSAccessKeyId>{KEY_ID}</AWSAccessKeyId></Error>");
        let length = body.len();
        let body = if method == "HEAD" { String::new() } else { body };
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        )
    };
    let answer = if let Some(query) = target.strip_prefix("/lists?") {
        let prefix = query.split('&').find_map(|pair| pair.strip_prefix("prefix=")).unwrap_or_default();
        listed(objects, &prefix.replace("%2F", "/").replace("%3D", "="))
    } else {
        let key = target.strip_prefix("/lists/").unwrap_or_default().replace("%3D", "=");
        match objects.get(&key) {
            None => error("404 Not Found", "NoSuchKey"),
            Some(_) if key == "denied.csv" => error("403 Forbidden", "AccessDenied"),
            Some(_) if key == "changing.csv" && method == "GET" => {
                error("412 Precondition Failed", "PreconditionFailed")
            }
            Some(text) => {
                let common = "Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\nx-amz-version-id: v7\r\nConnection: close\r\n";
                let etag = format!("ETag: \"etag-of-{key}\"\r\n");
                if method == "HEAD" {
                    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{etag}{common}\r\n", text.len())
                } else {
                    assert_eq!(header("If-Match"), Some(format!("\"etag-of-{key}\"")), "one version is read");
                    let range = header("Range").unwrap();
                    let (from, to) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
                    let (from, to): (usize, usize) = (from.parse().unwrap(), to.parse().unwrap());
                    let piece = &text[from..=to.min(text.len() - 1)];
                    let sent = if key == "cut.csv" { &piece[..piece.len() / 2] } else { piece };
                    format!(
                        "HTTP/1.1 206 Partial Content\r\nContent-Length: {}\r\nContent-Range: bytes {from}-{}/{}\r\n{etag}{common}\r\n{sent}",
                        piece.len(),
                        from + piece.len() - 1,
                        text.len()
                    )
                }
            }
        }
    };
    let _ = stream.write_all(answer.as_bytes());
}

/// ListObjectsV2 with the delimiter `/`.
fn listed(objects: &BTreeMap<String, String>, prefix: &str) -> String {
    let mut found = String::new();
    let mut folders: Vec<String> = Vec::new();
    for (key, text) in objects.iter().filter(|(key, _)| key.starts_with(prefix)) {
        match key[prefix.len()..].split_once('/') {
            Some((folder, _)) => folders.push(format!("{prefix}{folder}/")),
            None => found.push_str(&format!(
                "<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>\
                 <ETag>\"etag-of-{key}\"</ETag><Size>{}</Size></Contents>",
                text.len()
            )),
        }
    }
    folders.dedup();
    let folders: String = folders
        .iter()
        .map(|folder| format!("<CommonPrefixes><Prefix>{folder}</Prefix></CommonPrefixes>"))
        .collect();
    let body = format!(
        "<ListBucketResult><Name>lists</Name><IsTruncated>false</IsTruncated>{found}{folders}</ListBucketResult>"
    );
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// A campaign with these lists.
fn with_lists(dir: &Dir, port: u16, lists: &str) -> String {
    let file = campaign(dir, "one", port, "", "");
    let text = std::fs::read_to_string(dir.path().join(&file)).unwrap();
    dir.write(&file, text.replace("[\"one.csv\"]", lists));
    file
}

#[test]
fn a_list_in_an_object_store_is_read_like_a_file() {
    let store = Store::start(&[
        ("de/dt=2026-01/a.csv", "email,n\na@one.example,1\nb@one.example,2\n"),
        ("de/dt=2026-02/b.csv", "email,n\nc@one.example,3\n"),
        ("de/dt=2026-02/b.txt", "not a list"),
        ("more.jsonl", "{\"email\": \"d@one.example\", \"n\": 4, \"dt\": \"2026-03\"}\n"),
    ]);
    let (dir, relay) = (Dir::new(), Relay::start(Options::default()));
    let file = with_lists(&dir, relay.port(), r#"["s3://lists/de/dt=*/*.csv", "s3://lists/more.jsonl"]"#);
    let ran = store.run(&dir, &["send", &file]).ended(0);
    assert_eq!(dir.dispositions("one"), [("accepted".to_owned(), 4)]);

    let manifest = std::fs::read_to_string(dir.run_of("one").join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    let input = &manifest["inputs"][1];
    assert_eq!(input["path"], "s3://lists/de/dt=2026-02/b.csv");
    assert_eq!(input["shown"], "s3://lists/de/dt=2026-02/b.csv");
    assert_eq!(input["object"]["etag"], "\"etag-of-de/dt=2026-02/b.csv\"");
    assert_eq!(input["object"]["version"], "v7");
    assert_eq!(input["partition"]["dt"], "2026-02");
    let requests = store.requests.lock().unwrap().clone();
    let signed = format!("authorization: AWS4-HMAC-SHA256 Credential={KEY_ID}/");
    assert!(requests.iter().all(|request| request.contains(&signed)), "{requests:?}");
    assert!(!ran.stderr().contains(SECRET) && !ran.stdout().contains(SECRET));
    assert!(dir.files_with(SECRET).is_empty() && dir.files_with(KEY_ID).is_empty());

    // The same objects are the same run; others are not.
    store.run(&dir, &["send", &file]).ended(0).says("finished");
    assert_eq!(relay.stats().accepted, 4);
    let planned = store.run(&dir, &["plan", &file, "--list", "s3://lists/more.jsonl"]).ended(0).stdout();
    assert!(planned.contains("s3://lists/more.jsonl"), "{planned}");
    relay.stop();
}

#[test]
fn what_keeps_an_object_from_being_read_is_said_with_its_url() {
    let list = "email,n\na@one.example,1\n";
    let objects = ["denied.csv", "cut.csv", "changing.csv", "empty/x.txt"].map(|key| (key, list));
    let store = Store::start(&objects);
    let (dir, relay) = (Dir::new(), Relay::start(Options::default()));
    for (url, problem, hint) in [
        (
            "s3://lists/missing.csv",
            "the object store has no such object",
            "check bucket, key and AWS_ENDPOINT_URL",
        ),
        ("s3://lists/denied.csv", "the object store refuses access", "s3:GetObject"),
        ("s3://lists/cut.csv", "the object store failed", "AWS_ENDPOINT_URL"),
        ("s3://lists/changing.csv", "the object changed while it was fetched", "another key"),
        ("s3://lists/empty/*.csv", "no object matches", "`*` stands for"),
        ("s3://lists/**/x.csv", "`**` is not known in object stores", "each depth"),
        ("s3://lists", "the URL names no object", "s3://bucket/folder/list.csv"),
    ] {
        let file = with_lists(&dir, relay.port(), &format!("[\"{url}\"]"));
        let said = store.run(&dir, &["send", &file]).ended(2).stderr();
        assert!(said.contains(problem) && said.contains(hint) && said.contains(url), "{said}");
        assert!(!said.contains(SECRET), "{said}");
        let said = said.split("error:").nth(1).unwrap_or_default();
        assert!(!said.contains(KEY_ID), "{said}");
    }
    let file = with_lists(&dir, relay.port(), r#"["s3://lists/x.csv"]"#);
    let plain = store.run_at(&dir, &["send", &file], "http://store.example").ended(2).stderr();
    assert!(plain.contains("plain HTTP is only for a store on this machine"), "{plain}");
    assert_eq!(relay.stop().accepted, 0);
}

//! Lists as they come: compressed, JSON lines, bare addresses; in runs and in imports.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use flate2::Compression;
use flate2::write::GzEncoder;
use mailrun::sandbox::Options;
use serde_json::{Value, json};

use crate::kit::{Dir, Ran, Relay, campaign};

fn gz(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_run_takes_compressed_files_json_lines_and_bare_lists_mixed() {
    let relay = Relay::start(Options::default());
    let dir = Dir::new();
    let file = campaign(&dir, "c", relay.port(), "", "");
    dir.write("a.csv.gz", gz("email,n\nann@x.example,1\nbob@x.example,2\n"));
    let lines = "{\"email\":\"cleo@x.example\",\"n\":3}\n{\"email\":\"dan@x.example\"\n";
    dir.write("b.jsonl.zst", zstd::encode_all(lines.as_bytes(), 3).unwrap());
    dir.write("c.txt", "eve@x.example\nANN@x.example\n");
    let lists = ["--list", "a.csv.gz", "--list", "b.jsonl.zst", "--list", "c.txt"];
    let args = [
        &["send", &file, "--set", "stop.max-invalid-percent=100", "--set", "template.defaults.n=0"][..],
        &lists,
    ]
    .concat();
    dir.run(&args).ended(0);
    let accepted = ("accepted".to_owned(), 4);
    assert_eq!(dir.dispositions("c"), [accepted, ("duplicate".to_owned(), 1), ("invalid".to_owned(), 1)]);
    let rows = dir.results("c");
    let invalid = rows.iter().find(|row| row.source_file.ends_with("b.jsonl.zst") && row.row == 2).unwrap();
    assert_eq!(invalid.detail.as_deref(), Some("not JSON at character 26: `,` or `}` is missing"));
    // The same files are the same run.
    dir.run(&args).ended(0);
    assert_eq!(relay.stop().accepted, 4);
}

#[test]
fn a_list_that_was_cut_short_sends_nothing() {
    let relay = Relay::start(Options::default());
    let dir = Dir::new();
    let file = campaign(&dir, "c", relay.port(), "", "");
    let packed =
        gz(&format!("email\n{}", (0..2_000).map(|n| format!("{n}@x.example\n")).collect::<String>()));
    dir.write("a.csv.gz", &packed[..packed.len() - 9]);
    let ran = dir.run(&["send", &file, "--list", "a.csv.gz"]).ended(2);
    ran.says("the file was cut short: its gzip data can't be unpacked after ").says("a.csv.gz");
    assert_eq!(relay.stop().accepted, 0);
}

#[test]
fn an_import_takes_the_same_lists_and_speaks_of_its_own_options() {
    let dir = Dir::new();
    dir.write("bare.txt", "ann@x.example\nBob@x.example\nnobody\n");
    let ran = dir.run(&["suppress", "import", "bare.txt"]).ended(1);
    ran.says("bare.txt, row 3: invalid address `nobody`").says("3 rows read: 2 added");
    dir.write("more.csv.gz", gz("email,reason\ncleo@x.example,complaint\n"));
    dir.write("more.jsonl", "{\"email\":\"dan@x.example\",\"expires\":\"never\"}\n");
    dir.run(&["suppress", "import", "more.csv.gz", "more.jsonl"]).ended(0).says("2 rows read: 2 added");
    let listed = dir.run(&["suppress", "list"]).ended(0).stdout();
    assert!(["ann@", "Bob@", "cleo@", "dan@"].iter().all(|name| listed.contains(name)), "{listed}");

    dir.write("other.csv", "mail,name\nann@x.example,Ann\n");
    dir.write("empty.csv", "");
    for (file, says) in [
        ("other.csv", "no column `email`"),
        ("other.csv", "`--column` names another one; the columns are `mail`, `name`"),
        ("none.csv", "paths start from the current folder"),
        ("empty.csv", "the file is empty"),
    ] {
        let ran = dir.run(&["suppress", "import", file]).ended(2).says(says);
        let said = ran.stderr();
        assert!(!said.contains("target-group") && !said.contains("campaign"), "{said}");
    }
}

#[test]
fn a_list_with_rows_between_stray_quotes_is_not_sent_to() {
    let relay = Relay::start(Options::default());
    let dir = Dir::new();
    let file = campaign(&dir, "c", relay.port(), "", "");
    dir.write("a.csv", "email,n\nann@x.example,\"1\nbob@x.example,2\"\ncid@x.example,3\n");
    let send = ["send", &file, "--list", "a.csv"];
    for _ in 0..2 {
        dir.run(&send).ended(2).says("stray-quotes").says("a.csv:2, row 1");
    }
    let check = ["check", &file, "--list", "a.csv", "--sandbox", "--offline", "--json"];
    let report: Value = serde_json::from_str(&dir.run(&check).ended(3).stdout()).unwrap();
    let findings = report["findings"].as_array().unwrap();
    assert!(findings.iter().any(|finding| finding["id"] == "stray-quotes" && finding["level"] == "refused"));
    // The run that was refused is not in the way of the one that is allowed.
    dir.run(&[&send[..], &["--set", "target-group.stray-quotes=allow"]].concat()).ended(0);
    assert_eq!(relay.stop().accepted, 2);
}

#[test]
fn plan_and_check_show_how_a_list_is_read() {
    let dir = Dir::new();
    let file = campaign(&dir, "c", 25, "", "");
    let (text, ..) = encoding_rs::KOI8_R
        .encode("email;n\r\nann@x.example;Иван\r\nbob@x.example;Ольга\r\nc@x.example;Мария\r\n");
    dir.write("a.csv", text);
    let reading = json!({
        "format": "CSV", "encoding": {"is": "koi8-u", "from": "detected"},
        "delimiter": {"is": ";", "from": "detected"}, "line_ends": "CRLF", "header": "header line",
        "samples": ["Иван", "Ольга", "Мария"],
    });
    for args in [&["plan"][..], &["check", "--sandbox", "--offline"]] {
        let args = [args, &[file.as_str(), "--list", "a.csv"]].concat();
        let ran = dir.run(&[&args[..], &["--json"]].concat()).ended(0);
        let report: Value = serde_json::from_str(&ran.stdout()).unwrap();
        assert_eq!(report["files"][0]["reading"], reading);
        let text = dir.run(&args).ended(0).stdout();
        let line = "a.csv: CSV, koi8-u (detected), `;` (detected), CRLF line ends, header line; reads `Иван`, \
                    `Ольга`, `Мария`";
        assert!(text.contains(line), "{text}");
    }
    dir.write("a.csv", b"email,n\nann@x.example,Pe\xf1a\n");
    dir.run(&["plan", &file, "--list", "a.csv"]).ended(2).says("the file's encoding can't be told");
    let named = ["plan", &file, "--list", "a.csv", "--set", "target-group.encoding=latin1"];
    assert!(dir.run(&named).ended(0).stdout().contains("windows-1252 (campaign file)"));
}

#[test]
fn folders_give_columns_and_belong_to_the_run() {
    let relay = Relay::start(Options::default());
    let dir = Dir::new();
    let file = campaign(&dir, "c", relay.port(), "", "");
    for (n, name) in [("7", "ann"), ("8", "bob")] {
        dir.write(&format!("n={n}/a.csv"), format!("email\n{name}@x.example\n"));
    }
    let send = ["send", &file, "--list", "n=*/a.csv"];
    dir.run(&send).ended(0);
    let manifest = fs::read(dir.run_of("c").join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(manifest["inputs"][1]["partition"], json!({"n": "8"}));
    dir.run(&send).ended(0);
    assert_eq!(relay.stop().accepted, 2);
}

#[test]
fn a_list_from_stdin_is_kept_with_its_run() {
    let relay = Relay::start(Options::default());
    let dir = Dir::new();
    let file = campaign(&dir, "c", relay.port(), "", "");
    let piped = |args: &[&str], text: &str| {
        let mut child = dir
            .command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        Ran(child.wait_with_output().unwrap())
    };
    let (rows, send) = ("email;n\nann@x.example;1\nbob@x.example;2\n", ["send", &file, "--list", "-"]);
    let plan = piped(&["plan", &file, "--list", "-"], rows).ended(0).stdout();
    assert!(plan.contains("stdin: CSV, utf-8 (detected), `;` (detected)"), "{plan}");
    piped(&send, rows).ended(0);
    let kept = dir.run_of("c").join("stdin");
    assert_eq!(fs::read_to_string(&kept).unwrap(), rows);
    assert_eq!(fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(dir.results("c").iter().all(|row| row.source_file == "stdin"));
    // The same rows are the same run, from stdin or from what was kept.
    piped(&send, rows).ended(0);
    dir.run(&["send", &file, "--list", kept.to_str().unwrap()]).ended(0);
    assert_eq!(relay.stop().accepted, 2);
    dir.run_of("c");
    piped(&["plan", &file, "--list", "-"], "").ended(2).says("the file is empty");
}

#[test]
fn a_byte_order_mark_against_the_campaign_file_is_said() {
    let dir = Dir::new();
    dir.write("c.csv", "\u{feff}email,n\nann@x.example,Zoë\n");
    let file = campaign(&dir, "c", 25, "", "");
    let text = fs::read_to_string(dir.path().join(&file)).unwrap();
    let with = |encoding: &str| {
        let text = text.replace("[template]", &format!("encoding = \"{encoding}\"\n[template]"));
        dir.write(&file, text);
        dir.run(&["plan", &file]).ended(0)
    };
    let ran = with("windows-1252");
    ran.says(
        "`c.csv` is read as utf-8, as its byte order mark says, and not as `encoding = \"windows-1252\"`",
    );
    assert!(!with("utf-8").stderr().contains("byte order mark"));
}

#[test]
fn a_list_of_the_command_line_has_its_own_words() {
    let dir = Dir::new();
    fs::create_dir(dir.path().join("c")).unwrap();
    let file = campaign(&dir, "c", 25, "", "");
    for list in ["none.csv", "none-*.csv"] {
        let ran = dir.run(&["plan", &file, "--list", list]).ended(2);
        ran.says("none").says("paths start from the current folder");
    }
    dir.write("other.csv", "email,n\nann@x.example,1\n");
    let plan = dir.run(&["plan", &file, "--list", "other.csv"]).ended(0).stdout();
    assert!(plan.starts_with("  other.csv  1  row\n"), "{plan}");
}

#[test]
fn an_import_names_rows_that_swallowed_others() {
    let dir = Dir::new();
    dir.write("c.csv", "email,source\na@x.example,\"desk\nb@x.example,desk\"\nc@x.example,desk\n");
    let ran = dir.run(&["suppress", "import", "c.csv"]).ended(1);
    ran.says("c.csv, row 1: a quoted field goes over several lines and seems to hold other rows")
        .says("a stray quote on line 2")
        .says("2 rows read: 2 added");
    dir.write("c.csv", "email,source\na@x.example,\"desk\non the left\"\n");
    dir.run(&["suppress", "import", "c.csv"]).ended(0);
}

#[test]
fn complaints_are_suppressed_whatever_their_expires_says() {
    let dir = Dir::new();
    let rows = "email,reason,expires\nann@x.example,complaint,2026-12-31\nbob@x.example,complaint,soon\n\
                cid@x.example,manual,2999-12-31\ndan@x.example,manual,soon\n";
    dir.write("c.csv", rows);
    let ran = dir.run(&["suppress", "import", "c.csv"]).ended(1);
    ran.says("4 rows read: 3 added").says("c.csv, row 4: `soon` is not a time");
    let list = dir.run(&["suppress", "list"]).ended(0).stdout();
    assert!(list.contains("ann@x.example") && list.contains("bob@x.example"), "{list}");
    assert!(
        list.lines().any(|line| line.starts_with("cid@x.example") && line.contains("3000-01-01")),
        "{list}"
    );
}

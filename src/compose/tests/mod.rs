//! The kit of the composer's tests: a campaign in a folder of its own, a row, a message taken
//! apart.

mod encoded;
mod freemarker;
mod jinja;
mod letters;
mod values;
mod partials;
mod startup;
mod message;
mod hostile;

use std::fs;
use std::path::Path;

use mail_parser::{MessageParser, MimeHeaders};
use proptest::prelude::*;
use serde_json::json;

use std::collections::BTreeSet;

use serde_json::Value;

use super::lines::Leaf;
use super::mime::Texts;
use super::*;
use crate::campaign::Campaign;
use crate::mail::{Address, Message, Timestamp};
use crate::plan::Row;
use crate::template::{Fault, TemplateError};

const DATE: Timestamp = Timestamp(1_780_000_000_000_000);

/// A campaign in a folder of its own.
struct Dir {
    folder: tempfile::TempDir,
    toml: String,
}

impl Dir {
    /// A campaign with text and HTML templates; `template` is what follows in `[template]`, and
    /// further tables.
    fn new(subject: &str, template: &str) -> Self {
        let toml = format!(
            "[campaign]\nid = \"spring\"\n[sender]\nfrom = \"Example News <news@mail.example.com>\"\n\
             [target-group]\nfiles = [\"a.csv\"]\nname = \"full_name\"\n[delivery]\nroute = \"sandbox\"\n\
             [template]\nsubject = '{subject}'\n{template}\n"
        );
        let dir = Self { folder: tempfile::tempdir().unwrap(), toml };
        dir.file("campaign.toml", &dir.toml);
        dir
    }

    /// Text and HTML, both as given.
    fn both(text: &str, html: &str) -> Self {
        Self::new("Hello", "text = \"t.txt.hbs\"\nhtml = \"t.html.hbs\"")
            .with("t.txt.hbs", text)
            .with("t.html.hbs", html)
    }

    /// A text alone.
    fn text(text: &str) -> Self {
        Self::new("Hello", "text = \"t.txt.hbs\"").with("t.txt.hbs", text)
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn with(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        self.file(name, content);
        self
    }

    fn more(mut self, toml: &str) -> Self {
        self.toml.push_str(toml);
        self.file("campaign.toml", &self.toml);
        self
    }

    fn campaign(&self) -> Campaign {
        Campaign::parse(&self.toml, &self.folder.path().join("campaign.toml")).unwrap()
    }

    fn composer(&self) -> Composer {
        Composer::new(&self.campaign(), facts()).unwrap()
    }

    fn refused(&self) -> TemplateError {
        Composer::new(&self.campaign(), facts()).expect_err("a campaign that can't be composed")
    }

    fn says(&self, values: Value) -> String {
        let message = self.composer().compose(&row(values), DATE).unwrap();
        String::from_utf8(message.body.concat()).unwrap()
    }

    fn fails(&self, values: Value) -> String {
        self.composer().compose(&row(values), DATE).expect_err("a row that can't be composed").to_string()
    }
}

fn facts() -> RunFacts {
    let token_secret = b"0123456789abcdef".to_vec();
    RunFacts {
        run_id: "2026-05-28".into(),
        token_secret,
        document_secret: b"the secret of the documents".to_vec(),
        is_test: false,
    }
}

fn row(values: Value) -> Row {
    let Value::Object(values) = values else { panic!("a row is an object") };
    Row {
        index: 7,
        file: 0,
        row: 8,
        email: "Jose@Example.org".into(),
        address: Address::parse("Jose@example.org").unwrap(),
        id: Some("c-42".into()),
        name: None,
        values,
        messages: None,
    }
}

fn whole(message: &Message) -> Vec<u8> {
    [&message.header[..], b"\r\n", &message.body.concat()].concat()
}

fn header_text(message: &Message) -> &str {
    std::str::from_utf8(&message.header).unwrap()
}

fn assert_lines_fit(message: &Message) {
    for line in whole(message).split(|&byte| byte == b'\n') {
        assert!(line.len() <= 999, "a line of {} bytes", line.len());
        if let Some((last, rest)) = line.split_last() {
            assert!(*last == b'\r' && !rest.contains(&b'\r'), "a bare line end");
        }
        assert!(!line.contains(&0));
    }
}

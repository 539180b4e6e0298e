//! The list and the templates: one letter for each row.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::sync::Mutex;

use anyhow::Context;
use handlebars::{Handlebars, no_escape};

use crate::Job;

/// What one recipient gets.
pub struct Letter {
    pub email: String,
    pub name: String,
    pub subject: String,
    pub text: String,
    pub html: String,
}

/// Rows that a thread takes at a time: the reader is locked once for all of them.
const BATCH: usize = 64;

/// The rows still to come, for any number of threads.
pub struct Letters {
    rows: Mutex<csv::DeserializeRecordsIntoIter<File, BTreeMap<String, String>>>,
    plain: Handlebars<'static>,
    html: Handlebars<'static>,
}

impl Letters {
    pub fn open(job: &Job) -> anyhow::Result<Self> {
        let read = |path| fs::read_to_string(path).with_context(|| format!("reading `{path:?}`"));
        let mut plain = Handlebars::new();
        plain.register_escape_fn(no_escape);
        plain.register_template_string("subject", &job.subject)?;
        plain.register_template_string("text", read(&job.text)?)?;
        let mut html = Handlebars::new();
        html.register_template_string("html", read(&job.html)?)?;
        let list = csv::Reader::from_path(&job.list).with_context(|| format!("opening `{:?}`", job.list))?;
        Ok(Self { rows: Mutex::new(list.into_deserialize()), plain, html })
    }

    /// The next few letters; none when the list is at its end.
    pub fn next(&self) -> anyhow::Result<Vec<Letter>> {
        let rows = {
            let mut rows = self.rows.lock().expect("no thread panics while it reads a row");
            rows.by_ref().take(BATCH).collect::<Result<Vec<_>, _>>()?
        };
        rows.into_iter().map(|row| self.render(row)).collect()
    }

    fn render(&self, mut row: BTreeMap<String, String>) -> anyhow::Result<Letter> {
        let subject = self.plain.render("subject", &row)?;
        let text = self.plain.render("text", &row)?;
        let html = self.html.render("html", &row)?;
        let email = row.remove("email").context("the list has no column `email`")?;
        let name = row.remove("full_name").unwrap_or_default();
        Ok(Letter { email, name, subject, text, html })
    }
}

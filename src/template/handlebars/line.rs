//! A template of one line: the subject, a field of the header.

use super::super::error::Fault;
use super::super::values::Values;
use super::render::render;
use super::script::{Script, Sink};
use super::source::Sources;

/// The name under which the template is registered, and how it is rendered without Handlebars.
#[derive(Debug)]
pub(crate) struct Line {
    name: String,
    script: Option<(Script, Vec<String>)>,
}

impl Line {
    pub(crate) fn new(sources: &Sources, name: &str) -> Self {
        Self { name: name.to_owned(), script: Script::of(sources, name) }
    }

    pub(crate) fn render(&self, sources: &Sources, values: &Values<'_>) -> Result<String, Fault> {
        if let Some((script, texts)) = &self.script {
            let mut flat = Flat { texts, out: String::new() };
            if script.write(&sources.registry, values, &mut flat).is_ok() {
                return Ok(flat.out);
            }
        }
        render(sources, &self.name, values.context())
    }
}

/// A script's texts and values one after the other.
struct Flat<'a> {
    texts: &'a [String],
    out: String,
}

impl Sink for Flat<'_> {
    fn text(&mut self, number: usize) {
        self.out.push_str(&self.texts[number]);
    }

    fn value(&mut self, text: &str) {
        self.out.push_str(text);
    }
}

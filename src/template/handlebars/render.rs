//! Renders by Handlebars, and says what its errors mean.

use std::io;

use handlebars::{Context, Output, RenderContext, RenderError, RenderErrorReason, Renderable};

use super::super::error::{Fault, Place};
use super::budget;
use super::library::{Library, MAIN};
use super::problem::Problem;

/// Where rendered text goes.
pub(super) struct Buffer {
    pub text: String,
    /// The most bytes of it.
    pub largest: usize,
}

impl Output for Buffer {
    fn write(&mut self, text: &str) -> io::Result<()> {
        if self.text.len() + text.len() > self.largest {
            return Err(io::Error::other(budget::too_large()));
        }
        self.text.push_str(text);
        Ok(())
    }
}

/// Renders the whole template.
pub(super) fn render(library: &Library, context: &Context, room: usize) -> Result<String, Fault> {
    let template = library.registry.get_template(MAIN).expect("it is registered when it is read");
    let largest = library.settings.largest;
    let mut out = Buffer { text: String::with_capacity(room.min(largest)), largest };
    budget::start(largest);
    template
        .render(&library.registry, context, &mut RenderContext::new(None), &mut out)
        .map_err(|error| fault(&error))?;
    Ok(out.text)
}

fn fault(error: &RenderError) -> Fault {
    let place = Place {
        template: error.template_name.clone().unwrap_or_default(),
        line: error.line_no.unwrap_or(0),
        column: error.column_no.unwrap_or(0),
    };
    let inner = match error.reason() {
        RenderErrorReason::NestedError(inner) => inner.downcast_ref::<Problem>(),
        RenderErrorReason::IOError(error) => error.get_ref().and_then(|inner| inner.downcast_ref()),
        _ => None,
    };
    if let Some(problem) = inner {
        return match problem {
            Problem::NoValue(name) => Fault::NoValue { name: name.clone(), place },
            Problem::Value(problem) => Fault::Value { problem: problem.clone(), place },
        };
    }
    let problem = error.reason().to_string();
    let mut chars = problem.chars();
    let lower = chars.next().map(|first| first.to_lowercase().chain(chars).collect());
    Fault::Value { problem: lower.unwrap_or_default(), place }
}

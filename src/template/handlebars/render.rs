//! Renders by Handlebars, and says what its errors mean.

use std::io;

use handlebars::{Context, Output, RenderContext, RenderError, RenderErrorReason, Renderable};

use super::super::error::{Fault, Place};
use super::helpers::Problem;
use super::library::{Library, MAIN};

/// Where rendered text goes.
#[derive(Default)]
pub(super) struct Buffer(pub String);

impl Output for Buffer {
    fn write(&mut self, text: &str) -> io::Result<()> {
        self.0.push_str(text);
        Ok(())
    }
}

/// Renders the whole template.
pub(super) fn render(library: &Library, context: &Context, room: usize) -> Result<String, Fault> {
    let template = library.registry.get_template(MAIN).expect("it is registered when it is read");
    let mut out = Buffer(String::with_capacity(room));
    template
        .render(&library.registry, context, &mut RenderContext::new(None), &mut out)
        .map_err(|error| fault(&error))?;
    Ok(out.0)
}

fn fault(error: &RenderError) -> Fault {
    let place = Place {
        template: error.template_name.clone().unwrap_or_default(),
        line: error.line_no.unwrap_or(0),
        column: error.column_no.unwrap_or(0),
    };
    if let RenderErrorReason::NestedError(inner) = error.reason()
        && let Some(problem) = inner.downcast_ref::<Problem>()
    {
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

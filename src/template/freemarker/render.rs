//! Renders a template for one row.

use super::load::Loaded;
use super::run::{Res, Row, Run, Scope, ScopeKind, Settings};

/// What `loaded` gives for the row of `row`.
pub(super) fn render<'a>(
    loaded: &'a Loaded,
    settings: Settings,
    strict: bool,
    room: usize,
    row: Row<'a>,
) -> Res<String> {
    let mut run = Run::new(&loaded.program, &loaded.names, settings, strict, row);
    run.out = String::with_capacity(room);
    let Some(Some(unit)) = loaded.program.units.first() else { return Ok(String::new()) };
    for number in &unit.macros {
        run.define(*number);
    }
    run.block(&unit.body, &Scope::new(None, ScopeKind::Plain))?;
    Ok(run.out)
}

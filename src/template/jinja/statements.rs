//! The statements of a template, one after the other.

use minijinja::machinery::ast::Stmt;

/// Calls `each` with every statement below `statement`, and with that.
pub(super) fn each_statement<'t, E>(
    statement: &Stmt<'t>,
    each: &mut dyn FnMut(&Stmt<'t>) -> Result<(), E>,
) -> Result<(), E> {
    each(statement)?;
    let bodies: [&[Stmt<'t>]; 2] = match statement {
        Stmt::Template(template) => [&template.children, &[]],
        Stmt::ForLoop(it) => [&it.body, &it.else_body],
        Stmt::IfCond(it) => [&it.true_body, &it.false_body],
        Stmt::WithBlock(it) => [&it.body, &[]],
        Stmt::SetBlock(it) => [&it.body, &[]],
        Stmt::AutoEscape(it) => [&it.body, &[]],
        Stmt::FilterBlock(it) => [&it.body, &[]],
        Stmt::Block(it) => [&it.body, &[]],
        Stmt::Macro(it) => [&it.body, &[]],
        Stmt::CallBlock(it) => [&it.macro_decl.body, &[]],
        Stmt::EmitExpr(_)
        | Stmt::EmitRaw(_)
        | Stmt::Set(_)
        | Stmt::Import(_)
        | Stmt::FromImport(_)
        | Stmt::Extends(_)
        | Stmt::Include(_)
        | Stmt::Continue(_)
        | Stmt::Break(_)
        | Stmt::Do(_) => [&[], &[]],
    };
    bodies.into_iter().flatten().try_for_each(|inner| each_statement(inner, each))
}

//! Finds the columns that a template uses, and checks the names of filters, tests and functions.

use std::collections::{BTreeMap, BTreeSet};

use minijinja::machinery::ast::{
    BinOpKind, Call, CallArg, Expr, Filter, ForLoop, IfCond, Macro, Stmt, UnaryOpKind,
};

use super::super::error::TemplateError;
use super::super::helpers::{Helper, Literals};
use super::super::uses::{BUILT_IN, Uses};
use super::filters;
use super::library::{Library, names_of};
use super::names::{FILTERS, FUNCTIONS, TESTS};

/// What the template and its files use of a row.
pub(super) fn uses_of(library: &Library) -> Result<Uses, TemplateError> {
    let trees =
        (0..library.files.len()).map(|number| library.parse(number)).collect::<Result<Vec<_>, _>>()?;
    let mut walker = Walker {
        library,
        trees: &trees,
        file: 0,
        uses: Uses::default(),
        levels: BTreeMap::new(),
        visited: BTreeSet::new(),
    };
    walker.file(0, &mut Scope::default())?;
    Ok(walker.uses)
}

/// The most values that may be made of one another.
const LEVELS: u32 = 20;

/// Whether a value must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    Printed,
    Tested,
}
use Need::{Printed, Tested};

/// The names that the template itself gives values to.
#[derive(Debug, Clone, Default)]
struct Scope {
    /// The innermost last.
    sure: Vec<String>,
    /// Those set in some branch only.
    perhaps: BTreeSet<String>,
}

struct Walker<'l, 't> {
    library: &'l Library,
    trees: &'l [Stmt<'t>],
    /// The file that is walked.
    file: usize,
    uses: Uses,
    /// How often the value of a name was made of values that were made.
    levels: BTreeMap<String, u32>,
    /// The files that were walked, each with the names that were known there.
    visited: BTreeSet<(usize, BTreeSet<String>)>,
}

type Done = Result<(), TemplateError>;

impl Walker<'_, '_> {
    fn file(&mut self, number: usize, scope: &mut Scope) -> Done {
        if !self.visited.insert((number, scope.sure.iter().cloned().collect())) {
            return Ok(());
        }
        let outer = std::mem::replace(&mut self.file, number);
        let trees = self.trees;
        self.statement(&trees[number], scope)?;
        self.file = outer;
        Ok(())
    }

    /// Walks the files that `name` may be.
    fn files(&mut self, name: &Expr<'_>, scope: &mut Scope) -> Done {
        let numbers =
            names_of(name).unwrap_or_default().into_iter().filter_map(|name| self.library.number(&name));
        match numbers.collect::<Vec<_>>().first() {
            Some(number) => self.file(*number, scope),
            None => Ok(()),
        }
    }

    fn all(&mut self, statements: &[Stmt<'_>], scope: &mut Scope) -> Done {
        statements.iter().try_for_each(|statement| self.statement(statement, scope))
    }

    /// Statements whose names end with them.
    fn inner(&mut self, statements: &[Stmt<'_>], names: &[&str], scope: &mut Scope) -> Done {
        let outer = scope.sure.len();
        scope.sure.extend(names.iter().map(|&name| name.to_owned()));
        self.all(statements, scope)?;
        scope.sure.truncate(outer);
        Ok(())
    }

    fn statement(&mut self, statement: &Stmt<'_>, scope: &mut Scope) -> Done {
        match statement {
            Stmt::Template(it) => {
                scope.sure.push("self".to_owned());
                self.all(&it.children, scope)
            }
            Stmt::EmitExpr(it) => self.expression(&it.expr, Printed, scope),
            Stmt::EmitRaw(_) | Stmt::Continue(_) | Stmt::Break(_) => Ok(()),
            Stmt::ForLoop(it) => self.for_loop(it, scope),
            Stmt::IfCond(it) => self.condition(it, scope),
            Stmt::WithBlock(it) => {
                let outer = scope.sure.len();
                for (target, value) in &it.assignments {
                    self.expression(value, Tested, scope)?;
                    self.levels(target, value)?;
                    self.assign(target, scope)?;
                }
                self.all(&it.body, scope)?;
                scope.sure.truncate(outer);
                Ok(())
            }
            Stmt::Set(it) => {
                self.expression(&it.expr, Tested, scope)?;
                self.levels(&it.target, &it.expr)?;
                self.assign(&it.target, scope)
            }
            Stmt::SetBlock(it) => {
                if let Some(filter) = &it.filter {
                    self.expression(filter, Printed, scope)?;
                }
                self.inner(&it.body, &[], scope)?;
                self.assign(&it.target, scope)
            }
            Stmt::AutoEscape(it) => self.all(&it.body, scope),
            Stmt::FilterBlock(it) => {
                self.expression(&it.filter, Printed, scope)?;
                self.inner(&it.body, &[], scope)
            }
            Stmt::Block(it) => self.inner(&it.body, &["super"], scope),
            Stmt::Include(it) => self.files(&it.name, &mut scope.clone()),
            Stmt::Extends(it) => self.files(&it.name, &mut scope.clone()),
            Stmt::Import(it) => {
                self.files(&it.expr, &mut Scope::default())?;
                self.assign(&it.name, scope)
            }
            Stmt::FromImport(it) => {
                self.files(&it.expr, &mut Scope::default())?;
                it.names
                    .iter()
                    .try_for_each(|(name, alias)| self.assign(alias.as_ref().unwrap_or(name), scope))
            }
            Stmt::Macro(it) => {
                scope.sure.push(it.name.to_owned());
                self.macro_body(it, scope)
            }
            Stmt::CallBlock(it) => {
                self.call(&it.call, scope)?;
                self.macro_body(&it.macro_decl, scope)
            }
            Stmt::Do(it) => self.call(&it.call, scope),
        }
    }

    fn for_loop(&mut self, it: &ForLoop<'_>, scope: &mut Scope) -> Done {
        self.expression(&it.iter, Printed, scope)?;
        let outer = scope.sure.len();
        scope.sure.push("loop".to_owned());
        self.assign(&it.target, scope)?;
        if let Some(filter) = &it.filter_expr {
            self.expression(filter, Tested, scope)?;
        }
        self.all(&it.body, scope)?;
        scope.sure.truncate(outer);
        self.inner(&it.else_body, &[], scope)
    }

    /// What both branches set is set afterwards.
    fn condition(&mut self, it: &IfCond<'_>, scope: &mut Scope) -> Done {
        self.expression(&it.expr, Tested, scope)?;
        let outer = scope.sure.len();
        self.all(&it.true_body, scope)?;
        let first = scope.sure.split_off(outer);
        self.all(&it.false_body, scope)?;
        let second = scope.sure.split_off(outer);
        for name in first.iter().chain(&second) {
            if first.contains(name) && second.contains(name) {
                scope.sure.push(name.clone());
            } else {
                scope.perhaps.insert(name.clone());
            }
        }
        Ok(())
    }

    fn macro_body(&mut self, it: &Macro<'_>, scope: &mut Scope) -> Done {
        it.defaults.iter().try_for_each(|value| self.expression(value, Tested, scope))?;
        let outer = scope.sure.len();
        scope.sure.push("caller".to_owned());
        it.args.iter().try_for_each(|name| self.assign(name, scope))?;
        self.all(&it.body, scope)?;
        scope.sure.truncate(outer);
        Ok(())
    }

    fn assign(&mut self, target: &Expr<'_>, scope: &mut Scope) -> Done {
        match target {
            Expr::Var(name) => {
                scope.sure.push(name.id.to_owned());
                Ok(())
            }
            Expr::List(it) => it.items.iter().try_for_each(|name| self.assign(name, scope)),
            Expr::Tuple(it) => it.items.iter().try_for_each(|name| self.assign(name, scope)),
            other => self.expression(other, Tested, scope),
        }
    }

    fn expressions<'e, 't: 'e>(
        &mut self,
        all: impl IntoIterator<Item = &'e Expr<'t>>,
        need: Need,
        scope: &Scope,
    ) -> Done {
        all.into_iter().try_for_each(|expression| self.expression(expression, need, scope))
    }

    fn expression(&mut self, expression: &Expr<'_>, need: Need, scope: &Scope) -> Done {
        match expression {
            Expr::Var(name) => {
                self.name(name.id, expression.span().start_offset as usize, need, scope);
                Ok(())
            }
            Expr::Const(_) => Ok(()),
            Expr::Slice(it) => {
                let bounds = [&it.start, &it.stop, &it.step].into_iter().flatten();
                self.expressions(std::iter::once(&it.expr).chain(bounds), Printed, scope)
            }
            Expr::UnaryOp(it) => {
                let need = match it.op {
                    UnaryOpKind::Not => Tested,
                    UnaryOpKind::Neg => Printed,
                };
                self.expression(&it.expr, need, scope)
            }
            Expr::BinOp(it) => {
                use BinOpKind::{
                    Add, Concat, Div, Eq, FloorDiv, Gt, Gte, In, Lt, Lte, Mul, Ne, Pow, Rem, ScAnd, ScOr, Sub,
                };
                let (left, right) = match it.op {
                    ScAnd | ScOr => (Tested, need),
                    Eq | Ne | Lt | Lte | Gt | Gte | In => (Printed, Printed),
                    Add | Sub | Mul | Div | FloorDiv | Rem | Pow | Concat => (Printed, Printed),
                };
                if let Add = it.op {
                    self.addition(expression)?;
                }
                self.expression(&it.left, left, scope)?;
                self.expression(&it.right, right, scope)
            }
            Expr::Compare(it) => {
                let others = it.ops.iter().map(|operand| &operand.expr);
                self.expressions(std::iter::once(&it.expr).chain(others), Printed, scope)
            }
            Expr::IfExpr(it) => {
                self.expression(&it.test_expr, Tested, scope)?;
                self.expressions(std::iter::once(&it.true_expr).chain(&it.false_expr), need, scope)
            }
            Expr::Filter(it) => self.filter(it, expression.span().start_offset as usize, need, scope),
            Expr::Test(it) => {
                if !TESTS.contains(&it.name) {
                    let problem = format!("test `{}` is not known", it.name);
                    let error = self.error(expression.span().start_offset as usize, problem);
                    return Err(error.nearest(it.name, TESTS.iter()));
                }
                self.expression(&it.expr, Tested, scope)?;
                self.arguments(&it.args, Tested, scope)
            }
            Expr::GetAttr(it) => self.expression(&it.expr, Printed, scope),
            Expr::GetItem(it) => self.expressions([&it.expr, &it.subscript_expr], Printed, scope),
            Expr::Call(it) => self.call(it, scope),
            Expr::List(it) => self.expressions(&it.items, Tested, scope),
            Expr::Tuple(it) => self.expressions(&it.items, Tested, scope),
            Expr::Map(it) => self.expressions(it.keys.iter().chain(&it.values), Tested, scope),
        }
    }

    /// Lists that are added to themselves again and again have no end that the crate charges for.
    fn addition(&self, expression: &Expr<'_>) -> Done {
        let mut terms = Vec::new();
        terms_of(expression, &mut terms);
        let written = terms.len();
        terms.sort();
        terms.dedup();
        match terms.len() == written {
            true => Ok(()),
            false => {
                let problem = "a value is added to itself";
                Err(self.error(expression.span().start_offset as usize, problem).hint("multiply it: `x * 2`"))
            }
        }
    }

    /// Bounds how often a value is made of others: each time it may double.
    fn levels(&mut self, target: &Expr<'_>, value: &Expr<'_>) -> Done {
        let mut level = 0;
        let mut grows = false;
        let mut open = vec![value];
        while let Some(expression) = open.pop() {
            match expression {
                Expr::Var(name) => level = level.max(self.levels.get(name.id).copied().unwrap_or(0)),
                Expr::Const(_) => {}
                Expr::GetAttr(it) => open.push(&it.expr),
                Expr::GetItem(it) => open.push(&it.expr),
                other => {
                    grows = true;
                    open.extend(parts_of(other));
                }
            }
        }
        level += u32::from(grows);
        if level > LEVELS {
            let problem =
                format!("this value is made of others, which are made of others, more than {LEVELS} times");
            return Err(self.error(value.span().start_offset as usize, problem));
        }
        let mut targets = vec![target];
        while let Some(target) = targets.pop() {
            match target {
                Expr::Var(name) => drop(self.levels.insert(name.id.to_owned(), level)),
                other => targets.extend(parts_of(other)),
            }
        }
        Ok(())
    }

    fn filter(&mut self, it: &Filter<'_>, byte: usize, need: Need, scope: &Scope) -> Done {
        let is_default = matches!(it.name, "default" | "d");
        if let Some(value) = &it.expr {
            self.expression(value, if is_default { Tested } else { Printed }, scope)?;
        }
        self.arguments(&it.args, if is_default { need } else { Printed }, scope)?;
        if let Some(helper) = filters::common().find(|helper| helper.name == it.name) {
            return self.helper(helper, it, byte);
        }
        if FILTERS.contains(&it.name) || filters::OWN.contains(&it.name) {
            return Ok(());
        }
        let known = FILTERS.iter().chain(filters::OWN).copied();
        let known = known.chain(filters::common().map(|helper| helper.name));
        Err(self.error(byte, format!("filter `{}` is not known", it.name)).nearest(it.name, known))
    }

    /// Checks the call of a helper that all languages have.
    fn helper(&self, helper: &Helper, it: &Filter<'_>, byte: usize) -> Done {
        let mut arguments = vec![None];
        let mut options = Vec::new();
        for argument in &it.args {
            match argument {
                CallArg::Pos(value) => arguments.push(value.as_const()),
                CallArg::Kwarg(name, value) => options.push((*name, value.as_const())),
                CallArg::PosSplat(_) | CallArg::KwargSplat(_) => return Ok(()),
            }
        }
        let (fewest, most) = helper.arguments;
        if arguments.len() < fewest || arguments.len() > most {
            let problem = format!(
                "`{}` takes {} to {} arguments in its parentheses",
                helper.name,
                fewest - 1,
                most - 1
            );
            return Err(self.error(byte, problem));
        }
        if let Some((name, _)) = options.iter().find(|(name, _)| !helper.options.contains(name)) {
            let error = self.error(byte, format!("`{}` has no option `{name}`", helper.name));
            return Err(match helper.options {
                [] => error,
                options => error.hint(format!("its options are `{}`", options.join("`, `"))),
            });
        }
        let arguments: Vec<Option<&str>> =
            arguments.iter().map(|value| value.as_ref().and_then(|value| value.as_str())).collect();
        let options: Vec<(&str, &str)> =
            options.iter().filter_map(|(name, value)| Some((*name, value.as_ref()?.as_str()?))).collect();
        (helper.check)(&Literals { arguments: &arguments, options: &options })
            .map_err(|problem| self.error(byte, problem))
    }

    fn arguments(&mut self, arguments: &[CallArg<'_>], need: Need, scope: &Scope) -> Done {
        arguments.iter().try_for_each(|argument| match argument {
            CallArg::Pos(value)
            | CallArg::Kwarg(_, value)
            | CallArg::PosSplat(value)
            | CallArg::KwargSplat(value) => self.expression(value, need, scope),
        })
    }

    fn call(&mut self, it: &Call<'_>, scope: &Scope) -> Done {
        match &it.expr {
            Expr::Var(name) => {
                let own = scope.sure.iter().chain(&scope.perhaps);
                let known = FUNCTIONS.iter().copied().chain(own.map(String::as_str));
                if !known.clone().any(|known| known == name.id) {
                    let byte = it.expr.span().start_offset as usize;
                    let error = self.error(byte, format!("function `{}` is not known", name.id));
                    return Err(error.nearest(name.id, known));
                }
            }
            other => self.expression(other, Printed, scope)?,
        }
        // A macro may test what it is given.
        self.arguments(&it.args, Tested, scope)
    }

    fn name(&mut self, name: &str, byte: usize, need: Need, scope: &Scope) {
        if scope.sure.iter().any(|own| own == name) || FUNCTIONS.contains(&name) {
            return;
        }
        let place = self.library.place(self.file, byte);
        let need = if scope.perhaps.contains(name) { Tested } else { need };
        let set = match need {
            _ if BUILT_IN.contains(&name) => &mut self.uses.built_in,
            Printed => &mut self.uses.printed,
            Tested => &mut self.uses.tested,
        };
        set.insert((name.to_owned(), place));
    }

    fn error(&self, byte: usize, problem: impl Into<String>) -> TemplateError {
        self.library.error(self.file, byte, problem)
    }
}

/// The names that are added, as `order.net`.
fn terms_of(expression: &Expr<'_>, terms: &mut Vec<String>) {
    match expression {
        Expr::BinOp(it) if matches!(it.op, BinOpKind::Add) => {
            terms_of(&it.left, terms);
            terms_of(&it.right, terms);
        }
        other => terms.extend(path_of(other)),
    }
}

/// The name that an expression reads, whatever is made of it.
fn path_of(expression: &Expr<'_>) -> Option<String> {
    match expression {
        Expr::Var(name) => Some(name.id.to_owned()),
        Expr::GetAttr(it) => Some(format!("{}.{}", path_of(&it.expr)?, it.name)),
        Expr::GetItem(it) => match it.subscript_expr.as_const() {
            Some(key) => Some(format!("{}.{key}", path_of(&it.expr)?)),
            None => None,
        },
        Expr::Slice(it) => path_of(&it.expr),
        Expr::Filter(it) => path_of(it.expr.as_ref()?),
        _ => None,
    }
}

/// What an expression is made of.
fn parts_of<'e, 't>(expression: &'e Expr<'t>) -> Vec<&'e Expr<'t>> {
    let arguments = |all: &'e [CallArg<'t>]| {
        all.iter().map(|argument| match argument {
            CallArg::Pos(value)
            | CallArg::Kwarg(_, value)
            | CallArg::PosSplat(value)
            | CallArg::KwargSplat(value) => value,
        })
    };
    match expression {
        Expr::Var(_) | Expr::Const(_) => Vec::new(),
        Expr::Slice(it) => {
            std::iter::once(&it.expr).chain([&it.start, &it.stop, &it.step].into_iter().flatten()).collect()
        }
        Expr::UnaryOp(it) => vec![&it.expr],
        Expr::BinOp(it) => vec![&it.left, &it.right],
        Expr::Compare(it) => {
            std::iter::once(&it.expr).chain(it.ops.iter().map(|other| &other.expr)).collect()
        }
        Expr::IfExpr(it) => [&it.test_expr, &it.true_expr].into_iter().chain(&it.false_expr).collect(),
        Expr::Filter(it) => it.expr.iter().chain(arguments(&it.args)).collect(),
        Expr::Test(it) => std::iter::once(&it.expr).chain(arguments(&it.args)).collect(),
        Expr::GetAttr(it) => vec![&it.expr],
        Expr::GetItem(it) => vec![&it.expr, &it.subscript_expr],
        Expr::Call(it) => std::iter::once(&it.expr).chain(arguments(&it.args)).collect(),
        Expr::List(it) => it.items.iter().collect(),
        Expr::Tuple(it) => it.items.iter().collect(),
        Expr::Map(it) => it.keys.iter().chain(&it.values).collect(),
    }
}

//! `#include` and `#import`: other files.

use super::{Elements, Parsed};
use crate::template::freemarker::parser::Wanted;
use crate::template::freemarker::scan::Segment;
use crate::template::freemarker::tree::{Expr, Node};

impl Elements<'_> {
    /// The file that a template names, from the folder of all templates.
    fn file(&mut self, verbatim: bool, needed: bool, name: &str, start: usize) -> Parsed<usize> {
        let own = self.parser.shared.files[self.parser.file as usize].name.clone();
        let base =
            if name.starts_with('/') { "" } else { own.rsplit_once('/').map_or("", |(folder, _)| folder) };
        let mut parts: Vec<&str> = base.split('/').filter(|part| !part.is_empty()).collect();
        for part in name.split('/').filter(|part| !part.is_empty() && *part != ".") {
            if part == ".." && parts.pop().is_none() || part.contains(['\\', '\0']) {
                return Err((start, format!("`{name}` is outside of the templates' folder")));
            }
            if part != ".." {
                parts.push(part);
            }
        }
        let name = parts.join("/");
        let needed = needed.then(|| self.parser.at(start));
        let files = &mut self.parser.shared.files;
        let known = files.iter().position(|file| file.name == name && file.verbatim == verbatim);
        if let Some(number) = known {
            files[number].needed = files[number].needed.or(needed);
            return Ok(number);
        }
        files.push(Wanted { name, verbatim, needed });
        Ok(files.len() - 1)
    }

    fn file_name(&mut self, what: &str) -> Parsed<String> {
        let at = self.parser.lexer.at;
        match self.parser.expression()? {
            Expr::Text(name) => Ok(name),
            _ => Err((
                at,
                format!(
                    "`#{what}` needs the name of a file as a plain string: files are read before the first row"
                ),
            )),
        }
    }

    pub(super) fn include(&mut self, segment: &Segment) -> Parsed {
        let name = self.file_name("include")?;
        let (mut verbatim, mut needed) = (false, self.parser.attempts == 0);
        while !self.at_tag_end()? {
            let (at, option) = self.parser.identifier()?;
            self.parser.expect("=")?;
            match (
                crate::template::freemarker::built_in::snake_case(&option).as_str(),
                self.parser.primary()?,
            ) {
                ("parse", Expr::Bool(parse)) => verbatim = !parse,
                ("ignore_missing", Expr::Bool(ignore)) => needed &= !ignore,
                ("encoding", _) => {}
                _ => {
                    return Err((at, format!("`{option}` is no option of `#include`, or has a wrong value")));
                }
            }
        }
        self.tag_end()?;
        let lenient = self.parser.attempts == 0 && !needed;
        let unit = self.file(verbatim, needed, &name, segment.start)?;
        Ok(Node::Include { unit, lenient, at: self.parser.at(segment.start) })
    }

    pub(super) fn import(&mut self, segment: &Segment) -> Parsed {
        let name = self.file_name("import")?;
        self.word("as")?;
        let (_, variable) = self.parser.identifier()?;
        self.tag_end()?;
        let variable = self.parser.shared.names.number(&variable);
        self.parser.shared.names.assign(variable);
        let unit = self.file(false, self.parser.attempts == 0, &name, segment.start)?;
        Ok(Node::Import { unit, name: variable, at: self.parser.at(segment.start) })
    }
}

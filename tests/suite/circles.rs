//! No circles between the files of one module: whoever reads a file can read what it builds on
//! first.
//!
//! Reads `src/` as text, test code aside: which file names an item of which other file of its
//! module, through `crate::…`, `super::…`, `self::…` or a child's name. A name that a `mod.rs`
//! re-exports counts for the file that has it, and `pub use` is no import but a table of contents.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

type ModulePath = Vec<String>;

struct File {
    /// Its name below `src/`.
    name: String,
    /// Its code, without comments and tests.
    code: String,
    children: Vec<String>,
    /// What its `use` items bring in: the name, and the path as it is written.
    uses: Vec<(String, Vec<String>)>,
}

/// The files of the crate by their module paths.
struct Crate(BTreeMap<ModulePath, File>);

impl Crate {
    fn read(src: &Path) -> Self {
        let mut files = BTreeMap::new();
        read_module(src, &src.join("lib.rs"), Vec::new(), &mut files);
        Self(files)
    }

    /// The module whose file has what `path` names in the module `of`, and whether it is known.
    fn home(&self, of: &ModulePath, path: &[String], depth: usize) -> Option<ModulePath> {
        let mut module = of.clone();
        let mut rest = path;
        match path.first()?.as_str() {
            "crate" => (module, rest) = (Vec::new(), &path[1..]),
            "self" => rest = &path[1..],
            "super" => {
                while rest.first().is_some_and(|word| word == "super") {
                    module.pop()?;
                    rest = &rest[1..];
                }
            }
            _ => {}
        }
        while let Some((word, behind)) = rest.split_first() {
            if !self.0.get(&module)?.children.contains(word) {
                break;
            }
            module.push(word.clone());
            rest = behind;
        }
        // A re-export: the file that has it is the one meant.
        let reexport = rest.first().and_then(|name| {
            let uses = &self.0.get(&module)?.uses;
            uses.iter().find(|(used, path)| used == name && path[0] != *name).map(|(_, path)| path)
        });
        match reexport {
            Some(path) if depth < 8 => self.home(&module, path, depth + 1).or(Some(module)),
            Some(_) | None => self.0.contains_key(&module).then_some(module),
        }
    }

    /// Which files each file names, of those of its own module.
    fn imports(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut imports = BTreeMap::new();
        for (module, file) in &self.0 {
            let Some(top) = module.first() else { continue };
            let homes = paths(&without_reexports(&file.code), &file.children)
                .into_iter()
                .filter_map(|path| self.home(module, &path, 0));
            let named: BTreeSet<&str> = homes
                .filter(|home| home != module && home.first() == Some(top))
                .map(|home| self.0[&home].name.as_str())
                .collect();
            imports.insert(file.name.as_str(), named);
        }
        imports
    }
}

fn read_module(src: &Path, path: &Path, module: ModulePath, files: &mut BTreeMap<ModulePath, File>) {
    let code = without_tests(&fs::read_to_string(path).unwrap());
    let children: Vec<String> = code
        .lines()
        .filter_map(|line| line.trim_start_matches(|c| c != 'm').strip_prefix("mod ")?.strip_suffix(';'))
        .map(str::to_owned)
        .collect();
    let is_folder = path.ends_with("mod.rs") || path.ends_with("lib.rs");
    let folder = if is_folder { path.parent().unwrap().to_owned() } else { path.with_extension("") };
    for child in &children {
        let beside = folder.join(format!("{child}.rs"));
        let file = if beside.exists() { beside } else { folder.join(child).join("mod.rs") };
        let inner = module.iter().chain([child]).cloned().collect();
        read_module(src, &file, inner, files);
    }
    let uses = uses(&code);
    let name = path.strip_prefix(src).unwrap().to_str().unwrap().to_owned();
    files.insert(module, File { name, code, children, uses });
}

/// The code without comments and without the items behind `#[cfg(test)]`, as rustfmt lays them out.
fn without_tests(text: &str) -> String {
    let mut code = String::new();
    let mut lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    while let Some(line) = lines.next() {
        if line.trim() != "#[cfg(test)]" {
            code.push_str(line);
            code.push('\n');
            continue;
        }
        let indent = &line[..line.len() - line.trim_start().len()];
        let is_last = |line: &str| match line.strip_prefix(indent) {
            Some(rest) => !rest.starts_with(' ') && rest.ends_with(['}', ';', ',']),
            None => false,
        };
        lines.by_ref().find(|line| is_last(line));
    }
    code
}

/// The code without `pub use`: a table of contents, not an import.
fn without_reexports(code: &str) -> String {
    let mut rest = code;
    let mut kept = String::new();
    while let Some(at) = rest.find("\npub") {
        let (before, item) = rest.split_at(at + 1);
        kept.push_str(before);
        let end = match item.split_once(" use ") {
            Some((head, _)) if !head.contains([' ', '\n']) => {
                item.find(';').map_or(item.len(), |end| end + 1)
            }
            Some(_) | None => 3,
        };
        kept.push_str(if end == 3 { &item[..3] } else { "" });
        rest = &item[end..];
    }
    kept + rest
}

/// The names that the `use` items bring in, with their paths.
fn uses(code: &str) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("use ") {
        let line = &code[code[..at].rfind('\n').map_or(0, |end| end + 1)..at];
        if line.is_empty() || line.starts_with("pub") {
            let tree = &code[at + 4..];
            let tree = &tree[..tree.find(';').unwrap_or(tree.len())];
            expand(tree, &mut Vec::new(), &mut |path, alias| {
                found.push((alias.to_owned(), path.to_vec()));
            });
        }
    }
    found
}

/// The paths that begin in this module, its parents or its children.
fn paths(code: &str, children: &[String]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let starts = ["crate", "super", "self"].into_iter().chain(children.iter().map(String::as_str));
    for start in starts {
        for (at, _) in code.match_indices(&format!("{start}::")) {
            let before = code[..at].chars().next_back();
            if before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':') {
                expand(&code[at..], &mut Vec::new(), &mut |path, _| found.push(path.to_vec()));
            }
        }
    }
    found
}

/// Calls `found` with each path of a tree `a::{b, c::d as e}`, and the name that it gets; returns
/// what is behind it.
fn expand<'a>(tree: &'a str, path: &mut Vec<String>, found: &mut impl FnMut(&[String], &str)) -> &'a str {
    let depth = path.len();
    let mut rest = tree.trim_start();
    loop {
        if let Some(mut group) = rest.strip_prefix('{') {
            while !group.trim_start().starts_with('}') {
                let behind = expand(group, path, found).trim_start();
                let Some(next) = behind.strip_prefix(',') else {
                    group = behind;
                    break;
                };
                group = next;
            }
            rest = group.trim_start().strip_prefix('}').unwrap_or(group);
            break;
        }
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        if end == 0 {
            found(path, "");
            rest = rest.strip_prefix('*').unwrap_or(rest);
            break;
        }
        path.push(rest[..end].to_owned());
        rest = &rest[end..];
        match rest.strip_prefix("::") {
            Some(behind) => rest = behind,
            None => {
                let alias = rest.strip_prefix(" as ").map(|alias| {
                    let end = alias.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(alias.len());
                    rest = &alias[end..];
                    &alias[..end]
                });
                // `self` in a group is the module before it.
                if path.last().is_some_and(|word| word == "self") && path.len() > 1 {
                    path.pop();
                }
                let name = alias.map_or_else(|| path.last().cloned().unwrap_or_default(), str::to_owned);
                found(path, &name);
                break;
            }
        }
    }
    path.truncate(depth);
    rest
}

/// A way from `from` back to itself, if there is one.
fn circle<'a>(imports: &BTreeMap<&'a str, BTreeSet<&'a str>>, from: &'a str) -> Option<Vec<&'a str>> {
    let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
    let mut next = vec![from];
    while let Some(file) = next.pop() {
        for other in imports.get(file).into_iter().flatten() {
            if *other == from {
                let mut way = vec![from, file];
                while *way.last()? != from {
                    way.push(came_from[way.last()?]);
                }
                way.reverse();
                return Some(way);
            }
            if !came_from.contains_key(other) {
                came_from.insert(other, file);
                next.push(other);
            }
        }
    }
    None
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

#[test]
fn no_circles_between_the_files_of_a_module() {
    let files = Crate::read(&src());
    let imports = files.imports();
    assert!(imports.len() > 200, "{} files were read", imports.len());
    let edges = imports.values().map(BTreeSet::len).sum::<usize>();
    assert!(edges > 300, "{edges} imports were found");
    let found: BTreeSet<String> =
        imports.keys().filter_map(|file| circle(&imports, file)).map(|way| way.join(" -> ")).collect();
    assert!(found.is_empty(), "circles of imports:\n{}", Vec::from_iter(found).join("\n"));
}

#[test]
fn a_circle_is_found_through_reexports_and_groups() {
    let file = |name: &str, code: &str, children: &[&str]| File {
        name: name.to_owned(),
        code: code.to_owned(),
        children: children.iter().map(|child| (*child).to_owned()).collect(),
        uses: uses(code),
    };
    let crate_of = |lane: &str| {
        Crate(BTreeMap::from([
            (vec![], file("lib.rs", "pub mod run;", &["run"])),
            (
                vec!["run".into()],
                file("run/mod.rs", "use lane::{Lane, Segment as Piece};\n", &["lane", "site"]),
            ),
            (vec!["run".into(), "lane".into()], file("run/lane.rs", lane, &[])),
            (vec!["run".into(), "site".into()], file("run/site.rs", "use super::{self, Piece};\n", &[])),
        ]))
    };
    let bad = crate_of("fn f() { crate::run::site::open(); }");
    assert_eq!(bad.imports()["run/site.rs"], BTreeSet::from(["run/lane.rs", "run/mod.rs"]));
    assert_eq!(circle(&bad.imports(), "run/lane.rs").unwrap().len(), 3);
    let bad = crate_of("use super::Site;\n");
    let way = circle(&bad.imports(), "run/lane.rs").unwrap().join(" -> ");
    assert_eq!(way, "run/lane.rs -> run/mod.rs -> run/lane.rs");
    assert_eq!(circle(&crate_of("use crate::mail::Reply;\n").imports(), "run/lane.rs"), None);
}

#[test]
fn test_code_is_left_out() {
    let code = "use super::a::A;\n#[cfg(test)]\nuse super::b::B;\n// super::c\n#[cfg(test)]\nmod tests {\n    use super::d::D;\n}\nfn f() {}\n#[cfg(test)]\nmod more;\n";
    assert_eq!(without_tests(code), "use super::a::A;\nfn f() {}\n");
}

//! The module order of `src/lib.rs` is the order of the imports.

use std::fs;
use std::path::{Path, PathBuf};

/// The modules as `lib.rs` lists them.
fn modules(lib: &str) -> Vec<String> {
    lib.lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .map(str::to_owned)
        .collect()
}

/// The modules that `source` names as `crate::<module>`, also in the groups `crate::{a, b::c}`.
fn imported(source: &str) -> Vec<String> {
    let code: String = source
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| [line, "\n"])
        .collect();
    let mut names = Vec::new();
    for rest in code.split("crate::").skip(1) {
        let Some(group) = rest.strip_prefix('{') else {
            names.push(first_word(rest));
            continue;
        };
        let mut depth = 0_usize;
        let mut start = true;
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => start = true,
                _ if start && c.is_alphanumeric() => {
                    names.push(first_word(&group[at..]));
                    start = false;
                }
                _ => {}
            }
        }
    }
    names
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn a_module_imports_only_from_modules_above_it() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let order = modules(&fs::read_to_string(src.join("lib.rs")).unwrap());
    assert!(order.len() > 10, "lib.rs lists {order:?}");
    let position = |name: &str| order.iter().position(|module| module == name);

    let mut wrong = Vec::new();
    for path in sources(&src) {
        let inside = path.strip_prefix(&src).unwrap();
        let module = inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
        let Some(own) = position(module) else { continue };
        for name in imported(&fs::read_to_string(&path).unwrap()) {
            if position(&name).is_some_and(|other| other > own) {
                wrong.push(format!("{}: `{module}` imports from `{name}`", inside.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "imports against the order of lib.rs:\n{}", wrong.join("\n"));
}

/// The libraries that decide how a thing is done are used where it is done, and nowhere else.
#[test]
fn libraries_stay_in_their_modules() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let homes: [(&str, &[&str]); 3] = [
        ("clap", &["cli"]),
        ("rayon", &["run", "preflight"]),
        ("rusqlite", &["journal", "suppression", "pacing"]),
    ];
    let mut wrong = Vec::new();
    for path in sources(&src) {
        let inside = path.strip_prefix(&src).unwrap();
        let module = inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
        let source = fs::read_to_string(&path).unwrap();
        for (library, allowed) in homes {
            let is_test = inside.to_string_lossy().contains("tests");
            let used = !is_test && source.lines().any(|line| line.contains(&format!("{library}::")));
            if used && !allowed.contains(&module) {
                wrong.push(format!("{}: {library}", inside.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "libraries outside their modules:\n{}", wrong.join("\n"));
}

#[test]
fn the_code_map_of_lib_rs_lists_the_modules_in_their_order() {
    let lib = include_str!("../../src/lib.rs");
    let map: Vec<String> = lib
        .lines()
        .filter_map(|line| Some(line.strip_prefix("//! | [`")?.split_once('`')?.0.to_owned()))
        .collect();
    assert_eq!(map, modules(lib));
}

#[test]
fn imports_are_found_in_every_form() {
    let source = "use crate::mail::Address;\n// crate::run\nuse crate::{plan::{Plan, Row}, dkim};\nlet x = crate::smtp::f();";
    assert_eq!(imported(source), ["mail", "plan", "dkim", "smtp"]);
}

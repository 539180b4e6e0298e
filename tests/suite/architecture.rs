//! The module order of `src/lib.rs` is the order of the imports.

use std::fs;
use std::path::{Path, PathBuf};

/// The modules as `lib.rs` lists them.
fn modules(lib: &str) -> Vec<String> {
    lib.lines()
        .filter_map(|line| line.strip_prefix("pub(crate) ").or(line.strip_prefix("pub ")))
        .filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'))
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

/// The libraries that decide how a thing is done are used where it is done, and nowhere else. A
/// home is a folder of `src`. Tests may use what they test with, but for the engines of state: the
/// traits in front of them are there to be tested through.
#[test]
fn libraries_stay_in_their_modules() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let homes: [(&str, &[&str], Tests); 5] = [
        ("clap", &["cli"], Tests::Exempt),
        ("rayon", &["run", "preflight"], Tests::Exempt),
        ("rusqlite", &["state/sqlite"], Tests::Included),
        ("axum", &["serve"], Tests::Exempt),
        ("minijinja", &["template/jinja"], Tests::Included),
    ];
    let mut wrong = Vec::new();
    for path in sources(&src) {
        let inside = path.strip_prefix(&src).unwrap().with_extension("");
        let source = fs::read_to_string(&path).unwrap();
        for (library, allowed, tests) in &homes {
            let is_exempt = *tests == Tests::Exempt && inside.to_string_lossy().contains("tests");
            let used = !is_exempt && source.lines().any(|line| line.contains(&format!("{library}::")));
            if used && !allowed.iter().any(|home| inside.starts_with(home)) {
                wrong.push(format!("{}: {library}", inside.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "libraries outside their modules:\n{}", wrong.join("\n"));
}

#[derive(Debug, PartialEq, Eq)]
enum Tests {
    Exempt,
    Included,
}

/// What people read is printed by `cli`; everything else returns it, or informs an observer.
#[test]
fn only_the_command_line_prints() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let words = ["println!", "eprintln!", "print!(", "eprint!(", "io::stdout", "io::stderr", "dbg!("];
    let mut wrong = Vec::new();
    for path in sources(&src) {
        let inside = path.strip_prefix(&src).unwrap();
        if inside.starts_with("cli") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        // Tests may say what they left out: their files, and what follows the attribute.
        let is_test = inside.to_string_lossy().contains("tests")
            || inside.starts_with("state/contract")
            || inside.ends_with("fuzzing.rs");
        let code = text.split("#[cfg(test)]").next().unwrap();
        if !is_test && !inside.ends_with("situations.rs") && words.iter().any(|word| code.contains(word)) {
            wrong.push(inside.display().to_string());
        }
    }
    assert!(wrong.is_empty(), "only `cli` prints: {wrong:?}");
}

#[test]
fn no_journal_of_ours_forgets() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let naming = |path: &PathBuf| fs::read_to_string(path).unwrap().to_lowercase().contains("forgetful");
    let names: Vec<PathBuf> = sources(&src).into_iter().filter(naming).collect();
    assert_eq!(names, [] as [PathBuf; 0], "`benches/journal.rs` has one, to measure what a journal costs");
}

/// Tables and drawings are as wide as they are, and a word that is too long can't be broken.
#[test]
fn comments_wrap_at_100_columns() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut wide = Vec::new();
    for path in ["src", "tests", "benches"].iter().flat_map(|folder| sources(&root.join(folder))) {
        let mut drawn = false;
        for (line, text) in fs::read_to_string(&path).unwrap().lines().enumerate() {
            let Some(comment) = text.trim_start().strip_prefix("//") else { continue };
            let comment = comment.trim_start_matches(['/', '!']).trim();
            drawn ^= comment.starts_with("```");
            let breakable = comment.contains(' ') && !comment.starts_with('|') && !drawn;
            if breakable && text.chars().count() > 100 {
                wide.push(format!("{}:{}", path.display(), line + 1));
            }
        }
    }
    assert_eq!(wide, [] as [String; 0], "comments wider than 100 columns");
}

#[test]
fn the_code_map_of_lib_rs_lists_the_modules_in_their_order() {
    let lib = include_str!("../../src/lib.rs");
    let map: Vec<String> = lib
        .lines()
        .filter_map(|line| line.strip_prefix("//! | "))
        .filter_map(|row| Some(row.trim_start_matches('[').strip_prefix('`')?.split_once('`')?.0.to_owned()))
        .collect();
    assert_eq!(map, modules(lib));
}

#[test]
fn imports_are_found_in_every_form() {
    let source = "use crate::mail::Address;\n// crate::run\nuse crate::{plan::{Plan, Row}, dkim};\nlet x = crate::smtp::f();";
    assert_eq!(imported(source), ["mail", "plan", "dkim", "smtp"]);
}

/// The tests that `text` names as paths in backticks: what is no path of a function in lower case
/// is skipped.
fn tests_named(text: &str) -> Vec<&str> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted
        .filter(|name| {
            name.contains("::")
                && !name.ends_with("::")
                && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_:".contains(c))
        })
        .collect()
}

/// Whether there is such a test: `module::module::function` of `src`, `suite::module::function` of
/// these.
fn is_a_test(name: &str) -> bool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let parts: Vec<&str> = name.split("::").collect();
    let (function, modules) = parts.split_last().expect("split gives at least one part");
    let (folder, modules) = match modules.split_first() {
        Some((&"suite", rest)) => (root.join("tests/suite"), rest),
        _ => (root.join("src"), modules),
    };
    (1..=modules.len()).any(|length| {
        let (files, inner) = modules.split_at(length);
        let file = folder.join(files.join("/"));
        let text = |path: PathBuf| fs::read_to_string(path).ok();
        let outer = text(file.with_extension("rs")).or_else(|| text(file.join("mod.rs")));
        outer.is_some_and(|outer| match inner {
            [] => has_test(&outer, function),
            [module] => match elsewhere(&outer, module) {
                Some(path) => text(file.with_file_name(path)).is_some_and(|text| has_test(&text, function)),
                None => outer.contains(&format!("mod {module} {{")) && has_test(&outer, function),
            },
            _ => false,
        })
    })
}

/// The file that a module's `#[path]` names.
fn elsewhere<'a>(text: &'a str, module: &str) -> Option<&'a str> {
    let (before, _) = text.split_once(&format!("\"]\nmod {module};"))?;
    Some(before.rsplit_once("#[path = \"")?.1)
}

fn has_test(text: &str, function: &str) -> bool {
    text.split("#[test]").skip(1).chain(text.split("::test]").skip(1)).any(|code| {
        let code = code.trim_start().trim_start_matches("async ");
        let rest = code.strip_prefix("fn ").and_then(|code| code.strip_prefix(function));
        rest.is_some_and(|rest| rest.starts_with('('))
    })
}

#[test]
fn the_tests_of_the_invariants_are_there() {
    let (_, invariants) =
        include_str!("../../src/lib.rs").split_once("# Invariants").expect("lib.rs states them");
    let text =
        invariants.lines().map_while(|line| line.strip_prefix("//!").or(line.is_empty().then_some("")));
    let text: Vec<&str> = text.collect();
    assert!(!text.iter().any(|line| line.starts_with(" 9. **")), "all of them are looked at");
    for number in 1..=8 {
        let start = text
            .iter()
            .position(|line| line.starts_with(&format!(" {number}. **")))
            .expect("all are numbered");
        let rest = text[start + 1..].iter().take_while(|line| line.starts_with("    "));
        let item: String = text[start..=start].iter().chain(rest).copied().collect();
        let names = tests_named(&item);
        assert!(!names.is_empty(), "invariant {number} names no test");
        for name in names {
            assert!(is_a_test(name), "invariant {number}: there is no test `{name}`");
        }
    }
}

#[test]
fn the_tests_of_bad_days_are_there() {
    let names = tests_named(include_str!("../../docs/bad-days.md"));
    assert!(names.len() > 30, "{names:?}");
    let missing: Vec<&&str> = names.iter().filter(|name| !is_a_test(name)).collect();
    assert!(missing.is_empty(), "docs/bad-days.md names tests that are not there: {missing:#?}");
}

#[test]
fn tests_are_found_by_their_paths() {
    assert!(is_a_test("suite::architecture::tests_are_found_by_their_paths"));
    assert!(is_a_test(
        "journal::writer::tests::after_a_failure_outcomes_are_kept_and_intents_are_given_up_for_good"
    ));
    assert!(is_a_test("state::sqlite::tests::ledger::a_newer_ledger_is_refused"));
    assert!(is_a_test("smtp::connection::tests::auth::auth_that_fails"));
    assert!(!is_a_test("suite::architecture::is_a_test"));
    assert!(!is_a_test("journal::writer::after_a_failure"));
}

//! FreeMarker's own cases, hostile templates, and what is refused.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use super::super::zone::Zone;
use super::elements::Begin;
use super::tree::Setting;
use super::*;

/// What a template gives, or what is wrong with it; true where that is known before any row.
fn rendered(
    name: &str,
    text: &str,
    begin: Begin,
    set: &[(Setting, &str)],
    files: &HashMap<String, String>,
    data: &Json,
) -> Result<String, (bool, String)> {
    let read = |name: &str| -> Result<_, ()> { Ok(files.get(name).cloned()) };
    let loaded =
        load(name, text.to_owned(), begin, read).map_err(|(_, fault)| (true, format!("{:?}", fault.what)))?;
    let mut settings = RunSettings { zone: Zone::parse("GMT+1").unwrap(), ..RunSettings::default() };
    for (setting, value) in set {
        settings.set(*setting, value).unwrap();
    }
    let row = |name: &str| data.get(name).map_or(Some(Value::Nothing), data::borrowed);
    render::render(&loaded, settings, true, 0, &row).map_err(|trouble| (false, format!("{:?}", trouble.what)))
}

fn begin(format: Format) -> Begin {
    Begin { format, must_escape: format == Format::Html }
}

fn html(text: &str, data: &Json) -> Result<String, (bool, String)> {
    rendered("t", text, begin(Format::Html), &[], &HashMap::new(), data)
}

fn plain(text: &str) -> Result<String, (bool, String)> {
    rendered("t", text, begin(Format::Plain), &[], &HashMap::new(), &json!({}))
}

fn corpus() -> Option<PathBuf> {
    let folder = std::env::var_os("MAILRUN_CORPORA").map(|folder| PathBuf::from(folder).join("freemarker"));
    if folder.is_none() {
        eprintln!("not run: MAILRUN_CORPORA is not set");
    }
    folder
}

#[test]
fn small_cases_print_what_freemarker_prints() {
    let Some(folder) = corpus() else { return };
    let cases = fs::read_to_string(folder.join("cases.jsonl")).unwrap();
    let mut passed = 0;
    for case in cases.lines() {
        let case: Json = serde_json::from_str(case).unwrap();
        let format = case["settings"]["output_format"].as_str().map_or(Format::Undefined, |_| Format::Html);
        let set: Vec<_> = case["settings"]["number_format"]
            .as_str()
            .map(|it| (Setting::NumberFormat, it))
            .into_iter()
            .collect();
        let begin = Begin { format, must_escape: false };
        let text = case["template"].as_str().unwrap();
        let given = rendered("t", text, begin, &set, &HashMap::new(), &json!({}));
        match (case["expected"].as_str(), &given) {
            (Some(expected), Ok(given)) => assert_eq!(given, expected, "{text}"),
            (None, Err(_)) => {}
            (Some(_), Err((true, _))) if case["scope"] == "beyond" => {}
            (expected, given) => panic!("{text}\n gives {given:?}\n not {expected:?}"),
        }
        passed += 1;
    }
    assert_eq!(passed, 146);
}

/// The directives that the suite's templates use, as macros.
const SUITE: &str = "<#macro assert test><#if !test><#stop></#if></#macro>\
     <#macro assertEquals actual expected><#if actual != expected><#stop></#if></#macro>\
     <#macro assertFails more...><#local failed=false><#attempt><#local out><#nested></#local>\
     <#recover><#local failed=true></#attempt><#if !failed><#stop></#if></#macro>\
     <#macro noOutput><#local out><#nested></#local></#macro>";

#[test]
fn whole_templates_print_what_freemarker_prints() {
    let Some(folder) = corpus() else { return };
    let suite = folder.join("suite");
    let mut files = HashMap::new();
    for folder in ["", "subdir/"] {
        for entry in fs::read_dir(suite.join("templates").join(folder)).unwrap().flatten() {
            if entry.path().is_file() {
                let name = format!("{folder}{}", entry.file_name().to_str().unwrap());
                files.insert(name, without_comment(&fs::read_to_string(entry.path()).unwrap()));
            }
        }
    }
    let cases = fs::read_to_string(suite.join("cases.tsv")).unwrap();
    let mut passed = 0;
    for case in cases.lines().skip(1) {
        let [name, template, expected, _, scope] = *case.split('\t').collect::<Vec<_>>() else {
            panic!("{case}")
        };
        if scope != "mail" {
            continue;
        }
        let data = json!({ "message": "Hello, world!", "testName": name, "iciIntValue": 2_003_031 });
        let text = with_directives(&files[template]);
        let given = rendered(template, &text, begin(Format::Undefined), &[], &files, &data);
        let given = given.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        if expected != "-" {
            let expected =
                without_comment(&fs::read_to_string(suite.join("expected").join(expected)).unwrap());
            assert_eq!(given.trim_end_matches('\n'), expected.trim_end_matches('\n'), "{name}");
        }
        passed += 1;
    }
    assert_eq!(passed, 13);
}

fn without_comment(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    let pairs = [("<#--", "-->"), ("/*", "*/")];
    let end = pairs.iter().find_map(|(open, close)| {
        text.starts_with(open).then(|| text.find(close).map(|at| at + close.len())).flatten()
    });
    let rest = &text[end.unwrap_or(0)..];
    end.and_then(|_| rest.strip_prefix('\n')).unwrap_or(rest).to_owned()
}

/// The template with [`SUITE`] behind its header, in its kind of tags.
fn with_directives(text: &str) -> String {
    let square = SUITE.replace("</#", "[/#").replace("<#", "[#").replace('>', "]");
    let (suite, end) = match text.trim_start() {
        header if header.starts_with("[#ftl") => (square.as_str(), text.find(']')),
        header if header.starts_with("<#ftl") => (SUITE, text.find('>')),
        _ => (SUITE, None),
    };
    match end {
        Some(end) => format!("{}{suite}{}", &text[..=end], text[end + 1..].trim_start_matches('\n')),
        None => format!("{suite}{text}"),
    }
}

#[test]
fn html_is_always_escaped() {
    let data = json!({ "x": "<b>'\"&", "list": ["<"], "hash": { "<": "<" } });
    let check = |text: &str, expected: &str| {
        assert_eq!(html(text, &data), Ok(expected.to_owned()), "{text}");
    };
    check("${x}", "&lt;b&gt;&#39;&quot;&amp;");
    check("${x + '<'}${'${x}'}", "&lt;b&gt;&#39;&quot;&amp;&lt;&lt;b&gt;&#39;&quot;&amp;");
    check("<#assign y><i>${list[0]}</i></#assign>${y}${y + '<'}", "<i>&lt;</i><i>&lt;</i>&lt;");
    check("<#list hash as k, v>${k}${v}</#list>", "&lt;&lt;");
    check("<#function f a><#return a></#function>${f(list?first)}", "&lt;");
    check("${'<b>'?no_esc}<#noautoesc>${'<i>'}</#noautoesc>${'<'?esc}", "<b><i>&lt;");
    check("<#outputformat 'XML'>${\"'\"}</#outputformat>", "&apos;");
    for refused in [
        "<#ftl output_format='plainText'>${x}",
        "<#ftl auto_esc=false>${x}",
        "<#outputformat 'undefined'>${x}</#outputformat>",
        "${x?html}",
        "<#escape y as y?html>${x}</#escape>",
    ] {
        assert!(html(refused, &data).is_err_and(|(early, _)| early), "{refused}");
    }
}

#[test]
fn languages_write_numbers_and_dates_their_way() {
    let check = |locale: &str, text: &str, expected: &str| {
        let set = [(Setting::Locale, locale)];
        let given = rendered("t", text, begin(Format::Plain), &set, &HashMap::new(), &json!({}));
        assert_eq!(given, Ok(expected.to_owned()), "{locale}: {text}");
    };
    let number = "${1234567.891} ${0.125?string('0.00')}";
    check("en_US", number, "1,234,567.891 0.12");
    check("de_DE", number, "1.234.567,891 0,12");
    check("fr_FR", number, "1\u{202f}234\u{202f}567,891 0,12");
    check("pl_PL", number, "1\u{a0}234\u{a0}567,891 0,12");
    check("de_CH", number, "1’234’567.891 0.12");
    check("de_DE", "${1234.5?string.currency}", "1.234,50\u{a0}€");
    let date = "${'2026-03-02'?date?string('EEEE, d. MMMM yyyy')}";
    check("de_DE", date, "Montag, 2. März 2026");
    check("fr_FR", date, "lundi, 2. mars 2026");
    check("pl_PL", date, "poniedziałek, 2. marca 2026");
    check("pt_BR", date, "segunda-feira, 2. março 2026");
    check("it_IT", date, "lunedì, 2. marzo 2026");
    check("nl_NL", date, "maandag, 2. maart 2026");
    check("es_ES", date, "lunes, 2. marzo 2026");
    check("en_GB", date, "Monday, 2. March 2026");
}

#[test]
fn a_format_for_a_text_names_where_columns_get_their_types() {
    for text in ["${'12.5'?string['0.00']}", "${'12.5'?string('0.00')}", "${'12.5'?string.currency}"] {
        let (before, why) = plain(text).unwrap_err();
        assert!(!before && why.contains("gets its type in `[target-group.types]`"), "{text}: {why}");
    }
}

#[test]
fn what_letters_cannot_use_is_refused_by_name() {
    let check = |text: &str, named: &str| {
        let (early, problem) = plain(text).expect_err(text);
        assert!(early && problem.contains(named), "{text}: {problem}");
    };
    check("${'freemarker.template.utility.Execute'?new()}", "?new");
    check("${x?api.class}", "?api");
    check("${'1'?eval}", "?eval");
    check("<@'x'?interpret/>", "?interpret");
    check("${.now}", "column");
    check("<#include name>", "plain string");
    check("<#include '../../etc/passwd'>", "outside");
    check("<#visit x>", "#visit");
    check("${x?uper_case}", "?uper_case");
    check("<#iff x>", "#iff");
    check("<#if x>", "never closed");
}

#[test]
fn hostile_templates_end() {
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(20_000), close.repeat(20_000));
    let templates = [
        "<#list 1..1000000000 as x><#list 1..1000000 as y>${x}</#list></#list>".to_owned(),
        "<#list 1.. as x></#list>".to_owned(),
        "<#assign s='xxxxxxxx'><#list 1..100 as x><#assign s=s+s></#list>".to_owned(),
        "<#assign s=[1]><#list 1..100 as x><#assign s=s+s></#list>".to_owned(),
        "<#assign s>xxxx</#assign><#list 1..100 as x><#assign s>${s}${s}</#assign></#list>".to_owned(),
        "${''?left_pad(2000000000)}".to_owned(),
        "<#assign s=''?left_pad(1000000)><#list 1..1000 as x>${s}</#list>".to_owned(),
        "<#macro m><@m/></#macro><@m/>".to_owned(),
        "<#macro m><#attempt><@m/><#recover><@m/></#attempt></#macro><@m/>".to_owned(),
        "<#function f x><#return f(x+1)></#function>${f(1)}".to_owned(),
        "<#function f x><#return f(x-1)+f(x-2)></#function>${f(60)}".to_owned(),
        "<#assign x=[1]><#list 1..1000000 as i><#assign x=[x]></#list>".to_owned(),
        "${'a'?matches('((((a{1,100}){1,100}){1,100}){1,100})')?c}".to_owned(),
        "<#list 1..1000000 as i>${'a'?matches('a{1,' + (i%900)?c + '}b')?c}</#list>".to_owned(),
        "<#assign s=''?left_pad(9000000,'a')>${s?split('')?size}".to_owned(),
        "<#assign s=''?left_pad(1000000,'a')><#list 1..1000000 as i><#if s==s></#if></#list>".to_owned(),
        "<#assign x=10><#list 1..1000 as i><#assign x=x*x></#list>${x}".to_owned(),
        deep("<#if true>", "</#if>"),
        deep("<#if true>a ${1}", "</#if>"),
        deep("<#list [1] as x>", "</#list>"),
        format!("${{{}}}", deep("(", ")")),
        format!("${{{}}}", deep("[", "]")),
        format!("${{1{}}}", "+1".repeat(20_000)),
        format!("${{'a'{}}}", "?trim".repeat(20_000)),
        format!("${{a{}}}", "!a".repeat(20_000)),
        "<#t> ".repeat(20_000),
    ];
    for template in templates {
        let start = Instant::now();
        assert!(plain(&template).is_err(), "{}", &template[..60.min(template.len())]);
        // A second of an optimised program; tests are not, and run beside each other.
        assert!(start.elapsed() < Duration::from_secs(20), "{}", &template[..60.min(template.len())]);
    }
    // A pattern that others search for ever.
    let text = "<#assign s=''?left_pad(50000,'a')>${s?matches('(a+)+b')?size}";
    assert_eq!(plain(text), Ok("0".to_owned()));
}

#[test]
fn errors_have_their_place() {
    let check = |text: &str, place: (usize, usize), problem: &str| {
        let settings = Settings { strict: true, root: "c".into(), partials: None, largest: 1000 };
        let source = Source::value(Path::new("c/t.ftl"), "t.ftl", text);
        let error = FreeMarkerEngine::new(settings).compile(source, Part::Text).expect_err(text);
        assert_eq!((error.place, error.to_string()), (Some(place), problem.to_owned()), "{text}");
    };
    check("a\n  <#if x>b\n", (2, 3), "`#if` is never closed");
    check("<#list x as y>\n<#if z>\n</#list></#if>", (3, 1), "`</#list>` comes before `#if` is closed");
    check("ab ${name\nx", (1, 4), "this interpolation has no `}`");
    check("</#if>", (1, 1), "`</#if>` closes nothing");
    check("x ${a?}", (1, 7), "expected a name instead of `}`");
    check("<#include 'a.ftl'>", (1, 1), "included file `a.ftl` not found");
}

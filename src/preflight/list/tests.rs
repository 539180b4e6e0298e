//! Lists and templates in, findings out.

use std::path::Path;

use super::measure::longest_line;
use super::*;
use crate::edition::Past;
use crate::mail::Timestamp;
use crate::plan::{Freeze, Layout, PlanFiles};
use crate::preflight::{Id, Level};
use crate::screen::Limits;
use crate::state;
use crate::suppression::Checker;

/// A campaign in a folder of its own, with its frozen plan.
struct Case {
    folder: tempfile::TempDir,
}

impl Case {
    fn new(list: &str, subject: &str, text: Option<&str>, html: Option<&str>, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, content: &str| std::fs::write(folder.path().join(name), content).unwrap();
        write("list.csv", list);
        let mut template = format!("[template]\nsubject = \"{subject}\"\n");
        for (key, content) in [("text", text), ("html", html)] {
            if let Some(content) = content {
                write(&format!("letter.{key}.hbs"), content);
                template.push_str(&format!("{key} = \"letter.{key}.hbs\"\n"));
            }
        }
        write(
            "campaign.toml",
            &format!(
                "[sender]\nfrom = \"News <news@example.com>\"\n[target-group]\nfiles = [\"list.csv\"]\n{template}\
             [delivery]\nroute = \"sandbox\"\n{more}\n"
            ),
        );
        Self { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn run_with(&self, kind: &str, threads: usize) -> DryRun {
        let text = std::fs::read_to_string(self.path().join("campaign.toml")).unwrap();
        let text = format!("[campaign]\nid = \"x\"\nkind = \"{kind}\"\n{text}");
        let campaign = Campaign::parse(&text, &self.path().join("campaign.toml")).unwrap();
        let group = crate::target_group::open(&campaign.target_group).unwrap();
        let folder = self.path().join(format!("run-{kind}-{threads}"));
        std::fs::create_dir(&folder).unwrap();
        let files = PlanFiles::in_folder(&folder);
        let nobody = state::in_memory().suppressions().unwrap();
        let checker = Checker::open(nobody, None, Timestamp(0)).unwrap();
        let freeze = Freeze::aside(&files, Layout::new(&group.schema(), None)).unwrap();
        crate::run::freeze(&group, freeze, Limits::default(), None, (checker, Past::default()), |_| {})
            .unwrap();
        let plan = Plan::open(&files.plan).unwrap();
        let composer = composer(&campaign).unwrap();
        let looking = Looking::new(&campaign);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let rows = sample(plan.len(), u32::MAX);
        pool.install(|| dry_run(&plan, &composer, &looking, &rows, |_| {})).unwrap()
    }

    /// The ids of what was found beside `ok`, with their levels.
    fn found(&self, kind: &str) -> Vec<(Level, &'static str)> {
        let findings = self.run_with(kind, 2).findings(|row| format!("row {row}"));
        findings.iter().filter(|f| f.level != Level::Ok).map(|f| (f.level, f.id.as_str())).collect()
    }
}

const LIST: &str = "email,name,link\na@a.example,Ann,https://a.example\nb@b.example,Bob,https://b.example\n";

/// What mailboxes show beside the subject.
const PREHEADER: &str = "<div style='display:none'>News</div>";

/// With HTML only: what is found in it besides the unsubscribe link.
fn check_html(html: &str, expected: &[(Level, &'static str)]) {
    let html = format!("{PREHEADER}{html}<a href='https://example.com/unsubscribe'>x</a>");
    let case = Case::new(LIST, "Hello", Some("Hello {{name}}\n"), Some(&html), "");
    assert_eq!(case.found("news"), expected, "{html}");
}

#[test]
fn what_recipients_would_stumble_over() {
    use Level::{Note, Warning};
    check_html("<p>fine {{name}}</p><img src='https://x.example/a.png' alt=''><a href='#top'>", &[]);
    check_html("<a href='http://x.example'>", &[(Note, "http-link")]);
    check_html("<a href='/offer'>", &[(Warning, "relative-link")]);
    check_html("<a href='www.example.com'>", &[(Warning, "relative-link")]);
    check_html("<img src='pictures/a.png' alt=x>", &[(Warning, "relative-link")]);
    check_html("<a href=''>", &[(Warning, "empty-link")]);
    check_html("<img src='https://x.example/a.png'>", &[(Note, "image-without-alt")]);
    check_html("<a href='https://x.example/\\{{name}}'>", &[(Warning, "unfilled-placeholder")]);
    check_html("<script>x()</script>", &[(Warning, "active-content")]);
    check_html("<a href='mailto:x@example.com'><a href='tel:+123'><img src='cid:logo' alt=x>", &[]);
    check_html(&"<p>long</p>".repeat(10_000), &[(Note, "html-clipped")]);
    check_html("<style>.a{margin:0}</style><p class=b>x</p>", &[(Note, "style-without-effect")]);
    check_html("<style>@import 'https://x.example/a.css'</style>", &[(Note, "style-dropped")]);
    check_html("<p style='color:#333'>x</p>", &[(Note, "dark-mode")]);
    let case = Case::new(LIST, "Hello", Some("Hello\n"), Some("<p>Hello</p>"), "");
    assert_eq!(case.found("alarm"), [(Note, "no-preheader")]);
}

#[test]
fn a_host_without_its_scheme_is_advised_as_a_host() {
    let fix = |link: &str| {
        let case = Case::new(LIST, "Hello", Some("Hello\n"), Some(&format!("<a href='{link}'>x</a>")), "");
        let findings = case.run_with("alarm", 1).findings(|row| format!("row {row}"));
        findings.into_iter().find(|finding| finding.id == Id::RelativeLink).unwrap().fix.unwrap()
    };
    assert_eq!(fix("www.example.com"), "href=\"https://www.example.com\"");
    assert_eq!(fix("WWW.example.com/a"), "href=\"https://WWW.example.com/a\"");
    assert_eq!(fix("/offer"), "href=\"https://www.example.com/offer\"");
}

#[test]
fn marketing_needs_a_way_off_the_list_and_an_alarm_does_not() {
    let case = Case::new(LIST, "Hello", Some("Hello\n"), None, "");
    assert_eq!(case.found("news"), [(Level::Warning, "no-unsubscribe-link")]);
    assert_eq!(case.found("update"), [(Level::Note, "no-unsubscribe-link")]);
    assert_eq!(case.found("alarm"), []);
    let own = "[unsubscribe]\nhttps = \"https://example.com/u/{{token}}\"\n";
    let case = Case::new(LIST, "Hello", Some("Off: {{unsubscribe_url}}\n"), None, own);
    assert_eq!(case.found("news"), []);
    let mail = "[unsubscribe]\nmailto = \"off@example.com\"\n";
    let case = Case::new(LIST, "Hello", Some("Write to off@example.com\n"), None, mail);
    assert_eq!(case.found("news"), []);
}

#[test]
fn a_certified_sender_links_to_its_imprint() {
    let found = |text: &str, html: &str, csa: bool| {
        let html = format!("{PREHEADER}{html}");
        let case = Case::new(LIST, "Hello", Some(text), Some(&html), "");
        let path = case.path().join("campaign.toml");
        let toml = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, toml.replace("[target-group]", &format!("csa = {csa}\n[target-group]")))
            .unwrap();
        case.found("alarm")
    };
    let missing = [(Level::Warning, "csa-imprint")];
    assert_eq!(found("Hello", "<a href='https://example.com/a'>Offer</a>", true), missing);
    assert_eq!(found("Hello", "<a href='https://example.com/a'>Offer</a>", false), []);
    assert_eq!(found("Hello", "<p>Our imprint is new</p>", true), missing, "it is no link");
    assert_eq!(found("Hello", "<a href='https://example.com/a'>IMPRESSUM</a>", true), []);
    assert_eq!(found("Hello", "<a href='https://example.com/Legal-Notice'>Us</a>", true), []);
    assert_eq!(found("No imprint", "<p>x</p>", true), missing);
    assert_eq!(found("Imprint: https://example.com/a", "<p>x</p>", true), []);
}

#[test]
fn subjects_and_texts() {
    let check = |subject: &str, text: &str, expected: &[(Level, &'static str)]| {
        let case = Case::new(LIST, subject, Some(text), Some(PREHEADER), "");
        assert_eq!(case.found("alarm"), expected, "{subject} {text}");
    };
    check("Hello {{name}}", "x", &[]);
    check("{{#if nothing}}x{{/if}}", "x", &[(Level::Warning, "empty-subject")]);
    check(&"so long ".repeat(20), "x", &[(Level::Note, "long-subject")]);
    check("Hello", " \n", &[(Level::Warning, "empty-text-part")]);
    check("Hello", "see http://a.example", &[(Level::Note, "http-link")]);
}

#[test]
fn lines_stay_short_whatever_a_template_gives() {
    let long = "x".repeat(5_000);
    let header = format!("[sender.headers]\nX-Long = \"{long}\"\n");
    let case = Case::new(LIST, &long[..140], Some(&long), Some(&long), &header);
    assert_eq!(case.found("alarm"), []);
}

#[test]
fn rows_that_fail_are_named_with_their_column_and_reason() {
    let list = "email,name\na@a.example,Ann\nb@b.example,\nc@c.example,\nd@d.example,Dan\n";
    let case = Case::new(list, "Hello", Some("Hello {{name}}\n"), None, "");
    let run = case.run_with("alarm", 2);
    assert_eq!((run.rows(), run.failed()), (4, 2));
    let expected = FailedRow {
        index: 1,
        column: Some("name".into()),
        reason: "`name` has no value (letter.text.hbs:1:7)".into(),
        hint: None,
    };
    assert_eq!(run.failures()[0], expected);
    let finding = run.findings(|row| format!("list.csv, row {}", row + 1)).remove(0);
    assert_eq!((finding.level, finding.id), (Level::Warning, Id::RenderFailed));
    assert!(
        finding.seen.contains("2 of 4 rows") && finding.seen.contains("list.csv, row 2"),
        "{}",
        finding.seen
    );
    assert_eq!(finding.fix.as_deref(), Some("[template.defaults]\nname = \"…\""));
    let case = Case::new("email,name\na@a.example,\n", "Hello", Some("{{name}}"), None, "");
    assert_eq!(case.found("alarm"), [(Level::Refused, "render-none")]);
}

fn many(rows: usize) -> String {
    let rows: String = (0..rows).map(|n| format!("r{n}@a.example,N{n},https://a.example/{n}\n")).collect();
    format!("email,name,link\n{rows}")
}

#[test]
fn the_hash_depends_on_every_message_and_on_nothing_else() {
    let list = many(1_000);
    let attachment = "attachments = [\"big.bin\"]\n";
    let case = |list: &str, text: &str| {
        let case = Case::new(list, "Hello", Some(text), Some("<p>{{name}}</p>"), "");
        std::fs::write(case.path().join("big.bin"), vec![7; 10_000]).unwrap();
        let file = case.path().join("campaign.toml");
        let campaign = std::fs::read_to_string(&file).unwrap();
        std::fs::write(file, campaign.replace("[delivery]", &format!("{attachment}[delivery]"))).unwrap();
        case
    };
    let hash = |list: &str, text: &str, threads| case(list, text).run_with("alarm", threads).hash;
    let one = hash(&list, "Hello {{name}}", 1);
    // Another folder, another secret, other threads.
    assert_eq!(one, hash(&list, "Hello {{name}}", 4));
    assert_ne!(one, hash(&list, "Hallo {{name}}", 4));
    assert_ne!(one, hash(&list.replace("N777,", "N778,"), "Hello {{name}}", 4), "one word in one row");
    assert_ne!(one, hash(&list.replace("r999@a", "r999@b"), "Hello {{name}}", 4), "one recipient");
    let swapped = case(&list, "Hello {{name}}");
    std::fs::write(swapped.path().join("big.bin"), [vec![7; 9_999], vec![8]].concat()).unwrap();
    assert_ne!(one, swapped.run_with("alarm", 4).hash, "one byte of an attachment");
}

#[test]
fn a_sample_is_spread_over_the_list() {
    assert!(matches!(sample(500, 1_000).as_slice(), [all] if *all == (0..500)));
    let blocks = sample(100_000, 1_024);
    assert_eq!(blocks, [0..256, 25_000..25_256, 50_000..50_256, 75_000..75_256]);
    let case = Case::new(&many(600), "Hello", Some("x"), None, "");
    assert_eq!(case.run_with("alarm", 2).rows(), 600);
}

#[test]
fn sizes_are_those_of_the_messages() {
    let run = Case::new(&many(300), "Hello", Some("{{name}}"), None, "").run_with("alarm", 2);
    let sizes = run.sizes().unwrap();
    assert!(sizes.p50 <= sizes.p90 && sizes.p90 <= sizes.p99 && sizes.p99 <= sizes.largest, "{sizes:?}");
    assert!(sizes.p50 > 300 && sizes.p50 * 2 > sizes.largest, "they are all alike: {sizes:?}");
    assert!(sizes.total >= sizes.p50 * 250 && sizes.total <= sizes.largest * 300, "{sizes:?}");
}

#[test]
fn lines_are_measured_without_their_ends() {
    for (text, longest) in [("", 0), ("\r\n", 0), ("ab\r\ncde", 3), ("abcd\nx\r\n", 4), ("\n\n", 0)] {
        assert_eq!(longest_line(text.as_bytes()), longest, "{text:?}");
    }
}

#[test]
fn one_text_for_all_is_looked_at_once_and_counted_for_every_row() {
    let list: String = (0..600).map(|n| format!("r{n}@a.example,{n}\n")).collect();
    let case = |text: &str, more: &str| {
        let (list, text) = (format!("email,n\n{list}"), Some(text));
        let case = Case::new(&list, "Outage", text, None, "");
        let path = case.path().join("campaign.toml");
        let toml = std::fs::read_to_string(&path).unwrap();
        std::fs::write(path, toml.replace("[template]", &format!("[template]\n{more}"))).unwrap();
        case
    };
    let all = case("See http://status.example.com\n", "personalised = false").run_with("alarm", 2);
    let each = case("See http://status.example.com\n", "").run_with("alarm", 2);
    assert_eq!((all.rows(), all.failed()), (600, 0));
    let marks = |run: &DryRun| -> Vec<(u64, String)> {
        run.tally.marks.values().map(|seen| (seen.rows, seen.example.clone())).collect()
    };
    assert_eq!(marks(&all), [(600, "`http://status.example.com`".to_owned())]);
    assert_eq!(marks(&all), marks(&each));
    let sizes = all.sizes().unwrap();
    assert_eq!(sizes.total, 600 * sizes.largest);
    // Only `To` and `Message-ID` have another length.
    assert!(sizes.largest.abs_diff(each.sizes().unwrap().largest) < 30, "{sizes:?}");
    let other = case("See http://status.example.com/2\n", "personalised = false").run_with("alarm", 2);
    assert_ne!(all.hash, other.hash);
    let again = case("See http://status.example.com\n", "personalised = false").run_with("alarm", 1);
    assert_eq!(all.hash, again.hash);
}

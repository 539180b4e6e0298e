//! The same letter in each template language: 4 KB with fifty values, a loop and conditions, beside
//! the same letter with nothing to fill in.
//!
//! What a language costs a message is `mailrun` less `limit: no expressions`: building the message
//! around the text is in both.

use std::fmt::Write as _;

use criterion::{BenchmarkId, Criterion};
use mailrun::campaign::Campaign;

use super::cpu::{CpuTime, elements};
use super::scene::{NOW, Scene, composer, prose};

const ROWS: u32 = 500;
/// Of each order, with three values each.
const ITEMS: usize = 12;

/// One language: its file name's end, what it writes for the things of the letter.
struct Language {
    ending: &'static str,
    greeting: &'static str,
    item: &'static str,
    order: [&'static str; 2],
    rest: &'static str,
}

const LANGUAGES: [Language; 3] = [
    Language {
        ending: "hbs",
        greeting: "Dear {{name}} of {{city}},\n{{#if (gt points 1000)}}a gift waits for you, {{name}}.{{else}}{{points}} points.{{/if}}\n",
        item: "- {{title}}: {{count}} at {{number price decimals=2}}\n",
        order: ["{{#each items}}", "{{/each}}"],
        rest: "Number {{order}} of {{placed}}, to {{street}}, {{city}}. {{#if note}}You wrote: {{note}}{{/if}}\n{{name}} {{order}} {{city}} {{street}} {{points}}\n",
    },
    Language {
        ending: "ftl",
        greeting: "Dear ${name} of ${city},\n<#if points gt 1000>a gift waits for you, ${name}.<#else>${points} points.</#if>\n",
        item: "- ${item.title}: ${item.count} at ${item.price?string(\"0.00\")}\n",
        order: ["<#list items as item>", "</#list>"],
        rest: "Number ${order} of ${placed}, to ${street}, ${city}. <#if note??>You wrote: ${note}</#if>\n${name} ${order} ${city} ${street} ${points}\n",
    },
    Language {
        ending: "j2",
        greeting: "Dear {{ name }} of {{ city }},\n{% if points > 1000 %}a gift waits for you, {{ name }}.{% else %}{{ points }} points.{% endif %}\n",
        item: "- {{ item.title }}: {{ item.count }} at {{ item.price|number(decimals=2) }}\n",
        order: ["{% for item in items %}", "{% endfor %}"],
        rest: "Number {{ order }} of {{ placed }}, to {{ street }}, {{ city }}. {% if note %}You wrote: {{ note }}{% endif %}\n{{ name }} {{ order }} {{ city }} {{ street }} {{ points }}\n",
    },
];

/// A list of orders, as a shop's program writes them.
fn orders() -> String {
    let mut list = String::new();
    for row in 0..ROWS {
        let items: Vec<_> = (0..ITEMS)
            .map(|item| {
                format!(
                    r#"{{"title":"Charts of coast {item}","count":{},"price":{}.25}}"#,
                    item % 3 + 1,
                    row + 7
                )
            })
            .collect();
        writeln!(
            list,
            r#"{{"email":"r{row}@one.example","name":"Ada Brook {row}","city":"Bristol","street":"{row} Quay Street","order":{row},"placed":"29 November","points":{},"note":"ring twice","items":[{}]}}"#,
            row * 7,
            items.join(",")
        )
        .expect("a string takes everything");
    }
    list
}

fn campaign(scene: &Scene, ending: &str, letter: &str) -> Campaign {
    scene.write(&format!("letter.html.{ending}"), letter);
    let text = format!(
        "[campaign]\nid = \"bench\"\n[sender]\nfrom = \"Shop <shop@mail.example.com>\"\n[target-group]\nfiles = [\"orders.jsonl\"]\n\
         [template]\nsubject = \"Your order\"\nhtml = \"letter.html.{ending}\"\n[delivery]\nroute = \"sandbox\"\n"
    );
    Campaign::parse(&text, &scene.path("campaign.toml")).expect("the campaign is right")
}

pub(crate) fn letters(c: &mut Criterion<CpuTime>) {
    let mut bench = c.benchmark_group("letter");
    bench.throughput(elements(1));
    for Language { ending, greeting, item, order: [each, end], rest } in LANGUAGES {
        let filler = prose(2_800).replace('\r', "");
        let filled = format!("<html><body>{greeting}{each}{item}{end}{rest}{filler}</body></html>\n");
        let plain = format!("<html><body>{}</body></html>\n", prose(4_000).replace('\r', ""));
        for (what, letter) in [("mailrun", filled), ("limit: no expressions", plain)] {
            let scene = Scene::new();
            scene.write("orders.jsonl", &orders());
            let campaign = campaign(&scene, ending, &letter);
            let (composer, rows) = (composer(&campaign), scene.rows(&campaign, ROWS));
            let first = composer.compose(&rows[0], NOW).expect("every value is there");
            let size: usize = first.body.iter().map(|segment| segment.len()).sum();
            assert!((3_800..6_500).contains(&size), "{ending}: {size} bytes");
            bench.bench_function(BenchmarkId::new(what, format!(".{ending}, 4 KB, 50 values")), |b| {
                let mut rows = rows.iter().cycle();
                b.iter(|| {
                    composer.compose(rows.next().expect("there are rows"), NOW).expect("every value is there")
                });
            });
        }
    }
    bench.finish();
}

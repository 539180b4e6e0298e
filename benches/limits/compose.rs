//! Rendering beside Handlebars alone, and building beside a copy of the message's bytes.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput};
use handlebars::{Handlebars, no_escape};
use mailrun::compose::Composer;
use mailrun::mail::Message;
use mailrun::plan::Row;

use super::cpu::{CpuTime, elements};
use super::scene::{NOW, Scene, composer, prose};

const ROWS: u32 = 1_000;
const SUBJECT: &str = "{{first_name}}, spring is here";

/// A letter as they are: a condition, a dozen values, some 4 KB.
fn letter() -> String {
    let paragraph = "Dear {{full_name}} of {{city}},\n\n{{#if segment}}as a {{segment}} customer you get this first.{{else}}hello.{{/if}}\n";
    format!("{}{}", paragraph.repeat(4), prose(3_500).replace('\r', ""))
}

pub(crate) fn compose(c: &mut Criterion<CpuTime>) {
    let mut bench = c.benchmark_group("render");
    bench.throughput(elements(1));
    let scene = Scene::new();
    scene.list("list.csv", ROWS as usize);
    let text = letter();
    let html = format!("<html><body><p>{}</p></body></html>\n", text.replace("\n\n", "</p>\n<p>"));
    let campaign = scene.campaign(SUBJECT, &text, Some(&html));
    let (composer, rows) = (composer(&campaign), scene.rows(&campaign, ROWS));
    let what = "text and HTML, 4 KB each";
    bench.bench_function(BenchmarkId::new("mailrun", what), |b| {
        let mut rows = rows.iter().cycle();
        b.iter(|| composed(&composer, rows.next().expect("there are rows")));
    });
    bench.bench_function(BenchmarkId::new("limit: Handlebars alone", what), |b| {
        let mut plain = Handlebars::new();
        plain.register_escape_fn(no_escape);
        let mut escaping = Handlebars::new();
        plain.register_template_string("subject", SUBJECT).expect("it parses");
        plain.register_template_string("text", &text).expect("it parses");
        escaping.register_template_string("html", &html).expect("it parses");
        let mut rows = rows.iter().cycle();
        b.iter(|| {
            let values = &rows.next().expect("there are rows").values;
            for (templates, name) in [(&plain, "subject"), (&plain, "text"), (&escaping, "html")] {
                black_box(templates.render(name, values).expect("every value is there"));
            }
        });
    });
    bench.finish();

    let mut bench = c.benchmark_group("build");
    for (kilobytes, what) in [(10, "text, 10 KB"), (100, "text, 100 KB")] {
        let scene = Scene::new();
        scene.list("list.csv", 100);
        let text = format!("Dear {{{{full_name}}}},\n\n{}", prose(kilobytes * 1_000).replace('\r', ""));
        let campaign = scene.campaign(SUBJECT, &text, None);
        let (composer, rows) = (super::scene::composer(&campaign), scene.rows(&campaign, 100));
        let bytes = flat(&composed(&composer, &rows[0]));
        bench.throughput(Throughput::Bytes(bytes.len() as u64));
        bench.bench_function(BenchmarkId::new("mailrun", what), |b| {
            let mut rows = rows.iter().cycle();
            b.iter(|| composed(&composer, rows.next().expect("there are rows")));
        });
        bench.bench_function(BenchmarkId::new("limit: memcpy", what), |b| {
            b.iter(|| black_box(&bytes).clone())
        });
    }
    bench.finish();
}

fn composed(composer: &Composer, row: &Row) -> Message {
    composer.compose(row, NOW).expect("every value is there")
}

fn flat(message: &Message) -> Vec<u8> {
    let mut bytes = message.header.to_vec();
    message.body.iter().for_each(|segment| bytes.extend_from_slice(segment));
    bytes
}

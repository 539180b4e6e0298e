//! `mailrun synth`: a made-up target group of any size, for load tests.

use std::path::Path;

use serde_json::{Value, json};

use super::args::{self, Common, ListFormat};
use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::progress::Reading;
use super::text::count;
use super::{log, out};
use crate::synth::{self, Spec};
use crate::target_group::FileKind;

pub fn run(common: &Common, args: args::Synth) -> Result<Exit, Diagnostic> {
    let (kind, format) = match args.format.map_or_else(|| by_extension(&args.file), Ok)? {
        ListFormat::Csv => (FileKind::Csv, "csv"),
        ListFormat::Parquet => (FileKind::Parquet, "parquet"),
    };
    let spec = Spec {
        rows: args.rows.0,
        seed: args.seed,
        domains: args.domains,
        domain_mix: args.domain_mix.unwrap_or_default(),
        columns: args.columns,
        duplicates: args.duplicates,
        invalid: args.invalid,
        non_ascii: args.non_ascii,
        smtputf8: args.smtputf8,
    };
    let mut progress = Reading::doing(common, "writing");
    let written = synth::write(&spec, &args.file, kind, args.force, |rows| progress.show(rows));
    progress.finish();
    let written = written?;
    if args.json {
        let mut value =
            json!({"file": args.file, "format": format, "seed": spec.seed, "columns": spec.columns});
        if let (Value::Object(value), Value::Object(counts)) = (&mut value, json!(written)) {
            value.extend(counts);
        }
        out(&format!("{value:#}\n"))?;
    } else if !common.quiet {
        log::print(&format!(
            "{}: {} rows, {} duplicate, {} invalid, {} not ASCII ({} need SMTPUTF8), {} domains, {:.1} MB",
            args.file.display(),
            count(written.rows),
            count(written.duplicates),
            count(written.invalid),
            count(written.non_ascii),
            count(written.smtputf8),
            count(written.domains),
            written.bytes as f64 / 1e6,
        ));
    }
    Ok(Exit::Ok)
}

fn by_extension(file: &Path) -> Result<ListFormat, Diagnostic> {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("csv") => Ok(ListFormat::Csv),
        Some("parquet") => Ok(ListFormat::Parquet),
        Some(_) | None => Err(Diagnostic::new("the file's extension decides the format")
            .at(file.display())
            .hint("name it `.csv` or `.parquet`, or add `--format`")),
    }
}

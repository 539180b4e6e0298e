//! `mailrun synth`: a made-up target group of any size, for load tests.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde_json::json;

use super::common::Common;
use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::{json, log};
use crate::campaign::ByteSize;
use crate::kit::text::{counted, grouped};
use crate::synth::{self, DomainMix, RowCount, Share, Spec};

/// `mailrun synth`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The same arguments give the same bytes on every machine. Shares are exact: `mailrun plan` finds exactly those duplicates and invalid rows.
Unless --domain-mix names others, all domains are reserved, so that no address can exist (RFC 2606).")]
pub(super) struct Args {
    /// File; its extension, .csv or .parquet, decides the format
    file: PathBuf,
    /// Number of rows, such as 1_000_000, 500k or 10M
    #[arg(long, value_name = "N", default_value = "1000")]
    rows: RowCount,
    /// Seed; another one gives another list
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Number of made-up domains; the Nth has 1/N as many addresses as the first
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    domains: u32,
    /// Domains with weights, such as `example.com=40,example.net=20,*=40`; `*` stands for the
    /// made-up ones
    #[arg(long, value_name = "MIX")]
    domain_mix: Option<DomainMix>,
    /// Number of columns: customer_id, email, full_name, first_name, city, language, token,
    /// segment, text_9 …
    #[arg(long, value_name = "N", default_value_t = 8)]
    columns: usize,
    /// Rows with the address of an earlier row
    #[arg(long, value_name = "SHARE", default_value = "1%")]
    duplicates: Share,
    /// Rows with an invalid address
    #[arg(long, value_name = "SHARE", default_value = "0.5%")]
    invalid: Share,
    /// Rows with non-ASCII names, some with non-ASCII domains
    #[arg(long, value_name = "SHARE", default_value = "2%")]
    non_ascii: Share,
    /// Rows with non-ASCII local parts, which not every server accepts; in addition to --non-ascii
    #[arg(long, value_name = "SHARE", default_value = "0%")]
    smtputf8: Share,
    /// Format, whatever the extension says
    #[arg(long, value_enum)]
    format: Option<ListFormat>,
    /// Replace the file if it exists
    #[arg(long)]
    force: bool,
    /// Print what was written as JSON
    #[arg(long)]
    json: bool,
}

/// The formats of lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ListFormat {
    /// Comma-separated, UTF-8, with a header.
    Csv,
    /// Parquet, every column text.
    Parquet,
}

pub(super) fn run(common: &Common, args: Args) -> Result<Exit, Diagnostic> {
    let (written_as, format) = match args.format.map_or_else(|| by_extension(&args.file), Ok)? {
        ListFormat::Csv => (synth::ListFormat::Csv, "csv"),
        ListFormat::Parquet => (synth::ListFormat::Parquet, "parquet"),
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
    let console = common.console();
    let written =
        synth::write(&spec, &args.file, written_as, args.force, |rows| console.rows("writing", rows));
    console.done();
    let written = written?;
    if args.json {
        let mut answer =
            json!({"file": args.file, "format": format, "seed": spec.seed, "columns": spec.columns});
        json::extend(&mut answer, json!(written));
        return json::print(Exit::Ok, answer);
    }
    if !common.quiet {
        log::print(&format!(
            "{}: {}, {} duplicate, {} invalid, {} not ASCII ({} need SMTPUTF8), {}, {}",
            args.file.display(),
            counted(written.rows, "row", "rows"),
            grouped(written.duplicates),
            grouped(written.invalid),
            grouped(written.non_ascii),
            grouped(written.smtputf8),
            counted(written.domains, "domain", "domains"),
            ByteSize(written.bytes),
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
            .hint("use `.csv` or `.parquet`, or add `--format`")),
    }
}

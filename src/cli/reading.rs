//! How the files of a list are read, and why: for people and as JSON.

use serde_json::{Value, json};

use crate::kit::outside_text;
use crate::kit::text::counted;
use crate::target_group::{FileKind, LineEnds, Reading, SourceFile, TextReading};

/// For programs.
fn json(reading: &Reading) -> Value {
    let Reading { kind, packing, text } = reading;
    let mut value = json!({"format": name(*kind)});
    if let Some(packing) = packing {
        value["compression"] = json!(packing.name());
    }
    if let Some(TextReading { encoding: (encoding, known), delimiter, line_ends, header, samples }) = text {
        value["encoding"] = json!({"is": encoding.name(), "from": known.text()});
        if let Some((delimiter, known)) = delimiter {
            value["delimiter"] = json!({"is": delimiter, "from": known.text()});
        }
        value["line_ends"] = json!(line_ends.to_string());
        value["header"] = json!(header.text());
        value["samples"] = json!(samples);
    }
    value
}

/// The files of a list for programs: each with its rows and how it is read.
pub(super) fn files(files: &[SourceFile], rows_by_file: &[u64]) -> Vec<Value> {
    let file = |(file, rows): (&SourceFile, &u64)| {
        let reading = json(&file.reading);
        json!({"file": file.shown, "rows": rows, "bytes": file.bytes, "reading": reading})
    };
    files.iter().zip(rows_by_file).map(file).collect()
}

/// All files, for people, under a heading that is indented by `margin`. Many are not listed.
pub(super) fn list(files: &[SourceFile], margin: &str) -> String {
    const LISTED: usize = 20;
    let mut text = format!("{margin}how the list is read\n");
    for file in files.iter().take(LISTED) {
        let shown = format!("{margin}  {}: {}", file.shown, line(&file.reading));
        text.push_str(&format!("{}\n", outside_text::line(&shown)));
    }
    let more = files.len().saturating_sub(LISTED);
    if more > 0 {
        text.push_str(&format!("{margin}  … and {}\n", counted(more as u64, "file more", "files more")));
    }
    text
}

/// For people, in one line.
fn line(reading: &Reading) -> String {
    let Reading { kind, packing, text } = reading;
    let mut parts = vec![name(*kind).to_owned()];
    parts.extend(packing.map(|packing| packing.name().to_owned()));
    let Some(TextReading { encoding: (encoding, known), delimiter, line_ends, header, samples }) = text
    else {
        return parts.join(", ");
    };
    parts.push(format!("{} ({})", encoding.name(), known.text()));
    if let Some((delimiter, known)) = delimiter {
        let delimiter = if *delimiter == '\t' { "tab".to_owned() } else { format!("`{delimiter}`") };
        parts.push(format!("{delimiter} ({})", known.text()));
    }
    if *line_ends != LineEnds::None {
        parts.push(format!("{line_ends} line ends"));
    }
    parts.push(header.text().to_owned());
    let mut line = parts.join(", ");
    if !samples.is_empty() {
        let samples: Vec<String> = samples.iter().map(|sample| format!("`{sample}`")).collect();
        line.push_str(&format!("; reads {}", samples.join(", ")));
    }
    line
}

fn name(kind: FileKind) -> &'static str {
    match kind {
        FileKind::Csv => "CSV",
        FileKind::JsonLines => "JSON lines",
        FileKind::Parquet => "Parquet",
        FileKind::Arrow => "Arrow",
        FileKind::Bsmtp => "batch SMTP",
    }
}

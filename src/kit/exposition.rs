//! The text exposition format of Prometheus, version 0.0.4.

use std::fmt::Write;

/// Gauges, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Exposition {
    text: String,
}

impl Exposition {
    /// Adds a gauge: its samples, each its labels as [`label`] writes them, with commas between,
    /// and its value.
    pub(crate) fn gauge(&mut self, name: &str, help: &str, samples: &[(String, String)]) {
        // Writing to a text does not fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} gauge");
        for (labels, value) in samples {
            let _ = match labels.as_str() {
                "" => writeln!(self.text, "{name} {value}"),
                labels => writeln!(self.text, "{name}{{{labels}}} {value}"),
            };
        }
    }

    /// All of them.
    pub(crate) fn into_text(self) -> String {
        self.text
    }
}

/// A label.
pub(crate) fn label(name: &str, value: &str) -> String {
    let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("{name}=\"{value}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_end_where_they_end() {
        let mut exposition = Exposition::default();
        exposition.gauge(
            "a",
            "About a.",
            &[(label("x", "a\"b\\c\nd"), "1".into()), (String::new(), "2".into())],
        );
        let expected = "# HELP a About a.\n# TYPE a gauge\na{x=\"a\\\"b\\\\c\\nd\"} 1\na 2\n";
        assert_eq!(exposition.into_text(), expected);
    }
}

//! How the last command ended, for Prometheus: a file for the textfile collector of its node
//! exporter, in the text exposition format (version 0.0.4).

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use crate::kit::exposition::Exposition;
use crate::kit::file::{self, ORDINARY};
use crate::mail::{Disposition, Timestamp};
use crate::run_dir::Manifest;

const LAST_SUCCESS: &str = "mailrun_last_success_timestamp_seconds";

/// How the last command for a campaign ended.
#[derive(Debug, Clone)]
pub(crate) struct Metrics<'a> {
    /// The campaign; `None` where its file could not be read. Then it is the one of the last time.
    pub campaign: Option<&'a str>,
    /// When it ended.
    pub at: Timestamp,
    /// Its exit code; 0 is success.
    pub exit_code: u8,
    /// The run's manifest, where there is a run.
    pub manifest: Option<&'a Manifest>,
}

impl Metrics<'_> {
    /// Replaces the file at `path`. The time of the last success stays where this is none.
    ///
    /// # Errors
    /// Those of the file system; the old file is then unchanged.
    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        let before = match fs::read(path) {
            Ok(before) => before,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        match self.text(&String::from_utf8_lossy(&before)) {
            Some(text) => file::replace(path, text.as_bytes(), ORDINARY),
            None => Ok(()),
        }
    }

    /// The new file; `before` is the one that it replaces. Nothing where no campaign is known.
    fn text(&self, before: &str) -> Option<String> {
        let campaign = format!("campaign=\"{}\"", self.campaign.or(campaign(before))?);
        let now = Seconds(self.at.0);
        let last_success = match self.exit_code {
            0 => now.to_string(),
            _ => last_success(before, &campaign).unwrap_or("0").to_owned(),
        };
        let mut exposition = Exposition::default();
        let mut metric = |name: &str, help: &str, samples: &[(String, String)]| {
            exposition.gauge(name, help, samples);
        };
        let one = |value: String| [(campaign.clone(), value)];
        metric(
            LAST_SUCCESS,
            "When the last command ended with exit code 0; 0 if none did.",
            &one(last_success),
        );
        metric("mailrun_last_end_timestamp_seconds", "When the last command ended.", &one(now.to_string()));
        metric(
            "mailrun_last_exit_code",
            "The exit code of the last command.",
            &one(self.exit_code.to_string()),
        );
        let Some(manifest) = self.manifest else { return Some(exposition.into_text()) };
        if let Some(started) = manifest.started {
            let took = manifest.finished.unwrap_or(self.at).since(started).as_secs_f64();
            let help = "From the start of the last run to its end.";
            metric("mailrun_last_run_duration_seconds", help, &one(took.to_string()));
        }
        let rows: Vec<_> = Disposition::ALL
            .into_iter()
            .map(|disposition| {
                let rows = manifest.outcomes.get(disposition.as_str()).copied().unwrap_or(0);
                (format!("{campaign},disposition=\"{disposition}\""), rows.to_string())
            })
            .collect();
        metric("mailrun_last_run_rows", "Rows of the last run by disposition.", &rows);
        Some(exposition.into_text())
    }
}

/// The value of the last success in a file that was written before.
fn last_success<'t>(before: &'t str, labels: &str) -> Option<&'t str> {
    let prefix = format!("{LAST_SUCCESS}{{{labels}}} ");
    let value = before.lines().find_map(|line| line.strip_prefix(prefix.as_str()))?.trim();
    value.parse::<f64>().ok().filter(|value| value.is_finite()).map(|_| value)
}

/// The campaign of a file that was written before.
fn campaign(before: &str) -> Option<&str> {
    let rest = before.lines().find_map(|line| line.strip_prefix(LAST_SUCCESS))?;
    Some(rest.strip_prefix("{campaign=\"")?.split_once('"')?.0)
}

/// Microseconds, shown as seconds.
struct Seconds(i64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0.div_euclid(1_000_000), self.0.rem_euclid(1_000_000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(second: i64, exit_code: u8) -> Metrics<'static> {
        Metrics { campaign: Some("spring"), at: Timestamp(second * 1_000_000), exit_code, manifest: None }
    }

    fn text(metrics: Metrics<'_>, before: &str) -> String {
        metrics.text(before).unwrap()
    }

    fn value<'t>(text: &'t str, name: &str) -> &'t str {
        let prefix = format!("{name}{{campaign=\"spring\"}} ");
        text.lines().find_map(|line| line.strip_prefix(prefix.as_str())).unwrap()
    }

    #[test]
    fn the_last_success_outlives_what_fails() {
        let never = text(metrics(100, 4), "");
        assert_eq!(value(&never, LAST_SUCCESS), "0");
        let good = text(metrics(200, 0), &never);
        assert_eq!(value(&good, LAST_SUCCESS), "200.000000");
        let bad = text(metrics(300, 3), &good);
        assert_eq!(value(&bad, LAST_SUCCESS), "200.000000");
        assert_eq!(value(&bad, "mailrun_last_end_timestamp_seconds"), "300.000000");
        assert_eq!(value(&bad, "mailrun_last_exit_code"), "3");
        // Neither a damaged file nor one of another campaign has anything to keep.
        assert_eq!(value(&text(metrics(400, 1), &bad.replace("200.0", "two.0")), LAST_SUCCESS), "0");
        assert_eq!(value(&text(metrics(400, 1), &bad.replace("spring", "summer")), LAST_SUCCESS), "0");
        // A campaign file that can't be read leaves the name that was known.
        let unknown = Metrics { campaign: None, ..metrics(500, 2) };
        assert_eq!(value(&text(unknown.clone(), &bad), LAST_SUCCESS), "200.000000");
        assert_eq!(unknown.text(""), None);
    }
}

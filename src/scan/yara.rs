//! YARA rules, evaluated in this process by boreal. A rule that matches is a finding.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::ScanResult;

/// Compiled rules.
#[cfg(feature = "yara")]
#[derive(Debug)]
pub(crate) struct Yara {
    rules: boreal::Scanner,
}

#[cfg(feature = "yara")]
impl Yara {
    /// Reads and compiles the rules in `files`. The error is a lowercase fragment.
    pub(crate) fn load(files: &[PathBuf], patience: Duration) -> Result<Self, String> {
        let mut compiler = boreal::Compiler::new();
        for file in files {
            let text = std::fs::read_to_string(file)
                .map_err(|error| format!("can't read the rules in `{}`: {error}", file.display()))?;
            compiler.add_rules_str(&text).map_err(|error| {
                let description = boreal::compiler::generate_description(
                    &error.to_diagnostic(),
                    &file.display().to_string(),
                    &text,
                );
                format!("the rules can't be used: {}", description.trim_end())
            })?;
        }
        let mut rules = compiler.finalize();
        // Which rules match is all that is asked.
        let params = boreal::scanner::ScanParams::default()
            .timeout_duration(Some(patience))
            .compute_full_matches(false);
        rules.set_scan_params(params);
        Ok(Self { rules })
    }

    /// Scans `content`.
    ///
    /// # Errors
    /// The rules did not come to an end in time.
    pub(crate) fn scan(&self, content: &[u8]) -> io::Result<ScanResult> {
        let result =
            self.rules.scan_mem(content).map_err(|(error, _)| io::Error::other(error.to_string()))?;
        let names: Vec<&str> = result.rules.iter().map(|rule| rule.name).collect();
        Ok(if names.is_empty() { ScanResult::Clean } else { ScanResult::Infected(names.join(", ")) })
    }
}

/// Never made: this build has no YARA.
#[cfg(not(feature = "yara"))]
#[derive(Debug)]
pub(crate) enum Yara {}

#[cfg(not(feature = "yara"))]
impl Yara {
    pub(crate) fn load(_: &[PathBuf], _: Duration) -> Result<Self, String> {
        Err("this build has no YARA (feature `yara`)".into())
    }

    pub(crate) fn scan(&self, _: &[u8]) -> io::Result<ScanResult> {
        match *self {}
    }
}

#[cfg(all(test, feature = "yara"))]
mod tests {
    use super::*;

    fn load(rules: &str) -> Result<Yara, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("own.yar");
        std::fs::write(&file, rules).unwrap();
        Yara::load(&[file], Duration::from_secs(5))
    }

    #[test]
    fn rules_that_match_are_named() {
        let yara = load(
            "rule Dropper { strings: $a = \"powershell\" nocase condition: $a }\n\
             rule Large { condition: filesize > 20 }",
        )
        .unwrap();
        assert_eq!(yara.scan(b"hello").unwrap(), ScanResult::Clean);
        assert_eq!(yara.scan(b"PowerShell").unwrap(), ScanResult::Infected("Dropper".into()));
        let both = yara.scan(b"a very long powershell command").unwrap();
        assert_eq!(both, ScanResult::Infected("Dropper, Large".into()));
    }

    #[test]
    fn rules_that_can_not_be_used_say_where() {
        let error = load("rule A { condition: $b }").unwrap_err();
        assert!(error.contains("own.yar:1:21"), "{error}");
        let missing = Yara::load(&["/nowhere/own.yar".into()], Duration::from_secs(5)).unwrap_err();
        assert!(missing.contains("can't read the rules in `/nowhere/own.yar`"), "{missing}");
    }
}

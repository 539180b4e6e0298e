//! The scanners of a campaign: each has to find nothing.

use super::ScanResult;
use super::clamd::Clamd;
use super::icap::Icap;
use super::item::Item;
use super::verdicts::{Verdict, Verdicts};
use super::yara::Yara;
use crate::campaign::{self, ScannerKind};

/// All scanners of a campaign, with what they said so far. Shared by all threads.
#[derive(Debug)]
pub(crate) struct Scanners(Vec<Scanner>);

#[derive(Debug)]
struct Scanner {
    settings: campaign::Scanner,
    program: Program,
    verdicts: Verdicts,
}

#[derive(Debug)]
enum Program {
    Clamd(Clamd),
    Icap(Icap),
    Yara(Yara),
}

/// A scanner that can't be used.
#[derive(Debug, thiserror::Error)]
#[error("scanner `{scanner}`: {problem}")]
pub(crate) struct ScannerError {
    /// What the campaign calls it.
    pub scanner: String,
    /// A lowercase fragment.
    pub problem: String,
}

/// What the scanners say of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// Each scanner looked at all that it looks at, and found nothing.
    Clean,
    /// What was found, in which part, and by which scanner.
    Infected(String),
    /// A scanner answered, but did not look: its reason. It would say the same again.
    Refused(String),
    /// A scanner gave no answer, and why.
    NoAnswer(String),
}

impl Scanners {
    /// The scanners that a campaign names. Asks none of them; YARA's rules are read and compiled.
    pub(crate) fn new(settings: &[campaign::Scanner]) -> Result<Self, ScannerError> {
        let scanner = |settings: &campaign::Scanner| {
            let error = |problem| ScannerError { scanner: settings.shown().to_owned(), problem };
            let patience = settings.timeout.0;
            let needed = |value: &Option<String>| value.clone().unwrap_or_default();
            let program = match settings.kind {
                ScannerKind::Clamd => Program::Clamd(Clamd::patient(&needed(&settings.address), patience)),
                ScannerKind::Icap => {
                    let url = needed(&settings.url);
                    let icap = Icap::at(&url, patience);
                    Program::Icap(icap.ok_or_else(|| error(format!("`{url}` is not an ICAP service")))?)
                }
                ScannerKind::Yara => Program::Yara(Yara::load(&settings.rules, patience).map_err(error)?),
            };
            Ok(Scanner { settings: settings.clone(), program, verdicts: Verdicts::default() })
        };
        settings.iter().map(scanner).collect::<Result<_, _>>().map(Self)
    }

    /// What they say of a message with these parts. Blocks: call it on a plain thread.
    pub(crate) fn judge(&self, items: &[Item]) -> Judgement {
        let mut refused = None;
        for scanner in &self.0 {
            for item in items.iter().filter(|item| scanner.looks_at(item)) {
                let (name, part) = (scanner.settings.shown(), &item.name);
                match scanner.verdict(item) {
                    Ok(ScanResult::Clean) => {}
                    Ok(ScanResult::Infected(what)) => {
                        return Judgement::Infected(format!("{what} in {part} (scanner `{name}`)"));
                    }
                    // Another scanner may still find something.
                    Ok(ScanResult::Refused(why)) => {
                        refused.get_or_insert_with(|| format!("scanner `{name}` can't scan {part}: {why}"));
                    }
                    Err(why) => {
                        return Judgement::NoAnswer(format!("scanner `{name}` gives no answer: {why}"));
                    }
                }
            }
        }
        refused.map_or(Judgement::Clean, Judgement::Refused)
    }
}

impl Scanner {
    fn looks_at(&self, item: &Item) -> bool {
        self.settings.scan.contains(&item.kind)
    }

    fn verdict(&self, item: &Item) -> Verdict {
        let scan = || match &self.program {
            Program::Clamd(clamd) => clamd.scan(&item.content),
            Program::Icap(icap) => icap.scan(&item.content),
            Program::Yara(yara) => yara.scan(&item.content),
        };
        self.verdicts.of(item.hash, || scan().map_err(|error| error.to_string()))
    }
}

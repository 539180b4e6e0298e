//! The question before the first real message of a run leaves. Only a person at a terminal is
//! asked.

use std::io::{self, BufRead, IsTerminal, Write};

use crate::campaign::{Campaign, RouteKind};
use crate::kit::text::counted;

/// Whether the user wants `recipients` to get the campaign's mail; without a terminal to ask at,
/// starting the command says so.
pub(super) fn is_wanted(campaign: &Campaign, recipients: u64) -> bool {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return true;
    }
    let mut stderr = io::stderr();
    let _ = write!(stderr, "{} ", question(campaign, recipients)).and_then(|()| stderr.flush());
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).is_ok() && is_yes(&answer)
}

fn question(campaign: &Campaign, recipients: u64) -> String {
    let by = match campaign.delivery.route {
        RouteKind::Relay => {
            campaign.main_relays().iter().map(|relay| relay.host.as_str()).collect::<Vec<_>>().join(", ")
        }
        RouteKind::Mx => "the recipients' own mail hosts".to_owned(),
        RouteKind::Bsmtp => "files of batch SMTP".to_owned(),
        RouteKind::Sandbox => "the embedded receiver".to_owned(),
    };
    format!("send to {} by {by}? [y/N]", counted(recipients, "recipient", "recipients"))
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::campaign::testing::SMALLEST;

    #[test]
    fn the_question_names_how_many_and_by_whom() {
        let by_relay = "route = \"relay\"\n[delivery.relay]\nhost = \"smtp.example.net\"";
        let text = SMALLEST.replace("route = \"sandbox\"", by_relay);
        let campaign = Campaign::parse(&text, Path::new("/x/campaign.toml")).unwrap();
        assert_eq!(question(&campaign, 48_213), "send to 48,213 recipients by smtp.example.net? [y/N]");
        assert_eq!(question(&campaign, 1), "send to 1 recipient by smtp.example.net? [y/N]");
    }

    #[test]
    fn only_a_yes_is_a_yes() {
        assert!(["y\n", "Y", " yes\r\n"].into_iter().all(is_yes));
        assert!(!["", "\n", "n", "yep", "j"].into_iter().any(is_yes));
    }
}

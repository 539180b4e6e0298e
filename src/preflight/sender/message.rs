//! A real message of the campaign through mail-auth's verifier, with the records as DNS has them now: what it says is what a
//! receiver would say.

use mail_auth::{AuthenticatedMessage, DkimResult, MessageAuthenticator};

use super::super::finding::{Finding, Group};
use crate::route::Resolver;

pub(super) async fn check(message: Option<&[u8]>, resolver: &Resolver) -> Vec<Finding> {
    let Some(message) = message else { return Vec::new() };
    let Some(parsed) = AuthenticatedMessage::parse(message) else {
        let finding =
            Finding::refused(Group::Sender, "message-unreadable", "a verifier can't read the message");
        return vec![finding.why("receivers can't either (RFC 5322)")];
    };
    if parsed.dkim_headers.is_empty() {
        return Vec::new();
    }
    let authenticator = MessageAuthenticator(resolver.hickory().clone());
    let outputs = authenticator.verify_dkim(&parsed).await;
    let passed = outputs.iter().filter(|output| *output.result() == DkimResult::Pass).count();
    let mut findings = Vec::new();
    for output in &outputs {
        let Some(signature) = output.signature() else { continue };
        let which = format!("the signature of `{}` with selector `{}`", signature.d, signature.s);
        let why = "mail-auth's verifier was given a signed message of this campaign and the records as they are now";
        findings.push(match output.result() {
            DkimResult::Pass => Finding::ok(
                Group::Sender,
                "message-verifies",
                format!("{which} verifies on a message of the list"),
            ),
            DkimResult::TempError(error) => {
                let seen = format!("{which} could not be verified: {error}");
                Finding::warning(Group::Sender, "message-unverified", seen).why(why)
            }
            DkimResult::Neutral(error) | DkimResult::Fail(error) | DkimResult::PermError(error) => {
                let seen = format!("{which} fails: {error}");
                let make = if passed == 0 { Finding::refused } else { Finding::warning };
                make(Group::Sender, "message-fails", seen).why(why).mend("see the DKIM findings above")
            }
            DkimResult::None => {
                Finding::warning(Group::Sender, "message-unverified", format!("{which} was not looked at"))
                    .why(why)
            }
        });
    }
    findings
}

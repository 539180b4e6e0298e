//! Verifies a real message of the campaign with mail-auth and the records that DNS has now: the
//! verdict is what a receiver would see.

use mail_auth::{AuthenticatedMessage, DkimResult, MessageAuthenticator};

use super::super::finding::{Finding, Id};
use crate::route::Resolver;

pub(super) async fn check(message: Option<&[u8]>, resolver: &Resolver) -> Vec<Finding> {
    let Some(message) = message else { return Vec::new() };
    let Some(parsed) = AuthenticatedMessage::parse(message) else {
        return vec![Finding::new(Id::MessageUnreadable, "a verifier can't parse the message")];
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
        findings.push(match output.result() {
            DkimResult::Pass => {
                Finding::new(Id::MessageVerifies, format!("{which} verifies on a message of the list"))
            }
            DkimResult::TempError(error) => {
                Finding::new(Id::MessageUnverified, format!("{which} could not be verified: {error}"))
                    .fix("run the check again when DNS answers")
            }
            DkimResult::Neutral(error) | DkimResult::Fail(error) | DkimResult::PermError(error) => {
                Finding::new(Id::MessageFails, format!("{which} fails: {error}"))
                    .worse_if(passed == 0)
                    .fix("see the DKIM findings above")
            }
            DkimResult::None => Finding::new(Id::MessageUnverified, format!("the verifier ignored {which}"))
                .fix("see the DKIM findings above"),
        });
    }
    findings
}

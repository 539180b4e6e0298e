//! What is found before sending: about the sender, the list, the content and the delivery.

mod content;
mod estimate;
mod inspection;
mod relays;
mod sender;

pub(super) use content::content_findings;
pub(super) use estimate::DOMAINS_LOOKED_UP;
pub(super) use inspection::Inspection;
pub(super) use relays::relay_findings;
pub(super) use sender::{egress, sender_facts, sender_findings};

//! What is found before sending: about the sender, the list, the content and the delivery.

mod content;
mod inspection;
mod relays;
mod sender;
mod shares;

pub use content::content_findings;
pub use inspection::Inspection;
pub use relays::relay_findings;
pub use sender::{egress, sender_facts, sender_findings};
pub use shares::shares;

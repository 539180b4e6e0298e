//! A campaign file for tests, of this module and of those that read campaigns.

/// The smallest campaign file; nothing leaves the machine.
pub(crate) const SMALLEST: &str = r#"
[campaign]
id = "x"
[sender]
from = "News <news@example.com>"
[target-group]
files = ["a.csv"]
[template]
subject = "Hello"
text = "a.hbs"
[delivery]
route = "sandbox"
"#;

//! The id of a run, derived from what it sends: the same content gives the same id on any machine.

use serde_json::{Value, json};

use super::content::Content;
use super::inputs::{Input, RunOptions};
use super::run_id::RunId;
use crate::campaign::Campaign;

/// Digits and letters that people don't confuse.
const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// 60 bits.
const LENGTH: usize = 12;

/// The id of the run that sends this content.
///
/// It depends on who gets what from whom: the content of the recipients' files, templates and
/// attachments, the campaign's sender and unsubscribe settings, and the options that choose rows or
/// recipients. It does not depend on where files are, nor on how mail is delivered (capacity,
/// relay, retries, keys), so a run resumes after such a change instead of sending everything again.
/// The route counts, so a rehearsal has its own id.
pub fn run_id(campaign: &Campaign, inputs: &[Input], contents: &[Content], options: &RunOptions) -> RunId {
    let mut contents = contents.to_vec();
    contents.sort();
    let contents: Vec<Value> =
        contents.iter().map(|content| json!([content.role, content.name, content.hash])).collect();
    let inputs = inputs.iter().map(|input| match input.partition.is_empty() {
        true => json!(input.hash),
        false => json!([input.hash, input.partition]),
    });
    let inputs: Vec<Value> = inputs.collect();
    let mut content = recipients_part(campaign);
    content["route"] = json!(campaign.delivery.route);
    content["inputs"] = json!(inputs);
    content["contents"] = json!(contents);
    content["options"] = json!(options);
    let hash = blake3::hash(content.to_string().as_bytes());
    let letters = hash.as_bytes()[..LENGTH].iter().map(|byte| char::from(LETTERS[usize::from(byte & 31)]));
    RunId(letters.collect())
}

/// The settings of a campaign that decide who gets what from whom. Files are left out: their
/// content counts.
pub fn recipients_part(campaign: &Campaign) -> Value {
    let mut part = json!({
        "campaign": without(json!(campaign.identity), &["without-unsubscribe"]),
        "sender": without(json!(campaign.sender), &["dedicated"]),
        "target-group": without(json!(campaign.target_group), &["files"]),
        "template": template(json!(campaign.template)),
        "unsubscribe": without(json!(campaign.unsubscribe), &["secret-env", "secret-file"]),
    });
    if campaign.secure_documents.is_some() {
        let files = ["text", "html", "attachments", "secret-env", "secret-file"];
        part["secure-documents"] = without(json!(campaign.secure_documents), &files);
    }
    part
}

/// What all messages of a run have in common, as a hash: templates, attachments, sender and
/// unsubscribe settings. The edition, the list and the way of the mail don't count.
pub fn letter(campaign: &Campaign, contents: &[Content]) -> String {
    let mut contents: Vec<_> =
        contents.iter().map(|content| (&content.role, &content.name, &content.hash)).collect();
    contents.sort();
    let part = recipients_part(campaign);
    let letter = json!([part["sender"], part["template"], part["unsubscribe"], contents]);
    blake3::hash(letter.to_string().as_bytes()).to_hex().as_str()[..2 * LENGTH].to_owned()
}

/// The template's settings without its files: their content counts.
fn template(template: Value) -> Value {
    let mut template = without(template, &["text", "html", "partials", "attachments", "attachment-folder"]);
    if let Some(images) = template.get_mut("inline").and_then(Value::as_array_mut) {
        images.iter_mut().for_each(|image| *image = without(image.take(), &["file"]));
    }
    template
}

fn without(mut value: Value, keys: &[&str]) -> Value {
    if let Some(object) = value.as_object_mut() {
        object.retain(|key, _| !keys.contains(&key.as_str()));
    }
    value
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::manifest::tests::{content, input};
    use super::*;

    const CAMPAIGN: &str = r#"
[campaign]
id = "spring"
[sender]
from = "News <news@example.com>"
[target-group]
files = ["a.csv"]
[template]
subject = "Hello"
text = "a.hbs"
inline = [{ id = "logo", file = "logo.png" }]
[unsubscribe]
https = "https://example.com/{{token}}"
secret-file = "secret"
[[dkim]]
domain = "example.com"
selector = "s"
key = "s.pem"
[delivery]
route = "sandbox"
"#;

    fn id_at(text: &str, folder: &str) -> RunId {
        let campaign = Campaign::parse(text, &Path::new(folder).join("campaign.toml")).unwrap();
        let contents = [content("text", "a.hbs", "77"), content("partial", "b.hbs", "88")];
        run_id(&campaign, &[input("a.csv", "99")], &contents, &RunOptions::default())
    }

    /// Pinned: if the id changed with the program's version, an update in the middle of a run would
    /// send everything again. A new key must not be serialised while it has its default.
    #[test]
    fn it_is_the_same_in_every_version() {
        assert_eq!(id_at(CAMPAIGN, "/home/a").as_str(), "g8q8zs1t3568");
    }

    /// Pinned: if it changed with the program's version, a longer list would be refused after an
    /// update, as if the templates had changed.
    #[test]
    fn the_letter_is_the_same_in_every_version_and_for_every_list() {
        let letter_of = |text: &str| {
            let campaign = Campaign::parse(text, Path::new("/x/campaign.toml")).unwrap();
            letter(&campaign, &[content("text", "a.hbs", "77")])
        };
        let pinned = letter_of(CAMPAIGN);
        assert_eq!(pinned, "3f5de3a565d1fa23aca8fc0a");
        assert_eq!(letter_of(&CAMPAIGN.replace("a.csv", "b.csv")), pinned);
        assert_eq!(letter_of(&CAMPAIGN.replace("\"spring\"", "\"spring\"\nedition = \"2\"")), pinned);
        assert_ne!(letter_of(&CAMPAIGN.replace("Hello", "Good day")), pinned);
        assert_ne!(letter_of(&CAMPAIGN.replace("news@", "old@")), pinned);
    }

    #[test]
    fn it_depends_on_content_and_not_on_place_or_carriage() {
        let id = id_at(CAMPAIGN, "/home/a");
        assert_eq!(id, id_at(CAMPAIGN, "/srv/b/c"));
        let same = |from: &str, to: &str| assert_eq!(id, id_at(&CAMPAIGN.replace(from, to), "/x"), "{to}");
        let other = |from: &str, to: &str| assert_ne!(id, id_at(&CAMPAIGN.replace(from, to), "/x"), "{to}");
        same("[delivery]", "[capacity]\nper-hour = 1_200\n[stop]\nbounce-window = 10\n[delivery]");
        same("[delivery]", "[delivery]\ndrain-seconds = 5");
        same("selector = \"s\"", "selector = \"t\"");
        same("\"secret\"", "\"another\"");
        same("\"a.hbs\"", "\"moved/a.hbs\"");
        same("[\"a.csv\"]", "[\"*.csv\"]");
        other("Hello", "Good day");
        other("news@", "old@");
        other("\"spring\"", "\"summer\"");
        other("\"logo\"", "\"sign\"");
        other("example.com/{{token}}", "example.com/u/{{token}}");
        other("route = \"sandbox\"", "route = \"relay\"\n[delivery.relay]\nhost = \"h\"");
    }

    #[test]
    fn it_depends_on_files_and_options() {
        let campaign = Campaign::parse(CAMPAIGN, Path::new("campaign.toml")).unwrap();
        let of = |inputs: &[Input], contents: &[Content], options: &RunOptions| {
            run_id(&campaign, inputs, contents, options)
        };
        let (a, b) = (input("a", "11"), input("b", "22"));
        let (x, y) = (content("text", "x", "33"), content("partial", "y", "44"));
        let all = RunOptions::default();
        let id = of(&[a.clone(), b.clone()], &[x.clone(), y.clone()], &all);
        // The order of the target group's files decides which duplicate is kept; the order of other
        // files means nothing.
        assert_eq!(id, of(&[a.clone(), b.clone()], &[y.clone(), x.clone()], &all));
        assert_ne!(id, of(&[b.clone(), a.clone()], &[x.clone(), y.clone()], &all));
        assert_ne!(id, of(std::slice::from_ref(&a), &[x.clone(), y.clone()], &all));
        assert_ne!(id, of(&[a.clone(), b.clone()], &[x.clone(), content("partial", "y", "55")], &all));
        assert_ne!(id, of(&[a.clone(), b.clone()], &[x.clone(), content("partial", "z", "44")], &all));
        let limit = RunOptions { limit: Some(10), ..RunOptions::default() };
        assert_ne!(id, of(&[a, b], &[x, y], &limit));
    }

    #[test]
    fn it_is_short_and_names_a_directory() {
        let id = id_at(CAMPAIGN, "/x");
        assert_eq!(id.as_str().len(), LENGTH);
        assert_eq!(id.as_str().parse::<RunId>(), Ok(id));
        for bad in ["", ".", "..", "a/b", "a b", "ä", &"a".repeat(101)] {
            assert!(bad.parse::<RunId>().is_err(), "{bad}");
        }
    }
}

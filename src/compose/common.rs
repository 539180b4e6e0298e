//! What all messages of a run have in common: the header fields without anything from a row, files
//! that everybody gets.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::mime::CommonFile;
use super::{attachment, header};
use crate::campaign::{Campaign, Kind};
use crate::template::TemplateError;

/// Where the Certified Senders Alliance takes complaints.
const CSA_COMPLAINTS: &str = "X-CSA-Complaints";

/// The header fields without anything from a row.
pub(super) fn fields(campaign: &Campaign, out: &mut Vec<u8>) -> Result<(), TemplateError> {
    let sender = &campaign.sender;
    header::mailbox(out, "From", sender.from.name.as_deref(), &sender.from.address);
    if let Some(reply_to) = &sender.reply_to {
        header::mailbox(out, "Reply-To", reply_to.name.as_deref(), &reply_to.address);
    }
    header::plain(out, "MIME-Version", "1.0");
    let identity = &campaign.identity;
    let machine_read = |name: &str, value: &str| {
        if value.is_empty() || value.len() > 900 || !value.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
            let problem = format!("`{value}` can't be a {name}");
            return Err(TemplateError::new(&campaign.path, None, problem).hint("use printable ASCII"));
        }
        Ok(())
    };
    if let Some(list_id) = &identity.list_id {
        machine_read("list-id", list_id)?;
        let value = if list_id.contains('<') { list_id.clone() } else { format!("<{list_id}>") };
        header::plain(out, "List-Id", &value);
    }
    let by_default;
    let feedback_id = match &identity.feedback_id {
        Some(feedback_id) => feedback_id,
        None => {
            let domain = sender.from.address.domain();
            by_default = format!("{}:{}:mailrun:{domain}", identity.id, identity.kind.as_str());
            &by_default
        }
    };
    machine_read("feedback-id", feedback_id)?;
    header::plain(out, "Feedback-ID", feedback_id);
    if sender.csa {
        header::plain(out, CSA_COMPLAINTS, "csa-complaints@eco.de");
    }
    match identity.kind {
        // RFC 3834 §5: so that nobody's holiday notice answers.
        Kind::Alarm => header::plain(out, "Auto-Submitted", "auto-generated"),
        Kind::News | Kind::Update => {}
    }
    Ok(())
}

pub(super) fn check_field_name(campaign: &Campaign, name: &str) -> Result<(), TemplateError> {
    let error =
        |problem: String, hint: &str| Err(TemplateError::new(&campaign.path, None, problem).hint(hint));
    if let Some((problem, hint)) = header::refused(name) {
        return error(problem, hint);
    }
    if campaign.identity.kind == Kind::Alarm && name.eq_ignore_ascii_case("Auto-Submitted") {
        return error(format!("the field `{name}` can't be set here"), "alarms have it anyway");
    }
    if campaign.sender.csa && name.eq_ignore_ascii_case(CSA_COMPLAINTS) {
        return error(
            format!("the field `{name}` can't be set here"),
            "with `csa = true`, messages have it anyway",
        );
    }
    let same = campaign.sender.headers.keys().filter(|other| other.eq_ignore_ascii_case(name)).count();
    if same > 1 {
        return error(
            format!("the field `{name}` is given twice"),
            "upper and lower case make no difference",
        );
    }
    Ok(())
}

/// Reads an attachment of all messages, of which `left` bytes may be read. No message can have
/// more: files only grow when they are encoded, and those of a ZIP count as they are unpacked.
pub(super) fn read(campaign: &Campaign, path: &Path, left: &mut u64) -> Result<Vec<u8>, TemplateError> {
    let cant_read = |source| TemplateError::read(path, "attachment", source);
    let mut content = Vec::new();
    let file = File::open(path).map_err(cant_read)?;
    file.take(left.saturating_add(1)).read_to_end(&mut content).map_err(cant_read)?;
    let Some(rest) = left.checked_sub(content.len() as u64) else {
        let largest = campaign.template.largest;
        return Err(TemplateError::new(
            path,
            None,
            format!("the attachments alone have more than {largest}"),
        )
        .hint(format!("attach less, or raise `largest` in `[template]`: it is {largest}")));
    };
    *left = rest;
    Ok(content)
}

/// Attachments and images of all messages, with their paths.
pub(super) fn files(
    campaign: &Campaign,
    html: bool,
) -> Result<(Vec<CommonFile>, Vec<PathBuf>), TemplateError> {
    let template = &campaign.template;
    if !html && !template.inline.is_empty() {
        return Err(TemplateError::new(&campaign.path, None, "inline images without an HTML template")
            .hint("set `html` in `[template]`, or make them `attachments`"));
    }
    let mut left = template.largest.0;
    let mut read = |path: &Path| read(campaign, path, &mut left);
    let mut files = Vec::new();
    let mut paths = Vec::new();
    for path in &template.attachments {
        files.push(CommonFile { name: attachment::file_name(path), content: read(path)?, id: None });
        paths.push(path.clone());
    }
    for image in &template.inline {
        let id = &image.id;
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@+$".contains(&byte);
        if id.is_empty() || id.len() > 200 || !id.bytes().all(fits) {
            return Err(TemplateError::new(
                &campaign.path,
                None,
                format!("`{id}` is not a valid Content-ID"),
            )
            .hint("use letters, digits, `-`, `_`, `.` and `@`"));
        }
        let content = read(&image.file)?;
        files.push(CommonFile { name: attachment::file_name(&image.file), content, id: Some(id.clone()) });
        paths.push(image.file.clone());
    }
    Ok((files, paths))
}

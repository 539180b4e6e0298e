//! Files as MIME parts, always in base64, so that they arrive byte for byte.

use std::path::Path;

use base64::prelude::{BASE64_STANDARD, Engine};
use mail_builder::headers::Header;
use mail_builder::headers::content_type::ContentType;

/// 57 bytes make a line of 76 characters (RFC 2045 §6.8).
const LINE_BYTES: usize = 57;

/// What a file is in the message.
pub(super) enum Role<'a> {
    Attachment,
    /// An image that the HTML refers to as `cid:<id>`.
    Inline {
        id: &'a str,
    },
}

/// Appends the part of a file: its header, the empty line, its content in base64.
pub(super) fn write_part(out: &mut Vec<u8>, file_name: &str, content: &[u8], role: &Role<'_>) {
    out.reserve(content.len() / LINE_BYTES * 78 + 512);
    let media_type = media_type(file_name);
    let mut content_type = ContentType::new(media_type);
    if media_type.starts_with("text/") && std::str::from_utf8(content).is_ok() {
        content_type = content_type.attribute("charset", "utf-8");
    }
    out.extend_from_slice(b"Content-Type: ");
    content_type.attribute("name", file_name).write_header(out, 14);
    let disposition = match role {
        Role::Attachment => "attachment",
        Role::Inline { id } => {
            out.extend_from_slice(b"Content-ID: <");
            out.extend_from_slice(id.as_bytes());
            out.extend_from_slice(b">\r\n");
            "inline"
        }
    };
    out.extend_from_slice(b"Content-Disposition: ");
    ContentType::new(disposition).attribute("filename", file_name).write_header(out, 21);
    out.extend_from_slice(b"Content-Transfer-Encoding: base64\r\n\r\n");
    let mut line = [0; LINE_BYTES.div_ceil(3) * 4];
    for bytes in content.chunks(LINE_BYTES) {
        let length = BASE64_STANDARD.encode_slice(bytes, &mut line).expect("a line has room for its bytes");
        out.extend_from_slice(&line[..length]);
        out.extend_from_slice(b"\r\n");
    }
}

/// The media type for the extension of a file's name.
pub(super) fn media_type(file_name: &str) -> &'static str {
    let extension = file_name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    match extension.as_deref().unwrap_or_default() {
        "pdf" => "application/pdf",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "svg" => "image/svg+xml",
        "ico" => "image/vnd.microsoft.icon",
        "txt" | "log" => "text/plain",
        "csv" => "text/csv",
        "html" | "htm" => "text/html",
        "ics" => "text/calendar",
        "vcf" => "text/vcard",
        "md" => "text/markdown",
        "json" => "application/json",
        "xml" => "application/xml",
        "zip" => "application/zip",
        "gz" => "application/gzip",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "pptx" => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "odt" => "application/vnd.oasis.opendocument.text",
        "ods" => "application/vnd.oasis.opendocument.spreadsheet",
        "doc" => "application/msword",
        "xls" => "application/vnd.ms-excel",
        "mp3" => "audio/mpeg",
        "mp4" => "video/mp4",
        // `message/rfc822` must not be in base64 (RFC 2046 §5.2.1), so an attached mail is a plain
        // file.
        _ => "application/octet-stream",
    }
}

/// The file name in a part: the last component of the path, without control characters.
pub(super) fn file_name(path: &Path) -> String {
    let name = path.file_name().map_or_else(|| "attachment".into(), |name| name.to_string_lossy());
    name.chars().map(|c| if c.is_control() { '_' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_says_what_it_is() {
        let mut out = Vec::new();
        write_part(&mut out, "Überblick.csv", "a;ü\n".as_bytes(), &Role::Attachment);
        let text = String::from_utf8(out).unwrap();
        let expected = "Content-Type: text/csv; charset=\"utf-8\"; name*=UTF-8''%C3%9Cberblick.csv\r\n\
            Content-Disposition: attachment; filename*=UTF-8''%C3%9Cberblick.csv\r\n\
            Content-Transfer-Encoding: base64\r\n\r\nYTvDvAo=\r\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn base64_has_lines_of_76() {
        let mut out = Vec::new();
        write_part(&mut out, "x.bin", &[7; 1_000], &Role::Inline { id: "logo" });
        let text = String::from_utf8(out).unwrap();
        let (header, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(header.contains("Content-ID: <logo>\r\nContent-Disposition: inline;"), "{header}");
        assert!(body.lines().all(|line| line.len() <= 76) && body.lines().next().unwrap().len() == 76);
        assert_eq!(BASE64_STANDARD.decode(body.replace("\r\n", "")).unwrap(), [7; 1_000]);
    }
}

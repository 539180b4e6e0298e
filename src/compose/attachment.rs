//! Files as MIME parts, always in base64, so that they arrive byte for byte.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

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
fn media_type(file_name: &str) -> &'static str {
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

/// Reads the file that a row names: inside `folder`, at most `largest` bytes. The error follows
/// "attachment `x` …".
pub(crate) fn read_within(folder: &Path, named: &str, largest: u64) -> Result<Vec<u8>, String> {
    let path = within(folder, named)?;
    let metadata = fs::metadata(&path).map_err(|error| unreadable(&error))?;
    if !metadata.is_file() {
        return Err("is not a file".to_owned());
    }
    if metadata.len() > largest {
        return Err(format!("has {} bytes, but a message may have at most {largest}", metadata.len()));
    }
    fs::read(&path).map_err(|error| unreadable(&error))
}

/// A path from a row must stay inside the campaign's folder, links followed.
fn within(folder: &Path, named: &str) -> Result<PathBuf, String> {
    let outside = || "is outside the campaign's folder".to_owned();
    let relative = Path::new(named);
    let inside = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    if !relative.components().all(inside) {
        return Err(outside());
    }
    let folder = folder.canonicalize().map_err(|error| unreadable(&error))?;
    let path = folder.join(relative).canonicalize().map_err(|error| unreadable(&error))?;
    if path.starts_with(&folder) { Ok(path) } else { Err(outside()) }
}

fn unreadable(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "not found".to_owned(),
        io::ErrorKind::InvalidInput => "is not a path".to_owned(),
        _ => format!("can't be read: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_inside_the_folder() {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("campaign");
        fs::create_dir_all(folder.join("pdf")).unwrap();
        fs::write(folder.join("pdf/a.pdf"), b"a").unwrap();
        fs::write(outer.path().join("secret"), b"s").unwrap();
        let read = |named: &str| read_within(&folder, named, 100);
        assert_eq!(read("pdf/a.pdf"), Ok(b"a".to_vec()));
        assert_eq!(read("./pdf/a.pdf"), Ok(b"a".to_vec()));
        let absolute = outer.path().join("secret").display().to_string();
        for bad in ["../secret", "pdf/../../secret", absolute.as_str(), "pdf/../pdf/a.pdf"] {
            assert_eq!(read(bad), Err("is outside the campaign's folder".into()), "{bad}");
        }
        assert_eq!(read("pdf/b.pdf"), Err("not found".into()));
        assert_eq!(read("pdf"), Err("is not a file".into()));
        assert_eq!(read("a\0b"), Err("is not a path".into()));
        assert!(read_within(&folder, "pdf/a.pdf", 0).unwrap_err().contains("1 bytes"));
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(outer.path().join("secret"), folder.join("link")).unwrap();
            assert_eq!(read("link"), Err("is outside the campaign's folder".into()));
        }
    }

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

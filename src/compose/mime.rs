//! The body of a message in segments (RFC 2045, RFC 2046): what the row's templates give, then what
//! all messages share, encoded once.
//!
//! The shape is `mixed(related(alternative(text, html), images), attachments)`, without the levels
//! that have nothing to hold together.

use bytes::Bytes;
use mail_builder::headers::Header;
use mail_builder::headers::content_type::ContentType;
use mail_builder::mime::MimePart;
use memchr::memmem::Finder;

use super::attachment::{self, Role};
use super::error::RenderFailure;
use super::lines::{Encoding, Leaf};

/// A shared segment shorter than this is copied into the message's own: cheaper than another
/// segment.
const WORTH_SHARING: usize = 2_048;

/// A file of the campaign, as it was read.
#[derive(Debug)]
pub(super) struct CommonFile {
    pub name: String,
    pub content: Vec<u8>,
    /// For an image that the HTML names.
    pub id: Option<String>,
}

/// The parts of the body that are the same for all messages.
#[derive(Debug)]
pub(super) struct Layout {
    /// `Content-Type: multipart/…` of the message; empty when it has one part.
    pub content_type: Vec<u8>,
    /// What comes before the first part.
    open: Vec<u8>,
    /// What comes between text and HTML.
    between: Vec<u8>,
    /// What comes after them, including images and common attachments.
    after: Bytes,
    /// What comes before each of a row's own attachments.
    next_attachment: Vec<u8>,
    /// What ends a message that can have attachments of its own.
    end: Vec<u8>,
    /// What separates the parts begins with this.
    boundary: Finder<'static>,
    text_headers: LeafHeaders,
    html_headers: LeafHeaders,
}

/// The texts of one message.
pub(super) struct Texts<'a> {
    pub text: Leaf<'a>,
    pub html: Option<Leaf<'a>>,
}

/// The header of a part of text in either encoding, the empty line counted.
#[derive(Debug)]
struct LeafHeaders {
    media_type: &'static str,
    plain: Vec<u8>,
    quoted: Vec<u8>,
}

impl Layout {
    /// Nobody can know `boundary` before the run, so no row can contain it.
    pub(super) fn new(boundary: &str, html: bool, files: &[CommonFile], own_attachments: bool) -> Self {
        // `=_` occurs in no quoted-printable and no base64 text (RFC 2045 §6.7).
        let boundary = format!("=_{boundary}");
        let (images, attachments): (Vec<_>, Vec<_>) = files.iter().partition(|file| file.id.is_some());
        let mut levels = Vec::new();
        if own_attachments || !attachments.is_empty() {
            levels.push(("mixed", 'm'));
        }
        if !images.is_empty() {
            levels.push(("related", 'r'));
        }
        if html {
            levels.push(("alternative", 'a'));
        }
        let line = |letter: char| format!("--{boundary}{letter}\r\n").into_bytes();
        let next = |letter: char| format!("\r\n--{boundary}{letter}\r\n").into_bytes();
        let last = |letter: char| format!("\r\n--{boundary}{letter}--\r\n").into_bytes();

        let mut headers =
            levels.iter().map(|&(subtype, letter)| multipart(subtype, &format!("{boundary}{letter}")));
        let content_type = headers.next().unwrap_or_default();
        let mut open = Vec::new();
        for (number, &(_, letter)) in levels.iter().enumerate() {
            open.extend(line(letter));
            if number + 1 < levels.len() {
                open.extend(headers.next().expect("every level has a header"));
                open.extend(b"\r\n");
            }
        }
        let mut after = Vec::new();
        if html {
            after.extend(last('a'));
        }
        for image in &images {
            after.extend(next('r'));
            let id = image.id.as_deref().expect("images were chosen by their id");
            attachment::write_part(&mut after, &image.name, &image.content, &Role::Inline { id });
        }
        if !images.is_empty() {
            after.extend(last('r'));
        }
        for file in &attachments {
            after.extend(next('m'));
            attachment::write_part(&mut after, &file.name, &file.content, &Role::Attachment);
        }
        let mut end = Vec::new();
        if levels.first() == Some(&("mixed", 'm')) {
            end = last('m');
            if !own_attachments {
                after.append(&mut end);
            }
        }
        let (between, next_attachment) = (next('a'), next('m'));
        Self {
            content_type,
            open,
            between,
            after: after.into(),
            next_attachment,
            end,
            boundary: Finder::new(&boundary).into_owned(),
            text_headers: LeafHeaders::of("text/plain"),
            html_headers: LeafHeaders::of("text/html"),
        }
    }

    /// How large a message is without anything from its row.
    pub(super) fn common_bytes(&self) -> u64 {
        self.after.len() as u64
    }

    /// Appends the rest of the header section, the empty line and the body to `out`, which holds
    /// the header section so far. `own` are a row's own attachments: name and content. `Err` when a
    /// text holds the boundary.
    pub(super) fn write(
        &self,
        mut out: Vec<u8>,
        texts: &Texts<'_>,
        own: &[(String, Vec<u8>)],
    ) -> Result<(Bytes, Vec<Bytes>), RenderFailure> {
        let holds = |leaf: &Leaf<'_>| leaf.holds(&self.boundary);
        if holds(&texts.text) || texts.html.as_ref().is_some_and(holds) {
            return Err(RenderFailure::Boundary);
        }
        out.extend_from_slice(&self.content_type);
        let header_end = if self.content_type.is_empty() {
            let start = out.len();
            self.text_headers.write(&texts.text, &mut out);
            start + find_empty_line(&out[start..])
        } else {
            let end = out.len();
            out.extend_from_slice(b"\r\n");
            out.extend_from_slice(&self.open);
            self.text_headers.write(&texts.text, &mut out);
            if let Some(html) = &texts.html {
                out.extend_from_slice(&self.between);
                self.html_headers.write(html, &mut out);
            }
            end
        };
        let share = self.after.len() >= WORTH_SHARING;
        let own_end = out.len();
        if !share {
            out.extend_from_slice(&self.after);
        }
        for (name, content) in own {
            out.extend_from_slice(&self.next_attachment);
            attachment::write_part(&mut out, name, content, &Role::Attachment);
        }
        out.extend_from_slice(&self.end);

        let all = Bytes::from(out);
        let header = all.slice(..header_end);
        let first = header_end + 2;
        let mut body = Vec::with_capacity(3);
        if share {
            body.push(all.slice(first..own_end));
            body.push(self.after.clone());
            if own_end < all.len() {
                body.push(all.slice(own_end..));
            }
        } else {
            body.push(all.slice(first..));
        }
        Ok((header, body))
    }
}

fn multipart(subtype: &str, boundary: &str) -> Vec<u8> {
    let mut out = b"Content-Type: ".to_vec();
    let mut content_type = ContentType::new(format!("multipart/{subtype}"));
    if subtype == "related" {
        // RFC 2387 §3.1: images only come with HTML, and HTML with its text.
        content_type = content_type.attribute("type", "multipart/alternative");
    }
    content_type.attribute("boundary", boundary).write_header(&mut out, 14);
    out
}

impl LeafHeaders {
    fn of(media_type: &'static str) -> Self {
        let header = |text: &str| {
            let mut part = Vec::new();
            leaf(media_type, text, &mut part);
            part.truncate(find_empty_line(&part) + 2);
            part
        };
        Self {
            media_type,
            plain: header("some text that is short and ASCII\r\n"),
            quoted: header("some text that is neither short nor ASCII at its end: \u{fc}\r\n"),
        }
    }

    /// A part of text: as it is when it is short-lined ASCII, otherwise quoted-printable or base64,
    /// whichever is shorter.
    fn write(&self, text: &Leaf<'_>, out: &mut Vec<u8>) {
        match text {
            Leaf::Whole(text) => leaf(self.media_type, text, out),
            Leaf::Lines(written, encoding) => {
                out.extend_from_slice(match encoding {
                    Encoding::Plain => &self.plain,
                    Encoding::Quoted => &self.quoted,
                });
                written.write(*encoding, out);
            }
        }
    }
}

fn leaf(media_type: &'static str, text: &str, out: &mut Vec<u8>) {
    MimePart::new(media_type, text).write_part(out);
}

/// Where the header of a part ends, its last CRLF counted.
fn find_empty_line(part: &[u8]) -> usize {
    part.windows(4).position(|four| four == b"\r\n\r\n").expect("a part has a header") + 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str, html: Option<&str>) -> Texts<'static> {
        Texts { text: Leaf::whole(text), html: html.map(Leaf::whole) }
    }

    fn write(layout: &Layout, text: &str, html: Option<&str>) -> String {
        let (header, body) = layout.write(b"X: y\r\n".to_vec(), &texts(text, html), &[]).unwrap();
        String::from_utf8([&header[..], b"\r\n", &body.concat()].concat()).unwrap()
    }

    #[test]
    fn a_text_alone_has_no_parts() {
        let layout = Layout::new("b", false, &[], false);
        let expected = "X: y\r\nContent-Type: text/plain; charset=\"utf-8\"\r\n\
            Content-Transfer-Encoding: 7bit\r\n\r\nHello\r\n";
        assert_eq!(write(&layout, "Hello\r\n", None), expected);
    }

    #[test]
    fn text_and_html() {
        let layout = Layout::new("b", true, &[], false);
        let expected = "X: y\r\nContent-Type: multipart/alternative; boundary=\"=_ba\"\r\n\r\n\
            --=_ba\r\nContent-Type: text/plain; charset=\"utf-8\"\r\n\
            Content-Transfer-Encoding: 7bit\r\n\r\nHello\r\n\
            \r\n--=_ba\r\nContent-Type: text/html; charset=\"utf-8\"\r\n\
            Content-Transfer-Encoding: quoted-printable\r\n\r\n<p>Gr=C3=BC=C3=9Fe</p>\r\n\
            \r\n--=_ba--\r\n";
        assert_eq!(write(&layout, "Hello\r\n", Some("<p>Grüße</p>\r\n")), expected);
    }

    #[test]
    fn a_text_with_the_boundary_is_refused() {
        let layout = Layout::new("secret", true, &[], false);
        let texts = |text| texts(text, Some("x\r\n"));
        assert!(layout.write(Vec::new(), &texts("a\r\n--=_secreta--\r\n"), &[]).is_err());
        assert!(layout.write(Vec::new(), &texts("a\r\n--=_sekret--\r\n"), &[]).is_ok());
    }

    #[test]
    fn large_common_files_are_one_shared_segment() {
        let file = |name: &str, id: Option<&str>| CommonFile {
            name: name.into(),
            content: vec![1; 5_000],
            id: id.map(str::to_owned),
        };
        let layout = Layout::new("b", true, &[file("a.pdf", None), file("l.png", Some("logo"))], true);
        let texts = || texts("t\r\n", Some("h\r\n"));
        let (_, one) = layout.write(Vec::new(), &texts(), &[]).unwrap();
        let (_, two) = layout.write(Vec::new(), &texts(), &[("own.txt".into(), b"x".to_vec())]).unwrap();
        assert_eq!((one.len(), two.len()), (3, 3));
        assert_eq!(one[1].as_ptr(), two[1].as_ptr());
        assert!(one.concat().ends_with(b"\r\n--=_bm--\r\n") && two.concat().ends_with(b"\r\n--=_bm--\r\n"));
    }
}

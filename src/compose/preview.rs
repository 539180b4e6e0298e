//! A message as a recipient sees it: its HTML for a browser, and what a mailbox shows of it.

use std::borrow::Cow;
use std::fs;

use base64::prelude::{BASE64_STANDARD, Engine};

use super::attachment::media_type;
use super::composer::Rendered;
use super::plain;
use crate::campaign::Campaign;
use crate::template::TemplateError;

/// What mailboxes show beside the subject: about 100 characters.
const PREHEADER_CHARACTERS: usize = 100;
/// No mail client runs scripts, so a preview runs none either.
const NO_SCRIPTS: &str = r#"<meta http-equiv="Content-Security-Policy" content="script-src 'none'">"#;

/// The inline images of a campaign, as `data:` URLs (RFC 2397).
#[derive(Debug)]
pub(crate) struct InlineImages(Vec<(String, String)>);

impl InlineImages {
    /// Reads them all.
    ///
    /// # Errors
    /// A file that can't be read.
    pub(crate) fn read(campaign: &Campaign) -> Result<Self, TemplateError> {
        let mut images = Vec::new();
        for image in &campaign.template.inline {
            let content = fs::read(&image.file)
                .map_err(|error| TemplateError::read(&image.file, "inline image", error))?;
            let name = image.file.to_string_lossy();
            let url = format!("data:{};base64,{}", media_type(&name), BASE64_STANDARD.encode(content));
            images.push((format!("cid:{}", image.id), url));
        }
        // `cid:logo` is the start of `cid:logo-small`.
        images.sort_by_key(|(cid, _)| std::cmp::Reverse(cid.len()));
        Ok(Self(images))
    }

    /// The message's HTML part for a browser, with the images in it; `None` if it has none.
    pub(crate) fn page(&self, rendered: &Rendered<'_>) -> Option<String> {
        let mut html = rendered.html.as_deref().map(Cow::Borrowed)?;
        for (cid, url) in &self.0 {
            if html.contains(cid.as_str()) {
                html = Cow::Owned(html.replace(cid.as_str(), url));
            }
        }
        let at = head(&html);
        // The byte order mark says UTF-8, which in a mail the header says.
        Some(format!("\u{feff}{}{NO_SCRIPTS}{}", &html[..at], &html[at..]))
    }
}

/// Where an element may be put into the head of a page: not before its document type, which would
/// change how it is laid out.
fn head(html: &str) -> usize {
    let lower = html.to_ascii_lowercase();
    let after = |tag: &str| {
        let start = lower.find(tag)?;
        let next = lower[start + tag.len()..].chars().next()?;
        (next == '>' || next.is_whitespace()).then(|| lower[start..].find('>').map(|end| start + end + 1))?
    };
    after("<head").or_else(|| after("<html")).or_else(|| after("<!doctype")).unwrap_or(0)
}

/// What mailboxes show of a message beside its subject: the first words of its HTML part, hidden
/// ones too, else those of its text part.
pub(crate) fn preheader(rendered: &Rendered<'_>) -> String {
    let text = match &rendered.html {
        Some(html) => Cow::Owned(plain::words_of_html(html)),
        None => Cow::Borrowed(&*rendered.text),
    };
    let mut shown = String::new();
    for word in text.split_whitespace() {
        if !shown.is_empty() {
            shown.push(' ');
        }
        shown.push_str(word);
        if let Some((end, _)) = shown.char_indices().nth(PREHEADER_CHARACTERS) {
            shown.truncate(end);
            shown.push('…');
            break;
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(html: &str) -> Rendered<'_> {
        Rendered {
            subject: "s".into(),
            text: Cow::Borrowed("the  text\r\npart"),
            html: (!html.is_empty()).then_some(Cow::Borrowed(html)),
            unsubscribe_url: None,
        }
    }

    #[test]
    fn a_page_has_its_images_and_runs_no_scripts() {
        let images = InlineImages(vec![
            ("cid:logo-small".into(), "data:image/png;base64,c21hbGw=".into()),
            ("cid:logo".into(), "data:image/gif;base64,bG9nbw==".into()),
        ]);
        let page = |html: &str| images.page(&rendered(html));
        assert_eq!(
            page(
                "<!DOCTYPE html>\r\n<html><HEAD lang=x><title>ä</title></head><img src=\"cid:logo\"><img src='cid:logo-small'>"
            ),
            Some(format!(
                "\u{feff}<!DOCTYPE html>\r\n<html><HEAD lang=x>{NO_SCRIPTS}<title>ä</title></head>\
                 <img src=\"data:image/gif;base64,bG9nbw==\"><img src='data:image/png;base64,c21hbGw='>"
            ))
        );
        let starts = [
            ("<!doctype html><p>x", "<!doctype html>"),
            ("<html lang=de><header>x", "<html lang=de>"),
            ("<p>x", ""),
            ("<head", ""),
        ];
        for (html, before) in starts {
            let page = page(html).unwrap();
            assert!(page.starts_with(&format!("\u{feff}{before}{NO_SCRIPTS}")), "{page}");
        }
        assert_eq!(page(""), None);
    }

    #[test]
    fn a_preheader_is_the_first_words() {
        let of = |html: &str| preheader(&rendered(html));
        assert_eq!(of(""), "the text part");
        assert_eq!(
            of(
                "<head><title>no</title><style>p{}</style></head><div style='display:none'>Spring is\n here</div><table><tr><td><a href=x>view</a><td></table><p>Dear &lt;Ann&gt;"
            ),
            "Spring is here view Dear <Ann>"
        );
        let long = of(&"ö ".repeat(200));
        assert_eq!((long.chars().count(), long.ends_with('…')), (101, true), "{long}");
    }
}

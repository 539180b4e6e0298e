//! The pages of previews: what recipients of a campaign see, as it is now. A message's HTML is a
//! document of its own, in a sandbox without scripts and without anything from elsewhere.

use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use axum::http::{HeaderName, Uri};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use super::super::accounts::Account;
use super::super::problem::Problem;
use super::super::query::pairs;
use super::super::reader::Unread;
use super::frame::{safe, segment};
use super::list::List;
use crate::compose::InlineImages;
use crate::job::{Job, JobError, Preview, RowChoice, SelectionError, Workspace};
use crate::kit::text::grouped;

/// The policy of a message's HTML (CSP): nothing runs, nothing is fetched, nothing is sent.
const POLICY: &str = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; \
     form-action 'none'; base-uri 'none'; frame-ancestors 'self'";
/// The last row that can be looked at: the list is screened up to it.
const MOST_ROWS: u32 = 1_000;
/// About so many rows of a list are read; what is behind them can't be looked at.
const MOST_READ: u64 = 100_000;

/// A message as it is shown.
pub(super) struct Shown {
    campaign: String,
    row: u32,
    preview: Preview,
    /// The head of the message, as it is sent.
    head: String,
}

/// The row that is wanted, from 1.
pub(super) fn row(uri: &Uri) -> Result<u32, Problem> {
    let wanted = pairs(uri, &["row"])?.pop();
    let row = wanted.map_or(Ok(1), |(_, value)| value.parse());
    let problem = || Problem::Bad(format!("`row` is a number from 1 to {MOST_ROWS}"));
    row.ok().filter(|row| (1..=MOST_ROWS).contains(row)).ok_or_else(problem)
}

/// Makes the message of a row. An account that does not see the campaign, as its file is now, gets
/// nothing.
pub(super) fn make(
    workspace: &Workspace,
    account: &Account,
    list: &List,
    (id, row): (&str, u32),
) -> Result<Shown, Unread> {
    let nothing = || Unread::Problem(Problem::Nothing);
    let sees = |campaign: &str, from| account.sees_mail(campaign, from);
    let line = list.lines.iter().find(|line| line.campaign == id && sees(&line.campaign, &line.from));
    let campaign = workspace.load(&line.ok_or_else(nothing)?.file)?;
    if campaign.identity.id != id || !sees(id, &campaign.sender.from.address) {
        return Err(nothing());
    }
    let job = Job::open(workspace, campaign)?;
    let images = InlineImages::read(job.campaign()).map_err(JobError::from)?;
    let choice = RowChoice::Number(row);
    // Whoever may look at a message must not unsubscribe its recipient.
    let renderer = job.renderer(&choice, (true, Some(MOST_READ)))?;
    let mut rows = match renderer.rows(&choice) {
        Err(JobError::Selection(SelectionError::NoRow { .. })) => return Err(nothing()),
        rows => rows?,
    };
    let index = rows.next().ok_or_else(nothing)?;
    let message = renderer.message(index)?;
    let end = message.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap_or(message.len());
    let head = String::from_utf8_lossy(&message[..end]).replace("\r\n", "\n");
    Ok(Shown { campaign: id.to_owned(), row, preview: renderer.preview(index, &images)?, head })
}

/// The campaigns that an account sees, each once.
pub(super) fn campaigns(account: &Account, list: &List) -> Markup {
    let mut campaigns: Vec<&str> = list
        .lines
        .iter()
        .filter(|line| account.sees_mail(&line.campaign, &line.from))
        .map(|line| line.campaign.as_str())
        .collect();
    campaigns.sort_unstable();
    campaigns.dedup();
    html! {
        h1 { "Previews" }
        @if campaigns.is_empty() {
            p { "There is no run here that this account sees, and so no campaign." }
        } @else {
            p { "What recipients see, of campaigns as their files are now." }
            ul { @for campaign in campaigns { li { a href=(format!("/previews/{}", segment(campaign))) { (safe(campaign)) } } } }
        }
    }
}

/// The page of a message.
pub(super) fn content(shown: &Shown) -> Markup {
    let Shown { campaign, row, preview, head } = shown;
    let path = format!("/previews/{}", segment(campaign));
    let html_path = format!("{path}/html?row={row}");
    html! {
        h1 { (safe(campaign)) }
        form class="row" method="get" action=(path) {
            label { "Row that passes screening, from 1" input name="row" type="number" min="1" max=(MOST_ROWS) value=(row); }
            button type="submit" { "Show" }
        }
        dl class="tiles" {
            div { dt { "Recipient" } dd class="small" { (safe(&preview.email)) } }
            div { dt { "Subject" } dd class="small" { (safe(&preview.subject)) } }
            div { dt { "Beside the subject" } dd class="small" { (safe(&preview.preheader)) } }
            div { dt { "Size" } dd { (preview.bytes) } }
            div { dt { "From" } dd class="small" { (safe(&preview.place)) } }
        }
        @if preview.html.is_some() {
            h2 { "HTML" }
            p class="faint" { "Without scripts, and without pictures from elsewhere." }
            div class="frames" {
                @for (class, width) in [("desk", 640), ("hand", 375)] {
                    figure {
                        figcaption { "At " (grouped(width)) " pixels" }
                        iframe class=(class) sandbox="" loading="lazy" src=(html_path)
                            title=(format!("HTML at {width} pixels")) {}
                    }
                }
            }
        }
        h2 { "Text" }
        pre tabindex="0" aria-label="Text" role="region" { (crate::kit::outside_text::lines(&preview.text)) }
        h2 { "Head" }
        pre tabindex="0" aria-label="Head" role="region" { (crate::kit::outside_text::lines(head)) }
    }
}

/// The HTML of a message, as a document of its own.
pub(super) fn html_part(shown: Shown) -> Result<Response, Problem> {
    let html = shown.preview.html.ok_or(Problem::Nothing)?;
    let head = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("x-content-type-options"), "nosniff"),
    ];
    Ok((head, html).into_response())
}

//! The page of the suppression list, for accounts that may change it: search, add and remove. What
//! is to change is shown once more before it does.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::header::LOCATION;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::super::accounts::Account;
use super::super::problem::Problem;
use super::super::query::pairs;
use super::super::reader::Unread;
use super::forms::Form;
use super::frame::safe;
use super::overview::minute;
use crate::job::Workspace;
use crate::kit::text::grouped;
use crate::mail::{Address, Domain, ListId};
use crate::suppression::{AddressKey, Entry, Filter, NewEntry, Reason, Scope, Term};

/// Entries of a page.
const OF_PAGE: usize = 100;
/// How old the number of all entries may be.
const COUNT_EVERY: Duration = Duration::from_secs(60);
/// The reasons that can be chosen.
const REASONS: [&str; 3] = ["manual", "unsubscribe", "complaint"];

/// What is looked for.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// An address, a domain, or nothing for all.
    query: String,
    /// The place behind which the page begins.
    after: String,
    /// What was done before.
    done: String,
}

/// What was found.
#[derive(Debug)]
pub(super) struct Found {
    wanted: Wanted,
    entries: Vec<Entry>,
    all: u64,
    problem: Option<String>,
}

/// How many entries block mail, as it was within [`COUNT_EVERY`]: it takes a look at all of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Count(Arc<Mutex<Option<(Instant, u64)>>>);

impl Count {
    /// The number that was counted last, unless it is too old.
    fn of(&self, count: impl FnOnce() -> Result<u64, Unread>) -> Result<u64, Unread> {
        // Whoever comes meanwhile waits, and does not count as well.
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, all)) = kept.filter(|(at, _)| at.elapsed() < COUNT_EVERY) {
            return Ok(all);
        }
        let all = count()?;
        *kept = Some((Instant::now(), all));
        Ok(all)
    }
}

/// What is to change.
#[derive(Debug, Clone)]
pub(super) enum Change {
    /// An entry is added, or renewed.
    Add { address: Address, reason: Reason, list: Option<ListId> },
    /// An entry is removed.
    Remove { address: Address, list: Option<ListId> },
}

impl Wanted {
    /// What the query of an address says. `+` is a blank in forms, and itself in addresses, which
    /// have no blanks.
    pub(super) fn of(uri: &Uri) -> Result<Self, Problem> {
        let mut wanted = Self::default();
        for (name, value) in pairs(uri, &["q", "after", "done"])? {
            match name.as_str() {
                "q" => wanted.query = value.trim_matches(['+', ' ']).to_owned(),
                "after" => wanted.after = value,
                _ => wanted.done = value,
            }
        }
        Ok(wanted)
    }

    /// Looks for it.
    pub(super) fn find(self, workspace: &Workspace, count: &Count) -> Result<Found, Unread> {
        let (list, now) = (workspace.suppressions()?, workspace.clock().wall());
        let all = count.of(|| Ok(list.count_live(now)?))?;
        let mut found = Found { wanted: self, entries: Vec::new(), all, problem: None };
        let query = found.wanted.query.as_str();
        let mut filter = Filter { live_at: Some(now), ..Filter::default() };
        match query.strip_prefix('@').unwrap_or(query) {
            "" => {}
            text if text.contains('@') => {
                match Address::parse(text) {
                    Ok(address) => {
                        found.entries = list.of_address(AddressKey::from(&address).as_str())?;
                        found.entries.retain(|entry| entry.is_live(now));
                    }
                    Err(error) => found.problem = Some(error.to_string()),
                }
                return Ok(found);
            }
            text => match Domain::parse(text) {
                Ok(domain) => filter.domain = Some(domain),
                Err(error) => {
                    found.problem = Some(error.to_string());
                    return Ok(found);
                }
            },
        }
        found.entries = list.page(&filter, &found.wanted.after, OF_PAGE)?;
        Ok(found)
    }
}

impl Change {
    /// What a form asks for.
    pub(super) fn of(form: &Form) -> Result<Self, Problem> {
        let bad = |problem: String| Problem::Bad(problem);
        let address = Address::parse(form.get("address")).map_err(|error| bad(error.to_string()))?;
        let list = match form.get("list") {
            "" => None,
            text => Some(text.parse().map_err(|error| bad(format!("`{text}` is {error}")))?),
        };
        match form.get("do") {
            "remove" => Ok(Self::Remove { address, list }),
            "add" if REASONS.contains(&form.get("reason")) => {
                let Ok(reason) = form.get("reason").parse::<Reason>();
                Ok(Self::Add { address, reason, list })
            }
            _ => Err(bad("the form asks for nothing that is known".to_owned())),
        }
    }

    /// Does it. What became of it, in a word.
    pub(super) fn make(
        self,
        workspace: &Workspace,
        account: &str,
    ) -> Result<(Address, &'static str), Unread> {
        let (list, now) = (workspace.suppressions()?, workspace.clock().wall());
        match self {
            Self::Add { address, reason, list: of } => {
                let entry = NewEntry {
                    email: address.to_string(),
                    address: address.clone(),
                    scope: Scope::of(of),
                    reason,
                    source: format!("page, by {account}"),
                    term: Term::Default,
                };
                list.add(entry, now)?;
                Ok((address, "added"))
            }
            Self::Remove { address, list: of } => {
                let is_removed = list.remove(&AddressKey::from(&address), &Scope::of(of))?;
                tracing::info!("account {account} removed {address} from the suppression list");
                Ok((address, if is_removed { "removed" } else { "missing" }))
            }
        }
    }

    /// The page that asks once more.
    pub(super) fn confirm(&self, token: &str) -> Markup {
        let (what, address, list, reason) = match self {
            Self::Add { address, reason, list } => ("add", address, list, Some(reason.as_str())),
            Self::Remove { address, list } => ("remove", address, list, None),
        };
        let mail = list.as_ref().map_or("all mail".to_owned(), |list| format!("mail of the list {list}"));
        html! {
            h1 { "Suppression" }
            p {
                @match reason {
                    Some(reason) => { "Stop " (safe(&mail)) " to " strong { (safe(&address.to_string())) } ", with the reason " (reason) "?" }
                    None => { "Let " (safe(&mail)) " to " strong { (safe(&address.to_string())) } " be sent again?" }
                }
            }
            @if reason.is_none() {
                p class="note doubtful" { "Whoever unsubscribed or complained must not get mail again unless they asked for it." }
            }
            form class="row" method="post" action="/suppression" {
                input type="hidden" name="token" value=(token);
                input type="hidden" name="do" value=(what);
                input type="hidden" name="address" value=(address.to_string());
                input type="hidden" name="list" value=(list.as_ref().map_or("", ListId::as_str));
                @if let Some(reason) = reason { input type="hidden" name="reason" value=(reason); }
                input type="hidden" name="confirmed" value="yes";
                button class="main" type="submit" { (if reason.is_some() { "Add it" } else { "Remove it" }) }
                a href=(path(&address.to_string(), "")) { "No, go back" }
            }
        }
    }
}

/// The address of the page about a query.
fn path(query: &str, done: &str) -> String {
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let done = if done.is_empty() { String::new() } else { format!("&done={done}") };
    format!("/suppression?q={}{done}", encoded(query))
}

/// Where a browser goes when a change was made: so that a reload repeats nothing.
pub(super) fn made(address: &Address, word: &str) -> Response {
    (StatusCode::SEE_OTHER, [(LOCATION, path(&address.to_string(), word))]).into_response()
}

/// The page.
pub(super) fn content(account: &Account, found: &Found, token: &str) -> Markup {
    let Found { wanted, entries, all, problem } = found;
    let done = match wanted.done.as_str() {
        "added" => Some("The address is on the list."),
        "removed" => Some("The address was removed from the list."),
        "missing" => Some("The address was not on the list."),
        _ => None,
    };
    html! {
        h1 { "Suppression" }
        @if let Some(done) = done { p class="note good" role="status" { (done) } }
        form class="row" method="get" action="/suppression" role="search" {
            label { "Address or domain" input name="q" value=(wanted.query) autocomplete="off" maxlength="320"; }
            button type="submit" { "Search" }
        }
        @if let Some(problem) = problem { p class="note bad" role="alert" { (safe(problem)) } }
        p { (grouped(*all)) " in all block mail, as counted within the last minute." }
        @if entries.is_empty() && problem.is_none() {
            p { "Nothing is found." }
        } @else if problem.is_none() {
            (table(entries, token))
        }
        @if let Some(last) = entries.last().filter(|_| entries.len() == OF_PAGE) {
            p { a href=(format!("{}&after={}", path(&wanted.query, ""), utf8_percent_encode(&last.scope.place(last.key.as_str()), NON_ALPHANUMERIC))) { "More" } }
        }
        h2 { "Add an address" }
        form class="row" method="post" action="/suppression" {
            input type="hidden" name="token" value=(token);
            input type="hidden" name="do" value="add";
            label { "Address" input name="address" type="text" inputmode="email" required autocomplete="off" maxlength="320"; }
            label { "Reason" select name="reason" { @for reason in REASONS { option { (reason) } } } }
            label { "Only mail of this list (its id)" input name="list" autocomplete="off" maxlength="255"; }
            button type="submit" { "Add …" }
        }
        p class="faint" { "Changes are noted as made by " (account.name) ". An entry for an unsubscription or a complaint never ends; others end after 45 days." }
    }
}

fn table(entries: &[Entry], token: &str) -> Markup {
    html! {
        div class="wide" role="region" aria-label="Entries" tabindex="0" {
            table {
                caption { "Entries. Times are in UTC." }
                thead { tr {
                    @for name in ["Address", "Reason", "Mail", "From", "Added", "Ends", "Change"] { th scope="col" { (name) } }
                } }
                tbody {
                    @for entry in entries {
                        tr {
                            th scope="row" { (safe(&entry.email)) }
                            td { (safe(entry.reason.as_str())) }
                            td { (entry.scope.list().map_or("all".into(), |list| safe(list.as_str()))) }
                            td { (safe(&entry.source)) }
                            td { (minute(&entry.added.to_string())) }
                            td { (entry.expires.map_or("never".to_owned(), |at| minute(&at.to_string()))) }
                            td {
                                form method="post" action="/suppression" {
                                    input type="hidden" name="token" value=(token);
                                    input type="hidden" name="do" value="remove";
                                    input type="hidden" name="address" value=(entry.key.as_str());
                                    input type="hidden" name="list" value=(entry.scope.as_str());
                                    button type="submit" aria-label=(format!("Remove {}", safe(&entry.email))) { "Remove …" }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

//! The page of capacity accounts: what was used of each agreement in the last hour.

use std::collections::HashSet;

use maud::{Markup, html};

use super::super::accounts::Account;
use super::frame::{Part, safe};
use super::list::List;
use super::overview::minute;
use crate::kit::text::grouped;
use crate::pacing::Usage;
use crate::report::{self, Column};

/// The capacity accounts that campaigns of an account use. What others used of them is there
/// without a name.
pub(super) fn parts(account: &Account, list: &List, usage: &[Usage]) -> Vec<Part> {
    let seen = list.lines.iter().filter(|line| account.sees_mail(&line.campaign, &line.from));
    let campaigns: HashSet<&str> = seen.map(|line| line.campaign.as_str()).collect();
    let sees = |campaign: &str| account.sees_campaign(campaign) || campaigns.contains(campaign);
    let is_seen = |usage: &&Usage| {
        let mut holders = usage.slots.iter().flat_map(|slot| &slot.by);
        usage.named.keys().any(|campaign| sees(campaign)) || holders.any(|(holder, _)| sees(&holder.campaign))
    };
    let own: Vec<&Usage> = usage.iter().filter(is_seen).collect();
    let content = html! {
        @if own.is_empty() { p { "Nothing was sent within the last hour that this account sees." } }
        @for usage in own { (one(usage, &sees)) }
    };
    vec![Part::new("capacity", &content)]
}

fn one(usage: &Usage, sees: &dyn Fn(&str) -> bool) -> Markup {
    let limits = usage.in_force;
    let columns: Vec<Column> = usage
        .slots
        .iter()
        .map(|slot| Column { label: minute(&slot.start.to_string()), value: slot.used })
        .collect();
    let title = format!("Used by {} in five minutes", safe(&usage.account));
    let label = format!("agreed: at most {}", grouped(limits.per_slot));
    let used = usage.slots.iter().filter(|slot| slot.used > 0);
    html! {
        h2 { (safe(&usage.account)) }
        dl class="tiles" {
            @for (what, number) in [
                ("used in the last hour", usage.hour_used), ("of, an hour", limits.per_hour),
                ("used in five minutes", usage.slot_used), ("of, in five minutes", limits.per_slot),
            ] { div { dt { (what) } dd { (grouped(number)) } } }
        }
        @if usage.disagrees() {
            p class="note doubtful" { "Campaigns name different limits for this account: the strictest apply." }
        }
        @if !columns.is_empty() { (report::columns(&title, &columns, limits.per_slot, &label)) }
        details {
            summary { "as a table" }
            table {
                caption { "Each five minutes in which something was sent. Times are in UTC." }
                thead { tr { th scope="col" { "From" } th scope="col" class="number" { "Used" } th scope="col" { "By" } } }
                tbody {
                    @for slot in used {
                        tr {
                            th scope="row" { (minute(&slot.start.to_string())) }
                            td class="number" { (grouped(slot.used)) }
                            td {
                                @for (number, (holder, used)) in slot.by.iter().enumerate() {
                                    @if number > 0 { ", " }
                                    (grouped(*used)) " "
                                    @if sees(&holder.campaign) { (safe(&holder.campaign)) } @else { "others" }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

//! The application: what a command, a service or a worker on another machine asks for, in the order
//! of the work.
//!
//! ```text
//! Workspace::new       where state and runs are, the clock, and who is informed
//! Job::open            the campaign with its templates, keys and secrets
//! freeze_or_resume     screen the list and freeze it, or resume the unfinished run
//! gate                 what must hold before the first byte leaves
//! send                 the dispatcher and its stages
//! conclude             result files, manifest, outcome
//! ```
//!
//! Nothing here parses arguments or prints: an [`Observer`] receives notices and progress.

mod advice;
mod allowances;
mod attachment_folder;
mod attribution;
mod audit;
mod came_back;
mod check;
mod complaints;
mod conclude;
mod dns_records;
mod domain;
mod dry_run;
mod editions;
mod error;
mod events;
mod feedback;
mod feedback_fetch;
mod feedback_import;
mod feedback_listen;
mod feedback_places;
mod feedback_settings;
mod feedback_summary;
mod feedback_tables;
#[cfg(test)]
mod feedback_tests;
mod final_states;
mod findings;
mod freeze;
mod freeze_error;
mod frozen_run;
mod gate;
mod history;
mod hooks;
mod kept;
mod live;
mod metrics;
mod name_servers;
mod next_hops;
mod observer;
mod open;
mod outlook;
mod owner_mail;
mod purge;
mod purge_error;
mod purge_person;
mod read_mail;
mod recover_error;
mod refusal;
mod refused_starts;
mod render;
mod report;
mod resend;
mod reputation;
mod resources;
mod retry;
mod retry_error;
mod rows;
mod run_lists;
mod runs;
mod search;
mod secret;
mod selection;
mod send;
mod send_options;
mod sender_standing;
mod senders;
mod shown;
mod standing;
mod stdin;
mod sums;
mod suppressions;
mod temporary_plan;
mod test_message;
#[cfg(test)]
mod tests;
mod told;
mod token_error;
mod trace;
mod unsent;
mod unsubscribe_requests;
mod unsubscribes;
mod visits;
mod webhooks;
mod with_feedback;
mod work;
mod workspace;

pub(crate) use came_back::CameBack;
pub(crate) use check::{CheckOptions, CheckReport};
pub(crate) use conclude::{Conclusion, Outcome, Percent, rewrite_results};
pub(crate) use domain::{name_sources, published_policy};
pub(crate) use dry_run::DryRunTotals;
pub(crate) use error::{ErrorClass, JobError, SelectionError, chain};
pub(crate) use feedback::FeedbackRead;
pub(crate) use feedback_fetch::FetchError;
pub(crate) use feedback_listen::FeedbackListen;
pub(crate) use feedback_summary::{FeedbackFilter, FeedbackSummary};
pub(crate) use final_states::FinalState;
pub(crate) use freeze::List;
pub(crate) use frozen_run::FrozenRun;
pub(crate) use gate::Checks;
pub(crate) use history::{Asked, History, histories, recipient_of_return_path};
pub(crate) use hooks::{Ended, SCHEMA_VERSION};
pub(crate) use live::Live;
pub(crate) use metrics::Metrics;
pub(crate) use name_servers::NameServers;
pub(crate) use next_hops::mx_router;
pub(crate) use observer::{Notice, Observer, Stage};
pub(crate) use open::Job;
pub(crate) use outlook::Outlook;
pub(crate) use purge::OldRuns;
pub(crate) use purge_person::OfPerson;
pub(crate) use read_mail::ReadMail;
pub(crate) use render::{Preview, Renderer, RowChoice};
pub(crate) use resend::Resend;
pub(crate) use retry::RetrySelection;
pub(crate) use runs::{ListedRun, NextStep, RunFacts};
pub(crate) use search::{Found, Search, Searched};
pub(crate) use selection::Selection;
pub(crate) use send_options::SendOptions;
pub(crate) use sender_standing::{DomainFigures, SenderStanding};
pub(crate) use shown::{notification, run_head};
pub(crate) use sums::{Complaints, Refusal, RunSums};
pub(crate) use test_message::TestMessage;
pub(crate) use trace::{Trace, Traced};
pub(crate) use unsubscribe_requests::{UnsubscribeRequest, UnsubscribeRequests, Unsubscribing};
pub(crate) use unsubscribes::{TokenSecrets, Unsubscribed, Unsubscribes};
pub(crate) use visits::{LostVisits, Visit, Visits};
pub(crate) use webhooks::{Delivered, MOST_WAITING, Receiver, ReplayFrom, Standing};
pub(crate) use workspace::{Places, Workspace, campaign_file};

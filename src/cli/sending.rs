//! How to send: what `send` and `retry` share.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::metrics::{self, Report};
use super::moment;
use super::name_servers::DnsOptions;
use super::runtime::runtime;
use super::{confirm, owner_mail, signals, summary};
use crate::campaign::{Campaign, RouteKind};
use crate::job::{Checks, Ended, FrozenRun, Job, Outcome, Percent, Selection, SendOptions};
use crate::journal;
use crate::mail::Timestamp;

/// How to send.
#[derive(Debug, Clone, Args)]
pub(super) struct Sending {
    /// Rehearse: deliver to the embedded receiver, nothing leaves the machine
    #[arg(long)]
    sandbox: bool,
    /// With the sandbox: keep the messages as .eml files in this folder
    #[arg(long, value_name = "DIR")]
    sandbox_keep: Option<PathBuf>,
    /// With the sandbox: record every accepted message in this file
    #[arg(long, value_name = "FILE")]
    sandbox_record: Option<PathBuf>,
    /// Ignore the agreed capacity and send as fast as possible; sandbox only
    #[arg(long)]
    unpaced: bool,
    /// Don't start before this time (RFC 3339, or HH:MM today)
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    not_before: Option<Timestamp>,
    /// Start no message after this time; the rest is `not_attempted`
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    not_after: Option<Timestamp>,
    /// Like --not-after, and refuse to start if the last message would leave after this time
    #[arg(long, value_name = "TIME", conflicts_with = "not_after", value_parser = moment::parse)]
    deadline: Option<Timestamp>,
    /// What to do with rows that a killed run left in doubt
    #[arg(long, value_enum, default_value_t)]
    in_doubt: InDoubt,
    /// Ask nothing before the first message leaves; without a terminal nothing is asked
    #[arg(short, long)]
    yes: bool,
    /// Exit 0 also if at most this share of the planned recipients was not accepted
    #[arg(long, value_name = "PERCENT", default_value = "0%", hide_default_value = true)]
    fail_above: Percent,
    /// Write how it ended to this file (.prom), for the textfile collector of Prometheus
    #[arg(long, value_name = "FILE", value_parser = metrics::file)]
    metrics_file: Option<PathBuf>,
    /// Where names are looked up.
    #[command(flatten)]
    dns: DnsOptions,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
}

/// What to do with rows in doubt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum InDoubt {
    /// Don't resend them: they are `in_doubt` in the results.
    #[default]
    Keep,
    /// Resend them: some recipients may get the message twice.
    Resend,
}

impl Sending {
    /// `--sandbox`: everything as usual, but to the embedded receiver. Whether that makes it a
    /// rehearsal: a campaign whose own route is the sandbox has no other runs.
    pub(super) fn rehearse(&self, campaign: &mut Campaign) -> bool {
        let rehearses = self.sandbox && campaign.delivery.route != RouteKind::Sandbox;
        if self.sandbox {
            campaign.delivery.route = RouteKind::Sandbox;
        }
        rehearses
    }

    /// Waits for `--not-before`.
    pub(super) fn wait(&self) -> Result<(), Diagnostic> {
        self.not_before.map_or(Ok(()), moment::wait_until)
    }

    /// What must hold before the first byte leaves; with `content` also the messages and the
    /// sender's domains.
    pub(super) fn checks(&self, content: bool) -> Checks {
        Checks { content: content.then(|| self.dns.clone().into()), deadline: self.deadline }
    }

    /// Whether the answer is wanted as JSON.
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    /// Whether it is a rehearsal by its options.
    pub(super) fn is_rehearsal(&self) -> bool {
        self.sandbox
    }

    /// Calls `carry_out` and writes how it ended to `--metrics-file`.
    pub(super) fn report(
        &self,
        carry_out: impl FnOnce(&mut Report) -> Result<Exit, Diagnostic>,
    ) -> Result<Exit, Diagnostic> {
        let mut report = Report::default();
        let ended = carry_out(&mut report);
        if let Some(file) = &self.metrics_file {
            report.write(file, ended.as_ref().map_or_else(|error| error.code(), |exit| *exit));
        }
        ended
    }

    /// Carries out the command: from the selected rows to the results.
    pub(super) fn carry_out(
        &self,
        job: &Job<'_>,
        selection: &Selection,
        checks: &Checks,
        report: &mut Report,
    ) -> Result<Exit, Diagnostic> {
        let mut run = job.freeze_or_resume(selection)?;
        report.of_run(&run.manifest);
        if run.is_finished() {
            self.check_nothing_kept(&run)?;
            owner_mail::after_run(job, run.dir(), &run.manifest, &self.dns);
            return summary::print_finished(&run, self.fail_above, self.json);
        }
        let runtime = runtime()?;
        let gate = runtime.block_on(job.gate(&mut run, checks));
        let about =
            |run: &FrozenRun, error: Diagnostic| error.of_run(summary::run(run.dir(), &run.manifest, None));
        gate.map_err(|error| about(&run, error.into()))?;
        // Who is asked before the first message is not asked when the run resumes.
        let is_real =
            job.campaign().delivery.route != RouteKind::Sandbox && run.manifest.options.to.is_none();
        let recipients = run.manifest.screening.accepted;
        if is_real
            && !run.has_begun()
            && !self.yes
            && recipients > 0
            && !confirm::is_wanted(job.campaign(), recipients)
        {
            let error = Diagnostic::new("not confirmed; nothing was sent").hint("`--yes` asks nothing");
            return Err(about(&run, error));
        }
        let end = runtime.block_on(async {
            let signals = signals::listen()?;
            Ok::<_, Diagnostic>(job.send(&mut run, &self.options(), signals).await?)
        });
        report.of_run(&run.manifest);
        let (dir, manifest) = (run.dir().clone(), run.manifest.clone());
        let concluded = end.and_then(|end| Ok(job.conclude(run, &end, self.fail_above)?));
        match concluded {
            Ok(conclusion) => {
                report.of_run(&conclusion.manifest);
                let printed = summary::print_conclusion(&conclusion, self.json);
                job.run_hook(&Ended {
                    dir: &conclusion.dir,
                    manifest: &conclusion.manifest,
                    results: conclusion.results.as_ref(),
                    outcome: conclusion.outcome,
                    error: None,
                    exit_code: summary::exit(conclusion.outcome).code(),
                });
                owner_mail::after_run(job, &conclusion.dir, &conclusion.manifest, &self.dns);
                printed
            }
            Err(error) => {
                if error.code() == Exit::Interrupted {
                    job.run_hook(&Ended {
                        dir: &dir,
                        manifest: &manifest,
                        results: None,
                        outcome: Outcome::Interrupted,
                        error: Some(error.json()),
                        exit_code: Exit::Interrupted.code(),
                    });
                }
                Err(error.of_run(summary::run(&dir, &manifest, None)))
            }
        }
    }

    /// Refuses to end well where messages should be kept and none are: the rehearsal is over.
    fn check_nothing_kept(&self, run: &FrozenRun) -> Result<(), Diagnostic> {
        let Some(place) = self.sandbox_keep.as_ref().or(self.sandbox_record.as_ref()) else { return Ok(()) };
        let when = run.manifest.finished.map_or(String::new(), |at| format!(" at {at}"));
        let text =
            format!("nothing was kept in `{}`: rehearsal {} finished{when}", place.display(), run.name());
        Err(Diagnostic::new(text).hint("`mailrun send --again` rehearses once more"))
    }

    fn options(&self) -> SendOptions {
        SendOptions {
            in_doubt: match self.in_doubt {
                InDoubt::Keep => journal::InDoubt::Keep,
                InDoubt::Resend => journal::InDoubt::Resend,
            },
            unpaced: self.unpaced,
            not_after: self.not_after,
            deadline: self.deadline,
            name_servers: self.dns.clone().into(),
            sandbox_keep: self.sandbox_keep.clone(),
            sandbox_record: self.sandbox_record.clone(),
        }
    }
}

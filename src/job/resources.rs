//! What a run holds while it is sending, and gives back at the end: the embedded receiver, the next
//! hops, the suppression list, and the shares of the local addresses.

use std::sync::Arc;

use super::allowances::Allowances;
use super::error::{JobError, SetupError};
use super::frozen_run::FrozenRun;
use super::next_hops::next_hops;
use super::open::Job;
use super::send_options::SendOptions;
use super::workspace::Workspace;
use crate::campaign::RouteKind;
use crate::run::NextHops;
use crate::sandbox::{Keep, Options as SandboxOptions, Sandbox};
use crate::suppression::{Feed, Suppressions, Watch};

/// What a run holds while it is sending.
pub(super) struct Resources {
    sandbox: Option<Sandbox>,
    /// Where the mail goes.
    pub next_hops: Arc<NextHops>,
    /// The suppression list.
    pub list: Arc<dyn Suppressions>,
    /// What has been added to it since the plan was made.
    pub watch: Arc<Watch>,
    _feed: Feed,
    /// What the local addresses may carry today.
    pub allowances: Allowances,
}

impl Resources {
    /// Takes what the run needs.
    pub(super) async fn take(
        job: &Job<'_>,
        run: &FrozenRun,
        options: &SendOptions,
    ) -> Result<Self, JobError> {
        let (workspace, campaign) = (job.workspace, job.campaign());
        let sandbox = start_sandbox(job, options).await?;
        let resolver = || options.name_servers.resolver(campaign);
        let next_hops = next_hops(campaign, sandbox.as_ref(), run.id(), resolver, &workspace.policies()?)?;
        let (state, clock) = (workspace.state()?, workspace.clock().clone());
        let list = workspace.suppressions()?;
        let since = run.manifest.suppression_change;
        let list_id = campaign.identity.list();
        let watch = Arc::new(Watch::open(Arc::clone(&list), list_id, since, clock.wall())?);
        let today = clock.wall().to_utc().date_naive();
        let feed = Feed::start(Arc::clone(&watch), move || clock.wall())
            .map_err(|source| SetupError::Thread { name: "suppression list", source })?;
        let allowances = Allowances::take(campaign, &*state, u64::from(run.plan.len()), today)?;
        Ok(Self { sandbox, next_hops: Arc::new(next_hops), list, watch, _feed: feed, allowances })
    }

    /// Keeps what was learnt, and gives back what was not used: `left` is what each departure has
    /// left of its allowance.
    pub(super) async fn give_back(self, workspace: &Workspace, left: &[Option<u64>]) -> Result<(), JobError> {
        if let Some(mta_sts) = self.next_hops.mta_sts() {
            mta_sts.save(&workspace.policies()?)?;
        }
        self.allowances.give_back(&*workspace.state()?, left)?;
        if let Some(sandbox) = self.sandbox {
            sandbox.stop().await;
        }
        Ok(())
    }
}

async fn start_sandbox(job: &Job<'_>, options: &SendOptions) -> Result<Option<Sandbox>, JobError> {
    if job.campaign().delivery.route != RouteKind::Sandbox {
        return Ok(None);
    }
    let options = SandboxOptions {
        keep: options.sandbox_keep.clone().map_or(Keep::Discard, Keep::Eml),
        record: options.sandbox_record.clone(),
        ..SandboxOptions::default()
    };
    Sandbox::start(options).await.map(Some).map_err(|error| SetupError::Sandbox(error).into())
}

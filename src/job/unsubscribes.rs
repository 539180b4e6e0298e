//! Who unsubscribes: from the tokens of unsubscribe links to entries of the suppression list.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::error::JobError;
use super::run_lists::RunLists;
use super::secret::token_secret;
use super::token_error::TokenRefused;
use super::workspace::{Workspace, campaign_file};
use crate::campaign::Campaign;
use crate::compose::token::{self, Purpose, Token, TokenError};
use crate::compose::tracked::Opener;
use crate::mail::{Address, ListId};
use crate::plan::Plan;
use crate::suppression::Scope;

/// The secrets that tokens were made with.
#[derive(Clone)]
pub(crate) struct TokenSecrets(Arc<[Vec<u8>]>);

/// Reads tokens with one or more secrets. A run is opened where its token does not hold the
/// address.
pub(crate) struct Unsubscribes<'w> {
    workspace: &'w Workspace,
    secrets: TokenSecrets,
    plans: RefCell<HashMap<String, Option<Plan>>>,
    lists: RefCell<HashMap<String, Option<ListId>>>,
    past: RunLists,
}

/// A recipient who unsubscribes.
pub(crate) struct Unsubscribed {
    /// What the token says.
    pub token: Token,
    /// The recipient's address.
    pub address: Address,
    /// The mail that they want no more of: that of the run's list; all, where it had none or
    /// nothing is known of it.
    pub scope: Scope,
}

impl Unsubscribed {
    /// `<campaign id>/<run id>`.
    pub(crate) fn run(&self) -> String {
        run_of(&self.token)
    }
}

impl TokenSecrets {
    /// Those of `campaigns`; without any, the one in the state directory.
    pub(crate) fn open(workspace: &Workspace, campaigns: &[PathBuf]) -> Result<Self, JobError> {
        match campaigns {
            [] => Ok(Self([token_secret(workspace, None)?].into())),
            named => Ok(Self(secrets_of(workspace, named)?.into())),
        }
    }

    /// The one in the state directory, and those of `campaigns`.
    pub(crate) fn open_all(workspace: &Workspace, campaigns: &[PathBuf]) -> Result<Self, JobError> {
        let mut secrets = vec![token_secret(workspace, None)?];
        secrets.extend(secrets_of(workspace, campaigns)?);
        Ok(Self(secrets.into()))
    }

    /// What reads the tokens of tracked links and images.
    pub(crate) fn openers(&self) -> Vec<Opener> {
        self.0.iter().map(|secret| Opener::new(secret)).collect()
    }

    /// What a token says.
    pub(crate) fn decode(&self, token: &str) -> Result<Token, TokenError> {
        let read = self.0.iter().map(|secret| token::decode(secret, token));
        // One secret at most fits, so what it says counts.
        let fits = |read: &Result<Token, TokenError>| *read != Err(TokenError::Secret);
        read.into_iter().find(fits).unwrap_or(Err(TokenError::Secret))
    }
}

fn secrets_of(workspace: &Workspace, campaigns: &[PathBuf]) -> Result<Vec<Vec<u8>>, JobError> {
    let secret_of = |path: &PathBuf| -> Result<Vec<u8>, JobError> {
        token_secret(workspace, Campaign::load(&campaign_file(path))?.unsubscribe.as_ref())
    };
    campaigns.iter().map(secret_of).collect()
}

impl<'w> Unsubscribes<'w> {
    /// Reads tokens that were made with the secret of one of `campaigns`; without any, with the one
    /// in the state directory.
    pub(crate) fn open(workspace: &'w Workspace, campaigns: &[PathBuf]) -> Result<Self, JobError> {
        Self::with(workspace, TokenSecrets::open(workspace, campaigns)?)
    }

    /// Reads tokens that were made with one of `secrets`.
    pub(crate) fn with(workspace: &'w Workspace, secrets: TokenSecrets) -> Result<Self, JobError> {
        let (plans, lists, past) = (RefCell::default(), RefCell::default(), RunLists::open(workspace)?);
        Ok(Self { workspace, secrets, plans, lists, past })
    }

    /// Whom `token` unsubscribes.
    pub(crate) fn read(&self, token: &str) -> Result<Unsubscribed, TokenRefused> {
        self.of(self.secrets.decode(token)?)
    }

    /// Whom a token unsubscribes that says this.
    pub(crate) fn of(&self, token: Token) -> Result<Unsubscribed, TokenRefused> {
        match token.purpose {
            Purpose::Unsubscribe => {}
            Purpose::Test => return Err(TokenRefused::Test { run: run_of(&token) }),
        }
        let address = match &token.address {
            Some(address) => address.clone(),
            None => self.look_up(&token)?,
        };
        let scope = Scope::of(self.list(&token));
        Ok(Unsubscribed { token, address, scope })
    }

    /// The list of the token's run.
    fn list(&self, token: &Token) -> Option<ListId> {
        let run = run_of(token);
        let mut lists = self.lists.borrow_mut();
        let found = lists.entry(run).or_insert_with_key(|run| {
            let manifest = self.workspace.find_run(run).and_then(|run| Ok(run.manifest()?));
            match manifest {
                Ok(manifest) => manifest.campaign.identity.list(),
                Err(_) => self.past.of(&token.campaign, &token.run),
            }
        });
        found.clone()
    }

    /// The address in the plan of the token's run.
    fn look_up(&self, token: &Token) -> Result<Address, TokenRefused> {
        let (run, id) = (run_of(token), token.recipient.clone());
        let mut plans = self.plans.borrow_mut();
        let plan = plans.entry(run.clone()).or_insert_with(|| self.plan(&run).ok());
        let Some(plan) = plan else {
            // Tokens of mailrun 0.1 hold the address where the target group had no ids.
            let address = Address::parse(&id).ok().filter(|_| token.row.is_none());
            return address.ok_or(TokenRefused::NoRun { id, run });
        };
        let is_meant = |index: &u32| match plan.id(*index) {
            Some(own) => own == id,
            None => plan.address(*index).to_string() == id,
        };
        let found = match token.row {
            Some(row) => (row < plan.len()).then_some(row).filter(is_meant),
            None => (0..plan.len()).find(is_meant),
        };
        found.map(|index| plan.address(index)).ok_or(TokenRefused::NoRecipient { id, run })
    }

    fn plan(&self, run: &str) -> Result<Plan, JobError> {
        let run = self.workspace.find_run(run)?;
        Ok(run.manifest()?.open_plan(&run.dir().plan())?)
    }
}

fn run_of(token: &Token) -> String {
    format!("{}/{}", token.campaign, token.run)
}

//! Who unsubscribes: from the tokens of unsubscribe links to entries of the suppression list.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;

use super::error::JobError;
use super::secret::token_secret;
use super::token_error::TokenRefused;
use super::workspace::{Workspace, campaign_file};
use crate::campaign::Campaign;
use crate::compose::token::{self, Purpose, Token, TokenError};
use crate::mail::Address;
use crate::plan::Plan;

/// Reads tokens with one or more secrets. A run is opened where its token does not hold the
/// address.
pub(crate) struct Unsubscribes<'w> {
    workspace: &'w Workspace,
    secrets: Vec<Vec<u8>>,
    runs: RefCell<HashMap<String, Option<Plan>>>,
}

/// A recipient who unsubscribes.
pub(crate) struct Unsubscribed {
    /// What the token says.
    pub token: Token,
    /// The recipient's address.
    pub address: Address,
}

impl Unsubscribed {
    /// `<campaign id>/<run id>`.
    pub(crate) fn run(&self) -> String {
        run_of(&self.token)
    }
}

impl<'w> Unsubscribes<'w> {
    /// Reads tokens that were made with the secret of one of `campaigns`; without any, with the one
    /// in the state directory.
    pub(crate) fn open(workspace: &'w Workspace, campaigns: &[PathBuf]) -> Result<Self, JobError> {
        let secret_of = |path: &PathBuf| -> Result<Vec<u8>, JobError> {
            token_secret(workspace, Campaign::load(&campaign_file(path))?.unsubscribe.as_ref())
        };
        let secrets = match campaigns {
            [] => vec![token_secret(workspace, None)?],
            named => named.iter().map(secret_of).collect::<Result<_, _>>()?,
        };
        Ok(Self { workspace, secrets, runs: RefCell::default() })
    }

    /// Whom `token` unsubscribes.
    pub(crate) fn read(&self, token: &str) -> Result<Unsubscribed, TokenRefused> {
        let token = self.decode(token)?;
        match token.purpose {
            Purpose::Unsubscribe => {}
            Purpose::Test => return Err(TokenRefused::Test { run: run_of(&token) }),
        }
        let address = match &token.address {
            Some(address) => address.clone(),
            None => self.look_up(&token)?,
        };
        Ok(Unsubscribed { token, address })
    }

    fn decode(&self, token: &str) -> Result<Token, TokenError> {
        let read = self.secrets.iter().map(|secret| token::decode(secret, token));
        // One secret at most fits, so what it says counts.
        let fits = |read: &Result<Token, TokenError>| *read != Err(TokenError::Secret);
        read.into_iter().find(fits).unwrap_or(Err(TokenError::Secret))
    }

    /// The address in the plan of the token's run.
    fn look_up(&self, token: &Token) -> Result<Address, TokenRefused> {
        let (run, id) = (run_of(token), token.recipient.clone());
        let mut runs = self.runs.borrow_mut();
        let plan = runs.entry(run.clone()).or_insert_with(|| self.plan(&run).ok());
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

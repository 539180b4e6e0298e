//! Keeps policies between runs: a small JSON file, replaced as a whole.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::policy::Policy;
use super::{Held, MtaSts};
use crate::kit::file::{self, PRIVATE};
use crate::mail::{Domain, Timestamp};

/// The version of the file's layout.
const VERSION: u32 = 1;

/// The file with the policies can't be read or written. A run continues without it.
#[derive(Debug, thiserror::Error)]
#[error("failed to {doing} the MTA-STS policies in `{path}`")]
pub struct PolicyStoreError {
    doing: &'static str,
    path: String,
    #[source]
    source: io::Error,
}

#[derive(Serialize, Deserialize)]
struct File {
    version: u32,
    policies: Vec<Stored>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    domain: String,
    id: String,
    /// Microseconds since 1970.
    until: i64,
    policy: String,
}

impl MtaSts {
    /// Loads the policies in the file at `path` that still hold. A missing file has none.
    pub fn load(&self, path: &Path) -> Result<(), PolicyStoreError> {
        self.load_at(path, Timestamp::wall())
    }

    pub(super) fn load_at(&self, path: &Path, now: Timestamp) -> Result<(), PolicyStoreError> {
        let failed = |source| PolicyStoreError { doing: "read", path: path.display().to_string(), source };
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(failed(error)),
        };
        let file: File = serde_json::from_slice(&text).map_err(|error| failed(error.into()))?;
        if file.version != VERSION {
            return Err(failed(io::Error::other(format!(
                "version {} of the file is not known",
                file.version
            ))));
        }
        let mut kept = self.kept();
        for stored in file.policies {
            let (Ok(domain), Ok(policy)) =
                (Domain::parse(&stored.domain), Policy::parse(stored.policy.as_bytes()))
            else {
                continue;
            };
            // The clock may have been wrong when it was written: no policy holds longer than its
            // `max_age`.
            let until = Timestamp(stored.until).min(now + policy.max_age);
            if now < until {
                kept.keep(&domain, Held { id: stored.id, policy: Arc::new(policy), until }, now);
            }
        }
        kept.changed = false;
        Ok(())
    }

    /// Saves the policies if they have changed since they were loaded.
    pub fn save(&self, path: &Path) -> Result<(), PolicyStoreError> {
        let failed = |source| PolicyStoreError { doing: "write", path: path.display().to_string(), source };
        let mut policies: Vec<Stored> = {
            let mut kept = self.kept();
            if !kept.changed {
                return Ok(());
            }
            kept.changed = false;
            let stored = |(domain, held): (&Domain, &Held)| Stored {
                domain: domain.as_str().to_owned(),
                id: held.id.clone(),
                until: held.until.0,
                policy: held.policy.text(),
            };
            kept.policies.iter().map(stored).collect()
        };
        policies.sort_by(|a, b| a.domain.cmp(&b.domain));
        let text = serde_json::to_vec_pretty(&File { version: VERSION, policies })
            .map_err(|error| failed(error.into()))?;
        file::replace(path, &text, PRIVATE).map_err(failed)
    }
}

//! Lists in object stores: `s3://bucket/key` is fetched before it is read, into a file that only
//! this process sees and that ends with it.
//!
//! Reads only. The credentials come from the environment (`AWS_…`) or from the machine's role;
//! neither they nor a server's answer, which may repeat them, are in an error.

#[cfg(feature = "object-stores")]
mod client;
#[cfg(feature = "object-stores")]
mod fetch;

use std::sync::Arc;

use crate::campaign::is_object_url;
use crate::target_group::{FetchedObject, TargetGroupError};

/// Fetches those of `files` that are URLs of objects, or patterns of them. Blocks until all are
/// here.
///
/// # Errors
/// Names the object and what to do.
pub(crate) fn fetch(files: &[String]) -> Result<Vec<Arc<FetchedObject>>, TargetGroupError> {
    let named: Vec<&str> = files.iter().map(String::as_str).filter(|file| is_object_url(file)).collect();
    if named.is_empty() { Ok(Vec::new()) } else { fetch_named(&named) }
}

#[cfg(feature = "object-stores")]
fn fetch_named(named: &[&str]) -> Result<Vec<Arc<FetchedObject>>, TargetGroupError> {
    // The caller may be a task of a runtime, in which no other one can be driven.
    std::thread::scope(|scope| {
        let fetched = scope.spawn(|| fetch::all(named)).join();
        fetched.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

#[cfg(not(feature = "object-stores"))]
fn fetch_named(named: &[&str]) -> Result<Vec<Arc<FetchedObject>>, TargetGroupError> {
    let problem = "this build of mailrun reads no object stores";
    Err(TargetGroupError::of_object(
        named[0],
        problem,
        "build it with the feature `object-stores`, or copy the list",
    ))
}

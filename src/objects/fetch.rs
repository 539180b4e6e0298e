//! Finds objects and copies them, a piece at a time: of one version, in bounded memory.

use std::env;
use std::error::Error;
use std::io::{self, Write};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, RetryConfig};
use tokio::time::timeout;

use super::client::Connector;
use crate::campaign::S3;
use crate::kit::outside_text;
use crate::mail::Timestamp;
use crate::target_group::{FetchedObject, ObjectVersion, TargetGroupError};

/// How much of an object is fetched at once.
const PIECE_BYTES: u64 = 16 << 20;
/// The time for one request and its answer, with its retries.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often a request is repeated, and for how long, when the store fails.
const RETRIES: usize = 3;
const RETRY_FOR: Duration = Duration::from_secs(30);
/// The variables whose values no error may show.
const SECRETS: [&str; 4] =
    ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN"];
/// The variables that name another store than Amazon's, the strongest first.
const ENDPOINTS: [&str; 3] = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"];
/// What may be wrong when a store can't be used.
const REACH: &str = "check AWS_ENDPOINT_URL, AWS_REGION and the network";
/// What may be wrong when a store says no more than that it refuses.
const ACCESS: &str = "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and AWS_ENDPOINT_URL, and that they may \
                      read it (s3:GetObject, and s3:ListBucket for patterns)";

/// Fetches all of `named`, in order.
pub(super) fn all(named: &[&str]) -> Result<Vec<Arc<FetchedObject>>, TargetGroupError> {
    let failed = |error: io::Error| {
        TargetGroupError::of_object(named[0], "can't fetch it", "see the cause").caused_by(error)
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    runtime.block_on(async {
        let mut fetched: Vec<Arc<FetchedObject>> = Vec::new();
        for name in named {
            let (bucket, key) = Bucket::of(name)?;
            for key in bucket.keys(key).await? {
                // Two patterns may match one object, which is one list.
                if !fetched.iter().any(|other| other.url == bucket.url(&key)) {
                    fetched.push(Arc::new(bucket.fetch(name, &key).await?));
                }
            }
        }
        Ok(fetched)
    })
}

/// A bucket of a store.
struct Bucket {
    name: String,
    store: AmazonS3,
    /// What the campaign names, for errors.
    named: String,
}

impl Bucket {
    /// The bucket of a URL, and the key or the pattern in it.
    fn of(named: &str) -> Result<(Self, &str), TargetGroupError> {
        let rest = named.strip_prefix(S3).unwrap_or(named);
        let Some((name, key)) =
            rest.split_once('/').filter(|(name, key)| !name.is_empty() && !key.is_empty())
        else {
            let problem = "the URL names no object";
            return Err(TargetGroupError::of_object(named, problem, "write `s3://bucket/folder/list.csv`"));
        };
        let allow_http = may_be_plain();
        let builder = AmazonS3Builder::from_env()
            .with_bucket_name(name)
            .with_allow_http(allow_http)
            .with_retry(RetryConfig {
                max_retries: RETRIES,
                retry_timeout: RETRY_FOR,
                ..RetryConfig::default()
            })
            .with_http_connector(Connector::new().map_err(|error| {
                TargetGroupError::of_object(named, "can't set up TLS", "install the system's certificates")
                    .caused_by(error)
            })?);
        let store = builder.build().map_err(|error| failed(named, &error))?;
        Ok((Self { name: name.to_owned(), store, named: named.to_owned() }, key))
    }

    fn url(&self, key: &Path) -> String {
        format!("{S3}{}/{key}", self.name)
    }

    /// The keys that `pattern` matches, sorted; itself if it is none.
    async fn keys(&self, pattern: &str) -> Result<Vec<Path>, TargetGroupError> {
        let key = |text: &str| {
            Path::parse(text).map_err(|_| {
                TargetGroupError::of_object(
                    &self.named,
                    "this key can't be read",
                    "give the object a plainer key",
                )
            })
        };
        if !pattern.contains(['*', '?', '[']) {
            return Ok(vec![key(pattern)?]);
        }
        let parts: Vec<&str> = pattern.split('/').collect();
        let literal = parts.iter().take_while(|part| !part.contains(['*', '?', '['])).count();
        let mut folders = vec![key(&parts[..literal].join("/"))?];
        let mut found = Vec::new();
        for (at, part) in parts.iter().enumerate().skip(literal) {
            if part.contains("**") {
                let hint = "`*` stands for any text within one folder: write one pattern for each depth";
                return Err(TargetGroupError::of_object(
                    &self.named,
                    "`**` is not known in object stores",
                    hint,
                ));
            }
            let name = glob::Pattern::new(part).map_err(|error| {
                let problem = format!("not a pattern: {}", error.msg);
                TargetGroupError::of_object(
                    &self.named,
                    &problem,
                    "`*` stands for any text, `?` for a character",
                )
            })?;
            let is_last = at + 1 == parts.len();
            let mut below = Vec::new();
            for folder in &folders {
                let prefix = Some(folder).filter(|folder| !folder.as_ref().is_empty());
                let listed = self.within(self.store.list_with_delimiter(prefix)).await?;
                let fits = |path: &Path| path.filename().is_some_and(|own| name.matches(own));
                if is_last {
                    found.extend(listed.objects.into_iter().map(|object| object.location).filter(fits));
                } else {
                    below.extend(listed.common_prefixes.into_iter().filter(fits));
                }
            }
            folders = below;
        }
        if found.is_empty() {
            let hint = "`*` stands for any text within one folder";
            return Err(TargetGroupError::of_object(&self.named, "no object matches", hint));
        }
        found.sort();
        Ok(found)
    }

    /// Copies an object into a file.
    async fn fetch(&self, named: &str, key: &Path) -> Result<FetchedObject, TargetGroupError> {
        let url = self.url(key);
        let of_url = |error: &object_store::Error| failed(&url, error);
        let meta = self.patient(self.store.head(key), &url).await?.map_err(|error| of_url(&error))?;
        let cant_keep = |error: io::Error| {
            let hint = "a list is kept in the folder that TMPDIR names while it is read: it needs room there";
            TargetGroupError::of_object(&url, "can't keep what was fetched", hint).caused_by(error)
        };
        let mut file = tempfile::tempfile().map_err(cant_keep)?;
        let mut from = 0;
        while from < meta.size {
            let piece = from..(from + PIECE_BYTES).min(meta.size);
            from = piece.end;
            let bytes = self.patient(self.piece(key, &meta, piece.clone()), &url).await?;
            let bytes = bytes.map_err(|error| of_url(&error))?;
            if bytes.len() as u64 != piece.end - piece.start {
                let problem = "the object broke off while it was fetched";
                return Err(TargetGroupError::of_object(&url, problem, "start again"));
            }
            file.write_all(&bytes).map_err(cant_keep)?;
        }
        file.flush().map_err(cant_keep)?;
        Ok(FetchedObject::new(named, &url, file, version(meta)))
    }

    async fn piece(
        &self,
        key: &Path,
        meta: &ObjectMeta,
        piece: Range<u64>,
    ) -> object_store::Result<bytes::Bytes> {
        let options = GetOptions {
            range: Some(GetRange::Bounded(piece)),
            if_match: meta.e_tag.clone(),
            ..GetOptions::default()
        };
        self.store.get_opts(key, options).await?.bytes().await
    }

    async fn within<T>(
        &self,
        asked: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T, TargetGroupError> {
        self.patient(asked, &self.named).await?.map_err(|error| failed(&self.named, &error))
    }

    async fn patient<T>(&self, asked: impl Future<Output = T>, url: &str) -> Result<T, TargetGroupError> {
        timeout(PATIENCE, asked).await.map_err(|_| {
            let problem = format!("the object store did not answer within {} s", PATIENCE.as_secs());
            TargetGroupError::of_object(url, &problem, REACH)
        })
    }
}

fn version(meta: ObjectMeta) -> ObjectVersion {
    ObjectVersion {
        etag: meta.e_tag,
        version: meta.version,
        modified: Timestamp(meta.last_modified.timestamp_micros()).to_string(),
    }
}

/// Plain HTTP is for stores on this machine, and where AWS_ALLOW_HTTP says so.
fn may_be_plain() -> bool {
    let said = env::var("AWS_ALLOW_HTTP").is_ok_and(|said| matches!(said.as_str(), "1" | "true"));
    let endpoint = ENDPOINTS.iter().find_map(|name| env::var(name).ok()).unwrap_or_default();
    let authority = endpoint.strip_prefix("http://").map(|rest| rest.split('/').next().unwrap_or_default());
    said || authority.is_some_and(is_loopback)
}

/// Whether `host`, with its port, is this machine.
fn is_loopback(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        Some(_) | None => authority,
    };
    let host = host.trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// What an error of the store means for the object at `url`.
fn failed(url: &str, error: &object_store::Error) -> TargetGroupError {
    use object_store::Error as Store;
    let (problem, hint) = match error {
        Store::NotFound { .. } => {
            ("the object store has no such object".to_owned(), "check bucket, key and AWS_ENDPOINT_URL")
        }
        Store::PermissionDenied { .. } | Store::Unauthenticated { .. } => {
            (format!("the object store refuses access{}", code(error)), ACCESS)
        }
        Store::Precondition { .. } => (
            "the object changed while it was fetched".to_owned(),
            "write a list under another key, and start again",
        ),
        _ => (format!("the object store failed: {}", cause(error)), REACH),
    };
    TargetGroupError::of_object(url, &problem, hint)
}

/// The code in a store's answer, which is all of it that is shown: the rest repeats what was sent.
fn code(error: &object_store::Error) -> String {
    let text = last_cause(error);
    let code =
        text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>")).map(|(code, _)| code);
    let is_word = |code: &&str| code.len() <= 60 && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    code.filter(is_word).map_or(String::new(), |code| format!(" ({code})"))
}

/// Why a request failed, in one line.
fn cause(error: &object_store::Error) -> String {
    let text = last_cause(error);
    // A body follows the status.
    let line = text.split(['<', '\n']).next().unwrap_or_default().trim_end_matches([' ', ':']);
    let line: String = outside_text::line(line).chars().take(200).collect();
    let secrets = SECRETS.iter().filter_map(|name| env::var(name).ok()).filter(|value| value.len() >= 4);
    secrets.fold(line, |line, secret| line.replace(&secret, "[secret]")) + &code(error)
}

fn last_cause(error: &object_store::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_this_machine() {
        for (authority, expected) in [
            ("localhost:9000", true),
            ("127.0.0.1:9000", true),
            ("127.1.2.3", true),
            ("[::1]:9000", true),
            ("minio.example:9000", false),
            ("10.0.0.1:9000", false),
            ("localhost.example", false),
            ("", false),
        ] {
            assert_eq!(is_loopback(authority), expected, "{authority}");
        }
    }

    #[test]
    fn of_an_answer_only_its_code_is_shown() {
        let of = |text: &str| object_store::Error::PermissionDenied {
            path: "x".into(),
            source: text.to_owned().into(),
        };
        let answer = "Server returned non-2xx status code: 403: <Error><Code>SignatureDoesNotMatch</Code>\
                      <AWSAccessKeyId>AKIAEXAMPLE</AWSAccessKeyId></Error>";
        assert_eq!(code(&of(answer)), " (SignatureDoesNotMatch)");
        assert_eq!(cause(&of(answer)), "Server returned non-2xx status code: 403 (SignatureDoesNotMatch)");
        assert_eq!(code(&of("<Code>a b</Code>")), "");
    }
}

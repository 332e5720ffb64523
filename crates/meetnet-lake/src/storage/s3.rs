//! A lake in a bucket of S3, or of a store that speaks its language.
//!
//! ```text
//! lake threads ─▶ ObjectStorage ─┐
//! queries ──────────────────────┴▶ client (signs, tries again) ─▶ [Connection: I/O runtime, counts, cleans errors] ─▶ S3
//! ```
//!
//! What the lake asks of the store: a put with `If-None-Match: *` that is refused where the object is there, listings
//! and reads that see every put that was answered, ranges, and deletion. Every request body is signed with its SHA-256,
//! which the store checks before it keeps anything.
//!
//! Limits nest: a request has `request_time_max`, and its repetitions end after `retry_time_max`; whoever asked then tries
//! again later. `AWS_…` variables of the environment count for nothing here unless the caller passes them on.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut};
use object_store::path::Path;
use object_store::{BackoffConfig, ClientOptions, RetryConfig};
use tokio::runtime::Handle;

use self::connection::Connector;
use super::ObjectStorage;

mod connection;

/// First pause before a request is sent again; longer each time.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// Longest pause.
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(5);
/// How long a connection may take.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);

/// Variables that say which role a machine, container or pod has; see [`S3Credentials::Role`].
pub const ROLE_VARIABLES: [&str; 8] = [
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ENDPOINT_URL_STS",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_METADATA_ENDPOINT",
];

/// A bucket and a prefix in it: `s3://bucket/prefix`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Url {
    /// Name of the bucket.
    pub bucket: String,
    /// Prefix of the lake, without slashes around it; may be empty.
    pub prefix: String,
}

/// Where a lake in S3 lies and how it is reached.
#[derive(Clone, Debug)]
pub struct S3Options {
    /// Bucket and prefix.
    pub url: S3Url,
    /// Address of the store; None: AWS, by region.
    pub endpoint: Option<String>,
    /// Region of the bucket.
    pub region: String,
    /// Who asks.
    pub credentials: S3Credentials,
    /// How requests behave.
    pub limits: S3Limits,
    /// Whether `http://` is accepted: whoever listens on the way reads the data.
    pub allow_http: bool,
    /// Whether the bucket is part of the host name, instead of the path.
    pub virtual_hosted: bool,
}

/// Limits of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct S3Limits {
    /// Of one request, its body included.
    pub request_time_max: Duration,
    /// A request that failed is sent again for at most this long.
    pub retry_time_max: Duration,
    /// A request that failed is sent again at most so many times.
    pub retries_max: usize,
}

impl Default for S3Limits {
    fn default() -> Self {
        Self {
            request_time_max: Duration::from_secs(60),
            retry_time_max: Duration::from_secs(30),
            retries_max: 10,
        }
    }
}

/// Who asks.
#[derive(Clone)]
pub enum S3Credentials {
    /// A key pair.
    Keys {
        /// Id of the key.
        access_key_id: String,
        /// The secret that requests are signed with.
        secret_access_key: String,
        /// Token of a session, for temporary keys.
        session_token: Option<String>,
    },
    /// The role of this machine, container or pod: temporary keys, fetched and renewed. Values of [`ROLE_VARIABLES`], by
    /// name; with none of them the instance's metadata service is asked.
    Role(Vec<(String, String)>),
    /// Nobody: requests are not signed.
    Anonymous,
}

impl fmt::Debug for S3Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Keys { .. } => "Keys",
            Self::Role(_) => "Role",
            Self::Anonymous => "Anonymous",
        })
    }
}

/// Why a lake in S3 cannot be reached with these options.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct S3OptionsError(String);

impl FromStr for S3Url {
    type Err = S3OptionsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |why: &str| {
            S3OptionsError(format!(
                "`{text}` names no place in S3: {why}; write s3://BUCKET/PREFIX"
            ))
        };
        let rest = text
            .strip_prefix("s3://")
            .ok_or_else(|| wrong("no s3://"))?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        if bucket.is_empty() || !bucket.bytes().all(is_name) {
            // What stands before an `@` may be a secret: only the rule is said.
            return Err(S3OptionsError(
                "a bucket's name has letters, digits, `.`, `-` and `_` only; write s3://BUCKET/PREFIX"
                    .to_owned(),
            ));
        }
        let prefix = prefix.trim_end_matches('/');
        // A slash in front would be left out without a word.
        let is_plain = !prefix.starts_with('/') && !prefix.contains(['?', '#', '%', '\\']);
        if !is_plain || Path::parse(prefix).is_err() {
            return Err(wrong("the prefix is no plain path"));
        }
        Ok(Self {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
        })
    }
}

impl fmt::Display for S3Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}", self.bucket)?;
        if !self.prefix.is_empty() {
            write!(f, "/{}", self.prefix)?;
        }
        Ok(())
    }
}

impl S3Options {
    /// Returns options for a place and somebody who asks, with AWS's own address and the default limits.
    pub fn new(url: S3Url, credentials: S3Credentials) -> Self {
        Self {
            url,
            endpoint: None,
            region: "us-east-1".to_owned(),
            credentials,
            limits: S3Limits::default(),
            allow_http: false,
            virtual_hosted: false,
        }
    }

    /// Returns the storage. Nothing is connected yet. All network I/O runs on `runtime`, whichever runtime or thread
    /// waits for it, so that queries that keep their own threads busy do not starve it.
    ///
    /// # Errors
    /// Where the options contradict each other.
    pub fn storage(&self, runtime: Handle) -> Result<ObjectStorage, S3OptionsError> {
        let limits = &self.limits;
        let client = ClientOptions::new()
            .with_allow_http(self.allow_http)
            .with_connect_timeout(CONNECT_TIME_MAX)
            .with_timeout(limits.request_time_max);
        let retry = RetryConfig {
            backoff: BackoffConfig {
                init_backoff: RETRY_PAUSE,
                max_backoff: RETRY_PAUSE_MAX,
                ..BackoffConfig::default()
            },
            max_retries: limits.retries_max,
            retry_timeout: limits.retry_time_max,
        };
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&self.url.bucket)
            .with_region(&self.region)
            .with_virtual_hosted_style_request(self.virtual_hosted)
            .with_conditional_put(S3ConditionalPut::ETagMatch)
            .with_client_options(client)
            .with_retry(retry)
            .with_http_connector(Connector::new(runtime.clone()));
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(endpoint.trim_end_matches('/'));
        }
        builder = match &self.credentials {
            S3Credentials::Keys {
                access_key_id,
                secret_access_key,
                session_token,
            } => {
                let keys = builder
                    .with_access_key_id(access_key_id)
                    .with_secret_access_key(secret_access_key);
                match session_token {
                    Some(token) => keys.with_token(token),
                    None => keys,
                }
            }
            S3Credentials::Role(variables) => with_role(builder, variables)?,
            S3Credentials::Anonymous => builder.with_skip_signature(true),
        };
        let failed = |error: object_store::Error| S3OptionsError(error.to_string());
        let store = builder.build().map_err(failed)?;
        let prefix = Path::parse(&self.url.prefix).map_err(|error| failed(error.into()))?;
        let url = self.url.to_string();
        Ok(ObjectStorage::new(&url, Arc::new(store), prefix, runtime))
    }
}

/// Passes on what the environment says about the machine's role, and nothing else of it.
fn with_role(
    builder: AmazonS3Builder,
    variables: &[(String, String)],
) -> Result<AmazonS3Builder, S3OptionsError> {
    let mut builder = builder;
    for (name, value) in variables {
        let key = Some(name.as_str())
            .filter(|name| ROLE_VARIABLES.contains(name))
            .and_then(|name| AmazonS3ConfigKey::from_str(&name.to_ascii_lowercase()).ok())
            .ok_or_else(|| S3OptionsError(format!("`{name}` says nothing about a role")))?;
        builder = builder.with_config(key, value);
    }
    Ok(builder)
}

#[cfg(test)]
mod tests;

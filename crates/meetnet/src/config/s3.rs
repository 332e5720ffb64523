//! `[s3]`: how the bucket is reached that `[lake] url = "s3://…"` names.
//!
//! Nothing is taken from `AWS_…` variables that the section does not name: a daemon must not write to another account
//! because of whose shell it was started from.

use std::ops::Range;
use std::time::Duration;

use meetnet_lake::storage::{S3Credentials, S3Limits, S3Options, S3Url};
use meetnet_model::source::SecretRef;
use toml::Spanned;

use super::document::Document;
use super::sections::{at_least, duration};
use super::{Located, raw};

/// With less, no file would get through.
const REQUEST_TIME_MIN: Duration = Duration::from_secs(1);

/// `[s3]`, without its secrets.
#[derive(Clone, Debug)]
pub(crate) struct S3Config {
    pub(crate) url: S3Url,
    pub(crate) endpoint: Option<String>,
    pub(crate) region: String,
    pub(crate) credentials: S3CredentialsFrom,
    pub(crate) limits: S3Limits,
    allow_http: bool,
    virtual_hosted: bool,
}

/// Where the credentials come from.
#[derive(Clone, Debug)]
pub(crate) enum S3CredentialsFrom {
    /// A key pair.
    Keys(Box<S3Keys>),
    /// The role of the machine, container or pod.
    Role,
    /// Requests are not signed.
    Anonymous,
}

/// Names of the secrets that make a key pair.
#[derive(Clone, Debug)]
pub(crate) struct S3Keys {
    pub(crate) access_key_id: Located<SecretRef>,
    pub(crate) secret_access_key: Located<SecretRef>,
    pub(crate) session_token: Option<Located<SecretRef>>,
}

impl S3CredentialsFrom {
    /// Returns what stands in the configuration.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Keys(_) => "keys",
            Self::Role => "role",
            Self::Anonymous => "anonymous",
        }
    }
}

impl S3Config {
    /// Returns everything that the storage needs.
    pub(crate) fn options(&self, credentials: S3Credentials) -> S3Options {
        S3Options {
            endpoint: self.endpoint.clone(),
            region: self.region.clone(),
            limits: self.limits,
            allow_http: self.allow_http,
            virtual_hosted: self.virtual_hosted,
            ..S3Options::new(self.url.clone(), credentials)
        }
    }
}

/// Reads the section that belongs to the address at `url`; None where it is wrong.
pub(super) fn read(document: &mut Document<'_>, url: &Spanned<String>) -> Option<S3Config> {
    let Some(section) = document.take("s3") else {
        let message =
            "a lake on s3:// needs a section [s3] with region and credentials; see config/s3.toml";
        document.problem(url.span(), message);
        return None;
    };
    let span = section.span();
    let raw = document.read::<raw::S3>(section)?;
    let place = match url.get_ref().parse::<S3Url>() {
        Ok(place) => Some(place),
        Err(error) => {
            document.problem(url.span(), error.to_string());
            None
        }
    };
    let allow_http = raw.allow_http.unwrap_or(false);
    if let Some(endpoint) = &raw.endpoint {
        check_endpoint(document, endpoint, allow_http);
    } else if raw.region.is_none() {
        document.problem(
            span.clone(),
            "name the region of the bucket, or the endpoint of another store than AWS",
        );
    }
    if raw
        .region
        .as_deref()
        .is_some_and(|region| region.trim().is_empty())
    {
        document.problem(
            span.clone(),
            "the region is empty: write the bucket's, or with an endpoint leave it out",
        );
    }
    let defaults = S3Limits::default();
    let limits = S3Limits {
        request_time_max: at_least(
            document,
            raw.request_time_max,
            defaults.request_time_max,
            REQUEST_TIME_MIN,
        ),
        retry_time_max: duration(raw.retry_time_max, defaults.retry_time_max),
        retries_max: raw.retries_max.unwrap_or(defaults.retries_max),
    };
    let credentials = credentials(
        document,
        span,
        raw.credentials,
        [raw.access_key_id, raw.secret_access_key, raw.session_token],
    )?;
    Some(S3Config {
        url: place?,
        endpoint: raw.endpoint.map(Spanned::into_inner),
        region: raw.region.unwrap_or_else(|| "us-east-1".to_owned()),
        credentials,
        limits,
        allow_http,
        virtual_hosted: raw.virtual_hosted.unwrap_or(false),
    })
}

fn check_endpoint(document: &mut Document<'_>, endpoint: &Spanned<String>, allow_http: bool) {
    let text = endpoint.get_ref();
    let is_http = text.starts_with("http://");
    let address = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"));
    let is_plain = address.is_some_and(is_host) && !text.contains(['@', '?', '#']);
    if !is_plain {
        let message =
            "the endpoint is https://HOST or https://HOST:PORT, without user, query or fragment";
        document.problem(endpoint.span(), message);
    } else if is_http && !allow_http {
        let message = "whoever listens on the way to an http:// endpoint reads the data; use https://, or set allow_http = true";
        document.problem(endpoint.span(), message);
    }
}

/// Returns true where an address behind its scheme begins with a host, and a port that there can be.
fn is_host(address: &str) -> bool {
    let authority = address.split('/').next().unwrap_or_default();
    let (host, port) = match authority.rsplit_once(':') {
        // An address of IPv6 without a port ends with a bracket.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b".-_[]:".contains(&byte);
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    !host.is_empty() && host.bytes().all(is_part) && port.is_none_or(is_port)
}

fn credentials(
    document: &mut Document<'_>,
    section: Range<usize>,
    kind: Option<raw::S3CredentialsKind>,
    keys: [Option<Spanned<raw::Secret>>; 3],
) -> Option<S3CredentialsFrom> {
    match (kind.unwrap_or(raw::S3CredentialsKind::Keys), keys) {
        (raw::S3CredentialsKind::Keys, [Some(id), Some(secret), token]) => {
            let keys = S3Keys {
                access_key_id: document.secret(&id),
                secret_access_key: document.secret(&secret),
                session_token: token.map(|token| document.secret(&token)),
            };
            Some(S3CredentialsFrom::Keys(Box::new(keys)))
        }
        (raw::S3CredentialsKind::Keys, _) => {
            document.problem(
                section,
                "name access_key_id and secret_access_key, each as { env = \"NAME\" } or { file = \"path\" }; \
                 or set credentials = \"role\"",
            );
            None
        }
        (raw::S3CredentialsKind::Role, [None, None, None]) => Some(S3CredentialsFrom::Role),
        (raw::S3CredentialsKind::Anonymous, [None, None, None]) => {
            Some(S3CredentialsFrom::Anonymous)
        }
        (raw::S3CredentialsKind::Role | raw::S3CredentialsKind::Anonymous, _) => {
            document.problem(
                section,
                "keys are for credentials = \"keys\"; remove them or that line",
            );
            None
        }
    }
}

//! Who asks: API keys, reverse proxies that are believed, and the audit log.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use meetnet_publish::{AddressRange, ClientSettings};
use meetnet_query::{ApiKey, ApiKeys, KeyDigest, KeyLimits};
use reqwest::header::HeaderName;
use toml::Spanned;

use super::access::AccessConfig;
use super::document::Document;
use super::raw;
use super::sections::{MEMORY_BYTES_MIN, at_least, bytes, is_plain_name};

/// What reverse proxies say the address of a client in, where nothing else is named.
const CLIENT_HEADER: HeaderName = HeaderName::from_static("x-forwarded-for");
const AUDIT_DEFAULT: &str = "data/audit";
const AUDIT_RETENTION: Duration = Duration::from_secs(30 * 24 * 3600);
/// The file of a day ends with the day, so less would keep nothing.
const AUDIT_RETENTION_MIN: Duration = Duration::from_secs(24 * 3600);
const AUDIT_FILE_BYTES: usize = 256 << 20;

/// `[audit]`: one line per statement, without personal data.
#[derive(Clone, Debug)]
pub(crate) struct AuditConfig {
    pub(crate) dir: PathBuf,
    pub(crate) retention: Duration,
    /// Of one day.
    pub(crate) file_bytes_max: u64,
}

/// Reads the keys; nobody of those who may use a listener is called as one is.
pub(super) fn api_keys<'a>(
    document: &mut Document<'_>,
    access: impl Iterator<Item = &'a AccessConfig>,
) -> ApiKeys {
    let users: Vec<&String> = access
        .flat_map(|access| access.users.iter().map(|(name, _)| name))
        .collect();
    let mut keys: Vec<ApiKey> = Vec::new();
    for section in document.take_all("api_key") {
        let Some(raw) = document.read::<raw::ApiKey>(section) else {
            continue;
        };
        let name = raw.name.get_ref();
        if !is_plain_name(name) || name == meetnet_access::ANONYMOUS {
            let message = format!(
                "`{name}` is no name for the holder of a key; write lower-case letters, digits, - and _, and not `{}`",
                meetnet_access::ANONYMOUS
            );
            document.problem(raw.name.span(), message);
        }
        if keys.iter().any(|known| *known.name == **name) || users.contains(&name) {
            let message =
                format!("there is a key or user `{name}` already; give each a name of its own");
            document.problem(raw.name.span(), message);
        }
        let digest = match raw.sha256.get_ref().parse::<KeyDigest>() {
            Ok(digest) => digest,
            Err(error) => {
                // A key that stands here by mistake is not repeated: messages end up in logs.
                let message = format!(
                    "{error}; make a key with `openssl rand -hex 32 | tr -d '\\n'`, give it to its holder, and write here what \
                     `sha256sum` says of it"
                );
                document.problem(raw.sha256.span(), message);
                continue;
            }
        };
        if keys.iter().any(|known| known.digest.is(&digest)) {
            document.problem(
                raw.sha256.span(),
                "another key has this digest; give each holder one",
            );
        }
        let own_memory = |document: &mut Document<'_>, raw: Option<_>| {
            raw.map(|raw| bytes(document, Some(raw), 0, MEMORY_BYTES_MIN))
        };
        let memory_bytes_max = own_memory(document, raw.memory_bytes_max);
        let memory_total_bytes_max = own_memory(document, raw.memory_total_bytes_max);
        keys.push(ApiKey {
            name: name.as_str().into(),
            digest,
            limits: KeyLimits {
                running_max: raw.running_max.map(usize::from),
                queued_max: raw.queued_max,
                query_time_max: raw.query_time_max.map(|text| text.0),
                row_limit: raw.row_limit.map(usize::from),
                answer_bytes_max: raw.answer_bytes_max.map(|size| size.0),
                memory_bytes_max,
                memory_total_bytes_max,
                query_spill_bytes_max: raw.query_spill_bytes_max.map(|size| size.0),
                spill_bytes_max: raw.spill_bytes_max.map(|size| size.0),
            },
        });
    }
    ApiKeys::new(keys)
}

/// Reads which proxies are believed. The keys follow.
pub(super) fn settings(
    document: &mut Document<'_>,
    proxies: Option<&Spanned<Vec<String>>>,
    header: Option<&Spanned<String>>,
) -> ClientSettings {
    let mut ranges = Vec::new();
    for text in proxies.iter().flat_map(|proxies| proxies.get_ref()) {
        match text.parse::<AddressRange>() {
            Ok(range) => ranges.push(range),
            Err(error) => {
                let span = proxies.map(Spanned::span).unwrap_or_default();
                document.problem(span, format!("`{text}` is no range of addresses; {error}"));
            }
        }
    }
    if let Some(header) = header
        && ranges.is_empty()
    {
        let message = "a header is believed of trusted proxies only, and there are none; add `trusted_proxies`";
        document.problem(header.span(), message);
    }
    let name = match header {
        None => Some(CLIENT_HEADER),
        Some(header) => {
            let name = HeaderName::from_str(header.get_ref()).ok();
            if name.is_none() {
                let message = format!(
                    "`{}` is no name of a header; write one such as X-Forwarded-For",
                    header.get_ref()
                );
                document.problem(header.span(), message);
            }
            name
        }
    };
    ClientSettings {
        keys: ApiKeys::default(),
        header: name.filter(|_| !ranges.is_empty()),
        proxies: ranges,
    }
}

/// Reads where the audit log is written.
pub(super) fn audit(document: &mut Document<'_>, raw: raw::Audit, folder: &Path) -> AuditConfig {
    let file_bytes_max = bytes(document, raw.file_bytes_max, AUDIT_FILE_BYTES, 1 << 16);
    AuditConfig {
        dir: folder.join(raw.dir.as_deref().unwrap_or(AUDIT_DEFAULT)),
        retention: at_least(
            document,
            raw.retention,
            AUDIT_RETENTION,
            AUDIT_RETENTION_MIN,
        ),
        file_bytes_max: file_bytes_max as u64,
    }
}

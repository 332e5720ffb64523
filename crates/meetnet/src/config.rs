//! The configuration: TOML and environment become one validated [`Config`], or a list of everything that is wrong.
//!
//! ```text
//! file + MEETNET_SECTION__KEY ─▶ document ─▶ raw sections ─▶ checks ─▶ Config ─▶ Secrets ─▶ daemon
//!                                (spans)     (serde)         declarations, licences, decoders
//! ```
//!
//! Everything is read and checked once, here; whoever gets a `Config` never looks at text again. Nothing connects to
//! anything, and no secret is read before [`Config::secrets`] is asked for them.
//!
//! An environment variable `MEETNET_SECTION__KEY` (two underscores between the parts, upper case) overrides one value
//! of the file, for example `MEETNET_HTTP__LISTEN=0.0.0.0:80`; `MEETNET_SOURCE__ID__KEY` overrides one of a source,
//! `-` in its id written as `_`. The value is a TOML number or boolean where it reads as one, and text otherwise; lists
//! and tables can only stand in the file. Variables without two underscores (`MEETNET_LOG`) are no overrides.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use arc_swap::ArcSwap;
use meetnet_ingest::http::PushLimits;
use meetnet_ingest::pipeline::PipelineLimits;
use meetnet_lake::lake::LakeLimits;
use meetnet_lake::storage::{FolderStorage, LakeStorage};
use meetnet_model::declarations::{DeclarationError, Declarations};
use meetnet_model::ids::DatasetId;
use meetnet_model::source::SecretRef;
use meetnet_publish::{ClientSettings, PublishSettings, ServeLimits};
use meetnet_query::{ApiKeys, QueryOptions};
use tokio::runtime::Handle;

mod access;
mod check;
mod clients;
mod document;
mod flight;
mod hint;
mod http;
mod live;
mod pg;
mod raw;
mod s3;
mod secrets;
mod sections;
mod source;
mod source_keys;
mod source_mqtt;
mod source_places;
mod source_poll;
mod syntax;

#[cfg(test)]
mod tests;

pub(crate) use self::access::AccessConfig;
pub(crate) use self::clients::AuditConfig;
pub(crate) use self::flight::FlightConfig;
pub(crate) use self::hint::near_name;
pub(crate) use self::pg::PgConfig;
pub(crate) use self::s3::{S3Config, S3CredentialsFrom};
pub(crate) use self::secrets::{AccessSecrets, Secrets, secret_of_file, secret_of_variable};
pub(crate) use self::source::{SourceConfig, Transport};
pub(crate) use self::source_mqtt::MqttTransport;

/// The environment as a value, so that tests need no global one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Takes the environment of this process; variables that are not UTF-8 are left out.
    pub(crate) fn of_process() -> Self {
        let pairs = std::env::vars_os();
        Self(
            pairs
                .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
                .collect(),
        )
    }

    /// Returns one variable.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Sets one variable, for flags of the command line that win over the file.
    pub(crate) fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.insert(name.into(), value.into());
    }

    fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// Everything that is wrong with a configuration, each with file and line where there is one.
#[derive(Debug)]
pub(crate) struct ConfigError {
    pub(crate) problems: Vec<DeclarationError>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.problems.len() == 1 { "" } else { "s" };
        write!(
            f,
            "{} problem{plural} in the configuration:",
            self.problems.len()
        )?;
        for problem in &self.problems {
            write!(f, "\n  {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// A value and where it stands, for what can only be checked later.
#[derive(Clone, Debug)]
pub(crate) struct Located<T> {
    pub(crate) value: T,
    /// A problem without a message.
    place: DeclarationError,
}

impl<T> Located<T> {
    /// Returns a value that stands in another file than the configuration.
    fn in_file(value: T, file: &str, line: usize) -> Self {
        let place = DeclarationError {
            file: file.to_owned(),
            line: Some(line),
            message: String::new(),
        };
        Self { value, place }
    }

    fn problem(&self, message: impl Into<String>) -> DeclarationError {
        DeclarationError {
            message: message.into(),
            ..self.place.clone()
        }
    }
}

/// `[lake]`: where the tables lie and when they commit.
#[derive(Clone, Debug)]
pub(crate) struct LakeConfig {
    pub(crate) place: LakePlace,
    /// How often a separate `serve` looks for commits.
    pub(crate) poll_interval: Duration,
    /// From the beginning of one comparison of all files with their hashes to that of the next; None: no such rounds.
    pub(crate) scrub_every: Option<Duration>,
    pub(crate) limits: LakeLimits,
    /// How long old periods of a dataset are kept; without an entry: for ever.
    pub(crate) retention: BTreeMap<DatasetId, Duration>,
    /// How long a shorter retention waits before anything is dropped by it.
    pub(crate) retention_grace: Duration,
}

/// Where the tables lie.
#[derive(Clone, Debug)]
pub(crate) enum LakePlace {
    /// A local folder.
    Folder(PathBuf),
    /// A bucket.
    S3(Box<S3Config>),
}

impl LakeConfig {
    /// Returns the storage that holds the tables; nothing is connected yet. Requests to a bucket run on `runtime`.
    ///
    /// # Errors
    /// Where `[s3]` contradicts itself in a way that only its client notices.
    pub(crate) fn storage(
        &self,
        secrets: &Secrets,
        runtime: Handle,
    ) -> anyhow::Result<Arc<dyn LakeStorage>> {
        let storage: Arc<dyn LakeStorage> = match &self.place {
            LakePlace::Folder(root) => Arc::new(FolderStorage::new(root)),
            LakePlace::S3(s3) => {
                let credentials = secrets.s3.clone();
                let credentials = credentials.context("the credentials of [s3] were not read")?;
                let storage = s3.options(credentials).storage(runtime);
                Arc::new(storage.context("[s3] cannot be used")?)
            }
        };
        Ok(storage)
    }
}

/// `[journal]`: where the journal and its raw archive lie, and their limits.
#[derive(Clone, Debug)]
pub(crate) struct JournalConfig {
    pub(crate) dir: PathBuf,
    pub(crate) archive_dir: PathBuf,
    pub(crate) segment_bytes_max: u64,
    pub(crate) journal_bytes_max: u64,
    pub(crate) pending_bytes_max: usize,
    pub(crate) reserve_bytes: u64,
    pub(crate) raw_retention: Duration,
    pub(crate) archive_bytes_max: u64,
    pub(crate) aside_bytes_max: u64,
}

/// `[http]` and `[portal]`: the public, read-only listener.
#[derive(Clone, Debug)]
pub(crate) struct HttpConfig {
    pub(crate) listen: SocketAddr,
    pub(crate) limits: ServeLimits,
    pub(crate) settings: PublishSettings,
}

/// `[ingest_http]`: the push listener.
#[derive(Clone, Debug)]
pub(crate) struct IngestHttpConfig {
    pub(crate) listen: SocketAddr,
    pub(crate) limits: PushLimits,
    /// Of its connections.
    pub(crate) connections: ServeLimits,
    /// The proxies that are believed; nobody has a key here.
    pub(crate) clients: ClientSettings,
}

/// `[admin]`: metrics and the operations page. The socket for commands is there without the section: see
/// [`Config::socket`].
#[derive(Clone, Debug)]
pub(crate) struct AdminConfig {
    /// Of the process that writes.
    pub(crate) listen: SocketAddr,
    /// Of a separate `serve`, which may share the configuration with the one that writes.
    pub(crate) serve_listen: Option<SocketAddr>,
    pub(crate) limits: ServeLimits,
}

/// `[limits]`: limits of the parts that no other section names.
#[derive(Clone, Debug)]
pub(crate) struct LimitsConfig {
    pub(crate) pipeline: PipelineLimits,
    pub(crate) pushes_waiting_max: usize,
    pub(crate) stop_time_max: Duration,
    /// Less free space on the disk of journal or lake is an alarm.
    pub(crate) free_bytes_min: u64,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// `[log]`.
#[derive(Clone, Debug, Default)]
pub(crate) struct LogConfig {
    pub(crate) format: LogFormat,
    /// Directives as in `RUST_LOG`, which wins.
    pub(crate) filter: Option<String>,
}

/// A configuration in which everything has been checked that can be without connecting or reading secrets.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// The file as it was named to us.
    pub(crate) file: PathBuf,
    pub(crate) lake: LakeConfig,
    pub(crate) journal: JournalConfig,
    pub(crate) http: Option<HttpConfig>,
    pub(crate) ingest_http: Option<IngestHttpConfig>,
    pub(crate) admin: Option<AdminConfig>,
    pub(crate) pg: Option<PgConfig>,
    pub(crate) flight: Option<FlightConfig>,
    /// Keys of clients with limits of their own, on every listener for queries.
    pub(crate) api_keys: ApiKeys,
    /// None: no audit log.
    pub(crate) audit: Option<AuditConfig>,
    /// The Unix socket on which a daemon that writes takes commands.
    pub(crate) socket: PathBuf,
    pub(crate) privacy_secret: Option<Located<SecretRef>>,
    pub(crate) query: QueryOptions,
    pub(crate) limits: LimitsConfig,
    /// Folder whose declarations replace or add to the built-in ones.
    pub(crate) schemas_dir: Option<PathBuf>,
    pub(crate) log: LogConfig,
    /// The file has nothing in it but blanks.
    is_blank: bool,
    /// What a running daemon does not read again, by `[section] key`, as it is written.
    fixed: BTreeMap<String, Located<toml::Value>>,
    /// Files that were read beside the configuration itself and the declarations, or will be: registries, certificates,
    /// secrets.
    pub(crate) files: Vec<PathBuf>,
    pub(crate) sources: Vec<SourceConfig>,
    /// Datasets, properties and sources, as they are journalled.
    pub(crate) declarations: Arc<Declarations>,
}

/// A configuration that a reload exchanges.
pub(crate) type SharedConfig = Arc<ArcSwap<Config>>;

impl Config {
    /// Reads and checks the configuration in `file`.
    ///
    /// # Errors
    /// Everything that is wrong with it, not only the first thing.
    pub(crate) fn load(file: &Path, environment: &Environment) -> Result<Self, ConfigError> {
        let name = file.display().to_string();
        let text = std::fs::read_to_string(file).map_err(|error| {
            let message =
                format!("cannot be read: {error}; name a configuration file with --config");
            ConfigError {
                problems: vec![DeclarationError {
                    file: name.clone(),
                    line: None,
                    message,
                }],
            }
        })?;
        Self::parse(file, &text, environment)
    }

    /// As [`Config::load`], with the file's text at hand. Relative paths are from the file's own folder.
    pub(crate) fn parse(
        file: &Path,
        text: &str,
        environment: &Environment,
    ) -> Result<Self, ConfigError> {
        let name = file.display().to_string();
        let folder = file.parent().unwrap_or(Path::new("")).to_path_buf();
        let mut document = document::Document::parse(&name, text);
        document.apply_environment(environment);
        let config = sections::read(&mut document, file, &folder);
        match (config, document.into_problems()) {
            (Some(config), problems) if problems.is_empty() => Ok(config),
            (_, problems) => Err(ConfigError { problems }),
        }
    }

    /// Reads every secret that the configuration names.
    ///
    /// # Errors
    /// Each secret that is not there.
    pub(crate) fn secrets(&self, environment: &Environment) -> Result<Secrets, ConfigError> {
        secrets::read(self, environment)
    }

    /// Reads the secrets of a separate `serve`: those of the lake and of the listeners for SQL.
    ///
    /// # Errors
    /// Each of them that is not there.
    pub(crate) fn serve_secrets(&self, environment: &Environment) -> Result<Secrets, ConfigError> {
        secrets::read_serve(self, environment)
    }

    /// Reads the secrets that reading the lake takes.
    ///
    /// # Errors
    /// Each of them that is not there.
    pub(crate) fn lake_secrets(&self, environment: &Environment) -> Result<Secrets, ConfigError> {
        secrets::read_lake(self, environment)
    }
}

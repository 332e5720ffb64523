//! Whom to ask: a service, the daemon of a configuration, or the committed files of a lake.
//!
//! ```text
//! --url ────────────────────────▶ service
//! --config, MEETNET_CONFIG
//!          ─▶ daemon runs? ─ yes ─▶ service
//!                         └─ no ──▶ files
//! --lake DIR | s3://… ────────────▶ files
//! ```
//!
//! A service is asked with the API key of --api-key-file or MEETNET_API_KEY; files need none.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow};
use arc_swap::ArcSwap;
use clap::Args;
use meetnet_lake::journal::FolderLock;
use meetnet_lake::lake::LakeReader;
use meetnet_lake::snapshot::SharedSnapshot;
use meetnet_lake::storage::{LakeLocation, ROLE_VARIABLES};
use tokio::runtime::Handle;

use super::access::ServiceAccess;
use crate::config::{Config, Environment, Secrets};
use crate::failure::Failure;

#[cfg(test)]
mod tests;

/// The variable that names the configuration of whoever runs a daemon, for every command.
const CONFIG_VARIABLE: &str = "MEETNET_CONFIG";
/// Who is asked where nothing says whom.
const URL: &str = "http://127.0.0.1:8080";

/// The options that say whom to ask.
#[derive(Clone, Debug, Args)]
pub(crate) struct PlaceOptions {
    /// Reads the storage of this configuration, or asks the daemon that has it open; without --url and --lake, MEETNET_CONFIG may name it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["url", "lake"])]
    config: Option<PathBuf>,

    /// Reads committed files: of a folder, or of s3://BUCKET/PREFIX with AWS_REGION, AWS_ENDPOINT_URL and AWS_ACCESS_KEY_ID
    #[arg(long, value_name = "DIR", conflicts_with_all = ["url", "api_key_file"])]
    lake: Option<String>,

    /// Asks the service at this address; http://127.0.0.1:8080 where nothing says whom to ask
    #[arg(long, value_name = "URL")]
    url: Option<String>,

    /// Asks the service with the API key in this file; without it with the one in MEETNET_API_KEY, if that is set
    #[arg(long, value_name = "FILE")]
    api_key_file: Option<PathBuf>,
}

/// Who answers.
pub(crate) enum Place {
    /// A service.
    Service(ServiceAccess),
    /// Committed files.
    Files {
        config: Box<Config>,
        snapshot: SharedSnapshot,
    },
}

impl PlaceOptions {
    /// Returns true where what is declared is known to be about the tables: of a lake that is only named nobody says what it
    /// declares.
    pub(super) fn declares(&self) -> bool {
        self.lake.is_none()
    }

    /// Returns the configuration that says whom to ask, if one does. Whoever has named a service or a lake means that one, whatever
    /// the shell has been told for other commands.
    fn config_file<'a>(&'a self, environment: &'a Environment) -> Option<&'a Path> {
        if self.url.is_some() || self.lake.is_some() {
            return None;
        }
        let of_shell = environment.get(CONFIG_VARIABLE);
        let of_shell = of_shell.filter(|file| !file.is_empty()).map(Path::new);
        self.config.as_deref().or(of_shell)
    }

    /// Finds out who answers; of files, reads which there are.
    ///
    /// # Errors
    /// `Usage` where the configuration or the API key is wrong, `Work` where there is no lake.
    pub(crate) async fn open(&self, environment: &Environment) -> Result<Place, Failure> {
        let service = |url: String| {
            ServiceAccess::new(url, self.api_key_file.as_deref(), environment).map(Place::Service)
        };
        let config = match (self.config_file(environment), &self.lake) {
            (Some(file), _) => {
                let config = Config::load(file, environment).map_err(Failure::usage)?;
                if let Some(address) = daemon_address(&config) {
                    return service(format!("http://{address}"));
                }
                config
            }
            (None, Some(url)) => {
                let text = configuration_of(url, environment);
                // The settings of a daemon that is configured by the environment are not about this lake.
                Config::parse(Path::new("--lake"), &text, &Environment::default())
                    .map_err(Failure::usage)?
            }
            (None, None) => return service(self.url.as_deref().unwrap_or(URL).to_owned()),
        };
        let secrets = config.lake_secrets(environment).map_err(Failure::usage)?;
        let snapshot = committed(&config, &secrets).await?;
        Ok(Place::Files {
            config: Box::new(config),
            snapshot,
        })
    }
}

/// Returns a configuration that names a lake. Unlike a daemon, a person's tool takes the account of the shell that it is
/// started from, as other tools for buckets do.
fn configuration_of(url: &str, environment: &Environment) -> String {
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let mut text = format!("[lake]\nurl = {}\n", quoted(url));
    if !url.starts_with("s3://") {
        return text;
    }
    let first = |names: &[&str]| names.iter().find_map(|name| environment.get(name));
    text.push_str("[s3]\n");
    if let Some(region) = first(&["AWS_REGION", "AWS_DEFAULT_REGION"]) {
        text.push_str(&format!("region = {}\n", quoted(region)));
    }
    if let Some(endpoint) = first(&["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]) {
        text.push_str(&format!("endpoint = {}\n", quoted(endpoint)));
        if endpoint.starts_with("http://") {
            text.push_str("allow_http = true\n");
        }
    }
    if environment.get("AWS_ACCESS_KEY_ID").is_some() {
        for (key, variable) in [
            ("access_key_id", "AWS_ACCESS_KEY_ID"),
            ("secret_access_key", "AWS_SECRET_ACCESS_KEY"),
            ("session_token", "AWS_SESSION_TOKEN"),
        ] {
            if key != "session_token" || environment.get(variable).is_some() {
                text.push_str(&format!("{key} = {{ env = \"{variable}\" }}\n"));
            }
        }
    } else if first(&ROLE_VARIABLES).is_some() {
        text.push_str("credentials = \"role\"\n");
    } else {
        text.push_str("credentials = \"anonymous\"\n");
    }
    text
}

/// Returns where a daemon that has the journal open answers queries.
fn daemon_address(config: &Config) -> Option<SocketAddr> {
    let mut address = config.http.as_ref()?.listen;
    // Without a fixed port nobody but the daemon knows it: then the committed files must do.
    if address.port() == 0 || FolderLock::holder(&config.journal.dir).is_none() {
        return None;
    }
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    Some(address)
}

/// Reads the tables as they are committed.
///
/// # Errors
/// Where there is no lake, or it cannot be read.
pub(crate) async fn committed(
    config: &Config,
    secrets: &Secrets,
) -> Result<SharedSnapshot, Failure> {
    let storage = config
        .lake
        .storage(secrets, Handle::current())
        .map_err(Failure::Usage)?;
    let location = storage.location();
    let lake = location.name();
    let snapshot = tokio::task::spawn_blocking(move || {
        LakeReader::open(storage).and_then(|mut reader| {
            reader.compare_damaged();
            reader.refresh()
        })
    })
    .await
    .context("a thread ended abnormally")
    .and_then(|read| read.context("failed to read the tables"))
    .map_err(Failure::Work)?;
    // A folder without tables is an empty lake; a store has no folders.
    let is_missing = match &location {
        LakeLocation::Folder(folder) => !folder.is_dir(),
        LakeLocation::Objects { .. } => snapshot.tables.is_empty(),
    };
    if is_missing {
        return Err(Failure::Work(anyhow!(
            "there is no lake in {lake}: nothing has been committed yet"
        )));
    }
    Ok(Arc::new(ArcSwap::from_pointee(snapshot)))
}

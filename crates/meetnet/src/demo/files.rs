//! The demo's folder: its configuration, which the user may edit, and what the demo itself remembers.

use std::fs;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use meetnet_demo::{DemoSource, sources_toml};
use serde::{Deserialize, Serialize};

use super::DemoOptions;
use super::history::Totals;

const CONFIG: &str = "meetnet.toml";
const STATE: &str = "demo.json";

const HTTP_DEFAULT: &str = "127.0.0.1:8080";
const INGEST_HTTP_DEFAULT: &str = "127.0.0.1:8081";
const ADMIN_DEFAULT: &str = "127.0.0.1:8082";
const PG_DEFAULT: &str = "127.0.0.1:5432";
const FLIGHT_DEFAULT: &str = "127.0.0.1:32010";

/// Where the written configuration listens; None: as demos do that are not told.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Listeners {
    pub(super) http: Option<SocketAddr>,
    pub(super) ingest_http: Option<SocketAddr>,
    pub(super) admin: Option<SocketAddr>,
    /// Off where it is None, since many machines have a PostgreSQL of their own; so is `flight`.
    pub(super) pg: Option<SocketAddr>,
    pub(super) flight: Option<SocketAddr>,
}

/// The push endpoint to try.
pub(super) const PUSH_SOURCE: &str = "try";

/// What a demo remembers for the next one in the same folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    /// Seed of the city.
    pub(super) seed: u64,
    /// Where the history ends, µs since 1970 UTC: fixed by the first start, so that an interrupted one goes on.
    pub(super) end_us: i64,
    /// Length of the history; none before it was first wanted.
    pub(super) days: Option<u32>,
    /// Where the broker was last time.
    pub(super) mqtt: SocketAddr,
    /// Where the configuration, as the demo wrote it, says that the broker is.
    pub(super) config_mqtt: SocketAddr,
    /// Rows of the history once it is complete.
    pub(super) imported: Option<Totals>,
}

impl State {
    /// Returns what a first demo starts with, at the moment `end_us`.
    pub(super) fn new(seed: u64, end_us: i64, mqtt: SocketAddr) -> Self {
        Self {
            seed,
            end_us,
            days: None,
            mqtt,
            config_mqtt: mqtt,
            imported: None,
        }
    }

    /// Returns the demo's sources that the file connects to the demo's broker, as it was written.
    pub(super) fn sources_at(&self, dir: &Path) -> Vec<&'static str> {
        #[derive(Deserialize)]
        struct File {
            #[serde(default)]
            source: Vec<Source>,
        }
        #[derive(Deserialize)]
        struct Source {
            id: Option<String>,
            url: Option<String>,
        }
        let text = fs::read_to_string(dir.join(CONFIG)).unwrap_or_default();
        // A file that cannot be read is reported by whoever loads it.
        let Ok(file) = toml::from_str::<File>(&text) else {
            return Vec::new();
        };
        let url = format!("mqtt://{}", self.config_mqtt);
        let is_at_broker = |id: &str| {
            file.source.iter().any(|source| {
                source.id.as_deref() == Some(id) && source.url.as_deref() == Some(url.as_str())
            })
        };
        DemoSource::ALL
            .into_iter()
            .map(DemoSource::id)
            .filter(|id| is_at_broker(id))
            .collect()
    }
}

/// The demo's folder.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    dir: PathBuf,
}

impl Folder {
    /// Makes the folder where it is missing.
    ///
    /// # Errors
    /// Where it cannot be made or written.
    pub(super) fn open(dir: &Path) -> anyhow::Result<Self> {
        let advice = || {
            format!(
                "cannot use the folder {}; name another with --dir, or change its rights",
                dir.display()
            )
        };
        fs::create_dir_all(dir).with_context(advice)?;
        let probe = dir.join(".writable");
        fs::write(&probe, b"")
            .and_then(|()| fs::remove_file(&probe))
            .with_context(advice)?;
        Ok(Self {
            dir: dir.to_path_buf(),
        })
    }

    /// The configuration.
    pub(super) fn config_file(&self) -> PathBuf {
        self.dir.join(CONFIG)
    }

    /// Reads what the last demo remembered; none in a new folder.
    ///
    /// # Errors
    /// Where the file is there and cannot be read.
    pub(super) fn state(&self) -> anyhow::Result<Option<State>> {
        let path = self.dir.join(STATE);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
        };
        serde_json::from_slice(&bytes).map(Some).with_context(|| {
            format!(
                "{} is damaged; remove it to start the demo anew",
                path.display()
            )
        })
    }

    /// Writes what the next demo must know: complete or not at all.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(super) fn save(&self, state: &State) -> anyhow::Result<()> {
        let path = self.dir.join(STATE);
        let unfinished = self.dir.join(format!("{STATE}.tmp"));
        let json = serde_json::to_vec_pretty(state).context("failed to write JSON")?;
        fs::write(&unfinished, json)
            .and_then(|()| fs::rename(&unfinished, &path))
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// Writes the configuration, unless there is one: the user's changes stay. Returns whether it did.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(super) fn write_config_if_absent(
        &self,
        options: &DemoOptions,
        mqtt: SocketAddr,
    ) -> anyhow::Result<bool> {
        let path = self.config_file();
        if path.exists() {
            return Ok(false);
        }
        let listeners = Listeners {
            http: options.http,
            ingest_http: options.ingest_http,
            admin: options.admin,
            pg: options.pg,
            flight: options.flight,
        };
        let config = config_toml(&listeners, mqtt);
        fs::write(&path, config).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(true)
    }
}

/// Returns the configuration that the demo writes.
pub(super) fn config_toml(listeners: &Listeners, mqtt: SocketAddr) -> String {
    let text = |address: Option<SocketAddr>, default: &str| {
        address.map_or_else(|| default.to_owned(), |address| address.to_string())
    };
    let http = text(listeners.http, HTTP_DEFAULT);
    let ingest_http = text(listeners.ingest_http, INGEST_HTTP_DEFAULT);
    let admin = text(listeners.admin, ADMIN_DEFAULT);
    let pg = text(listeners.pg, PG_DEFAULT);
    let flight = text(listeners.flight, FLIGHT_DEFAULT);
    let off = |address: Option<SocketAddr>| if address.is_none() { "# " } else { "" };
    let (pg_off, flight_off) = (off(listeners.pg), off(listeners.flight));
    let sources = sources_toml(mqtt);
    format!(
        r#"# The configuration of `meetnet demo`: written once, then yours. `meetnet config check` says what it means;
# config/full.toml lists every key. Paths are from this file's folder.

[lake]                          # the tables: Delta Lake, readable with pyarrow, Polars, DuckDB, …
url = "lake"

[journal]                       # every message as it was received, on disk before it is acknowledged
dir = "journal"

[http]                          # portal and API: public, read only
listen = "{http}"

[portal]
city = "Leuven"
zone = "Europe/Brussels"

[ingest_http]                   # push endpoint of the sources with kind = "http"
listen = "{ingest_http}"

[admin]                         # metrics and operations page: not for the public
listen = "{admin}"

# Clients of PostgreSQL: psql, DBeaver, Grafana. `meetnet demo --pg {pg}` does the same.
{pg_off}[pg]
{pg_off}listen = "{pg}"

# Clients of Arrow Flight SQL: ADBC. `meetnet demo --flight {flight}` does the same.
{flight_off}[flight]
{flight_off}listen = "{flight}"

{sources}
# A push endpoint to try:
#   curl http://{ingest_http}/ingest/v1/{PUSH_SOURCE} -d '{{"id": "desk", "temperature": 21.5}}'
# It takes what anybody on this machine sends; one that listens elsewhere needs a token.
[[source]]
id = "{PUSH_SOURCE}"
kind = "http"
format = "json"
sensor_id = {{ pointer = "/id" }}
licence = "CC0-1.0"
map = [
  {{ dataset = "heat", property = "air_temperature", pointer = "/temperature", unit = "Cel" }},
]
"#
    )
}

//! From raw sections to the validated [`Config`]: defaults, addresses, paths and limits.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use meetnet_ingest::http::PushLimits;
use meetnet_ingest::pipeline::PipelineLimits;
use meetnet_lake::journal::JournalOptions;
use meetnet_lake::lake::LakeLimits;
use meetnet_model::quantity::{DurationText, SizeText};
use meetnet_publish::ServeLimits;
use meetnet_query::QueryOptions;
use toml::Spanned;

use super::document::Document;
use super::hint::did_you_mean;
use super::live::LIVE_SECTIONS;
use super::{
    AdminConfig, Config, IngestHttpConfig, JournalConfig, LakeConfig, LakePlace, LimitsConfig,
    LogConfig, LogFormat, check, clients, flight, http, pg, raw, s3, source,
};

/// The time of a head, and of an idle connection, of those who push: no usual interval of devices, so that none sends just
/// when its connection is closed.
const PUSH_HEADER_TIME: Duration = Duration::from_secs(25);
/// Sections of this version, for messages.
const SECTIONS: &[&str] = &[
    "lake",
    "s3",
    "journal",
    "http",
    "portal",
    "ingest_http",
    "admin",
    "pg",
    "flight",
    "privacy",
    "query",
    "audit",
    "limits",
    "schemas",
    "log",
    "dataset",
    "saved_query",
    "api_key",
    "source",
];

/// Those of them that there can be several of: they are written `[[name]]`.
pub(super) const LISTS: &[&str] = &["dataset", "saved_query", "api_key", "source"];

/// Queries that run and a separate `serve` hold files of earlier versions for less than this.
const VACUUM_AFTER_MIN: Duration = Duration::from_secs(3_600);
/// Below it queries fail that everybody asks.
pub(super) const MEMORY_BYTES_MIN: usize = 16 << 20;
/// Room for the journal of some hours, or for merging the largest partition: time to act.
const FREE_BYTES_MIN: u64 = 2 << 30;
/// How often a separate `serve` looks for commits: listings and reads of a bucket are paid for one by one.
const POLL_INTERVAL_FOLDER: Duration = Duration::from_secs(1);
const POLL_INTERVAL_S3: Duration = Duration::from_secs(5);
const POLL_INTERVAL_MIN: Duration = Duration::from_millis(100);
/// Long enough that somebody reads the warning, and not more than rows stay too long in any case: periods are whole days.
const RETENTION_GRACE: Duration = Duration::from_secs(24 * 3_600);
/// All files are read this often; those of a bucket only where that is asked for, since they are paid for, and since object
/// stores compare what they hold with hashes of their own.
const SCRUB_EVERY_FOLDER: Duration = Duration::from_secs(7 * 24 * 3_600);
const SCRUB_EVERY_MIN: Duration = Duration::from_secs(1);
const LAKE_DEFAULT: &str = "data/lake";
const JOURNAL_DEFAULT: &str = "data/journal";
/// In the journal's folder: whoever holds that one holds the socket.
const SOCKET_DEFAULT: &str = "meetnet.sock";
/// What `sockaddr_un` has room for, with the zero at the end left out.
const SOCKET_PATH_BYTES_MAX: usize = 107;
/// A stored folder name, not a setting: the archive lies in the journal's folder unless it is named.
const ARCHIVE_DEFAULT: &str = "archive";

/// Reads every section. None where one could not be read; the document then holds the problems.
pub(super) fn read(document: &mut Document<'_>, file: &Path, folder: &Path) -> Option<Config> {
    if document.is_unreadable() {
        return None;
    }
    let is_blank = document.is_blank();
    let fixed = document.settings(LIVE_SECTIONS);
    let lake = match optional::<raw::Lake>(document, "lake") {
        Some(raw) => lake(document, raw, folder),
        None => {
            // Without [lake] nothing can be said about [s3].
            document.take("s3");
            None
        }
    };
    let journal =
        optional::<raw::Journal>(document, "journal").map(|raw| journal(document, raw, folder));
    let portal = optional::<raw::Portal>(document, "portal");
    let saved_queries = http::saved_queries(document);
    let mut http = section::<raw::Http>(document, "http")
        .and_then(|raw| http::read(document, raw, portal.unwrap_or_default(), &saved_queries));
    let ingest_section = document.has("ingest_http");
    let ingest_http =
        section::<raw::IngestHttp>(document, "ingest_http").and_then(|raw| ingest(document, raw));
    let admin = section::<raw::Admin>(document, "admin");
    let socket = admin.as_ref().and_then(|raw| raw.socket.as_ref());
    let socket = journal
        .as_ref()
        .map(|journal| admin_socket(document, socket, &journal.dir, folder));
    let admin = admin.and_then(|raw| self::admin(document, raw));
    let pg = section::<raw::Pg>(document, "pg").and_then(|raw| pg::read(document, raw, folder));
    let flight = section::<raw::Flight>(document, "flight")
        .and_then(|raw| flight::read(document, raw, folder));
    // Behind the listeners: they only ask whether there are any.
    let of_pg = pg.iter().map(|pg| &pg.access);
    let of_flight = flight.iter().map(|flight| &flight.access);
    let api_keys = clients::api_keys(document, of_pg.chain(of_flight));
    if let Some(http) = &mut http {
        http.settings.clients.keys = api_keys.clone();
    }
    let audit = section::<raw::Audit>(document, "audit");
    let audit = audit.map(|raw| clients::audit(document, raw, folder));
    let privacy_secret = optional::<raw::Privacy>(document, "privacy")
        .and_then(|raw| raw.secret)
        .map(|secret| document.secret(&secret));
    let query = optional::<raw::Query>(document, "query").map(|raw| query(document, raw, folder));
    let limits = optional::<raw::Limits>(document, "limits").map(|raw| limits(document, raw));
    let schemas = section::<raw::Schemas>(document, "schemas");
    let log = optional::<raw::Log>(document, "log").map(|raw| log(document, raw));

    let schemas_dir = schemas.as_ref().map(|raw| folder.join(raw.dir.get_ref()));
    let schemas_span = schemas.as_ref().map(|raw| raw.dir.span());
    let schemas = check::schemas(document, schemas_dir.as_deref(), schemas_span);
    let (schemas, retention) = check::dataset_overrides(document, schemas);
    let sources = source::read_all(document, folder);
    let declarations = check::declarations(document, schemas, &sources);
    if let (Some(declarations), Some(query)) = (&declarations, &query) {
        // Who takes nothing in may answer from tables that others have declared.
        let has_all_tables = !sources.is_empty();
        saved_queries.check(document, declarations, query, has_all_tables);
    }
    check::push_listener(document, &sources, ingest_section, ingest_http.as_ref());
    let listeners = [
        http.as_ref().map(|http| ("[http]", http.listen)),
        ingest_http
            .as_ref()
            .map(|ingest| ("[ingest_http]", ingest.listen)),
        admin.as_ref().map(|admin| ("[admin]", admin.listen)),
        admin
            .as_ref()
            .and_then(|admin| Some(("[admin] serve_listen", admin.serve_listen?))),
        pg.as_ref().map(|pg| ("[pg]", pg.listen)),
        flight.as_ref().map(|flight| ("[flight]", flight.listen)),
    ];
    check::same_address(document, listeners.into_iter().flatten().collect());
    unknown_sections(document);

    Some(Config {
        file: file.to_path_buf(),
        lake: LakeConfig { retention, ..lake? },
        journal: journal?,
        http,
        ingest_http,
        admin,
        pg,
        flight,
        api_keys,
        audit,
        socket: socket?,
        privacy_secret,
        query: query?,
        limits: limits?,
        schemas_dir,
        log: log?,
        is_blank,
        fixed,
        files: document
            .take_files()
            .iter()
            .map(|file| folder.join(file))
            .collect(),
        sources: sources.into_iter().map(|read| read.config).collect(),
        declarations: declarations?,
    })
}

/// Reads a section that is off where it is absent.
fn section<T: serde::de::DeserializeOwned>(document: &mut Document<'_>, name: &str) -> Option<T> {
    let section = document.take(name)?;
    document.read(section)
}

/// Reads a section whose keys all have defaults. None where it is there and wrong.
fn optional<T>(document: &mut Document<'_>, name: &str) -> Option<T>
where
    T: serde::de::DeserializeOwned + Default,
{
    if document.has(name) {
        section(document, name)
    } else {
        Some(T::default())
    }
}

fn unknown_sections(document: &mut Document<'_>) {
    for (name, span) in document.left() {
        let message = format!("unknown section `{name}`{}", did_you_mean(&name, SECTIONS));
        document.problem(span, message);
    }
}

fn lake(document: &mut Document<'_>, raw: raw::Lake, folder: &Path) -> Option<LakeConfig> {
    let defaults = LakeLimits::default();
    let place = lake_place(document, raw.url, folder);
    let poll_interval = match place {
        Some(LakePlace::S3(_)) => POLL_INTERVAL_S3,
        _ => POLL_INTERVAL_FOLDER,
    };
    let poll_interval = at_least(
        document,
        raw.poll_interval,
        poll_interval,
        POLL_INTERVAL_MIN,
    );
    let is_bucket = matches!(place, Some(LakePlace::S3(_)));
    let config = LakeConfig {
        poll_interval,
        scrub_every: scrub_every(document, raw.scrub_every, is_bucket),
        limits: LakeLimits {
            commit_age_max: duration(raw.commit_age_max, defaults.commit_age_max),
            commit_rows_max: raw
                .commit_rows_max
                .map_or(defaults.commit_rows_max, u64::from),
            hot_bytes_max: bytes(document, raw.hot_bytes_max, defaults.hot_bytes_max, 1 << 20),
            stable_age_max: duration(raw.stable_age_max, defaults.stable_age_max),
            revised_files_max: raw
                .revised_files_max
                .map_or(defaults.revised_files_max, usize::from),
            commit_partitions_max: raw
                .commit_partitions_max
                .map_or(defaults.commit_partitions_max, usize::from),
            compaction: raw.compaction.unwrap_or(defaults.compaction),
            vacuum_after: at_least(
                document,
                raw.vacuum_after,
                defaults.vacuum_after,
                VACUUM_AFTER_MIN,
            ),
        },
        retention: BTreeMap::new(),
        retention_grace: duration(raw.retention_grace, RETENTION_GRACE),
        place: place?,
    };
    Some(config)
}

/// How often all files are compared with their hashes; None: never, which `0s` says.
fn scrub_every(
    document: &mut Document<'_>,
    raw: Option<Spanned<DurationText>>,
    is_bucket: bool,
) -> Option<Duration> {
    if raw.as_ref().is_some_and(|raw| raw.get_ref().0.is_zero()) {
        return None;
    }
    if raw.is_none() && is_bucket {
        return None;
    }
    let every = at_least(document, raw, SCRUB_EVERY_FOLDER, SCRUB_EVERY_MIN);
    Some(every)
}

/// Where the tables lie; None where nobody can say.
fn lake_place(
    document: &mut Document<'_>,
    url: Option<Spanned<String>>,
    folder: &Path,
) -> Option<LakePlace> {
    let url = url.unwrap_or_else(|| Spanned::new(0..0, LAKE_DEFAULT.to_owned()));
    let root = match url.get_ref().split_once("://") {
        None => folder.join(url.get_ref()),
        Some(("file", path)) => PathBuf::from(path),
        Some(("s3", _)) => {
            let s3 = s3::read(document, &url)?;
            return Some(LakePlace::S3(Box::new(s3)));
        }
        Some((scheme, _)) => {
            let message = format!(
                "there is no lake storage `{scheme}://`; name a local folder or s3://BUCKET/PREFIX"
            );
            document.problem(url.span(), message);
            document.take("s3");
            return None;
        }
    };
    if let Some(section) = document.take("s3") {
        let message =
            "[s3] is for a lake on s3://BUCKET/PREFIX; set [lake] url, or remove the section";
        document.problem(section.span(), message);
    }
    Some(LakePlace::Folder(root))
}

fn journal(document: &mut Document<'_>, raw: raw::Journal, folder: &Path) -> JournalConfig {
    let dir = folder.join(raw.dir.as_deref().unwrap_or(JOURNAL_DEFAULT));
    let archive_dir = match &raw.archive_dir {
        Some(archive) => folder.join(archive),
        None => dir.join(ARCHIVE_DEFAULT),
    };
    let defaults = JournalOptions::new(&dir, &archive_dir);
    let segment = defaults.segment_bytes_max as usize;
    let journal = defaults.journal_bytes_max as usize;
    JournalConfig {
        segment_bytes_max: bytes(document, raw.segment_bytes_max, segment, 64 << 10) as u64,
        journal_bytes_max: bytes(document, raw.journal_bytes_max, journal, 1 << 20) as u64,
        pending_bytes_max: bytes(
            document,
            raw.pending_bytes_max,
            defaults.pending_bytes_max,
            1 << 20,
        ),
        reserve_bytes: raw
            .reserve_bytes
            .map_or(defaults.reserve_bytes, |size| size.0),
        raw_retention: duration(raw.raw_retention, defaults.raw_retention),
        archive_bytes_max: raw
            .archive_bytes_max
            .map_or(defaults.archive_bytes_max, |size| size.0),
        aside_bytes_max: raw
            .aside_bytes_max
            .map_or(defaults.aside_bytes_max, |size| size.0),
        dir,
        archive_dir,
    }
}

fn ingest(document: &mut Document<'_>, raw: raw::IngestHttp) -> Option<IngestHttpConfig> {
    let defaults = PushLimits::default();
    let body_bytes_max = bytes(document, raw.body_bytes_max, defaults.body_bytes_max, 1);
    let limits = PushLimits {
        body_bytes_max,
        inflated_bytes_max: bytes(
            document,
            raw.inflated_bytes_max,
            defaults.inflated_bytes_max,
            1,
        ),
        bodies_bytes_max: bytes(
            document,
            raw.bodies_bytes_max,
            defaults.bodies_bytes_max.max(body_bytes_max),
            body_bytes_max,
        ),
        requests_max: raw.requests_max.map_or(defaults.requests_max, usize::from),
        requests_per_client_max: raw
            .requests_per_client_max
            .map_or(defaults.requests_per_client_max, usize::from),
        body_wait: duration(raw.body_wait, defaults.body_wait),
        body_bytes_per_second_min: bytes(
            document,
            raw.body_bytes_per_second_min,
            defaults.body_bytes_per_second_min,
            1,
        ),
        sync_wait: duration(raw.sync_wait, defaults.sync_wait),
        outcome_wait: duration(raw.outcome_wait, defaults.outcome_wait),
    };
    let connections = with_connections(raw.connections_max);
    let connections = ServeLimits {
        connections_per_client_max: raw
            .connections_per_client_max
            .map_or(connections.connections_per_client_max, usize::from),
        are_refused_told: false,
        header_time_max: duration(raw.header_time_max, PUSH_HEADER_TIME),
        ..connections
    };
    let clients = clients::settings(
        document,
        raw.trusted_proxies.as_ref(),
        raw.client_header.as_ref(),
    );
    Some(IngestHttpConfig {
        listen: address(document, &raw.listen)?,
        limits,
        connections,
        clients,
    })
}

fn query(document: &mut Document<'_>, raw: raw::Query, folder: &Path) -> QueryOptions {
    let defaults = QueryOptions::default();
    let memory_total_bytes_max = bytes(
        document,
        raw.memory_total_bytes_max,
        defaults.memory_total_bytes_max,
        MEMORY_BYTES_MIN,
    );
    let spill_bytes_max = raw
        .spill_bytes_max
        .map_or(defaults.spill_bytes_max, |size| size.0);
    QueryOptions {
        threads: raw.threads.map_or(defaults.threads, usize::from),
        query_time_max: duration(raw.query_time_max, defaults.query_time_max),
        stall_time_max: duration(raw.stall_time_max, defaults.stall_time_max),
        answer_time_max: duration(raw.answer_time_max, defaults.answer_time_max),
        row_limit: raw.row_limit.map_or(defaults.row_limit, usize::from),
        answer_bytes_max: raw
            .answer_bytes_max
            .map_or(defaults.answer_bytes_max, |size| size.0),
        sql_bytes_max: bytes(document, raw.sql_bytes_max, defaults.sql_bytes_max, 1 << 10),
        memory_bytes_max: bytes(
            document,
            raw.memory_bytes_max,
            defaults.memory_bytes_max,
            MEMORY_BYTES_MIN,
        ),
        memory_total_bytes_max,
        // Where all get more, one client gets more, and some is left for others.
        client_memory_bytes_max: bytes(
            document,
            raw.client_memory_bytes_max,
            memory_total_bytes_max / 4 * 3,
            MEMORY_BYTES_MIN,
        ),
        query_spill_bytes_max: raw
            .query_spill_bytes_max
            .map_or(defaults.query_spill_bytes_max, |size| size.0),
        spill_bytes_max,
        client_spill_bytes_max: raw
            .client_spill_bytes_max
            .map_or(spill_bytes_max / 4 * 3, |size| size.0),
        spill_dir: raw.spill_dir.map(|dir| folder.join(dir)),
        running_max: raw.running_max.map_or(defaults.running_max, usize::from),
        queued_max: raw.queued_max.unwrap_or(defaults.queued_max),
        client_running_max: raw
            .client_running_max
            .map_or(defaults.client_running_max, usize::from),
        client_queued_max: raw.client_queued_max.unwrap_or(defaults.client_queued_max),
        queue_time_max: duration(raw.queue_time_max, defaults.queue_time_max),
        metadata_cache_bytes_max: bytes(
            document,
            raw.metadata_cache_bytes_max,
            defaults.metadata_cache_bytes_max,
            1 << 20,
        ),
        ..defaults
    }
}

fn admin(document: &mut Document<'_>, raw: raw::Admin) -> Option<AdminConfig> {
    let Some(listen) = &raw.listen else {
        let is_of_listener = raw.serve_listen.is_some() || raw.connections_max.is_some();
        if raw.socket.is_none() || is_of_listener {
            document.general_problem("[admin] has no `listen`; add it".to_owned());
        }
        return None;
    };
    let serve_listen = raw.serve_listen.as_ref();
    let serve_listen = serve_listen.and_then(|listen| address(document, listen));
    Some(AdminConfig {
        listen: address(document, listen)?,
        serve_listen,
        limits: with_connections(raw.connections_max),
    })
}

/// Returns the path of the admin socket; one that the system would refuse is found here, not after a recovery.
fn admin_socket(
    document: &mut Document<'_>,
    raw: Option<&Spanned<String>>,
    journal_dir: &Path,
    folder: &Path,
) -> PathBuf {
    let path = match raw {
        Some(socket) => folder.join(socket.get_ref()),
        None => journal_dir.join(SOCKET_DEFAULT),
    };
    let bytes = path.as_os_str().len();
    if bytes > SOCKET_PATH_BYTES_MAX {
        let message = format!(
            "the path of the admin socket has {bytes} bytes, a Unix socket at most {SOCKET_PATH_BYTES_MAX}; \
             name a shorter one with [admin] socket, such as /run/meetnet.sock"
        );
        match raw {
            Some(socket) => document.problem(socket.span(), message),
            None => document.general_problem(message),
        }
    }
    path
}

fn limits(document: &mut Document<'_>, raw: raw::Limits) -> LimitsConfig {
    let defaults = PipelineLimits::default();
    LimitsConfig {
        pipeline: PipelineLimits {
            group_bytes_max: bytes(
                document,
                raw.group_bytes_max,
                defaults.group_bytes_max,
                1 << 10,
            ),
            idle_tick: duration(raw.idle_tick, defaults.idle_tick),
            checkpoint_pause: duration(raw.checkpoint_pause, defaults.checkpoint_pause),
            ..defaults
        },
        pushes_waiting_max: raw.pushes_waiting_max.map_or(1_024, usize::from),
        stop_time_max: duration(raw.stop_time_max, Duration::from_secs(10)),
        free_bytes_min: raw.free_bytes_min.map_or(FREE_BYTES_MIN, |size| size.0),
    }
}

fn log(document: &mut Document<'_>, raw: raw::Log) -> LogConfig {
    if let Some(filter) = &raw.filter
        && let Err(error) = tracing_subscriber::EnvFilter::try_new(filter.get_ref())
    {
        let message = format!("{error}; write directives such as info or meetnet_ingest=debug");
        document.problem(filter.span(), message);
    }
    LogConfig {
        format: match raw.format {
            Some(raw::LogFormat::Json) => LogFormat::Json,
            Some(raw::LogFormat::Text) | None => LogFormat::Text,
        },
        filter: raw.filter.map(Spanned::into_inner),
    }
}

pub(super) fn with_connections(connections_max: Option<NonZeroUsize>) -> ServeLimits {
    let defaults = ServeLimits::default();
    let connections_max = connections_max.map_or(defaults.connections_max, usize::from);
    ServeLimits {
        connections_max,
        ..defaults
    }
}

/// Returns whether a name has only lower-case letters, digits, - and _, and at least one of them.
pub(super) fn is_plain_name(name: &str) -> bool {
    let is_plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    !name.is_empty() && name.bytes().all(is_plain)
}

pub(super) fn address(document: &mut Document<'_>, text: &Spanned<String>) -> Option<SocketAddr> {
    let address = text.get_ref().parse().ok();
    if address.is_none() {
        let message = format!(
            "`{}` is no address to listen on; write ADDRESS:PORT such as 127.0.0.1:8080 or [::]:8080",
            text.get_ref()
        );
        document.problem(text.span(), message);
    }
    address
}

/// Returns a duration, or its default; one below `min` would do harm.
pub(super) fn at_least(
    document: &mut Document<'_>,
    raw: Option<Spanned<DurationText>>,
    default: Duration,
    min: Duration,
) -> Duration {
    let Some(raw) = raw else { return default };
    let duration = raw.get_ref().0;
    if duration < min {
        let message = format!("is less than {}, the least that is safe", DurationText(min));
        document.problem(raw.span(), message);
    }
    duration
}

pub(super) fn duration(raw: Option<DurationText>, default: Duration) -> Duration {
    raw.map_or(default, |text| text.0)
}

/// Returns a size, or its default; a size below `min` would make the part useless.
pub(super) fn bytes(
    document: &mut Document<'_>,
    raw: Option<Spanned<SizeText>>,
    default: usize,
    min: usize,
) -> usize {
    let Some(raw) = raw else { return default };
    let size = usize::try_from(raw.get_ref().0).unwrap_or(usize::MAX);
    if size < min {
        let message = format!(
            "is less than {}, the least that works",
            SizeText(min as u64)
        );
        document.problem(raw.span(), message);
    }
    size
}

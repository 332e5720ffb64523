//! `meetnet demo`: a simulated city in one process, from broker to portal, that continues where it stopped.
//!
//! ```text
//! broker ─▶ daemon (as `meetnet run`) ─▶ history (bulk path) ─▶ ready ─▶ simulator ─MQTT─▶ broker ─▶ sources
//! ```
//!
//! The daemon is the real one, with the configuration written to the folder; only broker and sensors are simulated.

#![allow(
    clippy::print_stdout,
    reason = "the demo talks to the person at the terminal"
)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, anyhow};
use clap::Args;
use meetnet_demo::broker::QUIET_LOG_DIRECTIVE;
use meetnet_demo::history::{DAYS_MAX, DEFAULT_DAYS};
use meetnet_demo::{Broker, City, DEFAULT_SEED, FaultShares, History, LiveFeed, start_broker};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::cli::{MQTT_QUIET, listen_address};
use crate::config::{Config, Environment};
use crate::daemon::{Daemon, Role, Start, StopSignal};
use crate::failure::Failure;
use crate::readable::{counted, grouped};
use crate::telemetry;

mod files;
mod history;
#[cfg(test)]
mod tests;

use files::{Folder, State};

const MQTT_DEFAULT: &str = "127.0.0.1:1883";

/// The options of `meetnet demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoOptions {
    /// Folder for configuration and data; made where it is missing
    #[arg(long, value_name = "DIR", default_value = "./meetnet-demo")]
    dir: PathBuf,

    /// Portal and API [default: as in DIR/meetnet.toml, 127.0.0.1:8080 at first]
    #[arg(long, value_name = "ADDR", value_parser = listen_address)]
    http: Option<SocketAddr>,

    /// Push endpoint [default: as in DIR/meetnet.toml, 127.0.0.1:8081 at first]
    #[arg(long, value_name = "ADDR", value_parser = listen_address)]
    ingest_http: Option<SocketAddr>,

    /// Metrics and operations page [default: as in DIR/meetnet.toml, 127.0.0.1:8082 at first]
    #[arg(long, value_name = "ADDR", value_parser = listen_address)]
    admin: Option<SocketAddr>,

    /// Clients of PostgreSQL, such as psql, DBeaver and Grafana [default: as in DIR/meetnet.toml, off at first]
    #[arg(long, value_name = "ADDR", value_parser = listen_address)]
    pg: Option<SocketAddr>,

    /// Clients of Arrow Flight SQL, such as ADBC [default: as in DIR/meetnet.toml, off at first]
    #[arg(long, value_name = "ADDR", value_parser = listen_address)]
    flight: Option<SocketAddr>,

    /// The demo's MQTT broker, on loopback [default: as last time, 127.0.0.1:1883 at first]
    #[arg(long, value_name = "ADDR", value_parser = listen_address)]
    mqtt: Option<SocketAddr>,

    /// Starts without a year of history
    #[arg(long)]
    no_history: bool,

    /// Length of the history
    #[arg(long, value_name = "DAYS", default_value_t = DEFAULT_DAYS, hide = true,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(DAYS_MAX)))]
    history_days: u32,
}

/// Runs the demo until Ctrl-C.
///
/// # Errors
/// `Usage` where a port is taken or the folder cannot be used, `Work` where a part fails.
pub(crate) async fn run(options: DemoOptions, mut environment: Environment) -> Result<(), Failure> {
    let signal = StopSignal::listen().map_err(Failure::Work)?;
    let folder = Folder::open(&options.dir).map_err(Failure::Usage)?;
    let remembered = folder.state().map_err(Failure::Usage)?;

    let broker = start_demo_broker(&options, remembered.as_ref()).await?;
    let mut state = match &remembered {
        Some(state) => state.clone(),
        None => State::new(
            DEFAULT_SEED,
            jiff::Timestamp::now().as_microsecond(),
            broker.addr(),
        ),
    };
    if folder
        .write_config_if_absent(&options, broker.addr())
        .map_err(Failure::Usage)?
    {
        state.config_mqtt = broker.addr();
        folder.save(&state).map_err(Failure::Usage)?;
    }
    override_config(&options, &state, broker.addr(), &mut environment);
    let config = Config::load(&folder.config_file(), &environment).map_err(Failure::usage)?;
    let secrets = config.secrets(&environment).map_err(Failure::usage)?;
    let quiet = [QUIET_LOG_DIRECTIVE, MQTT_QUIET];
    telemetry::start_logging(&config.log, &environment, "warn", &quiet).map_err(Failure::Usage)?;
    let metrics = telemetry::start_metrics(Role::Run, &config).map_err(Failure::Work)?;
    let declarations = Arc::clone(&config.declarations);

    let city = Arc::new(City::new(DEFAULT_SEED));
    println!(
        "meetnet demo: a simulated Leuven with {} traffic counters, {} air sensors and {} weather stations",
        city.segments.len(),
        city.air_sensors.len(),
        city.stations.len()
    );
    let start = Start {
        role: Role::Run,
        config,
        secrets,
        metrics,
        awaits_history: true,
    };
    let mut daemon = Daemon::start(start).await.map_err(with_flags)?;
    print_addresses(&daemon, &folder, broker.addr());

    // Only now is the folder ours.
    state.mqtt = broker.addr();
    folder.save(&state).map_err(Failure::Usage)?;

    let outcome = async {
        if !daemon.open(&signal).await? {
            return Ok(());
        }
        if !options.no_history {
            let key = daemon
                .privacy_key()
                .context("the demo writes")
                .map_err(Failure::Work)?;
            let commands = daemon
                .commands()
                .context("the demo writes")
                .map_err(Failure::Work)?;
            let days = *state.days.get_or_insert(options.history_days);
            folder.save(&state).map_err(Failure::Usage)?;
            let history = History::new(Arc::clone(&city), &declarations, &key, state.end_us, days)
                .map_err(Failure::usage)?;
            load_history(history, declarations, commands, &mut state, &signal).await?;
            folder.save(&state).map_err(Failure::Usage)?;
        }
        daemon.history_loaded();
        if signal.is_stopped() {
            return Ok(());
        }
        print_examples(&daemon);
        live(&mut daemon, city, broker.addr(), &signal).await
    }
    .await;
    let stopped = daemon.stop().await;
    tokio::task::spawn_blocking(move || drop(broker))
        .await
        .context("the broker ended abnormally")
        .map_err(Failure::Work)?;
    outcome.and(stopped)?;
    println!(
        "Stopped. Everything is in {}; the same command continues.",
        options.dir.display()
    );
    Ok(())
}

async fn start_demo_broker(
    options: &DemoOptions,
    remembered: Option<&State>,
) -> Result<Broker, Failure> {
    let default = || MQTT_DEFAULT.parse().context("the default address");
    let address = match (options.mqtt, remembered) {
        (Some(flag), _) => flag,
        (None, Some(state)) => state.mqtt,
        (None, None) => default().map_err(Failure::Work)?,
    };
    tokio::task::spawn_blocking(move || start_broker(address))
        .await
        .context("the broker ended abnormally")
        .map_err(Failure::Work)?
        .map_err(Failure::usage)
}

/// Lets flags win over the file. The demo's own sources follow its broker when that has moved; sources that the user
/// pointed elsewhere stay there.
fn override_config(
    options: &DemoOptions,
    state: &State,
    broker: SocketAddr,
    environment: &mut Environment,
) {
    for (section, address) in [
        ("HTTP", options.http),
        ("INGEST_HTTP", options.ingest_http),
        ("ADMIN", options.admin),
        ("PG", options.pg),
        ("FLIGHT", options.flight),
    ] {
        if let Some(address) = address {
            environment.set(format!("MEETNET_{section}__LISTEN"), address.to_string());
        }
    }
    if state.config_mqtt != broker {
        for source in state.sources_at(&options.dir) {
            let variable = format!(
                "MEETNET_SOURCE__{}__URL",
                source.replace('-', "_").to_uppercase()
            );
            environment.set(variable, format!("mqtt://{broker}"));
        }
    }
}

/// Names the flag where a port is taken.
fn with_flags(failure: Failure) -> Failure {
    match failure {
        Failure::Usage(error) if error.to_string().starts_with("cannot listen on") => {
            Failure::Usage(error.context(
                "a port of the demo is taken; choose others with --http, --ingest-http, --admin, --pg and --flight",
            ))
        }
        failure => failure,
    }
}

fn print_addresses(daemon: &Daemon, folder: &Folder, broker: SocketAddr) {
    let addresses = daemon.addresses();
    println!("  settings    {}", folder.config_file().display());
    if let Some(http) = addresses.http.map(reachable) {
        println!("  portal      http://{http}/");
    }
    if let Some(push) = addresses.ingest_http.map(reachable) {
        println!(
            "  push        http://{push}/ingest/v1/{}",
            files::PUSH_SOURCE
        );
    }
    if let Some(admin) = addresses.admin.map(reachable) {
        println!("  operations  http://{admin}/");
    }
    if let Some(pg) = addresses.pg.map(reachable) {
        println!(
            "  PostgreSQL  psql -h {} -p {} -U public meetnet",
            pg.ip(),
            pg.port()
        );
    }
    if let Some(flight) = addresses.flight.map(reachable) {
        println!("  Flight SQL  grpc://{flight}");
    }
    println!("  MQTT        mqtt://{broker}");
}

/// Returns the address at which a listener is reached from this machine: nobody can connect to "any".
fn reachable(mut listener: SocketAddr) -> SocketAddr {
    let here = match listener.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        IpAddr::V6(ip) if ip.is_unspecified() => Some(IpAddr::V6(Ipv6Addr::LOCALHOST)),
        _ => None,
    };
    if let Some(here) = here {
        listener.set_ip(here);
    }
    listener
}

fn print_examples(daemon: &Daemon) {
    let Some(http) = daemon.addresses().http.map(reachable) else {
        return;
    };
    let called = std::env::args_os().next().unwrap_or_default();
    let meetnet = command_name(Path::new(&called), std::env::current_exe().ok().as_deref());
    let monthly = "SELECT date_trunc('month', time) AS month, sum(bike) AS bikes, sum(car) AS cars FROM traffic WHERE interval_s = 3600 AND quality <= 2 GROUP BY 1 ORDER BY 1";
    let latest = "SELECT s.name, h.time, h.value FROM heat h JOIN stations s ON s.id = h.sensor_id AND s.valid_to IS NULL WHERE h.property = 'air_temperature' ORDER BY h.time DESC LIMIT 5";
    let worst = "SELECT sensor_id, avg(value) AS pm2_5 FROM air WHERE property = 'pm2_5' AND quality <= 2 GROUP BY 1 ORDER BY 2 DESC LIMIT 5";
    println!(
        "\nTry, in another terminal:\n  curl -G \"http://{http}/api/v1/sql\" -d format=csv --data-urlencode \"q={monthly}\"\n\
         \n  {meetnet} sql --url \"http://{http}\" \"{latest}\"\n\
         \n  {meetnet} sql --url \"http://{http}\" --format json \"{worst}\"\n\
         \nLive messages arrive every second. Ctrl-C stops."
    );
}

/// Returns how this program is called in a shell, wherever that is: by its name where the shell has found it so, else by
/// its path, for `cargo run` puts it on no search path.
fn command_name(called: &Path, program: Option<&Path>) -> String {
    let was_found = called.components().count() == 1 && !called.is_absolute();
    let path = match program {
        Some(program) if !was_found => program,
        _ => called,
    };
    let text = path.to_string_lossy();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+".contains(&byte);
    if text.bytes().all(is_plain) {
        return text.into_owned();
    }
    // Nothing is special in single quotes but they themselves.
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Imports what is missing of the history, and says how long it took.
async fn load_history(
    history: History,
    declarations: Arc<meetnet_model::declarations::Declarations>,
    commands: meetnet_ingest::pipeline::PipelineCommands,
    state: &mut State,
    signal: &StopSignal,
) -> Result<(), Failure> {
    let imported = state.imported.clone();
    // Without `/`: behind one, ids would take turns (`Lake::import_position`), and sources do not.
    let prefix = format!("demo-{}-{}", state.seed, state.end_us);
    let stop = signal.clone();
    let started = Instant::now();
    let loaded = tokio::task::spawn_blocking(move || {
        history::load(
            &history,
            &declarations,
            &commands,
            &prefix,
            imported.as_ref(),
            &stop,
        )
    })
    .await
    .context("the history ended abnormally")
    .and_then(|loaded| loaded)
    .map_err(Failure::Work)?;
    match loaded {
        history::Loaded::Present => println!("  history     is there already"),
        history::Loaded::Stopped => {}
        history::Loaded::Now { rows, totals } => {
            let seconds = started.elapsed().as_secs_f64();
            let per_second = (rows as f64 / seconds.max(0.001)).round() as u64;
            println!(
                "  history     {} in {seconds:.1} s ({} rows/s)",
                counted(rows, "row"),
                grouped(per_second)
            );
            state.imported = Some(totals);
        }
    }
    Ok(())
}

/// Lets the sensors send until Ctrl-C.
async fn live(
    daemon: &mut Daemon,
    city: Arc<City>,
    broker: SocketAddr,
    signal: &StopSignal,
) -> Result<(), Failure> {
    let stop_sending = CancellationToken::new();
    let feed = LiveFeed::new(city, FaultShares::default());
    let sending = tokio::spawn(meetnet_demo::publish(
        feed,
        broker,
        stop_sending.clone().cancelled_owned(),
    ));
    let failed = tokio::select! {
        () = signal.stopped() => false,
        () = daemon.failed() => true,
    };
    stop_sending.cancel();
    let report = sending
        .await
        .context("the simulator ended abnormally")
        .map_err(Failure::Work)?;
    info!(?report, "simulator stopped");
    if failed {
        return Err(Failure::Work(anyhow!(
            "the daemon stopped by itself; the log says why"
        )));
    }
    Ok(())
}

/// Returns what a demo without flags writes: the example in `config/`.
#[cfg(test)]
pub(crate) fn default_config_toml() -> String {
    let mqtt = MQTT_DEFAULT.parse().expect("the default address");
    files::config_toml(&files::Listeners::default(), mqtt)
}

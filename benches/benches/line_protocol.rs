//! Line protocol over HTTP, in batches over several connections, each acknowledged after its sync, against InfluxDB 1 doing
//! the same with its default of a sync per write. One row a line. Same machine, same run. Both must answer every line that
//! they have acknowledged.
//!
//! `cargo build --release && cargo bench -p meetnet -p meetnet-benches --bench line_protocol [-- burst sustained]`
//!
//! `LINES` (500,000), `SECONDS` (60), `CONNECTIONS` (4), `BATCH` (5,000); `INFLUXD` names the binary of the reference
//! (default `influxd`), which is left out where there is none.
#![allow(
    clippy::print_stdout,
    missing_docs,
    reason = "a bench prints its figures"
)]

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use meetnet_benches::daemon::{Daemon, free_port};
use meetnet_benches::figures::{self, at_least, at_most, figure, is_wanted, rate, setting};
use meetnet_benches::{cpu, line_protocol_toml, now_ms};
use tempfile::TempDir;

const STATIONS: u64 = 500;
const COUNT: &str = "SELECT count(*) FROM heat";

/// What is written, and where.
struct Load {
    connections: u64,
    batch: u64,
    first_ms: u64,
}

/// Where lines are written to, and the process that takes them.
struct Target {
    name: &'static str,
    port: u16,
    pid: u32,
}

/// What a run came to.
struct Written {
    lines: u64,
    time: Duration,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let load = Load {
        connections: setting("CONNECTIONS", 4)?,
        batch: setting("BATCH", 5_000)?,
        first_ms: now_ms() - 86_400_000,
    };
    let lines: u64 = setting("LINES", 500_000)?;
    let time = Duration::from_secs(setting("SECONDS", 60)?);
    if is_wanted("burst") {
        figures::begin(&format!("{lines} lines"));
        let reference = influxdb(|target| load.write(target, Until::Lines(lines))).await?;
        let ours = meetnet(|target| load.write(target, Until::Lines(lines))).await?;
        compare(&ours, reference.as_ref(), 1.5);
    }
    if is_wanted("sustained") {
        figures::begin(&format!("{} s", time.as_secs()));
        let reference = influxdb(|target| load.write(target, Until::Time(time))).await?;
        let ours = meetnet(|target| load.write(target, Until::Time(time))).await?;
        compare(&ours, reference.as_ref(), 1.0);
    }
    Ok(())
}

fn compare(ours: &Written, reference: Option<&Written>, aim: f64) {
    let Some(reference) = reference else {
        println!("   no influxd: there is no reference");
        return;
    };
    let ratio = rate(ours.lines, ours.time) / rate(reference.lines, reference.time);
    at_least("ratio to InfluxDB", ratio, "", aim);
}

/// When to stop writing.
#[derive(Clone, Copy)]
enum Until {
    Lines(u64),
    Time(Duration),
}

impl Load {
    /// Writes batches over every connection at once; each waits for its acknowledgement.
    fn write(&self, target: &Target, until: Until) -> Result<Written> {
        let next = AtomicU64::new(0);
        let began = Instant::now();
        let cpu_before = cpu::used(target.pid);
        let written = std::thread::scope(|scope| {
            let connections: Vec<_> = (0..self.connections)
                .map(|_| scope.spawn(|| self.connection(target, until, began, &next)))
                .collect();
            let mut written = 0;
            for connection in connections {
                let lines = connection.join();
                written +=
                    lines.map_err(|_| anyhow::anyhow!("a connection's thread panicked"))??;
            }
            anyhow::Ok(written)
        })?;
        let time = began.elapsed();
        let cpu_per_line =
            (cpu::used(target.pid) - cpu_before).as_secs_f64() * 1e6 / written as f64;
        let name = target.name;
        figure(
            &format!("{name}, acknowledged"),
            rate(written, time),
            "lines/s",
        );
        figure(&format!("{name}, CPU"), cpu_per_line, "us per line");
        Ok(Written {
            lines: written,
            time,
        })
    }

    fn connection(
        &self,
        target: &Target,
        until: Until,
        began: Instant,
        next: &AtomicU64,
    ) -> Result<u64> {
        let mut stream = TcpStream::connect(("127.0.0.1", target.port))?;
        stream.set_nodelay(true)?;
        let mut written = 0;
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let is_over = match until {
                Until::Lines(lines) => number * self.batch >= lines,
                Until::Time(time) => began.elapsed() >= time,
            };
            if is_over {
                return Ok(written);
            }
            let body = self.body(number);
            let head = format!(
                "POST /write?db=bench&precision=ms HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all(head.as_bytes())?;
            stream.write_all(body.as_bytes())?;
            let answer = answer(&mut stream)?;
            ensure!(
                answer.starts_with("HTTP/1.1 204"),
                "{}: {answer}",
                target.name
            );
            written += self.batch;
        }
    }

    /// Returns a batch: stations take turns, and each line has a time of its own.
    fn body(&self, number: u64) -> String {
        let mut body = String::with_capacity(self.batch as usize * 56);
        for line in number * self.batch..(number + 1) * self.batch {
            let (station, round) = (line % STATIONS, line / STATIONS);
            let time = self.first_ms + round * 100;
            let (whole, tenth) = (round % 30, line % 10);
            let _ = writeln!(
                body,
                "weather,station=s{station:03} temp={whole}.{tenth} {time}"
            );
        }
        body
    }
}

/// Reads the head of an answer; one that says 204 has no more.
fn answer(stream: &mut TcpStream) -> Result<String> {
    let mut bytes = Vec::new();
    let mut part = [0; 4_096];
    while !bytes.windows(4).any(|window| window == b"\r\n\r\n") {
        let count = stream.read(&mut part)?;
        ensure!(
            count > 0,
            "the connection was closed: {}",
            String::from_utf8_lossy(&bytes)
        );
        bytes.extend_from_slice(&part[..count]);
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

async fn meetnet(write: impl Fn(&Target) -> Result<Written>) -> Result<Written> {
    let port = free_port()?;
    let daemon = Daemon::start("run", "", &line_protocol_toml(port)).await?;
    let target = Target {
        name: "meetnet",
        port,
        pid: daemon.id(),
    };
    let began = Instant::now();
    // Nothing else runs on this thread while the clients, threads of their own, write.
    let written = write(&target)?;
    while daemon.sql_number(COUNT).await? < written.lines {
        ensure!(
            began.elapsed() < written.time + Duration::from_secs(60),
            "acknowledged lines are not answered"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    figure(
        "meetnet, answered",
        rate(written.lines, began.elapsed()),
        "lines/s",
    );
    at_most(
        "meetnet, memory",
        cpu::resident_max_mib(daemon.id()),
        "MiB",
        300.0,
    );
    Ok(written)
}

async fn influxdb(write: impl Fn(&Target) -> Result<Written>) -> Result<Option<Written>> {
    let Some(influxd) = Influxd::start().await? else {
        return Ok(None);
    };
    let target = Target {
        name: "InfluxDB",
        port: influxd.port,
        pid: influxd.child.id(),
    };
    let written = write(&target)?;
    let memory = cpu::resident_max_mib(target.pid);
    figure("InfluxDB, memory", memory, "MiB");
    let stored = influxd.count()?;
    ensure!(
        stored == written.lines,
        "InfluxDB acknowledged {} lines and answers {stored}",
        written.lines
    );
    Ok(Some(written))
}

/// The reference in a folder of its own, with its defaults, a sync of its log before each answer among them; killed when
/// dropped.
struct Influxd {
    child: Child,
    port: u16,
    _folder: TempDir,
}

impl Influxd {
    async fn start() -> Result<Option<Self>> {
        let binary = std::env::var("INFLUXD").unwrap_or_else(|_| "influxd".to_owned());
        let folder = tempfile::tempdir()?;
        let (port, rpc) = (free_port()?, free_port()?);
        let dir = folder.path().display();
        let config = format!(
            "reporting-disabled = true\nbind-address = \"127.0.0.1:{rpc}\"\n[meta]\ndir = \"{dir}/meta\"\n\
             [data]\ndir = \"{dir}/data\"\nwal-dir = \"{dir}/wal\"\n\
             [http]\nbind-address = \"127.0.0.1:{port}\"\nlog-enabled = false\n"
        );
        let path = folder.path().join("influxdb.conf");
        fs::write(&path, config)?;
        let started = Command::new(&binary)
            .args(["run", "-config"])
            .arg(&path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = match started {
            Ok(child) => child,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("start {binary}")),
        };
        let influxd = Self {
            child,
            port,
            _folder: folder,
        };
        let version = Command::new(&binary).arg("version").output()?.stdout;
        println!("   {}", String::from_utf8_lossy(&version).trim_end());
        let deadline = Instant::now() + Duration::from_secs(30);
        while influxd.create_database().is_err() {
            if Instant::now() > deadline {
                bail!("{binary} is not ready");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(Some(influxd))
    }

    fn create_database(&self) -> Result<()> {
        let answer = self.query("q=CREATE+DATABASE+bench")?;
        ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        Ok(())
    }

    /// Returns how many lines its answers hold.
    fn count(&self) -> Result<u64> {
        // {"results":[{"…","series":[{"name":"weather","columns":["time","count"],"values":[["1970-01-01T00:00:00Z",5]]}]}]}
        let answer = self.query("db=bench&q=SELECT+count(temp)+FROM+weather")?;
        let value = answer
            .split_once("\"values\":[[")
            .and_then(|(_, rest)| rest.split_once(','))
            .and_then(|(_, rest)| rest.split(']').next()?.parse().ok());
        value.with_context(|| format!("no count in: {answer}"))
    }

    /// Returns the whole answer to a query.
    fn query(&self, parameters: &str) -> Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        let request = format!(
            "POST /query?{parameters} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        );
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }
}

impl Drop for Influxd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

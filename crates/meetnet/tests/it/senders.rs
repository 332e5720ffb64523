//! Requests byte by byte as real senders write them, to the running program, and what an analyst then finds.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use flate2::Compression;
use flate2::write::GzEncoder;
use meetnet_model::time::format_rfc3339;

use crate::desk::{installation, start};
use crate::process::{Running, answer};

const SOURCES: &str = r#"
[http]
listen = "127.0.0.1:0"
[ingest_http]
listen = "127.0.0.1:0"

[[source]]
id = "telegraf"
kind = "http"
format = "influx"
licence = "CC-BY-4.0"
database = "sensors"
token = { file = "telegraf.token" }
sensor_id = { field = "station" }
map = [{ dataset = "heat", property = "air_temperature", field = "weather.temp", unit = "Cel" }]

[[source]]
id = "roofs"
kind = "http"
format = "ecowitt"
licence = "CC-BY-4.0"

[[source]]
id = "school"
kind = "http"
format = "wunderground"
licence = "CC-BY-4.0"
station = "ILEUVE1"
token = { file = "school.password" }

[[source]]
id = "sta"
kind = "http"
format = "sensorthings"
licence = "CC-BY-4.0"
token = { file = "sta.token" }
map = [{ dataset = "heat", property = "air_temperature", field = "1", unit = "Cel" }]

[[source]]
id = "boxes"
kind = "http"
format = "airrohr"
licence = "ODbL-1.0"
registry = "boxes.csv"
"#;

const AT_HOME: &str = "id,station,name,since,latitude,longitude\n\
                       esp8266-1234567,grote-markt,Grote Markt,2025-03-01,50.8796,4.7011\n";

/// A running installation with a source of each kind of sender.
struct Town {
    dir: tempfile::TempDir,
    file: String,
    running: Option<Running>,
    portal: String,
    push: String,
}

/// What a sender is answered.
struct Reply {
    status: u16,
    /// In lower case.
    head: String,
    body: String,
}

impl Town {
    fn new() -> Self {
        let (dir, file) = installation(SOURCES);
        let write = |name: &str, text: &str| {
            std::fs::write(dir.path().join(name), text).expect("a file");
        };
        write("telegraf.token", "tele-token\n");
        write("school.password", "s3cret");
        write("sta.token", "sta-token");
        write("boxes.csv", AT_HOME);
        let (running, portal, push) = start(&file);
        Self {
            dir,
            file,
            running: Some(running),
            portal,
            push,
        }
    }

    fn restart(&mut self) {
        self.stop();
        let (running, portal, push) = start(&self.file);
        (self.running, self.portal, self.push) = (Some(running), portal, push);
    }

    fn stop(&mut self) {
        self.running.take().expect("it runs").stop();
    }

    /// Sends a request; `LENGTH` in its head becomes the length of the body.
    fn send(&self, head: &str, body: &[u8]) -> Reply {
        let host = self.push.strip_prefix("http://").expect("an http URL");
        let mut stream = TcpStream::connect(host).expect("the listener is there");
        let patience = Some(Duration::from_secs(60));
        stream.set_read_timeout(patience).expect("a timeout");
        let head = head.replace("LENGTH", &body.len().to_string());
        stream.write_all(head.as_bytes()).expect("a head is taken");
        stream.write_all(body).expect("a body is taken");
        // Most senders keep the connection, so the answer ends where it says.
        let mut reader = BufReader::new(stream);
        let mut answer = String::new();
        while !answer.ends_with("\r\n\r\n") {
            let read = reader.read_line(&mut answer).expect("an answer");
            assert!(read > 0, "cut off: {answer}");
        }
        let answer = answer.to_ascii_lowercase();
        let field = |name: &str| {
            let mut lines = answer.lines();
            lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        };
        let length = field("content-length").map_or(0, |text| text.parse().expect("a length"));
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("a body");
        let status = answer.split(' ').nth(1).expect("a status line");
        Reply {
            status: status.parse().expect("a status"),
            body: String::from_utf8(body).expect("text"),
            head: answer,
        }
    }

    /// Waits until a query has this answer, without its header.
    #[track_caller]
    fn expect(&self, sql: &str, rows: &str) {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let text = answer(&["sql", "--url", &self.portal, sql]).replace("\r\n", "\n");
            let found = text.split_once('\n').map_or("", |(_, rows)| rows);
            if found.trim_end() == rows {
                return;
            }
            assert!(Instant::now() < deadline, "{sql}\nfound:\n{found}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Nothing on disk holds this text, journal included.
    fn check_absent(&self, secret: &str) {
        let mut folders = vec![self.dir.path().join("data")];
        let mut files = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                files += 1;
                assert!(!holds(&path, secret), "{} holds {secret}", path.display());
            }
        }
        assert!(files > 0, "nothing was looked at");
    }
}

fn holds(path: &Path, text: &str) -> bool {
    // Sockets cannot be read, and hold nothing.
    let bytes = std::fs::read(path).unwrap_or_default();
    bytes
        .windows(text.len())
        .any(|part| part == text.as_bytes())
}

/// Seconds since 1970.
fn now() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH);
    elapsed.expect("a clock that is set").as_secs() as i64
}

/// The time as stations write it: UTC, without a zone.
fn station_time(seconds: i64) -> String {
    let text = format_rfc3339(seconds * 1_000_000);
    text.replace('T', " ").replace('Z', "")
}

/// A body as Go's client sends one whose length it does not know.
fn chunked(body: &[u8]) -> Vec<u8> {
    let mut chunks = format!("{:x}\r\n", body.len()).into_bytes();
    chunks.extend_from_slice(body);
    chunks.extend_from_slice(b"\r\n0\r\n\r\n");
    chunks
}

fn packed(lines: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(lines.as_bytes()).expect("memory");
    chunked(&encoder.finish().expect("memory"))
}

#[test]
fn telegraf_creates_its_database_and_writes_by_both_versions() {
    let mut town = Town::new();
    // outputs.influxdb, user `telegraf`, the token as password.
    let version_1 = |target: &str, more: &str| {
        format!(
            "POST {target} HTTP/1.1\r\nHost: meetnet:8081\r\nUser-Agent: Telegraf/1.32.0 Go/1.23.0\r\n\
             Authorization: Basic dGVsZWdyYWY6dGVsZS10b2tlbg==\r\n{more}Accept-Encoding: gzip\r\n\r\n"
        )
    };
    let form = "Content-Length: LENGTH\r\nContent-Type: application/x-www-form-urlencoded\r\n";
    let created = town.send(
        &version_1("/query", form),
        b"q=CREATE+DATABASE+%22sensors%22",
    );
    assert_eq!(
        (created.status, created.body.contains("error")),
        (200, false)
    );
    let lines = "Transfer-Encoding: chunked\r\nContent-Encoding: gzip\r\nContent-Type: text/plain; charset=utf-8\r\n";
    let begin = now();
    let line = |station: &str, temperature: f64, ago: i64| {
        let at = begin - ago;
        format!(
            "weather,host=gateway,station={station} temp={temperature},uptime=17i {at}000000000\n"
        )
    };
    let batch = line("kessel-lo", 21.5, 20) + &line("heverlee", 20.25, 20);
    let reply = town.send(&version_1("/write?db=sensors", lines), &packed(&batch));
    assert_eq!(reply.status, 204, "{}", reply.body);
    // outputs.influxdb_v2
    let version_2 = format!(
        "POST /api/v2/write?bucket=sensors&org=leuven HTTP/1.1\r\nHost: meetnet:8081\r\n\
         User-Agent: Telegraf/1.32.0 Go/1.23.0\r\n{lines}Authorization: Token tele-token\r\nAccept-Encoding: gzip\r\n\r\n"
    );
    let batch = line("kessel-lo", 22.0, 10) + "cpu,host=gateway usage_idle=98\n";
    let reply = town.send(&version_2, &packed(&batch));
    assert_eq!(reply.status, 400);
    // It does not send these again: the good line is stored.
    assert!(reply.body.contains("partial write"), "{}", reply.body);
    town.expect(
        "SELECT sensor_id, value FROM heat WHERE source = 'telegraf' ORDER BY time, sensor_id",
        "telegraf-heverlee,20.25\ntelegraf-kessel-lo,21.5\ntelegraf-kessel-lo,22.0",
    );
    let wrong = version_2.replace("tele-token", "other");
    assert_eq!(town.send(&wrong, &packed(&batch)).status, 401);
    town.stop();
    town.check_absent("tele-token");
}

#[test]
fn weather_stations_are_answered_as_they_expect() {
    let mut town = Town::new();
    let at = station_time(now() - 16);
    // An Ecowitt gateway: no credential but its PASSKEY, which is one.
    let passkey = "0123456789ABCDEF0123456789ABCDEF";
    let form = format!(
        "PASSKEY={passkey}&stationtype=GW2000A_V3.1.5&runtime=319206&heap=21016&dateutc={}&tempinf=71.8&humidityin=45\
         &baromrelin=29.921&baromabsin=29.503&tempf=68.0&humidity=51&winddir=230&windspeedmph=10.00&windgustmph=12.30\
         &maxdailygust=15.90&solarradiation=512.30&uv=4&rrain_piezo=0.000&wh90batt=3.06&freq=868M&model=GW2000A&interval=60",
        at.replace(' ', "+")
    );
    let gateway = "POST /data/report/ HTTP/1.1\r\nHOST: 192.0.2.1\r\nConnection: Close\r\n\
                   Content-Type: application/x-www-form-urlencoded\r\nContent-Length:LENGTH\r\n\r\n";
    let reply = town.send(gateway, form.as_bytes());
    assert_eq!((reply.status, reply.body.as_str()), (200, ""));
    town.expect(
        "SELECT property, round(value * 100) / 100 AS v FROM heat WHERE source = 'roofs' AND property IN \
         ('air_temperature', 'wind_speed', 'sea_level_pressure', 'rain_rate') ORDER BY property",
        "air_temperature,20.0\nrain_rate,0.0\nsea_level_pressure,1013.24\nwind_speed,4.47",
    );
    // A console that uploads to Weather Underground.
    let upload = format!(
        "GET /weatherstation/updateweatherstation.php?ID=ILEUVE1&PASSWORD=s3cret&action=updateraww&dateutc={}\
         &tempf=50.0&humidity=-9999&dewptf=41.0&baromin=29.92&windspeedmph=0.0&rainin=0.10&dailyrainin=0.20\
         &softwaretype=EasyWeatherPro_V5.1.6&realtime=1&rtfreq=5 HTTP/1.0\r\n\
         Host: rtupdate.wunderground.com\r\nUser-Agent: EasyWeather\r\n\r\n",
        at.replace(' ', "%20")
    );
    let reply = town.send(&upload, b"");
    assert_eq!((reply.status, reply.body.as_str()), (200, "success\n"));
    town.expect(
        "SELECT sensor_id, property, round(value * 100) / 100 AS v FROM heat WHERE source = 'school' AND property IN \
         ('air_temperature', 'relative_humidity', 'rain_rate') ORDER BY property",
        "school-ILEUVE1,air_temperature,10.0\nschool-ILEUVE1,rain_rate,2.54",
    );
    let stranger = upload.replace("s3cret", "guess");
    assert_eq!(town.send(&stranger, b"").status, 401);
    town.stop();
    for secret in [passkey, "s3cret"] {
        town.check_absent(secret);
    }
}

#[test]
fn a_sensorthings_client_creates_observations() {
    let mut town = Town::new();
    // As FROST's Python client does it: `requests`, Basic, and the number of what was created read from `Location`.
    let client = |method: &str, path: &str| {
        format!(
            "{method} {path} HTTP/1.1\r\nHost: meetnet:8081\r\nUser-Agent: python-requests/2.32.3\r\n\
             Accept-Encoding: gzip, deflate\r\nAccept: */*\r\nConnection: keep-alive\r\n\
             Content-Length: LENGTH\r\nContent-Type: application/json\r\n\
             Authorization: Basic ZnJvc3Q6c3RhLXRva2Vu\r\n\r\n"
        )
    };
    let root = town.send(&client("GET", "/v1.1"), b"");
    assert_eq!(root.status, 200);
    assert!(
        root.body.contains("http://meetnet:8081/v1.1/Observations"),
        "{}",
        root.body
    );
    let time = |ago: i64| format_rfc3339((now() - ago) * 1_000_000).replace('Z', "+00:00");
    let observation = format!(
        r#"{{"phenomenonTime": "{}", "resultTime": "{}", "result": 21.6, "Datastream": {{"@iot.id": 1}}}}"#,
        time(30),
        time(29)
    );
    let reply = town.send(
        &client("POST", "/v1.1/Observations"),
        observation.as_bytes(),
    );
    assert_eq!(reply.status, 201, "{}", reply.body);
    let location = reply
        .head
        .lines()
        .find_map(|line| line.strip_prefix("location: "));
    let location = location.expect("a location");
    let id = location
        .split_once('(')
        .and_then(|(_, rest)| rest.strip_suffix(')'));
    assert!(id.is_some_and(|id| id.parse::<i64>().is_ok()), "{location}");
    let array = format!(
        r#"[{{"Datastream": {{"@iot.id": 1}}, "components": ["phenomenonTime", "result"], "dataArray@iot.count": 2,
            "dataArray": [["{}", 22.5], ["{}", "warm"]]}}]"#,
        time(20),
        time(10)
    );
    let reply = town.send(
        &client("POST", "/v1.1/CreateObservations"),
        array.as_bytes(),
    );
    assert_eq!(reply.status, 201, "{}", reply.body);
    assert!(reply.body.ends_with(r#","error"]"#), "{}", reply.body);
    town.expect(
        "SELECT sensor_id, value FROM heat WHERE source = 'sta' ORDER BY time",
        "sta-1,21.6\nsta-1,22.5",
    );
    town.stop();
    town.check_absent("sta-token");
}

#[test]
fn boxes_push_in_both_ways_and_stand_where_their_registry_says() {
    let mut town = Town::new();
    let firmware = |path: &str, more: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: meetnet:8081\r\nUser-Agent: NRZ-2024-135/1234567/aabbccddeeff\r\n\
             Accept-Encoding: identity;q=1,chunked;q=0.1,*;q=0\r\nConnection: close\r\n\
             Content-Type: application/json\r\nX-Sensor: esp8266-1234567\r\nX-MAC-ID: esp8266-aabbccddeeff\r\n\
             {more}Content-Length: LENGTH\r\n\r\n"
        )
    };
    let all = r#"{"esp8266id": "1234567", "software_version": "NRZ-2024-135", "sensordatavalues":[
        {"value_type":"SDS_P1","value":"12.30"},{"value_type":"SDS_P2","value":"5.05"},
        {"value_type":"BME280_temperature","value":"-144.70"},{"value_type":"samples","value":"5039010"},
        {"value_type":"interval","value":"145000"},{"value_type":"signal","value":"-52"}]}"#;
    let reply = town.send(&firmware("/airrohr", ""), all.as_bytes());
    assert_eq!(reply.status, 204, "{}", reply.body);
    let one = r#"{"software_version": "NRZ-2024-135", "sensordatavalues":[{"value_type":"P1","value":"13.00"}]}"#;
    let pushed = firmware("/v1/push-sensor-data/", "X-PIN: 1\r\n");
    let reply = town.send(&pushed, one.as_bytes());
    assert_eq!(reply.status, 201, "{}", reply.body);
    town.expect(
        "SELECT sensor_id, value FROM air WHERE property = 'pm10' ORDER BY time",
        "boxes-grote-markt,12.3\nboxes-grote-markt,13.0",
    );
    // A broken BME280: kept, and flagged.
    town.expect(
        "SELECT value, quality FROM heat WHERE source = 'boxes'",
        "-144.7,4",
    );
    town.expect(
        "SELECT id, name, lon, lat, valid_to IS NULL AS still FROM stations \
         WHERE valid_from = TIMESTAMP '2025-03-01T00:00:00Z'",
        "boxes-grote-markt,Grote Markt,4.701,50.88,true",
    );
    // Told again at every start, and the same.
    town.restart();
    let periods = "SELECT count(*) AS n, count(valid_to) AS ended, max(lat) AS lat FROM stations";
    town.expect(periods, "1,0,50.88");
    // The box moves to the station.
    let moved = AT_HOME
        .replace("2025-03-01,50.8796", ",50.8816")
        .replace("4.7011", "4.7156");
    std::fs::write(town.dir.path().join("boxes.csv"), moved).expect("a file");
    town.restart();
    town.expect(periods, "2,1,50.882");
    town.stop();
    town.check_absent("aabbccddeeff");
}

//! `neighbourhood_hourly` and `data_quality` of the real binary against pandas, which gathers and counts what lies in the tables
//! that they are made of.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use meetnet_model::calendar::{SECOND_US, format_rfc3339};
use meetnet_tests::daemon::Installation;
use meetnet_tests::{python, recordings};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use crate::derived::agree;
use crate::recordings::files;

const HOUR_S: i64 = 3_600;
const DAY_S: i64 = 24 * HOUR_S;
/// Days of the generated series.
const DAYS: i64 = 12;
/// Places of sensors and segments: longitude and latitude on the publication grid, each in a cell of its own.
const PLACES: [(f64, f64); 3] = [(4.701, 50.88), (4.7505, 50.86), (4.7205, 50.9)];

/// An installation whose figures about its data are looked at again at once, not every hour.
fn installation(sources: &str) -> Installation {
    let declared = include_str!("../../../schemas/data_quality.toml");
    let declared = declared.replace("every_s = 3600", "every_s = 1");
    assert!(declared.contains("every_s = 1\n"), "{declared}");
    let sources = format!("[schemas]\ndir = \"declarations\"\n\n{sources}");
    let lake = "commit_age_max = \"200ms\"\nstable_age_max = \"1s\"";
    let installation = Installation::new(lake, &sources).unwrap();
    let folder = installation.folder().join("declarations");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("data_quality.toml"), declared).unwrap();
    installation
}

/// A source of temperatures and gases, with its devices: their names, and where they stand, if anywhere.
fn desk(id: &str, licence: &str, devices: &[(&str, Option<usize>)]) -> String {
    let mut source = format!(
        r#"
[[source]]
id = "{id}"
kind = "http"
format = "json"
sensor_id = {{ pointer = "/id" }}
time = {{ pointer = "/ts", format = "unix" }}
token = {{ env = "MEETNET_TEST_TOKEN" }}
licence = "{licence}"
map = [
  {{ dataset = "heat", property = "air_temperature", pointer = "/t", unit = "Cel" }},
  {{ dataset = "air", property = "pm2_5", pointer = "/pm2_5", unit = "ug/m3" }},
  {{ dataset = "air", property = "no2", pointer = "/no2", unit = "ug/m3" }},
]
"#
    );
    for (device, place) in devices {
        if let Some(place) = place {
            let (longitude, latitude) = PLACES[*place];
            write!(
                source,
                "[[source.device]]\nid = \"{device}\"\nsince = \"2020-01-01\"\nlongitude = {longitude:?}\n\
                 latitude = {latitude:?}\n"
            )
            .unwrap();
        }
    }
    source
}

/// Telraam's format, with an agreement that lets the city publish it.
const COUNTER: &str = r#"
[[source]]
id = "counter"
kind = "http"
format = "telraam"
token = { env = "MEETNET_TEST_TOKEN" }
licence = "CC-BY-4.0"
permission = "letter of 2026-03-01"
time_window = { back = "20000d", ahead = "1h" }
"#;

/// A source: its id, its licence, and its sensors with where they stand.
type Garden = (
    &'static str,
    &'static str,
    &'static [(&'static str, Option<usize>)],
);

/// Sensors by source: the second one stands where the first source has one, the third is not for commercial use.
const GARDENS: [Garden; 3] = [
    (
        "city",
        "CC0-1.0",
        &[("a", Some(0)), ("b", Some(0)), ("c", Some(1)), ("d", None)],
    ),
    ("school", "CC-BY-4.0", &[("e", Some(0)), ("f", Some(2))]),
    ("club", "CC-BY-NC-4.0", &[("g", Some(0)), ("h", Some(2))]),
];

/// What the devices of a source sent from `begin` on (s since 1970), with gaps. Some end early, so that they are silent then.
fn values(random: &mut StdRng, devices: &[(&str, Option<usize>)], begin: i64) -> String {
    let mut lines = String::new();
    for (device, _) in devices {
        let days = if random.random_bool(0.4) {
            DAYS / 3
        } else {
            DAYS
        };
        for third in 0..days * 72 {
            if random.random_bool(0.12) {
                continue;
            }
            let ts = begin + third * 1_200 + random.random_range(0..1_200);
            let t = 15.0 + f64::from(random.random_range(0_i32..160)) / 16.0;
            let pm2_5 = f64::from(random.random_range(0_i32..600)) / 10.0;
            let no2 = f64::from(random.random_range(0_i32..800)) / 10.0;
            writeln!(
                lines,
                "{{\"id\":\"{device}\",\"ts\":{ts},\"t\":{t},\"pm2_5\":{pm2_5},\"no2\":{no2}}}"
            )
            .unwrap();
        }
    }
    lines
}

/// One row of Telraam's; `number` is that of the segment.
fn count(random: &mut StdRng, number: i64, ts: i64) -> Value {
    let uptime = f64::from(random.random_range(0_i32..=20)) / 20.0;
    let mut seen = |most: i32| {
        if uptime > 0.0 {
            f64::from(random.random_range(0..most)) / 4.0
        } else {
            0.0
        }
    };
    json!({
        "segment_id": number, "date": format_rfc3339(ts * SECOND_US), "interval": "hourly", "uptime": uptime,
        "car": seen(2_000), "heavy": seen(200), "bike": seen(800), "pedestrian": seen(400), "v85": null,
    })
}

/// A short street whose middle is a place.
fn street(number: i64, (lon, lat): (f64, f64)) -> Value {
    json!({
        "type": "Feature",
        "geometry": { "type": "MultiLineString", "coordinates": [[[lon - 0.0001, lat], [lon + 0.0001, lat]]] },
        "properties": { "oidn": number, "first_data_package": "2020-01-01T00:00:00Z" },
    })
}

async fn push(installation: &Installation, rows: &[Value]) {
    for rows in rows.chunks(200) {
        let body = json!({ "status_code": 200, "message": "ok", "report": rows });
        let answer = installation.push("counter", body.to_string().into_bytes(), &[]);
        assert_eq!(answer.await.unwrap(), (204, String::new()));
    }
}

async fn push_streets(installation: &Installation, streets: &[Value]) {
    let body = json!({ "status_code": 200, "message": "ok", "type": "FeatureCollection", "features": streets });
    let answer = installation.push("counter", body.to_string().into_bytes(), &[]);
    assert_eq!(answer.await.unwrap(), (204, String::new()));
}

fn import(installation: &Installation, source: &str, lines: &str) {
    let file = installation.folder().join(format!("{source}.ndjson"));
    fs::write(&file, lines).unwrap();
    let file = file.to_str().unwrap();
    installation
        .succeed(&["import", "json", file, "--source", source])
        .unwrap();
}

/// Sees that each of the figures that a script counted is at least so much.
fn at_least(rows: &Value, least: &[(&str, u64)]) {
    println!("{rows}");
    for (name, least) in least {
        let count = rows[name].as_u64().unwrap_or(0);
        assert!(count >= *least, "{name}: {count} of {least}\n{rows}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neighbourhoods_and_figures_of_quality_are_those_of_pandas() {
    if !python::has_packages(&["deltalake", "numpy", "pandas"]) {
        return;
    }
    let seed = std::env::var("MEETNET_SEED").map_or(1, |seed| seed.parse().unwrap());
    println!("MEETNET_SEED={seed}");
    let random = &mut StdRng::seed_from_u64(seed);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let today = i64::try_from(now.as_secs()).unwrap() / DAY_S * DAY_S;
    // All of it is over long enough, whatever the grace.
    let begin = today - (DAYS + 12) * DAY_S;

    let mut sources = COUNTER.to_owned();
    let mut late = Vec::new();
    for (id, licence, devices) in GARDENS {
        sources.push_str(&desk(id, licence, devices));
    }
    let installation = installation(&sources);
    for (id, _, devices) in GARDENS {
        let lines = values(random, devices, begin);
        // Every fifth line is late.
        let part = |is_late: bool| -> String {
            let lines = lines.lines().enumerate();
            let some = lines.filter(|(number, _)| (number % 5 == 0) == is_late);
            some.map(|(_, line)| format!("{line}\n")).collect()
        };
        import(&installation, id, &part(false));
        late.push((id, part(true)));
    }
    let daemon = installation.start().await.unwrap();
    let streets: Vec<Value> = (1..)
        .zip([PLACES[0], PLACES[0], PLACES[1]])
        .map(|(number, place)| street(number, place))
        .collect();
    push_streets(&installation, &streets).await;
    let mut counts = Vec::new();
    // The fourth segment has no place.
    for number in 1..=4 {
        for hour in 0..DAYS * 24 {
            if random.random_bool(0.9) {
                counts.push(count(random, number, begin + hour * HOUR_S));
            }
        }
    }
    let (early, rest) = counts.split_at(counts.len() / 2);
    push(&installation, early).await;
    agree(&installation, "gathered.py", &[]).await;
    agree(&installation, "at_a_glance.py", &[]).await;

    // What comes late or is corrected leads to the same.
    push(&installation, rest).await;
    let mut corrected = Vec::new();
    for row in early.iter().step_by(7) {
        let mut row = row.clone();
        row["uptime"] = json!(1.0);
        row["car"] = json!(row["car"].as_f64().unwrap() + 1.0);
        corrected.push(row);
    }
    push(&installation, &corrected).await;
    for (id, lines) in late {
        import(&installation, id, &lines);
    }
    let cells = agree(&installation, "gathered.py", &[]).await;
    let figures = agree(&installation, "at_a_glance.py", &[]).await;
    daemon.stop().unwrap();
    let hours = u64::try_from(DAYS).unwrap() * 24;
    at_least(
        &cells,
        &[
            ("neighbourhood_hourly", hours),
            ("cells", 3),
            ("of several kinds", hours / 3),
            ("of several sensors", hours / 6),
            ("under another licence than some input", hours / 4),
            ("left out", hours / 3),
        ],
    );
    let corrected = u64::try_from(corrected.len()).unwrap();
    at_least(
        &figures,
        &[
            ("data_quality", 3 * u64::try_from(DAYS).unwrap()),
            ("suspect", hours / 3),
            ("missing", 10),
            ("revisions", corrected),
            ("silent", 1),
        ],
    );
}

/// The segments of Telraam's files.
fn segments_of(bodies: &[Vec<u8>]) -> BTreeSet<i64> {
    let mut segments = BTreeSet::new();
    for body in bodies {
        let document: Value = serde_json::from_slice(body).unwrap();
        let rows = document["data"].as_array().unwrap();
        segments.extend(rows.iter().filter_map(|row| row["segment_id"].as_i64()));
    }
    segments
}

/// The dust of sensor.community's archive as lines of JSON; and the sensors, with a longitude and a latitude each.
fn dust(folder: &Path) -> (String, BTreeSet<(String, String, String)>) {
    let mut lines = String::new();
    let mut sensors = BTreeSet::new();
    for path in files(folder, ".csv") {
        let text = fs::read_to_string(&path).unwrap();
        let mut of_file = text.lines().map(|line| line.split(';').collect::<Vec<_>>());
        let header = of_file.next().unwrap();
        let column = |name: &str| header.iter().position(|column| *column == name).unwrap();
        let [id, time, lon, lat, pm10] = ["sensor_id", "timestamp", "lon", "lat", "P1"].map(column);
        for cells in of_file.filter(|cells| cells.len() == header.len()) {
            let text = |at: usize| cells[at].to_owned();
            sensors.insert((text(id), text(lon), text(lat)));
            let row = json!({ "id": cells[id], "ts": cells[time], "pm10": cells[pm10] });
            writeln!(lines, "{row}").unwrap();
        }
    }
    (lines, sensors)
}

/// A source of the archive's dust, whose sensors stand where the archive says.
fn archive(sensors: &BTreeSet<(String, String, String)>) -> String {
    let mut source = r#"
[[source]]
id = "archive"
kind = "http"
format = "json"
sensor_id = { pointer = "/id" }
time = { pointer = "/ts", format = "rfc3339", zone = "UTC" }
token = { env = "MEETNET_TEST_TOKEN" }
licence = "CC0-1.0"
map = [{ dataset = "air", property = "pm10", pointer = "/pm10", unit = "ug/m3" }]
"#
    .to_owned();
    for (id, longitude, latitude) in sensors {
        write!(
            source,
            "[[source.device]]\nid = \"{id}\"\nsince = \"2015-01-01\"\nlongitude = {longitude}\nlatitude = {latitude}\n"
        )
        .unwrap();
    }
    source
}

/// Brings the archive's dust into a new installation, whose configuration is completed by `more`, and waits for its places.
pub(crate) async fn with_archive(
    data: &Path,
    installation: impl FnOnce(&str) -> Installation,
) -> Installation {
    let (lines, sensors) = dust(&data.join("sensor_community/archive_csv"));
    let installation = installation(&archive(&sensors));
    import(&installation, "archive", &lines);
    let daemon = installation.start().await.unwrap();
    let places = i64::try_from(sensors.len()).unwrap();
    installation
        .wait_for("SELECT count(*) FROM stations", places)
        .await
        .unwrap();
    daemon.stop().unwrap();
    installation
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neighbourhoods_and_figures_of_recordings_are_those_of_pandas() {
    let Some(data) = recordings("MEETNET_REAL_DATA") else {
        return;
    };
    if !python::has_packages(&["deltalake", "numpy", "pandas"]) {
        return;
    }
    // With an agreement rows count that are not for commercial use, too.
    let counter = COUNTER.replace("\"CC-BY-4.0\"", "\"CC-BY-NC-4.0\"");
    let agreed =
        "[[dataset]]\nid = \"neighbourhood_hourly\"\npermission = \"letter of 2026-03-01\"\n";
    let installation = with_archive(&data, |archive| {
        installation(&format!("{counter}{archive}{agreed}"))
    })
    .await;
    let daemon = installation.start().await.unwrap();
    let bodies: Vec<Vec<u8>> = files(&data.join("telraam/karlsruhe"), ".json")
        .iter()
        .map(|path| fs::read(path).unwrap())
        .collect();
    // Where they are is not recorded with them.
    let streets: Vec<Value> = segments_of(&bodies)
        .into_iter()
        .zip(PLACES.into_iter().cycle())
        .map(|(number, place)| street(number, place))
        .collect();
    push_streets(&installation, &streets).await;
    for body in bodies {
        let answer = installation.push("counter", body, &[]).await.unwrap();
        assert_eq!(answer, (204, String::new()));
    }
    // What is hot is not made anything of yet.
    daemon.stop().unwrap();
    let daemon = installation.start().await.unwrap();
    let cells = agree(&installation, "gathered.py", &["permission"]).await;
    let figures = agree(&installation, "at_a_glance.py", &[]).await;
    daemon.stop().unwrap();
    // By how many hours of the recordings make up a cell's; the script has counted them itself.
    let of = |name: &str| cells[name].as_u64().unwrap();
    assert!(of("traffic") > 0 && of("pm10") > 0, "{cells}");
    assert_eq!(of("neighbourhood_hourly"), of("traffic") + of("pm10"));
    for dataset in ["traffic", "air"] {
        let days = figures["days"][dataset].as_u64().unwrap();
        assert!(days > 7, "{dataset}: {figures}");
    }
    at_least(&cells, &[("cells", 4)]);
    at_least(&figures, &[("suspect", 1), ("missing", 1), ("silent", 1)]);
    let quality = "SELECT count(*) FROM data_quality WHERE period = 'day' AND timed > 0";
    let timed = installation.sql_on_files(quality).unwrap();
    assert!(timed[0][0].as_u64().unwrap() > 7, "{timed:?}");
}

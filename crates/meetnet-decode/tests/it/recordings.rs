//! Real recordings, counted a second way. They are read through `MEETNET_REAL_DATA` and `MEETNET_SAMPLES`, which
//! `.ci/run` sets; without them the tests say so and pass.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Float64Type, Int64Type, TimestampMicrosecondType};
use meetnet_decode::{Decoded, Decoders, EnvelopeRef};

use crate::harness::{self, RECEIVED_AT};

mod lorawan;
mod mqtt;
mod polled;
mod sensor_community;
mod standards;
mod telraam;

/// Everything that was ever recorded.
const WIDE: &str = "time_window = { back_us = 400000000000000000, ahead_us = 400000000000000000 }";

pub(crate) fn folder(variable: &str) -> Option<PathBuf> {
    let folder = std::env::var_os(variable).map(PathBuf::from);
    if folder.is_none() {
        println!("{variable} is not set: recordings are not tested");
    }
    folder
}

pub(crate) fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no .{extension} in {}", folder.display());
    files
}

pub(crate) fn decoders(declaration: &str) -> Decoders {
    harness::decoders(harness::source(&format!("{declaration}\n{WIDE}")).unwrap()).unwrap()
}

pub(crate) fn decode(decoders: &Decoders, meta: &[(Box<str>, Box<str>)], body: &[u8]) -> Decoded {
    decoders.decode_body(&EnvelopeRef {
        sequence: 1,
        source: "test",
        topic: "",
        meta,
        payload: body,
        received_at: RECEIVED_AT,
        truncated: false,
    })
}

pub(crate) fn reasons(decoded: &Decoded) -> BTreeMap<&'static str, usize> {
    let mut reasons = BTreeMap::new();
    for reject in &decoded.rejects {
        *reasons.entry(reject.reason.as_str()).or_default() += 1;
    }
    reasons
}

/// Count, missing values and sum of a column.
#[derive(Debug, Default, PartialEq)]
struct Tally {
    rows: usize,
    missing: usize,
    sum: f64,
}

impl Tally {
    fn add(&mut self, value: Option<f64>) {
        self.rows += 1;
        match value {
            Some(value) => self.sum += value,
            None => self.missing += 1,
        }
    }
}

/// Property, time, value and interval of every row of a long dataset.
pub(crate) fn long_rows(decoded: &Decoded) -> Vec<(String, String, i64, f64, Option<i64>)> {
    let mut found = Vec::new();
    for rows in &decoded.rows {
        let column = |name: &str| {
            let at = rows.declaration.column_index(name).unwrap();
            std::sync::Arc::clone(rows.batch.column(at))
        };
        let (sensors, properties, times, values, intervals) = (
            column("sensor_id"),
            column("property"),
            column("time"),
            column("value"),
            column("interval_s"),
        );
        let intervals = intervals.as_primitive::<Int64Type>();
        for row in 0..rows.batch.num_rows() {
            found.push((
                sensors.as_string::<i32>().value(row).to_owned(),
                properties.as_string::<i32>().value(row).to_owned(),
                times.as_primitive::<TimestampMicrosecondType>().value(row),
                values.as_primitive::<Float64Type>().value(row),
                intervals.is_valid(row).then(|| intervals.value(row)),
            ));
        }
    }
    found
}

/// Who reads which recordings, by the beginnings of their names.
const READERS: [(&str, &str); 25] = [
    (
        "samples/ecowitt/",
        "recordings_push, tests::recordings::devices",
    ),
    ("samples/fiware/", "recordings::standards"),
    (
        "samples/generic_mqtt/",
        "recordings::mqtt, tests::recordings::devices",
    ),
    ("samples/influx/", "recordings_push"),
    ("samples/irceline/", "recordings::polled"),
    ("samples/lorawan/osem_TTN", "recordings::lorawan"),
    ("samples/lorawan/AM107_ThingsStack", "recordings::lorawan"),
    ("samples/lorawan/AM107_ChirpStack", "recordings::lorawan"),
    ("samples/openaq/", "recordings::polled"),
    ("samples/senml/", "recordings::standards"),
    (
        "samples/sensor_community/airrohr",
        "recordings::sensor_community, recordings_push, tests::recordings",
    ),
    (
        "samples/sensor_community/invalid",
        "recordings::sensor_community, tests::recordings",
    ),
    (
        "samples/sensor_community/luftdatenpumpe",
        "recordings::polled",
    ),
    ("samples/sensorthings/create", "recordings::standards"),
    ("samples/sensorthings/hexoskin", "recordings::standards"),
    ("samples/telraam/", "recordings::telraam"),
    ("samples/wunderground/", "recordings_push"),
    ("data/leuven/leuven_cool_01", "tests::recordings"),
    (
        "data/lorawan/thingsboard_ThingsStack",
        "recordings::lorawan, tests::recordings",
    ),
    (
        "data/lorawan/thingsboard_ChirpStack",
        "recordings::lorawan, tests::recordings::devices",
    ),
    ("data/opensensemap/boxes_cologne", "recordings::polled"),
    ("data/opensensemap/pm25_berlin", "tests::recordings"),
    (
        "data/sensor_community/archive_csv/",
        "recordings::sensor_community, tests::recordings",
    ),
    (
        "data/telraam/karlsruhe/",
        "recordings::telraam, tests::recordings, poller::tests::karlsruhe",
    ),
    ("data/telraam/leuven_segments", "recordings::polled"),
];

fn names_below(folder: &Path, name: &str, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("{name}/{}", path.file_name().unwrap().to_string_lossy());
        if path.is_dir() {
            names_below(&path, &name, found);
        } else if !name.ends_with(".md") {
            found.push(name);
        }
    }
}

#[test]
fn no_recording_is_left_unread() {
    let mut names = Vec::new();
    for (variable, name) in [
        ("MEETNET_SAMPLES", "samples"),
        ("MEETNET_REAL_DATA", "data"),
    ] {
        if let Some(folder) = folder(variable) {
            names_below(&folder, name, &mut names);
        }
    }
    let is_read = |name: &String| READERS.iter().any(|(begin, _)| name.starts_with(*begin));
    let unread: Vec<&String> = names.iter().filter(|name| !is_read(name)).collect();
    assert!(unread.is_empty(), "no test reads {unread:?}");
    println!("{} recordings", names.len());
}

//! Where sensors stand: polls and declared devices become periods of `stations`, and a replay of their frames the same ones.

use arrow::array::Array;
use meetnet_model::source::DeviceDeclaration;
use meetnet_model::time::format_rfc3339;

use super::*;
use crate::devices::announce_devices;
use crate::intake::Intake;

/// A polled source of which one sensor has a declared place.
fn polled(latitude: f64) -> Arc<Declarations> {
    let source = SourceDeclaration {
        devices: vec![DeviceDeclaration {
            id: "7".to_owned(),
            name: Some("town hall".to_owned()),
            longitude: Some(4.701),
            latitude: Some(latitude),
            ..DeviceDeclaration::default()
        }],
        ..SourceDeclaration::new(
            "city",
            SourceKind::Poll,
            WireFormat::SensorCommunity,
            "ODbL-1.0",
        )
    };
    Arc::new(meetnet_model::schemas::builtin().into_declarations([source]))
}

fn start(folder: &Path, latitude: f64) -> Daemon {
    start_as(folder, &polled(latitude), |_| {}, |_| {})
}

/// What an answer says of a sensor and its place.
fn reading(id: u32, longitude: f64) -> String {
    let time = format_rfc3339(now_ms() / 1_000 * 1_000_000);
    let time = time.replace('T', " ").replace('Z', "");
    format!(
        r#"[{{"timestamp": "{time}", "sensor": {{"id": {id}, "sensor_type": {{"name": "SDS011"}}}},
            "location": {{"longitude": "{longitude}", "latitude": "50.88"}},
            "sensordatavalues": [{{"value_type": "P1", "value": "5"}}]}}]"#
    )
}

/// The current rows of `stations`, hot ones only: id, place, name, and whether the period goes on.
fn stations(snapshot: &LakeSnapshot) -> Vec<String> {
    let mut lines = Vec::new();
    for hot in snapshot.tables[&DatasetId::new("stations")].hot.iter() {
        let column = |name: &str| Arc::clone(hot.batch.column_by_name(name).unwrap());
        let (id, name, to) = (column("id"), column("name"), column("valid_to"));
        let (lon, lat) = (column("lon"), column("lat"));
        for row in 0..hot.batch.num_rows() {
            let marks = hot.superseded.as_ref();
            if marks.is_some_and(|at| at[row] != meetnet_lake::snapshot::HotBatch::LIVE) {
                continue;
            }
            lines.push(format!(
                "{} {} {} {} {}",
                id.as_string::<i32>().value(row),
                lon.as_primitive::<Float64Type>().value(row),
                lat.as_primitive::<Float64Type>().value(row),
                if name.is_null(row) {
                    "-"
                } else {
                    name.as_string::<i32>().value(row)
                },
                if to.is_null(row) { "stands" } else { "stood" },
            ));
        }
    }
    lines.sort();
    lines
}

#[test]
fn periods_are_made_again_by_a_replay() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = start(folder.path(), 50.88);
    let announce = |daemon: &Daemon, latitude| {
        let intake = Intake::from_journal(&daemon.journal);
        assert_eq!(announce_devices(&intake, &polled(latitude)).unwrap(), 1);
    };
    announce(&daemon, 50.88);
    for longitude in [4.701, 4.7025, 4.731, 4.731] {
        daemon.append("city", &reading(1, longitude));
    }
    announce(&daemon, 50.88);
    // The declared place counts, whatever the API says.
    let last = daemon.append("city", &reading(7, 4.8));
    let snapshot = daemon.wait(last);
    let expected = [
        "city-1 4.701 50.88 - stood",
        "city-1 4.731 50.88 - stands",
        "city-7 4.701 50.88 town hall stands",
    ];
    assert_eq!(stations(&snapshot), expected);
    // A crash, seen on a copy of the disk: nothing was committed, so everything comes from the journal again.
    let copy = tempfile::tempdir().unwrap();
    copy_folder(folder.path(), copy.path());
    drop(daemon);
    let daemon = start(copy.path(), 50.88);
    assert_eq!(stations(&daemon.wait(last)), expected);
}

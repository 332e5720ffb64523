//! What boxes of sensor.community send, and lines of its archive, as JSON and as CSV.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray};
use arrow::datatypes::Float64Type;
use meetnet_decode::EnvelopeRef;

use super::{Tally, decode, decoders, files, folder, long_rows, reasons};
use crate::harness::RECEIVED_AT;

#[test]
fn the_real_airrohr_message() {
    let Some(samples) = folder("MEETNET_SAMPLES") else {
        return;
    };
    let decoders = decoders("format = 'airrohr'");
    let body = std::fs::read(samples.join("sensor_community/airrohr_push_real.json")).unwrap();
    let meta = [("x-sensor".into(), "esp8266-1234567".into())];
    let decoded = decode(&decoders, &meta, &body);
    assert_eq!(decoded.rejects, []);
    let mut values = BTreeMap::new();
    for rows in &decoded.rows {
        let column = |name: &str| {
            let at = rows.declaration.column_index(name).unwrap();
            std::sync::Arc::clone(rows.batch.column(at))
        };
        let (properties, numbers) = (column("property"), column("value"));
        for row in 0..rows.batch.num_rows() {
            let property = properties.as_string::<i32>().value(row).to_owned();
            values.insert(property, numbers.as_primitive::<Float64Type>().value(row));
        }
    }
    let expected = [
        ("air_pressure", 1006.59),
        ("air_temperature", 26.8),
        ("pm10", 1.87),
        ("pm2_5", 1.05),
    ];
    assert_eq!(
        values,
        expected
            .map(|(name, value)| (name.to_owned(), value))
            .into()
    );
    // The sample names no box; without the header nobody knows which it is.
    assert_eq!(
        reasons(&decode(&decoders, &[], &body)),
        BTreeMap::from([("missing_field", 1)])
    );
}

#[test]
fn json_with_a_random_tail_is_one_reject() {
    let Some(samples) = folder("MEETNET_SAMPLES") else {
        return;
    };
    let decoders = decoders(
        "format = 'json'\nsensor_id = { pointer = '/sensor/id' }\n\
         map = [ { dataset = 'air', property = 'pm10', pointer = '/sensordatavalues/0/value' } ]",
    );
    let path = samples.join("sensor_community/invalid_json_random_tail_issue154.json.txt");
    let text = std::fs::read_to_string(path).unwrap();
    let body = text.split_once('\n').unwrap().1;
    let decoded = decode(&decoders, &[], body.as_bytes());
    assert_eq!(decoded.row_count(), 0);
    assert_eq!(reasons(&decoded), BTreeMap::from([("malformed", 1)]));
    assert!(
        decoded.rejects[0].message.contains("line 1 column"),
        "{}",
        decoded.rejects[0].message
    );
}

#[test]
fn sensor_community_archive_lines_as_json() {
    let Some(data) = folder("MEETNET_REAL_DATA") else {
        return;
    };
    let decoders = decoders(
        "format = 'json'\nnamespace = 'sc'\nsensor_id = { pointer = '/sensor_id' }\n\
         time = { pointer = '/timestamp', format = 'rfc3339', zone = 'UTC' }\n\
         map = [ { dataset = 'air', property = 'pm10', pointer = '/P1', unit = 'ug/m3' },\n\
         { dataset = 'air', property = 'pm2_5', pointer = '/P2', unit = 'ug/m3' } ]",
    );
    let mut group = decoders.group();
    let (mut expected, mut lines_without_values) = (Tally::default(), 0);
    for path in files(&data.join("sensor_community/archive_csv"), "csv") {
        let text = std::fs::read_to_string(&path).unwrap();
        let mut lines = text.lines();
        let header: Vec<&str> = lines.next().unwrap().split(';').collect();
        for line in lines.filter(|line| !line.trim().is_empty()) {
            let record: BTreeMap<&str, &str> =
                header.iter().copied().zip(line.split(';')).collect();
            let values =
                ["P1", "P2"].map(|name| record.get(name).and_then(|v| v.parse::<f64>().ok()));
            values
                .into_iter()
                .flatten()
                .for_each(|value| expected.add(Some(value)));
            lines_without_values += usize::from(values == [None, None]);
            let body = serde_json::to_vec(&record).unwrap();
            decoders.decode(
                0,
                &EnvelopeRef {
                    sequence: 1,
                    source: "test",
                    topic: "",
                    meta: &[],
                    payload: &body,
                    received_at: RECEIVED_AT,
                    truncated: false,
                },
                &mut group,
            );
        }
    }
    let decoded = group.take();
    let rows = &decoded.rows[0];
    let mut found = Tally::default();
    let column = rows
        .batch
        .column(rows.declaration.column_index("value").unwrap());
    column
        .as_primitive::<Float64Type>()
        .iter()
        .for_each(|value| found.add(value));
    println!("{found:?}, {:?}", reasons(&decoded));
    assert_eq!(column.null_count(), 0);
    assert_eq!((found.rows, found.missing), (expected.rows, 0));
    assert!(
        (found.sum - expected.sum).abs() < 1e-3,
        "{found:?}, {expected:?}"
    );
    assert_eq!(decoded.rejects.len(), lines_without_values);
}

#[test]
fn sensor_community_archive_as_csv() {
    let Some(data) = folder("MEETNET_REAL_DATA") else {
        return;
    };
    let decoders = decoders(
        "format = 'csv'\ncsv = { delimiter = ';' }\nnamespace = 'sc'\nsensor_id = { field = 'sensor_id' }\n\
         time = { field = 'timestamp', format = 'rfc3339', zone = 'UTC' }\n\
         map = [ { dataset = 'air', property = 'pm10', field = 'P1' },\n\
         { dataset = 'air', property = 'pm2_5', field = 'P2' } ]",
    );
    let (mut expected, mut found) = (Tally::default(), Tally::default());
    let (mut cut, mut rejects) = (0, BTreeMap::new());
    for path in files(&data.join("sensor_community/archive_csv"), "csv") {
        let text = std::fs::read_to_string(&path).unwrap();
        // Counted by splitting lines: no cell of the archive is quoted.
        let mut lines = text.lines();
        let header: Vec<&str> = lines.next().unwrap().split(';').collect();
        let column = |name| header.iter().position(|found| *found == name).unwrap();
        let columns = [column("P1"), column("P2")];
        for line in lines.filter(|line| !line.is_empty()) {
            let cells: Vec<&str> = line.split(';').collect();
            if cells.len() != header.len() {
                cut += 1;
                continue;
            }
            for at in columns {
                if let Ok(value) = cells[at].parse() {
                    expected.add(Some(value));
                }
            }
        }
        let decoded = decode(&decoders, &[], text.as_bytes());
        for (_, _, _, value, _) in long_rows(&decoded) {
            found.add(Some(value));
        }
        for (reason, count) in reasons(&decoded) {
            *rejects.entry(reason).or_insert(0) += count;
        }
    }
    assert_eq!(found.rows, expected.rows);
    assert!(
        (found.sum - expected.sum).abs() < 1e-3,
        "{found:?}, {expected:?}"
    );
    assert_eq!((rejects, cut), (BTreeMap::from([("malformed", 1)]), 1));
}

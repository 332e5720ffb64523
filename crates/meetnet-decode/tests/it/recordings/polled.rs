//! What APIs answer that are polled, and recordings of APIs that a city reads by a mapping: read a second way, and compared.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::AsArray;
use arrow::datatypes::{Float64Type, Int64Type, TimestampMicrosecondType};
use meetnet_decode::Decoded;
use meetnet_model::time::format_rfc3339;
use serde_json::Value;

use super::{Tally, decode, decoders, folder, long_rows, reasons};

type Meta = Vec<(Box<str>, Box<str>)>;

fn beside(pairs: &[(&str, &str)]) -> Meta {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| ((*name).into(), (*value).into()))
        .collect()
}

/// Id, time, longitude and latitude of every station; takes them out, so that only measurements are left.
fn take_stations(decoded: &mut Decoded) -> Vec<(String, i64, f64, f64)> {
    let mut found = Vec::new();
    decoded.rows.retain(|rows| {
        if rows.declaration.id.as_str() != "stations" {
            return true;
        }
        let column = |name: &str| {
            let at = rows.declaration.column_index(name).unwrap();
            rows.batch.column(at)
        };
        for row in 0..rows.batch.num_rows() {
            let float = |name| column(name).as_primitive::<Float64Type>().value(row);
            let since = column("valid_from").as_primitive::<TimestampMicrosecondType>();
            found.push((
                column("id").as_string::<i32>().value(row).to_owned(),
                since.value(row),
                float("lon"),
                float("lat"),
            ));
        }
        false
    });
    found
}

/// A published place is near the one that was sent: half a step of the grid in each direction.
fn assert_near((lon, lat): (f64, f64), sent: (f64, f64), name: &str) {
    let is_near = (lon - sent.0).abs() <= 0.000_751 && (lat - sent.1).abs() <= 0.000_501;
    assert!(is_near, "{name}: {lon}, {lat}, sent {sent:?}");
}

#[test]
fn readings_of_sensor_community() {
    let Some(samples) = folder("MEETNET_SAMPLES") else {
        return;
    };
    let body =
        std::fs::read(samples.join("sensor_community/luftdatenpumpe_upstream.json")).unwrap();
    let decoders = decoders("format = 'sensor-community'\nkind = 'poll'");
    let mut decoded = decode(&decoders, &[], &body);
    let stations = take_stations(&mut decoded);
    let readings: Vec<Value> = serde_json::from_slice(&body).unwrap();
    let (mut expected, mut sensors) = (Vec::new(), BTreeMap::new());
    for reading in &readings {
        let id = format!("ns-{}", reading["sensor"]["id"]);
        let time = reading["timestamp"].as_str().unwrap().replace(' ', "T") + "Z";
        for value in reading["sensordatavalues"].as_array().unwrap() {
            let property = match value["value_type"].as_str().unwrap() {
                "P1" => "pm10",
                "P2" => "pm2_5",
                "temperature" => "air_temperature",
                "humidity" => "relative_humidity",
                other => panic!("the sample has a {other}"),
            };
            let number: f64 = value["value"].as_str().unwrap().parse().unwrap();
            expected.push(format!("{id} {property} {time} {number}"));
        }
        let degrees = |name: &str| {
            let text = reading["location"][name].as_str().unwrap();
            text.parse::<f64>().unwrap()
        };
        sensors.insert(id, (degrees("longitude"), degrees("latitude")));
    }
    let mut found: Vec<String> = long_rows(&decoded)
        .into_iter()
        .map(|(id, property, time, value, _)| {
            format!("{id} {property} {} {value}", format_rfc3339(time))
        })
        .collect();
    expected.sort();
    found.sort();
    assert_eq!((found, decoded.rejects.len()), (expected, 0));
    let placed: BTreeSet<&String> = stations.iter().map(|(id, ..)| id).collect();
    assert_eq!(placed, sensors.keys().collect::<BTreeSet<_>>());
    for (id, _, lon, lat) in &stations {
        assert_near((*lon, *lat), sensors[id], id);
    }
}

#[test]
fn time_series_and_stations_of_ircel() {
    let Some(samples) = folder("MEETNET_SAMPLES") else {
        return;
    };
    let read = |name: &str| {
        let bytes = std::fs::read(samples.join("irceline").join(name)).unwrap();
        serde_json::from_slice::<Value>(&bytes).unwrap()
    };
    let decoders = decoders("format = 'ircel'\nkind = 'poll'");
    let of_series = beside(&[
        ("sensor", "42R803"),
        ("property", "pm2_5"),
        ("interval-s", "3600"),
    ]);
    let mut series = 0;
    for (number, of) in read("luftdatenpumpe_upstream-timeseries.json")
        .as_object()
        .unwrap()
    {
        let points = of["values"].as_array().unwrap().iter();
        let expected: Vec<(i64, f64)> = points
            .map(|point| {
                let millis = point["timestamp"].as_i64().unwrap();
                (millis * 1_000, point["value"].as_f64().unwrap())
            })
            .collect();
        let decoded = decode(&decoders, &of_series, of.to_string().as_bytes());
        let found: Vec<(i64, f64)> = long_rows(&decoded)
            .into_iter()
            .map(|(_, _, time, value, interval_s)| {
                assert_eq!(interval_s, Some(3_600));
                (time, value)
            })
            .collect();
        assert_eq!(
            (found, decoded.rejects.len()),
            (expected, 0),
            "series {number}"
        );
        series += 1;
    }
    assert_eq!(series, 2);

    let stations = read("luftdatenpumpe_upstream-stations.json");
    for station in stations.as_array().unwrap() {
        let label = station["properties"]["label"].as_str().unwrap();
        let sensor = label.split(' ').next().unwrap();
        let body = serde_json::json!({ "id": "1", "station": station }).to_string();
        let of_station = beside(&[("about", "station"), ("sensor", sensor)]);
        let mut decoded = decode(&decoders, &of_station, body.as_bytes());
        let placed = take_stations(&mut decoded);
        assert_eq!((placed.len(), decoded.rejects.len()), (1, 0), "{label}");
        let (id, _, lon, lat) = &placed[0];
        assert_eq!(id, &format!("ns-{sensor}"));
        let sent = &station["geometry"]["coordinates"];
        let sent = (sent[0].as_f64().unwrap(), sent[1].as_f64().unwrap());
        assert_near((*lon, *lat), sent, label);
    }

    // Interpolated grids are no stations, and a point of one has no time or no value: each feature says why it is no row.
    let of_layer = beside(&[("property", "no2"), ("interval-s", "3600")]);
    for name in [
        "rio_wfs.json",
        "rio_wfs_dmean.json",
        "rio_wfs_with_errors.json",
        "ifdm_interpolation_feature_info.json",
    ] {
        let layer = read(name);
        let decoded = decode(&decoders, &of_layer, layer.to_string().as_bytes());
        let features = layer["features"].as_array().unwrap().len();
        assert_eq!(
            (decoded.row_count(), decoded.rejects.len()),
            (0, features),
            "{name}: {:?}",
            reasons(&decoded)
        );
    }
}

#[test]
fn places_of_opensensemap_boxes() {
    let Some(data) = folder("MEETNET_REAL_DATA") else {
        return;
    };
    let path = data.join("opensensemap/boxes_cologne_100km.json");
    let boxes: Vec<Value> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let decoders = decoders("format = 'opensensemap'\nkind = 'poll'");
    let mut sensors = 0;
    for of in &boxes {
        let name = of["_id"].as_str().unwrap();
        // The poll names the sensors of a box that it asks for; here it is all of them.
        let mut meta = beside(&[("about", "station")]);
        let ids: BTreeSet<String> = of["sensors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|sensor| sensor["_id"].as_str().unwrap().to_owned())
            .collect();
        meta.extend(ids.iter().map(|id| ("sensor".into(), id.as_str().into())));
        let mut decoded = decode(&decoders, &meta, of.to_string().as_bytes());
        let placed = take_stations(&mut decoded);
        assert_eq!(
            (decoded.rows.len(), decoded.rejects.len()),
            (0, 0),
            "{name}"
        );
        let found: BTreeSet<String> = placed
            .iter()
            .map(|(id, ..)| id.trim_start_matches("ns-").to_owned())
            .collect();
        assert_eq!(found, ids, "{name}");
        let place = &of["currentLocation"];
        let sent = &place["coordinates"];
        let sent = (sent[0].as_f64().unwrap(), sent[1].as_f64().unwrap());
        let since = place["timestamp"].as_str().unwrap();
        for (_, valid_from, lon, lat) in &placed {
            assert_near((*lon, *lat), sent, name);
            // To the second: a whole one is written without a fraction.
            assert_eq!(format_rfc3339(*valid_from)[..19], since[..19], "{name}");
        }
        sensors += placed.len();
    }
    println!("{} boxes, {sensors} sensors", boxes.len());
    assert_eq!(boxes.len(), 867);
}

#[test]
fn a_snapshot_of_all_segments_by_a_mapping() {
    let Some(data) = folder("MEETNET_REAL_DATA") else {
        return;
    };
    let path = data.join("telraam/leuven_segments_snapshot_2023-12-09.geojson");
    let body = std::fs::read(path).unwrap();
    let columns = ["uptime", "car", "heavy", "bike", "pedestrian", "v85"];
    let entry = |column: &str| {
        format!(
            "{{ dataset = 'traffic', column = '{column}', pointer = '/features/*/properties/{column}' }}"
        )
    };
    let map: Vec<String> = ["segment_id"]
        .iter()
        .chain(&columns)
        .map(|column| entry(column))
        .collect();
    let decoders = decoders(&format!(
        "format = 'json'\ninterval_s = 3600\nmap = [ {} ]\n\
         time = {{ pointer = '/features/*/properties/date', format = 'rfc3339' }}",
        map.join(",\n")
    ));
    let decoded = decode(&decoders, &[], &body);
    let snapshot: Value = serde_json::from_slice(&body).unwrap();
    let features = snapshot["features"].as_array().unwrap();
    // A segment that did not count in that hour has no time, and empty texts everywhere.
    let (live, silent): (Vec<_>, Vec<_>) = features
        .iter()
        .map(|feature| &feature["properties"])
        .partition(|properties| properties["date"] != "");
    assert_eq!((live.len(), silent.len()), (92, 204));
    assert_eq!(
        reasons(&decoded),
        BTreeMap::from([("missing_field", silent.len())])
    );
    let rows = &decoded.rows[0];
    let column = |name: &str| {
        let at = rows.declaration.column_index(name).unwrap();
        rows.batch.column(at)
    };
    assert_eq!(rows.batch.num_rows(), live.len());
    let expected: Vec<i64> = live
        .iter()
        .map(|properties| properties["segment_id"].as_i64().unwrap())
        .collect();
    let found = column("segment_id").as_primitive::<Int64Type>();
    assert_eq!(found.values().to_vec(), expected);
    for name in columns {
        let (mut expected, mut found) = (Tally::default(), Tally::default());
        live.iter()
            .for_each(|properties| expected.add(properties[name].as_f64()));
        let values = column(name).as_primitive::<Float64Type>();
        values.iter().for_each(|value| found.add(value));
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn measurements_of_openaq_by_a_mapping() {
    let Some(samples) = folder("MEETNET_SAMPLES") else {
        return;
    };
    let decoders = decoders(
        "format = 'json'\nsensor_id = 'openaq-3'\n\
         time = { pointer = '/results/*/period/datetimeFrom/utc', format = 'rfc3339' }\n\
         map = [ { dataset = 'air', property = 'pm2_5', pointer = '/results/*/value', unit = 'µg/m³' } ]",
    );
    for path in super::files(&samples.join("openaq"), "json") {
        let body = std::fs::read(&path).unwrap();
        let answer: Value = serde_json::from_slice(&body).unwrap();
        let results = answer["results"].as_array().unwrap();
        let expected: Vec<(String, f64)> = results
            .iter()
            .map(|result| {
                let begin = result["period"]["datetimeFrom"]["utc"].as_str().unwrap();
                (begin[..19].to_owned(), result["value"].as_f64().unwrap())
            })
            .collect();
        let decoded = decode(&decoders, &[], &body);
        let found: Vec<(String, f64)> = long_rows(&decoded)
            .into_iter()
            .map(|(_, _, time, value, _)| (format_rfc3339(time)[..19].to_owned(), value))
            .collect();
        let name = path.display();
        assert_eq!((found, decoded.rejects.len()), (expected, 0), "{name}");
    }
}

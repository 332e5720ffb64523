//! What analysts take with them: exported files, as DuckDB, Polars and pyarrow read them, and answers, as curl does.

use std::process::{Command, Output};

use meetnet_tests::daemon::Installation;
use meetnet_tests::python;
use serde_json::{Value, json};

use crate::readers::{SOURCES, push_traffic};

/// An installation whose daemon has committed a day of traffic, and is stopped.
async fn with_traffic() -> Installation {
    let installation = Installation::new("", SOURCES).unwrap();
    let daemon = installation.start().await.unwrap();
    push_traffic(&installation, 1.0).await;
    daemon.stop().unwrap();
    installation
}

#[tokio::test]
async fn exported_files_are_read_by_duckdb_polars_and_pyarrow() {
    if !python::has_packages(&["duckdb", "polars", "pyarrow"]) {
        return;
    }
    let installation = with_traffic().await;
    for ending in ["csv", "parquet", "ndjson", "arrow"] {
        let file = installation.folder().join(format!("traffic.{ending}"));
        let file = file.display().to_string();
        installation
            .succeed(&["export", "traffic", "-o", &file])
            .unwrap();
    }
    let found = python::run("exports.py", &[installation.folder()]).unwrap();
    // 2026-03-01, by the hour.
    let midnight = 1_772_323_200_000_000_i64;
    let pushed: Vec<Value> = (1..=3)
        .flat_map(|segment| (0..24_u32).map(move |hour| (segment, hour)))
        .map(|(segment, hour)| {
            let time = midnight + i64::from(hour) * 3_600_000_000;
            json!([segment, time, f64::from(hour)])
        })
        .collect();
    let rows = found["rows"].as_object().unwrap();
    assert_eq!(rows.len(), 11, "{:?}", rows.keys());
    for (reader, read) in rows {
        assert_eq!(*read, Value::Array(pushed.clone()), "{reader}");
    }
    for ending in ["csv", "parquet", "ndjson", "arrow"] {
        assert_eq!(found["licences"][ending], "CC-BY-NC-4.0", "{ending}");
    }
}

/// What segments count has no place of its own: `segments` says where each is.
#[tokio::test]
async fn counts_are_exported_as_a_map() {
    let installation = Installation::new("", SOURCES).unwrap();
    let daemon = installation.start().await.unwrap();
    push_traffic(&installation, 1.0).await;
    let street = json!({ "features": [{
        "type": "Feature",
        "geometry": { "type": "MultiLineString", "coordinates": [[[4.7001, 50.8801], [4.7101, 50.8801]]] },
        "properties": { "oidn": 2, "first_data_package": "2024-05-05T11:45:18.061Z" },
    }] });
    let body = street.to_string().into_bytes();
    let answer = installation.push("telraam", body, &[]).await.unwrap();
    assert_eq!(answer.0, 204, "{answer:?}");
    daemon.stop().unwrap();
    let file = installation.folder().join("traffic.geojson");
    let name = file.display().to_string();
    installation
        .succeed(&["export", "traffic", "-o", &name])
        .unwrap();
    let map: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let features = map["features"].as_array().unwrap();
    assert_eq!(features.len(), 72);
    for feature in features {
        let expect = match feature["properties"]["segment_id"].as_i64() {
            Some(2) => json!({ "type": "Point", "coordinates": [4.7055, 50.88] }),
            _ => Value::Null,
        };
        assert_eq!(feature["geometry"], expect, "{feature}");
        assert!(feature["properties"].get("lon").is_none(), "{feature}");
    }
    assert_eq!(map["licences"], json!(["CC-BY-NC-4.0"]));
}

/// Runs curl; None where it is not installed.
fn curl(arguments: &[&str]) -> Option<Output> {
    let mut command = Command::new("curl");
    command.args(["-sS", "--noproxy", "*"]).args(arguments);
    match command.output() {
        Ok(output) => Some(output),
        Err(error) => {
            println!("skipped: curl is not installed ({error})");
            None
        }
    }
}

fn printed(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn curl_asks_asks_again_and_is_told_what_is_wrong() {
    let installation = with_traffic().await;
    let daemon = installation.start().await.unwrap();
    let sql = format!("http://{}/api/v1/sql", installation.http());
    let tag = installation.folder().join("tag.txt").display().to_string();
    let most = "q=SELECT segment_id, max(car) AS most FROM traffic GROUP BY 1 ORDER BY 1";
    let question = ["-G", &sql, "-d", "format=csv", "--data-urlencode", most];

    let Some(first) = curl(&[&question[..], &["--etag-save", &tag]].concat()) else {
        return;
    };
    assert_eq!(
        printed(&first),
        "segment_id,most\r\n1,23.0\r\n2,23.0\r\n3,23.0\r\n"
    );
    let again = ["--etag-compare", &tag, "-w", "%{http_code}"];
    let again = curl(&[&question[..], &again].concat()).unwrap();
    assert_eq!(printed(&again), "304");

    let body = [
        "-H",
        "content-type: application/sql",
        "--data-binary",
        "SELECT count(*) FROM traffic",
        &sql,
    ];
    let counted: Value = serde_json::from_str(&printed(&curl(&body).unwrap())).unwrap();
    assert_eq!(counted["rows"], json!([[72]]));
    let refused = [
        "-G",
        &sql,
        "--data-urlencode",
        "q=DROP TABLE traffic",
        "-w",
        "\n%{http_code} %{content_type}",
    ];
    let refused = printed(&curl(&refused).unwrap());
    assert!(refused.contains("this service only reads"), "{refused}");
    assert!(
        refused.ends_with("\n403 application/problem+json"),
        "{refused}"
    );

    // A file that is listed, from its beginning and, where a download broke off, from there on.
    let list = installation
        .get("/api/v1/datasets/traffic/files", &[])
        .await;
    let list: Value = serde_json::from_slice(&list.unwrap().bytes().await.unwrap()).unwrap();
    let file = list["files"][0]["url"].as_str().unwrap();
    let url = format!("http://{}{file}", installation.http());
    let whole = curl(&[&url]).unwrap();
    assert!(whole.status.success() && whole.stdout.starts_with(b"PAR1"));
    let broken = installation.folder().join("broken.parquet");
    std::fs::write(&broken, &whole.stdout[..100]).unwrap();
    let name = broken.display().to_string();
    printed(&curl(&["-C", "-", "-o", &name, &url]).unwrap());
    assert!(std::fs::read(&broken).unwrap() == whole.stdout);
    daemon.stop().unwrap();
}

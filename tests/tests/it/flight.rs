//! Clients of Arrow Flight SQL: the driver of ADBC looks around in a running daemon and asks it.

use std::fs;
use std::path::Path;

use anyhow::Result;
use meetnet_testkit::free_port;
use meetnet_tests::daemon::{Installation, TOKEN};
use meetnet_tests::python;
use serde_json::{Value, json};

use crate::postgres::certificate;
use crate::readers::{SOURCES, push_noise, push_traffic};

/// A daemon with a Flight SQL listener; the user `analyst` has the token of tests as a password.
fn installation(keys: &str) -> (Installation, u16) {
    let port = free_port().unwrap();
    let flight = format!(
        "[flight]\nlisten = \"127.0.0.1:{port}\"\n\
         users = [{{ name = \"analyst\", password = {{ env = \"MEETNET_TEST_TOKEN\" }} }}]\n{keys}{SOURCES}"
    );
    (Installation::new("", &flight).unwrap(), port)
}

fn has_driver() -> bool {
    python::has_packages(&["adbc_driver_flightsql", "adbc_driver_manager", "pyarrow"])
}

/// Has the driver ask; returns what it found.
fn asked(
    installation: &Installation,
    address: &str,
    user: &str,
    password: &str,
    root: Option<&Path>,
) -> Result<Value> {
    let file = installation.folder().join("flight.txt");
    fs::write(&file, format!("{address} {user}")).unwrap();
    let mut variables = vec![("MEETNET_TEST_PASSWORD", password.to_owned())];
    if let Some(root) = root {
        variables.push(("MEETNET_TEST_ROOT", root.display().to_string()));
    }
    python::run_with("flight.py", &[file.as_path()], &variables)
}

fn expected() -> Value {
    json!({
        "plain": [[72, 23.0]],
        "prepared": [
            [2, "2026-03-01T22:00:00+00:00", 22.0],
            [2, "2026-03-01T23:00:00+00:00", 23.0],
        ],
        "same": true,
        "types": ["timestamp[us, tz=UTC]", "decimal128(3, 2)", "null", "bool", "string", "int64"],
        "dictionary": ["dictionary<values=string, indices=int32, ordered=0>", ["word"]],
        "hint": true,
        "many": 300_000,
        "catalogs": ["meetnet"],
        "tables": {"traffic": "TABLE", "traffic_history": "VIEW"},
        "columns": ["segment_id", "interval_s", "time"],
        "table types": ["SYSTEM TABLE", "TABLE", "VIEW"],
        "schema": {"segment_id": "int64", "time": "timestamp[us, tz=UTC]", "car": "double"},
        "vendor": "meetnet",
        "no table": true,
        "private": true,
        "write": true,
        "cancelled": true,
        "after": [[1]],
    })
}

#[tokio::test]
async fn adbc_looks_around_and_asks() {
    if !has_driver() {
        return;
    }
    let (installation, port) = installation("");
    let daemon = installation.start().await.unwrap();
    push_traffic(&installation, 1.0).await;
    push_noise(&installation, 1).await;
    let address = format!("grpc://127.0.0.1:{port}");
    for (user, password) in [("-", ""), ("analyst", TOKEN)] {
        let found = asked(&installation, &address, user, password, None).unwrap();
        assert_eq!(found, expected(), "{user}");
    }
    let refused = asked(&installation, &address, "analyst", "a wrong one", None);
    let refused = refused.expect_err("a wrong password").to_string();
    assert!(
        refused.contains("password authentication failed for user `analyst`"),
        "{refused}"
    );
    daemon.stop().unwrap();
}

#[tokio::test]
async fn with_a_certificate_everything_is_encrypted() {
    if !has_driver() {
        return;
    }
    let (installation, port) = installation(
        "anonymous = false\ntls_cert = \"server.pem\"\ntls_key = { file = \"server.key\" }\n",
    );
    if !certificate(installation.folder()) {
        return;
    }
    let daemon = installation.start().await.unwrap();
    push_traffic(&installation, 1.0).await;
    let root = installation.folder().join("server.pem");
    let address = format!("grpc+tls://127.0.0.1:{port}");
    let found = asked(&installation, &address, "analyst", TOKEN, Some(&root)).unwrap();
    assert_eq!(found, expected());
    let anybody = asked(&installation, &address, "-", "", Some(&root));
    assert!(anybody.expect_err("nobody").to_string().contains("log in"));
    let plain = format!("grpc://127.0.0.1:{port}");
    assert!(asked(&installation, &plain, "analyst", TOKEN, None).is_err());
    daemon.stop().unwrap();
}

//! Commands on what is stored, with a daemon over the folder and without; backup and restore; two daemons on one folder.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::desk::{self, start, wait_for};
use crate::process::{answer, http, refusal};

/// Commits at once, and merges only on request.
fn installation() -> (tempfile::TempDir, String) {
    let lake = "[lake]\ncommit_age_max = \"100ms\"\ncompaction = false";
    desk::installation(&desk::config(lake, ""))
}

fn push(address: &str, number: u64) {
    desk::push(address, &format!(r#"{{"id": "{number}", "t": 1.5}}"#));
}

/// Data files below a folder.
fn data_files(folder: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths
        .map(|path| match path.extension() {
            _ if path.ends_with("_delta_log") => 0,
            Some(extension) if extension == "parquet" => 1,
            _ => data_files(&path),
        })
        .sum()
}

/// Files of the table of `heat` as the service has it.
fn live_files(portal: &str) -> usize {
    let (status, said) = http("GET", &format!("{portal}/api/v1/datasets/heat/files"), "");
    assert_eq!(status, 200, "{said}");
    let list: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    list["files"].as_array().expect("a list").len()
}

#[test]
fn a_second_daemon_names_the_first_and_changes_nothing() {
    let (_dir, file) = installation();
    let (daemon, portal, address) = start(&file);
    let said = refusal(&["run", "--config", &file], 2);
    let holder = format!("is in use by process {}: stop it", daemon.pid());
    assert!(said.contains(&holder), "{said}");
    push(&address, 1);
    let said = answer(&["sql", "--url", &portal, "SELECT count(*) AS n FROM heat"]);
    assert_eq!(said, "n\r\n1\r\n");
    // The first is still the one that takes commands.
    answer(&["vacuum", "--config", &file]);
    daemon.stop();
}

/// Both listen on the same ports, as they do wherever ports are written down.
#[test]
fn a_second_daemon_of_one_configuration_names_the_first_and_not_the_port() {
    let (dir, file) = installation();
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = free.local_addr().expect("its address").to_string();
    drop(free);
    let text = std::fs::read_to_string(&file).expect("the configuration");
    let text = text.replacen("127.0.0.1:0", &address, 1);
    assert!(text.contains(&address), "{text}");
    std::fs::write(&file, &text).expect("a file");
    let (daemon, portal, pushed) = start(&file);
    assert_eq!(portal, format!("http://{address}"));
    let said = refusal(&["run", "--config", &file], 2);
    let holder = format!("is in use by process {}: stop it", daemon.pid());
    assert!(said.contains(&holder), "{said}");
    assert!(!said.contains("cannot listen"), "{said}");
    // Another installation has a folder of its own: it is told of the port.
    let (_other_dir, other) = desk::installation(&text);
    let said = refusal(&["run", "--config", &other], 2);
    assert!(
        said.contains(&format!("cannot listen on {address} for [http]")),
        "{said}"
    );
    // A process that only reads does not want the folder.
    let said = refusal(&["serve", "--config", &file], 2);
    assert!(said.contains("cannot listen on"), "{said}");
    push(&pushed, 1);
    daemon.stop();
    drop(dir);
}

#[test]
fn a_second_journal_on_the_same_lake_is_refused_and_the_first_goes_on() {
    let (dir, file) = installation();
    let (daemon, portal, address) = start(&file);
    let lake = format!("url = \"{}\"", dir.path().join("data/lake").display());
    let second = desk::config(&format!("[lake]\n{lake}"), "");
    let (_second_dir, second) = desk::installation(&second);
    for command in [
        ["run", "--config", &second],
        ["vacuum", "--config", &second],
    ] {
        let said = refusal(&command, 2);
        assert!(
            said.contains("data/lake` is in use by another daemon"),
            "{said}"
        );
    }
    push(&address, 1);
    let said = answer(&["sql", "--url", &portal, "SELECT count(*) AS n FROM heat"]);
    assert_eq!(said, "n\r\n1\r\n");
    daemon.stop();
}

#[test]
fn files_are_merged_by_the_daemon_or_without_one() {
    let (dir, file) = installation();
    let socket = dir.path().join("data/journal/meetnet.sock");
    let heat = dir.path().join("data/lake/heat");
    let (daemon, portal, address) = start(&file);
    for number in 1..=3 {
        push(&address, number);
        // A file is on disk before its commit: it counts once the table has it.
        wait_for("a commit", || live_files(&portal) == number as usize);
    }
    let compact = ["compact", "--dataset", "heat", "--config", &file];
    let said = answer(&compact);
    assert!(
        said.starts_with("merged 3 files into 1 in 1 merge: 3 rows\n"),
        "{said}"
    );
    assert_eq!(
        answer(&compact),
        "nothing to merge: every partition is one run of files\n"
    );
    // What was replaced stays for readers.
    assert_eq!(
        answer(&["vacuum", "--config", &file]),
        "nothing to remove\n"
    );
    assert_eq!(data_files(&heat), 4);
    let said = refusal(&["compact", "--dataset", "odour", "--config", &file], 2);
    assert!(said.contains("dataset `odour` is not declared"), "{said}");
    let count = ["sql", "--url", &portal, "SELECT count(*) AS n FROM heat"];
    assert_eq!(answer(&count), "n\r\n3\r\n");

    // The daemon dies and leaves its socket: the next one replaces it.
    assert!(socket.exists());
    drop(daemon);
    assert!(socket.exists());
    let (daemon, _, address) = start(&file);
    push(&address, 4);
    wait_for("a commit", || data_files(&heat) == 5);
    daemon.stop();
    assert!(!socket.exists());

    let said = answer(&compact);
    assert!(
        said.starts_with("merged 2 files into 1 in 1 merge: 4 rows\n"),
        "{said}"
    );
    let said = answer(&["sql", "--config", &file, "SELECT count(*) AS n FROM heat"]);
    assert_eq!(said, "n\r\n4\r\n");
}

#[test]
fn a_backup_under_load_restores_every_acknowledged_message_once() {
    let (dir, file) = installation();
    let (daemon, _, address) = start(&file);
    let (acknowledged, stop) = (
        Arc::new(AtomicU64::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let pushing = std::thread::spawn({
        let (acknowledged, stop) = (Arc::clone(&acknowledged), Arc::clone(&stop));
        move || {
            for number in 1.. {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                push(&address, number);
                acknowledged.store(number, Ordering::SeqCst);
            }
        }
    });
    let wait_until = |number: u64| {
        wait_for("messages", || acknowledged.load(Ordering::SeqCst) >= number);
    };
    wait_until(200);
    let backup = dir.path().join("backup").display().to_string();
    let before = acknowledged.load(Ordering::SeqCst);
    let said = answer(&["backup", &backup, "--config", &file]);
    assert!(
        said.contains("everything acknowledged before it began is in it"),
        "{said}"
    );
    wait_until(acknowledged.load(Ordering::SeqCst) + 50);
    stop.store(true, Ordering::SeqCst);
    pushing.join().expect("every push is taken");
    // The installation is lost.
    drop(daemon);
    drop(std::fs::remove_dir_all(dir.path().join("data")));

    let (_new, new_file) = installation();
    let said = answer(&["restore", &backup, "--config", &new_file]);
    assert!(said.contains("start the daemon with"), "{said}");
    let said = refusal(&["restore", &backup, "--config", &new_file], 2);
    assert!(said.contains("is not empty"), "{said}");
    let (daemon, portal, address) = start(&new_file);
    let ask = |query: &str| answer(&["sql", "--url", &portal, query]);
    let doubled = "SELECT sensor_id FROM heat GROUP BY sensor_id HAVING count(*) <> 1";
    assert_eq!(ask(doubled), "sensor_id\r\n");
    let count = format!(
        "SELECT count(*) AS n FROM heat WHERE CAST(substr(sensor_id, 6) AS INT) <= {before}"
    );
    assert_eq!(ask(&count), format!("n\r\n{before}\r\n"));
    // It goes on where it was.
    push(&address, 1_000_000);
    assert_eq!(
        ask("SELECT sensor_id FROM heat WHERE sensor_id = 'desk-1000000'"),
        "sensor_id\r\ndesk-1000000\r\n"
    );
    let said = refusal(&["backup", &backup, "--config", &new_file], 2);
    assert!(said.contains("name a new folder for the backup"), "{said}");
    daemon.stop();
}

#[test]
fn a_folder_that_is_no_backup_is_not_restored() {
    let (dir, file) = installation();
    let nowhere = dir.path().join("nowhere").display().to_string();
    let said = refusal(&["restore", &nowhere, "--config", &file], 2);
    assert!(said.contains("nowhere is no backup"), "{said}");
    assert!(!dir.path().join("data").exists(), "nothing was made");
}

//! A disk with less space than is asked for.

use crate::desk::{config, installation, push, start, wait_for};
use crate::process::http;

#[test]
fn little_space_left_is_an_alarm_and_no_fault() {
    // No disk has so much.
    let sections = "[limits]\nfree_bytes_min = \"8000000TiB\"\n[admin]\nlisten = \"127.0.0.1:0\"";
    let (_dir, file) = installation(&config(sections, ""));
    let (mut daemon, portal, address) = start(&file);
    let admin = daemon.listener(" admin=");
    daemon.wait_for("little space is left on a disk");
    wait_for("/readyz says so", || {
        let (status, said) = http("GET", &format!("{portal}/readyz"), "");
        status == 200 && said.contains(r#""disks_low":["journal","lake"]"#)
    });
    let (_, metrics) = http("GET", &format!("{admin}/metrics"), "");
    for folder in ["journal", "lake"] {
        let is_low = format!("meetnet_disk_low{{folder=\"{folder}\"}} 1\n");
        assert!(metrics.contains(&is_low), "{metrics}");
        let free = format!("meetnet_disk_free_bytes{{folder=\"{folder}\"}} ");
        assert!(metrics.contains(&free), "{metrics}");
    }
    let (_, page) = http("GET", &format!("{admin}/"), "");
    assert!(page.contains("little space left"), "{page}");
    push(&address, r#"{"id": "1", "t": 1.5}"#);
    daemon.stop();
}

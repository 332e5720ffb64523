//! Memory of a daemon that has had something to do and has nothing more.

use crate::desk::{config, installation, push, start};

#[test]
fn a_daemon_that_has_little_to_do_gives_memory_back_and_goes_on() {
    let sections = "[log]\nfilter = \"info,meetnet::allocator=debug\"";
    let (_dir, file) = installation(&config(sections, ""));
    let (mut daemon, _, address) = start(&file);
    push(&address, r#"{"id": "1", "t": 1.5}"#);
    daemon.wait_for("gave memory back");
    push(&address, r#"{"id": "2", "t": 2.5}"#);
    daemon.stop();
}

//! A start on a full disk: what is there is answered and gets into files, and nothing more is taken until there is room.

use meetnet_testkit::files::Crash;

use super::*;

#[test]
fn a_start_on_a_full_disk_answers_and_commits_and_takes_messages_once_there_is_room() {
    let disk = FaultyFiles::new();
    let start_on = |disk: &FaultyFiles| {
        let on_disk = |options: &mut JournalOptions| {
            options.files = Arc::new(disk.clone());
            options.reserve_bytes = 1 << 20;
        };
        start_as(Path::new("/city"), &declarations(), on_disk, |_| {})
    };
    let ts = now_ms();
    let at = |second: i64| format!("{{\"ts\":{},\"t\":21.5}}", ts + 1_000 * second);
    let before = start_on(&disk);
    let first = before.append("timed", &at(0));
    before.wait(first);
    before.pipeline.commands().commit_all().unwrap();
    let second = before.append("timed", &at(1));
    before.wait(second);

    // Killed, and something else has filled the disk meanwhile.
    let disk = disk.copy_after(Crash::Kill);
    disk.set_bytes_max(Some(disk.bytes_used()));
    let daemon = start_on(&disk);
    let snapshot = daemon.wait(second);
    let (hot, stored) = rows(&snapshot, "heat");
    assert_eq!(hot + stored, 2);
    let payload = vec![b' '; 1 << 16];
    let envelope = NewEnvelope {
        payload: &payload,
        ..NewEnvelope::default()
    };
    let refused = || daemon.journal.append(&envelope) == Err(AppendError::DiskFull);
    let deadline = Instant::now() + Duration::from_secs(30);
    let wait_for = |what: &str, done: &dyn Fn() -> bool| {
        while !done() {
            assert!(Instant::now() < deadline, "{what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    // Where a spare segment was there, the start has made room of it, and messages are taken until that is used up.
    disk.set_bytes_max(Some(disk.bytes_used()));
    wait_for("messages are refused", &refused);
    let commands = daemon.pipeline.commands();
    wait_for("rows get into files", &|| commands.commit_all().is_ok());
    let snapshot = daemon.pipeline.shared().load_full();
    assert_eq!(rows(&snapshot, "heat"), (0, 2));
    disk.set_bytes_max(None);
    wait_for("messages are taken again", &|| !refused());
    let last = daemon.append("timed", &at(2));
    let (hot, stored) = rows(&daemon.wait(last), "heat");
    assert_eq!(hot + stored, 3);
    daemon.pipeline.shutdown().unwrap();
    before.pipeline.shutdown().unwrap();
}

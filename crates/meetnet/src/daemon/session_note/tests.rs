//! What a restart finds noted.

use meetnet_ingest::mqtt::MqttOptions;
use meetnet_model::ids::SourceId;

use super::super::sessions::session;
use super::*;

const JOURNAL: &str = "0199f1c2-aaaa-7bbb-8ccc-0123456789ab";

fn sessions(of: &[(&str, &str)]) -> Vec<Session> {
    let sessions = of.iter().map(|(source, client_id)| {
        let url = "mqtt://broker.example".parse().expect("a URL");
        let options = MqttOptions::new(url, *client_id, vec!["#".to_owned()]);
        session(&SourceId::new(source), &options)
    });
    sessions.collect()
}

#[test]
fn what_was_noted_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let open = |journal: &str, last: u64| SessionNote::open(dir.path(), journal, Sequence(last));
    let (lora, radio) = (sessions(&[("lora", "c")]), sessions(&[("radio", "c")]));
    let note = open(JOURNAL, 0);
    let first = note.take_up(&lora, Sequence(0));
    let renamed = note.take_up(&radio, Sequence(7));
    assert_ne!(first, renamed);
    // The same sessions as before say nothing new, whatever has been journalled since.
    assert_eq!(note.take_up(&radio, Sequence(9)), renamed);
    assert_eq!(open(JOURNAL, 9).take_up(&radio, Sequence(9)), renamed);
    let content = std::fs::read(dir.path().join(FILE)).unwrap();
    open(JOURNAL, 9).take_up(&radio, Sequence(9));
    assert_eq!(std::fs::read(dir.path().join(FILE)).unwrap(), content);
    // A crash has taken frames back, and their positions are given out again: that is noted, too.
    let taken_back = open(JOURNAL, 3).take_up(&radio, Sequence(3));
    assert_ne!(taken_back, renamed);
    assert_eq!(open(JOURNAL, 9).take_up(&radio, Sequence(9)), taken_back);
    // Another journal has other positions.
    let other = open("another", 9).take_up(&radio, Sequence(9));
    assert_ne!(other, taken_back);
}

#[test]
fn a_note_that_cannot_be_read_or_written_is_no_reason_to_stop() {
    let dir = tempfile::tempdir().unwrap();
    let lora = sessions(&[("lora", "c")]);
    std::fs::write(dir.path().join(FILE), "{").unwrap();
    let note = SessionNote::open(dir.path(), JOURNAL, Sequence(5));
    let noted = note.take_up(&lora, Sequence(5));
    let again = SessionNote::open(dir.path(), JOURNAL, Sequence(5));
    assert_eq!(again.take_up(&lora, Sequence(5)), noted);
    let nowhere = SessionNote::open(&dir.path().join("absent"), JOURNAL, Sequence(5));
    assert_eq!(nowhere.take_up(&lora, Sequence(5)), noted);
}

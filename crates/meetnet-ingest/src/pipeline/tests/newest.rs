//! How far each source has come.

use std::collections::BTreeMap;

use super::*;

const HOUR_MS: i64 = 3_600_000;

#[test]
fn the_newest_observation_of_each_source_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = start(folder.path());
    let newest = |daemon: &Daemon| -> BTreeMap<String, i64> {
        let newest = daemon.pipeline.newest().read().into_iter();
        newest
            .map(|(source, at)| (source.to_string(), at))
            .collect()
    };
    let timed = |at: i64| daemon.append("timed", &format!("{{\"ts\":{at},\"t\":21.5,\"h\":40}}"));
    assert!(newest(&daemon).is_empty());
    let now = now_ms();
    // A reject is no observation.
    let refused = daemon.append("timed", "{\"t\":");
    daemon.wait(refused);
    assert!(newest(&daemon).is_empty());
    let early = timed(now - 2 * HOUR_MS);
    daemon.wait(early);
    // One that comes late does not set it back.
    let late = timed(now - 3 * HOUR_MS);
    daemon.wait(late);
    let expected = BTreeMap::from([("timed".to_owned(), (now - 2 * HOUR_MS) * 1_000)]);
    assert_eq!(newest(&daemon), expected);
    // A message without a time is as new as its reception.
    let timeless = daemon.append("timeless", "{\"t\":3}");
    daemon.wait(timeless);
    let received = newest(&daemon)["timeless"];
    let bounds = now * 1_000..=(now_ms() + 1) * 1_000;
    assert!(bounds.contains(&received), "{received}, not in {bounds:?}");
    // A clock that is ahead is no later than now.
    let ahead = timed(now + HOUR_MS / 2);
    daemon.wait(ahead);
    let received = newest(&daemon)["timed"];
    let bounds = now * 1_000..=(now_ms() + 1) * 1_000;
    assert!(bounds.contains(&received), "{received}, not in {bounds:?}");
}

#[test]
fn an_observation_of_an_interval_is_as_new_as_its_end() {
    let declarations = declarations();
    let heat = declarations.dataset("heat").cloned().unwrap();
    let column = |name: &str| heat.column_index(name).unwrap();
    let mut builder = RowsBuilder::new(Arc::clone(&heat));
    // Microseconds, seconds, envelope: the third row is the newest by its begin, and ends before the one of an hour. The last one
    // comes late.
    for (time, interval_s, envelope) in [
        (1_000_000, None, 0),
        (2_000_000, Some(3_600), 1),
        (9_000_000, Some(5), 2),
        (7_000_000, Some(100), 2),
        (3_000_000, None, 3),
    ] {
        builder.set_text(column("sensor_id"), "s");
        builder.set_text(column("property"), "air_temperature");
        builder.set_int(column("time"), time);
        builder.set_float(column("value"), 1.0);
        if let Some(interval_s) = interval_s {
            builder.set_int(column("interval_s"), interval_s);
        }
        assert!(builder.finish_row(envelope).is_ok());
    }
    let lineage = |source: &str| meetnet_lake::Lineage {
        sequence: Sequence(1),
        received_at: 10_000_000_000,
        recorded_at: 10_000_000_000,
        source: SourceId::new(source),
        licence: LicenceId::new("CC0-1.0"),
        precedence: 0,
        confirms: false,
    };
    let newest = NewestTimes::default();
    let lineages = ["a", "b", "a", "a"].map(lineage);
    newest.note(&builder.take(), &lineages);
    assert_eq!(
        newest.read(),
        BTreeMap::from([
            (SourceId::new("a"), 14_000_000),
            (SourceId::new("b"), 3_602_000_000),
        ])
    );
}

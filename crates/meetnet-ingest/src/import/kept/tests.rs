//! Which parts of a document are kept, by which name, and how much of it.

use std::io::Cursor;
use std::sync::Arc;

use meetnet_model::declarations::Declarations;
use meetnet_model::redact::redact;
use meetnet_model::source::{
    MapEntry, SourceKind, TimeDeclaration, TimeFormat, ValueRef, WireFormat,
};

use super::*;

/// A source of temperatures whose messages have `id`, `ts` and `t`.
fn declarations(format: WireFormat) -> Arc<Declarations> {
    let temperature = MapEntry::property("heat", "air_temperature").in_unit("Cel");
    let is_table = format == WireFormat::Csv;
    let mut time = TimeDeclaration::at_pointer("/ts", TimeFormat::Unix);
    if is_table {
        (time.pointer, time.field) = (None, Some("ts".to_owned()));
    }
    let station = SourceDeclaration::new("desk", SourceKind::Http, format, "CC0-1.0");
    if matches!(format, WireFormat::Ecowitt | WireFormat::Wunderground) {
        return Arc::new(meetnet_model::schemas::builtin().into_declarations([station]));
    }
    let source = SourceDeclaration {
        sensor_id: Some(if is_table {
            ValueRef::Field {
                field: "id".to_owned(),
            }
        } else {
            ValueRef::Pointer {
                pointer: "/id".to_owned(),
            }
        }),
        time: Some(time),
        map: vec![if is_table {
            temperature.in_field("t")
        } else {
            temperature.at_pointer("/t")
        }],
        ..station
    };
    Arc::new(meetnet_model::schemas::builtin().into_declarations([source]))
}

/// What an import of one document keeps, and what it counts.
fn kept(format: WireFormat, text: impl AsRef<[u8]>, keep: Keep) -> (Vec<Kept>, KeptTally) {
    let declarations = declarations(format);
    let key = PrivacyKey::new("a key for tests");
    let decoders = crate::import::decoders_of_any_age(&declarations, &key).unwrap();
    let source = declarations.sources.values().next().unwrap();
    let now = 1_700_000_000_000_000;
    let mut keeper = Keeper::new(keep, &decoders, source, &key, false, now);
    let mut bytes = Cursor::new(text.as_ref());
    let mut pieces = Pieces::new(source, "a file", &mut bytes);
    let topics = Topics {
        decoded: "a file",
        kept: "a file",
        tell: false,
    };
    let mut found = Vec::new();
    while pieces.next().unwrap().is_some() {
        let payload = pieces.piece().to_vec();
        let rejects = reject_count(&keeper.decode(&payload, topics));
        if rejects > 0 {
            let before: usize = found.iter().map(|kept: &Kept| kept.payload.len()).sum();
            let bytes = keeper.take(&pieces, topics, rejects, &mut found);
            let after: usize = found.iter().map(|kept| kept.payload.len()).sum();
            assert_eq!(after - before, bytes);
        }
    }
    (found, keeper.tally)
}

fn texts(kept: &[Kept]) -> Vec<&str> {
    kept.iter()
        .map(|kept| std::str::from_utf8(&kept.payload).unwrap())
        .collect()
}

#[test]
fn a_part_that_is_refused_is_kept_by_itself() {
    let check = |format: WireFormat, text: &str, expect: &[&str]| {
        let (found, tally) = kept(format, text, Keep::default());
        assert_eq!(texts(&found), expect, "{text:?}");
        assert_eq!(tally, KeptTally::default());
    };
    let ts = 1_600_000_000;
    // Rows of a table come under its header, also those that go over several lines.
    check(
        WireFormat::Csv,
        &format!("id,ts,t,note\n1,{ts},20,\n1,never,21,\n1,{ts},x,\"two\nlines\"\n2,{ts},22,\n"),
        &[
            "id,ts,t,note\n1,never,21,\n",
            &format!("id,ts,t,note\n1,{ts},x,\"two\nlines\"\n"),
        ],
    );
    // A quote that is never closed is in its own line only.
    check(
        WireFormat::Csv,
        &format!("id,ts,t,note\n1,{ts},20,\n1,{ts},21,\"5 inch\n2,{ts},22,\n"),
        &[&format!("id,ts,t,note\n1,{ts},21,\"5 inch\n")],
    );
    // A header that is wrong says one thing about all rows.
    let table = format!("id,time,t\n1,{ts},20\n1,{ts},21\n");
    check(WireFormat::Csv, &table, &[&table]);
    check(
        WireFormat::Ndjson,
        &format!("{{\"id\":1,\"ts\":{ts},\"t\":20}}\n\nrubbish\n{{\"id\":1,\"ts\":{ts}}}"),
        &["rubbish\n", &format!("{{\"id\":1,\"ts\":{ts}}}")],
    );
    // A document per line: each is a piece.
    check(
        WireFormat::Json,
        &format!("{{\"id\":1,\"ts\":{ts},\"t\":20}}\nrubbish\n"),
        &["rubbish\n"],
    );
    check(
        WireFormat::Json,
        &format!("[\n{{\"id\":1,\"ts\":{ts},\"t\":20}},\n{{\"id\":2, \"ts\":{ts}}}\n]"),
        &[&format!("[{{\"id\":2, \"ts\":{ts}}}]")],
    );
    // What is cut off is no list.
    check(WireFormat::Json, "[\n{\"id\":1},", &["[\n{\"id\":1},"]);
}

#[test]
fn so_much_is_kept_and_no_more_and_nothing_twice() {
    let ts = 1_600_000_000;
    let row = |at: i64| format!("{at},{ts},x\n");
    let rows: String = (0..10).map(row).collect();
    // The same row twice is one message.
    let text = format!("id,ts,t\n{rows}{}", row(9));
    let (all, tally) = kept(WireFormat::Csv, &text, Keep::default());
    assert_eq!(all.len(), 10);
    assert_eq!((tally.known, tally.left_out), (1, 0));
    let ids: HashSet<String> = all.iter().map(|kept| kept.id.clone()).collect();
    assert_eq!(ids.len(), 10);
    // Nobody who searches for personal data takes it for some.
    assert!(ids.iter().all(|id| redact(id.as_bytes()) == *id), "{ids:?}");
    let few = Keep {
        frames_max: 4,
        ..Keep::default()
    };
    let (first, tally) = kept(WireFormat::Csv, &text, few.clone());
    assert_eq!(first.len(), 4);
    assert_eq!((tally.known, tally.left_out), (0, 7));
    // The next import goes on behind what is there.
    let known = first.iter().map(|kept| kept.id.clone()).collect();
    let (next, _) = kept(WireFormat::Csv, &text, Keep { known, ..few });
    assert_eq!(texts(&next), texts(&all[4..8]));
    let small = Keep {
        bytes_max: 3 * all[0].payload.len() as u64 + 1,
        ..Keep::default()
    };
    let (by_bytes, tally) = kept(WireFormat::Csv, &text, small);
    assert_eq!((by_bytes.len(), tally.left_out), (3, 8));
    let nothing = Keep {
        frames_max: 0,
        ..Keep::default()
    };
    let (none, tally) = kept(WireFormat::Csv, &text, nothing);
    assert_eq!((none.len(), tally.left_out), (0, 11));
}

#[test]
fn no_secret_is_kept() {
    let good = "PASSKEY=0A1B&dateutc=2023-11-01+10:00:00&tempf=68.0";
    // The clock was never set; more of them than are listed.
    let bad: Vec<String> = (0..1_100)
        .map(|at| format!("PASSKEY=0A1B&dateutc=2000-01-01+00:00:00&tempf={at}"))
        .collect();
    let text = format!("{good}\n{}\n", bad.join("\n"));
    let (found, tally) = kept(WireFormat::Ecowitt, &text, Keep::default());
    assert_eq!((found.len(), tally.left_out), (1_100, 0));
    let key = PrivacyKey::new("a key for tests");
    let station = key.hardware_id("passkey", "0A1B");
    assert_eq!(found[7].station, Some(station));
    assert_eq!(texts(&found)[7], "dateutc=2000-01-01+00:00:00&tempf=7");
    // A password goes, a name stays.
    let (found, tally) = kept(
        WireFormat::Wunderground,
        "ID=a&PASSWORD=b&dateutc=2000-01-01+00:00:00&tempf=1\n",
        Keep::default(),
    );
    assert_eq!((found.len(), tally.left_out), (1, 0));
    assert_eq!(texts(&found), ["ID=a&dateutc=2000-01-01+00:00:00&tempf=1"]);
}

#[test]
fn what_leans_on_other_parts_is_kept_whole() {
    let ts = 1_600_000_000;
    // More rejects than are listed.
    let rows: String = (0..1_100).map(|at| format!("{at},{ts},x\n")).collect();
    let text = format!("id,ts,t\n{rows}");
    let (found, _) = kept(WireFormat::Csv, &text, Keep::default());
    assert_eq!(texts(&found), [text]);
    // A line that is not UTF-8 leans on none.
    let mut lines = format!("{{\"id\":1,\"ts\":{ts},\"t\":20}}\n").into_bytes();
    lines.extend(b"\xff\n");
    let (found, _) = kept(WireFormat::Ndjson, &lines, Keep::default());
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].payload, b"\xff\n");
}

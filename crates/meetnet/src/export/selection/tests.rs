use super::{Area, Selection, columns_of, properties_of};
use crate::export::windows::{Step, Subject, Window};

fn dataset(name: &str, columns: &[(&str, &str)]) -> Selection {
    let columns = columns.iter();
    let columns = columns.map(|(name, data_type)| ((*name).to_owned(), (*data_type).to_owned()));
    Selection::of(name, columns.collect())
}

fn air() -> Selection {
    dataset(
        "air",
        &[
            ("sensor_id", "text"),
            ("property", "text"),
            ("time", "timestamp"),
            ("interval_s", "int64"),
            ("value", "float64"),
        ],
    )
}

fn traffic() -> Selection {
    dataset(
        "traffic",
        &[
            ("segment_id", "int64"),
            ("time", "timestamp"),
            ("car", "float64"),
        ],
    )
}

fn stations() -> Selection {
    let columns = [
        ("id", "text"),
        ("valid_from", "timestamp"),
        ("lon", "float64"),
        ("lat", "float64"),
    ];
    dataset("stations", &columns)
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn selections_become_statements() {
    let all = Window::default();
    assert_eq!(
        air().rows(&all),
        "SELECT * FROM \"air\" ORDER BY sensor_id, property, interval_s, time"
    );
    assert_eq!(traffic().nothing(), "SELECT 1 FROM \"traffic\" LIMIT 0");
    let area: Area = "4.6,50.8,4.8,51".parse().expect("an area");
    let selection = Selection {
        properties: texts(&["pm10", "it's"]),
        subjects: texts(&["a", "' OR 1=1 --"]),
        from: Some(0),
        area: Some(area),
        ..air()
    };
    let window = Window {
        from: Some(86_400_000_000),
        to: Some(2 * 86_400_000_000),
        rows: 1,
        ..Window::default()
    };
    assert_eq!(
        selection.counts(&window, Step::Hour),
        "SELECT date_trunc('hour', time) AS step, count(*) AS n FROM \"air\" WHERE time >= '1970-01-02T00:00:00Z' \
         AND time < '1970-01-03T00:00:00Z' AND property IN ('pm10', 'it''s') AND sensor_id IN ('a', ''' OR 1=1 --') \
         AND sensor_id IN (SELECT id FROM stations WHERE lon BETWEEN 4.6 AND 4.8 AND lat BETWEEN 50.8 AND 51) \
         GROUP BY 1 ORDER BY 1"
    );
    // The narrower of what is asked for and the window holds.
    let selection = Selection {
        to: Some(86_400_000_000),
        subjects: texts(&["7"]),
        ..traffic()
    };
    let window = Window {
        to: Some(2 * 86_400_000_000),
        ..Window::default()
    };
    assert_eq!(
        selection.rows(&window),
        "SELECT * FROM \"traffic\" WHERE time < '1970-01-02T00:00:00Z' AND segment_id IN (7) ORDER BY segment_id, time"
    );
    let selection = Selection {
        area: Some("170,-10,-170,10".parse().expect("an area")),
        ..stations()
    };
    assert_eq!(
        selection.rows(&all),
        "SELECT * FROM \"stations\" WHERE ((lon >= 170 OR lon <= -170) AND lat BETWEEN -10 AND 10) ORDER BY id, valid_from"
    );
    assert!(columns_of("x'y").contains("table_name = 'x''y'"));
    assert_eq!(
        properties_of("x\"y"),
        "SELECT DISTINCT property FROM \"x\"\"y\" ORDER BY 1"
    );
    // Windows of some subjects.
    assert_eq!(
        air().subject_counts().as_deref(),
        Some("SELECT sensor_id, count(*) AS n FROM \"air\" GROUP BY 1 ORDER BY 1")
    );
    assert_eq!(dataset("notes", &[("text", "text")]).subject_counts(), None);
    let window = Window {
        first: Some(Subject::Text("it's".to_owned())),
        behind: Some(Subject::Text("its".to_owned())),
        from: Some(0),
        ..Window::default()
    };
    assert_eq!(
        air().rows(&window),
        "SELECT * FROM \"air\" WHERE time >= '1970-01-01T00:00:00Z' AND sensor_id >= 'it''s' AND sensor_id < 'its' \
         ORDER BY sensor_id, property, interval_s, time"
    );
    let window = Window {
        behind: Some(Subject::Number(-7)),
        ..Window::default()
    };
    assert_eq!(
        traffic().rows(&window),
        "SELECT * FROM \"traffic\" WHERE segment_id < -7 ORDER BY segment_id, time"
    );
}

/// In any other order the rows of a window are sorted in memory instead of read as the files have them.
#[test]
fn rows_come_in_the_order_of_the_key_as_it_is_declared() {
    let all = Window::default();
    let check = |selection: Selection, key: &[&str], expect: &str| {
        let selection = Selection {
            key: texts(key),
            ..selection
        };
        let statement = selection.rows(&all);
        let (_, order) = statement.split_once(" ORDER BY ").expect("an order");
        assert_eq!(order, expect);
    };
    check(
        traffic(),
        &["segment_id", "interval_s", "time"],
        r#""segment_id", "interval_s", "time""#,
    );
    // A column that is not of the key is not behind it.
    check(
        air(),
        &["sensor_id", "property", "time"],
        r#""sensor_id", "property", "time""#,
    );
    check(air(), &["time", "a\"b"], r#""time", "a""b""#);
}

#[test]
fn rows_on_a_map_are_where_their_subject_was() {
    for (of, expect) in [
        (air(), Some("stations")),
        (traffic(), Some("segments")),
        (stations(), None),
        (dataset("notes", &[("text", "text")]), None),
    ] {
        assert_eq!(of.told_by(), expect, "{}", of.dataset);
    }
    let selection = Selection {
        places: traffic().told_by(),
        subjects: texts(&["7"]),
        ..traffic()
    };
    let rows = selection.rows(&Window::default());
    let begin = "SELECT held.\"segment_id\", held.\"time\", held.\"car\", place.lon, place.lat FROM (SELECT * FROM \"traffic\" \
                 WHERE segment_id IN (7)) AS held LEFT JOIN (SELECT id, lon, lat, ";
    assert!(rows.starts_with(begin), "{rows}");
    let end = " FROM segments) AS place ON place.id = held.segment_id \
               AND (place.earlier IS NULL OR place.valid_from <= held.time) \
               AND (place.valid_to IS NULL OR place.valid_to > held.time) \
               AND (place.later IS NULL OR place.later > held.time) ORDER BY held.segment_id, held.time";
    assert!(rows.ends_with(end), "{rows}");
    // Rights and the settled time are those of the places, too.
    assert_eq!(
        selection.nothing(),
        format!("SELECT 1 FROM ({rows}) AS selected LIMIT 0")
    );
    // Rows are counted without them.
    let counts = selection.counts(&Window::default(), Step::Day);
    assert!(!counts.contains("place"), "{counts}");
}

#[test]
fn what_a_dataset_does_not_have_is_said() {
    let check = |selection: Selection, expect: Option<&str>| match (selection.check(), expect) {
        (Ok(()), None) => {}
        (Err(said), Some(part)) => assert!(said.contains(part), "{said}"),
        (found, expect) => panic!("{found:?}, not {expect:?}"),
    };
    let bare = dataset("notes", &[("text", "text")]);
    check(bare.clone(), None);
    check(
        Selection {
            from: Some(0),
            ..bare.clone()
        },
        Some("no times"),
    );
    check(
        Selection {
            subjects: texts(&["a"]),
            ..bare.clone()
        },
        Some("no sensors or segments and has no --sensor"),
    );
    let area: Option<Area> = "4.6,50.8,4.8,51".parse().ok();
    check(
        Selection { area, ..bare },
        Some("no sensors or segments and has no --bbox"),
    );
    let cells = dataset(
        "neighbourhoods",
        &[("h3_r9", "bigint"), ("time", "timestamp")],
    );
    check(
        Selection { area, ..cells },
        Some("--bbox; it tells of the H3 cells in `h3_r9`, and `meetnet sql` takes"),
    );
    check(
        Selection {
            properties: texts(&["car"]),
            ..traffic()
        },
        Some("a column for each property"),
    );
    check(
        Selection {
            properties: texts(&["pm10"]),
            ..air()
        },
        None,
    );
    check(
        Selection {
            subjects: texts(&["7", "x"]),
            ..traffic()
        },
        Some("`x` is none"),
    );
    check(
        Selection {
            subjects: texts(&["7"]),
            ..traffic()
        },
        None,
    );
}

#[test]
fn areas_are_read() {
    for (text, is_one) in [
        ("4.6,50.8,4.8,51.0", true),
        (" -1 , -2 , 3 , 4 ", true),
        ("170,0,-170,1", true),
        ("4.6,51,4.8,50", false),
        ("4.6,50.8,4.8", false),
        ("4.6,50.8,4.8,51,0", false),
        ("4.6,50.8,4.8,x", false),
        ("4.6,50.8,4.8,NaN", false),
        ("4.6,50.8,4.8,91", false),
        ("-181,50.8,4.8,51", false),
    ] {
        assert_eq!(text.parse::<Area>().is_ok(), is_one, "{text}");
    }
    let exchanged = "4.6,51,4.8,50.8".parse::<Area>();
    let said = exchanged.expect_err("no area");
    assert!(
        said.starts_with("the south 51 lies above the north 50.8; write west,"),
        "{said}"
    );
}

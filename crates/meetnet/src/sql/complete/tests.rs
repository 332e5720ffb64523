use super::Names;

fn names() -> Names {
    let table = |name: &str, columns: &[&str]| {
        let columns = columns.iter().map(|column| (*column).to_owned());
        (name.to_owned(), columns.collect::<Vec<_>>())
    };
    Names {
        tables: [
            table("air", &["sensor_id", "property", "value"]),
            table("stations", &["id", "lon", "lat"]),
            table("traffic", &["segment_id", "time", "car"]),
        ]
        .into(),
        functions: vec!["time_bucket".to_owned(), "coverage".to_owned()],
    }
}

#[test]
fn words_become_what_can_stand_there() {
    // The cursor stands at `|`; what comes before the line stands before `¶`.
    let check = |text: &str, expect: &[&str]| {
        let (pending, line) = text.split_once('¶').unwrap_or(("", text));
        let cursor = line.find('|').expect("a cursor");
        let line = line.replacen('|', "", 1);
        let found = names().complete(pending, &line, cursor);
        assert_eq!(found.candidates, expect, "{text}");
    };
    check("SELECT * FROM |", &["air", "stations", "traffic"]);
    check("SELECT * FROM tr|", &["traffic"]);
    check("select * from TR|", &["traffic"]);
    check("SELECT * FROM air JOIN s|", &["stations"]);
    check("SELECT * \n¶FROM t|", &["traffic"]);
    // Columns are those of the tables of the statement.
    check("SELECT ca| FROM traffic", &["CASE", "CAST", "car"]);
    check("SELECT se| FROM traffic", &["SELECT", "segment_id"]);
    check("SELECT se|", &["SELECT", "segment_id", "sensor_id"]);
    check("SELECT prop| FROM traffic", &[]);
    check(
        "SELECT t| FROM air",
        &["THEN", "TIMESTAMP", "TRUE", "time_bucket", "traffic"],
    );
    check(
        "SELECT traffic.| FROM traffic",
        &["car", "segment_id", "time"],
    );
    check("SELECT t.s| FROM traffic AS t", &["segment_id"]);
    check(
        "SELECT s.l|, a.value FROM air a JOIN stations s",
        &["lat", "lon"],
    );
    check("SELECT x.| FROM air", &[]);
    check("SELECT cou| FROM air", &["count"]);
    check("SELECT cov|", &["coverage"]);
    check("SELECT |", &[]);
    // A quoted name is a table or a column, and ends with its quote.
    check("SELECT * FROM \"ai|", &["air\""]);
    check("SELECT * FROM \"|", &["air\"", "stations\"", "traffic\""]);
    check("SELECT * FROM \"tr|\"", &["traffic"]);
    check("SELECT \"s| FROM traffic", &["segment_id\"", "stations\""]);
    check("SELECT \"ca|\" FROM \"traffic\"", &["car"]);
    check("SELECT 'a\"b', \"c\"\"d\", \"pro|", &["property\""]);
    check("SELECT \"c\"\"pro|", &[]);
    check("SELECT air.\"v| FROM air", &["value\""]);
    check("SELECT \"t\".\"c| FROM \"traffic\" AS \"t\"", &["car\""]);
    check("SELECT \"a\n¶tr|", &[]);
    // Nothing in texts and comments.
    check("SELECT '\"tr|", &[]);
    check("SELECT 'FROM |", &[]);
    check("SELECT 1 -- FROM t|", &[]);
    check("SELECT 'a\n¶FROM t|", &[]);
    check(
        "\\|",
        &[
            "\\?", "\\as-of", "\\d", "\\df", "\\dt", "\\e", "\\echo", "\\format", "\\i", "\\o",
            "\\pager", "\\param", "\\q", "\\r", "\\timing", "\\x",
        ],
    );
    check("\\ti|", &["\\timing"]);
    check("\\x o|", &["off", "on"]);
    check("\\pager o|", &["off", "on"]);
    check("\\d |", &["air", "stations", "traffic"]);
    check("\\d a|", &["air"]);
    check("\\d+ a|", &["air"]);
    check("\\df c|", &["coverage"]);
    check("\\format n|", &["ndjson"]);
    check("\\q |", &[]);
}

#[test]
fn the_word_begins_where_it_is_replaced() {
    let start = |line: &str| names().complete("", line, line.len()).start;
    assert_eq!(start("SELECT * FROM tr"), 14);
    assert_eq!(start("SELECT t.s"), 9);
    assert_eq!(start("SELECT \"é\", \"se"), 14);
    assert_eq!(start("SELECT 'é', se"), 13);
    assert_eq!(start("\\d ai"), 3);
}

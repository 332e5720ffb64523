use expect_test::{Expect, expect};
use proptest::prelude::*;

use crate::testing::{decode, decoders, envelope, render, try_decoders};

const ARCHIVE: &str = r#"
    format = 'csv'
    csv = { delimiter = ';' }
    sensor_id = { field = 'sensor_id' }
    time = { field = 'timestamp', format = 'rfc3339', zone = 'UTC' }
    sentinels = [-999]
    map = [
      { dataset = 'air', property = 'pm10', field = 'P1', unit = 'ug/m3' },
      { dataset = 'air', property = 'pm2_5', field = 'P2', unit = 'ug/m3' },
    ]"#;

const HEADER: &str = "sensor_id;sensor_type;lat;timestamp;P1;durP1;P2\n";

/// Decodes rows below the header of the archive.
fn check(rows: &str, expect: Expect) {
    expect.assert_eq(&decode(ARCHIVE, "", &format!("{HEADER}{rows}")));
}

fn check_source(source: &str, body: &str, expect: Expect) {
    expect.assert_eq(&decode(source, "", body));
}

#[test]
fn the_header_names_the_columns() {
    check(
        "1;SDS011;50.1;2026-06-01T11:59:59;12.3;;4\n2;SDS011;50.1;2026-06-01T11:59:58;1;;0.5",
        expect![[r#"
            air sensor_id=ns-1 property=pm10 time=2026-06-01T11:59:59Z value=12.3
            air sensor_id=ns-1 property=pm2_5 time=2026-06-01T11:59:59Z value=4
            air sensor_id=ns-2 property=pm10 time=2026-06-01T11:59:58Z value=1
            air sensor_id=ns-2 property=pm2_5 time=2026-06-01T11:59:58Z value=0.5
        "#]],
    );
    // The order of columns and rows, the ends of lines and a byte order mark make no difference.
    expect![[r#"
        air sensor_id=ns-1 property=pm10 time=2026-06-01T11:59:59Z value=12.3
        air sensor_id=ns-2 property=pm10 time=2026-06-01T11:00:00Z value=7
    "#]]
    .assert_eq(&decode(
        ARCHIVE,
        "",
        "\u{feff}P1; timestamp ;sensor_id\r\n\r\n12.3;2026-06-01T11:59:59;1\r\n\r\n7;2026-06-01T11:00:00;2\r\n",
    ));
}

#[test]
fn what_is_missing_makes_no_row_and_no_zero() {
    for missing in [
        "", " ", "NA", "nan", "NaN", "null", "None", "N/A", "\\N", "-999",
    ] {
        assert_eq!(
            decode(
                ARCHIVE,
                "",
                &format!("{HEADER}1;SDS011;;2026-06-01T11:59:59;{missing};;4")
            ),
            "air sensor_id=ns-1 property=pm2_5 time=2026-06-01T11:59:59Z value=4\n",
            "{missing:?}"
        );
    }
    check(
        "1;SDS011;;2026-06-01T11:59:59;;;\n1;SDS011;;;1;;2\n;SDS011;;2026-06-01T11:59:59;1;;2\n1;;;2026-06-01T11:59:59;-0;;x",
        expect![[r#"
            air sensor_id=ns-1 property=pm10 time=2026-06-01T11:59:59Z value=0
            no_mapped_value: the row has no value at `P1`, `P2`
            missing_field: the message has no time at `timestamp`, where the source declares it
            missing_field: the row has no sensor id in the column that the source's `sensor_id` names
            wrong_type: the value at `P2` is not a number
        "#]],
    );
}

#[test]
fn empty_cells_between_tabs_count_at_both_ends_of_a_body() {
    const TABS: &str = r#"
        format = 'csv'
        csv = { delimiter = "\t" }
        sensor_id = { field = 'id' }
        map = [
          { dataset = 'air', property = 'pm10', field = 'pm' },
          { dataset = 'air', property = 'no2', field = 'no2' },
        ]"#;
    // The first column has no name, as where an index is written out; the last cell of the last row is empty.
    for (before, end) in [
        ("", ""),
        ("", "\n"),
        ("\n \r\n", "\r\n"),
        ("", "\r\n\t\t\t\n  "),
    ] {
        let body = format!("{before}\tid\tpm\tno2\n0\ta\t5\t\n\tb\t6\t{end}");
        assert_eq!(
            decode(TABS, "", &body),
            "air sensor_id=ns-a property=pm10 time=2026-06-01T12:00:00Z value=5\n\
             air sensor_id=ns-b property=pm10 time=2026-06-01T12:00:00Z value=6\n",
            "{body:?}"
        );
    }
    check_source(
        TABS,
        "\t \n\t\t\n",
        expect![[r#"
            malformed: the body is empty
        "#]],
    );
}

#[test]
fn a_row_cut_short_takes_no_other_with_it() {
    check(
        "1;SDS011;3121;\n2;SDS011;50.1;2026-06-01T11:59:58;1;;0.5\n5331;SDS011;3121;",
        expect![[r#"
            air sensor_id=ns-2 property=pm10 time=2026-06-01T11:59:58Z value=1
            air sensor_id=ns-2 property=pm2_5 time=2026-06-01T11:59:58Z value=0.5
            malformed: line 2 has 4 cells, and there are 7 columns
            malformed: line 4 has 4 cells, and there are 7 columns
        "#]],
    );
    // Delimiters at the end of a line are no cells.
    check(
        "2;SDS011;50.1;2026-06-01T11:59:58;1;;0.5;;\n2;SDS011;50.1;2026-06-01T11:59:59;1;;0.5;x",
        expect![[r#"
            air sensor_id=ns-2 property=pm10 time=2026-06-01T11:59:58Z value=1
            air sensor_id=ns-2 property=pm2_5 time=2026-06-01T11:59:58Z value=0.5
            malformed: line 3 has 8 cells, and there are 7 columns
        "#]],
    );
}

#[test]
fn quotes_hold_delimiters_quotes_and_lines() {
    check(
        "\"a;\"\"b\"\"\";\"two\nlines\";;2026-06-01T11:59:58;\"1.5\";;\n3;;;2026-06-01T11:59:58;2;;",
        expect![[r#"
            air sensor_id=ns-a;"b" property=pm10 time=2026-06-01T11:59:58Z value=1.5
            air sensor_id=ns-3 property=pm10 time=2026-06-01T11:59:58Z value=2
        "#]],
    );
    // A quote that nobody closes costs its own line.
    check(
        "1;\"SDS;;2026-06-01T11:59:58;1;;\n3;;;2026-06-01T11:59:58;2;;\n4;;;2026-06-01T11:59:58;2;;",
        expect![[r#"
            air sensor_id=ns-3 property=pm10 time=2026-06-01T11:59:58Z value=2
            air sensor_id=ns-4 property=pm10 time=2026-06-01T11:59:58Z value=2
            malformed: line 2 opens a quote that is not closed at the end of a cell; a quote within a cell is written twice
        "#]],
    );
    // So does one that the next line closes by chance.
    check(
        "1;a;\"b\n3;x\";;2026-06-01T11:59:58;2;;0.5",
        expect![[r#"
            air sensor_id=ns-3 property=pm10 time=2026-06-01T11:59:58Z value=2
            air sensor_id=ns-3 property=pm2_5 time=2026-06-01T11:59:58Z value=0.5
            malformed: line 2 has 8 cells, and there are 7 columns
        "#]],
    );
}

const LOGGERS: &str = r#"
    format = 'csv'
    csv = { delimiter = ';', decimal_comma = true }
    sensor_id = { field = 'station' }
    time = { field = 'time', format = 'rfc3339', zone = 'UTC' }
    map = [ { dataset = 'heat', property = 'air_temperature', field = 'temp' } ]"#;

#[test]
fn a_cell_may_have_a_unit_behind_its_number_where_that_is_declared() {
    let table = "station;time;temp\nu1;2026-06-01 11:00:00;21,5 °C\nu2;2026-06-01 11:00:00;\"70,7 °F\"\n\
                 u3;2026-06-01 11:00:00;1.013 K\nu4;2026-06-01 11:00:00;22";
    check_source(
        &LOGGERS.replace("format = 'csv'", "format = 'csv'\nunit_in_value = true"),
        table,
        expect![[r#"
            heat sensor_id=ns-u1 property=air_temperature time=2026-06-01T11:00:00Z value=21.5
            heat sensor_id=ns-u2 property=air_temperature time=2026-06-01T11:00:00Z value=21.5
            heat sensor_id=ns-u4 property=air_temperature time=2026-06-01T11:00:00Z value=22
            wrong_type: the value at `temp` has a point before its last three digits, which with `csv.decimal_comma` may be a decimal point or group digits; let the sender write `1,013` or `1013`
        "#]],
    );
    check_source(
        LOGGERS,
        "station;time;temp\nu1;2026-06-01 11:00:00;21,5 °C",
        expect![[r#"
            wrong_type: the value at `temp`, `21,5 °C`, has a unit behind the number; declare `unit_in_value = true` for the source, or let the sender write the number alone
        "#]],
    );
}

#[test]
fn a_quote_that_is_never_closed_costs_its_own_line() {
    // In the last column: the number of cells is right, whatever is behind.
    check_source(
        LOGGERS,
        "station;time;temp;remark\r\nu1;2026-06-01 11:00:00;21,5;ok\r\nu2;2026-06-01 11:00:00;22;\"5 inch rain\r\n\
         u3;2026-06-01 11:00:00;23;\"two\r\nlines\"\r\nu4;2026-06-01 11:00:00;24;\"5\"\" rain\r\n\
         u5;2026-06-01 11:00:00;25;ok\r\n",
        expect![[r#"
            heat sensor_id=ns-u1 property=air_temperature time=2026-06-01T11:00:00Z value=21.5
            heat sensor_id=ns-u3 property=air_temperature time=2026-06-01T11:00:00Z value=23
            heat sensor_id=ns-u5 property=air_temperature time=2026-06-01T11:00:00Z value=25
            malformed: line 3 opens a quote that is not closed at the end of a cell; a quote within a cell is written twice
            malformed: line 6 opens a quote that is not closed at the end of a cell; a quote within a cell is written twice
        "#]],
    );
    // A body that is cut within a cell has no value there.
    check_source(
        LOGGERS,
        "station;time;temp\nv1;2026-06-01 11:00:00;\"21,5\"\nv2;2026-06-01 11:00:00;\"2",
        expect![[r#"
            heat sensor_id=ns-v1 property=air_temperature time=2026-06-01T11:00:00Z value=21.5
            malformed: line 3 opens a quote that is not closed at the end of a cell; a quote within a cell is written twice
        "#]],
    );
    check_source(
        LOGGERS,
        "station;time;\"temp\nv1;2026-06-01 11:00:00;21,5\nv2;2026-06-01 11:00:00;22",
        expect![[r#"
            malformed: the header, line 1, opens a quote that is not closed at the end of a cell; a quote within a cell is written twice
        "#]],
    );
}

#[test]
fn text_behind_a_closing_quote_is_no_cell() {
    check_source(
        LOGGERS,
        "station;time;temp;remark\n\"roof\"x;2026-06-01 11:00:00;21;\n\"roof\";2026-06-01 11:00:00;22;\"shade\" \n",
        expect![[r#"
            heat sensor_id=ns-roof property=air_temperature time=2026-06-01T11:00:00Z value=22
            malformed: line 2 has text behind the quote that closes a cell; a quote within a cell is written twice
        "#]],
    );
}

proptest! {
    /// Whatever stands in the last column of a row, the rows before and behind it are what they are without it.
    #[test]
    fn a_remark_costs_no_other_row(remark in "[a\"; ]{0,8}", at in 0_usize..6) {
        let rows = (0..6).map(|row| {
            let remark = if row == at { remark.as_str() } else { "ok" };
            format!("s{row};2026-06-01 11:00:00;{row};{remark}\n")
        });
        let body = format!("station;time;temp;remark\n{}", rows.collect::<String>());
        let decoded = decode(LOGGERS, "", &body);
        for row in (0..6).filter(|row| *row != at) {
            let line = format!(
                "heat sensor_id=ns-s{row} property=air_temperature time=2026-06-01T11:00:00Z value={row}\n"
            );
            prop_assert!(decoded.contains(&line), "{row} of {body:?}: {decoded}");
        }
        let lines = decoded.lines().count();
        prop_assert_eq!(lines, 6, "{} became {}", body, decoded);
    }
}

#[test]
fn declared_columns_need_no_header() {
    let source = r#"
        format = 'csv'
        csv = { columns = ['station', 'at', 't'], decimal_comma = true, delimiter = "\t" }
        sensor_id = { field = 'station' }
        time = { pointer = '/at', format = 'unix' }
        map = [ { dataset = 'heat', property = 'air_temperature', pointer = '/t' } ]"#;
    let body = "roof\t1780315199\t21,5\nroof\t1780315198\t-0,25\n";
    let rows = expect![[r#"
        heat sensor_id=ns-roof property=air_temperature time=2026-06-01T11:59:59Z value=21.5
        heat sensor_id=ns-roof property=air_temperature time=2026-06-01T11:59:58Z value=-0.25
    "#]];
    rows.assert_eq(&decode(source, "", body));
    // A header that only repeats them is no row.
    rows.assert_eq(&decode(source, "", &format!("station\tat\tt\n{body}")));
    check_source(
        source,
        "roof\t1780315199\t1.234,5\nroof\t1780315198\t1,234,5\nroof\t1780315197\t21.5",
        expect![[r#"
            heat sensor_id=ns-roof property=air_temperature time=2026-06-01T11:59:57Z value=21.5
            wrong_type: the value at `/t` is not a number
            wrong_type: the value at `/t` is not a number
        "#]],
    );
    // Nobody can tell a decimal point from one that groups digits.
    let may_group = "wrong_type: the value at `/t` has a point before its last three digits, which with `csv.decimal_comma` \
                     may be a decimal point or group digits; let the sender write `1,013` or `1013`\n";
    for cell in ["1.013", "-1.013", " 12.500 ", "+999.000", "\"1.013\""] {
        let body = format!("roof\t1780315199\t{cell}");
        assert_eq!(decode(source, "", &body), may_group, "{cell}");
    }
    for (cell, value) in [
        ("0.125", "0.125"),
        ("1,013", "1.013"),
        ("1013", "1013"),
        ("21.5", "21.5"),
        ("1.0125", "1.0125"),
        ("1013.250", "1013.25"),
    ] {
        let row = format!(
            "heat sensor_id=ns-roof property=air_temperature time=2026-06-01T11:59:59Z value={value}\n"
        );
        assert_eq!(
            decode(source, "", &format!("roof\t1780315199\t{cell}")),
            row,
            "{cell}"
        );
    }
    // The name of a sensor is no number.
    let named = decode(source, "", "1.013\t1780315199\t21,5");
    assert!(named.starts_with("heat sensor_id=ns-1.013 "), "{named}");
    // Without the declaration a comma is no decimal sign.
    check_source(
        &source.replace(", decimal_comma = true", ""),
        "roof\t1780315199\t21,5",
        expect![[r#"
            wrong_type: the value at `/t` is not a number; if its comma is a decimal comma, declare `csv = { decimal_comma = true }` for the source
        "#]],
    );
}

#[test]
fn local_times_need_the_declared_zone_and_rule() {
    let source = r#"
        format = 'csv'
        sensor_id = '1'
        time = { field = 'time', format = 'rfc3339', zone = 'Europe/Brussels', doubled_hour = 'second' }
        map = [ { dataset = 'noise', property = 'laeq', field = 'laeq' } ]"#;
    check_source(
        source,
        "time,laeq\n2026-03-29 02:30:00,40\n2026-03-29 03:30:00,41\n2025-10-26 02:30:00,42",
        expect![[r#"
            noise sensor_id=ns-1 property=laeq time=2026-03-29T01:30:00Z value=41
            noise sensor_id=ns-1 property=laeq time=2025-10-26T01:30:00Z value=42
            bad_time: the time at `time`: the local time does not exist: clocks skip it in spring
        "#]],
    );
}

/// With midnight as their time, all rows of a day would be revisions of one.
#[test]
fn a_date_without_its_clock_is_a_reject() {
    let source = "format = 'csv'\nsensor_id = '1'\ntime = { field = 'date', format = 'rfc3339', zone = 'UTC' }\n\
        map = [{ dataset = 'noise', property = 'laeq', field = 'laeq' }]";
    let body = "date,clock,laeq\n2026-06-01,10:00,40\n2026-06-01,11:00,41";
    check_source(
        source,
        body,
        expect![[r#"
            bad_time: the time at `date`: a date alone is no instant; declare where the time of day stands (`clock_field`, `clock_pointer`), or `format = "%Y-%m-%d"` where a whole day is meant
            bad_time: the time at `date`: a date alone is no instant; declare where the time of day stands (`clock_field`, `clock_pointer`), or `format = "%Y-%m-%d"` where a whole day is meant
        "#]],
    );
    check_source(
        &source.replace("'date',", "'date', clock_field = 'clock',"),
        body,
        expect![[r#"
            noise sensor_id=ns-1 property=laeq time=2026-06-01T10:00:00Z value=40
            noise sensor_id=ns-1 property=laeq time=2026-06-01T11:00:00Z value=41
        "#]],
    );
}

#[test]
fn a_header_for_another_source_is_one_reject() {
    let check = |body: &str, expect: Expect| expect.assert_eq(&decode(ARCHIVE, "", body));
    check(
        "sensor_id,timestamp,P1\n1,2026-06-01T11:59:59,3\n2,2026-06-01T11:59:59,3",
        expect![[r#"
            unexpected_shape: the header has no column `sensor_id`, which every row needs; declare `csv.delimiter` where it is not a comma, and `csv.columns` where the body has no header
        "#]],
    );
    check(
        "sensor_id;timestamp;P0\n1;2026-06-01T11:59:59;3",
        expect![[r#"
            no_mapped_value: the row has no value at `P1`, `P2`
        "#]],
    );
    check(
        "sensor_id;timestamp;P1;P1\n1;2026-06-01T11:59:59;3;4",
        expect![[r#"
            unexpected_shape: the header names the column `P1` twice
        "#]],
    );
    check(
        "sensor_id;timestamp;P1\n",
        expect![[r#"
            no_observation: the table has no row
        "#]],
    );
}

#[test]
fn a_row_of_too_many_cells_is_a_reject() {
    let wide = format!(
        "{HEADER}{}\n1;;;2026-06-01T11:59:58;2;;",
        "1;".repeat(10_000)
    );
    expect![[r#"
        air sensor_id=ns-1 property=pm10 time=2026-06-01T11:59:58Z value=2
        malformed: line 2 has 4096 cells, and there are 7 columns
    "#]]
    .assert_eq(&decode(ARCHIVE, "", &wide));
}

#[test]
fn declarations_that_cannot_work_are_refused() {
    let check = |from: &str, to: &str, expect: Expect| {
        let error = try_decoders(&ARCHIVE.replace(from, to)).unwrap_err();
        expect.assert_eq(&error.to_string());
    };
    check(
        "delimiter = ';'",
        "delimiter = ';;'",
        expect!["source `test`: `csv.delimiter` is one ASCII character and no quote, not `;;`"],
    );
    check(
        "delimiter = ';'",
        "columns = ['sensor_id', 'P1']",
        expect![
            "source `test`: `csv.columns` has no column `timestamp`, which `sensor_id` or `time` names"
        ],
    );
    check(
        "field = 'P1'",
        "pointer = '/a/b'",
        expect![
            "source `test`, map entry 1: the fields of this format have names and no structure; write `field = \"…\"` instead of `/a/b`"
        ],
    );
}

#[test]
fn lines_of_json_stand_alone() {
    let source = r#"
        format = 'ndjson'
        lenient = true
        sensor_id = { pointer = '/id' }
        map = [ { dataset = 'heat', property = 'air_temperature', pointer = '/t' },
                { dataset = 'heat', property = 'relative_humidity', pointer = '/h' } ]"#;
    let lines = [
        r#"{"id": 1, "t": 20.5}"#,
        r#"{"id": 2, "t":"#,
        "",
        r#"{"id": 3, "t": nan, "h": 40}"#,
        r#"[{"id": 4, "t": 1}, {"id": 5, "t": 2}]"#,
        "nonsense",
    ];
    check_source(
        source,
        &lines.join("\r\n"),
        expect![[r#"
            heat sensor_id=ns-1 property=air_temperature time=2026-06-01T12:00:00Z value=20.5
            heat sensor_id=ns-3 property=relative_humidity time=2026-06-01T12:00:00Z value=40
            heat sensor_id=ns-4 property=air_temperature time=2026-06-01T12:00:00Z value=1
            heat sensor_id=ns-5 property=air_temperature time=2026-06-01T12:00:00Z value=2
            malformed: not JSON: EOF while parsing a value at line 1 column 14
            malformed: not JSON: expected ident at line 1 column 2
        "#]],
    );
}

#[test]
fn a_column_says_which_rows_are_readings() {
    check_source(
        "format = 'csv'
         sensor_id = { field = 'station' }
         valid = { field = 'validity', is = ['V', 'R'] }
         map = [ { dataset = 'air', property = 'no2', field = 'no2' } ]",
        "station,no2,validity\na,0.0,V\nb,0.0,N\nc,0.0,\n",
        expect![[r#"
            air sensor_id=ns-a property=no2 time=2026-06-01T12:00:00Z value=0
            not_valid: the message is not `valid` as the source declares it: see `validity`
            not_valid: the message is not `valid` as the source declares it: see `validity`
        "#]],
    );
}

/// Rows that a logger writes in Latin-1.
#[test]
fn a_row_that_is_not_utf_8_takes_no_other_with_it() {
    let source = "format = 'csv'\nsensor_id = { field = 'id' }\n\
        map = [{ dataset = 'air', property = 'pm10', field = 'P1', unit = 'ug/m3' }]";
    let check = |body: &[u8], expect: Expect| {
        expect.assert_eq(&render(&decoders(source).decode_body(&envelope("", body))));
    };
    check(
        b"id,place,P1\nA,Leuven,1\nB,Z\xfcrich,2\nC,\"two\nlines\",3\nD,\"Z\xfc\nrich\",4\nE,Gent,5\n",
        expect![[r#"
            air sensor_id=ns-A property=pm10 time=2026-06-01T12:00:00Z value=1
            air sensor_id=ns-C property=pm10 time=2026-06-01T12:00:00Z value=3
            air sensor_id=ns-E property=pm10 time=2026-06-01T12:00:00Z value=5
            malformed: the line is not UTF-8; let the sender write UTF-8, not Latin-1 or Windows-1252
            malformed: the line is not UTF-8; let the sender write UTF-8, not Latin-1 or Windows-1252
        "#]],
    );
    check(
        b"id,pl\xe4tze,P1\nA,Leuven,1\n",
        expect![[r#"
            malformed: the header is not UTF-8; let the sender write UTF-8, not Latin-1 or Windows-1252
        "#]],
    );
    // The character that stands for such bytes may be sent as well.
    check(
        "id,place,P1\nA,Z\u{fffd}rich,1\n".as_bytes(),
        expect![[r#"
            air sensor_id=ns-A property=pm10 time=2026-06-01T12:00:00Z value=1
        "#]],
    );
    // UTF-16 is said to be that, with a byte order mark and without one.
    let encodings: [fn(u16) -> [u8; 2]; 2] = [u16::to_le_bytes, u16::to_be_bytes];
    for encode in encodings {
        for mark in [Some(0xfeff), None] {
            let text = "id,pl\u{e4}tze,P1\nA,Leuven,1\n";
            let units = mark.into_iter().chain(text.encode_utf16());
            check(
                &units.flat_map(encode).collect::<Vec<u8>>(),
                expect![[r#"
                    malformed: the body is UTF-16; let the sender write UTF-8, or convert a file with `iconv -f UTF-16 -t UTF-8`
                "#]],
            );
        }
    }
    let torn = decoders(source).decode_body(&envelope("", b"id,P1\nA,1\nB\xfc,2\nC,3\n"));
    assert_eq!(torn.rejects[0].item, Some(1));
}

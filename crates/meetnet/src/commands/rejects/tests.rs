use meetnet_ingest::pipeline::ReplayedRows;
use meetnet_lake::Applied;

use super::*;

#[test]
fn a_selection_is_a_condition_that_nothing_breaks_out_of() {
    let check = |selection: Selection, expect: &str| assert_eq!(selection.condition(), expect);
    let all = Selection {
        resolved: true,
        ..Selection::default()
    };
    check(all, "true");
    check(Selection::default(), "true AND resolution IS NULL");
    let one = Selection {
        source: Some(SourceId::new("o'neill' OR true --")),
        reason: Some(RejectReason::BadTime),
        since: Some(1_700_000_000_000_000),
        until: Some(1_700_000_060_000_001),
        sequences: Some((Sequence(3), Sequence(9))),
        resolved: true,
    };
    check(
        one,
        "true AND source = 'o''neill'' OR true --' AND reason = 'bad_time' \
         AND time >= TIMESTAMP '2023-11-14T22:13:20Z' AND time < TIMESTAMP '2023-11-14T22:14:20.000001Z' \
         AND sequence BETWEEN 3 AND 9",
    );
}

#[test]
fn a_report_says_what_is_left_to_do() {
    let heat = Applied {
        inserted: 2,
        revised: 1,
        unchanged: 1_000,
        ..Applied::default()
    };
    let told = ReplayedRows {
        applied: [("heat".into(), heat)].into(),
        waiting: ["heat".into()].into(),
    };
    let check_rows =
        |decided: Decided, (chosen, resolved), rows: &ReplayedRows, expect: &[&str]| {
            let report = describe_replayed(&decided, chosen, resolved, rows);
            let lines: Vec<&str> = report.lines().collect();
            assert_eq!(lines.len(), expect.len(), "{report}");
            for (line, expect) in lines.iter().zip(expect) {
                assert!(line.starts_with(expect), "`{line}` instead of `{expect}`");
            }
        };
    let check = |decided: Decided, chosen: u64, resolved: u64, expect: &[&str]| {
        check_rows(
            decided,
            (chosen, resolved),
            &ReplayedRows::default(),
            expect,
        );
    };
    let none = Decided::default();
    check(none, 0, 0, &["no open reject matches"]);
    let decided = |frames, rejects, gone| Decided {
        frames,
        rejects,
        gone,
        span: Some((Sequence(10), Sequence(20))),
        ..Decided::default()
    };
    check(
        decided(3, 4, 0),
        4,
        4,
        &[
            "replayed 3 messages: 4 of 4 rejects are resolved",
            "none of them has a row",
        ],
    );
    check_rows(
        decided(3, 0, 0),
        (0, 0),
        &told,
        &[
            "replayed 3 messages",
            "heat: 2 new, 1 revision, 1,000 duplicates, 0 older than what is stored",
            "heat: further rows wait for a file",
        ],
    );
    check(
        decided(2, 3, 1),
        5,
        1,
        &[
            "replayed 2 messages: 1 of 5 rejects are resolved",
            "none of them has a row",
            "2 came out again",
            "1 message in neither",
        ],
    );
    let confirmed = Decided {
        confirmed: 2,
        ..decided(1, 1, 0)
    };
    check(
        confirmed,
        1,
        1,
        &[
            "replayed 1 message: 1 of 1 reject is resolved",
            "none of them has a row",
            "2 stored values said again by later messages",
        ],
    );
    let without_source = |frames| Decided {
        without_source: [("attic".into(), 2)].into(),
        ..decided(frames, frames, 0)
    };
    check(
        without_source(1),
        3,
        1,
        &[
            "replayed 1 message: 1 of 3 rejects are resolved",
            "none of them has a row",
            "2 messages of source `attic` left as before",
        ],
    );
    // None was chosen: they were named by their sequences.
    check(
        without_source(0),
        0,
        0,
        &[
            "replayed 0 messages",
            "2 messages of source `attic` left as before",
        ],
    );
}

#[test]
fn a_list_says_of_how_many_it_is() {
    let check = |summary: bool, expect: &str| {
        let listing = Listing {
            selection: Selection::default(),
            summary,
            limit: 100,
            format: "csv".to_owned(),
        };
        assert_eq!(listing.remark(2345), expect);
    };
    check(
        false,
        "100 of 2,345 rejects, the newest; --limit N shows more, --summary counts them",
    );
    check(true, "100 of 2,345 lines; --limit N shows more");
}

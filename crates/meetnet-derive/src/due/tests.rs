use std::sync::Arc;

use arrow::array::{Array, ArrayRef, TimestampMicrosecondArray};
use arrow::datatypes::{Field, Schema};
use meetnet_lake::committed::KeyPart;
use meetnet_model::common::{RECEIVED_AT, RECORDED_AT};

use super::*;
use crate::reached::{AT_ONCE, PAIRS_MAX, QUIET_US};
use crate::testing::{
    HOUR, HOURS_AND_DAYS, LEVELS, MINUTE, START, Value, WAVES_AND_GAPS, batch, declaration,
    declared, plan,
};

/// A changed row: sensor and time.
type Changed<'a> = (&'a str, i64);

/// Adds when rows were recorded: at the start, as they were received.
fn recorded(rows: &RecordBatch) -> RecordBatch {
    let mut fields = rows.schema().fields().to_vec();
    let mut columns = rows.columns().to_vec();
    for (name, at) in [(RECEIVED_AT, Some(START)), (RECORDED_AT, None)] {
        let times = TimestampMicrosecondArray::from(vec![at; rows.num_rows()]);
        let times: ArrayRef = Arc::new(times.with_timezone("UTC"));
        fields.push(Arc::new(Field::new(name, times.data_type().clone(), true)));
        columns.push(times);
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

/// Returns the spans of a pass over `heat_hours` as text: hours from the start, and sensors by hour. What changed was recorded
/// long ago, so nothing waits.
fn spans(
    of: &str,
    since: Option<i64>,
    through: i64,
    bounds: (i64, i64),
    changed: &[Changed<'_>],
) -> Vec<String> {
    let [hours, days] = HOURS_AND_DAYS;
    let [runs, gaps] = WAVES_AND_GAPS;
    let schemas = declared(&[hours, days, runs, gaps, LEVELS]);
    let plan = plan(&schemas, of);
    let input = declaration(
        &schemas,
        plan.declaration().derive.as_ref().unwrap().from.as_str(),
    );
    let pass = Pass {
        since,
        through,
        now: through,
        pairs_max: PAIRS_MAX,
    };
    let mut touched = Touched::new(&plan, pass, Waiting::default());
    touched.add_due(bounds);
    for (sensor, time) in changed {
        let mut columns = vec![
            ("sensor_id", Value::Text(sensor)),
            ("time", Value::Int(*time)),
        ];
        if ["heat_hours", "heat_levels"].contains(&of) {
            columns.push(("property", Value::Text("air_temperature")));
        }
        let rows = batch(&input, &[(columns.as_slice(), 1, "CC0-1.0")]);
        touched.add_changed(&recorded(&rows)).unwrap();
    }
    let hour = |at: i64| (at - START) / HOUR;
    let text = |span: Span| {
        let of = match &span.wanted {
            Wanted::All => "all".to_owned(),
            Wanted::Some(buckets) => {
                let texts = buckets.iter().map(|(start, series)| {
                    let sensors: Vec<&str> = series
                        .iter()
                        .filter_map(|series| match series.first() {
                            Some(KeyPart::Text(sensor)) => Some(&**sensor),
                            _ => None,
                        })
                        .collect();
                    format!("{}:{}", hour(*start), sensors.join(","))
                });
                texts.collect::<Vec<_>>().join(" ")
            }
        };
        format!("{}-{} {of}", hour(span.from), hour(span.to))
    };
    let (spans, waiting) = touched.into_spans();
    assert_eq!(waiting.since(), None);
    spans.into_iter().map(text).collect()
}

const WEEK: (i64, i64) = (START, START + 7 * 24 * HOUR);

#[test]
fn a_bucket_is_due_once_when_its_grace_has_passed() {
    let check = |since: Option<i64>, through: i64, expect: &[&str]| {
        assert_eq!(
            spans("heat_hours", since, through, WEEK, &[]),
            expect,
            "{since:?} {through}"
        );
    };
    // The grace is ten minutes.
    check(Some(START + HOUR), START + HOUR + 10 * MINUTE - 1, &[]);
    check(Some(START + HOUR), START + HOUR + 10 * MINUTE, &["0-1 all"]);
    check(Some(START + HOUR + 10 * MINUTE), START + 2 * HOUR, &[]);
    check(
        Some(START + HOUR + 10 * MINUTE - 1),
        START + 2 * HOUR,
        &["0-1 all"],
    );
    check(Some(START + 2 * HOUR), START + 5 * HOUR, &["1-4 all"]);
    check(None, START + 3 * HOUR, &["0-2 all"]);
    // Nothing is computed where no row can be.
    check(None, START + 9 * 24 * HOUR, &["0-169 all"]);
    check(Some(START - 9 * HOUR), START + HOUR, &[]);
}

#[test]
fn a_bucket_whose_row_says_how_far_it_has_come_is_due_from_its_start_on() {
    let check = |since: i64, through: i64, changed: &[Changed<'_>], expect: &[&str]| {
        let (since, through) = (START + since * MINUTE, START + through * MINUTE);
        assert_eq!(
            spans("heat_levels", Some(since), through, WEEK, changed),
            expect,
            "{since} {through}"
        );
    };
    // Days begin at 23:00Z.
    check(22 * 60, 23 * 60 - 1, &[], &[]);
    check(22 * 60, 23 * 60, &[], &["23-47 all"]);
    check(23 * 60, 40 * 60, &[], &[]);
    check(
        30 * 60,
        31 * 60,
        &[("a", START + 30 * HOUR)],
        &["23-47 23:a"],
    );
    // The two days before reach into it, those to come do not yet.
    check(
        30 * 60,
        31 * 60,
        &[("a", START - 2 * HOUR), ("b", START)],
        &["-25-47 -25:a -1:a,b 23:a,b"],
    );
}

#[test]
fn a_change_reaches_the_buckets_that_are_made_of_it() {
    let check = |of: &str, changed: &[Changed<'_>], expect: &[&str]| {
        let since = START + 48 * HOUR;
        assert_eq!(
            spans(of, Some(since), since + MINUTE, WEEK, changed),
            expect,
            "{changed:?}"
        );
    };
    check("heat_hours", &[], &[]);
    check(
        "heat_hours",
        &[("a", START + 5 * HOUR + MINUTE)],
        &["5-6 5:a"],
    );
    check(
        "heat_hours",
        &[
            ("b", START + 5 * HOUR),
            ("a", START + 5 * HOUR),
            ("a", START + 6 * HOUR),
            ("a", START + 9 * HOUR),
        ],
        &["5-7 5:a,b 6:a", "9-10 9:a"],
    );
    // Not due yet: it comes when it is.
    check("heat_hours", &[("a", START + 48 * HOUR)], &[]);
    // The running mean of eight hours reaches into the next day, which begins at 23:00Z.
    check("heat_days", &[("a", START + 10 * HOUR)], &["-1-23 -1:a"]);
    check(
        "heat_days",
        &[("a", START + 20 * HOUR)],
        &["-1-47 -1:a 23:a"],
    );
    check("heat_days", &[("a", START + 15 * HOUR)], &["-1-23 -1:a"]);
    check(
        "heat_days",
        &[("a", START + 16 * HOUR)],
        &["-1-47 -1:a 23:a"],
    );
    // A run of three days at most reaches two days each way; those that are not due come when they are.
    check(
        "heat_runs",
        &[("a", START - 50 * HOUR)],
        &["-121-23 -121:a -97:a -73:a -49:a -25:a -1:a"],
    );
    // Everything is compared with the reference.
    check("heat_gaps", &[("b", START + 5 * HOUR)], &["5-6 5:b"]);
    check(
        "heat_gaps",
        &[
            ("b", START + 5 * HOUR),
            ("a", START + 5 * HOUR),
            ("a", START + 6 * HOUR),
            ("b", START + 6 * HOUR),
        ],
        &["5-7 all"],
    );
}

#[test]
fn what_became_due_is_for_all_and_takes_in_what_changed() {
    let since = START + 4 * HOUR;
    let found = spans(
        "heat_hours",
        Some(since),
        START + 6 * HOUR,
        WEEK,
        &[("a", START + 2 * HOUR), ("a", START + 4 * HOUR)],
    );
    assert_eq!(found, ["2-3 2:a", "3-5 all"]);
}

#[test]
fn a_long_time_is_cut_into_spans() {
    let bounds = (START, START + 100 * 24 * HOUR);
    let found = spans("heat_hours", None, START + 200 * 24 * HOUR, bounds, &[]);
    assert_eq!(found, ["0-960 all", "960-1920 all", "1920-2401 all"]);
}

/// A pass over what was due at `since`.
fn pass(since: i64, now: i64) -> Pass {
    Pass {
        since: Some(since),
        through: since,
        now,
        pairs_max: PAIRS_MAX,
    }
}

fn series(number: usize) -> Series {
    vec![KeyPart::Text(format!("{number:06}").as_str().into())]
}

#[test]
fn more_pairs_than_are_kept_become_whole_buckets_and_nothing_waits() {
    let schemas = declared(&HOURS_AND_DAYS);
    let plan = plan(&schemas, "heat_hours");
    let now = START + 9 * HOUR;
    let mut touched = Touched::new(&plan, pass(now, now), Waiting::default());
    let reached = &mut touched.reached;
    reached.touch(START + 6 * HOUR, START + 7 * HOUR, now, || series(7));
    for number in 1..PAIRS_MAX {
        reached.touch(START, START + HOUR, now, || series(number));
    }
    assert_eq!(reached.pairs(), PAIRS_MAX);
    reached.touch(START + 3 * HOUR, START + 4 * HOUR, now, || series(0));
    reached.touch(START, START + HOUR, now, || series(0));
    assert_eq!(reached.pairs(), 1);
    let (spans, waiting) = touched.into_spans();
    let of_all = |from: i64| Span {
        from: START + from * HOUR,
        to: START + (from + 1) * HOUR,
        wanted: Wanted::All,
    };
    let of_one = Span {
        wanted: Wanted::Some(BTreeMap::from([(
            START + 6 * HOUR,
            BTreeSet::from([series(7)]),
        )])),
        ..of_all(6)
    };
    assert_eq!(spans, [of_all(0), of_all(3), of_one]);
    assert_eq!(waiting.since(), None);
    assert_eq!(waiting.ready_at(), None);
}

#[test]
fn what_is_touched_waits_until_it_is_quiet_or_for_as_long_as_its_grace() {
    let schemas = declared(&HOURS_AND_DAYS);
    let plan = plan(&schemas, "heat_hours");
    let due = START + 9 * HOUR;
    // By seconds after `due`: when it is touched, the time of the pass, whether it is computed, and from when on it would be.
    let check = |touches: &[i64], now: i64, expect: Result<(), i64>| {
        let now = due + now * 1_000_000;
        let mut touched = Touched::new(&plan, pass(due, now), Waiting::default());
        for at in touches {
            let at = due + at * 1_000_000;
            touched.reached.touch(START, START + HOUR, at, || series(0));
        }
        let (spans, waiting) = touched.into_spans();
        let found = match waiting.ready_at() {
            None => Ok(()),
            Some(at) => Err((at - due) / 1_000_000),
        };
        assert_eq!(found, expect, "{touches:?} {now}");
        assert_eq!(spans.is_empty(), expect.is_err());
        let first = touches.first().unwrap() * 1_000_000;
        let since = expect.is_err().then_some(due + first / QUIET_US * QUIET_US);
        assert_eq!(waiting.since(), since);
    };
    check(&[0], 0, Err(30));
    check(&[14], 29, Err(30));
    check(&[14], 30, Ok(()));
    check(&[17, 31], 45, Err(60));
    check(&[17, 31], 60, Ok(()));
    // Ten minutes is the grace.
    let minutes: Vec<i64> = (0..10).map(|minute| minute * 60).collect();
    check(&minutes, 569, Err(570));
    let more: Vec<i64> = (0..61).map(|tenth| tenth * 10).collect();
    check(&more, 599, Err(600));
    check(&more, 600, Ok(()));
}

#[test]
fn what_waits_is_taken_along_and_what_must_not_wait_takes_it_out() {
    let schemas = declared(&HOURS_AND_DAYS);
    let plan = plan(&schemas, "heat_hours");
    let due = START + 9 * HOUR;
    let mut touched = Touched::new(&plan, pass(due, due), Waiting::default());
    let hour = (START, START + HOUR);
    touched.reached.touch(hour.0, hour.1, due, || series(0));
    touched.reached.touch(hour.0, hour.1, due, || series(1));
    let (spans, waiting) = touched.into_spans();
    assert!(spans.is_empty());
    let mut touched = Touched::new(&plan, pass(due, due + 1), waiting);
    touched.reached.touch(hour.0, hour.1, AT_ONCE, || series(1));
    let (spans, waiting) = touched.into_spans();
    assert!(spans[0].wants(START, &series(1)) && !spans[0].wants(START, &series(0)));
    let (spans, waiting) = Touched::new(&plan, pass(due, due + MINUTE), waiting).into_spans();
    assert!(spans[0].wants(START, &series(0)) && !spans[0].wants(START, &series(1)));
    assert_eq!(waiting.since(), None);
}

#[test]
fn what_has_lost_input_to_a_retention_is_not_computed() {
    let schemas = declared(&HOURS_AND_DAYS);
    let plan = plan(&schemas, "heat_hours");
    let at = |hour: i64| START + hour * HOUR;
    // A pass from a time (hours from the start) to 12:00. The hours until 6:00 are touched, the last rows are of 9:00.
    let check = |since: Option<i64>, whole: Whole, expect: &[&str]| {
        let pass = Pass {
            since: since.map(at),
            through: at(12),
            now: at(12),
            pairs_max: PAIRS_MAX,
        };
        let mut touched = Touched::new(&plan, pass, Waiting::default()).whole(whole);
        touched.add_due((START, at(9)));
        if since.is_some() {
            for hour in 0..6 {
                touched.reached.touch_all(at(hour), at(hour + 1), AT_ONCE);
            }
        }
        let (spans, waiting) = touched.into_spans();
        let hours = |at: i64| (at - START) / HOUR;
        let spans = spans.iter();
        let spans = spans.map(|span| format!("{}-{}", hours(span.from), hours(span.to)));
        assert_eq!(spans.collect::<Vec<_>>(), expect, "{since:?} {whole:?}");
        assert_eq!(waiting.ready_at(), None);
    };
    let dropped = |hour: i64| Whole::after(Some(at(hour)));
    let around = (3 * HOUR, HOUR);
    check(Some(8), Whole::ALL, &["0-6", "7-10"]);
    check(Some(8), dropped(2), &["2-6", "7-10"]);
    check(Some(8), dropped(8), &["8-10"]);
    // What a bucket looks back to counts where it is computed again; what comes in order goes on.
    check(
        Some(8),
        dropped(2).looking_around(around, at(12)),
        &["5-6", "7-10"],
    );
    check(
        Some(8),
        dropped(2).looking_around(around, at(7)),
        &["3-6", "7-10"],
    );
    check(
        Some(8),
        dropped(2).looking_around(around, at(4)),
        &["2-6", "7-10"],
    );
    check(
        Some(8),
        dropped(8).looking_around(around, at(99)),
        &["8-10"],
    );
    check(None, Whole::ALL, &["0-10"]);
    check(None, dropped(2), &["2-10"]);
    check(None, dropped(2).looking_around(around, at(12)), &["5-10"]);
}

#[test]
fn input_reaches_back_as_far_as_running_means_do() {
    let schemas = declared(&HOURS_AND_DAYS);
    let days = plan(&schemas, "heat_days");
    let series = |sensor: &str| vec![KeyPart::Text(sensor.into())];
    let span = Span {
        from: START - HOUR,
        to: START + 23 * HOUR,
        wanted: Wanted::Some(BTreeMap::from([(
            START - HOUR,
            BTreeSet::from([series("b"), series("a")]),
        )])),
    };
    let range = span.input(&days);
    assert_eq!(
        (range.from, range.to),
        (START - 8 * HOUR, START + 23 * HOUR)
    );
    assert_eq!(
        range.leading,
        Some(vec![series("a").remove(0), series("b").remove(0)])
    );
    assert!(span.wants(START - HOUR, &series("a")) && !span.wants(START - HOUR, &series("c")));
    assert!(!span.wants(START + 23 * HOUR, &series("a")));
}

use meetnet_lake::committed::KeyPart;

use super::*;
use crate::reached::PAIRS_MAX;
use crate::testing::{
    HOUR, HOURS_AND_DAYS, MINUTE, START, Value, WAVES_AND_GAPS, batch, declaration, declared, plan,
};

/// A changed row: sensor and time.
type Changed<'a> = (&'a str, i64);

/// Returns the spans of a pass over `heat_hours` as text: hours from the start, and sensors by hour.
fn spans(
    of: &str,
    since: Option<i64>,
    through: i64,
    bounds: (i64, i64),
    changed: &[Changed<'_>],
) -> Vec<String> {
    let [hours, days] = HOURS_AND_DAYS;
    let [runs, gaps] = WAVES_AND_GAPS;
    let schemas = declared(&[hours, days, runs, gaps]);
    let plan = plan(&schemas, of);
    let input = declaration(
        &schemas,
        plan.declaration().derive.as_ref().unwrap().from.as_str(),
    );
    let mut touched = Touched::new(&plan, through);
    touched.add_due(since, bounds);
    for (sensor, time) in changed {
        let mut columns = vec![
            ("sensor_id", Value::Text(sensor)),
            ("time", Value::Int(*time)),
        ];
        if of == "heat_hours" {
            columns.push(("property", Value::Text("air_temperature")));
        }
        touched
            .add_changed(&batch(&input, &[(columns.as_slice(), 1, "CC0-1.0")]))
            .unwrap();
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
    touched.into_spans().into_iter().map(text).collect()
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

#[test]
fn more_pairs_than_are_kept_become_whole_buckets() {
    let schemas = declared(&HOURS_AND_DAYS);
    let plan = plan(&schemas, "heat_hours");
    let mut touched = Touched::new(&plan, START + 9 * HOUR);
    let series = |number: usize| vec![KeyPart::Text(format!("{number:06}").as_str().into())];
    for number in 0..PAIRS_MAX {
        touched
            .reached
            .touch(START, START + HOUR, || series(number));
    }
    let reached = &mut touched.reached;
    reached.touch(START + 3 * HOUR, START + 4 * HOUR, || series(0));
    reached.touch(START, START + HOUR, || series(0));
    assert_eq!(touched.reached.pairs, 0);
    let spans = touched.into_spans();
    assert!(
        spans.iter().all(|span| span.wanted == Wanted::All),
        "{}",
        spans.len()
    );
    assert_eq!(spans.len(), 2);
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

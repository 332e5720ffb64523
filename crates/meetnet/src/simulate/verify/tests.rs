use super::*;

fn fold(values: &[i64]) -> Fold {
    let mut fold = Fold::default();
    values.iter().for_each(|value| fold.add(*value));
    fold
}

/// Compares what must and may be there with what is; returns the names of the figures that differ.
fn check(must: &[i64], may: &[i64], found: &[i64], keys: u64) -> Vec<&'static str> {
    let expected = ExpectedSeries {
        name: "air_temperature".to_owned(),
        must: fold(must),
        may: fold(may),
    };
    let found = Found {
        fold: fold(found),
        keys,
    };
    let differences = compare(&expected, &found);
    differences.into_iter().map(|(figure, ..)| figure).collect()
}

#[test]
fn every_figure_is_compared() {
    let none: [&str; 0] = [];
    assert_eq!(check(&[1, 2, 3], &[], &[3, 2, 1], 3), none);
    assert_eq!(check(&[], &[], &[], 0), none);
    assert_eq!(check(&[1, 2, 3], &[], &[1, 2], 2), ["rows", "sum", "max"]);
    assert_eq!(check(&[1, 2, 3], &[], &[1, 3, 3], 3), ["sum"]);
    assert_eq!(check(&[1, 3, 5], &[], &[2, 3, 4], 3), ["min", "max"]);
    // One key twice: rows that nothing was merged of.
    assert_eq!(check(&[1, 1], &[], &[1, 1], 1), ["distinct keys"]);
    assert_eq!(check(&[], &[], &[7], 1), ["rows", "sum", "min", "max"]);
}

#[test]
fn what_is_in_doubt_may_be_there_or_not() {
    let none: [&str; 0] = [];
    assert_eq!(check(&[1, 2], &[9, 8], &[1, 2], 2), none);
    assert_eq!(check(&[1, 2], &[9, 8], &[1, 2, 9], 3), none);
    assert_eq!(check(&[1, 2], &[9, 8], &[1, 2, 9, 8], 4), none);
    assert_eq!(check(&[1, 2], &[9, 8], &[1], 1), ["rows"]);
    assert_eq!(check(&[1, 2], &[9, 8], &[1, 2, 9, 8, 7], 5), ["rows"]);
    // All or nothing of it: then the values are known.
    assert_eq!(check(&[1, 2], &[9, 8], &[1, 3], 2), ["sum", "max"]);
    assert_eq!(check(&[1, 2], &[9, 8], &[1, 2, 9, 9], 4), ["sum"]);
}

#[test]
fn a_query_takes_the_rows_of_the_run_alone() {
    let part = |selection, is_wide| Part {
        source: "sim-http-it's".to_owned(),
        dataset: "heat".to_owned(),
        is_wide,
        selection,
        series: Vec::new(),
    };
    let by_name = part(Selection::SensorsBeginning("sim-a-".to_owned()), false);
    let statement = series_statement(&by_name, "air_temperature");
    for wanted in [
        "FROM \"heat\" WHERE source = 'sim-http-it''s' AND starts_with(sensor_id, 'sim-a-')",
        "AND property = 'air_temperature'",
        "round(value * 10000)",
        "GROUP BY sensor_id, property, time",
    ] {
        assert!(statement.contains(wanted), "{wanted}: {statement}");
    }
    let segments = part(Selection::Segments { first: 1, last: 9 }, true);
    let statement = series_statement(&segments, "car");
    for wanted in [
        "segment_id BETWEEN 1 AND 9 AND \"car\" IS NOT NULL",
        "GROUP BY segment_id, interval_s, time",
    ] {
        assert!(statement.contains(wanted), "{wanted}: {statement}");
    }
    let [from, to] = ["2026-11-20T11:00:00Z", "2026-11-20T11:01:00Z"].map(str::to_owned);
    let statement = rows_statement(&part(Selection::ReceivedBetween { from, to }, false));
    assert!(
        statement.ends_with(
            "received_at >= '2026-11-20T11:00:00Z' AND received_at <= '2026-11-20T11:01:00Z'"
        ),
        "{statement}"
    );
}

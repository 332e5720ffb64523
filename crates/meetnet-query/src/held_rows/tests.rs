use crate::fixture::{all_rows, check_size, service_within};

/// Windows over much more than their memory: what has to be held is refused, what goes by is answered.
#[tokio::test(flavor = "multi_thread")]
async fn a_window_holds_no_more_than_its_query_may() {
    let service = service_within(48 << 20);
    let over = |window: &str, rows: u64| {
        format!(
            "SELECT count(s) FROM (SELECT sum(value) OVER ({window}) AS s FROM generate_series(1, {rows}))"
        )
    };
    for (window, rows, is_answered) in [
        ("", 10_000, true),
        ("", 5_000_000, false),
        (
            "ORDER BY value ROWS BETWEEN 3 PRECEDING AND CURRENT ROW",
            1_000_000,
            true,
        ),
        ("ORDER BY value", 1_000_000, true),
        (
            "ORDER BY value ROWS BETWEEN CURRENT ROW AND 900000 FOLLOWING",
            5_000_000,
            false,
        ),
        (
            "ORDER BY value RANGE BETWEEN 3000000 PRECEDING AND CURRENT ROW",
            5_000_000,
            false,
        ),
        (
            "ORDER BY value ROWS BETWEEN 100000 PRECEDING AND CURRENT ROW",
            1_000_000,
            true,
        ),
        (
            "ORDER BY value ROWS BETWEEN 900000 PRECEDING AND CURRENT ROW",
            5_000_000,
            false,
        ),
        ("PARTITION BY value % 7", 5_000_000, false),
    ] {
        let sql = over(window, rows);
        check_size(&service, &sql, is_answered).await;
    }
}

/// Each function makes a result of each row.
#[tokio::test(flavor = "multi_thread")]
async fn many_functions_over_a_window_hold_many_results() {
    let service = service_within(48 << 20);
    let of = |function: &str, count: usize, rows: u64| {
        let functions = (0..count).map(|at| {
            let function = function.replace("AT", &at.to_string());
            format!("{function} OVER () AS c{at}")
        });
        let functions: Vec<String> = functions.collect();
        // All of them are asked for, so that none is left out.
        let counted: Vec<String> = (0..count).map(|at| format!("count(c{at})")).collect();
        format!(
            "SELECT {} FROM (SELECT {} FROM (SELECT value, repeat('x', 500 + value % 2) AS t FROM generate_series(1, {rows})))",
            counted.join(", "),
            functions.join(", ")
        )
    };
    for (function, count, rows, is_answered) in [
        ("sum(value + AT)", 1, 10_000, true),
        ("sum(value + AT)", 100, 1_000, true),
        ("sum(value + AT)", 100, 20_000, false),
        ("max(t || AT)", 1, 10_000, true),
        ("max(t || AT)", 100, 10_000, false),
    ] {
        let sql = of(function, count, rows);
        check_size(&service, &sql, is_answered).await;
    }
}

/// A list of each frame is up to a thousand times what came in: few rows are made at a time, and what waits for others counts.
#[tokio::test(flavor = "multi_thread")]
async fn lists_of_frames_are_made_of_few_rows_at_a_time() {
    let service = service_within(48 << 20);
    let over = |others: &str, rows: u64| {
        format!(
            "SELECT array_agg(value) OVER (ORDER BY value ROWS 99 PRECEDING) AS l{others} FROM generate_series(1, {rows})"
        )
    };
    // A hundred values of each row; and what another frame looks back to is copied with each part, so these are larger.
    let (small, larger) = (1..=8_192 / 100, 256..=8_192 / 16);
    for (other, expect) in [
        ("", &small),
        ("ROWS 1000 PRECEDING", &small),
        ("ROWS 5000 PRECEDING", &larger),
        ("RANGE 50 PRECEDING", &larger),
    ] {
        let others = match other {
            "" => String::new(),
            frame => format!(", sum(value) OVER (ORDER BY value {frame})"),
        };
        let sql = over(&others, 20_000);
        let batches = all_rows(&service, &sql).await.expect("rows");
        let rows: Vec<usize> = batches.iter().map(|batch| batch.num_rows()).collect();
        assert_eq!(rows.iter().sum::<usize>(), 20_000, "{sql}");
        let most = rows.iter().max().copied().unwrap_or(0);
        assert!(expect.contains(&most), "{most} rows: {sql}");
    }
    for bound in ["UNBOUNDED", "500000"] {
        let waits = format!(
            ", sum(value) OVER (ORDER BY value ROWS BETWEEN CURRENT ROW AND {bound} FOLLOWING)"
        );
        for (rows, is_answered) in [(1_000, true), (100_000, false)] {
            let sql = over(&waits, rows);
            check_size(&service, &sql, is_answered).await;
        }
    }
}

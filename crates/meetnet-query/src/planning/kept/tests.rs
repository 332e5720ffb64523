use super::*;

/// Returns what is said of one statement over the built-in datasets.
fn said(sql: &str) -> Option<String> {
    let declarations = Arc::new(meetnet_model::schemas::builtin().into_declarations([]));
    let refused = refused_statements(&["SELECT 1", sql], &declarations, &QueryOptions::default());
    assert!(refused.len() < 2, "{refused:?}");
    refused.into_iter().next().map(|(at, error)| {
        assert_eq!(at, 1, "{error}");
        error.to_string()
    })
}

#[test]
fn statements_that_nobody_can_be_answered_are_found() {
    let check = |sql: &str, expect: &str| {
        let said = said(sql);
        assert!(
            said.as_ref().is_some_and(|said| said.contains(expect)),
            "{sql}: {said:?}"
        );
    };
    check("SELECT nothing_such FROM heat", "nothing_such");
    check("SELECT * FROM heath", "heath");
    check("SELEC 1", "");
    check("SELECT 1; SELECT 2", "single");
    check("", "empty");
    assert!(said("DELETE FROM heat").is_some());
    assert!(said("SELECT nothing_such($1) FROM heat").is_some());
}

#[test]
fn statements_that_can_be_asked_are_left_alone() {
    for sql in [
        "SELECT sensor_id, max(value) AS warmest FROM heat WHERE property = 'air_temperature' AND time >= $from \
         GROUP BY 1 ORDER BY 2 DESC LIMIT 10",
        "SELECT count(*) FROM heat WHERE time > ? AND value > ?",
        "SELECT * FROM heat_as_of($at)",
        "SELECT * FROM generate_series(1, $n)",
        "SELECT t FROM generate_series($from::timestamptz, $to::timestamptz, $step::interval) AS t(t)",
        "SELECT count(*) FROM heat WHERE time > now() - INTERVAL '1 day' AND property = ANY($names)",
        "SELECT * FROM heat_as_of($at) WHERE value > $least LIMIT $n",
        "SELECT s.name, h.value FROM heat h JOIN stations s ON s.id = h.sensor_id",
        "SELECT '$' || property FROM heat_history LIMIT $n",
        "SELECT * FROM heat_hourly",
    ] {
        assert_eq!(said(sql), None, "{sql}");
    }
}

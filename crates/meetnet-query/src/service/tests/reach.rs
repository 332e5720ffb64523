//! How far an answer reaches, as of when it can be asked for, and whether it stays as it is.

use meetnet_model::ids::Sequence;

use super::{service, text};
use crate::error::QueryErrorKind;
use crate::fixture::{self, START};
use crate::options::QueryRequest;

#[tokio::test]
async fn an_answer_says_how_far_it_reaches_and_its_units() {
    let lake = fixture::lake();
    let service = service(&lake);
    let check =
        async |request: QueryRequest, through: u64, stable_time: i64, units: &[Option<&str>]| {
            let sql = request.sql.clone();
            let answer = service.query(request).await.expect("an answer");
            let known: Vec<Option<&str>> = answer.units.iter().map(Option::as_deref).collect();
            let reach = (answer.through, answer.stable_time);
            assert_eq!(reach, (Sequence(through), stable_time), "{sql}");
            assert_eq!(known, units, "{sql}");
        };
    let counts = START + 1000 * fixture::HOUR;
    let public = QueryRequest::public;
    let private = QueryRequest::private;
    check(
        public("SELECT segment_id, car AS c FROM counts"),
        7,
        counts,
        &[None, Some("1/h")],
    )
    .await;
    check(
        public("SELECT x.car FROM (SELECT car FROM counts WHERE car > 1) x ORDER BY 1"),
        7,
        counts,
        &[Some("1/h")],
    )
    .await;
    check(
        public(
            "SELECT heat_index(car, 50), convert(car, 'Cel', '°F'), locf(car) OVER (ORDER BY time), \
             time_bucket('1 day', time) FROM counts",
        ),
        7,
        counts,
        &[Some("Cel"), Some("[degF]"), Some("1/h"), None],
    )
    .await;
    check(
        public(
            "SELECT last(car, time), time_weighted_avg(car, time), \
             coverage(time, INTERVAL '1 hour', '2026-01-01', '2026-01-02') FROM counts",
        ),
        7,
        counts,
        &[Some("1/h"), Some("1/h"), Some("1")],
    )
    .await;
    check(public("SELECT 1"), 7, counts, &[None]).await;
    check(private("SELECT 1"), 5, START, &[None]).await;
    check(
        private("SELECT 1 FROM counts WHERE segment_id IN (SELECT segment_id FROM notes)"),
        5,
        START,
        &[None],
    )
    .await;
    check(private("SELECT count(*) FROM counts"), 7, counts, &[None]).await;
    check(
        private("SELECT h.car FROM counts_history h"),
        7,
        counts,
        &[Some("1/h")],
    )
    .await;
    check(
        private("SELECT car FROM counts_as_of('2026-01-01')"),
        7,
        counts,
        &[Some("1/h")],
    )
    .await;
    check(
        private("SELECT count(*) FROM counts, notes_as_of('2025-01-01')"),
        5,
        START,
        &[None],
    )
    .await;
}

#[tokio::test]
async fn a_time_past_the_stable_time_of_a_dataset_it_reads_is_refused() {
    let lake = fixture::lake();
    let service = service(&lake);
    let as_of = |hours: i64, sql: &str| QueryRequest {
        as_of: Some(START + hours * fixture::HOUR),
        ..QueryRequest::private(sql)
    };
    // `notes` is stable up to START, `counts` and `revised` a thousand hours longer.
    for (hours, sql, refused) in [
        (1, "SELECT count(*) FROM counts", None),
        (
            1000,
            "SELECT count(*) FROM counts JOIN revised USING (time)",
            None,
        ),
        (1001, "SELECT count(*) FROM revised", Some("`revised`")),
        (
            1001,
            "SELECT count(*) FROM revised_history",
            Some("`revised`"),
        ),
        (1, "SELECT count(*) FROM counts, notes", Some("`notes`")),
        (
            1,
            "SELECT 1 WHERE 1 IN (SELECT segment_id FROM notes_history)",
            Some("`notes`"),
        ),
        (0, "SELECT count(*) FROM counts, notes", None),
        (9999, "SELECT 1", None),
        // A view at a time of its own keeps it.
        (
            1,
            "SELECT count(*) FROM revised_as_of('2026-01-01T12:00:00Z')",
            None,
        ),
    ] {
        match (text(&service, as_of(hours, sql)).await, refused) {
            (Ok(_), None) => {}
            (Err(error), Some(name)) => {
                assert_eq!(error.kind, QueryErrorKind::NotSettled, "{sql}: {error}");
                assert!(error.message.contains(name), "{sql}: {error}");
                assert!(error.message.contains("stable time 2026-"), "{error}");
            }
            (answer, refused) => panic!("{sql}: {answer:?}, not {refused:?}"),
        }
    }
}

#[tokio::test]
async fn an_answer_says_whether_it_is_settled() {
    let lake = fixture::lake();
    let service = service(&lake);
    let view = "revised_as_of('2026-01-01T12:00:00Z')";
    for (as_of, sql, settled) in [
        (None, "SELECT car FROM revised".to_owned(), false),
        (None, "SELECT car FROM revised_history".to_owned(), false),
        (None, format!("SELECT car FROM {view}"), true),
        (
            None,
            format!("SELECT count(*) FROM {view} JOIN revised USING (time)"),
            false,
        ),
        (
            None,
            format!("SELECT car FROM {view} WHERE time < now()"),
            false,
        ),
        (None, format!("SELECT random() FROM {view}"), false),
        (
            None,
            format!("SELECT car + value FROM {view}, generate_series(1, 3)"),
            true,
        ),
        (
            None,
            format!(
                "SELECT car FROM {view}, time_grid(INTERVAL '1 day', '2026-01-01T00:00:00Z', '2026-01-03T00:00:00Z')"
            ),
            true,
        ),
        (
            None,
            format!(
                "SELECT car FROM {view}, time_grid(INTERVAL '1 day', now() - INTERVAL '2 days', now())"
            ),
            false,
        ),
        (None, format!("EXPLAIN SELECT car FROM {view}"), false),
        (
            None,
            format!("SELECT (SELECT count(*) FROM revised) FROM {view}"),
            false,
        ),
        (None, "SELECT 1".to_owned(), false),
        (Some(START), "SELECT car FROM revised".to_owned(), true),
        (
            Some(START),
            "SELECT car FROM revised_history".to_owned(),
            true,
        ),
        (Some(START), "SELECT now() FROM revised".to_owned(), false),
        (
            Some(START),
            "SELECT car FROM revised, information_schema.tables".to_owned(),
            false,
        ),
    ] {
        let request = QueryRequest {
            as_of,
            ..QueryRequest::public(sql.as_str())
        };
        let answer = service.query(request).await.expect("an answer");
        assert_eq!(answer.is_settled, settled, "{sql} as of {as_of:?}");
        assert_eq!(answer.as_of, as_of, "{sql}");
        assert_eq!(answer.through, Sequence(7), "{sql}");
        assert_eq!(answer.stable_time, START + 1000 * fixture::HOUR, "{sql}");
    }
}

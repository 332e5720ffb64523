//! `AT TIME ZONE`, whose type follows from that of what it is of: the answers are those of PostgreSQL 15 in a session of UTC.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, TimeUnit};

use super::{check, request, table};
use crate::fixture::Database;
use crate::options::QueryRequest;
use crate::parameters::positional;

const BRUSSELS: &str = "'Europe/Brussels'";

/// Returns a statement with the zone in place of `Z!`.
fn written(sql: &str) -> String {
    sql.replace("Z!", BRUSSELS)
}

/// Of texts alone one sees which has a zone.
#[tokio::test]
async fn what_clocks_show_becomes_an_instant_whatever_it_is_made_of() {
    let database = Database::new();
    for (of, expected) in [
        (
            "(DATE '2026-03-30' + INTERVAL '0 hours')",
            "2026-03-29T22:00:00Z",
        ),
        (
            "date_trunc('day', '2026-03-30 12:00Z'::timestamptz AT TIME ZONE Z!)",
            "2026-03-29T22:00:00Z",
        ),
        (
            "coalesce(NULL, TIMESTAMP '2026-03-30 00:00')",
            "2026-03-29T22:00:00Z",
        ),
        (
            "(CASE WHEN 1 > 2 THEN NULL ELSE TIMESTAMP '2026-03-30 00:00' END)",
            "2026-03-29T22:00:00Z",
        ),
        (
            "greatest(TIMESTAMP '2026-03-29 00:00', TIMESTAMP '2026-03-30 00:00')",
            "2026-03-29T22:00:00Z",
        ),
        // What is an instant is shown by the clocks.
        ("'2026-03-30 12:00Z'::timestamptz", "2026-03-30T14:00:00"),
        ("'2026-03-30 12:00'", "2026-03-30T14:00:00"),
        ("DATE '2026-03-30'", "2026-03-30T02:00:00"),
        ("NULL", "-"),
    ] {
        let sql = written(&format!("SELECT ({of} AT TIME ZONE Z!)::text AS t"));
        check(&database, &sql, &["t", expected]).await;
        let sql = written(&format!("SELECT timezone(Z!, {of})::text AS t"));
        check(&database, &sql, &["t", expected]).await;
    }
}

#[tokio::test]
async fn columns_say_what_they_are() {
    let database = Database::new();
    for (sql, expected) in [
        (
            "SELECT min(time) AS t FROM counts WHERE segment_id = 1 AND \
             time >= (DATE '2026-01-02' + INTERVAL '12 hours') AT TIME ZONE Z!",
            &["t", "2026-01-02T11:00:00Z"][..],
        ),
        (
            "WITH days AS (SELECT date_trunc('day', time AT TIME ZONE Z!) AS d FROM counts WHERE segment_id = 1) \
             SELECT min(d AT TIME ZONE Z!) AS t FROM days",
            &["t", "2025-12-31T23:00:00Z"],
        ),
        (
            "SELECT max(t AT TIME ZONE Z!) AT TIME ZONE Z! AS t FROM (VALUES ('2026-07-01 12:00Z'::timestamptz)) AS v(t)",
            &["t", "2026-07-01T12:00:00Z"],
        ),
        (
            "SELECT t AT TIME ZONE Z! AS t FROM (VALUES (TIMESTAMP '2026-03-30 00:00')) AS v(t)",
            &["t", "2026-03-29T22:00:00Z"],
        ),
        (
            "SELECT t AT TIME ZONE Z! AS t FROM generate_series(TIMESTAMP '2026-03-30 00:00', TIMESTAMP '2026-03-30 01:00', '1 hour') AS t",
            &["t", "2026-03-29T22:00:00Z", "2026-03-29T23:00:00Z"],
        ),
        // Each row may have its zone.
        (
            "SELECT ('2026-07-01 12:00Z'::timestamptz AT TIME ZONE zone)::text AS t FROM (VALUES (1, 'Asia/Tokyo'), (2, 'utc'), (3, NULL)) \
             AS v(n, zone) ORDER BY n",
            &["t", "2026-07-01T21:00:00", "2026-07-01T12:00:00", "-"],
        ),
        (
            "SELECT timezone(zone, t) AS t FROM (VALUES ('CET', TIMESTAMP '2026-07-01 12:00')) AS v(zone, t)",
            &["t", "2026-07-01T11:00:00Z"],
        ),
    ] {
        check(&database, &written(sql), expected).await;
    }
}

/// A local midnight, which is 23:00 in UTC.
#[tokio::test]
async fn an_instant_is_one_in_utc_whatever_zone_it_came_from() {
    let database = Database::new();
    for (sql, expected) in [
        ("extract(hour FROM t)", "23"),
        ("to_char(t, 'HH24:MI OF')", "23:00 +00"),
        ("t::date", "2026-03-28"),
        ("date_trunc('day', t)", "2026-03-28T00:00:00Z"),
        // The night in which the clocks are put forward has 23 hours: a day in UTC has none such.
        ("t + INTERVAL '1 day'", "2026-03-29T23:00:00Z"),
        (
            "'2026-03-29 00:00Z'::timestamptz - t = INTERVAL '1 hour'",
            "true",
        ),
    ] {
        let sql = format!(
            "WITH days AS (SELECT date_trunc('day', '2026-03-29 12:00Z'::timestamptz AT TIME ZONE Z!) AT TIME ZONE Z! AS t) \
             SELECT {sql} AS x FROM days"
        );
        check(&database, &written(&sql), &["x", expected]).await;
    }
    let sql = "SELECT TIMESTAMP '2026-03-30 00:30' AT TIME ZONE 'Europe/Brussels' AS t";
    let described = database.service.describe(request(sql), Vec::new()).await;
    let described = described.expect("a description");
    let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    assert_eq!(*described.schema.field(0).data_type(), utc);
}

#[tokio::test]
async fn parameters_are_what_the_client_says_they_are() {
    let database = Database::new();
    let sql = "SELECT $1 AT TIME ZONE $2 AS t";
    let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let naive = DataType::Timestamp(TimeUnit::Microsecond, None);
    for (known, time, answer) in [
        (None, &utc, &naive),
        (Some(utc.clone()), &utc, &naive),
        (Some(naive.clone()), &naive, &utc),
    ] {
        let described = database
            .service
            .describe(request(sql), vec![known, None])
            .await;
        let described = described.expect("a description");
        let expected = [Some(time.clone()), Some(DataType::Utf8)];
        assert_eq!(described.parameters, expected);
        assert_eq!(described.schema.field(0).data_type(), answer);
    }
    // 2026-07-01 12:00
    let noon = TimestampMicrosecondArray::from(vec![1_782_907_200_000_000]);
    for (time, expected) in [
        (noon.clone(), "2026-07-01T10:00:00Z"),
        (noon.with_timezone("UTC"), "2026-07-01T14:00:00Z"),
    ] {
        let values: Vec<ArrayRef> = vec![
            Arc::new(time),
            Arc::new(StringArray::from(vec!["Europe/Brussels"])),
        ];
        let request = QueryRequest {
            parameters: positional(values),
            ..request(sql)
        };
        assert_eq!(table(&database, request).await[1], [expected]);
    }
}

#[tokio::test]
async fn what_has_no_zone_is_refused() {
    let database = Database::new();
    for (sql, why) in [
        ("SELECT TIME '12:00' AT TIME ZONE Z!", "time of day"),
        ("SELECT 1 AT TIME ZONE Z!", "it takes a time"),
        (
            "SELECT now() AT TIME ZONE INTERVAL '2 hours'",
            "the name of a zone",
        ),
        (
            "SELECT now() AT TIME ZONE 'Nowhere'",
            "unknown time zone `Nowhere`",
        ),
        ("SELECT 'infinity'::timestamptz", "there is none behind all"),
    ] {
        let refused = database.answer(request(&written(sql))).await;
        let refused = refused.expect_err(sql).message;
        assert!(refused.contains(why), "{sql}: {refused}");
    }
}

#[tokio::test]
async fn spans_are_shown_by_their_pattern() {
    let database = Database::new();
    for (sql, expected) in [
        (
            "to_char('2026-01-03 01:15Z'::timestamptz - '2026-01-01 00:00Z'::timestamptz, 'DD HH24:MI')",
            "02 01:15",
        ),
        ("to_char(INTERVAL '26 hours', 'HH24:MI')", "26:00"),
        ("to_char(INTERVAL '13 hours', 'HH:MI am')", "01:00 pm"),
        ("to_char(NULL::interval, 'HH24')", "-"),
        ("isfinite(DATE '2026-01-01')", "true"),
        ("isfinite(NULL::date)", "-"),
        (
            "TIMESTAMP '2026-02-28 23:59:59.6'::timestamp(0)",
            "2026-03-01T00:00:00Z",
        ),
    ] {
        let sql = format!("SELECT {sql} AS x");
        check(&database, &sql, &["x", expected]).await;
    }
    let refused = database
        .answer(request("SELECT to_char(INTERVAL '2 days', 'Mon')"))
        .await;
    let refused = refused.expect_err("a month").message;
    assert!(refused.contains("no place in the calendar"), "{refused}");
}

use axum::http::StatusCode;
use meetnet_model::rows::RowsBuilder;
use meetnet_model::schemas;

use super::*;
use crate::fixture;

const DAY: i64 = 86_400_000_000;

/// Rows of the built-in dataset: dataset, period, time, rows, suspect ones, completeness.
type Row<'a> = (&'a str, &'a str, i64, i64, i64, Option<f64>);

fn read_rows(rows: &[Row<'_>]) -> AllFigures {
    let schemas = schemas::builtin();
    let declaration = schemas
        .datasets
        .values()
        .find(|dataset| dataset.assess.is_some());
    let declaration = declaration.expect("a built-in dataset");
    let column = |name: &str| declaration.column_index(name).expect("a column");
    let mut builder = RowsBuilder::new(Arc::clone(declaration));
    for (dataset, period, time, rows, suspect, completeness) in rows {
        builder.set_text(column("dataset"), dataset);
        builder.set_text(column("period"), period);
        builder.set_int(column("time"), *time);
        builder.set_int(column("rows"), *rows);
        builder.set_int(column("suspect"), *suspect);
        if let Some(completeness) = completeness {
            builder.set_float(column("completeness"), *completeness);
        }
        builder.finish_row(0).expect("a whole row");
    }
    let mut figures = AllFigures::new();
    add(&builder.take().batch, &mut figures);
    figures
}

#[test]
fn rows_are_told_by_dataset_and_period() {
    let figures = read_rows(&[
        ("air", "all", 0, 30, 3, Some(0.5)),
        ("air", "day", DAY, 10, 1, None),
        ("air", "day", 2 * DAY, 0, 0, Some(0.0)),
        ("air", "month", 0, 30, 3, Some(0.5)),
        ("heat", "day", DAY, 4, 4, Some(1.0)),
    ]);
    let air = &figures["air"];
    let starts: Vec<_> = air.days.iter().map(|day| day.start.as_deref()).collect();
    assert_eq!(
        starts,
        [Some("1970-01-02T00:00:00Z"), Some("1970-01-03T00:00:00Z")]
    );
    let share = |rows: i64, share: Option<f64>| Share { rows, share };
    assert_eq!(air.days[0].flags.suspect, share(1, Some(0.1)));
    assert_eq!(air.days[0].completeness, None);
    // Of nothing there is no share.
    assert_eq!(air.days[1].flags.suspect, share(0, None));
    assert_eq!(air.months.len(), 1);
    let all = air.all.as_ref().expect("everything");
    assert_eq!((all.start.as_deref(), all.rows), (None, 30));
    assert_eq!(figures["heat"].days[0].flags.suspect, share(4, Some(1.0)));
    assert_eq!(figures["heat"].all, None);
}

#[tokio::test]
async fn figures_are_of_public_datasets_that_sources_fill() {
    let answer = fixture::get(fixture::router(), "/api/v1/datasets/heat/quality").await;
    assert_eq!(answer.status, StatusCode::OK);
    let json = answer.json();
    assert_eq!(json["dataset"], "heat");
    assert_eq!(json["licence"], "CC0-1.0");
    for header in ["meetnet-through", "meetnet-stable-time"] {
        assert_ne!(answer.header(header), "", "{header}");
    }
    assert_eq!(json["days"], serde_json::json!([]));
    assert!(json["all"].is_null());
    assert_eq!(json["links"]["figures"], "/api/v1/datasets/data_quality");
    let links = fixture::get(fixture::router(), "/api/v1/datasets/heat").await;
    assert_eq!(
        links.json()["links"]["quality"],
        "/api/v1/datasets/heat/quality"
    );
    for unknown in [
        "heat_hourly",
        "stations",
        "data_quality",
        "rejects",
        "colour",
    ] {
        let path = format!("/api/v1/datasets/{unknown}/quality");
        let answer = fixture::get(fixture::router(), &path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{unknown}");
    }
    let more = fixture::get(fixture::router(), "/api/v1/datasets/heat/quality?days=7").await;
    assert_eq!(more.status, StatusCode::BAD_REQUEST);
}

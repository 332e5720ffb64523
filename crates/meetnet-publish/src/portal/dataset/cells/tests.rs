use super::*;
use crate::fixture;
use crate::negotiate::Language;

#[test]
fn values_are_written_for_people() {
    let declarations = fixture::declarations();
    let settings = crate::state::PublishSettings::default();
    let reader = Reader {
        language: Language::En,
        settings: &settings,
        now: fixture::NOW,
    };
    let cells = |dataset: &str| Cells {
        declaration: declarations.dataset(dataset).expect("built in"),
        declarations: &declarations,
        reader: &reader,
    };
    // Midnight in Brussels that begins 28 November 2026, which is the day before in UTC.
    let midnight = 1_795_820_400_000_000;
    let time = |dataset: &str, column: &str, micros: i64, period: Option<&str>| {
        let text = cells(dataset).time(column, micros, period);
        text.unwrap_or_else(|| "none".to_owned())
    };
    for (dataset, column, expect) in [
        ("air_daily", "time", "28 November 2026"),
        ("heat_daily", "time", "28 November 2026"),
        ("traffic_daily", "time", "28 November 2026"),
        ("air_exceedances", "time", "2026"),
        ("air_yearly", "time", "2026"),
        ("air_hourly", "time", "28 November 2026, 00:00"),
        ("heat", "time", "28 November 2026, 00:00"),
        ("stations", "valid_from", "28 November 2026, 00:00"),
        ("air_daily", "received_at", "28 November 2026, 00:00"),
    ] {
        assert_eq!(time(dataset, column, midnight, None), expect, "{dataset}");
    }
    // A year begins in Brussels an hour earlier than in UTC.
    assert_eq!(
        time("air_yearly", "time", 1_798_758_000_000_000, None),
        "2027"
    );
    // Days of `data_quality` are in UTC, and what is said of everything has no time.
    for (period, expect) in [
        ("day", "27 November 2026"),
        ("month", "November 2026"),
        ("all", "none"),
    ] {
        assert_eq!(time("data_quality", "time", midnight, Some(period)), expect);
    }
    for (dataset, column, property, expect) in [
        ("air", "value", Some("pm2_5"), 2),
        ("air", "value", Some("no2"), 3),
        ("air", "value", Some("nothing"), DECIMALS),
        ("traffic", "car", None, DECIMALS),
        ("stations", "lat", None, 5),
    ] {
        let decimals = cells(dataset).decimals(column, property);
        assert_eq!(decimals, expect, "{dataset} {column}");
    }
    for (resolution, expect) in [
        (10.0, 0),
        (1.0, 0),
        (0.1, 1),
        (0.05, 2),
        (0.005, 3),
        (0.0, 6),
    ] {
        assert_eq!(decimals_of(resolution), expect, "{resolution}");
    }
}

use std::sync::Arc;

use arrow::array::AsArray;
use meetnet_model::calendar::DAY_US;
use meetnet_model::column::{ColumnDeclaration, ColumnType};
use meetnet_model::dataset::Grain;
use meetnet_model::quality::MonthLimits;
use meetnet_model::rows::RowsBuilder;
use meetnet_model::texts::Texts;
use meetnet_model::time::parse_rfc3339;
use proptest::prelude::*;

use super::*;

mod batches;

fn column(name: &str, column_type: ColumnType, range: Option<[f64; 2]>) -> ColumnDeclaration {
    ColumnDeclaration {
        name: name.to_owned(),
        column_type,
        required: false,
        unit: None,
        iri: None,
        range,
        tests: Default::default(),
        title: None,
    }
}

fn declaration(kind: DatasetKind, columns: Vec<ColumnDeclaration>) -> Arc<DatasetDeclaration> {
    Arc::new(DatasetDeclaration {
        id: "d".into(),
        version: 1,
        kind,
        grain: Grain::Month,
        key: vec!["k".to_owned()],
        licence: None,
        source_licences: Default::default(),
        attribution: None,
        title: Texts::default(),
        description: Texts::default(),
        derive: None,
        assess: None,
        gather: None,
        rules: vec![
            QualityRule::Uptime {
                column: "uptime".to_owned(),
                suspect_below: 0.5,
            },
            QualityRule::Missing {
                columns: vec!["car".to_owned(), "bike".to_owned()],
            },
        ],
        columns,
    })
}

fn rules_of(property: &str, rules: PropertyRules) -> QualityRules {
    let of_dataset = HashMap::from([(property.to_owned(), rules)]);
    QualityRules {
        properties: HashMap::from([("d".into(), of_dataset)]),
        ..QualityRules::default()
    }
}

const RANGE: i64 = 1 << QualityTest::GrossRange as i64;
const MISSING: i64 = 1 << QualityTest::Missing as i64;
const UPTIME: i64 = 1 << QualityTest::Uptime as i64;
const CLIMATOLOGY: i64 = 1 << QualityTest::Climatology as i64;
const TIME: i64 = 1 << QualityTest::Time as i64;
const LOCATION: i64 = 1 << QualityTest::Location as i64;
const CLOCK_STEP: i64 = 1 << QualityTest::ClockStep as i64;

#[test]
fn wide_rows() {
    let check = |uptime: Option<f64>, car: Option<f64>, bike: Option<f64>, quality, tests| {
        let declaration = declaration(
            DatasetKind::Wide,
            vec![
                column("k", ColumnType::Int, None),
                column("uptime", ColumnType::Float, Some([0.0, 1.0])),
                column("car", ColumnType::Float, Some([0.0, 5_000.0])),
                column("bike", ColumnType::Int, Some([0.0, 5_000.0])),
            ],
        );
        let mut rows = RowsBuilder::new(Arc::clone(&declaration));
        rows.set_int(0, 1);
        uptime.into_iter().for_each(|v| rows.set_float(1, v));
        car.into_iter().for_each(|v| rows.set_float(2, v));
        bike.into_iter().for_each(|v| rows.set_int(3, v as i64));
        rows.finish_row(0).unwrap();
        let (flags, bits) =
            QualityRules::default().flag(&declaration, &rows.take().batch, RowFacts::default());
        assert_eq!(
            (flags.value(0), bits.value(0)),
            (quality, tests),
            "uptime {uptime:?} car {car:?} bike {bike:?}"
        );
    };
    check(Some(0.9), Some(10.0), Some(2.0), 1, 0);
    check(Some(0.9), Some(10.0), None, 1, 0);
    check(Some(0.5), Some(10.0), Some(2.0), 1, 0);
    check(Some(0.49), Some(10.0), Some(2.0), 3, UPTIME);
    check(Some(0.3), Some(9_999.0), Some(2.0), 4, UPTIME | RANGE);
    check(Some(0.9), Some(10.0), Some(9_999.0), 4, RANGE);
    check(Some(0.0), None, None, 9, UPTIME | MISSING);
    check(None, None, None, 9, MISSING);
    check(Some(1.2), Some(1.0), None, 4, RANGE);
}

#[test]
fn long_rows() {
    let declaration = declaration(
        DatasetKind::Long,
        vec![
            column("k", ColumnType::Text, None),
            column("property", ColumnType::Text, None),
            column("value", ColumnType::Float, None),
        ],
    );
    let pm10 = PropertyRules {
        range: [-5.0, 2_000.0],
        suspect_range: Some([-1.0, 999.0]),
        climatology: None,
        series: None,
    };
    let rules = rules_of("pm10", pm10);
    let mut rows = RowsBuilder::new(Arc::clone(&declaration));
    let mut expect = Vec::new();
    for (property, value, quality, tests) in [
        ("pm10", Some(12.5), 1, 0),
        ("pm10", Some(-1.0), 1, 0),
        ("pm10", Some(999.0), 1, 0),
        ("pm10", Some(-5.0), 3, RANGE),
        ("pm10", Some(999.5), 3, RANGE),
        ("pm10", Some(-5.1), 4, RANGE),
        ("pm10", Some(2_000.5), 4, RANGE),
        ("pm10", Some(f64::INFINITY), 9, MISSING),
        ("pm10", Some(f64::NAN), 9, MISSING),
        ("pm10", None, 9, MISSING),
        ("unknown", Some(1e9), 2, 0),
        ("unknown", None, 9, MISSING),
    ] {
        rows.set_text(0, "a");
        rows.set_text(1, property);
        value.into_iter().for_each(|v| rows.set_float(2, v));
        rows.finish_row(0).unwrap();
        expect.push((quality, tests));
    }
    let batch = rows.take().batch;
    assert_eq!(batch.column(1).as_string::<i32>().len(), expect.len());
    let (flags, bits) = rules.flag(&declaration, &batch, RowFacts::default());
    let got: Vec<(i8, i64)> = flags
        .values()
        .iter()
        .copied()
        .zip(bits.values().iter().copied())
        .collect();
    assert_eq!(got, expect);
}

#[test]
fn a_doubtful_receive_time_makes_a_row_suspect_and_no_row_better() {
    let check = |kind, step: [bool; 3], expect: [(i8, i64); 3]| {
        let columns = vec![
            column("k", ColumnType::Text, None),
            column("uptime", ColumnType::Float, None),
            column("car", ColumnType::Float, Some([0.0, 100.0])),
            column("bike", ColumnType::Float, None),
        ];
        let declaration = declaration(kind, columns);
        let mut rows = RowsBuilder::new(Arc::clone(&declaration));
        for car in [Some(1.0), Some(1e9), None] {
            car.into_iter().for_each(|v| rows.set_float(2, v));
            rows.finish_row(0).unwrap();
        }
        let rules = QualityRules::default();
        let facts = RowFacts {
            clock_steps: &step,
            ..RowFacts::default()
        };
        let (flags, bits) = rules.flag(&declaration, &rows.take().batch, facts);
        let found = [0, 1, 2].map(|row| (flags.value(row), bits.value(row)));
        assert_eq!(found, expect, "{kind:?} {step:?}");
    };
    check(
        DatasetKind::Wide,
        [true, true, true],
        [
            (3, CLOCK_STEP),
            (4, RANGE | CLOCK_STEP),
            (9, MISSING | CLOCK_STEP),
        ],
    );
    check(
        DatasetKind::Wide,
        [false, true, false],
        [(1, 0), (4, RANGE | CLOCK_STEP), (9, MISSING)],
    );
    // Rows that nothing else is tested on, rejects among them.
    check(
        DatasetKind::Private,
        [true, false, true],
        [(3, CLOCK_STEP), (2, 0), (3, CLOCK_STEP)],
    );
}

/// The flags of rows.
fn flags(rules: &QualityRules, rows: &mut RowsBuilder, facts: RowFacts<'_>) -> Vec<(i8, i64)> {
    let declaration = Arc::clone(rows.declaration());
    let (flags, bits) = rules.flag(&declaration, &rows.take().batch, facts);
    let flags = flags.values().iter().copied();
    flags.zip(bits.values().iter().copied()).collect()
}

fn long_columns() -> Vec<ColumnDeclaration> {
    vec![
        column("k", ColumnType::Text, None),
        column("property", ColumnType::Text, None),
        column("time", ColumnType::Timestamp, None),
        column("value", ColumnType::Float, None),
    ]
}

#[test]
fn the_month_of_a_row_chooses_its_limits() {
    let limits = |months: &[u8], suspect| MonthLimits {
        months: months.to_vec(),
        suspect,
        fail: Some([-30.0, 45.0]),
    };
    let declared = [limits(&[1], [-20.0, 20.0]), limits(&[7], [5.0, 40.0])];
    let temperature = PropertyRules {
        range: [-40.0, 50.0],
        suspect_range: None,
        climatology: Some(Climatology::new(&declared)),
        series: None,
    };
    let rules = rules_of("air_temperature", temperature);
    let check = |time: &str, value: f64, expect: (i8, i64)| {
        let mut rows = RowsBuilder::new(declaration(DatasetKind::Long, long_columns()));
        rows.set_text(0, "a");
        rows.set_text(1, "air_temperature");
        rows.set_int(2, parse_rfc3339(time).unwrap());
        rows.set_float(3, value);
        rows.finish_row(0).unwrap();
        let found = flags(&rules, &mut rows, RowFacts::default());
        assert_eq!(found, [expect], "{value} at {time}");
    };
    check("2026-01-31T23:59:59Z", 25.0, (3, CLIMATOLOGY));
    check("2026-01-31T23:59:59Z", 20.0, (1, 0));
    check("2026-07-01T00:00:00Z", 25.0, (1, 0));
    check("2026-07-01T00:00:00Z", 4.0, (3, CLIMATOLOGY));
    check("2026-07-01T00:00:00Z", 46.0, (4, CLIMATOLOGY));
    check("2026-07-01T00:00:00Z", 51.0, (4, CLIMATOLOGY | RANGE));
    // A month without limits: the range alone.
    check("2026-04-01T00:00:00Z", 49.0, (1, 0));
}

#[test]
fn rows_of_one_batch_have_the_limits_of_their_own_month() {
    let limits = |months: &[u8], suspect| MonthLimits {
        months: months.to_vec(),
        suspect,
        fail: None,
    };
    let declared = [limits(&[1, 12], [0.0, 1.0]), limits(&[2], [2.0, 3.0])];
    let temperature = PropertyRules {
        range: [-40.0, 50.0],
        suspect_range: None,
        climatology: Some(Climatology::new(&declared)),
        series: None,
    };
    let rules = rules_of("air_temperature", temperature);
    let mut rows = RowsBuilder::new(declaration(DatasetKind::Long, long_columns()));
    let mut expect = Vec::new();
    let (inside, outside) = ((1, 0), (3, CLIMATOLOGY));
    for (time, value, flags) in [
        ("2026-01-31T23:59:59.999999Z", 1.0, inside),
        ("2026-02-01T00:00:00Z", 2.0, inside),
        ("2026-01-31T23:59:59.999999Z", 2.0, outside),
        ("2026-02-28T23:59:59Z", 1.0, outside),
        ("2026-03-01T00:00:00Z", 9.0, inside),
        ("2025-12-31T23:59:59Z", 0.5, inside),
        ("2026-01-01T00:00:00Z", 0.5, inside),
        ("2025-02-01T00:00:00Z", 0.5, outside),
        ("1970-01-01T00:00:00Z", 2.5, outside),
        ("1969-12-31T23:59:59Z", 1.0, inside),
    ] {
        rows.set_text(0, "a");
        rows.set_text(1, "air_temperature");
        rows.set_int(2, parse_rfc3339(time).unwrap());
        rows.set_float(3, value);
        rows.finish_row(0).unwrap();
        expect.push(flags);
    }
    let found = flags(&rules, &mut rows, RowFacts::default());
    assert_eq!(found, expect);
}

proptest! {
    #[test]
    fn the_month_that_is_remembered_is_that_of_the_calendar(
        times in prop::collection::vec(
            prop_oneof![
                9 => (-70_i64..70, -1_i64..=1).prop_map(|(day, after)| day * DAY_US + after),
                1 => any::<i64>(),
            ],
            1..100,
        ),
    ) {
        let mut months = LastMonth::default();
        for time in times {
            prop_assert_eq!(months.of(time), month(time), "{}", time);
        }
    }
}

#[test]
fn a_row_of_a_time_that_had_not_come_is_suspect() {
    let received_at = parse_rfc3339("2026-07-01T00:00:00Z").unwrap();
    let check = |kind, ahead_us: i64, received_at: &[i64], expect: (i8, i64)| {
        let mut rows = RowsBuilder::new(declaration(kind, long_columns()));
        rows.set_text(0, "a");
        rows.set_text(1, "unknown");
        let time = parse_rfc3339("2026-07-01T00:00:00Z").unwrap() + ahead_us;
        rows.set_int(2, time);
        rows.set_float(3, 1.0);
        rows.finish_row(0).unwrap();
        let facts = RowFacts {
            received_at,
            ..RowFacts::default()
        };
        let found = flags(&QualityRules::default(), &mut rows, facts);
        assert_eq!(found, [expect], "{kind:?} {ahead_us} {received_at:?}");
    };
    for kind in [DatasetKind::Long, DatasetKind::Wide] {
        check(kind, 0, &[received_at], (2, 0));
        check(kind, -SECOND_US, &[received_at], (2, 0));
        check(kind, TIME_AHEAD_MAX_US, &[received_at], (2, 0));
        check(kind, TIME_AHEAD_MAX_US + 1, &[received_at], (3, TIME));
        // An import does not know.
        check(kind, TIME_AHEAD_MAX_US + 1, &[], (2, 0));
    }
    check(
        DatasetKind::Private,
        2 * TIME_AHEAD_MAX_US,
        &[received_at],
        (2, 0),
    );
}

#[test]
fn places_lie_on_earth() {
    let check = |lon: Option<f64>, lat: Option<f64>, expect: (i8, i64)| {
        let columns = vec![
            column("k", ColumnType::Text, None),
            column("lon", ColumnType::Float, None),
            column("lat", ColumnType::Float, None),
        ];
        let mut rows = RowsBuilder::new(declaration(DatasetKind::Places, columns));
        rows.set_text(0, "a");
        lon.into_iter().for_each(|v| rows.set_float(1, v));
        lat.into_iter().for_each(|v| rows.set_float(2, v));
        rows.finish_row(0).unwrap();
        let found = flags(&QualityRules::default(), &mut rows, RowFacts::default());
        assert_eq!(found, [expect], "{lon:?} {lat:?}");
    };
    check(Some(4.7), Some(50.88), (1, 0));
    check(Some(470.0), Some(50.88), (4, LOCATION));
    check(Some(4.7), None, (4, LOCATION));
    check(None, None, (2, 0));
}

#[test]
fn places_outside_the_bounds_of_the_city_are_suspect() {
    let check = |lon: f64, lat: f64, expect: (i8, i64)| {
        let columns = vec![
            column("k", ColumnType::Text, None),
            column("lon", ColumnType::Float, Some([4.6, 4.8])),
            column("lat", ColumnType::Float, Some([50.8, 51.0])),
        ];
        let mut rows = RowsBuilder::new(declaration(DatasetKind::Places, columns));
        rows.set_text(0, "a");
        rows.set_float(1, lon);
        rows.set_float(2, lat);
        rows.finish_row(0).unwrap();
        let found = flags(&QualityRules::default(), &mut rows, RowFacts::default());
        assert_eq!(found, [expect], "{lon} {lat}");
    };
    check(4.7, 50.88, (1, 0));
    check(4.6, 51.0, (1, 0));
    check(4.59, 50.88, (3, LOCATION));
    check(4.7, 51.01, (3, LOCATION));
    // Not on Earth is worse.
    check(190.0, 50.88, (4, LOCATION));
}

#[test]
fn columns_of_wide_rows_have_limits_by_month_and_a_suspect_range() {
    let mut flow = column("flow", ColumnType::Int, Some([0.0, 100.0]));
    flow.tests.suspect_range = Some([0.0, 50.0]);
    flow.tests.climatology = vec![MonthLimits {
        months: vec![1],
        suspect: [0.0, 10.0],
        fail: None,
    }];
    let columns = vec![
        column("k", ColumnType::Text, None),
        column("time", ColumnType::Timestamp, None),
        flow,
    ];
    let dataset = declaration(DatasetKind::Wide, columns);
    let declarations = Declarations {
        decoder_version: 1,
        datasets: [(dataset.id.clone(), Arc::clone(&dataset))].into(),
        properties: Vec::new(),
        sources: Default::default(),
    };
    let rules = QualityRules::new(&declarations);
    let check = |time: &str, value: i64, expect: (i8, i64)| {
        let mut rows = RowsBuilder::new(Arc::clone(&dataset));
        rows.set_text(0, "a");
        rows.set_int(1, parse_rfc3339(time).unwrap());
        rows.set_int(2, value);
        rows.finish_row(0).unwrap();
        let found = flags(&rules, &mut rows, RowFacts::default());
        assert_eq!(found, [expect], "{value} at {time}");
    };
    check("2026-07-01T00:00:00Z", 50, (1, 0));
    check("2026-07-01T00:00:00Z", 51, (3, RANGE));
    check("2026-07-01T00:00:00Z", 101, (4, RANGE));
    check("2026-01-01T00:00:00Z", 11, (3, CLIMATOLOGY));
}

#[test]
fn tests_by_earlier_rows_count_as_any_other() {
    let check = |value: Option<f64>, series: [Quality; 3], expect: (i8, i64)| {
        let mut rows = RowsBuilder::new(declaration(DatasetKind::Long, long_columns()));
        rows.set_text(0, "a");
        rows.set_text(1, "unknown");
        rows.set_int(2, 0);
        value.into_iter().for_each(|v| rows.set_float(3, v));
        rows.finish_row(0).unwrap();
        let [rate_of_change, flat_line, attenuated_signal] = series;
        let series = [SeriesFlags {
            rate_of_change,
            flat_line,
            attenuated_signal,
            ..SeriesFlags::NOT_EVALUATED
        }];
        let facts = RowFacts {
            series: &series,
            ..RowFacts::default()
        };
        let found = flags(&QualityRules::default(), &mut rows, facts);
        assert_eq!(found, [expect], "{value:?} {series:?}");
    };
    use Quality::{Fail, Missing, NotEvaluated, Pass, Suspect};
    let [rate, flat, attenuated] = [
        QualityTest::RateOfChange,
        QualityTest::FlatLine,
        QualityTest::AttenuatedSignal,
    ]
    .map(QualityTest::bit);
    check(Some(1.0), [NotEvaluated; 3], (2, 0));
    check(Some(1.0), [Pass, NotEvaluated, NotEvaluated], (1, 0));
    check(Some(1.0), [Pass, Suspect, NotEvaluated], (3, flat));
    check(Some(1.0), [Fail, Pass, Suspect], (4, rate | attenuated));
    check(None, [Missing; 3], (9, MISSING));
}

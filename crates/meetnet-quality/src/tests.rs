use std::sync::Arc;

use arrow::array::AsArray;
use meetnet_model::column::{ColumnDeclaration, ColumnType};
use meetnet_model::dataset::Grain;
use meetnet_model::rows::RowsBuilder;
use meetnet_model::texts::Texts;

use super::*;

fn column(name: &str, column_type: ColumnType, range: Option<[f64; 2]>) -> ColumnDeclaration {
    ColumnDeclaration {
        name: name.to_owned(),
        column_type,
        required: false,
        unit: None,
        iri: None,
        range,
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
        attribution: None,
        source_licences: Default::default(),
        title: Texts::default(),
        description: Texts::default(),
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

const RANGE: i64 = 1 << QualityTest::GrossRange as i64;
const MISSING: i64 = 1 << QualityTest::Missing as i64;
const UPTIME: i64 = 1 << QualityTest::Uptime as i64;
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
        let (flags, bits) = QualityRules::default().flag(&declaration, &rows.take().batch, &[]);
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
    let rules = QualityRules {
        ranges: HashMap::from([(
            "d".into(),
            HashMap::from([("pm10".to_owned(), [-5.0, 2_000.0])]),
        )]),
    };
    let mut rows = RowsBuilder::new(Arc::clone(&declaration));
    let mut expect = Vec::new();
    for (property, value, quality, tests) in [
        ("pm10", Some(12.5), 1, 0),
        ("pm10", Some(-5.0), 1, 0),
        ("pm10", Some(-5.1), 4, RANGE),
        ("pm10", Some(2_000.5), 4, RANGE),
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
    let (flags, bits) = rules.flag(&declaration, &batch, &[]);
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
        let (flags, bits) = rules.flag(&declaration, &rows.take().batch, &step);
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

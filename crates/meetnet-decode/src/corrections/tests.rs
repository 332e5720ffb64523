use meetnet_model::property::{Correction, CorrectionInput, CorrectionMethod};
use meetnet_model::rows::RowsBuilder;
use meetnet_model::schemas;

use super::*;

/// The built-in declarations, with `pm2_5_dry`.
fn declarations() -> Declarations {
    let mut declarations = schemas::builtin().into_declarations([]);
    let measured = declarations.property("air", "pm2_5").unwrap();
    let mut dry = PropertyDeclaration::clone(measured);
    dry.name = "pm2_5_dry".to_owned();
    dry.correction = Some(Correction {
        of: "pm2_5".to_owned(),
        method: CorrectionMethod::KappaKoehler,
        humidity: CorrectionInput {
            dataset: DatasetId::new("heat"),
            property: "relative_humidity".to_owned(),
        },
        kappa: 0.33,
        density: 1.65,
        humidity_max: 95.0,
    });
    declarations.properties.push(Arc::new(dry));
    declarations
}

/// Rows of a dataset: envelope, sensor, property, second, value.
fn rows(
    declarations: &Declarations,
    dataset: &str,
    rows: &[(u32, &str, &str, i64, f64)],
) -> DatasetRows {
    let declared = declarations.dataset(dataset).unwrap();
    let column = |name: &str| declared.column_index(name).unwrap();
    let mut builder = RowsBuilder::new(Arc::clone(declared));
    for (envelope, sensor, property, second, value) in rows {
        builder.set_text(column("sensor_id"), sensor);
        builder.set_text(column("property"), property);
        builder.set_int(column("time"), second * 1_000_000);
        builder.set_float(column("value"), *value);
        builder.finish_row(*envelope).unwrap();
    }
    builder.take()
}

#[test]
fn a_corrected_row_stands_beside_the_measured_one_of_its_message() {
    let declarations = declarations();
    let air = [
        (0, "a", "pm2_5", 0, 30.0),
        (0, "a", "pm10", 0, 50.0),
        // Too humid, another sensor's humidity, another time's, none at all.
        (1, "a", "pm2_5", 60, 30.0),
        (2, "b", "pm2_5", 60, 30.0),
        (3, "a", "pm2_5", 120, 30.0),
        (4, "a", "pm2_5", 180, 30.0),
        (5, "b", "pm2_5", 240, 18.0),
    ];
    let heat = [
        (0, "a", "relative_humidity", 0, 50.0),
        (1, "a", "relative_humidity", 60, 99.0),
        (2, "a", "relative_humidity", 60, 50.0),
        (3, "a", "relative_humidity", 121, 50.0),
        (4, "a", "air_temperature", 180, 50.0),
        (5, "b", "relative_humidity", 240, 80.0),
    ];
    let mut decoded = [
        rows(&declarations, "air", &air),
        rows(&declarations, "heat", &heat),
    ];
    Corrections::new(&declarations).add(&mut decoded);
    let [air, heat] = &decoded;
    assert_eq!(heat.batch.num_rows(), 6);
    assert_eq!(air.envelopes, [0, 0, 0, 1, 2, 3, 4, 5, 5]);
    assert_eq!(air.timeless.len(), 9);
    let dry: Vec<_> = values(air, "pm2_5_dry").collect();
    let places: Vec<_> = dry.iter().map(|(row, place, _)| (*row, *place)).collect();
    assert_eq!(places, [(2, (0, 0, "a")), (8, (5, 240_000_000, "b"))]);
    assert!(
        (dry[0].2 - 25.0).abs() < 1e-9 && (dry[1].2 - 10.0).abs() < 1e-9,
        "{dry:?}"
    );
    // What was measured stays.
    assert_eq!(values(air, "pm2_5").count(), 6);

    // Without a declaration nothing is added.
    let mut plain = [rows(&declarations, "air", &[(0, "a", "pm2_5", 0, 30.0)])];
    Corrections::default().add(&mut plain);
    assert_eq!(plain[0].batch.num_rows(), 1);
}

#[test]
fn a_corrected_zero_has_no_sign() {
    let declarations = declarations();
    // Of the greatest number below zero a fifth is left, which is none.
    let mut decoded = [
        rows(&declarations, "air", &[(0, "a", "pm2_5", 0, -5e-324)]),
        rows(
            &declarations,
            "heat",
            &[(0, "a", "relative_humidity", 0, 95.0)],
        ),
    ];
    Corrections::new(&declarations).add(&mut decoded);
    let dry: Vec<u64> = values(&decoded[0], "pm2_5_dry")
        .map(|(_, _, value)| value.to_bits())
        .collect();
    assert_eq!(dry, [0.0_f64.to_bits()]);
}

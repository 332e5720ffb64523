//! What values mean: units, air quality indices, and how heat feels.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, Float64Builder, Int64Builder};
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use meetnet_model::index::{AirIndex, BELAQI, EAQI, Scale};
use meetnet_model::schemas;
use meetnet_model::units::{Conversion, Gas, UnitError};
use meetnet_model::weather::heat_index;

use crate::call::{Call, Parameter, misplanned, text_of};
use crate::described::{FunctionDescription, FunctionKind};
use crate::scalar::{ScalarSpec, map_numbers, unchecked};

/// The functions of units and indices.
pub(crate) static SCALARS: &[&ScalarSpec] = &[&CONVERT, &EAQI_CLASS, &BELAQI_CLASS, &HEAT_INDEX];

/// `convert`.
static CONVERT: ScalarSpec = ScalarSpec {
    description: &FunctionDescription {
        name: "convert",
        kind: FunctionKind::Scalar,
        signature: "convert(value, from, to [, gas]) → float64",
        description: "A value in another unit; units are UCUM codes (Cel, [degF], hPa, m/s, ug/m3, [ppb] …) or usual \
                      spellings of them. Between shares of a volume and masses the property says which gas (no2, no, o3, \
                      so2, co, co2), at 1013.25 hPa and 20 Cel as in European reporting. NULL for a property that is no \
                      gas.",
        unit: None,
        example: "SELECT convert(20.0, '[ppb]', 'ug/m3', 'no2'), convert(68.0, '[degF]', 'Cel')",
    },
    parameters: &[
        Parameter::Number,
        Parameter::Text,
        Parameter::Text,
        Parameter::Text,
    ],
    required: 3,
    returns: || DataType::Float64,
    unit_argument: Some(2),
    check: unchecked,
    evaluate: convert,
};

/// Gases of the property table that comes with the program, by property.
static GASES: LazyLock<Vec<(String, Gas)>> = LazyLock::new(|| {
    let properties = schemas::builtin().properties;
    let gases = properties.iter().filter_map(|property| {
        let gas = property.gas()?;
        Some((property.name.clone(), gas))
    });
    gases.collect()
});

/// Unit before, unit after, and the property where one is named.
type Asked<'a> = (&'a str, &'a str, Option<&'a str>);

fn convert(call: &Call<'_>) -> Result<ArrayRef> {
    let values = call.numbers(0)?;
    let (from, to) = (call.texts(1)?, call.texts(2)?);
    let properties = call.has(3).then(|| call.texts(3)).transpose()?;
    // Nearly always the same in neighbouring rows, so it is looked up when it changes.
    let mut read: Option<(Asked<'_>, Option<Conversion>)> = None;
    let mut found = Float64Builder::with_capacity(call.rows);
    for row in 0..call.rows {
        let property = properties.as_ref().map(|texts| texts.get(row));
        let (Some(from), Some(to), true) = (from.get(row), to.get(row), values.is_valid(row))
        else {
            found.append_null();
            continue;
        };
        if property == Some(None) {
            found.append_null();
            continue;
        }
        let asked = (from, to, property.flatten());
        let conversion = match read {
            Some((before, conversion)) if before == asked => conversion,
            _ => conversion(call, asked)?,
        };
        read = Some((asked, conversion));
        found.append_option(conversion.map(|conversion| conversion.apply(values.value(row))));
    }
    Ok(Arc::new(found.finish()))
}

/// Returns how to convert; None where it takes a gas and the property is none.
fn conversion(call: &Call<'_>, (from, to, property): Asked<'_>) -> Result<Option<Conversion>> {
    let gas = property.and_then(|property| {
        let known = GASES.iter().find(|(name, _)| name == property);
        known.map(|(_, gas)| *gas)
    });
    match (Conversion::between(from, to, gas), property) {
        (Ok(conversion), _) => Ok(Some(conversion)),
        (Err(UnitError::NeedsMolarMass { .. }), Some(_)) => Ok(None),
        (Err(UnitError::NeedsMolarMass { .. }), None) => {
            let gases: Vec<&str> = GASES.iter().map(|(name, _)| name.as_str()).collect();
            Err(call.wrong(format!(
                "`{from}` becomes `{to}` only for a known gas; name it as fourth argument: {}",
                gases.join(", ")
            )))
        }
        (Err(error), _) => Err(call.wrong(error)),
    }
}

static EAQI_DESCRIPTION: FunctionDescription = FunctionDescription {
    name: "eaqi",
    kind: FunctionKind::Scalar,
    signature: "eaqi(property, value) → int64",
    description: "Class of the European Air Quality Index for an hourly mean in ug/m3: 1 good, 2 fair, 3 moderate, 4 poor, \
                  5 very poor, 6 extremely poor. Of pm2_5, pm10, no2, o3 and so2; NULL for other properties, of which \
                  a constant is an error. The index of a place is the greatest class. Source: European Environment \
                  Agency, bands revised in 2024.",
    unit: Some("1"),
    example: "SELECT eaqi('pm2_5', 17.0)",
};

/// `eaqi`.
static EAQI_CLASS: ScalarSpec = ScalarSpec {
    description: &EAQI_DESCRIPTION,
    parameters: &[Parameter::Text, Parameter::Number],
    required: 2,
    returns: || DataType::Int64,
    unit_argument: None,
    check: |args| check_property(&EAQI_DESCRIPTION, &EAQI, args),
    evaluate: |call| classes(call, &EAQI),
};

static BELAQI_DESCRIPTION: FunctionDescription = FunctionDescription {
    name: "belaqi",
    kind: FunctionKind::Scalar,
    signature: "belaqi(property, value) → int64",
    description: "Class of the Belgian air quality index BelAQI for an hourly mean in ug/m3, 1 (excellent) to 10 \
                  (horrible). Of pm2_5, pm10, no2 and o3; NULL for other properties, of which a constant is an error. The \
                  index of a place is the greatest class. Source: IRCEL-CELINE, scale of November 2022.",
    unit: Some("1"),
    example: "SELECT belaqi('no2', 31.0)",
};

/// `belaqi`.
static BELAQI_CLASS: ScalarSpec = ScalarSpec {
    description: &BELAQI_DESCRIPTION,
    parameters: &[Parameter::Text, Parameter::Number],
    required: 2,
    returns: || DataType::Int64,
    unit_argument: None,
    check: |args| check_property(&BELAQI_DESCRIPTION, &BELAQI, args),
    evaluate: |call| classes(call, &BELAQI),
};

/// Refuses a property that stands in the statement and that the index does not know: NULL would hide the slip.
fn check_property(
    function: &FunctionDescription,
    index: &AirIndex,
    args: &[Option<&ScalarValue>],
) -> Result<()> {
    match text_of(args.first().copied().flatten()) {
        Some(property) if index.scale(property).is_none() => {
            let known: Vec<&str> = index.properties().collect();
            let why = format!(
                "`{property}` is not in the index; there are {}",
                known.join(", ")
            );
            Err(misplanned(function, why))
        }
        _ => Ok(()),
    }
}

fn classes(call: &Call<'_>, index: &AirIndex) -> Result<ArrayRef> {
    let (properties, values) = (call.texts(0)?, call.numbers(1)?);
    // Rows of one property stand together.
    let mut read: Option<(&str, Option<Scale>)> = None;
    let mut found = Int64Builder::with_capacity(call.rows);
    for row in 0..call.rows {
        let (Some(property), true) = (properties.get(row), values.is_valid(row)) else {
            found.append_null();
            continue;
        };
        let scale = match read {
            Some((before, scale)) if before == property => scale,
            _ => index.scale(property),
        };
        read = Some((property, scale));
        found.append_option(scale.and_then(|scale| scale.class(values.value(row))));
    }
    Ok(Arc::new(found.finish()))
}

/// `heat_index`.
static HEAT_INDEX: ScalarSpec = ScalarSpec {
    description: &FunctionDescription {
        name: "heat_index",
        kind: FunctionKind::Scalar,
        signature: "heat_index(t_celsius, relative_humidity) → float64",
        description: "The temperature in Cel that air feels like in the shade, from its temperature in Cel and its relative \
                      humidity in %. NULL for a humidity below 0 or above 100. Source: Rothfusz' regression with the \
                      adjustments of the US National Weather Service, https://www.wpc.ncep.noaa.gov/html/heatindex_equation.shtml",
        unit: Some("Cel"),
        example: "SELECT round(heat_index(35.0, 10.0), 2)",
    },
    parameters: &[Parameter::Number; 2],
    required: 2,
    returns: || DataType::Float64,
    unit_argument: None,
    check: unchecked,
    evaluate: |call| map_numbers::<2>(call, |[celsius, humidity]| heat_index(celsius, humidity)),
};

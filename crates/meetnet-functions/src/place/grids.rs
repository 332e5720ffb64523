//! Belgian Lambert 72 and 2008, one coordinate a function: a pair would be a struct, which few clients show.

use arrow::datatypes::DataType;
use meetnet_model::{lambert72, lambert2008};

use crate::call::Parameter;
use crate::described::{FunctionDescription, FunctionKind};
use crate::scalar::{ScalarSpec, map_numbers, unchecked};

/// Makes a function of one coordinate: of the pair that a conversion returns, the first or the second.
macro_rules! coordinate {
    ($name:ident, $convert:path, $part:tt, $unit:literal, $function:literal, $args:literal, $what:literal,
     $example:literal) => {
        pub(super) static $name: ScalarSpec = ScalarSpec {
            description: &FunctionDescription {
                name: $function,
                kind: FunctionKind::Scalar,
                signature: concat!($function, "(", $args, ") → float64"),
                description: $what,
                unit: Some($unit),
                example: concat!("SELECT ", $function, "(", $example, ")"),
            },
            parameters: &[Parameter::Number; 2],
            required: 2,
            returns: || DataType::Float64,
            unit_argument: None,
            check: unchecked,
            evaluate: |call| map_numbers::<2>(call, |[a, b]| $convert(a, b).map(|pair| pair.$part)),
        };
    };
}

coordinate!(
    LAMBERT72_X,
    lambert72::from_wgs84,
    0,
    "m",
    "lambert72_x",
    "lon, lat",
    "Metres east in Belgian Lambert 72 (EPSG:31370) of a place in degrees (WGS 84), by the seven-parameter shift \
     EPSG:15929: good to about 1 m. NULL outside Belgium.",
    "4.7005, 50.8798"
);
coordinate!(
    LAMBERT72_Y,
    lambert72::from_wgs84,
    1,
    "m",
    "lambert72_y",
    "lon, lat",
    "Metres north in Belgian Lambert 72 (EPSG:31370) of a place in degrees; as lambert72_x.",
    "4.7005, 50.8798"
);
coordinate!(
    LAMBERT72_LON,
    lambert72::to_wgs84,
    0,
    "deg",
    "lambert72_lon",
    "x, y",
    "Longitude (WGS 84) of metres east and north in Belgian Lambert 72 (EPSG:31370), by the seven-parameter shift \
     EPSG:15929: good to about 1 m. NULL outside Belgium.",
    "173347.05, 174434.02"
);
coordinate!(
    LAMBERT72_LAT,
    lambert72::to_wgs84,
    1,
    "deg",
    "lambert72_lat",
    "x, y",
    "Latitude (WGS 84) of metres east and north in Belgian Lambert 72 (EPSG:31370); as lambert72_lon.",
    "173347.05, 174434.02"
);
coordinate!(
    LAMBERT2008_X,
    lambert2008::from_wgs84,
    0,
    "m",
    "lambert2008_x",
    "lon, lat",
    "Metres east in Belgian Lambert 2008 (EPSG:3812) of a place in degrees (WGS 84, taken as ETRS 89): good to about 1 m. \
     NULL outside Belgium.",
    "4.7005, 50.8798"
);
coordinate!(
    LAMBERT2008_Y,
    lambert2008::from_wgs84,
    1,
    "m",
    "lambert2008_y",
    "lon, lat",
    "Metres north in Belgian Lambert 2008 (EPSG:3812) of a place in degrees; as lambert2008_x.",
    "4.7005, 50.8798"
);
coordinate!(
    LAMBERT2008_LON,
    lambert2008::to_wgs84,
    0,
    "deg",
    "lambert2008_lon",
    "x, y",
    "Longitude (ETRS 89, taken as WGS 84) of metres east and north in Belgian Lambert 2008 (EPSG:3812): good to about \
     1 m. NULL outside Belgium.",
    "673346.02, 674437.18"
);
coordinate!(
    LAMBERT2008_LAT,
    lambert2008::to_wgs84,
    1,
    "deg",
    "lambert2008_lat",
    "x, y",
    "Latitude (ETRS 89, taken as WGS 84) of metres east and north in Belgian Lambert 2008 (EPSG:3812); as \
     lambert2008_lon.",
    "673346.02, 674437.18"
);

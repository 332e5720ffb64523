//! The functions over geometries, as DataFusion wants them.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryBuilder, BooleanBuilder, Float64Builder, Int64Builder,
    StringBuilder,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Int64Type};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use meetnet_sql::rewrite;

use super::{Bounds, Geometry, WKB_EXTENSION};
use crate::postgres::EXTENSION_KEY;

/// Makes a number of the columns that identify a row: the same for the same key, and of others another one.
pub(crate) static LAYER_KEY: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| Function::udf("layer_key", Kind::Key));
/// Makes a point of longitude and latitude.
pub(crate) static POINT: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| Function::udf("layer_point", Kind::Point));
/// Makes a geometry of WKT; what is none is NULL.
pub(crate) static WKT: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| Function::udf("layer_geometry", Kind::Wkt));

/// What statements may call, by the names that PostGIS has for it; `wkb_…` is what operators become.
const CALLED: [(&str, Kind); 11] = [
    ("st_asbinary", Kind::AsBinary),
    ("st_astext", Kind::AsText),
    ("geometrytype", Kind::Type),
    ("st_x", Kind::OfPoint(|bounds| bounds.west)),
    ("st_y", Kind::OfPoint(|bounds| bounds.south)),
    ("st_xmin", Kind::Edge(|bounds| bounds.west)),
    ("st_ymin", Kind::Edge(|bounds| bounds.south)),
    ("st_xmax", Kind::Edge(|bounds| bounds.east)),
    ("st_ymax", Kind::Edge(|bounds| bounds.north)),
    ("wkb_bounds_meet", Kind::BoundsMeet),
    ("wkb_meets", Kind::Meets),
];

/// Bytes of the texts that are made of one batch of rows.
const TEXT_BYTES_MAX: usize = 64 << 20;
/// Numbers that JavaScript and every driver read as they are.
const KEY_BITS: u32 = 53;

/// Adds the functions to a session.
///
/// # Errors
/// Where the session takes no functions.
pub(crate) fn register(state: &mut SessionState) -> Result<()> {
    for (name, kind) in CALLED {
        state.register_udf(Function::udf(name, kind))?;
    }
    Ok(())
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Key,
    Point,
    Wkt,
    AsBinary,
    AsText,
    Type,
    /// Of points only.
    OfPoint(fn(&Bounds) -> f64),
    Edge(fn(&Bounds) -> f64),
    BoundsMeet,
    Meets,
}

impl Kind {
    fn signature(self) -> Signature {
        let types = match self {
            Self::Key => return Signature::variadic_any(Volatility::Immutable),
            Self::Point => vec![DataType::Float64; 2],
            Self::Wkt => vec![DataType::Utf8],
            Self::BoundsMeet | Self::Meets => {
                let mut types = vec![DataType::Binary];
                types.extend(vec![DataType::Float64; 4]);
                types
            }
            Self::AsBinary | Self::AsText | Self::Type | Self::OfPoint(_) | Self::Edge(_) => {
                vec![DataType::Binary]
            }
        };
        Signature::exact(types, Volatility::Immutable)
    }

    fn returns(self) -> DataType {
        match self {
            Self::Key => DataType::Int64,
            Self::Point | Self::Wkt | Self::AsBinary => DataType::Binary,
            Self::AsText | Self::Type => DataType::Utf8,
            Self::OfPoint(_) | Self::Edge(_) => DataType::Float64,
            Self::BoundsMeet | Self::Meets => DataType::Boolean,
        }
    }
}

#[derive(Debug)]
struct Function {
    name: &'static str,
    kind: Kind,
    signature: Signature,
}

/// The name says which one it is.
impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Function {}

impl std::hash::Hash for Function {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl Function {
    /// As DataFusion wants it.
    fn udf(name: &'static str, kind: Kind) -> Arc<ScalarUDF> {
        Arc::new(ScalarUDF::new_from_impl(Self {
            name,
            kind,
            signature: kind.signature(),
        }))
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.kind.returns())
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs) -> Result<FieldRef> {
        let field = Field::new(self.name, self.kind.returns(), true);
        Ok(Arc::new(match self.kind {
            Kind::Point | Kind::Wkt => geometry_field(field),
            _ => field,
        }))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let found = evaluated(self.kind, &arrays)?;
        rewrite::column_or_constant(&args.args, found)
    }
}

/// Says of a field of bytes that they are geometries.
pub(crate) fn geometry_field(field: Field) -> Field {
    let extension = (EXTENSION_KEY.to_owned(), WKB_EXTENSION.to_owned());
    field.with_metadata(HashMap::from([extension]))
}

fn evaluated(kind: Kind, arrays: &[ArrayRef]) -> Result<ArrayRef> {
    let Some(first) = arrays.first() else {
        return Ok(arrow::array::new_null_array(&kind.returns(), 1));
    };
    Ok(match kind {
        Kind::Key => keys(arrays)?,
        Kind::Point => {
            let (lons, lats) = (
                first.as_primitive::<Float64Type>(),
                arrays[1].as_primitive::<Float64Type>(),
            );
            let places = lons.iter().zip(lats).map(|(lon, lat)| lon.zip(lat));
            binaries(places.map(|place| place.and_then(|(lon, lat)| Geometry::point(lon, lat))))
        }
        Kind::Wkt => {
            let texts = first.as_string::<i32>().iter();
            binaries(texts.map(|text| text.and_then(Geometry::from_wkt)))
        }
        Kind::AsBinary => Arc::clone(first),
        Kind::AsText => texts(first, Geometry::wkt)?,
        Kind::Type => texts(first, |geometry, _| Some(geometry.name().to_owned()))?,
        Kind::OfPoint(edge) => edges(first, edge, |geometry| geometry.kind == super::POINT_KIND),
        Kind::Edge(edge) => edges(first, edge, |_| true),
        Kind::BoundsMeet => meetings(first, &arrays[1..], |geometry, bounds| {
            geometry.bounds().is_some_and(|own| own.meet(bounds))
        }),
        Kind::Meets => meetings(first, &arrays[1..], Geometry::meets),
    })
}

/// Returns the texts of geometries; `text` is told how many bytes are left for it, and returns None where it needs more.
fn texts(array: &ArrayRef, text: impl Fn(&Geometry, usize) -> Option<String>) -> Result<ArrayRef> {
    let mut texts = StringBuilder::new();
    for geometry in geometries(array) {
        let Some(geometry) = geometry else {
            texts.append_null();
            continue;
        };
        let left = TEXT_BYTES_MAX.saturating_sub(texts.values_slice().len());
        let Some(text) = text(&geometry, left) else {
            return Err(DataFusionError::ResourcesExhausted(format!(
                "`st_astext` would make more than {} MiB of one batch of rows; take fewer of them, or the bytes",
                TEXT_BYTES_MAX >> 20
            )));
        };
        texts.append_value(text);
    }
    Ok(Arc::new(texts.finish()))
}

/// Returns where one edge of the box around each wanted geometry lies.
fn edges(
    array: &ArrayRef,
    edge: fn(&Bounds) -> f64,
    is_wanted: impl Fn(&Geometry) -> bool,
) -> ArrayRef {
    let mut numbers = Float64Builder::with_capacity(array.len());
    for geometry in geometries(array) {
        let bounds = geometry
            .filter(&is_wanted)
            .and_then(|wanted| wanted.bounds());
        numbers.append_option(bounds.map(|bounds| edge(&bounds)));
    }
    Arc::new(numbers.finish())
}

/// Returns which geometries meet a box, whose `edges` are in the order west, south, east and north.
fn meetings(
    array: &ArrayRef,
    edges: &[ArrayRef],
    meets: impl Fn(&Geometry, &Bounds) -> bool,
) -> ArrayRef {
    let edges = edges
        .iter()
        .map(|edges| edges.as_primitive::<Float64Type>());
    let edges: Vec<_> = edges.collect();
    let mut found = BooleanBuilder::with_capacity(array.len());
    for (row, geometry) in geometries(array).enumerate() {
        let has_box = edges.iter().all(|edges| edges.is_valid(row));
        let (Some(geometry), true) = (geometry, has_box) else {
            found.append_null();
            continue;
        };
        let bounds = Bounds {
            west: edges[0].value(row),
            south: edges[1].value(row),
            east: edges[2].value(row),
            north: edges[3].value(row),
        };
        found.append_value(meets(&geometry, &bounds));
    }
    Arc::new(found.finish())
}

fn geometries(array: &ArrayRef) -> impl Iterator<Item = Option<Geometry>> {
    let bytes = array.as_binary::<i32>().iter();
    bytes.map(|bytes| bytes.and_then(Geometry::from_wkb))
}

fn binaries(geometries: impl Iterator<Item = Option<Geometry>>) -> ArrayRef {
    let mut bytes = BinaryBuilder::new();
    for geometry in geometries {
        bytes.append_option(geometry.map(|geometry| geometry.wkb()));
    }
    Arc::new(bytes.finish())
}

/// Returns the FNV-1a hashes of rows, as numbers of [`KEY_BITS`]: of ten thousand rows two are the same once in a hundred
/// million tables.
fn keys(arrays: &[ArrayRef]) -> Result<ArrayRef> {
    let rows = arrays.first().map_or(0, |array| array.len());
    let mut hashes = vec![0xcbf2_9ce4_8422_2325_u64; rows];
    // With a mark before and behind: no value is not the empty text, and "a", "b" is not "ab".
    let add = |hash: &mut u64, mark: u8, bytes: &[u8]| {
        for byte in [mark].iter().chain(bytes).chain(&[0xff]) {
            *hash = (*hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    for array in arrays {
        let numbers = match array.data_type() {
            DataType::Timestamp(..) => cast(array, &DataType::Int64)?,
            _ => Arc::clone(array),
        };
        let whole = numbers.as_primitive_opt::<Int64Type>();
        let texts = match whole {
            Some(_) => None,
            None => Some(cast(&numbers, &DataType::Utf8)?),
        };
        for (row, hash) in hashes.iter_mut().enumerate() {
            match (whole, &texts) {
                (Some(whole), _) if whole.is_valid(row) => {
                    add(hash, 1, &whole.value(row).to_le_bytes());
                }
                (None, Some(texts)) if texts.is_valid(row) => {
                    add(hash, 2, texts.as_string::<i32>().value(row).as_bytes());
                }
                _ => add(hash, 0, &[]),
            }
        }
    }
    let mut keys = Int64Builder::with_capacity(rows);
    for hash in hashes {
        // Fewer bits than a number has besides its sign.
        keys.append_value(((hash ^ (hash >> KEY_BITS)) & ((1 << KEY_BITS) - 1)) as i64);
    }
    Ok(Arc::new(keys.finish()))
}

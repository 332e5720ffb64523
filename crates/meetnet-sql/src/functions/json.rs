//! JSON, written as PostgreSQL writes it: numbers with all their digits, times in ISO 8601, what JSON has no number for as a text. NULL
//! is none; within a list or a row it is `null`.
//!
//! | called | by | answers |
//! |---|---|---|
//! | `to_json(x)`, `array_to_json(x, in_lines)`, `row_to_json(x, in_lines)` | a statement | a value |
//! | `json_build_object(k, v, …)`, `json_build_array(x, …)` | a statement | an object, a list of values |
//! | `json_element(x)` | what `json_agg(x)` becomes | a value as such a list has it: a row or a list on a line |
//! | `json_of_elements(list, between)` | the same | the list of these |
//! | `json_of_values(list, is_sorted)` | what `json_agg(DISTINCT x)` becomes | the list of values, sorted where they are not |
//! | `json_value(x)` | the same | `x`, which is no JSON: that has no equality |
//! | `json_pair(k, v)`, `json_of_pairs(list)` | what `json_object_agg(k, v)` becomes | an object |
//! | `json_text(x)` | what `x::json` becomes | a text that is JSON |
//! | `jsonb_of_json(x)` | what `jsonb_agg(x)`, `x::jsonb` and the like become | JSON in an order: `ordered.rs` |
//! | `st_asgeojson(geom, digits)`, `st_asgeojson(t)` | a statement | a geometry, or a row with one, as the text of GeoJSON |
//!
//! What is JSON is a text whose field says so ([`JSON_EXTENSION`]), and stands within JSON as it is; so are geometries bytes. Operators
//! that run plans may lose what fields say, so a call is told which of its arguments are such while it is planned: `told`.
//!
//! How long it becomes depends on names of columns and on what must be escaped, so it is looked at while it is written.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringBuilder, make_comparator};
use arrow::compute::{SortOptions, cast};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Int64Type};
use datafusion::common::DFSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use serde_json::value::RawValue;

use super::bounded::{Bounded, Growth, Work, is_constant, most, too_much};
use super::wrapped::Wrapped;
use crate::error::{QueryError, QueryErrorKind, shortened};
use crate::rewrite::column_or_constant;

mod column;
mod columns;
mod ordered;
mod row;
mod shapes;
mod spans;
#[cfg(test)]
mod tests;

use column::{COMMA, Column};
use columns::meaning;
use row::RowOf;

pub use columns::json_columns;
pub(crate) use row::RowNames;
pub use row::{ALL_COLUMNS, BY_NAME, ROW_OF};
pub use shapes::geojson;

/// The function that makes JSON of a value.
pub const TO_JSON: &str = "to_json";
/// The same of a row.
pub const ROW_TO_JSON: &str = "row_to_json";
/// The same of a list.
pub const ARRAY_TO_JSON: &str = "array_to_json";
/// The function that makes an object of keys and values.
pub const BUILD_OBJECT: &str = "json_build_object";
/// The function that makes a list of values.
pub const BUILD_ARRAY: &str = "json_build_array";
/// The function that makes a value what `json_agg` gathers.
pub const ELEMENT: &str = "json_element";
/// The function that joins what has been gathered.
pub const OF_ELEMENTS: &str = "json_of_elements";
/// The function that makes JSON of the values that have been gathered, each once.
pub const OF_VALUES: &str = "json_of_values";
/// The function whose value has to have an equality.
pub const VALUE: &str = "json_value";
/// The function that makes a key and a value what `json_object_agg` gathers.
pub const PAIR: &str = "json_pair";
/// The function that joins these.
pub const OF_PAIRS: &str = "json_of_pairs";
/// The function that takes a text for JSON.
pub const TEXT: &str = "json_text";
/// The function that shows JSON as `jsonb` is shown.
pub const ORDERED: &str = "jsonb_of_json";
/// The function that makes GeoJSON of a geometry, or of a row with one.
pub const AS_GEOJSON: &str = "st_asgeojson";

/// The metadata of a field that says more than its type.
pub const EXTENSION_KEY: &str = "ARROW:extension:name";
/// What the metadata of a field of texts says where they are JSON: Arrow's own words for it.
pub const JSON_EXTENSION: [&str; 2] = [EXTENSION_KEY, "arrow.json"];
/// What the metadata of a field of bytes says where they are WKB: GeoArrow's words for it.
pub const WKB_EXTENSION: &str = "geoarrow.wkb";

/// What stands before an element that has a line.
const LINE: &str = "\n ";
/// Digits behind the point that coordinates have where nobody says how many, and at most: as in PostGIS.
pub(super) const GEOJSON_DIGITS: usize = 9;
const GEOJSON_DIGITS_MAX: i64 = 15;
/// How much of a text is shown that is no JSON.
const SHOWN_BYTES_MAX: usize = 60;

/// What a function makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Made {
    Value,
    Object,
    Array,
    Element,
    OfElements,
    OfValues,
    ItsArgument,
    Pair,
    OfPairs,
    Text,
    Ordered,
    GeoJson,
}

/// What the values of a field are, besides their type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Meaning {
    Plain,
    /// Texts that are JSON.
    Json,
    /// Bytes that are WKB.
    Geometry,
}

impl Meaning {
    /// Returns what the metadata of a field says.
    pub(crate) fn of(field: &Field) -> Self {
        match field.metadata().get(EXTENSION_KEY).map(String::as_str) {
            Some(said) if said == JSON_EXTENSION[1] => Self::Json,
            Some(said) if said == WKB_EXTENSION => Self::Geometry,
            _ => Self::Plain,
        }
    }

    /// Returns a field that says so.
    fn field(self, name: &str, data_type: DataType) -> Field {
        let field = Field::new(name, data_type, true);
        let said = match self {
            Self::Plain => return field,
            Self::Json => JSON_EXTENSION[1],
            Self::Geometry => WKB_EXTENSION,
        };
        field.with_metadata([(EXTENSION_KEY.to_owned(), said.to_owned())].into())
    }
}

/// The functions, how many arguments each takes at least and at most, and how large what it makes is.
const FUNCTIONS: [(&str, Made, [usize; 2], Growth); 14] = [
    (TO_JSON, Made::Value, [1, 1], Growth::Doubled),
    (ROW_TO_JSON, Made::Value, [1, 2], Growth::Doubled),
    (ARRAY_TO_JSON, Made::Value, [1, 2], Growth::Doubled),
    (BUILD_OBJECT, Made::Object, [2, usize::MAX], Growth::Sum),
    (BUILD_ARRAY, Made::Array, [1, usize::MAX], Growth::Sum),
    (ELEMENT, Made::Element, [1, 1], Growth::Doubled),
    (OF_ELEMENTS, Made::OfElements, [2, 2], Growth::Doubled),
    (OF_VALUES, Made::OfValues, [2, 2], Growth::Doubled),
    (VALUE, Made::ItsArgument, [1, 1], Growth::Small),
    (PAIR, Made::Pair, [2, 2], Growth::Sum),
    (OF_PAIRS, Made::OfPairs, [1, 1], Growth::Doubled),
    (TEXT, Made::Text, [1, 1], Growth::Doubled),
    (ORDERED, Made::Ordered, [1, 1], Growth::Doubled),
    (AS_GEOJSON, Made::GeoJson, [1, 2], Growth::Doubled),
];

/// Returns the functions of this module, each with its bounds.
pub(super) fn functions() -> impl Iterator<Item = Arc<ScalarUDF>> {
    let json = FUNCTIONS
        .into_iter()
        .map(|(name, made, arguments, growth)| {
            JsonFunction::bounded(name, made, arguments, growth, None)
        });
    json.chain([Arc::new(ScalarUDF::new_from_impl(RowOf::new(None, None)))])
}

/// Returns true for a field of texts that are JSON.
pub fn is_json(field: &Field) -> bool {
    Meaning::of(field) == Meaning::Json
}

/// Returns a field of texts that are JSON.
pub(crate) fn json_field(name: &str) -> Field {
    Meaning::Json.field(name, DataType::Utf8)
}

/// Returns the call that knows what its arguments mean; None where it does, and for every other function.
pub(super) fn told(call: &ScalarFunction, schema: &DFSchema) -> Option<Expr> {
    let meanings = || -> Vec<Meaning> {
        let arguments = call.args.iter();
        arguments
            .map(|argument| meaning(argument, schema, &|_| false))
            .collect()
    };
    let function = match call.func.inner().downcast_ref::<RowOf>() {
        Some(row) => Arc::new(ScalarUDF::new_from_impl(row.told(meanings)?)),
        None => {
            let bounded = call.func.inner().downcast_ref::<Wrapped<Bounded>>()?;
            let function = bounded.inner().inner().downcast_ref::<JsonFunction>()?;
            function.told(meanings)?
        }
    };
    Some(Expr::ScalarFunction(ScalarFunction::new_udf(
        function,
        call.args.clone(),
    )))
}

/// One of the functions, of values of any type.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct JsonFunction {
    name: &'static str,
    made: Made,
    arguments: [usize; 2],
    growth: Growth,
    signature: Signature,
    /// What the arguments mean; None: their fields say so.
    meanings: Option<Vec<Meaning>>,
}

impl JsonFunction {
    fn bounded(
        name: &'static str,
        made: Made,
        arguments: [usize; 2],
        growth: Growth,
        meanings: Option<Vec<Meaning>>,
    ) -> Arc<ScalarUDF> {
        let function = Self {
            name,
            made,
            arguments,
            growth,
            signature: Signature::variadic_any(Volatility::Immutable),
            meanings,
        };
        let function = Arc::new(ScalarUDF::new_from_impl(function));
        Wrapped::function(function, Bounded::new(growth, Work::Small))
    }

    fn told(&self, meanings: impl FnOnce() -> Vec<Meaning>) -> Option<Arc<ScalarUDF>> {
        let meanings = match &self.meanings {
            None => Some(meanings()),
            Some(_) => return None,
        };
        Some(Self::bounded(
            self.name,
            self.made,
            self.arguments,
            self.growth,
            meanings,
        ))
    }

    fn meaning(&self, argument: usize, fields: &[FieldRef]) -> Meaning {
        let said = match &self.meanings {
            Some(meanings) => meanings.get(argument).copied(),
            None => fields.get(argument).map(|field| Meaning::of(field)),
        };
        said.unwrap_or(Meaning::Plain)
    }

    fn is_json(&self, argument: usize, fields: &[FieldRef]) -> bool {
        self.meaning(argument, fields) == Meaning::Json
    }

    /// Looks at the types of arguments.
    fn check(&self, fields: &[FieldRef]) -> Result<()> {
        let [least, most] = self.arguments;
        let name = self.name;
        if !(least..=most).contains(&fields.len()) {
            let message = match self.made {
                Made::Object => format!("`{name}` takes pairs of a key and a value"),
                Made::GeoJson => format!(
                    "`{name}` takes a geometry, or a row with one, and how many digits coordinates have"
                ),
                _ if least == most => format!("`{name}` takes {least} values"),
                _ => format!(
                    "`{name}` takes a value, and whether its parts stand on lines of their own"
                ),
            };
            return Err(refused(message));
        }
        let data_type = |position: usize| fields[position].data_type();
        let is_digits = |data_type: &DataType| data_type.is_integer() || data_type.is_null();
        let is_lines =
            |data_type: &DataType| matches!(data_type, DataType::Boolean | DataType::Null);
        match self.made {
            Made::Value if fields.len() == 2 && !is_lines(data_type(1)) => Err(refused(format!(
                "`{name}` takes true or false as its second value: whether parts stand on lines of their own"
            ))),
            Made::Object if !fields.len().is_multiple_of(2) => Err(refused(format!(
                "`{name}` takes pairs of a key and a value, and the last key has none"
            ))),
            Made::ItsArgument if self.is_json(0, fields) => Err(refused(
                "JSON has no equality, so there is no DISTINCT of it: json_agg(DISTINCT t), of the rows themselves, has one".to_owned(),
            )),
            Made::Text | Made::Ordered if !is_text(data_type(0)) => Err(refused(format!(
                "a value of type {} is no text that could be JSON; to_json(value) makes JSON of it",
                data_type(0)
            ))),
            Made::GeoJson if fields.len() == 2 && !is_digits(data_type(1)) => Err(refused(format!(
                "`{name}` takes a whole number as its second value: how many digits coordinates have"
            ))),
            Made::GeoJson => match data_type(0) {
                DataType::Struct(parts) if geometry_of(parts).is_none() => {
                    Err(refused(format!("`{name}` takes a row with a geometry, and there is none")))
                }
                DataType::Struct(_) | DataType::Null => Ok(()),
                _ if self.meaning(0, fields) == Meaning::Geometry => Ok(()),
                _ => Err(refused(format!("`{name}` takes a geometry, or a row with one"))),
            },
            _ => Ok(()),
        }
    }

    /// Returns what the function makes of each row; a call of constants has one.
    fn made(&self, args: &ScalarFunctionArgs) -> Result<ArrayRef> {
        let (bytes_max, _) = most(args);
        let rows = match is_constant(&args.args) {
            true => 1,
            false => args.number_rows,
        };
        let arrays = args.args.iter().map(|argument| argument.to_array(rows));
        let arrays = arrays.collect::<Result<Vec<_>>>()?;
        let column = |position: usize| {
            let meaning = self.meaning(position, &args.arg_fields);
            Column::new(&arrays[position], meaning)
        };
        let columns = || (0..arrays.len()).map(column).collect::<Result<Vec<_>>>();
        match self.made {
            Made::ItsArgument => Ok(Arc::clone(&arrays[0])),
            Made::Value => {
                let values = column(0)?;
                let lines = arrays.get(1);
                each_row(rows, bytes_max, |row, json, left| {
                    let between = match lines {
                        None => COMMA,
                        Some(lines) => match lines.as_boolean_opt() {
                            Some(lines) if lines.is_valid(row) && lines.value(row) => ",\n ",
                            Some(lines) if lines.is_valid(row) => COMMA,
                            _ => return Ok(false),
                        },
                    };
                    if values.is_null(row) {
                        return Ok(false);
                    }
                    values.write(row, json, between, left)?;
                    Ok(true)
                })
            }
            Made::Element => {
                let values = column(0)?;
                each_row(rows, bytes_max, |row, json, left| {
                    if values.has_lines() && !values.is_null(row) {
                        json.push_str(LINE);
                    }
                    values.write(row, json, COMMA, left)?;
                    Ok(true)
                })
            }
            Made::Array => {
                let columns = columns()?;
                each_row(rows, bytes_max, |row, json, left| {
                    json.push('[');
                    for (position, values) in columns.iter().enumerate() {
                        if position > 0 {
                            json.push_str(", ");
                        }
                        values.write(row, json, COMMA, left)?;
                    }
                    json.push(']');
                    Ok(true)
                })
            }
            Made::Object | Made::Pair => {
                let columns = columns()?;
                let is_object = self.made == Made::Object;
                each_row(rows, bytes_max, |row, json, left| {
                    if is_object {
                        json.push('{');
                    }
                    for (position, pair) in columns.chunks_exact(2).enumerate() {
                        if position > 0 {
                            json.push_str(", ");
                        }
                        let is_json = self.is_json(2 * position, &args.arg_fields);
                        write_key(&pair[0], is_json, row, json, left)?;
                        json.push_str(" : ");
                        pair[1].write(row, json, COMMA, left)?;
                    }
                    if is_object {
                        json.push('}');
                    }
                    Ok(true)
                })
            }
            Made::OfElements => {
                let between = cast(&arrays[1], &DataType::Utf8)?;
                let between = between.as_string::<i32>();
                of_texts(&arrays[0], ["[", "]"], bytes_max, |row| between.value(row))
            }
            Made::OfPairs => of_texts(&arrays[0], ["{ ", " }"], bytes_max, |_| ", "),
            Made::OfValues => {
                let is_sorted = arrays[1].as_boolean_opt();
                let is_sorted =
                    is_sorted.is_some_and(|sorted| sorted.iter().all(|row| row == Some(true)));
                of_values(&arrays[0], is_sorted, bytes_max)
            }
            Made::Ordered => {
                let texts = cast(&arrays[0], &DataType::Utf8)?;
                let texts = texts.as_string::<i32>();
                each_row(rows, bytes_max, |row, json, left| {
                    if texts.is_null(row) {
                        return Ok(false);
                    }
                    match ordered::write(texts.value(row), json, left) {
                        true => Ok(true),
                        false if json.len() as u64 > left => Err(too_much(ORDERED, bytes_max)),
                        false => Err(refused_text(
                            texts.value(row),
                            "a number has too many digits, or too much stands one within the other",
                        )),
                    }
                })
            }
            Made::GeoJson => {
                let digits = arrays.get(1).map(|digits| cast(digits, &DataType::Int64));
                let digits = digits.transpose()?;
                let digits_of = |row: usize| match &digits {
                    None => Some(GEOJSON_DIGITS),
                    Some(digits) => {
                        let digits = digits.as_primitive::<Int64Type>();
                        let is_given = digits.is_valid(row);
                        is_given.then(|| digits.value(row).clamp(0, GEOJSON_DIGITS_MAX) as usize)
                    }
                };
                of_geometries(&arrays[0], rows, bytes_max, digits_of)
            }
            Made::Text => {
                let texts = cast(&arrays[0], &DataType::Utf8)?;
                if !self.is_json(0, &args.arg_fields) {
                    for text in texts.as_string::<i32>().iter().flatten() {
                        check_json(text)?;
                    }
                }
                Ok(texts)
            }
        }
    }
}

impl ScalarUDFImpl for JsonFunction {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match (self.made, types) {
            (Made::ItsArgument, [of]) => Ok(of.clone()),
            _ => Ok(DataType::Utf8),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.check(args.arg_fields)?;
        Ok(Arc::new(match (self.made, args.arg_fields) {
            (Made::ItsArgument, [of]) => of.as_ref().clone().with_name(self.name),
            // Parts of JSON, which are none by themselves, and what is a text in PostGIS, too.
            (Made::Element | Made::Pair | Made::GeoJson, _) => {
                Field::new(self.name, DataType::Utf8, true)
            }
            _ => json_field(self.name),
        }))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let made = self.made(&args)?;
        column_or_constant(&args.args, made)
    }
}

/// Returns a text for each row; `write` appends it, in no more than so many bytes, and returns false for NULL.
fn each_row(
    rows: usize,
    bytes_max: u64,
    mut write: impl FnMut(usize, &mut String, u64) -> Result<bool>,
) -> Result<ArrayRef> {
    let mut written = StringBuilder::new();
    let (mut json, mut left) = (String::new(), bytes_max);
    for row in 0..rows {
        json.clear();
        if !write(row, &mut json, left)? {
            written.append_null();
            continue;
        }
        left = match left.checked_sub(json.len() as u64) {
            Some(left) => left,
            None => return Err(too_much(TO_JSON, bytes_max)),
        };
        written.append_value(&json);
    }
    Ok(Arc::new(written.finish()))
}

/// Appends the key of a pair: a value as a text.
fn write_key(
    keys: &Column,
    is_json: bool,
    row: usize,
    json: &mut String,
    bytes_max: u64,
) -> Result<()> {
    if keys.is_null(row) {
        return Err(refused(
            "the key of a pair in JSON must not be NULL".to_owned(),
        ));
    }
    if is_json || keys.has_lines() {
        let message = "the key of a pair in JSON must be a single value, and no list, row or JSON";
        return Err(refused(message.to_owned()));
    }
    let start = json.len();
    keys.write(row, json, COMMA, bytes_max)?;
    if !json[start..].starts_with('"') {
        json.insert(start, '"');
        json.push('"');
    }
    Ok(())
}

/// Joins lists of texts that are parts of JSON; the first has no line of its own.
fn of_texts<'a>(
    lists: &ArrayRef,
    [start, end]: [&str; 2],
    bytes_max: u64,
    between: impl Fn(usize) -> &'a str,
) -> Result<ArrayRef> {
    let texts = Arc::new(Field::new_list_field(DataType::Utf8, true));
    let lists = cast(lists, &DataType::List(texts))?;
    let lists = lists.as_list::<i32>();
    each_row(lists.len(), bytes_max, |row, json, left| {
        if lists.is_null(row) {
            return Ok(false);
        }
        json.push_str(start);
        let texts = lists.value(row);
        for (position, text) in texts.as_string::<i32>().iter().enumerate() {
            let text = text.unwrap_or("null");
            match position {
                0 => json.push_str(text.strip_prefix(LINE).unwrap_or(text)),
                _ => {
                    json.push_str(between(row));
                    json.push_str(text);
                }
            }
            if json.len() as u64 > left {
                return Err(too_much(TO_JSON, bytes_max));
            }
        }
        json.push_str(end);
        Ok(true)
    })
}

/// Returns lists of values as `json_agg` writes them; NULL is the greatest.
fn of_values(lists: &ArrayRef, is_sorted: bool, bytes_max: u64) -> Result<ArrayRef> {
    let no_list = || refused(format!("`{OF_VALUES}` takes a list"));
    let lists = lists.as_list_opt::<i32>().ok_or_else(no_list)?;
    let values_of = lists.values();
    let values = Column::new(values_of, Meaning::Plain)?;
    let nulls_last = SortOptions {
        descending: false,
        nulls_first: false,
    };
    let compare = match is_sorted {
        true => None,
        false => Some(make_comparator(
            values_of.as_ref(),
            values_of.as_ref(),
            nulls_last,
        )?),
    };
    each_row(lists.len(), bytes_max, |row, json, left| {
        if lists.is_null(row) {
            return Ok(false);
        }
        let (start, end) = (
            lists.offsets()[row] as usize,
            lists.offsets()[row + 1] as usize,
        );
        let mut items: Vec<usize> = (start..end).collect();
        if let Some(compare) = &compare {
            items.sort_by(|one, other| compare(*one, *other));
        }
        json.push('[');
        for (position, item) in items.into_iter().enumerate() {
            if position > 0 {
                json.push_str(", ");
                if values.has_lines() && !values.is_null(item) {
                    json.push_str(LINE);
                }
            }
            values.write(item, json, COMMA, left)?;
        }
        json.push(']');
        Ok(true)
    })
}

/// Returns the position of the first geometry among the parts of a row.
fn geometry_of(parts: &Fields) -> Option<usize> {
    let mut parts = parts.iter();
    parts.position(|part| Meaning::of(part) == Meaning::Geometry)
}

/// Returns geometries, or rows with one, as GeoJSON; `digits` says how many coordinates of a row have.
fn of_geometries(
    values: &ArrayRef,
    rows: usize,
    bytes_max: u64,
    digits: impl Fn(usize) -> Option<usize>,
) -> Result<ArrayRef> {
    let parts = match values.data_type() {
        DataType::Struct(parts) => geometry_of(parts).map(|position| (parts, position)),
        _ => None,
    };
    let shapes = match parts {
        Some((_, position)) => values.as_struct().column(position),
        None => values,
    };
    let shapes = cast(shapes, &DataType::Binary)?;
    let shapes = shapes.as_binary::<i32>();
    let mut properties = Vec::new();
    if let Some((parts, position)) = parts {
        let columns = values.as_struct().columns().iter();
        for (number, (part, column)) in parts.iter().zip(columns).enumerate() {
            if number != position {
                let column = Column::new(column, Meaning::of(part))?;
                properties.push((column::text(part.name()), column));
            }
        }
    }
    let nulls = values.logical_nulls();
    each_row(rows, bytes_max, |row, json, left| {
        let is_null = nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
        let Some(digits) = digits(row).filter(|_| !is_null) else {
            return Ok(false);
        };
        let shape = match shapes.is_valid(row) {
            true => geojson(shapes.value(row), digits),
            false => None,
        };
        if parts.is_none() {
            json.push_str(shape.as_deref().unwrap_or_default());
            return Ok(shape.is_some());
        }
        json.push_str("{\"type\": \"Feature\", \"geometry\": ");
        json.push_str(shape.as_deref().unwrap_or("null"));
        json.push_str(", \"properties\": {");
        for (number, (name, column)) in properties.iter().enumerate() {
            if number > 0 {
                json.push_str(", ");
            }
            json.push_str(name);
            json.push_str(": ");
            column.write(row, json, COMMA, left)?;
        }
        json.push_str("}}");
        Ok(true)
    })
}

/// Refuses a text that is no JSON.
fn check_json(text: &str) -> Result<()> {
    match serde_json::from_str::<&RawValue>(text) {
        Ok(_) => Ok(()),
        Err(error) => Err(refused_text(text, error)),
    }
}

fn refused_text(text: &str, why: impl fmt::Display) -> DataFusionError {
    let shown = shortened(text.to_owned(), SHOWN_BYTES_MAX);
    refused(format!("`{shown}` is no JSON: {why}"))
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Null => true,
        DataType::Dictionary(_, values) => is_text(values),
        data_type => data_type.is_string(),
    }
}

fn refused(message: String) -> DataFusionError {
    QueryError::new(QueryErrorKind::BadRequest, message).into()
}

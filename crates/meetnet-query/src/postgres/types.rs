//! Types as PostgreSQL clients know them, and which Arrow type stands for each.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, IntervalUnit, TimeUnit};
use meetnet_model::common::timestamp_type;

use super::geometry::WKB_EXTENSION;

pub(crate) use meetnet_sql::json::{EXTENSION_KEY, JSON_EXTENSION};

/// A type of one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PgScalar {
    /// `boolean`
    Bool,
    /// `bytea`
    Bytea,
    /// `smallint`
    Int2,
    /// `integer`
    Int4,
    /// `bigint`
    Int8,
    /// `text`
    Text,
    /// `real`
    Float4,
    /// `double precision`
    Float8,
    /// `date`
    Date,
    /// `time without time zone`
    Time,
    /// `timestamp without time zone`
    Timestamp,
    /// `timestamp with time zone`
    TimestampTz,
    /// `interval`
    Interval,
    /// `numeric`
    Numeric,
    /// `json`
    Json,
    /// `uuid`: a type of parameters, which are texts here. No column has it.
    Uuid,
    /// `oid`: a type of parameters, which are numbers here. No column has it.
    Oid,
    /// `numeric`: a type of parameters that are cast to it, which are texts here and keep every digit. No column has it.
    Digits,
    /// `geometry` of PostGIS, which has no number of its own: every database gives it another.
    Geometry,
}

impl PgScalar {
    /// Every one that columns can have.
    pub const ALL: [Self; 16] = [
        Self::Bool,
        Self::Bytea,
        Self::Int2,
        Self::Int4,
        Self::Int8,
        Self::Text,
        Self::Float4,
        Self::Float8,
        Self::Date,
        Self::Time,
        Self::Timestamp,
        Self::TimestampTz,
        Self::Interval,
        Self::Numeric,
        Self::Json,
        Self::Geometry,
    ];

    /// OID, OID of its array, bytes of a value (−1: it depends), short name, name in SQL, category.
    fn row(self) -> (u32, u32, i16, &'static str, &'static str, &'static str) {
        match self {
            Self::Bool => (16, 1000, 1, "bool", "boolean", "B"),
            Self::Bytea => (17, 1001, -1, "bytea", "bytea", "U"),
            Self::Int2 => (21, 1005, 2, "int2", "smallint", "N"),
            Self::Int4 => (23, 1007, 4, "int4", "integer", "N"),
            Self::Int8 => (20, 1016, 8, "int8", "bigint", "N"),
            Self::Text => (25, 1009, -1, "text", "text", "S"),
            Self::Float4 => (700, 1021, 4, "float4", "real", "N"),
            Self::Float8 => (701, 1022, 8, "float8", "double precision", "N"),
            Self::Date => (1082, 1182, 4, "date", "date", "D"),
            Self::Time => (1083, 1183, 8, "time", "time without time zone", "D"),
            Self::Timestamp => (
                1114,
                1115,
                8,
                "timestamp",
                "timestamp without time zone",
                "D",
            ),
            Self::TimestampTz => (
                1184,
                1185,
                8,
                "timestamptz",
                "timestamp with time zone",
                "D",
            ),
            Self::Interval => (1186, 1187, 16, "interval", "interval", "T"),
            Self::Numeric | Self::Digits => (1700, 1231, -1, "numeric", "numeric", "N"),
            Self::Json => (114, 199, -1, "json", "json", "U"),
            Self::Oid => (26, 1028, 4, "oid", "oid", "N"),
            Self::Uuid => (2950, 2951, 16, "uuid", "uuid", "U"),
            // Above those of PostgreSQL itself, and below those of relations.
            Self::Geometry => (16_001, 16_002, -1, "geometry", "geometry", "U"),
        }
    }

    /// Returns the Arrow type that values of it are turned into before they are written. `Numeric` is text there:
    /// digits, as PostgreSQL prints them.
    pub fn arrow(self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Bytea | Self::Geometry => DataType::Binary,
            Self::Int2 => DataType::Int16,
            Self::Int4 => DataType::Int32,
            Self::Int8 | Self::Oid => DataType::Int64,
            Self::Text | Self::Numeric | Self::Digits | Self::Json | Self::Uuid => DataType::Utf8,
            Self::Float4 => DataType::Float32,
            Self::Float8 => DataType::Float64,
            Self::Date => DataType::Date32,
            Self::Time => DataType::Time64(TimeUnit::Microsecond),
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::TimestampTz => timestamp_type(),
            Self::Interval => DataType::Interval(IntervalUnit::MonthDayNano),
        }
    }
}

/// A type of a column or a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PgType {
    /// The type, or the type of the elements.
    pub scalar: PgScalar,
    /// An array of one dimension.
    pub is_array: bool,
}

impl PgType {
    /// `text`, also of everything that has no type of its own.
    pub const TEXT: Self = Self::of(PgScalar::Text);

    /// Returns the type of single values.
    pub const fn of(scalar: PgScalar) -> Self {
        Self {
            scalar,
            is_array: false,
        }
    }

    /// Returns every type that columns can have, single values first.
    pub fn all() -> impl Iterator<Item = Self> {
        [false, true].into_iter().flat_map(|is_array| {
            PgScalar::ALL
                .into_iter()
                .map(move |scalar| Self { scalar, is_array })
        })
    }

    /// Returns the type that stands for an Arrow type. What PostgreSQL has nothing for is text.
    pub fn of_arrow(data_type: &DataType) -> Self {
        let scalar = match data_type {
            DataType::Boolean => PgScalar::Bool,
            DataType::Int8 | DataType::Int16 | DataType::UInt8 => PgScalar::Int2,
            DataType::Int32 | DataType::UInt16 => PgScalar::Int4,
            // PostgreSQL counts and ranks in `bigint`. What is larger than that is refused where it is sent.
            DataType::Int64 | DataType::UInt32 | DataType::UInt64 => PgScalar::Int8,
            DataType::Decimal32(..)
            | DataType::Decimal64(..)
            | DataType::Decimal128(..)
            | DataType::Decimal256(..) => PgScalar::Numeric,
            DataType::Float16 | DataType::Float32 => PgScalar::Float4,
            DataType::Float64 => PgScalar::Float8,
            DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
            | DataType::FixedSizeBinary(_) => PgScalar::Bytea,
            DataType::Date32 | DataType::Date64 => PgScalar::Date,
            DataType::Time32(_) | DataType::Time64(_) => PgScalar::Time,
            DataType::Timestamp(_, None) => PgScalar::Timestamp,
            DataType::Timestamp(_, Some(_)) => PgScalar::TimestampTz,
            DataType::Interval(_) | DataType::Duration(_) => PgScalar::Interval,
            DataType::List(field) | DataType::LargeList(field) => {
                let element = Self::of_arrow(field.data_type());
                // A list of lists is text: an array of several dimensions would have to be a rectangle.
                if element.is_array {
                    return Self::TEXT;
                }
                return Self {
                    is_array: true,
                    ..element
                };
            }
            DataType::Dictionary(_, values) => return Self::of_arrow(values),
            _ => PgScalar::Text,
        };
        Self::of(scalar)
    }

    /// Returns the type of a column; its metadata may say more than its Arrow type.
    pub fn of_field(field: &Field) -> Self {
        match field.metadata().get(EXTENSION_KEY) {
            Some(extension) if extension == JSON_EXTENSION[1] => Self::of(PgScalar::Json),
            Some(extension) if extension == WKB_EXTENSION => Self::of(PgScalar::Geometry),
            _ => Self::of_arrow(field.data_type()),
        }
    }

    /// Returns the type of a parameter that is used as an Arrow type. Statements have no numbers without a sign but those of a cast
    /// to `oid[]`.
    pub fn of_parameter(data_type: &DataType) -> Self {
        match data_type {
            DataType::List(field) if *field.data_type() == DataType::UInt32 => Self {
                scalar: PgScalar::Oid,
                is_array: true,
            },
            other => Self::of_arrow(other),
        }
    }

    /// Returns the type with this OID; names, `varchar` and other kinds of text are text.
    pub fn of_oid(oid: u32) -> Option<Self> {
        const TEXTS: [u32; 5] = [18, 19, 705, 1042, 1043];
        const TEXT_ARRAYS: [u32; 3] = [1003, 1014, 1015];
        if TEXTS.contains(&oid) {
            return Some(Self::TEXT);
        }
        if TEXT_ARRAYS.contains(&oid) {
            return Some(Self {
                scalar: PgScalar::Text,
                is_array: true,
            });
        }
        let of_parameters = [PgScalar::Uuid, PgScalar::Oid];
        let of_parameters = of_parameters
            .into_iter()
            .flat_map(|scalar| [false, true].map(|is_array| Self { scalar, is_array }));
        let mut known = Self::all().chain(of_parameters);
        known.find(|pg_type| pg_type.oid() == oid)
    }

    /// Returns the number by which clients know the type.
    pub fn oid(self) -> u32 {
        let (oid, array, ..) = self.scalar.row();
        if self.is_array { array } else { oid }
    }

    /// Returns the OID of the array of this type; 0 for arrays.
    pub fn array_oid(self) -> u32 {
        if self.is_array {
            return 0;
        }
        self.scalar.row().1
    }

    /// Returns the bytes of one value; −1: it depends.
    pub fn size(self) -> i16 {
        if self.is_array {
            return -1;
        }
        self.scalar.row().2
    }

    /// Returns the short name, as in `pg_type`.
    pub fn name(self) -> String {
        let name = self.scalar.row().3;
        if self.is_array {
            format!("_{name}")
        } else {
            name.to_owned()
        }
    }

    /// Returns the name in SQL.
    pub fn sql_name(self) -> String {
        let name = self.scalar.row().4;
        if self.is_array {
            format!("{name}[]")
        } else {
            name.to_owned()
        }
    }

    /// Returns the name of the function that takes values in binary, or gives them: `what` is `recv` or `send`.
    pub(crate) fn in_binary(self, what: &str) -> String {
        if self.is_array {
            return format!("array_{what}");
        }
        let name = self.scalar.row().3;
        match self.scalar {
            PgScalar::Date
            | PgScalar::Time
            | PgScalar::Timestamp
            | PgScalar::TimestampTz
            | PgScalar::Interval
            | PgScalar::Numeric
            | PgScalar::Digits
            | PgScalar::Json
            | PgScalar::Uuid
            | PgScalar::Geometry => format!("{name}_{what}"),
            _ => format!("{name}{what}"),
        }
    }

    /// Returns the letter by which `pg_type` sorts types into categories.
    pub(crate) fn category(self) -> &'static str {
        if self.is_array {
            return "A";
        }
        self.scalar.row().5
    }

    /// Returns the Arrow type that values of it are turned into before they are written.
    pub fn arrow(self) -> DataType {
        let data_type = self.scalar.arrow();
        if !self.is_array {
            return data_type;
        }
        DataType::List(Arc::new(Field::new_list_field(data_type, true)))
    }
}

#[cfg(test)]
mod tests;

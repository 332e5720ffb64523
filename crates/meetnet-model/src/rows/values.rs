//! The values of one column under construction.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, ListArray, StringArray,
    TimestampMicrosecondArray,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{ArrowNativeType, DataType, Field};

use crate::column::ColumnType;

/// Bytes of one column up to which its buffer is kept for the next group.
const KEPT_BYTES_MAX: usize = 4 << 20;

/// The values of one column: those of the finished rows, and behind them what the draft has set. Where a row has none,
/// the place is filled.
#[derive(Debug)]
pub(super) enum Values {
    Text {
        bytes: Vec<u8>,
        offsets: Vec<i32>,
    },
    Int(Vec<i64>),
    Float(Vec<f64>),
    Bool(Vec<bool>),
    Timestamp(Vec<i64>),
    FloatList {
        elements: Vec<f64>,
        offsets: Vec<i32>,
    },
}

impl Values {
    pub(super) fn new(column_type: ColumnType) -> Self {
        match column_type {
            ColumnType::Text => Self::Text {
                bytes: Vec::new(),
                offsets: vec![0],
            },
            ColumnType::Int => Self::Int(Vec::new()),
            ColumnType::Float => Self::Float(Vec::new()),
            ColumnType::Bool => Self::Bool(Vec::new()),
            ColumnType::Timestamp => Self::Timestamp(Vec::new()),
            ColumnType::FloatList => Self::FloatList {
                elements: Vec::new(),
                offsets: vec![0],
            },
        }
    }

    /// Takes back the last value.
    pub(super) fn pop(&mut self) {
        match self {
            Self::Text { bytes, offsets } => {
                offsets.pop();
                bytes.truncate(last(offsets) as usize);
            }
            Self::Int(values) | Self::Timestamp(values) => {
                values.pop();
            }
            Self::Float(values) => {
                values.pop();
            }
            Self::Bool(values) => {
                values.pop();
            }
            Self::FloatList { elements, offsets } => {
                offsets.pop();
                elements.truncate(last(offsets) as usize);
            }
        }
    }

    /// Fills the place of a value that is missing.
    #[inline]
    pub(super) fn fill(&mut self) {
        match self {
            Self::Text { offsets, .. } | Self::FloatList { offsets, .. } => {
                offsets.push(last(offsets));
            }
            Self::Int(values) | Self::Timestamp(values) => values.push(0),
            Self::Float(values) => values.push(0.0),
            Self::Bool(values) => values.push(false),
        }
    }

    /// Takes the values and leaves none; `nulls` says which are missing.
    pub(super) fn take(&mut self, nulls: Option<NullBuffer>) -> ArrayRef {
        match self {
            Self::Text { bytes, offsets } => Arc::new(StringArray::new(
                taken_offsets(offsets),
                Buffer::from_vec(taken(bytes)),
                nulls,
            )),
            Self::Int(values) => Arc::new(Int64Array::new(scalars(values), nulls)),
            Self::Float(values) => Arc::new(Float64Array::new(scalars(values), nulls)),
            Self::Bool(values) => {
                let values = BooleanBuffer::from(taken(values));
                Arc::new(BooleanArray::new(values, nulls))
            }
            Self::Timestamp(values) => {
                let times = TimestampMicrosecondArray::new(scalars(values), nulls);
                Arc::new(times.with_timezone("UTC"))
            }
            Self::FloatList { elements, offsets } => {
                let field = Arc::new(Field::new("element", DataType::Float64, true));
                let elements = Arc::new(Float64Array::new(scalars(elements), None));
                Arc::new(ListArray::new(
                    field,
                    taken_offsets(offsets),
                    elements,
                    nulls,
                ))
            }
        }
    }
}

/// Returns the end of a value as an offset of Arrow.
#[inline]
pub(super) fn offset(end: usize) -> i32 {
    i32::try_from(end).expect("a group has less than 2 GiB of one column")
}

/// Returns where the last value ends.
#[inline]
fn last(offsets: &[i32]) -> i32 {
    offsets.last().copied().unwrap_or(0)
}

/// Takes the values and leaves none, but their room where it is not too much: a group fills what the one before has
/// touched, and its arrays have no byte more than they need.
pub(super) fn taken<T: Copy>(values: &mut Vec<T>) -> Vec<T> {
    if values.capacity() * size_of::<T>() > KEPT_BYTES_MAX {
        return std::mem::take(values);
    }
    let taken = values.as_slice().to_vec();
    values.clear();
    taken
}

fn scalars<T: ArrowNativeType>(values: &mut Vec<T>) -> ScalarBuffer<T> {
    ScalarBuffer::from(taken(values))
}

/// Takes the offsets of values and leaves that of the first to come.
fn taken_offsets(offsets: &mut Vec<i32>) -> OffsetBuffer<i32> {
    let taken = scalars(offsets);
    offsets.push(0);
    OffsetBuffer::new(taken)
}

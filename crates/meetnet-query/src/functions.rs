//! Which functions a query may use: those whose output can explode are bounded or not there at all.
//!
//! DataFusion neither charges scalar functions to the memory pool nor cancels them, so one call of
//! `repeat('x', 2000000000)` would take the server down.
//!
//! | functions | why | what |
//! |---|---|---|
//! | `repeat`, `lpad`, `rpad`, `array_repeat` | a number in the arguments sets the size | bounded |
//! | `replace`, `regexp_replace` | product of two sizes | bounded |
//! | `concat`, `concat_ws`, `\|\|` | doubles with each nesting | bounded |
//! | scalar `range`, `generate_series`, `array_resize` | as `repeat`; the table functions are lazy and stay | removed |
//! | `arrow_cast`, `arrow_try_cast` | types of fixed size allocate by declaration | removed |
//! | `input_file_name`, `file_row_index` | say where files lie | removed |

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Int64Type};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};

/// Bytes that one call (a batch of rows) of a bounded function may make.
const OUTPUT_BYTES_MAX: u64 = 64 * 1024 * 1024;

const REMOVED: [&str; 7] = [
    "range",
    "generate_series",
    "array_resize",
    "arrow_cast",
    "arrow_try_cast",
    "input_file_name",
    "file_row_index",
];

const BOUNDED: [(&str, Growth); 8] = [
    ("repeat", Growth::TimesNumber),
    ("array_repeat", Growth::TimesNumber),
    ("lpad", Growth::ToNumber),
    ("rpad", Growth::ToNumber),
    ("replace", Growth::TimesReplacement),
    ("regexp_replace", Growth::TimesReplacement),
    ("concat", Growth::Sum),
    ("concat_ws", Growth::Sum),
];

/// How the output of a function grows with its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Growth {
    /// Bytes of the first argument times the second argument.
    TimesNumber,
    /// The second argument in characters.
    ToNumber,
    /// Each byte of the first argument may become the third argument.
    TimesReplacement,
    /// Bytes of all arguments, the first perhaps between any two.
    Sum,
}

/// Removes and wraps functions of a session.
pub(crate) fn restrict(state: &mut SessionState) -> Result<()> {
    for name in REMOVED {
        state.deregister_udf(name)?;
    }
    for (name, growth) in BOUNDED {
        if let Some(inner) = state.deregister_udf(name)? {
            state.register_udf(Arc::new(ScalarUDF::new_from_impl(Bounded {
                inner,
                growth,
            })))?;
        }
    }
    state.register_function_rewrite(Arc::new(BoundConcatOperator {
        bound: Arc::new(ScalarUDF::new_from_impl(BoundedText::new())),
    }))
}

fn too_much(name: &str) -> DataFusionError {
    DataFusionError::ResourcesExhausted(format!(
        "`{name}` would make more than {} MiB at once",
        OUTPUT_BYTES_MAX / (1024 * 1024)
    ))
}

/// A function that refuses arguments from which it would make too much.
#[derive(Debug)]
struct Bounded {
    inner: Arc<ScalarUDF>,
    growth: Growth,
}

impl PartialEq for Bounded {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner
    }
}

impl Eq for Bounded {}

impl Hash for Bounded {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arg_types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(arg_types)
    }

    // `simplify` is left out on purpose: it would put the unbounded function in place of this one.

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if estimate(self.growth, &args.args, args.number_rows) > OUTPUT_BYTES_MAX {
            return Err(too_much(self.inner.name()));
        }
        self.inner.invoke_with_args(args)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}

/// Upper bound, in bytes, of what a call makes.
fn estimate(growth: Growth, args: &[ColumnarValue], rows: usize) -> u64 {
    let rows = rows.max(1);
    let size = |index: usize| args.get(index).map_or(0, |arg| size_of(arg, rows));
    let number = |index: usize| args.get(index).map_or(0, greatest_number);
    match growth {
        Growth::TimesNumber => size(0).saturating_mul(number(1).max(1)),
        Growth::ToNumber => number(1).saturating_mul(4).saturating_mul(rows as u64),
        Growth::TimesReplacement => {
            let longest = args.get(2).map_or(0, longest_value);
            size(0)
                .saturating_add(rows as u64)
                .saturating_mul(longest.max(1))
        }
        Growth::Sum => {
            let all: u64 = (0..args.len()).map(size).fold(0, u64::saturating_add);
            all.saturating_add(size(0).saturating_mul(args.len() as u64))
        }
    }
}

/// Bytes of an argument over a batch; a constant counts for each row.
fn size_of(value: &ColumnarValue, rows: usize) -> u64 {
    match value {
        ColumnarValue::Array(array) => array_bytes(array.as_ref()),
        ColumnarValue::Scalar(scalar) => (scalar_bytes(scalar) as u64).saturating_mul(rows as u64),
    }
}

fn scalar_bytes(scalar: &ScalarValue) -> usize {
    match scalar {
        ScalarValue::Utf8(text) | ScalarValue::LargeUtf8(text) | ScalarValue::Utf8View(text) => {
            text.as_ref().map_or(0, String::len)
        }
        other => other.size(),
    }
}

/// Bytes of the values an array shows; a slice of a large buffer counts for its part.
fn array_bytes(array: &dyn Array) -> u64 {
    let bytes = match array.data_type() {
        DataType::Utf8 => {
            let offsets = array.as_string::<i32>().value_offsets();
            span(offsets.first().copied(), offsets.last().copied())
        }
        DataType::LargeUtf8 => {
            let offsets = array.as_string::<i64>().value_offsets();
            span(offsets.first().copied(), offsets.last().copied())
        }
        DataType::Utf8View => array
            .as_string_view()
            .lengths()
            .map(u64::from)
            .fold(0, u64::saturating_add),
        _ => array
            .to_data()
            .get_slice_memory_size()
            .map_or(u64::MAX, |bytes| bytes as u64),
    };
    bytes.max(array.len() as u64)
}

fn span<T: Into<i64>>(first: Option<T>, last: Option<T>) -> u64 {
    match (first, last) {
        (Some(first), Some(last)) => u64::try_from(last.into() - first.into()).unwrap_or(0),
        _ => 0,
    }
}

fn longest_value(value: &ColumnarValue) -> u64 {
    match value {
        ColumnarValue::Scalar(scalar) => scalar_bytes(scalar) as u64,
        ColumnarValue::Array(array) => match array.data_type() {
            DataType::Utf8 => {
                let lengths = array.as_string::<i32>().offsets().lengths();
                lengths.max().unwrap_or(0) as u64
            }
            DataType::LargeUtf8 => {
                let lengths = array.as_string::<i64>().offsets().lengths();
                lengths.max().unwrap_or(0) as u64
            }
            DataType::Utf8View => array
                .as_string_view()
                .lengths()
                .map(u64::from)
                .max()
                .unwrap_or(0),
            _ => array_bytes(array.as_ref()),
        },
    }
}

fn greatest_number(value: &ColumnarValue) -> u64 {
    let array = match value {
        ColumnarValue::Array(array) => Arc::clone(array),
        ColumnarValue::Scalar(scalar) => match scalar.to_array() {
            Ok(array) => array,
            Err(_) => return u64::MAX,
        },
    };
    // A number that is no int64 is too large for any of these functions.
    let Ok(numbers) = cast(&array, &DataType::Int64) else {
        return u64::MAX;
    };
    let numbers = numbers.as_primitive::<Int64Type>();
    let greatest = arrow::compute::max(numbers)
        .unwrap_or(0)
        .max(0)
        .unsigned_abs();
    let overflown = numbers.null_count() > array.null_count();
    if overflown { u64::MAX } else { greatest }
}

/// Wraps `a || b` in [`BoundedText`]: every step at most doubles, so no chain of them can run away.
#[derive(Debug)]
struct BoundConcatOperator {
    bound: Arc<ScalarUDF>,
}

impl FunctionRewrite for BoundConcatOperator {
    fn name(&self) -> &str {
        "bound_concat_operator"
    }

    fn rewrite(&self, expr: Expr, _: &DFSchema, _: &ConfigOptions) -> Result<Transformed<Expr>> {
        match &expr {
            Expr::BinaryExpr(binary) if binary.op == Operator::StringConcat => {
                let call = ScalarFunction::new_udf(Arc::clone(&self.bound), vec![expr]);
                Ok(Transformed::yes(Expr::ScalarFunction(call)))
            }
            _ => Ok(Transformed::no(expr)),
        }
    }
}

/// Returns its argument, or an error where that is too large.
#[derive(PartialEq, Eq, Hash)]
struct BoundedText {
    signature: Signature,
}

impl BoundedText {
    fn new() -> Self {
        Self {
            signature: Signature::any(1, Volatility::Immutable),
        }
    }
}

impl fmt::Debug for BoundedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BoundedText")
    }
}

impl ScalarUDFImpl for BoundedText {
    fn name(&self) -> &str {
        "bounded"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        arg_types
            .first()
            .cloned()
            .ok_or_else(|| DataFusionError::Plan("`bounded` takes one argument".to_owned()))
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows.max(1);
        let value = args
            .args
            .pop()
            .ok_or_else(|| DataFusionError::Plan("`bounded` takes one argument".to_owned()))?;
        if size_of(&value, rows) > OUTPUT_BYTES_MAX {
            return Err(too_much("||"));
        }
        Ok(value)
    }
}

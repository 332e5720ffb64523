//! Lists and what is looked for in them, or added to them, of one type, as in PostgreSQL.
//!
//! | written, where `l` is a list of decimal numbers | planned |
//! |---|---|
//! | `x = ANY(l)`, `array_remove(l, x)`, `l \|\| x`, where `x` is a float | the same of a list of floats |
//! | … where `x` is a whole number, or a decimal number of other digits | … of decimal numbers that have the digits of both |
//! | `array_append(l, 2.25)`, `ARRAY[d, 2.25]` | 2.25 is a decimal number there, and no float |
//! | `array_position(l, '2.25')`, `array_remove(dates, '2026-01-31')` | a text that is written is what the list has |
//! | `time = ANY(dates)` | dates are times, and so are texts beside times |
//! | `a && b` | `array_has_any(array_remove_all(a, NULL), b)`, which DataFusion has no operator for |
//!
//! DataFusion 55.2 finds no type for these and refuses the statement, while it makes the plan already: so a session has such functions
//! that take arguments of any type, and say what they answer, until types are made equal. Then each argument has become a cast, and
//! DataFusion's own functions are back. Lists of whole numbers and of floats, which it knows what to do with, are left to it.

use std::cell::Cell;
use std::sync::Arc;

use arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType, Field, FieldRef,
};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::functions_nested::array_has::array_has_any_udf;
use datafusion::functions_nested::concat::{array_append_udf, array_prepend_udf};
use datafusion::functions_nested::remove::array_remove_all_udf;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ExprSchemable, LogicalPlan, ReturnFieldArgs,
    ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, cast,
};
use datafusion::optimizer::AnalyzerRule;
use datafusion::sql::sqlparser::ast::BinaryOperator;

use crate::literals::{parts_of_number, without_exponent};
use crate::removed_members;
use crate::rewrite;

#[cfg(test)]
mod tests;

/// What an array that is written out is called.
const MAKE_ARRAY: &str = "make_array";
/// Functions of a list that answer one of its elements: of a parameter nobody knows yet what that is.
const BOUNDS: [&str; 2] = ["array_min", "array_max"];
/// Functions whose arguments are made of one type.
const OF_ELEMENTS: [&str; 17] = [
    "array_has",
    "array_has_all",
    "array_has_any",
    "array_append",
    "array_prepend",
    "array_concat",
    "array_remove",
    "array_remove_n",
    "array_remove_all",
    "array_position",
    "array_positions",
    "array_replace",
    "array_replace_n",
    "array_replace_all",
    "array_union",
    "array_intersect",
    "array_except",
];

/// What an argument of such a function is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Argument {
    List,
    Element,
    /// A number of elements, or a place among them.
    Other,
}

/// Returns what the arguments of a function are; None for every other function, and for another number of them.
fn arguments_of(function: &str, count: usize) -> Option<Vec<Argument>> {
    use Argument::{Element, List, Other};
    Some(match (function, count) {
        (
            "array_has" | "array_append" | "array_remove" | "array_remove_all" | "array_position"
            | "array_positions",
            2,
        ) => vec![List, Element],
        ("array_prepend", 2) => vec![Element, List],
        ("array_position" | "array_remove_n", 3) => vec![List, Element, Other],
        ("array_replace" | "array_replace_all", 3) => vec![List, Element, Element],
        ("array_replace_n", 4) => vec![List, Element, Element, Other],
        (
            "array_has_all" | "array_has_any" | "array_union" | "array_intersect" | "array_except",
            2,
        ) => vec![List, List],
        ("array_concat", count) => vec![List; count],
        (MAKE_ARRAY, count) => vec![Element; count],
        _ => return None,
    })
}

/// Puts functions that take arguments of any type in the place of those of a session, whatever is around these already.
/// [`ListOperators`] and [`CommonElements`] go with it.
///
/// # Errors
/// Where the session takes no functions.
pub(crate) fn register(state: &mut SessionState) -> Result<()> {
    for name in OF_ELEMENTS.into_iter().chain(BOUNDS) {
        if let Some(inner) = state.deregister_udf(name)? {
            state.register_udf(of_any(inner))?;
        }
    }
    Ok(())
}

fn of_any(inner: Arc<ScalarUDF>) -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::new_from_impl(OfAnyElements {
        inner,
        signature: Signature::variadic_any(Volatility::Immutable),
    }))
}

/// The values of an argument.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Values {
    /// What the elements of the list are, or the value.
    is: DataType,
    /// What they count as beside others.
    counts: Counts,
}

/// What values count as beside others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counts {
    /// As what they are.
    AsIs,
    /// A number that is written, as a decimal number of as many digits before the point and behind it.
    Digits(Digits),
    /// A text that is written, as what it stands beside: with its digits where it is a number.
    Unknown(Option<Digits>),
}

impl Counts {
    /// Returns what a value counts as.
    fn of_value(value: &ScalarValue) -> Self {
        match value.try_as_str() {
            Some(Some(text)) => {
                let plain = without_exponent(text);
                Self::Unknown(Digits::of_text(plain.as_deref().unwrap_or(text).trim()))
            }
            Some(None) => Self::AsIs,
            None => digits_of_value(value).map_or(Self::AsIs, Self::Digits),
        }
    }

    fn is_unknown(self) -> bool {
        matches!(self, Self::Unknown(_))
    }
}

impl Values {
    /// Returns the values of an argument; None for one that is no list where one has to be.
    fn of_argument(
        kind: Argument,
        data_type: &DataType,
        value: Option<&ScalarValue>,
    ) -> Option<Self> {
        match kind {
            Argument::List => Some(Self {
                is: element_of(data_type)?.clone(),
                counts: Counts::AsIs,
            }),
            Argument::Element => Some(Self {
                is: data_type.clone(),
                counts: value.map_or(Counts::AsIs, Counts::of_value),
            }),
            Argument::Other => None,
        }
    }

    /// Returns the values of an argument of a call, where those of an array that is written out are known, too.
    fn of_expr(kind: Argument, expr: &Expr, schema: &DFSchema) -> Option<Self> {
        let data_type = expr.get_type(schema).ok()?;
        let value = match expr {
            Expr::Literal(value, _) => Some(value),
            _ => None,
        };
        let values = Self::of_argument(kind, &data_type, value)?;
        let digits = match kind {
            Argument::List => digits_of_array(expr),
            _ => None,
        };
        Some(match digits {
            Some(digits) if values.is.is_floating() => Self {
                counts: Counts::Digits(digits),
                ..values
            },
            _ => values,
        })
    }
}

/// Returns what the elements of a list are; None for what is no list. NULL is a list of NULL.
fn element_of(data_type: &DataType) -> Option<&DataType> {
    match data_type {
        DataType::Null => Some(data_type),
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
            Some(field.data_type())
        }
        _ => None,
    }
}

/// How many digits a number has before the point, and behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Digits {
    whole: u16,
    fraction: u16,
}

impl Digits {
    /// Returns the digits that numbers of a type have; None for a type that has others.
    fn of_type(data_type: &DataType) -> Option<Self> {
        let whole = |whole: u16| Some(Self { whole, fraction: 0 });
        match data_type {
            DataType::Int8 | DataType::UInt8 => whole(3),
            DataType::Int16 | DataType::UInt16 => whole(5),
            DataType::Int32 | DataType::UInt32 => whole(10),
            DataType::Int64 => whole(19),
            DataType::UInt64 => whole(20),
            DataType::Decimal32(precision, scale)
            | DataType::Decimal64(precision, scale)
            | DataType::Decimal128(precision, scale)
            | DataType::Decimal256(precision, scale) => {
                let whole = i16::from(*precision) - i16::from(*scale);
                Some(Self {
                    whole: u16::try_from(whole).unwrap_or(0),
                    fraction: u16::try_from(*scale).unwrap_or(0),
                })
            }
            _ => None,
        }
    }

    /// Returns the digits of a number that is written without an exponent; None for every other text.
    fn of_text(text: &str) -> Option<Self> {
        let (whole, fraction) = parts_of_number(text)?;
        Some(Self {
            whole: u16::try_from(whole.len()).ok()?,
            fraction: u16::try_from(fraction.len()).ok()?,
        })
    }

    /// Returns digits enough for both.
    fn with(self, other: Self) -> Self {
        Self {
            whole: self.whole.max(other.whole),
            fraction: self.fraction.max(other.fraction),
        }
    }

    /// Returns the type of decimal numbers with so many digits; None where there is none.
    fn as_decimal(self) -> Option<DataType> {
        let precision = u8::try_from(self.whole.saturating_add(self.fraction).max(1)).ok()?;
        let scale = i8::try_from(self.fraction).ok()?;
        if precision <= DECIMAL128_MAX_PRECISION {
            Some(DataType::Decimal128(precision, scale))
        } else if precision <= DECIMAL256_MAX_PRECISION {
            Some(DataType::Decimal256(precision, scale))
        } else {
            None
        }
    }
}

/// Returns the number that a value is as it is written; None for every other value.
fn written_number(value: &ScalarValue) -> Option<String> {
    match value {
        ScalarValue::Int64(Some(number)) => Some(number.to_string()),
        ScalarValue::UInt64(Some(number)) => Some(number.to_string()),
        ScalarValue::Float64(Some(number)) if number.is_finite() => Some(number.to_string()),
        _ => None,
    }
}

fn digits_of_value(value: &ScalarValue) -> Option<Digits> {
    Digits::of_text(&written_number(value)?)
}

/// Returns digits enough for each number of an array that is written out; None where not all its elements are numbers or NULL.
fn digits_of_array(expr: &Expr) -> Option<Digits> {
    let mut digits: Option<Digits> = None;
    for element in written_elements(expr)? {
        let Expr::Literal(value, _) = element else {
            return None;
        };
        if !value.is_null() {
            let of_value = digits_of_value(value)?;
            digits = Some(digits.map_or(of_value, |digits| digits.with(of_value)));
        }
    }
    digits
}

fn written_elements(expr: &Expr) -> Option<&[Expr]> {
    match expr {
        Expr::ScalarFunction(call) if call.name() == MAKE_ARRAY => Some(&call.args),
        _ => None,
    }
}

/// Returns the type that values are made of; None where they have one, or DataFusion finds it.
fn common_type(values: &[Values]) -> Option<DataType> {
    let values: Vec<&Values> = values
        .iter()
        .filter(|values| !values.is.is_null())
        .collect();
    let first = values.first()?;
    if values.iter().all(|values| values.is == first.is) {
        return None;
    }
    let is_known = |values: &&&Values| !values.counts.is_unknown();
    let mut known = values.iter().filter(is_known).map(|values| &values.is);
    if known.clone().any(DataType::is_decimal) {
        return number_of(&values);
    }
    if let Some(time) = time_of(known.clone()) {
        return Some(time);
    }
    let first = known.next()?;
    let is_one_type = known.all(|data_type| data_type == first);
    let is_read = values.iter().any(|values| values.counts.is_unknown());
    let is_wanted = is_one_type && is_read && !first.is_nested() && !is_text(first);
    is_wanted.then(|| first.clone())
}

/// Returns true for texts, however they lie in memory.
fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => values.is_string(),
        data_type => data_type.is_string(),
    }
}

/// Returns the type of numbers that others are made of, some of which are decimal: a float where one is, and a decimal number with the
/// digits of all otherwise.
fn number_of(values: &[&Values]) -> Option<DataType> {
    let mut digits: Option<Digits> = None;
    let mut has_floats = false;
    for values in values {
        let of_values = match values.counts {
            // Where it is no number, it is refused when it is read.
            Counts::Unknown(None) => continue,
            Counts::Digits(written) | Counts::Unknown(Some(written)) => Some(written),
            Counts::AsIs => Digits::of_type(&values.is),
        };
        match of_values {
            Some(of_values) => {
                digits = Some(digits.map_or(of_values, |digits| digits.with(of_values)));
            }
            None if values.is.is_floating() => has_floats = true,
            None => return None,
        }
    }
    match has_floats {
        true => Some(DataType::Float64),
        false => digits?.as_decimal(),
    }
}

/// Returns the type of times, or of dates, that others and texts are made of; None where there are only texts, or other values, too.
fn time_of<'a>(types: impl Iterator<Item = &'a DataType>) -> Option<DataType> {
    let mut time: Option<&DataType> = None;
    for data_type in types {
        match (data_type, time) {
            (text, _) if text.is_string() => {}
            (DataType::Timestamp(..), Some(DataType::Timestamp(..))) => {
                // Of which one has a zone, or other units.
                if time != Some(data_type) {
                    return None;
                }
            }
            (DataType::Timestamp(..), _) | (DataType::Date32, None | Some(DataType::Date32)) => {
                time = Some(data_type);
            }
            (DataType::Date32, Some(_)) => {}
            _ => return None,
        }
    }
    time.cloned()
}

/// Returns the type of an argument with other values in it.
fn with_elements(kind: Argument, data_type: &DataType, element: &DataType) -> DataType {
    let of_element = |field: &FieldRef| {
        let field = field.as_ref().clone().with_data_type(element.clone());
        Arc::new(field)
    };
    match (kind, data_type) {
        (_, DataType::Null) | (Argument::Other, _) => data_type.clone(),
        (Argument::Element, _) => element.clone(),
        (Argument::List, DataType::LargeList(field)) => DataType::LargeList(of_element(field)),
        (Argument::List, DataType::List(field) | DataType::FixedSizeList(field, _)) => {
            DataType::List(of_element(field))
        }
        (Argument::List, other) => other.clone(),
    }
}

/// Makes the arguments of such calls of one type, and calls of functions that take any type those that they stand for. It goes before
/// the step that makes types equal.
#[derive(Debug)]
pub(crate) struct CommonElements;

impl AnalyzerRule for CommonElements {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let is_other = Cell::new(false);
        plan.transform_up_with_subqueries(|plan| {
            let of_expr =
                |expr: Expr, schema: &DFSchema| expr.transform_up(|part| Ok(of_call(part, schema)));
            let rewritten = rewrite::of_plan(plan, &is_wanted, &of_expr)?;
            if rewritten.transformed {
                is_other.set(true);
                return rewritten.map_data(with_types_of_rows);
            }
            // What is above may have columns of other types.
            match is_other.get() {
                true => rewritten.data.recompute_schema().map(Transformed::yes),
                false => Ok(rewritten),
            }
        })
        .data()
    }

    fn name(&self) -> &str {
        "common_elements"
    }
}

/// Casts the values of VALUES to what their columns are: its types are not computed anew.
fn with_types_of_rows(plan: LogicalPlan) -> Result<LogicalPlan> {
    let LogicalPlan::Values(mut rows) = plan else {
        return Ok(plan);
    };
    let no_columns = DFSchema::empty();
    for row in &mut rows.values {
        for (value, field) in row.iter_mut().zip(rows.schema.fields()) {
            if value.get_type(&no_columns)? != *field.data_type() {
                let of_other_type =
                    std::mem::replace(value, Expr::Literal(ScalarValue::Null, None));
                *value = cast(of_other_type, field.data_type().clone());
            }
        }
    }
    Ok(LogicalPlan::Values(rows))
}

fn is_wanted(expr: &Expr) -> bool {
    match expr {
        Expr::ScalarFunction(call) => {
            let name = call.name();
            name == MAKE_ARRAY || OF_ELEMENTS.contains(&name) || stands_for(&call.func).is_some()
        }
        _ => false,
    }
}

/// Returns the function that one stands for which takes arguments of any type.
fn stands_for(function: &ScalarUDF) -> Option<&Arc<ScalarUDF>> {
    let function = function.inner().downcast_ref::<OfAnyElements>();
    function.map(|function| &function.inner)
}

/// Rewrites one call.
fn of_call(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let Expr::ScalarFunction(ScalarFunction { func, args }) = expr else {
        return Transformed::no(expr);
    };
    let inner = stands_for(&func).cloned();
    // NULL has no least element, and DataFusion's function would refuse it.
    let is_of_null = BOUNDS.contains(&func.name())
        && args
            .iter()
            .any(|arg| matches!(arg.get_type(schema), Ok(DataType::Null)));
    let other = of_one_type(func.name(), &args, schema);
    let is_other = (inner.is_some() && !is_of_null) || other.is_some();
    let func = match inner {
        Some(inner) if !is_of_null => inner,
        _ => func,
    };
    let call = ScalarFunction::new_udf(func, other.unwrap_or(args));
    Transformed::new_transformed(Expr::ScalarFunction(call), is_other)
}

/// Returns the arguments of a call in one type; None where they stay as they are.
fn of_one_type(function: &str, args: &[Expr], schema: &DFSchema) -> Option<Vec<Expr>> {
    let kinds = arguments_of(function, args.len())?;
    let of_elements = kinds.iter().zip(args);
    let of_elements = of_elements.filter(|(kind, _)| **kind != Argument::Other);
    let values = of_elements.map(|(kind, arg)| Values::of_expr(*kind, arg, schema));
    let values = values.collect::<Option<Vec<Values>>>()?;
    // Others DataFusion makes arrays of.
    if function == MAKE_ARRAY && !values.iter().any(|values| values.is.is_decimal()) {
        return None;
    }
    let element = common_type(&values)?;
    let args = kinds.into_iter().zip(args);
    args.map(|(kind, arg)| as_elements(kind, arg, &element, schema))
        .collect()
}

/// Returns an argument whose values are of a type.
fn as_elements(kind: Argument, arg: &Expr, element: &DataType, schema: &DFSchema) -> Option<Expr> {
    let data_type = arg.get_type(schema).ok()?;
    let to = with_elements(kind, &data_type, element);
    if to == data_type {
        return Some(arg.clone());
    }
    if !element.is_decimal() {
        return Some(cast(arg.clone(), to));
    }
    // By its digits: a float has others far behind the point.
    let exact = |value: &Expr| -> Option<Expr> {
        let Expr::Literal(value, _) = value else {
            return None;
        };
        let text = ScalarValue::Utf8(Some(written_number(value)?));
        let number = text.cast_to(element).ok()?;
        Some(Expr::Literal(number, None))
    };
    if let Some(number) = exact(arg) {
        return Some(number);
    }
    Some(match arg {
        Expr::ScalarFunction(array) if digits_of_array(arg).is_some() => {
            let elements = array.args.iter();
            let elements = elements
                .map(|value| exact(value).unwrap_or_else(|| cast(value.clone(), element.clone())));
            let function = Arc::clone(&array.func);
            Expr::ScalarFunction(ScalarFunction::new_udf(function, elements.collect()))
        }
        arg => cast(arg.clone(), to),
    })
}

/// A function of lists that takes arguments of any type until they are made of one, and says what it answers then.
#[derive(Debug, PartialEq, Eq, Hash)]
struct OfAnyElements {
    inner: Arc<ScalarUDF>,
    signature: Signature,
}

impl OfAnyElements {
    /// Returns the arguments in one type; None where DataFusion finds it.
    fn of_one_type(&self, args: &ReturnFieldArgs) -> Option<Vec<FieldRef>> {
        let kinds = arguments_of(self.inner.name(), args.arg_fields.len())?;
        let arguments = || kinds.iter().zip(args.arg_fields).enumerate();
        let of_elements = arguments().filter(|(_, (kind, _))| **kind != Argument::Other);
        let values = of_elements.map(|(at, (kind, field))| {
            let value = args.scalar_arguments.get(at).copied().flatten();
            Values::of_argument(*kind, field.data_type(), value)
        });
        let element = common_type(&values.collect::<Option<Vec<Values>>>()?)?;
        let fields = arguments().map(|(_, (kind, field))| {
            let data_type = with_elements(*kind, field.data_type(), &element);
            Arc::new(field.as_ref().clone().with_data_type(data_type))
        });
        Some(fields.collect())
    }
}

impl ScalarUDFImpl for OfAnyElements {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let is_of_null = BOUNDS.contains(&self.name())
            && args
                .arg_fields
                .iter()
                .any(|field| field.data_type().is_null());
        if is_of_null {
            let field = Field::new(self.name(), DataType::Null, true);
            return Ok(Arc::new(field));
        }
        let fields = match self.of_one_type(&args) {
            Some(fields) => fields,
            None => fields_with_udf(args.arg_fields, self.inner.as_ref())?,
        };
        self.inner.return_field_from_args(ReturnFieldArgs {
            arg_fields: &fields,
            scalar_arguments: args.scalar_arguments,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_of_null = args.args.iter().any(|arg| arg.data_type().is_null());
        match is_of_null && BOUNDS.contains(&self.name()) {
            true => Ok(ColumnarValue::Scalar(ScalarValue::Null)),
            false => self.inner.invoke_with_args(args),
        }
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}

/// Plans operators of lists by functions that take arguments of any type. It goes before DataFusion's planner.
#[derive(Debug)]
pub(crate) struct ListOperators {
    append: Arc<ScalarUDF>,
    prepend: Arc<ScalarUDF>,
    has_any: Arc<ScalarUDF>,
    without: Arc<ScalarUDF>,
}

impl ListOperators {
    pub(crate) fn new() -> Self {
        Self {
            append: of_any(array_append_udf()),
            prepend: of_any(array_prepend_udf()),
            has_any: of_any(array_has_any_udf()),
            without: removed_members::function(array_remove_all_udf()),
        }
    }
}

impl ExprPlanner for ListOperators {
    fn plan_binary_op(
        &self,
        expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let is_overlap = match expr.op {
            BinaryOperator::PGOverlap => true,
            BinaryOperator::StringConcat => false,
            _ => return Ok(PlannerResult::Original(expr)),
        };
        let kinds = [&expr.left, &expr.right].map(|side| Side::of(side, schema));
        let RawBinaryExpr { op, left, right } = expr;
        let (function, args) = match (is_overlap, kinds) {
            (true, [Side::List, Side::List]) => {
                // NULL is not the same as another one there.
                let null = Expr::Literal(ScalarValue::Null, None);
                let others = ScalarFunction::new_udf(Arc::clone(&self.without), vec![left, null]);
                (&self.has_any, vec![Expr::ScalarFunction(others), right])
            }
            (false, [Side::List, Side::Value]) => (&self.append, vec![left, right]),
            (false, [Side::Value, Side::List]) => (&self.prepend, vec![left, right]),
            _ => return Ok(PlannerResult::Original(RawBinaryExpr { op, left, right })),
        };
        let call = ScalarFunction::new_udf(Arc::clone(function), args);
        Ok(PlannerResult::Planned(Expr::ScalarFunction(call)))
    }
}

/// What stands on one side of an operator.
enum Side {
    List,
    Value,
    /// NULL, or what nobody knows yet.
    Unknown,
}

impl Side {
    fn of(expr: &Expr, schema: &DFSchema) -> Self {
        match expr.get_type(schema) {
            Ok(DataType::Null) | Err(_) => Self::Unknown,
            Ok(data_type) if element_of(&data_type).is_some() => Self::List,
            Ok(_) => Self::Value,
        }
    }
}

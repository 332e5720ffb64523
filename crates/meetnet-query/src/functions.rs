//! Which functions a query may use: those whose output or work can explode are bounded, or not there at all.
//!
//! DataFusion neither charges scalar functions to the memory pool nor cancels them, so one call of
//! `repeat('x', 2000000000)` would take the server down, and one of `levenshtein` with two long texts a thread for days.
//!
//! | functions | why | what |
//! |---|---|---|
//! | `repeat`, `lpad`, `rpad`, `array_repeat` | a number in the arguments sets the size | bounded |
//! | `replace`, `regexp_replace`, `array_to_string` | product of two sizes | bounded |
//! | `concat`, `concat_ws`, `overlay`, `\|\|`, `make_array`, `array_concat` and the like | doubles with each nesting | bounded |
//! | `string_to_array` | each byte may become an element | bounded |
//! | `to_char` | a long format for each row | bounded |
//! | `levenshtein`, `array_has_all`, `array_has_any` | each with each | bounded per row, stopped between rows |
//! | `regexp_…`, `~`, `SIMILAR TO` | length times size of the pattern, and compiling it | one pattern of bounded size, bounded per row, stopped between rows |
//! | scalar `range`, `generate_series`, `array_resize` | as `repeat`; the table functions are lazy and stay | removed |
//! | functions of functions (`array_transform`, …) | any of the above for each element | refused by the guard |
//! | `arrow_cast`, `arrow_try_cast` | types of fixed size allocate by declaration | removed |
//! | `input_file_name`, `file_row_index` | say where files lie | removed |
//!
//! What is made of constants alone becomes a literal, so it may be no more than a mebibyte.
//!
//! Operators become calls of such functions, and so do calls that the planner makes by itself (`[1, 2]`, `a @> b`): what
//! is bounded is bound in the plan, however it was written.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::logical_expr::expr::{BinaryExpr, Like, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{Expr, Operator, ScalarUDF, lit};

mod bounded;
mod pattern;
pub(crate) mod sizes;
mod text;

#[cfg(test)]
mod tests;

use bounded::{Bounded, Growth, Work};
use text::BoundedText;

const REMOVED: [&str; 7] = [
    "range",
    "generate_series",
    "array_resize",
    "arrow_cast",
    "arrow_try_cast",
    "input_file_name",
    "file_row_index",
];

const BOUNDED: [(&str, Growth, Work); 25] = [
    ("repeat", Growth::TimesNumber, Work::Small),
    ("array_repeat", Growth::TimesNumber, Work::Small),
    ("lpad", Growth::ToNumber, Work::Small),
    ("rpad", Growth::ToNumber, Work::Small),
    ("replace", Growth::TimesReplacement, Work::Small),
    ("regexp_replace", Growth::TimesReplacement, Work::Pattern),
    ("regexp_like", Growth::Small, Work::Pattern),
    ("regexp_match", Growth::Small, Work::Pattern),
    ("regexp_count", Growth::Small, Work::Pattern),
    ("regexp_instr", Growth::Small, Work::Pattern),
    ("concat", Growth::Sum, Work::Small),
    ("concat_ws", Growth::Sum, Work::Small),
    ("overlay", Growth::Sum, Work::Small),
    ("make_array", Growth::Sum, Work::Small),
    ("array_append", Growth::Sum, Work::Small),
    ("array_prepend", Growth::Sum, Work::Small),
    ("array_concat", Growth::Sum, Work::Small),
    ("array_union", Growth::Sum, Work::Small),
    ("arrays_zip", Growth::Sum, Work::Small),
    ("array_to_string", Growth::TimesDelimiter, Work::Small),
    ("string_to_array", Growth::PerByte, Work::Small),
    ("to_char", Growth::Format, Work::Small),
    ("levenshtein", Growth::Small, Work::Product),
    ("array_has_all", Growth::Small, Work::Product),
    ("array_has_any", Growth::Small, Work::Product),
];

/// The function that the operators of patterns become.
const LIKE_PATTERN: &str = "regexp_like";

/// Removes and wraps functions of a session.
pub(crate) fn restrict(state: &mut SessionState) -> Result<()> {
    for name in REMOVED {
        state.deregister_udf(name)?;
    }
    let mut bound = HashMap::new();
    for (name, growth, work) in BOUNDED {
        if let Some(inner) = state.deregister_udf(name)? {
            let wrapped = Arc::new(ScalarUDF::new_from_impl(Bounded::new(inner, growth, work)));
            state.register_udf(Arc::clone(&wrapped))?;
            bound.insert(name, wrapped);
        }
    }
    state.register_function_rewrite(Arc::new(BindFunctions {
        bound,
        text: Arc::new(ScalarUDF::new_from_impl(BoundedText::new())),
    }))
}

/// Puts bounded functions in the place of others and of operators.
#[derive(Debug)]
struct BindFunctions {
    bound: HashMap<&'static str, Arc<ScalarUDF>>,
    /// Looks at what `||` makes.
    text: Arc<ScalarUDF>,
}

impl BindFunctions {
    /// Returns the call that an operator of patterns means.
    fn like_pattern(
        &self,
        text: Expr,
        pattern: Expr,
        any_case: bool,
        negated: bool,
    ) -> Option<Expr> {
        let function = Arc::clone(self.bound.get(LIKE_PATTERN)?);
        let flags = any_case.then(|| lit("i"));
        let args = [text, pattern].into_iter().chain(flags).collect();
        let call = Expr::ScalarFunction(ScalarFunction::new_udf(function, args));
        Some(if negated {
            Expr::Not(Box::new(call))
        } else {
            call
        })
    }
}

impl FunctionRewrite for BindFunctions {
    fn name(&self) -> &str {
        "bind_functions"
    }

    fn rewrite(&self, expr: Expr, _: &DFSchema, _: &ConfigOptions) -> Result<Transformed<Expr>> {
        let bound = match &expr {
            Expr::BinaryExpr(binary) if binary.op == Operator::StringConcat => {
                let call = ScalarFunction::new_udf(Arc::clone(&self.text), vec![expr]);
                return Ok(Transformed::yes(Expr::ScalarFunction(call)));
            }
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => match of_pattern(*op) {
                Some((any_case, negated)) if !is_plain(right) => {
                    let (text, pattern) = (left.as_ref().clone(), right.as_ref().clone());
                    self.like_pattern(text, pattern, any_case, negated)
                }
                _ => None,
            },
            Expr::SimilarTo(Like {
                negated,
                expr: text,
                pattern,
                escape_char: None,
                case_insensitive,
            }) => {
                let (text, pattern) = (text.as_ref().clone(), pattern.as_ref().clone());
                self.like_pattern(text, pattern, *case_insensitive, *negated)
            }
            Expr::ScalarFunction(call) => self
                .bound
                .get(call.func.name())
                .filter(|bound| !Arc::ptr_eq(bound, &call.func))
                .map(|bound| {
                    let call = ScalarFunction::new_udf(Arc::clone(bound), call.args.clone());
                    Expr::ScalarFunction(call)
                }),
            _ => None,
        };
        Ok(match bound {
            Some(bound) => Transformed::yes(bound),
            None => Transformed::no(expr),
        })
    }
}

/// Returns whether an operator of patterns takes any case, and whether it is negated; None for other operators.
fn of_pattern(op: Operator) -> Option<(bool, bool)> {
    match op {
        Operator::RegexMatch => Some((false, false)),
        Operator::RegexIMatch => Some((true, false)),
        Operator::RegexNotMatch => Some((false, true)),
        Operator::RegexNotIMatch => Some((true, true)),
        _ => None,
    }
}

/// Returns true for a pattern of nothing but letters, digits and anchors: it is matched as fast as it can be read, and the
/// optimizer makes LIKE of it.
fn is_plain(pattern: &Expr) -> bool {
    let Expr::Literal(
        ScalarValue::Utf8(text) | ScalarValue::LargeUtf8(text) | ScalarValue::Utf8View(text),
        _,
    ) = pattern
    else {
        return false;
    };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_ ^$".contains(&byte);
    text.as_ref().is_none_or(|text| text.bytes().all(is_plain))
}

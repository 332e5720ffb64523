//! Which functions a query may use: those whose output or work can explode are bounded, or not there at all.
//!
//! DataFusion neither charges scalar functions to the memory pool nor cancels them, so one call of
//! `repeat('x', 2000000000)` would take the server down, and one of `levenshtein` with two long texts a thread for days.
//!
//! | functions | why | what |
//! |---|---|---|
//! | `repeat`, `lpad`, `rpad`, `array_repeat` | a number in the arguments sets the size | bounded |
//! | `replace`, `regexp_replace`, `array_replace`, `array_to_string`, `regexp_match` | product of two sizes | bounded |
//! | `concat`, `concat_ws`, `overlay`, `\|\|`, `make_array`, `array_concat` and the like | doubles with each nesting | bounded |
//! | `encode`, the pattern of `LIKE … ESCAPE` | doubles with each nesting | bounded |
//! | `to_json`, `json_build_object` and the like | the same, and names of columns come with each row | bounded, and while it is written: `json.rs` |
//! | `string_to_array` | each byte may become an element | bounded |
//! | `to_char` | a long format for each row | bounded; spans of time: `shown_spans.rs` |
//! | `levenshtein`, `array_has_all`, `array_has_any` | each with each | bounded per row, stopped between rows |
//! | `regexp_…`, `~`, `SIMILAR TO`, `substring(text FROM pattern)` | length times size of the pattern, and compiling it | one pattern of bounded size, bounded per row, stopped between rows |
//! | `LIKE` with wildcards within | length times size of the pattern, and compiling it | bounded per row, stopped between rows: `like.rs` |
//! | `translate`, `find_in_set` | a long argument is taken apart for each row | stopped between rows |
//! | scalar `range`, `generate_series`, `array_resize` | as `repeat`; the table functions are lazy and stay | removed |
//! | functions of functions (`array_transform`, …) | any of the above for each element | refused by the guard |
//! | `arrow_cast`, `arrow_try_cast` | types of fixed size allocate by declaration | removed |
//! | `input_file_name`, `file_row_index` | say where files lie | removed |
//!
//! What is made of constants alone becomes a literal, so it may be no more than a mebibyte. Many calls in one statement share
//! the room of one: `share.rs`.
//!
//! Operators become calls of such functions, and so do calls that the planner makes by itself (`[1, 2]`, `a @> b`): what
//! is bounded is bound in the plan, however it was written.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::logical_expr::expr::{BinaryExpr, Like, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{Expr, Operator, ScalarUDF, lit};

mod bounded;
mod counted;
mod elements;
mod escaped;
pub mod json;
mod like;
mod matched;
mod pattern;
mod share;
mod shown_spans;
mod similar;
pub mod sizes;
mod text;
mod unordered;
mod wrapped;

#[cfg(test)]
mod tests;

use bounded::{Bounded, Growth, Work};
use counted::{MatchCount, REGEXP_COUNT};
use escaped::EscapedLike;
use json::RowNames;
use like::{BoundedLike, is_search};
use matched::MatchedPart;
use shown_spans::{ShownSpans, TO_CHAR};
use similar::{as_regex, as_regex_of_parts};
use text::BoundedText;
use unordered::Unordered;

use crate::error::QueryError;

pub(crate) use bounded::is_constant;
pub(crate) use elements::{CommonElements, ListOperators, register as register_elements};
pub use escaped::{ESCAPED_LIKE, with_backslashes};
pub use matched::SUBSTRING_OF_PATTERN;
pub use share::CallShare;
pub(crate) use wrapped::{Wrapped, Wrapper};

const REMOVED: [&str; 7] = [
    "range",
    "generate_series",
    "array_resize",
    "arrow_cast",
    "arrow_try_cast",
    "input_file_name",
    "file_row_index",
];

const BOUNDED: [(&str, Growth, Work); 34] = [
    ("repeat", Growth::TimesNumber, Work::Small),
    ("array_repeat", Growth::Elements, Work::Small),
    ("encode", Growth::Doubled, Work::Small),
    (ESCAPED_LIKE, Growth::Doubled, Work::Small),
    ("lpad", Growth::ToNumber, Work::Small),
    ("rpad", Growth::ToNumber, Work::Small),
    ("replace", Growth::TimesReplacement, Work::Small),
    ("array_replace", Growth::TimesReplacement, Work::Small),
    ("array_replace_n", Growth::TimesReplacement, Work::Small),
    ("array_replace_all", Growth::TimesReplacement, Work::Small),
    ("regexp_replace", Growth::TimesReplacement, Work::Groups),
    ("regexp_like", Growth::Small, Work::Pattern),
    ("regexp_match", Growth::TimesGroups, Work::Groups),
    (REGEXP_COUNT, Growth::Small, Work::Pattern),
    ("regexp_instr", Growth::Small, Work::Pattern),
    (SUBSTRING_OF_PATTERN, Growth::Small, Work::Groups),
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
    (TO_CHAR, Growth::Format, Work::Small),
    ("translate", Growth::Sum, Work::Lengths),
    ("find_in_set", Growth::Small, Work::Lengths),
    ("levenshtein", Growth::Small, Work::Product),
    ("array_has_all", Growth::Small, Work::Product),
    ("array_has_any", Growth::Small, Work::Product),
    ("h3_disk", Growth::Disk, Work::Disk),
];

/// The function that the operators of patterns become.
const LIKE_PATTERN: &str = "regexp_like";

/// Removes and wraps functions of a session.
pub(crate) fn restrict(state: &mut SessionState) -> Result<()> {
    for name in REMOVED {
        state.deregister_udf(name)?;
    }
    state.register_udf(Arc::new(ScalarUDF::new_from_impl(EscapedLike::new())))?;
    for function in json::functions() {
        state.register_udf(function)?;
    }
    state.register_expr_planner(Arc::new(RowNames))?;
    state.register_udf(Arc::new(ScalarUDF::new_from_impl(MatchedPart::new())))?;
    if let Some(inner) = state.deregister_udf(REGEXP_COUNT)? {
        state.register_udf(Wrapped::function(inner, MatchCount))?;
    }
    if let Some(inner) = state.deregister_udf(TO_CHAR)? {
        let function = ScalarUDF::new_from_impl(ShownSpans::new(inner));
        state.register_udf(Arc::new(function))?;
    }
    for name in unordered::PARTIAL {
        if let Some(inner) = state.deregister_udf(name)? {
            state.register_udf(Wrapped::function(inner, Unordered))?;
        }
    }
    let mut bound = HashMap::new();
    for (name, growth, work) in BOUNDED {
        if let Some(inner) = state.deregister_udf(name)? {
            let wrapped = Wrapped::function(inner, Bounded::new(growth, work));
            state.register_udf(Arc::clone(&wrapped))?;
            bound.insert(name, wrapped);
        }
    }
    state.register_function_rewrite(Arc::new(BindFunctions {
        bound,
        text: Arc::new(ScalarUDF::new_from_impl(BoundedText::new())),
        like: [false, true]
            .map(|any_case| Arc::new(ScalarUDF::new_from_impl(BoundedLike::new(any_case)))),
    }))
}

/// Puts bounded functions in the place of others and of operators.
#[derive(Debug)]
struct BindFunctions {
    bound: HashMap<&'static str, Arc<ScalarUDF>>,
    /// Looks at what `||` makes.
    text: Arc<ScalarUDF>,
    /// What LIKE and ILIKE become.
    like: [Arc<ScalarUDF>; 2],
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
        Some(called(function, args, negated))
    }

    /// Returns the call that LIKE means; None where it stays an operator.
    fn like(&self, text: &Expr, pattern: &Expr, any_case: bool, negated: bool) -> Option<Expr> {
        if literal_text(pattern).is_some_and(|pattern| pattern.is_none_or(is_search)) {
            return None;
        }
        let function = Arc::clone(&self.like[usize::from(any_case)]);
        Some(called(
            function,
            vec![text.clone(), pattern.clone()],
            negated,
        ))
    }
}

fn called(function: Arc<ScalarUDF>, args: Vec<Expr>, negated: bool) -> Expr {
    let call = Expr::ScalarFunction(ScalarFunction::new_udf(function, args));
    if negated {
        Expr::Not(Box::new(call))
    } else {
        call
    }
}

impl FunctionRewrite for BindFunctions {
    fn name(&self) -> &str {
        "bind_functions"
    }

    fn rewrite(
        &self,
        expr: Expr,
        schema: &DFSchema,
        _: &ConfigOptions,
    ) -> Result<Transformed<Expr>> {
        let bound = match &expr {
            Expr::BinaryExpr(binary) if binary.op == Operator::StringConcat => {
                let call = ScalarFunction::new_udf(Arc::clone(&self.text), vec![expr]);
                return Ok(Transformed::yes(Expr::ScalarFunction(call)));
            }
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
                match (of_pattern(*op), of_like(*op)) {
                    (Some((any_case, negated)), _) if !is_plain(right) => {
                        let (text, pattern) = (left.as_ref().clone(), right.as_ref().clone());
                        self.like_pattern(text, pattern, any_case, negated)
                    }
                    (_, Some((any_case, negated))) => self.like(left, right, any_case, negated),
                    _ => None,
                }
            }
            // With another escape a pattern was written anew before the plan was made.
            Expr::Like(Like {
                negated,
                expr: text,
                pattern,
                escape_char: None | Some('\\'),
                case_insensitive,
            }) => self.like(text, pattern, *case_insensitive, *negated),
            Expr::SimilarTo(Like {
                negated,
                expr: text,
                pattern,
                escape_char,
                case_insensitive,
            }) => {
                let pattern = similar_pattern(pattern, escape_char.unwrap_or('\\'))?;
                let text = text.as_ref().clone();
                self.like_pattern(text, pattern, *case_insensitive, *negated)
            }
            Expr::ScalarFunction(call) if call.func.name() == SUBSTRING_OF_PATTERN => {
                match call.args.as_slice() {
                    [text, pattern, escape] => similar_part(pattern, escape)?.map(|pattern| {
                        let function = Arc::clone(&call.func);
                        called(function, vec![text.clone(), pattern], false)
                    }),
                    _ => None,
                }
            }
            Expr::ScalarFunction(call) => self
                .bound
                .get(call.func.name())
                .filter(|bound| !Arc::ptr_eq(bound, &call.func))
                .map(|bound| {
                    let call = ScalarFunction::new_udf(Arc::clone(bound), call.args.clone());
                    Expr::ScalarFunction(call)
                })
                .or_else(|| json::told(call, schema)),
            _ => None,
        };
        Ok(match bound {
            Some(bound) => Transformed::yes(bound),
            None => Transformed::no(expr),
        })
    }
}

/// Returns the regular expression that a pattern of SIMILAR TO means.
fn similar_pattern(pattern: &Expr, escape: char) -> Result<Expr> {
    match (pattern, literal_text(pattern)) {
        (_, Some(Some(text))) => match as_regex(text, escape) {
            Ok(regex) => Ok(lit(regex)),
            Err(why) => Err(no_pattern(text, &why)),
        },
        (_, Some(None)) | (Expr::Literal(ScalarValue::Null, _), _) => {
            Ok(lit(ScalarValue::Utf8(None)))
        }
        (Expr::Placeholder(_), _) => Ok(pattern.clone()),
        (Expr::Cast(cast), _) if cast.field.data_type().is_string() => {
            similar_pattern(&cast.expr, escape)
        }
        _ => Err(unsupported(
            "SIMILAR TO with a pattern that is no constant; write text ~ pattern, a regular expression, or LIKE",
        )),
    }
}

/// Returns the regular expression whose one group is the part that a pattern of SIMILAR TO asks for; None where the pattern, or its
/// escape, is not known yet.
fn similar_part(pattern: &Expr, escape: &Expr) -> Result<Option<Expr>> {
    let (pattern, escape) = (uncast(pattern), uncast(escape));
    let (Some(written), Some(escape)) = (literal_text(pattern), literal_text(escape)) else {
        return match [pattern, escape]
            .iter()
            .any(|part| matches!(part, Expr::Placeholder(_)))
        {
            true => Ok(None),
            false => Err(unsupported(
                "`substring` by a pattern of SIMILAR TO, or an escape, that is no constant; write substring(text FROM pattern), \
                 by a regular expression",
            )),
        };
    };
    let (Some(written), Some(escape)) = (written, escape) else {
        return Ok(Some(lit(ScalarValue::Utf8(None))));
    };
    let mut letters = escape.chars();
    // No text has this character, so that without an escape there is none.
    let letter = letters.next().unwrap_or('\0');
    if letters.next().is_some() {
        return Err(unsupported(&format!(
            "the escape `{escape}`; it is one character"
        )));
    }
    match as_regex_of_parts(written, letter) {
        Ok(regex) => Ok(Some(lit(regex))),
        Err(why) => Err(no_pattern(written, &why)),
    }
}

/// Returns what is cast to a text; every other expression as it is.
fn uncast(expr: &Expr) -> &Expr {
    match expr {
        Expr::Cast(cast) if cast.field.data_type().is_string() => uncast(&cast.expr),
        expr => expr,
    }
}

fn no_pattern(text: &str, why: &str) -> DataFusionError {
    unsupported(&format!("the pattern `{text}` of SIMILAR TO: {why}"))
}

fn unsupported(what: &str) -> DataFusionError {
    QueryError::not_supported(what).into()
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

/// Returns the same of the operators that LIKE is written as.
fn of_like(op: Operator) -> Option<(bool, bool)> {
    match op {
        Operator::LikeMatch => Some((false, false)),
        Operator::ILikeMatch => Some((true, false)),
        Operator::NotLikeMatch => Some((false, true)),
        Operator::NotILikeMatch => Some((true, true)),
        _ => None,
    }
}

/// Returns the text of a literal, which may be NULL; None for another expression.
pub(crate) fn literal_text(expr: &Expr) -> Option<Option<&str>> {
    let Expr::Literal(
        ScalarValue::Utf8(text) | ScalarValue::LargeUtf8(text) | ScalarValue::Utf8View(text),
        _,
    ) = expr
    else {
        return None;
    };
    Some(text.as_deref())
}

/// Returns true for a pattern of nothing but letters, digits and anchors: it is matched as fast as it can be read, and the
/// optimizer makes LIKE of it.
fn is_plain(pattern: &Expr) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_ ^$".contains(&byte);
    literal_text(pattern).is_some_and(|text| text.is_none_or(|text| text.bytes().all(is_plain)))
}

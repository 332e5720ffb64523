//! From the text of a statement to the plan that is checked and run, and what can be said of it before it runs.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::{ScalarValue, SchemaError};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast;
use meetnet_model::ids::Sequence;
use meetnet_model::licence::Rights;
use meetnet_sql::computed_beneath;
use meetnet_sql::json::{is_json, json_columns};

use crate::catalog::SnapshotTables;
use crate::error::{QueryError, QueryErrorKind, of_unnest};
use crate::guard;
use crate::hints;
use crate::options::{Dialect, QueryOptions, QueryRequest};
use crate::parameters::{self, Parameters};
use crate::parse;
use crate::placeholders;
use crate::postgres::rewrite::rewritten;
use crate::postgres::{
    JSON_EXTENSION, Written, apart, as_written, beside_stars, escape_by_backslash, leave_out_empty,
    name_casts,
};
use crate::reach::Reach;

mod declared;
mod flags;
mod grouped_pairs;
mod groups;
mod json_calls;
mod kept;
mod matched;
mod members;
mod named_rows;
mod negated;
mod operators;
mod percentiles;
mod positions;
mod row_counts;
mod row_members;
mod rows;
mod shadowed;
mod shared_columns;
mod shifted;
mod spans;
mod spelling;
mod table_arguments;
mod typed;
mod unheard;
mod unnested;
mod windows;

use declared::cast_declared;
use groups::check_groups;
pub use kept::refused_statements;
use members::{any_as_calls, is_of_elements};
use named_rows::name_rows;
use negated::{is_of_negative, times_minus_one};
use positions::name_positions;
use shadowed::name_shadowing;
use shared_columns::{name_table_of_natural, name_tables_of_shared};
use spelling::{name_series, respell};
use typed::keep_digits_of_parameters;
use unheard::{check_heard, series_of_columns};
use unnested::is_unnested_there;
use windows::write_out_windows;

pub(crate) use members::among;
pub(crate) use named_rows::ROW_NAME;
pub(crate) use row_counts::RowCounts;
pub(crate) use spans::in_units;
pub(crate) use spelling::{binary, call, respell_parsed};

/// What PostgreSQL calls the column of a plan.
const QUERY_PLAN: &str = "QUERY PLAN";
/// What stands before values in names that the planner makes of expressions. That of a whole number without a sign ends so, too.
const SHOWN_TYPES: [&str; 7] = [
    "Binary(",
    "Boolean(",
    "Decimal128(",
    "Float64(",
    "Int64(",
    "IntervalMonthDayNano(",
    "Utf8(",
];
/// Columns of tables that NATURAL joins which get a table: the statement is planned anew for each.
const NATURAL_COLUMNS_MAX: usize = 16;
/// Parameters of one statement: what the wire protocol can count.
const PARAMETERS_MAX: usize = 65_535;

/// A plan that only reads.
pub(crate) struct Planned {
    pub(crate) plan: LogicalPlan,
    pub(crate) names: ShownNames,
    /// For each column of the answer whether it is JSON; empty where clients are told of texts.
    pub(crate) json: Vec<bool>,
    /// Whose SQL it was written in.
    dialect: Dialect,
    /// Placeholders that have their values in the plan already.
    filled: BTreeSet<String>,
    /// The greatest number of a placeholder that is written, where parts of what is written are not planned.
    written: usize,
}

/// What clients call the columns of a plan.
pub(crate) enum ShownNames {
    /// As the plan does.
    AsPlanned,
    /// So, by what the plan calls them, and no two the same: in objects and in the tables of notebooks one of both would be
    /// lost.
    Distinct(BTreeMap<String, String>),
    /// So, one after the other.
    InOrder(Vec<String>),
    /// So, by what the plan calls them; as the plan does where that is not among them.
    ByPlanned(BTreeMap<String, String>),
    /// As PostgreSQL does where EXPLAIN answers JSON: one column, without the one that says which plan it is.
    PlanAsJson,
    /// As PostgreSQL does where EXPLAIN answers texts: one column, and a row for each line.
    PlanAsText,
}

impl ShownNames {
    /// Returns a schema with the names that clients know.
    pub(crate) fn of(&self, schema: SchemaRef) -> SchemaRef {
        let fields = schema.fields().iter();
        let renamed: Vec<Field> = match self {
            Self::InOrder(names) if names.len() == schema.fields().len() => fields
                .zip(names)
                .map(|(field, name)| field.as_ref().clone().with_name(name))
                .collect(),
            Self::Distinct(names) => {
                let known = fields.clone().map(|field| {
                    let name = names.get(field.name()).unwrap_or(field.name());
                    name.clone()
                });
                let names = distinct(known.collect());
                let is_same = fields
                    .clone()
                    .zip(&names)
                    .all(|(field, name)| field.name() == name && !is_json(field));
                if is_same {
                    return schema;
                }
                let fields = fields.zip(names);
                let fields = fields.map(|(field, name)| as_text(field).with_name(name));
                fields.collect()
            }
            Self::ByPlanned(names) if !names.is_empty() => fields
                .map(|field| {
                    let name = names.get(field.name()).unwrap_or(field.name());
                    field.as_ref().clone().with_name(name)
                })
                .collect(),
            Self::PlanAsJson => {
                let json = schema.fields().last().map(|field| {
                    let [key, json] = JSON_EXTENSION.map(str::to_owned);
                    let field = field.as_ref().clone().with_name(QUERY_PLAN);
                    field.with_metadata(HashMap::from([(key, json)]))
                });
                json.into_iter().collect()
            }
            Self::PlanAsText => vec![plan_field()],
            _ => return schema,
        };
        Arc::new(Schema::new(renamed))
    }

    /// Returns the columns of a batch that clients are shown.
    pub(crate) fn shown(&self, batch: RecordBatch) -> Result<RecordBatch> {
        match self {
            Self::PlanAsJson => Ok(batch.project(&[batch.num_columns().saturating_sub(1)])?),
            Self::PlanAsText => plan_lines(&batch),
            _ => Ok(batch),
        }
    }
}

/// Returns a column whose texts are no more than that, where they are JSON: readers of Arrow have types of their own for it, or know it not
/// at all.
fn as_text(field: &Field) -> Field {
    let mut metadata = field.metadata().clone();
    if is_json(field) {
        metadata.remove(JSON_EXTENSION[0]);
    }
    field.clone().with_metadata(metadata)
}

/// Returns a schema that says which of its columns are JSON: what they were written as is known, and lost in what runs.
pub(crate) fn with_json(schema: SchemaRef, json: &[bool]) -> SchemaRef {
    let fields = schema.fields();
    if fields.len() != json.len() || !json.contains(&true) {
        return schema;
    }
    let marked = fields.iter().zip(json).map(|(field, is_marked)| {
        let field = field.as_ref().clone();
        if !*is_marked || !field.data_type().is_string() {
            return field;
        }
        let mut metadata = field.metadata().clone();
        let [key, json] = JSON_EXTENSION.map(str::to_owned);
        metadata.insert(key, json);
        field.with_metadata(metadata)
    });
    let marked: Vec<Field> = marked.collect();
    Arc::new(Schema::new_with_metadata(marked, schema.metadata().clone()))
}

/// Refuses what clients of PostgreSQL cannot be sent: an array of rows has no type of theirs here.
fn check_sent(plan: &LogicalPlan) -> Result<()> {
    let is_of_rows = plan
        .schema()
        .fields()
        .iter()
        .any(|field| match field.data_type() {
            DataType::List(element) => matches!(element.data_type(), DataType::Struct(_)),
            _ => false,
        });
    if is_of_rows {
        return Err(QueryError::not_supported(
            "an array of rows as a column of the answer; write json_agg(t), which makes JSON of them",
        )
        .into());
    }
    Ok(())
}

/// Returns the column that has the lines of a plan.
fn plan_field() -> Field {
    Field::new(QUERY_PLAN, DataType::Utf8, false)
}

/// Returns a row for each line of the plans of a batch. What a plan is called stands before its lines, which are moved in.
fn plan_lines(batch: &RecordBatch) -> Result<RecordBatch> {
    let mut lines = Vec::new();
    if let [names, plans] = batch.columns() {
        let names = cast(names, &DataType::Utf8)?;
        let plans = cast(plans, &DataType::Utf8)?;
        let plans = plans.as_string::<i32>();
        for (name, plan) in names.as_string::<i32>().iter().zip(plans) {
            lines.push(name.unwrap_or_default().to_owned());
            let of_plan = plan.unwrap_or_default().lines();
            lines.extend(of_plan.map(|line| format!("  {line}")));
        }
    }
    let schema = Arc::new(Schema::new(vec![plan_field()]));
    let lines: ArrayRef = Arc::new(StringArray::from(lines));
    Ok(RecordBatch::try_new(schema, vec![lines])?)
}

/// Returns names of which no two are the same: a name that was there before has a number behind it, `time_1`.
fn distinct(names: Vec<String>) -> Vec<String> {
    let mut taken: BTreeSet<String> = names.iter().cloned().collect();
    // The last number behind each that was there before.
    let mut met = BTreeMap::<String, u64>::new();
    let name = |name: String| {
        let Some(number) = met.get_mut(&name) else {
            met.insert(name.clone(), 0);
            return name;
        };
        loop {
            *number += 1;
            let other = format!("{name}_{number}");
            if taken.insert(other.clone()) {
                return other;
            }
        }
    };
    names.into_iter().map(name).collect()
}

impl Planned {
    /// Puts values in place of the placeholders.
    pub(crate) fn with_values(self, values: &Parameters) -> Result<Self> {
        let plan = parameters::bind(self.plan, values, &self.filled)?;
        // Without values it is the plan that has been looked at.
        if !values.is_empty() {
            guard::check_casts(&plan, self.dialect)?;
        }
        Ok(Self { plan, ..self })
    }
}

/// Plans a statement; what does anything but read is refused. Its placeholders stay, but for those among the arguments of table
/// functions.
pub(crate) async fn planned(
    session: &SessionState,
    request: &QueryRequest,
    tables: &SnapshotTables,
    options: &QueryOptions,
) -> Result<Planned> {
    planned_with(session, request, tables, options, Values::Own).await
}

/// What the values of a request are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Values {
    /// Those that the statement runs with.
    Own,
    /// Samples of their types: its own are not known yet.
    Samples,
}

/// As [`planned`], of a request whose values are these.
async fn planned_with(
    session: &SessionState,
    request: &QueryRequest,
    tables: &SnapshotTables,
    options: &QueryOptions,
    values: Values,
) -> Result<Planned> {
    let mut statement = parse::statement(&request.sql, request.dialect, options)?;
    let written = match (request.dialect, parse::parsed(&statement)) {
        (Dialect::Generic, Some(ast::Statement::Query(query))) => as_written(query),
        _ => Written::default(),
    };
    let filled = table_arguments::fill(&mut statement, &request.parameters, values);
    cast_declared(&mut statement, &request.parameters);
    keep_digits_of_parameters(&mut statement, &request.parameters);
    escape_by_backslash(&mut statement);
    name_shadowing(&mut statement);
    check_only_reads(&statement)?;
    write_out_windows(&mut statement)?;
    guard::check_lists(&statement)?;
    check_heard(&statement)?;
    let bounds = series_of_columns(&statement);
    check_groups(&statement, session.aggregate_functions())?;
    name_rows(&mut statement, request.dialect)?;
    let placeholders = match request.dialect {
        Dialect::Generic => 0,
        Dialect::Postgres => placeholders::greatest(&mut statement),
    };
    let (plan, names) = match request.dialect {
        Dialect::Generic => {
            respell(&mut statement)?;
            let planned = planned_or_renamed(session, statement, rename_columns).await;
            let (plan, mut names) = planned.map_err(|error| of_bounds(error, bounds))?;
            call_as_written(&mut names, written, &plan);
            (plan, ShownNames::Distinct(names))
        }
        Dialect::Postgres => {
            let rewritten = rewritten(statement, tables)?;
            let planned = planned_or_renamed(session, rewritten.statement, rename_casts).await;
            let (plan, ()) = planned.map_err(|error| of_bounds(error, bounds))?;
            (plan, rewritten.names)
        }
    };
    let plan = row_members::by_parts(plan)?;
    guard::check_plan(&plan)?;
    guard::check_casts(&plan, request.dialect)?;
    let json = match request.dialect {
        Dialect::Generic => Vec::new(),
        Dialect::Postgres => {
            check_sent(&plan)?;
            json_columns(&plan)
        }
    };
    Ok(Planned {
        plan: computed_beneath(plan)?,
        names,
        json,
        dialect: request.dialect,
        filled,
        written: placeholders,
    })
}

/// Returns what a statement is refused with: what is wrong with the bounds of a series, where a column is not found there.
fn of_bounds(error: DataFusionError, bounds: Option<String>) -> DataFusionError {
    match bounds {
        Some(what) if is_of_unknown_column(&error) => QueryError::not_supported(what).into(),
        _ => error,
    }
}

/// Adds what clients call columns in whose names the planner shows types, `Int64(1) + x`: as they are `written`, where it is certain
/// which these are. An `unnest` may become several columns.
fn call_as_written(names: &mut BTreeMap<String, String>, written: Written, plan: &LogicalPlan) {
    let fields = plan.schema().fields();
    let Written { before, behind } = written;
    let mut all = before.iter().chain(behind.iter().flatten()).flatten();
    let is_certain = match &behind {
        None => before.len() == fields.len(),
        Some(behind) => {
            before.len() + behind.len() <= fields.len()
                && !all.any(|text| text.to_lowercase().contains("unnest"))
        }
    };
    if is_about_a_plan(plan) || !is_certain {
        return;
    }
    let behind = behind.unwrap_or_default();
    let others = fields.len() - behind.len();
    let first = fields.iter().zip(before);
    let last = fields.iter().skip(others).zip(behind);
    for (field, written) in first.chain(last) {
        let shows_type = SHOWN_TYPES.iter().any(|shown| field.name().contains(shown));
        if let Some(written) = written.filter(|_| shows_type) {
            names.entry(field.name().clone()).or_insert(written);
        }
    }
}

/// Plans a statement as it is written, or where that is refused and `rename` has other names for it, with those; returns what
/// `rename` returned.
///
/// They are the second choice: an ORDER BY behind DISTINCT or UNION means a column by the name that was written.
async fn planned_or_renamed<N: Default>(
    session: &SessionState,
    statement: Statement,
    rename: fn(&mut Statement, &DataFusionError) -> Option<N>,
) -> Result<(LogicalPlan, N)> {
    let mut renamed = statement.clone();
    let error = match session.statement_to_plan(statement).await {
        Ok(plan) if is_unnested_there(&plan) => return Err(of_unnest().into()),
        Ok(plan) => return Ok((plan, N::default())),
        Err(error) => error,
    };
    let ambiguous = ambiguous_column(&error);
    if let Some(column) = ambiguous
        && let Some(plan) = planned_by_natural(session, renamed.clone(), column).await
    {
        return Ok((plan, N::default()));
    }
    let Some(names) = rename(&mut renamed, &error) else {
        return Err(error);
    };
    let planned = session.statement_to_plan(renamed).await;
    // Where that is refused, too, the error is about what was written.
    planned.map(|plan| (plan, names)).or(Err(error))
}

/// Plans a statement that is refused because a column is one of several tables, which NATURAL joins; None where it goes on being
/// refused.
async fn planned_by_natural(
    session: &SessionState,
    mut statement: Statement,
    mut column: String,
) -> Option<LogicalPlan> {
    for _ in 0..NATURAL_COLUMNS_MAX {
        if !name_table_of_natural(&mut statement, &column) {
            return None;
        }
        column = match session.statement_to_plan(statement.clone()).await {
            Ok(plan) => return (!is_unnested_there(&plan)).then_some(plan),
            Err(error) => ambiguous_column(&error)?,
        };
    }
    None
}

/// Returns the column that a statement is refused with because several tables have it.
fn ambiguous_column(error: &DataFusionError) -> Option<String> {
    match error.find_root() {
        DataFusionError::SchemaError(error, _) => match &**error {
            SchemaError::AmbiguousReference { field } => Some(field.name.clone()),
            _ => None,
        },
        _ => None,
    }
}

/// Gives names of their own to columns beside a `*`, to what would have the same name, to what an ORDER BY means by its
/// position, and to what an alias of a series means, a table to columns that several share, and makes products of negatives that are
/// none, and calls of comparisons with elements of arrays that nobody knows how to compare; returns what the columns are called, or
/// None where the statement is the same.
fn rename_columns(
    statement: &mut Statement,
    error: &DataFusionError,
) -> Option<BTreeMap<String, String>> {
    let mut names = name_columns(statement, beside_stars);
    let mut has_casts = false;
    let mut has_shared = false;
    if is_of_same_names(error) {
        has_shared = name_tables_of_shared(statement);
        names.extend(name_columns(statement, apart));
        has_casts = name_casts(statement);
    }
    let has_positions = name_positions(statement);
    let has_series = is_of_unknown_column(error) && name_series(statement);
    let has_negatives = is_of_negative(error) && times_minus_one(statement);
    let has_calls = is_of_elements(error) && any_as_calls(statement);
    let has_other =
        has_casts || has_shared || has_positions || has_series || has_negatives || has_calls;
    (!names.is_empty() || has_other).then_some(names)
}

/// Gives names of their own to casts that would have the same one, and to what an alias of a series means, and a table to columns
/// that several share, in a statement whose columns have such names already, makes products of negatives that are none, and calls of
/// comparisons with elements of arrays that nobody knows how to compare, and leaves out what can have no rows, which may be written
/// with what only PostgreSQL has; returns None where the statement is the same.
fn rename_casts(statement: &mut Statement, error: &DataFusionError) -> Option<()> {
    let has_shared = is_of_same_names(error) && name_tables_of_shared(statement);
    let has_casts = is_of_same_names(error) && name_casts(statement);
    let has_series = is_of_unknown_column(error) && name_series(statement);
    let has_negatives = is_of_negative(error) && times_minus_one(statement);
    let has_calls = is_of_elements(error) && any_as_calls(statement);
    let has_empty = match parse::parsed_mut(statement) {
        Some(ast::Statement::Query(query)) => leave_out_empty(query),
        _ => false,
    };
    let has_other = has_shared || has_casts || has_series || has_negatives || has_calls;
    (has_other || has_empty).then_some(())
}

/// Returns true for what a statement is refused with because no column has the name that it says.
fn is_of_unknown_column(error: &DataFusionError) -> bool {
    match error.find_root() {
        DataFusionError::SchemaError(error, _) => {
            matches!(**error, SchemaError::FieldNotFound { .. })
        }
        _ => false,
    }
}

/// Returns true for what a statement is refused with because two expressions have one name.
fn is_of_same_names(error: &DataFusionError) -> bool {
    match error.find_root() {
        DataFusionError::Plan(message) => message.contains("require unique expression names"),
        DataFusionError::SchemaError(error, _) => matches!(
            **error,
            SchemaError::DuplicateQualifiedField { .. }
                | SchemaError::DuplicateUnqualifiedField { .. }
                | SchemaError::AmbiguousReference { .. }
        ),
        _ => false,
    }
}

/// Gives columns of a query names of their own; returns what they are called.
fn name_columns(
    statement: &mut Statement,
    of_query: fn(&mut ast::Query) -> BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    match parse::parsed_mut(statement) {
        Some(ast::Statement::Query(query)) => of_query(query),
        _ => BTreeMap::new(),
    }
}

/// Refuses by its word what would change something: its plan would be refused as well, but only where its values fit the
/// table, and whoever writes it would first learn to write it well.
fn check_only_reads(statement: &Statement) -> Result<()> {
    use ast::Statement as Sql;
    let word = match statement {
        Statement::Explain(explain) => return check_only_reads(&explain.statement),
        Statement::CopyTo(_) => "COPY",
        Statement::CreateExternalTable(_) => "CREATE",
        Statement::Reset(_) => "RESET",
        Statement::Statement(statement) => match statement.as_ref() {
            Sql::Insert(_) => "INSERT",
            Sql::Update(_) => "UPDATE",
            Sql::Delete(_) => "DELETE",
            Sql::Merge(_) => "MERGE",
            Sql::Truncate(_) => "TRUNCATE",
            Sql::AlterTable(_) => "ALTER",
            Sql::Drop { .. } => "DROP",
            Sql::CreateTable(_)
            | Sql::CreateView(_)
            | Sql::CreateSchema { .. }
            | Sql::CreateDatabase { .. } => "CREATE",
            _ => return Ok(()),
        },
    };
    let message = format!("this service only reads; {word} is not allowed");
    Err(QueryError::new(QueryErrorKind::Forbidden, message).into())
}

/// What a statement takes and answers.
#[derive(Clone, Debug)]
pub struct StatementDescription {
    /// Columns of the answer.
    pub schema: SchemaRef,
    /// Types of `$1`, `$2`, …; None where nothing in the statement tells.
    pub parameters: Vec<Option<DataType>>,
    /// Which of these, counted from 0, are cast to numbers of decimal digits, or to lists of such, and used as nothing else. Their
    /// values, or the elements of these, are read from texts: a float would lose digits.
    pub digits: BTreeSet<usize>,
    /// Every frame up to this sequence had arrived in the tables it reads, now. An answer reaches as far, or further.
    pub through: Sequence,
    /// `recorded_at` of `through`, µs since 1970 UTC.
    pub stable_time: i64,
    /// Licences and attributions of the tables it reads.
    pub rights: Rights,
    /// As in [`crate::QueryAnswer`], as far as the statement and the values of the request tell.
    pub hints: Vec<String>,
}

/// Describes a statement. `known` are the types that the client has named; None: it leaves them to us.
pub(crate) async fn described(
    session: &SessionState,
    request: &QueryRequest,
    tables: &SnapshotTables,
    options: &QueryOptions,
    known: &[Option<DataType>],
) -> Result<StatementDescription> {
    let planned = match request.parameters.is_empty() {
        true => {
            let request = QueryRequest {
                parameters: table_arguments::samples(known),
                ..request.clone()
            };
            planned_with(session, &request, tables, options, Values::Samples).await?
        }
        false => planned(session, request, tables, options).await?,
    };
    // Values that do not fit are told of when it runs.
    let bound = match request.parameters.is_empty() {
        true => None,
        false => {
            let plan = planned.plan.clone();
            parameters::bind(plan, &request.parameters, &planned.filled).ok()
        }
    };
    let hints = hints::of_plan(bound.as_ref().unwrap_or(&planned.plan), tables);
    let found = planned.plan.get_parameter_types()?;
    let (lists, said, digit_lists) = match found.values().any(Option::is_none) {
        true => (
            parameters::list_types(&planned.plan)?,
            parameters::said_types(&planned.plan)?,
            parameters::digit_lists(&planned.plan)?,
        ),
        false => (HashMap::new(), HashMap::new(), HashSet::new()),
    };
    let (decimals, said): (HashMap<_, _>, HashMap<_, _>) = said
        .into_iter()
        .partition(|(_, data_type): &(String, DataType)| data_type.is_decimal());
    let mut digits = BTreeSet::new();
    let mut parameters: Vec<Option<DataType>> = known.to_vec();
    for (name, data_type) in found {
        let number = name.trim_start_matches('$');
        let position = number.parse::<usize>().unwrap_or(0);
        if position == 0 || position > PARAMETERS_MAX {
            return Err(refused(format!(
                "`{name}` is no parameter; they are $1, $2 and so on"
            )));
        }
        if parameters.len() < position {
            parameters.resize(position, None);
        }
        let has_digits = decimals.contains_key(number) || digit_lists.contains(number);
        if data_type.is_none() && has_digits {
            digits.insert(position - 1);
        }
        let parameter = &mut parameters[position - 1];
        if parameter.is_none() {
            let listed = || lists.get(number).cloned();
            let cast_to = || said.get(number).cloned();
            *parameter = data_type.or_else(listed).or_else(cast_to);
        }
    }
    // Parts that read an empty table of the catalogue are gone, and who has written them sends their values all the same.
    let written = planned.written.min(PARAMETERS_MAX);
    if parameters.len() < written {
        parameters.resize(written, None);
    }
    // What an answer looks like may depend on what is put in: `SELECT $1` is of the type of its parameter.
    // In the form that values have when it runs.
    let nulls = parameters.iter().map(|data_type| {
        let null = ScalarValue::try_from(data_type.as_ref().unwrap_or(&DataType::Utf8))?;
        parameters::of_the_day(null)
    });
    let nulls = nulls.collect::<Result<Vec<_>>>()?;
    let (names, json) = (planned.names, planned.json);
    let plan = match nulls.is_empty() {
        true => planned.plan,
        false => planned.plan.with_param_values(nulls)?,
    };
    let reach = Reach::of_plan(&plan, tables);
    let is_known = parameters.iter().all(Option::is_some);
    let plan = coerced(session, plan, is_known)?;
    let schema = Arc::new(plan.schema().as_arrow().clone());
    Ok(StatementDescription {
        schema: names.of(with_json(schema, &json)),
        parameters,
        digits,
        through: reach.through,
        stable_time: reach.stable_time,
        rights: reach.rights,
        hints,
    })
}

/// Returns a plan with the types that it runs with: until then CASE and UNION have those of their first branch, and who is
/// told a column of integers must not be sent fractions.
///
/// Where the types of parameters are not known, what stands for them may fit nowhere. Then the plan stays as it is.
fn coerced(session: &SessionState, plan: LogicalPlan, is_known: bool) -> Result<LogicalPlan> {
    if is_about_a_plan(&plan) {
        return Ok(plan);
    }
    let before = (!is_known).then(|| plan.clone());
    let analyzer = session.analyzer();
    let analyzed = analyzer.execute_and_check(plan, session.config_options(), |_, _| {});
    match (analyzed, before) {
        (Err(_), Some(before)) => Ok(before),
        (analyzed, _) => analyzed,
    }
}

/// Returns true for a plan that answers what another plan or table is like, not its rows.
pub(crate) fn is_about_a_plan(plan: &LogicalPlan) -> bool {
    matches!(
        plan,
        LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) | LogicalPlan::DescribeTable(_)
    )
}

fn refused(message: String) -> DataFusionError {
    QueryError::new(QueryErrorKind::BadRequest, message).into()
}

#[cfg(test)]
mod tests;

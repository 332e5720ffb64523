//! Rows as values, and the names that mean them.
//!
//! `row_of(a, b)` is a row of its arguments, called `f1`, `f2`, … as PostgreSQL calls them. Which columns a table has only the planner
//! knows; so what the syntax tree says of rows is put into operators that nobody can write ([`ALL_COLUMNS`], [`BY_NAME`]), and planned
//! here.

use std::sync::Arc;

use arrow::array::{ArrayRef, StructArray};
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use datafusion::common::DFSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::super::bounded::is_constant;
use super::Meaning;
use crate::rewrite::column_or_constant;

/// The function that makes a row of values.
pub const ROW_OF: &str = "row_of";
/// The operator that means a row of all columns of what a query reads from; its sides mean nothing.
pub const ALL_COLUMNS: &str = "row of all columns";
/// The operator whose left side is a name, and whose right side is the row that it means where no column has it.
pub const BY_NAME: &str = "row by its name";

/// The function [`ROW_OF`].
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct RowOf {
    signature: Signature,
    /// What its parts are called; None: `f1`, `f2`, ….
    names: Option<Vec<String>>,
    /// What the parts mean; None: their fields say so.
    meanings: Option<Vec<Meaning>>,
}

impl RowOf {
    pub(crate) fn new(names: Option<Vec<String>>, meanings: Option<Vec<Meaning>>) -> Self {
        Self {
            signature: Signature::variadic_any(Volatility::Immutable),
            names,
            meanings,
        }
    }

    /// Returns the function that knows what its parts mean; None where it does.
    pub(super) fn told(&self, meanings: impl FnOnce() -> Vec<Meaning>) -> Option<Self> {
        match &self.meanings {
            None => Some(Self::new(self.names.clone(), Some(meanings()))),
            Some(_) => None,
        }
    }

    fn part(&self, position: usize, of: &FieldRef) -> Field {
        let name = self.names.as_ref().and_then(|names| names.get(position));
        let name = name
            .cloned()
            .unwrap_or_else(|| format!("f{}", position + 1));
        let meaning = match &self.meanings {
            Some(meanings) => meanings.get(position).copied(),
            None => Some(Meaning::of(of)),
        };
        let meaning = meaning.unwrap_or(Meaning::Plain);
        meaning.field(&name, of.data_type().clone())
    }
}

impl ScalarUDFImpl for RowOf {
    fn name(&self) -> &str {
        ROW_OF
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let fields = types.iter().enumerate().map(|(position, data_type)| {
            let field = Arc::new(Field::new("", data_type.clone(), true));
            self.part(position, &field)
        });
        Ok(DataType::Struct(fields.collect()))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let fields = args.arg_fields.iter().enumerate();
        let fields: Fields = fields
            .map(|(position, of)| self.part(position, of))
            .collect();
        Ok(Arc::new(Field::new(
            ROW_OF,
            DataType::Struct(fields),
            false,
        )))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let DataType::Struct(fields) = args.return_field.data_type() else {
            return Err(DataFusionError::Plan(format!("`{ROW_OF}` makes rows")));
        };
        let rows = match is_constant(&args.args) {
            true => 1,
            false => args.number_rows,
        };
        let parts = args.args.iter().map(|argument| argument.to_array(rows));
        let parts = parts.collect::<Result<Vec<ArrayRef>>>()?;
        let row = StructArray::try_new(fields.clone(), parts, None)?;
        column_or_constant(&args.args, Arc::new(row))
    }
}

/// Plans the operators of this module.
#[derive(Debug)]
pub(crate) struct RowNames;

impl ExprPlanner for RowNames {
    fn plan_binary_op(
        &self,
        expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let word = match &expr.op {
            BinaryOperator::Custom(word) => word.as_str(),
            _ => "",
        };
        let (is_of_all, is_by_name) = (word == ALL_COLUMNS, word == BY_NAME);
        Ok(if is_of_all {
            PlannerResult::Planned(row_of_all(schema))
        } else if is_by_name && means_nothing(&expr.left, schema) {
            PlannerResult::Planned(expr.right)
        } else if is_by_name {
            PlannerResult::Planned(expr.left)
        } else {
            PlannerResult::Original(expr)
        })
    }
}

/// Returns true for a name that no column has, here or around the query.
fn means_nothing(name: &Expr, schema: &DFSchema) -> bool {
    match name {
        Expr::Column(column) => {
            column.relation.is_none()
                && schema
                    .qualified_fields_with_unqualified_name(&column.name)
                    .is_empty()
        }
        _ => false,
    }
}

fn row_of_all(schema: &DFSchema) -> Expr {
    let fields = schema.fields().iter();
    let names = fields.clone().map(|field| field.name().clone()).collect();
    let meanings = fields.map(|field| Meaning::of(field)).collect();
    let row = ScalarUDF::new_from_impl(RowOf::new(Some(names), Some(meanings)));
    row.call(schema.iter().map(Expr::from).collect())
}

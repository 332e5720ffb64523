//! Names of answers' columns: as PostgreSQL gives them to clients, and such that no two are the same for the planner.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, ArrayElemTypeDef, DataType, ExactNumberInfo, Expr, Ident, Query, Select,
    SelectItem, SelectItemQualifiedWildcardKind, SetExpr, TimezoneInfo, TrimWhereField, VisitMut,
    VisitorMut,
};

use super::emptiness::last_part;
use crate::parse::meant;

/// What PostgreSQL calls a column that has no name.
const UNNAMED: &str = "?column?";

/// Returns the names of a query's columns; None where a `*` stands for some of them.
pub(super) fn names(query: &Query) -> Option<Vec<String>> {
    let select = first_select(&query.body)?;
    let name = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(expr) => Some(name_of(expr).unwrap_or_else(|| UNNAMED.to_owned())),
        SelectItem::ExprWithAlias { alias, .. } => Some(meant(alias)),
        _ => None,
    };
    select.projection.iter().map(name).collect()
}

/// How the columns of a query without a name are written; None stands for the others.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// Those before the first `*`, or all.
    pub(crate) before: Vec<Option<String>>,
    /// Those behind the last `*`, where there is one.
    pub(crate) behind: Option<Vec<Option<String>>>,
}

/// Returns how the columns of a query without a name are written, a cast as what is cast.
pub(crate) fn as_written(query: &Query) -> Written {
    let is_star = |item: &SelectItem| {
        matches!(
            item,
            SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)
        )
    };
    let written = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(Expr::Identifier(_) | Expr::CompoundIdentifier(_)) => None,
        SelectItem::UnnamedExpr(expr) => Some(without_casts(expr)),
        _ => None,
    };
    let Some(select) = first_select(&query.body) else {
        return Written::default();
    };
    let items = &select.projection;
    let first = items.iter().position(is_star).unwrap_or(items.len());
    let last = items.iter().rposition(is_star);
    Written {
        before: items[..first].iter().map(written).collect(),
        behind: last.map(|last| items[last + 1..].iter().map(written).collect()),
    }
}

/// Gives every column without a name one of its own: DataFusion refuses two that are the same, such as two counts, or a column
/// beside a `*` that has it as well. Returns what PostgreSQL calls those whose name was made up, by that name.
pub(super) fn make_distinct(query: &mut Query) -> BTreeMap<String, String> {
    let mut made_up = BTreeMap::new();
    let Some(select) = first_select_mut(&mut query.body) else {
        return made_up;
    };
    let stars = Stars::of(select);
    let mut taken: BTreeSet<String> = select
        .projection
        .iter()
        .filter_map(|item| match item {
            SelectItem::UnnamedExpr(Expr::Identifier(ident)) => Some(meant(ident)),
            SelectItem::ExprWithAlias { alias, .. } => Some(meant(alias)),
            _ => None,
        })
        .collect();
    let mut columns = BTreeSet::new();
    for (position, item) in select.projection.iter_mut().enumerate() {
        let SelectItem::UnnamedExpr(expr) = item else {
            continue;
        };
        let is_column = matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
        if is_column && !stars.may_have(expr) && columns.insert(expr.to_string()) {
            continue;
        }
        // `ORDER BY count` means a call by its name. A cast has the name of its column, which must go on meaning that.
        let named = matches!(expr, Expr::Function(_))
            .then(|| name_of(expr))
            .flatten()
            .filter(|name| taken.insert(name.clone()));
        let alias = named.unwrap_or_else(|| {
            let alias = format!("{UNNAMED}{position}");
            let shown = name_of(expr).unwrap_or_else(|| UNNAMED.to_owned());
            made_up.insert(alias.clone(), shown);
            alias
        });
        *item = SelectItem::ExprWithAlias {
            expr: expr.clone(),
            alias: Ident::with_quote('"', alias),
        };
    }
    made_up
}

/// Gives the columns beside a `*` that may have them as well names of their own: DataFusion refuses two that are the same.
/// Returns what they are called, by that name.
pub(crate) fn beside_stars(query: &mut Query) -> BTreeMap<String, String> {
    let mut made_up = BTreeMap::new();
    let Some(select) = first_select_mut(&mut query.body) else {
        return made_up;
    };
    let stars = Stars::of(select);
    for (position, item) in select.projection.iter_mut().enumerate() {
        let SelectItem::UnnamedExpr(expr) = item else {
            continue;
        };
        let is_column = matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
        let Some(name) = name_of(expr).filter(|_| is_column && stars.may_have(expr)) else {
            continue;
        };
        let alias = format!("{UNNAMED}{position}");
        made_up.insert(alias.clone(), name);
        *item = SelectItem::ExprWithAlias {
            expr: expr.clone(),
            alias: Ident::with_quote('"', alias),
        };
    }
    made_up
}

/// Gives columns names of their own that DataFusion may call the same, as it leaves casts and subqueries out of what it calls them:
/// those with such in them, and what is written twice. Returns what they are called, by that name: a cast as what is cast, the
/// others as they are written.
pub(crate) fn apart(query: &mut Query) -> BTreeMap<String, String> {
    let mut made_up = BTreeMap::new();
    let Some(select) = first_select_mut(&mut query.body) else {
        return made_up;
    };
    let bare = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(expr) => Some(Bare::of(expr)),
        _ => None,
    };
    let bare: Vec<Option<Bare>> = select.projection.iter().map(bare).collect();
    let mut counts = BTreeMap::<&str, usize>::new();
    for bare in bare.iter().flatten() {
        *counts.entry(&bare.text).or_default() += 1;
    }
    let mut columns = BTreeSet::new();
    for (position, (item, bare)) in select.projection.iter_mut().zip(&bare).enumerate() {
        let (SelectItem::UnnamedExpr(expr), Some(bare)) = (&*item, bare) else {
            continue;
        };
        let is_column = matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
        let is_alone = counts
            .get(bare.text.as_str())
            .is_none_or(|count| *count == 1);
        if (is_alone && !bare.is_abridged) || (is_column && columns.insert(&bare.text)) {
            continue;
        }
        let alias = format!("{UNNAMED}{position}");
        made_up.insert(alias.clone(), without_casts(expr));
        *item = SelectItem::ExprWithAlias {
            expr: expr.clone(),
            alias: Ident::with_quote('"', alias),
        };
    }
    made_up
}

/// Returns how an expression without a name is called where it is called as it is written: a cast as what is cast.
fn without_casts(expr: &Expr) -> String {
    match what_is_cast(expr) {
        Expr::Identifier(ident) => meant(ident),
        Expr::CompoundIdentifier(parts) => parts.last().map(meant).unwrap_or_default(),
        expr => expr.to_string(),
    }
}

/// Returns an expression without the casts around it.
fn what_is_cast(expr: &Expr) -> &Expr {
    match expr {
        Expr::Cast { expr, .. } | Expr::Nested(expr) => what_is_cast(expr),
        Expr::AtTimeZone { timestamp, .. } => what_is_cast(timestamp),
        expr => expr,
    }
}

/// An expression as DataFusion names it, about: without its casts, and without the tables of its columns.
struct Bare {
    text: String,
    /// There is a cast or a subquery in it.
    is_abridged: bool,
}

impl Bare {
    fn of(expr: &Expr) -> Self {
        let mut expr = expr.clone();
        let mut without = WithoutCasts { is_abridged: false };
        // The visitor never breaks.
        let _ = expr.visit(&mut without);
        Self {
            text: expr.to_string(),
            is_abridged: without.is_abridged,
        }
    }
}

/// Takes casts out of expressions.
struct WithoutCasts {
    is_abridged: bool,
}

impl VisitorMut for WithoutCasts {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let nothing = || Expr::Identifier(Ident::new(""));
        let bare = match expr {
            Expr::Cast { expr: inner, .. }
            | Expr::AtTimeZone {
                timestamp: inner, ..
            } => {
                self.is_abridged = true;
                std::mem::replace(inner.as_mut(), nothing())
            }
            Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => {
                self.is_abridged = true;
                return ControlFlow::Continue(());
            }
            Expr::Nested(inner) => std::mem::replace(inner.as_mut(), nothing()),
            Expr::Identifier(ident) => Expr::Identifier(Ident::with_quote('"', meant(ident))),
            Expr::CompoundIdentifier(parts) => match parts.last() {
                Some(ident) => Expr::Identifier(Ident::with_quote('"', meant(ident))),
                None => return ControlFlow::Continue(()),
            },
            _ => return ControlFlow::Continue(()),
        };
        *expr = bare;
        ControlFlow::Continue(())
    }
}

/// The `*` and `c.*` of a projection.
struct Stars {
    /// There is a `*`: every column of every table.
    has_all: bool,
    /// The tables of `c.*`, in lower case.
    tables: BTreeSet<String>,
}

impl Stars {
    fn of(select: &Select) -> Self {
        let items = &select.projection;
        let tables = items.iter().filter_map(|item| match item {
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                Some(last_part(name))
            }
            _ => None,
        });
        Self {
            tables: tables.collect(),
            has_all: items
                .iter()
                .any(|item| matches!(item, SelectItem::Wildcard(_))),
        }
    }

    /// Returns true for a column that they have too, or may have: a name without a table can be of any.
    fn may_have(&self, column: &Expr) -> bool {
        match column {
            Expr::CompoundIdentifier(parts) if !self.has_all => {
                let table = parts.iter().rev().nth(1);
                table.is_some_and(|table| self.tables.contains(&table.value.to_lowercase()))
            }
            _ => self.has_all || !self.tables.is_empty(),
        }
    }
}

fn first_select(body: &SetExpr) -> Option<&Select> {
    match body {
        SetExpr::Select(select) => Some(select),
        SetExpr::Query(query) => first_select(&query.body),
        SetExpr::SetOperation { left, .. } => first_select(left),
        _ => None,
    }
}

fn first_select_mut(body: &mut SetExpr) -> Option<&mut Select> {
    match body {
        SetExpr::Select(select) => Some(select),
        SetExpr::Query(query) => first_select_mut(&mut query.body),
        SetExpr::SetOperation { left, .. } => first_select_mut(left),
        _ => None,
    }
}

/// Returns the name that an expression gives its column; None: it has none.
fn name_of(expr: &Expr) -> Option<String> {
    match named(expr)? {
        Named::Itself(name) | Named::ByType(name) => Some(name),
    }
}

/// What an expression calls its column.
enum Named {
    /// As a column or a function is called. So are a cast of it, and a CASE with it behind ELSE.
    Itself(String),
    /// As a type is called, or `case`: a cast of it has the name of the other type.
    ByType(String),
}

/// Returns what an expression calls its column; None: it has no name for it.
fn named(expr: &Expr) -> Option<Named> {
    use Named::{ByType, Itself};
    let name = match expr {
        Expr::Identifier(ident) => meant(ident),
        Expr::CompoundIdentifier(parts) => meant(parts.last()?),
        Expr::Function(function) => last_part(&function.name),
        Expr::Cast {
            expr, data_type, ..
        } => match named(expr) {
            Some(Itself(name)) => name,
            _ => return Some(ByType(type_name(data_type))),
        },
        Expr::TypedString(typed) => return Some(ByType(type_name(&typed.data_type))),
        Expr::Interval(_) => return Some(ByType("interval".to_owned())),
        Expr::Nested(expr) | Expr::Collate { expr, .. } => return named(expr),
        // Of its ELSE, where that has one.
        Expr::Case { else_result, .. } => match else_result.as_deref().and_then(named) {
            Some(Itself(name)) => name,
            _ => return Some(ByType("case".to_owned())),
        },
        // Of the field, or of the list whose element it is.
        Expr::CompoundFieldAccess { root, access_chain } => {
            let field = access_chain.iter().rev().find_map(|access| match access {
                AccessExpr::Dot(field) => named(field),
                AccessExpr::Subscript(_) => None,
            });
            return field.or_else(|| named(root));
        }
        Expr::Exists { negated: false, .. } => "exists".to_owned(),
        Expr::Array(_) => "array".to_owned(),
        Expr::Tuple(_) => "row".to_owned(),
        Expr::Extract { .. } => "extract".to_owned(),
        Expr::Substring { .. } => "substring".to_owned(),
        Expr::Position { .. } => "position".to_owned(),
        Expr::Overlay { .. } => "overlay".to_owned(),
        Expr::Trim { trim_where, .. } => match trim_where {
            Some(TrimWhereField::Leading) => "ltrim".to_owned(),
            Some(TrimWhereField::Trailing) => "rtrim".to_owned(),
            Some(TrimWhereField::Both) | None => "btrim".to_owned(),
        },
        Expr::Ceil { .. } => "ceil".to_owned(),
        Expr::Floor { .. } => "floor".to_owned(),
        Expr::AtTimeZone { .. } => "timezone".to_owned(),
        // A cast of it has the name of its column, also where that has none.
        Expr::Subquery(query) => names(query)?.into_iter().next()?,
        _ => return None,
    };
    Some(Itself(name))
}

/// Returns what PostgreSQL calls a type within, without its length: a list is called as its elements.
fn type_name(data_type: &DataType) -> String {
    use DataType as Type;
    let name = match data_type {
        Type::Array(
            ArrayElemTypeDef::AngleBracket(element)
            | ArrayElemTypeDef::SquareBracket(element, _)
            | ArrayElemTypeDef::Parenthesis(element),
        ) => return type_name(element),
        Type::Custom(name, _) => return last_part(name),
        Type::SmallInt(_) | Type::Int2(_) => "int2",
        Type::Int(_) | Type::Integer(_) | Type::Int4(_) => "int4",
        Type::BigInt(_) | Type::Int8(_) => "int8",
        Type::Real | Type::Float4 | Type::Float(ExactNumberInfo::Precision(..=24)) => "float4",
        Type::DoublePrecision | Type::Double(_) | Type::Float8 | Type::Float(_) => "float8",
        Type::Numeric(_) | Type::Decimal(_) | Type::Dec(_) => "numeric",
        Type::Bool | Type::Boolean => "bool",
        Type::Char(_) | Type::Character(_) => "bpchar",
        Type::Varchar(_) | Type::CharVarying(_) | Type::CharacterVarying(_) => "varchar",
        Type::Time(_, zone) if has_zone(*zone) => "timetz",
        Type::Time(..) => "time",
        Type::Timestamp(_, zone) if has_zone(*zone) => "timestamptz",
        Type::Timestamp(..) => "timestamp",
        Type::Interval { .. } => "interval",
        other => return other.to_string().to_lowercase(),
    };
    name.to_owned()
}

fn has_zone(zone: TimezoneInfo) -> bool {
    matches!(zone, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz)
}

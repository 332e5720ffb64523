//! The functions for sensor data, where PostgreSQL's clients look for functions: `\df` and `\da` of psql, and what completes names.

use meetnet_functions::{FunctionDescription, FunctionKind, descriptions};

use super::Same::{Bool, Int, NoList, Null, Text};
use super::{OIDS, OWNER_OID, PUBLIC_OID, bools, hash, ints, same, strings};
use crate::catalog::NamedColumns;
use crate::postgres::types::{PgScalar, PgType};

/// Types of results that no column has.
pub(crate) const PSEUDO_TYPES: [(i64, &str); 2] = [(RECORD_OID, "record"), (ANY_OID, "anyelement")];
const RECORD_OID: i64 = 2249;
/// Of what has the type of an argument.
const ANY_OID: i64 = 2283;

/// A function as the catalogue has it.
#[derive(Clone, Copy)]
pub(crate) struct CatalogFunction {
    /// From its name, above those of relations.
    pub(crate) oid: i64,
    pub(crate) described: &'static FunctionDescription,
}

/// Returns the functions that are described.
pub(crate) fn functions() -> impl Iterator<Item = CatalogFunction> {
    descriptions().map(|described| CatalogFunction {
        oid: OIDS + hash(described.name) % OIDS,
        described,
    })
}

impl CatalogFunction {
    /// Returns the arguments as they are written, those that may be left out in brackets.
    pub(crate) fn arguments(self) -> &'static str {
        let (_, behind) = self.described.signature.split_once('(').unwrap_or_default();
        let (arguments, _) = behind.split_once(')').unwrap_or_default();
        arguments
    }

    /// Returns the type of the result in PostgreSQL's words; of a table its columns.
    pub(crate) fn result(self) -> String {
        match (self.written_result(), self.result_type()) {
            (_, Some(pg_type)) => pg_type.sql_name(),
            (written, None) if self.result_oid() == RECORD_OID => written.to_owned(),
            _ => "anyelement".to_owned(),
        }
    }

    fn written_result(self) -> &'static str {
        let (_, result) = self
            .described
            .signature
            .rsplit_once(" → ")
            .unwrap_or_default();
        result
    }

    fn result_type(self) -> Option<PgType> {
        let scalar = match self.written_result() {
            "boolean" => PgScalar::Bool,
            "float64" => PgScalar::Float8,
            "int64" | "list of int64" => PgScalar::Int8,
            "timestamp" => PgScalar::TimestampTz,
            "interval" => PgScalar::Interval,
            _ => return None,
        };
        Some(PgType {
            scalar,
            is_array: self.written_result().starts_with("list"),
        })
    }

    fn result_oid(self) -> i64 {
        match (self.result_type(), self.described.kind) {
            (Some(pg_type), _) => i64::from(pg_type.oid()),
            (None, FunctionKind::Table) => RECORD_OID,
            (None, _) => ANY_OID,
        }
    }

    fn kind(self) -> &'static str {
        match self.described.kind {
            FunctionKind::Scalar | FunctionKind::Table => "f",
            FunctionKind::Aggregate => "a",
            FunctionKind::Window => "w",
        }
    }
}

pub(super) fn pg_proc() -> NamedColumns {
    let all: Vec<CatalogFunction> = functions().collect();
    let number = |of: fn(CatalogFunction) -> i64| ints(all.iter().copied().map(of).collect());
    let text = |of: fn(CatalogFunction) -> &'static str| {
        strings(all.iter().map(|function| of(*function).to_owned()))
    };
    let is_table = |function: &CatalogFunction| function.described.kind == FunctionKind::Table;
    let mut columns = vec![
        ("oid", number(|function| function.oid)),
        ("proname", text(|function| function.described.name)),
        ("prokind", text(CatalogFunction::kind)),
        ("proretset", bools(all.iter().map(is_table).collect())),
        ("prorettype", number(CatalogFunction::result_oid)),
        (
            "pronargs",
            number(|function| function.arguments().split(',').count() as i64),
        ),
        (
            "pronargdefaults",
            number(|function| function.arguments().matches('[').count() as i64),
        ),
    ];
    columns.extend(same(
        all.len(),
        &[
            ("pronamespace", Int(PUBLIC_OID)),
            ("proowner", Int(OWNER_OID)),
            ("prolang", Int(0)),
            ("procost", Int(1)),
            ("prorows", Int(0)),
            ("provariadic", Int(0)),
            ("prosupport", Text("-")),
            ("prosecdef", Bool(false)),
            ("proleakproof", Bool(false)),
            ("proisstrict", Bool(false)),
            ("provolatile", Text("i")),
            ("proparallel", Text("s")),
            // Of which types they are, a call says; drivers read a list of numbers, and none is an empty text.
            ("proargtypes", Text("")),
            ("proallargtypes", NoList),
            ("proargmodes", NoList),
            ("proargnames", NoList),
            ("proargdefaults", Null),
            ("protrftypes", NoList),
            ("prosrc", Null),
            ("probin", Null),
            ("prosqlbody", Null),
            ("proconfig", NoList),
            ("proacl", NoList),
        ],
    ));
    columns
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_function_has_a_number_a_type_and_arguments() {
        let oids: BTreeSet<i64> = functions().map(|function| function.oid).collect();
        assert_eq!(oids.len(), functions().count());
        for function in functions() {
            let name = function.described.name;
            assert!(i32::try_from(function.oid).is_ok(), "{name}");
            assert!(!function.arguments().is_empty(), "{name}");
            let written = function.written_result();
            let is_known = function.result_type().is_some()
                || written == "type of value"
                || (written.starts_with("table (") && function.result_oid() == RECORD_OID);
            assert!(is_known, "{name}: {written}");
        }
    }

    #[test]
    fn signatures_are_taken_apart() {
        let check = |name: &str, arguments: &str, result: &str| {
            let function = functions().find(|function| function.described.name == name);
            let function = function.expect(name);
            let found = (function.arguments(), function.result());
            assert_eq!(found, (arguments, result.to_owned()), "{name}");
        };
        check(
            "time_bucket",
            "interval, time [, zone [, origin]]",
            "timestamp with time zone",
        );
        check("locf", "value", "anyelement");
        check("h3_disk", "cell, steps", "bigint[]");
        check(
            "time_grid",
            "interval, from, to [, zone [, origin]]",
            "table (time, time_end)",
        );
    }
}

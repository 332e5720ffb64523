//! What the server is: its one database, its one role and its settings.

use std::sync::Arc;

use super::Same::{Bool, Int, NoList, Null, Text};
use super::{DATABASE, DATABASE_OID, OWNER, OWNER_OID, TABLESPACE_OID, one_row, same, strings};
use crate::catalog::NamedColumns;
use crate::postgres::settings::SETTINGS;

pub(super) fn pg_database() -> NamedColumns {
    one_row(&[
        ("oid", Int(DATABASE_OID)),
        ("datname", Text(DATABASE)),
        ("datdba", Int(OWNER_OID)),
        ("encoding", Int(6)),
        ("datlocprovider", Text("c")),
        ("datistemplate", Bool(false)),
        ("datallowconn", Bool(true)),
        ("datconnlimit", Int(-1)),
        ("dattablespace", Int(TABLESPACE_OID)),
        ("datcollate", Text("C.UTF-8")),
        ("datctype", Text("C.UTF-8")),
        ("daticulocale", Null),
        ("datcollversion", Null),
        ("datacl", NoList),
    ])
}

pub(super) fn pg_roles() -> NamedColumns {
    one_row(&[
        ("oid", Int(OWNER_OID)),
        ("rolname", Text(OWNER)),
        ("rolsuper", Bool(false)),
        ("rolinherit", Bool(true)),
        ("rolcreaterole", Bool(false)),
        ("rolcreatedb", Bool(false)),
        ("rolcanlogin", Bool(false)),
        ("rolreplication", Bool(false)),
        ("rolbypassrls", Bool(false)),
        ("rolconnlimit", Int(-1)),
        ("rolvaliduntil", Null),
        ("rolconfig", NoList),
    ])
}

pub(super) fn pg_settings() -> NamedColumns {
    let rows = SETTINGS.len();
    let values = strings(SETTINGS.map(|(_, value)| value.to_owned()));
    let mut columns = vec![
        ("name", strings(SETTINGS.map(|(name, _)| name.to_owned()))),
        ("setting", Arc::clone(&values)),
        ("boot_val", Arc::clone(&values)),
        ("reset_val", values),
    ];
    columns.extend(same(
        rows,
        &[
            ("unit", Null),
            ("category", Text("meetnet")),
            ("short_desc", Null),
            ("context", Text("internal")),
            ("vartype", Text("string")),
            ("source", Text("default")),
        ],
    ));
    columns
}

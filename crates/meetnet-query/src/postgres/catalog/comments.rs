//! What declarations say of datasets and columns, where PostgreSQL's clients look for it: comments.

use meetnet_model::common_columns;
use meetnet_model::dataset::DatasetDeclaration;

use super::{PG_CLASS_OID, PG_PROC_OID, fields, functions, ints, kind, relations, strings};
use crate::catalog::{NamedColumns, SnapshotTables};

/// What people are told of a relation, of one of its columns, or of a function.
pub(crate) struct Description {
    /// Of the table of relations, or of that of functions.
    class: i64,
    /// Of the relation or the function.
    pub(crate) oid: i64,
    /// Number of the column, from 1; 0: the relation or the function itself.
    pub(crate) column: i64,
    pub(crate) text: String,
}

/// Returns the English titles that declarations give, of columns with the unit, and what functions say of themselves.
pub(crate) fn descriptions(tables: &SnapshotTables) -> Vec<Description> {
    let mut descriptions = Vec::new();
    for relation in relations(tables) {
        let Some(declaration) = tables.declaration_of(&relation.name) else {
            continue;
        };
        let title = declaration.title.get("en");
        let text = match kind(tables, &relation) {
            "r" => title.to_owned(),
            _ => format!("{title}, every version of each row"),
        };
        let oid = relation.oid;
        descriptions.push(Description {
            class: PG_CLASS_OID,
            oid,
            column: 0,
            text,
        });
        for (position, field) in fields(tables, &relation).fields().iter().enumerate() {
            let text = column_text(declaration, field.name());
            descriptions.extend(text.map(|text| Description {
                class: PG_CLASS_OID,
                oid,
                column: position as i64 + 1,
                text,
            }));
        }
    }
    descriptions.extend(functions().map(|function| Description {
        class: PG_PROC_OID,
        oid: function.oid,
        column: 0,
        text: function.described.description.to_owned(),
    }));
    descriptions
}

fn column_text(declaration: &DatasetDeclaration, name: &str) -> Option<String> {
    let mut common = common_columns::ALL.iter();
    if let Some(common) = common.find(|common| common.name == name) {
        return Some(common.description().get("en").to_owned());
    }
    let column = &declaration.columns[declaration.column_index(name)?];
    let title = column.title.as_ref().map(|title| title.get("en"));
    match (title, column.unit.as_deref()) {
        (title, None | Some("1")) => title.map(str::to_owned),
        (None, Some(unit)) => Some(unit.to_owned()),
        (Some(title), Some(unit)) => Some(format!("{title} ({unit})")),
    }
}

pub(super) fn pg_description(tables: &SnapshotTables) -> NamedColumns {
    let all = descriptions(tables);
    let number = |of: fn(&Description) -> i64| ints(all.iter().map(of).collect());
    vec![
        ("classoid", number(|description| description.class)),
        ("objoid", number(|description| description.oid)),
        ("objsubid", number(|description| description.column)),
        (
            "description",
            strings(all.iter().map(|description| description.text.clone())),
        ),
    ]
}

//! SQL as PostgreSQL's clients write it, and the catalogue that they look around in.
//!
//! ```text
//! text ─▶ statements (split) ─▶ [ parse ─▶ rewrite ─▶ plan ]  as every other query
//!                                          names, types, functions and operators of PostgreSQL;
//!                                          what reads a table that is always empty
//!                                pg_catalog, information_schema ◀─ tables of one snapshot
//! ```
//!
//! A session of this dialect sees the datasets that any other sees, under the same guard and limits; the tables of
//! `pg_catalog` are made from them when a statement names one. It speaks no protocol: that is for `meetnet-pg`.

mod aliases;
mod arrays;
mod bytea;
mod casts;
pub(crate) mod catalog;
mod copy;
mod emptiness;
mod escapes;
mod functions;
mod geometry;
pub(crate) mod layers;
mod powers;
mod prepare;
pub(crate) mod rewrite;
mod search_path;
mod settings;
mod statements;
pub(crate) mod syntax;
mod time_format;
mod type_functions;
mod type_name;
mod type_tree;
mod types;

pub(crate) use aliases::{Written, apart, as_written, beside_stars};
pub use arrays::array_elements;
pub use bytea::bytea;
pub(crate) use casts::{name_casts, register as register_casts};
pub use copy::{CopyArgument, CopyOut, copy_out};
pub(crate) use emptiness::leave_out_empty;
pub(crate) use escapes::escape_by_backslash;
pub use functions::USER;
pub(crate) use functions::formatted_call;
pub use geometry::ewkb;
pub(crate) use geometry::register as register_geometry;
pub use prepare::{PgExecute, PgPrepare, execute, prepare};
pub use settings::{SETTINGS, setting};
pub use statements::{PgStatement, statements};
pub(crate) use time_format::reading_format_of;
pub(crate) use type_name::register as register_type_names;
pub(crate) use types::{EXTENSION_KEY, JSON_EXTENSION};
pub use types::{PgScalar, PgType};

pub use meetnet_sql::literals::{has_digits_of_value, without_exponent};

#[cfg(test)]
mod tests;

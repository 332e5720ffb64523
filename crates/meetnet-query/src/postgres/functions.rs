//! Functions of PostgreSQL that clients call while they look around, as expressions that DataFusion knows.

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    Array, ArrayElemTypeDef, BinaryOperator, CaseWhen, CastKind, DataType, Expr, Function,
    FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, TimezoneInfo, Value,
};
use meetnet_sql::AT_TIME_ZONE;

use super::catalog::{
    CatalogFunction, DATABASE, Description, OWNER, PG_CLASS_OID, PG_PROC_OID, PSEUDO_TYPES,
    Relation, functions,
};
use super::geometry::SRID;
use super::settings::{SETTINGS, setting};
use super::time_format::UTC;
use super::types::PgType;
use crate::catalog::SCHEMA;
use crate::planning::{self, binary};

/// Who everybody is in SQL.
pub const USER: &str = "public";

/// Functions whose answer is not known here, and that clients take to be missing.
const UNKNOWN: [&str; 17] = [
    "inet_client_addr",
    "inet_server_addr",
    "inet_server_port",
    "pg_get_constraintdef",
    "pg_get_expr",
    "pg_get_function_sqlbody",
    "pg_get_indexdef",
    "pg_get_partkeydef",
    "pg_get_ruledef",
    "pg_get_serial_sequence",
    "pg_get_viewdef",
    "pg_postmaster_start_time",
    "pg_tablespace_location",
    "postgis_geos_version",
    "postgis_proj_version",
    "shobj_description",
    "st_estimatedextent",
];
const SIZES: [&str; 7] = [
    "pg_backend_pid",
    "pg_database_size",
    "pg_indexes_size",
    "pg_relation_size",
    "pg_stat_get_numscans",
    "pg_table_size",
    "pg_total_relation_size",
];
const VISIBLE: [&str; 11] = [
    "pg_collation_is_visible",
    "pg_conversion_is_visible",
    "pg_function_is_visible",
    "pg_has_role",
    "pg_opclass_is_visible",
    "pg_table_is_visible",
    "pg_ts_config_is_visible",
    "pg_ts_dict_is_visible",
    "pg_ts_parser_is_visible",
    "pg_ts_template_is_visible",
    "pg_type_is_visible",
];
const PRIVILEGES: [&str; 7] = [
    "has_any_column_privilege",
    "has_column_privilege",
    "has_database_privilege",
    "has_function_privilege",
    "has_schema_privilege",
    "has_sequence_privilege",
    "has_table_privilege",
];
/// Types that SQL calls otherwise as well.
const OTHER_NAMES: [(&str, &str); 3] =
    [("int4", "int"), ("float8", "float"), ("numeric", "decimal")];
/// What everybody may do. Whatever else is asked for, nobody may.
const GRANTED: [&str; 4] = ["select", "usage", "connect", "execute"];

/// Returns what a call stands for; None where it is no function of PostgreSQL's own.
pub(super) fn replaced(name: &str, function: &Function, relations: &[Relation]) -> Option<Expr> {
    let arguments = arguments(function);
    let first = arguments.first().copied();
    let found = match name {
        "current_catalog" | "current_database" => text(DATABASE),
        "current_role" | "current_user" | "session_user" | "user" => text(USER),
        "current_schema" => text(SCHEMA),
        "current_schemas" => match first? {
            // Those that are searched without being named are asked for.
            Expr::Value(value) if value.value == Value::Boolean(false) => texts([SCHEMA]),
            _ => texts([super::catalog::PG_CATALOG, SCHEMA]),
        },
        "current_setting" => match literal(first?) {
            Some(name) => setting(name).map_or_else(null, text),
            None => {
                let settings = SETTINGS.map(|(name, value)| (text(name), value.to_owned()));
                case_else(first?, settings.into_iter(), null())
            }
        },
        // The name of a type that is called is a cast.
        "date" if arguments.len() == 1 => cast(first?.clone(), DataType::Date),
        "format" => formatted(&arguments)?,
        "format_type" => case(
            first?,
            PgType::all()
                .map(|pg_type| (i64::from(pg_type.oid()), pg_type.sql_name()))
                .chain(PSEUDO_TYPES.map(|(oid, name)| (oid, name.to_owned()))),
        ),
        // Without a time zone they are those of UTC, as every session here has it.
        // Of the microsecond that `localtimestamp` has.
        "localtime" if arguments.is_empty() => cast(
            now(DataType::Timestamp(None, TimezoneInfo::None)),
            DataType::Time(None, TimezoneInfo::None),
        ),
        "localtimestamp" if arguments.is_empty() => {
            now(DataType::Timestamp(None, TimezoneInfo::None))
        }
        "getdatabaseencoding" | "pg_encoding_to_char" => text("UTF8"),
        "parse_ident" => texts(
            literal(first?)?
                .split('.')
                .map(|part| part.trim_matches('"')),
        ),
        "pg_get_function_arguments" | "pg_get_function_identity_arguments" => {
            of_function(first?, |function| function.arguments().to_owned())
        }
        "pg_get_function_result" => of_function(first?, CatalogFunction::result),
        "pg_get_userbyid" => text(OWNER),
        // Nobody has made a temporary table.
        "pg_my_temp_schema" => number(0),
        "pg_is_in_recovery" | "pg_is_other_temp_schema" => boolean(false),
        // There are no locks, so all are given back; asyncpg asks for it between two owners of a connection.
        "pg_advisory_unlock_all" if arguments.is_empty() => text(""),
        // Nor does anybody write what a lock would guard, so each is free; Rails and tools for migrations ask before they begin.
        "pg_advisory_unlock"
        | "pg_advisory_unlock_shared"
        | "pg_try_advisory_lock"
        | "pg_try_advisory_lock_shared"
        | "pg_try_advisory_xact_lock"
        | "pg_try_advisory_xact_lock_shared"
            if (1..=2).contains(&arguments.len()) =>
        {
            locked(&arguments, boolean(true))?
        }
        // Who waits for one has it; what says nothing else answers an empty text.
        "pg_advisory_lock"
        | "pg_advisory_lock_shared"
        | "pg_advisory_xact_lock"
        | "pg_advisory_xact_lock_shared"
            if (1..=2).contains(&arguments.len()) =>
        {
            locked(&arguments, text(""))?
        }
        "pg_size_pretty" => cast(first?.clone(), DataType::Text),
        "quote_ident" => first?.clone(),
        "set_config" => arguments.get(1).copied()?.clone(),
        "to_regclass" => number_or_null(oid(literal(first?)?, relations)),
        "to_regtype" => oid_of_type(first?),
        "quote_literal" => quoted(first?),
        // Of a zone that is no constant; one that is has become AT TIME ZONE.
        "timezone" if arguments.len() == 2 => {
            let time = arguments.get(1).copied()?;
            call(AT_TIME_ZONE, vec![time.clone(), first?.clone()])
        }
        // There is no infinity among times and intervals here.
        "isfinite" if arguments.len() == 1 => where_given(first?, boolean(true)),
        "array_lower" => number(1),
        // The planner has to know where a series ends that is made of it.
        "array_upper" => match first? {
            Expr::Array(array) if !array.elem.is_empty() && is_one(arguments.get(1)?) => {
                number(array.elem.len() as i64)
            }
            _ => return None,
        },
        "version" => text(&format!(
            "PostgreSQL {} (meetnet)",
            setting("server_version").unwrap_or_default()
        )),
        // Above 2.0 its functions have the names that are here, and are asked for no others.
        "postgis_version" => text("3.0 USE_GEOS=0 USE_PROJ=0 USE_STATS=0"),
        "postgis_lib_version" => text("3.0.0"),
        // QGIS asks for the bytes in an order; that of WKB here is the one that it asks for.
        "st_asbinary" => match arguments.get(1).copied().and_then(literal) {
            Some(order) if order.eq_ignore_ascii_case("ndr") => {
                call("st_asbinary", vec![first?.clone()])
            }
            _ => return None,
        },
        "st_asewkt" => joined([
            text(&format!("SRID={SRID};")),
            call("st_astext", vec![first?.clone()]),
        ])?,
        "st_srid" => where_given(first?, number(i64::from(SRID))),
        "st_zmflag" => where_given(first?, number(0)),
        "st_coorddim" | "st_ndims" => where_given(first?, number(2)),
        // What the catalogue says of a column of geometries is said of all of them. GDAL groups by it, and a bare number would
        // be a position there.
        "postgis_typmod_dims" => where_given(first?, number(2)),
        "postgis_typmod_srid" => where_given(first?, number(i64::from(SRID))),
        "postgis_typmod_type" => where_given(first?, text("Geometry")),
        // Of a box, whose degrees are the only ones there are.
        "st_setsrid" if envelope(first?).is_some() => first?.clone(),
        "st_extent" => extent(first?)?,
        "st_intersects" => meeting("wkb_meets", first?, arguments.get(1)?)?,
        // What QGIS writes to see a list or a boolean as text.
        "array_out" | "boolout" => cast(first?.clone(), DataType::Text),
        name if UNKNOWN.contains(&name) => null(),
        name if SIZES.contains(&name) => number(0),
        name if VISIBLE.contains(&name) => boolean(true),
        name if PRIVILEGES.contains(&name) => {
            boolean(arguments.last().copied().is_some_and(is_granted))
        }
        _ => return None,
    };
    Some(found)
}

/// Functions that make the number of a lock of a text.
const HASHES: [&str; 2] = ["hashtext", "hashtextextended"];

/// Returns what is said of a lock that is named by numbers: nothing where one of them is NULL.
fn locked(keys: &[&Expr], said: Expr) -> Option<Expr> {
    let is_given = keys.iter().map(|key| {
        let key = match hashed(key) {
            Some(name) => name.clone(),
            // A parameter among them is a number.
            None => cast((*key).clone(), DataType::BigInt(None)),
        };
        Expr::IsNotNull(Box::new(key))
    });
    let condition = is_given.reduce(|one, other| binary(one, BinaryOperator::And, other))?;
    Some(Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![CaseWhen {
            condition,
            result: said,
        }],
        else_result: None,
    })
}

/// Returns the text of which the number of a lock is made, whatever number that is: there is one for each text.
fn hashed(key: &Expr) -> Option<&Expr> {
    match key {
        Expr::Nested(key) | Expr::Cast { expr: key, .. } => hashed(key),
        Expr::Function(function) if HASHES.contains(&own_name(&function.name)?.as_str()) => {
            arguments(function).first().copied()
        }
        _ => None,
    }
}

/// Returns what types are called, shortly, as SQL does and otherwise, with their numbers.
fn names_of_types() -> impl Iterator<Item = (String, i64)> {
    PgType::all().flat_map(|pg_type| {
        let oid = i64::from(pg_type.oid());
        let (short, long) = (pg_type.name(), pg_type.sql_name());
        let long = (long != short).then_some((long, oid));
        let other = OTHER_NAMES.iter().find(|(known, _)| *known == short);
        let other = other.map(|(_, other)| ((*other).to_owned(), oid));
        [Some((short, oid)), long, other].into_iter().flatten()
    })
}

/// Returns the number of the type that a text names, shortly or as SQL does; nothing where there is none, such as hstore.
pub(super) fn oid_of_type(name: &Expr) -> Expr {
    if let Some(name) = literal(name) {
        let mut names = names_of_types();
        let name = unqualified(name);
        let found = names.find(|(known, _)| known.eq_ignore_ascii_case(name));
        return number_or_null(found.map(|(_, oid)| oid));
    }
    let conditions = names_of_types().map(|(name, oid)| CaseWhen {
        condition: text(&name),
        result: number(oid),
    });
    Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: Some(Box::new(cast(name.clone(), DataType::Text))),
        conditions: conditions.collect(),
        else_result: None,
    }
}

/// Returns the name of a type without the schema of PostgreSQL's own.
fn unqualified(name: &str) -> &str {
    let name = name.trim();
    name.strip_prefix("pg_catalog.").unwrap_or(name)
}

/// Types of PostgreSQL that no column here has, and what SQL calls them.
const OTHER_TYPES: [(&str, &str); 7] = [
    ("\"any\"", "\"any\""),
    ("\"char\"", "\"char\""),
    ("bpchar", "character"),
    ("char", "character"),
    ("timetz", "time with time zone"),
    ("varbit", "bit varying"),
    ("varchar", "character varying"),
];
/// Such of which the short name is the one in SQL.
const OTHER_PLAIN_TYPES: [&str; 54] = [
    "anyarray",
    "anyelement",
    "anyenum",
    "bit",
    "box",
    "cid",
    "cidr",
    "circle",
    "cstring",
    "daterange",
    "inet",
    "int2vector",
    "int4range",
    "int8range",
    "internal",
    "jsonb",
    "jsonpath",
    "line",
    "lseg",
    "macaddr",
    "macaddr8",
    "money",
    "name",
    "numrange",
    "oid",
    "oidvector",
    "path",
    "pg_lsn",
    "point",
    "polygon",
    "record",
    "refcursor",
    "regclass",
    "regcollation",
    "regconfig",
    "regdictionary",
    "regnamespace",
    "regoper",
    "regoperator",
    "regproc",
    "regprocedure",
    "regrole",
    "regtype",
    "tid",
    "tsquery",
    "tsrange",
    "tstzrange",
    "tsvector",
    "unknown",
    "uuid",
    "void",
    "xid",
    "xid8",
    "xml",
];

/// Returns what SQL calls the type that a text names, as PostgreSQL shows it; None where there is none of that name.
pub(super) fn sql_name_of_type(name: &str) -> Option<String> {
    let name = unqualified(name);
    // An array is named by what it is of as well, and a type may have a length or digits, which are no part of its name.
    let (name, is_array) = match name.strip_suffix("[]") {
        Some(element) => (element, true),
        None => (name, false),
    };
    let name = match name.strip_suffix(')').and_then(|name| name.split_once('(')) {
        Some((name, _)) => name.trim_end(),
        None => name,
    };
    let own = PgType::all().find(|pg_type| {
        let short = pg_type.name();
        let mut others = OTHER_NAMES.iter().filter(|(known, _)| *known == short);
        short.eq_ignore_ascii_case(name)
            || pg_type.sql_name().eq_ignore_ascii_case(name)
            || others.any(|(_, other)| other.eq_ignore_ascii_case(name))
    });
    let others = || {
        let same = OTHER_PLAIN_TYPES.iter().map(|known| (*known, *known));
        let mut all = OTHER_TYPES.into_iter().chain(same);
        let found = all.find(|(short, long)| {
            short.eq_ignore_ascii_case(name) || long.eq_ignore_ascii_case(name)
        });
        found.map(|(_, long)| long.to_owned())
    };
    let found = own.map(PgType::sql_name).or_else(others)?;
    Some(match is_array {
        true => format!("{found}[]"),
        false => found,
    })
}

/// Returns the number of the type that a text names as SQL may; None where no column here can have it.
pub(super) fn number_of_type(name: &str) -> Option<i64> {
    let name = sql_name_of_type(name)?;
    let named = PgType::all().find(|pg_type| pg_type.sql_name() == name)?;
    Some(i64::from(named.oid()))
}

/// Returns what SQL calls the type that the value of an expression names, by its number, shortly or as SQL does. What names none stays.
pub(super) fn sql_name_of(type_name: &Expr) -> Expr {
    let written = cast(type_name.clone(), DataType::Text);
    let of_columns = PgType::all().flat_map(|pg_type| {
        let sql_name = pg_type.sql_name();
        let names = [pg_type.oid().to_string(), pg_type.name()];
        names.map(|name| (text(&name), sql_name.clone()))
    });
    let others = PSEUDO_TYPES.map(|(oid, name)| (text(&oid.to_string()), name.to_owned()));
    let none = [(text("0"), "-".to_owned())];
    case_else(
        &written,
        of_columns.chain(others).chain(none),
        written.clone(),
    )
}

/// Returns the literal of a text, as PostgreSQL writes it.
fn quoted(value: &Expr) -> Expr {
    let value = cast(value.clone(), DataType::Text);
    let replaced = |value, from: &str, to: &str| call("replace", vec![value, text(from), text(to)]);
    let backslash = call("strpos", vec![value.clone(), text("\\")]);
    let plain = call(
        "concat",
        vec![text("'"), replaced(value.clone(), "'", "''"), text("'")],
    );
    let doubled = replaced(replaced(value.clone(), "'", "''"), "\\", "\\\\");
    let escaped = call("concat", vec![text("E'"), doubled, text("'")]);
    let when = |condition, result| CaseWhen { condition, result };
    Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![
            when(binary(backslash, BinaryOperator::Gt, number(0)), escaped),
            when(Expr::IsNotNull(Box::new(value)), plain),
        ],
        else_result: None,
    }
}

/// Returns what the catalogue says of the function that has a number.
fn of_function(oid: &Expr, said: fn(CatalogFunction) -> String) -> Expr {
    let texts = functions().map(|function| (number(function.oid), said(function)));
    case_else(oid, texts, null())
}

/// Returns what is said of every geometry, or time, as far as there is one.
fn where_given(geometry: &Expr, value: Expr) -> Expr {
    Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![CaseWhen {
            condition: Expr::IsNotNull(Box::new(geometry.clone())),
            result: value,
        }],
        else_result: None,
    }
}

/// Returns a time in one of two formats: that of times in UTC, and that of times without a zone, which have no name of one.
pub(super) fn shown_with_zone(time: &Expr, [of_utc, without]: [String; 2]) -> Expr {
    let shown = |format: &str| match format.contains('%') {
        true => call("to_char", vec![time.clone(), text(format)]),
        // A format of nothing else would be taken for one of PostgreSQL.
        false => where_given(time, text(format)),
    };
    let of = call("arrow_typeof", vec![time.clone()]);
    let place = call("strpos", vec![of, text(UTC)]);
    Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![CaseWhen {
            condition: binary(place, BinaryOperator::Gt, number(0)),
            result: shown(&of_utc),
        }],
        else_result: Some(Box::new(shown(&without))),
    }
}

/// Returns texts, one behind the other: nothing where one of them is.
pub(super) fn joined(texts: impl IntoIterator<Item = Expr>) -> Option<Expr> {
    let join = |before, text| binary(before, BinaryOperator::StringConcat, text);
    texts.into_iter().reduce(join)
}

/// Returns the box around all geometries of a group, as PostGIS writes it.
fn extent(geometry: &Expr) -> Option<Expr> {
    let edge = |aggregate: &str, edge: &str| {
        let edge = call(edge, vec![geometry.clone()]);
        cast(call(aggregate, vec![edge]), DataType::Text)
    };
    joined([
        text("BOX("),
        edge("min", "st_xmin"),
        text(" "),
        edge("min", "st_ymin"),
        text(","),
        edge("max", "st_xmax"),
        text(" "),
        edge("max", "st_ymax"),
        text(")"),
    ])
}

/// Returns the call that says whether a geometry and a box of `st_makeenvelope` meet; None where neither is such a box.
pub(super) fn meeting(function: &str, left: &Expr, right: &Expr) -> Option<Expr> {
    let (geometry, edges) = match (envelope(left), envelope(right)) {
        (None, Some(edges)) => (left, edges),
        (Some(edges), None) => (right, edges),
        _ => return None,
    };
    let arguments = [geometry.clone()].into_iter().chain(edges);
    Some(call(function, arguments.collect()))
}

/// Returns west, south, east and north of a box.
fn envelope(expr: &Expr) -> Option<Vec<Expr>> {
    match expr {
        Expr::Nested(expr) => envelope(expr),
        Expr::Function(function) if own_name(&function.name)? == "st_makeenvelope" => {
            let edges: Vec<Expr> = arguments(function).into_iter().cloned().collect();
            match edges.len() {
                4 | 5 => Some(edges.into_iter().take(4).collect()),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Returns the box that GDAL writes as a text, `BOX3D(west south, east north)`, with or without heights; None where it is none.
pub(super) fn written_box(written: &str) -> Option<Expr> {
    let corners = written.trim().strip_suffix(')')?;
    let (kind, corners) = corners.split_once('(')?;
    if !["box", "box3d"].contains(&kind.trim().to_lowercase().as_str()) {
        return None;
    }
    let mut edges = Vec::new();
    for corner in corners.split(',') {
        let degrees: Option<Vec<f64>> = corner
            .split_whitespace()
            .map(|degrees| degrees.parse().ok())
            .collect();
        let degrees = degrees?;
        let [longitude, latitude, ..] = degrees.as_slice() else {
            return None;
        };
        edges.extend([*longitude, *latitude]);
    }
    let degrees = |value: &f64| cast(text(&value.to_string()), DataType::DoublePrecision);
    let edges: Vec<Expr> = edges.iter().map(degrees).collect();
    (edges.len() == 4).then(|| call("st_makeenvelope", edges))
}

fn now(data_type: DataType) -> Expr {
    cast(call("now", Vec::new()), data_type)
}

/// More than a relation has columns.
const COLUMN_NUMBERS: i64 = 1 << 11;

/// Returns what is said of the relation or column that a call names by number; None where it is no such call. Of databases and
/// schemas, whose numbers no relation has, nothing is said.
pub(super) fn described(
    name: &str,
    function: &Function,
    descriptions: impl FnOnce() -> Vec<Description>,
) -> Option<Expr> {
    let arguments = arguments(function);
    let column = match name {
        "obj_description" => number(0),
        "col_description" => (*arguments.get(1)?).clone(),
        _ => return None,
    };
    let big = |expr: Expr| cast(expr, DataType::BigInt(None));
    let relation = binary(
        big((*arguments.first()?).clone()),
        BinaryOperator::Multiply,
        number(COLUMN_NUMBERS),
    );
    let described = binary(relation, BinaryOperator::Plus, big(column));
    let mut descriptions = descriptions();
    if name == "obj_description" {
        descriptions.retain(|said| said.column == 0);
    }
    if descriptions.is_empty() {
        return Some(null());
    }
    let texts = descriptions.into_iter();
    let texts = texts.map(|said| {
        let number = number(said.oid * COLUMN_NUMBERS + said.column);
        (number, said.text)
    });
    Some(case_else(&described, texts, null()))
}

/// Returns the second of two arguments.
pub(super) fn second_of_two(function: &mut Function) -> Option<&mut Expr> {
    let FunctionArguments::List(list) = &mut function.args else {
        return None;
    };
    match list.args.as_mut_slice() {
        [_, FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))] => Some(expr),
        _ => None,
    }
}

fn is_one(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if matches!(&value.value, Value::Number(digits, _) if digits == "1"))
}

/// Returns the arguments that are expressions.
pub(super) fn arguments(function: &Function) -> Vec<&Expr> {
    let FunctionArguments::List(list) = &function.args else {
        return Vec::new();
    };
    list.args
        .iter()
        .filter_map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
            _ => None,
        })
        .collect()
}

/// Returns what a call of `format` joins, as far as it is known here.
pub(crate) fn formatted_call(function: &Function) -> Option<Expr> {
    formatted(&arguments(function))
}

/// Returns what `format('%I.%I', …)` joins: texts (`%s`), and names (`%I`), which need no quotes here. None for anything
/// else that it can do.
fn formatted(arguments: &[&Expr]) -> Option<Expr> {
    let (template, mut values) = (literal(arguments.first()?)?, arguments.iter().skip(1));
    let (mut parts, mut between) = (Vec::new(), String::new());
    let mut signs = template.chars();
    while let Some(sign) = signs.next() {
        if sign != '%' {
            between.push(sign);
            continue;
        }
        match signs.next()? {
            '%' => between.push('%'),
            's' | 'I' => {
                parts.push(text(&std::mem::take(&mut between)));
                parts.push(cast((*values.next()?).clone(), DataType::Text));
            }
            _ => return None,
        }
    }
    parts.push(text(&between));
    Some(call("concat", parts))
}

/// Returns the call of a function.
pub(super) fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    Expr::Function(planning::call(name, arguments))
}

/// A list of privileges means any of them.
fn is_granted(privileges: &Expr) -> bool {
    // What is computed, or no text, is the name of the object: then the question is what may be read.
    literal(privileges).is_none_or(|privileges| {
        privileges
            .split(',')
            .any(|privilege| GRANTED.contains(&privilege.trim().to_lowercase().as_str()))
    })
}

/// Tables of the catalogue by whose numbers descriptions say what they are of.
const CATALOGUE_OIDS: [(&str, i64); 5] = [
    ("pg_class", PG_CLASS_OID),
    ("pg_database", 1262),
    ("pg_namespace", 2615),
    ("pg_proc", PG_PROC_OID),
    ("pg_type", 1247),
];

/// Returns the OID of a relation by its name as it is written in SQL.
pub(super) fn oid(name: &str, relations: &[Relation]) -> Option<i64> {
    let name = name.rsplit('.').next().unwrap_or(name).trim_matches('"');
    let found = relations.iter().find(|relation| relation.name == name);
    let own = CATALOGUE_OIDS.iter().find(|(known, _)| *known == name);
    match own {
        Some((_, oid)) => Some(*oid),
        None => found.map(|relation| relation.oid),
    }
}

/// Returns the OID of the relation that a parameter or another text will name, as it is written in SQL.
pub(super) fn oid_of_parameter(parameter: &Expr, relations: &[Relation]) -> Expr {
    let own = CATALOGUE_OIDS.iter().flat_map(|(name, oid)| {
        [
            (*name).to_owned(),
            format!("{}.{name}", super::catalog::PG_CATALOG),
        ]
        .map(|name| (name, *oid))
    });
    let datasets = relations.iter().flat_map(|relation| {
        let name = &relation.name;
        let written = [
            name.clone(),
            format!("\"{name}\""),
            format!("{SCHEMA}.{name}"),
            format!("\"{SCHEMA}\".\"{name}\""),
        ];
        written.map(|name| (name, relation.oid))
    });
    let conditions = own.chain(datasets).map(|(name, oid)| CaseWhen {
        condition: text(&name),
        result: cast(number(oid), DataType::BigInt(None)),
    });
    Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: Some(Box::new(cast(parameter.clone(), DataType::Text))),
        conditions: conditions.collect(),
        else_result: None,
    }
}

/// Returns a text that stands in the statement as it is.
pub(super) fn literal(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => Some(text),
            _ => None,
        },
        Expr::Nested(expr) => literal(expr),
        // 'traffic'::text, and what a cast of ours has left.
        Expr::Cast { expr, .. } => literal(expr),
        _ => None,
    }
}

pub(super) fn text(value: &str) -> Expr {
    Expr::Value(Value::SingleQuotedString(value.to_owned()).with_empty_span())
}

pub(super) fn number(value: i64) -> Expr {
    Expr::Value(Value::Number(value.to_string(), false).with_empty_span())
}

pub(super) fn number_or_null(value: Option<i64>) -> Expr {
    value.map_or_else(|| null_of(DataType::BigInt(None)), number)
}

pub(super) fn boolean(value: bool) -> Expr {
    Expr::Value(Value::Boolean(value).with_empty_span())
}

/// A text without a value.
pub(super) fn null() -> Expr {
    null_of(DataType::Text)
}

/// A list of texts without a value.
pub(super) fn null_texts() -> Expr {
    let texts = ArrayElemTypeDef::SquareBracket(Box::new(DataType::Text), None);
    null_of(DataType::Array(texts))
}

fn null_of(data_type: DataType) -> Expr {
    cast(nothing(), data_type)
}

/// NULL of no type.
pub(super) fn nothing() -> Expr {
    Expr::Value(Value::Null.with_empty_span())
}

pub(super) fn cast(expr: Expr, data_type: DataType) -> Expr {
    Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(expr),
        data_type,
        array: false,
        format: None,
    }
}

pub(super) fn array(values: impl IntoIterator<Item = Expr>) -> Expr {
    Expr::Array(Array {
        elem: values.into_iter().collect(),
        named: true,
    })
}

fn texts<'a>(values: impl IntoIterator<Item = &'a str>) -> Expr {
    array(values.into_iter().map(text))
}

/// Returns the name of the number that an expression has.
pub(super) fn case(expr: &Expr, names: impl Iterator<Item = (i64, String)>) -> Expr {
    let names = names.map(|(value, name)| (number(value), name));
    case_else(expr, names, text("???"))
}

/// Returns the text that stands for the value of an expression.
fn case_else(expr: &Expr, texts: impl Iterator<Item = (Expr, String)>, otherwise: Expr) -> Expr {
    let conditions = texts.map(|(condition, name)| CaseWhen {
        condition,
        result: text(&name),
    });
    Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: Some(Box::new(expr.clone())),
        conditions: conditions.collect(),
        else_result: Some(Box::new(otherwise)),
    }
}

/// Returns a call's name without the schema of PostgreSQL's own functions; None where it is of another schema.
pub(super) fn own_name(name: &ObjectName) -> Option<String> {
    let parts: Option<Vec<&Ident>> = name.0.iter().map(|part| part.as_ident()).collect();
    match parts?.as_slice() {
        [name] => Some(name.value.to_lowercase()),
        [schema, name]
            if schema
                .value
                .eq_ignore_ascii_case(super::catalog::PG_CATALOG) =>
        {
            Some(name.value.to_lowercase())
        }
        _ => None,
    }
}

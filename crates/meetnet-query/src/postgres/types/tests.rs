use std::collections::BTreeSet;

use super::*;

fn list(data_type: DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(data_type, true)))
}

#[test]
fn columns_have_the_types_that_clients_expect() {
    let check = |data_type: DataType, oid: u32, name: &str| {
        let found = PgType::of_arrow(&data_type);
        assert_eq!(
            (found.oid(), found.sql_name().as_str()),
            (oid, name),
            "{data_type}"
        );
    };
    let utc = || Some("UTC".into());
    check(
        DataType::Timestamp(TimeUnit::Microsecond, utc()),
        1184,
        "timestamp with time zone",
    );
    check(
        DataType::Timestamp(TimeUnit::Second, None),
        1114,
        "timestamp without time zone",
    );
    check(DataType::Int8, 21, "smallint");
    check(DataType::Int32, 23, "integer");
    check(DataType::Int64, 20, "bigint");
    check(DataType::UInt64, 20, "bigint");
    check(list(DataType::UInt64), 1016, "bigint[]");
    check(DataType::Decimal128(10, 2), 1700, "numeric");
    check(DataType::Float64, 701, "double precision");
    check(DataType::Boolean, 16, "boolean");
    check(DataType::Utf8View, 25, "text");
    check(DataType::Null, 25, "text");
    check(DataType::Date32, 1082, "date");
    let span = DataType::Duration(TimeUnit::Microsecond);
    check(span.clone(), 1186, "interval");
    check(list(span), 1187, "interval[]");
    check(list(DataType::Float64), 1022, "double precision[]");
    check(list(DataType::Utf8), 1009, "text[]");
    check(list(list(DataType::Int64)), 25, "text");
}

#[test]
fn metadata_says_more_than_a_type() {
    let field = Field::new("geom", DataType::Binary, true);
    assert_eq!(PgType::of_field(&field), PgType::of(PgScalar::Bytea));
    let field = crate::postgres::geometry::geometry_field(field);
    assert_eq!(PgType::of_field(&field), PgType::of(PgScalar::Geometry));
}

#[test]
fn every_type_is_found_by_its_number() {
    let mut oids = BTreeSet::new();
    for pg_type in PgType::all() {
        assert!(
            oids.insert(pg_type.oid()),
            "{pg_type:?} has the OID of another"
        );
        assert_eq!(PgType::of_oid(pg_type.oid()), Some(pg_type));
    }
    assert_eq!(PgType::of_oid(1043), Some(PgType::TEXT), "varchar");
    for (oid, is_array) in [(2950, false), (2951, true)] {
        let uuid = PgType {
            scalar: PgScalar::Uuid,
            is_array,
        };
        assert_eq!(PgType::of_oid(oid), Some(uuid));
        assert_eq!(uuid.oid(), oid);
    }
    for (oid, is_array) in [(26, false), (1028, true)] {
        let found = PgType {
            scalar: PgScalar::Oid,
            is_array,
        };
        assert_eq!(PgType::of_oid(oid), Some(found));
    }
    assert_eq!(PgType::of_oid(600), None, "point");
}

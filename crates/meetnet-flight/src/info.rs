//! What the service says of itself: name, limits, which SQL it speaks, which types it has.

use std::collections::HashMap;

use arrow::array::RecordBatch;
use arrow_flight::error::FlightError;
use arrow_flight::sql::metadata::{
    SqlInfoData, SqlInfoDataBuilder, XdbcTypeInfo, XdbcTypeInfoData, XdbcTypeInfoDataBuilder,
};
use arrow_flight::sql::{
    CommandGetSqlInfo, CommandGetXdbcTypeInfo, Nullable, Searchable, SqlInfo, SqlNullOrdering,
    SqlOuterJoinsSupportLevel, SqlSupportedCaseSensitivity, SqlSupportedGroupBy,
    SqlSupportedResultSetType, SqlSupportedSubqueries, SqlSupportedTransaction, SqlSupportedUnions,
    SqlTransactionIsolationLevel, SupportedSqlGrammar, XdbcDataType, XdbcDatetimeSubcode,
};
use meetnet_query::QueryOptions;
use tonic::Status;

use crate::error::internal;

/// What is asked for most: kinds of information that were never defined cost as much to look up as others.
const ASKED_MAX: usize = 1024;

/// What the service says of itself.
pub(crate) struct Info {
    sql: SqlInfoData,
    types: XdbcTypeInfoData,
}

impl Info {
    /// # Errors
    /// None in practice: it is the same each time, but for limits.
    pub(crate) fn new(limits: &QueryOptions) -> Result<Self, FlightError> {
        Ok(Self {
            sql: sql(limits)?,
            types: types()?,
        })
    }

    /// Returns what is asked for; everything where nothing is named.
    pub(crate) fn sql(&self, mut command: CommandGetSqlInfo) -> Result<RecordBatch, Status> {
        command.info.sort_unstable();
        command.info.dedup();
        if command.info.len() > ASKED_MAX {
            return Err(Status::invalid_argument(format!(
                "more than {ASKED_MAX} kinds of information are asked for; there are fewer"
            )));
        }
        let batch = command.into_builder(&self.sql).build();
        batch.map_err(|error| internal("describing the service", error))
    }

    /// Returns the types of columns, or one of them.
    pub(crate) fn types(&self, command: CommandGetXdbcTypeInfo) -> Result<RecordBatch, Status> {
        let batch = command.into_builder(&self.types).build();
        batch.map_err(|error| internal("describing the types", error))
    }
}

/// A set of values of an enumeration: one bit each.
fn bits(values: &[i32]) -> i32 {
    values.iter().fold(0, |bits, value| bits | (1 << value))
}

fn sql(limits: &QueryOptions) -> Result<SqlInfoData, FlightError> {
    use SqlInfo as I;
    let mut info = SqlInfoDataBuilder::new();
    info.append(I::FlightSqlServerName, "meetnet");
    info.append(I::FlightSqlServerVersion, env!("CARGO_PKG_VERSION"));
    info.append(I::FlightSqlServerArrowVersion, arrow::ARROW_VERSION);
    info.append(I::SqlIdentifierQuoteChar, "\"");
    info.append(I::SqlSearchStringEscape, "\\");
    info.append(I::SqlSchemaTerm, "schema");
    info.append(I::SqlCatalogTerm, "catalog");
    for (name, value) in [
        (I::FlightSqlServerReadOnly, true),
        (I::FlightSqlServerSql, true),
        (I::FlightSqlServerSubstrait, false),
        (I::FlightSqlServerCancel, true),
        (I::FlightSqlServerBulkIngestion, false),
        (I::FlightSqlServerIngestTransactionsSupported, false),
        (I::SqlDdlCatalog, false),
        (I::SqlDdlSchema, false),
        (I::SqlDdlTable, false),
        (I::SqlAllTablesAreSelectable, true),
        (I::SqlSupportsColumnAliasing, true),
        (I::SqlNullPlusNullIsNull, true),
        (I::SqlSupportsTableCorrelationNames, true),
        (I::SqlSupportsDifferentTableCorrelationNames, false),
        (I::SqlSupportsExpressionsInOrderBy, true),
        (I::SqlSupportsOrderByUnrelated, true),
        (I::SqlSupportsLikeEscapeClause, true),
        (I::SqlSupportsNonNullableColumns, true),
        (I::SqlSupportsIntegrityEnhancementFacility, false),
        (I::SqlCatalogAtStart, true),
        (I::SqlSelectForUpdateSupported, false),
        (I::SqlStoredProceduresSupported, false),
        (I::SqlCorrelatedSubqueriesSupported, true),
    ] {
        info.append(name, value);
    }
    // Texts without quotes are written in lower case; between quotes they stay as they are.
    let in_lower_case = SqlSupportedCaseSensitivity::SqlCaseSensitivityLowercase as i64;
    let as_written = SqlSupportedCaseSensitivity::SqlCaseSensitivityUnknown as i64;
    for (name, value) in [
        (I::SqlIdentifierCase, in_lower_case),
        (I::SqlQuotedIdentifierCase, as_written),
        (
            I::SqlNullOrdering,
            SqlNullOrdering::SqlNullsSortedHigh as i64,
        ),
        (I::SqlMaxCharLiteralLength, size(limits.literal_bytes_max)),
        (I::SqlMaxStatementLength, size(limits.sql_bytes_max)),
        (I::SqlMaxRowSize, 0),
        (I::SqlMaxConnections, 0),
        (
            I::SqlDefaultTransactionIsolation,
            SqlTransactionIsolationLevel::SqlTransactionNone as i64,
        ),
    ] {
        info.append(name, value);
    }
    let time_max = i32::try_from(limits.query_time_max.as_millis()).unwrap_or(i32::MAX);
    for (name, value) in [
        (
            I::FlightSqlServerTransaction,
            SqlSupportedTransaction::None as i32,
        ),
        (I::FlightSqlServerStatementTimeout, time_max),
        (I::FlightSqlServerTransactionTimeout, 0),
        (
            I::SqlSupportedGroupBy,
            bits(&[
                SqlSupportedGroupBy::SqlGroupByUnrelated as i32,
                SqlSupportedGroupBy::SqlGroupByBeyondSelect as i32,
            ]),
        ),
        (
            I::SqlSupportedGrammar,
            bits(&[
                SupportedSqlGrammar::SqlMinimumGrammar as i32,
                SupportedSqlGrammar::SqlCoreGrammar as i32,
            ]),
        ),
        (
            I::SqlOuterJoinsSupportLevel,
            bits(&[SqlOuterJoinsSupportLevel::SqlFullOuterJoins as i32]),
        ),
        (
            I::SqlSupportedSubqueries,
            bits(&[
                SqlSupportedSubqueries::SqlSubqueriesInComparisons as i32,
                SqlSupportedSubqueries::SqlSubqueriesInExists as i32,
                SqlSupportedSubqueries::SqlSubqueriesInIns as i32,
            ]),
        ),
        (
            I::SqlSupportedUnions,
            bits(&[
                SqlSupportedUnions::SqlUnion as i32,
                SqlSupportedUnions::SqlUnionAll as i32,
            ]),
        ),
        (
            I::SqlSupportedTransactionsIsolationLevels,
            bits(&[SqlTransactionIsolationLevel::SqlTransactionNone as i32]),
        ),
        (
            I::SqlSupportedResultSetTypes,
            bits(&[SqlSupportedResultSetType::SqlResultSetTypeForwardOnly as i32]),
        ),
    ] {
        info.append(name, value);
    }
    // Nothing is converted by the function CONVERT: there is CAST.
    info.append(I::SqlSupportsConvert, HashMap::<i32, Vec<i32>>::new());
    info.build()
}

fn size(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

fn types() -> Result<XdbcTypeInfoData, FlightError> {
    use XdbcDataType as T;
    let mut types = XdbcTypeInfoDataBuilder::new();
    let number = |name: &str, data_type, digits, radix| XdbcTypeInfo {
        type_name: name.to_owned(),
        data_type,
        column_size: Some(digits),
        nullable: Nullable::NullabilityNullable,
        searchable: Searchable::Full,
        unsigned_attribute: Some(false),
        auto_increment: Some(false),
        sql_data_type: data_type,
        num_prec_radix: Some(radix),
        ..XdbcTypeInfo::default()
    };
    let quoted = |name: &str, data_type, prefix: &str, size, subcode| XdbcTypeInfo {
        type_name: name.to_owned(),
        data_type,
        column_size: size,
        literal_prefix: Some(prefix.to_owned()),
        literal_suffix: Some("'".to_owned()),
        nullable: Nullable::NullabilityNullable,
        case_sensitive: data_type == T::XdbcVarchar,
        searchable: Searchable::Full,
        sql_data_type: data_type,
        datetime_subcode: subcode,
        ..XdbcTypeInfo::default()
    };
    let with_zone = Some(XdbcDatetimeSubcode::XdbcSubcodeTimestampWithTimezone);
    for of in [
        number("TINYINT", T::XdbcTinyint, 8, 2),
        number("SMALLINT", T::XdbcSmallint, 16, 2),
        number("INTEGER", T::XdbcInteger, 32, 2),
        number("BIGINT", T::XdbcBigint, 64, 2),
        number("REAL", T::XdbcReal, 24, 2),
        number("DOUBLE", T::XdbcDouble, 53, 2),
        number("DECIMAL", T::XdbcDecimal, 76, 10),
        number("BOOLEAN", T::XdbcBit, 1, 2),
        quoted("VARCHAR", T::XdbcVarchar, "'", None, None),
        quoted("VARBINARY", T::XdbcVarbinary, "X'", None, None),
        quoted("DATE", T::XdbcDate, "DATE '", Some(10), None),
        quoted("TIME", T::XdbcTime, "TIME '", Some(15), None),
        quoted(
            "TIMESTAMP",
            T::XdbcTimestamp,
            "TIMESTAMP '",
            Some(27),
            with_zone,
        ),
        quoted("INTERVAL", T::XdbcInterval, "INTERVAL '", None, None),
    ] {
        types.append(of);
    }
    types.build()
}

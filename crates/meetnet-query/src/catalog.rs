//! The only catalogue a query sees: `meetnet.public` with the datasets of one snapshot, their histories and the views
//! `functions` and `properties`, and an information schema.
//!
//! The information schema is our own: DataFusion's would list every setting of the server (`SHOW ALL`) and cannot
//! say units. Nothing can be registered: a path, a URL or a file is never a table.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{ArrayRef, RecordBatch, StringArray, UInt64Array};
use arrow::datatypes::{Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, CatalogProviderList, SchemaProvider, TableProvider};
use datafusion::common::TableReference;
use datafusion::datasource::{MemTable, ViewTable, provider_as_source};
use datafusion::error::Result;
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::execution::object_store::ObjectStoreRegistry;
use datafusion::logical_expr::{LogicalPlanBuilder, col, lit};
use meetnet_lake::snapshot::{LakeSnapshot, TableSnapshot};
use meetnet_model::common::LICENCE;
use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::declarations::Declarations;
use meetnet_model::ids::{DatasetId, LicenceId};

use crate::as_of::check_settled;
use crate::encode::type_name;
use crate::options::{Dialect, SessionKind};
use crate::postgres::catalog::{self, INFORMATION_SCHEMA, PG_CATALOG, information};
use crate::postgres::layers::{self, LAYER_SUFFIX};
use crate::table::MeetnetTable;
use crate::table::prepared::PreparedTables;
use crate::table::reader::{NoticedFiles, WatchedReaderFactory};
use crate::table::schema::{UNIT_KEY, public_schema};
use crate::table::view::View;

mod listings;

use listings::{functions, properties};

/// Name of the catalogue.
pub const CATALOG: &str = "meetnet";
/// Name of the schema that holds the datasets.
pub const SCHEMA: &str = "public";
/// Name of the view that describes functions. A dataset of this name hides it.
const FUNCTIONS: &str = "functions";
/// Name of the view that says what long datasets measure, and in which unit. A dataset of this name hides it.
const PROPERTIES: &str = "properties";
/// What follows the name of a dataset in the name of its history. No dataset id ends in it.
pub const HISTORY_SUFFIX: &str = "_history";

/// The datasets one session may read, at one snapshot.
#[derive(Debug)]
pub(crate) struct SnapshotTables {
    pub(crate) snapshot: Arc<LakeSnapshot>,
    pub(crate) session: SessionKind,
    /// The instant that the whole statement is answered as of, µs since 1970 UTC; None: the snapshot's.
    pub(crate) as_of: Option<i64>,
    /// The licences of the rows that datasets show; None: all.
    pub(crate) licences: Option<BTreeSet<LicenceId>>,
    /// Which clients ask: decides about the information schema, and whether there is a `pg_catalog`.
    pub(crate) dialect: Dialect,
    pub(crate) prepared: Arc<PreparedTables>,
    pub(crate) registry: Arc<dyn ObjectStoreRegistry>,
    pub(crate) metadata_cache: Arc<FileMetadataCache>,
    pub(crate) noticed: Arc<NoticedFiles>,
    pub(crate) ordered_groups_max: usize,
    /// What is declared now; None: what comes with the program.
    pub(crate) declarations: Option<Arc<Declarations>>,
    /// Set while the statement is planned, where a table function is called with what changes, such as `now()`, or where it
    /// reads what a new configuration may change. Its plan has the value of this once, and does not show where that came from.
    pub(crate) is_unsteady: AtomicBool,
}

impl SnapshotTables {
    /// Returns the visible tables in name order.
    pub(crate) fn visible(&self) -> impl Iterator<Item = (&DatasetId, &Arc<TableSnapshot>)> {
        self.snapshot.tables.iter().filter(|(_, table)| {
            self.session == SessionKind::Private || table.declaration.is_public()
        })
    }

    /// Returns one visible table.
    pub(crate) fn get(&self, name: &str) -> Option<&Arc<TableSnapshot>> {
        self.snapshot
            .tables
            .get(&DatasetId::new(name))
            .filter(|table| self.session == SessionKind::Private || table.declaration.is_public())
    }

    /// Returns the visible tables' names: each dataset, then its history, then for PostgreSQL's clients its layer, where it has
    /// one; the views of properties and functions last.
    pub(crate) fn names(&self) -> impl Iterator<Item = String> {
        let views = [PROPERTIES, FUNCTIONS].into_iter();
        let views = views.filter(|name| self.get(name).is_none());
        self.visible()
            .flat_map(|(id, _)| {
                let layer = format!("{id}{LAYER_SUFFIX}");
                let layer = self.layered(&layer).is_some().then_some(layer);
                let names = [id.to_string(), format!("{id}{HISTORY_SUFFIX}")];
                names.into_iter().chain(layer)
            })
            .chain(views.map(str::to_owned))
    }

    /// Returns what a view beside the datasets lists; None where there is none of that name.
    fn listing(&self, name: &str) -> Option<NamedColumns> {
        match name {
            FUNCTIONS => Some(functions()),
            PROPERTIES => Some(properties(self)),
            _ => None,
        }
    }

    /// Returns the table and the view that a name means in this statement.
    fn named(&self, name: &str) -> Option<(&Arc<TableSnapshot>, View)> {
        let view = |history| View {
            as_of: self.as_of,
            history,
        };
        if let Some(table) = self.get(name) {
            return Some((table, view(false)));
        }
        let dataset = name.strip_suffix(HISTORY_SUFFIX)?;
        Some((self.get(dataset)?, view(true)))
    }

    /// Returns the table that a name means the layer of; None for other names. A dataset of that name hides it.
    pub(crate) fn layered(&self, name: &str) -> Option<&Arc<TableSnapshot>> {
        if self.dialect != Dialect::Postgres || self.get(name).is_some() {
            return None;
        }
        let table = self.get(name.strip_suffix(LAYER_SUFFIX)?)?;
        layers::has_layer(&table.declaration).then_some(table)
    }

    /// Returns what is declared of a dataset or of the one that a history is of; None for other views.
    pub(crate) fn declaration_of(&self, name: &str) -> Option<&Arc<DatasetDeclaration>> {
        self.named(name).map(|(table, _)| &table.declaration)
    }

    /// Returns the columns of a name of [`Self::names`].
    pub(crate) fn schema_of(&self, name: &str) -> SchemaRef {
        match self.named(name) {
            Some((table, _)) => public_schema(&table.declaration),
            None => match self.layered(name) {
                Some(table) => layers::schema(&table.declaration),
                None => schema_of(&self.listing(name).unwrap_or_else(functions)),
            },
        }
    }

    /// Returns a view of a visible table.
    ///
    /// # Errors
    /// Where it is one as of a time that messages may still arrive for, and where the table cannot be prepared.
    pub(crate) fn provider(
        &self,
        table: &Arc<TableSnapshot>,
        view: View,
    ) -> Result<Arc<dyn TableProvider>> {
        if let Some(as_of) = view.as_of {
            check_settled(table, as_of)?;
        }
        let prepared = self.prepared.get(table)?;
        let readers = WatchedReaderFactory::try_new(
            &self.registry,
            &prepared.store_url,
            Arc::clone(&self.metadata_cache),
            table.folder.clone(),
            Arc::clone(&self.noticed),
        )?;
        let whole: Arc<dyn TableProvider> = Arc::new(MeetnetTable::new(
            view,
            Arc::clone(table),
            prepared,
            Arc::new(readers),
            self.ordered_groups_max,
        ));
        match &self.licences {
            None => Ok(whole),
            Some(licences) => under(licences, table, whole),
        }
    }
}

/// Returns a view of the rows under some licences. The condition prunes: files of other licences are not opened.
fn under(
    licences: &BTreeSet<LicenceId>,
    table: &TableSnapshot,
    whole: Arc<dyn TableProvider>,
) -> Result<Arc<dyn TableProvider>> {
    let name = TableReference::bare(table.declaration.id.as_str());
    let ids = licences.iter().map(|id| lit(id.as_str())).collect();
    let plan = LogicalPlanBuilder::scan(name, provider_as_source(whole), None)?
        .filter(col(LICENCE).in_list(ids, false))?
        .build()?;
    Ok(Arc::new(ViewTable::new(plan, None)))
}

/// The list with the one catalogue.
#[derive(Debug)]
pub(crate) struct SnapshotCatalogList(pub(crate) Arc<SnapshotTables>);

impl CatalogProviderList for SnapshotCatalogList {
    fn register_catalog(
        &self,
        _name: String,
        _catalog: Arc<dyn CatalogProvider>,
    ) -> Option<Arc<dyn CatalogProvider>> {
        None
    }

    fn catalog_names(&self) -> Vec<String> {
        vec![CATALOG.to_owned()]
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        (name == CATALOG).then(|| Arc::new(SnapshotCatalog(Arc::clone(&self.0))) as _)
    }
}

#[derive(Debug)]
struct SnapshotCatalog(Arc<SnapshotTables>);

impl CatalogProvider for SnapshotCatalog {
    fn schema_names(&self) -> Vec<String> {
        let mut names = vec![SCHEMA.to_owned(), INFORMATION_SCHEMA.to_owned()];
        if self.0.dialect == Dialect::Postgres {
            names.push(PG_CATALOG.to_owned());
        }
        names
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        match name {
            SCHEMA => Some(Arc::new(Datasets(Arc::clone(&self.0)))),
            PG_CATALOG if self.0.dialect == Dialect::Postgres => {
                Some(Arc::new(PgCatalog(Arc::clone(&self.0))))
            }
            INFORMATION_SCHEMA if self.0.dialect == Dialect::Postgres => {
                Some(Arc::new(PgInformation(Arc::clone(&self.0))))
            }
            INFORMATION_SCHEMA => Some(Arc::new(InformationSchema(Arc::clone(&self.0)))),
            _ => None,
        }
    }
}

#[derive(Debug)]
struct Datasets(Arc<SnapshotTables>);

#[async_trait]
impl SchemaProvider for Datasets {
    fn table_names(&self) -> Vec<String> {
        self.0.names().collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if let Some(table) = self.0.layered(name) {
            let view = View {
                as_of: self.0.as_of,
                history: false,
            };
            let rows = self.0.provider(table, view)?;
            return layers::layer(&table.declaration, rows).map(Some);
        }
        let Some((table, view)) = self.0.named(name) else {
            if name == PROPERTIES {
                // No state of a table says whether an earlier answer still holds.
                self.0.is_unsteady.store(true, Ordering::Relaxed);
            }
            return self.0.listing(name).map(in_memory).transpose();
        };
        self.0.provider(table, view).map(Some)
    }

    fn table_exist(&self, name: &str) -> bool {
        self.0.named(name).is_some()
            || self.0.layered(name).is_some()
            || [FUNCTIONS, PROPERTIES].contains(&name)
    }
}

#[derive(Debug)]
struct InformationSchema(Arc<SnapshotTables>);

const INFORMATION_TABLES: [&str; 3] = ["schemata", "tables", "columns"];

#[async_trait]
impl SchemaProvider for InformationSchema {
    fn table_names(&self) -> Vec<String> {
        INFORMATION_TABLES.map(str::to_owned).to_vec()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        information_table(name, &self.0).map(in_memory).transpose()
    }

    fn table_exist(&self, name: &str) -> bool {
        INFORMATION_TABLES.contains(&name)
    }
}

fn information_table(name: &str, of: &SnapshotTables) -> Option<NamedColumns> {
    match name {
        "schemata" => Some(schemata()),
        "tables" => Some(tables(of)),
        "columns" => Some(columns(of)),
        _ => None,
    }
}

/// What a table of the catalogue is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableKind {
    /// A dataset.
    Dataset,
    /// Derived from what is stored or declared: a history, the lists of functions and of properties.
    View,
    /// Of the information schema.
    System,
}

/// A table of the catalogue, as clients are told of it.
#[derive(Clone, Debug)]
pub struct TableDescription {
    /// [`SCHEMA`], or the information schema.
    pub schema_name: &'static str,
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: TableKind,
    /// Its columns.
    pub schema: SchemaRef,
    /// Names of the columns that identify a row, in order; none: nothing does.
    pub key: Vec<String>,
}

/// Describes every table that a session sees: datasets with histories, the lists of functions and of properties, the
/// information schema.
pub(crate) fn table_descriptions(of: &SnapshotTables) -> Vec<TableDescription> {
    let named = of.names().map(|name| {
        let dataset = of.get(&name);
        TableDescription {
            schema_name: SCHEMA,
            kind: dataset.map_or(TableKind::View, |_| TableKind::Dataset),
            schema: of.schema_of(&name),
            key: dataset.map_or(Vec::new(), |table| table.declaration.key.clone()),
            name,
        }
    });
    let information = INFORMATION_TABLES.into_iter().filter_map(|name| {
        Some(TableDescription {
            schema_name: INFORMATION_SCHEMA,
            name: name.to_owned(),
            kind: TableKind::System,
            schema: schema_of(&information_table(name, of)?),
            key: Vec::new(),
        })
    });
    named.chain(information).collect()
}

/// The tables of PostgreSQL's own catalogue.
#[derive(Debug)]
struct PgCatalog(Arc<SnapshotTables>);

#[async_trait]
impl SchemaProvider for PgCatalog {
    fn table_names(&self) -> Vec<String> {
        catalog::pg_catalog_names()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        catalog::pg_catalog_table(name, &self.0)
    }

    fn table_exist(&self, name: &str) -> bool {
        catalog::is_of_pg_catalog(name)
    }
}

/// The information schema as PostgreSQL's clients read it.
#[derive(Debug)]
struct PgInformation(Arc<SnapshotTables>);

#[async_trait]
impl SchemaProvider for PgInformation {
    fn table_names(&self) -> Vec<String> {
        information::names()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        information::table(name, &self.0)
    }

    fn table_exist(&self, name: &str) -> bool {
        information::names().iter().any(|known| known == name)
    }
}

/// Columns of a table in memory.
pub(crate) type NamedColumns = Vec<(&'static str, ArrayRef)>;

fn schema_of(columns: &[(&'static str, ArrayRef)]) -> SchemaRef {
    let field = |(name, values): &(&'static str, ArrayRef)| {
        let data_type = values.data_type().clone();
        Field::new(*name, data_type, true)
    };
    Arc::new(Schema::new(
        columns.iter().map(field).collect::<Vec<Field>>(),
    ))
}

pub(crate) fn in_memory(columns: NamedColumns) -> Result<Arc<dyn TableProvider>> {
    let schema = schema_of(&columns);
    let columns: Vec<ArrayRef> = columns.into_iter().map(|(_, values)| values).collect();
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns)?;
    Ok(Arc::new(MemTable::try_new(schema, vec![vec![batch]])?))
}

/// Table, position from 1, field.
type ColumnRow = (String, usize, Field);

pub(crate) fn texts(values: impl IntoIterator<Item = Option<String>>) -> ArrayRef {
    Arc::new(values.into_iter().collect::<StringArray>())
}

pub(crate) fn constant(value: &str, rows: usize) -> ArrayRef {
    texts(std::iter::repeat_n(Some(value.to_owned()), rows))
}

fn schemata() -> NamedColumns {
    vec![
        ("catalog_name", constant(CATALOG, 2)),
        (
            "schema_name",
            texts([SCHEMA, INFORMATION_SCHEMA].map(|name| Some(name.to_owned()))),
        ),
    ]
}

fn tables(tables: &SnapshotTables) -> NamedColumns {
    let names: Vec<String> = tables.names().collect();
    let rows = names.len();
    // A history is derived from what its dataset stores.
    let types = names.iter().map(|name| {
        let is_dataset = tables.get(name).is_some();
        Some(if is_dataset { "BASE TABLE" } else { "VIEW" }.to_owned())
    });
    vec![
        ("table_catalog", constant(CATALOG, rows)),
        ("table_schema", constant(SCHEMA, rows)),
        ("table_name", texts(names.iter().cloned().map(Some))),
        ("table_type", texts(types)),
    ]
}

fn columns(tables: &SnapshotTables) -> NamedColumns {
    let mut rows: Vec<ColumnRow> = Vec::new();
    for name in tables.names() {
        for (position, field) in tables.schema_of(&name).fields().iter().enumerate() {
            rows.push((name.clone(), position + 1, field.as_ref().clone()));
        }
    }
    let text = |of: &dyn Fn(&ColumnRow) -> Option<String>| texts(rows.iter().map(of));
    vec![
        ("table_catalog", constant(CATALOG, rows.len())),
        ("table_schema", constant(SCHEMA, rows.len())),
        ("table_name", text(&|(table, ..)| Some(table.clone()))),
        (
            "column_name",
            text(&|(_, _, field)| Some(field.name().clone())),
        ),
        (
            "ordinal_position",
            Arc::new(
                rows.iter()
                    .map(|(_, position, _)| Some(*position as u64))
                    .collect::<UInt64Array>(),
            ),
        ),
        ("column_default", text(&|_| None)),
        (
            "is_nullable",
            text(&|(_, _, field)| Some(if field.is_nullable() { "YES" } else { "NO" }.to_owned())),
        ),
        (
            "data_type",
            text(&|(_, _, field)| Some(type_name(field.data_type()))),
        ),
        (
            "unit",
            text(&|(_, _, field)| field.metadata().get(UNIT_KEY).cloned()),
        ),
    ]
}

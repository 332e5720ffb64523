//! What only changes with a commit, converted once for DataFusion and kept between queries.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arrow::datatypes::{Field, SchemaRef};
use datafusion::common::{ScalarValue, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::execution::object_store::{ObjectStoreRegistry, ObjectStoreUrl};
use datafusion::physical_expr::LexOrdering;
use meetnet_lake::snapshot::{LiveFile, TableSnapshot};
use meetnet_lake::storage::LakeLocation;
use meetnet_model::common::LICENCE;
use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::ids::DatasetId;
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::prefix::PrefixStore;

use super::schema::{public_schema, with_units};
use super::statistics::file_statistics;
use super::whole_ranges::WholeRanges;
use crate::state::FileMarks;

/// One live file, ready for a scan.
#[derive(Debug)]
pub(crate) struct PreparedFile {
    pub(crate) live: Arc<LiveFile>,
    /// With partition values and the statistics of the whole scan schema.
    pub(crate) partitioned: PartitionedFile,
    /// The same statistics: file columns, then `licence`.
    pub(crate) statistics: Arc<Statistics>,
    /// When the first and the last of its rows were recorded, µs; None: not known.
    pub(crate) recorded: Option<(i64, i64)>,
    /// When the first and the last of its rows were replaced, µs; None: not known, or not all of them were.
    pub(crate) superseded: Option<(i64, i64)>,
}

/// The committed part of one table.
#[derive(Debug)]
pub(crate) struct PreparedTable {
    pub(crate) declaration: Arc<DatasetDeclaration>,
    /// The SQL schema.
    pub(crate) schema: SchemaRef,
    /// The schema of a scan: file columns, then the partition column `licence`.
    pub(crate) scan_schema: TableSchema,
    /// Position in `scan_schema` of each column of `schema`.
    pub(crate) scan_index: Vec<usize>,
    /// Files with current rows, in the snapshot's order.
    pub(crate) files: Vec<Arc<PreparedFile>>,
    /// Files with replaced rows, in the snapshot's order.
    pub(crate) superseded_files: Vec<Arc<PreparedFile>>,
    /// Where the store that holds the files is registered.
    pub(crate) store_url: ObjectStoreUrl,
    source: Arc<Vec<Arc<LiveFile>>>,
    total: OnceLock<Statistics>,
}

impl PreparedTable {
    /// Statistics of all files with current rows together, nothing masked.
    pub(crate) fn total_statistics(&self) -> &Statistics {
        self.total.get_or_init(|| {
            let schema = self.scan_schema.table_schema();
            let files = self.files.iter().map(|file| file.statistics.as_ref());
            Statistics::try_merge_iter(files, schema.as_ref())
                .unwrap_or_else(|_| Statistics::new_unknown(schema))
        })
    }

    /// All files, current rows first.
    fn all_files(&self) -> impl Iterator<Item = &Arc<PreparedFile>> {
        self.files.iter().chain(&self.superseded_files)
    }

    /// The key's order over the scan schema.
    pub(crate) fn file_ordering(&self) -> Option<LexOrdering> {
        super::key_ordering(&self.declaration.key, self.scan_schema.table_schema())
    }

    /// The key's order over the SQL schema.
    pub(crate) fn row_ordering(&self) -> Option<LexOrdering> {
        super::key_ordering(&self.declaration.key, &self.schema)
    }
}

/// Prepared tables of the newest snapshots, and the stores that hold their files.
#[derive(Debug)]
pub(crate) struct PreparedTables {
    tables: Mutex<HashMap<DatasetId, Arc<PreparedTable>>>,
    stores: Mutex<HashMap<String, ObjectStoreUrl>>,
    registry: Arc<dyn ObjectStoreRegistry>,
    /// Footers of files, for as long as these are live.
    metadata_cache: Arc<FileMetadataCache>,
    /// What stands for the files of tables.
    pub(crate) marks: Arc<FileMarks>,
}

impl PreparedTables {
    pub(crate) fn new(
        registry: Arc<dyn ObjectStoreRegistry>,
        metadata_cache: Arc<FileMetadataCache>,
    ) -> Self {
        Self {
            tables: Mutex::default(),
            stores: Mutex::default(),
            registry,
            metadata_cache,
            marks: Arc::default(),
        }
    }

    /// Returns the prepared form of a table; files that the last one had too are taken over.
    pub(crate) fn get(&self, table: &TableSnapshot) -> Result<Arc<PreparedTable>> {
        let id = &table.declaration.id;
        let known = self
            .tables
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(id)
            .cloned();
        if let Some(known) = &known
            && Arc::ptr_eq(&known.source, &table.files)
            && Arc::ptr_eq(&known.declaration, &table.declaration)
        {
            return Ok(Arc::clone(known));
        }
        let prepared = Arc::new(self.prepare(table, known.as_deref())?);
        if let Some(known) = &known {
            self.forget_gone(known, &prepared);
        }
        self.tables
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id.clone(), Arc::clone(&prepared));
        Ok(prepared)
    }

    /// Drops the footers of files that are live no longer: their statistics may say what has been erased. A query that
    /// still reads an older snapshot may bring one back, until the cache needs the room.
    fn forget_gone(&self, known: &PreparedTable, prepared: &PreparedTable) {
        let live: HashSet<&str> = prepared.all_files().map(|file| &*file.live.path).collect();
        for file in known
            .all_files()
            .filter(|file| !live.contains(&*file.live.path))
        {
            self.metadata_cache
                .remove(&file.partitioned.object_meta.location);
        }
    }

    fn prepare(
        &self,
        table: &TableSnapshot,
        known: Option<&PreparedTable>,
    ) -> Result<PreparedTable> {
        let declaration = &table.declaration;
        let schema = public_schema(declaration);
        let file_schema = with_units(declaration, &declaration.file_schema());
        let licence = schema.field_with_name(LICENCE).map_or_else(
            |_| Arc::new(Field::new(LICENCE, arrow::datatypes::DataType::Utf8, false)),
            |field| Arc::new(field.clone()),
        );
        let scan_schema = TableSchema::builder(Arc::clone(&file_schema))
            .with_table_partition_cols(vec![licence])
            .build();
        let scan_index = schema
            .fields()
            .iter()
            .map(|field| scan_schema.table_schema().index_of(field.name()))
            .collect::<Result<Vec<_>, _>>()?;

        let same_columns = |known: &&PreparedTable| known.schema == schema;
        let reusable: HashMap<&str, &Arc<PreparedFile>> = known
            .filter(same_columns)
            .map(|known| {
                let files = known.all_files();
                files.map(|file| (&*file.live.path, file)).collect()
            })
            .unwrap_or_default();
        let (store_url, folder) = if table.files.is_empty() {
            (ObjectStoreUrl::local_filesystem(), String::new())
        } else {
            (
                self.store(&table.folder.location())?,
                table.folder.name().to_owned(),
            )
        };
        let all = table
            .files
            .iter()
            .map(|live| match reusable.get(&*live.path) {
                Some(file) if *file.live == **live => Ok(Arc::clone(file)),
                _ => prepare_file(live, &folder, &file_schema),
            })
            .collect::<Result<Vec<_>>>()?;
        let (superseded_files, files) = all.into_iter().partition(|file| file.live.superseded);
        Ok(PreparedTable {
            declaration: Arc::clone(declaration),
            schema,
            scan_schema,
            scan_index,
            files,
            superseded_files,
            store_url,
            source: Arc::clone(&table.files),
            total: OnceLock::new(),
        })
    }

    /// Returns where the lake's files are registered.
    ///
    /// Paths in plans (`EXPLAIN`) then start at the lake, like the published URLs, and say nothing of this machine.
    fn store(&self, lake: &LakeLocation) -> Result<ObjectStoreUrl> {
        let key = lake.name();
        let mut stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        let url = match stores.get(&key) {
            Some(url) => url.clone(),
            None => {
                let store: Arc<dyn ObjectStore> = match lake {
                    LakeLocation::Folder(path) => Arc::new(
                        LocalFileSystem::new_with_prefix(path)
                            .map_err(|error| DataFusionError::ObjectStore(Box::new(error)))?,
                    ),
                    LakeLocation::Objects { store, prefix, .. } => {
                        let below = PrefixStore::new(Arc::clone(store), prefix.clone());
                        Arc::new(WholeRanges(below))
                    }
                };
                let url = ObjectStoreUrl::parse(format!("lake://{}", stores.len()))?;
                self.registry.register_store(url.as_ref(), store);
                stores.insert(key, url.clone());
                url
            }
        };
        Ok(url)
    }
}

fn prepare_file(
    live: &Arc<LiveFile>,
    folder: &str,
    file_schema: &SchemaRef,
) -> Result<Arc<PreparedFile>> {
    let location = Path::parse(format!("{folder}/{}", live.path)).map_err(|error| {
        DataFusionError::ObjectStore(Box::new(object_store::Error::from(error)))
    })?;
    let mut partitioned = PartitionedFile::new("", live.bytes);
    partitioned.object_meta.location = location;
    let partitioned = partitioned
        .with_partition_values(vec![ScalarValue::Utf8(Some(
            live.licence.as_str().to_owned(),
        ))])
        .with_statistics(Arc::new(file_statistics(live, file_schema)));
    let statistics = partitioned.statistics.clone().unwrap_or_default();
    Ok(Arc::new(PreparedFile {
        live: Arc::clone(live),
        recorded: live.recorded_bounds(),
        superseded: live.superseded_bounds(),
        partitioned,
        statistics,
    }))
}

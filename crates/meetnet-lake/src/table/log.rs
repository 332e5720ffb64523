//! The table log: `_delta_log/<version>.json`, one atomic commit per file, a checkpoint now and then.
//!
//! Invariants:
//! - a version is created with a hard link, so that exactly one writer gets it; it is synced, with its folder, before
//!   anybody is told;
//! - where the log can be written from anywhere (a bucket), each entry carries the number of its writer, see
//!   `storage/claim.rs`;
//! - nothing is rebased here: a writer that loses a version refreshes and decides anew ([`Committed::Lost`]);
//! - an error says nothing about its entry, which may be there or come yet (a slow object store). It is kept and put
//!   again, the same bytes at the same version, until one or another is found there: each has an id that no other has;
//! - the state in memory is the fold of all versions, so a commit costs what it writes, however old the table is.

mod whole;

use std::collections::BTreeMap;

use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::property::PropertyUnits;
use serde_json::json;
use tracing::warn;
use uuid::Uuid;

use super::actions::{Action, Add, Format, MetaData, Protocol, Remove, Txn};
use super::vacuum::version_of;
use super::{checkpoint, schema};
use crate::error::LakeError;
use crate::storage::{Put, TableFolder};

/// Folder of the log in the table's.
pub(crate) const LOG_FOLDER: &str = "_delta_log";
/// Key of the table configuration that holds the declaration, as JSON.
const DECLARATION: &str = "meetnet.declaration";
/// Key of the same for the units of the properties that the dataset has been declared with, as JSON; absent where there
/// has been none. Readers pass over keys that they do not know.
const PROPERTY_UNITS: &str = "meetnet.property_units";
/// Commits between two checkpoints: replaying this many entries takes milliseconds.
const CHECKPOINT_INTERVAL: u64 = 100;
/// Application id of the number under which the writer of the newest entry has opened the lake.
const OPENING: &str = "meetnet/opening";
/// How long tombstones are kept in checkpoints at least: a file without one is an orphan to vacuum.
const TOMBSTONE_RETENTION_MS: i64 = 8 * 24 * 3_600_000;

/// A table log, folded up to its newest version.
#[derive(Debug)]
pub(crate) struct TableLog {
    folder: TableFolder,
    version: u64,
    protocol: Protocol,
    metadata: MetaData,
    adds: BTreeMap<String, Add>,
    tombstones: BTreeMap<String, Remove>,
    tombstone_retention_ms: i64,
    txns: BTreeMap<String, Txn>,
    last_checkpoint: u64,
    /// Number under which this process has opened the lake, where openings have one.
    opening: Option<i64>,
    /// An entry of which nobody knows whether it is there.
    unsettled: Option<Entry>,
}

/// An entry on its way into the log.
#[derive(Debug)]
struct Entry {
    version: u64,
    bytes: Vec<u8>,
    actions: Vec<Action>,
}

/// What became of an entry.
#[derive(Debug)]
pub(crate) enum Committed {
    /// It is there, on disk with its name, and folded.
    Done,
    /// It is not there, and never will be: another one has its version, or it was not put at all.
    Lost(LakeError),
    /// Nobody can say: [`TableLog::settle`] finds out, and nothing else is committed before.
    Unsettled(LakeError),
}

impl TableLog {
    /// Returns the log of `folder` before its first version: [`TableLog::fold_version`] goes on from here.
    pub(crate) fn empty(folder: &TableFolder) -> Self {
        Self {
            folder: folder.clone(),
            version: 0,
            protocol: Protocol {
                min_reader_version: 0,
                min_writer_version: 0,
            },
            metadata: empty_metadata(),
            adds: BTreeMap::new(),
            tombstones: BTreeMap::new(),
            tombstone_retention_ms: TOMBSTONE_RETENTION_MS,
            txns: BTreeMap::new(),
            last_checkpoint: 0,
            opening: None,
            unsettled: None,
        }
    }

    /// Refuses a table that another program has changed to a protocol that this one does not know.
    pub(crate) fn check_protocol(&self) -> Result<(), LakeError> {
        if self.protocol.min_reader_version == 1 && self.protocol.min_writer_version <= 2 {
            return Ok(());
        }
        Err(LakeError::BrokenLog {
            path: self.folder.shown(LOG_FOLDER),
            reason: format!(
                "it asks for reader {} and writer {}, meetnet speaks 1 and 2",
                self.protocol.min_reader_version, self.protocol.min_writer_version
            ),
        })
    }

    /// Creates the table of a declaration in `folder`; `units` are those of its properties.
    pub(crate) fn create(
        folder: &TableFolder,
        declaration: &DatasetDeclaration,
        units: &PropertyUnits,
        now_ms: i64,
    ) -> Result<Self, LakeError> {
        let protocol = Protocol {
            min_reader_version: 1,
            min_writer_version: 2,
        };
        let id = Uuid::new_v4().to_string();
        let metadata = metadata_of(declaration, units, id, Some(now_ms));
        let log = Self {
            protocol: protocol.clone(),
            metadata: metadata.clone(),
            ..Self::empty(folder)
        };
        let actions = vec![
            commit_info("CREATE TABLE", now_ms, json!({})),
            Action::Protocol(protocol),
            Action::MetaData(metadata),
        ];
        if log.place(&Entry::new(0, actions))? {
            Ok(log)
        } else {
            Err(log.conflict(0))
        }
    }

    /// Newest version that this value has folded.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// Folder of the table.
    pub(crate) fn folder(&self) -> &TableFolder {
        &self.folder
    }

    /// Live files.
    pub(crate) fn adds(&self) -> impl Iterator<Item = &Add> {
        self.adds.values()
    }

    /// Files that are no longer live; forgotten some time later.
    pub(crate) fn tombstones(&self) -> impl Iterator<Item = &Remove> {
        self.tombstones.values()
    }

    /// Keeps tombstones for at least this long, ms.
    pub(crate) fn keep_tombstones(&mut self, retention_ms: i64) {
        self.tombstone_retention_ms = TOMBSTONE_RETENTION_MS.max(retention_ms);
    }

    /// Returns true where `path` is live.
    pub(crate) fn is_live(&self, path: &str) -> bool {
        self.adds.contains_key(path)
    }

    /// How far an application has come.
    pub(crate) fn txn(&self, app_id: &str) -> Option<i64> {
        self.txns.get(app_id).map(|txn| txn.version)
    }

    /// How far each application has come whose id starts with `prefix`.
    pub(crate) fn txns<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, i64)> {
        self.txns
            .range(prefix.to_owned()..)
            .take_while(move |(id, _)| id.starts_with(prefix))
            .map(|(id, txn)| (id.as_str(), txn.version))
    }

    /// The greatest position among applications whose id starts with `prefix`.
    pub(crate) fn txn_max(&self, prefix: &str) -> Option<i64> {
        self.txns(prefix).map(|(_, version)| version).max()
    }

    /// The declaration the table was made with, or last changed to.
    pub(crate) fn declaration(&self) -> Result<DatasetDeclaration, LakeError> {
        let text = self
            .metadata
            .configuration
            .get(DECLARATION)
            .ok_or_else(|| self.broken(format!("its metadata has no `{DECLARATION}`")))?;
        serde_json::from_str(text).map_err(|error| self.broken(error.to_string()))
    }

    /// The units of all properties that the dataset has been declared with, also of those that are gone: their rows stay.
    pub(crate) fn property_units(&self) -> Result<PropertyUnits, LakeError> {
        let Some(text) = self.metadata.configuration.get(PROPERTY_UNITS) else {
            return Ok(PropertyUnits::new());
        };
        serde_json::from_str(text)
            .map_err(|error| self.broken(format!("`{PROPERTY_UNITS}` of its metadata: {error}")))
    }

    fn broken(&self, reason: String) -> LakeError {
        LakeError::BrokenLog {
            path: self.folder.shown(LOG_FOLDER),
            reason,
        }
    }

    /// Schema of the table, in Delta's form.
    pub(crate) fn schema_string(&self) -> &str {
        &self.metadata.schema_string
    }

    /// Returns the metadata action for a changed declaration, or other units.
    pub(crate) fn changed_metadata(
        &self,
        declaration: &DatasetDeclaration,
        units: &PropertyUnits,
    ) -> Action {
        Action::MetaData(metadata_of(
            declaration,
            units,
            self.metadata.id.clone(),
            self.metadata.created_time,
        ))
    }

    /// Lets every entry from now on carry the number of an opening.
    pub(crate) fn set_opening(&mut self, opening: Option<i64>) {
        self.opening = opening;
    }

    /// Returns an error where another opening of the lake has written the newest entry.
    ///
    /// # Errors
    /// [`LakeError::TakenOver`].
    pub(crate) fn check_opening(&self) -> Result<(), LakeError> {
        if self.opening.is_none() || self.txn(OPENING) == self.opening {
            return Ok(());
        }
        Err(LakeError::TakenOver {
            table: self.folder.shown(""),
        })
    }

    /// Commits `actions`, a [`commit_info`] among them, as the next version.
    pub(crate) fn commit(&mut self, mut actions: Vec<Action>, now_ms: i64) -> Committed {
        debug_assert!(self.unsettled.is_none(), "an open entry is settled first");
        actions.extend(self.opening.map(|number| {
            Action::Txn(Txn {
                app_id: OPENING.to_owned(),
                version: number,
                last_updated: Some(now_ms),
            })
        }));
        let entry = Entry::new(self.version + 1, actions);
        match self.check_in_place(&entry.actions) {
            Ok(()) => self.attempt(entry, now_ms),
            Err(error) => Committed::Lost(error),
        }
    }

    /// Finds out what became of an unsettled entry, and puts it again where there is none yet.
    pub(crate) fn settle(&mut self, now_ms: i64) -> Committed {
        match self.unsettled.take() {
            Some(entry) => match self.check_in_place(&[]) {
                Ok(()) => self.attempt(entry, now_ms),
                Err(error) => {
                    self.unsettled = Some(entry);
                    Committed::Unsettled(error)
                }
            },
            None => Committed::Done,
        }
    }

    fn attempt(&mut self, entry: Entry, now_ms: i64) -> Committed {
        match self.place(&entry) {
            Ok(true) => {}
            Ok(false) => return Committed::Lost(self.conflict(entry.version)),
            Err(error) => {
                self.unsettled = Some(entry);
                return Committed::Unsettled(error);
            }
        }
        self.version = entry.version;
        entry
            .actions
            .into_iter()
            .for_each(|action| self.fold(action));
        if self.version >= self.last_checkpoint + CHECKPOINT_INTERVAL {
            self.write_checkpoint(now_ms);
        }
        Committed::Done
    }

    /// Puts an entry at its version. True: it is there, by this attempt or one before, on disk with its name. False:
    /// another one is. An error says neither.
    fn place(&self, entry: &Entry) -> Result<bool, LakeError> {
        let path = entry_path(entry.version);
        let put = self.folder.put_if_absent(&path, &entry.bytes);
        if let Ok(Put::Done) = put {
            return Ok(true);
        }
        match self.folder.read(&path) {
            Ok(Some(found)) if found == entry.bytes => self.sync().map(|()| true),
            Ok(Some(_)) => Ok(false),
            Ok(None) => Err(put.err().unwrap_or_else(|| self.conflict(entry.version))),
            Err(error) => Err(put.err().unwrap_or(error)),
        }
    }

    /// A checkpoint only saves time: where it cannot be written, the next commit tries again.
    fn write_checkpoint(&mut self, now_ms: i64) {
        let kept_since_ms = now_ms - self.tombstone_retention_ms;
        self.tombstones
            .retain(|_, remove| remove.deletion_timestamp.unwrap_or(0) > kept_since_ms);
        match checkpoint::write(&self.folder, self.version, &self.actions()) {
            Ok(()) => self.last_checkpoint = self.version,
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                warn!(error, "failed to write a checkpoint of a table log");
            }
        }
    }

    fn conflict(&self, version: u64) -> LakeError {
        LakeError::Conflict {
            table: self.folder.shown(""),
            version,
        }
    }

    /// Syncs the folder of the log: an entry that is seen but whose name is not on disk yet could vanish with the
    /// power, after the journal was trimmed for it.
    pub(crate) fn sync(&self) -> Result<(), LakeError> {
        self.folder.sync_names(LOG_FOLDER)
    }

    /// Folds versions that others have committed since.
    pub(crate) fn refresh(&mut self) -> Result<(), LakeError> {
        self.fold_from(self.version + 1).map(drop)
    }

    /// Does the same also where the entries after this version have been cut away behind a checkpoint.
    pub(crate) fn catch_up(&mut self) -> Result<(), LakeError> {
        if self.fold_from(self.version + 1)? > 0 {
            return Ok(());
        }
        let is_behind =
            checkpoint::newest(&self.folder)?.is_some_and(|at| at.version > self.version);
        if is_behind && let Some(log) = Self::open(&self.folder)? {
            *self = log;
        }
        Ok(())
    }

    /// Removes the entries and checkpoints of every earlier version, behind a checkpoint of this one: what they say of
    /// files that are gone is gone as well. Returns how many there were.
    pub(crate) fn cut(&mut self) -> Result<u64, LakeError> {
        let is_earlier =
            |path: &str| version_of(path).is_some_and(|version| version < self.version);
        let listed = self.folder.list(LOG_FOLDER)?.into_iter();
        let earlier: Vec<_> = listed.filter(|object| is_earlier(&object.path)).collect();
        if earlier.is_empty() {
            return Ok(0);
        }
        checkpoint::write(&self.folder, self.version, &self.actions())?;
        self.last_checkpoint = self.version;
        self.folder
            .remove_all(earlier.iter().map(|object| object.path.as_str()))?;
        self.folder.sync_names(LOG_FOLDER)?;
        Ok(earlier.len() as u64)
    }

    /// Folds every entry from `version` on; returns how many there were.
    fn fold_from(&mut self, version: u64) -> Result<u64, LakeError> {
        let mut next = version;
        loop {
            let Some(actions) = read_entry(&self.folder, next)? else {
                break;
            };
            self.fold_version(next, actions);
            next += 1;
        }
        Ok(next - version)
    }

    /// Folds the actions of a version, or of its checkpoint.
    pub(crate) fn fold_version(&mut self, version: u64, actions: Vec<Action>) {
        actions.into_iter().for_each(|action| self.fold(action));
        self.version = version;
    }

    fn fold(&mut self, action: Action) {
        match action {
            Action::Protocol(protocol) => self.protocol = protocol,
            Action::MetaData(metadata) => self.metadata = metadata,
            Action::Add(add) => {
                self.tombstones.remove(&add.path);
                self.adds.insert(add.path.clone(), add);
            }
            Action::Remove(remove) => {
                self.adds.remove(&remove.path);
                self.tombstones.insert(remove.path.clone(), remove);
            }
            Action::Txn(txn) => {
                self.txns.insert(txn.app_id.clone(), txn);
            }
            Action::CommitInfo(_) => {}
        }
    }

    /// The state as actions: what a checkpoint holds.
    pub(crate) fn actions(&self) -> Vec<Action> {
        let mut actions = vec![
            Action::Protocol(self.protocol.clone()),
            Action::MetaData(self.metadata.clone()),
        ];
        actions.extend(self.txns.values().cloned().map(Action::Txn));
        actions.extend(self.tombstones.values().cloned().map(Action::Remove));
        actions.extend(self.adds.values().cloned().map(Action::Add));
        actions
    }
}

impl Entry {
    fn new(version: u64, actions: Vec<Action>) -> Self {
        let mut bytes = Vec::with_capacity(512 * actions.len());
        for action in &actions {
            serde_json::to_writer(&mut bytes, action).expect("actions have string keys only");
            bytes.push(b'\n');
        }
        Self {
            version,
            bytes,
            actions,
        }
    }
}

/// Returns a `commitInfo` with meetnet's own fields beside the usual ones. Its `txnId` makes the entry one of its kind.
pub(crate) fn commit_info(operation: &str, now_ms: i64, meetnet: serde_json::Value) -> Action {
    Action::CommitInfo(json!({
        "timestamp": now_ms,
        "operation": operation,
        "txnId": Uuid::new_v4().to_string(),
        "engineInfo": concat!("meetnet/", env!("CARGO_PKG_VERSION")),
        "meetnet": meetnet,
    }))
}

/// Reads the actions of a version; None where there is no entry.
pub(crate) fn read_entry(
    folder: &TableFolder,
    version: u64,
) -> Result<Option<Vec<Action>>, LakeError> {
    let path = entry_path(version);
    let Some(text) = folder.read(&path)? else {
        return Ok(None);
    };
    serde_json::Deserializer::from_slice(&text)
        .into_iter()
        .collect::<Result<Vec<Action>, _>>()
        .map(Some)
        .map_err(|error| LakeError::BrokenLog {
            path: folder.shown(&path),
            reason: error.to_string(),
        })
}

pub(crate) fn entry_path(version: u64) -> String {
    format!("{LOG_FOLDER}/{version:020}.json")
}

/// Returns a declaration as the log has it: without the reference that rows are compared with. That is somebody's sensor, which an
/// erasure has to take out of every file, and the log is as public as the rows. The configuration says which it is.
pub(crate) fn as_logged(declaration: &DatasetDeclaration) -> DatasetDeclaration {
    let mut logged = declaration.clone();
    if let Some(derivation) = &mut logged.derive {
        derivation.reference = None;
    }
    logged
}

fn empty_metadata() -> MetaData {
    MetaData {
        id: String::new(),
        name: None,
        description: None,
        format: Format {
            provider: "parquet".to_owned(),
            options: BTreeMap::new(),
        },
        schema_string: String::new(),
        partition_columns: Vec::new(),
        configuration: BTreeMap::new(),
        created_time: None,
    }
}

fn metadata_of(
    declaration: &DatasetDeclaration,
    units: &PropertyUnits,
    id: String,
    created_time: Option<i64>,
) -> MetaData {
    use meetnet_model::common::{LICENCE, SUPERSEDED};
    let declaration = as_logged(declaration);
    let text = serde_json::to_string(&declaration).expect("declarations have string keys only");
    let mut configuration = BTreeMap::from([
        (DECLARATION.to_owned(), text),
        (
            "delta.checkpointInterval".to_owned(),
            CHECKPOINT_INTERVAL.to_string(),
        ),
    ]);
    if !units.is_empty() {
        let text = serde_json::to_string(units).expect("units have string keys only");
        configuration.insert(PROPERTY_UNITS.to_owned(), text);
    }
    MetaData {
        id,
        name: Some(declaration.id.to_string()),
        description: Some(declaration.title.get("en").to_owned()),
        schema_string: schema::schema_string(&declaration.table_schema()),
        partition_columns: vec![
            LICENCE.to_owned(),
            SUPERSEDED.to_owned(),
            declaration.grain.column().to_owned(),
        ],
        configuration,
        created_time,
        ..empty_metadata()
    }
}

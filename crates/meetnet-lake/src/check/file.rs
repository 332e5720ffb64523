//! Verifying one Parquet file against its log entry: is it there, is it what was written, does it say the same.

use std::io;

use arrow::datatypes::Schema;
use meetnet_model::common::LICENCE;
use meetnet_model::dataset::DatasetDeclaration;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::Length;

use super::Depth;
use super::log::with_sources;
use super::report::{FindingKind, Place, Report};
use crate::damage::{self, Damage};
use crate::error::LakeError;
use crate::snapshot::LiveFile;
use crate::storage::{Access, TableFolder};
use crate::table::lookup::load_footer;
use crate::table::parquet_file::{
    DATASET_METADATA, FileStatistics, VERSION_METADATA, statistics_of,
};
use crate::table::schema::{read_stats, stats_text};

/// What a file is found to be.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// What was written; this is its footer.
    Sound(ArrowReaderMetadata),
    /// Not what was written.
    Broken(Damage),
    /// The storage failed: nobody can say.
    Unknown(LakeError),
}

/// Finds out whether a file is what was written. Its content is hashed in a full check, and in a quick one where its
/// footer contradicts the log.
pub(crate) fn examine(
    folder: &TableFolder,
    declaration: &DatasetDeclaration,
    file: &LiveFile,
    depth: Depth,
) -> Verdict {
    if depth == Depth::Full
        && let Some(verdict) = compare(folder, file)
    {
        return verdict;
    }
    let input = match folder.open_as_stored(&file.path, Access::Pages) {
        Ok(input) => input,
        Err(LakeError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Verdict::Broken(Damage::Missing);
        }
        Err(error) => return Verdict::Unknown(error),
    };
    let (bytes, expected) = (input.len(), file.bytes);
    if bytes != expected {
        return Verdict::Broken(Damage::WrongLength { bytes, expected });
    }
    let footer = load_footer(&input);
    let is_doubtful = match &footer {
        Ok(footer) => !contradictions(footer, declaration, file).is_empty(),
        Err(_) => true,
    };
    if depth == Depth::Quick
        && is_doubtful
        && let Some(verdict) = compare(folder, file)
    {
        return verdict;
    }
    match footer {
        Ok(footer) => Verdict::Sound(footer),
        Err(error) if is_of_storage(&error) => Verdict::Unknown(LakeError::parquet(
            "read the footer of",
            &folder.shown(&file.path),
        )(error)),
        Err(_) => Verdict::Broken(Damage::Unreadable),
    }
}

/// Compares a file with its length and hash; None: it is what was written.
fn compare(folder: &TableFolder, file: &LiveFile) -> Option<Verdict> {
    match damage::examine(folder, file) {
        Ok(None) => None,
        Ok(Some(damage)) => Some(Verdict::Broken(damage)),
        Err(error) => Some(Verdict::Unknown(error)),
    }
}

/// Returns the finding that says what is wrong with a file.
pub(crate) fn kind_of(damage: Damage) -> FindingKind {
    match damage {
        Damage::Missing => FindingKind::FileMissing,
        Damage::WrongLength { .. } => FindingKind::FileLength,
        Damage::WrongChecksum => FindingKind::FileHash,
        Damage::Unreadable => FindingKind::FileUnreadable,
    }
}

/// Returns true where an error says nothing about the bytes.
fn is_of_storage(error: &ParquetError) -> bool {
    let ParquetError::External(source) = error else {
        return false;
    };
    source
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() != io::ErrorKind::UnexpectedEof)
}

/// Returns whether a footer says what the log says: rows, and least and greatest values.
pub(crate) fn agrees(
    metadata: &ParquetMetaData,
    declaration: &DatasetDeclaration,
    file: &LiveFile,
) -> bool {
    let rows: i64 = metadata
        .row_groups()
        .iter()
        .map(|group| group.num_rows())
        .sum();
    let statistics: FileStatistics = statistics_of(metadata.row_groups());
    let schema = declaration.file_schema();
    // Through the log's own text, which rounds.
    let text = stats_text(rows.unsigned_abs(), &statistics, &schema);
    read_stats(&text, &schema)
        .is_some_and(|(rows, statistics)| rows == file.rows && statistics == file.statistics)
}

/// Returns what a footer says that its log entry, or the declaration of the table, does not.
fn contradictions(
    footer: &ArrowReaderMetadata,
    declaration: &DatasetDeclaration,
    file: &LiveFile,
) -> Vec<(FindingKind, &'static str)> {
    let mut found = Vec::new();
    if !agrees(footer.metadata(), declaration, file) {
        found.push((
            FindingKind::FileStatistics,
            "its rows, least or greatest values are not those of its log entry",
        ));
    }
    let metadata = footer.metadata().file_metadata();
    let value = |key: &str| {
        let pairs = metadata.key_value_metadata()?;
        pairs.iter().find(|pair| pair.key == key)?.value.as_deref()
    };
    let mut add = |what| found.push((FindingKind::FileMetadata, what));
    if value(DATASET_METADATA) != Some(declaration.id.as_str()) {
        add("it does not say that it is of this dataset");
    }
    if value(LICENCE) != Some(file.licence.as_str()) {
        add("it does not state the licence of its partition");
    }
    let version = value(VERSION_METADATA).and_then(|version| version.parse::<u32>().ok());
    if version.is_none_or(|version| version > declaration.version) {
        add("it is of a later declaration than the table, or of none");
    }
    if !has_columns_of(footer.schema(), &declaration.file_schema()) {
        add("its columns are not those of the declaration");
    }
    found
}

/// Verifies what a sound file says of itself; returns whether its columns can be read as the table's.
pub(super) fn check_footer(
    footer: &ArrowReaderMetadata,
    declaration: &DatasetDeclaration,
    file: &LiveFile,
    report: &mut Report,
) -> bool {
    for (kind, what) in contradictions(footer, declaration, file) {
        let to_do = match kind {
            FindingKind::FileStatistics => {
                "report it: queries may skip rows of this file that they should return"
            }
            _ => "report it, and do not publish the file until it is clear where it comes from",
        };
        let place = Place::table(&declaration.id, Some(&file.path));
        report.add(kind, place, what, to_do);
    }
    has_columns_of(footer.schema(), &declaration.file_schema())
}

/// Returns true where a file has the declared columns, but for nullable ones that came later.
fn has_columns_of(stored: &Schema, declared: &Schema) -> bool {
    let mut stored = stored.fields().iter().peekable();
    for field in declared.fields() {
        match stored.next_if(|stored| stored.name() == field.name()) {
            Some(stored) => {
                let same = stored.data_type() == field.data_type()
                    && stored.is_nullable() == field.is_nullable();
                if !same {
                    return false;
                }
            }
            None if field.is_nullable() => {}
            None => return false,
        }
    }
    stored.next().is_none()
}

/// Reports a broken file.
pub(super) fn report_damage(
    damage: Damage,
    declaration: &DatasetDeclaration,
    file: &LiveFile,
    report: &mut Report,
) {
    report.add(
        kind_of(damage),
        Place::table(&declaration.id, Some(&file.path)),
        format!("it {damage}"),
        "restore the file from a backup, byte for byte, or run `meetnet check --repair`: it takes the file out of the \
         table and says what it held; look after the disk",
    );
}

/// Reports a file that the storage did not give.
pub(super) fn report_unknown(
    error: &LakeError,
    declaration: &DatasetDeclaration,
    file: &LiveFile,
    report: &mut Report,
) {
    report.add(
        FindingKind::FileUnknown,
        Place::table(&declaration.id, Some(&file.path)),
        with_sources(error),
        "check again; if it stays, look after the disk or the object store, and restore the file from a backup",
    );
}

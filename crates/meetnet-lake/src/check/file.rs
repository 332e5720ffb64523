//! Verifying one Parquet file against its log entry: is it there, is it what was written, does it say the same.

use arrow::datatypes::Schema;
use meetnet_model::common::LICENCE;
use meetnet_model::dataset::DatasetDeclaration;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::file::metadata::ParquetMetaData;

use super::Depth;
use super::log::with_sources;
use super::report::{FindingKind, Place, Report};
use crate::damage::{self, Damage};
use crate::error::LakeError;
use crate::snapshot::LiveFile;
use crate::storage::{Access, TableFolder};
use crate::table::parquet_file::{
    DATASET_METADATA, FileStatistics, VERSION_METADATA, statistics_of,
};
use crate::table::read::load_footer;
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

impl From<LakeError> for Verdict {
    fn from(error: LakeError) -> Self {
        match error {
            LakeError::BrokenFile { damage, .. } => Self::Broken(damage),
            error => Self::Unknown(error),
        }
    }
}

/// Finds out whether a file is what was written. Its content is hashed in a full check, and in a quick one where its
/// footer contradicts the log, or where it was known to be damaged.
pub(crate) fn examine(
    folder: &TableFolder,
    declaration: &DatasetDeclaration,
    file: &LiveFile,
    depth: Depth,
) -> Verdict {
    let was_damaged = folder.damage_of(&file.path).is_some();
    let footer = match read_footer(folder, file, depth) {
        Ok(footer) => footer,
        Err(error) => return error.into(),
    };
    let is_doubtful = was_damaged || !contradictions(&footer, declaration, file).is_empty();
    if depth == Depth::Quick
        && is_doubtful
        && let Err(error) = damage::verify(folder, file)
    {
        return error.into();
    }
    Verdict::Sound(footer)
}

fn read_footer(
    folder: &TableFolder,
    file: &LiveFile,
    depth: Depth,
) -> Result<ArrowReaderMetadata, LakeError> {
    if depth == Depth::Full {
        damage::verify(folder, file)?;
    }
    let input = damage::open(folder, file, Access::Pages)?;
    load_footer(&input).map_err(|error| {
        let shown = folder.shown(&file.path);
        let error = LakeError::parquet("read the footer of", &shown)(error);
        damage::diagnose(folder, file, error)
    })
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

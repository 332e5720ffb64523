//! Why rows cannot be derived.

use meetnet_lake::LakeError;
use meetnet_model::buckets::BucketError;
use meetnet_model::ids::DatasetId;

/// Why rows cannot be derived now, or at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeriveError {
    /// The input cannot be read.
    #[error("failed to read what dataset `{dataset}` is made of")]
    Input {
        /// The derived dataset.
        dataset: DatasetId,
        /// Why not.
        #[source]
        source: LakeError,
    },
    /// The input has no such column: the check of the declarations has missed it.
    #[error(
        "dataset `{dataset}` is made of column `{column}`, which its input does not have in that type"
    )]
    Column {
        /// The derived dataset.
        dataset: DatasetId,
        /// The column of the input.
        column: String,
    },
    /// A row lacks a column that every row has: the check of the declarations has missed it.
    #[error("nothing makes column `{column}` of dataset `{dataset}`, which every row has")]
    Incomplete {
        /// The derived dataset.
        dataset: DatasetId,
        /// Its column.
        column: String,
    },
    /// The clocks that buckets go by are not known.
    #[error("the buckets of dataset `{dataset}` are not known")]
    Buckets {
        /// The derived dataset.
        dataset: DatasetId,
        /// Why not.
        #[source]
        source: BucketError,
    },
    /// A chunk was not taken.
    #[error("rows of dataset `{dataset}` were not taken")]
    NotTaken {
        /// The derived dataset.
        dataset: DatasetId,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Somebody asked to stop; what was not taken is computed again.
    #[error("stopped")]
    Stopped,
}

impl DeriveError {
    pub(crate) fn no_column(dataset: &DatasetId, column: &str) -> Self {
        Self::Column {
            dataset: dataset.clone(),
            column: column.to_owned(),
        }
    }

    pub(crate) fn incomplete(dataset: &DatasetId, column: &str) -> Self {
        Self::Incomplete {
            dataset: dataset.clone(),
            column: column.to_owned(),
        }
    }
}

//! What a polled source remembers: one small file per source beside the journal.
//!
//! It is written after the sync of what it covers, and replaced at once or not at all. Losing it costs requests, never
//! rows; a file of another journal, or one that cannot be read, counts as lost.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use meetnet_lake::files::{DiskFiles, replace_in_folder};
use meetnet_model::ids::SourceId;
use serde::{Deserialize, Serialize};

use super::pace::Asked;
use super::plan::Window;

#[cfg(test)]
mod tests;

/// Version of the file; another one counts as lost.
const VERSION: u32 = 1;

/// Where one target stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cursor {
    /// Everything before this was asked for and is in the journal, µs since 1970 UTC.
    #[serde(default, with = "instant", skip_serializing_if = "Option::is_none")]
    pub(crate) through: Option<i64>,
    /// When it last answered.
    #[serde(default, with = "instant", skip_serializing_if = "Option::is_none")]
    pub(crate) polled_at: Option<i64>,
    /// When it was last asked again for what it had answered days ago.
    #[serde(default, with = "instant", skip_serializing_if = "Option::is_none")]
    pub(crate) reasked_at: Option<i64>,
    /// `ETag` of the last answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) etag: Option<String>,
    /// `Last-Modified` of the last answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_modified: Option<String>,
}

/// Where a backfill stands that is not at its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BackfillCursor {
    /// What was asked for.
    #[serde(with = "span")]
    pub(crate) span: Window,
    /// Targets with what is left of the span; none where it has not begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) left: Option<Vec<Left>>,
    /// Windows that were asked for.
    #[serde(default)]
    pub(crate) windows_done: u64,
    /// Rows, features or readings in the answers.
    #[serde(default)]
    pub(crate) items: u64,
    /// Windows that were refused: the first few, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) refused: Vec<String>,
    /// How many were refused.
    #[serde(default)]
    pub(crate) refused_total: u64,
}

/// What is left of a backfill at one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Left {
    /// Its name.
    pub(crate) target: String,
    /// The time that is not asked for yet.
    #[serde(with = "span")]
    pub(crate) window: Window,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    journal: String,
    /// Day (since 1970, UTC) and number of the requests to its host.
    asked: (i64, u32),
    targets: BTreeMap<String, Cursor>,
    /// In the order in which they are done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    backfills: Vec<BackfillCursor>,
}

/// What was remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Remembered {
    pub(crate) asked: Asked,
    pub(crate) targets: BTreeMap<String, Cursor>,
    pub(crate) backfills: Vec<BackfillCursor>,
}

/// The file of one source.
#[derive(Clone, Debug)]
pub(crate) struct StateFile {
    path: PathBuf,
    journal: String,
}

impl StateFile {
    /// Names the file of `source` in `folder`, for the journal with this id.
    pub(crate) fn new(folder: &Path, source: &SourceId, journal: &str) -> Self {
        Self {
            path: folder.join(format!("{source}.json")),
            journal: journal.to_owned(),
        }
    }

    /// Reads it.
    ///
    /// # Errors
    /// Why what is there does not count; nothing at all there is no error.
    pub(crate) fn load(&self) -> Result<Remembered, String> {
        let shown = self.path.display();
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Remembered::default()),
            Err(error) => return Err(format!("cannot read {shown}: {error}")),
        };
        let document: Document = serde_json::from_slice(&bytes)
            .map_err(|error| format!("cannot understand {shown}: {error}"))?;
        if document.version != VERSION {
            return Err(format!(
                "{shown} has the unknown version {}",
                document.version
            ));
        }
        if document.journal != self.journal {
            return Err(format!("{shown} belongs to another journal"));
        }
        let (day, count) = document.asked;
        Ok(Remembered {
            asked: Asked { day, count },
            targets: document.targets,
            backfills: document.backfills,
        })
    }

    /// Replaces it; on disk when this returns.
    ///
    /// # Errors
    /// Where the folder cannot be written.
    pub(crate) fn save(&self, remembered: Remembered) -> io::Result<()> {
        let Remembered {
            asked,
            targets,
            backfills,
        } = remembered;
        let document = Document {
            version: VERSION,
            journal: self.journal.clone(),
            asked: (asked.day, asked.count),
            targets,
            backfills,
        };
        let bytes = serde_json::to_vec_pretty(&document).map_err(io::Error::other)?;
        replace_in_folder(&DiskFiles::PRIVATE, &self.path, &bytes)
    }
}

/// Times as people read them.
mod instant {
    use meetnet_model::time::{format_rfc3339, parse_rfc3339};
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(at: &Option<i64>, to: S) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => to.serialize_str(&format_rfc3339(*at)),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| parse_rfc3339(&text).map_err(D::Error::custom))
            .transpose()
    }
}

/// Spans as people read them: `from/to`, and `from/..` up to now.
mod span {
    use meetnet_model::time::parse_rfc3339;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::poll::plan::Window;

    pub(super) fn serialize<S: Serializer>(span: &Window, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(span)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Window, D::Error> {
        let text = String::deserialize(from)?;
        let (from, to) = text
            .split_once('/')
            .ok_or_else(|| D::Error::custom(format!("`{text}` is no span of time")))?;
        let instant = |text: &str| parse_rfc3339(text).map_err(D::Error::custom);
        Ok(Window {
            from: instant(from)?,
            to: match to {
                ".." => i64::MAX,
                to => instant(to)?,
            },
        })
    }
}

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

/// Spans of one target that may be passed over: beyond them its live polling waits for what is broken.
const GAPS_MAX: usize = 100;

/// Version of the file; another one counts as lost.
const VERSION: u32 = 1;

/// Where one target stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cursor {
    /// Everything before this was asked for and is in the journal, but for the gaps, µs since 1970 UTC.
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
    /// What kept failing while newer periods were answered, and is not in the journal: in order, none touching another.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) gaps: Vec<Gap>,
}

/// A span of time that live polling has passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Gap {
    /// The span.
    #[serde(with = "span")]
    pub(crate) window: Window,
    /// Since when it fails, µs since 1970 UTC.
    #[serde(with = "moment")]
    pub(crate) since: i64,
}

impl Cursor {
    /// Adds a gap, joined with those that it touches. False where there are too many already: then it is not added.
    pub(crate) fn add_gap(&mut self, gap: Gap) -> bool {
        let touches =
            |other: Gap| other.window.from <= gap.window.to && gap.window.from <= other.window.to;
        let joined = self.gaps.iter().copied();
        let joined = joined.filter(|other| touches(*other));
        let joined = joined.fold(gap, |joined, other| Gap {
            window: Window {
                from: joined.window.from.min(other.window.from),
                to: joined.window.to.max(other.window.to),
            },
            since: joined.since.min(other.since),
        });
        if self.gaps.len() >= GAPS_MAX && !self.gaps.iter().any(|other| touches(*other)) {
            return false;
        }
        self.gaps.retain(|other| !touches(*other));
        let at = self
            .gaps
            .partition_point(|other| other.window.from < joined.window.from);
        self.gaps.insert(at, joined);
        true
    }

    /// Takes a span that was answered out of the gaps.
    pub(crate) fn close(&mut self, answered: Window) {
        if self.gaps.is_empty() {
            return;
        }
        let rest = self.gaps.iter().flat_map(|gap| {
            let Gap { window, since } = *gap;
            let before = Window {
                to: window.to.min(answered.from),
                ..window
            };
            let behind = Window {
                from: window.from.max(answered.to),
                ..window
            };
            [before, behind].map(|window| Gap { window, since })
        });
        self.gaps = rest.filter(|gap| !gap.window.is_empty()).collect();
    }

    /// Returns what is next of `left` beside the gaps: its begin lies in none, and it ends where the next one begins.
    pub(crate) fn beside_gaps(&self, mut left: Window) -> Window {
        for Gap { window, .. } in &self.gaps {
            if window.to <= left.from {
                continue;
            }
            if window.from > left.from {
                left.to = left.to.min(window.from);
                break;
            }
            left.from = window.to.min(left.to);
        }
        left
    }
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

/// A time as people read it.
mod moment {
    use meetnet_model::time::{format_rfc3339, parse_rfc3339};
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(at: &i64, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&format_rfc3339(*at))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
        let text = String::deserialize(from)?;
        parse_rfc3339(&text).map_err(D::Error::custom)
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

//! What may be done with a file whose format has no place to say so: `NAME.meta.json` beside it.

use std::path::{Path, PathBuf};

use anyhow::Context;
use meetnet_model::licence::{Licence, Rights};
use serde::Serialize;

use crate::failure::Failure;
use crate::part_file::{PartFile, Written};

#[cfg(test)]
mod tests;

/// What is stated.
#[derive(Debug)]
pub(super) struct Statement<'a> {
    pub(super) dataset: &'a str,
    /// RFC 3339.
    pub(super) as_of: String,
    pub(super) rows: u64,
    pub(super) written: &'a Written,
    pub(super) rights: &'a Rights,
}

/// The statement. The order of the fields is the order in the file.
#[derive(Serialize)]
struct Document<'a> {
    file: &'a str,
    dataset: &'a str,
    as_of: &'a str,
    rows: u64,
    bytes: u64,
    sha256: &'a str,
    licences: Vec<LicenceDocument<'a>>,
    attributions: &'a [String],
}

#[derive(Serialize)]
struct LicenceDocument<'a> {
    id: &'a str,
    /// Absent for a licence that is not known here.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'static str>,
}

impl Statement<'_> {
    /// Writes it beside the file at `path`.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(super) fn write_beside(&self, path: &Path) -> Result<(), Failure> {
        let json = self.to_json(path).map_err(Failure::Work)?;
        let file = PartFile::create(&beside(path)).map_err(Failure::Work)?;
        let mut file = file.whole_or_nothing();
        file.write(json.as_bytes()).map_err(Failure::Work)?;
        file.finish().map(drop).map_err(Failure::Work)
    }

    fn to_json(&self, path: &Path) -> anyhow::Result<String> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let licences = self.rights.licences.iter();
        let document = Document {
            file: &name,
            dataset: self.dataset,
            as_of: &self.as_of,
            rows: self.rows,
            bytes: self.written.bytes,
            sha256: &self.written.sha256,
            licences: licences
                .map(|id| LicenceDocument {
                    id: id.as_str(),
                    url: Licence::find(id.as_str()).map(|licence| licence.url),
                })
                .collect(),
            attributions: &self.rights.attributions,
        };
        let mut text =
            serde_json::to_string_pretty(&document).context("failed to write the licence")?;
        text.push('\n');
        Ok(text)
    }
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".meta.json");
    name.into()
}

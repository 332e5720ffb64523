//! The checkpoint: what is behind the journal has taken everything up to here. And the small files that hold one JSON
//! value with a checksum.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use meetnet_model::ids::{DatasetId, Sequence, SourceId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::error::{IoContext, JournalError};
use crate::files::{self, Files, UNFINISHED};

/// File name of the checkpoint.
pub(crate) const CHECKPOINT: &str = "checkpoint";

/// How far everything behind the journal has got.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// T: every row of every frame up to here is committed; segments up to here are archived.
    pub trimmed_through: Sequence,
    /// Last durable sequence when the checkpoint was made.
    pub last_sequence: Sequence,
    /// Its `recorded_at`, µs since 1970 UTC.
    pub last_recorded_at: i64,
    /// Per dataset: version of its table log and the sequence applied in it.
    pub datasets: BTreeMap<DatasetId, (u64, Sequence)>,
    /// Per source: the journalled publishes whose acknowledgement is not yet proven, in receive order.
    pub dup_windows: BTreeMap<SourceId, Vec<DupEntry>>,
}

/// One entry of a DUP window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DupEntry {
    /// MQTT packet id.
    pub packet_id: u16,
    /// Topic of the publish.
    pub topic: Box<str>,
    /// Hash of its payload; lower-case hex in the file.
    #[serde(with = "hex_bytes")]
    pub payload_hash: [u8; 16],
    /// Where it stands in the journal.
    pub sequence: Sequence,
}

mod hex_bytes {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8; 16], to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&format_args!("{:032x}", u128::from_be_bytes(*bytes)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<[u8; 16], D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(from)?;
        let value = u128::from_str_radix(&text, 16).map_err(D::Error::custom)?;
        Ok(value.to_be_bytes())
    }
}

/// What a sealed file holds.
#[derive(Debug)]
pub(crate) enum Sealed<T> {
    Valid(T),
    Missing,
    Damaged,
}

/// Writes `value` as one line of JSON and one line `crc32c <hex>`: at once or not at all, durable on return.
pub(crate) fn write_sealed<T: Serialize>(
    files: &dyn Files,
    dir: &Path,
    name: &str,
    value: &T,
) -> Result<(), JournalError> {
    let path = dir.join(name);
    let content = seal(value).context("encode", &path)?;
    let unfinished = dir.join(format!("{name}{UNFINISHED}"));
    let handle = files.create(&unfinished).context("create", &unfinished)?;
    handle.append(&content).context("write", &unfinished)?;
    handle.sync_data().context("sync", &unfinished)?;
    files
        .rename(&unfinished, &path)
        .context("rename into place", &path)?;
    files.sync_dir(dir).context("sync", dir)
}

/// Returns the content of a sealed file.
pub(crate) fn seal<T: Serialize>(value: &T) -> io::Result<Vec<u8>> {
    let mut content = serde_json::to_vec(value).map_err(io::Error::other)?;
    let checksum = crc32c::crc32c(&content);
    content.extend_from_slice(format!("\ncrc32c {checksum:08x}\n").as_bytes());
    Ok(content)
}

/// Reads a file that [`write_sealed`] wrote.
pub(crate) fn read_sealed<T: DeserializeOwned>(
    files: &dyn Files,
    dir: &Path,
    name: &str,
) -> Result<Sealed<T>, JournalError> {
    let path = dir.join(name);
    let content = match files::read_all(files, &path) {
        Ok(content) => content,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Sealed::Missing),
        Err(error) => return Err(error).context("read", &path),
    };
    Ok(unseal(&content).map_or(Sealed::Damaged, Sealed::Valid))
}

fn unseal<T: DeserializeOwned>(content: &[u8]) -> Option<T> {
    let text = std::str::from_utf8(content).ok()?;
    let (json, seal) = text.strip_suffix('\n')?.rsplit_once('\n')?;
    let checksum = u32::from_str_radix(seal.strip_prefix("crc32c ")?, 16).ok()?;
    if crc32c::crc32c(json.as_bytes()) != checksum {
        return None;
    }
    serde_json::from_str(json).ok()
}

#[cfg(test)]
mod tests;

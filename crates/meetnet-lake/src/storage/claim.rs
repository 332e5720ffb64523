//! Who may write a lake in an object store.
//!
//! A folder's lake is guarded by the journal's lock; a bucket can be reached from anywhere. Commits are safe without
//! more, since a version can be put only once. But two daemons with journals of their own would keep losing versions to
//! each other, so the second one is refused at its start: `_meetnet/writer.json` names the journal that the lake belongs
//! to. The same journal may come back.

use std::io;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{LakeLocation, LakeStorage, Put};
use crate::error::LakeError;

/// Folder of what belongs to the lake as a whole; no dataset's id begins with `_`.
const FOLDER: &str = "_meetnet";
const WRITER: &str = "_meetnet/writer.json";

/// Content of [`WRITER`].
#[derive(Serialize, Deserialize)]
struct Writer {
    journal: String,
}

/// Makes sure that the store refuses to overwrite what must not be there, and that the lake is this journal's.
pub(crate) fn claim(storage: &dyn LakeStorage, journal_id: Uuid) -> Result<(), LakeError> {
    let location = storage.location();
    if matches!(location, LakeLocation::Folder(_)) {
        return Ok(());
    }
    let lake = location.name();
    let failed = |operation| LakeError::io(operation, lake.as_ref());
    if !refuses_to_overwrite(storage).map_err(failed("try a conditional write in"))? {
        return Err(LakeError::NoConditionalWrites { lake });
    }
    let writer = Writer {
        journal: journal_id.to_string(),
    };
    let bytes = serde_json::to_vec(&writer).expect("plain text");
    let failed = failed("read who writes");
    match storage.put_if_absent(WRITER, &bytes) {
        Ok(Put::Done) => Ok(()),
        Ok(Put::Exists) => {
            let bytes = storage.read(WRITER).map_err(failed)?;
            // A file that cannot be read is nobody's mark of ours.
            let there: Option<Writer> = serde_json::from_slice(&bytes).ok();
            match there {
                Some(there) if there.journal == writer.journal => Ok(()),
                there => Err(LakeError::OtherWriter {
                    mark: format!("{lake}/{WRITER}"),
                    journal: there.map_or_else(|| "unknown".to_owned(), |there| there.journal),
                    lake,
                }),
            }
        }
        Err(error) => Err(failed(error)),
    }
}

/// Puts a new object twice. A store that lets the second put through would let two commits take one version.
fn refuses_to_overwrite(storage: &dyn LakeStorage) -> io::Result<bool> {
    let path = format!("{FOLDER}/probe-{}", Uuid::new_v4().simple());
    // Nobody else knows the name: an object there is ours, put by a request whose answer got lost.
    storage.put_if_absent(&path, b"first")?;
    let second = storage.put_if_absent(&path, b"second")?;
    storage.remove(&path)?;
    Ok(second == Put::Exists)
}

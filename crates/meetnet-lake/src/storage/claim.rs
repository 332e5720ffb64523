//! Who may write a lake in an object store.
//!
//! A folder's lake is guarded by the journal's lock and a lock of its own; a bucket can be reached from anywhere. That a
//! version of a table can be put only once keeps each table whole, and two things out of it:
//! - **Another journal.** Two daemons would keep losing versions to each other. `_meetnet/writer.json` names the journal
//!   that the lake belongs to; another one is refused.
//! - **A copy of the journal** (a cloned machine, a disk put back). It has the same id and gives the same sequences to
//!   other messages: the rows of one daemon would be taken for those of the other and skipped. So each opening draws a
//!   number that no other has.
//!
//! ```text
//! open    the number in writer.json is one of ours? ─▶ remember a new one ─▶ writer.json ─▶ an entry in every table log
//! commit  a version is lost ─▶ read what has it ─▶ the number of its writer is not ours ─▶ stop
//! ```
//!
//! Every entry of a table log carries the number of its writer, as a transaction id. After the first entry of an opening
//! no earlier one can commit to the table without losing a version, and then it learns why; so who opens last goes on,
//! and a daemon that runs already stops at its next commit. Its journal does not know the number in `writer.json` then:
//! it is refused when it starts again, for what it has acknowledged and not committed is in no other journal.
//!
//! A crash leaves nothing that shuts its own journal out: a number is remembered, synced, before it is in `writer.json`.
//! A number that never got there is one more that nobody has. Where two copies open at the same moment, each may be the
//! last in some tables: both stop, and the one whose number is in `writer.json` can be started again.

use std::io;

use meetnet_model::calendar::format_rfc3339;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{LakeLocation, LakeStorage, Put};
use crate::error::LakeError;
use crate::journal::Openings;

/// Folder of what belongs to the lake as a whole; no dataset's id begins with `_`.
const FOLDER: &str = "_meetnet";
const WRITER: &str = "_meetnet/writer.json";

/// Content of [`WRITER`].
#[derive(Debug, Serialize, Deserialize)]
struct Writer {
    journal: String,
    /// None: an earlier version, which drew none, was the last to open the lake.
    #[serde(default)]
    opening: Option<i64>,
    /// For people.
    #[serde(default)]
    opened_at: Option<String>,
}

/// Makes sure that the store refuses to overwrite what must not be there, and that the lake is this journal's. Returns
/// the number of this opening, which every log entry has to carry; none for a folder. `now_ms`: ms since 1970 UTC.
///
/// # Errors
/// [`LakeError::NoConditionalWrites`], [`LakeError::OtherWriter`] and [`LakeError::OtherCopy`]; others where the lake or
/// the journal's memory cannot be read or written.
pub(crate) fn claim(
    storage: &dyn LakeStorage,
    journal_id: Uuid,
    openings: Option<&Openings>,
    now_ms: i64,
) -> Result<Option<i64>, LakeError> {
    let location = storage.location();
    if matches!(location, LakeLocation::Folder(_)) {
        return Ok(None);
    }
    let lake = location.name();
    let openings = openings.ok_or_else(|| {
        LakeError::Usage(format!("{lake} is opened without its journal's memory"))
    })?;
    if !refuses_to_overwrite(storage)
        .map_err(LakeError::io("try a conditional write in", lake.as_ref()))?
    {
        return Err(LakeError::NoConditionalWrites { lake });
    }
    let number = draw();
    let own = Writer {
        journal: journal_id.to_string(),
        opening: Some(number),
        opened_at: Some(format_rfc3339(now_ms.saturating_mul(1_000))),
    };
    let bytes = serde_json::to_vec(&own).expect("texts and a number make valid JSON");
    let found = read(storage)?;
    if let Some(there) = &found {
        check(there, &own, openings, &lake)?;
    }
    openings.remember(number)?;
    if found.is_some() {
        storage
            .replace(WRITER, &bytes)
            .map_err(LakeError::io("say who writes", lake.as_ref()))?;
        return Ok(Some(number));
    }
    let put = storage
        .put_if_absent(WRITER, &bytes)
        .map_err(LakeError::io("say who writes", lake.as_ref()))?;
    if put == Put::Exists
        && let Some(there) = read(storage)?
    {
        // Our own request that came through twice, or somebody else at the same moment.
        check(&there, &own, openings, &lake)?;
    }
    Ok(Some(number))
}

/// Refuses a lake that belongs to another journal, or that another copy of this one has opened, and does not open it.
/// `journal_id`: None where there is no journal.
///
/// # Errors
/// [`LakeError::OtherWriter`] and [`LakeError::OtherCopy`]; others where the lake or the journal's memory cannot be read.
pub(crate) fn check_writer(
    storage: &dyn LakeStorage,
    journal_id: Option<Uuid>,
    openings: &Openings,
) -> Result<(), LakeError> {
    let location = storage.location();
    if matches!(location, LakeLocation::Folder(_)) {
        return Ok(());
    }
    let Some(there) = read(storage)? else {
        return Ok(());
    };
    let own = Writer {
        journal: journal_id.map(|id| id.to_string()).unwrap_or_default(),
        opening: None,
        opened_at: None,
    };
    check(&there, &own, openings, &location.name())
}

/// Forgets who wrote a lake that holds no tables any more, where that was `journal_id`: its backup comes back.
pub(crate) fn disclaim(storage: &dyn LakeStorage, journal_id: &str) -> Result<(), LakeError> {
    let location = storage.location();
    if matches!(location, LakeLocation::Folder(_)) {
        return Ok(());
    }
    match read(storage)? {
        Some(there) if there.journal == journal_id => storage
            .remove(WRITER)
            .map_err(LakeError::io("forget who wrote", location.name().as_ref())),
        _ => Ok(()),
    }
}

/// Returns a number that no other opening has: 53 random bits, which every reader of JSON keeps.
fn draw() -> i64 {
    let (high, low) = Uuid::new_v4().as_u64_pair();
    // Version and variant stand in fixed bits at the lower end of the one and the upper end of the other.
    ((high ^ low) >> 11) as i64
}

/// Reads who writes; None where nobody has yet.
fn read(storage: &dyn LakeStorage) -> Result<Option<Writer>, LakeError> {
    match storage.read(WRITER) {
        // A file that cannot be understood is nobody's mark of ours.
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes).unwrap_or(Writer {
            journal: "unknown".to_owned(),
            opening: None,
            opened_at: None,
        }))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            let lake = storage.location().name();
            Err(LakeError::io("read who writes", lake.as_ref())(error))
        }
    }
}

/// Refuses a lake that belongs to another journal, or that another copy of this one has opened.
fn check(there: &Writer, own: &Writer, openings: &Openings, lake: &str) -> Result<(), LakeError> {
    let (mark, lake) = (format!("{lake}/{WRITER}"), lake.to_owned());
    if there.journal != own.journal {
        return Err(LakeError::OtherWriter {
            journal: there.journal.clone(),
            mark,
            lake,
        });
    }
    let is_known = match there.opening {
        Some(number) => openings.knows(number)?,
        None => true,
    };
    if is_known {
        return Ok(());
    }
    let unknown = || "an unknown time".to_owned();
    Err(LakeError::OtherCopy {
        opened_at: there.opened_at.clone().unwrap_or_else(unknown),
        mark,
        lake,
    })
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

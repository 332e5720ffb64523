//! Verifying the journal against itself and the tables: identity, checkpoint, segments, positions.

use std::collections::BTreeMap;

use meetnet_model::ids::{DatasetId, Sequence};

use super::log::CheckedTable;
use super::report::{FindingKind, Place, Report};
use super::segments::Walk;
use super::{CheckError, Depth};
use crate::journal::begun;
use crate::journal::checkpoint::{self, CHECKPOINT, Checkpoint, Sealed};
use crate::journal::opening::stored_identity;
use crate::journal::segment::{Identity, ReadHeader};
use crate::journal::stored::{self, LocatedSegment};
use crate::journal::{JournalError, JournalPlace, state};
use crate::lake::JOURNAL_APP;

/// What is known of the journal before the tables are looked at.
pub(super) struct Known<'a> {
    place: &'a JournalPlace,
    /// None: the folder holds no journal, or nobody can say which.
    identity: Option<Identity>,
    checkpoint: Sealed<Checkpoint>,
}

impl<'a> Known<'a> {
    /// Reads identity and checkpoint.
    pub(super) fn read(place: &'a JournalPlace, report: &mut Report) -> Result<Self, JournalError> {
        let identity = read_identity(place, report)?;
        let checkpoint = read_checkpoint(place)?;
        if matches!(checkpoint, Sealed::Damaged) {
            report.add(
                FindingKind::JournalCheckpoint,
                in_journal(CHECKPOINT),
                "it does not match its checksum",
                "start the daemon: it moves the file aside and applies everything that is still in the journal again; \
                 a message that a broker delivers again right then may be stored twice if it has no time of its own",
            );
        }
        Ok(Self {
            place,
            identity,
            checkpoint,
        })
    }

    fn checkpoint(&self) -> Option<&Checkpoint> {
        match &self.checkpoint {
            Sealed::Valid(checkpoint) => Some(checkpoint),
            Sealed::Missing | Sealed::Damaged => None,
        }
    }

    /// T, where the checkpoint is readable.
    pub(super) fn trimmed_through(&self) -> Option<Sequence> {
        Some(self.checkpoint()?.trimmed_through)
    }

    /// The name under which tables record positions in this journal.
    pub(super) fn app_id(&self) -> Option<String> {
        Some(format!("{JOURNAL_APP}{}", self.identity?.id))
    }

    /// The frame that a table has taken last.
    fn applied(&self, table: &CheckedTable) -> Sequence {
        let position = self.app_id().and_then(|app_id| table.log.txn(&app_id));
        Sequence(position.unwrap_or(0).max(0) as u64)
    }
}

fn read_checkpoint(place: &JournalPlace) -> Result<Sealed<Checkpoint>, JournalError> {
    checkpoint::read_sealed(place.files.as_ref(), &place.dir, CHECKPOINT)
}

fn read_identity(
    place: &JournalPlace,
    report: &mut Report,
) -> Result<Option<Identity>, JournalError> {
    let unreadable = match stored_identity(place.files.as_ref(), &place.dir) {
        Ok(Sealed::Valid(identity)) => return Ok(Some(identity)),
        Ok(Sealed::Missing) => "it is missing".to_owned(),
        Ok(Sealed::Damaged) => "it does not match its checksum".to_owned(),
        Err(error @ JournalError::NoIdentity { .. }) => error.to_string(),
        Err(error) => return Err(error),
    };
    let segments = stored::locate(place, None)?;
    if segments.is_empty() {
        return Ok(None);
    }
    report.add(
        FindingKind::JournalIdentity,
        in_journal("identity"),
        unreadable,
        "start the daemon: it restores the file from the header of a segment",
    );
    // Every segment header repeats it.
    Ok(segments.iter().find_map(|segment| match segment.header {
        ReadHeader::Valid(header) => Some(header.identity),
        _ => None,
    }))
}

/// What the quality tests knew at T. An older journal has none, and a daemon at work may have removed it since.
fn check_state(known: &Known<'_>, report: &mut Report) -> Result<(), JournalError> {
    let Some(through) = known.trimmed_through() else {
        return Ok(());
    };
    let place = known.place;
    if let Sealed::Damaged = state::read(place.files.as_ref(), &place.dir, through)? {
        report.add(
            FindingKind::JournalState,
            in_journal(&state::name(through)),
            "it does not match its checksum",
            "nothing: the next checkpoint writes another one; after a start before that, the first rows of each sensor \
             have fewer quality tests",
        );
    }
    Ok(())
}

fn in_journal(file: &str) -> Place {
    Place::Journal {
        file: Some(file.to_owned()),
        offset: None,
    }
}

/// Verifies segments, and the positions of the tables against them. The tables were read after `known` and before this.
pub(super) fn check(
    known: &Known<'_>,
    tables: &[CheckedTable],
    depth: Depth,
    report: &mut Report,
) -> Result<(), CheckError> {
    let place = known.place;
    check_aside(place, report)?;
    let id = known.identity.map(|identity| identity.id);
    // Before the segments: a daemon may begin the next one.
    let begun = begun::newest(place.files.as_ref(), &place.dir)?;
    let segments = stored::locate(place, id)?;
    let gone = begun.filter(|begun| {
        let mut numbers = segments.iter().map(|located| located.segment.number);
        !numbers.any(|number| number >= begun.number)
    });
    let Some(identity) = known.identity else {
        let positions = tables
            .iter()
            .filter_map(|table| table.log.txn_max(JOURNAL_APP));
        if segments.is_empty() && positions.max().is_some() {
            let dir = place.dir.display();
            report.add(
                FindingKind::JournalIdentity,
                Place::JOURNAL,
                format!("{dir} holds no journal, but the tables were written from one"),
                "look at `[journal] dir`; if the journal is lost, so is what it had not yet handed to the tables",
            );
        }
        return Ok(());
    };
    check_checkpoint(known, &segments, report)?;
    check_state(known, report)?;
    let mut walk = Walk::new(place, identity, depth, known.trimmed_through(), report);
    for segment in &segments {
        if !walk.segment(segment)? {
            // What a newer version wrote cannot be judged.
            return Ok(());
        }
    }
    let positions = known
        .checkpoint()
        .into_iter()
        .flat_map(|checkpoint| [checkpoint.last_sequence, checkpoint.trimmed_through]);
    let positions = positions.chain(tables.iter().map(|table| known.applied(table)));
    let positions = positions.chain(gone.map(|gone| gone.first));
    walk.finish(positions.max().unwrap_or_default());
    check_positions(known, tables, report);
    Ok(())
}

/// Copies of damage that earlier openings reported.
fn check_aside(place: &JournalPlace, report: &mut Report) -> Result<(), JournalError> {
    let aside = place.dir.join("aside");
    for name in stored::names(place.files.as_ref(), &aside)? {
        if let Some(gone) = begun::parse(&name) {
            report.add(
                FindingKind::FramesMissing,
                in_journal(&format!("aside/{name}")),
                format!(
                    "an earlier start found segment {gone} gone, which was the newest: frames from {} on are missing",
                    gone.first
                ),
                "acknowledged messages are lost unless a backup has them: ask those who sent them again, and find out who \
                 removes files there, then remove this note",
            );
            continue;
        }
        report.add(
            FindingKind::KeptAside,
            in_journal(&format!("aside/{name}")),
            "an earlier start found this damaged and put a copy aside",
            "look up in the log of that start what was lost, ask those who sent it again, then remove the copy",
        );
    }
    Ok(())
}

/// Trimming writes the checkpoint first, then moves segments: what is archived is covered by it.
fn check_checkpoint(
    known: &Known<'_>,
    segments: &[LocatedSegment],
    report: &mut Report,
) -> Result<(), JournalError> {
    // Read again: segments may have been archived since it was read first.
    let trimmed_through = match read_checkpoint(known.place)? {
        Sealed::Valid(checkpoint) => checkpoint.trimmed_through,
        Sealed::Damaged => return Ok(()),
        Sealed::Missing => {
            let trimmed = segments.first().is_some_and(|first| {
                first.segment.archived.is_some() || first.follows() > Sequence::ZERO
            });
            if trimmed {
                report.add(
                    FindingKind::JournalCheckpoint,
                    in_journal(CHECKPOINT),
                    "it is missing, though segments have been trimmed",
                    "start the daemon: it applies everything that is still in the journal again; what the tables have \
                     already changes nothing",
                );
            }
            return Ok(());
        }
    };
    for located in segments {
        let archived = located.segment.archived;
        if let Some(name) = archived.filter(|name| name.last > trimmed_through) {
            report.add(
                FindingKind::ArchiveAhead,
                Place::Archive {
                    file: name.to_string(),
                    offset: None,
                },
                format!(
                    "it holds frames up to {}, but the checkpoint says that the tables have them only through \
                     {trimmed_through}",
                    name.last
                ),
                "stop the daemon and move the file, unpacked, back into the journal folder under the first two parts \
                 of its name: the next start applies its frames",
            );
        }
    }
    Ok(())
}

/// What the checkpoint says of the tables.
fn check_positions(known: &Known<'_>, tables: &[CheckedTable], report: &mut Report) {
    let by_name: BTreeMap<&DatasetId, &CheckedTable> =
        tables.iter().map(|table| (&table.dataset, table)).collect();
    let Some(checkpoint) = known.checkpoint() else {
        return;
    };
    for (dataset, (version, position)) in &checkpoint.datasets {
        let Some(table) = by_name.get(dataset) else {
            // Where its log cannot be read, that has been said.
            if !report
                .findings
                .iter()
                .any(|finding| finding.place.is_in_table(dataset))
            {
                report.add(
                    FindingKind::TableMissing,
                    Place::table(dataset, None),
                    format!("the checkpoint says that it had version {version}, but there is no table"),
                    format!(
                        "mount the lake, or restore the table's folder from a backup: no daemon starts before; where it is \
                         lost for good, `meetnet check --accept-loss {dataset}` lets the next start make it anew, without \
                         what was in it"
                    ),
                );
            }
            continue;
        };
        let (version_now, position_now) = (table.log.version(), known.applied(table));
        if version_now < *version || position_now < *position {
            report.add(
                FindingKind::TableBehind,
                Place::table(dataset, None),
                format!(
                    "it is at version {version_now} with frames through {position_now}, but was at version {version} \
                     with frames through {position}"
                ),
                format!(
                    "it was set back, perhaps to an older backup: put its newest state back, for no daemon starts before; \
                     where that is lost for good, `meetnet check --accept-loss {dataset}` lets the next start go on from \
                     here, with what the journal still holds and without the rest"
                ),
            );
        }
    }
}

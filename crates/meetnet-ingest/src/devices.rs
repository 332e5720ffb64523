//! Declared devices whose place is known: told to the journal, so that they become rows of `stations` as everything else
//! becomes rows.
//!
//! declarations in force → one envelope per source → journal → decode: by the declarations of its sequence → rows
//!
//! The envelope says nothing by itself. A replay decodes it by the declarations that were in force then, and whoever
//! declares another place tells it again: that is a period of its own.

use meetnet_decode::{ABOUT_DEVICES, ABOUT_META};
use meetnet_lake::journal::{AppendError, NewEnvelope};
use meetnet_model::declarations::Declarations;

use crate::intake::Intake;

#[cfg(test)]
mod tests;

/// Journals an envelope about its devices for each source that declares where one of them stands; returns how many. It is to
/// be called at every start and after every change of the declarations: what is known already changes nothing.
///
/// # Errors
/// Where the journal takes nothing now; the next start tells it.
pub fn announce_devices(
    intake: &Intake,
    declarations: &Declarations,
) -> Result<usize, AppendError> {
    let mut announced = 0;
    let sources = declarations.sources.values();
    for source in sources.filter(|source| source.has_places()) {
        intake.append(&NewEnvelope {
            source: source.id.as_str(),
            topic: ABOUT_DEVICES,
            meta: &[(ABOUT_META, ABOUT_DEVICES)],
            payload: ABOUT_DEVICES.as_bytes(),
            ..NewEnvelope::default()
        })?;
        announced += 1;
    }
    Ok(announced)
}

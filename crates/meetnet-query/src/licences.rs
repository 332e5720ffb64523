//! The licences that an answer is restricted to: read from what somebody writes, and checked to be known. No row is under
//! a licence that nobody knows, so an answer to a misspelt one would be empty, and look like one that is right.

use std::collections::BTreeSet;

use meetnet_lake::snapshot::{LakeSnapshot, TableSnapshot};
use meetnet_model::ids::LicenceId;
use meetnet_model::licence::{LICENCES, Licence, Rights};

use crate::error::{QueryError, QueryErrorKind, shortened};
use crate::options::SessionKind;
use crate::service::QueryService;

/// Reads the licences that an answer is restricted to; each text may name several with commas between them. None where
/// nothing is named: all.
///
/// # Errors
/// `BadRequest` for what is no licence.
pub fn licences<'a>(
    texts: impl IntoIterator<Item = &'a str>,
) -> Result<Option<BTreeSet<LicenceId>>, QueryError> {
    let mut licences = BTreeSet::new();
    for text in texts.into_iter().flat_map(|text| text.split(',')) {
        let text = text.trim();
        let licence = Licence::read(text).ok_or_else(|| {
            let text = shortened(text.to_owned(), 100);
            let message = format!(
                "`{text}` is no licence; licence takes ids such as CC-BY-4.0, or their IRIs, with commas between them"
            );
            QueryError::new(QueryErrorKind::BadRequest, message)
        })?;
        licences.insert(licence);
    }
    Ok((!licences.is_empty()).then_some(licences))
}

/// Adds what may be done with the rows of a table, and whom to name: of a table without rows nothing and nobody, whatever sources are
/// configured for it. `only` leaves out other licences.
pub(crate) fn add_rights(
    rights: &mut Rights,
    table: &TableSnapshot,
    only: Option<&BTreeSet<LicenceId>>,
) {
    let is_hot = || table.hot.iter().any(|hot| hot.batch.num_rows() > 0);
    if !table.files.is_empty() || is_hot() {
        let stored = table.files.iter().map(|file| &file.licence);
        rights.add(&table.declaration, stored, only);
    }
}

impl QueryService {
    /// Checks that somebody knows each of the licences that are asked for: it is in the table of licences, declared for a
    /// dataset or source that the session sees, or that of stored rows.
    ///
    /// # Errors
    /// `BadRequest` for one that nobody knows, with those that are known.
    pub fn check_licences<'a>(
        &self,
        session: SessionKind,
        asked: impl IntoIterator<Item = &'a LicenceId>,
    ) -> Result<(), QueryError> {
        // Others are hardly ever asked for, so files are not looked through for nothing.
        let mut others = asked
            .into_iter()
            .filter(|id| Licence::find(id.as_str()).is_none())
            .peekable();
        if others.peek().is_none() {
            return Ok(());
        }
        let of_city = in_use(&self.snapshot().load(), session);
        let Some(unknown) = others.find(|id| !of_city.contains(*id)) else {
            return Ok(());
        };
        let mut known: BTreeSet<&str> = LICENCES.iter().map(|licence| licence.id).collect();
        known.extend(of_city.iter().map(LicenceId::as_str));
        let known: Vec<&str> = known.into_iter().collect();
        let unknown = shortened(unknown.to_string(), 100);
        Err(QueryError::new(
            QueryErrorKind::BadRequest,
            format!(
                "`{unknown}` is no known licence; known are {}",
                known.join(", ")
            ),
        ))
    }
}

/// Returns the licences of rows that a session sees, of the sources they come from, and of their datasets.
fn in_use(snapshot: &LakeSnapshot, session: SessionKind) -> BTreeSet<LicenceId> {
    let mut rights = Rights::default();
    for table in snapshot.tables.values() {
        let declaration = &*table.declaration;
        if session == SessionKind::Private || declaration.is_public() {
            let stored = table.files.iter().map(|file| &file.licence);
            rights.add(declaration, stored.chain(&declaration.licence), None);
        }
    }
    rights.licences
}

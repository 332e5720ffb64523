//! `meetnet rejects show`: the rejects of one message, and what can be shown of the message itself.

use anyhow::anyhow;
use meetnet_lake::journal::{JournalError, JournalPlace, Sequences, visit_messages};
use meetnet_model::ids::Sequence;
use meetnet_model::redact::redact;
use meetnet_model::time::format_rfc3339;
use meetnet_query::Format;

use super::{Listing, Selection, listed};
use crate::check;
use crate::cli::print;
use crate::config::{Config, Environment};
use crate::failure::Failure;
use crate::sql;

/// Shows the rejects of one message, and of the message what can be shown; `raw`: its bytes as received, and nothing
/// else.
///
/// # Errors
/// Where neither tables nor journal can be read, where there is neither such a message nor a reject of it, and where the
/// message is gone although its bytes are wanted.
pub(crate) async fn show_message(
    sequence: Sequence,
    raw: bool,
    config: &Config,
    environment: &Environment,
) -> Result<(), Failure> {
    let place = check::place(config);
    let found = tokio::task::spawn_blocking(move || find(&place, sequence, raw))
        .await
        .map_err(Failure::work)??;
    if raw {
        let found = found.ok_or_else(|| Failure::Work(anyhow!(nowhere(sequence))));
        let Found { payload, .. } = found?;
        return sql::write_out(&payload);
    }
    let listing = Listing {
        selection: Selection::of_message(sequence),
        summary: false,
        limit: usize::from(u16::MAX),
        format: Format::Table.as_str().to_owned(),
    };
    let list = listed(&listing, config, environment).await?;
    let message = match found {
        Some(found) => found.described,
        None => {
            let as_lines = Listing {
                format: Format::Ndjson.as_str().to_owned(),
                ..listing
            };
            let lines = listed(&as_lines, config, environment).await?;
            if lines.report.trim().is_empty() {
                let nowhere = nowhere(sequence);
                return Err(Failure::Work(anyhow!(
                    "{nowhere}; there is no reject of it either"
                )));
            }
            nowhere(sequence)
        }
    };
    print(&format!("{}\n\n{message}", list.report.trim_end()))
}

/// Says why a message may not be found: nobody knows which sequences there were.
fn nowhere(sequence: Sequence) -> String {
    format!(
        "message {sequence} is in neither journal nor archive: it is older than `[journal] raw_retention`, was erased, or \
         never was"
    )
}

struct Found {
    described: String,
    payload: Vec<u8>,
}

/// Looks a message up in journal and archive.
fn find(place: &JournalPlace, sequence: Sequence, raw: bool) -> Result<Option<Found>, Failure> {
    let wanted: Sequences = [sequence].into_iter().collect();
    let mut found = None;
    visit_messages::<JournalError>(place, &wanted, |frame| {
        let meta: Vec<&str> = frame.meta.iter().map(|(name, _)| name).collect();
        let described = format!(
            "message {sequence}: {} bytes from source `{}`, received {}\ntopic or path: {}\n\
             sent with: {}\nbegins with: {}",
            frame.payload.len(),
            frame.source,
            format_rfc3339(frame.received_at),
            redact(frame.topic.as_bytes()),
            if meta.is_empty() {
                "nothing".to_owned()
            } else {
                meta.join(", ")
            },
            redact(frame.payload),
        );
        found = Some(Found {
            described,
            payload: if raw {
                frame.payload.to_vec()
            } else {
                Vec::new()
            },
        });
        Ok(())
    })
    .map_err(Failure::work)?;
    Ok(found)
}

//! `meetnet rejects`: what could not become a row, listed, replayed after a mapping was mended, or dropped.
//!
//! `selection → SQL over the private table → list | chosen rejects → frames of the journal`

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Write as _;

use anyhow::{Context as _, anyhow};
use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::datatypes::{DataType, Int64Type, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use meetnet_decode::with_pseudonyms;
use meetnet_ingest::import::IMPORT_PIECE;
use meetnet_ingest::replay::{
    Choice, Decided, MessageRange, RejectedMessage, Replay, Stage, drop_rejects, repeated_before,
};
use meetnet_lake::journal::JournalPlace;
use meetnet_lake::snapshot::SharedSnapshot;
use meetnet_model::ids::{Sequence, SourceId};
use meetnet_model::reject::RejectReason;
use meetnet_model::time::format_rfc3339;
use meetnet_query::{Format, QueryOptions, QueryRequest, QueryService, RowWriter, RowsEnd};
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;

use self::report::describe_replayed;
use super::{Context, Outcome, Progress, Request};
use crate::check;
use crate::config::{Config, Environment, near_name};
use crate::failure::Failure;
use crate::readable::{counted, grouped};
use crate::sql;

mod message;
mod report;

pub(crate) use message::show_message;

/// Rejects that one replay or drop takes at most: all of them are in memory meanwhile.
const CHOSEN_MAX: usize = 1_000_000;
/// Rejects that a replay has to know. One that was replayed is open again where it comes out again, whatever is known of it.
const OPEN_OR_DROPPED: &str = "(resolution IS NULL OR resolution = 'dropped')";
/// Sequences that one statement names at most.
const NAMED_MAX: usize = 1_000;
/// Bytes of a statement at most, whatever queries may have: that many sequences are some 20 kB.
const STATEMENT_BYTES_MAX: usize = 1 << 16;
/// Frames between two lines of progress.
const PROGRESS_FRAMES: u64 = 10_000;

/// Which rejects are meant; all of what is set must hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Selection {
    /// Of this source.
    pub(crate) source: Option<SourceId>,
    /// For this reason.
    pub(crate) reason: Option<RejectReason>,
    /// Received at or after this time, µs since 1970 UTC.
    pub(crate) since: Option<i64>,
    /// Received before this time, µs since 1970 UTC.
    pub(crate) until: Option<i64>,
    /// First and last sequence of their messages.
    pub(crate) sequences: Option<(Sequence, Sequence)>,
    /// Also those that were replayed or dropped.
    pub(crate) resolved: bool,
}

impl Selection {
    /// Returns the rejects of one message, resolved ones too.
    fn of_message(sequence: Sequence) -> Self {
        Self {
            sequences: Some((sequence, sequence)),
            resolved: true,
            ..Self::default()
        }
    }

    /// Returns the condition in SQL.
    fn condition(&self) -> String {
        let mut condition = String::from("true");
        let mut and = |part: std::fmt::Arguments<'_>| {
            // Writing to a text cannot fail.
            let _ = write!(condition, " AND {part}");
        };
        if !self.resolved {
            and(format_args!("resolution IS NULL"));
        }
        if let Some(source) = &self.source {
            and(format_args!("source = '{}'", quoted(source.as_str())));
        }
        if let Some(reason) = self.reason {
            and(format_args!("reason = '{}'", reason.as_str()));
        }
        if let Some(since) = self.since {
            and(format_args!(
                "time >= TIMESTAMP '{}'",
                format_rfc3339(since)
            ));
        }
        if let Some(until) = self.until {
            and(format_args!("time < TIMESTAMP '{}'", format_rfc3339(until)));
        }
        if let Some((first, last)) = self.sequences {
            and(format_args!("sequence BETWEEN {first} AND {last}"));
        }
        condition
    }
}

fn quoted(text: &str) -> String {
    text.replace('\'', "''")
}

/// A list of rejects.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Listing {
    /// Which.
    pub(crate) selection: Selection,
    /// Counted by source and reason instead of one by one.
    pub(crate) summary: bool,
    /// The newest so many.
    pub(crate) limit: usize,
    /// Name of a text format of answers: table, csv, json or ndjson.
    pub(crate) format: String,
}

impl Listing {
    /// Returns the statement for all that is chosen, in the order in which it is listed.
    fn statement(&self) -> String {
        let condition = self.selection.condition();
        if self.summary {
            return format!(
                "SELECT source, reason, count(*) AS rejects, count(DISTINCT sequence) AS messages, \
                 max(time) AS last, max(message) AS example FROM rejects WHERE {condition} \
                 GROUP BY source, reason ORDER BY rejects DESC, source, reason"
            );
        }
        format!(
            "SELECT sequence, ordinal, time, source, topic, reason, message, excerpt, resolution \
             FROM rejects WHERE {condition} ORDER BY sequence DESC, ordinal"
        )
    }

    /// Says that only `limit` of `all` are listed.
    fn remark(&self, all: u64) -> String {
        let shown = grouped(self.limit as u64);
        let all = grouped(all);
        if self.summary {
            return format!("{shown} of {all} lines; --limit N shows more");
        }
        format!("{shown} of {all} rejects, the newest; --limit N shows more, --summary counts them")
    }
}

/// Lists rejects, in the daemon.
pub(super) fn list(context: &Context, listing: &Listing) -> Result<Outcome, Failure> {
    let rejects = Rejects::open(&context.config(), &context.shared)?;
    Handle::current().block_on(rejects.list(listing))
}

/// Lists rejects as the daemon does; where none runs, those that are committed.
///
/// # Errors
/// Where the tables cannot be read.
pub(crate) async fn show_list(
    listing: Listing,
    config: &Config,
    environment: &Environment,
) -> Result<(), Failure> {
    listed(&listing, config, environment).await?.print()
}

async fn listed(
    listing: &Listing,
    config: &Config,
    environment: &Environment,
) -> Result<Outcome, Failure> {
    let request = Request::Rejects(listing.clone());
    if let Some(outcome) = super::ask_daemon(&request, config).await? {
        return Ok(outcome);
    }
    let secrets = config.lake_secrets(environment).map_err(Failure::usage)?;
    let snapshot = sql::committed(config, &secrets).await?;
    Rejects::open(config, &snapshot)?.list(listing).await
}

/// What to replay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Replaying {
    /// Rejects.
    pub(crate) selection: Selection,
    /// Every message of `selection.sequences`, rejected or not: what a repair asks for.
    pub(crate) all_messages: bool,
}

impl Replaying {
    /// Returns the condition in SQL for the open rejects that are met again. A message is decoded as a whole, so these are all
    /// that it has, also where those of one reason were chosen.
    fn met(&self) -> String {
        if self.all_messages {
            return self.all().condition();
        }
        let chosen = self.selection.condition();
        // All else is the same for each reject of a message.
        match self.selection.reason {
            Some(_) => format!("sequence IN (SELECT sequence FROM rejects WHERE {chosen})"),
            None => chosen,
        }
    }

    /// Returns the condition in SQL for what was dropped of the same messages; None where there is none. `open` are their open
    /// rejects: what was dropped of others does not count against the limit.
    fn met_dropped(&self, open: &BTreeMap<Sequence, RejectedMessage>) -> Option<String> {
        if self.all_messages {
            return Some(self.all().condition());
        }
        let (first, last) = open.keys().next().zip(open.keys().next_back())?;
        Some(format!(
            "sequence BETWEEN {first} AND {last} AND sequence IN (SELECT sequence FROM rejects WHERE {})",
            self.selection.condition()
        ))
    }

    /// Returns all rejects of a range of messages, whatever became of them.
    fn all(&self) -> Selection {
        Selection {
            source: self.selection.source.clone(),
            sequences: self.selection.sequences,
            resolved: true,
            ..Selection::default()
        }
    }
}

/// Rejects by the sequence of their message: ordinal and reason of each.
type ByMessage = BTreeMap<Sequence, Vec<(u32, RejectReason)>>;

/// Returns the open and the dropped rejects of messages that stand before a range, and that are met again because frames of it
/// repeat them.
fn met_before(
    table: &Rejects,
    place: &JournalPlace,
    messages: &MessageRange,
) -> Result<(ByMessage, ByMessage), Failure> {
    let before = match &messages.source {
        Some(source) => format!(
            "source = '{}' AND sequence < {}",
            quoted(source.as_str()),
            messages.first
        ),
        None => format!("sequence < {}", messages.first),
    };
    let statement =
        format!("SELECT sequence FROM rejects WHERE {before} AND {OPEN_OR_DROPPED} LIMIT 1");
    let none = (ByMessage::new(), ByMessage::new());
    // As nearly always: the range need not be read for it.
    if Handle::current().block_on(table.count(&statement))? == 0 {
        return Ok(none);
    }
    let repeated = repeated_before(place, messages).map_err(Failure::work)?;
    let repeated: Vec<Sequence> = repeated.into_iter().collect();
    let (mut open, mut dropped) = none;
    let mut known = 0;
    for sequences in repeated.chunks(NAMED_MAX) {
        let names: Vec<String> = sequences.iter().map(ToString::to_string).collect();
        let met = format!("sequence IN ({})", names.join(", "));
        for (sequence, message) in Handle::current().block_on(table.open_of(&met))? {
            known += message.rejects.len();
            open.insert(sequence, message.rejects);
        }
        let of_dropped = Handle::current().block_on(table.dropped(&met))?;
        known += of_dropped.values().map(Vec::len).sum::<usize>();
        dropped.extend(of_dropped);
        if known > CHOSEN_MAX {
            return Err(Failure::Usage(anyhow!(
                "more than {CHOSEN_MAX} rejects of messages from before the range are met again in it; choose fewer with \
                 --source or --sequence"
            )));
        }
    }
    Ok((open, dropped))
}

/// Decodes the messages of rejects again by the declarations now in force.
pub(super) fn replay_chosen(
    context: &Context,
    replaying: &Replaying,
    progress: &mut Progress<'_>,
) -> Result<Outcome, Failure> {
    let selection = &replaying.selection;
    let messages = match (replaying.all_messages, selection.sequences) {
        (false, _) => None,
        (true, Some((first, last))) => Some(MessageRange {
            first,
            last,
            source: selection.source.clone(),
        }),
        (true, None) => {
            return Err(Failure::Usage(anyhow!(
                "say which messages with --sequence FIRST..LAST"
            )));
        }
    };
    let table = Rejects::open(&context.config(), &context.shared)?;
    let place = check::place(&context.config());
    let rejects = choose(context, &table, selection, &replaying.met(), progress)?;
    let mut dropped = match replaying.met_dropped(&rejects) {
        Some(met) => Handle::current().block_on(table.dropped(&met))?,
        None => ByMessage::new(),
    };
    let mut repeated = ByMessage::new();
    if let Some(messages) = &messages {
        let (open, dropped_before) = met_before(&table, &place, messages)?;
        repeated = open;
        dropped.extend(dropped_before);
    }
    let choice = Choice {
        rejects,
        dropped,
        repeated,
        messages,
        sources: Some(table.sources.clone()),
    };
    let of_messages = choice.rejects.values().map(|message| &message.rejects);
    let chosen: u64 = of_messages
        .chain(choice.repeated.values())
        .map(|rejects| rejects.len() as u64)
        .sum();
    let mut tell = |stage: Stage| match stage {
        Stage::Compared(messages) => {
            progress(format!(
                "{} compared with the tables",
                counted(messages, "message")
            ));
        }
        Stage::Searched(messages) => {
            progress(format!(
                "{} searched for the same values",
                counted(messages, "later message")
            ));
        }
        Stage::Replayed(frames) if frames.is_multiple_of(PROGRESS_FRAMES) => {
            progress(format!("{} replayed", counted(frames, "message")));
        }
        Stage::Replayed(_) => {}
    };
    let config = context.config();
    let replay = Replay {
        journal: &context.journal,
        place: &place,
        pipeline: &context.pipeline,
        declarations: &with_pseudonyms(&config.declarations, &context.key),
        key: &context.key,
    };
    // Those of a replay that ended with an error nobody has asked for. Everything before this one has been applied.
    context.pipeline.take_replayed().map_err(Failure::work)?;
    let decided = replay.run(&choice, &mut tell).map_err(Failure::work)?;
    if decided.frames > 0 {
        progress("waiting until their rows are committed".to_owned());
        context.pipeline.commit_all().map_err(Failure::work)?;
    }
    let rows = context.pipeline.take_replayed().map_err(Failure::work)?;
    let resolved = resolved_by(&table, &decided)?;
    let mut outcome = Outcome::of(describe_replayed(&decided, chosen, resolved, &rows));
    if decided.frames == 0 {
        outcome.in_vain = Some("nothing was replayed".to_owned());
    }
    Ok(outcome)
}

/// Closes rejects without rows.
pub(super) fn drop_chosen(
    context: &Context,
    selection: &Selection,
    progress: &mut Progress<'_>,
) -> Result<Outcome, Failure> {
    let table = Rejects::open(&context.config(), &context.shared)?;
    let rejects = choose(context, &table, selection, &selection.condition(), progress)?;
    let decided = drop_rejects(&context.journal, &rejects).map_err(Failure::work)?;
    if decided.frames > 0 {
        context.pipeline.commit_all().map_err(Failure::work)?;
    }
    let report = match decided.rejects {
        0 => "no open reject matches".to_owned(),
        dropped => format!(
            "dropped {} of {}; the raw messages stay until their retention ends",
            counted(dropped, "reject"),
            counted(decided.frames, "message")
        ),
    };
    let mut outcome = Outcome::of(report);
    if decided.frames == 0 {
        outcome.in_vain = Some("nothing was dropped".to_owned());
    }
    Ok(outcome)
}

/// Returns what earlier imports have kept of what they refused of a source, resolved or not; none where nothing may be added
/// to it: its table cannot tell, or there is too much of it.
pub(super) fn kept_pieces(
    context: &Context,
    source: &SourceId,
) -> Result<Option<HashSet<String>>, Failure> {
    // What was kept by now counts, also where it is not applied yet.
    context.pipeline.commit_all().map_err(Failure::work)?;
    let table = Rejects::open(&context.config(), &context.shared)?;
    Handle::current().block_on(table.pieces(source))
}

/// Reads the open rejects for which a condition in SQL holds, which comes of a selection.
fn choose(
    context: &Context,
    table: &Rejects,
    selection: &Selection,
    condition: &str,
    progress: &mut Progress<'_>,
) -> Result<BTreeMap<Sequence, RejectedMessage>, Failure> {
    progress("looking for the rejects".to_owned());
    // What was received by now counts, also where it is not applied yet.
    context.pipeline.commit_all().map_err(Failure::work)?;
    Handle::current().block_on(async {
        table.check_source(selection).await?;
        table.open_of(condition).await
    })
}

/// Counts the rejects that frames resolved.
fn resolved_by(table: &Rejects, decided: &Decided) -> Result<u64, Failure> {
    let Some((first, last)) = decided.span else {
        return Ok(0);
    };
    let statement =
        format!("SELECT sequence FROM rejects WHERE resolved_by BETWEEN {first} AND {last}");
    Handle::current().block_on(table.count(&statement))
}

/// The private table, as it is when it is asked.
struct Rejects {
    service: QueryService,
    /// Whether it tells what an import refused; a declaration of the city's own may not.
    has_pieces: bool,
    /// The configured sources.
    sources: BTreeSet<SourceId>,
}

impl Rejects {
    fn open(config: &Config, snapshot: &SharedSnapshot) -> Result<Self, Failure> {
        let options = QueryOptions {
            threads: 1,
            row_limit: CHOSEN_MAX + 1,
            sql_bytes_max: STATEMENT_BYTES_MAX,
            ..config.query.clone()
        };
        let service = QueryService::new(options, SharedSnapshot::clone(snapshot))
            .context("failed to start the query service")
            .map_err(Failure::Work)?;
        let declared = config.declarations.dataset("rejects");
        let has_pieces =
            declared.is_some_and(|rejects| rejects.column_index(IMPORT_PIECE).is_some());
        Ok(Self {
            service,
            has_pieces,
            sources: config.declarations.sources.keys().cloned().collect(),
        })
    }

    /// Refuses a source that is neither configured nor has rejects: a name that was mistyped would look like work done.
    async fn check_source(&self, selection: &Selection) -> Result<(), Failure> {
        let Some(source) = &selection.source else {
            return Ok(());
        };
        if self.sources.contains(source) {
            return Ok(());
        }
        let statement = "SELECT DISTINCT source FROM rejects".to_owned();
        let mut known: BTreeSet<String> = self.sources.iter().map(ToString::to_string).collect();
        for batch in self.collect(statement).await? {
            known.extend(texts(&batch, 0)?.iter().flatten().map(str::to_owned));
        }
        if known.contains(source.as_str()) {
            return Ok(());
        }
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        Err(Failure::Usage(anyhow!(
            "there is no source `{source}`, and no reject of one{}",
            near_name(source.as_str(), &known)
        )))
    }

    async fn list(&self, listing: &Listing) -> Result<Outcome, Failure> {
        self.check_source(&listing.selection).await?;
        let format: Format = listing
            .format
            .parse()
            .map_err(|error: meetnet_query::QueryError| Failure::Usage(anyhow!(error.message)))?;
        let written = self.written(listing, format).await;
        let (text, is_cut) = written.map_err(sql::query_failure)?;
        let report = String::from_utf8(text).map_err(|_| {
            Failure::Usage(anyhow!(
                "{} is no text; choose table, csv, json or ndjson",
                format.as_str()
            ))
        })?;
        let mut outcome = Outcome::of(report);
        if is_cut {
            let all = self.count(&listing.statement()).await?;
            outcome.remark = Some(listing.remark(all));
        }
        Ok(outcome)
    }

    /// Returns a list in a format, and whether more is chosen than is listed. Formats that can say so do; what others leave
    /// out, the remark says.
    async fn written(
        &self,
        listing: &Listing,
        format: Format,
    ) -> Result<(Vec<u8>, bool), meetnet_query::QueryError> {
        let request = QueryRequest {
            row_limit: Some(listing.limit),
            ..QueryRequest::private(listing.statement())
        };
        let mut answer = self.service.query(request).await?;
        let mut writer = RowWriter::new(format, answer.schema.clone(), answer.rights.clone());
        let mut text = Vec::new();
        writer.begin(&mut text)?;
        while let Some(batch) = answer.next_batch().await {
            writer.batch(&batch?, &mut text)?;
        }
        let end = RowsEnd {
            through: answer.through,
            stable_time: answer.stable_time,
            as_of: answer.as_of,
            truncated: answer.truncated(),
        };
        writer.end(&end, &mut text)?;
        Ok((text, end.truncated))
    }

    /// Counts the rows of a statement.
    async fn count(&self, statement: &str) -> Result<u64, Failure> {
        let batches = self
            .collect(format!("SELECT count(*) FROM ({statement})"))
            .await?;
        let count = batches.first().filter(|batch| batch.num_rows() > 0);
        Ok(count.map_or(0, |batch| {
            batch.column(0).as_primitive::<Int64Type>().value(0) as u64
        }))
    }

    async fn collect(&self, statement: String) -> Result<Vec<RecordBatch>, Failure> {
        let request = QueryRequest::private(statement);
        let answer = self.service.query(request).await;
        let mut answer = answer.map_err(sql::query_failure)?;
        answer.collect().await.map_err(sql::query_failure)
    }

    /// Returns the open rejects for which a condition in SQL holds, by message.
    async fn open_of(
        &self,
        condition: &str,
    ) -> Result<BTreeMap<Sequence, RejectedMessage>, Failure> {
        let piece = if self.has_pieces {
            IMPORT_PIECE
        } else {
            "CAST(NULL AS VARCHAR)"
        };
        let statement = format!(
            "SELECT sequence, ordinal, reason, source, time, {piece} FROM rejects \
             WHERE resolution IS NULL AND {condition} ORDER BY sequence, ordinal LIMIT {}",
            CHOSEN_MAX + 1
        );
        let batches = self.collect(statement).await?;
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        if rows > CHOSEN_MAX {
            return Err(Failure::Usage(anyhow!(
                "more than {CHOSEN_MAX} rejects match; choose fewer with --source, --reason, --since, --until or \
                 --sequence"
            )));
        }
        let mut chosen: BTreeMap<Sequence, RejectedMessage> = BTreeMap::new();
        for batch in &batches {
            let integers = |at: usize| batch.column(at).as_primitive::<Int64Type>();
            let (reasons, sources, pieces) = (texts(batch, 2)?, texts(batch, 3)?, texts(batch, 5)?);
            let times = batch.column(4).as_primitive::<TimestampMicrosecondType>();
            for row in 0..batch.num_rows() {
                // A reason of a newer version: that version wrote it, and can replay it.
                let Some(reason) = RejectReason::from_name(reasons.value(row)) else {
                    continue;
                };
                let sequence = Sequence(integers(0).value(row) as u64);
                let message = chosen.entry(sequence).or_insert_with(|| RejectedMessage {
                    source: SourceId::new(sources.value(row)),
                    received_at: times.value(row),
                    rejects: Vec::new(),
                    import_piece: pieces.is_valid(row).then(|| pieces.value(row).to_owned()),
                });
                let ordinal = integers(1).value(row) as u32;
                message.rejects.push((ordinal, reason));
            }
        }
        Ok(chosen)
    }

    /// Returns what was dropped of the rejects for which a condition in SQL holds.
    async fn dropped(&self, condition: &str) -> Result<ByMessage, Failure> {
        let mut dropped = ByMessage::new();
        let statement = format!(
            "SELECT sequence, ordinal, reason FROM rejects WHERE resolution = 'dropped' AND {condition} LIMIT {}",
            CHOSEN_MAX + 1
        );
        let batches = self.collect(statement).await?;
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        if rows > CHOSEN_MAX {
            return Err(Failure::Usage(anyhow!(
                "more than {CHOSEN_MAX} rejects of these messages were dropped; choose fewer with --source, --sequence, --since \
                 or --until"
            )));
        }
        for batch in &batches {
            let integers = |at: usize| batch.column(at).as_primitive::<Int64Type>();
            let reasons = texts(batch, 2)?;
            for row in 0..batch.num_rows() {
                let sequence = Sequence(integers(0).value(row) as u64);
                let Some(reason) = RejectReason::from_name(reasons.value(row)) else {
                    continue;
                };
                let of_message = dropped.entry(sequence).or_default();
                of_message.push((integers(1).value(row) as u32, reason));
            }
        }
        Ok(dropped)
    }

    async fn pieces(&self, source: &SourceId) -> Result<Option<HashSet<String>>, Failure> {
        if !self.has_pieces {
            return Ok(None);
        }
        let statement = format!(
            "SELECT DISTINCT {IMPORT_PIECE} FROM rejects \
             WHERE source = '{}' AND {IMPORT_PIECE} IS NOT NULL LIMIT {}",
            quoted(source.as_str()),
            CHOSEN_MAX + 1
        );
        let mut pieces = HashSet::new();
        for batch in self.collect(statement).await? {
            let texts = texts(&batch, 0)?;
            pieces.extend(texts.iter().flatten().map(str::to_owned));
        }
        Ok((pieces.len() <= CHOSEN_MAX).then_some(pieces))
    }
}

/// Returns a column of texts, in whatever form an answer has it.
fn texts(batch: &RecordBatch, column: usize) -> Result<StringArray, Failure> {
    let cast: ArrayRef =
        arrow::compute::cast(batch.column(column), &DataType::Utf8).map_err(Failure::work)?;
    Ok(cast.as_string::<i32>().clone())
}

#[cfg(test)]
mod tests;

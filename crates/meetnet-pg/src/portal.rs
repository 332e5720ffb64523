//! A query that a client runs: from its description to the rows it takes, a few at a time if it likes.

use bytes::{BufMut, BytesMut};
use meetnet_query::postgres::PgType;
use meetnet_query::{QueryAnswer, QueryError, QueryRequest, QueryService};
use pgwire::messages::data::{FieldDescription, RowDescription};

use crate::cancel::CancelHandle;
use crate::copy::CopyWriter;
use crate::error::{PgError, state};
use crate::values::{Column, Format};
use crate::wire::{End, Wire, framed};

/// A column of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FieldType {
    pub(crate) name: String,
    pub(crate) pg_type: PgType,
}

impl FieldType {
    /// Returns how many bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>() + self.name.len()
    }
}

/// Returns what a client is told of the columns.
pub(crate) fn row_description(
    fields: &[FieldType],
    formats: &[i16],
) -> Result<RowDescription, PgError> {
    let describe = |(position, field): (usize, &FieldType)| {
        let format = Format::of(formats, position)?;
        Ok(FieldDescription::new(
            field.name.replace('\0', " "),
            0,
            0,
            field.pg_type.oid(),
            field.pg_type.size(),
            -1,
            format.code(),
        ))
    };
    let described: Result<Vec<FieldDescription>, PgError> =
        fields.iter().enumerate().map(describe).collect();
    Ok(RowDescription::new(described?))
}

/// How far an execution got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// There may be more.
    Suspended(u64),
    /// That was all.
    Complete(u64),
}

impl Progress {
    pub(crate) fn rows(self) -> u64 {
        match self {
            Self::Suspended(rows) | Self::Complete(rows) => rows,
        }
    }
}

/// A query with its values, before, while and after it runs.
pub(crate) struct Portal {
    pub(crate) fields: Vec<FieldType>,
    rows: Rows,
    /// The formats that it was made with.
    declared: Vec<i16>,
    stage: Stage,
}

/// How rows go out.
enum Rows {
    /// As messages of their own, with values in these formats.
    Messages(Vec<i16>),
    /// As the data of a COPY.
    Copied(CopyWriter),
}

impl Rows {
    /// Returns the format of a column.
    fn format(&self, position: usize) -> Result<Format, PgError> {
        match self {
            Self::Messages(formats) => Format::of(formats, position),
            Self::Copied(copy) => Ok(copy.format()),
        }
    }

    fn write(&mut self, columns: &[Column], row: usize, out: &mut BytesMut) {
        match self {
            Self::Messages(_) => write_row(columns, row, out),
            Self::Copied(copy) => copy.write_row(columns, row, out),
        }
    }
}

enum Stage {
    Ready(Box<QueryRequest>),
    Running(Box<Running>),
    /// Taken to its end, or failed.
    Over,
}

struct Running {
    answer: QueryAnswer,
    /// The batch that is being taken, its rows, and the next of them.
    batch: Option<(Vec<Column>, usize, usize)>,
}

impl Portal {
    pub(crate) fn new(request: QueryRequest, fields: Vec<FieldType>, formats: Vec<i16>) -> Self {
        Self {
            fields,
            declared: formats.clone(),
            rows: Rows::Messages(formats),
            stage: Stage::Ready(Box::new(request)),
        }
    }

    /// The portal of a query that runs already; its values go out as texts.
    pub(crate) fn running(answer: QueryAnswer, fields: Vec<FieldType>) -> Self {
        Self::sending(answer, fields, Rows::Messages(Vec::new()))
    }

    /// The portal of a query that runs already, and whose rows are copied.
    pub(crate) fn copying(answer: QueryAnswer, fields: Vec<FieldType>, copy: CopyWriter) -> Self {
        Self::sending(answer, fields, Rows::Copied(copy))
    }

    fn sending(answer: QueryAnswer, fields: Vec<FieldType>, rows: Rows) -> Self {
        let running = Running {
            answer,
            batch: None,
        };
        Self {
            fields,
            rows,
            declared: Vec::new(),
            stage: Stage::Running(Box::new(running)),
        }
    }

    /// Sends rows in other formats from now on; None: in those that it was made with.
    ///
    /// # Errors
    /// `08P01` where there are not as many as columns.
    pub(crate) fn send_as(&mut self, formats: Option<&[i16]>) -> Result<(), PgError> {
        // Rows that are copied have the format of their COPY.
        if !matches!(self.rows, Rows::Messages(_)) {
            return Ok(());
        }
        let formats = formats.map_or_else(|| self.declared.clone(), <[i16]>::to_vec);
        let of_columns = (0..self.fields.len()).map(|position| Format::of(&formats, position));
        let of_columns = of_columns.collect::<Result<Vec<_>, PgError>>()?;
        // A batch may have been taken in part.
        if let Stage::Running(running) = &mut self.stage
            && let Some((columns, ..)) = &mut running.batch
        {
            for (column, format) in columns.iter_mut().zip(of_columns) {
                column.set_format(format);
            }
        }
        self.rows = Rows::Messages(formats);
        Ok(())
    }

    /// Returns what a client is told of the columns.
    pub(crate) fn description(&self) -> Result<RowDescription, PgError> {
        match &self.rows {
            Rows::Messages(formats) => row_description(&self.fields, formats),
            // Clients are told in another way.
            Rows::Copied(_) => row_description(&self.fields, &[]),
        }
    }

    /// Sends up to `rows_max` rows (None: all), beginning where the last execution ended. Stops where the client
    /// cancels or goes away.
    pub(crate) async fn execute(
        &mut self,
        service: &QueryService,
        wire: &mut Wire,
        cancel: &CancelHandle,
        rows_max: Option<u64>,
    ) -> Result<Progress, End> {
        // Whatever ends early here is over: a query is not run twice for one portal.
        let mut running = match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Ready(request) => {
                let answer = interruptible(wire, cancel, service.query(*request)).await?;
                let answer = answer.map_err(PgError::from)?;
                wire.state_answer(&answer)?;
                for hint in &answer.hints {
                    wire.notice(hint)?;
                }
                Box::new(Running {
                    answer,
                    batch: None,
                })
            }
            Stage::Running(running) => running,
            Stage::Over => return Ok(Progress::Complete(0)),
        };
        let mut rows = 0;
        loop {
            if let Some((columns, length, next)) = &mut running.batch {
                while *next < *length && rows_max.is_none_or(|most| rows < most) {
                    self.rows.write(columns, *next, wire.output());
                    *next += 1;
                    rows += 1;
                    send_much(wire, cancel).await?;
                }
                if *next < *length {
                    self.stage = Stage::Running(running);
                    return Ok(Progress::Suspended(rows));
                }
            }
            let batch = interruptible(wire, cancel, running.answer.next_batch()).await?;
            let Some(batch) = batch else {
                break;
            };
            let batch = batch.map_err(PgError::from)?;
            if batch.num_columns() != self.fields.len() {
                // Its tables have changed since it was described.
                return Err(PgError::new(
                    state::RETRY,
                    "the columns of the answer have changed; prepare the statement again",
                )
                .into());
            }
            let columns = batch.columns().iter().zip(&self.fields).enumerate();
            let columns = columns.map(|(position, (array, field))| {
                Column::new(array, field.pg_type, self.rows.format(position)?)
            });
            let columns = columns.collect::<Result<Vec<_>, PgError>>()?;
            running.batch = Some((columns, batch.num_rows(), 0));
        }
        if running.answer.truncated() {
            // A short answer would look whole.
            let cut = QueryError::cut(service.row_limit());
            return Err(PgError::from(cut).into());
        }
        Ok(Progress::Complete(rows))
    }

    /// Says that the rows have come to their end, where they are copied.
    pub(crate) fn end_copy(&mut self, wire: &mut Wire) -> Result<(), End> {
        match &mut self.rows {
            Rows::Messages(_) => Ok(()),
            Rows::Copied(copy) => copy.end(wire),
        }
    }
}

/// Waits for work until it is done, the client cancels it, or it has gone away: then the work is dropped, and ends.
pub(crate) async fn interruptible<T>(
    wire: &mut Wire,
    cancel: &CancelHandle,
    work: impl Future<Output = T>,
) -> Result<T, End> {
    if cancel.is_cancelled() {
        return Err(cancelled());
    }
    tokio::select! {
        // What is done is not thrown away.
        biased;
        done = work => Ok(done),
        () = cancel.cancelled() => Err(cancelled()),
        end = wire.gone() => Err(end),
    }
}

/// Sends rows, if they are many. A client that takes them slowly may have cancelled them meanwhile.
async fn send_much(wire: &mut Wire, cancel: &CancelHandle) -> Result<(), End> {
    if wire.has_little() {
        return Ok(());
    }
    tokio::select! {
        biased;
        sent = wire.send() => sent,
        () = cancel.cancelled() => Err(cancelled()),
    }
}

fn cancelled() -> End {
    PgError::new(state::CANCELLED, "the statement was cancelled by its user").into()
}

fn write_row(columns: &[Column], row: usize, out: &mut BytesMut) {
    framed(out, b'D', |out| {
        out.put_i16(columns.len() as i16);
        for column in columns {
            column.write(row, out);
        }
    });
}

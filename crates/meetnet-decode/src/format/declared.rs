//! Which sensor a document is from and when it was made: what the source declares, else what the format finds in it.
//!
//! fields of a document → sensor id + time → [`crate::mapping`]

use std::borrow::Cow;

use meetnet_model::source::SourceDeclaration;

use crate::error::SetupProblem;
use crate::format::{Body, reject_id, reject_time};
use crate::group::Output;
use crate::identity::{DeclaredId, HardwareIds, IdFault};
use crate::instant::{DeclaredTime, ObservedAt, TimeFault};
use crate::json::Fields;
use crate::json::pointer::Pointer;
use crate::json::shape::Shape;
use crate::topic::TopicPattern;

/// The declared `sensor_id` and `time` of a source.
#[derive(Clone, Debug)]
pub(crate) struct Declared {
    sensor_id: Option<DeclaredId>,
    time: Option<DeclaredTime>,
}

/// A hardware id as it stands in a document, and its kind, which keeps ids of different kinds apart.
pub(crate) type HardwareId<'t> = (&'static str, Cow<'t, str>);

/// Why a document cannot become rows, whatever its values are.
#[derive(Debug)]
pub(crate) enum Fault {
    Id(IdFault),
    Time(TimeFault),
}

impl Fault {
    /// Makes the reject. `missing` says where a sensor id should stand.
    pub(crate) fn reject(&self, missing: &str, excerpt: &str, output: &mut Output) {
        match self {
            Self::Id(fault) => reject_id(*fault, missing, excerpt, output),
            Self::Time(fault) => reject_time(fault, excerpt, output),
        }
    }
}

impl Declared {
    /// Compiles what the source declares; its pointers are relative to `root` in `shape`.
    pub(crate) fn compile(
        source: &SourceDeclaration,
        topics: &[TopicPattern],
        shape: &mut Shape,
        root: &Pointer,
    ) -> Result<Self, SetupProblem> {
        Ok(Self {
            sensor_id: DeclaredId::compile(source, topics, shape, root)?,
            time: DeclaredTime::compile(source, shape, root)?,
        })
    }

    /// Returns true where the source declares which sensor a message is from.
    pub(crate) fn names_sensor(&self) -> bool {
        self.sensor_id.is_some()
    }

    /// Writes the sensor id of a document into `id`. `found` gives the hardware id that the format finds where nothing
    /// is declared; where it finds none, the id is empty.
    pub(crate) fn name<'t>(
        &self,
        body: &Body<'_>,
        fields: &Fields<'t, '_>,
        found: impl FnOnce() -> Result<Option<HardwareId<'t>>, IdFault>,
        ids: &mut HardwareIds,
        id: &mut String,
    ) -> Result<(), Fault> {
        let naming = &body.common.naming;
        let named = match &self.sensor_id {
            Some(declared) => declared.resolve(naming, body.envelope.topic, fields, ids, id),
            None => found().and_then(|found| match found {
                Some((kind, raw)) => naming.hardware(kind, &raw, ids, id),
                None => {
                    id.clear();
                    Ok(())
                }
            }),
        };
        named.map_err(Fault::Id)
    }

    /// Returns the time of a document. `found` gives the one that the format finds where nothing is declared, µs UTC;
    /// where it finds none, the document was made when it was received.
    pub(crate) fn time(
        &self,
        body: &Body<'_>,
        fields: &Fields<'_, '_>,
        found: impl FnOnce() -> Result<Option<i64>, TimeFault>,
    ) -> Result<ObservedAt, Fault> {
        let time = match &self.time {
            Some(declared) => declared.resolve(fields).map(Some),
            None => found(),
        };
        let received_at = body.envelope.received_at;
        match time {
            Ok(Some(time)) => body.check_time(time).map(ObservedAt::Own),
            Ok(None) => Ok(ObservedAt::Received(received_at)),
            Err(fault) => Err(fault),
        }
        .map_err(Fault::Time)
    }
}

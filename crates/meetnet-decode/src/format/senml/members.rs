//! The members of a record: where they stand, and the base fields, which hold for the records behind theirs.

use std::borrow::Cow;

use meetnet_model::reject::RejectReason;
use meetnet_model::time::TimeReader;

use crate::error::SetupProblem;
use crate::fields::{Fields, Slot};
use crate::instant::{self, TimeFault};
use crate::json::read::{self, Reading};
use crate::json::shape::Shape;

/// The newest version of the base fields that is understood.
const VERSION_MAX: i64 = 10;

/// Where the members of a record stand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slots {
    pub(super) base_name: Slot,
    pub(super) base_time: Slot,
    pub(super) base_unit: Slot,
    pub(super) base_value: Slot,
    pub(super) base_sum: Slot,
    pub(super) base_version: Slot,
    pub(super) name: Slot,
    pub(super) unit: Slot,
    pub(super) value: Slot,
    pub(super) text: Slot,
    pub(super) boolean: Slot,
    pub(super) data: Slot,
    pub(super) sum: Slot,
    pub(super) time: Slot,
    /// The name of a member that must be understood and is not.
    pub(super) unknown: Slot,
}

/// The base fields in force.
#[derive(Clone, Debug)]
pub(super) struct Base<'t> {
    pub(super) name: Cow<'t, str>,
    /// Empty where there is none.
    pub(super) unit: Cow<'t, str>,
    pub(super) time_us: i64,
    pub(super) value: f64,
    pub(super) sum: f64,
    /// What is wrong with one of them.
    pub(super) fault: Option<Fault>,
}

impl<'t> Base<'t> {
    pub(super) fn new() -> Self {
        Self {
            name: Cow::Borrowed(""),
            unit: Cow::Borrowed(""),
            time_us: 0,
            value: 0.0,
            sum: 0.0,
            fault: None,
        }
    }

    /// Takes the base fields of a record. After one that cannot be read, nobody knows what the records mean.
    pub(super) fn take(&mut self, slots: &Slots, seconds: &TimeReader, fields: &Fields<'t, '_>) {
        if let Err(Fault(reason, message)) = self.try_take(slots, seconds, fields) {
            let message = format!("{message}; it holds for all records behind it, too");
            self.fault.get_or_insert(Fault(reason, message.into()));
        }
    }

    fn try_take(
        &mut self,
        slots: &Slots,
        seconds: &TimeReader,
        fields: &Fields<'t, '_>,
    ) -> Result<(), Fault> {
        match read::integer(fields.raw(slots.base_version)) {
            Reading::Missing | Reading::Value(..=VERSION_MAX) => {}
            Reading::Value(_) | Reading::Wrong => {
                return Err(Fault(
                    RejectReason::UnexpectedShape,
                    format!("`bver` is not a version up to {VERSION_MAX}").into(),
                ));
            }
        }
        if fields.has(slots.base_name) {
            self.name = text_of(fields, slots.base_name, "`bn`")?;
        }
        if fields.has(slots.base_unit) {
            self.unit = text_of(fields, slots.base_unit, "`bu`")?;
        }
        if let Some(time) = instant::read(seconds, fields.raw(slots.base_time), "`bt`")? {
            self.time_us = time;
        }
        if let Some(value) = number_of(fields, slots.base_value, "`bv`")? {
            self.value = value;
        }
        if let Some(sum) = number_of(fields, slots.base_sum, "`bs`")? {
            self.sum = sum;
        }
        Ok(())
    }
}

impl Slots {
    /// Returns the base fields.
    pub(super) fn base(&self) -> [Slot; 6] {
        [
            self.base_name,
            self.base_time,
            self.base_unit,
            self.base_value,
            self.base_sum,
            self.base_version,
        ]
    }

    /// Wants the members of a record, in the order in which most senders write them.
    pub(super) fn want(shape: &mut Shape) -> Result<Self, SetupProblem> {
        let mut want = |name: &str| shape.want_member(name);
        let slots = Self {
            base_name: want("bn")?,
            base_time: want("bt")?,
            base_unit: want("bu")?,
            base_value: want("bv")?,
            base_sum: want("bs")?,
            base_version: want("bver")?,
            name: want("n")?,
            unit: want("u")?,
            value: want("v")?,
            text: want("vs")?,
            boolean: want("vb")?,
            data: want("vd")?,
            sum: want("s")?,
            time: want("t")?,
            unknown: Slot(0),
        };
        Ok(Self {
            unknown: shape.want_unknown(|name| name.ends_with('_'))?,
            ..slots
        })
    }
}

/// Why a record is no observation.
#[derive(Clone, Debug)]
pub(super) struct Fault(pub(super) RejectReason, pub(super) Cow<'static, str>);

impl From<TimeFault> for Fault {
    fn from(fault: TimeFault) -> Self {
        Self(fault.reason, fault.message.into())
    }
}

/// Returns a text; an absent one is empty.
pub(super) fn text_of<'t>(
    fields: &Fields<'t, '_>,
    slot: Slot,
    name: &'static str,
) -> Result<Cow<'t, str>, Fault> {
    match read::text(fields.raw(slot)) {
        Reading::Value(text) => Ok(text),
        Reading::Missing => Ok(Cow::Borrowed("")),
        Reading::Wrong => Err(Fault(
            RejectReason::WrongType,
            format!("{name} is no text").into(),
        )),
    }
}

/// Returns a number, none where it is absent.
pub(super) fn number_of(
    fields: &Fields<'_, '_>,
    slot: Slot,
    name: &'static str,
) -> Result<Option<f64>, Fault> {
    match read::number(fields.raw(slot)) {
        Reading::Value(value) => Ok(Some(value)),
        Reading::Missing => Ok(None),
        Reading::Wrong => Err(Fault(
            RejectReason::WrongType,
            format!("{name} is no number").into(),
        )),
    }
}

//! The members of a record, and the base fields, which hold for the records behind theirs.

use std::borrow::Cow;

use meetnet_model::reject::RejectReason;
use meetnet_model::time::TimeReader;

use crate::fields::Raw;
use crate::instant::{self, TimeFault};
use crate::json::read::{self, Reading};
use crate::json::tape::Value;

/// The newest version of the base fields that is understood.
const VERSION_MAX: i64 = 10;

/// The members of a record, as they are written; of a repeated one the last counts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Members<'t> {
    pub(super) base: BaseMembers<'t>,
    pub(super) name: Option<Raw<'t>>,
    pub(super) unit: Option<Raw<'t>>,
    pub(super) value: Option<Raw<'t>>,
    pub(super) text: Option<Raw<'t>>,
    pub(super) boolean: Option<Raw<'t>>,
    pub(super) data: Option<Raw<'t>>,
    pub(super) sum: Option<Raw<'t>>,
    pub(super) time: Option<Raw<'t>>,
    /// Whether there is one that must be understood and is not.
    pub(super) has_unknown: bool,
}

/// Those that hold for the records behind theirs, too.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BaseMembers<'t> {
    name: Option<Raw<'t>>,
    time: Option<Raw<'t>>,
    unit: Option<Raw<'t>>,
    value: Option<Raw<'t>>,
    sum: Option<Raw<'t>>,
    version: Option<Raw<'t>>,
}

impl<'t> Members<'t> {
    /// Returns the members of a record. Their names are so few and so short that to compare them one by one costs less than
    /// a walk by a [shape](crate::json::shape::Shape).
    #[inline]
    pub(super) fn of(record: Value<'t>) -> Self {
        let mut members = Self::default();
        for member in record.children() {
            let Some(name) = member.plain_name() else {
                members.set_escaped(member);
                continue;
            };
            match members.place(name) {
                Some(place) => *place = Some(Raw::Json(member.text())),
                None => members.has_unknown |= name.ends_with(b"_"),
            }
        }
        members
    }

    /// Sets a member whose name is written with escapes, as hardly any sender writes one.
    #[cold]
    fn set_escaped(&mut self, member: Value<'t>) {
        // A name that holds half a character is nobody's, but nobody can tell how it ends.
        let Some(name) = member.escaped_name() else {
            self.has_unknown = true;
            return;
        };
        match self.place(name.as_bytes()) {
            Some(place) => *place = Some(Raw::Json(member.text())),
            None => self.has_unknown |= name.ends_with('_'),
        }
    }

    /// Returns the place of the member with that name; none where it is not known.
    #[inline]
    fn place(&mut self, name: &[u8]) -> Option<&mut Option<Raw<'t>>> {
        Some(match name {
            b"n" => &mut self.name,
            b"v" => &mut self.value,
            b"t" => &mut self.time,
            b"u" => &mut self.unit,
            b"s" => &mut self.sum,
            b"vs" => &mut self.text,
            b"vb" => &mut self.boolean,
            b"vd" => &mut self.data,
            b"bn" => &mut self.base.name,
            b"bt" => &mut self.base.time,
            b"bu" => &mut self.base.unit,
            b"bv" => &mut self.base.value,
            b"bs" => &mut self.base.sum,
            b"bver" => &mut self.base.version,
            _ => return None,
        })
    }
}

impl BaseMembers<'_> {
    /// Returns true where there is none of them.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        let Self {
            name,
            time,
            unit,
            value,
            sum,
            version,
        } = self;
        let all = [name, time, unit, value, sum, version];
        all.into_iter().all(Option::is_none)
    }
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
    pub(super) fn take(&mut self, members: &BaseMembers<'t>, seconds: &TimeReader) {
        if let Err(Fault(reason, message)) = self.try_take(members, seconds) {
            let message = format!("{message}; it holds for all records behind it, too");
            self.fault.get_or_insert(Fault(reason, message.into()));
        }
    }

    fn try_take(&mut self, members: &BaseMembers<'t>, seconds: &TimeReader) -> Result<(), Fault> {
        match read::integer(members.version) {
            Reading::Missing | Reading::Value(..=VERSION_MAX) => {}
            Reading::Value(_) | Reading::Wrong => {
                return Err(Fault(
                    RejectReason::UnexpectedShape,
                    format!("`bver` is not a version up to {VERSION_MAX}").into(),
                ));
            }
        }
        if members.name.is_some() {
            self.name = text_of(members.name, "`bn`")?;
        }
        if members.unit.is_some() {
            self.unit = text_of(members.unit, "`bu`")?;
        }
        if let Some(time) = instant::read(seconds, members.time, "`bt`")? {
            self.time_us = time;
        }
        if let Some(value) = number_of(members.value, "`bv`")? {
            self.value = value;
        }
        if let Some(sum) = number_of(members.sum, "`bs`")? {
            self.sum = sum;
        }
        Ok(())
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
#[inline]
pub(super) fn text_of<'t>(raw: Option<Raw<'t>>, name: &'static str) -> Result<Cow<'t, str>, Fault> {
    match read::text(raw) {
        Reading::Value(text) => Ok(text),
        Reading::Missing => Ok(Cow::Borrowed("")),
        Reading::Wrong => Err(Fault(
            RejectReason::WrongType,
            format!("{name} is no text").into(),
        )),
    }
}

/// Returns a number, none where it is absent.
#[inline]
pub(super) fn number_of(raw: Option<Raw<'_>>, name: &'static str) -> Result<Option<f64>, Fault> {
    match read::number(raw) {
        Reading::Value(value) => Ok(Some(value)),
        Reading::Missing => Ok(None),
        Reading::Wrong => Err(Fault(
            RejectReason::WrongType,
            format!("{name} is no number").into(),
        )),
    }
}

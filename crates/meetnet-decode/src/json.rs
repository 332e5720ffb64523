//! Reading JSON without building it: pointers are compiled into a shape, one pass over a body notes where its values
//! stand, one walk finds those that are wanted, and each is read as what it must be.
//!
//! `Pointer` → `Shape` (once per source) · body → `Tape` → `walk` → spans → `read::number`, `read::text` … (per message)
//!
//! It knows nothing of formats, datasets or time.

pub(crate) mod lenient;
pub(crate) mod places;
pub(crate) mod pointer;
pub(crate) mod read;
mod scan;
pub(crate) mod shape;
pub(crate) mod tape;
pub(crate) mod walk;

#[cfg(test)]
mod tests;

//! Numbers as people read them in what commands print.

pub(crate) use meetnet_model::readable::{counted, grouped};

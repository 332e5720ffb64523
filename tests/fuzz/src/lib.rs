//! Fuzz targets for everything that reads foreign bytes. See README.md for how to run them.

pub mod harness;

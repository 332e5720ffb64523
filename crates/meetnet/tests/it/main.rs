//! The built program from outside: exit codes, messages, a demo that starts, answers, stops and continues.
//!
//! Everything listens on loopback, at ports that the system chooses.

mod api_keys;
mod as_of;
mod commands;
mod demo;
mod derived;
mod desk;
mod documentation;
mod export;
mod import;
mod licences;
mod maintenance;
mod memory;
mod privacy;
mod process;
mod quality;
mod queries;
mod rejects;
mod reload;
mod scripts;
mod senders;
mod simulate;
mod space;
mod split;
mod sql_tool;

//! HTTP push: `POST /ingest/v1/{source}`, for devices and gateways that send their readings themselves, and the paths
//! that devices have built in (`stations`, `airrohr`, `influx`), where the credential says whose source it is.
//!
//! ```text
//! request ─▶ credentials ─▶ size, inflate ─▶ journal ── sync ──▶ decode (pipeline) ─▶ answer
//!              401, 404        413, 415      503, 429                                 204, 400
//! ```
//!
//! After those checks every body is journalled, also one that is no JSON: what it means is decided behind the journal,
//! once, and the answer tells. Until the journal has been read after a start every request is answered with 503
//! (`early`). It serves no reads and has no sessions or cookies.

mod airrohr;
mod answer;
mod body;
mod credentials;
mod early;
mod endpoint;
mod influx;
mod limits;
mod listener;
mod push;
mod sensorthings;
mod stations;

#[cfg(test)]
mod testing;

pub use early::EarlyPush;
pub use limits::PushLimits;
pub use listener::HttpServer;
pub use push::{PushSource, PushState, push_router};
pub use stations::is_fixed_path;
pub(crate) use stations::{STATION_META, without_secrets};

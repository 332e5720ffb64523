//! What every public route needs: the query service and its snapshot, the declarations and a few settings.
//!
//! Everything is handed in by the binary; nothing here is global.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::tz::TimeZone;
use meetnet_model::declarations::Declarations;
use meetnet_query::QueryService;

use crate::arrivals::Arrival;
use crate::arrivals::committed::CommittedArrivals;
use crate::client::ClientSettings;
use crate::dcat::CatalogueCache;
use crate::figures::FiguresCache;
use crate::files::FileHashes;
use crate::health::Readiness;
use crate::overview::{Overview, OverviewCache};
use crate::results::ResultCache;

/// A statement with a name: `/api/v1/queries/{name}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedQuery {
    /// Lower-case letters, digits, `-` and `_`.
    pub name: String,
    /// What it answers, in a line.
    pub title: String,
    /// The statement, perhaps with placeholders such as `$from`.
    pub sql: String,
}

/// A listener of another protocol where anybody may ask, for the portal to tell of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OtherListener {
    /// Where it listens.
    pub address: SocketAddr,
    /// Whether it speaks TLS.
    pub has_tls: bool,
}

/// Settings of the public service.
#[derive(Clone, Debug)]
pub struct PublishSettings {
    /// Name of the city on the portal.
    pub city: String,
    /// Who publishes the data, for catalogues. None: the city.
    pub publisher: Option<String>,
    /// Whom to ask about it, for catalogues: an IRI, `mailto:…` or `https://…`.
    pub contact: Option<String>,
    /// Zone of the times that people read; data carries UTC.
    pub zone: TimeZone,
    /// Address under which the service is reached from outside, without a slash at its end
    /// (`https://data.example.org`). None: taken from the header `Host`.
    pub public_url: Option<String>,
    /// How clients are told apart.
    pub clients: ClientSettings,
    /// Most bytes of one request body.
    pub body_bytes_max: usize,
    /// How long one request body may take to arrive.
    pub body_time_max: Duration,
    /// Most rows of one page of `/api/v1/datasets/{id}/rows`.
    pub page_rows_max: usize,
    /// Most bytes of answers that are kept for those who ask the same next; 0: none.
    pub result_cache_bytes_max: usize,
    /// Statements with names.
    pub saved_queries: Vec<SavedQuery>,
    /// Where clients of PostgreSQL connect.
    pub pg: Option<OtherListener>,
    /// Where clients of Arrow Flight SQL connect.
    pub flight: Option<OtherListener>,
    /// How old the figures on the portal and in the dataset list may be: one computation serves all readers in between.
    pub overview_age_max: Duration,
}

impl Default for PublishSettings {
    fn default() -> Self {
        Self {
            city: "Leuven".into(),
            publisher: None,
            contact: None,
            zone: TimeZone::get("Europe/Brussels").unwrap_or(TimeZone::UTC),
            public_url: None,
            clients: ClientSettings::default(),
            body_bytes_max: 1024 * 1024,
            body_time_max: Duration::from_secs(20),
            page_rows_max: 10_000,
            result_cache_bytes_max: 64 * 1024 * 1024,
            saved_queries: Vec::new(),
            pg: None,
            flight: None,
            overview_age_max: Duration::from_secs(1),
        }
    }
}

/// Declarations that a reload of the configuration exchanges.
pub type SharedDeclarations = Arc<ArcSwap<Declarations>>;

/// The state of the public routes; cheap to clone.
#[derive(Clone)]
pub struct PublishState {
    pub(crate) query: QueryService,
    declarations: SharedDeclarations,
    pub(crate) readiness: Readiness,
    pub(crate) settings: Arc<PublishSettings>,
    pub(crate) overviews: Arc<OverviewCache>,
    pub(crate) hashes: Arc<FileHashes>,
    pub(crate) results: Arc<ResultCache>,
    pub(crate) figures: FiguresCache,
    pub(crate) catalogues: Arc<CatalogueCache>,
    committed: CommittedArrivals,
}

impl PublishState {
    /// Puts the state together. `declarations` gives the properties of long datasets; the datasets themselves come from
    /// the snapshot, so that a page never names a table that SQL does not have.
    pub fn new(
        query: QueryService,
        declarations: SharedDeclarations,
        readiness: Readiness,
        settings: PublishSettings,
    ) -> Self {
        Self {
            query,
            declarations,
            readiness,
            overviews: Arc::new(OverviewCache::new(settings.overview_age_max)),
            hashes: Arc::default(),
            results: Arc::new(ResultCache::new(settings.result_cache_bytes_max)),
            figures: FiguresCache::default(),
            catalogues: Arc::default(),
            committed: CommittedArrivals::default(),
            settings: Arc::new(settings),
        }
    }

    /// Returns what is known of the datasets' quality, for the operations page of the same process: it is read once for
    /// both.
    pub fn figures(&self) -> FiguresCache {
        self.figures.clone()
    }

    /// Returns the declarations now in force.
    pub(crate) fn declarations(&self) -> Arc<Declarations> {
        self.declarations.load_full()
    }

    /// Returns the newest observations, newest first: those of an overview, which are not committed or were not when somebody
    /// looked, and committed ones.
    pub(crate) async fn arrivals(&self, overview: &Overview) -> Vec<Arrival> {
        let snapshot = self.query.snapshot().load_full();
        self.committed
            .join(&overview.arrivals, &snapshot, &self.query)
            .await
    }

    /// Returns the figures of the newest snapshot, at most `overview_age_max` old.
    pub(crate) fn overview(&self) -> Arc<Overview> {
        self.overviews.get(|| self.query.snapshot().load_full())
    }
}

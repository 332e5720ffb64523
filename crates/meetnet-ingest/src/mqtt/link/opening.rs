//! Makes the client and event loop of one connection, in either protocol, with their limits and TLS.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rumqttc as v5;
use rumqttc::tokio_rustls::rustls;
use rumqttc::tokio_rustls::rustls::pki_types::pem::PemObject;
use rumqttc::tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rumqttc::tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use rumqttc_v4 as v4;

use super::session;
use super::{Client, Link, LinkError};
use crate::mqtt::options::{MqttOptions, TlsIdentity, TlsRoots};
use crate::mqtt::socket::{JoiningSocket, WriteThrough};

/// Requests that may wait for the event loop: every packet id once, and a few control packets. An acknowledgement is
/// queued only for a publish of this connection, so this is never reached.
const REQUESTS_MAX: usize = u16::MAX as usize + 64;
/// Packets taken from the socket in one go.
const READ_BATCH: usize = 128;
/// We publish nothing; the library sizes tables by this.
const OWN_PUBLISHES_MAX: u16 = 8;
/// Longest wait for the CONNACK.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) fn five(
    options: &MqttOptions,
    through: &WriteThrough,
) -> Result<(Client, Link), LinkError> {
    let mut own = five_options(options)?;
    let expiry = u32::try_from(options.session_expiry.as_secs()).unwrap_or(u32::MAX);
    own.set_clean_start(false)
        .set_session_expiry_interval(Some(expiry))
        .set_receive_maximum(Some(options.inflight_max))
        // Announced, so that the broker drops what is larger instead of sending it again for ever.
        .set_max_packet_size(Some(options.packet_bytes_max))
        .set_ack_mode(v5::AckMode::Manual)
        .set_keep_alive(keep_alive_seconds(options))
        .set_outgoing_inflight_upper_limit(OWN_PUBLISHES_MAX)
        .set_max_request_batch(READ_BATCH)
        .set_read_batch_size(READ_BATCH)
        .set_connect_timeout(CONNECT_TIMEOUT)
        .set_network_options(network_options())
        // Without a local checkpoint the library refuses a session that the broker resumes.
        .set_session_store(session::Resumable::new(
            &options.client_id,
            OWN_PUBLISHES_MAX,
        ));
    if let Some(username) = &options.username {
        let password = options.password.clone().unwrap_or_default();
        own.set_credentials(username.clone(), password);
    }
    let through = through.clone();
    own.set_socket_connector(move |address, network| {
        let through = through.clone();
        async move {
            let socket = v5::default_socket_connect(address, network).await?;
            Ok(JoiningSocket::new(socket, through))
        }
    });
    let (client, events) = v5::AsyncClient::builder(own)
        .capacity(REQUESTS_MAX)
        .try_build()
        .map_err(|error| configuration_error(&error))?;
    Ok((
        Client::Five(client),
        Link::Five {
            events: Box::new(events),
            connected: false,
        },
    ))
}

pub(super) fn three(
    options: &MqttOptions,
    through: &WriteThrough,
) -> Result<(Client, Link), LinkError> {
    /// The largest packet that MQTT can frame: what exceeds a limit here would be sent again for ever.
    const PACKET_BYTES_MAX: usize = 256 << 20;
    let mut own = three_options(options)?;
    own.set_clean_session(false)
        .set_max_packet_size(PACKET_BYTES_MAX, PACKET_BYTES_MAX)
        .set_ack_mode(v4::AckMode::Manual)
        .set_keep_alive(keep_alive_seconds(options))
        .set_inflight(OWN_PUBLISHES_MAX)
        .set_max_request_batch(READ_BATCH)
        .set_read_batch_size(READ_BATCH);
    if let Some(username) = &options.username {
        let password = options.password.clone().unwrap_or_default();
        own.set_credentials(username.clone(), password);
    }
    let through = through.clone();
    own.set_socket_connector(move |address, network| {
        let through = through.clone();
        async move {
            let socket = v4::default_socket_connect(address, network).await?;
            Ok(JoiningSocket::new(socket, through))
        }
    });
    let (client, mut events) = v4::AsyncClient::builder(own)
        .capacity(REQUESTS_MAX)
        .try_build()
        .map_err(|error| configuration_error(&error))?;
    events.set_network_options(network_options());
    Ok((
        Client::Three(client),
        Link::Three {
            events: Box::new(events),
            connected: false,
        },
    ))
}

/// Returns the library's options for a broker: its address, TLS and websocket.
fn five_options(options: &MqttOptions) -> Result<v5::MqttOptions, LinkError> {
    let id = options.client_id.clone();
    let tls = tls_config(options)?.map(v5::TlsConfiguration::Rustls);
    match (options.url.websocket_address(), tls) {
        (None, tls) => {
            let address = (options.url.host.clone(), options.url.port);
            let mut own = v5::MqttOptions::new(id, address);
            if let Some(tls) = tls {
                own.set_transport(v5::Transport::tls_with_config(tls));
            }
            Ok(own)
        }
        (Some(url), None) => {
            let broker = v5::Broker::websocket(url).map_err(|error| configuration_error(&error))?;
            Ok(v5::MqttOptions::new(id, broker))
        }
        (Some(url), Some(tls)) => v5::MqttOptions::websocket_with_tls_config(id, url, tls)
            .map_err(|error| configuration_error(&error)),
    }
}

/// Does the same for the library of 3.1.1, whose types are others of the same names.
fn three_options(options: &MqttOptions) -> Result<v4::MqttOptions, LinkError> {
    let id = options.client_id.clone();
    let tls = tls_config(options)?.map(v4::TlsConfiguration::Rustls);
    match (options.url.websocket_address(), tls) {
        (None, tls) => {
            let address = (options.url.host.clone(), options.url.port);
            let mut own = v4::MqttOptions::new(id, address);
            if let Some(tls) = tls {
                own.set_transport(v4::Transport::tls_with_config(tls));
            }
            Ok(own)
        }
        (Some(url), None) => {
            let broker = v4::Broker::websocket(url).map_err(|error| configuration_error(&error))?;
            Ok(v4::MqttOptions::new(id, broker))
        }
        (Some(url), Some(tls)) => v4::MqttOptions::websocket_with_tls_config(id, url, tls)
            .map_err(|error| configuration_error(&error)),
    }
}

fn keep_alive_seconds(options: &MqttOptions) -> u16 {
    u16::try_from(options.keep_alive.as_secs())
        .unwrap_or(u16::MAX)
        .max(1)
}

fn network_options() -> v5::NetworkOptions {
    let mut network = v5::NetworkOptions::new();
    // Writes are joined already; waiting for more would only delay acknowledgements.
    network.set_tcp_nodelay(true);
    network.set_connection_timeout(CONNECT_TIMEOUT.as_secs());
    network
}

fn configuration_error(error: &dyn std::error::Error) -> LinkError {
    LinkError {
        message: format!("the MQTT client refuses its options: {error}"),
        maybe_protocol: false,
    }
}

fn tls_config(options: &MqttOptions) -> Result<Option<Arc<rustls::ClientConfig>>, LinkError> {
    if !options.url.tls {
        return Ok(None);
    }
    let config = roots_config(&options.tls_roots)?;
    match &options.tls_identity {
        None => Ok(Some(config)),
        Some(identity) => with_identity(&config, identity).map(Some),
    }
}

/// TLS cannot be set up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TlsError(String);

/// Returns the TLS settings of a client that trusts `roots`, as sources have them: for what else talks to a broker.
///
/// # Errors
/// Where the roots cannot be read.
pub fn tls_client(roots: &TlsRoots) -> Result<Arc<rustls::ClientConfig>, TlsError> {
    roots_config(roots).map_err(|error| TlsError(error.message))
}

/// Returns an error where a certificate and a key cannot be those by which a broker knows a client.
///
/// # Errors
/// Where either cannot be read, or they do not belong together.
pub fn check_tls_identity(identity: &TlsIdentity) -> Result<(), TlsError> {
    let certified = certified_key(identity);
    certified.map(drop).map_err(|error| TlsError(error.message))
}

fn roots_config(roots: &TlsRoots) -> Result<Arc<rustls::ClientConfig>, LinkError> {
    match roots {
        TlsRoots::System => system_config(),
        TlsRoots::Pem(pem) => pem_config(pem),
    }
}

fn system_config() -> Result<Arc<rustls::ClientConfig>, LinkError> {
    match v5::TlsConfiguration::try_default_rustls() {
        Ok(v5::TlsConfiguration::Rustls(config)) => Ok(config),
        Ok(_) => Err(tls_error("the system's roots have an unexpected form")),
        Err(error) => Err(tls_error(error)),
    }
}

fn pem_config(pem: &[u8]) -> Result<Arc<rustls::ClientConfig>, LinkError> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate =
            certificate.map_err(|error| tls_error(format!("the CA file is no PEM: {error}")))?;
        roots.add(certificate).map_err(tls_error)?;
    }
    if roots.is_empty() {
        let is_key = PrivateKeyDer::from_pem_slice(pem).is_ok();
        return Err(tls_error(if is_key {
            "the CA file holds a private key and no certificate; name the certificate of the authority"
        } else {
            "the CA file holds no certificate"
        }));
    }
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(provider()))
        .with_safe_default_protocol_versions()
        .map_err(tls_error)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Returns the configuration with the certificate by which the broker knows us.
fn with_identity(
    config: &rustls::ClientConfig,
    identity: &TlsIdentity,
) -> Result<Arc<rustls::ClientConfig>, LinkError> {
    let certified = certified_key(identity)?;
    let mut config = config.clone();
    config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(certified));
    Ok(Arc::new(config))
}

/// Returns the certificate with its key, which is known to be its.
fn certified_key(identity: &TlsIdentity) -> Result<CertifiedKey, LinkError> {
    let certificates = CertificateDer::pem_slice_iter(&identity.certificates)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| tls_error(format!("the file of `tls_cert` is no PEM: {error}")))?;
    if certificates.is_empty() {
        return Err(tls_error("the file of `tls_cert` holds no certificate"));
    }
    // Not even an error may repeat a key.
    let key = PrivateKeyDer::from_pem_slice(&identity.key)
        .map_err(|_| tls_error("`tls_key` holds no PEM private key"))?;
    let mismatch = |error: rustls::Error| {
        tls_error(format!(
            "`tls_key` is not the key of the first certificate in `tls_cert`, or of a kind that is not supported: {error}"
        ))
    };
    let key = provider().key_provider.load_private_key(key);
    let certified = CertifiedKey::new(certificates, key.map_err(mismatch)?);
    match certified.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {
            Ok(certified)
        }
        // The library reads none of version 1, and need not: who reads it is the broker.
        Err(rustls::Error::InvalidCertificate(_)) if is_of_version_1(&certified) => {
            if holds_its_key(&certified) {
                Ok(certified)
            } else {
                Err(mismatch(rustls::InconsistentKeys::KeyMismatch.into()))
            }
        }
        Err(error) => Err(mismatch(error)),
    }
}

/// Returns true for a certificate without extensions, which `openssl x509 -req` makes where it is given none (X.509 version 1):
/// what it certifies does not begin with a version.
fn is_of_version_1(certified: &CertifiedKey) -> bool {
    const SEQUENCE: u8 = 0x30;
    const VERSION: u8 = 0xa0;
    // What stands in a sequence: behind its tag and its length, which is one byte or says of how many it is.
    fn content(der: &[u8]) -> Option<&[u8]> {
        let [SEQUENCE, length, rest @ ..] = der else {
            return None;
        };
        let more = if *length < 0x80 { 0 } else { length & 0x7f };
        rest.get(usize::from(more)..)
    }
    let certificate: Option<&[u8]> = certified.cert.first().map(|certificate| &**certificate);
    let certified = certificate.and_then(content).and_then(content);
    certified.is_some_and(|fields| fields.first().is_some_and(|tag| *tag != VERSION))
}

/// Returns true where the public half of the key stands in the certificate, as it does in every one.
fn holds_its_key(certified: &CertifiedKey) -> bool {
    let public = certified.key.public_key();
    let certificate = certified.cert.first();
    public
        .zip(certificate)
        .is_some_and(|(public, certificate)| {
            let public: &[u8] = public.as_ref();
            let certificate: &[u8] = certificate.as_ref();
            !public.is_empty() && certificate.windows(public.len()).any(|part| part == public)
        })
}

/// Returns the crypto provider: named, not taken from the process, because two may be linked.
fn provider() -> rustls::crypto::CryptoProvider {
    rustls::crypto::ring::default_provider()
}

fn tls_error(error: impl fmt::Display) -> LinkError {
    LinkError {
        message: format!("cannot set TLS up: {error}"),
        maybe_protocol: false,
    }
}

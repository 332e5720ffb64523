//! TLS of a listener: rustls with ring, as everywhere.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// TLS cannot be set up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TlsError(String);

/// Returns the TLS settings of a listener: the PEM certificates, its own first, and the PEM private key.
///
/// # Errors
/// Where either cannot be read, or they do not belong together.
pub fn tls_server(certificates: &[u8], key: &str) -> Result<Arc<ServerConfig>, TlsError> {
    let certificates = CertificateDer::pem_slice_iter(certificates)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| TlsError(format!("the file of `tls_cert` is no PEM: {error}")))?;
    if certificates.is_empty() {
        return Err(TlsError(
            "the file of `tls_cert` holds no certificate".to_owned(),
        ));
    }
    // Not even an error may repeat a key.
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
        .map_err(|_| TlsError("`tls_key` holds no PEM private key".to_owned()))?;
    // Named, not taken from the process, because two providers may be linked.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError(format!("cannot set TLS up: {error}")))?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(|error| match error {
            rustls::Error::InvalidCertificate(error) => TlsError(format!(
                "the first certificate in `tls_cert` cannot be used ({error:?}); one of X.509 version 1, which `openssl x509 -req` \
                 makes without `-extfile`, is trusted by no client: issue it with its names (subjectAltName)"
            )),
            error => TlsError(format!(
                "`tls_key` is not the key of the first certificate in `tls_cert`, or of a kind that is not supported: {error}"
            )),
        })?;
    Ok(Arc::new(config))
}

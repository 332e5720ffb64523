//! How connections with TLS end: in good order, so that a client can tell the end from one that somebody else has made.

use meetnet_access::tls_server;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::*;

/// Made for this test: nobody else trusts it. It is valid from 2020 until 2126.
const CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----
MIIBqTCCAU6gAwIBAgIUWloY5/yIPIJLX2erdWx3bzj8590wCgYIKoZIzj0EAwIw
HzEdMBsGA1UEAwwUYSBsaXN0ZW5lciBmb3IgdGVzdHMwIBcNMjAwMTAxMDAwMDAw
WhgPMjEyNjAxMDEwMDAwMDBaMB8xHTAbBgNVBAMMFGEgbGlzdGVuZXIgZm9yIHRl
c3RzMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEGSQ49Fus+1cmQxQ282gOeFlP
IOcHxnuWVAV5oUsVDXe5WrMdKVn52X7JUQHB7vn8HjM418K76eaf768DsjoFtaNm
MGQwHQYDVR0OBBYEFIMENtZ7WeJlDgfUbpBqoERAT9dVMB8GA1UdIwQYMBaAFIME
NtZ7WeJlDgfUbpBqoERAT9dVMBQGA1UdEQQNMAuCCWxvY2FsaG9zdDAMBgNVHRMB
Af8EAjAAMAoGCCqGSM49BAMCA0kAMEYCIQCNyMF7b7tzfsrLF2siU7FouD5UULVm
tmRY6/XGsk7RywIhANeQfFxqV6vlIpYZ1oJ7owoWZXWUlzgGSEZGw1a9E3jt
-----END CERTIFICATE-----
";
/// The key of [`CERTIFICATE`], which protects nothing.
const KEY: &str = "\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgDeYiRBvgNr36ATXm
eeXZg3yFsvjMXR3wqeYDnTSQWrmhRANCAAQZJDj0W6z7VyZDFDbzaA54WU8g5wfG
e5ZUBXmhSxUNd7lasx0pWfnZfslRAcHu+fweMzjXwrvp5p/vrwOyOgW1
-----END PRIVATE KEY-----
";

fn with_tls(connections_max: usize) -> PgOptions {
    let tls = tls_server(CERTIFICATE.as_bytes(), KEY).expect("a certificate and its key");
    PgOptions {
        limits: PgLimits {
            connections_max,
            ..PgLimits::default()
        },
        access: Access {
            tls: Some(tls),
            ..Access::default()
        },
        ..PgOptions::default()
    }
}

fn connector() -> TlsConnector {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE.as_bytes());
    roots
        .add(certificate.expect("a certificate"))
        .expect("a root");
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions of TLS")
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

/// Connects with TLS, as sslmode=require does.
async fn encrypted(address: SocketAddr) -> TlsStream<TcpStream> {
    let mut client = Client::connect(address).await;
    client.send(&SslRequest::new()).await;
    let mut answer = [0];
    client
        .stream
        .read_exact(&mut answer)
        .await
        .expect("an answer");
    assert_eq!(answer, *b"S");
    let name = ServerName::try_from("localhost").expect("a name");
    let connected = connector().connect(name, client.stream).await;
    connected.expect("an encrypted connection")
}

fn encoded(message: &impl Message) -> BytesMut {
    let mut bytes = BytesMut::new();
    message.encode(&mut bytes).expect("an encoding");
    bytes
}

/// libpq 17 and later reports a cancel request as failed otherwise (psycopg's `cancel_safe`).
#[tokio::test]
async fn every_end_is_told_to_a_client_with_tls() {
    let roomy = server(with_tls(8), QueryOptions::default()).await;
    let full = server(with_tls(0), QueryOptions::default()).await;
    let check = async |address: SocketAddr, sent: &[u8], first_type: Option<u8>| {
        let mut stream = encrypted(address).await;
        stream.write_all(sent).await.expect("sent");
        let mut answer = Vec::new();
        let read = timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
        // Without the message that ends TLS this is `UnexpectedEof`.
        read.expect("an end in time").expect("an end in good order");
        assert_eq!(answer.first().copied(), first_type, "{answer:?}");
    };
    let cancels = encoded(&CancelRequest::new(1, SecretKey::I32(1)));
    let enters = encoded(&startup("public"));
    let is_nobody = encoded(&startup("root"));
    let mut leaves = enters.clone();
    leaves.extend_from_slice(b"X\0\0\0\x04");
    let mut is_wrong = enters.clone();
    is_wrong.extend_from_slice(b"?\0\0\0\x04");
    check(roomy, &cancels, None).await;
    check(full, &cancels, None).await;
    check(full, &enters, Some(b'E')).await;
    check(roomy, &is_nobody, Some(b'E')).await;
    check(roomy, &leaves, Some(b'R')).await;
    check(roomy, &is_wrong, Some(b'R')).await;
}

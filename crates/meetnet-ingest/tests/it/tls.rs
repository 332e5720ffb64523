//! `mqtts://`: certificates are checked against the given authority, in both protocol versions. Authority and broker
//! certificate are made for each test, by the system's `openssl`.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use meetnet_ingest::mqtt::{TlsIdentity, TlsRoots, check_tls_identity};
use meetnet_testkit::free_port;
use meetnet_testkit::mosquitto::TUNED;
use tempfile::TempDir;

use crate::daemon::Sync;
use crate::scene::{PROTOCOLS, Scene, numbers};

const OPENSSL_CONFIG: &str = "
[req]
prompt = no
distinguished_name = name
x509_extensions = authority
[name]
CN = a test of meetnet
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
[broker]
basicConstraints = critical, CA:FALSE
extendedKeyUsage = serverAuth
subjectAltName = IP:127.0.0.1
[client]
basicConstraints = critical, CA:FALSE
extendedKeyUsage = clientAuth
[other_name]
basicConstraints = critical, CA:FALSE
extendedKeyUsage = serverAuth
subjectAltName = DNS:broker.example.org
";

/// An authority, and the certificate it has signed for the broker.
struct Authority {
    folder: TempDir,
}

impl Authority {
    /// Makes both; the broker's certificate has the names of this section of the configuration. None where `openssl` is
    /// not installed.
    fn new(names: &str) -> Option<Self> {
        if Command::new("openssl").arg("version").output().is_err() {
            assert!(
                std::env::var_os("MEETNET_REQUIRE_MOSQUITTO").is_none(),
                "openssl is not installed"
            );
            println!("skipped: openssl is not installed");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("openssl.cnf"), OPENSSL_CONFIG).unwrap();
        let new_key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -config openssl.cnf";
        let openssl = |arguments: &str| openssl(folder.path(), arguments);
        openssl(&format!(
            "req -x509 {new_key} -days 2 -keyout ca.key -out ca.pem"
        ));
        openssl(&format!(
            "req -new {new_key} -subj /CN=meetnet-test-broker -keyout broker.key -out broker.csr"
        ));
        openssl(&format!(
            "x509 -req -in broker.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile openssl.cnf \
             -extensions {names} -out broker.pem"
        ));
        Some(Self { folder })
    }

    fn pem(&self) -> TlsRoots {
        TlsRoots::Pem(fs::read(self.folder.path().join("ca.pem")).unwrap())
    }

    /// Makes a certificate for a client, signed by this authority.
    fn client(&self) -> TlsIdentity {
        self.client_with("-extfile openssl.cnf -extensions client")
    }

    /// Does the same with such extensions; without any it is of X.509 version 1.
    fn client_with(&self, extensions: &str) -> TlsIdentity {
        let new_key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -config openssl.cnf";
        openssl(
            self.folder.path(),
            &format!(
                "req -new {new_key} -subj /CN=meetnet-test -keyout client.key -out client.csr"
            ),
        );
        openssl(
            self.folder.path(),
            &format!(
                "x509 -req -in client.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 {extensions} -out client.pem"
            ),
        );
        let read = |name: &str| fs::read(self.folder.path().join(name)).unwrap();
        TlsIdentity {
            certificates: read("client.pem"),
            key: read("client.key"),
        }
    }

    /// Starts a broker that speaks TLS with the certificate beside its plain listener, which stations use; the source
    /// speaks to the one with TLS.
    fn scene(&self) -> Option<Scene> {
        self.scene_with("")
    }

    /// Does the same with further settings of the listener with TLS.
    fn scene_with(&self, settings: &str) -> Option<Scene> {
        let port = free_port().unwrap();
        let folder = self.folder.path().display();
        let mut scene = Scene::new(&format!(
            "{TUNED}listener {port} 127.0.0.1\ncertfile {folder}/broker.pem\nkeyfile {folder}/broker.key\n\
             {settings}"
        ))?;
        scene.options.url = format!("mqtts://127.0.0.1:{port}").parse().unwrap();
        Some(scene)
    }
}

fn openssl(folder: &Path, arguments: &str) {
    let output = Command::new("openssl")
        .args(arguments.split_whitespace())
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments}: {said}");
}

#[test]
fn a_broker_whose_authority_is_given_is_subscribed_to() {
    let Some(authority) = Authority::new("broker") else {
        return;
    };
    for (protocol, name) in PROTOCOLS {
        let Some(mut scene) = authority.scene() else {
            return;
        };
        scene.options.protocol = protocol;
        scene.options.tls_roots = authority.pem();
        let mut daemon = scene.subscribe(Sync::Always);
        scene.publish(0..500);
        let status = daemon.wait("all acknowledged", |status| status.acked_total == 500);
        assert_eq!((status.protocol, status.reconnects_total), (Some(name), 0));
        assert_eq!(daemon.payloads(), numbers(0..500));
        daemon.stop();
    }
}

#[test]
fn websockets_go_over_tls_too() {
    let Some(authority) = Authority::new("broker") else {
        return;
    };
    for (protocol, name) in PROTOCOLS {
        let Some(mut scene) = authority.scene_with("protocol websockets\n") else {
            return;
        };
        let port = scene.options.url.port;
        scene.options.url = format!("wss://127.0.0.1:{port}/mqtt").parse().unwrap();
        scene.options.protocol = protocol;
        scene.options.tls_roots = authority.pem();
        let mut daemon = scene.subscribe(Sync::Always);
        scene.publish(0..500);
        let status = daemon.wait("all acknowledged", |status| status.acked_total == 500);
        assert_eq!(status.protocol, Some(name));
        assert_eq!(daemon.payloads(), numbers(0..500));
        daemon.stop();
    }
    // The certificate is looked at as it is without websockets.
    let (Some(mut scene), Some(other)) = (
        authority.scene_with("protocol websockets\n"),
        Authority::new("broker"),
    ) else {
        return;
    };
    let port = scene.options.url.port;
    scene.options.url = format!("wss://127.0.0.1:{port}/mqtt").parse().unwrap();
    scene.options.tls_roots = other.pem();
    let mut daemon = scene.start(Sync::Always);
    // Where the broker does not listen yet, that is the first error.
    daemon.wait("refused for its certificate", |status| {
        let error = status.last_error.as_ref();
        error.is_some_and(|error| error.message.contains("`tls_ca`"))
    });
    daemon.stop();
}

/// Nothing is ever subscribed to, and the source says why, in both protocol versions.
fn check_refused(authority: &Authority, roots: &TlsRoots, expected: &[&str]) {
    for (protocol, name) in PROTOCOLS {
        let Some(mut scene) = authority.scene() else {
            return;
        };
        scene.options.protocol = protocol;
        scene.options.tls_roots = roots.clone();
        let mut daemon = scene.start(Sync::Always);
        let status = daemon.wait("refused", |status| status.last_error.is_some());
        let message = status.last_error.unwrap().message;
        for part in expected {
            assert!(message.contains(part), "{name}: {message}");
        }
        assert!(!status.connected && !status.subscribed);
        daemon.stop();
    }
}

#[test]
fn a_broker_that_another_authority_has_signed_is_refused() {
    let (Some(authority), Some(other)) = (Authority::new("broker"), Authority::new("broker"))
    else {
        return;
    };
    let expected = ["certificate", "`tls_ca`"];
    check_refused(&authority, &other.pem(), &expected);
    // Nor do the system's authorities know it.
    check_refused(&authority, &TlsRoots::System, &["TLS"]);
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    let Some(authority) = Authority::new("other_name") else {
        return;
    };
    let expected = ["certificate", "127.0.0.1", "`url`"];
    check_refused(&authority, &authority.pem(), &expected);
}

#[test]
fn a_file_without_a_certificate_is_no_authority() {
    let Some(authority) = Authority::new("broker") else {
        return;
    };
    let nothing = TlsRoots::Pem(b"no certificate".to_vec());
    let expected = ["cannot set TLS up: the CA file holds no certificate"];
    check_refused(&authority, &nothing, &expected);
}

/// Settings of a listener that only takes clients with a certificate of the authority.
fn require_certificate(authority: &Authority) -> String {
    let folder = authority.folder.path().display();
    format!("cafile {folder}/ca.pem\nrequire_certificate true\n")
}

#[test]
fn a_broker_that_asks_for_a_certificate_is_shown_one() {
    let Some(authority) = Authority::new("broker") else {
        return;
    };
    let of_version_1 = authority.client_with("");
    for (protocol, name) in PROTOCOLS {
        // Of either version of certificates.
        let identity = match name {
            "mqtt-5" => authority.client(),
            _ => of_version_1.clone(),
        };
        let Some(mut scene) = authority.scene_with(&require_certificate(&authority)) else {
            return;
        };
        scene.options.protocol = protocol;
        scene.options.tls_roots = authority.pem();
        scene.options.tls_identity = Some(identity.clone());
        let mut daemon = scene.subscribe(Sync::Always);
        scene.publish(0..500);
        let status = daemon.wait("all acknowledged", |status| status.acked_total == 500);
        assert_eq!((status.protocol, status.reconnects_total), (Some(name), 0));
        assert_eq!(daemon.payloads(), numbers(0..500));
        daemon.stop();
    }
}

/// Nothing is ever subscribed to at a broker that asks for a certificate; the error says what `expected` is.
fn check_identity_refused(authority: &Authority, identity: Option<TlsIdentity>, expected: &str) {
    let Some(mut scene) = authority.scene_with(&require_certificate(authority)) else {
        return;
    };
    scene.options.tls_roots = authority.pem();
    scene.options.tls_identity = identity;
    let mut daemon = scene.start(Sync::Always);
    let status = daemon.wait("refused", |status| status.last_error.is_some());
    let message = status.last_error.unwrap().message;
    assert!(message.contains(expected), "{message}");
    assert!(!message.contains("PRIVATE"), "{message}");
    assert!(!status.connected && !status.subscribed);
    daemon.stop();
}

#[test]
fn without_the_right_certificate_the_broker_refuses() {
    let (Some(authority), Some(other)) = (Authority::new("broker"), Authority::new("broker"))
    else {
        return;
    };
    check_identity_refused(&authority, None, "");
    check_identity_refused(&authority, Some(other.client()), "");
    let own = authority.client();
    let mixed = TlsIdentity {
        key: other.client().key,
        ..own.clone()
    };
    check_identity_refused(&authority, Some(mixed), "`tls_key` is not the key of");
    let no_key = TlsIdentity {
        key: b"no key".to_vec(),
        ..own.clone()
    };
    check_identity_refused(
        &authority,
        Some(no_key),
        "`tls_key` holds no PEM private key",
    );
    let no_certificate = TlsIdentity {
        certificates: Vec::new(),
        ..own
    };
    check_identity_refused(
        &authority,
        Some(no_certificate),
        "the file of `tls_cert` holds no certificate",
    );
}

#[test]
fn a_certificate_and_its_key_are_told_from_others_without_connecting() {
    let Some(authority) = Authority::new("broker") else {
        return;
    };
    for extensions in ["-extfile openssl.cnf -extensions client", ""] {
        let own = authority.client_with(extensions);
        let other = authority.client_with(extensions);
        check_tls_identity(&own).unwrap_or_else(|error| panic!("{extensions}: {error}"));
        let mixed = TlsIdentity {
            key: other.key,
            ..own
        };
        let error = check_tls_identity(&mixed).unwrap_err().to_string();
        let expected =
            "cannot set TLS up: `tls_key` is not the key of the first certificate in `tls_cert`";
        assert!(error.starts_with(expected), "{extensions}: {error}");
    }
    // The key of an authority where its certificate should be.
    let key = fs::read(authority.folder.path().join("ca.key")).unwrap();
    let error = meetnet_ingest::mqtt::tls_client(&TlsRoots::Pem(key)).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("holds a private key and no certificate"),
        "{error}"
    );
}

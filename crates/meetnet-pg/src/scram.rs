//! SCRAM-SHA-256 (RFC 5802, RFC 7677) from the server's side, without channel binding. No I/O and no clock.
//!
//! A user that does not exist is asked in the same way, with a salt that stays the same: who tries names learns nothing.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The name of the mechanism.
pub(crate) const MECHANISM: &str = "SCRAM-SHA-256";

/// As PostgreSQL does by default.
const ITERATIONS: u32 = 4096;
const SALT_BYTES: usize = 16;
const NONCE_BYTES: usize = 18;

type Key = [u8; 32];

/// What the server keeps of a password.
#[derive(Clone)]
pub(crate) struct Verifier {
    salt: [u8; SALT_BYTES],
    stored_key: Key,
    server_key: Key,
}

impl Verifier {
    /// Makes the verifier of a password under a new salt.
    pub(crate) fn new(password: &str) -> Self {
        Self::salted(password, rand::random())
    }

    fn salted(password: &str, salt: [u8; SALT_BYTES]) -> Self {
        let salted = salted_password(password.as_bytes(), &salt);
        let client_key = hmac(&salted, &[b"Client Key"]);
        Self {
            salt,
            stored_key: Sha256::digest(client_key).into(),
            server_key: hmac(&salted, &[b"Server Key"]),
        }
    }

    /// Makes one that no password fits, for a user that does not exist.
    pub(crate) fn of_nobody(secret: &Key, user: &str) -> Self {
        let made = hmac(secret, &[user.as_bytes()]);
        let mut salt = [0; SALT_BYTES];
        salt.copy_from_slice(&made[..SALT_BYTES]);
        Self {
            salt,
            stored_key: rand::random(),
            server_key: rand::random(),
        }
    }
}

/// An exchange after the client's first message.
pub(crate) struct Exchange {
    verifier: Verifier,
    gs2_header: String,
    client_first_bare: String,
    server_first: String,
    nonce: String,
}

/// Why a password was not accepted; the client only learns that it was not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScramError {
    /// The message is not what the RFC says.
    Malformed,
    /// The proof is of another password.
    WrongPassword,
}

impl Exchange {
    /// Reads the client's first message; returns what to answer, too.
    pub(crate) fn begin(verifier: Verifier, message: &[u8]) -> Result<(Self, String), ScramError> {
        let nonce: [u8; NONCE_BYTES] = rand::random();
        Self::begin_with(verifier, message, &STANDARD.encode(nonce))
    }

    fn begin_with(
        verifier: Verifier,
        message: &[u8],
        server_nonce: &str,
    ) -> Result<(Self, String), ScramError> {
        let message = std::str::from_utf8(message).map_err(|_| ScramError::Malformed)?;
        // `n,,` without channel binding, `y,,` where the client believes that we have none, which is so.
        let bare = message
            .strip_prefix("n,,")
            .or_else(|| message.strip_prefix("y,,"))
            .ok_or(ScramError::Malformed)?;
        let mut parts = bare.split(',');
        // PostgreSQL takes the user of the startup message.
        let name = parts.next().and_then(|part| part.strip_prefix("n="));
        let client_nonce = parts.next().and_then(|part| part.strip_prefix("r="));
        let (Some(_), Some(client_nonce)) = (name, client_nonce) else {
            return Err(ScramError::Malformed);
        };
        if client_nonce.is_empty() {
            return Err(ScramError::Malformed);
        }
        let nonce = format!("{client_nonce}{server_nonce}");
        let salt = STANDARD.encode(verifier.salt);
        let server_first = format!("r={nonce},s={salt},i={ITERATIONS}");
        let exchange = Self {
            verifier,
            gs2_header: message[..message.len() - bare.len()].to_owned(),
            client_first_bare: bare.to_owned(),
            server_first: server_first.clone(),
            nonce,
        };
        Ok((exchange, server_first))
    }

    /// Reads the client's last message; returns the server's proof, where the password is the right one.
    pub(crate) fn finish(self, message: &[u8]) -> Result<String, ScramError> {
        let message = std::str::from_utf8(message).map_err(|_| ScramError::Malformed)?;
        let (without_proof, proof) = message.rsplit_once(",p=").ok_or(ScramError::Malformed)?;
        let mut parts = without_proof.split(',');
        let binding = parts.next().and_then(|part| part.strip_prefix("c="));
        let nonce = parts.next().and_then(|part| part.strip_prefix("r="));
        if binding != Some(STANDARD.encode(&self.gs2_header).as_str())
            || nonce != Some(self.nonce.as_str())
        {
            return Err(ScramError::Malformed);
        }
        let proof = STANDARD.decode(proof).map_err(|_| ScramError::Malformed)?;
        let proof: Key = proof.try_into().map_err(|_| ScramError::Malformed)?;
        let parts: [&[u8]; 5] = [
            self.client_first_bare.as_bytes(),
            b",",
            self.server_first.as_bytes(),
            b",",
            without_proof.as_bytes(),
        ];
        let signature = hmac(&self.verifier.stored_key, &parts);
        let mut client_key = proof;
        for (byte, signed) in client_key.iter_mut().zip(signature) {
            *byte ^= signed;
        }
        let found: Key = Sha256::digest(client_key).into();
        if !bool::from(found.ct_eq(&self.verifier.stored_key)) {
            return Err(ScramError::WrongPassword);
        }
        let server = hmac(&self.verifier.server_key, &parts);
        Ok(format!("v={}", STANDARD.encode(server)))
    }
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> Key {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// PBKDF2 with HMAC-SHA-256, one block.
fn salted_password(password: &[u8], salt: &[u8]) -> Key {
    let mut block = hmac(password, &[salt, &1_u32.to_be_bytes()]);
    let mut salted = block;
    for _ in 1..ITERATIONS {
        block = hmac(password, &[&block]);
        for (byte, next) in salted.iter_mut().zip(block) {
            *byte ^= next;
        }
    }
    salted
}

#[cfg(test)]
mod tests;

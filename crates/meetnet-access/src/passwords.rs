//! Passwords that come as they are, for protocols that send them so. Those of PostgreSQL are proven instead (SCRAM).

use std::collections::HashMap;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::User;

/// What is kept of the passwords of users: hashes under a salt of this process. No clock and no I/O.
pub struct Passwords {
    salt: [u8; 32],
    known: HashMap<String, [u8; 32]>,
    /// Fits no password.
    nobody: [u8; 32],
}

impl Passwords {
    /// Hashes the passwords of `users`.
    pub fn new(users: &[User]) -> Self {
        let salt: [u8; 32] = rand::random();
        let known = users.iter();
        let known = known.map(|user| (user.name.clone(), hash(&salt, &user.password)));
        Self {
            salt,
            known: known.collect(),
            nobody: rand::random(),
        }
    }

    /// Returns true where there is such a user with this password. It takes as long where there is no such user: who
    /// tries names learns nothing.
    pub fn fits(&self, name: &str, password: &str) -> bool {
        let known = self.known.get(name).unwrap_or(&self.nobody);
        bool::from(hash(&self.salt, password).ct_eq(known))
    }
}

fn hash(salt: &[u8; 32], password: &str) -> [u8; 32] {
    let hash = Sha256::new().chain_update(salt);
    hash.chain_update(password.as_bytes()).finalize().into()
}

#[cfg(test)]
mod tests;

//! The user-based security model of SNMP v3 (RFC 3414, 3826, 7860), from the side of who receives: keys from passwords, the
//! signature of a message, its secrecy, and that an old message is not sent again.
//!
//! The sender of a trap is its own authority: its engine's id, boots and time stand in the message. Keys longer than the hash
//! (AES-192 and AES-256 over MD5 or SHA-1) have no standard and are not supported.

use std::collections::HashMap;
use std::fmt;

use aes::{Aes128, Aes192, Aes256};
use cbc::cipher::{AsyncStreamCipher, BlockDecryptMut, KeyIvInit, block_padding::NoPadding};
use hmac::digest::{Digest, KeyInit, Mac};
use hmac::{Hmac, SimpleHmac};
use md5::Md5;
use sha1::Sha1;
use sha2::{Sha224, Sha256, Sha384, Sha512};
use snmp_parser::{HeaderData, ScopedPduData, UsmSecurityParameters};

use super::packet::signature_place;

/// Seconds that a message may be older than the newest one of its engine.
const WINDOW_SECONDS: u32 = 150;
/// Engines remembered.
const MOST_ENGINES: usize = 4096;
/// Bytes of a password repeated for its key (RFC 3414, A.2).
const STRETCHED: usize = 1 << 20;

/// How messages are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthProtocol {
    None,
    Md5,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

/// How messages are kept secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privacy {
    None,
    Des,
    Aes128,
    Aes192,
    Aes256,
}

impl AuthProtocol {
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word.to_ascii_lowercase().as_str() {
            "none" => Self::None,
            "md5" => Self::Md5,
            "sha" | "sha1" => Self::Sha1,
            "sha224" => Self::Sha224,
            "sha256" => Self::Sha256,
            "sha384" => Self::Sha384,
            "sha512" => Self::Sha512,
            _ => return None,
        })
    }

    /// Bytes of the signature in a message.
    fn signature_bytes(self) -> usize {
        match self {
            Self::None => 0,
            Self::Md5 | Self::Sha1 => 12,
            Self::Sha224 => 16,
            Self::Sha256 => 24,
            Self::Sha384 => 32,
            Self::Sha512 => 48,
        }
    }

    fn key(self, password: &[u8]) -> Vec<u8> {
        match self {
            Self::None => Vec::new(),
            Self::Md5 => stretch::<Md5>(password),
            Self::Sha1 => stretch::<Sha1>(password),
            Self::Sha224 => stretch::<Sha224>(password),
            Self::Sha256 => stretch::<Sha256>(password),
            Self::Sha384 => stretch::<Sha384>(password),
            Self::Sha512 => stretch::<Sha512>(password),
        }
    }

    fn localized(self, key: &[u8], engine: &[u8]) -> Vec<u8> {
        match self {
            Self::None => Vec::new(),
            Self::Md5 => localize::<Md5>(key, engine),
            Self::Sha1 => localize::<Sha1>(key, engine),
            Self::Sha224 => localize::<Sha224>(key, engine),
            Self::Sha256 => localize::<Sha256>(key, engine),
            Self::Sha384 => localize::<Sha384>(key, engine),
            Self::Sha512 => localize::<Sha512>(key, engine),
        }
    }

    /// Whether a message, whose signature was blanked, has this signature. In constant time.
    fn verifies(self, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
        if signature.len() != self.signature_bytes() {
            return false;
        }
        match self {
            Self::None => false,
            Self::Md5 => signed::<SimpleHmac<Md5>>(key, message, signature),
            Self::Sha1 => signed::<SimpleHmac<Sha1>>(key, message, signature),
            Self::Sha224 => signed::<Hmac<Sha224>>(key, message, signature),
            Self::Sha256 => signed::<Hmac<Sha256>>(key, message, signature),
            Self::Sha384 => signed::<Hmac<Sha384>>(key, message, signature),
            Self::Sha512 => signed::<Hmac<Sha512>>(key, message, signature),
        }
    }
}

impl Privacy {
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word.to_ascii_lowercase().as_str() {
            "none" => Self::None,
            "des" => Self::Des,
            "aes" | "aes128" => Self::Aes128,
            "aes192" => Self::Aes192,
            "aes256" => Self::Aes256,
            _ => return None,
        })
    }

    fn key_bytes(self) -> usize {
        match self {
            Self::None => 0,
            Self::Des | Self::Aes128 => 16,
            Self::Aes192 => 24,
            Self::Aes256 => 32,
        }
    }

    fn decrypt(self, key: &[u8], boots: u32, time: u32, salt: &[u8], secret: &[u8]) -> Option<Vec<u8>> {
        if salt.len() != 8 {
            return None;
        }
        let key = key.get(..self.key_bytes())?;
        if self == Self::Des {
            // The second half of the key makes the first block's salt (RFC 3414, 8.1.1.1).
            let (key, before) = key.split_at(8);
            let iv: Vec<u8> = before.iter().zip(salt).map(|(one, other)| one ^ other).collect();
            let cipher = cbc::Decryptor::<des::Des>::new_from_slices(key, &iv).ok()?;
            return cipher.decrypt_padded_vec_mut::<NoPadding>(secret).ok();
        }
        let mut iv = [0_u8; 16];
        iv[..4].copy_from_slice(&boots.to_be_bytes());
        iv[4..8].copy_from_slice(&time.to_be_bytes());
        iv[8..].copy_from_slice(salt);
        let mut plain = secret.to_vec();
        match self {
            Self::Aes128 => cfb_mode::Decryptor::<Aes128>::new_from_slices(key, &iv)
                .ok()?
                .decrypt(&mut plain),
            Self::Aes192 => cfb_mode::Decryptor::<Aes192>::new_from_slices(key, &iv)
                .ok()?
                .decrypt(&mut plain),
            Self::Aes256 => cfb_mode::Decryptor::<Aes256>::new_from_slices(key, &iv)
                .ok()?
                .decrypt(&mut plain),
            Self::None | Self::Des => return None,
        }
        Some(plain)
    }
}

fn stretch<D: Digest>(password: &[u8]) -> Vec<u8> {
    let mut digest = D::new();
    let mut left = STRETCHED;
    while left > 0 && !password.is_empty() {
        let part = password.get(..password.len().min(left)).unwrap_or(password);
        Digest::update(&mut digest, part);
        left -= part.len();
    }
    digest.finalize().to_vec()
}

fn localize<D: Digest>(key: &[u8], engine: &[u8]) -> Vec<u8> {
    D::new()
        .chain_update(key)
        .chain_update(engine)
        .chain_update(key)
        .finalize()
        .to_vec()
}

fn signed<M: Mac + KeyInit>(key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    match <M as KeyInit>::new_from_slice(key) {
        Ok(mut mac) => {
            Mac::update(&mut mac, message);
            mac.verify_truncated_left(signature).is_ok()
        }
        Err(_) => false,
    }
}

/// A user whose traps are taken. Passwords are turned into keys at once and not kept.
#[derive(Clone)]
pub struct User {
    name: String,
    auth: AuthProtocol,
    auth_key: Vec<u8>,
    privacy: Privacy,
    privacy_key: Vec<u8>,
}

impl fmt::Debug for User {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("User")
            .field("name", &self.name)
            .field("auth", &self.auth)
            .field("privacy", &self.privacy)
            .finish_non_exhaustive()
    }
}

/// Why a user cannot be one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadUser {
    #[error("the password of SNMP user {0:?} has fewer than 8 characters, which SNMP v3 does not allow")]
    Short(String),
    #[error(
        "SNMP user {0:?}: this privacy needs a longer key than the hash gives; use sha256 or more, or aes128"
    )]
    Key(String),
}

impl User {
    /// # Errors
    /// A password of fewer than 8 characters (RFC 3414, 11.2), or a hash too short for the cipher's key.
    pub fn new(
        name: &str,
        (auth, auth_password): (AuthProtocol, &str),
        (privacy, privacy_password): (Privacy, &str),
    ) -> Result<Self, BadUser> {
        let short = |wanted: bool, password: &str| wanted && password.len() < 8;
        if short(auth != AuthProtocol::None, auth_password)
            || short(privacy != Privacy::None, privacy_password)
        {
            return Err(BadUser::Short(name.to_owned()));
        }
        let auth_key = auth.key(auth_password.as_bytes());
        let privacy_key = match privacy {
            Privacy::None => Vec::new(),
            _ => auth.key(privacy_password.as_bytes()),
        };
        if privacy_key.len() < privacy.key_bytes() {
            return Err(BadUser::Key(name.to_owned()));
        }
        Ok(Self {
            name: name.to_owned(),
            auth,
            auth_key,
            privacy,
            privacy_key,
        })
    }
}

/// Why a message of v3 is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAuthentic {
    #[error("there is no such user in [[snmp_users]]")]
    User,
    #[error("it is less protected than the user's messages must be")]
    Level,
    #[error("its signature is wrong: another password, or not from them")]
    Signature,
    #[error(
        "it is older than what was received before: sent again by somebody, or the device's clock was set back"
    )]
    Old,
    #[error("its content cannot be decrypted: another password or cipher")]
    Secret,
}

/// The users, and what is remembered of engines.
#[derive(Debug, Default)]
pub struct Users {
    list: Vec<User>,
    /// By engine id: boots, and the latest time seen.
    engines: HashMap<Vec<u8>, (u32, u32)>,
}

/// What came of a check.
pub(super) struct Checked {
    pub(super) authentic: bool,
    /// What was secret.
    pub(super) plain: Option<Vec<u8>>,
}

impl Users {
    pub fn new(list: Vec<User>) -> Self {
        Self {
            list,
            engines: HashMap::new(),
        }
    }

    pub(super) fn check(
        &mut self,
        bytes: &[u8],
        header: &HeaderData,
        security: &UsmSecurityParameters<'_>,
        data: &ScopedPduData<'_>,
    ) -> Result<Checked, NotAuthentic> {
        let user = self
            .list
            .iter()
            .find(|user| user.name == security.msg_user_name)
            .ok_or(NotAuthentic::User)?;
        let wanted = (user.auth != AuthProtocol::None, user.privacy != Privacy::None);
        let given = (header.is_authenticated(), header.is_encrypted());
        if (wanted.0 && !given.0) || (wanted.1 && !given.1) || (given.1 && !given.0) {
            return Err(NotAuthentic::Level);
        }
        // More protection than the user was given keys for.
        if (given.0 && !wanted.0) || (given.1 && !wanted.1) {
            return Err(NotAuthentic::Level);
        }
        if !given.0 {
            return Ok(Checked {
                authentic: false,
                plain: None,
            });
        }
        let engine = security.msg_authoritative_engine_id;
        let key = user.auth.localized(&user.auth_key, engine);
        let place = signature_place(bytes, security).ok_or(NotAuthentic::Signature)?;
        let mut blanked = bytes.to_vec();
        blanked.get_mut(place).ok_or(NotAuthentic::Signature)?.fill(0);
        let signature = security.msg_authentication_parameters;
        if !user.auth.verifies(&key, &blanked, signature) {
            return Err(NotAuthentic::Signature);
        }
        let (boots, time) = (
            security.msg_authoritative_engine_boots,
            security.msg_authoritative_engine_time,
        );
        let plain = match data {
            ScopedPduData::Plaintext(_) => None,
            ScopedPduData::Encrypted(secret) => {
                let key = user.auth.localized(&user.privacy_key, engine);
                let salt = security.msg_privacy_parameters;
                let plain = user.privacy.decrypt(&key, boots, time, salt, secret);
                Some(plain.ok_or(NotAuthentic::Secret)?)
            }
        };
        self.remember(engine, boots, time)?;
        Ok(Checked {
            authentic: true,
            plain,
        })
    }

    /// RFC 3414, 3.2.7 b: the receiver's notion of the sender's clock only goes forward.
    fn remember(&mut self, engine: &[u8], boots: u32, time: u32) -> Result<(), NotAuthentic> {
        if let Some((known_boots, latest)) = self.engines.get_mut(engine) {
            if boots < *known_boots
                || (boots == *known_boots && time.saturating_add(WINDOW_SECONDS) < *latest)
                || boots >= i32::MAX as u32
            {
                return Err(NotAuthentic::Old);
            }
            *latest = if boots > *known_boots {
                time
            } else {
                time.max(*latest)
            };
            *known_boots = boots;
            return Ok(());
        }
        if self.engines.len() >= MOST_ENGINES {
            // Only senders that know a password get here.
            self.engines.clear();
        }
        self.engines.insert(engine.to_vec(), (boots, time));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3414, A.3: password "maplesyrup", engine 000000000000000000000002.
    #[test]
    fn keys_are_those_of_the_standard() {
        let engine = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
        for (protocol, key, local) in [
            (
                AuthProtocol::Md5,
                "9faf3283884e92834ebc9847d8edd963",
                "526f5eed9fcce26f8964c2930787d82b",
            ),
            (
                AuthProtocol::Sha1,
                "9fb5cc0381497b3793528939ff788d5d79145211",
                "6695febc9288e36282235fc7151f128497b38f3f",
            ),
        ] {
            let made = protocol.key(b"maplesyrup");
            assert_eq!(super::super::packet::hexadecimal(&made), key);
            let localized = protocol.localized(&made, &engine);
            assert_eq!(super::super::packet::hexadecimal(&localized), local);
        }
    }

    #[test]
    fn an_engine_s_clock_only_goes_forward() {
        let mut users = Users::default();
        let engine = b"engine";
        assert_eq!(users.remember(engine, 3, 1000), Ok(()));
        assert_eq!(users.remember(engine, 3, 900), Ok(()), "within the window");
        assert_eq!(users.remember(engine, 3, 849), Err(NotAuthentic::Old));
        assert_eq!(users.remember(engine, 4, 0), Ok(()), "it was restarted");
        assert_eq!(users.remember(engine, 3, 2000), Err(NotAuthentic::Old));
    }

    #[test]
    fn a_user_needs_a_password_and_a_hash_that_fills_the_key() {
        let secret = "correct horse";
        assert!(matches!(
            User::new("a", (AuthProtocol::Sha1, "short"), (Privacy::None, "")),
            Err(BadUser::Short(_))
        ));
        assert!(matches!(
            User::new("a", (AuthProtocol::Sha1, secret), (Privacy::Aes256, secret)),
            Err(BadUser::Key(_))
        ));
        let user = User::new("a", (AuthProtocol::Sha256, secret), (Privacy::Aes256, secret)).expect("a user");
        assert!(!format!("{user:?}").contains("key"), "{user:?}");
    }

    #[test]
    fn the_number_of_engines_is_bounded() {
        let mut users = Users::default();
        for engine in 0..10_000_u32 {
            assert_eq!(users.remember(&engine.to_be_bytes(), 1, 1), Ok(()));
        }
        assert!(users.engines.len() <= MOST_ENGINES);
    }
}

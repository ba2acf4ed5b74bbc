//! Phone numbers in the ledger: evidence and entries hold a token, HMAC-SHA-256(key, number) cut to 16 bytes, in the place
//! of each number; the numbers themselves stand in a side table that can be emptied (design.md §8).
//!
//! The one invariant: forgetting a number changes no hash and no charge. A number that was forgotten comes back as its
//! token (`hmac:` and 32 hexadecimal digits), which stands for the same caller as before, and is stored as that token again.
//! Sixteen bytes are plenty: two of a thousand million numbers share a token with a chance of one in 10^20.
//!
//! Extensions (at most six digits that are no E.164 number) are no personal numbers of callers and stay as they are.

use super::chain::hex;
use super::error::{LedgerError, Result};
use crate::units::E164;
use hmac::{Hmac, KeyInit, Mac};
use rusqlite::{Connection, OptionalExtension};
use sha2::Sha256;
use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// What stands before the digits of a token where it takes a number's place.
const TOKEN_PREFIX: &str = "hmac:";

/// How many numbers are remembered as stored, before all are looked up anew: 2 MiB for each of the two kinds at most.
const KNOWN_NUMBERS: usize = 32_768;
const KNOWN_TEXTS: usize = 8_192;

/// How many tokens are remembered with their numbers when reading.
const KNOWN_TOKENS: usize = 4_096;

/// The secret that makes tokens of numbers. Belongs to the backup of the ledger.
#[derive(Clone)]
pub struct NumberKey {
    mac: Hmac<Sha256>,
}

impl fmt::Debug for NumberKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NumberKey")
    }
}

impl NumberKey {
    /// From 32 bytes.
    #[must_use]
    pub fn new(key: [u8; 32]) -> Self {
        Self { mac: Hmac::new_from_slice(&key).expect("HMAC takes keys of any length") }
    }

    /// Reads a key file, or makes one (mode 0600, from the kernel's random numbers) where there is none.
    ///
    /// # Errors
    /// When it cannot be read or made, holds anything but 64 hexadecimal digits, or is open to others than its owner.
    pub fn from_file(path: &Path) -> Result<Self> {
        let wrong = |what: String| LedgerError::KeyFile { path: path.into(), what };
        match fs::read_to_string(path) {
            Ok(text) => {
                let mode = fs::metadata(path)?.permissions().mode();
                if mode & 0o077 != 0 {
                    return Err(wrong(format!("has mode {:04o}, it should be 0600: it is a secret", mode & 0o7777)));
                }
                let key = unhex(text.trim()).ok_or_else(|| wrong("should hold 64 hexadecimal digits".into()))?;
                Ok(Self::new(key))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make_key(path).map(Self::new).map_err(|error| wrong(format!("cannot be made: {error}")))
            }
            Err(error) => Err(wrong(format!("cannot be read: {error}"))),
        }
    }

    /// The token of a number.
    #[must_use]
    pub fn token(&self, number: &str) -> Token {
        Token(self.cut(number.as_bytes()))
    }

    /// What the ledger keeps to know the key again.
    pub(super) fn check(&self) -> [u8; 16] {
        self.cut(b"taktd: the key of this ledger")
    }

    fn cut(&self, bytes: &[u8]) -> [u8; 16] {
        let whole: [u8; 32] = self.mac.clone().chain_update(bytes).finalize().into_bytes().into();
        let mut token = [0; 16];
        token.copy_from_slice(&whole[..16]);
        token
    }
}

/// Writes a new key so that a crash leaves either none or a whole one.
fn make_key(path: &Path) -> io::Result<[u8; 32]> {
    let mut key = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut key)?;
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let temporary = Path::new(&name);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(temporary)?;
    file.write_all(hex(&key).as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    // A link fails where a file stands: two first starts at once agree on one key or one of them fails.
    let linked = fs::hard_link(temporary, path);
    fs::remove_file(temporary)?;
    linked?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()?;
    Ok(key)
}

/// What stands in the place of a number under the hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub(super) [u8; 16]);

impl Token {
    /// From the text that stands for a forgotten number; `None` if it is not that.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(TOKEN_PREFIX)?;
        let lower = digits.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        if lower { unhex(digits).map(Self) } else { None }
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{TOKEN_PREFIX}{}", hex(&self.0))
    }
}

/// Whether a text is an extension: it stays as it is.
pub(super) fn is_extension(text: &str) -> bool {
    text.len() <= 6 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a text is a number that was forgotten.
#[must_use]
pub fn is_forgotten(text: &str) -> bool {
    Token::parse(text).is_some()
}

/// The writing side: makes tokens and puts each number into the side table once.
#[derive(Debug)]
pub(super) struct Tokens {
    key: NumberKey,
    numbers: HashMap<E164, Known>,
    texts: HashMap<Box<str>, Known>,
    scratch: String,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    token: Token,
    day: i64,
}

impl Tokens {
    pub fn new(key: NumberKey) -> Self {
        Self { key, numbers: HashMap::new(), texts: HashMap::new(), scratch: String::new() }
    }

    pub const fn key(&self) -> &NumberKey {
        &self.key
    }

    /// After a rollback, what was remembered as stored may not be.
    pub fn forget(&mut self) {
        self.numbers.clear();
        self.texts.clear();
    }

    /// The token of a number that a call of this day has.
    pub fn number(&mut self, db: &Connection, number: E164, day: i64) -> Result<Token> {
        if let Some(known) = self.numbers.get(&number).filter(|known| known.day >= day) {
            return Ok(known.token);
        }
        self.scratch.clear();
        // Writing into a String cannot fail.
        let _ = write!(self.scratch, "{number}");
        let token = self.key.token(&self.scratch);
        store(db, token, &self.scratch, day)?;
        if self.numbers.len() >= KNOWN_NUMBERS {
            self.numbers.clear();
        }
        self.numbers.insert(number, Known { token, day });
        Ok(token)
    }

    /// The token of digits that are no E.164 number; of a forgotten number, the one it had.
    pub fn text(&mut self, db: &Connection, text: &str, day: i64) -> Result<Token> {
        if let Some(known) = self.texts.get(text).filter(|known| known.day >= day) {
            return Ok(known.token);
        }
        if let Some(token) = Token::parse(text) {
            return Ok(token);
        }
        let token = self.key.token(text);
        store(db, token, text, day)?;
        if self.texts.len() >= KNOWN_TEXTS {
            self.texts.clear();
        }
        self.texts.insert(text.into(), Known { token, day });
        Ok(token)
    }
}

fn store(db: &Connection, token: Token, number: &str, day: i64) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO number (token, number, day) SELECT ?1, ?2, ?3
         WHERE ?3 >= (SELECT forgotten FROM state) AND NOT EXISTS (SELECT 1 FROM erased WHERE token = ?1 AND day >= ?3)
         ON CONFLICT (token) DO UPDATE SET day = excluded.day WHERE excluded.day > day",
    )?
    .execute((token.0, number, day))?;
    Ok(())
}

/// The reading side: finds the number of a token, if it is not forgotten.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    known: HashMap<Token, Option<Box<str>>>,
}

impl Numbers {
    /// The number as it was received, or the token's own text.
    pub fn text(&mut self, db: &Connection, token: Token) -> Result<Box<str>> {
        Ok(self.find(db, token)?.map_or_else(|| token.to_string().into(), Into::into))
    }

    /// The number as E.164; `None` if it is none, or forgotten.
    pub fn number(&mut self, db: &Connection, token: Token) -> Result<Option<E164>> {
        Ok(self.find(db, token)?.and_then(|text| E164::from_digits(text.strip_prefix('+')?.as_bytes())))
    }

    /// The number as it was received, if it is not forgotten.
    pub fn known(&mut self, db: &Connection, token: Token) -> Result<Option<Box<str>>> {
        Ok(self.find(db, token)?.map(Into::into))
    }

    /// What was read may be forgotten by now.
    pub fn forget(&mut self) {
        self.known.clear();
    }

    fn find(&mut self, db: &Connection, token: Token) -> Result<Option<&str>> {
        if !self.known.contains_key(&token) {
            let found: Option<Box<str>> = db
                .prepare_cached("SELECT number FROM number WHERE token = ?1")?
                .query_row([token.0], |row| row.get::<_, String>(0))
                .optional()?
                .map(Into::into);
            if self.known.len() >= KNOWN_TOKENS {
                self.known.clear();
            }
            self.known.insert(token, found);
        }
        Ok(self.known.get(&token).and_then(Option::as_deref))
    }
}

fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != N.checked_mul(2)? {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digits = std::str::from_utf8(pair).ok().filter(|pair| pair.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
        *byte = u8::from_str_radix(digits, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_the_cut_hmac() {
        // RFC 4231, test case 2, with the key padded: the padding of HMAC makes it the same key.
        let mut key = [0; 32];
        key[..4].copy_from_slice(b"Jefe");
        let token = NumberKey::new(key).token("what do ya want for nothing?");
        assert_eq!(token.to_string(), "hmac:5bdcc146bf60754e6a042426089575c7");
        assert_eq!(Token::parse(&token.to_string()), Some(token));
        for text in ["", "hmac:", "hmac:5bdcc146bf60754e6a042426089575c", "hmac:5BDCC146BF60754E6A042426089575C7", "+4989123"] {
            assert_eq!(Token::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_key_file_is_made_once_and_kept_secret() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("number.key");
        let made = NumberKey::from_file(&path).expect("made");
        let read = NumberKey::from_file(&path).expect("read");
        assert_eq!(made.token("1"), read.token("1"));
        assert_eq!(fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1, "no temporary file is left");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("a file");
        assert!(NumberKey::from_file(&path).expect_err("open to all").to_string().contains("0600"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a file");
        fs::write(&path, "short").expect("a file");
        assert!(NumberKey::from_file(&path).expect_err("no key").to_string().contains("64 hexadecimal"));
    }

    #[test]
    fn extensions_are_no_numbers() {
        for (text, extension) in [("", true), ("201", true), ("123456", true), ("1234567", false), ("alice", false), ("+49", false)] {
            assert_eq!(is_extension(text), extension, "{text}");
        }
    }
}

//! Who may ask: whoever has the token, over TLS where a certificate is configured.
//!
//! The one invariant: neither an answer nor the time that it takes tells how much of a guess was right.

use super::{HttpState, problem};
use crate::sources::tls::Tls;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use sha2::{Digest, Sha256};

/// A value of the header Authorization that is let in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Pass([u8; 32]);

impl Pass {
    /// The shortest token that nobody guesses, in octets.
    pub const SHORTEST: usize = 16;

    /// A token (RFC 6750 §2.1).
    #[must_use]
    pub fn bearer(token: &str) -> Self {
        Self(Sha256::digest(format!("Bearer {token}")).into())
    }

    /// A user and password (RFC 7617).
    #[must_use]
    pub fn basic(user: &str, password: &str) -> Self {
        let value = format!("Basic {}", base64(format!("{user}:{password}").as_bytes()));
        Self(Sha256::digest(value).into())
    }

    /// Whether these headers carry it. Digests are compared: how far a guess is right does not show in the time it takes.
    pub(super) fn is_shown(self, headers: &HeaderMap) -> bool {
        headers.get(header::AUTHORIZATION).is_some_and(|value| <[u8; 32]>::from(Sha256::digest(value.as_bytes())) == self.0)
    }

    /// The answer where it was not.
    pub(super) fn refused(what: &str, challenge: &'static str) -> Response {
        let mut response = problem(StatusCode::UNAUTHORIZED, what);
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        response
    }
}

/// What a port asks of those who come.
#[derive(Default)]
pub struct Guard {
    /// The pass; `None`: nobody is asked.
    pub pass: Option<Pass>,
    /// The certificate; `None`: no TLS.
    pub tls: Option<Tls>,
}

/// Health is told to everybody: it says nothing of a call. All else to those with the pass.
pub(super) async fn ask(State((state, pass)): State<(HttpState, Option<Pass>)>, request: Request, next: Next) -> Response {
    let open = matches!(request.uri().path(), "/healthz" | "/readyz");
    if !open && pass.is_some_and(|pass| !pass.is_shown(request.headers())) {
        state.metrics.http_unauthorised.inc();
        return Pass::refused("a token is needed; send `Authorization: Bearer TOKEN`", "Bearer realm=\"taktd\"");
    }
    next.run(request).await
}

/// RFC 4648 §4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = usize::try_from(bits >> (18 - 6 * place) & 63).unwrap_or(0);
            text.push(if place <= chunk.len() { char::from(DIGITS.get(digit).copied().unwrap_or(b'=')) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_rfc_4648() {
        for (text, expected) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(text.as_bytes()), expected);
        }
        assert!(Pass::basic("a", "b") == Pass(Sha256::digest("Basic YTpi").into()));
    }
}

//! The certificate that agents see, read from files.
//!
//! The one invariant: what cannot be used is told when the daemon starts, with the file, and never when an agent connects.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig, crypto::ring};

/// A certificate and its key.
pub struct Tls(Arc<ServerConfig>);

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is not there or holds something else.
    #[error("{}: {what}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// Certificate and key do not go together, or are none that TLS knows.
    #[error("{} and {}: {source}", cert.display(), key.display())]
    Pair {
        /// The certificates.
        cert: PathBuf,
        /// The key.
        key: PathBuf,
        /// Why.
        source: rustls::Error,
    },
}

impl Tls {
    /// Shakes hands with those who connect.
    #[must_use]
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.0))
    }

    /// Reads a chain of certificates and the key of the first, both PEM.
    ///
    /// # Errors
    /// When a file cannot be read, holds none, or they do not go together.
    pub fn read(cert: &Path, key: &Path) -> Result<Self, TlsError> {
        let failed = |path: &Path, what: String| TlsError::File { path: path.to_owned(), what };
        let chain = CertificateDer::pem_file_iter(cert).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let chain = chain.map_err(|error| failed(cert, format!("{error}; it should hold certificates (PEM)")))?;
        if chain.is_empty() {
            return Err(failed(cert, "found no certificate (PEM)".to_owned()));
        }
        let private =
            PrivateKeyDer::from_pem_file(key).map_err(|error| failed(key, format!("{error}; it should hold a private key (PEM)")))?;
        let pair = |source| TlsError::Pair { cert: cert.to_owned(), key: key.to_owned(), source };
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider())).with_safe_default_protocol_versions();
        let config = config.map_err(pair)?.with_no_client_auth().with_single_cert(chain, private).map_err(pair)?;
        Ok(Self(Arc::new(config)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_tls_that_are_wrong_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let other = rcgen::KeyPair::generate().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let (cert, key) = (write("cert.pem", &made.cert.pem()), write("key.pem", &made.signing_key.serialize_pem()));
        assert!(Tls::read(&cert, &key).is_ok());
        let says = |cert: &Path, key: &Path| Tls::read(cert, key).err().unwrap().to_string();
        let gone = folder.path().join("gone.pem");
        assert!(says(&gone, &key).contains("gone.pem: ") && says(&cert, &gone).contains("gone.pem: "));
        assert!(says(&key, &key).ends_with("found no certificate (PEM)"), "{}", says(&key, &key));
        assert!(says(&cert, &cert).contains("it should hold a private key (PEM)"), "{}", says(&cert, &cert));
        let wrong = write("other.pem", &other.serialize_pem());
        assert!(says(&cert, &wrong).contains("other.pem"), "{}", says(&cert, &wrong));
    }
}

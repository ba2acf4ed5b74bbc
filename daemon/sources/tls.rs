//! Certificates and keys of TLS, read from files: what those who connect to us see, and whom we believe where we connect.
//!
//! The one invariant: what cannot be used is told when the daemon starts, with the file, and never when somebody connects.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore, ServerConfig, crypto::ring};

/// A certificate and its key: what those who connect to us see.
pub struct Tls(Arc<ServerConfig>);

/// Whom we believe where we connect.
#[derive(Clone, Debug)]
pub struct Trust {
    pub(super) config: Arc<ClientConfig>,
    pub(super) name: ServerName<'static>,
}

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
    /// A certificate that nobody can be believed by.
    #[error("{}: {source}; it should hold the certificates of those who vouch for the server (PEM)", path.display())]
    Root {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
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
        let chain = certificates(cert)?;
        let private =
            PrivateKeyDer::from_pem_file(key).map_err(|error| failed(key, format!("{error}; it should hold a private key (PEM)")))?;
        let pair = |source| TlsError::Pair { cert: cert.to_owned(), key: key.to_owned(), source };
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider())).with_safe_default_protocol_versions();
        let config = config.map_err(pair)?.with_no_client_auth().with_single_cert(chain, private).map_err(pair)?;
        Ok(Self(Arc::new(config)))
    }
}

impl Trust {
    /// Believes whoever one of these certificates vouches for, under this name or address and no other.
    ///
    /// # Errors
    /// When the file cannot be read, or holds none.
    pub fn read(roots: &Path, name: ServerName<'static>) -> Result<Self, TlsError> {
        let failed = |source| TlsError::Root { path: roots.to_owned(), source };
        let mut store = RootCertStore::empty();
        for certificate in certificates(roots)? {
            store.add(certificate).map_err(failed)?;
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider())).with_safe_default_protocol_versions();
        let config = config.map_err(failed)?.with_root_certificates(store).with_no_client_auth();
        Ok(Self { config: Arc::new(config), name })
    }
}

/// The certificates in a file; at least one.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = found.map_err(|error| failed(path, format!("{error}; it should hold certificates (PEM)")))?;
    if found.is_empty() { Err(failed(path, "found no certificate (PEM)".to_owned())) } else { Ok(found) }
}

fn failed(path: &Path, what: String) -> TlsError {
    TlsError::File { path: path.to_owned(), what }
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
        let name = || ServerName::try_from("localhost").unwrap();
        assert!(Trust::read(&cert, name()).is_ok());
        assert!(Trust::read(&key, name()).is_err_and(|error| error.to_string().ends_with("found no certificate (PEM)")));
        let nonsense = write("nonsense.pem", "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n");
        assert!(Trust::read(&nonsense, name()).is_err_and(|error| error.to_string().contains("nonsense.pem: ")));
        let says = |cert: &Path, key: &Path| Tls::read(cert, key).err().unwrap().to_string();
        let gone = folder.path().join("gone.pem");
        assert!(says(&gone, &key).contains("gone.pem: ") && says(&cert, &gone).contains("gone.pem: "));
        assert!(says(&key, &key).ends_with("found no certificate (PEM)"), "{}", says(&key, &key));
        assert!(says(&cert, &cert).contains("it should hold a private key (PEM)"), "{}", says(&cert, &cert));
        let wrong = write("other.pem", &other.serialize_pem());
        assert!(says(&cert, &wrong).contains("other.pem"), "{}", says(&cert, &wrong));
    }
}

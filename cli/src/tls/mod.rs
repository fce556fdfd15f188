//! TLS, for every connection of both programs: what the options say, and the configuration made of it when the first
//! connection needs it.
//!
//! As with redis-cli the server's certificate must come from one of the trusted authorities; its names are not compared with
//! the host's.

mod ciphers;
mod verify;
mod x509;

use std::ffi::OsStr;
use std::io;
use std::net::Ipv4Addr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{CertificateError, ClientConfig, Error, InconsistentKeys, RootCertStore};

use crate::tls::verify::{Authorities, Verifier};

/// What a connection is made with.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) config: Arc<ClientConfig>,
    /// The name that the server is told; an address is not sent.
    pub(crate) name: ServerName<'static>,
}

/// What the options said.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tls {
    /// Connections use TLS.
    pub(crate) on: bool,
    name: Option<Vec<u8>>,
    authorities_file: Option<Vec<u8>>,
    authorities_dir: Option<Vec<u8>>,
    insecure: bool,
    certificate: Option<Vec<u8>>,
    key: Option<Vec<u8>>,
    ciphers: Option<Vec<u8>>,
    suites: Option<Vec<u8>>,
    client: Arc<OnceLock<Result<Client, String>>>,
}

fn path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

impl Tls {
    /// Takes one of the options; how many of the `values` behind it belong to it. `None`: it is none of ours, or lacks its value.
    pub(crate) fn take(&mut self, option: &[u8], values: &[Vec<u8>]) -> Option<usize> {
        let value = match option {
            b"--tls" => {
                self.on = true;
                return Some(0);
            }
            b"--insecure" => {
                self.insecure = true;
                return Some(0);
            }
            b"--sni" => &mut self.name,
            b"--cacert" => &mut self.authorities_file,
            b"--cacertdir" => &mut self.authorities_dir,
            b"--cert" => &mut self.certificate,
            b"--key" => &mut self.key,
            b"--tls-ciphers" => &mut self.ciphers,
            b"--tls-ciphersuites" => &mut self.suites,
            _ => return None,
        };
        *value = Some(values.first()?.clone());
        Some(1)
    }

    /// What connections are made with, made once; the error is a reason in redis-cli's words.
    pub(crate) fn client(&self) -> Result<&Client, &str> {
        self.client.get_or_init(|| self.make().map_err(str::to_owned)).as_ref().map_err(String::as_str)
    }

    fn make(&self) -> Result<Client, &'static str> {
        let all = ring::default_provider();
        let verifier = Verifier::new(&all, if self.insecure { None } else { Some(self.authorities()?) });
        let identity = self.identity(&all)?;
        let provider = CryptoProvider {
            cipher_suites: ciphers::chosen(&all.cipher_suites, self.ciphers.as_deref(), self.suites.as_deref())?,
            ..all
        };
        let builder = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .map_err(|_| ciphers::UNKNOWN_CIPHERS)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match identity {
            Some(identity) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity))),
            None => builder.with_no_client_auth(),
        };
        config.resumption = Resumption::disabled();
        let name = match &self.name {
            None => ServerName::from(std::net::IpAddr::from(Ipv4Addr::UNSPECIFIED)),
            // An address is no name to send.
            Some(name) => std::str::from_utf8(name)
                .ok()
                .and_then(|name| ServerName::try_from(name.to_owned()).ok())
                .ok_or("Failed to configure SNI")?,
        };
        Ok(Client { config: Arc::new(config), name })
    }

    /// The certificates that are trusted: those named, else the system's.
    fn authorities(&self) -> Result<Authorities, &'static str> {
        const BAD: &str = "Invalid CA Certificate File/Directory";
        let (mut anchors, mut named) = (RootCertStore::empty(), Vec::new());
        if self.authorities_file.is_none() && self.authorities_dir.is_none() {
            // What is broken among the system's certificates does not concern us.
            anchors.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        if let Some(file) = &self.authorities_file {
            named = certificates(file).map_err(|_| BAD)?;
            if named.is_empty() {
                return Err(BAD);
            }
        }
        if let Some(dir) = &self.authorities_dir {
            named.extend(rustls_native_certs::load_certs_from_paths(None, Some(path(dir))).certs);
        }
        anchors.add_parsable_certificates(named.iter().cloned());
        Ok(Authorities { anchors, named })
    }

    /// The certificate that the server is shown, with its key. One without the other is looked at and not used, as in redis-cli.
    fn identity(&self, provider: &CryptoProvider) -> Result<Option<CertifiedKey>, &'static str> {
        const BAD_KEY: &str = "Invalid private key";
        let chain = self.certificate.as_deref().map(certificates).transpose();
        let chain = chain.ok().filter(|chain| chain.as_ref().is_none_or(|chain| !chain.is_empty()));
        let chain = chain.ok_or("Invalid client certificate")?;
        let key = self.key.as_deref().map(|key| PrivateKeyDer::from_pem_file(path(key))).transpose();
        let key = key.map_err(|_| BAD_KEY)?.map(|key| provider.key_provider.load_private_key(key)).transpose();
        let (Some(chain), Some(key)) = (chain, key.map_err(|_| BAD_KEY)?) else { return Ok(None) };
        let identity = CertifiedKey::new(chain, key);
        match identity.keys_match() {
            Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => Err(BAD_KEY),
            // A certificate that cannot be read here is for the server to judge.
            _ => Ok(Some(identity)),
        }
    }
}

/// The certificates of a PEM file.
fn certificates(file: &[u8]) -> Result<Vec<CertificateDer<'static>>, pem::Error> {
    CertificateDer::pem_file_iter(path(file))?.collect()
}

/// Why a handshake failed, beginning as redis-cli's message does.
pub(crate) fn handshake_text(error: &io::Error) -> String {
    let Some(reason) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
        return match error.kind() {
            io::ErrorKind::UnexpectedEof => "SSL_connect failed: the server closed the connection".to_owned(),
            _ => format!("SSL_connect failed: {}", crate::connection::io_text(error)),
        };
    };
    let text = match reason {
        Error::InvalidCertificate(cause) => format!("certificate verify failed ({})", certificate_text(cause)),
        Error::InvalidMessage(_) => "what the server sends is not TLS".to_owned(),
        Error::AlertReceived(alert) => format!("the server refuses ({alert:?})"),
        other => other.to_string(),
    };
    format!("SSL_connect failed: {text}")
}

fn certificate_text(error: &CertificateError) -> String {
    match error {
        CertificateError::UnknownIssuer => "its issuer is not among the trusted".to_owned(),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired".to_owned(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "it is not valid yet".to_owned(),
        CertificateError::BadSignature => "its signature is wrong".to_owned(),
        CertificateError::Other(other) => format!("{}", other.0),
        other => other.to_string(),
    }
}

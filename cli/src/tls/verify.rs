//! Whether a server's certificate is trusted.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
    verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{
    CertificateDer, ServerName, SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer, UnixTime,
};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::tls::x509::{self, Validity};

/// Asks for a chain to an authority, not for a name. Without authorities anything will do.
#[derive(Debug)]
pub(super) struct Verifier {
    algorithms: WebPkiSupportedAlgorithms,
    authorities: Option<Authorities>,
}

/// What is trusted.
#[derive(Debug)]
pub(super) struct Authorities {
    pub(super) anchors: RootCertStore,
    /// Certificates that the options name; a server may have one of them itself.
    pub(super) named: Vec<CertificateDer<'static>>,
}

impl Verifier {
    pub(super) fn new(provider: &CryptoProvider, authorities: Option<Authorities>) -> Verifier {
        Verifier { algorithms: provider.signature_verification_algorithms, authorities }
    }

    /// Judges a certificate of version 1, which has no chain but its issuer.
    fn verify_version_1(&self, certificate: &x509::Certificate<'_>, anchors: &RootCertStore) -> Result<(), Error> {
        for anchor in anchors.roots.iter().filter(|anchor| anchor.subject.as_ref() == certificate.issuer) {
            // Names in it cannot be compared with what an authority may certify.
            let Some(key) = x509::key_parts(&anchor.subject_public_key_info) else { continue };
            let signed = (certificate.algorithm, certificate.signed, certificate.signature);
            if anchor.name_constraints.is_none() && is_signed(self.algorithms.all, key, signed) {
                return Ok(());
            }
        }
        Err(CertificateError::UnknownIssuer.into())
    }
}

/// `key` is its algorithm and the key, `signed` the signature's algorithm, the message and the signature.
fn is_signed(
    algorithms: &[&dyn SignatureVerificationAlgorithm],
    key: (&[u8], &[u8]),
    (algorithm, message, signature): (&[u8], &[u8], &[u8]),
) -> bool {
    algorithms.iter().any(|known| {
        known.signature_alg_id().as_ref() == algorithm
            && known.public_key_alg_id().as_ref() == key.0
            && known.verify_signature(key.1, message, signature).is_ok()
    })
}

fn valid(certificate: &x509::Certificate<'_>, now: UnixTime) -> Result<(), Error> {
    match certificate.validity(now) {
        Validity::NotYet => Err(CertificateError::NotValidYet.into()),
        Validity::Expired => Err(CertificateError::Expired.into()),
        Validity::Now => Ok(()),
    }
}

/// The certificate, if it is of version 1.
fn version_1<'a>(der: &'a CertificateDer<'_>) -> Option<x509::Certificate<'a>> {
    x509::Certificate::parse(der).filter(|certificate| certificate.is_version_1)
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(authorities) = &self.authorities else { return Ok(ServerCertVerified::assertion()) };
        if authorities.named.contains(end_entity) {
            // Nobody else vouches for it.
            let certificate = x509::Certificate::parse(end_entity).ok_or(CertificateError::BadEncoding)?;
            valid(&certificate, now)?;
        } else if let Some(certificate) = version_1(end_entity) {
            valid(&certificate, now)?;
            self.verify_version_1(&certificate, &authorities.anchors)?;
        } else {
            let certificate = ParsedCertificate::try_from(end_entity)?;
            let (anchors, algorithms) = (&authorities.anchors, self.algorithms.all);
            verify_server_cert_signed_by_trust_anchor(&certificate, anchors, intermediates, now, algorithms)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let Some(certificate) = self.authorities.as_ref().and_then(|_| version_1(cert)) else {
            return match self.authorities {
                Some(_) => verify_tls12_signature(message, cert, dss, &self.algorithms),
                None => Ok(HandshakeSignatureValid::assertion()),
            };
        };
        let key = x509::contents(certificate.key).and_then(x509::key_parts).ok_or(CertificateError::BadEncoding)?;
        let known = self.algorithms.mapping.iter().find(|(scheme, _)| *scheme == dss.scheme);
        let verified = known.into_iter().flat_map(|(_, algorithms)| algorithms.iter()).any(|algorithm| {
            algorithm.public_key_alg_id().as_ref() == key.0
                && algorithm.verify_signature(key.1, message, dss.signature()).is_ok()
        });
        if verified { Ok(HandshakeSignatureValid::assertion()) } else { Err(CertificateError::BadSignature.into()) }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match (&self.authorities, version_1(cert)) {
            (None, _) => Ok(HandshakeSignatureValid::assertion()),
            (Some(_), None) => verify_tls13_signature(message, cert, dss, &self.algorithms),
            (Some(_), Some(certificate)) => {
                let key = SubjectPublicKeyInfoDer::from(certificate.key);
                verify_tls13_signature_with_raw_key(message, &key, dss, &self.algorithms)
            }
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::pki_types::pem::PemObject;
    use std::time::Duration;

    #[test]
    fn a_certificate_of_version_1() {
        let load = |pem: &[u8]| CertificateDer::from_pem_slice(pem).unwrap();
        let authority = load(include_bytes!("../../tests/certificates/authority.crt"));
        let certificate = load(include_bytes!("../../tests/certificates/version1.crt"));
        let judge = |trusted: Option<&CertificateDer<'static>>, certificate: &CertificateDer<'_>, year: u64| {
            let mut anchors = RootCertStore::empty();
            anchors.add_parsable_certificates(trusted.cloned());
            let authorities = Authorities { anchors, named: trusted.cloned().into_iter().collect() };
            let verifier = Verifier::new(&rustls::crypto::ring::default_provider(), Some(authorities));
            let now = UnixTime::since_unix_epoch(Duration::from_secs((year - 1970) * 365 * 86_400));
            let name = ServerName::try_from("any.example").unwrap();
            verifier.verify_server_cert(certificate, &[], &name, &[], now).map(drop)
        };
        assert_eq!(judge(Some(&authority), &certificate, 2030), Ok(()));
        assert_eq!(judge(Some(&certificate), &certificate, 2030), Ok(()));
        assert_eq!(judge(None, &certificate, 2030), Err(CertificateError::UnknownIssuer.into()));
        assert_eq!(judge(Some(&authority), &certificate, 2000), Err(CertificateError::NotValidYet.into()));
        assert_eq!(judge(Some(&authority), &certificate, 2200), Err(CertificateError::Expired.into()));
        assert_eq!(judge(Some(&certificate), &certificate, 2200), Err(CertificateError::Expired.into()));
        // Every byte of what is signed counts, and of the signature.
        for at in 0..certificate.len() {
            let mut der = certificate.to_vec();
            der[at] ^= 1;
            assert!(judge(Some(&authority), &CertificateDer::from(der), 2030).is_err(), "{at}");
        }
    }
}

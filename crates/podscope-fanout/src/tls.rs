//! The TLS side of the client: rustls with ring, our own trust rules.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use crate::config::TlsConfig;
use crate::error::FleetError;

fn config_error(text: impl Into<String>) -> FleetError {
    FleetError::Config(text.into())
}

/// Builds the client's TLS settings. `used`: whether any target is `https`; without, the system's certificates are not
/// read.
pub(crate) fn client_config(config: &TlsConfig, used: bool) -> Result<ClientConfig, FleetError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| config_error(format!("TLS cannot be set up: {error}")))?;
    let builder = if config.skip_verify {
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AcceptAny(provider)))
    } else {
        let roots = Arc::new(roots(config.ca_pem.as_deref(), used)?);
        match &config.server_name {
            Some(name) if used => {
                let name = ServerName::try_from(name.clone()).map_err(|_| {
                    config_error(format!(
                        "server name {name:?} is neither a DNS name nor an address"
                    ))
                })?;
                let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider)
                    .build()
                    .map_err(|error| {
                        config_error(format!("the trusted certificates cannot be used: {error}"))
                    })?;
                builder
                    .dangerous()
                    .with_custom_certificate_verifier(Arc::new(ExpectName { name, verifier }))
            }
            _ => builder.with_root_certificates(roots),
        }
    };
    match (&config.client_cert_pem, &config.client_key_pem) {
        (None, None) => Ok(builder.with_no_client_auth()),
        (Some(chain), Some(key)) => {
            let chain = certificates(chain, "client certificate")?;
            // The parser's own words are not repeated: they could quote the key.
            let key = PrivateKeyDer::from_pem_slice(key.expose().as_bytes())
                .map_err(|_| config_error("the client key holds no private key in PEM form"))?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| config_error(format!("client certificate and key cannot be used: {error}")))
        }
        (Some(_), None) => Err(config_error(
            "a client certificate is given without its key; give both or neither",
        )),
        (None, Some(_)) => Err(config_error(
            "a client key is given without its certificate; give both or neither",
        )),
    }
}

fn certificates(pem: &str, what: &str) -> Result<Vec<CertificateDer<'static>>, FleetError> {
    let list = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| config_error(format!("the {what} is not valid PEM: {error}")))?;
    if list.is_empty() {
        return Err(config_error(format!(
            "the {what} holds no certificate in PEM form"
        )));
    }
    Ok(list)
}

fn roots(ca_pem: Option<&str>, used: bool) -> Result<RootCertStore, FleetError> {
    let mut store = RootCertStore::empty();
    match ca_pem {
        Some(pem) => {
            for certificate in certificates(pem, "CA certificate")? {
                store
                    .add(certificate)
                    .map_err(|error| config_error(format!("the CA certificate cannot be used: {error}")))?;
            }
        }
        None if used => {
            let found = rustls_native_certs::load_native_certs();
            for error in &found.errors {
                tracing::warn!(%error, "a certificate of the system's trust store cannot be read");
            }
            store.add_parsable_certificates(found.certs);
        }
        None => {}
    }
    Ok(store)
}

/// Verifies as usual, but for a name of our choice: agents are often reached by an address that their certificate does
/// not carry. (The name sent as SNI stays the URL's.)
#[derive(Debug)]
struct ExpectName {
    name: ServerName<'static>,
    verifier: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for ExpectName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.verifier
            .verify_server_cert(end_entity, intermediates, &self.name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

/// Accepts any certificate; the handshake's signatures are still checked.
#[derive(Debug)]
struct AcceptAny(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

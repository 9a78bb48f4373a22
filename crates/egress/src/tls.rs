//! TLS for `https://`: rustls with the ring provider, TLS 1.2 or newer, HTTP/1.1 only. There is no
//! way to switch the certificate check off.

use std::sync::Arc;

use rustls::pki_types::{CertificateDer, pem::PemObject};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use crate::{EgressConfig, Error};

/// Makes the connector, trusting the system's authorities and the operator's own.
pub(crate) fn connector(config: &EgressConfig) -> Result<TlsConnector, Error> {
    let mut roots = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    for error in &native.errors {
        tracing::warn!(%error, "some of the system's certificate authorities cannot be read");
    }
    roots.add_parsable_certificates(native.certs);
    if let Some(pem) = &config.extra_ca_pem {
        let mut count = 0;
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let certificate = certificate.map_err(Error::ReadExtraCa)?;
            roots.add(certificate).map_err(Error::AddExtraCa)?;
            count += 1;
        }
        if count == 0 {
            return Err(Error::NoExtraCa);
        }
    }
    if roots.is_empty() {
        tracing::warn!("no certificate authority is known, so every https request will fail");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(Error::SetUpTls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(tls)))
}

use std::net::SocketAddr;
use std::sync::Arc;

use axum_server::tls_rustls::RustlsConfig;
use podscope_fanout::{Fleet, FleetConfig, Secret, TargetSpec, TlsConfig};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::fake::{gpu_node, router, serve};
use crate::{ask, config, lines};

type Ca = CertifiedIssuer<'static, KeyPair>;

fn ca() -> Ca {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a certificate")
}

/// A certificate for a name and its key, both in PEM.
fn issue(ca: &Ca, name: &str) -> (String, String) {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    (
        params.signed_by(&key, ca).expect("signed").pem(),
        key.serialize_pem(),
    )
}

/// Serves a node over TLS; `clients`: who must have signed the client's certificate.
async fn serve_tls(ca: &Ca, name: &str, clients: Option<&Ca>) -> SocketAddr {
    let (certificate, key) = issue(ca, name);
    let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).expect("PEM")];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("PEM");
    let provider = Arc::new(ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("defaults");
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(clients) => {
            let mut roots = RootCertStore::empty();
            roots
                .add(CertificateDer::from_pem_slice(clients.pem().as_bytes()).expect("PEM"))
                .expect("a CA");
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.expect("a verifier"))
        }
    };
    let server = builder.with_single_cert(chain, key).expect("a pair");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.set_nonblocking(true).expect("a socket");
    let address = listener.local_addr().expect("bound");
    let app = router(Arc::new(gpu_node("a", 10.0))).into_make_service();
    let server = axum_server::from_tcp_rustls(listener, RustlsConfig::from_config(Arc::new(server)))
        .expect("a server");
    tokio::spawn(async move { server.serve(app).await });
    address
}

async fn outcome(url: String, tls: TlsConfig) -> Result<Vec<String>, String> {
    let fleet = Fleet::new(FleetConfig {
        tls,
        ..config(vec![TargetSpec::new(url)])
    })
    .map_err(|error| error.to_string())?;
    ask(&fleet, "sum(temp)")
        .await
        .map(|answer| lines(&answer))
        .map_err(|error| error.to_string())
}

fn trusting(ca: &Ca) -> TlsConfig {
    TlsConfig {
        ca_pem: Some(ca.pem()),
        ..TlsConfig::default()
    }
}

fn assert_says(result: Result<Vec<String>, String>, wanted: &str) {
    let error = result.expect_err("must not work");
    assert!(error.contains(wanted), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_trusted_by_its_ca_and_for_its_name() {
    let ca = ca();
    let address = serve_tls(&ca, "node-a.pod", None).await;
    let url = format!("https://127.0.0.1:{}", address.port());
    assert_says(
        outcome(url.clone(), TlsConfig::default()).await,
        "signed by nobody we trust; set the CA certificate",
    );
    assert_says(
        outcome(url.clone(), trusting(&ca)).await,
        "made out to another name",
    );
    let named = TlsConfig {
        server_name: Some("node-a.pod".to_owned()),
        ..trusting(&ca)
    };
    assert_eq!(
        outcome(url.clone(), named).await.expect("the name fits"),
        ["{} 21 21 21 21"]
    );
    let other = TlsConfig {
        server_name: Some("node-b.pod".to_owned()),
        ..trusting(&ca)
    };
    assert_says(outcome(url.clone(), other).await, "made out to another name");
    let careless = TlsConfig {
        skip_verify: true,
        ..TlsConfig::default()
    };
    assert_eq!(
        outcome(url, careless).await.expect("anything goes"),
        ["{} 21 21 21 21"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn http_and_https_mixed_up_are_recognised() {
    let ca = ca();
    let address = serve_tls(&ca, "localhost", None).await;
    let port = address.port();
    let secure = outcome(format!("https://localhost:{port}"), trusting(&ca)).await;
    assert_eq!(secure.expect("the name fits"), ["{} 21 21 21 21"]);
    assert_says(
        outcome(format!("http://localhost:{port}"), trusting(&ca)).await,
        "https",
    );
    let (_plain, plain) = serve(gpu_node("a", 10.0)).await;
    let url = plain.url.replace("http://", "https://");
    assert_says(
        outcome(url, trusting(&ca)).await,
        "does not speak TLS; write http://",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_is_shown_where_one_is_wanted() {
    let (ca, clients) = (ca(), ca());
    let address = serve_tls(&ca, "localhost", Some(&clients)).await;
    let url = format!("https://localhost:{}", address.port());
    assert_says(
        outcome(url.clone(), trusting(&ca)).await,
        "wants a client certificate",
    );
    let with = |(certificate, key): (String, String)| TlsConfig {
        client_cert_pem: Some(certificate),
        client_key_pem: Some(Secret::new(key)),
        ..trusting(&ca)
    };
    assert_says(
        outcome(url.clone(), with(issue(&ca, "us"))).await,
        "client certificate",
    );
    assert_eq!(
        outcome(url, with(issue(&clients, "us")))
            .await
            .expect("signed right"),
        ["{} 21 21 21 21"]
    );
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_before_anything_is_asked() {
    let url = || "https://localhost:1".to_owned();
    let bad_ca = TlsConfig {
        ca_pem: Some("not pem".to_owned()),
        ..TlsConfig::default()
    };
    assert_says(
        outcome(url(), bad_ca).await,
        "the CA certificate holds no certificate in PEM form",
    );
    let half = TlsConfig {
        client_cert_pem: Some(ca().pem()),
        ..TlsConfig::default()
    };
    assert_says(outcome(url(), half).await, "without its key");
    let key = TlsConfig {
        client_cert_pem: Some(ca().pem()),
        client_key_pem: Some(Secret::new("top secret")),
        ..TlsConfig::default()
    };
    let error = outcome(url(), key).await.expect_err("no key");
    assert!(
        error.contains("client key holds no private key") && !error.contains("top secret"),
        "{error}"
    );
    for (url, wanted) in [
        ("node1:9477", "only http:// and https:// are known"),
        ("node1", "not a URL; write http://host:9477"),
        ("ftp://node1", "only http:// and https:// are known"),
        ("http://me:hunter2@node1:9477", "must not hold a user or password"),
        ("http://node1:9477/?x=1", "has no ? or # part"),
        ("http://:9477", "not a URL"),
    ] {
        let error = outcome(url.to_owned(), TlsConfig::default())
            .await
            .expect_err("a bad URL");
        assert!(error.contains(wanted), "{url}: {error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

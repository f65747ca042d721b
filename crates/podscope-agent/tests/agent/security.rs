//! Who gets an answer: tokens, hosts, TLS, and the refusal to be open by accident.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};

use axum::body::Body;
use axum::http::{Request, StatusCode};
use podscope_agent::secret::Secret;
use podscope_agent::{Agent, Config, Live, RunningAgent, StartOptions};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::cluster::{Answer, Node};

const TOKEN: &str = "correct-horse-battery";

fn with_token() -> Node {
    let live = Live {
        token: Some(Secret::new(TOKEN)),
        ..Live::local(Default::default())
    };
    Node::with(live)
}

async fn get(node: &Node, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::get(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    node.send(request.body(Body::empty()).expect("a request")).await
}

#[tokio::test]
async fn with_a_token_set_everything_but_healthy_needs_it() {
    let node = with_token();
    let paths = [
        "/v1/info",
        "/metrics",
        "/api/v1/query?query=1",
        "/-/ready",
        "/v1/openapi.json",
        "/nothing",
    ];
    for path in paths {
        let bare = get(&node, path, &[]).await;
        assert_eq!(bare.status, StatusCode::UNAUTHORIZED, "{path}");
        assert!(bare.text().contains("Authorization: Bearer"), "{}", bare.text());
        for wrong in [
            "Bearer wrong",
            "Bearer ",
            "Bearer",
            "Basic Y29ycmVjdA==",
            "Bearer correct-horse-batterx",
        ] {
            let answer = get(&node, path, &[("authorization", wrong)]).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path} {wrong}");
            assert!(!answer.text().contains(TOKEN));
        }
        let right = get(&node, path, &[("authorization", "Bearer correct-horse-battery")]).await;
        assert_ne!(right.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    assert_eq!(get(&node, "/-/healthy", &[]).await.status, StatusCode::OK);
    // Anyone who has the token may come by any name.
    let named = [
        ("authorization", "bearer correct-horse-battery"),
        ("host", "gpu-17.example.com"),
    ];
    assert_eq!(get(&node, "/v1/info", &named).await.status, StatusCode::OK);
}

#[tokio::test]
async fn without_a_token_only_this_machines_names_are_answered() {
    let node = Node::new();
    for host in ["localhost:9477", "127.0.0.1:9477", "[::1]:9477"] {
        assert_eq!(
            get(&node, "/v1/info", &[("host", host)]).await.status,
            StatusCode::OK,
            "{host}"
        );
    }
    for host in [
        "rebound.example.com",
        "rebound.example.com:9477",
        "10.0.0.1",
        "localhost.example.com",
    ] {
        let answer = get(&node, "/v1/info", &[("host", host)]).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{host}");
    }
    assert_eq!(
        get(&node, "/v1/info", &[]).await.status,
        StatusCode::FORBIDDEN,
        "no host at all"
    );
    let page = [("host", "localhost:9477"), ("origin", "https://evil.example.com")];
    assert_eq!(
        get(&node, "/v1/info", &page).await.status,
        StatusCode::FORBIDDEN,
        "another site's page"
    );
    let own = [("host", "localhost:9477"), ("origin", "http://localhost:3000")];
    assert_eq!(get(&node, "/v1/info", &own).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_trusted_network_is_asked_for_no_name() {
    let node = Node::with(Live {
        local_only: false,
        ..Live::local(Default::default())
    });
    assert_eq!(
        get(&node, "/v1/info", &[("host", "gpu-17.example.com")])
            .await
            .status,
        StatusCode::OK
    );
}

/// A certificate authority, and a server's and a client's certificate by it.
struct Pki {
    dir: tempfile::TempDir,
}

impl Pki {
    fn new() -> Self {
        let pki = Self {
            dir: tempfile::tempdir().expect("a temporary folder"),
        };
        for authority in ["ca", "other-ca"] {
            let mut params = CertificateParams::new(Vec::new()).expect("no names");
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let key = KeyPair::generate().expect("a key");
            let issuer = CertifiedIssuer::self_signed(params, key).expect("a certificate");
            pki.write(&format!("{authority}.crt"), &issuer.pem());
            for leaf in ["server", "client"] {
                let key = KeyPair::generate().expect("a key");
                let params = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()])
                    .expect("names");
                let certificate = params.signed_by(&key, &issuer).expect("signed");
                pki.write(&format!("{authority}-{leaf}.crt"), &certificate.pem());
                pki.write(&format!("{authority}-{leaf}.key"), &key.serialize_pem());
            }
        }
        pki
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("writable");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).expect("written before")
    }
}

fn provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        rustls::crypto::ring::default_provider()
            .install_default()
            .expect("nobody else installs one");
    });
}

fn client(pki: &Pki, authority: &str, identity: Option<&str>) -> reqwest::Client {
    provider();
    let authority = reqwest::Certificate::from_pem(&pki.read(authority)).expect("a certificate");
    let mut builder = reqwest::Client::builder().tls_certs_only([authority]).no_proxy();
    if let Some(name) = identity {
        let pem = [pki.read(&format!("{name}.crt")), pki.read(&format!("{name}.key"))].concat();
        builder = builder.identity(reqwest::Identity::from_pem(&pem).expect("an identity"));
    }
    builder.build().expect("a client")
}

fn tls_config(pki: &Pki, data: &Path) -> Config {
    let mut config = Config {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        ..Config::default()
    };
    config.data_dir = Some(data.to_owned());
    config.tls.cert_file = Some(pki.path("ca-server.crt"));
    config.tls.key_file = Some(pki.path("ca-server.key"));
    config
}

async fn start(config: Config) -> Result<RunningAgent, String> {
    Agent::start(config, StartOptions::default(), Vec::new())
        .await
        .map_err(|error| podscope_agent::chain(&error))
}

#[tokio::test]
async fn tls_is_spoken_with_who_trusts_the_authority_and_nobody_else() {
    let (pki, data) = (Pki::new(), tempfile::tempdir().expect("a temporary folder"));
    let agent = start(tls_config(&pki, data.path())).await.expect("it starts");
    let url = format!("https://localhost:{}/-/healthy", agent.addr.port());
    let trusted = client(&pki, "ca.crt", None)
        .get(&url)
        .send()
        .await
        .expect("a trusted server");
    assert_eq!(trusted.status(), 200);
    assert!(
        client(&pki, "other-ca.crt", None).get(&url).send().await.is_err(),
        "signed by somebody else"
    );
    let plain = url.replace("https", "http");
    assert!(
        client(&pki, "ca.crt", None).get(&plain).send().await.is_err(),
        "no plain text on a TLS port"
    );
    agent.stop().await.expect("a clean end");
}

#[tokio::test]
async fn mutual_tls_lets_only_known_clients_in() {
    let (pki, data) = (Pki::new(), tempfile::tempdir().expect("a temporary folder"));
    let mut config = tls_config(&pki, data.path());
    config.tls.client_ca_file = Some(pki.path("ca.crt"));
    let agent = start(config).await.expect("it starts");
    let url = format!("https://localhost:{}/-/healthy", agent.addr.port());
    let known = client(&pki, "ca.crt", Some("ca-client"))
        .get(&url)
        .send()
        .await
        .expect("a known client");
    assert_eq!(known.status(), 200);
    assert!(
        client(&pki, "ca.crt", Some("other-ca-client"))
            .get(&url)
            .send()
            .await
            .is_err()
    );
    assert!(client(&pki, "ca.crt", None).get(&url).send().await.is_err());
    agent.stop().await.expect("a clean end");
}

#[tokio::test]
async fn tls_files_that_cannot_be_used_are_named() {
    let (pki, data) = (Pki::new(), tempfile::tempdir().expect("a temporary folder"));
    let with = |certificate: &str, key: &str, authority: Option<&str>| {
        let mut config = tls_config(&pki, data.path());
        config.tls.cert_file = Some(pki.path(certificate));
        config.tls.key_file = Some(pki.path(key));
        config.tls.client_ca_file = authority.map(|name| pki.path(name));
        start(config)
    };
    pki.write("garbage", "no PEM at all");
    for (certificate, key, authority, wanted) in [
        (
            "ca-server.crt",
            "other-ca-server.key",
            None,
            "other-ca-server.key does not fit the certificate",
        ),
        (
            "missing.crt",
            "ca-server.key",
            None,
            "cannot read the certificate",
        ),
        (
            "garbage",
            "ca-server.key",
            None,
            "garbage holds no certificate in PEM form",
        ),
        (
            "ca-server.crt",
            "garbage",
            None,
            "garbage holds no private key in PEM form",
        ),
        (
            "ca-server.crt",
            "ca-server.key",
            Some("garbage"),
            "the client authority",
        ),
    ] {
        let error = with(certificate, key, authority).await.expect_err("unusable");
        assert!(error.contains(wanted), "wanted {wanted:?} in {error:?}");
    }
}

#[tokio::test]
async fn beyond_loopback_it_starts_only_with_tls_and_token() {
    let (pki, data) = (Pki::new(), tempfile::tempdir().expect("a temporary folder"));
    let open = SocketAddr::from(([0, 0, 0, 0], 0));
    let mut bare = Config {
        listen: open,
        data_dir: Some(data.path().to_owned()),
        ..Config::default()
    };
    let error = start(bare.clone()).await.expect_err("unprotected");
    assert!(error.contains("without TLS and a token"), "{error}");
    bare.token = Some(Secret::new(TOKEN));
    assert!(
        start(bare)
            .await
            .expect_err("no TLS")
            .contains("without TLS: set `tls.cert_file`")
    );
    let tls = Config {
        listen: open,
        ..tls_config(&pki, data.path())
    };
    assert!(
        start(tls.clone())
            .await
            .expect_err("no token")
            .contains("without a token: set `token_file`")
    );
    let agent = start(Config {
        token: Some(Secret::new(TOKEN)),
        ..tls
    })
    .await
    .expect("protected");
    let url = format!("https://localhost:{}/v1/info", agent.addr.port());
    let client = client(&pki, "ca.crt", None);
    assert_eq!(client.get(&url).send().await.expect("an answer").status(), 401);
    assert_eq!(
        client
            .get(&url)
            .bearer_auth(TOKEN)
            .send()
            .await
            .expect("an answer")
            .status(),
        200
    );
    agent.stop().await.expect("a clean end");
}

#[tokio::test]
async fn a_reload_takes_what_it_can_and_names_what_waits_for_a_restart() {
    let (pki, data) = (Pki::new(), tempfile::tempdir().expect("a temporary folder"));
    let file = pki.path("agent.toml");
    let token_file = pki.path("token");
    let write = |text: &str| {
        let base = format!(
            "listen = \"127.0.0.1:0\"\ndata_dir = {:?}\ninstance = \"n1\"\ntoken_file = {token_file:?}\n{text}\n\
             [tls]\ncert_file = {:?}\nkey_file = {:?}\n",
            data.path(),
            pki.path("live.crt"),
            pki.path("live.key"),
        );
        std::fs::write(&file, base).expect("writable");
    };
    let certificate = |authority: &str| {
        std::fs::copy(pki.path(&format!("{authority}-server.crt")), pki.path("live.crt")).expect("copied");
        std::fs::copy(pki.path(&format!("{authority}-server.key")), pki.path("live.key")).expect("copied");
    };
    certificate("ca");
    pki.write("token", "the-first-token-of-all\n");
    write("labels = { rack = \"r1\" }");
    let config = podscope_agent::config::check::load(&file, &["self"]).expect("valid");
    let options = StartOptions {
        insecure: false,
        config_file: Some(file.clone()),
        ..StartOptions::default()
    };
    let agent = Agent::start(config, options, Vec::new())
        .await
        .expect("it starts");
    let url = |path: &str| format!("https://localhost:{}{path}", agent.addr.port());
    let (old, new) = (client(&pki, "ca.crt", None), client(&pki, "other-ca.crt", None));
    let reload =
        |client: &reqwest::Client, token: &str| client.post(url("/-/reload")).bearer_auth(token).send();

    let unchanged = reload(&old, "the-first-token-of-all").await.expect("an answer");
    assert_eq!(
        unchanged.text().await.expect("text"),
        r#"{"applied":[],"needs_restart":[]}"#
    );

    certificate("other-ca");
    pki.write("token", "the-second-token-of-all\n");
    write(
        "labels = { rack = \"r2\" }\nlimits = { max_series = 7 }\ncollectors = { intervals = { self = \"30s\" } }\nlog = \"debug\"",
    );
    let changed = reload(&old, "the-first-token-of-all")
        .await
        .expect("an answer")
        .text()
        .await
        .expect("text");
    let changed: serde_json::Value = serde_json::from_str(&changed).expect("JSON");
    assert_eq!(
        changed,
        serde_json::json!({
            "applied": ["labels", "collectors.intervals", "limits.max_series", "token_file"],
            "needs_restart": ["log"],
        })
    );
    let refused = new
        .get(url("/v1/info"))
        .bearer_auth("the-first-token-of-all")
        .send()
        .await
        .expect("the new certificate");
    assert_eq!(refused.status(), 401);
    let info = new
        .get(url("/v1/info"))
        .bearer_auth("the-second-token-of-all")
        .send()
        .await
        .expect("an answer");
    let info: serde_json::Value = serde_json::from_str(&info.text().await.expect("text")).expect("JSON");
    assert_eq!(info["labels"]["rack"], "r2");
    assert_eq!(info["collectors"][0]["interval_ms"], 30_000);
    assert_eq!(agent.state.live().limits.max_series, 7);

    write("labels = { rack = \"r3\" }\nlimts = { max_series = 9 }");
    let broken = reload(&new, "the-second-token-of-all").await.expect("an answer");
    assert_eq!(broken.status(), 400);
    let message = broken.text().await.expect("text");
    assert!(
        message.contains("key `limts`: unknown key; did you mean `limits`?"),
        "{message}"
    );
    assert_eq!(
        agent.state.live().labels["rack"],
        "r2",
        "nothing of a broken file is used"
    );
    agent.stop().await.expect("a clean end");
}

#[tokio::test]
async fn without_a_file_there_is_nothing_to_reload_and_it_says_so() {
    let node = Node::new();
    let request = Request::post("/-/reload")
        .header("host", "localhost")
        .body(Body::empty())
        .expect("a request");
    let answer = node.send(request).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(
        answer.text().contains("without a configuration file"),
        "{}",
        answer.text()
    );
}

#[tokio::test]
async fn a_stopped_agent_lets_go_of_its_history() {
    let data = tempfile::tempdir().expect("a temporary folder");
    let config = Config {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        data_dir: Some(data.path().to_owned()),
        ..Config::default()
    };
    let agent = start(config.clone()).await.expect("it starts");
    let second = start(Config {
        data_dir: Some(data.path().to_owned()),
        ..config.clone()
    })
    .await;
    assert!(
        second
            .expect_err("locked")
            .contains("is in use by another process")
    );
    let state = Arc::downgrade(&agent.state);
    agent.stop().await.expect("a clean end");
    assert!(state.upgrade().is_none(), "nothing holds the stopped agent");
    start(config)
        .await
        .expect("the folder is free")
        .stop()
        .await
        .expect("a clean end");
}

//! The simulated management server, read by our own client and by VAST's.

mod client;
mod vastpy;

use podscope_sim::vms::{FixedWorld, SimVms, VmsOptions};
use podscope_vms::{VmsAuth, VmsClient, VmsConfig};

/// A whole minute.
const NOW_MS: i64 = 1_787_086_320_000;

fn world() -> FixedWorld {
    FixedWorld {
        prefetch_ms: Some(NOW_MS - 3_600_000),
        ..FixedWorld::new(NOW_MS)
    }
}

async fn server() -> SimVms {
    SimVms::start(world(), VmsOptions::default())
        .await
        .expect("a free port")
}

fn http() -> reqwest::Client {
    // The first to install wins; all install the same.
    let _installed = rustls::crypto::ring::default_provider().install_default().is_ok();
    reqwest::Client::builder()
        .no_proxy()
        .build()
        .expect("a plain client")
}

fn basic() -> VmsAuth {
    VmsAuth::Basic {
        user: "podscope".to_owned(),
        password: "read-only-1".to_owned(),
    }
}

fn jwt() -> VmsAuth {
    VmsAuth::Jwt {
        user: "podscope".to_owned(),
        password: "read-only-1".to_owned(),
    }
}

fn client(server: &SimVms, auth: VmsAuth) -> VmsClient {
    VmsClient::new(http(), VmsConfig::new(server.url(), auth)).expect("good settings")
}

//! PyPI's `vastpy`, library and command line, walks the simulated server as it would a real one.

use std::path::PathBuf;
use std::process::{Command, Output};

use podscope_sim::vms::{SimVms, VmsOptions};

use super::world;

/// The folder of a virtual environment with `vastpy`, as `scripts/test` makes it.
fn environment() -> Option<PathBuf> {
    let cache = std::env::var_os("PODSCOPE_CACHE").map(PathBuf::from);
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache/podscope"));
    let found = cache
        .or(home)
        .map(|cache| cache.join("vastpy"))
        .filter(|folder| folder.join("bin/vastpy-cli").is_file());
    if found.is_none() {
        assert_ne!(
            std::env::var("PODSCOPE_REQUIRE_PEERS").as_deref(),
            Ok("1"),
            "vastpy is missing: scripts/test installs it"
        );
        eprintln!("skipped: no vastpy; scripts/test installs it from PyPI");
    }
    found
}

const WALK: &str = r#"
import sys, json
from vastpy import VASTClient, RESTFailure
address = sys.argv[1]
client = VASTClient(user='podscope', password='read-only-1', address=address)
out = {}
out['clusters'] = [c['name'] for c in client.clusters.get()]
out['prefetch'] = client.clusters.get()[0]['system_settings']['data_prefetch_enabled']
out['cnodes'] = [c['name'] for c in client.cnodes.get(state='ACTIVE', fields='id,name')]
out['views'] = client.views.get(path='/train')[0]['protocols']
out['quotas'] = len(client.quotas.get())
page = client.vips.get(page_size=3)
out['vips'] = [page['count'], len(page['results'])]
out['events'] = client.events.get(page_size=5)['results'][0]['event_type']
out['alarms'] = client.alarms.get()[0]['severity']
rows = client.monitors.ad_hoc_query.get(object_type='cnode', object_ids=[1, 2], time_frame='5m', granularity='seconds',
    prop_list=['ProtoMetrics,proto_name=BlockCommon,rd_bw', 'ProtoMetrics,proto_name=BlockCommon,read_latency__avg'])
out['columns'] = len(rows['prop_list'])
out['newest_first'] = rows['data'][0][0] >= rows['data'][-1][0]
out['nulls'] = any(value is None for value in rows['data'][0])
out['topn'] = client.monitors.topn.get(key='user', type='iops')['data']['user']['iops'][0]['title']
out['token'] = VASTClient(token='vast-token-1', address=address, tenant='default').clusters.get()[0]['id']
def status(call):
    try:
        call()
        return 0
    except RESTFailure as failure:
        return failure.status
out['wrong'] = status(lambda: VASTClient(user='podscope', password='no', address=address).clusters.get())
out['mixed'] = status(lambda: client.monitors.ad_hoc_query.get(object_type='cluster',
    prop_list=['BlockMetrics,read_latency__avg', 'ProtoMetrics,proto_name=BlockCommon,rd_bw']))
out['write'] = status(lambda: client.views.post(path='/new'))
print(json.dumps(out))
"#;

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn vasts_own_client_walks_the_simulated_server() {
    let Some(environment) = environment() else { return };
    // The first to install wins; all install the same.
    let _installed = rustls::crypto::ring::default_provider().install_default().is_ok();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let options = VmsOptions {
        tls: Some((made.cert.pem(), made.signing_key.serialize_pem())),
        ..VmsOptions::default()
    };
    let server = SimVms::start(world(), options).await.expect("a free port");
    let address = server.address().to_string();
    let run = |program: &str, arguments: Vec<String>| {
        let mut command = Command::new(environment.join("bin").join(program));
        command.args(arguments).env_clear();
        tokio::task::spawn_blocking(move || command.output().expect("it runs"))
    };
    let walked = run("python3", vec!["-c".to_owned(), WALK.to_owned(), address.clone()])
        .await
        .expect("it ends");
    assert!(walked.status.success(), "{}", said(&walked));
    let out: serde_json::Value = serde_json::from_slice(&walked.stdout).expect("JSON");
    let wanted = serde_json::json!({
        "clusters": ["vast-test"], "prefetch": true, "cnodes": ["cnode-1", "cnode-2", "cnode-3", "cnode-4"],
        "views": ["NFS", "BLOCK"], "quotas": 1, "vips": [4, 3], "events": "OBJECT_MODIFIED", "alarms": "MAJOR",
        "columns": 4, "newest_first": true, "nulls": true, "topn": "(alice) 1001 [default]", "token": 1,
        "wrong": 401, "mixed": 400, "write": 405,
    });
    assert_eq!(out, wanted);
    let listed = run(
        "vastpy-cli",
        [
            "--user",
            "podscope",
            "--password",
            "read-only-1",
            "--address",
            &address,
            "--json",
            "get",
            "cnodes",
            "fields=id,name",
        ]
        .map(str::to_owned)
        .to_vec(),
    )
    .await
    .expect("it ends");
    assert!(
        listed.status.success() && said(&listed).contains("cnode-4"),
        "{}",
        said(&listed)
    );
}

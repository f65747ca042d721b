//! What Grafana is given: its ini, the plugin, the provisioning files with the demo's targets, and a login made for it.

use std::fs;
use std::io::{Read, Write};
use std::net::IpAddr;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::state::Target;

/// The provisioned datasource's uid, which the preview page uses too.
pub(crate) const DATASOURCE_UID: &str = "podscope";
const APP_ID: &str = "podscope-warroom-app";
const DATASOURCE_ID: &str = "podscope-fleet-datasource";

/// Paths of a provisioned Grafana.
#[derive(Debug)]
pub(crate) struct Provisioned {
    pub(crate) ini: PathBuf,
    pub(crate) credentials: PathBuf,
}

/// The datasource's settings for these targets and the storage cluster's management server, as provisioning and the preview
/// page give them to the plugin.
pub(crate) fn json_data(targets: &[Target], vms: Option<&str>) -> serde_json::Value {
    let vast: Vec<serde_json::Value> = vms
        .map(|url| serde_json::json!({ "url": url, "name": VAST, "auth": "basic", "user": "podscope" }))
        .into_iter()
        .collect();
    serde_json::json!({ "targets": targets, "timeoutMs": 10_000, "completeness": 0.9, "vast": vast })
}

/// The name of the simulated storage cluster.
const VAST: &str = "emea";

/// The secrets that go with [`json_data`]: the simulated management server's, which stands in its help.
pub(crate) fn secure_json_data(vms: Option<&str>) -> serde_json::Value {
    match vms {
        Some(_) => serde_json::json!({ format!("vastPassword_{VAST}"): "read-only-1" }),
        None => serde_json::json!({}),
    }
}

/// Writes a file only its owner may read.
pub(crate) fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("creating {}", path.display()))?;
    // The mode above counts only for a new file.
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    file.write_all(text.as_bytes())
        .with_context(|| format!("writing {}", path.display()))
}

fn random_password() -> anyhow::Result<String> {
    let mut bytes = [0_u8; 15];
    fs::File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .context("reading /dev/urandom")?;
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    Ok(bytes
        .iter()
        .map(|byte| char::from(LETTERS[usize::from(byte & 31)]))
        .collect())
}

/// Lays out everything Grafana reads. Keeps the login of an earlier start, since Grafana's database has it.
pub(crate) fn provision(
    folder: &Path,
    home: &Path,
    plugin: &Path,
    (targets, vms): (&[Target], Option<&str>),
    listen: IpAddr,
    port: u16,
) -> anyhow::Result<Provisioned> {
    let base = folder.join("grafana");
    let provisioning = base.join("provisioning");
    if provisioning.exists() {
        fs::remove_dir_all(&provisioning).with_context(|| format!("clearing {}", provisioning.display()))?;
    }
    for name in ["datasources", "plugins", "dashboards", "alerting"] {
        let target = provisioning.join(name);
        fs::create_dir_all(&target).with_context(|| format!("creating {}", target.display()))?;
        copy_yaml(&home.join("provisioning").join(name), &target)?;
    }
    // The shipped file names one agent; here are the demo's own. JSON is YAML.
    let datasource = serde_json::json!({
        "apiVersion": 1,
        "datasources": [{
            "name": "Podscope", "uid": DATASOURCE_UID, "type": DATASOURCE_ID, "access": "proxy", "isDefault": true,
            "editable": true, "jsonData": json_data(targets, vms), "secureJsonData": secure_json_data(vms),
        }],
    });
    write_private(
        &provisioning.join("datasources/podscope.yaml"),
        &serde_json::to_string_pretty(&datasource)?,
    )?;

    let plugins = base.join("plugins");
    fs::create_dir_all(&plugins)?;
    let link = plugins.join(APP_ID);
    if link.symlink_metadata().is_ok() {
        fs::remove_file(&link).with_context(|| format!("replacing {}", link.display()))?;
    }
    std::os::unix::fs::symlink(plugin, &link).with_context(|| format!("linking {}", plugin.display()))?;

    let credentials = base.join("credentials");
    let (user, password) = match fs::read_to_string(&credentials) {
        Ok(text) => match text.trim().split_once(" / ") {
            Some((user, password)) => (user.to_owned(), password.to_owned()),
            None => bail!("{} is damaged; remove {}", credentials.display(), base.display()),
        },
        Err(_) => ("admin".to_owned(), random_password()?),
    };
    write_private(&credentials, &format!("{user} / {password}\n"))?;

    let ini = base.join("grafana.ini");
    let text = format!(
        "[server]\nhttp_addr = {listen}\nhttp_port = {port}\n\
         [paths]\ndata = {data}\nlogs = {data}/log\nplugins = {plugins}\nprovisioning = {provisioning}\n\
         [security]\nadmin_user = {user}\nadmin_password = {password}\ndisable_gravatar = true\n\
         [users]\ndefault_theme = dark\nallow_sign_up = false\n\
         [dashboards]\ndefault_home_dashboard_path = {home}/dashboards/podscope-node.json\nmin_refresh_interval = 1s\n\
         [analytics]\nenabled = false\nreporting_enabled = false\ncheck_for_updates = false\ncheck_for_plugin_updates = false\nfeedback_links_enabled = false\n\
         [plugins]\nallow_loading_unsigned_plugins = {APP_ID},{DATASOURCE_ID}\npublic_key_retrieval_disabled = true\npreinstall_disabled = true\n\
         plugin_admin_external_manage_enabled = false\n\
         [news]\nnews_feed_enabled = false\n[snapshots]\nexternal_enabled = false\n[help]\nenabled = false\n",
        data = base.join("data").display(),
        plugins = plugins.display(),
        provisioning = provisioning.display(),
        home = home.display(),
    );
    write_private(&ini, &text)?;
    Ok(Provisioned { ini, credentials })
}

fn copy_yaml(from: &Path, to: &Path) -> anyhow::Result<()> {
    let Ok(entries) = fs::read_dir(from) else {
        return Ok(());
    };
    for entry in entries {
        let path = entry?.path();
        if let (Some(name), Some("yaml" | "yml")) =
            (path.file_name(), path.extension().and_then(|end| end.to_str()))
        {
            fs::copy(&path, to.join(name)).with_context(|| format!("copying {}", path.display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lays_out_what_grafana_reads_and_keeps_the_login() {
        let folder = tempfile::tempdir().expect("temp");
        let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let plugin = tempfile::tempdir().expect("temp");
        let targets = vec![Target {
            url: "http://127.0.0.1:1".to_owned(),
            instance: None,
            labels: Default::default(),
        }];
        let listen = IpAddr::from([127, 0, 0, 1]);
        let first = provision(
            folder.path(),
            &home,
            plugin.path(),
            (&targets, None),
            listen,
            3000,
        )
        .expect("first start");
        let kept = fs::read_to_string(&first.credentials).expect("written");
        let second = provision(
            folder.path(),
            &home,
            plugin.path(),
            (&targets, None),
            listen,
            3000,
        )
        .expect("second start");
        let login = fs::read_to_string(&first.credentials).expect("written");
        assert_eq!(login, kept, "Grafana's database has the first login");
        assert_eq!(login.trim().len(), "admin / ".len() + 15);
        let mode = fs::metadata(&second.credentials)
            .expect("written")
            .permissions()
            .mode();
        assert_eq!(mode & 0o077, 0, "only the owner may read the login");
        let written = fs::read_to_string(
            folder
                .path()
                .join("grafana/provisioning/datasources/podscope.yaml"),
        );
        assert!(written.expect("written").contains("http://127.0.0.1:1"));
        assert!(
            folder
                .path()
                .join("grafana/provisioning/dashboards/podscope.yaml")
                .is_file()
        );
    }
}

//! Who holds a TCP port: so that "address in use" can name the program.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};

/// Fails with one sentence when the address cannot be listened on.
pub(crate) fn check_free(address: SocketAddr, what: &str, remedy: &str) -> anyhow::Result<()> {
    match TcpListener::bind(address) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let holder = holder(address.port()).map_or_else(
                || "another user's program".to_owned(),
                |(pid, name)| format!("{name} (pid {pid})"),
            );
            anyhow::bail!("{address}, wanted for {what}, is in use by {holder}; stop it or use {remedy}")
        }
        Err(error) => anyhow::bail!("{address}, wanted for {what}, cannot be listened on: {error}"),
    }
}

/// The process listening on a TCP port, when we may see it.
pub(crate) fn holder(port: u16) -> Option<(u32, String)> {
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok())
        .find_map(|table| listening_inode(&table, port))?;
    let wanted = format!("socket:[{inode}]");
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        let Ok(files) = fs::read_dir(entry.path().join("fd")) else {
            continue;
        };
        let holds = files
            .flatten()
            .filter_map(|file| fs::read_link(file.path()).ok())
            .any(|link| link.to_str() == Some(wanted.as_str()));
        if holds {
            let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            return Some((pid, name.trim().to_owned()));
        }
    }
    None
}

/// The socket inode of the listener in a `/proc/net/tcp` table (state 0A is LISTEN).
fn listening_inode(table: &str, port: u16) -> Option<u64> {
    let wanted = format!(":{port:04X}");
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
        (local.ends_with(&wanted) && *state == "0A")
            .then(|| inode.parse().ok())
            .flatten()
    })
}

/// A port of loopback that nobody has now.
pub(crate) fn free() -> std::io::Result<u16> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    Ok(listener.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_holder_of_a_port() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let address = listener.local_addr().expect("bound");
        let (pid, _) = holder(address.port()).expect("our own process is visible");
        assert_eq!(pid, std::process::id());
        let error = check_free(address, "Grafana", "--grafana-port")
            .expect_err("in use")
            .to_string();
        assert!(
            error.contains(&format!("pid {pid}")) && error.contains("--grafana-port"),
            "{error}"
        );
    }

    #[test]
    fn a_free_port_is_free() {
        let address = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("loopback");
        check_free(address, "a test", "another port").expect("just released");
    }
}

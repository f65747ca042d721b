//! Where the agent listens, and the refusal to be reachable by everyone by accident.

use std::net::{SocketAddr, TcpListener};

/// Why the agent does not listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error(
        "refusing to listen on {address}, which others can reach, without {missing}: set {keys} in the configuration, \
         listen on 127.0.0.1 instead, or start with --insecure if the network itself is trusted"
    )]
    Unprotected {
        address: SocketAddr,
        missing: &'static str,
        keys: &'static str,
    },
    #[error(
        "cannot listen on {address}: the port is in use{holder}; stop that process or set `listen` to another port"
    )]
    InUse { address: SocketAddr, holder: String },
    #[error("cannot listen on {address}")]
    Bind {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
}

/// Whether what is configured may be served at `address`.
///
/// # Errors
/// [`ListenError::Unprotected`]: beyond loopback, TLS and a token are needed, or `insecure`.
pub fn check_exposure(
    address: SocketAddr,
    tls: bool,
    token: bool,
    insecure: bool,
) -> Result<(), ListenError> {
    if address.ip().to_canonical().is_loopback() || insecure {
        return Ok(());
    }
    let (missing, keys) = match (tls, token) {
        (true, true) => return Ok(()),
        (true, false) => ("a token", "`token_file`"),
        (false, true) => ("TLS", "`tls.cert_file` and `tls.key_file`"),
        (false, false) => (
            "TLS and a token",
            "`tls.cert_file`, `tls.key_file` and `token_file`",
        ),
    };
    Err(ListenError::Unprotected {
        address,
        missing,
        keys,
    })
}

/// Binds the address.
///
/// # Errors
/// [`ListenError::InUse`] names the process that holds the port when this user may know it.
pub fn bind(address: SocketAddr) -> Result<TcpListener, ListenError> {
    let bound = TcpListener::bind(address).and_then(|listener| {
        // The async runtime polls it.
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    bound.map_err(|source| match source.kind() {
        std::io::ErrorKind::AddrInUse => ListenError::InUse {
            address,
            holder: holder_of(address.port()).unwrap_or_default(),
        },
        _ => ListenError::Bind { address, source },
    })
}

/// ` by NAME (pid N)`: the socket's inode from `/proc/net/tcp*`, then the process that has it open.
fn holder_of(port: u16) -> Option<String> {
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .find_map(|table| listening_inode(table, port))?;
    let wanted = format!("socket:[{inode}]");
    for process in std::fs::read_dir("/proc").ok()?.flatten() {
        let name = process.file_name();
        let Some(pid) = name
            .to_str()
            .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
        else {
            continue;
        };
        let Ok(open) = std::fs::read_dir(process.path().join("fd")) else {
            continue;
        };
        let holds = open
            .flatten()
            .filter_map(|entry| std::fs::read_link(entry.path()).ok())
            .any(|link| link.to_str() == Some(wanted.as_str()));
        if holds {
            let name = std::fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Some(format!(" by {} (pid {pid})", name.trim()));
        }
    }
    None
}

/// The inode of the socket that listens on `port` (`st` 0A), from a table in the format of `/proc/net/tcp`.
fn listening_inode(table: &str, port: u16) -> Option<String> {
    let text = std::fs::read_to_string(table).ok()?;
    let wanted = format!(":{port:04X}");
    text.lines().skip(1).find_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let local = fields.nth(1)?;
        let state = fields.nth(1)?;
        let inode = fields.nth(5)?;
        (state == "0A" && local.ends_with(&wanted)).then(|| inode.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn loopback_needs_nothing() {
        for own in ["127.0.0.1:1", "127.5.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert!(check_exposure(address(own), false, false, false).is_ok(), "{own}");
        }
    }

    #[test]
    fn beyond_loopback_what_is_missing_is_named_with_its_keys() {
        for open in ["0.0.0.0:9477", "10.0.0.1:9477", "[::]:9477"] {
            let refused = |tls, token| {
                check_exposure(address(open), tls, token, false)
                    .expect_err("unprotected")
                    .to_string()
            };
            assert!(
                refused(false, false).contains("without TLS and a token: set `tls.cert_file`"),
                "{open}"
            );
            assert!(
                refused(true, false).contains("without a token: set `token_file`"),
                "{open}"
            );
            assert!(
                refused(false, true).contains("without TLS: set `tls.cert_file`"),
                "{open}"
            );
            assert!(refused(false, false).contains("--insecure"), "{open}");
            assert!(check_exposure(address(open), true, true, false).is_ok(), "{open}");
            assert!(
                check_exposure(address(open), false, false, true).is_ok(),
                "{open}"
            );
        }
    }

    #[test]
    fn a_port_in_use_is_one_sentence_with_its_holder() {
        let first = bind(address("127.0.0.1:0")).expect("a free port");
        let taken = first.local_addr().expect("bound");
        let error = bind(taken).expect_err("taken").to_string();
        assert!(
            error.contains(&format!("(pid {})", std::process::id())),
            "{error}"
        );
        assert!(error.contains("set `listen` to another port"), "{error}");
    }
}

//! Where the debugger's client finds emu.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An address to listen at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Address {
    /// A TCP port of one of the host's interfaces.
    Tcp {
        /// The interface: an address or a name. Empty: the loopback interface.
        host: String,
        /// The port; 0 for any that is free.
        port: u16,
    },
    /// A socket in the file system.
    Unix(PathBuf),
}

impl Address {
    /// What `--gdb` without a value means.
    pub const DEFAULT: &'static str = "tcp:127.0.0.1:1234";

    /// The host to listen at.
    pub(super) fn host(host: &str) -> &str {
        if host.is_empty() { "127.0.0.1" } else { host }
    }

    /// What GDB's `target remote` takes, `port` being the one listened at.
    pub(super) fn remote(&self, port: u16) -> String {
        match self {
            Address::Tcp { host, .. } if matches!(host.as_str(), "" | "127.0.0.1" | "localhost" | "0.0.0.0") => {
                format!(":{port}")
            }
            Address::Tcp { host, .. } if host.contains(':') => format!("[{host}]:{port}"),
            Address::Tcp { host, .. } => format!("{host}:{port}"),
            Address::Unix(path) => path.display().to_string(),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp { host, port } if host.contains(':') => write!(f, "tcp:[{host}]:{port}"),
            Address::Tcp { host, port } => write!(f, "tcp:{host}:{port}"),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "not an address; write PORT, tcp:HOST:PORT or unix:PATH".to_owned();
        let port = text.strip_prefix(':').unwrap_or(text);
        if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) {
            return format!("tcp::{port}").parse();
        }
        match text.split_once(':') {
            Some(("unix", "")) => Err("a path is missing after unix:".into()),
            Some(("unix", path)) => Ok(Address::Unix(path.into())),
            Some(("tcp", rest)) => {
                let (host, port) = rest.rsplit_once(':').ok_or_else(wrong)?;
                let inside = host.strip_prefix('[').map(|h| h.strip_suffix(']'));
                let host = match inside {
                    None if host.contains(':') => return Err("an IPv6 address is written in brackets".into()),
                    None => host,
                    Some(host) => host.ok_or_else(wrong)?,
                };
                let port = port
                    .parse()
                    .map_err(|_| format!("not a port: {port:?}; ports are numbers up to 65535"))?;
                Ok(Address::Tcp {
                    host: host.to_owned(),
                    port,
                })
            }
            _ => Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_and_print() {
        for text in [
            Address::DEFAULT,
            "tcp::0",
            "tcp:localhost:65535",
            "tcp:[::1]:1234",
            "unix:/tmp/a:b",
        ] {
            assert_eq!(text.parse::<Address>().map(|a| a.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn a_port_alone_is_this_hosts() {
        for text in ["1234", ":1234"] {
            assert_eq!(text.parse(), "tcp::1234".parse::<Address>());
        }
    }

    #[test]
    fn addresses_that_are_none() {
        for text in [
            "",
            "tcp",
            "tcp:",
            "tcp:1234",
            "tcp:h:",
            "tcp:h:x",
            "tcp:h:65536",
            "tcp:h:-1",
            "tcp:::1:1",
            "tcp:[::1:1",
            "unix:",
            "udp:h:1",
            "",
            ":",
            "-1",
            "65536",
            ":1x",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn gdb_is_told_the_port_alone_where_that_is_enough() {
        let remote = |text: &str| text.parse::<Address>().unwrap().remote(7);

        let all = ["tcp::0", "tcp:127.0.0.1:7", "tcp:box:7", "tcp:[::1]:7", "unix:s"].map(remote);

        assert_eq!(all, [":7", ":7", "box:7", "[::1]:7", "s"]);
    }
}

//! Where an export is, as the NBD project's `uri.md` writes it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::string::{String, ToString as _};
use std::vec::Vec;

/// The port that is NBD's.
const PORT: u16 = 10809;

/// The longest name of an export that servers are asked for.
const NAME_MAX: usize = 4096;

/// An export of a server: `nbd://host:port/export` or `nbd+unix:///export?socket=/path`.
///
/// ```
/// use mach_pager::store::nbd::Address;
///
/// let address: Address = "nbd://[::1]/swap".parse()?;
/// assert_eq!(address.to_string(), "nbd://[::1]:10809/swap");
/// let address: Address = "nbd+unix:///?socket=/run/nbd.sock".parse()?;
/// # Ok::<(), mach_pager::store::nbd::AddressError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub(super) server: Server,
    pub(super) export: String,
}

/// What listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Server {
    Tcp(String, u16),
    Unix(PathBuf),
}

/// Why a text is no address of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressError {
    /// It begins with neither `nbd://` nor `nbd+unix://`.
    Scheme,
    /// It asks for TLS, which this client does not have.
    Tls,
    /// There is no host, or no port after the colon.
    Host,
    /// A `nbd+unix` address names no socket, or a host.
    Socket,
    /// Something follows that has no meaning here.
    Query,
    /// A `%` is not followed by two hexadecimal digits, or what they say is not UTF-8.
    Escape,
    /// The name of the export has more than 4096 bytes.
    Name,
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheme => "it is to be nbd://HOST:PORT/EXPORT or nbd+unix:///EXPORT?socket=PATH",
            Self::Tls => "there is no TLS here; a tunnel such as ssh -L gives the server a local port",
            Self::Host => "a host and a port are to follow nbd://, as in nbd://localhost:10809/",
            Self::Socket => "the socket is missing, as in nbd+unix:///EXPORT?socket=/run/nbd.sock",
            Self::Query => {
                "nothing but socket=PATH, and that for nbd+unix only, may follow the question mark"
            }
            Self::Escape => "each % is to be followed by two hexadecimal digits",
            Self::Name => "the name of an export has 4096 bytes at most",
        })
    }
}

impl std::error::Error for AddressError {}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text.starts_with("nbds:") || text.starts_with("nbds+unix:") {
            return Err(AddressError::Tls);
        }
        let (is_unix, rest) = match (text.strip_prefix("nbd://"), text.strip_prefix("nbd+unix://")) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            _ => return Err(AddressError::Scheme),
        };
        let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
        let (authority, export) = rest.split_once('/').unwrap_or((rest, ""));
        let export = decoded(export)?;
        if export.len() > NAME_MAX {
            return Err(AddressError::Name);
        }
        let server = match (is_unix, query) {
            (false, None) => tcp(authority)?,
            (false, Some(_)) => return Err(AddressError::Query),
            (true, None) => return Err(AddressError::Socket),
            (true, Some(query)) => {
                let socket = query.strip_prefix("socket=").ok_or(AddressError::Query)?;
                let socket = decoded(socket)?;
                if socket.is_empty() || socket.contains('\0') || !authority.is_empty() {
                    return Err(AddressError::Socket);
                }
                Server::Unix(socket.into())
            }
        };
        Ok(Self { server, export })
    }
}

fn tcp(authority: &str) -> Result<Server, AddressError> {
    let (host, port) = match authority.strip_prefix('[') {
        // An address of IPv6.
        Some(rest) => rest.split_once(']').ok_or(AddressError::Host)?,
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let port = match port.strip_prefix(':') {
        Some(port) => port.parse().map_err(|_| AddressError::Host)?,
        None if port.is_empty() => PORT,
        None => return Err(AddressError::Host),
    };
    if host.is_empty() || host.contains('@') {
        return Err(AddressError::Host);
    }
    Ok(Server::Tcp(host.to_string(), port))
}

fn decoded(text: &str) -> Result<String, AddressError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
        let (high, low) = digit().zip(digit()).ok_or(AddressError::Escape)?;
        bytes.push((high * 16 + low) as u8);
    }
    String::from_utf8(bytes).map_err(|_| AddressError::Escape)
}

/// Text with everything escaped that could be taken for something else.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => {
                    write!(f, "{}", char::from(byte))?;
                }
                _ => write!(f, "%{byte:02X}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let export = Escaped(&self.export);
        match &self.server {
            Server::Tcp(host, port) if host.contains(':') => write!(f, "nbd://[{host}]:{port}/{export}"),
            Server::Tcp(host, port) => write!(f, "nbd://{host}:{port}/{export}"),
            Server::Unix(path) => {
                write!(f, "nbd+unix:///{export}?socket={}", Escaped(&path.to_string_lossy()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: &str, port: u16, export: &str) -> Result<Address, AddressError> {
        Ok(Address { server: Server::Tcp(host.into(), port), export: export.into() })
    }

    fn unix(path: &str, export: &str) -> Result<Address, AddressError> {
        Ok(Address { server: Server::Unix(path.into()), export: export.into() })
    }

    #[test]
    fn addresses_are_read_as_the_nbd_project_writes_them() {
        for (text, expected) in [
            ("nbd://localhost", tcp("localhost", 10809, "")),
            ("nbd://localhost/", tcp("localhost", 10809, "")),
            ("nbd://example.org:10810/a/b", tcp("example.org", 10810, "a/b")),
            ("nbd://[::1]:7/", tcp("::1", 7, "")),
            ("nbd://[::1]/x%20y%2f", tcp("::1", 10809, "x y/")),
            ("nbd+unix:///?socket=/tmp/sock", unix("/tmp/sock", "")),
            ("nbd+unix:///swap?socket=/a%3Fb", unix("/a?b", "swap")),
            ("nbds://localhost/", Err(AddressError::Tls)),
            ("nbds+unix:///?socket=/a", Err(AddressError::Tls)),
            ("http://localhost/", Err(AddressError::Scheme)),
            ("nbd:localhost:10809", Err(AddressError::Scheme)),
            ("/dev/nbd0", Err(AddressError::Scheme)),
            ("nbd:///export", Err(AddressError::Host)),
            ("nbd://:10809/", Err(AddressError::Host)),
            ("nbd://localhost:/", Err(AddressError::Host)),
            ("nbd://localhost:65536/", Err(AddressError::Host)),
            ("nbd://user@localhost/", Err(AddressError::Host)),
            ("nbd://[::1", Err(AddressError::Host)),
            ("nbd://[::1]7/", Err(AddressError::Host)),
            ("nbd://localhost/?socket=/a", Err(AddressError::Query)),
            ("nbd+unix:///swap", Err(AddressError::Socket)),
            ("nbd+unix:///?socket=", Err(AddressError::Socket)),
            ("nbd+unix://host/?socket=/a", Err(AddressError::Socket)),
            ("nbd+unix:///?tls-certificates=/a", Err(AddressError::Query)),
            ("nbd://localhost/%", Err(AddressError::Escape)),
            ("nbd://localhost/%4", Err(AddressError::Escape)),
            ("nbd://localhost/%zz", Err(AddressError::Escape)),
            ("nbd://localhost/%ff", Err(AddressError::Escape)),
        ] {
            let address = text.parse::<Address>();
            assert_eq!(address, expected, "{text}");
            if let Ok(address) = address {
                assert_eq!(address.to_string().parse(), Ok(address), "{text}");
            }
        }
        let long = std::format!("nbd://localhost/{}", "x".repeat(4097));
        assert_eq!(long.parse::<Address>(), Err(AddressError::Name));
    }
}

//! A port of this machine that stays ours while the server behind it is down.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use tokio::net::TcpSocket;

/// A port of the loopback address, chosen by the system.
pub struct Port {
    address: SocketAddr,
    /// Bound and not listening: a server may listen there, and nobody else is given the port
    /// while no server does. Only Linux lets both be bound at once.
    _reserved: Option<TcpSocket>,
}

impl Port {
    pub fn reserve() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        let any = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0);
        socket.bind(any.into()).unwrap();
        let address = socket.local_addr().unwrap();
        let reserved = cfg!(target_os = "linux").then_some(socket);
        Self {
            address,
            _reserved: reserved,
        }
    }

    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    pub const fn number(&self) -> u16 {
        self.address.port()
    }
}

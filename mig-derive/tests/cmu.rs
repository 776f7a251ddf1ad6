//! What only the language of Carnegie Mellon's Mach 3 has: procedures and functions, whose errors come back
//! like those of routines.

use mig_runtime::abi::GnuI386;
use mig_runtime::kernel::local::Local;
use mig_runtime::{KernReturn, Port, ReceiveRight, SendRight, Server};

mod store {
    mig_derive::interface! {
        abi: "cmu-32",
        inline: "
            type int = MACH_MSG_TYPE_INTEGER_32;
            type point_t = struct[2] of int;
            type server_t = MACH_MSG_TYPE_COPY_SEND;
            subsystem store 700;
            error StoreError;
            procedure store_put(server : server_t; key : int; value : point_t);
            function store_get(server : server_t; key : int) : point_t;
            function store_size(server : server_t; out last : int) : int;
            skip 2;
            simpleprocedure store_sync(server : server_t);
        ",
    }
}
use store::{Point, StoreSizeReply, id, store_get, store_put, store_size, store_sync};

type K = Local<GnuI386>;

struct Store;

impl store::Store<K> for Store {
    fn store_put(&self, _: Port<'_, K>, key: i32, value: Point) -> Result<(), KernReturn> {
        if value == [key, key] { Ok(()) } else { Err(KernReturn(5)) }
    }
    fn store_get(&self, _: Port<'_, K>, key: i32) -> Result<Point, KernReturn> {
        Ok([key, -key])
    }
    fn store_size(&self, _: Port<'_, K>) -> Result<StoreSizeReply, KernReturn> {
        Ok(StoreSizeReply { store_size: 3, last: 2 })
    }
    fn store_sync(&self, _: Port<'_, K>) -> Result<(), KernReturn> {
        Ok(())
    }
}

fn with_server(test: impl FnOnce(&SendRight<K>)) {
    let task = K::new();
    let receive = ReceiveRight::allocate(&task).unwrap();
    let port = receive.make_send().unwrap();
    let server = Server::on(&receive).with(store::store(&Store));
    std::thread::scope(|scope| {
        scope.spawn(|| server.run().unwrap());
        test(&port);
        server.stop();
    });
}

#[test]
fn ids_count_skipped_ones() {
    assert_eq!((id::STORE_PUT, id::STORE_SIZE, id::STORE_SYNC), (700, 702, 705));
}

#[test]
fn procedures_and_functions_are_routines() {
    with_server(|port| {
        store_put(port, 7, &[7, 7]).unwrap();
        assert_eq!(store_put(port, 7, &[8, 8]).unwrap_err().code(), KernReturn(5));
        assert_eq!(store_get(port, 7).unwrap(), [7, -7]);
        assert_eq!(store_size(port).unwrap(), StoreSizeReply { store_size: 3, last: 2 });
        store_sync(port).unwrap();
    });
}
